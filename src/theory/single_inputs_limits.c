/* SPDX-License-Identifier: BSD-3-Clause */
/* What layers of single inputs tend to with depth. */
#include "single_inputs.h"

#include "fixed_points.h"
#include "products.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* Iterations of a length; where |skip| is near 1 they are many, and Newton's method ends them. */
enum { ITERATIONS = 400, NEWTON_STEPS = 60, MEAN_ITERATIONS = 20000 };

/* Of log q: what is beyond has left the range of a double in any unit, and phi is its slopes. */
static const double FAR = 1000.0;

static bool is_one(double x)
{
    return fabs(x - 1.0) <= EOC_CRITICAL_TOLERANCE;
}

/* -- the limit of c where shares are constant -- */

typedef struct {
    const eoc_layer_law *law;
    eoc_feature_map *map;
    eoc_shares shares;
    double share_before, pair_slope_unit;
} c_context;

/* 1 - c' by 1 - c; its derivative in *slope. */
static double next_one_minus_c(const c_context *c, double one_minus_c, double *slope)
{
    double feature = 0.0, dphi_dphi = 0.0;
    eoc_feature_map_pair(c->map, one_minus_c * c->share_before, &feature, &dphi_dphi);
    *slope = c->shares.skip + c->shares.phi * c->law->block.keep * c->share_before * c->pair_slope_unit * dphi_dphi;
    return eoc_one_minus_c_next(c->law, &c->shares, one_minus_c, feature);
}

/* The map's gap at 1 - c > 0, by 1 - c: the gap itself is 0 at c = 1 without dropout. */
static double ratio_gap(double one_minus_c, double *slope, void *context)
{
    double map_slope = 0.0;
    const double next = next_one_minus_c(context, one_minus_c, &map_slope);
    *slope = (map_slope - next / one_minus_c) / one_minus_c;
    return next / one_minus_c - 1.0;
}

/*
 * The c-map is convex on [0, 1] (coefficients of its power series are not negative): 1 attracts where it is a fixed
 * point of slope at most 1, else exactly one point of [0, 1) does. Dropout moves the value at c = 1 below 1.
 */
static void find_c(c_context *c, eoc_mean_field *out)
{
    double slope = 0.0;
    const double at_one = next_one_minus_c(c, 0.0, &slope);
    if (at_one == 0.0 && slope <= 1.0 + EOC_CRITICAL_TOLERANCE) {
        out->c_star = 1.0;
        out->chi_c = slope;
        return;
    }
    double high = 1.0, low = 0.25;
    const double gap_high = ratio_gap(high, &slope, c);
    double one_minus_c = 1.0;
    /* An odd phi without biases keeps c = 0: said here, or rounding would say 1e-14. */
    const eoc_layer_law *law = c->law;
    const bool stays_at_zero = law->passed.kind->odd && law->bias_behind == 0.0 && law->block.norm.beta == 0.0;
    if (gap_high < -1e-15 && !stays_at_zero) {
        while (low > 1e-200 && ratio_gap(low, &slope, c) < 0.0) {
            high = low;
            low *= low;
        }
        const double gap_low = ratio_gap(low, &slope, c);
        one_minus_c = gap_low > 0.0 ? eoc_find_root(ratio_gap, c, low, gap_low, high, ratio_gap(high, &slope, c),
                                                    0.5 * (low + high))
                                    : 0.0;
    }
    next_one_minus_c(c, one_minus_c, &slope);
    out->c_star = 1.0 - one_minus_c;
    out->chi_c = slope;
    if (c->law->block.keep == 1.0) {
        out->status |= EOC_THEORY_CHAOTIC;
    }
}

static void set_depth_scale_of_c(eoc_mean_field *out)
{
    out->xi_c = eoc_depth_scale(out->chi_c);
    if (isinf(out->xi_c)) {
        out->status |= EOC_THEORY_XI_INFINITE;
    }
}

/* -- at a length that stays, or grows by a constant factor -- */

