/* SPDX-License-Identifier: BSD-3-Clause */
/* The data sets that are drawn from the seed. */
#include "eoc/data.h"

#include "eoc/linalg.h"
#include "eoc/orthonormal.h"
#include "eoc/text.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FEATURES = 1000000, MAX_SAMPLES = 100000000, MAX_OUTPUTS = 100000 };

static void draw(eoc_key key, uint32_t tensor, int column, double *x, size_t n)
{
    const eoc_stream stream = {key, 0, tensor, (uint32_t)column};
    eoc_rng_normals(&stream, x, n);
}

/* vectors (count, n), count <= n: an orthonormal frame, uniformly distributed: Gram-Schmidt of normals, whose
 * triangular factor has a positive diagonal. */
static eoc_status draw_frame(eoc_key key, uint32_t tensor, int count, size_t n, double *vectors)
{
    double *const work = malloc(sizeof(double) * 2 * (size_t)count);
    EOC_REQUIRE(work, EOC_ERR_NOMEM, "out of memory for a synthetic data set");
    for (int k = 0; k < count; k++) {
        const eoc_frame before = {vectors, k};
        double *const v = vectors + (size_t)k * n;
        draw(key, tensor, k, v, n);
        eoc_orthonormal_next(&before, 1, false, n, v, work, work + count);
    }
    free(work);
    return EOC_OK;
}

static double *doubles(size_t rows, size_t columns)
{
    return rows <= SIZE_MAX / sizeof(double) / columns ? malloc(sizeof(double) * rows * columns) : NULL;
}

/* -- gaussian_classes -- */

enum { CLASSES, CLASSES_FEATURES, SEPARATION, CLASSES_TRAIN, CLASSES_TEST };

static eoc_status classes_check(const double *values)
{
    EOC_REQUIRE(values[CLASSES] <= values[CLASSES_FEATURES], EOC_ERR_USAGE,
                "gaussian_classes: %.0f classes need as many features for means at equal distances, there are %.0f; "
                "accepted: classes up to features",
                values[CLASSES], values[CLASSES_FEATURES]);
    return EOC_OK;
}

static void classes_sizes(const double *values, eoc_data *data)
{
    data->rows = 1;
    data->columns = data->features = (int)values[CLASSES_FEATURES];
    data->channels = 1;
    data->outputs = (int)values[CLASSES];
    data->train_count = (int)values[CLASSES_TRAIN];
    data->test_count = (int)values[CLASSES_TEST];
}

static void fill_classes(eoc_key key, uint32_t tensor, const eoc_data *data, const double *means, double *z, int count,
                         float *x, int32_t *label)
{
    const size_t n = (size_t)data->features;
    for (int i = 0; i < count; i++) {
        label[i] = i % data->outputs;
        const double *const mean = means + (size_t)label[i] * n;
        float *const row = x + (size_t)i * n;
        draw(key, tensor, i, z, n);
        for (size_t j = 0; j < n; j++) {
            row[j] = (float)(mean[j] + z[j]);
        }
    }
}

static eoc_status classes_fill(const double *values, eoc_key key, eoc_data *data)
{
    const size_t n = (size_t)data->features, classes = (size_t)data->outputs;
    double *const means = doubles(classes + 1, n);
    EOC_REQUIRE(means, EOC_ERR_NOMEM, "out of memory for the means of %zu classes", classes);
    double *const z = means + classes * n;
    const eoc_status status = draw_frame(key, EOC_TENSOR_DATA_LEFT, data->outputs, n, means);
    if (status == EOC_OK) {
        for (size_t i = 0; i < classes * n; i++) {
            means[i] *= values[SEPARATION] / sqrt(2.0);
        }
        fill_classes(key, EOC_TENSOR_DATA_TRAIN, data, means, z, data->train_count, data->train_x, data->train_label);
        fill_classes(key, EOC_TENSOR_DATA_TEST, data, means, z, data->test_count, data->test_x, data->test_label);
    }
    free(means);
    return status;
}

/* -- linear_teacher -- */

enum { FEATURES, OUTPUTS, RANK, LARGEST, SMALLEST, SPECTRUM, TRAIN, TEST };
enum { GEOMETRIC, LINEAR };
static const char *const spectra[] = {[GEOMETRIC] = "geometric", [LINEAR] = "linear", NULL};

