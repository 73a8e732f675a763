/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/kind.h"

#include "eoc/text.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The text between `from` and `to` without the blanks around it, cut to the buffer. */
static void trimmed(const char *from, const char *to, char *out, size_t out_bytes)
{
    while (from < to && isspace((unsigned char)*from)) {
        from++;
    }
    while (to > from && isspace((unsigned char)to[-1])) {
        to--;
    }
    snprintf(out, out_bytes, "%.*s", (int)(to - from), from);
}

static int find_row(const eoc_kind_table *table, const char *name)
{
    for (int row = 0; row < table->count; row++) {
        if (strcmp(table->name(row), name) == 0) {
            return row;
        }
    }
    return -1;
}

static eoc_status unknown_kind(const eoc_kind_table *table, const char *name)
{
    const char *names[64];
    eoc_text all = {0};
    const int count = table->count < 64 ? table->count : 64;
    for (int row = 0; row < count; row++) {
        names[row] = table->name(row);
        eoc_text_append(&all, "%s%s", row ? ", " : "", names[row]);
    }
    const char *nearest = eoc_text_nearest(name, names, count);
    const eoc_status status =
        nearest ? EOC_FAIL(EOC_ERR_UNKNOWN, "unknown %s '%s'; did you mean '%s'? Known: %s", table->what, name, nearest,
                           all.data)
                : EOC_FAIL(EOC_ERR_UNKNOWN, "unknown %s '%s'; known: %s", table->what, name, all.data);
    eoc_text_clear(&all);
    return status;
}

static int num_parameters(const eoc_parameter *parameters)
{
    int count = 0;
    while (parameters && parameters[count].name) {
        count++;
    }
    return count;
}

/* The index of a word, or -1 with the words appended to `all`. */
static int find_word(const eoc_parameter *parameter, const char *text, eoc_text *all)
{
    for (int i = 0; parameter->words[i]; i++) {
        if (strcmp(parameter->words[i], text) == 0) {
            return i;
        }
        eoc_text_append(all, "%s%s", i ? ", " : "", parameter->words[i]);
    }
    return -1;
}

static eoc_status parameter_value(const char *kind, const eoc_parameter *parameter, const char *text, double *value)
{
    eoc_text words = {0};
    if (parameter->words) {
        const int word = find_word(parameter, text, &words);
        if (word >= 0) {
            *value = parameter->numbers ? -1 - word : word;
        }
        const eoc_status status = word >= 0 || parameter->numbers
                                      ? EOC_OK
                                      : EOC_FAIL(EOC_ERR_USAGE, "%s(%s=%s): '%s' is none of %s", kind, parameter->name,
                                                 text, text, words.data);
        if (word >= 0 || !parameter->numbers) {
            eoc_text_clear(&words);
            return status;
        }
    }
    char low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    double parsed = 0.0;
    const bool number = eoc_text_to_double(text, &parsed);
    const double rounded = eoc_text_round(parsed);
    const bool good = number && rounded >= parameter->min && rounded <= parameter->max &&
                      (!parameter->whole || rounded == floor(rounded));
    const eoc_status status =
        good ? EOC_OK
             : EOC_FAIL(EOC_ERR_USAGE, "%s(%s=%s): %s must be a %snumber from %s to %s%s%s", kind, parameter->name,
                        text, parameter->name, parameter->whole ? "whole " : "", eoc_text_number(parameter->min, low),
                        eoc_text_number(parameter->max, high), words.data ? " or " : "", words.data ? words.data : "");
    eoc_text_clear(&words);
    *value = good ? rounded : *value;
    return status;
}

