/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/spectrum.h"

#include "spectral_curve.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_TRACE = 4000 };

static const double PI = 3.14159265358979323846;

/* The tracing ends where what lies beyond weighs no more than this; it must not weigh more than the second. */
static const double REST = 1e-10;
static const double NEXT_TO_NOTHING = 1e-6;

typedef struct {
    eoc_curve_point at;
    double survival; /* P(lambda > it) */
} traced;

/* A stretch of log lambda without gaps, and points of the curve on it. */
typedef struct {
    double top, bottom; /* log lambda; bottom -inf: it reaches 0 */
    int num_trace;
    traced *trace;     /* (num_trace), by descending log lambda */
    double log_x_edge; /* of the top; NaN where the curve was not entered by the expansion around it */
    double mass_above_top, mass_down_to_bottom; /* P(lambda > it) */
    double left_above, left_below;              /* mass of the band beyond the first and the last of the points */
} band;

struct eoc_spectrum {
    eoc_product_layers layers;
    eoc_spectrum_shape shape;
    int num_bands;
    band bands[2]; /* the upper one first */
};

/* From p on, down (direction -1) or up (1), to where next to nothing of the band is left or the curve cannot be
 * followed. Returns what is left. */
static double trace(const eoc_spectrum *s, band *b, double y, eoc_curve_point p, double direction)
{
    const eoc_product_layers *layers = &s->layers;
    const double ahead = direction < 0.0 ? b->bottom : b->top;
    const double deviation = fmin(1.0, sqrt(s->shape.m2_over_m1_2 - 1.0)); /* of lambda over its mean */
    double left = 1.0, limit = INFINITY, leash = INFINITY;
    double above = eoc_curve_survival(layers, &p);
    bool followed = true;
    while (b->num_trace < MAX_TRACE) {
        b->trace[b->num_trace++] = (traced){p, above};
        left = direction < 0.0 ? b->mass_down_to_bottom - above : above - b->mass_above_top;
        /* Distances to the edges grow, and shrink, by steady factors. */
        const double widest = fmax(0.05 * (layers->depth + 4.0), 0.08 * (b->top - y));
        double step = deviation < 1.0 ? fmin(0.25 * deviation, widest) : widest;
        step = fmin(step, fmin(0.3 * (b->top - y), isfinite(ahead) ? 0.3 * fabs(ahead - y) : INFINITY));
        step = fmin(step, fmin(limit, leash));
        if (left < REST || step < 1e-9 * deviation || !followed) {
            break;
        }
        const double before = y;
        const eoc_curve_point last = p;
        if (!eoc_curve_continue(layers, &y, y + direction * step, &p)) { /* as at an edge of all but nothing */
            limit = 0.3 * fabs(y - before);
            followed = y != before;
            if (limit < 1e-8 * deviation && left > NEXT_TO_NOTHING && eoc_curve_jump(layers, direction, &y, &p)) {
                followed = true;
                limit = INFINITY;
            }
        }
        leash *= 2.0;
        const double next = eoc_curve_survival(layers, &p);
        if (direction * (next - above) > NEXT_TO_NOTHING) { /* on another sheet: go back */
            y = before;
            p = last;
            leash = 0.3 * step;
            b->num_trace--;
        } else {
            above = next;
        }
    }
    return fmax(left, 0.0);
}

static void reverse(band *b)
{
    for (int i = 0; i < b->num_trace / 2; i++) {
        const traced kept = b->trace[i];
        b->trace[i] = b->trace[b->num_trace - 1 - i];
        b->trace[b->num_trace - 1 - i] = kept;
    }
}

/* From its top where the curve leaves the real line as a root there; else, where the density fades out far below the
 * edge, from the bulk both ways. */
static void fill_band(const eoc_spectrum *s, band *b, double log_x_top)
{
    const eoc_product_layers *layers = &s->layers;
    double y = 0.0;
    eoc_curve_point p;
    b->log_x_edge = log_x_top;
    b->left_above = 0.0;
    b->left_below = 1.0;
    if (eoc_curve_start_at_edge(layers, b->top, &b->log_x_edge, &y, &p)) {
        b->left_below = trace(s, b, y, p, -1.0);
    }
    if (b->left_below <= NEXT_TO_NOTHING || !eoc_curve_start_in_bulk(layers, s->shape.log_m1, log_x_top, &y, &p)) {
        return;
    }
    b->log_x_edge = NAN;
    b->num_trace = 0;
    b->left_above = trace(s, b, y, p, 1.0);
    reverse(b);
    b->num_trace--; /* the start comes again */
    b->left_below = trace(s, b, y, p, -1.0);
}

