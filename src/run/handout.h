/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hand-out of jobs by ordinary messages. Rank 0 has the worklist, and answers from inside its own work, whenever
 * its tick comes round; the others have one job in hand and at most one ahead. Nobody waits inside MPI: who has nothing
 * to do sleeps between looks. One rank alone sends nothing. Private to this folder.
 *
 * A rank's report carries what it wants and what it has done; rank 0 sends jobs, one for each question, the last of
 * kind "nothing"; and to all "stop", once, wherever the reason came up.
 */
#ifndef EOC_RUN_HANDOUT_H
#define EOC_RUN_HANDOUT_H

#include "stop.h"
#include "worklist.h"

#include <mpi.h>

/** What one rank has done so far. */
typedef struct {
    int64_t done, diverged, failed;
    double seconds; /* predicted cost of the units done */
} eoc_tally;

typedef struct {
    int32_t asks, ended, stop_reason;
    eoc_tally tally;
} eoc_report;

/** All zero: none, and its tick does nothing. */
typedef struct {
    MPI_Comm comm;
    int rank, num_ranks;
    eoc_stop *stop;      /* borrowed */
    eoc_tally mine;      /* kept by the caller */
    double last_look;    /* eoc_clock */
    bool begun, no_more; /* this rank was told that nothing is left */

    /* rank 0 */
    eoc_worklist *work;
    eoc_tally *tallies; /* (num_ranks) of the others */
    eoc_job **given;    /* (num_ranks) the last job under way to each */
    MPI_Request *giving, *stopping;
    bool *told; /* (num_ranks) that nothing is left */
    int num_told, num_ended;
    bool stop_told;
    eoc_job stop_message;

    /* the others */
    eoc_job *ahead; /* the next job, or NULL */
    bool wants, asked, stop_reported;
    double last_report;
    eoc_report report; /* under way */
    MPI_Request reporting;
} eoc_handout;

/** @param work  on rank 0; borrowed */
eoc_status eoc_handout_begin(MPI_Comm comm, eoc_worklist *work, eoc_stop *stop, eoc_handout *h);

/** To be called often: looks for messages and answers them. */
void eoc_handout_tick(eoc_handout *h);

/** Asks for the next job, ahead of its time. */
void eoc_handout_ask(eoc_handout *h);

/**
 * The next job, to be freed by the caller; false while there is none yet: look again after a tick. True with NULL when
 * nothing is left: on rank 0 not before every other rank has been told so. Jobs in hand when the run is to stop are
 * dropped.
 */
bool eoc_handout_take(eoc_handout *h, eoc_job **job);

/** What all ranks have done, on rank 0, as far as it has heard. */
eoc_tally eoc_handout_total(const eoc_handout *h);

/** Collective over the communicator: ends the messages, when all ranks have taken their last job. */
void eoc_handout_end_all(eoc_handout *h);
void eoc_handout_clear(eoc_handout *h);

#endif
