/* SPDX-License-Identifier: BSD-3-Clause */
#include "vector_kernels.h"

#include "eoc/vecmath.h"

#include <stdlib.h>
#include <string.h>

static int allowed(const char *isa)
{
    const char *wanted = getenv("EOC_ISA");
    return !wanted || strcmp(wanted, isa) == 0;
}

const eoc_vector_kernels *eoc_vector_kernels_chosen(void)
{
    static const eoc_vector_kernels *chosen;
    if (chosen) {
        return chosen;
    }
#ifdef EOC_HAVE_ISA_avx512f
    if (allowed("avx512f") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("fma")) {
        return chosen = &eoc_vector_kernels_avx512f;
    }
#endif
#ifdef EOC_HAVE_ISA_avx2
    if (allowed("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return chosen = &eoc_vector_kernels_avx2;
    }
#endif
    return chosen = &eoc_vector_kernels_generic;
}

const char *eoc_vec_isa(void)
{
    return eoc_vector_kernels_chosen()->isa;
}

void eoc_vec_exp(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->exp(x, y, n);
}

void eoc_vec_expm1(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->expm1(x, y, n);
}

void eoc_vec_log1p(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->log1p(x, y, n);
}

void eoc_vec_tanh(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->tanh(x, y, n);
}

void eoc_vec_erf(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->erf(x, y, n);
}

void eoc_vec_erfc(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->erfc(x, y, n);
}

void eoc_vec_sin(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->sin(x, y, n);
}

void eoc_vec_cos(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->cos(x, y, n);
}

void eoc_vec_tanh_slope(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->tanh_slope(x, y, n);
}

void eoc_vec_multiply(const double *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->multiply(x, y, n);
}

double eoc_vec_distance2(double a, const double *x, double b, const double *y, size_t n)
{
    return eoc_vector_kernels_chosen()->distance2(a, x, b, y, n);
}

void eoc_vec_pair_sums(const double *g, const double *a, const double *b, const double *da, const double *db, size_t n,
                       double sums[2])
{
    eoc_vector_kernels_chosen()->pair_sums(g, a, b, da, db, n, sums);
}

double eoc_vec_recur(double a, const double *x, const double *last, double b, double *older, const double *f, size_t n)
{
    return eoc_vector_kernels_chosen()->recur(a, x, last, b, older, f, n);
}

double eoc_vec_sum4(double a, const double *x, size_t n)
{
    return eoc_vector_kernels_chosen()->sum4(a, x, n);
}

double eoc_vec_max_abs(const double *x, size_t n)
{
    return eoc_vector_kernels_chosen()->max_abs(x, n);
}

void eoc_vec_tanh_both(const double *x, double *y, double *slope, size_t n)
{
    eoc_vector_kernels_chosen()->tanh_both(x, y, slope, n);
}

void eoc_vec_tanh_both_float(const float *x, float *y, float *slope, size_t n)
{
    eoc_vector_kernels_chosen()->tanh_both_float(x, y, slope, n);
}

void eoc_vec_leaky_both_float(float below, const float *x, float *y, float *slope, size_t n)
{
    eoc_vector_kernels_chosen()->leaky_both_float(below, x, y, slope, n);
}

void eoc_vec_dots(const double *basis, size_t stride, int count, const double *v, size_t n, double *out)
{
    eoc_vector_kernels_chosen()->dots(basis, stride, count, v, n, out);
}

double eoc_vec_combine(const double *basis, size_t stride, int count, const double *a, double *v, size_t n)
{
    return eoc_vector_kernels_chosen()->combine(basis, stride, count, a, v, n);
}

void eoc_vec_widen(double scale, const float *x, double *y, size_t n)
{
    eoc_vector_kernels_chosen()->widen(scale, x, y, n);
}
