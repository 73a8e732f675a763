/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/merge.h"

#include "eoc/part.h"

#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Records in memory at a time, of one file: what is read and written at once. */
enum { CHUNK_BYTES = 32 << 20, CHUNK_RECORDS = 1 << 16 };

/* A file that is copied from, and where what the merged file holds is found in it. */
typedef struct {
    const eoc_merge_source *source;
    eoc_store *store;
    int *places[EOC_NUM_AXES]; /* (values of the merged axis): index on this file's axis, or -1 */
    int *layers;               /* (layers of the merged file): index of this file's layer, or -1 */
    unsigned char *blocks;     /* (capacity) records as this file lays them out */
    int *slots;                /* (capacity) of the chunk, for which this file has a record */
    int64_t *records;          /* (capacity) unit or point in this file of each of them */
    int count;                 /* of slots and records */
} input;

typedef struct {
    const eoc_store_plan *plan;
    eoc_store *store; /* the merged file */
    input *inputs;
    int num_inputs, capacity;
    unsigned char *blocks;  /* (capacity) records as the merged file lays them out */
    unsigned char *other;   /* one more, to be compared */
    int *owner;             /* (capacity) input that a record was taken from, or -1 */
    int64_t *taken;         /* (capacity) records of the merged file that were taken */
    uint16_t *theory_flags; /* (points of the input at hand) */
    eoc_merge_counts *counts;
} merge;

/* -- opening -- */

static eoc_status map_axes(const merge *m, input *in)
{
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_axis *merged = &m->plan->grid->axes[id];
        in->places[id] = malloc(sizeof(int) * (size_t)merged->count);
        EOC_REQUIRE(in->places[id], EOC_ERR_NOMEM, "out of memory for an axis of %d values", merged->count);
        EOC_TRY(eoc_axis_places(&in->source->plan->grid->axes[id], merged, in->places[id]));
    }
    return EOC_OK;
}

static eoc_status map_layers(const merge *m, input *in)
{
    const eoc_layout *merged = m->plan->layout, *mine = in->source->plan->layout;
    in->layers = malloc(sizeof(int) * (size_t)merged->num_layers);
    EOC_REQUIRE(in->layers, EOC_ERR_NOMEM, "out of memory");
    for (int i = 0, k = 0; i < merged->num_layers; i++) {
        while (k < mine->num_layers && mine->layers[k] < merged->layers[i]) {
            k++;
        }
        in->layers[i] = k < mine->num_layers && mine->layers[k] == merged->layers[i] ? k : -1;
    }
    return EOC_OK;
}

/* What is read is selected by the grid: the file must have the shape that its sweep says. */
static eoc_status check_shapes(const input *in)
{
    const eoc_store_plan *plan = in->source->plan;
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (!plan->layout->included[row]) {
            continue;
        }
        hsize_t wanted[EOC_MAX_RANK], found[H5S_MAX_RANK];
        const int rank = eoc_h5_shape(plan->grid, plan->layout, v, wanted);
        hid_t space = H5Dget_space(in->store->datasets[row]);
        bool right = H5Sget_simple_extent_ndims(space) == rank;
        if (right) {
            H5Sget_simple_extent_dims(space, found, NULL);
            right = memcmp(found, wanted, sizeof *found * (size_t)rank) == 0;
        }
        H5Sclose(space);
        EOC_REQUIRE(right, EOC_ERR_USAGE, "%s is damaged: %s/%s has another shape than the sweep in provenance",
                    in->source->path, v->group, v->name);
    }
    return EOC_OK;
}

static size_t record_bytes(const eoc_layout *layout)
{
    return layout->unit_bytes > layout->point_bytes ? layout->unit_bytes : layout->point_bytes;
}

