/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/product_svd.h"

#include "graded_svd.h"

#include <cblas.h>
#include <lapacke.h>

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * J = Q S with Q the basis and S = diag(2^exponent) T upper trapezoidal. A new factor is A Q = Q' R, so S' = R S.
 *
 * Rounding in A Q and in its QR multiplies R by I + F, F of rounding size. What of F is below the diagonal is harmless
 * seen from S, what is above it is harmless seen from the later factors, as long as T is well conditioned: then the
 * singular values change by F's size relatively. Generic products see to that themselves: the basis turns to the
 * directions that grow most, and T has a condition number of 1e4 to 1e6 (n = 1000, any depth). Where it does not turn
 * (a first factor whose columns lie in an invariant subspace of the next ones), S is replaced by its singular values:
 * J = (Q U) Sigma V^t, and V is of no account.
 */
static const double WORST_CONDITION = 1e7;

/* The greatest entry of a factor becomes 2^HEADROOM: far from overflow, and the farther from underflow. */
enum { HEADROOM = 500, LAPACK_BLOCK = 64, TRIANGLE_BLOCK = 64 };

struct eoc_product_svd {
    int max_n;
    int n;    /* columns of J */
    int rows; /* rows of J: length of the basis vectors */
    bool started, finite;
    eoc_graded s; /* its rows: vectors of the basis */
    double *basis, *factor, *row_size;
    int *row_of, *column_of, *kept;
    lapack_int *pivot;
    eoc_graded_scratch scratch;
    void *memory;
};

/* -- memory -- */

/* Lays out the arrays from `at` on, and returns the bytes; at NULL only counts. */
static size_t lay_out(eoc_product_svd *svd, size_t n, char *at)
{
    size_t used = 0;
    const size_t num_lapack = LAPACK_BLOCK * (n + 2);
    struct {
        void **place;
        size_t bytes;
    } list[] = {
        {(void **)&svd->basis, n * n * sizeof(double)},
        {(void **)&svd->factor, n * n * sizeof(double)},
        {(void **)&svd->s.t, n * n * sizeof(double)},
        {(void **)&svd->s.exponent, n * sizeof(int64_t)},
        {(void **)&svd->row_size, n * sizeof(double)},
        {(void **)&svd->row_of, n * sizeof(int)},
        {(void **)&svd->column_of, n * sizeof(int)},
        {(void **)&svd->kept, n * sizeof(int)},
        {(void **)&svd->pivot, n * sizeof(lapack_int)},
        {(void **)&svd->scratch.vector[0], n * sizeof(double)},
        {(void **)&svd->scratch.vector[1], n * sizeof(double)},
        {(void **)&svd->scratch.vector[2], n * sizeof(double)},
        {(void **)&svd->scratch.shift, n * sizeof(int64_t)},
        {(void **)&svd->scratch.order[0], n * sizeof(int)},
        {(void **)&svd->scratch.order[1], n * sizeof(int)},
        {(void **)&svd->scratch.lapack, num_lapack * sizeof(double)},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (at) {
            *list[i].place = at + used;
        }
        used += (list[i].bytes + 63) / 64 * 64;
    }
    svd->scratch.num_lapack = (int)num_lapack;
    return used;
}

double eoc_product_svd_bytes(int max_n)
{
    eoc_product_svd none;
    return (double)(sizeof none + lay_out(&none, (size_t)max_n, NULL));
}

eoc_status eoc_product_svd_create(int max_n, eoc_product_svd **svd)
{
    assert(max_n >= 1);
    *svd = calloc(1, sizeof **svd);
    if (*svd) {
        (*svd)->memory = malloc(lay_out(*svd, (size_t)max_n, NULL));
    }
    if (!*svd || !(*svd)->memory) {
        eoc_product_svd_destroy(svd);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory (%.3g GB) for the singular values of products of %d x %d matrices",
                        eoc_product_svd_bytes(max_n) / 1e9, max_n, max_n);
    }
    (*svd)->max_n = (*svd)->s.stride = max_n;
    lay_out(*svd, (size_t)max_n, (*svd)->memory);
    (*svd)->scratch.square = (*svd)->factor;
    return EOC_OK;
}

void eoc_product_svd_destroy(eoc_product_svd **svd)
{
    if (*svd) {
        free((*svd)->memory);
    }
    free(*svd);
    *svd = NULL;
}

/* -- the identity, and the basis -- */

/* S = diag(2^exponent), `count` by `count`. */
static void reset_triangle(eoc_graded *s, int count)
{
    s->rows = s->cols = count;
    for (int j = 0; j < count; j++) {
        double *column = s->t + (size_t)j * (size_t)s->stride;
        memset(column, 0, (size_t)count * sizeof *column);
        column[j] = 1.0;
    }
}

void eoc_product_svd_begin(eoc_product_svd *svd, int n)
{
    assert(n >= 1 && n <= svd->max_n);
    svd->n = svd->rows = n;
    svd->started = false;
    svd->finite = true;
    reset_triangle(&svd->s, n);
    memset(svd->s.exponent, 0, (size_t)n * sizeof *svd->s.exponent);
    memset(svd->basis, 0, (size_t)n * (size_t)n * sizeof *svd->basis);
    for (int i = 0; i < n; i++) {
        svd->basis[eoc_graded_at(i, i, n)] = 1.0;
    }
}

