/* SPDX-License-Identifier: BSD-3-Clause */
#include "graded_svd.h"

#include <cblas.h>
#include <lapacke.h>

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX_SWEEPS = 60, BLOCK_DOUBLES = 32768 };

/* Columns x_j of length 2^exponent norm. What is stored is a multiple of x_j: v_j, of length `stored`. */
typedef struct {
    int count, stride;
    double *v; /* (count, stride) */
    double *norm, *stored;
    int64_t *exponent;
    double tolerance; /* cosines below it are zero */
} columns;

/* 2^shift for any shift; beyond the range of doubles 0 or inf. */
static double power_of_two(int64_t shift)
{
    return ldexp(1.0, shift > 4000 ? 4000 : shift < -4000 ? -4000 : (int)shift);
}

static double *column(const columns *x, int j)
{
    return x->v + (size_t)j * (size_t)x->stride;
}

bool eoc_graded_normalise_row(eoc_graded *s, int row)
{
    double *t = s->t + row, greatest = 0.0;
    const size_t stride = (size_t)s->stride;
    for (int j = 0; j < s->cols; j++) {
        greatest = fmax(greatest, fabs(t[(size_t)j * stride]));
    }
    if (greatest == 0.0) {
        s->exponent[row] = 0;
        return false;
    }
    int shift;
    frexp(greatest, &shift);
    if (shift != 0) {
        for (int j = 0; j < s->cols; j++) {
            t[(size_t)j * stride] = ldexp(t[(size_t)j * stride], -shift);
        }
        s->exponent[row] += shift;
    }
    return true;
}

/* -- one-sided Jacobi -- */

/* Measures a column again, and stores it at a length near 1. */
static void refresh(columns *x, int j)
{
    double *v = column(x, j);
    int shift;
    const double length = cblas_dnrm2(x->count, v, 1);
    if (length == 0.0 || x->norm[j] == 0.0) {
        x->norm[j] = x->stored[j] = 0.0;
        return;
    }
    const double norm = x->norm[j] * (length / x->stored[j]);
    frexp(length, &shift);
    if (shift < -8 || shift > 8) {
        for (int i = 0; i < x->count; i++) {
            v[i] = ldexp(v[i], -shift);
        }
        x->stored[j] = ldexp(length, -shift);
    } else {
        x->stored[j] = length;
    }
    x->norm[j] = frexp(norm, &shift);
    x->exponent[j] += shift;
}

/*
 * Turns two columns until they are orthogonal; false where they are already.
 *
 * With unit vectors a (the longer column) and b, cosine g, ratio of lengths rho <= 1, t the smaller root of
 * t^2 g rho - t (1 - rho^2) - g rho = 0 and u = t/rho, which needs no division: a' = a - t rho b, b' = b + u a, both to
 * be multiplied with c = 1/sqrt(1 + t^2). b + u a = (1 + t^2) (b + u c^2 a'), so two axpys do it in place, and nothing
 * in them leaves the range of doubles whatever rho is. Lengths: a^2 (1 - t g rho), b^2 (1 + u g).
 */
static bool turn(columns *x, int j, int k)
{
    double ratio = x->norm[k] / x->norm[j] * power_of_two(x->exponent[k] - x->exponent[j]);
    if (ratio > 1.0) {
        const int swapped = j;
        j = k;
        k = swapped;
        ratio = x->norm[k] / x->norm[j] * power_of_two(x->exponent[k] - x->exponent[j]);
    }
    if (x->norm[k] == 0.0 || x->norm[j] == 0.0) {
        return false;
    }
    double *a = column(x, j), *b = column(x, k);
    const double scale = x->stored[k] / x->stored[j];
    const double g = cblas_ddot(x->count, a, 1, b, 1) / x->stored[j] / x->stored[k];
    if (fabs(g) <= x->tolerance) {
        return false;
    }
    const double gap = (1.0 - ratio) * (1.0 + ratio), h = g * ratio;
    const double u = -2.0 * g / (gap + sqrt(gap * gap + 4.0 * h * h)), t = u * ratio;
    const double c2 = 1.0 / (1.0 + t * t), longer = sqrt(1.0 - t * h), shorter2 = 1.0 + u * g;
    cblas_daxpy(x->count, -t * ratio / scale, b, 1, a, 1);
    cblas_daxpy(x->count, u * c2 * scale, a, 1, b, 1);
    x->norm[j] *= longer;
    x->stored[j] *= longer / sqrt(c2);
    if (shorter2 > 0.25) {
        x->norm[k] *= sqrt(shorter2);
        x->stored[k] *= sqrt(shorter2 * c2);
    } else { /* what is left is a small difference: measure it */
        x->norm[k] /= sqrt(c2);
        refresh(x, k);
    }
    return true;
}

/* One sweep over the pairs whose cosine, before the sweep, was not zero; blocks of columns that fit in cache. */
static int sweep(columns *x, double *gram)
{
    const int n = x->count, block = BLOCK_DOUBLES / n < 8 ? 8 : BLOCK_DOUBLES / n;
    int turned = 0;
    for (int j = 0; j < n; j++) {
        refresh(x, j);
    }
    cblas_dsyrk(CblasColMajor, CblasLower, CblasTrans, n, n, 1.0, x->v, x->stride, 0.0, gram, x->stride);
    for (int first = 0; first < n; first += block) {
        for (int second = first; second < n; second += block) {
            for (int j = first; j < n && j < first + block; j++) {
                for (int k = second > j ? second : j + 1; k < n && k < second + block; k++) {
                    const double cosine = gram[eoc_graded_at(k, j, x->stride)];
                    if (!(fabs(cosine) <= x->tolerance * x->stored[j] * x->stored[k])) {
                        turned += turn(x, j, k);
                    }
                }
            }
        }
    }
    return turned;
}

