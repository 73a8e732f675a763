/* SPDX-License-Identifier: BSD-3-Clause */
#include "curves.h"

#include "fixed_points.h"
#include "products.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Arrays have max_depth + 1 layers, class leading: (class, layer); layer 0 holds the inputs. */
struct eoc_curves {
    int max_depth;
    double log_sigma_w2;
    int num_variances, num_pairs;
    double *counts;          /* (num_variances) */
    eoc_theory_pair *pairs;  /* (num_pairs) */
    double *log_q;           /* (num_variances, layer) */
    double *log_h2;          /* (num_variances, layer): log E[h^2], h^0 = x */
    product *slopes;         /* (num_variances, layer): of mu_1 */
    double *one_minus_c;     /* (num_pairs, layer), of pre-activations */
    double *one_minus_h;     /* (num_pairs, layer), of activations */
    product *pair_slopes;    /* (num_pairs, layer): of E[dphi dphi] */
    double *jacobian_excess; /* (layer): sum of mu_2/mu_1^2 - 1 at input 0 */
    double *shares;          /* (num_variances, layer): sigma_w2 mu_1(q^(l-1)) q^(l-1)/q^l */
    double *slope_gaps;      /* (num_pairs, layer): 1 - E[dphi dphi]/sqrt(mu_1 mu_1), 0 where not wanted */
};

/* -- creation -- */

static eoc_status allocate(const eoc_theory_inputs *inputs, int max_depth, eoc_curves **made)
{
    eoc_curves *curves = calloc(1, sizeof *curves);
    EOC_REQUIRE(curves, EOC_ERR_NOMEM, "no memory for curves");
    const size_t layers = (size_t)max_depth + 1;
    const size_t v = (size_t)inputs->num_variances, p = (size_t)inputs->num_pairs;
    curves->max_depth = max_depth;
    curves->num_variances = inputs->num_variances;
    curves->num_pairs = inputs->num_pairs;
    curves->counts = malloc(v * sizeof *curves->counts);
    curves->pairs = malloc((p + 1) * sizeof *curves->pairs);
    curves->log_q = calloc((3 * v + 3 * p + 1) * layers, sizeof *curves->log_q);
    curves->slopes = calloc((v + p) * layers, sizeof *curves->slopes);
    if (!curves->counts || !curves->pairs || !curves->log_q || !curves->slopes) {
        eoc_curves_destroy(&curves);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves of %d layers and %d pairs", max_depth, inputs->num_pairs);
    }
    curves->log_h2 = curves->log_q + v * layers;
    curves->one_minus_c = curves->log_h2 + v * layers;
    curves->one_minus_h = curves->one_minus_c + p * layers;
    curves->jacobian_excess = curves->one_minus_h + p * layers;
    curves->shares = curves->jacobian_excess + layers;
    curves->slope_gaps = curves->shares + v * layers;
    curves->pair_slopes = curves->slopes + v * layers;
    for (size_t i = 0; i < v; i++) {
        curves->counts[i] = inputs->counts[i];
    }
    for (size_t i = 0; i < p; i++) {
        curves->pairs[i] = inputs->pairs[i];
    }
    *made = curves;
    return EOC_OK;
}

void eoc_curves_destroy(eoc_curves **curves)
{
    if (*curves) {
        free((*curves)->counts);
        free((*curves)->pairs);
        free((*curves)->log_q);
        free((*curves)->slopes);
    }
    free(*curves);
    *curves = NULL;
}

/* -- the maps -- */

static double affine_log(double log_sigma_w2, double log_h2, double sigma_b2)
{
    const double weights = log_sigma_w2 == -INFINITY ? -INFINITY : log_sigma_w2 + log_h2;
    return log_add(weights, log(sigma_b2));
}

