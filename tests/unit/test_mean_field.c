/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eoc/critical.h"
#include "eoc/mean_field.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values named "physics note" are independent float64 computations, or published figures that agree with them. */

static const double PI = 3.14159265358979323846;

/* NaN fails; equal infinities pass. */
#define CHECK_NEAR(got, want, tolerance) check_near((got), (want), (tolerance), #got, __LINE__)
#define CHECK_RELATIVE(got, want, tolerance) check_near((got), (want), (tolerance)*fabs(want), #got, __LINE__)

static void check_near(double got, double want, double tolerance, const char *what, int line)
{
    if (isinf(want) && got == want) {
        return;
    }
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("line %d: %s is %.17g, not %.17g (difference %.2g, allowed %.2g)", line, what, got, want, got - want,
                 tolerance);
    }
}

static eoc_activation activation(const char *name)
{
    eoc_activation act;
    if (eoc_activation_find(name, &act) != EOC_OK) {
        fail_msg("no activation '%s'", name);
    }
    return act;
}

/* -- reference files -- */

/* Opens tests/reference/<name> and skips its heading; a missing file is a failure. */
static FILE *open_reference(const char *name)
{
    char path[4096], heading[1024];
    snprintf(path, sizeof path, "%s/%s", EOC_TEST_REFERENCE, name);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(heading, sizeof heading, file)) {
        fail_msg("cannot read %s", path);
    }
    return file;
}

/* One line: a name and `count` numbers. False at the end of the file; a malformed line is a failure. */
static bool read_row(FILE *file, char name[64], int count, double *values)
{
    char line[1024];
    if (!fgets(line, sizeof line, file)) {
        return false;
    }
    char *at = strchr(line, ',');
    assert_non_null(at);
    assert_true(at - line < 64);
    memcpy(name, line, (size_t)(at - line));
    name[at - line] = '\0';
    for (int i = 0; i < count; i++) {
        char *end = NULL;
        values[i] = strtod(at + 1, &end);
        assert_true(end != at + 1);
        at = end;
    }
    return true;
}

/* theory.csv is good to 1e-9, its slope of the length map to 1e-8; xi and c_star lose 1/|1 - slope|. */
static void reference_points(void **state)
{
    (void)state;
    FILE *file = open_reference("theory.csv");
    char name[64];
    double v[11];
    int rows = 0;
    while (read_row(file, name, 11, v)) {
        const eoc_activation act = activation(name);
        const double sigma_w2 = v[0], sigma_b2 = v[1];
        const bool line = strcmp(name, "relu") == 0 && sigma_b2 == 0.0; /* its row starts from q = 1 */
        eoc_mean_field point;
        assert_int_equal(eoc_mean_field_find(&act, sigma_w2, sigma_b2, line ? 1.0 : sigma_w2 + sigma_b2, &point),
                         EOC_OK);
        CHECK_RELATIVE(point.q_star, v[2], 1e-9);
        CHECK_RELATIVE(point.chi_1, v[3], 1e-9);
        CHECK_NEAR(point.c_star, v[4], 1e-9);
        CHECK_RELATIVE(point.chi_q, v[5], 1e-8);
        CHECK_RELATIVE(point.xi_q, v[6], 1e-7);
        CHECK_RELATIVE(point.chi_c, v[7], 1e-9);
        CHECK_RELATIVE(point.xi_c, v[8], 1e-9 * fmax(1.0, isfinite(v[8]) ? v[8] : 1.0));
        CHECK_RELATIVE(point.mu_1, v[9], 1e-9);
        CHECK_RELATIVE(point.mu_2, v[10], 1e-9);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 19);
}

/* trajectories.csv has ten digits. */
static void reference_trajectories(void **state)
{
    (void)state;
    FILE *file = open_reference("trajectories.csv");
    char name[64];
    double v[7];
    int rows = 0;
    while (read_row(file, name, 7, v)) {
        const eoc_activation act = activation(name);
        const double variance = v[2], count = 2.0;
        const eoc_theory_pair pair = {.correlation = v[3], .count = 2.0};
        const eoc_theory_inputs inputs = {
            .num_variances = 1, .variances = &variance, .counts = &count, .num_pairs = 1, .pairs = &pair};
        eoc_curves *curves = NULL;
        const int layer = (int)v[4];
        assert_int_equal(eoc_curves_create(&act, v[0], v[1], &inputs, layer, &curves), EOC_OK);
        double log_q = 0.0, c = 0.0;
        eoc_curve_rows out = {.log_q = &log_q, .c = &c};
        eoc_curves_fill(curves, layer, &layer, 1, -1.0, &out);
        CHECK_RELATIVE(exp(log_q), v[5], 1e-9);
        CHECK_NEAR(c, v[6], 1e-9);
        eoc_curves_destroy(&curves);
        assert_null(curves);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 35);
}

/* One pair through one layer of weight variance 1: 1 - c of the activations over that of the inputs, and the cosine of
 * gradients. (A cosine near 1 is a double: its distance from 1 is what the double says.) */
static void look_at_pair(const eoc_activation *act, double q, double correlation, double *ratio, double *gradient_c)
{
    const double count = 2.0;
    const eoc_theory_pair pair = {.correlation = correlation, .count = 2.0};
    const eoc_theory_inputs inputs = {
        .num_variances = 1, .variances = &q, .counts = &count, .num_pairs = 1, .pairs = &pair};
    eoc_curves *curves = NULL;
    assert_int_equal(eoc_curves_create(act, 1.0, 0.0, &inputs, 2, &curves), EOC_OK);
    const int first = 1, second = 2;
    double one_minus_c = 0.0;
    eoc_curve_rows gradient = {.gradient_c = gradient_c}, signal = {.one_minus_c = &one_minus_c};
    eoc_curves_fill(curves, 1, &first, 1, -1.0, &gradient);
    eoc_curves_fill(curves, 2, &second, 1, -1.0, &signal);
    *ratio = one_minus_c / (1.0 - correlation);
    eoc_curves_destroy(&curves);
}

/* pairs.csv, by mpmath: every rule for pairs, at small and large variances, near c = 1 and far from it. */
static void reference_pairs(void **state)
{
    (void)state;
    FILE *file = open_reference("pairs.csv");
    char name[64];
    double v[4];
    int rows = 0;
    while (read_row(file, name, 4, v)) {
        const eoc_activation act = activation(name);
        double ratio = 0.0, gradient_c = 0.0;
        look_at_pair(&act, v[0], 1.0 - v[1], &ratio, &gradient_c);
        CHECK_RELATIVE(ratio, v[2] / v[1], 2e-12);
        CHECK_NEAR(gradient_c, v[3], 2e-12);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 64);
}

/* sin: E[sin u1 sin u2] = exp(-q) sinh(q c), of cosines cosh. */
static void sine_kernel(void **state)
{
    (void)state;
    static const double variances[] = {1e-3, 0.3, 1.0, 7.9, 8.1, 100.0};
    static const double correlations[] = {-0.9, -0.2, 0.3, 0.8, 0.99, 0.99999};
    const eoc_activation act = activation("sin");
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 6; k++) {
            const double q = variances[i], c = correlations[k];
            double ratio = 0.0, gradient_c = 0.0;
            look_at_pair(&act, q, c, &ratio, &gradient_c);
            /* sinh q - sinh qc = 2 cosh(q (1 + c)/2) sinh(q (1 - c)/2) */
            const double apart = 2.0 * cosh(0.5 * q * (1.0 + c)) * sinh(0.5 * q * (1.0 - c)) / sinh(q);
            CHECK_RELATIVE(ratio, apart / (1.0 - c), 2e-12);
            CHECK_NEAR(gradient_c, cosh(q * c) / cosh(q), 2e-12);
        }
    }
}

