/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/simulate.h"

#include <math.h>
#include <stdlib.h>

/* -- cells -- */

static int by_cost(const void *a, const void *b)
{
    const eoc_cell *x = a, *y = b;
    if (x->seconds != y->seconds) {
        return x->seconds < y->seconds ? 1 : -1;
    }
    return x->cell < y->cell ? -1 : x->cell > y->cell;
}

void eoc_cells_sort(eoc_cell *cells, int64_t count)
{
    qsort(cells, (size_t)count, sizeof *cells, by_cost);
}

eoc_status eoc_cells_create(const eoc_grid *grid, const eoc_probe *probe, const eoc_cost *cost, const int8_t *status,
                            eoc_cell **cells, int64_t *num_cells)
{
    int64_t per_cell = 1;
    for (int id = EOC_AXIS_DEPTH + 1; id < EOC_NUM_AXES; id++) {
        per_cell *= grid->axes[id].count;
    }
    const int64_t count = (int64_t)eoc_grid_num_units(grid) / per_cell;
    eoc_cell *list = malloc(sizeof *list * (size_t)count);
    EOC_REQUIRE(list, EOC_ERR_NOMEM, "out of memory for the plan");
    *num_cells = 0;
    for (int64_t cell = 0; cell < count; cell++) {
        int64_t pending = status ? 0 : per_cell;
        for (int64_t unit = cell * per_cell; status && unit < (cell + 1) * per_cell; unit++) {
            pending += eoc_plan_is_pending(status[unit]);
        }
        if (pending > 0) {
            const double seconds = eoc_cost_seconds(cost, grid, probe, cell * per_cell);
            list[(*num_cells)++] = (eoc_cell){.cell = cell, .units = pending, .seconds = seconds, .actual = seconds};
        }
    }
    eoc_cells_sort(list, *num_cells);
    *cells = list;
    return EOC_OK;
}

/* -- the deal -- */

void eoc_deal_begin(const eoc_cell *cells, int64_t num_cells, eoc_deal *deal)
{
    *deal = (eoc_deal){.cells = cells, .num_cells = num_cells, .cheap = num_cells - 1};
    for (int64_t i = 0; i < num_cells; i++) {
        deal->total += (double)cells[i].units * cells[i].seconds;
    }
    deal->remaining = deal->total;
}

eoc_dealt eoc_deal_take(eoc_deal *deal, int num_ranks, int rank)
{
    if (deal->dear > deal->cheap) {
        return (eoc_dealt){0};
    }
    const eoc_share share = eoc_plan_share(deal->remaining, deal->total, num_ranks, rank);
    const bool last_cell = deal->dear == deal->cheap;
    const int64_t at = share.cheap_end ? deal->cheap : deal->dear;
    const eoc_cell *cell = &deal->cells[at];
    const int64_t front = at == deal->dear ? deal->dear_taken : 0;
    const int64_t back = cell->units - (at == deal->cheap ? deal->cheap_taken : 0);
    const int64_t units = eoc_plan_share_units(&share, cell->seconds, back - front);
    const bool emptied = units == back - front;
    eoc_dealt slice = {.cell = at, .first = front, .end = front + units};
    if (share.cheap_end) {
        slice = (eoc_dealt){.cell = at, .first = back - units, .end = back};
        deal->cheap_taken = emptied ? 0 : deal->cheap_taken + units;
        deal->cheap -= emptied;
    } else {
        deal->dear_taken = emptied ? 0 : deal->dear_taken + units;
        deal->dear += emptied;
    }
    if (emptied && last_cell) {
        deal->dear = deal->num_cells; /* nothing is left, from either end */
        deal->cheap = deal->num_cells - 1;
    }
    deal->remaining = fmax(0.0, deal->remaining - (double)units * cell->seconds);
    return slice;
}

/* -- events: a rank's message to rank 0, or rank 0 at the end of a slice of its own -- */

typedef struct {
    double time;
    int rank;
} event;

typedef struct {
    event *events; /* a heap, the earliest on top; at most one a rank */
    int count;
} queue;

static bool earlier(const event *a, const event *b)
{
    return a->time < b->time || (a->time == b->time && a->rank < b->rank);
}

