/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/mean_field.h"

#include "fixed_points.h"

#include <assert.h>
#include <math.h>

static const double PI = 3.14159265358979323846;

const char *eoc_theory_flag_name(int index)
{
#define FLAG_NAME(name, text) text,
    static const char *const names[] = {EOC_THEORY_FLAGS(FLAG_NAME)};
#undef FLAG_NAME
    assert(index >= 0 && index < EOC_NUM_THEORY_FLAGS);
    return names[index];
}

double eoc_depth_scale(double slope)
{
    const double size = fabs(slope);
    if (fabs(size - 1.0) <= EOC_CRITICAL_TOLERANCE) {
        return INFINITY;
    }
    return size < 1.0 ? -1.0 / log(size) : NAN;
}

static bool is_critical(double product)
{
    return fabs(product - 1.0) <= EOC_CRITICAL_TOLERANCE;
}

eoc_mean_field eoc_mean_field_unknown(unsigned status)
{
    return (eoc_mean_field){.status = status,
                            .q_star = NAN,
                            .chi_1 = NAN,
                            .c_star = NAN,
                            .xi_q = NAN,
                            .xi_c = NAN,
                            .chi_q = NAN,
                            .chi_c = NAN,
                            .mu_1 = NAN,
                            .mu_2 = NAN,
                            .length_map_second_derivative = NAN,
                            .manifold_curvature = NAN};
}

/* The c-map of a phi that is, or has become, homogeneous with the given slopes. */
static void set_homogeneous_c(const double slopes[2], bool has_bias, double growth, eoc_mean_field *out)
{
    out->chi_c = 1.0;
    out->xi_c = INFINITY;
    out->status |= EOC_THEORY_XI_INFINITE;
    /* A straight phi leaves c alone once biases have become nothing beside the signal. */
    const bool straight = slopes[0] == slopes[1];
    if (straight && (!has_bias || growth > 1.0 + EOC_CRITICAL_TOLERANCE)) {
        out->status |= EOC_THEORY_C_ANY;
    } else {
        out->c_star = 1.0;
    }
}

/* Limits as q goes to 0, or to infinity, where phi is its two slopes. */
static void set_homogeneous_limit(const double slopes[2], double sigma_w2, double sigma_b2, eoc_mean_field *out)
{
    const double below = slopes[0] * slopes[0], above = slopes[1] * slopes[1];
    out->mu_1 = 0.5 * (below + above);
    out->mu_2 = 0.5 * (below * below + above * above);
    out->chi_1 = sigma_w2 * out->mu_1;
    out->chi_q = out->chi_1;
    set_homogeneous_c(slopes, sigma_b2 > 0.0, out->chi_1, out);
}

static void find_scale_invariant(const eoc_expectations *e, double sigma_w2, double sigma_b2, double q_1,
                                 eoc_mean_field *out)
{
    const double *slopes = e->slope_infinity;
    set_homogeneous_limit(slopes, sigma_w2, sigma_b2, out);
    const double growth = out->chi_1;
    out->length_map_second_derivative = 0.0;
    if (is_critical(growth) && sigma_b2 == 0.0) {
        out->status |= EOC_THEORY_Q_LINE;
        out->q_star = q_1;
        out->xi_q = INFINITY;
    } else if (growth < 1.0 && !is_critical(growth)) {
        out->q_star = sigma_b2 / (1.0 - growth);
        out->xi_q = eoc_depth_scale(growth);
        if (sigma_b2 == 0.0) {
            out->status |= EOC_THEORY_Q_ZERO;
        } else {
            out->status &= ~(unsigned)(EOC_THEORY_XI_INFINITE | EOC_THEORY_C_ANY);
            out->c_star = 1.0;
            out->chi_c = growth;
            out->xi_c = eoc_depth_scale(growth);
        }
    } else if (sigma_b2 == 0.0 && q_1 == 0.0) {
        out->status |= EOC_THEORY_Q_ZERO;
        out->q_star = 0.0;
    } else {
        out->status |= EOC_THEORY_Q_DIVERGES;
        out->q_star = INFINITY;
    }
    if (e->jumps) {
        out->status |= EOC_THEORY_NO_SECOND_DERIVATIVE;
    } else {
        out->manifold_curvature = 0.0;
    }
}

typedef struct {
    eoc_expectations *e;
    eoc_moments *m;
    double sigma_w2;
    double feature_share; /* sigma_w2 E[phi^2]/q */
} c_context;

