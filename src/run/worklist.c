/* SPDX-License-Identifier: BSD-3-Clause */
#include "worklist.h"

#include "eoc/rng.h"

#include <stdlib.h>
#include <string.h>

/* -- jobs -- */

eoc_job *eoc_job_create(eoc_job_kind kind, size_t payload_bytes)
{
    eoc_job *job = calloc(1, sizeof *job + payload_bytes);
    if (job) {
        job->kind = kind;
        job->payload_bytes = (int64_t)payload_bytes;
    }
    return job;
}

size_t eoc_job_bytes(const eoc_job *job)
{
    return sizeof *job + (size_t)job->payload_bytes;
}

const int8_t *eoc_job_attempts(const eoc_job *job)
{
    return job->payload_bytes ? (const int8_t *)(job + 1) : NULL;
}

const eoc_theory_point *eoc_job_points(const eoc_job *job)
{
    return (const eoc_theory_point *)(job + 1);
}

/* -- creation -- */

enum { MAX_ATTEMPTS_TOLD = INT8_MAX };

static int32_t attempts_of(const eoc_worklist *list, int64_t unit)
{
    return list->attempts ? list->attempts[unit] : 0;
}

typedef struct {
    int64_t unit;
    int32_t attempts;
} leftover;

static int by_attempts(const void *a, const void *b)
{
    const leftover *x = a, *y = b;
    if (x->attempts != y->attempts) {
        return x->attempts < y->attempts ? -1 : 1;
    }
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* Parts the units to do: pending ones into slices, those that were in hand when a run ended to the end. */
static eoc_status part_units(eoc_worklist *list, const int8_t *status)
{
    const size_t units = (size_t)eoc_grid_num_units(&list->sweep->grid);
    size_t filled = 0, count = 0;
    for (size_t unit = 0; unit < units; unit++) {
        count += status[unit] == EOC_RUNNING;
    }
    leftover *found = malloc(sizeof *found * (count + 1));
    list->in_slices = calloc(units, 1);
    list->leftovers = malloc(sizeof *list->leftovers * (count + 1));
    const bool enough = found && list->in_slices && list->leftovers;
    for (size_t unit = 0; unit < units && enough; unit++) {
        list->in_slices[unit] = status[unit] == EOC_PENDING;
        if (status[unit] == EOC_RUNNING) {
            found[filled++] = (leftover){(int64_t)unit, attempts_of(list, (int64_t)unit)};
        }
    }
    if (enough) {
        qsort(found, count, sizeof *found, by_attempts);
        for (size_t i = 0; i < count; i++) {
            list->leftovers[i] = found[i].unit;
            list->leftover_seconds +=
                eoc_cost_seconds(list->cost, &list->sweep->grid, &list->sweep->probe, found[i].unit);
        }
        list->num_leftovers = (int64_t)count;
    }
    free(found);
    EOC_REQUIRE(enough, EOC_ERR_NOMEM, "out of memory for the plan");
    return EOC_OK;
}

static eoc_status make_cells(eoc_worklist *list)
{
    const eoc_sweep *sweep = list->sweep;
    const size_t units = (size_t)eoc_grid_num_units(&sweep->grid);
    int8_t *status = NULL;
    if (list->in_slices) {
        status = malloc(units);
        EOC_REQUIRE(status, EOC_ERR_NOMEM, "out of memory for the plan");
        for (size_t unit = 0; unit < units; unit++) {
            status[unit] = list->in_slices[unit] ? EOC_PENDING : EOC_DONE;
        }
    }
    const eoc_status made =
        eoc_cells_create(&sweep->grid, &sweep->probe, list->cost, status, &list->cells, &list->num_cells);
    free(status);
    return made;
}

static void shuffle_cells(eoc_worklist *list, uint64_t seed)
{
    for (int64_t i = list->num_cells - 1; i > 0; i--) {
        const uint32_t counter[4] = {(uint32_t)i, 0, 0, 0};
        uint32_t word[4];
        eoc_rng_block((eoc_key){{(uint32_t)seed, (uint32_t)(seed >> 32)}}, counter, word);
        const int64_t j = (int64_t)(word[0] % (uint64_t)(i + 1));
        const eoc_cell kept = list->cells[i];
        list->cells[i] = list->cells[j];
        list->cells[j] = kept;
    }
}

static eoc_status build(const eoc_store_state *state, uint64_t shuffle, eoc_worklist *list)
{
    EOC_TRY(eoc_theory_points_list(list->sweep, state->theory_status, &list->points, &list->num_points));
    if (state->status) {
        EOC_TRY(part_units(list, state->status));
    }
    EOC_TRY(make_cells(list));
    if (shuffle) {
        shuffle_cells(list, shuffle);
    }
    list->num_pending = list->num_leftovers;
    for (int64_t i = 0; i < list->num_cells; i++) {
        list->num_pending += list->cells[i].units;
    }
    eoc_deal_begin(list->cells, list->num_cells, &list->deal);
    return EOC_OK;
}

eoc_status eoc_worklist_create(const eoc_sweep *sweep, const eoc_store_state *state, const eoc_cost *cost,
                               uint64_t shuffle, eoc_worklist *list)
{
    int64_t units_per_cell = 1;
    for (int id = EOC_AXIS_DEPTH + 1; id < EOC_NUM_AXES; id++) {
        units_per_cell *= sweep->grid.axes[id].count;
    }
    *list = (eoc_worklist){.sweep = sweep,
                           .attempts = state->attempts,
                           .units_per_cell = units_per_cell,
                           .front = {.cell = -1},
                           .back = {.cell = -1},
                           .cost = cost};
    const eoc_status status = build(state, shuffle, list);
    if (status != EOC_OK) {
        eoc_worklist_clear(list);
    }
    return status;
}

void eoc_worklist_clear(eoc_worklist *list)
{
    free(list->points);
    free(list->in_slices);
    free(list->cells);
    free(list->leftovers);
    *list = (eoc_worklist){0};
}

double eoc_worklist_seconds(const eoc_worklist *list)
{
    return list->deal.total + list->leftover_seconds;
}

/* -- units by their number among those to do in a cell -- */

static bool in_slice(const eoc_worklist *list, int64_t unit)
{
    return !list->in_slices || list->in_slices[unit];
}

/* The unit of that number; from where the last search ended, for slices of a cell follow one another. */
static int64_t find_unit(const eoc_worklist *list, eoc_worklist_cursor *at, const eoc_cell *cell, int64_t number,
                         bool from_the_back)
{
    const int64_t begin = cell->cell * list->units_per_cell, end = begin + list->units_per_cell;
    if (at->cell != cell->cell) {
        *at = from_the_back ? (eoc_worklist_cursor){cell->cell, cell->units, end}
                            : (eoc_worklist_cursor){cell->cell, -1, begin - 1};
    }
    while (at->number < number) {
        at->unit++;
        at->number += in_slice(list, at->unit);
    }
    while (at->number > number) {
        at->unit--;
        at->number -= in_slice(list, at->unit);
    }
    return at->unit;
}

/* -- handing out -- */

static eoc_job *job_of_units(const eoc_worklist *list, int64_t first, int64_t end, int64_t count, double unit_seconds)
{
    bool plain = count == end - first;
    for (int64_t unit = first; unit < end && plain; unit++) {
        plain = attempts_of(list, unit) == 0;
    }
    eoc_job *job = eoc_job_create(EOC_JOB_UNITS, plain ? 0 : (size_t)(end - first));
    if (job) {
        job->first = first;
        job->end = end;
        job->count = count;
        job->unit_seconds = unit_seconds;
    }
    return job;
}

static void fill_attempts(const eoc_worklist *list, bool slices, eoc_job *job)
{
    int8_t *const attempts = (int8_t *)(job + 1);
    for (int64_t i = 0; i < job->payload_bytes; i++) {
        const int32_t before = attempts_of(list, job->first + i);
        const bool wanted = !slices || in_slice(list, job->first + i);
        attempts[i] = (int8_t)(!wanted ? -1 : before > MAX_ATTEMPTS_TOLD ? MAX_ATTEMPTS_TOLD : before);
    }
}

static eoc_job *take_slice(eoc_worklist *list, int num_ranks, int rank)
{
    const eoc_dealt slice = eoc_deal_take(&list->deal, num_ranks, rank);
    const eoc_cell *cell = &list->cells[slice.cell];
    eoc_worklist_cursor *const at = rank == 0 ? &list->back : &list->front;
    int64_t first, last;
    if (rank == 0) { /* a slice from the back is walked downwards */
        last = find_unit(list, at, cell, slice.end - 1, true);
        first = find_unit(list, at, cell, slice.first, true);
    } else {
        first = find_unit(list, at, cell, slice.first, false);
        last = find_unit(list, at, cell, slice.end - 1, false);
    }
    eoc_job *job = job_of_units(list, first, last + 1, slice.end - slice.first, cell->seconds);
    if (job) {
        fill_attempts(list, true, job);
    }
    return job;
}

static eoc_job *take_leftover(eoc_worklist *list)
{
    const int64_t unit = list->leftovers[list->next_leftover++];
    const double seconds = eoc_cost_seconds(list->cost, &list->sweep->grid, &list->sweep->probe, unit);
    eoc_job *job = job_of_units(list, unit, unit + 1, 1, seconds);
    if (job) {
        fill_attempts(list, false, job);
    }
    return job;
}

/* Whole groups up to a share of what is left; rank 0 one group, for it has others to answer. */
static eoc_job *take_theory(eoc_worklist *list, int num_ranks, int rank)
{
    enum { MOST_POINTS = 4096 };
    const int64_t from = list->next_point, left = list->num_points - from;
    const int64_t even = left / (4 * (int64_t)num_ranks);
    const int64_t wanted = rank == 0 || even < 1 ? 1 : even > MOST_POINTS ? MOST_POINTS : even;
    int64_t to = from;
    while (to - from < wanted && to < list->num_points) {
        to = eoc_theory_points_group_end(list->points, list->num_points, to);
    }
    to = to - from > MOST_POINTS ? from + MOST_POINTS : to;
    const size_t bytes = sizeof *list->points * (size_t)(to - from);
    eoc_job *job = eoc_job_create(EOC_JOB_THEORY, bytes);
    if (job) {
        job->count = to - from;
        memcpy(job + 1, list->points + from, bytes);
        list->next_point = to;
    }
    return job;
}

eoc_job *eoc_worklist_take(eoc_worklist *list, int num_ranks, int rank)
{
    const bool theory = list->next_point < list->num_points && (rank != 0 || num_ranks == 1 || !list->slow_theory);
    eoc_job *job = NULL;
    if (theory) {
        job = take_theory(list, num_ranks, rank);
    } else if (list->deal.dear <= list->deal.cheap) {
        job = take_slice(list, num_ranks, rank);
    } else if (list->next_leftover < list->num_leftovers) {
        job = take_leftover(list);
    } else {
        job = eoc_job_create(EOC_JOB_NOTHING, 0);
    }
    if (job) {
        job->ask_seconds = eoc_plan_ask_seconds(eoc_worklist_seconds(list), num_ranks);
    }
    return job;
}
