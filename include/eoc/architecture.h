/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Architectures: how one layer maps a batch forward, tangents along, and cotangents back.
 *
 * One row of the table in src/model/architecture.c is one architecture. A network of depth L and width N has
 * pre-activations z^l and features h^l, l = 1..L, h^0 = x. A layer sees the whole batch, so that layers that couple its
 * vectors fit.
 *
 * Scales. The values of a batch are values * 2^exponent. Networks whose scale factors out (scale-invariant phi, or
 * signals so small that phi is linear to rounding) carry the exponent along, so that nothing over- or underflows at any
 * depth; the others keep exponent 0, and an overflow is an outcome of the unit.
 */
#ifndef EOC_ARCHITECTURE_H
#define EOC_ARCHITECTURE_H

#include "eoc/activation.h"
#include "eoc/initializer.h"
#include "eoc/weights.h"

#include <stdint.h>

/** The vectors of a batch: value i of vector c is values[c * width + i] * 2^exponent. */
typedef struct {
    int columns, width;
    int64_t exponent;
    double *values; /* (columns, width) */
} eoc_batch;

/**
 * What travels through the layers together, so that one product with W serves all: on the way up the features of the
 * inputs and tangents at input 0, on the way down their gradients (none: no columns) and cotangents at input 0. The
 * tangents lie behind the inputs in memory, and have an exponent of their own.
 */
typedef struct {
    eoc_batch inputs, tangents;
} eoc_signals;

typedef struct eoc_architecture_kind eoc_architecture_kind;

typedef struct {
    const eoc_architecture_kind *kind;
    double parameters[EOC_MAX_PARAMETERS];
} eoc_architecture;

/** A random network: its law and the key that draws it. A value. */
typedef struct {
    eoc_architecture architecture;
    eoc_activation activation;
    eoc_initializer initializer;
    int depth, width;
    double weight_variance; /* as the axis says: multiplies the initializer's own scale */
    double bias_variance;
    eoc_key key;
} eoc_network;

/** What a sampler and a layer work with while one network is probed; borrowed, not owned. */
typedef struct {
    const eoc_sampler *sampler;
    eoc_weights *weights;
    double *bias; /* (width) scratch */
} eoc_layer_tools;

/** What a layer leaves of its forward pass, in memory of the caller: z for statistics, the rest for the way back. */
typedef struct {
    eoc_batch z;                 /* pre-activations z^l of the inputs; its memory has room for the tangents behind */
    double *slope;               /* (columns, width): phi'(z^l); NULL: not wanted, and then there are no tangents */
    double *input_gram;          /* (columns, columns): inner products of the inputs that W^l multiplied, ... */
    int64_t input_gram_exponent; /* ... times 2^this */
    void *kept;                  /* (kept_bytes): of the sampler */
} eoc_layer;

struct eoc_architecture_kind {
    const char *name;
    const char *formula;
    const char *source;
    eoc_parameter parameters[EOC_MAX_PARAMETERS + 1];
    /** The weight matrix of layer l. */
    eoc_matrix (*weights)(const eoc_network *network, int l);
    /** Layer l: from h^(l-1) and its tangents to the layer, h overwritten by h^l and its tangents. */
    void (*forward)(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_signals *h, eoc_layer *layer);
    /** More tangents at input 0 through layer l as it is after forward, of a sampler that draws the same W again. */
    void (*push_tangents)(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                          const eoc_batch *in, eoc_batch *out);
    /** dh = dE/dh^l becomes dE/dz^l, in place; cotangents likewise. */
    void (*backward_activation)(const eoc_network *network, int l, const eoc_layer *layer, eoc_signals *dh);
    /** dz = dE/dz^l to dh = dE/dh^(l-1), other signals of the same shape. */
    void (*backward_weights)(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                             const eoc_signals *dz, eoc_signals *dh);
    /** log of the mean square entry of d(sum_a E_a)/dW^l, from dz = dE/dz^l. gram: scratch (columns, columns). */
    double (*log_weight_gradient_q)(const eoc_network *network, const eoc_layer *layer, const eoc_batch *dz,
                                    double *gram);
};

int eoc_architecture_count(void);
const eoc_architecture_kind *eoc_architecture_row(int row);
const eoc_kind_table *eoc_architecture_table(void);

/** Reads a spelling such as "fully_connected". Errors as eoc_kind_parse. */
eoc_status eoc_architecture_find(const char *text, eoc_architecture *architecture);

/** log of the mean square value of a batch; -inf when all are zero, +inf or NaN when one is not finite. */
double eoc_batch_log_mean_square(const eoc_batch *batch);

/** Moves a power of two from the values to the exponent when the values leave the safe range; keeps every digit. */
void eoc_batch_normalize(eoc_batch *batch);

#endif
