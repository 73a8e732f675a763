/* SPDX-License-Identifier: BSD-3-Clause */
/* From a sweep to an open file and a list of what is to be done: a new file, or one that is gone on with. */
#include "run_parts.h"

#include "eoc/dataset.h"
#include "eoc/simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* -- preparation: serial, the same on every rank -- */

static void find_extents(run *r)
{
    const eoc_axis *depths = &r->sweep->grid.axes[EOC_AXIS_DEPTH], *widths = &r->sweep->grid.axes[EOC_AXIS_WIDTH];
    for (int i = 0; i < depths->count; i++) {
        r->max_depth = (int)depths->values[i] > r->max_depth ? (int)depths->values[i] : r->max_depth;
    }
    for (int i = 0; i < widths->count; i++) {
        r->max_width = (int)widths->values[i] > r->max_width ? (int)widths->values[i] : r->max_width;
    }
}

static eoc_status plan_file(run *r)
{
    const eoc_sweep *sweep = r->sweep;
    r->layers = malloc(sizeof(int) * (size_t)r->max_depth);
    EOC_REQUIRE(r->layers, EOC_ERR_NOMEM, "out of memory");
    const int num_layers = eoc_layers_fill(&sweep->probe.layers, &sweep->grid.axes[EOC_AXIS_DEPTH], r->layers);
    EOC_TRY(eoc_layout_create(sweep->probe.statistics, r->layers, num_layers,
                              eoc_probe_modes(&sweep->probe, &sweep->grid), &r->layout));
    EOC_TRY(eoc_layout_add_points(&sweep->probe, &r->layout));
    eoc_layout_add_space(&sweep->probe, &r->layout);
    if (sweep->probe.train) {
        EOC_TRY(eoc_layout_add_training(sweep->probe.train, &r->layout));
    }
    eoc_config_resolved(sweep, 0, &r->sweep_text);
    eoc_config_resolved(sweep, 1, &r->identity_text);
    r->store_plan = (eoc_store_plan){.grid = &sweep->grid,
                                     .layout = &r->layout,
                                     .title = sweep->title ? sweep->title : "",
                                     .seed = sweep->seed,
                                     .sweep_text = r->sweep_text.data,
                                     .identity_text = r->identity_text.data,
                                     .program = r->options->program,
                                     .whole_text = sweep->whole};
    return EOC_OK;
}

static void bytes_text(double bytes, char out[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    int unit = 0;
    for (; bytes >= 1000.0 && unit < 8; unit++) {
        bytes /= 1000.0;
    }
    snprintf(out, 32, "%.3g %s", bytes, units[unit]);
}

/* The keys that make the file large: the longest axes, and the layers where every one of many is kept. */
static void name_large_keys(const run *r, eoc_text *keys)
{
    const eoc_grid *grid = &r->sweep->grid;
    int longest = 1;
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        longest = grid->axes[id].count > longest ? grid->axes[id].count : longest;
    }
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        if (grid->axes[id].count > 1 && grid->axes[id].count >= longest / 10) {
            eoc_text_append(keys, "%sgrid.%s (%d values)", keys->length ? ", " : "",
                            eoc_axis_row_of((eoc_axis_id)id)->name, grid->axes[id].count);
        }
    }
    if (r->layout.num_layers > 30) {
        eoc_text_append(keys, "%sprobe.layers (%d kept; 'log 30' keeps 30)", keys->length ? ", " : "",
                        r->layout.num_layers);
    }
}

static eoc_status check_size(run *r)
{
    const double bytes = eoc_store_bytes(&r->store_plan), units = eoc_grid_num_units(&r->sweep->grid);
    if (bytes <= r->options->max_file_bytes && units < 9e15) {
        r->num_units = (int64_t)units;
        return EOC_OK;
    }
    char size[32], limit[32];
    bytes_text(bytes, size);
    bytes_text(r->options->max_file_bytes, limit);
    eoc_text keys = {0};
    name_large_keys(r, &keys);
    const eoc_status status =
        EOC_FAIL(EOC_ERR_USAGE,
                 "the result file would hold %.6g units and take %s, more than --max-file-size %s; fewer of %s "
                 "make it smaller",
                 units, size, limit, keys.data ? keys.data : "its values");
    eoc_text_clear(&keys);
    return status;
}

