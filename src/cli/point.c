/* SPDX-License-Identifier: BSD-3-Clause */
#include "point.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of "probe.inputs.variance" the last word would say "--variance"; "--input-variance" says of what. */
static const struct {
    const char *key, *option;
} special[] = {{"probe.inputs.variance", "--input-variance"}};

const char *eoc_cli_option(const char *key, char out[EOC_CLI_OPTION_BYTES])
{
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        if (strcmp(key, special[i].key) == 0) {
            snprintf(out, EOC_CLI_OPTION_BYTES, "%s", special[i].option);
            return out;
        }
    }
    const char *dot = strrchr(key, '.');
    snprintf(out, EOC_CLI_OPTION_BYTES, "--%s", dot ? dot + 1 : key);
    for (char *c = out; *c; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    return out;
}

static const eoc_key_row *find_key(const char *name)
{
    for (int row = 0; row < eoc_config_key_count(); row++) {
        if (strcmp(eoc_config_key_row(row)->name, name) == 0) {
            return eoc_config_key_row(row);
        }
    }
    return NULL;
}

/* A number where the key wants one: a sweep file would also take lists and generators there. */
static eoc_status check_number(const char *key, const char *text)
{
    const eoc_key_row *row = find_key(key);
    char option[EOC_CLI_OPTION_BYTES], low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    double value = 0.0;
    const bool takes_number = row && row->max > row->min;
    EOC_REQUIRE(!takes_number || eoc_text_to_double(text, &value), EOC_ERR_USAGE,
                "%s: '%.60s' is not a finite decimal number; accepted: a number from %s to %s",
                eoc_cli_option(key, option), text, eoc_text_number(row->min, low), eoc_text_number(row->max, high));
    return EOC_OK;
}

/* "--set grid.depth=0: grid.depth: 0 is out of range" as "--depth: 0 is out of range"; only the first line. */
static eoc_status in_words_of_options(const char *errors, const char *const *keys, int count)
{
    const int length = (int)strcspn(errors, "\n");
    for (int i = 0; i < count; i++) {
        char mark[160], option[EOC_CLI_OPTION_BYTES];
        snprintf(mark, sizeof mark, ": %s: ", keys[i]);
        const char *found = strstr(errors, mark);
        if (found && found < errors + length) {
            const char *sentence = found + strlen(mark);
            return EOC_FAIL(EOC_ERR_USAGE, "%s: %.*s", eoc_cli_option(keys[i], option),
                            (int)(errors + length - sentence), sentence);
        }
    }
    return EOC_FAIL(EOC_ERR_USAGE, "%.*s", length, errors);
}

eoc_status eoc_cli_point_sweep(const char *const *keys, const char *const *texts, int count, eoc_sweep *sweep)
{
    eoc_text sets[32] = {{0}}, errors = {0};
    const char *list[32] = {NULL};
    int num_sets = 0;
    for (int i = 0; i < count; i++) {
        if (texts[i]) {
            EOC_TRY(check_number(keys[i], texts[i]));
        }
    }
    for (int i = 0; i < count && num_sets < 32; i++) {
        if (texts[i]) {
            eoc_text_append(&sets[num_sets], "%s=%s", keys[i], texts[i]);
            list[num_sets] = sets[num_sets].data;
            num_sets++;
        }
    }
    eoc_status status = eoc_config_read("-", list, num_sets, sweep, &errors);
    if (status != EOC_OK) {
        status = in_words_of_options(errors.data, keys, count);
    } else if (eoc_grid_num_units(&sweep->grid) != 1.0) {
        eoc_sweep_clear(sweep);
        status = EOC_FAIL(EOC_ERR_USAGE, "one value of each option, not a list: several points are a sweep file's");
    }
    for (int i = 0; i < num_sets; i++) {
        eoc_text_clear(&sets[i]);
    }
    eoc_text_clear(&errors);
    return status;
}

const char *eoc_cli_stability(double chi_q, bool half_stable)
{
    if (half_stable) {
        return "half-stable";
    }
    const double slope = fabs(chi_q);
    return isnan(slope) || fabs(slope - 1.0) < 1e-9 ? "marginal" : slope < 1.0 ? "stable" : "unstable";
}
