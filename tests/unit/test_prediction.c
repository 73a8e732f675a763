/* SPDX-License-Identifier: BSD-3-Clause */
/* Theory as the file has it, of convolutions: images in space, batches of positions, and what is not known. */
#include "check.h"

#include "eoc/record.h"
#include "eoc/text.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = 4, POSITIONS = SIDE * SIDE, CHANNELS = 3, COUNT = 3, FEATURES = POSITIONS * CHANNELS };

static eoc_network network_of(const char *architecture, const char *activation, const char *initializer, int depth)
{
    eoc_network network = {.depth = depth, .width = 64, .weight_variance = 1.2, .bias_variance = 0.1};
    assert_int_equal(eoc_architecture_find(architecture, &network.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &network.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &network.initializer), EOC_OK);
    assert_int_equal(eoc_network_check(&network), EOC_OK);
    return network;
}

static eoc_inputs inputs_of(const char *kind, int points)
{
    eoc_inputs inputs = {
        .correlation = 0.6, .variance = 1.0, .points = points, .preprocessing = eoc_preprocessing_row(0)};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, kind) == 0) {
            inputs.kind = eoc_input_kind_row(row);
        }
    }
    return inputs;
}

/* A point's record with what it lies in. */
typedef struct {
    eoc_layout layout;
    void *block;
    eoc_point_record record;
} theory;

static theory predict(const eoc_probe *probe, const eoc_network *network, const int *layers, int num_layers,
                      int max_depth)
{
    theory t;
    assert_int_equal(eoc_layout_create(probe->statistics, layers, num_layers, 0, &t.layout), EOC_OK);
    eoc_layout_add_space(probe, &t.layout);
    t.block = calloc(1, t.layout.point_bytes);
    assert_non_null(t.block);
    eoc_layout_point(&t.layout, t.block, &t.record);
    eoc_prediction *prediction = NULL;
    assert_int_equal(eoc_prediction_create(probe, network, max_depth, &prediction), EOC_OK);
    assert_int_equal(eoc_prediction_fill(prediction, network, &t.layout, &t.record), EOC_OK);
    eoc_prediction_destroy(&prediction);
    return t;
}

static void forget(theory *t)
{
    free(t->block);
    eoc_layout_clear(&t->layout);
}

static eoc_probe probe_of(const eoc_network *network, eoc_inputs inputs)
{
    return (eoc_probe){.inputs = inputs,
                       .statistics = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN |
                                     EOC_STATISTIC_SPATIAL,
                       .jacobian_probes = 1,
                       .needs = network->architecture.kind->needs(network)};
}

/* Images of 4 x 4 pixels, 3 channels, every pixel a position; image a is brightest around its own corner. */
static eoc_data draw_images(void)
{
    eoc_data data = {.rows = SIDE, .columns = SIDE, .channels = CHANNELS, .features = FEATURES, .outputs = 2};
    data.train_count = COUNT;
    data.test_count = 1;
    assert_int_equal(eoc_data_allocate(&data, true), EOC_OK);
    for (int a = 0; a < COUNT; a++) {
        for (int i = 0; i < FEATURES; i++) {
            const int channel = i / POSITIONS, row = i % POSITIONS / SIDE, column = i % SIDE;
            data.train_x[a * FEATURES + i] = (float)(sin(1.0 + a + 1.3 * channel + 0.7 * row * (1 + a) - 0.4 * column) +
                                                     (row == a && column == a ? 2.0 : 0.0));
        }
    }
    return data;
}

static double pixel(const eoc_data *data, int a, int p, int channel)
{
    return data->train_x[a * FEATURES + channel * POSITIONS + p];
}

/* S_ab(p, p') of the first pre-activations: sums over taps of products of pixels, a kernel of 3 x 3 on a torus. */
static double first_covariance(const eoc_data *data, const double *scale, int a, int p, int b, int q)
{
    double sum = 0.0;
    for (int t = 0; t < 9; t++) {
        const int dr = t / 3 - 1 + SIDE, dc = t % 3 - 1 + SIDE;
        const int at_p = (p / SIDE + dr) % SIDE * SIDE + (p + dc) % SIDE;
        const int at_q = (q / SIDE + dr) % SIDE * SIDE + (q + dc) % SIDE;
        for (int channel = 0; channel < CHANNELS; channel++) {
            sum += pixel(data, a, at_p, channel) * pixel(data, b, at_q, channel) / CHANNELS / 9.0;
        }
    }
    return 1.2 * scale[a] * scale[b] * sum + 0.1;
}

