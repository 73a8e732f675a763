/* SPDX-License-Identifier: BSD-3-Clause */
/* Images of a data set as a probe's inputs. */
#include "eoc/inputs.h"

#include "eoc/linalg.h"
#include "eoc/orthonormal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- whether they serve -- */

/* The architecture of a row of the grid's axis, as a network of no size. */
static eoc_status architecture_at(const eoc_grid *grid, int row, eoc_network *network, int *positions)
{
    *network = (eoc_network){.depth = 1, .width = 1};
    EOC_TRY(eoc_architecture_find(grid->axes[EOC_AXIS_ARCHITECTURE].names[row], &network->architecture));
    *positions = eoc_network_positions(network);
    return EOC_OK;
}

/* The least width that a value of the axis `width` stands for, with the activations of the grid. */
static eoc_status least_width(const eoc_grid *grid, const eoc_architecture *architecture, int width, int *least)
{
    const eoc_axis *activations = &grid->axes[EOC_AXIS_ACTIVATION];
    *least = width;
    for (int k = 0; k < activations->count; k++) {
        eoc_activation activation;
        EOC_TRY(eoc_activation_find(activations->names[k], &activation));
        const int stands_for = eoc_network_width(architecture, &activation, width);
        *least = stands_for < *least ? stands_for : *least;
    }
    return EOC_OK;
}

/* Widths of networks whose inputs are vectors: room for the images, or for their span. */
static eoc_status check_vectors(const eoc_inputs *inputs, const eoc_grid *grid, const eoc_architecture *architecture,
                                const eoc_data *sizes)
{
    const char *name = inputs->dataset.text;
    const eoc_axis *widths = &grid->axes[EOC_AXIS_WIDTH];
    const int needed = inputs->points < sizes->features ? inputs->points : sizes->features;
    for (int i = 0; i < widths->count; i++) {
        const int width = (int)widths->values[i];
        int least = 0;
        EOC_TRY(least_width(grid, architecture, width, &least));
        EOC_REQUIRE(width >= needed, EOC_ERR_USAGE,
                    "grid.width: %d is too narrow for %d samples of %d features of %s; accepted: widths of at least "
                    "%d, or fewer probe.inputs.points",
                    width, inputs->points, sizes->features, name, needed);
        EOC_REQUIRE(least >= needed, EOC_ERR_USAGE,
                    "grid.width: %d stands for %d units of a network of this grid, too narrow for %d samples of %d "
                    "features of %s; accepted: widths that stand for at least %d, or fewer probe.inputs.points",
                    width, least, inputs->points, sizes->features, name, needed);
    }
    return EOC_OK;
}

/* Whether images can be cut into blocks, one a position, and the channels hold one. */
static eoc_status check_blocks(const eoc_inputs *inputs, const eoc_grid *grid, const eoc_network *network,
                               const char *spelling, const eoc_data *sizes)
{
    const char *name = inputs->dataset.text;
    const eoc_geometry g = eoc_network_geometry(network);
    const eoc_axis *widths = &grid->axes[EOC_AXIS_WIDTH];
    const int pixels = sizes->rows * sizes->columns;
    EOC_REQUIRE(g.dimensions == 1 || sizes->rows == sizes->columns, EOC_ERR_USAGE,
                "grid.architecture: %s cuts square images into %d x %d blocks, and those of %s have %d x %d pixels; "
                "accepted with it: dimensions=1, or square images",
                spelling, g.side, g.side, name, sizes->rows, sizes->columns);
    EOC_REQUIRE(g.dimensions == 1 || sizes->rows % g.side == 0, EOC_ERR_USAGE,
                "grid.architecture: %s cuts images into %d x %d blocks, and those of %s have %d x %d pixels; accepted: "
                "a side that divides %d",
                spelling, g.side, g.side, name, sizes->rows, sizes->columns, sizes->rows);
    EOC_REQUIRE(g.dimensions == 2 || pixels % g.side == 0, EOC_ERR_USAGE,
                "grid.architecture: %s cuts samples into %d pieces, and those of %s have %d pixels; accepted: a side "
                "that divides %d",
                spelling, g.side, name, pixels, pixels);
    const int block = sizes->features / eoc_geometry_positions(&g);
    for (int i = 0; i < widths->count; i++) {
        int least = 0;
        EOC_TRY(least_width(grid, &network->architecture, (int)widths->values[i], &least));
        EOC_REQUIRE(least >= block, EOC_ERR_USAGE,
                    "grid.width: %d channels are too few for the %d values of %s at each position of %s; accepted: "
                    "widths of at least %d, or a greater side",
                    least, block, name, spelling, block);
    }
    return EOC_OK;
}

