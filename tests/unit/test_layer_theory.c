/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of layers that are more than W, b and phi, against closed forms and laws of the literature. The batch
 * normalization's closed forms, and networks of finite width, are in tests/e2e/test_layer_theory.py.
 */
#include "check.h"

#include "eoc/layer_theory.h"

#include <stdlib.h>

static const double PI = 3.14159265358979323846;

static eoc_network network_of(const char *architecture, const char *activation, const char *initializer,
                              double weight_variance, double bias_variance)
{
    eoc_network n = {.depth = 30, .width = 100, .weight_variance = weight_variance, .bias_variance = bias_variance};
    assert_int_equal(eoc_architecture_find(architecture, &n.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &n.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &n.initializer), EOC_OK);
    return n;
}

/* A pair of cosine 0.6, or, without it, one input; of variance 1. */
static eoc_layer_theory *theory_of(const eoc_network *network, bool paired, int depth)
{
    static const double variance = 1.0, two = 2.0;
    static const eoc_theory_pair pair = {.correlation = 0.6, .count = 2.0};
    const eoc_theory_inputs inputs = {
        .num_variances = 1, .variances = &variance, .counts = &two, .num_pairs = paired, .pairs = &pair};
    eoc_layer_theory *theory = NULL;
    assert_true(eoc_layer_theory_covers(network));
    assert_int_equal(eoc_layer_theory_create(network, &inputs, depth, &theory), EOC_OK);
    return theory;
}

/* A batch of independent inputs of variance 1. */
enum { BATCH = 8 };

static eoc_layer_theory *theory_of_batch(const eoc_network *network, int depth)
{
    static const double one = 1.0, all = BATCH;
    static const eoc_theory_pair pair = {.correlation = 0.0, .count = (double)BATCH * (BATCH - 1)};
    const eoc_theory_inputs inputs = {
        .num_variances = 1, .variances = &one, .counts = &all, .num_pairs = 1, .pairs = &pair};
    eoc_layer_theory *theory = NULL;
    assert_int_equal(eoc_layer_theory_create(network, &inputs, depth, &theory), EOC_OK);
    return theory;
}

static eoc_layer_limits limits_of(const eoc_network *network)
{
    eoc_layer_limits limits;
    const bool coupled = network->architecture.kind->needs(network).coupled;
    eoc_layer_theory *theory = coupled ? theory_of_batch(network, 2) : theory_of(network, true, 2);
    assert_int_equal(eoc_layer_theory_limits(theory, network, &limits), EOC_OK);
    eoc_layer_theory_destroy(&theory);
    return limits;
}

/* q^L = q^1 (1 + branch^2 sigma_w^2/2)^(L-1), gradients likewise: Yang & Schoenholz 2017; far beyond a double. */
static void relu_residual_is_exponential(void **state)
{
    (void)state;
    enum { L = 5000 };
    eoc_network n = network_of("residual(branch=0.9)", "relu", "gaussian", 1.7, 0.0);
    n.depth = L;
    eoc_layer_theory *theory = theory_of(&n, true, L);
    const int layers[] = {1, 2, 100, L};
    double log_q[4], log_gradient_q[4];
    eoc_curve_rows rows = {.log_q = log_q, .log_gradient_q = log_gradient_q};
    assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, 4, &rows), EOC_OK);
    const double growth = log(1.0 + 0.81 * 1.7 / 2.0);
    for (int k = 0; k < 4; k++) {
        CHECK_NEAR(log_q[k], log(1.7) + (layers[k] - 1) * growth, 1e-9);
        CHECK_NEAR(log_gradient_q[k], (L - layers[k]) * growth, 1e-9);
    }
    CHECK_NEAR(rows.log_jacobian_m1, log(1.7) + (L - 1) * growth, 1e-9);
    eoc_layer_theory_destroy(&theory);
    const eoc_layer_limits limits = limits_of(&n);
    CHECK_RELATIVE(limits.point.chi_1, exp(growth), 1e-12);
    assert_true(isinf(limits.point.q_star) && limits.point.c_star == 1.0 && isinf(limits.point.xi_c));
    assert_true(limits.point.status & EOC_THEORY_Q_DIVERGES && limits.point.status & EOC_THEORY_PARTIAL);
}

/* erf: E[phi phi] = 2/pi asin(2 q_ab/sqrt(..)) (Williams 1998), E[phi' phi'] = 4/pi/sqrt((1 + 2 q)^2 - 4 q_ab^2). */
static double erf_pair(double q, double q_ab)
{
    return 2.0 / PI * asin(2.0 * q_ab / (1.0 + 2.0 * q));
}

static double erf_slopes(double q, double q_ab)
{
    return 4.0 / PI / sqrt((1.0 + 2.0 * q) * (1.0 + 2.0 * q) - 4.0 * q_ab * q_ab);
}

