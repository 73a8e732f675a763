/* SPDX-License-Identifier: BSD-3-Clause */
#include "layer_parts.h"

#include "eoc/linalg.h"
#include "eoc/vecmath.h"

#include <math.h>
#include <string.h>

/* Below 2^-LINEAR_EXPONENT every phi with phi(0) = 0 is linear on either side of 0 to far beyond rounding. */
enum { LINEAR_EXPONENT = 200 };

const char *const eoc_norm_words[] = {"none", "batch", "layer", NULL};
const char *const eoc_yes_no_words[] = {"no", "yes", NULL};

/* -- what the common parameters say -- */

eoc_norm eoc_network_norm(const eoc_network *network)
{
    const double *const p = network->architecture.parameters;
    return (eoc_norm){.rule = (eoc_norm_rule)p[EOC_PARAMETER_NORM],
                      .gamma = p[EOC_PARAMETER_GAMMA],
                      .beta = p[EOC_PARAMETER_BETA],
                      .epsilon = p[EOC_PARAMETER_EPSILON]};
}

double eoc_network_keep(const eoc_network *network)
{
    return network->architecture.parameters[EOC_PARAMETER_KEEP];
}

int eoc_network_features(const eoc_network *network)
{
    return eoc_activation_features(&network->activation) * network->width;
}

bool eoc_network_is_plain(const eoc_network *network)
{
    return network->architecture.parameters[EOC_PARAMETER_NORM] == EOC_NORM_NONE && eoc_network_keep(network) == 1.0;
}

eoc_block eoc_network_common_block(const eoc_network *network)
{
    const eoc_matrix w = eoc_layer_matrix(network, 1, EOC_TENSOR_WEIGHT, false);
    return (eoc_block){.matrix_behind = true,
                       .mirrored =
                           network->initializer.kind->mirrored && eoc_activation_features(&network->activation) == 2,
                       .skip = 0.0,
                       .branch = 1.0,
                       .norm = eoc_network_norm(network),
                       .keep = eoc_network_keep(network),
                       .lift_variance = w.fan_in * eoc_matrix_variance(&w),
                       .variance = eoc_network_effective(network)};
}

int eoc_network_riders(const eoc_network *network, int inputs)
{
    const bool coupled = network->architecture.parameters[EOC_PARAMETER_NORM] == EOC_NORM_BATCH;
    return coupled ? inputs : eoc_network_positions(network);
}

/* -- matrices -- */

eoc_matrix eoc_layer_matrix(const eoc_network *network, int l, uint32_t tensor, bool of_features)
{
    const eoc_initializer_kind *kind = network->initializer.kind;
    const bool mirrored = of_features && kind->mirrored && eoc_activation_features(&network->activation) == 2;
    const eoc_geometry g = eoc_network_geometry(network);
    const int taps = kind->centre || kind->projections ? 1 : eoc_geometry_taps(&g);
    const int channels = of_features && !mirrored ? eoc_network_features(network) : network->width;
    return (eoc_matrix){.initializer = network->initializer,
                        .weight_variance = network->weight_variance,
                        .key = network->key,
                        .layer = (uint32_t)l,
                        .tensor = tensor,
                        .fan_out = network->width,
                        .fan_in = taps * channels,
                        .mirrored = mirrored,
                        .taps = taps};
}

/* (columns, 2 n) to (columns, n): first half less second, in place */
static void fold(double *x, int n, int columns)
{
    for (int c = 0; c < columns; c++) {
        const double *const from = x + 2 * (size_t)c * (size_t)n;
        double *const to = x + (size_t)c * (size_t)n;
        for (int i = 0; i < n; i++) {
            to[i] = from[i] - from[n + i];
        }
    }
}

/* Its transpose: (columns, n) to (columns, 2 n), the second half the first one's negative, in place */
static void unfold(double *x, int n, int columns)
{
    for (int c = columns - 1; c >= 0; c--) {
        const double *const from = x + (size_t)c * (size_t)n;
        double *const to = x + 2 * (size_t)c * (size_t)n;
        for (int i = n - 1; i >= 0; i--) {
            const double value = from[i];
            to[n + i] = -value;
            to[i] = value;
        }
    }
}

static int taps_of(const eoc_matrix *matrix)
{
    return matrix->taps > 1 ? matrix->taps : 1;
}

void eoc_layer_apply(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix, double *x,
                     double *y, int columns, void *kept)
{
    if (matrix->mirrored) {
        fold(x, matrix->fan_in / taps_of(matrix), columns);
    }
    if (taps_of(matrix) > 1) {
        eoc_space_apply(network, tools, matrix, x, y, columns, kept);
    } else {
        tools->sampler->apply(tools->weights, matrix, x, y, columns, kept);
    }
    if (eoc_network_projections(network) > 0) {
        eoc_projections_apply(network, tools, matrix, y, columns);
    }
}

