/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/orthonormal.h"

#include "eoc/linalg.h"

#include <math.h>
#include <string.h>

/* Of random vectors one pass is enough, of nearly parallel ones two, of a vector in the span three. */
enum { MAX_PASSES = 8 };

/* A sum of squares between this and its inverse has lost nothing to under- or overflow. */
static const double SAFE_SQUARE = 1e-280;

/* Vectors this short are lengthened while they are worked on: what is left of them may be denormal, without digits. */
static const double SHORT = 0x1p-800, LENGTHENED = 0x1p800;

/* One projection off every frame; adds what it took to the coefficients. Returns the norm of what is left. */
static double project_off(const eoc_frame *frames, int num_frames, size_t n, double *v, double *coefficients,
                          double *work)
{
    int total = 0;
    for (int f = 0; f < num_frames; f++) {
        eoc_linalg_project(frames[f].vectors, frames[f].count, n, v, work + total);
        total += frames[f].count;
    }
    for (int i = 0; i < total; i++) {
        coefficients[i] += work[i];
        work[i] = -work[i];
    }
    double square = 0.0;
    for (int f = 0, start = 0; f < num_frames; f++) {
        if (frames[f].count) {
            square = eoc_linalg_add(frames[f].vectors, frames[f].count, n, work + start, v);
        }
        start += frames[f].count;
    }
    return square > SAFE_SQUARE && square < 1.0 / SAFE_SQUARE ? sqrt(square) : eoc_linalg_norm(v, n);
}

double eoc_orthonormal_next(const eoc_frame *frames, int num_frames, bool full, size_t n, double *v,
                            double *coefficients, double *work)
{
    int total = 0;
    for (int f = 0; f < num_frames; f++) {
        total += frames[f].count;
    }
    memset(coefficients, 0, sizeof(double) * (size_t)total);
    double norm = eoc_linalg_norm(v, n), unit = 1.0;
    if (norm < SHORT) {
        eoc_linalg_scale(LENGTHENED, v, n);
        norm = eoc_linalg_norm(v, n);
        unit = SHORT;
    }
    bool settled = total == 0;
    for (int pass = 0; pass < MAX_PASSES && !settled && norm > 0.0; pass++) {
        const double left = project_off(frames, num_frames, n, v, coefficients, work);
        settled = left >= 0.5 * norm || full;
        norm = left;
    }
    for (int i = 0; i < total; i++) {
        coefficients[i] *= unit;
    }
    if (!settled || full || norm * unit == 0.0) {
        memset(v, 0, sizeof(double) * n);
        return 0.0;
    }
    eoc_linalg_scale(1.0 / norm, v, n);
    return norm * unit;
}

int eoc_orthonormal_qr(const eoc_frame *complement_of, int room, int columns, size_t n, double *q, double *along,
                       double *r, double *work)
{
    const int fixed = complement_of->count;
    double *const coefficients = work, *const scratch = work + fixed + columns;
    int rank = 0;
    memset(r, 0, sizeof(double) * (size_t)columns * (size_t)columns);
    for (int j = 0; j < columns; j++) {
        const eoc_frame frames[] = {*complement_of, {q, j}};
        const double norm = eoc_orthonormal_next(frames, 2, rank >= room, n, q + (size_t)j * n, coefficients, scratch);
        rank += norm > 0.0;
        memcpy(along + (size_t)j * (size_t)fixed, coefficients, sizeof(double) * (size_t)fixed);
        memcpy(r + (size_t)j * (size_t)columns, coefficients + fixed, sizeof(double) * (size_t)j);
        r[j * columns + j] = norm;
    }
    return rank;
}
