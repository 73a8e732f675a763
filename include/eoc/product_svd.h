/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * All singular values of a long product J = A_L ... A_1, in log scale, each right in relative accuracy.
 *
 * The factors are met one at a time and only through their action on a batch; none is stored. Condition numbers far
 * beyond 1e16, and beyond the range of doubles, are no obstacle: one sweep of QR factorisations J = Q (R_L ... R_1)
 * keeps the triangular product as powers of two, a row each, times a well-conditioned matrix (Stewart 1995, "On graded
 * QR decompositions of products of matrices", ETNA 3), and one-sided Jacobi, which respects such a grading, has the
 * last word. The diagonals of the R_l alone are not the singular values: they are wrong by several e-folds.
 *
 *     eoc_product_svd_begin(svd, n);
 *     for each factor A, first to last:
 *         const double *basis = eoc_product_svd_basis(svd, &columns);
 *         product (columns, n_out) = every vector of the basis through A
 *         eoc_product_svd_push(svd, product, n_out, exponent);
 *     eoc_product_svd_finish(svd, log_values);
 */
#ifndef EOC_PRODUCT_SVD_H
#define EOC_PRODUCT_SVD_H

#include "eoc/status.h"

#include <stdbool.h>
#include <stdint.h>

/** Memory for products whose factors have at most max_n rows and columns; one a rank, reused. */
typedef struct eoc_product_svd eoc_product_svd;

/** EOC_ERR_NOMEM where the memory is not there. Owned by the caller, ended by eoc_product_svd_destroy. */
eoc_status eoc_product_svd_create(int max_n, eoc_product_svd **svd);
void eoc_product_svd_destroy(eoc_product_svd **svd);

/** Bytes that eoc_product_svd_create takes: 3 max_n^2 doubles and a little. */
double eoc_product_svd_bytes(int max_n);

/** A new product, of no factor yet: J is the identity of n x n, 1 <= n <= max_n. */
void eoc_product_svd_begin(eoc_product_svd *svd, int n);

/**
 * The vectors that the next factor is to be applied to: a batch (columns, fan_in of the next factor), orthonormal.
 *
 * @param columns  at most n, and never more than before; 0 once the product is 0 (push is then to be left out, or
 *                 called with any pointer)
 * @return not owned; valid until the next push, finish or begin
 */
const double *eoc_product_svd_basis(const eoc_product_svd *svd, int *columns);

/**
 * Multiplies J by a factor 2^exponent A from the left.
 *
 * @param product   (columns, n_out) every vector of the basis through A; not retained. A unit (an entry of every
 *                  vector) that is exactly 0 in all of them is dropped, as are vectors that are exactly 0: each rank
 *                  that is lost so is an exact zero among the singular values. Entries below 1e-430 times the greatest
 *                  lose digits
 * @param n_out     rows of A, 1 <= n_out <= max_n
 * @return false when an entry of this or an earlier product is NaN or infinite: J then has no singular values
 *
 * Cost: 4 n^3 floating-point operations (QR, its Q, and the triangular product), with BLAS 3.
 */
bool eoc_product_svd_push(eoc_product_svd *svd, const double *product, int n_out, int64_t exponent);

/**
 * The singular values of J, or square roots of the eigenvalues of J^t J: their natural logarithms.
 *
 * @param log_values  (n) descending, -inf for the exact zeros (n - n_out at least); overwritten. All NaN when push
 *                    returned false
 *
 * The product is then at its end: begin comes next.
 *
 * Accuracy, absolute in the logarithm: 4e-12, or 4e-14 of the greatest of them, against mpmath (n to 100, depth to
 * 1000; tests/unit/test_product_svd.c), for factors with condition numbers below 1e3 once their rows are scaled to
 * length 1; sweeps of one product through different bases agree to 1e-10 at n = 200, depth 300. Worse factors cost as
 * many digits as their own rounding does. What is singular without a zero row or column, such as a W of rank n - 1,
 * comes out at rounding level, not at -inf.
 *
 * Cost: 3 to 10 sweeps of up to 5 n^3 operations each; the steeper the values, the fewer. At n = 1000 2 s for one
 * layer, 1 s for a hundred, where the pushes take 16 s.
 */
void eoc_product_svd_finish(eoc_product_svd *svd, double *log_values);

#endif
