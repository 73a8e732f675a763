/* SPDX-License-Identifier: BSD-3-Clause */
#include "handout.h"

#include "clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TAG_REPORT = 71, TAG_JOB = 72 };

/* Looking costs a microsecond; rank 0 looks more often, for others wait for it. */
static const double ROOT_LOOK_SECONDS = 2e-4, LOOK_SECONDS = 1e-3, REPORT_SECONDS = 0.25, RANKS_A_SECOND = 4000.0;

eoc_status eoc_handout_begin(MPI_Comm comm, eoc_worklist *work, eoc_stop *stop, eoc_handout *h)
{
    *h = (eoc_handout){.comm = comm, .stop = stop, .work = work, .reporting = MPI_REQUEST_NULL, .begun = true};
    MPI_Comm_rank(comm, &h->rank);
    MPI_Comm_size(comm, &h->num_ranks);
    if (h->rank == 0) {
        const size_t ranks = (size_t)h->num_ranks;
        h->tallies = calloc(ranks, sizeof *h->tallies);
        h->given = calloc(ranks, sizeof *h->given);
        h->giving = malloc(ranks * sizeof *h->giving);
        h->stopping = malloc(ranks * sizeof *h->stopping);
        h->told = calloc(ranks, sizeof *h->told);
        EOC_REQUIRE(h->tallies && h->given && h->giving && h->stopping && h->told, EOC_ERR_NOMEM,
                    "out of memory for %d ranks", h->num_ranks);
        for (size_t i = 0; i < ranks; i++) {
            h->giving[i] = h->stopping[i] = MPI_REQUEST_NULL;
        }
    }
    return EOC_OK;
}

void eoc_handout_clear(eoc_handout *h)
{
    for (int rank = 0; h->given && rank < h->num_ranks; rank++) {
        free(h->given[rank]);
    }
    free(h->tallies);
    free(h->given);
    free(h->giving);
    free(h->stopping);
    free(h->told);
    free(h->ahead);
    *h = (eoc_handout){0};
}

/* -- rank 0 -- */

/* Only when the work of a whole run could not be handed out for want of a few bytes: the others would wait for ever. */
static void fail_for_memory(const eoc_handout *h)
{
    fprintf(stderr, "eoc: rank %d: out of memory for the hand-out\n", h->rank);
    MPI_Abort(h->comm, 1);
}

static eoc_job *next_for(eoc_handout *h, int rank)
{
    eoc_job *job = h->stop->reason == EOC_STOP_NOT ? eoc_worklist_take(h->work, h->num_ranks, rank)
                                                   : eoc_job_create(EOC_JOB_NOTHING, 0);
    if (!job) {
        fail_for_memory(h);
    }
    return job;
}

static void answer(eoc_handout *h, int rank)
{
    MPI_Wait(&h->giving[rank], MPI_STATUS_IGNORE); /* it asks only when it has the last one */
    free(h->given[rank]);
    h->given[rank] = next_for(h, rank);
    if (h->given[rank]->kind == EOC_JOB_NOTHING) {
        h->told[rank] = true;
        h->num_told++;
    }
    MPI_Isend(h->given[rank], (int)eoc_job_bytes(h->given[rank]), MPI_BYTE, rank, TAG_JOB, h->comm, &h->giving[rank]);
}

static void take_reports(eoc_handout *h)
{
    for (int there = 1; there;) {
        MPI_Status from;
        MPI_Iprobe(MPI_ANY_SOURCE, TAG_REPORT, h->comm, &there, &from);
        if (there) {
            eoc_report report;
            MPI_Recv(&report, (int)sizeof report, MPI_BYTE, from.MPI_SOURCE, TAG_REPORT, h->comm, MPI_STATUS_IGNORE);
            h->tallies[from.MPI_SOURCE] = report.tally;
            h->num_ended += report.ended;
            if (report.stop_reason != EOC_STOP_NOT) {
                eoc_stop_ask(h->stop, (eoc_stop_reason)report.stop_reason);
            }
            if (report.asks) {
                answer(h, from.MPI_SOURCE);
            }
        }
    }
}

static void tell_stop(eoc_handout *h)
{
    h->stop_told = true;
    h->stop_message = (eoc_job){.kind = EOC_JOB_STOP, .stop_reason = h->stop->reason};
    for (int rank = 1; rank < h->num_ranks; rank++) {
        if (!h->told[rank]) {
            MPI_Isend(&h->stop_message, (int)sizeof h->stop_message, MPI_BYTE, rank, TAG_JOB, h->comm,
                      &h->stopping[rank]);
        }
    }
}

eoc_tally eoc_handout_total(const eoc_handout *h)
{
    eoc_tally all = h->mine;
    for (int rank = 1; rank < h->num_ranks; rank++) {
        all.done += h->tallies[rank].done;
        all.diverged += h->tallies[rank].diverged;
        all.failed += h->tallies[rank].failed;
        all.seconds += h->tallies[rank].seconds;
    }
    return all;
}

