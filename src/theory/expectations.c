/* SPDX-License-Identifier: BSD-3-Clause */
#include "expectations.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = EOC_QUADRATURE_MAX_PANELS * EOC_QUADRATURE_POINTS, LANES = 8, MAX_LEVEL = 6 };

static const double PI = 3.14159265358979323846;

/* Structure of phi, other than kinks, is on the scale of 2 around 0: the nearest pole of any row, tanh's, is at i
 * pi/2. */
static const double FEATURE = 2.0;

/* Panels of the law of d: 21 nodes each, for resolvents near the real line. */
static const double LAW_PANEL = 0.05;

/* Below exp(LOG_TINY) = 1e-26 phi is linear on either side of 0 to 1e-13; above exp(LOG_HUGE) = 1e26 it is seen as
 * its slopes at infinity to the same. */
static const double LOG_TINY = -59.867;
static const double LOG_HUGE = 59.867;

/* Rows that are bounded reach their bound, or come within a part in a thousand of it, before 20. */
static double find_bound2(const eoc_expectations *e)
{
    if (e->slope_infinity[0] != 0.0 || e->slope_infinity[1] != 0.0) {
        return INFINITY;
    }
    double greatest = 0.0;
    for (int i = -100; i <= 100; i++) {
        const double phi = eoc_activation_phi(&e->act, 0.2 * i);
        greatest = fmax(greatest, phi * phi);
    }
    return 1.1 * greatest;
}

eoc_status eoc_expectations_create(const eoc_activation *act, eoc_expectations **made)
{
    eoc_expectations *e = calloc(1, sizeof *e);
    EOC_REQUIRE(e, EOC_ERR_NOMEM, "no memory for expectations");
    e->act = *act;
    e->slope_zero[0] = eoc_activation_dphi(act, -1e-200);
    e->slope_zero[1] = eoc_activation_dphi(act, 1e-200);
    e->slope_infinity[0] = -eoc_activation_phi(act, -1e30) / 1e30;
    e->slope_infinity[1] = eoc_activation_phi(act, 1e30) / 1e30;
    for (int side = 0; side < 2; side++) {
        if (fabs(e->slope_infinity[side]) < 1e-20) {
            e->slope_infinity[side] = 0.0;
        }
    }
    e->bound2 = find_bound2(e);
    for (int i = 0; i < act->kind->num_kinks; i++) {
        const double kink = act->kind->kinks[i];
        const double jump = eoc_activation_dphi(act, kink + 1e-9) - eoc_activation_dphi(act, kink - 1e-9);
        e->jumps = e->jumps || fabs(jump) > 1e-6;
    }
    eoc_status status = eoc_quadrature_create(&e->quadrature);
    if (status == EOC_OK) {
        status = eoc_quadrature_rule_create(&e->rule);
    }
    e->phi = malloc(5 * MAX_NODES * sizeof *e->phi);
    if (status == EOC_OK && !e->phi) {
        status = EOC_FAIL(EOC_ERR_NOMEM, "no memory for expectations");
    }
    if (status != EOC_OK) {
        eoc_expectations_destroy(&e);
        return status;
    }
    e->dphi = e->phi + MAX_NODES;
    e->work = e->phi + 2 * MAX_NODES;
    e->psi[0] = e->phi + 3 * MAX_NODES;
    e->psi[1] = e->phi + 4 * MAX_NODES;
    *made = e;
    return EOC_OK;
}

void eoc_expectations_destroy(eoc_expectations **expectations)
{
    eoc_expectations *e = *expectations;
    if (e) {
        eoc_quadrature_destroy(&e->quadrature);
        eoc_quadrature_rule_destroy(&e->rule);
        free(e->phi);
    }
    free(e);
    *expectations = NULL;
}

/* -- one variance -- */

static void fill_homogeneous(const double slopes[2], double log_q, eoc_moments *m)
{
    const double below = slopes[0] * slopes[0], above = slopes[1] * slopes[1];
    m->regime = EOC_REGIME_HOMOGENEOUS;
    m->slopes[0] = slopes[0];
    m->slopes[1] = slopes[1];
    m->mu_1 = 0.5 * (below + above);
    m->mu_2 = 0.5 * (below * below + above * above);
    m->log_phi2 = log(m->mu_1) + log_q;
    m->phi2_z2 = 2.0;
    m->phi2_z4 = 0.0;
}

