/* SPDX-License-Identifier: BSD-3-Clause */
/* Phase 2: raw writes into datasets that are there already. */
#include "eoc/store.h"

#include "rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- open and close -- */

eoc_status eoc_agree_all(MPI_Comm comm, eoc_status mine)
{
    int any_bad = mine != EOC_OK;
    MPI_Allreduce(MPI_IN_PLACE, &any_bad, 1, MPI_INT, MPI_LOR, comm);
    return any_bad && mine == EOC_OK ? EOC_ERR_PEER : mine;
}

static eoc_status open_datasets(eoc_store *store)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        store->datasets[row] = -1;
        if (store->plan->layout->included[row]) {
            char name[128];
            strcpy(name, v->group);
            strcat(strcat(name, "/"), v->name);
            store->datasets[row] = H5Dopen2(store->file, name, H5P_DEFAULT);
            if (store->datasets[row] < 0) {
                return eoc_h5_fail(store->path, "opening a variable");
            }
        }
    }
    store->start = H5Dopen2(store->file, "provenance/start", H5P_DEFAULT);
    store->end = H5Dopen2(store->file, "provenance/end", H5P_DEFAULT);
    store->ranks = H5Dopen2(store->file, "provenance/ranks", H5P_DEFAULT);
    store->info = H5Dopen2(store->file, "provenance/info", H5P_DEFAULT);
    if (store->start < 0 || store->end < 0 || store->ranks < 0 || store->info < 0) {
        return eoc_h5_fail(store->path, "opening provenance");
    }
    return EOC_OK;
}

/* access: the driver, owned by the caller. */
static eoc_status open_file(const char *path, unsigned mode, hid_t access, const char *doing, eoc_store *store)
{
    store->file = H5Fopen(path, mode, access);
    if (store->file < 0) {
        return eoc_h5_fail(path, doing);
    }
    if (mode == H5F_ACC_RDONLY) {
        return open_datasets(store);
    }
    store->sync_fd = open(path, O_WRONLY | O_CLOEXEC);
    EOC_REQUIRE(store->sync_fd >= 0, EOC_ERR_IO, "%s: %s", path, strerror(errno));
    return open_datasets(store);
}

static eoc_status open_file_all(MPI_Comm comm, const char *path, eoc_store *store)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_mpio(access, comm, MPI_INFO_NULL);
    const eoc_status status = open_file(path, H5F_ACC_RDWR, access, "cannot be opened by all ranks", store);
    H5Pclose(access);
    return status;
}

static void close_dataset(hid_t dataset)
{
    if (dataset > 0) {
        H5Dclose(dataset);
    }
}

static void destroy(eoc_store **store)
{
    eoc_store *s = *store;
    if (s && s->datasets) {
        for (int row = 0; row < eoc_variable_count(); row++) {
            close_dataset(s->datasets[row]);
        }
    }
    if (s) {
        close_dataset(s->start);
        close_dataset(s->end);
        close_dataset(s->ranks);
        close_dataset(s->info);
        if (s->sync_fd >= 0) {
            close(s->sync_fd);
        }
        free(s->datasets);
        free(s->gather);
        free(s->path);
        free(s);
    }
    *store = NULL;
}

/* A store without its file; NULL and a sentence when memory ran out. */
static eoc_store *create(const char *path, const eoc_store_plan *plan)
{
    eoc_h5_quiet();
    eoc_store *s = calloc(1, sizeof *s);
    if (s) {
        s->plan = plan;
        s->sync_fd = -1;
        s->path = strdup(path);
        s->datasets = calloc((size_t)eoc_variable_count(), sizeof *s->datasets);
    }
    if (!s || !s->path || !s->datasets) {
        (void)EOC_FAIL(EOC_ERR_NOMEM, "out of memory");
        destroy(&s);
    }
    return s;
}

/* The datasets first: a file is closed for good only when nothing of it is open. */
static void destroy_with_file(eoc_store **store)
{
    const hid_t file = (*store)->file;
    destroy(store);
    if (file > 0) {
        H5Fclose(file);
    }
}

