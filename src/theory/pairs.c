/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* -- phi of two slopes -- */

/* (sin t - t cos t), without the cancellation at small t: sum_k (-1)^(k+1) 2k t^(2k+1)/(2k+1)!. */
double eoc_sin_minus_t_cos(double t)
{
    if (t > 0.5) {
        return sin(t) - t * cos(t);
    }
    double term = t, sum = 0.0;
    for (int k = 1; k < 10; k++) {
        term *= -t * t / (2.0 * k * (2.0 * k + 1.0));
        sum -= 2.0 * k * term;
    }
    return sum;
}

/* phi(u) = b u below 0, a u above: E[phi phi]/(s1 s2) = (a - b)^2 k(c) + a b c, k the arc-cosine kernel of
 * degree 1. */
static void fill_homogeneous_pair(const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                                  double *one_minus_feature_c, double *dphi_dphi)
{
    const double b1 = m1->slopes[0], a1 = m1->slopes[1], b2 = m2->slopes[0], a2 = m2->slopes[1];
    const double angle = 2.0 * asin(fmin(1.0, sqrt(0.5 * one_minus_c)));
    const double bend = (a1 - b1) * (a2 - b2), straight = 0.5 * (a1 * b2 + a2 * b1);
    if (one_minus_feature_c) {
        const double half_minus_k = 0.5 * one_minus_c - eoc_sin_minus_t_cos(angle) / (2.0 * PI);
        const double drop = bend * half_minus_k + straight * one_minus_c;
        /* Slopes that differ (one of the two variances tiny, the other huge) leave a deficit at c = 1 too. */
        const double norm = sqrt(m1->mu_1) * sqrt(m2->mu_1);
        const double at_one = a1 == a2 && b1 == b2 ? 0.0 : norm - 0.5 * (a1 * a2 + b1 * b2);
        *one_minus_feature_c = norm > 0.0 ? (at_one + drop) / norm : NAN;
    }
    if (dphi_dphi) {
        *dphi_dphi = bend * (PI - angle) / (2.0 * PI) + straight;
    }
}

/* -- by quadrature -- */

typedef struct {
    const eoc_expectations *e;
    double scale_1, scale_2; /* 1/sqrt(E[phi^2]) of each */
    double lag, spread;      /* u1 - u2 = lag u1 - spread y */
    bool near;               /* u1 and u2 so near that phi(u1) - phi(u2) is taken by the derivative between them */
    bool feature, gradient;  /* which of the two values are wanted */
} pair_context;

static void pair_row(double u1, const double *y, const double *u2, double *f, size_t n, void *context)
{
    const pair_context *p = context;
    const eoc_activation *act = &p->e->act;
    if (p->feature) {
        const double phi_1 = eoc_activation_phi(act, u1);
        act->kind->phi_many(u2, f, n, act->parameters);
        for (size_t i = 0; i < n; i++) {
            double difference = p->scale_1 * phi_1 - p->scale_2 * f[i];
            if (p->near && !eoc_kink_between(act->kind, u1, u2[i])) {
                difference =
                    p->scale_1 * eoc_activation_dphi(act, 0.5 * (u1 + u2[i])) * (p->lag * u1 - p->spread * y[i]);
            }
            f[i] = 0.5 * difference * difference;
        }
        f += n;
    }
    if (p->gradient) {
        const double dphi_1 = eoc_activation_dphi(act, u1);
        act->kind->dphi_many(u2, f, n, act->parameters);
        for (size_t i = 0; i < n; i++) {
            f[i] *= dphi_1;
        }
    }
}

