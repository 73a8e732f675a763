/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Generators of axis values, from text to numbers: linspace(a, b, n), geomspace(a, b, n), range(a, b, step), and
 * square(...) of one of these or of a bracket list. Pure: knows nothing of axes, files or YAML.
 */
#ifndef EOC_GENERATOR_H
#define EOC_GENERATOR_H

#include "eoc/status.h"

#include <stdbool.h>

/** Whether `text` is written as a call, name(...), rather than as a number or a word. */
bool eoc_generator_is_call(const char *text);

/**
 * The values that `text` stands for, each fixed by eoc_text_round; the ends of linspace and geomspace are exact.
 *
 * @param max_count  more values than this are refused before any memory is taken
 * @param values     (count), owned by the caller (free); NULL on failure
 * @return EOC_ERR_USAGE with a sentence that shows the right usage; EOC_ERR_NOMEM
 */
eoc_status eoc_generator_expand(const char *text, int max_count, int *count, double **values);

/** Rounds values (count) to whole numbers and drops those that were there before, keeping the order. Returns how many
 * stay. */
int eoc_generator_whole(double *values, int count);

/** "linspace(a, b, n), geomspace(a, b, n), ...": for messages and help. */
const char *eoc_generator_usage(void);

#endif
