/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include "eoc/advise.h"

#include <string.h>

static eoc_advice advise(const char *activation, int width, int depth)
{
    eoc_activation act;
    eoc_advice advice;
    assert_int_equal(eoc_activation_find(activation, &act), EOC_OK);
    assert_int_equal(eoc_advise(&act, width, depth, &advice), EOC_OK);
    return advice;
}

static const eoc_advice_row *row_of(const eoc_advice *a, const char *name)
{
    return eoc_advice_find(a, name);
}

static const char *recommended(const eoc_advice *a)
{
    return a->rows[a->recommended].name;
}

/* relu halves the mean square: chi_1 = sigma_w2/2, q^L/q^1 = g^1/g^L = chi_1^(L-1); mu_2/mu_1^2 = 2, so the squared
 * singular values have variance 2L with gaussian weights and L with orthogonal ones (Pennington et al. 2017), and beta
 * = 5 L/N (Hanin & Nica 2020). */
static void relu_is_advised_he(void **state)
{
    (void)state;
    const eoc_advice a = advise("relu", 512, 50);
    assert_string_equal(recommended(&a), "he_normal");
    assert_int_equal(a.regime, EOC_ADVICE_SCALE_FREE);
    CHECK_NEAR(a.weight_variance, 2.0, 1e-12);
    CHECK_NEAR(a.bias_variance, 0.0, 0.0);

    const eoc_advice_row *he = row_of(&a, "he_normal");
    CHECK_NEAR(he->point.chi_1, 1.0, 1e-12);
    CHECK_NEAR(he->log_forward_scale, 0.0, 1e-10);
    CHECK_NEAR(he->log_gradient_scale, 0.0, 1e-10);
    CHECK_NEAR(he->spread, 10.0, 1e-8);
    CHECK_NEAR(he->beta, 5.0 * 50.0 / 512.0, 1e-10);
    assert_true(isinf(he->signal_depth) && isinf(he->gradient_depth));
    assert_int_equal(he->verdict, EOC_VERDICT_TRAINABLE);
    CHECK_NEAR(row_of(&a, "critical_orthogonal")->spread, sqrt(50.0), 1e-8);

    const eoc_advice_row *glorot = row_of(&a, "glorot_normal");
    CHECK_NEAR(glorot->point.chi_1, 0.5, 1e-12);
    CHECK_NEAR(glorot->log_forward_scale, -49.0 * log(2.0), 1e-9);
    CHECK_NEAR(glorot->log_gradient_scale, -49.0 * log(2.0), 1e-9);
    CHECK_NEAR(glorot->gradient_depth, 6.0 * log(10.0) / log(2.0), 1e-8); /* 19.93 */
    CHECK_NEAR(glorot->signal_depth, 6.0 * log(10.0) / log(2.0), 1e-8);
    assert_int_equal(glorot->verdict, EOC_VERDICT_SIGNAL_VANISHES);
}

/* nn.Linear: weights and biases U(+-1/sqrt(N)), variance 1/(3N). relu: chi_1 = 1/6; q^(l+1) = q^l/6 + 1/(3N), from q^1
 * = 1/3 + 1/(3N); xi_c = 1/log 6 = 0.558 (published.md, A2: 0.56). */
static void torch_default_has_its_biases(void **state)
{
    (void)state;
    const eoc_advice a = advise("relu", 512, 50);
    const eoc_advice_row *r = row_of(&a, "torch_linear");
    CHECK_NEAR(r->effective_weight_variance, 1.0 / 3.0, 1e-15);
    CHECK_NEAR(r->bias_variance, 1.0 / 1536.0, 1e-18);
    CHECK_NEAR(r->point.chi_1, 1.0 / 6.0, 1e-12);
    CHECK_NEAR(r->point.xi_c, 1.0 / log(6.0), 1e-9);
    CHECK_NEAR(r->signal_depth, 6.0 / log(6.0), 1e-8);
    double q = 1.0 / 3.0 + 1.0 / 1536.0;
    const double q_1 = q;
    for (int layer = 1; layer < 50; layer++) {
        q = q / 6.0 + 1.0 / 1536.0;
    }
    CHECK_NEAR(r->log_forward_scale, log(q / q_1), 1e-9);
    CHECK_NEAR(r->log_gradient_scale, -49.0 * log(6.0), 1e-8);
    assert_int_equal(r->verdict, EOC_VERDICT_INPUTS_ALIKE);
}

