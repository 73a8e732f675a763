/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels that exist once for each instruction set (vector_lanes.c) and their choice (vector_choice.c). Private. */
#ifndef EOC_VECTOR_KERNELS_H
#define EOC_VECTOR_KERNELS_H

#include "eoc/rng.h"

#include <stddef.h>

enum { EOC_GROUP_BLOCKS = 16, EOC_GROUP_FLOATS = 64, EOC_GROUP_DOUBLES = 32 };

typedef void eoc_map_function(const double *x, double *y, size_t n);

typedef struct {
    const char *isa;
    eoc_map_function *exp, *expm1, *log1p, *tanh, *erf, *erfc, *sin, *cos, *tanh_slope;
    eoc_map_function *multiply; /* y *= x */
    void (*widen)(double scale, const float *x, double *y, size_t n);
    void (*tanh_both)(const double *x, double *y, double *slope, size_t n);
    void (*tanh_both_float)(const float *x, float *y, float *slope, size_t n);
    void (*leaky_both_float)(float below, const float *x, float *y, float *slope, size_t n);
    void (*dots)(const double *basis, size_t stride, int count, const double *v, size_t n, double *out);
    double (*combine)(const double *basis, size_t stride, int count, const double *a, double *v, size_t n);
    double (*distance2)(double a, const double *x, double b, const double *y, size_t n);
    void (*pair_sums)(const double *g, const double *a, const double *b, const double *da, const double *db, size_t n,
                      double sums[2]);
    double (*recur)(double a, const double *x, const double *last, double b, double *older, const double *f, size_t n);
    double (*sum4)(double a, const double *x, size_t n);
    double (*max_abs)(const double *x, size_t n);
    /* Whole groups, from group `first` on. */
    void (*normals)(const eoc_stream *stream, uint32_t first, double *out, size_t num_groups);
    void (*normals_float)(const eoc_stream *stream, uint32_t first, float *out, size_t num_groups);
    void (*normals_scaled)(const eoc_stream *stream, uint32_t first, double scale, double *out, size_t num_groups);
    void (*uniforms_float)(const eoc_stream *stream, uint32_t first, float *out, size_t num_groups);
} eoc_vector_kernels;

extern const eoc_vector_kernels eoc_vector_kernels_generic;
extern const eoc_vector_kernels eoc_vector_kernels_avx2;
extern const eoc_vector_kernels eoc_vector_kernels_avx512f;

/** The kernels for this processor; EOC_ISA=generic|avx2|avx512f in the environment asks for fewer. */
const eoc_vector_kernels *eoc_vector_kernels_chosen(void);

#endif
