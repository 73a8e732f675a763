/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/merge_files.h"

#include "eoc/part.h"
#include "eoc/view.h"

#include "lock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A sweep as a result file has it. */
typedef struct {
    int *layers; /* (layout.num_layers) */
    eoc_layout layout;
    eoc_text sweep_text, identity_text;
    eoc_store_plan plan;
} shape;

typedef struct {
    const char *path;
    eoc_view view;
    eoc_sweep sweep;
    shape shape;
    const char *found; /* of the identity what a run found out beside the sweep's keys: the data's checksum; or "" */
} source;

typedef struct {
    const eoc_merge_options *options;
    source *sources;
    int num_sources;
    const char *whole_text; /* of the sweep that all are parts of, or NULL; belongs to the first source */
    eoc_sweep whole;        /* cleared where there is none */
    eoc_sweep sweep;        /* of the merged file */
    shape shape;
    eoc_text temporary;
    double start;
} merge;

/* -- shapes -- */

/* found: what the identity has beside the sweep's keys */
static eoc_status shape_create(const eoc_sweep *sweep, const char *found, const char *program, const char *whole_text,
                               shape *s)
{
    const eoc_axis *depths = &sweep->grid.axes[EOC_AXIS_DEPTH];
    int max_depth = 1;
    for (int i = 0; i < depths->count; i++) {
        max_depth = (int)depths->values[i] > max_depth ? (int)depths->values[i] : max_depth;
    }
    s->layers = malloc(sizeof(int) * (size_t)max_depth);
    EOC_REQUIRE(s->layers, EOC_ERR_NOMEM, "out of memory");
    const int num_layers = eoc_layers_fill(&sweep->probe.layers, depths, s->layers);
    EOC_TRY(eoc_layout_create(sweep->probe.statistics, s->layers, num_layers,
                              eoc_probe_modes(&sweep->probe, &sweep->grid), &s->layout));
    EOC_TRY(eoc_layout_add_points(&sweep->probe, &s->layout));
    eoc_layout_add_space(&sweep->probe, &s->layout);
    if (sweep->probe.train) {
        EOC_TRY(eoc_layout_add_training(sweep->probe.train, &s->layout));
    }
    eoc_config_resolved(sweep, 0, &s->sweep_text);
    eoc_config_resolved(sweep, 1, &s->identity_text);
    eoc_text_append(&s->identity_text, "%s", found);
    s->plan = (eoc_store_plan){.grid = &sweep->grid,
                               .layout = &s->layout,
                               .title = sweep->title ? sweep->title : "",
                               .seed = sweep->seed,
                               .sweep_text = s->sweep_text.data,
                               .identity_text = s->identity_text.data,
                               .program = program,
                               .whole_text = whole_text};
    return EOC_OK;
}

static void shape_clear(shape *s)
{
    eoc_layout_clear(&s->layout);
    free(s->layers);
    eoc_text_clear(&s->sweep_text);
    eoc_text_clear(&s->identity_text);
}

/* -- the files that are merged -- */

static eoc_status read_source(const char *path, const char *program, source *s)
{
    s->path = path;
    EOC_TRY(eoc_view_read(path, &s->view));
    EOC_REQUIRE(s->view.physics_version == EOC_PHYSICS_VERSION, EOC_ERR_USAGE,
                "%s was computed with physics version %d, this program has %d, whose numbers differ; merge it with the "
                "program that made it (%s)",
                path, s->view.physics_version, EOC_PHYSICS_VERSION, s->view.program);
    eoc_text errors = {0};
    const eoc_status status = eoc_config_read_text(path, s->view.sweep_text, &s->sweep, &errors);
    eoc_text_clear(&errors);
    EOC_REQUIRE(status == EOC_OK, EOC_ERR_USAGE, "%s: the sweep in its provenance is not one that this program knows",
                path);
    EOC_REQUIRE(eoc_grid_num_units(&s->sweep.grid) == (double)s->view.num_units, EOC_ERR_USAGE,
                "%s is damaged: run/status has another shape than the sweep in provenance", path);
    EOC_TRY(shape_create(&s->sweep, "", program, NULL, &s->shape));
    const size_t keys = s->shape.identity_text.length;
    EOC_REQUIRE(strncmp(s->view.identity_text, s->shape.identity_text.data, keys) == 0, EOC_ERR_USAGE,
                "%s is damaged: provenance/identity is not that of provenance/sweep", path);
    s->found = s->view.identity_text + keys;
    return EOC_OK;
}

