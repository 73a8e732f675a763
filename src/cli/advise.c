/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "json.h"
#include "point.h"

#include "eoc/advise.h"
#include "eoc/sweep.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_JSON = 256, KEY_PLOT };

typedef struct {
    eoc_cli_point point;
    const char *plot;
    bool json;
} arguments;

static struct argp_option options[] = {
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_ACTIVATION, NULL, 0, "see eoc list activations", 0},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_WIDTH, NULL, 0, "units of a layer", 0},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_DEPTH, NULL, 0, "number of layers", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object; NaN and infinities are null", 0},
    {"plot", KEY_PLOT, "FILE", 0, "draw the comparison too (.png, .pdf, .svg), by eoc-plot", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *const a = state->input;
    if (eoc_cli_take_point_option(key, value, &a->point)) {
        return 0;
    }
    switch (key) {
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_PLOT:
        a->plot = value;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is not an option; --activation names the activation", value);
        return 0;
    case ARGP_KEY_END:
        if (!a->point.text[EOC_CLI_ACTIVATION] || !a->point.text[EOC_CLI_WIDTH] || !a->point.text[EOC_CLI_DEPTH]) {
            argp_error(state, "--activation, --width and --depth are needed, such as --activation relu --width 512 "
                              "--depth 50");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Which initializer for an activation, width and depth, and why; and which layers, beyond what initializers "
           "reach.\n\n"
           "  eoc advise --activation relu --width 512 --depth 50\n"
           "  eoc advise --activation tanh --width 512 --depth 50 --plot tanh-advice.png\v"
           "By mean-field theory, at initialisation: it says how far signals and gradients get, not how well a network "
           "generalises."};

/* -- the recommendation in words -- */

static void say_linear(const eoc_advice *a, eoc_text *out)
{
    (void)a;
    eoc_text_append(out,
                    "An orthogonal matrix keeps every length and angle, so the whole network is an isometry at any "
                    "depth and its learning time does not grow with depth (Saxe et al. 2014). Gaussian weights keep "
                    "the mean only: their singular values spread as the square root of the depth.");
}

static void say_folded(const eoc_advice *a, eoc_text *out)
{
    (void)a;
    eoc_text_append(
        out, "|z| has slopes 1 and -1 alone: behind orthogonal matrices it keeps every length, and the Jacobian is "
             "orthogonal at any depth; gaussian weights keep the mean only. Angles are not kept: inputs become "
             "alike, as a power of the depth.");
}

static double spread_of(const eoc_advice *a, const char *name)
{
    return eoc_advice_find(a, name)->spread;
}

/* The depth is more than plain layers carry: what goes deeper, in numbers. */
static void say_beyond(const eoc_advice *a, eoc_text *out)
{
    const eoc_advice_row *plain = eoc_advice_plain(a), *residual = eoc_advice_find(a, "residual"),
                         *batch = eoc_advice_find(a, "batch_norm"), *linear = eoc_advice_find(a, "looks_linear");
    eoc_text_append(out,
                    " But at depth %d it is the mean alone that they keep: the squared singular values spread by %.3g "
                    "times it, and log |gradient|^2 has variance %.3g between networks of width %d",
                    a->depth, plain->spread, plain->beta, a->width);
    if (plain->beta > 1.0) {
        eoc_text_append(out, " (below 1 from width %.0f on)", ceil(plain->beta * a->width));
    }
    eoc_text_append(out,
                    ". Other layers go deeper. Residual ones with branch 1/sqrt(L) multiply gradients by %.6g a layer, "
                    "%.3g over this depth, and the signal by %.3g (Yang & Schoenholz 2017).",
                    residual->point.chi_1, exp(residual->log_gradient_scale), exp(residual->log_forward_scale));
    eoc_text_append(out,
                    " Batch normalization holds the signal and multiplies gradients by %.4g a layer, 10^%.1f over this "
                    "depth, whatever the weights: 10^6 after %.0f layers (Yang et al. 2019; batches of %d).",
                    batch->point.chi_1, batch->log_gradient_scale / log(10.0), floor(batch->gradient_depth),
                    EOC_ADVICE_BATCH);
    if (linear) {
        eoc_text_append(out,
                        " Looks-linear weights behind crelu make every layer orthogonal at initialisation: signal and "
                        "gradients times %.6g and a spread of %.3g at any depth, at twice the weights (Balduzzi et al. "
                        "2017).",
                        exp(linear->log_gradient_scale), round(linear->spread * 1e6) / 1e6);
    }
}

/* Slopes that are near each other. */
static void say_nearly_linear(const eoc_advice *a, eoc_text *out)
{
    eoc_text_append(
        out,
        "Weight variance %.6g/fan_in and zero biases are the one choice at which signals and gradients keep "
        "their mean square through all layers. The two slopes are so near each other that orthogonal weights "
        "keep the Jacobian near an isometry: its squared singular values spread by %.3g at this depth, with "
        "gaussian weights by %.3g.",
        a->weight_variance, spread_of(a, "critical_orthogonal"), spread_of(a, "critical_gaussian"));
}

static void say_scale_free(const eoc_advice *a, eoc_text *out)
{
    if (a->rows[a->recommended].is_critical && a->rows[a->recommended].initializer.kind->law == EOC_LAW_HAAR) {
        say_nearly_linear(a, out);
        return;
    }
    const bool is_he = strcmp(eoc_advice_plain(a)->name, "he_normal") == 0;
    eoc_text_append(
        out,
        "Weight variance %.6g/fan_in%s and zero biases are the one choice at which signals and gradients "
        "keep their mean square through all layers; any other shrinks or grows both by a constant factor a "
        "layer. Theory cannot give dynamical isometry here, whatever the weights (Pennington et al. 2017): "
        "the squared singular values have relative variance %.4g with gaussian weights and %.4g with "
        "orthogonal ones at this depth%s.",
        a->weight_variance, is_he ? " (He et al. 2015)" : "", pow(spread_of(a, "critical_gaussian"), 2.0),
        pow(spread_of(a, "critical_orthogonal"), 2.0),
        eoc_advice_find(a, "looks_linear") ? ", and looks-linear weights (Balduzzi et al. 2017) are the way out" : "");
    if (a->beyond_reach) {
        say_beyond(a, out);
    }
}

static void say_isometric(const eoc_advice *a, eoc_text *out)
{
    eoc_text_append(
        out,
        "On the critical line gradients keep their size, and at a q_star this small (at most 1/sqrt(8 L), "
        "Pennington et al. 2017, Xiao et al. 2018) the activation is near-linear, so that orthogonal weights "
        "make the Jacobian a near-isometry: its squared singular values spread by %.3g, with gaussian "
        "weights by %.3g. Scale the inputs to |x|^2/N = %.4g, where the signal starts at its fixed point.",
        spread_of(a, "critical_orthogonal"), spread_of(a, "critical_gaussian"), a->rows[a->plain].input_variance);
}

/* Where no weights of plain layers go deep. */
static void say_of_residual_layers(const eoc_advice *a, eoc_text *out)
{
    const eoc_advice_row *residual = eoc_advice_find(a, "residual");
    if (residual && residual->signal_depth >= a->depth && residual->gradient_depth >= a->depth) {
        eoc_text_append(out,
                        " %s: with branch 1/sqrt(L) gradients change by %.6g a layer, %.3g over this depth, and the "
                        "signal by %.3g (Yang & Schoenholz 2017).",
                        a->beyond_reach ? "In residual layers it goes deeper" : "Or keep it in residual layers",
                        residual->point.chi_1, exp(residual->log_gradient_scale), exp(residual->log_forward_scale));
    }
}

static void say_stable(const eoc_advice *a, eoc_text *out)
{
    eoc_text_append(out,
                    "At this point of the critical line the signal stays at mean square %.3g and gradients keep their "
                    "size, for inputs scaled to |x|^2/N = %.4g; orthogonal weights keep the squared singular values "
                    "closest together (a spread of %.3g instead of %.3g). The kink of the activation at 0 rules out "
                    "isometry at any scale, so the spread grows as the square root of the depth.",
                    a->q_star, a->rows[a->plain].input_variance, spread_of(a, "critical_orthogonal"),
                    spread_of(a, "critical_gaussian"));
    if (a->beyond_reach) {
        say_of_residual_layers(a, out);
    }
}

static void say_upper_branch(const eoc_advice *a, eoc_text *out)
{
    const eoc_advice_row *residual = eoc_advice_find(a, "residual");
    eoc_text_append(
        out,
        "At small signals the critical line of this activation is unstable, and with zero biases the usual "
        "initializers let signals die; it holds signals only at large ones, such as q_star = %.4g here, and "
        "loosely (chi_q = %.4g), so scale the inputs to |x|^2/N = %.4g. There the activation is nearly relu, "
        "and as with relu no weights give isometry; residual layers are the usual way to go deep with it: with branch "
        "1/sqrt(L) gradients change by %.6g a layer, %.3g over this depth.",
        a->q_star, a->chi_q, a->rows[a->plain].input_variance, residual->point.chi_1,
        exp(residual->log_gradient_scale));
}

static void say_far(const eoc_advice *a, eoc_text *out)
{
    const eoc_advice_row *r = &a->rows[a->plain];
    eoc_text_append(out,
                    "No practical weights are critical for this activation (eoc critical says where its line begins), "
                    "so none of these carries gradients through many layers: %s lasts longest, %.3g layers. Change the "
                    "activation: tanh is sigmoid centred and rescaled, and has an edge of chaos in reach.",
                    r->name, fmin(r->signal_depth, r->gradient_depth));
    say_of_residual_layers(a, out);
}

static void say_none(const eoc_advice *a, eoc_text *out)
{
    const eoc_advice_row *r = &a->rows[a->plain];
    eoc_text_append(out,
                    "This activation has no edge of chaos: chi_1 = 1 would need a negative bias variance, so no choice "
                    "both holds the signal and keeps gradients. %s loses least (the gradient changes by a factor %.3g "
                    "over this depth); change the activation for a deep network.",
                    r->name, exp(r->log_gradient_scale));
    say_of_residual_layers(a, out);
}

/* Where the averages would be good but single networks are far from them. */
static void say_of_width(const eoc_advice *a, eoc_text *out)
{
    const eoc_advice_row *r = &a->rows[a->recommended];
    if (r->beta > 1.0) {
        eoc_text_append(
            out,
            " At width %d single networks scatter widely around this (beta = %.3g): a width of %.0f or more "
            "brings beta below 1, as does less depth.",
            a->width, r->beta, ceil(r->beta * a->width));
    }
}

static void (*const sayings[EOC_NUM_REGIMES])(const eoc_advice *, eoc_text *) = {
    [EOC_ADVICE_LINEAR] = say_linear,
    [EOC_ADVICE_FOLDED] = say_folded,
    [EOC_ADVICE_SCALE_FREE] = say_scale_free,
    [EOC_ADVICE_ISOMETRIC] = say_isometric,
    [EOC_ADVICE_STABLE] = say_stable,
    [EOC_ADVICE_UPPER_BRANCH] = say_upper_branch,
    [EOC_ADVICE_FAR] = say_far,
    [EOC_ADVICE_NONE] = say_none,
};

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

static const char definitions[] =
    "forward    q^L/q^1, change of the mean square of the pre-activations from the first layer to the last\n"
    "gradient   g^1/g^L, change of the mean-square gradient from the last layer to the first\n"
    "signals    layers that signals survive: 6 xi_c (Schoenholz et al. 2017), or until q has changed by 10^6 where it\n"
    "           goes to 0 or grows without bound, whichever is less\n"
    "gradients  layers in which the mean-square gradient changes by 10^6 at its limiting rate chi_1\n"
    "spread     standard deviation over mean of the squared singular values of the Jacobian at this depth\n"
    "beta       variance of log |gradient|^2 between networks of this width, about L/N: above 1 a single network is\n"
    "           far from the averages here; with orthogonal weights about that, without what lengths add\n"
    "mean       (N mu)^2 for entries of mean mu: growth of the mean square a layer, where features share a sign.\n"
    "           Such weights are outside mean-field theory: all units move together, as one; forward and gradient\n"
    "           are estimates that follow this common value.\n";

static const char layer_definitions[] =
    "residual   layers h + W phi(h)/sqrt(L); batch_norm: normalization of W h + b over batches of " TEXT(
        EOC_ADVICE_BATCH) "\n"
                          "           looks_linear: crelu, W = [W', -W'] with W' orthogonal. What theory does not know "
                          "of them is -\n";

/* -- printing -- */

static void wrapped(const char *text, int width)
{
    int column = 0;
    for (const char *word = text; *word;) {
        const int length = (int)strcspn(word, " ");
        if (column > 0 && column + 1 + length > width) {
            putchar('\n');
            column = 0;
        }
        column += printf("%s%.*s", column ? " " : "", length, word);
        word += length + (word[length] == ' ');
    }
    putchar('\n');
}

/* exp(log_value) in a few letters, also where a double would overflow. */
static const char *scale_text(double log_value, char out[24])
{
    const double decades = log_value / log(10.0);
    if (isnan(decades)) {
        snprintf(out, 24, "-");
    } else if (fabs(decades) > 300.0) {
        snprintf(out, 24, isinf(decades) ? (decades > 0 ? "inf" : "0") : "10^%.0f", decades);
    } else {
        snprintf(out, 24, "%.3g", exp(log_value));
    }
    return out;
}

static const char *number_text(double value, char out[24])
{
    snprintf(out, 24, isnan(value) ? "-" : "%.4g", value);
    return out;
}

static void print_row(const eoc_advice *a, int i)
{
    const eoc_advice_row *r = &a->rows[i];
    char text[10][24];
    number_text(r->effective_weight_variance, text[0]);
    number_text(r->bias_variance, text[1]);
    number_text(r->point.chi_1, text[2]);
    scale_text(r->log_forward_scale, text[3]);
    scale_text(r->log_gradient_scale, text[4]);
    number_text(r->point.xi_c, text[5]);
    number_text(floor(r->signal_depth), text[6]);
    number_text(floor(r->gradient_depth), text[7]);
    number_text(r->spread, text[8]);
    number_text(r->beta, text[9]);
    printf("%c %-19s %-9s %-9s %-8s %-9s %-9s %-8s %-9s %-9s %-8s %-8s %s", i == a->recommended ? '*' : ' ', r->name,
           text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7], text[8], text[9],
           eoc_advice_verdict_text(r->verdict));
    if (r->mean_gain > 0.0) {
        printf(" (mean: %.3g)", r->mean_gain);
    }
    putchar('\n');
}

/* Not one of plain layers and the activation asked about. */
static bool is_of_layers(const eoc_advice_row *r)
{
    return r->activation || strcmp(r->architecture, "fully_connected") != 0;
}

static void print_table(const eoc_advice *a, const char *activation, const char *reason, const char *torch)
{
    printf("%s, width %d, depth %d\n\n  %-19s %-9s %-9s %-8s %-9s %-9s %-8s %-9s %-9s %-8s %-8s %s\n", activation,
           a->width, a->depth, "initializer", "sigma_w^2", "sigma_b^2", "chi_1", "forward", "gradient", "xi_c",
           "signals", "gradients", "spread", "beta", "verdict");
    for (int i = 0; i < a->num_rows; i++) {
        print_row(a, i);
    }
    const eoc_advice_row *r = &a->rows[a->recommended];
    printf("\nRecommended: %s (", r->name);
    if (is_of_layers(r)) {
        printf("%s, %s, ", r->architecture, r->activation ? r->activation : activation);
    }
    printf("weight_variance %.10g, bias_variance %.10g)\n\n", r->weight_variance, r->bias_variance);
    wrapped(reason, 118);
    printf("\nPyTorch, for every layer m:  %s\n", torch);
    if (fabs(r->input_variance - 1.0) > 1e-9) {
        printf("inputs of unit variance:     x = %.6g * x\n", sqrt(r->input_variance));
    }
    printf("\n%s%s", definitions, eoc_advice_find(a, "residual") ? layer_definitions : "");
    if (isfinite(a->q_star)) {
        printf("inputs     |x|^2/N = 1; for the critical rows %.4g, so that the signal starts at q_star = %.4g\n",
               eoc_advice_find(a, "critical_orthogonal")->input_variance, a->q_star);
    }
}

static void json_row(json *j, const char *activation, const eoc_advice_row *r)
{
    eoc_text torch = {0};
    eoc_advice_torch(r, &torch);
    json_open(j, NULL, '{');
    json_text(j, "name", r->name);
    json_text(j, "architecture", r->architecture);
    json_text(j, "activation", r->activation ? r->activation : activation);
    json_text(j, "initializer", r->initializer.kind->name);
    json_number(j, "weight_variance", r->weight_variance);
    json_number(j, "effective_weight_variance", r->effective_weight_variance);
    json_number(j, "bias_variance", r->bias_variance);
    json_number(j, "input_variance", r->input_variance);
    json_integer(j, "status", r->point.status);
    json_number(j, "q_star", r->point.q_star);
    json_number(j, "chi_1", r->point.chi_1);
    json_number(j, "chi_q", r->point.chi_q);
    json_number(j, "xi_c", r->point.xi_c);
    json_number(j, "log_forward_scale", r->log_forward_scale);
    json_number(j, "log_gradient_scale", r->log_gradient_scale);
    json_number(j, "signal_depth", r->signal_depth);
    json_bool(j, "signal_depth_infinite", isinf(r->signal_depth));
    json_number(j, "gradient_depth", r->gradient_depth);
    json_bool(j, "gradient_depth_infinite", isinf(r->gradient_depth));
    json_number(j, "singular_value_spread", r->spread);
    json_number(j, "beta", r->beta);
    json_number(j, "mean_gain", r->mean_gain);
    json_text(j, "verdict", eoc_advice_verdict_text(r->verdict));
    json_text(j, "pytorch", torch.data);
    json_close(j, '}');
    eoc_text_clear(&torch);
}

static void write_json(const eoc_advice *a, const char *activation, const char *reason, const char *torch, json *j)
{
    const eoc_advice_row *r = &a->rows[a->recommended];
    json_open(j, NULL, '{');
    json_text(j, "activation", activation);
    json_integer(j, "width", a->width);
    json_integer(j, "depth", a->depth);
    json_text(j, "regime", eoc_advice_regime_name(a->regime));
    json_bool(j, "beyond_reach", a->beyond_reach);
    json_open(j, "recommendation", '{');
    json_text(j, "name", r->name);
    json_number(j, "weight_variance", r->weight_variance);
    json_number(j, "effective_weight_variance", r->effective_weight_variance);
    json_number(j, "bias_variance", r->bias_variance);
    json_number(j, "q_star", a->q_star);
    json_number(j, "input_variance", r->input_variance);
    json_text(j, "reason", reason);
    json_text(j, "pytorch", torch);
    json_close(j, '}');
    json_open(j, "initializers", '[');
    for (int i = 0; i < a->num_rows; i++) {
        json_row(j, activation, &a->rows[i]);
    }
    json_close(j, ']');
    eoc_text all = {0};
    eoc_text_append(&all, "%s%s", definitions, eoc_advice_find(a, "residual") ? layer_definitions : "");
    json_text(j, "definitions", all.data);
    eoc_text_clear(&all);
    json_close(j, '}');
}

/* -- the picture: eoc-plot draws it from the JSON -- */

/* eoc-plot beside the program, or where the source tree has it; else the name alone, to be looked for in PATH. */
static void find_plot_program(eoc_text *path)
{
    static const char *const places[] = {"/eoc-plot", "/../tools/eoc-plot"};
    char self[4096];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    char *const slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
        *slash = '\0';
        eoc_text_append(path, "%s%s", self, places[i]);
        if (access(path->data, X_OK) == 0) {
            return;
        }
        eoc_text_clear(path);
    }
    eoc_text_append(path, "eoc-plot");
}

