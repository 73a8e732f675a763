/* SPDX-License-Identifier: BSD-3-Clause */
#include "outlier.h"

#include "eoc/order.h"
#include "eoc/spatial_theory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLUS, MINUS, ONE };

static double ratio(double value, double by)
{
    return by > 0.0 ? value / by : 0.0; /* nothing overlaps with a vector of length 0 */
}

static eoc_overlaps of_unit_vectors(const eoc_outlier_signal *s)
{
    return (eoc_overlaps){
        .plus = s->plus > 0.0, .minus = s->minus > 0.0, .one = 1.0, .plus_one = ratio(s->mean, s->plus)};
}

void eoc_outlier_layer_begin(const eoc_outlier_signal *signal, eoc_outlier_layer *layer)
{
    *layer = (eoc_outlier_layer){.unit = of_unit_vectors(signal)};
}

/* What W t has of e_0 and e_1 by x: the roots of sigma_w^2 times the weights' share of u. */
typedef struct {
    double sigma[2];  /* (sigma_w^2 |W z_+|^2/|u_+|^2)^(1/2), and of z_-, whose biases cancel */
    double shares[2]; /* of the weights in u_+ and in u_- */
    double phi;       /* (E[phi^2]/q)^(1/2), q before */
    double plus, minus;
} block_units;

static block_units units_of(const eoc_layer_law *law, const eoc_sight *sight, const eoc_outlier_signal *before,
                            const eoc_outlier_signal *after)
{
    const double from_weights = sight->share_before * before->plus * before->plus;
    const double share = ratio(from_weights, from_weights + 1.0 - sight->share_before);
    if (before->log_q == -INFINITY || after->log_q == -INFINITY) { /* no signal to lean on */
        return (block_units){.phi = 0.0};
    }
    const double next = exp(0.5 * (after->log_q - before->log_q));
    return (block_units){.sigma = {sqrt(law->before * share), before->minus > 0.0 ? sqrt(law->before) : 0.0},
                         .shares = {share, 1.0},
                         .phi = exp(0.5 * (sight->phi.log_phi2 - before->log_q)),
                         .plus = next * after->plus,
                         .minus = next * after->minus};
}

static void fill_turn(const eoc_block *b, const eoc_tilts *t, const eoc_outlier_signal *before, const block_units *u,
                      eoc_outlier_layer *layer)
{
    const double skip = b->skip, branch = b->branch;
    for (int j = 0; j < 2; j++) {
        const double through = branch * u->sigma[j];
        layer->turn[PLUS][j] =
            ratio(through * (skip * before->mean * t->slope[j] + branch * u->phi * t->plus[j]), u->plus);
        layer->turn[MINUS][j] = ratio(through * branch * u->phi * t->minus[j], u->minus);
        layer->turn[ONE][j] = through * t->slope[j];
    }
    layer->kept[PLUS] = ratio(skip * skip * before->plus, u->plus);
    layer->kept[MINUS] = ratio(skip * skip * before->minus, u->minus);
    layer->turn[PLUS][ONE] = ratio(skip * branch * u->phi * t->mean, u->plus);
    layer->turn[ONE][ONE] = skip;
}

/* Of branch phi'(u) e_i: its inner products with skip z + branch phi and with 1. */
static eoc_overlaps of_weights(const eoc_block *b, const eoc_tilts *t, const eoc_outlier_signal *before,
                               const block_units *u)
{
    const double skip = b->skip, branch = b->branch, phi = branch * u->phi, skipped = skip * before->mean;
    const double plus2 = skip * skip * before->plus * before->plus * t->both + 2.0 * skipped * phi * t->both_plus +
                         phi * phi * t->both_squares[0];
    const double minus2 = skip * skip * before->minus * before->minus * t->both + phi * phi * t->both_squares[1];
    return (eoc_overlaps){.plus = branch * branch * ratio(ratio(plus2, u->plus), u->plus),
                          .minus = branch * branch * ratio(ratio(minus2, u->minus), u->minus),
                          .one = branch * branch * t->both,
                          .plus_one = branch * branch * ratio(skipped * t->both + phi * t->both_plus, u->plus)};
}

