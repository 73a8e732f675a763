/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gradients of weights, of which only the mean square entry is wanted: sum_a dz_a x_a^t is never written down where the
 * inner products of the vectors are less. Those of a convolution's patches are sums over taps of those of positions.
 */
#include "layer_parts.h"

#include "eoc/linalg.h"

#include <math.h>
#include <string.h>

static const double LOG_2 = 0.69314718055994530942;

/* Of a convolution with more vectors than values in each, the vectors themselves are kept. */
static bool keeps_gram(int positions, int columns, int features)
{
    return positions == 1 || columns <= features;
}

static double at_least_one(int count)
{
    return count > 1 ? count : 1;
}

double eoc_layer_noted_doubles(const eoc_layer_needs *needs, int inputs, int width)
{
    const double columns = inputs * at_least_one(needs->positions), features = width * at_least_one(needs->features);
    /* Of networks with space and without, whichever needs more. */
    return fmax((double)inputs * inputs, columns * fmin(columns, features));
}

double eoc_layer_gram_doubles(const eoc_layer_needs *needs, int inputs, int width)
{
    const double columns = inputs * at_least_one(needs->positions), features = width * at_least_one(needs->features);
    const double least = fmin(columns, features);
    return fmax((double)inputs * inputs, least * least);
}

void eoc_layer_note_inputs(const eoc_network *network, const eoc_batch *x, eoc_layer *layer)
{
    const int positions = eoc_network_positions(network);
    layer->noted_exponent = x->exponent;
    layer->noted_width = x->width;
    if (keeps_gram(positions, x->columns, x->width)) {
        eoc_linalg_gram(x->values, x->columns, x->width, layer->noted);
    } else {
        memcpy(layer->noted, x->values, sizeof(double) * eoc_batch_size(x));
    }
}

/* A sum of squares, which may be far beyond the range of a double: value scale^2 other_scale^2. */
typedef struct {
    double value, scale2, other_scale2; /* value 0: nothing is not zero */
} square_sum;

/* (x_i.x_j) of the patches at i and j, where the greatest |x|^2 is max */
static double patches_product(const eoc_geometry *g, const double *gram, int columns, int i, int j, double max)
{
    const int taps = eoc_geometry_taps(g), positions = eoc_geometry_positions(g);
    const int from_i = i - i % positions, from_j = j - j % positions;
    double sum = 0.0;
    for (int t = 0; t < taps; t++) {
        const int p = eoc_geometry_neighbour(g, i % positions, t), q = eoc_geometry_neighbour(g, j % positions, t);
        if (p >= 0 && q >= 0) {
            sum += gram[(size_t)(from_i + p) * (size_t)columns + (size_t)(from_j + q)] / max;
        }
    }
    return sum;
}

/* sum_ij (dz_i.dz_j) (x_i.x_j), by the Gram matrices */
static square_sum sum_by_grams(const eoc_geometry *g, int columns, const double *dz, const double *x)
{
    const size_t side = (size_t)columns, n = side * side;
    const bool alone = eoc_geometry_taps(g) == 1;
    /* The two Gram matrices may each be near the ends of the range: bring them near 1 before they meet. */
    square_sum s = {0.0, 0.0, 0.0};
    for (size_t i = 0; i < n; i += side + 1) {
        s.scale2 = dz[i] > s.scale2 ? dz[i] : s.scale2;
        s.other_scale2 = x[i] > s.other_scale2 ? x[i] : s.other_scale2;
    }
    if (s.scale2 == 0.0 || s.other_scale2 == 0.0) {
        return s;
    }
    for (size_t i = 0; i < n; i++) {
        const double inner = alone ? x[i] / s.other_scale2
                                   : patches_product(g, x, columns, (int)(i / side), (int)(i % side), s.other_scale2);
        s.value += (dz[i] / s.scale2) * inner;
    }
    return s;
}

/* The same by the entries, tap by tap. */
static square_sum sum_by_entries(const eoc_geometry *g, const eoc_layer_tools *tools, const eoc_batch *dz,
                                 const eoc_batch *x)
{
    const double max_dz = eoc_batch_max(dz), max_x = eoc_batch_max(x);
    square_sum s = {0.0, max_dz * max_dz, max_x * max_x};
    if (max_dz == 0.0 || max_x == 0.0) {
        return s;
    }
    const size_t entries = (size_t)dz->width * (size_t)x->width;
    for (int t = 0; t < eoc_geometry_taps(g); t++) {
        eoc_space_gather_tap(g, t, x->values, tools->patches, x->width, x->columns);
        eoc_linalg_gemm_double(true, false, dz->width, x->width, x->columns, 1.0 / max_dz / max_x, dz->values,
                               tools->patches, 0.0, tools->gram);
        s.value += eoc_linalg_dot(tools->gram, tools->gram, entries);
    }
    return s;
}

double eoc_layer_log_weight_gradient_q(const eoc_network *network, const eoc_layer_tools *tools, const eoc_layer *layer,
                                       const eoc_batch *dz)
{
    const eoc_geometry g = eoc_network_geometry(network);
    square_sum s;
    if (keeps_gram(eoc_geometry_positions(&g), dz->columns, layer->noted_width)) {
        eoc_linalg_gram(dz->values, dz->columns, dz->width, tools->gram);
        s = sum_by_grams(&g, dz->columns, tools->gram, layer->noted);
    } else {
        const eoc_batch x = {.columns = dz->columns, .width = layer->noted_width, .values = layer->noted};
        s = sum_by_entries(&g, tools, dz, &x);
    }
    if (s.scale2 == 0.0 || s.other_scale2 == 0.0) {
        return -INFINITY;
    }
    const double fan_in = (double)eoc_geometry_taps(&g) * layer->noted_width;
    return log(s.value / ((double)dz->width * fan_in)) + log(s.scale2) + log(s.other_scale2) +
           LOG_2 * (double)(2 * dz->exponent + 2 * layer->noted_exponent);
}
