/* SPDX-License-Identifier: BSD-3-Clause */
#include "single_curves.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* -- one layer -- */

eoc_status eoc_single_inputs_map(const eoc_layer_law *law, const eoc_activation *phi, eoc_feature_map **map)
{
    const double shift = law->block.norm.rule == EOC_NORM_NONE ? 0.0 : law->block.norm.beta;
    return eoc_feature_map_create(phi, shift, eoc_layer_law_is_folded(law, phi), map);
}

void eoc_sight_fill(const eoc_layer_law *law, eoc_feature_map *map, const eoc_signal *stream, eoc_sight *sight)
{
    const eoc_block *b = &law->block;
    sight->log_y = stream->log_q;
    sight->share_before = 1.0;
    if (b->matrix_before) {
        sight->log_y = log_add(log(law->before) + stream->log_q, log(law->bias));
        sight->share_before = sight->log_y > -INFINITY ? exp(log(law->before) + stream->log_q - sight->log_y) : 0.0;
    }
    sight->log_kappa2 = 0.0;
    sight->norm_slope = 1.0;
    if (b->norm.rule == EOC_NORM_LAYER) {
        const double with_epsilon = log_add(sight->log_y, log(b->norm.epsilon));
        sight->log_kappa2 = with_epsilon > -INFINITY ? 2.0 * log(b->norm.gamma) - with_epsilon : -INFINITY;
        sight->norm_slope = exp(log(b->norm.epsilon) - with_epsilon);
    }
    const double log_u = sight->log_y > -INFINITY ? sight->log_y + sight->log_kappa2 : -INFINITY;
    sight->phi = *eoc_feature_map_at(map, log_u);
    sight->mean = eoc_stream_has_mean(law) ? eoc_feature_map_mean(map) : 0.0;
    sight->a = law->before * law->behind * exp(sight->log_kappa2) * sight->phi.mu_1 / b->keep;
}

eoc_signal eoc_stream_next(const eoc_layer_law *law, const eoc_signal *stream, const eoc_sight *sight,
                           eoc_shares *shares)
{
    const eoc_block *b = &law->block;
    const double log_skip = 2.0 * log(fabs(b->skip)), log_branch = 2.0 * log(b->branch);
    const double skipped = b->skip == 0.0 ? -INFINITY : log_skip + stream->log_q;
    const double phi = log_branch + log(law->behind) + sight->phi.log_phi2 - log(b->keep);
    const double biases = log_branch + log(law->bias_behind);
    const double both = sight->mean * stream->mean;
    log_sum q = EMPTY_SUM;
    add_term(&q, skipped, 1.0);
    add_term(&q, phi, 1.0);
    add_term(&q, biases, 1.0);
    if (both != 0.0) {
        add_term(&q, log(b->branch) + 0.5 * (sight->phi.log_phi2 + stream->log_q), 2.0 * b->skip * both);
    }
    eoc_signal next = {.log_q = log_of_sum(&q), .mean = 0.0};
    *shares = (eoc_shares){.skip = 0.0, .phi = 0.0};
    if (next.log_q > -INFINITY) {
        shares->skip = exp(skipped - next.log_q);
        shares->phi = exp(phi - next.log_q);
        if (eoc_stream_has_mean(law)) {
            next.mean = b->skip * stream->mean * exp(0.5 * (stream->log_q - next.log_q)) +
                        b->branch * sight->mean * exp(0.5 * (sight->phi.log_phi2 - next.log_q));
        }
    }
    return next;
}

double eoc_one_minus_c_next(const eoc_layer_law *law, const eoc_shares *shares, double one_minus_c,
                            double one_minus_feature_c)
{
    const double keep = law->block.keep;
    double next = 0.0; /* a share of nothing may be of something infinite */
    next += shares->skip > 0.0 ? shares->skip * one_minus_c : 0.0;
    next += shares->phi > 0.0 ? shares->phi * (1.0 - keep + keep * one_minus_feature_c) : 0.0;
    return next;
}

