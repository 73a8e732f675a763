/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of trained networks: what each does to a batch, and to the derivatives on their way back. */
#include "net_parts.h"

#include "eoc/linalg.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static eoc_real *parameters_of(const eoc_net_pass *pass, const eoc_net_part *part)
{
    return pass->net->parameters + part->offset;
}

static size_t num_weights(const eoc_net_part *part)
{
    return (size_t)part->width * (size_t)part->fan_in;
}

void EOC_NET(swap)(eoc_net_pass *pass)
{
    eoc_net *const net = pass->net;
    pass->d = pass->other;
    pass->other = pass->d == net->dh ? net->dz : net->dh;
}

/* -- learning -- */

static void update(eoc_net *net, const eoc_net_step *how, double rate, double scale, size_t offset,
                   const eoc_real *gradient, size_t count)
{
    const eoc_optimizer_kind *kind = &LOOPS->optimizers[how->optimizer->row];
    eoc_real *s[EOC_OPTIMIZER_STATES] = {NULL};
    for (int i = 0; i < kind->num_states; i++) {
        s[i] = net->states[i] + offset;
    }
    kind->update(how->optimizer->parameters, rate, how->step, scale, gradient, net->parameters + offset, s, count);
}

/* The biases of a part, the last of its parameters, at `offset`. */
static void update_biases(eoc_net *net, const eoc_net_step *how, double scale, size_t offset, const eoc_real *gradient,
                          size_t count)
{
    update(net, how, how->learning_rate * how->bias_rate, scale, offset, gradient, count);
}

static void update_part(eoc_net *net, const eoc_net_step *how, double scale, const eoc_net_part *part,
                        const eoc_real *gradient)
{
    const size_t others = part->count - part->num_biases;
    update(net, how, how->learning_rate, scale, part->offset, gradient, others);
    update_biases(net, how, scale, part->offset + others, gradient + others, part->num_biases);
}

eoc_real *EOC_NET(gradient_of)(const eoc_net_pass *pass, const eoc_net_part *part)
{
    return pass->net->gradient + (pass->net->limits.whole_gradient ? part->offset : 0);
}

bool EOC_NET(adds)(const eoc_net_pass *pass)
{
    return pass->how && pass->how->piece > 0;
}

void EOC_NET(step_part)(const eoc_net_pass *pass, const eoc_net_part *part, const eoc_real *gradient)
{
    if (pass->at_once) {
        update_part(pass->net, pass->how, 1.0, part, gradient);
    }
}

static size_t rows_of(const eoc_net_pass *pass, const eoc_net_part *part)
{
    return (size_t)pass->n * (size_t)part->rows;
}

/* A gradient that was made beside its place, where it is added to that of earlier pieces. */
static void add_to_earlier(const eoc_net_pass *pass, const eoc_real *made, eoc_real *gradient, size_t n)
{
    if (made != gradient) {
        LOOPS->combine(1.0, gradient, 1.0, pass->net->sums, gradient, n);
    }
}

void EOC_NET(bias_gradient)(const eoc_net_pass *pass, const eoc_net_part *part, eoc_real *gradient)
{
    const size_t rows = rows_of(pass, part), n = (size_t)part->width;
    eoc_real *const sums = EOC_NET(adds)(pass) ? pass->net->sums : gradient;
    if (part->slope) {
        LOOPS->multiply_and_sum(part->slope, pass->d, sums, rows, n);
    } else {
        LOOPS->sum_columns(pass->d, sums, rows, n);
    }
    add_to_earlier(pass, sums, gradient, n);
}

/* -- matrices: z = W h + b -- */

static void multiply(const eoc_net_pass *pass, const eoc_net_part *part)
{
    GEMM(false, true, pass->n, part->width, part->fan_in, 1, pass->values, parameters_of(pass, part), 0, part->out);
}

static void matrix_forward(eoc_net_pass *pass, eoc_net_part *part)
{
    multiply(pass, part);
    LOOPS->add_row(parameters_of(pass, part) + num_weights(part), part->out, (size_t)pass->n, (size_t)part->width);
}

