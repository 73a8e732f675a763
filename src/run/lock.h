/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lock of a result file: FILE.lock beside it. Parallel HDF5 takes none of its own, and two runs that write one file
 * would mix their units. One process of a run holds it. Private to this folder.
 */
#ifndef EOC_RUN_LOCK_H
#define EOC_RUN_LOCK_H

#include "eoc/status.h"

enum { EOC_LOCK_PATH_BYTES = 4096 };

/** All zero where none is held. */
typedef struct {
    char path[EOC_LOCK_PATH_BYTES]; /* "" where none is held */
    int fd;
    double touched; /* eoc_clock */
} eoc_lock;

/**
 * Creates FILE.lock exclusively. One that is there is taken over when it is stale: its process is gone from this host;
 * it is of the same Slurm job before it was started again; or nobody touched it for ten minutes. Else EOC_ERR_USAGE
 * with a sentence that names the run that holds it. EOC_ERR_IO where the directory cannot be written.
 */
eoc_status eoc_lock_take(eoc_lock *lock, const char *file);

/** Touches the file every 30 s; to be called often. EOC_ERR_IO when it is no longer ours. */
eoc_status eoc_lock_touch(eoc_lock *lock);

/** Removes it, where it is held and still ours. */
void eoc_lock_release(eoc_lock *lock);

#endif
