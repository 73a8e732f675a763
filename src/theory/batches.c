/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers with batch normalization: a batch of independent inputs, alike in law. */
#include "batch_sphere.h"
#include "layer_law.h"

#include "fixed_points.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { FEW = 60, MANY = 500 };

/* The covariance of z over a batch: q on the diagonal, q - spread off it; the mean of z over units. */
typedef struct {
    double q, spread, mean;
} covariance;

/* (layer); what belongs to block l leads from layer l - 1 to l. */
typedef struct {
    covariance z;
    /* Through block l: from the parts (rest, mean) at l to those at l - 1, skip^2 of each apart. */
    double rest_by_rest, rest_by_mean;
    double top;       /* of the read-out's unit covariance: the part across 1 in front of phi, with phi on top */
    double weight[2]; /* mean square entry of the gradient of W^l: by the parts rest and mean at l */
} batch_layer;

typedef struct {
    eoc_layer_law law;
    int max_depth;
    double inputs, input_variance;
    batch_layer *layers; /* (max_depth + 1) */
} batch_curves;

/* Beyond it the panels that batch_sphere.c has room for are wider than a sine wants. */
static const double GREATEST_GAMMA_OF_WAVES = 30.0;

static eoc_status sphere_of(const eoc_layer_law *law, const eoc_activation *phi, const eoc_norm *norm, int num_inputs,
                            eoc_batch_sphere **sphere)
{
    return eoc_batch_sphere_create(phi, eoc_layer_law_is_folded(law, phi), norm, law->block.keep, num_inputs, sphere);
}

static bool covers(const eoc_network *network, const eoc_block *block)
{
    const bool resolved = !network->activation.kind->wave || fabs(block->norm.gamma) <= GREATEST_GAMMA_OF_WAVES;
    return block->norm.rule == EOC_NORM_BATCH && fabs(block->skip) <= 1.0 && resolved;
}

static void destroy(void *made)
{
    batch_curves *c = made;
    if (c) {
        free(c->layers);
        free(c);
    }
}

static double spread_seen(const eoc_layer_law *law, const covariance *z)
{
    return law->before * z->spread;
}

static covariance next_covariance(const eoc_layer_law *law, const covariance *z, const eoc_batch_features *f)
{
    const eoc_block *b = &law->block;
    const double skip2 = b->skip * b->skip, branch2 = b->branch * b->branch;
    const double means = b->matrix_behind ? 0.0 : 2.0 * b->skip * b->branch * z->mean * f->mean;
    return (covariance){.q = skip2 * z->q + branch2 * (law->behind * f->phi2 / b->keep + law->bias_behind) + means,
                        .spread = skip2 * z->spread + branch2 * law->behind * (f->phi2 / b->keep - f->cross),
                        .mean = b->matrix_behind ? 0.0 : b->skip * z->mean + b->branch * f->mean};
}

/* What weight[] says of the features that a matrix multiplies: own on the diagonal, spread less off it. */
static void set_weight(batch_layer *layer, double inputs, double factor, double own, double spread)
{
    layer->weight[0] = factor * (inputs - 1.0) * spread;
    layer->weight[1] = factor * (spread + inputs * (own - spread));
}

static void step(const batch_curves *c, const eoc_batch_features *f, const eoc_batch_features *of_features, int layer)
{
    const eoc_layer_law *law = &c->law;
    const eoc_block *b = &law->block;
    batch_layer *here = &c->layers[layer], *next = &c->layers[layer + 1];
    const double n = c->inputs - 1.0, branch2 = b->branch * b->branch, w2 = law->before * law->behind;
    next->z = next_covariance(law, &here->z, f);
    next->rest_by_rest = branch2 * w2 * f->trace_rest / n;
    next->rest_by_mean = branch2 * w2 * f->trace_mean / n;
    if (b->matrix_before) { /* the gradient in front of the normalization, across 1, meets the stream */
        const double factor = branch2 * law->behind * here->z.spread;
        next->weight[0] = factor * f->trace_rest;
        next->weight[1] = factor * f->trace_mean;
    } else {
        const double own = of_features->phi2 / b->keep;
        set_weight(next, c->inputs, branch2, own, own - of_features->cross);
    }
}

