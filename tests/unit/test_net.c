/* SPDX-License-Identifier: BSD-3-Clause */
/* Trained networks at float64: derivatives against central differences, deep linear learning against Saxe's solution.
 */
#define EOC_REAL_DOUBLE
#include "check.h"

#include "eoc/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 5, OUTPUTS = 4, WIDTH = 7, DEPTH = 3, SAMPLES = 6 };

static eoc_network network_of(const char *activation, const char *initializer, int depth, int width)
{
    eoc_network network = {.depth = depth, .width = width, .weight_variance = 1.3, .bias_variance = 0.2};
    assert_int_equal(eoc_architecture_find("fully_connected", &network.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &network.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &network.initializer), EOC_OK);
    network.key = eoc_rng_key("test_net");
    return network;
}

static eoc_net *net_of(const eoc_network *network, const eoc_net_limits *limits)
{
    eoc_net *net = NULL;
    eoc_weights *weights = NULL;
    int fan = limits->features > limits->max_width ? limits->features : limits->max_width;
    fan = limits->outputs > fan ? limits->outputs : fan;
    assert_int_equal(eoc_weights_create(fan, 1, &weights), EOC_OK);
    assert_int_equal(eoc_net_f64_create(limits, &net), EOC_OK);
    assert_int_equal(eoc_net_f64_draw(net, network, 0.8, weights), EOC_OK);
    eoc_weights_destroy(&weights);
    return net;
}

static const eoc_net_limits small = {.max_depth = DEPTH,
                                     .max_width = WIDTH,
                                     .features = FEATURES,
                                     .outputs = OUTPUTS,
                                     .batch = SAMPLES,
                                     .num_states = 2,
                                     .whole_gradient = true};

typedef struct {
    double x[SAMPLES * FEATURES];
    int32_t labels[SAMPLES];
    float targets[SAMPLES * OUTPUTS];
} samples;

static samples draw_samples(void)
{
    samples s;
    double normals[SAMPLES * OUTPUTS];
    const eoc_stream x = {eoc_rng_key("samples"), 0, 0, 0}, t = {eoc_rng_key("targets"), 0, 0, 0};
    eoc_rng_normals(&x, s.x, SAMPLES * FEATURES);
    eoc_rng_normals(&t, normals, SAMPLES * OUTPUTS);
    for (int i = 0; i < SAMPLES * OUTPUTS; i++) {
        s.targets[i] = (float)normals[i];
    }
    for (int i = 0; i < SAMPLES; i++) {
        s.labels[i] = (i * 3 + 1) % OUTPUTS;
    }
    return s;
}

static double loss_of(eoc_net *net, const eoc_loss_kind *loss, const samples *s, bool labelled)
{
    assert_true(eoc_net_f64_forward(net, s->x, SAMPLES, NULL));
    return eoc_net_f64_loss(net, loss, labelled ? s->labels : NULL, s->targets, SAMPLES, 1.0 / SAMPLES, NULL) / SAMPLES;
}

/* Every derivative of every loss through every activation: (E(w + d) - E(w - d))/(2 d), error O(d^2) + rounding/d. */
static void derivatives_are_differences(void **state)
{
    (void)state;
    const samples s = draw_samples();
    for (int a = 0; a < eoc_activation_count(); a++) {
        const eoc_network network =
            network_of(eoc_activation_row(a)->name, a % 2 ? "orthogonal" : "gaussian", DEPTH, WIDTH);
        if (eoc_activation_features(&network.activation) > 1) {
            continue; /* not trained: config says so */
        }
        for (int row = 0; row < 2 * eoc_loss_count(); row++) {
            const eoc_loss_kind *loss = eoc_loss_row(row / 2);
            const bool labelled = row % 2 == 0 || strcmp(loss->name, "cross_entropy") == 0;
            eoc_net *net = net_of(&network, &small);
            loss_of(net, loss, &s, labelled);
            assert_true(eoc_net_f64_backward(net, s.x, SAMPLES, NULL, NULL));
            double greatest = 0.0, worst = 0.0;
            for (size_t i = 0; i < net->num_parameters; i++) {
                const double d = 1e-5, w = net->parameters[i];
                net->parameters[i] = w + d;
                const double up = loss_of(net, loss, &s, labelled);
                net->parameters[i] = w - d;
                const double down = loss_of(net, loss, &s, labelled);
                net->parameters[i] = w;
                worst = fmax(worst, fabs((up - down) / (2.0 * d) - net->gradient[i]));
                greatest = fmax(greatest, fabs(net->gradient[i]));
            }
            if (!(worst <= 1e-6 * greatest) || greatest == 0.0) {
                fail_msg("%s, %s: off by %g of %g", eoc_activation_row(a)->name, loss->name, worst, greatest);
            }
            eoc_net_f64_destroy(&net);
        }
    }
}

