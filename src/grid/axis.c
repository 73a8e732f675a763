/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/grid.h"

#include "eoc/text.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const eoc_axis_row rows[EOC_NUM_AXES] = {
    [EOC_AXIS_ARCHITECTURE] = {.name = "architecture",
                               .units = "1",
                               .long_name = "architecture of the network",
                               .type = EOC_AXIS_KIND,
                               .kinds = eoc_architecture_table,
                               .fallback = "fully_connected",
                               .help = "how one layer maps to the next: z^l = W^l h^(l-1) + b^l, h^l = phi(z^l)"},
    [EOC_AXIS_ACTIVATION] = {.name = "activation",
                             .units = "1",
                             .long_name = "activation function",
                             .type = EOC_AXIS_KIND,
                             .kinds = eoc_activation_table,
                             .help = "phi in h^l = phi(z^l)"},
    [EOC_AXIS_INITIALIZER] = {.name = "initializer",
                              .units = "1",
                              .long_name = "law of the weights at initialisation",
                              .type = EOC_AXIS_KIND,
                              .kinds = eoc_initializer_table,
                              .fallback = "gaussian",
                              .help = "law of the entries of W^l, and the scale v that weight_variance multiplies"},
    [EOC_AXIS_WIDTH] = {.name = "width",
                        .units = "1",
                        .long_name = "width of every layer",
                        .type = EOC_AXIS_INTEGER,
                        .min = 1.0,
                        .max = 1e8,
                        .fallback = "1000",
                        .help = "N, the number of units of a layer: z^l and h^l have N entries"},
    [EOC_AXIS_DEPTH] = {.name = "depth",
                        .units = "1",
                        .long_name = "number of layers",
                        .type = EOC_AXIS_INTEGER,
                        .min = 1.0,
                        .max = 1e6,
                        .fallback = "50",
                        .help = "L, the number of layers: l = 1..L"},
    [EOC_AXIS_WEIGHT_VARIANCE] = {.name = "weight_variance",
                                  .units = "1",
                                  .long_name = "weight variance in units of the initializer's own",
                                  .type = EOC_AXIS_NUMBER,
                                  .min = 0.0,
                                  .max = 1e6,
                                  .help = "sigma_w^2 in Var(W_ij) = sigma_w^2 v, v = 1/N for gaussian"},
    [EOC_AXIS_BIAS_VARIANCE] = {.name = "bias_variance",
                                .units = "1",
                                .long_name = "bias variance",
                                .type = EOC_AXIS_NUMBER,
                                .min = 0.0,
                                .max = 1e6,
                                .fallback = "0",
                                .help = "sigma_b^2 in b_i ~ N(0, sigma_b^2)"},
    [EOC_AXIS_REPLICA] = {.name = "replica",
                          .units = "1",
                          .long_name = "replica: one independent network",
                          .type = EOC_AXIS_INTEGER,
                          .min = 0.0,
                          .max = 1e9,
                          .fallback = "1",
                          .help = "independent networks of every point: n stands for 0..n-1, a list names them"},
};

const eoc_axis_row *eoc_axis_row_of(eoc_axis_id id)
{
    assert((unsigned)id < EOC_NUM_AXES);
    return &rows[id];
}

/* -- adding -- */

/* The capacity is not stored: an array of `count` items has room up to the next power of two, at least 8. */
static eoc_status make_room(void **items, int count, size_t item_bytes)
{
    EOC_REQUIRE(count < EOC_MAX_AXIS_COUNT, EOC_ERR_USAGE, "more than %d values; an axis holds at most that many",
                EOC_MAX_AXIS_COUNT);
    const bool full = count == 0 || (count >= 8 && (count & (count - 1)) == 0);
    if (full) {
        const size_t capacity = count == 0 ? 8 : 2 * (size_t)count;
        void *grown = realloc(*items, capacity * item_bytes);
        EOC_REQUIRE(grown, EOC_ERR_NOMEM, "no memory for an axis of %d values", count);
        *items = grown;
    }
    return EOC_OK;
}