/* The maps of the three forms, with dropout and layer normalization, iterated in the closed forms of erf. */
static void erf_residual_maps(void **state)
{
    (void)state;
    enum { L = 30 };
    static const struct {
        const char *spelling;
        bool before, behind;
        double skip, branch, keep, gamma, epsilon; /* gamma 0: no normalization */
    } cases[] = {
        {"residual", false, true, 1.0, 1.0, 1.0, 0.0, 0.0},
        {"residual(skip=-0.7, branch=0.6, keep=0.8)", false, true, -0.7, 0.6, 0.8, 0.0, 0.0},
        {"residual(form=reduced, branch=0.8)", true, false, 1.0, 0.8, 1.0, 0.0, 0.0},
        {"residual(form=full, keep=0.9)", true, true, 1.0, 1.0, 0.9, 0.0, 0.0},
        {"residual(normalization=layer, gamma=1.4, epsilon=0.1)", false, true, 1.0, 1.0, 1.0, 1.4, 0.1},
        {"residual(form=full, normalization=layer, epsilon=0, skip=0.9)", true, true, 0.9, 1.0, 1.0, 1.0, 0.0},
    };
    const double w2 = 1.6, b2 = 0.07;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        eoc_network n = network_of(cases[k].spelling, "erf", "gaussian", w2, b2);
        eoc_layer_theory *theory = theory_of(&n, true, L);
        int layers[L];
        double log_q[L], c[L], log_gradient_q[L], gradient_c[L];
        for (int l = 0; l < L; l++) {
            layers[l] = l + 1;
        }
        eoc_curve_rows rows = {.log_q = log_q, .c = c, .log_gradient_q = log_gradient_q, .gradient_c = gradient_c};
        assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, L, &rows), EOC_OK);
        eoc_layer_theory_destroy(&theory);
        const double s2 = cases[k].skip * cases[k].skip, r2 = cases[k].branch * cases[k].branch;
        const double before = cases[k].before ? w2 : 1.0, behind = cases[k].behind ? w2 : 1.0;
        double q = w2 + b2, q_ab = 0.6 * w2 + b2, growth[L], cross[L];
        for (int l = 0; l < L; l++) {
            CHECK_NEAR(log_q[l], log(q), 1e-9);
            CHECK_NEAR(c[l], q_ab / q, 1e-9);
            double u = q, u_ab = q_ab, kappa2 = 1.0;
            if (cases[k].before) {
                u = w2 * q + b2;
                u_ab = w2 * q_ab + b2;
            }
            if (cases[k].gamma > 0.0) {
                kappa2 = cases[k].gamma * cases[k].gamma / (u + cases[k].epsilon);
                u *= kappa2;
                u_ab *= kappa2;
            }
            growth[l] = s2 + r2 * before * behind * kappa2 * erf_slopes(u, u) / cases[k].keep;
            cross[l] = s2 + r2 * before * behind * kappa2 * erf_slopes(u, u_ab);
            const double biases = cases[k].behind ? b2 : 0.0;
            q = s2 * q + r2 * (behind * erf_pair(u, u) / cases[k].keep + biases);
            q_ab = s2 * q_ab + r2 * (behind * erf_pair(u, u_ab) + biases);
        }
        double log_g = 0.0, cosine = 1.0;
        n.depth = L;
        for (int l = L - 1; l >= 0; l--) {
            CHECK_NEAR(log_gradient_q[l], log_g, 1e-9);
            CHECK_NEAR(gradient_c[l], cosine, 1e-9);
            if (l > 0) {
                log_g += log(growth[l - 1]);
                cosine *= cross[l - 1] / growth[l - 1];
            }
        }
    }
}

/*
 * Yang & Schoenholz 2017: bounded phi, skip 1: q grows as (sigma_w^2 + sigma_b^2) l, gradients as exp(A sqrt(L)). For
 * erf mu_1 goes to 2/(pi sqrt(q)), so A = 4 sigma_w^2/(pi sqrt(sigma_w^2 + sigma_b^2)); what is left goes as log L.
 */
static void erf_residual_is_subexponential(void **state)
{
    (void)state;
    enum { L = 40000 };
    const double w2 = 1.5, b2 = 0.2;
    eoc_network n = network_of("residual", "erf", "gaussian", w2, b2);
    n.depth = L;
    eoc_layer_theory *theory = theory_of(&n, false, L);
    const int layers[] = {1, 10000, 20000, L};
    double log_q[4], log_gradient_q[4];
    eoc_curve_rows rows = {.log_q = log_q, .log_gradient_q = log_gradient_q};
    assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, 4, &rows), EOC_OK);
    eoc_layer_theory_destroy(&theory);
    CHECK_RELATIVE((exp(log_q[3]) - exp(log_q[2])) / 20000.0, w2 + b2, 5e-3);
    const double a = 4.0 * w2 / (PI * sqrt(w2 + b2));
    CHECK_RELATIVE((log_gradient_q[1] - log_gradient_q[3]) / (sqrt(L) - 100.0), a, 2e-2);
    /* c tends to that of what each layer adds: the sign kernel's fixed point. */
    const eoc_layer_limits limits = limits_of(&n);
    const double c = limits.point.c_star;
    CHECK_NEAR((w2 * 2.0 / PI * asin(c) + b2) / (w2 + b2), c, 1e-12);
    assert_true(c < 1.0 && limits.point.chi_1 == 1.0 && limits.point.status & EOC_THEORY_XI_INFINITE);
}

/* |skip| < 1: a fixed point, and slopes by differences of the erf maps above. */
static void erf_residual_limits(void **state)
{
    (void)state;
    const double w2 = 2.5, b2 = 0.05, s2 = 0.64, r2 = 0.49;
    static const char *const spellings[] = {"residual(skip=0.8, branch=0.7)",
                                            "residual(skip=0.8, branch=0.7, keep=0.75)"};
    for (int k = 0; k < 2; k++) {
        const double keep = k ? 0.75 : 1.0;
        const eoc_network n = network_of(spellings[k], "erf", "gaussian", w2, b2);
        const eoc_mean_field m = limits_of(&n).point;
        double q = 1.0, c = 0.5;
        for (int i = 0; i < 3000; i++) {
            const double next = s2 * q + r2 * (w2 * erf_pair(q, q) / keep + b2);
            c = (s2 * q * c + r2 * (w2 * erf_pair(q, q * c) + b2)) / next;
            q = next;
        }
        CHECK_RELATIVE(m.q_star, q, 1e-9);
        CHECK_NEAR(m.c_star, c, 1e-9);
        CHECK_RELATIVE(m.chi_1, s2 + r2 * w2 * erf_slopes(q, q) / keep, 1e-9);
        CHECK_RELATIVE(m.chi_c, s2 + r2 * w2 * erf_slopes(q, q * c), 1e-8);
        CHECK_RELATIVE(m.xi_c, -1.0 / log(m.chi_c), 1e-9);
        const double h = 1e-5 * q; /* central differences: 1e-10 */
        CHECK_NEAR(m.chi_q, s2 + r2 * w2 / keep * (erf_pair(q + h, q + h) - erf_pair(q - h, q - h)) / (2.0 * h), 1e-8);
    }
}

