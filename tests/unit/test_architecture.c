/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Architectures against a plain reference: their formulas in loops over weights in full, and every derivative a central
 * difference of it. Then exact and asymptotic laws of the literature, each named where it is used.
 */
#include "check.h"
#include "networks.h"

#include "eoc/linalg.h"

#include <stdlib.h>
#include <string.h>

/* -- the plain reference -- */

enum { DEPTH = 4, WIDTH = 5, INPUTS = 4, FEATURES = 2 * WIDTH };

/* The formulas' own words, beside the spelling that the program reads. */
typedef struct {
    const char *spelling;
    char form;                   /* f: fully connected; p, r, t: pre-activation, reduced, two matrices */
    char norm;                   /* n, b, l */
    double skip, branch, keep;   /* of blocks; of dropout */
    double gamma, beta, epsilon; /* of a normalization */
} plain_case;

#define NO_NORM 1.0, 0.0, 1e-5

static const plain_case cases[] = {
    {"fully_connected", 'f', 'n', 0, 0, 1, NO_NORM},
    {"fully_connected(keep=0.7)", 'f', 'n', 0, 0, 0.7, NO_NORM},
    {"fully_connected(normalization=batch)", 'f', 'b', 0, 0, 1, NO_NORM},
    {"fully_connected(normalization=batch, gamma=0.8, beta=0.3, epsilon=0.4)", 'f', 'b', 0, 0, 1, 0.8, 0.3, 0.4},
    {"fully_connected(normalization=batch, keep=0.8)", 'f', 'b', 0, 0, 0.8, NO_NORM},
    {"fully_connected(normalization=layer)", 'f', 'l', 0, 0, 1, NO_NORM},
    {"fully_connected(normalization=layer, gamma=1.5, beta=-0.2, epsilon=0, keep=0.8)", 'f', 'l', 0, 0, 0.8, 1.5, -0.2,
     0},
    {"residual", 'p', 'n', 1, 1, 1, NO_NORM},
    {"residual(branch=1/sqrt(depth))", 'p', 'n', 1, 0.5, 1, NO_NORM}, /* at depth 4 */
    {"residual(skip=-0.7, branch=0.9, keep=0.6)", 'p', 'n', -0.7, 0.9, 0.6, NO_NORM},
    {"residual(skip=0)", 'p', 'n', 0, 1, 1, NO_NORM},
    {"residual(branch=0)", 'p', 'n', 1, 0, 1, NO_NORM},
    {"residual(normalization=batch)", 'p', 'b', 1, 1, 1, NO_NORM},
    {"residual(normalization=batch, branch=0.3, gamma=2, beta=0.1, epsilon=0.01, keep=0.7)", 'p', 'b', 1, 0.3, 0.7, 2,
     0.1, 0.01},
    {"residual(normalization=layer, branch=0.3, keep=0.7)", 'p', 'l', 1, 0.3, 0.7, NO_NORM},
    {"residual(form=reduced)", 'r', 'n', 1, 1, 1, NO_NORM},
    {"residual(form=reduced, skip=0.8, branch=0.4, keep=0.7)", 'r', 'n', 0.8, 0.4, 0.7, NO_NORM},
    {"residual(form=reduced, normalization=batch, keep=0.7)", 'r', 'b', 1, 1, 0.7, NO_NORM},
    {"residual(form=reduced, normalization=layer, branch=0.5)", 'r', 'l', 1, 0.5, 1, NO_NORM},
    {"residual(form=full)", 't', 'n', 1, 1, 1, NO_NORM},
    {"residual(form=full, skip=0.8, branch=0.4, keep=0.7)", 't', 'n', 0.8, 0.4, 0.7, NO_NORM},
    {"residual(form=full, normalization=batch, branch=0.6)", 't', 'b', 1, 0.6, 1, NO_NORM},
    {"residual(form=full, normalization=batch, gamma=0.5, beta=1, epsilon=0.2, keep=0.7)", 't', 'b', 1, 1, 0.7, 0.5, 1,
     0.2},
    {"residual(form=full, normalization=layer, keep=0.8)", 't', 'l', 1, 1, 0.8, NO_NORM},
};
enum { NUM_CASES = sizeof cases / sizeof cases[0] };

typedef struct {
    double w[WIDTH][FEATURES], b[WIDTH];
    int fan_in;
} plain_matrix;

typedef struct {
    eoc_network law;
    const plain_case *c;
    int features; /* of a layer */
    plain_matrix first[DEPTH + 1], second[DEPTH + 1];
    double mask[DEPTH + 1][INPUTS][FEATURES]; /* 1/keep, or 0 */
    double v[INPUTS][FEATURES];               /* one read-out, or one an input */
    double x[INPUTS][WIDTH];
} plain_network;

