/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * W never drawn: its action on the span of the vectors that meet it, and, for the transposed product, its law given
 * that action. In rows, a batch X (columns, n) = R Q with Q orthonormal.
 */
#include "samplers.h"

#include "eoc/linalg.h"
#include "eoc/orthonormal.h"
#include "eoc/vecmath.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* What a product leaves for its transposed one: the frame Q of its input, and its image. */
typedef struct {
    int columns, rank; /* vectors in Q; how many are not zero */
    double *q;         /* (columns, in) */
    double *u;         /* Haar: (columns, in), Q W^t/scale */
    float *g;          /* Gaussian: (columns, out), Q W^t/scale, as drawn */
} frames;

/* Ahead of the frames lies a header of two doubles: columns and rank. */
enum { HEADER = 2 };

static bool is_haar(const eoc_matrix *m)
{
    return m->initializer.kind->law == EOC_LAW_HAAR;
}

/* Values of a vector in Q: a rectangular Haar matrix is the corner of a square one of its longer side. */
static int frame_length(const eoc_matrix *m)
{
    return is_haar(m) && m->fan_out > m->fan_in ? m->fan_out : m->fan_in;
}

static frames frames_at(const eoc_matrix *m, double *kept, int columns)
{
    double *const behind_q = kept + HEADER + (size_t)columns * (size_t)frame_length(m);
    return (frames){.columns = columns,
                    .q = kept + HEADER,
                    .u = is_haar(m) ? behind_q : NULL,
                    .g = is_haar(m) ? NULL : (float *)(void *)behind_q};
}

static size_t implicit_kept_bytes(const eoc_matrix *m, int columns)
{
    const size_t q = sizeof(double) * (size_t)columns * (size_t)frame_length(m);
    const size_t image = is_haar(m) ? q : sizeof(float) * (size_t)columns * (size_t)m->fan_out;
    return HEADER * sizeof(double) + q + image;
}

static double entry_scale(const eoc_matrix *m)
{
    return sqrt(eoc_matrix_variance(m));
}

/* Vectors (columns, from) to (columns, to), to >= from: zeros behind. */
static void copy_padded(const double *x, int from, double *y, int to, int columns)
{
    for (int c = 0; c < columns; c++) {
        memcpy(y + (size_t)c * (size_t)to, x + (size_t)c * (size_t)from, sizeof(double) * (size_t)from);
        memset(y + (size_t)c * (size_t)to + from, 0, sizeof(double) * (size_t)(to - from));
    }
}

/* -- Gaussian: frames of independent normals, met a block at a time -- */

/* What is done with a block of values: normals (count, length) at `start` of the vectors. */
typedef void block_function(eoc_tile normals, int start, void *context);

/* Calls `use` for every block of G (count, n), times scale: as kept, or drawn for the first time. */
static void for_blocks(eoc_weights *w, const eoc_matrix *m, const float *kept, int count, int n, double scale,
                       block_function *use, void *context)
{
    int block = EOC_DRAWN_DOUBLES / count / EOC_RNG_GROUP * EOC_RNG_GROUP;
    block = block > 0 ? block : EOC_RNG_GROUP;
    for (int start = 0; start < n; start += block) {
        const int length = n - start < block ? n - start : block;
        for (int j = 0; j < count; j++) {
            double *const place = w->normals + (size_t)j * (size_t)block;
            if (kept) {
                eoc_vec_widen(scale, kept + (size_t)j * (size_t)n + start, place, (size_t)length);
            } else {
                const eoc_stream stream = {m->key, m->layer, m->tensor | EOC_TENSOR_TRANSPOSED, (uint32_t)j};
                eoc_rng_normals_scaled(&stream, (size_t)start, scale, place, (size_t)length);
            }
        }
        use((eoc_tile){w->normals, count, length, block}, start, context);
    }
}

/* out (columns, n) += coefficients (columns, count) G, or coefficients += in G^t */
typedef struct {
    double *coefficients;
    int count, columns, n;
    const double *in;
    double *out;
} product;

static void add_block(eoc_tile normals, int start, void *context)
{
    const product *p = context;
    eoc_linalg_tile_apply_transposed(normals, p->coefficients, p->count, p->out + start, p->n, p->columns);
}

static void project_block(eoc_tile normals, int start, void *context)
{
    const product *p = context;
    eoc_linalg_tile_apply(normals, p->in + start, p->n, p->coefficients, p->count, p->columns);
}

