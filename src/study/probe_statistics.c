/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe_statistics.h"

#include "eoc/linalg.h"
#include "eoc/vecmath.h"

#include <math.h>

void eoc_vectors_cosine(const double *x, const double *y, size_t n, double *c, double *one_minus_c)
{
    *c = *one_minus_c = NAN;
    const double x_norm = eoc_linalg_norm(x, n), y_norm = eoc_linalg_norm(y, n);
    if (x_norm == 0.0 || y_norm == 0.0) {
        return;
    }
    *one_minus_c = 0.5 * eoc_vec_distance2(1.0 / x_norm, x, 1.0 / y_norm, y, n);
    *c = *one_minus_c < 0.5 ? 1.0 - *one_minus_c : eoc_linalg_dot(x, y, n) / x_norm / y_norm;
}

void eoc_batch_cosine(const eoc_batch *batch, double *c, double *one_minus_c)
{
    const size_t n = (size_t)batch->width;
    *c = *one_minus_c = NAN;
    if (batch->columns >= 2) {
        eoc_vectors_cosine(batch->values, batch->values + n, n, c, one_minus_c);
    }
}

double eoc_batch_kurtosis(const eoc_batch *batch)
{
    const size_t n = (size_t)batch->width;
    double sum = 0.0;
    int count = 0;
    for (int c = 0; c < batch->columns; c++) {
        const double *x = batch->values + (size_t)c * n;
        const double norm = eoc_linalg_norm(x, n);
        if (norm > 0.0) {
            sum += (double)n * eoc_vec_sum4(1.0 / norm, x, n);
            count++;
        }
    }
    return count ? sum / count : NAN;
}
