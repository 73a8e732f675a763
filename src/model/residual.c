/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Residual networks: a stream h^l = skip h^(l-1) + branch f_l(h^(l-1)), l = 2..L, from the lift h^1 = W^1 x + b^1.
 *
 *   pre_activation  f_l(h) = W phi(norm(h)) + b             Balduzzi et al. 2017; He et al. 2016
 *   reduced         f_l(h) = phi(norm(W h + b))             Yang & Schoenholz 2017
 *   full            f_l(h) = V phi(norm(W h + b)) + a       Yang & Schoenholz 2017
 */
#include "layer_parts.h"

#include "eoc/linalg.h"

#include <math.h>
#include <string.h>

const char *const eoc_branch_words[] = {"1/sqrt(depth)", NULL};
static const char *const form_words[] = {"pre_activation", "reduced", "full", NULL};

typedef struct {
    int form;
    double skip, branch;
} block;

static block block_of(const eoc_network *network)
{
    const double *const p = network->architecture.parameters;
    const double branch = p[EOC_PARAMETER_BRANCH];
    return (block){.form = (int)p[EOC_PARAMETER_FORM],
                   .skip = p[EOC_PARAMETER_SKIP],
                   .branch = branch < 0.0 ? 1.0 / sqrt((double)network->depth) : branch};
}

static eoc_status check(const eoc_network *network)
{
    EOC_REQUIRE(block_of(network).form != EOC_FORM_REDUCED || eoc_activation_features(&network->activation) == 1,
                EOC_ERR_USAGE,
                "form=reduced adds phi(z) to the stream unit by unit, and %s has two features a unit; accepted with "
                "it: form=pre_activation or form=full",
                network->activation.kind->name);
    return EOC_OK;
}

static bool in_theory(const eoc_network *network)
{
    (void)network;
    return false;
}

static eoc_block block_for_theory(const eoc_network *network)
{
    const block b = block_of(network);
    eoc_block told = eoc_network_common_block(network);
    told.matrix_before = b.form != EOC_FORM_PRE_ACTIVATION;
    told.matrix_behind = b.form != EOC_FORM_REDUCED;
    told.skip = b.skip;
    told.branch = b.branch;
    return told;
}

static eoc_layer_needs needs(const eoc_network *network)
{
    return (eoc_layer_needs){.features = eoc_activation_features(&network->activation),
                             .normalized = eoc_network_norm(network).rule != EOC_NORM_NONE,
                             .second_matrix = block_of(network).form == EOC_FORM_FULL,
                             .scratch = true,
                             .coupled = eoc_network_norm(network).rule == EOC_NORM_BATCH};
}

static int width(const eoc_network *network, int l)
{
    (void)l;
    return network->width;
}

static eoc_layer_form form(const eoc_network *network, int l)
{
    static const eoc_layer_doing lift[] = {EOC_DO_MATRIX, EOC_DO_NOTHING};
    static const eoc_layer_doing pre_activation[] = {EOC_DO_FORK,   EOC_DO_NORM, EOC_DO_PHI,
                                                     EOC_DO_MATRIX, EOC_DO_ADD,  EOC_DO_NOTHING};
    static const eoc_layer_doing reduced[] = {EOC_DO_FORK, EOC_DO_MATRIX, EOC_DO_NORM,
                                              EOC_DO_PHI,  EOC_DO_ADD,    EOC_DO_NOTHING};
    static const eoc_layer_doing full[] = {EOC_DO_FORK,   EOC_DO_MATRIX, EOC_DO_NORM,   EOC_DO_PHI,
                                           EOC_DO_MATRIX, EOC_DO_ADD,    EOC_DO_NOTHING};
    const block b = block_of(network);
    const eoc_layer_doing *const blocks[] = {
        [EOC_FORM_PRE_ACTIVATION] = pre_activation, [EOC_FORM_REDUCED] = reduced, [EOC_FORM_FULL] = full};
    return (eoc_layer_form){.doings = l == 1 ? lift : blocks[b.form], .skip = b.skip, .branch = b.branch};
}

/* W of the lift and of the blocks. */
static eoc_matrix weights(const eoc_network *network, int l)
{
    return eoc_layer_matrix(network, l, EOC_TENSOR_WEIGHT, l > 1 && block_of(network).form == EOC_FORM_PRE_ACTIVATION);
}

/* The matrix that meets the features of a block, if there is one, and what the sampler keeps of it. */
static eoc_matrix feature_matrix(const eoc_network *network, int l)
{
    const bool full = block_of(network).form == EOC_FORM_FULL;
    return eoc_layer_matrix(network, l, EOC_TENSOR_WEIGHT + (full ? 1 : 0), true);
}

static void *feature_kept(const block *b, const eoc_layer *layer)
{
    return b->form == EOC_FORM_FULL ? layer->second_kept : layer->kept;
}

