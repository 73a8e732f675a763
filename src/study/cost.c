/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/cost.h"

#include "eoc/train.h"

#include "probe_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Seconds of one core, measured on an AMD EPYC with AVX-512. Other machines differ in the whole and, by 2 or so, in the
 * ratios; eoc_cost_calibrate and eoc_cost_fit correct both.
 */
static const double SECONDS_PER_OPERATION = 1.0e-10;       /* of a sampler */
static const double SECONDS_PER_PRODUCT = 1.0e-10;         /* a multiply-add of a Gram matrix */
static const double SECONDS_PER_NORMAL = 1.1e-9;           /* of the bias */
static const double SECONDS_PER_VALUE_UP = 1.7e-9;         /* beside phi: copies, scales, statistics */
static const double SECONDS_PER_VALUE_DOWN = 0.8e-9;       /* the same on the way back */
static const double SECONDS_PER_VALUE_NORMALIZED = 2.0e-9; /* of a normalization, each way */
static const double SECONDS_PER_VALUE_COPIED = 0.8e-9;     /* of a feature that is not where the stream is */
static const double SECONDS_PER_VALUE_WIDTH = 0.9e-9;      /* of the statistic finite_width */
static const double SECONDS_PER_VALUE_GATHERED = 0.5e-9;   /* of a patch */
static const double SECONDS_PER_VALUE_TRANSFORMED = 1e-9;  /* of the statistic spatial, a step of a transform */
static const double SECONDS_PER_PAIR = 8e-9;               /* of two positions and a tap, of the gradient of weights */
static const double SECONDS_PER_LAYER = 0.4e-6;            /* calls, each way */
static const double SECONDS_PER_NETWORK = 5.0e-6;          /* inputs, read-out */
static const double SECONDS_PER_SQUARE = 4.3e-8;           /* of the singular values, N^2 and N^3 a layer */
static const double SECONDS_PER_CUBE = 2.9e-10;

/* Of a product by implicit weights and its transposed one, whose mean the sampler tells. */
static const double IMPLICIT_UP = 0.7;

/* Nanoseconds a value: phi alone, and with its slope. A kind that is not listed costs as the last row. */
static const struct {
    const char *name;
    double phi, phi_dphi;
} activations[] = {
    {"linear", 0.3, 0.5}, {"relu", 0.3, 0.5},     {"leaky_relu", 0.7, 1.2}, {"tanh", 3.1, 3.8}, {"hard_tanh", 0.6, 0.9},
    {"erf", 6.2, 7.7},    {"sigmoid", 1.9, 3.9},  {"elu", 3.2, 5.2},        {"selu", 3.2, 5.2}, {"gelu", 8.1, 16.9},
    {"silu", 1.9, 4.0},   {"softplus", 3.5, 5.4}, {"sin", 1.3, 2.7},        {NULL, 3.0, 5.0},
};

static double phi_seconds(const eoc_activation *activation, bool slopes)
{
    int row = 0;
    while (activations[row].name && strcmp(activations[row].name, activation->kind->name) != 0) {
        row++;
    }
    return 1e-9 * (slopes ? activations[row].phi_dphi : activations[row].phi);
}

typedef struct {
    double up, down; /* seconds a layer */
} ways;

/* Of inner products, or what a convolution has in their place, for the gradient of weights; of vectors in columns. */
static ways gradient_seconds(const eoc_layer_needs *needs, double columns, double n, double features)
{
    const double gram = columns * columns * n * SECONDS_PER_PRODUCT;
    if (needs->positions <= 1) {
        return (ways){gram, gram};
    }
    if (columns <= n * features) {
        return (ways){gram, gram + columns * columns * needs->taps * SECONDS_PER_PAIR};
    }
    return (ways){0.0, needs->taps * columns * n * (SECONDS_PER_VALUE_COPIED + n * features * SECONDS_PER_PRODUCT)};
}

