/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of one network of single inputs, from the top down. */
#include "single_curves.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* A way back from the top of a network, layer by layer. */
typedef struct {
    const eoc_single_curves *curves;
    const eoc_network *network;
    int layer;
    eoc_outlier_gauge *gauges; /* (1 + num_pairs), one input first; NULL: there is no outlier */
    eoc_outlier_waves waves;
    double (*x)[3][3]; /* (1 + num_pairs, waves) of the gauges */
} descent;

static void descent_end(descent *d)
{
    free(d->gauges);
    free(d->x);
    eoc_outlier_waves_clear(&d->waves);
}

static eoc_status descent_begin(const eoc_single_curves *c, const eoc_network *network, eoc_law_s_1 s_1, descent *d)
{
    *d = (descent){.curves = c, .network = network, .layer = network->depth};
    if (!c->outlier) {
        return EOC_OK;
    }
    const size_t streams = (size_t)c->num_pairs + 1;
    EOC_TRY(eoc_outlier_waves_create(network, &d->waves));
    const size_t waves = (size_t)d->waves.count;
    d->gauges = malloc(sizeof *d->gauges * streams);
    d->x = malloc(sizeof *d->x * streams * waves);
    if (!d->gauges || !d->x) {
        descent_end(d);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves of %d pairs", c->num_pairs);
    }
    for (size_t i = 0; i < streams; i++) {
        d->gauges[i] = eoc_outlier_gauge_begin(&d->waves, d->x + i * waves, network->width, s_1.block);
    }
    return EOC_OK;
}

static void descend(descent *d, int layer)
{
    const size_t layers = (size_t)d->curves->max_depth + 1;
    for (; d->layer > layer; d->layer--) {
        for (size_t i = 0; d->gauges && i <= (size_t)d->curves->num_pairs; i++) {
            eoc_outlier_gauge_back(&d->curves->outlier[i * layers + (size_t)d->layer], &d->gauges[i]);
        }
    }
}

static signed_log times_size(signed_log value, double log_size)
{
    return (signed_log){.log_size = value.log_size + log_size, .sign = value.sign};
}

static signed_log times_value(signed_log value, double factor)
{
    return (signed_log){.log_size = value.log_size + log(fabs(factor)),
                        .sign = value.sign * ((factor > 0.0) - (factor < 0.0))};
}

/* log of E[(dE/dz^l)^2], l the layer of the descent, for v ~ N(0, I) on h^depth */
static signed_log gradient(const descent *d)
{
    const eoc_single_curves *c = d->curves;
    const int depth = d->network->depth;
    const signed_log g = range_product(c->growth[depth], c->growth[d->layer]);
    if (d->gauges) {
        return eoc_outlier_gauge_of(&d->gauges[0], 1.0, &c->outlier[d->layer].unit, 0.0);
    }
    return times_size(g, c->law.block.phi_on_top ? c->top[depth] : 0.0);
}

/* The same of two inputs. */
static signed_log pair_gradient(const descent *d, int pair)
{
    const eoc_single_curves *c = d->curves;
    const size_t layers = (size_t)c->max_depth + 1, row = (size_t)pair * layers, top = row + (size_t)d->network->depth;
    const signed_log g = range_product(c->pair_growth[top], c->pair_growth[row + (size_t)d->layer]);
    if (d->gauges) {
        const eoc_outlier_layer *here = &c->outlier[((size_t)pair + 1) * layers + (size_t)d->layer];
        return eoc_outlier_gauge_of(&d->gauges[pair + 1], 1.0, &here->unit, 0.0);
    }
    if (!c->law.block.phi_on_top) {
        return g;
    }
    return times_value(times_size(g, c->top[d->network->depth]), c->pair_top[top]);
}

/* The outlier's gradients at two positions are alike, and add up in the sum over positions by how alike these are:
 * beyond a share of the rest nothing is known. */
static const double NEGLIGIBLE = 1e-2;

static signed_log over_positions(const descent *d, signed_log rest, signed_log all)
{
    const int positions = eoc_network_positions(d->network);
    if (positions == 1) {
        return all;
    }
    const double by_rest = rest.sign * all.sign * exp(all.log_size - rest.log_size);
    return fabs(by_rest - 1.0) * positions < NEGLIGIBLE ? rest : (signed_log){.log_size = NAN, .sign = 1};
}

/* Where a tangent leans on a signal it does so behind phi' too, in layers from 2 on. */
static signed_log weight_gradient_with_outlier(const descent *d, int pair, signed_log rest)
{
    const eoc_single_curves *c = d->curves;
    const size_t row = (size_t)(pair + 1) * ((size_t)c->max_depth + 1), before = (size_t)d->layer - 1;
    const double one_minus_c = pair < 0 ? 0.0 : c->one_minus_c[(size_t)pair * ((size_t)c->max_depth + 1) + before];
    if (c->log_q[before] == -INFINITY) {
        return (signed_log){.sign = 0};
    }
    if (isnan(one_minus_c)) {
        return (signed_log){.log_size = NAN, .sign = 1};
    }
    const eoc_outlier_layer *here = &c->outlier[row + before + 1];
    const signed_log all = eoc_outlier_gauge_of(&d->gauges[pair + 1], here->weight_size, &here->weight, 0.0);
    return over_positions(d, rest, times_value(times_size(all, c->log_q[before]), 1.0 - one_minus_c));
}

