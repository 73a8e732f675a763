/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The curve of x in the upper half-plane on which log lambda is real: every density of J J^T is read on it. Log lambda
 * rises with |x| along it.
 */
#ifndef EOC_THEORY_SPECTRAL_CURVE_H
#define EOC_THEORY_SPECTRAL_CURVE_H

#include "edges.h"

/* At x: M, 1 + M, and log lambda with its derivative by log x; on the curve where log lambda is real. */
typedef struct {
    double complex log_x, moment, growth, log_lambda, slope;
    double rounding; /* of log x, for what rounding there is in log lambda */
} eoc_curve_point;

eoc_curve_point eoc_curve_at(const eoc_product_layers *layers, double complex log_x);

/* Of a point on the curve: P(lambda > its lambda), and lambda rho(lambda). */
double eoc_curve_survival(const eoc_product_layers *layers, const eoc_curve_point *p);
double eoc_curve_density(const eoc_curve_point *p);

/* Whether x may be on the curve: in the upper half-plane, to rounding. */
bool eoc_curve_is_above(const eoc_product_layers *layers, double complex log_x);

/* The point at log lambda = y, by Newton's method from p->log_x, which alone is read. False where it does not arrive.
 */
bool eoc_curve_solve(const eoc_product_layers *layers, double y, eoc_curve_point *p);

/* From a point at *y to y_end in as many steps as it takes; where it fails *y and *p are how far it came. */
bool eoc_curve_continue(const eoc_product_layers *layers, double *y, double y_end, eoc_curve_point *p);

/* The point on the ray |x| = exp(log_r); on the real line where the spectrum has none. */
eoc_curve_point eoc_curve_on_ray(const eoc_product_layers *layers, double log_r);

/*
 * Points to start from: just below an edge, log x of which is made better on the way (false where log lambda is not a
 * parabola there), and at the mean of lambda, which lies in the bulk.
 */
bool eoc_curve_start_at_edge(const eoc_product_layers *layers, double edge, double *log_x_edge, double *y,
                             eoc_curve_point *p);
bool eoc_curve_start_in_bulk(const eoc_product_layers *layers, double log_m1, double log_x_edge, double *y,
                             eoc_curve_point *p);

/* Past a place where the curve touches the real line: an atom of d of exactly 1 - 1/L of the mass. */
bool eoc_curve_jump(const eoc_product_layers *layers, double direction, double *y, eoc_curve_point *p);

#endif
