/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/mean_field.h"
#include "eoc/spectrum.h"

#include "expectations.h"

#include <assert.h>
#include <complex.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_LAW = EOC_QUADRATURE_MAX_PANELS * EOC_QUADRATURE_POINTS, MAX_TRACE = 4000 };

static const double PI = 3.14159265358979323846;

/* Golden section over scales: t from exp(-34) to exp(12) is all that double holds. */
static const double LOG_T_LEAST = -34.0;
static const double LOG_T_GREATEST = 12.0;

/* The tracing ends where what lies below weighs no more than this. */
static const double REST = 1e-12;
static const double NEXT_TO_NOTHING = 1e-6;

/* The law of d over its greatest value, and the layers it goes through. */
typedef struct {
    size_t num;
    double *d, *weight; /* (num), d in units of `greatest` */
    double log_greatest, mass_at_zero, mass_at_greatest, least;
    double log_gain; /* log(sigma_w2 greatest) */
    double s_1;
    int depth;
} slope_law;

struct eoc_spectrum {
    slope_law law;
    eoc_spectrum_shape shape;
    int num_trace;
    double *log_lambda;    /* (num_trace), descending */
    double complex *log_x; /* (num_trace) */
    double rest;           /* mass of the density below the last of them */
    double log_x_edge;     /* NaN where the curve was not entered by the expansion around its edge */
};

/*
 * Log of the point z of the spectrum's outside that the moment function M of J J^T takes to the value that real x
 * takes for D^2: x = exp(t) > 1 outside, in units of the greatest d. x = 1 - share (1 - edge) inside a gap.
 */
static double log_outside(const slope_law *law, double t)
{
    const double over = expm1(t);
    double moment = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        moment += law->weight[i] * law->d[i] / (over + (1.0 - law->d[i]));
    }
    const double log_growth = log1p(moment);
    return log_growth - log(moment) + law->depth * (law->log_gain + log(moment) + t - (1.0 + law->s_1) * log_growth);
}

/* The same below the least d, x = least/(1 + exp(-t)): M and 1 + M are negative there, lambda is not. */
static double log_below(const slope_law *law, double t)
{
    const double x = law->least / (1.0 + exp(-t));
    double moment = 0.0, growth = 0.0; /* -M, -(1 + M) */
    for (size_t i = 0; i < law->num; i++) {
        const double weight = law->weight[i] / (law->d[i] - law->least + law->least / (1.0 + exp(t)));
        moment += weight * law->d[i];
        growth += weight * x;
    }
    return log(growth / moment) + law->depth * (law->log_gain + log(moment / growth) + log(x));
}

/* With an atom of the greatest d, inside the gap below it: x = 1 - exp(t), M < -1. Bounded by where M = -1. */
static double log_in_gap(const slope_law *law, double t)
{
    const double under = exp(t), x = 1.0 - under;
    double moment = 0.0, growth = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double weight = law->weight[i] / ((law->d[i] - 1.0) + under);
        moment += weight * law->d[i];
        growth += weight * x;
    }
    if (!(growth > 0.0 && moment > 0.0)) {
        return INFINITY;
    }
    return log(growth / moment) + law->depth * (law->log_gain + log(moment / growth) + log(x));
}

/* The least of sign f(exp(s)) (or f(s)) over [low, high]: golden section. *at receives the place. */
static double least_of(const slope_law *law, double (*f)(const slope_law *, double), bool exponential, double sign,
                       double low, double high, double *at)
{
    const double ratio = 0.61803398874989484820;
    double a = high - ratio * (high - low), b = low + ratio * (high - low);
    double f_a = sign * f(law, exponential ? exp(a) : a), f_b = sign * f(law, exponential ? exp(b) : b);
    for (int i = 0; i < 80; i++) {
        if (f_a < f_b) {
            high = b;
            b = a;
            f_b = f_a;
            a = high - ratio * (high - low);
            f_a = sign * f(law, exponential ? exp(a) : a);
        } else {
            low = a;
            a = b;
            f_a = f_b;
            b = low + ratio * (high - low);
            f_b = sign * f(law, exponential ? exp(b) : b);
        }
    }
    *at = 0.5 * (low + high);
    return sign * fmin(f_a, f_b);
}

static double least_outside(const slope_law *law, double *log_t)
{
    return least_of(law, log_outside, true, 1.0, LOG_T_LEAST, LOG_T_GREATEST, log_t);
}

