/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Convolutional networks against a plain reference: their formula in loops over positions, taps and channels, every
 * derivative a central difference of it; statistics over space by their definitions.
 */
#include "check.h"
#include "networks.h"

#include "eoc/linalg.h"
#include "eoc/product_svd.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 3, MOST_INPUTS = 4, MOST_POSITIONS = 9, MOST_TAPS = 9, MOST_WIDTH = 7, MOST_FEATURES = 2 * MOST_WIDTH };

/* The formulas' own words, beside the spelling that the program reads. */
typedef struct {
    const char *spelling;
    int dimensions, side, kernel;
    bool circular;
    char form; /* f: plain; p, r, t: pre-activation, reduced, two matrices */
    char norm; /* n, b, l */
    int inputs, width;
    double skip, branch, keep;
    double gamma, beta, epsilon;
} plain_case;

#define NO_NORM 1.0, 0.0, 1e-5

static const plain_case cases[] = {
    {"convolutional(side=3)", 2, 3, 3, true, 'f', 'n', 2, 3, 0, 1, 1, NO_NORM},
    {"convolutional(side=3, padding=zero)", 2, 3, 3, false, 'f', 'n', 2, 3, 0, 1, 1, NO_NORM},
    {"convolutional(side=3)", 2, 3, 3, true, 'f', 'n', 2, 7, 0, 1, 1, NO_NORM}, /* J in more than one piece */
    {"convolutional(side=3, kernel=1)", 2, 3, 1, true, 'f', 'n', 2, 3, 0, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=5, kernel=3)", 1, 5, 3, true, 'f', 'n', 2, 3, 0, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=5, kernel=5, padding=zero)", 1, 5, 5, false, 'f', 'n', 2, 2, 0, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=3, kernel=3)", 1, 3, 3, true, 'f', 'n', 2, 7, 0, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=3, padding=zero)", 1, 3, 3, false, 'f', 'n', 2, 7, 0, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=3, keep=0.7)", 1, 3, 3, true, 'f', 'n', 2, 4, 0, 1, 0.7, NO_NORM},
    {"convolutional(side=3, normalization=batch)", 2, 3, 3, true, 'f', 'b', 4, 2, 0, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=4, padding=zero, normalization=batch, gamma=0.8, beta=0.3, epsilon=0.4)", 1, 4,
     3, false, 'f', 'b', 4, 2, 0, 1, 1, 0.8, 0.3, 0.4},
    {"convolutional(side=3, normalization=layer)", 2, 3, 3, true, 'f', 'l', 2, 4, 0, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=5, form=pre_activation)", 1, 5, 3, true, 'p', 'n', 2, 3, 1, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=3, form=pre_activation, padding=zero, skip=-0.7, branch=0.9, keep=0.6)", 1, 3, 3,
     false, 'p', 'n', 2, 7, -0.7, 0.9, 0.6, NO_NORM},
    {"convolutional(side=3, form=pre_activation, normalization=batch, branch=0.3)", 2, 3, 3, true, 'p', 'b', 4, 2, 1,
     0.3, 1, NO_NORM},
    {"convolutional(dimensions=1, side=5, form=reduced, branch=0.5)", 1, 5, 3, true, 'r', 'n', 2, 3, 1, 0.5, 1,
     NO_NORM},
    {"convolutional(dimensions=1, side=3, form=reduced, normalization=layer)", 1, 3, 3, true, 'r', 'l', 2, 7, 1, 1, 1,
     NO_NORM},
    {"convolutional(side=3, form=full, padding=zero)", 2, 3, 3, false, 't', 'n', 2, 2, 1, 1, 1, NO_NORM},
    {"convolutional(dimensions=1, side=3, form=full, normalization=batch, keep=0.8)", 1, 3, 3, true, 't', 'b', 4, 3, 1,
     1, 0.8, NO_NORM},
};
enum { NUM_CASES = sizeof cases / sizeof cases[0] };

typedef struct {
    double w[MOST_WIDTH][MOST_TAPS][MOST_FEATURES], b[MOST_WIDTH];
    int channels;
} plain_kernel;

typedef double plain_batch[MOST_INPUTS][MOST_POSITIONS][MOST_FEATURES];

typedef struct {
    eoc_network law;
    const plain_case *c;
    int positions, taps, features;
    plain_kernel first[DEPTH + 1], second[DEPTH + 1];
    plain_batch mask[DEPTH + 1]; /* 1/keep, or 0 */
    plain_batch v, x;
} plain_network;