/* -- the others -- */

static void take_job(eoc_handout *h, const MPI_Status *from)
{
    int bytes = 0;
    MPI_Get_count(from, MPI_BYTE, &bytes);
    eoc_job *job = malloc((size_t)bytes);
    if (!job) {
        fail_for_memory(h);
    }
    MPI_Recv(job, bytes, MPI_BYTE, 0, TAG_JOB, h->comm, MPI_STATUS_IGNORE);
    if (job->kind == EOC_JOB_STOP) {
        eoc_stop_ask(h->stop, (eoc_stop_reason)job->stop_reason);
        free(job);
        return;
    }
    h->asked = false;
    if (job->kind == EOC_JOB_NOTHING) {
        h->no_more = true;
        free(job);
        return;
    }
    h->ahead = job;
}

static void take_jobs(eoc_handout *h)
{
    for (int there = 1; there;) {
        MPI_Status from;
        MPI_Iprobe(0, TAG_JOB, h->comm, &there, &from);
        if (there) {
            take_job(h, &from);
        }
    }
}

/* At most one report is under way; the next one carries what has come since. */
static void send_report(eoc_handout *h, double now)
{
    const bool stops = h->stop->reason != EOC_STOP_NOT && !h->stop_reported;
    const double interval = fmax(REPORT_SECONDS, h->num_ranks / RANKS_A_SECOND);
    int free_to_send = 0;
    if (h->wants || stops || now - h->last_report >= interval) {
        MPI_Test(&h->reporting, &free_to_send, MPI_STATUS_IGNORE);
    }
    if (free_to_send) {
        h->report = (eoc_report){.asks = h->wants, .stop_reason = (int32_t)h->stop->reason, .tally = h->mine};
        MPI_Isend(&h->report, (int)sizeof h->report, MPI_BYTE, 0, TAG_REPORT, h->comm, &h->reporting);
        h->asked = h->asked || h->wants;
        h->wants = false;
        h->stop_reported = h->stop->reason != EOC_STOP_NOT;
        h->last_report = now;
    }
}

void eoc_handout_ask(eoc_handout *h)
{
    if (h->rank != 0 && !h->asked && !h->wants && !h->ahead && !h->no_more) {
        h->wants = true;
        send_report(h, eoc_clock());
    }
}

/* -- all -- */

void eoc_handout_tick(eoc_handout *h)
{
    if (!h->begun || h->num_ranks == 1) {
        return;
    }
    const double now = eoc_clock();
    if (now - h->last_look < (h->rank == 0 ? ROOT_LOOK_SECONDS : LOOK_SECONDS)) {
        return;
    }
    h->last_look = now;
    if (h->rank != 0) {
        take_jobs(h);
        send_report(h, now);
        return;
    }
    take_reports(h);
    if (h->stop->reason != EOC_STOP_NOT && !h->stop_told) {
        tell_stop(h);
    }
}

static bool take_own(eoc_handout *h, eoc_job **job)
{
    *job = h->no_more ? NULL : next_for(h, 0);
    if (*job && (*job)->kind == EOC_JOB_NOTHING) {
        free(*job);
        *job = NULL;
        h->no_more = true;
    }
    return *job || h->num_told == h->num_ranks - 1;
}

bool eoc_handout_take(eoc_handout *h, eoc_job **job)
{
    *job = NULL;
    if (h->rank == 0) {
        return take_own(h, job);
    }
    take_jobs(h);
    if (h->ahead && h->stop->reason != EOC_STOP_NOT) {
        free(h->ahead);
        h->ahead = NULL;
    }
    if (!h->ahead) {
        eoc_handout_ask(h);
        send_report(h, eoc_clock());
        return h->no_more;
    }
    *job = h->ahead;
    h->ahead = NULL;
    return true;
}

void eoc_handout_end_all(eoc_handout *h)
{
    if (h->num_ranks == 1) {
        return;
    }
    if (h->rank != 0) {
        MPI_Wait(&h->reporting, MPI_STATUS_IGNORE);
        h->report = (eoc_report){.ended = 1, .stop_reason = (int32_t)h->stop->reason, .tally = h->mine};
        MPI_Send(&h->report, (int)sizeof h->report, MPI_BYTE, 0, TAG_REPORT, h->comm);
        return;
    }
    for (eoc_nap nap = {0}; h->num_ended < h->num_ranks - 1;) {
        take_reports(h);
        if (h->num_ended < h->num_ranks - 1) {
            eoc_nap_take(&nap);
        }
    }
    MPI_Waitall(h->num_ranks, h->giving, MPI_STATUSES_IGNORE);
    MPI_Waitall(h->num_ranks, h->stopping, MPI_STATUSES_IGNORE);
}
