/* SPDX-License-Identifier: BSD-3-Clause */
#include "features.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const double SQRT_2_PI = 2.50662827463100050242;

struct eoc_feature_map {
    eoc_expectations *e;
    double shift;
    int sides;     /* 2: folded */
    eoc_moments m; /* without a shift */
    eoc_features here;
    bool filled;
};

eoc_status eoc_feature_map_create(const eoc_activation *act, double shift, bool folded, eoc_feature_map **map)
{
    eoc_feature_map *made = calloc(1, sizeof *made);
    EOC_REQUIRE(made, EOC_ERR_NOMEM, "no memory for expectations");
    made->shift = shift;
    made->sides = folded ? 2 : 1;
    const eoc_status status = eoc_expectations_create(act, &made->e);
    if (status != EOC_OK) {
        free(made);
        return status;
    }
    *map = made;
    return EOC_OK;
}

void eoc_feature_map_destroy(eoc_feature_map **map)
{
    if (*map) {
        eoc_expectations_destroy(&(*map)->e);
        free(*map);
        *map = NULL;
    }
}

/* -- with a shift: plain quadrature -- */

typedef enum { PHI, PHI_2, PHI_2_Z2, DPHI_2, DPHI_4 } integrand;

typedef struct {
    const eoc_activation *act;
    double shift, scale;
    integrand wanted;
} single_context;

static void single_row(const double *z, double *f, size_t n, void *context)
{
    const single_context *c = context;
    for (size_t i = 0; i < n; i++) {
        const double u = c->shift + c->scale * z[i];
        const bool slope = c->wanted == DPHI_2 || c->wanted == DPHI_4;
        const double value = slope ? eoc_activation_dphi(c->act, u) : eoc_activation_phi(c->act, u);
        const double square = value * value;
        f[i] = c->wanted == PHI        ? value
               : c->wanted == PHI_2_Z2 ? square * (z[i] * z[i] - 1.0)
               : c->wanted == DPHI_4   ? square * square
                                       : square;
    }
}

static double expectation_at(eoc_feature_map *map, double shift, double scale, integrand wanted)
{
    const eoc_activation_kind *kind = map->e->act.kind;
    single_context context = {.act = &map->e->act, .shift = shift, .scale = scale, .wanted = wanted};
    eoc_quadrature_layout layout = {.range = 9.0, .widest = 1.5, .num_foci = 1};
    layout.foci[0] = fmax(-9.0, fmin(9.0, -shift / scale));
    layout.focus_widths[0] = EOC_FEATURE / scale;
    for (int i = 0; i < kind->num_kinks; i++) {
        layout.breaks[layout.num_breaks++] = (kind->kinks[i] - shift) / scale;
    }
    return eoc_quadrature_expect(map->e->quadrature, &layout, single_row, &context).value;
}

static double shift_of(const eoc_feature_map *map, int side)
{
    return side == 0 ? map->shift : -map->shift;
}

static double shifted_expectation(eoc_feature_map *map, double scale, integrand wanted)
{
    double sum = 0.0;
    for (int side = 0; side < map->sides; side++) {
        sum += expectation_at(map, shift_of(map, side), scale, wanted);
    }
    return sum / map->sides;
}

/* Where u is the shift alone. */
static void look_at_shift(eoc_feature_map *map, double q)
{
    double phi2 = 0.0, mu_1 = 0.0, mu_2 = 0.0;
    for (int side = 0; side < map->sides; side++) {
        const double phi = eoc_activation_phi(&map->e->act, shift_of(map, side));
        const double dphi = eoc_activation_dphi(&map->e->act, shift_of(map, side));
        phi2 += phi * phi / map->sides;
        mu_1 += dphi * dphi / map->sides;
        mu_2 += dphi * dphi * dphi * dphi / map->sides;
    }
    map->here = (eoc_features){
        .log_u = map->here.log_u, .log_phi2 = log(phi2), .mu_1 = mu_1, .mu_2 = mu_2, .pair_slope_unit = q / phi2};
}

static void look_shifted(eoc_feature_map *map, double log_u)
{
    const double q = exp(log_u);
    eoc_features *f = &map->here;
    f->log_u = log_u;
    if (!(q > 1e-300)) {
        look_at_shift(map, q);
        return;
    }
    const double scale = sqrt(q), phi2 = shifted_expectation(map, scale, PHI_2);
    *f = (eoc_features){.log_u = log_u,
                        .log_phi2 = log(phi2),
                        .mu_1 = shifted_expectation(map, scale, DPHI_2),
                        .mu_2 = shifted_expectation(map, scale, DPHI_4),
                        .log_phi2_slope = 0.5 * shifted_expectation(map, scale, PHI_2_Z2) / phi2,
                        .pair_slope_unit = q / phi2};
}

typedef struct {
    const eoc_activation *act;
    double shift, weight; /* 1/(2 E[phi^2]) */
    double lag, spread;   /* u1 - u2 = lag u1 - spread y, the shift left out */
    bool near;
} pair_context;

static void shifted_pair_row(double u1, const double *y, const double *u2, double *f, size_t n, void *context)
{
    const pair_context *c = context;
    const double a = u1 + c->shift, phi = eoc_activation_phi(c->act, a), dphi = eoc_activation_dphi(c->act, a);
    for (size_t i = 0; i < n; i++) {
        const double b = u2[i] + c->shift;
        const double difference = c->near
                                      ? eoc_activation_dphi(c->act, 0.5 * (a + b)) * (c->lag * u1 - c->spread * y[i])
                                      : phi - eoc_activation_phi(c->act, b);
        f[i] = c->weight * difference * difference;
        f[n + i] = dphi * eoc_activation_dphi(c->act, b);
    }
}

