/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch_sphere.h"

#include "eoc/order.h"
#include "eoc/quadrature.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* Points of a panel; panels of one range; Chebyshev points in the square of the radius. */
enum { GAUSS = 16, MAX_PANELS = 256, MAX_NODES = GAUSS * MAX_PANELS, MAX_BREAKS = 128, NARROW = 5, WIDE = 28 };

/* Panels are this wide in standard deviations, and cover this many on either side. */
static const double PANEL = 2.5, REACH = 9.0;

typedef struct {
    int count;
    double x[MAX_NODES], weight[MAX_NODES];
} node_set;

/* Of directions at one radius: of one value, and of two. */
typedef struct {
    double phi2, mean, mu_1, x2_mu_1;           /* E[phi^2], E[phi], E[phi'^2], E[x^2 phi'^2] */
    double cross, slope_cross, x_x_slope_cross; /* E[phi phi], E[phi' phi'], E[x x phi' phi'] */
} directions;
enum { NUM_DIRECTIONS = sizeof(directions) / sizeof(double) };

struct eoc_batch_sphere {
    eoc_activation act;
    bool folded;
    eoc_norm norm;
    double keep, inputs;
    double gauss_x[GAUSS], gauss_weight[GAUSS];
    node_set outer, inner, radius;
    double *work; /* (3, MAX_NODES) */
    bool filled;
    double spread; /* of the last call */
    eoc_batch_features here;
};

eoc_status eoc_batch_sphere_create(const eoc_activation *act, bool folded, const eoc_norm *norm, double keep,
                                   int num_inputs, eoc_batch_sphere **sphere)
{
    eoc_batch_sphere *s = calloc(1, sizeof *s);
    EOC_REQUIRE(s, EOC_ERR_NOMEM, "no memory for batch normalization");
    s->work = malloc(3 * sizeof(double) * MAX_NODES);
    if (!s->work) {
        free(s);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory for batch normalization");
    }
    s->act = *act;
    s->folded = folded;
    s->norm = *norm;
    s->keep = keep;
    s->inputs = num_inputs;
    eoc_quadrature_legendre(GAUSS, s->gauss_x, s->gauss_weight);
    *sphere = s;
    return EOC_OK;
}

void eoc_batch_sphere_destroy(eoc_batch_sphere **sphere)
{
    if (*sphere) {
        free((*sphere)->work);
        free(*sphere);
        *sphere = NULL;
    }
}

/*
 * Gauss points between low and high, cut at the breaks, in panels about `widest` wide. Between cuts x = middle + half
 * sin(pi t/2), so that roots of the distance to a cut, which is what a kink leaves there, are smooth in t.
 */
static void place(const eoc_batch_sphere *s, double low, double high, double *breaks, int num_breaks, double widest,
                  node_set *out)
{
    qsort(breaks, (size_t)num_breaks, sizeof *breaks, eoc_by_value);
    out->count = 0;
    double from = low;
    for (int i = 0; i <= num_breaks; i++) {
        const double to = i < num_breaks ? breaks[i] : high;
        if (!(to > from + 1e-14 * (high - low)) || to > high) {
            continue;
        }
        const double middle = 0.5 * (from + to), half = 0.5 * (to - from);
        int panels = (int)ceil((to - from) / widest);
        const int room = MAX_PANELS - out->count / GAUSS - (num_breaks - i);
        panels = panels < room ? panels : room;
        for (int k = 0; k < panels; k++) {
            for (int j = 0; j < GAUSS; j++) {
                const double t = -1.0 + (2.0 * k + 1.0 + s->gauss_x[j]) / panels;
                out->x[out->count] = middle + half * sin(0.5 * PI * t);
                out->weight[out->count++] = s->gauss_weight[j] / panels * half * 0.5 * PI * cos(0.5 * PI * t);
            }
        }
        from = to;
    }
}

/* phi bends within this of 0 (its nearest pole is tanh's, at i pi/2), and is a wave of period 2 pi where it does not
 * end. */
static const double BEND = 1.5, SPREADING = 4.0, WAVE = 3.0;

/* Adds a break at an angle, and around it others ever farther apart, for a phi that bends where u = scale (x - its x)
 * is about 0. */
