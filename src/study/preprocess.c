/* SPDX-License-Identifier: BSD-3-Clause */
/* Preprocessing of data sets. */
#include "eoc/data.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Mean and population variance of every feature over the training set, (features) each. Sums are of differences to the
 * first sample: a feature that is constant has its mean exactly and the variance 0.
 */
static void moments(const eoc_data *data, double *mean, double *variance)
{
    const size_t n = (size_t)data->features;
    const float *const first = data->train_x;
    memset(mean, 0, sizeof(double) * n);
    memset(variance, 0, sizeof(double) * n);
    for (int i = 0; i < data->train_count; i++) {
        const float *const x = data->train_x + (size_t)i * n;
        for (size_t j = 0; j < n; j++) {
            mean[j] += (double)x[j] - (double)first[j];
        }
    }
    for (size_t j = 0; j < n; j++) {
        mean[j] /= data->train_count;
    }
    for (int i = 0; i < data->train_count; i++) {
        const float *const x = data->train_x + (size_t)i * n;
        for (size_t j = 0; j < n; j++) {
            const double off = (double)x[j] - (double)first[j] - mean[j];
            variance[j] += off * off;
        }
    }
    for (size_t j = 0; j < n; j++) {
        mean[j] += (double)first[j];
        variance[j] /= data->train_count;
    }
}

/* x (count, n): (x - mean) * factor by feature; NULL: 0 and 1. With `unit`, to mean square 1 by sample. */
static void transform(float *x, int count, size_t n, const double *mean, const double *factor, bool unit, double *row)
{
    for (int i = 0; i < count; i++, x += n) {
        double sum = 0.0;
        for (size_t j = 0; j < n; j++) {
            row[j] = ((double)x[j] - (mean ? mean[j] : 0.0)) * (factor ? factor[j] : 1.0);
            sum += row[j] * row[j];
        }
        const double scale = unit && sum > 0.0 ? 1.0 / sqrt(sum / (double)n) : 1.0;
        for (size_t j = 0; j < n; j++) {
            x[j] = (float)(row[j] * scale);
        }
    }
}

static void transform_both(eoc_data *data, const double *mean, const double *factor, bool unit, double *row)
{
    transform(data->train_x, data->train_count, (size_t)data->features, mean, factor, unit, row);
    transform(data->test_x, data->test_count, (size_t)data->features, mean, factor, unit, row);
}

static double *work_of(const eoc_data *data, size_t rows)
{
    return malloc(sizeof(double) * rows * (size_t)data->features);
}

#define REQUIRE_WORK(work, data) \
    EOC_REQUIRE(work, EOC_ERR_NOMEM, "out of memory for the statistics of %d features", (data)->features)

static eoc_status standardize(eoc_data *data)
{
    const size_t n = (size_t)data->features;
    double *const mean = work_of(data, 3);
    REQUIRE_WORK(mean, data);
    double *const factor = mean + n, *const row = factor + n;
    moments(data, mean, factor);
    for (size_t j = 0; j < n; j++) {
        factor[j] = factor[j] > 0.0 ? 1.0 / sqrt(factor[j]) : 0.0;
    }
    transform_both(data, mean, factor, false, row);
    free(mean);
    return EOC_OK;
}

static eoc_status to_unit_variance(eoc_data *data)
{
    double *const row = work_of(data, 1);
    REQUIRE_WORK(row, data);
    transform_both(data, NULL, NULL, true, row);
    free(row);
    return EOC_OK;
}

static eoc_status center(eoc_data *data)
{
    const size_t n = (size_t)data->features;
    double *const mean = work_of(data, 3);
    REQUIRE_WORK(mean, data);
    moments(data, mean, mean + n);
    transform_both(data, mean, NULL, true, mean + 2 * n);
    free(mean);
    return EOC_OK;
}

static const eoc_preprocessing kinds[] = {
    {.name = "raw", .formula = "uint8/255, floats as they are", .source = "none", .by_sample = true, .apply = NULL},
    {.name = "standardized",
     .formula = "by feature, (x - mean)/deviation of the training set; constant features 0",
     .source = "LeCun et al. 1998",
     .apply = standardize},
    {.name = "unit_variance",
     .formula = "by sample, x/sqrt(mean x^2): q^0 = 1; zero samples stay 0",
     .source = "Schoenholz et al. 2017",
     .by_sample = true,
     .unit = true,
     .apply = to_unit_variance},
    {.name = "centered",
     .formula = "by feature, x - mean of the training set, then unit_variance",
     .source = "Lee et al. 2018",
     .unit = true,
     .apply = center},
};

int eoc_preprocessing_count(void)
{
    return (int)(sizeof kinds / sizeof kinds[0]);
}

const eoc_preprocessing *eoc_preprocessing_row(int row)
{
    assert(row >= 0 && row < eoc_preprocessing_count());
    return &kinds[row];
}

static bool all_finite(const float *x, int count, int features)
{
    bool finite = true;
    for (size_t i = 0; i < (size_t)count * (size_t)features; i++) {
        finite = finite && isfinite(x[i]);
    }
    return finite;
}

eoc_status eoc_preprocessing_apply(const eoc_preprocessing *preprocessing, eoc_data *data)
{
    if (preprocessing->apply) {
        EOC_TRY(preprocessing->apply(data));
    }
    EOC_REQUIRE(all_finite(data->train_x, data->train_count, data->features) &&
                    all_finite(data->test_x, data->test_count, data->features),
                EOC_ERR_USAGE, "preprocessing '%s' makes images overflow float32", preprocessing->name);
    return EOC_OK;
}
