/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include "eoc/linalg.h"
#include "eoc/product_svd.h"
#include "eoc/weights.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_N = 200 };

static const double LOG_2 = 0.69314718055994530942;

/* -- multiplying matrices onto J -- */

static eoc_product_svd *create(int n)
{
    eoc_product_svd *svd = NULL;
    assert_int_equal(eoc_product_svd_create(MAX_N, &svd), EOC_OK);
    eoc_product_svd_begin(svd, n);
    return svd;
}

/* J = 2^exponent A J, A (rows, cols) row-major. */
static bool push(eoc_product_svd *svd, const double *a, int rows, int cols, int64_t exponent)
{
    int columns;
    const double *basis = eoc_product_svd_basis(svd, &columns);
    double *product = calloc((size_t)columns * (size_t)rows + 1, sizeof *product);
    for (int c = 0; c < columns; c++) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                product[c * rows + i] += a[i * cols + j] * basis[c * cols + j];
            }
        }
    }
    const bool finite = eoc_product_svd_push(svd, product, rows, exponent);
    free(product);
    return finite;
}

static void push_diagonal(eoc_product_svd *svd, const double *diagonal, int n)
{
    double *a = calloc((size_t)n * (size_t)n, sizeof *a);
    for (int i = 0; i < n; i++) {
        a[i * n + i] = diagonal[i];
    }
    assert_true(push(svd, a, n, n, 0));
    free(a);
}

/* Ends the product; its logarithms (n) descend, or are all NaN. */
static void finish(eoc_product_svd *svd, double *log_values, int n)
{
    eoc_product_svd_finish(svd, log_values);
    for (int i = 1; i < n; i++) {
        assert_true(isnan(log_values[0]) ? isnan(log_values[i]) : log_values[i] <= log_values[i - 1]);
    }
    eoc_product_svd_destroy(&svd);
    assert_null(svd);
}

static void check_values(const double *got, const double *want, int n, double tolerance)
{
    for (int i = 0; i < n; i++) {
        if (isinf(want[i])) {
            assert_true(got[i] == want[i]);
        } else {
            CHECK_NEAR(got[i], want[i], tolerance);
        }
    }
}

/* -- the matrices of tests/reference/products.py, number for number -- */

static uint64_t generator;

static uint64_t number(uint64_t modulus)
{
    generator = UINT64_C(6364136223846793005) * generator + UINT64_C(1442695040888963407);
    return (generator >> 33) % modulus;
}

static void fill_gaussian(double *a, int rows, int cols)
{
    for (int i = 0; i < rows * cols; i++) {
        const double a0 = (double)number(64), a1 = (double)number(64), a2 = (double)number(64);
        a[i] = (a0 + a1 + a2 + (double)number(64) - 126.0) / 64.0;
    }
}

static void fill_masked(double *a, int n)
{
    fill_gaussian(a, n, n);
    for (int i = 0; i < n; i++) {
        const double factor = number(4) == 0 ? 0.0 : 1.0;
        for (int j = 0; j < n; j++) {
            a[i * n + j] *= factor;
        }
    }
}

static void fill_scaled(double *a, int n, uint64_t powers)
{
    fill_gaussian(a, n, n);
    for (int i = 0; i < n; i++) {
        const double m = 1.0 + (double)number(255);
        const int s = (int)number(powers);
        for (int j = 0; j < n; j++) {
            a[i * n + j] *= ldexp(m, -s);
        }
    }
}

static void fill_orthogonal(double *a, int n)
{
    static const double hadamard[4][4] = {{1, 1, 1, 1}, {1, -1, 1, -1}, {1, 1, -1, -1}, {1, -1, -1, 1}};
    int row_of[MAX_N];
    for (int i = 0; i < n; i++) {
        row_of[i] = i;
    }
    for (int i = n - 1; i > 0; i--) {
        const int other = (int)number((uint64_t)i + 1), swapped = row_of[i];
        row_of[i] = row_of[other];
        row_of[other] = swapped;
    }
    for (int i = 0; i < n; i++) {
        const double sign = number(2) ? -0.5 : 0.5;
        for (int j = 0; j < n; j++) {
            a[i * n + j] = row_of[i] / 4 == j / 4 ? sign * hadamard[row_of[i] % 4][j % 4] : 0.0;
        }
    }
}

