/* SPDX-License-Identifier: BSD-3-Clause */
#include "edges.h"

#include "eoc/mean_field.h"

#include <assert.h>
#include <math.h>

/* Over scales: t from exp(-34) to exp(12) is all that double holds. */
static const double LOG_T_LEAST = -34.0;
static const double LOG_T_GREATEST = 12.0;

eoc_status eoc_product_layers_create(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                                     eoc_product_layers *layers)
{
    *layers = (eoc_product_layers){.s_1 = s_1, .depth = depth};
    EOC_TRY(eoc_slope_law_create(act, q_star, &layers->law));
    layers->log_gain = log(sigma_w2) + layers->law.log_greatest;
    return EOC_OK;
}

/*
 * Log of the point z of the spectrum's outside that the moment function M of J J^T takes to the value that real x
 * takes for D^2: x = exp(t) > 1 outside, in units of the greatest d, t = exp(s).
 */
static double log_outside(const eoc_product_layers *layers, double s)
{
    const double t = exp(s), moment = eoc_slope_law_moment_above(&layers->law, expm1(t));
    const double log_growth = log1p(moment);
    return log_growth - log(moment) +
           layers->depth * (layers->log_gain + log(moment) + t - (1.0 + layers->s_1) * log_growth);
}

/* The same below the least d, x = least/(1 + exp(-t)): M and 1 + M are negative there, lambda is not. */
static double log_below(const eoc_product_layers *layers, double t)
{
    const eoc_slope_law *law = &layers->law;
    const double x = law->least / (1.0 + exp(-t));
    double moment = 0.0, growth = 0.0; /* -M, -(1 + M) */
    for (size_t i = 0; i < law->num; i++) {
        const double weight = law->w_re[i] / (law->d_re[i] - law->least + law->least / (1.0 + exp(t)));
        moment += weight * law->d_re[i];
        growth += weight * x;
    }
    return log(growth / moment) + layers->depth * (layers->log_gain + log(moment / growth) + log(x));
}

/* With an atom of the greatest d, inside the gap below it: x = 1 - exp(t), M < -1. Bounded by where M = -1. */
static double log_in_gap(const eoc_product_layers *layers, double t)
{
    const eoc_slope_law *law = &layers->law;
    const double under = exp(t), x = 1.0 - under;
    double moment = 0.0, growth = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double weight = law->w_re[i] / ((law->d_re[i] - 1.0) + under);
        moment += weight * law->d_re[i];
        growth += weight * x;
    }
    if (!(growth > 0.0 && moment > 0.0)) {
        return INFINITY;
    }
    return log(growth / moment) + layers->depth * (layers->log_gain + log(moment / growth) + log(x));
}

/* A place and the value there. */
typedef struct {
    double x, f;
} sample;

/* Where the parabola through three samples is least, as a step from the first; NaN where they lie on a line. */
static double parabola_step(sample a, sample b, sample c)
{
    const double to_b = b.x - a.x, to_c = c.x - a.x, rise_b = b.f - a.f, rise_c = c.f - a.f;
    return 0.5 * (to_b * to_b * rise_c - to_c * to_c * rise_b) / (to_b * rise_c - to_c * rise_b);
}

/*
 * The least of sign f over [low, high], *at receiving the place: Brent 1973, ch. 5. Steps to the least of a parabola
 * while they stay inside and halve, else golden sections. The value has twice the digits of the place.
 */
static double least_of(const eoc_product_layers *layers, double (*f)(const eoc_product_layers *, double), double sign,
                       double low, double high, double *at)
{
    const double share = 0.38196601125010515180, tolerance = 1e-9; /* 2 - golden ratio */
    sample best = {.x = low + share * (high - low)};
    best.f = sign * f(layers, best.x);
    sample second = best, third = best;
    double step = high - low, step_before = step;
    for (int i = 0; i < 100 && high - low > 4.0 * tolerance; i++) {
        const double middle = 0.5 * (low + high), across = best.x < middle ? high - best.x : low - best.x;
        double next = third.x != second.x ? parabola_step(best, second, third) : NAN;
        if (!(fabs(next) < 0.5 * fabs(step_before) && best.x + next > low && best.x + next < high)) {
            next = share * across;
            step = across;
        }
        step_before = step;
        step = fabs(next) >= tolerance ? next : copysign(tolerance, across);
        sample here = {.x = best.x + step};
        here.f = sign * f(layers, here.x);
        const bool better = here.f <= best.f;
        const sample kept = better ? best : here; /* an end of what is left */
        *((better ? here.x >= best.x : here.x < best.x) ? &low : &high) = kept.x;
        if (better) {
            third = second;
            second = best;
            best = here;
        } else if (here.f <= second.f || second.x == best.x) {
            third = second;
            second = here;
        } else if (here.f <= third.f || third.x == best.x || third.x == second.x) {
            third = here;
        }
    }
    *at = best.x;
    return sign * best.f;
}

eoc_edge eoc_edge_outside(const eoc_product_layers *layers)
{
    double at = 0.0;
    const double log_lambda = least_of(layers, log_outside, 1.0, LOG_T_LEAST, LOG_T_GREATEST, &at);
    return (eoc_edge){.log_lambda = log_lambda, .log_x = exp(at)};
}

