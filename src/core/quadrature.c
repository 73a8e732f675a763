/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/quadrature.h"

#include "eoc/vecmath.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { POINTS = EOC_QUADRATURE_POINTS, MAX_NODES = EOC_QUADRATURE_MAX_PANELS * EOC_QUADRATURE_POINTS, MAX_LEVEL = 6 };

static const double PI = 3.14159265358979323846;
static const double INV_SQRT_2PI = 0.39894228040143267794;

/* A panel may grow by this share of its distance from a focus: nodes then follow a pole there with a Bernstein
 * ellipse of rho = 4.4, and the embedded rule, exact to degree 19, is right to 1e-12. */
static const double GROWTH = 1.5;

/* The 21-point Kronrod extension of the 10-point Gauss rule on [-1, 1]; QUADPACK, dqk21. */
static const double KRONROD_NODES[11] = {0.995657163025808080735527280689003,
                                         0.973906528517171720077964012084452,
                                         0.930157491355708226001207180059508,
                                         0.865063366688984510732096688423493,
                                         0.780817726586416897063717578345042,
                                         0.679409568299024406234327365114874,
                                         0.562757134668604683339000099272694,
                                         0.433395394129247190799265943165784,
                                         0.294392862701460198131126602103866,
                                         0.148874338981631210884826001129720,
                                         0.0};
static const double KRONROD_WEIGHTS[11] = {
    0.011694638867371874278064396062192, 0.032558162307964727478818972459390, 0.054755896574351996031381300244580,
    0.075039674810919952767043140916190, 0.093125454583697605535065465083366, 0.109387158802297641899210590325805,
    0.123491976262065851077958109585166, 0.134709217311473325928054001771707, 0.142775938577060080797094273138717,
    0.147739104901338491374841515972068, 0.149445554002916905664936468389821};
static const double GAUSS_WEIGHTS[11] = {
    0.0, 0.066671344308688137593568809893332, 0.0, 0.149451349150580593145863396957658,
    0.0, 0.219086362515982043995534934228163, 0.0, 0.269266719309996355091226921569469,
    0.0, 0.295524224714752870173815619188769, 0.0};

struct eoc_quadrature {
    eoc_quadrature_rule *outer;
    eoc_quadrature_rule *inner;
    double *f;  /* (EOC_QUADRATURE_MAX_VALUES, MAX_NODES) */
    double *u2; /* (MAX_NODES) */
};

eoc_status eoc_quadrature_rule_create(eoc_quadrature_rule **rule)
{
    *rule = calloc(1, sizeof **rule);
    double *values = malloc(3 * MAX_NODES * sizeof *values);
    if (!*rule || !values) {
        free(*rule);
        free(values);
        *rule = NULL;
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for a quadrature rule of %d nodes", (int)MAX_NODES);
    }
    (*rule)->z = values;
    (*rule)->weight = values + MAX_NODES;
    (*rule)->coarse = values + 2 * MAX_NODES;
    return EOC_OK;
}

void eoc_quadrature_rule_destroy(eoc_quadrature_rule **rule)
{
    if (*rule) {
        free((*rule)->z);
    }
    free(*rule);
    *rule = NULL;
}

eoc_status eoc_quadrature_create(eoc_quadrature **quadrature)
{
    eoc_quadrature *made = calloc(1, sizeof *made);
    EOC_REQUIRE(made, EOC_ERR_NOMEM, "no memory for a quadrature");
    eoc_status status = eoc_quadrature_rule_create(&made->outer);
    if (status == EOC_OK) {
        status = eoc_quadrature_rule_create(&made->inner);
    }
    made->f = malloc((EOC_QUADRATURE_MAX_VALUES + 1) * MAX_NODES * sizeof *made->f);
    if (status == EOC_OK && !made->f) {
        status = EOC_FAIL(EOC_ERR_NOMEM, "no memory for a quadrature");
    }
    if (status != EOC_OK) {
        eoc_quadrature_destroy(&made);
        return status;
    }
    made->u2 = made->f + EOC_QUADRATURE_MAX_VALUES * MAX_NODES;
    *quadrature = made;
    return EOC_OK;
}

