/* SPDX-License-Identifier: BSD-3-Clause */
/* Roots of the length map's gap V(q)/q - 1, and a root finder for it and its like. */
#ifndef EOC_THEORY_FIXED_POINTS_H
#define EOC_THEORY_FIXED_POINTS_H

#include "expectations.h"

enum { EOC_MAX_Q_ROOTS = 16 };

/* Grids hold 12 significant digits: a critical value met to this relative distance is meant. */
static const double EOC_CRITICAL_TOLERANCE = 1e-11;

/* f(x), with its derivative in *slope. */
typedef double (*eoc_sloped_function)(double x, double *slope, void *context);

/* The root in [low, high], where f changes sign, to rounding: Newton's method from `start` inside, bisection where
 * that leaves the bracket. */
double eoc_find_root(eoc_sloped_function f, void *context, double low, double f_low, double high, double f_high,
                     double start);

/* A positive fixed point of the length map: log q, chi_q, and whether the map only touches the diagonal. */
typedef struct {
    double log_q;
    double chi_q;
    bool touches;
} eoc_q_root;

typedef struct {
    int num_roots;
    eoc_q_root roots[EOC_MAX_Q_ROOTS]; /* ascending */
    bool zero_is_fixed;                /* V(0) = 0 */
    bool monotone;                     /* V increases wherever it was looked at */
} eoc_q_roots;

/* For phi that is not scale-invariant. */
void eoc_q_roots_find(eoc_expectations *e, double sigma_w2, double sigma_b2, eoc_q_roots *found);

/* log V(q), from moments at q. */
double eoc_length_map(const eoc_moments *m, double sigma_w2, double sigma_b2);

/* V(q)/q - 1 at log q. */
double eoc_length_gap(eoc_expectations *e, double sigma_w2, double sigma_b2, double log_q);

#endif