static eoc_status law_create(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                             slope_law *law)
{
    *law = (slope_law){.s_1 = s_1, .depth = depth};
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    law->d = malloc(2 * MAX_LAW * sizeof *law->d);
    if (!law->d) {
        eoc_expectations_destroy(&e);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for a spectrum");
    }
    law->weight = law->d + MAX_LAW;
    eoc_moments m;
    /* q = 0 is a limit: the slopes on either side of 0, not the one at it. */
    eoc_moments_fill(e, act->kind->scale_invariant ? 0.0 : fmax(log(q_star), -1000.0), &m);
    law->num = eoc_law_fill(e, &m, law->d, law->weight);
    double greatest = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        greatest = fmax(greatest, law->d[i]);
    }
    law->log_greatest = log(greatest);
    law->log_gain = log(sigma_w2) + law->log_greatest;
    law->least = m.regime == EOC_REGIME_GENERAL ? 0.0 : 1.0; /* every other row is flat somewhere */
    for (size_t i = 0; i < law->num && greatest > 0.0; i++) {
        law->d[i] /= greatest;
        law->least = fmin(law->least, law->d[i]);
        law->mass_at_zero += law->d[i] == 0.0 ? law->weight[i] : 0.0;
        law->mass_at_greatest += law->d[i] == 1.0 ? law->weight[i] : 0.0;
    }
    if (greatest == 0.0) {
        law->mass_at_zero = 1.0;
    }
    eoc_expectations_destroy(&e);
    return EOC_OK;
}

eoc_status eoc_mean_field_log_lambda_max(const eoc_activation *act, double sigma_w2, double q_star, int depth,
                                         double s_1, double *log_lambda_max)
{
    assert(depth >= 1);
    *log_lambda_max = NAN;
    if (!isfinite(q_star) || sigma_w2 == 0.0) {
        return EOC_OK;
    }
    slope_law law;
    EOC_TRY(law_create(act, sigma_w2, q_star, depth, s_1, &law));
    if (isfinite(law.log_greatest)) {
        double log_t = 0.0;
        *log_lambda_max = least_outside(&law, &log_t);
    }
    free(law.d);
    return EOC_OK;
}

/* -- the curve -- */

/* At x in the upper half-plane: M, 1 + M, and log lambda with its derivative by log x. */
typedef struct {
    double complex moment, growth, log_lambda, slope;
} law_point;

static law_point point_at(const slope_law *law, double complex log_x)
{
    const double complex x = cexp(log_x);
    const double re = creal(x), im = cimag(x);
    double m_re = 0.0, m_im = 0.0, g_re = 0.0, g_im = 0.0, s_re = 0.0, s_im = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double gap = re - law->d[i], w = law->weight[i] / (gap * gap + im * im);
        const double r_re = w * gap, r_im = -w * im; /* weight/(x - d) */
        m_re += law->d[i] * r_re;
        m_im += law->d[i] * r_im;
        g_re += r_re;
        g_im += r_im;
        /* weight d/(x - d)^2 */
        const double q = law->d[i] * w / (gap * gap + im * im);
        s_re += q * (gap * gap - im * im);
        s_im -= q * 2.0 * gap * im;
    }
    law_point p = {.moment = m_re + I * m_im, .growth = x * (g_re + I * g_im)};
    const double complex by_log_x = -x * (s_re + I * s_im);
    const double depth = law->depth, powers = depth * (1.0 + law->s_1);
    p.log_lambda = (1.0 - powers) * clog(p.growth) + (depth - 1.0) * clog(p.moment) + depth * (law->log_gain + log_x);
    p.slope = by_log_x * ((1.0 - powers) / p.growth + (depth - 1.0) / p.moment) + depth;
    return p;
}

/* P(lambda > that of x): Im Phi/pi, Phi the integral of M d(log lambda). */
static double survival(const slope_law *law, double complex log_x, const law_point *p)
{
    const double complex inverse = cexp(-log_x);
    double complex logs = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        logs += law->weight[i] * clog(1.0 - law->d[i] * inverse);
    }
    const double complex m = p->moment, log_m = clog(m);
    const double complex grown = p->growth * clog(p->growth) - p->growth, shrunk = m * log_m - m;
    const double depth = law->depth;
    const double complex integral =
        grown - shrunk + depth * (m * law->log_gain + shrunk + m * log_x - logs - (1.0 + law->s_1) * grown);
    return cimag(m * creal(p->log_lambda) - integral) / PI;
}

