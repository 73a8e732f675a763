/* SPDX-License-Identifier: BSD-3-Clause */
/* How alike the gradients of two inputs are in relu networks: exact mean field, and the estimate for independent gates.
 */
#include "check.h"

#include "eoc/gates.h"
#include "eoc/mean_field.h"

#include <string.h>

static const double PI = 3.14159265358979323846;

static eoc_network network_of(const char *architecture, int depth, double bias_variance)
{
    eoc_network n = {.depth = depth, .width = 100, .weight_variance = 2.0, .bias_variance = bias_variance};
    assert_int_equal(eoc_architecture_find(architecture, &n.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find("relu", &n.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find("gaussian", &n.initializer), EOC_OK);
    return n;
}

static eoc_inputs inputs_of(const char *kind, double correlation, int points)
{
    eoc_inputs inputs = {.correlation = correlation, .variance = 1.0, .points = points, .from = -1.0, .to = 1.0};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, kind) == 0) {
            inputs.kind = eoc_input_kind_row(row);
        }
    }
    assert_non_null(inputs.kind);
    return inputs;
}

static double correlation_of(const eoc_network *network, const eoc_inputs *inputs)
{
    double correlation = 0.0;
    assert_int_equal(eoc_gates_correlation(network, inputs, 1.0, &correlation), EOC_OK);
    return correlation;
}

static double pair_correlation(const char *architecture, int depth, double bias_variance, double c)
{
    const eoc_network n = network_of(architecture, depth, bias_variance);
    const eoc_inputs pair = inputs_of("pair", c, 2);
    return correlation_of(&n, &pair);
}

static double independent(const char *architecture, int depth)
{
    const eoc_network n = network_of(architecture, depth, 0.0);
    return eoc_gates_independent_correlation(&n);
}

/* The product of 1 - arccos(c^l)/pi along c' = (sqrt(1 - c^2) + c (pi - arccos c))/pi from c = 0, computed apart from
 * this program, to the digits given. */
static void falls_as_a_power(void **state)
{
    (void)state;
    CHECK_NEAR(pair_correlation("fully_connected", 1, 0.0, 0.0), 0.5, 1e-15);
    CHECK_NEAR(pair_correlation("fully_connected", 5, 0.0, 0.0), 0.105, 5e-4);
    CHECK_NEAR(pair_correlation("fully_connected", 10, 0.0, 0.0), 0.0337, 5e-5);
    CHECK_NEAR(pair_correlation("fully_connected", 24, 0.0, 0.0), 5.5e-3, 5e-5);
    CHECK_NEAR(pair_correlation("fully_connected", 50, 0.0, 0.0), 9.1e-4, 5e-6);
    CHECK_NEAR(pair_correlation("fully_connected", 100, 0.0, 0.0), 1.4e-4, 5e-6);
    /* Twice as deep, an eighth: 1 - c falls as 1/l^2. */
    CHECK_NEAR(log2(pair_correlation("fully_connected", 20000, 0.0, 0.0) /
                    pair_correlation("fully_connected", 40000, 0.0, 0.0)),
               3.0, 2e-3);
}

/* The general theory's gradient_c in layer 1, by other means. */
static void is_the_general_theory(void **state)
{
    (void)state;
    eoc_activation relu;
    assert_int_equal(eoc_activation_find("relu", &relu), EOC_OK);
    const double biases[] = {0.0, 0.3}, cosines[] = {-0.5, 0.0, 0.6, 0.999};
    for (int b = 0; b < 2; b++) {
        for (int i = 0; i < 4; i++) {
            const double variance = 1.0, count = 2.0;
            const eoc_theory_pair pair = {.correlation = cosines[i], .count = 2.0};
            const eoc_theory_inputs inputs = {
                .num_variances = 1, .variances = &variance, .counts = &count, .num_pairs = 1, .pairs = &pair};
            eoc_curves *curves = NULL;
            assert_int_equal(eoc_curves_create(&relu, 2.0, biases[b], &inputs, 50, &curves), EOC_OK);
            for (int depth = 1; depth <= 50; depth += 7) {
                const int layer = 1;
                double gradient_c = NAN;
                eoc_curve_rows rows = {.gradient_c = &gradient_c};
                eoc_curves_fill(curves, depth, &layer, 1, -1.0, &rows);
                CHECK_NEAR(pair_correlation("fully_connected", depth, biases[b], cosines[i]), gradient_c, 1e-9);
                CHECK_NEAR(rows.mean_gradient_c, gradient_c, 1e-15); /* of one pair */
            }
            eoc_curves_destroy(&curves);
        }
    }
}

/* One block, h + W phi(h) at weight variance 2: a gradient's mean square doubles, and of the product of two a share of
 * 1 - theta/pi is added. */
static void one_block(void **state)
{
    (void)state;
    for (double c = -1.0; c <= 1.0; c += 0.25) {
        CHECK_NEAR(pair_correlation("residual", 2, 0.0, c), 0.5 * (1.0 + 1.0 - acos(c) / PI), 1e-14);
        CHECK_NEAR(pair_correlation("residual(branch=0.1)", 2, 0.0, c), (1.0 + 0.01 * (1.0 - acos(c) / PI)) / 1.01,
                   1e-14);
        CHECK_NEAR(pair_correlation("residual", 1, 0.0, c), 1.0, 0.0); /* the lift alone */
    }
    /* skip 0 is the plain network but for its last gate */
    CHECK_NEAR(pair_correlation("residual(skip=0)", 10, 0.0, 0.0), pair_correlation("fully_connected", 9, 0.0, 0.0),
               1e-15);
}

