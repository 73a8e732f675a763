/* SPDX-License-Identifier: BSD-3-Clause */
/* What creation and rows of curves over space share. Private to the room. */
#ifndef EOC_THEORY_SPATIAL_CURVES_H
#define EOC_THEORY_SPATIAL_CURVES_H

#include "eoc/spatial_theory.h"

/* Arrays have max_depth + 1 layers, the layer leading; layer 0 holds the inputs. A class is one of variances, or of
 * pairs behind them. */
struct eoc_spatial_curves {
    eoc_averaging averaging;
    int positions, taps, max_depth, num_variances, num_pairs;
    bool between;
    double sigma_w2;
    double *counts; /* (classes) inputs, or ordered pairs of them */
    eoc_theory_pair *pairs;
    int *sees;            /* (positions, taps): p + t; -1 beyond the edge */
    double *log_q;        /* (layer, variances, positions) */
    double *one_minus_c;  /* (layer, pairs, positions), of pre-activations */
    double *log_h2;       /* (layer, variances, positions) */
    double *one_minus_h;  /* (layer, pairs, positions), of activations */
    double *slopes;       /* (layer, classes, positions): E[dphi dphi] */
    double *mu_2;         /* (layer, positions), at input 0 */
    double *covariance;   /* (layer, positions): of z(p) z(p + d) around the edges, over that at d = 0 */
    double *inside;       /* (layer, positions): likewise over the p whose p + d is inside */
    double *log_moment_1; /* (layer): of the Jacobian of independent weights from input 0 to h of the layer */
    double *log_moment_2;
};

/* The class of variances that input 0 is of. */
static inline int eoc_spatial_input_zero(const eoc_spatial_curves *c)
{
    return c->num_pairs > 0 ? c->pairs[0].a : 0;
}

/* out = A f of values `stride` apart. Its transpose is its own: shares are even, and what sees p through a tap is p
 * less its offset. */
void eoc_spatial_average(const eoc_spatial_curves *c, const double *f, size_t stride, double *out);

/* Divides by the greatest size and returns its log; 0 where there is none. */
double eoc_spatial_scale_down(double *values, int n);

/*
 * K = J J^T at a layer, J the Jacobian of independent weights: k(p) = tr K(p, p)/C and M(p, p') = tr K(p, p') K(p',
 * p)/C. Of Gaussian W, with y = sigma_w^2 A k, to leading order in C
 *
 *   k <- mu_1 y,   M(p, p') <- mu_1(p) mu_1(p') sigma_w^4 (A M A)(p, p') + [p = p'] mu_2 y^2,
 *
 * which for signals that are alike is the growth of m_2/m_1^2 by mu_2/mu_1^2 a layer (s_1 = -1).
 */
typedef struct {
    double *k, *m, *work; /* (positions), (positions, positions) twice; k exp(log_scale), m exp(2 log_scale) */
    bool second;          /* whether M is wanted; else the second moment is NaN */
    double log_scale;
} eoc_spatial_jacobian;

eoc_status eoc_spatial_jacobian_begin(int positions, bool second, eoc_spatial_jacobian *jacobian);
void eoc_spatial_jacobian_end(eoc_spatial_jacobian *jacobian);
void eoc_spatial_jacobian_step(const eoc_spatial_curves *c, const double *mu_1, const double *mu_2,
                               eoc_spatial_jacobian *jacobian);
void eoc_spatial_jacobian_moments(const eoc_spatial_curves *c, const eoc_spatial_jacobian *jacobian, double *log_m1,
                                  double *log_m2);

#endif
