/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Laws that hold at every finite width, on networks of the implicit sampler: fluctuations of gradients of critical
 * relu networks, the statistics chi_1 and kurtosis, and the moments of the Jacobian.
 *
 * Statistical comparisons: fixed seeds, 4 standard errors, each from its own sample.
 */
#include "samples.h"

#include "eoc/linalg.h"
#include "eoc/probe.h"

#include <string.h>

static const double ERRORS = 4.0;

/* -- sample moments -- */

typedef struct {
    double mean, mean_error, variance, variance_error;
} moments;

static moments moments_of(const double *values, int count)
{
    double sum = 0.0, second = 0.0, fourth = 0.0;
    for (int i = 0; i < count; i++) {
        sum += values[i];
    }
    const double mean = sum / count;
    for (int i = 0; i < count; i++) {
        const double d2 = (values[i] - mean) * (values[i] - mean);
        second += d2;
        fourth += d2 * d2;
    }
    const double variance = second / (count - 1);
    return (moments){mean, sqrt(variance / count), variance,
                     sqrt(fmax(0.0, fourth / count - variance * variance) / count)};
}

/* The error of the mean, and rounding for what does not fluctuate. */
static void check_mean(const char *what, moments m, double want)
{
    print_message("%s: mean %.6g, %.6g expected, %+.2f standard errors\n", what, m.mean, want,
                  m.mean_error > 0.0 ? (m.mean - want) / m.mean_error : 0.0);
    CHECK_NEAR(m.mean, want, ERRORS * m.mean_error + 1e-11 * fabs(want));
}

static void check_variance(const char *what, moments m, double want)
{
    print_message("%s: variance %.6g, %.6g expected, %+.2f standard errors\n", what, m.variance, want,
                  (m.variance - want) / m.variance_error);
    CHECK_NEAR(m.variance, want, ERRORS * m.variance_error);
}

/* -- networks -- */

enum { MAX_LAYERS = 64 };

typedef struct {
    eoc_probe probe;
    eoc_network network;
    eoc_probe_workspace *workspace;
    int layers[MAX_LAYERS];
    double log_q[MAX_LAYERS], chi_1[MAX_LAYERS], kurtosis[MAX_LAYERS], log_gradient_q[MAX_LAYERS];
    double log_jacobian_m1, log_jacobian_m2;
} experiment;

static experiment experiment_of(const char *activation, const char *initializer, int width, int depth,
                                const char *inputs)
{
    experiment e = {.network = {.depth = depth, .width = width, .weight_variance = 2.0}};
    e.probe = (eoc_probe){.inputs = {.correlation = 0.3, .variance = 1.0, .points = 3},
                          .statistics = EOC_STATISTIC_FORWARD,
                          .jacobian_probes = 1,
                          .sampler = eoc_sampler_find("implicit")};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, inputs) == 0) {
            e.probe.inputs.kind = eoc_input_kind_row(row);
        }
    }
    for (int l = 0; l < depth; l++) {
        e.layers[l] = l + 1;
    }
    assert_int_equal(eoc_architecture_find("fully_connected", &e.network.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &e.network.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &e.network.initializer), EOC_OK);
    return e;
}

static void begin(experiment *e, unsigned statistics)
{
    e->probe.statistics |= statistics;
    assert_int_equal(eoc_probe_workspace_create(&e->probe, e->network.depth, e->network.width, &e->workspace), EOC_OK);
}

