/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The implicit sampler alone: identities that hold for every draw, laws against explicit matrices and closed forms,
 * square and oblong, and vectors that make it hard: zero, equal, dependent, more than the space has, of scales from
 * 1e-200 to 1e200, nearly parallel.
 */
#include "samples.h"

#include "eoc/linalg.h"
#include "eoc/probe.h"

#include <string.h>

enum { MAX_FAN = 24, MAX_COLUMNS = 9, BATCH = MAX_FAN * MAX_COLUMNS };

static const char *const laws[] = {"gaussian", "orthogonal"};
static const double WEIGHT_VARIANCE = 1.7, SIGNIFICANCE = 1e-3;

static eoc_matrix matrix_of(const char *law, uint32_t draw, int fan_out, int fan_in)
{
    eoc_matrix m = {.weight_variance = WEIGHT_VARIANCE,
                    .key = {{7, draw}},
                    .layer = 1,
                    .tensor = EOC_TENSOR_WEIGHT,
                    .fan_out = fan_out,
                    .fan_in = fan_in};
    assert_int_equal(eoc_initializer_find(law, &m.initializer), EOC_OK);
    return m;
}

static bool is_haar(const eoc_matrix *m)
{
    return m->initializer.kind->law == EOC_LAW_HAAR;
}

/* Root of the entries' variance times the longer side: a Haar matrix's singular values, a Gaussian one's order. */
static double matrix_scale(const eoc_matrix *m)
{
    return sqrt(WEIGHT_VARIANCE / m->fan_in * (m->fan_out > m->fan_in ? m->fan_out : m->fan_in));
}

static void normals(uint32_t seed, double *x, int n)
{
    const eoc_stream stream = {{{99, seed}}, 0, 0, 0};
    eoc_rng_normals(&stream, x, (size_t)n);
}

/* One draw of W: Y = X W^t, T = E W. */
typedef struct {
    int num_x, num_e;
    double x[BATCH], y[BATCH], e[BATCH], t[BATCH];
} products;

typedef void fill_function(double *batch, int columns, int n);

static void multiply(const eoc_sampler *sampler, eoc_weights *weights, const eoc_matrix *m, products *p, bool e_from_y)
{
    double *const kept = malloc(sampler->kept_bytes(m, p->num_x) + 1);
    assert_non_null(kept);
    sampler->apply(weights, m, p->x, p->y, p->num_x, kept);
    /* What comes back in a network depends on what went up: the first is Y's, the second a function of Y's values. */
    for (int i = 0; e_from_y && i < m->fan_out; i++) {
        p->e[i] = p->y[i];
        if (p->num_e > 1) {
            p->e[m->fan_out + i] = tanh(p->y[i]) + p->e[m->fan_out + i];
        }
    }
    sampler->apply_transposed(weights, m, p->e, p->t, p->num_e, kept);
    free(kept);
}

/* -- batches -- */

static void generic(double *batch, int columns, int n)
{
    (void)batch, (void)columns, (void)n;
}

/* Third: 2 first - 3 second; fourth: the first again; fifth: its multiple. */
static void dependent(double *batch, int columns, int n)
{
    for (int i = 0; i < n; i++) {
        const double first = batch[i], second = columns > 1 ? batch[n + i] : 0.0;
        const double values[] = {2.0 * first - 3.0 * second, first, -0.25 * first};
        for (int c = 2; c < columns && c < 5; c++) {
            batch[c * n + i] = values[c - 2];
        }
    }
}

static void with_zeros(double *batch, int columns, int n)
{
    for (int c = 0; c < columns; c += 2) {
        memset(batch + c * n, 0, sizeof *batch * (size_t)n);
    }
}

static void all_zero(double *batch, int columns, int n)
{
    memset(batch, 0, sizeof *batch * (size_t)(columns * n));
}

static void all_scales(double *batch, int columns, int n)
{
    static const double scales[] = {1e200, 1e-200, 1.0, 1e-100, 1e100, 1e-7, 1e-200, 1e200, 1e150};
    for (int i = 0; i < columns * n; i++) {
        batch[i] *= scales[i / n];
    }
}

/* Near the end of the range, what is beside the others is a denormal number. */
static void tiny(double *batch, int columns, int n)
{
    dependent(batch, columns, n);
    for (int i = 0; i < columns * n; i++) {
        batch[i] *= 1e-298;
    }
}

