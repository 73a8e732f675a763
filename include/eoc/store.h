/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The result file: one HDF5 file in two phases.
 *
 * Phase 1, one process, serial driver: every group, scale, variable, attribute and string is written, all space
 * allocated and filled, to a temporary name; the file is closed, synced and renamed. Phase 2, all ranks, MPI-IO driver:
 * nothing but independent raw writes into contiguous datasets that are there already, so a killed run leaves a file
 * that opens. The variables are the rows of record.h; the layout satisfies h5py, h5netcdf (xarray) and netCDF-4.
 */
#ifndef EOC_STORE_H
#define EOC_STORE_H

#include "eoc/grid.h"
#include "eoc/record.h"

#include <mpi.h>
#include <stdint.h>

/** What the file is made from; all borrowed. */
typedef struct {
    const eoc_grid *grid;
    const eoc_layout *layout;
    const char *title;
    uint64_t seed;
    const char *sweep_text;    /* the resolved sweep file */
    const char *identity_text; /* the keys that results depend on */
    const char *program;       /* "eoc 0.1.0 (commit)" */
    const char *whole_text;    /* the resolved sweep that this one is a part of, or NULL */
} eoc_store_plan;

/**
 * Collective over comm. The same verdict everywhere: EOC_OK only if every rank brought EOC_OK; a rank that brought it
 * gets EOC_ERR_PEER when another did not. Every local status goes through here before the next collective call.
 */
eoc_status eoc_agree_all(MPI_Comm comm, eoc_status mine);

/** The library behind it, such as "HDF5 1.10.8". */
const char *eoc_store_library(void);

/** Bytes of the file. */
double eoc_store_bytes(const eoc_store_plan *plan);

/**
 * Phase 1. Not collective: one process calls it.
 * EOC_ERR_IO with the reason where the directory or the disk refuses; a file of that name is left as it was.
 */
eoc_status eoc_store_create(const char *path, const eoc_store_plan *plan);

/** Syncs a closed file and gives it the name `path`, replacing what had it. Not collective. */
eoc_status eoc_store_publish(const char *temporary, const char *path);

/** What a file that is there already says of its units. */
typedef struct {
    int8_t *status;          /* (units) */
    int32_t *attempts;       /* (units) */
    double *seconds;         /* (units) NaN where not done */
    uint16_t *theory_status; /* (points) */
    int next_run;            /* first unused row of provenance */
} eoc_store_state;

/**
 * Reads the state of an existing file, serial driver. EOC_ERR_IO when it cannot be read or is no result file;
 * EOC_ERR_USAGE when it holds another sweep, schema or physics version: the sentence names the first key that differs,
 * with both values. Not collective.
 */
eoc_status eoc_store_read_state(const char *path, const eoc_store_plan *plan, eoc_store_state *state);
void eoc_store_state_clear(eoc_store_state *state);

typedef struct eoc_store eoc_store;

/** Phase 2. Collective over comm; the same verdict everywhere. `plan` must outlive the store. */
eoc_status eoc_store_open_all(MPI_Comm comm, const char *path, const eoc_store_plan *plan, eoc_store **store);
eoc_status eoc_store_close_all(MPI_Comm comm, eoc_store **store);

/** Phase 2 for one process, serial driver: MPI need not be there. Not collective. */
eoc_status eoc_store_open(const char *path, const eoc_store_plan *plan, eoc_store **store);
eoc_status eoc_store_close(eoc_store **store);

/** The same of a file that is only read, for eoc_store_close: it may be write-protected, and written by others. */
eoc_status eoc_store_open_to_read(const char *path, const eoc_store_plan *plan, eoc_store **store);

/**
 * Looks for finished units, of `count` from `first` on, whose rows are not what their checksum says.
 *
 * @param wrong  (count) filled with *num_wrong unit indices
 *
 * Not collective: ranks share the units out.
 */
eoc_status eoc_store_verify(eoc_store *store, int64_t first, int64_t count, int64_t *wrong, int64_t *num_wrong);

/** Writes the status and attempts of all units. Not collective. */
eoc_status eoc_store_write_state(eoc_store *store, const int8_t *status, const int32_t *attempts);

/** Marks a unit as begun: status running, attempts as given. */
eoc_status eoc_store_begin_unit(eoc_store *store, int64_t unit, int32_t attempts);

/** Takes that back: the unit is pending, as if it had never been begun. */
eoc_status eoc_store_give_up_unit(eoc_store *store, int64_t unit);

/**
 * Commits a batch: rows and checksums of `count` units, synced; then their status, synced.
 *
 * @param units   (count) unit indices
 * @param blocks  (count, layout->unit_bytes) records in the same order; their checksum fields are filled here
 */
eoc_status eoc_store_commit(eoc_store *store, const int64_t *units, int count, void *blocks);

/** Writes a point's record, (layout->point_bytes). */
eoc_status eoc_store_write_point(eoc_store *store, int64_t point, const void *block);

enum { EOC_PROVENANCE_ROWS = 256, EOC_PROVENANCE_TEXT = 4096 };

/** Writes row `row` of provenance: times in seconds since 1970, `info` JSON text, cut to EOC_PROVENANCE_TEXT - 1 bytes.
 */
eoc_status eoc_store_write_run(eoc_store *store, int row, double start, double end, int ranks, const char *info);

#endif
