/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "json.h"
#include "point.h"

#include "eoc/critical.h"
#include "eoc/mean_field.h"
#include "eoc/sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_Q_STAR = 256, KEY_JSON };

enum { MAX_POINTS = 96 };

/* Beyond this no initializer in use comes near: said in words. */
static const double ABSURD_WEIGHT_VARIANCE = 20.0;

typedef struct {
    eoc_cli_point point;
    const char *q_star;
    bool json;
} arguments;

static struct argp_option options[] = {
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_ACTIVATION, NULL, 0, "see eoc list activations", 0},
    {NULL, EOC_CLI_KEY_POINT + EOC_CLI_BIAS_VARIANCE, NULL, 0, "all points of the line at this bias variance", 0},
    {"q-star", KEY_Q_STAR, "Q", 0, "the point of the line with this mean square of the pre-activations", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object; NaN and infinities are null", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *const a = state->input;
    if (eoc_cli_take_point_option(key, value, &a->point)) {
        return 0;
    }
    switch (key) {
    case KEY_Q_STAR:
        a->q_star = value;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is not an option; --activation names the activation", value);
        return 0;
    case ARGP_KEY_END:
        if (!a->point.text[EOC_CLI_ACTIVATION]) {
            argp_error(state, "--activation is needed, such as --activation tanh");
        }
        if (a->point.text[EOC_CLI_BIAS_VARIANCE] && a->q_star) {
            argp_error(state, "--bias-variance or --q-star, not both: either one fixes the point");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "The edge of chaos, chi_1 = 1: where gradients neither vanish nor explode.\n\n"
           "  eoc critical --activation tanh --bias-variance 0.05\n"
           "  eoc critical --activation gelu                          the whole line, with its half-stable point\v"
           "gain is sigma_w, as PyTorch's nn.init.orthogonal_ takes it (or xavier_normal_ on a square layer); scale is "
           "sigma_w^2, as TensorFlow's VarianceScaling with mode fan_in takes it. Where a point is unstable a signal "
           "does not stay there: the table says where it goes."};

/* A point of the line and what a signal that starts with inputs of |x|^2/N = 1 does there. */
typedef struct {
    eoc_critical_point at;
    eoc_mean_field reached, from_below; /* from q_1 of such inputs, and from just below an unstable q_star */
    bool stays;                         /* the signal ends at the point itself */
    const char *stability;
} line_point;

typedef struct {
    eoc_activation activation;
    char spelling[EOC_MAX_KIND_BYTES];
    line_point points[MAX_POINTS];
    int count;
    eoc_text message;
} line;

static eoc_status complete(const eoc_activation *act, line_point *p)
{
    const eoc_critical_point *at = &p->at;
    EOC_TRY(eoc_mean_field_find(act, at->sigma_w2, at->sigma_b2, at->sigma_w2 + at->sigma_b2, &p->reached));
    const double q = p->reached.q_star;
    p->stays = isnan(at->q_star) || act->kind->scale_invariant || fabs(q - at->q_star) <= 1e-5 * (at->q_star + 1e-12);
    if (!p->stays && at->q_star > 0.0) {
        EOC_TRY(eoc_mean_field_find(act, at->sigma_w2, at->sigma_b2, 0.99 * at->q_star, &p->from_below));
    }
    static const double TOUCHING = 1e-7;
    bool touches = at->q_star > 0.0 && fabs(at->chi_q - 1.0) < TOUCHING;
    if (touches) { /* the map curves away; where it does not, every length nearby is kept */
        eoc_critical_point further;
        EOC_TRY(eoc_critical_at_q(act, 1.1 * at->q_star, &further));
        touches = fabs(further.chi_q - 1.0) >= TOUCHING;
    }
    p->stability = eoc_cli_stability(at->chi_q, touches);
    if (at->q_star == 0.0 && !p->stays) {
        p->stability = "unstable"; /* slope 1 at q = 0, and the map leaves from there */
    }
    return EOC_OK;
}

static eoc_status add(line *l, eoc_critical_point at)
{
    if (l->count == MAX_POINTS) {
        return EOC_OK;
    }
    line_point *const p = &l->points[l->count++];
    *p = (line_point){.at = at};
    return complete(&l->activation, p);
}

static eoc_status add_at_bias(line *l, double sigma_b2)
{
    eoc_critical_point found[16];
    int count = 0;
    EOC_TRY(eoc_critical_find(&l->activation, sigma_b2, 16, found, &count));
    for (int i = 0; i < count && i < 16; i++) {
        found[i].sigma_b2 = sigma_b2; /* as asked, to the last digit */
        EOC_TRY(add(l, found[i]));
    }
    return EOC_OK;
}

/* -- the line as a table -- */

static bool in_plane(const eoc_critical_point *p)
{
    return isfinite(p->sigma_w2) && isfinite(p->sigma_b2) && p->sigma_b2 >= 0.0;
}

/* The point between two of the line where it turns from unstable to stable: chi_q = 1, half-stable. */
static eoc_status add_half_stable(line *l, double low, double high, bool stable_above)
{
    eoc_critical_point p = {0};
    for (int i = 0; i < 60; i++) {
        const double middle = sqrt(low * high);
        EOC_TRY(eoc_critical_at_q(&l->activation, middle, &p));
        const bool stable = p.chi_q < 1.0;
        *(stable == stable_above ? &high : &low) = middle;
    }
    return in_plane(&p) ? add(l, p) : EOC_OK;
}

/* 1, 2 and 5 of every decade from 1e-4 to 100. */
enum { TABLE_POINTS = 19 };

static double table_q(int i)
{
    static const double steps[] = {1.0, 2.0, 5.0};
    return steps[i % 3] * pow(10.0, i / 3 - 4);
}

static eoc_status add_table(line *l)
{
    double q[TABLE_POINTS];
    eoc_critical_point at[TABLE_POINTS];
    for (int i = 0; i < TABLE_POINTS; i++) {
        q[i] = table_q(i);
    }
    EOC_TRY(eoc_critical_fill(&l->activation, q, TABLE_POINTS, at));
    EOC_TRY(add_at_bias(l, 0.0));
    for (int i = 0; i < TABLE_POINTS; i++) {
        const bool before = i > 0 && in_plane(&at[i - 1]);
        if (in_plane(&at[i]) && before && (at[i - 1].chi_q < 1.0) != (at[i].chi_q < 1.0) &&
            fabs(at[i].chi_q - at[i - 1].chi_q) > 1e-6) {
            EOC_TRY(add_half_stable(l, q[i - 1], q[i], at[i].chi_q < 1.0));
        }
        /* Where phi saturates, 1/E[phi'^2] runs away with q. */
        if (in_plane(&at[i]) && at[i].sigma_w2 < 1e4) {
            EOC_TRY(add(l, at[i]));
        }
    }
    return EOC_OK;
}

/* -- what is said in words -- */

static double least_weight_variance(const line *l)
{
    double least = INFINITY;
    for (int i = 0; i < l->count; i++) {
        least = fmin(least, l->points[i].at.sigma_w2);
    }
    return least;
}

/* With scale-invariant phi the line is a point, found at bias variance 0 whatever was asked. */
static void say_of_one_point(line *l, const eoc_critical_point *only, bool asked_elsewhere)
{
    eoc_text_append(&l->message,
                    "%s has one critical point, not a line: weight variance %.12g with bias variance 0, where every "
                    "length of the signal is kept.%s",
                    l->spelling, only->sigma_w2,
                    asked_elsewhere ? " There is none at the bias variance asked for." : "");
}

static void say_of_line(line *l, const arguments *a)
{
    if (l->count == 0 && a->q_star) {
        eoc_text_append(&l->message,
                        "The critical line of %s does not pass through q_star = %s: the bias variance "
                        "would have to be negative.",
                        l->spelling, a->q_star);
    } else if (l->count == 0 && a->point.text[EOC_CLI_BIAS_VARIANCE]) {
        eoc_text_append(&l->message, "%s has no critical point at bias variance %s with q_star between %g and %g.",
                        l->spelling, a->point.text[EOC_CLI_BIAS_VARIANCE], EOC_CRITICAL_LEAST_Q,
                        EOC_CRITICAL_GREATEST_Q);
    }
    if (l->count > 0 && least_weight_variance(l) > ABSURD_WEIGHT_VARIANCE) {
        eoc_text_append(
            &l->message,
            "%schi_1 = 1 is reached only from weight variance %.7g up, far above any initializer in use: for "
            "practical weights %s is ordered, and gradients vanish.",
            a->point.text[EOC_CLI_BIAS_VARIANCE] ? "At this bias variance "
            : a->q_star                          ? "With this q_star "
                                                 : "",
            least_weight_variance(l), l->spelling);
    }
    for (int i = 0; i < l->count; i++) {
        if (!l->points[i].stays && !a->q_star && !a->point.text[EOC_CLI_BIAS_VARIANCE]) {
            eoc_text_append(&l->message,
                            "The part of the line that is unstable is no edge of chaos to a signal: it leaves for "
                            "another fixed point.");
            return;
        }
    }
}

static eoc_status find_line(line *l, const arguments *a, double bias_variance, double q_star)
{
    eoc_critical_point only[1];
    int at_zero = 0;
    if (l->activation.kind->scale_invariant) {
        EOC_TRY(eoc_critical_find(&l->activation, 0.0, 1, only, &at_zero));
        const bool elsewhere = bias_variance > 0.0;
        if (!elsewhere) {
            only[0].q_star = a->q_star ? q_star : only[0].q_star; /* as good as any other */
            EOC_TRY(add(l, only[0]));
        }
        say_of_one_point(l, &only[0], elsewhere);
        return EOC_OK;
    }
    if (a->q_star) {
        eoc_critical_point at;
        EOC_TRY(eoc_critical_at_q(&l->activation, q_star, &at));
        EOC_TRY(in_plane(&at) ? add(l, at) : EOC_OK);
    } else if (a->point.text[EOC_CLI_BIAS_VARIANCE]) {
        EOC_TRY(add_at_bias(l, bias_variance));
    } else {
        EOC_TRY(add_table(l));
    }
    if (l->count == 0 && !a->q_star && !a->point.text[EOC_CLI_BIAS_VARIANCE]) {
        eoc_text_append(&l->message,
                        "%s has no edge of chaos: chi_1 = 1 would need a negative bias variance at every q_star.",
                        l->spelling);
    }
    say_of_line(l, a);
    return EOC_OK;
}

/* -- printing -- */

/* q_star is null where q grows without bound: then `diverges` says so. */
static void json_reached(json *j, const char *key, const eoc_mean_field *m)
{
    json_open(j, key, '{');
    json_number(j, "q_star", m->q_star);
    json_bool(j, "diverges", (m->status & EOC_THEORY_Q_DIVERGES) != 0);
    json_number(j, "chi_1", m->chi_1);
    json_number(j, "xi_c", m->xi_c);
    json_close(j, '}');
}

static void print_json(const line *l)
{
    json j = {0};
    json_open(&j, NULL, '{');
    json_text(&j, "activation", l->spelling);
    json_text(&j, "message", l->message.data);
    json_open(&j, "points", '[');
    for (int i = 0; i < l->count; i++) {
        const line_point *p = &l->points[i];
        json_open(&j, NULL, '{');
        json_number(&j, "weight_variance", p->at.sigma_w2);
        json_number(&j, "bias_variance", p->at.sigma_b2);
        json_number(&j, "q_star", p->at.q_star);
        json_number(&j, "chi_q", p->at.chi_q);
        json_text(&j, "stability", p->stability);
        json_number(&j, "gain", sqrt(p->at.sigma_w2));
        json_number(&j, "variance_scaling_scale", p->at.sigma_w2);
        json_bool(&j, "signal_stays", p->stays);
        if (!p->stays) {
            json_reached(&j, "reached", &p->reached);
            if (p->at.q_star > 0.0) {
                json_reached(&j, "reached_from_below", &p->from_below);
            }
        }
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_print(&j);
}

static void print_reached(const eoc_mean_field *m)
{
    if (m->status & EOC_THEORY_Q_DIVERGES) {
        printf("grows without bound");
    } else {
        printf("q_star %.5g, chi_1 %.5g, xi_c %.4g", m->q_star, m->chi_1, m->xi_c);
    }
}

static void print_point(const line_point *p)
{
    char q[32];
    snprintf(q, sizeof q, isnan(p->at.q_star) ? "any" : "%.9g", p->at.q_star);
    printf("%-15.10g %-17.11g %-13s %-10.6g %-12s %-11.8g %-15.10g", p->at.sigma_w2, p->at.sigma_b2, q, p->at.chi_q,
           p->stability, sqrt(p->at.sigma_w2), p->at.sigma_w2);
    if (!p->stays) {
        putchar(' ');
        print_reached(&p->reached);
        if (p->at.q_star > 0.0 && p->reached.q_star != p->from_below.q_star) {
            printf("; smaller ones: ");
            print_reached(&p->from_below);
        }
    }
    putchar('\n');
}

/* The one line of PyTorch that sets a single point. */
static void print_use(const line_point *p)
{
    printf("\nPyTorch (square layers):  nn.init.orthogonal_(m.weight, gain=%.7g); ", sqrt(p->at.sigma_w2));
    if (p->at.sigma_b2 > 0.0) {
        printf("nn.init.normal_(m.bias, 0, %.7g)\n", sqrt(p->at.sigma_b2));
    } else {
        printf("nn.init.zeros_(m.bias)\n");
    }
    printf("TensorFlow:               VarianceScaling(scale=%.7g, mode='fan_in', distribution='untruncated_normal')\n",
           p->at.sigma_w2);
}

static void print_table(const line *l)
{
    printf("Critical points of %s (chi_1 = 1)\n", l->spelling);
    if (l->count > 0) {
        bool all_stay = true;
        for (int i = 0; i < l->count; i++) {
            all_stay = all_stay && l->points[i].stays;
        }
        printf("\n%-15s %-17s %-13s %-10s %-12s %-11s %-15s%s\n", "weight variance", "bias variance", "q_star", "chi_q",
               "stability", "gain", "scale", all_stay ? "" : " where signals of inputs with |x|^2/N = 1 go");
        for (int i = 0; i < l->count; i++) {
            print_point(&l->points[i]);
        }
    }
    if (l->count == 1) {
        print_use(&l->points[0]);
    }
    if (l->message.data) {
        printf("\n%s\n", l->message.data);
    }
}

static eoc_status read_q_star(const char *text, double *value)
{
    EOC_REQUIRE(eoc_text_to_double(text, value) && *value >= 1e-10 && *value <= 1e8, EOC_ERR_USAGE,
                "--q-star: '%.60s' is not a number from 1e-10 to 1e8", text);
    return EOC_OK;
}

static eoc_status find_and_print(const arguments *a, line *l)
{
    double q_star = NAN;
    if (a->q_star) {
        EOC_TRY(read_q_star(a->q_star, &q_star));
    }
    eoc_sweep sweep = {0};
    EOC_TRY(eoc_cli_point_sweep(&a->point, &sweep));
    const eoc_network network = eoc_grid_get(&sweep.grid, sweep.seed, 0).network;
    l->activation = network.activation;
    snprintf(l->spelling, sizeof l->spelling, "%s", sweep.grid.axes[EOC_AXIS_ACTIVATION].names[0]);
    eoc_sweep_clear(&sweep);
    EOC_TRY(eoc_activation_check_theory(&l->activation));
    EOC_TRY(find_line(l, a, network.bias_variance, q_star));
    if (a->json) {
        print_json(l);
    } else {
        print_table(l);
    }
    return EOC_OK;
}

int eoc_cli_critical(int argc, char **argv)
{
    arguments a = {0};
    argp_err_exit_status = EXIT_USAGE;
    eoc_cli_name_options(options);
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0) {
        return EXIT_USAGE;
    }
    line l = {0};
    const eoc_status status = find_and_print(&a, &l);
    eoc_text_clear(&l.message);
    if (status != EOC_OK) {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    }
    return eoc_cli_exit_code(status);
}
