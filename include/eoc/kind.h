/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Kinds with parameters, as users spell them: `tanh`, `leaky_relu(slope=0.2)`.
 *
 * Activations, initializers and architectures are rows of tables; each row lists its parameters with defaults and
 * ranges. This header reads such a spelling against a table and writes the one canonical spelling back.
 */
#ifndef EOC_KIND_H
#define EOC_KIND_H

#include "eoc/status.h"

#include <stdbool.h>

enum { EOC_MAX_PARAMETERS = 16, EOC_MAX_KIND_BYTES = 512 };

/**
 * A parameter of a kind: a number in [min, max] or, where `words` is set, the index of one of these words; with
 * `numbers` too, either, and then word i is the value -1 - i (min is not negative).
 */
typedef struct {
    const char *name; /* NULL ends the list */
    double fallback;
    double min, max;
    const char *const *words; /* NULL-terminated, or NULL for a number */
    bool whole;               /* takes whole numbers only */
    bool numbers;             /* takes numbers beside the words */
    const char *help;         /* what it is, for `eoc list`; NULL where the formula says so */
} eoc_parameter;

/** What a table of kinds shows to the reader of names. */
typedef struct {
    const char *what; /* "activation": for messages */
    int count;
    const char *(*name)(int row);
    const eoc_parameter *(*parameters)(int row); /* ends with a NULL name; may be NULL for none */
} eoc_kind_table;

/**
 * Reads `text` against `table`: the row and the values of its parameters (defaults where not given).
 * EOC_ERR_UNKNOWN or EOC_ERR_USAGE, with the nearest name or the accepted range in the sentence.
 */
eoc_status eoc_kind_parse(const eoc_kind_table *table, const char *text, int *row, double values[EOC_MAX_PARAMETERS]);

/** The word that a parameter's value stands for; NULL where it is a number. */
const char *eoc_kind_word(const eoc_parameter *parameter, double value);

/** The canonical spelling: parameters in the table's order, those at their default left out. Returns `out`. */
const char *eoc_kind_spell(const eoc_kind_table *table, int row, const double values[EOC_MAX_PARAMETERS],
                           char out[EOC_MAX_KIND_BYTES]);

#endif