/* Entries of variance v: small_normal has sigma_w2 = 1e-4 N. */
static void effective_variances(void **state)
{
    (void)state;
    const eoc_advice a = advise("tanh", 300, 20);
    CHECK_NEAR(row_of(&a, "small_normal")->effective_weight_variance, 0.03, 1e-15);
    CHECK_NEAR(row_of(&a, "he_normal")->effective_weight_variance, 2.0, 1e-15);
    CHECK_NEAR(row_of(&a, "glorot_normal")->effective_weight_variance, 1.0, 1e-15);
    CHECK_NEAR(row_of(&a, "orthogonal")->effective_weight_variance, 1.0, 1e-15);
    /* He with tanh: q_star = 0.618, chi_1 = 1.1055 (published presets read through mean field). */
    CHECK_NEAR(row_of(&a, "he_normal")->point.q_star, 0.618, 5e-4);
    CHECK_NEAR(row_of(&a, "he_normal")->point.chi_1, 1.1055, 5e-5);
}

/* Entries U(0, a): mean a/2, so (N mu)^2 = (N/200)^2 with a = 0.01, and N/4 with a = 1/sqrt(N). */
static void weights_with_a_mean_are_outside(void **state)
{
    (void)state;
    const eoc_advice a = advise("relu", 400, 10);
    const eoc_advice_row *small = row_of(&a, "small_uniform"), *positive = row_of(&a, "positive_uniform");
    CHECK_NEAR(small->mean_gain, 4.0, 1e-12);
    CHECK_NEAR(positive->mean_gain, 100.0, 1e-10);
    assert_true(!small->in_theory && isnan(small->point.chi_1) && isnan(small->spread) && isnan(small->beta));
    assert_int_equal(small->verdict, EOC_VERDICT_MEAN_GROWS);
    const eoc_advice narrow = advise("relu", 100, 10);
    assert_int_equal(row_of(&narrow, "small_uniform")->verdict, EOC_VERDICT_MEAN_VANISHES);
}

/* Networks drawn by NumPy (tests/reference/mean_weights.py): medians of log q^L/q^1 and log g^1/g^L over 21 of them. */
static void weights_with_a_mean_as_drawn(void **state)
{
    (void)state;
    FILE *file = fopen(EOC_TEST_REFERENCE "/mean_weights.csv", "r");
    assert_non_null(file);
    char line[256], name[32], initializer[32];
    int width = 0, depth = 0, rows = 0;
    double forward = 0.0, gradient = 0.0;
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        assert_int_equal(
            sscanf(line, "%31[^,],%31[^,],%d,%d,%lf,%lf", name, initializer, &width, &depth, &forward, &gradient), 6);
        const eoc_advice a = advise(name, width, depth);
        const eoc_advice_row *r = row_of(&a, initializer);
        print_message("%s %s %d: %.2f for %.2f, %.2f for %.2f\n", name, initializer, width, r->log_forward_scale,
                      forward, r->log_gradient_scale, gradient);
        CHECK_NEAR(r->log_forward_scale, forward, 1.0);
        CHECK_NEAR(r->log_gradient_scale, gradient, fmax(2.0, 0.06 * fabs(gradient)));
        rows++;
    }
    fclose(file);
    assert_true(rows >= 20);
}

