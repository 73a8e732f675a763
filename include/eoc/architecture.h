/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Architectures: how one layer maps a batch forward, tangents along, and cotangents back.
 *
 * One row of the table in src/model/architecture.c is one architecture. A network of depth L and width N has
 * pre-activations z^l (N values) and features h^l, l = 1..L, h^0 = x; an activation of two features a unit makes h^l
 * twice as long. A layer sees the whole batch, so that layers that couple its vectors fit. In residual networks z^l =
 * h^l is the stream after block l, and z^1 = W^1 x + b^1 a plain lift.
 *
 * Scales. The values of a batch are values * 2^exponent. Networks whose scale factors out (scale-invariant phi, or
 * signals so small that phi is linear to rounding) carry the exponent along, so that nothing over- or underflows at any
 * depth; the others keep exponent 0, and an overflow is an outcome of the unit.
 */
#ifndef EOC_ARCHITECTURE_H
#define EOC_ARCHITECTURE_H

#include "eoc/activation.h"
#include "eoc/geometry.h"
#include "eoc/initializer.h"
#include "eoc/weights.h"

#include <stdbool.h>
#include <stdint.h>

/** The vectors of a batch: value i of vector c is values[c * width + i] * 2^exponent. */
typedef struct {
    int columns, width;
    int64_t exponent;
    double *values; /* (columns, width) */
} eoc_batch;

/**
 * What travels through the layers together, so that one product with W serves all: on the way up the features of the
 * inputs and tangents at input 0, on the way down their gradients (none: no columns) and cotangents at input 0. Where
 * the inputs of a batch are coupled, a tangent is one of the whole batch: as many columns as there are inputs. The
 * tangents lie right behind the inputs in memory, and have an exponent of their own.
 */
typedef struct {
    eoc_batch inputs, tangents;
} eoc_signals;

typedef struct eoc_architecture_kind eoc_architecture_kind;

typedef enum { EOC_NORM_NONE, EOC_NORM_BATCH, EOC_NORM_LAYER } eoc_norm_rule;

/** norm(u) = gamma (u - mean)/sqrt(variance + epsilon) + beta, over the inputs (batch) or the units (layer). */
typedef struct {
    eoc_norm_rule rule;
    double gamma, beta, epsilon;
} eoc_norm;

/**
 * A layer from 2 on in the words of theory: z^l = skip z^(l-1) + branch f(z^(l-1)), f(z) = V phi(norm(W z + b)) + a,
 * where W and b, or V and a, may be missing. Variances are sums over one unit's incoming weights.
 */
typedef struct {
    bool matrix_before, matrix_behind; /* W and V */
    bool phi_on_top;                   /* h^L = phi(norm(z^L)); else h^L = z^L */
    bool mirrored;                     /* V = [V', -V'] behind two features */
    double skip, branch;
    eoc_norm norm;
    double keep;          /* of dropout, behind phi */
    double lift_variance; /* of W^1; of W too */
    double variance;      /* of V */
} eoc_block;

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
    double *bias;    /* (width) scratch */
    double *scratch; /* (columns, features * width), where the network needs it */
    double *gram;    /* (eoc_layer_gram_doubles) scratch */
    double *patches; /* (patch_doubles) scratch of convolutions: see eoc_layer_patch_doubles */
    size_t patch_doubles;
    /* On the way back the means and variances of a batch are constants: gradients are those of one input at a time. */
    bool held;
} eoc_layer_tools;

/** What a layer leaves of its forward pass, in memory of the caller: z for statistics, the rest for the way back. */
typedef struct {
    eoc_batch z;            /* z^l of the inputs; its memory has room for the tangents behind */
    double *slope;          /* (columns, features * width): dh/dz; NULL: not wanted, and then no tangents come */
    double *noted;          /* (eoc_layer_noted_doubles): of what W^l multiplied, for the gradient by it: ... */
    int64_t noted_exponent; /* ... times 2^this ... */
    int noted_width;        /* ... inner products of vectors of so many values, or the vectors themselves */
    void *kept;             /* (kept_bytes): of the sampler */
    void *second_kept;      /* (kept_bytes): of the sampler, for a layer's second matrix */
    double *norm;           /* (eoc_norm_doubles): of a normalization */
} eoc_layer;

