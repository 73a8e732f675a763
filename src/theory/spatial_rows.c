/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of curves over space: on the way up as they were noted, on the way back for the depth asked for. */
#include "spatial_curves.h"

#include "products.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;

/* -- one layer's sums over positions -- */

static const double *log_lengths(const eoc_spatial_curves *c, int layer, int v)
{
    return c->log_q + ((size_t)layer * (size_t)c->num_variances + (size_t)v) * (size_t)c->positions;
}

/* log of the sum over positions */
static double log_total(const double *logs, int n)
{
    log_sum sum = EMPTY_SUM;
    for (int i = 0; i < n; i++) {
        add_term(&sum, logs[i], 1.0);
    }
    return log_of_sum(&sum);
}

static double num_inputs(const eoc_spatial_curves *c)
{
    double sum = 0.0;
    for (int v = 0; v < c->num_variances; v++) {
        sum += c->counts[v];
    }
    return sum;
}

static double log_mean_q(const eoc_spatial_curves *c, int layer)
{
    log_sum q = EMPTY_SUM;
    for (int v = 0; v < c->num_variances; v++) {
        add_term(&q, log_total(log_lengths(c, layer, v), c->positions), c->counts[v]);
    }
    return log_of_sum(&q) - log(num_inputs(c) * c->positions);
}

/* Of inputs 0 and 1, all positions together: with x^2 and y^2 a position's shares of each, as over the taps of a map.
 */
static double one_minus_c(const eoc_spatial_curves *c, int layer)
{
    if (c->num_pairs == 0) {
        return NAN;
    }
    const double *const a = log_lengths(c, layer, c->pairs[0].a), *const b = log_lengths(c, layer, c->pairs[0].b);
    const double *const apart = c->one_minus_c + (size_t)layer * (size_t)c->num_pairs * (size_t)c->positions;
    const double log_a = log_total(a, c->positions), log_b = log_total(b, c->positions);
    if (log_a == -INFINITY || log_b == -INFINITY) {
        return NAN;
    }
    double sum = 0.0;
    for (int p = 0; p < c->positions; p++) {
        const double x = exp(0.5 * (a[p] - log_a)), y = exp(0.5 * (b[p] - log_b));
        sum += 0.5 * (x - y) * (x - y) + (x * y > 0.0 ? x * y * apart[p] : 0.0);
    }
    return sum;
}

/* -- the way back -- */

/* G(p) of every class at a layer: g exp(log_scale of the class). */
typedef struct {
    int num_classes;
    double *g, *log_scale; /* (classes, positions), (classes) */
    double *work;          /* (positions) */
} gradients;

static bool gradients_begin(const eoc_spatial_curves *c, gradients *back)
{
    back->num_classes = c->num_variances + c->num_pairs;
    const size_t classes = (size_t)back->num_classes, positions = (size_t)c->positions;
    back->g = calloc(classes * positions + classes + positions, sizeof(double));
    if (!back->g) {
        return false;
    }
    back->log_scale = back->g + classes * positions;
    back->work = back->log_scale + classes;
    return true;
}

/* Through phi of a layer, and the weights of the one above it where there is one. */
static void gradients_step(const eoc_spatial_curves *c, int layer, bool is_last, gradients *back)
{
    for (int i = 0; i < back->num_classes; i++) {
        double *const g = back->g + (size_t)i * (size_t)c->positions;
        const double *const slopes =
            c->slopes + ((size_t)layer * (size_t)back->num_classes + (size_t)i) * (size_t)c->positions;
        if (!is_last) {
            eoc_spatial_average(c, g, 1, back->work);
            back->log_scale[i] += log(c->sigma_w2);
        }
        for (int p = 0; p < c->positions; p++) {
            g[p] = slopes[p] * (is_last ? 1.0 : back->work[p]);
        }
        back->log_scale[i] += eoc_spatial_scale_down(g, c->positions);
    }
}

static double gradient_total(const eoc_spatial_curves *c, const gradients *back, int i)
{
    double sum = 0.0;
    for (int p = 0; p < c->positions; p++) {
        sum += back->g[(size_t)i * (size_t)c->positions + (size_t)p];
    }
    return sum;
}

static double log_gradient_q(const eoc_spatial_curves *c, const gradients *back)
{
    log_sum sum = EMPTY_SUM;
    for (int v = 0; v < c->num_variances; v++) {
        add_term(&sum, back->log_scale[v], c->counts[v] * gradient_total(c, back, v));
    }
    return log_of_sum(&sum) - log(num_inputs(c) * c->positions);
}

