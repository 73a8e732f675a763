/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/view.h"

#include "eoc/store.h"
#include "eoc/text.h"

#include "h5.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- pieces; each returns NULL, or false, where the file does not have it -- */

static hid_t open_dataset(hid_t file, const char *group, const char *name)
{
    if (H5Lexists(file, group, H5P_DEFAULT) <= 0) {
        return -1;
    }
    hid_t parent = H5Gopen2(file, group, H5P_DEFAULT);
    hid_t dataset = parent >= 0 && H5Lexists(parent, name, H5P_DEFAULT) > 0 ? H5Dopen2(parent, name, H5P_DEFAULT) : -1;
    if (parent >= 0) {
        H5Gclose(parent);
    }
    return dataset;
}

static char *copy_and_free(char *text)
{
    char *copy = text ? eoc_text_copy(text, strlen(text)) : NULL;
    H5free_memory(text);
    return copy;
}

/* A scalar variable-length string. */
static char *read_text(hid_t file, const char *group, const char *name)
{
    hid_t dataset = open_dataset(file, group, name);
    if (dataset < 0) {
        return NULL;
    }
    char *text = NULL;
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    if (H5Tis_variable_str(type) > 0 && H5Sget_simple_extent_npoints(space) == 1 &&
        H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0) {
        text = NULL;
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return copy_and_free(text);
}

/* A whole dataset of `*count` values, or of any number where *count is negative, which is then set. */
static void *read_values(hid_t file, const char *group, const char *name, hid_t type, int64_t *count)
{
    hid_t dataset = open_dataset(file, group, name);
    if (dataset < 0) {
        return NULL;
    }
    hid_t space = H5Dget_space(dataset);
    const hssize_t there = H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    void *values = NULL;
    if (there > 0 && (*count < 0 || there == *count)) {
        values = malloc((size_t)there * H5Tget_size(type));
        if (values && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
            free(values);
            values = NULL;
        }
        *count = there;
    }
    H5Dclose(dataset);
    return values;
}

static char *read_info(hid_t dataset, int run)
{
    const hsize_t first[2] = {(hsize_t)run, 0}, extent[2] = {1, EOC_PROVENANCE_TEXT}, total = EOC_PROVENANCE_TEXT;
    char *text = calloc(1, EOC_PROVENANCE_TEXT + 1);
    hid_t file_space = H5Dget_space(dataset), memory_space = H5Screate_simple(1, &total, NULL);
    const bool read = text && H5Sget_simple_extent_ndims(file_space) == 2 &&
                      H5Sselect_hyperslab(file_space, H5S_SELECT_SET, first, NULL, extent, NULL) >= 0 &&
                      H5Dread(dataset, H5T_C_S1, memory_space, file_space, H5P_DEFAULT, text) >= 0;
    H5Sclose(memory_space);
    H5Sclose(file_space);
    if (!read) {
        free(text);
        return NULL;
    }
    return text;
}

/* Rows of provenance that were begun. */
static bool read_runs(hid_t file, eoc_view *view)
{
    int64_t rows = EOC_PROVENANCE_ROWS;
    double *start = read_values(file, "provenance", "start", H5T_NATIVE_DOUBLE, &rows);
    double *end = read_values(file, "provenance", "end", H5T_NATIVE_DOUBLE, &rows);
    int *ranks = read_values(file, "provenance", "ranks", H5T_NATIVE_INT, &rows);
    hid_t info = open_dataset(file, "provenance", "info");
    view->runs = calloc(EOC_PROVENANCE_ROWS, sizeof *view->runs);
    bool good = start && end && ranks && info >= 0 && view->runs;
    for (int run = 0; good && run < EOC_PROVENANCE_ROWS && !isnan(start[run]); run++) {
        view->runs[run] = (eoc_view_run){start[run], end[run], ranks[run], read_info(info, run)};
        good = view->runs[run].info != NULL;
        view->num_runs = run + 1;
    }
    if (info >= 0) {
        H5Dclose(info);
    }
    free(start);
    free(end);
    free(ranks);
    return good;
}

/* -- the file -- */

static eoc_status check_maker(const char *path, hid_t file, eoc_view *view)
{
    view->program = eoc_h5_text_attribute(file, "source");
    view->title = eoc_h5_text_attribute(file, "title");
    char *schema = eoc_h5_text_attribute(file, "schema_version");
    const bool ours = view->program && schema && strncmp(view->program, "eoc ", 4) == 0;
    const int major = schema ? atoi(schema) : 0;
    free(schema);
    EOC_REQUIRE(ours, EOC_ERR_USAGE, "%s is an HDF5 file, but not a result file of eoc run", path);
    EOC_REQUIRE(major == atoi(EOC_SCHEMA_VERSION), EOC_ERR_USAGE,
                "%s has schema version %d, this program reads version %d (it was made by %s)", path, major,
                atoi(EOC_SCHEMA_VERSION), view->program);
    return EOC_OK;
}

static eoc_status read_file(const char *path, hid_t file, eoc_view *view)
{
    EOC_TRY(check_maker(path, file, view));
    view->sweep_text = read_text(file, "provenance", "sweep");
    view->identity_text = read_text(file, "provenance", "identity");
    EOC_REQUIRE(view->sweep_text && view->identity_text, EOC_ERR_USAGE,
                "%s is damaged: the sweep it was made from cannot be read from provenance", path);
    view->whole_text = read_text(file, "provenance", "whole");
    int64_t one = 1;
    int *physics_version = read_values(file, "provenance", "physics_version", H5T_NATIVE_INT, &one);
    view->physics_version = physics_version ? *physics_version : 0;
    free(physics_version);
    hid_t status = open_dataset(file, "run", "status");
    EOC_REQUIRE(status >= 0, EOC_ERR_USAGE,
                "%s holds theory alone, as eoc theory writes it: it has no networks to count", path);
    H5Dclose(status);
    view->num_units = -1;
    view->status = read_values(file, "run", "status", H5T_NATIVE_INT8, &view->num_units);
    view->reason = read_values(file, "run", "reason", H5T_NATIVE_INT8, &view->num_units);
    view->attempts = read_values(file, "run", "attempts", H5T_NATIVE_INT32, &view->num_units);
    view->seconds = read_values(file, "run", "seconds", H5T_NATIVE_DOUBLE, &view->num_units);
    EOC_REQUIRE(view->status && view->reason && view->attempts && view->seconds, EOC_ERR_USAGE,
                "%s is damaged: status, reason, attempts or seconds of group run cannot be read", path);
    EOC_REQUIRE(read_runs(file, view), EOC_ERR_USAGE, "%s is damaged: provenance cannot be read", path);
    return EOC_OK;
}

/* A file that is being written may be locked; nothing that is read here moves. */
static hid_t open_unlocked(const char *path)
{
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access_list);
    H5Pclose(access_list);
    return file;
}

