/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random orthogonal kernels (Xiao et al. 2018, algorithm 1; Kautsky & Turcajova 1994): W = A_m ... A_1 H with a Haar
 * matrix H at every position and two-tap kernels A_i = P_i + (1 - P_i) T, T the shift by one position along a
 * dimension and P_i a uniformly distributed projection on half of the channels. P_i commutes with T, so that A_i is
 * orthogonal on a circle or torus: (P + (1 - P) T)^t (P + (1 - P) T) = P + (1 - P) T^t T.
 */
#include "layer_parts.h"

#include "eoc/linalg.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Values of a column that the scratch memory holds, in units of the width: shifted, turned, and a copy of y. */
enum { BUFFERS = 3 };

static int count_of(const eoc_geometry *g)
{
    return g->dimensions * (g->kernel - 1);
}

int eoc_network_projections(const eoc_network *network)
{
    const eoc_geometry g = eoc_network_geometry(network);
    return network->initializer.kind->projections ? count_of(&g) : 0;
}

int eoc_projection_buffers(void)
{
    return BUFFERS;
}

/* The rotation O of P = O^t D O, D the first half of the coordinates; its streams are those of further matrices. */
static eoc_matrix rotation(const eoc_matrix *h, int which)
{
    eoc_matrix o = *h;
    o.weight_variance = 1.0;
    o.tensor += 2 * (uint32_t)(which + 1); /* a layer has two matrices at most */
    o.fan_in = h->fan_out;
    return o;
}

/* The tap that is one position away along the dimension of factor `which`: half of them back, half of them forth. */
static int step_of(const eoc_geometry *g, int which, bool transposed)
{
    const int dimension = which / (g->kernel - 1), centre = eoc_geometry_centre(g);
    const int stride = g->dimensions == 2 && dimension == 0 ? g->kernel : 1;
    return (which % 2 == 1) != transposed ? centre + stride : centre - stride;
}

/* y = A y, or A^t y: (A y)(p) = y(p + step) + P (y(p) - y(p + step)) */
static void apply_factor(const eoc_geometry *g, const eoc_layer_tools *tools, const eoc_matrix *h, int which,
                         bool transposed, double *y, int columns)
{
    const eoc_matrix o = rotation(h, which);
    const size_t n = (size_t)h->fan_out, size = n * (size_t)columns;
    double *const shifted = tools->patches, *const turned = shifted + size;
    eoc_space_gather_tap(g, step_of(g, which, transposed), y, shifted, h->fan_out, columns);
    eoc_linalg_axpy(-1.0, shifted, y, size);
    tools->sampler->apply(tools->weights, &o, y, turned, columns, NULL);
    for (size_t c = 0; c < (size_t)columns; c++) {
        memset(turned + c * n + n / 2, 0, sizeof(double) * (n - n / 2));
    }
    tools->sampler->apply_transposed(tools->weights, &o, turned, y, columns, NULL);
    eoc_linalg_axpy(1.0, shifted, y, size);
}

static void apply_factors(const eoc_geometry *g, const eoc_layer_tools *tools, const eoc_matrix *h, double *y,
                          int columns)
{
    for (int i = 0; i < count_of(g); i++) {
        apply_factor(g, tools, h, i, false, y, columns);
    }
}

void eoc_projections_apply(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *h, double *y,
                           int columns)
{
    const eoc_geometry g = eoc_network_geometry(network);
    const int step = eoc_space_step(network, tools, h, columns);
    assert(BUFFERS * (size_t)step * (size_t)h->fan_out <= tools->patch_doubles);
    for (int c = 0; c < columns; c += step) {
        apply_factors(&g, tools, h, y + (size_t)c * (size_t)h->fan_out, columns - c < step ? columns - c : step);
    }
}

void eoc_projections_apply_transposed(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *h,
                                      const double *y, double *x, int columns, const void *kept)
{
    const eoc_geometry g = eoc_network_geometry(network);
    const int step = eoc_space_step(network, tools, h, columns);
    const size_t n = (size_t)h->fan_out;
    assert(BUFFERS * (size_t)step * n <= tools->patch_doubles);
    for (int c = 0; c < columns; c += step) {
        const int count = columns - c < step ? columns - c : step;
        double *const copy = tools->patches + 2 * n * (size_t)count;
        memcpy(copy, y + (size_t)c * n, sizeof(double) * n * (size_t)count);
        for (int i = count_of(&g) - 1; i >= 0; i--) {
            apply_factor(&g, tools, h, i, true, copy, count);
        }
        tools->sampler->apply_transposed(tools->weights, h, copy, x + (size_t)c * (size_t)h->fan_in, count, kept);
    }
}

/*
 * What becomes of a unit at the centre of a torus that the kernel just covers: W_t of its channel, at the position that
 * sees it through tap t.
 */
eoc_status eoc_projections_draw(const eoc_geometry *geometry, eoc_weights *weights, const eoc_matrix *h, double *out)
{
    eoc_geometry g = *geometry;
    g.side = g.kernel;
    const int taps = eoc_geometry_taps(&g);
    const size_t rows = (size_t)h->fan_out, channels = (size_t)h->fan_in, num_taps = (size_t)taps;
    const size_t size = rows * num_taps * channels;
    double *const y = calloc((1 + BUFFERS) * size, sizeof *y);
    EOC_REQUIRE(y, EOC_ERR_NOMEM, "out of memory for a kernel of %d x %d x %d weights", h->fan_out, taps, h->fan_in);
    const eoc_layer_tools tools = {.sampler = eoc_sampler_find("explicit"),
                                   .weights = weights,
                                   .patches = y + size,
                                   .patch_doubles = BUFFERS * size};
    const eoc_status status = eoc_weights_draw(weights, h, out);
    if (status == EOC_OK) {
        for (size_t j = 0; j < channels; j++) {
            for (size_t i = 0; i < rows; i++) {
                y[(j * num_taps + num_taps / 2) * rows + i] = out[i * channels + j];
            }
        }
        apply_factors(&g, &tools, h, y, taps * h->fan_in);
        for (size_t i = 0; i < rows; i++) {
            for (size_t t = 0; t < num_taps; t++) {
                for (size_t j = 0; j < channels; j++) {
                    out[(i * num_taps + t) * channels + j] = y[(j * num_taps + num_taps - 1 - t) * rows + i];
                }
            }
        }
    }
    free(y);
    return status;
}
