/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/kernel.h"

#include "eoc/mean_field.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

/* Maps of either input alone, for lengths and slopes of its own, and of the pair. */
typedef struct {
    eoc_curves *alone[2], *pair;
} kernel_curves;

/* Of one layer. */
typedef struct {
    double log_q[2], log_mu_1[2];     /* of either input; mu_1 at this layer */
    double one_minus_c, slope_cosine; /* E[dphi dphi]/sqrt(mu_1 mu_1) */
} kernel_layer;

static void curves_destroy(kernel_curves *curves)
{
    eoc_curves_destroy(&curves->alone[0]);
    eoc_curves_destroy(&curves->alone[1]);
    eoc_curves_destroy(&curves->pair);
}

static eoc_status curves_create(const eoc_activation *act, double sigma_w2, double sigma_b2, const double variances[2],
                                double correlation, int depth, kernel_curves *curves)
{
    static const double ones[] = {1.0, 1.0};
    const bool equal = variances[0] == variances[1];
    const eoc_theory_pair pair = {.a = 0, .b = equal ? 0 : 1, .correlation = correlation, .count = 2.0};
    eoc_status status = EOC_OK;
    for (int i = 0; i < 2 && status == EOC_OK; i++) {
        const eoc_theory_inputs one = {.num_variances = 1, .variances = &variances[i], .counts = ones};
        status = eoc_curves_create(act, sigma_w2, sigma_b2, &one, depth, &curves->alone[i]);
    }
    if (status == EOC_OK) {
        const eoc_theory_inputs both = {
            .num_variances = equal ? 1 : 2, .variances = variances, .counts = ones, .num_pairs = 1, .pairs = &pair};
        status = eoc_curves_create(act, sigma_w2, sigma_b2, &both, depth, &curves->pair);
    }
    return status;
}

/* A network that ends at this layer has dE/dz = dphi(z) v there. */
static void read_layer(const kernel_curves *curves, int layer, kernel_layer *out)
{
    for (int i = 0; i < 2; i++) {
        const eoc_curve_rows rows = {.log_q = &out->log_q[i], .log_gradient_q = &out->log_mu_1[i]};
        eoc_curve_rows copy = rows;
        eoc_curves_fill(curves->alone[i], layer, &layer, 1, -1.0, &copy);
    }
    eoc_curve_rows rows = {.one_minus_c = &out->one_minus_c, .gradient_c = &out->slope_cosine};
    eoc_curves_fill(curves->pair, layer, &layer, 1, -1.0, &rows);
}

static double log_add(double a, double b)
{
    const double greater = fmax(a, b), lesser = fmin(a, b);
    return greater == -INFINITY ? -INFINITY : greater + log1p(exp(lesser - greater));
}

/*
 * 1 - ratio from shares: Theta = K + T of each input has the shares a = K/Theta and b = T/Theta, and ratio =
 * sqrt(a1 a2) c + sqrt(b1 b2) ratio_before cosine, of which nothing cancels when taken from 1 share by share.
 */
static double next_one_minus_ratio(const double log_k[2], const double log_t[2], const double log_theta[2],
                                   double one_minus_c, double one_minus_before, double slope_cosine)
{
    double a[2], b[2]; /* roots of the shares */
    for (int i = 0; i < 2; i++) {
        a[i] = exp(0.5 * (log_k[i] - log_theta[i]));
        b[i] = exp(0.5 * (log_t[i] - log_theta[i]));
    }
    const double unlike = 0.5 * ((a[0] - a[1]) * (a[0] - a[1]) + (b[0] - b[1]) * (b[0] - b[1]));
    const double kernel = a[0] * a[1] > 0.0 ? a[0] * a[1] * one_minus_c : 0.0;
    const double past = one_minus_before + (1.0 - one_minus_before) * (1.0 - slope_cosine);
    return unlike + kernel + (b[0] * b[1] > 0.0 ? b[0] * b[1] * past : 0.0);
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
    kernel_curves curves = {.pair = NULL};
    const eoc_status status = curves_create(act, sigma_w2, sigma_b2, variances, correlation, depth, &curves);
    if (status != EOC_OK) {
        curves_destroy(&curves);
        return status;
    }
    double log_theta[2] = {-INFINITY, -INFINITY}, one_minus_ratio = 0.0;
    kernel_layer before = {.log_mu_1 = {-INFINITY, -INFINITY}, .slope_cosine = 1.0};
    for (int layer = 1; layer <= depth; layer++) {
        kernel_layer here;
        read_layer(&curves, layer, &here);
        double log_t[2];
        for (int i = 0; i < 2; i++) {
            const double log_slope = log(sigma_w2) + before.log_mu_1[i];
            log_t[i] = log_theta[i] == -INFINITY ? -INFINITY : log_theta[i] + log_slope;
            log_theta[i] = log_add(here.log_q[i], log_t[i]);
            put(rows->log_diagonal[i], layer, log_theta[i]);
        }
        one_minus_ratio =
            next_one_minus_ratio(here.log_q, log_t, log_theta, here.one_minus_c, one_minus_ratio, before.slope_cosine);
        put(rows->ratio, layer, 1.0 - one_minus_ratio);
        put(rows->one_minus_ratio, layer, one_minus_ratio);
        put(rows->log_condition, layer, log_condition_of(log_theta[0] - log_theta[1], one_minus_ratio));
        before = here;
    }
    curves_destroy(&curves);
    return EOC_OK;
}
