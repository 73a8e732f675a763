/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/inputs.h"

#include "eoc/linalg.h"
#include "eoc/orthonormal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* Direction `column` of the inputs of a network, N(0, I). */
static void draw(eoc_key key, int column, int width, double *x)
{
    const eoc_stream stream = {key, 0, EOC_TENSOR_INPUT, (uint32_t)column};
    eoc_rng_normals(&stream, x, (size_t)width);
}

static void scale(double factor, double *x, int width)
{
    for (int i = 0; i < width; i++) {
        x[i] *= factor;
    }
}

/* e0, e1: orthonormal, their plane uniformly distributed. Gram-Schmidt twice, so that it holds to rounding. */
static void orthonormal_pair(eoc_key key, int width, double *e0, double *e1)
{
    const size_t n = (size_t)width;
    draw(key, 0, width, e0);
    draw(key, 1, width, e1);
    scale(1.0 / eoc_linalg_norm(e0, n), e0, width);
    for (int pass = 0; pass < 2; pass++) {
        eoc_linalg_axpy(-eoc_linalg_dot(e0, e1, n), e0, e1, n);
        scale(1.0 / eoc_linalg_norm(e1, n), e1, width);
    }
}

/* -- pair -- */

static int two_inputs(const eoc_inputs *inputs)
{
    (void)inputs;
    return 2;
}

static void pair_fill(const eoc_inputs *inputs, eoc_key key, int width, double variance, double *x)
{
    double *const x0 = x, *const x1 = x + width;
    const double c = inputs->correlation, s = sqrt((1.0 - c) * (1.0 + c));
    orthonormal_pair(key, width, x0, x1);
    scale(s, x1, width);
    eoc_linalg_axpy(c, x0, x1, (size_t)width);
    scale(sqrt(variance * width), x0, width);
    scale(sqrt(variance * width), x1, width);
}

static int pair_pairs(const eoc_inputs *inputs, eoc_theory_pair *pairs)
{
    if (pairs) {
        pairs[0] = (eoc_theory_pair){.correlation = inputs->correlation, .count = 2.0};
    }
    return 1;
}

/* -- single -- */

static int one_input(const eoc_inputs *inputs)
{
    (void)inputs;
    return 1;
}

static void single_fill(const eoc_inputs *inputs, eoc_key key, int width, double variance, double *x)
{
    (void)inputs;
    draw(key, 0, width, x);
    scale(sqrt(variance * width) / eoc_linalg_norm(x, (size_t)width), x, width);
}

static int no_pairs(const eoc_inputs *inputs, eoc_theory_pair *pairs)
{
    (void)inputs, (void)pairs;
    return 0;
}

/* -- circle -- */

static int given_points(const eoc_inputs *inputs)
{
    return inputs->points;
}

static void circle_fill(const eoc_inputs *inputs, eoc_key key, int width, double variance, double *x)
{
    const int points = inputs->points;
    /* The first two rows hold the plane until the last moment: rows are written from the end. */
    double *const e0 = x, *const e1 = x + width;
    orthonormal_pair(key, width, e0, e1);
    const double radius = sqrt(variance * width);
    for (int k = points - 1; k >= 2; k--) {
        const double c = radius * cos(2.0 * PI * k / points), s = radius * sin(2.0 * PI * k / points);
        for (int i = 0; i < width; i++) {
            x[(size_t)k * (size_t)width + (size_t)i] = c * e0[i] + s * e1[i];
        }
    }
    const double c = radius * cos(2.0 * PI / points), s = radius * sin(2.0 * PI / points);
    for (int i = 0; i < width; i++) {
        e1[i] = c * e0[i] + s * e1[i];
    }
    scale(radius, e0, width);
}

/* Points k apart and K - k apart have the same cosine; K/2 apart is its own mirror. */
static int circle_pairs(const eoc_inputs *inputs, eoc_theory_pair *pairs)
{
    const int points = inputs->points;
    for (int k = 1; 2 * k <= points && pairs; k++) {
        pairs[k - 1] = (eoc_theory_pair){.correlation = cos(2.0 * PI * k / points),
                                         .count = 2 * k == points ? points : 2.0 * points};
    }
    return points / 2;
}

/* -- gaussian -- */

static void gaussian_fill(const eoc_inputs *inputs, eoc_key key, int width, double variance, double *x)
{
    for (int k = 0; k < inputs->points; k++) {
        double *const row = x + (size_t)k * (size_t)width;
        draw(key, k, width, row);
        scale(sqrt(variance), row, width);
    }
}

static int gaussian_pairs(const eoc_inputs *inputs, eoc_theory_pair *pairs)
{
    if (pairs) {
        pairs[0] = (eoc_theory_pair){.correlation = 0.0, .count = (double)inputs->points * (inputs->points - 1)};
    }
    return 1;
}

/* -- interval -- */

double eoc_interval_point(const eoc_inputs *inputs, int k)
{
    const int last = inputs->points - 1;
    return ((last - k) * inputs->from + k * inputs->to) / last; /* symmetric where the interval is */
}

/* Along the first coordinate, so that W x is t times sqrt(N) times the first column of W: whatever its law, the column
 * that lifts a scalar by weights of the effective variance. */
