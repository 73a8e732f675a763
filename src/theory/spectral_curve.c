/* SPDX-License-Identifier: BSD-3-Clause */
#include "spectral_curve.h"

#include <float.h>
#include <math.h>

static const double PI = 3.14159265358979323846;

/* Where d has a density the nodes off the real line serve x a little below it too, and rounding may take it there. */
static const double BELOW_THE_LINE = -1e-9;

/* Less is taken for rounding where the curve is looked for anew. */
static const double LEAST_DENSITY = 1e-10;

/* Of M and of 1 + M, whose arguments lie in [-pi, 0]: rounding on the negative axis must not jump. */
static double complex log_below_axis(double complex z)
{
    const double complex l = clog(z);
    return cimag(l) > 0.5 * PI ? l - 2.0 * PI * I : l;
}

eoc_curve_point eoc_curve_at(const eoc_product_layers *layers, double complex log_x)
{
    const eoc_resolvent r = eoc_slope_law_resolvent(&layers->law, cexp(log_x));
    const double depth = layers->depth, powers = depth * (1.0 + layers->s_1);
    eoc_curve_point p = {.log_x = log_x, .moment = r.moment, .growth = r.growth};
    p.log_lambda = (1.0 - powers) * log_below_axis(r.growth) + (depth - 1.0) * log_below_axis(r.moment) +
                   depth * (layers->log_gain + log_x);
    p.slope = r.by_log_x * ((1.0 - powers) / r.growth + (depth - 1.0) / r.moment) + depth;
    const double terms = fabs(1.0 - powers) * cabs(log_below_axis(r.growth)) +
                         (depth - 1.0) * cabs(log_below_axis(r.moment)) +
                         depth * (fabs(layers->log_gain) + cabs(log_x) + 1.0);
    p.rounding = DBL_EPSILON * (1.0 + cabs(log_x) + 4.0 * terms / cabs(p.slope));
    return p;
}

/* P(lambda > that of the point): Im Phi/pi, Phi the integral of M d(log lambda). */
double eoc_curve_survival(const eoc_product_layers *layers, const eoc_curve_point *p)
{
    const double complex m = p->moment, log_m = log_below_axis(m);
    const double complex grown = p->growth * log_below_axis(p->growth) - p->growth, shrunk = m * log_m - m;
    const double complex logs = eoc_slope_law_log(&layers->law, p->log_x);
    const double depth = layers->depth;
    const double complex integral =
        grown - shrunk + depth * (m * layers->log_gain + shrunk + m * p->log_x - logs - (1.0 + layers->s_1) * grown);
    return cimag(m * creal(p->log_lambda) - integral) / PI;
}

/* lambda rho(lambda), from whichever of M and 1 + M has more digits of its imaginary part. */
double eoc_curve_density(const eoc_curve_point *p)
{
    const bool small_growth = cabs(p->growth) < cabs(p->moment);
    return fmax(0.0, -cimag(small_growth ? p->growth : p->moment) / PI);
}

bool eoc_curve_is_above(const eoc_product_layers *layers, double complex log_x)
{
    const bool has_density = layers->law.num > layers->law.num_atoms;
    return cimag(log_x) > (has_density ? BELOW_THE_LINE : 0.0) && cimag(log_x) < PI;
}

/* Newton's method for log lambda(x) = y from p->log_x. False where it does not arrive, in the upper half-plane. */
bool eoc_curve_solve(const eoc_product_layers *layers, double y, eoc_curve_point *p)
{
    double complex u = p->log_x;
    double last = INFINITY;
    for (int i = 0; i < 12; i++) {
        eoc_curve_point here = eoc_curve_at(layers, u);
        const double complex step = (here.log_lambda - y) / here.slope;
        const double size = cabs(step);
        /* Near an edge the slope is small and rounding sets the end: steps that no longer shrink. */
        const bool rounding = i > 1 && size >= 0.25 * last && size < fmax(1e-6 * cimag(u), 100.0 * here.rounding);
        if (size <= here.rounding || rounding) {
            *p = here;
            return eoc_curve_is_above(layers, u);
        }
        if (!(size < 2.0 * last) || size > 1.0) {
            return false;
        }
        last = size;
        u -= step;
        if (!eoc_curve_is_above(layers, u)) {
            return false;
        }
    }
    return false;
}

