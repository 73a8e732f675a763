/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The law of the implicit sampler is that of explicit matrices: networks drawn in both ways, every statistic of the
 * probe and pairs of statistics compared by two-sample Kolmogorov-Smirnov tests, at small widths, where an error in the
 * law shows. Then the same family is run on samplers with one planted error each, and must tell every one of them.
 *
 * The family's significance is 1e-3 in all, Bonferroni over its tests; the seed is fixed. EOC_LONG_TESTS=1 draws ten
 * times as many networks.
 */
#include "samples.h"

#include "eoc/linalg.h"
#include "eoc/orthonormal.h"
#include "eoc/probe.h"

#include <string.h>

static const double SIGNIFICANCE = 1e-3;

static int num_networks(void)
{
    return samples_long() ? 120000 : 12000;
}

/* -- the networks -- */

typedef struct {
    const char *activation, *initializer;
    double weight_variance, bias_variance;
    int width, depth;
    const char *inputs;
    int points; /* of gaussian and circle */
    double correlation;
    int probes;               /* tangents; 0: no Jacobian */
    const char *architecture; /* NULL: fully_connected */
} network_case;

/* Columns (inputs and tangents) from 1 to beyond the width; nearly and exactly parallel, opposite and equal inputs. */
static const network_case cases[] = {
    {"linear", "gaussian", 1.0, 0.0, 4, 3, "pair", 0, 0.6, 1, NULL},
    {"linear", "gaussian", 1.0, 0.2, 5, 4, "gaussian", 5, 0.0, 1, NULL},
    {"linear", "orthogonal", 1.3, 0.0, 4, 3, "pair", 0, 0.6, 1, NULL},
    {"linear", "orthogonal", 1.0, 0.1, 6, 4, "gaussian", 4, 0.0, 1, NULL},
    {"tanh", "gaussian", 1.8, 0.05, 8, 6, "pair", 0, 0.6, 1, NULL},
    {"tanh", "orthogonal", 1.8, 0.05, 8, 6, "pair", 0, 0.6, 1, NULL},
    {"tanh", "gaussian", 2.5, 0.0, 4, 5, "circle", 3, 0.0, 2, NULL},
    {"tanh", "orthogonal", 2.5, 0.0, 4, 5, "circle", 3, 0.0, 2, NULL},
    {"tanh", "gaussian", 3.0, 0.1, 6, 3, "gaussian", 6, 0.0, 1, NULL},
    {"tanh", "orthogonal", 3.0, 0.1, 6, 3, "gaussian", 6, 0.0, 1, NULL},
    {"tanh", "gaussian", 1.5, 0.1, 5, 4, "gaussian", 9, 0.0, 3, NULL},
    {"tanh", "orthogonal", 1.5, 0.1, 5, 4, "gaussian", 9, 0.0, 3, NULL},
    {"tanh", "orthogonal", 1.5, 0.1, 7, 4, "gaussian", 4, 0.0, 2,
     NULL}, /* inputs + tangents + cotangents beyond the width */
    {"relu", "gaussian", 2.0, 0.0, 8, 10, "pair", 0, 0.6, 1, NULL},
    {"relu", "orthogonal", 2.0, 0.0, 8, 6, "pair", 0, 0.6, 1, NULL},
    {"relu", "gaussian", 2.0, 0.1, 4, 4, "circle", 5, 0.0, 2, NULL},
    {"relu", "orthogonal", 2.0, 0.1, 4, 4, "circle", 5, 0.0, 2, NULL},
    {"relu", "gaussian", 2.0, 0.0, 4, 6, "single", 0, 0.0, 3, NULL},
    {"relu", "orthogonal", 2.0, 0.0, 4, 6, "single", 0, 0.0, 3, NULL},
    {"relu", "he_normal", 1.0, 0.0, 16, 8, "pair", 0, 0.9, 1, NULL},
    {"tanh", "small_normal", 600.0, 0.02, 16, 5, "pair", 0, 0.3, 2, NULL},
    {"tanh", "glorot_normal", 1.5, 0.1, 12, 5, "circle", 4, 0.0, 1, NULL},
    {"tanh", "gaussian", 1.0, 0.05, 4, 1, "pair", 0, 0.6, 1, NULL},
    {"tanh", "orthogonal", 1.0, 0.05, 4, 1, "pair", 0, 0.6, 1, NULL},
    {"tanh", "gaussian", 2.0, 0.1, 6, 2, "pair", 0, 1.0, 2, NULL},    /* equal inputs */
    {"relu", "orthogonal", 2.0, 0.0, 6, 2, "pair", 0, -1.0, 2, NULL}, /* opposite inputs */
    {"erf", "orthogonal", 1.2, 0.01, 4, 8, "pair", 0, 0.999, 1, NULL},
    {"erf", "gaussian", 1.2, 0.01, 4, 8, "pair", 0, 0.999, 0, NULL},
    {"sin", "gaussian", 3.0, 0.0, 6, 3, "pair", 0, -0.5, 3, NULL},
    {"gelu", "orthogonal", 2.0, 0.1, 5, 3, "gaussian", 3, 0.0, 0, NULL},
    {"tanh", "gaussian", 1.5, 0.05, 64, 3, "pair", 0, 0.6, 1, NULL},
    {"tanh", "orthogonal", 1.5, 0.05, 64, 3, "pair", 0, 0.6, 1, NULL},
    {"relu", "gaussian", 2.0, 0.0, 32, 10, "gaussian", 4, 0.0, 1, NULL},
    {"relu", "orthogonal", 2.0, 0.0, 32, 10, "pair", 0, 0.6, 1, NULL},
    {"crelu", "gaussian", 1.5, 0.1, 5, 4, "pair", 0, 0.6, 1, "fully_connected"},
    {"crelu", "orthogonal", 1.5, 0.1, 5, 4, "gaussian", 4, 0.0, 2, "fully_connected"},
    {"crelu", "looks_linear", 1.2, 0.1, 5, 4, "pair", 0, 0.6, 2, "fully_connected"},
    {"crelu", "looks_linear_gaussian", 1.2, 0.0, 5, 4, "gaussian", 3, 0.0, 1, "fully_connected"},
    {"relu", "gaussian", 2.0, 0.0, 6, 4, "pair", 0, 0.6, 1, "residual"},
    {"tanh", "orthogonal", 2.0, 0.1, 6, 4, "pair", 0, 0.6, 2, "residual(branch=1/sqrt(depth))"},
    {"tanh", "gaussian", 1.8, 0.1, 5, 4, "gaussian", 3, 0.0, 1, "residual(form=reduced, skip=0.9)"},
    {"tanh", "gaussian", 1.8, 0.1, 5, 4, "pair", 0, 0.6, 1, "residual(form=full)"},
    {"crelu", "orthogonal", 1.8, 0.1, 5, 4, "pair", 0, 0.6, 1, "residual(form=full, branch=0.5)"},
    {"tanh", "gaussian", 1.8, 0.1, 6, 4, "gaussian", 4, 0.0, 1, "fully_connected(normalization=batch)"},
    {"relu", "orthogonal", 1.8, 0.0, 12, 4, "gaussian", 5, 0.0, 1, "fully_connected(normalization=batch)"},
    {"relu", "gaussian", 1.8, 0.0, 6, 4, "gaussian", 4, 0.0, 1, "residual(normalization=batch)"},
    {"tanh", "gaussian", 1.8, 0.1, 6, 4, "pair", 0, 0.6, 1, "fully_connected(normalization=layer)"},
    {"tanh", "orthogonal", 1.8, 0.1, 6, 4, "pair", 0, 0.6, 1, "fully_connected(keep=0.8)"},
    /* Columns at every position: below fan_in (taps times width), and beyond it. */
    {"tanh", "gaussian", 1.8, 0.05, 4, 3, "pair", 0, 0.6, 1, "convolutional(dimensions=1, side=3)"},
    {"tanh", "gaussian", 1.8, 0.05, 2, 3, "pair", 0, 0.6, 2, "convolutional(dimensions=1, side=4)"},
    {"tanh", "orthogonal", 1.8, 0.05, 4, 3, "pair", 0, 0.6, 1, "convolutional(dimensions=1, side=3)"},
    {"relu", "orthogonal", 1.8, 0.0, 3, 4, "pair", 0, 0.6, 1, "convolutional(dimensions=1, side=4, padding=zero)"},
    {"tanh", "he_normal", 0.9, 0.05, 2, 3, "pair", 0, 0.6, 1, "convolutional(side=3, padding=zero)"},
    {"tanh", "glorot_normal", 1.8, 0.05, 4, 3, "single", 0, 0.0, 1, "convolutional(dimensions=1, side=5, kernel=5)"},
    {"tanh", "gaussian_taps(tap_0=2, tap_1=0.3)", 1.8, 0.05, 4, 3, "pair", 0, 0.6, 1,
     "convolutional(dimensions=1, side=3)"},
    {"tanh", "delta_orthogonal", 1.8, 0.05, 8, 3, "single", 0, 0.0, 1, "convolutional(dimensions=1, side=3)"},
    {"relu", "delta_orthogonal", 1.8, 0.1, 3, 3, "pair", 0, 0.6, 1,
     "convolutional(dimensions=1, side=3, padding=zero)"},
    {"crelu", "looks_linear_gaussian", 1.2, 0.1, 4, 3, "pair", 0, 0.6, 1, "convolutional(dimensions=1, side=3)"},
    {"tanh", "orthogonal", 1.8, 0.1, 3, 3, "pair", 0, 0.6, 1,
     "convolutional(dimensions=1, side=3, form=full, branch=0.5)"},
    {"tanh", "gaussian", 1.8, 0.1, 3, 3, "gaussian", 4, 0.0, 1,
     "convolutional(dimensions=1, side=3, normalization=batch)"},
};
enum { NUM_CASES = sizeof cases / sizeof cases[0] };