/* Both streams near it: shares of the next length, slopes, growth of gradients. */
static void set_at(const eoc_layer_law *law, eoc_feature_map *map, const eoc_signal *stream, eoc_mean_field *out)
{
    eoc_sight sight;
    c_context c = {.law = law, .map = map};
    eoc_sight_fill(law, map, stream, &sight);
    const eoc_signal next = eoc_stream_next(law, stream, &sight, &c.shares);
    c.share_before = sight.share_before;
    c.pair_slope_unit = sight.phi.pair_slope_unit;
    if (sight.phi.log_u == -INFINITY) { /* gamma = 0: phi sees beta alone, in all inputs */
        c.pair_slope_unit = 0.0;
    } else if (!isfinite(c.pair_slope_unit)) { /* q left the range of a double: phi is its slopes */
        c.pair_slope_unit = 1.0 / sight.phi.mu_1;
    }
    out->mu_1 = sight.phi.mu_1;
    out->mu_2 = sight.phi.mu_2;
    out->chi_1 = eoc_gradient_growth(law, &sight);
    out->chi_q =
        sight.mean != 0.0
            ? NAN
            : (c.shares.skip + c.shares.phi * sight.phi.log_phi2_slope * sight.norm_slope * sight.share_before) *
                  exp(next.log_q - stream->log_q);
    find_c(&c, out);
}

/* log q' and the slope of it by log q. */
static double next_log_q(const eoc_layer_law *law, eoc_feature_map *map, eoc_signal *stream, double *slope)
{
    eoc_sight sight;
    eoc_shares shares;
    eoc_sight_fill(law, map, stream, &sight);
    *stream = eoc_stream_next(law, stream, &sight, &shares);
    *slope = shares.skip + shares.phi * sight.phi.log_phi2_slope * sight.norm_slope * sight.share_before;
    return stream->log_q;
}

/* Where the stream would come to rest if its features stayed as they are: the same fixed points as of a layer, and soon
 * there however much of the stream is skipped. Of layers without a matrix behind phi, whose features add up by their
 * means. */
static void rest(const eoc_layer_law *law, eoc_feature_map *map, eoc_signal *stream)
{
    const double skip = law->block.skip;
    eoc_sight sight;
    eoc_shares shares;
    eoc_sight_fill(law, map, stream, &sight);
    const eoc_signal nothing = {.log_q = -INFINITY};
    const eoc_signal added = eoc_stream_next(law, &nothing, &sight, &shares);
    const double mean = added.mean / (1.0 - skip); /* in units of the root of what is added */
    stream->log_q = added.log_q + log((1.0 + 2.0 * skip * mean * added.mean) / (1.0 - skip * skip));
    stream->mean = mean * exp(0.5 * (added.log_q - stream->log_q));
}

static bool is_at_rest(const eoc_signal *stream, const eoc_signal *before)
{
    return stream->log_q == -INFINITY ||
           (fabs(stream->log_q - before->log_q) < 1e-15 * fmax(1.0, fabs(stream->log_q)) &&
            fabs(stream->mean - before->mean) < 1e-15);
}

/* The limit of the length from log q_1; false where none was found, or it is beyond FAR. */
static bool iterate_length(const eoc_layer_law *law, eoc_feature_map *map, bool means, eoc_signal *stream)
{
    double slope = 0.0;
    for (int i = 0; i < ITERATIONS; i++) {
        const eoc_signal before = *stream;
        next_log_q(law, map, stream, &slope);
        if (is_at_rest(stream, &before)) {
            return true;
        }
    }
    for (int i = 0; i < MEAN_ITERATIONS && means && fabs(stream->log_q) < FAR; i++) {
        const eoc_signal before = *stream;
        rest(law, map, stream);
        if (is_at_rest(stream, &before)) {
            return true;
        }
    }
    for (int i = 0; i < NEWTON_STEPS && !means; i++) {
        eoc_signal next = *stream;
        const double step = (next_log_q(law, map, &next, &slope) - stream->log_q) / (1.0 - slope);
        stream->log_q += step;
        if (!isfinite(step)) {
            return false;
        }
        if (fabs(step) < 1e-14 * fmax(1.0, fabs(stream->log_q))) {
            return true;
        }
    }
    return false;
}

/* -- |skip| < 1 and no normalization: a plain network's lengths, seen through weights of other variance -- */