static int add_bend(const eoc_batch_sphere *s, double angle, double scale, double *breaks, int num_breaks)
{
    const eoc_activation_kind *kind = s->act.kind;
    if (num_breaks < MAX_BREAKS) {
        breaks[num_breaks++] = angle;
    }
    for (double w = BEND / scale; w < PI && !kind->scale_invariant && num_breaks + 2 <= MAX_BREAKS; w *= SPREADING) {
        breaks[num_breaks++] = angle - w;
        breaks[num_breaks++] = angle + w;
    }
    return num_breaks;
}

/* Angles of a direction in n dimensions to a fixed one, density sin^(n-2), n >= 2; weights add up to 1. */
static void place_angles(const eoc_batch_sphere *s, double n, double scale, double *breaks, int num_breaks,
                         node_set *out)
{
    const double sigma = 1.0 / sqrt(fmax(n - 2.0, 1.0)), reach = fmin(0.5 * PI, REACH * sigma);
    int inside = 0;
    for (int i = 0; i < num_breaks; i++) {
        if (fabs(breaks[i] - 0.5 * PI) < reach) {
            breaks[inside++] = breaks[i];
        }
    }
    const double widest = s->act.kind->wave ? fmin(PANEL * sigma, WAVE / scale) : PANEL * sigma;
    place(s, 0.5 * PI - reach, 0.5 * PI + reach, breaks, inside, widest, out);
    double sum = 0.0;
    for (int i = 0; i < out->count; i++) {
        out->weight[i] *= n > 2.0 ? exp((n - 2.0) * log(sin(out->x[i]))) : 1.0;
        sum += out->weight[i];
    }
    for (int i = 0; i < out->count; i++) {
        out->weight[i] /= sum;
    }
}

/* Angles at which length cos(angle) is a kink; returns how many. */
static int kink_angles(const eoc_batch_sphere *s, double length, double *angles)
{
    int count = 0;
    for (int i = 0; i < s->act.kind->num_kinks; i++) {
        const double cosine = (s->act.kind->kinks[i] - s->norm.beta) / (s->norm.gamma * length);
        if (fabs(cosine) < 1.0) {
            angles[count++] = acos(cosine);
        }
    }
    return count;
}

/* E over the second value, given the first: phi, phi' and x phi'. */
static void second_value(eoc_batch_sphere *s, double first, double length, double *phi, double *slope, double *x_slope)
{
    const double n = s->inputs - 1.0, cosine = -1.0 / n, across = sqrt(1.0 - cosine * cosine);
    const double middle = length * cosine * cos(first), reach = length * across * sin(first);
    double breaks[MAX_BREAKS];
    int num_breaks = 0;
    for (int i = 0; i < s->act.kind->num_kinks; i++) {
        const double at = ((s->act.kind->kinks[i] - s->norm.beta) / s->norm.gamma - middle) / reach;
        if (fabs(at) < 1.0) {
            breaks[num_breaks++] = acos(at);
        }
    }
    const double scale = fabs(s->norm.gamma) * reach;
    const double bend = (-s->norm.beta / s->norm.gamma - middle) / reach;
    num_breaks = add_bend(s, acos(fmax(-1.0, fmin(1.0, bend))), scale, breaks, num_breaks);
    node_set *const nodes = &s->inner;
    place_angles(s, n - 1.0, scale, breaks, num_breaks, nodes);
    double *const u = s->work, *const f = u + MAX_NODES, *const d = f + MAX_NODES;
    for (int i = 0; i < nodes->count; i++) {
        u[i] = s->norm.gamma * (middle + reach * cos(nodes->x[i])) + s->norm.beta;
    }
    s->act.kind->phi_many(u, f, (size_t)nodes->count, s->act.parameters);
    s->act.kind->dphi_many(u, d, (size_t)nodes->count, s->act.parameters);
    *phi = *slope = *x_slope = 0.0;
    for (int i = 0; i < nodes->count; i++) {
        *phi += nodes->weight[i] * f[i];
        *slope += nodes->weight[i] * d[i];
        *x_slope += nodes->weight[i] * d[i] * (middle + reach * cos(nodes->x[i]));
    }
}

