/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/part.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

eoc_axis_id eoc_grid_longest_axis(const eoc_grid *grid, unsigned without)
{
    int longest = -1;
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const bool longer = longest < 0 || grid->axes[id].count > grid->axes[longest].count;
        longest = !(without >> id & 1u) && longer ? id : longest;
    }
    assert(longest >= 0);
    return (eoc_axis_id)longest;
}

void eoc_axis_keep_every(eoc_axis *axis, int first, int step)
{
    assert(first >= 0 && first < axis->count && step >= 1);
    int kept = 0;
    for (int i = 0; i < axis->count; i++) {
        const bool keep = i >= first && (i - first) % step == 0;
        if (axis->values && keep) {
            axis->values[kept] = axis->values[i];
        } else if (axis->names && keep) {
            axis->names[kept] = axis->names[i];
        } else if (axis->names) {
            free(axis->names[i]);
        }
        kept += keep;
    }
    axis->count = kept;
}

/* -- values, sorted to be found -- */

typedef struct {
    double value;
    const char *name; /* NULL on number axes */
    int index;
} item;

static int by_value(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return x->name ? strcmp(x->name, y->name) : (x->value > y->value) - (x->value < y->value);
}

static int by_value_then_index(const void *a, const void *b)
{
    const item *x = a, *y = b;
    const int order = by_value(a, b);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_index(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static item item_of(const eoc_axis *axis, int i, int index)
{
    return (item){axis->values ? axis->values[i] : 0.0, axis->names ? axis->names[i] : NULL, index};
}

static item *allocate(int64_t count)
{
    item *items = malloc(sizeof *items * (size_t)(count > 0 ? count : 1));
    if (!items) {
        (void)EOC_FAIL(EOC_ERR_NOMEM, "no memory for an axis of %lld values", (long long)count);
    }
    return items;
}

eoc_status eoc_axis_places(const eoc_axis *axis, const eoc_axis *wanted, int *places)
{
    item *sorted = allocate(axis->count);
    if (!sorted) {
        return EOC_ERR_NOMEM;
    }
    for (int i = 0; i < axis->count; i++) {
        sorted[i] = item_of(axis, i, i);
    }
    qsort(sorted, (size_t)axis->count, sizeof *sorted, by_value_then_index);
    for (int i = 0; i < wanted->count; i++) {
        const item key = item_of(wanted, i, i);
        const item *found = bsearch(&key, sorted, (size_t)axis->count, sizeof *sorted, by_value);
        places[i] = found ? found->index : -1;
    }
    free(sorted);
    return EOC_OK;
}

/* Whether every value of `wanted` is on `axis`. */
static eoc_status has_all(const eoc_axis *axis, const eoc_axis *wanted, bool *all)
{
    int *places = malloc(sizeof *places * (size_t)(wanted->count > 0 ? wanted->count : 1));
    EOC_REQUIRE(places, EOC_ERR_NOMEM, "no memory for an axis of %d values", wanted->count);
    const eoc_status status = eoc_axis_places(axis, wanted, places);
    *all = status == EOC_OK;
    for (int i = 0; i < wanted->count && *all; i++) {
        *all = places[i] >= 0;
    }
    free(places);
    return status;
}

eoc_status eoc_grid_same_values(const eoc_grid *a, const eoc_grid *b, bool *same)
{
    *same = true;
    for (int id = 0; id < EOC_NUM_AXES && *same; id++) {
        *same = a->axes[id].count == b->axes[id].count;
        if (*same) {
            EOC_TRY(has_all(&a->axes[id], &b->axes[id], same)); /* no axis has a value twice */
        }
    }
    return EOC_OK;
}

/* -- unions -- */

/* 1 where the values of every grid's axis rise, -1 where they fall, 0 otherwise; one value does either. */
static int common_direction(const eoc_grid *const *grids, int num_grids, eoc_axis_id id)
{
    bool rising = true, falling = true;
    for (int g = 0; g < num_grids; g++) {
        const eoc_axis *axis = &grids[g]->axes[id];
        for (int i = 1; i < axis->count; i++) {
            rising = rising && axis->values && axis->values[i] > axis->values[i - 1];
            falling = falling && axis->values && axis->values[i] < axis->values[i - 1];
        }
        rising = rising && axis->values;
        falling = falling && axis->values;
    }
    return rising ? 1 : falling ? -1 : 0;
}

/* The different values of all grids, ascending, each with where it first appears; returns how many. */
static int different_values(const eoc_grid *const *grids, int num_grids, eoc_axis_id id, item *items)
{
    int total = 0, kept = 0;
    for (int g = 0; g < num_grids; g++) {
        const eoc_axis *axis = &grids[g]->axes[id];
        for (int i = 0; i < axis->count; i++, total++) {
            items[total] = item_of(axis, i, total);
        }
    }
    qsort(items, (size_t)total, sizeof *items, by_value_then_index);
    for (int i = 0; i < total; i++) {
        if (kept == 0 || by_value(&items[kept - 1], &items[i]) != 0) {
            items[kept++] = items[i];
        }
    }
    return kept;
}

static eoc_status add_item(eoc_axis *axis, eoc_axis_id id, const item *value)
{
    return value->name ? eoc_axis_add_name(axis, id, value->name) : eoc_axis_add_value(axis, id, value->value);
}

static eoc_status union_axis(const eoc_grid *const *grids, int num_grids, eoc_axis_id id, eoc_axis *result)
{
    int64_t total = 0;
    for (int g = 0; g < num_grids; g++) {
        total += grids[g]->axes[id].count;
    }
    EOC_REQUIRE(total <= INT32_MAX, EOC_ERR_USAGE, "too many values of %s to merge", eoc_axis_row_of(id)->name);
    item *items = allocate(total);
    if (!items) {
        return EOC_ERR_NOMEM;
    }
    const int count = different_values(grids, num_grids, id, items);
    const int direction = common_direction(grids, num_grids, id);
    if (direction == 0) {
        qsort(items, (size_t)count, sizeof *items, by_index);
    }
    eoc_status status = EOC_OK;
    for (int i = 0; i < count && status == EOC_OK; i++) {
        status = add_item(result, id, &items[direction < 0 ? count - 1 - i : i]);
    }
    free(items);
    return status;
}

/* Puts the values of an axis into the order of another that has them all. */
static eoc_status reorder(const eoc_axis *order, eoc_axis_id id, eoc_axis *axis)
{
    int *places = malloc(sizeof *places * (size_t)order->count);
    EOC_REQUIRE(places, EOC_ERR_NOMEM, "no memory for an axis of %d values", order->count);
    eoc_axis sorted = {0};
    eoc_status status = eoc_axis_places(axis, order, places);
    for (int i = 0; i < order->count && status == EOC_OK; i++) {
        if (places[i] >= 0) {
            const item value = item_of(order, i, i);
            status = add_item(&sorted, id, &value);
        }
    }
    free(places);
    if (status != EOC_OK || sorted.count != axis->count) {
        eoc_axis_clear(&sorted);
        return status;
    }
    eoc_axis_clear(axis);
    *axis = sorted;
    return EOC_OK;
}

eoc_status eoc_grid_union(const eoc_grid *const *grids, int num_grids, const eoc_grid *order, eoc_grid *result)
{
    *result = (eoc_grid){0};
    eoc_status status = EOC_OK;
    for (int id = 0; id < EOC_NUM_AXES && status == EOC_OK; id++) {
        status = union_axis(grids, num_grids, (eoc_axis_id)id, &result->axes[id]);
        if (status == EOC_OK && order) {
            status = reorder(&order->axes[id], (eoc_axis_id)id, &result->axes[id]);
        }
    }
    if (status != EOC_OK) {
        eoc_grid_clear(result);
    }
    return status;
}