static eoc_network network_of(const network_case *c)
{
    eoc_network n = {
        .depth = c->depth, .width = c->width, .weight_variance = c->weight_variance, .bias_variance = c->bias_variance};
    assert_int_equal(eoc_architecture_find(c->architecture ? c->architecture : "fully_connected", &n.architecture),
                     EOC_OK);
    assert_int_equal(eoc_activation_find(c->activation, &n.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(c->initializer, &n.initializer), EOC_OK);
    return n;
}

static eoc_probe probe_of(const network_case *c)
{
    eoc_probe p = {.inputs = {.correlation = c->correlation, .variance = 1.0, .points = c->points},
                   .statistics = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_FINITE_WIDTH,
                   .jacobian_probes = c->probes};
    p.statistics |= c->probes ? EOC_STATISTIC_JACOBIAN : 0U;
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, c->inputs) == 0) {
            p.inputs.kind = eoc_input_kind_row(row);
        }
    }
    assert_non_null(p.inputs.kind);
    return p;
}

/* -- the statistics: those of layers 1, (L + 1)/2 and L, as value = statistic * PLACES + place; then the Jacobian's --
 */

enum { LOG_Q, C, ONE_MINUS_C, CHI_1, KURTOSIS, LOG_GRADIENT_Q, GRADIENT_C, LOG_WEIGHT_GRADIENT_Q, PER_LAYER };
enum { FIRST, MIDDLE, LAST, PLACES, M1 = PER_LAYER * PLACES, M2, NUM_VALUES };

