/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Data sets: what a network is trained on and tested with, in memory, and the kinds that are drawn from the seed.
 *
 * `train.dataset` is a text: a synthetic kind with parameters, gaussian_classes(features=50), or the name or path of an
 * HDF5 data set, which src/file/dataset.c reads. Preprocessing is a kind of its own and comes after. Pure: no files, no
 * ranks.
 */
#ifndef EOC_DATA_H
#define EOC_DATA_H

#include "eoc/kind.h"
#include "eoc/rng.h"
#include "eoc/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A data set; it owns its arrays. Start from {0}, end with eoc_data_clear. */
typedef struct {
    int rows, columns,
        channels; /* of one image, rows * columns * channels = features; a flat sample is 1 x features x 1 */
    int features; /* at least 1 */
    int outputs;  /* number of classes, or size of a target vector */
    int train_count, test_count;       /* at least 1 each */
    float *train_x, *test_x;           /* (count, features), finite; channels slowest: (channel, row, column) */
    int32_t *train_label, *test_label; /* (count), 0..outputs-1; NULL for a regression set */
    float *train_y, *test_y;           /* (count, outputs), finite; NULL for a classification set */
} eoc_data;

/**
 * Allocates the arrays that the sizes in `data` ask for, with labels or with targets; contents undefined. Zero-length
 * data sets are a mistake of the caller. EOC_ERR_NOMEM says how much was asked for.
 */
eoc_status eoc_data_allocate(eoc_data *data, bool labelled);
void eoc_data_clear(eoc_data *data);

/** Bytes of all arrays. */
double eoc_data_bytes(const eoc_data *data);

/**
 * Keeps the first so many samples, 0: all. EOC_ERR_USAGE when there are fewer, the sentence beginning with `name`. The
 * number of outputs stays, be it that a class has no sample any more.
 */
eoc_status eoc_data_keep_first(eoc_data *data, const char *name, int train_samples, int test_samples);

/* -- synthetic kinds: the rows of the table in src/study/synthetic.c -- */

/**
 * All numbers come from streams (rng.h) under the key of "seed=SEED dataset=NAME" and layer 0; with j the column of a
 * stream and NAME the kind's name without its parameters, so that sets that differ in one parameter share what they
 * can:
 *
 * gaussian_classes   x = mean[label] + z, z ~ N(0, I). Sample i has label i mod classes; its z is stream (DATA_TRAIN,
 * i) or (DATA_TEST, i). mean[k] = separation/sqrt(2) u_k, u the orthonormal frame that Gram-Schmidt makes of the
 * streams (DATA_LEFT, k): uniformly distributed, any two means exactly `separation` apart. The best possible accuracy
 * is E[Phi(z + separation/sqrt(2))^(classes-1)], z ~ N(0, 1): 0.959 at the defaults. linear_teacher     y = A x, A =
 * sum_k s_k u_k v_k^T with s_0 = largest ... s_(rank-1) = smallest in geometric or linear steps, and u_k, v_k the
 * frames that Gram-Schmidt makes of streams (DATA_LEFT, k) and (DATA_RIGHT, k): singular vectors that are uniformly
 * distributed. Training inputs are white, X^T X/train = I to float32 rounding: feature j is vector j, times
 * sqrt(train), of the frame made of the streams (DATA_TRAIN, j) over samples. So Y^T X/train = A, and the dynamics of
 * deep linear networks are those of Saxe, McClelland & Ganguli 2014 (arXiv:1312.6120). Test inputs are N(0, I), sample
 * i stream (DATA_TEST, i). Only the whole training set is white.
 */
typedef struct {
    const char *name;
    const char *formula;
    const char *source;
    eoc_parameter parameters[EOC_MAX_PARAMETERS + 1];
    /** What no range of one parameter says; may be NULL. */
    eoc_status (*check)(const double *values);
    /** Sizes of the set: every field of `data` but the arrays. */
    void (*sizes)(const double *values, eoc_data *data);
    /** Fills the arrays of `data`, which are allocated. EOC_ERR_NOMEM only. */
    eoc_status (*fill)(const double *values, eoc_key key, eoc_data *data);
    bool labelled;
} eoc_data_kind;

int eoc_data_kind_count(void);
const eoc_data_kind *eoc_data_kind_row(int row);

/** Singular value k = 0..rank-1 of the teacher A, for values of a source of kind linear_teacher. */
double eoc_data_teacher_value(const double *values, int k);

/** Rank of the teacher A: the parameter, or min(features, outputs) where that is 0. */
int eoc_data_teacher_rank(const double *values);

enum { EOC_MAX_SOURCE_BYTES = 1024 };

/** What `train.dataset` names; a value, to be copied freely. */
typedef struct {
    const eoc_data_kind *kind; /* NULL: an HDF5 data set */
    double values[EOC_MAX_PARAMETERS];
    char text[EOC_MAX_SOURCE_BYTES]; /* canonical spelling of the kind, or the name or path as given */
} eoc_data_source;

/**
 * Reads a text. A name with parentheses, or that of a kind, is synthetic; everything else names an HDF5 data set, which
 * is not looked for here. EOC_ERR_USAGE or EOC_ERR_UNKNOWN with a sentence.
 */
eoc_status eoc_data_source_parse(const char *text, eoc_data_source *source);

/** A synthetic set; `data` is overwritten, empty after a failure. */
eoc_status eoc_data_draw(const eoc_data_source *source, uint64_t seed, eoc_data *data);

/* -- preprocessing: the rows of the table in src/study/preprocess.c -- */

/**
 * Done in float64 and rounded to float32 once. `raw` comes before all: uint8 images divided by 255, everything else as
 * it is. Statistics of the training set are those of the samples in `data`, so samples are left out before. Targets are
 * never changed.
 *
 * raw             nothing
 * standardized    per feature, (x - mean)/deviation with mean and population deviation over the training set; a feature
 *                 that is constant there becomes 0, in the test set too. All-zero samples are treated as any other.
 * unit_variance   per sample, x/sqrt(mean of x^2 over features): the first layer sees q^0 = 1. All-zero samples stay 0.
 * centered        per feature the training mean is taken away, then as unit_variance; samples equal to the mean become
 *                 0.
 */
typedef struct {
    const char *name;
    const char *formula;
    const char *source;
    bool by_sample; /* a sample becomes what it becomes whatever the others are */
    bool unit;      /* every sample has mean square 1, to the rounding of float32, or is zero */
    /** EOC_ERR_NOMEM only; NULL: nothing to do. */
    eoc_status (*apply)(eoc_data *data);
} eoc_preprocessing;

int eoc_preprocessing_count(void);
const eoc_preprocessing *eoc_preprocessing_row(int row);

/** Applies it; also EOC_ERR_USAGE where a result would not be a finite float32. */
eoc_status eoc_preprocessing_apply(const eoc_preprocessing *preprocessing, eoc_data *data);

#endif
