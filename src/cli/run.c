/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "names.h"
#include "options.h"
#include "part.h"

#include "eoc/probe.h"
#include "eoc/run.h"
#include "eoc/text.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEY_SET = 's',
    KEY_OUTPUT = 'o',
    KEY_QUIET = 'q',
    KEY_OVERWRITE = 256,
    KEY_MAX_FILE_SIZE,
    KEY_CHECKPOINT,
    KEY_MAX_TIME,
    KEY_GRACE,
    KEY_MAX_FAILURES,
    KEY_MAX_ATTEMPTS,
    KEY_RETRY,
    KEY_SHUFFLE,
    KEY_PART
};

static const double DEFAULT_GRACE_SECONDS = 20.0;
enum { DEFAULT_MAX_ATTEMPTS = 3 };

typedef struct {
    const char *path;
    eoc_cli_sets sets;
    const char *output;
    bool overwrite, quiet;
    double max_file_bytes, checkpoint_seconds, max_seconds, grace_seconds;
    int64_t max_failures;
    int max_attempts;
    unsigned retry;
    uint64_t shuffle;
    eoc_cli_part part;
    eoc_text kept; /* options that belong into the command that goes on, as typed */
} arguments;

static const struct argp_option options[] = {
    {"set", KEY_SET, "KEY=VALUE", 0, "lay a value over the sweep file's, such as grid.width=500,1000; may be repeated",
     0},
    {"output", KEY_OUTPUT, "FILE", 0,
     "the result file (default: the sweep file's name with .h5, in the current directory)", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "begin anew when the result file is there, instead of going on", 0},
    {"max-file-size", KEY_MAX_FILE_SIZE, "SIZE", 0, EOC_CLI_MAX_FILE_SIZE_TEXT, 0},
    {"part", KEY_PART, "I/N", 0, EOC_CLI_PART_TEXT, 0},
    {"checkpoint-interval", KEY_CHECKPOINT, "SECONDS", 0,
     "a training keeps its state beside the result file so often (default 600), or every 20 times what that takes, "
     "and goes on from there",
     0},
    {"max-time", KEY_MAX_TIME, "TIME", 0,
     "stop in good order before so much time is over: seconds, M:SS, H:MM:SS or D-HH:MM:SS", 0},
    {"grace", KEY_GRACE, "TIME", 0,
     "what is in hand when the run is to stop has so long to end, else it is given up (default 20 s)", 0},
    {"max-failures", KEY_MAX_FAILURES, "N", 0, "stop in good order when more than N units of this run failed", 0},
    {"max-attempts", KEY_MAX_ATTEMPTS, "N", 0,
     "a unit that was begun N times in runs that were killed is failed (default 3)", 0},
    {"retry", KEY_RETRY, "STATES", 0, "do units again that ended so: failed, diverged or failed,diverged", 0},
    {"quiet", KEY_QUIET, NULL, 0, "show neither plan nor progress", 0},
    {"shuffle", KEY_SHUFFLE, "SEED", OPTION_HIDDEN, "hand the work out in another order; results are the same", 0},
    {0}};

static unsigned read_states(struct argp_state *state, const char *text)
{
    unsigned states = 0;
    for (const char *at = text; states == 0 || *at; at += *at == ',') {
        const size_t length = strcspn(at, ",");
        if (length == 6 && strncmp(at, "failed", 6) == 0) {
            states |= 1u << EOC_FAILED;
        } else if (length == 8 && strncmp(at, "diverged", 8) == 0) {
            states |= 1u << EOC_DIVERGED;
        } else {
            argp_error(state, "--retry: '%.*s' is neither failed nor diverged", (int)length, at);
        }
        at += length;
    }
    return states;
}

/* As a shell takes it back. */
static void append_word(eoc_text *text, const char *word)
{
    if (*word && !strpbrk(word, " \t\n'\"\\()[]{}*?$;&|<>#~`!")) {
        eoc_text_append(text, "%s", word);
        return;
    }
    eoc_text_append(text, "'");
    for (const char *c = word; *c; c++) {
        if (*c == '\'') {
            eoc_text_append(text, "'\\''");
        } else {
            eoc_text_append(text, "%c", *c);
        }
    }
    eoc_text_append(text, "'");
}

/* What is typed again to go on: neither --overwrite nor --retry, which would undo what was done. */
static void keep_option(arguments *a, const char *option, const char *value)
{
    eoc_text_append(&a->kept, " %s", option);
    append_word(&a->kept, value);
}

static uint64_t read_seed(struct argp_state *state, const char *text)
{
    double value = 0.0;
    if (!eoc_text_to_double(text, &value) || value < 0.0 || value > 9e15) {
        argp_error(state, "--shuffle: '%s' is not a whole number", text);
    }
    return (uint64_t)value;
}