static eoc_status close_file(eoc_store **store)
{
    const hid_t file = (*store)->file;
    char path[1024];
    strncpy(path, (*store)->path, sizeof path - 1);
    path[sizeof path - 1] = '\0';
    destroy(store);
    return H5Fclose(file) < 0 ? eoc_h5_fail(path, "cannot be closed") : EOC_OK;
}

eoc_status eoc_store_open_all(MPI_Comm comm, const char *path, const eoc_store_plan *plan, eoc_store **store)
{
    eoc_store *s = create(path, plan);
    eoc_status status = eoc_agree_all(comm, s ? EOC_OK : EOC_ERR_NOMEM);
    if (status == EOC_OK) {
        status = eoc_agree_all(comm, open_file_all(comm, path, s));
        if (status != EOC_OK) {
            destroy_with_file(&s);
        }
    }
    if (status != EOC_OK) {
        destroy(&s);
        return status;
    }
    *store = s;
    return EOC_OK;
}

eoc_status eoc_store_close_all(MPI_Comm comm, eoc_store **store)
{
    return eoc_agree_all(comm, close_file(store));
}

static eoc_status open_alone(const char *path, unsigned mode, const eoc_store_plan *plan, eoc_store **store)
{
    eoc_store *s = create(path, plan);
    if (!s) {
        return EOC_ERR_NOMEM;
    }
    const eoc_status status = open_file(path, mode, H5P_DEFAULT, "cannot be opened", s);
    if (status != EOC_OK) {
        destroy_with_file(&s);
        return status;
    }
    *store = s;
    return EOC_OK;
}

eoc_status eoc_store_open(const char *path, const eoc_store_plan *plan, eoc_store **store)
{
    return open_alone(path, H5F_ACC_RDWR, plan, store);
}

eoc_status eoc_store_open_to_read(const char *path, const eoc_store_plan *plan, eoc_store **store)
{
    return open_alone(path, H5F_ACC_RDONLY, plan, store);
}

eoc_status eoc_store_close(eoc_store **store)
{
    return close_file(store);
}

/* -- raw writes -- */

eoc_status eoc_store_begin_unit(eoc_store *store, int64_t unit, int32_t attempts)
{
    const int8_t running = EOC_RUNNING;
    EOC_TRY(eoc_rows_write(store, eoc_rows_of("run", "attempts"), unit, 1, (const unsigned char *)&attempts));
    return eoc_rows_write(store, eoc_rows_of("run", "status"), unit, 1, (const unsigned char *)&running);
}

eoc_status eoc_store_give_up_unit(eoc_store *store, int64_t unit)
{
    const int8_t pending = EOC_PENDING;
    const int32_t never = 0;
    EOC_TRY(eoc_rows_write(store, eoc_rows_of("run", "status"), unit, 1, (const unsigned char *)&pending));
    return eoc_rows_write(store, eoc_rows_of("run", "attempts"), unit, 1, (const unsigned char *)&never);
}

eoc_status eoc_store_write_state(eoc_store *store, const int8_t *status, const int32_t *attempts)
{
    const int64_t units = (int64_t)eoc_grid_num_units(store->plan->grid);
    EOC_TRY(eoc_rows_write(store, eoc_rows_of("run", "attempts"), 0, units, (const unsigned char *)attempts));
    return eoc_rows_write(store, eoc_rows_of("run", "status"), 0, units, (const unsigned char *)status);
}

/* One variable of a batch: gathered from the records, written in runs of consecutive units. */
static eoc_status write_batch_variable(eoc_store *store, int row, const int64_t *units, int count,
                                       const unsigned char *blocks)
{
    const eoc_layout *layout = store->plan->layout;
    const eoc_variable *v = eoc_variable_row(row);
    const size_t bytes = eoc_type_bytes(v->type) * eoc_layout_row_count(layout, v);
    EOC_TRY(eoc_rows_reserve(store, bytes * (size_t)count));
    for (int i = 0; i < count; i++) {
        memcpy(store->gather + (size_t)i * bytes, blocks + (size_t)i * layout->unit_bytes + layout->offset[row], bytes);
    }
    for (int from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && units[to] == units[to - 1] + 1; to++) {
        }
        EOC_TRY(eoc_rows_write(store, row, units[from], to - from, store->gather + (size_t)from * bytes));
    }
    return EOC_OK;
}

