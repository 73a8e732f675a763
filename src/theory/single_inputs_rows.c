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

/* E[(dE/dz^l)^2] without an outlier, l the layer of the descent, for v ~ N(0, I) on h^depth; from 0 on the product of
 * two inputs. */
static signed_log rest_gradient(const descent *d, int pair)
{
    const eoc_single_curves *c = d->curves;
    const int depth = d->network->depth;
    const size_t row = pair < 0 ? 0 : (size_t)pair * ((size_t)c->max_depth + 1);
    const product *growth = pair < 0 ? c->growth : c->pair_growth + row;
    const signed_log g = range_product(growth[depth], growth[d->layer]);
    if (!c->law.block.phi_on_top) {
        return g;
    }
    return times_value(times_size(g, c->top[depth]), pair < 0 ? 1.0 : c->pair_top[row + (size_t)depth]);
}

static const eoc_outlier_layer *outlier_here(const descent *d, int pair)
{
    return &d->curves->outlier[(size_t)(pair + 1) * ((size_t)d->curves->max_depth + 1) + (size_t)d->layer];
}

/* The same with it. */
static signed_log gradient(const descent *d, int pair)
{
    return d->gauges ? eoc_outlier_gauge_of(&d->gauges[pair + 1], 1.0, &outlier_here(d, pair)->unit, 0.0)
                     : rest_gradient(d, pair);
}

/* log of a mean square: what comes out below 0 is beyond the first order of 1/N. */
static double log_of_square(signed_log square)
{
    return square.sign > 0 ? square.log_size : square.sign < 0 ? NAN : -INFINITY;
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

/* E[(dE/dW_ij)^2] of one input, or, from 0 on, the product of two, given that of z. */
static signed_log weighed(const descent *d, int pair, signed_log gradient_of_z)
{
    const eoc_single_curves *c = d->curves;
    const size_t at = (size_t)d->layer;
    const double cosine = pair < 0 ? 1.0 : c->pair_weight[(size_t)pair * ((size_t)c->max_depth + 1) + at];
    const bool nothing = isnan(cosine) || c->weight[at] == -INFINITY;
    return nothing ? (signed_log){.sign = 0} : times_value(times_size(gradient_of_z, c->weight[at]), cosine);
}

/* Where a tangent leans on a signal it does so behind phi' too, in layers from 2 on. */
static signed_log weight_gradient_with_outlier(const descent *d, int pair)
{
    const eoc_single_curves *c = d->curves;
    const size_t before = (size_t)d->layer - 1;
    const double one_minus_c = pair < 0 ? 0.0 : c->one_minus_c[(size_t)pair * ((size_t)c->max_depth + 1) + before];
    if (c->log_q[before] == -INFINITY) {
        return (signed_log){.sign = 0};
    }
    if (isnan(one_minus_c)) {
        return (signed_log){.log_size = NAN, .sign = 1};
    }
    const eoc_outlier_layer *here = outlier_here(d, pair);
    const signed_log all = eoc_outlier_gauge_of(&d->gauges[pair + 1], here->weight_size, &here->weight, 0.0);
    const signed_log rest = weighed(d, pair, rest_gradient(d, pair));
    return over_positions(d, rest, times_value(times_size(all, c->log_q[before]), 1.0 - one_minus_c));
}

/* The positions of a first layer's inputs are independent: there the outlier's gradients do not add up. */
static signed_log weight_gradient(const descent *d, int pair)
{
    return d->gauges && d->layer > 1 ? weight_gradient_with_outlier(d, pair) : weighed(d, pair, gradient(d, pair));
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
    return total.sum < 0.0 ? NAN : log_of_sum(&total);
}

static double gradient_cosine(const descent *d, int pair)
{
    const signed_log g = gradient(d, -1), cross = gradient(d, pair);
    if (g.sign <= 0 || g.log_size == -INFINITY) {
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
    signed_log first = gradient(d, -1);
    if (d->gauges) {
        const double share = 1.0 - exp(log(c->law.bias) - c->log_q[1]);
        const double wider = (double)d->network->width / d->network->architecture.kind->width(d->network, 0);
        const eoc_overlaps lifted = {.plus = 1.0 - share * (1.0 + s_1.lift), .one = 1.0};
        first = eoc_outlier_gauge_of(&d->gauges[0], 1.0, &lifted, share * wider);
    }
    return log(c->law.lift) + log_of_square(first);
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
    put(rows->log_q, k, c->log_q[l]);
    put(rows->one_minus_c, k, c->num_pairs ? c->one_minus_c[l] : NAN);
    put(rows->c, k, c->num_pairs ? 1.0 - c->one_minus_c[l] : NAN);
    put(rows->log_gradient_q, k, log_of_square(gradient(d, -1)));
    put(rows->gradient_c, k, c->num_pairs ? gradient_cosine(d, 0) : NAN);
    if (rows->log_weight_gradient_q) {
        rows->log_weight_gradient_q[k] = log_weight_gradient(d);
    }
}

/* Beside an outlier m_2 is not known: beyond a share of the rest by itself, by itself times the rest, whose directions
 * it leans on, some ten times over. */
static bool outlier_counts(const descent *d, double log_m1, double excess)
{
    const double rest = exp(log(d->curves->law.lift) + log_of_square(rest_gradient(d, -1)) - log_m1);
    const double share = fabs(1.0 - rest), number = (double)d->network->width * eoc_network_positions(d->network);
    return !(10.0 * share < NEGLIGIBLE * (1.0 + excess) && number * share * share < NEGLIGIBLE * (1.0 + excess));
}

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
    return d->gauges && outlier_counts(d, log_m1, excess) ? NAN : 2.0 * log_m1 + log1p(excess);
}

eoc_status eoc_single_inputs_fill(const void *curves, const eoc_network *network, const int *layers, int num_layers,
                                  eoc_law_s_1 s_1, eoc_curve_rows *rows)
{
    const eoc_single_curves *c = curves;
    assert(network->depth >= 1 && network->depth <= c->max_depth && !(c->outlier && c->law.block.phi_on_top));
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
