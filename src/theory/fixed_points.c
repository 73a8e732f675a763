/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixed_points.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Steps of the scan in log q, and how many of them it takes at once where the gap is nowhere near 0. Between two
 * points the slopes tell whether the gap can have dipped to zero and back. */
static const double SCAN_STEP = 0.0625;
enum { SCAN_STRIDE = 8 };
static const double NEAR_ROOT = 0.1;
static const double TIGHT = 1e-6;

/* A gap this small at its extremum is a touching point: expectations are known to some 1e-13. */
static const double TOUCHING = 1e-11;
static const double ROUNDING = 2e-13;

/* A slope below this is rounding: sin's falls to 0 from above as exp(-2 q). */
static const double FALLING = 1e-9;

/* Where 0 is a fixed point others are looked for from 1e-12, since grids tell sigma_w2 apart to 12 digits; where
 * phi is unbounded, to 1e16. */
static const double LOG_LEAST = -27.631;
static const double LOG_GREATEST = 36.841;
static const double LOG_FAR = 13.8;

double eoc_find_root(eoc_sloped_function f, void *context, double low, double f_low, double high, double f_high,
                     double start)
{
    if (f_low == 0.0) {
        return low;
    }
    if (f_high == 0.0) {
        return high;
    }
    const bool rises = f_high > 0.0;
    double x = start, last_step = high - low;
    bool after_newton = false;
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
        const bool newton = fabs(step) < 0.5 * fabs(last_step) && x - step > low && x - step < high;
        if (!newton) {
            step = x - 0.5 * (low + high);
        }
        /* Newton's steps go as each the square of the one before: the next is foreseen from the last two. */
        const double shrink = step / last_step;
        const double foreseen = newton && after_newton ? fabs(step) * shrink * shrink : fabs(step);
        last_step = step;
        after_newton = newton;
        const double next = x - step;
        if (next == x || foreseen <= DBL_EPSILON * fabs(x) || high - low <= 2.0 * DBL_EPSILON * fabs(x)) {
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

/* V(q)/q - 1 and its derivative by log q, from log E[phi^2] and twice its slope. */
static double gap_from(double log_q, double log_phi2, double phi2_z2, double *slope, gap_context *g)
{
    const double weights = g->sigma_w2 * exp(log_phi2 - log_q), biases = g->sigma_b2 * exp(-log_q);
    g->chi_q = 0.5 * weights * phi2_z2;
    *slope = g->chi_q - weights - biases;
    return weights - 1.0 + biases;
}

static double gap(double log_q, double *slope, void *context)
{
    gap_context *g = context;
    eoc_moments m;
    eoc_lengths_fill(g->e, log_q, &m);
    return gap_from(log_q, m.log_phi2, m.phi2_z2, slope, g);
}

double eoc_length_gap(eoc_expectations *e, double sigma_w2, double sigma_b2, double log_q)
{
    gap_context g = {.e = e, .sigma_w2 = sigma_w2, .sigma_b2 = sigma_b2};
    double slope = 0.0;
    return gap(log_q, &slope, &g);
}

/* -- the scan -- */

/*
 * What the scan needs of an activation does not depend on the variances: kept, for the last few activations, at
 * the points LOG_LEAST + k SCAN_STEP of log q that have been asked for. Beyond them phi is its slopes, or a
 * constant, and costs nothing. Static: the program has one thread.
 */
enum { TABLE_FIRST = -512, TABLE_SIZE = 1920, TABLE_ACTIVATIONS = 4 };

typedef struct {
    bool filled;
    double log_phi2, phi2_z2;
} scan_entry;

typedef struct {
    double (*phi)(double z, const double *p); /* with the parameters, all that E[phi^2] depends on */
    double parameters[EOC_MAX_PARAMETERS];
    unsigned long last_use;
    scan_entry entries[TABLE_SIZE];
} scan_table;

static scan_table *find_table(const eoc_activation *act)
{
    static scan_table tables[TABLE_ACTIVATIONS];
    static unsigned long uses;
    scan_table *oldest = &tables[0];
    for (int i = 0; i < TABLE_ACTIVATIONS; i++) {
        scan_table *table = &tables[i];
        if (table->phi == act->kind->phi && memcmp(table->parameters, act->parameters, sizeof act->parameters) == 0) {
            table->last_use = ++uses;
            return table;
        }
        oldest = table->last_use < oldest->last_use ? table : oldest;
    }
    memset(oldest, 0, sizeof *oldest);
    oldest->phi = act->kind->phi;
    memcpy(oldest->parameters, act->parameters, sizeof act->parameters);
    oldest->last_use = ++uses;
    return oldest;
}

/* One point of the scan. */
typedef struct {
    double x, value, slope; /* log q, the gap, its derivative */
    double log_phi2, phi2_z2;
} scan_point;

static scan_point point_at(gap_context *g, double log_q)
{
    eoc_moments m;
    eoc_lengths_fill(g->e, log_q, &m);
    scan_point point = {.x = log_q, .log_phi2 = m.log_phi2, .phi2_z2 = m.phi2_z2};
    point.value = gap_from(log_q, m.log_phi2, m.phi2_z2, &point.slope, g);
    return point;
}

static scan_point scan_at(gap_context *g, scan_table *table, int k)
{
    const double log_q = LOG_LEAST + k * SCAN_STEP;
    if (k < TABLE_FIRST || k >= TABLE_FIRST + TABLE_SIZE) {
        return point_at(g, log_q);
    }
    scan_entry *entry = &table->entries[k - TABLE_FIRST];
    if (!entry->filled) {
        const scan_point computed = point_at(g, log_q);
        *entry = (scan_entry){.filled = true, .log_phi2 = computed.log_phi2, .phi2_z2 = computed.phi2_z2};
    }
    scan_point point = {.x = log_q, .log_phi2 = entry->log_phi2, .phi2_z2 = entry->phi2_z2};
    point.value = gap_from(log_q, point.log_phi2, point.phi2_z2, &point.slope, g);
    return point;
}

/* The gap by cubic interpolation of log E[phi^2]: some 1e-5 off, for a place to start from. */
typedef struct {
    gap_context *g;
    const scan_point *low, *high;
} interpolated_context;

static double interpolated_gap(double log_q, double *slope, void *context)
{
    const interpolated_context *in = context;
    const scan_point *low = in->low, *high = in->high;
    const double width = high->x - low->x, t = (log_q - low->x) / width;
    const double rise = high->log_phi2 - low->log_phi2;
    const double a = 0.5 * width * low->phi2_z2, b = 0.5 * width * high->phi2_z2;
    const double bend_1 = 3.0 * rise - 2.0 * a - b, bend_2 = a + b - 2.0 * rise;
    const double log_phi2 = low->log_phi2 + t * (a + t * (bend_1 + t * bend_2));
    const double derivative = (a + t * (2.0 * bend_1 + 3.0 * t * bend_2)) / width;
    return gap_from(log_q, log_phi2, 2.0 * derivative, slope, in->g);
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

/* From here to the next point the map runs along the diagonal (hard_tanh at (1, 0), small q): signs are rounding. */
static bool is_flat(const scan_point *low, const scan_point *high)
{
    return fabs(low->value) <= ROUNDING && fabs(low->slope) <= ROUNDING && fabs(high->value) <= TOUCHING;
}

/* Roots between two points, one where the gap changes sign. */
static void scan_pair(gap_context *g, const scan_point *low, const scan_point *high, eoc_q_roots *found)
{
    if ((low->value > 0.0) != (high->value > 0.0)) {
        interpolated_context near = {.g = g, .low = low, .high = high};
        const double start =
            eoc_find_root(interpolated_gap, &near, low->x, low->value, high->x, high->value, 0.5 * (low->x + high->x));
        add_root(g, found, eoc_find_root(gap, g, low->x, low->value, high->x, high->value, start), false);
        return;
    }
    const double toward = low->value > 0.0 ? 1.0 : -1.0;
    if (!(toward * low->slope < 0.0 && toward * high->slope > 0.0)) {
        return;
    }
    double value = 0.0;
    const double middle = gap_extremum(g, low->x, low->slope, high->x, &value);
    if (fabs(value) <= TOUCHING) {
        add_root(g, found, middle, true);
    } else if ((value > 0.0) != (low->value > 0.0)) {
        add_root(g, found, eoc_find_root(gap, g, low->x, low->value, middle, value, 0.5 * (low->x + middle)), false);
        add_root(g, found, eoc_find_root(gap, g, middle, value, high->x, high->value, 0.5 * (middle + high->x)), false);
    }
}

/* Likewise; where the gap changes sign but is hardly there, it may touch 0 besides (silu's half-stable point has a
 * stable one 2% beyond it, and 1e-9 of gap between the two). */
static void scan_interval(gap_context *g, const scan_point *low, const scan_point *high, eoc_q_roots *found)
{
    enum { PARTS = 16 };
    if (is_flat(low, high)) {
        return;
    }
    if (low->value * high->value > 0.0 || fmax(fabs(low->value), fabs(high->value)) > TIGHT) {
        scan_pair(g, low, high, found);
        return;
    }
    scan_point here = *low;
    for (int i = 1; i <= PARTS; i++) {
        const scan_point next = i < PARTS ? point_at(g, low->x + i * (high->x - low->x) / PARTS) : *high;
        scan_pair(g, &here, &next, found);
        here = next;
    }
}

/* Whether the interval may hold more than one root, or a touching point. */
static bool is_near_root(const scan_point *low, const scan_point *high)
{
    return (low->value > 0.0) != (high->value > 0.0) || fmin(fabs(low->value), fabs(high->value)) < NEAR_ROOT;
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
    scan_table *table = find_table(&e->act);
    int k = least > 0.0 ? (int)floor((log(least) - 1e-9 - LOG_LEAST) / SCAN_STEP) : 0;
    scan_point here = scan_at(&g, table, k);
    const double end = isfinite(bound) ? log(bound) + 1e-6 : fmax(LOG_GREATEST, here.x + 2.0);
    found->monotone = g.chi_q >= -FALLING;
    for (int fine_until = k; here.x < end;) {
        int step = k < fine_until ? 1 : SCAN_STRIDE;
        scan_point next = scan_at(&g, table, k + step);
        if (step > 1 && is_near_root(&here, &next)) {
            fine_until = k + step;
            step = 1;
            next = scan_at(&g, table, k + step);
        }
        found->monotone = found->monotone && g.chi_q >= -FALLING;
        scan_interval(&g, &here, &next, found);
        here = next;
        k += step;
        if (here.x > LOG_FAR && fabs(here.value) <= TOUCHING && fabs(here.slope) <= TOUCHING) {
            break; /* the map runs along the diagonal (gelu at sigma_w2 = 2): what is left of the gap is rounding
                    */
        }
    }
}