/* |x|^2/B = radius2 */
static directions fill_one_side(eoc_batch_sphere *s, double radius2)
{
    directions e = {0};
    const double n = s->inputs - 1.0, length = sqrt(n * radius2), between = acos(-1.0 / n);
    if (s->norm.gamma == 0.0 || radius2 == 0.0) {
        const double phi = eoc_activation_phi(&s->act, s->norm.beta), dphi = eoc_activation_dphi(&s->act, s->norm.beta);
        return (directions){
            .phi2 = phi * phi, .mean = phi, .mu_1 = dphi * dphi, .cross = phi * phi, .slope_cross = dphi * dphi};
    }
    double kinks[EOC_MAX_KINKS], breaks[MAX_BREAKS];
    const int num_kinks = kink_angles(s, length, kinks);
    int num_breaks = 0;
    for (int i = 0; i < num_kinks; i++) { /* of the first value; and where the second one's range touches one */
        breaks[num_breaks++] = kinks[i];
        breaks[num_breaks++] = fabs(kinks[i] - between);
        breaks[num_breaks++] = kinks[i] + between < PI ? kinks[i] + between : 2.0 * PI - kinks[i] - between;
    }
    const double scale = fabs(s->norm.gamma) * length;
    const double bend = acos(fmax(-1.0, fmin(1.0, -s->norm.beta / (s->norm.gamma * length))));
    num_breaks = add_bend(s, bend, scale, breaks, num_breaks);
    num_breaks = add_bend(s, fabs(bend - between), scale, breaks, num_breaks);
    num_breaks =
        add_bend(s, bend + between < PI ? bend + between : 2.0 * PI - bend - between, scale, breaks, num_breaks);
    place_angles(s, n, scale, breaks, num_breaks, &s->outer);
    for (int i = 0; i < s->outer.count; i++) {
        const double x = length * cos(s->outer.x[i]), weight = s->outer.weight[i];
        const double phi = eoc_activation_phi(&s->act, s->norm.gamma * x + s->norm.beta);
        const double dphi = eoc_activation_dphi(&s->act, s->norm.gamma * x + s->norm.beta);
        double phi_2 = 0.0, slope_2 = 0.0, x_slope_2 = 0.0;
        second_value(s, s->outer.x[i], length, &phi_2, &slope_2, &x_slope_2);
        e.phi2 += weight * phi * phi;
        e.mean += weight * phi;
        e.mu_1 += weight * dphi * dphi;
        e.x2_mu_1 += weight * x * x * dphi * dphi;
        e.cross += weight * phi * phi_2;
        e.slope_cross += weight * dphi * slope_2;
        e.x_x_slope_cross += weight * x * dphi * x_slope_2;
    }
    return e;
}

static directions fill_directions(eoc_batch_sphere *s, double radius2)
{
    const directions e = fill_one_side(s, radius2);
    if (!s->folded) {
        return e;
    }
    s->norm.beta = -s->norm.beta;
    const directions other = fill_one_side(s, radius2);
    s->norm.beta = -s->norm.beta;
    return (directions){.phi2 = 0.5 * (e.phi2 + other.phi2),
                        .mean = 0.5 * (e.mean + other.mean),
                        .mu_1 = 0.5 * (e.mu_1 + other.mu_1),
                        .x2_mu_1 = 0.5 * (e.x2_mu_1 + other.x2_mu_1),
                        .cross = 0.5 * (e.cross + other.cross),
                        .slope_cross = 0.5 * (e.slope_cross + other.slope_cross),
                        .x_x_slope_cross = 0.5 * (e.x_x_slope_cross + other.x_x_slope_cross)};
}

/* What a radius adds: `weight` of it, `slope_weight` of what is multiplied by gamma^2/s^2. */
static void add_radius(const eoc_batch_sphere *s, const directions *e, double radius2, double weight,
                       double slope_weight, eoc_batch_features *sum)
{
    const double n = s->inputs - 1.0, twice = 2.0 - radius2; /* M^2 = P - (2 - |x|^2/B) x x^T/B */
    const double own = (n * e->mu_1 - twice * e->x2_mu_1) / s->keep;
    const double mean = (own - n * (e->slope_cross + twice * e->x_x_slope_cross)) / s->inputs;
    sum->phi2 += weight * e->phi2;
    sum->cross += weight * e->cross;
    sum->mean += weight * e->mean;
    sum->mu_1 += weight * e->mu_1;
    sum->trace_rest += slope_weight * (own - mean);
    sum->trace_mean += slope_weight * mean;
}