void eoc_layer_apply_transposed(const eoc_network *network, const eoc_layer_tools *tools, const eoc_matrix *matrix,
                                const double *y, double *x, int columns, const void *kept)
{
    if (eoc_network_projections(network) > 0) {
        eoc_projections_apply_transposed(network, tools, matrix, y, x, columns, kept);
    } else if (taps_of(matrix) > 1) {
        eoc_space_apply_transposed(network, tools, matrix, y, x, columns, kept);
    } else {
        tools->sampler->apply_transposed(tools->weights, matrix, y, x, columns, kept);
    }
    if (matrix->mirrored) {
        unfold(x, matrix->fan_in / taps_of(matrix), columns);
    }
}

void eoc_layer_add_bias(const eoc_network *network, const eoc_layer_tools *tools, int l, uint32_t which, eoc_batch *z)
{
    if (network->bias_variance == 0.0) {
        return;
    }
    const size_t width = (size_t)z->width;
    const eoc_stream stream = {network->key, (uint32_t)l, EOC_TENSOR_BIAS, which};
    const double scale = sqrt(network->bias_variance) * eoc_power_of_two(-z->exponent);
    eoc_rng_normals_scaled(&stream, 0, scale, tools->bias, width);
    for (int c = 0; c < z->columns; c++) {
        eoc_linalg_axpy(1.0, tools->bias, z->values + (size_t)c * width, width);
    }
}

/* -- phi -- */

/*
 * The power of two by which z's values are multiplied before phi sees them; what is left of the exponent passes through
 * phi as a factor. Scale-invariant phi: all of it passes. phi(0) = 0 and a signal so small that phi is linear: phi is
 * evaluated at the greatest size at which it still is. Otherwise phi sees the true values.
 */
static int64_t shift_into_phi(const eoc_activation *activation, const eoc_batch *z)
{
    if (activation->kind->scale_invariant || z->exponent == 0) {
        return 0;
    }
    const double max = eoc_batch_max(z);
    if (activation->kind->zero_at_zero && max > 0.0 && isfinite(max)) {
        const int64_t size = (int64_t)ilogb(max) + z->exponent;
        if (size < -LINEAR_EXPONENT) {
            return z->exponent - size - LINEAR_EXPONENT;
        }
    }
    return z->exponent;
}

/* h = phi(z) and, where wanted, slope = phi'(z), entry by entry */
static void apply_phi(const eoc_activation *activation, const eoc_batch *z, eoc_batch *h, double *slope)
{
    const size_t n = eoc_batch_size(z);
    const int64_t shift = shift_into_phi(activation, z);
    const double *argument = z->values;
    if (shift != 0) {
        if (h->values != z->values) {
            memcpy(h->values, z->values, sizeof(double) * n);
        }
        eoc_linalg_scale(eoc_power_of_two(shift), h->values, n);
        argument = h->values;
    }
    if (slope && activation->kind->phi_dphi_many) {
        activation->kind->phi_dphi_many(argument, h->values, slope, n, activation->parameters);
    } else {
        if (slope) {
            activation->kind->dphi_many(argument, slope, n, activation->parameters);
        }
        activation->kind->phi_many(argument, h->values, n, activation->parameters);
    }
    h->exponent = z->exponent - shift;
}

/* The same for two features a unit, phi(z) and phi(-z). */
static void apply_phi_twice(const eoc_activation *activation, const eoc_batch *z, eoc_batch *h, double *slope)
{
    const size_t n = (size_t)z->width;
    const int64_t shift = shift_into_phi(activation, z);
    const double factor = eoc_power_of_two(shift);
    for (int c = 0; c < z->columns; c++) {
        const double *const from = z->values + (size_t)c * n;
        double *const first = h->values + 2 * (size_t)c * n, *const second = first + n;
        for (size_t i = 0; i < n; i++) {
            first[i] = factor * from[i];
            second[i] = -first[i];
        }
        if (slope) {
            double *const s = slope + 2 * (size_t)c * n;
            activation->kind->dphi_many(first, s, 2 * n, activation->parameters);
            eoc_linalg_scale(-1.0, s + n, n);
        }
        activation->kind->phi_many(first, first, 2 * n, activation->parameters);
    }
    h->exponent = z->exponent - shift;
}

