/* SPDX-License-Identifier: BSD-3-Clause */
/* What networks of signals that differ over positions are said to do, layer by layer. */
#include "spatial_curves.h"

#include "spatial_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- sizes -- */

static const double SECONDS_PER_PAIR = 0.3e-6;
static const double SECONDS_PER_PRODUCT = 1.3e-9; /* of the Jacobian's second moment */

static double num_doubles(const eoc_averaging *averaging, const eoc_theory_inputs *classes, int max_depth)
{
    const double positions = eoc_geometry_positions(&averaging->geometry);
    const double v = classes->num_variances, p = classes->num_pairs;
    return (max_depth + 1.0) * (positions * (3.0 * v + 3.0 * p + 3.0) + 2.0);
}

/* Whether the second moment of the Jacobian is. */
static bool reaches_second_moment(const eoc_averaging *averaging, int max_depth)
{
    const double positions = eoc_geometry_positions(&averaging->geometry);
    const double products = positions * positions * (2.0 * eoc_geometry_taps(&averaging->geometry) + 8.0);
    return SECONDS_PER_PRODUCT * products * max_depth <= EOC_SPATIAL_MOST_SECONDS;
}

bool eoc_spatial_curves_reach(const eoc_averaging *averaging, const eoc_theory_inputs *classes, int max_depth,
                              bool between)
{
    const double positions = eoc_geometry_positions(&averaging->geometry);
    const double sites = classes->num_variances * positions;
    const double pairs = classes->num_pairs * positions + (between ? 0.5 * sites * positions : 0.0);
    const double seconds = SECONDS_PER_PAIR * pairs * max_depth;
    return sites <= EOC_SPATIAL_MOST_SITES && pairs <= EOC_SPATIAL_MOST_PAIRS && seconds <= EOC_SPATIAL_MOST_SECONDS &&
           num_doubles(averaging, classes, max_depth) <= EOC_SPATIAL_MOST_DOUBLES;
}

static eoc_status allocate(const eoc_averaging *averaging, const eoc_theory_inputs *classes, int max_depth,
                           eoc_spatial_curves **made)
{
    eoc_spatial_curves *c = calloc(1, sizeof *c);
    EOC_REQUIRE(c, EOC_ERR_NOMEM, "no memory for curves over space");
    c->averaging = *averaging;
    c->positions = eoc_geometry_positions(&averaging->geometry);
    c->taps = eoc_geometry_taps(&averaging->geometry);
    c->max_depth = max_depth;
    c->num_variances = classes->num_variances;
    c->num_pairs = classes->num_pairs;
    const size_t layers = (size_t)max_depth + 1, positions = (size_t)c->positions;
    const size_t v = (size_t)c->num_variances * positions, p = (size_t)c->num_pairs * positions;
    c->counts = malloc(sizeof *c->counts * (size_t)(c->num_variances + c->num_pairs));
    c->pairs = malloc(sizeof *c->pairs * ((size_t)c->num_pairs + 1));
    c->sees = malloc(sizeof *c->sees * positions * (size_t)c->taps);
    c->log_q = calloc((size_t)num_doubles(averaging, classes, max_depth), sizeof *c->log_q);
    if (!c->counts || !c->pairs || !c->sees || !c->log_q) {
        eoc_spatial_curves_destroy(&c);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves of %d layers over %d positions", max_depth,
                        eoc_geometry_positions(&averaging->geometry));
    }
    c->log_h2 = c->log_q + layers * v;
    c->one_minus_c = c->log_h2 + layers * v;
    c->one_minus_h = c->one_minus_c + layers * p;
    c->slopes = c->one_minus_h + layers * p;
    c->mu_2 = c->slopes + layers * (v + p);
    c->covariance = c->mu_2 + layers * positions;
    c->inside = c->covariance + layers * positions;
    c->log_moment_1 = c->inside + layers * positions;
    c->log_moment_2 = c->log_moment_1 + layers;
    for (int i = 0; i < c->num_variances; i++) {
        c->counts[i] = classes->counts[i];
    }
    for (int i = 0; i < c->num_pairs; i++) {
        c->counts[c->num_variances + i] = classes->pairs[i].count;
        c->pairs[i] = classes->pairs[i];
    }
    for (int i = 0; i < c->positions * c->taps; i++) {
        c->sees[i] = eoc_geometry_neighbour(&averaging->geometry, i / c->taps, i % c->taps);
    }
    *made = c;
    return EOC_OK;
}

