/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Samplers: how a weight matrix W acts on a batch without being stored.
 *
 * A sampler is a row of the table in src/model/weights.c. `explicit` draws W tile by tile from the counter-based
 * generator, multiplies and forgets; the transposed product draws the same tiles again. An orthogonal W is the Q of the
 * Householder QR of a Gaussian matrix, its columns' signs set so that Q is Haar, drawn one reflection at a time
 * (Stewart 1980): the reflections of that QR are those of independent Gaussian vectors of length n, n-1, ..., 1, so no
 * matrix is needed.
 */
#ifndef EOC_WEIGHTS_H
#define EOC_WEIGHTS_H

#include "eoc/initializer.h"
#include "eoc/rng.h"

#include <stdbool.h>

/** One weight matrix as a law and a stream: everything needed to draw it, and nothing drawn. A value. */
typedef struct {
    eoc_initializer initializer;
    double weight_variance;
    eoc_key key;
    uint32_t layer, tensor;
    int fan_out, fan_in;
} eoc_matrix;

/** Scratch memory of a sampler for matrices up to `max_fan`; one a rank, reused. */
typedef struct eoc_weights eoc_weights;

typedef struct {
    const char *name;
    const char *formula;
    const char *source;
    /** Y (columns, fan_out) = X (columns, fan_in) W^t: every vector of the batch through W. Y is overwritten. */
    void (*apply)(eoc_weights *weights, const eoc_matrix *matrix, const double *x, double *y, int columns);
    /** X (columns, fan_in) = Y (columns, fan_out) W. X is overwritten. */
    void (*apply_transposed)(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x, int columns);
    /** Whether it can draw matrices of this law. */
    bool (*can_draw)(const eoc_initializer *initializer);
} eoc_sampler;

int eoc_sampler_count(void);
const eoc_sampler *eoc_sampler_row(int row);

/** The row of `auto`: a rule of law, width and columns, never of a timing. */
const eoc_sampler *eoc_sampler_auto(const eoc_initializer *initializer, int width, int columns);

/** Index of a sampler in the table, as run/sampler stores it. */
int eoc_sampler_index(const eoc_sampler *sampler);

/** EOC_ERR_NOMEM where the memory is not there. Owned by the caller, ended by eoc_weights_destroy. */
eoc_status eoc_weights_create(int max_fan, eoc_weights **weights);
void eoc_weights_destroy(eoc_weights **weights);

#endif
