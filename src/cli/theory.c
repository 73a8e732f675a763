/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "json.h"
#include "names.h"
#include "options.h"
#include "point.h"
#include "spectrum.h"

#include "eoc/kernel.h"
#include "eoc/layer_theory.h"
#include "eoc/linalg.h"
#include "eoc/record.h"
#include "eoc/spatial_theory.h"
#include "eoc/theory_file.h"
#include "eoc/vecmath.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SET = 's', KEY_OUTPUT = 'o', KEY_OVERWRITE = 256, KEY_MAX_FILE_SIZE, KEY_JSON, KEY_SPECTRUM };

enum { MAX_FIXED_POINTS = 16 };

typedef struct {
    const char *path;
    eoc_cli_sets sets;
    const char *output;
    double max_file_bytes; /* 0: not given */
    bool overwrite, json, spectrum;
    eoc_cli_point point;
} arguments;

static struct argp_option options[] = {
    {NULL, 0, NULL, 0, "A sweep's theory, to a file:", 1},
    {"set", KEY_SET, "KEY=VALUE", 0, "lay a value over the sweep file's; may be repeated", 1},
    {"output", KEY_OUTPUT, "FILE", 0, "the file (default: the sweep file's name with .theory.h5, in this directory)",
     1},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "replace the file when it is there", 1},
    {"max-file-size", KEY_MAX_FILE_SIZE, "SIZE", 0, EOC_CLI_MAX_FILE_SIZE_TEXT, 1},
    {NULL, 0, NULL, 0, "One point, to the screen:", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_ACTIVATION, NULL, 0, "see eoc list activations", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_WEIGHT_VARIANCE, NULL, 0, "in units of the initializer's own", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_BIAS_VARIANCE, NULL, 0, "default 0", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_INITIALIZER, NULL, 0, "default gaussian; see eoc list initializers", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_WIDTH, NULL, 0, "for beta, and initializers that are not scaled by it", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_DEPTH, NULL, 0, "for beta, lambda_max and, with --json, the layers", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_INPUT_VARIANCE, NULL, 0, "|x|^2/N of the inputs, default 1", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_CORRELATION, NULL, 0, "of two inputs, default 0.6", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_POINTS, NULL, 0,
     "that many independent inputs in place of the two: the batch of a batch normalization", 2},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_ARCHITECTURE, NULL, 0, "default fully_connected; see eoc list architectures", 2},
    {"spectrum", KEY_SPECTRUM, NULL, 0, "the law of the Jacobian's squared singular values too; needs --depth", 2},
    {"json", KEY_JSON, NULL, 0, "one JSON object; NaN and infinities are null", 2},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *const a = state->input;
    if (eoc_cli_take_point_option(key, value, &a->point)) {
        return 0;
    }
    switch (key) {
    case KEY_SET:
        eoc_cli_add_set(state, value, &a->sets);
        return 0;
    case KEY_OUTPUT:
        a->output = value;
        return 0;
    case KEY_OVERWRITE:
        a->overwrite = true;
        return 0;
    case KEY_MAX_FILE_SIZE:
        a->max_file_bytes = eoc_cli_read_size(state, value);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_SPECTRUM:
        a->spectrum = true;
        return 0;
    case ARGP_KEY_ARG:
        eoc_cli_take_path(state, value, &a->path);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SWEEP.yaml\n--activation NAME --weight-variance NUMBER",
    .doc =
        "Mean-field theory alone: of a whole sweep to a file, or of one point to the screen. Needs no MPI; of several "
        "processes under mpirun the first does it.\n\n"
        "  eoc theory jobs/tanh-phase-diagram.yaml\n"
        "  eoc theory --activation tanh --weight-variance 1.5 --bias-variance 0.05\v"
        "The file holds the theory group of a run of the same sweep, bit for bit, and opens like any other."};

/* -- a sweep's theory -- */

static void provenance(int argc, char **argv, json *info)
{
    eoc_text command = {0};
    eoc_cli_command_line(argc, argv, &command);
    json_open(info, NULL, '{');
    json_text(info, "command", command.data);
    json_text(info, "program", eoc_cli_program());
    json_text(info, "blas", eoc_linalg_description());
    json_text(info, "vector instructions", eoc_vec_isa());
    json_text(info, "ended", "everything was done");
    json_close(info, '}');
    eoc_text_clear(&command);
}

