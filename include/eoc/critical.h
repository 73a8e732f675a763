/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The critical line, chi_1 = 1: the edge of chaos in the plane of weight and bias variance.
 *
 * Parametrised by q_star, which needs no root finding: sigma_w2 = 1/E[dphi^2], sigma_b2 = q - sigma_w2
 * E[phi^2]. A point of the line is a fixed point of the length map, but not always a stable one: chi_q says.
 * Notation of mean_field.h.
 */
#ifndef EOC_CRITICAL_H
#define EOC_CRITICAL_H

#include "eoc/activation.h"
#include "eoc/status.h"

#include <stdbool.h>

typedef struct {
    double q_star;   /* NaN at a point where every q is fixed (scale-invariant phi) */
    double sigma_w2; /* effective weight variance */
    double sigma_b2; /* bias variance; negative: the line has left the plane */
    double chi_q;    /* slope of the length map; above 1 the fixed point is unstable and a signal goes to another */
} eoc_critical_point;

/** Outside these no point of the line is looked for but q = 0. */
#define EOC_CRITICAL_LEAST_Q 1e-10
#define EOC_CRITICAL_GREATEST_Q 1e8

/**
 * The point of the line at q_star > 0.
 *
 * Accuracy: 1e-10 relative on tests/reference/critical_line.csv. sigma_b2 is found from what is left of phi
 * when its slopes at 0 are taken out, so it keeps 10 digits down to q_star = 1e-4 (tanh: 1.33253383165e-12).
 * Source: the parametrisation, Xiao et al. 2018, arXiv:1806.05393 (its notebook); stability, Roberts, Yaida &
 * Hanin 2022, ch. 5.
 */
eoc_status eoc_critical_at_q(const eoc_activation *act, double q_star, eoc_critical_point *point);

/** Several points at once, ascending or not: points (num_points) for q_star (num_points). */
eoc_status eoc_critical_fill(const eoc_activation *act, const double *q_star, int num_points,
                             eoc_critical_point *points);

/**
 * All points of the line with the given bias variance, by ascending q_star: several where the line folds,
 * none where it never gets there (softplus at any; scale-invariant phi at any but 0, where it has the one
 * point). At sigma_b2 = 0 the point q = 0 counts where phi(0) = 0 and phi is smooth there or not.
 *
 * @param sigma_b2  >= 0
 * @param points    (capacity), overwritten
 * @param count     how many there are; at most `capacity` are written
 *
 * Looked for from EOC_CRITICAL_LEAST_Q to EOC_CRITICAL_GREATEST_Q, or where a bounded phi has left sigma_b2 behind.
 * Accuracy: 1e-10 relative.
 */
eoc_status eoc_critical_find(const eoc_activation *act, double sigma_b2, int capacity, eoc_critical_point *points,
                             int *count);

#endif