/* Y = R G: W maps the frame Q to independent normals. */
static void gaussian_apply(eoc_weights *w, const eoc_matrix *m, frames f, double *y)
{
    const size_t out = (size_t)m->fan_out;
    for (int j = 0; j < f.columns; j++) {
        const eoc_stream stream = {m->key, m->layer, m->tensor, (uint32_t)j};
        eoc_rng_normals_float(&stream, f.g + (size_t)j * out, out);
    }
    memset(y, 0, sizeof(double) * (size_t)f.columns * out);
    product p = {.coefficients = w->r, .count = f.columns, .columns = f.columns, .n = m->fan_out, .out = y};
    for_blocks(w, m, f.g, f.columns, m->fan_out, entry_scale(m), add_block, &p);
}

/*
 * Given W on Q, W^t E = Q (G^t E) + (I - Q Q^t) P: known along Q, and beside it as independent as before, P = R_E G'
 * with fresh normals G'.
 */
static void gaussian_apply_transposed(eoc_weights *w, const eoc_matrix *m, frames f, const double *y, double *x,
                                      int columns)
{
    const int in = m->fan_in, out = m->fan_out;
    const double scale = entry_scale(m);
    const eoc_frame nothing = {w->frame, 0};
    memcpy(w->frame, y, sizeof(double) * (size_t)columns * (size_t)out);
    eoc_orthonormal_qr(&nothing, out, columns, (size_t)out, w->frame, w->along, w->r, w->work);
    memset(x, 0, sizeof(double) * (size_t)columns * (size_t)in);
    product fresh = {.coefficients = w->r, .count = columns, .columns = columns, .n = in, .out = x};
    for_blocks(w, m, NULL, columns, in, scale, add_block, &fresh);

    /* along = E G^t - P Q^t, what is to be added along Q */
    const size_t num_along = (size_t)columns * (size_t)f.columns;
    double *const known = w->along, *const drawn = w->r;
    memset(known, 0, sizeof(double) * num_along);
    memset(drawn, 0, sizeof(double) * num_along);
    product seen = {.coefficients = known, .count = f.columns, .columns = columns, .n = out, .in = y};
    for_blocks(w, m, f.g, f.columns, out, scale, project_block, &seen);
    const eoc_tile q = {f.q, f.columns, in, in};
    eoc_linalg_tile_apply(q, x, in, drawn, f.columns, columns);
    for (size_t i = 0; i < num_along; i++) {
        known[i] -= drawn[i];
    }
    eoc_linalg_tile_apply_transposed(q, known, f.columns, x, in, columns);
}

/* -- Haar: uniformly distributed orthonormal frames -- */

/* Vector j of a uniform frame in the complement of `others`, or zero where the frame has none. */
static bool draw_frame_vector(eoc_weights *w, const eoc_matrix *m, uint32_t tensor, int j, const eoc_frame *others,
                              double *frame, bool wanted)
{
    const size_t n = (size_t)frame_length(m);
    double *const v = frame + (size_t)j * n;
    if (!wanted) {
        memset(v, 0, sizeof(double) * n);
        return false;
    }
    const eoc_stream stream = {m->key, m->layer, tensor, (uint32_t)j};
    const eoc_frame before[] = {*others, {frame, j}};
    eoc_rng_normals_scaled(&stream, 0, 1.0, v, n);
    return eoc_orthonormal_next(before, 2, false, n, v, w->work, w->work + 2 * w->max_columns) > 0.0;
}

/* Y = scale R U: W/scale maps the frame Q to a uniformly distributed one. */
static void haar_apply(eoc_weights *w, const eoc_matrix *m, frames f, double *y)
{
    const int n = frame_length(m);
    const double scale = entry_scale(m) * sqrt((double)n);
    const eoc_frame nothing = {f.u, 0};
    for (int j = 0; j < f.columns; j++) {
        draw_frame_vector(w, m, m->tensor, j, &nothing, f.u, w->r[j * f.columns + j] != 0.0);
    }
    eoc_linalg_scale(scale, w->r, (size_t)f.columns * (size_t)f.columns);
    memset(y, 0, sizeof(double) * (size_t)f.columns * (size_t)m->fan_out);
    eoc_linalg_tile_apply_transposed((eoc_tile){f.u, f.columns, m->fan_out, n}, w->r, f.columns, y, m->fan_out,
                                     f.columns);
}

