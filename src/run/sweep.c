/* SPDX-License-Identifier: BSD-3-Clause */
/* A run from its beginning to its end; opening.c, handout.c and units.c have the steps. */
#include "run_parts.h"

#include "eoc/linalg.h"

#include "clock.h"
#include "provenance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_STOPPED = 75 };

/* -- what goes on beside the work -- */

static const double LEAVING_SECONDS = 0.8, TICK_SECONDS = 1e-4, SLOW_THEORY_SECONDS = 0.1;

void eoc_run_note_failure(run *r, eoc_status status)
{
    if (status != EOC_OK && r->failure == EOC_OK) {
        r->failure = status;
        eoc_text_append(&r->why, "%s", eoc_status_why());
        eoc_stop_ask(&r->stop, EOC_STOP_FILE);
    }
}

static void tick_of_root(run *r)
{
    if (r->handout.begun && eoc_handout_total(&r->handout).failed > r->options->max_failures) {
        eoc_stop_ask(&r->stop, EOC_STOP_FAILURES);
    }
    eoc_progress_tick(&r->progress, &r->handout);
    if (r->failure == EOC_OK) {
        eoc_run_note_failure(r, eoc_lock_touch(&r->lock));
    }
}

bool eoc_run_tick(void *context)
{
    run *const r = context;
    const double now = eoc_clock();
    if (now - r->last_tick < TICK_SECONDS && !eoc_stop_at_once()) {
        return false;
    }
    r->work.slow_theory = r->work.slow_theory || (r->in_theory && now - r->last_tick > SLOW_THEORY_SECONDS);
    r->last_tick = now;
    eoc_stop_look(&r->stop);
    if (now >= r->ask_at) {
        eoc_handout_ask(&r->handout);
    }
    eoc_handout_tick(&r->handout);
    if (r->rank == 0) {
        tick_of_root(r);
    }
    return eoc_stop_gives_up(&r->stop);
}

/*
 * mpirun passes SIGTERM on and kills everything a second later, or as soon as the first rank has ended: so whoever is
 * done waits for the others while that second lasts.
 */
static void wait_a_moment(const run *r)
{
    MPI_Request barrier;
    MPI_Ibarrier(r->leaving, &barrier);
    eoc_nap nap = {0};
    for (int arrived = 0; !arrived && eoc_stop_seconds_since_signal() < LEAVING_SECONDS;) {
        MPI_Test(&barrier, &arrived, MPI_STATUS_IGNORE);
        if (!arrived) {
            eoc_nap_take(&nap);
        }
    }
}

void eoc_run_leave(run *r)
{
    if (r->store) {
        (void)eoc_units_commit(r);
    }
    wait_a_moment(r);
    if (r->rank == 0) {
        fprintf(stderr, "eoc: stopped by a signal; finished units are safe in %s: run the same command to go on\n",
                r->options->output);
    }
    eoc_lock_release(&r->lock);
    _exit(EXIT_STOPPED);
}

/* Sleeps until all ranks are here. A plain barrier would spin on a core. */
static void meet_all(run *r)
{
    MPI_Request barrier;
    MPI_Ibarrier(r->comm, &barrier);
    eoc_nap nap = {0};
    for (int arrived = 0; !arrived;) {
        MPI_Test(&barrier, &arrived, MPI_STATUS_IGNORE);
        if (!arrived) {
            (void)eoc_run_tick(r);
            if (eoc_stop_at_once()) {
                eoc_run_leave(r);
            }
            eoc_nap_take(&nap);
        }
    }
}

eoc_status eoc_run_agree_all(run *r, eoc_status mine)
{
    meet_all(r);
    return eoc_agree_all(r->comm, mine);
}

/* -- the work -- */

/* The next job; NULL when nothing is left. While there is none this rank writes what it has, and sleeps. */
static eoc_job *next_job(run *r)
{
    eoc_job *job = NULL;
    for (eoc_nap nap = {0}; !eoc_handout_take(&r->handout, &job);) {
        eoc_run_note_failure(r, eoc_units_commit(r));
        (void)eoc_run_tick(r);
        if (eoc_stop_at_once()) {
            break;
        }
        eoc_nap_take(&nap);
    }
    return job;
}

/* A failure asks for a stop, and then nothing but "nothing is left" is handed out. */
static void do_jobs(run *r)
{
    for (eoc_job *job; (job = next_job(r)) != NULL;) {
        eoc_run_note_failure(r, eoc_units_do(r, job));
        free(job);
        if (eoc_stop_at_once()) {
            break;
        }
    }
    if (eoc_stop_at_once()) {
        eoc_run_leave(r);
    }
    eoc_run_note_failure(r, eoc_units_commit(r));
}

