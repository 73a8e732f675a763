/* SPDX-License-Identifier: BSD-3-Clause */
#include "spatial_map.h"

#include "products.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Variances as near as this are one: what rounding of a layer's sums makes of equal ones. */
static const double ALIKE = 32.0 * DBL_EPSILON;

/* So near may two variances stop that come to one limit from either side. */
static const double ALIKE_AT_REST = 1e-12;

/* A table of correlations costs about as much as so many of them. */

/* -- where sites are -- */

/* q = p + sign d, digit by digit, around the edges. */
static int displaced(const eoc_geometry *g, int p, int d, int sign)
{
    if (g->dimensions == 1) {
        return (p + sign * d + g->side) % g->side;
    }
    const int row = (p / g->side + sign * (d / g->side) + g->side) % g->side;
    return row * g->side + (p % g->side + sign * (d % g->side) + g->side) % g->side;
}

int eoc_opposite_shift(const eoc_geometry *g, int shift)
{
    return displaced(g, 0, shift, -1);
}

int eoc_half_of_shifts(const eoc_geometry *g, int *shifts)
{
    int count = 0;
    for (int d = 1; d < eoc_geometry_positions(g); d++) {
        if (d <= eoc_opposite_shift(g, d)) {
            if (shifts) {
                shifts[count] = d;
            }
            count++;
        }
    }
    return count;
}

static void place(const eoc_geometry *g, eoc_spatial_map *map)
{
    for (int p = 0; p < map->positions; p++) {
        for (int t = 0; t < map->taps; t++) {
            map->neighbours[p * map->taps + t] = eoc_geometry_neighbour(g, p, t);
        }
        for (int d = 0; d < map->positions; d++) {
            map->shifted[d * map->positions + p] = displaced(g, p, d, 1);
        }
    }
}

static void list_diagonals(const eoc_geometry *g, const eoc_theory_inputs *classes, bool between, int *shifts,
                           eoc_diagonal *diagonals)
{
    for (int i = 0; i < classes->num_pairs; i++) {
        *diagonals++ = (eoc_diagonal){.a = classes->pairs[i].a, .b = classes->pairs[i].b};
    }
    const int half = between ? eoc_half_of_shifts(g, shifts) : 0;
    for (int v = 0; v < classes->num_variances; v++) {
        for (int i = 0; i < half; i++) {
            *diagonals++ = (eoc_diagonal){.a = v, .b = v, .shift = shifts[i]};
        }
    }
}

/* -- creation -- */

static eoc_status allocate(eoc_spatial_map *map)
{
    const size_t positions = (size_t)map->positions, sites = (size_t)map->num_sites;
    const size_t pairs = (size_t)map->num_diagonals * positions, roots = sites * ((size_t)map->taps + 1);
    map->neighbours = malloc(sizeof(int) * positions * (size_t)map->taps);
    map->shifted = malloc(sizeof(int) * positions * positions);
    map->diagonals = malloc(sizeof *map->diagonals * ((size_t)map->num_diagonals + 1));
    map->log_q = calloc(2 * sites + 3 * pairs + roots + (size_t)map->taps, sizeof(double));
    map->moments = calloc(sites, sizeof *map->moments);
    map->leaders = calloc(4 * sites, sizeof(int));
    EOC_REQUIRE(map->neighbours && map->shifted && map->diagonals && map->log_q && map->moments && map->leaders,
                EOC_ERR_NOMEM, "no memory for theory over %d positions", map->positions);
    map->log_h2 = map->log_q + sites;
    map->one_minus_c = map->log_h2 + sites;
    map->one_minus_h = map->one_minus_c + pairs;
    map->slopes = map->one_minus_h + pairs;
    map->roots = map->slopes + pairs;
    map->log_weights = map->roots + roots;
    map->order = map->leaders + sites;
    map->asked = map->order + sites;
    map->at_rest = map->asked + sites;
    return EOC_OK;
}

