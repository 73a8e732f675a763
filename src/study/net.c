/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled for float and for double. */
#include "eoc/net.h"

#include "net_parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- memory -- */

static size_t matrix_count(int fan_out, int fan_in)
{
    return (size_t)fan_out * (size_t)fan_in + (size_t)fan_out;
}

static int most_features(const eoc_net_limits *limits)
{
    return limits->needs.features > 1 ? limits->needs.features : 1;
}

/* Parameters of the largest network, and of its largest part. */
static size_t most_parameters(const eoc_net_limits *limits, size_t *largest_part)
{
    const int n = limits->max_width, features = most_features(limits) * n;
    const size_t first = matrix_count(n, limits->features), inner = matrix_count(n, features),
                 second = limits->needs.second_matrix ? matrix_count(n, n) : 0,
                 last = matrix_count(limits->outputs, features), norm = limits->needs.normalized ? 2 * (size_t)n : 0;
    *largest_part = limits->max_depth > 1 && inner > first ? inner : first;
    *largest_part = last > *largest_part ? last : *largest_part;
    return first + (size_t)(limits->max_depth - 1) * (inner + second) + (size_t)limits->max_depth * norm + last;
}

/* Numbers of each array. */
typedef struct {
    size_t parameters, gradient, running, kept, outputs, row, feature_row, moments;
} sizes;

static sizes sizes_of(const eoc_net_limits *limits)
{
    const eoc_layer_needs *needs = &limits->needs;
    size_t largest_part = 0;
    const size_t parameters = most_parameters(limits, &largest_part);
    const size_t depth = (size_t)limits->max_depth, batch = (size_t)limits->batch, width = (size_t)limits->max_width;
    const size_t row = batch * width, feature_row = row * (size_t)most_features(limits);
    /* h and phi'; where there is scratch to speak of, the stream of residual networks; x and 1/s of a normalization */
    const size_t kept =
        2 * feature_row + (needs->scratch ? row : 0) + (needs->normalized ? row + (batch > width ? batch : width) : 0);
    return (sizes){.parameters = parameters,
                   .gradient = limits->whole_gradient ? parameters : largest_part,
                   .running = needs->coupled ? 2 * width * depth : 0,
                   .kept = kept * depth,
                   .outputs = batch * (size_t)limits->outputs,
                   .row = row,
                   .feature_row = feature_row,
                   .moments = needs->normalized ? 2 * width : 0};
}

static size_t most_parts(const eoc_net_limits *limits)
{
    enum { OF_A_LAYER = 6 };
    return OF_A_LAYER * (size_t)limits->max_depth + 1;
}

double EOC_NET(bytes)(const eoc_net_limits *limits)
{
    const sizes s = sizes_of(limits);
    const double parts = (double)most_parts(limits) * (double)sizeof(eoc_net_part);
    return parts + (double)sizeof(eoc_real) * ((1.0 + limits->num_states) * (double)s.parameters + (double)s.gradient +
                                               (double)s.running + (double)s.kept + (double)s.outputs +
                                               2.0 * (double)s.feature_row + 2.0 * (double)s.row + (double)s.moments);
}

static eoc_real *array(size_t count, bool *good)
{
    eoc_real *const values = *good ? calloc(count > 0 ? count : 1, sizeof(eoc_real)) : NULL;
    *good = values != NULL;
    return values;
}

eoc_status EOC_NET(create)(const eoc_net_limits *limits, eoc_net **out)
{
    eoc_net *const net = calloc(1, sizeof *net);
    *out = net;
    bool good = net != NULL;
    if (good) {
        net->limits = *limits;
        const sizes s = sizes_of(limits);
        net->layers = calloc(2 * (size_t)limits->max_depth + 1, sizeof *net->layers);
        net->parts = calloc(most_parts(limits), sizeof *net->parts);
        good = net->layers && net->parts;
        net->parameters = array(s.parameters, &good);
        for (int i = 0; i < limits->num_states; i++) {
            net->states[i] = array(s.parameters, &good);
        }
        net->gradient = array(s.gradient, &good);
        net->running = array(s.running, &good);
        net->kept = array(s.kept, &good);
        net->output = array(s.outputs, &good);
        net->dz = array(s.feature_row, &good);
        net->dh = array(s.feature_row, &good);
        net->z = array(s.row, &good);
        net->stream = array(s.row, &good);
        net->moments = array(s.moments, &good);
    }
    if (!good) {
        EOC_NET(destroy)(out);
        return EOC_FAIL(EOC_ERR_NOMEM, "out of memory to train a network of depth %d and width %d (%.3g bytes)",
                        limits->max_depth, limits->max_width, EOC_NET(bytes)(limits));
    }
    return EOC_OK;
}

