/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * phi = sin under a wide Gaussian, where no quadrature follows its waves: E[exp(i u)] = exp(-q/2), and with it every
 * expectation of sines and cosines, is elementary.
 */
#include "rules.h"

#include <math.h>

/* The lattice is as exact, and as quick, below. */
static const double LEAST_Q = 8.0;

bool eoc_wave_serves(const eoc_expectations *e, double q)
{
    return e->act.kind->wave && q >= LEAST_Q;
}

bool eoc_wave_fill(const eoc_expectations *e, eoc_moments *m)
{
    if (!eoc_wave_serves(e, m->q)) {
        return false;
    }
    const double rest = exp(-2.0 * m->q), phi2 = 0.5 * (1.0 - rest), growth = isinf(m->q) ? 0.0 : m->q * rest;
    m->log_phi2 = log(phi2);
    m->phi2_z2 = 2.0 * growth / phi2;
    m->phi2_z4 = isinf(m->q) ? 0.0 : -8.0 * m->q * growth / phi2;
    m->mu_1 = 0.5 * (1.0 + rest);
    m->mu_2 = 0.375 + 0.5 * rest + 0.125 * exp(-8.0 * m->q);
    m->error = 1e-15;
    return true;
}

double eoc_wave_excess(double q)
{
    const double rest = exp(-2.0 * q);
    return 0.5 * q * (1.0 + rest) - 0.5 * (1.0 - rest);
}

/* By cos(u1 - u2) and cos(u1 + u2), whose arguments have variances of twice `apart` and twice `together`. */
bool eoc_wave_pair(const eoc_expectations *e, const eoc_moments *m1, const eoc_moments *m2, double one_minus_c,
                   eoc_pair_values *values)
{
    if (!eoc_wave_serves(e, m1->q) || !eoc_wave_serves(e, m2->q)) {
        return false;
    }
    const bool equal = m1->log_q == m2->log_q;
    const double geometric = exp(0.5 * (m1->log_q + m2->log_q));
    const double root =
        exp(0.25 * m1->log_q) * exp(0.25 * m2->log_q); /* of that; beyond a double only where q is too */
    const double unlike = equal ? 0.0 : 2.0 * root * sinh(0.25 * (m1->log_q - m2->log_q)); /* of the roots of q */
    const double apart = 0.5 * unlike * unlike + (one_minus_c > 0.0 ? geometric * one_minus_c : 0.0);
    const double together = 0.5 * unlike * unlike + (one_minus_c < 2.0 ? geometric * (2.0 - one_minus_c) : 0.0);
    const double scale = exp(-0.5 * (m1->log_phi2 + m2->log_phi2));
    /* E[phi^2] less E[phi phi] of two lengths that are one, without cancellation */
    const double deficit = 0.5 * (-expm1(-apart) + exp(-together) - exp(-2.0 * m1->q));
    values->one_minus_feature_c = equal ? scale * deficit : 1.0 - 0.5 * scale * (exp(-apart) - exp(-together));
    values->dphi_dphi = 0.5 * (exp(-apart) + exp(-together));
    return true;
}
