/* SPDX-License-Identifier: BSD-3-Clause */
/* The probe against a plain reference: weights in full, loops as in the formulas, gradients also by finite differences.
 */
#include "check.h"

#include "eoc/linalg.h"
#include "eoc/probe.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 6, MAX_WIDTH = 12, MAX_INPUTS = 5 };

/* A network with its weights and biases written out. */
typedef struct {
    eoc_network law;
    double w[MAX_DEPTH + 1][MAX_WIDTH][MAX_WIDTH];
    double b[MAX_DEPTH + 1][MAX_WIDTH];
    double v[MAX_WIDTH];
} plain_network;

static eoc_network network_of(const char *activation, const char *initializer, int depth, int width)
{
    eoc_network n = {.depth = depth, .width = width, .weight_variance = 1.7, .bias_variance = 0.3, .key = {{77, 88}}};
    assert_int_equal(eoc_architecture_find("fully_connected", &n.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &n.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &n.initializer), EOC_OK);
    return n;
}

static void write_out(const eoc_network *law, plain_network *p)
{
    p->law = *law;
    const int width = law->width;
    eoc_weights *weights = NULL;
    assert_int_equal(eoc_weights_create(width, 0, &weights), EOC_OK);
    for (int l = 1; l <= law->depth; l++) {
        const eoc_matrix m = {.initializer = law->initializer,
                              .weight_variance = law->weight_variance,
                              .key = law->key,
                              .layer = (uint32_t)l,
                              .tensor = EOC_TENSOR_WEIGHT,
                              .fan_out = width,
                              .fan_in = width};
        for (int i = 0; i < width; i++) {
            double unit[MAX_WIDTH] = {0}, image[MAX_WIDTH];
            unit[i] = 1.0;
            eoc_sampler_find("explicit")->apply(weights, &m, unit, image, 1, NULL);
            for (int k = 0; k < width; k++) {
                p->w[l][k][i] = image[k];
            }
        }
        const eoc_stream biases = {law->key, (uint32_t)l, EOC_TENSOR_BIAS, 0};
        eoc_rng_normals_scaled(&biases, 0, sqrt(law->bias_variance), p->b[l], (size_t)width);
    }
    const eoc_stream readout = {law->key, 0, EOC_TENSOR_READOUT, 0};
    eoc_rng_normals(&readout, p->v, (size_t)width);
    eoc_weights_destroy(&weights);
}

typedef struct {
    double z[MAX_DEPTH + 1][MAX_WIDTH], h[MAX_DEPTH + 1][MAX_WIDTH], dz[MAX_DEPTH + 1][MAX_WIDTH];
} passes;

/* E = v.h^L from z^from on: z^from, or with from = 0 the input h^0, is given. */
static double plain_forward(const plain_network *p, int from, passes *s)
{
    const int width = p->law.width, depth = p->law.depth;
    for (int l = from; l <= depth; l++) {
        for (int i = 0; i < width && l > 0; i++) {
            if (l > from || from == 0) {
                s->z[l][i] = p->b[l][i];
                for (int k = 0; k < width; k++) {
                    s->z[l][i] += p->w[l][i][k] * s->h[l - 1][k];
                }
            }
        }
        for (int i = 0; i < width && l > 0; i++) {
            s->h[l][i] = eoc_activation_phi(&p->law.activation, s->z[l][i]);
        }
    }
    double e = 0.0;
    for (int i = 0; i < width; i++) {
        e += p->v[i] * s->h[depth][i];
    }
    return e;
}

static void plain_backward(const plain_network *p, passes *s)
{
    const int width = p->law.width, depth = p->law.depth;
    for (int l = depth; l >= 1; l--) {
        for (int i = 0; i < width; i++) {
            double dh = l == depth ? p->v[i] : 0.0;
            for (int k = 0; k < width && l < depth; k++) {
                dh += p->w[l + 1][k][i] * s->dz[l + 1][k];
            }
            s->dz[l][i] = dh * eoc_activation_dphi(&p->law.activation, s->z[l][i]);
        }
    }
}

