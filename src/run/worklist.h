/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is still to be done, and in what pieces rank 0 hands it out: theory first, then units in the slices of
 * eoc_deal (simulate.h), and last, one by one, units that were in hand when a run ended abruptly. Pure: no MPI, no
 * files. Private to this folder.
 */
#ifndef EOC_RUN_WORKLIST_H
#define EOC_RUN_WORKLIST_H

#include "eoc/cost.h"
#include "eoc/simulate.h"
#include "eoc/store.h"
#include "eoc/sweep.h"

#include "theory_points.h"

typedef enum { EOC_JOB_NOTHING, EOC_JOB_THEORY, EOC_JOB_UNITS, EOC_JOB_STOP } eoc_job_kind;

/** What a rank is handed; one message, so plain bytes: the payload lies behind the struct. To be freed by free. */
typedef struct {
    int64_t kind;        /* of eoc_job_kind; nothing: nothing is left */
    int64_t first, end;  /* units: first .. end - 1, of one cell */
    int64_t count;       /* of them to do; or points of theory */
    double unit_seconds; /* predicted, of one unit */
    double ask_seconds;  /* ask for the next one when so much is left of this */
    int64_t stop_reason; /* with stop */
    int64_t payload_bytes;
} eoc_job;

/** (end - first) how often each unit was begun before, -1: not to be done; NULL: all, for the first time. */
const int8_t *eoc_job_attempts(const eoc_job *job);

/** (count) the points of a job of theory */
const eoc_theory_point *eoc_job_points(const eoc_job *job);

size_t eoc_job_bytes(const eoc_job *job);

/** NULL when memory ran out. The payload is not set. */
eoc_job *eoc_job_create(eoc_job_kind kind, size_t payload_bytes);

/** One unit of a cell by its number among those to do there: where the search for another one begins. */
typedef struct {
    int64_t cell; /* in the grid; -1: none yet */
    int64_t number, unit;
} eoc_worklist_cursor;

typedef struct {
    const eoc_sweep *sweep;
    const int32_t *attempts; /* borrowed, NULL: no unit was ever begun */
    eoc_theory_point *points;
    int64_t num_points, next_point;
    bool slow_theory;  /* one map takes too long for rank 0, which has others to answer */
    int8_t *in_slices; /* (units) 1: to be handed out in a slice; NULL: all */
    eoc_cell *cells;
    int64_t num_cells, units_per_cell;
    eoc_deal deal;
    eoc_worklist_cursor front, back;
    int64_t *leftovers; /* (num_leftovers) units, those begun least often first */
    int64_t num_leftovers, next_leftover;
    double leftover_seconds; /* predicted, of all of them */
    int64_t num_pending;     /* units, leftovers too */
    const eoc_cost *cost;    /* borrowed */
} eoc_worklist;

/**
 * @param state    as resumed: pending units go into slices, running ones are leftovers; all NULL: a new file
 * @param cost     measured so far; NULL: as predicted
 * @param shuffle  0: by cost; else a seed for another order of the cells, for tests that results do not depend on it
 */
eoc_status eoc_worklist_create(const eoc_sweep *sweep, const eoc_store_state *state, const eoc_cost *cost,
                               uint64_t shuffle, eoc_worklist *list);
void eoc_worklist_clear(eoc_worklist *list);

/** Predicted seconds of all units, one after the other. */
double eoc_worklist_seconds(const eoc_worklist *list);

/**
 * The next job of a rank, of kind nothing when none is left for it. Each unit and point is handed out once, whatever
 * ranks ask in whatever order. NULL when memory ran out.
 */
eoc_job *eoc_worklist_take(eoc_worklist *list, int num_ranks, int rank);

#endif
