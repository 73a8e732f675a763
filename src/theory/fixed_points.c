/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixed_points.h"

#include <float.h>
#include <math.h>

/* Steps of the scan in log q. Between two points the slopes tell whether the gap can have dipped to zero and back.
 */
static const double SCAN_STEP = 0.5;

/* A gap this small at its extremum is a touching point: expectations are known to some 1e-13. */
static const double TOUCHING = 1e-11;

/* A slope below this is rounding: sin's falls to 0 from above as exp(-2 q). */
static const double FALLING = 1e-9;

/* Where 0 is a fixed point others are looked for from 1e-12, since grids tell sigma_w2 apart to 12 digits; where
 * phi is unbounded, to 1e16. */
static const double LOG_LEAST = -27.631;
static const double LOG_GREATEST = 36.841;
static const double LOG_FAR = 13.8;

double eoc_find_root(eoc_sloped_function f, void *context, double low, double f_low, double high, double f_high)
{
    if (f_low == 0.0) {
        return low;
    }
    if (f_high == 0.0) {
        return high;
    }
    const bool rises = f_high > 0.0;
    double x = 0.5 * (low + high), last_step = high - low;
    for (int i = 0; i < 200; i++) {
        double slope = 0.0;
        const double value = f(x, &slope, context);
        if (value == 0.0 || !isfinite(value)) {
            return x;
        }
        if ((value > 0.0) == rises) {
            high = x;
        } else {
            low = x;
        }
        double step = value / slope;
        /* Steps that do not shrink by half, or leave the bracket, are replaced by bisection. */
        if (!(fabs(step) < 0.5 * fabs(last_step)) || x - step <= low || x - step >= high) {
            step = x - 0.5 * (low + high);
        }
        last_step = step;
        const double next = x - step;
        if (next == x || fabs(step) <= 2.0 * DBL_EPSILON * fabs(x) || high - low <= 2.0 * DBL_EPSILON * fabs(x)) {
            return next;
        }
        x = next;
    }
    return x;
}

double eoc_length_map(const eoc_moments *m, double sigma_w2, double sigma_b2)
{
    const double weights = log(sigma_w2) + m->log_phi2, biases = log(sigma_b2);
    const double greater = fmax(weights, biases), lesser = fmin(weights, biases);
    return greater == -INFINITY ? -INFINITY : greater + log1p(exp(lesser - greater));
}

typedef struct {
    eoc_expectations *e;
    double sigma_w2, sigma_b2;
    double chi_q; /* of the last call */
} gap_context;

/* V(q)/q - 1 and its derivative by log q. */
static double gap(double log_q, double *slope, void *context)
{
    gap_context *g = context;
    eoc_moments m;
    eoc_lengths_fill(g->e, log_q, &m);
    const double weights = g->sigma_w2 * exp(m.log_phi2 - log_q), biases = g->sigma_b2 * exp(-log_q);
    g->chi_q = 0.5 * weights * m.phi2_z2;
    *slope = g->chi_q - weights - biases;
    return weights - 1.0 + biases;
}

double eoc_length_gap(eoc_expectations *e, double sigma_w2, double sigma_b2, double log_q)
{
    gap_context g = {.e = e, .sigma_w2 = sigma_w2, .sigma_b2 = sigma_b2};
    double slope = 0.0;
    return gap(log_q, &slope, &g);
}

static void add_root(gap_context *g, eoc_q_roots *found, double log_q, bool touches)
{
    if (found->num_roots == EOC_MAX_Q_ROOTS) {
        return;
    }
    double slope = 0.0;
    gap(log_q, &slope, g);
    found->roots[found->num_roots++] =
        (eoc_q_root){.log_q = log_q, .chi_q = touches ? 1.0 : g->chi_q, .touches = touches};
}

/* The extremum of the gap between two scan points whose slopes have opposite signs, by bisection of the slope. */
static double gap_extremum(gap_context *g, double low, double slope_low, double high, double *value)
{
    double x = low;
    for (int i = 0; i < 60 && high - low > 1e-13 * fmax(1.0, fabs(low)); i++) {
        double slope = 0.0;
        x = 0.5 * (low + high);
        *value = gap(x, &slope, g);
        if (slope == 0.0) {
            break;
        }
        if ((slope > 0.0) == (slope_low > 0.0)) {
            low = x;
        } else {
            high = x;
        }
    }
    return x;
}

/* Roots between two neighbouring scan points. */
static void scan_interval(gap_context *g, double low, double f_low, double slope_low, double high, double f_high,
                          double slope_high, eoc_q_roots *found)
{
    if ((f_low > 0.0) != (f_high > 0.0)) {
        add_root(g, found, eoc_find_root(gap, g, low, f_low, high, f_high), false);
        return;
    }
    const double toward = f_low > 0.0 ? 1.0 : -1.0;
    if (!(toward * slope_low < 0.0 && toward * slope_high > 0.0)) {
        return;
    }
    double f_middle = 0.0;
    const double middle = gap_extremum(g, low, slope_low, high, &f_middle);
    if (fabs(f_middle) <= TOUCHING) {
        add_root(g, found, middle, true);
    } else if ((f_middle > 0.0) != (f_low > 0.0)) {
        add_root(g, found, eoc_find_root(gap, g, low, f_low, middle, f_middle), false);
        add_root(g, found, eoc_find_root(gap, g, middle, f_middle, high, f_high), false);
    }
}

void eoc_q_roots_find(eoc_expectations *e, double sigma_w2, double sigma_b2, eoc_q_roots *found)
{
    gap_context g = {.e = e, .sigma_w2 = sigma_w2, .sigma_b2 = sigma_b2};
    const double phi_zero = eoc_activation_phi(&e->act, 0.0);
    const double least = sigma_w2 * phi_zero * phi_zero + sigma_b2; /* V(0): a V that increases has no root below it */
    *found = (eoc_q_roots){.zero_is_fixed = least == 0.0, .monotone = true};
    const double bound = sigma_w2 * e->bound2 + sigma_b2;
    if (bound == 0.0) {
        return;
    }
    double x = least > 0.0 ? log(least) - 1e-9 : LOG_LEAST;
    const double end = fmax(x + 1e-6, isfinite(bound) ? log(bound) : fmax(LOG_GREATEST, x + 2.0));
    double slope = 0.0;
    double value = gap(x, &slope, &g);
    found->monotone = g.chi_q >= -FALLING;
    while (x < end) {
        const double next = fmin(x + SCAN_STEP, end);
        double next_slope = 0.0;
        const double next_value = gap(next, &next_slope, &g);
        found->monotone = found->monotone && g.chi_q >= -FALLING;
        scan_interval(&g, x, value, slope, next, next_value, next_slope, found);
        x = next;
        value = next_value;
        slope = next_slope;
        if (x > LOG_FAR && fabs(value) <= TOUCHING && fabs(slope) <= TOUCHING) {
            break; /* the map runs along the diagonal (gelu at sigma_w2 = 2): what is left of the gap is rounding
                    */
        }
    }
}
