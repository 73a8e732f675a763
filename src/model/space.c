/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Products over space. What a convolution's kernel meets at position p are the vectors at p + t, tap after tap: a
 * patch. The matrix (fan_out, taps * channels) of a sampler acts on the patches of all positions, which its taps'
 * shares of the variance have scaled before.
 */
#include "layer_parts.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Factors of the taps: those that make the entries of one law to a kernel whose variance is not alike. */
static void factors_of_taps(const eoc_network *network, int taps, double *factors)
{
    const bool alike = network->initializer.kind->tap_variance == NULL;
    if (!alike) {
        eoc_network_tap_shares(network, factors);
    }
    for (int t = 0; t < taps; t++) {
        factors[t] = alike ? 1.0 : sqrt(factors[t] * taps);
    }
}

/* to (n) = factor from, or nothing beyond the edge */
static void copy_scaled(double factor, const double *from, double *to, size_t n)
{
    if (!from) {
        memset(to, 0, sizeof(double) * n);
    } else if (factor == 1.0) {
        memcpy(to, from, sizeof(double) * n);
    } else {
        for (size_t i = 0; i < n; i++) {
            to[i] = factor * from[i];
        }
    }
}

/* patches (columns, taps, n) of x (columns, n) */
static void gather(const eoc_geometry *g, const double *factors, const double *x, double *patches, size_t n,
                   int columns)
{
    const int positions = eoc_geometry_positions(g), taps = eoc_geometry_taps(g);
    for (int p = 0; p < positions; p++) {
        for (int t = 0; t < taps; t++) {
            const int q = eoc_geometry_neighbour(g, p, t);
            for (int first = 0; first < columns; first += positions) {
                double *const to = patches + ((size_t)(first + p) * (size_t)taps + (size_t)t) * n;
                copy_scaled(factors[t], q < 0 ? NULL : x + (size_t)(first + q) * n, to, n);
            }
        }
    }
}

/* Its transpose: x (columns, n) is overwritten. */
static void scatter(const eoc_geometry *g, const double *factors, const double *patches, double *x, size_t n,
                    int columns)
{
    const int positions = eoc_geometry_positions(g), taps = eoc_geometry_taps(g);
    memset(x, 0, sizeof(double) * (size_t)columns * n);
    for (int p = 0; p < positions; p++) {
        for (int t = 0; t < taps; t++) {
            const int q = eoc_geometry_neighbour(g, p, t);
            for (int first = 0; first < columns && q >= 0; first += positions) {
                const double *const from = patches + ((size_t)(first + p) * (size_t)taps + (size_t)t) * n;
                double *const to = x + (size_t)(first + q) * n;
                for (size_t i = 0; i < n; i++) {
                    to[i] += factors[t] * from[i];
                }
            }
        }
    }
}

int eoc_layer_columns_at_a_time(int positions)
{
    enum { LEAST = 512 }; /* beside which drawing the matrix again is little */
    return (LEAST + positions - 1) / positions * positions;
}

int eoc_space_step(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix, int columns)
{
    const bool again = tools->sampler->kept_bytes(matrix, columns) == 0;
    const int most = eoc_layer_columns_at_a_time(eoc_network_positions(network));
    return again && columns > most ? most : columns;
}

void eoc_space_apply(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix,
                     const double *x, double *y, int columns, void *kept)
{
    double factors[EOC_MAX_TAPS];
    const eoc_geometry g = eoc_network_geometry(network);
    const size_t channels = (size_t)(matrix->fan_in / matrix->taps);
    const int step = eoc_space_step(network, tools, matrix, columns);
    assert((size_t)step * (size_t)matrix->fan_in <= tools->patch_doubles);
    factors_of_taps(network, matrix->taps, factors);
    for (int c = 0; c < columns; c += step) {
        const int count = columns - c < step ? columns - c : step;
        gather(&g, factors, x + (size_t)c * channels, tools->patches, channels, count);
        tools->sampler->apply(tools->weights, matrix, tools->patches, y + (size_t)c * (size_t)matrix->fan_out, count,
                              kept);
    }
}

void eoc_space_apply_transposed(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix,
                                const double *y, double *x, int columns, const void *kept)
{
    double factors[EOC_MAX_TAPS];
    const eoc_geometry g = eoc_network_geometry(network);
    const size_t channels = (size_t)(matrix->fan_in / matrix->taps);
    const int step = eoc_space_step(network, tools, matrix, columns);
    assert((size_t)step * (size_t)matrix->fan_in <= tools->patch_doubles);
    factors_of_taps(network, matrix->taps, factors);
    for (int c = 0; c < columns; c += step) {
        const int count = columns - c < step ? columns - c : step;
        tools->sampler->apply_transposed(tools->weights, matrix, y + (size_t)c * (size_t)matrix->fan_out,
                                         tools->patches, count, kept);
        scatter(&g, factors, tools->patches, x + (size_t)c * channels, channels, count);
    }
}

void eoc_space_gather_tap(const eoc_geometry *g, int tap, const double *x, double *y, int width, int columns)
{
    const int positions = eoc_geometry_positions(g);
    const size_t n = (size_t)width;
    for (int p = 0; p < positions; p++) {
        const int q = eoc_geometry_neighbour(g, p, tap);
        for (int first = 0; first < columns; first += positions) {
            copy_scaled(1.0, q < 0 ? NULL : x + (size_t)(first + q) * n, y + (size_t)(first + p) * n, n);
        }
    }
}

double eoc_layer_patch_doubles(const eoc_layer_needs *needs, double columns, int width)
{
    const double features = (double)width * (needs->features > 1 ? needs->features : 1);
    return needs->positions > 1 ? columns * features * (needs->patch > 1 ? needs->patch : 1) : 0.0;
}