void EOC_NET(destroy)(eoc_net **out)
{
    eoc_net *const net = *out;
    if (!net) {
        return;
    }
    eoc_real *const arrays[] = {net->parameters, net->gradient, net->running, net->kept,   net->output,
                                net->dz,         net->dh,       net->z,       net->stream, net->moments};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        free(arrays[i]);
    }
    for (int i = 0; i < EOC_OPTIMIZER_STATES; i++) {
        free(net->states[i]);
    }
    free(net->layers);
    free(net->parts);
    free(net);
    *out = NULL;
}

/* -- laying out: from what the layers do to the parts, and where their numbers lie -- */

typedef struct {
    eoc_net *net;
    eoc_norm norm;
    int features, width; /* of a unit; values of a sample so far */
    eoc_real *kept;      /* the next free */
    eoc_real *running;   /* likewise */
} plan;

static eoc_real *keep_values(plan *p, size_t count)
{
    eoc_real *const place = p->kept;
    p->kept += count;
    return place;
}

static eoc_real *keep_rows(plan *p, int width)
{
    return keep_values(p, (size_t)p->net->limits.batch * (size_t)width);
}

static eoc_net_part *add_part(plan *p, int kind, int layer, int width, size_t count)
{
    eoc_net *const net = p->net;
    eoc_net_part *const part = &net->parts[net->num_parts++];
    *part = (eoc_net_part){.kind = &EOC_NET(part_kinds)[kind],
                           .layer = layer,
                           .fan_in = p->width,
                           .width = width,
                           .offset = net->num_parameters,
                           .count = count};
    net->num_parameters += count;
    p->width = width;
    return part;
}

static eoc_net_part *add_matrix(plan *p, int kind, int layer, uint32_t which, int fan_out)
{
    eoc_net *const net = p->net;
    eoc_net_part *const part = add_part(p, kind, layer, fan_out, matrix_count(fan_out, p->width));
    net->layers[net->num_layers++] = (eoc_net_layer){.fan_out = fan_out,
                                                     .fan_in = part->fan_in,
                                                     .offset = part->offset,
                                                     .count = part->count,
                                                     .layer = layer,
                                                     .which = which};
    return part;
}

static void add_phi(plan *p, eoc_net_part *part)
{
    part->out = keep_rows(p, part->width);
    part->slope = keep_rows(p, part->width);
}

static void add_norm(plan *p, int layer)
{
    const size_t batch = (size_t)p->net->limits.batch, n = (size_t)p->width;
    eoc_net_part *const part = add_part(p, EOC_NET_NORM, layer, p->width, 2 * n);
    part->out = p->net->z;
    part->x = keep_rows(p, p->width);
    part->inverse = keep_values(p, batch > n ? batch : n);
    if (p->norm.rule == EOC_NORM_BATCH) {
        part->running = p->running;
        p->running += 2 * n;
    }
}

static const eoc_layer_doing *pass_over(const plan *p, const eoc_layer_doing *doing)
{
    return *doing == EOC_DO_NORM && p->norm.rule == EOC_NORM_NONE ? doing + 1 : doing;
}

static void lay_out_layer(plan *p, int l)
{
    eoc_net *const net = p->net;
    const eoc_layer_form form = net->network.architecture.kind->form(&net->network, l);
    const bool plain_phi = p->features == 1 && eoc_network_keep(&net->network) == 1.0;
    uint32_t which = 0;
    for (const eoc_layer_doing *doing = pass_over(p, form.doings); *doing; doing = pass_over(p, doing + 1)) {
        const eoc_layer_doing *const next = pass_over(p, doing + 1);
        if (*doing == EOC_DO_MATRIX && *next == EOC_DO_PHI && plain_phi) {
            add_phi(p, add_matrix(p, EOC_NET_MATRIX_PHI, l, which++, net->network.width));
            doing = next;
        } else if (*doing == EOC_DO_MATRIX) {
            eoc_net_part *const part = add_matrix(p, EOC_NET_MATRIX, l, which++, net->network.width);
            part->out = *next ? net->z : keep_rows(p, part->width);
        } else if (*doing == EOC_DO_PHI) {
            add_phi(p, add_part(p, EOC_NET_PHI, l, p->features * p->width, 0));
        } else if (*doing == EOC_DO_NORM) {
            add_norm(p, l);
        } else if (*doing == EOC_DO_FORK) {
            add_part(p, EOC_NET_FORK, l, p->width, 0);
        } else {
            eoc_net_part *const part = add_part(p, EOC_NET_ADD, l, p->width, 0);
            part->skip = form.skip;
            part->branch = form.branch;
            part->out = keep_rows(p, p->width);
        }
    }
}