static eoc_status iterate(batch_curves *c, eoc_batch_sphere *passed, eoc_batch_sphere *features)
{
    const eoc_layer_law *law = &c->law;
    const double lifted = law->lift * c->input_variance;
    c->layers[1].z = (covariance){.q = lifted + law->bias, .spread = lifted, .mean = 0.0};
    set_weight(&c->layers[1], c->inputs, 1.0, c->input_variance, c->input_variance);
    for (int layer = 1; layer <= c->max_depth; layer++) {
        const double spread = spread_seen(law, &c->layers[layer].z);
        const eoc_batch_features *f = eoc_batch_sphere_at(passed, spread);
        const eoc_batch_features *g = features == passed ? f : eoc_batch_sphere_at(features, spread);
        c->layers[layer].top = (law->two_features ? 2.0 : 1.0) * (g->trace_rest + g->trace_mean) / (c->inputs - 1.0);
        if (layer < c->max_depth) {
            step(c, f, g, layer);
        }
    }
    return EOC_OK;
}

static eoc_status create(const eoc_layer_law *law, const eoc_theory_inputs *inputs, int max_depth, void **made)
{
    assert(inputs->num_variances == 1 && inputs->counts[0] >= EOC_LAYER_THEORY_LEAST_BATCH);
    batch_curves *c = calloc(1, sizeof *c);
    EOC_REQUIRE(c, EOC_ERR_NOMEM, "no memory for curves");
    c->layers = calloc((size_t)max_depth + 1, sizeof *c->layers);
    c->law = *law;
    c->max_depth = max_depth;
    c->inputs = inputs->counts[0];
    c->input_variance = inputs->variances[0];
    eoc_batch_sphere *passed = NULL, *features = NULL;
    const eoc_block *b = &law->block;
    eoc_status status = c->layers ? sphere_of(law, &law->passed, &b->norm, (int)c->inputs, &passed)
                                  : EOC_FAIL(EOC_ERR_NOMEM, "no memory for curves of %d layers", max_depth);
    const bool distinct = law->features.kind != law->passed.kind;
    if (status == EOC_OK && distinct) {
        status = sphere_of(law, &law->features, &b->norm, (int)c->inputs, &features);
    }
    if (status == EOC_OK) {
        status = iterate(c, passed, distinct ? features : passed);
    }
    eoc_batch_sphere_destroy(&passed);
    eoc_batch_sphere_destroy(&features);
    if (status != EOC_OK) {
        destroy(c);
        return status;
    }
    *made = c;
    return EOC_OK;
}

/* -- rows -- */

static void put(double *row, int k, double value)
{
    if (row) {
        row[k] = value;
    }
}

/* From the top down: the parts of the gradient's covariance at z^l, as numbers times e^log_scale. */
typedef struct {
    double rest, mean, log_scale;
} gradient;

static gradient gradient_at_top(const batch_curves *c, int depth)
{
    return c->law.block.phi_on_top ? (gradient){.rest = c->layers[depth].top} : (gradient){.rest = 1.0, .mean = 1.0};
}

static void step_back(const batch_curves *c, int block, gradient *g)
{
    const batch_layer *l = &c->layers[block];
    const double skip2 = c->law.block.skip * c->law.block.skip;
    g->rest = skip2 * g->rest + l->rest_by_rest * g->rest + l->rest_by_mean * g->mean;
    g->mean = skip2 * g->mean;
    if (g->rest > 0.0) { /* its size is carried apart */
        g->log_scale += log(g->rest);
        g->mean /= g->rest;
        g->rest = 1.0;
    }
}

static eoc_status fill(const void *curves, const eoc_network *network, const int *layers, int num_layers,
                       eoc_law_s_1 s_1, eoc_curve_rows *rows)
{
    (void)s_1;
    const batch_curves *c = curves;
    gradient g = gradient_at_top(c, network->depth);
    rows->mean_gradient_c = NAN;
    int k = num_layers - 1;
    for (int l = network->depth; l >= 1; l--) {
        const batch_layer *here = &c->layers[l];
        const double own = ((c->inputs - 1.0) * g.rest + g.mean) / c->inputs;
        if (k >= 0 && layers[k] == l) {
            const double one_minus_c = here->z.q > 0.0 ? here->z.spread / here->z.q : NAN;
            put(rows->log_q, k, log(here->z.q));
            put(rows->one_minus_c, k, one_minus_c);
            put(rows->c, k, 1.0 - one_minus_c);
            put(rows->log_gradient_q, k, log(own) + g.log_scale);
            put(rows->gradient_c, k, NAN);
            put(rows->log_weight_gradient_q, k, log(here->weight[0] * g.rest + here->weight[1] * g.mean) + g.log_scale);
            k--;
        }
        if (l == 1) {
            rows->log_jacobian_m1 = log(c->law.lift) + log(own) + g.log_scale;
            rows->log_jacobian_m2 = NAN;
        } else {
            step_back(c, l, &g);
        }
    }
    return EOC_OK;
}

/* -- limits -- */