static void fill_adaptive_pair(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                               double *one_minus_feature_c, double *dphi_dphi)
{
    const eoc_activation_kind *kind = e->act.kind;
    const double c = 1.0 - one_minus_c;
    eoc_quadrature_pair pair = {.scale = sqrt(m1->q),
                                .slope = c * exp(0.5 * (m2->log_q - m1->log_q)),
                                .spread = sqrt(m2->q) * sqrt(one_minus_c * (2.0 - one_minus_c)),
                                .feature = EOC_FEATURE,
                                .even = kind->odd,
                                .num_kinks = kind->num_kinks};
    memcpy(pair.kinks, kind->kinks, sizeof pair.kinks);
    pair_context context = {.e = e,
                            .scale_1 = exp(-0.5 * m1->log_phi2),
                            .scale_2 = exp(-0.5 * m2->log_phi2),
                            .lag = m1->log_q == m2->log_q ? one_minus_c : 1.0 - pair.slope,
                            .spread = pair.spread,
                            .near = m1->log_q == m2->log_q && pair.spread < 1e-5,
                            .feature = one_minus_feature_c != NULL,
                            .gradient = dphi_dphi != NULL};
    eoc_expectation values[2];
    eoc_quadrature_expect_pair(e->quadrature, &pair, pair_row, &context, context.feature + context.gradient, values);
    if (one_minus_feature_c) {
        *one_minus_feature_c = values[0].value;
    }
    if (dphi_dphi) {
        *dphi_dphi = values[context.feature].value;
    }
}

/* c = -1, where u2 = -u1 but for its length: one integral over u1, which is even where phi has a symmetry. */
static void fill_opposite_pair(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2,
                               double *one_minus_feature_c, double *dphi_dphi)
{
    enum { MAX_LEVEL = 6 };
    if (m2->q > m1->q) { /* nodes as close as the longer input wants them */
        const eoc_moments *const longer = m2;
        m2 = m1;
        m1 = longer;
    }
    const eoc_activation_kind *kind = e->act.kind;
    const double scale_1 = exp(-0.5 * m1->log_phi2), scale_2 = exp(-0.5 * m2->log_phi2), root = sqrt(m2->q);
    for (int level = 0;; level++) {
        eoc_expectations_place(e, m1->q, 9.0, 1.5, level, true);
        const size_t n = e->rule->num_nodes;
        double *const u2 = e->psi[0], *const f = e->psi[1];
        for (size_t i = 0; i < n; i++) {
            u2[i] = -root * e->rule->z[i];
        }
        double error = 0.0;
        if (one_minus_feature_c) {
            kind->phi_many(u2, f, n, e->act.parameters);
            for (size_t i = 0; i < n; i++) {
                const double difference = scale_1 * e->phi[i] - scale_2 * f[i];
                f[i] = 0.5 * difference * difference;
            }
            const eoc_expectation apart = eoc_quadrature_sum(e->rule, f);
            *one_minus_feature_c = apart.value;
            error = fmax(error, apart.error);
        }
        if (dphi_dphi) {
            kind->dphi_many(u2, f, n, e->act.parameters);
            for (size_t i = 0; i < n; i++) {
                f[i] *= e->dphi[i];
            }
            const eoc_expectation slopes = eoc_quadrature_sum(e->rule, f);
            *dphi_dphi = slopes.value;
            error = fmax(error, slopes.error / (sqrt(m1->mu_1) * sqrt(m2->mu_1)));
        }
        if (!(error > 1e-12) || level >= MAX_LEVEL) {
            return;
        }
    }
}

bool eoc_pair_is_quick(const eoc_expectations *e, const eoc_moments *m, double one_minus_c)
{
    return m->regime != EOC_REGIME_GENERAL || eoc_wave_serves(e, m->q) || eoc_lattice_serves(e, m, one_minus_c) ||
           eoc_tails_serve(e->tails, m, one_minus_c) || eoc_corners_serve(e, one_minus_c);
}

void eoc_direct_pair_fill(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                          double *one_minus_feature_c, double *dphi_dphi)
{
    eoc_pair_values values;
    const bool wave = eoc_wave_pair(e, m1, m2, one_minus_c, &values);
    if (!wave && 2.0 - one_minus_c <= 8.0 * DBL_EPSILON) {
        fill_opposite_pair(e, m1, m2, one_minus_feature_c, dphi_dphi);
        return;
    }
    if (wave || (m1->log_q == m2->log_q &&
                 (eoc_tails_pair(e->tails, m1, one_minus_c, &values) || eoc_lattice_pair(e, m1, one_minus_c, &values) ||
                  eoc_corners_pair(e, m1, one_minus_c, &values)))) {
        if (one_minus_feature_c) {
            *one_minus_feature_c = values.one_minus_feature_c;
        }
        if (dphi_dphi) {
            *dphi_dphi = values.dphi_dphi;
        }
        return;
    }
    fill_adaptive_pair(e, m1, m2, one_minus_c, one_minus_feature_c, dphi_dphi);
}