static double plain_cosine(const double *x, const double *y, int n)
{
    double xy = 0.0, xx = 0.0, yy = 0.0;
    for (int i = 0; i < n; i++) {
        xy += x[i] * y[i];
        xx += x[i] * x[i];
        yy += y[i] * y[i];
    }
    return xy / sqrt(xx * yy);
}

typedef struct {
    double log_q[MAX_DEPTH], c[MAX_DEPTH], one_minus_c[MAX_DEPTH];
    double log_gradient_q[MAX_DEPTH], gradient_c[MAX_DEPTH], log_weight_gradient_q[MAX_DEPTH];
} rows_memory;

static eoc_probe_rows rows_of(double *log_q, double *c, double *one_minus_c, double *log_gradient_q, double *gradient_c,
                              double *log_weight_gradient_q)
{
    return (eoc_probe_rows){.log_q = log_q,
                            .c = c,
                            .one_minus_c = one_minus_c,
                            .log_gradient_q = log_gradient_q,
                            .gradient_c = gradient_c,
                            .log_weight_gradient_q = log_weight_gradient_q};
}

static eoc_outcome probe(const eoc_probe *probe_asked, const eoc_network *network, double variance, rows_memory *m)
{
    int layers[MAX_DEPTH];
    for (int i = 0; i < MAX_DEPTH; i++) {
        layers[i] = i + 1;
    }
    eoc_probe_rows rows =
        rows_of(m->log_q, m->c, m->one_minus_c, m->log_gradient_q, m->gradient_c, m->log_weight_gradient_q);
    eoc_probe_workspace *workspace = NULL;
    /* Memory for more than the network needs, as in a sweep of several depths and widths. */
    assert_int_equal(eoc_probe_workspace_create(probe_asked, MAX_DEPTH, MAX_WIDTH, &workspace), EOC_OK);
    eoc_outcome outcome;
    assert_true(eoc_probe_run(probe_asked, network, variance, layers, MAX_DEPTH, workspace, NULL, &rows, &outcome));
    eoc_probe_workspace_destroy(&workspace);
    return outcome;
}

/* Noise in the place of images, of more features than the networks have units. */
static eoc_images *images_of(const eoc_inputs *inputs)
{
    enum { FEATURES = 2 * MAX_WIDTH };
    eoc_data data = {.features = FEATURES, .outputs = 1, .train_count = inputs->points, .test_count = 1};
    eoc_images *images = NULL;
    assert_int_equal(eoc_data_allocate(&data, true), EOC_OK);
    eoc_rng_normals_float(&(eoc_stream){.key = {{3, 4}}}, data.train_x, (size_t)FEATURES * (size_t)inputs->points);
    assert_int_equal(eoc_images_create(inputs, &data, &images), EOC_OK);
    eoc_data_clear(&data);
    return images;
}

static eoc_probe probe_of(const char *kind, int points)
{
    eoc_probe p = {.inputs = {.correlation = 0.6, .variance = 1.3, .points = points},
                   .statistics = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT,
                   .jacobian_probes = 1,
                   .sampler = eoc_sampler_find("explicit")};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, kind) == 0) {
            p.inputs.kind = eoc_input_kind_row(row);
        }
    }
    assert_non_null(p.inputs.kind);
    return p;
}

