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
    const char *output;       /* result file */
    bool overwrite;           /* begin anew when the file is there */
    bool quiet;               /* no plan and no progress, only warnings */
    double max_file_bytes;    /* a larger file is refused */
    uint64_t shuffle;         /* another order of hand-out, for tests; 0: by cost */
    const char *command_line; /* for provenance */
    const char *program;      /* "eoc 0.1.0 (commit)" */
} eoc_run_options;

typedef struct {
    int64_t units, done, diverged, failed, pending; /* over the whole file, after the run */
    int64_t computed;                               /* by this run */
    double seconds;
    bool stopped; /* by a signal, in good order */
} eoc_run_summary;

/** Sets the handlers of SIGUSR1, SIGTERM and SIGINT; before MPI_Init, so that MPI leaves them alone. */
void eoc_run_catch_signals(void);

/**
 * Gives a sweep's axes the order that they have in the result file `path`, where that file holds the same values in
 * another order (eoc_merge_files may have chosen it): the file is then gone on with as it is. A sweep of other values,
 * or no file, changes nothing. Collective over comm; the same verdict everywhere.
 */
eoc_status eoc_run_adopt_order_all(MPI_Comm comm, const char *path, eoc_sweep *sweep);

/**
 * Collective over comm; the same verdict everywhere. EOC_ERR_USAGE when nothing could be begun (the file holds another
 * sweep, is too large); EOC_ERR_IO when the file failed. Units that diverge or fail are in the summary, not errors.
 */
eoc_status eoc_run_all(MPI_Comm comm, const eoc_sweep *sweep, const eoc_run_options *options, eoc_run_summary *summary);

#endif
