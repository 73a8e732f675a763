/* SPDX-License-Identifier: BSD-3-Clause */
/* Loops over the entries of a trained network, compiled for float on each instruction set and once for double. */
#include "eoc/optimizer.h"

#include <math.h>
#include <string.h>

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

static void multiply(const eoc_real *restrict slope, eoc_real *restrict d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        d[i] *= slope[i];
    }
}

static void contract(const eoc_real *slope, eoc_real *d, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, slope += 2 * n) {
        const eoc_real *const from = d + 2 * r * n;
        eoc_real *const to = d + r * n;
        for (size_t i = 0; i < n; i++) { /* `to` stays behind `from` */
            to[i] = slope[i] * from[i] + slope[n + i] * from[n + i];
        }
    }
}

static void scale_by(double a, const eoc_real *x, eoc_real *y, size_t n)
{
    const eoc_real p = (eoc_real)a;
    for (size_t i = 0; i < n; i++) {
        y[i] = p * x[i];
    }
}

static void combine(double a, const eoc_real *x, double b, const eoc_real *y, eoc_real *z, size_t n)
{
    const eoc_real p = (eoc_real)a, q = (eoc_real)b;
    for (size_t i = 0; i < n; i++) {
        z[i] = p * x[i] + q * y[i];
    }
}

static void drop(const float *restrict drawn, double keep, eoc_real *restrict h, eoc_real *restrict slope, size_t n)
{
    const float limit = (float)(2.0 * keep - 1.0);
    const eoc_real factor = (eoc_real)(1.0 / keep);
    for (size_t i = 0; i < n; i++) {
        const eoc_real mask = drawn[i] < limit ? factor : 0;
        h[i] *= mask;
        slope[i] *= mask;
    }
}

/* Pieces of a length that the compiler knows go through registers, the runs' first ones, then their second ones: a run
 * is too short to be worth a call. */
static void gather(const eoc_real *values, const int32_t *table, size_t count, size_t run, eoc_real *restrict to)
{
    enum { PIECE = 16 };
    size_t i = 0;
    for (; i + PIECE <= run; i += PIECE) {
        for (size_t k = 0; k < count; k++) {
            if (table[k] < 0) {
                memset(to + k * run + i, 0, sizeof *to * PIECE);
            } else {
                memcpy(to + k * run + i, values + (size_t)table[k] * run + i, sizeof *to * PIECE);
            }
        }
    }
    for (; i < run; i++) {
        for (size_t k = 0; k < count; k++) {
            to[k * run + i] = table[k] < 0 ? 0 : values[(size_t)table[k] * run + i];
        }
    }
}

/* -- normalizations: x = (u - mean)/s, s^2 = variance + epsilon, y = gamma x + beta -- */

/* With v = gamma dE/dy: dE/du = (v - mean(v) - x mean(x v))/s, means over what mean and variance are of. */

static eoc_real inverse_root(eoc_real square)
{
    return square > 0 ? 1 / ROOT(square) : square < 0 || square != square ? (eoc_real)NAN : 0;
}

static void scale_rows(const eoc_net_norm *norm, eoc_real *y, size_t rows, size_t n)
{
    const eoc_real *restrict gamma = norm->gamma, *restrict beta = norm->beta, *x = norm->x;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        for (size_t i = 0; i < n; i++) {
            y[i] = gamma[i] * x[i] + beta[i];
        }
    }
}

