/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/critical.h"

#include "fixed_points.h"

#include <assert.h>
#include <math.h>

static const double SCAN_STEP = 0.25; /* in log q */
/* At sigma_b2 = 0 the line starts from q = 0, where rounding decides the sign of sigma_b2: look for others above
 * this. */
static const double LOG_LEAST_RETURN = -7.0;
static const double ROUNDING = 1e-13; /* of sigma_b2, beside q */

static eoc_critical_point critical_at(eoc_expectations *e, double q_star)
{
    eoc_moments m;
    eoc_moments_fill(e, log(q_star), &m);
    const double sigma_w2 = 1.0 / m.mu_1;
    return (eoc_critical_point){.q_star = q_star,
                                .sigma_w2 = sigma_w2,
                                .sigma_b2 = sigma_w2 * eoc_moments_excess(e, q_star),
                                .chi_q = 0.5 * sigma_w2 * m.phi2_z2 * exp(m.log_phi2 - m.log_q)};
}

eoc_status eoc_critical_fill(const eoc_activation *act, const double *q_star, int num_points,
                             eoc_critical_point *points)
{
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    for (int i = 0; i < num_points; i++) {
        assert(q_star[i] > 0.0);
        points[i] = critical_at(e, q_star[i]);
    }
    eoc_expectations_destroy(&e);
    return EOC_OK;
}

eoc_status eoc_critical_at_q(const eoc_activation *act, double q_star, eoc_critical_point *point)
{
    return eoc_critical_fill(act, &q_star, 1, point);
}

static void put_point(eoc_critical_point point, int capacity, eoc_critical_point *points, int *count)
{
    if (*count < capacity) {
        points[*count] = point;
    }
    (*count)++;
}

/* Bisection with secants (regula falsi, Illinois), on log q. */
static double find_crossing(eoc_expectations *e, double target, double low, double f_low, double high, double f_high)
{
    for (int i = 0; i < 100 && high - low > 1e-15 * fmax(1.0, fabs(low)); i++) {
        double x = (low * f_high - high * f_low) / (f_high - f_low);
        if (!(x > low && x < high)) {
            x = 0.5 * (low + high);
        }
        const double f = critical_at(e, exp(x)).sigma_b2 - target;
        if (f == 0.0) {
            return x;
        }
        if ((f > 0.0) == (f_high > 0.0)) {
            high = x;
            f_high = f;
            f_low *= 0.5;
        } else {
            low = x;
            f_low = f;
            f_high *= 0.5;
        }
    }
    return fabs(f_low) < fabs(f_high) ? low : high;
}

eoc_status eoc_critical_find(const eoc_activation *act, double sigma_b2, int capacity, eoc_critical_point *points,
                             int *count)
{
    assert(sigma_b2 >= 0.0);
    *count = 0;
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    const double below = e->slope_zero[0] * e->slope_zero[0], above = e->slope_zero[1] * e->slope_zero[1];
    if (act->kind->zero_at_zero && sigma_b2 == 0.0) {
        put_point((eoc_critical_point){.q_star = act->kind->scale_invariant ? NAN : 0.0,
                                       .sigma_w2 = 2.0 / (below + above),
                                       .chi_q = 1.0},
                  capacity, points, count);
    }
    if (!act->kind->scale_invariant) {
        const double greatest = log(EOC_CRITICAL_GREATEST_Q);
        const double end = isfinite(e->bound2) ? fmin(greatest, log(1e3 + 10.0 * sigma_b2)) : greatest;
        double x = NAN, f = NAN; /* the last that rounding cannot have made */
        for (double next = sigma_b2 == 0.0 ? LOG_LEAST_RETURN : log(EOC_CRITICAL_LEAST_Q); next < end + SCAN_STEP;
             next += SCAN_STEP) {
            const double f_next = critical_at(e, exp(next)).sigma_b2 - sigma_b2;
            if (fabs(f_next) <= ROUNDING * exp(next)) {
                continue; /* hard_tanh is straight for all but exp(-1/(2 q)) of small signals */
            }
            if ((f > 0.0) != (f_next > 0.0) && isfinite(f) && isfinite(f_next)) {
                eoc_critical_point point = critical_at(e, exp(find_crossing(e, sigma_b2, x, f, next, f_next)));
                point.sigma_b2 = fmax(point.sigma_b2, 0.0); /* where 0 is asked for rounding may say less */
                put_point(point, capacity, points, count);
            }
            x = next;
            f = f_next;
        }
    }
    eoc_expectations_destroy(&e);
    return EOC_OK;
}