/* Schoenholz et al. 2017: with dropout c = 1 is no fixed point, and xi_c is finite at every weight variance. */
static void dropout_has_no_critical_point(void **state)
{
    (void)state;
    for (double w2 = 0.5; w2 < 6.0; w2 += 0.1) {
        const eoc_network n = network_of("fully_connected(keep=0.95)", "tanh", "gaussian", w2, 0.05);
        const eoc_mean_field m = limits_of(&n).point;
        assert_true(m.c_star < 1.0 && m.chi_c < 1.0 && isfinite(m.xi_c) && m.xi_c > 0.0);
        assert_false(m.status & EOC_THEORY_XI_INFINITE);
    }
    /* linear: q = sigma_w^2 q/p + sigma_b^2, q c = sigma_w^2 q c + sigma_b^2 */
    const double w2 = 0.6, p = 0.8;
    const eoc_network linear = network_of("fully_connected(keep=0.8)", "linear", "gaussian", w2, 0.3);
    const eoc_mean_field m = limits_of(&linear).point;
    CHECK_RELATIVE(m.q_star, 0.3 / (1.0 - w2 / p), 1e-10);
    CHECK_RELATIVE(m.c_star, (1.0 - w2 / p) / (1.0 - w2), 1e-10);
    CHECK_RELATIVE(m.chi_c, w2, 1e-10);
    CHECK_RELATIVE(m.chi_1, w2 / p, 1e-10);
    /* relu at its own critical variance 2 p: lengths are kept, c is that of (1 - p) + p k(c) taken from 1 */
    const eoc_network relu = network_of("fully_connected(keep=0.9)", "relu", "gaussian", 1.8, 0.0);
    const eoc_mean_field r = limits_of(&relu).point;
    const double angle = acos(r.c_star);
    CHECK_NEAR(0.9 * (sin(angle) + (PI - angle) * r.c_star) / PI, r.c_star, 1e-10);
    CHECK_NEAR(r.chi_1, 1.0, 1e-12);
    CHECK_RELATIVE(r.chi_c, 0.9 * (PI - angle) / PI, 1e-9);
}

/* Layer normalization of relu, epsilon 0: q = sigma_w^2 gamma^2/2 + sigma_b^2 whatever came in; slopes over that. */
static void layer_normalization_fixes_the_length(void **state)
{
    (void)state;
    const double w2 = 1.3, b2 = 0.2, gamma = 1.7, q = w2 * gamma * gamma / 2.0 + b2;
    const eoc_network n =
        network_of("fully_connected(normalization=layer, gamma=1.7, epsilon=0)", "relu", "gaussian", w2, b2);
    const eoc_mean_field m = limits_of(&n).point;
    CHECK_RELATIVE(m.q_star, q, 1e-12);
    CHECK_RELATIVE(m.chi_1, w2 * gamma * gamma / 2.0 / q, 1e-12);
    CHECK_NEAR(m.chi_q, 0.0, 1e-15);
    assert_true(m.c_star == 1.0);
    /* beta far above: phi is linear, E[phi^2] = gamma^2 + beta^2 */
    const eoc_network far =
        network_of("fully_connected(normalization=layer, beta=20, epsilon=0)", "relu", "gaussian", w2, b2);
    const eoc_mean_field f = limits_of(&far).point;
    CHECK_RELATIVE(f.q_star, w2 * 401.0 + b2, 1e-10);
    CHECK_RELATIVE(f.chi_1, w2 / (w2 * 401.0 + b2), 1e-10);
}

