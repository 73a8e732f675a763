/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Elementary functions on whole arrays, by SLEEF, with the widest vectors that the processor has.
 *
 * y[i] = f(x[i]) for i < n; y may be x. Sums run in as many parts as a vector has lanes. Accuracy 1.0 ulp (erfc 1.5
 * ulp), SLEEF 3.5. The choice of vector length is made once, at the first call; results on different vector lengths
 * agree to rounding.
 */
#ifndef EOC_VECMATH_H
#define EOC_VECMATH_H

#include <stddef.h>

void eoc_vec_exp(const double *x, double *y, size_t n);
void eoc_vec_expm1(const double *x, double *y, size_t n);
void eoc_vec_log1p(const double *x, double *y, size_t n);
void eoc_vec_tanh(const double *x, double *y, size_t n);
void eoc_vec_erf(const double *x, double *y, size_t n);
void eoc_vec_erfc(const double *x, double *y, size_t n);
void eoc_vec_sin(const double *x, double *y, size_t n);
void eoc_vec_cos(const double *x, double *y, size_t n);

/** The derivative of tanh, right to a few ulp where 1 - tanh^2 cancels. */
void eoc_vec_tanh_slope(const double *x, double *y, size_t n);

/** tanh and its derivative, the same bits as apart. slope is not x. */
void eoc_vec_tanh_both(const double *x, double *y, double *slope, size_t n);

/** tanh and 1 - tanh^2 at float32, 3.5 ulp of tanh. y may be x, slope may not. */
void eoc_vec_tanh_both_float(const float *x, float *y, float *slope, size_t n);

/** x and 1 where x > 0; `below` times x and `below` where x < 0; x and 0 at 0 and NaN. y may be x, slope may not. */
void eoc_vec_leaky_both_float(float below, const float *x, float *y, float *slope, size_t n);

/** out[k] = sum over i of basis[k * stride + i] v[i], k < count: a few vectors at a time, where BLAS is slow. */
void eoc_vec_dots(const double *basis, size_t stride, int count, const double *v, size_t n, double *out);

/** v += sum over k of a[k] basis[k * stride + ...]; returns |v|^2 after it (0 when count is 0). */
double eoc_vec_combine(const double *basis, size_t stride, int count, const double *a, double *v, size_t n);

/** y[i] *= x[i] */
void eoc_vec_multiply(const double *x, double *y, size_t n);

/** y[i] = scale x[i]; y is not x. */
void eoc_vec_widen(double scale, const float *x, double *y, size_t n);

/** sum of (a x[i] - b y[i])^2 */
double eoc_vec_distance2(double a, const double *x, double b, const double *y, size_t n);

/** sums[0] = sum of g[i] (a[i] - b[i])^2, sums[1] = sum of g[i] da[i] db[i] */
void eoc_vec_pair_sums(const double *g, const double *a, const double *b, const double *da, const double *db, size_t n,
                       double sums[2]);

/** A three-term recurrence: older[i] = a x[i] last[i] - b older[i]; returns the sum of f[i] times it. */
double eoc_vec_recur(double a, const double *x, const double *last, double b, double *older, const double *f, size_t n);

/** sum of (a x[i])^4 */
double eoc_vec_sum4(double a, const double *x, size_t n);

/** Greatest |x[i]|; NaN when one of them is not finite. */
double eoc_vec_max_abs(const double *x, size_t n);

/** The vector instructions in use: "avx512f", "avx2" or "generic". */
const char *eoc_vec_isa(void);

#endif