/* Newton's method for log lambda(x) = y from *log_x. False where it does not arrive, in the upper half-plane. */
static bool solve_at(const slope_law *law, double y, double complex *log_x, law_point *p)
{
    double complex u = *log_x;
    double last = INFINITY;
    for (int i = 0; i < 12; i++) {
        *p = point_at(law, u);
        const double complex step = (p->log_lambda - y) / p->slope;
        const double size = cabs(step);
        /* Near an edge the slope is small and rounding sets the end: steps that no longer shrink. */
        const bool rounding = i > 1 && size >= 0.25 * last && size < 1e-6 * cimag(u);
        if (size <= 1e-15 * cabs(u) || rounding) {
            *log_x = u;
            return cimag(u) > 0.0 && cimag(u) < PI;
        }
        if (!(size < 2.0 * last) || size > 1.0) {
            return false;
        }
        last = size;
        u -= step;
        if (!(cimag(u) > 0.0 && cimag(u) < PI)) {
            return false;
        }
    }
    return false;
}

/* From a solved point at *y to y_end in as many steps as it takes; each starts along the tangent. */
static bool continue_to(const slope_law *law, double *y, double y_end, double complex *log_x, law_point *p)
{
    double step = y_end - *y;
    for (int i = 0; i < 200; i++) {
        if (*y == y_end) {
            return true;
        }
        const double next = fabs(y_end - *y) <= fabs(step) ? y_end : *y + step;
        double complex trial = *log_x + (next - *y) / p->slope;
        law_point at;
        if (cimag(trial) > 0.0 && cimag(trial) < PI && solve_at(law, next, &trial, &at)) {
            *log_x = trial;
            *p = at;
            *y = next;
            step *= 2.0;
        } else {
            step *= 0.5;
        }
    }
    return false;
}

static bool put_trace(eoc_spectrum *s, double log_lambda, double complex log_x)
{
    s->log_lambda[s->num_trace] = log_lambda;
    s->log_x[s->num_trace++] = log_x;
    return s->num_trace < MAX_TRACE;
}

/* The first point of the curve, from the expansion around the edge: log lambda has a minimum along real x there. */
static bool start_at_edge(const slope_law *law, double edge, double *edge_place, double *y, double complex *log_x,
                          law_point *p)
{
    double log_x_edge = *edge_place;
    double bend = 0.0;
    for (int i = 0; i < 8; i++) { /* Newton's method for the place: golden section has half the digits */
        const double h = 1e-4 * fmin(1.0, fabs(log_x_edge));
        const double above = creal(point_at(law, log_x_edge + h).slope);
        const double below = creal(point_at(law, log_x_edge - h).slope);
        bend = (above - below) / (2.0 * h);
        const double step = 0.5 * (above + below) / bend;
        if (!(fabs(step) < 0.1 * fabs(log_x_edge)) || !(bend > 0.0)) {
            break;
        }
        log_x_edge -= step;
    }
    *edge_place = log_x_edge;
    if (!(bend > 0.0)) {
        return false;
    }
    double drop = 1e-3 * fmin(1.0, 0.5 * bend * log_x_edge * log_x_edge);
    for (int i = 0; i < 20; i++) {
        *y = edge - drop;
        *log_x = log_x_edge + I * sqrt(2.0 * drop / bend);
        if (solve_at(law, *y, log_x, p)) {
            return true;
        }
        drop *= 0.5;
    }
    return false;
}

/* Where the edge is that of D^2 itself (an atom about to part from it) there is no such expansion: the solution in
 * the upper half-plane is one only, and is looked for. */
