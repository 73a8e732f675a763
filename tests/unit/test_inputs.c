/* SPDX-License-Identifier: BSD-3-Clause */
/* Images as inputs: their inner products in any width, the pairs that theory is given, and what is refused. */
#include "check.h"

#include "eoc/linalg.h"
#include "eoc/record.h"
#include "eoc/sweep.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FEATURES = 40, MAX_COUNT = 12, MAX_WIDTH = 90 };

static const eoc_input_kind *kind_of(const char *name)
{
    const eoc_input_kind *found = NULL;
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        found = strcmp(eoc_input_kind_row(row)->name, name) == 0 ? eoc_input_kind_row(row) : found;
    }
    assert_non_null(found);
    return found;
}

static eoc_inputs inputs_of(int points, bool as_preprocessed)
{
    eoc_inputs inputs = {.kind = kind_of("dataset"),
                         .variance = 1.0,
                         .as_preprocessed = as_preprocessed,
                         .points = points,
                         .preprocessing = eoc_preprocessing_row(0)};
    assert_int_equal(eoc_data_source_parse("noise", &inputs.dataset), EOC_OK);
    return inputs;
}

/* Noise; sample i is (i + 1)^2/3 times as long as the first. */
static eoc_data noise(int features, int count)
{
    eoc_data data = {.features = features, .outputs = 1, .train_count = count, .test_count = 1};
    assert_int_equal(eoc_data_allocate(&data, true), EOC_OK);
    eoc_rng_normals_float(&(eoc_stream){.key = {{7, 8}}}, data.train_x, (size_t)features * (size_t)count);
    for (int i = 0; i < features * count; i++) {
        const int a = i / features;
        data.train_x[i] *= (float)((a + 1) * (a + 1)) / 3.0f;
    }
    return data;
}

/* image_a.image_b/features, in long double */
static double gram(const eoc_data *data, int a, int b)
{
    long double sum = 0.0L;
    const float *x = data->train_x + (size_t)a * (size_t)data->features;
    const float *y = data->train_x + (size_t)b * (size_t)data->features;
    for (int i = 0; i < data->features; i++) {
        sum += (long double)x[i] * (long double)y[i];
    }
    return (double)(sum / data->features);
}

/* Inner products in `width` dimensions against those of the images; 2e-14: sums of 90 products, two projections. */
static void check_gram(const eoc_data *data, int count, int width, uint32_t word)
{
    double x[MAX_COUNT * MAX_WIDTH];
    const double variances[] = {0.0, 1.0, 0.3}; /* 0: as preprocessed */
    for (int i = 0; i < 3; i++) {
        eoc_inputs inputs = inputs_of(count, i == 0);
        inputs.variance = variances[i];
        eoc_images *images = NULL;
        assert_int_equal(eoc_images_create(&inputs, data, &images), EOC_OK);
        inputs.images = images;
        const eoc_probe probe = {.inputs = inputs};
        double variance = NAN;
        assert_int_equal(eoc_study_input_variance(&probe, NULL, &variance), EOC_OK);
        inputs.kind->fill(&inputs, (eoc_key){{word, 2}}, width, variance, x);
        for (int a = 0; a < count; a++) {
            for (int b = 0; b < count; b++) {
                const double length = sqrt(gram(data, a, a) * gram(data, b, b));
                const double wanted = i == 0 ? gram(data, a, b) : variances[i] * gram(data, a, b) / length;
                const double got = eoc_linalg_dot(x + a * width, x + b * width, (size_t)width) / width;
                CHECK_NEAR(got, wanted, 2e-14 * (i == 0 ? length : variances[i]));
            }
        }
        eoc_images_destroy(&images);
    }
}

static void inner_products(void **state)
{
    (void)state;
    static const int features[] = {1, 3, 12, MAX_FEATURES}, counts[] = {2, 5, MAX_COUNT};
    for (int f = 0; f < 4; f++) {
        for (int k = 0; k < 3; k++) {
            eoc_data data = noise(features[f], counts[k]);
            const int least = features[f] < counts[k] ? features[f] : counts[k];
            for (int width = least; width <= MAX_WIDTH; width = width < 2 * features[f] ? width + 1 : width + 17) {
                check_gram(&data, counts[k], width, (uint32_t)width);
            }
            eoc_data_clear(&data);
        }
    }
}

