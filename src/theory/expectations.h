/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expectations of phi and dphi over Gaussian pre-activations, for any variance from exp(-10^5) to exp(10^5).
 *
 * Three regimes. Where phi is homogeneous (scale-invariant rows; others at variances so small or so large
 * that only the one-sided slopes at 0, or at infinity, are seen) everything is the arc-cosine kernel of Cho &
 * Saul 2009 with two slopes. Elsewhere the quick rules of rules.h serve where the inputs have one variance. What they
 * leave comes, for one input, from quadrature, and for pairs from the Hermite expansion phi(sqrt(q) z) = sum_n a_n
 * He_n(z)/sqrt(n!), E[phi(u1) phi(u2)] = sum_n a_n(q1) a_n(q2) c^n (Mehler), whose tail is bounded by what is left of
 * E[phi^2]; where that tail is too long from two-dimensional quadrature.
 */
#ifndef EOC_THEORY_EXPECTATIONS_H
#define EOC_THEORY_EXPECTATIONS_H

#include "eoc/activation.h"
#include "eoc/quadrature.h"

enum { EOC_MAX_HERMITE = 384, EOC_PAIR_TABLE = 32 };

typedef struct eoc_tails eoc_tails;

/* Buffers of one activation; the activation is copied. */
typedef struct {
    eoc_activation act;
    double slope_zero[2];       /* dphi(0-), dphi(0+) */
    double slope_infinity[2];   /* of phi at -inf and +inf: 0 where phi is bounded */
    double bound2;              /* an upper bound of phi^2, inf where phi is unbounded */
    bool jumps;                 /* dphi has a jump: phi'' is not a function */
    double jump[EOC_MAX_KINKS]; /* of dphi at each kink */
    double step;                /* of the lattice of u that serves phi (rules.h); 0 where it is not smooth */
    eoc_tails *tails;           /* phi where the variance is large; NULL where it does not become straight */
    eoc_quadrature *quadrature;
    eoc_quadrature_rule *rule;
    double *phi, *dphi, *work; /* (EOC_QUADRATURE_MAX_PANELS * EOC_QUADRATURE_POINTS) each */
    double *psi[2];            /* likewise: two neighbouring Hermite functions */
} eoc_expectations;

typedef enum { EOC_REGIME_HOMOGENEOUS, EOC_REGIME_CONSTANT, EOC_REGIME_GENERAL } eoc_regime;

/* Expectations at one variance, u = sqrt(q) z. */
typedef struct {
    eoc_regime regime;
    double log_q, q;                 /* q is 0 or inf where it leaves the range of a double */
    double log_phi2;                 /* log E[phi(u)^2] */
    double mu_1, mu_2;               /* E[dphi(u)^2], E[dphi(u)^4] */
    double slopes[2];                /* homogeneous regime: for u < 0 and u > 0 */
    double phi2_z2;                  /* E[phi(u)^2 (z^2 - 1)]/E[phi(u)^2], general regime: 2 dlog E[phi^2]/dlog q */
    double phi2_z4;                  /* E[phi(u)^2 (z^4 - 6 z^2 + 3)]/E[phi(u)^2] */
    double error;                    /* the greatest relative error estimate of the above */
    int asked;                       /* how often pairs were, by callers that count it */
    double greatest_c;               /* that the coefficients below serve; 0: not expanded yet */
    int num_hermite;                 /* coefficients below; 0: none */
    double residual;                 /* 1 - sum hermite^2, 0 when down to rounding */
    double slope_residual;           /* 1 - sum n hermite^2 E[phi^2]/(q mu_1) */
    double hermite[EOC_MAX_HERMITE]; /* a_n/sqrt(E[phi^2]) */
    /* Chebyshev coefficients, in the root of 1 - c up to table_reach, of (1 - feature c)/(1 - c) and of E[dphi
     * dphi] */
    double table_reach; /* 0: no table; negative: tried, and not smooth enough */
    double feature_table[EOC_PAIR_TABLE], slope_table[EOC_PAIR_TABLE];
} eoc_moments;

eoc_status eoc_expectations_create(const eoc_activation *act, eoc_expectations **made);
void eoc_expectations_destroy(eoc_expectations **expectations);

/* Whether dphi has a jump: phi'' is not a function then. */
bool eoc_activation_jumps(const eoc_activation *act);

/* Structure of phi, other than kinks, is on this scale around 0: the nearest pole of any row, tanh's, is at i pi/2. */
#define EOC_FEATURE 2.0