static eoc_status open_input(const merge *m, const eoc_merge_source *source, input *in)
{
    in->source = source;
    EOC_TRY(eoc_store_open_to_read(source->path, source->plan, &in->store));
    EOC_TRY(check_shapes(in));
    EOC_TRY(map_axes(m, in));
    EOC_TRY(map_layers(m, in));
    in->blocks = calloc((size_t)m->capacity, record_bytes(source->plan->layout));
    in->slots = malloc(sizeof *in->slots * (size_t)m->capacity);
    in->records = malloc(sizeof *in->records * (size_t)m->capacity);
    EOC_REQUIRE(in->blocks && in->slots && in->records, EOC_ERR_NOMEM, "out of memory for %d results", m->capacity);
    return EOC_OK;
}

static void close_input(input *in)
{
    if (in->store) {
        (void)eoc_store_close(&in->store);
    }
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        free(in->places[id]);
    }
    free(in->layers);
    free(in->blocks);
    free(in->slots);
    free(in->records);
}

/* -- records -- */

/* The index, unit or point, in the file of `in` of what is `record` in the merged one; -1 where it is not there. */
static int64_t find_record(const merge *m, const input *in, eoc_record_scope scope, int64_t record)
{
    const int num_axes = scope == EOC_PER_UNIT ? EOC_NUM_AXES : EOC_AXIS_REPLICA;
    int64_t found = 0, stride = 1;
    for (int id = num_axes - 1; id >= 0; id--) {
        const int64_t length = m->plan->grid->axes[id].count;
        const int place = in->places[id][record % length];
        if (place < 0) {
            return -1;
        }
        found += place * stride;
        stride *= in->source->plan->grid->axes[id].count;
        record /= length;
    }
    return found;
}

/* Reads what in->records names into in->blocks, consecutive ones at once. */
static eoc_status read_records(input *in, eoc_record_scope scope)
{
    const eoc_layout *layout = in->source->plan->layout;
    const size_t stride = scope == EOC_PER_UNIT ? layout->unit_bytes : layout->point_bytes;
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (!layout->included[row] || v->scope != scope) {
            continue;
        }
        const size_t bytes = eoc_type_bytes(v->type) * eoc_layout_row_count(layout, v);
        EOC_TRY(eoc_rows_reserve(in->store, bytes * (size_t)in->count));
        for (int from = 0, to; from < in->count; from = to) {
            for (to = from + 1; to < in->count && in->records[to] == in->records[to - 1] + 1; to++) {
            }
            EOC_TRY(
                eoc_rows_read(in->store, row, in->records[from], to - from, in->store->gather + (size_t)from * bytes));
        }
        for (int i = 0; i < in->count; i++) {
            memcpy(in->blocks + (size_t)i * stride + layout->offset[row], in->store->gather + (size_t)i * bytes, bytes);
        }
    }
    return EOC_OK;
}

/* One record as the merged file lays it out: entries that a file does not have are not in its networks either. */
static void translate(const merge *m, const input *in, eoc_record_scope scope, const unsigned char *from,
                      unsigned char *to)
{
    const eoc_layout *mine = in->source->plan->layout, *merged = m->plan->layout;
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (!merged->included[row] || v->scope != scope) {
            continue;
        }
        const size_t bytes = eoc_type_bytes(v->type), count = eoc_layout_row_count(merged, v);
        const size_t available = eoc_layout_row_count(mine, v);
        const unsigned char *const source = from + mine->offset[row];
        unsigned char *const target = to + merged->offset[row];
        if (v->along != EOC_ALONG_LAYER && available == count) {
            memcpy(target, source, count * bytes);
            continue;
        }
        const double nothing = NAN; /* only floating-point variables have layers or modes */
        for (size_t i = 0; i < count; i++) {
            const int place = v->along == EOC_ALONG_LAYER ? in->layers[i] : i < available ? (int)i : -1;
            memcpy(target + i * bytes, place < 0 ? (const unsigned char *)&nothing : source + (size_t)place * bytes,
                   bytes);
        }
    }
}

/* -- units -- */

static bool is_finished(int status)
{
    return status == EOC_DONE || status == EOC_DIVERGED || status == EOC_FAILED;
}