/* E[(dE/dW_ij)^2] of one input, or, from 0 on, the product of two. */
static signed_log weight_gradient(const descent *d, int pair)
{
    const eoc_single_curves *c = d->curves;
    const size_t at = (size_t)d->layer;
    const double cosine = pair < 0 ? 1.0 : c->pair_weight[(size_t)pair * ((size_t)c->max_depth + 1) + at];
    const signed_log g = times_size(pair < 0 ? gradient(d) : pair_gradient(d, pair), c->weight[at]);
    const bool nothing = isnan(cosine) || c->weight[at] == -INFINITY;
    const signed_log rest = nothing ? (signed_log){.sign = 0} : times_value(g, cosine);
    return d->gauges && at > 1 ? weight_gradient_with_outlier(d, pair, rest) : rest;
}

static double log_weight_gradient(const descent *d)
{
    const eoc_single_curves *c = d->curves;
    log_sum total = EMPTY_SUM;
    for (int p = -1; p < c->num_pairs; p++) {
        const signed_log g = weight_gradient(d, p);
        if (g.sign && isnan(g.log_size)) {
            return NAN;
        }
        if (g.sign) {
            add_term(&total, g.log_size, g.sign * (p < 0 ? c->num_inputs : c->pairs[p].count));
        }
    }
    return log_of_sum(&total);
}

static double gradient_cosine(const descent *d, int pair)
{
    const signed_log g = gradient(d), cross = pair_gradient(d, pair);
    if (!g.sign || g.log_size == -INFINITY) {
        return NAN;
    }
    return cross.sign ? cross.sign * exp(cross.log_size - g.log_size) : 0.0;
}

static double mean_gradient_cosine(const descent *d)
{
    const eoc_single_curves *c = d->curves;
    double sum = 0.0, total = 0.0;
    for (int p = 0; p < c->num_pairs; p++) {
        sum += c->pairs[p].count * gradient_cosine(d, p);
        total += c->pairs[p].count;
    }
    return total > 0.0 ? sum / total : NAN;
}

/* Of dh^L/dx by dh^L/dz^1: W^1 leans on the input as the blocks do on the stream. */
static double log_jacobian_m1(const descent *d, eoc_law_s_1 s_1)
{
    const eoc_single_curves *c = d->curves;
    signed_log first = gradient(d);
    if (d->gauges) {
        const double share = 1.0 - exp(log(c->law.bias) - c->log_q[1]);
        const double wider = (double)d->network->width / d->network->architecture.kind->width(d->network, 0);
        const eoc_overlaps lifted = {.plus = 1.0 - share * (1.0 + s_1.lift), .one = 1.0};
        first = eoc_outlier_gauge_of(&d->gauges[0], 1.0, &lifted, share * wider);
    }
    return first.sign ? log(c->law.lift) + first.log_size : -INFINITY;
}

static void put(double *row, int k, double value)
{
    if (row) {
        row[k] = value;
    }
}

static void put_layer(const descent *d, int k, eoc_curve_rows *rows)
{
    const eoc_single_curves *c = d->curves;
    const int l = d->layer;
    const signed_log g = gradient(d);
    put(rows->log_q, k, c->log_q[l]);
    put(rows->one_minus_c, k, c->num_pairs ? c->one_minus_c[l] : NAN);
    put(rows->c, k, c->num_pairs ? 1.0 - c->one_minus_c[l] : NAN);
    put(rows->log_gradient_q, k, g.sign ? g.log_size : -INFINITY);
    put(rows->gradient_c, k, c->num_pairs ? gradient_cosine(d, 0) : NAN);
    if (rows->log_weight_gradient_q) {
        rows->log_weight_gradient_q[k] = log_weight_gradient(d);
    }
}

/* The outlier is one singular value: of m_1 it has a share, N times that share's square of m_2/m_1^2. */
static double log_jacobian_m2(const descent *d, eoc_law_s_1 s_1, double log_m1)
{
    const eoc_single_curves *c = d->curves;
    const int depth = d->network->depth;
    if (depth > 1 && !eoc_layer_law_slopes_are_free(&c->law)) {
        return NAN;
    }
    if (log_m1 == -INFINITY) {
        return -INFINITY;
    }
    const double top = c->law.block.phi_on_top ? c->top_excess[depth] : 0.0;
    const double excess = c->excess[depth] - s_1.lift - s_1.block * c->spreads[depth] + top;
    if (!d->gauges) {
        return 2.0 * log_m1 + log1p(excess);
    }
    const double rest = exp(log(c->law.lift) + range_product(c->growth[depth], c->growth[1]).log_size - log_m1);
    const double share = 1.0 - rest;
    if (eoc_network_positions(d->network) > 1 && fabs(share) > NEGLIGIBLE) {
        return NAN; /* there are several outliers */
    }
    return 2.0 * log_m1 + log(rest * rest * (1.0 + excess) + 2.0 * rest * share + d->network->width * share * share);
}

eoc_status eoc_single_inputs_fill(const void *curves, const eoc_network *network, const int *layers, int num_layers,
                                  eoc_law_s_1 s_1, eoc_curve_rows *rows)
{
    const eoc_single_curves *c = curves;
    assert(network->depth >= 1 && network->depth <= c->max_depth);
    descent d;
    EOC_TRY(descent_begin(c, network, s_1, &d));
    for (int k = num_layers - 1; k >= 0; k--) {
        descend(&d, layers[k]);
        put_layer(&d, k, rows);
    }
    descend(&d, 1);
    rows->mean_gradient_c = mean_gradient_cosine(&d);
    rows->log_jacobian_m1 = log_jacobian_m1(&d, s_1);
    rows->log_jacobian_m2 = log_jacobian_m2(&d, s_1, rows->log_jacobian_m1);
    descent_end(&d);
    return EOC_OK;
}
