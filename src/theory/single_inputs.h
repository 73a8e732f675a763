/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers whose inputs do not act on each other: one length, and a cosine of every pair. */
#ifndef EOC_THEORY_SINGLE_INPUTS_H
#define EOC_THEORY_SINGLE_INPUTS_H

#include "features.h"
#include "layer_law.h"

/* z^l of one input: log of its mean square, and its mean over units in units of the root of that. */
typedef struct {
    double log_q, mean;
} eoc_signal;

/* What the next layer's phi sees of it. */
typedef struct {
    double log_y;        /* of the mean square that a normalization sees */
    double share_before; /* sigma_W^2 q/y, or 1: the share of 1 - c that reaches phi */
    double log_kappa2;   /* log of kappa^2 */
    double norm_slope;   /* dlog(kappa^2 y)/dlog y */
    eoc_features phi;
    double mean; /* E[phi]/sqrt(E[phi^2]), where it counts */
    double a;    /* sigma_w^2 kappa^2 mu_1/p: growth of a squared gradient through the branch */
} eoc_sight;

/* Shares of the next mean square: of the skipped stream and of phi; the rest is biases and means, alike in all inputs.
 */
typedef struct {
    double skip, phi;
} eoc_shares;

/* Whether features add up by their means too: there is no matrix with random signs between them and the stream. */
static inline bool eoc_stream_has_mean(const eoc_layer_law *law)
{
    return !law->block.matrix_behind && law->block.skip != 0.0 &&
           (!law->passed.kind->odd || law->block.norm.beta != 0.0);
}

/* The map of `phi`, one of the law's two, behind its normalization. */
eoc_status eoc_single_inputs_map(const eoc_layer_law *law, const eoc_activation *phi, eoc_feature_map **map);

void eoc_sight_fill(const eoc_layer_law *law, eoc_feature_map *map, const eoc_signal *stream, eoc_sight *sight);

/* The next layer's stream. */
eoc_signal eoc_stream_next(const eoc_layer_law *law, const eoc_signal *stream, const eoc_sight *sight,
                           eoc_shares *shares);

/* 1 - c of the next layer, given that of the features: dropout takes two inputs apart. */
double eoc_one_minus_c_next(const eoc_layer_law *law, const eoc_shares *shares, double one_minus_c,
                            double one_minus_feature_c);

/* Growth of a squared gradient through a layer. */
double eoc_gradient_growth(const eoc_layer_law *law, const eoc_sight *sight);

eoc_status eoc_single_inputs_limits(const eoc_layer_law *law, double input_variance, int num_inputs, eoc_law_s_1 s_1,
                                    eoc_mean_field *point, double *jacobian_variance);

#endif
