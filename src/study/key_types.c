/* SPDX-License-Identifier: BSD-3-Clause */
#include "key_types.h"

#include "eoc/data.h"
#include "eoc/probe.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void *eoc_key_field(const eoc_key_row *row, void *section)
{
    return (char *)section + row->offset;
}

const void *eoc_key_const_field(const eoc_key_row *row, const void *section)
{
    return (const char *)section + row->offset;
}

/* Turns a status into a call of `mistake`. */
bool eoc_key_report(const eoc_key_values *given, int item, eoc_status status)
{
    return status == EOC_OK || given->mistake(given->context, item, eoc_status_why());
}

void eoc_words_append(const eoc_words *table, eoc_text *out)
{
    for (int i = 0; i < table->count; i++) {
        eoc_text_append(out, "%s%s", i ? ", " : "", table->name(i));
    }
}

eoc_status eoc_words_find(const eoc_words *table, const char *word, int *row)
{
    const char *names[64];
    assert(table->count <= 64);
    for (int i = 0; i < table->count; i++) {
        names[i] = table->name(i);
        if (strcmp(word, names[i]) == 0) {
            *row = i;
            return EOC_OK;
        }
    }
    eoc_text all = {0};
    eoc_words_append(table, &all);
    const char *nearest = eoc_text_nearest(word, names, table->count);
    const eoc_status status =
        nearest ? EOC_FAIL(EOC_ERR_UNKNOWN, "unknown %s '%.60s'; did you mean '%s'? Known: %s", table->what, word,
                           nearest, all.data)
                : EOC_FAIL(EOC_ERR_UNKNOWN, "unknown %s '%.60s'; known: %s", table->what, word, all.data);
    eoc_text_clear(&all);
    return status;
}

/* A number of the row's range, or the failure that names it. */
eoc_status eoc_key_to_number(const eoc_key_row *row, const char *text, double *value)
{
    double parsed = 0.0;
    const bool is_number = eoc_text_to_double(text, &parsed);
    parsed = eoc_text_round(parsed);
    if (is_number && parsed >= row->min && parsed <= row->max) {
        *value = parsed;
        return EOC_OK;
    }
    eoc_text accepted = {0};
    row->type->accepts(row, &accepted);
    const eoc_status status = EOC_FAIL(EOC_ERR_USAGE, "'%.60s' is %s; accepted: %s", text,
                                       is_number ? "out of range" : "not a finite decimal number", accepted.data);
    eoc_text_clear(&accepted);
    return status;
}

/* -- numbers and counts -- */

static void number_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_key_report(given, 0, eoc_key_to_number(row, given->texts[0], eoc_key_field(row, section)));
}

void eoc_key_number_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const double *value = eoc_key_const_field(row, section);
    char number[EOC_NUMBER_BYTES];
    eoc_text_append(out, "%s", eoc_text_number(*value, number));
}

void eoc_key_number_accepts(const eoc_key_row *row, eoc_text *out)
{
    char low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    eoc_text_append(out, "a number from %s to %s", eoc_text_number(row->min, low), eoc_text_number(row->max, high));
}

eoc_status eoc_key_to_count(const eoc_key_row *row, const char *text, int *value)
{
    double number = 0.0;
    EOC_TRY(eoc_key_to_number(row, text, &number));
    EOC_REQUIRE(number == floor(number), EOC_ERR_USAGE,
                "'%.60s' is not a whole number; accepted: whole numbers from %.0f to %.0f", text, row->min, row->max);
    *value = (int)number;
    return EOC_OK;
}

static void count_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_key_report(given, 0, eoc_key_to_count(row, given->texts[0], eoc_key_field(row, section)));
}

static void count_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const int *value = eoc_key_const_field(row, section);
    eoc_text_append(out, "%d", *value);
}

static void count_accepts(const eoc_key_row *row, eoc_text *out)
{
    eoc_text_append(out, "a whole number from %.0f to %.0f", row->min, row->max);
}

const eoc_key_type eoc_key_number = {
    .read = number_read, .spell = eoc_key_number_spell, .accepts = eoc_key_number_accepts};
const eoc_key_type eoc_key_count = {.read = count_read, .spell = count_spell, .accepts = count_accepts};

/* -- statistics -- */

static const char NO_STATISTICS[] = "none";

static const char *statistic_name(int row)
{
    return eoc_statistic_row_of(row)->name;
}

static eoc_words statistic_words(void)
{
    return (eoc_words){"statistic", eoc_statistic_count(), statistic_name};
}

static eoc_status add_statistic(const char *text, unsigned allowed, unsigned *bits)
{
    const eoc_words words = statistic_words();
    int found = 0;
    EOC_TRY(eoc_words_find(&words, text, &found));
    const unsigned bit = eoc_statistic_row_of(found)->bit;
    if (!(bit & allowed)) {
        eoc_text accepted = {0};
        eoc_key_accept_statistics(allowed, &accepted);
        const eoc_status status = EOC_FAIL(EOC_ERR_USAGE, "%s is not measured of networks in training; accepted: %s",
                                           statistic_name(found), accepted.data);
        eoc_text_clear(&accepted);
        return status;
    }
    EOC_REQUIRE(!(*bits & bit), EOC_ERR_USAGE, "%s is there twice; every statistic is named once",
                statistic_name(found));
    *bits |= bit;
    return EOC_OK;
}

bool eoc_key_read_statistics(const eoc_key_values *given, unsigned allowed, unsigned *bits)
{
    *bits = 0;
    if (given->count == 1 && strcmp(given->texts[0], NO_STATISTICS) == 0) {
        return true;
    }
    bool go_on = true;
    for (int i = 0; i < given->count && go_on; i++) {
        go_on = eoc_key_report(given, i, add_statistic(given->texts[i], allowed, bits));
    }
    return false;
}