static eoc_status find_like_plain(const eoc_layer_law *law, eoc_feature_map *map, double q_1, eoc_mean_field *out)
{
    const eoc_block *b = &law->block;
    const double skip2 = b->skip * b->skip, rest = 1.0 - skip2, share = b->branch * b->branch / rest;
    const double sigma_w2 = law->before * law->behind * share / b->keep;
    const double sigma_b2 =
        b->matrix_before ? law->bias + law->before * share * law->bias_behind : share * law->bias_behind;
    EOC_TRY(eoc_mean_field_find(&law->passed, sigma_w2, sigma_b2,
                                b->matrix_before ? law->before * q_1 + law->bias : q_1, out));
    const double y = out->q_star, c_y = out->c_star;
    if (b->matrix_before && isfinite(y)) {
        out->q_star = law->before > 0.0 ? (y - law->bias) / law->before : share * law->bias_behind;
    }
    if (b->keep < 1.0) { /* the correlation map is another one, and so is its limit */
        const unsigned of_c = EOC_THEORY_C_ANY | EOC_THEORY_CHAOTIC | EOC_THEORY_XI_INFINITE;
        out->status &= ~of_c;
        const eoc_signal stream = {.log_q = out->q_star == 0.0 ? -FAR : fmin(log(out->q_star), FAR)};
        eoc_layer_law without_bias = *law;
        if (out->q_star == 0.0 || isinf(out->q_star)) {
            without_bias.bias = without_bias.bias_behind = 0.0;
        }
        const double manifold = out->manifold_curvature, second = out->length_map_second_derivative;
        set_at(&without_bias, map, &stream, out);
        out->manifold_curvature = manifold;
        out->length_map_second_derivative = second;
    } else {
        if (b->matrix_before && isfinite(y) && out->q_star > 0.0) {
            out->c_star = 1.0 - (1.0 - c_y) * y / (law->before * out->q_star);
        }
        out->chi_1 = skip2 + rest * out->chi_1;
        out->chi_q = skip2 + rest * out->chi_q;
        out->chi_c = skip2 + rest * out->chi_c;
    }
    out->length_map_second_derivative *= rest * law->before;
    out->manifold_curvature = b->keep == 1.0 && b->skip == 0.0 && !b->matrix_before ? out->manifold_curvature : NAN;
    out->xi_q = eoc_depth_scale(out->chi_q);
    set_depth_scale_of_c(out);
    return EOC_OK;
}

/* -- |skip| >= 1: the stream grows -- */

/* 1 - E[phi phi]/E[phi^2] of u of infinite variance, for bounded phi: of its two limits, or, where it has none (sin),
 * of values that know nothing of each other. */
static double far_one_minus_feature_c(const eoc_activation *act, double one_minus_c)
{
    const double low = eoc_activation_phi(act, -1e30), high = eoc_activation_phi(act, 1e30);
    const bool settles = fabs(eoc_activation_phi(act, 1e29) - high) < 1e-9;
    if (!settles) {
        return one_minus_c > 0.0 ? 1.0 : 0.0;
    }
    const double angle = 2.0 * asin(fmin(1.0, sqrt(0.5 * one_minus_c)));
    return angle / PI * (high - low) * (high - low) / (low * low + high * high);
}

/* Where every layer adds the same to q, c tends to that of what is added: the root of 1 - c = share f(1 - c). */
static double c_of_increments(const eoc_layer_law *law, eoc_feature_map *map, double log_phi2)
{
    const bool blind = law->before == 0.0; /* phi sees biases alone, in all inputs */
    const double keep = law->block.keep, phi = law->behind * exp(log_phi2) / keep;
    const double share = phi / (phi + law->bias_behind);
    double low = 1e-300, high = 2.0;
    for (int i = 0; i < 2100 && high - low > 4e-16 * high; i++) {
        const double at = low < 1e-3 * high ? sqrt(low * high) : 0.5 * (low + high);
        double feature = 0.0, dphi_dphi = 0.0;
        if (blind) {
            feature = 0.0;
        } else if (law->block.norm.rule == EOC_NORM_LAYER) {
            eoc_feature_map_pair(map, at, &feature, &dphi_dphi);
        } else {
            feature = far_one_minus_feature_c(&law->passed, at);
        }
        if (share * (1.0 - keep + keep * feature) > at) {
            low = at;
        } else {
            high = at;
        }
    }
    const double one_minus_c = 0.5 * (low + high);
    /* An odd phi without biases keeps c = 0: said here, or rounding would say 1e-13. */
    const bool odd = law->passed.kind->odd && law->bias_behind == 0.0 && law->block.norm.beta == 0.0;
    return fabs(1.0 - one_minus_c) < (odd ? 1e-9 : 1e-15) ? 0.0 : 1.0 - one_minus_c;
}