/* Balduzzi et al. 2017: with [W', -W'] crelu is a linear network; without, relu forward. */
static void crelu_is_linear_or_relu(void **state)
{
    (void)state;
    enum { L = 20 };
    const struct {
        const char *initializer, *like;
        double weight_variance, orthogonal;
    } cases[] = {{"looks_linear", "linear", 0.9, 1.0},
                 {"looks_linear_gaussian", "linear", 0.9, 0.0},
                 {"gaussian", "relu", 1.8, 0.0}};
    for (size_t k = 0; k < 3; k++) {
        eoc_network n = network_of("fully_connected", "crelu", cases[k].initializer, cases[k].weight_variance, 0.1);
        n.depth = L;
        eoc_activation like;
        assert_int_equal(eoc_activation_find(cases[k].like, &like), EOC_OK);
        const double variance = 1.0, two = 2.0;
        const eoc_theory_pair pair = {.correlation = 0.6, .count = 2.0};
        const eoc_theory_inputs inputs = {
            .num_variances = 1, .variances = &variance, .counts = &two, .num_pairs = 1, .pairs = &pair};
        eoc_curves *plain = NULL;
        assert_int_equal(eoc_curves_create(&like, cases[k].weight_variance, 0.1, &inputs, L, &plain), EOC_OK);
        eoc_layer_theory *theory = theory_of(&n, true, L);
        int layers[L];
        double q[2][L], c[2][L], g[2][L], w[2][L];
        for (int l = 0; l < L; l++) {
            layers[l] = l + 1;
        }
        eoc_curve_rows one = {.log_q = q[0], .c = c[0], .log_gradient_q = g[0], .log_weight_gradient_q = w[0]};
        eoc_curve_rows other = {.log_q = q[1], .c = c[1], .log_gradient_q = g[1], .log_weight_gradient_q = w[1]};
        assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, L, &one), EOC_OK);
        eoc_curves_fill(plain, L, layers, L, cases[k].orthogonal == 1.0 ? 0.0 : -1.0, &other);
        /* Of two features one is active: relu's read-out and features count twice. */
        const double features = k < 2 ? 0.0 : log(2.0);
        for (int l = 0; l < L; l++) {
            CHECK_NEAR(q[0][l], q[1][l], 1e-12);
            CHECK_NEAR(c[0][l], c[1][l], 1e-12);
            CHECK_NEAR(g[0][l], g[1][l] + features, 1e-12);
        }
        CHECK_NEAR(one.log_jacobian_m1, other.log_jacobian_m1 + features, 1e-12);
        /* Each layer's matrix adds 1 to m2/m1^2 where gaussian, nothing where orthogonal. */
        CHECK_NEAR(one.log_jacobian_m2 - 2.0 * one.log_jacobian_m1, log1p(cases[k].orthogonal == 1.0 ? 0.0 : L), 1e-12);
        eoc_curves_destroy(&plain);
        eoc_layer_theory_destroy(&theory);
    }
    const eoc_network n = network_of("fully_connected", "crelu", "looks_linear", 0.9, 0.1);
    const eoc_layer_limits limits = limits_of(&n);
    CHECK_RELATIVE(limits.point.q_star, 0.1 / (1.0 - 0.9), 1e-9);
    CHECK_RELATIVE(limits.point.chi_c, 0.9, 1e-12);
    CHECK_NEAR(limits.jacobian_variance, 0.0, 1e-12);
    CHECK_NEAR(limits.log_lambda_max, 30.0 * log(0.9), 1e-6);
    assert_false(limits.point.status & EOC_THEORY_PARTIAL);
}

/* Lengths that grow have no depth scale; a stream to which nothing is added keeps its correlation. */
static void what_does_not_settle(void **state)
{
    (void)state;
    const eoc_network dropped = network_of("fully_connected(keep=0.5)", "relu", "gaussian", 2.0, 0.0);
    const eoc_mean_field d = limits_of(&dropped).point;
    assert_true(isinf(d.q_star) && isnan(d.xi_q) && d.xi_c > 0.0);
    CHECK_RELATIVE(d.chi_q, 2.0, 1e-12);
    const double skips[] = {0.5, 1.0, 2.0}, lengths[] = {0.0, 2.0, INFINITY}; /* q^1 = sigma_w^2 */
    for (int i = 0; i < 3; i++) {
        char spelling[64];
        snprintf(spelling, sizeof spelling, "residual(skip=%g, branch=0)", skips[i]);
        const eoc_network alone = network_of(spelling, "relu", "gaussian", 2.0, 0.0);
        const eoc_mean_field m = limits_of(&alone).point;
        assert_true(m.q_star == lengths[i] && isnan(m.c_star) && m.status & EOC_THEORY_C_ANY && isinf(m.xi_c));
        CHECK_NEAR(m.chi_1, skips[i] * skips[i], 0.0);
        assert_true(skips[i] < 1.0 ? m.xi_q == 1.0 / log(4.0) : skips[i] > 1.0 ? isnan(m.xi_q) : isinf(m.xi_q));
    }
}

/* Far below epsilon batch normalization is a division by its root, and a layer of relu a constant factor: the limits
 * are what the curves, layer by layer, end up with. */
static void vanishing_below_epsilon(void **state)
{
    (void)state;
    enum { DEPTH = 30 };
    const eoc_network n = network_of("fully_connected(normalization=batch, epsilon=100)", "relu", "gaussian", 1.5, 0.0);
    const eoc_layer_limits limits = limits_of(&n);
    eoc_layer_theory *theory = theory_of_batch(&n, DEPTH);
    double log_q[2], log_gradient_q[2], c[2];
    const int layers[] = {DEPTH - 1, DEPTH};
    eoc_curve_rows rows = {.log_q = log_q, .log_gradient_q = log_gradient_q, .c = c};
    assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, 2, &rows), EOC_OK);
    eoc_layer_theory_destroy(&theory);
    assert_true(limits.point.q_star == 0.0 && limits.point.status & EOC_THEORY_Q_ZERO);
    CHECK_NEAR(limits.point.c_star, c[1], 1e-9);
    const int before[] = {15, 16}; /* gradients between two layers in the middle of the network */
    eoc_curve_rows middle = {.log_gradient_q = log_gradient_q};
    theory = theory_of_batch(&n, DEPTH);
    assert_int_equal(eoc_layer_theory_fill(theory, &n, before, 2, &middle), EOC_OK);
    eoc_layer_theory_destroy(&theory);
    CHECK_RELATIVE(limits.point.chi_1, exp(log_gradient_q[0] - log_gradient_q[1]), 1e-9);
}

/* Reduced layers, whose features add up by their means, of phi that is straight far out: where the stream grows they
 * are those of relu, where it vanishes those of the slope 1/2 at 0. chi_1 = skip^2 + sigma_w^2 E[phi'^2]. */