static void batch_forward(const eoc_net_norm *norm, const eoc_real *u, eoc_real *y, size_t rows, size_t n)
{
    eoc_real *restrict mean = norm->mean, *restrict variance = norm->variance, *restrict inverse = norm->inverse;
    const eoc_real share = 1 / (eoc_real)rows, epsilon = (eoc_real)norm->epsilon;
    sum_columns(u, mean, rows, n);
    for (size_t i = 0; i < n; i++) {
        mean[i] *= share;
        variance[i] = 0;
    }
    for (size_t r = 0; r < rows; r++) {
        eoc_real *restrict x = norm->x + r * n;
        for (size_t i = 0; i < n; i++) {
            x[i] = u[r * n + i] - mean[i];
            variance[i] += x[i] * x[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        variance[i] *= share;
        inverse[i] = inverse_root(variance[i] + epsilon);
    }
    for (size_t r = 0; r < rows; r++) {
        multiply(inverse, norm->x + r * n, n);
    }
    scale_rows(norm, y, rows, n);
}

static void batch_backward(const eoc_net_norm *norm, eoc_real *d, eoc_real *restrict sums, size_t rows, size_t n)
{
    const eoc_real *restrict gamma = norm->gamma, *restrict inverse = norm->inverse, *restrict x = norm->x;
    eoc_real *restrict along = sums, *restrict sum = sums + n;
    const eoc_real share = 1 / (eoc_real)rows;
    sum_columns(d, sum, rows, n);
    for (size_t i = 0; i < n; i++) {
        along[i] = 0;
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < n; i++) {
            along[i] += d[r * n + i] * x[r * n + i];
        }
    }
    for (size_t r = 0; r < rows; r++) {
        eoc_real *restrict to = d + r * n;
        for (size_t i = 0; i < n; i++) {
            to[i] = gamma[i] * inverse[i] * (to[i] - share * sum[i] - x[r * n + i] * share * along[i]);
        }
    }
}

static void norm_as_given(const eoc_net_norm *norm, const eoc_real *u, eoc_real *y, size_t rows, size_t n)
{
    const eoc_real *restrict gamma = norm->gamma, *restrict beta = norm->beta, *restrict mean = norm->mean;
    eoc_real *restrict inverse = norm->inverse;
    for (size_t i = 0; i < n; i++) {
        inverse[i] = inverse_root(norm->variance[i] + (eoc_real)norm->epsilon);
    }
    for (size_t r = 0; r < rows; r++, u += n, y += n) {
        for (size_t i = 0; i < n; i++) {
            y[i] = gamma[i] * ((u[i] - mean[i]) * inverse[i]) + beta[i];
        }
    }
}

/* Sums along a row, in as many parts as a vector of the widest registers has. */
enum { PARTIAL = 16 };

static eoc_real row_sum(const eoc_real *restrict a, size_t n)
{
    eoc_real partial[PARTIAL] = {0}, sum = 0;
    size_t i = 0;
    for (; i + PARTIAL <= n; i += PARTIAL) {
        for (size_t k = 0; k < PARTIAL; k++) {
            partial[k] += a[i + k];
        }
    }
    for (size_t k = 0; k < PARTIAL; k++) {
        sum += partial[k];
    }
    for (; i < n; i++) {
        sum += a[i];
    }
    return sum;
}

static eoc_real row_dot(const eoc_real *a, const eoc_real *b, size_t n)
{
    eoc_real partial[PARTIAL] = {0}, sum = 0;
    size_t i = 0;
    for (; i + PARTIAL <= n; i += PARTIAL) {
        for (size_t k = 0; k < PARTIAL; k++) {
            partial[k] += a[i + k] * b[i + k];
        }
    }
    for (size_t k = 0; k < PARTIAL; k++) {
        sum += partial[k];
    }
    for (; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void layer_forward(const eoc_net_norm *norm, const eoc_real *u, eoc_real *y, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
        eoc_real *restrict x = norm->x + r * n;
        const eoc_real mean = row_sum(u + r * n, n) / (eoc_real)n;
        for (size_t i = 0; i < n; i++) {
            x[i] = u[r * n + i] - mean;
        }
        const eoc_real inverse = inverse_root(row_dot(x, x, n) / (eoc_real)n + (eoc_real)norm->epsilon);
        for (size_t i = 0; i < n; i++) {
            x[i] *= inverse;
        }
        norm->inverse[r] = inverse;
    }
    scale_rows(norm, y, rows, n);
}

static void layer_backward(const eoc_net_norm *norm, eoc_real *d, eoc_real *restrict sums, size_t rows, size_t n)
{
    const eoc_real *restrict gamma = norm->gamma;
    eoc_real *restrict along = sums, *restrict sum = sums + n;
    sum_columns(d, sum, rows, n);
    for (size_t i = 0; i < n; i++) {
        along[i] = 0;
    }
    for (size_t r = 0; r < rows; r++) {
        eoc_real *restrict v = d + r * n;
        const eoc_real *restrict x = norm->x + r * n;
        for (size_t i = 0; i < n; i++) {
            along[i] += v[i] * x[i];
            v[i] *= gamma[i];
        }
        const eoc_real mean = row_sum(v, n) / (eoc_real)n, mean_along = row_dot(x, v, n) / (eoc_real)n;
        for (size_t i = 0; i < n; i++) {
            v[i] = norm->inverse[r] * (v[i] - mean - x[i] * mean_along);
        }
    }
}

static const eoc_net_norm_loops norms[] = {{NULL, NULL},
                                           {.forward = batch_forward, .backward = batch_backward},
                                           {.forward = layer_forward, .backward = layer_backward}};

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
    .multiply = multiply,
    .contract = contract,
    .scale = scale_by,
    .combine = combine,
    .drop = drop,
    .gather = gather,
    .norm_as_given = norm_as_given,
    .norms = norms,
    .optimizers = optimizers,
    .num_optimizers = sizeof optimizers / sizeof optimizers[0],
};