static void compare_with_plain(const eoc_network *law, const char *kind, int points)
{
    eoc_probe asked = probe_of(kind, points);
    eoc_images *images = NULL;
    if (asked.inputs.kind->has_images) {
        asked.inputs.preprocessing = eoc_preprocessing_row(0);
        asked.inputs.as_preprocessed = true;
        asked.inputs.images = images = images_of(&asked.inputs);
    }
    const int inputs = asked.inputs.kind->num_inputs(&asked.inputs), width = law->width, depth = law->depth;
    plain_network p;
    write_out(law, &p);
    double x[MAX_INPUTS * MAX_WIDTH];
    asked.inputs.kind->fill(&asked.inputs, law->key, width, asked.inputs.variance, x);
    passes s[MAX_INPUTS];
    for (int a = 0; a < inputs; a++) {
        memcpy(s[a].h[0], x + a * width, sizeof(double) * (size_t)width);
        plain_forward(&p, 0, &s[a]);
        plain_backward(&p, &s[a]);
    }
    rows_memory m;
    const eoc_outcome outcome = probe(&asked, law, asked.inputs.variance, &m);
    assert_int_equal(outcome.status, EOC_DONE);
    assert_int_equal(outcome.last_layer, depth);
    for (int l = 1; l <= depth; l++) {
        double q = 0.0, gradient = 0.0, weight_gradient = 0.0;
        for (int i = 0; i < width; i++) {
            for (int a = 0; a < inputs; a++) {
                q += s[a].z[l][i] * s[a].z[l][i];
                gradient += s[a].dz[l][i] * s[a].dz[l][i];
            }
            for (int k = 0; k < width; k++) {
                double entry = 0.0;
                for (int a = 0; a < inputs; a++) {
                    entry += s[a].dz[l][i] * s[a].h[l - 1][k];
                }
                weight_gradient += entry * entry;
            }
        }
        CHECK_NEAR(m.log_q[l - 1], log(q / (width * inputs)), 1e-12);
        CHECK_NEAR(m.log_gradient_q[l - 1], log(gradient / (width * inputs)), 1e-12);
        CHECK_NEAR(m.log_weight_gradient_q[l - 1], log(weight_gradient / (width * width)), 1e-11);
        if (inputs > 1) {
            const double c = plain_cosine(s[0].z[l], s[1].z[l], width);
            CHECK_NEAR(m.c[l - 1], c, 1e-13);
            CHECK_NEAR(m.one_minus_c[l - 1], 1.0 - c, 1e-13);
            CHECK_NEAR(m.gradient_c[l - 1], plain_cosine(s[0].dz[l], s[1].dz[l], width), 1e-12);
        } else {
            assert_true(isnan(m.c[l - 1]) && isnan(m.one_minus_c[l - 1]) && isnan(m.gradient_c[l - 1]));
        }
    }
    for (int l = depth + 1; l <= MAX_DEPTH; l++) {
        assert_true(isnan(m.log_q[l - 1]) && isnan(m.c[l - 1]) && isnan(m.log_gradient_q[l - 1]));
    }
    eoc_images_destroy(&images);
}

/* Every activation and initializer, every kind of input: the statistics of the plain reference to rounding. */
static void statistics(void **state)
{
    (void)state;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_network law = network_of(eoc_activation_row(row)->name, "gaussian", 5, 11);
        if (eoc_activation_features(&law.activation) > 1) {
            continue; /* test_architecture.c */
        }
        compare_with_plain(&law, "pair", 0);
    }
    for (int row = 0; row < eoc_initializer_count(); row++) {
        const eoc_network law = network_of("tanh", eoc_initializer_row(row)->name, 4, 10);
        compare_with_plain(&law, "pair", 0);
    }
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        const eoc_network law = network_of("gelu", "orthogonal", 3, 12);
        compare_with_plain(&law, eoc_input_kind_row(row)->name, 5);
    }
}

/* J = dh^L/dh^0 at input 0, entry by entry: J[i][k]. */
static void plain_jacobian(const plain_network *p, const passes *s, double j[MAX_WIDTH][MAX_WIDTH])
{
    const int width = p->law.width;
    for (int i = 0; i < width; i++) {
        for (int k = 0; k < width; k++) {
            j[i][k] = i == k;
        }
    }
    for (int l = 1; l <= p->law.depth; l++) {
        double next[MAX_WIDTH][MAX_WIDTH] = {{0}};
        for (int i = 0; i < width; i++) {
            const double slope = eoc_activation_dphi(&p->law.activation, s->z[l][i]);
            for (int k = 0; k < width; k++) {
                for (int m = 0; m < width; m++) {
                    next[i][k] += slope * p->w[l][i][m] * j[m][k];
                }
            }
        }
        memcpy(j, next, sizeof next);
    }
}