/* -- the end -- */

static void summarize_all(const run *r, eoc_run_summary *summary)
{
    const eoc_tally all = r->rank == 0 ? eoc_handout_total(&r->handout) : (eoc_tally){0};
    const int64_t *before = r->before;
    int64_t computed = r->computed;
    MPI_Allreduce(MPI_IN_PLACE, &computed, 1, MPI_INT64_T, MPI_SUM, r->comm);
    *summary = (eoc_run_summary){.units = r->num_units,
                                 .done = before[EOC_DONE] + all.done,
                                 .diverged = before[EOC_DIVERGED] + all.diverged,
                                 .failed = before[EOC_FAILED] + all.failed,
                                 .computed = computed,
                                 .computed_failed = all.failed,
                                 .seconds = eoc_wall_time() - r->start_time,
                                 .stopped = r->stop.reason};
    summary->pending = summary->units - summary->done - summary->diverged - summary->failed;
    MPI_Bcast(summary, (int)sizeof *summary, MPI_BYTE, 0, r->comm);
}

static eoc_status note_run(run *r, double end, const char *ended)
{
    if (r->rank != 0) {
        return EOC_OK;
    }
    eoc_text json = {0};
    eoc_provenance_write(&r->facts, ended, &json);
    const eoc_status status = eoc_store_write_run(r->store, r->next_run, r->start_time, end, r->num_ranks, json.data);
    eoc_text_clear(&json);
    return status;
}

static const char *why_ended(const run *r, const eoc_run_summary *summary)
{
    static const char *const reasons[] = {"everything was done", "a signal", "the time limit", "too many failed units",
                                          "a file error"};
    return r->failure != EOC_OK ? reasons[EOC_STOP_FILE]
                                : reasons[summary->pending > 0 ? summary->stopped : EOC_STOP_NOT];
}

static eoc_status work_all(run *r, eoc_run_summary *summary)
{
    EOC_TRY(eoc_run_agree_all(r, eoc_handout_begin(r->comm, &r->work, &r->stop, &r->handout)));
    if (r->rank == 0 && !r->options->quiet) {
        eoc_progress_begin(&r->progress, r->work.num_pending, eoc_worklist_seconds(&r->work));
    }
    eoc_run_note_failure(r, note_run(r, NAN, "not yet, or killed"));
    do_jobs(r);
    meet_all(r);
    eoc_handout_end_all(&r->handout);
    eoc_progress_end(&r->progress, &r->handout);
    summarize_all(r, summary);
    eoc_run_note_failure(r, note_run(r, eoc_wall_time(), why_ended(r, summary)));
    return eoc_agree_all(r->comm, r->failure);
}

static eoc_status run_all(run *r, eoc_run_summary *summary)
{
    EOC_TRY(eoc_agree_all(r->comm, eoc_opening_prepare(r)));
    EOC_TRY(eoc_opening_load_all(r));
    eoc_status status = eoc_opening_all(r);
    if (status == EOC_OK && !r->options->quiet) {
        eoc_provenance_warn_of_crowding_all(r->comm, r->sweep->train.enabled ? r->sweep->train.threads : 1);
    }
    if (status == EOC_OK) {
        status = work_all(r, summary);
    }
    if (r->store) {
        const eoc_status closed = eoc_store_close_all(r->comm, &r->store);
        status = status == EOC_OK ? closed : status;
    }
    /* What came first is what is told. */
    return r->failure != EOC_OK ? EOC_FAIL(r->failure, "%s", r->why.data) : status;
}

eoc_status eoc_run_all(MPI_Comm comm, eoc_sweep *sweep, const eoc_run_options *options, eoc_run_summary *summary)
{
    run r = {.comm = comm, .sweep = sweep, .options = options, .start_time = eoc_wall_time(), .ask_at = INFINITY};
    r.stop = (eoc_stop){.last_begin = INFINITY, .end = INFINITY, .grace = options->grace_seconds};
    MPI_Comm_rank(comm, &r.rank);
    MPI_Comm_size(comm, &r.num_ranks);
    eoc_linalg_set_threads(1);
    eoc_provenance_gather_all(comm, options, &r.facts);
    MPI_Comm_dup(comm, &r.leaving);
    const eoc_status status = run_all(&r, summary);
    eoc_lock_release(&r.lock);
    eoc_handout_clear(&r.handout);
    eoc_opening_clear(&r);
    MPI_Comm_free(&r.leaving);
    return status;
}
