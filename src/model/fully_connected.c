/* SPDX-License-Identifier: BSD-3-Clause */
/* z^l = W^l h^(l-1) + b^l, h^l = phi(z^l); with a normalization h^l = phi(norm(z^l)). */
#include "layer_parts.h"

#include "eoc/linalg.h"

#include <math.h>
#include <string.h>

static eoc_status check(const eoc_network *network)
{
    (void)network;
    return EOC_OK;
}

static eoc_block block(const eoc_network *network)
{
    eoc_block b = eoc_network_common_block(network);
    b.phi_on_top = true;
    return b;
}

static eoc_layer_needs needs(const eoc_network *network)
{
    const bool normalized = eoc_network_norm(network).rule != EOC_NORM_NONE;
    const int features = eoc_activation_features(&network->activation);
    return (eoc_layer_needs){.features = features,
                             .normalized = normalized,
                             .scratch = normalized || features > 1,
                             .coupled = eoc_network_norm(network).rule == EOC_NORM_BATCH};
}

static int width(const eoc_network *network, int l)
{
    return l == 0 ? network->width : eoc_network_features(network);
}

static eoc_layer_form form(const eoc_network *network, int l)
{
    static const eoc_layer_doing doings[] = {EOC_DO_MATRIX, EOC_DO_NORM, EOC_DO_PHI, EOC_DO_NOTHING};
    (void)network, (void)l;
    return (eoc_layer_form){.doings = doings};
}

static eoc_matrix weights(const eoc_network *network, int l)
{
    return eoc_layer_matrix(network, l, EOC_TENSOR_WEIGHT, l > 1);
}

static void forward(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_signals *h, eoc_layer *layer)
{
    const eoc_matrix matrix = weights(network, l);
    const eoc_norm norm = eoc_network_norm(network);
    const int inputs = h->inputs.columns, riders = eoc_network_riders(network, inputs);
    eoc_layer_note_inputs(network, &h->inputs, layer);
    eoc_layer_apply(network, tools, &matrix, h->inputs.values, layer->z.values, eoc_signals_columns(h), layer->kept);
    layer->z.exponent = h->inputs.exponent;
    eoc_layer_add_bias(network, tools, l, 0, &layer->z);

    /* What phi sees, and its tangents: z, whose statistics are noted, or behind a normalization a copy of it. */
    eoc_batch y = layer->z, t = h->tangents;
    t.width = y.width;
    t.values = y.values + eoc_batch_size(&y);
    if (norm.rule != EOC_NORM_NONE) {
        memcpy(tools->scratch, y.values, sizeof(double) * (eoc_batch_size(&y) + eoc_batch_size(&t)));
        y.values = tools->scratch;
        t.values = y.values + eoc_batch_size(&y);
        eoc_norm_forward(&norm, &y, layer->norm);
    }
    eoc_signals_set_width(h, eoc_network_features(network));
    eoc_layer_phi(network, tools, l, &y, &h->inputs, layer->slope);
    if (t.columns) {
        if (norm.rule != EOC_NORM_NONE) {
            eoc_norm_derivative(&norm, inputs, riders, layer->norm, &t);
        }
        eoc_layer_expand(network, layer->slope, riders, &t, &h->tangents);
    }
}

static void push_tangents(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                          const eoc_batch *in, eoc_batch *out)
{
    const eoc_matrix matrix = weights(network, l);
    const eoc_norm norm = eoc_network_norm(network);
    const bool twice = eoc_activation_features(&network->activation) == 2;
    eoc_batch t = {in->columns, network->width, in->exponent, twice ? tools->scratch : out->values};
    if (twice) {
        memcpy(out->values, in->values, sizeof(double) * eoc_batch_size(in));
    }
    eoc_layer_apply(network, tools, &matrix, twice ? out->values : in->values, t.values, in->columns, layer->kept);
    if (norm.rule != EOC_NORM_NONE) {
        eoc_norm_derivative(&norm, layer->z.columns, eoc_network_positions(network), layer->norm, &t);
    }
    eoc_layer_expand(network, layer->slope, eoc_network_positions(network), &t, out);
}

static void backward_activation(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                                eoc_signals *dh)
{
    (void)l;
    eoc_layer_back_to_z(network, tools, layer, dh);
}

static void backward_weights(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                             const eoc_signals *dz, eoc_signals *dh, double *log_weight_gradient_q)
{
    const eoc_matrix matrix = weights(network, l);
    if (log_weight_gradient_q) {
        *log_weight_gradient_q = eoc_layer_log_weight_gradient_q(network, tools, layer, &dz->inputs);
    }
    if (dh) {
        eoc_layer_apply_transposed(network, tools, &matrix, dz->inputs.values, dh->inputs.values,
                                   eoc_signals_columns(dz), layer->kept);
        eoc_signals_set_width(dh, width(network, l - 1));
        dh->inputs.exponent = dz->inputs.exponent;
        dh->tangents.exponent = dz->tangents.exponent;
    }
}

/* sigma_w^2 mean(slope^2): of the map alone, where no normalization has a part in it. */
static double chi_1(const eoc_network *network, int l, const eoc_layer *layer)
{
    (void)l;
    if (eoc_network_norm(network).rule != EOC_NORM_NONE) {
        return NAN;
    }
    const size_t n = (size_t)layer->z.columns * (size_t)eoc_network_features(network);
    return eoc_network_effective(network) * eoc_linalg_dot(layer->slope, layer->slope, n) / (double)n;
}

static bool gates(const eoc_network *network, eoc_gates *gates)
{
    *gates = eoc_network_gates(network, 0.0, 1.0);
    gates->last_gate = true;
    return eoc_network_has_gates(network);
}

const eoc_architecture_kind eoc_fully_connected = {
    .name = "fully_connected",
    .formula = "z^l = W^l h^(l-1) + b^l, h^l = phi(norm(z^l)), norm(z) = z without normalization",
    .source = "Poole et al. 2016; Schoenholz et al. 2017",
    .parameters = {EOC_COMMON_PARAMETERS},
    .check = check,
    .in_theory = eoc_network_is_plain,
    .block = block,
    .needs = needs,
    .width = width,
    .form = form,
    .weights = weights,
    .forward = forward,
    .push_tangents = push_tangents,
    .backward_activation = backward_activation,
    .backward_weights = backward_weights,
    .chi_1 = chi_1,
    .gates = gates,
};
