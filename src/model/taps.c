/* SPDX-License-Identifier: BSD-3-Clause */
/* The taps of convolutions: how much of the variance comes through each, and all their weights side by side. */
#include "layer_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

eoc_geometry eoc_network_geometry(const eoc_network *network)
{
    const eoc_architecture_kind *kind = network->architecture.kind;
    return kind->geometry ? kind->geometry(network) : (eoc_geometry){.circular = true};
}

int eoc_network_positions(const eoc_network *network)
{
    const eoc_geometry g = eoc_network_geometry(network);
    return eoc_geometry_positions(&g);
}

/* Along one dimension, not yet normalized. */
static double relative_variance(const eoc_network *network, const eoc_geometry *g, int tap, int dimension)
{
    const eoc_initializer_kind *kind = network->initializer.kind;
    const int distance = abs(eoc_geometry_offset(g, tap, dimension));
    if (kind->centre) {
        return distance == 0;
    }
    return kind->tap_variance ? kind->tap_variance(network->initializer.parameters, g->kernel, distance) : 1.0;
}

void eoc_network_tap_shares(const eoc_network *network, double *shares)
{
    const eoc_geometry g = eoc_network_geometry(network);
    const int taps = eoc_geometry_taps(&g);
    double total = 0.0;
    for (int t = 0; t < taps; t++) {
        shares[t] = 1.0;
        for (int d = 0; d < g.dimensions; d++) {
            shares[t] *= relative_variance(network, &g, t, d);
        }
        total += shares[t];
    }
    for (int t = 0; t < taps; t++) {
        shares[t] /= total;
    }
}

bool eoc_network_has_edges(const eoc_network *network)
{
    const eoc_geometry g = eoc_network_geometry(network);
    double shares[EOC_MAX_TAPS];
    eoc_network_tap_shares(network, shares);
    bool beside = false;
    for (int t = 0; t < eoc_geometry_taps(&g); t++) {
        beside = beside || (t != eoc_geometry_centre(&g) && shares[t] > 0.0);
    }
    return !g.circular && beside;
}

double eoc_network_s_1(const eoc_network *network, int features)
{
    const eoc_initializer_kind *kind = network->initializer.kind;
    const eoc_geometry g = eoc_network_geometry(network);
    const bool in_patches = !kind->centre && !kind->tap_variance;
    return kind->law == EOC_LAW_HAAR ? 1.0 / (features * (in_patches ? eoc_geometry_taps(&g) : 1)) - 1.0 : -1.0;
}

/* The centre tap's weights into their place among zeros. */
static void spread_centre(const double *tap, double *out, int fan_out, int taps, int centre, int channels)
{
    const size_t n = (size_t)channels;
    memset(out, 0, sizeof(double) * (size_t)fan_out * (size_t)taps * n);
    for (size_t i = 0; i < (size_t)fan_out; i++) {
        memcpy(out + (i * (size_t)taps + (size_t)centre) * n, tap + i * n, sizeof(double) * n);
    }
}

static void scale_taps(const eoc_network *network, double *out, int fan_out, int taps, int channels)
{
    double shares[EOC_MAX_TAPS];
    eoc_network_tap_shares(network, shares);
    for (int i = 0; i < fan_out; i++) {
        for (int t = 0; t < taps; t++) {
            const double factor = sqrt(shares[t] * taps);
            for (int j = 0; j < channels; j++) {
                *out++ *= factor;
            }
        }
    }
}

eoc_status eoc_network_draw(const eoc_network *network, const eoc_matrix *matrix, eoc_weights *weights, double *out)
{
    const eoc_geometry g = eoc_network_geometry(network);
    const int taps = eoc_geometry_taps(&g);
    if (network->initializer.kind->projections) {
        return eoc_projections_draw(&g, weights, matrix, out);
    }
    if (!network->initializer.kind->centre || taps == 1) {
        EOC_TRY(eoc_weights_draw(weights, matrix, out));
        if (network->initializer.kind->tap_variance) {
            scale_taps(network, out, matrix->fan_out, taps, matrix->fan_in / taps);
        }
        return EOC_OK;
    }
    double *const tap = malloc(sizeof(double) * (size_t)matrix->fan_out * (size_t)matrix->fan_in);
    EOC_REQUIRE(tap, EOC_ERR_NOMEM, "out of memory for a tap of %d x %d weights", matrix->fan_out, matrix->fan_in);
    const eoc_status status = eoc_weights_draw(weights, matrix, tap);
    if (status == EOC_OK) {
        spread_centre(tap, out, matrix->fan_out, taps, eoc_geometry_centre(&g), matrix->fan_in);
    }
    free(tap);
    return status;
}
