/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Samplers: how a weight matrix W acts on a batch without being stored.
 *
 * A sampler is a row of the table in src/model/weights.c.
 *
 * `explicit` draws W tile by tile from the counter-based generator, multiplies and forgets; the transposed product
 * draws the same tiles again. An orthogonal W is the Q of the Householder QR of a Gaussian matrix, its columns' signs
 * set so that Q is Haar, drawn one reflection at a time (Stewart 1980): the reflections of that QR are those of
 * independent Gaussian vectors of length n, n-1, ..., 1, so no matrix is needed.
 *
 * `implicit` never draws W: the vectors of a batch see only its action on their span, and what the transposed product
 * sees is conditioned on that (Bolthausen 2014; Bayati & Montanari 2011, lemma 11). The law of everything that comes
 * out is exactly that of an explicit W, at every width; the cost is O(N B^2) a layer for B vectors of N values.
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
    bool
        mirrored; /* stands for [W, -W], of 2 fan_in columns: the layer's affair, a sampler draws W and knows no more */
    int taps; /* of a convolution: fan_in = taps * channels, and a unit's outgoing weights are taps * fan_out; 0: 1 */
} eoc_matrix;

/** Variance of an entry, by the initializer's rule for these fans; of taps of unlike variance the mean. */
double eoc_matrix_variance(const eoc_matrix *matrix);

/** Scratch memory of the samplers; one a rank, reused. */
typedef struct eoc_weights eoc_weights;

typedef struct {
    const char *name;
    const char *formula;
    const char *source;
    /**
     * Y (columns, fan_out) = X (columns, fan_in) W^t: every vector of the batch through W. Y is overwritten.
     * `kept` (kept_bytes, aligned for doubles) receives what the transposed product must know of this one.
     */
    void (*apply)(eoc_weights *weights, const eoc_matrix *matrix, const double *x, double *y, int columns, void *kept);
    /**
     * X (columns, fan_in) = Y (columns, fan_out) W, after apply with the same `kept`; once for one apply (what is drawn
     * here is not remembered for a second time). X is overwritten. The number of columns may differ from apply's.
     */
    void (*apply_transposed)(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x, int columns,
                             const void *kept);
    /** Bytes that a product of so many vectors keeps for its transposed one. */
    size_t (*kept_bytes)(const eoc_matrix *matrix, int columns);
    /** Whether it can draw matrices of this law. */
    bool (*can_draw)(const eoc_initializer *initializer);
    /** Work of one product, the mean of apply and apply_transposed, in units of 0.1 ns on one core with AVX-512. */
    double (*operations)(const eoc_matrix *matrix, int columns);
} eoc_sampler;

int eoc_sampler_count(void);
const eoc_sampler *eoc_sampler_row(int row);

/** The row of this name; NULL when there is none. */
const eoc_sampler *eoc_sampler_find(const char *name);

/** The row of `auto`: the fewest operations for this law, shape and number of columns; never a timing. */
const eoc_sampler *eoc_sampler_auto(const eoc_matrix *matrix, int columns);

/** Index of a sampler in the table, as run/sampler stores it. */
int eoc_sampler_index(const eoc_sampler *sampler);

/**
 * For matrices up to `max_fan` on a side; `max_columns` vectors at a time through the implicit sampler (the explicit
 * one takes any number). EOC_ERR_NOMEM where the memory is not there. Owned by the caller, ended by
 * eoc_weights_destroy.
 */
eoc_status eoc_weights_create(int max_fan, int max_columns, eoc_weights **weights);
void eoc_weights_destroy(eoc_weights **weights);

/**
 * The whole matrix, w (fan_out, fan_in) row after row: the one that the explicit sampler multiplies with, bit for bit
 * where entries are independent and to rounding where it is orthogonal. EOC_ERR_NOMEM where an orthogonal one has no
 * room for its square.
 */
eoc_status eoc_weights_draw(eoc_weights *weights, const eoc_matrix *matrix, double *w);

/** Bytes that eoc_weights_create takes. */
double eoc_weights_bytes(int max_fan, int max_columns);

#endif
