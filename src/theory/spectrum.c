/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/mean_field.h"

#include "expectations.h"

#include <assert.h>
#include <math.h>

/* The squared slopes d = dphi(u)^2 and their law: what is left of it at the nodes, and the greatest. */
typedef struct {
    const eoc_quadrature_rule *rule;
    const double *d; /* (num_nodes) */
    double greatest;
    double log_sigma_w2, s_1;
    int depth;
} slope_law;

/*
 * Log of the point z of the spectrum's outside that the moment function M(z) = sum_k m_k/z^k of J J^T takes
 * to the value that x = greatest exp(t) > greatest takes for D^2: z = (1 + M)/(M S(M)), S = S_D^L S_W^L, S_D
 * = (1 + M)/(M x), S_W = 1/(sigma_w2 (1 + M)) gaussian, 1/sigma_w2 orthogonal.
 */
static double log_outside(const slope_law *law, double t)
{
    const double over = expm1(t);
    double moment = 0.0;
    for (size_t i = 0; i < law->rule->num_nodes; i++) {
        const double d = law->d[i] / law->greatest;
        moment += law->rule->weight[i] * d / (over + (1.0 - d));
    }
    const double log_growth = log1p(moment);
    const double log_inverse_s_d = log(moment) + log(law->greatest) + t - log_growth;
    const double log_inverse_s_w = law->log_sigma_w2 - law->s_1 * log_growth;
    return log_growth - log(moment) + law->depth * (log_inverse_s_d + log_inverse_s_w);
}

/* The edge is where z has its minimum: golden section in log t, over all scales that double holds. */
static double least_outside(const slope_law *law)
{
    const double ratio = 0.61803398874989484820;
    double low = -34.0, high = 12.0;
    double a = high - ratio * (high - low), b = low + ratio * (high - low);
    double f_a = log_outside(law, exp(a)), f_b = log_outside(law, exp(b));
    for (int i = 0; i < 80; i++) {
        if (f_a < f_b) {
            high = b;
            b = a;
            f_b = f_a;
            a = high - ratio * (high - low);
            f_a = log_outside(law, exp(a));
        } else {
            low = a;
            a = b;
            f_a = f_b;
            b = low + ratio * (high - low);
            f_b = log_outside(law, exp(b));
        }
    }
    return fmin(f_a, f_b);
}

eoc_status eoc_mean_field_log_lambda_max(const eoc_activation *act, double sigma_w2, double q_star, int depth,
                                         double s_1, double *log_lambda_max)
{
    assert(depth >= 1);
    *log_lambda_max = NAN;
    if (!isfinite(q_star) || sigma_w2 == 0.0) {
        return EOC_OK;
    }
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    eoc_moments m;
    eoc_moments_fill(e, log(q_star), &m);
    double two_sided[2] = {m.slopes[0] * m.slopes[0], m.slopes[1] * m.slopes[1]};
    double halves[2] = {0.5, 0.5};
    eoc_quadrature_rule two = {.num_nodes = 2, .weight = halves};
    slope_law law = {.rule = &two, .d = two_sided, .log_sigma_w2 = log(sigma_w2), .s_1 = s_1, .depth = depth};
    if (m.regime == EOC_REGIME_GENERAL) {
        for (size_t i = 0; i < e->rule->num_nodes; i++) {
            e->dphi[i] *= e->dphi[i];
        }
        law.rule = e->rule;
        law.d = e->dphi;
    } else if (m.regime == EOC_REGIME_CONSTANT) {
        two_sided[0] = two_sided[1] = m.mu_1;
    }
    for (size_t i = 0; i < law.rule->num_nodes; i++) {
        law.greatest = fmax(law.greatest, law.d[i]);
    }
    if (law.greatest > 0.0) {
        *log_lambda_max = least_outside(&law);
    }
    eoc_expectations_destroy(&e);
    return EOC_OK;
}