/*
 * So near 1 that the map is its derivative, and what jumps of dphi add: with K their weight and angle arccos c,
 * E[dphi dphi] = mu_1 - K angle/(2 pi), and one integration more for E[phi phi]. What else there is is of the order of
 * q (1 - c).
 */
static void fill_nearest_pair(const eoc_expectations *e, const eoc_moments *m, double one_minus_c,
                              double *one_minus_feature_c, double *dphi_dphi)
{
    const double angle = 2.0 * asin(sqrt(0.5 * one_minus_c));
    const double jumps = m->regime == EOC_REGIME_GENERAL ? eoc_moments_jumps(e, m->q) / (2.0 * PI) : 0.0;
    if (one_minus_feature_c) {
        *one_minus_feature_c =
            (one_minus_c * m->mu_1 - jumps * eoc_sin_minus_t_cos(angle)) * exp(m->log_q - m->log_phi2);
    }
    if (dphi_dphi) {
        *dphi_dphi = m->mu_1 - jumps * angle;
    }
}

void eoc_pair_fill(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                   double *one_minus_feature_c, double *dphi_dphi)
{
    if (m1->regime == EOC_REGIME_HOMOGENEOUS && m2->regime == EOC_REGIME_HOMOGENEOUS) {
        fill_homogeneous_pair(m1, m2, one_minus_c, one_minus_feature_c, dphi_dphi);
        return;
    }
    const bool equal = m1->log_q == m2->log_q;
    if (equal && one_minus_c * (1.0 + m1->q) < 1e-14) {
        fill_nearest_pair(e, m1, one_minus_c, one_minus_feature_c, dphi_dphi);
        return;
    }
    if (m1->regime == EOC_REGIME_CONSTANT && m2->regime == EOC_REGIME_CONSTANT) {
        if (one_minus_feature_c) { /* phi(0) but for a slope; 0/0 where phi(0) = 0: all signals are zero */
            const double cross = (1.0 - one_minus_c) * sqrt(m1->q * m2->q);
            *one_minus_feature_c = 0.5 * m1->mu_1 * (m1->q + m2->q - 2.0 * cross) / exp(m1->log_phi2);
        }
        if (dphi_dphi) {
            *dphi_dphi = m1->mu_1;
        }
        return;
    }
    if (m1->regime != EOC_REGIME_GENERAL || m2->regime != EOC_REGIME_GENERAL) {
        /* Two regimes meet only where one input is very much longer than the other. */
        eoc_moments near_1 = *m1, near_2 = *m2;
        if (m1->regime != EOC_REGIME_GENERAL) {
            near_1.regime = EOC_REGIME_GENERAL;
            near_1.q = fmin(fmax(m1->q, 1e-300), 1e300);
            near_1.log_q = log(near_1.q);
        }
        if (m2->regime != EOC_REGIME_GENERAL) {
            near_2.regime = EOC_REGIME_GENERAL;
            near_2.q = fmin(fmax(m2->q, 1e-300), 1e300);
            near_2.log_q = log(near_2.q);
        }
        eoc_direct_pair_fill(e, &near_1, &near_2, fmax(one_minus_c, 1e-22), one_minus_feature_c, dphi_dphi);
        return;
    }
    if (!eoc_series_pair_fill(m1, m2, one_minus_c, one_minus_feature_c, dphi_dphi) &&
        !(equal && eoc_table_pair_fill(m1, one_minus_c, one_minus_feature_c, dphi_dphi))) {
        eoc_direct_pair_fill(e, m1, m2, fmax(one_minus_c, 1e-24), one_minus_feature_c, dphi_dphi);
    }
}

