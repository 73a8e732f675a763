/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Comparing samples of random numbers: Kolmogorov-Smirnov, and families of such tests.
 *
 * Values that differ by rounding alone are ties (a constant that is computed in two ways is one atom); -inf and NaN are
 * atoms of their own, so that their frequencies are compared. With ties the p-values err on the safe side.
 */
#ifndef EOC_TESTS_SAMPLES_H
#define EOC_TESTS_SAMPLES_H

#include "check.h"

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct {
    double value;
    int index;
} samples_item;

static inline int samples_order(const void *a, const void *b)
{
    const double x = ((const samples_item *)a)->value, y = ((const samples_item *)b)->value;
    return (x > y) - (x < y);
}

static inline double samples_atom(double value)
{
    return isnan(value) ? DBL_MAX : fmax(-DBL_MAX, fmin(value, 0.5 * DBL_MAX));
}

static inline bool samples_tied(double x, double next)
{
    return next - x <= 1e-11 * fmax(1.0, fabs(x));
}

/*
 * Two samples of n, one behind the other in `pooled` (2 n): n times the greatest distance of their distribution
 * functions. ranks (2 n), NULL where not wanted: mean ranks in the pooled sample, in (-1, 1).
 */
static inline int samples_distance(const double *pooled, int n, double *ranks)
{
    samples_item *const items = malloc(sizeof *items * 2 * (size_t)n);
    assert_non_null(items);
    for (int i = 0; i < 2 * n; i++) {
        items[i] = (samples_item){samples_atom(pooled[i]), i};
    }
    qsort(items, 2 * (size_t)n, sizeof *items, samples_order);
    int distance = 0, greatest = 0;
    for (int begin = 0, end; begin < 2 * n; begin = end) {
        end = begin + 1;
        while (end < 2 * n && samples_tied(items[end - 1].value, items[end].value)) {
            end++;
        }
        for (int i = begin; i < end; i++) {
            distance += items[i].index < n ? 1 : -1;
            if (ranks) {
                ranks[items[i].index] = (begin + end) / (2.0 * n) - 1.0;
            }
        }
        greatest = abs(distance) > greatest ? abs(distance) : greatest;
    }
    free(items);
    return greatest;
}

/*
 * P(n D >= distance) for two samples of n of one continuous law, exact:
 * 2 sum_j (-1)^(j-1) C(2n, n - j distance)/C(2n, n) (Gnedenko & Korolyuk 1951).
 */
static inline double samples_p(int distance, int n)
{
    double sum = 0.0;
    if (distance <= 1) {
        return 1.0;
    }
    for (int j = 1; j * distance <= n; j++) {
        const double k = (double)j * distance;
        const double term = 2.0 * exp(2.0 * lgamma(n + 1.0) - lgamma(n - k + 1.0) - lgamma(n + k + 1.0));
        sum += j % 2 ? term : -term;
    }
    return fmin(1.0, fmax(0.0, sum));
}

/*
 * P(D >= the distance of a sample of n from a continuous law's distribution function): Kolmogorov's limit with
 * Stephens's correction for finite n (1970). Sorts the sample.
 */
static inline int samples_double_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double samples_law_p(double *values, int n, double (*distribution)(double x))
{
    qsort(values, (size_t)n, sizeof *values, samples_double_order);
    double greatest = 0.0, sum = 0.0;
    for (int i = 0; i < n; i++) {
        const double f = distribution(values[i]);
        greatest = fmax(greatest, fmax((i + 1.0) / n - f, f - (double)i / n));
    }
    const double root = sqrt((double)n), t = (root + 0.12 + 0.11 / root) * greatest;
    for (int j = 1; j <= 100 && t > 0.2; j++) {
        sum += (j % 2 ? 2.0 : -2.0) * exp(-2.0 * j * j * t * t);
    }
    return t > 0.2 ? fmin(1.0, fmax(0.0, sum)) : 1.0;
}

/* A family of tests: how many, and the smallest p-value with its name. */
typedef struct {
    int count;
    double smallest;
    char where[256];
} samples_family;

static inline void samples_add(samples_family *family, double p, const char *where)
{
    assert_true(p >= 0.0 && p <= 1.0);
    family->count++;
    if (family->count == 1 || p < family->smallest) {
        family->smallest = p;
        snprintf(family->where, sizeof family->where, "%s", where);
    }
}

/* Bonferroni: the smallest p-value times the number of tests. */
static inline double samples_corrected(const samples_family *family, int count)
{
    return fmin(1.0, family->smallest * count);
}

static inline bool samples_long(void)
{
    const char *const asked = getenv("EOC_LONG_TESTS");
    return asked && asked[0] == '1';
}

#endif
