/* SPDX-License-Identifier: BSD-3-Clause */
/* The covariance map over positions, layer by layer. Private to the room. */
#ifndef EOC_THEORY_SPATIAL_MAP_H
#define EOC_THEORY_SPATIAL_MAP_H

#include "eoc/spatial_theory.h"

#include "expectations.h"

/* The pairs of sites (a, p) and (b, p + shift), around the edges, of all p: what the map sends to itself. */
typedef struct {
    int a, b, shift;
} eoc_diagonal;

/* A site is a class of variances at a position, number class * positions + position. */
typedef struct {
    int positions, taps;
    int num_sites, num_pairs, num_diagonals;
    int *neighbours;         /* (positions, taps), -1 beyond the edge */
    int *shifted;            /* (positions, positions): shift, then position */
    eoc_diagonal *diagonals; /* the pairs of inputs come first, with shift 0 */
    double *log_weights;     /* (taps): of sigma_w^2 v_t */
    double sigma_b2;

    double *log_q;       /* (sites), of the layer in hand */
    double *log_h2;      /* (sites): log E[h^2]; of the inputs before the first step */
    double *one_minus_c; /* (diagonals, positions), of pre-activations; NaN where one is zero */
    double *one_minus_h; /* (diagonals, positions), of activations; of the inputs before the first step */
    double *slopes;      /* (diagonals, positions): E[dphi dphi] */

    double *roots;        /* (sites, taps + 1): square roots of the shares of each tap, and of the bias, in q */
    int *leaders;         /* (sites): the site whose moments are this one's */
    eoc_moments *moments; /* (sites), where a site leads */
    int *order;           /* (sites), ascending in log_q */
    int *at_rest;         /* (sites): whether a variance has stopped, and is held */
    int *asked;           /* (sites): pairs of inputs since a leader has its variance, as far as it counts */
    eoc_expectations *e;
    int layer, max_depth;
} eoc_spatial_map;

/* The shift that leads back. */
int eoc_opposite_shift(const eoc_geometry *geometry, int shift);

/* Half of the displacements other than zero: d and -d have one diagonal. Returns how many; `shifts` may be NULL. */
int eoc_half_of_shifts(const eoc_geometry *geometry, int *shifts);

/* `between`: with the diagonals of each class of variances between positions, in the order of eoc_half_of_shifts. */
eoc_status eoc_spatial_map_create(const eoc_averaging *averaging, const eoc_activation *act, double sigma_w2,
                                  double sigma_b2, const eoc_spatial_inputs *inputs, int max_depth, bool between,
                                  eoc_spatial_map **map);
void eoc_spatial_map_destroy(eoc_spatial_map **map);

/* To the next layer. */
void eoc_spatial_map_step(eoc_spatial_map *map);

static inline const eoc_moments *eoc_site_moments(const eoc_spatial_map *map, int site)
{
    return &map->moments[map->leaders[site]];
}

#endif
