/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pairs for a phi with kinks. In half the sum and half the difference of the inputs, m = (u1 + u2)/2 and
 * t = (u2 - u1)/2, which are independent, the lines u1 = kink and u2 = kink are m = kink +- t: at each t the m line is
 * cut there, and what is integrated over the pieces is smooth in t up to where two of the cuts meet.
 */
#include "rules.h"

#include "eoc/vecmath.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* Beyond this many standard deviations a Gaussian is left out. */
static const double RANGE = 8.1;

/* Panels are at most this wide: in standard deviations, beside a place with structure, and in proportion to the
 * distance from it. Sixteen Gauss-Legendre nodes are then exact to 1e-13 or better. */
static const double WIDEST = 4.0;
static const double AT_FOCUS = 1.5 * EOC_FEATURE;
static const double GROWTH = 1.5;

/* Inputs that differ by less have phi(u1) - phi(u2) from the derivative, where no kink is between them. */
static const double NEAR = 0.02;

/* The positive half of the nodes on [-1, 1], and their weights; Abramowitz & Stegun, table 25.4. */
enum { HALF_POINTS = 8, POINTS = 2 * HALF_POINTS };
static const double NODES[HALF_POINTS] = {0.095012509837637440185, 0.28160355077925891323, 0.45801677765722738634,
                                          0.61787624440264374845,  0.75540440835500303390, 0.86563120238783174388,
                                          0.94457502307323257608,  0.98940093499164993260};
static const double WEIGHTS[HALF_POINTS] = {0.18945061045506849629,  0.18260341504492358887, 0.16915651939500253819,
                                            0.14959598881657673208,  0.12462897125553387205, 0.095158511682492784810,
                                            0.062253523938647892863, 0.027152459411754094852};

/* Gauss's rule for exp(-z^2/2) on z > 0, exact for polynomials of degree 15 (Steen, Byrne & Gelbard 1969; here from the
 * moments by the method of Golub & Welsch 1969, in 80 digits), where t is narrow beside all else. */
enum { NARROW_POINTS = 8 };
static const double NARROW_NODES[NARROW_POINTS] = {
    0.074923116764558939223, 0.37815840447614210778, 0.87158389734040477906, 1.5050715683003139291,
    2.246981509078310538,    3.0885309138616516843,  4.0490827692299114237,  5.2128013205292139827};
static const double NARROW_WEIGHTS[NARROW_POINTS] = {
    0.18965903314959036315,  0.37947699217701113931,   0.39025703801816650526,    0.22266549665184535958,
    0.063376722030954694318, 0.0075914075481185001878, 0.00028576115306565378538, 1.6865867480356054542e-6};
static const double NARROW = 0.12; /* beside m and the structure of phi, which is of size 1 */

enum { MAX_NODES = 2048, MAX_CUTS = 2 * EOC_MAX_KINKS + 2, MAX_FOCI = 2 * EOC_MAX_KINKS + 2 };

/* -- panels -- */

/* A line to be cut into panels: pieces between `cuts`, narrow panels at `foci`. */
typedef struct {
    double widest;
    int num_cuts, num_foci;
    double cuts[MAX_CUTS];
    double foci[MAX_FOCI], focus_widths[MAX_FOCI];
} line;

static void add_cut(line *l, double at)
{
    int k = l->num_cuts++;
    for (; k > 0 && l->cuts[k - 1] > at; k--) {
        l->cuts[k] = l->cuts[k - 1];
    }
    l->cuts[k] = at;
}

static void add_focus(line *l, double at, double width)
{
    l->foci[l->num_foci] = at;
    l->focus_widths[l->num_foci++] = width;
}

/* The widest panel that may begin at x and run to the right. */
static double panel_width(const line *l, double x)
{
    double width = l->widest;
    for (int i = 0; i < l->num_foci; i++) {
        const double distance = x - l->foci[i];
        const double grown = distance > 0.0 ? GROWTH * distance : -distance * GROWTH / (1.0 + GROWTH);
        width = fmin(width, fmax(l->focus_widths[i], grown));
    }
    return width;
}

static size_t add_panel(double left, double right, size_t n, double *x, double *weight)
{
    const double centre = 0.5 * (left + right), radius = 0.5 * (right - left);
    for (int i = 0; i < HALF_POINTS; i++) {
        x[n] = centre - radius * NODES[i];
        x[n + 1] = centre + radius * NODES[i];
        weight[n] = weight[n + 1] = radius * WEIGHTS[i];
        n += 2;
    }
    return n;
}

