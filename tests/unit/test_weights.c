/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks the initializer and sampler tables: the matrices that are drawn have the law that the row says. */
#include "check.h"

#include "eoc/linalg.h"
#include "eoc/weights.h"

#include <stdlib.h>
#include <string.h>

static eoc_matrix matrix_of(int row, double weight_variance, uint32_t layer, int fan_out, int fan_in)
{
    eoc_matrix m = {.weight_variance = weight_variance,
                    .key = {{42, 43}},
                    .layer = layer,
                    .tensor = EOC_TENSOR_WEIGHT,
                    .fan_out = fan_out,
                    .fan_in = fan_in};
    assert_int_equal(eoc_initializer_find(eoc_initializer_row(row)->name, &m.initializer), EOC_OK);
    return m;
}

/* W (fan_out, fan_in) in full: the images of the unit vectors. What the transposed product needs goes to `kept`, or
 * nowhere. */
static double *materialize(const eoc_sampler *sampler, eoc_weights *weights, const eoc_matrix *m, void *kept)
{
    const size_t in = (size_t)m->fan_in, out = (size_t)m->fan_out;
    double *identity = calloc(in * in, sizeof *identity), *images = calloc(in * out, sizeof *images);
    double *w = calloc(in * out, sizeof *w);
    for (size_t i = 0; i < in; i++) {
        identity[i * in + i] = 1.0;
    }
    void *const own = kept ? kept : malloc(sampler->kept_bytes(m, m->fan_in) + 1);
    sampler->apply(weights, m, identity, images, m->fan_in, own);
    if (own != kept) {
        free(own);
    }
    for (size_t i = 0; i < in; i++) {
        for (size_t k = 0; k < out; k++) {
            w[k * in + i] = images[i * out + k];
        }
    }
    free(identity);
    free(images);
    return w;
}

typedef void check_function(const eoc_sampler *sampler, eoc_weights *weights, int row, int fan_out, int fan_in);

/* Every sampler, every initializer, square and both oblongs; sizes beyond one tile of 128. */
static void for_all(check_function *check)
{
    static const int shapes[][2] = {{1, 1}, {2, 2}, {40, 40}, {150, 150}, {150, 60}, {60, 150}};
    for (int s = 0; s < eoc_sampler_count(); s++) {
        for (int row = 0; row < eoc_initializer_count(); row++) {
            for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
                eoc_weights *weights = NULL;
                const eoc_initializer initializer = {.kind = eoc_initializer_row(row)};
                if (!eoc_sampler_row(s)->can_draw(&initializer)) {
                    continue;
                }
                assert_int_equal(eoc_weights_create(150, 150, &weights), EOC_OK);
                check(eoc_sampler_row(s), weights, row, shapes[i][0], shapes[i][1]);
                eoc_weights_destroy(&weights);
                assert_null(weights);
            }
        }
    }
}

/*
 * Mean and variance of the entries over many layers, within 4 standard errors: of the mean sqrt(v/n), of the variance
 * v sqrt((kurtosis - 1)/n); kurtosis 3 normal, 9/5 uniform. Haar entries are dependent (their squares add up to a
 * constant), which only makes the error smaller. 4 standard errors on 2 x 11 x 3 comparisons: one false alarm in 250
 * seeds; the seed is fixed.
 */
static void check_moments(const eoc_sampler *sampler, eoc_weights *weights, int row, int fan_out, int fan_in)
{
    if (fan_out < 40) {
        return;
    }
    enum { LAYERS = 6 };
    double sum = 0.0, squares = 0.0, n = 0.0;
    const eoc_matrix law = matrix_of(row, 1.5, 1, fan_out, fan_in);
    const double variance = 1.5 * law.initializer.kind->entry_variance(fan_out, fan_in);
    const double mean = law.initializer.kind->law == EOC_LAW_POSITIVE ? sqrt(3.0 * variance) : 0.0;
    for (uint32_t layer = 1; layer <= LAYERS; layer++) {
        const eoc_matrix m = matrix_of(row, 1.5, layer, fan_out, fan_in);
        double *w = materialize(sampler, weights, &m, NULL);
        for (int i = 0; i < fan_out * fan_in; i++) {
            sum += w[i] - mean;
            squares += (w[i] - mean) * (w[i] - mean);
            n++;
        }
        free(w);
    }
    const double kurtosis =
        law.initializer.kind->law == EOC_LAW_NORMAL || law.initializer.kind->law == EOC_LAW_HAAR ? 3.0 : 1.8;
    CHECK_NEAR(sum / n, 0.0, 4.0 * sqrt(variance / n));
    CHECK_NEAR(squares / n, variance, 4.0 * variance * sqrt((kurtosis - 1.0) / n));
}