void eoc_key_spell_statistics(unsigned bits, eoc_text *out)
{
    const char *separator = "[";
    for (int i = 0; i < eoc_statistic_count(); i++) {
        if (bits & eoc_statistic_row_of(i)->bit) {
            eoc_text_append(out, "%s%s", separator, statistic_name(i));
            separator = ", ";
        }
    }
    eoc_text_append(out, "%s", bits ? "]" : NO_STATISTICS);
}

void eoc_key_accept_statistics(unsigned allowed, eoc_text *out)
{
    const char *separator = "a list of ";
    for (int i = 0; i < eoc_statistic_count(); i++) {
        if (allowed & eoc_statistic_row_of(i)->bit) {
            eoc_text_append(out, "%s%s", separator, statistic_name(i));
            separator = ", ";
        }
    }
}

/* -- layers -- */

static const struct {
    const char *word;
    eoc_layers_rule rule;
} layer_rules[] = {{"every", EOC_LAYERS_EVERY}, {"log", EOC_LAYERS_LOG}};
enum { NUM_LAYER_RULES = sizeof layer_rules / sizeof layer_rules[0] };

/* What follows `word` and at least one blank in `text`, or NULL. */
const char *eoc_key_after_word(const char *text, const char *word)
{
    const size_t length = strlen(word);
    if (strncmp(text, word, length) != 0 || text[length] != ' ') {
        return NULL;
    }
    return text + length + strspn(text + length, " ");
}

static void layers_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_layers *layers = eoc_key_field(row, section);
    *layers = (eoc_layers){EOC_LAYERS_ALL, 0};
    if (strcmp(given->texts[0], "all") == 0) {
        return;
    }
    for (int i = 0; i < NUM_LAYER_RULES; i++) {
        const char *number = eoc_key_after_word(given->texts[0], layer_rules[i].word);
        if (number) {
            layers->rule = layer_rules[i].rule;
            eoc_key_report(given, 0, eoc_key_to_count(row, number, &layers->number));
            return;
        }
    }
    eoc_text accepted = {0};
    row->type->accepts(row, &accepted);
    eoc_key_report(
        given, 0,
        EOC_FAIL(EOC_ERR_USAGE, "'%.60s' is no rule for layers; accepted: %s", given->texts[0], accepted.data));
    eoc_text_clear(&accepted);
}

static void layers_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_layers *layers = eoc_key_const_field(row, section);
    for (int i = 0; i < NUM_LAYER_RULES; i++) {
        if (layers->rule == layer_rules[i].rule) {
            eoc_text_append(out, "%s %d", layer_rules[i].word, layers->number);
            return;
        }
    }
    eoc_text_append(out, "all");
}

static void layers_accepts(const eoc_key_row *row, eoc_text *out)
{
    eoc_text_append(out, "all, every N or log N, N a whole number from %.0f to %.0f", row->min, row->max);
}

const eoc_key_type eoc_key_layers = {.read = layers_read, .spell = layers_spell, .accepts = layers_accepts};

/* -- dataset -- */

static void dataset_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_key_report(given, 0, eoc_data_source_parse(given->texts[0], eoc_key_field(row, section)));
}

/* Whether YAML reads a text back as it stands. */
static bool is_plain(const char *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./- ";
    return text[strspn(text, safe)] == '\0' && text[0] != '-' && strcmp(text, "null") != 0 &&
           strcmp(text, "Null") != 0 && strcmp(text, "NULL") != 0;
}

static void dataset_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_data_source *source = eoc_key_const_field(row, section);
    if (source->kind || is_plain(source->text)) {
        eoc_text_append(out, "%s", source->text);
        return;
    }
    eoc_text_append(out, "\"");
    for (const char *c = source->text; *c; c++) {
        const bool is_control = (unsigned char)*c < 0x20;
        eoc_text_append(out, is_control ? "\\x%02X" : *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    eoc_text_append(out, "\"");
}

static void dataset_accepts(const eoc_key_row *row, eoc_text *out)
{
    (void)row;
    eoc_text_append(out, "the name or path of an HDF5 data set");
    for (int i = 0; i < eoc_data_kind_count(); i++) {
        eoc_text_append(out, ", %s(...)", eoc_data_kind_row(i)->name);
    }
}

const eoc_key_type eoc_key_dataset = {.read = dataset_read, .spell = dataset_spell, .accepts = dataset_accepts};

/* -- preprocessing -- */

static const char *preprocessing_name(int row)
{
    return eoc_preprocessing_row(row)->name;
}

static eoc_words preprocessing_words(void)
{
    return (eoc_words){"preprocessing", eoc_preprocessing_count(), preprocessing_name};
}

static void preprocessing_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    const eoc_words words = preprocessing_words();
    const eoc_preprocessing **field = eoc_key_field(row, section);
    int found = 0;
    const eoc_status status = eoc_words_find(&words, given->texts[0], &found);
    *field = eoc_preprocessing_row(found);
    eoc_key_report(given, 0, status);
}

static void preprocessing_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_preprocessing *const *field = eoc_key_const_field(row, section);
    eoc_text_append(out, "%s", (*field)->name);
}

static void preprocessing_accepts(const eoc_key_row *row, eoc_text *out)
{
    const eoc_words words = preprocessing_words();
    (void)row;
    eoc_text_append(out, "one of ");
    eoc_words_append(&words, out);
}

const eoc_key_type eoc_key_preprocessing = {
    .read = preprocessing_read, .spell = preprocessing_spell, .accepts = preprocessing_accepts};
