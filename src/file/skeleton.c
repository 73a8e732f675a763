/* SPDX-License-Identifier: BSD-3-Clause */
/* Phase 1: everything of the file but its numbers. */
#include "eoc/store.h"
#include "eoc/text.h"

#include "h5.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5_hl.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Scales beside the eight axes, in the order of their dimension ids. */
enum { SCALE_ALONG = EOC_NUM_AXES, SCALE_RUN = SCALE_ALONG + EOC_NUM_SCALES, SCALE_TEXT, NUM_SCALES };

typedef struct {
    const char *path; /* the temporary */
    const eoc_store_plan *plan;
    hid_t file;
    hid_t scales[NUM_SCALES];
    bool failed;
} skeleton;

/* After the first failure nothing more is tried; the first sentence stands. */
static bool good(skeleton *s, hid_t id, const char *doing)
{
    if (id < 0 && !s->failed) {
        s->failed = true;
        (void)eoc_h5_fail(s->path, doing);
    }
    return !s->failed;
}

static hid_t tracked(hid_t class_id)
{
    hid_t list = H5Pcreate(class_id);
    H5Pset_attr_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    if (class_id != H5P_DATASET_CREATE) {
        H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    }
    return list;
}

static void text_attribute(skeleton *s, hid_t object, const char *name, const char *text)
{
    if (s->failed) {
        return;
    }
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    good(s, attribute < 0 ? attribute : H5Awrite(attribute, type, text), "writing an attribute");
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void array_attribute(skeleton *s, hid_t object, const char *name, hid_t file_type, hid_t memory_type, int count,
                            const void *values)
{
    if (s->failed) {
        return;
    }
    const hsize_t length = (hsize_t)count;
    hid_t space = count ? H5Screate_simple(1, &length, NULL) : H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    good(s, attribute < 0 ? attribute : H5Awrite(attribute, memory_type, values), "writing an attribute");
    H5Aclose(attribute);
    H5Sclose(space);
}

/* A dataset with all its space allocated and filled at once. fill: in the memory type, or NULL for zeros. */
static hid_t filled_dataset(skeleton *s, hid_t parent, const char *name, hid_t file_type, hid_t memory_type, int rank,
                            const hsize_t *shape, const void *fill)
{
    if (s->failed) {
        return -1;
    }
    hid_t list = tracked(H5P_DATASET_CREATE);
    H5Pset_layout(list, H5D_CONTIGUOUS);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(list, H5D_FILL_TIME_ALLOC);
    if (fill) {
        H5Pset_fill_value(list, memory_type, fill);
    }
    hid_t space = rank ? H5Screate_simple(rank, shape, NULL) : H5Screate(H5S_SCALAR);
    hid_t dataset = H5Dcreate2(parent, name, file_type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    char doing[128];
    snprintf(doing, sizeof doing, "allocating %s", name);
    good(s, dataset, doing);
    H5Sclose(space);
    H5Pclose(list);
    return dataset;
}

static void describe(skeleton *s, hid_t dataset, const char *units, const char *long_name)
{
    text_attribute(s, dataset, "long_name", long_name);
    text_attribute(s, dataset, "units", units);
}

/* -- scales -- */

static void make_scale(skeleton *s, int id, const char *name)
{
    if (s->failed) {
        return;
    }
    good(s, H5DSset_scale(s->scales[id], name), "making a dimension scale");
    array_attribute(s, s->scales[id], "_Netcdf4Dimid", H5T_STD_I32LE, H5T_NATIVE_INT, 0, &id);
}

static void number_scale(skeleton *s, hid_t parent, int id, const char *name, const char *units, const char *long_name,
                         hid_t file_type, const double *values, int count)
{
    const hsize_t length = (hsize_t)count;
    s->scales[id] = filled_dataset(s, parent, name, file_type, H5T_NATIVE_DOUBLE, 1, &length, NULL);
    if (!s->failed) {
        good(s, H5Dwrite(s->scales[id], H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), "writing an axis");
    }
    describe(s, s->scales[id], units, long_name);
    make_scale(s, id, name);
}

/* Variable-length strings: the only form in which every reader selects by label. */
static hid_t string_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static void name_scale(skeleton *s, int id, const char *name, const char *long_name, char *const *values, int count)
{
    if (s->failed) {
        return;
    }
    const hsize_t length = (hsize_t)count;
    hid_t type = string_type(), space = H5Screate_simple(1, &length, NULL), list = tracked(H5P_DATASET_CREATE);
    s->scales[id] = H5Dcreate2(s->file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (good(s, s->scales[id], "creating an axis")) {
        good(s, H5Dwrite(s->scales[id], type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), "writing an axis");
    }
    text_attribute(s, s->scales[id], "long_name", long_name);
    make_scale(s, id, name);
    H5Pclose(list);
    H5Sclose(space);
    H5Tclose(type);
}

static void axis_scales(skeleton *s)
{
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_axis_row *row = eoc_axis_row_of((eoc_axis_id)id);
        const eoc_axis *axis = &s->plan->grid->axes[id];
        if (row->type == EOC_AXIS_KIND) {
            name_scale(s, id, row->name, row->long_name, axis->names, axis->count);
        } else {
            number_scale(s, s->file, id, row->name, row->units, row->long_name,
                         row->type == EOC_AXIS_INTEGER ? H5T_STD_I32LE : H5T_IEEE_F64LE, axis->values, axis->count);
        }
    }
}

static void counted_scale(skeleton *s, hid_t parent, int id, const char *name, const char *long_name, const int *values,
                          int count)
{
    double *numbers = malloc(sizeof(double) * (size_t)count);
    if (!numbers) {
        s->failed = true;
        (void)EOC_FAIL(EOC_ERR_NOMEM, "out of memory");
        return;
    }
    for (int i = 0; i < count; i++) {
        numbers[i] = values ? values[i] : i;
    }
    number_scale(s, parent, id, name, "1", long_name, H5T_STD_I32LE, numbers, count);
    free(numbers);
}

/* The length of a text: a dimension that has no values, as netCDF-4 marks one. */
static void bare_scale(skeleton *s, hid_t parent, int id, const char *name, int length)
{
    char mark[80];
    snprintf(mark, sizeof mark, "This is a netCDF dimension but not a netCDF variable.%10d", length);
    const hsize_t size = (hsize_t)length;
    s->scales[id] = filled_dataset(s, parent, name, H5T_IEEE_F32BE, H5T_NATIVE_FLOAT, 1, &size, NULL);
    make_scale(s, id, mark);
}

/* Links a group to the scales its variables use: without them xarray finds no coordinates there. */
static void link_scale(skeleton *s, hid_t group, const char *name)
{
    if (!s->failed && H5Lexists(group, name, H5P_DEFAULT) <= 0) {
        good(s, H5Lcreate_hard(s->file, name, group, name, H5P_DEFAULT, H5P_DEFAULT), "linking an axis");
    }
}

static void attach(skeleton *s, hid_t dataset, int dimension, int id)
{
    if (!s->failed) {
        good(s, H5DSattach_scale(dataset, s->scales[id], (unsigned)dimension), "attaching an axis");
    }
}

/* -- variables -- */

static const char *const along_names[EOC_NUM_SCALES] = {
    [EOC_SCALE_LAYER] = "layer", [EOC_SCALE_MODE] = "mode",         [EOC_SCALE_LEARNING_RATE] = "learning_rate",
    [EOC_SCALE_STEP] = "step",   [EOC_SCALE_INPUT] = "input",       [EOC_SCALE_OTHER_INPUT] = "other_input",
    [EOC_SCALE_LAG] = "lag",     [EOC_SCALE_POSITION] = "position", [EOC_SCALE_SPATIAL_MODE] = "spatial_mode"};

static void flag_attributes(skeleton *s, hid_t dataset, const eoc_variable *v)
{
    unsigned char bytes[64 * 8];
    eoc_text meanings = {0};
    int count = 0;
    for (; v->flag_name(count); count++) {
        const int value = v->masks ? 1 << count : count;
        if (v->type == EOC_TYPE_INT8) {
            bytes[count] = (unsigned char)value;
        } else {
            const uint16_t mask = (uint16_t)value;
            memcpy(bytes + 2 * count, &mask, sizeof mask);
        }
        eoc_text_append(&meanings, "%s%s", count ? " " : "", v->flag_name(count));
    }
    array_attribute(s, dataset, v->masks ? "flag_masks" : "flag_values", eoc_h5_file_type(v->type),
                    eoc_h5_memory_type(v->type), count, bytes);
    text_attribute(s, dataset, "flag_meanings", meanings.data);
    eoc_text_clear(&meanings);
}

static void variable(skeleton *s, hid_t group, const eoc_variable *v)
{
    hsize_t shape[EOC_MAX_RANK];
    const int rank = eoc_h5_shape(s->plan->grid, s->plan->layout, v, shape);
    const bool is_float = v->type == EOC_TYPE_FLOAT64;
    const double nan_fill = NAN;
    const hid_t memory_type = is_float ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT;
    hid_t dataset = filled_dataset(s, group, v->name, eoc_h5_file_type(v->type), memory_type, rank, shape,
                                   is_float ? (const void *)&nan_fill : (const void *)&v->fill);
    describe(s, dataset, v->units, v->long_name);
    if (is_float) {
        array_attribute(s, dataset, "_FillValue", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, &nan_fill);
    }
    if (v->flag_name) {
        flag_attributes(s, dataset, v);
    }
    eoc_scale along[EOC_MAX_ALONG];
    const int num_axes = rank - eoc_along_scales(v->along, along);
    for (int d = 0; d < num_axes; d++) {
        link_scale(s, group, eoc_axis_row_of((eoc_axis_id)d)->name);
        attach(s, dataset, d, d);
    }
    for (int d = num_axes; d < rank; d++) {
        link_scale(s, group, along_names[along[d - num_axes]]);
        attach(s, dataset, d, SCALE_ALONG + (int)along[d - num_axes]);
    }
    H5Dclose(dataset);
}

static hid_t open_group(skeleton *s, const char *name)
{
    if (s->failed) {
        return -1;
    }
    hid_t list = tracked(H5P_GROUP_CREATE);
    hid_t group = H5Lexists(s->file, name, H5P_DEFAULT) > 0 ? H5Gopen2(s->file, name, H5P_DEFAULT)
                                                            : H5Gcreate2(s->file, name, H5P_DEFAULT, list, H5P_DEFAULT);
    good(s, group, "creating a group");
    H5Pclose(list);
    return group;
}

static void record_variables(skeleton *s)
{
    for (int row = 0; row < eoc_variable_count() && !s->failed; row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (s->plan->layout->included[row]) {
            hid_t group = open_group(s, v->group);
            variable(s, group, v);
            H5Gclose(group);
        }
    }
}

/* -- provenance -- */

static void text_dataset(skeleton *s, hid_t group, const char *name, const char *text, const char *long_name)
{
    if (s->failed) {
        return;
    }
    hid_t type = string_type(), space = H5Screate(H5S_SCALAR), list = tracked(H5P_DATASET_CREATE);
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    good(s, dataset < 0 ? dataset : H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text), "writing a text");
    text_attribute(s, dataset, "long_name", long_name);
    H5Dclose(dataset);
    H5Pclose(list);
    H5Sclose(space);
    H5Tclose(type);
}

static void integer_dataset(skeleton *s, hid_t group, const char *name, int64_t value, const char *long_name)
{
    hid_t dataset = filled_dataset(s, group, name, H5T_STD_I64LE, H5T_NATIVE_INT64, 0, NULL, NULL);
    if (!s->failed) {
        good(s, H5Dwrite(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value), "writing a number");
    }
    describe(s, dataset, "1", long_name);
    H5Dclose(dataset);
}

static void run_variable(skeleton *s, hid_t group, const char *name, hid_t file_type, hid_t memory_type,
                         const void *fill, const char *units, const char *long_name)
{
    const hsize_t rows = EOC_PROVENANCE_ROWS;
    hid_t dataset = filled_dataset(s, group, name, file_type, memory_type, 1, &rows, fill);
    describe(s, dataset, units, long_name);
    if (memory_type == H5T_NATIVE_DOUBLE) {
        array_attribute(s, dataset, "_FillValue", file_type, memory_type, 0, fill);
    }
    attach(s, dataset, 0, SCALE_RUN);
    H5Dclose(dataset);
}

static void provenance(skeleton *s)
{
    hid_t group = open_group(s, "provenance");
    /* Here and not in the root, where the group of that name is. */
    counted_scale(s, group, SCALE_RUN, "run", "runs of the program on this file", NULL, EOC_PROVENANCE_ROWS);
    bare_scale(s, group, SCALE_TEXT, "text", EOC_PROVENANCE_TEXT);
    const double never = NAN;
    const int zero = 0;
    const char *since = "seconds since 1970-01-01 00:00:00";
    run_variable(s, group, "start", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &never, since, "start of the run (UTC)");
    run_variable(s, group, "end", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &never, since, "end of the run (UTC)");
    run_variable(s, group, "ranks", H5T_STD_I32LE, H5T_NATIVE_INT, &zero, "1", "MPI ranks of the run");

    const hsize_t shape[2] = {EOC_PROVENANCE_ROWS, EOC_PROVENANCE_TEXT};
    hid_t one_char = H5Tcopy(H5T_C_S1);
    hid_t info = filled_dataset(s, group, "info", one_char, one_char, 2, shape, NULL);
    text_attribute(s, info, "long_name", "JSON: command line, hosts, Slurm job, versions, why the run ended");
    text_attribute(s, info, "_Encoding", "utf-8");
    attach(s, info, 0, SCALE_RUN);
    attach(s, info, 1, SCALE_TEXT);
    H5Dclose(info);
    H5Tclose(one_char);

    text_dataset(s, group, "sweep", s->plan->sweep_text, "the resolved sweep file");
    text_dataset(s, group, "identity", s->plan->identity_text, "the keys that results depend on");
    if (s->plan->whole_text) {
        text_dataset(s, group, "whole", s->plan->whole_text, "the resolved sweep that this file holds a part of");
    }
    text_dataset(s, group, "schema_version", EOC_SCHEMA_VERSION, "version of the file's layout");
    integer_dataset(s, group, "seed", (int64_t)s->plan->seed, "seed of every random number");
    integer_dataset(s, group, "physics_version", EOC_PHYSICS_VERSION,
                    "raised whenever the same sweep gives other bits");
    H5Gclose(group);
}

static void root_attributes(skeleton *s)
{
    text_attribute(s, s->file, "Conventions", "CF-1.10");
    text_attribute(s, s->file, "title", s->plan->title);
    text_attribute(s, s->file, "source", s->plan->program);
    text_attribute(s, s->file, "schema_version", EOC_SCHEMA_VERSION);
    text_attribute(s, s->file, "references",
                   "Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232");
}

static void along_scales(skeleton *s)
{
    const eoc_layout *layout = s->plan->layout;
    counted_scale(s, s->file, SCALE_ALONG + EOC_SCALE_LAYER, along_names[EOC_SCALE_LAYER],
                  "layer of the network, from 1", layout->layers, layout->num_layers);
    if (layout->num_modes) {
        counted_scale(s, s->file, SCALE_ALONG + EOC_SCALE_MODE, along_names[EOC_SCALE_MODE],
                      "place among the singular values, from the greatest", NULL, layout->num_modes);
    }
    for (int scale = EOC_SCALE_INPUT; layout->num_points && scale <= EOC_SCALE_OTHER_INPUT; scale++) {
        if (scale == EOC_SCALE_INPUT || layout->has_point_pairs) {
            number_scale(s, s->file, SCALE_ALONG + scale, along_names[scale], "1",
                         "the scalar t that the first layer lifts", H5T_IEEE_F64LE, layout->points, layout->num_points);
        }
    }
    if (layout->num_lags) {
        counted_scale(s, s->file, SCALE_ALONG + EOC_SCALE_LAG, along_names[EOC_SCALE_LAG], "lag, in points", NULL,
                      layout->num_lags);
    }
    if (layout->num_positions) {
        counted_scale(s, s->file, SCALE_ALONG + EOC_SCALE_POSITION, along_names[EOC_SCALE_POSITION],
                      "position, row after row", NULL, layout->num_positions);
    }
    if (layout->num_spatial_modes) {
        counted_scale(s, s->file, SCALE_ALONG + EOC_SCALE_SPATIAL_MODE, along_names[EOC_SCALE_SPATIAL_MODE],
                      "wave numbers along the dimensions, as positions", NULL, layout->num_spatial_modes);
    }
    if (layout->num_rates) {
        number_scale(s, s->file, SCALE_ALONG + EOC_SCALE_LEARNING_RATE, along_names[EOC_SCALE_LEARNING_RATE], "1",
                     "learning rate", H5T_IEEE_F64LE, layout->learning_rates, layout->num_rates);
        counted_scale(s, s->file, SCALE_ALONG + EOC_SCALE_STEP, along_names[EOC_SCALE_STEP], "steps of training done",
                      layout->steps, layout->num_steps);
    }
}

static void fill_file(skeleton *s)
{
    root_attributes(s);
    axis_scales(s);
    along_scales(s);
    record_variables(s);
    provenance(s);
    for (int id = 0; id < NUM_SCALES; id++) {
        if (s->scales[id] > 0) {
            H5Dclose(s->scales[id]);
        }
    }
}

/* -- temporary, sync, rename -- */

static eoc_status sync_path(const char *path, int flags)
{
    const int fd = open(path, flags);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    EOC_REQUIRE(synced, EOC_ERR_IO, "%s: cannot be synced: %s", path, strerror(error));
    return EOC_OK;
}

eoc_status eoc_store_publish(const char *temporary, const char *path)
{
    EOC_TRY(sync_path(temporary, O_RDWR));
    EOC_REQUIRE(rename(temporary, path) == 0, EOC_ERR_IO, "%s: cannot be renamed to %s: %s", temporary, path,
                strerror(errno));
    char *copy = eoc_text_copy(path, strlen(path));
    /* Some file systems cannot sync a directory; the file itself is safe by now. */
    (void)sync_path(dirname(copy), O_RDONLY);
    free(copy);
    return EOC_OK;
}

/*
 * Asks the file system for all the space first. HDF5 finds a full disk too, but then can neither close the file nor end
 * without a crash.
 */
static eoc_status reserve(const char *path, const eoc_store_plan *plan)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    EOC_REQUIRE(fd >= 0, EOC_ERR_USAGE, "%s: cannot be created: %s; name another file with -o", path, strerror(errno));
    const double bytes = eoc_store_bytes(plan);
    const int error = posix_fallocate(fd, 0, (off_t)bytes);
    close(fd);
    if (error != 0 && error != EINVAL && error != EOPNOTSUPP) {
        unlink(path);
        return EOC_FAIL(EOC_ERR_IO, "%s: %.4g MB cannot be allocated: %s", path, bytes / 1e6, strerror(error));
    }
    return EOC_OK;
}