/* From a solved point at *y to y_end in as many steps as it takes; each starts along the tangent. */
bool eoc_curve_continue(const eoc_product_layers *layers, double *y, double y_end, eoc_curve_point *p)
{
    double step = y_end - *y;
    for (int i = 0; i < 60; i++) {
        if (*y == y_end) {
            return true;
        }
        const double next = fabs(y_end - *y) <= fabs(step) ? y_end : *y + step;
        eoc_curve_point trial = {.log_x = p->log_x + (next - *y) / p->slope};
        if (eoc_curve_is_above(layers, trial.log_x) && eoc_curve_solve(layers, next, &trial)) {
            *p = trial;
            *y = next;
            step *= 2.0;
        } else {
            step *= 0.5;
        }
    }
    return false;
}

/* The first point of the curve, from the expansion around the edge: log lambda has a minimum along real x there. */
bool eoc_curve_start_at_edge(const eoc_product_layers *layers, double edge, double *edge_place, double *y,
                             eoc_curve_point *p)
{
    double log_x_edge = *edge_place;
    double bend = 0.0;
    for (int i = 0; i < 8; i++) { /* Newton's method for the place: golden section has half the digits */
        const double h = 1e-4 * fmin(1.0, fabs(log_x_edge));
        const double above = creal(eoc_curve_at(layers, log_x_edge + h).slope);
        const double below = creal(eoc_curve_at(layers, log_x_edge - h).slope);
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
        p->log_x = log_x_edge + I * sqrt(2.0 * drop / bend);
        if (eoc_curve_solve(layers, *y, p)) {
            return true;
        }
        drop *= 0.5;
    }
    return false;
}

/* The point of the curve on the ray |x| = exp(log_r), where Im log lambda rises through 0; on the real line where it is
 * not negative there. */
eoc_curve_point eoc_curve_on_ray(const eoc_product_layers *layers, double log_r)
{
    double low = 0.0, high = PI;
    for (int i = 0; i < 60 && high - low > 1e-15; i++) {
        const double angle = i == 0 ? 1e-14 : 0.5 * (low + high);
        const bool below = cimag(eoc_curve_at(layers, log_r + I * angle).log_lambda) < 0.0;
        *(below ? &low : &high) = angle;
    }
    return eoc_curve_at(layers, log_r + I * high);
}

/* The mean of lambda lies in the bulk: log lambda rises with |x| along the curve, and is looked for. */
bool eoc_curve_start_in_bulk(const eoc_product_layers *layers, double log_m1, double log_x_edge, double *y,
                             eoc_curve_point *p)
{
    double low = -60.0, high = log_x_edge;
    for (int i = 0; i < 50; i++) {
        const double middle = 0.5 * (low + high);
        *p = eoc_curve_on_ray(layers, middle);
        *(creal(p->log_lambda) < log_m1 ? &low : &high) = middle;
    }
    *y = creal(p->log_lambda);
    return fabs(*y - log_m1) < 1.0 && eoc_curve_solve(layers, *y, p);
}

/* Past a place where the curve touches the real line (an atom of d of exactly 1 - 1/L of the mass), along the rays. */
bool eoc_curve_jump(const eoc_product_layers *layers, double direction, double *y, eoc_curve_point *p)
{
    for (double stride = 1e-8; stride < 1.0; stride *= 4.0) {
        eoc_curve_point next = eoc_curve_on_ray(layers, creal(p->log_x) + direction * stride);
        const double y_next = creal(next.log_lambda);
        if (direction * (y_next - *y) > 0.0 && eoc_curve_solve(layers, y_next, &next) &&
            eoc_curve_density(&next) > LEAST_DENSITY) {
            *p = next;
            *y = y_next;
            return true;
        }
    }
    return false;
}