static void lift(const eoc_network *network, const eoc_layer_tools *tools, eoc_signals *h, eoc_layer *layer)
{
    const eoc_matrix matrix = weights(network, 1);
    eoc_layer_note_inputs(network, &h->inputs, layer);
    eoc_layer_apply(network, tools, &matrix, h->inputs.values, layer->z.values, eoc_signals_columns(h), layer->kept);
    layer->z.exponent = h->inputs.exponent;
    eoc_layer_add_bias(network, tools, 1, 0, &layer->z);
    memcpy(h->inputs.values, layer->z.values,
           sizeof(double) * (eoc_batch_size(&h->inputs) + eoc_batch_size(&h->tangents)));
    h->inputs.exponent = layer->z.exponent;
    eoc_batch_normalize(&h->inputs);
    eoc_batch_normalize(&h->tangents);
}

/* f(h) and its tangents: through layer->z's memory, where they are left, or in the scratch memory (reduced). */
static eoc_signals branch_forward(const eoc_network *network, const eoc_layer_tools *tools, int l, const block *b,
                                  const eoc_signals *h, eoc_layer *layer)
{
    const eoc_norm norm = eoc_network_norm(network);
    const int inputs = h->inputs.columns, columns = eoc_signals_columns(h),
              riders = eoc_network_riders(network, inputs);
    eoc_signals u = *h, f = *h;
    u.inputs.values = layer->z.values;
    eoc_signals_set_width(&u, network->width);
    if (b->form == EOC_FORM_PRE_ACTIVATION) {
        memcpy(u.inputs.values, h->inputs.values, sizeof(double) * (size_t)columns * (size_t)network->width);
    } else {
        const eoc_matrix w = weights(network, l);
        eoc_layer_note_inputs(network, &h->inputs, layer);
        eoc_layer_apply(network, tools, &w, h->inputs.values, u.inputs.values, columns, layer->kept);
        eoc_layer_add_bias(network, tools, l, 0, &u.inputs);
    }
    if (norm.rule != EOC_NORM_NONE) {
        eoc_norm_forward(&norm, &u.inputs, layer->norm);
        eoc_norm_derivative(&norm, inputs, riders, layer->norm, &u.tangents);
    }
    f.inputs.values = tools->scratch;
    eoc_signals_set_width(&f, eoc_network_features(network));
    eoc_layer_phi(network, tools, l, &u.inputs, &f.inputs, layer->slope);
    if (f.tangents.columns) {
        eoc_layer_expand(network, layer->slope, riders, &u.tangents, &f.tangents);
    }
    if (b->form == EOC_FORM_REDUCED) {
        return f;
    }
    const eoc_matrix v = feature_matrix(network, l);
    if (b->form == EOC_FORM_PRE_ACTIVATION) {
        eoc_layer_note_inputs(network, &f.inputs, layer);
    }
    eoc_layer_apply(network, tools, &v, f.inputs.values, u.inputs.values, columns, feature_kept(b, layer));
    u.inputs.exponent = f.inputs.exponent;
    u.tangents.exponent = f.tangents.exponent;
    eoc_layer_add_bias(network, tools, l, b->form == EOC_FORM_FULL ? 1 : 0, &u.inputs);
    return u;
}

static void forward(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_signals *h, eoc_layer *layer)
{
    if (l == 1) {
        lift(network, tools, h, layer);
    } else {
        const block b = block_of(network);
        eoc_signals f = branch_forward(network, tools, l, &b, h, layer);
        eoc_batch_add(b.skip, &h->inputs, b.branch, &f.inputs);
        if (h->tangents.columns) {
            eoc_batch_add(b.skip, &h->tangents, b.branch, &f.tangents);
        }
    }
    layer->z = h->inputs;
}

static void push_tangents(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                          const eoc_batch *in, eoc_batch *out)
{
    const block b = block_of(network);
    const eoc_norm norm = eoc_network_norm(network);
    const eoc_matrix w = weights(network, l);
    const int columns = in->columns;
    const size_t bytes = sizeof(double) * eoc_batch_size(in);
    out->exponent = in->exponent;
    if (l > 1 && b.form == EOC_FORM_PRE_ACTIVATION) {
        memcpy(out->values, in->values, bytes);
    } else {
        eoc_layer_apply(network, tools, &w, in->values, out->values, columns, layer->kept);
    }
    if (l == 1) {
        return;
    }
    if (norm.rule != EOC_NORM_NONE) {
        eoc_norm_derivative(&norm, layer->z.columns, eoc_network_positions(network), layer->norm, out);
    }
    eoc_batch f = {.columns = columns, .values = tools->scratch};
    eoc_layer_expand(network, layer->slope, eoc_network_positions(network), out, &f);
    if (b.form != EOC_FORM_REDUCED) {
        const eoc_matrix v = feature_matrix(network, l);
        eoc_layer_apply(network, tools, &v, f.values, out->values, columns, feature_kept(&b, layer));
        out->exponent = f.exponent;
        f = *out;
        f.values = tools->scratch;
        memcpy(f.values, out->values, bytes);
    }
    memcpy(out->values, in->values, bytes);
    out->exponent = in->exponent;
    eoc_batch_add(b.skip, out, b.branch, &f);
}

