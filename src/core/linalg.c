/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/linalg.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>

/* OpenBLAS's own calls, where the library that is linked has them. */
extern void openblas_set_num_threads(int threads) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));
extern char *openblas_get_config(void) __attribute__((weak));
extern char *openblas_get_corename(void) __attribute__((weak));

void eoc_linalg_tile_apply(const double *tile, int rows, int cols, const double *x, int x_stride, double *y,
                           int y_stride, int columns)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, columns, rows, cols, 1.0, x, x_stride, tile, cols, 1.0, y,
                y_stride);
}

void eoc_linalg_tile_apply_transposed(const double *tile, int rows, int cols, const double *y, int y_stride, double *x,
                                      int x_stride, int columns)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, columns, cols, rows, 1.0, y, y_stride, tile, cols, 1.0, x,
                x_stride);
}

void eoc_linalg_gram(const double *x, int columns, int n, double *gram)
{
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, columns, n, 1.0, x, n, 0.0, gram, columns);
    for (int a = 0; a < columns; a++) {
        for (int b = 0; b < a; b++) {
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
    return cblas_dnrm2((int)n, x, 1);
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