static eoc_status write_skeleton(const char *path, const eoc_store_plan *plan)
{
    skeleton s = {.path = path, .plan = plan};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = tracked(H5P_FILE_CREATE);
    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    s.file = H5Fcreate(s.path, H5F_ACC_TRUNC, creation, access);
    /* Before any other call of the library: each forgets the last one's error. */
    const bool created = good(&s, s.file, "cannot be created");
    H5Pclose(creation);
    H5Pclose(access);
    if (created) {
        fill_file(&s);
        good(&s, H5Fclose(s.file), "cannot be closed");
    }
    return s.failed ? EOC_ERR_IO : EOC_OK;
}

eoc_status eoc_store_create(const char *path, const eoc_store_plan *plan)
{
    eoc_h5_quiet();
    eoc_text temporary = {0};
    eoc_text_append(&temporary, "%s.tmp", path);
    eoc_status status = reserve(temporary.data, plan);
    if (status == EOC_OK) {
        status = write_skeleton(temporary.data, plan);
        status = status == EOC_OK ? eoc_store_publish(temporary.data, path) : status;
        if (status != EOC_OK) {
            unlink(temporary.data);
        }
    }
    eoc_text_clear(&temporary);
    return status;
}

double eoc_store_bytes(const eoc_store_plan *plan)
{
    const double units = eoc_grid_num_units(plan->grid), points = eoc_grid_num_points(plan->grid);
    double bytes = 131072.0 + (double)EOC_PROVENANCE_ROWS * (EOC_PROVENANCE_TEXT + 24.0);
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        bytes += (plan->grid->axes[id].names ? 64.0 : 8.0) * plan->grid->axes[id].count;
    }
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (plan->layout->included[row]) {
            bytes += (v->scope == EOC_PER_UNIT ? units : points) * (double)eoc_type_bytes(v->type) *
                     (double)eoc_layout_row_count(plan->layout, v);
        }
    }
    return bytes;
}