/* What only a convolution has: patches, once for each matrix, and statistics over space. */
static ways space_seconds(const eoc_probe *probe, const eoc_network *network, const eoc_layer_needs *needs,
                          double values)
{
    const eoc_geometry g = eoc_network_geometry(network);
    if (needs->positions <= 1) {
        return (ways){0.0, 0.0};
    }
    const double patches = needs->drawn_taps > 1 ? needs->drawn_taps * values * SECONDS_PER_VALUE_GATHERED : 0.0;
    const double inputs = probe->inputs.kind->num_inputs(&probe->inputs);
    const double steps = (double)g.dimensions * g.side + (g.circular ? 0.0 : needs->positions / 2.0);
    const bool spatial = (probe->statistics & EOC_STATISTIC_SPATIAL) != 0;
    const double space =
        spatial ? inputs * needs->positions * network->width * steps * SECONDS_PER_VALUE_TRANSFORMED : 0.0;
    return (ways){patches + space, patches};
}

double eoc_probe_seconds(const eoc_probe *probe, const eoc_network *network)
{
    const eoc_sampler *sampler = eoc_probe_sampler(probe, network);
    const eoc_architecture_kind *kind = network->architecture.kind;
    const eoc_layer_needs needs = kind->needs(network);
    const eoc_matrix matrix = kind->weights(network, network->depth > 1 ? 2 : 1);
    const double positions = needs.positions > 1 ? needs.positions : 1;
    const double inputs = positions * probe->inputs.kind->num_inputs(&probe->inputs);
    const double columns = eoc_probe_columns(probe, &needs), n = network->width;
    const double features = eoc_activation_features(&network->activation);
    const bool way_back = (probe->statistics & EOC_STATISTICS_BACK) != 0;
    const bool finite_width = (probe->statistics & EOC_STATISTIC_FINITE_WIDTH) != 0;
    const bool spectrum = (probe->statistics & EOC_STATISTIC_SPECTRUM) != 0;
    const double product = sampler->operations(&matrix, (int)columns) * SECONDS_PER_OPERATION *
                           (needs.second_matrix ? 1.0 + features : 1.0) *
                           (1.0 + 2.0 * eoc_network_projections(network));
    const double apart = (needs.normalized ? SECONDS_PER_VALUE_NORMALIZED : 0.0) +
                         (needs.scratch ? features * SECONDS_PER_VALUE_COPIED : 0.0);
    const double up_share = sampler->kept_bytes(&matrix, 1) ? IMPLICIT_UP : 1.0;
    const ways gradient = gradient_seconds(&needs, inputs, n, features);
    const ways space = space_seconds(probe, network, &needs, columns * n * features);
    const double up = product * up_share + gradient.up + space.up + columns * n * (SECONDS_PER_VALUE_UP + apart) +
                      features * inputs * n * phi_seconds(&network->activation, way_back || finite_width || spectrum) +
                      (network->bias_variance > 0.0 ? n * SECONDS_PER_NORMAL : 0.0) +
                      (finite_width ? inputs * n * SECONDS_PER_VALUE_WIDTH : 0.0) + SECONDS_PER_LAYER;
    const double down = product * (2.0 - up_share) + gradient.down + space.down +
                        columns * n * (SECONDS_PER_VALUE_DOWN + apart) + SECONDS_PER_LAYER;
    const double side = positions * n;
    const double all_of_j = sampler->operations(&matrix, (int)(side * positions)) * SECONDS_PER_OPERATION +
                            side * side * (SECONDS_PER_SQUARE + side * SECONDS_PER_CUBE);
    const double ups = way_back && !eoc_probe_keeps_all(probe, network) ? 2.0 : 1.0;
    return SECONDS_PER_NETWORK + columns * n * SECONDS_PER_NORMAL +
           network->depth * (ups * up + (way_back ? down : 0.0) + (spectrum ? all_of_j : 0.0));
}

double eoc_unit_seconds(const eoc_probe *probe, const eoc_network *network)
{
    return (probe->nothing ? 0.0 : eoc_probe_seconds(probe, network)) +
           (probe->train ? eoc_train_seconds(probe->train, network) : 0.0);
}

