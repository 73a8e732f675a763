/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eoc/critical.h"
#include "eoc/spectrum.h"

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

static eoc_spectrum *spectrum(const char *name, double sigma_w2, double q_star, int depth, double s_1)
{
    eoc_activation act;
    eoc_spectrum *made = NULL;
    assert_int_equal(eoc_activation_find(name, &act), EOC_OK);
    assert_int_equal(eoc_spectrum_create(&act, sigma_w2, q_star, depth, s_1, &made), EOC_OK);
    return made;
}

/*
 * Gaussian linear: Fuss-Catalan. With lambda = sin^(L+1)((L+1) t)/(sin t sin^L(L t)), 0 < t < pi/(L+1), density
 * rho = sin^2 t sin^(L-1)(L t)/(pi sin^L((L+1) t)) (Penson & Zyczkowski 2011).
 */
static void fuss_catalan(void **state)
{
    (void)state;
    static const int depths[] = {1, 2, 7, 100, 1000};
    for (size_t i = 0; i < 5; i++) {
        const int depth = depths[i];
        eoc_spectrum *s = spectrum("linear", 1.0, 1.0, depth, -1.0);
        const eoc_spectrum_shape shape = eoc_spectrum_shape_of(s);
        CHECK_NEAR(shape.log_lambda_max, (depth + 1) * log(depth + 1.0) - depth * log(depth), 1e-9);
        assert_true(isinf(shape.log_lambda_min) && shape.mass_at_zero == 0.0);
        for (int k = 1; k < 20; k++) {
            const double t = PI / (depth + 1) * k / 20.0;
            const double top = sin((depth + 1) * t), middle = sin(depth * t), bottom = sin(t);
            const double y = (depth + 1) * log(top) - log(bottom) - depth * log(middle);
            const double want = bottom * top / (PI * middle); /* lambda rho */
            double density = 0.0, cdf = 0.0;
            assert_int_equal(eoc_spectrum_fill(s, &y, 1, &density, &cdf), EOC_OK);
            CHECK_NEAR(density / want, 1.0, 1e-9);
            assert_true(cdf > 0.0 && cdf < 1.0);
        }
        eoc_spectrum_destroy(&s);
        assert_null(s);
    }
    /* One layer, Marchenko-Pastur: P(lambda <= 4 sin^2 a) = (2 a + sin 2 a)/pi. */
    eoc_spectrum *s = spectrum("linear", 1.0, 1.0, 1, -1.0);
    for (double a = 0.1; a < 1.5; a += 0.2) {
        const double y = log(4.0 * sin(a) * sin(a));
        double cdf = 0.0;
        eoc_spectrum_fill(s, &y, 1, NULL, &cdf);
        CHECK_NEAR(cdf, (2.0 * a + sin(2.0 * a)) / PI, 1e-10);
    }
    eoc_spectrum_destroy(&s);
    /* Orthogonal: all of it at sigma_w2^L. */
    s = spectrum("linear", 1.3, 1.0, 40, 0.0);
    const eoc_spectrum_shape shape = eoc_spectrum_shape_of(s);
    CHECK_NEAR(shape.mass_of_atom, 1.0, 1e-12);
    CHECK_NEAR(shape.log_atom, 40.0 * log(1.3), 1e-12);
    eoc_spectrum_destroy(&s);
}

/* Two orthogonal relu layers: 4 times the product of two free projections of trace 1/2, half of it at 0 and half
 * arcsine on [0, 4] (Voiculescu, Dykema & Nica 1992): P(0 < lambda <= 4 sin^2 a) = a/pi. */
static void free_projections(void **state)
{
    (void)state;
    eoc_spectrum *s = spectrum("relu", 2.0, 1.0, 2, 0.0);
    CHECK_NEAR(eoc_spectrum_shape_of(s).log_lambda_max, log(4.0), 1e-9);
    CHECK_NEAR(eoc_spectrum_shape_of(s).mass_at_zero, 0.5, 1e-15);
    for (double a = 0.1; a < 1.5; a += 0.2) {
        const double y = log(4.0 * sin(a) * sin(a));
        double density = 0.0, cdf = 0.0;
        eoc_spectrum_fill(s, &y, 1, &density, &cdf);
        CHECK_NEAR(cdf, 0.5 + a / PI, 1e-9);
        CHECK_NEAR(density, tan(a) / (2.0 * PI), 1e-9 * fmax(1.0, tan(a)));
    }
    eoc_spectrum_destroy(&s);
}

typedef struct {
    const char *name;
    double sigma_w2, q_star;
    int depth;
    double s_1, edge, tolerance;
} moment_case;