static int power(int base, int exponent)
{
    return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

static eoc_network network_of_case(const plain_case *c, const char *activation, const char *initializer)
{
    return network_of(c->spelling, activation, initializer, DEPTH, c->width);
}

/* -- the plain reference -- */

/* Offset of a tap from the centre, between rows or along the line, and within a row. */
static void offset_of(const plain_case *c, int tap, int offset[2])
{
    offset[0] = (c->dimensions == 2 ? tap / c->kernel : tap) - c->kernel / 2;
    offset[1] = c->dimensions == 2 ? tap % c->kernel - c->kernel / 2 : 0;
}

/* -1 beyond the edge */
static int seen_from(const plain_case *c, int p, int tap)
{
    int offset[2];
    offset_of(c, tap, offset);
    int row = (c->dimensions == 2 ? p / c->side : p) + offset[0],
        column = (c->dimensions == 2 ? p % c->side : 0) + offset[1];
    const bool inside = row >= 0 && row < c->side && column >= 0 && column < c->side;
    if (!inside && !c->circular) {
        return -1;
    }
    row = (row + c->side) % c->side;
    column = (column + c->side) % c->side;
    return c->dimensions == 2 ? row * c->side + column : row;
}

/* sqrt(share of a tap times taps): of gaussian_taps(tap_0=2, tap_1=0.5), by its definition; 1 of the others */
static double factor_of(const plain_case *c, const eoc_network *law, int tap)
{
    if (strcmp(law->initializer.kind->name, "gaussian_taps") != 0) {
        return 1.0;
    }
    const double *const v = law->initializer.parameters;
    double total = 0.0, own = 0.0;
    for (int t = 0; t < power(c->kernel, c->dimensions); t++) {
        int offset[2];
        offset_of(c, t, offset);
        const double variance = v[abs(offset[0])] * (c->dimensions == 2 ? v[abs(offset[1])] : 1.0);
        total += variance;
        own = t == tap ? variance : own;
    }
    return sqrt(own / total * power(c->kernel, c->dimensions));
}

static void write_out_kernel(const plain_network *p, int l, int tensor, uint32_t bias, bool of_features,
                             plain_kernel *k)
{
    const eoc_network *law = &p->law;
    const char *name = law->initializer.kind->name;
    const int width = p->c->width, taps = p->taps;
    const bool twice = of_features && eoc_activation_features(&law->activation) == 2;
    const bool mirrored = twice && strncmp(name, "looks_linear", 12) == 0;
    /* What a random orthogonal kernel is, other tests tell. */
    const bool given = strcmp(name, "orthogonal_kernel") == 0;
    const bool centre = strcmp(name, "looks_linear") == 0 || strcmp(name, "delta_orthogonal") == 0;
    const int drawn_channels = twice && !mirrored ? 2 * width : width, drawn_taps = centre || given ? 1 : taps;
    eoc_weights *weights = NULL;
    assert_int_equal(eoc_weights_create(MOST_TAPS * MOST_FEATURES, 0, &weights), EOC_OK);
    const eoc_matrix matrix = {.initializer = law->initializer,
                               .weight_variance = law->weight_variance,
                               .key = law->key,
                               .layer = (uint32_t)l,
                               .tensor = (uint32_t)tensor,
                               .fan_out = width,
                               .fan_in = drawn_taps * drawn_channels,
                               .taps = drawn_taps};
    static double drawn[MOST_WIDTH * MOST_TAPS * MOST_FEATURES], stored[MOST_WIDTH * MOST_TAPS * MOST_FEATURES];
    assert_int_equal(eoc_network_draw(law, &matrix, weights, stored), EOC_OK);
    assert_int_equal(eoc_weights_draw(weights, &matrix, drawn), EOC_OK);
    if (given) {
        memcpy(drawn, stored, sizeof drawn);
    }
    k->channels = twice ? 2 * width : width;
    for (int i = 0; i < width; i++) {
        for (int t = 0; t < taps; t++) {
            for (int j = 0; j < drawn_channels; j++) {
                const double value = !centre         ? drawn[(i * taps + t) * drawn_channels + j]
                                     : t == taps / 2 ? drawn[i * drawn_channels + j]
                                                     : 0.0;
                k->w[i][t][j] = value * factor_of(p->c, law, t);
                CHECK_NEAR(stored[(i * taps + t) * drawn_channels + j], k->w[i][t][j], 1e-15);
                if (mirrored) {
                    k->w[i][t][width + j] = -k->w[i][t][j];
                }
            }
        }
    }
    const eoc_stream stream = {law->key, (uint32_t)l, EOC_TENSOR_BIAS, bias};
    eoc_rng_normals_scaled(&stream, 0, sqrt(law->bias_variance), k->b, (size_t)width);
    eoc_weights_destroy(&weights);
}

/* (positions, width) of a long vector */
static void deal_out(const double *from, int positions, int width, double (*to)[MOST_FEATURES])
{
    for (int q = 0; q < positions; q++) {
        memcpy(to[q], from + q * width, sizeof(double) * (size_t)width);
    }
}

static void write_out(const eoc_network *law, const plain_case *c, const eoc_probe *probe, plain_network *p)
{
    *p = (plain_network){.law = *law, .c = c};
    p->positions = power(c->side, c->dimensions);
    p->taps = power(c->kernel, c->dimensions);
    p->features = eoc_activation_features(&law->activation) * c->width;
    const int top = c->form == 'f' ? p->features : c->width;
    for (int l = 1; l <= DEPTH; l++) {
        const bool of_features = l > 1 && (c->form == 'f' || c->form == 'p');
        write_out_kernel(p, l, EOC_TENSOR_WEIGHT, 0, of_features, &p->first[l]);
        write_out_kernel(p, l, EOC_TENSOR_WEIGHT + 1, 1, true, &p->second[l]);
        for (int a = 0; a < c->inputs; a++) {
            for (int q = 0; q < p->positions; q++) {
                float u[MOST_FEATURES];
                const eoc_stream stream = {law->key, (uint32_t)l, EOC_TENSOR_MASK, (uint32_t)(a * p->positions + q)};
                eoc_rng_uniforms_float(&stream, u, (size_t)p->features);
                for (int i = 0; i < p->features; i++) {
                    p->mask[l][a][q][i] = 0.5 * (1.0 + (double)u[i]) < c->keep ? 1.0 / c->keep : 0.0;
                }
            }
        }
    }
    double values[MOST_INPUTS * MOST_POSITIONS * MOST_FEATURES];
    for (int a = 0; a < c->inputs; a++) {
        const eoc_stream readout = {law->key, 0, EOC_TENSOR_READOUT, c->norm == 'b' ? (uint32_t)a : 0};
        eoc_rng_normals(&readout, values, (size_t)(p->positions * top));
        deal_out(values, p->positions, top, p->v[a]);
    }
    probe->inputs.kind->fill(&probe->inputs, law->key, p->positions * c->width, probe->inputs.variance, values);
    for (int a = 0; a < c->inputs; a++) {
        deal_out(values + a * p->positions * c->width, p->positions, c->width, p->x[a]);
    }
}

static void convolve(const plain_network *p, const plain_kernel *k, plain_batch h, plain_batch z)
{
    for (int a = 0; a < p->c->inputs; a++) {
        for (int q = 0; q < p->positions; q++) {
            for (int i = 0; i < p->c->width; i++) {
                z[a][q][i] = k->b[i];
                for (int t = 0; t < p->taps; t++) {
                    const int from = seen_from(p->c, q, t);
                    for (int j = 0; j < k->channels && from >= 0; j++) {
                        z[a][q][i] += k->w[i][t][j] * h[a][from][j];
                    }
                }
            }
        }
    }
}

/* Over all inputs and positions of a channel, or over the channels at a position of an input. */
static void normalize(const plain_network *p, plain_batch u)
{
    const plain_case *c = p->c;
    const int rows = c->inputs * p->positions;
    const int groups = c->norm == 'b'   ? c->width
                       : c->norm == 'l' ? rows
                                        : 0,
              members = c->norm == 'b' ? rows : c->width;
    for (int g = 0; g < groups; g++) {
        double mean = 0.0, variance = 0.0;
        for (int pass = 0; pass < 3; pass++) {
            for (int m = 0; m < members; m++) {
                const int row = c->norm == 'b' ? m : g, channel = c->norm == 'b' ? g : m;
                double *const place = &u[row / p->positions][row % p->positions][channel];
                mean += pass == 0 ? *place / members : 0.0;
                variance += pass == 1 ? pow(*place - mean, 2.0) / members : 0.0;
                if (pass == 2) {
                    *place = c->gamma * (*place - mean) / sqrt(variance + c->epsilon) + c->beta;
                }
            }
        }
    }
}

static void features_of(const plain_network *p, int l, plain_batch u, plain_batch f)
{
    const int width = p->c->width;
    normalize(p, u);
    for (int a = 0; a < p->c->inputs; a++) {
        for (int q = 0; q < p->positions; q++) {
            for (int i = 0; i < p->features; i++) {
                const double z = i < width ? u[a][q][i] : -u[a][q][i - width];
                f[a][q][i] = eoc_activation_phi(&p->law.activation, z) * p->mask[l][a][q][i];
            }
        }
    }
}

/* One value of z^l, and by how much it is shifted. */
typedef struct {
    int layer, input, position, unit;
    double by;
} plain_shift;

static void plain_layer(const plain_network *p, int l, plain_batch h, plain_batch z, const plain_shift *s)
{
    const plain_case *c = p->c;
    plain_batch u, f;
    double *const shifted = s->layer == l ? &z[s->input][s->position][s->unit] : NULL;
    const bool lift = c->form != 'f' && l == 1;
    if (c->form == 'f' || lift) {
        convolve(p, &p->first[l], h, z);
        *(shifted ? shifted : &(double){0.0}) += s->by;
        memcpy(u, z, sizeof u);
        if (lift) {
            memcpy(h, z, sizeof u);
        } else {
            features_of(p, l, u, h);
        }
        return;
    }
    if (c->form == 'p') {
        memcpy(u, h, sizeof u);
    } else {
        convolve(p, &p->first[l], h, u);
    }
    features_of(p, l, u, f);
    if (c->form != 'r') {
        convolve(p, c->form == 'p' ? &p->first[l] : &p->second[l], f, u);
        memcpy(f, u, sizeof f);
    }
    for (int a = 0; a < c->inputs; a++) {
        for (int q = 0; q < p->positions; q++) {
            for (int i = 0; i < c->width; i++) {
                z[a][q][i] = c->skip * h[a][q][i] + c->branch * f[a][q][i];
            }
        }
    }
    *(shifted ? shifted : &(double){0.0}) += s->by;
    memcpy(h, z, sizeof u);
}

/* h^L, and z of every layer where wanted */
static void plain_run(const plain_network *p, plain_shift s, plain_batch h, plain_batch *z)
{
    plain_batch own;
    memset(own, 0, sizeof own);
    memcpy(h, p->x, sizeof own);
    if (s.layer == 0) {
        h[s.input][s.position][s.unit] += s.by;
    }
    for (int l = 1; l <= DEPTH; l++) {
        plain_layer(p, l, h, z ? z[l] : own, &s);
    }
}

static const plain_shift NOWHERE = {.layer = -1};

static int top_width(const plain_network *p)
{
    return p->c->form == 'f' ? p->features : p->c->width;
}

static double energy_of(const plain_network *p, int a, plain_batch h)
{
    double e = 0.0;
    for (int q = 0; q < p->positions; q++) {
        for (int i = 0; i < top_width(p); i++) {
            e += p->v[a][q][i] * h[a][q][i];
        }
    }
    return e;
}

static double energy(const plain_network *p, plain_batch h)
{
    double e = 0.0;
    for (int a = 0; a < p->c->inputs; a++) {
        e += energy_of(p, a, h);
    }
    return e;
}

static const double STEP = 1e-5; /* of central differences: error 1e-10 f''' + 1e-11 f */

static void gradients(const plain_network *p, int l, plain_batch g)
{
    static plain_batch up, down;
    for (int a = 0; a < p->c->inputs; a++) {
        for (int q = 0; q < p->positions; q++) {
            for (int i = 0; i < p->c->width; i++) {
                plain_run(p, (plain_shift){l, a, q, i, STEP}, up, NULL);
                plain_run(p, (plain_shift){l, a, q, i, -STEP}, down, NULL);
                g[a][q][i] = (energy(p, up) - energy(p, down)) / (2.0 * STEP);
            }
        }
    }
}

/* of all taps, be their weights zero */
static double weight_gradient_q(plain_network *p, int l)
{
    static plain_batch up, down;
    double sum = 0.0;
    plain_kernel *const k = &p->first[l];
    for (int i = 0; i < p->c->width; i++) {
        for (int t = 0; t < p->taps; t++) {
            for (int j = 0; j < k->channels; j++) {
                const double w = k->w[i][t][j];
                k->w[i][t][j] = w + STEP;
                plain_run(p, NOWHERE, up, NULL);
                k->w[i][t][j] = w - STEP;
                plain_run(p, NOWHERE, down, NULL);
                k->w[i][t][j] = w;
                sum += pow((energy(p, up) - energy(p, down)) / (2.0 * STEP), 2.0);
            }
        }
    }
    return sum / (p->c->width * p->taps * k->channels);
}

static double dot(const plain_network *p, double (*x)[MOST_FEATURES], double (*y)[MOST_FEATURES])
{
    double sum = 0.0;
    for (int q = 0; q < p->positions; q++) {
        for (int i = 0; i < p->c->width; i++) {
            sum += x[q][i] * y[q][i];
        }
    }
    return sum;
}

static double cosine(const plain_network *p, double (*x)[MOST_FEATURES], double (*y)[MOST_FEATURES])
{
    return dot(p, x, y) / sqrt(dot(p, x, x) * dot(p, y, y));
}

enum { MOST_OUT = MOST_INPUTS * MOST_POSITIONS * MOST_FEATURES };

/* J of input 0, or of the whole batch where it is coupled: rows and columns by input, position and channel. */
static void jacobian(const plain_network *p, double (*j)[MOST_OUT], int *in, int *out)
{
    static plain_batch up, down;
    const int batch = p->c->norm == 'b' ? p->c->inputs : 1, width = p->c->width, top = top_width(p);
    *in = batch * p->positions * width;
    *out = batch * p->positions * top;
    for (int k = 0; k < *in; k++) {
        const int a = k / (p->positions * width), q = k / width % p->positions;
        plain_run(p, (plain_shift){0, a, q, k % width, STEP}, up, NULL);
        plain_run(p, (plain_shift){0, a, q, k % width, -STEP}, down, NULL);
        for (int i = 0; i < *out; i++) {
            const int b = i / (p->positions * top), r = i / top % p->positions;
            j[i][k] = (up[b][r][i % top] - down[b][r][i % top]) / (2.0 * STEP);
        }
    }
}

/* The mean |J u|^2 and |J^t J u|^2 over the probe's u, and sums of J's singular values to the powers 2 and 4. */
static void moments(const plain_network *p, const eoc_probe *probe, double m[2], double exact[2])
{
    static double j[MOST_OUT][MOST_OUT], square[MOST_OUT][MOST_OUT];
    int in = 0, out = 0;
    jacobian(p, j, &in, &out);
    m[0] = m[1] = exact[0] = exact[1] = 0.0;
    const int parts = p->c->norm == 'b' ? p->c->inputs : 1, part = in / parts;
    for (int a = 0; a < in; a++) {
        for (int b = 0; b < in; b++) {
            square[a][b] = 0.0;
            for (int i = 0; i < out; i++) {
                square[a][b] += j[i][a] * j[i][b];
            }
            exact[0] += a == b ? square[a][b] : 0.0;
            exact[1] += square[a][b] * square[a][b];
        }
    }
    for (int s = 0; s < probe->jacobian_probes; s++) {
        double u[MOST_OUT], norm2 = 0.0;
        for (int a = 0; a < parts; a++) {
            const eoc_stream stream = {p->law.key, 0, EOC_TENSOR_TANGENT, (uint32_t)(s * parts + a)};
            eoc_rng_normals(&stream, u + a * part, (size_t)part);
        }
        for (int k = 0; k < in; k++) {
            norm2 += u[k] * u[k];
        }
        for (int a = 0; a < in; a++) {
            double jtju = 0.0;
            for (int b = 0; b < in; b++) {
                jtju += square[a][b] * u[b];
            }
            m[0] += u[a] * jtju / norm2 / probe->jacobian_probes;
            m[1] += jtju * jtju / norm2 / probe->jacobian_probes;
        }
    }
}

typedef struct {
    double log_q[DEPTH], c[DEPTH], one_minus_c[DEPTH], chi_1[DEPTH], kurtosis[DEPTH];
    double log_gradient_q[DEPTH], gradient_c[DEPTH], log_weight_gradient_q[DEPTH], m1, m2;
    double singular[1024];
    double position_q[DEPTH][MOST_POSITIONS], position_c[DEPTH][MOST_POSITIONS];
    double power[DEPTH][MOST_POSITIONS], correlation[DEPTH][MOST_POSITIONS];
} measured;

static const int layers[DEPTH] = {1, 2, 3};

static void measure(const eoc_probe *probe, const eoc_network *network, measured *m)
{
    /* Rows as wide as the network's positions: no others are in the sweep. */
    static double space[4][DEPTH * MOST_POSITIONS];
    const int positions = eoc_network_positions(network);
    eoc_probe_rows rows = {.log_q = m->log_q,
                           .c = m->c,
                           .one_minus_c = m->one_minus_c,
                           .chi_1 = m->chi_1,
                           .kurtosis = m->kurtosis,
                           .log_gradient_q = m->log_gradient_q,
                           .gradient_c = m->gradient_c,
                           .log_weight_gradient_q = m->log_weight_gradient_q,
                           .log_jacobian_m1 = &m->m1,
                           .log_jacobian_m2 = &m->m2,
                           .log_singular_values = probe->statistics & EOC_STATISTIC_SPECTRUM ? m->singular : NULL};
    if (probe->statistics & EOC_STATISTIC_SPATIAL) {
        rows.position_q = space[0];
        rows.position_c = space[1];
        rows.spatial_power = space[2];
        rows.spatial_correlation = space[3];
    }
    eoc_probe_workspace *workspace = NULL;
    /* Memory for more than the network needs, as in a sweep. */
    assert_int_equal(eoc_probe_workspace_create(probe, DEPTH + 3, network->width + 2, &workspace), EOC_OK);
    eoc_outcome outcome;
    assert_true(eoc_probe_run(probe, network, 1.0, layers, DEPTH, workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DONE);
    eoc_probe_workspace_destroy(&workspace);
    for (int l = 0; l < DEPTH; l++) {
        for (int q = 0; q < positions; q++) {
            m->position_q[l][q] = space[0][l * positions + q];
            m->position_c[l][q] = space[1][l * positions + q];
            m->power[l][q] = space[2][l * positions + q];
            m->correlation[l][q] = space[3][l * positions + q];
        }
    }
}

/* -- statistics over space, by their definitions -- */

typedef struct {
    double q[MOST_POSITIONS], c[MOST_POSITIONS], power[MOST_POSITIONS], correlation[MOST_POSITIONS];
} plain_space;

/* Digits of a position: of a line the second is 0. */
static int digit(const plain_case *c, int p, int d)
{
    return c->dimensions == 2 ? (d == 0 ? p / c->side : p % c->side) : (d == 0 ? p : 0);
}

static void space_of(const plain_network *p, plain_batch z, plain_space *s)
{
    const plain_case *c = p->c;
    const int n = p->positions;
    double mean_q = 0.0, total = 0.0;
    for (int q = 0; q < n; q++) {
        double xx = 0.0, yy = 0.0, xy = 0.0;
        s->q[q] = s->power[q] = 0.0;
        for (int i = 0; i < c->width; i++) {
            for (int a = 0; a < c->inputs; a++) {
                s->q[q] += z[a][q][i] * z[a][q][i];
                double re = 0.0, im = 0.0;
                for (int r = 0; r < n; r++) {
                    const double phase = 2.0 * 3.14159265358979323846 / c->side *
                                         (digit(c, q, 0) * digit(c, r, 0) + digit(c, q, 1) * digit(c, r, 1));
                    re += cos(phase) * z[a][r][i];
                    im -= sin(phase) * z[a][r][i];
                }
                s->power[q] += re * re + im * im;
            }
            xx += z[0][q][i] * z[0][q][i];
            yy += z[1][q][i] * z[1][q][i];
            xy += z[0][q][i] * z[1][q][i];
        }
        s->c[q] = xy / sqrt(xx * yy);
        mean_q += s->q[q] / n;
        total += s->power[q];
    }
    for (int d = 0; d < n; d++) {
        double pairs = 0.0;
        s->correlation[d] = 0.0;
        for (int q = 0; q < n; q++) {
            const int row = digit(c, q, 0) + digit(c, d, 0), column = digit(c, q, 1) + digit(c, d, 1);
            if (!c->circular && (row >= c->side || column >= c->side)) {
                continue;
            }
            const int other = c->dimensions == 2 ? row % c->side * c->side + column % c->side : row % c->side;
            pairs += 1.0;
            for (int a = 0; a < c->inputs; a++) {
                for (int i = 0; i < c->width; i++) {
                    s->correlation[d] += z[a][q][i] * z[a][other][i];
                }
            }
        }
        s->correlation[d] /= pairs;
    }
    for (int q = n - 1; q >= 0; q--) {
        s->q[q] /= mean_q;
        s->power[q] /= total;
        s->correlation[q] /= s->correlation[0];
    }
}

/* -- comparisons -- */

enum {
    EVERYTHING = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN | EOC_STATISTIC_FINITE_WIDTH |
                 EOC_STATISTIC_SPATIAL
};

static void expect(const char *where, const char *what, int l, double got, double wanted, double tolerance)
{
    if (!(got == wanted || fabs(got - wanted) <= tolerance)) {
        fail_msg("%s: %s of layer %d is %.12g, not %.12g", where, what, l, got, wanted);
    }
}

static void compare_layer(plain_network *p, const char *where, int l, plain_batch z, const measured *m)
{
    static plain_batch g;
    const int inputs = p->c->inputs;
    double q = 0.0, gradient_q = 0.0, kurtosis = 0.0;
    gradients(p, l, g);
    for (int a = 0; a < inputs; a++) {
        double fourth = 0.0;
        for (int r = 0; r < p->positions; r++) {
            for (int i = 0; i < p->c->width; i++) {
                fourth += pow(z[a][r][i], 4.0);
            }
        }
        kurtosis += fourth / pow(dot(p, z[a], z[a]), 2.0) * p->positions * p->c->width / inputs;
        q += dot(p, z[a], z[a]) / (inputs * p->positions * p->c->width);
        gradient_q += dot(p, g[a], g[a]) / (inputs * p->positions * p->c->width);
    }
    expect(where, "log_q", l, m->log_q[l - 1], log(q), 1e-11);
    expect(where, "c", l, m->c[l - 1], cosine(p, z[0], z[1]), 1e-11);
    expect(where, "kurtosis", l, m->kurtosis[l - 1], kurtosis, 1e-10);
    expect(where, "log_gradient_q", l, m->log_gradient_q[l - 1], log(gradient_q), 1e-6);
    expect(where, "log_weight_gradient_q", l, m->log_weight_gradient_q[l - 1], log(weight_gradient_q(p, l)), 1e-6);
    if (p->c->norm == 'b' || dot(p, g[0], g[0]) * dot(p, g[1], g[1]) == 0.0) {
        assert_true(isnan(m->gradient_c[l - 1]));
    } else {
        expect(where, "gradient_c", l, m->gradient_c[l - 1], cosine(p, g[0], g[1]), 1e-6);
    }
    plain_space s;
    space_of(p, z, &s);
    for (int r = 0; r < p->positions; r++) {
        expect(where, "position_q", l, m->position_q[l - 1][r], s.q[r], 1e-10);
        expect(where, "position_c", l, m->position_c[l - 1][r], s.c[r], 1e-10);
        expect(where, "spatial_power", l, m->power[l - 1][r], s.power[r], 1e-10);
        expect(where, "spatial_correlation", l, m->correlation[l - 1][r], s.correlation[r], 1e-10);
    }
}

static void compare_with_plain(const plain_case *c, const char *activation, const char *initializer)
{
    const eoc_network law = network_of_case(c, activation, initializer);
    if (eoc_network_check(&law) != EOC_OK) { /* what makes no sense, and nothing else */
        assert_true((c->form == 'r' && strcmp(activation, "crelu") == 0) ||
                    (!c->circular && strcmp(initializer, "orthogonal_kernel") == 0));
        return;
    }
    const bool coupled = c->norm == 'b';
    const eoc_probe probe = probe_of(&law, coupled ? "gaussian" : "pair", c->inputs,
                                     EVERYTHING | (coupled ? 0U : EOC_STATISTIC_SPECTRUM), "explicit");
    static plain_network p;
    static plain_batch z[DEPTH + 1], h;
    static measured m;
    write_out(&law, c, &probe, &p);
    measure(&probe, &law, &m);
    memset(z, 0, sizeof z);
    plain_run(&p, NOWHERE, h, z);
    char where[250];
    snprintf(where, sizeof where, "%s %s %s", c->spelling, activation, initializer);
    for (int l = 1; l <= DEPTH; l++) {
        compare_layer(&p, where, l, z[l], &m);
    }
    double by_probe[2], exact[2], sums[2] = {0.0, 0.0};
    moments(&p, &probe, by_probe, exact);
    expect(where, "m1", DEPTH, m.m1, log(by_probe[0]), 1e-6);
    expect(where, "m2", DEPTH, m.m2, log(by_probe[1]), 1e-6);
    for (int i = 0; i < p.positions * c->width && !coupled; i++) {
        sums[0] += exp(2.0 * m.singular[i]);
        sums[1] += exp(4.0 * m.singular[i]);
    }
    if (!coupled) {
        expect(where, "sum of squared singular values", DEPTH, log(sums[0]), log(exact[0]), 1e-6);
        expect(where, "sum of their squares", DEPTH, log(sums[1]), log(exact[1]), 1e-6);
    }
}

/* Statistics, gradients by z and W, tangents, cotangents and spectra: to the error of a difference. */
static void every_combination(void **state)
{
    (void)state;
    static const char *const with[][2] = {{"tanh", "gaussian"},
                                          {"gelu", "gaussian_taps(tap_0=2, tap_1=0.5)"},
                                          {"crelu", "gaussian"},
                                          {"crelu", "looks_linear"},
                                          {"crelu", "orthogonal"},
                                          {"sigmoid", "uniform"},
                                          {"tanh", "orthogonal"},
                                          {"relu", "delta_orthogonal"},
                                          {"crelu", "looks_linear_gaussian"},
                                          {"tanh", "orthogonal_kernel"},
                                          {"crelu", "orthogonal_kernel"}};
    for (int i = 0; i < NUM_CASES; i++) {
        for (size_t k = 0; k < sizeof with / sizeof with[0]; k++) {
            compare_with_plain(&cases[i], with[k][0], with[k][1]);
        }
    }
}

/* -- inputs of a kind of their own -- */

/* dy/dt at the points of an interval, whose direction in space is that of the first draw, against differences. */
static void along_an_interval(void **state)
{
    (void)state;
    enum { LAGS = 3 };
    static const int which[] = {0, 5, 13}; /* of cases, as many inputs as points */
    for (int k = 0; k < 3; k++) {
        plain_case c = cases[which[k]];
        c.inputs = MOST_INPUTS;
        const eoc_network law = network_of_case(&c, "tanh", "gaussian");
        eoc_probe probe = probe_of(&law, "interval", MOST_INPUTS, EOC_STATISTIC_SHATTERING, "explicit");
        probe.inputs.from = -1.0;
        probe.inputs.to = 2.0;
        probe.autocorrelation_lags = LAGS - 1;
        double gradient[MOST_INPUTS], autocorrelation[LAGS], correlation = 0.0;
        eoc_probe_rows rows = {.input_gradient = gradient,
                               .gradient_autocorrelation = autocorrelation,
                               .gradient_correlation = &correlation};
        eoc_probe_workspace *workspace = NULL;
        assert_int_equal(eoc_probe_workspace_create(&probe, DEPTH, c.width, &workspace), EOC_OK);
        eoc_outcome outcome;
        assert_true(eoc_probe_run(&probe, &law, 1.0, layers, DEPTH, workspace, NULL, &rows, &outcome));
        eoc_probe_workspace_destroy(&workspace);

        static plain_network p;
        static plain_batch up, down, g, direction;
        write_out(&law, &c, &probe, &p);
        double u[MOST_POSITIONS * MOST_WIDTH], norm2 = 0.0, cosines = 0.0;
        const int n = p.positions * c.width;
        eoc_rng_normals(&(eoc_stream){law.key, 0, EOC_TENSOR_INPUT, 0}, u, (size_t)n);
        for (int i = 0; i < n; i++) {
            norm2 += u[i] * u[i];
        }
        for (int i = 0; i < n; i++) {
            u[i] *= sqrt(n / norm2);
        }
        deal_out(u, p.positions, c.width, direction[0]);
        for (int side = -1; side <= 1; side++) {
            for (int a = 0; a < MOST_INPUTS; a++) {
                for (int i = 0; i < n; i++) {
                    p.x[a][i / c.width][i % c.width] = (a - 1.0 + side * STEP) * u[i];
                }
            }
            plain_run(&p, NOWHERE, side < 0 ? down : up, NULL);
            if (side == 0) {
                gradients(&p, 1, g);
            }
        }
        for (int a = 0; a < MOST_INPUTS; a++) {
            const double wanted = (energy_of(&p, a, up) - energy_of(&p, a, down)) / (2.0 * STEP);
            CHECK_NEAR(gradient[a], wanted, 1e-6 * (1.0 + fabs(wanted)));
            for (int b = 0; b < a; b++) {
                cosines += cosine(&p, g[a], g[b]) / (MOST_INPUTS * (MOST_INPUTS - 1) / 2);
            }
        }
        CHECK_NEAR(correlation, cosines, 1e-6);
    }
}

/* Of one position a convolution is a fully connected network: the same bits. */
static void one_position(void **state)
{
    (void)state;
    static const char *const forms[][2] = {
        {"convolutional(side=1, kernel=1)", "fully_connected"},
        {"convolutional(dimensions=1, side=1, kernel=1, normalization=layer)", "fully_connected(normalization=layer)"},
        {"convolutional(side=1, kernel=1, form=full, branch=0.5)", "residual(form=full, branch=0.5)"}};
    static const char *const samplers[] = {"explicit", "implicit"};
    for (int k = 0; k < 6; k++) {
        measured m[2];
        for (int which = 0; which < 2; which++) {
            const plain_case c = {.spelling = forms[k / 2][which], .width = 5};
            const eoc_network law = network_of_case(&c, "tanh", k % 2 ? "orthogonal" : "gaussian");
            const unsigned spectrum = k % 2 ? 0U : EOC_STATISTIC_SPECTRUM;
            const eoc_probe probe =
                probe_of(&law, "pair", 2, (EVERYTHING & ~(unsigned)EOC_STATISTIC_SPATIAL) | spectrum, samplers[k % 2]);
            memset(&m[which], 0, sizeof m[which]);
            measure(&probe, &law, &m[which]);
        }
        assert_memory_equal(m[0].log_q, m[1].log_q, offsetof(measured, position_q));
    }
}

/* -- kernels that keep norms -- */

enum { MOST_CHANNELS = 6, MOST_KERNEL_TAPS = 25, MOST_SIDE = 2 * MOST_CHANNELS };

typedef struct {
    int fan_out, taps, channels;
    double w[MOST_CHANNELS * MOST_KERNEL_TAPS * MOST_CHANNELS];
} stored_kernel;

/* A kernel as a trained network stores it. */
static void draw_kernel(const eoc_network *network, int channels, stored_kernel *k)
{
    const eoc_geometry g = eoc_network_geometry(network);
    eoc_matrix matrix = eoc_network_matrix(network, 1, 0);
    matrix.fan_in = channels * matrix.taps;
    *k = (stored_kernel){.fan_out = matrix.fan_out, .taps = eoc_geometry_taps(&g), .channels = channels};
    eoc_weights *weights = NULL;
    assert_int_equal(eoc_weights_create(MOST_CHANNELS, 0, &weights), EOC_OK);
    assert_int_equal(eoc_network_draw(network, &matrix, weights, k->w), EOC_OK);
    eoc_weights_destroy(&weights);
}

/* Singular values of sum_t W_t exp(i theta.offset(t)), each twice: of the real matrix [[re, -im], [im, re]]. */
static void singular_values(const plain_case *c, const stored_kernel *k, const double theta[2], double *log_values)
{
    double m[MOST_SIDE][MOST_SIDE] = {{0.0}};
    for (int t = 0; t < k->taps; t++) {
        int offset[2];
        offset_of(c, t, offset);
        const double phase = theta[0] * offset[0] + theta[1] * offset[1];
        for (int i = 0; i < k->fan_out; i++) {
            for (int j = 0; j < k->channels; j++) {
                const double w = k->w[(i * k->taps + t) * k->channels + j];
                m[i][j] += w * cos(phase);
                m[k->fan_out + i][k->channels + j] += w * cos(phase);
                m[k->fan_out + i][j] += w * sin(phase);
                m[i][k->channels + j] -= w * sin(phase);
            }
        }
    }
    eoc_product_svd *svd = NULL;
    assert_int_equal(eoc_product_svd_create(MOST_SIDE, &svd), EOC_OK);
    eoc_product_svd_begin(svd, 2 * k->channels);
    int columns = 0;
    const double *const basis = eoc_product_svd_basis(svd, &columns);
    double product[MOST_SIDE * MOST_SIDE] = {0.0};
    for (int v = 0; v < columns; v++) {
        for (int i = 0; i < 2 * k->fan_out; i++) {
            for (int j = 0; j < 2 * k->channels; j++) {
                product[v * 2 * k->fan_out + i] += m[i][j] * basis[v * 2 * k->channels + j];
            }
        }
    }
    assert_true(eoc_product_svd_push(svd, product, 2 * k->fan_out, 0));
    eoc_product_svd_finish(svd, log_values);
    eoc_product_svd_destroy(&svd);
}

/*
 * Xiao et al. 2018: as a circular convolution the layer is sigma_w times an isometry. Its singular values are those of
 * the kernel's Fourier transform at every frequency (block-circulant matrices). The lift from fewer channels keeps
 * norms too, up to sqrt(fan_out/fan_in): every unit has the variance sigma_w^2.
 */
static void kernels_are_isometries(void **state)
{
    (void)state;
    enum { SIDE = 6 };
    static const char *const initializers[] = {"orthogonal_kernel", "delta_orthogonal"};
    for (int i = 0; i < 2; i++) {
        for (int n = 0; n < 16; n++) {
            const plain_case c = {
                .dimensions = 1 + n % 2, .side = SIDE, .kernel = n / 2 % 2 ? 5 : 3, .width = 5 + n / 4 % 2};
            char spelling[80];
            snprintf(spelling, sizeof spelling, "convolutional(dimensions=%d, side=%d, kernel=%d)", c.dimensions, SIDE,
                     c.kernel);
            plain_case spelled = c;
            spelled.spelling = spelling;
            eoc_network network = network_of_case(&spelled, "tanh", initializers[i]);
            network.weight_variance = 1.7;
            network.key.word[0] = (uint32_t)n;
            static stored_kernel k;
            draw_kernel(&network, n < 8 ? c.width : 3, &k);
            const double wanted = 0.5 * log(1.7 * k.fan_out / k.channels);
            for (int f = 0; f < (c.dimensions == 2 ? SIDE * SIDE : SIDE); f++) {
                const double turn = 2.0 * 3.14159265358979323846 / SIDE;
                const double theta[2] = {turn * (f % SIDE), turn * (f / SIDE)}; /* the order does not matter */
                double log_values[MOST_SIDE];
                singular_values(&spelled, &k, theta, log_values);
                for (int v = 0; v < 2 * k.channels; v++) {
                    CHECK_NEAR(log_values[v], wanted, 1e-12);
                }
            }
        }
    }
}

/*
 * Linear layers of such kernels, and looks-linear ones of crelu, keep lengths, angles and gradients at any depth, as
 * circular convolutions and, with the centre tap alone, as any: all singular values of J are 1.
 */
static void deep_isometries(void **state)
{
    (void)state;
    enum { L = 50, WIDTH = 8, MODES = 9 * WIDTH };
    static const struct {
        const char *architecture, *activation, *initializer, *sampler;
    } at[] = {{"convolutional(side=3)", "linear", "delta_orthogonal", "explicit"},
              {"convolutional(side=3, padding=zero)", "linear", "delta_orthogonal", "implicit"},
              {"convolutional(side=3)", "linear", "orthogonal_kernel", "explicit"},
              {"convolutional(dimensions=1, side=7, kernel=5)", "linear", "orthogonal_kernel", "explicit"},
              {"convolutional(side=3)", "crelu", "looks_linear", "explicit"},
              {"convolutional(side=3, padding=zero)", "crelu", "looks_linear", "implicit"}};
    for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) {
        const plain_case c = {.spelling = at[k].architecture, .width = WIDTH};
        eoc_network network = network_of_case(&c, at[k].activation, at[k].initializer);
        network.depth = L;
        network.weight_variance = 1.0;
        network.bias_variance = 0.0;
        const bool spectrum = strcmp(at[k].sampler, "explicit") == 0;
        const eoc_probe probe = probe_of(&network, "pair", 2,
                                         EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN |
                                             (spectrum ? EOC_STATISTIC_SPECTRUM : 0U),
                                         at[k].sampler);
        int all[L];
        double log_q[L], cosines[L], gradient_q[L], singular[MODES], m1 = NAN, m2 = NAN;
        for (int l = 0; l < L; l++) {
            all[l] = l + 1;
        }
        eoc_probe_rows rows = {.log_q = log_q,
                               .log_gradient_q = gradient_q,
                               .log_jacobian_m1 = &m1,
                               .log_jacobian_m2 = &m2,
                               .log_singular_values = spectrum ? singular : NULL};
        double one_minus_c[L];
        rows.c = cosines;
        rows.one_minus_c = one_minus_c;
        eoc_probe_workspace *workspace = NULL;
        assert_int_equal(eoc_probe_workspace_create(&probe, L, WIDTH, &workspace), EOC_OK);
        eoc_outcome outcome;
        assert_true(eoc_probe_run(&probe, &network, 1.0, all, L, workspace, NULL, &rows, &outcome));
        eoc_probe_workspace_destroy(&workspace);
        for (int l = 0; l < L; l++) {
            CHECK_NEAR(log_q[l], 0.0, 1e-12);
            CHECK_NEAR(cosines[l], 0.6, 1e-12);
            CHECK_NEAR(gradient_q[l], gradient_q[L - 1], 1e-12);
        }
        CHECK_NEAR(m1, 0.0, 1e-12);
        CHECK_NEAR(m2, 0.0, 1e-12);
        for (int i = 0; i < eoc_network_positions(&network) * WIDTH && spectrum; i++) {
            CHECK_NEAR(singular[i], 0.0, 1e-11);
        }
    }
}

/* Variance of an entry by the rules' own words, with a kernel of 9 taps: fan_in 9 C, fan_out 9 C, twice C of crelu. */
static void fans(void **state)
{
    (void)state;
    enum { C = 5 };
    static const struct {
        const char *initializer, *activation;
        double variance, effective; /* of an entry, and of all weights of a unit */
    } at[] = {{"gaussian", "tanh", 1.0 / (9 * C), 1.0},
              {"he_normal", "relu", 2.0 / (9 * C), 2.0},
              {"he_uniform", "crelu", 2.0 / (18 * C), 2.0},
              {"glorot_normal", "tanh", 2.0 / (9 * C + 9 * C), 1.0},
              {"glorot_uniform", "crelu", 2.0 / (18 * C + 9 * C), 4.0 / 3.0},
              {"torch_linear", "tanh", 1.0 / (3 * 9 * C), 1.0 / 3.0},
              {"orthogonal", "tanh", 1.0 / (9 * C), 1.0},
              {"gaussian_taps(tap_0=3)", "tanh", 1.0 / (9 * C), 1.0},
              {"delta_orthogonal", "tanh", 1.0 / C, 1.0},
              {"orthogonal_kernel", "tanh", 1.0 / C, 1.0},
              {"looks_linear", "crelu", 1.0 / C, 2.0},
              {"looks_linear_gaussian", "crelu", 1.0 / (9 * C), 2.0}};
    for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) {
        const plain_case c = {.spelling = "convolutional(side=4)", .width = C};
        eoc_network network = network_of_case(&c, at[k].activation, at[k].initializer);
        network.weight_variance = 1.0;
        const eoc_matrix matrix = eoc_network_matrix(&network, 2, 0);
        CHECK_RELATIVE(eoc_matrix_variance(&matrix), at[k].variance, 1e-14);
        CHECK_RELATIVE(eoc_network_effective(&network), at[k].effective, 1e-14);
    }
}

