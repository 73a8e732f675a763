/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gradients along an interval against central differences of plain loops, in networks whose batch, where it is
 * normalized, keeps the means and variances of the whole interval; closed forms of one layer; autocorrelations.
 */
#include "check.h"

#include "eoc/linalg.h"
#include "eoc/probe.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 4, WIDTH = 7, POINTS = 9, LAGS = 4 };

typedef struct {
    const char *spelling;
    char form, norm; /* f or p; n, b, l */
    double skip, branch;
} plain_case;

static const plain_case cases[] = {
    {"fully_connected", 'f', 'n', 0.0, 0.0},
    {"fully_connected(normalization=batch)", 'f', 'b', 0.0, 0.0},
    {"fully_connected(normalization=layer)", 'f', 'l', 0.0, 0.0},
    {"residual(branch=0.7)", 'p', 'n', 1.0, 0.7},
    {"residual(normalization=batch, branch=0.3)", 'p', 'b', 1.0, 0.3},
    {"residual(normalization=layer, skip=0.9)", 'p', 'l', 0.9, 1.0},
};
enum { NUM_CASES = sizeof cases / sizeof cases[0] };

static eoc_network network_of(const char *architecture, const char *activation, int depth)
{
    eoc_network n = {.depth = depth, .width = WIDTH, .weight_variance = 1.6, .bias_variance = 0.4, .key = {{31, 41}}};
    assert_int_equal(eoc_architecture_find(architecture, &n.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &n.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find("gaussian", &n.initializer), EOC_OK);
    return n;
}

static eoc_probe probe_of(const eoc_network *network, unsigned statistics)
{
    eoc_probe p = {.inputs = {.variance = 1.0, .points = POINTS, .from = -1.5, .to = 2.0},
                   .statistics = statistics,
                   .jacobian_probes = 1,
                   .autocorrelation_lags = LAGS - 1,
                   .sampler = eoc_sampler_find("explicit"),
                   .needs = network->architecture.kind->needs(network)};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (eoc_input_kind_row(row)->is_interval) {
            p.inputs.kind = eoc_input_kind_row(row);
        }
    }
    return p;
}

typedef struct {
    double input_gradient[POINTS], autocorrelation[LAGS], correlation, covariance[POINTS][POINTS];
} rows_memory;