/* (1 - c')/(1 - c) - 1 at 1 - c, and its derivative: falls from chi_1 - 1 at 0 to -f(0) at 1, for the c-map is
 * convex there. */
static double c_gap(double one_minus_c, double *slope, void *context)
{
    const c_context *map = context;
    double feature = 0.0, dphi_dphi = 0.0;
    eoc_pair_fill(map->e, map->m, map->m, one_minus_c, &feature, &dphi_dphi);
    const double ratio = map->feature_share * feature / one_minus_c;
    *slope = (map->sigma_w2 * dphi_dphi - ratio) / one_minus_c;
    return ratio - 1.0;
}

/* The root of c_gap, from above: short Hermite series find out whether c is small, before a long one is paid for.
 */
static double attracting_one_minus_c(c_context *map, double chi_1)
{
    static const double reach[] = {0.5, 0.8, EOC_SERIES_C};
    double slope = 0.0, high = 1.0, gap_high = 0.0;
    for (size_t i = 0; i < sizeof reach / sizeof reach[0]; i++) {
        eoc_moments_expand(map->e, reach[i], map->m);
        if (i == 0) {
            gap_high = c_gap(1.0, &slope, map);
            if (gap_high >= 0.0) {
                return 1.0;
            }
        }
        const double low = 1.0 - reach[i], gap_low = c_gap(low, &slope, map);
        if (gap_low >= 0.0) {
            return eoc_find_root(c_gap, map, low, gap_low, high, gap_high, 0.5 * (low + high));
        }
        high = low;
        gap_high = gap_low;
    }
    if (!eoc_pair_is_quick(map->e, map->m, 0.5 * high)) {
        eoc_moments_expand(map->e, 1.0, map->m);
    }
    return eoc_find_root(c_gap, map, 0.0, chi_1 - 1.0, high, gap_high, 0.5 * high);
}

/* Likewise where every pair is quick: no series, and fewer of them. */
static double quick_attracting_one_minus_c(c_context *map, double chi_1)
{
    double slope = 0.0;
    const double gap_high = c_gap(1.0, &slope, map);
    return gap_high >= 0.0 ? 1.0 : eoc_find_root(c_gap, map, 0.0, chi_1 - 1.0, 1.0, gap_high, fmin(0.5, chi_1 - 1.0));
}

/*
 * Limit of c at a positive, finite q_star. The c-map is a power series with coefficients >= 0 that sum to 1,
 * so it is convex on [0, 1]: c = 1 attracts if chi_1 <= 1, else exactly one point of [0, 1) does, and it
 * attracts negative starts too.
 */
static void find_c(eoc_expectations *e, eoc_moments *m, double sigma_w2, double sigma_b2, eoc_mean_field *out)
{
    out->c_star = 1.0;
    out->chi_c = out->chi_1;
    if (out->chi_1 > 1.0 + EOC_CRITICAL_TOLERANCE) {
        c_context map = {.e = e, .m = m, .sigma_w2 = sigma_w2, .feature_share = sigma_w2 * exp(m->log_phi2 - m->log_q)};
        /* An odd phi without biases keeps c = 0: said here, or rounding would say 1e-9. */
        const bool stays_at_zero = e->act.kind->odd && sigma_b2 == 0.0;
        const bool quick = eoc_pair_is_quick(e, m, 1.0) && eoc_pair_is_quick(e, m, 1e-6);
        const double one_minus_c = stays_at_zero ? 1.0
                                   : quick       ? quick_attracting_one_minus_c(&map, out->chi_1)
                                                 : attracting_one_minus_c(&map, out->chi_1);
        double dphi_dphi = 0.0;
        eoc_pair_fill(e, m, m, one_minus_c, NULL, &dphi_dphi);
        out->status |= EOC_THEORY_CHAOTIC;
        out->c_star = 1.0 - one_minus_c;
        out->chi_c = sigma_w2 * dphi_dphi;
    }
    out->xi_c = eoc_depth_scale(out->chi_c);
    if (isinf(out->xi_c)) {
        out->status |= EOC_THEORY_XI_INFINITE;
    }
}

static void find_curvature(eoc_expectations *e, const eoc_moments *m, double sigma_w2, eoc_mean_field *out)
{
    if (e->jumps) {
        out->status |= EOC_THEORY_NO_SECOND_DERIVATIVE;
        return;
    }
    const double chi_2 = sigma_w2 * eoc_moments_curvature(e, m);
    out->manifold_curvature = out->chi_1 > 1.0 ? sqrt(3.0 * chi_2 / (out->chi_1 * (out->chi_1 - 1.0)))
                              : chi_2 > 0.0    ? INFINITY
                                               : 0.0;
}