eoc_edge eoc_edge_below_atom(const eoc_product_layers *layers)
{
    double at = 0.0;
    const double log_lambda = least_of(layers, log_in_gap, 1.0, LOG_T_LEAST, 0.0, &at);
    return (eoc_edge){.log_lambda = log_lambda, .log_x = log1p(-exp(at))};
}

eoc_edge eoc_edge_lower(const eoc_product_layers *layers)
{
    double at = 0.0;
    const double log_lambda = least_of(layers, log_below, -1.0, -36.0, 36.0, &at);
    return (eoc_edge){.log_lambda = log_lambda, .log_x = log(layers->law.least) - log1p(exp(-at))};
}

/* The greatest d but for the atom at 1; 1 without such an atom or with a density up to it. */
static double next_to_greatest(const eoc_product_layers *layers)
{
    const eoc_slope_law *law = &layers->law;
    double next = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        next = i >= law->num_atoms || law->d_re[i] < 1.0 ? fmax(next, law->d_re[i]) : next;
    }
    return law->mass_at_greatest > 0.0 ? next : 1.0;
}

/* Log lambda at x = next + (1 - next)/(1 + exp(-t)); NaN where it is not real and positive. */
static double log_between(const eoc_product_layers *layers, double next, double t, double *log_x)
{
    const eoc_slope_law *law = &layers->law;
    const double over = (1.0 - next) / (1.0 + exp(-t)), under = (1.0 - next) / (1.0 + exp(t));
    double moment = 0.0, growth = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double complex d = law->d_re[i] + I * law->d_im[i], w = law->w_re[i] + I * law->w_im[i];
        const double complex share = law->d_re[i] == 1.0 ? -w / under : w / (over + (next - d));
        moment += creal(share * d);
        growth += creal(share) * (next + over);
    }
    *log_x = log(next + over);
    const double depth = layers->depth, powers = depth * (1.0 + layers->s_1);
    const bool positive = growth > 0.0 && (moment > 0.0 || depth == 1.0);
    return positive ? (1.0 - powers) * log(growth) + (depth > 1.0 ? (depth - 1.0) * log(moment) : 0.0) +
                          depth * (layers->log_gain + *log_x)
                    : NAN;
}

/* The least of sign log lambda between two t, and log x there. */
static double extreme_between(const eoc_product_layers *layers, double next, double low, double high, double sign,
                              double *log_x)
{
    double value = 0.0;
    for (int i = 0; i < 60; i++) {
        const double a = low + (high - low) / 3.0, b = high - (high - low) / 3.0;
        const double f_a = sign * log_between(layers, next, a, log_x);
        const double f_b = sign * log_between(layers, next, b, log_x);
        if (f_a < f_b || isnan(f_b)) {
            high = b;
        } else {
            low = a;
        }
        value = sign * fmin(f_a, f_b);
    }
    return value;
}

/* Where log lambda rises with x there is no spectrum: from its least to its greatest value, on a scan made fine at
 * its ends. */
bool eoc_edge_gap(const eoc_product_layers *layers, eoc_edge *low, eoc_edge *high)
{
    enum { STEPS = 2000 };
    const double next = next_to_greatest(layers);
    /* A density that ends at `next` is known down to some distance from it only. */
    const double from = layers->law.num > layers->law.num_atoms ? -14.0 : -40.0, step = (40.0 - from) / STEPS;
    *low = *high = (eoc_edge){.log_lambda = -INFINITY, .log_x = NAN};
    if (next >= 1.0 || eoc_product_is_one_factor(layers)) {
        return false;
    }
    bool rising = false;
    double before = log_between(layers, next, from, &low->log_x);
    for (int i = 1; i <= STEPS; i++) {
        const double t = from + i * step;
        double log_x = 0.0;
        const double here = log_between(layers, next, t, &log_x);
        const bool rises = here > before + 1e-9;
        if (rises != rising) { /* an extreme within a step of here */
            double at = 0.0;
            eoc_edge *const edge = rises ? low : high;
            edge->log_lambda = extreme_between(layers, next, t - 2.0 * step, t, rises ? 1.0 : -1.0, &at);
            edge->log_x = at;
            if (!rises) {
                break;
            }
        }
        rising = rises;
        before = here;
    }
    if (next == 0.0) {
        low->log_lambda = -INFINITY;
    }
    return high->log_lambda > low->log_lambda + 1e-9;
}

eoc_status eoc_mean_field_log_lambda_max(const eoc_activation *act, double sigma_w2, double q_star, int depth,
                                         double s_1, double *log_lambda_max)
{
    assert(depth >= 1);
    *log_lambda_max = sigma_w2 == 0.0 ? -INFINITY : NAN;
    if (!isfinite(q_star) || sigma_w2 == 0.0) {
        return EOC_OK;
    }
    eoc_product_layers layers = {.s_1 = s_1, .depth = depth};
    EOC_TRY(eoc_slope_law_create_outside(act, q_star, &layers.law));
    layers.log_gain = log(sigma_w2) + layers.law.log_greatest;
    if (isfinite(layers.law.log_greatest)) {
        *log_lambda_max = eoc_edge_outside(&layers).log_lambda;
    }
    eoc_slope_law_clear(&layers.law);
    return EOC_OK;
}
