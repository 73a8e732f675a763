/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/advise.h"

#include "eoc/critical.h"

#include "advise_layers.h"
#include "mean_walk.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const char *eoc_advice_regime_name(eoc_advice_regime regime)
{
#define NAME(name, text) text,
    static const char *const names[] = {EOC_ADVICE_REGIMES(NAME)};
    return names[regime];
}

const char *eoc_advice_verdict_text(eoc_advice_verdict verdict)
{
    static const char *const texts[] = {EOC_ADVICE_VERDICTS(NAME)};
#undef NAME
    return texts[verdict];
}

/* -- the critical point for an activation and depth -- */

static const double ABSURD_WEIGHT_VARIANCE = 20.0;

/* Scan of the line, 12 points a decade from 1e-4 to 1e3. */
enum { SCAN_POINTS = 85 };

static double scan_q(int i)
{
    return pow(10.0, i / 12.0 - 4.0);
}

static bool in_plane(const eoc_critical_point *p)
{
    return isfinite(p->sigma_w2) && isfinite(p->sigma_b2) && p->sigma_b2 >= 0.0;
}

static void take(eoc_advice *a, eoc_advice_regime regime, const eoc_critical_point *p)
{
    a->regime = regime;
    a->q_star = p->q_star;
    a->weight_variance = p->sigma_w2;
    a->bias_variance = p->sigma_b2;
    a->chi_q = p->chi_q;
}

/* L (mu_2/mu_1^2 - 1) of orthogonal networks at a stable point of the line. */
static eoc_status spread_at(const eoc_activation *act, const eoc_critical_point *p, int depth, double *variance)
{
    eoc_mean_field m;
    EOC_TRY(eoc_mean_field_find(act, p->sigma_w2, p->sigma_b2, p->q_star, &m));
    *variance = depth * eoc_mean_field_jacobian_variance(&m, 0.0);
    return EOC_OK;
}

static eoc_status choose_scale_free(const eoc_activation *act, eoc_advice *a)
{
    eoc_critical_point p;
    int count = 0;
    EOC_TRY(eoc_critical_find(act, 0.0, 1, &p, &count));
    assert(count == 1);
    const double left = eoc_activation_dphi(act, -1.0), right = eoc_activation_dphi(act, 1.0);
    take(a,
         left == right               ? EOC_ADVICE_LINEAR
         : fabs(left) == fabs(right) ? EOC_ADVICE_FOLDED
                                     : EOC_ADVICE_SCALE_FREE,
         &p);
    return EOC_OK;
}

/* From q_star downwards to where the spread is at most 1; *found false where even the smallest q is not enough. */
static eoc_status lower_spread(const eoc_activation *act, int depth, eoc_critical_point *p, bool *found)
{
    static const double LEAST = 1e-5;
    double variance = 0.0, low = LEAST, high = p->q_star;
    EOC_TRY(spread_at(act, p, depth, &variance));
    *found = variance <= 1.0;
    if (*found) {
        return EOC_OK;
    }
    EOC_TRY(eoc_critical_at_q(act, LEAST, p));
    EOC_TRY(spread_at(act, p, depth, &variance));
    *found = variance <= 1.0 && p->chi_q < 1.0 && in_plane(p);
    for (int i = 0; i < 40 && *found; i++) {
        const double middle = sqrt(low * high);
        EOC_TRY(eoc_critical_at_q(act, middle, p));
        EOC_TRY(spread_at(act, p, depth, &variance));
        *(variance <= 1.0 ? &low : &high) = middle;
    }
    return *found ? eoc_critical_at_q(act, low, p) : EOC_OK;
}