/* Factor `layer` = 1, 2, ... of a kind to `a`; returns its rows. */
static int fill_factor(const char *kind, int n, int layer, int cols, double *a)
{
    static const int more[] = {0, 2, -1, 1};
    const int rows = strcmp(kind, "rectangular") == 0 ? n + more[layer % 4] : n;
    if (strcmp(kind, "relu") == 0) {
        fill_masked(a, n);
    } else if (strcmp(kind, "tanh") == 0) {
        fill_scaled(a, n, 24);
    } else if (strcmp(kind, "steep") == 0) {
        fill_scaled(a, n, 200);
    } else if (strcmp(kind, "orthogonal") == 0) {
        fill_orthogonal(a, n);
    } else {
        fill_gaussian(a, rows, cols);
    }
    return rows;
}

/* "kind,n,depth,seed,values...": false at the end of the file. */
static bool read_case(FILE *file, char kind[64], int *n, int *depth, int *seed, double *values)
{
    char line[8192], *at = line;
    int used = 0;
    if (!fgets(line, sizeof line, file)) {
        return false;
    }
    assert_int_equal(sscanf(line, "%63[^,],%d,%d,%d%n", kind, n, depth, seed, &used), 4);
    at += used;
    for (int i = 0; i < *n; i++) {
        char *end = NULL;
        assert_true(*at == ',');
        values[i] = strtod(at + 1, &end);
        assert_true(end != at + 1);
        at = end;
    }
    return true;
}

/*
 * Products of up to 1000 matrices, most of 3 to 12 rows, against mpmath (tests/reference/products.py, up to 6400
 * digits): gaussian, orthogonal, with dead rows, with rows over 24 and over 200 powers of two, rectangular. To 4e-12,
 * or 1e-14 of the greatest logarithm, which is itself rounded: factors with rows scaled have condition numbers below
 * 1e3.
 */
static void reference_products(void **state)
{
    (void)state;
    static double want[MAX_N], got[MAX_N], a[MAX_N * MAX_N];
    char path[4096], heading[256], kind[64];
    double worst = 0.0;
    int n, depth, seed, cases = 0;
    snprintf(path, sizeof path, "%s/products.csv", EOC_TEST_REFERENCE);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(heading, sizeof heading, file));
    for (; read_case(file, kind, &n, &depth, &seed, want); cases++) {
        eoc_product_svd *svd = create(n);
        generator = (uint64_t)seed;
        for (int layer = 1, cols = n; layer <= depth; layer++) {
            const int rows = fill_factor(kind, n, layer, cols, a);
            assert_true(push(svd, a, rows, cols, 0));
            cols = rows;
        }
        finish(svd, got, n);
        double scale = 1.0;
        for (int i = 0; i < n; i++) {
            scale = isinf(want[i]) ? scale : fmax(scale, fabs(want[i]) * 1e-2);
        }
        for (int i = 0; i < n; i++) {
            worst = isinf(want[i]) ? worst : fmax(worst, fabs(got[i] - want[i]) / scale);
        }
        check_values(got, want, n, 4e-12 * scale);
    }
    fclose(file);
    assert_int_equal(cases, 40);
    print_message("worst error against mpmath: %.2g of 4e-12\n", worst / 4e-12);
}

/* -- laws and closed forms at larger n -- */

static eoc_matrix matrix_of(const char *initializer, uint32_t seed, int layer, int n)
{
    eoc_matrix m = {.weight_variance = 1.0,
                    .key = {{seed, 77}},
                    .layer = (uint32_t)layer,
                    .tensor = EOC_TENSOR_WEIGHT,
                    .fan_out = n,
                    .fan_in = n};
    assert_int_equal(eoc_initializer_find(initializer, &m.initializer), EOC_OK);
    return m;
}