eoc_status eoc_images_check(const eoc_inputs *inputs, const eoc_grid *grid, const eoc_data *sizes)
{
    const eoc_axis *architectures = &grid->axes[EOC_AXIS_ARCHITECTURE];
    EOC_REQUIRE(inputs->points <= sizes->train_count, EOC_ERR_USAGE,
                "probe.inputs.points: %d is more than the %d training samples of %s; accepted: up to that",
                inputs->points, sizes->train_count, inputs->dataset.text);
    for (int i = 0; i < architectures->count; i++) {
        eoc_network network;
        int positions = 0;
        EOC_TRY(architecture_at(grid, i, &network, &positions));
        if (positions > 1) {
            EOC_TRY(check_blocks(inputs, grid, &network, architectures->names[i], sizes));
        } else {
            EOC_TRY(check_vectors(inputs, grid, &network.architecture, sizes));
        }
    }
    return EOC_OK;
}

/* -- creation -- */

static eoc_status allocate(int count, int features, eoc_images **images)
{
    const size_t k = (size_t)count, n = (size_t)features;
    eoc_images *made = calloc(1, sizeof *made);
    *images = made;
    EOC_REQUIRE(made, EOC_ERR_NOMEM, "out of memory");
    made->count = count;
    made->features = features;
    made->shares = malloc(sizeof(double) * k);
    made->units = malloc(sizeof(double) * k * n);
    made->factor = malloc(sizeof(double) * k * k);
    EOC_REQUIRE(made->shares && made->units && made->factor, EOC_ERR_NOMEM,
                "out of memory for %d images of %d features", count, features);
    return EOC_OK;
}

/* Units, and the images' own mean squares in the place of the shares. */
static eoc_status take_units(const eoc_inputs *inputs, const eoc_data *data, eoc_images *images)
{
    const size_t n = (size_t)images->features;
    double sum = 0.0;
    for (size_t a = 0; a < (size_t)images->count; a++) {
        double *const row = images->units + a * n;
        for (size_t i = 0; i < n; i++) {
            row[i] = (double)data->train_x[a * n + i];
        }
        const double norm = eoc_linalg_norm(row, n);
        EOC_REQUIRE(norm > 0.0, EOC_ERR_USAGE,
                    "probe.inputs: training sample %zu of %s (the first is 0) is all zeros with preprocessing %s, and "
                    "has no direction; accepted: fewer points, another preprocessing or data set",
                    a, inputs->dataset.text, inputs->preprocessing->name);
        eoc_linalg_scale(sqrt((double)n) / norm, row, n);
        /* What is 1 to the digits of float32 is meant to be 1. */
        images->shares[a] = inputs->preprocessing->unit ? 1.0 : norm * norm / (double)n;
        sum += images->shares[a];
    }
    images->variance = sum / images->count;
    return EOC_OK;
}

static void take_shares(const eoc_inputs *inputs, eoc_images *images)
{
    images->alike = true;
    for (int a = 0; a < images->count; a++) {
        images->shares[a] = inputs->as_preprocessed ? images->shares[a] / images->variance : 1.0;
        images->alike = images->alike && images->shares[a] == 1.0;
    }
}

static eoc_status factorize(eoc_images *images)
{
    const size_t k = (size_t)images->count, n = (size_t)images->features;
    double *const q = malloc(sizeof(double) * (k * n + 2 * k));
    EOC_REQUIRE(q, EOC_ERR_NOMEM, "out of memory for %d images of %d features", images->count, images->features);
    const eoc_frame nothing = {q, 0};
    memcpy(q, images->units, sizeof(double) * k * n);
    eoc_linalg_scale(1.0 / sqrt((double)n), q, k * n);
    eoc_orthonormal_qr(&nothing, images->features, images->count, n, q, q + k * n, images->factor, q + k * n);
    free(q);
    return EOC_OK;
}

eoc_status eoc_images_create(const eoc_inputs *inputs, const eoc_data *data, eoc_images **images)
{
    assert(inputs->points <= data->train_count && inputs->points <= EOC_MAX_IMAGES);
    eoc_status status = allocate(inputs->points, data->features, images);
    if (status == EOC_OK) {
        (*images)->rows = data->rows;
        (*images)->columns = data->columns;
        status = take_units(inputs, data, *images);
    }
    status = status == EOC_OK ? factorize(*images) : status;
    if (status != EOC_OK) {
        eoc_images_destroy(images);
        return status;
    }
    take_shares(inputs, *images);
    return EOC_OK;
}

void eoc_images_destroy(eoc_images **images)
{
    if (*images) {
        free((*images)->shares);
        free((*images)->units);
        free((*images)->factor);
        free(*images);
        *images = NULL;
    }
}
