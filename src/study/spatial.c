/* SPDX-License-Identifier: BSD-3-Clause */
/* The statistic spatial: what the pre-activations of a convolution are over its positions. */
#include "probe_statistics.h"

#include "eoc/linalg.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* So many channels are transformed at a time. */
enum { CHANNELS = 16 };

/* Real and imaginary part of some channels at every position, twice: a transform is from one to the other. */
typedef struct {
    double *re[2], *im[2]; /* (positions, CHANNELS) */
    double *cosine, *sine; /* (side) of 2 pi j/side */
} transform;

size_t eoc_spatial_doubles(int positions)
{
    return (4 * CHANNELS + 2) * (size_t)positions;
}

static transform transform_at(const eoc_geometry *g, double *scratch)
{
    const size_t n = CHANNELS * (size_t)eoc_geometry_positions(g);
    transform t = {{scratch, scratch + n}, {scratch + 2 * n, scratch + 3 * n}, scratch + 4 * n, NULL};
    t.sine = t.cosine + g->side;
    for (int j = 0; j < g->side; j++) {
        t.cosine[j] = cos(2.0 * PI * j / g->side);
        t.sine[j] = sin(2.0 * PI * j / g->side);
    }
    return t;
}

/* Of index `p`: how far apart positions are that differ by one along the dimension. */
static int stride_of(const eoc_geometry *g, int dimension)
{
    return g->dimensions == 2 && dimension == 0 ? g->side : 1;
}

static int digit_of(const eoc_geometry *g, int p, int dimension)
{
    return p / stride_of(g, dimension) % g->side;
}

/* Transforms along one dimension, from `from` to the other place. */
static void transform_along(const eoc_geometry *g, const transform *t, int dimension, int from)
{
    const int positions = eoc_geometry_positions(g), stride = stride_of(g, dimension);
    for (int p = 0; p < positions; p++) {
        const int k = digit_of(g, p, dimension), first = p - k * stride;
        double *const re = t->re[!from] + (size_t)p * CHANNELS, *const im = t->im[!from] + (size_t)p * CHANNELS;
        memset(re, 0, sizeof(double) * CHANNELS);
        memset(im, 0, sizeof(double) * CHANNELS);
        for (int j = 0; j < g->side; j++) {
            const double c = t->cosine[j * k % g->side], s = t->sine[j * k % g->side];
            const size_t at = (size_t)(first + j * stride) * CHANNELS;
            for (int i = 0; i < CHANNELS; i++) {
                re[i] += c * t->re[from][at + (size_t)i] + s * t->im[from][at + (size_t)i];
                im[i] += c * t->im[from][at + (size_t)i] - s * t->re[from][at + (size_t)i];
            }
        }
    }
}

/* power += that of `count` channels of one input, whose values at position 0 are at z */
static void add_power(const eoc_geometry *g, const transform *t, const double *z, int width, int count, double *power)
{
    const int positions = eoc_geometry_positions(g);
    memset(t->re[0], 0, sizeof(double) * CHANNELS * (size_t)positions);
    memset(t->im[0], 0, sizeof(double) * CHANNELS * (size_t)positions);
    for (int p = 0; p < positions; p++) {
        memcpy(t->re[0] + (size_t)p * CHANNELS, z + (size_t)p * (size_t)width, sizeof(double) * (size_t)count);
    }
    for (int d = 0; d < g->dimensions; d++) {
        transform_along(g, t, d, d % 2);
    }
    const double *const re = t->re[g->dimensions % 2], *const im = t->im[g->dimensions % 2];
    for (size_t k = 0; k < (size_t)positions; k++) {
        power[k] += eoc_linalg_dot(re + k * CHANNELS, re + k * CHANNELS, CHANNELS) +
                    eoc_linalg_dot(im + k * CHANNELS, im + k * CHANNELS, CHANNELS);
    }
}

/* Values to their shares of a sum `total`; none of nothing. */
static void divide(double *values, int n, double total)
{
    for (int i = 0; i < n; i++) {
        values[i] = total > 0.0 ? values[i] / total : NAN;
    }
}

