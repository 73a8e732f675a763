/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Initializers: the law of a weight matrix W (fan_out, fan_in).
 *
 * The entries have variance weight_variance * v, v from the row's own rule, so that every initializer has the axis
 * weight_variance (sigma_w^2 of the mean-field papers for `gaussian`). One row of the table in src/model/initializer.c
 * is one initializer; a row says the law and the variance, the samplers (weights.h) draw it.
 */
#ifndef EOC_INITIALIZER_H
#define EOC_INITIALIZER_H

#include "eoc/kind.h"

#include <stdbool.h>

typedef enum {
    EOC_LAW_NORMAL,   /* independent normal entries */
    EOC_LAW_UNIFORM,  /* independent, uniform on [-a, a] */
    EOC_LAW_POSITIVE, /* independent, uniform on [0, a]: the mean is not zero */
    EOC_LAW_HAAR      /* orthogonal, uniformly distributed; rectangular: orthonormal along the shorter side, scaled */
} eoc_law;

typedef struct {
    const char *name;
    const char *formula; /* of the entries at weight_variance 1 */
    const char *source;
    eoc_parameter parameters[EOC_MAX_PARAMETERS + 1];
    eoc_law law;
    double (*entry_variance)(int fan_out, int fan_in); /* v: at weight_variance 1 */
    bool mirrored; /* [W', -W'] where it meets two features a unit; the law, and fan_in, are those of W' */
    bool centre;   /* of a convolution only the centre tap is not zero; fan_in is that of the tap */
    /** For convolutions alone: variance of the taps at this distance along one dimension, relative to the others. */
    double (*tap_variance)(const double *parameters, int kernel, int distance);
    bool projections; /* a kernel made of two-tap ones with projections, whose last matrix is of this law and scale */
    bool needs_space; /* makes no sense without a convolution */
} eoc_initializer_kind;

typedef struct {
    const eoc_initializer_kind *kind;
    double parameters[EOC_MAX_PARAMETERS];
} eoc_initializer;

int eoc_initializer_count(void);
const eoc_initializer_kind *eoc_initializer_row(int row);
const eoc_kind_table *eoc_initializer_table(void);

/** Reads a spelling such as "gaussian". Errors as eoc_kind_parse. */
eoc_status eoc_initializer_find(const char *text, eoc_initializer *initializer);

/** Variance of an entry of W, weight_variance * v; for a positive law, variance about its mean. */
double eoc_initializer_variance(const eoc_initializer *initializer, double weight_variance, int fan_out, int fan_in);

/** Mean of an entry of W: 0 but for the positive law, where it is sqrt(3 variance). */
double eoc_initializer_mean(const eoc_initializer *initializer, double weight_variance, int fan_out, int fan_in);

/** The sigma_w^2 of theory in a hidden layer of `width`: the variances of one unit's incoming weights, added up. */
double eoc_initializer_effective(const eoc_initializer *initializer, double weight_variance, int width);

/** Whether mean-field theory describes it: the entries have mean zero. */
bool eoc_initializer_in_theory(const eoc_initializer *initializer);

#endif
