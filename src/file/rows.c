/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int eoc_rows_of(const char *group, const char *name)
{
    return (int)(eoc_variable_find(group, name) - eoc_variable_row(0));
}

/*
 * The greatest block of the grid that begins at `first` and lies within `count` units: some axes fixed, part of one,
 * all of those after it. Returns its number of units; start and extent on `num_axes` axes.
 */
static int64_t leading_block(const eoc_grid *grid, int num_axes, int64_t first, int64_t count, hsize_t *start,
                             hsize_t *extent)
{
    int64_t trailing = 1, rest = first;
    int64_t block = 1;
    int partial = num_axes - 1;
    for (int id = num_axes - 1; id >= 0; id--) {
        const int64_t length = grid->axes[id].count;
        start[id] = (hsize_t)(rest % length);
        extent[id] = 1;
        rest /= length;
    }
    for (int id = num_axes - 1; id >= 0 && first % trailing == 0 && trailing <= count; id--) {
        partial = id;
        block = trailing;
        trailing *= grid->axes[id].count;
    }
    for (int id = partial + 1; id < num_axes; id++) {
        extent[id] = (hsize_t)grid->axes[id].count;
    }
    const int64_t room = grid->axes[partial].count - (int64_t)start[partial];
    const int64_t fits = count / block < room ? count / block : room;
    extent[partial] = (hsize_t)fits;
    return fits * block;
}

typedef enum { READ, WRITE } direction;

static herr_t transfer_block(direction way, hid_t dataset, hid_t type, hid_t memory_space, hid_t file_space,
                             unsigned char *values)
{
    return way == WRITE ? H5Dwrite(dataset, type, memory_space, file_space, H5P_DEFAULT, values)
                        : H5Dread(dataset, type, memory_space, file_space, H5P_DEFAULT, values);
}

/* MPI-IO tells HDF5 nothing but "failed"; the reason is what the system said last. */
static eoc_status transfer_failed(direction way, const eoc_store *store, int system_error)
{
    const char *doing = way == WRITE ? "cannot be written" : "cannot be read";
    const bool told = system_error == ENOSPC || system_error == EFBIG || system_error == EDQUOT || system_error == EIO;
    return told ? EOC_FAIL(EOC_ERR_IO, "%s: %s: %s", store->path, doing, strerror(system_error))
                : eoc_h5_fail(store->path, doing);
}

static eoc_status transfer(direction way, eoc_store *store, int row, int64_t first, int64_t count,
                           unsigned char *values)
{
    const eoc_variable *v = eoc_variable_row(row);
    const int num_axes = v->scope == EOC_PER_UNIT ? EOC_NUM_AXES : EOC_AXIS_REPLICA;
    const size_t row_count = eoc_layout_row_count(store->plan->layout, v);
    hid_t file_space = H5Dget_space(store->datasets[row]);
    eoc_status status = EOC_OK;
    for (int64_t done = 0; done < count && status == EOC_OK;) {
        hsize_t start[EOC_MAX_RANK] = {0}, extent[EOC_MAX_RANK];
        const int64_t block = leading_block(store->plan->grid, num_axes, first + done, count - done, start, extent);
        eoc_h5_along(store->plan->layout, v, extent + num_axes);
        const hsize_t total = (hsize_t)block * row_count;
        hid_t memory_space = H5Screate_simple(1, &total, NULL);
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extent, NULL);
        errno = 0;
        if (transfer_block(way, store->datasets[row], eoc_h5_memory_type(v->type), memory_space, file_space,
                           values + (size_t)done * row_count * eoc_type_bytes(v->type)) < 0) {
            status = transfer_failed(way, store, errno);
        }
        H5Sclose(memory_space);
        done += block;
    }
    H5Sclose(file_space);
    return status;
}

eoc_status eoc_rows_write(eoc_store *store, int row, int64_t first, int64_t count, const unsigned char *values)
{
    return transfer(WRITE, store, row, first, count, (unsigned char *)values); /* which a write leaves as they are */
}

eoc_status eoc_rows_read(eoc_store *store, int row, int64_t first, int64_t count, unsigned char *values)
{
    return transfer(READ, store, row, first, count, values);
}

eoc_status eoc_rows_reserve(eoc_store *store, size_t bytes)
{
    if (store->gather_bytes < bytes) {
        unsigned char *larger = realloc(store->gather, bytes);
        EOC_REQUIRE(larger, EOC_ERR_NOMEM, "out of memory for %zu bytes of results", bytes);
        store->gather = larger;
        store->gather_bytes = bytes;
    }
    return EOC_OK;
}

uint32_t eoc_rows_checksum(const eoc_layout *layout, const unsigned char *block)
{
    uLong crc = crc32(0L, Z_NULL, 0);
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (layout->included[row] && v->checked) {
            const size_t bytes = eoc_type_bytes(v->type) * eoc_layout_row_count(layout, v);
            crc = crc32(crc, block + layout->offset[row], (uInt)bytes);
        }
    }
    return (uint32_t)crc;
}