/** What the layers of a network take beside those of a plain one with one feature a unit (all zero). */
typedef struct {
    int features; /* of a unit; 0 stands for 1 */
    bool normalized, second_matrix, scratch;
    bool coupled;        /* the inputs of a batch act on each other: a tangent is one of the whole batch */
    int positions, taps; /* of a convolution; 0 stands for 1 */
    int least_positions; /* of the networks joined; 0 where one of them has none */
    int drawn_taps;      /* of those that a matrix of the samplers has: 1 where only the centre is drawn */
    int patch;           /* values that products over space take beside a column, in units of its features */
} eoc_layer_needs;

/** z^(l+1) = skip z^l + branch (W phi(z^l) + b) from z^1 = W x + b, phi's argument normalized or not: see gates.h. */
typedef struct {
    double skip2, branch2, sigma_w2, sigma_b2; /* squares and variances */
    bool last_gate;                            /* the read-out is of phi(z^L), not z^L */
    bool batch;                                /* normalized over the batch, then times gamma */
    double gamma2, epsilon;
} eoc_gates;

/** What a layer does to its input, one after the other; a normalization that the network does not have is passed over.
 */
typedef enum {
    EOC_DO_NOTHING, /* the end of a list */
    EOC_DO_MATRIX,  /* u = W u + b */
    EOC_DO_NORM,    /* u = norm(u) */
    EOC_DO_PHI,     /* u = phi(u), and what dropout leaves of it */
    EOC_DO_FORK,    /* s = u */
    EOC_DO_ADD      /* u = skip s + branch u */
} eoc_layer_doing;

typedef struct {
    const eoc_layer_doing *doings; /* up to EOC_DO_NOTHING */
    double skip, branch;
} eoc_layer_form;

struct eoc_architecture_kind {
    const char *name;
    const char *formula;
    const char *source;
    eoc_parameter parameters[EOC_MAX_PARAMETERS + 1];
    /** EOC_ERR_USAGE with a sentence for a combination of kinds that makes no sense. */
    eoc_status (*check)(const eoc_network *network);
    /** Whether layers are W, b and phi alone, of which eoc/mean_field.h is the theory. */
    bool (*in_theory)(const eoc_network *network);
    /** The layers for eoc/layer_theory.h; NULL: it does not describe them. */
    eoc_block (*block)(const eoc_network *network);
    eoc_layer_needs (*needs)(const eoc_network *network);
    /** Where the units are; NULL: no space. */
    eoc_geometry (*geometry)(const eoc_network *network);
    /** Whether a trained network's read-out is of the average over positions; NULL: it is not. */
    bool (*averages)(const eoc_network *network);
    /** Values of h^l at a position, l = 0..L. */
    int (*width)(const eoc_network *network, int l);
    /** Layer l as a list: the same as forward, for who stores the weights (eoc/net.h). */
    eoc_layer_form (*form)(const eoc_network *network, int l);
    /** The weight matrix of layer l, the first of several. */
    eoc_matrix (*weights)(const eoc_network *network, int l);
    /** Layer l: from h^(l-1) and its tangents to the layer, h overwritten by h^l and its tangents. */
    void (*forward)(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_signals *h, eoc_layer *layer);
    /** More tangents at input 0 through layer l as it is after forward, of a sampler that draws the same W again. */
    void (*push_tangents)(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                          const eoc_batch *in, eoc_batch *out);
    /** dh = dE/dh^l becomes dE/dz^l, in place; cotangents likewise. */
    void (*backward_activation)(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                                eoc_signals *dh);
    /**
     * dz = dE/dz^l to dh = dE/dh^(l-1), other memory; dh may be NULL in layer 1. log_weight_gradient_q, where not
     * NULL: log of the mean square entry of d(sum_a E_a)/dW^l.
     */
    void (*backward_weights)(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                             const eoc_signals *dz, eoc_signals *dh, double *log_weight_gradient_q);
    /** Mean growth of a squared gradient through layer l, given its slopes; NaN where that is no mean of slopes. */
    double (*chi_1)(const eoc_network *network, int l, const eoc_layer *layer);
    /** What gradients of relu networks go through; false where it is not of this form. NULL: nowhere. */
    bool (*gates)(const eoc_network *network, eoc_gates *gates);
};

int eoc_architecture_count(void);
const eoc_architecture_kind *eoc_architecture_row(int row);
const eoc_kind_table *eoc_architecture_table(void);

