/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include "eoc/data.h"
#include "eoc/rng.h"

#include <stdlib.h>
#include <string.h>

static eoc_data_source source_of(const char *text)
{
    eoc_data_source source;
    if (eoc_data_source_parse(text, &source) != EOC_OK) {
        fail_msg("%s: %s", text, eoc_status_why());
    }
    return source;
}

static eoc_data drawn(const char *text, uint64_t seed)
{
    const eoc_data_source source = source_of(text);
    eoc_data data;
    assert_non_null(source.kind);
    assert_int_equal(eoc_data_draw(&source, seed, &data), EOC_OK);
    return data;
}

/* -- what a text names -- */

static void spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *spelled; /* of an HDF5 set the name itself */
        bool synthetic;
    } cases[] = {
        {"gaussian_classes", "gaussian_classes", true},
        {" gaussian_classes ( features = 50, classes=10 ) ", "gaussian_classes(features=50)", true},
        {"linear_teacher(spectrum=linear, rank=3)", "linear_teacher(rank=3, spectrum=linear)", true},
        {"linear_teacher(spectrum=geometric)", "linear_teacher", true},
        {" mnist10k ", "mnist10k", false},
        {"/data/some (1)/images.h5", "/data/some (1)/images.h5", false},
        {"./gaussian_classes", "./gaussian_classes", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const eoc_data_source source = source_of(cases[i].text);
        assert_string_equal(source.text, cases[i].spelled);
        assert_int_equal(source.kind != NULL, cases[i].synthetic);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"  ", "empty"},
        {"gausian_classes(features=5)", "did you mean 'gaussian_classes'"},
        {"gaussian_classes(features=5)", "10 classes need as many features"},
        {"gaussian_classes(features=20.5)", "features must be a whole number from 2"},
        {"gaussian_classes(feature=20)", "has no parameter 'feature'"},
        {"gaussian_classes(train=0)", "train must be a whole number from 1"},
        {"linear_teacher(rank=11)", "cannot have rank 11; accepted: up to 10"},
        {"linear_teacher(train=31)", "31 training samples of 32 features cannot be white"},
        {"linear_teacher(smallest=3)", "smallest=3 is greater than largest=2"},
        {"linear_teacher(smallest=0)", "smallest must be a number from 1e-06"},
        {"linear_teacher(spectrum=flat)", "'flat' is none of geometric, linear"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_data_source source;
        assert_int_not_equal(eoc_data_source_parse(cases[i].text, &source), EOC_OK);
        if (!strstr(eoc_status_why(), cases[i].says)) {
            fail_msg("'%s': %s", cases[i].text, eoc_status_why());
        }
    }
    char longest[EOC_MAX_SOURCE_BYTES + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    eoc_data_source source;
    assert_int_equal(eoc_data_source_parse(longest, &source), EOC_ERR_USAGE);
    assert_int_equal(eoc_data_source_parse(longest + 1, &source), EOC_OK);
}

/* -- gaussian_classes -- */

static void normals(const char *key, uint32_t tensor, int column, double *z, size_t n)
{
    const eoc_stream stream = {eoc_rng_key(key), 0, tensor, (uint32_t)column};
    eoc_rng_normals(&stream, z, n);
}

/* Samples less their noise, which is drawn here again as data.h says, are the means: at equal distances, whatever the
 * set they are taken from. */
static void classes_have_their_means(void **state)
{
    (void)state;
    enum { K = 4, N = 9, TRAIN = 23, TEST = 10 };
    eoc_data data = drawn("gaussian_classes(classes=4, features=9, separation=3, train=23, test=10)", 5);
    assert_int_equal(data.features, N);
    assert_int_equal(data.rows * data.columns * data.channels, N);
    assert_int_equal(data.outputs, K);
    assert_int_equal(data.train_count, TRAIN);
    assert_int_equal(data.test_count, TEST);
    assert_null(data.train_y);
    double means[K][N];
    for (int i = 0; i < TRAIN + TEST; i++) {
        const bool is_test = i >= TRAIN;
        const int s = is_test ? i - TRAIN : i;
        const float *const x = (is_test ? data.test_x : data.train_x) + s * N;
        double z[N];
        normals("seed=5 dataset=gaussian_classes", is_test ? EOC_TENSOR_DATA_TEST : EOC_TENSOR_DATA_TRAIN, s, z, N);
        assert_int_equal((is_test ? data.test_label : data.train_label)[s], s % K);
        for (int j = 0; j < N; j++) {
            if (i < K) {
                means[i][j] = x[j] - z[j];
            }
            CHECK_NEAR(x[j] - z[j], means[s % K][j], 2e-6); /* float32 of values up to 8 */
        }
    }
    for (int a = 0; a < K; a++) {
        for (int b = 0; b < a; b++) {
            double square = 0.0;
            for (int j = 0; j < N; j++) {
                square += (means[a][j] - means[b][j]) * (means[a][j] - means[b][j]);
            }
            CHECK_NEAR(sqrt(square), 3.0, 1e-5);
        }
    }
    eoc_data_clear(&data);
    assert_null(data.train_x);
}

/*
 * The classifier of the nearest mean reaches the best accuracy, E[Phi(z + s/sqrt(2))^(K-1)]: 0.9592682 at K = 10, s = 5
 * and 0.7452036 at K = 3, s = 2 (scipy.integrate.quad). Means are samples less their noise; within 4
 * standard errors of 20000 samples, two comparisons, fixed seed.
 */
static double accuracy(const char *text, uint64_t seed)
{
    eoc_data data = drawn(text, seed);
    const int n = data.features, classes = data.outputs;
    double *const means = calloc((size_t)(classes * n + n), sizeof *means), *const z = means + classes * n;
    for (int k = 0; k < classes; k++) {
        char key[64];
        snprintf(key, sizeof key, "seed=%d dataset=gaussian_classes", (int)seed);
        normals(key, EOC_TENSOR_DATA_TRAIN, k, z, (size_t)n);
        for (int j = 0; j < n; j++) {
            means[k * n + j] = data.train_x[k * n + j] - z[j];
        }
    }
    int right = 0;
    for (int i = 0; i < data.test_count; i++) {
        int best = 0;
        double nearest = INFINITY;
        for (int k = 0; k < classes; k++) {
            double square = 0.0;
            for (int j = 0; j < n; j++) {
                const double off = data.test_x[i * n + j] - means[k * n + j];
                square += off * off;
            }
            best = square < nearest ? k : best;
            nearest = fmin(nearest, square);
        }
        right += best == data.test_label[i];
    }
    const double share = (double)right / data.test_count;
    free(means);
    eoc_data_clear(&data);
    return share;
}

static void classes_are_as_hard_as_said(void **state)
{
    (void)state;
    CHECK_NEAR(accuracy("gaussian_classes(features=12, train=10, test=20000)", 1), 0.9592682, 4 * 0.0014);
    CHECK_NEAR(accuracy("gaussian_classes(classes=3, features=3, separation=2, train=3, test=20000)", 2), 0.7452036,
               4 * 0.0031);
}

static void seeds_and_sizes(void **state)
{
    (void)state;
    eoc_data a = drawn("gaussian_classes(features=20, train=30)", 1);
    eoc_data again = drawn("gaussian_classes(features=20, train=30)", 1);
    eoc_data longer = drawn("gaussian_classes(features=20, train=50)", 1);
    eoc_data other = drawn("gaussian_classes(features=20, train=30)", 2);
    const size_t bytes = sizeof(float) * 30 * 20;
    assert_memory_equal(a.train_x, again.train_x, bytes);
    assert_memory_equal(a.train_x, longer.train_x, bytes);
    assert_memory_not_equal(a.train_x, other.train_x, bytes);
    assert_memory_not_equal(a.train_x, a.test_x, bytes);
    eoc_data_clear(&a);
    eoc_data_clear(&again);
    eoc_data_clear(&longer);
    eoc_data_clear(&other);
}

/* -- linear_teacher -- */

static void teacher_values(void **state)
{
    (void)state;
    const eoc_data_source g = source_of("linear_teacher(rank=3, largest=8, smallest=2)");
    const eoc_data_source l = source_of("linear_teacher(rank=5, largest=9, smallest=1, spectrum=linear)");
    const eoc_data_source one = source_of("linear_teacher(rank=1, largest=8, smallest=2)");
    const eoc_data_source full = source_of("linear_teacher(features=6, outputs=7)");
    const double geometric[] = {8, 4, 2}, linear[] = {9, 7, 5, 3, 1};
    for (int k = 0; k < 3; k++) {
        CHECK_RELATIVE(eoc_data_teacher_value(g.values, k), geometric[k], 1e-15);
    }
    for (int k = 0; k < 5; k++) {
        CHECK_RELATIVE(eoc_data_teacher_value(l.values, k), linear[k], 1e-15);
    }
    CHECK_RELATIVE(eoc_data_teacher_value(one.values, 0), 8.0, 1e-15);
    assert_int_equal(eoc_data_teacher_rank(full.values), 6);
    assert_int_equal(eoc_data_teacher_rank(g.values), 3);
}

/* A = Y^T X/n (outputs, features), for X^T X/n = I. */
static void correlation(const eoc_data *data, double *a)
{
    for (int o = 0; o < data->outputs; o++) {
        for (int j = 0; j < data->features; j++) {
            double sum = 0.0;
            for (int i = 0; i < data->train_count; i++) {
                sum += (double)data->train_y[i * data->outputs + o] * data->train_x[i * data->features + j];
            }
            a[o * data->features + j] = sum / data->train_count;
        }
    }
}

/* Inputs are white; the power sums of A A^T are those of the squared singular values, which determine them; test
 * targets are A x. Float32 rounding all along: 1e-6 of the largest. */
static void teacher_is_as_asked(void **state)
{
    (void)state;
    enum { N = 7, M = 5 };
    eoc_data data = drawn("linear_teacher(features=7, outputs=5, rank=3, largest=4, smallest=1, train=40, test=6)", 3);
    assert_null(data.train_label);
    assert_int_equal(data.outputs, M);
    for (int a = 0; a < N; a++) {
        for (int b = 0; b < N; b++) {
            double sum = 0.0;
            for (int i = 0; i < 40; i++) {
                sum += (double)data.train_x[i * N + a] * data.train_x[i * N + b];
            }
            CHECK_NEAR(sum / 40, a == b ? 1.0 : 0.0, 1e-6);
        }
    }
    double a[M * N], gram[M][M] = {{0}}, power[M][M], next[M][M];
    correlation(&data, a);
    for (int o = 0; o < M; o++) {
        for (int p = 0; p < M; p++) {
            for (int j = 0; j < N; j++) {
                gram[o][p] += a[o * N + j] * a[p * N + j];
            }
        }
    }
    memcpy(power, gram, sizeof power);
    for (int k = 1; k <= M; k++) {
        double trace = 0.0;
        for (int o = 0; o < M; o++) {
            trace += power[o][o];
        }
        CHECK_RELATIVE(trace, pow(16, k) + pow(4, k) + 1, 1e-5); /* squares of 4, 2, 1 */
        for (int o = 0; o < M; o++) {
            for (int p = 0; p < M; p++) {
                next[o][p] = 0.0;
                for (int q = 0; q < M; q++) {
                    next[o][p] += power[o][q] * gram[q][p];
                }
            }
        }
        memcpy(power, next, sizeof power);
    }
    for (int i = 0; i < 6; i++) {
        double z[N];
        normals("seed=3 dataset=linear_teacher", EOC_TENSOR_DATA_TEST, i, z, N);
        for (int o = 0; o < M; o++) {
            double want = 0.0;
            for (int j = 0; j < N; j++) {
                want += a[o * N + j] * z[j];
            }
            CHECK_NEAR(data.test_y[i * M + o], want, 2e-5);
        }
    }
    eoc_data_clear(&data);
}

/* -- parts -- */

static void keeps_the_first(void **state)
{
    (void)state;
    eoc_data all = drawn("gaussian_classes(features=20)", 1), part = drawn("gaussian_classes(features=20)", 1);
    assert_int_equal(eoc_data_keep_first(&part, "digits", 2001, 0), EOC_ERR_USAGE);
    assert_string_equal(eoc_status_why(),
                        "digits has 2000 training samples, 2001 are asked for; accepted: 0 (all) to 2000");
    assert_int_equal(eoc_data_keep_first(&part, "digits", 0, 1001), EOC_ERR_USAGE);
    assert_int_equal(eoc_data_keep_first(&part, "digits", 7, 0), EOC_OK);
    assert_int_equal(part.train_count, 7);
    assert_int_equal(part.test_count, 1000);
    assert_int_equal(part.outputs, 10);
    assert_memory_equal(part.train_x, all.train_x, 7 * 20 * sizeof(float));
    assert_memory_equal(part.train_label, all.train_label, 7 * sizeof(int32_t));
    eoc_data_clear(&all);
    eoc_data_clear(&part);
}

/* -- preprocessing -- */

static const eoc_preprocessing *preprocessing(const char *name)
{
    for (int row = 0; row < eoc_preprocessing_count(); row++) {
        if (strcmp(eoc_preprocessing_row(row)->name, name) == 0) {
            return eoc_preprocessing_row(row);
        }
    }
    fail_msg("no preprocessing %s", name);
    return NULL;
}

/* Four samples of three features, the last constant (0.1: a sum of it rounds); means 2, 3, 0.1, population variances 5,
 * 6, 0. The test set: zeros, the mean, and one that is not constant. */
static void by_hand(const char *name, const double train[4][3], const double test[3][3])
{
    static const float train_x[4][3] = {{-1, 1, 0.1f}, {1, 1, 0.1f}, {3, 3, 0.1f}, {5, 7, 0.1f}};
    static const float test_x[3][3] = {{0, 0, 0}, {2, 3, 0.1f}, {4, 7, 0.6f}};
    eoc_data data = {
        .rows = 1, .columns = 3, .channels = 1, .features = 3, .outputs = 2, .train_count = 4, .test_count = 3};
    assert_int_equal(eoc_data_allocate(&data, true), EOC_OK);
    memcpy(data.train_x, train_x, sizeof train_x);
    memcpy(data.test_x, test_x, sizeof test_x);
    assert_int_equal(eoc_preprocessing_apply(preprocessing(name), &data), EOC_OK);
    for (int i = 0; i < 12; i++) {
        CHECK_NEAR(data.train_x[i], train[i / 3][i % 3], 2.5e-7); /* float32 of values up to 3 */
    }
    for (int i = 0; i < 9; i++) {
        CHECK_NEAR(data.test_x[i], test[i / 3][i % 3], 5e-7);
    }
    eoc_data_clear(&data);
}

static void preprocessing_by_hand(void **state)
{
    (void)state;
    const double h = 0.1f; /* what float32 makes of it */
    by_hand("raw", (const double[4][3]){{-1, 1, h}, {1, 1, h}, {3, 3, h}, {5, 7, h}},
            (const double[3][3]){{0, 0, 0}, {2, 3, h}, {4, 7, 0.6f}});
    const double a = sqrt(5), b = sqrt(6);
    by_hand("standardized",
            (const double[4][3]){{-3 / a, -2 / b, 0}, {-1 / a, -2 / b, 0}, {1 / a, 0, 0}, {3 / a, 4 / b, 0}},
            (const double[3][3]){{-2 / a, -3 / b, 0}, {0, 0, 0}, {2 / a, 4 / b, 0}});
    const double hh = h * h, s = (double)0.6f;
    const double r[4] = {sqrt((2 + hh) / 3), sqrt((2 + hh) / 3), sqrt((18 + hh) / 3), sqrt((74 + hh) / 3)};
    const double t[3] = {1, sqrt((13 + hh) / 3), sqrt((65 + s * s) / 3)};
    by_hand("unit_variance",
            (const double[4][3]){{-1 / r[0], 1 / r[0], h / r[0]},
                                 {1 / r[1], 1 / r[1], h / r[1]},
                                 {3 / r[2], 3 / r[2], h / r[2]},
                                 {5 / r[3], 7 / r[3], h / r[3]}},
            (const double[3][3]){{0, 0, 0}, {2 / t[1], 3 / t[1], h / t[1]}, {4 / t[2], 7 / t[2], s / t[2]}});
    const double c[4] = {sqrt(13.0 / 3), sqrt(5.0 / 3), sqrt(1.0 / 3), sqrt(25.0 / 3)};
    const double z = sqrt((13 + hh) / 3), w = sqrt((20 + (s - h) * (s - h)) / 3);
    by_hand("centered",
            (const double[4][3]){
                {-3 / c[0], -2 / c[0], 0}, {-1 / c[1], -2 / c[1], 0}, {1 / c[2], 0, 0}, {3 / c[3], 4 / c[3], 0}},
            (const double[3][3]){{-2 / z, -3 / z, -h / z}, {0, 0, 0}, {2 / w, 4 / w, (s - h) / w}});
}

static void overflow_is_refused(void **state)
{
    (void)state;
    eoc_data data = drawn("gaussian_classes(features=10, classes=2, train=4, test=2)", 1);
    for (int i = 0; i < 4; i++) {
        data.train_x[10 * i] = i ? 0.0f : 1e-30f; /* a deviation of 4e-31 */
    }
    data.test_x[0] = 1e30f;
    assert_int_equal(eoc_preprocessing_apply(preprocessing("standardized"), &data), EOC_ERR_USAGE);
    assert_non_null(strstr(eoc_status_why(), "'standardized' makes images overflow float32"));
    eoc_data_clear(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings),
        cmocka_unit_test(refusals),
        cmocka_unit_test(classes_have_their_means),
        cmocka_unit_test(classes_are_as_hard_as_said),
        cmocka_unit_test(seeds_and_sizes),
        cmocka_unit_test(teacher_values),
        cmocka_unit_test(teacher_is_as_asked),
        cmocka_unit_test(keeps_the_first),
        cmocka_unit_test(preprocessing_by_hand),
        cmocka_unit_test(overflow_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