eoc_status eoc_axis_add_value(eoc_axis *axis, eoc_axis_id id, double value)
{
    const eoc_axis_row *row = eoc_axis_row_of(id);
    assert(row->type != EOC_AXIS_KIND);
    const double fixed = eoc_text_round(value);
    char text[EOC_NUMBER_BYTES], low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    const bool whole = row->type == EOC_AXIS_INTEGER;
    EOC_REQUIRE(fixed >= row->min && fixed <= row->max, EOC_ERR_USAGE, "%s is out of range; accepted: %s from %s to %s",
                eoc_text_number(fixed, text), whole ? "whole numbers" : "numbers", eoc_text_number(row->min, low),
                eoc_text_number(row->max, high));
    EOC_REQUIRE(!whole || fixed == floor(fixed), EOC_ERR_USAGE,
                "%s is not a whole number; accepted: whole numbers from %s to %s", eoc_text_number(fixed, text),
                eoc_text_number(row->min, low), eoc_text_number(row->max, high));
    void *values = axis->values;
    const eoc_status status = make_room(&values, axis->count, sizeof *axis->values);
    axis->values = values;
    if (status == EOC_OK) {
        axis->values[axis->count++] = fixed;
    }
    return status;
}

eoc_status eoc_axis_add_name(eoc_axis *axis, eoc_axis_id id, const char *name)
{
    const eoc_axis_row *row = eoc_axis_row_of(id);
    assert(row->type == EOC_AXIS_KIND);
    const eoc_kind_table *table = row->kinds();
    int kind = 0;
    double parameters[EOC_MAX_PARAMETERS];
    char spelling[EOC_MAX_KIND_BYTES];
    EOC_TRY(eoc_kind_parse(table, name, &kind, parameters));
    eoc_kind_spell(table, kind, parameters, spelling);
    void *names = axis->names;
    const eoc_status status = make_room(&names, axis->count, sizeof *axis->names);
    axis->names = names;
    if (status == EOC_OK) {
        axis->names[axis->count++] = eoc_text_copy(spelling, sizeof spelling);
    }
    return status;
}

/* -- duplicates -- */

typedef struct {
    double value;
    const char *name; /* NULL on number axes */
    int index;
} indexed;

static int compare(const indexed *x, const indexed *y)
{
    if (x->name) {
        return strcmp(x->name, y->name);
    }
    return (x->value > y->value) - (x->value < y->value);
}

static int by_value_then_index(const void *a, const void *b)
{
    const indexed *x = a, *y = b;
    const int order = compare(x, y);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Generated values are: they need no sorting. */
static bool is_monotone(const double *values, int count)
{
    bool rising = true, falling = true;
    for (int i = 1; i < count && (rising || falling); i++) {
        rising = rising && values[i] > values[i - 1];
        falling = falling && values[i] < values[i - 1];
    }
    return rising || falling;
}

eoc_status eoc_axis_check_duplicates(const eoc_axis *axis, int *which)
{
    if (axis->count < 2 || (axis->values && is_monotone(axis->values, axis->count))) {
        return EOC_OK;
    }
    indexed *sorted = malloc(sizeof *sorted * (size_t)axis->count);
    EOC_REQUIRE(sorted, EOC_ERR_NOMEM, "no memory for an axis of %d values", axis->count);
    for (int i = 0; i < axis->count; i++) {
        sorted[i] = (indexed){axis->values ? axis->values[i] : 0.0, axis->names ? axis->names[i] : NULL, i};
    }
    qsort(sorted, (size_t)axis->count, sizeof *sorted, by_value_then_index);
    int first = axis->count;
    for (int i = 1; i < axis->count; i++) {
        if (sorted[i].index < first && compare(&sorted[i - 1], &sorted[i]) == 0) {
            first = sorted[i].index;
        }
    }
    free(sorted);
    if (first == axis->count) {
        return EOC_OK;
    }
    char number[EOC_NUMBER_BYTES];
    *which = first;
    return EOC_FAIL(EOC_ERR_USAGE, "%s is there twice; every value of an axis is named once",
                    axis->names ? axis->names[first] : eoc_text_number(axis->values[first], number));
}

/* -- the end -- */

void eoc_axis_clear(eoc_axis *axis)
{
    for (int i = 0; axis->names && i < axis->count; i++) {
        free(axis->names[i]);
    }
    free(axis->names);
    free(axis->values);
    *axis = (eoc_axis){0};
}

void eoc_grid_clear(eoc_grid *grid)
{
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        eoc_axis_clear(&grid->axes[id]);
    }
}
