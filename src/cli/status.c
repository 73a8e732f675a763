/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "json.h"
#include "units.h"

#include "eoc/record.h"
#include "eoc/simulate.h"
#include "eoc/sweep.h"
#include "eoc/view.h"

#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { KEY_JSON = 256, MAX_FILES = 1024, NUM_STATES = EOC_FAILED + 1, NUM_REASONS = EOC_REASON_IO + 1, LISTED = 3 };

/* Writers show themselves at least so often: a lock is touched every 30 s, a batch committed every 5 s. */
static const double SILENT_SECONDS = 90.0;

typedef struct {
    const char *paths[MAX_FILES];
    int num_paths;
    bool json;
} arguments;

static const struct argp_option options[] = {
    {"json", KEY_JSON, NULL, 0, "one JSON object a file, one a line; what is not known is null", 0}, {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *const a = state->input;
    switch (key) {
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->num_paths == MAX_FILES) {
            argp_error(state, "more than %d files", MAX_FILES);
        }
        a->paths[a->num_paths++] = value;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a result file is needed, such as tanh-phase-diagram.h5");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE.h5 ...",
    .doc =
        "How far a sweep is: counts, rate, time left, failures, who works on it. Also while it is being written. Needs "
        "no MPI.\n\n"
        "  eoc status tanh-phase-diagram.h5\n"
        "  eoc status --json *.h5\v"
        "Exit code, for scripts: 0 everything done; 3 done, but some units failed; 75 units left; 2 a file is not a "
        "result file. Of several files the worst counts, in the order 2, 75, 3, 0."};

/* -- what is told of a file -- */

typedef struct {
    int status, reason;
    int64_t count;
    int64_t first[LISTED];
} failure_group;

typedef enum { STATE_DONE, STATE_STOPPED, STATE_RUNNING, STATE_SILENT, STATE_UNTOUCHED } run_state;

static const char *const state_names[] = {"done", "stopped", "running", "silent", "untouched"};

typedef struct {
    const char *path;
    eoc_view view;
    eoc_sweep sweep;
    bool has_sweep; /* the grid is known: units have points, and costs */
    int64_t count[NUM_STATES];
    failure_group groups[NUM_STATES * NUM_REASONS];
    int num_groups;
    double spent;        /* seconds of the units done, added up */
    double share_done;   /* of the predicted cost; NaN: not known */
    double left;         /* seconds of one core; NaN */
    double seconds_left; /* on the ranks of the last run; NaN */
    double rate;         /* units/s on them; NaN */
    double silent;       /* seconds since the file or its lock was touched */
    run_state state;
} report;

static int clamp(int value, int count)
{
    return value >= 0 && value < count ? value : 0;
}

static void count_units(report *r)
{
    for (int64_t unit = 0; unit < r->view.num_units; unit++) {
        const int status = clamp(r->view.status[unit], NUM_STATES), reason = clamp(r->view.reason[unit], NUM_REASONS);
        r->count[status]++;
        if (status >= EOC_DONE && r->view.seconds[unit] > 0.0) {
            r->spent += r->view.seconds[unit];
        }
        if (status != EOC_FAILED && status != EOC_DIVERGED) {
            continue;
        }
        int group = 0;
        while (group < r->num_groups && (r->groups[group].status != status || r->groups[group].reason != reason)) {
            group++;
        }
        if (group == r->num_groups) {
            r->groups[r->num_groups++] = (failure_group){.status = status, .reason = reason};
        }
        failure_group *const g = &r->groups[group];
        if (g->count < LISTED) {
            g->first[g->count] = unit;
        }
        g->count++;
    }
}

/* Predicted costs, corrected by what the units of each kind took so far. */
static eoc_status weigh(report *r)
{
    const eoc_grid *grid = &r->sweep.grid;
    eoc_cost cost = {0};
    eoc_cell *all = NULL, *left = NULL;
    int64_t num_all = 0, num_left = 0;
    eoc_status status = eoc_cost_fit(grid, &r->sweep.probe, r->view.status, r->view.seconds, &cost);
    if (status == EOC_OK) {
        status = eoc_cells_create(grid, &r->sweep.probe, &cost, NULL, &all, &num_all);
    }
    if (status == EOC_OK) {
        status = eoc_cells_create(grid, &r->sweep.probe, &cost, r->view.status, &left, &num_left);
    }
    if (status == EOC_OK) {
        eoc_deal whole, rest;
        eoc_deal_begin(all, num_all, &whole);
        eoc_deal_begin(left, num_left, &rest);
        r->left = rest.total;
        r->share_done = whole.total > 0.0 ? 1.0 - rest.total / whole.total : 1.0;
        const double dearest = num_left > 0 ? left[0].seconds : 0.0;
        const int ranks = r->view.num_runs ? r->view.runs[r->view.num_runs - 1].ranks : 0;
        r->seconds_left = ranks > 0 ? fmax(rest.total / ranks, dearest) : NAN;
    }
    free(all);
    free(left);
    eoc_cost_clear(&cost);
    return status;
}

static double touched(const char *path, double otherwise)
{
    eoc_text lock = {0};
    struct stat entry;
    eoc_text_append(&lock, "%s.lock", path);
    const bool there = stat(lock.data, &entry) == 0;
    eoc_text_clear(&lock);
    return there ? fmax(otherwise, (double)entry.st_mtim.tv_sec) : otherwise;
}

static run_state state_of(const report *r)
{
    if (r->count[EOC_PENDING] + r->count[EOC_RUNNING] == 0) {
        return STATE_DONE;
    }
    if (r->view.num_runs == 0) {
        return STATE_UNTOUCHED;
    }
    if (!isnan(r->view.runs[r->view.num_runs - 1].end)) {
        return STATE_STOPPED;
    }
    return r->silent < SILENT_SECONDS ? STATE_RUNNING : STATE_SILENT;
}

static eoc_status read_report(const char *path, report *r)
{
    *r = (report){.path = path, .share_done = NAN, .left = NAN, .seconds_left = NAN, .rate = NAN};
    EOC_TRY(eoc_view_read(path, &r->view));
    count_units(r);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    r->silent = fmax(0.0, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - touched(path, r->view.modified));
    r->state = state_of(r);
    const int64_t ended = r->count[EOC_DONE] + r->count[EOC_DIVERGED] + r->count[EOC_FAILED];
    if (r->view.num_runs && r->spent > 0.0) {
        r->rate = r->view.runs[r->view.num_runs - 1].ranks * (double)ended / r->spent;
    }
    /* A later version's sweep may hold keys that are unknown here: then counts have to do. */
    eoc_text errors = {0};
    r->has_sweep = eoc_config_read_text(path, r->view.sweep_text, &r->sweep, &errors) == EOC_OK &&
                   eoc_grid_num_units(&r->sweep.grid) == (double)r->view.num_units;
    eoc_text_clear(&errors);
    return r->has_sweep ? weigh(r) : EOC_OK;
}

static void release(report *r)
{
    eoc_view_clear(&r->view);
    eoc_sweep_clear(&r->sweep);
}

static const char *status_name(int status)
{
    return eoc_variable_find("run", "status")->flag_name(status);
}

static const char *reason_name(int reason)
{
    return eoc_variable_find("run", "reason")->flag_name(reason);
}

/* "activation=tanh weight_variance=1.5 replica=0": the axes that have more than one value. */
static void append_point(const report *r, int64_t unit, eoc_text *out)
{
    if (!r->has_sweep) {
        eoc_text_append(out, "unit %lld", (long long)unit);
        return;
    }
    int indices[EOC_NUM_AXES];
    eoc_grid_indices(&r->sweep.grid, unit, indices);
    const char *between = "";
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_axis *axis = &r->sweep.grid.axes[id];
        char number[EOC_NUMBER_BYTES];
        if (axis->count > 1) {
            eoc_text_append(out, "%s%s=%s", between, eoc_axis_row_of((eoc_axis_id)id)->name,
                            axis->names ? axis->names[indices[id]]
                                        : eoc_text_number(axis->values[indices[id]], number));
            between = " ";
        }
    }
    eoc_text_append(out, "%s", *between ? "" : "the only unit");
}