double eoc_gradient_growth(const eoc_layer_law *law, const eoc_sight *sight)
{
    return law->block.skip * law->block.skip + law->block.branch * law->block.branch * sight->a;
}

/* -- curves -- */

typedef struct {
    eoc_single_curves *curves;
    eoc_feature_map *passed, *features; /* the same where one feature passes */
    eoc_signal stream;                  /* at the layer in hand, and what is seen of it */
    eoc_sight sight;
    double *pair_feature, *pair_slope; /* (num_pairs): 1 - c of features, E[dphi dphi] */
} iteration;

static bool covers(const eoc_network *network, const eoc_block *block)
{
    (void)network;
    return block->norm.rule != EOC_NORM_BATCH;
}

static void destroy(void *made)
{
    eoc_single_curves *c = made;
    if (c) {
        free(c->pairs);
        free(c->log_q);
        free(c->growth);
        free(c->outlier);
        free(c);
    }
}

static eoc_status allocate(const eoc_theory_inputs *inputs, int max_depth, bool has_outlier, eoc_single_curves **made)
{
    eoc_single_curves *c = calloc(1, sizeof *c);
    EOC_REQUIRE(c, EOC_ERR_NOMEM, "no memory for curves");
    const size_t layers = (size_t)max_depth + 1, p = (size_t)inputs->num_pairs;
    c->pairs = malloc((p + 1) * sizeof *c->pairs);
    c->log_q = calloc((7 + 3 * p) * layers, sizeof *c->log_q);
    c->growth = calloc((1 + p) * layers, sizeof *c->growth);
    c->outlier = has_outlier ? calloc((1 + p) * layers, sizeof *c->outlier) : NULL;
    if (!c->pairs || !c->log_q || !c->growth || (has_outlier && !c->outlier)) {
        destroy(c);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves of %d layers and %d pairs", max_depth, inputs->num_pairs);
    }
    double **const single[] = {&c->top, &c->weight, &c->excess, &c->spreads, &c->top_excess, &c->mean};
    double **const paired[] = {&c->one_minus_c, &c->pair_top, &c->pair_weight};
    double *next = c->log_q + layers;
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++, next += layers) {
        *single[i] = next;
    }
    for (size_t i = 0; i < sizeof paired / sizeof paired[0]; i++, next += p * layers) {
        *paired[i] = next;
    }
    c->pair_growth = c->growth + layers;
    c->max_depth = max_depth;
    c->num_pairs = inputs->num_pairs;
    c->num_inputs = inputs->counts[0];
    c->log_input_variance = log(inputs->variances[0]);
    for (size_t i = 0; i < p; i++) {
        c->pairs[i] = inputs->pairs[i];
    }
    *made = c;
    return EOC_OK;
}

/* The lift z^1 = W^1 x + b^1. */
static void step_first(iteration *it)
{
    eoc_single_curves *c = it->curves;
    const size_t layers = (size_t)c->max_depth + 1;
    const double weights = log(c->law.lift) + c->log_input_variance;
    it->stream = (eoc_signal){.log_q = log_add(weights, log(c->law.bias)), .mean = 0.0};
    c->log_q[1] = it->stream.log_q;
    c->weight[1] = c->log_input_variance;
    for (size_t p = 0; p < (size_t)c->num_pairs; p++) {
        const double c_0 = c->pairs[p].correlation;
        c->one_minus_c[p * layers + 1] =
            it->stream.log_q > -INFINITY ? exp(weights - it->stream.log_q) * (1.0 - c_0) : NAN;
        c->pair_weight[p * layers + 1] = c_0;
    }
}