static const char *const statistic_names[PER_LAYER] = {
    "log_q", "c", "one_minus_c", "chi_1", "kurtosis", "log_gradient_q", "gradient_c", "log_weight_gradient_q"};

static const char *value_name(int value)
{
    static char name[64];
    static const char *const places[PLACES] = {"first", "middle", "last"};
    if (value >= M1) {
        return value == M1 ? "log_jacobian_m1" : "log_jacobian_m2";
    }
    snprintf(name, sizeof name, "%s(%s)", statistic_names[value / PLACES], places[value % PLACES]);
    return name;
}

#define AT(statistic, place) ((statistic)*PLACES + (place))

/* What the two ways through a layer, its neighbours, its inputs and its tangents have to do with each other. */
static const int joint[][2] = {
    {AT(LOG_Q, FIRST), AT(LOG_Q, MIDDLE)},
    {AT(LOG_Q, MIDDLE), AT(LOG_Q, LAST)},
    {AT(LOG_Q, FIRST), AT(LOG_Q, LAST)},
    {AT(C, FIRST), AT(C, LAST)},
    {AT(LOG_GRADIENT_Q, FIRST), AT(C, FIRST)},
    {AT(LOG_GRADIENT_Q, FIRST), AT(C, LAST)},
    {AT(LOG_GRADIENT_Q, FIRST), AT(LOG_Q, FIRST)},
    {AT(LOG_GRADIENT_Q, FIRST), AT(LOG_Q, MIDDLE)},
    {AT(LOG_GRADIENT_Q, FIRST), AT(LOG_Q, LAST)},
    {AT(LOG_GRADIENT_Q, MIDDLE), AT(LOG_Q, LAST)},
    {AT(LOG_GRADIENT_Q, FIRST), AT(LOG_GRADIENT_Q, MIDDLE)},
    {AT(LOG_GRADIENT_Q, FIRST), AT(LOG_GRADIENT_Q, LAST)},
    {AT(GRADIENT_C, FIRST), AT(C, FIRST)},
    {AT(GRADIENT_C, FIRST), AT(C, LAST)},
    {AT(GRADIENT_C, FIRST), AT(GRADIENT_C, LAST)},
    {AT(LOG_WEIGHT_GRADIENT_Q, FIRST), AT(LOG_GRADIENT_Q, FIRST)},
    {AT(LOG_WEIGHT_GRADIENT_Q, LAST), AT(LOG_Q, LAST)},
    {AT(CHI_1, FIRST), AT(LOG_GRADIENT_Q, FIRST)},
    {AT(KURTOSIS, FIRST), AT(LOG_GRADIENT_Q, FIRST)},
    {AT(LOG_GRADIENT_Q, FIRST), M2},
    {AT(LOG_GRADIENT_Q, FIRST), M1},
    {AT(LOG_Q, LAST), M1},
    {AT(LOG_Q, LAST), M2},
    {AT(C, LAST), M2},
    {M1, M2},
};
enum { NUM_JOINT = sizeof joint / sizeof joint[0] };

