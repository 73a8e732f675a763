/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trapezoidal rule on the whole line, or plane, errs by what the integrand's Fourier transform is at 2 pi/step: of
 * a smooth phi under a Gaussian that falls exponentially. The activation is looked at on a line, u = j step, and two
 * inputs that both lie on it meet at all pairs (i, j): their sum and difference are independent, so each pair's weight
 * is a product of two numbers from tables.
 */
#include "rules.h"

#include "eoc/vecmath.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* Beyond this many standard deviations a Gaussian is left out: 1e-17 of the mass, 1e-14 in the plane. */
static const double RANGE = 8.6;
static const double RANGE_PAIR = 8.1;

/* Steps in standard deviations that serve a Gaussian alone; beside a phi of its own step the two share the rate:
 * squares of rates add. */
static const double STEP_SINGLE = 0.5;
static const double STEP_PAIR = 0.75; /* of sqrt(q (1 - |c|)): the narrow one of sum and difference has half of that */

/* Where two inputs differ by less than this share of the lattice's step, phi(u1) - phi(u2) is integrated from the
 * derivative. */
static const double NEAR = 0.04;

/* Below this share of the step phi is a polynomial in the difference of two inputs, to rounding: Gauss-Hermite nodes.
 */
static const double POLYNOMIAL = 0.12;

enum {
    MAX_NODES = EOC_QUADRATURE_MAX_PANELS * EOC_QUADRATURE_POINTS, /* of the buffers of eoc_expectations */
    MAX_HALF = MAX_NODES / 2 - 1,
    MAX_WORK = 600000, /* pairs of nodes that cost less than half of a quadrature */
    LOOK = 20          /* evaluations of phi cost about as much as this many pairs */
};

/* The positive half of the six nodes for exp(-z^2/2), and their weights; Abramowitz & Stegun, table 25.10, rescaled. */
enum { HERMITE = 3 };
static const double HERMITE_NODES[HERMITE] = {0.61670659019259415, 1.8891758777537107, 3.3242574335521193};
static const double HERMITE_WEIGHTS[HERMITE] = {0.40882846955602923, 0.088615746041914523, 0.0025557844020562465};

static double shared_step(double of_phi, double of_gaussian)
{
    return 1.0 / sqrt(1.0 / (of_phi * of_phi) + 1.0 / (of_gaussian * of_gaussian));
}

/* -- one variance -- */

/* phi and dphi at the nodes in e->work; either may be NULL. */
static void look_at_work(const eoc_expectations *e, size_t n, double *phi, double *dphi)
{
    const eoc_activation_kind *kind = e->act.kind;
    if (phi && dphi && kind->phi_dphi_many) {
        kind->phi_dphi_many(e->work, phi, dphi, n, e->act.parameters);
        return;
    }
    if (phi) {
        kind->phi_many(e->work, phi, n, e->act.parameters);
    }
    if (dphi) {
        kind->dphi_many(e->work, dphi, n, e->act.parameters);
    }
}

/* At u = j step, j from `first` on. */
static void look(eoc_expectations *e, double step, int first, size_t n, bool slopes)
{
    for (size_t i = 0; i < n; i++) {
        e->work[i] = step * (double)(first + (long)i);
    }
    look_at_work(e, n, e->phi, slopes ? e->dphi : NULL);
}

/* What is summed over the nodes of one variance, and with which weights. */
enum { LENGTHS = 2, SUMS = 5, MOST = 1024 };

typedef struct {
    size_t n;
    double weight[MOST], rows[SUMS][MOST];
} single_sums;

/* The activation has been looked at. */
static void fill_rows(const eoc_expectations *e, double scale, bool slopes, single_sums *s)
{
    const double rate = 1.0 / scale;
    for (size_t i = 0; i < s->n; i++) {
        const double z = e->work[i] * rate, z2 = z * z, phi2 = e->phi[i] * e->phi[i];
        s->weight[i] = -0.5 * z2;
        s->rows[0][i] = phi2;
        s->rows[1][i] = phi2 * (z2 - 1.0);
    }
    for (size_t i = 0; slopes && i < s->n; i++) {
        const double z = e->work[i] * rate, z2 = z * z;
        const double phi2 = e->phi[i] * e->phi[i], dphi2 = e->dphi[i] * e->dphi[i];
        s->rows[2][i] = phi2 * (z2 * (z2 - 6.0) + 3.0);
        s->rows[3][i] = dphi2;
        s->rows[4][i] = dphi2 * dphi2;
    }
    eoc_vec_exp(s->weight, s->weight, s->n);
    s->weight[0] *= e->act.kind->odd ? 0.5 : 1.0; /* the node at 0 */
}

/* The first `num` sums, and their greatest relative error: the sum at twice the step errs by the alternating one, this
 * by its square. */