void eoc_zero_pair_fill(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double *one_minus_feature_c,
                        double *dphi_dphi)
{
    if (one_minus_feature_c && (m1->log_phi2 == -INFINITY || m2->log_phi2 == -INFINITY)) {
        *one_minus_feature_c = NAN;
        one_minus_feature_c = NULL;
    }
    if (dphi_dphi && (m1->mu_1 == 0.0 || m2->mu_1 == 0.0)) {
        *dphi_dphi = 0.0; /* at a kink dphi is 0, which quadrature near it does not say */
        dphi_dphi = NULL;
    }
    if (one_minus_feature_c || dphi_dphi) {
        eoc_pair_fill(e, m1, m2, 1.0, one_minus_feature_c, dphi_dphi);
    }
}

/* Half the square of what dphi differs by. */
static void gap_row(double u1, const double *y, const double *u2, double *f, size_t n, void *context)
{
    const eoc_activation *act = context;
    const double dphi_1 = eoc_activation_dphi(act, u1);
    (void)y;
    act->kind->dphi_many(u2, f, n, act->parameters);
    for (size_t i = 0; i < n; i++) {
        f[i] = 0.5 * (dphi_1 - f[i]) * (dphi_1 - f[i]);
    }
}

static double quadrature_slope_gap(eoc_expectations *e, const eoc_moments *m, double one_minus_c)
{
    const eoc_activation_kind *kind = e->act.kind;
    eoc_quadrature_pair pair = {.scale = sqrt(m->q),
                                .slope = 1.0 - one_minus_c,
                                .spread = sqrt(m->q) * sqrt(one_minus_c * (2.0 - one_minus_c)),
                                .feature = EOC_FEATURE,
                                .even = kind->odd,
                                .num_kinks = kind->num_kinks};
    memcpy(pair.kinks, kind->kinks, sizeof pair.kinks);
    eoc_expectation value;
    eoc_quadrature_expect_pair(e->quadrature, &pair, gap_row, &e->act, 1, &value);
    return value.value / m->mu_1;
}

/* sum n a_n^2 (1 - c^(n-1)) over that of n a_n^2; only where the series has ended. */
static double series_slope_gap(const eoc_moments *m, double one_minus_c)
{
    double sum = 0.0, one_minus_power = 0.0;
    for (int n = 1; n < m->num_hermite; n++) {
        sum += n * m->hermite[n] * m->hermite[n] * one_minus_power;
        one_minus_power = one_minus_c + (1.0 - one_minus_c) * one_minus_power;
    }
    return sum * exp(m->log_phi2 - m->log_q) / m->mu_1;
}

double eoc_pair_slope_gap(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                          double dphi_dphi)
{
    static const double SMALL = 1e-3, LEAST = 1e-18;
    const double gap = 1.0 - dphi_dphi / (sqrt(m1->mu_1) * sqrt(m2->mu_1));
    if (gap > SMALL || m1->log_q != m2->log_q || one_minus_c > 1.0) {
        return gap;
    }
    if (m1->regime == EOC_REGIME_HOMOGENEOUS) {
        const double angle = 2.0 * asin(fmin(1.0, sqrt(0.5 * one_minus_c))), bend = m1->slopes[1] - m1->slopes[0];
        return bend * bend * angle / (2.0 * PI * m1->mu_1);
    }
    if (m1->regime == EOC_REGIME_CONSTANT) {
        return fmax(gap, 0.0);
    }
    if (m1->num_hermite > 0 && m1->residual == 0.0 && m1->slope_residual < 1e-12) {
        return series_slope_gap(m1, one_minus_c);
    }
    if (one_minus_c >= LEAST) {
        return quadrature_slope_gap(e, m1, one_minus_c);
    }
    /* It goes as the distance of u1 and u2 where dphi jumps, as its square elsewhere. */
    return quadrature_slope_gap(e, m1, LEAST) * pow(one_minus_c / LEAST, e->jumps ? 0.5 : 1.0);
}