/* What the keys of a sweep only name is part of what it is. */
static void note_checksum_all(run *r, const char *name, uint32_t checksum)
{
    MPI_Bcast(&checksum, 1, MPI_UINT32_T, 0, r->comm);
    eoc_text_append(&r->identity_text, "%s: %08x\n", name, checksum);
    r->store_plan.identity_text = r->identity_text.data;
}

static eoc_status read_data_all(run *r)
{
    const eoc_train *train = r->sweep->probe.train;
    if (!train) {
        return EOC_OK;
    }
    const eoc_dataset_request request = {.source = train->dataset,
                                         .preprocessing = train->preprocessing,
                                         .train_samples = train->train_samples,
                                         .test_samples = train->test_samples,
                                         .seed = r->sweep->seed,
                                         .sweep_path = r->options->sweep_path};
    EOC_TRY(eoc_share_data_all(r->comm, &request, &r->shared_data));
    r->data = eoc_shared_data_get(r->shared_data);
    note_checksum_all(r, "  data_checksum", r->rank == 0 ? eoc_dataset_checksum(r->data) : 0);
    EOC_TRY(eoc_train_check_labels(train, r->data));
    return eoc_train_check_sizes(train, r->data, &r->sweep->grid);
}

/* The images are few: every rank has them to itself. */
static eoc_status read_images_all(run *r)
{
    const eoc_inputs *inputs = &r->sweep->probe.inputs;
    if (!inputs->kind->has_images) {
        return EOC_OK;
    }
    const eoc_dataset_request request = eoc_dataset_request_of(inputs, r->sweep->seed, r->options->sweep_path);
    eoc_shared_data *shared = NULL;
    EOC_TRY(eoc_share_data_all(r->comm, &request, &shared));
    const eoc_data *data = eoc_shared_data_get(shared);
    note_checksum_all(r, "inputs_checksum", r->rank == 0 ? eoc_dataset_images_checksum(data) : 0);
    const eoc_status status = eoc_sweep_take_images(r->sweep, data);
    eoc_shared_data_destroy(&shared);
    return status;
}

static void fill_blank(run *r)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (v->scope != EOC_PER_UNIT || !r->layout.included[row]) {
            continue;
        }
        unsigned char *const values = (unsigned char *)r->blank + r->layout.offset[row];
        for (size_t i = 0; i < eoc_layout_row_count(&r->layout, v); i++) {
            if (v->type == EOC_TYPE_FLOAT64) {
                ((double *)(void *)values)[i] = NAN;
            } else if (v->type == EOC_TYPE_INT8) {
                ((int8_t *)values)[i] = (int8_t)v->fill;
            } else if (v->type == EOC_TYPE_INT32) {
                ((int32_t *)(void *)values)[i] = v->fill;
            }
        }
    }
}

static eoc_status allocate(run *r)
{
    EOC_TRY(eoc_study_create(&r->sweep->probe, r->data, &r->layout, r->max_depth, r->max_width, &r->study));
    enum { MAX_BATCH_UNITS = 4096, MAX_BATCH_BYTES = 64 << 20 };
    const size_t by_bytes = (size_t)MAX_BATCH_BYTES / r->layout.unit_bytes;
    r->batch_capacity = by_bytes < 1 ? 1 : by_bytes > MAX_BATCH_UNITS ? MAX_BATCH_UNITS : (int)by_bytes;
    r->blank = calloc(1, r->layout.unit_bytes);
    r->blocks = calloc((size_t)r->batch_capacity, r->layout.unit_bytes);
    r->batch_units = malloc(sizeof(int64_t) * (size_t)r->batch_capacity);
    EOC_REQUIRE(r->blank && r->blocks && r->batch_units, EOC_ERR_NOMEM, "out of memory for a batch of %d units",
                r->batch_capacity);
    fill_blank(r);
    return EOC_OK;
}

eoc_status eoc_opening_prepare(run *r)
{
    find_extents(r);
    EOC_TRY(plan_file(r));
    return check_size(r);
}