static void run(experiment *e, uint32_t replica)
{
    const unsigned asked = e->probe.statistics;
    eoc_probe_rows rows = {.log_q = e->log_q};
    if (asked & EOC_STATISTIC_FINITE_WIDTH) {
        rows.chi_1 = e->chi_1;
        rows.kurtosis = e->kurtosis;
    }
    if (asked & EOC_STATISTIC_GRADIENT) {
        rows.log_gradient_q = e->log_gradient_q;
    }
    if (asked & EOC_STATISTIC_JACOBIAN) {
        rows.log_jacobian_m1 = &e->log_jacobian_m1;
        rows.log_jacobian_m2 = &e->log_jacobian_m2;
    }
    eoc_outcome outcome;
    e->network.key = (eoc_key){{31, replica}};
    assert_true(
        eoc_probe_run(&e->probe, &e->network, 1.0, e->layers, e->network.depth, e->workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DONE);
}

/* -- critical relu networks: gradients -- */

/* psi(x), psi'(x): recurrence to x >= 20, then the asymptotic series (Abramowitz & Stegun 6.3.18, 6.4.12). */
static double digamma(double x)
{
    double sum = 0.0;
    for (; x < 20.0; x++) {
        sum -= 1.0 / x;
    }
    const double y = 1.0 / (x * x);
    return sum + log(x) - 0.5 / x - y * (1.0 / 12.0 - y * (1.0 / 120.0 - y / 252.0));
}

static double trigamma(double x)
{
    double sum = 0.0;
    for (; x < 20.0; x++) {
        sum += 1.0 / (x * x);
    }
    const double y = 1.0 / (x * x);
    return sum + 1.0 / x + 0.5 * y + y / x * (1.0 / 6.0 - y * (1.0 / 30.0 - y / 42.0));
}

/*
 * Mean and variance of log chi^2_n, n ~ Bin(N, 1/2) given n > 0: of log chi^2_n at fixed n they are psi(n/2) + log 2
 * and psi'(n/2).
 */
static void log_chi2_of_binomial(int width, double *mean, double *variance)
{
    double total = 0.0, first = 0.0, second = 0.0, inner = 0.0;
    for (int n = 1; n <= width; n++) {
        const double p = exp(lgamma(width + 1.0) - lgamma(n + 1.0) - lgamma(width - n + 1.0) - width * log(2.0));
        const double m = digamma(0.5 * n) + log(2.0);
        total += p;
        first += p * m;
        second += p * m * m;
        inner += p * trigamma(0.5 * n);
    }
    *mean = first / total;
    *variance = inner / total + second / total - *mean * *mean;
}

/*
 * One input, no bias, weight variance 2. Given h^(l-1) the signs of z^l are fair coins, independent of |W^l|, so n_l ~
 * Bin(N, 1/2) units are active. dE/dz^L is v on the active units: |.|^2 is chi-square of n_L degrees. Its signs are
 * fair coins that nothing else knows, so that with it the rows of W^L, of known sign against h^(L-1), are Gaussian
 * vectors: W^t dz is N(0, 2/N |dz|^2 I), independent of the layers below, and so on down. Hence, exactly,
 *   N gradient_q^l = chi^2_(n_L) prod_(k=l..L-1) (2/N) chi^2_(n_k),  all independent:
 * L - l + 1 factors; the read-out gives the last layer's, and there is no term at the boundary. The variance of the
 * logarithm is (L - l + 1) (E[psi'(n/2)] + Var[psi(n/2)]) = 5 (L - l + 1)/N + O(1/N^2) (Hanin & Nica 2020 for the
 * limit). On the way up N q^l = |z^l|^2 = (2/N) chi^2_N |h^(l-1)|^2 and |h^l|^2 = (2/N) chi^2_(n_l) |h^(l-1)|^2.
 */
static void check_relu(int width, int depth, int count)
{
    experiment e = experiment_of("relu", "gaussian", width, depth, "single");
    begin(&e, EOC_STATISTIC_GRADIENT);
    const int places[] = {1, (depth + 1) / 2, depth};
    double *const gradients = malloc(sizeof *gradients * 4 * (size_t)count), *const q = gradients + 3 * (size_t)count;
    assert_non_null(gradients);
    for (int i = 0; i < count; i++) {
        run(&e, (uint32_t)i);
        for (int k = 0; k < 3; k++) {
            gradients[k * count + i] = e.log_gradient_q[places[k] - 1];
        }
        q[i] = e.log_q[depth - 1];
    }
    eoc_probe_workspace_destroy(&e.workspace);

    double mean, variance;
    char what[96];
    log_chi2_of_binomial(width, &mean, &variance);
    assert_true(variance > 5.0 / width && variance < 5.0 / width * (1.0 + 5.0 / width));
    for (int k = 0; k < 3; k++) {
        const int factors = depth - places[k] + 1;
        const moments m = moments_of(gradients + k * count, count);
        snprintf(what, sizeof what, "N %d L %d log_gradient_q(%d)", width, depth, places[k]);
        check_mean(what, m, factors * mean + (factors - 1) * log(2.0 / width) - log(width));
        check_variance(what, m, factors * variance);
    }
    const moments up = moments_of(q, count);
    snprintf(what, sizeof what, "N %d L %d log_q(%d)", width, depth, depth);
    check_mean(what, up, (depth - 1) * (mean + log(2.0 / width)) + digamma(0.5 * width) + log(2.0) + log(2.0 / width));
    check_variance(what, up, (depth - 1) * variance + trigamma(0.5 * width));
    free(gradients);
}

static void relu_gradients(void **state)
{
    (void)state;
    const int more = samples_long() ? 10 : 1;
    check_relu(128, 25, 40000 * more);
    check_relu(256, 10, 20000 * more);
}

/* -- chi_1 and kurtosis -- */

/* relu at weight variance 2: chi_1 = 2 n/N, n ~ Bin(N, 1/2): a whole number of units, mean 1, variance 1/N. */
static void chi_1_of_relu(void **state)
{
    (void)state;
    enum { COUNT = 20000, WIDTH = 40, DEPTH = 3 };
    experiment e = experiment_of("relu", "gaussian", WIDTH, DEPTH, "single");
    begin(&e, EOC_STATISTIC_FINITE_WIDTH);
    double *const values = malloc(sizeof *values * DEPTH * COUNT);
    assert_non_null(values);
    for (int i = 0; i < COUNT; i++) {
        run(&e, (uint32_t)i);
        for (int l = 0; l < DEPTH; l++) {
            const double active = e.chi_1[l] * WIDTH / 2.0;
            CHECK_NEAR(active, round(active), 1e-12 * WIDTH);
            values[l * COUNT + i] = e.chi_1[l];
        }
    }
    for (int l = 0; l < DEPTH; l++) {
        const moments m = moments_of(values + l * COUNT, COUNT);
        check_mean("chi_1", m, 1.0);
        check_variance("chi_1", m, 1.0 / WIDTH);
    }
    eoc_probe_workspace_destroy(&e.workspace);
    free(values);
}

/*
 * Without bias z^l given h^(l-1) has a uniformly distributed direction, Gaussian or Haar: E[N sum z^4/|z|^4] = 3 N/(N +
 * 2), in every layer, for every activation and input that is not zero.
 */
static void kurtosis_of_directions(void **state)
{
    (void)state;
    enum { COUNT = 10000, DEPTH = 3 };
    static const struct {
        const char *activation, *initializer, *inputs;
        int width;
    } cases[] = {{"tanh", "gaussian", "single", 4},
                 {"linear", "gaussian", "single", 64},
                 {"relu", "gaussian", "gaussian", 16},
                 {"tanh", "orthogonal", "pair", 6},
                 {"relu", "orthogonal", "single", 4}};
    double *const values = malloc(sizeof *values * DEPTH * COUNT);
    assert_non_null(values);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        experiment e = experiment_of(cases[c].activation, cases[c].initializer, cases[c].width, DEPTH, cases[c].inputs);
        begin(&e, EOC_STATISTIC_FINITE_WIDTH);
        int alive[DEPTH] = {0};
        for (int i = 0; i < COUNT; i++) {
            run(&e, (uint32_t)i);
            for (int l = 0; l < DEPTH; l++) {
                assert_true(isnan(e.kurtosis[l]) == (e.log_q[l] == -INFINITY));
                if (!isnan(e.kurtosis[l])) {
                    values[l * COUNT + alive[l]++] = e.kurtosis[l];
                }
            }
        }
        for (int l = 0; l < DEPTH; l++) {
            char what[64];
            snprintf(what, sizeof what, "kurtosis, %s %s width %d", cases[c].activation, cases[c].initializer,
                     cases[c].width);
            assert_true(alive[l] > COUNT / 2);
            check_mean(what, moments_of(values + l * COUNT, alive[l]), 3.0 * cases[c].width / (cases[c].width + 2.0));
        }
        eoc_probe_workspace_destroy(&e.workspace);
    }
    free(values);
}