/* Equal images, images that differ in one digit, opposite ones, and lengths near the ends of float32. */
static void hard_images(void **state)
{
    (void)state;
    enum { COUNT = 8, FEATURES = 30 };
    eoc_data data = noise(FEATURES, COUNT);
    float *const x = data.train_x;
    memcpy(x + FEATURES, x, sizeof(float) * FEATURES);
    memcpy(x + 2 * FEATURES, x, sizeof(float) * FEATURES);
    x[2 * FEATURES + 3] = nextafterf(x[2 * FEATURES + 3], 1e9f);
    for (int i = 0; i < FEATURES; i++) {
        x[3 * FEATURES + i] = -x[i];
        x[4 * FEATURES + i] = 1e-37f * x[4 * FEATURES + i];
        x[5 * FEATURES + i] = 1e36f * x[5 * FEATURES + i];
        x[6 * FEATURES + i] = x[i] + 1e-6f * x[6 * FEATURES + i];
    }
    for (int width = COUNT; width <= 2 * FEATURES; width += 11) {
        check_gram(&data, COUNT, width, 1);
    }
    /* Cosine 1 of equal ones exactly: in the chaotic phase the least difference grows. */
    eoc_inputs inputs = inputs_of(COUNT, false);
    eoc_images *images = NULL;
    assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
    inputs.images = images;
    eoc_theory_pair pairs[COUNT * COUNT];
    inputs.kind->pairs(&inputs, pairs);
    assert_true(pairs[0].correlation == 1.0);
    assert_true(pairs[2].correlation >= -1.0 && pairs[2].correlation <= -1.0 + 4.0 * DBL_EPSILON);
    eoc_images_destroy(&images);
    eoc_data_clear(&data);
}

/* Where they have room the images stand as they are, with zeros behind, whatever the network. */
static void padding(void **state)
{
    (void)state;
    enum { FEATURES = 20, COUNT = 3, WIDTH = 33 };
    eoc_data data = noise(FEATURES, COUNT);
    eoc_inputs inputs = inputs_of(COUNT, true);
    eoc_images *images = NULL;
    assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
    inputs.images = images;
    double x[COUNT * WIDTH], again[COUNT * WIDTH];
    inputs.kind->fill(&inputs, (eoc_key){{1, 2}}, WIDTH, images->variance, x);
    inputs.kind->fill(&inputs, (eoc_key){{3, 4}}, WIDTH, images->variance, again);
    assert_memory_equal(x, again, sizeof x);
    for (int a = 0; a < COUNT; a++) {
        for (int i = 0; i < WIDTH; i++) {
            const double wanted = i < FEATURES ? sqrt(33.0 / 20.0) * (double)data.train_x[a * FEATURES + i] : 0.0;
            CHECK_NEAR(x[a * WIDTH + i], wanted, 1e-14 * fabs(wanted));
        }
    }
    eoc_images_destroy(&images);
    eoc_data_clear(&data);
}

/*
 * Where they have not, a uniformly distributed isometry moves them, another one for every network: E[x_a x_b^t] is
 * x_a.x_b/N times the identity, and E of the entry (0, 0) times (1, 1) of vector a is 1/(N (N + 2)), of N = 5: moments
 * of a vector on the sphere. Means of 20,000 draws within five standard errors.
 */
