/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Dense linear algebra on batches: the one home of BLAS.
 *
 * A batch X (columns, n) holds its vectors one after the other, each contiguous. Matrices are row-major, W (fan_out,
 * fan_in).
 */
#ifndef EOC_LINALG_H
#define EOC_LINALG_H

#include "eoc/status.h"

#include <stdbool.h>
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

/**
 * C (m, n) = alpha op(A) op(B) + beta C, all row-major without gaps; op transposes where asked: A is (m, k) or, to be
 * transposed, (k, m); B (k, n) or (n, k).
 */
void eoc_linalg_gemm_float(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
                           const float *b, float beta, float *c);
void eoc_linalg_gemm_double(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha, const double *a,
                            const double *b, double beta, double *c);

/**
 * Q = H_0 H_1 ... H_(n-1) of reflections H_k = I - tau[k] v_k v_k^t. a (n, n), column after column: on entry column k
 * holds v_k below its diagonal (v_k is 0 above it and 1 on it); on return Q. EOC_ERR_NOMEM where there is no room.
 */
eoc_status eoc_linalg_form_q(int n, double *a, const double *tau);

/** One BLAS thread a process unless told otherwise; returns the threads in use, 0 where the library does not say. */
int eoc_linalg_set_threads(int threads);

/** The BLAS in use with its processor kernel, such as "OpenBLAS 0.3.21 ... SkylakeX"; "unknown" where it does not say.
 */
const char *eoc_linalg_description(void);

#endif
