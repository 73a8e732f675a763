/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eoc/quadrature.h"

#include <math.h>
#include <stdio.h>

static const double PI = 3.14159265358979323846;

/* NaN fails. */
#define CHECK_NEAR(got, want, tolerance) check_near((got), (want), (tolerance), #got, __LINE__)

static void check_near(double got, double want, double tolerance, const char *what, int line)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("line %d: %s is %.17g, not %.17g (difference %.2g, allowed %.2g)", line, what, got, want, got - want,
                 tolerance);
    }
}

typedef struct {
    int power;
    double scale, kink;
} parameters;

static void power_of_z(const double *z, double *f, size_t n, void *context)
{
    const parameters *p = context;
    for (size_t i = 0; i < n; i++) {
        f[i] = pow(z[i], p->power);
    }
}

/* E[z^k] = (k - 1)!! for even k, 0 for odd; E|z|^k finite. */
static void moments_of_the_normal_law(void **state)
{
    (void)state;
    eoc_quadrature *q = NULL;
    assert_int_equal(eoc_quadrature_create(&q), EOC_OK);
    const double expected[] = {1, 0, 1, 0, 3, 0, 15, 0, 105, 0, 945, 0, 10395};
    for (int k = 0; k < 13; k++) {
        parameters p = {.power = k};
        const eoc_quadrature_layout layout = {.range = 11.0, .widest = 1.5};
        const eoc_expectation e = eoc_quadrature_expect(q, &layout, power_of_z, &p);
        CHECK_NEAR(e.value, expected[k], 1e-13 * fmax(1.0, expected[k] + pow(3.0, k)));
        assert_true(e.error <= 1e-10 * fmax(1.0, expected[k] + pow(3.0, k)));
        if (k % 2 == 0) {
            const eoc_quadrature_layout half = {.range = 11.0, .widest = 1.5, .half = true};
            CHECK_NEAR(eoc_quadrature_expect(q, &half, power_of_z, &p).value, expected[k], 1e-13 * expected[k]);
        }
    }
    eoc_quadrature_destroy(&q);
    assert_null(q);
}

static void ramp(const double *z, double *f, size_t n, void *context)
{
    const parameters *p = context;
    for (size_t i = 0; i < n; i++) {
        f[i] = fmax(0.0, p->scale * z[i] - p->kink);
    }
}

/* E[max(s z - k, 0)] = s density(k/s) - k Phi(-k/s), the Bachelier formula. */
static void kinks_are_split(void **state)
{
    (void)state;
    eoc_quadrature *q = NULL;
    assert_int_equal(eoc_quadrature_create(&q), EOC_OK);
    const double kinks[] = {0.0, 0.3, -1.7, 4.0};
    for (size_t i = 0; i < 4; i++) {
        parameters p = {.scale = 1.3, .kink = kinks[i]};
        const double at = p.kink / p.scale;
        const eoc_quadrature_layout layout = {.range = 9.0, .widest = 1.5, .num_breaks = 1, .breaks = {at}};
        const double want = p.scale * exp(-0.5 * at * at) / sqrt(2.0 * PI) - p.kink * 0.5 * erfc(at / sqrt(2.0));
        const eoc_expectation e = eoc_quadrature_expect(q, &layout, ramp, &p);
        CHECK_NEAR(e.value, want, 1e-14);
        assert_true(e.error < 1e-11);
    }
    eoc_quadrature_destroy(&q);
}

static void bump(const double *z, double *f, size_t n, void *context)
{
    const parameters *p = context;
    for (size_t i = 0; i < n; i++) {
        f[i] = exp(-p->scale * p->scale * z[i] * z[i]);
    }
}

/* E[exp(-s^2 z^2)] = 1/sqrt(1 + 2 s^2): structure ever narrower than the Gaussian, told of by a focus, and not
 * told of. */