void eoc_spatial_curves_destroy(eoc_spatial_curves **curves)
{
    if (*curves) {
        free((*curves)->counts);
        free((*curves)->pairs);
        free((*curves)->sees);
        free((*curves)->log_q);
        free(*curves);
        *curves = NULL;
    }
}

/* -- covariances between positions -- */

/* Whether p + d, both as digits, leaves the square. */
static bool leaves(const eoc_geometry *g, int p, int d)
{
    return g->dimensions == 1 ? p + d >= g->side
                              : p / g->side + d / g->side >= g->side || p % g->side + d % g->side >= g->side;
}

/* Covariance of sites i and j whose 1 - c is given, in units of exp(log_unit). */
static double covariance(const eoc_spatial_map *map, int i, int j, double one_minus_c, double log_unit)
{
    const double size = exp(0.5 * (map->log_q[i] + map->log_q[j]) - log_unit);
    return size > 0.0 ? size * (1.0 - one_minus_c) : 0.0;
}

/* Adds the sums over a class of variances of z(p) z(p + d), for d of a diagonal and for -d. */
static void add_diagonal(const eoc_spatial_curves *c, const eoc_spatial_map *map, int v, int shift, int opposite,
                         const double *one_minus_c, double log_unit, double *around, double *inside)
{
    const eoc_geometry *g = &c->averaging.geometry;
    for (int p = 0; p < c->positions; p++) {
        const int q = map->shifted[shift * c->positions + p];
        const double value = c->counts[v] * covariance(map, v * c->positions + p, v * c->positions + q,
                                                       one_minus_c ? one_minus_c[p] : 0.0, log_unit);
        around[shift] += value;
        inside[shift] += leaves(g, p, shift) ? 0.0 : value;
        if (opposite != shift) {
            around[opposite] += value;
            inside[opposite] += leaves(g, q, opposite) ? 0.0 : value;
        }
    }
}

/* How many p have their p + d inside. */
static int num_inside(const eoc_geometry *g, int d)
{
    return g->dimensions == 1 ? g->side - d : (g->side - d / g->side) * (g->side - d % g->side);
}

static void note_covariances(const eoc_spatial_curves *c, const eoc_spatial_map *map, const int *shifts, int half)
{
    const eoc_geometry *g = &c->averaging.geometry;
    const size_t at = (size_t)map->layer * (size_t)c->positions;
    double *const around = c->covariance + at, *const inside = c->inside + at;
    double log_unit = -INFINITY;
    for (int i = 0; i < map->num_sites; i++) {
        log_unit = fmax(log_unit, map->log_q[i]);
    }
    for (int v = 0; v < c->num_variances && log_unit > -INFINITY; v++) {
        add_diagonal(c, map, v, 0, 0, NULL, log_unit, around, inside);
        for (int i = 0; i < half; i++) {
            const int diagonal = c->num_pairs + v * half + i, opposite = eoc_opposite_shift(g, shifts[i]);
            add_diagonal(c, map, v, shifts[i], opposite, map->one_minus_c + (size_t)diagonal * (size_t)c->positions,
                         log_unit, around, inside);
        }
    }
    const double variance = around[0];
    for (int d = 0; d < c->positions; d++) {
        around[d] = c->between && variance > 0.0 ? around[d] / variance : NAN;
        inside[d] = c->between && variance > 0.0 ? inside[d] / num_inside(g, d) / (variance / c->positions) : NAN;
    }
}