/*
 * Places the rule's nodes for functions of u = sqrt(q) z made of phi, which is filled there, and, where wanted, dphi;
 * see eoc_quadrature_layout for range, widest and level. Overwrites `work`.
 */
void eoc_expectations_place(eoc_expectations *e, double q, double range, double widest, int level, bool slopes);

/* log_q, q, log_phi2, phi2_z2 and error: what the length map needs. */
void eoc_lengths_fill(eoc_expectations *e, double log_q, eoc_moments *m);

/* All but the Hermite coefficients and the table. */
void eoc_moments_fill(eoc_expectations *e, double log_q, eoc_moments *m);

/* Whether a rule serves pairs at this variance and correlation in microseconds: no series or table is worth its price.
 */
bool eoc_pair_is_quick(const eoc_expectations *e, const eoc_moments *m, double one_minus_c);

/* The Hermite coefficients that correlations up to `greatest_c` in size need, where they are worth having. */
void eoc_moments_expand(eoc_expectations *e, double greatest_c, eoc_moments *m);

/* eoc_pair_fill by the series; false where what is left of it is not small enough. */
bool eoc_series_pair_fill(const eoc_moments *m1, const eoc_moments *m2, double one_minus_c, double *one_minus_feature_c,
                          double *dphi_dphi);

/*
 * The table, for a variance that has been asked for many correlations near 1 with no series to answer: what was asked,
 * not what will be, or the bits of a layer would depend on how many follow. The values are analytic in the root of 1 -
 * c whether phi has kinks or not. Cost: EOC_PAIR_TABLE pairs.
 */
enum { EOC_WORTH_A_TABLE = 64 };

/* Up to this correlation c^n ends the Hermite series of a kinked phi before it costs as much as a rule. */
#define EOC_SERIES_C 0.92

void eoc_moments_tabulate(eoc_expectations *e, eoc_moments *m);

/* Chebyshev coefficients, in the root of 1 - c within `half` of `middle`, of (1 - feature c)/(1 - c) and of E[dphi
 * dphi] at two given variances. */
enum { EOC_PAIR_WINDOW = 10 };
typedef struct {
    double middle, half; /* half is 0 where there is no window */
    int failures;        /* tries whose polynomials did not end */
    double features[EOC_PAIR_WINDOW], slopes[EOC_PAIR_WINDOW];
} eoc_pair_window;

/*
 * A window over the values that 1 - c will take in the layers to come, from its last three, all of layers with these
 * variances: where they close in on a limit, or on 0. False where they do not, not yet, or to no end. Depends on what
 * was, not on how many layers follow. Cost: EOC_PAIR_WINDOW pairs.
 */
bool eoc_pair_window_open(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, const double last[3],
                          eoc_pair_window *window);

/* eoc_pair_fill by the window; false beyond it. */
bool eoc_pair_window_fill(const eoc_pair_window *window, double one_minus_c, double *one_minus_feature_c,
                          double *dphi_dphi);

/*
 * 1 - E[phi(u1) phi(u2)]/sqrt(E[phi(u1)^2] E[phi(u2)^2]) (NULL: not wanted) and E[dphi(u1) dphi(u2)] (NULL
 * likewise) at correlation 1 - one_minus_c. The first keeps its digits where it is small.
 */
void eoc_pair_fill(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                   double *one_minus_feature_c, double *dphi_dphi);

/* Likewise where one of the signals is zero, or both, and there is no correlation: phi(0) and dphi(0) are as they are.
 * The first is NaN where phi(0) is 0. */
void eoc_zero_pair_fill(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double *one_minus_feature_c,
                        double *dphi_dphi);

/* 1 - E[dphi(u1) dphi(u2)]/sqrt(E[dphi(u1)^2] E[dphi(u2)^2]) given that expectation: keeps its digits where it is
 * small. */
double eoc_pair_slope_gap(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                          double dphi_dphi);

/* sum over the jumps J of dphi at x of J^2 exp(-x^2/(2 q)): what 1 - c of activations owes them, as c goes to 1. */
double eoc_moments_jumps(const eoc_expectations *e, double q);

/* E[phi''(u)^2] in the general regime; NaN where dphi jumps. */
double eoc_moments_curvature(eoc_expectations *e, const eoc_moments *m);

/*
 * q E[delta'^2] - E[delta^2] for delta = phi less its one-sided slopes at 0: equals q E[dphi^2] - E[phi^2],
 * by Stein's lemma, but keeps its digits at small q.
 */
double eoc_moments_excess(eoc_expectations *e, double q);

/* Whether phi has a kink between u and v, or at one of them. */
bool eoc_kink_between(const eoc_activation_kind *kind, double u, double v);

#endif