static eoc_status choose_on_line(const eoc_activation *act, eoc_advice *a)
{
    double q[SCAN_POINTS];
    eoc_critical_point at[SCAN_POINTS];
    for (int i = 0; i < SCAN_POINTS; i++) {
        q[i] = scan_q(i);
    }
    EOC_TRY(eoc_critical_fill(act, q, SCAN_POINTS, at));
    const eoc_critical_point *first = NULL, *steadiest = NULL;
    for (int i = 0; i < SCAN_POINTS; i++) {
        if (in_plane(&at[i])) {
            first = first ? first : &at[i];
            steadiest = at[i].chi_q < 1.0 && (!steadiest || at[i].chi_q < steadiest->chi_q) ? &at[i] : steadiest;
        }
    }
    if (!first || first->sigma_w2 > ABSURD_WEIGHT_VARIANCE || !steadiest) {
        const eoc_critical_point nothing = {.q_star = NAN, .sigma_w2 = NAN, .sigma_b2 = NAN, .chi_q = NAN};
        take(a, first ? EOC_ADVICE_FAR : EOC_ADVICE_NONE, &nothing);
        return EOC_OK;
    }
    eoc_critical_point p;
    EOC_TRY(eoc_critical_at_q(act, 1.0 / sqrt(8.0 * a->depth), &p));
    if (!in_plane(&p) || !(p.chi_q < 1.0)) {
        take(a, EOC_ADVICE_UPPER_BRANCH, steadiest);
        return EOC_OK;
    }
    bool isometric = false;
    EOC_TRY(lower_spread(act, a->depth, &p, &isometric));
    if (!isometric) {
        EOC_TRY(eoc_critical_at_q(act, 1.0, &p)); /* signals of the size of the inputs */
        p = in_plane(&p) && p.chi_q < 1.0 ? p : *steadiest;
    }
    take(a, isometric ? EOC_ADVICE_ISOMETRIC : EOC_ADVICE_STABLE, &p);
    return EOC_OK;
}

/* -- rows -- */

static eoc_status layers_of(const eoc_activation *act, eoc_advice *a, eoc_advice_row *r, double s_1)
{
    const double count = 1.0;
    const eoc_theory_inputs inputs = {.num_variances = 1, .variances = &r->input_variance, .counts = &count};
    eoc_curves *curves = NULL;
    EOC_TRY(eoc_curves_create(act, r->effective_weight_variance, r->bias_variance, &inputs, a->depth, &curves));
    const int layers[2] = {1, a->depth}, num_layers = a->depth > 1 ? 2 : 1;
    double q[2], g[2];
    eoc_curve_rows rows = {.log_q = q, .log_gradient_q = g};
    eoc_curves_fill(curves, a->depth, layers, num_layers, s_1, &rows);
    eoc_curves_destroy(&curves);
    r->log_forward_scale = num_layers == 2 ? q[1] - q[0] : 0.0;
    r->log_gradient_scale = num_layers == 2 ? g[0] - g[1] : 0.0;
    r->spread = sqrt(fmax(0.0, expm1(rows.log_jacobian_m2 - 2.0 * rows.log_jacobian_m1)));
    return EOC_OK;
}

static double layers_to_factor(double rate)
{
    const double speed = fabs(log(rate));
    return speed < 1e-11 ? INFINITY : log(EOC_ADVICE_FACTOR) / speed;
}

static void depths_of(eoc_advice_row *r)
{
    const eoc_mean_field *m = &r->point;
    const bool q_moves = (m->status & (EOC_THEORY_Q_ZERO | EOC_THEORY_Q_DIVERGES)) != 0;
    const double by_length = q_moves && m->chi_q > 0.0 ? layers_to_factor(m->chi_q) : INFINITY;
    const bool says_nothing = isnan(m->xi_c) && (m->status & EOC_THEORY_PARTIAL); /* else the signal is gone first */
    const double by_correlation = isnan(m->xi_c) ? INFINITY : EOC_ADVICE_XI_MULTIPLE * m->xi_c;
    r->signal_depth = says_nothing ? NAN : fmin(by_length, by_correlation);
    r->gradient_depth = m->chi_1 > 0.0 ? layers_to_factor(m->chi_1) : 0.0;
}