int eoc_data_teacher_rank(const double *values)
{
    return (int)(values[RANK] > 0.0 ? values[RANK] : fmin(values[FEATURES], values[OUTPUTS]));
}

double eoc_data_teacher_value(const double *values, int k)
{
    const int rank = eoc_data_teacher_rank(values);
    assert(k >= 0 && k < rank);
    const double along = rank > 1 ? (double)k / (rank - 1) : 0.0;
    if (values[SPECTRUM] == GEOMETRIC) {
        return values[LARGEST] * pow(values[SMALLEST] / values[LARGEST], along);
    }
    return values[LARGEST] + (values[SMALLEST] - values[LARGEST]) * along;
}

static eoc_status teacher_check(const double *values)
{
    const double most = fmin(values[FEATURES], values[OUTPUTS]);
    EOC_REQUIRE(values[RANK] <= most, EOC_ERR_USAGE,
                "linear_teacher: a map from %.0f features to %.0f outputs cannot have rank %.0f; accepted: up to %.0f",
                values[FEATURES], values[OUTPUTS], values[RANK], most);
    EOC_REQUIRE(values[TRAIN] >= values[FEATURES], EOC_ERR_USAGE,
                "linear_teacher: %.0f training samples of %.0f features cannot be white; accepted: train from %.0f",
                values[TRAIN], values[FEATURES], values[FEATURES]);
    char smallest[EOC_NUMBER_BYTES], largest[EOC_NUMBER_BYTES];
    EOC_REQUIRE(values[SMALLEST] <= values[LARGEST], EOC_ERR_USAGE,
                "linear_teacher: smallest=%s is greater than largest=%s", eoc_text_number(values[SMALLEST], smallest),
                eoc_text_number(values[LARGEST], largest));
    return EOC_OK;
}

static void teacher_sizes(const double *values, eoc_data *data)
{
    data->rows = 1;
    data->columns = data->features = (int)values[FEATURES];
    data->channels = 1;
    data->outputs = (int)values[OUTPUTS];
    data->train_count = (int)values[TRAIN];
    data->test_count = (int)values[TEST];
}

/* A = sum_k s_k left_k right_k^T */
typedef struct {
    int rank;
    size_t features, outputs;
    double *left, *right; /* (rank, outputs), (rank, features) orthonormal rows */
    double *values;       /* (rank) */
    double *x, *y;        /* (features), (outputs) scratch */
} teacher;

/* y = A x for the rounded x that a network is given, so that the targets are exact for it. */
static void answer(const teacher *t, const float *x, float *y, int count)
{
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < t->features; j++) {
            t->x[j] = x[(size_t)i * t->features + j];
        }
        memset(t->y, 0, sizeof(double) * t->outputs);
        for (int k = 0; k < t->rank; k++) {
            const double along = eoc_linalg_dot(t->right + (size_t)k * t->features, t->x, t->features);
            eoc_linalg_axpy(t->values[k] * along, t->left + (size_t)k * t->outputs, t->y, t->outputs);
        }
        for (size_t o = 0; o < t->outputs; o++) {
            y[(size_t)i * t->outputs + o] = (float)t->y[o];
        }
    }
}

/* x (count, features) with X^T X/count = I. */
static eoc_status draw_white(eoc_key key, int count, int features, float *x)
{
    const size_t n = (size_t)count, width = (size_t)features;
    double *const frame = doubles(width, n);
    EOC_REQUIRE(frame, EOC_ERR_NOMEM, "out of memory for %d white samples of %d features", count, features);
    const eoc_status status = draw_frame(key, EOC_TENSOR_DATA_TRAIN, features, n, frame);
    const double root = sqrt((double)count);
    for (size_t i = 0; status == EOC_OK && i < n; i++) {
        for (size_t j = 0; j < width; j++) {
            x[i * width + j] = (float)(root * frame[j * n + i]);
        }
    }
    free(frame);
    return status;
}