static void lay_out(eoc_net *net)
{
    plan p = {.net = net,
              .norm = eoc_network_norm(&net->network),
              .features = eoc_activation_features(&net->network.activation),
              .width = net->limits.features,
              .kept = net->kept,
              .running = net->running};
    net->num_parts = net->num_layers = 0;
    net->num_parameters = 0;
    for (int l = 1; l <= net->network.depth; l++) {
        lay_out_layer(&p, l);
    }
    add_matrix(&p, EOC_NET_MATRIX, net->network.depth + 1, 0, net->limits.outputs)->out = net->output;
    net->num_running = (size_t)(p.running - net->running);
    const sizes s = sizes_of(&net->limits);
    assert(net->num_parameters <= s.parameters && net->num_running <= s.running);
    assert((size_t)(p.kept - net->kept) <= s.kept);
    (void)s;
}

/* -- drawing -- */

static void narrow(const double *from, eoc_real *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (eoc_real)from[i];
    }
}

/* W' (rows, n) to [W', -W'] (rows, 2 n) */
static void narrow_mirrored(const double *from, eoc_real *to, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, from += n, to += 2 * n) {
        for (size_t i = 0; i < n; i++) {
            to[i] = (eoc_real)from[i];
            to[n + i] = -to[i];
        }
    }
}

/* A matrix by the network's law; the read-out by its own, without biases. */
static eoc_status draw_matrix(eoc_net *net, const eoc_net_layer *layer, double readout_variance, eoc_weights *weights,
                              double *scratch)
{
    const eoc_network *network = &net->network;
    const bool is_readout = layer->layer == network->depth + 1;
    eoc_matrix matrix = {.key = network->key, .layer = (uint32_t)layer->layer, .tensor = EOC_TENSOR_READOUT};
    if (is_readout) {
        EOC_TRY(eoc_initializer_find("gaussian", &matrix.initializer));
        matrix.weight_variance = readout_variance;
    } else {
        matrix = eoc_network_matrix(network, layer->layer, layer->which);
    }
    matrix.fan_out = layer->fan_out;
    matrix.fan_in = matrix.mirrored ? layer->fan_in / 2 : layer->fan_in;
    EOC_TRY(eoc_weights_draw(weights, &matrix, scratch));
    const size_t fan_out = (size_t)layer->fan_out, fan_in = (size_t)matrix.fan_in;
    eoc_real *const to = net->parameters + layer->offset;
    if (matrix.mirrored) {
        narrow_mirrored(scratch, to, fan_out, fan_in);
    } else {
        narrow(scratch, to, fan_out * fan_in);
    }
    const double bias_variance = is_readout ? 0.0 : network->bias_variance;
    const eoc_stream stream = {network->key, (uint32_t)layer->layer, EOC_TENSOR_BIAS, layer->which};
    eoc_rng_normals_scaled(&stream, 0, sqrt(bias_variance), scratch, fan_out);
    narrow(scratch, to + fan_out * (size_t)layer->fan_in, fan_out);
    return EOC_OK;
}

static void start_norms(eoc_net *net)
{
    const eoc_norm norm = eoc_network_norm(&net->network);
    for (int k = 0; k < net->num_parts; k++) {
        const eoc_net_part *part = &net->parts[k];
        const size_t n = (size_t)part->width;
        for (size_t i = 0; i < n && part->x; i++) {
            net->parameters[part->offset + i] = (eoc_real)norm.gamma;
            net->parameters[part->offset + n + i] = (eoc_real)norm.beta;
        }
    }
    memset(net->running, 0, sizeof(eoc_real) * net->num_running);
    net->averaged = 0;
}

eoc_status EOC_NET(draw)(eoc_net *net, const eoc_network *network, double readout_variance, eoc_weights *weights)
{
    assert(network->depth <= net->limits.max_depth && network->width <= net->limits.max_width);
    net->network = *network;
    lay_out(net);
    for (int i = 0; i < net->limits.num_states; i++) {
        memset(net->states[i], 0, sizeof(eoc_real) * net->num_parameters);
    }
    size_t largest = 0;
    for (int i = 0; i < net->num_layers; i++) {
        largest = net->layers[i].count > largest ? net->layers[i].count : largest;
    }
    double *const scratch = malloc(sizeof(double) * largest);
    EOC_REQUIRE(scratch, EOC_ERR_NOMEM, "out of memory to draw a layer of %zu weights", largest);
    eoc_status status = EOC_OK;
    for (int i = 0; i < net->num_layers && status == EOC_OK; i++) {
        status = draw_matrix(net, &net->layers[i], readout_variance, weights, scratch);
    }
    free(scratch);
    start_norms(net);
    return status;
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