static eoc_status sync_file(const eoc_store *store)
{
    EOC_REQUIRE(fdatasync(store->sync_fd) == 0, EOC_ERR_IO, "%s: cannot be synced: %s", store->path, strerror(errno));
    return EOC_OK;
}

eoc_status eoc_store_commit(eoc_store *store, const int64_t *units, int count, void *blocks)
{
    const eoc_layout *layout = store->plan->layout;
    const int status_row = eoc_rows_of("run", "status");
    for (int i = 0; i < count; i++) {
        unsigned char *const block = (unsigned char *)blocks + (size_t)i * layout->unit_bytes;
        eoc_unit_record record;
        eoc_layout_unit(layout, block, &record);
        *record.checksum = eoc_rows_checksum(layout, block);
    }
    /* attempts were written when the unit was begun */
    const int attempts_row = eoc_rows_of("run", "attempts");
    for (int row = 0; row < eoc_variable_count(); row++) {
        const bool of_unit = eoc_variable_row(row)->scope == EOC_PER_UNIT && layout->included[row];
        if (of_unit && row != status_row && row != attempts_row) {
            EOC_TRY(write_batch_variable(store, row, units, count, blocks));
        }
    }
    /* The rows are on the disk before a status says so. */
    EOC_TRY(sync_file(store));
    EOC_TRY(write_batch_variable(store, status_row, units, count, blocks));
    return sync_file(store);
}

eoc_status eoc_store_write_point(eoc_store *store, int64_t point, const void *block)
{
    const eoc_layout *layout = store->plan->layout;
    const int status_row = eoc_rows_of("theory", "status");
    for (int row = 0; row < eoc_variable_count(); row++) {
        if (eoc_variable_row(row)->scope == EOC_PER_POINT && layout->included[row] && row != status_row) {
            EOC_TRY(eoc_rows_write(store, row, point, 1, (const unsigned char *)block + layout->offset[row]));
        }
    }
    return eoc_rows_write(store, status_row, point, 1, (const unsigned char *)block + layout->offset[status_row]);
}

/* A block of one of provenance's datasets, one or two dimensions. */
static eoc_status write_block(const eoc_store *store, hid_t dataset, const hsize_t *start, const hsize_t *extent,
                              hsize_t total, hid_t type, const void *values)
{
    hid_t file_space = H5Dget_space(dataset), memory_space = H5Screate_simple(1, &total, NULL);
    H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extent, NULL);
    eoc_status status = EOC_OK;
    if (H5Dwrite(dataset, type, memory_space, file_space, H5P_DEFAULT, values) < 0) {
        status = eoc_h5_fail(store->path, "provenance cannot be written");
    }
    H5Sclose(memory_space);
    H5Sclose(file_space);
    return status;
}

eoc_status eoc_store_write_run(eoc_store *store, int row, double start, double end, int ranks, const char *info)
{
    const hsize_t first[2] = {(hsize_t)row, 0}, one[1] = {1}, one_text[2] = {1, EOC_PROVENANCE_TEXT};
    char text[EOC_PROVENANCE_TEXT] = "";
    memcpy(text, info, strnlen(info, sizeof text - 1));
    EOC_TRY(write_block(store, store->start, first, one, 1, H5T_NATIVE_DOUBLE, &start));
    EOC_TRY(write_block(store, store->end, first, one, 1, H5T_NATIVE_DOUBLE, &end));
    EOC_TRY(write_block(store, store->ranks, first, one, 1, H5T_NATIVE_INT, &ranks));
    return write_block(store, store->info, first, one_text, EOC_PROVENANCE_TEXT, H5T_C_S1, text);
}