enum { EXIT_NOT_FOUND = 127 };

/* Runs PROGRAM advise JSON -o PICTURE; its exit code. */
static int run_plot_program(const char *program, const char *json_path, const char *picture)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        /* Of eoc-plot only the picture is wanted, not its name on the way of --json. */
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execlp(program, program, "advise", json_path, "-o", picture, (char *)NULL);
        _exit(EXIT_NOT_FOUND);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        return EXIT_OTHER;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_OTHER;
}

static int plot(const char *text, const char *picture)
{
    const char *folder = getenv("TMPDIR");
    eoc_text path = {0}, program = {0};
    eoc_text_append(&path, "%s/eoc-advise-XXXXXX", folder && *folder ? folder : "/tmp");
    const int fd = mkstemp(path.data);
    const size_t length = strlen(text);
    const bool is_written = fd >= 0 && write(fd, text, length) == (ssize_t)length;
    int code = EXIT_OTHER;
    if ((fd >= 0 && close(fd) != 0) || !is_written) {
        fprintf(stderr, "eoc: --plot: %s cannot be written: %s\n", path.data, strerror(errno));
    } else {
        find_plot_program(&program);
        code = run_plot_program(program.data, path.data, picture);
        if (code == EXIT_NOT_FOUND) {
            fprintf(stderr, "eoc: --plot needs eoc-plot, which is neither beside this program, nor in ../tools, nor in "
                            "PATH; --json and eoc-plot advise FILE.json draw it elsewhere\n");
            code = EXIT_OTHER;
        }
    }
    if (fd >= 0) {
        unlink(path.data);
    }
    eoc_text_clear(&path);
    eoc_text_clear(&program);
    return code;
}