static int write_sweep(const arguments *a, const char *info)
{
    eoc_sweep sweep = {0};
    eoc_text errors = {0}, output = {0};
    if (eoc_config_read(a->path, a->sets.list, a->sets.count, &sweep, &errors) != EOC_OK) {
        fprintf(stderr, "%s\n", errors.data);
        eoc_text_clear(&errors);
        return EXIT_USAGE;
    }
    if (a->output) {
        eoc_text_append(&output, "%s", a->output);
    } else {
        eoc_cli_default_output(a->path, ".theory.h5", &output);
    }
    if (eoc_cli_is_sweep_file(a->path, output.data, true)) {
        eoc_text_clear(&output);
        eoc_sweep_clear(&sweep);
        return EXIT_USAGE;
    }
    const eoc_theory_file_options file_options = {.sweep_path = a->path,
                                                  .output = output.data,
                                                  .overwrite = a->overwrite,
                                                  .max_file_bytes = a->max_file_bytes > 0.0 ? a->max_file_bytes
                                                                                            : EOC_CLI_MAX_FILE_BYTES,
                                                  .program = eoc_cli_program(),
                                                  .info = info};
    eoc_theory_file_summary s;
    const eoc_status status = eoc_theory_file_write(&sweep, &file_options, &s);
    if (status != EOC_OK) {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    } else {
        fprintf(stderr, "eoc: theory of %lld point%s (%lld distinct map%s) in %s\n", (long long)s.points,
                s.points == 1 ? "" : "s", (long long)s.maps, s.maps == 1 ? "" : "s", output.data);
    }
    eoc_text_clear(&output);
    eoc_sweep_clear(&sweep);
    return eoc_cli_exit_code(status);
}

/* -- one point -- */

typedef struct {
    eoc_sweep sweep; /* of one point */
    eoc_network network;
    bool has_width, has_depth;
    int *layers;
    eoc_layout layout;
    void *block;
    eoc_point_record record;
    eoc_mean_field scalars; /* of the record, for what is said of both laws */
    eoc_fixed_point fixed[MAX_FIXED_POINTS];
    int num_fixed;
    eoc_cli_spectrum *spectrum; /* NULL: not asked for, or outside theory */
    eoc_decay decay;            /* of 1 - c on the critical line */
    struct {
        double log_diagonal, ratio, log_condition; /* of the tangent kernel of the two inputs at the last layer */
    } kernel;
} point;

/* Whether the law's variance in units of 1/width depends on the width. */
static bool needs_width(const eoc_initializer *initializer)
{
    return eoc_initializer_effective(initializer, 1.0, 100) != eoc_initializer_effective(initializer, 1.0, 1000) &&
           fabs(eoc_initializer_effective(initializer, 1.0, 100) / eoc_initializer_effective(initializer, 1.0, 1000) -
                1.0) > 1e-9;
}

/* Of two inputs; independent ones have none. */
static double correlation_of(const point *p)
{
    return p->sweep.probe.inputs.kind->has_correlation ? p->sweep.probe.inputs.correlation : 0.0;
}

/* The tangent kernel at the last layer, of which only the depth asked for is kept. */
static eoc_status compute_kernel(point *p)
{
    const int depth = p->network.depth;
    const double variances[2] = {*p->record.input_variance, *p->record.input_variance};
    double *memory = malloc(3 * sizeof(double) * (size_t)depth);
    EOC_REQUIRE(memory, EOC_ERR_NOMEM, "out of memory");
    const eoc_kernel_rows rows = {
        .log_diagonal = {memory, NULL}, .ratio = memory + depth, .log_condition = memory + 2 * depth};
    const eoc_status status = eoc_kernel_fill(&p->network.activation, *p->record.effective_weight_variance,
                                              p->network.bias_variance, variances, correlation_of(p), depth, &rows);
    if (status == EOC_OK) {
        p->kernel.log_diagonal = rows.log_diagonal[0][depth - 1];
        p->kernel.ratio = rows.ratio[depth - 1];
        p->kernel.log_condition = rows.log_condition[depth - 1];
    }
    free(memory);
    return status;
}

/* Whether the weights' law has the S-transform of square ones: gaussian or orthogonal. */
static bool has_spectrum(const eoc_network *n)
{
    return eoc_network_s_1(n, 1) == 0.0 || eoc_network_s_1(n, 1) == -1.0;
}