static void moments(void **state)
{
    (void)state;
    for_all(check_moments);
}

/* Uniform laws keep to their ends and reach them; the positive one has no negative entry. */
static void check_range(const eoc_sampler *sampler, eoc_weights *weights, int row, int fan_out, int fan_in)
{
    const eoc_matrix m = matrix_of(row, 1.5, 1, fan_out, fan_in);
    const eoc_law law = m.initializer.kind->law;
    if (fan_out < 150 || (law != EOC_LAW_UNIFORM && law != EOC_LAW_POSITIVE)) {
        return;
    }
    const double half = sqrt(3.0 * 1.5 * m.initializer.kind->entry_variance(fan_out, fan_in));
    const double centre = law == EOC_LAW_POSITIVE ? half : 0.0;
    double *w = materialize(sampler, weights, &m, NULL), low = INFINITY, high = -INFINITY;
    for (int i = 0; i < fan_out * fan_in; i++) {
        low = fmin(low, w[i]);
        high = fmax(high, w[i]);
    }
    CHECK_NEAR(low, centre - half, 0.01 * half);
    CHECK_NEAR(high, centre + half, 0.01 * half);
    assert_true(low >= centre - half * (1 + 1e-7) && high <= centre + half * (1 + 1e-7));
    free(w);
}

static void ranges(void **state)
{
    (void)state;
    for_all(check_range);
}

/* Orthonormal along the shorter side, times the scale: W W^t or W^t W = (entry variance * longer side) I to 1e-12. */
static void check_orthogonal(const eoc_sampler *sampler, eoc_weights *weights, int row, int fan_out, int fan_in)
{
    const eoc_matrix m = matrix_of(row, 1.5, 1, fan_out, fan_in);
    if (m.initializer.kind->law != EOC_LAW_HAAR) {
        return;
    }
    const int longer = fan_out > fan_in ? fan_out : fan_in;
    const double diagonal = 1.5 * m.initializer.kind->entry_variance(fan_out, fan_in) * longer;
    double *w = materialize(sampler, weights, &m, NULL);
    const int shorter = fan_out < fan_in ? fan_out : fan_in;
    for (int a = 0; a < shorter; a++) {
        for (int b = 0; b <= a; b++) {
            double sum = 0.0;
            for (int k = 0; k < longer; k++) {
                sum += fan_out < fan_in ? w[a * fan_in + k] * w[b * fan_in + k] : w[k * fan_in + a] * w[k * fan_in + b];
            }
            CHECK_NEAR(sum, a == b ? diagonal : 0.0, 1e-12);
        }
    }
    free(w);
}

static void orthogonality(void **state)
{
    (void)state;
    for_all(check_orthogonal);
}

/* apply_transposed is the transpose of the very matrix that apply drew, on a batch of several vectors. */
static void check_transpose(const eoc_sampler *sampler, eoc_weights *weights, int row, int fan_out, int fan_in)
{
    enum { COLUMNS = 3 };
    const eoc_matrix m = matrix_of(row, 1.5, 2, fan_out, fan_in);
    void *kept = malloc(sampler->kept_bytes(&m, fan_in) + 1);
    double *w = materialize(sampler, weights, &m, kept);
    double y[COLUMNS * 150], x[COLUMNS * 150];
    const eoc_stream stream = {{{9, 9}}, 0, 0, 0};
    eoc_rng_normals(&stream, y, (size_t)(COLUMNS * fan_out));
    sampler->apply_transposed(weights, &m, y, x, COLUMNS, kept);
    free(kept);
    for (int c = 0; c < COLUMNS; c++) {
        for (int i = 0; i < fan_in; i++) {
            double want = 0.0;
            for (int k = 0; k < fan_out; k++) {
                want += y[c * fan_out + k] * w[k * fan_in + i];
            }
            CHECK_NEAR(x[c * fan_in + i], want, 1e-13 * fan_out);
        }
    }
    free(w);
}

