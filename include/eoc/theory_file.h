/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The mean-field part of a sweep alone: a result file with its axes and theory, and nothing of the networks.
 *
 * One process, serial driver, no MPI: its numbers are the bits that a run of the same sweep writes into its theory
 * group, for both go through the same points and the same record table.
 */
#ifndef EOC_THEORY_FILE_H
#define EOC_THEORY_FILE_H

#include "eoc/sweep.h"

typedef struct {
    const char *sweep_path; /* beside it data sets are looked for; may be NULL */
    const char *output;     /* the file to write */
    bool overwrite;         /* when it is there */
    double max_file_bytes;  /* a larger file is refused */
    const char *program;    /* "eoc 0.1.0 (commit)" */
    const char *info;       /* JSON text for provenance */
} eoc_theory_file_options;

typedef struct {
    int64_t points; /* of the grid, without replicas */
    int64_t maps;   /* distinct activation, effective weight variance and bias variance: computed once each */
    double bytes;   /* of the file */
} eoc_theory_file_summary;

/**
 * Loads the sweep's images, where its inputs are such; writes the file under a temporary name and renames it when it is
 * whole.
 * EOC_ERR_USAGE when it is there already or too large; EOC_ERR_IO where the disk or directory refuses.
 */
eoc_status eoc_theory_file_write(eoc_sweep *sweep, const eoc_theory_file_options *options,
                                 eoc_theory_file_summary *summary);

#endif