/* Moments of sines likewise, on either side of where closed forms take over: E[cos(k u)] = exp(-k^2 q/2). */
static void sine_moments(void **state)
{
    (void)state;
    const eoc_activation act = activation("sin");
    static const double points[][2] = {{3.0, 0.5}, {8.0, 1.0}, {15.0, 1.0}, {30.0, 2.0}, {1e5, 0.0}};
    for (size_t i = 0; i < 5; i++) {
        const double w2 = points[i][0], b2 = points[i][1];
        eoc_mean_field m;
        assert_int_equal(eoc_mean_field_find(&act, w2, b2, w2 + b2, &m), EOC_OK);
        const double q = m.q_star, rest = exp(-2.0 * q);
        CHECK_RELATIVE(q, 0.5 * w2 * (1.0 - rest) + b2, 1e-12);
        CHECK_RELATIVE(m.mu_1, 0.5 * (1.0 + rest), 1e-12);
        CHECK_RELATIVE(m.mu_2, 0.375 + 0.5 * rest + 0.125 * exp(-8.0 * q), 1e-12);
        CHECK_NEAR(m.chi_q, w2 * rest, 1e-11);
        CHECK_NEAR(m.length_map_second_derivative, -2.0 * w2 * rest, 1e-10);
        CHECK_RELATIVE(m.manifold_curvature, sqrt(1.5 * w2 * (1.0 - rest) / (m.chi_1 * (m.chi_1 - 1.0))), 1e-9);
    }
}

/* What was asked before leaves no trace, of the same activation or of others. */
static void no_memory_of_other_points(void **state)
{
    (void)state;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_activation act = activation(eoc_activation_row(row)->name), other = activation("gelu");
        if (eoc_activation_check_theory(&act) != EOC_OK) {
            continue;
        }
        double first[2], again[2], unused[2];
        look_at_pair(&other, 3.0, 0.5, &unused[0], &unused[1]);
        look_at_pair(&act, 12.0, 0.7, &first[0], &first[1]);
        look_at_pair(&act, 90.0, 0.999, &unused[0], &unused[1]);
        look_at_pair(&act, 0.01, -0.2, &unused[0], &unused[1]);
        look_at_pair(&act, 12.0, 0.7, &again[0], &again[1]);
        assert_memory_equal(first, again, sizeof first);
    }
}

/* critical_line.csv has twelve digits; its bias variances come from a subtraction good to 1e-12 absolute. */
static void reference_critical_line(void **state)
{
    (void)state;
    FILE *file = open_reference("critical_line.csv");
    char name[64];
    double v[3];
    int rows = 0;
    while (read_row(file, name, 3, v)) {
        const eoc_activation act = activation(name);
        eoc_critical_point point;
        assert_int_equal(eoc_critical_at_q(&act, v[0], &point), EOC_OK);
        CHECK_RELATIVE(point.sigma_w2, v[1], 1e-10);
        CHECK_NEAR(point.sigma_b2, v[2], 1e-10 * v[2] + 2e-12);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 88);
}

/* -- the critical line -- */

typedef struct {
    const char *name;
    double sigma_b2, sigma_w2, q_star, tolerance;
} line_case;

/* published.md, A2, five digits; tanh at 0.05 published as 1.76 by Schoenholz et al. 2017; sigmoid from its golden
 * values. */
static void critical_points_by_bias(void **state)
{
    (void)state;
    static const line_case cases[] = {
        {"tanh", 0.05, 1.76095, 0.57005, 1e-5},      {"tanh", 0.001, 1.18919, 0.10729, 1e-5},
        {"tanh", 0.2, 2.28515, 1.16450, 1e-5},       {"erf", 0.05, 1.37584, 0.51718, 1e-5},
        {"hard_tanh", 0.01, 1.05206, 0.25915, 1e-5}, {"hard_tanh", 0.2, 1.41062, 0.89721, 1e-5},
        {"elu", 0.05, 1.53372, 1.30091, 1e-5},       {"selu", 0.04, 0.87886, 0.71705, 1e-5},
        {"silu", 0.2, 2.18669, 3.33674, 1e-5},       {"gelu", 0.2, 1.97067, 4.47095, 1e-5},
        {"gelu", 0.01, 2.98280, 0.18348, 1e-5},      {"sigmoid", 0.0, 103.0075539, 45.6243, 1e-4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const eoc_activation act = activation(cases[i].name);
        eoc_critical_point points[4];
        int count = 0;
        assert_int_equal(eoc_critical_find(&act, cases[i].sigma_b2, 4, points, &count), EOC_OK);
        if (count != 1) {
            fail_msg("%s at %g: %d points of the line, not 1", cases[i].name, cases[i].sigma_b2, count);
        }
        CHECK_NEAR(points[0].sigma_w2, cases[i].sigma_w2, cases[i].tolerance * fmax(1.0, 0.01 * cases[i].sigma_w2));
        CHECK_NEAR(points[0].q_star, cases[i].q_star, cases[i].tolerance);
        CHECK_NEAR(points[0].sigma_b2, cases[i].sigma_b2, 1e-10 * cases[i].sigma_b2 + 1e-10);
        eoc_mean_field at;
        assert_int_equal(eoc_mean_field_find(&act, points[0].sigma_w2, points[0].sigma_b2, points[0].q_star, &at),
                         EOC_OK);
        if (points[0].chi_q < 1.0) {
            CHECK_NEAR(at.chi_1, 1.0, 1e-9);
            CHECK_RELATIVE(at.chi_q, points[0].chi_q, 1e-8);
        }
    }
}

/* Ends of the line: He et al. 2015 for relu, phi'(0) for smooth phi; softplus has none (published.md, A2). */
static void critical_points_at_the_ends(void **state)
{
    (void)state;
    eoc_critical_point point;
    int count = 0;
    const eoc_activation relu = activation("relu"), leaky = activation("leaky_relu(slope=0.2)");
    const eoc_activation gelu = activation("gelu"), softplus = activation("softplus"), tanh_ = activation("tanh");
    assert_int_equal(eoc_critical_find(&relu, 0.0, 1, &point, &count), EOC_OK);
    assert_int_equal(count, 1);
    CHECK_NEAR(point.sigma_w2, 2.0, 0.0);
    assert_int_equal(eoc_critical_find(&relu, 0.1, 1, &point, &count), EOC_OK);
    assert_int_equal(count, 0);
    assert_int_equal(eoc_critical_find(&leaky, 0.0, 1, &point, &count), EOC_OK);
    CHECK_RELATIVE(point.sigma_w2, 2.0 / 1.04, 1e-15);
    assert_int_equal(eoc_critical_find(&gelu, 0.0, 1, &point, &count), EOC_OK);
    assert_int_equal(count, 1);
    CHECK_NEAR(point.sigma_w2, 4.0, 1e-14);
    assert_int_equal(eoc_critical_find(&softplus, 0.05, 1, &point, &count), EOC_OK);
    assert_int_equal(count, 0);
    /* Small signals see the straight part of hard_tanh: no other point than (1, 0) at q = 0, whatever rounding says. */
    const eoc_activation hard = activation("hard_tanh");
    assert_int_equal(eoc_critical_find(&hard, 0.0, 1, &point, &count), EOC_OK);
    assert_int_equal(count, 1);
    /* tanh at q = 1e-4: published.md, golden values; in the limit sigma_b2 = (4/3) q^3, from phi = u - u^3/3. */
    assert_int_equal(eoc_critical_at_q(&tanh_, 1e-4, &point), EOC_OK);
    CHECK_RELATIVE(point.sigma_b2, 1.33253383165e-12, 2e-11);
    assert_int_equal(eoc_critical_at_q(&tanh_, 1e-6, &point), EOC_OK);
    CHECK_RELATIVE(point.sigma_b2, 4.0 / 3.0 * 1e-18, 1e-5);
}

/* published.md, golden values; four to six digits of them in Roberts, Yaida & Hanin 2022, ch. 5. */
static void half_stable_points(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double q_star, sigma_w2, sigma_b2;
    } cases[] = {{"gelu", 3.561552812809, 1.983058257438, 0.172922390756},
                 {"silu", 14.320173618025, 1.988004678269, 0.555143170722}};
    for (size_t i = 0; i < 2; i++) {
        const eoc_activation act = activation(cases[i].name);
        eoc_critical_point point;
        assert_int_equal(eoc_critical_at_q(&act, cases[i].q_star, &point), EOC_OK);
        CHECK_RELATIVE(point.sigma_w2, cases[i].sigma_w2, 2e-12);
        CHECK_RELATIVE(point.sigma_b2, cases[i].sigma_b2, 1e-11);
        CHECK_NEAR(point.chi_q, 1.0, 1e-11);
    }
    /* gelu: the map lies below the diagonal on either side. A longer signal stops at the point, a shorter one goes
     * to an ordered fixed point, and so does every one at a little less bias. */
    const double sigma_w2 = cases[0].sigma_w2, sigma_b2 = cases[0].sigma_b2, q_star = cases[0].q_star;
    const eoc_activation gelu = activation("gelu"), silu = activation("silu");
    eoc_mean_field at;
    assert_int_equal(eoc_mean_field_find(&gelu, sigma_w2, sigma_b2, 30.0, &at), EOC_OK);
    assert_int_equal(at.status & EOC_THEORY_Q_HALF_STABLE, EOC_THEORY_Q_HALF_STABLE);
    CHECK_RELATIVE(at.q_star, q_star, 1e-5);
    assert_int_equal(eoc_mean_field_find(&gelu, sigma_w2, sigma_b2, 0.99 * q_star, &at), EOC_OK);
    assert_int_equal(at.status & EOC_THEORY_Q_HALF_STABLE, 0);
    assert_true(at.q_star < 0.99 * q_star && at.chi_1 < 1.0 && at.chi_q < 1.0);
    assert_int_equal(eoc_mean_field_find(&gelu, sigma_w2, sigma_b2 - 1e-6, 30.0, &at), EOC_OK);
    assert_int_equal(at.status & EOC_THEORY_Q_HALF_STABLE, 0);
    assert_true(at.q_star < 0.99 * q_star);
    /* silu: a longer signal stops 2% beyond, at a stable point that mpmath's root of V(q) = q with 25 digits puts at
     * 14.593101025 (chi_1 = 1.000461732472; the gap between the two is 2e-9); a shorter one at the half-stable point.
     */
    eoc_fixed_point points[4];
    int count = 0;
    assert_int_equal(eoc_mean_field_fixed_points(&silu, cases[1].sigma_w2, cases[1].sigma_b2, 4, points, &count),
                     EOC_OK);
    assert_int_equal(count, 2);
    assert_true(points[0].half_stable && !points[1].half_stable);
    CHECK_RELATIVE(points[0].q_star, cases[1].q_star, 1e-5);
    CHECK_RELATIVE(points[1].q_star, 14.593101025, 1e-8);
    CHECK_RELATIVE(points[1].chi_1, 1.000461732472, 1e-10);
    assert_int_equal(eoc_mean_field_find(&silu, cases[1].sigma_w2, cases[1].sigma_b2, 30.0, &at), EOC_OK);
    CHECK_RELATIVE(at.q_star, 14.593101025, 1e-8);
    assert_int_equal(eoc_mean_field_find(&silu, cases[1].sigma_w2, cases[1].sigma_b2, 1.0, &at), EOC_OK);
    CHECK_RELATIVE(at.q_star, cases[1].q_star, 1e-5);
    assert_true(at.status & EOC_THEORY_Q_HALF_STABLE);
}