/* log |det J| by elimination with row exchanges; -inf when J is singular. */
static double log_determinant(double j[MAX_WIDTH][MAX_WIDTH], int width)
{
    double sum = 0.0;
    for (int c = 0; c < width; c++) {
        int pivot = c;
        for (int i = c + 1; i < width; i++) {
            pivot = fabs(j[i][c]) > fabs(j[pivot][c]) ? i : pivot;
        }
        for (int k = 0; k < width; k++) {
            const double exchanged = j[c][k];
            j[c][k] = j[pivot][k];
            j[pivot][k] = exchanged;
        }
        if (j[c][c] == 0.0) {
            return -INFINITY;
        }
        sum += log(fabs(j[c][c]));
        for (int i = c + 1; i < width; i++) {
            const double factor = j[i][c] / j[c][c];
            for (int k = c; k < width; k++) {
                j[i][k] -= factor * j[c][k];
            }
        }
    }
    return sum;
}

/* sum over rows (or columns) i of (sum over k of J[i][k] x[k])^2, with the image in y */
static double plain_apply(double j[MAX_WIDTH][MAX_WIDTH], int width, bool transposed, const double *x, double *y)
{
    double norm2 = 0.0;
    for (int i = 0; i < width; i++) {
        y[i] = 0.0;
        for (int k = 0; k < width; k++) {
            y[i] += (transposed ? j[k][i] : j[i][k]) * x[k];
        }
        norm2 += y[i] * y[i];
    }
    return norm2;
}

/*
 * The statistics jacobian, finite_width and spectrum against the plain reference: |J u|^2 and |J^t J u|^2 with the
 * probe's own u; the singular values through three functions of them, sum s^2 = |J|_F^2, sum s^4 = |J J^t|_F^2 and
 * sum log s = sum log |det W_l| + sum log |phi'|; the exact zeros of a relu network through its dead rows.
 */
