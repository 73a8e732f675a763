/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eoc/kernel.h"
#include "eoc/mean_field.h"

#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;

#define CHECK_NEAR(got, want, tolerance) check_near((got), (want), (tolerance), #got, __LINE__)

static void check_near(double got, double want, double tolerance, const char *what, int line)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("line %d: %s is %.17g, not %.17g", line, what, got, want);
    }
}

static eoc_activation activation(const char *name)
{
    eoc_activation act;
    assert_int_equal(eoc_activation_find(name, &act), EOC_OK);
    return act;
}

enum { DEPTH = 10000 };

/*
 * relu at (2, 0), by hand: K(x, x) = 2 |x|^2/N at every layer, and Theta(x, x) = l K. Off the diagonal the arc-cosine
 * kernels of Cho & Saul 2009 in long double: c' = c + (sin t - t cos t)/pi, slope 1 - t/pi, t = arccos c.
 * Hayou et al. 2019: 1/4 of the diagonal in the limit, the rest of it as 1/l (up to logarithms).
 */
static void relu_closed_form(void **state)
{
    (void)state;
    static double diagonal[DEPTH], ratio[DEPTH], condition[DEPTH];
    const eoc_activation act = activation("relu");
    const double variances[] = {1.5, 1.5};
    const eoc_kernel_rows rows = {.log_diagonal = {diagonal}, .ratio = ratio, .log_condition = condition};
    assert_int_equal(eoc_kernel_fill(&act, 2.0, 0.0, variances, 0.2, DEPTH, &rows), EOC_OK);
    const long double pi = 3.14159265358979323846264338L;
    long double c = 0.2L, theta = 0.2L;
    for (int l = 1; l <= DEPTH; l++) {
        CHECK_NEAR(diagonal[l - 1], log(3.0 * l), 1e-13);
        CHECK_NEAR(ratio[l - 1], (double)(theta / l), 1e-12);
        const double r = (double)(theta / l);
        CHECK_NEAR(condition[l - 1], log((1.0 + r) / (1.0 - r)), 1e-11);
        const long double t = acosl(c);
        theta *= 1.0L - t / pi;
        c += (sinl(t) - t * c) / pi;
        theta += c;
    }
    const double far = (ratio[99] - 0.25) * 100.0, farther = (ratio[9999] - 0.25) * 10000.0;
    assert_true(far > 0.0 && farther > 0.0 && farther / far > 0.5 && farther / far < 4.0);
}

/* linear: Theta^l = sum over layers of the same K: l sigma_w2^l x.y/N, by hand; at any depth without overflow. */
static void linear_closed_form(void **state)
{
    (void)state;
    static double first[DEPTH], second[DEPTH], ratio[DEPTH], condition[DEPTH];
    const eoc_activation act = activation("linear");
    const double variances[] = {0.5, 2.0};
    const eoc_kernel_rows rows = {.log_diagonal = {first, second}, .ratio = ratio, .log_condition = condition};
    assert_int_equal(eoc_kernel_fill(&act, 3.0, 0.0, variances, -0.3, DEPTH, &rows), EOC_OK);
    for (int l = 1; l <= DEPTH; l += 999) {
        CHECK_NEAR(first[l - 1], log(0.5 * l) + l * log(3.0), 2e-13 * (l + 10));
        CHECK_NEAR(second[l - 1], log(2.0 * l) + l * log(3.0), 2e-13 * (l + 10));
        CHECK_NEAR(ratio[l - 1], -0.3, 1e-12);
        /* Eigenvalues of ((0.5, -0.3), (-0.3, 2)). */
        const double root = sqrt(1.5 * 1.5 + 4.0 * 0.09);
        CHECK_NEAR(condition[l - 1], log((2.5 + root) / (2.5 - root)), 1e-9);
    }
}

/* erf: E[phi phi] = (2/pi) asin(2k/sqrt((1 + 2 k1)(1 + 2 k2))), Williams 1998; E[dphi dphi] is its derivative by k,
 * (4/pi)/sqrt((1 + 2 k1)(1 + 2 k2) - 4 k^2). */