/* Inverted dropout: every feature of every input is kept with probability `keep`, and then divided by it. */
static void drop(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_batch *h, double *slope)
{
    const double keep = eoc_network_keep(network);
    const float limit = (float)(2.0 * keep - 1.0);
    float *const drawn = (float *)(void *)tools->bias; /* at most two features a unit, two numbers a double */
    for (int c = 0; c < h->columns; c++) {
        const eoc_stream stream = {network->key, (uint32_t)l, EOC_TENSOR_MASK, (uint32_t)c};
        const size_t count = (size_t)h->width, start = (size_t)c * count;
        eoc_rng_uniforms_float(&stream, drawn, count);
        for (size_t i = 0; i < count; i++) {
            const bool kept = drawn[i] < limit;
            h->values[start + i] = kept ? h->values[start + i] / keep : 0.0;
            if (slope) {
                slope[start + i] = kept ? slope[start + i] / keep : 0.0;
            }
        }
    }
}

void eoc_layer_phi(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_batch *z, eoc_batch *h,
                   double *slope)
{
    const int features = eoc_activation_features(&network->activation);
    (features == 1 ? apply_phi : apply_phi_twice)(&network->activation, z, h, slope);
    h->width = features * z->width;
    if (eoc_network_keep(network) < 1.0) {
        drop(network, tools, l, h, slope);
    }
    /* Tiny signals are handed on as tiny numbers only while phi is not linear in them. */
    eoc_batch_normalize(h);
}

/* -- its derivative -- */

void eoc_layer_expand(const eoc_network *network, const double *slope, int riders, const eoc_batch *t, eoc_batch *out)
{
    const size_t n = (size_t)t->width, features = (size_t)eoc_activation_features(&network->activation);
    if (features == 1 && out->values != t->values) {
        memcpy(out->values, t->values, sizeof(double) * eoc_batch_size(t));
    }
    out->width = (int)features * t->width;
    out->exponent = t->exponent;
    for (int c = 0; c < t->columns; c++) {
        const double *const s = slope + (size_t)(c % riders) * features * n;
        double *const to = out->values + (size_t)c * features * n;
        if (features == 1) {
            eoc_vec_multiply(s, to, n);
            continue;
        }
        const double *const from = t->values + (size_t)c * n;
        for (size_t i = 0; i < n; i++) {
            to[i] = s[i] * from[i];
            to[n + i] = s[n + i] * from[i];
        }
    }
    eoc_batch_normalize(out);
}

void eoc_layer_contract(const eoc_network *network, const double *slope, int riders, eoc_batch *d, double *to)
{
    const size_t features = (size_t)eoc_activation_features(&network->activation), n = (size_t)d->width / features;
    for (int c = 0; c < d->columns; c++) {
        const double *const s = slope + (size_t)(c % riders) * features * n;
        double *const from = d->values + (size_t)c * features * n;
        if (features == 1) {
            eoc_vec_multiply(s, from, n);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            to[(size_t)c * n + i] = s[i] * from[i] + s[n + i] * from[n + i];
        }
    }
    if (features != 1) {
        d->values = to;
    }
    d->width = (int)n;
    eoc_batch_normalize(d);
}

void eoc_layer_back_to_z(const eoc_network *network, const eoc_layer_tools *tools, const eoc_layer *layer,
                         eoc_signals *d)
{
    const int inputs = layer->z.columns, riders = eoc_network_riders(network, inputs);
    eoc_layer_contract(network, layer->slope, inputs, &d->inputs, d->inputs.values);
    eoc_layer_contract(network, layer->slope, riders, &d->tangents, d->inputs.values + eoc_batch_size(&d->inputs));
    const eoc_norm norm = eoc_network_norm(network);
    if (norm.rule != EOC_NORM_NONE) {
        if (tools->held && norm.rule == EOC_NORM_BATCH) {
            eoc_norm_derivative_held(&norm, inputs, layer->norm, &d->inputs);
        } else {
            eoc_norm_derivative(&norm, inputs, inputs, layer->norm, &d->inputs);
        }
        eoc_norm_derivative(&norm, inputs, riders, layer->norm, &d->tangents);
    }
}

/* -- gates -- */

eoc_gates eoc_network_gates(const eoc_network *network, double skip, double branch)
{
    const eoc_norm norm = eoc_network_norm(network);
    return (eoc_gates){.skip2 = skip * skip,
                       .branch2 = branch * branch,
                       .sigma_w2 = eoc_network_effective(network),
                       .sigma_b2 = network->bias_variance,
                       .batch = norm.rule == EOC_NORM_BATCH,
                       .gamma2 = norm.gamma * norm.gamma,
                       .epsilon = norm.epsilon};
}

bool eoc_network_has_gates(const eoc_network *network)
{
    const eoc_norm norm = eoc_network_norm(network);
    const bool centred = norm.rule == EOC_NORM_NONE || (norm.rule == EOC_NORM_BATCH && norm.beta == 0.0);
    return centred && eoc_network_keep(network) == 1.0 && eoc_activation_features(&network->activation) == 1;
}
