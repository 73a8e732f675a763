/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run on one rank, and the parts it is made of: opening.c makes or resumes the file, units.c computes and commits,
 * sweep.c leads from one to the other and ends. Private to this folder.
 */
#ifndef EOC_RUN_PARTS_H
#define EOC_RUN_PARTS_H

#include "eoc/cost.h"
#include "eoc/record.h"
#include "eoc/run.h"
#include "eoc/share_data.h"
#include "eoc/store.h"
#include "eoc/study.h"

#include "handout.h"
#include "lock.h"
#include "progress.h"
#include "stop.h"
#include "worklist.h"

typedef struct {
    MPI_Comm comm;
    MPI_Comm leaving; /* for ranks that a signal ends */
    int rank, num_ranks;
    eoc_sweep *sweep; /* its images are loaded here, nothing else is changed */
    const eoc_run_options *options;
    double start_time; /* seconds since 1970 */

    int *layers; /* kept layers, (layout.num_layers) */
    int max_depth, max_width;
    int64_t num_units;
    eoc_layout layout;
    eoc_store_plan store_plan;
    eoc_text sweep_text, identity_text, facts;

    eoc_lock lock; /* rank 0 */
    eoc_store *store;
    eoc_store_state state; /* rank 0: before this run; all NULL for a new file */
    int64_t before[5];     /* rank 0: units of each status before this run */
    int next_run;          /* row of provenance */
    bool resumed;
    eoc_cost cost; /* rank 0: measured by earlier runs */
    bool cost_is_measured;
    eoc_worklist work; /* rank 0 */

    eoc_stop stop;
    eoc_handout handout;
    eoc_progress progress;
    double last_tick, ask_at; /* eoc_clock */
    bool in_theory;
    eoc_status failure; /* the first thing that went wrong after the opening, with its sentence */
    eoc_text why;

    eoc_shared_data *shared_data;
    const eoc_data *data; /* what is learnt; NULL where nothing is */
    eoc_study *study;
    void *blank;           /* (layout.unit_bytes) a record in which nothing was measured */
    unsigned char *blocks; /* (batch_capacity, layout.unit_bytes): finished units not yet written */
    int64_t *batch_units;
    int batch_count, batch_capacity;
    double batch_begun;
    double measured, predicted; /* seconds of the units done by this rank */
    int64_t computed;
} run;

/* -- sweep.c -- */

/** Called from inside everything that takes long: answers messages, notes signals. True: give up what is in hand. */
bool eoc_run_tick(void *context);

/** Keeps the first failure, and asks all ranks to stop in good order. */
void eoc_run_note_failure(run *r, eoc_status status);

/** Collective: eoc_agree_all, in which whoever is early sleeps until all are there. */
eoc_status eoc_run_agree_all(run *r, eoc_status mine);

/** SIGTERM or SIGINT: writes what is finished and ends the process. Waits for nobody, for other ranks may be gone. */
_Noreturn void eoc_run_leave(run *r);

/* -- opening.c -- */

/** What can be checked without the file. Not collective: every rank does the same. */
eoc_status eoc_opening_prepare(run *r);

/** Collective: what is learnt, and the memory to work with. */
eoc_status eoc_opening_load_all(run *r);

/** Collective: the file is made, or read and checked; then open on all ranks, with rank 0's worklist made. */
eoc_status eoc_opening_all(run *r);
void eoc_opening_clear(run *r);

/* -- units.c -- */

/** Computes the points or units of a job; finished units are in the batch or written. */
eoc_status eoc_units_do(run *r, const eoc_job *job);

/** Writes the batch. When the file fails its units are taken back as far as that can still be written. */
eoc_status eoc_units_commit(run *r);

/** Notes a unit that was begun too often as failed, in the batch. */
void eoc_units_note_crashed(run *r, int64_t unit);
bool eoc_units_batch_is_full(const run *r);

#endif