static void find_at(eoc_expectations *e, double sigma_w2, double sigma_b2, const eoc_q_root *root, eoc_mean_field *out)
{
    eoc_moments m;
    eoc_moments_fill(e, root->log_q, &m);
    out->q_star = exp(root->log_q);
    out->mu_1 = m.mu_1;
    out->mu_2 = m.mu_2;
    out->chi_1 = sigma_w2 * m.mu_1;
    out->chi_q = root->chi_q;
    out->xi_q = eoc_depth_scale(out->chi_q);
    out->length_map_second_derivative = 0.25 * sigma_w2 * m.phi2_z4 * exp(m.log_phi2 - 2.0 * m.log_q);
    if (root->touches) {
        out->status |= EOC_THEORY_Q_HALF_STABLE;
    }
    find_c(e, &m, sigma_w2, sigma_b2, out);
    find_curvature(e, &m, sigma_w2, out);
}

static void find_zero(const eoc_expectations *e, double sigma_w2, eoc_mean_field *out)
{
    out->status |= EOC_THEORY_Q_ZERO;
    out->q_star = 0.0;
    set_homogeneous_limit(e->slope_zero, sigma_w2, 0.0, out);
    out->xi_q = eoc_depth_scale(out->chi_q);
    if (is_critical(out->chi_q)) {
        out->status |= EOC_THEORY_Q_MARGINAL;
        out->xi_q = INFINITY;
    }
    if (e->jumps) {
        out->status |= EOC_THEORY_NO_SECOND_DERIVATIVE;
    }
}

static void find_diverging(const eoc_expectations *e, double sigma_w2, double sigma_b2, eoc_mean_field *out)
{
    out->status |= EOC_THEORY_Q_DIVERGES;
    out->q_star = INFINITY;
    set_homogeneous_limit(e->slope_infinity, sigma_w2, sigma_b2, out);
    if (e->jumps) {
        out->status |= EOC_THEORY_NO_SECOND_DERIVATIVE;
    }
}

/* The root that the iteration from log_q_1 goes to, for an increasing V; NULL with *gap_1 < 0: zero, > 0:
 * infinity. */
static const eoc_q_root *root_reached(const eoc_q_roots *found, double log_q_1, double gap_1)
{
    const eoc_q_root *below = NULL;
    for (int i = 0; i < found->num_roots; i++) {
        const eoc_q_root *root = &found->roots[i];
        if (fabs(root->log_q - log_q_1) <= 1e-13 * fmax(1.0, fabs(log_q_1))) {
            return root;
        }
        if (root->log_q < log_q_1) {
            below = root;
        } else if (gap_1 > 0.0) {
            return root;
        }
    }
    return gap_1 > 0.0 ? NULL : below;
}

/* Where V is not increasing the neighbours prove nothing: iterate, and take the nearest root to where that ends.
 */
static double iterated_start(eoc_expectations *e, double sigma_w2, double sigma_b2, double log_q)
{
    eoc_moments m;
    for (int i = 0; i < 1000; i++) {
        eoc_moments_fill(e, log_q, &m);
        log_q = eoc_length_map(&m, sigma_w2, sigma_b2);
    }
    return log_q;
}

static void find_general(eoc_expectations *e, double sigma_w2, double sigma_b2, double q_1, eoc_mean_field *out)
{
    eoc_q_roots found;
    eoc_q_roots_find(e, sigma_w2, sigma_b2, &found);
    if (found.num_roots + found.zero_is_fixed > 1) {
        out->status |= EOC_THEORY_Q_SEVERAL;
    }
    if (q_1 == 0.0 && found.zero_is_fixed) {
        find_zero(e, sigma_w2, out);
        return;
    }
    double log_q_1 = fmax(log(q_1), -700.0);
    if (!found.monotone) {
        log_q_1 = iterated_start(e, sigma_w2, sigma_b2, log_q_1);
    }
    const double gap_1 = eoc_length_gap(e, sigma_w2, sigma_b2, log_q_1);
    const eoc_q_root *root = root_reached(&found, log_q_1, gap_1);
    if (root) {
        find_at(e, sigma_w2, sigma_b2, root, out);
    } else if (gap_1 > 0.0) {
        find_diverging(e, sigma_w2, sigma_b2, out);
    } else {
        find_zero(e, sigma_w2, out);
    }
}