/* d = dE/dh, or dE/dz without phi: dE/d of what came in, and the step of W and b */
static void matrix_backward(eoc_net_pass *pass, const eoc_net_part *part)
{
    eoc_net *const net = pass->net;
    eoc_real *const weights = parameters_of(pass, part), *const gradient = EOC_NET(gradient_of)(pass, part);
    const size_t at = num_weights(part);
    EOC_NET(bias_gradient)(pass, part, gradient + at);
    if (part != net->parts) {
        GEMM(false, false, pass->n, part->fan_in, part->width, 1, pass->d, weights, 0, pass->other);
    }
    if (pass->in_place) { /* W += factor dE/dW, without a matrix for dE/dW */
        GEMM(true, false, part->width, part->fan_in, pass->n, (eoc_real)-pass->how->learning_rate, pass->d, part->in, 1,
             weights);
        update_biases(net, pass->how, 1.0, part->offset + at, gradient + at, part->num_biases);
    } else {
        GEMM(true, false, part->width, part->fan_in, pass->n, 1, pass->d, part->in, EOC_NET(adds)(pass) ? 1 : 0,
             gradient);
        EOC_NET(step_part)(pass, part, gradient);
    }
    EOC_NET(swap)(pass);
}

/* -- phi -- */

void EOC_NET(apply_phi)(const eoc_activation *a, eoc_real *h, eoc_real *slope, size_t n)
{
#ifdef EOC_REAL_DOUBLE
    a->kind->dphi_many(h, slope, n, a->parameters);
    a->kind->phi_many(h, h, n, a->parameters);
#else
    eoc_activation_both_float(a, h, h, slope, n);
#endif
}

static void matrix_phi_forward(eoc_net_pass *pass, eoc_net_part *part)
{
    const eoc_real *const biases = parameters_of(pass, part) + num_weights(part);
    const size_t width = (size_t)part->width;
    multiply(pass, part);
    for (size_t r = 0; r < (size_t)pass->n; r++) { /* a sample at a time: its units stay in the first-level cache */
        eoc_real *const row = part->out + r * width;
        LOOPS->add_row(biases, row, 1, width);
        EOC_NET(apply_phi)(&pass->net->network.activation, row, part->slope + r * width, width);
    }
}

/* Two features a unit: phi(z) and behind them phi(-z). */
static void apply_phi_twice(const eoc_activation *a, const eoc_real *z, eoc_real *h, eoc_real *slope, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        h[i] = z[i];
        h[n + i] = -z[i];
    }
    EOC_NET(apply_phi)(a, h, slope, 2 * n);
    for (size_t i = 0; i < n; i++) {
        slope[n + i] = -slope[n + i];
    }
}

/* One stream a step, piece of it, and layer: the masks are those of the sample's place in it, whatever ran before. */
static void drop(eoc_net_pass *pass, eoc_net_part *part)
{
    const eoc_network *network = &pass->net->network;
    const eoc_stream stream = {network->key, (uint32_t)part->layer, EOC_TENSOR_TRAIN_MASK + (uint32_t)pass->piece,
                               (uint32_t)pass->step};
    const size_t count = rows_of(pass, part) * (size_t)part->width;
    float *const drawn = (float *)(void *)pass->other; /* free on the way up */
    eoc_rng_uniforms_float(&stream, drawn, count);
    LOOPS->drop(drawn, eoc_network_keep(network), part->out, part->slope, count);
}

static void phi_forward(eoc_net_pass *pass, eoc_net_part *part)
{
    const eoc_activation *a = &pass->net->network.activation;
    const size_t n = (size_t)part->fan_in, width = (size_t)part->width;
    for (size_t r = 0; r < rows_of(pass, part); r++) {
        const eoc_real *const z = pass->values + r * n;
        eoc_real *const h = part->out + r * width, *const slope = part->slope + r * width;
        if (width == n) {
            memcpy(h, z, sizeof *h * n);
            EOC_NET(apply_phi)(a, h, slope, n);
        } else {
            apply_phi_twice(a, z, h, slope, n);
        }
    }
    if (pass->step > 0 && eoc_network_keep(&pass->net->network) < 1.0) {
        drop(pass, part);
    }
}

static void phi_backward(eoc_net_pass *pass, const eoc_net_part *part)
{
    const size_t rows = rows_of(pass, part), n = (size_t)part->fan_in;
    if (part->width == part->fan_in) {
        LOOPS->multiply(part->slope, pass->d, rows * n);
    } else {
        LOOPS->contract(part->slope, pass->d, rows, n);
    }
}

/* -- normalizations -- */

static eoc_net_norm norm_of(const eoc_net_pass *pass, const eoc_net_part *part)
{
    eoc_net *const net = pass->net;
    const size_t n = (size_t)part->width;
    const eoc_real *const gamma = parameters_of(pass, part);
    return (eoc_net_norm){.gamma = gamma,
                          .beta = gamma + n,
                          .epsilon = eoc_network_norm(&net->network).epsilon,
                          .mean = net->moments,
                          .variance = net->moments + n,
                          .x = part->x,
                          .inverse = part->inverse};
}