static eoc_advice_verdict judge(const eoc_activation *act, const eoc_advice *a, const eoc_advice_row *r)
{
    static const double SOME = 4.605170185988092; /* log 100 */
    const double many = log(EOC_ADVICE_FACTOR);
    const bool is_far = a->depth > r->signal_depth;
    const unsigned flags = r->point.status;
    if (!r->in_theory) {
        const double slope = eoc_activation_dphi(act, 1e-3); /* of small features of one sign */
        const bool from_nothing = eoc_activation_phi(act, 0.0) != 0.0;
        return from_nothing || r->mean_gain * slope * slope > 1.0 ? EOC_VERDICT_MEAN_GROWS : EOC_VERDICT_MEAN_VANISHES;
    }
    const struct {
        bool holds;
        eoc_advice_verdict verdict;
    } cases[] = {
        {!(r->log_forward_scale >= -many), EOC_VERDICT_SIGNAL_VANISHES},
        {r->log_forward_scale > many, EOC_VERDICT_SIGNAL_EXPLODES},
        {is_far && (flags & EOC_THEORY_CHAOTIC), EOC_VERDICT_INPUTS_UNRELATED},
        {is_far && (flags & EOC_THEORY_Q_ZERO), EOC_VERDICT_SIGNAL_VANISHES},
        {is_far && (flags & EOC_THEORY_Q_DIVERGES), EOC_VERDICT_SIGNAL_EXPLODES},
        {is_far, EOC_VERDICT_INPUTS_ALIKE},
        {!(r->log_gradient_scale >= -many), EOC_VERDICT_GRADIENTS_VANISH},
        {r->log_gradient_scale > many, EOC_VERDICT_GRADIENTS_EXPLODE},
        {r->log_gradient_scale < -SOME, EOC_VERDICT_GRADIENTS_SHRINK},
        {r->log_gradient_scale > SOME, EOC_VERDICT_GRADIENTS_GROW},
        {r->beta > 1.0, EOC_VERDICT_TOO_NARROW},
        {r->spread <= 1.0, EOC_VERDICT_ISOMETRIC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].holds) {
            return cases[i].verdict;
        }
    }
    return EOC_VERDICT_TRAINABLE;
}

static eoc_status fill_row(const eoc_activation *act, eoc_advice *a, eoc_advice_row *r)
{
    r->effective_weight_variance = eoc_initializer_effective(&r->initializer, r->weight_variance, a->width);
    r->in_theory = eoc_initializer_in_theory(&r->initializer);
    if (!r->in_theory) {
        const double sum = a->width * eoc_initializer_mean(&r->initializer, r->weight_variance, a->width, a->width);
        const eoc_mean_walk_start start = {.width = a->width,
                                           .sum = sum,
                                           .weight_variance = r->effective_weight_variance,
                                           .bias_variance = r->bias_variance,
                                           .input_variance = r->input_variance};
        EOC_TRY(eoc_mean_walk(act, &start, a->depth, &r->log_forward_scale, &r->log_gradient_scale));
        r->mean_gain = sum * sum;
        r->signal_depth = r->gradient_depth = r->spread = r->beta = NAN;
        r->point = eoc_mean_field_unknown(EOC_THEORY_OUTSIDE_THEORY);
        r->verdict = judge(act, a, r);
        return EOC_OK;
    }
    const double q_1 = r->effective_weight_variance * r->input_variance + r->bias_variance;
    EOC_TRY(eoc_mean_field_find(act, r->effective_weight_variance, r->bias_variance, q_1, &r->point));
    const double s_1 = r->initializer.kind->law == EOC_LAW_HAAR ? 0.0 : -1.0;
    EOC_TRY(layers_of(act, a, r, s_1));
    depths_of(r);
    const double beta = s_1 == 0.0 ? eoc_mean_field_beta_orthogonal(&r->point) : eoc_mean_field_beta(&r->point);
    r->beta = beta * a->depth / a->width;
    r->verdict = judge(act, a, r);
    return EOC_OK;
}