void eoc_spatial_map_destroy(eoc_spatial_map **made)
{
    eoc_spatial_map *map = *made;
    if (map) {
        free(map->neighbours);
        free(map->shifted);
        free(map->diagonals);
        free(map->log_q);
        free(map->moments);
        free(map->leaders);
        eoc_expectations_destroy(&map->e);
        free(map);
    }
    *made = NULL;
}

static double input_correlation(const eoc_spatial_map *map, const eoc_spatial_inputs *inputs, int diagonal, int p)
{
    const size_t positions = (size_t)map->positions;
    if (diagonal < inputs->classes.num_pairs) {
        return inputs->correlations ? inputs->correlations[(size_t)diagonal * positions + (size_t)p]
                                    : inputs->classes.pairs[diagonal].correlation;
    }
    const eoc_diagonal *d = &map->diagonals[diagonal];
    const size_t other = (size_t)map->shifted[d->shift * map->positions + p];
    return inputs->position_correlation
               ? inputs->position_correlation[((size_t)d->a * positions + (size_t)p) * positions + other]
               : 0.0;
}

/* h^0 = x */
static void begin(eoc_spatial_map *map, const eoc_spatial_inputs *inputs)
{
    for (int i = 0; i < map->num_sites; i++) {
        map->log_h2[i] = log(inputs->variances ? inputs->variances[i] : inputs->classes.variances[i / map->positions]);
        map->order[i] = i;
        map->moments[i].log_q = NAN; /* of no variance yet */
    }
    for (int i = 0; i < map->num_diagonals; i++) {
        for (int p = 0; p < map->positions; p++) {
            map->one_minus_h[i * map->positions + p] = 1.0 - input_correlation(map, inputs, i, p);
        }
    }
}

static eoc_status fill(const eoc_averaging *averaging, const eoc_activation *act, double sigma_w2,
                       const eoc_spatial_inputs *inputs, bool between, eoc_spatial_map *map)
{
    EOC_TRY(allocate(map));
    EOC_TRY(eoc_expectations_create(act, &map->e));
    const eoc_geometry *g = &averaging->geometry;
    for (int t = 0; t < map->taps; t++) {
        map->log_weights[t] = log(sigma_w2) + log(averaging->shares[t]);
    }
    place(g, map);
    list_diagonals(g, &inputs->classes, between, map->leaders, map->diagonals);
    begin(map, inputs);
    return EOC_OK;
}

eoc_status eoc_spatial_map_create(const eoc_averaging *averaging, const eoc_activation *act, double sigma_w2,
                                  double sigma_b2, const eoc_spatial_inputs *inputs, int max_depth, bool between,
                                  eoc_spatial_map **map)
{
    const eoc_geometry *g = &averaging->geometry;
    const int half = between ? eoc_half_of_shifts(g, NULL) : 0;
    eoc_spatial_map *made = calloc(1, sizeof *made);
    EOC_REQUIRE(made, EOC_ERR_NOMEM, "no memory for theory over space");
    made->positions = eoc_geometry_positions(g);
    made->taps = eoc_geometry_taps(g);
    made->num_sites = inputs->classes.num_variances * made->positions;
    made->num_pairs = inputs->classes.num_pairs;
    made->num_diagonals = inputs->classes.num_pairs + inputs->classes.num_variances * half;
    made->sigma_b2 = sigma_b2;
    made->max_depth = max_depth;
    const eoc_status status = fill(averaging, act, sigma_w2, inputs, between, made);
    if (status != EOC_OK) {
        eoc_spatial_map_destroy(&made);
    }
    *map = made;
    return status;
}

/* -- z from h -- */

/* The site of one class that a tap sees from another; -1 beyond the edge. */
static int seen_from(const eoc_spatial_map *map, int site, int tap)
{
    const int position = site % map->positions, neighbour = map->neighbours[position * map->taps + tap];
    return neighbour < 0 ? -1 : site - position + neighbour;
}