/* -- as text -- */

static void print_time(const char *before, double seconds_since_1970)
{
    char text[64] = "at an unknown time";
    const time_t whole = (time_t)seconds_since_1970;
    struct tm local;
    if (isfinite(seconds_since_1970) && localtime_r(&whole, &local)) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
    }
    printf("%s%s", before, text);
}

static void print_holder(const report *r)
{
    if (r->view.num_runs == 0) {
        printf("  run        none so far\n");
        return;
    }
    const eoc_view_run *run = &r->view.runs[r->view.num_runs - 1];
    char *command = eoc_view_info(run, "command"), *hosts = eoc_view_info(run, "hosts");
    char *job = eoc_view_info(run, "SLURM_JOB_ID"), *ended = eoc_view_info(run, "ended");
    printf("  run %-6d %s\n             %d rank%s on %s%s%s", r->view.num_runs, command ? command : "(unknown command)",
           run->ranks, run->ranks == 1 ? "" : "s", hosts ? hosts : "an unknown host", job ? ", Slurm job " : "",
           job ? job : "");
    print_time(", from ", run->start);
    if (isnan(run->end)) {
        char silent[EOC_CLI_TIME_BYTES];
        printf(r->state == STATE_SILENT ? ", not ended: killed, or silent for %s\n" : ", not ended: written %s ago\n",
               eoc_cli_time(r->silent, silent));
    } else {
        print_time(" to ", run->end);
        printf("; why it ended: %s\n", ended ? ended : "unknown");
    }
    free(command);
    free(hosts);
    free(job);
    free(ended);
}

