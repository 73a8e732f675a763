/* SPDX-License-Identifier: BSD-3-Clause */
#include "tilts.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* Of one input without dropout, e the normal behind u. */
typedef struct {
    double mean;        /* E[phi], phi in units of sqrt(E[phi^2]) */
    double slope;       /* E[phi' e] */
    double slope_phi;   /* E[phi' phi e] */
    double mu_1;        /* E[phi'^2] */
    double square_phi;  /* E[phi'^2 phi] */
    double square_phi2; /* E[phi'^2 phi^2] */
    double square_e2;   /* E[phi'^2 e^2] */
} single;

static double sum_of(const eoc_expectations *e)
{
    return eoc_quadrature_sum(e->rule, e->work).value;
}

static void sum_single(eoc_expectations *e, const eoc_moments *m, single *s)
{
    const double unit = exp(-0.5 * m->log_phi2);
    eoc_expectations_place(e, m->q, 9.0, 1.5, 1, true);
    const size_t n = e->rule->num_nodes;
    const double *z = e->rule->z;
    for (size_t i = 0; i < n; i++) {
        e->work[i] = e->dphi[i] * z[i];
    }
    s->slope = sum_of(e);
    for (size_t i = 0; i < n; i++) {
        e->work[i] = e->dphi[i] * unit * e->phi[i] * z[i];
    }
    s->slope_phi = sum_of(e);
    for (size_t i = 0; i < n; i++) {
        e->work[i] = e->dphi[i] * e->dphi[i] * unit * e->phi[i];
    }
    s->square_phi = sum_of(e);
    for (size_t i = 0; i < n; i++) {
        const double both = e->dphi[i] * unit * e->phi[i];
        e->work[i] = both * both;
    }
    s->square_phi2 = sum_of(e);
    for (size_t i = 0; i < n; i++) {
        const double both = e->dphi[i] * z[i];
        e->work[i] = both * both;
    }
    s->square_e2 = sum_of(e);
}

static void look(eoc_feature_map *map, single *s)
{
    eoc_expectations *e = eoc_feature_map_expectations(map);
    const eoc_moments *m = eoc_feature_map_moments(map);
    *s = (single){.mean = eoc_feature_map_mean(map), .mu_1 = m->mu_1};
    switch (m->regime) {
    case EOC_REGIME_CONSTANT: /* phi is its value at 0, its slope there likewise */
        s->square_phi = m->mu_1 * s->mean;
        s->square_phi2 = s->square_e2 = m->mu_1;
        break;
    case EOC_REGIME_HOMOGENEOUS: {
        const double down = m->slopes[0], up = m->slopes[1], root = sqrt(m->mu_1), half_mean = 1.0 / sqrt(2.0 * PI);
        s->slope = half_mean * (up - down);
        s->slope_phi = root;
        s->square_phi = root > 0.0 ? half_mean * (up * up * up - down * down * down) / root : 0.0;
        s->square_phi2 = root > 0.0 ? m->mu_2 / m->mu_1 : 0.0;
        s->square_e2 = m->mu_1;
        break;
    }
    case EOC_REGIME_GENERAL:
        sum_single(e, m, s);
        break;
    }
}

void eoc_tilts_of_one(eoc_feature_map *map, double keep, eoc_tilts *tilts)
{
    single s;
    look(map, &s);
    *tilts = (eoc_tilts){.mean = s.mean,
                         .slope = {s.slope, 0.0},
                         .plus = {s.slope_phi / keep, 0.0},
                         .both = s.mu_1 / keep,
                         .both_plus = s.square_phi / (keep * keep),
                         .both_squares = {s.square_phi2 / (keep * keep * keep), 0.0},
                         .lean = {(s.square_e2 - s.mu_1) / keep, 0.0},
                         .spread = {1.0 / keep - s.mean * s.mean, 0.0}};
}

/* -- pairs, without dropout -- */

enum { MINUS_0, MINUS_1, BOTH_PLUS, BOTH_PLUS_2, BOTH_MINUS_2, BOTH_E0_2, BOTH_E1_2, NUM_INTEGRANDS };

static void put_integrands(double slope_a, double slope_b, double plus, double minus, double e_0, double e_1, double *f)
{
    const double both = slope_a * slope_b;
    f[MINUS_0] = slope_a * e_0 * minus;
    f[MINUS_1] = slope_a * e_1 * minus;
    f[BOTH_PLUS] = both * plus;
    f[BOTH_PLUS_2] = both * plus * plus;
    f[BOTH_MINUS_2] = both * minus * minus;
    f[BOTH_E0_2] = both * e_0 * e_0;
    f[BOTH_E1_2] = both * e_1 * e_1;
}

/* Gauss's points on panels of the line that grow with the distance from where phi bends, up to what a normal density
 * wants; phi that is not odd bends, and has its kinks, at 0. */
enum { POINTS = 8, MAX_NODES = 512 };
static const double RANGE = 6.0, WIDEST = 2.0, GROWTH = 2.0, NARROWEST = 1e-13;

