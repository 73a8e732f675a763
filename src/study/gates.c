/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * z^(l+1) = skip z^l + branch (W phi(z^l) + b), l = 1..L-1, from z^1 = W x + b, phi = relu, its argument normalized or
 * not. A plain network has skip 0, branch 1 and one gate more, that of h^L. Weights of different blocks being
 * independent, a block multiplies the product of two gradients by skip^2 + branch^2 sigma_w^2 E[phi' phi'].
 */
#include "eoc/gates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* E[phi'(u1) phi'(u2)] of two normals at this angle: 1/2 at 0. Cho & Saul 2009, arc-cosine kernel of degree 0. */
static double open_together(double angle)
{
    return (PI - angle) / (2.0 * PI);
}

/* E[phi(u1) phi(u2)] of two normals of variance 1: 1/2 at 0. Degree 1. */
static double product_of_features(double angle)
{
    return (sin(angle) + (PI - angle) * cos(angle)) / (2.0 * PI);
}

static double angle_of(double covariance, double q_a, double q_b)
{
    const double c = covariance / sqrt(q_a * q_b);
    return c >= 1.0 ? 0.0 : c <= -1.0 ? PI : acos(c);
}

/* Two inputs with |x|^2/N = v_a, v_b and x_a.x_b/N = v_ab. */
static double correlation_of(const eoc_gates *g, int depth, double v_a, double v_b, double v_ab)
{
    double q_a = g->sigma_w2 * v_a + g->sigma_b2, q_b = g->sigma_w2 * v_b + g->sigma_b2,
           covariance = g->sigma_w2 * v_ab + g->sigma_b2, result = 1.0;
    const double weight = g->branch2 * g->sigma_w2;
    double bias = g->branch2 * g->sigma_b2;
    for (int l = 1; l <= depth; l++) {
        if (q_a == 0.0 || q_b == 0.0) {
            return NAN; /* no gate is open */
        }
        const double angle = angle_of(covariance, q_a, q_b);
        if (l == depth) {
            return g->last_gate ? result * 2.0 * open_together(angle) : result;
        }
        result *= (g->skip2 + weight * open_together(angle)) / (g->skip2 + weight * 0.5);
        covariance = g->skip2 * covariance + weight * sqrt(q_a * q_b) * product_of_features(angle) + bias;
        q_a = (g->skip2 + weight * 0.5) * q_a + bias;
        q_b = (g->skip2 + weight * 0.5) * q_b + bias;
        /* Lengths matter by their ratios alone: near 1 they stay finite at any depth. */
        const double scale = 1.0 / sqrt(q_a) / sqrt(q_b);
        bias *= scale;
        covariance *= scale;
        q_a *= scale;
        q_b *= scale;
    }
    return result;
}

/*
 * Behind the normalization over a batch of B independent inputs, whose product is a fair share less than nothing: of
 * what is left of two of them by the batch's mean the cosine is -1/(B - 1) in every layer. A unit's values are normal,
 * so its variance over the batch is u^l times a chi-square of B - 1 degrees by B, independent of the gates: E[1/s^2] =
 * B/((B - 3) u^l). A block adds to u^l what phi has beside its mean. epsilon is taken as small beside u^l.
 */
static double batch_correlation(const eoc_gates *g, int depth, double variance, int batch)
{
    const double weight = g->branch2 * g->sigma_w2 * g->gamma2, angle = acos(-1.0 / (batch - 1.0));
    double u = g->sigma_w2 * variance, result = 1.0;
    for (int l = 1; l < depth; l++) {
        const double slope2 = 1.0 / (u * (batch - 3.0) / batch + g->epsilon);
        result *= (g->skip2 + weight * slope2 * open_together(angle)) / (g->skip2 + weight * slope2 * 0.5);
        u = g->skip2 * u + weight / (1.0 + g->epsilon / u) * (0.5 - product_of_features(angle));
    }
    return g->last_gate ? result * 2.0 * open_together(angle) : result;
}

static double mean_over_interval(const eoc_gates *g, int depth, const eoc_inputs *inputs)
{
    double sum = 0.0;
    for (int a = 0; a < inputs->points; a++) {
        const double t_a = eoc_interval_point(inputs, a);
        for (int b = 0; b < a; b++) {
            const double t_b = eoc_interval_point(inputs, b);
            sum += correlation_of(g, depth, t_a * t_a, t_b * t_b, t_a * t_b);
        }
    }
    return sum / (0.5 * inputs->points * (inputs->points - 1.0));
}

static bool gates_of(const eoc_network *network, eoc_gates *gates)
{
    const eoc_architecture_kind *kind = network->architecture.kind;
    return eoc_activation_is_relu(&network->activation) && eoc_initializer_in_theory(&network->initializer) &&
           kind->gates && kind->gates(network, gates);
}

/* By the classes of pairs that theory is given. */
static eoc_status mean_over_pairs(const eoc_gates *g, int depth, const eoc_inputs *inputs, double variance,
                                  double *mean)
{
    const int classes = inputs->kind->pairs(inputs, NULL);
    eoc_theory_pair *pairs = malloc(sizeof *pairs * (size_t)(classes + 1));
    EOC_REQUIRE(pairs, EOC_ERR_NOMEM, "out of memory for %d pairs of inputs", classes);
    inputs->kind->pairs(inputs, pairs);
    const double *shares = inputs->kind->shares(inputs);
    double sum = 0.0, total = 0.0;
    for (int i = 0; i < classes; i++) {
        const double v_a = variance * (shares ? shares[pairs[i].a] : 1.0),
                     v_b = variance * (shares ? shares[pairs[i].b] : 1.0);
        sum += pairs[i].count * correlation_of(g, depth, v_a, v_b, sqrt(v_a * v_b) * pairs[i].correlation);
        total += pairs[i].count;
    }
    free(pairs);
    *mean = sum / total;
    return EOC_OK;
}

eoc_status eoc_gates_correlation(const eoc_network *network, const eoc_inputs *inputs, double variance,
                                 double *correlation)
{
    eoc_gates g;
    *correlation = NAN;
    if (!gates_of(network, &g)) {
        return EOC_OK;
    }
    if (g.batch) {
        const bool independent = inputs->kind->is_independent && inputs->points > 3;
        *correlation = independent ? batch_correlation(&g, network->depth, variance, inputs->points) : NAN;
        return EOC_OK;
    }
    if (inputs->kind->is_interval) {
        *correlation = mean_over_interval(&g, network->depth, inputs);
        return EOC_OK;
    }
    return mean_over_pairs(&g, network->depth, inputs, variance, correlation);
}

double eoc_gates_independent_correlation(const eoc_network *network)
{
    eoc_gates g;
    if (!gates_of(network, &g)) {
        return NAN;
    }
    const double blocks = network->depth - 1, half = 0.5 * g.branch2 * g.sigma_w2, last = g.last_gate ? 0.5 : 1.0;
    if (g.batch && g.skip2 > 0.0) {
        /* The variance of the stream grows by branch^2 sigma_w^2/2 a block, from 1: the paper's assumptions. */
        return g.skip2 == 1.0 ? last / sqrt(1.0 + half * blocks) : NAN;
    }
    return last * pow((g.skip2 + 0.5 * half) / (g.skip2 + half), blocks);
}