static void erf_by_hand(void **state)
{
    (void)state;
    double first[6], second[6], ratio[6];
    const eoc_activation act = activation("erf");
    const double w = 1.7, b = 0.2, variances[] = {0.5, 2.0};
    const eoc_kernel_rows rows = {.log_diagonal = {first, second}, .ratio = ratio};
    assert_int_equal(eoc_kernel_fill(&act, w, b, variances, 0.4, 6, &rows), EOC_OK);
    double k[3] = {w * 0.5 + b, w * 2.0 + b, w * 0.4 + b}; /* 11, 22, 12 */
    double theta[3] = {k[0], k[1], k[2]};
    for (int l = 0; l < 6; l++) {
        CHECK_NEAR(first[l], log(theta[0]), 1e-11);
        CHECK_NEAR(second[l], log(theta[1]), 1e-11);
        CHECK_NEAR(ratio[l], theta[2] / sqrt(theta[0] * theta[1]), 1e-10);
        const double norm[3] = {(1.0 + 2.0 * k[0]) * (1.0 + 2.0 * k[0]), (1.0 + 2.0 * k[1]) * (1.0 + 2.0 * k[1]),
                                (1.0 + 2.0 * k[0]) * (1.0 + 2.0 * k[1])};
        for (int i = 0; i < 3; i++) {
            const double slope = 4.0 / PI / sqrt(norm[i] - 4.0 * k[i] * k[i]);
            k[i] = w * 2.0 / PI * asin(2.0 * k[i] / sqrt(norm[i])) + b;
            theta[i] = k[i] + theta[i] * w * slope;
        }
    }
}

/* erf in the ordered phase, where c and the ratio go to 1 exponentially: 1 minus either keeps its digits. The same maps
 * as in erf_by_hand in 80 digits of mpmath. */
static void near_one(void **state)
{
    (void)state;
    static const struct {
        int layer;
        double one_minus_ratio;
    } want[] = {{5, 0.2307631577874239},
                {20, 0.0050574736811259048},
                {60, 1.0646355916529507e-8},
                {120, 1.1050656613192687e-17}};
    double gap[120];
    const eoc_activation act = activation("erf");
    const double variances[] = {1.0, 1.0};
    const eoc_kernel_rows rows = {.one_minus_ratio = gap};
    assert_int_equal(eoc_kernel_fill(&act, 1.1, 0.3, variances, 0.6, 120, &rows), EOC_OK);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const double size = want[i].one_minus_ratio;
        CHECK_NEAR(gap[want[i].layer - 1], size, 1e-10 * size);
    }
}

/* Kinked phi: the slope gap by two-dimensional quadrature. In the ordered phase 1 - c falls by chi_1 a layer, and with
 * it as its root, for selu whose slope jumps, or as it, for elu, 1 - ratio: still falling far below rounding of the
 * ratio. */
static void kinked_near_one(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double power;
    } cases[] = {{"selu", 0.5}, {"elu", 1.0}};
    for (size_t k = 0; k < 2; k++) {
        double gap[160];
        const eoc_activation act = activation(cases[k].name);
        const double variances[] = {1.0, 1.0};
        const eoc_kernel_rows rows = {.one_minus_ratio = gap};
        eoc_mean_field point;
        assert_int_equal(eoc_mean_field_find(&act, 0.5, 0.2, 0.7, &point), EOC_OK);
        assert_int_equal(eoc_kernel_fill(&act, 0.5, 0.2, variances, 0.6, 160, &rows), EOC_OK);
        for (int l = 30; l < 159; l++) {
            assert_true(gap[l] > 0.0 && gap[l + 1] < gap[l]);
        }
        const double rate = pow(point.chi_1, cases[k].power);
        CHECK_NEAR(gap[120] / gap[119], rate, 0.03 * rate);
    }
}

/* In the chaotic phase the kernel grows by chi_1 a layer, through all of a double's range and beyond it. */
static void grows_without_bound(void **state)
{
    (void)state;
    enum { LAYERS = 5000 };
    static double diagonal[LAYERS], ratio[LAYERS];
    const eoc_activation act = activation("tanh");
    const double variances[] = {1.0, 1.0};
    const eoc_kernel_rows rows = {.log_diagonal = {diagonal}, .ratio = ratio};
    eoc_mean_field point;
    assert_int_equal(eoc_mean_field_find(&act, 2.5, 0.0, 1.0, &point), EOC_OK);
    assert_int_equal(eoc_kernel_fill(&act, 2.5, 0.0, variances, 0.6, LAYERS, &rows), EOC_OK);
    assert_true(diagonal[LAYERS - 1] > 720.0); /* exp of it is not a double */
    for (int l = 200; l + 1 < LAYERS; l++) {
        CHECK_NEAR(diagonal[l + 1] - diagonal[l], log(point.chi_1), 1e-11 * (1.0 + diagonal[l]));
        assert_true(fabs(ratio[l]) <= 1.0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_one),         cmocka_unit_test(kinked_near_one),    cmocka_unit_test(grows_without_bound),
        cmocka_unit_test(relu_closed_form), cmocka_unit_test(linear_closed_form), cmocka_unit_test(erf_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