/** Reads a spelling such as "fully_connected". Errors as eoc_kind_parse. */
eoc_status eoc_architecture_find(const char *text, eoc_architecture *architecture);

/** Whether architecture, activation and initializer go together; EOC_ERR_USAGE with a sentence where not. */
eoc_status eoc_network_check(const eoc_network *network);

/** Of that, what is between architecture and activation alone. */
eoc_status eoc_network_check_layers(const eoc_network *network);

/** Whether eoc/mean_field.h alone describes such networks: the maps of one feature a unit, weights with mean zero. */
bool eoc_network_in_theory(const eoc_network *network);

/** The sigma_w^2 of theory: the variances of one unit's incoming weights in a hidden layer, added up. */
double eoc_network_effective(const eoc_network *network);

/** The width that a grid's `width` stands for: less where the architecture matches the parameters of one feature. */
int eoc_network_width(const eoc_architecture *architecture, const eoc_activation *activation, int width);

eoc_geometry eoc_network_geometry(const eoc_network *network);

/** Positions of a layer, 1 without space: an input is so many columns of a batch. */
int eoc_network_positions(const eoc_network *network);

/** Shares of a unit's variance that come through each tap of a convolution, (taps) that add up to 1. */
void eoc_network_tap_shares(const eoc_network *network, double *shares);

/** Whether units at an edge see less than others: zero padding, and taps beside the centre that have a share. */
bool eoc_network_has_edges(const eoc_network *network);

/**
 * s_1 of the S-transform (1 + s_1 x + ...)/m_1 of the squared singular values of a layer's weights, where a unit below
 * has `features` values. Independent entries: -1. Orthonormal rows, as many as a share r of their length: S is (1 + r
 * x)/(1 + x), so r - 1; 0 where they are square, as are a centre tap and kernels that keep the norm of a whole layer. A
 * kernel that is so many rows of a Haar matrix has, at every wave number, the law of a corner of that matrix: r =
 * 1/taps. Pennington, Schoenholz & Ganguli 2017; products of free projections: Voiculescu 1987.
 */
double eoc_network_s_1(const eoc_network *network, int features);

eoc_norm eoc_network_norm(const eoc_network *network);

/** The probability with which dropout keeps a feature; 1: no dropout. */
double eoc_network_keep(const eoc_network *network);

/** Values of the features of a layer. */
int eoc_network_features(const eoc_network *network);

/** Matrix `which` (0, 1) of layer l, and whose biases are column `which` of the layer's stream. */
eoc_matrix eoc_network_matrix(const eoc_network *network, int l, uint32_t which);

/**
 * A layer's weights as a trained network stores them, out (fan_out, taps, channels); without space (fan_out, fan_in).
 * `matrix` is of eoc_network_matrix, its fan_in perhaps that of the data; mirrored ones are drawn without their mirror.
 * Errors as eoc_weights_draw.
 */
eoc_status eoc_network_draw(const eoc_network *network, const eoc_matrix *matrix, eoc_weights *weights, double *out);

/** Doubles that a layer notes for the gradient of its weights, and of the scratch memory for that gradient. */
double eoc_layer_noted_doubles(const eoc_layer_needs *needs, int inputs, int width);
double eoc_layer_gram_doubles(const eoc_layer_needs *needs, int inputs, int width);

/** Columns beyond which products with explicit weights are taken some at a time, and what these then are. */
int eoc_layer_columns_at_a_time(int positions);

/** Doubles of the scratch memory for products over space of so many columns at a time. 0: no space. */
double eoc_layer_patch_doubles(const eoc_layer_needs *needs, double columns, int width);

/** Two-tap factors of every kernel, where the initializer makes it of such; else 0. */
int eoc_network_projections(const eoc_network *network);

/** What serves both. */
eoc_layer_needs eoc_layer_needs_join(eoc_layer_needs a, eoc_layer_needs b);

/** Doubles that a normalization keeps of a layer. */
size_t eoc_norm_doubles(int inputs, int width);

/** Sets the width of both batches, the tangents right behind the inputs. */
void eoc_signals_set_width(eoc_signals *signals, int width);

/** log of the mean square value of a batch; -inf when all are zero, +inf or NaN when one is not finite. */
double eoc_batch_log_mean_square(const eoc_batch *batch);

/** Moves a power of two from the values to the exponent when the values leave the safe range; keeps every digit. */
void eoc_batch_normalize(eoc_batch *batch);

#endif
