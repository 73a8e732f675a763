/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Result files of equal physics merged into one: parts of a sweep into the whole, or a finished file into a larger
 * sweep. One process, no MPI.
 */
#ifndef EOC_MERGE_FILES_H
#define EOC_MERGE_FILES_H

#include "eoc/merge.h"
#include "eoc/sweep.h"

typedef struct {
    const char *output;     /* the file to write */
    bool overwrite;         /* when it is there; it may be one of those merged */
    double max_file_bytes;  /* a larger file is refused */
    const eoc_sweep *sweep; /* whose grid the file is to have; NULL: the union of the grids */
    const char *program;    /* "eoc 0.1.0 (commit)" */
    const char *info;       /* JSON text for provenance */
} eoc_merge_options;

typedef struct {
    eoc_merge_counts counts;
    double bytes;      /* of the file */
    int runs_left_out; /* of the files' run logs: the oldest, where there was no room */
} eoc_merge_summary;

/**
 * Writes the file under a temporary name, syncs it and renames it. It is a result file of the union's sweep: eoc run
 * goes on with it. The order of its axes is that of the sweep, of options or of which all files are parts, where there
 * is one, else as eoc_grid_union says; eoc run takes any order.
 *
 * EOC_ERR_USAGE with a sentence where a file is no result file, of another physics version, differs from the first in a
 * key beside the grid, lacks layers that the union keeps, or holds values that the sweep of options has not; where two
 * differ in a unit; where the output is there already or too large.
 */
eoc_status eoc_merge_files(const char *const *paths, int num_paths, const eoc_merge_options *options,
                           eoc_merge_summary *summary);

#endif
