/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/plan.h"

#include "eoc/cost.h"

#include "eoc/rng.h"

#include <stdlib.h>

static const double LEAST_SLICE_SECONDS = 1e-3;

bool eoc_plan_is_pending(int8_t status)
{
    return status == EOC_PENDING || status == EOC_RUNNING;
}

/* Units of one cell are consecutive: the axes after depth vary fastest. */
static int64_t units_per_cell(const eoc_grid *grid)
{
    int64_t count = 1;
    for (int id = EOC_AXIS_DEPTH + 1; id < EOC_NUM_AXES; id++) {
        count *= grid->axes[id].count;
    }
    return count;
}

static double unit_seconds(const eoc_grid *grid, const eoc_probe *probe, int64_t unit)
{
    const eoc_unit u = eoc_grid_get(grid, 0, unit);
    return eoc_unit_seconds(probe, &u.network);
}

static int64_t count_pending(const int8_t *status, int64_t first, int64_t end)
{
    if (!status) {
        return end - first;
    }
    int64_t count = 0;
    for (int64_t unit = first; unit < end; unit++) {
        count += eoc_plan_is_pending(status[unit]);
    }
    return count;
}

typedef struct {
    eoc_plan *plan;
    int64_t capacity;
} builder;

static eoc_status add_slice(builder *b, int64_t first, int64_t end, int64_t pending, double seconds)
{
    if (b->plan->num_slices == b->capacity) {
        const int64_t capacity = b->capacity ? 2 * b->capacity : 64;
        eoc_slice *larger = realloc(b->plan->slices, sizeof *larger * (size_t)capacity);
        EOC_REQUIRE(larger, EOC_ERR_NOMEM, "out of memory for the plan");
        b->plan->slices = larger;
        b->capacity = capacity;
    }
    b->plan->slices[b->plan->num_slices++] =
        (eoc_slice){.first = first, .end = end, .pending = pending, .seconds = seconds};
    return EOC_OK;
}

/* Cuts one cell into slices of about `target` predicted seconds each. */
static eoc_status cut_cell(builder *b, const int8_t *status, int64_t first, int64_t end, double seconds, double target)
{
    const int64_t pending = count_pending(status, first, end);
    const double wanted = seconds * (double)pending / target;
    const int64_t pieces = wanted < 1.0 ? 1 : wanted > (double)pending ? pending : (int64_t)(wanted + 0.5);
    int64_t unit = first, taken = 0;
    for (int64_t piece = 0; piece < pieces && pending > 0; piece++) {
        const int64_t until = pending * (piece + 1) / pieces; /* pending units up to the end of this piece */
        const int64_t from = unit, before = taken;
        for (; taken < until; unit++) {
            taken += !status || eoc_plan_is_pending(status[unit]);
        }
        EOC_TRY(add_slice(b, from, unit, taken - before, seconds * (double)(taken - before)));
    }
    return EOC_OK;
}

static int by_cost(const void *a, const void *b)
{
    const eoc_slice *x = a, *y = b;
    if (x->seconds != y->seconds) {
        return x->seconds < y->seconds ? 1 : -1;
    }
    return x->first < y->first ? -1 : x->first > y->first;
}

static void shuffle_slices(eoc_plan *plan, uint64_t seed)
{
    for (int64_t i = plan->num_slices - 1; i > 0; i--) {
        const uint32_t counter[4] = {(uint32_t)i, 0, 0, 0};
        uint32_t word[4];
        eoc_rng_block((eoc_key){{(uint32_t)seed, (uint32_t)(seed >> 32)}}, counter, word);
        const int64_t j = (int64_t)(word[0] % (uint64_t)(i + 1));
        const eoc_slice kept = plan->slices[i];
        plan->slices[i] = plan->slices[j];
        plan->slices[j] = kept;
    }
}

/* Each slice to the rank with the least so far: with the dearest first, the LPT rule of Graham 1969. */
static eoc_status deal(eoc_plan *plan, int num_ranks)
{
    double *load = calloc((size_t)num_ranks, sizeof *load);
    EOC_REQUIRE(load, EOC_ERR_NOMEM, "out of memory for the plan");
    plan->makespan = 0.0;
    for (int64_t i = 0; i < plan->num_slices; i++) {
        int least = 0;
        for (int rank = 1; rank < num_ranks; rank++) {
            least = load[rank] < load[least] ? rank : least;
        }
        plan->slices[i].rank = least;
        load[least] += plan->slices[i].seconds;
        plan->makespan = load[least] > plan->makespan ? load[least] : plan->makespan;
    }
    free(load);
    return EOC_OK;
}

static eoc_status build(const eoc_grid *grid, const eoc_probe *probe, const int8_t *status, int num_ranks,
                        eoc_plan *plan)
{
    const int64_t cell = units_per_cell(grid);
    for (int64_t first = 0; first < plan->num_units; first += cell) {
        const int64_t pending = count_pending(status, first, first + cell);
        plan->num_pending += pending;
        plan->seconds += pending ? (double)pending * unit_seconds(grid, probe, first) : 0.0;
    }
    /* Four slices a rank come out even; below a millisecond a slice is not worth its own commit. */
    const double even = plan->seconds / (4.0 * num_ranks);
    const double target = even > LEAST_SLICE_SECONDS ? even : LEAST_SLICE_SECONDS;
    builder b = {.plan = plan};
    for (int64_t first = 0; first < plan->num_units; first += cell) {
        EOC_TRY(cut_cell(&b, status, first, first + cell, unit_seconds(grid, probe, first), target));
    }
    return EOC_OK;
}

eoc_status eoc_plan_create(const eoc_grid *grid, const eoc_probe *probe, const int8_t *status, int num_ranks,
                           uint64_t shuffle, eoc_plan *plan)
{
    *plan = (eoc_plan){.num_units = (int64_t)eoc_grid_num_units(grid)};
    eoc_status built = build(grid, probe, status, num_ranks, plan);
    if (built == EOC_OK) {
        qsort(plan->slices, (size_t)plan->num_slices, sizeof *plan->slices, by_cost);
        if (shuffle) {
            shuffle_slices(plan, shuffle);
        }
        built = deal(plan, num_ranks);
    }
    if (built != EOC_OK) {
        eoc_plan_clear(plan);
    }
    return built;
}

void eoc_plan_clear(eoc_plan *plan)
{
    free(plan->slices);
    *plan = (eoc_plan){0};
}
