/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * phi = A + delta, A two straight lines that meet at 0 (with a step if need be), slope_- u + level_- below and slope_+
 * u
 * + level_+ above, and delta local. E[A A] is elementary (the arc-cosine kernels of degrees 0 and 1); where the
 * variance is large no digits are lost between the two.
 *
 * E[A(u1) delta(u2)] is one integral over delta of the mean of A given u2. In E[delta(u1) delta(u2)] the joint density,
 * with sigma^2 = q (1 - c^2), is exp(-(a^2 + b^2)/(2 sigma^2)) exp(a b c/sigma^2)/(2 pi sqrt(q) sigma): the second
 * factor is taken by its power series, of which few terms are left where sigma is large beside delta.
 */
#include "rules.h"

#include "eoc/vecmath.h"

#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;
static const double SQRT_HALF = 0.70710678118654752440;
static const double INV_SQRT_2PI = 0.39894228040143267794;

/* delta is taken up to here, and must have vanished by then. */
static const double REACH = 48.0;

/* The least variances: of one input, and sigma^2 of two. The factorials of the series outgrow the moments of exp(-|u|)
 * up to term sigma^2. */
static const double LEAST_Q = 8.0;
static const double LEAST_SIGMA2 = 8.0;

enum { MAX_TERMS = 64 };

struct eoc_tails {
    double slope[2], level[2]; /* of A below and above 0 */
    size_t num;
    double *u, *weight;               /* (num): weight of du */
    double *line, *line_slope;        /* (num): A and its slope */
    double *rest, *rest_slope;        /* (num): delta and dphi less the slope of A */
    double *square, *slope2, *slope4; /* (num): phi^2, dphi^2, dphi^4 less those of A */
    double *work;                     /* (4, num) */
};

void eoc_tails_destroy(eoc_tails **tails)
{
    if (*tails) {
        free((*tails)->u);
    }
    free(*tails);
    *tails = NULL;
}

/* phi - A and dphi - A' have gone by REACH, and do not come back. */
static bool is_straight(const eoc_activation *act, const double slope[2], const double level[2])
{
    for (int side = 0; side < 2; side++) {
        for (double u = REACH; u < 1000.0; u += 0.37 * u) {
            const double at = side ? u : -u, line = slope[side] * at + level[side];
            const double rest = eoc_activation_phi(act, at) - line,
                         rest_slope = eoc_activation_dphi(act, at) - slope[side];
            if (!(fabs(rest) <= 4e-16 * fmax(1.0, fabs(line)) && fabs(rest_slope) <= 1e-15)) {
                return false;
            }
        }
    }
    return true;
}

/* Panels over |u| <= REACH, cut at 0 and at the kinks: those of z = u/(2 REACH), less the Gaussian. */
static void place(const eoc_activation *act, eoc_quadrature_rule *rule)
{
    const double unit = 2.0 * REACH;
    eoc_quadrature_layout layout = {.range = 0.5, .widest = 0.5, .num_breaks = 1, .num_foci = 1};
    layout.focus_widths[0] = EOC_FEATURE / unit;
    for (int i = 0; i < act->kind->num_kinks; i++) {
        layout.breaks[layout.num_breaks++] = act->kind->kinks[i] / unit;
    }
    eoc_quadrature_rule_fill(rule, &layout);
    for (size_t i = 0; i < rule->num_nodes; i++) {
        rule->weight[i] *= unit / INV_SQRT_2PI * exp(0.5 * rule->z[i] * rule->z[i]);
        rule->z[i] *= unit;
    }
}

static eoc_status allocate(size_t num, eoc_tails **made)
{
    eoc_tails *tails = calloc(1, sizeof *tails);
    double *values = malloc(13 * num * sizeof *values);
    if (!tails || !values) {
        free(tails);
        free(values);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for expectations");
    }
    double **const arrays[] = {&tails->u,          &tails->weight, &tails->line,   &tails->line_slope, &tails->rest,
                               &tails->rest_slope, &tails->square, &tails->slope2, &tails->slope4,     &tails->work};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        *arrays[i] = values + i * num;
    }
    tails->num = num;
    *made = tails;
    return EOC_OK;
}