static void shifted_pair(eoc_feature_map *map, double one_minus_c, double *one_minus_feature_c, double *dphi_dphi)
{
    const eoc_activation_kind *kind = map->e->act.kind;
    const eoc_features *f = &map->here;
    const double q = exp(f->log_u);
    if (one_minus_c < 1e-22 || !(q > 1e-300)) {
        *one_minus_feature_c = one_minus_c * f->pair_slope_unit * f->mu_1;
        *dphi_dphi = f->mu_1;
        return;
    }
    const double spread = sqrt(fmax(one_minus_c * (2.0 - one_minus_c), 1e-24)) * sqrt(q);
    *one_minus_feature_c = *dphi_dphi = 0.0;
    for (int side = 0; side < map->sides; side++) {
        const double shift = shift_of(map, side);
        eoc_quadrature_pair pair = {.scale = sqrt(q),
                                    .slope = 1.0 - one_minus_c,
                                    .spread = spread,
                                    .feature = EOC_FEATURE,
                                    .num_kinks = kind->num_kinks};
        for (int i = 0; i < kind->num_kinks; i++) {
            pair.kinks[i] = kind->kinks[i] - shift;
        }
        pair_context context = {.act = &map->e->act,
                                .shift = shift,
                                .weight = 0.5 * exp(-f->log_phi2),
                                .lag = one_minus_c,
                                .spread = spread,
                                .near = spread < 1e-5 && one_minus_c < 1.0 && kind->num_kinks == 0};
        eoc_expectation values[2];
        eoc_quadrature_expect_pair(map->e->quadrature, &pair, shifted_pair_row, &context, 2, values);
        *one_minus_feature_c += values[0].value / map->sides;
        *dphi_dphi += values[1].value / map->sides;
    }
}

/* -- either way -- */

const eoc_features *eoc_feature_map_at(eoc_feature_map *map, double log_u)
{
    const double distance = fabs(log_u - map->here.log_u);
    if (map->filled && (log_u == map->here.log_u || distance <= 16.0 * DBL_EPSILON * fmax(1.0, fabs(log_u)))) {
        return &map->here;
    }
    map->filled = true;
    if (map->shift != 0.0) {
        look_shifted(map, log_u);
        return &map->here;
    }
    eoc_moments_fill(map->e, log_u, &map->m);
    map->here = (eoc_features){.log_u = log_u,
                               .log_phi2 = map->m.log_phi2,
                               .mu_1 = map->m.mu_1,
                               .mu_2 = map->m.mu_2,
                               .log_phi2_slope = 0.5 * map->m.phi2_z2,
                               .pair_slope_unit = exp(log_u - map->m.log_phi2)};
    return &map->here;
}

double eoc_feature_map_mean(eoc_feature_map *map)
{
    const eoc_moments *m = &map->m;
    eoc_expectations *e = map->e;
    if (map->shift != 0.0) {
        const double root = exp(0.5 * map->here.log_u);
        const double mean =
            root > 1e-150 ? shifted_expectation(map, root, PHI) : eoc_activation_phi(&e->act, map->shift);
        return mean * exp(-0.5 * map->here.log_phi2);
    }
    if (e->act.kind->odd) {
        return 0.0;
    }
    if (m->regime == EOC_REGIME_HOMOGENEOUS) {
        return m->mu_1 > 0.0 ? (m->slopes[1] - m->slopes[0]) / (SQRT_2_PI * sqrt(m->mu_1)) : 0.0;
    }
    if (m->regime == EOC_REGIME_CONSTANT) {
        const double phi = eoc_activation_phi(&e->act, 0.0);
        return phi > 0.0 ? 1.0 : phi < 0.0 ? -1.0 : 0.0;
    }
    eoc_expectations_place(e, m->q, 9.0, 1.5, 1, false);
    return eoc_quadrature_sum(e->rule, e->phi).value * exp(-0.5 * m->log_phi2);
}

void eoc_feature_map_pair(eoc_feature_map *map, double one_minus_c, double *one_minus_feature_c, double *dphi_dphi)
{
    if (map->shift != 0.0) {
        shifted_pair(map, one_minus_c, one_minus_feature_c, dphi_dphi);
        return;
    }
    eoc_moments *m = &map->m;
    const double c = fabs(1.0 - one_minus_c);
    if (m->regime == EOC_REGIME_GENERAL) {
        if (c > m->greatest_c && !eoc_pair_is_quick(map->e, m, 1.0 - c)) {
            eoc_moments_expand(map->e, m->asked > 0 ? 1.0 : c, m); /* asked again: one long series serves all */
        }
        const bool series_ends = m->num_hermite > 0 && m->residual == 0.0;
        if (m->asked++ >= EOC_WORTH_A_TABLE && !series_ends && c > 0.9 && c < 1.0) {
            eoc_moments_tabulate(map->e, m);
        }
    }
    eoc_pair_fill(map->e, m, m, one_minus_c, one_minus_feature_c, dphi_dphi);
}

eoc_expectations *eoc_feature_map_expectations(eoc_feature_map *map)
{
    return map->e;
}

const eoc_moments *eoc_feature_map_moments(const eoc_feature_map *map)
{
    return &map->m;
}