static bool is_result(int status)
{
    return status == EOC_DONE || status == EOC_DIVERGED;
}

static int status_of(const merge *m, const unsigned char *block)
{
    return (int8_t)block[m->plan->layout->offset[eoc_rows_of("run", "status")]];
}

/* The first result in which two records differ, or -1. */
static int differing_row(const eoc_layout *layout, const unsigned char *a, const unsigned char *b)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        const bool is_compared = v->checked || row == eoc_rows_of("run", "status");
        const size_t bytes = eoc_type_bytes(v->type) * eoc_layout_row_count(layout, v);
        if (layout->included[row] && is_compared &&
            memcmp(a + layout->offset[row], b + layout->offset[row], bytes) != 0) {
            return row;
        }
    }
    return -1;
}

/* Takes one unit of an input, unless the chunk has a better one. */
static eoc_status take_unit(merge *m, int which, int slot, int64_t unit, const unsigned char *block)
{
    const eoc_layout *layout = m->plan->layout;
    unsigned char *const place = m->blocks + (size_t)slot * layout->unit_bytes;
    translate(m, &m->inputs[which], EOC_PER_UNIT, block, m->other);
    const bool is_new = m->owner[slot] < 0;
    if (is_new || (is_result(status_of(m, m->other)) && !is_result(status_of(m, place)))) {
        memcpy(place, m->other, layout->unit_bytes);
        m->owner[slot] = which;
    } else if (is_result(status_of(m, m->other))) {
        const int row = differing_row(layout, place, m->other);
        char text[EOC_UNIT_TEXT_BYTES];
        EOC_REQUIRE(row < 0, EOC_ERR_USAGE,
                    "%s and %s hold different results (%s/%s) of the network %s; only one of the two can be merged",
                    m->inputs[m->owner[slot]].source->path, m->inputs[which].source->path, eoc_variable_row(row)->group,
                    eoc_variable_row(row)->name, eoc_grid_unit_text(m->plan->grid, m->plan->seed, unit, text));
        m->counts->shared++;
    }
    return EOC_OK;
}

static eoc_status take_units(merge *m, int which, int64_t first, int count)
{
    input *const in = &m->inputs[which];
    const eoc_layout *layout = in->source->plan->layout;
    in->count = 0;
    for (int slot = 0; slot < count; slot++) {
        const int64_t unit = find_record(m, in, EOC_PER_UNIT, first + slot);
        if (unit >= 0 && is_finished(in->source->status[unit])) {
            in->slots[in->count] = slot;
            in->records[in->count++] = unit;
        }
    }
    EOC_TRY(read_records(in, EOC_PER_UNIT));
    for (int i = 0; i < in->count; i++) {
        unsigned char *const block = in->blocks + (size_t)i * layout->unit_bytes;
        eoc_unit_record record;
        eoc_layout_unit(layout, block, &record);
        /* A file that is being written may have moved on: the status that was looked at holds. */
        *record.status = in->source->status[in->records[i]];
        if (is_result(*record.status) && *record.checksum != eoc_rows_checksum(layout, block)) {
            m->counts->damaged++;
        } else {
            EOC_TRY(take_unit(m, which, in->slots[i], first + in->slots[i], block));
        }
    }
    return EOC_OK;
}

static eoc_status merge_chunk(merge *m, int64_t first, int count)
{
    const eoc_layout *layout = m->plan->layout;
    for (int slot = 0; slot < count; slot++) {
        m->owner[slot] = -1;
    }
    for (int i = 0; i < m->num_inputs; i++) {
        EOC_TRY(take_units(m, i, first, count));
    }
    int taken = 0;
    for (int slot = 0; slot < count; slot++) {
        if (m->owner[slot] >= 0) {
            unsigned char *const from = m->blocks + (size_t)slot * layout->unit_bytes;
            const int status = status_of(m, from);
            m->counts->done += status == EOC_DONE;
            m->counts->diverged += status == EOC_DIVERGED;
            m->counts->failed += status == EOC_FAILED;
            memmove(m->blocks + (size_t)taken * layout->unit_bytes, from, layout->unit_bytes);
            m->taken[taken++] = first + slot;
        }
    }
    return taken ? eoc_store_commit(m->store, m->taken, taken, m->blocks) : EOC_OK;
}