/* Streams beyond the range of doubles, 2^3000 long: where biases are long forgotten, twice as deep an eighth as in
 * falls_as_a_power (of x + W phi(x) theta falls half as fast, and its product twice as slowly: the power is the same).
 */
static void at_any_depth(void **state)
{
    (void)state;
    const double once = pair_correlation("residual", 20000, 0.3, 0.0),
                 twice = pair_correlation("residual", 40000, 0.3, 0.0);
    CHECK_NEAR(log2(once / twice), 3.0, 5e-3);
    const eoc_network n = network_of("residual(normalization=batch, skip=2)", 5000, 0.0);
    const eoc_inputs many = inputs_of("gaussian", 0.0, 100);
    assert_true(correlation_of(&n, &many) > 0.0);
}

/* Balduzzi et al. 2017, theorems 1 to 3, in blocks where the first layer is none. */
static void papers_rates(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 50; depth += 7) {
        CHECK_NEAR(independent("fully_connected", depth), pow(2.0, -depth), 1e-15);
        CHECK_NEAR(independent("fully_connected(normalization=batch)", depth), pow(2.0, -depth), 1e-15);
        CHECK_NEAR(independent("residual", depth), pow(0.75, depth - 1), 1e-15);
        CHECK_NEAR(independent("residual(normalization=batch)", depth), 1.0 / sqrt(depth), 1e-15);
    }
    CHECK_NEAR(independent("residual(normalization=batch, branch=0.1)", 51), 0.816, 5e-4);
}

/* Four points: what is left of them by their mean has the cosine -1/3, and a gate in common 1 - arccos(-1/3)/pi times.
 */
static void batch(void **state)
{
    (void)state;
    const eoc_inputs four = inputs_of("gaussian", 0.0, 4), many = inputs_of("gaussian", 0.0, 4000);
    eoc_network n = network_of("fully_connected(normalization=batch)", 1, 0.0);
    CHECK_NEAR(correlation_of(&n, &four), 1.0 - acos(-1.0 / 3.0) / PI, 1e-15);
    /* The gates of many inputs are independent indeed. */
    n.depth = 20;
    CHECK_NEAR(correlation_of(&n, &many), pow(2.0, -20), 0.01 * pow(2.0, -20));
    /* One block of many: u = 2, slope^2 = 1/2. */
    n = network_of("residual(normalization=batch)", 2, 0.0);
    CHECK_NEAR(correlation_of(&n, &many), (1.0 + 0.25) / (1.0 + 0.5), 1e-3);
    /* Far up, u grows by 1 - 1/pi a block: twice as deep, 2^(-pi/(2 (pi - 1))). */
    n.depth = 20000;
    const double deep = correlation_of(&n, &many);
    n.depth = 40000;
    CHECK_NEAR(log2(deep / correlation_of(&n, &many)), PI / (2.0 * (PI - 1.0)), 2e-3);
}

/* Of -1, 0, 1 with biases as large as weights: pairs (-1, 0) and (0, 1) alike, (-1, 1) apart. One layer. */
static void interval(void **state)
{
    (void)state;
    const eoc_network n = network_of("fully_connected", 1, 2.0);
    const eoc_inputs three = inputs_of("interval", 0.0, 3);
    const double near = 1.0 - acos(2.0 / sqrt(2.0 * 4.0)) / PI, far = 1.0 - acos(0.0) / PI;
    CHECK_NEAR(correlation_of(&n, &three), (2.0 * near + far) / 3.0, 1e-14);
}

static void where_there_is_none(void **state)
{
    (void)state;
    const eoc_inputs pair = inputs_of("pair", 0.5, 2), line = inputs_of("interval", 0.0, 5);
    static const char *const without[] = {"fully_connected(normalization=layer)", "fully_connected(keep=0.9)",
                                          "fully_connected(normalization=batch, beta=0.1)", "residual(form=reduced)",
                                          "residual(form=full)"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        const eoc_network n = network_of(without[i], 5, 0.0);
        assert_true(isnan(correlation_of(&n, &pair)));
        assert_true(isnan(eoc_gates_independent_correlation(&n)));
    }
    eoc_network n = network_of("residual(normalization=batch)", 5, 0.0);
    assert_true(isnan(correlation_of(&n, &line)));
    n = network_of("fully_connected", 5, 0.0);
    assert_int_equal(eoc_activation_find("tanh", &n.activation), EOC_OK);
    assert_true(isnan(correlation_of(&n, &pair)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(falls_as_a_power),
        cmocka_unit_test(is_the_general_theory),
        cmocka_unit_test(one_block),
        cmocka_unit_test(papers_rates),
        cmocka_unit_test(batch),
        cmocka_unit_test(interval),
        cmocka_unit_test(where_there_is_none),
        cmocka_unit_test(at_any_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
