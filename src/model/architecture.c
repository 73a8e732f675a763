/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/architecture.h"

#include "eoc/linalg.h"
#include "eoc/vecmath.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const double LOG_2 = 0.69314718055994530942;

/* Values are kept within 2^+-SAFE_EXPONENT, so that their squares, summed over any width, stay normal numbers. */
enum { SAFE_EXPONENT = 300 };

/* Below 2^-LINEAR_EXPONENT every phi with phi(0) = 0 is linear on either side of 0 to far beyond rounding. */
enum { LINEAR_EXPONENT = 200 };

static size_t batch_size(const eoc_batch *batch)
{
    return (size_t)batch->columns * (size_t)batch->width;
}

static double batch_max(const eoc_batch *batch)
{
    return eoc_vec_max_abs(batch->values, batch_size(batch));
}

/* values * 2^shift, exponent - shift */
static void batch_shift(eoc_batch *batch, int64_t shift)
{
    const size_t n = batch_size(batch);
    const double factor = ldexp(1.0, (int)shift);
    for (size_t i = 0; i < n; i++) {
        batch->values[i] *= factor;
    }
    batch->exponent -= shift;
}

double eoc_batch_log_mean_square(const eoc_batch *batch)
{
    const size_t n = batch_size(batch);
    const double sum = eoc_linalg_dot(batch->values, batch->values, n);
    return log(sum / (double)n) + 2.0 * LOG_2 * (double)batch->exponent;
}

void eoc_batch_normalize(eoc_batch *batch)
{
    const double max = batch_max(batch);
    if (max > 0.0 && isfinite(max) && (max > ldexp(1.0, SAFE_EXPONENT) || max < ldexp(1.0, -SAFE_EXPONENT))) {
        /* In steps: a subnormal maximum asks for a factor beyond the range of a double. */
        int64_t shift = -(int64_t)ilogb(max);
        for (; shift > 1000; shift -= 1000) {
            batch_shift(batch, 1000);
        }
        batch_shift(batch, shift);
    }
}

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
    const double max = batch_max(z);
    if (activation->kind->zero_at_zero && max > 0.0 && isfinite(max)) {
        const int64_t size = (int64_t)ilogb(max) + z->exponent;
        if (size < -LINEAR_EXPONENT) {
            return z->exponent - size - LINEAR_EXPONENT;
        }
    }
    return z->exponent;
}

static double power_of_two(int64_t exponent)
{
    return exponent > 2000 ? INFINITY : exponent < -2000 ? 0.0 : ldexp(1.0, (int)exponent);
}