/*
 * 1 - c of sigma_w h + b from 1 - c of h. With x the share of the weights and b of the biases in each
 * variance, x + b = 1: 1 - c' = (sqrt(x1 b2) - sqrt(x2 b1))^2/(1 + sqrt(x1 x2) + sqrt(b1 b2)) + sqrt(x1 x2)
 * (1 - c), nothing of which cancels.
 */
static double affine_one_minus_c(double log_sigma_w2, double log_h2_1, double log_h2_2, double one_minus_h,
                                 double sigma_b2, double log_q_1, double log_q_2)
{
    if (log_q_1 == -INFINITY || log_q_2 == -INFINITY) {
        return NAN;
    }
    const double log_b = log(sigma_b2);
    const double b1 = exp(log_b - log_q_1), b2 = exp(log_b - log_q_2);
    double x1 = 0.0, x2 = 0.0;
    if (log_sigma_w2 > -INFINITY) {
        x1 = exp(log_sigma_w2 + log_h2_1 - log_q_1);
        x2 = exp(log_sigma_w2 + log_h2_2 - log_q_2);
    }
    const double both = sqrt(x1 * x2);
    const double unlike = sqrt(x1 * b2) - sqrt(x2 * b1);
    return unlike * unlike / (1.0 + both + sqrt(b1 * b2)) + (both > 0.0 ? both * one_minus_h : 0.0);
}

typedef struct {
    eoc_curves *curves;
    eoc_expectations *e;
    double log_sigma_w2, sigma_b2;
    eoc_moments *moments;     /* (num_variances), at the layer in hand */
    double *dphi_dphi;        /* (num_pairs), E[dphi dphi] of the last layer */
    eoc_pair_window *windows; /* (num_pairs), of layers whose lengths are held */
    bool wants_gaps;
} iteration;

/* sigma_w2 mu_1 q/q' from one layer's moments, with the length before and after the weights: large lengths cancel. */
static double share_of(const iteration *it, const eoc_moments *m)
{
    if (m->log_phi2 == -INFINITY) {
        return 0.0;
    }
    const double straight = m->regime == EOC_REGIME_HOMOGENEOUS ? 1.0 : m->mu_1 * exp(m->log_q - m->log_phi2);
    const double weights = it->log_sigma_w2 + m->log_phi2;
    return it->sigma_b2 > 0.0 ? straight / (1.0 + exp(log(it->sigma_b2) - weights)) : straight;
}

/* Whether the length at `row` of log_q is that of the layer before. */
static bool is_held(const iteration *it, size_t row, int layer)
{
    return layer > 1 && it->curves->log_q[row] == it->curves->log_q[row - 1];
}

/* z^layer from h^(layer - 1): lengths and correlations. */
static void step_affine(const iteration *it, int layer)
{
    eoc_curves *curves = it->curves;
    const size_t layers = (size_t)curves->max_depth + 1, at = (size_t)layer;
    for (size_t v = 0; v < (size_t)curves->num_variances; v++) {
        const size_t row = v * layers + at;
        double log_q = affine_log(it->log_sigma_w2, curves->log_h2[row - 1], it->sigma_b2);
        /* A length that has stopped to rounding is held, and with it everything computed from it. */
        if (layer > 1 && it->moments[v].regime == EOC_REGIME_GENERAL &&
            fabs(log_q - curves->log_q[row - 1]) <= 16.0 * DBL_EPSILON) {
            log_q = curves->log_q[row - 1];
        }
        curves->log_q[row] = log_q;
        curves->shares[row] = layer > 1 ? share_of(it, &it->moments[v]) : 0.0;
    }
    for (size_t p = 0; p < (size_t)curves->num_pairs; p++) {
        const size_t a = (size_t)curves->pairs[p].a * layers + at, b = (size_t)curves->pairs[p].b * layers + at;
        double *const one_minus_c = curves->one_minus_c + p * layers + at;
        *one_minus_c = affine_one_minus_c(it->log_sigma_w2, curves->log_h2[a - 1], curves->log_h2[b - 1],
                                          curves->one_minus_h[p * layers + at - 1], it->sigma_b2, curves->log_q[a],
                                          curves->log_q[b]);
        /* Likewise a correlation, between lengths that are held. */
        if (is_held(it, a, layer) && is_held(it, b, layer) &&
            fabs(*one_minus_c - one_minus_c[-1]) <= 16.0 * DBL_EPSILON * *one_minus_c) {
            *one_minus_c = one_minus_c[-1];
        }
    }
}