/* sin at q of no structure left: E[cos^2] = E[sin^2] = 1/2, so chi_1 = 1 at sigma_w^2 = 2 and sigma_b^2 = q - 1. */
static void critical_line_of_wide_waves(void **state)
{
    (void)state;
    const eoc_activation act = activation("sin");
    static const double qs[] = {30.0, 1e4, 1e5, 1e8};
    for (int i = 0; i < 4; i++) {
        eoc_critical_point point;
        assert_int_equal(eoc_critical_at_q(&act, qs[i], &point), EOC_OK);
        CHECK_RELATIVE(point.sigma_w2, 2.0, 1e-14);
        CHECK_RELATIVE(point.sigma_b2, qs[i] - 1.0, 1e-14);
        int count = 0;
        assert_int_equal(eoc_critical_find(&act, qs[i] / 2.0, 1, &point, &count), EOC_OK);
        assert_int_equal(count, 1);
        CHECK_RELATIVE(point.q_star, 1.0 + qs[i] / 2.0, 1e-10);
    }
}

/* gelu at (2, 0.1): published.md, golden values. */
static void two_fixed_points(void **state)
{
    (void)state;
    const eoc_activation act = activation("gelu");
    eoc_fixed_point points[4];
    int count = 0;
    assert_int_equal(eoc_mean_field_fixed_points(&act, 2.0, 0.1, 4, points, &count), EOC_OK);
    assert_int_equal(count, 2);
    CHECK_NEAR(points[0].q_star, 0.34083001, 5e-9);
    CHECK_NEAR(points[1].q_star, 11.29787, 5e-6);
    assert_true(points[0].chi_q < 1.0 && points[1].chi_q > 1.0);
    eoc_mean_field at;
    assert_int_equal(eoc_mean_field_find(&act, 2.0, 0.1, 11.2, &at), EOC_OK);
    CHECK_NEAR(at.q_star, 0.34083001, 5e-9);
    assert_true(at.status & EOC_THEORY_Q_SEVERAL);
    assert_int_equal(eoc_mean_field_find(&act, 2.0, 0.1, 11.4, &at), EOC_OK);
    assert_true(isinf(at.q_star) && (at.status & EOC_THEORY_Q_DIVERGES));
}

/* -- published points -- */

/* tanh, sigma_b2 = 0.05: published.md, A4, the curve of Schoenholz et al. 2017. */
static void schoenholz_table(void **state)
{
    (void)state;
    static const double rows[][6] = {
        {1.0, .19359, .75903, 1.0, 1.748, 3.627},     {1.5, .41804, .93864, 1.0, 1.683, 15.79},
        {1.7, .53308, .98674, 1.0, 1.558, 74.9},      {1.8, .59413, 1.00822, .95041, 1.498, 125.8},
        {2.0, .72176, 1.04767, .74408, 1.388, 25.21}, {2.5, 1.06396, 1.13352, .44680, 1.180, 11.80},
        {4.0, 2.19549, 1.34240, .16506, .873, 6.980},
    };
    const eoc_activation act = activation("tanh");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        eoc_mean_field at;
        assert_int_equal(eoc_mean_field_find(&act, rows[i][0], 0.05, rows[i][0] + 0.05, &at), EOC_OK);
        CHECK_NEAR(at.q_star, rows[i][1], 6e-6);
        CHECK_NEAR(at.chi_1, rows[i][2], 6e-6);
        CHECK_NEAR(at.c_star, rows[i][3], 6e-6);
        CHECK_NEAR(at.xi_q, rows[i][4], 6e-4);
        CHECK_RELATIVE(at.xi_c, rows[i][5], 7e-4);
        assert_int_equal(at.status, at.chi_1 > 1.0 ? EOC_THEORY_CHAOTIC : 0);
    }
}

/* tanh, sigma_b = 0.3: published.md, A3, the three points of Poole et al. 2016. */
static void poole_points(void **state)
{
    (void)state;
    static const double rows[][4] = {
        {1.3, .60705, .93981, 1.0}, {2.5, 4.07912, 1.58522, .12210}, {4.0, 12.60415, 2.36726, .02970}};
    const eoc_activation act = activation("tanh");
    for (size_t i = 0; i < 3; i++) {
        eoc_mean_field at;
        assert_int_equal(eoc_mean_field_find(&act, rows[i][0] * rows[i][0], 0.09, 1.0, &at), EOC_OK);
        CHECK_NEAR(at.q_star, rows[i][1], 6e-6);
        CHECK_NEAR(at.chi_1, rows[i][2], 6e-6);
        CHECK_NEAR(at.c_star, rows[i][3], 6e-6);
    }
}