/* phi(0) = 1/2 feeds the mean at any width: the signal of sigmoid and softplus does not vanish. */
static void what_is_not_zero_at_zero_never_vanishes(void **state)
{
    (void)state;
    const eoc_advice a = advise("sigmoid", 64, 12), b = advise("softplus", 64, 12);
    assert_int_equal(row_of(&a, "small_uniform")->verdict, EOC_VERDICT_MEAN_GROWS);
    assert_int_equal(row_of(&b, "small_uniform")->verdict, EOC_VERDICT_MEAN_GROWS);
}

/* relu: beta = 5 L/N (Hanin & Nica 2020): above 1 from depth N/5 on; what vanishes is told so. */
static void narrow_networks_are_told(void **state)
{
    (void)state;
    const eoc_advice narrow = advise("relu", 100, 30), wide = advise("relu", 1000, 30);
    assert_int_equal(row_of(&narrow, "he_normal")->verdict, EOC_VERDICT_TOO_NARROW);
    assert_int_equal(row_of(&wide, "he_normal")->verdict, EOC_VERDICT_TRAINABLE);
    assert_int_equal(row_of(&narrow, "glorot_normal")->verdict, EOC_VERDICT_SIGNAL_VANISHES);
    /* Orthogonal: 3 (mu_2/mu_1^2 - 1) = 3 a layer and unit. Of 30 networks of width 100 and depth 2000 log |gradient|^2
     * had variance 55. */
    const eoc_advice deep = advise("relu", 100, 2000);
    CHECK_NEAR(row_of(&deep, "critical_orthogonal")->beta, 60.0, 1e-9);
    assert_int_equal(row_of(&deep, "critical_orthogonal")->verdict, EOC_VERDICT_TOO_NARROW);
    /* gelu at (2, 0): q goes to 0, and with it c stops; nothing becomes alike. */
    const eoc_advice gelu = advise("gelu", 100, 20);
    assert_int_equal(row_of(&gelu, "he_normal")->verdict, EOC_VERDICT_SIGNAL_VANISHES);
}

/* tanh: q_star = 1/sqrt(8 L) and the line's point there; with inputs at the fixed point nothing moves, and the spread
 * is sqrt(L (mu_2/mu_1^2 - 1)), near 1 for mu_2/mu_1^2 - 1 ~ 8 q^2. */
static void tanh_is_advised_isometry(void **state)
{
    (void)state;
    const eoc_advice a = advise("tanh", 512, 50);
    assert_string_equal(recommended(&a), "critical_orthogonal");
    assert_int_equal(a.regime, EOC_ADVICE_ISOMETRIC);
    CHECK_NEAR(a.q_star, 0.05, 1e-15);
    const eoc_advice_row *r = row_of(&a, "critical_orthogonal");
    CHECK_NEAR(r->point.chi_1, 1.0, 1e-9);
    CHECK_NEAR(r->point.q_star, 0.05, 1e-9);
    CHECK_NEAR(r->effective_weight_variance * r->input_variance + r->bias_variance, 0.05, 1e-15);
    CHECK_NEAR(r->log_forward_scale, 0.0, 1e-7);
    CHECK_NEAR(r->log_gradient_scale, 0.0, 1e-7);
    CHECK_NEAR(r->spread * r->spread, 50.0 * (r->point.mu_2 / (r->point.mu_1 * r->point.mu_1) - 1.0), 1e-6);
    assert_true(r->spread < 1.0);
    assert_int_equal(r->verdict, EOC_VERDICT_ISOMETRIC);
    CHECK_NEAR(row_of(&a, "critical_gaussian")->spread, sqrt(r->spread * r->spread + 50.0), 1e-6);

    /* L = 1250: q_star = 0.01, whose point of the line is (1.0197108, 1.25800e-6) (tests/reference, Xiao et al. 2018).
     */
    const eoc_advice deep = advise("tanh", 512, 1250);
    CHECK_NEAR(deep.q_star, 0.01, 1e-15);
    CHECK_NEAR(deep.weight_variance, 1.0197108, 5e-8);
    CHECK_RELATIVE(deep.bias_variance, 1.25800e-6, 1e-5);
}