static void reduced_layers_at_the_ends(void **state)
{
    (void)state;
    static const char REDUCED[] = "residual(form=reduced, skip=0.5)";
    static const char *const far[] = {"gelu", "silu", "softplus", "elu"};
    const eoc_network straight = network_of(REDUCED, "relu", "gaussian", 2.0, 0.0);
    const eoc_mean_field relu = limits_of(&straight).point;
    for (int i = 0; i < 4; i++) {
        const eoc_network n = network_of(REDUCED, far[i], "gaussian", 2.0, 0.1);
        const eoc_mean_field m = limits_of(&n).point;
        assert_true(isinf(m.q_star) && m.status & EOC_THEORY_Q_DIVERGES);
        CHECK_NEAR(m.chi_1, 0.25 + 2.0 / 2.0, 1e-12);
        CHECK_NEAR(m.chi_c, relu.chi_c, 1e-9);
        CHECK_NEAR(m.c_star, relu.c_star, 1e-9);
    }
    for (int i = 0; i < 2; i++) {
        const eoc_network n = network_of(REDUCED, far[i], "gaussian", 1.0, 0.0);
        const eoc_mean_field m = limits_of(&n).point;
        assert_true(m.q_star == 0.0 && m.status & EOC_THEORY_Q_ZERO && m.status & EOC_THEORY_C_ANY);
        CHECK_NEAR(m.chi_1, 0.25 + 0.25, 1e-12);
    }
}

/* Streams that take thousands of layers to settle. Bounded phi: M = E[phi]/(1 - skip), q (1 - skip^2) = E[phi^2] + 2
 * skip M E[phi]; of sigmoid under a wide Gaussian E[phi] = 1/2, E[phi^2] = 1/2 - 1/sqrt(2 pi y) to order y^(-3/2).
 * Normalized over the batch: E[relu^2] = 1/2 whatever came in, but for epsilon. */
static void streams_that_settle_slowly(void **state)
{
    (void)state;
    const double skip = 0.9999, mean = 0.5 / (1.0 - skip), sum = 0.5 + 2.0 * skip * mean * 0.5;
    const eoc_network bounded = network_of("residual(form=reduced, skip=0.9999)", "sigmoid", "gaussian", 2.0, 0.1);
    const double about = sum / (1.0 - skip * skip), y = 2.0 * about + 0.1;
    const double q = (sum - 1.0 / sqrt(2.0 * 3.14159265358979323846 * y)) / (1.0 - skip * skip);
    CHECK_RELATIVE(limits_of(&bounded).point.q_star, q, 1e-10);
    const double skips[] = {0.99, 0.999};
    for (int i = 0; i < 2; i++) {
        char spelling[80];
        snprintf(spelling, sizeof spelling, "residual(normalization=batch, epsilon=1e-9, skip=%g)", skips[i]);
        const eoc_network n = network_of(spelling, "relu", "gaussian", 2.0, 0.0);
        CHECK_RELATIVE(limits_of(&n).point.q_star, 1.0 / (1.0 - skips[i] * skips[i]), 1e-9);
    }
}

/* -- the singular value outside the rest -- */

/*
 * One input, relu and no biases, where every expectation is a power of (2 pi)^(-1/2): E[t^2], E[<t, z>^2], E[<t, z> <t,
 * 1>] and E[<t, 1>^2], all by units, of a unit vector t at a layer and what it becomes. With k = (q sigma_w^2)^(1/2), u
 * = k e: E[phi] = k/(2 pi)^(1/2), E[phi' e] = (2 pi)^(-1/2), all else halves. Arrays begin at layer 1.
 */
enum { RELU_DEPTH = 18, RELU_WIDTH = 200 };

static void relu_outlier(double sigma_w2, bool orthogonal, double *gradient, double *weight, double *jacobian)
{
    const double N = RELU_WIDTH, root = 1.0 / sqrt(2.0 * PI), missing = orthogonal ? 1.0 : 0.0;
    double q[RELU_DEPTH], m[RELU_DEPTH];
    q[0] = sigma_w2;
    m[0] = 0.0;
    for (int l = 0; l + 1 < RELU_DEPTH; l++) {
        const double k = sqrt(q[l] * sigma_w2);
        q[l + 1] = q[l] + 0.5 * k * k + 2.0 * m[l] * k * root;
        m[l + 1] = m[l] + k * root;
    }
    for (int start = 0; start < RELU_DEPTH; start++) {
        for (int what = 0; what < 3; what++) { /* unit vectors at z, unit vectors at u before it, J */
            double t = 1.0, zz = q[start] / N, z1 = m[start] / N, one = 1.0 / N;
            if (what == 1 && start > 0) {
                const double k = sqrt(q[start - 1] * sigma_w2), before = q[start - 1], mean = m[start - 1];
                t = 0.5;
                zz = (0.5 * before + 2.0 * mean * k * root + 0.5 * k * k) / N;
                z1 = (0.5 * mean + k * root) / N;
                one = 0.5 / N;
            } else if (what == 2) {
                t = sigma_w2;
                zz = (orthogonal ? 1.0 : 2.0) * sigma_w2 * q[0] / N;
                one = sigma_w2 / N;
            }
            for (int l = start; l + 1 < RELU_DEPTH; l++) {
                const double k = sqrt(q[l] * sigma_w2), lean = k / q[l]; /* W t = lean <t, z> e + what is new */
                const double to_z = 1.0 + lean * (m[l] * root + 0.5 * k), mean = k * root, to_one = lean * root;
                const double along_z = m[l] * root + 0.5 * k, along_one = root;
                const double new_zz =
                    t / N *
                    (k * k * (0.5 - root * root) +
                     sigma_w2 * (0.5 * q[l] + 2.0 * m[l] * k * root + 0.5 * k * k - missing * along_z * along_z));
                const double new_z1 = t / N * sigma_w2 * (0.5 * m[l] + k * root - missing * along_z * along_one);
                const double new_one = t / N * sigma_w2 * (0.5 - missing * along_one * along_one);
                t = (1.0 + 0.5 * sigma_w2) * t + 2.0 * to_one * z1;
                const double next_zz = to_z * to_z * zz + 2.0 * to_z * mean * z1 + mean * mean * one + new_zz;
                const double next_z1 = to_z * to_one * zz + (to_z + mean * to_one) * z1 + mean * one + new_z1;
                one = to_one * to_one * zz + 2.0 * to_one * z1 + one + new_one;
                zz = next_zz;
                z1 = next_z1;
            }
            if (what == 0) {
                gradient[start] = t;
            } else if (what == 1 && start > 0) {
                weight[start] = t * q[start - 1];
            } else if (start == 0) {
                *jacobian = t;
            }
        }
    }
}