/*
 * Total mass and the first two moments by integrating the density over log lambda, against 1, m1 = (sigma_w2 mu_1)^L
 * and m2/m1^2 = 1 + L (mu_2/mu_1^2 - 1 - s_1), Pennington et al. 2017. edge: published.md, A6, 0 where not there.
 * hard_tanh: the critical line at sigma_b2 = 0.05, where p = 0.8580. Two or five orthogonal layers of it keep an atom.
 */
static void moments(void **state)
{
    (void)state;
    enum { POINTS = 600 };
    static const moment_case cases[] = {
        {"linear", 1.0, 1.0, 100, -1.0, 273.19, 1e-6},  {"linear", 1.0, 1.0, 1000, -1.0, 0.0, 1e-6},
        {"relu", 2.0, 1.0, 100, -1.0, 543.66, 1e-6},    {"relu", 2.0, 1.0, 100, 0.0, 270.47, 1e-6},
        {"relu", 2.0, 1.0, 10, 0.0, 25.81, 1e-6},       {"leaky_relu(slope=0.5)", 1.6, 1.0, 20, -1.0, 0.0, 1e-6},
        {"hard_tanh", 0.0, 0.0, 2, 0.0, 0.0, 1e-6},     {"hard_tanh", 0.0, 0.0, 5, 0.0, 0.0, 1e-6},
        {"hard_tanh", 0.0, 0.0, 100, 0.0, 44.77, 1e-6}, {"hard_tanh", 0.0, 0.0, 100, -1.0, 317.96, 1e-6},
        {"tanh", 1.76, 0.57, 10, -1.0, 0.0, 1e-6},      {"tanh", 1.76, 0.57, 1000, -1.0, 0.0, 1e-6},
        {"elu", 1.5, 1.1, 10, -1.0, 0.0, 1e-6},         {"silu", 2.0, 0.6, 10, -1.0, 0.0, 1e-6},
        {"erf", 1.3, 0.5, 10, 0.0, 0.0, 1e-6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const moment_case *k = &cases[i];
        eoc_critical_point line = {.sigma_w2 = k->sigma_w2, .q_star = k->q_star};
        if (k->q_star == 0.0) {
            eoc_activation act;
            int count = 0;
            assert_int_equal(eoc_activation_find(k->name, &act), EOC_OK);
            assert_int_equal(eoc_critical_find(&act, 0.05, 1, &line, &count), EOC_OK);
        }
        eoc_spectrum *s = spectrum(k->name, line.sigma_w2, line.q_star, k->depth, k->s_1);
        const eoc_spectrum_shape shape = eoc_spectrum_shape_of(s);
        if (k->edge > 0.0) {
            CHECK_NEAR(exp(shape.log_lambda_max), k->edge, 0.01);
        }
        /* Midpoints of r, log lambda = edge - range r^3: the density starts as a root at the edge. */
        const double range = 40.0 * (k->depth + 1);
        double mass = shape.mass_at_zero + shape.mass_of_atom;
        const double atom = shape.mass_of_atom > 0.0 ? exp(shape.log_atom - shape.log_m1) : 0.0;
        double m1 = shape.mass_of_atom * atom, m2 = shape.mass_of_atom * atom * atom, below = 1.0;
        for (int n = 0; n < POINTS; n++) {
            const double r = (n + 0.5) / POINTS, y = shape.log_lambda_max - range * r * r * r;
            double density = 0.0, cdf = 0.0;
            assert_int_equal(eoc_spectrum_fill(s, &y, 1, &density, &cdf), EOC_OK);
            const double weight = 3.0 * range * r * r / POINTS * density, lambda = exp(y - shape.log_m1);
            if (!(cdf <= below + 1e-9 && density >= 0.0)) {
                fail_msg("%s, depth %d, s_1 %g: density %g and cdf %.12g at %g, cdf %.12g above", k->name, k->depth,
                         k->s_1, density, cdf, y, below);
            }
            below = cdf;
            mass += weight;
            m1 += weight * lambda;
            m2 += weight * lambda * lambda;
        }
        print_message("%s, depth %d, s_1 %g: off by %.1e, %.1e, %.1e\n", k->name, k->depth, k->s_1, mass - 1.0,
                      m1 - 1.0, m2 / shape.m2_over_m1_2 - 1.0);
        CHECK_NEAR(mass, 1.0, k->tolerance);
        CHECK_NEAR(m1, 1.0, k->tolerance);
        CHECK_NEAR(m2 / shape.m2_over_m1_2, 1.0, k->tolerance);
        eoc_spectrum_destroy(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuss_catalan),
        cmocka_unit_test(free_projections),
        cmocka_unit_test(moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