/* log of what comes through a tap */
static double log_share(const eoc_spatial_map *map, int site, int tap)
{
    const int from = seen_from(map, site, tap);
    return from < 0 || map->log_weights[tap] == -INFINITY ? -INFINITY : map->log_weights[tap] + map->log_h2[from];
}

static double next_log_q(eoc_spatial_map *map, int site)
{
    log_sum q = EMPTY_SUM;
    for (int t = 0; t < map->taps; t++) {
        add_term(&q, log_share(map, site, t), 1.0);
    }
    add_term(&q, log(map->sigma_b2), 1.0);
    const double log_q = log_of_sum(&q);
    /* A length that has stopped to rounding is held, and with it everything computed from it. */
    const bool stopped = map->layer > 1 && eoc_site_moments(map, site)->regime == EOC_REGIME_GENERAL &&
                         fabs(log_q - map->log_q[site]) <= 0.5 * ALIKE;
    map->at_rest[site] = stopped;
    return stopped ? map->log_q[site] : log_q;
}

/* The order hardly changes from layer to layer: insertion. */
static void sort_sites(const double *log_q, int *order, int n)
{
    for (int i = 1; i < n; i++) {
        const int site = order[i];
        int j = i;
        for (; j > 0 && log_q[order[j - 1]] > log_q[site]; j--) {
            order[j] = order[j - 1];
        }
        order[j] = site;
    }
}

/* Sites whose variances are alike take the least of them, and the moments of the site that has it. */
static void find_leaders(eoc_spatial_map *map)
{
    sort_sites(map->log_q, map->order, map->num_sites);
    int leader = map->order[0];
    for (int i = 0; i < map->num_sites; i++) {
        const int site = map->order[i];
        const double apart = map->log_q[site] - map->log_q[leader];
        const bool rest = map->at_rest[site] && map->at_rest[leader];
        if (!(apart <= (rest ? ALIKE_AT_REST : ALIKE * fmax(1.0, fabs(map->log_q[site]))))) {
            leader = site;
        }
        map->log_q[site] = map->log_q[leader];
        map->leaders[site] = leader;
    }
}

static void fill_roots(eoc_spatial_map *map)
{
    for (int i = 0; i < map->num_sites; i++) {
        double *const roots = map->roots + (size_t)i * ((size_t)map->taps + 1);
        const double log_q = map->log_q[i];
        for (int t = 0; t < map->taps; t++) {
            roots[t] = log_q > -INFINITY ? exp(0.5 * (log_share(map, i, t) - log_q)) : 0.0;
        }
        roots[map->taps] = log_q > -INFINITY ? exp(0.5 * (log(map->sigma_b2) - log_q)) : 0.0;
    }
}

/*
 * 1 - c' of the sums over taps. With x_t^2 and y_t^2 the shares of tap t (and of the bias) in each variance, which add
 * up to 1: 1 - c' = sum_t (x_t - y_t)^2/2 + sum_t x_t y_t (1 - c_t), nothing of which cancels.
 */
static double averaged_one_minus_c(const eoc_spatial_map *map, int diagonal, int p)
{
    const eoc_diagonal *d = &map->diagonals[diagonal];
    const int a = d->a * map->positions + p, b = d->b * map->positions + map->shifted[d->shift * map->positions + p];
    if (map->log_q[a] == -INFINITY || map->log_q[b] == -INFINITY) {
        return NAN;
    }
    const size_t width = (size_t)map->taps + 1;
    const double *const x = map->roots + (size_t)a * width, *const y = map->roots + (size_t)b * width;
    const double *const features = map->one_minus_h + (size_t)diagonal * (size_t)map->positions;
    double sum = 0.0;
    for (int t = 0; t <= map->taps; t++) {
        sum += 0.5 * (x[t] - y[t]) * (x[t] - y[t]);
        const double both = x[t] * y[t];
        if (t < map->taps && both > 0.0) {
            sum += both * features[map->neighbours[p * map->taps + t]];
        }
    }
    return sum;
}