/* Nodes for functions of u = sqrt(q) z made of phi and, where wanted, dphi there. */
static void fill_nodes(eoc_expectations *e, double q, double range, double widest, int level, bool slopes)
{
    const eoc_activation_kind *kind = e->act.kind;
    const double scale = sqrt(q);
    eoc_quadrature_layout layout = {.range = range, .widest = widest, .half = kind->odd, .level = level, .num_foci = 1};
    layout.focus_widths[0] = FEATURE / scale;
    for (int i = 0; i < kind->num_kinks; i++) {
        layout.breaks[layout.num_breaks++] = kind->kinks[i] / scale;
    }
    eoc_quadrature_rule_fill(e->rule, &layout);
    const size_t n = e->rule->num_nodes;
    for (size_t i = 0; i < n; i++) {
        e->work[i] = scale * e->rule->z[i];
    }
    kind->phi_many(e->work, e->phi, n, e->act.parameters);
    if (slopes) {
        kind->dphi_many(e->work, e->dphi, n, e->act.parameters);
    }
}

/* value/by of the expectation of `work`, whose error relative to `by` goes into *error. */
static double relative_sum(const eoc_expectations *e, double by, double *error)
{
    const eoc_expectation sum = eoc_quadrature_sum(e->rule, e->work);
    if (by > 0.0) {
        *error = fmax(*error, sum.error / by);
        return sum.value / by;
    }
    return 0.0;
}

/* E[phi^2] and its slope at the nodes in place. Returns the greatest relative error. */
static double sum_lengths(eoc_expectations *e, eoc_moments *m)
{
    const size_t n = e->rule->num_nodes;
    for (size_t i = 0; i < n; i++) {
        e->work[i] = e->phi[i] * e->phi[i];
    }
    const eoc_expectation phi2 = eoc_quadrature_sum(e->rule, e->work);
    double error = phi2.value > 0.0 ? phi2.error / phi2.value : 0.0;
    m->log_phi2 = log(phi2.value);
    for (size_t i = 0; i < n; i++) {
        e->work[i] *= e->rule->z[i] * e->rule->z[i] - 1.0;
    }
    m->phi2_z2 = relative_sum(e, phi2.value, &error);
    return error;
}

/* The other expectations of squares and fourth powers. */
static double sum_slopes(eoc_expectations *e, eoc_moments *m)
{
    const size_t n = e->rule->num_nodes;
    double *f = e->work;
    for (size_t i = 0; i < n; i++) {
        const double z2 = e->rule->z[i] * e->rule->z[i];
        f[i] = e->phi[i] * e->phi[i] * (z2 * (z2 - 6.0) + 3.0);
    }
    double error = 0.0; /* not of the first: a second derivative may be less exact */
    m->phi2_z4 = relative_sum(e, exp(m->log_phi2), &error);
    for (size_t i = 0; i < n; i++) {
        f[i] = e->dphi[i] * e->dphi[i];
    }
    const eoc_expectation dphi2 = eoc_quadrature_sum(e->rule, f);
    m->mu_1 = dphi2.value;
    error = dphi2.value > 0.0 ? dphi2.error / dphi2.value : 0.0;
    for (size_t i = 0; i < n; i++) {
        f[i] *= f[i];
    }
    const eoc_expectation dphi4 = eoc_quadrature_sum(e->rule, f);
    m->mu_2 = dphi4.value;
    return dphi4.value > 0.0 ? fmax(error, dphi4.error / dphi4.value) : error;
}

