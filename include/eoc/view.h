/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A look at a result file that another process may be writing: read only, without locks, one process, no MPI.
 *
 * All that is read has its place since the file was made (contiguous datasets, texts of the skeleton), so what a view
 * holds is what the writers had handed to the file system when it was read, each unit's status after its rows.
 */
#ifndef EOC_VIEW_H
#define EOC_VIEW_H

#include "eoc/grid.h"
#include "eoc/status.h"

#include <stdint.h>

/** One run of the program on the file: a row of provenance. */
typedef struct {
    double start, end; /* seconds since 1970; NaN: not noted */
    int ranks;
    char *info; /* JSON text */
} eoc_view_run;

/** Owned by the caller, ended by eoc_view_clear. */
typedef struct {
    char *title;
    char *program;       /* that made it: "eoc 0.1.0 (commit)" */
    char *sweep_text;    /* the resolved sweep */
    char *identity_text; /* the keys that results depend on */
    char *whole_text;    /* the resolved sweep that this is a part of, or NULL */
    int physics_version; /* 0 where the file does not say */
    int64_t num_units;
    int8_t *status, *reason; /* (num_units) of eoc_unit_status and eoc_reason */
    int32_t *attempts;       /* (num_units) */
    double *seconds;         /* (num_units) wall time, NaN where not done */
    int num_runs;
    eoc_view_run *runs; /* (num_runs), the last one last */
    double bytes;       /* of the file */
    double modified;    /* seconds since 1970 */
} eoc_view;

/**
 * EOC_ERR_USAGE with one sentence when the file is not there, cannot be read, is damaged, is not eoc's, has another
 * major schema version, or holds theory alone.
 */
eoc_status eoc_view_read(const char *path, eoc_view *view);
void eoc_view_clear(eoc_view *view);

/** The resolved sweep of a result file alone, to be freed; NULL where there is none to be read. */
char *eoc_view_sweep(const char *path);

/** A text member of the JSON object of a run's info, such as "hosts": to be freed; NULL where it is not there. */
char *eoc_view_info(const eoc_view_run *run, const char *key);

#endif