/* Moments at `log_q` with a series that serves correlations up to `greatest_c`; what is already there is kept. */
static void update_moments(const iteration *it, double log_q, double greatest_c, int layer, eoc_moments *m)
{
    const bool held = layer > 1 && m->log_q == log_q;
    if (!held) {
        eoc_moments_fill(it->e, log_q, m);
    }
    /* Of inputs of two lengths, and for gaps of slopes, only the series is quick. */
    const bool alone = it->curves->num_variances == 1 && !it->wants_gaps;
    if (greatest_c > m->greatest_c && !(alone && eoc_pair_is_quick(it->e, m, 1.0 - greatest_c))) {
        /* A length that is held will be asked again with c nearer to 1: one long series serves all. */
        eoc_moments_expand(it->e, held ? 1.0 : greatest_c, m);
    }
    const bool series_ends = m->num_hermite > 0 && m->residual == 0.0;
    if (m->asked++ >= EOC_WORTH_A_TABLE && !series_ends && greatest_c > 0.9 && greatest_c < 1.0) {
        eoc_moments_tabulate(it->e, m);
    }
}

/* Whether the lengths of a pair are what they were in the layer before. */
static bool has_held_lengths(const iteration *it, size_t p, int layer)
{
    const size_t layers = (size_t)it->curves->max_depth + 1, at = (size_t)layer;
    const eoc_theory_pair *pair = &it->curves->pairs[p];
    return is_held(it, (size_t)pair->a * layers + at, layer) && is_held(it, (size_t)pair->b * layers + at, layer);
}

/* Whether a pair is what it was. */
static bool repeats(const iteration *it, size_t p, int layer)
{
    const double *one_minus_c = it->curves->one_minus_c + p * ((size_t)it->curves->max_depth + 1) + (size_t)layer;
    return has_held_lengths(it, p, layer) && one_minus_c[0] == one_minus_c[-1];
}

/* A pair at this layer, through its window once the correlations of held lengths close in on their limit. */
static void fill_pair(const iteration *it, size_t p, int layer, double *one_minus_h, double *dphi_dphi)
{
    const eoc_curves *curves = it->curves;
    const eoc_moments *a = &it->moments[curves->pairs[p].a], *b = &it->moments[curves->pairs[p].b];
    const double *one_minus_c = curves->one_minus_c + p * ((size_t)curves->max_depth + 1) + (size_t)layer;
    eoc_pair_window *window = &it->windows[p];
    if (!has_held_lengths(it, p, layer)) {
        *window = (eoc_pair_window){.half = 0.0};
    } else {
        if (eoc_pair_window_fill(window, *one_minus_c, one_minus_h, dphi_dphi)) {
            return;
        }
        if (layer > 2 && has_held_lengths(it, p, layer - 1) &&
            eoc_pair_window_open(it->e, a, b, one_minus_c - 2, window) &&
            eoc_pair_window_fill(window, *one_minus_c, one_minus_h, dphi_dphi)) {
            return;
        }
    }
    eoc_pair_fill(it->e, a, b, *one_minus_c, one_minus_h, dphi_dphi);
}