/* Nodes and weights from the first cut to the last; their number, 0 where there are too many. */
static size_t fill_line(const line *l, double *x, double *weight)
{
    size_t n = 0;
    for (int piece = 0; piece + 1 < l->num_cuts; piece++) {
        const double end = l->cuts[piece + 1];
        for (double left = l->cuts[piece]; left < end;) {
            const double width = panel_width(l, left);
            const double right = left + 1.25 * width >= end ? end : left + width; /* no slivers */
            if (n + POINTS > MAX_NODES) {
                return 0;
            }
            n = add_panel(left, right, n, x, weight);
            left = right;
        }
    }
    return n;
}

/* weight exp(-x^2/(2 sd^2)) */
static void weigh(double sd, const double *x, size_t n, double *weight, double *work)
{
    const double rate = 1.0 / sd;
    for (size_t i = 0; i < n; i++) {
        const double z = x[i] * rate;
        work[i] = -0.5 * z * z;
    }
    eoc_vec_exp(work, work, n);
    eoc_vec_multiply(work, weight, n);
}

/* -- the two lines -- */

typedef struct {
    eoc_expectations *e;
    double sd_m, sd_t;
    double least, greatest; /* beyond these phi is constant, and adds nothing where both inputs are */
} corners;

/* Whether dphi = 0 from `at` on, in the direction of `side`. */
static bool is_constant_from(const eoc_activation *act, double at, double side)
{
    for (double u = 1e-6; u < 1e6; u *= 1.5) {
        if (eoc_activation_dphi(act, at + side * u) != 0.0) {
            return false;
        }
    }
    return true;
}

/* The kinks ascend. */
static void find_constant_sides(corners *c)
{
    const eoc_activation_kind *kind = c->e->act.kind;
    const double first = kind->kinks[0], last = kind->kinks[kind->num_kinks - 1];
    c->least = is_constant_from(&c->e->act, first, -1.0) ? first : -INFINITY;
    c->greatest = is_constant_from(&c->e->act, last, 1.0) ? last : INFINITY;
}

/* Of m at one t. */
static line middle_line(const corners *c, double t)
{
    const eoc_activation_kind *kind = c->e->act.kind;
    const double z = t / c->sd_t, reach = c->sd_m * sqrt(fmax(0.0, RANGE * RANGE - z * z));
    line l = {.widest = WIDEST * c->sd_m};
    /* Of an odd phi m and -m bring the same. */
    const double from = kind->odd ? 0.0 : fmax(-reach, c->least - t), to = fmin(reach, c->greatest + t);
    if (!(to > from)) {
        return l;
    }
    add_cut(&l, from);
    add_cut(&l, to);
    for (int i = 0; i < kind->num_kinks; i++) {
        for (double side = -1.0; side <= 1.0; side += 2.0) {
            const double at = kind->kinks[i] + side * t;
            add_focus(&l, at, AT_FOCUS);
            if (at > from && at < to) {
                add_cut(&l, at);
            }
        }
    }
    return l;
}

/* Of t: cut where cuts of m meet; where they pass the middle of a narrow m the sum over m changes as fast. */
static line distance_line(const corners *c)
{
    const eoc_activation_kind *kind = c->e->act.kind;
    const double reach = RANGE * c->sd_t;
    line l = {.widest = WIDEST * c->sd_t};
    add_cut(&l, 0.0);
    add_cut(&l, reach);
    add_focus(&l, 0.0, AT_FOCUS);
    for (int i = 0; i < kind->num_kinks; i++) {
        add_focus(&l, fabs(kind->kinks[i]), fmin(AT_FOCUS, 2.0 * c->sd_m));
        for (int k = 0; k < i; k++) {
            const double meeting = 0.5 * fabs(kind->kinks[i] - kind->kinks[k]);
            add_focus(&l, meeting, AT_FOCUS);
            if (meeting < reach) {
                add_cut(&l, meeting);
            }
        }
    }
    return l;
}

/* -- the sums -- */

/* dphi at m + shift into `d` */
static void slopes_beside(const eoc_expectations *e, const double *m, double shift, size_t n, double *d)
{
    for (size_t i = 0; i < n; i++) {
        d[i] = m[i] + shift;
    }
    e->act.kind->dphi_many(d, d, n, e->act.parameters);
}

/* phi(m + t) - phi(m - t) over b and zero over a, from dphi by Lobatto's rule of four points (Abramowitz &
 * Stegun, 25.4.32) where no kink is between; elsewhere phi at both. `work` (2, n). */
