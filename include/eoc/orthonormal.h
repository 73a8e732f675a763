/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Orthonormal frames: Gram-Schmidt that stays orthonormal to rounding whatever it is given.
 *
 * Vectors come one after the other, without pivoting. Each is projected off the frame again and again until a
 * projection leaves at least half of it (Daniel, Gragg, Kaufman & Stewart 1976), so that of a vector that lies in the
 * span to rounding a unit vector remains, orthogonal to the frame, with a coefficient as small as it should be. Only a
 * vector of which nothing is left, zero or in a span that is the whole space, becomes zero.
 */
#ifndef EOC_ORTHONORMAL_H
#define EOC_ORTHONORMAL_H

#include <stdbool.h>
#include <stddef.h>

/** Orthonormal vectors (count, n), some of which may be zero. */
typedef struct {
    const double *vectors;
    int count;
} eoc_frame;

/**
 * Orthonormalises one vector against frames that are orthonormal together.
 *
 * @param full          the frames span the whole space: nothing of v can be left but rounding
 * @param v             (n) any vector of finite values; becomes q, a unit vector, or zero
 * @param coefficients  (sum of the counts): what v had along the frames' vectors
 * @param work          (sum of the counts) scratch
 * @return what v had along q; 0 when q is zero
 */
double eoc_orthonormal_next(const eoc_frame *frames, int num_frames, bool full, size_t n, double *v,
                            double *coefficients, double *work);

/**
 * Thin QR of a batch X (columns, n) in the complement of a frame F: x_j = sum_i along[j][i] f_i + sum_(i <= j) r[j][i]
 * q_i, in rows: X = along F + r Q.
 *
 * @param complement_of  frame to stay orthogonal to; count 0: none
 * @param q              (columns, n): X, becomes Q; vectors that are not there are zero
 * @param along          (columns, complement_of->count), row j of vector j
 * @param r              (columns, columns), lower triangular, above the diagonal 0
 * @param room           n minus the nonzero vectors of the frame: so many vectors of Q are not zero at most
 * @param work           2 (complement_of->count + columns) scratch
 * @return how many vectors of Q are not zero
 */
int eoc_orthonormal_qr(const eoc_frame *complement_of, int room, int columns, size_t n, double *q, double *along,
                       double *r, double *work);

#endif