eoc_status eoc_opening_load_all(run *r)
{
    EOC_TRY(eoc_agree_all(r->comm, read_data_all(r)));
    EOC_TRY(eoc_agree_all(r->comm, read_images_all(r)));
    return eoc_agree_all(r->comm, allocate(r));
}

/* -- the file: rank 0 reads or makes it -- */

/* The lock comes first: what another run writes must not be read. */
static eoc_status read_or_create(run *r)
{
    const char *path = r->options->output;
    struct stat entry;
    EOC_REQUIRE(stat(path, &entry) != 0 || !S_ISDIR(entry.st_mode), EOC_ERR_USAGE,
                "%s is a directory; -o takes the name of a file", path);
    EOC_TRY(eoc_lock_take(&r->lock, path));
    if (stat(path, &entry) == 0 && !r->options->overwrite) {
        EOC_TRY(eoc_store_read_state(path, &r->store_plan, &r->state));
        r->next_run = r->state.next_run;
        r->resumed = true;
        return EOC_OK;
    }
    return eoc_store_create(path, &r->store_plan);
}

/* -- resume -- */

typedef struct {
    int64_t *units; /* (count) */
    int64_t count, capacity;
} unit_list;

static bool append(unit_list *list, const int64_t *units, int64_t count)
{
    if (list->count + count > list->capacity) {
        const int64_t capacity = 2 * (list->count + count);
        int64_t *larger = realloc(list->units, sizeof *larger * (size_t)capacity);
        if (!larger) {
            return false;
        }
        list->units = larger;
        list->capacity = capacity;
    }
    for (int64_t i = 0; i < count; i++) {
        list->units[list->count++] = units[i];
    }
    return true;
}

/* This rank's share of the file, some megabytes at a time. */
static eoc_status verify_share(run *r, unit_list *wrong)
{
    enum { MOST_UNITS = 4096, MOST_BYTES = 16 << 20 };
    const int64_t first = r->num_units / r->num_ranks * r->rank +
                          (r->rank < r->num_units % r->num_ranks ? r->rank : r->num_units % r->num_ranks);
    const int64_t share = r->num_units / r->num_ranks + (r->rank < r->num_units % r->num_ranks);
    const int64_t by_bytes = (int64_t)((size_t)MOST_BYTES / r->layout.unit_bytes);
    const int64_t piece = by_bytes < 1 ? 1 : by_bytes > MOST_UNITS ? MOST_UNITS : by_bytes;
    int64_t found[MOST_UNITS];
    for (int64_t done = 0; done < share && r->stop.reason == EOC_STOP_NOT; done += piece) {
        const int64_t count = share - done < piece ? share - done : piece;
        int64_t num_found = 0;
        EOC_TRY(eoc_store_verify(r->store, first + done, count, found, &num_found));
        EOC_REQUIRE(append(wrong, found, num_found), EOC_ERR_NOMEM, "out of memory for a list of wrong units");
        if (eoc_run_tick(r) && eoc_stop_at_once()) {
            eoc_run_leave(r);
        }
    }
    return EOC_OK;
}

/* All ranks' lists on rank 0, which marks the units as pending. */
static eoc_status gather_wrong_all(run *r, const unit_list *mine, int64_t *num_wrong)
{
    const int count = mine->count > INT32_MAX / 2 ? INT32_MAX / 2 : (int)mine->count;
    *num_wrong = 0;
    eoc_status status = EOC_OK;
    if (r->rank != 0) {
        MPI_Send(mine->units, count, MPI_INT64_T, 0, 0, r->comm);
        return EOC_OK;
    }
    for (int rank = 0; rank < r->num_ranks; rank++) {
        const int64_t *units = mine->units;
        int64_t *received = NULL;
        int there = count;
        if (rank > 0) {
            MPI_Status from;
            MPI_Probe(rank, 0, r->comm, &from);
            MPI_Get_count(&from, MPI_INT64_T, &there);
            units = received = malloc(sizeof *received * (size_t)(there + 1));
            if (!received) {
                status = EOC_FAIL(EOC_ERR_NOMEM, "out of memory for a list of wrong units");
                break; /* what was not received is for nobody: the run ends */
            }
            MPI_Recv(received, there, MPI_INT64_T, rank, 0, r->comm, MPI_STATUS_IGNORE);
        }
        for (int i = 0; i < there; i++) {
            r->state.status[units[i]] = EOC_PENDING;
            r->state.attempts[units[i]] = 0;
        }
        *num_wrong += there;
        free(received);
    }
    return status;
}

