/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Batch normalization (Ioffe & Szegedy 2015) of every unit over the inputs, and layer normalization (Ba et al. 2016) of
 * every input over the units.
 *
 * With x = (u - mean)/s, s^2 = variance + epsilon, y = gamma x + beta, the derivative is symmetric:
 * dy = (gamma/s) (du - mean(du) - x mean(x du)), means over the batch or over the units.
 */
#include "layer_parts.h"

#include <math.h>
#include <string.h>

/* Where u^2 is below epsilon by more than this many binary digits, the variance is nothing beside epsilon. */
enum { NEGLIGIBLE = 120 };

/* The state: how many binary digits the derivative shifts an exponent down, 1/s, two vectors of scratch, x. */
typedef struct {
    double *shift;
    double *inverse;  /* (width) or (inputs) */
    double *means[2]; /* likewise */
    double *x;        /* (inputs, width) */
} norm_state;

static norm_state state_at(double *memory, int inputs, int width)
{
    const size_t most = (size_t)(inputs > width ? inputs : width);
    return (norm_state){memory, memory + 1, {memory + 1 + most, memory + 1 + 2 * most}, memory + 1 + 3 * most};
}

size_t eoc_norm_doubles(int inputs, int width)
{
    return 1 + 3 * (size_t)(inputs > width ? inputs : width) + (size_t)inputs * (size_t)width;
}

static double inverse_root(double square)
{
    return square > 0.0 ? 1.0 / sqrt(square) : square == 0.0 ? 0.0 : NAN;
}

