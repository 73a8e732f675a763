/* SPDX-License-Identifier: BSD-3-Clause */
/* The weights that a trained network starts from, and the loss of what comes out of it. For float and for double. */
#include "net_parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    const eoc_geometry geometry = eoc_network_geometry(network);
    const int taps = eoc_geometry_taps(&geometry);
    eoc_matrix matrix = {.key = network->key, .layer = (uint32_t)layer->layer, .tensor = EOC_TENSOR_READOUT};
    if (is_readout) {
        EOC_TRY(eoc_initializer_find("gaussian", &matrix.initializer));
        matrix.weight_variance = readout_variance;
    } else {
        matrix = eoc_network_matrix(network, layer->layer, layer->which);
    }
    const size_t fan_out = (size_t)layer->fan_out, fan_in = (size_t)layer->fan_in;
    eoc_real *const to = net->parameters + layer->offset;
    matrix.fan_out = layer->fan_out;
    matrix.fan_in = layer->fan_in / (matrix.mirrored ? 2 : 1);
    if (is_readout) {
        EOC_TRY(eoc_weights_draw(weights, &matrix, scratch));
    } else {
        matrix.fan_in = matrix.fan_in / taps * matrix.taps;
        EOC_TRY(eoc_network_draw(network, &matrix, weights, scratch));
    }
    if (matrix.mirrored) {
        narrow_mirrored(scratch, to, fan_out * (size_t)taps, fan_in / (size_t)(2 * taps));
    } else {
        narrow(scratch, to, fan_out * fan_in);
    }
    const double bias_variance = is_readout ? 0.0 : network->bias_variance;
    const eoc_stream stream = {network->key, (uint32_t)layer->layer, EOC_TENSOR_BIAS, layer->which};
    eoc_rng_normals_scaled(&stream, 0, sqrt(bias_variance), scratch, fan_out);
    narrow(scratch, to + fan_out * fan_in, fan_out);
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

eoc_status EOC_NET(draw)(eoc_net *net, const eoc_network *network, double readout_variance, eoc_weights *weights,
                         const eoc_net_host *host, bool *drawn)
{
    *drawn = false;
    assert(network->depth <= net->limits.max_depth && network->width <= net->limits.max_width);
    net->network = *network;
    EOC_NET(lay_out)(net);
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
        if (given_up(host)) {
            free(scratch);
            return EOC_OK;
        }
        status = draw_matrix(net, &net->layers[i], readout_variance, weights, scratch);
    }
    free(scratch);
    start_norms(net);
    *drawn = status == EOC_OK;
    return status;
}

/* -- loss -- */

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
    double *const y = net->sample, *const target = y + outputs, *const dy = target + outputs;
    double sum = 0.0;
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
    return sum;
}