/* Factors to a mean square of 1, the probe's variance. */
static void find_scales(const eoc_data *data, double *scale)
{
    for (int a = 0; a < COUNT; a++) {
        double sum = 0.0;
        for (int i = 0; i < FEATURES; i++) {
            sum += (double)data->train_x[a * FEATURES + i] * data->train_x[a * FEATURES + i];
        }
        scale[a] = 1.0 / sqrt(sum / FEATURES);
    }
}

/* The first layer from the pixels themselves; deeper ones are of test_spatial_theory.c and of the tests end to end. */
static void images_in_space(void **state)
{
    (void)state;
    const eoc_network network = network_of("convolutional(side=4)", "tanh", "gaussian", 3);
    eoc_inputs inputs = inputs_of("dataset", COUNT);
    eoc_data data = draw_images();
    eoc_images *images = NULL;
    assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
    inputs.images = images;
    const eoc_probe probe = probe_of(&network, inputs);
    const int layers[] = {1, 2, 3, 4};
    theory t = predict(&probe, &network, layers, 4, 4);
    double scale[COUNT], q[POSITIONS] = {0.0}, total = 0.0, same[2] = {0.0}, cross = 0.0;
    find_scales(&data, scale);
    for (int p = 0; p < POSITIONS; p++) {
        for (int a = 0; a < COUNT; a++) {
            q[p] += first_covariance(&data, scale, a, p, a, p) / COUNT;
        }
        total += q[p] / POSITIONS;
        const double q_0 = first_covariance(&data, scale, 0, p, 0, p), q_1 = first_covariance(&data, scale, 1, p, 1, p);
        const double s = first_covariance(&data, scale, 0, p, 1, p);
        CHECK_NEAR(t.record.position_c[p], s / sqrt(q_0 * q_1), 1e-13);
        same[0] += q_0;
        same[1] += q_1;
        cross += s;
    }
    CHECK_NEAR(t.record.log_q[0], log(total), 1e-13);
    CHECK_NEAR(t.record.c[0], cross / sqrt(same[0] * same[1]), 1e-13);
    for (int d = 0; d < POSITIONS; d++) {
        double sum = 0.0;
        for (int a = 0; a < COUNT; a++) {
            for (int p = 0; p < POSITIONS; p++) {
                const int to = (p / SIDE + d / SIDE) % SIDE * SIDE + (p + d) % SIDE;
                sum += first_covariance(&data, scale, a, p, a, to) / (COUNT * POSITIONS);
            }
        }
        CHECK_NEAR(t.record.position_q[d], q[d] / total, 1e-13);
        CHECK_NEAR(t.record.spatial_correlation[d], sum / total, 1e-13);
        assert_true(isnan(t.record.position_q[3 * POSITIONS + d])); /* above the depth */
    }
    /* Limits are those of the point, whatever the images. */
    eoc_mean_field point;
    assert_int_equal(
        eoc_mean_field_find(&network.activation, eoc_text_round(eoc_network_effective(&network)), 0.1, 1.3, &point),
        EOC_OK);
    CHECK_RELATIVE(*t.record.q_star, point.q_star, 1e-12);
    forget(&t);
    eoc_images_destroy(&images);
    eoc_data_clear(&data);
}

/* Equal images stay equal, to the bit: in the chaotic phase the least difference grows. Dark blocks have no cosine. */
static void equal_images(void **state)
{
    (void)state;
    eoc_network network = network_of("convolutional(side=4, kernel=1)", "tanh", "gaussian", 30);
    network.weight_variance = 3.0;
    network.bias_variance = 0.0;
    eoc_inputs inputs = inputs_of("dataset", COUNT);
    eoc_data data = draw_images();
    memcpy(data.train_x + FEATURES, data.train_x, sizeof(float) * FEATURES);
    for (int i = 0; i < 2 * FEATURES; i++) {
        data.train_x[i] *= i % POSITIONS != 5;
    }
    eoc_images *images = NULL;
    assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
    inputs.images = images;
    const eoc_probe probe = probe_of(&network, inputs);
    const int layers[] = {1, 30};
    theory t = predict(&probe, &network, layers, 2, 30);
    for (int k = 0; k < 2; k++) {
        assert_true(t.record.one_minus_c[k] == 0.0);
        CHECK_NEAR(t.record.gradient_c[k], 1.0, 1e-14);
        for (int p = 0; p < POSITIONS; p++) {
            const double c = t.record.position_c[k * POSITIONS + p];
            assert_true(p == 5 ? isnan(c) : c == 1.0);
        }
    }
    forget(&t);
    eoc_images_destroy(&images);
    eoc_data_clear(&data);
}