static void run_probe(const eoc_network *network, unsigned statistics, rows_memory *m)
{
    const eoc_probe asked = probe_of(network, statistics);
    int layers[DEPTH] = {1, 2, 3, 4};
    eoc_probe_rows rows = {.input_gradient = m->input_gradient,
                           .gradient_autocorrelation = m->autocorrelation,
                           .gradient_correlation = &m->correlation,
                           .gradient_covariance = m->covariance[0]};
    eoc_probe_workspace *workspace = NULL;
    assert_int_equal(eoc_probe_workspace_create(&asked, DEPTH, WIDTH, &workspace), EOC_OK);
    eoc_outcome outcome;
    assert_true(eoc_probe_run(&asked, network, 1.0, layers, DEPTH, workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DONE);
    eoc_probe_workspace_destroy(&workspace);
}

enum { ALL = EOC_STATISTICS_HELD };

/* -- the plain reference -- */

typedef struct {
    eoc_network law;
    const plain_case *c;
    double w[DEPTH + 1][WIDTH * WIDTH], b[DEPTH + 1][WIDTH], v[WIDTH];
    double mean[DEPTH + 1][WIDTH], variance[DEPTH + 1][WIDTH]; /* of a batch, held */
} plain_network;

static void write_out(const eoc_network *law, const plain_case *c, plain_network *p)
{
    *p = (plain_network){.law = *law, .c = c};
    eoc_weights *weights = NULL;
    assert_int_equal(eoc_weights_create(WIDTH, 0, &weights), EOC_OK);
    for (int l = 1; l <= law->depth; l++) {
        const eoc_matrix m = {.initializer = law->initializer,
                              .weight_variance = law->weight_variance,
                              .key = law->key,
                              .layer = (uint32_t)l,
                              .tensor = EOC_TENSOR_WEIGHT,
                              .fan_out = WIDTH,
                              .fan_in = WIDTH};
        assert_int_equal(eoc_weights_draw(weights, &m, p->w[l]), EOC_OK);
        const eoc_stream biases = {law->key, (uint32_t)l, EOC_TENSOR_BIAS, 0};
        eoc_rng_normals_scaled(&biases, 0, sqrt(law->bias_variance), p->b[l], WIDTH);
    }
    const eoc_stream readout = {law->key, 0, EOC_TENSOR_READOUT, 0};
    eoc_rng_normals(&readout, p->v, WIDTH);
    eoc_weights_destroy(&weights);
}

static void affine(const plain_network *p, int l, const double *x, double *z)
{
    for (int i = 0; i < WIDTH; i++) {
        z[i] = p->b[l][i];
        for (int k = 0; k < WIDTH; k++) {
            z[i] += p->w[l][i * WIDTH + k] * x[k];
        }
    }
}

/* phi of what the normalization leaves of u at layer l */
static void features(const plain_network *p, int l, const double *u, double *f)
{
    double mean = 0.0, variance = 0.0;
    for (int i = 0; i < WIDTH; i++) {
        mean += u[i] / WIDTH;
    }
    for (int i = 0; i < WIDTH; i++) {
        variance += (u[i] - mean) * (u[i] - mean) / WIDTH;
    }
    for (int i = 0; i < WIDTH; i++) {
        const double y = p->c->norm == 'b'   ? (u[i] - p->mean[l][i]) / sqrt(p->variance[l][i] + 1e-5)
                         : p->c->norm == 'l' ? (u[i] - mean) / sqrt(variance + 1e-5)
                                             : u[i];
        f[i] = eoc_activation_phi(&p->law.activation, y);
    }
}

/* Layer l: from h^(l-1) to z^l, to h^l. In a block what is normalized is h^(l-1), in a plain layer z^l. */
static void to_z(const plain_network *p, int l, const double *h, double *z)
{
    double f[WIDTH];
    if (p->c->form == 'f' || l == 1) {
        affine(p, l, h, z);
        return;
    }
    features(p, l, h, f);
    affine(p, l, f, z);
    for (int i = 0; i < WIDTH; i++) {
        z[i] = p->c->skip * h[i] + p->c->branch * z[i];
    }
}

static void to_h(const plain_network *p, int l, const double *z, double *h)
{
    if (p->c->form == 'f') {
        features(p, l, z, h);
    } else {
        memcpy(h, z, sizeof(double) * WIDTH);
    }
}

static const double *what_is_normalized(const plain_network *p, const double *h, const double *z)
{
    return p->c->form == 'f' ? z : h;
}

static double point(int k)
{
    return -1.5 + 3.5 * k / (POINTS - 1);
}

/* Means and variances of the whole interval, layer after layer. */
static void hold(plain_network *p)
{
    double h[POINTS][WIDTH] = {{0.0}}, z[POINTS][WIDTH];
    for (int a = 0; a < POINTS; a++) {
        h[a][0] = sqrt(WIDTH) * point(a);
    }
    for (int l = 1; l <= p->law.depth; l++) {
        const bool of_h = p->c->form != 'f';
        for (int a = 0; a < POINTS && !of_h; a++) {
            to_z(p, l, h[a], z[a]);
        }
        for (int i = 0; i < WIDTH; i++) {
            for (int a = 0; a < POINTS; a++) {
                p->mean[l][i] += what_is_normalized(p, h[a], z[a])[i] / POINTS;
            }
            for (int a = 0; a < POINTS; a++) {
                p->variance[l][i] += pow(what_is_normalized(p, h[a], z[a])[i] - p->mean[l][i], 2.0) / POINTS;
            }
        }
        for (int a = 0; a < POINTS; a++) {
            if (of_h) {
                to_z(p, l, h[a], z[a]);
            }
            to_h(p, l, z[a], h[a]);
        }
    }
}

/* y at t, unit `unit` of z^1 shifted. */
static double output(const plain_network *p, double t, int unit, double shift)
{
    double h[WIDTH] = {sqrt(WIDTH) * t}, z[WIDTH], y = 0.0;
    for (int l = 1; l <= p->law.depth; l++) {
        to_z(p, l, h, z);
        if (l == 1) {
            z[unit] += shift;
        }
        to_h(p, l, z, h);
    }
    for (int i = 0; i < WIDTH; i++) {
        y += p->v[i] * h[i];
    }
    return y;
}

/* d y/d t, or with a unit, d y/d z^1: five points, error of the fourth order. */
static double derivative(const plain_network *p, double t, int unit)
{
    const double step = 2e-5, dt = unit < 0 ? step : 0.0, dz = unit < 0 ? 0.0 : step;
    const int k = unit < 0 ? 0 : unit;
    return (8.0 * (output(p, t + dt, k, dz) - output(p, t - dt, k, -dz)) -
            (output(p, t + 2.0 * dt, k, 2.0 * dz) - output(p, t - 2.0 * dt, k, -2.0 * dz))) /
           (12.0 * step);
}

static void finite_differences(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_CASES; i++) {
        const eoc_network law = network_of(cases[i].spelling, "tanh", DEPTH);
        plain_network *p = malloc(sizeof *p);
        rows_memory m;
        write_out(&law, &cases[i], p);
        hold(p);
        run_probe(&law, ALL, &m);
        double dz[POINTS][WIDTH], sum = 0.0;
        for (int a = 0; a < POINTS; a++) {
            const double t = point(a);
            const double gradient = derivative(p, t, -1);
            CHECK_NEAR(m.input_gradient[a], gradient, 1e-7 * fmax(1.0, fabs(gradient)));
            for (int k = 0; k < WIDTH; k++) {
                dz[a][k] = derivative(p, t, k);
            }
        }
        for (int a = 0; a < POINTS; a++) {
            for (int b = 0; b < POINTS; b++) {
                const double ab = eoc_linalg_dot(dz[a], dz[b], WIDTH);
                CHECK_NEAR(m.covariance[a][b], ab / WIDTH, 1e-7 * fmax(1.0, fabs(ab)));
                sum += a == b ? 0.0 : ab / eoc_linalg_norm(dz[a], WIDTH) / eoc_linalg_norm(dz[b], WIDTH);
            }
        }
        CHECK_NEAR(m.correlation, sum / (POINTS * (POINTS - 1)), 1e-7);
        free(p);
    }
}