/* Initial weights are those of the explicit sampler: W applied to unit vectors. */
static void draws_what_probes_draw(void **state)
{
    (void)state;
    static const char *const initializers[] = {"gaussian", "orthogonal", "he_uniform", "small_uniform"};
    enum { N = 150 };
    const eoc_net_limits limits = {
        .max_depth = 2, .max_width = N, .features = 40, .outputs = OUTPUTS, .batch = 1, .num_states = 0};
    for (int k = 0; k < 4; k++) {
        const eoc_network network = network_of("tanh", initializers[k], 2, N);
        eoc_net *net = net_of(&network, &limits);
        eoc_weights *weights = NULL;
        assert_int_equal(eoc_weights_create(N, 1, &weights), EOC_OK);
        double *const column = malloc(sizeof(double) * N), unit[N];
        for (int l = 1; l <= 2; l++) {
            const int fan_in = l == 1 ? 40 : N;
            const eoc_matrix matrix = {.initializer = network.initializer,
                                       .weight_variance = network.weight_variance,
                                       .key = network.key,
                                       .layer = (uint32_t)l,
                                       .tensor = EOC_TENSOR_WEIGHT,
                                       .fan_out = N,
                                       .fan_in = fan_in};
            for (int j = 0; j < fan_in; j++) {
                memset(unit, 0, sizeof unit);
                unit[j] = 1.0;
                eoc_sampler_find("explicit")->apply(weights, &matrix, unit, column, 1, NULL);
                for (int i = 0; i < N; i++) {
                    CHECK_NEAR(net->parameters[net->layers[l - 1].offset + (size_t)(i * fan_in + j)], column[i], 1e-14);
                }
            }
        }
        free(column);
        eoc_weights_destroy(&weights);
        eoc_net_f64_destroy(&net);
    }
}

/* Three steps of every optimizer on one parameter of known gradients, by hand from the formulas of its paper. */
static void optimizers_step_as_written(void **state)
{
    (void)state;
    const double g[3] = {0.5, -0.25, 1.0}, a = 0.1;
    double w[4] = {1.0, 1.0, 1.0, 1.0}, v = 0.0, s = 0.0, m = 0.0, u = 0.0;
    for (int t = 1; t <= 3; t++) {
        const double gradient = g[t - 1];
        w[0] -= a * gradient;
        v = 0.9 * v + gradient;
        w[1] -= a * v;
        s = 0.99 * s + 0.01 * gradient * gradient;
        w[2] -= a * gradient / (sqrt(s) + 1e-8);
        m = 0.9 * m + 0.1 * gradient;
        u = 0.999 * u + 0.001 * gradient * gradient;
        w[3] -= a * (m / (1.0 - pow(0.9, t))) / (sqrt(u / (1.0 - pow(0.999, t))) + 1e-8);
    }
    static const char *const names[] = {"sgd", "momentum", "rmsprop", "adam"};
    extern const eoc_net_loops eoc_net_loops_double_generic;
    assert_int_equal(eoc_optimizer_count(), 4);
    for (int k = 0; k < 4; k++) {
        eoc_optimizer optimizer;
        assert_int_equal(eoc_optimizer_find(names[k], &optimizer), EOC_OK);
        double parameter = 1.0, one[1] = {0.0}, two[1] = {0.0};
        double *const states[EOC_OPTIMIZER_STATES] = {one, two};
        for (int t = 1; t <= 3; t++) {
            const double twice = 2.0 * g[t - 1]; /* and a scale of one half, as clipping gives */
            eoc_net_loops_double_generic.optimizers[optimizer.row].update(optimizer.parameters, a, t, 0.5, &twice,
                                                                          &parameter, states, 1);
        }
        CHECK_NEAR(parameter, w[k], 1e-14);
    }
}