static void fill(eoc_expectations *e, double log_q, bool slopes, eoc_moments *m)
{
    const eoc_activation_kind *kind = e->act.kind;
    m->log_q = log_q;
    m->q = exp(log_q);
    m->greatest_c = 0.0;
    m->num_hermite = 0;
    m->table_reach = 0.0;
    m->error = 0.0;
    const bool unbounded = e->slope_infinity[0] != 0.0 || e->slope_infinity[1] != 0.0;
    if ((kind->scale_invariant && log_q > -INFINITY) || (log_q > LOG_HUGE && unbounded)) {
        fill_homogeneous(e->slope_infinity, log_q, m);
        return;
    }
    if (log_q < LOG_TINY && log_q > -INFINITY && kind->zero_at_zero) {
        fill_homogeneous(e->slope_zero, log_q, m);
        return;
    }
    if (log_q < LOG_TINY) {
        const double phi = eoc_activation_phi(&e->act, 0.0), dphi = eoc_activation_dphi(&e->act, 0.0);
        m->regime = EOC_REGIME_CONSTANT;
        m->log_phi2 = 2.0 * log(fabs(phi));
        m->mu_1 = dphi * dphi;
        m->mu_2 = m->mu_1 * m->mu_1;
        m->phi2_z2 = m->phi2_z4 = 0.0;
        return;
    }
    m->regime = EOC_REGIME_GENERAL;
    for (int level = 0;; level++) {
        fill_nodes(e, m->q, 9.0, 1.5, level, slopes);
        m->error = sum_lengths(e, m);
        if (slopes) {
            m->error = fmax(m->error, sum_slopes(e, m));
        }
        if (m->error <= 1e-12 || level >= MAX_LEVEL) {
            return;
        }
    }
}

size_t eoc_law_fill(eoc_expectations *e, const eoc_moments *m, double *d, double *weight)
{
    size_t num = 0;
    if (m->regime != EOC_REGIME_GENERAL) {
        const bool constant = m->regime == EOC_REGIME_CONSTANT;
        for (int side = 0; side < 2; side++) {
            d[side] = constant ? m->mu_1 : m->slopes[side] * m->slopes[side];
            weight[side] = 0.5;
        }
        num = 2;
    } else {
        fill_nodes(e, m->q, 9.0, LAW_PANEL, 0, true);
        for (size_t i = 0; i < e->rule->num_nodes; i++) {
            d[i] = e->dphi[i] * e->dphi[i];
            weight[i] = e->rule->weight[i];
        }
        num = e->rule->num_nodes;
    }
    /* Runs of one value, which piecewise straight phi have, become one. */
    size_t kept = 0;
    for (size_t i = 1; i < num; i++) {
        if (d[i] == d[kept]) {
            weight[kept] += weight[i];
        } else {
            d[++kept] = d[i];
            weight[kept] = weight[i];
        }
    }
    return kept + 1;
}

void eoc_lengths_fill(eoc_expectations *e, double log_q, eoc_moments *m)
{
    fill(e, log_q, false, m);
}

void eoc_moments_fill(eoc_expectations *e, double log_q, eoc_moments *m)
{
    fill(e, log_q, true, m);
}

/* Zero-weight nodes up to a whole number of lanes, so that the recurrence below runs on whole vectors. */
static size_t pad_nodes(eoc_expectations *e)
{
    size_t n = e->rule->num_nodes;
    for (; n % LANES != 0; n++) {
        e->rule->z[n] = 0.0;
        e->phi[n] = 0.0;
    }
    return n;
}