static void look(const eoc_activation *act, const eoc_quadrature_rule *rule, eoc_tails *t)
{
    for (size_t i = 0; i < t->num; i++) {
        const double u = rule->z[i];
        const int side = u > 0.0;
        const double phi = eoc_activation_phi(act, u), dphi = eoc_activation_dphi(act, u), slope = t->slope[side];
        t->u[i] = u;
        t->weight[i] = rule->weight[i];
        t->line[i] = slope * u + t->level[side];
        t->line_slope[i] = slope;
        t->rest[i] = phi - t->line[i];
        t->rest_slope[i] = dphi - slope;
        t->square[i] = t->rest[i] * (phi + t->line[i]);
        t->slope2[i] = t->rest_slope[i] * (dphi + slope);
        t->slope4[i] = t->slope2[i] * (dphi * dphi + slope * slope);
    }
}

eoc_status eoc_tails_create(const eoc_activation *act, const double slopes[2], eoc_tails **tails)
{
    *tails = NULL;
    const double level[2] = {eoc_activation_phi(act, -REACH) + slopes[0] * REACH,
                             eoc_activation_phi(act, REACH) - slopes[1] * REACH};
    if (act->kind->scale_invariant || !is_straight(act, slopes, level)) {
        return EOC_OK;
    }
    eoc_quadrature_rule *rule = NULL;
    EOC_TRY(eoc_quadrature_rule_create(&rule));
    place(act, rule);
    eoc_tails *made = NULL;
    const eoc_status status = allocate(rule->num_nodes, &made);
    if (status == EOC_OK) {
        for (int side = 0; side < 2; side++) {
            made->slope[side] = slopes[side];
            made->level[side] = level[side];
        }
        look(act, rule, made);
    }
    eoc_quadrature_rule_destroy(&rule);
    *tails = made;
    return status;
}

/* -- one variance -- */

static double local_sum(const eoc_tails *t, const double *density, const double *f)
{
    double sum = 0.0;
    eoc_vec_dots(f, t->num, 1, density, t->num, &sum);
    return sum;
}

/* weight exp(-u^2/(2 variance)) */
static void fill_density(const eoc_tails *t, double variance, double *density)
{
    const double rate = -0.5 / variance;
    for (size_t i = 0; i < t->num; i++) {
        density[i] = rate * t->u[i] * t->u[i];
    }
    eoc_vec_exp(density, density, t->num);
    eoc_vec_multiply(t->weight, density, t->num);
}

bool eoc_tails_fill(const eoc_tails *t, eoc_moments *m)
{
    if (!t || !(m->q >= LEAST_Q)) {
        return false;
    }
    const double root = sqrt(m->q), rate = 1.0 / root, unit = INV_SQRT_2PI * rate;
    double *const density = t->work, *const moment_2 = t->work + t->num, *const moment_4 = t->work + 2 * t->num;
    fill_density(t, m->q, density);
    for (size_t i = 0; i < t->num; i++) {
        const double z = t->u[i] * rate, z2 = z * z;
        moment_2[i] = t->square[i] * (z2 - 1.0);
        moment_4[i] = t->square[i] * (z2 * (z2 - 6.0) + 3.0);
    }
    /* Of A, by moments of the half line: squares of slopes and levels, and what is between them. */
    double slopes = 0.0, levels = 0.0, mixed = 0.0, slopes_4 = 0.0;
    for (int side = 0; side < 2; side++) {
        const double slope2 = t->slope[side] * t->slope[side];
        slopes += 0.5 * slope2;
        slopes_4 += 0.5 * slope2 * slope2;
        levels += 0.5 * t->level[side] * t->level[side];
        mixed += (side ? 2.0 : -2.0) * t->slope[side] * t->level[side] * root * INV_SQRT_2PI;
    }
    const double phi2 = slopes * m->q + mixed + levels + unit * local_sum(t, density, t->square);
    m->log_phi2 = log(phi2);
    m->phi2_z2 = (2.0 * slopes * m->q + mixed + unit * local_sum(t, density, moment_2)) / phi2;
    m->phi2_z4 = (-mixed + unit * local_sum(t, density, moment_4)) / phi2;
    m->mu_1 = slopes + unit * local_sum(t, density, t->slope2);
    m->mu_2 = slopes_4 + unit * local_sum(t, density, t->slope4);
    m->error = 1e-14;
    return true;
}

/* -- pairs -- */

/* What E[A A] falls short of E[A^2] by; into *slopes, E[A' A']. */
static double lines_apart(const eoc_tails *t, double q, double one_minus_c, double *slopes)
{
    const double straight = 0.5 * (t->slope[1] + t->slope[0]), bent = 0.5 * (t->slope[1] - t->slope[0]);
    const double stepped = 0.5 * (t->level[1] - t->level[0]);
    const double angle = 2.0 * asin(fmin(1.0, sqrt(0.5 * one_minus_c)));
    *slopes = straight * straight + bent * bent * (1.0 - 2.0 * angle / PI);
    return q * (straight * straight * one_minus_c +
                bent * bent * (one_minus_c - 2.0 / PI * eoc_sin_minus_t_cos(angle))) +
           2.0 * straight * stepped * one_minus_c * sqrt(2.0 * q / PI) + 2.0 * stepped * stepped * angle / PI;
}