/* x = u - mean over the batch; inverse = variance + epsilon, then its inverse root, unit by unit */
static void batch_forward(const eoc_batch *u, double epsilon, norm_state s)
{
    const int inputs = u->columns;
    const size_t n = (size_t)u->width;
    memset(s.means[0], 0, sizeof(double) * n);
    memset(s.inverse, 0, sizeof(double) * n);
    for (int c = 0; c < inputs; c++) {
        for (size_t i = 0; i < n; i++) {
            s.means[0][i] += u->values[(size_t)c * n + i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        s.means[0][i] /= inputs;
    }
    for (int c = 0; c < inputs; c++) {
        double *const x = s.x + (size_t)c * n;
        for (size_t i = 0; i < n; i++) {
            x[i] = u->values[(size_t)c * n + i] - s.means[0][i];
            s.inverse[i] += x[i] * x[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        s.inverse[i] = inverse_root(s.inverse[i] / inputs + epsilon);
    }
    for (int c = 0; c < inputs; c++) {
        for (size_t i = 0; i < n; i++) {
            s.x[(size_t)c * n + i] *= s.inverse[i];
        }
    }
}

static void layer_forward(const eoc_batch *u, double epsilon, norm_state s)
{
    const size_t n = (size_t)u->width;
    for (int c = 0; c < u->columns; c++) {
        double *const x = s.x + (size_t)c * n;
        const double *const from = u->values + (size_t)c * n;
        double mean = 0.0, square = 0.0;
        for (size_t i = 0; i < n; i++) {
            mean += from[i];
        }
        mean /= (double)n;
        for (size_t i = 0; i < n; i++) {
            x[i] = from[i] - mean;
            square += x[i] * x[i];
        }
        s.inverse[c] = inverse_root(square / (double)n + epsilon);
        for (size_t i = 0; i < n; i++) {
            x[i] *= s.inverse[c];
        }
    }
}

void eoc_norm_forward(const eoc_norm *norm, eoc_batch *u, double *memory)
{
    const norm_state s = state_at(memory, u->columns, u->width);
    const size_t n = eoc_batch_size(u);
    const double max = eoc_batch_max(u);
    const bool negligible = norm->epsilon > 0.0 && max > 0.0 && isfinite(max) &&
                            2 * ((int64_t)ilogb(max) + u->exponent) < (int64_t)ilogb(norm->epsilon) - NEGLIGIBLE;
    /* A signal so small that it is only scaled keeps its exponent; of any other the exponent goes into 1/s. */
    const double epsilon =
        norm->epsilon == 0.0 || negligible ? 0.0 : norm->epsilon * eoc_power_of_two(-2 * u->exponent);
    (norm->rule == EOC_NORM_BATCH ? batch_forward : layer_forward)(u, epsilon, s);
    if (negligible) {
        const int count = norm->rule == EOC_NORM_BATCH ? u->width : u->columns;
        const size_t width = (size_t)u->width;
        const double constant = 1.0 / sqrt(norm->epsilon);
        for (size_t i = 0; i < n; i++) {
            const double root = s.inverse[norm->rule == EOC_NORM_BATCH ? i % width : i / width];
            u->values[i] = root > 0.0 ? s.x[i] / root * constant * norm->gamma : 0.0;
        }
        for (int i = 0; i < count; i++) {
            s.inverse[i] = constant;
        }
        memset(s.x, 0, sizeof(double) * n); /* its square is nothing beside 1 */
        *s.shift = 0.0;
        if (norm->beta != 0.0) {
            const double scale = eoc_power_of_two(u->exponent);
            for (size_t i = 0; i < n; i++) {
                u->values[i] = u->values[i] * scale + norm->beta;
            }
            u->exponent = 0;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        u->values[i] = norm->gamma * s.x[i] + norm->beta;
    }
    *s.shift = (double)u->exponent;
    u->exponent = 0;
}

/* One batch of vectors. */
static void batch_derivative(int inputs, size_t n, norm_state s, double gamma, double *t)
{
    double *const mean = s.means[0], *const along = s.means[1];
    memset(mean, 0, sizeof(double) * n);
    memset(along, 0, sizeof(double) * n);
    for (int c = 0; c < inputs; c++) {
        const double *const x = s.x + (size_t)c * n, *const from = t + (size_t)c * n;
        for (size_t i = 0; i < n; i++) {
            mean[i] += from[i];
            along[i] += x[i] * from[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        mean[i] /= inputs;
        along[i] /= inputs;
    }
    for (int c = 0; c < inputs; c++) {
        const double *const x = s.x + (size_t)c * n;
        double *const to = t + (size_t)c * n;
        for (size_t i = 0; i < n; i++) {
            to[i] = gamma * s.inverse[i] * (to[i] - mean[i] - x[i] * along[i]);
        }
    }
}

static void layer_derivative(size_t n, const double *x, double factor, double *t)
{
    double mean = 0.0, along = 0.0;
    for (size_t i = 0; i < n; i++) {
        mean += t[i];
        along += x[i] * t[i];
    }
    mean /= (double)n;
    along /= (double)n;
    for (size_t i = 0; i < n; i++) {
        t[i] = factor * (t[i] - mean - x[i] * along);
    }
}

void eoc_norm_derivative(const eoc_norm *norm, int inputs, int riders, double *memory, eoc_batch *t)
{
    const norm_state s = state_at(memory, inputs, t->width);
    const size_t n = (size_t)t->width;
    if (norm->rule == EOC_NORM_BATCH) {
        for (int c = 0; c < t->columns; c += inputs) {
            batch_derivative(inputs, n, s, norm->gamma, t->values + (size_t)c * n);
        }
    } else {
        for (int c = 0; c < t->columns; c++) {
            const int a = c % riders;
            layer_derivative(n, s.x + (size_t)a * n, norm->gamma * s.inverse[a], t->values + (size_t)c * n);
        }
    }
    t->exponent -= (int64_t)*s.shift;
    eoc_batch_normalize(t);
}

void eoc_norm_derivative_held(const eoc_norm *norm, int inputs, double *memory, eoc_batch *t)
{
    const norm_state s = state_at(memory, inputs, t->width);
    const size_t n = (size_t)t->width;
    for (int c = 0; c < t->columns; c++) {
        double *const to = t->values + (size_t)c * n;
        for (size_t i = 0; i < n; i++) {
            to[i] *= norm->gamma * s.inverse[i];
        }
    }
    t->exponent -= (int64_t)*s.shift;
    eoc_batch_normalize(t);
}