static eoc_status fill_with_teacher(teacher *t, const double *values, eoc_key key, eoc_data *data)
{
    EOC_TRY(draw_frame(key, EOC_TENSOR_DATA_LEFT, t->rank, t->outputs, t->left));
    EOC_TRY(draw_frame(key, EOC_TENSOR_DATA_RIGHT, t->rank, t->features, t->right));
    for (int k = 0; k < t->rank; k++) {
        t->values[k] = eoc_data_teacher_value(values, k);
    }
    EOC_TRY(draw_white(key, data->train_count, data->features, data->train_x));
    for (int i = 0; i < data->test_count; i++) {
        draw(key, EOC_TENSOR_DATA_TEST, i, t->x, t->features);
        for (size_t j = 0; j < t->features; j++) {
            data->test_x[(size_t)i * t->features + j] = (float)t->x[j];
        }
    }
    answer(t, data->train_x, data->train_y, data->train_count);
    answer(t, data->test_x, data->test_y, data->test_count);
    return EOC_OK;
}

static eoc_status teacher_fill(const double *values, eoc_key key, eoc_data *data)
{
    teacher t = {
        .rank = eoc_data_teacher_rank(values), .features = (size_t)data->features, .outputs = (size_t)data->outputs};
    double *const memory = doubles((size_t)t.rank + 1, t.features + t.outputs + 1);
    EOC_REQUIRE(memory, EOC_ERR_NOMEM, "out of memory for a teacher of rank %d", t.rank);
    t.left = memory;
    t.right = t.left + (size_t)t.rank * t.outputs;
    t.values = t.right + (size_t)t.rank * t.features;
    t.x = t.values + t.rank;
    t.y = t.x + t.features;
    const eoc_status status = fill_with_teacher(&t, values, key, data);
    free(memory);
    return status;
}

static const eoc_data_kind kinds[] = {
    {.name = "gaussian_classes",
     .formula = "x = mean[class] + N(0, I), means at equal distances",
     .source = "Fisher 1936",
     .parameters =
         {[CLASSES] = {.name = "classes", .fallback = 10, .min = 2, .max = MAX_OUTPUTS, .whole = true},
          [CLASSES_FEATURES] = {.name = "features", .fallback = 100, .min = 2, .max = MAX_FEATURES, .whole = true},
          [SEPARATION] = {.name = "separation", .fallback = 5, .min = 0, .max = 1e6},
          [CLASSES_TRAIN] = {.name = "train", .fallback = 2000, .min = 1, .max = MAX_SAMPLES, .whole = true},
          [CLASSES_TEST] = {.name = "test", .fallback = 1000, .min = 1, .max = MAX_SAMPLES, .whole = true}},
     .check = classes_check,
     .sizes = classes_sizes,
     .fill = classes_fill,
     .labelled = true},
    {.name = "linear_teacher",
     .formula = "y = A x, X^T X/train = I, A of given singular values",
     .source = "Saxe et al. 2014",
     .parameters = {[FEATURES] = {.name = "features", .fallback = 32, .min = 1, .max = MAX_FEATURES, .whole = true},
                    [OUTPUTS] = {.name = "outputs", .fallback = 10, .min = 1, .max = MAX_OUTPUTS, .whole = true},
                    [RANK] = {.name = "rank", .fallback = 0, .min = 0, .max = MAX_OUTPUTS, .whole = true},
                    [LARGEST] = {.name = "largest", .fallback = 2, .min = 1e-6, .max = 1e6},
                    [SMALLEST] = {.name = "smallest", .fallback = 0.5, .min = 1e-6, .max = 1e6},
                    [SPECTRUM] = {.name = "spectrum", .fallback = GEOMETRIC, .words = spectra},
                    [TRAIN] = {.name = "train", .fallback = 1000, .min = 1, .max = MAX_SAMPLES, .whole = true},
                    [TEST] = {.name = "test", .fallback = 1000, .min = 1, .max = MAX_SAMPLES, .whole = true}},
     .check = teacher_check,
     .sizes = teacher_sizes,
     .fill = teacher_fill},
};

int eoc_data_kind_count(void)
{
    return (int)(sizeof kinds / sizeof kinds[0]);
}

const eoc_data_kind *eoc_data_kind_row(int row)
{
    assert(row >= 0 && row < eoc_data_kind_count());
    return &kinds[row];
}