/* The same direction at all scales, but for 1e-8 of it. */
static void nearly_parallel(double *batch, int columns, int n)
{
    for (int c = 1; c < columns; c++) {
        for (int i = 0; i < n; i++) {
            batch[c * n + i] = batch[i] + 1e-8 * batch[c * n + i];
        }
    }
    all_scales(batch, columns, n);
}

static const struct {
    const char *name;
    fill_function *fill;
    bool related; /* as `dependent` */
} batches[] = {{"generic", generic, false},
               {"dependent", dependent, true},
               {"zeros", with_zeros, false},
               {"all zero", all_zero, false},
               {"tiny", tiny, true},
               {"all scales", all_scales, false},
               {"nearly parallel", nearly_parallel, false}};
enum { NUM_BATCHES = sizeof batches / sizeof batches[0] };

/* -- identities -- */

static double norm(const double *x, int n)
{
    return eoc_linalg_norm(x, (size_t)n);
}

/* x.y/(x_unit y_unit), whatever the scales */
static double scaled_dot(const double *x, double x_unit, const double *y, double y_unit, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n && x_unit > 0.0 && y_unit > 0.0; i++) {
        sum += x[i] / x_unit * (y[i] / y_unit);
    }
    return sum;
}

/* Rounding of some 20 operations of N terms on vectors of length 1. */
static const double ROUNDING = 2e-13;

/* |x_k - (a x_0 + b x_1)| of related vectors is rounding of the longest. */
static void check_relations(const double *batch, int columns, int n, double unit)
{
    static const double coefficients[][2] = {{2.0, -3.0}, {1.0, 0.0}, {-0.25, 0.0}};
    for (int c = 2; c < columns && c < 5; c++) {
        for (int i = 0; i < n; i++) {
            const double want = coefficients[c - 2][0] * batch[i] + coefficients[c - 2][1] * batch[n + i];
            CHECK_NEAR(batch[c * n + i], want, 10.0 * ROUNDING * unit);
        }
    }
}

static double longest(const double *batch, int columns, int n)
{
    double length = 0.0;
    for (int c = 0; c < columns; c++) {
        length = fmax(length, norm(batch + c * n, n));
    }
    return length;
}

static void check_zeros(const double *from, int n_from, const double *to, int n_to, int columns)
{
    for (int c = 0; c < columns; c++) {
        if (norm(from + c * n_from, n_from) == 0.0) {
            assert_true(norm(to + c * n_to, n_to) == 0.0);
        }
    }
}

/* <E, W X> = <W^t E, X>, one number by two routes. */
static void check_adjoint(const eoc_matrix *m, const products *p)
{
    const int out = m->fan_out, in = m->fan_in;
    for (int i = 0; i < p->num_x; i++) {
        const double x_unit = norm(p->x + i * in, in);
        for (int j = 0; j < p->num_e; j++) {
            const double e_unit = norm(p->e + j * out, out);
            const double up = scaled_dot(p->e + j * out, e_unit, p->y + i * out, x_unit, out);
            const double down = scaled_dot(p->t + j * in, e_unit, p->x + i * in, x_unit, in);
            CHECK_NEAR(up, down, ROUNDING * matrix_scale(m));
        }
    }
}

/* Haar: inner products are kept, times the squared scale, from the shorter side to the longer. */
static void check_gram(double scale, const double *from, int n_from, const double *to, int n_to, int columns)
{
    for (int i = 0; i < columns; i++) {
        for (int j = 0; j <= i; j++) {
            const double *const a = from + i * n_from, *const b = from + j * n_from;
            const double a_unit = norm(a, n_from), b_unit = norm(b, n_from);
            const double want = scaled_dot(a, a_unit, b, b_unit, n_from);
            const double got = scaled_dot(to + i * n_to, a_unit, to + j * n_to, b_unit, n_to) / (scale * scale);
            CHECK_NEAR(got, want, ROUNDING);
        }
    }
}

/* Haar, W^t W = scale^2: what came up from X comes back as X. */
static void check_return(const eoc_matrix *m, const products *p)
{
    const double scale = matrix_scale(m);
    for (int c = 0; c < p->num_e; c++) {
        const double unit = norm(p->x + c * m->fan_in, m->fan_in);
        for (int i = 0; i < m->fan_in && unit > 0.0; i++) {
            CHECK_NEAR(p->t[c * m->fan_in + i] / unit / (scale * scale), p->x[c * m->fan_in + i] / unit, ROUNDING);
        }
    }
}

