/* SPDX-License-Identifier: BSD-3-Clause */
#include "expectations.h"

#include "eoc/vecmath.h"

#include <math.h>

/* -- coefficients -- */

/* psi_(n+1) = (z psi_n - sqrt(n) psi_(n-1))/sqrt(n+1) written over psi_(n-1); returns sum f psi_(n+1). */
static double hermite_step(const double *z, const double *f, const double *psi, double *older, size_t num, int n)
{
    const double a = 1.0 / sqrt(n + 1.0);
    return eoc_vec_recur(a, z, psi, sqrt((double)n) * a, older, f, num);
}

static double sum_of(const double *f, const double *psi, size_t n)
{
    double sum = 0.0;
    eoc_vec_dots(psi, n, 1, f, n, &sum);
    return sum;
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
    eoc_expectations_place(e, m->q, most > 16 ? 12.0 : 10.0, most > 100 ? 0.8 : 1.2, 0, false);
    const size_t n = e->rule->num_nodes;
    const double scale = exp(-0.5 * m->log_phi2);
    const double slope_scale = exp(m->log_phi2) / (m->q * m->mu_1);
    double *f = e->work;
    for (size_t i = 0; i < n; i++) {
        f[i] = e->rule->weight[i] * e->phi[i] * scale;
        e->psi[0][i] = 1.0;
        e->psi[1][i] = e->rule->z[i];
    }
    const bool odd = e->act.kind->odd;
    m->hermite[0] = odd ? 0.0 : sum_of(f, e->psi[0], n);
    m->hermite[1] = sum_of(f, e->psi[1], n);
    double residual = 1.0 - m->hermite[0] * m->hermite[0] - m->hermite[1] * m->hermite[1];
    double slope_residual = 1.0 - slope_scale * m->hermite[1] * m->hermite[1];
    /* Beside the series of another length, which may be longer, the terms themselves must have ended, and not only what
     * is left of their squares. */
    static const double ENDED = 1e-12;
    double before = INFINITY;
    int num = 2;
    for (; num < most; num++) {
        const double a = hermite_step(e->rule->z, f, e->psi[(num - 1) % 2], e->psi[num % 2], n, num - 1);
        m->hermite[num] = odd && num % 2 == 0 ? 0.0 : a;
        residual -= m->hermite[num] * m->hermite[num];
        slope_residual -= slope_scale * num * m->hermite[num] * m->hermite[num];
        const double term = fabs(a) * sqrt(slope_scale * num);
        if (residual < 1e-14 && slope_residual < 3e-13 && fmax(term, before) <= ENDED) {
            num++;
            break;
        }
        before = term;
    }
    m->num_hermite = num;
    m->residual = residual < 1e-14 ? 0.0 : residual;
    m->slope_residual = fmax(slope_residual, 0.0);
}

/* -- sums -- */

bool eoc_series_pair_fill(const eoc_moments *m1, const eoc_moments *m2, double one_minus_c, double *one_minus_feature_c,
                          double *dphi_dphi)
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
