/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/dataset.h"

#include "eoc/text.h"

#include "h5.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <sys/stat.h>

/* Images are read in pieces of about so many bytes, beside the array that they go to. */
static const size_t PIECE_BYTES = (size_t)8 << 20;

/* A dataset of the file, open. */
typedef struct {
    const char *path;
    char name[32]; /* "train/images" */
    hid_t id;
    int rank;
    hsize_t dims[4];
    H5T_class_t type_class;
    size_t type_bytes;
    bool type_signed;
} part;

/* One half of a data set. */
typedef struct {
    part images, answers;            /* labels or targets */
    int rows, columns, channels;     /* of an image */
    bool channels_last, is_labelled; /* answers are labels */
} half;

static void part_close(part *p)
{
    if (p->id > 0) {
        H5Dclose(p->id);
    }
    p->id = 0;
}

static bool has(hid_t file, const char *group, const char *name)
{
    char path[32];
    snprintf(path, sizeof path, "%s/%s", group, name);
    return H5Lexists(file, group, H5P_DEFAULT) > 0 && H5Lexists(file, path, H5P_DEFAULT) > 0;
}

static eoc_status part_open(const char *path, hid_t file, const char *group, const char *name, part *p)
{
    *p = (part){.path = path};
    snprintf(p->name, sizeof p->name, "%s/%s", group, name);
    EOC_REQUIRE(has(file, group, name), EOC_ERR_USAGE,
                "%s: there is no %s; a data set holds train/images, train/labels (or train/targets), and the same "
                "under test",
                path, p->name);
    p->id = H5Dopen2(file, p->name, H5P_DEFAULT);
    EOC_REQUIRE(p->id > 0, EOC_ERR_USAGE, "%s: %s is not a dataset, or a damaged one", path, p->name);
    hid_t space = H5Dget_space(p->id), type = H5Dget_type(p->id);
    p->rank = H5Sget_simple_extent_ndims(space);
    if (p->rank >= 1 && p->rank <= 4) {
        H5Sget_simple_extent_dims(space, p->dims, NULL);
    }
    p->type_class = H5Tget_class(type);
    p->type_bytes = H5Tget_size(type);
    p->type_signed = p->type_class == H5T_INTEGER && H5Tget_sign(type) != H5T_SGN_NONE;
    H5Tclose(type);
    H5Sclose(space);
    return EOC_OK;
}

static bool is_float(const part *p)
{
    return p->type_class == H5T_FLOAT && (p->type_bytes == 4 || p->type_bytes == 8);
}

static bool is_byte(const part *p)
{
    return p->type_class == H5T_INTEGER && p->type_bytes == 1 && !p->type_signed;
}

/* -- shapes -- */

static const char CHANNELS_FIRST[] = "sample, channel, row, column";
static const char CHANNELS_LAST[] = "sample, row, column, channel";

/* Where the channels of four-dimensional images stand. */
static eoc_status find_channels(const part *p, bool *last)
{
    enum { MOST = 4 };
    char *layout = eoc_h5_text_attribute(p->id, "layout");
    if (layout) {
        *last = strcmp(layout, CHANNELS_LAST) == 0;
        const bool known = *last || strcmp(layout, CHANNELS_FIRST) == 0;
        const eoc_status status =
            known ? EOC_OK
                  : EOC_FAIL(EOC_ERR_USAGE, "%s: %s: the attribute layout is '%.60s'; accepted: '%s' or '%s'", p->path,
                             p->name, layout, CHANNELS_FIRST, CHANNELS_LAST);
        free(layout);
        return status;
    }
    *last = p->dims[3] <= MOST;
    EOC_REQUIRE((p->dims[1] <= MOST) != *last, EOC_ERR_USAGE,
                "%s: %s: which axis of (%llu, %llu, %llu, %llu) holds the channels is not clear; set its attribute "
                "layout to '%s' or '%s'",
                p->path, p->name, (unsigned long long)p->dims[0], (unsigned long long)p->dims[1],
                (unsigned long long)p->dims[2], (unsigned long long)p->dims[3], CHANNELS_FIRST, CHANNELS_LAST);
    return EOC_OK;
}

/* Any dimension that does not fit into an int, or is 0. */
static eoc_status check_dims(const part *p)
{
    double size = 1.0;
    for (int i = 0; i < p->rank; i++) {
        size *= i ? (double)p->dims[i] : 1.0;
        EOC_REQUIRE(p->dims[i] > 0, EOC_ERR_USAGE, "%s: %s is empty", p->path, p->name);
        EOC_REQUIRE(p->dims[i] <= INT_MAX && size <= INT_MAX, EOC_ERR_USAGE,
                    "%s: %s is too large: at most %d samples of %d features are accepted", p->path, p->name, INT_MAX,
                    INT_MAX);
    }
    return EOC_OK;
}