static void relu_has_an_outlier(void **state)
{
    (void)state;
    for (int orthogonal = 0; orthogonal < 2; orthogonal++) {
        const char *initializer = orthogonal ? "orthogonal" : "gaussian";
        eoc_network n = network_of("residual(form=reduced)", "relu", initializer, 2.0, 0.0);
        n.depth = RELU_DEPTH;
        n.width = RELU_WIDTH;
        double gradient[RELU_DEPTH], weight[RELU_DEPTH], jacobian = 0.0, log_g[RELU_DEPTH], log_w[RELU_DEPTH];
        relu_outlier(2.0, orthogonal, gradient, weight, &jacobian);
        static const double variance = 1.0, one = 1.0;
        const eoc_theory_inputs inputs = {.num_variances = 1, .variances = &variance, .counts = &one};
        eoc_layer_theory *theory = NULL;
        assert_int_equal(eoc_layer_theory_create(&n, &inputs, RELU_DEPTH, &theory), EOC_OK);
        int layers[RELU_DEPTH];
        for (int l = 0; l < RELU_DEPTH; l++) {
            layers[l] = l + 1;
        }
        eoc_curve_rows rows = {.log_gradient_q = log_g, .log_weight_gradient_q = log_w};
        assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, RELU_DEPTH, &rows), EOC_OK);
        for (int l = 0; l < RELU_DEPTH; l++) {
            CHECK_NEAR(log_g[l], log(gradient[l]), 1e-9);
            if (l > 0) {
                CHECK_NEAR(log_w[l], log(weight[l]), 1e-9);
            }
        }
        CHECK_NEAR(rows.log_jacobian_m1, log(jacobian), 1e-9);
        assert_true(jacobian > 5.0 * pow(2.0, RELU_DEPTH)); /* of which the rest is a small part */
        assert_true(isnan(rows.log_jacobian_m2));
        /* As wide as can be it is not seen. */
        n.width = 1000000000;
        assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, RELU_DEPTH, &rows), EOC_OK);
        CHECK_NEAR(log_g[0], (RELU_DEPTH - 1) * log(2.0), 1e-5);
        /* A block's (2 skip^2 a + a^2 (mu_2/mu_1^2 - 1 - s_1))/(1 + a)^2, a = 1, and the lift's. */
        CHECK_NEAR(rows.log_jacobian_m2 - 2.0 * rows.log_jacobian_m1,
                   log1p((RELU_DEPTH - 1) * (orthogonal ? 0.75 : 1.0) + (orthogonal ? 0.0 : 1.0)), 1e-4);
        eoc_layer_theory_destroy(&theory);
    }
}

/* Where the first order of 1/N is no longer small it may take a mean square below 0: no number then, of any row. */
static void beyond_the_first_order(void **state)
{
    (void)state;
    enum { L = 200 };
    eoc_network n = network_of("residual(form=reduced, skip=-1)", "relu", "gaussian", 2.0, 0.0);
    n.depth = L;
    n.width = 20;
    eoc_layer_theory *theory = theory_of(&n, true, L);
    int layers[L], negative = 0;
    double log_g[L], c[L];
    for (int l = 0; l < L; l++) {
        layers[l] = l + 1;
    }
    eoc_curve_rows rows = {.log_gradient_q = log_g, .gradient_c = c};
    assert_int_equal(eoc_layer_theory_fill(theory, &n, layers, L, &rows), EOC_OK);
    for (int l = 0; l < L; l++) {
        negative += isnan(log_g[l]);
        assert_true(isnan(log_g[l]) == isnan(c[l]));
        assert_true(isnan(log_g[l]) || log_g[l] <= (L - 1 - l) * log(2.0) + 1e-12); /* the stream is taken away */
    }
    assert_true(negative > 0 && isfinite(log_g[L - 1]) && isfinite(log_g[L - 10]));
    eoc_layer_theory_destroy(&theory);
}

static void fill_pair(const eoc_network *n, double variance, double correlation, eoc_curve_rows *rows)
{
    const double two = 2.0;
    const eoc_theory_pair pair = {.correlation = correlation, .count = 2.0};
    const eoc_theory_inputs inputs = {
        .num_variances = 1, .variances = &variance, .counts = &two, .num_pairs = 1, .pairs = &pair};
    const int layers[] = {1, n->depth / 2};
    eoc_layer_theory *theory = NULL;
    assert_int_equal(eoc_layer_theory_create(n, &inputs, n->depth, &theory), EOC_OK);
    assert_int_equal(eoc_layer_theory_fill(theory, n, layers, 2, rows), EOC_OK);
    eoc_layer_theory_destroy(&theory);
}