/* What phi' makes of e_0 and e_1, as in fill_turn without what is skipped: the part of `weight` along W z_+ and W z_-.
 */
static eoc_overlaps of_known(const eoc_block *b, const eoc_tilts *t, const eoc_outlier_signal *before,
                             const block_units *u)
{
    eoc_overlaps known = {.plus = 0.0};
    const double phi = b->branch * u->phi, branch2 = b->branch * b->branch;
    for (int j = 0; j < 2; j++) {
        const double share = branch2 * u->shares[j] * (j == PLUS ? 1.0 : -1.0); /* input b: e_1 changes its sign, ... */
        const double plus = ratio(b->skip * before->mean * t->slope[j] + phi * t->plus[j], u->plus);
        const double minus = ratio(phi * t->minus[j], u->minus); /* ... and so does z_- */
        known.plus += share * plus * plus;
        known.minus -= share * minus * minus;
        known.one += share * t->slope[j] * t->slope[j];
        known.plus_one += share * plus * t->slope[j];
    }
    return known;
}

static eoc_overlaps scaled(const eoc_overlaps *o, double factor)
{
    return (eoc_overlaps){
        .plus = factor * o->plus, .minus = factor * o->minus, .one = factor * o->one, .plus_one = factor * o->plus_one};
}

/* W t is drawn with sigma_w^2 times the variance of t, and <t, phi> with that of phi over units. */
static void fill_drawn(const eoc_layer_law *law, const eoc_tilts *t, const block_units *u, const eoc_overlaps *known,
                       eoc_outlier_layer *layer)
{
    const double phi = law->block.skip * law->block.branch * u->phi;
    layer->drawn = scaled(&layer->weight, law->before);
    layer->drawn.plus += ratio(ratio(phi * phi * t->spread[PLUS], u->plus), u->plus);
    layer->drawn.minus += ratio(ratio(phi * phi * t->spread[MINUS], u->minus), u->minus);
    layer->along = scaled(known, law->before);
}

static void fill_echo(const eoc_block *b, const eoc_tilts *t, const block_units *u, eoc_outlier_layer *layer)
{
    for (int j = 0; j < 2; j++) {
        const double sign = j == PLUS ? 1.0 : -1.0;
        layer->echo[j][j] = b->branch * b->branch * u->sigma[j] * u->sigma[j] * t->lean[j];
        layer->echo[j][ONE] = b->skip * b->branch * u->sigma[j] * t->slope[j];
        layer->echo[ONE][j] = sign * layer->echo[j][ONE];
    }
}

void eoc_outlier_layer_fill(const eoc_layer_law *law, const eoc_sight *sight, const eoc_tilts *tilts,
                            const eoc_outlier_signal *before, const eoc_outlier_signal *after, eoc_outlier_layer *layer)
{
    const eoc_block *b = &law->block;
    const block_units u = units_of(law, sight, before, after);
    *layer = (eoc_outlier_layer){.unit = of_unit_vectors(after),
                                 .weight = of_weights(b, tilts, before, &u),
                                 .weight_size = b->branch * b->branch * tilts->both,
                                 .growth = b->skip * b->skip + b->branch * b->branch * law->before * tilts->both};
    const eoc_overlaps known = of_known(b, tilts, before, &u);
    fill_drawn(law, tilts, &u, &known, layer);
    fill_turn(b, tilts, before, &u, layer);
    fill_echo(b, tilts, &u, layer);
}

/* -- waves over positions -- */

eoc_status eoc_outlier_waves_create(const eoc_network *network, eoc_outlier_waves *waves)
{
    const int positions = eoc_network_positions(network);
    double *const all = malloc(2 * sizeof *all * (size_t)positions);
    EOC_REQUIRE(all, EOC_ERR_NOMEM, "no memory for the waves over %d positions", positions);
    all[0] = 1.0;
    if (positions > 1) {
        const eoc_averaging averaging = eoc_averaging_of(network);
        eoc_averaging_eigenvalues(&averaging, all);
    }
    qsort(all, (size_t)positions, sizeof *all, eoc_by_value);
    *waves = (eoc_outlier_waves){.eigenvalue = all, .share = all + positions};
    for (int k = 0; k < positions; k++) {
        const bool again = waves->count > 0 && all[k] - all[waves->count - 1] < 1e-13;
        if (!again) {
            all[waves->count] = all[k];
            waves->share[waves->count++] = 0.0;
        }
        waves->share[waves->count - 1] += 1.0 / positions;
    }
    return EOC_OK;
}

