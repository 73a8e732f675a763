/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Dense linear algebra on batches: the one home of BLAS.
 *
 * A batch X (columns, n) holds its vectors one after the other, each contiguous. Matrices are row-major, W (fan_out,
 * fan_in).
 */
#ifndef EOC_LINALG_H
#define EOC_LINALG_H

#include <stddef.h>

/** A tile T (rows, cols) of a matrix: row i begins at values + i * stride. */
typedef struct {
    const double *values;
    int rows, cols, stride;
} eoc_tile;

/** Y (columns, rows; stride y_stride) += X (columns, cols; stride x_stride) T^t. */
void eoc_linalg_tile_apply(eoc_tile tile, const double *x, int x_stride, double *y, int y_stride, int columns);

/** X (columns, cols) += Y (columns, rows) T. */
void eoc_linalg_tile_apply_transposed(eoc_tile tile, const double *y, int y_stride, double *x, int x_stride,
                                      int columns);

/** coefficients (count) = basis (count, n) v */
void eoc_linalg_project(const double *basis, int count, size_t n, const double *v, double *coefficients);

/** v (n) += basis^t coefficients; returns |v|^2 after it, 0 when count is 0 */
double eoc_linalg_add(const double *basis, int count, size_t n, const double *coefficients, double *v);

/** x *= a */
void eoc_linalg_scale(double a, double *x, size_t n);

/** gram (columns, columns) = X X^t of a batch X (columns, n). */
void eoc_linalg_gram(const double *x, int columns, int n, double *gram);

double eoc_linalg_dot(const double *x, const double *y, size_t n);

/** y += a x */
void eoc_linalg_axpy(double a, const double *x, double *y, size_t n);

/** Euclidean norm, without over- or underflow on the way. */
double eoc_linalg_norm(const double *x, size_t n);

/** One BLAS thread a process unless told otherwise; returns the threads in use, 0 where the library does not say. */
int eoc_linalg_set_threads(int threads);

/** The BLAS in use with its processor kernel, such as "OpenBLAS 0.3.21 ... SkylakeX"; "unknown" where it does not say.
 */
const char *eoc_linalg_description(void);

#endif