const double *eoc_product_svd_basis(const eoc_product_svd *svd, int *columns)
{
    *columns = svd->s.rows;
    return svd->basis;
}

/* -- a new factor: what is not zero of it, in descending order of its rows -- */

typedef struct {
    int rows, cols; /* that are not zero */
    int shift;      /* the greatest entry is in [1/2, 1) 2^(shift + HEADROOM) */
} live_part;

/* Finds the rows and columns that are not zero: row_of, the greatest row first, and column_of. */
static live_part find_live(eoc_product_svd *svd, const double *product, int n_out)
{
    live_part live = {0, 0, 0};
    memset(svd->row_size, 0, (size_t)n_out * sizeof *svd->row_size);
    for (int j = 0; j < svd->s.rows; j++) {
        const double *vector = product + (size_t)j * (size_t)n_out;
        double size = 0.0;
        for (int i = 0; i < n_out; i++) {
            const double entry = fabs(vector[i]);
            svd->finite = svd->finite && entry <= DBL_MAX; /* NaN is not */
            size = fmax(size, entry);
            svd->row_size[i] = fmax(svd->row_size[i], entry);
        }
        if (size > 0.0) {
            svd->column_of[live.cols++] = j;
        }
    }
    eoc_graded_sort(svd->row_size, NULL, n_out, svd->row_of, svd->kept);
    while (live.rows < n_out && svd->row_size[svd->row_of[live.rows]] > 0.0) {
        live.rows++;
    }
    frexp(svd->row_size[svd->row_of[0]], &live.shift);
    live.shift -= HEADROOM;
    return live;
}

/*
 * factor = A Q without what is zero, divided by 2^shift, and its QR: rows sorted so that Householder's reflections keep
 * small rows accurate (Cox & Higham 1998), columns in their order but for the first factor, whose columns are free to
 * be chosen: J's singular values do not depend on their order, and the basis starts well.
 */
static void factorise(eoc_product_svd *svd, const double *product, int n_out, live_part live)
{
    const int stride = svd->max_n;
    for (int c = 0; c < live.cols; c++) {
        double *to = svd->factor + (size_t)c * (size_t)stride;
        const double *from = product + (size_t)svd->column_of[c] * (size_t)n_out;
        for (int i = 0; i < live.rows; i++) {
            to[i] = ldexp(from[svd->row_of[i]], -live.shift);
        }
    }
    double *tau = svd->scratch.vector[0], *work = svd->scratch.lapack;
    if (svd->started) {
        LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, live.rows, live.cols, svd->factor, stride, tau, work,
                            svd->scratch.num_lapack);
        return;
    }
    memset(svd->pivot, 0, (size_t)live.cols * sizeof *svd->pivot);
    LAPACKE_dgeqp3_work(LAPACK_COL_MAJOR, live.rows, live.cols, svd->factor, stride, svd->pivot, tau, work,
                        svd->scratch.num_lapack);
    for (int c = 0; c < live.cols; c++) {
        svd->column_of[c] = c;
    }
    reset_triangle(&svd->s, live.cols);
}

/* -- S' = R S -- */

/* M = D'^-1 R D (rank, rows of S), with D' so that the greatest entry of a row is in [1/2, 1); D' to `scale`. */
static void scale_triangle(const eoc_product_svd *svd, live_part live, int rank, int64_t *scale, double *m)
{
    const size_t stride = (size_t)svd->max_n;
    int shift;
    for (int j = 0; j < svd->s.rows; j++) {
        memset(m + (size_t)j * stride, 0, (size_t)rank * sizeof *m);
    }
    for (int i = 0; i < rank; i++) {
        scale[i] = INT64_MIN;
    }
    for (int c = 0; c < live.cols; c++) {
        for (int i = 0; i <= c && i < rank; i++) {
            const double entry = svd->factor[eoc_graded_at(i, c, svd->max_n)];
            if (entry != 0.0) {
                frexp(entry, &shift);
                const int64_t top = svd->s.exponent[svd->column_of[c]] + shift;
                scale[i] = top > scale[i] ? top : scale[i];
            }
        }
    }
    for (int c = 0; c < live.cols; c++) {
        for (int i = 0; i <= c && i < rank; i++) {
            const double entry = svd->factor[eoc_graded_at(i, c, svd->max_n)];
            const int64_t power = entry == 0.0 ? 0 : svd->s.exponent[svd->column_of[c]] - scale[i];
            m[eoc_graded_at(i, svd->column_of[c], svd->max_n)] = power < -4000 ? 0.0 : ldexp(entry, (int)power);
        }
    }
}