/* -- the shape -- */

static void find_moments(eoc_spectrum *s)
{
    const eoc_slope_law *law = &s->layers.law;
    double complex mu_1 = 0.0, mu_2 = 0.0;
    for (size_t i = 0; i < law->num; i++) {
        const double complex d = law->d_re[i] + I * law->d_im[i], w = law->w_re[i] + I * law->w_im[i];
        mu_1 += w * d;
        mu_2 += w * d * d;
    }
    const double depth = s->layers.depth, mean = creal(mu_1);
    s->shape.log_m1 = depth * (s->layers.log_gain + log(mean));
    s->shape.m2_over_m1_2 = 1.0 + depth * (creal(mu_2) / (mean * mean) - 1.0 - s->layers.s_1);
}

/* Of a product of free factors an atom is left where each has more than 1 - 1/L of its mass (Bercovici & Voiculescu
 * 1993). */
static void find_atoms(eoc_spectrum *s)
{
    const eoc_slope_law *law = &s->layers.law;
    eoc_spectrum_shape *const shape = &s->shape;
    const double depth = s->layers.depth;
    for (size_t i = 0; i < law->num_atoms && s->layers.s_1 == 0.0; i++) {
        const double mass = 1.0 - depth * (1.0 - law->w_re[i]);
        if (law->d_re[i] > 0.0 && mass > 1e-12 && shape->num_atoms < EOC_SPECTRUM_MAX_ATOMS) {
            shape->atom_mass[shape->num_atoms] = mass;
            shape->log_atom[shape->num_atoms++] = depth * (s->layers.log_gain + log(law->d_re[i]));
        }
    }
}

static double mass_of_atoms(const eoc_spectrum_shape *shape)
{
    double sum = shape->mass_at_zero;
    for (int i = 0; i < shape->num_atoms; i++) {
        sum += shape->atom_mass[i];
    }
    return sum;
}

/* One band, or two with a gap between them. */
static void find_bands(eoc_spectrum *s, eoc_edge upper)
{
    eoc_spectrum_shape *const shape = &s->shape;
    const double zero = shape->mass_at_zero;
    eoc_edge low, high;
    s->num_bands = 1;
    s->bands[0].top = upper.log_lambda;
    s->bands[0].bottom = shape->log_lambda_min;
    s->bands[0].mass_above_top = mass_of_atoms(shape) - zero;
    s->bands[0].mass_down_to_bottom = 1.0 - zero;
    if (shape->num_atoms == 0 && eoc_edge_gap(&s->layers, &low, &high)) {
        s->bands[0].bottom = high.log_lambda;
        if (isfinite(low.log_lambda)) {
            const eoc_curve_point in_gap = eoc_curve_at(&s->layers, high.log_x);
            s->bands[0].mass_down_to_bottom = eoc_curve_survival(&s->layers, &in_gap);
            s->bands[1].top = low.log_lambda;
            s->bands[1].bottom = shape->log_lambda_min;
            s->bands[1].mass_above_top = s->bands[0].mass_down_to_bottom;
            s->bands[1].mass_down_to_bottom = 1.0 - zero;
            s->num_bands = 2;
            shape->log_gap_min = low.log_lambda;
            shape->log_gap_max = high.log_lambda;
        } else {
            shape->log_lambda_min = high.log_lambda;
        }
    }
    fill_band(s, &s->bands[0], upper.log_x);
    if (s->num_bands == 2) {
        fill_band(s, &s->bands[1], low.log_x);
    }
}

static void find_shape(eoc_spectrum *s)
{
    const eoc_product_layers *layers = &s->layers;
    eoc_spectrum_shape *const shape = &s->shape;
    *shape = (eoc_spectrum_shape){.mass_at_zero = layers->law.mass_at_zero,
                                  .log_lambda_min = NAN,
                                  .log_lambda_max = NAN,
                                  .log_gap_min = NAN,
                                  .log_gap_max = NAN};
    find_moments(s);
    find_atoms(s);
    if (mass_of_atoms(shape) >= 1.0 - 1e-12) {
        return;
    }
    shape->log_lambda_min = -INFINITY;
    if (eoc_product_is_one_factor(layers)) {
        shape->log_lambda_max = layers->log_gain;
        return;
    }
    if (layers->s_1 == 0.0 && layers->law.least > 0.0) {
        shape->log_lambda_min = eoc_edge_lower(layers).log_lambda;
    }
    const eoc_edge upper = shape->num_atoms > 0 ? eoc_edge_below_atom(layers) : eoc_edge_outside(layers);
    shape->log_lambda_max = upper.log_lambda;
    find_bands(s, upper);
}

