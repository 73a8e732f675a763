/* SPDX-License-Identifier: BSD-3-Clause */
/* The averaging operator of a convolution, and how long its modes live. */
#include "eoc/spatial_theory.h"

#include "fixed_points.h"

#include <float.h>
#include <math.h>

static const double PI = 3.14159265358979323846;

eoc_averaging eoc_averaging_of(const eoc_network *network)
{
    eoc_averaging a = {.geometry = eoc_network_geometry(network)};
    eoc_network_tap_shares(network, a.shares);
    return a;
}

/* Wave number of mode `index` along a dimension. */
static int wave_number(const eoc_geometry *g, int index, int dimension)
{
    return (dimension == g->dimensions - 1 ? index : index / g->side) % g->side;
}

static double eigenvalue(const eoc_averaging *a, int mode)
{
    const eoc_geometry *g = &a->geometry;
    const int taps = eoc_geometry_taps(g);
    double sum = 0.0;
    for (int t = 0; t < taps; t++) {
        int phase = 0; /* whole numbers, so that k and side - k have one value */
        for (int d = 0; d < g->dimensions; d++) {
            phase += wave_number(g, mode, d) * eoc_geometry_offset(g, t, d);
        }
        const int turn = (phase % g->side + g->side) % g->side;
        sum += a->shares[t] * cos(2.0 * PI * (2 * turn > g->side ? g->side - turn : turn) / g->side);
    }
    return fabs(sum) <= 4.0 * DBL_EPSILON * taps ? 0.0 : sum;
}

void eoc_averaging_eigenvalues(const eoc_averaging *a, double *eigenvalues)
{
    const int positions = eoc_geometry_positions(&a->geometry);
    const bool has_edges = !a->geometry.circular && a->shares[eoc_geometry_centre(&a->geometry)] < 1.0;
    for (int k = 0; k < positions; k++) {
        eigenvalues[k] = k == 0 ? 1.0 : eigenvalue(a, k);
        if (has_edges) {
            eigenvalues[k] = NAN;
        }
    }
}

bool eoc_spatial_theory_covers(const eoc_network *network)
{
    const eoc_architecture_kind *kind = network->architecture.kind;
    if (!kind->geometry || !kind->block || eoc_activation_features(&network->activation) > 1 ||
        !eoc_initializer_in_theory(&network->initializer)) {
        return false;
    }
    const eoc_block b = kind->block(network);
    return b.matrix_behind && !b.matrix_before && b.skip == 0.0 && b.norm.rule == EOC_NORM_NONE && b.keep == 1.0;
}

double eoc_averaging_depth_scale(double slope, double eigenvalue)
{
    return eoc_depth_scale(slope * eigenvalue);
}
