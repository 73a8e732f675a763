/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/theory_file.h"

#include "eoc/dataset.h"
#include "eoc/text.h"

#include "theory_points.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What one file is made with. */
typedef struct {
    eoc_sweep *sweep;
    const eoc_theory_file_options *options;
    int *layers; /* (layout.num_layers) */
    int max_depth;
    eoc_layout layout;
    eoc_text sweep_text, identity_text, temporary;
    eoc_store_plan plan;
} theory_file;

static double seconds_since_1970(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The rows of networks are left out of the file, those of points stay. */
static void keep_points_only(eoc_layout *layout)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        if (eoc_variable_row(row)->scope == EOC_PER_UNIT) {
            layout->included[row] = 0;
        }
    }
    layout->unit_bytes = 0;
}

static eoc_status prepare(theory_file *t)
{
    const eoc_axis *depths = &t->sweep->grid.axes[EOC_AXIS_DEPTH];
    for (int i = 0; i < depths->count; i++) {
        t->max_depth = (int)depths->values[i] > t->max_depth ? (int)depths->values[i] : t->max_depth;
    }
    t->layers = malloc(sizeof(int) * (size_t)t->max_depth);
    EOC_REQUIRE(t->layers, EOC_ERR_NOMEM, "out of memory");
    const int num_layers = eoc_layers_fill(&t->sweep->probe.layers, depths, t->layers);
    EOC_TRY(eoc_layout_create(t->sweep->probe.statistics, t->layers, num_layers,
                              eoc_probe_modes(&t->sweep->probe, &t->sweep->grid), &t->layout));
    eoc_layout_add_space(&t->sweep->probe, &t->layout);
    keep_points_only(&t->layout);
    eoc_config_resolved(t->sweep, 0, &t->sweep_text);
    eoc_config_resolved(t->sweep, 1, &t->identity_text);
    t->plan = (eoc_store_plan){.grid = &t->sweep->grid,
                               .layout = &t->layout,
                               .title = t->sweep->title ? t->sweep->title : "",
                               .seed = t->sweep->seed,
                               .sweep_text = t->sweep_text.data,
                               .identity_text = t->identity_text.data,
                               .program = t->options->program};
    return EOC_OK;
}

static eoc_status check(const theory_file *t, double bytes)
{
    const char *path = t->options->output;
    struct stat entry;
    const bool there = stat(path, &entry) == 0;
    EOC_REQUIRE(!there || !S_ISDIR(entry.st_mode), EOC_ERR_USAGE, "%s is a directory; -o takes the name of a file",
                path);
    EOC_REQUIRE(!there || t->options->overwrite, EOC_ERR_USAGE,
                "%s is there already; name another file with -o, or give --overwrite to replace it", path);
    EOC_REQUIRE(bytes <= t->options->max_file_bytes, EOC_ERR_USAGE,
                "the file would take %.4g GB, more than %.4g GB: fewer values on the axes, or 'probe.layers: log 30' "
                "instead of every layer, make it smaller",
                bytes / 1e9, t->options->max_file_bytes / 1e9);
    return EOC_OK;
}

/* As in a run, whose identity has the same line. */
static eoc_status read_images(theory_file *t)
{
    const eoc_inputs *inputs = &t->sweep->probe.inputs;
    if (!inputs->kind->has_images) {
        return EOC_OK;
    }
    const eoc_dataset_request request = eoc_dataset_request_of(inputs, t->sweep->seed, t->options->sweep_path);
    eoc_data data;
    EOC_TRY(eoc_dataset_load(&request, &data));
    eoc_text_append(&t->identity_text, "inputs_checksum: %08x\n", eoc_dataset_images_checksum(&data));
    t->plan.identity_text = t->identity_text.data;
    const eoc_status status = eoc_sweep_take_images(t->sweep, &data);
    eoc_data_clear(&data);
    return status;
}

static eoc_status write_groups(const theory_file *t, eoc_store *store, eoc_theory_file_summary *summary)
{
    eoc_theory_point *list = NULL;
    int64_t count = 0;
    EOC_TRY(eoc_theory_points_list(t->sweep, NULL, &list, &count));
    void *block = calloc(1, t->layout.point_bytes);
    eoc_status status = block ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for theory");
    for (int64_t from = 0, to; from < count && status == EOC_OK; from = to) {
        to = eoc_theory_points_group_end(list, count, from);
        status =
            eoc_theory_points_write(t->sweep, &t->layout, t->max_depth, list + from, to - from, store, block, NULL);
        summary->maps += list[from].in_theory;
    }
    summary->points = count;
    free(block);
    free(list);
    return status;
}

static eoc_status fill(const theory_file *t, eoc_theory_file_summary *summary)
{
    const double start = seconds_since_1970();
    eoc_store *store = NULL;
    EOC_TRY(eoc_store_open(t->temporary.data, &t->plan, &store));
    eoc_status status = write_groups(t, store, summary);
    if (status == EOC_OK) {
        status = eoc_store_write_run(store, 0, start, seconds_since_1970(), 1, t->options->info);
    }
    const eoc_status closed = eoc_store_close(&store);
    return status == EOC_OK ? closed : status;
}

static eoc_status write_file(theory_file *t, eoc_theory_file_summary *summary)
{
    EOC_TRY(prepare(t));
    summary->bytes = eoc_store_bytes(&t->plan);
    EOC_TRY(check(t, summary->bytes));
    EOC_TRY(read_images(t));
    eoc_text_append(&t->temporary, "%s.part", t->options->output);
    eoc_status status = eoc_store_create(t->temporary.data, &t->plan);
    if (status == EOC_OK) {
        status = fill(t, summary);
        if (status == EOC_OK && rename(t->temporary.data, t->options->output) != 0) {
            status = EOC_FAIL(EOC_ERR_IO, "%s: cannot be renamed to %s: %s", t->temporary.data, t->options->output,
                              strerror(errno));
        }
        if (status != EOC_OK) {
            unlink(t->temporary.data);
        }
    }
    return status;
}

eoc_status eoc_theory_file_write(eoc_sweep *sweep, const eoc_theory_file_options *options,
                                 eoc_theory_file_summary *summary)
{
    theory_file t = {.sweep = sweep, .options = options};
    *summary = (eoc_theory_file_summary){0};
    const eoc_status status = write_file(&t, summary);
    eoc_layout_clear(&t.layout);
    free(t.layers);
    eoc_text_clear(&t.sweep_text);
    eoc_text_clear(&t.identity_text);
    eoc_text_clear(&t.temporary);
    return status;
}