static void check_identities(const eoc_matrix *m, const products *p, bool x_related, bool e_related)
{
    const int out = m->fan_out, in = m->fan_in;
    check_adjoint(m, p);
    check_zeros(p->x, in, p->y, out, p->num_x);
    check_zeros(p->e, out, p->t, in, p->num_e);
    if (x_related) {
        check_relations(p->y, p->num_x, out, longest(p->x, p->num_x, in) * matrix_scale(m));
    }
    if (e_related) {
        check_relations(p->t, p->num_e, in, longest(p->e, p->num_e, out) * matrix_scale(m));
    }
    if (is_haar(m) && out >= in) {
        check_gram(matrix_scale(m), p->x, in, p->y, out, p->num_x);
    }
    if (is_haar(m) && out <= in) {
        check_gram(matrix_scale(m), p->e, out, p->t, in, p->num_e);
    }
}

static const int shapes[][2] = {{1, 1}, {1, 5}, {5, 1}, {2, 2}, {4, 7}, {7, 4}, {5, 5}, {3, 20}, {20, 3}, {24, 24}};
enum { NUM_SHAPES = sizeof shapes / sizeof shapes[0] };

/* Every law, shape, and pair of batches, 1 to 9 vectors each way, so more than rows too; three draws of each. */
static void identities(void **state)
{
    (void)state;
    static const int columns[] = {1, 2, 5, 9};
    eoc_weights *weights = NULL;
    static products p, back;
    uint32_t draw = 0;
    assert_int_equal(eoc_weights_create(MAX_FAN, MAX_COLUMNS, &weights), EOC_OK);
    for (int i = 0; i < 2 * NUM_SHAPES * NUM_BATCHES * NUM_BATCHES * 4 * 4 * 3; i++) {
        const int a = i / 2 / NUM_SHAPES % NUM_BATCHES, b = i / 2 / NUM_SHAPES / NUM_BATCHES % NUM_BATCHES;
        const int *const shape = shapes[i / 2 % NUM_SHAPES], rest = i / 2 / NUM_SHAPES / NUM_BATCHES / NUM_BATCHES;
        const eoc_matrix m = matrix_of(laws[i % 2], draw++, shape[0], shape[1]);
        p.num_x = columns[rest % 4];
        p.num_e = columns[rest / 4 % 4];
        normals(2 * draw, p.x, BATCH);
        normals(2 * draw + 1, p.e, BATCH);
        batches[a].fill(p.x, p.num_x, m.fan_in);
        batches[b].fill(p.e, p.num_e, m.fan_out);
        const bool e_from_y = batches[a].fill == generic && batches[b].fill == generic;
        multiply(eoc_sampler_find("implicit"), weights, &m, &p, e_from_y);
        check_identities(&m, &p, batches[a].related, batches[b].related);
        if (is_haar(&m) && m.fan_out >= m.fan_in) {
            back = p;
            back.num_e = back.num_x;
            memcpy(back.e, p.y, sizeof back.e);
            multiply(eoc_sampler_find("implicit"), weights, &m, &back, false);
            check_return(&m, &back);
        }
    }
    eoc_weights_destroy(&weights);
}

/* -- laws against explicit matrices -- */

enum { STATISTICS = 14 };

/* Entries, lengths, inner products with vectors that W has and has not met, and entries of the two products together.
 */
static void statistics_of(const eoc_matrix *m, const products *p, double *s)
{
    const int out = m->fan_out, in = m->fan_in, shorter = out < in ? out : in;
    const int same = (p->num_x < p->num_e ? p->num_x : p->num_e) - 1;
    const double *const t1 = p->t + (p->num_e - 1) * in, *const y1 = p->y + (p->num_x - 1) * out;
    double probe[MAX_FAN];
    normals(3, probe, MAX_FAN);
    s[0] = p->y[0];
    s[1] = y1[out - 1];
    s[2] = eoc_linalg_dot(p->y, p->y, (size_t)out);
    s[3] = eoc_linalg_dot(p->y, y1, (size_t)out);
    s[4] = p->t[0];
    s[5] = t1[in - 1];
    s[6] = eoc_linalg_dot(p->t, p->t, (size_t)in);
    s[7] = eoc_linalg_dot(t1, t1, (size_t)in);
    s[8] = eoc_linalg_dot(p->t, t1, (size_t)in);
    s[9] = eoc_linalg_dot(t1, probe, (size_t)in);
    s[10] = eoc_linalg_dot(t1, p->x, (size_t)in);
    s[11] = eoc_linalg_dot(t1, p->y, (size_t)shorter);
    s[12] = eoc_linalg_dot(p->t + same * in, p->y + same * out, (size_t)shorter);
    s[13] = t1[0] * y1[0];
}

