/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The law of d = dphi(sqrt(q) z)^2, z ~ N(0, 1), as nodes off the real line.
 *
 * Where phi is smooth its resolvent E[1/(x - d)] has a cut along the values of d, and a spectrum needs it at x ever
 * nearer the upper side of that cut. On every stretch of z where d rises or falls the path of integration is pushed off
 * the real line to the side that takes d into the lower half-plane, so that the same few nodes serve all x of the upper
 * half-plane, its boundary included. Values that d takes with a probability of their own are nodes too.
 */
#ifndef EOC_THEORY_SLOPE_LAW_H
#define EOC_THEORY_SLOPE_LAW_H

#include "eoc/activation.h"
#include "eoc/status.h"

#include <complex.h>
#include <stddef.h>

enum { EOC_MAX_SLOPE_ATOMS = 3 };

/* d in units of its greatest value. */
typedef struct {
    size_t num, capacity;
    double *d_re, *d_im, *w_re, *w_im; /* (num): sum w f(d) = E[f(d)] for f analytic in the lower half-plane */
    size_t num_atoms;                  /* the first nodes: on the real line, d = 0 among them */
    double log_greatest;               /* log of the greatest d; -inf where d = 0 throughout */
    double least; /* of the support, in units of the greatest; 0 where d comes as near as it likes */
    double mass_at_zero, mass_at_greatest;
} eoc_slope_law;

/*
 * q_star: finite, >= 0; of no account for a scale-invariant phi. Accuracy of the sums: 1e-11 up to q_star = 10^4, for x
 * down to 1e-12; beyond that q_star the tail of d is seen coarsely.
 */
eoc_status eoc_slope_law_create(const eoc_activation *act, double q_star, eoc_slope_law *law);

/* For eoc_slope_law_moment_above alone, with a fraction of the nodes: 1e-10 from over = 1e-4 on. */
eoc_status eoc_slope_law_create_outside(const eoc_activation *act, double q_star, eoc_slope_law *law);

void eoc_slope_law_clear(eoc_slope_law *law);

typedef struct {
    double complex moment;   /* M = E[d/(x - d)] */
    double complex growth;   /* 1 + M = x E[1/(x - d)] */
    double complex by_log_x; /* dM/dlog x = -x E[d/(x - d)^2] */
} eoc_resolvent;

/* At x in the upper half-plane or on it from above. */
eoc_resolvent eoc_slope_law_resolvent(const eoc_slope_law *law, double complex x);

/* E[d/(x - d)] for real x = 1 + over above all d. */
double eoc_slope_law_moment_above(const eoc_slope_law *law, double over);

/* E[log(1 - d/x)] likewise; its imaginary part over pi is P(d > x) on the real line, atoms left out there. */
double complex eoc_slope_law_log(const eoc_slope_law *law, double complex log_x);

#endif