/* Whether a network of this case has the value: less than three layers have no middle. */
static bool has(const network_case *c, int value)
{
    return value >= M1 ? c->probes > 0 : value % PLACES < (c->depth < PLACES ? c->depth : PLACES);
}

/* values (NUM_VALUES, 2 count): column offset..offset + count from networks drawn with this sampler. */
static void draw(const network_case *c, const eoc_sampler *sampler, uint32_t seed, int count, int offset,
                 double *values)
{
    eoc_network network = network_of(c);
    eoc_probe probe = probe_of(c);
    probe.needs = network.architecture.kind->needs(&network);
    eoc_probe_workspace *workspace = NULL;
    /* Memory for a larger network: it is measured for the samplers of the table, of which the faulty ones keep more. */
    assert_int_equal(eoc_probe_workspace_create(&probe, 8 * c->depth, 2 * c->width, &workspace), EOC_OK);
    probe.sampler = sampler;
    const int num_layers = c->depth < PLACES ? c->depth : PLACES;
    const int layers[PLACES] = {1, c->depth == 2 ? 2 : (c->depth + 1) / 2, c->depth};
    double v[NUM_VALUES];
    eoc_probe_rows rows = {.log_q = v + AT(LOG_Q, 0),
                           .c = v + AT(C, 0),
                           .one_minus_c = v + AT(ONE_MINUS_C, 0),
                           .chi_1 = v + AT(CHI_1, 0),
                           .kurtosis = v + AT(KURTOSIS, 0),
                           .log_gradient_q = v + AT(LOG_GRADIENT_Q, 0),
                           .gradient_c = v + AT(GRADIENT_C, 0),
                           .log_weight_gradient_q = v + AT(LOG_WEIGHT_GRADIENT_Q, 0),
                           .log_jacobian_m1 = v + M1,
                           .log_jacobian_m2 = v + M2};
    for (int i = 0; i < count; i++) {
        network.key = (eoc_key){{seed, (uint32_t)i}};
        eoc_outcome outcome;
        assert_true(eoc_probe_run(&probe, &network, 1.0, layers, num_layers, workspace, NULL, &rows, &outcome));
        assert_int_equal(outcome.status, EOC_DONE);
        for (int k = 0; k < NUM_VALUES; k++) {
            values[(size_t)k * 2 * (size_t)count + (size_t)(offset + i)] = has(c, k) ? v[k] : 0.0;
        }
    }
    eoc_probe_workspace_destroy(&workspace);
}

/* Products of mean ranks tell dependence, their differences the law of what one does beside the other. */
static void compare_joint(const char *name, const double *ranks_a, const double *ranks_b, int a, int b, int count,
                          samples_family *family)
{
    double *const values = malloc(sizeof *values * 2 * (size_t)count);
    assert_non_null(values);
    for (int form = 0; form < 2; form++) {
        for (int i = 0; i < 2 * count; i++) {
            values[i] = form ? ranks_a[i] - ranks_b[i] : ranks_a[i] * ranks_b[i];
        }
        char where[256], first[64];
        snprintf(first, sizeof first, "%s", value_name(a));
        snprintf(where, sizeof where, "%s: %s %s %s", name, first, form ? "less" : "times", value_name(b));
        samples_add(family, samples_p(samples_distance(values, count, NULL), count), where);
    }
    free(values);
}