/* J = W J with W drawn by the explicit sampler: row 0 of the table. */
static void push_drawn(eoc_product_svd *svd, eoc_weights *weights, const eoc_matrix *m, double *product)
{
    int columns;
    const double *basis = eoc_product_svd_basis(svd, &columns);
    assert_string_equal(eoc_sampler_row(0)->name, "explicit");
    eoc_sampler_find("explicit")->apply(weights, m, basis, product, columns, NULL);
    assert_true(eoc_product_svd_push(svd, product, m->fan_out, 0));
}

static void drawn_values(const char *initializer, uint32_t seed, int n, int depth, double *log_values)
{
    eoc_product_svd *svd = create(n);
    eoc_weights *weights = NULL;
    double *product = malloc((size_t)n * (size_t)n * sizeof *product);
    assert_int_equal(eoc_weights_create(n, 0, &weights), EOC_OK);
    for (int layer = 1; layer <= depth; layer++) {
        const eoc_matrix m = matrix_of(initializer, seed, layer, n);
        push_drawn(svd, weights, &m, product);
    }
    free(product);
    eoc_weights_destroy(&weights);
    finish(svd, log_values, n);
}

/* Haar orthogonal matrices, and so their product: every singular value is 1. */
static void orthogonal_product(void **state)
{
    (void)state;
    double log_values[MAX_N];
    drawn_values("orthogonal", 3, MAX_N, 200, log_values);
    for (int i = 0; i < MAX_N; i++) {
        CHECK_NEAR(log_values[i], 0.0, 1e-12);
    }
}

/* (1/n) sum of s^(2k), k = 1, 2, 3. */
static void fill_moments(const double *log_values, int n, double moment[3])
{
    for (int k = 0; k < 3; k++) {
        moment[k] = 0.0;
        for (int i = 0; i < n; i++) {
            moment[k] += exp(2.0 * (k + 1) * log_values[i]) / n;
        }
    }
}

/* Fuss-Catalan numbers binom((L + 1) k, k)/(L k + 1), k = 1, 2, 3. */
static double fuss_catalan(int depth, int k)
{
    double value = 1.0 / (depth * k + 1);
    for (int i = 1; i <= k; i++) {
        value *= (double)((depth + 1) * k - k + i) / i;
    }
    return value;
}

/*
 * E[m_2] at finite n of a product of n x n matrices of variance 1/n: for fixed M = B B^t and one more W,
 * E[W^t W M W^t W] = (1 + 1/n) M + (tr M/n) 1, so with a = E[tr M^2/n], b = E[(tr M/n)^2], both 1 at first:
 * a' = (1 + 1/n) a + b, b' = b + 2 a/n^2.
 */
static double second_moment(int depth, int n)
{
    double a = 1.0, b = 1.0;
    for (int layer = 0; layer < depth; layer++) {
        const double before = a;
        a = (1.0 + 1.0 / n) * a + b;
        b += 2.0 * before / ((double)n * n);
    }
    return a;
}

/*
 * Linear gaussian networks, L = 1..4, 16 seeds of n = 50 and of n = 100: m_1 and m_2 against their finite-n means, and
 * m_1..m_3 extrapolated in 1/n (2 m(100) - m(50), which leaves 1/n^2) against Fuss-Catalan, each within 4 standard
 * errors: 28 comparisons, one false alarm in 600 sets of seeds; the seeds are fixed.
 */
static void gaussian_moments(void **state)
{
    (void)state;
    enum { SEEDS = 16 };
    static const int sizes[] = {50, 100};
    double log_values[MAX_N], moment[3];
    for (int depth = 1; depth <= 4; depth++) {
        double mean[2][3] = {{0}}, error2[2][3] = {{0}};
        for (int s = 0; s < 2; s++) {
            for (uint32_t seed = 1; seed <= SEEDS; seed++) {
                drawn_values("gaussian", seed, sizes[s], depth, log_values);
                fill_moments(log_values, sizes[s], moment);
                for (int k = 0; k < 3; k++) {
                    mean[s][k] += moment[k] / SEEDS;
                    error2[s][k] += moment[k] * moment[k] / SEEDS;
                }
            }
            for (int k = 0; k < 3; k++) {
                error2[s][k] = (error2[s][k] - mean[s][k] * mean[s][k]) / (SEEDS - 1);
            }
            CHECK_NEAR(mean[s][0], 1.0, 4.0 * sqrt(error2[s][0]));
            CHECK_NEAR(mean[s][1], second_moment(depth, sizes[s]), 4.0 * sqrt(error2[s][1]));
        }
        for (int k = 0; k < 3; k++) {
            CHECK_NEAR(2.0 * mean[1][k] - mean[0][k], fuss_catalan(depth, k + 1),
                       4.0 * sqrt(4.0 * error2[1][k] + error2[0][k]));
        }
    }
}

