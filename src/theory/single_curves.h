/* SPDX-License-Identifier: BSD-3-Clause */
/* What the layers of single inputs leave for rows of any lesser depth. */
#ifndef EOC_THEORY_SINGLE_CURVES_H
#define EOC_THEORY_SINGLE_CURVES_H

#include "outlier.h"
#include "products.h"
#include "single_inputs.h"

/* Arrays have max_depth + 1 layers, pair leading; what belongs to block l leads from layer l - 1 to l. */
typedef struct {
    eoc_layer_law law;
    int max_depth, num_pairs;
    double num_inputs, log_input_variance;
    eoc_theory_pair *pairs;     /* (num_pairs) */
    double *log_q;              /* (layer) */
    double *one_minus_c;        /* (num_pairs, layer) */
    product *growth;            /* (layer): of squared gradients through blocks up to l */
    product *pair_growth;       /* (num_pairs, layer): of products of two gradients */
    double *top;                /* (layer): log of the square of dE/dz^L by the read-out's, with phi on top */
    double *pair_top;           /* (num_pairs, layer): the product of two in units of it */
    double *weight;             /* (layer): log of gradient^2 feature^2 of W^l by that of z^l */
    double *pair_weight;        /* (num_pairs, layer): the product of two in units of it */
    double *excess, *spreads;   /* (layer): of m_2/m_1^2, without and times the s_1 of a block */
    double *top_excess;         /* (layer) */
    double *mean;               /* (layer): of z by the root of its mean square */
    eoc_outlier_layer *outlier; /* (1 + num_pairs, layer), one input first; NULL: there is none */
} eoc_single_curves;

eoc_status eoc_single_inputs_fill(const void *curves, const eoc_network *network, const int *layers, int num_layers,
                                  eoc_law_s_1 s_1, eoc_curve_rows *rows);

#endif
