/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/probe.h"

/*
 * Seconds of one core, measured on an AMD EPYC with AVX-512: an operation of a sampler, what a value costs beside the
 * matrices (phi, its slope, statistics), a Gram matrix's multiply-add, and a layer's calls. Balance needs their ratios.
 */
static const double SECONDS_PER_OPERATION = 1.0e-10;
static const double SECONDS_PER_VALUE = 1.0e-8;
static const double SECONDS_PER_PRODUCT = 1.0e-10;
static const double SECONDS_PER_LAYER = 3.0e-6;
static const double NUM_CUBES = 5.0; /* N^3 multiply-adds a layer of the statistic spectrum, the end shared out */

double eoc_probe_seconds(const eoc_probe *probe, const eoc_network *network)
{
    const eoc_sampler *sampler = eoc_probe_sampler(probe, network);
    const eoc_matrix matrix = network->architecture.kind->weights(network, 1);
    const int inputs = probe->inputs.kind->num_inputs(&probe->inputs), tangents = eoc_probe_tangents(probe);
    const double columns = inputs + tangents, n = network->width;
    const bool way_back = (probe->statistics & (EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN)) != 0;
    const double layer = sampler->operations(&matrix, inputs + tangents) * SECONDS_PER_OPERATION +
                         columns * n * SECONDS_PER_VALUE + columns * columns * n * SECONDS_PER_PRODUCT +
                         SECONDS_PER_LAYER;
    const bool spectrum = (probe->statistics & EOC_STATISTIC_SPECTRUM) != 0;
    const double all_of_j = spectrum ? n * n * n * NUM_CUBES * SECONDS_PER_PRODUCT : 0.0;
    return network->depth * (layer * (way_back ? 2.0 : 1.0) + all_of_j);
}
