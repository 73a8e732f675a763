/* SPDX-License-Identifier: BSD-3-Clause */
#include "point.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static eoc_status check_number(int option, const char *text)
{
    const eoc_key_row *row = find_key(eoc_cli_point_keys[option]);
    char low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    double value = 0.0;
    const bool takes_number = row && row->max > row->min;
    const bool is_number = takes_number && eoc_text_to_double(text, &value);
    EOC_REQUIRE(!is_number || (value >= row->min && value <= row->max), EOC_ERR_USAGE,
                "--%s: %.60s is out of range; accepted: a number from %s to %s", eoc_cli_point_names[option], text,
                eoc_text_number(row->min, low), eoc_text_number(row->max, high));
    EOC_REQUIRE(!takes_number || is_number, EOC_ERR_USAGE,
                "--%s: '%.60s' is not a finite decimal number; accepted: a number from %s to %s",
                eoc_cli_point_names[option], text, eoc_text_number(row->min, low), eoc_text_number(row->max, high));
    return EOC_OK;
}

/* Keys as the options that stand for them. */
static void append_options(eoc_text *out, const char *sentence, int length)
{
    for (int at = 0; at < length;) {
        int key = 0;
        while (key < EOC_CLI_NUM_POINT_OPTIONS &&
               strncmp(sentence + at, eoc_cli_point_keys[key], strlen(eoc_cli_point_keys[key])) != 0) {
            key++;
        }
        if (key < EOC_CLI_NUM_POINT_OPTIONS) {
            eoc_text_append(out, "--%s", eoc_cli_point_names[key]);
            at += (int)strlen(eoc_cli_point_keys[key]);
        } else {
            eoc_text_append(out, "%c", sentence[at++]);
        }
    }
}

/* "--set grid.depth=0: grid.depth: 0 is out of range" as "--depth: 0 is out of range"; only the first line. */
static eoc_status in_words_of_options(const char *errors)
{
    const int length = (int)strcspn(errors, "\n");
    int from = 0;
    for (int i = 0; i < EOC_CLI_NUM_POINT_OPTIONS; i++) {
        char mark[160];
        snprintf(mark, sizeof mark, ": %s: ", eoc_cli_point_keys[i]);
        const char *found = strstr(errors, mark);
        if (found && found < errors + length) {
            from = (int)(found - errors) + 2;
            break;
        }
    }
    eoc_text words = {0};
    append_options(&words, errors + from, length - from);
    const eoc_status status = EOC_FAIL(EOC_ERR_USAGE, "%s", words.data ? words.data : "");
    eoc_text_clear(&words);
    return status;
}

eoc_status eoc_cli_point_sweep(const eoc_cli_point *point, eoc_sweep *sweep)
{
    eoc_text sets[EOC_CLI_NUM_POINT_OPTIONS] = {{0}}, errors = {0};
    const char *list[EOC_CLI_NUM_POINT_OPTIONS + 1] = {NULL};
    int num_sets = 0;
    for (int i = 0; i < EOC_CLI_NUM_POINT_OPTIONS; i++) {
        if (point->text[i]) {
            EOC_TRY(check_number(i, point->text[i]));
        }
    }
    for (int i = 0; i < EOC_CLI_NUM_POINT_OPTIONS; i++) {
        const char *text = point->text[i] ? point->text[i] : i == EOC_CLI_WEIGHT_VARIANCE ? "1" : NULL;
        if (text) {
            eoc_text_append(&sets[num_sets], "%s=%s", eoc_cli_point_keys[i], text);
            list[num_sets] = sets[num_sets].data;
            num_sets++;
        }
    }
    const int batch =
        point->text[EOC_CLI_POINTS] ? 1 : 0; /* independent inputs: those that batch normalization takes */
    list[num_sets] = batch ? "probe.inputs.kind=gaussian" : NULL;
    eoc_status status = eoc_config_read("-", list, num_sets + batch, sweep, &errors);
    if (status != EOC_OK) {
        status = in_words_of_options(errors.data);
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
