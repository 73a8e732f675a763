/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "json.h"
#include "names.h"
#include "options.h"
#include "units.h"

#include "eoc/linalg.h"
#include "eoc/record.h"
#include "eoc/simulate.h"
#include "eoc/dataset.h"
#include "eoc/store.h"
#include "eoc/study.h"
#include "eoc/sweep.h"
#include "eoc/view.h"

#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_SET = 's', KEY_OUTPUT = 'o', KEY_RANKS = 'r', KEY_MEASURED = 256, KEY_SIMULATE, KEY_JSON };

enum { MAX_SETS = 256, MAX_RANKS = 16384, MAX_ROWS = 16 };

static const double CALIBRATION_SECONDS = 1.0;

/* What --time gets above the simulated time: machines are shared, costs are estimates, a start takes its time. */
static const double TIME_FACTOR = 1.5, TIME_SECONDS = 120.0;

/* More cells than this take more memory and time than a plan is worth. */
static const double MAX_CELLS = 2e7, MAX_UNITS = 9e15;

typedef struct {
    const char *path;
    const char *sets[MAX_SETS];
    int num_sets;
    const char *output, *measured;
    int ranks; /* 0: a table */
    bool simulate, json;
} arguments;

static const struct argp_option options[] = {
    {"set", KEY_SET, "KEY=VALUE", 0, "lay a value over the sweep file's, such as grid.width=500,1000; may be repeated",
     0},
    {"ranks", KEY_RANKS, "R", 0, "for so many MPI ranks (default: a table of 1, 2, 4, ... as far as it is of use)", 0},
    {"measured", KEY_MEASURED, "FILE.h5", 0,
     "take costs from what units took in a result file, of this sweep or a smaller one (default: time this machine, "
     "for a second at most)",
     0},
    {"simulate", KEY_SIMULATE, NULL, 0,
     "up to 16384 ranks, each also with costs that are wrong by up to three times either way", 0},
    {"output", KEY_OUTPUT, "FILE", 0,
     "the result file, of which only what is left is planned (default: as eoc run names it)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *const a = state->input;
    double ranks = 0.0;
    switch (key) {
    case KEY_SET:
        if (a->num_sets == MAX_SETS) {
            argp_error(state, "more than %d --set", MAX_SETS);
        }
        a->sets[a->num_sets++] = value;
        return 0;
    case KEY_OUTPUT:
        a->output = value;
        return 0;
    case KEY_RANKS:
        if (!eoc_text_to_double(value, &ranks) || ranks != floor(ranks) || ranks < 1.0 || ranks > MAX_RANKS) {
            argp_error(state, "--ranks: '%s' is not a whole number from 1 to %d", value, MAX_RANKS);
        }
        a->ranks = (int)ranks;
        return 0;
    case KEY_MEASURED:
        a->measured = value;
        return 0;
    case KEY_SIMULATE:
        a->simulate = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        eoc_cli_take_path(state, value, &a->path);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a sweep file is needed, such as jobs/tanh-phase-diagram.yaml");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SWEEP.yaml",
    .doc = "What a sweep will cost, without running it: time on so many ranks, memory, file size, what --time to ask "
           "Slurm for. Needs no MPI.\n\n"
           "  eoc plan jobs/tanh-phase-diagram.yaml\n"
           "  eoc plan jobs/tanh-phase-diagram.yaml --set grid.width=2000 --ranks 256\n"
           "  eoc plan large.yaml --measured pilot.h5\v"
           "Costs are operation counts, corrected by timing a few layers of every kind on this machine for at most a "
           "second, or by the times in a result file. The time on R ranks is a simulation of the hand-out, messages "
           "included; reading the sweep, making the file and theory are not in it."};

/* -- what is worked out -- */

typedef struct {
    int ranks;
    eoc_simulation result, wrong; /* wrong: with costs that are */
} row;

typedef struct {
    const arguments *a;
    eoc_sweep sweep;
    eoc_text output;
    double points, units, file_bytes, rank_bytes;
    bool resumed;   /* the result file is there and holds this sweep */
    eoc_text note;  /* why it is not gone on with, where it is there */
    int64_t left;   /* units to do */
    int8_t *status; /* (units) or NULL */
    eoc_cost cost;
    eoc_cell *cells;
    int64_t num_cells;
    double seconds;                 /* of all units left, one core */
    double least, median, greatest; /* seconds of a unit left; NaN when none is */
    row rows[MAX_ROWS];
    int num_rows;
} planned;

static int greatest_value(const eoc_axis *axis)
{
    double greatest = 0.0;
    for (int i = 0; i < axis->count; i++) {
        greatest = fmax(greatest, axis->values[i]);
    }
    return (int)greatest;
}

/* The shapes of what is learnt. */
static eoc_status look_at_data(planned *p)
{
    eoc_train *const train = &p->sweep.train;
    const eoc_dataset_request request = {.source = train->dataset,
                                         .preprocessing = train->preprocessing,
                                         .train_samples = train->train_samples,
                                         .test_samples = train->test_samples,
                                         .seed = p->sweep.seed,
                                         .sweep_path = p->a->path};
    return eoc_dataset_sizes(&request, &train->sizes);
}

/* Whether the images that are the inputs can be had; they are not read. */
static eoc_status look_at_images(const planned *p)
{
    const eoc_inputs *inputs = &p->sweep.probe.inputs;
    const eoc_dataset_request request = eoc_dataset_request_of(inputs, p->sweep.seed, p->a->path);
    eoc_data sizes;
    EOC_TRY(eoc_dataset_sizes(&request, &sizes));
    return eoc_images_check(inputs, &p->sweep.grid, &sizes);
}

static eoc_status size_up(planned *p)
{
    const eoc_grid *grid = &p->sweep.grid;
    const eoc_probe *probe = &p->sweep.probe;
    p->points = eoc_grid_num_points(grid);
    p->units = eoc_grid_num_units(grid);
    double cells = 1.0;
    for (int id = 0; id <= EOC_AXIS_DEPTH; id++) {
        cells *= grid->axes[id].count;
    }
    EOC_REQUIRE(
        cells <= MAX_CELLS && p->units <= MAX_UNITS, EOC_ERR_USAGE,
        "the grid has %.4g units in %.4g cells of one kind, width and depth; at most %.1g units in %.1g cells can "
        "be planned",
        p->units, cells, MAX_UNITS, MAX_CELLS);
    const int depth = greatest_value(&grid->axes[EOC_AXIS_DEPTH]), width = greatest_value(&grid->axes[EOC_AXIS_WIDTH]);
    eoc_data data = {0};
    if (probe->inputs.kind->has_images) {
        EOC_TRY(look_at_images(p));
    }
    if (probe->train) {
        EOC_TRY(look_at_data(p));
        eoc_train_sizes(probe->train, &data);
        EOC_TRY(eoc_train_check_sizes(probe->train, &data, grid));
    }
    p->rank_bytes = eoc_study_bytes(probe, &data, depth, width);
    int *layers = malloc(sizeof(int) * (size_t)depth);
    EOC_REQUIRE(layers, EOC_ERR_NOMEM, "out of memory");
    const int num_layers = eoc_layers_fill(&probe->layers, &grid->axes[EOC_AXIS_DEPTH], layers);
    eoc_layout layout = {0};
    eoc_status status = eoc_layout_create(probe->statistics, layers, num_layers, eoc_probe_modes(probe, grid), &layout);
    if (status == EOC_OK) {
        status = eoc_layout_add_points(probe, &layout);
        eoc_layout_add_space(probe, &layout);
    }
    if (status == EOC_OK && probe->train) {
        status = eoc_layout_add_training(probe->train, &layout);
    }
    if (status == EOC_OK) {
        p->file_bytes = eoc_store_bytes(&(eoc_store_plan){.grid = grid, .layout = &layout});
    }
    eoc_layout_clear(&layout);
    free(layers);
    return status;
}

/* What stands behind the keys are checksums of data, which are not read here. */
static bool is_same_sweep(const char *wanted, const char *found)
{
    const size_t length = strlen(wanted);
    const char *rest = found + length;
    return strncmp(found, wanted, length) == 0 &&
           (!*rest || strncmp(rest, "  data_checksum: ", 17) == 0 || strncmp(rest, "inputs_checksum: ", 17) == 0);
}

/* What is left of the result file, where it is there and holds this sweep. */
static void look_at_output(planned *p)
{
    if (access(p->output.data, F_OK) != 0) {
        return;
    }
    eoc_view view;
    if (eoc_view_read(p->output.data, &view) != EOC_OK) {
        eoc_text_append(&p->note, "%s; every unit is planned", eoc_status_why());
        return;
    }
    eoc_text identity = {0};
    eoc_config_resolved(&p->sweep, 1, &identity);
    p->resumed = is_same_sweep(identity.data, view.identity_text) && (double)view.num_units == p->units;
    if (p->resumed) {
        p->status = view.status;
        view.status = NULL;
    } else {
        eoc_text_append(&p->note, "%s is there and holds another sweep: eoc run would refuse it; every unit is planned",
                        p->output.data);
    }
    eoc_text_clear(&identity);
    eoc_view_clear(&view);
}

static eoc_status take_measured(const char *path, eoc_cost *cost)
{
    eoc_view view;
    eoc_sweep sweep = {0};
    eoc_text errors = {0};
    EOC_TRY(eoc_view_read(path, &view));
    eoc_status status = EOC_OK;
    if (eoc_config_read_text(path, view.sweep_text, &sweep, &errors) != EOC_OK ||
        eoc_grid_num_units(&sweep.grid) != (double)view.num_units) {
        status = EOC_FAIL(EOC_ERR_USAGE, "--measured: the sweep that %s holds is not understood by this version (%s)",
                          path, view.program);
    } else {
        status = eoc_cost_fit(&sweep.grid, &sweep.probe, view.status, view.seconds, cost);
    }
    if (status == EOC_OK && cost->num_rows == 0) {
        status = EOC_FAIL(EOC_ERR_USAGE,
                          "--measured: %s has no finished unit yet; leave --measured out to time this "
                          "machine instead",
                          path);
    }
    eoc_sweep_clear(&sweep);
    eoc_text_clear(&errors);
    eoc_view_clear(&view);
    return status;
}

static void spread(planned *p)
{
    p->least = p->median = p->greatest = NAN;
    for (int64_t i = 0; i < p->num_cells; i++) {
        p->left += p->cells[i].units;
        p->seconds += (double)p->cells[i].units * p->cells[i].seconds;
    }
    int64_t above = 0;
    for (int64_t i = 0; i < p->num_cells && isnan(p->median); i++) {
        above += p->cells[i].units;
        p->median = 2 * above >= p->left ? p->cells[i].seconds : NAN;
    }
    if (p->num_cells) {
        p->greatest = p->cells[0].seconds;
        p->least = p->cells[p->num_cells - 1].seconds;
    }
}

/* Factors from 1/3 to 3, even on the logarithmic scale, the same at every call. */
static void make_wrong(eoc_cell *cells, int64_t count, bool wrong)
{
    double phase = 0.5;
    for (int64_t i = 0; i < count; i++) {
        phase = fmod(phase + 0.6180339887498949, 1.0);
        cells[i].actual = wrong ? cells[i].seconds * pow(3.0, 2.0 * phase - 1.0) : cells[i].seconds;
    }
}

static eoc_status add_row(planned *p, int ranks)
{
    row *const r = &p->rows[p->num_rows++];
    *r = (row){.ranks = ranks};
    const eoc_simulation_options of = eoc_simulation_defaults(ranks);
    EOC_TRY(eoc_simulate(p->cells, p->num_cells, &of, &r->result));
    if (p->a->simulate) {
        make_wrong(p->cells, p->num_cells, true);
        const eoc_status status = eoc_simulate(p->cells, p->num_cells, &of, &r->wrong);
        make_wrong(p->cells, p->num_cells, false);
        return status;
    }
    return EOC_OK;
}

/* More ranks than units are of no use, nor those that mostly wait, nor more when it is a matter of seconds. */
static bool is_of_use(const planned *p, const row *r)
{
    return r->ranks < p->left && (p->a->simulate || (r->result.efficiency > 0.5 && r->result.makespan > 10.0));
}

static eoc_status make_rows(planned *p)
{
    if (p->a->ranks) {
        return add_row(p, p->a->ranks);
    }
    for (int ranks = 1; ranks <= MAX_RANKS; ranks *= 2) {
        EOC_TRY(add_row(p, ranks));
        if (!is_of_use(p, &p->rows[p->num_rows - 1])) {
            break;
        }
    }
    return EOC_OK;
}

static eoc_status work_out(planned *p)
{
    EOC_TRY(size_up(p));
    look_at_output(p);
    eoc_linalg_set_threads(1);
    EOC_TRY(p->a->measured ? take_measured(p->a->measured, &p->cost)
                           : eoc_cost_calibrate(&p->sweep.grid, &p->sweep.probe, CALIBRATION_SECONDS, &p->cost));
    EOC_TRY(eoc_cells_create(&p->sweep.grid, &p->sweep.probe, &p->cost, p->status, &p->cells, &p->num_cells));
    spread(p);
    return make_rows(p);
}

static void release(planned *p)
{
    free(p->status);
    free(p->cells);
    eoc_cost_clear(&p->cost);
    eoc_text_clear(&p->output);
    eoc_text_clear(&p->note);
    eoc_sweep_clear(&p->sweep);
}

/* Whole minutes. */
static double time_to_ask(double makespan)
{
    return 60.0 * ceil((TIME_FACTOR * makespan + TIME_SECONDS) / 60.0);
}

/* Of the measured kinds, the least and greatest ratio to the built-in constants. */
static void ratios(const eoc_cost *cost, double *least, double *greatest)
{
    *least = *greatest = NAN;
    for (int i = 0; i < cost->num_rows; i++) {
        const double ratio = eoc_cost_ratio(&cost->rows[i]);
        *least = !(ratio >= *least) ? ratio : *least;
        *greatest = !(ratio <= *greatest) ? ratio : *greatest;
    }
}

/* -- as text -- */

static void print_rows(const planned *p)
{
    char time[EOC_CLI_TIME_BYTES], ask[EOC_CLI_TIME_BYTES];
    printf("\n  %6s  %13s  %10s  %10s  %12s%s\n", "ranks", "time", "efficiency", "slices", "Slurm --time",
           p->a->simulate ? "  efficiency, costs wrong by up to 3" : "");
    for (int i = 0; i < p->num_rows; i++) {
        const row *r = &p->rows[i];
        printf("  %6d  %13s  %8.1f %%  %10lld  %12s", r->ranks, eoc_cli_time(r->result.makespan, time),
               100.0 * r->result.efficiency, (long long)r->result.slices,
               eoc_cli_slurm_time(time_to_ask(r->result.makespan), ask));
        if (p->a->simulate) {
            printf("  %8.1f %%", 100.0 * r->wrong.efficiency);
        }
        printf("\n");
    }
    printf("\n--time is the simulated time, half as much again, and two minutes, in whole minutes. Efficiency is\n"
           "max(all/ranks, dearest unit)/time.\n");
}

static void print_text(const planned *p)
{
    char a[EOC_CLI_TIME_BYTES], b[EOC_CLI_TIME_BYTES], c[EOC_CLI_TIME_BYTES], size[EOC_CLI_SIZE_BYTES];
    double least, greatest;
    ratios(&p->cost, &least, &greatest);
    printf("%s: %.15g point%s x %d replica%s = %.15g unit%s\n", p->a->path, p->points, p->points == 1.0 ? "" : "s",
           p->sweep.grid.axes[EOC_AXIS_REPLICA].count, p->sweep.grid.axes[EOC_AXIS_REPLICA].count == 1 ? "" : "s",
           p->units, p->units == 1.0 ? "" : "s");
    if (p->resumed) {
        printf("  left       %lld unit%s; %s is there and is gone on with\n", (long long)p->left,
               p->left == 1 ? "" : "s", p->output.data);
    }
    if (p->note.data) {
        printf("  note       %s\n", p->note.data);
    }
    if (p->num_cells) {
        printf("  a unit     %s (median; %s to %s)\n", eoc_cli_time(p->median, a), eoc_cli_time(p->least, b),
               eoc_cli_time(p->greatest, c));
        printf("  all        %s of one core\n", eoc_cli_time(p->seconds, a));
    }
    printf("  memory     %s a rank, beside the program and its libraries\n", eoc_cli_size(p->rank_bytes, size));
    printf("  file       %s in %s%s\n", eoc_cli_size(p->file_bytes, size), p->output.data,
           p->file_bytes > 20e9 ? ": eoc run needs a greater --max-file-size" : "");
    if (p->a->measured) {
        printf("  costs      from the units done in %s", p->a->measured);
    } else {
        printf("  costs      timed on this machine just now");
    }
    printf(isnan(least) ? ": none could be measured, so as counted\n" : ": %.2g to %.2g of what is counted\n", least,
           greatest);
    if (p->num_cells) {
        print_rows(p);
    } else {
        printf("  nothing is left to do\n");
    }
}

/* -- as JSON -- */

static void print_json(const planned *p)
{
    json j = {0};
    json_open(&j, NULL, '{');
    json_text(&j, "sweep", p->a->path);
    json_text(&j, "output", p->output.data);
    json_number(&j, "points", p->points);
    json_number(&j, "units", p->units);
    json_integer(&j, "units_left", p->left);
    json_bool(&j, "resumed", p->resumed);
    json_text(&j, "note", p->note.data);
    json_number(&j, "unit_seconds_min", p->least);
    json_number(&j, "unit_seconds_median", p->median);
    json_number(&j, "unit_seconds_max", p->greatest);
    json_number(&j, "core_seconds", p->seconds);
    json_number(&j, "rank_bytes", p->rank_bytes);
    json_number(&j, "file_bytes", p->file_bytes);
    json_text(&j, "costs_from", p->a->measured ? p->a->measured : "calibration");
    json_open(&j, "costs", '[');
    for (int i = 0; i < p->cost.num_rows; i++) {
        const eoc_cost_row *r = &p->cost.rows[i];
        json_open(&j, NULL, '{');
        json_text(&j, "architecture", r->names[0]);
        json_text(&j, "activation", r->names[1]);
        json_text(&j, "initializer", r->names[2]);
        json_text(&j, "sampler", r->sampler->name);
        json_number(&j, "measured_over_counted", eoc_cost_ratio(r));
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_open(&j, "ranks", '[');
    for (int i = 0; i < p->num_rows && p->num_cells; i++) {
        const row *r = &p->rows[i];
        char ask[EOC_CLI_TIME_BYTES];
        json_open(&j, NULL, '{');
        json_integer(&j, "ranks", r->ranks);
        json_number(&j, "seconds", r->result.makespan);
        json_number(&j, "efficiency", r->result.efficiency);
        json_integer(&j, "slices", r->result.slices);
        json_text(&j, "time", eoc_cli_slurm_time(time_to_ask(r->result.makespan), ask));
        json_number(&j, "efficiency_wrong_costs", p->a->simulate ? r->wrong.efficiency : NAN);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_print(&j);
}

int eoc_cli_plan(int argc, char **argv)
{
    static arguments a;
    static planned p;
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0) {
        return EXIT_USAGE;
    }
    p.a = &a;
    eoc_text errors = {0};
    if (eoc_config_read(a.path, a.sets, a.num_sets, &p.sweep, &errors) != EOC_OK) {
        fprintf(stderr, "%s\n", errors.data);
        eoc_text_clear(&errors);
        return EXIT_USAGE;
    }
    if (a.output || p.sweep.output) {
        eoc_text_append(&p.output, "%s", a.output ? a.output : p.sweep.output);
    } else {
        eoc_cli_default_output(a.path, ".h5", &p.output);
    }
    const eoc_status status = work_out(&p);
    if (status == EOC_OK) {
        a.json ? print_json(&p) : print_text(&p);
    } else {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    }
    release(&p);
    return status == EOC_OK ? EXIT_DONE : status == EOC_ERR_USAGE ? EXIT_USAGE : EXIT_OTHER;
}
