/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The quick rules for expectations at one variance: each says whether it serves, and where none does eoc_moments_fill
 * and eoc_pair_fill go on to adaptive quadrature. All are functions of the activation, the variance and the
 * correlation alone.
 *
 * - The lattice (lattice.c): phi smooth, variance not huge. The trapezoidal rule, which converges exponentially.
 * - Tails (tails.c): the variance large beside the structure of phi. phi is two straight lines, whose expectations are
 *   closed forms, and a rest that is local.
 * - Waves (waves.c): sin, the variance large. Closed forms.
 * - Corners (corners.c): phi with kinks. Panels between them, in the sum and difference of the two inputs.
 */
#ifndef EOC_THEORY_RULES_H
#define EOC_THEORY_RULES_H

#include "expectations.h"

/* 1 - E[phi(u1) phi(u2)]/E[phi^2] and E[dphi(u1) dphi(u2)], both at one variance. */
typedef struct {
    double one_minus_feature_c, dphi_dphi;
} eoc_pair_values;

/* sin t - t cos t, which rules for straight lines need near t = 0. */
double eoc_sin_minus_t_cos(double t);

/* eoc_pair_fill by the quick rules where one of them serves, else by adaptive quadrature; never by series or table. */
void eoc_direct_pair_fill(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                          double *one_minus_feature_c, double *dphi_dphi);

/* Likewise by the table of eoc_moments_tabulate; false where there is none, or beyond it. */
bool eoc_table_pair_fill(const eoc_moments *m, double one_minus_c, double *one_minus_feature_c, double *dphi_dphi);

/* -- the lattice -- */

/* Step of u for phi and its derivative, 0 where phi is not smooth: found by comparing sums on two shifted lattices. */
double eoc_lattice_step(const eoc_activation *act);

/* log_phi2, phi2_z2 and error at m->q; mu_1, mu_2 and phi2_z4 where slopes are wanted. */
bool eoc_lattice_fill(eoc_expectations *e, bool slopes, eoc_moments *m);
/* Whether such a pair costs less than by quadrature. */
bool eoc_lattice_serves(const eoc_expectations *e, const eoc_moments *m, double one_minus_c);
bool eoc_lattice_pair(eoc_expectations *e, const eoc_moments *m, double one_minus_c, eoc_pair_values *values);

/* -- waves -- */

/* As those of the lattice; of a pair of any two lengths. */
bool eoc_wave_fill(const eoc_expectations *e, eoc_moments *m);
/* As eoc_moments_excess. */
double eoc_wave_excess(double q);
bool eoc_wave_serves(const eoc_expectations *e, double q);
bool eoc_wave_pair(const eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                   eoc_pair_values *values);

/* -- tails -- */

/* NULL in *tails where phi does not become straight within reach. */
eoc_status eoc_tails_create(const eoc_activation *act, const double slopes[2], eoc_tails **tails);
void eoc_tails_destroy(eoc_tails **tails);

/* As those of the lattice. */
bool eoc_tails_fill(const eoc_tails *tails, eoc_moments *m);
bool eoc_tails_serve(const eoc_tails *tails, const eoc_moments *m, double one_minus_c);
bool eoc_tails_pair(const eoc_tails *tails, const eoc_moments *m, double one_minus_c, eoc_pair_values *values);

/* -- corners -- */

/* Whether it is better than the series; it is right everywhere. */
bool eoc_corners_serve(const eoc_expectations *e, double one_minus_c);
bool eoc_corners_pair(eoc_expectations *e, const eoc_moments *m, double one_minus_c, eoc_pair_values *values);

#endif
