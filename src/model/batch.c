/* SPDX-License-Identifier: BSD-3-Clause */
#include "layer_parts.h"

#include "eoc/linalg.h"
#include "eoc/vecmath.h"

#include <math.h>

static const double LOG_2 = 0.69314718055994530942;

/* Values are kept within 2^+-SAFE_EXPONENT, so that their squares, summed over any width, stay normal numbers. */
enum { SAFE_EXPONENT = 300 };

size_t eoc_batch_size(const eoc_batch *batch)
{
    return (size_t)batch->columns * (size_t)batch->width;
}

double eoc_batch_max(const eoc_batch *batch)
{
    return eoc_vec_max_abs(batch->values, eoc_batch_size(batch));
}

double eoc_power_of_two(int64_t exponent)
{
    return exponent > 2000 ? INFINITY : exponent < -2000 ? 0.0 : ldexp(1.0, (int)exponent);
}

/* values * 2^shift, exponent - shift */
static void batch_shift(eoc_batch *batch, int64_t shift)
{
    const size_t n = eoc_batch_size(batch);
    const double factor = ldexp(1.0, (int)shift);
    for (size_t i = 0; i < n; i++) {
        batch->values[i] *= factor;
    }
    batch->exponent -= shift;
}

double eoc_batch_log_mean_square(const eoc_batch *batch)
{
    const size_t n = eoc_batch_size(batch);
    const double sum = eoc_linalg_dot(batch->values, batch->values, n);
    return log(sum / (double)n) + 2.0 * LOG_2 * (double)batch->exponent;
}

void eoc_batch_normalize(eoc_batch *batch)
{
    const double max = eoc_batch_max(batch);
    if (max > 0.0 && isfinite(max) && (max > ldexp(1.0, SAFE_EXPONENT) || max < ldexp(1.0, -SAFE_EXPONENT))) {
        /* In steps: a subnormal maximum asks for a factor beyond the range of a double. */
        int64_t shift = -(int64_t)ilogb(max);
        for (; shift > 1000; shift -= 1000) {
            batch_shift(batch, 1000);
        }
        batch_shift(batch, shift);
    }
}

/* Binary size of the greatest value; of zeros less than any, and more than any where one is not finite. */
static int64_t size_of(const eoc_batch *batch)
{
    const double max = eoc_batch_max(batch);
    return max == 0.0 ? INT64_MIN : isfinite(max) ? (int64_t)ilogb(max) + batch->exponent : INT64_MAX;
}

void eoc_batch_add(double a, eoc_batch *h, double b, eoc_batch *x)
{
    const size_t n = eoc_batch_size(h);
    eoc_batch_normalize(x);
    const int64_t h_size = a != 0.0 ? size_of(h) : INT64_MIN, x_size = b != 0.0 ? size_of(x) : INT64_MIN;
    /* The exponent of the greater one, so that what is out of range beside it is 0. */
    if (h_size >= x_size) {
        b = x_size == INT64_MIN ? 0.0 : b * eoc_power_of_two(x->exponent - h->exponent);
    } else {
        a = h_size == INT64_MIN ? 0.0 : a * eoc_power_of_two(h->exponent - x->exponent);
        h->exponent = x->exponent;
    }
    for (size_t i = 0; i < n; i++) {
        h->values[i] = a * h->values[i] + b * x->values[i];
    }
    eoc_batch_normalize(h);
}

int eoc_signals_columns(const eoc_signals *signals)
{
    return signals->inputs.columns + signals->tangents.columns;
}

void eoc_signals_set_width(eoc_signals *signals, int width)
{
    signals->inputs.width = signals->tangents.width = width;
    signals->tangents.values = signals->inputs.values + eoc_batch_size(&signals->inputs);
}