eoc_status eoc_spectrum_create(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                               eoc_spectrum **spectrum)
{
    assert(depth >= 1 && sigma_w2 > 0.0 && isfinite(q_star) && (s_1 == 0.0 || s_1 == -1.0));
    eoc_spectrum *s = calloc(1, sizeof *s);
    EOC_REQUIRE(s, EOC_ERR_NOMEM, "no memory for a spectrum");
    eoc_status status = eoc_product_layers_create(act, sigma_w2, q_star, depth, s_1, &s->layers);
    s->bands[0].trace = malloc(2 * (size_t)MAX_TRACE * sizeof *s->bands[0].trace);
    s->bands[1].trace = s->bands[0].trace + MAX_TRACE;
    if (status == EOC_OK && !s->bands[0].trace) {
        status = EOC_FAIL(EOC_ERR_NOMEM, "no memory for a spectrum");
    }
    if (status != EOC_OK) {
        eoc_spectrum_destroy(&s);
        return status;
    }
    find_shape(s);
    *spectrum = s;
    return EOC_OK;
}

void eoc_spectrum_destroy(eoc_spectrum **spectrum)
{
    if (*spectrum) {
        eoc_slope_law_clear(&(*spectrum)->layers.law);
        free((*spectrum)->bands[0].trace);
    }
    free(*spectrum);
    *spectrum = NULL;
}

eoc_spectrum_shape eoc_spectrum_shape_of(const eoc_spectrum *spectrum)
{
    return spectrum->shape;
}

/* -- reading -- */

/* Cubic through two neighbours of the trace and their slopes. */
static double complex between(const eoc_curve_point *above, const eoc_curve_point *below, double y)
{
    const double span = creal(below->log_lambda) - creal(above->log_lambda);
    const double t = (y - creal(above->log_lambda)) / span, r = 1.0 - t;
    return above->log_x * (1.0 + 2.0 * t) * r * r + span / above->slope * t * r * r +
           below->log_x * t * t * (3.0 - 2.0 * t) - span / below->slope * t * t * r;
}

/* Between two points of the trace, by halving the rays between them: near where the curve touches the real line. */
static bool solve_on_rays(const eoc_product_layers *layers, const eoc_curve_point *above, const eoc_curve_point *below,
                          double y, eoc_curve_point *p)
{
    double low = creal(below->log_x), high = creal(above->log_x);
    for (int i = 0; i < 50; i++) {
        const double middle = 0.5 * (low + high);
        *p = eoc_curve_on_ray(layers, middle);
        *(creal(p->log_lambda) < y ? &low : &high) = middle;
    }
    return fabs(creal(p->log_lambda) - y) < 1e-9 * fmax(1.0, fabs(y));
}

/* Whether P(lambda > it) is between those of its neighbours on the trace: Newton's method can end on another sheet. */
static bool fits(const eoc_product_layers *layers, const traced *above, const traced *below, traced *p)
{
    p->survival = eoc_curve_survival(layers, &p->at);
    return p->survival >= above->survival - NEXT_TO_NOTHING && p->survival <= below->survival + NEXT_TO_NOTHING;
}

/* The point of the curve at y, above the trace, by the distance to the edge: log x goes as its root. */
static void solve_near_edge(const eoc_product_layers *layers, const band *b, double y, traced *p)
{
    const eoc_curve_point *first = &b->trace[0].at;
    const double shrink = sqrt((b->top - y) / (b->top - creal(first->log_lambda)));
    const double complex expanded = b->log_x_edge + shrink * (first->log_x - b->log_x_edge);
    p->at.log_x = expanded;
    if (!eoc_curve_solve(layers, y, &p->at)) { /* rounding of log lambda is all that is left to solve for */
        p->at = eoc_curve_at(layers, expanded);
    }
    p->survival = eoc_curve_survival(layers, &p->at);
}

/* The point of the curve at y, from its neighbours on the trace. */
static bool solve_from_trace(const eoc_product_layers *layers, const band *b, double y, traced *p)
{
    int low = 0, high = b->num_trace - 1;
    while (high - low > 1) { /* the trace descends */
        const int middle = (low + high) / 2;
        *(creal(b->trace[middle].at.log_lambda) > y ? &low : &high) = middle;
    }
    const traced *above = &b->trace[low], *below = &b->trace[high];
    if (high > low) {
        p->at.log_x = between(&above->at, &below->at, y);
        if (eoc_curve_is_above(layers, p->at.log_x) && eoc_curve_solve(layers, y, &p->at) &&
            fits(layers, above, below, p)) {
            return true;
        }
        if (solve_on_rays(layers, &above->at, &below->at, y, &p->at) && fits(layers, above, below, p)) {
            return true;
        }
    }
    const bool nearer_above = fabs(creal(above->at.log_lambda) - y) < fabs(creal(below->at.log_lambda) - y);
    *p = nearer_above ? *above : *below;
    double at = creal(p->at.log_lambda);
    return eoc_curve_continue(layers, &at, y, &p->at) && fits(layers, above, below, p);
}