static void write_out_matrix(const eoc_network *law, int l, int tensor, uint32_t bias, bool of_features,
                             plain_matrix *m)
{
    const bool twice = of_features && eoc_activation_features(&law->activation) == 2;
    const bool mirrored = twice && strncmp(law->initializer.kind->name, "looks_linear", 12) == 0;
    eoc_weights *weights = NULL;
    assert_int_equal(eoc_weights_create(FEATURES, 0, &weights), EOC_OK);
    const int drawn = twice && !mirrored ? FEATURES : WIDTH;
    const eoc_matrix matrix = {.initializer = law->initializer,
                               .weight_variance = law->weight_variance,
                               .key = law->key,
                               .layer = (uint32_t)l,
                               .tensor = (uint32_t)tensor,
                               .fan_out = WIDTH,
                               .fan_in = drawn};
    double values[WIDTH * FEATURES];
    assert_int_equal(eoc_weights_draw(weights, &matrix, values), EOC_OK);
    m->fan_in = twice ? FEATURES : WIDTH;
    for (int i = 0; i < WIDTH; i++) {
        for (int k = 0; k < m->fan_in; k++) {
            m->w[i][k] = mirrored && k >= WIDTH ? -values[i * drawn + k - WIDTH] : values[i * drawn + k];
        }
    }
    const eoc_stream stream = {law->key, (uint32_t)l, EOC_TENSOR_BIAS, bias};
    eoc_rng_normals_scaled(&stream, 0, sqrt(law->bias_variance), m->b, WIDTH);
    eoc_weights_destroy(&weights);
}

static void write_out(const eoc_network *law, const plain_case *c, const eoc_probe *probe, plain_network *p)
{
    *p = (plain_network){.law = *law, .c = c};
    p->features = eoc_activation_features(&law->activation) * WIDTH;
    for (int l = 1; l <= DEPTH; l++) {
        const bool of_features = l > 1 && (c->form == 'f' || c->form == 'p');
        write_out_matrix(law, l, EOC_TENSOR_WEIGHT, 0, of_features, &p->first[l]);
        write_out_matrix(law, l, EOC_TENSOR_WEIGHT + 1, 1, true, &p->second[l]);
        for (int a = 0; a < INPUTS; a++) {
            float u[FEATURES];
            const eoc_stream stream = {law->key, (uint32_t)l, EOC_TENSOR_MASK, (uint32_t)a};
            eoc_rng_uniforms_float(&stream, u, FEATURES);
            for (int i = 0; i < FEATURES; i++) {
                p->mask[l][a][i] = 0.5 * (1.0 + (double)u[i]) < c->keep ? 1.0 / c->keep : 0.0;
            }
        }
    }
    for (int a = 0; a < INPUTS; a++) {
        const eoc_stream readout = {law->key, 0, EOC_TENSOR_READOUT, c->norm == 'b' ? (uint32_t)a : 0};
        eoc_rng_normals(&readout, p->v[a], FEATURES);
    }
    probe->inputs.kind->fill(&probe->inputs, law->key, WIDTH, probe->inputs.variance, p->x[0]);
}

static void multiply(const plain_matrix *m, const double *h, double *z)
{
    for (int i = 0; i < WIDTH; i++) {
        z[i] = m->b[i];
        for (int k = 0; k < m->fan_in; k++) {
            z[i] += m->w[i][k] * h[k];
        }
    }
}

static void normalize(const plain_case *c, double u[INPUTS][WIDTH])
{
    const int groups = c->norm == 'b' ? WIDTH : c->norm == 'l' ? INPUTS : 0, members = c->norm == 'b' ? INPUTS : WIDTH;
    for (int g = 0; g < groups; g++) {
        double mean = 0.0, variance = 0.0;
        for (int m = 0; m < members; m++) {
            mean += (c->norm == 'b' ? u[m][g] : u[g][m]) / members;
        }
        for (int m = 0; m < members; m++) {
            variance += pow((c->norm == 'b' ? u[m][g] : u[g][m]) - mean, 2.0) / members;
        }
        for (int m = 0; m < members; m++) {
            double *const place = c->norm == 'b' ? &u[m][g] : &u[g][m];
            *place = c->gamma * (*place - mean) / sqrt(variance + c->epsilon) + c->beta;
        }
    }
}

/* f = the features of what phi sees */
static void features_of(const plain_network *p, int l, double u[INPUTS][WIDTH], double f[INPUTS][FEATURES])
{
    normalize(p->c, u);
    for (int a = 0; a < INPUTS; a++) {
        for (int i = 0; i < p->features; i++) {
            const double z = i < WIDTH ? u[a][i] : -u[a][i - WIDTH];
            f[a][i] = eoc_activation_phi(&p->law.activation, z) * p->mask[l][a][i];
        }
    }
}

typedef double stream_values[INPUTS][FEATURES];