/* The mean power in each tap is binomial: two-tap kernels have half in each, and follow one another. */
static void power_of_the_taps(void **state)
{
    (void)state;
    enum { DRAWS = 2000, WIDTH = 4 };
    static const struct {
        plain_case c;
        double along[5]; /* in one dimension; in two the products */
    } at[] = {
        {{.spelling = "convolutional(dimensions=1, side=5)", .dimensions = 1, .kernel = 3, .width = WIDTH},
         {0.25, 0.5, 0.25}},
        {{.spelling = "convolutional(dimensions=1, side=5, kernel=5)", .dimensions = 1, .kernel = 5, .width = WIDTH},
         {0.0625, 0.25, 0.375, 0.25, 0.0625}},
        {{.spelling = "convolutional(side=5)", .dimensions = 2, .kernel = 3, .width = WIDTH}, {0.25, 0.5, 0.25}}};
    for (int n = 0; n < 3; n++) {
        eoc_network network = network_of_case(&at[n].c, "tanh", "orthogonal_kernel");
        network.weight_variance = 1.0;
        double sum[MOST_KERNEL_TAPS] = {0.0}, square[MOST_KERNEL_TAPS] = {0.0}, shares[EOC_MAX_TAPS];
        static stored_kernel k;
        for (int draw = 0; draw < DRAWS; draw++) {
            network.key.word[0] = (uint32_t)draw;
            draw_kernel(&network, WIDTH, &k);
            for (int t = 0; t < k.taps; t++) {
                double power_of_tap = 0.0;
                for (int i = 0; i < WIDTH * WIDTH; i++) {
                    power_of_tap += pow(k.w[(i / WIDTH * k.taps + t) * WIDTH + i % WIDTH], 2.0) / WIDTH;
                }
                sum[t] += power_of_tap / DRAWS;
                square[t] += power_of_tap * power_of_tap / DRAWS;
            }
        }
        eoc_network_tap_shares(&network, shares);
        for (int t = 0; t < k.taps; t++) {
            const int kernel = at[n].c.kernel;
            const double wanted =
                at[n].c.dimensions == 1 ? at[n].along[t] : at[n].along[t / kernel] * at[n].along[t % kernel];
            CHECK_NEAR(shares[t], wanted, 1e-15);
            /* 17 comparisons: 4 standard errors */
            CHECK_NEAR(sum[t], wanted, 4.0 * sqrt((square[t] - sum[t] * sum[t]) / DRAWS));
        }
    }
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination),
        cmocka_unit_test(along_an_interval),
        cmocka_unit_test(one_position),
        cmocka_unit_test(kernels_are_isometries),
        cmocka_unit_test(deep_isometries),
        cmocka_unit_test(power_of_the_taps),
        cmocka_unit_test(fans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
