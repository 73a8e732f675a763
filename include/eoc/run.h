/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A run: all ranks work through the units of a sweep and write them to one result file.
 */
#ifndef EOC_RUN_H
#define EOC_RUN_H

#include "eoc/sweep.h"

#include <mpi.h>
#include <stdint.h>

typedef struct {
    const char *sweep_path;    /* the sweep file, beside which data sets are looked for */
    const char *output;        /* result file */
    bool overwrite;            /* begin anew when the file is there */
    bool quiet;                /* no plan and no progress, only warnings */
    double max_file_bytes;     /* a larger file is refused */
    double checkpoint_seconds; /* a unit that trains keeps its state at most so often, or 20 times the writing */
    double max_seconds;        /* of the program's start: the run is over by then; INFINITY: no limit */
    double grace_seconds;      /* what is in hand when a run is asked to stop has so long */
    int64_t max_failures;      /* more failed units in this run stop it; INT64_MAX: no limit */
    int max_attempts;          /* a unit begun so often without an end is failed */
    unsigned retry;            /* bits 1 << eoc_unit_status: units that ended so are done again */
    uint64_t shuffle;          /* another order of hand-out, for tests; 0: by cost */
    const char *command_line;  /* for provenance */
    const char *program;       /* "eoc 0.1.0 (commit)" */
} eoc_run_options;

/** Why a run stopped before everything was done. */
typedef enum { EOC_STOP_NOT, EOC_STOP_SIGNAL, EOC_STOP_TIME, EOC_STOP_FAILURES, EOC_STOP_FILE } eoc_stop_reason;

typedef struct {
    int64_t units, done, diverged, failed, pending; /* over the whole file, after the run */
    int64_t computed, computed_failed;              /* by this run */
    double seconds;
    eoc_stop_reason stopped;
} eoc_run_summary;

/** Sets the handlers of SIGUSR1, SIGTERM and SIGINT, and notes the time; before MPI_Init, so that MPI leaves them
 * alone. */
void eoc_run_catch_signals(void);

/**
 * Gives a sweep's axes the order that they have in the result file `path`, where that file holds the same values in
 * another order (eoc_merge_files may have chosen it): the file is then gone on with as it is. A sweep of other values,
 * or no file, changes nothing. Collective over comm; the same verdict everywhere.
 */
eoc_status eoc_run_adopt_order_all(MPI_Comm comm, const char *path, eoc_sweep *sweep);

/**
 * Loads the sweep's images, where its inputs are such, and works through it.
 *
 * Collective over comm; the same verdict everywhere. EOC_ERR_USAGE when nothing could be begun (the file holds another
 * sweep, is too large); EOC_ERR_IO when the file failed. Units that diverge or fail are in the summary, not errors.
 */
eoc_status eoc_run_all(MPI_Comm comm, eoc_sweep *sweep, const eoc_run_options *options, eoc_run_summary *summary);

#endif