static double read_interval(struct argp_state *state, const char *text)
{
    double value = 0.0;
    if (!eoc_text_to_double(text, &value) || value < 0.0 || value > 1e9) {
        argp_error(state, "--checkpoint-interval: '%s' is no number of seconds from 0 to 1e9", text);
    }
    return value;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *const a = state->input;
    switch (key) {
    case KEY_SET:
        eoc_cli_add_set(state, value, &a->sets);
        keep_option(a, "--set ", value);
        return 0;
    case KEY_OUTPUT:
        if (!*value) {
            argp_error(state, "--output: the name of the result file is empty");
        }
        a->output = value;
        keep_option(a, "-o ", value);
        return 0;
    case KEY_OVERWRITE:
        a->overwrite = true;
        return 0;
    case KEY_QUIET:
        a->quiet = true;
        return 0;
    case KEY_MAX_FILE_SIZE:
        a->max_file_bytes = eoc_cli_read_size(state, value);
        keep_option(a, "--max-file-size=", value);
        return 0;
    case KEY_CHECKPOINT:
        a->checkpoint_seconds = read_interval(state, value);
        keep_option(a, "--checkpoint-interval=", value);
        return 0;
    case KEY_MAX_TIME:
        a->max_seconds = eoc_cli_read_time(state, "max-time", value);
        keep_option(a, "--max-time=", value);
        return 0;
    case KEY_GRACE:
        a->grace_seconds = eoc_cli_read_time(state, "grace", value);
        keep_option(a, "--grace=", value);
        return 0;
    case KEY_MAX_FAILURES:
        a->max_failures = eoc_cli_read_count(state, "max-failures", value, 0);
        keep_option(a, "--max-failures=", value);
        return 0;
    case KEY_MAX_ATTEMPTS:
        a->max_attempts = (int)eoc_cli_read_count(state, "max-attempts", value, 1);
        keep_option(a, "--max-attempts=", value);
        return 0;
    case KEY_RETRY:
        a->retry = read_states(state, value);
        return 0;
    case KEY_SHUFFLE:
        a->shuffle = read_seed(state, value);
        return 0;
    case KEY_PART:
        a->part = eoc_cli_read_part(state, value);
        keep_option(a, "--part=", value);
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
    .doc = "Works through a sweep file and writes one HDF5 file.\n\n"
           "  eoc run jobs/tanh-phase-diagram.yaml\n"
           "  mpirun -n 4 eoc run jobs/tanh-phase-diagram.yaml --set grid.width=500,1000 -o wide.h5\n"
           "  srun --mpi=pmix eoc run sweep.yaml\n"
           "  eoc run sweep.yaml --part 2/8                    a share of it, to sweep.part2of8.h5, for eoc merge\v"
           "A file that is there already is gone on with; it must hold the same sweep. SIGUSR1, --max-time and the end "
           "of a Slurm job end a run in good order (exit code 75); the same command goes on."};

/* The exact command that goes on, as far as the environment tells how this one was launched. */
static void print_command(const arguments *a, int num_ranks)
{
    char program[4096] = "";
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    eoc_text command = {0};
    if (getenv("OMPI_COMM_WORLD_SIZE") && num_ranks > 1) {
        eoc_text_append(&command, "mpirun -n %d ", num_ranks);
    } else if (getenv("SLURM_STEP_ID") && num_ranks > 1) {
        eoc_text_append(&command, "srun --mpi=pmix -n %d ", num_ranks);
    }
    append_word(&command, length > 0 ? program : "eoc");
    eoc_text_append(&command, " run ");
    append_word(&command, a->path);
    fprintf(stderr, "eoc:   %s%s%s\n", command.data, a->kept.data ? a->kept.data : "", a->quiet ? " --quiet" : "");
    eoc_text_clear(&command);
}

static const char *stop_sentence(eoc_stop_reason reason)
{
    return reason == EOC_STOP_TIME     ? "stopped before the time is over"
           : reason == EOC_STOP_SIGNAL ? "stopped by a signal, in good order"
                                       : "stopped in good order";
}

static int report(const eoc_run_summary *s, const arguments *a, const char *output, int num_ranks, bool root)
{
    const bool too_many = s->pending > 0 && s->stopped == EOC_STOP_FAILURES;
    if (root && too_many) {
        fprintf(
            stderr,
            "eoc: %lld unit%s of this run failed, more than --max-failures %lld: stopped in good order with %lld units "
            "left; eoc status %s tells which and why\n",
            (long long)s->computed_failed, s->computed_failed == 1 ? "" : "s", (long long)a->max_failures,
            (long long)s->pending, output);
    }
    if (root && !a->quiet) {
        fprintf(stderr, "eoc: %lld units: %lld done, %lld diverged, %lld failed, %lld left; %lld computed in %.1f s\n",
                (long long)s->units, (long long)s->done, (long long)s->diverged, (long long)s->failed,
                (long long)s->pending, (long long)s->computed, s->seconds);
        if (s->pending == 0) {
            fprintf(stderr, "eoc: results in %s\n", output);
        }
    }
    if (root && s->pending > 0 && !too_many) {
        fprintf(stderr, "eoc: %s: %lld unit%s of %s %s left; this command goes on:\n", stop_sentence(s->stopped),
                (long long)s->pending, s->pending == 1 ? "" : "s", output, s->pending == 1 ? "is" : "are");
        print_command(a, num_ranks);
    }
    return too_many ? EXIT_OTHER : s->pending > 0 ? EXIT_UNITS_LEFT : s->failed > 0 ? EXIT_SOME_FAILED : EXIT_DONE;
}

static int run_all(const arguments *a, eoc_sweep *sweep, const char *output, const char *command_line)
{
    const eoc_run_options run_options = {.sweep_path = a->path,
                                         .output = output,
                                         .overwrite = a->overwrite,
                                         .quiet = a->quiet,
                                         .max_file_bytes = a->max_file_bytes,
                                         .checkpoint_seconds = a->checkpoint_seconds,
                                         .max_seconds = a->max_seconds,
                                         .grace_seconds = a->grace_seconds,
                                         .max_failures = a->max_failures,
                                         .max_attempts = a->max_attempts,
                                         .retry = a->retry,
                                         .shuffle = a->shuffle,
                                         .command_line = command_line,
                                         .program = eoc_cli_program()};
    int rank = 0, num_ranks = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &num_ranks);
    eoc_run_summary summary = {0};
    eoc_status status = a->overwrite ? EOC_OK : eoc_run_adopt_order_all(MPI_COMM_WORLD, output, sweep);
    status = status == EOC_OK ? eoc_run_all(MPI_COMM_WORLD, sweep, &run_options, &summary) : status;
    /* A mistake that every rank finds is told once, by rank 0; one that a single rank finds, by that rank. */
    if (status != EOC_OK && status != EOC_ERR_PEER && (rank == 0 || status != EOC_ERR_USAGE)) {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    }
    const int mine = status == EOC_OK ? report(&summary, a, output, num_ranks, rank == 0) : eoc_cli_exit_code(status);
    int worst = mine;
    /* Rank 0 knows the kind of a mistake that only it found: the exit code is its own. */
    MPI_Bcast(&worst, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return status == EOC_ERR_PEER && worst == EXIT_DONE ? EXIT_OTHER : worst;
}

/* Every rank reads the same command line; only the first tells what is wrong with it. */
static int parse_once(int argc, char **argv, arguments *a)
{
    argp_err_exit_status = EXIT_USAGE;
    const int silent = eoc_cli_launched_rank() > 0 ? open("/dev/null", O_WRONLY) : -1;
    const int kept = silent >= 0 ? dup(STDERR_FILENO) : -1;
    if (silent >= 0) {
        dup2(silent, STDERR_FILENO);
        close(silent);
    }
    const int wrong = argp_parse(&argp, argc, argv, 0, NULL, a);
    if (kept >= 0) {
        dup2(kept, STDERR_FILENO);
        close(kept);
    }
    return wrong;
}

int eoc_cli_run(int argc, char **argv)
{
    arguments a = {.max_file_bytes = EOC_CLI_MAX_FILE_BYTES,
                   .checkpoint_seconds = 600.0,
                   .max_seconds = INFINITY,
                   .grace_seconds = DEFAULT_GRACE_SECONDS,
                   .max_failures = INT64_MAX,
                   .max_attempts = DEFAULT_MAX_ATTEMPTS};
    if (parse_once(argc, argv, &a) != 0) {
        return EXIT_USAGE;
    }
    eoc_run_catch_signals();
    MPI_Init(NULL, NULL);
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);

    eoc_sweep sweep = {0};
    eoc_text errors = {0}, output = {0}, command_line = {0};
    int code = EXIT_USAGE;
    int bad = eoc_config_read(a.path, a.sets.list, a.sets.count, &sweep, &errors) != EOC_OK;
    const int mine = bad;
    MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_LOR, MPI_COMM_WORLD);
    int root_bad = mine;
    MPI_Bcast(&root_bad, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (bad) {
        if (mine && (rank == 0 || !root_bad)) {
            fprintf(stderr, "%s\n", errors.data);
        }
    } else if (eoc_cli_take_part(&a.part, &sweep, rank == 0)) {
        if (a.output) {
            eoc_text_append(&output, "%s", a.output);
        } else if (sweep.output) {
            eoc_cli_part_output(&a.part, sweep.output, &output);
        } else {
            eoc_text plain = {0};
            eoc_cli_default_output(a.path, ".h5", &plain);
            eoc_cli_part_output(&a.part, plain.data, &output);
            eoc_text_clear(&plain);
        }
        eoc_cli_command_line(argc, argv, &command_line);
        if (!eoc_cli_is_sweep_file(a.path, output.data, rank == 0)) {
            code = run_all(&a, &sweep, output.data, command_line.data);
        }
    }
    eoc_text_clear(&a.kept);
    eoc_text_clear(&errors);
    eoc_text_clear(&output);
    eoc_text_clear(&command_line);
    eoc_sweep_clear(&sweep);
    MPI_Finalize();
    return code;
}