/* At q_star, with the weights' own law: the record's curves are not needed for it. */
static eoc_status compute_spectrum(point *p)
{
    EOC_REQUIRE(p->has_depth, EOC_ERR_USAGE, "--spectrum needs --depth, such as --depth 50");
    const double q_star = *p->record.q_star, sigma_w2 = *p->record.effective_weight_variance;
    EOC_REQUIRE(has_spectrum(&p->network), EOC_ERR_USAGE,
                "--spectrum: the law of kernels cut from an orthogonal matrix of patches is not known; accepted: "
                "--initializer gaussian or delta_orthogonal");
    EOC_REQUIRE(isfinite(q_star) && sigma_w2 > 0.0, EOC_ERR_USAGE,
                "--spectrum: there is no spectrum where q_star is not finite or the weights are zero");
    p->spectrum = malloc(sizeof *p->spectrum);
    EOC_REQUIRE(p->spectrum, EOC_ERR_NOMEM, "out of memory");
    return eoc_cli_spectrum_compute(&p->network.activation, sigma_w2, q_star, p->network.depth,
                                    eoc_network_s_1(&p->network, 1), p->spectrum);
}

static eoc_status compute_point(const arguments *a, point *p)
{
    p->has_width = a->point.text[EOC_CLI_WIDTH] != NULL;
    p->has_depth = a->point.text[EOC_CLI_DEPTH] != NULL;
    EOC_TRY(eoc_cli_point_sweep(&a->point, &p->sweep));
    p->network = eoc_grid_get(&p->sweep.grid, p->sweep.seed, 0).network;
    const eoc_network *n = &p->network;
    EOC_REQUIRE(p->has_width || !needs_width(&n->initializer), EOC_ERR_USAGE,
                "--initializer %s needs --width: its weights are not scaled by it", n->initializer.kind->name);
    EOC_REQUIRE(p->has_depth || eoc_layer_theory_depth(n) == 0, EOC_ERR_USAGE,
                "--architecture %s goes by the depth and needs --depth, such as --depth 50",
                p->sweep.grid.axes[EOC_AXIS_ARCHITECTURE].names[0]);
    p->layers = malloc(sizeof(int) * (size_t)n->depth);
    EOC_REQUIRE(p->layers, EOC_ERR_NOMEM, "out of memory");
    const int num_layers = eoc_layers_fill(&p->sweep.probe.layers, &p->sweep.grid.axes[EOC_AXIS_DEPTH], p->layers);
    eoc_probe *const probe = &p->sweep.probe;
    probe->statistics = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN;
    EOC_TRY(eoc_layout_create(probe->statistics, p->layers, num_layers, 0, &p->layout));
    eoc_layout_add_space(probe, &p->layout);
    p->block = calloc(1, p->layout.point_bytes);
    EOC_REQUIRE(p->block, EOC_ERR_NOMEM, "out of memory");
    eoc_layout_point(&p->layout, p->block, &p->record);
    eoc_prediction *prediction = NULL;
    EOC_TRY(eoc_prediction_create(probe, n, n->depth, &prediction));
    const eoc_status status = eoc_prediction_fill(prediction, n, &p->layout, &p->record);
    eoc_prediction_destroy(&prediction);
    EOC_TRY(status);
    p->decay.coefficient = p->kernel.log_diagonal = p->kernel.ratio = p->kernel.log_condition = NAN;
    p->scalars = eoc_mean_field_unknown(0);
    if (!eoc_network_in_theory(n)) {
        EOC_REQUIRE(
            !a->spectrum, EOC_ERR_USAGE,
            "--spectrum is of fully connected layers without normalization and dropout, of activations with one "
            "feature a unit and weights with mean zero");
        return EOC_OK;
    }
    p->scalars.mu_1 = *p->record.mu_1;
    p->scalars.mu_2 = *p->record.mu_2;
    EOC_TRY(eoc_mean_field_fixed_points(&n->activation, *p->record.effective_weight_variance, n->bias_variance,
                                        MAX_FIXED_POINTS, p->fixed, &p->num_fixed));
    p->num_fixed = p->num_fixed < MAX_FIXED_POINTS ? p->num_fixed : MAX_FIXED_POINTS;
    const double q_star = *p->record.q_star, sigma_w2 = *p->record.effective_weight_variance;
    if (isfinite(q_star) && q_star > 0.0 && sigma_w2 > 0.0) {
        EOC_TRY(eoc_mean_field_decay(&n->activation, sigma_w2, q_star, &p->decay));
    }
    if (p->has_depth) {
        EOC_TRY(compute_kernel(p));
    }
    return a->spectrum ? compute_spectrum(p) : EOC_OK;
}