/* sum f psi over whole lanes */
static double lane_sum(const double *f, const double *psi, size_t n)
{
    double sum[LANES] = {0.0};
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            sum[k] += f[i + k] * psi[i + k];
        }
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* psi_(n+1) = (z psi_n - sqrt(n) psi_(n-1))/sqrt(n+1) written over psi_(n-1); returns sum f psi_(n+1). */
static double hermite_step(const double *z, const double *f, const double *psi, double *older, size_t num, int n)
{
    const double a = 1.0 / sqrt(n + 1.0), b = sqrt((double)n) * a;
    double sum[LANES] = {0.0};
    for (size_t i = 0; i < num; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            const double next = a * z[i + k] * psi[i + k] - b * older[i + k];
            older[i + k] = next;
            sum[k] += f[i + k] * next;
        }
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

void eoc_moments_expand(eoc_expectations *e, double greatest_c, eoc_moments *m)
{
    m->greatest_c = greatest_c;
    m->num_hermite = 0;
    if (m->regime != EOC_REGIME_GENERAL || !isfinite(m->log_phi2) || m->q > 1e4) {
        return;
    }
    /* Terms after which |c|^n alone has ended the series; a kink leaves no other end. */
    const double c = fmin(fabs(greatest_c), 1.0);
    const double by_c = c < 1.0 ? ceil(-32.0 / log(c)) + 2.0 : INFINITY;
    const int most = (int)fmin(by_c, EOC_MAX_HERMITE);

    /* The functions psi_n have wave numbers up to sqrt(n) and reach to 2 sqrt(n), under exp(-z^2/4). */
    fill_nodes(e, m->q, most > 16 ? 12.0 : 10.0, most > 100 ? 0.8 : 1.2, 0, false);
    const size_t n = pad_nodes(e);
    const double scale = exp(-0.5 * m->log_phi2);
    const double slope_scale = exp(m->log_phi2) / (m->q * m->mu_1);
    double *f = e->work;
    for (size_t i = 0; i < n; i++) {
        f[i] = i < e->rule->num_nodes ? e->rule->weight[i] * e->phi[i] * scale : 0.0;
        e->psi[0][i] = 1.0;
        e->psi[1][i] = e->rule->z[i];
    }
    const bool odd = e->act.kind->odd;
    m->hermite[0] = odd ? 0.0 : lane_sum(f, e->psi[0], n);
    m->hermite[1] = lane_sum(f, e->psi[1], n);
    double residual = 1.0 - m->hermite[0] * m->hermite[0] - m->hermite[1] * m->hermite[1];
    double slope_residual = 1.0 - slope_scale * m->hermite[1] * m->hermite[1];
    int num = 2;
    for (; num < most; num++) {
        const double a = hermite_step(e->rule->z, f, e->psi[(num - 1) % 2], e->psi[num % 2], n, num - 1);
        m->hermite[num] = odd && num % 2 == 0 ? 0.0 : a;
        residual -= m->hermite[num] * m->hermite[num];
        slope_residual -= slope_scale * num * m->hermite[num] * m->hermite[num];
        if (residual < 1e-14 && slope_residual < 3e-13) {
            num++;
            break;
        }
    }
    m->num_hermite = num;
    m->residual = residual < 1e-14 ? 0.0 : residual;
    m->slope_residual = fmax(slope_residual, 0.0);
}

/* -- two variances -- */

/* (sin t - t cos t), without the cancellation at small t: sum_k (-1)^(k+1) 2k t^(2k+1)/(2k+1)!. */
static double sin_minus_t_cos(double t)
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
        const double half_minus_k = 0.5 * one_minus_c - sin_minus_t_cos(angle) / (2.0 * PI);
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

/* By the series; false where what is left of it is not small enough. */
static bool fill_series_pair(const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                             double *one_minus_feature_c, double *dphi_dphi)
{
    const int num = m1->num_hermite < m2->num_hermite ? m1->num_hermite : m2->num_hermite;
    if (num == 0) {
        return false;
    }
    const double c = 1.0 - one_minus_c;
    double power = 1.0, one_minus_power = 0.0; /* c^n, 1 - c^n */
    double unlike = 0.0, apart = 0.0, slope = 0.0, power_before = 0.0;
    for (int n = 0; n < num; n++) {
        const double a = m1->hermite[n], b = m2->hermite[n];
        unlike += (a - b) * (a - b);
        apart += a * b * one_minus_power;
        slope += n * a * b * power_before;
        power_before = power;
        one_minus_power = one_minus_c + c * one_minus_power;
        power *= c;
    }
    /* With series of different lengths the rest of the longer one counts as unlike. */
    const eoc_moments *longer = m1->num_hermite > m2->num_hermite ? m1 : m2;
    for (int n = num; n < longer->num_hermite; n++) {
        unlike += longer->hermite[n] * longer->hermite[n];
    }
    const double feature = 0.5 * (unlike + m1->residual + m2->residual) + apart;
    const double rest = fabs(power);
    const double tail = rest * sqrt(m1->residual * m2->residual);
    const double slope_tail = rest * sqrt(m1->slope_residual * m2->slope_residual);
    const bool feature_good = tail <= 1e-12 * feature;
    const bool slope_good = slope_tail <= 1e-12;
    if ((one_minus_feature_c && !feature_good) || (dphi_dphi && !slope_good)) {
        return false;
    }
    if (one_minus_feature_c) {
        *one_minus_feature_c = feature;
    }
    if (dphi_dphi) {
        *dphi_dphi = slope * exp(0.5 * (m1->log_phi2 + m2->log_phi2 - m1->log_q - m2->log_q));
    }
    return true;
}

typedef struct {
    const eoc_expectations *e;
    double scale_1, scale_2; /* 1/sqrt(E[phi^2]) of each */
    double lag, spread;      /* u1 - u2 = lag u1 - spread y */
    bool near;               /* u1 and u2 so near that phi(u1) - phi(u2) is taken by the derivative between them */
    bool feature, gradient;  /* which of the two values are wanted */
} pair_context;

static bool kink_between(const eoc_activation_kind *kind, double u, double v)
{
    for (int i = 0; i < kind->num_kinks; i++) {
        if ((u - kind->kinks[i]) * (v - kind->kinks[i]) <= 0.0) {
            return true;
        }
    }
    return false;
}

static void pair_row(double u1, const double *y, const double *u2, double *f, size_t n, void *context)
{
    const pair_context *p = context;
    const eoc_activation *act = &p->e->act;
    if (p->feature) {
        const double phi_1 = eoc_activation_phi(act, u1);
        act->kind->phi_many(u2, f, n, act->parameters);
        for (size_t i = 0; i < n; i++) {
            double difference = p->scale_1 * phi_1 - p->scale_2 * f[i];
            if (p->near && !kink_between(act->kind, u1, u2[i])) {
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

static void fill_quadrature_pair(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                                 double *one_minus_feature_c, double *dphi_dphi)
{
    const eoc_activation_kind *kind = e->act.kind;
    const double c = 1.0 - one_minus_c;
    eoc_quadrature_pair pair = {.scale = sqrt(m1->q),
                                .slope = c * exp(0.5 * (m2->log_q - m1->log_q)),
                                .spread = sqrt(m2->q) * sqrt(one_minus_c * (2.0 - one_minus_c)),
                                .feature = FEATURE,
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

/* -- the table -- */

static double chebyshev_sum(const double coefficients[EOC_PAIR_TABLE], double x)
{
    double b1 = 0.0, b2 = 0.0;
    for (int k = EOC_PAIR_TABLE - 1; k > 0; k--) {
        const double b0 = coefficients[k] + 2.0 * x * b1 - b2;
        b2 = b1;
        b1 = b0;
    }
    return coefficients[0] + x * b1 - b2;
}

/* Coefficients of values at the Chebyshev points cos(pi (i + 1/2)/n); true where the last ones have died out. */
static bool chebyshev_fill(const double values[EOC_PAIR_TABLE], double coefficients[EOC_PAIR_TABLE])
{
    double greatest = 0.0, last = 0.0;
    for (int k = 0; k < EOC_PAIR_TABLE; k++) {
        double sum = 0.0;
        for (int i = 0; i < EOC_PAIR_TABLE; i++) {
            sum += values[i] * cos(PI * k * (i + 0.5) / EOC_PAIR_TABLE);
        }
        coefficients[k] = sum * (k > 0 ? 2.0 : 1.0) / EOC_PAIR_TABLE;
        greatest = fmax(greatest, fabs(coefficients[k]));
        last = k >= EOC_PAIR_TABLE - 4 ? fmax(last, fabs(coefficients[k])) : last;
    }
    return last <= 1e-11 * greatest;
}

void eoc_moments_tabulate(eoc_expectations *e, eoc_moments *m)
{
    if (m->regime != EOC_REGIME_GENERAL || m->table_reach != 0.0) {
        return;
    }
    for (double reach = 0.4; reach > 0.04; reach *= 0.5) {
        double features[EOC_PAIR_TABLE], slopes[EOC_PAIR_TABLE];
        for (int i = 0; i < EOC_PAIR_TABLE; i++) {
            const double root = 0.5 * reach * (1.0 + cos(PI * (i + 0.5) / EOC_PAIR_TABLE));
            fill_quadrature_pair(e, m, m, root * root, &features[i], &slopes[i]);
            features[i] /= root * root;
        }
        if (chebyshev_fill(features, m->feature_table) && chebyshev_fill(slopes, m->slope_table)) {
            m->table_reach = reach;
            return;
        }
    }
    m->table_reach = -1.0;
}

static bool fill_table_pair(const eoc_moments *m, double one_minus_c, double *one_minus_feature_c, double *dphi_dphi)
{
    const double root = sqrt(one_minus_c);
    if (!(root <= m->table_reach)) {
        return false;
    }
    const double x = 2.0 * root / m->table_reach - 1.0;
    if (one_minus_feature_c) {
        *one_minus_feature_c = one_minus_c * chebyshev_sum(m->feature_table, x);
    }
    if (dphi_dphi) {
        *dphi_dphi = chebyshev_sum(m->slope_table, x);
    }
    return true;
}

void eoc_pair_fill(eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                   double *one_minus_feature_c, double *dphi_dphi)
{
    if (m1->regime == EOC_REGIME_HOMOGENEOUS && m2->regime == EOC_REGIME_HOMOGENEOUS) {
        fill_homogeneous_pair(m1, m2, one_minus_c, one_minus_feature_c, dphi_dphi);
        return;
    }
    const bool equal = m1->log_q == m2->log_q;
    /* So near 1 that the map is its derivative; corrections are of the order of the root of 1 - c, or less. */
    if (equal && one_minus_c < 1e-22) {
        if (one_minus_feature_c) {
            *one_minus_feature_c = one_minus_c * m1->mu_1 * exp(m1->log_q - m1->log_phi2);
        }
        if (dphi_dphi) {
            *dphi_dphi = m1->mu_1;
        }
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
        }
        if (m2->regime != EOC_REGIME_GENERAL) {
            near_2.regime = EOC_REGIME_GENERAL;
            near_2.q = fmin(fmax(m2->q, 1e-300), 1e300);
        }
        fill_quadrature_pair(e, &near_1, &near_2, fmax(one_minus_c, 1e-22), one_minus_feature_c, dphi_dphi);
        return;
    }
    if (!fill_series_pair(m1, m2, one_minus_c, one_minus_feature_c, dphi_dphi) &&
        !(equal && fill_table_pair(m1, one_minus_c, one_minus_feature_c, dphi_dphi))) {
        fill_quadrature_pair(e, m1, m2, fmax(one_minus_c, 1e-24), one_minus_feature_c, dphi_dphi);
    }
}

/* -- small quantities by differences -- */

double eoc_moments_curvature(eoc_expectations *e, const eoc_moments *m)
{
    if (e->jumps) {
        return NAN;
    }
    const eoc_activation *act = &e->act;
    fill_nodes(e, m->q, 9.0, 1.5, 0, false);
    const double scale = sqrt(m->q);
    for (size_t i = 0; i < e->rule->num_nodes; i++) {
        const double u = scale * e->rule->z[i];
        double h = 1e-3; /* fourth-order differences: 1e-13 from the step, as much from rounding */
        for (int k = 0; k < act->kind->num_kinks; k++) {
            h = fmin(h, 0.4 * fabs(u - act->kind->kinks[k]));
        }
        const double near = eoc_activation_dphi(act, u + h) - eoc_activation_dphi(act, u - h);
        const double far = eoc_activation_dphi(act, u + 2.0 * h) - eoc_activation_dphi(act, u - 2.0 * h);
        const double second = h > 0.0 ? (8.0 * near - far) / (12.0 * h) : 0.0;
        e->work[i] = second * second;
    }
    return eoc_quadrature_sum(e->rule, e->work).value;
}

double eoc_moments_excess(eoc_expectations *e, double q)
{
    if (e->act.kind->scale_invariant) {
        return 0.0;
    }
    for (int level = 0;; level++) {
        fill_nodes(e, q, 9.0, 1.5, level, true);
        const double scale = sqrt(q);
        double magnitude = 0.0;
        for (size_t i = 0; i < e->rule->num_nodes; i++) {
            const double u = scale * e->rule->z[i];
            const double slope = e->slope_zero[u > 0.0];
            const double delta = e->phi[i] - slope * u, delta_slope = e->dphi[i] - slope;
            e->work[i] = q * delta_slope * delta_slope - delta * delta;
            magnitude += e->rule->weight[i] * (q * delta_slope * delta_slope + delta * delta);
        }
        const eoc_expectation excess = eoc_quadrature_sum(e->rule, e->work);
        if (excess.error <= 1e-12 * magnitude || level >= 3) {
            return excess.value;
        }
    }
}
