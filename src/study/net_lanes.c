/* SPDX-License-Identifier: BSD-3-Clause */
/* Loops over the entries of a trained network, compiled for float on each instruction set and once for double. */
#include "eoc/optimizer.h"

#include <math.h>

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

#ifdef EOC_REAL_DOUBLE
#define ROOT(x) sqrt(x)
#else
#define ROOT(x) sqrtf(x)
#endif

static void add_row(const eoc_real *b, eoc_real *z, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, z += n) {
        for (size_t i = 0; i < n; i++) {
            z[i] += b[i];
        }
    }
}

static void sum_columns(const eoc_real *dz, eoc_real *restrict sums, size_t rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sums[i] = 0;
    }
    for (size_t r = 0; r < rows; r++, dz += n) {
        for (size_t i = 0; i < n; i++) {
            sums[i] += dz[i];
        }
    }
}

static void multiply_and_sum(const eoc_real *restrict slope, eoc_real *restrict dz, eoc_real *restrict sums,
                             size_t rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sums[i] = 0;
    }
    for (size_t r = 0; r < rows; r++, dz += n, slope += n) {
        for (size_t i = 0; i < n; i++) {
            dz[i] *= slope[i];
            sums[i] += dz[i];
        }
    }
}

/* -- optimizers -- */

static void sgd(const double *p, double learning_rate, int64_t t, double scale, const eoc_real *restrict g,
                eoc_real *restrict w, eoc_real *const s[EOC_OPTIMIZER_STATES], size_t n)
{
    (void)p, (void)t, (void)s;
    const eoc_real rate = (eoc_real)(learning_rate * scale);
    for (size_t i = 0; i < n; i++) {
        w[i] -= rate * g[i];
    }
}

static void momentum(const double *p, double learning_rate, int64_t t, double scale, const eoc_real *restrict g,
                     eoc_real *restrict w, eoc_real *const s[EOC_OPTIMIZER_STATES], size_t n)
{
    (void)t;
    const eoc_real rate = (eoc_real)learning_rate, keep = (eoc_real)p[0], factor = (eoc_real)scale;
    eoc_real *restrict v = s[0];
    for (size_t i = 0; i < n; i++) {
        v[i] = keep * v[i] + factor * g[i];
        w[i] -= rate * v[i];
    }
}

static void rmsprop(const double *p, double learning_rate, int64_t t, double scale, const eoc_real *restrict g,
                    eoc_real *restrict w, eoc_real *const s[EOC_OPTIMIZER_STATES], size_t n)
{
    (void)t;
    const eoc_real rate = (eoc_real)learning_rate, keep = (eoc_real)p[0], fresh = (eoc_real)(1.0 - p[0]);
    const eoc_real epsilon = (eoc_real)p[1], factor = (eoc_real)scale;
    eoc_real *restrict v = s[0];
    for (size_t i = 0; i < n; i++) {
        const eoc_real gradient = factor * g[i];
        v[i] = keep * v[i] + fresh * gradient * gradient;
        w[i] -= rate * gradient / (ROOT(v[i]) + epsilon);
    }
}

static void adam(const double *p, double learning_rate, int64_t t, double scale, const eoc_real *restrict g,
                 eoc_real *restrict w, eoc_real *const s[EOC_OPTIMIZER_STATES], size_t n)
{
    const double steps = (double)t;
    const eoc_real keep_1 = (eoc_real)p[0], fresh_1 = (eoc_real)(1.0 - p[0]);
    const eoc_real keep_2 = (eoc_real)p[1], fresh_2 = (eoc_real)(1.0 - p[1]);
    const eoc_real rate = (eoc_real)(learning_rate / (1.0 - pow(p[0], steps)));
    const eoc_real unbias = (eoc_real)(1.0 / sqrt(1.0 - pow(p[1], steps)));
    const eoc_real epsilon = (eoc_real)p[2], factor = (eoc_real)scale;
    eoc_real *restrict m = s[0], *restrict v = s[1];
    for (size_t i = 0; i < n; i++) {
        const eoc_real gradient = factor * g[i];
        m[i] = keep_1 * m[i] + fresh_1 * gradient;
        v[i] = keep_2 * v[i] + fresh_2 * gradient * gradient;
        w[i] -= rate * m[i] / (ROOT(v[i]) * unbias + epsilon);
    }
}

static const eoc_optimizer_kind optimizers[] = {
    {.name = "sgd", .formula = "w -= a g", .source = "Robbins & Monro 1951", .is_plain = true, .update = sgd},
    {.name = "momentum",
     .formula = "v = m v + g, w -= a v",
     .source = "Polyak 1964; Sutskever et al. 2013",
     .parameters = {{.name = "momentum", .fallback = 0.9, .min = 0.0, .max = 0.999999}},
     .num_states = 1,
     .update = momentum},
    {.name = "rmsprop",
     .formula = "v = d v + (1 - d) g^2, w -= a g/(sqrt(v) + e)",
     .source = "Tieleman & Hinton 2012",
     .parameters = {{.name = "decay", .fallback = 0.99, .min = 0.0, .max = 0.999999},
                    {.name = "epsilon", .fallback = 1e-8, .min = 1e-30, .max = 1.0}},
     .num_states = 1,
     .update = rmsprop},
    {.name = "adam",
     .formula = "m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w -= a (m/(1 - b1^t))/(sqrt(v/(1 - b2^t)) + e)",
     .source = "Kingma & Ba 2015",
     .parameters = {{.name = "beta_1", .fallback = 0.9, .min = 0.0, .max = 0.999999},
                    {.name = "beta_2", .fallback = 0.999, .min = 0.0, .max = 0.999999},
                    {.name = "epsilon", .fallback = 1e-8, .min = 1e-30, .max = 1.0}},
     .num_states = 2,
     .update = adam},
};

extern const eoc_net_loops PASTE(eoc_net_loops_, EOC_LANES);
const eoc_net_loops PASTE(eoc_net_loops_, EOC_LANES) = {
    .add_row = add_row,
    .multiply_and_sum = multiply_and_sum,
    .sum_columns = sum_columns,
    .optimizers = optimizers,
    .num_optimizers = sizeof optimizers / sizeof optimizers[0],
};
