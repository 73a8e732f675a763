/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/linalg.h"

#include "eoc/vecmath.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdio.h>

/* OpenBLAS's own calls, where the library that is linked has them. */
extern void openblas_set_num_threads(int threads) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));
extern char *openblas_get_config(void) __attribute__((weak));
extern char *openblas_get_corename(void) __attribute__((weak));

/* Products with so few vectors on either side are bound by memory, not arithmetic: one pass over each vector. */
enum { FEW = 8 };

static bool is_slim(eoc_tile tile, int columns)
{
    return tile.rows <= FEW && columns <= FEW;
}

void eoc_linalg_tile_apply(eoc_tile tile, const double *x, int x_stride, double *y, int y_stride, int columns)
{
    if (is_slim(tile, columns)) {
        for (int c = 0; c < columns; c++) {
            double sums[FEW];
            eoc_vec_dots(tile.values, (size_t)tile.stride, tile.rows, x + (size_t)c * (size_t)x_stride,
                         (size_t)tile.cols, sums);
            for (int k = 0; k < tile.rows; k++) {
                y[(size_t)c * (size_t)y_stride + (size_t)k] += sums[k];
            }
        }
        return;
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, columns, tile.rows, tile.cols, 1.0, x, x_stride, tile.values,
                tile.stride, 1.0, y, y_stride);
}

void eoc_linalg_tile_apply_transposed(eoc_tile tile, const double *y, int y_stride, double *x, int x_stride,
                                      int columns)
{
    if (is_slim(tile, columns)) {
        for (int c = 0; c < columns; c++) {
            const double *const a = y + (size_t)c * (size_t)y_stride;
            int count = tile.rows;
            while (count > 0 && a[count - 1] == 0.0) { /* of triangular factors half is zero */
                count--;
            }
            eoc_vec_combine(tile.values, (size_t)tile.stride, count, a, x + (size_t)c * (size_t)x_stride,
                            (size_t)tile.cols);
        }
        return;
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, columns, tile.cols, tile.rows, 1.0, y, y_stride, tile.values,
                tile.stride, 1.0, x, x_stride);
}

void eoc_linalg_project(const double *basis, int count, size_t n, const double *v, double *coefficients)
{
    eoc_vec_dots(basis, n, count, v, n, coefficients);
}

double eoc_linalg_add(const double *basis, int count, size_t n, const double *coefficients, double *v)
{
    return eoc_vec_combine(basis, n, count, coefficients, v, n);
}

void eoc_linalg_scale(double a, double *x, size_t n)
{
    cblas_dscal((int)n, a, x, 1);
}

void eoc_linalg_gram(const double *x, int columns, int n, double *gram)
{
    const size_t stride = (size_t)n;
    if (columns <= FEW) {
        for (int a = 0; a < columns; a++) {
            eoc_vec_dots(x, stride, a + 1, x + (size_t)a * stride, stride, gram + a * columns);
        }
    } else {
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, columns, n, 1.0, x, n, 0.0, gram, columns);
    }
    for (int a = 0; a < columns; a++) {
        for (int b = a + 1; b < columns; b++) {
            gram[a * columns + b] = gram[b * columns + a];
        }
    }
}

double eoc_linalg_dot(const double *x, const double *y, size_t n)
{
    return cblas_ddot((int)n, x, 1, y, 1);
}

void eoc_linalg_axpy(double a, const double *x, double *y, size_t n)
{
    cblas_daxpy((int)n, a, x, 1, y, 1);
}

double eoc_linalg_norm(const double *x, size_t n)
{
    const double square = cblas_ddot((int)n, x, 1, x, 1);
    /* dnrm2 is safe at any scale, and several times slower than a dot product. */
    return square > 1e-280 && square < 1e280 ? sqrt(square) : cblas_dnrm2((int)n, x, 1);
}

static enum CBLAS_TRANSPOSE operation(bool transpose)
{
    return transpose ? CblasTrans : CblasNoTrans;
}

void eoc_linalg_gemm_float(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
                           const float *b, float beta, float *c)
{
    cblas_sgemm(CblasRowMajor, operation(transpose_a), operation(transpose_b), m, n, k, alpha, a, transpose_a ? m : k,
                b, transpose_b ? k : n, beta, c, n);
}

void eoc_linalg_gemm_double(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha, const double *a,
                            const double *b, double beta, double *c)
{
    cblas_dgemm(CblasRowMajor, operation(transpose_a), operation(transpose_b), m, n, k, alpha, a, transpose_a ? m : k,
                b, transpose_b ? k : n, beta, c, n);
}

eoc_status eoc_linalg_form_q(int n, double *a, const double *tau)
{
    const lapack_int info = LAPACKE_dorgqr(LAPACK_COL_MAJOR, n, n, n, a, n, tau);
    EOC_REQUIRE(info == 0, EOC_ERR_NOMEM, "out of memory for an orthogonal matrix of %d x %d", n, n);
    return EOC_OK;
}

int eoc_linalg_set_threads(int threads)
{
    if (openblas_set_num_threads) {
        openblas_set_num_threads(threads);
    }
    return openblas_get_num_threads ? openblas_get_num_threads() : 0;
}

const char *eoc_linalg_description(void)
{
    static char text[256];
    snprintf(text, sizeof text, "%s%s%s", openblas_get_config ? openblas_get_config() : "unknown",
             openblas_get_corename ? " core " : "", openblas_get_corename ? openblas_get_corename() : "");
    return text;
}