static void average(const eoc_net_norm *norm, eoc_real *running, size_t rows, int64_t step, size_t n)
{
    const double share = step < 10 ? 1.0 / (double)step : 0.1;
    const double unbiased = rows > 1 ? (double)rows / (double)(rows - 1) : 1.0;
    LOOPS->combine(1.0 - share, running, share, norm->mean, running, n);
    LOOPS->combine(1.0 - share, running + n, share * unbiased, norm->variance, running + n, n);
}

static void norm_forward(eoc_net_pass *pass, eoc_net_part *part)
{
    const eoc_norm_rule rule = eoc_network_norm(&pass->net->network).rule;
    const size_t rows = rows_of(pass, part), n = (size_t)part->width;
    eoc_net_norm norm = norm_of(pass, part);
    if (part->running && pass->step == 0 && pass->net->averaged > 0) {
        norm.mean = part->running;
        norm.variance = part->running + n;
        LOOPS->norm_as_given(&norm, pass->values, part->out, rows, n);
        return;
    }
    LOOPS->norms[rule].forward(&norm, pass->values, part->out, rows, n);
    if (part->running && pass->step > 0 && !pass->again) {
        average(&norm, part->running, rows, pass->step, n);
    }
}

static void norm_backward(eoc_net_pass *pass, const eoc_net_part *part)
{
    const eoc_norm_rule rule = eoc_network_norm(&pass->net->network).rule;
    const eoc_net_norm norm = norm_of(pass, part);
    eoc_real *const gradient = EOC_NET(gradient_of)(pass, part);
    eoc_real *const made = EOC_NET(adds)(pass) ? pass->net->sums : gradient;
    LOOPS->norms[rule].backward(&norm, pass->d, made, rows_of(pass, part), (size_t)part->width);
    add_to_earlier(pass, made, gradient, 2 * (size_t)part->width);
    EOC_NET(step_part)(pass, part, gradient);
}

/* -- residual blocks: u = skip s + branch f(s) -- */

static void fork_forward(eoc_net_pass *pass, eoc_net_part *part)
{
    (void)part;
    pass->stream = pass->values;
}

static void add_forward(eoc_net_pass *pass, eoc_net_part *part)
{
    LOOPS->combine(part->skip, pass->stream, part->branch, pass->values, part->out,
                   rows_of(pass, part) * (size_t)part->width);
}

static void add_backward(eoc_net_pass *pass, const eoc_net_part *part)
{
    const size_t count = rows_of(pass, part) * (size_t)part->width;
    LOOPS->scale(part->skip, pass->d, pass->net->stream, count);
    LOOPS->scale(part->branch, pass->d, pass->d, count);
}

static void fork_backward(eoc_net_pass *pass, const eoc_net_part *part)
{
    LOOPS->combine(1.0, pass->net->stream, 1.0, pass->d, pass->d, rows_of(pass, part) * (size_t)part->width);
}

const eoc_net_part_kind EOC_NET(part_kinds)[] = {
    [EOC_NET_MATRIX] = {"z = W h + b", matrix_forward, matrix_backward},
    [EOC_NET_MATRIX_PHI] = {"h = phi(W h + b)", matrix_phi_forward, matrix_backward},
    [EOC_NET_NORM] = {"y = norm(z)", norm_forward, norm_backward},
    [EOC_NET_PHI] = {"h = phi(z), dropped", phi_forward, phi_backward},
    [EOC_NET_FORK] = {"s = h", fork_forward, fork_backward},
    [EOC_NET_ADD] = {"h = skip s + branch h", add_forward, add_backward},
    [EOC_NET_CONVOLUTION] = {"z = W * h + b, or phi of it", EOC_NET(convolution_forward),
                             EOC_NET(convolution_backward)},
    [EOC_NET_AVERAGE] = {"mean of h over positions", EOC_NET(average_forward), EOC_NET(average_backward)},
};

/* -- up and down -- */

/* Segment of a part; the read-out's is the last. */
static int segment_of(const eoc_net *net, const eoc_net_part *part)
{
    const int layer = part->layer <= net->network.depth ? part->layer : net->network.depth;
    return (layer - 1) / net->segment;
}

/* What came into segment `i` from 1 on. */
static eoc_real *first_of(const eoc_net *net, int i)
{
    const eoc_net_limits *limits = &net->limits;
    const eoc_layer_needs *needs = &limits->needs;
    const size_t positions = needs->positions > 1 ? (size_t)needs->positions : 1;
    const size_t features = needs->features > 1 ? (size_t)needs->features : 1;
    return net->firsts + (size_t)(i - 1) * (size_t)limits->batch * positions * features * (size_t)limits->max_width;
}