/* z^l is h^l. */
static void backward_activation(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                                eoc_signals *dh)
{
    (void)network, (void)tools, (void)l, (void)layer, (void)dh;
}

static void copy_signals(const eoc_signals *from, eoc_signals *to)
{
    memcpy(to->inputs.values, from->inputs.values,
           sizeof(double) * (eoc_batch_size(&from->inputs) + eoc_batch_size(&from->tangents)));
    to->inputs.exponent = from->inputs.exponent;
    to->tangents.exponent = from->tangents.exponent;
}

/* log of the mean square gradient by W^l, given that by what W^l adds to, less the branch's factor. */
static double log_weight_gradient_q(const eoc_network *network, const eoc_layer_tools *tools, const eoc_layer *layer,
                                    const eoc_batch *d, double branch)
{
    return eoc_layer_log_weight_gradient_q(network, tools, layer, d) + 2.0 * log(branch);
}

static void backward_weights(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                             const eoc_signals *dz, eoc_signals *dh, double *log_gradient)
{
    const block b = block_of(network);
    const eoc_matrix w = weights(network, l);
    const int columns = eoc_signals_columns(dz);
    if (l == 1) {
        if (log_gradient) {
            *log_gradient = log_weight_gradient_q(network, tools, layer, &dz->inputs, 1.0);
        }
        if (dh) {
            eoc_signals_set_width(dh, network->width);
            eoc_layer_apply_transposed(network, tools, &w, dz->inputs.values, dh->inputs.values, columns, layer->kept);
            dh->inputs.exponent = dz->inputs.exponent;
            dh->tangents.exponent = dz->tangents.exponent;
        }
        return;
    }
    /* Back through the branch, to its features, to what phi saw, to the stream. */
    eoc_signals f = *dz;
    f.inputs.values = tools->scratch;
    eoc_signals_set_width(&f, eoc_network_features(network));
    if (b.form == EOC_FORM_REDUCED) {
        copy_signals(dz, &f);
    } else {
        const eoc_matrix v = feature_matrix(network, l);
        eoc_layer_apply_transposed(network, tools, &v, dz->inputs.values, f.inputs.values, columns,
                                   feature_kept(&b, layer));
    }
    if (b.form == EOC_FORM_PRE_ACTIVATION && log_gradient) {
        *log_gradient = log_weight_gradient_q(network, tools, layer, &dz->inputs, b.branch);
    }
    eoc_layer_back_to_z(network, tools, layer, &f);
    if (b.form != EOC_FORM_PRE_ACTIVATION && log_gradient) {
        *log_gradient = log_weight_gradient_q(network, tools, layer, &f.inputs, b.branch);
    }
    eoc_signals_set_width(dh, network->width);
    if (b.form != EOC_FORM_PRE_ACTIVATION) {
        eoc_layer_apply_transposed(network, tools, &w, f.inputs.values, dh->inputs.values, columns, layer->kept);
        memcpy(f.inputs.values, dh->inputs.values, sizeof(double) * (size_t)columns * (size_t)network->width);
    }
    copy_signals(dz, dh);
    eoc_batch_add(b.skip, &dh->inputs, b.branch, &f.inputs);
    eoc_batch_add(b.skip, &dh->tangents, b.branch, &f.tangents);
}

/* skip^2 + branch^2 sigma_w^2 mean(slope^2), with sigma_w^4 where there are two matrices; of the lift sigma_w^2. */
static double chi_1(const eoc_network *network, int l, const eoc_layer *layer)
{
    const block b = block_of(network);
    const eoc_matrix w = weights(network, l);
    const double lift_w2 = w.fan_in * eoc_matrix_variance(&w);
    if (l == 1) {
        return lift_w2;
    }
    if (eoc_network_norm(network).rule != EOC_NORM_NONE) {
        return NAN;
    }
    const size_t n = (size_t)layer->z.columns * (size_t)eoc_network_features(network);
    const double slope2 = eoc_linalg_dot(layer->slope, layer->slope, n) / (double)n;
    const double w2 = b.form == EOC_FORM_FULL      ? lift_w2 * eoc_network_effective(network)
                      : b.form == EOC_FORM_REDUCED ? lift_w2
                                                   : eoc_network_effective(network);
    return b.skip * b.skip + b.branch * b.branch * w2 * slope2;
}

static bool gates(const eoc_network *network, eoc_gates *gates)
{
    const block b = block_of(network);
    *gates = eoc_network_gates(network, b.skip, b.branch);
    return b.form == EOC_FORM_PRE_ACTIVATION && eoc_network_has_gates(network);
}

const eoc_architecture_kind eoc_residual = {
    .name = "residual",
    .formula = "h^1 = W^1 x + b^1, h^l = skip h^(l-1) + branch f^l(h^(l-1)); z^l = h^l",
    .source = "He et al. 2016; Balduzzi et al. 2017; Yang & Schoenholz 2017",
    .parameters = {EOC_COMMON_PARAMETERS, EOC_BLOCK_PARAMETERS(form_words, EOC_FORM_PRE_ACTIVATION)},
    .check = check,
    .in_theory = in_theory,
    .block = block_for_theory,
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
