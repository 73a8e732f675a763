/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/grid.h"

/*
 * Seconds of one core, from operation counts: drawing an entry, multiplying it with a column, and what a layer costs
 * beside its matrix, measured on one core of an AMD EPYC with AVX-512. Balance needs only their ratios.
 */
static const double SECONDS_PER_NORMAL = 1.6e-9;
static const double SECONDS_PER_REFLECTED = 1.2e-9; /* an entry of a reflection's vector: half as many as of a matrix */
static const double SECONDS_PER_PRODUCT = 1.0e-10;
static const double SECONDS_PER_REFLECTION = 6.0e-10;
static const double SECONDS_PER_VALUE = 1.0e-8;
static const double SECONDS_PER_LAYER = 2.0e-6;

double eoc_cost_seconds(const eoc_network *network, int columns, int backward)
{
    const double n = network->width, b = columns;
    const int haar = network->initializer.kind->law == EOC_LAW_HAAR;
    const double matrix = haar ? 0.5 * n * n * (SECONDS_PER_REFLECTED + b * SECONDS_PER_REFLECTION)
                               : n * n * (SECONDS_PER_NORMAL + b * SECONDS_PER_PRODUCT);
    const double layer = matrix + n * b * SECONDS_PER_VALUE + n * b * b * SECONDS_PER_PRODUCT + SECONDS_PER_LAYER;
    return layer * network->depth * (backward ? 2.0 : 1.0);
}