/* The sweep that all files say they are parts of. */
static void find_whole(merge *m)
{
    const char *text = m->sources[0].view.whole_text;
    for (int i = 1; i < m->num_sources && text; i++) {
        const char *other = m->sources[i].view.whole_text;
        text = other && strcmp(text, other) == 0 ? text : NULL;
    }
    eoc_text errors = {0};
    if (text && eoc_config_read_text(m->sources[0].path, text, &m->whole, &errors) == EOC_OK) {
        m->whole_text = text;
    }
    eoc_text_clear(&errors);
}

/* -- the merged sweep -- */

static eoc_status join_grids(merge *m)
{
    const eoc_grid **grids = malloc(sizeof(const eoc_grid *) * (size_t)m->num_sources);
    EOC_REQUIRE(grids, EOC_ERR_NOMEM, "out of memory");
    for (int i = 0; i < m->num_sources; i++) {
        grids[i] = &m->sources[i].sweep.grid;
    }
    eoc_grid_clear(&m->sweep.grid);
    const eoc_status status =
        eoc_grid_union(grids, m->num_sources, m->whole_text ? &m->whole.grid : NULL, &m->sweep.grid);
    free(grids);
    return status;
}

/* Whether the grid that the user named holds all of a file; else a value that it lacks is named. */
static eoc_status check_inside(const merge *m, const source *s)
{
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_axis *axis = &s->sweep.grid.axes[id];
        int *places = malloc(sizeof *places * (size_t)axis->count), missing = -1;
        EOC_REQUIRE(places, EOC_ERR_NOMEM, "no memory for an axis of %d values", axis->count);
        const eoc_status status = eoc_axis_places(&m->sweep.grid.axes[id], axis, places);
        for (int i = axis->count - 1; i >= 0 && status == EOC_OK; i--) {
            missing = places[i] < 0 ? i : missing;
        }
        free(places);
        EOC_TRY(status);
        char number[EOC_NUMBER_BYTES];
        EOC_REQUIRE(missing < 0, EOC_ERR_USAGE,
                    "%s holds %s %s, which the sweep of --sweep has not; add it to grid.%s there, or leave --sweep out "
                    "to have the union of the files",
                    s->path, eoc_axis_row_of((eoc_axis_id)id)->name,
                    axis->names ? axis->names[missing] : eoc_text_number(axis->values[missing], number),
                    eoc_axis_row_of((eoc_axis_id)id)->name);
    }
    return EOC_OK;
}

/* The sweep of --sweep, or the first file's with the union of the grids. */
static eoc_status find_sweep(merge *m)
{
    eoc_text text = {0}, errors = {0};
    if (m->options->sweep) {
        eoc_config_resolved(m->options->sweep, 0, &text);
    } else {
        eoc_text_append(&text, "%s", m->sources[0].view.sweep_text);
    }
    eoc_status status = eoc_config_read_text("sweep", text.data, &m->sweep, &errors);
    eoc_text_clear(&text);
    eoc_text_clear(&errors);
    EOC_TRY(status);
    if (!m->options->sweep) {
        free(m->sweep.output); /* it named the first file */
        m->sweep.output = NULL;
        return join_grids(m);
    }
    for (int i = 0; i < m->num_sources && status == EOC_OK; i++) {
        status = check_inside(m, &m->sources[i]);
    }
    return status;
}

/* -- equal physics -- */

static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

/* What a sweep would be on the merged grid: two that differ in nothing but the grid have the same text. */
static void identity_on_grid(const merge *m, eoc_sweep *sweep, eoc_text *text)
{
    const eoc_grid own = sweep->grid;
    sweep->grid = m->sweep.grid;
    eoc_config_resolved(sweep, 1, text);
    sweep->grid = own;
}

/* Names the first line in which two identities differ; one that ended lacks the other's line. */
static eoc_status differing(const char *path, const char *there, const char *first_path, const char *first)
{
    while (*there && *first && line_length(there) == line_length(first) &&
           memcmp(there, first, line_length(first)) == 0) {
        there += line_length(there) + (there[line_length(there)] == '\n');
        first += line_length(first) + (first[line_length(first)] == '\n');
    }
    const char *const texts[2] = {there, first};
    char shown[2][160];
    for (int i = 0; i < 2; i++) {
        const char *from = texts[i] + strspn(texts[i], " ");
        snprintf(shown[i], sizeof shown[i], "%.*s", (int)line_length(from), from);
    }
    return EOC_FAIL(
        EOC_ERR_USAGE,
        "%s and %s are not of the same sweep: one has '%s', the other '%s'; merged are files that differ in "
        "their grids alone",
        path, first_path, shown[0], shown[1]);
}