static bool adds_nothing(const eoc_layer_law *law)
{
    const eoc_norm *norm = &law->block.norm;
    const bool blind =
        norm->rule == EOC_NORM_LAYER && norm->gamma == 0.0 && eoc_activation_phi(&law->passed, norm->beta) == 0.0;
    return law->block.branch == 0.0 || ((law->behind == 0.0 || blind) && law->bias_behind == 0.0);
}

/* The stream is the skip alone: the map of c is the identity. */
static void set_skip_alone(double skip2, double q_1, eoc_mean_field *out)
{
    *out = eoc_mean_field_unknown(EOC_THEORY_C_ANY | EOC_THEORY_XI_INFINITE);
    out->status |= skip2 == 1.0 ? EOC_THEORY_Q_LINE : skip2 < 1.0 ? EOC_THEORY_Q_ZERO : EOC_THEORY_Q_DIVERGES;
    out->q_star = skip2 == 1.0 ? q_1 : skip2 < 1.0 ? 0.0 : INFINITY;
    out->chi_1 = out->chi_q = skip2;
    out->chi_c = 1.0;
    out->xi_q = eoc_depth_scale(skip2);
    out->xi_c = INFINITY;
}

/* Where log q goes to one end of the line, +FAR or -FAR, and phi is its slopes: a layer is a constant factor. */
static void set_straight(const eoc_layer_law *law, eoc_feature_map *map, double log_q, eoc_mean_field *out)
{
    eoc_layer_law without_bias = *law;
    without_bias.bias = without_bias.bias_behind = 0.0;
    eoc_signal stream = {.log_q = log_q, .mean = 0.0};
    double slope = 0.0;
    for (int i = 0; i < ITERATIONS; i++) { /* the mean of a stream finds its share of the length */
        const double before = stream.mean;
        next_log_q(&without_bias, map, &stream, &slope);
        stream.log_q = log_q;
        if (stream.mean == before) {
            break;
        }
    }
    out->status |= log_q > 0.0 ? EOC_THEORY_Q_DIVERGES : EOC_THEORY_Q_ZERO;
    out->q_star = log_q > 0.0 ? INFINITY : 0.0;
    set_at(&without_bias, map, &stream, out);
    const eoc_features *f = eoc_feature_map_at(map, log_q);
    const bool one_slope = fabs(f->mu_2 - f->mu_1 * f->mu_1) <= 1e-14 * f->mu_2;
    const bool straight = law->passed.kind->odd && law->block.keep == 1.0; /* linear: the map of c is the identity */
    if (straight || (is_one(out->chi_c) && out->c_star == 1.0 && one_slope)) {
        out->status |= EOC_THEORY_C_ANY;
        out->c_star = NAN;
    }
    set_depth_scale_of_c(out);
}

/* No signal: phi sees 0, and the growth of gradients is of its slopes there. */
static void set_silent(const eoc_layer_law *law, eoc_feature_map *map, eoc_mean_field *out)
{
    const eoc_signal none = {.log_q = -INFINITY};
    eoc_sight sight;
    eoc_sight_fill(law, map, &none, &sight);
    out->status |= EOC_THEORY_Q_ZERO | EOC_THEORY_C_ANY;
    out->q_star = 0.0;
    out->mu_1 = sight.phi.mu_1;
    out->mu_2 = sight.phi.mu_2;
    out->chi_1 = eoc_gradient_growth(law, &sight);
}