/* The common initializers: as their authors and PyTorch set them, at weight_variance 1. */
static const struct {
    const char *name, *initializer;
    bool is_critical, has_torch_bias;
    const char *torch; /* of the weights, where nothing is to be filled in */
} candidates[] = {
    {"small_uniform", "small_uniform", false, false, "nn.init.uniform_(m.weight, 0, 0.01)"},
    {"small_normal", "small_normal", false, false, "nn.init.normal_(m.weight, 0, 0.01)"},
    {"positive_uniform", "positive_uniform", false, false, "nn.init.uniform_(m.weight, 0, m.in_features**-0.5)"},
    {"gaussian", "gaussian", false, false, "nn.init.normal_(m.weight, 0, m.in_features**-0.5)"},
    {"torch_linear", "torch_linear", false, true, "nothing to do: nn.Linear's own"},
    {"glorot_normal", "glorot_normal", false, false, "nn.init.xavier_normal_(m.weight)"},
    {"he_normal", "he_normal", false, false, "nn.init.kaiming_normal_(m.weight, nonlinearity='relu')"},
    {"orthogonal", "orthogonal", false, false, "nn.init.orthogonal_(m.weight)"},
    {"critical_gaussian", "gaussian", true, false, NULL},
    {"critical_orthogonal", "orthogonal", true, false, NULL},
};

enum { NUM_CANDIDATES = sizeof candidates / sizeof candidates[0] };

_Static_assert((int)NUM_CANDIDATES + (int)EOC_MAX_ADVICE_LAYERS <= (int)EOC_MAX_ADVICE_ROWS,
               "eoc_advice holds all rows");

const eoc_advice_row *eoc_advice_find(const eoc_advice *advice, const char *name)
{
    for (int i = 0; i < advice->num_rows; i++) {
        if (strcmp(advice->rows[i].name, name) == 0) {
            return &advice->rows[i];
        }
    }
    return NULL;
}

const eoc_advice_row *eoc_advice_plain(const eoc_advice *a)
{
    const eoc_advice_row *he = eoc_advice_find(a, "he_normal");
    const bool is_critical = fabs(he->effective_weight_variance - a->weight_variance) < 1e-9;
    return is_critical ? he : eoc_advice_find(a, "critical_gaussian");
}

static int index_of(const eoc_advice *a, const char *name)
{
    const eoc_advice_row *r = eoc_advice_find(a, name);
    assert(r);
    return (int)(r - a->rows);
}

/* He's where it is the critical one, unless orthogonal weights spread much less; without a critical point what lasts
 * longest. Of the rows of plain layers, the first `num_plain`. */
static int recommend(const eoc_advice *a, int num_plain)
{
    if (a->regime == EOC_ADVICE_SCALE_FREE) {
        static const double MUCH = 4.0;
        const eoc_advice_row *plain = eoc_advice_plain(a);
        const int orthogonal = index_of(a, "critical_orthogonal");
        return MUCH * a->rows[orthogonal].spread < plain->spread ? orthogonal : (int)(plain - a->rows);
    }
    if (a->regime != EOC_ADVICE_FAR && a->regime != EOC_ADVICE_NONE) {
        return index_of(a, "critical_orthogonal");
    }
    int best = -1;
    double longest = -1.0;
    for (int i = 0; i < num_plain; i++) {
        const double depth = fmin(a->rows[i].signal_depth, a->rows[i].gradient_depth);
        if (a->rows[i].in_theory && depth > longest) {
            longest = depth;
            best = i;
        }
    }
    assert(best >= 0);
    return best;
}