/* h^layer from z^layer, and the factors of gradients there. */
static void step_activation(const iteration *it, int layer)
{
    eoc_curves *curves = it->curves;
    const size_t layers = (size_t)curves->max_depth + 1, at = (size_t)layer;
    double greatest_c = 0.0;
    for (size_t p = 0; p < (size_t)curves->num_pairs; p++) {
        greatest_c = fmax(greatest_c, fabs(1.0 - curves->one_minus_c[p * layers + at]));
    }
    for (size_t v = 0; v < (size_t)curves->num_variances; v++) {
        eoc_moments *m = &it->moments[v];
        update_moments(it, curves->log_q[v * layers + at], greatest_c, layer, m);
        curves->log_h2[v * layers + at] = m->log_phi2;
        curves->slopes[v * layers + at] = times(curves->slopes[v * layers + at - 1], m->mu_1);
    }
    for (size_t p = 0; p < (size_t)curves->num_pairs; p++) {
        const size_t row = p * layers + at;
        const eoc_moments *a = &it->moments[curves->pairs[p].a], *b = &it->moments[curves->pairs[p].b];
        double dphi_dphi = sqrt(a->mu_1) * sqrt(b->mu_1);
        curves->one_minus_h[row] = NAN;
        if (repeats(it, p, layer)) {
            curves->one_minus_h[row] = curves->one_minus_h[row - 1];
            dphi_dphi = it->dphi_dphi[p];
        } else if (!isnan(curves->one_minus_c[row])) {
            fill_pair(it, p, layer, &curves->one_minus_h[row], &dphi_dphi);
        } else {
            eoc_zero_pair_fill(it->e, a, b, &curves->one_minus_h[row], &dphi_dphi);
        }
        it->dphi_dphi[p] = dphi_dphi;
        curves->pair_slopes[row] = times(curves->pair_slopes[row - 1], dphi_dphi);
        if (it->wants_gaps && repeats(it, p, layer)) {
            curves->slope_gaps[row] = curves->slope_gaps[row - 1];
        } else if (it->wants_gaps && !isnan(curves->one_minus_c[row])) {
            curves->slope_gaps[row] = eoc_pair_slope_gap(it->e, a, b, curves->one_minus_c[row], dphi_dphi);
        }
    }
    const eoc_moments *first = &it->moments[curves->num_pairs > 0 ? curves->pairs[0].a : 0];
    curves->jacobian_excess[at] = curves->jacobian_excess[at - 1] + first->mu_2 / (first->mu_1 * first->mu_1) - 1.0;
}

static eoc_status create(const eoc_activation *act, double sigma_w2, double sigma_b2, const eoc_theory_inputs *inputs,
                         int max_depth, bool wants_gaps, eoc_curves **curves)
{
    assert(max_depth >= 1 && inputs->num_variances >= 1 && sigma_w2 >= 0.0 && sigma_b2 >= 0.0);
    eoc_curves *made = NULL;
    EOC_TRY(allocate(inputs, max_depth, &made));
    iteration it = {.curves = made, .log_sigma_w2 = log(sigma_w2), .sigma_b2 = sigma_b2, .wants_gaps = wants_gaps};
    made->log_sigma_w2 = it.log_sigma_w2;
    it.moments = calloc((size_t)inputs->num_variances, sizeof *it.moments);
    it.dphi_dphi = calloc((size_t)inputs->num_pairs + 1, sizeof *it.dphi_dphi);
    it.windows = calloc((size_t)inputs->num_pairs + 1, sizeof *it.windows);
    eoc_status status = it.moments && it.dphi_dphi && it.windows ? eoc_expectations_create(act, &it.e)
                                                                 : EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves");
    if (status != EOC_OK) {
        free(it.windows);
        free(it.moments);
        free(it.dphi_dphi);
        eoc_curves_destroy(&made);
        return status;
    }
    const size_t layers = (size_t)max_depth + 1;
    for (size_t v = 0; v < (size_t)inputs->num_variances; v++) {
        made->log_h2[v * layers] = log(inputs->variances[v]);
    }
    for (size_t p = 0; p < (size_t)inputs->num_pairs; p++) {
        made->one_minus_h[p * layers] = 1.0 - inputs->pairs[p].correlation;
    }
    for (int layer = 1; layer <= max_depth; layer++) {
        step_affine(&it, layer);
        step_activation(&it, layer);
    }
    free(it.windows);
    free(it.moments);
    free(it.dphi_dphi);
    eoc_expectations_destroy(&it.e);
    *curves = made;
    return EOC_OK;
}