static void isometry_is_never_promised_beyond_1(void **state)
{
    (void)state;
    static const char *const names[] = {"tanh", "hard_tanh", "erf", "sin", "elu"};
    static const int depths[] = {1, 3, 50, 1000, 10000};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t k = 0; k < sizeof depths / sizeof depths[0]; k++) {
            const eoc_advice a = advise(names[i], 512, depths[k]);
            const eoc_advice_row *r = row_of(&a, "critical_orthogonal");
            assert_int_equal(a.regime, EOC_ADVICE_ISOMETRIC);
            assert_true(a.q_star <= 1.0 / sqrt(8.0 * depths[k]) * (1.0 + 1e-12));
            assert_true(depths[k] * (r->point.mu_2 / (r->point.mu_1 * r->point.mu_1) - 1.0) <= 1.0 + 1e-6);
            CHECK_NEAR(r->point.chi_1, 1.0, 1e-8);
        }
    }
}

static void linear_is_an_isometry(void **state)
{
    (void)state;
    const eoc_advice a = advise("linear", 100, 1000);
    assert_int_equal(a.regime, EOC_ADVICE_LINEAR);
    assert_string_equal(recommended(&a), "critical_orthogonal");
    CHECK_NEAR(row_of(&a, "orthogonal")->spread, 0.0, 1e-6);
    CHECK_NEAR(row_of(&a, "gaussian")->spread, sqrt(1000.0), 1e-6); /* variance L */
    CHECK_NEAR(row_of(&a, "gaussian")->beta, 2.0 * 1000.0 / 100.0, 1e-9);
}

/* |z|: slopes of one size, so that the Jacobian of orthogonal layers is orthogonal, but inputs become alike. */
static void folding_keeps_lengths_alone(void **state)
{
    (void)state;
    const eoc_advice a = advise("leaky_relu(slope=-1)", 512, 200);
    assert_int_equal(a.regime, EOC_ADVICE_FOLDED);
    CHECK_NEAR(row_of(&a, "critical_orthogonal")->spread, 0.0, 1e-6);
    assert_string_equal(recommended(&a), "critical_orthogonal");
}

/* Slopes near each other: L ((1 - a^2)/(1 + a^2))^2 of orthogonal layers, and L more of gaussian ones. */
static void nearly_linear_wants_orthogonal(void **state)
{
    (void)state;
    const eoc_advice near = advise("leaky_relu(slope=0.9)", 512, 50), apart = advise("leaky_relu(slope=0.2)", 512, 50);
    const double squared = pow(0.19 / 1.81, 2.0);
    CHECK_RELATIVE(row_of(&near, "critical_orthogonal")->spread, sqrt(50.0 * squared), 1e-9);
    CHECK_RELATIVE(row_of(&near, "critical_gaussian")->spread, sqrt(50.0 * (1.0 + squared)), 1e-9);
    assert_string_equal(recommended(&near), "critical_orthogonal");
    assert_string_equal(recommended(&apart), "critical_gaussian");
}

/* Lengths that double: the signal explodes, however near to 10^6 the last one is, and no inputs become unrelated. */
static void growth_is_no_chaos(void **state)
{
    (void)state;
    for (int depth = 20; depth <= 22; depth++) {
        const eoc_advice a = advise("linear", 512, depth);
        assert_int_equal(row_of(&a, "he_normal")->verdict, EOC_VERDICT_SIGNAL_EXPLODES);
    }
}