/* One layer: dy/dt = sum_i v_i w_i [w_i t + b_i > 0], w = sqrt(N) times the first column of W; linear: all of them. */
static void one_layer(void **state)
{
    (void)state;
    for (int relu = 0; relu <= 1; relu++) {
        const eoc_network law = network_of("fully_connected", relu ? "relu" : "linear", 1);
        plain_network *p = malloc(sizeof *p);
        rows_memory m;
        write_out(&law, &cases[0], p);
        run_probe(&law, ALL, &m);
        for (int a = 0; a < POINTS; a++) {
            double gradient = 0.0;
            for (int i = 0; i < WIDTH; i++) {
                const double w = sqrt(WIDTH) * p->w[1][i * WIDTH];
                gradient += !relu || w * point(a) + p->b[1][i] > 0.0 ? p->v[i] * w : 0.0;
            }
            CHECK_NEAR(m.input_gradient[a], gradient, 1e-13 * WIDTH);
        }
        for (int k = 0; k < LAGS && !relu; k++) {
            assert_true(isnan(m.autocorrelation[k])); /* a constant has none */
        }
        free(p);
    }
}

/* With shattering the covariance is not there, and the other way about; a probe of one gives what all together do. */
static void statistics_apart(void **state)
{
    (void)state;
    const eoc_network law = network_of("residual(normalization=batch, branch=0.3)", "relu", DEPTH);
    rows_memory all, one;
    run_probe(&law, ALL, &all);
    run_probe(&law, EOC_STATISTIC_SHATTERING | EOC_STATISTIC_GRADIENT_CORRELATION | EOC_STATISTIC_JACOBIAN, &one);
    assert_memory_equal(all.input_gradient, one.input_gradient, sizeof all.input_gradient);
    assert_memory_equal(all.autocorrelation, one.autocorrelation, sizeof all.autocorrelation);
    CHECK_NEAR(one.correlation, all.correlation, 0.0);
}

/* By hand: g = 1, 2, 4, 1, deviations -1, 0, 2, -1 of the mean 2, squares 6, products at lag 1: -2, at lag 2: -2. */
static void autocorrelations(void **state)
{
    (void)state;
    const double g[4] = {1.0, 2.0, 4.0, 1.0}, scaled[4] = {1e-200, 2e-200, 4e-200, 1e-200};
    double r[4];
    eoc_autocorrelation(g, 4, r, 4);
    CHECK_NEAR(r[0], 1.0, 0.0);
    CHECK_NEAR(r[1], -1.0 / 3.0, 1e-15);
    CHECK_NEAR(r[2], -1.0 / 3.0, 1e-15);
    CHECK_NEAR(r[3], 1.0 / 6.0, 1e-15);
    eoc_autocorrelation(scaled, 4, r, 2);
    CHECK_NEAR(r[1], -1.0 / 3.0, 1e-14);
    const double same[3] = {0.1, 0.1, 0.1};
    eoc_autocorrelation(same, 3, r, 2);
    assert_true(isnan(r[0]) && isnan(r[1]));
}

/* Both ends, even steps, symmetric to the bit; W x is t times a vector. */
static void points(void **state)
{
    (void)state;
    const eoc_network law = network_of("fully_connected", "tanh", 1);
    eoc_probe p = probe_of(&law, ALL);
    p.inputs.from = -2.0;
    p.inputs.to = 2.0;
    p.inputs.points = 256;
    CHECK_NEAR(eoc_interval_point(&p.inputs, 0), -2.0, 0.0);
    CHECK_NEAR(eoc_interval_point(&p.inputs, 255), 2.0, 0.0);
    for (int k = 0; k < 256; k++) {
        CHECK_NEAR(eoc_interval_point(&p.inputs, k), -2.0 + 4.0 * k / 255.0, 1e-15 * 4);
        CHECK_NEAR(eoc_interval_point(&p.inputs, k), -eoc_interval_point(&p.inputs, 255 - k), 0.0);
    }
    double *x = malloc(sizeof(double) * 256 * 10);
    p.inputs.kind->fill(&p.inputs, law.key, 10, NAN, x);
    for (int k = 0; k < 256; k++) {
        const double t = eoc_interval_point(&p.inputs, k);
        CHECK_NEAR(eoc_linalg_dot(x + 10 * k, x + 10 * k, 10) / 10.0, t * t, 1e-14);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finite_differences), cmocka_unit_test(one_layer), cmocka_unit_test(statistics_apart),
        cmocka_unit_test(autocorrelations),   cmocka_unit_test(points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