void eoc_quadrature_destroy(eoc_quadrature **quadrature)
{
    if (*quadrature) {
        eoc_quadrature_rule_destroy(&(*quadrature)->outer);
        eoc_quadrature_rule_destroy(&(*quadrature)->inner);
        free((*quadrature)->f);
    }
    free(*quadrature);
    *quadrature = NULL;
}

/* The widest panel that may begin at z and run to the right. */
static double panel_width(const eoc_quadrature_layout *layout, double z)
{
    double width = layout->widest;
    for (int i = 0; i < layout->num_foci; i++) {
        const double distance = z - layout->foci[i];
        const double grown = distance > 0.0 ? GROWTH * distance : -distance * GROWTH / (1.0 + GROWTH);
        width = fmin(width, fmax(layout->focus_widths[i], grown));
    }
    return ldexp(width, -layout->level);
}

static void add_panel(eoc_quadrature_rule *rule, double left, double right)
{
    const double centre = 0.5 * (left + right), radius = 0.5 * (right - left);
    for (int i = 0; i < POINTS; i++) {
        const int row = i < 11 ? i : 20 - i;
        const size_t n = rule->num_nodes++;
        rule->z[n] = centre + (i < 11 ? -radius : radius) * KRONROD_NODES[row];
        rule->weight[n] = radius * KRONROD_WEIGHTS[row];
        rule->coarse[n] = radius * GAUSS_WEIGHTS[row];
    }
}

/* Ends of the smooth pieces, ascending: the range and the breaks inside it. Returns their number. */
static int piece_ends(const eoc_quadrature_layout *layout, double ends[EOC_QUADRATURE_MAX_BREAKS + 2])
{
    int num_ends = 0;
    ends[num_ends++] = layout->half ? 0.0 : -layout->range;
    for (int i = 0; i < layout->num_breaks; i++) {
        const double at = layout->breaks[i];
        if (!(at > ends[0] && at < layout->range)) {
            continue;
        }
        int k = num_ends++;
        for (; k > 1 && ends[k - 1] > at; k--) {
            ends[k] = ends[k - 1];
        }
        ends[k] = at;
    }
    ends[num_ends++] = layout->range;
    return num_ends;
}

void eoc_quadrature_rule_fill(eoc_quadrature_rule *rule, const eoc_quadrature_layout *layout)
{
    assert(layout->num_breaks <= EOC_QUADRATURE_MAX_BREAKS && layout->num_foci <= EOC_QUADRATURE_MAX_FOCI);
    double ends[EOC_QUADRATURE_MAX_BREAKS + 2];
    const int num_ends = piece_ends(layout, ends);
    rule->num_nodes = 0;
    for (int piece = 0; piece + 1 < num_ends; piece++) {
        const size_t limit = (size_t)(EOC_QUADRATURE_MAX_PANELS - (num_ends - 2 - piece)) * POINTS;
        for (double z = ends[piece]; z < ends[piece + 1];) {
            const double width = panel_width(layout, z);
            /* A sliver at the end of a piece is joined to its neighbour. */
            double right = z + width;
            if (right + 0.25 * width >= ends[piece + 1] || rule->num_nodes + 2 * POINTS > limit) {
                right = ends[piece + 1];
            }
            add_panel(rule, z, right);
            z = right;
        }
    }

    const double factor = layout->half ? 2.0 * INV_SQRT_2PI : INV_SQRT_2PI;
    for (size_t begin = 0; begin < rule->num_nodes; begin += 256) {
        const size_t n = rule->num_nodes - begin < 256 ? rule->num_nodes - begin : 256;
        double density[256];
        for (size_t i = 0; i < n; i++) {
            density[i] = -0.5 * rule->z[begin + i] * rule->z[begin + i];
        }
        eoc_vec_exp(density, density, n);
        for (size_t i = 0; i < n; i++) {
            rule->weight[begin + i] *= factor * density[i];
            rule->coarse[begin + i] *= factor * density[i];
        }
    }
}

/* The embedded rule is exact to degree 19, the full one to 32: on a convergent integrand the error of the second
 * is that of the first to the power 1.6. 1.5 and a factor 10 stay on the safe side. */
static eoc_expectation with_error(double value, double coarse, double magnitude)
{
    const double difference = fabs(value - coarse);
    if (!(magnitude > 0.0) || !(difference > 0.0)) {
        return (eoc_expectation){.value = value, .error = difference};
    }
    const double ratio = difference / magnitude;
    return (eoc_expectation){.value = value, .error = magnitude * fmin(ratio, 10.0 * ratio * sqrt(ratio))};
}

