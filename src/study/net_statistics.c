/* SPDX-License-Identifier: BSD-3-Clause */
#include "net_statistics.h"

#include "eoc/linalg.h"
#include "eoc/rng.h"
#include "eoc/vecmath.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 2, COLUMNS = INPUTS + 1 }; /* and one tangent at input 0 */

struct eoc_net_scan {
    size_t side;   /* the longest vector */
    double *slope; /* (depth, INPUTS, side) */
    double *h, *z; /* (COLUMNS, side): on the way up inputs and tangent, on the way down gradients and cotangent */
    double *row;   /* (side): one row of W, widened */
};

static size_t longest(const eoc_net_limits *limits)
{
    const int data = limits->features > limits->outputs ? limits->features : limits->outputs;
    return (size_t)(data > limits->max_width ? data : limits->max_width);
}

double eoc_net_scan_bytes(const eoc_net_limits *limits)
{
    return sizeof(double) * (double)longest(limits) * ((double)limits->max_depth * INPUTS + 2.0 * COLUMNS + 1.0);
}

eoc_status eoc_net_scan_create(const eoc_net_limits *limits, eoc_net_scan **out)
{
    eoc_net_scan *const s = calloc(1, sizeof *s);
    *out = s;
    EOC_REQUIRE(s, EOC_ERR_NOMEM, "out of memory");
    s->side = longest(limits);
    s->slope = malloc(sizeof(double) * s->side * (size_t)limits->max_depth * INPUTS);
    s->h = malloc(sizeof(double) * s->side * COLUMNS);
    s->z = malloc(sizeof(double) * s->side * COLUMNS);
    s->row = malloc(sizeof(double) * s->side);
    if (!s->slope || !s->h || !s->z || !s->row) {
        eoc_net_scan_destroy(out);
        return EOC_FAIL(EOC_ERR_NOMEM, "out of memory for the statistics of trained networks");
    }
    return EOC_OK;
}

void eoc_net_scan_destroy(eoc_net_scan **scan)
{
    if (*scan) {
        free((*scan)->slope);
        free((*scan)->h);
        free((*scan)->z);
        free((*scan)->row);
        free(*scan);
        *scan = NULL;
    }
}

/* -- one scan -- */

typedef struct {
    eoc_net_scan *s;
    const eoc_net *net;
    const eoc_net_host *host;
    unsigned statistics;
    const int *layers;
    int num_layers, kept; /* the next of the kept layers */
    size_t first;         /* of the rows along layers */
    eoc_train_rows *rows;
    double log_scale[COLUMNS]; /* what was divided out of a column */
} scan;

static bool given_up(const scan *s)
{
    return s->host && s->host->tick && s->host->tick(s->host->context);
}

static double *column(const scan *s, double *columns, int c)
{
    return columns + (size_t)c * s->s->side;
}

static double *slope_of(const scan *s, int l, int input)
{
    return s->s->slope + ((size_t)(l - 1) * INPUTS + (size_t)input) * s->s->side;
}

/* Products along depth leave the range of a double: a column is brought to norm 1. */
static double normalize(scan *s, double *columns, int c, size_t n)
{
    double *const v = column(s, columns, c);
    const double norm = eoc_linalg_norm(v, n);
    if (norm > 0.0 && isfinite(norm)) {
        eoc_linalg_scale(1.0 / norm, v, n);
        s->log_scale[c] += log(norm);
    }
    return norm;
}

/* z = W h for every column; W's rows in double precision one at a time */
static void apply(const scan *s, int l)
{
    const eoc_net_layer *layer = &s->net->layers[l - 1];
    const float *weights = s->net->parameters + layer->offset;
    for (int i = 0; i < layer->fan_out; i++) {
        double sums[COLUMNS];
        eoc_vec_widen(1.0, weights + (size_t)i * (size_t)layer->fan_in, s->s->row, (size_t)layer->fan_in);
        eoc_vec_dots(s->s->h, s->s->side, COLUMNS, s->s->row, (size_t)layer->fan_in, sums);
        for (int c = 0; c < COLUMNS; c++) {
            column(s, s->s->z, c)[i] = sums[c];
        }
    }
}