static void jacobians(void **state)
{
    (void)state;
    enum { DEPTH = 4, WIDTH = 11, PROBES = 3 };
    static const char *const names[] = {"linear", "tanh", "leaky_relu", "relu", "gelu", "sin"};
    for (size_t a = 0; a < sizeof names / sizeof names[0]; a++) {
        const eoc_network law = network_of(names[a], a % 2 ? "orthogonal" : "gaussian", DEPTH, WIDTH);
        eoc_probe asked = probe_of("pair", 0);
        asked.statistics = EOC_STATISTIC_JACOBIAN | EOC_STATISTIC_FINITE_WIDTH | EOC_STATISTIC_SPECTRUM;
        asked.jacobian_probes = PROBES;
        asked.spectrum_modes = 1024;
        plain_network p;
        write_out(&law, &p);
        double x[2 * MAX_WIDTH], j[MAX_WIDTH][MAX_WIDTH];
        asked.inputs.kind->fill(&asked.inputs, law.key, WIDTH, asked.inputs.variance, x);
        passes s[2];
        for (int c = 0; c < 2; c++) {
            memcpy(s[c].h[0], x + c * WIDTH, sizeof(double) * WIDTH);
            plain_forward(&p, 0, &s[c]);
        }
        plain_jacobian(&p, &s[0], j);

        double chi_1[DEPTH], kurtosis[DEPTH], m1 = NAN, m2 = NAN, log_values[MAX_WIDTH];
        eoc_probe_rows rows = {.chi_1 = chi_1,
                               .kurtosis = kurtosis,
                               .log_jacobian_m1 = &m1,
                               .log_jacobian_m2 = &m2,
                               .log_singular_values = log_values};
        const int layers[DEPTH] = {1, 2, 3, 4};
        eoc_probe_workspace *workspace = NULL;
        assert_int_equal(eoc_probe_workspace_create(&asked, MAX_DEPTH, MAX_WIDTH, &workspace), EOC_OK);
        eoc_outcome outcome;
        assert_true(
            eoc_probe_run(&asked, &law, asked.inputs.variance, layers, DEPTH, workspace, NULL, &rows, &outcome));
        eoc_probe_workspace_destroy(&workspace);

        double first = 0.0, second = 0.0;
        for (int c = 0; c < PROBES; c++) {
            double u[WIDTH], ju[WIDTH], jju[WIDTH], norm2 = 0.0;
            const eoc_stream stream = {law.key, 0, EOC_TENSOR_TANGENT, (uint32_t)c};
            eoc_rng_normals(&stream, u, WIDTH);
            for (int i = 0; i < WIDTH; i++) {
                norm2 += u[i] * u[i];
            }
            first += plain_apply(j, WIDTH, false, u, ju) / norm2 / PROBES;
            second += plain_apply(j, WIDTH, true, ju, jju) / norm2 / PROBES;
        }
        CHECK_NEAR(m1, log(first), 1e-12);
        CHECK_NEAR(m2, log(second), 1e-12);

        for (int l = 1; l <= DEPTH; l++) {
            double slopes = 0.0, ratio = 0.0;
            for (int c = 0; c < 2; c++) {
                double square = 0.0, fourth = 0.0;
                for (int i = 0; i < WIDTH; i++) {
                    slopes += pow(eoc_activation_dphi(&law.activation, s[c].z[l][i]), 2.0);
                    square += pow(s[c].z[l][i], 2.0);
                    fourth += pow(s[c].z[l][i], 4.0);
                }
                ratio += WIDTH * fourth / (square * square) / 2.0;
            }
            CHECK_RELATIVE(chi_1[l - 1], 1.7 * slopes / (2 * WIDTH), 1e-12);
            CHECK_RELATIVE(kurtosis[l - 1], ratio, 1e-12);
        }

        double square = 0.0, fourth = 0.0, logs = 0.0, frobenius = 0.0, gram2 = 0.0;
        double log_det = 0.0; /* of the factors, each well conditioned, which J is not */
        int least_alive = WIDTH, zeros = 0;
        for (int i = 0; i < WIDTH; i++) {
            assert_true(i == 0 || log_values[i] <= log_values[i - 1]);
            zeros += log_values[i] == -INFINITY;
            square += exp(2.0 * log_values[i]);
            fourth += exp(4.0 * log_values[i]);
            logs += log_values[i];
            for (int k = 0; k < WIDTH; k++) {
                frobenius += j[i][k] * j[i][k];
                double gram = 0.0;
                for (int m = 0; m < WIDTH; m++) {
                    gram += j[i][m] * j[k][m];
                }
                gram2 += gram * gram;
            }
        }
        for (int l = 1; l <= DEPTH; l++) {
            int alive = 0;
            for (int i = 0; i < WIDTH; i++) {
                const double slope = eoc_activation_dphi(&law.activation, s[0].z[l][i]);
                alive += slope != 0.0;
                log_det += log(fabs(slope));
            }
            log_det += log_determinant(p.w[l], WIDTH);
            least_alive = alive < least_alive ? alive : least_alive;
        }
        CHECK_RELATIVE(square, frobenius, 1e-11);
        CHECK_RELATIVE(fourth, gram2, 1e-11);
        assert_int_equal(zeros, WIDTH - least_alive);
        if (zeros == 0) {
            CHECK_NEAR(logs, log_det, 1e-11);
        }
    }
}

/*
 * The plain reference's dE/dz^l against central differences of E in z^l, every activation: error h^2 E'''/6 + eps E/h,
 * 1e-8 of the gradient's size at h = 1e-5. Together with `statistics` this checks the probe's gradients against the
 * network itself.
 */
static void finite_differences(void **state)
{
    (void)state;
    const double step = 1e-5;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_network law = network_of(eoc_activation_row(row)->name, "gaussian", 4, 9);
        plain_network p;
        write_out(&law, &p);
        passes s;
        for (int i = 0; i < law.width; i++) {
            s.h[0][i] = cos(1.0 + i);
        }
        plain_forward(&p, 0, &s);
        plain_backward(&p, &s);
        for (int l = 1; l <= law.depth; l++) {
            for (int i = 0; i < law.width; i++) {
                passes up = s, down = s;
                up.z[l][i] += step;
                down.z[l][i] -= step;
                const double difference = (plain_forward(&p, l, &up) - plain_forward(&p, l, &down)) / (2.0 * step);
                CHECK_NEAR(s.dz[l][i], difference, 1e-8 * fmax(1.0, fabs(difference)));
            }
        }
    }
}