static double sum_rows(single_sums *s, int num, double sums[SUMS])
{
    double alternating[SUMS], error = 0.0;
    eoc_vec_dots(s->rows[0], MOST, (size_t)num, s->weight, s->n, sums);
    for (size_t i = 1; i < s->n; i += 2) {
        s->weight[i] = -s->weight[i];
    }
    eoc_vec_dots(s->rows[0], MOST, (size_t)num, s->weight, s->n, alternating);
    for (int k = 0; k < num; k++) {
        const double magnitude = k < 3 ? sums[0] : sums[k], ratio = alternating[k] / magnitude;
        error = magnitude > 0.0 ? fmax(error, ratio * ratio) : error;
    }
    return error;
}

bool eoc_lattice_fill(eoc_expectations *e, bool slopes, eoc_moments *m)
{
    const double scale = sqrt(m->q), step = shared_step(0.75 * e->step, STEP_SINGLE * scale);
    const double half = ceil(RANGE * scale / step);
    if (!(e->step > 0.0 && 2.0 * half + 1.0 <= MOST)) {
        return false;
    }
    const bool odd = e->act.kind->odd;
    const int first = odd ? 0 : -(int)half;
    single_sums s; /* filled up to n: clearing all of it would cost as much as the sums */
    s.n = (size_t)((int)half - first + 1);
    double sums[SUMS];
    look(e, step, first, s.n, slopes);
    fill_rows(e, scale, slopes, &s);
    m->error = sum_rows(&s, slopes ? SUMS : LENGTHS, sums);
    const double unit = step / (scale * sqrt(2.0 * PI)) * (odd ? 2.0 : 1.0);
    m->log_phi2 = log(unit * sums[0]);
    m->phi2_z2 = sums[1] / sums[0];
    if (slopes) {
        m->phi2_z4 = sums[2] / sums[0];
        m->mu_1 = unit * sums[3];
        m->mu_2 = unit * sums[4];
    }
    return m->error <= 1e-12 && sums[0] > 0.0 && isfinite(sums[0]);
}

double eoc_lattice_step(const eoc_activation *act)
{
    static const double steps[] = {0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.22, 0.2, 0.18, 0.15};
    static const double scales[] = {0.7, 1.0, 3.0};
    enum { NUM_STEPS = sizeof steps / sizeof steps[0], NUM_SCALES = sizeof scales / sizeof scales[0] };
    if (act->kind->num_kinks > 0 || act->kind->scale_invariant) {
        return 0.0;
    }
    for (size_t s = 0; s < NUM_STEPS; s++) {
        double worst = 0.0;
        for (size_t k = 0; k < NUM_SCALES; k++) {
            const double step = shared_step(steps[s], STEP_SINGLE * scales[k]);
            const int half = (int)ceil(RANGE * scales[k] / step);
            double sums[2][2] = {{0.0}}; /* of phi^2 and dphi^2; nodes at j step and at (j + 1/2) step */
            for (int j = -2 * half; j <= 2 * half; j++) {
                const double u = 0.5 * step * j, z = u / scales[k], weight = exp(-0.5 * z * z);
                const double phi = eoc_activation_phi(act, u), dphi = eoc_activation_dphi(act, u);
                sums[0][j & 1] += weight * phi * phi;
                sums[1][j & 1] += weight * dphi * dphi;
            }
            worst = fmax(worst, fabs(sums[0][0] / sums[0][1] - 1.0));
            worst = fmax(worst, fabs(sums[1][0] / sums[1][1] - 1.0));
        }
        if (worst <= 1e-12) {
            return steps[s];
        }
    }
    return 0.0;
}

/* -- pairs on one line -- */

/* Standard deviations of m = (u1 + u2)/2 and t = (u2 - u1)/2. */
typedef struct {
    double middle, distance;
} spreads;

static spreads spreads_of(double q, double one_minus_c)
{
    return (spreads){.middle = sqrt(0.5 * q) * sqrt(2.0 - one_minus_c), .distance = sqrt(0.5 * q) * sqrt(one_minus_c)};
}

/* exp(-z^2/2) at z = (first + i) step */
static void gaussians(double step, double first, size_t n, double *g)
{
    for (size_t i = 0; i < n; i++) {
        const double z = step * (first + (double)i);
        g[i] = -0.5 * z * z;
    }
    eoc_vec_exp(g, g, n);
}

/* Likewise at z = (i - middles + shift) step, i up to 2 middles, shift 0 or 1/2; for an odd phi only where z >= 0. */
static void gaussians_around(double step, int middles, double shift, bool odd, double *g)
{
    gaussians(step, shift, (size_t)middles + 1, g + middles);
    const int mirrored = shift == 0.0 ? middles : middles - 1;
    for (int i = 0; !odd && i < middles; i++) {
        g[i] = g[middles + mirrored - i];
    }
}