/* -- ratios of measured to predicted -- */

static bool is_row(const eoc_cost_row *row, const char *const *names, const eoc_sampler *sampler)
{
    return row->sampler == sampler && strcmp(row->names[0], names[0]) == 0 && strcmp(row->names[1], names[1]) == 0 &&
           strcmp(row->names[2], names[2]) == 0;
}

static void names_of(const eoc_grid *grid, const eoc_unit *unit, const char *names[3])
{
    static const eoc_axis_id ids[3] = {EOC_AXIS_ARCHITECTURE, EOC_AXIS_ACTIVATION, EOC_AXIS_INITIALIZER};
    for (int i = 0; i < 3; i++) {
        names[i] = grid->axes[ids[i]].names[unit->indices[ids[i]]];
    }
}

static eoc_cost_row *find_row(const eoc_cost *cost, const char *const *names, const eoc_sampler *sampler)
{
    for (int i = 0; i < cost->num_rows; i++) {
        if (is_row(&cost->rows[i], names, sampler)) {
            return &cost->rows[i];
        }
    }
    return NULL;
}

eoc_status eoc_cost_add(eoc_cost *cost, const eoc_grid *grid, const eoc_probe *probe, int64_t unit, double measured,
                        int64_t units)
{
    const eoc_unit u = eoc_grid_get(grid, 0, unit);
    const eoc_sampler *sampler = eoc_probe_sampler(probe, &u.network);
    const char *names[3];
    names_of(grid, &u, names);
    eoc_cost_row *row = find_row(cost, names, sampler);
    if (!row) {
        eoc_cost_row *larger = realloc(cost->rows, sizeof *larger * (size_t)(cost->num_rows + 1));
        EOC_REQUIRE(larger, EOC_ERR_NOMEM, "out of memory");
        cost->rows = larger;
        row = &cost->rows[cost->num_rows];
        *row = (eoc_cost_row){.sampler = sampler};
        for (int i = 0; i < 3; i++) {
            row->names[i] = strdup(names[i]);
            if (!row->names[i]) {
                abort(); /* a name: such text is small */
            }
        }
        cost->num_rows++;
    }
    row->measured += measured;
    row->predicted += (double)units * eoc_unit_seconds(probe, &u.network);
    row->units += units;
    return EOC_OK;
}

double eoc_cost_ratio(const eoc_cost_row *row)
{
    return row->measured / row->predicted;
}

/* Of a kind that was not measured: the geometric mean of those that were, with its sampler where there are such. */
static double typical_ratio(const eoc_cost *cost, const eoc_sampler *sampler)
{
    double sum[2] = {0.0, 0.0};
    int count[2] = {0, 0};
    for (int i = 0; i < cost->num_rows; i++) {
        const int same = cost->rows[i].sampler == sampler;
        sum[same] += log(eoc_cost_ratio(&cost->rows[i]));
        count[same]++;
    }
    const int total = count[0] + count[1];
    return count[1] ? exp(sum[1] / count[1]) : total ? exp((sum[0] + sum[1]) / total) : 1.0;
}

double eoc_cost_seconds(const eoc_cost *cost, const eoc_grid *grid, const eoc_probe *probe, int64_t unit)
{
    const eoc_unit u = eoc_grid_get(grid, 0, unit);
    const double seconds = eoc_unit_seconds(probe, &u.network);
    if (!cost || cost->num_rows == 0) {
        return seconds;
    }
    const eoc_sampler *sampler = eoc_probe_sampler(probe, &u.network);
    const char *names[3];
    names_of(grid, &u, names);
    const eoc_cost_row *row = find_row(cost, names, sampler);
    return seconds * (row ? eoc_cost_ratio(row) : typical_ratio(cost, sampler));
}

void eoc_cost_clear(eoc_cost *cost)
{
    for (int i = 0; i < cost->num_rows; i++) {
        for (int k = 0; k < 3; k++) {
            free(cost->rows[i].names[k]);
        }
    }
    free(cost->rows);
    *cost = (eoc_cost){0};
}