/* |x|^2/N and cosines of the inputs are exact, whatever the width. */
static void inputs(void **state)
{
    (void)state;
    double x[5 * MAX_WIDTH];
    for (int width = 2; width <= MAX_WIDTH; width += 5) {
        for (double c = -1.0; c <= 1.0; c += 0.5) {
            eoc_probe pair = probe_of("pair", 0);
            pair.inputs.correlation = c;
            pair.inputs.kind->fill(&pair.inputs, (eoc_key){{1, 2}}, width, 0.7, x);
            CHECK_NEAR(eoc_linalg_dot(x, x, (size_t)width) / width, 0.7, 1e-15 * 10);
            CHECK_NEAR(eoc_linalg_dot(x + width, x + width, (size_t)width) / width, 0.7, 1e-15 * 10);
            CHECK_NEAR(plain_cosine(x, x + width, width), c, 1e-15 * 10);
        }
        const eoc_probe circle = probe_of("circle", 5);
        circle.inputs.kind->fill(&circle.inputs, (eoc_key){{1, 2}}, width, 2.0, x);
        for (int a = 0; a < 5; a++) {
            for (int b = 0; b < 5; b++) {
                const double angle = 2.0 * 3.14159265358979323846 * (a - b) / 5.0;
                CHECK_NEAR(plain_cosine(x + a * width, x + b * width, width), cos(angle), 1e-14);
            }
            CHECK_NEAR(eoc_linalg_dot(x + a * width, x + a * width, (size_t)width) / width, 2.0, 1e-14);
        }
    }
}

/* The pair classes that theory is given count every ordered pair once, with the cosines that the inputs have. */
static void pair_classes(void **state)
{
    (void)state;
    for (int points = 2; points <= 9; points++) {
        for (int row = 0; row < eoc_input_kind_count(); row++) {
            const eoc_probe p = probe_of(eoc_input_kind_row(row)->name, points);
            eoc_theory_pair pairs[16];
            double total = 0.0;
            if (p.inputs.kind->has_images) {
                continue; /* test_inputs.c */
            }
            const int classes = p.inputs.kind->pairs(&p.inputs, pairs);
            assert_int_equal(p.inputs.kind->pairs(&p.inputs, NULL), classes);
            const int n = p.inputs.kind->num_inputs(&p.inputs);
            for (int i = 0; i < classes; i++) {
                total += pairs[i].count;
                assert_true(pairs[i].a == 0 && pairs[i].b == 0);
            }
            CHECK_NEAR(total, n * (n - 1.0), 0.0);
        }
    }
}

/*
 * Signals of 1e-200 stay in the linear range of tanh, so the tanh network is the linear one with the same weights, far
 * below the smallest double: q falls as 0.25^l. Gradients, which multiply by phi' = 1, agree too.
 */
static void tiny_signals(void **state)
{
    (void)state;
    enum { DEPTH = 3000, WIDTH = 8 };
    int layers[2] = {1, DEPTH};
    double values[2][6][2];
    const char *const names[2] = {"linear", "tanh"};
    for (int i = 0; i < 2; i++) {
        eoc_network law = network_of(names[i], "gaussian", DEPTH, WIDTH);
        law.weight_variance = 0.25;
        law.bias_variance = 0.0;
        const eoc_probe asked = probe_of("pair", 0);
        eoc_probe_workspace *workspace = NULL;
        assert_int_equal(eoc_probe_workspace_create(&asked, DEPTH, WIDTH, &workspace), EOC_OK);
        eoc_probe_rows rows =
            rows_of(values[i][0], values[i][1], values[i][2], values[i][3], values[i][4], values[i][5]);
        eoc_outcome outcome;
        assert_true(eoc_probe_run(&asked, &law, 1e-20, layers, 2, workspace, NULL, &rows, &outcome));
        assert_int_equal(outcome.status, EOC_DONE);
        eoc_probe_workspace_destroy(&workspace);
    }
    assert_true(values[0][0][1] < -4000.0); /* log q: below the log of the smallest double, -745 */
    for (int k = 0; k < 6; k++) {
        CHECK_RELATIVE(values[1][k][0], values[0][k][0], 1e-9);
        /* once the vectors are parallel their distance is rounding, in which the two networks may differ */
        if (k != 2) {
            CHECK_RELATIVE(values[1][k][1], values[0][k][1], 1e-9);
        }
    }
}