/* phi and dphi at u = j step, |j| <= reach. */
static void look_around(eoc_expectations *e, double step, int reach)
{
    if (!e->act.kind->odd) {
        look(e, step, -reach, (size_t)(2 * reach + 1), true);
        return;
    }
    for (int j = 0; j <= reach; j++) {
        e->work[j] = step * (double)j;
    }
    look_at_work(e, (size_t)reach + 1, e->phi + reach, e->dphi + reach);
    for (int j = 1; j <= reach; j++) {
        e->phi[reach - j] = -e->phi[reach + j];
        e->dphi[reach - j] = e->dphi[reach + j];
    }
}

/* A plan of either rule for pairs: steps of m and t, how far they go, what it costs. */
typedef struct {
    double step_middle, step_distance;
    double num_middle, num_distance; /* to one side; as numbers that may exceed every integer */
    double work;
} plan;

/* Both inputs on one line: m and t step by half of its step, together. */
static plan plan_line(double step_phi, spreads s)
{
    const double step = shared_step(step_phi, STEP_PAIR * sqrt(2.0) * fmin(s.middle, s.distance));
    plan p = {.step_middle = 0.5 * step, .step_distance = 0.5 * step};
    p.num_middle = ceil(RANGE_PAIR * s.middle / step) + 1.0;
    p.num_distance = ceil(2.0 * RANGE_PAIR * s.distance / step) + 1.0;
    p.work = 2.0 * p.num_middle * p.num_distance + LOOK * 2.0 * (p.num_middle + p.num_distance);
    return p;
}

/* m and t on lines of their own: phi is looked at for every pair. */
static plan plan_grid(double step_phi, spreads s)
{
    plan p = {.step_middle = shared_step(step_phi, 0.6 * s.middle),
              .step_distance = shared_step(step_phi, 0.6 * s.distance)};
    const bool polynomial = s.distance <= POLYNOMIAL * step_phi;
    p.num_middle = ceil(RANGE_PAIR * s.middle / p.step_middle);
    p.num_distance = polynomial ? 0.0 : ceil(RANGE_PAIR * s.distance / p.step_distance);
    p.work = 4.0 * LOOK * p.num_middle * (polynomial ? HERMITE : p.num_distance);
    return p;
}

/* Sums over i at one lag k: u1 = (x - k/2) step, u2 = (x + k/2) step, x whole or half. The greatest |x| is `most`. */
static void lag_sums(const eoc_expectations *e, const double *g, int reach, int k, double most, double sums[2])
{
    const bool odd = e->act.kind->odd, halves = k % 2 != 0;
    const int last = (int)floor(most - (halves ? 0.5 : 0.0));
    const int first = odd ? 0 : halves ? -last - 1 : -last;
    sums[0] = sums[1] = 0.0;
    if (last >= first) {
        const double *a = e->phi + reach + first - k / 2, *da = e->dphi + reach + first - k / 2;
        eoc_vec_pair_sums(g + first, a, a + k, da, da + k, (size_t)(last - first + 1), sums);
    }
}

static bool line_pair(eoc_expectations *e, const plan *p, spreads s, double sums[2])
{
    const double step = 2.0 * p->step_distance;
    const int middles = (int)p->num_middle, lags = (int)p->num_distance, reach = middles + lags / 2 + 2;
    if (reach > MAX_HALF || lags >= MAX_NODES) {
        return false;
    }
    const bool odd = e->act.kind->odd;
    look_around(e, step, reach);
    double *whole = e->psi[0], *half = e->psi[1], *lag = e->work;
    gaussians_around(step / s.middle, middles, 0.0, odd, whole);
    gaussians_around(step / s.middle, middles, 0.5, odd, half);
    gaussians(0.5 * step / s.distance, 0.0, (size_t)lags, lag);
    /* Of an odd phi x and -x bring the same. */
    whole[middles] *= odd ? 0.5 : 1.0;
    sums[0] = sums[1] = 0.0;
    for (int k = 0; k < lags; k++) {
        const double z = 0.5 * step * k / s.distance, rest = RANGE_PAIR * RANGE_PAIR - z * z;
        if (rest <= 0.0) {
            break;
        }
        double here[2];
        lag_sums(e, (k % 2 == 0 ? whole : half) + middles, reach, k, sqrt(rest) * s.middle / step, here);
        const double weight = k > 0 ? 2.0 * lag[k] : 1.0; /* u1 and u2 change places */
        sums[0] += weight * here[0];
        sums[1] += weight * here[1];
    }
    const double unit = step * 0.5 * step / (2.0 * PI * s.middle * s.distance) * (odd ? 2.0 : 1.0);
    sums[0] *= unit;
    sums[1] *= unit;
    return true;
}

