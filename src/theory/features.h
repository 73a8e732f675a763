/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What phi makes of Gaussian pre-activations u = shift + sqrt(q) z: one variance at a time, and pairs at it. The shift
 * is the beta of a normalization. Without it this is expectations.h, told what it has seen already.
 */
#ifndef EOC_THEORY_FEATURES_H
#define EOC_THEORY_FEATURES_H

#include "expectations.h"

typedef struct {
    double log_u;           /* log of the variance q */
    double log_phi2;        /* log E[phi^2] */
    double mu_1, mu_2;      /* E[dphi^2], E[dphi^4] */
    double log_phi2_slope;  /* dlog E[phi^2]/dlog q */
    double pair_slope_unit; /* q/E[phi^2]: times E[dphi dphi] it is the slope of the normalised c-map */
} eoc_features;

typedef struct eoc_feature_map eoc_feature_map;

/* @param folded  half the units see phi(-u): all is the mean over both signs of the shift */
eoc_status eoc_feature_map_create(const eoc_activation *act, double shift, bool folded, eoc_feature_map **map);
void eoc_feature_map_destroy(eoc_feature_map **map);

/* Looks at a variance; one within rounding of the last one is that one. */
const eoc_features *eoc_feature_map_at(eoc_feature_map *map, double log_u);

/* E[phi]/sqrt(E[phi^2]) there. */
double eoc_feature_map_mean(eoc_feature_map *map);

/* 1 - E[phi(u1) phi(u2)]/E[phi^2] and E[dphi(u1) dphi(u2)] there, of cosine 1 - one_minus_c. */
void eoc_feature_map_pair(eoc_feature_map *map, double one_minus_c, double *one_minus_feature_c, double *dphi_dphi);

/* What is behind a map without a shift, for other expectations at the variance it was asked for last. */
eoc_expectations *eoc_feature_map_expectations(eoc_feature_map *map);
const eoc_moments *eoc_feature_map_moments(const eoc_feature_map *map);

#endif