/* Spectra on the critical line: published.md, A6, from closed forms of Pennington et al. 2017. */
static void jacobian_spectra(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double sigma_b2;
        int depth;
        double s_1, lambda_max;
    } edges[] = {
        {"linear", 0.0, 100, -1.0, 273.19},     {"linear", 0.0, 10, -1.0, 28.531},    {"relu", 0.0, 100, -1.0, 543.66},
        {"relu", 0.0, 100, 0.0, 270.47},        {"relu", 0.0, 10, -1.0, 54.41},       {"relu", 0.0, 10, 0.0, 25.81},
        {"hard_tanh", 0.05, 100, -1.0, 317.96}, {"hard_tanh", 0.05, 100, 0.0, 44.77},
    };
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        const eoc_activation act = activation(edges[i].name);
        eoc_critical_point line;
        int count = 0;
        double log_edge = 0.0;
        assert_int_equal(eoc_critical_find(&act, edges[i].sigma_b2, 1, &line, &count), EOC_OK);
        const double q = isnan(line.q_star) ? 1.0 : line.q_star;
        assert_int_equal(eoc_mean_field_log_lambda_max(&act, line.sigma_w2, q, edges[i].depth, edges[i].s_1, &log_edge),
                         EOC_OK);
        CHECK_RELATIVE(exp(log_edge), edges[i].lambda_max, 2e-4);
    }
    /* (L + 1)^(L + 1)/L^L, exactly; orthogonal linear: 1. */
    const eoc_activation linear = activation("linear");
    double log_edge = 0.0;
    assert_int_equal(eoc_mean_field_log_lambda_max(&linear, 1.0, 1.0, 7, -1.0, &log_edge), EOC_OK);
    CHECK_NEAR(log_edge, 8.0 * log(8.0) - 7.0 * log(7.0), 1e-8);
    assert_int_equal(eoc_mean_field_log_lambda_max(&linear, 1.0, 1.0, 7, 0.0, &log_edge), EOC_OK);
    CHECK_NEAR(log_edge, 0.0, 1e-4);

    static const struct {
        const char *name;
        double sigma_b2, ratio;
    } ratios[] = {{"tanh", .001, 1.04405}, {"tanh", .05, 1.34226}, {"erf", .01, 1.15717}, {"hard_tanh", .05, 1.16554}};
    for (size_t i = 0; i < 4; i++) {
        const eoc_activation act = activation(ratios[i].name);
        eoc_critical_point line;
        int count = 0;
        eoc_mean_field at;
        assert_int_equal(eoc_critical_find(&act, ratios[i].sigma_b2, 1, &line, &count), EOC_OK);
        assert_int_equal(eoc_mean_field_find(&act, line.sigma_w2, line.sigma_b2, 1.0, &at), EOC_OK);
        CHECK_NEAR(eoc_mean_field_jacobian_variance(&at, 0.0), ratios[i].ratio - 1.0, 1e-5);
        CHECK_NEAR(eoc_mean_field_jacobian_variance(&at, -1.0), ratios[i].ratio, 1e-5);
        CHECK_NEAR(eoc_mean_field_beta(&at), 3.0 * ratios[i].ratio - 1.0, 3e-5);
    }
}

/* -- what does not exist, and says so -- */

static void flags(void **state)
{
    (void)state;
    enum {
        ZERO = EOC_THEORY_Q_ZERO,
        LINE = EOC_THEORY_Q_LINE,
        DIVERGES = EOC_THEORY_Q_DIVERGES,
        SEVERAL = EOC_THEORY_Q_SEVERAL,
        MARGINAL = EOC_THEORY_Q_MARGINAL,
        ANY = EOC_THEORY_C_ANY,
        CHAOTIC = EOC_THEORY_CHAOTIC,
        INFINITE = EOC_THEORY_XI_INFINITE,
        JUMPS = EOC_THEORY_NO_SECOND_DERIVATIVE
    };
    static const struct {
        const char *name;
        double sigma_w2, sigma_b2;
        int flags;
        double q_star, c_star;
    } cases[] = {
        {"relu", 2.0, 0.0, LINE | INFINITE | JUMPS, 1.5, 1.0},
        {"relu", 1.0, 0.0, ZERO | INFINITE | JUMPS, 0.0, 1.0},
        {"relu", 3.0, 0.0, DIVERGES | INFINITE | JUMPS, INFINITY, 1.0},
        {"relu", 2.0, 0.1, DIVERGES | INFINITE | JUMPS, INFINITY, 1.0},
        {"relu", 1.0, 0.1, JUMPS, 0.2, 1.0},
        {"leaky_relu", 1.99980002, 0.0, LINE | INFINITE | JUMPS, 1.5, 1.0},
        {"linear", 1.0, 0.0, LINE | INFINITE | ANY, 1.5, NAN},
        {"linear", 0.5, 0.0, ZERO | INFINITE | ANY, 0.0, NAN},
        {"linear", 2.0, 0.1, DIVERGES | INFINITE | ANY, INFINITY, NAN},
        {"linear", 1.0, 0.1, DIVERGES | INFINITE, INFINITY, 1.0},
        {"linear", 0.5, 0.1, 0, 0.2, 1.0},
        {"tanh", 0.8, 0.0, ZERO | INFINITE | ANY, 0.0, NAN},
        {"tanh", 1.0, 0.0, ZERO | INFINITE | ANY | MARGINAL, 0.0, NAN},
        {"gelu", 2.0, 0.0, ZERO | INFINITE | ANY, 0.0, NAN},
        {"gelu", 3.0, 0.0, DIVERGES | INFINITE | SEVERAL, INFINITY, 1.0}, /* beyond its unstable fixed point */
        {"elu", 3.0, 0.0, DIVERGES | INFINITE, INFINITY, 1.0},
        {"selu", 0.4, 0.0, ZERO | INFINITE | JUMPS, 0.0, 1.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const eoc_activation act = activation(cases[i].name);
        eoc_mean_field at;
        assert_int_equal(eoc_mean_field_find(&act, cases[i].sigma_w2, cases[i].sigma_b2, 1.5, &at), EOC_OK);
        if (at.status != (unsigned)cases[i].flags) {
            fail_msg("%s at (%g, %g): flags %#x, not %#x", cases[i].name, cases[i].sigma_w2, cases[i].sigma_b2,
                     at.status, (unsigned)cases[i].flags);
        }
        CHECK_NEAR(at.q_star, cases[i].q_star, 1e-14);
        if (isnan(cases[i].c_star)) {
            assert_true(isnan(at.c_star));
        } else {
            CHECK_NEAR(at.c_star, cases[i].c_star, 0.0);
        }
        assert_false(isnan(at.chi_1) || isnan(at.chi_q) || isnan(at.chi_c) || isnan(at.xi_c));
        assert_true((at.status & DIVERGES) || !isnan(at.xi_q));
    }
    assert_string_equal(eoc_theory_flag_name(0), "not_computed");
    assert_string_equal(eoc_theory_flag_name(EOC_NUM_THEORY_FLAGS - 1), "partial");
    /* tanh just above (1, 0): q_star = (sigma_w2 - 1)/2 to first order, from V = sigma_w2 (q - 2 q^2). */
    const eoc_activation act = activation("tanh");
    eoc_mean_field at;
    assert_int_equal(eoc_mean_field_find(&act, 1.001, 0.0, 1.0, &at), EOC_OK);
    CHECK_RELATIVE(at.q_star, 5e-4, 5e-3);
    assert_int_equal(at.status, CHAOTIC | SEVERAL);
    CHECK_NEAR(at.c_star, 0.0, 0.0);
}

/* Every row, at an ordinary point: slopes of the maps against differences of the maps themselves. */
static void slopes_are_derivatives(void **state)
{
    (void)state;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const char *name = eoc_activation_row(row)->name;
        const eoc_activation act = activation(name);
        if (eoc_activation_check_theory(&act) != EOC_OK) {
            continue;
        }
        const double sigma_w2 = 0.7, sigma_b2 = 0.3, h = 1e-4;
        eoc_mean_field at;
        assert_int_equal(eoc_mean_field_find(&act, sigma_w2, sigma_b2, 1.0, &at), EOC_OK);
        /* Input variances for which q^1 is q_star - h, q_star and q_star + h; layer 2 is then V of it. */
        double q_2[3], log_g = 0.0;
        for (int i = 0; i < 3; i++) {
            const double variance = (at.q_star + (i - 1) * h - sigma_b2) / sigma_w2, count = 1.0;
            const eoc_theory_inputs inputs = {.num_variances = 1, .variances = &variance, .counts = &count};
            eoc_curves *curves = NULL;
            assert_int_equal(eoc_curves_create(&act, sigma_w2, sigma_b2, &inputs, 2, &curves), EOC_OK);
            const int layers[] = {2, 1};
            double log_q[2], log_gradient[2];
            eoc_curve_rows rows = {.log_q = log_q, .log_gradient_q = log_gradient};
            eoc_curves_fill(curves, 2, layers, 2, 0.0, &rows);
            q_2[i] = exp(log_q[0]);
            log_g = log_gradient[1] - log_gradient[0];
            eoc_curves_destroy(&curves);
        }
        CHECK_NEAR(q_2[1], at.q_star, 1e-12);
        CHECK_NEAR((q_2[2] - q_2[0]) / (2.0 * h), at.chi_q, 1e-7);
        CHECK_NEAR((q_2[2] - 2.0 * q_2[1] + q_2[0]) / (h * h), at.length_map_second_derivative, 1e-5);
        CHECK_NEAR(log_g, log(at.chi_1), 1e-3);
        /* 1 - c' = chi_1 (1 - c) near c = 1, to the order of the root of 1 - c. */
        const double variance = (at.q_star - sigma_b2) / sigma_w2, count = 2.0;
        const double tiny = 1e-10;
        const eoc_theory_pair pair = {.correlation = 1.0 - tiny, .count = 2.0};
        const eoc_theory_inputs inputs = {
            .num_variances = 1, .variances = &variance, .counts = &count, .num_pairs = 1, .pairs = &pair};
        eoc_curves *curves = NULL;
        assert_int_equal(eoc_curves_create(&act, sigma_w2, sigma_b2, &inputs, 2, &curves), EOC_OK);
        const int layers[] = {1, 2};
        double one_minus_c[2];
        eoc_curve_rows rows = {.one_minus_c = one_minus_c};
        eoc_curves_fill(curves, 2, layers, 2, 0.0, &rows);
        CHECK_NEAR(one_minus_c[1] / one_minus_c[0], at.chi_1, 2e-5);
        eoc_curves_destroy(&curves);
    }
}