static eoc_status open_images(const char *path, hid_t file, const char *group, half *h)
{
    part *const p = &h->images;
    EOC_TRY(part_open(path, file, group, "images", p));
    EOC_REQUIRE(p->rank >= 2 && p->rank <= 4, EOC_ERR_USAGE,
                "%s: %s has %d dimensions; accepted: (n, features), (n, rows, columns) and, with channels, four", path,
                p->name, p->rank);
    EOC_TRY(check_dims(p));
    EOC_REQUIRE(is_byte(p) || is_float(p), EOC_ERR_USAGE,
                "%s: %s holds neither uint8 nor float32 or float64 numbers, which are accepted", path, p->name);
    if (p->rank == 4) {
        EOC_TRY(find_channels(p, &h->channels_last));
    }
    const int first = h->channels_last || p->rank < 4 ? 1 : 2;
    h->channels = p->rank < 4 ? 1 : (int)p->dims[h->channels_last ? 3 : 1];
    h->rows = p->rank == 2 ? 1 : (int)p->dims[first];
    h->columns = (int)p->dims[p->rank == 2 ? 1 : first + 1];
    return EOC_OK;
}

static eoc_status open_answers(const char *path, hid_t file, const char *group, half *h)
{
    part *const p = &h->answers;
    const bool labels = has(file, group, "labels"), targets = has(file, group, "targets");
    EOC_REQUIRE(!labels || !targets, EOC_ERR_USAGE, "%s: %s has both labels and targets; accepted: one of them", path,
                group);
    h->is_labelled = !targets;
    EOC_TRY(part_open(path, file, group, targets ? "targets" : "labels", p));
    if (labels) {
        EOC_REQUIRE(p->rank == 1, EOC_ERR_USAGE, "%s: %s has %d dimensions; accepted: (n), one label a sample", path,
                    p->name, p->rank);
        EOC_REQUIRE(p->type_class == H5T_INTEGER, EOC_ERR_USAGE, "%s: %s does not hold integers, which are accepted",
                    path, p->name);
    } else {
        EOC_REQUIRE(p->rank == 1 || p->rank == 2, EOC_ERR_USAGE,
                    "%s: %s has %d dimensions; accepted: (n, outputs) or (n)", path, p->name, p->rank);
        EOC_REQUIRE(is_float(p), EOC_ERR_USAGE, "%s: %s does not hold float32 or float64 numbers, which are accepted",
                    path, p->name);
    }
    EOC_TRY(check_dims(p));
    EOC_REQUIRE(p->dims[0] == h->images.dims[0], EOC_ERR_USAGE, "%s: %s has %llu samples, %s has %llu", path, p->name,
                (unsigned long long)p->dims[0], h->images.name, (unsigned long long)h->images.dims[0]);
    return EOC_OK;
}

static eoc_status open_half(const char *path, hid_t file, const char *group, half *h)
{
    EOC_TRY(open_images(path, file, group, h));
    return open_answers(path, file, group, h);
}

static int outputs_of(const half *h)
{
    return h->answers.rank == 2 ? (int)h->answers.dims[1] : 1;
}

static eoc_status compare_halves(const char *path, const half *train, const half *test)
{
    EOC_REQUIRE(train->rows == test->rows && train->columns == test->columns && train->channels == test->channels,
                EOC_ERR_USAGE,
                "%s: test/images are of %d x %d x %d (rows, columns, channels), train/images of %d x %d x %d", path,
                test->rows, test->columns, test->channels, train->rows, train->columns, train->channels);
    EOC_REQUIRE(train->is_labelled == test->is_labelled, EOC_ERR_USAGE,
                "%s: train has %s, test has %s; accepted: the same of both", path,
                train->answers.name + strlen("train/"), test->answers.name + strlen("test/"));
    EOC_REQUIRE(train->is_labelled || outputs_of(train) == outputs_of(test), EOC_ERR_USAGE,
                "%s: test/targets have %d outputs, train/targets %d", path, outputs_of(test), outputs_of(train));
    return EOC_OK;
}

/* -- labels -- */