/*
 * Given W on Q, W^t E = scale (Q U^t E + F R'), where R' is what E has beside U, E - U U^t E = Q' R', and F a fresh
 * uniform frame in the complement of Q.
 */
static void haar_apply_transposed(eoc_weights *w, const eoc_matrix *m, frames f, const double *y, double *x,
                                  int columns)
{
    const int n = frame_length(m), in = m->fan_in;
    const double scale = entry_scale(m) * sqrt((double)n);
    const eoc_frame u = {f.u, f.columns}, q = {f.q, f.columns};
    copy_padded(y, m->fan_out, w->frame, n, columns);
    eoc_orthonormal_qr(&u, n - f.rank, columns, (size_t)n, w->frame, w->along, w->r, w->work);
    for (int j = 0; j < columns; j++) {
        draw_frame_vector(w, m, m->tensor | EOC_TENSOR_TRANSPOSED, j, &q, w->frame, w->r[j * columns + j] != 0.0);
    }
    eoc_linalg_scale(scale, w->r, (size_t)columns * (size_t)columns);
    eoc_linalg_scale(scale, w->along, (size_t)columns * (size_t)f.columns);
    memset(x, 0, sizeof(double) * (size_t)columns * (size_t)in);
    eoc_linalg_tile_apply_transposed((eoc_tile){f.q, f.columns, in, n}, w->along, f.columns, x, in, columns);
    eoc_linalg_tile_apply_transposed((eoc_tile){w->frame, columns, in, n}, w->r, columns, x, in, columns);
}

/* -- the sampler -- */

static void implicit_apply(eoc_weights *w, const eoc_matrix *m, const double *x, double *y, int columns, void *kept)
{
    assert(columns <= w->max_columns && m->fan_in <= w->max_fan && m->fan_out <= w->max_fan);
    const int n = frame_length(m);
    frames f = frames_at(m, kept, columns);
    const eoc_frame nothing = {f.q, 0};
    copy_padded(x, m->fan_in, f.q, n, columns);
    f.rank = eoc_orthonormal_qr(&nothing, m->fan_in, columns, (size_t)n, f.q, w->along, w->r, w->work);
    double *const header = kept;
    header[0] = f.columns;
    header[1] = f.rank;
    if (is_haar(m)) {
        haar_apply(w, m, f, y);
    } else {
        gaussian_apply(w, m, f, y);
    }
}

static void implicit_apply_transposed(eoc_weights *w, const eoc_matrix *m, const double *y, double *x, int columns,
                                      const void *kept)
{
    assert(columns <= w->max_columns && m->fan_in <= w->max_fan && m->fan_out <= w->max_fan);
    double *const header = (double *)kept; /* read only from here on */
    frames f = frames_at(m, header, (int)header[0]);
    f.rank = (int)header[1];
    if (is_haar(m)) {
        haar_apply_transposed(w, m, f, y, x, columns);
    } else {
        gaussian_apply_transposed(w, m, f, y, x, columns);
    }
}

static bool implicit_can_draw(const eoc_initializer *initializer)
{
    const eoc_initializer_kind *kind = initializer->kind;
    return (kind->law == EOC_LAW_NORMAL || kind->law == EOC_LAW_HAAR) && !kind->projections;
}

/* Fitted as those of explicit weights: calls, a column's, a pair of columns'; normals and projections. */
static double implicit_operations(const eoc_matrix *m, int columns)
{
    /* Frames of independent entries are as long as one side; those of a convolution's patches and units differ much. */
    const double longer = m->fan_out > m->fan_in ? m->fan_out : m->fan_in, b = columns;
    const double n = m->taps > 1 && !is_haar(m) ? 0.5 * ((double)m->fan_out + m->fan_in) : longer;
    return is_haar(m) ? 5300.0 + b * (2400.0 + 29.0 * b) + n * b * (16.0 + 8.9 * b)
                      : 5400.0 + b * (2700.0 + 86.0 * b) + n * b * (24.0 + 4.5 * b);
}

const eoc_sampler eoc_sampler_implicit = {
    .name = "implicit",
    .formula = "W by its action on the span of the vectors that meet it, exact in law; never drawn",
    .source = "Bolthausen 2014; Bayati & Montanari 2011",
    .apply = implicit_apply,
    .apply_transposed = implicit_apply_transposed,
    .kept_bytes = implicit_kept_bytes,
    .can_draw = implicit_can_draw,
    .operations = implicit_operations,
};
