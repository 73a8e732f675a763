/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/run.h"

#include "eoc/linalg.h"
#include "eoc/plan.h"
#include "eoc/record.h"
#include "eoc/store.h"
#include "eoc/study.h"

#include "lock.h"
#include "progress.h"
#include "provenance.h"
#include "theory_points.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* -- signals -- */

enum { EXIT_STOPPED = 75 };

static volatile sig_atomic_t stop_asked; /* 1: after the unit in hand; 2: at once */

static void on_signal(int number)
{
    stop_asked = number == SIGUSR1 && stop_asked < 2 ? 1 : 2;
}

void eoc_run_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/* -- the state of a run on one rank -- */

static const double COMMIT_SECONDS = 5.0;

enum { MAX_BATCH_UNITS = 4096, MAX_BATCH_BYTES = 64 << 20 };

typedef struct {
    MPI_Comm comm;
    int rank, num_ranks;
    const eoc_sweep *sweep;
    const eoc_run_options *options;

    int *layers; /* kept layers, (layout.num_layers) */
    int max_depth, max_width;
    eoc_layout layout;
    eoc_store_plan store_plan;
    eoc_text sweep_text, identity_text;

    eoc_store_state state; /* before this run, on every rank */
    eoc_plan plan;
    eoc_lock lock; /* rank 0 */
    eoc_store *store;
    eoc_progress progress;
    eoc_text facts;
    double start_time; /* seconds since 1970 */

    eoc_data data; /* what is learnt; empty where nothing is */
    eoc_study *study;
    unsigned char *blocks; /* (batch_capacity, layout.unit_bytes): finished units not yet written */
    int64_t *batch_units;
    int batch_count, batch_capacity;
    double batch_begun;
    int64_t computed;
} run;

static double wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* -- preparation: serial, the same on every rank -- */