/* One layer of the whole batch; `shift` is added to z^l of one unit of one input where it is not zero. */
static void plain_layer(const plain_network *p, int l, stream_values h, double z[INPUTS][WIDTH], int input, int unit,
                        double shift)
{
    const plain_case *c = p->c;
    double u[INPUTS][WIDTH];
    stream_values f;
    const bool lift = c->form != 'f' && l == 1;
    for (int a = 0; a < INPUTS; a++) {
        if (c->form == 'p' && !lift) {
            memcpy(u[a], h[a], sizeof u[a]);
        } else {
            multiply(&p->first[l], h[a], u[a]);
        }
    }
    if (c->form == 'f' || lift) {
        u[input][unit] += shift;
        memcpy(z, u, sizeof u);
        if (lift) {
            for (int a = 0; a < INPUTS; a++) {
                memcpy(h[a], u[a], sizeof u[a]);
            }
        } else {
            features_of(p, l, u, h);
        }
        return;
    }
    features_of(p, l, u, f);
    for (int a = 0; a < INPUTS; a++) {
        double to_stream[WIDTH];
        if (c->form == 'r') {
            memcpy(to_stream, f[a], sizeof to_stream);
        } else {
            multiply(c->form == 'p' ? &p->first[l] : &p->second[l], f[a], to_stream);
        }
        for (int i = 0; i < WIDTH; i++) {
            h[a][i] = c->skip * h[a][i] + c->branch * to_stream[i];
        }
    }
    h[input][unit] += shift;
    for (int a = 0; a < INPUTS; a++) {
        memcpy(z[a], h[a], sizeof z[a]);
    }
}

/* h^L of all inputs, z^l of layer `at` shifted; z of every layer where wanted. */
static void plain_run(const plain_network *p, int at, int input, int unit, double shift, stream_values h,
                      double z[DEPTH + 1][INPUTS][WIDTH])
{
    double own[INPUTS][WIDTH];
    for (int a = 0; a < INPUTS; a++) {
        memcpy(h[a], p->x[a], sizeof p->x[a]);
    }
    if (at == 0) {
        h[input][unit] += shift;
    }
    for (int l = 1; l <= DEPTH; l++) {
        plain_layer(p, l, h, z ? z[l] : own, input, unit, l == at ? shift : 0.0);
    }
}

static int top_width(const plain_network *p)
{
    return p->c->form == 'f' ? p->features : WIDTH;
}

static double energy(const plain_network *p, stream_values h)
{
    double e = 0.0;
    for (int a = 0; a < INPUTS; a++) {
        for (int i = 0; i < top_width(p); i++) {
            e += p->v[a][i] * h[a][i];
        }
    }
    return e;
}

static const double STEP = 1e-5; /* of central differences: error 1e-10 f''' + 1e-11 f */

/* mean over units and inputs of (dE/dz^l)^2 */
static double gradient_q(const plain_network *p, int l)
{
    double sum = 0.0;
    stream_values up, down;
    for (int a = 0; a < INPUTS; a++) {
        for (int i = 0; i < WIDTH; i++) {
            plain_run(p, l, a, i, STEP, up, NULL);
            plain_run(p, l, a, i, -STEP, down, NULL);
            sum += pow((energy(p, up) - energy(p, down)) / (2.0 * STEP), 2.0);
        }
    }
    return sum / (INPUTS * WIDTH);
}

static double weight_gradient_q(plain_network *p, int l)
{
    double sum = 0.0;
    plain_matrix *const m = &p->first[l];
    for (int i = 0; i < WIDTH; i++) {
        for (int k = 0; k < m->fan_in; k++) {
            stream_values up, down;
            const double w = m->w[i][k];
            m->w[i][k] = w + STEP;
            plain_run(p, -1, 0, 0, 0.0, up, NULL);
            m->w[i][k] = w - STEP;
            plain_run(p, -1, 0, 0, 0.0, down, NULL);
            m->w[i][k] = w;
            sum += pow((energy(p, up) - energy(p, down)) / (2.0 * STEP), 2.0);
        }
    }
    return sum / (WIDTH * m->fan_in);
}