/* values (STATISTICS, 2 count), columns from offset on; X and what E does not owe to Y are the same in every draw. */
static void draw_statistics(const eoc_sampler *sampler, eoc_matrix m, int num_x, int num_e, int count, int offset,
                            double *values)
{
    eoc_weights *weights = NULL;
    static products p;
    assert_int_equal(eoc_weights_create(MAX_FAN, MAX_COLUMNS, &weights), EOC_OK);
    p.num_x = num_x;
    p.num_e = num_e;
    normals(1, p.x, BATCH);
    for (int i = 0; i < count; i++) {
        double s[STATISTICS];
        m.key = (eoc_key){{offset ? 11 : 12, (uint32_t)i}};
        normals(2, p.e, BATCH);
        multiply(sampler, weights, &m, &p, true);
        statistics_of(&m, &p, s);
        for (int k = 0; k < STATISTICS; k++) {
            values[(size_t)k * 2 * (size_t)count + (size_t)(offset + i)] = s[k];
        }
    }
    eoc_weights_destroy(&weights);
}

/* tensor: of the implicit matrix alone. */
static void compare(const eoc_matrix *m, uint32_t tensor, int num_x, int num_e, samples_family *family)
{
    const int count = samples_long() ? 200000 : 10000;
    double *const values = malloc(sizeof *values * STATISTICS * 2 * (size_t)count);
    assert_non_null(values);
    eoc_matrix marked = *m;
    marked.tensor = tensor;
    draw_statistics(eoc_sampler_find("implicit"), marked, num_x, num_e, count, 0, values);
    draw_statistics(eoc_sampler_find("explicit"), *m, num_x, num_e, count, count, values);
    for (int k = 0; k < STATISTICS; k++) {
        char where[128];
        snprintf(where, sizeof where, "%s %d x %d, %d up, %d down: statistic %d", m->initializer.kind->name, m->fan_out,
                 m->fan_in, num_x, num_e, k);
        const int distance = samples_distance(values + (size_t)k * 2 * (size_t)count, count, NULL);
        samples_add(family, samples_p(distance, count), where);
    }
    free(values);
}

static const int columns_up_down[][2] = {{1, 1}, {1, 4}, {2, 3}, {4, 2}, {8, 1}, {3, 8}};
enum { NUM_COLUMNS = sizeof columns_up_down / sizeof columns_up_down[0] };

static void family_of(uint32_t tensor, int first_shape, int last_shape, int law, samples_family *family)
{
    for (int s = first_shape; s <= last_shape; s++) {
        const eoc_matrix m = matrix_of(laws[law], 0, shapes[s][0], shapes[s][1]);
        for (int c = 0; c < NUM_COLUMNS; c++) {
            compare(&m, tensor, columns_up_down[c][0], columns_up_down[c][1], family);
        }
    }
}

enum { SQUARE_SHAPE = 6, LAST_LAW_SHAPE = 6 };

/* 2 laws, 7 shapes up to 7 on a side, 6 batches, 14 statistics. */
static void law_of_explicit(void **state)
{
    (void)state;
    samples_family family = {0};
    for (int law = 0; law < 2; law++) {
        family_of(EOC_TENSOR_WEIGHT, 0, LAST_LAW_SHAPE, law, &family);
    }
    print_message("%d tests: smallest p %.3g (%s), corrected %.3g\n", family.count, family.smallest, family.where,
                  samples_corrected(&family, family.count));
    assert_int_equal(family.count, 2 * (LAST_LAW_SHAPE + 1) * NUM_COLUMNS * STATISTICS);
    assert_true(samples_corrected(&family, family.count) > SIGNIFICANCE);
}

/*
 * Planted error: a matrix whose tensor bears the mark of the transposed product's own numbers draws the same for both
 * products. Told for both laws, corrected for the whole family's count.
 */