static bool start_anywhere(const slope_law *law, double edge, double *y, double complex *log_x, law_point *p)
{
    for (double drop = 1e-3; drop < 1.0; drop *= 4.0) {
        for (double radius = 1e-4; radius < 30.0; radius *= 1.5) {
            for (double angle = 0.1; angle < PI; angle += 0.2) {
                *y = edge - drop;
                *log_x = clog(1.0 + radius * cexp(I * angle));
                if (solve_at(law, *y, log_x, p) && cimag(p->moment) < 0.0) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* The curve, down to where next to nothing is left. */
static void trace(eoc_spectrum *s, double edge, double log_x_edge)
{
    const slope_law *law = &s->law;
    double y = 0.0;
    double complex log_x = 0.0;
    law_point p;
    s->log_x_edge = log_x_edge;
    if (!start_at_edge(law, edge, &s->log_x_edge, &y, &log_x, &p)) {
        s->log_x_edge = NAN;
        if (!start_anywhere(law, edge, &y, &log_x, &p)) {
            return;
        }
    }
    while (put_trace(s, y, log_x)) {
        s->rest = 1.0 - law->mass_at_zero - survival(law, log_x, &p);
        const double lowest = s->shape.log_lambda_min;
        /* Distances to the edges grow, and shrink, by steady factors. */
        double step = fmin(0.3 * (edge - y), 0.05 * (law->depth + 4.0));
        step = isfinite(lowest) ? fmin(step, 0.3 * (y - lowest)) : step;
        if (s->rest < REST || step < 1e-9 || !continue_to(law, &y, y - step, &log_x, &p)) {
            break;
        }
    }
}

static void find_moments(eoc_spectrum *s)
{
    const slope_law *law = &s->law;
    double mu_1 = 0.0, mu_2 = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        mu_1 += law->weight[i] * law->d[i];
        mu_2 += law->weight[i] * law->d[i] * law->d[i];
    }
    s->shape.log_m1 = law->depth * (law->log_gain + log(mu_1));
    s->shape.m2_over_m1_2 = 1.0 + law->depth * (mu_2 / (mu_1 * mu_1) - 1.0 - law->s_1);
}

static void find_shape(eoc_spectrum *s)
{
    slope_law *law = &s->law;
    eoc_spectrum_shape *shape = &s->shape;
    *shape = (eoc_spectrum_shape){.mass_at_zero = law->mass_at_zero, .log_atom = NAN};
    const bool orthogonal = law->s_1 == 0.0;
    if (orthogonal) {
        shape->mass_of_atom = fmax(0.0, 1.0 - law->depth * (1.0 - law->mass_at_greatest));
        shape->mass_of_atom = shape->mass_of_atom < 1e-12 ? 0.0 : shape->mass_of_atom;
    }
    find_moments(s);
    if (law->mass_at_zero >= 1.0 - 1e-12) {
        shape->log_lambda_min = shape->log_lambda_max = NAN;
        return;
    }
    double at = 0.0;
    double log_x_edge = 0.0;
    if (shape->mass_of_atom > 0.0) {
        shape->log_atom = law->depth * law->log_gain;
    }
    if (shape->mass_of_atom + law->mass_at_zero >= 1.0 - 1e-12 || (orthogonal && law->depth == 1)) {
        shape->log_lambda_min = shape->log_lambda_max = NAN;
        return;
    }
    if (shape->mass_of_atom > 0.0) {
        shape->log_lambda_max = least_of(law, log_in_gap, false, 1.0, LOG_T_LEAST, 0.0, &at);
        log_x_edge = log1p(-exp(at));
    } else {
        shape->log_lambda_max = least_outside(law, &at);
        log_x_edge = exp(at);
    }
    s->rest = 1.0;
    shape->log_lambda_min = -INFINITY;
    if (orthogonal && law->least > 0.0) {
        shape->log_lambda_min = least_of(law, log_below, false, -1.0, -36.0, 36.0, &at);
    }
    trace(s, shape->log_lambda_max, log_x_edge);
}

eoc_status eoc_spectrum_create(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                               eoc_spectrum **spectrum)
{
    assert(depth >= 1 && sigma_w2 > 0.0 && isfinite(q_star) && (s_1 == 0.0 || s_1 == -1.0));
    eoc_spectrum *s = calloc(1, sizeof *s);
    EOC_REQUIRE(s, EOC_ERR_NOMEM, "no memory for a spectrum");
    eoc_status status = law_create(act, sigma_w2, q_star, depth, s_1, &s->law);
    s->log_lambda = malloc(MAX_TRACE * sizeof *s->log_lambda);
    s->log_x = malloc(MAX_TRACE * sizeof *s->log_x);
    if (status == EOC_OK && (!s->log_lambda || !s->log_x)) {
        status = EOC_FAIL(EOC_ERR_NOMEM, "no memory for a spectrum");
    }
    if (status != EOC_OK) {
        eoc_spectrum_destroy(&s);
        return status;
    }
    find_shape(s);
    *spectrum = s;
    return EOC_OK;
}

void eoc_spectrum_destroy(eoc_spectrum **spectrum)
{
    if (*spectrum) {
        free((*spectrum)->law.d);
        free((*spectrum)->log_lambda);
        free((*spectrum)->log_x);
    }
    free(*spectrum);
    *spectrum = NULL;
}

eoc_spectrum_shape eoc_spectrum_shape_of(const eoc_spectrum *spectrum)
{
    return spectrum->shape;
}

/* P(sigma_w2 d <= lambda): the whole law of a single orthogonal layer, and of a product with none but atoms. */
static double law_cdf(const slope_law *law, double log_lambda)
{
    double sum = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        sum += law->depth * (log(law->d[i]) + law->log_gain) <= log_lambda ? law->weight[i] : 0.0;
    }
    return fmin(sum, 1.0);
}

/* The point of the curve at y, from its neighbours on the trace. */
static bool solve_from_trace(const eoc_spectrum *s, double y, double complex *log_x, law_point *p)
{
    if (y > s->log_lambda[0] && !isnan(s->log_x_edge)) { /* as the root of the distance to the edge */
        const double shrink = sqrt((s->shape.log_lambda_max - y) / (s->shape.log_lambda_max - s->log_lambda[0]));
        *log_x = s->log_x_edge + shrink * (s->log_x[0] - s->log_x_edge);
        const double complex expanded = *log_x;
        if (!solve_at(&s->law, y, log_x, p)) { /* rounding of log lambda is all that is left to solve for */
            *log_x = expanded;
            *p = point_at(&s->law, expanded);
        }
        return true;
    }
    int low = 0, high = s->num_trace - 1;
    while (high - low > 1) { /* the trace descends */
        const int middle = (low + high) / 2;
        *(s->log_lambda[middle] > y ? &low : &high) = middle;
    }
    const int nearest = fabs(s->log_lambda[low] - y) < fabs(s->log_lambda[high] - y) ? low : high;
    double at = s->log_lambda[nearest];
    *log_x = s->log_x[nearest];
    *p = point_at(&s->law, *log_x);
    return continue_to(&s->law, &at, y, log_x, p);
}

static void fill_point(const eoc_spectrum *s, double y, double *density, double *cdf)
{
    const eoc_spectrum_shape *shape = &s->shape;
    if (shape->mass_at_zero >= 1.0 - 1e-12) {
        *density = 0.0;
        *cdf = 1.0;
        return;
    }
    if (isnan(shape->log_lambda_max)) {
        *density = s->law.num > 1 && s->law.least != 1.0 ? NAN : 0.0;
        *cdf = law_cdf(&s->law, y);
        return;
    }
    *density = 0.0;
    if (y >= shape->log_lambda_max) {
        *cdf = y >= shape->log_atom || shape->mass_of_atom == 0.0 ? 1.0 : 1.0 - shape->mass_of_atom;
        return;
    }
    *cdf = shape->mass_at_zero;
    if (y <= shape->log_lambda_min) {
        return;
    }
    const bool below = s->num_trace == 0 || y < s->log_lambda[s->num_trace - 1];
    if (below && s->rest > NEXT_TO_NOTHING) {
        *density = *cdf = NAN; /* the curve could not be followed that near to the real line */
        return;
    }
    if (below) {
        return;
    }
    double complex log_x = 0.0;
    law_point p;
    if (!solve_from_trace(s, y, &log_x, &p)) {
        *density = *cdf = NAN;
        return;
    }
    *density = fmax(0.0, -cimag(p.moment) / PI);
    *cdf = fmin(1.0, fmax(shape->mass_at_zero, 1.0 - survival(&s->law, log_x, &p)));
}

eoc_status eoc_spectrum_fill(const eoc_spectrum *spectrum, const double *log_lambda, int num_points, double *density,
                             double *cdf)
{
    for (int i = 0; i < num_points; i++) {
        double density_here = 0.0, cdf_here = 0.0;
        fill_point(spectrum, log_lambda[i], &density_here, &cdf_here);
        if (density) {
            density[i] = density_here;
        }
        if (cdf) {
            cdf[i] = cdf_here;
        }
    }
    return EOC_OK;
}