/* The whole family of tests on one case: this sampler against explicit matrices. */
static void compare(int index, const eoc_sampler *sampler, samples_family *family)
{
    const network_case *c = &cases[index];
    const int count = num_networks();
    const size_t row = 2 * (size_t)count;
    double *const values = malloc(sizeof *values * row * NUM_VALUES), *const ranks =
                                                                          malloc(sizeof *ranks * row * NUM_VALUES);
    assert_true(values && ranks);
    draw(c, sampler, 1000 + (uint32_t)index, count, 0, values);
    draw(c, eoc_sampler_find("explicit"), 2000 + (uint32_t)index, count, count, values);
    char name[120], where[256];
    snprintf(name, sizeof name, "%s %s %s width %d depth %d %s", c->architecture ? c->architecture : "", c->activation,
             c->initializer, c->width, c->depth, c->inputs);
    for (int k = 0; k < NUM_VALUES; k++) {
        const int distance = samples_distance(values + (size_t)k * row, count, ranks + (size_t)k * row);
        if (has(c, k)) {
            snprintf(where, sizeof where, "%s: %s", name, value_name(k));
            samples_add(family, samples_p(distance, count), where);
        }
    }
    for (int j = 0; j < NUM_JOINT; j++) {
        const int a = joint[j][0], b = joint[j][1];
        if (has(c, a) && has(c, b)) {
            compare_joint(name, ranks + (size_t)a * row, ranks + (size_t)b * row, a, b, count, family);
        }
    }
    free(values);
    free(ranks);
}

/* -- samplers with one error each, around the true one -- */

static const eoc_sampler *implicit(void)
{
    return eoc_sampler_find("implicit");
}

/* Another matrix of the same law. */
static eoc_matrix other_matrix(const eoc_matrix *matrix)
{
    eoc_matrix other = *matrix;
    other.tensor += 100;
    return other;
}

static bool can_draw(const eoc_initializer *initializer)
{
    return implicit()->can_draw(initializer);
}

static size_t kept_bytes(const eoc_matrix *matrix, int columns)
{
    return implicit()->kept_bytes(matrix, columns);
}

static void apply(eoc_weights *weights, const eoc_matrix *matrix, const double *x, double *y, int columns, void *kept)
{
    implicit()->apply(weights, matrix, x, y, columns, kept);
}

/* The standard deviation 5 percent too large. */
static eoc_matrix scaled(const eoc_matrix *matrix)
{
    eoc_matrix m = *matrix;
    m.weight_variance *= 1.05 * 1.05;
    return m;
}

static void scaled_apply(eoc_weights *weights, const eoc_matrix *matrix, const double *x, double *y, int columns,
                         void *kept)
{
    const eoc_matrix m = scaled(matrix);
    implicit()->apply(weights, &m, x, y, columns, kept);
}

static void scaled_transposed(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x, int columns,
                              const void *kept)
{
    const eoc_matrix m = scaled(matrix);
    implicit()->apply_transposed(weights, &m, y, x, columns, kept);
}

/* Every layer draws the first one's numbers. */
static eoc_matrix first_layer(const eoc_matrix *matrix)
{
    eoc_matrix m = *matrix;
    m.layer = 1;
    return m;
}

static void reused_apply(eoc_weights *weights, const eoc_matrix *matrix, const double *x, double *y, int columns,
                         void *kept)
{
    const eoc_matrix m = first_layer(matrix);
    implicit()->apply(weights, &m, x, y, columns, kept);
}

static void reused_transposed(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x, int columns,
                              const void *kept)
{
    const eoc_matrix m = first_layer(matrix);
    implicit()->apply_transposed(weights, &m, y, x, columns, kept);
}

/* The transposed product's fresh numbers are those of the product: its tensor bears the other's mark already. */
static eoc_matrix marked(const eoc_matrix *matrix)
{
    eoc_matrix m = *matrix;
    m.tensor |= EOC_TENSOR_TRANSPOSED;
    return m;
}

static void marked_apply(eoc_weights *weights, const eoc_matrix *matrix, const double *x, double *y, int columns,
                         void *kept)
{
    const eoc_matrix m = marked(matrix);
    implicit()->apply(weights, &m, x, y, columns, kept);
}

