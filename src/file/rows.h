/* SPDX-License-Identifier: BSD-3-Clause */
/* An open result file, and the rows of its variables: raw reads and writes into datasets that are there already.
 * Private to this folder. */
#ifndef EOC_FILE_ROWS_H
#define EOC_FILE_ROWS_H

#include "eoc/store.h"

#include "h5.h"

struct eoc_store {
    const eoc_store_plan *plan;
    char *path;
    hid_t file;
    hid_t *datasets; /* (eoc_variable_count), -1 where not in the file */
    hid_t start, end, ranks, info;
    int sync_fd;           /* this process's own descriptor: HDF5 offers no sync that one rank may call alone */
    unsigned char *gather; /* rows of one variable of a batch, one after the other */
    size_t gather_bytes;
};

/** Index of a variable in the table of record.h. */
int eoc_rows_of(const char *group, const char *name);

/** Rows of `count` consecutive units (or points) of one variable, one after the other in `values`. */
eoc_status eoc_rows_write(eoc_store *store, int row, int64_t first, int64_t count, const unsigned char *values);
eoc_status eoc_rows_read(eoc_store *store, int row, int64_t first, int64_t count, unsigned char *values);

/** Makes store->gather this large at least. */
eoc_status eoc_rows_reserve(eoc_store *store, size_t bytes);

/** CRC-32 of a unit's record: of the rows that are results, those marked `checked`, in the table's order. */
uint32_t eoc_rows_checksum(const eoc_layout *layout, const unsigned char *block);

#endif