/* Two inputs that are one have one gradient, of four times the square together; two that are nearly one nearly so. And
 * where u is large softplus, gelu and elu are relu, whose expectations are other sums: within 1/u. */
static void outlier_of_a_pair(void **state)
{
    (void)state;
    static const char *const names[] = {"relu", "leaky_relu(slope=0.2)", "gelu", "elu", "softplus", "sigmoid"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        eoc_network n = network_of("residual(form=reduced, skip=0.95, branch=0.8)", names[i], "gaussian", 1.8, 0.1);
        double one[2], c[2], both[2];
        eoc_curve_rows rows = {.log_gradient_q = one, .gradient_c = c, .log_weight_gradient_q = both};
        for (int k = 0; k < 2; k++) {
            fill_pair(&n, 1.0, k == 0 ? 1.0 : 1.0 - 1e-14, &rows);
            CHECK_NEAR(c[0], 1.0, k == 0 ? 1e-12 : 2e-6);
            CHECK_NEAR(c[1], 1.0, k == 0 ? 1e-12 : 2e-6);
            CHECK_NEAR(both[0], log(4.0) + one[0], k == 0 ? 1e-12 : 2e-6); /* x has variance 1 */
        }
    }
    static const char *const alike[] = {"softplus", "gelu", "elu"};
    static const char *const spellings[] = {"residual(form=reduced)", "residual(form=reduced, keep=0.8)"};
    for (int k = 0; k < 2; k++) {
        double c[2], both[2], other_c[2], other_both[2];
        const eoc_network relu = network_of(spellings[k], "relu", "gaussian", 1.8, 0.0);
        eoc_curve_rows rows = {.gradient_c = c, .log_weight_gradient_q = both};
        fill_pair(&relu, 1e12, -0.4, &rows);
        for (int i = 0; i < 3; i++) {
            const eoc_network n = network_of(spellings[k], alike[i], "gaussian", 1.8, 0.0);
            eoc_curve_rows other = {.gradient_c = other_c, .log_weight_gradient_q = other_both};
            fill_pair(&n, 1e12, -0.4, &other);
            for (int j = 0; j < 2; j++) {
                CHECK_NEAR(other_c[j], c[j], 1e-5);
                CHECK_NEAR(other_both[j], both[j], 2e-5);
            }
        }
    }
}

/* The rule of src/theory/tilts.c for pairs takes every kink of a phi that is not odd to be at 0. */
static void kinks_without_symmetry_are_at_zero(void **state)
{
    (void)state;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_activation_kind *kind = eoc_activation_row(row);
        for (int i = 0; i < kind->num_kinks && !kind->odd; i++) {
            CHECK_NEAR(kind->kinks[i], 0.0, 0.0);
        }
    }
}

/* relu(u)^2 + relu(-u)^2 = u^2, u = beta + gamma e: of crelu q* = sigma_w^2 (beta^2 + gamma^2)/2 + sigma_b^2, and of
 * each unit one feature is active, of slope 1. */
static void crelu_behind_a_shift(void **state)
{
    (void)state;
    const eoc_network n = network_of("fully_connected(normalization=layer, beta=0.7, gamma=1.2, epsilon=0)", "crelu",
                                     "gaussian", 1.5, 0.2);
    const double q_star = 0.75 * (0.49 + 1.44) + 0.2;
    const eoc_layer_limits limits = limits_of(&n);
    CHECK_RELATIVE(limits.point.q_star, q_star, 1e-11);
    CHECK_RELATIVE(limits.point.chi_1, 0.75 * 1.44 / q_star, 1e-11);
    CHECK_RELATIVE(limits.point.mu_1, 0.5, 1e-11);
    const eoc_network linear = network_of("fully_connected(normalization=layer, beta=0.7, gamma=1.2, epsilon=0)",
                                          "crelu", "looks_linear", 1.5, 0.2);
    CHECK_RELATIVE(limits_of(&linear).point.q_star, 1.5 * (0.49 + 1.44) + 0.2, 1e-11);
}

/* gamma = 0: phi sees beta alone, what is added is the same for all inputs, and no gradient passes a branch. */
static void gamma_of_zero(void **state)
{
    (void)state;
    static const char *const names[] = {"relu", "tanh", "gelu"};
    for (int i = 0; i < 3; i++) {
        eoc_network n = network_of("fully_connected(normalization=layer, gamma=0)", names[i], "gaussian", 1.5, 0.3);
        eoc_mean_field point = limits_of(&n).point;
        CHECK_NEAR(point.q_star, 0.3, 1e-15);
        CHECK_NEAR(point.chi_1, 0.0, 0.0);
        CHECK_NEAR(point.c_star, 1.0, 0.0);
        CHECK_NEAR(point.chi_c, 0.0, 0.0);
        assert_false(point.status & EOC_THEORY_CHAOTIC);
        n = network_of("residual(form=full, normalization=layer, gamma=0, skip=0.5)", names[i], "gaussian", 1.5, 0.3);
        point = limits_of(&n).point;
        CHECK_NEAR(point.q_star, 0.4, 1e-14); /* 0.3/(1 - 0.25) */
        CHECK_NEAR(point.chi_c, 0.25, 1e-15);
        n = network_of("residual(form=reduced, normalization=layer, gamma=0, skip=0.5)", names[i], "gaussian", 1.5,
                       0.3);
        point = limits_of(&n).point; /* the skip alone */
        CHECK_NEAR(point.q_star, 0.0, 0.0);
        CHECK_NEAR(point.chi_1, 0.25, 1e-15);
        assert_true(point.status & EOC_THEORY_C_ANY);
    }
}