/* Atoms at or below y. */
static double atoms_up_to(const eoc_spectrum_shape *shape, double y)
{
    double sum = shape->mass_at_zero;
    for (int i = 0; i < shape->num_atoms; i++) {
        sum += shape->log_atom[i] <= y ? shape->atom_mass[i] : 0.0;
    }
    return sum;
}

/* lambda = sigma_w2 d of one orthogonal layer. */
static void fill_single(const eoc_spectrum *s, double y, double *density, double *cdf)
{
    const eoc_product_layers *layers = &s->layers;
    const double log_x = y - layers->log_gain;
    *density = log_x < 0.0 ? fmax(0.0, -cimag(eoc_slope_law_resolvent(&layers->law, exp(log_x)).growth) / PI) : 0.0;
    const double above = log_x < 0.0 ? cimag(eoc_slope_law_log(&layers->law, log_x)) / PI : 0.0;
    *cdf = fmin(1.0, fmax(atoms_up_to(&s->shape, y), 1.0 - above));
}

/* Below the last point of the trace, where next to nothing is left: as a power of lambda that has this mass. */
static void fill_tail(const band *b, double y, double *density, double *cdf)
{
    const eoc_curve_point *last = &b->trace[b->num_trace - 1].at;
    const double density_end = eoc_curve_density(last);
    const double power = b->left_below > 0.0 ? density_end / b->left_below : INFINITY;
    const double share = exp((y - creal(last->log_lambda)) * power);
    *density = density_end * share;
    *cdf = 1.0 - b->mass_down_to_bottom + b->left_below * share;
}

static void fill_in_band(const eoc_product_layers *layers, const band *b, double y, double *density, double *cdf)
{
    *density = *cdf = NAN; /* where the curve could not be followed */
    if (b->num_trace == 0) {
        return;
    }
    const bool over = y > creal(b->trace[0].at.log_lambda);
    if (over && isnan(b->log_x_edge)) {
        if (b->left_above <= NEXT_TO_NOTHING) {
            *density = 0.0;
            *cdf = 1.0 - b->mass_above_top;
        }
        return;
    }
    if (y < creal(b->trace[b->num_trace - 1].at.log_lambda)) {
        if (b->left_below <= NEXT_TO_NOTHING) {
            fill_tail(b, y, density, cdf);
        }
        return;
    }
    traced p;
    if (over) {
        solve_near_edge(layers, b, y, &p);
    } else if (!solve_from_trace(layers, b, y, &p)) {
        return;
    }
    *density = eoc_curve_density(&p.at);
    *cdf = fmin(1.0 - b->mass_above_top, fmax(1.0 - b->mass_down_to_bottom, 1.0 - p.survival));
}

static void fill_point(const eoc_spectrum *s, double y, double *density, double *cdf)
{
    const eoc_spectrum_shape *shape = &s->shape;
    *density = 0.0;
    *cdf = atoms_up_to(shape, y);
    if (isnan(shape->log_lambda_max)) {
        return;
    }
    if (eoc_product_is_one_factor(&s->layers)) {
        fill_single(s, y, density, cdf);
        return;
    }
    if (y >= shape->log_lambda_max) { /* atoms lie above the density */
        *cdf += 1.0 - mass_of_atoms(shape);
        return;
    }
    for (int i = 0; i < s->num_bands; i++) {
        const band *b = &s->bands[i];
        if (y >= b->top) {
            *cdf = 1.0 - b->mass_above_top;
            return;
        }
        if (y > b->bottom) {
            fill_in_band(&s->layers, b, y, density, cdf);
            return;
        }
    }
}

eoc_status eoc_spectrum_fill(const eoc_spectrum *spectrum, const double *log_lambda, int num_points, double *density,
                             double *cdf)
{
    for (int i = 0; i < num_points; i++) {
        double density_here = 0.0, cdf_here = 0.0;
        fill_point(spectrum, log_lambda[i], &density_here, &cdf_here);
        if (density) {
            density[i] = density_here;
        }
        if (cdf) {
            cdf[i] = cdf_here;
        }
    }
    return EOC_OK;
}