/* z = W^t h for every column */
static void apply_transposed(const scan *s, int l)
{
    const eoc_net_layer *layer = &s->net->layers[l - 1];
    const float *weights = s->net->parameters + layer->offset;
    for (int c = 0; c < COLUMNS; c++) {
        memset(column(s, s->s->z, c), 0, sizeof(double) * (size_t)layer->fan_in);
    }
    for (int i = 0; i < layer->fan_out; i++) {
        eoc_vec_widen(1.0, weights + (size_t)i * (size_t)layer->fan_in, s->s->row, (size_t)layer->fan_in);
        for (int c = 0; c < COLUMNS; c++) {
            eoc_linalg_axpy(column(s, s->s->h, c)[i], s->s->row, column(s, s->s->z, c), (size_t)layer->fan_in);
        }
    }
}

static void swap(scan *s)
{
    double *const other = s->s->h;
    s->s->h = s->s->z;
    s->s->z = other;
}

/* The cosine of two columns and, from the difference of their directions, what is missing to 1. */
static double cosine(const scan *s, double *columns, size_t n, double *one_minus_c)
{
    const double *a = column(s, columns, 0), *b = column(s, columns, 1);
    const double norm_a = eoc_linalg_norm(a, n), norm_b = eoc_linalg_norm(b, n);
    *one_minus_c = norm_a > 0.0 && norm_b > 0.0 ? 0.5 * eoc_vec_distance2(1.0 / norm_a, a, 1.0 / norm_b, b, n) : NAN;
    return 1.0 - *one_minus_c;
}

static bool is_kept(const scan *s, int l)
{
    return s->kept >= 0 && s->kept < s->num_layers && s->layers[s->kept] == l;
}

static void note_forward(scan *s, int l, size_t n)
{
    if (is_kept(s, l) && (s->statistics & EOC_STATISTIC_FORWARD)) {
        const size_t at = s->first + (size_t)s->kept;
        double *const z = s->s->z;
        const double sum =
            eoc_linalg_dot(column(s, z, 0), column(s, z, 0), n) + eoc_linalg_dot(column(s, z, 1), column(s, z, 1), n);
        s->rows->log_q[at] = log(sum / (2.0 * (double)n));
        s->rows->c[at] = cosine(s, z, n, &s->rows->one_minus_c[at]);
    }
    s->kept += is_kept(s, l);
}

/* Up: z, phi and phi' of both inputs, and the tangent at input 0. */
static bool up(scan *s)
{
    const eoc_network *network = &s->net->network;
    const size_t n = (size_t)network->width;
    for (int l = 1; l <= network->depth; l++) {
        const eoc_net_layer *layer = &s->net->layers[l - 1];
        const float *biases = s->net->parameters + layer->offset + n * (size_t)layer->fan_in;
        apply(s, l);
        for (int c = 0; c < INPUTS; c++) {
            double *const z = column(s, s->s->z, c);
            for (size_t i = 0; i < n; i++) {
                z[i] += (double)biases[i];
            }
        }
        note_forward(s, l, n);
        for (int c = 0; c < INPUTS; c++) {
            double *const z = column(s, s->s->z, c);
            network->activation.kind->dphi_many(z, slope_of(s, l, c), n, network->activation.parameters);
            network->activation.kind->phi_many(z, z, n, network->activation.parameters);
        }
        eoc_vec_multiply(slope_of(s, l, 0), column(s, s->s->z, INPUTS), n);
        normalize(s, s->s->z, INPUTS, n);
        swap(s);
        if (given_up(s)) {
            return false;
        }
    }
    return true;
}