/* linear, orthogonal, weight variance 1, no bias: an isometry, at depth 2000 too. */
static void isometry(void **state)
{
    (void)state;
    enum { DEPTH = 2000, WIDTH = 12 };
    eoc_network law = network_of("linear", "orthogonal", DEPTH, WIDTH);
    law.weight_variance = 1.0;
    law.bias_variance = 0.0;
    const eoc_probe asked = probe_of("pair", 0);
    int layers[2] = {1, DEPTH};
    double values[6][2];
    eoc_probe_rows rows = rows_of(values[0], values[1], values[2], values[3], values[4], values[5]);
    eoc_probe_workspace *workspace = NULL;
    assert_int_equal(eoc_probe_workspace_create(&asked, DEPTH, WIDTH, &workspace), EOC_OK);
    eoc_outcome outcome;
    assert_true(eoc_probe_run(&asked, &law, 1.3, layers, 2, workspace, NULL, &rows, &outcome));
    for (int i = 0; i < 2; i++) {
        CHECK_NEAR(values[0][i], log(1.3), 1e-11);
        CHECK_NEAR(values[1][i], 0.6, 1e-11);
        CHECK_NEAR(values[4][i], 1.0, 1e-11); /* one read-out for both inputs: the gradients are the same vector */
    }
    CHECK_NEAR(values[3][0], values[3][1], 1e-11);
    eoc_probe_workspace_destroy(&workspace);
}

/*
 * elu grows without bound at weight variance 100, by 50 a layer: diverged by overflow near layer 2 log(1.8e308)/log(50)
 * = 363, with every layer before it. Wide enough that no layer is negative throughout, which would bring the signal
 * back to 1.
 */