static void isometry_is_uniform(void **state)
{
    (void)state;
    enum { FEATURES = 20, COUNT = 3, WIDTH = 5, DRAWS = 20000 };
    eoc_data data = noise(FEATURES, COUNT);
    eoc_inputs inputs = inputs_of(COUNT, false);
    eoc_images *images = NULL;
    assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
    inputs.images = images;
    double sum[COUNT][COUNT][WIDTH][WIDTH] = {{{{0}}}}, square[COUNT][COUNT][WIDTH][WIDTH] = {{{{0}}}};
    double fourth[COUNT] = {0}, eighth[COUNT] = {0};
    for (uint32_t draw = 0; draw < DRAWS; draw++) {
        double x[COUNT][WIDTH];
        inputs.kind->fill(&inputs, (eoc_key){{draw, 9}}, WIDTH, 1.0, x[0]);
        for (int a = 0; a < COUNT; a++) {
            const double product = x[a][0] * x[a][0] * x[a][1] * x[a][1];
            fourth[a] += product;
            eighth[a] += product * product;
            for (int b = 0; b < COUNT; b++) {
                for (int i = 0; i < WIDTH * WIDTH; i++) {
                    const double value = x[a][i / WIDTH] * x[b][i % WIDTH];
                    sum[a][b][i / WIDTH][i % WIDTH] += value;
                    square[a][b][i / WIDTH][i % WIDTH] += value * value;
                }
            }
        }
    }
    for (int a = 0; a < COUNT; a++) {
        const double mean_4 = fourth[a] / DRAWS, error_4 = sqrt((eighth[a] / DRAWS - mean_4 * mean_4) / DRAWS);
        CHECK_NEAR(mean_4, WIDTH * WIDTH / (WIDTH * (WIDTH + 2.0)), 5.0 * error_4);
        for (int b = 0; b < COUNT; b++) {
            const double c = gram(&data, a, b) / sqrt(gram(&data, a, a) * gram(&data, b, b));
            for (int i = 0; i < WIDTH; i++) {
                for (int j = 0; j < WIDTH; j++) {
                    const double mean = sum[a][b][i][j] / DRAWS;
                    const double error = sqrt((square[a][b][i][j] / DRAWS - mean * mean) / DRAWS);
                    CHECK_NEAR(mean, i == j ? c : 0.0, 5.0 * error);
                }
            }
        }
    }
    eoc_images_destroy(&images);
    eoc_data_clear(&data);
}

/* Every pair once, in order, with its cosine; a variance for every image, or one where they are alike. */
static void pairs_for_theory(void **state)
{
    (void)state;
    enum { COUNT = 9, FEATURES = 14 };
    eoc_data data = noise(FEATURES, COUNT);
    for (int as_preprocessed = 0; as_preprocessed < 2; as_preprocessed++) {
        eoc_inputs inputs = inputs_of(COUNT, as_preprocessed);
        eoc_images *images = NULL;
        assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
        inputs.images = images;
        eoc_theory_pair pairs[COUNT * (COUNT - 1) / 2];
        assert_int_equal(inputs.kind->pairs(&inputs, NULL), COUNT * (COUNT - 1) / 2);
        assert_int_equal(inputs.kind->pairs(&inputs, pairs), COUNT * (COUNT - 1) / 2);
        const eoc_theory_pair *pair = pairs;
        double mean = 0.0;
        for (int a = 0; a < COUNT; a++) {
            mean += gram(&data, a, a) / COUNT;
            for (int b = a + 1; b < COUNT; b++, pair++) {
                assert_int_equal(pair->a, as_preprocessed ? a : 0);
                assert_int_equal(pair->b, as_preprocessed ? b : 0);
                assert_true(pair->count == 2.0);
                CHECK_NEAR(pair->correlation, gram(&data, a, b) / sqrt(gram(&data, a, a) * gram(&data, b, b)), 4e-16);
            }
        }
        CHECK_RELATIVE(images->variance, mean, 1e-14);
        const double *shares = inputs.kind->shares(&inputs);
        assert_int_equal(shares != NULL, as_preprocessed);
        for (int a = 0; a < COUNT && shares; a++) {
            CHECK_RELATIVE(shares[a], gram(&data, a, a) / mean, 1e-14);
        }
        eoc_images_destroy(&images);
    }
    /* What preprocessing makes of unit length is of one length, though float32 rounds every image otherwise. */
    for (int row = 0; row < eoc_preprocessing_count(); row++) {
        eoc_inputs inputs = inputs_of(COUNT, true);
        inputs.preprocessing = eoc_preprocessing_row(row);
        eoc_data other = noise(FEATURES, COUNT);
        eoc_images *images = NULL;
        assert_int_equal(eoc_preprocessing_apply(inputs.preprocessing, &other), EOC_OK);
        assert_int_equal(eoc_images_create(&inputs, &other, &images), EOC_OK);
        const bool unit = strcmp(inputs.preprocessing->name, "unit_variance") == 0 ||
                          strcmp(inputs.preprocessing->name, "centered") == 0;
        assert_int_equal(images->alike, unit);
        assert_true(!unit || images->variance == 1.0);
        for (int a = 0; a < COUNT; a++) {
            assert_true(!unit || fabs(gram(&other, a, a) - 1.0) < 1e-6);
        }
        eoc_images_destroy(&images);
        eoc_data_clear(&other);
    }
    eoc_data_clear(&data);
}