static void transposes(void **state)
{
    (void)state;
    for_all(check_transpose);
}

/*
 * Haar and not merely orthogonal: for O(n), n >= 4, E[tr Q] = 0, E[(tr Q)^2] = 1, E[(tr Q)^4] = 3, E[tr Q^2] = 1
 * (Diaconis & Shahshahani 1994), E[Q_11^4] = 3/(n (n + 2)). A QR without the sign fix has E[tr Q] far from 0. 4000
 * matrices, 4 standard errors, 5 comparisons.
 */
static void haar_moments(void **state)
{
    (void)state;
    enum { N = 6, COUNT = 4000, FIVE = 5 };
    int row = 0;
    while (eoc_initializer_row(row)->law != EOC_LAW_HAAR) {
        row++;
    }
    for (int s = 0; s < eoc_sampler_count(); s++) {
        eoc_weights *weights = NULL;
        assert_int_equal(eoc_weights_create(N, N, &weights), EOC_OK);
        double sums[FIVE] = {0}, squares[FIVE] = {0};
        for (uint32_t layer = 1; layer <= COUNT; layer++) {
            const eoc_matrix m = matrix_of(row, 1.0, layer, N, N);
            double *q = materialize(eoc_sampler_row(s), weights, &m, NULL);
            double trace = 0.0, trace2 = 0.0;
            for (int i = 0; i < N; i++) {
                trace += q[i * N + i];
                for (int k = 0; k < N; k++) {
                    trace2 += q[i * N + k] * q[k * N + i];
                }
            }
            const double values[FIVE] = {trace, trace * trace, pow(trace, 4.0), trace2, pow(q[0], 4.0)};
            for (int i = 0; i < FIVE; i++) {
                sums[i] += values[i];
                squares[i] += values[i] * values[i];
            }
            free(q);
        }
        static const double want[FIVE] = {0.0, 1.0, 3.0, 1.0, 3.0 / (N * (N + 2.0))};
        for (int i = 0; i < FIVE; i++) {
            const double mean = sums[i] / COUNT, variance = squares[i] / COUNT - mean * mean;
            CHECK_NEAR(mean, want[i], 4.0 * sqrt(variance / COUNT));
        }
        eoc_weights_destroy(&weights);
    }
}

/* The effective sigma_w^2 of the initializers: fan_in times the variance of an entry, in closed form. */
static void effective(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double at_100;
    } cases[] = {{"gaussian", 1.0},
                 {"uniform", 1.0},
                 {"orthogonal", 1.0},
                 {"he_normal", 2.0},
                 {"he_uniform", 2.0},
                 {"glorot_normal", 1.0},
                 {"glorot_uniform", 1.0},
                 {"torch_linear", 1.0 / 3.0},
                 {"small_normal", 0.01},
                 {"small_uniform", 1e-2 / 12.0},
                 {"positive_uniform", 1.0 / 12.0},
                 {"looks_linear", 1.0}, /* of W' alone; see test_architecture.c for [W', -W'] */
                 {"looks_linear_gaussian", 1.0},
                 {"delta_orthogonal", 1.0},
                 {"gaussian_taps", 1.0},
                 {"orthogonal_kernel", 1.0}};
    assert_int_equal(sizeof cases / sizeof cases[0], eoc_initializer_count());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_initializer initializer;
        assert_int_equal(eoc_initializer_find(cases[i].name, &initializer), EOC_OK);
        CHECK_RELATIVE(eoc_initializer_effective(&initializer, 1.0, 100), cases[i].at_100, 1e-14);
        CHECK_RELATIVE(eoc_initializer_effective(&initializer, 2.5, 100), 2.5 * cases[i].at_100, 1e-14);
    }
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments),    cmocka_unit_test(ranges),       cmocka_unit_test(orthogonality),
        cmocka_unit_test(transposes), cmocka_unit_test(haar_moments), cmocka_unit_test(effective),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