/* Barycentric interpolation at the Chebyshev points low + (high - low)(1 + cos)/2. */
static directions interpolate(const directions *at, const double *points, int count, double x)
{
    double sum = 0.0, values[NUM_DIRECTIONS] = {0.0};
    directions e;
    for (int i = 0; i < count; i++) {
        if (x == points[i]) {
            return at[i];
        }
        const double weight = (i % 2 ? -1.0 : 1.0) * sin(PI * (i + 0.5) / count) / (x - points[i]);
        double each[NUM_DIRECTIONS];
        memcpy(each, &at[i], sizeof each);
        sum += weight;
        for (int k = 0; k < NUM_DIRECTIONS; k++) {
            values[k] += weight * each[k];
        }
    }
    for (int k = 0; k < NUM_DIRECTIONS; k++) {
        values[k] /= sum;
    }
    memcpy(&e, values, sizeof e);
    return e;
}

/* |P g|^2 has n = B - 1 degrees of freedom; radius2 = |P g|^2/(|P g|^2 + ratio), ratio = B epsilon/spread. */
static void fill_with_epsilon(eoc_batch_sphere *s, double spread)
{
    const double n = s->inputs - 1.0, ratio = s->inputs * s->norm.epsilon / spread;
    const double low = fmax(0.0, sqrt(n) - REACH), high = sqrt(n) + REACH;
    double breaks[] = {sqrt(ratio), 10.0 * sqrt(ratio)};
    int num_breaks = 0;
    for (int i = 0; i < 2; i++) {
        if (breaks[i] > low && breaks[i] < high) {
            breaks[num_breaks++] = breaks[i];
        }
    }
    place(s, low, high, breaks, num_breaks, 1.0, &s->radius);
    const double least = low * low / (low * low + ratio), most = high * high / (high * high + ratio);
    const int count = least > 0.99 ? NARROW : WIDE;
    directions at[WIDE];
    double points[WIDE];
    for (int i = 0; i < count; i++) {
        points[i] = least + 0.5 * (most - least) * (1.0 + cos(PI * (i + 0.5) / count));
        at[i] = fill_directions(s, points[i]);
    }
    double sum = 0.0;
    for (int i = 0; i < s->radius.count; i++) {
        const double r = s->radius.x[i];
        s->radius.weight[i] *= exp((n - 1.0) * log(r / sqrt(n)) - 0.5 * (r * r - n));
        sum += s->radius.weight[i];
    }
    for (int i = 0; i < s->radius.count; i++) {
        const double r2 = s->radius.x[i] * s->radius.x[i], weight = s->radius.weight[i] / sum;
        const directions e = interpolate(at, points, count, r2 / (r2 + ratio));
        const double slope_weight = weight * s->norm.gamma * s->norm.gamma * s->inputs / (spread * (r2 + ratio));
        add_radius(s, &e, r2 / (r2 + ratio), weight, slope_weight, &s->here);
    }
}

const eoc_batch_features *eoc_batch_sphere_at(eoc_batch_sphere *s, double spread)
{
    if (s->filled && fabs(spread - s->spread) <= 16.0 * DBL_EPSILON * spread) {
        return &s->here;
    }
    const double gamma2 = s->norm.gamma * s->norm.gamma, n = s->inputs - 1.0;
    if (s->filled && s->norm.epsilon == 0.0 && spread > 0.0 && s->spread > 0.0) {
        s->here.trace_rest *= s->spread / spread;
        s->here.trace_mean *= s->spread / spread;
        s->spread = spread;
        return &s->here;
    }
    s->here = (eoc_batch_features){0};
    if (spread > 0.0 && s->norm.epsilon > 0.0) {
        fill_with_epsilon(s, spread);
    } else {
        /* Without epsilon every radius is sqrt(B), and E[B/|P g|^2] = B/(n - 2). */
        const directions e = fill_directions(s, spread > 0.0 ? 1.0 : 0.0);
        const double slope_weight = spread > 0.0            ? gamma2 * s->inputs / (spread * (n - 2.0))
                                    : s->norm.epsilon > 0.0 ? gamma2 / s->norm.epsilon
                                                            : 0.0;
        add_radius(s, &e, spread > 0.0 ? 1.0 : 0.0, 1.0, slope_weight, &s->here);
    }
    s->filled = true;
    s->spread = spread;
    return &s->here;
}
