/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = EOC_QUADRATURE_MAX_PANELS * EOC_QUADRATURE_POINTS, MAX_LEVEL = 6 };

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

/* The jump of dphi at a kink; what is less than 1e-6 nearby is the slope of a phi whose second derivative alone jumps.
 */
static double jump_at(const eoc_activation *act, double at)
{
    const double h = 1e-9, jump = eoc_activation_dphi(act, at + h) - eoc_activation_dphi(act, at - h);
    const double wider = eoc_activation_dphi(act, at + 2.0 * h) - eoc_activation_dphi(act, at - 2.0 * h);
    return fabs(jump) > 1e-6 ? 2.0 * jump - wider : 0.0; /* straight lines to the kink itself */
}

bool eoc_activation_jumps(const eoc_activation *act)
{
    bool jumps = false;
    for (int i = 0; i < act->kind->num_kinks; i++) {
        jumps = jumps || jump_at(act, act->kind->kinks[i]) != 0.0;
    }
    return jumps;
}

/* The last one given back, kept for the next of the same activation: a map asks for thousands, and finding steps and
 * tails costs as much as a point. Static: the program has one thread. */
static eoc_expectations *kept;

static bool is_kept(const eoc_activation *act)
{
    return kept && kept->act.kind == act->kind &&
           memcmp(kept->act.parameters, act->parameters, sizeof act->parameters) == 0;
}

static void demolish(eoc_expectations *e)
{
    if (e) {
        eoc_tails_destroy(&e->tails);
        eoc_quadrature_destroy(&e->quadrature);
        eoc_quadrature_rule_destroy(&e->rule);
        free(e->phi);
    }
    free(e);
}

static eoc_status build(const eoc_activation *act, eoc_expectations **made)
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
        e->jump[i] = jump_at(act, act->kind->kinks[i]);
    }
    e->jumps = eoc_activation_jumps(act);
    e->step = eoc_lattice_step(act);
    eoc_status status = eoc_tails_create(act, e->slope_infinity, &e->tails);
    if (status == EOC_OK) {
        status = eoc_quadrature_create(&e->quadrature);
    }
    if (status == EOC_OK) {
        status = eoc_quadrature_rule_create(&e->rule);
    }
    e->phi = malloc(5 * MAX_NODES * sizeof *e->phi);
    if (status == EOC_OK && !e->phi) {
        status = EOC_FAIL(EOC_ERR_NOMEM, "no memory for expectations");
    }
    if (status != EOC_OK) {
        demolish(e);
        return status;
    }
    e->dphi = e->phi + MAX_NODES;
    e->work = e->phi + 2 * MAX_NODES;
    e->psi[0] = e->phi + 3 * MAX_NODES;
    e->psi[1] = e->phi + 4 * MAX_NODES;
    *made = e;
    return EOC_OK;
}

eoc_status eoc_expectations_create(const eoc_activation *act, eoc_expectations **made)
{
    if (is_kept(act)) {
        *made = kept;
        kept = NULL;
        return EOC_OK;
    }
    return build(act, made);
}

void eoc_expectations_destroy(eoc_expectations **expectations)
{
    if (*expectations) {
        demolish(kept);
        kept = *expectations;
    }
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

void eoc_expectations_place(eoc_expectations *e, double q, double range, double widest, int level, bool slopes)
{
    const eoc_activation_kind *kind = e->act.kind;
    const double scale = sqrt(q);
    eoc_quadrature_layout layout = {.range = range, .widest = widest, .half = kind->odd, .level = level, .num_foci = 1};
    layout.focus_widths[0] = EOC_FEATURE / scale;
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
    m->asked = 0;
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
    if (eoc_wave_fill(e, m) || eoc_tails_fill(e->tails, m) || eoc_lattice_fill(e, slopes, m)) {
        return;
    }
    for (int level = 0;; level++) {
        eoc_expectations_place(e, m->q, 9.0, 1.5, level, slopes);
        m->error = sum_lengths(e, m);
        if (slopes) {
            m->error = fmax(m->error, sum_slopes(e, m));
        }
        if (m->error <= 1e-12 || level >= MAX_LEVEL) {
            return;
        }
    }
}

void eoc_lengths_fill(eoc_expectations *e, double log_q, eoc_moments *m)
{
    fill(e, log_q, false, m);
}

void eoc_moments_fill(eoc_expectations *e, double log_q, eoc_moments *m)
{
    fill(e, log_q, true, m);
}

/* -- small quantities by differences -- */

double eoc_moments_jumps(const eoc_expectations *e, double q)
{
    double sum = 0.0;
    for (int i = 0; i < e->act.kind->num_kinks; i++) {
        const double at = e->act.kind->kinks[i];
        sum += e->jump[i] * e->jump[i] * exp(-0.5 * at * at / q);
    }
    return sum;
}

/* At the nodes in place, by fourth-order differences of dphi that stay on one side of every kink: 1e-13 from the step,
 * as much from rounding. */
static void fill_second_derivative(eoc_expectations *e, double scale, double *second)
{
    static const struct {
        double at, weight;
    } stencil[] = {{-2.0, 1.0}, {-1.0, -8.0}, {1.0, 8.0}, {2.0, -1.0}};
    const eoc_activation_kind *kind = e->act.kind;
    const size_t n = e->rule->num_nodes;
    double *const step = e->psi[1];
    for (size_t i = 0; i < n; i++) {
        step[i] = 1e-3;
        for (int k = 0; k < kind->num_kinks; k++) {
            step[i] = fmin(step[i], 0.4 * fabs(scale * e->rule->z[i] - kind->kinks[k]));
        }
        second[i] = 0.0;
    }
    for (size_t s = 0; s < sizeof stencil / sizeof stencil[0]; s++) {
        for (size_t i = 0; i < n; i++) {
            e->work[i] = scale * e->rule->z[i] + stencil[s].at * step[i];
        }
        kind->dphi_many(e->work, e->dphi, n, e->act.parameters);
        for (size_t i = 0; i < n; i++) {
            second[i] += step[i] > 0.0 ? stencil[s].weight * e->dphi[i] / (12.0 * step[i]) : 0.0;
        }
    }
}

double eoc_moments_curvature(eoc_expectations *e, const eoc_moments *m)
{
    if (e->jumps) {
        return NAN;
    }
    if (eoc_wave_serves(e, m->q)) {
        return exp(m->log_phi2); /* sin'' = -sin */
    }
    eoc_expectations_place(e, m->q, 9.0, 1.5, 0, false);
    fill_second_derivative(e, sqrt(m->q), e->psi[0]);
    for (size_t i = 0; i < e->rule->num_nodes; i++) {
        e->work[i] = e->psi[0][i] * e->psi[0][i];
    }
    return eoc_quadrature_sum(e->rule, e->work).value;
}

double eoc_moments_excess(eoc_expectations *e, double q)
{
    if (e->act.kind->scale_invariant) {
        return 0.0;
    }
    if (eoc_wave_serves(e, q)) {
        return eoc_wave_excess(q);
    }
    for (int level = 0;; level++) {
        eoc_expectations_place(e, q, 9.0, 1.5, level, true);
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

bool eoc_kink_between(const eoc_activation_kind *kind, double u, double v)
{
    for (int i = 0; i < kind->num_kinks; i++) {
        if ((u - kind->kinks[i]) * (v - kind->kinks[i]) <= 0.0) {
            return true;
        }
    }
    return false;
}