static void find_growing(const eoc_layer_law *law, eoc_feature_map *map, double q_1, eoc_mean_field *out)
{
    const eoc_block *b = &law->block;
    const double skip2 = b->skip * b->skip;
    *out = eoc_mean_field_unknown(0);
    const bool normalized = b->norm.rule == EOC_NORM_LAYER;
    eoc_signal first = {.log_q = log(q_1)}, second = first;
    double slope = 0.0;
    next_log_q(law, map, &second, &slope);
    if (second.log_q == -INFINITY) {
        set_silent(law, map, out);
        out->status |= EOC_THEORY_XI_INFINITE;
        return;
    }
    if (adds_nothing(law)) {
        set_skip_alone(skip2, q_1, out);
        return;
    }
    out->status |= EOC_THEORY_Q_DIVERGES;
    out->q_star = INFINITY;
    const double far = normalized ? 2.0 * log(b->norm.gamma) : law->before == 0.0 ? log(law->bias) : FAR;
    const eoc_features f = *eoc_feature_map_at(map, far);
    const bool unbounded = !normalized && f.log_phi2 > 100.0;
    if (unbounded) {
        set_straight(law, map, FAR, out);
        return;
    }
    /* What is added is bounded: beside a stream of growing length it is nothing. Its slopes are not where phi goes up
     * and down for ever; behind a normalization they are divided by the stream's length. */
    const bool slopes = !normalized && (law->passed.kind->wave || law->before == 0.0);
    out->mu_1 = normalized || slopes ? f.mu_1 : 0.0;
    out->mu_2 = normalized || slopes ? f.mu_2 : 0.0;
    out->chi_q = skip2;
    out->chi_1 = skip2 + (slopes ? b->branch * b->branch * law->before * law->behind * f.mu_1 / b->keep : 0.0);
    out->chi_c = 1.0;
    out->xi_c = INFINITY;
    out->status |= EOC_THEORY_XI_INFINITE;
    if (skip2 > 1.0) {
        out->status |= EOC_THEORY_C_ANY;
        return;
    }
    const bool means = eoc_stream_has_mean(law);
    out->c_star =
        means ? 1.0
              : c_of_increments(
                    law, map, normalized || law->before == 0.0 ? f.log_phi2 : eoc_feature_map_at(map, 50.0)->log_phi2);
}

/* -- all together -- */

static eoc_status find(const eoc_layer_law *law, eoc_feature_map *map, double q_1, eoc_mean_field *out)
{
    const eoc_block *b = &law->block;
    const bool means = eoc_stream_has_mean(law);
    if (fabs(b->skip) >= 1.0) {
        find_growing(law, map, q_1, out);
        return EOC_OK;
    }
    if (b->skip != 0.0 && adds_nothing(law)) {
        set_skip_alone(b->skip * b->skip, q_1, out);
        return EOC_OK;
    }
    if (b->norm.rule == EOC_NORM_NONE && !means) {
        return find_like_plain(law, map, q_1, out);
    }
    *out = eoc_mean_field_unknown(0);
    eoc_signal stream = {.log_q = log(q_1), .mean = 0.0};
    if (!iterate_length(law, map, means, &stream)) {
        const bool far = fabs(stream.log_q) >= FAR;
        if (means && (far || law->passed.kind->scale_invariant)) {
            set_straight(law, map, (far ? stream.log_q > 0.0 : stream.log_q > log(q_1)) ? FAR : -FAR, out);
        }
        return EOC_OK;
    }
    out->q_star = exp(stream.log_q);
    if (stream.log_q == -INFINITY) {
        set_silent(law, map, out);
        return EOC_OK;
    }
    set_at(law, map, &stream, out);
    out->xi_q = eoc_depth_scale(out->chi_q);
    set_depth_scale_of_c(out);
    return EOC_OK;
}

eoc_status eoc_single_inputs_limits(const eoc_layer_law *law, double input_variance, int num_inputs, eoc_law_s_1 s_1,
                                    eoc_mean_field *point, double *jacobian_variance)
{
    (void)num_inputs;
    const eoc_block *b = &law->block;
    eoc_feature_map *map = NULL;
    EOC_TRY(eoc_single_inputs_map(law, &law->passed, &map));
    const eoc_status status = find(law, map, law->lift * input_variance + law->bias, point);
    eoc_feature_map_destroy(&map);
    const double skip2 = b->skip * b->skip, through = point->chi_1 > 0.0 ? (point->chi_1 - skip2) / point->chi_1 : NAN;
    *jacobian_variance =
        through == 0.0 ? 0.0
                       : through * (2.0 * (1.0 - through) +
                                    through * (eoc_layer_law_spread(law, point->mu_1, point->mu_2) - 1.0 - s_1.block));
    if (through > 0.0 && !eoc_layer_law_slopes_are_free(law)) {
        *jacobian_variance = NAN;
    }
    return status;
}