static void interval_fill(const eoc_inputs *inputs, eoc_key key, int width, double variance, double *x)
{
    (void)key, (void)variance;
    for (int k = 0; k < inputs->points; k++) {
        double *const row = x + (size_t)k * (size_t)width;
        memset(row, 0, sizeof(double) * (size_t)width);
        row[0] = sqrt((double)width) * eoc_interval_point(inputs, k);
    }
}

void eoc_interval_direction(eoc_key key, int n, double *u)
{
    draw(key, 0, n, u);
    scale(sqrt((double)n) / eoc_linalg_norm(u, (size_t)n), u, n);
}

/* Along a direction of all positions: the first coordinate would be one channel at one of them. */
static void interval_fill_space(const eoc_inputs *inputs, eoc_key key, const eoc_geometry *geometry, int channels,
                                double variance, double *x)
{
    const int n = eoc_geometry_positions(geometry) * channels;
    (void)variance;
    for (int k = inputs->points - 1; k >= 0; k--) {
        double *const row = x + (size_t)k * (size_t)n;
        eoc_interval_direction(key, n, row);
        scale(eoc_interval_point(inputs, k), row, n);
    }
}

/* Parallel or opposite; zero is as parallel as anything. */
static int interval_pairs(const eoc_inputs *inputs, eoc_theory_pair *pairs)
{
    double same = 0.0, all = (double)inputs->points * (inputs->points - 1);
    for (int a = 0; a < inputs->points; a++) {
        for (int b = 0; b < inputs->points; b++) {
            same += a != b && eoc_interval_point(inputs, a) * eoc_interval_point(inputs, b) >= 0.0;
        }
    }
    const bool begins_same = eoc_interval_point(inputs, 0) * eoc_interval_point(inputs, 1) >= 0.0;
    const double first = begins_same ? same : all - same;
    if (pairs) {
        pairs[0] = (eoc_theory_pair){.correlation = begins_same ? 1.0 : -1.0, .count = first};
    }
    if (first == all) {
        return 1;
    }
    if (pairs) {
        pairs[1] = (eoc_theory_pair){.correlation = begins_same ? -1.0 : 1.0, .count = all - first};
    }
    return 2;
}

/* -- dataset -- */

/* x_a = sum_(j <= a) factor_aj e_j with a uniformly distributed frame e. Its vectors lie where the inputs come, which
 * are made from the last to the first: e_j is no more needed once x_j is there. */
static void fill_by_frame(const eoc_images *images, eoc_key key, int width, double *x)
{
    const size_t n = (size_t)width, count = (size_t)images->count;
    double coefficients[EOC_MAX_IMAGES], work[EOC_MAX_IMAGES];
    for (int j = 0; j < images->count; j++) {
        const eoc_frame before = {x, j};
        draw(key, j, width, x + (size_t)j * n);
        eoc_orthonormal_next(&before, 1, false, n, x + (size_t)j * n, coefficients, work);
    }
    for (size_t a = count; a-- > 0;) {
        scale(images->factor[a * count + a], x + a * n, width);
        for (size_t j = 0; j < a; j++) {
            eoc_linalg_axpy(images->factor[a * count + j], x + j * n, x + a * n, n);
        }
    }
}

static void dataset_fill(const eoc_inputs *inputs, eoc_key key, int width, double variance, double *x)
{
    const eoc_images *images = inputs->images;
    assert(images && images->count == inputs->points);
    const size_t n = (size_t)width, features = (size_t)images->features;
    const bool padded = n >= features;
    if (!padded) {
        fill_by_frame(images, key, width, x);
    }
    for (size_t a = 0; a < (size_t)images->count; a++) {
        double *const row = x + a * n;
        if (padded) {
            memcpy(row, images->units + a * features, sizeof(double) * features);
            memset(row + features, 0, sizeof(double) * (n - features));
        }
        scale(sqrt(variance * images->shares[a] * width / (padded ? (double)features : 1.0)), row, width);
    }
}

/* Where value `i` of position `p` is in an image: by channel, then by row and column of the block. */
static size_t place_in_image(const eoc_images *images, const eoc_geometry *g, int p, int i)
{
    const int pixels = images->rows * images->columns;
    if (g->dimensions == 1) {
        const int length = pixels / g->side;
        return (size_t)(i / length) * (size_t)pixels + (size_t)(p * length + i % length);
    }
    const int s = images->rows / g->side, row = p / g->side * s + i / s % s, column = p % g->side * s + i % s;
    return (size_t)(i / (s * s)) * (size_t)pixels + (size_t)row * (size_t)images->columns + (size_t)column;
}

static void dataset_fill_space(const eoc_inputs *inputs, eoc_key key, const eoc_geometry *geometry, int channels,
                               double variance, double *x)
{
    const eoc_images *images = inputs->images;
    assert(images && images->count == inputs->points);
    const int positions = eoc_geometry_positions(geometry), block = images->features / positions;
    assert(block <= channels && block * positions == images->features);
    (void)key;
    for (int a = 0; a < images->count; a++) {
        const double *const unit = images->units + (size_t)a * (size_t)images->features;
        const double factor = sqrt(variance * images->shares[a] * channels / block);
        for (int p = 0; p < positions; p++) {
            for (int i = 0; i < channels; i++) {
                *x++ = i < block ? factor * unit[place_in_image(images, geometry, p, i)] : 0.0;
            }
        }
    }
}