static eoc_status read_all(const part *p, hid_t type, void *values)
{
    if (H5Dread(p->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
        char doing[64];
        snprintf(doing, sizeof doing, "%s cannot be read", p->name);
        return eoc_h5_fail(p->path, doing);
    }
    return EOC_OK;
}

/* All labels of one half, to be freed by the caller. Unsigned 64-bit ones beyond the signed range are read as its end.
 */
static eoc_status read_labels(const part *p, int64_t **labels)
{
    *labels = malloc(sizeof **labels * (size_t)p->dims[0]);
    EOC_REQUIRE(*labels, EOC_ERR_NOMEM, "out of memory for the labels of %s", p->path);
    const eoc_status status = read_all(p, H5T_NATIVE_INT64, *labels);
    if (status != EOC_OK) {
        free(*labels);
        *labels = NULL;
    }
    return status;
}

/* The number of classes. Labels without gaps are fewer than samples, so no label asks for much memory here. */
static eoc_status count_classes(const part *p, const int64_t *labels, int *classes)
{
    const int64_t n = (int64_t)p->dims[0];
    int64_t largest = 0;
    for (int64_t i = 0; i < n; i++) {
        EOC_REQUIRE(labels[i] >= 0, EOC_ERR_USAGE, "%s: %s: sample %lld has label %lld; accepted: 0, 1, 2, ...",
                    p->path, p->name, (long long)i, (long long)labels[i]);
        largest = labels[i] > largest ? labels[i] : largest;
    }
    bool *const there = calloc((size_t)n + 1, sizeof *there);
    EOC_REQUIRE(there, EOC_ERR_NOMEM, "out of memory for the classes of %s", p->path);
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] <= n) {
            there[labels[i]] = true;
        }
    }
    int64_t missing = 0;
    while (missing <= n && there[missing]) {
        missing++;
    }
    free(there);
    EOC_REQUIRE(missing > largest, EOC_ERR_USAGE,
                "%s: %s: no sample has label %lld, and the largest is %lld; labels must be 0, 1, 2, ... without gaps",
                p->path, p->name, (long long)missing, (long long)largest);
    *classes = (int)largest + 1;
    return EOC_OK;
}

static eoc_status check_labels(const part *p, const int64_t *labels, int classes)
{
    for (hsize_t i = 0; i < p->dims[0]; i++) {
        EOC_REQUIRE(labels[i] >= 0 && labels[i] < classes, EOC_ERR_USAGE,
                    "%s: %s: sample %llu has label %lld; the labels of train/labels go from 0 to %d", p->path, p->name,
                    (unsigned long long)i, (long long)labels[i], classes - 1);
    }
    return EOC_OK;
}

/* -- images and targets -- */

static eoc_status read_rows(const part *p, hid_t type, hsize_t first, hsize_t count, void *rows)
{
    hsize_t start[4] = {first, 0, 0, 0}, extent[4];
    memcpy(extent, p->dims, sizeof extent);
    extent[0] = count;
    hid_t file_space = H5Dget_space(p->id), memory_space = H5Screate_simple(p->rank, extent, NULL);
    H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extent, NULL);
    eoc_status status = EOC_OK;
    if (H5Dread(p->id, type, memory_space, file_space, H5P_DEFAULT, rows) < 0) {
        char doing[64];
        snprintf(doing, sizeof doing, "%s cannot be read", p->name);
        status = eoc_h5_fail(p->path, doing);
    }
    H5Sclose(memory_space);
    H5Sclose(file_space);
    return status;
}

static eoc_status check_finite(const part *p, hsize_t first, const float *x, size_t count, size_t features)
{
    for (size_t i = 0; i < count * features; i++) {
        EOC_REQUIRE(isfinite(x[i]), EOC_ERR_USAGE, "%s: %s: sample %llu is not finite in float32: it holds %g", p->path,
                    p->name, (unsigned long long)(first + i / features), (double)x[i]);
    }
    return EOC_OK;
}

/* One image: from the file's order, as bytes or floats, to (channel, row, column). */
static void unpack(const half *h, const void *piece, bool bytes, size_t image, float *x)
{
    const size_t area = (size_t)h->rows * (size_t)h->columns, channels = (size_t)h->channels;
    const unsigned char *const b = (const unsigned char *)piece + image * area * channels;
    const float *const f = (const float *)piece + image * area * channels;
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < area; i++) {
            const size_t from = h->channels_last ? i * channels + c : c * area + i;
            x[c * area + i] = bytes ? (float)b[from] / 255.0f : f[from];
        }
    }
}