/* -- curves -- */

typedef struct {
    double log_q[3], c[3], one_minus_c[3], log_gradient_q[3], gradient_c[3], log_weight_gradient_q[3];
    eoc_curve_rows rows;
} read_out;

/* Rows at up to three layers of a pair. */
static void run_pair(const eoc_activation *act, double sigma_w2, double sigma_b2, const double variances[2],
                     double correlation, int depth, const int *layers, int num_layers, read_out *out)
{
    const double counts[] = {1.0, 1.0};
    const eoc_theory_pair pair = {.a = 0, .b = 1, .correlation = correlation, .count = 2.0};
    const eoc_theory_inputs inputs = {
        .num_variances = 2, .variances = variances, .counts = counts, .num_pairs = 1, .pairs = &pair};
    eoc_curves *curves = NULL;
    assert_int_equal(eoc_curves_create(act, sigma_w2, sigma_b2, &inputs, depth, &curves), EOC_OK);
    out->rows = (eoc_curve_rows){.log_q = out->log_q,
                                 .c = out->c,
                                 .one_minus_c = out->one_minus_c,
                                 .log_gradient_q = out->log_gradient_q,
                                 .gradient_c = out->gradient_c,
                                 .log_weight_gradient_q = out->log_weight_gradient_q};
    eoc_curves_fill(curves, depth, layers, num_layers, -1.0, &out->rows);
    eoc_curves_destroy(&curves);
}

/* l^2 (1 - c) at l = 100, 10^3, 10^4 from c = 0, by iterating the closed form on c in long double (float64, as in
 * published.md, A5, has 44.2520 for the last: arccos near 1 has lost its digits); on the way to 9 pi^2/2 (Hayou et
 * al. 2019). */
static void relu_correlation_decay(void **state)
{
    (void)state;
    const eoc_activation act = activation("relu");
    const double variances[] = {1.0, 1.0};
    const int layers[] = {101, 1001, 10001}; /* layer 1 has the inputs' own c: l counts applications of the map */
    read_out out;
    run_pair(&act, 2.0, 0.0, variances, 0.0, 10001, layers, 3, &out);
    CHECK_NEAR(out.one_minus_c[0] * 1e4, 35.7685331605, 1e-8);
    CHECK_NEAR(out.one_minus_c[1] * 1e6, 43.1297325492, 1e-8);
    CHECK_NEAR(out.one_minus_c[2] * 1e8, 44.2519273599, 1e-8);
}

/* 1 - c by the laws of Hayou et al. 2019 against the map iterated to 10^4 layers. relu's coefficient is 9 pi^2/2;
 * corrections are of relative order log l/l, but l^(-1/2) for elu, whose phi'' jumps. */
static void algebraic_decay(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double q;
        int power;
        double allowed, shrinks;
    } cases[] = {{"relu", 1.0, 2, 1e-2, 0.25},
                 {"hard_tanh", 0.46386, 2, 1e-2, 0.25},
                 {"tanh", 0.57005, 1, 1e-2, 0.25},
                 {"erf", 0.5, 1, 1e-2, 0.25},
                 {"elu", 1.3, 1, 5e-2, 0.4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const eoc_activation act = activation(cases[i].name);
        eoc_critical_point line;
        eoc_decay decay;
        assert_int_equal(eoc_critical_at_q(&act, cases[i].q, &line), EOC_OK);
        assert_int_equal(eoc_mean_field_decay(&act, line.sigma_w2, cases[i].q, &decay), EOC_OK);
        assert_int_equal(decay.power, cases[i].power);
        const double variance = (cases[i].q - line.sigma_b2) / line.sigma_w2, variances[] = {variance, variance};
        const int layers[] = {1001, 10001};
        read_out out;
        run_pair(&act, line.sigma_w2, line.sigma_b2, variances, 0.0, 10001, layers, 2, &out);
        const double off[] = {out.one_minus_c[0] * pow(1e3, decay.power) / decay.coefficient - 1.0,
                              out.one_minus_c[1] * pow(1e4, decay.power) / decay.coefficient - 1.0};
        CHECK_NEAR(off[1], 0.0, cases[i].allowed);
        assert_true(fabs(off[1]) < cases[i].shrinks * fabs(off[0]));
    }
    const eoc_activation relu = activation("relu"), linear = activation("linear"), tanh_ = activation("tanh");
    eoc_decay decay;
    assert_int_equal(eoc_mean_field_decay(&relu, 2.0, 3.0, &decay), EOC_OK);
    CHECK_RELATIVE(decay.coefficient, 4.5 * PI * PI, 1e-12);
    assert_int_equal(eoc_mean_field_decay(&linear, 1.0, 3.0, &decay), EOC_OK);
    assert_int_equal(decay.power, 0);
    assert_int_equal(eoc_mean_field_decay(&tanh_, 1.5, 0.5, &decay), EOC_OK);
    assert_true(decay.power == 0 && isnan(decay.coefficient));
}

/*
 * The curvature of a circle of inputs, from the iterated map. Along it c = 1 - a t^2/2 + b t^4/24 at a small angle t,
 * so velocity and acceleration have squared lengths N q a and N q b, and kappa^2 N = b/(q a^2). With C'(1) = chi_1 and
 * C''(1) = q chi_2 a layer makes a' = chi_1 a, b' = chi_1 b + 3 q chi_2 a^2: Poole's recursion kappa'^2 = 3
 * chi_2/chi_1^2
 * + kappa^2/chi_1, whose limit the field is. Left over after 24 layers: 1.585^-24 = 2e-5; a t^2 is 1e-4 there.
 */
static void curvature_of_a_circle(void **state)
{
    (void)state;
    const char *names[] = {"tanh", "erf"};
    for (size_t i = 0; i < 2; i++) {
        const eoc_activation act = activation(names[i]);
        const double sigma_w2 = 6.25, sigma_b2 = 0.09;
        eoc_mean_field at;
        assert_int_equal(eoc_mean_field_find(&act, sigma_w2, sigma_b2, 1.0, &at), EOC_OK);
        const double variance = (at.q_star - sigma_b2) / sigma_w2, variances[] = {variance, variance};
        const int layer = 24;
        const double t = 1e-2 * pow(at.chi_1, -0.5 * layer);
        double away[2]; /* 1 - c at t and 2 t */
        for (int k = 0; k < 2; k++) {
            read_out out;
            const double angle = (k + 1) * t;
            run_pair(&act, sigma_w2, sigma_b2, variances, cos(angle), layer, &layer, 1, &out);
            /* The cosine handed over has lost digits of the angle: put them back. */
            away[k] = out.one_minus_c[0] * 2.0 * sin(0.5 * angle) * sin(0.5 * angle) / (1.0 - cos(angle));
        }
        const double a = (16.0 * away[0] - away[1]) / (6.0 * t * t);
        const double b = 2.0 * (4.0 * away[0] - away[1]) / (t * t * t * t);
        CHECK_RELATIVE(sqrt(b / at.q_star) / a, at.manifold_curvature, 1e-3);
    }
}

/* selu is normalised at (1, 0), Klambauer et al. 2017: q = 1, E[phi] = 0; slopes from published.md, A2 (the
 * second is the paper's Jacobian entry). */