/* leaky_relu of slope a: 2/(1 + a^2). */
static void leaky_relu_has_its_own_scale(void **state)
{
    (void)state;
    const eoc_advice a = advise("leaky_relu(slope=0.2)", 1000, 30);
    assert_string_equal(recommended(&a), "critical_gaussian");
    CHECK_NEAR(a.weight_variance, 2.0 / 1.04, 1e-10);
    /* Beyond its reach: squared singular values of variance L mu_2/mu_1^2 = L 2 (1 + a^4)/(1 + a^2)^2. */
    const eoc_advice deep = advise("leaky_relu(slope=0.2)", 100000, 1000);
    CHECK_NEAR(row_of(&deep, "critical_gaussian")->spread, sqrt(1000.0 * 2.0 * 1.0016 / (1.04 * 1.04)), 1e-6);
    assert_true(deep.beyond_reach && !row_of(&deep, "looks_linear"));
    assert_string_equal(recommended(&deep), "residual");
    CHECK_NEAR(row_of(&deep, "residual")->log_gradient_scale, 999.0 * log1p(1.0 / 1000.0), 1e-8);
}

/* Growth of gradients of relu under batch normalization, by the arc-cosine kernel at c = -1/(B - 1) (Yang et al. 2019):
 * pi/(pi - 1) for large B. */
static double batch_growth(double inputs)
{
    const double c = -1.0 / (inputs - 1.0), slope = (acos(-1.0) - acos(c)) / (2.0 * acos(-1.0));
    const double kernel = sqrt(1.0 - c * c) / (2.0 * acos(-1.0)) + slope * c;
    const double trace = (1.0 - 1.0 / inputs) / 2.0 - 1.0 / (2.0 * inputs) + (slope + kernel) / inputs;
    return inputs / (inputs - 3.0) * trace / (0.5 - kernel);
}

/*
 * Residual layers h + W relu(h)/sqrt(L) at sigma_w2 = 2 multiply signals and gradients by 1 + 1/L a layer (Yang &
 * Schoenholz 2017). Batch normalization with epsilon 1e-5 beside variances of order 1: its closed form to that. Crelu
 * with [W', -W'], W' orthogonal, is an orthogonal network (Balduzzi et al. 2017).
 */
static void relu_beyond_its_reach(void **state)
{
    (void)state;
    static const int depths[] = {200, 1000};
    double log_batch_gradient[2];
    for (int k = 0; k < 2; k++) {
        const double depth = depths[k];
        const eoc_advice a = advise("relu", 512, depths[k]);
        assert_true(a.beyond_reach);
        assert_string_equal(recommended(&a), "looks_linear");
        CHECK_NEAR(row_of(&a, "he_normal")->spread, sqrt(2.0 * depth), 1e-7);

        const eoc_advice_row *residual = row_of(&a, "residual");
        CHECK_NEAR(residual->effective_weight_variance, 2.0, 1e-12);
        CHECK_NEAR(residual->point.chi_1, 1.0 + 1.0 / depth, 1e-12);
        CHECK_NEAR(residual->log_forward_scale, (depth - 1.0) * log1p(1.0 / depth), 1e-8);
        CHECK_NEAR(residual->log_gradient_scale, (depth - 1.0) * log1p(1.0 / depth), 1e-8);
        CHECK_RELATIVE(residual->gradient_depth, 6.0 * log(10.0) / log1p(1.0 / depth), 1e-8);
        CHECK_RELATIVE(residual->signal_depth, 6.0 * log(10.0) / log1p(1.0 / depth), 1e-8);
        assert_true(isnan(residual->spread) && isnan(residual->beta));
        assert_int_equal(residual->verdict, EOC_VERDICT_TRAINABLE);

        const eoc_advice_row *batch = row_of(&a, "batch_norm");
        CHECK_NEAR(batch->point.chi_1, batch_growth(EOC_ADVICE_BATCH), 5e-5);
        CHECK_NEAR(batch->log_forward_scale, log(0.5), 5e-5); /* from sigma_w2 = 2 to sigma_w2 E[relu^2] = 1 */
        CHECK_RELATIVE(batch->gradient_depth, 6.0 * log(10.0) / log(batch_growth(EOC_ADVICE_BATCH)), 2e-4);
        assert_true(isnan(batch->signal_depth) && isnan(batch->spread) && isnan(batch->beta));
        assert_int_equal(batch->verdict, EOC_VERDICT_GRADIENTS_EXPLODE);
        log_batch_gradient[k] = batch->log_gradient_scale;

        const eoc_advice_row *linear = row_of(&a, "looks_linear");
        assert_string_equal(linear->activation, "crelu");
        CHECK_NEAR(linear->log_forward_scale, 0.0, 1e-9);
        CHECK_NEAR(linear->log_gradient_scale, 0.0, 1e-9);
        CHECK_NEAR(linear->spread, 0.0, 1e-5);
        assert_true(isinf(linear->gradient_depth) && isinf(linear->signal_depth));
        assert_int_equal(linear->verdict, EOC_VERDICT_ISOMETRIC);
    }
    CHECK_RELATIVE(log_batch_gradient[1] - log_batch_gradient[0], 800.0 * log(batch_growth(EOC_ADVICE_BATCH)), 1e-4);
}