static void put(queue *q, event e)
{
    int i = q->count++;
    while (i > 0 && earlier(&e, &q->events[(i - 1) / 2])) {
        q->events[i] = q->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->events[i] = e;
}

static event take(queue *q)
{
    const event top = q->events[0], last = q->events[--q->count];
    int i = 0;
    for (int child = 1; child < q->count; child = 2 * i + 1) {
        child += child + 1 < q->count && earlier(&q->events[child + 1], &q->events[child]);
        if (!earlier(&q->events[child], &last)) {
            break;
        }
        q->events[i] = q->events[child];
        i = child;
    }
    q->events[i] = last;
    return top;
}

/* -- the run -- */

typedef struct {
    const eoc_simulation_options *options;
    const eoc_cell *cells;
    eoc_deal deal;
    queue queue;
    double *busy_until; /* (num_ranks) until when a rank has work */
    double root_free;   /* rank 0 has answered everything so far */
    double stolen;      /* from rank 0's slice in hand, by answers */
    bool root_works;
    double ask_seconds;
    eoc_simulation *result;
} simulation;

static double actual_seconds(const simulation *s, const eoc_dealt *slice)
{
    return (double)(slice->end - slice->first) * s->cells[slice->cell].actual;
}

/* `rank` begins a slice as soon as it has it and is free; returns when it begins. */
static double work(simulation *s, int rank, const eoc_dealt *slice, double given)
{
    const double begin = fmax(given, s->busy_until[rank]), end = begin + actual_seconds(s, slice);
    s->busy_until[rank] = end;
    s->result->makespan = fmax(s->result->makespan, end);
    s->result->slices++;
    if (s->options->dealt) {
        s->options->dealt(s->options->context, rank, slice, begin, end);
    }
    return begin;
}

/* Rank 0's own work; answers since it took the slice have put its end off. */
static void root_event(simulation *s, double now)
{
    if (s->stolen > 0.0) {
        put(&s->queue, (event){now + s->stolen, 0});
        s->busy_until[0] = now + s->stolen;
        s->result->makespan = fmax(s->result->makespan, s->busy_until[0]);
        s->stolen = 0.0;
        return;
    }
    const eoc_dealt slice = eoc_deal_take(&s->deal, s->options->num_ranks, 0);
    s->root_works = slice.end > slice.first;
    if (s->root_works) {
        work(s, 0, &slice, now);
        put(&s->queue, (event){s->busy_until[0], 0});
    }
}

/* A message that came at `now` is answered at rank 0's next tick; a rank at rest has nothing else to do. */
static void answer(simulation *s, int rank, double now)
{
    const double tick = s->options->tick_seconds;
    const double seen = s->root_works && tick > 0.0 ? ceil(now / tick) * tick : now;
    s->root_free = fmax(s->root_free, seen) + s->options->answer_seconds;
    s->stolen += s->root_works ? s->options->answer_seconds : 0.0;
    const eoc_dealt slice = eoc_deal_take(&s->deal, s->options->num_ranks, rank);
    if (slice.end == slice.first) {
        return; /* it is told that nothing is left, and rests */
    }
    const double given = s->root_free + s->options->message_seconds;
    const double begin = work(s, rank, &slice, given);
    /* It asks again when so much predicted work is left of this slice, at once when it is shorter. */
    const double predicted = (double)(slice.end - slice.first) * s->cells[slice.cell].seconds;
    const double through = fmax(0.0, 1.0 - s->ask_seconds / predicted);
    put(&s->queue, (event){begin + through * (s->busy_until[rank] - begin) + s->options->message_seconds, rank});
}

static void play(simulation *s)
{
    const int num_ranks = s->options->num_ranks;
    for (int rank = 1; rank < num_ranks; rank++) {
        put(&s->queue, (event){s->options->message_seconds, rank});
    }
    put(&s->queue, (event){0.0, 0});
    while (s->queue.count > 0) {
        const event e = take(&s->queue);
        if (e.rank == 0) {
            root_event(s, e.time);
        } else {
            answer(s, e.rank, e.time);
        }
    }
}

eoc_simulation_options eoc_simulation_defaults(int num_ranks)
{
    return (eoc_simulation_options){
        .num_ranks = num_ranks, .tick_seconds = 0.1, .message_seconds = 2e-5, .answer_seconds = 2e-6};
}

eoc_status eoc_simulate(const eoc_cell *cells, int64_t num_cells, const eoc_simulation_options *options,
                        eoc_simulation *result)
{
    *result = (eoc_simulation){.efficiency = 1.0};
    simulation s = {.options = options, .cells = cells, .result = result};
    for (int64_t i = 0; i < num_cells; i++) {
        result->total += (double)cells[i].units * cells[i].actual;
        result->dearest = fmax(result->dearest, cells[i].actual);
    }
    eoc_deal_begin(cells, num_cells, &s.deal);
    s.ask_seconds = eoc_plan_ask_seconds(s.deal.total, options->num_ranks);
    s.queue.events = malloc(sizeof *s.queue.events * (size_t)options->num_ranks);
    s.busy_until = calloc((size_t)options->num_ranks, sizeof *s.busy_until);
    const bool enough = s.queue.events && s.busy_until;
    if (enough) {
        play(&s);
        if (result->makespan > 0.0) {
            result->efficiency = fmax(result->total / options->num_ranks, result->dearest) / result->makespan;
        }
    }
    free(s.queue.events);
    free(s.busy_until);
    EOC_REQUIRE(enough, EOC_ERR_NOMEM, "out of memory for %d ranks", options->num_ranks);
    return EOC_OK;
}
