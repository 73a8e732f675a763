/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Activations: h = phi(z), entry by entry, and the derivative dphi that gradients multiply by.
 *
 * One row of the table in src/model/activation.c is one activation; names, `eoc list`, theory and tests walk it.
 * Notation follows Poole et al. 2016 (phi for the nonlinearity). The derivative at a kink is 0 by convention.
 *
 * A unit has one feature, phi(z), or two, phi(z) and phi(-z), as crelu does; a layer's features are then the first of
 * all units, and behind them the second.
 */
#ifndef EOC_ACTIVATION_H
#define EOC_ACTIVATION_H

#include "eoc/kind.h"

#include <stdbool.h>
#include <stddef.h>

enum { EOC_MAX_KINKS = 2 };

typedef struct {
    const char *name;
    const char *formula;
    const char *source;
    eoc_parameter parameters[EOC_MAX_PARAMETERS + 1];

    /* Scalar forms: for theory and tests, right to a few units in the last place. p: the kind's parameters. */
    double (*phi)(double z, const double *p);
    double (*dphi)(double z, const double *p);

    /* Vector forms, n values; h or d may be the same array as z. Same values to a few units in the last place. */
    void (*phi_many)(const double *z, double *h, size_t n, const double *p);
    void (*dphi_many)(const double *z, double *d, size_t n, const double *p);
    /** Both at once where that is cheaper, the same bits; NULL where it is not. d is not z. */
    void (*phi_dphi_many)(const double *z, double *h, double *d, size_t n, const double *p);

    /** Both at once at float32, for training; NULL: by way of doubles. d is not z. */
    void (*phi_dphi_many_float)(const float *z, float *h, float *d, size_t n, const double *p);

    int features; /* of a unit: 2, or 0 for the usual 1; ask eoc_activation_features */

    int num_kinks; /* points where phi is not smooth: quadrature splits its range there */
    double kinks[EOC_MAX_KINKS];

    bool scale_invariant; /* phi(a z) = a phi(z) for a > 0: the scale of a network factors out */
    bool wave;            /* phi is sin: of large signals theory has closed forms, and nothing else has them */
    bool odd;             /* phi(-z) = -phi(z) */
    bool zero_at_zero;    /* phi(0) = 0: near 0 phi is linear on either side, so tiny signals keep their digits */
} eoc_activation_kind;

/** An activation with its parameters; a value, to be copied freely. */
typedef struct {
    const eoc_activation_kind *kind; /* a row of the table, never freed */
    double parameters[EOC_MAX_PARAMETERS];
} eoc_activation;

int eoc_activation_count(void);
const eoc_activation_kind *eoc_activation_row(int row);
const eoc_kind_table *eoc_activation_table(void);

/** Reads a spelling such as "tanh" or "leaky_relu(slope=0.2)". Errors as eoc_kind_parse. */
eoc_status eoc_activation_find(const char *text, eoc_activation *activation);

/** Features of a unit: 1, or 2 where they are phi(z) and phi(-z). */
static inline int eoc_activation_features(const eoc_activation *a)
{
    return a->kind->features == 2 ? 2 : 1;
}

/** EOC_ERR_USAGE, with a sentence, for activations of two features, which mean-field theory does not cover. */
eoc_status eoc_activation_check_theory(const eoc_activation *activation);

static inline double eoc_activation_phi(const eoc_activation *a, double z)
{
    return a->kind->phi(z, a->parameters);
}

static inline double eoc_activation_dphi(const eoc_activation *a, double z)
{
    return a->kind->dphi(z, a->parameters);
}

/** Whether phi is relu, by whatever name. */
static inline bool eoc_activation_is_relu(const eoc_activation *a)
{
    return a->kind->scale_invariant && a->kind->features != 2 && eoc_activation_dphi(a, -1.0) == 0.0 &&
           eoc_activation_dphi(a, 1.0) == 1.0;
}

/** h = phi(z) and d = phi'(z), n values at float32; h may be z, d may not. */
void eoc_activation_both_float(const eoc_activation *a, const float *z, float *h, float *d, size_t n);

#endif