static void selu_fixed_point(void **state)
{
    (void)state;
    const eoc_activation act = activation("selu");
    eoc_mean_field at;
    assert_int_equal(eoc_mean_field_find(&act, 1.0, 0.0, 1.5, &at), EOC_OK);
    CHECK_NEAR(at.q_star, 1.0, 1e-9);
    CHECK_NEAR(at.chi_1, 1.07157, 5e-6);
    CHECK_NEAR(at.chi_q, 0.782648, 5e-7);
    CHECK_NEAR(eoc_mean_field_jacobian_variance(&at, 0.0), 0.31620, 5e-6);
}

/* The closed forms of relu and leaky_relu against the same functions denied their scale invariance. */
static void closed_forms_agree_with_quadrature(void **state)
{
    (void)state;
    const char *names[] = {"relu", "leaky_relu(slope=0.2)", "leaky_relu(slope=-0.5)"};
    const double variances[] = {1.0, 2.5};
    const int layers[] = {2, 4, 12};
    for (size_t i = 0; i < 3; i++) {
        const eoc_activation closed = activation(names[i]);
        eoc_activation_kind kind = *closed.kind;
        kind.scale_invariant = false;
        eoc_activation open = closed;
        open.kind = &kind;
        read_out a, b;
        run_pair(&closed, 1.5, 0.1, variances, 0.3, 12, layers, 3, &a);
        run_pair(&open, 1.5, 0.1, variances, 0.3, 12, layers, 3, &b);
        for (int k = 0; k < 3; k++) {
            CHECK_NEAR(b.log_q[k], a.log_q[k], 1e-11);
            CHECK_RELATIVE(b.one_minus_c[k], a.one_minus_c[k], 1e-9);
            CHECK_NEAR(b.log_gradient_q[k], a.log_gradient_q[k], 1e-11);
            CHECK_NEAR(b.gradient_c[k], a.gradient_c[k], 1e-9);
            CHECK_NEAR(b.log_weight_gradient_q[k], a.log_weight_gradient_q[k], 1e-9);
        }
    }
}

/* 1 - c' of erf for q1 = q2 = q, from the arcsine kernel (Williams 1998) without cancellation:
 * asin(s) - asin(r) = asin(s sqrt(1 - r^2) - r sqrt(1 - s^2)). */
static double erf_one_minus_c(double sigma_w2, double sigma_b2, double q, double one_minus_c)
{
    const double s = 2.0 * q / (1.0 + 2.0 * q), drop = s * one_minus_c, r = s - drop;
    const double cos_s = sqrt((1.0 - s) * (1.0 + s)), cos_r = sqrt((1.0 - r) * (1.0 + r));
    const double sine = drop * (s + r) / (s * cos_r + r * cos_s);
    const double next = sigma_w2 * 2.0 / PI * asin(s) + sigma_b2;
    return sigma_w2 * 2.0 / PI * asin(sine) / next;
}

/* E[dphi dphi] of erf, the derivative of the kernel by c q: (4/pi)/sqrt((1 + 2q)^2 - 4 q^2 c^2). */
static double erf_slope(double q, double c)
{
    return 4.0 / PI / sqrt((1.0 + 2.0 * q) * (1.0 + 2.0 * q) - 4.0 * q * q * c * c);
}

static void erf_follows_the_arcsine_kernel(void **state)
{
    (void)state;
    const eoc_activation act = activation("erf");
    static const double points[][2] = {{1.0, 0.05}, {2.5, 0.1}, {20.0, 5.0}, {100.0, 0.0}};
    static const double starts[] = {1.0, 0.4, 1e-3, 1e-9, 1e-13};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 5; k++) {
            const double sigma_w2 = points[i][0], sigma_b2 = points[i][1], one = 1.0, count = 2.0;
            const eoc_theory_pair pair = {.correlation = 1.0 - starts[k], .count = 2.0};
            const eoc_theory_inputs inputs = {
                .num_variances = 1, .variances = &one, .counts = &count, .num_pairs = 1, .pairs = &pair};
            eoc_curves *curves = NULL;
            assert_int_equal(eoc_curves_create(&act, sigma_w2, sigma_b2, &inputs, 30, &curves), EOC_OK);
            double q = sigma_w2 + sigma_b2, e = sigma_w2 * (1.0 - pair.correlation) / q, slope = 1.0, slope_1 = 1.0;
            for (int layer = 1; layer <= 30; layer++) {
                double log_q = 0.0, one_minus_c = 0.0, gradient_c = 0.0;
                eoc_curve_rows rows = {.log_q = &log_q, .one_minus_c = &one_minus_c, .gradient_c = &gradient_c};
                slope *= erf_slope(q, 1.0 - e);
                slope_1 *= erf_slope(q, 1.0);
                eoc_curves_fill(curves, layer, (const int[]){1}, 1, -1.0, &rows);
                CHECK_RELATIVE(gradient_c, slope / slope_1, 1e-10);
                eoc_curves_fill(curves, layer, &layer, 1, -1.0, &rows);
                CHECK_NEAR(log_q, log(q), 1e-12);
                CHECK_RELATIVE(one_minus_c, e, 1e-10 * layer);
                e = erf_one_minus_c(sigma_w2, sigma_b2, q, e);
                q = sigma_w2 * 2.0 / PI * asin(2.0 * q / (1.0 + 2.0 * q)) + sigma_b2;
            }
            eoc_curves_destroy(&curves);
        }
    }
}

/*
 * Layer after layer the curve is the map of one layer, each looked at alone: a curve of two layers knows of no layers
 * before, so its values come from the rules that pairs.csv is held against, and none from how correlations close in.
 */
static void each_layer_is_one_map(void **state)
{
    (void)state;
    static const char *const activations[] = {"tanh", "gelu", "hard_tanh", "elu", "sin"};
    static const double points[][2] = {{1.6, 0.01}, {2.5, 0.3}, {4.0, 1.0}, {9.0, 0.1}};
    enum { DEPTH = 80 };
    int layers[DEPTH];
    double log_q[DEPTH], one_minus_c[DEPTH], gradient_c[DEPTH];
    for (int l = 0; l < DEPTH; l++) {
        layers[l] = l + 1;
    }
    for (size_t i = 0; i < sizeof activations / sizeof activations[0] * 4; i++) {
        const eoc_activation act = activation(activations[i / 4]);
        const double sigma_w2 = points[i % 4][0], sigma_b2 = points[i % 4][1], one = 1.0, count = 2.0;
        const eoc_theory_pair pair = {.correlation = 0.3, .count = 2.0};
        const eoc_theory_inputs inputs = {
            .num_variances = 1, .variances = &one, .counts = &count, .num_pairs = 1, .pairs = &pair};
        eoc_curves *curves = NULL;
        assert_int_equal(eoc_curves_create(&act, sigma_w2, sigma_b2, &inputs, DEPTH, &curves), EOC_OK);
        eoc_curve_rows rows = {.log_q = log_q, .one_minus_c = one_minus_c, .gradient_c = gradient_c};
        eoc_curves_fill(curves, DEPTH, layers, DEPTH, -1.0, &rows);
        eoc_curves_destroy(&curves);
        for (int l = 0; l + 1 < DEPTH && log_q[l] < 50.0 && one_minus_c[l] > 1e-9; l++) {
            double ratio = 0.0, slope = 0.0;
            look_at_pair(&act, exp(log_q[l]), 1.0 - one_minus_c[l], &ratio, &slope);
            const double weights = 1.0 - sigma_b2 * exp(-log_q[l + 1]); /* their share of the next layer's length */
            CHECK_RELATIVE(one_minus_c[l + 1], weights * ratio * one_minus_c[l], 1e-11);
            CHECK_RELATIVE(gradient_c[l] / gradient_c[l + 1], slope, 1e-11);
        }
    }
}