static void check_refused(const char *grid, int points, eoc_data sizes, const char *const words[3])
{
    eoc_text text = {0}, errors = {0};
    eoc_sweep sweep;
    eoc_text_append(&text, "grid: {weight_variance: 1, %s}\nprobe: {inputs: {kind: dataset, points: %d}}\n", grid,
                    points);
    assert_int_equal(eoc_config_read_text("sweep", text.data, &sweep, &errors), EOC_OK);
    const eoc_status status = eoc_images_check(&sweep.probe.inputs, &sweep.grid, &sizes);
    assert_int_equal(status, words ? EOC_ERR_USAGE : EOC_OK);
    for (int i = 0; words && i < 3; i++) {
        if (!strstr(eoc_status_why(), words[i])) {
            fail_msg("'%s' does not say '%s'", eoc_status_why(), words[i]);
        }
    }
    eoc_sweep_clear(&sweep);
    eoc_text_clear(&text);
    eoc_text_clear(&errors);
}

static void refusals(void **state)
{
    (void)state;
    const eoc_data sizes = {.features = 30, .train_count = 50};
    static const char *const samples[] = {"probe.inputs.points", "51", "50"},
                             *const narrow[] = {"grid.width", " 9 ", "at least 10,"},
                             *const few[] = {"grid.width", " 29 ", "at least 30,"},
                             *const matched[] = {"grid.width", "12 stands for 8 units", "at least 10,"};
    check_refused("activation: tanh, width: [100, 10]", 10, sizes, NULL);
    check_refused("activation: tanh, width: 30", 50, sizes, NULL);
    check_refused("activation: tanh, width: 60", 51, sizes, samples);
    check_refused("activation: tanh, width: [100, 9]", 10, sizes, narrow);
    check_refused("activation: tanh, width: [100, 29]", 40, sizes, few);
    check_refused("activation: [tanh, crelu], architecture: fully_connected(match_parameters=yes), width: [100, 12]",
                  10, sizes, matched);
    /* An image without a direction */
    eoc_data data = noise(4, 3);
    memset(data.train_x + 4, 0, sizeof(float) * 4);
    const eoc_inputs inputs = inputs_of(3, true);
    eoc_images *images = NULL;
    assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_ERR_USAGE);
    assert_null(images);
    assert_non_null(
        strstr(eoc_status_why(), "training sample 1 of noise (the first is 0) is all zeros with preprocessing raw"));
    eoc_data_clear(&data);
}

/*
 * Images of 4 x 4 pixels and 2 channels whose values are channel + row/10 + column/100, cut into blocks: what is where
 * follows from the rule, channel by channel, row by row of the block at each position.
 */