typedef struct {
    double node[POINTS], weight[POINTS];
} gauss_rule;

typedef struct {
    int num_nodes;
    double z[MAX_NODES], weight[MAX_NODES]; /* of E[f(z)] */
} panels;

static void add_panel(const gauss_rule *rule, double low, double high, panels *p)
{
    const double half = 0.5 * (high - low), middle = 0.5 * (high + low);
    for (int i = 0; i < POINTS && p->num_nodes < MAX_NODES; i++) {
        const double z = middle + half * rule->node[i];
        p->z[p->num_nodes] = z;
        p->weight[p->num_nodes++] = half * rule->weight[i] * exp(-0.5 * z * z) / sqrt(2.0 * PI);
    }
}

/* What of an interval is in the range. */
static void add_panels(const gauss_rule *rule, double low, double high, panels *p)
{
    low = fmax(low, -RANGE);
    high = fmin(high, RANGE);
    const int pieces = high > low ? (int)ceil((high - low) / WIDEST) : 0;
    for (int i = 0; i < pieces; i++) {
        add_panel(rule, low + (high - low) * i / pieces, low + (high - low) * (i + 1) / pieces, p);
    }
}

static void place(const gauss_rule *rule, double focus, double width, panels *p)
{
    p->num_nodes = 0;
    double at = 0.0, step = fmax(width, NARROWEST);
    while (at < fabs(focus) + RANGE) {
        add_panels(rule, focus + at, focus + at + step, p);
        add_panels(rule, focus - at - step, focus - at, p);
        at += step;
        step = GROWTH * at;
    }
}

/* One value of u_a, and its slope and feature. */
typedef struct {
    double u, phi, slope, weight;
} given;

/* What all values of u_b beside it give; unit is of phi, u_a + u_b = 2 half_sum e_0, u_a - u_b = 2 half_difference e_1.
 */
static void add_row(const eoc_activation *act, const given *a, const panels *p, const double *difference, double unit,
                    double half_sum, double half_difference, double *values)
{
    double u[MAX_NODES], phi[MAX_NODES], slope[MAX_NODES];
    const int n = p->num_nodes;
    for (int i = 0; i < n; i++) {
        u[i] = a->u - difference[i];
    }
    act->kind->phi_many(u, phi, (size_t)n, act->parameters);
    act->kind->dphi_many(u, slope, (size_t)n, act->parameters);
    for (int i = 0; i < n; i++) {
        const double e_0 = half_sum > 0.0 ? 0.5 * (a->u + u[i]) / half_sum : 0.0;
        double f[NUM_INTEGRANDS];
        put_integrands(a->slope, slope[i], 0.5 * unit * (a->phi + phi[i]), 0.5 * unit * (a->phi - phi[i]), e_0,
                       0.5 * difference[i] / half_difference, f);
        for (int k = 0; k < NUM_INTEGRANDS; k++) {
            values[k] += a->weight * p->weight[i] * f[k];
        }
    }
}

static void sum_pair(const eoc_activation *act, const eoc_moments *m, double one_minus_c, double *values)
{
    panels outer, inner;
    gauss_rule rule;
    double difference[MAX_NODES];
    eoc_quadrature_legendre(POINTS, rule.node, rule.weight);
    const double root = sqrt(m->q), spread = root * sqrt(fmax(one_minus_c * (2.0 - one_minus_c), 1e-24));
    const double half_sum = root * sqrt(fmax(0.0, 0.5 * (2.0 - one_minus_c)));
    const double half_difference = root * sqrt(0.5 * one_minus_c), unit = exp(-0.5 * m->log_phi2);
    place(&rule, 0.0, EOC_FEATURE / root, &outer);
    for (int i = 0; i < outer.num_nodes; i++) {
        const double u = root * outer.z[i];
        const given a = {
            .u = u, .phi = eoc_activation_phi(act, u), .slope = eoc_activation_dphi(act, u), .weight = outer.weight[i]};
        place(&rule, -(1.0 - one_minus_c) * u / spread, EOC_FEATURE / spread, &inner);
        for (int j = 0; j < inner.num_nodes; j++) {
            difference[j] = one_minus_c * u - spread * inner.z[j];
        }
        add_row(act, &a, &inner, difference, unit, half_sum, half_difference, values);
    }
}

/* Two slopes: functions of the angle of (e_0, e_1) times powers of its length, smooth between the lines where an input
 * is 0. */
