/* SPDX-License-Identifier: BSD-3-Clause */
/* How the keys of this room's sections read words and numbers. Private to the room. */
#ifndef EOC_KEY_TYPES_H
#define EOC_KEY_TYPES_H

#include "eoc/key.h"
#include "eoc/status.h"

/** A list of words: the names of some table. */
typedef struct {
    const char *what;
    int count;
    const char *(*name)(int row);
} eoc_words;

void *eoc_key_field(const eoc_key_row *row, void *section);
const void *eoc_key_const_field(const eoc_key_row *row, const void *section);

/** Turns a status into a call of `mistake`; false when no more are wanted. */
bool eoc_key_report(const eoc_key_values *given, int item, eoc_status status);

/** "a, b, c" */
void eoc_words_append(const eoc_words *words, eoc_text *out);

/** The row named `word`, or the failure that names the nearest and all. */
eoc_status eoc_words_find(const eoc_words *words, const char *word, int *row);

/** A number, or a whole number, of the row's range, or the failure that says what would be accepted. */
eoc_status eoc_key_to_number(const eoc_key_row *row, const char *text, double *value);
eoc_status eoc_key_to_count(const eoc_key_row *row, const char *text, int *value);

/** Fields that are a double, or an int. */
extern const eoc_key_type eoc_key_number, eoc_key_count;
void eoc_key_number_spell(const eoc_key_row *row, const void *section, eoc_text *out);
void eoc_key_number_accepts(const eoc_key_row *row, eoc_text *out);

/** What follows `word` and at least one blank in `text`, or NULL. */
const char *eoc_key_after_word(const char *text, const char *word);

/** Reads a list of the statistics in `allowed` to their bits; true for the word none alone, which is no bit. */
bool eoc_key_read_statistics(const eoc_key_values *given, unsigned allowed, unsigned *bits);
void eoc_key_spell_statistics(unsigned bits, eoc_text *out);
void eoc_key_accept_statistics(unsigned allowed, eoc_text *out);

/** Fields that are an eoc_layers: all, every N, log N. */
extern const eoc_key_type eoc_key_layers;

/** Fields that are an eoc_data_source, or a pointer to an eoc_preprocessing. */
extern const eoc_key_type eoc_key_dataset, eoc_key_preprocessing;

#endif