/* -- pairs on a grid of their own -- */

/* At step (first + i) + shift. */
static void look_beside(const eoc_expectations *e, double step, int first, double shift, size_t n, double *phi,
                        double *dphi)
{
    for (size_t i = 0; i < n; i++) {
        e->work[i] = step * (double)(first + (long)i) + shift;
    }
    look_at_work(e, n, phi, dphi);
}

/* Over b's phi: phi(m + t) - phi(m - t) by Boole's rule on dphi, and zero over a's. `at` (2, n): work. */
static void integrate_between(const eoc_expectations *e, double step, int first, double t, size_t n, const double *da,
                              const double *db, double *a, double *b, double *at)
{
    look_beside(e, step, first, -0.5 * t, n, NULL, at);
    look_beside(e, step, first, 0.5 * t, n, NULL, at + n);
    look_beside(e, step, first, 0.0, n, NULL, a);
    for (size_t i = 0; i < n; i++) {
        b[i] = t / 45.0 * (7.0 * (da[i] + db[i]) + 32.0 * (at[i] + at[n + i]) + 12.0 * a[i]);
        a[i] = 0.0;
    }
}

/* Adds the sums over m at one t. */
static void add_row(eoc_expectations *e, const plan *p, double t, double weight, double sums[2])
{
    const int first = e->act.kind->odd ? 0 : -(int)p->num_middle;
    const size_t n = (size_t)((int)p->num_middle - first + 1);
    double *const g = e->psi[0], *const a = e->phi, *const b = a + n, *const da = e->dphi, *const db = da + n;
    double here[2];
    look_beside(e, p->step_middle, first, -t, n, a, da);
    look_beside(e, p->step_middle, first, t, n, b, db);
    if (2.0 * t < NEAR * e->step) {
        integrate_between(e, p->step_middle, first, t, n, da, db, a, b, e->psi[1]);
    }
    eoc_vec_pair_sums(g, a, b, da, db, n, here);
    sums[0] += weight * here[0];
    sums[1] += weight * here[1];
}

static bool grid_pair(eoc_expectations *e, const plan *p, spreads s, double sums[2])
{
    const bool odd = e->act.kind->odd;
    const int middles = (int)p->num_middle, first = odd ? 0 : -middles;
    const size_t n = (size_t)(middles - first + 1);
    if (2 * n > MAX_NODES) {
        return false;
    }
    gaussians(p->step_middle / s.middle, first, n, e->psi[0]);
    e->psi[0][0] *= odd ? 0.5 : 1.0;
    sums[0] = sums[1] = 0.0;
    const double unit = p->step_middle / (sqrt(2.0 * PI) * s.middle) * (odd ? 2.0 : 1.0);
    if (p->num_distance == 0.0) {
        for (int k = 0; k < HERMITE; k++) {
            add_row(e, p, s.distance * HERMITE_NODES[k], 2.0 * unit * HERMITE_WEIGHTS[k], sums);
        }
        return true;
    }
    const double unit_pair = unit * p->step_distance / (sqrt(2.0 * PI) * s.distance);
    for (int k = 0; k <= (int)p->num_distance; k++) {
        const double t = k * p->step_distance, z = t / s.distance;
        add_row(e, p, t, (k > 0 ? 2.0 : 1.0) * unit_pair * exp(-0.5 * z * z), sums);
    }
    return true;
}

static bool is_affordable(double step_phi, spreads s)
{
    return fmin(plan_line(step_phi, s).work, plan_grid(step_phi, s).work) <= MAX_WORK;
}

bool eoc_lattice_serves(const eoc_expectations *e, const eoc_moments *m, double one_minus_c)
{
    return e->step > 0.0 && is_affordable(e->step, spreads_of(m->q, one_minus_c));
}

bool eoc_lattice_pair(eoc_expectations *e, const eoc_moments *m, double one_minus_c, eoc_pair_values *values)
{
    if (!(e->step > 0.0)) {
        return false;
    }
    const spreads s = spreads_of(m->q, one_minus_c);
    if (!(s.middle > 0.0 && s.distance > 0.0)) {
        return false;
    }
    const plan line = plan_line(e->step, s), grid = plan_grid(e->step, s);
    const bool on_line = line.work <= grid.work;
    double sums[2];
    if (!is_affordable(e->step, s) || !(on_line ? line_pair(e, &line, s, sums) : grid_pair(e, &grid, s, sums))) {
        return false;
    }
    values->one_minus_feature_c = 0.5 * sums[0] * exp(-m->log_phi2);
    values->dphi_dphi = sums[1];
    return true;
}