static void release_point(point *p)
{
    free(p->spectrum);
    free(p->block);
    free(p->layers);
    eoc_layout_clear(&p->layout);
    eoc_sweep_clear(&p->sweep);
}

/* What is asked of a network's depth or width, and is not there without them. */
static bool is_known(const point *p, const char *name)
{
    const bool of_depth = strcmp(name, "lambda_max") == 0 || strcmp(name, "log_lambda_max") == 0 ||
                          strncmp(name, "log_jacobian_m", 14) == 0;
    return strcmp(name, "beta") == 0 ? p->has_width && p->has_depth : !of_depth || p->has_depth;
}

static const double *values_of(const point *p, int row)
{
    return (const double *)(const void *)((const unsigned char *)p->block + p->layout.offset[row]);
}

/* Of independent weights, per L/N; not known where a unit has slopes at many positions. */
static double beta_per_layer(const point *p)
{
    return eoc_network_positions(&p->network) > 1 ? NAN : eoc_mean_field_beta(&p->scalars);
}

/* -- as JSON: the rows of the record table -- */

static void json_layers(json *j, const point *p)
{
    json_open(j, "layer", '[');
    for (int i = 0; i < p->layout.num_layers; i++) {
        json_integer(j, NULL, p->layers[i]);
    }
    json_close(j, ']');
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (v->scope == EOC_PER_POINT && v->along == EOC_ALONG_LAYER && p->layout.included[row]) {
            json_open(j, v->name, '[');
            for (int i = 0; i < p->layout.num_layers; i++) {
                json_number(j, NULL, values_of(p, row)[i]);
            }
            json_close(j, ']');
        }
    }
}

/* Modes over space, in the order of their wave numbers. */
static void json_modes(json *j, const point *p)
{
    for (int row = 0; row < eoc_variable_count() && p->layout.num_spatial_modes; row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (v->along == EOC_ALONG_SPATIAL_MODE && p->layout.included[row]) {
            json_open(j, v->name, '[');
            for (int k = 0; k < p->layout.num_spatial_modes; k++) {
                json_number(j, NULL, values_of(p, row)[k]);
            }
            json_close(j, ']');
        }
    }
}

static void json_status(json *j, unsigned status)
{
    json_integer(j, "status", status);
    json_open(j, "status_meanings", '[');
    for (int flag = 0; flag < EOC_NUM_THEORY_FLAGS; flag++) {
        if (status & 1u << flag) {
            json_text(j, NULL, eoc_theory_flag_name(flag));
        }
    }
    json_close(j, ']');
}