/* How often each unit was begun: that of the file whose rows are taken, or the most of any. All are pending so far. */
static eoc_status write_attempts(const merge *m, int64_t units)
{
    int8_t *status = calloc((size_t)units, sizeof *status);
    int32_t *attempts = calloc((size_t)units, sizeof *attempts);
    eoc_status written =
        status && attempts ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for %lld units", (long long)units);
    for (int64_t unit = 0; unit < units && written == EOC_OK; unit++) {
        int best = EOC_PENDING; /* of results the first, else the failed, else any */
        for (int i = 0; i < m->num_inputs && !is_result(best); i++) {
            const eoc_merge_source *source = m->inputs[i].source;
            const int64_t mine = find_record(m, &m->inputs[i], EOC_PER_UNIT, unit);
            if (mine < 0) {
                continue;
            }
            const int now = source->status[mine];
            if (is_finished(now) && !is_finished(best)) {
                attempts[unit] = source->attempts[mine];
            } else if (is_result(now) || (!is_finished(best) && source->attempts[mine] > attempts[unit])) {
                attempts[unit] = source->attempts[mine];
            }
            best = is_result(now) || !is_finished(best) ? now : best;
        }
    }
    if (written == EOC_OK) {
        written = eoc_store_write_state(m->store, status, attempts);
    }
    free(status);
    free(attempts);
    return written;
}

static eoc_status merge_units(merge *m)
{
    const int64_t units = (int64_t)eoc_grid_num_units(m->plan->grid);
    m->counts->units = units;
    EOC_TRY(write_attempts(m, units));
    for (int64_t first = 0; first < units; first += m->capacity) {
        EOC_TRY(merge_chunk(m, first, units - first < m->capacity ? (int)(units - first) : m->capacity));
    }
    m->counts->left = units - m->counts->done - m->counts->diverged - m->counts->failed;
    return EOC_OK;
}

/* -- points -- */

/* Writes `count` points that were taken, consecutive ones at once, their status last. */
static eoc_status write_points(merge *m, int count)
{
    const eoc_layout *layout = m->plan->layout;
    const int status_row = eoc_rows_of("theory", "status"), rows = eoc_variable_count();
    for (int k = 0; k <= rows; k++) {
        const int row = k < rows ? k : status_row;
        const eoc_variable *v = eoc_variable_row(row);
        if (!layout->included[row] || v->scope != EOC_PER_POINT || k == status_row) {
            continue;
        }
        const size_t bytes = eoc_type_bytes(v->type) * eoc_layout_row_count(layout, v);
        EOC_TRY(eoc_rows_reserve(m->store, bytes * (size_t)count));
        for (int i = 0; i < count; i++) {
            memcpy(m->store->gather + (size_t)i * bytes,
                   m->blocks + (size_t)i * layout->point_bytes + layout->offset[row], bytes);
        }
        for (int from = 0, to; from < count; from = to) {
            for (to = from + 1; to < count && m->taken[to] == m->taken[to - 1] + 1; to++) {
            }
            EOC_TRY(eoc_rows_write(m->store, row, m->taken[from], to - from, m->store->gather + (size_t)from * bytes));
        }
    }
    return EOC_OK;
}