/* log |det A| by elimination with row exchanges; A is overwritten. */
static double log_determinant(double *a, int n)
{
    double sum = 0.0;
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k; i < n; i++) {
            pivot = fabs(a[i * n + k]) > fabs(a[pivot * n + k]) ? i : pivot;
        }
        for (int j = 0; j < n; j++) {
            const double swapped = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swapped;
        }
        for (int i = k + 1; i < n; i++) {
            const double factor = a[i * n + k] / a[k * n + k];
            for (int j = k; j < n; j++) {
                a[i * n + j] -= factor * a[k * n + j];
            }
        }
        sum += log(fabs(a[k * n + k]));
    }
    return sum;
}

/* The logarithms add up to log |det A| of the factors, whose `scaled` ones have rows over 24 powers of two. */
static void check_sum(int n, int depth, bool scaled, uint64_t seed)
{
    static double a[MAX_N * MAX_N];
    double log_values[MAX_N], want = 0.0, sum = 0.0, size = 0.0;
    eoc_product_svd *svd = create(n);
    generator = seed;
    for (int layer = 0; layer < depth; layer++) {
        if (scaled) {
            fill_scaled(a, n, 24);
        } else {
            fill_gaussian(a, n, n);
        }
        assert_true(push(svd, a, n, n, 0));
        want += log_determinant(a, n);
    }
    finish(svd, log_values, n);
    for (int i = 0; i < n; i++) {
        sum += log_values[i];
        size += fabs(log_values[i]);
    }
    CHECK_NEAR(sum, want, 1e-13 * (size + n * depth));
}

static void sum_is_log_determinant(void **state)
{
    (void)state;
    check_sum(60, 100, true, 9);
    for (uint64_t seed = 1; seed <= 24; seed++) {
        check_sum(60, 20, false, seed);
        check_sum(7, 30, true, seed);
    }
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Diagonal matrices over 300 powers of two, in no order: the logarithms are the sorted sums of logarithms. */
static void diagonal_product(void **state)
{
    (void)state;
    enum { N = 40, DEPTH = 300 };
    int64_t power[N] = {0};
    double diagonal[N], want[N], got[N];
    eoc_product_svd *svd = create(N);
    generator = 5;
    for (int layer = 0; layer < DEPTH; layer++) {
        for (int i = 0; i < N; i++) {
            const int shift = (int)number(300) * (i % 3 == 0 ? 1 : -1);
            diagonal[i] = number(2) ? ldexp(1.0, shift) : -ldexp(1.0, shift);
            power[i] += shift;
        }
        push_diagonal(svd, diagonal, N);
    }
    for (int i = 0; i < N; i++) {
        want[i] = (double)power[i] * LOG_2;
    }
    qsort(want, N, sizeof *want, descending);
    finish(svd, got, N);
    assert_true(want[0] - want[N - 1] > 40000.0);
    check_values(got, want, N, 1e-14 * 5e4);
}

/*
 * Scales one by one between changes of basis: A_l = Q_l D_l Q_(l-1)^t, Q_l = 1 - 2 v v^t/|v|^2, D_l = 2^(-i s_l), so
 * the logarithms are -i LOG_2 sum s_l. As the entries of A_l are rounded, so are the values, by some 2^(i s) rounding
 * errors of one factor: s = 0..2 and 12 rows lose 2^22 of 2^53 at most.
 */
static void rotated_product(void **state)
{
    (void)state;
    enum { N = 12, DEPTH = 400 };
    double v[2][N], a[N * N], want[N], got[N];
    int total = 0;
    eoc_product_svd *svd = create(N);
    generator = 6;
    for (int layer = 0; layer <= DEPTH; layer++) {
        double *now = v[layer % 2], *before = v[(layer + 1) % 2], norm2 = 0.0;
        for (int i = 0; i < N; i++) {
            now[i] = (double)number(64) - 31.5;
            norm2 += now[i] * now[i];
        }
        for (int i = 0; i < N; i++) {
            now[i] *= sqrt(2.0 / norm2);
        }
        if (layer == 0) {
            continue;
        }
        const int steps = (int)number(3);
        total += steps;
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                a[i * N + j] = 0.0;
                for (int k = 0; k < N; k++) {
                    a[i * N + j] +=
                        ((i == k) - now[i] * now[k]) * ldexp(1.0, -k * steps) * ((k == j) - before[k] * before[j]);
                }
            }
        }
        assert_true(push(svd, a, N, N, 0));
    }
    finish(svd, got, N);
    for (int i = 0; i < N; i++) {
        want[i] = -(double)(i * total) * LOG_2;
    }
    check_values(got, want, N, DEPTH * ldexp(1.0, 22 - 53));
}