static void print_json(const point *p)
{
    const eoc_network *n = &p->network;
    const eoc_grid *grid = &p->sweep.grid;
    json j = {0};
    json_open(&j, NULL, '{');
    json_text(&j, "architecture", grid->axes[EOC_AXIS_ARCHITECTURE].names[0]);
    json_text(&j, "activation", grid->axes[EOC_AXIS_ACTIVATION].names[0]);
    json_text(&j, "initializer", grid->axes[EOC_AXIS_INITIALIZER].names[0]);
    json_number(&j, "width", p->has_width ? (double)n->width : NAN);
    json_number(&j, "depth", p->has_depth ? (double)n->depth : NAN);
    json_number(&j, "weight_variance", n->weight_variance);
    json_number(&j, "bias_variance", n->bias_variance);
    json_number(&j, "correlation", correlation_of(p));
    json_status(&j, *p->record.theory_status);
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (v->scope == EOC_PER_POINT && v->along == EOC_ALONG_NOTHING && v->type == EOC_TYPE_FLOAT64 &&
            p->layout.included[row]) {
            json_number(&j, v->name, is_known(p, v->name) ? *values_of(p, row) : NAN);
        }
    }
    json_number(&j, "beta_per_depth_over_width", beta_per_layer(p));
    json_number(&j, "jacobian_variance_per_layer_gaussian", eoc_mean_field_jacobian_variance(&p->scalars, -1.0));
    json_number(&j, "jacobian_variance_per_layer_orthogonal", eoc_mean_field_jacobian_variance(&p->scalars, 0.0));
    json_number(&j, "decay_power", p->decay.power ? (double)p->decay.power : NAN);
    json_number(&j, "decay_coefficient", p->decay.coefficient);
    json_number(&j, "log_tangent_kernel", p->kernel.log_diagonal);
    json_number(&j, "tangent_kernel_ratio", p->kernel.ratio);
    json_number(&j, "log_tangent_kernel_condition", p->kernel.log_condition);
    json_open(&j, "fixed_points", '[');
    for (int i = 0; i < p->num_fixed; i++) {
        json_open(&j, NULL, '{');
        json_number(&j, "q_star", p->fixed[i].q_star);
        json_number(&j, "chi_1", p->fixed[i].chi_1);
        json_number(&j, "chi_q", p->fixed[i].chi_q);
        json_text(&j, "stability", eoc_cli_stability(p->fixed[i].chi_q, p->fixed[i].half_stable));
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_modes(&j, p);
    if (p->has_depth) {
        json_layers(&j, p);
    }
    if (p->spectrum) {
        eoc_cli_spectrum_json(p->spectrum, &j);
    }
    json_close(&j, '}');
    json_print(&j);
}

/* -- as a table -- */

/* The flags in words, in the order in which a reader wants them. */
static const struct {
    unsigned flag;
    const char *words;
} flag_words[] = {
    {EOC_THEORY_OUTSIDE_THEORY, "outside mean-field theory, which covers weights with mean zero, batch "
                                "normalization with |skip| <= 1 (of sin with gamma up to 30)"},
    {EOC_THEORY_Q_ZERO, "the signal vanishes with depth: q goes to 0"},
    {EOC_THEORY_Q_LINE, "every length is kept: each q is a fixed point"},
    {EOC_THEORY_Q_DIVERGES, "the signal grows without bound"},
    {EOC_THEORY_Q_SEVERAL, "the length map has other fixed points too"},
    {EOC_THEORY_Q_HALF_STABLE, "q_star attracts from one side only"},
    {EOC_THEORY_Q_MARGINAL, "q goes to its limit as a power of depth, not exponentially"},
    {EOC_THEORY_C_ANY, "the limit of the correlation depends on the inputs"},
    {EOC_THEORY_CHAOTIC, "chaotic: inputs decorrelate, gradients grow with depth"},
    {EOC_THEORY_XI_INFINITE, "the correlation has no depth scale: it stops, or goes to its limit as a power of depth"},
    {EOC_THEORY_NO_SECOND_DERIVATIVE, "phi' jumps, so phi'' and the curvature do not exist"},
    {EOC_THEORY_PARTIAL, "of this architecture some quantities are not known"},
};

static void print_status(const point *p)
{
    const unsigned status = *p->record.theory_status, disorder = EOC_THEORY_CHAOTIC | EOC_THEORY_OUTSIDE_THEORY;
    const char *label = "status";
    const double chi_1 = *p->record.chi_1;
    if (!(status & disorder) && fabs(chi_1 - 1.0) < 1e-9) {
        const bool settles = !(status & EOC_THEORY_Q_DIVERGES) || eoc_network_in_theory(&p->network);
        printf("%-30s %s\n", label,
               settles ? "critical: gradients keep their size" : "gradients grow more slowly than exponentially");
        label = "";
    } else if (!(status & disorder) && !isnan(chi_1)) {
        printf("%-30s %s\n", label,
               chi_1 >= 1.0               ? "gradients grow with depth"
               : *p->record.c_star == 1.0 ? "ordered: inputs become alike, gradients vanish with depth"
                                          : "gradients vanish with depth");
        label = "";
    }
    for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++) {
        if (status & flag_words[i].flag) {
            printf("%-30s %s\n", label, flag_words[i].words);
            label = "";
        }
    }
}

static void print_value(const char *name, double value, const char *meaning)
{
    char text[32];
    snprintf(text, sizeof text, isnan(value) ? "none" : "%.10g", value);
    printf("%-30s %-18s %s\n", name, text, meaning);
}