/* The mean |J u|^2 and |J^t J u|^2 over the probe's u: J of input 0, or of the whole batch where it is coupled. */
static void jacobian(const plain_network *p, const eoc_probe *probe, double m[2])
{
    enum { MOST = INPUTS * FEATURES };
    const int batch = p->c->norm == 'b' ? INPUTS : 1, in = batch * WIDTH, top = top_width(p), out = batch * top;
    static double j[MOST][MOST];
    stream_values up, down;
    for (int k = 0; k < in; k++) {
        plain_run(p, 0, k / WIDTH, k % WIDTH, STEP, up, NULL);
        plain_run(p, 0, k / WIDTH, k % WIDTH, -STEP, down, NULL);
        for (int i = 0; i < out; i++) {
            j[i][k] = (up[i / top][i % top] - down[i / top][i % top]) / (2.0 * STEP);
        }
    }
    m[0] = m[1] = 0.0;
    for (int s = 0; s < probe->jacobian_probes; s++) {
        double u[MOST], ju[MOST] = {0}, norm = 0.0;
        for (int a = 0; a < batch; a++) {
            const eoc_stream stream = {p->law.key, 0, EOC_TENSOR_TANGENT, (uint32_t)(s * batch + a)};
            eoc_rng_normals(&stream, u + a * WIDTH, WIDTH);
        }
        for (int k = 0; k < in; k++) {
            norm += u[k] * u[k];
        }
        for (int i = 0; i < out; i++) {
            for (int k = 0; k < in; k++) {
                ju[i] += j[i][k] * u[k] / sqrt(norm);
            }
            m[0] += ju[i] * ju[i] / probe->jacobian_probes;
        }
        for (int k = 0; k < in; k++) {
            double jtju = 0.0;
            for (int i = 0; i < out; i++) {
                jtju += j[i][k] * ju[i];
            }
            m[1] += jtju * jtju / probe->jacobian_probes;
        }
    }
}

typedef struct {
    double log_q[DEPTH], c[DEPTH], one_minus_c[DEPTH], chi_1[DEPTH], kurtosis[DEPTH];
    double log_gradient_q[DEPTH], gradient_c[DEPTH], log_weight_gradient_q[DEPTH], m1, m2;
} measured;