/* The pairs at the sight in hand; where another feature is asked for than passes, that one's. */
static void see_pairs(iteration *it, int layer, bool of_features)
{
    const eoc_single_curves *c = it->curves;
    const size_t layers = (size_t)c->max_depth + 1;
    eoc_feature_map *map = of_features ? it->features : it->passed;
    const eoc_features *f = eoc_feature_map_at(map, it->sight.phi.log_u);
    for (size_t p = 0; p < (size_t)c->num_pairs; p++) {
        const double one_minus_c = c->one_minus_c[p * layers + (size_t)layer] * it->sight.share_before;
        it->pair_feature[p] = NAN;
        it->pair_slope[p] = f->mu_1;
        if (it->sight.phi.log_u == -INFINITY) { /* phi sees the same in all inputs */
            it->pair_feature[p] = 0.0;
        } else if (!isnan(one_minus_c)) {
            eoc_feature_map_pair(map, one_minus_c, &it->pair_feature[p], &it->pair_slope[p]);
        }
    }
}

/* phi on z^layer where that is the last one, and the features that W^(layer+1) meets. */
static void note_features(iteration *it, int layer)
{
    eoc_single_curves *c = it->curves;
    const eoc_layer_law *law = &c->law;
    const size_t layers = (size_t)c->max_depth + 1, at = (size_t)layer;
    const eoc_features *f = eoc_feature_map_at(it->features, it->sight.phi.log_u);
    const double keep = law->block.keep, mu_1 = f->mu_1, mu_2 = f->mu_2, log_phi2 = f->log_phi2;
    see_pairs(it, layer, true);
    c->top[at] = it->sight.log_kappa2 + log((law->two_features ? 2.0 : 1.0) * mu_1 / keep);
    c->top_excess[at] = eoc_layer_law_spread(law, mu_1, mu_2) - 1.0;
    for (size_t p = 0; p < (size_t)c->num_pairs; p++) {
        c->pair_top[p * layers + at] = keep * it->pair_slope[p] / mu_1;
    }
    if (layer < c->max_depth && !law->block.matrix_before) {
        c->weight[at + 1] = 2.0 * log(law->block.branch) + log_phi2 - log(keep);
        for (size_t p = 0; p < (size_t)c->num_pairs; p++) {
            c->pair_weight[p * layers + at + 1] = keep * (1.0 - it->pair_feature[p]);
        }
    }
}

/* One input, or, from 0 on, a pair of them. */
static eoc_outlier_signal outlier_signal(const eoc_single_curves *c, int pair, int layer)
{
    const double one_minus_c =
        pair < 0 ? 0.0 : c->one_minus_c[(size_t)pair * ((size_t)c->max_depth + 1) + (size_t)layer];
    return (eoc_outlier_signal){.log_q = c->log_q[layer],
                                .mean = c->mean[layer],
                                .plus = sqrt(fmax(0.0, 0.5 * (2.0 - one_minus_c))),
                                .minus = sqrt(fmax(0.0, 0.5 * one_minus_c))};
}

/* What leads to layer 1 (nothing), or from the layer before to `layer`, of which `it` sees the features. */
static void note_outlier(iteration *it, int layer)
{
    const eoc_single_curves *c = it->curves;
    const size_t layers = (size_t)c->max_depth + 1;
    for (int p = -1; p < c->num_pairs; p++) {
        eoc_outlier_layer *out = &c->outlier[(size_t)(p + 1) * layers + (size_t)layer];
        const eoc_outlier_signal here = outlier_signal(c, p, layer);
        if (layer == 1) {
            eoc_outlier_layer_begin(&here, out);
            continue;
        }
        const eoc_outlier_signal before = outlier_signal(c, p, layer - 1);
        const double keep = c->law.block.keep;
        eoc_tilts tilts;
        if (p < 0) {
            eoc_tilts_of_one(it->passed, keep, &tilts);
        } else {
            const double one_minus_c = c->one_minus_c[(size_t)p * layers + (size_t)layer - 1];
            eoc_tilts_of_pair(it->passed, one_minus_c * it->sight.share_before, it->pair_feature[p], it->pair_slope[p],
                              keep, &tilts);
        }
        eoc_outlier_layer_fill(&c->law, &it->sight, &tilts, &before, &here, out);
    }
}