/* Up through one part. False when given up. */
static bool step_up(eoc_net_pass *pass, eoc_net_part *part, const eoc_net_host *host)
{
    part->in = pass->values;
    part->kind->forward(pass, part);
    pass->values = part->out ? part->out : pass->values;
    return !(part->count > 0 && given_up(host));
}

/* At the first part of a segment: what comes into it is kept, before its own values take the place of the last one's.
 */
static void enter_segment(eoc_net_pass *pass, const eoc_net_part *part)
{
    eoc_net *const net = pass->net;
    net->live = segment_of(net, part);
    const eoc_net_part *before = part - 1;
    eoc_real *const first = first_of(net, net->live);
    memcpy(first, pass->values, sizeof *first * rows_of(pass, before) * (size_t)before->width);
    pass->values = first;
}

bool EOC_NET(forward)(eoc_net *net, const eoc_real *x, int n, int64_t step, int piece, const eoc_net_host *host)
{
    assert(n <= net->limits.batch);
    eoc_net_pass pass = {.net = net, .n = n, .step = step, .piece = piece, .values = x, .other = net->dh};
    net->last_step = step;
    net->live = 0;
    for (int i = 0; i < net->num_parts; i++) {
        if (segment_of(net, &net->parts[i]) != net->live) {
            enter_segment(&pass, &net->parts[i]);
        }
        if (!step_up(&pass, &net->parts[i], host)) {
            return false;
        }
    }
    net->averaged = step > 0 ? step : net->averaged;
    return true;
}

/* The segment that ends with part `last`, run again. False when given up. */
static bool run_segment_again(const eoc_net_pass *down, const eoc_real *x, int last, const eoc_net_host *host)
{
    eoc_net *const net = down->net;
    const int segment = segment_of(net, &net->parts[last]);
    int first = last;
    while (first > 0 && segment_of(net, &net->parts[first - 1]) == segment) {
        first--;
    }
    eoc_net_pass up = {.net = net,
                       .n = down->n,
                       .step = net->last_step,
                       .piece = down->piece,
                       .values = segment > 0 ? first_of(net, segment) : x,
                       .other = down->other,
                       .again = true};
    net->live = segment;
    for (int i = first; i <= last; i++) {
        if (!step_up(&up, &net->parts[i], host)) {
            return false;
        }
    }
    return true;
}

/* The step of all parameters, when all of the gradient is there. False when given up, with some parts' steps made. */
static bool step_all(eoc_net *net, const eoc_net_step *step, const eoc_net_host *host)
{
    double sum = 0.0;
    for (int i = 0; i < net->num_parts && step->clip > 0.0; i++) {
        const eoc_net_part *const part = &net->parts[i];
        for (size_t k = part->offset; k < part->offset + part->count; k++) {
            sum += (double)net->gradient[k] * (double)net->gradient[k];
        }
        if (part->count > 0 && given_up(host)) {
            return false;
        }
    }
    const double norm = sqrt(sum), scale = norm > step->clip ? step->clip / norm : 1.0;
    for (int i = 0; i < net->num_parts; i++) {
        const eoc_net_part *const part = &net->parts[i];
        update_part(net, step, scale, part, net->gradient + part->offset);
        if (part->count > 0 && given_up(host)) {
            return false;
        }
    }
    return true;
}

bool EOC_NET(backward)(eoc_net *net, const eoc_real *x, int n, const eoc_net_step *step, const eoc_net_host *host)
{
    const bool at_once = step && step->clip == 0.0 && step->pieces <= 1;
    eoc_net_pass pass = {.net = net,
                         .n = n,
                         .piece = step ? step->piece : 0,
                         .d = net->output,
                         .other = net->dh,
                         .how = step,
                         .at_once = at_once,
                         .in_place = at_once && LOOPS->optimizers[step->optimizer->row].is_plain};
    assert(at_once || net->limits.whole_gradient);
    for (int i = net->num_parts - 1; i >= 0; i--) {
        const eoc_net_part *part = &net->parts[i];
        if (segment_of(net, part) != net->live && !run_segment_again(&pass, x, i, host)) {
            return false;
        }
        part->kind->backward(&pass, part);
        if (part->count > 0 && given_up(host)) {
            return false;
        }
    }
    const bool moves = step && !at_once && step->piece + 1 >= step->pieces;
    return !moves || step_all(net, step, host);
}
