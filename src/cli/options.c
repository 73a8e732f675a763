/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include "eoc/text.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NAME(name, option, argument, key) option,
const char *const eoc_cli_point_names[EOC_CLI_NUM_POINT_OPTIONS] = {EOC_CLI_POINT_OPTIONS(NAME)};
#define KEY(name, option, argument, key) key,
const char *const eoc_cli_point_keys[EOC_CLI_NUM_POINT_OPTIONS] = {EOC_CLI_POINT_OPTIONS(KEY)};
#define ARGUMENT(name, option, argument, key) argument,
static const char *const arguments[EOC_CLI_NUM_POINT_OPTIONS] = {EOC_CLI_POINT_OPTIONS(ARGUMENT)};

static bool is_point_option(int key)
{
    return key >= EOC_CLI_KEY_POINT && key < EOC_CLI_KEY_POINT + EOC_CLI_NUM_POINT_OPTIONS;
}

void eoc_cli_name_options(struct argp_option *options)
{
    for (struct argp_option *o = options; o->name || o->key || o->doc; o++) {
        if (is_point_option(o->key)) {
            o->name = eoc_cli_point_names[o->key - EOC_CLI_KEY_POINT];
            o->arg = arguments[o->key - EOC_CLI_KEY_POINT];
        }
    }
}

bool eoc_cli_take_point_option(int key, const char *value, eoc_cli_point *point)
{
    if (!is_point_option(key)) {
        return false;
    }
    point->text[key - EOC_CLI_KEY_POINT] = value;
    return true;
}

void eoc_cli_add_set(struct argp_state *state, const char *value, eoc_cli_sets *sets)
{
    if (sets->count == EOC_CLI_MAX_SETS) {
        argp_error(state, "more than %d --set", EOC_CLI_MAX_SETS);
    }
    sets->list[sets->count++] = value;
}

void eoc_cli_take_path(struct argp_state *state, const char *value, const char **path)
{
    if (*path) {
        argp_error(state, "one sweep file, not two: '%s' and '%s'", *path, value);
    }
    *path = value;
}

double eoc_cli_read_size(struct argp_state *state, const char *text)
{
    static const char suffixes[] = "kMGT";
    char *end = NULL;
    double value = strtod(text, &end);
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (suffix && end[1] == '\0') {
        for (const char *s = suffixes; s <= suffix; s++) {
            value *= 1000.0;
        }
    }
    if (end == text || !(value > 0.0) || (*end && (!suffix || end[1]))) {
        argp_error(state, "--max-file-size: '%s' is not a size, such as 500M or 20G", text);
    }
    return value;
}

/* Up to the next colon; -1 when it is no number there. With `digits` nothing but digits. */
static double read_part(const char *text, size_t length, bool digits)
{
    char part[64];
    double value = -1.0;
    if (length == 0 || length >= sizeof part || (digits && strspn(text, "0123456789") < length)) {
        return -1.0;
    }
    memcpy(part, text, length);
    part[length] = '\0';
    return eoc_text_to_double(part, &value) && isfinite(value) ? value : -1.0;
}

/* -1 when it is not a time */
static double time_of(const char *text)
{
    const char *dash = strchr(text, '-'), *clock = dash ? dash + 1 : text;
    const double days = dash ? read_part(text, (size_t)(dash - text), true) : 0.0;
    double seconds = 0.0;
    int parts = 0;
    for (const char *at = clock; days >= 0.0; parts++) {
        const size_t length = strcspn(at, ":");
        const bool last = at[length] == '\0';
        const double part = read_part(at, length, !last);
        if (part < 0.0 || parts == 3 || (parts > 0 && part >= 60.0)) {
            return -1.0;
        }
        seconds = 60.0 * seconds + part;
        if (last) {
            /* After days Slurm counts from the hours on: 1-2, 1-2:30, 1-2:30:15. */
            return !dash ? seconds : 86400.0 * days + seconds * (parts == 0 ? 3600.0 : parts == 1 ? 60.0 : 1.0);
        }
        at += length + 1;
    }
    return -1.0;
}

double eoc_cli_read_time(struct argp_state *state, const char *option, const char *text)
{
    const double seconds = time_of(text);
    if (!(seconds > 0.0)) {
        argp_error(state, "--%s: '%s' is not a length of time, such as 90 (seconds), 1:30, 3:50:00 or 2-03:50:00",
                   option, text);
    }
    return seconds;
}

int64_t eoc_cli_read_count(struct argp_state *state, const char *option, const char *text, int64_t least)
{
    double value = 0.0;
    if (!eoc_text_to_double(text, &value) || value != floor(value) || value < (double)least || value > 1e9) {
        argp_error(state, "--%s: '%s' is not a whole number from %lld on", option, text, (long long)least);
    }
    return (int64_t)value;
}
