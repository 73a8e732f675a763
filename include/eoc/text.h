/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Text that users type and read: numbers in one canonical spelling, names with suggestions, growing strings.
 */
#ifndef EOC_TEXT_H
#define EOC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/** Longest text of eoc_text_number with its NUL. */
#define EOC_NUMBER_BYTES 32

/** A string that grows; start from {0}, end with eoc_text_clear. Running out of memory aborts: such text is small. */
typedef struct {
    char *data; /* NUL-terminated; NULL while empty */
    size_t length;
    size_t capacity;
} eoc_text;

void eoc_text_append(eoc_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void eoc_text_clear(eoc_text *text);

/** A copy of at most `length` bytes of `source`, owned by the caller (free). */
char *eoc_text_copy(const char *source, size_t length);

/** `value` rounded to 12 significant digits, -0 to 0: the only values that grids hold, store and hash. */
double eoc_text_round(double value);

/** Writes the shortest spelling (at most 12 significant digits) of eoc_text_round(value) to `out`; returns `out`. */
const char *eoc_text_number(double value, char out[EOC_NUMBER_BYTES]);

/** Reads all of `text` as a finite decimal number. False when it is anything else (empty, trailing letters, NaN). */
bool eoc_text_to_double(const char *text, double *value);

/**
 * Of `count` names, the nearest to `word` by edit distance, or NULL when none is near enough to be a misspelling.
 * Case and the difference between '-' and '_' are ignored.
 */
const char *eoc_text_nearest(const char *word, const char *const *names, int count);

#endif