/* -- creation -- */

static void note_layer(const eoc_spatial_curves *c, const eoc_spatial_map *map)
{
    const size_t positions = (size_t)c->positions, layer = (size_t)map->layer;
    const size_t sites = (size_t)map->num_sites, pairs = (size_t)c->num_pairs * positions;
    memcpy(c->log_q + layer * sites, map->log_q, sizeof(double) * sites);
    memcpy(c->log_h2 + layer * sites, map->log_h2, sizeof(double) * sites);
    memcpy(c->one_minus_c + layer * pairs, map->one_minus_c, sizeof(double) * pairs);
    memcpy(c->one_minus_h + layer * pairs, map->one_minus_h, sizeof(double) * pairs);
    if (layer == 0) {
        return;
    }
    double *const slopes = c->slopes + layer * (sites + pairs);
    for (int i = 0; i < map->num_sites; i++) {
        slopes[i] = eoc_site_moments(map, i)->mu_1;
    }
    memcpy(slopes + sites, map->slopes, sizeof(double) * pairs);
    for (int p = 0; p < c->positions; p++) {
        c->mu_2[layer * positions + (size_t)p] =
            eoc_site_moments(map, eoc_spatial_input_zero(c) * c->positions + p)->mu_2;
    }
}

static void iterate(const eoc_spatial_curves *c, eoc_spatial_map *map, const int *shifts, int half,
                    eoc_spatial_jacobian *j)
{
    const size_t positions = (size_t)c->positions;
    const size_t classes = (size_t)(c->num_variances + c->num_pairs);
    note_layer(c, map);
    for (int layer = 1; layer <= c->max_depth; layer++) {
        eoc_spatial_map_step(map);
        note_layer(c, map);
        note_covariances(c, map, shifts, half);
        const double *const slopes = c->slopes + (size_t)layer * classes * positions;
        eoc_spatial_jacobian_step(c, slopes + (size_t)eoc_spatial_input_zero(c) * positions,
                                  c->mu_2 + (size_t)layer * positions, j);
        eoc_spatial_jacobian_moments(c, j, &c->log_moment_1[layer], &c->log_moment_2[layer]);
    }
}

eoc_status eoc_spatial_curves_create(const eoc_averaging *averaging, const eoc_activation *act, double sigma_w2,
                                     double sigma_b2, const eoc_spatial_inputs *inputs, int max_depth, bool between,
                                     bool second_moment, eoc_spatial_curves **curves)
{
    eoc_spatial_curves *made = NULL;
    EOC_TRY(allocate(averaging, &inputs->classes, max_depth, &made));
    made->between = between;
    made->sigma_w2 = sigma_w2;
    const int half = between ? eoc_half_of_shifts(&averaging->geometry, NULL) : 0;
    int *const shifts = malloc(sizeof(int) * ((size_t)half + 1));
    eoc_spatial_jacobian j = {0};
    eoc_spatial_map *map = NULL;
    eoc_status status = shifts ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves over space");
    if (status == EOC_OK) {
        const bool second = second_moment && reaches_second_moment(averaging, max_depth);
        status = eoc_spatial_jacobian_begin(made->positions, second, &j);
    }
    if (status == EOC_OK) {
        status = eoc_spatial_map_create(averaging, act, sigma_w2, sigma_b2, inputs, max_depth, between, &map);
    }
    if (status == EOC_OK) {
        if (between) {
            eoc_half_of_shifts(&averaging->geometry, shifts);
        }
        iterate(made, map, shifts, half, &j);
    }
    eoc_spatial_map_destroy(&map);
    eoc_spatial_jacobian_end(&j);
    free(shifts);
    if (status != EOC_OK) {
        eoc_spatial_curves_destroy(&made);
    }
    *curves = made;
    return status;
}