/* sqrt(2 L) > 10 from L = 51 on; or 5 L/N > 1 (Hanin & Nica 2020). */
static void reach_of_relu(void **state)
{
    (void)state;
    const eoc_advice within = advise("relu", 4096, 50), deep = advise("relu", 4096, 51),
                     narrow = advise("relu", 99, 20), wide = advise("relu", 101, 20);
    assert_true(!within.beyond_reach && deep.beyond_reach && narrow.beyond_reach && !wide.beyond_reach);
    assert_string_equal(recommended(&within), "he_normal");
    assert_string_equal(recommended(&deep), "looks_linear");
    /* Isometric by its own weights: nothing else is compared. */
    const eoc_advice tanh_deep = advise("tanh", 512, 1000);
    assert_true(!tanh_deep.beyond_reach && !row_of(&tanh_deep, "residual") && !row_of(&tanh_deep, "batch_norm"));
}

/* gelu and silu: unstable below q_star = 3.5616 and 14.3202; the point chosen lies above and attracts. */
static void unstable_branch_is_not_advised(void **state)
{
    (void)state;
    const eoc_advice gelu = advise("gelu", 512, 50), silu = advise("silu", 512, 50);
    assert_int_equal(gelu.regime, EOC_ADVICE_UPPER_BRANCH);
    assert_int_equal(silu.regime, EOC_ADVICE_UPPER_BRANCH);
    assert_true(gelu.q_star > 3.561552812809 && gelu.chi_q < 0.99);
    assert_true(silu.q_star > 14.320173618025 && silu.chi_q < 0.99);
    CHECK_NEAR(row_of(&gelu, "critical_orthogonal")->point.q_star, gelu.q_star, 1e-5 * gelu.q_star);
    /* GELU at (2, 0): q goes to 0, where chi_1 = 2 phi'(0)^2 = 1/2. */
    CHECK_NEAR(row_of(&gelu, "he_normal")->point.chi_1, 0.5, 1e-9);
}

static void what_has_no_line_is_told(void **state)
{
    (void)state;
    const eoc_advice sigmoid = advise("sigmoid", 512, 50), softplus = advise("softplus", 512, 50);
    assert_int_equal(sigmoid.regime, EOC_ADVICE_FAR);
    assert_int_equal(softplus.regime, EOC_ADVICE_NONE);
    assert_null(row_of(&sigmoid, "critical_gaussian"));
    assert_null(row_of(&softplus, "critical_orthogonal"));
    /* sigmoid at sigma_w2 = 1: chi_1 = .0557. */
    CHECK_NEAR(row_of(&sigmoid, "gaussian")->point.chi_1, 0.0557, 5e-5);
}

