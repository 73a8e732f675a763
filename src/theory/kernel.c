/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/kernel.h"

#include "curves.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

/* Of one layer. */
typedef struct {
    double log_q[2]; /* of either input */
    double one_minus_c;
} kernel_layer;

static eoc_status curves_create(const eoc_activation *act, double sigma_w2, double sigma_b2, const double variances[2],
                                double correlation, int depth, eoc_curves *curves[3])
{
    static const double ones[] = {1.0, 1.0};
    const bool equal = variances[0] == variances[1];
    const eoc_theory_pair pair = {.a = 0, .b = equal ? 0 : 1, .correlation = correlation, .count = 2.0};
    const eoc_theory_inputs both = {
        .num_variances = equal ? 1 : 2, .variances = variances, .counts = ones, .num_pairs = 1, .pairs = &pair};
    eoc_status status = eoc_curves_create_with_gaps(act, sigma_w2, sigma_b2, &both, depth, &curves[2]);
    for (int i = 0; i < 2 && status == EOC_OK; i++) {
        const eoc_theory_inputs one = {.num_variances = 1, .variances = &variances[i], .counts = ones};
        status = eoc_curves_create(act, sigma_w2, sigma_b2, &one, depth, &curves[i]);
    }
    return status;
}

static void read_layer(eoc_curves *const curves[3], int layer, kernel_layer *out)
{
    for (int i = 0; i < 2; i++) {
        eoc_curve_rows rows = {.log_q = &out->log_q[i]};
        eoc_curves_fill(curves[i], layer, &layer, 1, -1.0, &rows);
    }
    eoc_curve_rows rows = {.one_minus_c = &out->one_minus_c};
    eoc_curves_fill(curves[2], layer, &layer, 1, -1.0, &rows);
}

/* r = Theta/K of one input, value exp(log_scale): it grows with the gradients, beyond any double. */
typedef struct {
    double value, log_scale;
} kernel_growth;

/* r <- 1 + share r */
static void grow(kernel_growth *r, double share)
{
    static const double STEP = 1e200;
    r->value = exp(-r->log_scale) + share * r->value;
    if (r->value > STEP) {
        r->value /= STEP;
        r->log_scale += log(STEP);
    } else if (r->log_scale > 0.0 && r->value < 1.0 / STEP) {
        r->value *= STEP;
        r->log_scale -= log(STEP);
    }
}

/*
 * 1 - ratio from shares: Theta = K + T of each input has the shares a = K/Theta = 1/r and b = T/Theta, and ratio =
 * sqrt(a1 a2) c + sqrt(b1 b2) ratio_before cosine, of which nothing cancels when taken from 1 share by share.
 */
static double next_one_minus_ratio(const kernel_growth r[2], double one_minus_c, double one_minus_before,
                                   double slope_gap)
{
    double a[2], b[2]; /* roots of the shares */
    for (int i = 0; i < 2; i++) {
        const double one = exp(-r[i].log_scale);
        a[i] = sqrt(one / r[i].value);
        b[i] = sqrt((r[i].value - one) / r[i].value);
    }
    const double unlike = 0.5 * ((a[0] - a[1]) * (a[0] - a[1]) + (b[0] - b[1]) * (b[0] - b[1]));
    const double past = one_minus_before + (1.0 - one_minus_before) * slope_gap;
    return unlike + a[0] * a[1] * one_minus_c + (b[0] * b[1] > 0.0 ? b[0] * b[1] * past : 0.0);
}

/* Eigenvalues of ((e^d, r), (r, e^-d)), d half the difference of the logs: trace 2 cosh d, determinant 1 - r^2. */
static double log_condition_of(double log_difference, double one_minus_ratio)
{
    const double half = 0.5 * fabs(log_difference), ratio = 1.0 - one_minus_ratio;
    const double log_determinant = log(one_minus_ratio * (1.0 + ratio));
    if (half > 300.0) {
        return 2.0 * half - log_determinant;
    }
    const double root = 2.0 * hypot(sinh(half), ratio);
    return 2.0 * log(0.5 * (2.0 * cosh(half) + root)) - log_determinant;
}

static void put(double *row, int layer, double value)
{
    if (row) {
        row[layer - 1] = value;
    }
}

eoc_status eoc_kernel_fill(const eoc_activation *act, double sigma_w2, double sigma_b2, const double variances[2],
                           double correlation, int depth, const eoc_kernel_rows *rows)
{
    assert(depth >= 1 && sigma_w2 >= 0.0 && sigma_b2 >= 0.0);
    eoc_curves *curves[3] = {NULL, NULL, NULL}; /* of either input alone, and of the pair */
    const eoc_status status = curves_create(act, sigma_w2, sigma_b2, variances, correlation, depth, curves);
    kernel_growth r[2] = {{0.0, 0.0}, {0.0, 0.0}};
    double one_minus_ratio = 0.0;
    for (int layer = 1; layer <= depth && status == EOC_OK; layer++) {
        kernel_layer here;
        double log_theta[2];
        read_layer(curves, layer, &here);
        for (int i = 0; i < 2; i++) {
            grow(&r[i], layer > 1 ? eoc_curves_share(curves[i], 0, layer) : 0.0);
            log_theta[i] = here.log_q[i] + log(r[i].value) + r[i].log_scale;
            put(rows->log_diagonal[i], layer, log_theta[i]);
        }
        const double slope_gap = layer > 1 ? eoc_curves_slope_gap(curves[2], 0, layer - 1) : 0.0;
        one_minus_ratio = next_one_minus_ratio(r, here.one_minus_c, one_minus_ratio, slope_gap);
        put(rows->ratio, layer, 1.0 - one_minus_ratio);
        put(rows->one_minus_ratio, layer, one_minus_ratio);
        put(rows->log_condition, layer, log_condition_of(log_theta[0] - log_theta[1], one_minus_ratio));
    }
    for (int i = 0; i < 3; i++) {
        eoc_curves_destroy(&curves[i]);
    }
    return status;
}