/* Slopes of a sine do not end with its argument: E[cos^2] = 1/2, E[cos^4] = 3/8, in chi_1 as in the curves of a deep
 * network. */
static void waves_keep_their_slopes(void **state)
{
    (void)state;
    static const struct {
        const char *spelling;
        double chi_1;
    } cases[] = {{"residual", 2.0}, {"residual(form=full)", 3.0}, {"residual(form=reduced, keep=0.8)", 2.25}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_network n = network_of(cases[i].spelling, "sin", "gaussian", 2.0, 0.0);
        const eoc_mean_field point = limits_of(&n).point;
        CHECK_NEAR(point.chi_1, cases[i].chi_1, 1e-12);
        CHECK_NEAR(point.mu_1, 0.5, 1e-12);
        CHECK_NEAR(point.mu_2, 0.375, 1e-12);
        CHECK_NEAR(point.c_star, 0.0, 0.0);
        double log_g[2];
        eoc_curve_rows rows = {.log_gradient_q = log_g};
        n.depth = 300;
        eoc_layer_theory *theory = theory_of(&n, true, n.depth);
        assert_int_equal(eoc_layer_theory_fill(theory, &n, (const int[]){200, 201}, 2, &rows), EOC_OK);
        CHECK_NEAR(log_g[0] - log_g[1], log(cases[i].chi_1), 1e-12);
        eoc_layer_theory_destroy(&theory);
    }
}

/* Weights of 0: phi sees biases alone, the same in all inputs, and the stream's mean tells them apart no more. */
static void without_weights(void **state)
{
    (void)state;
    static const char *const spellings[] = {"residual(form=reduced)", "residual(form=reduced, keep=0.9)",
                                            "residual(form=reduced, keep=0.9, branch=0.5)"};
    for (int i = 0; i < 3; i++) {
        const eoc_network n = network_of(spellings[i], "relu", "gaussian", 0.0, 1.0);
        const eoc_mean_field point = limits_of(&n).point;
        CHECK_NEAR(point.c_star, 1.0, 0.0);
        CHECK_NEAR(point.chi_1, 1.0, 0.0);
        CHECK_NEAR(point.mu_1, 0.5, 1e-12);
        assert_true(isinf(point.xi_c) && point.status & EOC_THEORY_XI_INFINITE);
    }
    const eoc_network silent = network_of("residual", "tanh", "gaussian", 0.0, 0.0);
    CHECK_NEAR(limits_of(&silent).point.chi_1, 1.0, 0.0); /* nothing but the skip */
    const eoc_network closed =
        network_of("fully_connected(normalization=layer, gamma=0)", "tanh", "gaussian", 1.0, 0.0);
    CHECK_NEAR(limits_of(&closed).point.chi_1, 0.0, 0.0);
}

/* Far below epsilon a normalization is a constant factor: q = sigma_b^2, gradients times sigma_w^2 gamma^2
 * phi'(0)^2/epsilon a layer. */
static void batches_whose_spread_dies_out(void **state)
{
    (void)state;
    const eoc_network n =
        network_of("fully_connected(normalization=batch, epsilon=0.5, gamma=0.7)", "gelu", "gaussian", 1.0, 0.1);
    const eoc_mean_field point = limits_of(&n).point;
    CHECK_NEAR(point.q_star, 0.1, 1e-14);
    CHECK_NEAR(point.c_star, 1.0, 0.0);
    CHECK_NEAR(point.chi_1, 0.49 * 0.25 / 0.5, 1e-12);
}

static void what_is_not_covered(void **state)
{
    (void)state;
    const eoc_network growing = network_of("residual(normalization=batch, skip=1.5)", "relu", "gaussian", 1.0, 0.0);
    const eoc_network mean = network_of("residual", "relu", "small_uniform", 1.0, 0.0);
    assert_false(eoc_layer_theory_covers(&growing));
    const eoc_network wave = network_of("fully_connected(normalization=batch, gamma=31)", "sin", "gaussian", 1.0, 0.0);
    assert_false(eoc_layer_theory_covers(&wave));
    assert_false(eoc_layer_theory_covers(&mean));
    eoc_network by_depth = network_of("residual(branch=1/sqrt(depth))", "relu", "gaussian", 1.0, 0.0);
    assert_int_equal(eoc_layer_theory_depth(&by_depth), 30);
    by_depth = network_of("residual", "relu", "gaussian", 1.0, 0.0);
    assert_int_equal(eoc_layer_theory_depth(&by_depth), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_residual_is_exponential),
        cmocka_unit_test(erf_residual_maps),
        cmocka_unit_test(erf_residual_is_subexponential),
        cmocka_unit_test(erf_residual_limits),
        cmocka_unit_test(dropout_has_no_critical_point),
        cmocka_unit_test(layer_normalization_fixes_the_length),
        cmocka_unit_test(crelu_is_linear_or_relu),
        cmocka_unit_test(what_is_not_covered),
        cmocka_unit_test(reduced_layers_at_the_ends),
        cmocka_unit_test(streams_that_settle_slowly),
        cmocka_unit_test(what_does_not_settle),
        cmocka_unit_test(vanishing_below_epsilon),
        cmocka_unit_test(relu_has_an_outlier),
        cmocka_unit_test(beyond_the_first_order),
        cmocka_unit_test(outlier_of_a_pair),
        cmocka_unit_test(kinks_without_symmetry_are_at_zero),
        cmocka_unit_test(crelu_behind_a_shift),
        cmocka_unit_test(gamma_of_zero),
        cmocka_unit_test(waves_keep_their_slopes),
        cmocka_unit_test(without_weights),
        cmocka_unit_test(batches_whose_spread_dies_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
