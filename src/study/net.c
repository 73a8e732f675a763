/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled for float and for double. */
#include "eoc/net.h"

#include "eoc/linalg.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef EOC_REAL_DOUBLE
#define GEMM eoc_linalg_gemm_double
#define LOOPS (&eoc_net_loops_double_generic)
extern const eoc_net_loops eoc_net_loops_double_generic;
#else
#define GEMM eoc_linalg_gemm_float
#define LOOPS eoc_net_f32_loops()
#endif

/* -- memory -- */

static size_t layer_count(int fan_out, int fan_in)
{
    return (size_t)fan_out * (size_t)fan_in + (size_t)fan_out;
}

/* Parameters of the largest network, and of its largest layer. */
static size_t most_parameters(const eoc_net_limits *limits, size_t *largest_layer)
{
    const int n = limits->max_width;
    const size_t first = layer_count(n, limits->features), inner = layer_count(n, n),
                 last = layer_count(limits->outputs, n);
    *largest_layer = limits->max_depth > 1 && inner > first ? inner : first;
    *largest_layer = last > *largest_layer ? last : *largest_layer;
    return first + (size_t)(limits->max_depth - 1) * inner + last;
}

typedef struct {
    size_t parameters, gradient, features, outputs, row;
} sizes;

static sizes sizes_of(const eoc_net_limits *limits)
{
    size_t largest_layer = 0;
    const size_t parameters = most_parameters(limits, &largest_layer);
    const size_t row = (size_t)limits->batch * (size_t)limits->max_width;
    return (sizes){.parameters = parameters,
                   .gradient = limits->whole_gradient ? parameters : largest_layer,
                   .features = (size_t)limits->max_depth * row,
                   .outputs = (size_t)limits->batch * (size_t)limits->outputs,
                   .row = row};
}

double EOC_NET(bytes)(const eoc_net_limits *limits)
{
    const sizes s = sizes_of(limits);
    return (double)sizeof(eoc_real) * ((1.0 + limits->num_states) * (double)s.parameters + (double)s.gradient +
                                       2.0 * (double)s.features + (double)s.outputs + 2.0 * (double)s.row);
}

static eoc_real *array(size_t count, bool *good)
{
    eoc_real *const values = *good ? calloc(count, sizeof(eoc_real)) : NULL;
    *good = values != NULL;
    return values;
}

eoc_status EOC_NET(create)(const eoc_net_limits *limits, eoc_net **out)
{
    eoc_net *const net = calloc(1, sizeof *net);
    *out = net;
    bool good = net != NULL;
    if (good) {
        const sizes s = sizes_of(limits);
        net->limits = *limits;
        net->layers = calloc((size_t)limits->max_depth + 1, sizeof *net->layers);
        good = net->layers != NULL;
        net->parameters = array(s.parameters, &good);
        for (int i = 0; i < limits->num_states; i++) {
            net->states[i] = array(s.parameters, &good);
        }
        net->gradient = array(s.gradient, &good);
        net->h = array(s.features, &good);
        net->slope = array(s.features, &good);
        net->output = array(s.outputs, &good);
        net->dz = array(s.row, &good);
        net->dh = array(s.row, &good);
    }
    if (!good) {
        EOC_NET(destroy)(out);
        return EOC_FAIL(EOC_ERR_NOMEM, "out of memory to train a network of depth %d and width %d (%.3g bytes)",
                        limits->max_depth, limits->max_width, EOC_NET(bytes)(limits));
    }
    return EOC_OK;
}

void EOC_NET(destroy)(eoc_net **net)
{
    if (!*net) {
        return;
    }
    free((*net)->layers);
    free((*net)->parameters);
    for (int i = 0; i < EOC_OPTIMIZER_STATES; i++) {
        free((*net)->states[i]);
    }
    free((*net)->gradient);
    free((*net)->h);
    free((*net)->slope);
    free((*net)->output);
    free((*net)->dz);
    free((*net)->dh);
    free(*net);
    *net = NULL;
}

/* -- drawing -- */

static void shape_layers(eoc_net *net)
{
    assert(eoc_activation_features(&net->network.activation) == 1); /* config refuses others */
    const int depth = net->network.depth, width = net->network.width;
    size_t offset = 0;
    for (int l = 1; l <= depth + 1; l++) {
        eoc_net_layer *const layer = &net->layers[l - 1];
        layer->fan_in = l == 1 ? net->limits.features : width;
        layer->fan_out = l == depth + 1 ? net->limits.outputs : width;
        layer->offset = offset;
        layer->count = layer_count(layer->fan_out, layer->fan_in);
        offset += layer->count;
    }
    net->num_parameters = offset;
}

static eoc_real *weights_of(const eoc_net *net, const eoc_net_layer *layer)
{
    return net->parameters + layer->offset;
}

