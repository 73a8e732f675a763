/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eoc/critical.h"
#include "eoc/mean_field.h"
#include "eoc/spectrum.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    assert_int_equal(shape.num_atoms, 1);
    CHECK_NEAR(shape.atom_mass[0], 1.0, 1e-12);
    CHECK_NEAR(shape.log_atom[0], 40.0 * log(1.3), 1e-12);
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
        const double atom_mass = shape.num_atoms > 0 ? shape.atom_mass[0] : 0.0;
        double mass = shape.mass_at_zero + atom_mass;
        const double atom = shape.num_atoms > 0 ? exp(shape.log_atom[0] - shape.log_m1) : 0.0;
        double m1 = atom_mass * atom, m2 = atom_mass * atom * atom, below = 1.0;
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

/*
 * Quantiles of products of random matrices, by LAPACK (tests/reference/singular_values.py): the distribution function
 * there, good to a few times 1/500. Smooth and kinked phi, gaussian and orthogonal, one layer to ten, with gaps and
 * atoms.
 */
static void singular_values_of_matrices(void **state)
{
    (void)state;
    FILE *file = fopen(EOC_TEST_REFERENCE "/singular_values.csv", "r");
    assert_non_null(file);
    char line[256], name[64];
    double sigma_w2 = 0.0, q = 0.0, s_1 = 0.0, level = 0.0, y = 0.0;
    int depth = 0, rows = 0;
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        assert_int_equal(sscanf(line, "%63[^,],%lf,%lf,%d,%lf,%lf,%lf", name, &sigma_w2, &q, &depth, &s_1, &level, &y),
                         7);
        eoc_spectrum *s = spectrum(name, sigma_w2, q, depth, s_1);
        double cdf = 0.0, above = 0.0;
        const double lower = y - 1e-5, higher = y + 1e-5; /* on either side of an atom */
        eoc_spectrum_fill(s, &lower, 1, NULL, &cdf);
        eoc_spectrum_fill(s, &higher, 1, NULL, &above);
        if (!(cdf <= level + 0.008 && above >= level - 0.008)) {
            fail_msg("%s, q %g, depth %d, s_1 %g: P(log lambda <= %g) is %.6g, not %g", name, q, depth, s_1, y, cdf,
                     level);
        }
        rows++;
        eoc_spectrum_destroy(&s);
    }
    fclose(file);
    assert_true(rows > 200);
}

/*
 * Every activation, to where its smooth law is narrow or wide, deep or shallow: no NaN, a distribution function that
 * rises from the mass at 0 to 1, and its first two moments E[lambda^k], by Riemann sums over it, as in `moments`.
 */
