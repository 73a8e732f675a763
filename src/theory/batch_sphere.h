/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expectations behind the batch normalization of B values whose covariance is (d - r) I + r 1 1^T: with P = I - 1 1^T/B
 * and g ~ N(0, I), what phi sees is u = gamma x + beta, x = y/sqrt(|y|^2/B + epsilon), y = sqrt(d - r) P g. The
 * direction of x is uniform on the sphere of the B - 1 dimensions across 1, its length independent of it.
 */
#ifndef EOC_THEORY_BATCH_SPHERE_H
#define EOC_THEORY_BATCH_SPHERE_H

#include "eoc/architecture.h"

/*
 * The derivative of u by what is normalized is gamma M/s, M = P - x x^T/B, s^2 = |y|^2/B + epsilon. A covariance a P +
 * e 1 1^T/B of gradients behind phi comes out in front of the normalization as (a trace_rest + e trace_mean)/(B - 1) P.
 */
typedef struct {
    double phi2, cross;            /* E[phi(u_a)^2], E[phi(u_a) phi(u_b)] */
    double mean;                   /* E[phi(u_a)] */
    double mu_1;                   /* E[phi'(u_a)^2] */
    double trace_rest, trace_mean; /* E[gamma^2/s^2 tr(M D Q D M)], D = diag(phi') with dropout, Q = P and 1 1^T/B */
} eoc_batch_features;

typedef struct eoc_batch_sphere eoc_batch_sphere;

/* @param folded  half the units see phi(-u): all is the mean over both signs of beta
 * @param num_inputs  B >= 4 */
eoc_status eoc_batch_sphere_create(const eoc_activation *act, bool folded, const eoc_norm *norm, double keep,
                                   int num_inputs, eoc_batch_sphere **sphere);
void eoc_batch_sphere_destroy(eoc_batch_sphere **sphere);

/* At d - r = spread > 0 (0: nothing varies, and no gradient passes without epsilon). */
const eoc_batch_features *eoc_batch_sphere_at(eoc_batch_sphere *sphere, double spread);

#endif
