/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expectations of phi' with what its argument is made of: how a tangent that leans on a signal comes out of phi.
 *
 * Of a pair u_a, u_b of cosine c_u and variance y each, with the halves (u_a + u_b)/2 = sqrt(y (1 + c_u)/2) e_0 and
 * (u_a - u_b)/2 = sqrt(y (1 - c_u)/2) e_1 of independent normals e_0, e_1; likewise phi_+ and phi_- are half the sum
 * and half the difference of the two features, in units of sqrt(E[phi^2]). Of one input u_a = u_b = sqrt(y) e_0, and
 * what belongs to e_1 and phi_- is 0. Dropout is within, as it falls: of one input both slopes meet one mask.
 */
#ifndef EOC_THEORY_TILTS_H
#define EOC_THEORY_TILTS_H

#include "features.h"

typedef struct {
    double mean;            /* E[phi_+] */
    double slope[2];        /* E[phi'_a e_j]; of input b that of e_1 changes its sign, and so on below */
    double plus[2];         /* E[phi'_a e_j phi_+] */
    double minus[2];        /* E[phi'_a e_j phi_-] */
    double both;            /* E[phi'_a phi'_b] */
    double both_plus;       /* E[phi'_a phi'_b phi_+] */
    double both_squares[2]; /* E[phi'_a phi'_b phi_+^2] and of phi_-^2 */
    double lean[2];         /* E[phi'_a phi'_b (e_j^2 - 1)] */
    double spread[2];       /* the variances of phi_+ and of phi_- */
} eoc_tilts;

/* At the variance the map was asked for last, without a shift; phi is not odd (there are half as many nodes then). */
void eoc_tilts_of_one(eoc_feature_map *map, double keep, eoc_tilts *tilts);

/* Of a pair of cosine 1 - one_minus_c there, of which eoc_feature_map_pair says the other two. Accuracy: 1e-6. Cost,
 * where phi is not two slopes: some 0.2 ms at variance 1, growing with its logarithm, to 5 ms at 1e25. */
void eoc_tilts_of_pair(eoc_feature_map *map, double one_minus_c, double one_minus_feature_c, double dphi_dphi,
                       double keep, eoc_tilts *tilts);

#endif
