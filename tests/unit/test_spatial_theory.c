/* SPDX-License-Identifier: BSD-3-Clause */
/* Theory over space: against closed forms, the theory of fully connected networks, and an independent computation. */
#include "check.h"

#include "eoc/spatial_theory.h"

#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

enum { MOST_POSITIONS = 64, MOST_LAYERS = 400 };

static eoc_activation activation(const char *name)
{
    eoc_activation act;
    assert_int_equal(eoc_activation_find(name, &act), EOC_OK);
    return act;
}

/* Shares (edge, 1 - 2 edge, edge) along each dimension. */
static eoc_averaging averaging(int dimensions, int side, double edge, bool circular)
{
    eoc_averaging a = {.geometry = {.dimensions = dimensions, .side = side, .kernel = 3, .circular = circular}};
    const double line[3] = {edge, 1.0 - 2.0 * edge, edge};
    for (int t = 0; t < eoc_geometry_taps(&a.geometry); t++) {
        a.shares[t] = dimensions == 1 ? line[t] : line[t / 3] * line[t % 3];
    }
    return a;
}

/* -- curves of one case, all layers -- */

typedef struct {
    double log_q[MOST_LAYERS], c[MOST_LAYERS], one_minus_c[MOST_LAYERS], log_gradient_q[MOST_LAYERS],
        gradient_c[MOST_LAYERS], log_weight_gradient_q[MOST_LAYERS];
    double position_q[MOST_LAYERS][MOST_POSITIONS], position_c[MOST_LAYERS][MOST_POSITIONS],
        spatial_power[MOST_LAYERS][MOST_POSITIONS], spatial_correlation[MOST_LAYERS][MOST_POSITIONS];
    double log_m1, log_m2;
} outcome;

static outcome *run(const eoc_averaging *a, const char *name, double sigma_w2, double sigma_b2,
                    const eoc_spatial_inputs *inputs, int depth, eoc_spatial_law law)
{
    const eoc_activation act = activation(name);
    assert_true(depth <= MOST_LAYERS);
    outcome *o = malloc(sizeof *o);
    assert_non_null(o);
    eoc_spatial_curves *curves = NULL;
    assert_int_equal(eoc_spatial_curves_create(a, &act, sigma_w2, sigma_b2, inputs, depth, true, true, &curves),
                     EOC_OK);
    int layers[MOST_LAYERS];
    for (int l = 0; l < depth; l++) {
        layers[l] = l + 1;
    }
    eoc_curve_rows rows = {.log_q = o->log_q,
                           .c = o->c,
                           .one_minus_c = o->one_minus_c,
                           .log_gradient_q = o->log_gradient_q,
                           .gradient_c = o->gradient_c,
                           .log_weight_gradient_q = o->log_weight_gradient_q};
    assert_int_equal(eoc_spatial_curves_fill(curves, depth, layers, depth, law, &rows), EOC_OK);
    o->log_m1 = rows.log_jacobian_m1;
    o->log_m2 = rows.log_jacobian_m2;
    const eoc_spatial_curve_rows space = {.stride = MOST_POSITIONS,
                                          .position_q = o->position_q[0],
                                          .position_c = o->position_c[0],
                                          .spatial_power = o->spatial_power[0],
                                          .spatial_correlation = o->spatial_correlation[0]};
    eoc_spatial_curves_fill_space(curves, depth, layers, depth, &space);
    eoc_spatial_curves_destroy(&curves);
    assert_null(curves);
    return o;
}

/* Amplitude of a cosine wave of number k in values over a ring. */
static double amplitude(const double *values, int side, int k)
{
    double sum = 0.0;
    for (int p = 0; p < side; p++) {
        sum += 2.0 * values[p] * cos(2.0 * PI * k * p / side) / side;
    }
    return sum;
}

/* -- the averaging operator -- */

/* lambda_k = (1 - 2 e) + 2 e cos(2 pi k/side) in a dimension, their product in two; delta: 1. */
static void eigenvalues(void **state)
{
    (void)state;
    double found[MOST_POSITIONS];
    const eoc_averaging ring = averaging(1, 8, 1.0 / 3.0, true);
    eoc_averaging_eigenvalues(&ring, found);
    for (int k = 0; k < 8; k++) {
        CHECK_NEAR(found[k], (1.0 + 2.0 * cos(2.0 * PI * k / 8.0)) / 3.0, 1e-15);
    }
    assert_true(found[0] == 1.0 && found[1] == found[7] && found[3] == found[5]);
    const eoc_averaging torus = averaging(2, 7, 0.25, true);
    eoc_averaging_eigenvalues(&torus, found);
    for (int k = 0; k < 49; k++) {
        const double rows = 0.5 + 0.5 * cos(2.0 * PI * (k / 7) / 7.0),
                     columns = 0.5 + 0.5 * cos(2.0 * PI * (k % 7) / 7.0);
        CHECK_NEAR(found[k], rows * columns, 1e-15);
    }
    const eoc_averaging delta = averaging(2, 7, 0.0, true);
    eoc_averaging_eigenvalues(&delta, found);
    for (int k = 0; k < 49; k++) {
        assert_true(found[k] == 1.0);
    }
    /* Where lambda is zero it is zero, and so is the depth scale: a ring of 3 and a kernel of 3 average everything. */
    const eoc_averaging all = averaging(1, 3, 1.0 / 3.0, true);
    eoc_averaging_eigenvalues(&all, found);
    assert_true(found[1] == 0.0 && found[2] == 0.0);
    assert_true(eoc_averaging_depth_scale(0.9, found[1]) == 0.0);
    assert_true(isinf(eoc_averaging_depth_scale(1.0, 1.0)));
    CHECK_RELATIVE(eoc_averaging_depth_scale(0.8, -0.5), -1.0 / log(0.4), 1e-15);
    const eoc_averaging line = averaging(1, 5, 0.25, false);
    eoc_averaging_eigenvalues(&line, found);
    assert_true(isnan(found[0]) && isnan(found[4]));
}