static void note_gradient(scan *s, int l, size_t n)
{
    if (s->kept >= s->num_layers) {
        s->kept = s->num_layers - 1;
    }
    while (s->kept >= 0 && s->layers[s->kept] > l) {
        s->kept--;
    }
    if (is_kept(s, l) && (s->statistics & EOC_STATISTIC_GRADIENT)) {
        const size_t at = s->first + (size_t)s->kept;
        double sum = 0.0, unused = 0.0;
        const double greatest = fmax(s->log_scale[0], s->log_scale[1]);
        for (int c = 0; c < INPUTS; c++) {
            const double norm = eoc_linalg_norm(column(s, s->s->h, c), n);
            sum += norm * norm * exp(2.0 * (s->log_scale[c] - greatest));
        }
        s->rows->log_gradient_q[at] = log(sum / (2.0 * (double)n)) + 2.0 * greatest;
        s->rows->gradient_c[at] = cosine(s, s->s->h, n, &unused);
    }
}

/* Down: dE_a/dz^l of both inputs, E_a = v.h^L(x_a), and the cotangent J u at input 0. */
static bool down(scan *s)
{
    const eoc_network *network = &s->net->network;
    const size_t n = (size_t)network->width;
    for (int l = network->depth; l >= 1; l--) {
        for (int c = 0; c < COLUMNS; c++) {
            eoc_vec_multiply(slope_of(s, l, c == 1), column(s, s->s->h, c), n);
        }
        note_gradient(s, l, n);
        apply_transposed(s, l);
        for (int c = 0; c < COLUMNS; c++) {
            normalize(s, s->s->z, c, (size_t)s->net->layers[l - 1].fan_in);
        }
        swap(s);
        if (given_up(s)) {
            return false;
        }
    }
    return true;
}

/* The two inputs, and a unit vector u. */
static void fill_inputs(scan *s, const eoc_data *data)
{
    const size_t features = (size_t)data->features;
    for (int c = 0; c < INPUTS; c++) {
        const size_t sample = (size_t)(c < data->test_count ? c : 0);
        eoc_vec_widen(1.0, data->test_x + sample * features, column(s, s->s->h, c), features);
    }
    const eoc_stream stream = {s->net->network.key, 0, EOC_TENSOR_TANGENT, 0};
    eoc_rng_normals(&stream, column(s, s->s->h, INPUTS), features);
    normalize(s, s->s->h, INPUTS, features);
    s->log_scale[INPUTS] = 0.0;
}

/* v in the place of h^L for both inputs; J u stays. */
static void fill_readout(scan *s)
{
    const size_t n = (size_t)s->net->network.width;
    const eoc_stream stream = {s->net->network.key, 0, EOC_TENSOR_READOUT, 0};
    for (int c = 0; c < INPUTS; c++) {
        eoc_rng_normals(&stream, column(s, s->s->h, c), n);
        s->log_scale[c] = 0.0;
    }
}

static bool is_zero(const scan *s, int c, size_t n)
{
    return eoc_linalg_norm(column(s, s->s->h, c), n) == 0.0;
}

bool eoc_net_scan_run(eoc_net_scan *memory, const eoc_net *net, const eoc_data *data, unsigned statistics,
                      const int *layers, int num_layers, size_t cell, const eoc_net_host *host, eoc_train_rows *rows)
{
    scan s = {.s = memory,
              .net = net,
              .host = host,
              .statistics = statistics,
              .layers = layers,
              .num_layers = num_layers,
              .first = cell * (size_t)num_layers,
              .rows = rows};
    fill_inputs(&s, data);
    if (!up(&s)) {
        return false;
    }
    if (statistics & EOC_STATISTIC_JACOBIAN) {
        const bool dead = is_zero(&s, INPUTS, (size_t)net->network.width);
        rows->log_jacobian_m1[cell] = dead ? -INFINITY : 2.0 * s.log_scale[INPUTS];
    }
    if (!(statistics & (EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN))) {
        return true;
    }
    s.kept = num_layers - 1;
    fill_readout(&s);
    if (!down(&s)) {
        return false;
    }
    if (statistics & EOC_STATISTIC_JACOBIAN) {
        const bool dead = is_zero(&s, INPUTS, (size_t)data->features);
        rows->log_jacobian_m2[cell] = dead ? -INFINITY : 2.0 * s.log_scale[INPUTS];
    }
    return true;
}