static void marked_transposed(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x, int columns,
                              const void *kept)
{
    const eoc_matrix m = marked(matrix);
    implicit()->apply_transposed(weights, &m, y, x, columns, kept);
}

/* The transposed product is of an independent matrix: the assumption of gradient independence, as in mean-field theory.
 */
static void independent_transposed(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x,
                                   int columns, const void *kept)
{
    (void)kept;
    const eoc_matrix other = other_matrix(matrix);
    eoc_sampler_find("explicit")->apply_transposed(weights, &other, y, x, columns, NULL);
}

/*
 * For errors in the fresh part, (I - Q Q^t) P of Q G^t E + (I - Q Q^t) P: bases of X (columns, fan_in) and of Y
 * (columns, fan_out) are kept before what the true sampler keeps.
 */
static size_t bases_doubles(const eoc_matrix *matrix, int columns)
{
    return 1 + (size_t)columns * (size_t)(matrix->fan_in + matrix->fan_out);
}

static size_t bases_kept_bytes(const eoc_matrix *matrix, int columns)
{
    return sizeof(double) * bases_doubles(matrix, columns) + implicit()->kept_bytes(matrix, columns);
}

static void basis(double *vectors, int columns, int n)
{
    double along[1], r[256], work[64];
    assert_true(columns <= 16);
    eoc_orthonormal_qr(&(eoc_frame){NULL, 0}, n, columns, (size_t)n, vectors, along, r, work);
}

static void bases_apply(eoc_weights *weights, const eoc_matrix *matrix, const double *x, double *y, int columns,
                        void *kept)
{
    double *const own = kept, *const q = own + 1, *const u = q + columns * matrix->fan_in;
    implicit()->apply(weights, matrix, x, y, columns, own + bases_doubles(matrix, columns));
    own[0] = columns;
    memcpy(q, x, sizeof *q * (size_t)(columns * matrix->fan_in));
    memcpy(u, y, sizeof *u * (size_t)(columns * matrix->fan_out));
    basis(q, columns, matrix->fan_in);
    basis(u, columns, matrix->fan_out);
}

/* v (n): its part in the span of the frame alone, or the part without it. */
static void project(eoc_frame frame, int n, bool keep, double *v)
{
    double part[64] = {0};
    assert_true(n <= 64);
    for (int i = 0; i < frame.count; i++) {
        const double *const vector = frame.vectors + i * n;
        eoc_linalg_axpy(eoc_linalg_dot(vector, v, (size_t)n), vector, part, (size_t)n);
    }
    for (int i = 0; i < n; i++) {
        v[i] = keep ? part[i] : v[i] - part[i];
    }
}

enum { MAX_BATCH = 1024 };

/* The projection forgotten: Q Q^t P' added, of another P' = W'^t E of the same law; for Haar W'^t (E - U U^t E). */
static void unprojected_transposed(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x,
                                   int columns, const void *kept)
{
    const double *const own = kept;
    const int count = (int)own[0], in = matrix->fan_in, out = matrix->fan_out;
    const eoc_frame q = {own + 1, count}, u = {own + 1 + count * in, count};
    double e[MAX_BATCH], p[MAX_BATCH];
    assert_true(columns * out <= MAX_BATCH && columns * in <= MAX_BATCH);
    implicit()->apply_transposed(weights, matrix, y, x, columns, own + bases_doubles(matrix, count));
    memcpy(e, y, sizeof *e * (size_t)(columns * out));
    for (int c = 0; c < columns && matrix->initializer.kind->law == EOC_LAW_HAAR; c++) {
        project(u, out, false, e + c * out);
    }
    const eoc_matrix other = other_matrix(matrix);
    eoc_sampler_find("explicit")->apply_transposed(weights, &other, e, p, columns, NULL);
    for (int c = 0; c < columns; c++) {
        project(q, in, true, p + c * in);
        eoc_linalg_axpy(1.0, p + c * in, x + c * in, (size_t)in);
    }
}