static double sum_of(const double *values, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += values[i];
    }
    return sum;
}

static void fill_power(const eoc_geometry *g, const eoc_batch *z, const transform *t, double *power)
{
    const int positions = eoc_geometry_positions(g);
    memset(power, 0, sizeof(double) * (size_t)positions);
    for (int first = 0; first < z->columns; first += positions) {
        for (int i = 0; i < z->width; i += CHANNELS) {
            const int count = z->width - i < CHANNELS ? z->width - i : CHANNELS;
            add_power(g, t, z->values + (size_t)first * (size_t)z->width + i, z->width, count, power);
        }
    }
    divide(power, positions, sum_of(power, positions));
}

/* On a circle or torus: the transform of the power, which is even. */
static void fill_circular_correlation(const eoc_geometry *g, const transform *t, const double *power,
                                      double *correlation)
{
    const size_t positions = (size_t)eoc_geometry_positions(g);
    memset(t->re[0], 0, sizeof(double) * CHANNELS * positions);
    memset(t->im[0], 0, sizeof(double) * CHANNELS * positions);
    for (size_t k = 0; k < positions; k++) {
        t->re[0][k * CHANNELS] = power[k];
    }
    for (int d = 0; d < g->dimensions; d++) {
        transform_along(g, t, d, d % 2);
    }
    for (size_t d = 0; d < positions; d++) {
        correlation[d] = t->re[g->dimensions % 2][d * CHANNELS];
    }
}

/* p + d; -1: beyond the edge */
static int displaced(const eoc_geometry *g, int p, int d)
{
    for (int dimension = 0; dimension < g->dimensions; dimension++) {
        if (digit_of(g, p, dimension) + digit_of(g, d, dimension) >= g->side) {
            return -1;
        }
    }
    return p + d;
}

static void fill_correlation_inside(const eoc_geometry *g, const eoc_batch *z, double *correlation)
{
    const int positions = eoc_geometry_positions(g);
    const size_t n = (size_t)z->width;
    for (int d = 0; d < positions; d++) {
        double sum = 0.0, pairs = 0.0;
        for (int p = 0; p < positions; p++) {
            const int q = displaced(g, p, d);
            for (int first = 0; q >= 0 && first < z->columns; first += positions) {
                sum += eoc_linalg_dot(z->values + (size_t)(first + p) * n, z->values + (size_t)(first + q) * n, n);
                pairs += 1.0;
            }
        }
        correlation[d] = sum / pairs;
    }
    divide(correlation, positions, correlation[0]);
}

static void fill_positions(int positions, const eoc_batch *z, const eoc_spatial_rows *rows)
{
    const size_t n = (size_t)z->width;
    for (int p = 0; p < positions; p++) {
        rows->position_q[p] = 0.0;
        for (int first = 0; first < z->columns; first += positions) {
            const double *const here = z->values + (size_t)(first + p) * n;
            rows->position_q[p] += eoc_linalg_dot(here, here, n);
        }
        rows->position_c[p] = NAN;
        if (z->columns >= 2 * positions) {
            double one_minus_c = NAN;
            eoc_vectors_cosine(z->values + (size_t)p * n, z->values + (size_t)(positions + p) * n, n,
                               &rows->position_c[p], &one_minus_c);
        }
    }
    divide(rows->position_q, positions, sum_of(rows->position_q, positions) / positions);
}

void eoc_spatial_fill(const eoc_geometry *geometry, const eoc_batch *z, double *scratch, const eoc_spatial_rows *rows)
{
    const transform t = transform_at(geometry, scratch);
    fill_positions(eoc_geometry_positions(geometry), z, rows);
    fill_power(geometry, z, &t, rows->power);
    if (geometry->circular) {
        fill_circular_correlation(geometry, &t, rows->power, rows->correlation);
    } else {
        fill_correlation_inside(geometry, z, rows->correlation);
    }
}