/* x (count, features): the first images. */
static eoc_status read_images(const half *h, int count, float *x)
{
    const part *const p = &h->images;
    const bool bytes = is_byte(p);
    const size_t features = (size_t)h->rows * (size_t)h->columns * (size_t)h->channels;
    const size_t image_bytes = features * (bytes ? 1 : sizeof(float));
    const size_t at_once = PIECE_BYTES > image_bytes ? PIECE_BYTES / image_bytes : 1;
    void *const piece = malloc((at_once < (size_t)count ? at_once : (size_t)count) * image_bytes);
    EOC_REQUIRE(piece, EOC_ERR_NOMEM, "out of memory for the images of %s", p->path);
    eoc_status status = EOC_OK;
    for (size_t from = 0, now; from < (size_t)count && status == EOC_OK; from += now) {
        now = (size_t)count - from < at_once ? (size_t)count - from : at_once;
        status = read_rows(p, bytes ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT, from, now, piece);
        for (size_t i = 0; i < now && status == EOC_OK; i++) {
            unpack(h, piece, bytes, i, x + (from + i) * features);
        }
        if (status == EOC_OK && !bytes) {
            status = check_finite(p, from, x + from * features, now, features);
        }
    }
    free(piece);
    return status;
}

static eoc_status read_targets(const half *h, int count, float *y)
{
    EOC_TRY(read_rows(&h->answers, H5T_NATIVE_FLOAT, 0, (hsize_t)count, y));
    return check_finite(&h->answers, 0, y, (size_t)count, (size_t)outputs_of(h));
}

/* -- the whole -- */

/* The two halves of an open file, with their labels, NULL for a regression set. */
typedef struct {
    const char *path;
    half train, test;
    int64_t *train_labels, *test_labels;
} halves;

static eoc_status open_halves(const char *path, hid_t file, halves *h)
{
    EOC_TRY(open_half(path, file, "train", &h->train));
    EOC_TRY(open_half(path, file, "test", &h->test));
    return compare_halves(path, &h->train, &h->test);
}

static void halves_close(halves *h)
{
    part_close(&h->train.images);
    part_close(&h->train.answers);
    part_close(&h->test.images);
    part_close(&h->test.answers);
    free(h->train_labels);
    free(h->test_labels);
}

/* How many samples are read: those that are used, and where preprocessing looks at each alone those that are kept. */
static void samples_to_read(const eoc_dataset_request *request, int count, int *train, int *test)
{
    const bool alone = !request->preprocessing || request->preprocessing->by_sample;
    *train = request->train_samples;
    *test = request->test_samples;
    if (request->kept > 0) {
        *test = 1;
        *train = alone && request->kept < count ? request->kept : *train;
    }
}

/* All sizes; labels are read and checked. */
static eoc_status read_sizes(halves *h, const eoc_dataset_request *request, eoc_data *data)
{
    int outputs = outputs_of(&h->train);
    if (h->train.is_labelled) {
        EOC_TRY(read_labels(&h->train.answers, &h->train_labels));
        EOC_TRY(read_labels(&h->test.answers, &h->test_labels));
        EOC_TRY(count_classes(&h->train.answers, h->train_labels, &outputs));
        EOC_TRY(check_labels(&h->test.answers, h->test_labels, outputs));
    }
    *data = (eoc_data){.rows = h->train.rows,
                       .columns = h->train.columns,
                       .channels = h->train.channels,
                       .features = h->train.rows * h->train.columns * h->train.channels,
                       .outputs = outputs,
                       .train_count = (int)h->train.images.dims[0],
                       .test_count = (int)h->test.images.dims[0]};
    int train_samples = 0, test_samples = 0;
    samples_to_read(request, data->train_count, &train_samples, &test_samples);
    return eoc_data_keep_first(data, h->path, train_samples, test_samples);
}

static void narrow(const int64_t *labels, int count, int32_t *out)
{
    for (int i = 0; i < count; i++) {
        out[i] = (int32_t)labels[i];
    }
}

static eoc_status read_arrays(const halves *h, eoc_data *data)
{
    EOC_TRY(eoc_data_allocate(data, h->train.is_labelled));
    EOC_TRY(read_images(&h->train, data->train_count, data->train_x));
    EOC_TRY(read_images(&h->test, data->test_count, data->test_x));
    if (h->train.is_labelled) {
        narrow(h->train_labels, data->train_count, data->train_label);
        narrow(h->test_labels, data->test_count, data->test_label);
        return EOC_OK;
    }
    EOC_TRY(read_targets(&h->train, data->train_count, data->train_y));
    return read_targets(&h->test, data->test_count, data->test_y);
}