/* Two lengths: erf, one step of the arcsine kernel with k11, k22, k12 of its own. */
static void unequal_lengths(void **state)
{
    (void)state;
    const eoc_activation act = activation("erf");
    const double variances[] = {0.5, 3.0}, c_0 = 0.7, sigma_w2 = 1.7, sigma_b2 = 0.2;
    const int layers[] = {1, 2};
    read_out out;
    run_pair(&act, sigma_w2, sigma_b2, variances, c_0, 2, layers, 2, &out);
    const double k11 = sigma_w2 * variances[0] + sigma_b2, k22 = sigma_w2 * variances[1] + sigma_b2;
    const double k12 = sigma_w2 * c_0 * sqrt(variances[0] * variances[1]) + sigma_b2;
    CHECK_NEAR(out.c[0], k12 / sqrt(k11 * k22), 1e-14);
    const double h11 = 2.0 / PI * asin(2.0 * k11 / (1.0 + 2.0 * k11)),
                 h22 = 2.0 / PI * asin(2.0 * k22 / (1.0 + 2.0 * k22));
    const double h12 = 2.0 / PI * asin(2.0 * k12 / sqrt((1.0 + 2.0 * k11) * (1.0 + 2.0 * k22)));
    const double c = (sigma_w2 * h12 + sigma_b2) / sqrt((sigma_w2 * h11 + sigma_b2) * (sigma_w2 * h22 + sigma_b2));
    CHECK_NEAR(out.c[1], c, 1e-12);
    CHECK_NEAR(out.log_q[1], log(0.5 * (sigma_w2 * (h11 + h22) + 2.0 * sigma_b2)), 1e-12);
}

/* A zero input beside another: it has no correlation, but sigmoid(0) = 1/2 has one with sigmoid(u), whose mean is 1/2
 * by symmetry, and dphi(0) = 1/4. */
static void zero_beside_another(void **state)
{
    (void)state;
    const eoc_activation act = activation("sigmoid");
    const double variances[] = {0.0, 3.0}, sigma_w2 = 2.0;
    const int layers[] = {1, 2};
    read_out out;
    run_pair(&act, sigma_w2, 0.0, variances, 0.7, 2, layers, 2, &out);
    assert_true(isnan(out.c[0]));
    const double phi2 = 2.0 * exp(out.log_q[1]) / sigma_w2 - 0.25; /* of the other; log_q has the mean of both */
    CHECK_NEAR(out.c[1], 0.25 / (0.5 * sqrt(phi2)), 1e-12);
    assert_true(isfinite(out.log_weight_gradient_q[1]));
    assert_true(isfinite(out.gradient_c[0]));
}

/* softplus: E[phi(0) phi(u)] = log 2 E[phi(u)], by the trapezoid rule (no poles within pi/sqrt(q) of the real line); of
 * a u beyond all bounds relu's sqrt(1/pi), and of one below them that of phi(0) with itself. */
static void zero_beside_any_length(void **state)
{
    (void)state;
    const eoc_activation act = activation("softplus");
    static const double lengths[] = {1e-200, 0.3, 1.0, 4.0, 1e200};
    const int layers[] = {1, 2};
    read_out out;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        double mean = 0.0, square = 0.0, total = 0.0;
        for (int k = -200; k <= 200; k++) {
            const double z = 0.05 * k, weight = exp(-0.5 * z * z), phi = log1p(exp(sqrt(lengths[i]) * z));
            mean += weight * phi;
            square += weight * phi * phi;
            total += weight;
        }
        const double want = lengths[i] > 1e100 ? sqrt(1.0 / PI) : mean / sqrt(square * total);
        for (int swapped = 0; swapped < 2; swapped++) {
            const double variances[] = {swapped ? lengths[i] : 0.0, swapped ? 0.0 : lengths[i]};
            run_pair(&act, 1.0, 0.0, variances, 0.0, 2, layers, 2, &out);
            assert_true(isnan(out.c[0]));
            CHECK_NEAR(out.c[1], want, 1e-11);
        }
    }
    const double nothing[] = {0.0, 0.0};
    run_pair(&act, 1.0, 0.0, nothing, 0.0, 2, layers, 2, &out);
    assert_true(isnan(out.c[0]) && out.one_minus_c[1] == 0.0);
}

/* Inputs whose correlation is not known have a gradient of the weights that is not: no gradient of zero. */
static void unknown_is_not_zero(void **state)
{
    (void)state;
    const eoc_activation act = activation("tanh");
    const double variances[] = {1.0, 2.0};
    const int layer = 1;
    read_out out;
    run_pair(&act, 1.5, 0.05, variances, NAN, 1, &layer, 1, &out);
    assert_true(isfinite(out.log_q[0]) && isnan(out.log_weight_gradient_q[0]));
}

/* Of tanh, 0 at 0: no correlation of activations, but dphi(0) = 1, and the cosine of gradients is
 * E[dphi]/sqrt(E[dphi^2]) of the other input, here by the trapezoidal rule. */
static void gradients_beside_zero(void **state)
{
    (void)state;
    const eoc_activation act = activation("tanh");
    const double variances[] = {0.0, 3.0}, sigma_w2 = 2.0;
    const int layer = 1;
    read_out out;
    run_pair(&act, sigma_w2, 0.0, variances, 0.7, 1, &layer, 1, &out);
    double mean = 0.0, square = 0.0, weights = 0.0;
    for (int i = -900; i <= 900; i++) {
        const double z = 0.01 * i, weight = exp(-0.5 * z * z), t = tanh(sqrt(sigma_w2 * 3.0) * z), slope = 1.0 - t * t;
        mean += weight * slope;
        square += weight * slope * slope;
        weights += weight;
    }
    CHECK_NEAR(out.gradient_c[0], mean / weights / sqrt(square / weights), 1e-11);
}

/* Opposite inputs, c = -1: E[phi(u) phi(-u)] and E[dphi(u) dphi(-u)] by Simpson's rule on either side of the kink at 0;
 * two lengths likewise. An odd phi keeps them opposite, and c may come out below -1 by rounding. */
static void opposite_inputs(void **state)
{
    (void)state;
    static const char *const names[] = {"gelu", "silu", "softplus", "sigmoid", "elu", "selu", "relu"};
    enum { STEPS = 4000 };
    for (size_t k = 0; k < 2 * sizeof names / sizeof names[0]; k++) {
        const eoc_activation act = activation(names[k / 2]);
        const double variances[] = {0.8, k % 2 ? 2.0 : 0.8}, sigma_w2 = 1.5, width = 10.0 / STEPS;
        const double root_1 = sqrt(sigma_w2 * variances[0]), root_2 = sqrt(sigma_w2 * variances[1]);
        double sums[6] = {0.0}; /* of phi phi', phi^2, phi'^2, and of the slopes */
        for (int i = -STEPS; i <= STEPS; i++) {
            const int j = i < 0 ? -i : i;
            const double simpson = j == 0 ? 1.0 : j == STEPS ? 0.5 : j % 2 ? 2.0 : 1.0; /* 0 is the end of two rules */
            const double z = i == 0 ? 0.0 : width * i, weight = simpson * exp(-0.5 * z * z);
            for (int side = -1; side <= 1; side += 2) {
                if (i != 0 && side != (i < 0 ? -1 : 1)) {
                    continue;
                }
                const double at = i == 0 ? side * 1e-300 : z, half = i == 0 ? 0.5 : 1.0;
                const double f = eoc_activation_phi(&act, root_1 * at), g = eoc_activation_phi(&act, -root_2 * at);
                const double df = eoc_activation_dphi(&act, root_1 * at), dg = eoc_activation_dphi(&act, -root_2 * at);
                const double terms[] = {f * g, f * f, g * g, df * dg, df * df, dg * dg};
                for (int t = 0; t < 6; t++) {
                    sums[t] += half * weight * terms[t];
                }
            }
        }
        const int layers[] = {1, 2};
        read_out out;
        run_pair(&act, sigma_w2, 0.0, variances, -1.0, 2, layers, 2, &out);
        CHECK_NEAR(out.c[1], sums[0] / sqrt(sums[1] * sums[2]), 1e-10);
        run_pair(&act, sigma_w2, 0.0, variances, -1.0, 1, layers, 1, &out);
        CHECK_NEAR(out.gradient_c[0], sums[3] / sqrt(sums[4] * sums[5]), 1e-10);
    }
    const eoc_activation odd = activation("tanh");
    const double variances[] = {1.0, 1.0};
    const int layers[] = {10, 20};
    read_out out;
    run_pair(&odd, 1.5, 0.0, variances, -1.0 + 1e-13, 20, layers, 2, &out);
    CHECK_NEAR(out.c[1], -1.0, 1e-9);
}