static eoc_status verify_all(run *r, int64_t *num_wrong)
{
    unit_list wrong = {0};
    eoc_status status = eoc_run_agree_all(r, verify_share(r, &wrong));
    if (status == EOC_OK) {
        status = eoc_run_agree_all(r, gather_wrong_all(r, &wrong, num_wrong));
    }
    free(wrong.units);
    return status;
}

/* Units that the user wants tried again. */
static int64_t retry_units(run *r)
{
    int64_t count = 0;
    for (int64_t unit = 0; unit < r->num_units; unit++) {
        if (r->options->retry >> r->state.status[unit] & 1u) {
            r->state.status[unit] = EOC_PENDING;
            r->state.attempts[unit] = 0;
            count++;
        }
    }
    return count;
}

/* Units that were begun too often without an end. */
static eoc_status fail_crashed(run *r, int64_t *count)
{
    *count = 0;
    for (int64_t unit = 0; unit < r->num_units; unit++) {
        if (r->state.status[unit] == EOC_RUNNING && r->state.attempts[unit] >= r->options->max_attempts) {
            if (eoc_units_batch_is_full(r)) {
                EOC_TRY(eoc_units_commit(r));
            }
            eoc_units_note_crashed(r, unit);
            r->state.status[unit] = EOC_FAILED;
            (*count)++;
        }
    }
    return eoc_units_commit(r);
}

static void tell_resume(const run *r, int64_t wrong, int64_t retried, int64_t crashed)
{
    const char *path = r->options->output;
    const int64_t finished = r->before[EOC_DONE] + r->before[EOC_DIVERGED] + r->before[EOC_FAILED];
    if (!r->options->quiet) {
        fprintf(stderr, "eoc: going on with %s: %lld of %lld units are finished\n", path, (long long)finished,
                (long long)r->num_units);
    }
    if (wrong > 0) {
        fprintf(stderr, "eoc: warning: %lld finished unit%s of %s did not match %s checksum%s and will be done again\n",
                (long long)wrong, wrong == 1 ? "" : "s", path, wrong == 1 ? "its" : "their", wrong == 1 ? "" : "s");
    }
    if (retried > 0 && !r->options->quiet) {
        fprintf(stderr, "eoc: %lld unit%s will be tried again\n", (long long)retried, retried == 1 ? "" : "s");
    }
    if (r->before[EOC_RUNNING] > 0 && !r->options->quiet) {
        fprintf(stderr,
                "eoc: %lld unit%s in hand when an earlier run ended abruptly; %s begun again last, one at a time\n",
                (long long)r->before[EOC_RUNNING], r->before[EOC_RUNNING] == 1 ? " was" : "s were",
                r->before[EOC_RUNNING] == 1 ? "it is" : "they are");
    }
    if (crashed > 0) {
        fprintf(stderr,
                "eoc: warning: %lld unit%s begun %d times and never ended; %s marked failed, reason crashed (--retry "
                "failed tries again)\n",
                (long long)crashed, crashed == 1 ? " was" : "s were", r->options->max_attempts,
                crashed == 1 ? "it is" : "they are");
    }
}

static void count_states(run *r)
{
    r->before[EOC_PENDING] = r->resumed ? 0 : r->num_units;
    for (int64_t unit = 0; r->resumed && unit < r->num_units; unit++) {
        r->before[r->state.status[unit]]++;
    }
}

/* Rank 0: the state as this run will go on from, also in the file. */
static eoc_status settle_state(run *r, int64_t num_wrong)
{
    if (!r->resumed) {
        count_states(r);
        return EOC_OK;
    }
    const int64_t retried = retry_units(r);
    if (num_wrong + retried > 0) {
        EOC_TRY(eoc_store_write_state(r->store, r->state.status, r->state.attempts));
    }
    int64_t crashed = 0;
    EOC_TRY(fail_crashed(r, &crashed));
    count_states(r);
    tell_resume(r, num_wrong, retried, crashed);
    EOC_TRY(eoc_cost_fit(&r->sweep->grid, &r->sweep->probe, r->state.status, r->state.seconds, &r->cost));
    free(r->state.seconds);
    r->state.seconds = NULL;
    return EOC_OK;
}