static eoc_status check_same_physics(merge *m)
{
    eoc_text first = {0};
    eoc_config_resolved(&m->sweep, 1, &first);
    eoc_text_append(&first, "%s", m->sources[0].found);
    const char *first_path = m->options->sweep ? "the sweep of --sweep" : m->sources[0].path;
    eoc_status status = EOC_OK;
    for (int i = 0; i < m->num_sources && status == EOC_OK; i++) {
        eoc_text other = {0};
        identity_on_grid(m, &m->sources[i].sweep, &other);
        eoc_text_append(&other, "%s", m->sources[i].found);
        if (strcmp(first.data, other.data) != 0) {
            status = differing(m->sources[i].path, other.data, first_path, first.data);
        }
        eoc_text_clear(&other);
    }
    eoc_text_clear(&first);
    return status;
}

/* Every layer that the merged file keeps of a file's networks must be in that file. */
static eoc_status check_layers(const merge *m, const source *s)
{
    const eoc_axis *depths = &s->sweep.grid.axes[EOC_AXIS_DEPTH];
    int deepest = 0;
    for (int i = 0; i < depths->count; i++) {
        deepest = (int)depths->values[i] > deepest ? (int)depths->values[i] : deepest;
    }
    const eoc_layout *merged = &m->shape.layout, *mine = &s->shape.layout;
    for (int i = 0, k = 0; i < merged->num_layers && merged->layers[i] <= deepest; i++) {
        while (k < mine->num_layers && mine->layers[k] < merged->layers[i]) {
            k++;
        }
        EOC_REQUIRE(
            k < mine->num_layers && mine->layers[k] == merged->layers[i], EOC_ERR_USAGE,
            "%s has no layer %d, which probe.layers keeps with the depths of all files; merged are files of one "
            "greatest depth, or with probe.layers: all",
            s->path, merged->layers[i]);
    }
    return EOC_OK;
}

/* -- the run log -- */