/* -- from S to D L, and from columns to singular values -- */

/* Whether a is greater than b. */
static bool comes_first(const double *size, const int64_t *exponent, int a, int b)
{
    if (size[a] == 0.0 || size[b] == 0.0) {
        return size[a] > size[b];
    }
    return size[a] / size[b] * (exponent ? power_of_two(exponent[a] - exponent[b]) : 1.0) > 1.0;
}

void eoc_graded_sort(const double *size, const int64_t *exponent, int n, int *order, int *spare)
{
    for (int i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int run = 1; run < n; run *= 2) {
        for (int low = 0; low < n; low += 2 * run) {
            const int middle = low + run < n ? low + run : n, high = low + 2 * run < n ? low + 2 * run : n;
            int left = low, right = middle;
            for (int i = low; i < high; i++) {
                const bool take_left =
                    left < middle && (right >= high || !comes_first(size, exponent, order[right], order[left]));
                spare[i] = take_left ? order[left++] : order[right++];
            }
        }
        memcpy(order, spare, (size_t)n * sizeof *order);
    }
}

/*
 * T^t, columns (rows of S) and rows in descending order of length, to `out`; row_order is the order of S's rows.
 * The order of its rows does not change the singular values, and keeps Householder's QR stable row by row
 * (Cox & Higham 1998).
 */
static void transpose_sorted(const eoc_graded *s, const eoc_graded_scratch *scratch, double *out, int *row_order)
{
    const size_t stride = (size_t)s->stride;
    int *col_order = scratch->order[1], *spare = (int *)scratch->vector[1];
    double *size = scratch->vector[0];
    for (int i = 0; i < s->rows; i++) {
        size[i] = cblas_dnrm2(s->cols, s->t + i, s->stride);
    }
    eoc_graded_sort(size, s->exponent, s->rows, row_order, spare);
    for (int j = 0; j < s->cols; j++) {
        size[j] = cblas_dnrm2(s->rows, s->t + (size_t)j * stride, 1);
    }
    eoc_graded_sort(size, NULL, s->cols, col_order, spare);
    for (int i = 0; i < s->rows; i++) {
        for (int j = 0; j < s->cols; j++) {
            out[eoc_graded_at(j, i, s->stride)] = s->t[eoc_graded_at(row_order[i], col_order[j], s->stride)];
        }
    }
}

/* The columns of D L with L = R^t, R in the upper triangle of r: each scaled to a greatest entry in [1/2, 1). */
static void scale_columns(const eoc_graded *s, const double *r, const int *row_order, columns *x)
{
    for (int j = 0; j < x->count; j++) {
        int64_t top = INT64_MIN;
        int shift;
        for (int i = j; i < x->count; i++) {
            const double entry = r[eoc_graded_at(j, i, x->stride)];
            if (entry != 0.0) {
                frexp(entry, &shift);
                const int64_t exponent = s->exponent[row_order[i]] + shift;
                top = exponent > top ? exponent : top;
            }
        }
        double *v = column(x, j);
        for (int i = 0; i < x->count; i++) {
            const double entry = i < j ? 0.0 : r[eoc_graded_at(j, i, x->stride)];
            const int64_t power = entry == 0.0 ? 0 : s->exponent[row_order[i]] - top;
            v[i] = power < -4000 ? 0.0 : ldexp(entry, (int)power);
        }
        x->norm[j] = x->stored[j] = cblas_dnrm2(x->count, v, 1);
        x->exponent[j] = top == INT64_MIN ? 0 : top;
    }
}

/* Columns of length 1, rows in S's own order, greatest singular value first: U. */
static void gather_left_vectors(const columns *x, const int *order, const int *row_order, double *u)
{
    for (int k = 0; k < x->count; k++) {
        const int j = order[k];
        const double *v = column(x, j), stored = x->stored[j];
        for (int i = 0; i < x->count; i++) {
            u[eoc_graded_at(row_order[i], k, x->stride)] = stored == 0.0 ? 0.0 : v[i] / stored;
        }
    }
}

bool eoc_graded_svd(eoc_graded *s, const eoc_graded_scratch *scratch, double *length)
{
    const int n = s->rows;
    double *r = scratch->square;
    int *row_order = scratch->order[0], turned = 1;
    assert(s->rows <= s->cols && s->cols <= s->stride);
    if (n == 0) {
        s->cols = 0;
        return true;
    }
    transpose_sorted(s, scratch, r, row_order);
    LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, s->cols, n, r, s->stride, scratch->vector[0], scratch->lapack,
                        scratch->num_lapack);
    columns x = {n, s->stride, s->t, scratch->vector[0], scratch->vector[1], scratch->shift, 0.0};
    x.tolerance = DBL_EPSILON * fmax(8.0, sqrt((double)n));
    scale_columns(s, r, row_order, &x);
    for (int sweeps = 0; sweeps < MAX_SWEEPS && turned > 0; sweeps++) {
        turned = sweep(&x, r);
    }
    int *order = scratch->order[1];
    eoc_graded_sort(x.norm, x.exponent, n, order, (int *)scratch->vector[2]);
    gather_left_vectors(&x, order, row_order, r);
    memcpy(s->t, r, (size_t)n * (size_t)s->stride * sizeof *r);
    bool finite = true;
    for (int k = 0; k < n; k++) {
        length[k] = x.norm[order[k]];
        s->exponent[k] = x.exponent[order[k]];
        finite = finite && isfinite(length[k]);
    }
    s->cols = n;
    return turned == 0 && finite;
}
