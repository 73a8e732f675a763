/* SPDX-License-Identifier: BSD-3-Clause */
#include "mean_walk.h"

#include "eoc/quadrature.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Beyond this the rest of the way is at the last rate. */
static const double FAR = 200.0;

/* Of one layer, u ~ N(mean, variance): E[phi], E[phi^2], E[dphi], E[dphi^2]. */
typedef struct {
    double phi, phi2, dphi, dphi2;
} unit_moments;

static unit_moments moments_at(const eoc_activation *act, double mean, double variance, eoc_quadrature_rule *rule)
{
    const double spread = sqrt(variance);
    unit_moments m = {0.0, 0.0, 0.0, 0.0};
    if (!(spread > 1e-12 * fabs(mean))) {
        const double phi = eoc_activation_phi(act, mean), dphi = eoc_activation_dphi(act, mean);
        return (unit_moments){phi, phi * phi, dphi, dphi * dphi};
    }
    eoc_quadrature_layout layout = {.range = 9.0, .widest = 1.0, .num_foci = 1};
    layout.foci[0] = -mean / spread;
    layout.focus_widths[0] = 2.0 / spread;
    for (int i = 0; i < act->kind->num_kinks; i++) {
        layout.breaks[layout.num_breaks++] = (act->kind->kinks[i] - mean) / spread;
    }
    eoc_quadrature_rule_fill(rule, &layout);
    for (size_t i = 0; i < rule->num_nodes; i++) {
        const double u = mean + spread * rule->z[i], w = rule->weight[i];
        const double phi = eoc_activation_phi(act, u), dphi = eoc_activation_dphi(act, u);
        m.phi += w * phi;
        m.phi2 += w * phi * phi;
        m.dphi += w * dphi;
        m.dphi2 += w * dphi * dphi;
    }
    return m;
}

/* Of N values of the given mean and mean square, sent through weights of mean mu: the square of what all units get. */
static double shared_square(double sum, double mean, double square, int width)
{
    return sum * sum * (mean * mean + fmax(0.0, square - mean * mean) / width);
}

static eoc_status walk(const eoc_activation *act, const eoc_mean_walk_start *from, int depth, double *log_forward,
                       double *log_gradient, eoc_quadrature_rule *rule)
{
    assert(depth >= 1);
    unit_moments *layers = calloc((size_t)depth, sizeof *layers);
    EOC_REQUIRE(layers, EOC_ERR_NOMEM, "out of memory");
    double shared = sqrt(shared_square(from->sum, 0.0, from->input_variance, from->width));
    double own = from->weight_variance * from->input_variance + from->bias_variance;
    const double log_first = log(shared * shared + own);
    double log_here = log_first, rate = 0.0;
    int walked = 0;
    for (; walked < depth; walked++) {
        const unit_moments m = moments_at(act, shared, own, rule);
        layers[walked] = m;
        const double sent = sqrt(shared_square(from->sum, m.phi, m.phi2, from->width));
        if (walked + 1 == depth || fabs(log_here - log_first) > FAR) {
            walked++;
            break;
        }
        shared = copysign(sent, m.phi);
        own = from->weight_variance * m.phi2 + from->bias_variance;
        rate = log(shared * shared + own) - log_here;
        log_here += rate;
        if (!isfinite(log_here)) {
            walked++;
            break;
        }
    }
    *log_forward = log_here - log_first + (depth - walked) * rate;
    *log_gradient = -INFINITY;
    if (!(layers[walked - 1].dphi2 > 0.0)) { /* saturated beyond a double */
        free(layers);
        return EOC_OK;
    }
    /* Back from z^walked to z^1: mean and mean square of the gradient of a random read-out. */
    double mean = 0.0, square = layers[walked - 1].dphi2, log_scale = 0.0;
    const double log_last = log(square);
    rate = 0.0;
    for (int l = walked - 2; l >= 0 && square > 0.0; l--) {
        const double got = shared_square(from->sum, mean, square, from->width);
        const double before = log_scale + log(square);
        mean = layers[l].dphi * sqrt(got);
        square = layers[l].dphi2 * (got + from->weight_variance * square);
        if (square > 0.0) { /* the scale apart */
            mean /= sqrt(square);
            log_scale += log(square);
            square = 1.0;
        }
        rate = l == walked / 2 ? log_scale - before : rate;
    }
    if (square > 0.0) {
        *log_gradient = log_scale + log(square) - log_last + (depth - walked) * rate;
    }
    free(layers);
    return EOC_OK;
}

eoc_status eoc_mean_walk(const eoc_activation *act, const eoc_mean_walk_start *from, int depth, double *log_forward,
                         double *log_gradient)
{
    eoc_quadrature_rule *rule = NULL;
    EOC_TRY(eoc_quadrature_rule_create(&rule));
    const eoc_status status = walk(act, from, depth, log_forward, log_gradient, rule);
    eoc_quadrature_rule_destroy(&rule);
    return status;
}