/*
 * Powers of [[a, 1], [0, b]] after diag(d, 1): [[d a^L, (b^L - a^L)/(b - a)], [0, b^L]], whose singular values have
 * product p = d (a b)^L and squares that sum to f, the squares of the entries; s_1^2 = f (1 + sqrt(1 - 4 p^2/f^2))/2.
 * a < b and a large d make the first basis vector one that the later factors shrink: no QR sweep turns it by itself.
 */
static void check_triangular(double d, double a, double b, int depth)
{
    const double factor[4] = {a, 1.0, 0.0, b}, diagonal[2] = {d, 1.0};
    const double log_a = depth * log(a), log_b = depth * log(b), top = fmax(log_a, log_b);
    const double corner = exp(log_b - top) - exp(log_a - top);
    const double entry[3] = {d * exp(log_a - top), corner / (b - a), exp(log_b - top)};
    const double f = entry[0] * entry[0] + entry[1] * entry[1] + entry[2] * entry[2];
    const double log_p = log(d) + log_a + log_b - 2.0 * top, ratio = 2.0 * exp(log_p) / f;
    const double log_greatest = top + 0.5 * log(0.5 * f * (1.0 + sqrt(1.0 - ratio * ratio)));
    const double want[2] = {log_greatest, log(d) + log_a + log_b - log_greatest};
    double got[2];
    eoc_product_svd *svd = create(2);
    push_diagonal(svd, diagonal, 2);
    for (int layer = 0; layer < depth; layer++) {
        assert_true(push(svd, factor, 2, 2, 0));
    }
    finish(svd, got, 2);
    check_values(got, want, 2, 1e-12 * fmax(1.0, 0.01 * fabs(log_a + log_b)));
}

static void triangular_product(void **state)
{
    (void)state;
    static const int depths[] = {2, 20, 60, 1000};
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        check_triangular(1.0, 1.0, 2.0, depths[i]);
        check_triangular(1.0, 2.0, 1.0, depths[i]);
        check_triangular(10.0, 1.0, 2.0, depths[i]);
        check_triangular(1e6, 1.0, 3.0, depths[i]);
        check_triangular(10.0, 0.25, 0.5, depths[i]);
        check_triangular(1.0, 0.5, 1024.0, depths[i]);
    }
}

/*
 * Two directions that overtake each other: A_1 = diag(1e4, 1), then A_l = Q_l D Q_(l-1)^t, Q_l turned on from layer to
 * layer, with D = diag(1, 4) for `up` layers and diag(4, 1) for as many again. Rounding, and no exact zero, couples
 * what shrinks to what grows. Rounding in the factors moves the values by (4^up/1e4)^2 of its square when up = down.
 */
