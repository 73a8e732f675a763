/* SPDX-License-Identifier: BSD-3-Clause */
/* What an existing file says before it is resumed. */
#include "eoc/store.h"
#include "eoc/text.h"

#include "difference.h"
#include "h5.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A scalar variable-length string dataset or attribute; NULL when it is not there or not a string. Free with
 * H5free_memory. */
static char *read_text(hid_t object, bool is_attribute)
{
    char *text = NULL;
    hid_t type = is_attribute ? H5Aget_type(object) : H5Dget_type(object);
    hid_t space = is_attribute ? H5Aget_space(object) : H5Dget_space(object);
    if (type >= 0 && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        if (H5Tis_variable_str(type) > 0) {
            const herr_t read = is_attribute ? H5Aread(object, type, &text)
                                             : H5Dread(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text);
            text = read < 0 ? NULL : text;
        } else if (is_attribute) {
            text = H5allocate_memory(H5Tget_size(type) + 1, true);
            if (text && H5Aread(object, type, text) < 0) {
                H5free_memory(text);
                text = NULL;
            }
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    return text;
}

static char *read_text_attribute(hid_t file, const char *name)
{
    if (H5Aexists(file, name) <= 0) {
        return NULL;
    }
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    char *text = read_text(attribute, true);
    H5Aclose(attribute);
    return text;
}

/* Opens GROUP/NAME; negative when there is no such dataset. */
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

static char *read_text_dataset(hid_t file, const char *group, const char *name)
{
    hid_t dataset = open_dataset(file, group, name);
    if (dataset < 0) {
        return NULL;
    }
    char *text = read_text(dataset, false);
    H5Dclose(dataset);
    return text;
}

/* -- variables: of the shape that the plan gives them, and where a run can write them in place -- */

static bool has_shape(hid_t dataset, int rank, const hsize_t *wanted)
{
    hsize_t found[H5S_MAX_RANK];
    hid_t space = H5Dget_space(dataset);
    bool right = H5Sget_simple_extent_ndims(space) == rank && H5Sget_simple_extent_dims(space, found, NULL) == rank;
    for (int d = 0; d < rank && right; d++) {
        right = found[d] == wanted[d];
    }
    H5Sclose(space);
    return right;
}

static bool has_type(hid_t dataset, eoc_type type)
{
    hid_t found = H5Dget_type(dataset);
    const bool right = H5Tequal(found, eoc_h5_file_type(type)) > 0;
    H5Tclose(found);
    return right;
}

typedef enum { IN_PLACE, CHUNKED, NOT_ALLOCATED, BEYOND_THE_END } place;

static place place_of(hid_t dataset, double bytes, double file_bytes)
{
    hid_t list = H5Dget_create_plist(dataset);
    const bool contiguous = H5Pget_layout(list) == H5D_CONTIGUOUS && H5Pget_external_count(list) == 0;
    H5Pclose(list);
    if (!contiguous) {
        return CHUNKED;
    }
    const haddr_t offset = H5Dget_offset(dataset);
    return offset == HADDR_UNDEF ? NOT_ALLOCATED : (double)offset + bytes > file_bytes ? BEYOND_THE_END : IN_PLACE;
}

static eoc_status check_dataset(const char *path, hid_t dataset, const eoc_store_plan *plan, const eoc_variable *v,
                                double file_bytes)
{
    EOC_REQUIRE(dataset >= 0, EOC_ERR_USAGE, "%s: the variable %s/%s is missing: the file is damaged or not eoc's",
                path, v->group, v->name);
    hsize_t wanted[EOC_MAX_RANK];
    const int rank = eoc_h5_shape(plan->grid, plan->layout, v, wanted);
    double bytes = (double)eoc_type_bytes(v->type);
    for (int d = 0; d < rank; d++) {
        bytes *= (double)wanted[d];
    }
    EOC_REQUIRE(has_shape(dataset, rank, wanted) && has_type(dataset, v->type), EOC_ERR_USAGE,
                "%s: %s/%s has not the shape and type that this sweep gives it: the file is damaged or was changed",
                path, v->group, v->name);
    const place found = place_of(dataset, bytes, file_bytes);
    EOC_REQUIRE(found != CHUNKED, EOC_ERR_USAGE,
                "%s was compressed or rewritten by another tool since (%s/%s is in chunks), and a run writes in place; "
                "'h5repack -l CONTI -f NONE %s NEW.h5' makes a file that can be gone on with",
                path, v->group, v->name, path);
    EOC_REQUIRE(found == IN_PLACE, EOC_ERR_USAGE, "%s: %s/%s is not wholly in the file: it is damaged or cut short",
                path, v->group, v->name);
    return EOC_OK;
}

static eoc_status check_variables(const char *path, hid_t file, const eoc_store_plan *plan)
{
    struct stat entry;
    EOC_REQUIRE(stat(path, &entry) == 0, EOC_ERR_USAGE, "%s: %s", path, strerror(errno));
    eoc_status status = EOC_OK;
    for (int row = 0; row < eoc_variable_count() && status == EOC_OK; row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (plan->layout->included[row]) {
            hid_t dataset = open_dataset(file, v->group, v->name);
            status = check_dataset(path, dataset, plan, v, (double)entry.st_size);
            if (dataset >= 0) {
                H5Dclose(dataset);
            }
        }
    }
    return status;
}

/* A whole variable, checked before; `values` is allocated here. */
static eoc_status read_variable(const char *path, hid_t file, const eoc_store_plan *plan, const char *group,
                                const char *name, void **values)
{
    const eoc_variable *v = eoc_variable_find(group, name);
    assert(v);
    hsize_t shape[EOC_MAX_RANK];
    size_t count = 1;
    for (int d = eoc_h5_shape(plan->grid, plan->layout, v, shape) - 1; d >= 0; d--) {
        count *= (size_t)shape[d];
    }
    *values = malloc(count * eoc_type_bytes(v->type));
    EOC_REQUIRE(*values, EOC_ERR_NOMEM, "out of memory for %s/%s", group, name);
    hid_t dataset = open_dataset(file, group, name);
    const bool read = H5Dread(dataset, eoc_h5_memory_type(v->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, *values) >= 0;
    H5Dclose(dataset);
    EOC_REQUIRE(read, EOC_ERR_USAGE, "%s: %s/%s cannot be read: the file is damaged", path, group, name);
    return EOC_OK;
}

/* -- is it the same sweep -- */

static eoc_status differing_sweep(const char *path, const char *there, const char *wanted)
{
    eoc_text difference = {0};
    eoc_sweep_difference(there, wanted, &difference);
    const eoc_status status = EOC_FAIL(
        EOC_ERR_USAGE, "%s holds another sweep: %s; name another file with -o, or give --overwrite to begin anew", path,
        difference.data);
    eoc_text_clear(&difference);
    return status;
}

static eoc_status check_versions(const char *path, hid_t file)
{
    char *source = read_text_attribute(file, "source"), *schema = read_text_attribute(file, "schema_version");
    eoc_status status = EOC_OK;
    if (!source || !schema || strncmp(source, "eoc ", 4) != 0) {
        status = EOC_FAIL(
            EOC_ERR_USAGE,
            "%s is an HDF5 file, but not a result file of eoc; name another with -o, or give --overwrite to begin anew",
            path);
    } else if (atoi(schema) != atoi(EOC_SCHEMA_VERSION)) {
        status = EOC_FAIL(EOC_ERR_USAGE,
                          "%s has schema version %s, this program writes %s; name another file with -o, or give "
                          "--overwrite to begin anew",
                          path, schema, EOC_SCHEMA_VERSION);
    }
    H5free_memory(source);
    H5free_memory(schema);
    return status;
}

static eoc_status check_physics(const char *path, hid_t file)
{
    int version = 0;
    hid_t dataset = open_dataset(file, "provenance", "physics_version");
    if (dataset >= 0) {
        H5Dread(dataset, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &version);
        H5Dclose(dataset);
    }
    EOC_REQUIRE(
        version == EOC_PHYSICS_VERSION, EOC_ERR_USAGE,
        "%s was computed with physics version %d, this program has %d, whose numbers differ; name another file with "
        "-o, or give --overwrite to begin anew",
        path, version, EOC_PHYSICS_VERSION);
    return EOC_OK;
}

static eoc_status check_identity(const char *path, hid_t file, const eoc_store_plan *plan)
{
    char *identity = read_text_dataset(file, "provenance", "identity");
    eoc_status status = EOC_OK;
    if (!identity) {
        status = EOC_FAIL(EOC_ERR_USAGE, "%s: provenance/identity is missing: the file is damaged or not eoc's", path);
    } else if (strcmp(identity, plan->identity_text) != 0) {
        status = differing_sweep(path, identity, plan->identity_text);
    }
    H5free_memory(identity);
    return status;
}

static eoc_status read_next_run(const char *path, hid_t file, int *next_run)
{
    double start[EOC_PROVENANCE_ROWS];
    hid_t dataset = open_dataset(file, "provenance", "start");
    hid_t space = dataset >= 0 ? H5Dget_space(dataset) : -1;
    const bool right = space >= 0 && H5Sget_simple_extent_npoints(space) == EOC_PROVENANCE_ROWS &&
                       H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, start) >= 0;
    if (dataset >= 0) {
        H5Sclose(space);
        H5Dclose(dataset);
    }
    EOC_REQUIRE(right, EOC_ERR_USAGE, "%s: provenance/start cannot be read: the file is damaged", path);
    /* When all rows are used the last one is written again. */
    *next_run = 0;
    while (*next_run < EOC_PROVENANCE_ROWS - 1 && !isnan(start[*next_run])) {
        (*next_run)++;
    }
    return EOC_OK;
}

/* A status that no unit can have is a damaged byte: the unit is done again. */
static void forget_nonsense(const eoc_store_plan *plan, eoc_store_state *state)
{
    const int64_t units = (int64_t)eoc_grid_num_units(plan->grid);
    for (int64_t unit = 0; unit < units; unit++) {
        if (state->status[unit] < EOC_PENDING || state->status[unit] > EOC_FAILED) {
            state->status[unit] = EOC_PENDING;
        }
        if (state->attempts[unit] < 0) {
            state->attempts[unit] = 0;
        }
    }
}

static eoc_status read_all(const char *path, hid_t file, const eoc_store_plan *plan, eoc_store_state *state)
{
    EOC_TRY(check_versions(path, file));
    EOC_TRY(check_physics(path, file));
    EOC_TRY(check_identity(path, file, plan));
    hid_t networks = open_dataset(file, "run", "status"), theory = open_dataset(file, "theory", "status");
    const bool is_theory_alone = networks < 0 && theory >= 0;
    H5Dclose(networks);
    H5Dclose(theory);
    EOC_REQUIRE(
        !is_theory_alone, EOC_ERR_USAGE,
        "%s holds the theory of this sweep alone, as eoc theory writes it, and no networks can be added to it; name "
        "another file with -o, or give --overwrite to replace it",
        path);
    EOC_TRY(check_variables(path, file, plan));
    void *values = NULL;
    eoc_status read = read_variable(path, file, plan, "run", "status", &values);
    state->status = values;
    EOC_TRY(read);
    read = read_variable(path, file, plan, "run", "attempts", &values);
    state->attempts = values;
    EOC_TRY(read);
    read = read_variable(path, file, plan, "run", "seconds", &values);
    state->seconds = values;
    EOC_TRY(read);
    read = read_variable(path, file, plan, "theory", "status", &values);
    state->theory_status = values;
    EOC_TRY(read);
    forget_nonsense(plan, state);
    return read_next_run(path, file, &state->next_run);
}

static eoc_status refuse(const char *path)
{
    (void)eoc_h5_fail(path, "cannot be opened");
    const bool cut = strstr(eoc_status_why(), "truncated") != NULL;
    return cut ? EOC_FAIL(EOC_ERR_USAGE,
                          "%s is cut short: its end is missing; name another file with -o, or give --overwrite to "
                          "begin anew",
                          path)
               : EOC_FAIL(EOC_ERR_USAGE,
                          "%s is not an HDF5 file, or a damaged one; name another file with -o, or give --overwrite to "
                          "begin anew",
                          path);
}

eoc_status eoc_store_read_state(const char *path, const eoc_store_plan *plan, eoc_store_state *state)
{
    eoc_h5_quiet();
    *state = (eoc_store_state){0};
    EOC_REQUIRE(access(path, R_OK | W_OK) == 0, EOC_ERR_USAGE, "%s: %s", path, strerror(errno));
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) {
        return refuse(path);
    }
    const eoc_status status = read_all(path, file, plan, state);
    H5Fclose(file);
    if (status != EOC_OK) {
        eoc_store_state_clear(state);
    }
    return status;
}

void eoc_store_state_clear(eoc_store_state *state)
{
    free(state->status);
    free(state->attempts);
    free(state->seconds);
    free(state->theory_status);
    *state = (eoc_store_state){0};
}