enum { PLAIN_WIDTH = 7, PLAIN_DEPTH = 3, PLAIN_INPUTS = 3 };

/* z = W h + b of layer l, W from the images of the unit vectors. */
static void plain_layer(const eoc_network *network, eoc_weights *weights, int l, const double *h, double *z)
{
    const eoc_matrix m = network->architecture.kind->weights(network, l);
    const eoc_stream biases = {network->key, (uint32_t)l, EOC_TENSOR_BIAS, 0};
    eoc_rng_normals_scaled(&biases, 0, sqrt(network->bias_variance), z, PLAIN_WIDTH);
    for (int i = 0; i < PLAIN_WIDTH; i++) {
        double unit[PLAIN_WIDTH] = {0}, image[PLAIN_WIDTH];
        unit[i] = 1.0;
        eoc_sampler_find("explicit")->apply(weights, &m, unit, image, 1, NULL);
        for (int k = 0; k < PLAIN_WIDTH; k++) {
            z[k] += image[k] * h[i];
        }
    }
}

/* Every activation, three inputs, bias: the two statistics as their formulas say, of explicit networks in loops. */
static void definitions(void **state)
{
    (void)state;
    eoc_weights *weights = NULL;
    assert_int_equal(eoc_weights_create(PLAIN_WIDTH, 0, &weights), EOC_OK);
    for (int row = 0; row < eoc_activation_count(); row++) {
        experiment e = experiment_of(eoc_activation_row(row)->name, "orthogonal", PLAIN_WIDTH, PLAIN_DEPTH, "gaussian");
        e.probe.sampler = eoc_sampler_find("explicit");
        e.network.bias_variance = 0.2;
        if (eoc_activation_features(&e.network.activation) > 1) {
            continue; /* test_architecture.c */
        }
        begin(&e, EOC_STATISTIC_FINITE_WIDTH);
        run(&e, 1);
        double h[PLAIN_INPUTS][PLAIN_WIDTH], z[PLAIN_WIDTH];
        e.probe.inputs.kind->fill(&e.probe.inputs, e.network.key, PLAIN_WIDTH, 1.0, h[0]);
        for (int l = 1; l <= PLAIN_DEPTH; l++) {
            double slopes = 0.0, kurtosis = 0.0;
            for (int a = 0; a < PLAIN_INPUTS; a++) {
                double second = 0.0, fourth = 0.0;
                plain_layer(&e.network, weights, l, h[a], z);
                for (int i = 0; i < PLAIN_WIDTH; i++) {
                    slopes += pow(eoc_activation_dphi(&e.network.activation, z[i]), 2.0);
                    second += z[i] * z[i];
                    fourth += pow(z[i], 4.0);
                    h[a][i] = eoc_activation_phi(&e.network.activation, z[i]);
                }
                kurtosis += PLAIN_WIDTH * fourth / (second * second) / PLAIN_INPUTS;
            }
            CHECK_RELATIVE(e.chi_1[l - 1], 2.0 * slopes / (PLAIN_WIDTH * PLAIN_INPUTS), 1e-12);
            CHECK_RELATIVE(e.kurtosis[l - 1], kurtosis, 1e-12);
        }
        eoc_probe_workspace_destroy(&e.workspace);
    }
    eoc_weights_destroy(&weights);
}

