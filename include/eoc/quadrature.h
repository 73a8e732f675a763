/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Gaussian expectations in one and two dimensions, each with an error estimate.
 *
 * The line is cut into panels, narrow where the integrand has structure and split where it is not smooth;
 * each panel carries the 21-point Kronrod rule, whose 10 embedded Gauss points give the error for nothing
 * (Piessens et al. 1983, QUADPACK). Nothing here knows of activations; infinities and scales along depth are
 * the business of theory.
 */
#ifndef EOC_QUADRATURE_H
#define EOC_QUADRATURE_H

#include "eoc/status.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    EOC_QUADRATURE_POINTS = 21, /* of a panel */
    EOC_QUADRATURE_MAX_PANELS =
        512, /* of a rule: what does not fit goes into a last, wide panel, and the error shows it */
    EOC_QUADRATURE_MAX_BREAKS = 8,
    EOC_QUADRATURE_MAX_FOCI = 8,
    EOC_QUADRATURE_MAX_VALUES = 2 /* integrands of one two-dimensional pass */
};

/** An expectation and an estimate of its error, absolute; rounding is not in the estimate. */
typedef struct {
    double value;
    double error;
} eoc_expectation;

/**
 * Where on the z line an integrand needs points. At a break it is not smooth: a panel ends there. A focus is
 * a place with structure of the given width: panels are at most that wide there and grow in proportion to the
 * distance from it.
 */
typedef struct {
    double range;  /* panels cover |z| <= range; 9 leaves out 2e-19 of the mass */
    double widest; /* greatest panel width */
    bool half;     /* z >= 0 only, weights doubled: for even integrands */
    int level;     /* every width is divided by 2^level */
    int num_breaks;
    double breaks[EOC_QUADRATURE_MAX_BREAKS];
    int num_foci;
    double foci[EOC_QUADRATURE_MAX_FOCI];
    double focus_widths[EOC_QUADRATURE_MAX_FOCI];
} eoc_quadrature_layout;

/** Nodes and weights for z ~ N(0, 1): E[f(z)] = sum weight f(z); `coarse` is the embedded rule's weight, often 0.
 */
typedef struct {
    size_t num_nodes;
    double *z, *weight, *coarse; /* (EOC_QUADRATURE_MAX_PANELS * EOC_QUADRATURE_POINTS) */
} eoc_quadrature_rule;

eoc_status eoc_quadrature_rule_create(eoc_quadrature_rule **rule);
void eoc_quadrature_rule_destroy(eoc_quadrature_rule **rule);

/** Writes the nodes and weights of `layout` over the rule. */
void eoc_quadrature_rule_fill(eoc_quadrature_rule *rule, const eoc_quadrature_layout *layout);

/** sum weight f and its error, for f (num_nodes) given at the rule's nodes. */
eoc_expectation eoc_quadrature_sum(const eoc_quadrature_rule *rule, const double *f);

/** f (n) at the nodes z (n). */
typedef void (*eoc_quadrature_function)(const double *z, double *f, size_t n, void *context);

/** Rules and buffers of repeated expectations; one per thread of work. */
typedef struct eoc_quadrature eoc_quadrature;

eoc_status eoc_quadrature_create(eoc_quadrature **quadrature);
void eoc_quadrature_destroy(eoc_quadrature **quadrature);

/**
 * E[f(z)], z ~ N(0, 1), with panels halved until the estimate is below 1e-13 of E|f| or the panels run out.
 *
 * Accuracy: 1e-12 of E|f| for the powers and kinked functions of tests/unit/test_quadrature.c.
 */
eoc_expectation eoc_quadrature_expect(eoc_quadrature *quadrature, const eoc_quadrature_layout *layout,
                                      eoc_quadrature_function f, void *context);

/**
 * Two correlated Gaussians, u1 = scale z and u2 = slope u1 + spread y with independent z, y ~ N(0, 1), and
 * where functions of them have structure: not smooth where u1 or u2 is one of `kinks`, structure of width
 * `feature` around 0.
 */
typedef struct {
    double scale, slope, spread; /* scale > 0, spread > 0 */
    double feature;
    bool even;     /* f(-u1, -u2) = f(u1, u2) for all integrands: half the outer range does */
    int num_kinks; /* at most 2 */
    double kinks[2];
} eoc_quadrature_pair;

/** Integrands at one u1 and n values of u2, all given with y: f (num_values, n), row-major. */
typedef void (*eoc_quadrature_row)(double u1, const double *y, const double *u2, double *f, size_t n, void *context);

/**
 * E[f_k(u1, u2)], k < num_values, as an outer rule over z of inner expectations over y. The inner range is
 * split where u2 meets a kink; the inner mean is then smooth in u1 on the scale of `spread`, and the outer
 * range follows that.
 *
 * Cost: outer times inner nodes, 5e3 to 1e5 evaluations.
 * Accuracy: 1e-11 of E|f| on the arc-cosine and arcsine kernels (tests/unit/test_quadrature.c).
 */
void eoc_quadrature_expect_pair(eoc_quadrature *quadrature, const eoc_quadrature_pair *pair, eoc_quadrature_row row,
                                void *context, int num_values, eoc_expectation *values);

/** Gauss's rule of n points for a weight of 1 on [-1, 1]: node (n), descending, and weight (n), to rounding. */
void eoc_quadrature_legendre(int n, double *node, double *weight);

#endif
