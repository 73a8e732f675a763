/* SPDX-License-Identifier: BSD-3-Clause */
/* What the layers of every architecture are made of. Private to the room. */
#ifndef EOC_LAYER_PARTS_H
#define EOC_LAYER_PARTS_H

#include "eoc/architecture.h"

/* -- batch.c -- */

size_t eoc_batch_size(const eoc_batch *batch);
double eoc_batch_max(const eoc_batch *batch);

/** 2^exponent; 0 and infinity beyond the range. */
double eoc_power_of_two(int64_t exponent);

/** h = a h + b x of the same shape, whatever their exponents are; x's values are spent. */
void eoc_batch_add(double a, eoc_batch *h, double b, eoc_batch *x);

/** The signals as a batch of all columns, for a product; `all` may not be read for its exponent. */
int eoc_signals_columns(const eoc_signals *signals);

/* -- parameters that every architecture has, found by name -- */

/** The first of a list of parameters; an architecture's own ones follow. */
enum {
    EOC_PARAMETER_NORM,
    EOC_PARAMETER_GAMMA,
    EOC_PARAMETER_BETA,
    EOC_PARAMETER_EPSILON,
    EOC_PARAMETER_KEEP,
    EOC_PARAMETER_MATCH,
    EOC_NUM_COMMON_PARAMETERS,
    /* of architectures with residual blocks */
    EOC_PARAMETER_BRANCH = EOC_NUM_COMMON_PARAMETERS,
    EOC_PARAMETER_SKIP,
    EOC_PARAMETER_FORM,
    EOC_NUM_BLOCK_PARAMETERS
};

/** Forms of a residual block, and none. */
enum { EOC_FORM_PRE_ACTIVATION, EOC_FORM_REDUCED, EOC_FORM_FULL, EOC_FORM_PLAIN };

extern const char *const eoc_norm_words[];
extern const char *const eoc_yes_no_words[];

#define EOC_COMMON_PARAMETERS                                                                                        \
    {.name = "normalization",                                                                                        \
     .fallback = EOC_NORM_NONE,                                                                                      \
     .words = eoc_norm_words,                                                                                        \
     .help =                                                                                                         \
         "norm(u) = gamma (u - mean)/sqrt(variance + epsilon) + beta of what phi sees, over the inputs (batch) or "  \
         "the units (layer)"},                                                                                       \
        {.name = "gamma", .fallback = 1.0, .min = 0.0, .max = 1e6},                                                  \
        {.name = "beta", .fallback = 0.0, .min = -1e6, .max = 1e6},                                                  \
        {.name = "epsilon", .fallback = 1e-5, .min = 0.0, .max = 1e6},                                               \
        {.name = "keep",                                                                                             \
         .fallback = 1.0,                                                                                            \
         .min = 1e-3,                                                                                                \
         .max = 1.0,                                                                                                 \
         .help = "dropout: each feature phi of each input is kept with this probability and divided by it, else 0"}, \
    {                                                                                                                \
        .name = "match_parameters", .fallback = 0.0, .words = eoc_yes_no_words,                                      \
        .help = "with crelu, N = width/sqrt(2) rounded, so that 2 N^2 weights a layer match width^2 of relu"         \
    }

extern const char *const eoc_branch_words[];

#define EOC_BLOCK_PARAMETERS(FORM_WORDS, FORM)                                                   \
    {.name = "branch",                                                                           \
     .fallback = 1.0,                                                                            \
     .min = 0.0,                                                                                 \
     .max = 1e6,                                                                                 \
     .words = eoc_branch_words,                                                                  \
     .numbers = true,                                                                            \
     .help = "factor of f"},                                                                     \
        {.name = "skip", .fallback = 1.0, .min = -1e6, .max = 1e6, .help = "factor of h^(l-1)"}, \
    {                                                                                            \
        .name = "form", .fallback = FORM, .words = FORM_WORDS,                                   \
        .help = "f = W phi(norm(h)) + b, phi(norm(W h + b)) or V phi(norm(W h + b)) + a"         \
    }

/** Whether nothing but W, b and phi makes a layer. */
bool eoc_network_is_plain(const eoc_network *network);

/** The block z^l = V phi(norm(z^(l-1))) + a, with what the common parameters say. */
eoc_block eoc_network_common_block(const eoc_network *network);

/* -- normalization.c -- */

/** u = gamma (u - mean)/sqrt(variance + epsilon) + beta, in place; `state` is kept for the derivative. */
void eoc_norm_forward(const eoc_norm *norm, eoc_batch *u, double *state);

/**
 * The derivative, which is its own transpose, of `inputs` normalized vectors: on the way up to du, on the way back to
 * dE/du, in place. Of a batch's normalization t holds whole batches; of a layer's, vectors that ride on the inputs, one
 * each (riders = inputs) or all on input 0 (riders = 1).
 */