static void sum_wedges(const eoc_moments *m, double one_minus_c, double *values)
{
    enum { LINES = 4, WEDGE_POINTS = 12 };
    double node[WEDGE_POINTS], weight[WEDGE_POINTS], lines[LINES + 1];
    eoc_quadrature_legendre(WEDGE_POINTS, node, weight);
    const double sine = sqrt(fmin(1.0, 0.5 * one_minus_c)), delta = asin(sine), cosine = cos(delta);
    lines[0] = -0.5 * PI - delta;
    lines[1] = -0.5 * PI + delta;
    lines[2] = 0.5 * PI - delta;
    lines[3] = 0.5 * PI + delta;
    lines[LINES] = lines[0] + 2.0 * PI;
    /* E[r^k] of the length r of a plane's normal vector, k = 1, 2. */
    const double mean_r = sqrt(0.5 * PI), mean_r2 = 2.0;
    const double power[NUM_INTEGRANDS] = {
        [MINUS_0] = mean_r2,      [MINUS_1] = mean_r2,   [BOTH_PLUS] = mean_r, [BOTH_PLUS_2] = mean_r2,
        [BOTH_MINUS_2] = mean_r2, [BOTH_E0_2] = mean_r2, [BOTH_E1_2] = mean_r2};
    const double unit = 1.0 / sqrt(m->mu_1);
    for (int w = 0; w < LINES; w++) {
        const double half = 0.5 * (lines[w + 1] - lines[w]), middle = 0.5 * (lines[w + 1] + lines[w]);
        const double slope_a = m->slopes[cos(middle - delta) > 0.0], slope_b = m->slopes[cos(middle + delta) > 0.0];
        for (int i = 0; i < WEDGE_POINTS; i++) {
            const double e_0 = cos(middle + half * node[i]), e_1 = sin(middle + half * node[i]);
            const double plus = 0.5 * ((slope_a + slope_b) * cosine * e_0 + (slope_a - slope_b) * sine * e_1);
            const double minus = 0.5 * ((slope_a - slope_b) * cosine * e_0 + (slope_a + slope_b) * sine * e_1);
            double f[NUM_INTEGRANDS];
            put_integrands(slope_a, slope_b, unit * plus, unit * minus, e_0, e_1, f);
            for (int k = 0; k < NUM_INTEGRANDS; k++) {
                values[k] += power[k] * weight[i] * half / (2.0 * PI) * f[k];
            }
        }
    }
}

/* Below this 1 - c its root, by which kinks tell two inputs apart, is within the accuracy stated. */
static const double ALIKE = 1e-16;

static void sum_alike(const single *s, double *values)
{
    values[BOTH_PLUS] = s->square_phi;
    values[BOTH_PLUS_2] = s->square_phi2;
    values[BOTH_E0_2] = s->square_e2;
    values[BOTH_E1_2] = s->mu_1;
}

void eoc_tilts_of_pair(eoc_feature_map *map, double one_minus_c, double one_minus_feature_c, double dphi_dphi,
                       double keep, eoc_tilts *tilts)
{
    const eoc_moments *m = eoc_feature_map_moments(map);
    const double apart = one_minus_c > ALIKE ? one_minus_c : 0.0;
    single s;
    look(map, &s);
    double values[NUM_INTEGRANDS] = {0.0};
    const double both = apart > 0.0 ? dphi_dphi : m->mu_1, feature_apart = apart > 0.0 ? one_minus_feature_c : 0.0;
    if (apart == 0.0 || m->regime == EOC_REGIME_CONSTANT) {
        sum_alike(&s, values);
    } else if (m->regime == EOC_REGIME_HOMOGENEOUS) {
        sum_wedges(m, apart, values);
    } else {
        sum_pair(&eoc_feature_map_expectations(map)->act, m, apart, values);
    }
    if (m->regime == EOC_REGIME_CONSTANT) { /* phi_- is small beside phi, but all that tells the inputs apart */
        const double minus = sqrt(feature_apart), e_1 = sqrt(m->mu_1); /* of phi' e_1 phi_-, phi' > 0 or < 0 */
        values[MINUS_1] = sqrt(0.5) * minus * e_1;
        values[BOTH_MINUS_2] = 0.5 * m->mu_1 * feature_apart;
    }
    const double of_sum = sqrt(fmax(0.0, 0.5 * (2.0 - apart))), of_difference = sqrt(0.5 * apart);
    const double feature_c = 1.0 - feature_apart, dropped = 1.0 / keep - 1.0;
    /* phi_+ = (phi_a + phi_b)/2, phi_a = (phi_+ + phi_-); a mask of its own slope is behind phi_a alone. */
    const double own[2] = {s.slope_phi * of_sum, s.slope_phi * of_difference};
    const double minus[2] = {values[MINUS_0], values[MINUS_1]};
    *tilts =
        (eoc_tilts){.mean = s.mean,
                    .slope = {s.slope * of_sum, s.slope * of_difference},
                    .both = both,
                    .both_plus = values[BOTH_PLUS] / keep,
                    .both_squares = {values[BOTH_PLUS_2] / (keep * keep), values[BOTH_MINUS_2] / (keep * keep)},
                    .lean = {values[BOTH_E0_2] - both, values[BOTH_E1_2] - both},
                    .spread = {0.5 * (dropped + 1.0 + feature_c) - s.mean * s.mean, 0.5 * (dropped + feature_apart)}};
    for (int j = 0; j < 2; j++) {
        tilts->plus[j] = own[j] * (1.0 + 0.5 * dropped) - minus[j];
        tilts->minus[j] = 0.5 * own[j] * dropped + minus[j];
    }
}
