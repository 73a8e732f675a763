/* SPDX-License-Identifier: BSD-3-Clause */
/* The theory of layers: what its two rows, single inputs and coupled batches, share. */
#ifndef EOC_THEORY_LAYER_LAW_H
#define EOC_THEORY_LAYER_LAW_H

#include "eoc/layer_theory.h"

/* A network in the words of theory. */
typedef struct {
    eoc_block block;
    eoc_activation passed;   /* what passes from layer to layer: linear where weights are [V', -V'] */
    eoc_activation features; /* one feature of a unit: relu for crelu */
    bool two_features;
    double lift;        /* sigma_w^2 of W^1 */
    double before;      /* of W; 1 without it */
    double behind;      /* of V, so that `passed` is one feature; 1 without it */
    double bias;        /* of b, in the lift and ahead of phi; 0 ahead of phi without W */
    double bias_behind; /* of a; 0 without V */
} eoc_layer_law;

eoc_status eoc_layer_law_find(const eoc_network *network, eoc_layer_law *law);

/*
 * Whether `phi`, one of passed and features, is that of u in one half of the units and of -u in the other, which behind
 * a normalization with beta differ: relu for crelu.
 */
bool eoc_layer_law_is_folded(const eoc_layer_law *law, const eoc_activation *phi);

/* Of the weights' S-transforms: s_1 of W^1, and the sum of those of a block's matrices. */
typedef struct {
    double lift, block;
} eoc_law_s_1;

eoc_law_s_1 eoc_layer_law_s_1(const eoc_layer_law *law, const eoc_network *network);

/* mu_2/mu_1^2 of the slopes with dropout: of crelu each unit has one active feature, of slope 1. */
double eoc_layer_law_spread(const eoc_layer_law *law, double mu_1, double mu_2);

/*
 * Whether the slopes of a block are free of the Jacobian up to it: not where phi sees the stream itself, whose slopes
 * at different layers are alike, unless every unit has the same ones. (m_2 is then greater, by some 10 %, and not
 * known.)
 */
bool eoc_layer_law_slopes_are_free(const eoc_layer_law *law);

/* How a kind of layers is described: a row of the table in layer_theory.c. */
typedef struct {
    bool (*covers)(const eoc_network *network, const eoc_block *block);
    eoc_status (*create)(const eoc_layer_law *law, const eoc_theory_inputs *inputs, int max_depth, void **curves);
    void (*destroy)(void *curves);
    /** Layers ascend, and are within the network's depth. */
    eoc_status (*fill)(const void *curves, const eoc_network *network, const int *layers, int num_layers,
                       eoc_law_s_1 s_1, eoc_curve_rows *rows);
    /** Growth a layer of m_2/m_1^2 at the limit goes into *jacobian_variance. */
    eoc_status (*limits)(const eoc_layer_law *law, double input_variance, int num_inputs, eoc_law_s_1 s_1,
                         eoc_mean_field *point, double *jacobian_variance);
} eoc_layer_theory_row;

extern const eoc_layer_theory_row eoc_theory_of_single_inputs;
extern const eoc_layer_theory_row eoc_theory_of_batches;

#endif