static eoc_real *biases_of(const eoc_net *net, const eoc_net_layer *layer)
{
    return weights_of(net, layer) + (size_t)layer->fan_out * (size_t)layer->fan_in;
}

static void narrow(const double *from, eoc_real *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (eoc_real)from[i];
    }
}

/* Layer l by the network's law; the read-out by its own, without biases. */
static eoc_status draw_layer(eoc_net *net, int l, double readout_variance, eoc_weights *weights, double *scratch)
{
    const eoc_network *network = &net->network;
    const eoc_net_layer *layer = &net->layers[l - 1];
    const bool is_readout = l == network->depth + 1;
    eoc_matrix matrix = {.initializer = network->initializer,
                         .weight_variance = network->weight_variance,
                         .key = network->key,
                         .layer = (uint32_t)l,
                         .tensor = EOC_TENSOR_WEIGHT,
                         .fan_out = layer->fan_out,
                         .fan_in = layer->fan_in};
    if (is_readout) {
        EOC_TRY(eoc_initializer_find("gaussian", &matrix.initializer));
        matrix.weight_variance = readout_variance;
        matrix.tensor = EOC_TENSOR_READOUT;
    }
    EOC_TRY(eoc_weights_draw(weights, &matrix, scratch));
    narrow(scratch, weights_of(net, layer), (size_t)layer->fan_out * (size_t)layer->fan_in);
    const double bias_variance = is_readout ? 0.0 : network->bias_variance;
    const eoc_stream stream = {network->key, (uint32_t)l, EOC_TENSOR_BIAS, 0};
    eoc_rng_normals_scaled(&stream, 0, sqrt(bias_variance), scratch, (size_t)layer->fan_out);
    narrow(scratch, biases_of(net, layer), (size_t)layer->fan_out);
    return EOC_OK;
}

eoc_status EOC_NET(draw)(eoc_net *net, const eoc_network *network, double readout_variance, eoc_weights *weights)
{
    assert(network->depth <= net->limits.max_depth && network->width <= net->limits.max_width);
    net->network = *network;
    shape_layers(net);
    for (int i = 0; i < net->limits.num_states; i++) {
        memset(net->states[i], 0, sizeof(eoc_real) * net->num_parameters);
    }
    size_t largest = 0;
    for (int l = 1; l <= network->depth + 1; l++) {
        largest = net->layers[l - 1].count > largest ? net->layers[l - 1].count : largest;
    }
    double *const scratch = malloc(sizeof(double) * largest);
    EOC_REQUIRE(scratch, EOC_ERR_NOMEM, "out of memory to draw a layer of %zu weights", largest);
    eoc_status status = EOC_OK;
    for (int l = 1; l <= network->depth + 1 && status == EOC_OK; l++) {
        status = draw_layer(net, l, readout_variance, weights, scratch);
    }
    free(scratch);
    return status;
}

/* -- forward -- */

static bool given_up(const eoc_net_host *host)
{
    return host && host->tick && host->tick(host->context);
}

static eoc_real *row_of(const eoc_net *net, eoc_real *rows, int l)
{
    return rows + (size_t)(l - 1) * (size_t)net->limits.batch * (size_t)net->network.width;
}

/* h = phi(z), slope = phi'(z); h holds z */
static void apply_phi(const eoc_activation *a, eoc_real *h, eoc_real *slope, size_t n)
{
#ifdef EOC_REAL_DOUBLE
    a->kind->dphi_many(h, slope, n, a->parameters);
    a->kind->phi_many(h, h, n, a->parameters);
#else
    eoc_activation_both_float(a, h, h, slope, n);
#endif
}

bool EOC_NET(forward)(eoc_net *net, const eoc_real *x, int n, const eoc_net_host *host)
{
    assert(n <= net->limits.batch);
    const int depth = net->network.depth;
    const eoc_real *in = x;
    for (int l = 1; l <= depth + 1; l++) {
        const eoc_net_layer *layer = &net->layers[l - 1];
        eoc_real *const z = l <= depth ? row_of(net, net->h, l) : net->output;
        const size_t width = (size_t)layer->fan_out;
        GEMM(false, true, n, layer->fan_out, layer->fan_in, 1, in, weights_of(net, layer), 0, z);
        for (size_t r = 0; r < (size_t)n; r++) { /* a sample at a time: its units stay in the first-level cache */
            eoc_real *const row = z + r * width;
            LOOPS->add_row(biases_of(net, layer), row, 1, width);
            if (l <= depth) {
                apply_phi(&net->network.activation, row, row_of(net, net->slope, l) + r * width, width);
            }
        }
        in = z;
        if (given_up(host)) {
            return false;
        }
    }
    return true;
}

/* -- loss -- */

enum { FEW_OUTPUTS = 64 };

static bool is_greatest(const double *y, int outputs, int label)
{
    for (int k = 0; k < outputs; k++) {
        if (k != label && !(y[k] < y[label])) {
            return false;
        }
    }
    return true;
}

