/* SPDX-License-Identifier: BSD-3-Clause */
#include "slope_law.h"

#include "expectations.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { RULE = 16, INTERPOLATION = 24, MAX_PIECES = 1500 };

static const double PI = 3.14159265358979323846;

/* |z| beyond which 2e-19 of the mass is left. */
static const double RANGE = 9.0;

/* How far the path leaves the real line, in z and in u = sqrt(q) z: a fifth of the way to the nearest pole of any row,
 * tanh's at i pi/2, so that a polynomial through real points is good there. */
static const double LIFT_Z = 0.4;
static const double LIFT_U = 0.3;
static const double WEDGE = 0.25;

/* Lesser slopes are of no account, and near the end of a double. */
static const double LEAST_SLOPE = 1e-70;

/* The first panel at a point where the path is on the real line: x as near as the square of it to the value of d at an
 * extreme, or as it at a kink, is told from that value. */
static const double TIP_EXTREME = 1e-4;
static const double TIP_ZERO = 1e-10;
static const double TIP_KINK = 1e-8;
static const double TIP_FLAT = 1e-3; /* of the widest panel, for x above all d */

/* A stretch of z over which d rises (sign 1) or falls (-1); at a tip the path is on the real line. tip 0: none. */
typedef struct {
    double from, to, tip_from, tip_to, sign;
} stretch;

typedef struct {
    const eoc_activation *act;
    double scale, weight_scale; /* u = scale z; 2 where z < 0 is the mirror image of z > 0 */
    double node[RULE], weight[RULE];
    double cosine[4 * INTERPOLATION]; /* cos(pi i/(2 INTERPOLATION)) */
    double greatest;                  /* dphi^2 on the real line */
    eoc_slope_law *law;
    bool outside; /* only x above all d is wanted: the path stays on the real line */
    bool full;    /* no memory for another node */
} builder;

/* -- nodes -- */

static bool reserve(eoc_slope_law *law, size_t more)
{
    if (law->num + more <= law->capacity) {
        return true;
    }
    const size_t capacity = 2 * (law->num + more);
    double **const arrays[] = {&law->d_re, &law->d_im, &law->w_re, &law->w_im};
    for (size_t i = 0; i < 4; i++) {
        double *const larger = realloc(*arrays[i], capacity * sizeof *larger);
        if (!larger) {
            return false;
        }
        *arrays[i] = larger;
    }
    law->capacity = capacity;
    return true;
}

static void put_node(builder *b, double complex d, double complex weight)
{
    if (b->full || !reserve(b->law, 1)) {
        b->full = true;
        return;
    }
    eoc_slope_law *const law = b->law;
    law->d_re[law->num] = creal(d);
    law->d_im[law->num] = fmin(cimag(d), 0.0); /* above the line by rounding only */
    law->w_re[law->num] = creal(weight);
    law->w_im[law->num] = cimag(weight);
    law->num++;
}

static double dphi_at(const builder *b, double z)
{
    return eoc_activation_dphi(b->act, b->scale * z);
}

/* Chebyshev coefficients of dphi on [middle - reach, middle + reach], up to where they are rounding. Returns how many.
 */
static int interpolate(const builder *b, double middle, double reach, double coefficients[INTERPOLATION])
{
    double values[INTERPOLATION], greatest = 0.0;
    for (int i = 0; i < INTERPOLATION; i++) {
        values[i] = dphi_at(b, middle + reach * b->cosine[2 * i + 1]);
    }
    int num = 0;
    for (int k = 0; k < INTERPOLATION; k++) {
        double sum = 0.0;
        for (int i = 0; i < INTERPOLATION; i++) {
            sum += values[i] * b->cosine[k * (2 * i + 1) % (4 * INTERPOLATION)];
        }
        coefficients[k] = sum * (k > 0 ? 2.0 : 1.0) / INTERPOLATION;
        greatest = fmax(greatest, fabs(coefficients[k]));
        num = fabs(coefficients[k]) > 2.0 * DBL_EPSILON * greatest ? k + 1 : num;
    }
    return num;
}