static void print_failures(const report *r)
{
    for (int i = 0; i < r->num_groups; i++) {
        const failure_group *g = &r->groups[i];
        printf("  %-10s %lld unit%s, reason %s:\n", status_name(g->status), (long long)g->count,
               g->count == 1 ? "" : "s", reason_name(g->reason));
        for (int64_t k = 0; k < g->count && k < LISTED; k++) {
            eoc_text point = {0};
            append_point(r, g->first[k], &point);
            printf("             %s\n", point.data);
            eoc_text_clear(&point);
        }
        if (g->count > LISTED) {
            printf("             and %lld more\n", (long long)(g->count - LISTED));
        }
    }
}

static void print_report(const report *r)
{
    char time[EOC_CLI_TIME_BYTES];
    const bool titled = r->view.title && *r->view.title;
    printf("%s: %s%s%s\n", r->path, state_names[r->state], titled ? ", " : "", titled ? r->view.title : "");
    printf("  units      %lld: %lld done, %lld diverged, %lld failed, %lld running, %lld pending\n",
           (long long)r->view.num_units, (long long)r->count[EOC_DONE], (long long)r->count[EOC_DIVERGED],
           (long long)r->count[EOC_FAILED], (long long)r->count[EOC_RUNNING], (long long)r->count[EOC_PENDING]);
    if (!isnan(r->share_done)) {
        printf("  cost       %.3g %% done", 100.0 * r->share_done);
        printf("; %s of one core spent", eoc_cli_time(r->spent, time));
        printf(", about %s left\n", eoc_cli_time(r->left, time));
    }
    if (!isnan(r->rate) && r->state != STATE_DONE) {
        printf("  rate       %.3g units/s on %d rank%s", r->rate, r->view.runs[r->view.num_runs - 1].ranks,
               r->view.runs[r->view.num_runs - 1].ranks == 1 ? "" : "s");
        printf(isnan(r->seconds_left) ? "\n" : ", about %s left on as many\n", eoc_cli_time(r->seconds_left, time));
    }
    print_holder(r);
    print_failures(r);
}