double EOC_NET(loss)(eoc_net *net, const eoc_loss_kind *loss, const int32_t *labels, const float *targets, int n,
                     double scale, int64_t *correct)
{
    const int outputs = net->limits.outputs;
    double few[3 * FEW_OUTPUTS], sum = 0.0;
    double *const y = outputs <= FEW_OUTPUTS ? few : malloc(3 * sizeof(double) * (size_t)outputs);
    if (!y) {
        return NAN;
    }
    double *const target = y + outputs, *const dy = target + outputs;
    for (int r = 0; r < n; r++) {
        eoc_real *const row = net->output + (size_t)r * (size_t)outputs;
        for (int k = 0; k < outputs; k++) {
            y[k] = (double)row[k];
            target[k] = labels ? k == labels[r] : (double)targets[(size_t)r * (size_t)outputs + (size_t)k];
        }
        sum += loss->of_sample(y, target, outputs, dy);
        if (correct && labels) {
            *correct += is_greatest(y, outputs, labels[r]);
        }
        for (int k = 0; k < outputs; k++) {
            row[k] = (eoc_real)(scale * dy[k]);
        }
    }
    if (y != few) {
        free(y);
    }
    return sum;
}

/* -- backward -- */

/* dz from dE/dh to dE/dz of layer l; dE/db to sums. */
static void through_activation(const eoc_net *net, int l, eoc_real *dz, int n, eoc_real *sums)
{
    const size_t width = (size_t)net->layers[l - 1].fan_out;
    if (l <= net->network.depth) {
        LOOPS->multiply_and_sum(row_of(net, net->slope, l), dz, sums, (size_t)n, width);
    } else {
        LOOPS->sum_columns(dz, sums, (size_t)n, width);
    }
}

static void update(eoc_net *net, const eoc_net_step *step, double scale, size_t offset, const eoc_real *gradient,
                   size_t count)
{
    const eoc_optimizer_kind *kind = &LOOPS->optimizers[step->optimizer->row];
    eoc_real *s[EOC_OPTIMIZER_STATES] = {NULL};
    for (int i = 0; i < kind->num_states; i++) {
        s[i] = net->states[i] + offset;
    }
    kind->update(step->optimizer->parameters, step->learning_rate, step->step, scale, gradient,
                 net->parameters + offset, s, count);
}

static double gradient_norm(const eoc_net *net)
{
    double sum = 0.0;
    for (size_t i = 0; i < net->num_parameters; i++) {
        sum += (double)net->gradient[i] * (double)net->gradient[i];
    }
    return sqrt(sum);
}

/* W += factor dE/dW, without a matrix for dE/dW */
static void add_gradient(eoc_net *net, const eoc_net_layer *layer, double factor, const eoc_real *in,
                         const eoc_real *dz, int n)
{
    GEMM(true, false, layer->fan_out, layer->fan_in, n, (eoc_real)factor, dz, in, 1, weights_of(net, layer));
}

bool EOC_NET(backward)(eoc_net *net, const eoc_real *x, int n, const eoc_net_step *step, const eoc_net_host *host)
{
    const bool at_once = step && step->clip == 0.0;
    const bool in_place = at_once && LOOPS->optimizers[step->optimizer->row].is_plain;
    assert(at_once || net->limits.whole_gradient);
    eoc_real *dz = net->output, *dh = net->dh;
    for (int l = net->network.depth + 1; l >= 1; l--) {
        const eoc_net_layer *layer = &net->layers[l - 1];
        const size_t num_weights = (size_t)layer->fan_out * (size_t)layer->fan_in;
        const eoc_real *const in = l == 1 ? x : row_of(net, net->h, l - 1);
        eoc_real *const gradient = net->gradient + (net->limits.whole_gradient ? layer->offset : 0);
        through_activation(net, l, dz, n, gradient + num_weights);
        if (l > 1) {
            GEMM(false, false, n, layer->fan_in, layer->fan_out, 1, dz, weights_of(net, layer), 0, dh);
        }
        if (in_place) {
            add_gradient(net, layer, -step->learning_rate, in, dz, n);
            update(net, step, 1.0, layer->offset + num_weights, gradient + num_weights, (size_t)layer->fan_out);
        } else {
            GEMM(true, false, layer->fan_out, layer->fan_in, n, 1, dz, in, 0, gradient);
        }
        if (at_once && !in_place) {
            update(net, step, 1.0, layer->offset, gradient, layer->count);
        }
        dz = dh;
        dh = dz == net->dh ? net->dz : net->dh;
        if (given_up(host)) {
            return false;
        }
    }
    if (step && !at_once) {
        const double norm = gradient_norm(net);
        update(net, step, norm > step->clip ? step->clip / norm : 1.0, 0, net->gradient, net->num_parameters);
    }
    return true;
}