static double complex chebyshev_sum(const double *coefficients, int num, double complex x)
{
    double complex b1 = 0.0, b2 = 0.0;
    for (int k = num - 1; k > 0; k--) {
        const double complex b0 = coefficients[k] + 2.0 * x * b1 - b2;
        b2 = b1;
        b1 = b0;
    }
    return (num > 0 ? coefficients[0] : 0.0) + x * b1 - b2;
}

/* The rule along the straight line from from + i lift_from to `to` + i lift_to; dphi by real points up to `reach` from
 * the middle. */
static void put_panel(builder *b, double from, double to, double lift_from, double lift_to, double reach)
{
    double coefficients[INTERPOLATION];
    const double middle = 0.5 * (from + to), half = 0.5 * (to - from);
    const int num = interpolate(b, middle, reach, coefficients);
    const double complex center = middle + I * 0.5 * (lift_from + lift_to);
    const double complex arm = half + I * 0.5 * (lift_to - lift_from);
    const double norm = b->weight_scale / sqrt(2.0 * PI);
    for (int i = 0; i < RULE; i++) {
        const double complex z = center + arm * b->node[i];
        const double complex dphi = chebyshev_sum(coefficients, num, (z - middle) / reach);
        put_node(b, dphi * dphi, norm * b->weight[i] * arm * cexp(-0.5 * z * z));
    }
}

/* -- the path along one stretch -- */

/* How far to either side of its middle a panel looks at dphi: not across a kink. */
static double reach_of(const builder *b, double from, double to, double lift)
{
    const double middle = 0.5 * (from + to);
    double reach = fmax(to - from, 2.0 * lift);
    for (int i = 0; i < b->act->kind->num_kinks; i++) {
        reach = fmin(reach, fabs(middle - b->act->kind->kinks[i] / b->scale));
    }
    return fmax(reach, 0.5 * (to - from));
}

/* How far from the real line the path may go at z, wherever the ends of its stretch are: the argument of d stays within
 * a radian of 0. */
static double room_at(const builder *b, const stretch *s, double z)
{
    const double h = 1e-4 / b->scale;
    double room = fmin(LIFT_Z, LIFT_U / b->scale);
    if (z - h > s->from && z + h < s->to) {
        const double above = fabs(dphi_at(b, z + h)), below = fabs(dphi_at(b, z - h));
        const double rate = above > 0.0 && below > 0.0 ? fabs(log(above / below)) / h : 0.0;
        room = rate > 0.0 ? fmin(room, 1.0 / rate) : room;
    }
    return room;
}

/* The path leaves and meets the real line at its tips in a wedge. */
static double lift_at(const builder *b, const stretch *s, double z)
{
    double lift = room_at(b, s, z);
    lift = s->tip_from > 0.0 ? fmin(lift, WEDGE * (z - s->from)) : lift;
    return s->tip_to > 0.0 ? fmin(lift, WEDGE * (s->to - z)) : lift;
}

/* Panels as wide as twice their lift, growing from one tip and shrinking to the other. */
static double width_at(const builder *b, const stretch *s, double z)
{
    double width = 2.0 * room_at(b, s, z);
    if (s->tip_from > 0.0) {
        width = fmin(width, fmax(2.0 / 3.0 * (z - s->from), fmin(s->tip_from, 0.25 * (s->to - s->from))));
    }
    if (s->tip_to > 0.0) {
        width = s->to - z <= s->tip_to ? s->to - z : fmin(width, 0.4 * (s->to - z));
    }
    return width;
}

/* Whether dphi, which rises or falls, is too small from z on to be told from 0. */
static bool is_negligible(const builder *b, double z, double end)
{
    return fabs(dphi_at(b, z)) < LEAST_SLOPE && fabs(dphi_at(b, end)) < LEAST_SLOPE;
}