static void step_affine(eoc_spatial_map *map)
{
    for (int i = 0; i < map->num_sites; i++) {
        map->log_q[i] = next_log_q(map, i);
    }
    find_leaders(map);
    fill_roots(map);
    for (int i = 0; i < map->num_diagonals; i++) {
        for (int p = 0; p < map->positions; p++) {
            map->one_minus_c[i * map->positions + p] = averaged_one_minus_c(map, i, p);
        }
    }
}

/* -- h from z -- */

/* At a new variance; or at one that is held, and will be asked again with c nearer to 1: one long series, and a table
 * where it does not end, serve all. That it is worth it layers past tell, not those to come, on which no bit depends.
 */
static void update_moments(eoc_spatial_map *map, int site)
{
    eoc_moments *m = &map->moments[site];
    int *const asked = &map->asked[site];
    if (m->log_q != map->log_q[site]) {
        eoc_moments_fill(map->e, map->log_q[site], m);
        *asked = 0;
        return;
    }
    if (m->greatest_c < 1.0) {
        eoc_moments_expand(map->e, 1.0, m);
    }
    *asked = *asked < EOC_WORTH_A_TABLE ? *asked + map->num_pairs * map->positions : *asked;
    if (*asked >= EOC_WORTH_A_TABLE && !(m->num_hermite > 0 && m->residual == 0.0)) {
        eoc_moments_tabulate(map->e, m);
    }
}

/* Series for the correlations of some diagonals, where there are no longer ones. */
static void expand_moments(eoc_spatial_map *map, int from, int to)
{
    double greatest_c = 0.0;
    for (int i = from * map->positions; i < to * map->positions; i++) {
        greatest_c = fmax(greatest_c, fabs(1.0 - map->one_minus_c[i]));
    }
    for (int i = 0; i < map->num_sites; i++) {
        if (map->leaders[i] == i && greatest_c > map->moments[i].greatest_c) {
            eoc_moments_expand(map->e, greatest_c, &map->moments[i]);
        }
    }
}

static void fill_diagonals(eoc_spatial_map *map, int from, int to)
{
    for (int i = from; i < to; i++) {
        const eoc_diagonal *d = &map->diagonals[i];
        for (int p = 0; p < map->positions; p++) {
            const int at = i * map->positions + p, other = map->shifted[d->shift * map->positions + p];
            const eoc_moments *a = eoc_site_moments(map, d->a * map->positions + p);
            const eoc_moments *b = eoc_site_moments(map, d->b * map->positions + other);
            map->slopes[at] = sqrt(a->mu_1) * sqrt(b->mu_1);
            double *const slope =
                d->shift == 0 ? &map->slopes[at] : NULL; /* gradients at other positions: uncorrelated */
            if (isnan(map->one_minus_c[at])) {
                eoc_zero_pair_fill(map->e, a, b, &map->one_minus_h[at], slope);
            } else {
                eoc_pair_fill(map->e, a, b, map->one_minus_c[at], &map->one_minus_h[at], slope);
            }
        }
    }
}

/* Pairs of inputs come first, so that their bits are the same whether or not those of positions are wanted. */
static void step_activation(eoc_spatial_map *map)
{
    for (int i = 0; i < map->num_sites; i++) {
        if (map->leaders[i] == i) {
            update_moments(map, i);
        }
    }
    for (int i = 0; i < map->num_sites; i++) {
        map->log_h2[i] = eoc_site_moments(map, i)->log_phi2;
    }
    expand_moments(map, 0, map->num_pairs);
    fill_diagonals(map, 0, map->num_pairs);
    expand_moments(map, map->num_pairs, map->num_diagonals);
    fill_diagonals(map, map->num_pairs, map->num_diagonals);
}

void eoc_spatial_map_step(eoc_spatial_map *map)
{
    assert(map->layer < map->max_depth);
    map->layer++;
    step_affine(map);
    step_activation(map);
}
