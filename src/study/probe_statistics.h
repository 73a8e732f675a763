/* SPDX-License-Identifier: BSD-3-Clause */
/* What a probe computes of the vectors of a layer. Private to the room. */
#ifndef EOC_PROBE_STATISTICS_H
#define EOC_PROBE_STATISTICS_H

#include "eoc/architecture.h"

#include <stddef.h>

/**
 * Cosine of two vectors, and 1 - cosine from the difference of the normalised vectors, which keeps its digits where
 * they are nearly parallel. NaN when one is zero.
 */
void eoc_vectors_cosine(const double *x, const double *y, size_t n, double *c, double *one_minus_c);

/** The same of the first two vectors of a batch. NaN when there are not two. */
void eoc_batch_cosine(const eoc_batch *batch, double *c, double *one_minus_c);

/** mean(z^4)/mean(z^2)^2 of every vector, averaged over those that are not zero; NaN when all are. */
double eoc_batch_kurtosis(const eoc_batch *batch);

/** Rows (positions) of the statistic spatial in one layer. */
typedef struct {
    double *position_q, *position_c, *power, *correlation;
} eoc_spatial_rows;

/** Doubles of its scratch memory. */
size_t eoc_spatial_doubles(int positions);

/**
 * Statistics over space of z (inputs * positions, channels); NaN where z is zero.
 *
 * power: of mode k the sum over channels and inputs of |sum_p z(p) e^(-2 pi i k.p/side)|^2, divided by that of all
 * modes; k has the digits of its index, as a position. correlation: of displacement d the mean of z(p) z(p + d), over
 * that at d = 0; with zero padding over the p whose p + d is inside.
 *
 * Cost: O(positions side) a channel and input; with zero padding, where every pair of positions is looked at,
 * O(positions^2). A mode's power is right to rounding of the square root of its share.
 */
void eoc_spatial_fill(const eoc_geometry *geometry, const eoc_batch *z, double *scratch, const eoc_spatial_rows *rows);

#endif
