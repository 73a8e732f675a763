/* SPDX-License-Identifier: BSD-3-Clause */
/* Edges of the law of J J^T, on the real line. Free convolution as in eoc/spectrum.h. */
#ifndef EOC_THEORY_EDGES_H
#define EOC_THEORY_EDGES_H

#include "slope_law.h"

#include <stdbool.h>

/* The layers that a law of slopes goes through. */
typedef struct {
    eoc_slope_law law;
    double log_gain; /* log(sigma_w2 greatest d) */
    double s_1;      /* -1 gaussian, 0 orthogonal */
    int depth;
} eoc_product_layers;

/* Whether one factor is all there is: lambda is sigma_w2 d, gaps and all, and needs no edges. */
static inline bool eoc_product_is_one_factor(const eoc_product_layers *layers)
{
    return layers->depth == 1 && layers->s_1 == 0.0;
}

eoc_status eoc_product_layers_create(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                                     eoc_product_layers *layers);

/* An edge of the spectrum, and where x is there (log x; 1 is the greatest d). */
typedef struct {
    double log_lambda, log_x;
} eoc_edge;

/* The upper edge, without an atom above it; the upper edge below an atom at the greatest d; the lower edge where d
 * stays above 0. */
eoc_edge eoc_edge_outside(const eoc_product_layers *layers);
eoc_edge eoc_edge_below_atom(const eoc_product_layers *layers);
eoc_edge eoc_edge_lower(const eoc_product_layers *layers);

/*
 * A gap inside the spectrum, where one of d does not close: x between the greatest d, an atom, and the next. `low` ends
 * the part below it, at -inf where there is none but a mass at 0. False without a gap.
 */
bool eoc_edge_gap(const eoc_product_layers *layers, eoc_edge *low, eoc_edge *high);

#endif