static eoc_status read_file(const char *path, const eoc_dataset_request *request, bool arrays, eoc_data *data)
{
    *data = (eoc_data){0};
    hid_t file = -1;
    EOC_TRY(eoc_h5_open_to_read(path, "a data set", &file));
    halves h = {.path = path};
    eoc_status status = open_halves(path, file, &h);
    status = status == EOC_OK ? read_sizes(&h, request, data) : status;
    status = status == EOC_OK && arrays ? read_arrays(&h, data) : status;
    halves_close(&h);
    H5Fclose(file);
    if (status != EOC_OK) {
        eoc_data_clear(data);
    }
    return status;
}

eoc_status eoc_dataset_read(const char *path, int train_samples, int test_samples, eoc_data *data)
{
    const eoc_dataset_request request = {.train_samples = train_samples, .test_samples = test_samples};
    return read_file(path, &request, true, data);
}

static eoc_status find_and_read(const eoc_dataset_request *request, bool arrays, eoc_data *data)
{
    char *path = NULL;
    *data = (eoc_data){0};
    EOC_TRY(eoc_dataset_find(request->source.text, request->sweep_path, &path));
    const eoc_status status = read_file(path, request, arrays, data);
    free(path);
    return status;
}

eoc_status eoc_dataset_load(const eoc_dataset_request *request, eoc_data *data)
{
    if (request->source.kind) {
        EOC_TRY(eoc_data_draw(&request->source, request->seed, data));
    } else {
        EOC_TRY(find_and_read(request, true, data));
    }
    eoc_status status = request->source.kind ? eoc_data_keep_first(data, request->source.text, request->train_samples,
                                                                   request->test_samples)
                                             : EOC_OK;
    if (status == EOC_OK && request->preprocessing) {
        status = eoc_preprocessing_apply(request->preprocessing, data);
    }
    if (status == EOC_OK && request->kept > 0) {
        const int kept = request->kept < data->train_count ? request->kept : data->train_count;
        status = eoc_data_keep_first(data, request->source.text, kept, 1);
    }
    if (status != EOC_OK) {
        eoc_data_clear(data);
    }
    return status;
}

eoc_status eoc_dataset_sizes(const eoc_dataset_request *request, eoc_data *data)
{
    if (!request->source.kind) {
        return find_and_read(request, false, data);
    }
    *data = (eoc_data){0};
    request->source.kind->sizes(request->source.values, data);
    return eoc_data_keep_first(data, request->source.text, request->train_samples, request->test_samples);
}

/* In pieces: zlib takes 32 bits of a length at a time. */
static uLong add_array(uLong crc, const void *values, size_t bytes)
{
    const unsigned char *at = values;
    for (size_t left = values ? bytes : 0; left > 0;) {
        const uInt piece = left < ((size_t)1 << 30) ? (uInt)left : (uInt)1 << 30;
        crc = crc32(crc, at, piece);
        at += piece;
        left -= piece;
    }
    return crc;
}

uint32_t eoc_dataset_checksum(const eoc_data *data)
{
    const int32_t sizes[4] = {data->features, data->outputs, data->train_count, data->test_count};
    const size_t train = (size_t)data->train_count, test = (size_t)data->test_count;
    const size_t x = sizeof(float) * (size_t)data->features, y = sizeof(float) * (size_t)data->outputs;
    uLong crc = add_array(crc32(0L, Z_NULL, 0), sizes, sizeof sizes);
    crc = add_array(crc, data->train_x, train * x);
    crc = add_array(crc, data->test_x, test * x);
    crc = add_array(crc, data->train_label, train * sizeof(int32_t));
    crc = add_array(crc, data->test_label, test * sizeof(int32_t));
    crc = add_array(crc, data->train_y, train * y);
    return (uint32_t)add_array(crc, data->test_y, test * y);
}

uint32_t eoc_dataset_images_checksum(const eoc_data *data)
{
    return eoc_dataset_checksum(
        &(eoc_data){.features = data->features, .train_count = data->train_count, .train_x = data->train_x});
}

eoc_dataset_request eoc_dataset_request_of(const eoc_inputs *inputs, uint64_t seed, const char *sweep_path)
{
    return (eoc_dataset_request){.source = inputs->dataset,
                                 .preprocessing = inputs->preprocessing,
                                 .seed = seed,
                                 .sweep_path = sweep_path,
                                 .kept = inputs->points};
}