static double gradient_c(const eoc_spatial_curves *c, const gradients *back)
{
    if (c->num_pairs == 0) {
        return NAN;
    }
    const int a = c->pairs[0].a, b = c->pairs[0].b, pair = c->num_variances;
    const double of_a = gradient_total(c, back, a), of_b = gradient_total(c, back, b);
    if (!(of_a > 0.0 && of_b > 0.0)) {
        return NAN;
    }
    const double log_size = back->log_scale[pair] - 0.5 * (back->log_scale[a] + back->log_scale[b]);
    return gradient_total(c, back, pair) / sqrt(of_a) / sqrt(of_b) * exp(log_size);
}

/* E[h_a h_b] of a class at the positions of a layer, in units of exp of what is returned. */
static double feature_covariances(const eoc_spatial_curves *c, int layer, int class, double *h)
{
    const size_t positions = (size_t)c->positions;
    const double *const log_h2 = c->log_h2 + (size_t)layer * (size_t)c->num_variances * positions;
    const int pair = class - c->num_variances;
    const double *const a = log_h2 + (size_t)(pair < 0 ? class : c->pairs[pair].a) * positions;
    const double *const b = log_h2 + (size_t)(pair < 0 ? class : c->pairs[pair].b) * positions;
    double log_unit = -INFINITY;
    for (size_t p = 0; p < positions; p++) {
        log_unit = fmax(log_unit, 0.5 * (a[p] + b[p]));
    }
    for (size_t p = 0; p < positions; p++) {
        h[p] = log_unit > -INFINITY ? exp(0.5 * (a[p] + b[p]) - log_unit) : 0.0;
        if (pair >= 0 && h[p] > 0.0) {
            h[p] *= 1.0 - c->one_minus_h[((size_t)layer * (size_t)c->num_pairs + (size_t)pair) * positions + p];
        }
    }
    return log_unit;
}

/* Mean over the taps of sum_p G(p) H(p + t). */
static double tap_mean(const eoc_spatial_curves *c, const double *g, const double *h)
{
    double sum = 0.0;
    for (int p = 0; p < c->positions; p++) {
        for (int t = 0; t < c->taps; t++) {
            const int q = c->sees[p * c->taps + t];
            sum += q < 0 ? 0.0 : g[p] * h[q];
        }
    }
    return sum / c->taps;
}

static double log_weight_gradient_q(const eoc_spatial_curves *c, const gradients *back, int layer)
{
    log_sum sum = EMPTY_SUM;
    for (int i = 0; i < back->num_classes; i++) {
        const double log_unit = feature_covariances(c, layer - 1, i, back->work);
        const double mean = tap_mean(c, back->g + (size_t)i * (size_t)c->positions, back->work);
        if (log_unit > -INFINITY) {
            add_term(&sum, back->log_scale[i] + log_unit, c->counts[i] * mean);
        }
    }
    return log_of_sum(&sum);
}

/* -- the Jacobian of orthogonal weights that do not mix positions -- */

static void centre_moments(const eoc_spatial_curves *c, int depth, double *log_m1, double *log_m2)
{
    const size_t positions = (size_t)c->positions, classes = (size_t)(c->num_variances + c->num_pairs);
    log_sum first = EMPTY_SUM, second = EMPTY_SUM;
    for (size_t p = 0; p < positions; p++) {
        double log_m = depth * log(c->sigma_w2), excess = 0.0;
        for (size_t l = 1; l <= (size_t)depth; l++) {
            const double mu_1 = c->slopes[(l * classes + (size_t)eoc_spatial_input_zero(c)) * positions + p];
            log_m += log(mu_1);
            excess += c->mu_2[l * positions + p] / (mu_1 * mu_1) - 1.0;
        }
        add_term(&first, log_m, 1.0);
        add_term(&second, 2.0 * log_m, 1.0 + excess);
    }
    *log_m1 = log_of_sum(&first) - log(c->positions);
    *log_m2 = log_of_sum(&second) - log(c->positions);
}

/* -- rows -- */

static void put(double *row, int k, double value)
{
    if (row) {
        row[k] = value;
    }
}

static void blank(int k, eoc_curve_rows *rows)
{
    double *const values[] = {rows->log_q,          rows->c,          rows->one_minus_c,
                              rows->log_gradient_q, rows->gradient_c, rows->log_weight_gradient_q};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        put(values[i], k, NAN);
    }
}

