/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Units of several result files copied into one that holds all their grids. One process, serial driver, no MPI.
 *
 * What two files must have in common to be merged is for the caller (merge_files.h): here they differ in their grids,
 * in the layers kept and in the number of modes alone.
 */
#ifndef EOC_MERGE_H
#define EOC_MERGE_H

#include "eoc/store.h"

/** A file that is copied from; all borrowed. */
typedef struct {
    const char *path;
    const eoc_store_plan *plan; /* of that file */
    const int8_t *status;       /* (units of its grid) */
    const int32_t *attempts;    /* (units of its grid) */
} eoc_merge_source;

typedef struct {
    int64_t units;                        /* of the merged grid */
    int64_t done, diverged, failed, left; /* they are */
    int64_t damaged;                      /* finished, but their rows are not what their checksum says: left */
    int64_t shared;                       /* finished in more than one file, with the same rows */
} eoc_merge_counts;

/**
 * Fills the file `path`, which eoc_store_create has made with `plan`.
 *
 * A unit's rows are those of the first file in which it is done or diverged, bit for bit; else of the first in which it
 * failed; else it is pending, its attempts the most of any file. Layers above its depth and modes beyond a file's are
 * NaN, as they are in every file. A point's theory is the first that there is. Checksums are checked and made anew.
 *
 * @return EOC_ERR_USAGE where a unit is finished in two files with different rows (the sentence names it and them), or
 * a source's variable has another shape than its sweep says; EOC_ERR_IO where a file cannot be read or written
 */
eoc_status eoc_merge_rows(const char *path, const eoc_store_plan *plan, const eoc_merge_source *sources,
                          int num_sources, eoc_merge_counts *counts);

#endif