eoc_status eoc_mean_field_find(const eoc_activation *act, double sigma_w2, double sigma_b2, double q_1,
                               eoc_mean_field *out)
{
    assert(sigma_w2 >= 0.0 && sigma_b2 >= 0.0 && q_1 >= 0.0);
    *out = eoc_mean_field_unknown(0);
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    if (act->kind->scale_invariant) {
        find_scale_invariant(e, sigma_w2, sigma_b2, q_1, out);
    } else {
        find_general(e, sigma_w2, sigma_b2, q_1, out);
    }
    eoc_expectations_destroy(&e);
    return EOC_OK;
}

/* Writes a point where there is room, and counts it. */
static void put_point(eoc_fixed_point point, int capacity, eoc_fixed_point *points, int *count)
{
    if (*count < capacity) {
        points[*count] = point;
    }
    (*count)++;
}

eoc_status eoc_mean_field_fixed_points(const eoc_activation *act, double sigma_w2, double sigma_b2, int capacity,
                                       eoc_fixed_point *points, int *count)
{
    *count = 0;
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    const double *slopes = e->slope_zero;
    const double chi_zero = 0.5 * sigma_w2 * (slopes[0] * slopes[0] + slopes[1] * slopes[1]);
    const eoc_fixed_point zero = {.chi_1 = chi_zero, .chi_q = chi_zero};
    if (act->kind->scale_invariant) {
        if (sigma_b2 == 0.0 && !is_critical(chi_zero)) {
            put_point(zero, capacity, points, count);
        } else if (sigma_b2 > 0.0 && chi_zero < 1.0 && !is_critical(chi_zero)) {
            const double q = sigma_b2 / (1.0 - chi_zero);
            put_point((eoc_fixed_point){.q_star = q, .chi_1 = chi_zero, .chi_q = chi_zero}, capacity, points, count);
        }
        eoc_expectations_destroy(&e);
        return EOC_OK;
    }
    eoc_q_roots found;
    eoc_q_roots_find(e, sigma_w2, sigma_b2, &found);
    if (found.zero_is_fixed) {
        put_point(zero, capacity, points, count);
    }
    for (int i = 0; i < found.num_roots; i++) {
        const eoc_q_root *root = &found.roots[i];
        eoc_moments m;
        eoc_moments_fill(e, root->log_q, &m);
        put_point((eoc_fixed_point){.q_star = exp(root->log_q),
                                    .chi_1 = sigma_w2 * m.mu_1,
                                    .chi_q = root->chi_q,
                                    .half_stable = root->touches},
                  capacity, points, count);
    }
    eoc_expectations_destroy(&e);
    return EOC_OK;
}

double eoc_mean_field_beta(const eoc_mean_field *point)
{
    return 3.0 * point->mu_2 / (point->mu_1 * point->mu_1) - 1.0;
}

double eoc_mean_field_beta_orthogonal(const eoc_mean_field *point)
{
    return 3.0 * (point->mu_2 / (point->mu_1 * point->mu_1) - 1.0);
}

double eoc_mean_field_jacobian_variance(const eoc_mean_field *point, double s_1)
{
    return point->mu_2 / (point->mu_1 * point->mu_1) - 1.0 - s_1;
}

eoc_status eoc_mean_field_decay(const eoc_activation *act, double sigma_w2, double q_star, eoc_decay *decay)
{
    assert(sigma_w2 > 0.0 && q_star > 0.0 && isfinite(q_star));
    *decay = (eoc_decay){.coefficient = NAN};
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    eoc_moments m;
    eoc_moments_fill(e, log(q_star), &m);
    if (fabs(sigma_w2 * m.mu_1 - 1.0) <= 1e-8) {
        const double jumps = eoc_moments_jumps(e, q_star);
        const double curvature = jumps > 0.0 || act->kind->scale_invariant ? 0.0 : eoc_moments_curvature(e, &m);
        if (jumps > 0.0) {
            const double share = PI * 3.0 / (sigma_w2 * jumps);
            *decay = (eoc_decay){.power = 2, .coefficient = 2.0 * share * share};
        } else if (curvature > 0.0) {
            *decay = (eoc_decay){.power = 1, .coefficient = 2.0 * m.mu_1 / (q_star * curvature)};
        }
    }
    eoc_expectations_destroy(&e);
    return EOC_OK;
}