/* Cosine of two vectors of mean square 1, from their difference where they are alike: of equal ones it is 1. */
static double unit_cosine(const double *x, const double *y, size_t n)
{
    double distance2 = 0.0;
    for (size_t i = 0; i < n; i++) {
        distance2 += (x[i] - y[i]) * (x[i] - y[i]);
    }
    const double one_minus_c = 0.5 * distance2 / (double)n;
    return one_minus_c < 0.5 ? 1.0 - one_minus_c : fmax(-1.0, eoc_linalg_dot(x, y, n) / (double)n);
}

static int dataset_pairs(const eoc_inputs *inputs, eoc_theory_pair *pairs)
{
    const eoc_images *images = inputs->images;
    const size_t n = pairs ? (size_t)images->features : 0;
    for (int a = 0; a < inputs->points && pairs; a++) {
        for (int b = a + 1; b < inputs->points; b++) {
            const double *const x = images->units + (size_t)a * n, *const y = images->units + (size_t)b * n;
            *pairs++ = (eoc_theory_pair){.a = images->alike ? 0 : a,
                                         .b = images->alike ? 0 : b,
                                         .correlation = unit_cosine(x, y, n),
                                         .count = 2.0};
        }
    }
    return inputs->points * (inputs->points - 1) / 2;
}

static const double *dataset_shares(const eoc_inputs *inputs)
{
    return inputs->images->alike ? NULL : inputs->images->shares;
}

static const double *no_shares(const eoc_inputs *inputs)
{
    (void)inputs;
    return NULL;
}

static const eoc_input_kind kinds[] = {
    {.name = "pair",
     .formula = "two vectors, |x|^2/N = variance and cosine = correlation exactly",
     .source = "Poole et al. 2016",
     .has_correlation = true,
     .min_width = 2,
     .num_inputs = two_inputs,
     .fill = pair_fill,
     .pairs = pair_pairs,
     .shares = no_shares},
    {.name = "single",
     .formula = "one vector, |x|^2/N = variance",
     .source = "Poole et al. 2016",
     .min_width = 1,
     .num_inputs = one_input,
     .fill = single_fill,
     .pairs = no_pairs,
     .shares = no_shares},
    {.name = "circle",
     .formula = "points at equal angles on a great circle, |x|^2/N = variance",
     .source = "Poole et al. 2016",
     .has_points = true,
     .max_points = EOC_MAX_POINTS,
     .min_width = 2,
     .num_inputs = given_points,
     .fill = circle_fill,
     .pairs = circle_pairs,
     .shares = no_shares},
    {.name = "gaussian",
     .formula = "points independent vectors, entries N(0, variance)",
     .source = "Pennington, Schoenholz & Ganguli 2017",
     .has_points = true,
     .is_independent = true,
     .max_points = EOC_MAX_POINTS,
     .min_width = 1,
     .num_inputs = given_points,
     .fill = gaussian_fill,
     .pairs = gaussian_pairs,
     .shares = no_shares},
    {.name = "dataset",
     .formula = "the first `points` training images, x.x'/N = image.image'/features: zeros behind them, or where N < "
                "features a random isometry of their span; of a convolution the blocks of an image at their positions",
     .source = "Lee et al. 2018",
     .has_points = true,
     .has_images = true,
     .max_points = EOC_MAX_IMAGES,
     .min_width = 1,
     .num_inputs = given_points,
     .fill = dataset_fill,
     .fill_space = dataset_fill_space,
     .pairs = dataset_pairs,
     .shares = dataset_shares},
    {.name = "interval",
     .formula = "scalars t, evenly spaced from `from` to `to`, lifted by the first layer: x = t sqrt(N) e_1, of a "
                "convolution along a random direction of all positions",
     .source = "Balduzzi et al. 2017",
     .has_points = true,
     .is_interval = true,
     .max_points = EOC_MAX_INTERVAL_POINTS,
     .min_width = 1,
     .num_inputs = given_points,
     .fill = interval_fill,
     .fill_space = interval_fill_space,
     .pairs = interval_pairs,
     .shares = no_shares},
};

void eoc_inputs_fill(const eoc_inputs *inputs, const eoc_network *network, double variance, double *x)
{
    const eoc_geometry g = eoc_network_geometry(network);
    const int positions = eoc_geometry_positions(&g);
    if (positions > 1 && inputs->kind->fill_space) {
        inputs->kind->fill_space(inputs, network->key, &g, network->width, variance, x);
    } else {
        inputs->kind->fill(inputs, network->key, positions * network->width, variance, x);
    }
}

int eoc_input_kind_count(void)
{
    return (int)(sizeof kinds / sizeof kinds[0]);
}

const eoc_input_kind *eoc_input_kind_row(int row)
{
    assert(row >= 0 && row < eoc_input_kind_count());
    return &kinds[row];
}