/* A less its mean over the other input, and the mean of A' over it, at the nodes. */
static void fill_means(const eoc_tails *t, double c, double sigma, double *apart, double *slope, double *work)
{
    const size_t n = t->num;
    const double bend = t->slope[1] - t->slope[0], step = t->level[1] - t->level[0], rate = c / sigma;
    for (size_t i = 0; i < n; i++) {
        const double x = rate * t->u[i];
        slope[i] = -SQRT_HALF * x;
        work[i] = -0.5 * x * x;
    }
    eoc_vec_erfc(slope, slope, n);
    eoc_vec_exp(work, work, n);
    for (size_t i = 0; i < n; i++) {
        const double above = 0.5 * slope[i], mean = c * t->u[i];
        const double line =
            (t->slope[0] + bend * above) * mean + t->level[0] + step * above + bend * sigma * INV_SQRT_2PI * work[i];
        apart[i] = t->line[i] - line;
        slope[i] = t->slope[0] + bend * above;
    }
}

/* E[delta delta] and the like of dphi, times 2 pi sqrt(q) sigma; false where the series does not end. */
static bool local_pairs(const eoc_tails *t, double c, double sigma, double *work, double sums[2])
{
    const size_t n = t->num;
    double *const power = work, *const ratio = work + n;
    const double rate = sqrt(fabs(c)) / sigma;
    fill_density(t, sigma * sigma, power);
    for (size_t i = 0; i < n; i++) {
        ratio[i] = rate * t->u[i];
    }
    sums[0] = sums[1] = 0.0;
    double size[2] = {0.0}, before = 0.0, factorial = 1.0;
    for (int k = 0; k < MAX_TERMS; k++) {
        double largest = 0.0;
        const double moment[2] = {local_sum(t, power, t->rest), local_sum(t, power, t->rest_slope)};
        for (int j = 0; j < 2; j++) {
            const double term = moment[j] * moment[j] / factorial;
            sums[j] += c < 0.0 && k % 2 ? -term : term;
            size[j] += term;
            largest = fmax(largest, size[j] > 0.0 ? term / size[j] : 0.0);
        }
        /* Of a phi with a symmetry every other term is zero. */
        if (fmax(largest, before) < 1e-17) {
            return true;
        }
        before = largest;
        factorial *= k + 1.0;
        eoc_vec_multiply(ratio, power, n);
    }
    return false;
}

bool eoc_tails_serve(const eoc_tails *t, const eoc_moments *m, double one_minus_c)
{
    return t && m->q >= LEAST_Q && m->q * one_minus_c * (2.0 - one_minus_c) >= LEAST_SIGMA2;
}

bool eoc_tails_pair(const eoc_tails *t, const eoc_moments *m, double one_minus_c, eoc_pair_values *values)
{
    if (!eoc_tails_serve(t, m, one_minus_c)) {
        return false;
    }
    const size_t n = t->num;
    const double c = 1.0 - one_minus_c, root = sqrt(m->q), sigma = root * sqrt(one_minus_c * (2.0 - one_minus_c));
    double local[2];
    if (!local_pairs(t, c, sigma, t->work, local)) {
        return false;
    }
    double *const density = t->work, *const apart = t->work + n, *const slope = t->work + 2 * n;
    fill_density(t, m->q, density);
    fill_means(t, c, sigma, apart, slope, t->work + 3 * n);
    double mixed = 0.0, alone = 0.0, mixed_slopes = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double weighted = density[i] * t->rest[i];
        mixed += weighted * apart[i];
        alone += weighted * t->rest[i];
        mixed_slopes += density[i] * t->rest_slope[i] * slope[i];
    }
    const double unit = INV_SQRT_2PI / root, joint = unit * INV_SQRT_2PI / sigma;
    double lines = 0.0;
    const double apart_total =
        lines_apart(t, m->q, one_minus_c, &lines) + unit * (2.0 * mixed + alone) - joint * local[0];
    values->one_minus_feature_c = apart_total * exp(-m->log_phi2);
    values->dphi_dphi = lines + 2.0 * unit * mixed_slopes + joint * local[1];
    return true;
}