typedef struct {
    double value, coarse, magnitude;
} sums;

/* Four accumulators: a single one would wait for each addition. */
static sums rule_sums(const eoc_quadrature_rule *rule, const double *f)
{
    double value[4] = {0.0}, coarse[4] = {0.0}, magnitude[4] = {0.0};
    const size_t whole = rule->num_nodes - rule->num_nodes % 4;
    for (size_t i = 0; i < whole; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            value[k] += rule->weight[i + k] * f[i + k];
            coarse[k] += rule->coarse[i + k] * f[i + k];
            magnitude[k] += rule->weight[i + k] * fabs(f[i + k]);
        }
    }
    for (size_t i = whole; i < rule->num_nodes; i++) {
        value[0] += rule->weight[i] * f[i];
        coarse[0] += rule->coarse[i] * f[i];
        magnitude[0] += rule->weight[i] * fabs(f[i]);
    }
    return (sums){.value = (value[0] + value[1]) + (value[2] + value[3]),
                  .coarse = (coarse[0] + coarse[1]) + (coarse[2] + coarse[3]),
                  .magnitude = (magnitude[0] + magnitude[1]) + (magnitude[2] + magnitude[3])};
}

eoc_expectation eoc_quadrature_sum(const eoc_quadrature_rule *rule, const double *f)
{
    const sums s = rule_sums(rule, f);
    return with_error(s.value, s.coarse, s.magnitude);
}

eoc_expectation eoc_quadrature_expect(eoc_quadrature *quadrature, const eoc_quadrature_layout *layout,
                                      eoc_quadrature_function f, void *context)
{
    eoc_quadrature_layout finer = *layout;
    for (;; finer.level++) {
        eoc_quadrature_rule_fill(quadrature->outer, &finer);
        f(quadrature->outer->z, quadrature->f, quadrature->outer->num_nodes, context);
        const sums s = rule_sums(quadrature->outer, quadrature->f);
        const eoc_expectation result = with_error(s.value, s.coarse, s.magnitude);
        if (result.error <= 1e-13 * s.magnitude || finer.level >= MAX_LEVEL || !isfinite(s.value)) {
            return result;
        }
    }
}

/* -- two dimensions -- */

/* Outer structure: the feature of u1 itself, the kinks of u1, and the kinks and feature of u2, smoothed over
 * spread. */
static eoc_quadrature_layout outer_layout(const eoc_quadrature_pair *pair, int level)
{
    eoc_quadrature_layout layout = {.range = 9.0, .widest = 1.5, .half = pair->even, .level = level};
    layout.foci[0] = 0.0;
    layout.focus_widths[0] = pair->feature / pair->scale;
    layout.num_foci = 1;
    for (int i = 0; i < pair->num_kinks; i++) {
        layout.breaks[layout.num_breaks++] = pair->kinks[i] / pair->scale;
    }
    const double steepness = fabs(pair->slope) * pair->scale; /* d(mean of u2)/dz */
    if (steepness * layout.range > 1e-3 * pair->spread) {
        /* Below 1e-9 of the range the smoothed zone no longer weighs in the result. */
        const double width = fmax(2.0 * pair->spread / steepness, 1e-9);
        for (int i = 0; i < pair->num_kinks; i++) {
            layout.foci[layout.num_foci] = pair->kinks[i] / (pair->slope * pair->scale);
            layout.focus_widths[layout.num_foci++] = width;
        }
    }
    return layout;
}

/* The inner rule for one u1; the same for all u1 (returns false) when u2 meets no kink and spread is small. */
static bool inner_layout(const eoc_quadrature_pair *pair, double u1, int level, eoc_quadrature_layout *layout)
{
    /* Panels of width 4.25: the Gaussian itself is resolved to 1e-16 by 21 nodes on them. */
    *layout = (eoc_quadrature_layout){.range = 8.5, .widest = 4.25, .level = level};
    const double mean = pair->slope * u1;
    for (int i = 0; i < pair->num_kinks; i++) {
        const double at = (pair->kinks[i] - mean) / pair->spread;
        if (fabs(at) < layout->range) {
            layout->breaks[layout->num_breaks++] = at;
        }
    }
    const double feature = pair->feature / pair->spread;
    const double off_range = fabs(mean / pair->spread) - layout->range;
    if (feature < layout->widest && off_range * GROWTH / (1.0 + GROWTH) < layout->widest) {
        layout->foci[0] = -mean / pair->spread;
        layout->focus_widths[0] = feature;
        layout->num_foci = 1;
    }
    return layout->num_breaks > 0 || layout->num_foci > 0;
}