/* From `layer` to the next one. */
static void step(iteration *it, int layer)
{
    eoc_single_curves *c = it->curves;
    const eoc_layer_law *law = &c->law;
    const eoc_block *b = &law->block;
    const size_t layers = (size_t)c->max_depth + 1, at = (size_t)layer, next = at + 1;
    if (it->features != it->passed) { /* else note_features has seen them */
        see_pairs(it, layer, false);
    }
    eoc_shares shares;
    const eoc_signal stream = eoc_stream_next(law, &it->stream, &it->sight, &shares);
    const double skip2 = b->skip * b->skip, through = b->branch * b->branch * it->sight.a;
    const double growth = skip2 + through;
    c->log_q[next] = stream.log_q;
    c->growth[next] = times(c->growth[at], growth);
    const double through2 = growth > 0.0 ? through / growth : 0.0;
    c->excess[next] = c->excess[at];
    c->spreads[next] = c->spreads[at] + through2 * through2;
    if (through2 > 0.0) {
        c->excess[next] +=
            through2 * (2.0 * (1.0 - through2) +
                        through2 * (eoc_layer_law_spread(law, it->sight.phi.mu_1, it->sight.phi.mu_2) - 1.0));
    }
    if (b->matrix_before) {
        c->weight[next] = 2.0 * log(b->branch) + log(it->sight.a / law->before) + it->stream.log_q;
    }
    for (size_t p = 0; p < (size_t)c->num_pairs; p++) {
        const size_t row = p * layers + next;
        const double one_minus_c = c->one_minus_c[row - 1];
        const double slopes = b->keep * it->pair_slope[p] / it->sight.phi.mu_1; /* of two inputs by one's */
        c->one_minus_c[row] =
            stream.log_q > -INFINITY ? eoc_one_minus_c_next(law, &shares, one_minus_c, it->pair_feature[p]) : NAN;
        c->pair_growth[row] = times(c->pair_growth[row - 1], skip2 + (through > 0.0 ? through * slopes : 0.0));
        if (b->matrix_before) {
            c->pair_weight[row] = slopes * (1.0 - one_minus_c);
        }
    }
    it->stream = stream;
    c->mean[next] = stream.mean;
    if (c->outlier) {
        note_outlier(it, layer + 1);
    }
}

static eoc_status create(const eoc_layer_law *law, const eoc_theory_inputs *inputs, int max_depth, void **made)
{
    assert(inputs->num_variances == 1 && max_depth >= 1);
    eoc_single_curves *c = NULL;
    EOC_TRY(allocate(inputs, max_depth, eoc_layer_law_has_outlier(law), &c));
    c->law = *law;
    iteration it = {.curves = c};
    it.pair_feature = malloc(2 * sizeof(double) * (size_t)(inputs->num_pairs + 1));
    eoc_status status = it.pair_feature ? eoc_single_inputs_map(law, &law->passed, &it.passed)
                                        : EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves");
    it.features = it.passed;
    if (status == EOC_OK && law->features.kind != law->passed.kind) {
        it.features = NULL;
        status = eoc_single_inputs_map(law, &law->features, &it.features);
    }
    if (status == EOC_OK) {
        it.pair_slope = it.pair_feature + inputs->num_pairs + 1;
        step_first(&it);
        if (c->outlier) {
            note_outlier(&it, 1);
        }
        for (int layer = 1; layer <= max_depth; layer++) {
            eoc_sight_fill(law, it.passed, &it.stream, &it.sight);
            note_features(&it, layer);
            if (layer < max_depth) {
                step(&it, layer);
            }
        }
    }
    if (it.features != it.passed) {
        eoc_feature_map_destroy(&it.features);
    }
    eoc_feature_map_destroy(&it.passed);
    free(it.pair_feature);
    if (status != EOC_OK) {
        destroy(c);
        return status;
    }
    *made = c;
    return EOC_OK;
}

const eoc_layer_theory_row eoc_theory_of_single_inputs = {.covers = covers,
                                                          .create = create,
                                                          .destroy = destroy,
                                                          .fill = eoc_single_inputs_fill,
                                                          .limits = eoc_single_inputs_limits};