/* -- moments of the Jacobian -- */

/* Of a random symmetric A (N, N) whose law does not change under signs of the basis: E tr A^2, E (tr A)^2, E sum A_ii^2
 */
typedef struct {
    double square, trace2, diagonal;
} traces;

/* W^t A W, entries of W independent of variance v: Wick's theorem over its rows. */
static traces through_weights(traces a, double v, int width)
{
    const double n = width;
    return (traces){.square = v * v * ((n * n + n) * a.square + n * a.trace2),
                    .trace2 = v * v * (n * n * a.trace2 + 2.0 * n * a.square),
                    .diagonal = v * v * n * (a.trace2 + 2.0 * a.square)};
}

/* D A D, D with independent entries 0 and 1 of equal chance. */
static traces through_coins(traces a)
{
    return (traces){.square = 0.25 * (a.square + a.diagonal),
                    .trace2 = 0.25 * (a.trace2 + a.diagonal),
                    .diagonal = 0.5 * a.diagonal};
}

/*
 * E m2 = E tr (J^t J)^2/N. J^t J is built from the top, A = I, A -> W^t A W for linear, W^t D A D W for relu without
 * bias: the rows of W, of known sign against the layer's input where D is 1, meet an A whose law is that under random
 * signs, and so are Gaussian. N = 8, L = 1: 2.125 sigma_w^4, the Wishart value 2 + 1/N.
 */