static void blocks(void **state)
{
    (void)state;
    enum { SIDE = 4, CHANNELS = 2, PIXELS = SIDE * SIDE, FEATURES = PIXELS * CHANNELS, WIDTH = 11 };
    static const struct {
        const char *spelling;
        int dimensions, side;
    } cuts[] = {{"convolutional(side=2, kernel=1)", 2, 2},
                {"convolutional(side=4)", 2, 4},
                {"convolutional(dimensions=1, side=4)", 1, 4},
                {"convolutional(dimensions=1, side=8)", 1, 8}};
    eoc_data data = {.rows = SIDE,
                     .columns = SIDE,
                     .channels = CHANNELS,
                     .features = FEATURES,
                     .outputs = 1,
                     .train_count = 2,
                     .test_count = 1};
    assert_int_equal(eoc_data_allocate(&data, true), EOC_OK);
    double sum = 0.0;
    for (int i = 0; i < FEATURES; i++) {
        const double value = 1 + i / PIXELS + (i / SIDE % SIDE) / 10.0 + (i % SIDE) / 100.0;
        data.train_x[i] = (float)value;
        data.train_x[FEATURES + i] = (float)(2.0 * value);
        sum += (double)data.train_x[i] * (double)data.train_x[i];
    }
    for (size_t k = 0; k < sizeof cuts / sizeof cuts[0]; k++) {
        eoc_network network = {.depth = 1, .width = WIDTH};
        assert_int_equal(eoc_architecture_find(cuts[k].spelling, &network.architecture), EOC_OK);
        const int positions = eoc_network_positions(&network), block = FEATURES / positions;
        for (int preprocessed = 0; preprocessed < 2; preprocessed++) {
            eoc_inputs inputs = inputs_of(2, preprocessed);
            eoc_images *images = NULL;
            assert_int_equal(eoc_images_create(&inputs, &data, &images), EOC_OK);
            inputs.images = images;
            double x[2 * 16 * WIDTH];
            /* As preprocessed the mean of 1 and 4 times the first image's square. */
            const double variance = preprocessed ? 2.5 * sum / FEATURES : 0.7;
            eoc_inputs_fill(&inputs, &network, variance, x);
            for (int a = 0; a < 2; a++) {
                const double unit = preprocessed ? a + 1.0 : sqrt(0.7 * FEATURES / sum);
                for (int p = 0; p < positions; p++) {
                    for (int i = 0; i < WIDTH; i++) {
                        double wanted = 0.0;
                        if (i < block) {
                            const int s = SIDE / cuts[k].side, length = PIXELS / cuts[k].side;
                            const int channel = cuts[k].dimensions == 2 ? i / (s * s) : i / length;
                            const int pixel = p * length + i % length; /* of one dimension */
                            const int row =
                                cuts[k].dimensions == 2 ? p / cuts[k].side * s + i % (s * s) / s : pixel / SIDE;
                            const int column = cuts[k].dimensions == 2 ? p % cuts[k].side * s + i % s : pixel % SIDE;
                            wanted = (double)(float)(1 + channel + row / 10.0 + column / 100.0) * unit *
                                     sqrt((double)WIDTH / block);
                        }
                        CHECK_NEAR(x[(a * positions + p) * WIDTH + i], wanted, 1e-13);
                    }
                }
            }
            eoc_images_destroy(&images);
        }
    }
    eoc_data_clear(&data);
}

static void refused_blocks(void **state)
{
    (void)state;
    const eoc_data sizes = {.rows = 6, .columns = 6, .channels = 1, .features = 36, .train_count = 50};
    const eoc_data flat = {.rows = 1, .columns = 36, .channels = 1, .features = 36, .train_count = 50};
    static const char *const side[] = {"grid.architecture", "6 x 6 pixels", "divides 6"},
                             *const shape[] = {"grid.architecture", "1 x 36 pixels", "dimensions=1"},
                             *const pieces[] = {"grid.architecture", "into 5 pieces", "divides 36"},
                             *const few[] = {"grid.width", "3 channels", "at least 4,"},
                             *const vectors[] = {"grid.width", " 4 ", "at least 5,"};
    check_refused("activation: tanh, architecture: convolutional(side=3), width: 4", 10, sizes, NULL);
    check_refused("activation: tanh, architecture: \"convolutional(dimensions=1, side=9)\", width: 4", 10, flat, NULL);
    check_refused("activation: tanh, architecture: convolutional(side=4), width: 40", 10, sizes, side);
    check_refused("activation: tanh, architecture: convolutional(side=3), width: 40", 10, flat, shape);
    check_refused("activation: tanh, architecture: \"convolutional(dimensions=1, side=5)\", width: 40", 10, sizes,
                  pieces);
    check_refused("activation: tanh, architecture: convolutional(side=3), width: 3", 10, sizes, few);
    check_refused("activation: tanh, architecture: [convolutional(side=3), fully_connected], width: 4", 5, sizes,
                  vectors);
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_products),   cmocka_unit_test(hard_images),
        cmocka_unit_test(padding),          cmocka_unit_test(isometry_is_uniform),
        cmocka_unit_test(pairs_for_theory), cmocka_unit_test(refusals),
        cmocka_unit_test(blocks),           cmocka_unit_test(refused_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