/* SELU at (1, 0): q_star = 1, chi_1 = 1.07157 (Klambauer et al. 2017: unit mean square is kept). */
static void selu_with_lecun(void **state)
{
    (void)state;
    const eoc_advice a = advise("selu", 512, 50);
    const eoc_advice_row *r = row_of(&a, "gaussian");
    CHECK_NEAR(r->point.q_star, 1.0, 1e-8);
    CHECK_NEAR(r->point.chi_1, 1.07157, 5e-6);
    CHECK_NEAR(r->log_forward_scale, 0.0, 1e-7);
    CHECK_NEAR(r->log_gradient_scale, 49.0 * log(r->point.chi_1), 1e-6);
    assert_int_equal(a.regime, EOC_ADVICE_STABLE);
    CHECK_NEAR(row_of(&a, "critical_orthogonal")->point.chi_1, 1.0, 1e-9);
}

static void every_activation_at_the_ends(void **state)
{
    (void)state;
    static const int depths[] = {1, 2, 10000};
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_activation activation = {.kind = eoc_activation_row(row)};
        for (size_t k = 0; k < sizeof depths / sizeof depths[0]; k++) {
            if (eoc_activation_features(&activation) > 1) {
                eoc_advice none;
                assert_int_equal(eoc_advise(&activation, 2, depths[k], &none), EOC_ERR_USAGE);
                continue;
            }
            const eoc_advice a = advise(eoc_activation_row(row)->name, 2, depths[k]);
            assert_in_range(a.recommended, 0, a.num_rows - 1);
            for (int i = 0; i < a.num_rows; i++) {
                eoc_text torch = {0};
                eoc_advice_torch(&a.rows[i], &torch);
                assert_non_null(torch.data);
                assert_true(a.rows[i].in_theory != isnan(a.rows[i].point.chi_1));
                eoc_text_clear(&torch);
            }
        }
    }
}

/* What is recommended is never a row that does not train beside residual layers that do. */
static void residual_layers_where_plain_ones_do_not_train(void **state)
{
    (void)state;
    static const char *const names[] = {"softplus", "gelu", "sigmoid", "silu"};
    for (int i = 0; i < 4; i++) {
        const eoc_advice a = advise(names[i], 100, 500);
        assert_true(a.beyond_reach && a.rows[a.plain].verdict < EOC_VERDICT_TRAINABLE);
        assert_string_equal(recommended(&a), "residual");
        assert_int_equal(a.rows[a.recommended].verdict, EOC_VERDICT_TRAINABLE);
    }
    const eoc_advice tanh = advise("tanh", 100, 500);
    assert_true(!tanh.beyond_reach && tanh.recommended == tanh.plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_keeps_lengths_alone),
        cmocka_unit_test(growth_is_no_chaos),
        cmocka_unit_test(nearly_linear_wants_orthogonal),
        cmocka_unit_test(relu_is_advised_he),
        cmocka_unit_test(torch_default_has_its_biases),
        cmocka_unit_test(effective_variances),
        cmocka_unit_test(weights_with_a_mean_are_outside),
        cmocka_unit_test(weights_with_a_mean_as_drawn),
        cmocka_unit_test(what_is_not_zero_at_zero_never_vanishes),
        cmocka_unit_test(narrow_networks_are_told),
        cmocka_unit_test(tanh_is_advised_isometry),
        cmocka_unit_test(isometry_is_never_promised_beyond_1),
        cmocka_unit_test(linear_is_an_isometry),
        cmocka_unit_test(leaky_relu_has_its_own_scale),
        cmocka_unit_test(relu_beyond_its_reach),
        cmocka_unit_test(reach_of_relu),
        cmocka_unit_test(unstable_branch_is_not_advised),
        cmocka_unit_test(what_has_no_line_is_told),
        cmocka_unit_test(selu_with_lecun),
        cmocka_unit_test(every_activation_at_the_ends),
        cmocka_unit_test(residual_layers_where_plain_ones_do_not_train),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
