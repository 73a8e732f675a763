/* SPDX-License-Identifier: BSD-3-Clause */
/* W drawn tile by tile, or reflection by reflection, multiplied and forgotten. */
#include "samplers.h"

#include "eoc/linalg.h"
#include "eoc/vecmath.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- explicit, independent entries -- */

/* Tile (i, j) of W, `rows` x `cols` at most EOC_TILE_SIDE x EOC_TILE_SIDE, as doubles with their scale. */
static void draw_tile(eoc_weights *w, const eoc_matrix *m, int tile_index, int rows, int cols)
{
    const eoc_stream stream = {m->key, m->layer, m->tensor, (uint32_t)tile_index};
    const double variance = eoc_matrix_variance(m);
    const double mean = eoc_initializer_mean(&m->initializer, m->weight_variance, m->fan_out, m->fan_in);
    const size_t n = (size_t)rows * (size_t)cols;
    if (m->initializer.kind->law == EOC_LAW_NORMAL) {
        eoc_rng_normals_scaled(&stream, 0, sqrt(variance), w->tile, n);
        return;
    }
    eoc_rng_uniforms_float(&stream, w->drawn, n);
    eoc_vec_widen(sqrt(3.0 * variance), w->drawn, w->tile, n); /* U(-1, 1) has variance 1/3 */
    for (size_t i = 0; mean != 0.0 && i < n; i++) {
        w->tile[i] += mean;
    }
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static void entries_apply(eoc_weights *w, const eoc_matrix *m, const double *x, double *y, int columns)
{
    memset(y, 0, sizeof(double) * (size_t)columns * (size_t)m->fan_out);
    int tile_index = 0;
    for (int row = 0; row < m->fan_out; row += EOC_TILE_SIDE) {
        for (int col = 0; col < m->fan_in; col += EOC_TILE_SIDE, tile_index++) {
            const int rows = smaller(EOC_TILE_SIDE, m->fan_out - row), cols = smaller(EOC_TILE_SIDE, m->fan_in - col);
            draw_tile(w, m, tile_index, rows, cols);
            const eoc_tile tile = {w->tile, rows, cols, cols};
            eoc_linalg_tile_apply(tile, x + col, m->fan_in, y + row, m->fan_out, columns);
        }
    }
}

static void entries_apply_transposed(eoc_weights *w, const eoc_matrix *m, const double *y, double *x, int columns)
{
    memset(x, 0, sizeof(double) * (size_t)columns * (size_t)m->fan_in);
    int tile_index = 0;
    for (int row = 0; row < m->fan_out; row += EOC_TILE_SIDE) {
        for (int col = 0; col < m->fan_in; col += EOC_TILE_SIDE, tile_index++) {
            const int rows = smaller(EOC_TILE_SIDE, m->fan_out - row), cols = smaller(EOC_TILE_SIDE, m->fan_in - col);
            draw_tile(w, m, tile_index, rows, cols);
            const eoc_tile tile = {w->tile, rows, cols, cols};
            eoc_linalg_tile_apply_transposed(tile, y + row, m->fan_out, x + col, m->fan_in, columns);
        }
    }
}

/* -- explicit, Haar -- */

/*
 * Reflection k of the QR of an n x n Gaussian matrix: with g ~ N(0, I) of length n - k, v = g + sign(g_0)|g| e_0 maps g
 * to -sign(g_0)|g| e_0. Returns the sign that makes the diagonal of R positive, -sign(g_0), by which column k of Q is
 * multiplied; *beta = 2/|v|^2. v lies in w->tile.
 */
static double draw_reflection(eoc_weights *w, const eoc_matrix *m, int n, int k, double *beta)
{
    const eoc_stream stream = {m->key, m->layer, m->tensor, (uint32_t)k};
    const size_t length = (size_t)(n - k);
    eoc_rng_normals_scaled(&stream, 0, 1.0, w->tile, length);
    const double norm = sqrt(eoc_linalg_dot(w->tile, w->tile, length));
    const double sign = w->tile[0] < 0.0 ? -1.0 : 1.0;
    const double half_v_norm2 = norm * (norm + fabs(w->tile[0])); /* (|g| + |g_0|)^2 + |g|^2 - g_0^2, halved */
    w->tile[0] += sign * norm;
    *beta = half_v_norm2 > 0.0 ? 1.0 / half_v_norm2 : 0.0;
    return -sign;
}

static void reflect(const double *v, double beta, double *x, size_t length)
{
    eoc_linalg_axpy(-beta * eoc_linalg_dot(v, x, length), v, x, length);
}

/* Q = (H_0 D_0)(H_1 D_1) ... : D_k, the sign of column k, commutes with every later reflection. In place, n long. */
static void haar_apply_square(eoc_weights *w, const eoc_matrix *m, int n, double *x, int stride, int columns)
{
    for (int k = n - 1; k >= 0; k--) {
        double beta = 0.0;
        const double sign = draw_reflection(w, m, n, k, &beta);
        for (int c = 0; c < columns; c++) {
            double *const column = x + (size_t)c * (size_t)stride;
            column[k] *= sign;
            reflect(w->tile, beta, column + k, (size_t)(n - k));
        }
    }
}

static void haar_apply_square_transposed(eoc_weights *w, const eoc_matrix *m, int n, double *x, int stride, int columns)
{
    for (int k = 0; k < n; k++) {
        double beta = 0.0;
        const double sign = draw_reflection(w, m, n, k, &beta);
        for (int c = 0; c < columns; c++) {
            double *const column = x + (size_t)c * (size_t)stride;
            reflect(w->tile, beta, column + k, (size_t)(n - k));
            column[k] *= sign;
        }
    }
}

typedef void haar_square(eoc_weights *w, const eoc_matrix *m, int n, double *x, int stride, int columns);

/* The corner (out, in) of a Haar matrix of the longer side, scaled to entry variance `variance` (its own is 1/longer).
 */
static void haar_corner(eoc_weights *w, const eoc_matrix *m, haar_square *product, const double *in, int num_in,
                        double *out, int num_out, int columns)
{
    const int n = num_in > num_out ? num_in : num_out;
    const double variance = eoc_matrix_variance(m);
    const double scale = sqrt(variance * n);
    const size_t total_in = (size_t)num_in * (size_t)columns, total_out = (size_t)num_out * (size_t)columns;
    if (num_in == num_out) {
        memcpy(out, in, sizeof(double) * total_in);
        product(w, m, n, out, n, columns);
    } else {
        for (int c = 0; c < columns; c++) {
            memcpy(w->padded, in + (size_t)c * (size_t)num_in, sizeof(double) * (size_t)num_in);
            memset(w->padded + num_in, 0, sizeof(double) * (size_t)(n - num_in));
            product(w, m, n, w->padded, n, 1);
            memcpy(out + (size_t)c * (size_t)num_out, w->padded, sizeof(double) * (size_t)num_out);
        }
    }
    for (size_t i = 0; i < total_out; i++) {
        out[i] *= scale;
    }
}

/* -- the matrix itself -- */

static void entries_draw(eoc_weights *w, const eoc_matrix *m, double *out)
{
    int tile_index = 0;
    for (int row = 0; row < m->fan_out; row += EOC_TILE_SIDE) {
        for (int col = 0; col < m->fan_in; col += EOC_TILE_SIDE, tile_index++) {
            const int rows = smaller(EOC_TILE_SIDE, m->fan_out - row), cols = smaller(EOC_TILE_SIDE, m->fan_in - col);
            draw_tile(w, m, tile_index, rows, cols);
            for (int i = 0; i < rows; i++) {
                memcpy(out + (size_t)(row + i) * (size_t)m->fan_in + (size_t)col, w->tile + (size_t)i * (size_t)cols,
                       sizeof(double) * (size_t)cols);
            }
        }
    }
}

/* The reflections side by side, multiplied out in blocks; their signs are those of Q's columns. */
static eoc_status draw_haar_square(eoc_weights *w, const eoc_matrix *m, int n, double *q, double *tau, double *sign)
{
    for (int k = 0; k < n; k++) {
        double beta = 0.0, *const column = q + (size_t)k * (size_t)n;
        sign[k] = draw_reflection(w, m, n, k, &beta);
        const double lead = w->tile[0];
        tau[k] = beta * lead * lead;
        for (int i = k + 1; i < n; i++) {
            column[i] = lead != 0.0 ? w->tile[i - k] / lead : 0.0;
        }
    }
    return eoc_linalg_form_q(n, q, tau);
}

static eoc_status haar_draw(eoc_weights *w, const eoc_matrix *m, double *out)
{
    const int n = m->fan_in > m->fan_out ? m->fan_in : m->fan_out;
    const double variance = eoc_matrix_variance(m);
    const double scale = sqrt(variance * n);
    const size_t side = (size_t)n;
    double *const q = calloc(side * side + 2 * side, sizeof(double));
    EOC_REQUIRE(q, EOC_ERR_NOMEM, "out of memory for an orthogonal matrix of %d x %d", n, n);
    double *const tau = q + side * side, *const sign = tau + side;
    const eoc_status status = draw_haar_square(w, m, n, q, tau, sign);
    for (int i = 0; i < m->fan_out && status == EOC_OK; i++) {
        for (int j = 0; j < m->fan_in; j++) {
            out[(size_t)i * (size_t)m->fan_in + (size_t)j] = scale * sign[j] * q[(size_t)j * side + (size_t)i];
        }
    }
    free(q);
    return status;
}

eoc_status eoc_weights_draw(eoc_weights *w, const eoc_matrix *m, double *out)
{
    assert(m->fan_in <= w->max_fan && m->fan_out <= w->max_fan);
    if (m->initializer.kind->law == EOC_LAW_HAAR) {
        return haar_draw(w, m, out);
    }
    entries_draw(w, m, out);
    return EOC_OK;
}

/* -- the sampler -- */

static void explicit_apply(eoc_weights *w, const eoc_matrix *m, const double *x, double *y, int columns, void *kept)
{
    (void)kept;
    assert(m->fan_in <= w->max_fan && m->fan_out <= w->max_fan);
    if (m->initializer.kind->law == EOC_LAW_HAAR) {
        haar_corner(w, m, haar_apply_square, x, m->fan_in, y, m->fan_out, columns);
    } else {
        entries_apply(w, m, x, y, columns);
    }
}

static void explicit_apply_transposed(eoc_weights *w, const eoc_matrix *m, const double *y, double *x, int columns,
                                      const void *kept)
{
    (void)kept;
    assert(m->fan_in <= w->max_fan && m->fan_out <= w->max_fan);
    if (m->initializer.kind->law == EOC_LAW_HAAR) {
        haar_corner(w, m, haar_apply_square_transposed, y, m->fan_out, x, m->fan_in, columns);
    } else {
        entries_apply_transposed(w, m, y, x, columns);
    }
}

static bool explicit_can_draw(const eoc_initializer *initializer)
{
    (void)initializer;
    return true;
}

static size_t explicit_kept_bytes(const eoc_matrix *m, int columns)
{
    (void)m, (void)columns;
    return 0;
}

/*
 * Fitted to products of N = 8 .. 4096 and 1 .. 128 columns on one core with AVX-512, within 1.5 times: a call, the draw
 * of an entry, a multiply-add; for Haar a reflection's calls and its steps.
 */
static double explicit_operations(const eoc_matrix *m, int columns)
{
    const double entries = (double)m->fan_out * m->fan_in, b = columns;
    if (m->initializer.kind->law == EOC_LAW_HAAR) {
        const double n = m->fan_out > m->fan_in ? m->fan_out : m->fan_in;
        return 3700.0 + n * (970.0 + 136.0 * b) + n * n * (9.6 + 1.8 * b);
    }
    return 7000.0 + entries * ((m->initializer.kind->law == EOC_LAW_NORMAL ? 20.0 : 14.0) + 0.5 * b);
}

const eoc_sampler eoc_sampler_explicit = {
    .name = "explicit",
    .formula = "W drawn tile by tile (orthogonal: reflection by reflection), multiplied and forgotten",
    .source = "Salmon et al. 2011 (Philox); Stewart 1980 (Haar)",
    .apply = explicit_apply,
    .apply_transposed = explicit_apply_transposed,
    .kept_bytes = explicit_kept_bytes,
    .can_draw = explicit_can_draw,
    .operations = explicit_operations,
};