eoc_status eoc_curves_create(const eoc_activation *act, double sigma_w2, double sigma_b2,
                             const eoc_theory_inputs *inputs, int max_depth, eoc_curves **curves)
{
    return create(act, sigma_w2, sigma_b2, inputs, max_depth, false, curves);
}

eoc_status eoc_curves_create_with_gaps(const eoc_activation *act, double sigma_w2, double sigma_b2,
                                       const eoc_theory_inputs *inputs, int max_depth, eoc_curves **curves)
{
    return create(act, sigma_w2, sigma_b2, inputs, max_depth, true, curves);
}

double eoc_curves_share(const eoc_curves *curves, int variance, int layer)
{
    return curves->shares[(size_t)variance * ((size_t)curves->max_depth + 1) + (size_t)layer];
}

double eoc_curves_slope_gap(const eoc_curves *curves, int pair, int layer)
{
    return curves->slope_gaps[(size_t)pair * ((size_t)curves->max_depth + 1) + (size_t)layer];
}

/* -- rows -- */

/* Mean-field value of dE_a/dz^l . dE_b/dz^l per unit: the product of the factors of layers l to depth. */
static signed_log gradient_product(const eoc_curves *curves, const product *factors, int layer, int depth)
{
    signed_log g = range_product(factors[depth], factors[layer - 1]);
    if (depth > layer) {
        g.log_size += (depth - layer) * curves->log_sigma_w2;
    }
    return g;
}

static void fill_lengths(const eoc_curves *curves, int depth, int layer, int k, eoc_curve_rows *rows)
{
    const size_t layers = (size_t)curves->max_depth + 1, at = (size_t)layer;
    log_sum q = EMPTY_SUM, g = EMPTY_SUM;
    double num_inputs = 0.0;
    for (size_t v = 0; v < (size_t)curves->num_variances; v++) {
        num_inputs += curves->counts[v];
        add_term(&q, curves->log_q[v * layers + at], curves->counts[v]);
        const signed_log gradient = gradient_product(curves, curves->slopes + v * layers, layer, depth);
        add_term(&g, gradient.log_size, gradient.sign * curves->counts[v]);
    }
    if (rows->log_q) {
        rows->log_q[k] = log_of_sum(&q) - log(num_inputs);
    }
    if (rows->log_gradient_q) {
        rows->log_gradient_q[k] = log_of_sum(&g) - log(num_inputs);
    }
}

static double gradient_cosine(const eoc_curves *curves, int depth, int layer, size_t p)
{
    const size_t layers = (size_t)curves->max_depth + 1;
    const eoc_theory_pair *pair = &curves->pairs[p];
    const signed_log cross = gradient_product(curves, curves->pair_slopes + p * layers, layer, depth);
    const signed_log a = gradient_product(curves, curves->slopes + (size_t)pair->a * layers, layer, depth);
    const signed_log b = gradient_product(curves, curves->slopes + (size_t)pair->b * layers, layer, depth);
    const bool known = a.sign && b.sign && a.log_size > -INFINITY && b.log_size > -INFINITY;
    return known ? cross.sign * exp(cross.log_size - 0.5 * (a.log_size + b.log_size)) : NAN;
}

static void fill_correlations(const eoc_curves *curves, int depth, int layer, int k, eoc_curve_rows *rows)
{
    const double one_minus_c = curves->num_pairs > 0 ? curves->one_minus_c[layer] : NAN;
    if (rows->c) {
        rows->c[k] = 1.0 - one_minus_c;
    }
    if (rows->one_minus_c) {
        rows->one_minus_c[k] = one_minus_c;
    }
    if (rows->gradient_c) {
        rows->gradient_c[k] = curves->num_pairs > 0 ? gradient_cosine(curves, depth, layer, 0) : NAN;
    }
}

