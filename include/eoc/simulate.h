/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A run's hand-out, played through without computing anything: how long would so many ranks take, and how well would
 * they be used? Pure and serial: no MPI, no clock.
 *
 * Ranks ask rank 0 for slices by messages, one ahead of their work; rank 0 answers from inside its own work, whenever
 * its tick comes round. What is handed out is decided by eoc_deal_take, for the real ranks too.
 */
#ifndef EOC_SIMULATE_H
#define EOC_SIMULATE_H

#include "eoc/cost.h"
#include "eoc/grid.h"
#include "eoc/plan.h"

#include <stdint.h>

/** Units of one cell that are to be done. */
typedef struct {
    int64_t cell;   /* index of the cell in the grid */
    int64_t units;  /* > 0 */
    double seconds; /* predicted, of one unit, > 0: what the hand-out goes by */
    double actual;  /* what a unit takes in truth, > 0 */
} eoc_cell;

/** What is still to be handed out: cells in order of cost, taken from both ends. */
typedef struct {
    const eoc_cell *cells; /* (num_cells), dearest first, borrowed */
    int64_t num_cells;
    int64_t dear, cheap;             /* first and last cell with units left */
    int64_t dear_taken, cheap_taken; /* units gone from the front of the first and from the back of the last */
    double remaining;                /* predicted seconds */
    double total;                    /* at the beginning */
} eoc_deal;

/** Units of one cell: first .. end - 1 of those to be done there. Empty when nothing is left. */
typedef struct {
    int64_t cell; /* index in `cells` */
    int64_t first, end;
} eoc_dealt;

/** Dearest first, equal ones by place in the grid; what eoc_deal_begin wants. */
void eoc_cells_sort(eoc_cell *cells, int64_t count);

void eoc_deal_begin(const eoc_cell *cells, int64_t num_cells, eoc_deal *deal);

/** The next slice for a rank. Each unit is handed out once, whatever ranks ask in whatever order. */
eoc_dealt eoc_deal_take(eoc_deal *deal, int num_ranks, int rank);

typedef struct {
    int num_ranks;
    double tick_seconds;    /* rank 0 looks for messages at most so far apart while it works */
    double message_seconds; /* one way */
    double answer_seconds;  /* of rank 0's time */
    /** Called for every slice in the order of hand-out, unless NULL; for tests. */
    void (*dealt)(void *context, int rank, const eoc_dealt *slice, double begin, double end);
    void *context;
} eoc_simulation_options;

/** Of `num_ranks`, with the design's tick of 100 ms and a slow network's messages. */
eoc_simulation_options eoc_simulation_defaults(int num_ranks);

typedef struct {
    double makespan;   /* seconds until the last rank is done */
    double total;      /* seconds of all units, one after the other */
    double dearest;    /* seconds of the dearest unit */
    double efficiency; /* max(total/ranks, dearest)/makespan; 1 when there is nothing to do */
    int64_t slices;
} eoc_simulation;

/** Cost: O(slices log ranks). EOC_ERR_NOMEM where memory for the ranks is not there. */
eoc_status eoc_simulate(const eoc_cell *cells, int64_t num_cells, const eoc_simulation_options *options,
                        eoc_simulation *result);

/**
 * The cells of a sweep with units to do, sorted; actual = predicted.
 *
 * @param status  (units) state of each, or NULL: all are to be done
 * @param cost    NULL: as predicted
 * @param cells   to be freed by the caller
 */
eoc_status eoc_cells_create(const eoc_grid *grid, const eoc_probe *probe, const eoc_cost *cost, const int8_t *status,
                            eoc_cell **cells, int64_t *num_cells);

#endif