static void every_activation(void **state)
{
    (void)state;
    static const char *const names[] = {"tanh",         "erf",       "sigmoid", "elu",        "elu(alpha=0.1)",
                                        "elu(alpha=2)", "selu",      "gelu",    "silu",       "softplus",
                                        "sin",          "hard_tanh", "relu",    "leaky_relu", "linear"};
    static const double variances[] = {0.01, 3.0};
    static const int depths[] = {1, 2, 30};
    enum { POINTS = 400 };
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        for (int k = 0; k < 12; k++) {
            const double q = variances[k % 2], s_1 = k < 6 ? 0.0 : -1.0;
            const int depth = depths[k / 2 % 3];
            eoc_spectrum *s = spectrum(names[n], 1.3, q, depth, s_1);
            const eoc_spectrum_shape shape = eoc_spectrum_shape_of(s);
            if (isnan(shape.log_lambda_max)) { /* nothing but atoms */
                eoc_spectrum_destroy(&s);
                continue;
            }
            /* Steps of the distribution function from far below the mean to the edge, or to the atom above it. */
            const double range = 25.0 + 3.0 * depth;
            double m1 = 0.0, m2 = 0.0, above = 1.0, above_y = shape.log_lambda_max;
            for (int i = 0; i < shape.num_atoms; i++) {
                above_y = fmax(above_y, shape.log_atom[i]);
            }
            above_y += 1e-12 * fabs(above_y);
            const double start = above_y;
            for (int i = 1; i <= POINTS; i++) {
                const double y = start - range * pow((double)i / POINTS, 3.0);
                double cdf = 0.0, density = 0.0;
                eoc_spectrum_fill(s, &y, 1, &density, &cdf);
                if (!(density >= 0.0 && cdf >= shape.mass_at_zero && cdf <= above + 1e-9)) {
                    fail_msg("%s, q %g, depth %d, s_1 %g at %.9g: density %g, cdf %.12g below %.12g", names[n], q,
                             depth, s_1, y, density, cdf, above);
                }
                const double lambda = exp(0.5 * (y + above_y) - shape.log_m1);
                m1 += (above - cdf) * lambda;
                m2 += (above - cdf) * lambda * lambda;
                above = cdf;
                above_y = y;
            }
            if (!(fabs(m1 - 1.0) < 0.01 && fabs(m2 / shape.m2_over_m1_2 - 1.0) < 0.02)) {
                fail_msg("%s, q %g, depth %d, s_1 %g: moments %g and %g of 1 and %g", names[n], q, depth, s_1, m1, m2,
                         shape.m2_over_m1_2);
            }
            eoc_spectrum_destroy(&s);
        }
    }
}

/* One orthogonal tanh layer: lambda = sigma_w2/cosh^4(sqrt(q) z), so P(lambda > y) = erf(z/sqrt 2) in closed form, and
 * the density in log lambda is phi(z)/(2 sqrt(q) tanh u). leaky_relu: two atoms of 1/2. */
static void one_orthogonal_layer(void **state)
{
    (void)state;
    eoc_spectrum *s = spectrum("tanh", 1.3, 0.57, 1, 0.0);
    for (double z = 0.05; z < 6.0; z += 0.4) {
        const double u = sqrt(0.57) * z, y = log(1.3) - 4.0 * log(cosh(u));
        double density = 0.0, cdf = 0.0;
        eoc_spectrum_fill(s, &y, 1, &density, &cdf);
        CHECK_NEAR(cdf, erfc(z / sqrt(2.0)), 1e-11);
        const double want = 2.0 * exp(-0.5 * z * z) / sqrt(2.0 * PI) / (4.0 * sqrt(0.57) * tanh(u));
        CHECK_NEAR(density, want, 1e-9 * fmax(1e-3, want));
    }
    eoc_spectrum_destroy(&s);
    s = spectrum("leaky_relu(slope=0.5)", 2.0, 1.0, 1, 0.0);
    const eoc_spectrum_shape shape = eoc_spectrum_shape_of(s);
    assert_int_equal(shape.num_atoms, 2);
    CHECK_NEAR(shape.atom_mass[0] + shape.atom_mass[1], 1.0, 1e-15);
    const double between = log(1.0);
    double cdf = 0.0;
    eoc_spectrum_fill(s, &between, 1, NULL, &cdf);
    CHECK_NEAR(cdf, 0.5, 1e-15);
    eoc_spectrum_destroy(&s);
}

/* One gaussian layer of relu: half a Wishart matrix. Marchenko & Pastur 1967, ratio 1/2, times sigma_w2: the density
 * goes from (1 - sqrt(1/2))^2 to (1 + sqrt(1/2))^2. A slope of 0.01 adds a part far below, across a gap, of mass 1/2.
 */