static void overflow(void **state)
{
    (void)state;
    enum { DEPTH = 500, WIDTH = 60 };
    eoc_network law = network_of("elu", "gaussian", DEPTH, WIDTH);
    law.weight_variance = 100.0;
    const eoc_probe asked = probe_of("pair", 0);
    static int layers[DEPTH];
    static double values[6][DEPTH];
    for (int i = 0; i < DEPTH; i++) {
        layers[i] = i + 1;
    }
    eoc_probe_rows rows = rows_of(values[0], values[1], values[2], values[3], values[4], values[5]);
    eoc_probe_workspace *workspace = NULL;
    assert_int_equal(eoc_probe_workspace_create(&asked, DEPTH, WIDTH, &workspace), EOC_OK);
    eoc_outcome outcome;
    assert_true(eoc_probe_run(&asked, &law, 1.0, layers, DEPTH, workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DIVERGED);
    assert_int_equal(outcome.reason, EOC_REASON_OVERFLOW);
    assert_true(outcome.last_layer > 340 && outcome.last_layer < 385);
    assert_true(isfinite(values[0][outcome.last_layer - 1]) && isnan(values[0][outcome.last_layer]));
    assert_true(values[0][outcome.last_layer - 1] > 1400.0);
    assert_true(isnan(values[3][0]));
    eoc_probe_workspace_destroy(&workspace);
}

/* No weights, no bias: a dead network is a result; log 0 = -inf, no direction. */
static void dead_network(void **state)
{
    (void)state;
    eoc_network law = network_of("tanh", "gaussian", 3, 5);
    law.weight_variance = law.bias_variance = 0.0;
    const eoc_probe asked = probe_of("pair", 0);
    rows_memory m;
    const eoc_outcome outcome = probe(&asked, &law, 1.0, &m);
    assert_int_equal(outcome.status, EOC_DONE);
    assert_int_equal(outcome.last_layer, 3);
    assert_true(isinf(m.log_q[0]) && m.log_q[0] < 0 && isnan(m.c[0]) && isnan(m.one_minus_c[0]));
    assert_true(isinf(m.log_gradient_q[0]) && m.log_gradient_q[0] < 0 && isnan(m.gradient_c[0]));
    assert_true(isinf(m.log_weight_gradient_q[0]) && m.log_weight_gradient_q[0] < 0);
    assert_true(isfinite(m.log_gradient_q[2])); /* phi'(0) = 1: the read-out's own gradient arrives at the last layer */
}

/* Without `gradient` one layer's memory serves all, and the forward statistics are the same bits. */
static void forward_only(void **state)
{
    (void)state;
    const eoc_network law = network_of("silu", "orthogonal", 5, 9);
    eoc_probe asked = probe_of("pair", 0);
    rows_memory both, forward;
    probe(&asked, &law, 1.3, &both);
    asked.statistics = EOC_STATISTIC_FORWARD;
    probe(&asked, &law, 1.3, &forward);
    assert_memory_equal(both.log_q, forward.log_q, 5 * sizeof(double));
    assert_memory_equal(both.c, forward.c, 5 * sizeof(double));
    assert_true(isnan(forward.log_gradient_q[0]));
}

static bool give_up(void *context)
{
    int *const ticks = context;
    return ++*ticks > 7;
}

/* A host that gives the unit up is obeyed within a layer. */
static void giving_up(void **state)
{
    (void)state;
    const eoc_network law = network_of("tanh", "gaussian", 5, 9);
    const eoc_probe asked = probe_of("pair", 0);
    int ticks = 0;
    const eoc_host host = {.context = &ticks, .tick = give_up};
    rows_memory m;
    int layers[MAX_DEPTH] = {1, 2, 3, 4, 5, 6};
    eoc_probe_rows rows = rows_of(m.log_q, m.c, m.one_minus_c, m.log_gradient_q, m.gradient_c, m.log_weight_gradient_q);
    eoc_probe_workspace *workspace = NULL;
    assert_int_equal(eoc_probe_workspace_create(&asked, MAX_DEPTH, MAX_WIDTH, &workspace), EOC_OK);
    eoc_outcome outcome;
    assert_false(eoc_probe_run(&asked, &law, 1.0, layers, MAX_DEPTH, workspace, &host, &rows, &outcome));
    assert_int_equal(ticks, 8);
    eoc_probe_workspace_destroy(&workspace);
}

/* Kept layers: 1 and every depth always; `every` and `log` between. */
static void kept_layers(void **state)
{
    (void)state;
    double depths[] = {7.0, 20.0};
    const eoc_axis axis = {.count = 2, .values = depths};
    int layers[20];
    static const int every[] = {1, 5, 7, 10, 15, 20}, spaced[] = {1, 2, 4, 7, 9, 20};
    assert_int_equal(eoc_layers_fill(&(eoc_layers){EOC_LAYERS_ALL, 0}, &axis, layers), 20);
    assert_int_equal(eoc_layers_fill(&(eoc_layers){EOC_LAYERS_EVERY, 5}, &axis, layers), 6);
    assert_memory_equal(layers, every, sizeof every);
    /* 20^(k/4), k = 0..4: 1, 2.11, 4.47, 9.46, 20 */
    assert_int_equal(eoc_layers_fill(&(eoc_layers){EOC_LAYERS_LOG, 5}, &axis, layers), 6);
    assert_memory_equal(layers, spaced, sizeof spaced);
    assert_int_equal(eoc_layers_fill(&(eoc_layers){EOC_LAYERS_LOG, 1}, &axis, layers), 3);
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics),   cmocka_unit_test(finite_differences), cmocka_unit_test(jacobians),
        cmocka_unit_test(inputs),       cmocka_unit_test(pair_classes),       cmocka_unit_test(tiny_signals),
        cmocka_unit_test(isometry),     cmocka_unit_test(overflow),           cmocka_unit_test(dead_network),
        cmocka_unit_test(forward_only), cmocka_unit_test(giving_up),          cmocka_unit_test(kept_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
