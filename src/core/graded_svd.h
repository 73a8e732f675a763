/* SPDX-License-Identifier: BSD-3-Clause */
/* Singular values of a graded matrix, each to high relative accuracy; for product_svd.c. Private to core. */
#ifndef EOC_GRADED_SVD_H
#define EOC_GRADED_SVD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where entry (row, col) is in a matrix stored by columns. */
static inline size_t eoc_graded_at(int row, int col, int stride)
{
    return (size_t)row + (size_t)col * (size_t)stride;
}

/* S = diag(2^exponent) T, rows <= cols <= stride; T (rows, cols) column-major: S_ij = 2^exponent[i] t[i + j stride]. */
typedef struct {
    int rows, cols, stride;
    double *t;         /* (stride, stride) */
    int64_t *exponent; /* (stride) */
} eoc_graded;

/* Memory of the caller, of no meaning between calls. */
typedef struct {
    double *square;    /* (stride, stride) */
    double *vector[3]; /* (stride) each */
    int64_t *shift;    /* (stride) */
    int *order[2];     /* (stride) each */
    double *lapack;    /* (num_lapack) */
    int num_lapack;    /* at least 64 stride */
} eoc_graded_scratch;

/* Row i of T to a greatest entry in [1/2, 1), by powers of two. A row of zeros stays, with exponent 0: false. */
bool eoc_graded_normalise_row(eoc_graded *s, int row);

/*
 * The order (n) in which size 2^exponent descends, zeros last, equal ones as they come; exponent NULL: all 0. `spare`
 * (n) is overwritten.
 */
void eoc_graded_sort(const double *size, const int64_t *exponent, int n, int *order, int *spare);

/*
 * The singular value decomposition S = U diag(2^exponent length) V^T, without V.
 *
 * On return T (rows, rows) is U, cols is rows, and the singular values descend; length (rows) is in [0, inf), 0 only
 * where S is singular. False: no convergence (never seen), or not finite.
 *
 * The relative error of every value is some rounding errors times the condition number of T with its rows scaled to
 * length 1; that of S does not matter, and exponents may be beyond the range of doubles. One QR factorisation turns S
 * into D L Q^T, L lower triangular; then one-sided Jacobi on the columns of D L, each with an exponent of its own:
 * Demmel & Veselic 1992; Drmac & Veselic 2008, SIAM J. Matrix Anal. Appl. 29, 1322 and 1343.
 */
bool eoc_graded_svd(eoc_graded *s, const eoc_graded_scratch *scratch, double *length);

#endif