static void check_crossing(int up, int down)
{
    double angle = 0.0, got[2];
    const double log_first = log(1e4) + 2.0 * down * LOG_2, log_second = 2.0 * up * LOG_2;
    eoc_product_svd *svd = create(2);
    push_diagonal(svd, (const double[]){1e4, 1.0}, 2);
    for (int layer = 0; layer < up + down; layer++) {
        const double next = angle + 0.7, c = cos(angle), s = sin(angle), cn = cos(next), sn = sin(next);
        const double first = layer < up ? 1.0 : 4.0, second = layer < up ? 4.0 : 1.0;
        const double a[4] = {first * cn * c + second * sn * s, first * cn * s - second * sn * c,
                             first * sn * c - second * cn * s, first * sn * s + second * cn * c};
        assert_true(push(svd, a, 2, 2, 0));
        angle = next;
    }
    finish(svd, got, 2);
    check_values(got, (const double[]){fmax(log_first, log_second), fmin(log_first, log_second)}, 2, 1e-11);
}

static void crossing_product(void **state)
{
    (void)state;
    check_crossing(300, 0);
    check_crossing(20, 20);
    check_crossing(0, 300);
}

/* -- zeros, sizes, and what is not a number -- */

/* Dead rows, which need not be the same twice: as many zeros as the rank of a generic product says. */
static void dead_rows(void **state)
{
    (void)state;
    enum { N = 50 };
    static double a[N * N];
    static const int dead[][2] = {{0, 5}, {0, 5}, {3, 12}, {20, 25}, {45, 50}}; /* from, to: 5, 5, 9, 5, 5 rows */
    double got[N];
    eoc_product_svd *svd = create(N);
    generator = 7;
    for (int layer = 0; layer < 5; layer++) {
        fill_gaussian(a, N, N);
        memset(a + dead[layer][0] * N, 0, (size_t)(dead[layer][1] - dead[layer][0]) * N * sizeof *a);
        assert_true(push(svd, a, N, N, 0));
    }
    finish(svd, got, N);
    for (int i = 0; i < N; i++) {
        assert_true(i < N - 9 ? isfinite(got[i]) && got[i] > -20.0 : got[i] == -INFINITY);
    }
}

/* Rows that die while nothing mixes them: diagonal matrices, zeros in different places, add their zeros up. */
static void zeros_add_up(void **state)
{
    (void)state;
    double got[5];
    eoc_product_svd *svd = create(5);
    push_diagonal(svd, (const double[]){1.0, 0.0, 2.0, 3.0, 4.0}, 5);
    push_diagonal(svd, (const double[]){8.0, 5.0, 0.0, 2.0, 1.0}, 5);
    push_diagonal(svd, (const double[]){1.0, 5.0, 1.0, 2.0, 0.0}, 5);
    finish(svd, got, 5);
    check_values(got, (const double[]){log(12.0), log(8.0), -INFINITY, -INFINITY, -INFINITY}, 5, 1e-14);
}

/*
 * A zero column in the middle, where the basis is still made of unit vectors: J = (1 0 1; 2 0 3; 1 0 5) (9 1 1; 0 4 1;
 * 0 0 1) has columns (9 18 9), (1 2 1), (2 5 6): squares 486, 6, 65, dot products 54, 162, 18, so the two squared
 * values have sum 557 and product (486 * 65 - 162^2) + (6 * 65 - 18^2) = 5412.
 */
static void zero_column(void **state)
{
    (void)state;
    double got[3];
    eoc_product_svd *svd = create(3);
    assert_true(push(svd, (const double[]){9, 1, 1, 0, 4, 1, 0, 0, 1}, 3, 3, 0));
    assert_true(push(svd, (const double[]){1, 0, 1, 2, 0, 3, 1, 0, 5}, 3, 3, 0));
    finish(svd, got, 3);
    const double greatest = 0.5 * log(0.5 * (557.0 + sqrt(557.0 * 557.0 - 4.0 * 5412.0)));
    check_values(got, (const double[]){greatest, 0.5 * log(5412.0) - greatest, -INFINITY}, 3, 1e-14);
}

static void zero_product(void **state)
{
    (void)state;
    double a[9] = {1, 2, 3, 4, 5, 6, 7, 8, 10}, zero[9] = {0}, got[3];
    int columns;
    for (int first = 0; first < 2; first++) {
        eoc_product_svd *svd = create(3);
        assert_true(push(svd, first ? a : zero, 3, 3, 0));
        assert_true(push(svd, first ? zero : a, 3, 3, 0));
        eoc_product_svd_basis(svd, &columns);
        assert_int_equal(columns, 0);
        assert_true(push(svd, a, 3, 3, 0));
        finish(svd, got, 3);
        check_values(got, (const double[]){-INFINITY, -INFINITY, -INFINITY}, 3, 0.0);
    }
}