static void print_fixed_points(const point *p)
{
    if (p->num_fixed == 0) {
        return;
    }
    printf("\nFixed points of the length map\n  %-18s %-14s %-14s %s\n", "q_star", "chi_1", "chi_q", "stability");
    for (int i = 0; i < p->num_fixed; i++) {
        const eoc_fixed_point *f = &p->fixed[i];
        printf("  %-18.10g %-14.8g %-14.8g %s%s\n", f->q_star, f->chi_1, f->chi_q,
               eoc_cli_stability(f->chi_q, f->half_stable),
               fabs(f->q_star - *p->record.q_star) <= 1e-7 * f->q_star ? "; the signal goes here" : "");
    }
}

/* Whether no mode before it has this eigenvalue. */
static bool is_first_of_value(const double *eigenvalues, int k)
{
    for (int i = 0; i < k; i++) {
        if (fabs(eigenvalues[i] - eigenvalues[k]) < 1e-12) {
            return false;
        }
    }
    return true;
}

/* The mode that comes next: the greatest eigenvalue in size behind those of `last`, the first of several; -1: none. */
static int next_mode(const double *eigenvalues, int count, int last)
{
    int next = -1;
    for (int k = 0; k < count; k++) {
        const double size = fabs(eigenvalues[k]), before = last < 0 ? INFINITY : fabs(eigenvalues[last]);
        const bool later = size < before || (size == before && k > last);
        if (later && is_first_of_value(eigenvalues, k) && (next < 0 || size > fabs(eigenvalues[next]))) {
            next = k;
        }
    }
    return next;
}

static void print_mode(const point *p, int k)
{
    const eoc_geometry g = eoc_network_geometry(&p->network);
    char wave[32];
    snprintf(wave, sizeof wave, g.dimensions == 1 ? "%d" : "%d, %d", g.dimensions == 1 ? k : k / g.side, k % g.side);
    printf("  %-14s %-18.10g %-14.8g %.8g\n", wave, p->record.averaging_eigenvalue[k], p->record.xi_q_mode[k],
           p->record.xi_c_mode[k]);
}

/* The modes over space that live longest, one of each eigenvalue. */
static void print_modes(const point *p)
{
    enum { MOST_MODES = 6 };
    const double *const eigenvalues = p->record.averaging_eigenvalue;
    const int count = p->layout.num_spatial_modes;
    if (!eigenvalues || isnan(eigenvalues[0])) {
        return;
    }
    printf("\nModes over space, the longest-lived first\n  %-14s %-18s %-14s %s\n", "waves per side", "eigenvalue",
           "xi_q_mode", "xi_c_mode");
    int printed = 0;
    for (int k = next_mode(eigenvalues, count, -1); k >= 0 && printed < MOST_MODES;
         k = next_mode(eigenvalues, count, k)) {
        print_mode(p, k);
        printed++;
    }
}