void eoc_norm_derivative(const eoc_norm *norm, int inputs, int riders, double *state, eoc_batch *t);

/** The same of gradients of one input at a time: the batch's means and variances are constants. */
void eoc_norm_derivative_held(const eoc_norm *norm, int inputs, double *state, eoc_batch *t);

/* -- layer_parts.c -- */

/** The square matrix of a layer, or one that meets its features. */
eoc_matrix eoc_layer_matrix(const eoc_network *network, int l, uint32_t tensor, bool of_features);

/**
 * x (columns, channels) through W to y (columns, fan_out), the columns those of all positions of one input after the
 * other; channels is fan_in by the taps of W. Where W is mirrored x is twice as long, and spent.
 */
void eoc_layer_apply(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix, double *x,
                     double *y, int columns, void *kept);

/** y (columns, fan_out) back to x (columns, channels, or twice that). */
void eoc_layer_apply_transposed(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix,
                                const double *y, double *x, int columns, const void *kept);

/** z += b for every column; `which` of the layer's bias vectors. */
void eoc_layer_add_bias(const eoc_network *network, const eoc_layer_tools *tools, int l, uint32_t which, eoc_batch *z);

/** h = phi(z), what dropout leaves of it, and where wanted slope = dh/dz. h may be z where a unit has one feature. */
void eoc_layer_phi(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_batch *z, eoc_batch *h,
                   double *slope);

/** out (columns, features width) = slope t, of t (columns, width) that ride as eoc_norm_derivative says; may be t
 * where a unit has one feature. */
void eoc_layer_expand(const eoc_network *network, const double *slope, int riders, const eoc_batch *t, eoc_batch *out);

/** The transpose of it: d (columns, features width) to (columns, width) at `to`, which lies at or ahead of d. */
void eoc_layer_contract(const eoc_network *network, const double *slope, int riders, eoc_batch *d, double *to);

/** The contraction, and the derivative of the normalization, of all signals at h, which become those at z. */
void eoc_layer_back_to_z(const eoc_network *network, const eoc_layer_tools *tools, const eoc_layer *layer,
                         eoc_signals *d);

/** The gates of a network with this skip and branch; whether normalization, dropout and features leave them in theory.
 */
eoc_gates eoc_network_gates(const eoc_network *network, double skip, double branch);
bool eoc_network_has_gates(const eoc_network *network);

/** How many inputs the tangents of a network ride on. */
int eoc_network_riders(const eoc_network *network, int inputs);

/**
 * How many columns, of whole inputs, are multiplied at a time: all, or of a sampler that can draw a matrix again and
 * again so many as its scratch memory has room for. A function of the network alone, as its bits are.
 */
int eoc_space_step(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix, int columns);

/* -- space.c: as eoc_layer_apply, of a matrix with more than one tap that is not mirrored -- */

void eoc_space_apply(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix,
                     const double *x, double *y, int columns, void *kept);
void eoc_space_apply_transposed(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix,
                                const double *y, double *x, int columns, const void *kept);

/** y (columns, width): what every position of x (columns, width) sees through a tap. */
void eoc_space_gather_tap(const eoc_geometry *geometry, int tap, const double *x, double *y, int width, int columns);

/* -- projections.c: random orthogonal kernels, by explicit weights alone; `h` is the matrix that stands last -- */

/** y (columns, fan_out), h's product, in place to that with the kernel. Scratch memory: eoc_projection_buffers. */
void eoc_projections_apply(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *h, double *y,
                           int columns);

/** y (columns, fan_out) back to x (columns, fan_in), h's transposed product included. */
void eoc_projections_apply_transposed(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *h,
                                      const double *y, double *x, int columns, const void *kept);

/** The kernel, out (fan_out, taps, fan_in). EOC_ERR_NOMEM. */
eoc_status eoc_projections_draw(const eoc_geometry *geometry, eoc_weights *weights, const eoc_matrix *h, double *out);

/** Buffers of (columns, fan_out) that the scratch memory has room for. */
int eoc_projection_buffers(void);

/* -- weight_gradient.c -- */

/** Notes the vectors that W^l multiplies, for the gradient by it. */
void eoc_layer_note_inputs(const eoc_network *network, const eoc_batch *x, eoc_layer *layer);

/**
 * log of the mean square entry of sum_a dz_a x_a^t, x_a the patches of the vectors that `layer` noted, with all taps of
 * the kernel, be their weights zero: sum_ab (dz_a.dz_b) (x_a.x_b)/(fan_out fan_in).
 */
double eoc_layer_log_weight_gradient_q(const eoc_network *network, const eoc_layer_tools *tools, const eoc_layer *layer,
                                       const eoc_batch *dz);

/* -- the rows, each in its file -- */

extern const eoc_architecture_kind eoc_fully_connected;
extern const eoc_architecture_kind eoc_residual;
extern const eoc_architecture_kind eoc_convolutional;

#endif
