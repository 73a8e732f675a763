/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The singular value of J outside the rest, where features that have a mean are added to the stream unit by unit.
 *
 * z' = skip z + branch phi(u), u = W z + b. A tangent t goes to t' = skip t + branch phi'(u) W t, and of W t what
 * leans on W z is known with u: by <t, z>/N of size N^(-1/2). phi' turns it into a common part, <t, 1>/N, which the
 * mean of phi turns back. Where E[phi' u] and E[phi] are of one sign, as of relu and its like, these two overlaps grow
 * with the stream, faster than |t|, and at some depth are no longer small beside it. Here are the second moments of
 * both, of tangents of one input or of two: mean field to the first order of 1/N, in which they begin, and to all
 * orders of 1/N times their growth.
 *
 * Of two inputs t_a and t_b begin as one vector, and the signals are half the sum and half the difference of z_a and
 * z_b, z_+ and z_-. Overlaps are in units of |z_+| and |z_-|: x = (<t, z_+>/|z_+|, <t, z_->/|z_-|, <t, 1>/N^(1/2))
 * times N^(-1/2). Of one input the second is 0.
 *
 * Over the positions of a convolution overlaps are with the signal where the tangent is, and average as it does: a wave
 * over them has that of one position with the averaging operator's eigenvalue on W. <t_a, t_b> of a unit vector stays
 * where its place is, to the order of 1/N, and draws all waves alike.
 *
 * W of a law with orthogonal rows keeps W t at right angles to W z: 1 + s_1 of what is drawn anew along it is missing
 * (s_1 as in eoc_curves_fill).
 */
#ifndef EOC_THEORY_OUTLIER_H
#define EOC_THEORY_OUTLIER_H

#include "products.h"
#include "single_inputs.h"
#include "tilts.h"

/* E[x x^T] of x as above, where nothing is between z_- and the others. */
typedef struct {
    double plus, minus, one, plus_one;
} eoc_overlaps;

/* One layer of a stream, and the block that leads to it. */
typedef struct {
    eoc_overlaps unit;   /* times N: of the unit vectors at this layer */
    eoc_overlaps weight; /* times N: of what unit vectors at u become */
    eoc_overlaps drawn;  /* times N, per <t_a, t_b>/N of the layer before: what W and phi draw anew, ... */
    eoc_overlaps along;  /* ... of that along what is known: orthogonal rows leave it out */
    double weight_size;  /* <t_a, t_b>/N of what unit vectors at u become */
    double growth;       /* of <t_a, t_b>, without the rest */
    double turn[3][3]; /* x' = turn x of input a; of input b what is between z_- and the others changes its sign; ... */
    double kept[2];    /* ... and what of the first two is skipped */
    double echo[3][3]; /* what x_a x_b^T gives to <t_a', t_b'>/N */
} eoc_outlier_layer;

/* Lengths and means at a layer: of z, of its half sum and half difference by |z|. */
typedef struct {
    double log_q, mean, plus, minus;
} eoc_outlier_signal;

/* Whether layers have one. */
static inline bool eoc_layer_law_has_outlier(const eoc_layer_law *law)
{
    return eoc_stream_has_mean(law) && law->block.norm.rule == EOC_NORM_NONE;
}

/* Layer 1: nothing leads to it. */
void eoc_outlier_layer_begin(const eoc_outlier_signal *signal, eoc_outlier_layer *layer);

/* The layer after `before`, which phi sees as `sight`. */
void eoc_outlier_layer_fill(const eoc_layer_law *law, const eoc_sight *sight, const eoc_tilts *tilts,
                            const eoc_outlier_signal *before, const eoc_outlier_signal *after,
                            eoc_outlier_layer *layer);

/* The waves over positions, those of one eigenvalue together; without space there is one, of 1. */
typedef struct {
    int count;
    double *eigenvalue, *share; /* (count); of the positions' number */
} eoc_outlier_waves;

eoc_status eoc_outlier_waves_create(const eoc_network *network, eoc_outlier_waves *waves);
void eoc_outlier_waves_clear(eoc_outlier_waves *waves);

/* What |dh^L/dz^l|^2/N, or of two inputs the inner product, is of a vector at layer l: begins at the last one. */
typedef struct {
    const eoc_outlier_waves *waves;
    int width;         /* N */
    double s_1;        /* of W */
    double size;       /* per <t_a, t_b>/N */
    double (*x)[3][3]; /* (waves): per x_a x_b^T */
    double log_unit;   /* of all of these */
} eoc_outlier_gauge;

/* @param x  (waves) memory of the caller, kept; it is cleared */
eoc_outlier_gauge eoc_outlier_gauge_begin(const eoc_outlier_waves *waves, double (*x)[3][3], int width, double s_1);

/* From a layer to the one before. */
void eoc_outlier_gauge_back(const eoc_outlier_layer *layer, eoc_outlier_gauge *gauge);

/* Of vectors of that size and these overlaps, times N; `leaning` more of `plus`, times the square of the eigenvalue. */
signed_log eoc_outlier_gauge_of(const eoc_outlier_gauge *gauge, double size, const eoc_overlaps *overlaps,
                                double leaning);

#endif
