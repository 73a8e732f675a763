/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Neural tangent kernel of a pair of inputs at infinite width, layer by layer, at initialisation.
 *
 * NTK parametrisation, z = sigma_w W h/sqrt(N) + sigma_b b with entries of variance 1, gradients by W and b: Theta^1 =
 * K^1, Theta^l = K^l + Theta^(l-1) sigma_w2 E[dphi(u1) dphi(u2)], K^l the covariance of z^l, u that of layer l - 1.
 * Notation of Jacot, Gabriel & Hongler 2018 (arXiv:1806.07572) and Hayou, Doucet & Rousseau 2019 (arXiv:1905.13654).
 * No training and no finite width.
 */
#ifndef EOC_KERNEL_H
#define EOC_KERNEL_H

#include "eoc/activation.h"
#include "eoc/status.h"

/** Rows of one pair: (depth) each, layer 1 first; any pointer may be NULL. Logs are natural. */
typedef struct {
    double *log_diagonal[2]; /* log Theta^l(x, x) of either input; -inf where it vanishes */
    double *ratio;           /* Theta^l(x, y)/sqrt(Theta^l(x, x) Theta^l(y, y)); NaN where one vanishes */
    double *one_minus_ratio;
    double *log_condition; /* log of the greater over the lesser eigenvalue of the 2 x 2 kernel; inf: singular */
} eoc_kernel_rows;

/**
 * @param sigma_w2, sigma_b2  effective variances, >= 0
 * @param variances           second moments |x|^2/N of the two inputs, >= 0
 * @param correlation         their cosine, in [-1, 1]
 * @param depth               >= 1
 *
 * Nothing over- or underflows at any depth. Accuracy: 1e-12 on relu and linear to depth 10^4 (2e-13 of a log that
 * grows), 1e-10 on the first layers of erf, and on 1 - ratio of erf down to 1e-17 (tests/unit/test_kernel.c).
 */
eoc_status eoc_kernel_fill(const eoc_activation *act, double sigma_w2, double sigma_b2, const double variances[2],
                           double correlation, int depth, const eoc_kernel_rows *rows);

#endif