/* Curves of so many layers that they would fill the memory: limits and modes alone, and the flag. */
static void out_of_reach(void **state)
{
    (void)state;
    const eoc_network network = network_of("convolutional(side=4)", "tanh", "gaussian", 400000);
    eoc_inputs inputs = inputs_of("dataset", COUNT);
    eoc_data data = draw_images();
    eoc_images *images = NULL;
    assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
    inputs.images = images;
    const eoc_probe probe = probe_of(&network, inputs);
    const int layers[] = {1, 400000};
    theory t = predict(&probe, &network, layers, 2, 400000);
    assert_true(*t.record.theory_status & EOC_THEORY_PARTIAL);
    assert_false(*t.record.theory_status & EOC_THEORY_OUTSIDE_THEORY);
    assert_true(*t.record.q_star > 0.0 && t.record.xi_c_mode[1] > 0.0);
    assert_true(isnan(t.record.log_q[0]) && isnan(*t.record.log_jacobian_m1) && isnan(t.record.position_q[0]));
    forget(&t);
    eoc_images_destroy(&images);
    eoc_data_clear(&data);
}

/* To a batch's normalization 3 inputs of 4 positions are 12 inputs. */
static void batches_of_positions(void **state)
{
    (void)state;
    const eoc_network ring =
        network_of("convolutional(dimensions=1, side=4, normalization=batch)", "relu", "gaussian", 5);
    const eoc_network plain = network_of("fully_connected(normalization=batch)", "relu", "gaussian", 5);
    const eoc_probe over_space = probe_of(&ring, inputs_of("gaussian", 3)),
                    of_vectors = probe_of(&plain, inputs_of("gaussian", 12));
    const int layers[] = {1, 2, 3, 4, 5};
    theory s = predict(&over_space, &ring, layers, 5, 5), v = predict(&of_vectors, &plain, layers, 5, 5);
    for (int l = 0; l < 5; l++) {
        assert_true(s.record.log_q[l] == v.record.log_q[l] && s.record.c[l] == v.record.c[l]);
        assert_true(s.record.log_gradient_q[l] == v.record.log_gradient_q[l]);
        assert_true(s.record.log_weight_gradient_q[l] == v.record.log_weight_gradient_q[l]);
        CHECK_NEAR(s.record.spatial_correlation[4 * l + 1], s.record.c[l], 1e-15);
    }
    CHECK_NEAR(*s.record.chi_1, *v.record.chi_1, 0.0);
    assert_true(isnan(s.record.xi_q_mode[0])); /* a mean over all positions is no perturbation of one */
    CHECK_NEAR(s.record.averaging_eigenvalue[2], -1.0 / 3.0, 1e-15);
    forget(&s);
    forget(&v);
}

/* What passes beside the weights has no chi lambda_k; with edges residual blocks are outside theory. */
static void blocks(void **state)
{
    (void)state;
    const int layers[] = {1, 2};
    const eoc_network residual = network_of("convolutional(side=4, form=pre_activation)", "tanh", "gaussian", 2);
    const eoc_probe probe = probe_of(&residual, inputs_of("pair", 2));
    theory t = predict(&probe, &residual, layers, 2, 2);
    assert_true(*t.record.theory_status & EOC_THEORY_PARTIAL);
    assert_true(isnan(t.record.xi_c_mode[1]) && t.record.averaging_eigenvalue[0] == 1.0);
    assert_true(t.record.position_q[5] == 1.0 && t.record.position_c[5] == t.record.c[0]);
    forget(&t);
    const eoc_network edges = network_of("convolutional(side=4, form=full, padding=zero)", "tanh", "gaussian", 2);
    t = predict(&probe, &edges, layers, 2, 2);
    assert_int_equal(*t.record.theory_status, EOC_THEORY_OUTSIDE_THEORY);
    forget(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_in_space),      cmocka_unit_test(equal_images), cmocka_unit_test(out_of_reach),
        cmocka_unit_test(batches_of_positions), cmocka_unit_test(blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