static void gaps(void **state)
{
    (void)state;
    eoc_spectrum *s = spectrum("relu", 1.0, 1.0, 1, -1.0);
    eoc_spectrum_shape shape = eoc_spectrum_shape_of(s);
    CHECK_NEAR(shape.log_lambda_min, 2.0 * log(1.0 - sqrt(0.5)), 1e-9);
    CHECK_NEAR(shape.log_lambda_max, 2.0 * log(1.0 + sqrt(0.5)), 1e-9);
    eoc_spectrum_destroy(&s);
    s = spectrum("leaky_relu(slope=0.01)", 1.0, 1.0, 1, -1.0);
    shape = eoc_spectrum_shape_of(s);
    CHECK_NEAR(shape.log_gap_max, 2.0 * log(1.0 - sqrt(0.5)), 5e-3);
    assert_true(shape.log_gap_min < -6.0 && shape.log_lambda_min < shape.log_gap_min);
    const double middle = 0.5 * (shape.log_gap_min + shape.log_gap_max), just_above = shape.log_gap_max + 1e-7,
                 just_below = shape.log_gap_min - 1e-7;
    double density = 1.0, cdf = 0.0;
    eoc_spectrum_fill(s, &middle, 1, &density, &cdf);
    CHECK_NEAR(density, 0.0, 0.0);
    CHECK_NEAR(cdf, 0.5, 1e-12);
    eoc_spectrum_fill(s, &just_above, 1, &density, &cdf);
    assert_true(density > 0.0);
    CHECK_NEAR(cdf, 0.5, 1e-8);
    eoc_spectrum_fill(s, &just_below, 1, &density, &cdf);
    assert_true(density > 0.0);
    CHECK_NEAR(cdf, 0.5, 1e-8);
    eoc_spectrum_destroy(&s);
}

/* Orthogonal layers of which the tracing once left the sheet, far below the mean: P(lambda <= x) rises with x, and the
 * mean of lambda, the integral of P(lambda > x), is its closed form (sigma_w^2 mu_1)^L. */
static void distributions_rise(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double sigma_w2, sigma_b2;
        int depth;
    } cases[] = {{"elu", 1.212927657, 0.000759034928145, 30},
                 {"selu", 0.3, 1e-4, 2},
                 {"tanh", 0.3, 1e-4, 1000},
                 {"sigmoid", 0.3, 1e-4, 1000}};
    for (int k = 0; k < 4; k++) {
        enum { POINTS = 1500 };
        eoc_activation act;
        eoc_mean_field m;
        assert_int_equal(eoc_activation_find(cases[k].name, &act), EOC_OK);
        assert_int_equal(eoc_mean_field_find(&act, cases[k].sigma_w2, cases[k].sigma_b2, 1.0, &m), EOC_OK);
        eoc_spectrum *s = spectrum(cases[k].name, cases[k].sigma_w2, m.q_star, cases[k].depth, 0.0);
        const eoc_spectrum_shape shape = eoc_spectrum_shape_of(s);
        const double low = shape.log_m1 - 12.0;
        double before = 0.0, mean = exp(low - shape.log_m1), last = 1.0;
        for (int i = 1; i <= POINTS; i++) {
            const double y = low + (shape.log_lambda_max - low) * i / POINTS;
            double density = 0.0, cdf = 0.0;
            eoc_spectrum_fill(s, &y, 1, &density, &cdf);
            assert_true(cdf >= before - 1e-9);
            const double width = exp(y - shape.log_m1) * -expm1((low - shape.log_lambda_max) / POINTS);
            mean += 0.5 * width * (last + 1.0 - cdf);
            before = cdf;
            last = 1.0 - cdf;
        }
        CHECK_NEAR(mean, 1.0, 1e-3);
        CHECK_NEAR(shape.log_m1, cases[k].depth * log(cases[k].sigma_w2 * m.mu_1), 1e-9 * cases[k].depth);
        eoc_spectrum_destroy(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(singular_values_of_matrices),
        cmocka_unit_test(every_activation),
        cmocka_unit_test(one_orthogonal_layer),
        cmocka_unit_test(gaps),
        cmocka_unit_test(fuss_catalan),
        cmocka_unit_test(free_projections),
        cmocka_unit_test(moments),
        cmocka_unit_test(distributions_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
