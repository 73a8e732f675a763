/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Optimizers, with the conventions of PyTorch: one row of the table in src/study/net_lanes.c each.
 *
 * That file is compiled for float on each instruction set and for double; names, formulas and parameters are the same
 * in all, so the table of any serves for them.
 */
#ifndef EOC_OPTIMIZER_H
#define EOC_OPTIMIZER_H

#include "eoc/kind.h"
#include "eoc/real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EOC_OPTIMIZER_STATES = 2 };

typedef struct {
    const char *name;
    const char *formula; /* w: parameter, g: its gradient, a: learning rate, t: step */
    const char *source;
    eoc_parameter parameters[EOC_MAX_PARAMETERS + 1];
    bool is_plain;  /* a step is w -= a g and no more: the product that makes g may add to w itself */
    int num_states; /* arrays as long as the parameters; zero at the start */
    /** Step t (from 1) of n parameters w with gradient scale g. p: the kind's parameters. s: unused ones are NULL. */
    void (*update)(const double *p, double learning_rate, int64_t t, double scale, const eoc_real *g, eoc_real *w,
                   eoc_real *const s[EOC_OPTIMIZER_STATES], size_t n);
} eoc_optimizer_kind;

/** An optimizer with its parameters; a value. */
typedef struct {
    int row;
    double parameters[EOC_MAX_PARAMETERS];
} eoc_optimizer;

/** A normalization of rows of n values while it trains, with what its derivative needs. */
typedef struct {
    const eoc_real *gamma, *beta; /* (n) */
    double epsilon;
    eoc_real *mean, *variance; /* (n): of the batch, or those to go by; of batch normalization alone */
    eoc_real *x;               /* (rows, n): (u - mean)/sqrt(variance + epsilon) */
    eoc_real *inverse;         /* (n) or (rows): 1/sqrt(variance + epsilon) */
} eoc_net_norm;

/** The loops of one rule. y may be u. */
typedef struct {
    /** y = norm(u), both (rows, n), noting mean, variance, x and inverse. */
    void (*forward)(const eoc_net_norm *norm, const eoc_real *u, eoc_real *y, size_t rows, size_t n);
    /** d from dE/dy to dE/du; sums (2, n): dE/dgamma, dE/dbeta */
    void (*backward)(const eoc_net_norm *norm, eoc_real *d, eoc_real *sums, size_t rows, size_t n);
} eoc_net_norm_loops;

/** Loops over entries, for this processor. */
typedef struct {
    /** z (rows, n) += b, every row */
    void (*add_row)(const eoc_real *b, eoc_real *z, size_t rows, size_t n);
    /** dz *= slope, both (rows, n); sums (n) of its columns */
    void (*multiply_and_sum)(const eoc_real *slope, eoc_real *dz, eoc_real *sums, size_t rows, size_t n);
    /** sums (n) of the columns of dz (rows, n) */
    void (*sum_columns)(const eoc_real *dz, eoc_real *sums, size_t rows, size_t n);
    /** d *= slope, both (n) */
    void (*multiply)(const eoc_real *slope, eoc_real *d, size_t n);
    /** d (rows, 2 n) to d (rows, n): the sum of the two halves of each row, each times its slope */
    void (*contract)(const eoc_real *slope, eoc_real *d, size_t rows, size_t n);
    /** y = a x, (n); y may be x */
    void (*scale)(double a, const eoc_real *x, eoc_real *y, size_t n);
    /** z = a x + b y, (n); z may be either */
    void (*combine)(double a, const eoc_real *x, double b, const eoc_real *y, eoc_real *z, size_t n);
    /** h and slope, (n): divided by keep where drawn < 2 keep - 1, else 0 */
    void (*drop)(const float *drawn, double keep, eoc_real *h, eoc_real *slope, size_t n);
    /** to (count, run): each run number table[i] of the values; -1: zeros */
    void (*gather)(const eoc_real *values, const int32_t *table, size_t count, size_t run, eoc_real *to);
    /** y = norm(u) with norm's mean and variance as they are, nothing noted */
    void (*norm_as_given)(const eoc_net_norm *norm, const eoc_real *u, eoc_real *y, size_t rows, size_t n);
    const eoc_net_norm_loops *norms; /* by eoc_norm_rule */
    const eoc_optimizer_kind *optimizers;
    int num_optimizers;
} eoc_net_loops;

#ifndef EOC_REAL_DOUBLE
const eoc_net_loops *eoc_net_f32_loops(void);
#endif

int eoc_optimizer_count(void);
const eoc_kind_table *eoc_optimizer_table(void);

/** Reads a spelling such as "sgd" or "momentum(momentum=0.95)". Errors as eoc_kind_parse. */
eoc_status eoc_optimizer_find(const char *text, eoc_optimizer *optimizer);

#endif