/* One `name=value` of the list in parentheses. */
static eoc_status parse_parameter(const char *kind, const eoc_parameter *parameters, const char *item, bool *given,
                                  double *values)
{
    const int count = num_parameters(parameters);
    const char *equals = strchr(item, '=');
    EOC_REQUIRE(count > 0, EOC_ERR_USAGE, "%s takes no parameters", kind);
    EOC_REQUIRE(equals, EOC_ERR_USAGE, "%s(%s): parameters are written name=value, such as %s(%s=%g)", kind, item, kind,
                parameters[0].name, parameters[0].fallback);
    char name[EOC_MAX_KIND_BYTES], value[EOC_MAX_KIND_BYTES];
    trimmed(item, equals, name, sizeof name);
    trimmed(equals + 1, item + strlen(item), value, sizeof value);

    eoc_text all = {0};
    int found = -1;
    for (int i = 0; i < count; i++) {
        eoc_text_append(&all, "%s%s", i ? ", " : "", parameters[i].name);
        found = strcmp(parameters[i].name, name) == 0 ? i : found;
    }
    eoc_status status = EOC_OK;
    if (found < 0) {
        status = EOC_FAIL(EOC_ERR_USAGE, "%s has no parameter '%s'; it takes %s", kind, name, all.data);
    } else if (given[found]) {
        status = EOC_FAIL(EOC_ERR_USAGE, "%s: parameter '%s' is given twice", kind, name);
    } else {
        given[found] = true;
        status = parameter_value(kind, &parameters[found], value, &values[found]);
    }
    eoc_text_clear(&all);
    return status;
}

eoc_status eoc_kind_parse(const eoc_kind_table *table, const char *text, int *row, double values[EOC_MAX_PARAMETERS])
{
    char whole[EOC_MAX_KIND_BYTES], name[EOC_MAX_KIND_BYTES];
    EOC_REQUIRE(strlen(text) < sizeof whole, EOC_ERR_USAGE, "'%.20s...' is too long for the name of an %s", text,
                table->what);
    trimmed(text, text + strlen(text), whole, sizeof whole);
    const char *open = strchr(whole, '(');
    const size_t length = strlen(whole);
    trimmed(whole, open ? open : whole + length, name, sizeof name);
    const int found = find_row(table, name);
    if (found < 0) {
        return unknown_kind(table, name);
    }
    const eoc_parameter *parameters = table->parameters(found);
    bool given[EOC_MAX_PARAMETERS] = {false};
    for (int i = 0; i < EOC_MAX_PARAMETERS; i++) {
        values[i] = i < num_parameters(parameters) ? parameters[i].fallback : 0.0;
    }
    if (open) {
        EOC_REQUIRE(whole[length - 1] == ')', EOC_ERR_USAGE, "'%s': the parenthesis is not closed", whole);
        const char *item = open + 1;
        const char *const end = whole + length - 1;
        while (item < end) {
            const char *comma = memchr(item, ',', (size_t)(end - item));
            const char *stop = comma ? comma : end;
            char one[EOC_MAX_KIND_BYTES];
            trimmed(item, stop, one, sizeof one);
            EOC_TRY(parse_parameter(name, parameters, one, given, values));
            item = stop + 1;
        }
    }
    *row = found;
    return EOC_OK;
}

const char *eoc_kind_word(const eoc_parameter *parameter, double value)
{
    if (!parameter->words || (parameter->numbers && value >= 0.0)) {
        return NULL;
    }
    return parameter->words[parameter->numbers ? (int)(-1.0 - value) : (int)value];
}

const char *eoc_kind_spell(const eoc_kind_table *table, int row, const double values[EOC_MAX_PARAMETERS],
                           char out[EOC_MAX_KIND_BYTES])
{
    const eoc_parameter *parameters = table->parameters(row);
    size_t length = (size_t)snprintf(out, EOC_MAX_KIND_BYTES, "%s", table->name(row));
    bool any = false;
    for (int i = 0; i < num_parameters(parameters); i++) {
        if (values[i] == parameters[i].fallback) {
            continue;
        }
        char number[EOC_NUMBER_BYTES];
        const char *value = eoc_kind_word(&parameters[i], values[i]);
        value = value ? value : eoc_text_number(values[i], number);
        length += (size_t)snprintf(out + length, EOC_MAX_KIND_BYTES - length, "%s%s=%s", any ? ", " : "(",
                                   parameters[i].name, value);
        any = true;
    }
    if (any) {
        snprintf(out + length, EOC_MAX_KIND_BYTES - length, ")");
    }
    return out;
}