/* No factor at all; n = 1; powers of two beyond the range of doubles; one workspace for several products. */
static void small_and_large(void **state)
{
    (void)state;
    double got[3];
    eoc_product_svd *svd = create(3);
    eoc_product_svd_finish(svd, got);
    check_values(got, (const double[]){0.0, 0.0, 0.0}, 3, 0.0);
    eoc_product_svd_begin(svd, 1);
    for (int layer = 0; layer < 50; layer++) {
        assert_true(push(svd, (const double[]){-3.0}, 1, 1, -2000));
    }
    eoc_product_svd_finish(svd, got);
    CHECK_NEAR(got[0], 50.0 * log(3.0) - 1e5 * LOG_2, 1e-10);
    eoc_product_svd_begin(svd, 1);
    assert_true(push(svd, (const double[]){0.0}, 1, 1, 0));
    eoc_product_svd_finish(svd, got);
    assert_true(got[0] == -INFINITY);
    eoc_product_svd_begin(svd, 2);
    assert_true(push(svd, (const double[]){3e130, 0.0, 0.0, 4e-300}, 2, 2, 0));
    finish(svd, got, 2);
    check_values(got, (const double[]){log(3e130), log(4e-300)}, 2, 1e-12);
}

/* (3 4; 0 0; 0 5) and its transpose: squares of the values sum to 50 and multiply to 15^2: 45 and 5. */
static void oblong(void **state)
{
    (void)state;
    double got[3];
    eoc_product_svd *svd = create(2);
    assert_true(push(svd, (const double[]){3, 4, 0, 0, 0, 5}, 3, 2, 0));
    finish(svd, got, 2);
    check_values(got, (const double[]){0.5 * log(45.0), 0.5 * log(5.0)}, 2, 1e-14);
    svd = create(3);
    assert_true(push(svd, (const double[]){3, 0, 0, 4, 0, 5}, 2, 3, 0));
    finish(svd, got, 3);
    check_values(got, (const double[]){0.5 * log(45.0), 0.5 * log(5.0), -INFINITY}, 3, 1e-14);
}

/* NaN and infinity, at any time: push says so from then on, and every value is NaN; begin forgets it. */
static void not_finite(void **state)
{
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    double a[4] = {1, 2, 3, 4}, got[2];
    int columns;
    eoc_product_svd *svd = create(2);
    for (int i = 0; i < 3; i++) {
        const double b[4] = {1, 2, bad[i], 4};
        eoc_product_svd_begin(svd, 2);
        assert_true(push(svd, a, 2, 2, 0));
        assert_false(push(svd, b, 2, 2, 0));
        assert_false(push(svd, a, 2, 2, 0));
        eoc_product_svd_basis(svd, &columns);
        assert_int_equal(columns, 0);
        eoc_product_svd_finish(svd, got);
        assert_true(isnan(got[0]) && isnan(got[1]));
    }
    eoc_product_svd_begin(svd, 2);
    assert_true(push(svd, a, 2, 2, 0));
    finish(svd, got, 2);
    CHECK_NEAR(got[0] + got[1], LOG_2, 1e-14); /* |det| = 2 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_products), cmocka_unit_test(orthogonal_product),
        cmocka_unit_test(gaussian_moments),   cmocka_unit_test(sum_is_log_determinant),
        cmocka_unit_test(diagonal_product),   cmocka_unit_test(rotated_product),
        cmocka_unit_test(triangular_product), cmocka_unit_test(crossing_product),
        cmocka_unit_test(dead_rows),          cmocka_unit_test(zeros_add_up),
        cmocka_unit_test(zero_column),        cmocka_unit_test(zero_product),
        cmocka_unit_test(small_and_large),    cmocka_unit_test(oblong),
        cmocka_unit_test(not_finite),
    };
    eoc_linalg_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