void eoc_outlier_waves_clear(eoc_outlier_waves *waves)
{
    free(waves->eigenvalue);
    *waves = (eoc_outlier_waves){0};
}

/* -- the way back -- */

eoc_outlier_gauge eoc_outlier_gauge_begin(const eoc_outlier_waves *waves, double (*x)[3][3], int width, double s_1)
{
    memset(x, 0, sizeof *x * (size_t)waves->count);
    return (eoc_outlier_gauge){.waves = waves, .width = width, .s_1 = s_1, .size = 1.0, .x = x};
}

static double read_overlaps(double x[3][3], const eoc_overlaps *o)
{
    return x[PLUS][PLUS] * o->plus + x[MINUS][MINUS] * o->minus + x[ONE][ONE] * o->one +
           (x[PLUS][ONE] + x[ONE][PLUS]) * o->plus_one;
}

/* x of a wave of this eigenvalue, of a layer that gives `size` for <t_a, t_b>/N. */
static void wave_back(const eoc_outlier_layer *layer, double eigenvalue, double size, double x[3][3])
{
    const double sign[3] = {1.0, -1.0, 1.0}, factor[3] = {eigenvalue, eigenvalue, 1.0};
    double turn[3][3], by_b[3][3] = {{0.0}};
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            turn[i][j] = factor[j] * layer->turn[i][j] + (i == j && j < 2 ? layer->kept[j] : 0.0);
        }
    }
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            for (int k = 0; k < 3; k++) {
                by_b[i][j] += x[i][k] * sign[k] * sign[j] * turn[k][j];
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            x[i][j] = size * factor[i] * factor[j] * layer->echo[i][j];
            for (int k = 0; k < 3; k++) {
                x[i][j] += turn[k][i] * by_b[k][j];
            }
        }
    }
}

static void rescale(eoc_outlier_gauge *gauge)
{
    const size_t numbers = 9 * (size_t)gauge->waves->count;
    double *const x = &gauge->x[0][0][0];
    double greatest = fabs(gauge->size);
    for (size_t i = 0; i < numbers; i++) {
        greatest = fmax(greatest, fabs(x[i]));
    }
    if (greatest > 0.0) {
        gauge->log_unit += log(greatest);
        gauge->size /= greatest;
        for (size_t i = 0; i < numbers; i++) {
            x[i] /= greatest;
        }
    }
}

void eoc_outlier_gauge_back(const eoc_outlier_layer *layer, eoc_outlier_gauge *gauge)
{
    const double size = gauge->size;
    gauge->size *= layer->growth;
    for (int k = 0; k < gauge->waves->count; k++) {
        const double drawn =
            read_overlaps(gauge->x[k], &layer->drawn) - (1.0 + gauge->s_1) * read_overlaps(gauge->x[k], &layer->along);
        gauge->size += gauge->waves->share[k] * drawn / gauge->width;
        wave_back(layer, gauge->waves->eigenvalue[k], size, gauge->x[k]);
    }
    rescale(gauge);
}

signed_log eoc_outlier_gauge_of(const eoc_outlier_gauge *gauge, double size, const eoc_overlaps *overlaps,
                                double leaning)
{
    double value = gauge->size * size;
    for (int k = 0; k < gauge->waves->count; k++) {
        const double eigenvalue = gauge->waves->eigenvalue[k];
        const double read =
            read_overlaps(gauge->x[k], overlaps) + gauge->x[k][PLUS][PLUS] * leaning * eigenvalue * eigenvalue;
        value += gauge->waves->share[k] * read / gauge->width;
    }
    return (signed_log){.log_size = log(fabs(value)) + gauge->log_unit, .sign = (value > 0.0) - (value < 0.0)};
}
