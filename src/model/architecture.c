/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/architecture.h"

#include "layer_parts.h"

#include <assert.h>
#include <math.h>

static const eoc_architecture_kind *const architectures[] = {&eoc_fully_connected, &eoc_residual, &eoc_convolutional};

int eoc_architecture_count(void)
{
    return (int)(sizeof architectures / sizeof architectures[0]);
}

const eoc_architecture_kind *eoc_architecture_row(int row)
{
    assert(row >= 0 && row < eoc_architecture_count());
    return architectures[row];
}

static const char *row_name(int row)
{
    return architectures[row]->name;
}

static const eoc_parameter *row_parameters(int row)
{
    return architectures[row]->parameters;
}

const eoc_kind_table *eoc_architecture_table(void)
{
    static eoc_kind_table table = {.what = "architecture", .name = row_name, .parameters = row_parameters};
    table.count = eoc_architecture_count();
    return &table;
}

eoc_status eoc_architecture_find(const char *text, eoc_architecture *architecture)
{
    int row = 0;
    EOC_TRY(eoc_kind_parse(eoc_architecture_table(), text, &row, architecture->parameters));
    architecture->kind = architectures[row];
    return EOC_OK;
}

/* -- what goes together -- */

/* Initializers of convolutions, on their own ground. */
static eoc_status check_taps(const eoc_network *network)
{
    const eoc_initializer_kind *kind = network->initializer.kind;
    EOC_REQUIRE(!kind->needs_space || network->architecture.kind->geometry, EOC_ERR_USAGE,
                "%s is a law of the taps of a convolution, which %s has not; accepted with it: convolutional",
                kind->name, network->architecture.kind->name);
    EOC_REQUIRE(!kind->projections || eoc_network_geometry(network).circular, EOC_ERR_USAGE,
                "%s keeps the norms of signals on a circle or torus, and not where they end; accepted with it: "
                "padding=circular",
                kind->name);
    if (kind->tap_variance) {
        double total = 0.0;
        for (int d = 0; d <= eoc_network_geometry(network).kernel / 2; d++) {
            total += kind->tap_variance(network->initializer.parameters, eoc_network_geometry(network).kernel, d);
        }
        EOC_REQUIRE(total > 0.0, EOC_ERR_USAGE,
                    "%s: all taps of a kernel of %d have variance zero; accepted: one at least that has not",
                    kind->name, eoc_network_geometry(network).kernel);
    }
    return EOC_OK;
}

/* What a normalization alone reads. */
static eoc_status check_norm(const eoc_architecture *architecture)
{
    for (int i = EOC_PARAMETER_GAMMA; i <= EOC_PARAMETER_EPSILON; i++) {
        const eoc_parameter *const row = &architecture->kind->parameters[i];
        EOC_REQUIRE(architecture->parameters[EOC_PARAMETER_NORM] != EOC_NORM_NONE ||
                        architecture->parameters[i] == row->fallback,
                    EOC_ERR_USAGE,
                    "%s is of a normalization, and there is none; accepted with it: normalization=batch or "
                    "normalization=layer",
                    row->name);
    }
    return EOC_OK;
}

eoc_status eoc_network_check_layers(const eoc_network *network)
{
    EOC_TRY(check_norm(&network->architecture));
    return network->architecture.kind->check(network);
}

eoc_status eoc_network_check(const eoc_network *network)
{
    EOC_REQUIRE(!network->initializer.kind->mirrored || eoc_activation_features(&network->activation) == 2,
                EOC_ERR_USAGE,
                "%s is [W', -W'], for the two features a unit of crelu, and %s has one; accepted with it: crelu",
                network->initializer.kind->name, network->activation.kind->name);
    EOC_TRY(eoc_network_check_layers(network));
    return check_taps(network);
}

bool eoc_network_in_theory(const eoc_network *network)
{
    return network->architecture.kind->in_theory(network) && eoc_activation_features(&network->activation) == 1 &&
           eoc_initializer_in_theory(&network->initializer);
}

double eoc_network_effective(const eoc_network *network)
{
    const eoc_matrix m = eoc_layer_matrix(network, 2, EOC_TENSOR_WEIGHT, true);
    return (m.mirrored ? 2 : 1) * m.fan_in * eoc_matrix_variance(&m);
}

/* A hidden layer of width N has N^2 weights, or 2 N^2 where a unit has two features. */
int eoc_network_width(const eoc_architecture *architecture, const eoc_activation *activation, int width)
{
    if (architecture->parameters[EOC_PARAMETER_MATCH] == 0.0) {
        return width;
    }
    const int matched = (int)lround(width / sqrt((double)eoc_activation_features(activation)));
    return matched > 0 ? matched : 1;
}

eoc_matrix eoc_network_matrix(const eoc_network *network, int l, uint32_t which)
{
    return which == 0 ? network->architecture.kind->weights(network, l)
                      : eoc_layer_matrix(network, l, EOC_TENSOR_WEIGHT + which, true);
}

eoc_layer_needs eoc_layer_needs_join(eoc_layer_needs a, eoc_layer_needs b)
{
    return (eoc_layer_needs){.features = a.features > b.features ? a.features : b.features,
                             .normalized = a.normalized || b.normalized,
                             .second_matrix = a.second_matrix || b.second_matrix,
                             .scratch = a.scratch || b.scratch,
                             .coupled = a.coupled || b.coupled,
                             .positions = a.positions > b.positions ? a.positions : b.positions,
                             .least_positions =
                                 a.least_positions < b.least_positions ? a.least_positions : b.least_positions,
                             .taps = a.taps > b.taps ? a.taps : b.taps,
                             .drawn_taps = a.drawn_taps > b.drawn_taps ? a.drawn_taps : b.drawn_taps,
                             .patch = a.patch > b.patch ? a.patch : b.patch};
}