/* linear: dE_a/dz^l = W^T ... v, so the sum over pairs is sigma_w2^(L-1) |x_0 + x_1|^2/N, whatever the layer. */
static void linear_weight_gradient(void **state)
{
    (void)state;
    const eoc_activation act = activation("linear");
    const double variances[] = {1.0, 4.0};
    const int layers[] = {1, 30, 60};
    read_out out;
    run_pair(&act, 1.3, 0.0, variances, -0.25, 50, layers, 3, &out);
    const double want = 49.0 * log(1.3) + log(1.0 + 4.0 - 2.0 * 0.25 * 2.0);
    CHECK_NEAR(out.log_weight_gradient_q[0], want, 1e-12);
    CHECK_NEAR(out.log_weight_gradient_q[1], want, 1e-12);
    CHECK_NEAR(out.log_gradient_q[1], 20.0 * log(1.3), 1e-12);
    CHECK_NEAR(out.gradient_c[1], 1.0, 1e-14);
    CHECK_NEAR(out.rows.log_jacobian_m1, 50.0 * log(1.3), 1e-12);
    CHECK_NEAR(out.rows.log_jacobian_m2, 100.0 * log(1.3) + log(51.0), 1e-12); /* published.md, A6: variance L */
    assert_true(isnan(out.log_q[2]) && isnan(out.c[2]) && isnan(out.log_weight_gradient_q[2]));
}

/* Ten thousand layers far from critical: logs are exact, nothing over- or underflows, c stays what it is. */
static void deep_and_far_from_critical(void **state)
{
    (void)state;
    const int depth = 10000, layers[] = {1, 5000, 10000};
    const double equal[] = {1.0, 1.0}, unequal[] = {0.25, 9.0};
    const char *homogeneous[] = {"linear", "relu", "leaky_relu"};
    const double gains[] = {1.0, 0.5, 0.50005}; /* E[phi^2]/q */
    const double weights[] = {0.01, 50.0};
    const double rounding = depth * DBL_EPSILON; /* each of the additions rounds, at worst all to one side */
    read_out out;
    for (size_t i = 0; i < 3; i++) {
        const eoc_activation act = activation(homogeneous[i]);
        for (size_t k = 0; k < 2; k++) {
            run_pair(&act, weights[k], 0.0, equal, 0.5, depth, layers, 3, &out);
            const double log_gain = log(weights[k] * gains[i]);
            CHECK_NEAR(out.log_q[2], log(weights[k]) + 9999.0 * log_gain, rounding * fabs(9999.0 * log_gain));
            CHECK_NEAR(out.log_gradient_q[0], 9999.0 * log_gain + log(gains[i]), rounding * fabs(9999.0 * log_gain));
            CHECK_NEAR(out.rows.log_jacobian_m1, 10000.0 * log_gain, rounding * fabs(10000.0 * log_gain));
            assert_true(isfinite(out.log_weight_gradient_q[0]) && isfinite(out.rows.log_jacobian_m2));
            assert_true(out.one_minus_c[2] >= 0.0 && out.one_minus_c[2] <= 0.5);
            run_pair(&act, weights[k], 0.3, unequal, 0.5, depth, layers, 3, &out);
            assert_true(isfinite(out.log_q[2]) && isfinite(out.log_gradient_q[0]) && out.one_minus_c[2] >= 0.0);
        }
    }
    /* tanh in the ordered phase without bias: q goes as 0.4^l once small, and c stops. */
    const eoc_activation tanh_ = activation("tanh");
    run_pair(&tanh_, 0.4, 0.0, equal, 0.5, depth, layers, 3, &out);
    CHECK_NEAR(out.log_q[2] - out.log_q[1], 5000.0 * log(0.4), 1e-8);
    CHECK_NEAR(out.c[2], out.c[1], 1e-12);
    assert_true(out.c[2] > 0.2 && out.c[2] < 0.6 && out.log_q[2] < -9000.0);
    /* selu there is a leaky relu: q goes as sigma_w2 lambda^2 (1 + alpha^2)/2, c to 1. */
    const eoc_activation selu = activation("selu");
    run_pair(&selu, 0.2, 0.0, equal, 0.5, depth, layers, 3, &out);
    CHECK_NEAR(
        (out.log_q[2] - out.log_q[1]) / 5000.0,
        log(0.2 * 0.5 * 1.0507009873554805 * 1.0507009873554805 * (1.0 + 1.6732632423543772 * 1.6732632423543772)),
        1e-10);
    /* Only the bend of phi moves c: 1 - c goes as relu's 9 pi^2/(2 l^2) over the square of the bend's share of the
     * slopes. */
    const double alpha = 1.6732632423543772, share = (1.0 - alpha) * (1.0 - alpha) / (1.0 + alpha * alpha);
    CHECK_RELATIVE(out.one_minus_c[2] * 1e8, 4.5 * PI * PI / (share * share), 0.02);
    /* elu that diverges is a relu. */
    const eoc_activation elu = activation("elu");
    run_pair(&elu, 8.0, 0.0, equal, 0.5, depth, layers, 3, &out);
    CHECK_NEAR((out.log_q[2] - out.log_q[1]) / 5000.0, log(4.0), 1e-12);
    CHECK_NEAR(out.log_gradient_q[1] - out.log_gradient_q[2], 5000.0 * log(4.0), 1e-8);
    /* No weights at all: every signal is the bias. */
    run_pair(&tanh_, 0.0, 0.5, unequal, 0.5, 3, (const int[]){1, 2, 3}, 3, &out);
    CHECK_NEAR(out.log_q[1], log(0.5), 1e-15);
    CHECK_NEAR(out.one_minus_c[1], 0.0, 0.0);
    assert_true(out.log_gradient_q[0] == -INFINITY && isfinite(out.log_gradient_q[2]));
    run_pair(&tanh_, 0.0, 0.0, unequal, 0.5, 3, (const int[]){1, 2, 3}, 3, &out);
    assert_true(out.log_q[1] == -INFINITY && isnan(out.c[1]));
}

/* 1 - c far below the spacing of c shrinks by chi_c a layer, by series or by table. */
static void small_differences_keep_their_digits(void **state)
{
    (void)state;
    const char *names[] = {"tanh", "elu", "gelu", "hard_tanh"};
    const double equal[] = {1.0, 1.0};
    const int layers[] = {150, 160};
    for (size_t i = 0; i < 4; i++) {
        const eoc_activation act = activation(names[i]);
        read_out out;
        eoc_mean_field at;
        run_pair(&act, 0.8, 0.1, equal, 0.5, 160, layers, 2, &out);
        assert_int_equal(eoc_mean_field_find(&act, 0.8, 0.1, 0.9, &at), EOC_OK);
        assert_true(out.one_minus_c[0] < 1e-16 && out.one_minus_c[1] > 0.0);
        CHECK_NEAR(log(out.one_minus_c[1] / out.one_minus_c[0]) / 10.0, log(at.chi_c), 1e-7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(critical_line_of_wide_waves),
        cmocka_unit_test(reference_points),
        cmocka_unit_test(reference_trajectories),
        cmocka_unit_test(reference_critical_line),
        cmocka_unit_test(reference_pairs),
        cmocka_unit_test(sine_kernel),
        cmocka_unit_test(sine_moments),
        cmocka_unit_test(no_memory_of_other_points),
        cmocka_unit_test(critical_points_by_bias),
        cmocka_unit_test(critical_points_at_the_ends),
        cmocka_unit_test(half_stable_points),
        cmocka_unit_test(two_fixed_points),
        cmocka_unit_test(schoenholz_table),
        cmocka_unit_test(poole_points),
        cmocka_unit_test(jacobian_spectra),
        cmocka_unit_test(flags),
        cmocka_unit_test(slopes_are_derivatives),
        cmocka_unit_test(relu_correlation_decay),
        cmocka_unit_test(algebraic_decay),
        cmocka_unit_test(curvature_of_a_circle),
        cmocka_unit_test(selu_fixed_point),
        cmocka_unit_test(closed_forms_agree_with_quadrature),
        cmocka_unit_test(erf_follows_the_arcsine_kernel),
        cmocka_unit_test(each_layer_is_one_map),
        cmocka_unit_test(unequal_lengths),
        cmocka_unit_test(zero_beside_another),
        cmocka_unit_test(zero_beside_any_length),
        cmocka_unit_test(unknown_is_not_zero),
        cmocka_unit_test(gradients_beside_zero),
        cmocka_unit_test(opposite_inputs),
        cmocka_unit_test(linear_weight_gradient),
        cmocka_unit_test(deep_and_far_from_critical),
        cmocka_unit_test(small_differences_keep_their_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