/* Clipping: the step is that of the gradient scaled to the norm. */
static void clipping_scales_the_whole_gradient(void **state)
{
    (void)state;
    const samples s = draw_samples();
    const eoc_network network = network_of("tanh", "gaussian", DEPTH, WIDTH);
    eoc_net *net = net_of(&network, &small);
    const eoc_loss_kind *loss = eoc_loss_row(0);
    loss_of(net, loss, &s, true);
    assert_true(eoc_net_f64_backward(net, s.x, SAMPLES, NULL, NULL));
    const size_t n = net->num_parameters;
    double *const before = malloc(sizeof(double) * n), *const gradient = malloc(sizeof(double) * n), norm2 = 0.0;
    memcpy(before, net->parameters, sizeof(double) * n);
    memcpy(gradient, net->gradient, sizeof(double) * n);
    for (size_t i = 0; i < n; i++) {
        norm2 += gradient[i] * gradient[i];
    }
    eoc_optimizer sgd;
    assert_int_equal(eoc_optimizer_find("sgd", &sgd), EOC_OK);
    const eoc_net_step step = {.optimizer = &sgd, .learning_rate = 0.1, .step = 1, .clip = 0.25 * sqrt(norm2)};
    loss_of(net, loss, &s, true);
    assert_true(eoc_net_f64_backward(net, s.x, SAMPLES, &step, NULL));
    for (size_t i = 0; i < n; i++) {
        CHECK_NEAR(net->parameters[i], before[i] - 0.1 * 0.25 * gradient[i], 1e-13);
    }
    free(before);
    free(gradient);
    eoc_net_f64_destroy(&net);
}

/*
 * Saxe, McClelland & Ganguli 2014, eq. 12-13: two weight matrices, balanced, whitened inputs, mode of strength s. With
 * loss 1/2 |Y - W2 W1 X|^2 the mode grows as tau du/dt = 2 u (s - u), u(t) = s e^(2st/tau)/(e^(2st/tau) - 1 + s/u_0).
 * Euler steps of size a follow it to O(a). The loss `mse` is 2/(samples outputs) times theirs.
 */
static void deep_linear_modes_follow_saxe(void **state)
{
    (void)state;
    enum { N = 3, STEPS = 2000 };
    const double strength[N] = {3.0, 2.0, 1.0}, u_0 = 1e-3;
    eoc_network network = network_of("linear", "gaussian", 1, N);
    network.bias_variance = 0.0;
    const eoc_net_limits limits = {
        .max_depth = 1, .max_width = N, .features = N, .outputs = N, .batch = N, .whole_gradient = true};
    eoc_net *net = net_of(&network, &limits);
    memset(net->parameters, 0, sizeof(double) * net->num_parameters);
    for (int l = 0; l < 2; l++) {
        for (int i = 0; i < N; i++) {
            net->parameters[net->layers[l].offset + (size_t)(i * N + i)] = sqrt(u_0);
        }
    }
    double x[N * N] = {0.0}; /* one sample a mode: X X^t = I */
    float targets[N * N] = {0.0F};
    for (int i = 0; i < N; i++) {
        x[i * N + i] = 1.0;
        targets[i * N + i] = (float)strength[i];
    }
    eoc_optimizer sgd;
    assert_int_equal(eoc_optimizer_find("sgd", &sgd), EOC_OK);
    const double dt = 1e-3; /* of t/tau */
    for (int t = 1; t <= STEPS; t++) {
        assert_true(eoc_net_f64_forward(net, x, N, NULL));
        eoc_net_f64_loss(net, eoc_loss_row(1), NULL, targets, N, 0.5 * N, NULL); /* their 1/2 sum of squares */
        /* biases stay out, as in the paper */
        const eoc_net_step step = {.optimizer = &sgd, .learning_rate = dt, .step = t};
        assert_true(eoc_net_f64_backward(net, x, N, &step, NULL));
        for (int l = 0; l < 2; l++) {
            memset(net->parameters + net->layers[l].offset + N * N, 0, sizeof(double) * N);
        }
        for (int i = 0; i < N && t % 250 == 0; i++) {
            const double s = strength[i], growth = exp(2.0 * s * dt * t);
            const double exact = s * growth / (growth - 1.0 + s / u_0);
            const double u = net->parameters[net->layers[0].offset + (size_t)(i * N + i)] *
                             net->parameters[net->layers[1].offset + (size_t)(i * N + i)];
            /* Euler's method lags by a time of at most s dt (ln u/u_0 + 1) or so: relative error 2 s dt that. */
            CHECK_NEAR(u / exact, 1.0, 0.05);
        }
    }
    eoc_net_f64_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivatives_are_differences),   cmocka_unit_test(draws_what_probes_draw),
        cmocka_unit_test(optimizers_step_as_written),    cmocka_unit_test(clipping_scales_the_whole_gradient),
        cmocka_unit_test(deep_linear_modes_follow_saxe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
