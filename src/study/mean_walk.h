/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Networks whose weights have a mean, to leading order: u = shared + own, a value that all units of a layer have in
 * common and independent Gaussian values. With entries of mean mu and N of them, shared'^2 = (N mu)^2 (E[phi]^2 + Var
 * phi/N) and own' has variance sigma_w2 E[phi^2] + sigma_b2; gradients likewise, with dphi. One sign of the shared
 * value, positive at first, stands for both.
 */
#ifndef EOC_STUDY_MEAN_WALK_H
#define EOC_STUDY_MEAN_WALK_H

#include "eoc/activation.h"
#include "eoc/status.h"

typedef struct {
    int width;
    double sum;             /* N mu */
    double weight_variance; /* N times the variance of an entry */
    double bias_variance;
    double input_variance; /* |x|^2/N; the inputs themselves have no mean */
} eoc_mean_walk_start;

/* Logs of q^L/q^1 and g^1/g^L, as in eoc_advice_row. */
eoc_status eoc_mean_walk(const eoc_activation *act, const eoc_mean_walk_start *from, int depth, double *log_forward,
                         double *log_gradient);

#endif