/* The points of one input that no input before it had. */
static eoc_status merge_points_of(merge *m, int which, unsigned char *is_there, int64_t points)
{
    input *const in = &m->inputs[which];
    const eoc_layout *mine = in->source->plan->layout, *merged = m->plan->layout;
    const int64_t own = (int64_t)eoc_grid_num_points(in->source->plan->grid);
    EOC_TRY(eoc_rows_read(in->store, eoc_rows_of("theory", "status"), 0, own, (unsigned char *)m->theory_flags));
    for (int64_t first = 0; first < points; first += m->capacity) {
        in->count = 0;
        for (int64_t point = first; point < points && point < first + m->capacity; point++) {
            const int64_t record = is_there[point] ? -1 : find_record(m, in, EOC_PER_POINT, point);
            if (record >= 0 && !(m->theory_flags[record] & EOC_THEORY_NOT_COMPUTED)) {
                is_there[point] = 1;
                m->taken[in->count] = point;
                in->records[in->count++] = record;
            }
        }
        EOC_TRY(read_records(in, EOC_PER_POINT));
        for (int i = 0; i < in->count; i++) {
            translate(m, in, EOC_PER_POINT, in->blocks + (size_t)i * mine->point_bytes,
                      m->blocks + (size_t)i * merged->point_bytes);
        }
        EOC_TRY(write_points(m, in->count));
    }
    return EOC_OK;
}

static eoc_status merge_points(merge *m)
{
    const int64_t points = (int64_t)eoc_grid_num_points(m->plan->grid);
    unsigned char *is_there = calloc((size_t)points, 1);
    m->theory_flags = malloc(sizeof *m->theory_flags * (size_t)points); /* no input has more points */
    eoc_status status = is_there && m->theory_flags
                            ? EOC_OK
                            : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for %lld points", (long long)points);
    for (int i = 0; i < m->num_inputs && status == EOC_OK; i++) {
        status = merge_points_of(m, i, is_there, points);
    }
    free(is_there);
    free(m->theory_flags);
    return status;
}

/* -- all of it -- */

static eoc_status allocate(merge *m, const eoc_merge_source *sources, int num_sources)
{
    size_t bytes = record_bytes(m->plan->layout);
    for (int i = 0; i < num_sources; i++) {
        bytes = record_bytes(sources[i].plan->layout) > bytes ? record_bytes(sources[i].plan->layout) : bytes;
    }
    const size_t fits = (size_t)CHUNK_BYTES / bytes;
    m->capacity = fits < 1 ? 1 : fits > CHUNK_RECORDS ? CHUNK_RECORDS : (int)fits;
    m->inputs = calloc((size_t)num_sources, sizeof *m->inputs);
    m->blocks = calloc((size_t)m->capacity, record_bytes(m->plan->layout));
    m->other = calloc(1, record_bytes(m->plan->layout));
    m->owner = malloc(sizeof *m->owner * (size_t)m->capacity);
    m->taken = malloc(sizeof *m->taken * (size_t)m->capacity);
    EOC_REQUIRE(m->inputs && m->blocks && m->other && m->owner && m->taken, EOC_ERR_NOMEM,
                "out of memory for %d results", m->capacity);
    return EOC_OK;
}

static eoc_status merge_all(merge *m, const char *path, const eoc_merge_source *sources, int num_sources)
{
    EOC_TRY(allocate(m, sources, num_sources));
    for (int i = 0; i < num_sources; i++) {
        m->num_inputs = i + 1;
        EOC_TRY(open_input(m, &sources[i], &m->inputs[i]));
    }
    EOC_TRY(eoc_store_open(path, m->plan, &m->store));
    eoc_status status = merge_points(m);
    status = status == EOC_OK ? merge_units(m) : status;
    const eoc_status closed = eoc_store_close(&m->store);
    return status == EOC_OK ? closed : status;
}

eoc_status eoc_merge_rows(const char *path, const eoc_store_plan *plan, const eoc_merge_source *sources,
                          int num_sources, eoc_merge_counts *counts)
{
    *counts = (eoc_merge_counts){0};
    merge m = {.plan = plan, .counts = counts};
    const eoc_status status = merge_all(&m, path, sources, num_sources);
    for (int i = 0; i < m.num_inputs; i++) {
        close_input(&m.inputs[i]);
    }
    free(m.inputs);
    free(m.blocks);
    free(m.other);
    free(m.owner);
    free(m.taken);
    return status;
}