static void same_numbers_are_told(void **state)
{
    (void)state;
    for (int law = 0; law < 2; law++) {
        samples_family family = {0};
        family_of(EOC_TENSOR_WEIGHT | EOC_TENSOR_TRANSPOSED, SQUARE_SHAPE, SQUARE_SHAPE, law, &family);
        const double corrected = samples_corrected(&family, 2 * (LAST_LAW_SHAPE + 1) * NUM_COLUMNS * STATISTICS);
        print_message("%s: smallest p %.3g (%s), corrected %.3g\n", laws[law], family.smallest, family.where,
                      corrected);
        assert_true(corrected < SIGNIFICANCE);
    }
}

/* -- laws in closed form -- */

static double normal_distribution(double x)
{
    return 0.5 * erfc(-x * sqrt(0.5));
}

static double uniform_distribution(double x)
{
    return fmin(1.0, fmax(0.0, 0.5 * (1.0 + x)));
}

/*
 * e.W x/(|e| |x|) is normal with the entries' variance for Gaussian W and any e and x that do not depend on it: through
 * either product, x in the span of X, outside, or across. For Haar W with longer side 3 it is uniform on +-scale: a
 * coordinate of a uniform point on the sphere (Archimedes).
 */
static void closed_forms(void **state)
{
    (void)state;
    enum { COUNT = 20000, FORMS = 3 };
    static const int cases[][2] = {{3, 3}, {1, 3}, {2, 3}, {3, 1}, {3, 2}, {8, 8}, {5, 9}, {9, 5}};
    static products p;
    double *const values = malloc(sizeof *values * FORMS * COUNT), far_x[MAX_FAN];
    eoc_weights *weights = NULL;
    samples_family family = {0};
    assert_non_null(values);
    assert_int_equal(eoc_weights_create(MAX_FAN, MAX_COLUMNS, &weights), EOC_OK);
    normals(5, p.x, BATCH);
    normals(6, p.e, BATCH);
    normals(7, far_x, MAX_FAN);
    p.num_x = 1;
    p.num_e = 2;
    for (int i = 0; i < 8 + 5; i++) { /* Gaussian: all; Haar: the first five */
        const char *const law = laws[i >= 8];
        const int out = cases[i % 8][0], in = cases[i % 8][1];
        const double x_unit = norm(p.x, in), e_unit = norm(p.e + out, out), far_unit = norm(far_x, in);
        for (uint32_t k = 0; k < COUNT; k++) {
            const eoc_matrix m = matrix_of(law, k, out, in);
            const double unit = is_haar(&m) ? matrix_scale(&m) : sqrt(WEIGHT_VARIANCE / in);
            multiply(eoc_sampler_find("implicit"), weights, &m, &p, false);
            values[k] = scaled_dot(p.e + out, e_unit, p.y, x_unit, out) / unit;
            values[COUNT + k] = scaled_dot(p.t + in, e_unit, far_x, far_unit, in) / unit;
            values[2 * COUNT + k] = p.t[in] / e_unit / unit;
        }
        for (int form = 0; form < FORMS; form++) {
            char where[64];
            snprintf(where, sizeof where, "%s %d x %d form %d", law, out, in, form);
            samples_add(&family,
                        samples_law_p(values + form * COUNT, COUNT, i < 8 ? normal_distribution : uniform_distribution),
                        where);
        }
    }
    print_message("%d tests: smallest p %.3g (%s)\n", family.count, family.smallest, family.where);
    assert_true(samples_corrected(&family, family.count) > SIGNIFICANCE);
    eoc_weights_destroy(&weights);
    free(values);
}

/* -- nearly parallel inputs, through the probe -- */

enum { MAX_DEPTH = 10 };

typedef struct {
    eoc_probe probe;
    eoc_network network;
    eoc_probe_workspace *workspace;
} pair_probe;