static eoc_status fill_gradients(const eoc_spatial_curves *c, int depth, const int *layers, int within,
                                 eoc_curve_rows *rows)
{
    gradients back;
    EOC_REQUIRE(gradients_begin(c, &back), EOC_ERR_NOMEM, "no memory for gradients over space");
    int k = within - 1;
    for (int layer = depth; layer >= 1 && k >= 0; layer--) {
        gradients_step(c, layer, layer == depth, &back);
        if (layers[k] == layer) {
            put(rows->log_gradient_q, k, log_gradient_q(c, &back));
            put(rows->gradient_c, k, gradient_c(c, &back));
            put(rows->log_weight_gradient_q, k, log_weight_gradient_q(c, &back, layer));
            k--;
        }
    }
    free(back.g);
    return EOC_OK;
}

eoc_status eoc_spatial_curves_fill(const eoc_spatial_curves *c, int depth, const int *layers, int num_layers,
                                   eoc_spatial_law law, eoc_curve_rows *rows)
{
    assert(depth >= 1 && depth <= c->max_depth);
    int within = 0;
    for (int k = 0; k < num_layers; k++) {
        blank(k, rows);
        if (layers[k] <= depth) {
            const double apart = one_minus_c(c, layers[k]);
            put(rows->log_q, k, log_mean_q(c, layers[k]));
            put(rows->c, k, 1.0 - apart);
            put(rows->one_minus_c, k, apart);
            within = k + 1;
        }
    }
    rows->log_jacobian_m1 = c->log_moment_1[depth];
    rows->log_jacobian_m2 = law == EOC_SPATIAL_INDEPENDENT ? c->log_moment_2[depth] : NAN;
    if (law == EOC_SPATIAL_CENTRE) {
        centre_moments(c, depth, &rows->log_jacobian_m1, &rows->log_jacobian_m2);
    }
    return fill_gradients(c, depth, layers, within, rows);
}

/* -- rows over space -- */

static void fill_positions(const eoc_spatial_curves *c, int layer, double *q, double *position_c)
{
    const double log_mean = log_mean_q(c, layer) + log(num_inputs(c));
    for (int p = 0; p < c->positions; p++) {
        log_sum sum = EMPTY_SUM;
        for (int v = 0; v < c->num_variances; v++) {
            add_term(&sum, log_lengths(c, layer, v)[p], c->counts[v]);
        }
        if (q) {
            q[p] = log_mean > -INFINITY ? exp(log_of_sum(&sum) - log_mean) : NAN;
        }
        if (position_c && c->num_pairs > 0) {
            const size_t row = (size_t)layer * (size_t)c->num_pairs * (size_t)c->positions;
            position_c[p] = 1.0 - c->one_minus_c[row + (size_t)p];
        }
    }
}

/* The transform of what neighbours around the edges have in common. */
static void fill_power(const eoc_spatial_curves *c, const double *covariance, double *power)
{
    const eoc_geometry *g = &c->averaging.geometry;
    for (int k = 0; k < c->positions; k++) {
        double sum = 0.0;
        for (int d = 0; d < c->positions; d++) {
            const int phase = g->dimensions == 1 ? k * d : k / g->side * (d / g->side) + k % g->side * (d % g->side);
            sum += covariance[d] * cos(2.0 * PI * (phase % g->side) / g->side);
        }
        power[k] = sum < 0.0 ? 0.0 : sum / c->positions; /* a rounding below nothing */
    }
}

static double *row_at(double *values, size_t stride, int k)
{
    double *const row = values ? values + (size_t)k * stride : NULL;
    for (size_t i = 0; row && i < stride; i++) {
        row[i] = NAN;
    }
    return row;
}

void eoc_spatial_curves_fill_space(const eoc_spatial_curves *c, int depth, const int *layers, int num_layers,
                                   const eoc_spatial_curve_rows *rows)
{
    for (int k = 0; k < num_layers; k++) {
        double *const q = row_at(rows->position_q, rows->stride, k);
        double *const position_c = row_at(rows->position_c, rows->stride, k);
        double *const power = row_at(rows->spatial_power, rows->stride, k);
        double *const correlation = row_at(rows->spatial_correlation, rows->stride, k);
        if (layers[k] > depth) {
            continue;
        }
        const size_t at = (size_t)layers[k] * (size_t)c->positions;
        fill_positions(c, layers[k], q, position_c);
        for (int d = 0; correlation && d < c->positions; d++) {
            correlation[d] = c->averaging.geometry.circular ? c->covariance[at + (size_t)d] : c->inside[at + (size_t)d];
        }
        if (power && c->between) {
            fill_power(c, c->covariance + at, power);
        }
    }
}
