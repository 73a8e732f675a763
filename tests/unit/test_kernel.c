/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eoc/kernel.h"

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
    long double c = 0.2L, theta = 0.2L;
    for (int l = 1; l <= DEPTH; l++) {
        CHECK_NEAR(diagonal[l - 1], log(3.0 * l), 1e-8);
        CHECK_NEAR(ratio[l - 1], (double)(theta / l), 1e-8);
        const double r = (double)(theta / l);
        CHECK_NEAR(condition[l - 1], log((1.0 + r) / (1.0 - r)), 1e-7);
        const long double t = acosl(c);
        theta *= 1.0L - t / PI;
        c += (sinl(t) - t * c) / PI;
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
        CHECK_NEAR(first[l - 1], log(0.5 * l) + l * log(3.0), 1e-8);
        CHECK_NEAR(second[l - 1], log(2.0 * l) + l * log(3.0), 1e-8);
        CHECK_NEAR(ratio[l - 1], -0.3, 1e-8);
        /* Eigenvalues of ((0.5, -0.3), (-0.3, 2)). */
        const double root = sqrt(1.5 * 1.5 + 4.0 * 0.09);
        CHECK_NEAR(condition[l - 1], log((2.5 + root) / (2.5 - root)), 1e-8);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_closed_form),
        cmocka_unit_test(linear_closed_form),
        cmocka_unit_test(erf_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