static void narrow_structure(void **state)
{
    (void)state;
    eoc_quadrature *q = NULL;
    assert_int_equal(eoc_quadrature_create(&q), EOC_OK);
    for (double scale = 0.1; scale < 2e6; scale *= 10.0) {
        parameters p = {.scale = scale};
        const double want = 1.0 / sqrt(1.0 + 2.0 * scale * scale);
        eoc_quadrature_layout layout = {
            .range = 9.0, .widest = 1.5, .num_foci = 1, .foci = {0.0}, .focus_widths = {2.0 / scale}};
        CHECK_NEAR(eoc_quadrature_expect(q, &layout, bump, &p).value, want, 1e-13 * want);
        if (scale < 11.0) {
            layout.num_foci = 0;
            CHECK_NEAR(eoc_quadrature_expect(q, &layout, bump, &p).value, want, 1e-12 * want);
        }
    }
    eoc_quadrature_destroy(&q);
}

/* relu and step of both, or the squared difference */
static void relu_row(double u1, const double *y, const double *u2, double *f, size_t n, void *context)
{
    (void)y, (void)context;
    for (size_t i = 0; i < n; i++) {
        f[i] = fmax(u1, 0.0) * fmax(u2[i], 0.0);
        f[n + i] = u1 > 0.0 && u2[i] > 0.0;
    }
}

/* E[relu relu] = (sin t + (pi - t) cos t)/(2 pi), E[step step] = (pi - t)/(2 pi): Cho & Saul 2009, eqs. 4 and 6.
 */
static void arc_cosine_kernel(void **state)
{
    (void)state;
    eoc_quadrature *q = NULL;
    assert_int_equal(eoc_quadrature_create(&q), EOC_OK);
    const double angles[] = {3.0, 2.0, 1.2, 0.5, 0.1, 1e-2, 1e-3, 1e-5};
    for (size_t i = 0; i < 8; i++) {
        const double t = angles[i];
        const eoc_quadrature_pair pair = {
            .scale = 1.0, .slope = cos(t), .spread = sin(t), .feature = 2.0, .num_kinks = 1, .kinks = {0.0}};
        eoc_expectation e[2];
        eoc_quadrature_expect_pair(q, &pair, relu_row, NULL, 2, e);
        CHECK_NEAR(e[0].value, (sin(t) + (PI - t) * cos(t)) / (2.0 * PI), 1e-12);
        CHECK_NEAR(e[1].value, (PI - t) / (2.0 * PI), 1e-12);
        assert_true(e[0].error < 1e-9 && e[1].error < 1e-9);
    }
    eoc_quadrature_destroy(&q);
}

static void erf_row(double u1, const double *y, const double *u2, double *f, size_t n, void *context)
{
    (void)y, (void)context;
    for (size_t i = 0; i < n; i++) {
        f[i] = erf(u1) * erf(u2[i]);
    }
}

/* E[erf erf] = (2/pi) asin(2 k12/sqrt((1 + 2 k11)(1 + 2 k22))): Williams 1998, two variances, steep and shallow.
 */
static void arcsine_kernel(void **state)
{
    (void)state;
    eoc_quadrature *q = NULL;
    assert_int_equal(eoc_quadrature_create(&q), EOC_OK);
    const double variances[][2] = {{0.5, 0.5}, {1.0, 3.0}, {12.0, 12.0}, {100.0, 0.01}};
    const double correlations[] = {-0.9, 0.0, 0.4, 0.99, 0.99999};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 5; k++) {
            const double q1 = variances[i][0], q2 = variances[i][1], c = correlations[k];
            const eoc_quadrature_pair pair = {
                .scale = sqrt(q1), .slope = c * sqrt(q2 / q1), .spread = sqrt(q2 * (1.0 - c * c)), .feature = 2.0};
            eoc_expectation e;
            eoc_quadrature_expect_pair(q, &pair, erf_row, NULL, 1, &e);
            const double k12 = c * sqrt(q1 * q2);
            CHECK_NEAR(e.value, 2.0 / PI * asin(2.0 * k12 / sqrt((1.0 + 2.0 * q1) * (1.0 + 2.0 * q2))), 1e-12);
        }
    }
    eoc_quadrature_destroy(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_of_the_normal_law),
        cmocka_unit_test(kinks_are_split),
        cmocka_unit_test(narrow_structure),
        cmocka_unit_test(arc_cosine_kernel),
        cmocka_unit_test(arcsine_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