static double mean_gradient_cosine(const eoc_curves *curves, int depth)
{
    double sum = 0.0, total = 0.0;
    for (size_t p = 0; p < (size_t)curves->num_pairs; p++) {
        sum += curves->pairs[p].count * gradient_cosine(curves, depth, 1, p);
        total += curves->pairs[p].count;
    }
    return total > 0.0 ? sum / total : NAN;
}

/* sum over ordered pairs of inputs of (dE_a/dz^l . dE_b/dz^l) (h_a^(l-1) . h_b^(l-1)), each per unit. */
static double log_weight_gradient(const eoc_curves *curves, int depth, int layer)
{
    const size_t layers = (size_t)curves->max_depth + 1, before = (size_t)layer - 1;
    log_sum total = EMPTY_SUM;
    for (size_t v = 0; v < (size_t)curves->num_variances; v++) {
        const signed_log gradient = gradient_product(curves, curves->slopes + v * layers, layer, depth);
        const double log_h2 = curves->log_h2[v * layers + before];
        if (log_h2 > -INFINITY) {
            add_term(&total, gradient.log_size + log_h2, gradient.sign * curves->counts[v]);
        }
    }
    for (size_t p = 0; p < (size_t)curves->num_pairs; p++) {
        const eoc_theory_pair *pair = &curves->pairs[p];
        const signed_log gradient = gradient_product(curves, curves->pair_slopes + p * layers, layer, depth);
        const double log_h_a = curves->log_h2[(size_t)pair->a * layers + before];
        const double log_h_b = curves->log_h2[(size_t)pair->b * layers + before];
        const double correlation = 1.0 - curves->one_minus_h[p * layers + before];
        if (log_h_a > -INFINITY && log_h_b > -INFINITY) {
            add_term(&total, gradient.log_size + 0.5 * (log_h_a + log_h_b), gradient.sign * pair->count * correlation);
        }
    }
    return log_of_sum(&total);
}

static void fill_jacobian(const eoc_curves *curves, int depth, double s_1, eoc_curve_rows *rows)
{
    const size_t layers = (size_t)curves->max_depth + 1;
    const size_t input = curves->num_pairs > 0 ? (size_t)curves->pairs[0].a : 0;
    const signed_log slopes =
        range_product(curves->slopes[input * layers + (size_t)depth], curves->slopes[input * layers]);
    rows->log_jacobian_m1 = slopes.sign ? slopes.log_size + depth * curves->log_sigma_w2 : -INFINITY;
    rows->log_jacobian_m2 = -INFINITY;
    if (rows->log_jacobian_m1 > -INFINITY) {
        rows->log_jacobian_m2 = 2.0 * rows->log_jacobian_m1 + log1p(curves->jacobian_excess[depth] - depth * s_1);
    }
}

void eoc_curves_fill(const eoc_curves *curves, int depth, const int *layers, int num_layers, double s_1,
                     eoc_curve_rows *rows)
{
    assert(depth >= 1 && depth <= curves->max_depth);
    for (int k = 0; k < num_layers; k++) {
        assert(layers[k] >= 1);
        if (layers[k] > depth) {
            double *const values[] = {rows->log_q,          rows->c,          rows->one_minus_c,
                                      rows->log_gradient_q, rows->gradient_c, rows->log_weight_gradient_q};
            for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                if (values[i]) {
                    values[i][k] = NAN;
                }
            }
            continue;
        }
        fill_lengths(curves, depth, layers[k], k, rows);
        fill_correlations(curves, depth, layers[k], k, rows);
        if (rows->log_weight_gradient_q) {
            rows->log_weight_gradient_q[k] = log_weight_gradient(curves, depth, layers[k]);
        }
    }
    rows->mean_gradient_c = mean_gradient_cosine(curves, depth);
    fill_jacobian(curves, depth, s_1, rows);
}