static void set_limits(const eoc_layer_law *law, const covariance *z, const eoc_batch_features *f, int num_inputs,
                       eoc_mean_field *out)
{
    const eoc_block *b = &law->block;
    out->q_star = z->q;
    out->c_star = z->q > 0.0 ? 1.0 - z->spread / z->q : NAN;
    out->mu_1 = f->mu_1;
    out->chi_1 =
        b->skip * b->skip + b->branch * b->branch * law->before * law->behind * f->trace_rest / (num_inputs - 1.0);
}

typedef covariance covariance_map(const eoc_layer_law *law, const covariance *z, const eoc_batch_features *f);

/* Where the stream would come to rest if its features stayed as they are: the same fixed points as of a layer, and soon
 * there however much of the stream is skipped. */
static covariance resting_covariance(const eoc_layer_law *law, const covariance *z, const eoc_batch_features *f)
{
    (void)z;
    const double skip = law->block.skip;
    const covariance none = {0};
    covariance rest = next_covariance(law, &none, f);
    rest.mean /= 1.0 - skip;
    const covariance only_mean = {.mean = rest.mean};
    rest.q = next_covariance(law, &only_mean, f).q / (1.0 - skip * skip);
    rest.spread /= 1.0 - skip * skip;
    return rest;
}

/* Far below epsilon a layer is a constant factor. */
static const double VANISHING = 1e-250, ALIKE = 1e-30;

/* Steps of a map until nothing changes, or all vanishes; false where neither happened. */
static bool settle(const eoc_layer_law *law, eoc_batch_sphere *sphere, covariance_map *next, int steps, covariance *z)
{
    for (int i = 0; i < steps; i++) {
        const covariance before = *z;
        *z = next(law, z, eoc_batch_sphere_at(sphere, spread_seen(law, z)));
        const bool gone = z->spread <= ALIKE * law->block.norm.epsilon; /* inputs are alike, and stay so */
        const bool stays =
            fabs(z->q - before.q) <= 1e-14 * z->q && (gone || fabs(z->spread - before.spread) <= 1e-14 * z->spread);
        if (stays || z->q < VANISHING) {
            return true;
        }
    }
    return false;
}

static eoc_status limits(const eoc_layer_law *law, double input_variance, int num_inputs, eoc_law_s_1 s_1,
                         eoc_mean_field *point, double *jacobian_variance)
{
    (void)s_1;
    const eoc_block *b = &law->block;
    *point = eoc_mean_field_unknown(EOC_THEORY_PARTIAL);
    *jacobian_variance = NAN;
    eoc_batch_sphere *sphere = NULL;
    EOC_TRY(sphere_of(law, &law->passed, &b->norm, num_inputs, &sphere));
    const double lifted = law->lift * input_variance;
    covariance z = {.q = lifted + law->bias, .spread = lifted, .mean = 0.0};
    if (fabs(b->skip) < 1.0) {
        if (!settle(law, sphere, next_covariance, FEW, &z) && !settle(law, sphere, resting_covariance, FEW, &z) &&
            !settle(law, sphere, next_covariance, MANY, &z)) {
            eoc_batch_sphere_destroy(&sphere);
            return EOC_OK;
        }
        set_limits(law, &z, eoc_batch_sphere_at(sphere, spread_seen(law, &z)), num_inputs, point);
        if (z.q < VANISHING) {
            point->status |= EOC_THEORY_Q_ZERO;
            point->q_star = 0.0;
        }
    } else { /* every layer adds the same: c tends to that of what is added, gradients stop growing */
        const eoc_norm exact = {.rule = b->norm.rule, .gamma = b->norm.gamma, .beta = b->norm.beta, .epsilon = 0.0};
        eoc_batch_sphere_destroy(&sphere);
        EOC_TRY(sphere_of(law, &law->passed, &exact, num_inputs, &sphere));
        const eoc_batch_features *f = eoc_batch_sphere_at(sphere, 1.0);
        const covariance none = {0}, added = next_covariance(law, &none, f);
        const bool means = !b->matrix_behind && fabs(f->mean) > 1e-14;
        point->status |= EOC_THEORY_Q_DIVERGES | EOC_THEORY_XI_INFINITE;
        point->q_star = INFINITY;
        point->chi_1 = 1.0;
        point->mu_1 = f->mu_1;
        point->xi_c = INFINITY;
        point->chi_c = 1.0;
        point->c_star = means ? 1.0 : 1.0 - added.spread / added.q;
        *jacobian_variance = 0.0;
    }
    eoc_batch_sphere_destroy(&sphere);
    return EOC_OK;
}

const eoc_layer_theory_row eoc_theory_of_batches = {
    .covers = covers, .create = create, .destroy = destroy, .fill = fill, .limits = limits};