static int by_start(const void *a, const void *b)
{
    const eoc_view_run *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static double seconds_since_1970(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The runs of all files by their start, then this one; a row is left for the next run. */
static eoc_status write_runs(const merge *m, eoc_merge_summary *summary)
{
    enum { ROOM = EOC_PROVENANCE_ROWS - 2 };
    int count = 0, kept = 0;
    for (int i = 0; i < m->num_sources; i++) {
        count += m->sources[i].view.num_runs;
    }
    eoc_view_run *runs = malloc(sizeof *runs * (size_t)(count + 1));
    EOC_REQUIRE(runs, EOC_ERR_NOMEM, "out of memory for %d runs", count);
    for (int i = 0; i < m->num_sources; i++) {
        const eoc_view *view = &m->sources[i].view;
        memcpy(runs + kept, view->runs, sizeof *runs * (size_t)view->num_runs);
        kept += view->num_runs;
    }
    qsort(runs, (size_t)count, sizeof *runs, by_start);
    summary->runs_left_out = count > ROOM ? count - ROOM : 0;
    runs[count] = (eoc_view_run){m->start, seconds_since_1970(), 1, (char *)m->options->info};
    eoc_store *store = NULL;
    eoc_status status = eoc_store_open(m->temporary.data, &m->shape.plan, &store);
    for (int i = summary->runs_left_out; i <= count && status == EOC_OK; i++) {
        status = eoc_store_write_run(store, i - summary->runs_left_out, runs[i].start, runs[i].end, runs[i].ranks,
                                     runs[i].info);
    }
    if (store) {
        const eoc_status closed = eoc_store_close(&store);
        status = status == EOC_OK ? closed : status;
    }
    free(runs);
    return status;
}

/* -- all of it -- */

static eoc_status check_output(const merge *m, double bytes)
{
    const char *path = m->options->output;
    struct stat entry;
    const bool there = stat(path, &entry) == 0;
    EOC_REQUIRE(!there || !S_ISDIR(entry.st_mode), EOC_ERR_USAGE, "%s is a directory; -o takes the name of a file",
                path);
    EOC_REQUIRE(!there || m->options->overwrite, EOC_ERR_USAGE,
                "%s is there already; name another file with -o, or give --overwrite to replace it", path);
    EOC_REQUIRE(bytes <= m->options->max_file_bytes, EOC_ERR_USAGE,
                "the file would hold %.6g units and take %.4g GB, more than --max-file-size (%.4g GB)",
                eoc_grid_num_units(&m->sweep.grid), bytes / 1e9, m->options->max_file_bytes / 1e9);
    return EOC_OK;
}

static eoc_status copy_rows(merge *m, eoc_merge_summary *summary)
{
    eoc_merge_source *list = malloc(sizeof *list * (size_t)m->num_sources);
    EOC_REQUIRE(list, EOC_ERR_NOMEM, "out of memory");
    for (int i = 0; i < m->num_sources; i++) {
        const source *s = &m->sources[i];
        list[i] = (eoc_merge_source){s->path, &s->shape.plan, s->view.status, s->view.attempts};
    }
    const eoc_status status = eoc_merge_rows(m->temporary.data, &m->shape.plan, list, m->num_sources, &summary->counts);
    free(list);
    return status;
}

static eoc_status write_file(merge *m, eoc_merge_summary *summary)
{
    eoc_text_append(&m->temporary, "%s.merging", m->options->output);
    eoc_lock lock = {0};
    EOC_TRY(eoc_lock_take(&lock, m->options->output));
    eoc_status status = eoc_store_create(m->temporary.data, &m->shape.plan);
    status = status == EOC_OK ? copy_rows(m, summary) : status;
    status = status == EOC_OK ? write_runs(m, summary) : status;
    status = status == EOC_OK ? eoc_store_publish(m->temporary.data, m->options->output) : status;
    if (status != EOC_OK) {
        unlink(m->temporary.data);
    }
    eoc_lock_release(&lock);
    return status;
}

/* The file stays a part of the whole sweep until it has all of it. */
static eoc_status find_shape(merge *m)
{
    bool is_part = m->whole_text && !m->options->sweep;
    if (is_part) {
        bool is_whole = false;
        EOC_TRY(eoc_grid_same_values(&m->whole.grid, &m->sweep.grid, &is_whole));
        is_part = !is_whole;
    }
    return shape_create(&m->sweep, m->sources[0].found, m->options->program, is_part ? m->whole_text : NULL, &m->shape);
}

static eoc_status merge_all(merge *m, const char *const *paths, int num_paths, eoc_merge_summary *summary)
{
    m->sources = calloc((size_t)num_paths, sizeof *m->sources);
    EOC_REQUIRE(m->sources, EOC_ERR_NOMEM, "out of memory");
    for (m->num_sources = 0; m->num_sources < num_paths;) {
        const int i = m->num_sources++;
        EOC_TRY(read_source(paths[i], m->options->program, &m->sources[i]));
    }
    find_whole(m);
    EOC_TRY(find_sweep(m));
    EOC_TRY(check_same_physics(m));
    EOC_REQUIRE(eoc_grid_num_units(&m->sweep.grid) < 9e15, EOC_ERR_USAGE, "the merged file would hold %.6g units",
                eoc_grid_num_units(&m->sweep.grid));
    EOC_TRY(find_shape(m));
    for (int i = 0; i < m->num_sources; i++) {
        EOC_TRY(check_layers(m, &m->sources[i]));
    }
    summary->bytes = eoc_store_bytes(&m->shape.plan);
    EOC_TRY(check_output(m, summary->bytes));
    return write_file(m, summary);
}

eoc_status eoc_merge_files(const char *const *paths, int num_paths, const eoc_merge_options *options,
                           eoc_merge_summary *summary)
{
    *summary = (eoc_merge_summary){0};
    merge m = {.options = options, .start = seconds_since_1970()};
    const eoc_status status = merge_all(&m, paths, num_paths, summary);
    for (int i = 0; i < m.num_sources; i++) {
        eoc_view_clear(&m.sources[i].view);
        eoc_sweep_clear(&m.sources[i].sweep);
        shape_clear(&m.sources[i].shape);
    }
    free(m.sources);
    eoc_sweep_clear(&m.whole);
    eoc_sweep_clear(&m.sweep);
    shape_clear(&m.shape);
    eoc_text_clear(&m.temporary);
    return status;
}
