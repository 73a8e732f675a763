/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the section `grid`, made from the axis table: an axis is a row there, and nothing is said twice. */
#include "eoc/generator.h"
#include "eoc/grid.h"
#include "eoc/key.h"

#include <stdio.h>
#include <stdlib.h>

static eoc_key_row keys[EOC_NUM_AXES];

static eoc_axis_id id_of(const eoc_key_row *row)
{
    return (eoc_axis_id)(row - keys);
}

/* -- reading -- */

/* What one axis is read into, and how many more values its generators may make, used or not: a bound on the time. */
typedef struct {
    eoc_axis *axis;
    eoc_axis_id id;
    int left;
} reader;

static eoc_status add_generated(reader *r, const char *text)
{
    int count = 0;
    double *values = NULL;
    EOC_TRY(eoc_generator_expand(text, r->left, &count, &values));
    r->left -= count;
    if (eoc_axis_row_of(r->id)->type == EOC_AXIS_INTEGER) {
        count = eoc_generator_whole(values, count);
    }
    eoc_status status = EOC_OK;
    for (int i = 0; i < count && status == EOC_OK; i++) {
        status = eoc_axis_add_value(r->axis, r->id, values[i]);
    }
    free(values);
    return status;
}

static void append_accepted(eoc_axis_id id, eoc_text *out)
{
    const eoc_axis_row *axis = eoc_axis_row_of(id);
    if (axis->type == EOC_AXIS_KIND) {
        const eoc_kind_table *table = axis->kinds();
        for (int row = 0; row < table->count; row++) {
            eoc_text_append(out, "%s%s", row ? ", " : "", table->name(row));
        }
        eoc_text_append(out, "; or a list of them");
        return;
    }
    char low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    eoc_text_append(out, "%s from %s to %s, a list of them, or %s",
                    axis->type == EOC_AXIS_INTEGER ? "a whole number" : "a number", eoc_text_number(axis->min, low),
                    eoc_text_number(axis->max, high), eoc_generator_usage());
}

static eoc_status not_a_number(eoc_axis_id id, const char *text)
{
    eoc_text accepted = {0};
    append_accepted(id, &accepted);
    const eoc_status status =
        EOC_FAIL(EOC_ERR_USAGE, "'%.60s' is not a finite decimal number; accepted: %s", text, accepted.data);
    eoc_text_clear(&accepted);
    return status;
}

static eoc_status add_text(reader *r, const char *text)
{
    if (eoc_axis_row_of(r->id)->type == EOC_AXIS_KIND) {
        return eoc_axis_add_name(r->axis, r->id, text);
    }
    double value = 0.0;
    if (eoc_generator_is_call(text)) {
        return add_generated(r, text);
    }
    return eoc_text_to_double(text, &value) ? eoc_axis_add_value(r->axis, r->id, value) : not_a_number(r->id, text);
}

/* A replica of n stands for 0..n-1. */
static eoc_status add_replicas(reader *r, const char *text)
{
    double count = 0.0;
    if (!eoc_text_to_double(text, &count)) {
        return not_a_number(r->id, text);
    }
    EOC_REQUIRE(count >= 1.0 && count <= EOC_MAX_AXIS_COUNT && count == (int)count, EOC_ERR_USAGE,
                "'%.60s' is not a number of replicas; accepted: a whole number from 1 to %d, or a list that names them",
                text, EOC_MAX_AXIS_COUNT);
    for (int i = 0; i < (int)count; i++) {
        EOC_TRY(eoc_axis_add_value(r->axis, r->id, i));
    }
    return EOC_OK;
}

/* The text that made value `which`; ends[i] is how many values there were after text i. */
static int item_of(const int *ends, int which)
{
    int item = 0;
    while (ends[item] <= which) {
        item++;
    }
    return item;
}

static void axis_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_grid *grid = section;
    reader r = {&grid->axes[id_of(row)], id_of(row), EOC_MAX_AXIS_COUNT};
    eoc_axis_clear(r.axis);
    int *ends = malloc(sizeof *ends * (size_t)given->count);
    if (!ends) {
        given->mistake(given->context, 0, "no memory for this many values");
        return;
    }
    const bool is_count = r.id == EOC_AXIS_REPLICA && !given->is_list && !eoc_generator_is_call(given->texts[0]);
    bool go_on = true;
    for (int i = 0; i < given->count && go_on; i++) {
        const eoc_status status = is_count ? add_replicas(&r, given->texts[i]) : add_text(&r, given->texts[i]);
        if (status != EOC_OK) {
            go_on = given->mistake(given->context, i, eoc_status_why());
        }
        ends[i] = r.axis->count;
    }
    int which = 0;
    if (go_on && eoc_axis_check_duplicates(r.axis, &which) != EOC_OK) {
        given->mistake(given->context, item_of(ends, which), eoc_status_why());
    }
    free(ends);
}

/* -- spelling -- */

static void axis_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_grid *grid = section;
    const eoc_axis *axis = &grid->axes[id_of(row)];
    char number[EOC_NUMBER_BYTES];
    eoc_text_append(out, "[");
    for (int i = 0; i < axis->count; i++) {
        eoc_text_append(out, "%s%s", i ? ", " : "",
                        axis->names ? axis->names[i] : eoc_text_number(axis->values[i], number));
    }
    eoc_text_append(out, "]");
}

static void axis_accepts(const eoc_key_row *row, eoc_text *out)
{
    append_accepted(id_of(row), out);
}

const eoc_key_row *eoc_grid_key_rows(int *count)
{
    static const eoc_key_type axis_type = {
        .takes_list = true, .read = axis_read, .spell = axis_spell, .accepts = axis_accepts};
    static char names[EOC_NUM_AXES][64];
    for (int id = 0; id < EOC_NUM_AXES && !keys[id].name; id++) {
        const eoc_axis_row *axis = eoc_axis_row_of((eoc_axis_id)id);
        snprintf(names[id], sizeof names[id], "grid.%s", axis->name);
        keys[id] = (eoc_key_row){.name = names[id],
                                 .type = &axis_type,
                                 .offset = offsetof(eoc_grid, axes) + (size_t)id * sizeof(eoc_axis),
                                 .min = axis->min,
                                 .max = axis->max,
                                 .fallback = axis->fallback,
                                 .identity = true,
                                 .help = axis->help};
    }
    *count = EOC_NUM_AXES;
    return keys;
}