static void near_differences(const eoc_expectations *e, const double *m, const double *u1, const double *u2, double t,
                             size_t n, double *a, double *b, double *work)
{
    const eoc_activation_kind *kind = e->act.kind;
    const double inner = sqrt(0.2) * t;
    slopes_beside(e, m, -inner, n, work);
    slopes_beside(e, m, inner, n, work + n);
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && eoc_kink_between(kind, u1[end], u2[end])) {
            end++;
        }
        if (end > i) {
            kind->phi_many(u1 + i, a + i, end - i, e->act.parameters);
            kind->phi_many(u2 + i, b + i, end - i, e->act.parameters);
            i = end;
        } else {
            b[i] = t / 6.0 * (e->dphi[i] + e->dphi[MAX_NODES + i] + 5.0 * (work[i] + work[n + i]));
            a[i] = 0.0;
            i++;
        }
    }
}

/* Integrals over m at one t, less the density's constant: of (phi(u1) - phi(u2))^2 and of dphi(u1) dphi(u2). */
static bool middle_sums(const corners *c, double t, double sums[2])
{
    eoc_expectations *e = c->e;
    const eoc_activation_kind *kind = e->act.kind;
    const line l = middle_line(c, t);
    double *const m = e->work, *const g = e->work + MAX_NODES, *const a = e->phi, *const b = a + MAX_NODES;
    double *const da = e->dphi, *const db = da + MAX_NODES, *const u1 = e->psi[0], *const u2 = u1 + MAX_NODES;
    const size_t n = fill_line(&l, m, g);
    if (n == 0) {
        sums[0] = sums[1] = 0.0;
        return l.num_cuts == 0;
    }
    weigh(c->sd_m, m, n, g, u1);
    for (size_t i = 0; i < n; i++) {
        u1[i] = m[i] - t;
        u2[i] = m[i] + t;
    }
    kind->dphi_many(u1, da, n, e->act.parameters);
    kind->dphi_many(u2, db, n, e->act.parameters);
    if (2.0 * t < NEAR) {
        near_differences(e, m, u1, u2, t, n, a, b, e->psi[1]);
    } else {
        kind->phi_many(u1, a, n, e->act.parameters);
        kind->phi_many(u2, b, n, e->act.parameters);
    }
    eoc_vec_pair_sums(g, a, b, da, db, n, sums);
    return true;
}

bool eoc_corners_serve(const eoc_expectations *e, double one_minus_c)
{
    return e->act.kind->num_kinks > 0 && fabs(1.0 - one_minus_c) > EOC_SERIES_C;
}

/* Whether no cuts of m meet within t's range, and t is narrow. */
static bool is_narrow(const corners *c)
{
    const eoc_activation_kind *kind = c->e->act.kind;
    double room = fmin(1.0, c->sd_m);
    for (int i = 1; i < kind->num_kinks; i++) {
        room = fmin(room, 0.5 * (kind->kinks[i] - kind->kinks[i - 1]));
    }
    return c->sd_t <= NARROW * room;
}

/* Nodes of t > 0 and their weights, with the density of t less its constant; their number, 0 where there are too many.
 */
static size_t fill_distances(const corners *c, double *t, double *weight, double *work)
{
    if (is_narrow(c)) {
        for (size_t i = 0; i < NARROW_POINTS; i++) {
            t[i] = c->sd_t * NARROW_NODES[i];
            weight[i] = c->sd_t * NARROW_WEIGHTS[i];
        }
        return NARROW_POINTS;
    }
    const line l = distance_line(c);
    const size_t n = fill_line(&l, t, weight);
    weigh(c->sd_t, t, n, weight, work);
    return n;
}

bool eoc_corners_pair(eoc_expectations *e, const eoc_moments *m, double one_minus_c, eoc_pair_values *values)
{
    if (e->act.kind->num_kinks == 0 || !(one_minus_c > 0.0 && one_minus_c < 2.0)) {
        return false;
    }
    corners c = {
        .e = e, .sd_m = sqrt(0.5 * m->q) * sqrt(2.0 - one_minus_c), .sd_t = sqrt(0.5 * m->q) * sqrt(one_minus_c)};
    find_constant_sides(&c);
    double t[MAX_NODES], weight[MAX_NODES], sums[2] = {0.0};
    const size_t n = fill_distances(&c, t, weight, e->work);
    for (size_t i = 0; i < n; i++) {
        double here[2];
        if (!middle_sums(&c, t[i], here)) {
            return false;
        }
        sums[0] += weight[i] * here[0];
        sums[1] += weight[i] * here[1];
    }
    /* Twice for t < 0, where the inputs change places. */
    const double unit = (e->act.kind->odd ? 2.0 : 1.0) / (PI * c.sd_m * c.sd_t);
    values->one_minus_feature_c = 0.5 * unit * sums[0] * exp(-m->log_phi2);
    values->dphi_dphi = unit * sums[1];
    return n > 0;
}