/* T (rank, cols) = M T, both upper trapezoidal: block of columns by block, so that zeros are not multiplied. */
static void multiply_triangles(const double *m, int rank, eoc_graded *s)
{
    const size_t stride = (size_t)s->stride;
    for (int first = 0; first < s->cols; first += TRIANGLE_BLOCK) {
        const int count = s->cols - first < TRIANGLE_BLOCK ? s->cols - first : TRIANGLE_BLOCK;
        const int height = first + count < s->rows ? first + count : s->rows, square = height < rank ? height : rank;
        double *t = s->t + (size_t)first * stride;
        cblas_dtrmm(CblasColMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, square, count, 1.0, m, s->stride,
                    t, s->stride);
        if (height > rank) {
            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, rank, count, height - rank, 1.0,
                        m + (size_t)rank * stride, s->stride, t + rank, s->stride, 1.0, t, s->stride);
        }
    }
    s->rows = rank;
}

/* Normalises the rows of S and takes those out that are zero; which ones stay, in `kept`. */
static void drop_zero_rows(eoc_product_svd *svd)
{
    eoc_graded *s = &svd->s;
    int count = 0;
    for (int i = 0; i < s->rows; i++) {
        if (!eoc_graded_normalise_row(s, i)) {
            continue;
        }
        if (count < i) {
            cblas_dcopy(s->cols, s->t + i, s->stride, s->t + count, s->stride);
            s->exponent[count] = s->exponent[i];
        }
        svd->kept[count++] = i;
    }
    s->rows = count;
}

/* The basis: columns of the Q of `factor`, their entries where the product's rows came from. */
static void scatter_basis(eoc_product_svd *svd, int n_out, live_part live, int rank)
{
    LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, live.rows, rank, rank, svd->factor, svd->max_n, svd->scratch.vector[0],
                        svd->scratch.lapack, svd->scratch.num_lapack);
    memset(svd->basis, 0, (size_t)svd->s.rows * (size_t)n_out * sizeof *svd->basis);
    for (int j = 0; j < svd->s.rows; j++) {
        const double *from = svd->factor + (size_t)svd->kept[j] * (size_t)svd->max_n;
        double *to = svd->basis + (size_t)j * (size_t)n_out;
        for (int i = 0; i < live.rows; i++) {
            to[svd->row_of[i]] = from[i];
        }
    }
}

/* -- keeping S well conditioned, and the end -- */

static bool is_ill_conditioned(eoc_product_svd *svd)
{
    double reciprocal = 0.0;
    LAPACKE_dtrcon_work(LAPACK_COL_MAJOR, 'I', 'U', 'N', svd->s.rows, svd->s.t, svd->max_n, &reciprocal,
                        svd->scratch.lapack, svd->pivot);
    return !(reciprocal * WORST_CONDITION >= 1.0);
}

/* Q S = (Q U) Sigma V^t: the basis becomes Q U, and S Sigma. */
static void restart_from_singular_values(eoc_product_svd *svd)
{
    double *length = svd->row_size;
    const int count = svd->s.rows, rows = svd->rows;
    svd->finite = eoc_graded_svd(&svd->s, &svd->scratch, length) && svd->finite;
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, rows, count, count, 1.0, svd->basis, rows, svd->s.t,
                svd->max_n, 0.0, svd->factor, rows);
    memcpy(svd->basis, svd->factor, (size_t)rows * (size_t)count * sizeof *svd->basis);
    reset_triangle(&svd->s, count);
    for (int i = 0; i < count; i++) {
        svd->s.t[eoc_graded_at(i, i, svd->max_n)] = length[i];
    }
    drop_zero_rows(svd);
}

bool eoc_product_svd_push(eoc_product_svd *svd, const double *product, int n_out, int64_t exponent)
{
    eoc_graded *s = &svd->s;
    assert(n_out >= 1 && n_out <= svd->max_n);
    svd->rows = n_out;
    if (!svd->finite || s->rows == 0) {
        return svd->finite;
    }
    const live_part live = find_live(svd, product, n_out);
    if (!svd->finite || live.rows == 0) {
        s->rows = 0;
        return svd->finite;
    }
    factorise(svd, product, n_out, live);
    const int rank = live.rows < live.cols ? live.rows : live.cols;
    int64_t *scale = svd->scratch.shift;
    scale_triangle(svd, live, rank, scale, svd->basis);
    multiply_triangles(svd->basis, rank, s);
    for (int i = 0; i < rank; i++) {
        s->exponent[i] = scale[i] + live.shift + exponent;
    }
    drop_zero_rows(svd);
    scatter_basis(svd, n_out, live, rank);
    svd->started = true;
    if (s->rows > 0 && is_ill_conditioned(svd)) {
        restart_from_singular_values(svd);
    }
    return svd->finite;
}

void eoc_product_svd_finish(eoc_product_svd *svd, double *log_values)
{
    static const double LOG_2 = 0.69314718055994530942;
    double *length = svd->row_size;
    const int count = svd->s.rows;
    svd->finite = svd->finite && eoc_graded_svd(&svd->s, &svd->scratch, length);
    for (int i = 0; i < svd->n; i++) {
        log_values[i] = i < count ? log(length[i]) + LOG_2 * (double)svd->s.exponent[i] : -INFINITY;
        if (!svd->finite) {
            log_values[i] = NAN;
        }
    }
}
