/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "names.h"
#include "options.h"
#include "part.h"

#include "eoc/run.h"
#include "eoc/text.h"

#include <fcntl.h>
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
    KEY_SHUFFLE,
    KEY_PART
};

typedef struct {
    const char *path;
    eoc_cli_sets sets;
    const char *output;
    bool overwrite, quiet;
    double max_file_bytes;
    uint64_t shuffle;
    eoc_cli_part part;
} arguments;

static const struct argp_option options[] = {
    {"set", KEY_SET, "KEY=VALUE", 0, "lay a value over the sweep file's, such as grid.width=500,1000; may be repeated",
     0},
    {"output", KEY_OUTPUT, "FILE", 0,
     "the result file (default: the sweep file's name with .h5, in the current directory)", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "begin anew when the result file is there, instead of going on", 0},
    {"max-file-size", KEY_MAX_FILE_SIZE, "SIZE", 0, EOC_CLI_MAX_FILE_SIZE_TEXT, 0},
    {"part", KEY_PART, "I/N", 0, EOC_CLI_PART_TEXT, 0},
    {"quiet", KEY_QUIET, NULL, 0, "show neither plan nor progress", 0},
    {"shuffle", KEY_SHUFFLE, "SEED", OPTION_HIDDEN, "hand the work out in another order; results are the same", 0},
    {0}};

static uint64_t read_seed(struct argp_state *state, const char *text)
{
    double value = 0.0;
    if (!eoc_text_to_double(text, &value) || value < 0.0 || value > 9e15) {
        argp_error(state, "--shuffle: '%s' is not a whole number", text);
    }
    return (uint64_t)value;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *const a = state->input;
    switch (key) {
    case KEY_SET:
        eoc_cli_add_set(state, value, &a->sets);
        return 0;
    case KEY_OUTPUT:
        if (!*value) {
            argp_error(state, "--output: the name of the result file is empty");
        }
        a->output = value;
        return 0;
    case KEY_OVERWRITE:
        a->overwrite = true;
        return 0;
    case KEY_QUIET:
        a->quiet = true;
        return 0;
    case KEY_MAX_FILE_SIZE:
        a->max_file_bytes = eoc_cli_read_size(state, value);
        return 0;
    case KEY_SHUFFLE:
        a->shuffle = read_seed(state, value);
        return 0;
    case KEY_PART:
        a->part = eoc_cli_read_part(state, value);
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
    .doc =
        "Works through a sweep file and writes one HDF5 file.\n\n"
        "  eoc run jobs/tanh-phase-diagram.yaml\n"
        "  mpirun -n 4 eoc run jobs/tanh-phase-diagram.yaml --set grid.width=500,1000 -o wide.h5\n"
        "  srun --mpi=pmix eoc run sweep.yaml\n"
        "  eoc run sweep.yaml --part 2/8                    a share of it, to sweep.part2of8.h5, for eoc merge\v"
        "A file that is there already is gone on with; it must hold the same sweep. SIGUSR1 ends a run after the units "
        "in hand (exit code 75); the same command goes on."};

static int report(eoc_status status, const eoc_run_summary *s, const char *output, bool told)
{
    if (status != EOC_OK) {
        return eoc_cli_exit_code(status);
    }
    if (told) {
        fprintf(stderr, "eoc: %lld units: %lld done, %lld diverged, %lld failed, %lld left; %lld computed in %.1f s\n",
                (long long)s->units, (long long)s->done, (long long)s->diverged, (long long)s->failed,
                (long long)s->pending, (long long)s->computed, s->seconds);
        if (s->pending > 0) {
            fprintf(stderr, "eoc: stopped in good order; run the same command to do the %lld units left in %s\n",
                    (long long)s->pending, output);
        } else {
            fprintf(stderr, "eoc: results in %s\n", output);
        }
    }
    return s->pending > 0 ? EXIT_UNITS_LEFT : s->failed > 0 ? EXIT_SOME_FAILED : EXIT_DONE;
}

static int run_all(const arguments *a, eoc_sweep *sweep, const char *output, const char *command_line)
{
    const eoc_run_options run_options = {.output = output,
                                         .overwrite = a->overwrite,
                                         .quiet = a->quiet,
                                         .max_file_bytes = a->max_file_bytes,
                                         .shuffle = a->shuffle,
                                         .command_line = command_line,
                                         .program = eoc_cli_program()};
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    eoc_run_summary summary = {0};
    eoc_status status = a->overwrite ? EOC_OK : eoc_run_adopt_order_all(MPI_COMM_WORLD, output, sweep);
    status = status == EOC_OK ? eoc_run_all(MPI_COMM_WORLD, sweep, &run_options, &summary) : status;
    /* A mistake that every rank finds is told once, by rank 0; one that a single rank finds, by that rank. */
    if (status != EOC_OK && status != EOC_ERR_PEER && (rank == 0 || status != EOC_ERR_USAGE)) {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    }
    const int mine = report(status, &summary, output, rank == 0 && !a->quiet);
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
    arguments a = {.max_file_bytes = EOC_CLI_MAX_FILE_BYTES};
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
    eoc_text_clear(&errors);
    eoc_text_clear(&output);
    eoc_text_clear(&command_line);
    eoc_sweep_clear(&sweep);
    MPI_Finalize();
    return code;
}
