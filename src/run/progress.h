/* SPDX-License-Identifier: BSD-3-Clause */
/* What rank 0 shows on stderr while a run goes on. Private to this folder. */
#ifndef EOC_RUN_PROGRESS_H
#define EOC_RUN_PROGRESS_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

/** What one rank has done so far. */
typedef struct {
    int64_t done, diverged, failed;
    double seconds; /* predicted cost of the units done */
} eoc_tally;

typedef struct {
    MPI_Comm comm;
    int rank, num_ranks;
    bool shown, terminal;
    double begun, last_shown, last_sent;
    int64_t num_pending;
    double seconds; /* predicted, of all */
    eoc_tally mine;
    eoc_tally *others; /* (num_ranks) on rank 0 */
    eoc_tally sent;    /* in flight */
    MPI_Request request;
    int line_length; /* of the terminal line as it stands */
} eoc_progress;

double eoc_clock(void);

bool eoc_progress_begin(eoc_progress *p, MPI_Comm comm, bool shown, int64_t num_pending, double seconds);

/** Not collective: sends this rank's tally now and then, and on rank 0 takes the others' and shows the line. */
void eoc_progress_tick(eoc_progress *p);

/** Collective over the communicator: ends the messages and the terminal line. */
void eoc_progress_end_all(eoc_progress *p);

#endif