/* On the real line, narrow panels only where d is near its greatest value. */
static void put_flat(builder *b, const stretch *s)
{
    const double widest = fmin(1.0, 1.2 / b->scale), norm = b->weight_scale / sqrt(2.0 * PI);
    const bool from_top = s->sign < 0.0 && s->tip_from > 0.0, to_top = s->sign > 0.0 && s->tip_to > 0.0;
    double z = s->from;
    while (z < s->to && !b->full) {
        double width = widest;
        width = from_top ? fmin(width, fmax(2.0 / 3.0 * (z - s->from), TIP_FLAT * widest)) : width;
        if (to_top) {
            width = s->to - z <= TIP_FLAT * widest ? s->to - z : fmin(width, 0.4 * (s->to - z));
        }
        const double end = z + 1.01 * width < s->to ? z + width : s->to, half = 0.5 * (end - z);
        for (int i = 0; i < RULE; i++) {
            const double at = z + half * (1.0 + b->node[i]), dphi = dphi_at(b, at);
            put_node(b, dphi * dphi, norm * b->weight[i] * half * exp(-0.5 * at * at));
        }
        z = end;
    }
}

static void put_stretch(builder *b, const stretch *s)
{
    double z = s->from, lift = s->tip_from > 0.0 ? 0.0 : lift_at(b, s, z);
    while (z < s->to && !b->full) {
        double width = width_at(b, s, z);
        const double far = fmin(z + LIFT_Z, s->to);
        const bool negligible = !(s->tip_to > 0.0) && width < LIFT_Z && is_negligible(b, z, far);
        width = negligible ? LIFT_Z : width;
        const double end = z + 1.01 * width < s->to ? z + width : s->to;
        const bool at_tip = end == s->to && s->tip_to > 0.0;
        const double lift_end = negligible || at_tip ? 0.0 : lift_at(b, s, end);
        const double reach = negligible ? 0.5 * (end - z) : reach_of(b, z, end, fmax(lift, lift_end));
        put_panel(b, z, end, -s->sign * lift, -s->sign * lift_end, reach);
        z = end;
        lift = lift_end;
    }
}

/* -- stretches -- */

/* P(a < z < b), all of z beyond RANGE counted in. */
static double normal_mass(double a, double b)
{
    const double root = sqrt(0.5);
    const double above_a = a <= -RANGE ? 1.0 : 0.5 * erfc(a * root), above_b = b >= RANGE ? 0.0 : 0.5 * erfc(b * root);
    return a > 0.0 || b > 0.0 ? above_a - above_b : 0.5 * erfc(-b * root) - (a <= -RANGE ? 0.0 : 0.5 * erfc(-a * root));
}

static double bisect(const builder *b, double low, double high, bool zero_of_dphi)
{
    const double h = 1e-5 / b->scale;
    double first = 0.0;
    for (int i = 0; i < 60; i++) {
        const double z = i == 0 ? low : 0.5 * (low + high);
        const double value = zero_of_dphi ? dphi_at(b, z) : dphi_at(b, z + h) - dphi_at(b, z - h);
        if (i == 0) {
            first = value;
        } else {
            *((value > 0.0) == (first > 0.0) ? &low : &high) = z;
        }
    }
    return 0.5 * (low + high);
}

/* One smooth piece between kinks: an atom where d is constant, else its stretches. */
static void put_piece(builder *b, double from, double to, double tip_from, double tip_to, stretch *stretches,
                      int *count)
{
    const double inside = 1e-14 * (to - from); /* the derivative at a kink is 0 by convention */
    const int steps = (int)fmin(40000.0, ceil((to - from) / fmin(0.05, 0.05 / b->scale)));
    const double step = (to - from) / steps;
    double before = fabs(dphi_at(b, from + inside)), least = before, greatest = before;
    stretch s = {.from = from, .tip_from = tip_from, .sign = 0.0};
    for (int i = 1; i <= steps; i++) {
        const double z = i == steps ? to - inside : from + i * step;
        const double here = fabs(dphi_at(b, z));
        const double sign = fabs(here - before) > 1e-13 * fmax(here, before) ? copysign(1.0, here - before) : 0.0;
        if (sign != 0.0 && s.sign != 0.0 && sign != s.sign && *count < MAX_PIECES) {
            const double low = fmax(from + inside, z - 2.0 * step), high = z;
            const bool crosses = (dphi_at(b, low) > 0.0) != (dphi_at(b, high) > 0.0);
            s.to = bisect(b, low, high, crosses);
            s.tip_to = crosses ? TIP_ZERO : TIP_EXTREME;
            b->greatest = fmax(b->greatest, pow(dphi_at(b, s.to), 2.0));
            stretches[(*count)++] = s;
            s = (stretch){.from = s.to, .tip_from = s.tip_to};
        }
        s.sign = sign != 0.0 ? sign : s.sign;
        least = fmin(least, here);
        greatest = fmax(greatest, here);
        before = here;
    }
    b->greatest = fmax(b->greatest, greatest * greatest);
    if (greatest - least <= 1e-14 * greatest) {
        put_node(b, greatest * greatest, b->weight_scale * normal_mass(from, to));
        return;
    }
    s.to = to;
    s.tip_to = tip_to;
    stretches[(*count)++] = s;
}