/* A linear network without bias on a pair of inputs. */
static pair_probe begin_pair(const char *law, int width, int depth, double correlation)
{
    pair_probe p = {.probe = {.inputs = {.correlation = correlation, .variance = 1.0},
                              .statistics = EOC_STATISTIC_FORWARD,
                              .sampler = eoc_sampler_find("implicit")},
                    .network = {.depth = depth, .width = width, .weight_variance = WEIGHT_VARIANCE}};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, "pair") == 0) {
            p.probe.inputs.kind = eoc_input_kind_row(row);
        }
    }
    assert_int_equal(eoc_architecture_find("fully_connected", &p.network.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find("linear", &p.network.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(law, &p.network.initializer), EOC_OK);
    assert_int_equal(eoc_probe_workspace_create(&p.probe, depth, width, &p.workspace), EOC_OK);
    return p;
}

/* 1 - c of all the layers */
static void run_pair(pair_probe *p, uint32_t draw, double *one_minus_c)
{
    int layers[MAX_DEPTH];
    double c[MAX_DEPTH];
    for (int l = 0; l < p->network.depth; l++) {
        layers[l] = l + 1;
    }
    eoc_probe_rows rows = {.c = c, .one_minus_c = one_minus_c};
    eoc_outcome outcome;
    p->network.key = (eoc_key){{21, draw}};
    assert_true(
        eoc_probe_run(&p->probe, &p->network, 1.0, layers, p->network.depth, p->workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DONE);
}

/*
 * Rotations keep the angle. A vector carries an error of a few eps, so the squared distance 2 (1 - c) one of twice
 * that over its root: 1 - c keeps its digits relative to eps/sqrt(1 - c), which is far below 1e-14 in absolute terms.
 */
static void parallel_rotated(void **state)
{
    (void)state;
    for (double delta = 1e-4; delta > 0.5e-14; delta /= 10.0) {
        const double correlation = 1.0 - delta, want = 1.0 - correlation; /* exact by Sterbenz's lemma */
        for (int width = 3; width <= 300; width *= 10) {
            pair_probe p = begin_pair("orthogonal", width, MAX_DEPTH, correlation);
            for (uint32_t draw = 0; draw < 50; draw++) {
                double one_minus_c[MAX_DEPTH];
                run_pair(&p, draw, one_minus_c);
                for (int l = 1; l <= MAX_DEPTH; l++) {
                    CHECK_NEAR(one_minus_c[l - 1], want, 1e-14);
                    CHECK_RELATIVE(one_minus_c[l - 1], want, 8.0 * l * DBL_EPSILON / sqrt(2.0 * want));
                }
            }
            eoc_probe_workspace_destroy(&p.workspace);
        }
    }
}

/* P(A/B <= x), A chi-square of 2, B of 3 degrees: A/(A + B) ~ Beta(1, 3/2). */
static double ratio_2_3(double x)
{
    return 1.0 - pow(1.0 / (1.0 + x), 1.5);
}

/*
 * A Gaussian matrix on vectors at a small angle: (1 - c')/(1 - c) = A/B + O(sqrt(1 - c)), A and B independent
 * chi-squares of N - 1 and N degrees (what the images' difference has beside the first image, over the first image's
 * own square). Its distribution at N = 3; its mean (N - 1)/(N - 2) at N = 64, within 4 standard errors.
 */
static void parallel_gaussian(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    double *const values = malloc(sizeof *values * COUNT);
    assert_non_null(values);
    for (double delta = 1e-8; delta > 0.5e-14; delta /= 1e3) {
        const double correlation = 1.0 - delta;
        for (int width = 3; width <= 64; width += 61) {
            pair_probe p = begin_pair("gaussian", width, 1, correlation);
            double sum = 0.0, squares = 0.0;
            for (uint32_t draw = 0; draw < COUNT; draw++) {
                run_pair(&p, draw, &values[draw]);
                values[draw] /= 1.0 - correlation;
                sum += values[draw];
                squares += values[draw] * values[draw];
            }
            if (width == 3) {
                const double p_value = samples_law_p(values, COUNT, ratio_2_3);
                print_message("1 - c = %.0e: p %.3g\n", delta, p_value);
                assert_true(p_value > SIGNIFICANCE);
            } else {
                const double mean = sum / COUNT, error = sqrt((squares / COUNT - mean * mean) / COUNT);
                CHECK_NEAR(mean, (width - 1.0) / (width - 2.0), 4.0 * error);
            }
            eoc_probe_workspace_destroy(&p.workspace);
        }
    }
    free(values);
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities),   cmocka_unit_test(law_of_explicit),  cmocka_unit_test(same_numbers_are_told),
        cmocka_unit_test(closed_forms), cmocka_unit_test(parallel_rotated), cmocka_unit_test(parallel_gaussian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