/* One pass at one level; magnitudes (num_values) receives E|f_k|. */
static void pair_pass(eoc_quadrature *q, const eoc_quadrature_pair *pair, eoc_quadrature_row row, void *context,
                      int level, int num_values, eoc_expectation *values, double *magnitudes)
{
    const eoc_quadrature_layout outer = outer_layout(pair, level);
    eoc_quadrature_rule_fill(q->outer, &outer);
    double value[EOC_QUADRATURE_MAX_VALUES] = {0.0}, coarse[EOC_QUADRATURE_MAX_VALUES] = {0.0};
    double inner_error[EOC_QUADRATURE_MAX_VALUES] = {0.0};
    for (int k = 0; k < num_values; k++) {
        magnitudes[k] = 0.0;
    }
    bool inner_is_plain = false;
    for (size_t i = 0; i < q->outer->num_nodes; i++) {
        const double u1 = pair->scale * q->outer->z[i];
        eoc_quadrature_layout layout;
        const bool special = inner_layout(pair, u1, level, &layout);
        if (special || !inner_is_plain) {
            eoc_quadrature_rule_fill(q->inner, &layout);
            inner_is_plain = !special;
        }
        const size_t n = q->inner->num_nodes;
        for (size_t j = 0; j < n; j++) {
            q->u2[j] = pair->slope * u1 + pair->spread * q->inner->z[j];
        }
        row(u1, q->inner->z, q->u2, q->f, n, context);
        for (int k = 0; k < num_values; k++) {
            const sums s = rule_sums(q->inner, q->f + (size_t)k * n);
            value[k] += q->outer->weight[i] * s.value;
            coarse[k] += q->outer->coarse[i] * s.value;
            magnitudes[k] += q->outer->weight[i] * s.magnitude;
            inner_error[k] += q->outer->weight[i] * with_error(s.value, s.coarse, s.magnitude).error;
        }
    }
    for (int k = 0; k < num_values; k++) {
        values[k] = with_error(value[k], coarse[k], magnitudes[k]);
        values[k].error += inner_error[k];
    }
}

void eoc_quadrature_expect_pair(eoc_quadrature *quadrature, const eoc_quadrature_pair *pair, eoc_quadrature_row row,
                                void *context, int num_values, eoc_expectation *values)
{
    assert(num_values <= EOC_QUADRATURE_MAX_VALUES && pair->num_kinks <= 2);
    assert(pair->scale > 0.0 && pair->spread > 0.0 && pair->feature > 0.0);
    for (int level = 0;; level++) {
        double magnitudes[EOC_QUADRATURE_MAX_VALUES];
        pair_pass(quadrature, pair, row, context, level, num_values, values, magnitudes);
        bool good = true;
        for (int k = 0; k < num_values; k++) {
            good = good && (values[k].error <= 1e-11 * magnitudes[k] || !isfinite(values[k].value));
        }
        if (good || level >= 2) {
            return;
        }
    }
}

void eoc_quadrature_legendre(int n, double *node, double *weight)
{
    for (int i = 0; i < n; i++) {
        double x = cos(PI * (i + 0.75) / (n + 0.5)), slope = 0.0, step = 1.0;
        for (int k = 0; k < 50 && fabs(step) > 1e-16; k++) { /* Newton's method, which ends in a few */
            double p = x, before = 1.0;
            for (int degree = 2; degree <= n; degree++) {
                const double next = ((2.0 * degree - 1.0) * x * p - (degree - 1.0) * before) / degree;
                before = p;
                p = next;
            }
            slope = n * (x * p - before) / (x * x - 1.0);
            step = p / slope;
            x -= step;
        }
        node[i] = x;
        weight[i] = 2.0 / ((1.0 - x * x) * slope * slope);
    }
}