/* -- the plan -- */

static const char *plural(double count)
{
    return count == 1.0 ? "" : "s";
}

static eoc_status print_plan(const run *r)
{
    char size[32], memory[32];
    bytes_text(eoc_store_bytes(&r->store_plan), size);
    bytes_text(eoc_study_bytes(&r->sweep->probe, r->data, r->max_depth, r->max_width), memory);
    const eoc_simulation_options simulated = eoc_simulation_defaults(r->num_ranks);
    eoc_simulation simulation;
    EOC_TRY(eoc_simulate(r->work.cells, r->work.num_cells, &simulated, &simulation));
    const double points = eoc_grid_num_points(&r->sweep->grid),
                 seconds = simulation.makespan + r->work.leftover_seconds / r->num_ranks;
    const int replicas = r->sweep->grid.axes[EOC_AXIS_REPLICA].count;
    fprintf(stderr,
            "eoc: %.15g point%s x %d replica%s = %lld unit%s, %lld to do; about %.3g s on %d rank%s, %s a rank\n",
            points, plural(points), replicas, plural(replicas), (long long)r->num_units, plural((double)r->num_units),
            (long long)r->work.num_pending, seconds, r->num_ranks, plural(r->num_ranks), memory);
    fprintf(stderr, "eoc: writing %s (%s)\n", r->options->output, size);
    return EOC_OK;
}

static eoc_status make_worklist(run *r, int64_t num_wrong)
{
    EOC_TRY(settle_state(r, num_wrong));
    r->cost_is_measured = r->cost.num_rows > 0;
    EOC_TRY(eoc_worklist_create(r->sweep, &r->state, &r->cost, r->options->shuffle, &r->work));
    if (!r->options->quiet) {
        EOC_TRY(print_plan(r));
    }
    return EOC_OK;
}

/* Whoever is told last is in time all the same: rank 0's clock counts, as seconds from now. */
static void share_limits_all(run *r)
{
    bool by_slurm = false;
    double left = eoc_stop_seconds_left(r->options->max_seconds, &by_slurm);
    if (r->rank == 0 && by_slurm && !r->options->quiet) {
        fprintf(stderr, "eoc: the Slurm job ends in %.0f s: the run stops in good order before\n", left);
    }
    MPI_Bcast(&left, 1, MPI_DOUBLE, 0, r->comm);
    eoc_stop_begin(&r->stop, left, r->options->grace_seconds);
}

eoc_status eoc_opening_all(run *r)
{
    share_limits_all(r);
    EOC_TRY(eoc_run_agree_all(r, r->rank == 0 ? read_or_create(r) : EOC_OK));
    int told[2] = {r->resumed, r->next_run};
    MPI_Bcast(told, 2, MPI_INT, 0, r->comm);
    r->resumed = told[0] != 0;
    r->next_run = told[1];
    EOC_TRY(eoc_store_open_all(r->comm, r->options->output, &r->store_plan, &r->store));
    int64_t num_wrong = 0;
    if (r->resumed) {
        EOC_TRY(verify_all(r, &num_wrong));
    }
    EOC_TRY(eoc_run_agree_all(r, r->rank == 0 ? make_worklist(r, num_wrong) : EOC_OK));
    int measured = r->cost_is_measured;
    MPI_Bcast(&measured, 1, MPI_INT, 0, r->comm);
    r->cost_is_measured = measured != 0;
    return EOC_OK;
}

void eoc_opening_clear(run *r)
{
    eoc_study_destroy(&r->study);
    eoc_shared_data_destroy(&r->shared_data);
    free(r->blank);
    free(r->blocks);
    free(r->batch_units);
    eoc_worklist_clear(&r->work);
    eoc_cost_clear(&r->cost);
    eoc_store_state_clear(&r->state);
    eoc_layout_clear(&r->layout);
    free(r->layers);
    eoc_text_clear(&r->sweep_text);
    eoc_text_clear(&r->identity_text);
    eoc_text_clear(&r->facts);
    eoc_text_clear(&r->why);
}
