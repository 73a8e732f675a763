/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that several subcommands take, each read in one place. Private to this folder. */
#ifndef EOC_CLI_OPTIONS_H
#define EOC_CLI_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/* -- of one point: each stands for a key of the sweep file -- name, option, argument, key */
#define EOC_CLI_POINT_OPTIONS(X)                                            \
    X(ARCHITECTURE, "architecture", "NAME", "grid.architecture")            \
    X(ACTIVATION, "activation", "NAME", "grid.activation")                  \
    X(WEIGHT_VARIANCE, "weight-variance", "NUMBER", "grid.weight_variance") \
    X(BIAS_VARIANCE, "bias-variance", "NUMBER", "grid.bias_variance")       \
    X(INITIALIZER, "initializer", "NAME", "grid.initializer")               \
    X(WIDTH, "width", "N", "grid.width")                                    \
    X(DEPTH, "depth", "L", "grid.depth")                                    \
    X(INPUT_VARIANCE, "input-variance", "NUMBER", "probe.inputs.variance")  \
    X(CORRELATION, "correlation", "COSINE", "probe.inputs.correlation")     \
    X(POINTS, "points", "B", "probe.inputs.points")

#define EOC_CLI_POINT_INDEX(name, option, argument, key) EOC_CLI_##name,
enum { EOC_CLI_POINT_OPTIONS(EOC_CLI_POINT_INDEX) EOC_CLI_NUM_POINT_OPTIONS };

/* Keys of argp: those of the point from here on, those of a subcommand's own below. */
enum { EOC_CLI_KEY_POINT = 1024 };

extern const char *const eoc_cli_point_names[EOC_CLI_NUM_POINT_OPTIONS]; /* "weight-variance" */
extern const char *const eoc_cli_point_keys[EOC_CLI_NUM_POINT_OPTIONS];  /* "grid.weight_variance" */

/* The values as typed; NULL where not given. */
typedef struct {
    const char *text[EOC_CLI_NUM_POINT_OPTIONS];
} eoc_cli_point;

/* Fills a row of a subcommand's table: {NULL, EOC_CLI_KEY_POINT + i, NULL, 0, text, group} gets its name and argument.
 */
void eoc_cli_name_options(struct argp_option *options);

/* Whether `key` is an option of the point; its value is then kept. */
bool eoc_cli_take_point_option(int key, const char *value, eoc_cli_point *point);

/* -- of a sweep: --set KEY=VALUE, repeatable -- */

enum { EOC_CLI_MAX_SETS = 256 };

typedef struct {
    const char *list[EOC_CLI_MAX_SETS];
    int count;
} eoc_cli_sets;

void eoc_cli_add_set(struct argp_state *state, const char *value, eoc_cli_sets *sets);

/* The one sweep file of a command line. */
void eoc_cli_take_path(struct argp_state *state, const char *value, const char **path);

/* --max-file-size: bytes, or with k, M, G, T. */
double eoc_cli_read_size(struct argp_state *state, const char *text);
/* A length of time in seconds: "90", "1:30", "3:50:00" or "2-03:50:00", as Slurm writes them. */
double eoc_cli_read_time(struct argp_state *state, const char *option, const char *text);

/* A whole number from `least` on. */
int64_t eoc_cli_read_count(struct argp_state *state, const char *option, const char *text, int64_t least);

#define EOC_CLI_MAX_FILE_SIZE_TEXT "refuse a larger result file: bytes, or with k, M, G, T (default 20G)"
#define EOC_CLI_MAX_FILE_BYTES 20e9

#endif
