/* SPDX-License-Identifier: BSD-3-Clause */
/* Products and sums along depth that leave the range of a double. */
#ifndef EOC_THEORY_PRODUCTS_H
#define EOC_THEORY_PRODUCTS_H

#include <math.h>

/*
 * A product over layers of factors that may vanish or be negative: log of the size of the factors that are
 * not zero, and how many are zero or negative, all up to a layer, so that the product over any range of
 * layers is a difference.
 */
typedef struct {
    double log_size;
    int zeros, negatives;
} product;

/* A number of any sign as its log and sign; sign 0 is zero. */
typedef struct {
    double log_size;
    int sign;
} signed_log;

static inline product times(product p, double factor)
{
    if (factor == 0.0) {
        p.zeros++;
    } else {
        p.log_size += log(fabs(factor));
        p.negatives += factor < 0.0;
    }
    return p;
}

/* The product over the layers after `before` up to `last`. */
static inline signed_log range_product(product last, product before)
{
    const int negatives = last.negatives - before.negatives;
    return (signed_log){.log_size = last.log_size - before.log_size,
                        .sign = last.zeros > before.zeros ? 0
                                : negatives % 2           ? -1
                                                          : 1};
}

/* Log of sum_i count_i sign_i exp(log_i), started from {-inf}; terms are added one by one relative to the greatest
 * so far. */
typedef struct {
    double greatest, sum;
} log_sum;

static inline void add_term(log_sum *s, double log_size, double factor)
{
    if (log_size == -INFINITY || factor == 0.0 || isnan(log_size)) {
        return;
    }
    if (log_size > s->greatest) {
        s->sum *= exp(s->greatest - log_size);
        s->greatest = log_size;
    }
    s->sum += factor * exp(log_size - s->greatest);
}

static inline double log_of_sum(const log_sum *s)
{
    return isnan(s->sum) ? NAN : s->sum > 0.0 ? s->greatest + log(s->sum) : -INFINITY;
}

static const log_sum EMPTY_SUM = {.greatest = -INFINITY, .sum = 0.0};

static inline double log_add(double a, double b)
{
    const double greater = fmax(a, b), lesser = fmin(a, b);
    return greater == -INFINITY ? -INFINITY : greater + log1p(exp(lesser - greater));
}

#endif