/* -- as JSON -- */

static void json_info(json *j, const eoc_view_run *run, const char *key, const char *name)
{
    char *value = eoc_view_info(run, key);
    json_text(j, name, value);
    free(value);
}

static void print_json(const report *r)
{
    json j = {0};
    json_open(&j, NULL, '{');
    json_text(&j, "file", r->path);
    json_text(&j, "title", r->view.title);
    json_text(&j, "state", state_names[r->state]);
    json_integer(&j, "units", r->view.num_units);
    for (int status = 0; status < NUM_STATES; status++) {
        json_integer(&j, status_name(status), r->count[status]);
    }
    json_number(&j, "cost_done", r->share_done);
    json_number(&j, "core_seconds_spent", r->spent);
    json_number(&j, "core_seconds_left", r->left);
    json_number(&j, "units_per_second", r->rate);
    json_number(&j, "seconds_left", r->seconds_left);
    json_number(&j, "seconds_since_written", r->silent);
    json_number(&j, "file_bytes", r->view.bytes);
    json_integer(&j, "runs", r->view.num_runs);
    if (r->view.num_runs) {
        const eoc_view_run *run = &r->view.runs[r->view.num_runs - 1];
        json_open(&j, "last_run", '{');
        json_number(&j, "start", run->start);
        json_number(&j, "end", run->end);
        json_integer(&j, "ranks", run->ranks);
        json_info(&j, run, "command", "command");
        json_info(&j, run, "hosts", "hosts");
        json_info(&j, run, "SLURM_JOB_ID", "slurm_job");
        json_info(&j, run, "ended", "ended");
        json_close(&j, '}');
    } else {
        json_text(&j, "last_run", NULL);
    }
    json_open(&j, "failures", '[');
    for (int i = 0; i < r->num_groups; i++) {
        const failure_group *g = &r->groups[i];
        json_open(&j, NULL, '{');
        json_text(&j, "status", status_name(g->status));
        json_text(&j, "reason", reason_name(g->reason));
        json_integer(&j, "units", g->count);
        json_open(&j, "first", '[');
        for (int64_t k = 0; k < g->count && k < LISTED; k++) {
            eoc_text point = {0};
            append_point(r, g->first[k], &point);
            json_text(&j, NULL, point.data);
            eoc_text_clear(&point);
        }
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_print(&j);
}

static int exit_code(const report *r)
{
    return r->count[EOC_PENDING] + r->count[EOC_RUNNING] > 0 ? EXIT_UNITS_LEFT
           : r->count[EOC_FAILED] > 0                        ? EXIT_SOME_FAILED
                                                             : EXIT_DONE;
}

static int worse(int a, int b)
{
    static const int order[] = {EXIT_DONE, EXIT_SOME_FAILED, EXIT_UNITS_LEFT, EXIT_OTHER, EXIT_USAGE};
    int worst = a;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        worst = a == order[i] || b == order[i] ? order[i] : worst;
    }
    return worst;
}

int eoc_cli_status(int argc, char **argv)
{
    static arguments a;
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0) {
        return EXIT_USAGE;
    }
    int code = EXIT_DONE;
    for (int i = 0; i < a.num_paths; i++) {
        static report r;
        const eoc_status status = read_report(a.paths[i], &r);
        if (status != EOC_OK) {
            fprintf(stderr, "eoc: %s\n", eoc_status_why());
            code = worse(code, status == EOC_ERR_USAGE ? EXIT_USAGE : EXIT_OTHER);
        } else {
            a.json ? print_json(&r) : print_report(&r);
            code = worse(code, exit_code(&r));
        }
        release(&r);
    }
    return code;
}