/* All nodes so far are atoms; equal ones become one. */
static void merge_atoms(eoc_slope_law *law)
{
    size_t kept = 0;
    for (size_t i = 0; i < law->num; i++) {
        size_t k = 0;
        while (k < kept && law->d_re[k] != law->d_re[i]) {
            k++;
        }
        if (k < kept) {
            law->w_re[k] += law->w_re[i];
        } else {
            law->d_re[kept] = law->d_re[i];
            law->w_re[kept++] = law->w_re[i];
        }
    }
    law->num = law->num_atoms = kept;
}

static void put_general(builder *b)
{
    const eoc_activation_kind *kind = b->act->kind;
    const bool half = kind->odd;
    stretch stretches[MAX_PIECES + 4];
    int count = 0;
    double from = half ? 0.0 : -RANGE, tip = half ? TIP_EXTREME : 0.0;
    for (int i = 0; i <= kind->num_kinks; i++) { /* the kinks ascend */
        const double kink = i < kind->num_kinks ? kind->kinks[i] / b->scale : RANGE;
        const double to = fmin(kink, RANGE);
        if (to > from && b->act->kind->num_kinks + 4 > i) {
            put_piece(b, from, to, tip, i < kind->num_kinks && kink < RANGE ? TIP_KINK : 0.0, stretches, &count);
        }
        if (to >= from) {
            from = to;
            tip = TIP_KINK;
        }
    }
    merge_atoms(b->law);
    for (int i = 0; i < count; i++) {
        (b->outside ? put_flat : put_stretch)(b, &stretches[i]);
    }
}

/* -- creation -- */

static void normalise(eoc_slope_law *law, double greatest)
{
    law->log_greatest = log(greatest);
    law->least = law->num > law->num_atoms ? 0.0 : 1.0; /* every smooth row is flat somewhere */
    for (size_t i = 0; i < law->num && greatest > 0.0; i++) {
        law->d_re[i] /= greatest;
        law->d_im[i] /= greatest;
    }
    for (size_t i = 0; i < law->num_atoms; i++) {
        law->least = fmin(law->least, law->d_re[i]);
        law->mass_at_zero += law->d_re[i] == 0.0 ? law->w_re[i] : 0.0;
        law->mass_at_greatest += law->d_re[i] == 1.0 && greatest > 0.0 ? law->w_re[i] : 0.0;
    }
}

