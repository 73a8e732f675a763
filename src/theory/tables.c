/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pairs from polynomials in the correlation, Chebyshev's, where many are asked for: near c = 1, and where the
 * correlations of successive layers close in on their limit.
 */
#include "rules.h"

#include <float.h>
#include <math.h>

static const double PI = 3.14159265358979323846;

/* -- polynomials -- */

static double chebyshev_sum(const double *coefficients, int num, double x)
{
    double b1 = 0.0, b2 = 0.0;
    for (int k = num - 1; k > 0; k--) {
        const double b0 = coefficients[k] + 2.0 * x * b1 - b2;
        b2 = b1;
        b1 = b0;
    }
    return coefficients[0] + x * b1 - b2;
}

static double chebyshev_point(int i, int num)
{
    return cos(PI * (i + 0.5) / num);
}

/* Coefficients of values at the Chebyshev points. Returns the greatest of the last `tail` beside the greatest of all.
 */
static double chebyshev_fill(const double *values, int num, int tail, double *coefficients)
{
    double greatest = 0.0, last = 0.0;
    for (int k = 0; k < num; k++) {
        double sum = 0.0;
        for (int i = 0; i < num; i++) {
            sum += values[i] * cos(PI * k * (i + 0.5) / num);
        }
        coefficients[k] = sum * (k > 0 ? 2.0 : 1.0) / num;
        greatest = fmax(greatest, fabs(coefficients[k]));
        last = k >= num - tail ? fmax(last, fabs(coefficients[k])) : last;
    }
    return greatest > 0.0 ? last / greatest : INFINITY;
}

/* -- near c = 1 -- */

void eoc_moments_tabulate(eoc_expectations *e, eoc_moments *m)
{
    enum { TAIL = 4 };
    static const double DIED_OUT = 1e-11;
    if (m->regime != EOC_REGIME_GENERAL || m->table_reach != 0.0) {
        return;
    }
    for (double reach = 0.4; reach > 0.04; reach *= 0.5) {
        double features[EOC_PAIR_TABLE], slopes[EOC_PAIR_TABLE];
        for (int i = 0; i < EOC_PAIR_TABLE; i++) {
            const double root = 0.5 * reach * (1.0 + chebyshev_point(i, EOC_PAIR_TABLE));
            eoc_direct_pair_fill(e, m, m, root * root, &features[i], &slopes[i]);
            features[i] /= root * root;
        }
        if (chebyshev_fill(features, EOC_PAIR_TABLE, TAIL, m->feature_table) <= DIED_OUT &&
            chebyshev_fill(slopes, EOC_PAIR_TABLE, TAIL, m->slope_table) <= DIED_OUT) {
            m->table_reach = reach;
            return;
        }
    }
    m->table_reach = -1.0;
}

bool eoc_table_pair_fill(const eoc_moments *m, double one_minus_c, double *one_minus_feature_c, double *dphi_dphi)
{
    const double root = sqrt(one_minus_c);
    if (!(root <= m->table_reach)) {
        return false;
    }
    const double x = 2.0 * root / m->table_reach - 1.0;
    if (one_minus_feature_c) {
        *one_minus_feature_c = one_minus_c * chebyshev_sum(m->feature_table, EOC_PAIR_TABLE, x);
    }
    if (dphi_dphi) {
        *dphi_dphi = chebyshev_sum(m->slope_table, EOC_PAIR_TABLE, x);
    }
    return true;
}

/* -- near the limit of the layers -- */

/* Half of a window beside the distance of its middle from c = -1, in the root of 1 - c, in which the values are
 * analytic down to c = 1: the polynomials then end at rounding. */
static const double WIDEST_WINDOW = 0.07;

/* With fewer layers to go until the correlation stops to rounding a window costs more than it saves. */
static const double LEAST_LAYERS = 2.0 * EOC_PAIR_WINDOW;

/* Where layers are this much alike they may close in on anything. */
static const double GREATEST_RATIO = 0.97;

enum { MAX_FAILURES = 2 };

/* The stretch of 1 - c in which the layers to come are, if the last three go on as a geometric series. */
static bool foresee(const double last[3], bool equal, double *low, double *high)
{
    const double x = last[2], step = x - last[1], ratio = step / (last[1] - last[0]);
    if (!(fabs(step) > 0.0 && isfinite(ratio))) {
        return false;
    }
    const bool settles = fabs(ratio) < GREATEST_RATIO;
    if (settles && log(DBL_EPSILON * x / fabs(step)) > LEAST_LAYERS * log(fabs(ratio))) {
        return false;
    }
    const double to_go = settles ? step * ratio / (1.0 - ratio) : step < 0.0 ? -x : NAN;
    /* With half as much room again on either side, or as far as c = 1. */
    const double room = 0.5 * fabs(to_go) + (ratio < 0.0 ? fabs(step) : 0.0);
    *low = fmin(x, x + to_go) - room;
    *high = fmax(x, x + to_go) + room;
    if (*low < 0.3 * x) {
        *low = 0.0;
        *high = 1.001 * x;
        return equal && step < 0.0;
    }
    return *high <= 2.0;
}

bool eoc_pair_window_open(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, const double last[3],
                          eoc_pair_window *window)
{
    double low = 0.0, high = 0.0;
    if (window->failures >= MAX_FAILURES || !foresee(last, m1->log_q == m2->log_q, &low, &high)) {
        return false;
    }
    const double middle = 0.5 * (sqrt(high) + sqrt(low)), half = 0.5 * (sqrt(high) - sqrt(low));
    if (!(half <= WIDEST_WINDOW * (sqrt(2.0) - middle))) {
        return false;
    }
    double features[EOC_PAIR_WINDOW], slopes[EOC_PAIR_WINDOW];
    for (int i = 0; i < EOC_PAIR_WINDOW; i++) {
        const double root = middle + half * chebyshev_point(i, EOC_PAIR_WINDOW), one_minus_c = root * root;
        eoc_pair_fill(e, m1, m2, one_minus_c, &features[i], &slopes[i]);
        features[i] /= one_minus_c;
    }
    window->middle = middle;
    window->half = half;
    const double left = fmax(chebyshev_fill(features, EOC_PAIR_WINDOW, 2, window->features),
                             chebyshev_fill(slopes, EOC_PAIR_WINDOW, 2, window->slopes));
    if (!(left <= 1e-12)) {
        window->half = 0.0;
        window->failures++;
    }
    return window->half > 0.0;
}

bool eoc_pair_window_fill(const eoc_pair_window *window, double one_minus_c, double *one_minus_feature_c,
                          double *dphi_dphi)
{
    const double distance = sqrt(one_minus_c) - window->middle;
    if (!(fabs(distance) < window->half)) {
        return false;
    }
    const double x = distance / window->half;
    *one_minus_feature_c = one_minus_c * chebyshev_sum(window->features, EOC_PAIR_WINDOW, x);
    *dphi_dphi = chebyshev_sum(window->slopes, EOC_PAIR_WINDOW, x);
    return true;
}