eoc_status eoc_view_read(const char *path, eoc_view *view)
{
    *view = (eoc_view){0};
    eoc_h5_quiet();
    struct stat entry;
    EOC_REQUIRE(stat(path, &entry) == 0 && access(path, R_OK) == 0, EOC_ERR_USAGE, "%s: %s", path, strerror(errno));
    EOC_REQUIRE(!S_ISDIR(entry.st_mode), EOC_ERR_USAGE, "%s is a directory; a result file (.h5) is wanted", path);
    EOC_REQUIRE(S_ISREG(entry.st_mode), EOC_ERR_USAGE, "%s is not a regular file; a result file (.h5) is wanted", path);
    view->bytes = (double)entry.st_size;
    view->modified = (double)entry.st_mtim.tv_sec + 1e-9 * (double)entry.st_mtim.tv_nsec;
    hid_t file = open_unlocked(path);
    EOC_REQUIRE(file >= 0, EOC_ERR_USAGE, "%s is not an HDF5 file, or a damaged one; a result file (.h5) is wanted",
                path);
    const eoc_status status = read_file(path, file, view);
    H5Fclose(file);
    if (status != EOC_OK) {
        eoc_view_clear(view);
    }
    return status;
}

char *eoc_view_sweep(const char *path)
{
    eoc_h5_quiet();
    struct stat entry;
    hid_t file = stat(path, &entry) == 0 && S_ISREG(entry.st_mode) ? open_unlocked(path) : -1;
    if (file < 0) {
        return NULL;
    }
    char *text = read_text(file, "provenance", "sweep");
    H5Fclose(file);
    return text;
}

void eoc_view_clear(eoc_view *view)
{
    for (int run = 0; view->runs && run < view->num_runs; run++) {
        free(view->runs[run].info);
    }
    free(view->runs);
    free(view->title);
    free(view->program);
    free(view->sweep_text);
    free(view->identity_text);
    free(view->whole_text);
    free(view->status);
    free(view->reason);
    free(view->attempts);
    free(view->seconds);
    *view = (eoc_view){0};
}

/* The text is the program's own: "key": "value", quotes and backslashes behind a backslash. */
char *eoc_view_info(const eoc_view_run *run, const char *key)
{
    eoc_text mark = {0}, value = {0};
    eoc_text_append(&mark, "\"%s\": \"", key);
    const char *found = run->info ? strstr(run->info, mark.data) : NULL;
    if (found) {
        eoc_text_append(&value, "%s", "");
        for (const char *c = found + mark.length; *c && *c != '"'; c++) {
            c += *c == '\\' && c[1];
            eoc_text_append(&value, "%c", *c);
        }
    }
    eoc_text_clear(&mark);
    return value.data;
}