static void print_table(const point *p)
{
    const eoc_network *n = &p->network;
    const eoc_point_record *r = &p->record;
    const eoc_grid *grid = &p->sweep.grid;
    printf("%s, %s, %s, weight variance %.12g (effective %.10g), bias variance %.12g\n",
           grid->axes[EOC_AXIS_ARCHITECTURE].names[0], grid->axes[EOC_AXIS_ACTIVATION].names[0],
           grid->axes[EOC_AXIS_INITIALIZER].names[0], n->weight_variance, *r->effective_weight_variance,
           n->bias_variance);
    const eoc_inputs *inputs = &p->sweep.probe.inputs;
    if (inputs->kind->has_points) {
        printf("%d independent inputs with |x|^2/N = %.12g\n\n", inputs->points, *r->input_variance);
    } else {
        printf("inputs with |x|^2/N = %.12g and correlation %.12g\n\n", *r->input_variance, inputs->correlation);
    }
    print_status(p);
    if (eoc_spatial_theory_covers(n) && eoc_network_has_edges(n)) {
        printf("%-30s beyond the edge there is nothing, so limits differ from position to position; --json and --depth "
               "give the layers\n",
               "");
        return;
    }
    if (!eoc_network_in_theory(n) && !eoc_layer_theory_covers(n)) {
        return;
    }
    print_value("q_star", *r->q_star, "limit of the mean square of the pre-activations");
    print_value("chi_1", *r->chi_1,
                eoc_network_in_theory(n) ? "growth of gradients a layer, and slope of the correlation map at c = 1"
                                         : "growth of gradients a layer, at infinite width");
    print_value("c_star", *r->c_star, "limit of the correlation of two inputs");
    print_value("xi_q", *r->xi_q, "layers over which q finds its limit");
    print_value("xi_c", *r->xi_c, "layers over which the correlation finds its limit");
    print_value("chi_q", *r->chi_q, "slope of the length map at q_star");
    print_value("chi_c", *r->chi_c, "slope of the correlation map at c_star");
    print_value("mu_1", *r->mu_1, "E[phi'^2]");
    print_value("mu_2", *r->mu_2, "E[phi'^4]");
    if (!eoc_network_in_theory(n)) {
        print_value("Jacobian variance", *r->jacobian_variance_per_layer,
                    "per layer, of the squared singular values over their mean");
        print_modes(p);
        return;
    }
    print_value("length_map_second_derivative", *r->length_map_second_derivative, "V'' at q_star");
    print_value("manifold_curvature", *r->manifold_curvature,
                "limit of the curvature of a curve of inputs, per sqrt(N)");
    print_value("beta per L/N", beta_per_layer(p), "variance of log |gradient|^2 from width, independent weights");
    if (p->has_width && p->has_depth) {
        print_value("beta", *r->beta, "at this width and depth");
    }
    print_value("Jacobian variance, gaussian", eoc_mean_field_jacobian_variance(&p->scalars, -1.0),
                "per layer, of the squared singular values over their mean");
    print_value("Jacobian variance, orthogonal", eoc_mean_field_jacobian_variance(&p->scalars, 0.0), "likewise");
    if (p->decay.power != 0) {
        char law[48];
        snprintf(law, sizeof law, "1 - c goes as this over l%s", p->decay.power == 2 ? "^2" : "");
        print_value("algebraic decay", p->decay.coefficient, law);
    }
    if (p->has_depth) {
        print_value("log tangent kernel", p->kernel.log_diagonal, "log Theta(x, x) at the last layer");
        print_value("tangent kernel ratio", p->kernel.ratio, "cosine of the two inputs in the tangent kernel");
        print_value("log tangent kernel condition", p->kernel.log_condition,
                    "log of its greater over its lesser eigenvalue for the pair");
        print_value("lambda_max", *r->lambda_max, "greatest squared singular value of the Jacobian at this depth");
        print_value("log lambda_max", *r->log_lambda_max, "its logarithm, where it is too large to print");
    }
    print_fixed_points(p);
    print_modes(p);
    if (p->spectrum) {
        eoc_cli_spectrum_print(p->spectrum);
    }
}

static int show_point(const arguments *a)
{
    point p = {0};
    const eoc_status status = compute_point(a, &p);
    if (status != EOC_OK) {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    } else if (a->json) {
        print_json(&p);
    } else {
        print_table(&p);
    }
    release_point(&p);
    return eoc_cli_exit_code(status);
}

int eoc_cli_theory(int argc, char **argv)
{
    arguments a = {0};
    argp_err_exit_status = EXIT_USAGE;
    eoc_cli_name_options(options);
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0) {
        return EXIT_USAGE;
    }
    bool wants_point = a.json || a.spectrum;
    for (int i = 0; i < EOC_CLI_NUM_POINT_OPTIONS; i++) {
        wants_point = wants_point || a.point.text[i];
    }
    const bool wants_file = a.output || a.overwrite || a.sets.count > 0 || a.max_file_bytes > 0.0;
    if (a.path ? wants_point
               : wants_file || !a.point.text[EOC_CLI_ACTIVATION] || !a.point.text[EOC_CLI_WEIGHT_VARIANCE]) {
        fprintf(stderr, "eoc theory: %s (eoc theory --help tells more)\n",
                a.path ? "a sweep file, or the options of one point, not both"
                : wants_file && wants_point
                    ? "-o, --overwrite, --set and --max-file-size are of a sweep file's theory; one point is printed"
                    : "either a sweep file, or --activation and --weight-variance for one point");
        return EXIT_USAGE;
    }
    if (!a.path) {
        return show_point(&a);
    }
    json info = {0};
    provenance(argc, argv, &info);
    const int code = write_sweep(&a, info.text.data);
    eoc_text_clear(&info.text);
    return code;
}