static eoc_status prepare(run *r)
{
    const eoc_grid *grid = &r->sweep->grid;
    const eoc_axis *depths = &grid->axes[EOC_AXIS_DEPTH], *widths = &grid->axes[EOC_AXIS_WIDTH];
    for (int i = 0; i < depths->count; i++) {
        r->max_depth = (int)depths->values[i] > r->max_depth ? (int)depths->values[i] : r->max_depth;
    }
    for (int i = 0; i < widths->count; i++) {
        r->max_width = (int)widths->values[i] > r->max_width ? (int)widths->values[i] : r->max_width;
    }
    r->layers = malloc(sizeof(int) * (size_t)r->max_depth);
    EOC_REQUIRE(r->layers, EOC_ERR_NOMEM, "out of memory");
    const int num_layers = eoc_layers_fill(&r->sweep->probe.layers, depths, r->layers);
    EOC_TRY(eoc_layout_create(r->sweep->probe.statistics, r->layers, num_layers,
                              eoc_probe_modes(&r->sweep->probe, &r->sweep->grid), &r->layout));
    if (r->sweep->probe.train) {
        EOC_TRY(eoc_layout_add_training(r->sweep->probe.train, &r->layout));
    }
    eoc_config_resolved(r->sweep, 0, &r->sweep_text);
    eoc_config_resolved(r->sweep, 1, &r->identity_text);
    r->store_plan = (eoc_store_plan){.grid = grid,
                                     .layout = &r->layout,
                                     .title = r->sweep->title ? r->sweep->title : "",
                                     .seed = r->sweep->seed,
                                     .sweep_text = r->sweep_text.data,
                                     .identity_text = r->identity_text.data,
                                     .program = r->options->program,
                                     .whole_text = r->sweep->whole};
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

static eoc_status check_size(const run *r)
{
    const double bytes = eoc_store_bytes(&r->store_plan), units = eoc_grid_num_units(&r->sweep->grid);
    if (bytes <= r->options->max_file_bytes && units < 9e15) {
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

/* -- opening: rank 0 reads or makes the file, all open it -- */

/* The lock comes first: what another run writes must not be read. */
static eoc_status read_or_create(run *r)
{
    const char *path = r->options->output;
    struct stat entry;
    EOC_REQUIRE(stat(path, &entry) != 0 || !S_ISDIR(entry.st_mode), EOC_ERR_USAGE,
                "%s is a directory; -o takes the name of a file", path);
    EOC_TRY(eoc_lock_take(&r->lock, path));
    if (stat(path, &entry) == 0 && !r->options->overwrite) {
        return eoc_store_read_state(path, &r->store_plan, &r->state);
    }
    return eoc_store_create(path, &r->store_plan);
}

/* Every rank needs the state to work out the plan; a new file is all pending. */
static eoc_status share_state_all(run *r)
{
    const size_t units = (size_t)eoc_grid_num_units(&r->sweep->grid),
                 points = (size_t)eoc_grid_num_points(&r->sweep->grid);
    int resumed = r->state.status != NULL;
    MPI_Bcast(&resumed, 1, MPI_INT, 0, r->comm);
    MPI_Bcast(&r->state.next_run, 1, MPI_INT, 0, r->comm);
    if (!resumed || r->rank != 0) {
        r->state.status = calloc(units, sizeof *r->state.status);
        r->state.attempts = calloc(units, sizeof *r->state.attempts);
        r->state.theory_status = malloc(points * sizeof *r->state.theory_status);
    }
    const bool enough = r->state.status && r->state.attempts && r->state.theory_status;
    EOC_TRY(eoc_agree_all(
        r->comm, enough ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for the state of %zu units", units)));
    if (!resumed) {
        for (size_t i = 0; i < points; i++) {
            r->state.theory_status[i] = EOC_THEORY_NOT_COMPUTED;
        }
        return EOC_OK;
    }
    /* In pieces: a count of MPI is an int. */
    enum { PIECE = 1 << 24 };
    for (size_t from = 0; from < units; from += PIECE) {
        const int count = (int)(units - from < PIECE ? units - from : PIECE);
        MPI_Bcast(r->state.status + from, count, MPI_INT8_T, 0, r->comm);
        MPI_Bcast(r->state.attempts + from, count, MPI_INT32_T, 0, r->comm);
    }
    for (size_t from = 0; from < points; from += PIECE) {
        const int count = (int)(points - from < PIECE ? points - from : PIECE);
        MPI_Bcast(r->state.theory_status + from, count, MPI_UINT16_T, 0, r->comm);
    }
    return EOC_OK;
}

static eoc_status read_data(run *r)
{
    const eoc_train *train = r->sweep->probe.train;
    if (!train) {
        return EOC_OK;
    }
    EOC_TRY(eoc_data_draw(&train->dataset, r->sweep->seed, &r->data));
    EOC_TRY(eoc_data_keep_first(&r->data, train->dataset.text, train->train_samples, train->test_samples));
    EOC_TRY(eoc_preprocessing_apply(train->preprocessing, &r->data));
    return eoc_train_check(train, &r->data);
}

static eoc_status allocate(run *r)
{
    EOC_TRY(eoc_study_create(&r->sweep->probe, &r->data, &r->layout, r->max_depth, r->max_width, &r->study));
    const size_t by_bytes = (size_t)MAX_BATCH_BYTES / r->layout.unit_bytes;
    r->batch_capacity = by_bytes < 1 ? 1 : by_bytes > MAX_BATCH_UNITS ? MAX_BATCH_UNITS : (int)by_bytes;
    r->blocks = calloc((size_t)r->batch_capacity, r->layout.unit_bytes);
    r->batch_units = malloc(sizeof(int64_t) * (size_t)r->batch_capacity);
    EOC_REQUIRE(r->blocks && r->batch_units, EOC_ERR_NOMEM, "out of memory for a batch of %d units", r->batch_capacity);
    return EOC_OK;
}

static const char *plural(double count)
{
    return count == 1.0 ? "" : "s";
}

static void print_plan(const run *r)
{
    char size[32], memory[32];
    bytes_text(eoc_store_bytes(&r->store_plan), size);
    bytes_text(eoc_study_bytes(&r->sweep->probe, &r->data, r->max_depth, r->max_width), memory);
    const double points = eoc_grid_num_points(&r->sweep->grid);
    const int replicas = r->sweep->grid.axes[EOC_AXIS_REPLICA].count;
    fprintf(stderr,
            "eoc: %.15g point%s x %d replica%s = %lld unit%s, %lld to do; about %.3g s on %d rank%s, %s a rank\n",
            points, plural(points), replicas, plural(replicas), (long long)r->plan.num_units,
            plural((double)r->plan.num_units), (long long)r->plan.num_pending, r->plan.makespan, r->num_ranks,
            plural(r->num_ranks), memory);
    fprintf(stderr, "eoc: writing %s (%s)\n", r->options->output, size);
}

/* -- theory: shared out over the ranks -- */

static eoc_status compute_theory(run *r)
{
    eoc_theory_point *list = NULL;
    int64_t count = 0, group = 0;
    EOC_TRY(eoc_theory_points_list(r->sweep, r->state.theory_status, &list, &count));
    void *block = calloc(1, r->layout.point_bytes);
    eoc_status status = block ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for theory");
    for (int64_t from = 0, to; from < count && status == EOC_OK && !stop_asked; from = to, group++) {
        to = eoc_theory_points_group_end(list, count, from);
        if (group % r->num_ranks == r->rank) {
            status =
                eoc_theory_points_write(r->sweep, &r->layout, r->max_depth, list + from, to - from, r->store, block);
            eoc_progress_tick(&r->progress);
        }
    }
    free(block);
    free(list);
    return status;
}

/* -- units -- */

/* Called from inside a unit. */
static bool tick(void *context)
{
    run *const r = context;
    eoc_progress_tick(&r->progress);
    (void)eoc_lock_touch(&r->lock);
    return stop_asked == 2;
}

static eoc_status commit(run *r)
{
    if (r->batch_count == 0) {
        return EOC_OK;
    }
    const eoc_status status = eoc_store_commit(r->store, r->batch_units, r->batch_count, r->blocks);
    r->batch_count = 0;
    return status;
}

static void count_outcome(run *r, eoc_unit_status status, double predicted)
{
    eoc_tally *const tally = &r->progress.mine;
    tally->done += status == EOC_DONE;
    tally->diverged += status == EOC_DIVERGED;
    tally->failed += status == EOC_FAILED;
    tally->seconds += predicted;
    r->computed++;
}

/* Probes one unit into the batch. *given_up when a signal ended it. */
static eoc_status do_unit(run *r, int64_t unit, double predicted, bool *given_up)
{
    const eoc_unit u = eoc_grid_get(&r->sweep->grid, r->sweep->seed, unit);
    const int32_t attempts = r->state.attempts[unit] + 1;
    EOC_TRY(eoc_store_begin_unit(r->store, unit, attempts));
    if (r->batch_count == 0) {
        r->batch_begun = eoc_clock();
    }
    eoc_unit_record record;
    eoc_layout_unit(&r->layout, r->blocks + (size_t)r->batch_count * r->layout.unit_bytes, &record);
    eoc_outcome outcome = {.status = EOC_FAILED};
    const eoc_host host = {.context = r, .tick = tick};
    const double begun = eoc_clock();
    if (!eoc_study_run(r->study, &u.network, &host, &record, &outcome)) {
        *given_up = true;
        return EOC_OK;
    }
    *record.status = (int8_t)outcome.status;
    *record.reason = (int8_t)outcome.reason;
    *record.last_layer = outcome.last_layer;
    *record.sampler = (int8_t)eoc_sampler_index(eoc_probe_sampler(&r->sweep->probe, &u.network));
    *record.seconds = eoc_clock() - begun;
    *record.rank = r->rank;
    *record.attempts = attempts;
    r->batch_units[r->batch_count++] = unit;
    count_outcome(r, outcome.status, predicted);
    return EOC_OK;
}

static eoc_status do_slice(run *r, const eoc_slice *slice)
{
    const double predicted = slice->seconds / (double)slice->pending;
    bool given_up = false;
    eoc_status status = EOC_OK;
    for (int64_t unit = slice->first; unit < slice->end && status == EOC_OK && !stop_asked && !given_up; unit++) {
        if (eoc_plan_is_pending(r->state.status[unit])) {
            status = do_unit(r, unit, predicted, &given_up);
            const bool due = r->batch_count == r->batch_capacity || eoc_clock() - r->batch_begun > COMMIT_SECONDS;
            if (status == EOC_OK && due) {
                status = commit(r);
            }
            eoc_progress_tick(&r->progress);
        }
    }
    const eoc_status committed = commit(r);
    return status == EOC_OK ? committed : status;
}

/* SIGTERM or SIGINT: the rows are written; nothing collective may be waited for, for the other ranks may be gone. */
static void leave_at_once(run *r)
{
    fprintf(stderr, "eoc: rank %d: stopped by a signal; finished units are safe in %s: run the same command to go on\n",
            r->rank, r->options->output);
    eoc_lock_release(&r->lock);
    _exit(EXIT_STOPPED);
}

static eoc_status do_units(run *r)
{
    for (int64_t i = 0; i < r->plan.num_slices && !stop_asked; i++) {
        if (r->plan.slices[i].rank == r->rank) {
            EOC_TRY(do_slice(r, &r->plan.slices[i]));
        }
    }
    if (stop_asked == 2) {
        leave_at_once(r);
    }
    return EOC_OK;
}

/* -- the end -- */

static void summarize_all(const run *r, eoc_run_summary *summary)
{
    int64_t before[5] = {0}, now[5];
    for (int64_t unit = 0; unit < r->plan.num_units; unit++) {
        before[r->state.status[unit] < 5 && r->state.status[unit] >= 0 ? r->state.status[unit] : 0]++;
    }
    const eoc_tally *mine = &r->progress.mine;
    int64_t sums[4] = {mine->done, mine->diverged, mine->failed, r->computed};
    int stopped = stop_asked != 0;
    MPI_Allreduce(MPI_IN_PLACE, sums, 4, MPI_INT64_T, MPI_SUM, r->comm);
    MPI_Allreduce(MPI_IN_PLACE, &stopped, 1, MPI_INT, MPI_LOR, r->comm);
    now[EOC_DONE] = before[EOC_DONE] + sums[0];
    now[EOC_DIVERGED] = before[EOC_DIVERGED] + sums[1];
    now[EOC_FAILED] = before[EOC_FAILED] + sums[2];
    *summary = (eoc_run_summary){.units = r->plan.num_units,
                                 .done = now[EOC_DONE],
                                 .diverged = now[EOC_DIVERGED],
                                 .failed = now[EOC_FAILED],
                                 .pending = r->plan.num_units - now[EOC_DONE] - now[EOC_DIVERGED] - now[EOC_FAILED],
                                 .computed = sums[3],
                                 .seconds = wall_time() - r->start_time,
                                 .stopped = stopped != 0};
}

static eoc_status note_run(run *r, double end, const char *ended)
{
    if (r->rank != 0) {
        return EOC_OK;
    }
    eoc_text json = {0};
    eoc_provenance_write(&r->facts, ended, &json);
    const eoc_status status =
        eoc_store_write_run(r->store, r->state.next_run, r->start_time, end, r->num_ranks, json.data);
    eoc_text_clear(&json);
    return status;
}

static eoc_status work_all(run *r, eoc_run_summary *summary)
{
    eoc_status status = note_run(r, NAN, "not yet, or killed");
    status = status == EOC_OK ? compute_theory(r) : status;
    status = status == EOC_OK ? do_units(r) : status;
    eoc_progress_end_all(&r->progress);
    summarize_all(r, summary);
    status = eoc_agree_all(r->comm, status);
    const char *ended = status != EOC_OK ? "a file error" : summary->stopped ? "a signal" : "everything was done";
    if (status == EOC_OK) {
        status = eoc_agree_all(r->comm, note_run(r, wall_time(), ended));
    }
    return status;
}

static void release(run *r)
{
    eoc_study_destroy(&r->study);
    eoc_data_clear(&r->data);
    free(r->blocks);
    free(r->batch_units);
    eoc_plan_clear(&r->plan);
    eoc_store_state_clear(&r->state);
    eoc_layout_clear(&r->layout);
    free(r->layers);
    eoc_text_clear(&r->sweep_text);
    eoc_text_clear(&r->identity_text);
    eoc_text_clear(&r->facts);
}

static eoc_status begin_all(run *r)
{
    EOC_TRY(eoc_agree_all(r->comm, prepare(r)));
    EOC_TRY(eoc_agree_all(r->comm, check_size(r)));
    EOC_TRY(eoc_agree_all(r->comm, read_data(r)));
    EOC_TRY(eoc_agree_all(r->comm, allocate(r)));
    EOC_TRY(eoc_agree_all(r->comm, r->rank == 0 ? read_or_create(r) : EOC_OK));
    EOC_TRY(share_state_all(r));
    EOC_TRY(eoc_agree_all(r->comm, eoc_plan_create(&r->sweep->grid, &r->sweep->probe, r->state.status, r->num_ranks,
                                                   r->options->shuffle, &r->plan)));
    const bool told = !r->options->quiet;
    if (told && r->rank == 0) {
        print_plan(r);
    }
    EOC_TRY(eoc_agree_all(r->comm, eoc_progress_begin(&r->progress, r->comm, told, r->plan.num_pending, r->plan.seconds)
                                       ? EOC_OK
                                       : EOC_FAIL(EOC_ERR_NOMEM, "out of memory")));
    return eoc_store_open_all(r->comm, r->options->output, &r->store_plan, &r->store);
}

eoc_status eoc_run_all(MPI_Comm comm, const eoc_sweep *sweep, const eoc_run_options *options, eoc_run_summary *summary)
{
    run r = {.comm = comm, .sweep = sweep, .options = options, .start_time = wall_time()};
    MPI_Comm_rank(comm, &r.rank);
    MPI_Comm_size(comm, &r.num_ranks);
    eoc_linalg_set_threads(1);
    eoc_provenance_gather_all(comm, options, &r.facts);
    eoc_status status = begin_all(&r);
    if (status == EOC_OK) {
        status = work_all(&r, summary);
        const eoc_status closed = eoc_store_close_all(comm, &r.store);
        status = status == EOC_OK ? closed : status;
    }
    eoc_lock_release(&r.lock);
    release(&r);
    return status;
}