static eoc_status add_initializers(const eoc_activation *act, eoc_advice *a)
{
    for (int i = 0; i < NUM_CANDIDATES; i++) {
        if (candidates[i].is_critical && isnan(a->weight_variance)) {
            continue;
        }
        eoc_advice_row *const r = &a->rows[a->num_rows++];
        r->name = candidates[i].name;
        r->architecture = "fully_connected";
        r->is_critical = candidates[i].is_critical;
        r->weight_variance = r->is_critical ? a->weight_variance : 1.0;
        r->bias_variance = r->is_critical                 ? a->bias_variance
                           : candidates[i].has_torch_bias ? 1.0 / (3.0 * a->width)
                                                          : 0.0;
        r->input_variance =
            r->is_critical && isfinite(a->q_star) ? (a->q_star - r->bias_variance) / r->weight_variance : 1.0;
        EOC_TRY(eoc_initializer_find(candidates[i].initializer, &r->initializer));
        EOC_TRY(fill_row(act, a, r));
    }
    return EOC_OK;
}

static bool is_isometric(eoc_advice_regime regime)
{
    return regime == EOC_ADVICE_LINEAR || regime == EOC_ADVICE_FOLDED || regime == EOC_ADVICE_ISOMETRIC;
}

/* Where no initializer makes an isometry: layers that go deeper. */
static eoc_status add_layers(const eoc_activation *act, eoc_advice *a)
{
    if (is_isometric(a->regime)) {
        return EOC_OK;
    }
    eoc_advice_row *const rows = &a->rows[a->num_rows];
    int count = 0;
    EOC_TRY(eoc_advise_layers(act, a, rows, &count));
    for (int i = 0; i < count; i++) {
        depths_of(&rows[i]);
        rows[i].verdict = judge(act, a, &rows[i]);
    }
    a->num_rows += count;
    return EOC_OK;
}

static bool is_beyond_reach(const eoc_advice *a)
{
    const eoc_advice_row *best = &a->rows[a->plain], *residual = eoc_advice_find(a, "residual");
    if (a->regime != EOC_ADVICE_SCALE_FREE) {
        return residual && best->verdict < EOC_VERDICT_TRAINABLE && residual->verdict >= EOC_VERDICT_TRAINABLE;
    }
    const bool scattered = best->spread > EOC_ADVICE_SPREAD * (1.0 + 1e-9); /* to rounding */
    return scattered || best->beta > 1.0;
}

eoc_status eoc_advise(const eoc_activation *act, int width, int depth, eoc_advice *advice)
{
    *advice = (eoc_advice){.width = width, .depth = depth};
    EOC_TRY(eoc_activation_check_theory(act));
    EOC_TRY(act->kind->scale_invariant ? choose_scale_free(act, advice) : choose_on_line(act, advice));
    EOC_TRY(add_initializers(act, advice));
    const int num_plain = advice->num_rows;
    EOC_TRY(add_layers(act, advice));
    advice->plain = advice->recommended = recommend(advice, num_plain);
    advice->beyond_reach = is_beyond_reach(advice);
    if (advice->beyond_reach) {
        advice->recommended = index_of(advice, eoc_advice_find(advice, "looks_linear") ? "looks_linear" : "residual");
    }
    return EOC_OK;
}

void eoc_advice_torch(const eoc_advice_row *row, eoc_text *out)
{
    const double gain = sqrt(row->weight_variance);
    if (eoc_advise_layers_torch(row, out)) {
        ; /* the biases alone are left */
    } else if (!row->is_critical) {
        for (int i = 0; i < NUM_CANDIDATES; i++) {
            if (strcmp(candidates[i].name, row->name) == 0) {
                eoc_text_append(out, "%s", candidates[i].torch);
            }
        }
    } else if (row->initializer.kind->law == EOC_LAW_HAAR) {
        eoc_text_append(out, "nn.init.orthogonal_(m.weight, gain=%.8g)", gain);
    } else {
        eoc_text_append(out, "nn.init.normal_(m.weight, 0, %.8g * m.in_features**-0.5)", gain);
    }
    if (strcmp(row->name, "torch_linear") != 0) {
        if (row->bias_variance > 0.0) {
            eoc_text_append(out, "; nn.init.normal_(m.bias, 0, %.8g)", sqrt(row->bias_variance));
        } else {
            eoc_text_append(out, "; nn.init.zeros_(m.bias)");
        }
    }
}