static double expected_m2(bool relu, int width, int depth, double weight_variance)
{
    traces a = {.square = width, .trace2 = (double)width * width, .diagonal = width};
    for (int l = 0; l < depth; l++) {
        a = through_weights(relu ? through_coins(a) : a, weight_variance / width, width);
    }
    return a.square / width;
}

/* The estimates of m1 and m2 have no bias, linear and relu, with one and with three vectors u. */
static void jacobian_moments(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    double *const m1 = malloc(sizeof *m1 * 2 * COUNT), *const m2 = m1 + COUNT;
    assert_non_null(m1);
    for (int i = 0; i < 2 * 3 * 2; i++) {
        const bool relu = i % 2;
        const int depth = i / 2 % 3 + 1, probes = i / 6 ? 3 : 1, width = relu ? 12 : 8;
        const double weight_variance = relu ? 2.0 : 1.1;
        experiment e =
            experiment_of(relu ? "relu" : "linear", "gaussian", width, depth, probes > 1 ? "pair" : "single");
        e.network.weight_variance = weight_variance;
        e.probe.jacobian_probes = probes;
        begin(&e, EOC_STATISTIC_JACOBIAN);
        for (int k = 0; k < COUNT; k++) {
            run(&e, (uint32_t)k);
            m1[k] = exp(e.log_jacobian_m1);
            m2[k] = exp(e.log_jacobian_m2);
        }
        eoc_probe_workspace_destroy(&e.workspace);
        char what[64];
        snprintf(what, sizeof what, "%s N %d L %d, %d u: m1", relu ? "relu" : "linear", width, depth, probes);
        check_mean(what, moments_of(m1, COUNT), pow(relu ? 0.5 * weight_variance : weight_variance, depth));
        what[strlen(what) - 1] = '2';
        check_mean(what, moments_of(m2, COUNT), expected_m2(relu, width, depth, weight_variance));
    }
    free(m1);
}

/* Linear and orthogonal: J^t J = sigma_w^(2L), in every network. */
static void jacobian_of_rotations(void **state)
{
    (void)state;
    CHECK_NEAR(expected_m2(false, 8, 1, 1.0), 2.125, 1e-15);
    for (int width = 3; width <= 48; width *= 4) {
        experiment e = experiment_of("linear", "orthogonal", width, 20, "single");
        e.network.weight_variance = 1.3;
        e.probe.jacobian_probes = 2;
        begin(&e, EOC_STATISTIC_JACOBIAN);
        for (uint32_t k = 0; k < 100; k++) {
            run(&e, k);
            CHECK_NEAR(e.log_jacobian_m1, 20.0 * log(1.3), 1e-12);
            CHECK_NEAR(e.log_jacobian_m2, 40.0 * log(1.3), 1e-12);
        }
        eoc_probe_workspace_destroy(&e.workspace);
    }
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_gradients), cmocka_unit_test(chi_1_of_relu),    cmocka_unit_test(kurtosis_of_directions),
        cmocka_unit_test(definitions),    cmocka_unit_test(jacobian_moments), cmocka_unit_test(jacobian_of_rotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