/* h = phi(z) and, where wanted, slope = phi'(z), entry by entry */
static void apply_phi(const eoc_activation *activation, const eoc_batch *z, eoc_batch *h, double *slope)
{
    const size_t n = batch_size(z);
    const int64_t shift = shift_into_phi(activation, z);
    const double *argument = z->values;
    if (shift != 0) {
        memcpy(h->values, z->values, sizeof(double) * n);
        eoc_linalg_scale(power_of_two(shift), h->values, n);
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
    /* Tiny signals are handed on as tiny numbers only while phi is not linear in them. */
    eoc_batch_normalize(h);
}

/* batch *= slope, vector by vector, `step` values of slope apart: 0 when all ride on input 0 */
static void multiply_slope(const double *slope, size_t step, eoc_batch *batch)
{
    const size_t width = (size_t)batch->width;
    for (int c = 0; c < batch->columns; c++) {
        eoc_vec_multiply(slope + (size_t)c * step, batch->values + (size_t)c * width, width);
    }
    eoc_batch_normalize(batch);
}

/* z += b, the same bias vector for every column */
static void add_bias(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_batch *z)
{
    if (network->bias_variance == 0.0) {
        return;
    }
    const size_t width = (size_t)z->width;
    const eoc_stream stream = {network->key, (uint32_t)l, EOC_TENSOR_BIAS, 0};
    const double scale = sqrt(network->bias_variance) * power_of_two(-z->exponent);
    eoc_rng_normals_scaled(&stream, 0, scale, tools->bias, width);
    for (int c = 0; c < z->columns; c++) {
        eoc_linalg_axpy(1.0, tools->bias, z->values + (size_t)c * width, width);
    }
}

/* -- fully_connected: z^l = W^l h^(l-1) + b^l, h^l = phi(z^l) -- */

static eoc_matrix square_weights(const eoc_network *network, int l)
{
    return (eoc_matrix){.initializer = network->initializer,
                        .weight_variance = network->weight_variance,
                        .key = network->key,
                        .layer = (uint32_t)l,
                        .tensor = EOC_TENSOR_WEIGHT,
                        .fan_out = network->width,
                        .fan_in = network->width};
}

static void fully_connected_forward(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_signals *h,
                                    eoc_layer *layer)
{
    const eoc_matrix weights = square_weights(network, l);
    eoc_batch *const inputs = &h->inputs, *const tangents = &h->tangents;
    eoc_linalg_gram(inputs->values, inputs->columns, inputs->width, layer->input_gram);
    layer->input_gram_exponent = 2 * inputs->exponent;
    tools->sampler->apply(tools->weights, &weights, inputs->values, layer->z.values,
                          inputs->columns + tangents->columns, layer->kept);
    layer->z.exponent = inputs->exponent;
    add_bias(network, tools, l, &layer->z);
    apply_phi(&network->activation, &layer->z, inputs, layer->slope);
    if (tangents->columns) {
        memcpy(tangents->values, layer->z.values + batch_size(inputs), sizeof(double) * batch_size(tangents));
        multiply_slope(layer->slope, 0, tangents);
    }
}

static void fully_connected_push_tangents(const eoc_network *network, const eoc_layer_tools *tools, int l,
                                          const eoc_layer *layer, const eoc_batch *in, eoc_batch *out)
{
    const eoc_matrix weights = square_weights(network, l);
    tools->sampler->apply(tools->weights, &weights, in->values, out->values, in->columns, layer->kept);
    out->exponent = in->exponent;
    multiply_slope(layer->slope, 0, out);
}

static void fully_connected_backward_activation(const eoc_network *network, int l, const eoc_layer *layer,
                                                eoc_signals *dh)
{
    (void)network, (void)l;
    multiply_slope(layer->slope, (size_t)dh->inputs.width, &dh->inputs);
    multiply_slope(layer->slope, 0, &dh->tangents);
}

static void fully_connected_backward_weights(const eoc_network *network, const eoc_layer_tools *tools, int l,
                                             const eoc_layer *layer, const eoc_signals *dz, eoc_signals *dh)
{
    const eoc_matrix weights = square_weights(network, l);
    tools->sampler->apply_transposed(tools->weights, &weights, dz->inputs.values, dh->inputs.values,
                                     dz->inputs.columns + dz->tangents.columns, layer->kept);
    dh->inputs.exponent = dz->inputs.exponent;
    dh->tangents.exponent = dz->tangents.exponent;
}

/* dE/dW = sum_a dz_a h_a^t, whose mean square entry is sum_ab (dz_a.dz_b)(h_a.h_b)/(fan_out fan_in). */
static double fully_connected_log_weight_gradient_q(const eoc_network *network, const eoc_layer *layer,
                                                    const eoc_batch *dz, double *gram)
{
    (void)network;
    eoc_linalg_gram(dz->values, dz->columns, dz->width, gram);
    const size_t n = (size_t)dz->columns * (size_t)dz->columns;
    /* The two Gram matrices may each be near the ends of the range: bring them near 1 before they meet. */
    double max_dz = 0.0, max_h = 0.0;
    for (size_t i = 0; i < n; i += (size_t)dz->columns + 1) {
        max_dz = gram[i] > max_dz ? gram[i] : max_dz;
        max_h = layer->input_gram[i] > max_h ? layer->input_gram[i] : max_h;
    }
    if (max_dz == 0.0 || max_h == 0.0) {
        return -INFINITY;
    }
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (gram[i] / max_dz) * (layer->input_gram[i] / max_h);
    }
    const double width = dz->width;
    return log(sum / (width * width)) + log(max_dz) + log(max_h) +
           LOG_2 * (double)(2 * dz->exponent + layer->input_gram_exponent);
}

static const eoc_architecture_kind architectures[] = {
    {.name = "fully_connected",
     .formula = "z^l = W^l h^(l-1) + b^l, h^l = phi(z^l)",
     .source = "Poole et al. 2016; Schoenholz et al. 2017",
     .weights = square_weights,
     .forward = fully_connected_forward,
     .push_tangents = fully_connected_push_tangents,
     .backward_activation = fully_connected_backward_activation,
     .backward_weights = fully_connected_backward_weights,
     .log_weight_gradient_q = fully_connected_log_weight_gradient_q},
};

int eoc_architecture_count(void)
{
    return (int)(sizeof architectures / sizeof architectures[0]);
}

const eoc_architecture_kind *eoc_architecture_row(int row)
{
    assert(row >= 0 && row < eoc_architecture_count());
    return &architectures[row];
}

static const char *row_name(int row)
{
    return architectures[row].name;
}

static const eoc_parameter *row_parameters(int row)
{
    return architectures[row].parameters;
}

const eoc_kind_table *eoc_architecture_table(void)
{
    static eoc_kind_table table = {.what = "architecture", .name = row_name, .parameters = row_parameters};
    table.count = eoc_architecture_count();
    return &table;
}

eoc_status eoc_architecture_find(const char *text, eoc_architecture *architecture)
{
    int row = 0;
    EOC_TRY(eoc_kind_parse(eoc_architecture_table(), text, &row, architecture->parameters));
    architecture->kind = &architectures[row];
    return EOC_OK;
}