static measured measure(const eoc_probe *probe, const eoc_network *network)
{
    measured m;
    eoc_probe_rows rows = {.log_q = m.log_q,
                           .c = m.c,
                           .one_minus_c = m.one_minus_c,
                           .chi_1 = m.chi_1,
                           .kurtosis = m.kurtosis,
                           .log_gradient_q = m.log_gradient_q,
                           .gradient_c = m.gradient_c,
                           .log_weight_gradient_q = m.log_weight_gradient_q,
                           .log_jacobian_m1 = &m.m1,
                           .log_jacobian_m2 = &m.m2};
    static const int layers[DEPTH] = {1, 2, 3, 4};
    eoc_probe_workspace *workspace = NULL;
    /* Memory for more than the network needs, as in a sweep. */
    assert_int_equal(eoc_probe_workspace_create(probe, DEPTH + 3, WIDTH + 2, &workspace), EOC_OK);
    eoc_outcome outcome;
    assert_true(eoc_probe_run(probe, network, 1.0, layers, DEPTH, workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DONE);
    eoc_probe_workspace_destroy(&workspace);
    return m;
}

enum {
    EVERYTHING = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN | EOC_STATISTIC_FINITE_WIDTH
};

/* Of logarithms: -inf is what a dead network has. */
static bool same(double got, double wanted, double tolerance)
{
    return got == wanted || fabs(got - wanted) <= tolerance;
}

static void compare_with_plain(const plain_case *c, const char *activation, const char *initializer)
{
    const eoc_network law = network_of(c->spelling, activation, initializer, DEPTH, WIDTH);
    if (eoc_network_check(&law) != EOC_OK) {
        assert_true(c->form == 'r' && strcmp(activation, "crelu") == 0); /* what makes no sense, and nothing else */
        return;
    }
    const eoc_probe probe = probe_of(&law, "gaussian", INPUTS, EVERYTHING, "explicit");
    static plain_network p;
    write_out(&law, c, &probe, &p);
    const measured m = measure(&probe, &law);
    stream_values h;
    static double z[DEPTH + 1][INPUTS][WIDTH];
    plain_run(&p, -1, 0, 0, 0.0, h, z);
    char where[200];
    snprintf(where, sizeof where, "%s %s %s", c->spelling, activation, initializer);
    for (int l = 1; l <= DEPTH; l++) {
        double q = 0.0;
        for (int a = 0; a < INPUTS; a++) {
            for (int i = 0; i < WIDTH; i++) {
                q += z[l][a][i] * z[l][a][i] / (INPUTS * WIDTH);
            }
        }
        const double wanted[] = {log(q), log(gradient_q(&p, l)), log(weight_gradient_q(&p, l))};
        const double got[] = {m.log_q[l - 1], m.log_gradient_q[l - 1], m.log_weight_gradient_q[l - 1]};
        static const double tolerance[] = {1e-11, 1e-6, 1e-6};
        for (int k = 0; k < 3; k++) {
            if (!same(got[k], wanted[k], tolerance[k])) {
                fail_msg("%s: statistic %d of layer %d is %.12g, not %.12g", where, k, l, got[k], wanted[k]);
            }
        }
        assert_true(c->norm != 'b' || isnan(m.gradient_c[l - 1]));
        assert_true(isnan(m.chi_1[l - 1]) == (c->norm != 'n' && (c->form == 'f' || l > 1)));
    }
    double moments[2];
    jacobian(&p, &probe, moments);
    if (!same(m.m1, log(moments[0]), 1e-6) || !same(m.m2, log(moments[1]), 1e-6)) {
        fail_msg("%s: m1 %.12g, not %.12g; m2 %.12g, not %.12g", where, m.m1, log(moments[0]), m.m2, log(moments[1]));
    }
}

/* Statistics, gradients by z and W, tangents and cotangents of every combination: to the error of a difference. */
static void every_combination(void **state)
{
    (void)state;
    static const char *const with[][2] = {
        {"tanh", "gaussian"},      {"relu", "orthogonal"},  {"gelu", "he_normal"},  {"crelu", "gaussian"},
        {"crelu", "looks_linear"}, {"crelu", "orthogonal"}, {"sigmoid", "uniform"}, {"crelu", "looks_linear_gaussian"}};
    for (int i = 0; i < NUM_CASES; i++) {
        for (size_t k = 0; k < sizeof with / sizeof with[0]; k++) {
            compare_with_plain(&cases[i], with[k][0], with[k][1]);
        }
    }
}

/* -- laws -- */

/* Rows of a network of any depth, every layer kept. */
typedef struct {
    double *log_q, *log_gradient_q, *singular;
    double m1, m2;
} long_rows;

static void run_long(const eoc_network *network, const eoc_probe *probe, double variance, long_rows *out)
{
    int *const layers = malloc(sizeof *layers * (size_t)network->depth);
    for (int l = 0; l < network->depth; l++) {
        layers[l] = l + 1;
    }
    eoc_probe_workspace *workspace = NULL;
    assert_int_equal(eoc_probe_workspace_create(probe, network->depth, network->width, &workspace), EOC_OK);
    eoc_probe_rows rows = {.log_q = out->log_q,
                           .log_gradient_q = out->log_gradient_q,
                           .log_singular_values = out->singular,
                           .log_jacobian_m1 = &out->m1,
                           .log_jacobian_m2 = &out->m2};
    eoc_outcome outcome;
    assert_true(eoc_probe_run(probe, network, variance, layers, network->depth, workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DONE);
    eoc_probe_workspace_destroy(&workspace);
    free(layers);
}

/* Balduzzi et al. 2017: at initialisation such a network is an orthogonal matrix, of every input and at any depth. */
static void looks_linear_is_an_isometry(void **state)
{
    (void)state;
    enum { N = 48 };
    static const int depths[] = {1, 10, 200};
    static const char *const samplers[] = {"explicit", "implicit"}, *const architectures[] = {
                                                                        "fully_connected",
                                                                        "fully_connected(match_parameters=yes)"};
    for (int d = 0; d < 3; d++) {
        for (int k = 0; k < 4; k++) {
            eoc_network network = network_of(architectures[k % 2], "crelu", "looks_linear", depths[d], N);
            network.width = eoc_network_width(&network.architecture, &network.activation, N);
            assert_int_equal(network.width, k % 2 ? 34 : 48); /* 48/sqrt(2) = 33.94 */
            network.weight_variance = 1.0;
            network.bias_variance = 0.0;
            network.key.word[0] = (uint32_t)(100 * d + k);
            const bool spectrum = k < 2;
            const unsigned all = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN;
            const eoc_probe probe = probe_of(&network, "pair", 0, all | (spectrum ? EOC_STATISTIC_SPECTRUM : 0U),
                                             samplers[spectrum ? 0 : 1]);
            double log_q[200], log_gradient_q[200], singular[N];
            long_rows rows = {.log_q = log_q, .log_gradient_q = log_gradient_q, .singular = spectrum ? singular : NULL};
            run_long(&network, &probe, k < 2 ? 1.0 : 1e-30, &rows);
            for (int i = 0; i < network.width && spectrum; i++) {
                CHECK_NEAR(singular[i], 0.0, 1e-12);
            }
            CHECK_NEAR(rows.m1, 0.0, 1e-12);
            CHECK_NEAR(rows.m2, 0.0, 1e-12);
            for (int l = 1; l < depths[d]; l++) {
                CHECK_NEAR(log_q[l], log_q[0], 1e-12);
                CHECK_NEAR(log_gradient_q[l], log_gradient_q[0], 1e-12);
            }
        }
    }
}

/* Weight variance s scales the singular values by s^(L/2), gaussian W' spreads them: it is the law that does it. */
static void looks_linear_gaussian_is_a_linear_network(void **state)
{
    (void)state;
    enum { N = 24, L = 12 };
    eoc_network network = network_of("fully_connected", "crelu", "looks_linear_gaussian", L, N);
    network.bias_variance = 0.0;
    const unsigned all = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN;
    eoc_probe probe = probe_of(&network, "pair", 0, all | EOC_STATISTIC_SPECTRUM, "explicit");
    double log_q[2][L], log_gradient_q[2][L], singular[2][N];
    long_rows rows[2];
    for (int k = 0; k < 2; k++) {
        /* The linear network of the same W'. */
        if (k == 1) {
            network = network_of("fully_connected", "linear", "gaussian", L, N);
            network.bias_variance = 0.0;
            probe.needs = network.architecture.kind->needs(&network);
        }
        rows[k] = (long_rows){.log_q = log_q[k], .log_gradient_q = log_gradient_q[k], .singular = singular[k]};
        run_long(&network, &probe, 1.0, &rows[k]);
    }
    for (int i = 0; i < N; i++) {
        CHECK_NEAR(singular[0][i], singular[1][i], 1e-10);
    }
    for (int l = 0; l < L; l++) {
        CHECK_NEAR(log_q[0][l], log_q[1][l], 1e-12);
    }
    CHECK_NEAR(rows[0].m1, rows[1].m1, 1e-12);
    CHECK_NEAR(rows[0].m2, rows[1].m2, 1e-12);
}

/* The singular values of residual networks, against the moments that random vectors see: tr (J^t J)^k as sums. */
static void spectra_have_the_moments(void **state)
{
    (void)state;
    enum { N = 10, L = 7, PROBES = 64, KEYS = 60 };
    static const char *const architectures[] = {"residual(branch=0.7, keep=0.8)", "residual(form=reduced)",
                                                "residual(form=full, normalization=layer)",
                                                "fully_connected(normalization=layer)"};
    for (int k = 0; k < 4; k++) {
        double sum = 0.0, square = 0.0;
        for (int key = 0; key < KEYS; key++) {
            eoc_network network = network_of(architectures[k], k == 1 ? "relu" : "crelu", "gaussian", L, N);
            network.key.word[0] = (uint32_t)key;
            eoc_probe probe =
                probe_of(&network, "pair", 0, EOC_STATISTIC_JACOBIAN | EOC_STATISTIC_SPECTRUM, "explicit");
            probe.jacobian_probes = PROBES;
            double singular[N], exact = 0.0;
            long_rows rows = {.singular = singular};
            run_long(&network, &probe, 1.0, &rows);
            for (int i = 0; i < N; i++) {
                exact += exp(2.0 * singular[i]) / N;
            }
            const double relative = exp(rows.m1) / exact - 1.0;
            sum += relative / KEYS;
            square += relative * relative / KEYS;
        }
        /* An unbiased estimate: its mean error vanishes within three standard errors, and it is not far in any. */
        CHECK_NEAR(sum, 0.0, 3.0 * sqrt((square - sum * sum) / (KEYS - 1)));
        assert_true(square < 0.1);
    }
}

/* skip and branch times s is h^l times s^(l-1), far beyond the range of doubles; weights and skip likewise. */
static void scales_are_carried(void **state)
{
    (void)state;
    enum { N = 12, L = 60 };
    static const struct {
        const char *spelling;
        double weight_variance, per_layer, first; /* factors of h^l beside h^(l-1), and of h^1 */
    } scaled[] = {{"residual(skip=100000, branch=100000)", 1.0, 1e5, 1.0},
                  {"residual(skip=0.00001, branch=0.00001)", 1.0, 1e-5, 1.0},
                  {"residual(skip=0.00001, branch=1)", 1e-10, 1e-5, 1e-5},
                  {"residual(skip=0.000001, branch=1000000)", 1e-24, 1e-6, 1e-12},
                  {"residual(form=reduced, skip=100000, branch=100000)", 1.0, 1e5, 1.0},
                  {"residual(form=full, skip=0.00001, branch=0.00001)", 1.0, 1e-5, 1.0}};
    static const char *const activations[] = {"relu", "linear"}, *const samplers[] = {"explicit", "implicit"};
    for (size_t k = 0; k < 4 * sizeof scaled / sizeof scaled[0]; k++) {
        const char *spelling = scaled[k / 4].spelling;
        const char *plain = strstr(spelling, "reduced") ? "residual(form=reduced)"
                            : strstr(spelling, "full")  ? "residual(form=full)"
                                                        : "residual";
        double log_q[2][L], log_gradient_q[2][L];
        long_rows rows[2];
        for (int which = 0; which < 2; which++) {
            eoc_network network = network_of(which ? spelling : plain, activations[k % 2], "orthogonal", L, N);
            network.bias_variance = 0.0;
            network.weight_variance = which ? scaled[k / 4].weight_variance : 1.0;
            const eoc_probe probe =
                probe_of(&network, "pair", 0, EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN,
                         samplers[k / 2 % 2]);
            rows[which] = (long_rows){.log_q = log_q[which], .log_gradient_q = log_gradient_q[which]};
            run_long(&network, &probe, 1.0, &rows[which]);
        }
        const double a = log(scaled[k / 4].per_layer), b = log(scaled[k / 4].first);
        for (int l = 1; l <= L; l++) {
            CHECK_NEAR(log_q[1][l - 1], log_q[0][l - 1] + 2.0 * (b + (l - 1) * a), 1e-8);
            CHECK_NEAR(log_gradient_q[1][l - 1], log_gradient_q[0][l - 1] + 2.0 * (L - l) * a, 1e-8);
        }
        CHECK_NEAR(rows[1].m1, rows[0].m1 + 2.0 * (b + (L - 1) * a), 1e-8);
        /* Cotangents of nearly collinear tangents see directions that implicit weights have from their last digits. */
        CHECK_NEAR(rows[1].m2, rows[0].m2 + 4.0 * (b + (L - 1) * a), k / 2 % 2 ? 0.5 : 1e-8);
    }
}

/* A normalization forgets the scale of what it sees (epsilon = 0); beside a large epsilon it only divides. */
static void normalization_and_scales(void **state)
{
    (void)state;
    enum { N = 9, L = 40, B = 5 };
    static const char *const architectures[] = {
        "fully_connected(normalization=batch, epsilon=0)", "fully_connected(normalization=layer, epsilon=0)",
        "residual(normalization=batch, epsilon=0)", "residual(form=full, normalization=layer, epsilon=0)"};
    for (int k = 0; k < 4; k++) {
        double log_q[2][L], log_gradient_q[2][L];
        long_rows rows[2];
        for (int which = 0; which < 2; which++) {
            eoc_network network = network_of(architectures[k], "tanh", "gaussian", L, N);
            network.bias_variance = 0.0;
            const eoc_probe probe =
                probe_of(&network, "gaussian", B,
                         EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN, "implicit");
            rows[which] = (long_rows){.log_q = log_q[which], .log_gradient_q = log_gradient_q[which]};
            /* Inputs at 2^-400: those of the fully connected network are forgotten at once. */
            run_long(&network, &probe, which && k < 2 ? ldexp(1.0, -800) : 1.0, &rows[which]);
        }
        for (int l = 2; l <= L; l++) {
            CHECK_NEAR(log_q[1][l - 1], log_q[0][l - 1], 1e-9);
            CHECK_NEAR(log_gradient_q[1][l - 1], log_gradient_q[0][l - 1], 1e-9);
        }
        CHECK_NEAR(rows[1].m1, rows[0].m1 + (k < 2 ? 800.0 * log(2.0) : 0.0), 1e-8);
        CHECK_NEAR(rows[1].m2, rows[0].m2 + (k < 2 ? 1600.0 * log(2.0) : 0.0), 1e-8);
    }
    /* Layer normalization with epsilon 10^4 of a linear network: every layer divides by 100 and removes the mean. */
    eoc_network network =
        network_of("fully_connected(normalization=layer, epsilon=10000)", "linear", "orthogonal", 400, N);
    network.bias_variance = 0.0;
    network.weight_variance = 1.0;
    const eoc_probe probe = probe_of(
        &network, "single", 0, EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN, "explicit");
    static double log_q[400], log_gradient_q[400];
    long_rows rows = {.log_q = log_q, .log_gradient_q = log_gradient_q};
    run_long(&network, &probe, 1.0, &rows);
    /* z^l = W x with the mean removed loses (1 - 1/N) of its square on the way: by -log(10^4) + log(8/9), on average */
    double mean = (log_q[399] - log_q[1]) / 398.0;
    CHECK_NEAR(mean, -log(1e4) + log(8.0 / 9.0), 0.05);
    mean = (log_gradient_q[0] - log_gradient_q[398]) / 398.0;
    CHECK_NEAR(mean, -log(1e4) + log(8.0 / 9.0), 0.05);
}

/* Mean and standard error of q^L/q^1 and the like over networks. */
typedef struct {
    double sum, square;
    int count;
} average;

static void add(average *a, double value)
{
    a->sum += value;
    a->square += value * value;
    a->count++;
}

static double mean_of(const average *a)
{
    return a->sum / a->count;
}

static double error_of(const average *a)
{
    return sqrt((a->square / a->count - mean_of(a) * mean_of(a)) / (a->count - 1));
}

/*
 * q^L = q^1 (1 + branch^2 sigma_w^2/2)^(L-1) in expectation (Yang & Schoenholz 2017): half of z^2 passes phi, and W is
 * independent of it. At finite width z is not quite as often positive, and the law holds to O(L/N), here 1e-3.
 */
static void relu_residual_growth(void **state)
{
    (void)state;
    enum { N = 1200, L = 12, NETWORKS = 400 };
    static const char *const samplers[] = {"implicit", "explicit"};
    for (int k = 0; k < 2; k++) {
        eoc_network network = network_of("residual(branch=0.6)", "relu", "gaussian", L, N);
        network.bias_variance = 0.0;
        network.weight_variance = 1.7;
        const eoc_probe probe = probe_of(&network, "single", 0, EOC_STATISTIC_FORWARD, samplers[k]);
        average ratio = {0};
        for (int i = 0; i < NETWORKS / (k ? 8 : 1); i++) {
            network.key = (eoc_key){{31, (uint32_t)i}};
            double log_q[L];
            long_rows rows = {.log_q = log_q};
            run_long(&network, &probe, 1.0, &rows);
            add(&ratio, exp(log_q[L - 1] - log_q[0]));
        }
        const double exact = pow(1.0 + 0.36 * 1.7 / 2.0, L - 1);
        print_message("relu residual, %s: %.4f +- %.4f, exact %.4f\n", samplers[k], mean_of(&ratio), error_of(&ratio),
                      exact);
        assert_true(error_of(&ratio) < 0.04 * exact);
        CHECK_NEAR(mean_of(&ratio), exact, 3.0 * error_of(&ratio));
    }
}

/*
 * Growth of gradients a layer under batch normalization, Yang et al. 2019: (B-2)/(B-3) where phi is linear, pi/(pi-1)
 * where it is relu and B is large. (mean of g^2 at l = 2/that at l = L-1)^(1/(L-3)).
 */
static void batch_normalization_growth(void **state)
{
    (void)state;
    enum { N = 1000, L = 8 };
    static const struct {
        const char *activation;
        int points, networks;
        double exact; /* NaN: of the limit of large B alone */
    } at[] = {
        {"linear", 8, 600, 6.0 / 5.0}, {"linear", 32, 200, 30.0 / 29.0}, {"relu", 64, 40, NAN}, {"relu", 256, 8, NAN}};
    double growths[4], errors[4];
    for (int k = 0; k < 4; k++) {
        eoc_network network =
            network_of("fully_connected(normalization=batch, epsilon=0)", at[k].activation, "gaussian", L, N);
        network.bias_variance = 0.0;
        const eoc_probe probe = probe_of(&network, "gaussian", at[k].points, EOC_STATISTIC_GRADIENT, "implicit");
        average first = {0}, last = {0}, product = {0};
        for (int i = 0; i < at[k].networks; i++) {
            network.key = (eoc_key){{41, (uint32_t)(1000 * k + i)}};
            double log_gradient_q[L], log_q[L];
            long_rows rows = {.log_q = log_q, .log_gradient_q = log_gradient_q};
            run_long(&network, &probe, 1.0, &rows);
            add(&first, exp(log_gradient_q[1]));
            add(&last, exp(log_gradient_q[L - 2]));
            add(&product, exp(log_gradient_q[1] + log_gradient_q[L - 2]));
        }
        const double growth = pow(mean_of(&first) / mean_of(&last), 1.0 / (L - 3));
        /* of a ratio of means, by their covariance */
        const double covariance = (mean_of(&product) - mean_of(&first) * mean_of(&last)) /
                                  (mean_of(&first) * mean_of(&last)) / (at[k].networks - 1);
        const double relative2 = pow(error_of(&first) / mean_of(&first), 2.0) +
                                 pow(error_of(&last) / mean_of(&last), 2.0) - 2.0 * covariance;
        const double error = growth * sqrt(relative2) / (L - 3);
        print_message("batch normalization, %s, B = %d: growth %.5f +- %.5f, exact %.5f\n", at[k].activation,
                      at[k].points, growth, error, at[k].exact);
        assert_true(error < 0.004);
        if (!isnan(at[k].exact)) {
            CHECK_NEAR(growth, at[k].exact, 3.0 * error);
        }
        growths[k] = growth;
        errors[k] = error;
    }
    /* The limit from two B, less what goes as 1/B; c/B^2 leaves -6e-5 c. */
    const double limit = (4.0 * growths[3] - growths[2]) / 3.0, pi = 3.14159265358979;
    const double error = sqrt(16.0 * errors[3] * errors[3] + errors[2] * errors[2]) / 3.0;
    print_message("batch normalization, relu, B to infinity: %.5f +- %.5f, theory %.5f\n", limit, error,
                  pi / (pi - 1.0));
    CHECK_NEAR(limit, pi / (pi - 1.0), 3.0 * error);
    assert_true(growths[2] > limit); /* larger at small B */
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination),
        cmocka_unit_test(looks_linear_is_an_isometry),
        cmocka_unit_test(looks_linear_gaussian_is_a_linear_network),
        cmocka_unit_test(spectra_have_the_moments),
        cmocka_unit_test(scales_are_carried),
        cmocka_unit_test(normalization_and_scales),
        cmocka_unit_test(relu_residual_growth),
        cmocka_unit_test(batch_normalization_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