static int show(const arguments *a, const eoc_advice *advice, const char *activation)
{
    eoc_text reason = {0}, torch = {0};
    json j = {0};
    sayings[advice->regime](advice, &reason);
    say_of_width(advice, &reason);
    eoc_advice_torch(&advice->rows[advice->recommended], &torch);
    write_json(advice, activation, reason.data, torch.data, &j);
    if (a->json) {
        puts(j.text.data);
    } else {
        print_table(advice, activation, reason.data, torch.data);
    }
    const int code = a->plot ? plot(j.text.data, a->plot) : EXIT_DONE;
    eoc_text_clear(&j.text);
    eoc_text_clear(&reason);
    eoc_text_clear(&torch);
    return code;
}

static eoc_status compute(const arguments *a, eoc_advice *advice, char spelling[EOC_MAX_KIND_BYTES])
{
    eoc_sweep sweep = {0};
    EOC_TRY(eoc_cli_point_sweep(&a->point, &sweep));
    const eoc_network network = eoc_grid_get(&sweep.grid, sweep.seed, 0).network;
    snprintf(spelling, EOC_MAX_KIND_BYTES, "%s", sweep.grid.axes[EOC_AXIS_ACTIVATION].names[0]);
    eoc_sweep_clear(&sweep);
    return eoc_advise(&network.activation, network.width, network.depth, advice);
}

int eoc_cli_advise(int argc, char **argv)
{
    arguments a = {0};
    argp_err_exit_status = EXIT_USAGE;
    eoc_cli_name_options(options);
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0) {
        return EXIT_USAGE;
    }
    eoc_advice advice;
    char spelling[EOC_MAX_KIND_BYTES];
    const eoc_status status = compute(&a, &advice, spelling);
    if (status != EOC_OK) {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
        return eoc_cli_exit_code(status);
    }
    return show(&a, &advice, spelling);
}