/* The operator's eigenvalues, which a network's own taps give. */
static void taps_of_networks(void **state)
{
    (void)state;
    eoc_network network = {.depth = 3, .width = 16, .weight_variance = 1.0, .activation = activation("tanh")};
    assert_int_equal(eoc_architecture_find("convolutional(side=8, dimensions=1)", &network.architecture), EOC_OK);
    assert_int_equal(eoc_initializer_find("gaussian", &network.initializer), EOC_OK);
    eoc_averaging a = eoc_averaging_of(&network);
    CHECK_NEAR(a.shares[0], 1.0 / 3.0, 1e-16);
    assert_int_equal(eoc_initializer_find("delta_orthogonal", &network.initializer), EOC_OK);
    a = eoc_averaging_of(&network);
    assert_true(a.shares[0] == 0.0 && a.shares[1] == 1.0 && a.shares[2] == 0.0);
}

/* -- closed forms -- */

/* Linear, no bias, a wave in the variances: q^l(p) is the l-th power of sigma_w^2 A of it, waves its eigenvectors. */
static void linear_waves(void **state)
{
    (void)state;
    enum { SIDE = 8, DEPTH = 12 };
    const eoc_averaging a = averaging(1, SIDE, 0.3, true);
    double variances[SIDE];
    for (int p = 0; p < SIDE; p++) {
        variances[p] = 1.0 + 0.5 * cos(2.0 * PI * p / SIDE) - 0.25 * cos(2.0 * PI * 3 * p / SIDE);
    }
    const double one = 1.0;
    const eoc_spatial_inputs inputs = {.classes = {.num_variances = 1, .variances = &one, .counts = &one},
                                       .variances = variances};
    outcome *o = run(&a, "linear", 1.3, 0.0, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    for (int l = 1; l <= DEPTH; l++) {
        CHECK_NEAR(o->log_q[l - 1], l * log(1.3), 1e-13);
        for (int p = 0; p < SIDE; p++) {
            const double first = 0.5 * pow(0.4 + 0.6 * cos(2.0 * PI / SIDE), l) * cos(2.0 * PI * p / SIDE);
            const double third = -0.25 * pow(0.4 + 0.6 * cos(6.0 * PI / SIDE), l) * cos(6.0 * PI * p / SIDE);
            CHECK_NEAR(o->position_q[l - 1][p], 1.0 + first + third, 1e-14);
            CHECK_NEAR(o->spatial_power[l - 1][p], 1.0 / SIDE, 1e-15); /* different positions stay uncorrelated */
        }
    }
    /* dh^L/dh^0 is a product of Gaussian matrices: m_2/m_1^2 = 1 + L. */
    CHECK_NEAR(o->log_m1, DEPTH * log(1.3), 1e-13);
    CHECK_NEAR(o->log_m2 - 2.0 * o->log_m1, log(1.0 + DEPTH), 1e-13);
    free(o);
}

/* Zero padding, linear: A is a tridiagonal matrix, of eigenvectors sin(pi j (p + 1)/(side + 1)). */
static void linear_between_walls(void **state)
{
    (void)state;
    enum { SIDE = 6, DEPTH = 9 };
    const eoc_averaging a = averaging(1, SIDE, 0.25, false);
    double variances[SIDE], mean = 0.0;
    for (int p = 0; p < SIDE; p++) {
        variances[p] = sin(PI * (p + 1) / (SIDE + 1));
        mean += variances[p] / SIDE;
    }
    const double one = 1.0, lambda = 0.5 + 0.5 * cos(PI / (SIDE + 1));
    const eoc_spatial_inputs inputs = {.classes = {.num_variances = 1, .variances = &one, .counts = &one},
                                       .variances = variances};
    outcome *o = run(&a, "linear", 0.9, 0.0, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    for (int l = 1; l <= DEPTH; l++) {
        CHECK_NEAR(o->log_q[l - 1], log(mean) + l * log(0.9 * lambda), 1e-13);
        for (int p = 0; p < SIDE; p++) {
            CHECK_NEAR(o->position_q[l - 1][p], variances[p] / mean, 1e-14);
        }
    }
    /* Gradients begin alike everywhere: a mean of powers of A, which is that of the eigenvectors' shares of 1. */
    double alike = 0.0;
    for (int j = 1; j <= SIDE; j++) {
        double sum = 0.0;
        for (int p = 0; p < SIDE; p++) {
            sum += sqrt(2.0 / (SIDE + 1)) * sin(PI * j * (p + 1) / (SIDE + 1));
        }
        alike += sum * sum * pow(0.9 * (0.5 + 0.5 * cos(PI * j / (SIDE + 1))), DEPTH - 1) / SIDE;
    }
    CHECK_NEAR(o->log_gradient_q[0], log(alike), 1e-13);
    free(o);
}

/* erf, one layer, unlike variances at every position: the arcsine kernel of Williams 1998. */
static void erf_arcsine(void **state)
{
    (void)state;
    enum { SIDE = 3 };
    const eoc_averaging a = averaging(1, SIDE, 0.2, true);
    const double sigma_w2 = 1.4, sigma_b2 = 0.1, shares[3] = {0.2, 0.6, 0.2};
    const double variances[2 * SIDE] = {0.3, 1.1, 2.0, 0.7, 0.9, 1.6}, correlations[SIDE] = {0.5, -0.4, 0.9};
    const double means[2] = {3.4 / 3.0, 3.2 / 3.0}, counts[2] = {1.0, 1.0};
    const eoc_theory_pair pair = {.a = 0, .b = 1, .correlation = 0.3, .count = 2.0};
    double between[2 * SIDE * SIDE] = {0.0};
    const eoc_spatial_inputs inputs = {
        .classes = {.num_variances = 2, .variances = means, .counts = counts, .num_pairs = 1, .pairs = &pair},
        .variances = variances,
        .correlations = correlations,
        .position_correlation = between};
    outcome *o = run(&a, "erf", sigma_w2, sigma_b2, &inputs, 2, EOC_SPATIAL_INDEPENDENT);
    double q[2][SIDE] = {{0.0}}, s[SIDE], next[2][SIDE] = {{0.0}}, mean = 0.0;
    for (int p = 0; p < SIDE; p++) {
        s[p] = sigma_b2;
        q[0][p] = q[1][p] = sigma_b2;
        for (int t = 0; t < 3; t++) {
            const int at = (p + t + SIDE - 1) % SIDE;
            q[0][p] += sigma_w2 * shares[t] * variances[at];
            q[1][p] += sigma_w2 * shares[t] * variances[SIDE + at];
            s[p] += sigma_w2 * shares[t] * correlations[at] * sqrt(variances[at] * variances[SIDE + at]);
        }
        CHECK_NEAR(o->position_c[0][p], s[p] / sqrt(q[0][p] * q[1][p]), 1e-14);
    }
    for (int p = 0; p < SIDE; p++) {
        double cross = sigma_b2;
        next[0][p] = next[1][p] = sigma_b2;
        for (int t = 0; t < 3; t++) {
            const int at = (p + t + SIDE - 1) % SIDE;
            const double a_0 = 1.0 + 2.0 * q[0][at], a_1 = 1.0 + 2.0 * q[1][at],
                         share = sigma_w2 * shares[t] * 2.0 / PI;
            next[0][p] += share * asin(2.0 * q[0][at] / a_0);
            next[1][p] += share * asin(2.0 * q[1][at] / a_1);
            cross += share * asin(2.0 * s[at] / sqrt(a_0 * a_1));
        }
        CHECK_NEAR(o->position_c[1][p], cross / sqrt(next[0][p] * next[1][p]), 1e-12);
        mean += (next[0][p] + next[1][p]) / (2.0 * SIDE);
    }
    for (int p = 0; p < SIDE; p++) {
        CHECK_NEAR(o->position_q[1][p], (next[0][p] + next[1][p]) / 2.0 / mean, 1e-12);
    }
    CHECK_NEAR(o->log_q[1], log(mean), 1e-12);
    free(o);
}

/* relu without bias: scaling the inputs scales q, and nothing else changes. */
static void relu_scales(void **state)
{
    (void)state;
    enum { SIDE = 5, DEPTH = 30 };
    const eoc_averaging a = averaging(1, SIDE, 1.0 / 3.0, true);
    double variances[2][SIDE];
    for (int p = 0; p < SIDE; p++) {
        variances[0][p] = 1.0 + p;
        variances[1][p] = 1e8 * (1.0 + p);
    }
    const double one = 1.0, two = 2.0;
    const eoc_theory_pair pair = {.correlation = 0.1, .count = 2.0};
    outcome *o[2];
    for (int i = 0; i < 2; i++) {
        const eoc_spatial_inputs inputs = {
            .classes = {.num_variances = 1, .variances = &one, .counts = &two, .num_pairs = 1, .pairs = &pair},
            .variances = variances[i]};
        o[i] = run(&a, "relu", 2.0, 0.0, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    }
    for (int l = 0; l < DEPTH; l++) {
        CHECK_NEAR(o[0]->log_q[l], log(3.0 * 2.0), 1e-12); /* sigma_w^2/2 = 1 of 2 times the mean of the inputs */
        CHECK_NEAR(o[1]->log_q[l] - o[0]->log_q[l], log(1e8), 1e-12);
        CHECK_NEAR(o[1]->c[l], o[0]->c[l], 1e-13);
        CHECK_NEAR(o[1]->spatial_correlation[l][2], o[0]->spatial_correlation[l][2], 1e-13);
    }
    free(o[0]);
    free(o[1]);
}

/* -- the uniform mode is the theory of fully connected networks -- */

static void check_uniform(const eoc_averaging *a, const char *name, double sigma_w2, double sigma_b2)
{
    enum { DEPTH = 60 };
    const eoc_activation act = activation(name);
    const int positions = eoc_geometry_positions(&a->geometry);
    const double variance = 0.8, count = 3.0;
    /* The second pair of classes is that of two positions: uncorrelated inputs, which are of no gradient. */
    const eoc_theory_pair pairs[2] = {{.correlation = 0.6, .count = 6.0}, {.correlation = 0.0, .count = 0.0}};
    eoc_theory_inputs classes = {
        .num_variances = 1, .variances = &variance, .counts = &count, .num_pairs = 1, .pairs = pairs};
    const eoc_spatial_inputs inputs = {.classes = classes};
    outcome *o = run(a, name, sigma_w2, sigma_b2, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    eoc_curves *plain = NULL, *apart = NULL;
    assert_int_equal(eoc_curves_create(&act, sigma_w2, sigma_b2, &classes, DEPTH, &plain), EOC_OK);
    classes.pairs = pairs + 1;
    assert_int_equal(eoc_curves_create(&act, sigma_w2, sigma_b2, &classes, DEPTH, &apart), EOC_OK);
    for (int l = 1; l <= DEPTH; l++) {
        double log_q, c, one_minus_c, log_gradient_q, gradient_c, log_weight_gradient_q, position_c;
        eoc_curve_rows rows = {&log_q, &c,  &one_minus_c, &log_gradient_q, &gradient_c, &log_weight_gradient_q,
                               0.0,    0.0, 0.0};
        eoc_curves_fill(plain, DEPTH, &l, 1, -1.0, &rows);
        CHECK_NEAR(o->log_q[l - 1], log_q, 1e-12);
        CHECK_NEAR(o->c[l - 1], c, 1e-12);
        CHECK_RELATIVE(o->one_minus_c[l - 1], one_minus_c, 1e-10);
        CHECK_NEAR(o->log_gradient_q[l - 1], log_gradient_q, 1e-11);
        CHECK_NEAR(o->gradient_c[l - 1], gradient_c, 1e-11);
        CHECK_NEAR(o->log_weight_gradient_q[l - 1], log_weight_gradient_q + log(positions), 1e-11);
        CHECK_NEAR(o->log_m1, rows.log_jacobian_m1, 1e-11);
        CHECK_NEAR(o->log_m2, rows.log_jacobian_m2, 1e-11);
        eoc_curve_rows of_positions = {.c = &position_c};
        eoc_curves_fill(apart, DEPTH, &l, 1, -1.0, &of_positions);
        for (int p = 0; p < positions; p++) {
            CHECK_NEAR(o->position_q[l - 1][p], 1.0, 1e-14);
            CHECK_NEAR(o->position_c[l - 1][p], c, 1e-12);
            CHECK_NEAR(o->spatial_correlation[l - 1][p], p ? position_c : 1.0, 1e-12);
            const double share = (1.0 - position_c) / positions + (p ? 0.0 : position_c);
            CHECK_NEAR(o->spatial_power[l - 1][p], share, 1e-12);
        }
    }
    eoc_curves_destroy(&plain);
    eoc_curves_destroy(&apart);
    free(o);
}

static void uniform_is_fully_connected(void **state)
{
    (void)state;
    const eoc_averaging ring = averaging(1, 8, 1.0 / 3.0, true), torus = averaging(2, 4, 0.25, true);
    check_uniform(&ring, "tanh", 1.5, 0.05);
    check_uniform(&ring, "tanh", 3.0, 0.05);
    check_uniform(&torus, "relu", 2.0, 0.0);
    check_uniform(&torus, "gelu", 1.9, 0.05);
    check_uniform(&ring, "hard_tanh", 1.4, 0.1);
}

/* A centre tap alone: every position is a fully connected network of its own; with orthogonal taps s_1 = 0. */
static void delta_keeps_positions_apart(void **state)
{
    (void)state;
    enum { SIDE = 4, DEPTH = 25 };
    const eoc_activation act = activation("tanh");
    const eoc_averaging a = averaging(1, SIDE, 0.0, true);
    const double variances[SIDE] = {0.2, 0.9, 0.9, 2.5}, one = 1.0, two = 2.0;
    const eoc_theory_pair pair = {.correlation = 0.4, .count = 2.0};
    const eoc_spatial_inputs inputs = {
        .classes = {.num_variances = 1, .variances = &one, .counts = &two, .num_pairs = 1, .pairs = &pair},
        .variances = variances};
    outcome *o = run(&a, "tanh", 1.6, 0.03, &inputs, DEPTH, EOC_SPATIAL_CENTRE);
    outcome *independent = run(&a, "tanh", 1.6, 0.03, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    double m1 = 0.0, m2 = 0.0, independent_m2 = 0.0, gradient = 0.0;
    for (int p = 0; p < SIDE; p++) {
        const eoc_theory_inputs alone = {
            .num_variances = 1, .variances = &variances[p], .counts = &two, .num_pairs = 1, .pairs = &pair};
        eoc_curves *curves = NULL;
        assert_int_equal(eoc_curves_create(&act, 1.6, 0.03, &alone, DEPTH, &curves), EOC_OK);
        for (int l = 1; l <= DEPTH; l++) {
            double log_q, c, log_gradient_q;
            eoc_curve_rows rows = {.log_q = &log_q, .c = &c, .log_gradient_q = &log_gradient_q};
            eoc_curves_fill(curves, DEPTH, &l, 1, 0.0, &rows);
            CHECK_NEAR(log(o->position_q[l - 1][p]) + o->log_q[l - 1], log_q, 1e-12);
            CHECK_NEAR(o->position_c[l - 1][p], c, 1e-12);
            if (l == DEPTH) {
                m1 += exp(rows.log_jacobian_m1) / SIDE;
                m2 += exp(rows.log_jacobian_m2) / SIDE;
                eoc_curves_fill(curves, DEPTH, &l, 1, -1.0, &rows);
                independent_m2 += exp(rows.log_jacobian_m2) / SIDE;
            }
            gradient += l == 3 ? exp(log_gradient_q) / SIDE : 0.0;
        }
        eoc_curves_destroy(&curves);
    }
    CHECK_NEAR(o->log_m1, log(m1), 1e-12);
    CHECK_NEAR(o->log_m2, log(m2), 1e-12);
    CHECK_NEAR(independent->log_m1, log(m1), 1e-12);
    CHECK_NEAR(independent->log_m2, log(independent_m2), 1e-12);
    CHECK_NEAR(o->log_gradient_q[2], log(gradient), 1e-12);
    free(o);
    free(independent);
}

/* -- decay of perturbations against the depth scales -- */

/* Variances around q* in waves: each falls by chi_q lambda_k a layer. */
static void variance_modes_decay(void **state)
{
    (void)state;
    enum { SIDE = 8, DEPTH = 14 };
    const eoc_averaging a = averaging(1, SIDE, 0.15, true);
    const eoc_activation act = activation("tanh");
    const double sigma_w2 = 2.0, sigma_b2 = 0.1;
    eoc_mean_field point;
    assert_int_equal(eoc_mean_field_find(&act, sigma_w2, sigma_b2, 1.0, &point), EOC_OK);
    double variances[SIDE], lambda[SIDE];
    eoc_averaging_eigenvalues(&a, lambda);
    for (int p = 0; p < SIDE; p++) {
        variances[p] = (point.q_star - sigma_b2) / sigma_w2;
        for (int k = 0; k <= 4; k++) {
            variances[p] += 1e-6 * cos(2.0 * PI * k * p / SIDE);
        }
    }
    const double one = 1.0;
    const eoc_spatial_inputs inputs = {.classes = {.num_variances = 1, .variances = &one, .counts = &one},
                                       .variances = variances};
    outcome *o = run(&a, "tanh", sigma_w2, sigma_b2, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    for (int k = 1; k <= 4; k++) {
        const double first = amplitude(o->position_q[1], SIDE, k), later = amplitude(o->position_q[6], SIDE, k);
        const double rate = pow(later / first, 1.0 / 5.0), xi = eoc_averaging_depth_scale(point.chi_q, lambda[k]);
        /* rounding of 1 against the amplitude that is left; waves meet to second order in 1e-6 */
        CHECK_RELATIVE(rate, exp(-1.0 / xi), 2e-5 + 1e-15 / fabs(later));
    }
    CHECK_RELATIVE((exp(o->log_q[4]) - point.q_star) / (exp(o->log_q[3]) - point.q_star), point.chi_q, 1e-4);
    free(o);
}

/* Correlations of two inputs around c* in waves, chaotic phase: each falls by chi_c lambda_k a layer. */
static void correlation_modes_decay(void **state)
{
    (void)state;
    enum { SIDE = 8, DEPTH = 12 };
    const eoc_averaging a = averaging(1, SIDE, 0.15, true);
    const eoc_activation act = activation("tanh");
    const double sigma_w2 = 2.5, sigma_b2 = 0.05;
    eoc_mean_field point;
    assert_int_equal(eoc_mean_field_find(&act, sigma_w2, sigma_b2, 1.0, &point), EOC_OK);
    const double variance = (point.q_star - sigma_b2) / sigma_w2, two = 2.0;
    double correlations[SIDE], lambda[SIDE];
    eoc_averaging_eigenvalues(&a, lambda);
    for (int p = 0; p < SIDE; p++) {
        correlations[p] = (point.c_star * point.q_star - sigma_b2) / (point.q_star - sigma_b2);
        for (int k = 0; k <= 4; k++) {
            correlations[p] += 1e-6 * cos(2.0 * PI * k * p / SIDE);
        }
    }
    const eoc_theory_pair pair = {.count = 2.0};
    const eoc_spatial_inputs inputs = {
        .classes = {.num_variances = 1, .variances = &variance, .counts = &two, .num_pairs = 1, .pairs = &pair},
        .correlations = correlations};
    outcome *o = run(&a, "tanh", sigma_w2, sigma_b2, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    for (int k = 1; k <= 4; k++) {
        const double first = amplitude(o->position_c[1], SIDE, k), later = amplitude(o->position_c[7], SIDE, k);
        const double rate = pow(later / first, 1.0 / 6.0), xi = eoc_averaging_depth_scale(point.chi_c, lambda[k]);
        CHECK_RELATIVE(rate, exp(-1.0 / xi), 2e-5 + 1e-15 / fabs(later));
    }
    free(o);
}

/* -- against NumPy -- */

typedef struct {
    const char *name, *activation;
    double sigma_w2, sigma_b2;
    int side, dimensions;
    bool circular;
    double edge;
    int depth;
    double tolerance;
} written_case; /* as in tests/reference/spatial.py */

static const written_case cases[] = {
    {"ring", "tanh", 1.7, 0.1, 5, 1, true, 0.3, 4, 1e-11},
    {"line", "tanh", 1.7, 0.1, 5, 1, false, 1.0 / 3.0, 4, 1e-11},
    {"torus", "gelu", 1.9, 0.05, 3, 2, true, 0.25, 3, 1e-11},
    {"square", "gelu", 1.9, 0.05, 3, 2, false, 0.25, 3, 1e-11},
    {"kinked", "hard_tanh", 1.5, 0.1, 4, 1, true, 0.25, 3, 1e-9},
    {"dark", "sigmoid", 2.5, 0.0, 6, 1, true, 0.3, 3, 1e-11},
};

enum { MOST_SITES = 18 };

static bool read_row(FILE *file, char *name, int *layer, char *quantity, int *i, int *j, double *value)
{
    char line[256];
    return fgets(line, sizeof line, file) &&
           sscanf(line, "%31[^,],%d,%31[^,],%d,%d,%lf", name, layer, quantity, i, j, value) == 6;
}

static FILE *open_reference(void)
{
    FILE *file = fopen(EOC_TEST_REFERENCE "/spatial.csv", "r");
    assert_non_null(file);
    char line[256];
    assert_non_null(fgets(line, sizeof line, file));
    return file;
}

/* Of two sites; 0 where one has no variance, as of images. */
static double site_correlation(double s[MOST_SITES][MOST_SITES], int i, int j)
{
    return s[i][i] > 0.0 && s[j][j] > 0.0 ? s[i][j] / sqrt(s[i][i] * s[j][j]) : 0.0;
}

static outcome *run_written(const written_case *w, double s[MOST_SITES][MOST_SITES])
{
    const eoc_averaging a = averaging(w->dimensions, w->side, w->edge, w->circular);
    const int n = eoc_geometry_positions(&a.geometry);
    double variances[MOST_SITES], correlations[MOST_SITES], between[MOST_SITES * MOST_SITES];
    for (int p = 0; p < 2 * n; p++) {
        variances[p] = s[p][p];
        for (int q = 0; q < n; q++) {
            between[p * n + q] = site_correlation(s, p, p / n * n + q);
        }
    }
    for (int p = 0; p < n; p++) {
        correlations[p] = site_correlation(s, p, n + p);
    }
    const double counts[2] = {1.0, 1.0};
    const eoc_theory_pair pair = {.a = 0, .b = 1, .count = 2.0};
    const eoc_spatial_inputs inputs = {
        .classes = {.num_variances = 2, .variances = variances, .counts = counts, .num_pairs = 1, .pairs = &pair},
        .variances = variances,
        .correlations = correlations,
        .position_correlation = between};
    return run(&a, w->activation, w->sigma_w2, w->sigma_b2, &inputs, w->depth, EOC_SPATIAL_INDEPENDENT);
}

static double value_of(const outcome *o, const char *quantity, int layer, int i)
{
    const struct {
        const char *name;
        const double *rows;
        int stride;
    } rows[] = {{"log_q", o->log_q, 1},
                {"c", o->c, 1},
                {"log_gradient_q", o->log_gradient_q, 1},
                {"gradient_c", o->gradient_c, 1},
                {"log_weight_gradient_q", o->log_weight_gradient_q, 1},
                {"position_q", o->position_q[0], MOST_POSITIONS},
                {"position_c", o->position_c[0], MOST_POSITIONS},
                {"spatial_power", o->spatial_power[0], MOST_POSITIONS},
                {"spatial_correlation", o->spatial_correlation[0], MOST_POSITIONS}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        if (strcmp(rows[r].name, quantity) == 0) {
            return rows[r].rows[(layer - 1) * rows[r].stride + i];
        }
    }
    return NAN;
}

/* spatial.csv: maps written out over all pairs of sites, and gradients with those of different positions. */
static void written_out_maps(void **state)
{
    (void)state;
    int compared = 0;
    for (size_t w = 0; w < sizeof cases / sizeof cases[0]; w++) {
        double s[MOST_SITES][MOST_SITES] = {{0.0}};
        outcome *o = NULL;
        FILE *file = open_reference();
        char name[32], quantity[32];
        int layer, i, j;
        double value;
        while (read_row(file, name, &layer, quantity, &i, &j, &value)) {
            if (strcmp(name, cases[w].name) != 0) {
                continue;
            }
            if (layer == 0) {
                s[i][j] = value;
                continue;
            }
            if (!o) {
                o = run_written(&cases[w], s);
            }
            compared++;
            if (isnan(value)) { /* of a site without variance */
                assert_true(isnan(value_of(o, quantity, layer, i)));
                continue;
            }
            CHECK_NEAR(value_of(o, quantity, layer, i), value, cases[w].tolerance);
        }
        fclose(file);
        assert_non_null(o);
        free(o);
    }
    assert_int_equal(compared, 85 + 4 * 40 + 6 * 36 + 3 * 16 + 3 * 29);
}

/* Blocks that are black: sites without a signal, which neighbours bring to life. */
static void dark_positions(void **state)
{
    (void)state;
    enum { SIDE = 7, DEPTH = 5 };
    const eoc_averaging a = averaging(1, SIDE, 1.0 / 3.0, true);
    const double variances[SIDE] = {0.0, 0.0, 0.0, 3.5, 0.0, 0.0, 0.0}, one = 1.0, two = 2.0;
    const eoc_theory_pair pair = {.correlation = 0.5, .count = 2.0};
    const eoc_spatial_inputs inputs = {
        .classes = {.num_variances = 1, .variances = &one, .counts = &two, .num_pairs = 1, .pairs = &pair},
        .variances = variances};
    outcome *o = run(&a, "linear", 1.0, 0.0, &inputs, DEPTH, EOC_SPATIAL_INDEPENDENT);
    assert_true(o->position_q[0][0] == 0.0 && isnan(o->position_c[0][0]));
    CHECK_NEAR(o->position_q[0][2], 7.0 / 3.0, 1e-14);
    CHECK_NEAR(o->position_c[4][0], 0.5, 1e-14);
    CHECK_NEAR(o->c[0], 0.5, 1e-14);
    CHECK_NEAR(o->log_q[4], log(0.5), 1e-13);
    free(o);
}

/* Ordered phase, variances from either side of q*: 1 - c goes on falling by chi_c a layer, far below rounding of c. */
static void small_differences_keep_their_digits(void **state)
{
    (void)state;
    enum { SIDE = 4, DEPTH = 400 };
    const eoc_activation act = activation("tanh");
    const double variances[2 * SIDE] = {0.1, 0.5, 0.9, 3.0, 2.0, 0.2, 0.6, 0.05}, means[2] = {1.125, 0.7125};
    const double counts[2] = {1.0, 1.0}, edges[2] = {0.0, 1.0 / 3.0};
    const eoc_theory_pair pair = {.a = 0, .b = 1, .correlation = 0.3, .count = 2.0};
    const eoc_spatial_inputs inputs = {
        .classes = {.num_variances = 2, .variances = means, .counts = counts, .num_pairs = 1, .pairs = &pair},
        .variances = variances};
    eoc_mean_field point;
    assert_int_equal(eoc_mean_field_find(&act, 1.2, 0.05, 1.0, &point), EOC_OK);
    for (int i = 0; i < 2; i++) {
        const eoc_averaging a = averaging(1, SIDE, edges[i], true);
        outcome *o = run(&a, "tanh", 1.2, 0.05, &inputs, DEPTH, EOC_SPATIAL_OTHER);
        for (int l = 250; l < DEPTH; l += 10) {
            CHECK_RELATIVE(o->one_minus_c[l] / o->one_minus_c[l - 1], point.chi_c, 1e-9);
        }
        free(o);
    }
}

/* A layer's bits do not depend on how many follow, nor on whether covariances between positions are wanted too. */
static void bits(void **state)
{
    (void)state;
    enum { SIDE = 6, DEPTH = 12, DEEPER = 60 };
    static const char *const names[] = {"tanh", "hard_tanh", "elu"};
    const eoc_averaging a = averaging(1, SIDE, 1.0 / 3.0, true);
    const double variances[SIDE] = {0.2, 0.9, 1.3, 2.5, 0.1, 0.4}, one = 1.0, two = 2.0;
    const eoc_theory_pair pair = {.correlation = 0.7, .count = 2.0};
    const eoc_spatial_inputs inputs = {
        .classes = {.num_variances = 1, .variances = &one, .counts = &two, .num_pairs = 1, .pairs = &pair},
        .variances = variances};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const eoc_activation act = activation(names[n]);
        double one_minus_c[4][DEEPER], log_q[4][DEEPER], gradient[4][DEEPER];
        int layers[DEEPER];
        for (int l = 0; l < DEEPER; l++) {
            layers[l] = l + 1;
        }
        for (int i = 0; i < 4; i++) {
            const int max_depth = i % 2 ? DEPTH : DEEPER;
            eoc_spatial_curves *curves = NULL;
            assert_int_equal(eoc_spatial_curves_create(&a, &act, 0.9, 0.01, &inputs, max_depth, i / 2, i / 2, &curves),
                             EOC_OK);
            eoc_curve_rows rows = {.log_q = log_q[i], .one_minus_c = one_minus_c[i], .log_gradient_q = gradient[i]};
            assert_int_equal(eoc_spatial_curves_fill(curves, DEPTH, layers, DEPTH, EOC_SPATIAL_OTHER, &rows), EOC_OK);
            eoc_spatial_curves_destroy(&curves);
            assert_memory_equal(log_q[i], log_q[0], sizeof(double) * DEPTH);
            assert_memory_equal(one_minus_c[i], one_minus_c[0], sizeof(double) * DEPTH);
            assert_memory_equal(gradient[i], gradient[0], sizeof(double) * DEPTH);
        }
    }
}

static void reach(void **state)
{
    (void)state;
    const eoc_averaging small = averaging(2, 7, 1.0 / 3.0, true), large = averaging(2, 64, 1.0 / 3.0, true);
    const eoc_theory_inputs classes = {.num_variances = 10, .num_pairs = 45};
    assert_true(eoc_spatial_curves_reach(&small, &classes, 100, true));
    assert_false(eoc_spatial_curves_reach(&large, &classes, 100, true));
    assert_false(eoc_spatial_curves_reach(&small, &classes, 100000, false));
}

/* 32 x 32 positions: the second moment of 8 layers is there, that of 400 is not, nor one that is not wanted; the first
 * does not miss it. */
static void reach_of_the_second_moment(void **state)
{
    (void)state;
    const eoc_averaging a = averaging(2, 32, 1.0 / 3.0, false);
    const eoc_activation act = activation("tanh");
    const double one = 1.0;
    const eoc_spatial_inputs inputs = {.classes = {.num_variances = 1, .variances = &one, .counts = &one}};
    const struct {
        int max_depth;
        bool wanted, known;
    } asked[] = {{8, true, true}, {8, false, false}, {400, true, false}};
    double log_m1[3];
    for (int i = 0; i < 3; i++) {
        eoc_spatial_curves *curves = NULL;
        assert_true(eoc_spatial_curves_reach(&a, &inputs.classes, asked[i].max_depth, false));
        assert_int_equal(eoc_spatial_curves_create(&a, &act, 1.7, 0.05, &inputs, asked[i].max_depth, false,
                                                   asked[i].wanted, &curves),
                         EOC_OK);
        const int layer = 8;
        eoc_curve_rows rows = {.log_q = NULL};
        assert_int_equal(eoc_spatial_curves_fill(curves, 8, &layer, 1, EOC_SPATIAL_INDEPENDENT, &rows), EOC_OK);
        assert_true(isfinite(rows.log_jacobian_m2) == asked[i].known);
        assert_true(asked[i].known || isnan(rows.log_jacobian_m2));
        log_m1[i] = rows.log_jacobian_m1;
        eoc_spatial_curves_destroy(&curves);
    }
    assert_true(isfinite(log_m1[0]) && log_m1[1] == log_m1[0] && log_m1[2] == log_m1[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eigenvalues),
        cmocka_unit_test(taps_of_networks),
        cmocka_unit_test(linear_waves),
        cmocka_unit_test(linear_between_walls),
        cmocka_unit_test(erf_arcsine),
        cmocka_unit_test(relu_scales),
        cmocka_unit_test(uniform_is_fully_connected),
        cmocka_unit_test(delta_keeps_positions_apart),
        cmocka_unit_test(variance_modes_decay),
        cmocka_unit_test(correlation_modes_decay),
        cmocka_unit_test(written_out_maps),
        cmocka_unit_test(dark_positions),
        cmocka_unit_test(small_differences_keep_their_digits),
        cmocka_unit_test(bits),
        cmocka_unit_test(reach),
        cmocka_unit_test(reach_of_the_second_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