static eoc_status create(const eoc_activation *act, double q_star, bool outside, eoc_slope_law *law)
{
    *law = (eoc_slope_law){.num = 0};
    eoc_expectations *e = NULL;
    EOC_TRY(eoc_expectations_create(act, &e));
    eoc_moments m;
    /* q = 0 is a limit: the slopes on either side of 0, not the one at it. */
    eoc_moments_fill(e, act->kind->scale_invariant ? 0.0 : fmax(log(q_star), -1000.0), &m);
    eoc_expectations_destroy(&e);
    builder b = {
        .act = act, .scale = sqrt(q_star), .weight_scale = act->kind->odd ? 2.0 : 1.0, .law = law, .outside = outside};
    if (m.regime == EOC_REGIME_GENERAL) {
        eoc_quadrature_legendre(RULE, b.node, b.weight);
        for (int i = 0; i < 4 * INTERPOLATION; i++) {
            b.cosine[i] = cos(0.5 * PI * i / INTERPOLATION);
        }
        put_general(&b);
    } else {
        for (int side = 0; side < 2; side++) {
            const double d = m.regime == EOC_REGIME_CONSTANT ? m.mu_1 : m.slopes[side] * m.slopes[side];
            put_node(&b, d, 0.5);
            b.greatest = fmax(b.greatest, d);
        }
        merge_atoms(law);
    }
    if (b.full) {
        eoc_slope_law_clear(law);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for the law of the slopes");
    }
    normalise(law, b.greatest);
    return EOC_OK;
}

eoc_status eoc_slope_law_create(const eoc_activation *act, double q_star, eoc_slope_law *law)
{
    return create(act, q_star, false, law);
}

eoc_status eoc_slope_law_create_outside(const eoc_activation *act, double q_star, eoc_slope_law *law)
{
    return create(act, q_star, true, law);
}

void eoc_slope_law_clear(eoc_slope_law *law)
{
    free(law->d_re);
    free(law->d_im);
    free(law->w_re);
    free(law->w_im);
    *law = (eoc_slope_law){.num = 0};
}

/* -- sums -- */

eoc_resolvent eoc_slope_law_resolvent(const eoc_slope_law *law, double complex x)
{
    const double x_re = creal(x), x_im = cimag(x);
    double m_re = 0.0, m_im = 0.0, g_re = 0.0, g_im = 0.0, s_re = 0.0, s_im = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double d_re = law->d_re[i], d_im = law->d_im[i];
        const double gap_re = x_re - d_re, gap_im = x_im - d_im;
        const double inverse = 1.0 / (gap_re * gap_re + gap_im * gap_im);
        const double i_re = gap_re * inverse, i_im = -gap_im * inverse; /* 1/(x - d) */
        const double r_re = law->w_re[i] * i_re - law->w_im[i] * i_im;  /* w/(x - d) */
        const double r_im = law->w_re[i] * i_im + law->w_im[i] * i_re;
        const double q_re = d_re * r_re - d_im * r_im, q_im = d_re * r_im + d_im * r_re; /* w d/(x - d) */
        g_re += r_re;
        g_im += r_im;
        m_re += q_re;
        m_im += q_im;
        s_re += q_re * i_re - q_im * i_im;
        s_im += q_re * i_im + q_im * i_re;
    }
    return (eoc_resolvent){
        .moment = m_re + I * m_im, .growth = x * (g_re + I * g_im), .by_log_x = -x * (s_re + I * s_im)};
}

double eoc_slope_law_moment_above(const eoc_slope_law *law, double over)
{
    double sum = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double d_re = law->d_re[i], d_im = law->d_im[i];
        const double gap_re = over + (1.0 - d_re), gap_im = -d_im;
        const double top_re = law->w_re[i] * d_re - law->w_im[i] * d_im;
        const double top_im = law->w_re[i] * d_im + law->w_im[i] * d_re;
        sum += (top_re * gap_re + top_im * gap_im) / (gap_re * gap_re + gap_im * gap_im);
    }
    return sum;
}

double complex eoc_slope_law_log(const eoc_slope_law *law, double complex log_x)
{
    const double complex inverse = cexp(-log_x);
    const double v_re = creal(inverse), v_im = cimag(inverse);
    double sum_re = 0.0, sum_im = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double re = 1.0 - (law->d_re[i] * v_re - law->d_im[i] * v_im);
        const double im = -(law->d_re[i] * v_im + law->d_im[i] * v_re);
        const double size = 0.5 * log(re * re + im * im);
        const double angle = im == 0.0 && re < 0.0 ? PI : atan2(im, re); /* an atom, seen from above the line */
        sum_re += law->w_re[i] * size - law->w_im[i] * angle;
        sum_im += law->w_re[i] * angle + law->w_im[i] * size;
    }
    return sum_re + I * sum_im;
}
