/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/geometry.h"

static int power(int base, int exponent)
{
    int product = 1;
    for (int i = 0; i < exponent; i++) {
        product *= base;
    }
    return product;
}

int eoc_geometry_positions(const eoc_geometry *g)
{
    return power(g->side, g->dimensions);
}

int eoc_geometry_taps(const eoc_geometry *g)
{
    return power(g->kernel, g->dimensions);
}

int eoc_geometry_centre(const eoc_geometry *g)
{
    return eoc_geometry_taps(g) / 2;
}

/* Digit `dimension` of an index, the first one slowest. */
static int digit(const eoc_geometry *g, int index, int dimension, int base)
{
    return index / power(base, g->dimensions - 1 - dimension) % base;
}

int eoc_geometry_offset(const eoc_geometry *g, int tap, int dimension)
{
    return digit(g, tap, dimension, g->kernel) - g->kernel / 2;
}

int eoc_geometry_neighbour(const eoc_geometry *g, int p, int tap)
{
    int q = 0;
    for (int d = 0; d < g->dimensions; d++) {
        int x = digit(g, p, d, g->side) + eoc_geometry_offset(g, tap, d);
        if (!g->circular && (x < 0 || x >= g->side)) {
            return -1;
        }
        x = (x + g->side) % g->side;
        q = q * g->side + x;
    }
    return q;
}
