/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "json.h"
#include "names.h"
#include "options.h"

#include "eoc/merge_files.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY_SET = 's', KEY_OUTPUT = 'o', KEY_OVERWRITE = 256, KEY_MAX_FILE_SIZE, KEY_SWEEP, MAX_FILES = 10000 };

typedef struct {
    const char *paths[MAX_FILES];
    int num_paths;
    const char *output, *sweep;
    eoc_cli_sets sets;
    bool overwrite;
    double max_file_bytes;
} arguments;

static const struct argp_option options[] = {
    {"output", KEY_OUTPUT, "FILE", 0, "the result file to write", 0},
    {"sweep", KEY_SWEEP, "SWEEP.yaml", 0,
     "the file holds the grid of this sweep, in its order, instead of the union of the grids", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "lay a value over that of --sweep; may be repeated", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "replace the result file when it is there; it may be one of those merged", 0},
    {"max-file-size", KEY_MAX_FILE_SIZE, "SIZE", 0, EOC_CLI_MAX_FILE_SIZE_TEXT, 0},
    {0}};

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
    case KEY_SWEEP:
        a->sweep = value;
        return 0;
    case KEY_OVERWRITE:
        a->overwrite = true;
        return 0;
    case KEY_MAX_FILE_SIZE:
        a->max_file_bytes = eoc_cli_read_size(state, value);
        return 0;
    case ARGP_KEY_ARG:
        if (a->num_paths == MAX_FILES) {
            argp_error(state, "more than %d files", MAX_FILES);
        }
        a->paths[a->num_paths++] = value;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "result files to merge are needed, such as sweep.part1of2.h5 sweep.part2of2.h5");
        return 0;
    case ARGP_KEY_END:
        if (!a->output) {
            argp_error(state, "the name of the merged file is needed: -o FILE");
        }
        if (a->sets.count > 0 && !a->sweep) {
            argp_error(state, "--set is laid over the sweep file of --sweep, which is not given");
        }
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
        "Joins result files that differ in their grids alone into one that holds all their units. Needs no MPI.\n\n"
        "  eoc merge sweep.part*of8.h5 -o sweep.h5                  the parts of eoc run --part\n"
        "  eoc merge small.h5 --sweep large.yaml -o large.h5        then eoc run large.yaml does what is left\v"
        "Results are copied bit for bit. The grid is the union of the files' grids; units that no file has done are "
        "left for eoc run, which takes the values of an axis in any order. Numbers that ascend in every file do so in "
        "the union; parts of one sweep keep its order; else values stand in the order of the files. Where two files "
        "have different results of one network nothing is written."};

static void describe_run(int argc, char **argv, json *info)
{
    eoc_text command = {0};
    eoc_cli_command_line(argc, argv, &command);
    json_open(info, NULL, '{');
    json_text(info, "command", command.data);
    json_text(info, "program", eoc_cli_program());
    json_text(info, "ended", "the files were merged");
    json_close(info, '}');
    eoc_text_clear(&command);
}

static void report(const arguments *a, const eoc_merge_summary *s)
{
    const eoc_merge_counts *c = &s->counts;
    if (c->damaged > 0) {
        fprintf(stderr, "eoc: warning: the rows of %lld finished units are damaged (checksum); they were not taken\n",
                (long long)c->damaged);
    }
    if (s->runs_left_out > 0) {
        fprintf(stderr, "eoc: warning: the run log has no room for the oldest %d runs\n", s->runs_left_out);
    }
    fprintf(stderr, "eoc: %d file%s, %lld units: %lld done, %lld diverged, %lld failed, %lld left", a->num_paths,
            a->num_paths == 1 ? "" : "s", (long long)c->units, (long long)c->done, (long long)c->diverged,
            (long long)c->failed, (long long)c->left);
    fprintf(stderr, c->shared ? "; %lld were in two files, alike\n" : "\n", (long long)c->shared);
    fprintf(stderr, "eoc: results in %s%s\n", a->output, c->left ? "; eoc run does what is left" : "");
}

static eoc_status merge(const arguments *a, const eoc_sweep *sweep, const char *info)
{
    const eoc_merge_options merge_options = {.output = a->output,
                                             .overwrite = a->overwrite,
                                             .max_file_bytes = a->max_file_bytes,
                                             .sweep = sweep,
                                             .program = eoc_cli_program(),
                                             .info = info};
    eoc_merge_summary summary;
    const eoc_status status = eoc_merge_files(a->paths, a->num_paths, &merge_options, &summary);
    if (status == EOC_OK) {
        report(a, &summary);
    } else {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    }
    return status;
}

int eoc_cli_merge(int argc, char **argv)
{
    static arguments a = {.max_file_bytes = EOC_CLI_MAX_FILE_BYTES};
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0) {
        return EXIT_USAGE;
    }
    eoc_sweep sweep = {0};
    eoc_text errors = {0};
    json info = {0};
    eoc_status status = EOC_OK;
    if (a.sweep) {
        status = eoc_config_read(a.sweep, a.sets.list, a.sets.count, &sweep, &errors);
    }
    if (status != EOC_OK) {
        fprintf(stderr, "%s\n", errors.data);
    } else if (a.sweep && eoc_cli_is_sweep_file(a.sweep, a.output, true)) {
        status = EOC_ERR_USAGE;
    } else {
        describe_run(argc, argv, &info);
        status = merge(&a, a.sweep ? &sweep : NULL, info.text.data);
    }
    eoc_text_clear(&info.text);
    eoc_text_clear(&errors);
    eoc_sweep_clear(&sweep);
    return eoc_cli_exit_code(status);
}
