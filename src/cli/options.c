/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

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