/* Gaussian: P of the same numbers in every layer. R_E G' is the product of another matrix with E. */
static void stale_transposed(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x, int columns,
                             const void *kept)
{
    const double *const own = kept;
    const int count = (int)own[0], n = matrix->fan_in;
    const eoc_frame q = {own + 1, count};
    double p[MAX_BATCH], forgotten[2 * MAX_BATCH];
    const eoc_matrix other = other_matrix(matrix), stale = first_layer(&other);
    assert_true(columns * n <= MAX_BATCH && implicit()->kept_bytes(&stale, columns) <= sizeof forgotten);
    implicit()->apply_transposed(weights, matrix, y, x, columns, own + bases_doubles(matrix, count));
    implicit()->apply(weights, &stale, y, p, columns, forgotten);
    for (int c = 0; c < columns; c++) {
        project(q, n, true, x + c * n);
        project(q, n, false, p + c * n);
        eoc_linalg_axpy(1.0, p + c * n, x + c * n, (size_t)n);
    }
}

static double operations(const eoc_matrix *matrix, int columns)
{
    return implicit()->operations(matrix, columns);
}

#define SAMPLER(word, forward, transposed, bytes)                                                    \
    {                                                                                                \
        .name = word, .formula = "", .source = "", .apply = forward, .apply_transposed = transposed, \
        .kept_bytes = bytes, .can_draw = can_draw, .operations = operations                          \
    }

/*
 * The last two change Gaussian matrices alone: of a Haar one they change the direction of vectors in a space of which
 * the layers below and above know nothing, and no statistic of a network sees that (test_implicit.c does).
 */
static const struct {
    eoc_sampler sampler;
    bool haar;
} faulty[] = {
    {SAMPLER("projection forgotten", bases_apply, unprojected_transposed, bases_kept_bytes), true},
    {SAMPLER("scale wrong by 5 percent", scaled_apply, scaled_transposed, kept_bytes), true},
    {SAMPLER("frame reused in every layer", reused_apply, reused_transposed, kept_bytes), true},
    {SAMPLER("independent transposed product", apply, independent_transposed, kept_bytes), true},
    {SAMPLER("fresh part reused in every layer", bases_apply, stale_transposed, bases_kept_bytes), false},
    {SAMPLER("fresh part of the product's own numbers", marked_apply, marked_transposed, kept_bytes), false},
};
enum { NUM_FAULTY = sizeof faulty / sizeof faulty[0] };

/* What keeps bases and changes nothing: it is the error that is told. */
static void bases_transposed(eoc_weights *weights, const eoc_matrix *matrix, const double *y, double *x, int columns,
                             const void *kept)
{
    const double *const own = kept;
    implicit()->apply_transposed(weights, matrix, y, x, columns, own + bases_doubles(matrix, (int)own[0]));
}

static const eoc_sampler wrapped = SAMPLER("wrapped", bases_apply, bases_transposed, bases_kept_bytes);

/* -- the tests -- */

static int family_count; /* tests of the whole family */

static void implicit_has_the_law_of_explicit(void **state)
{
    (void)state;
    samples_family family = {0};
    for (int i = 0; i < NUM_CASES; i++) {
        compare(i, implicit(), &family);
    }
    family_count = family.count;
    print_message("%d tests of %d networks each: smallest p %.3g (%s), corrected %.3g\n", family.count, num_networks(),
                  family.smallest, family.where, samples_corrected(&family, family.count));
    assert_true(samples_corrected(&family, family.count) > SIGNIFICANCE);
}

/* One Gaussian and one Haar case, corrected as the whole family is: so the whole family tells the error too. */
enum { GAUSSIAN_CASE = 4, HAAR_CASE = 5 };

static void planted_errors_are_told(void **state)
{
    (void)state;
    for (int f = 0; f < NUM_FAULTY; f++) {
        for (int i = GAUSSIAN_CASE; i <= (faulty[f].haar ? HAAR_CASE : GAUSSIAN_CASE); i++) {
            samples_family family = {0};
            compare(i, &faulty[f].sampler, &family);
            const double corrected = samples_corrected(&family, family_count);
            print_message("%s: smallest p %.3g (%s), corrected %.3g\n", faulty[f].sampler.name, family.smallest,
                          family.where, corrected);
            assert_true(corrected < SIGNIFICANCE);
        }
    }
}

static void true_sampler_wrapped_passes(void **state)
{
    (void)state;
    samples_family family = {0};
    compare(GAUSSIAN_CASE, &wrapped, &family);
    compare(HAAR_CASE, &wrapped, &family);
    assert_true(samples_corrected(&family, family_count) > SIGNIFICANCE);
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(implicit_has_the_law_of_explicit),
        cmocka_unit_test(planted_errors_are_told),
        cmocka_unit_test(true_sampler_wrapped_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
