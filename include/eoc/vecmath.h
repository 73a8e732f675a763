/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Elementary functions on whole arrays, by SLEEF, with the widest vectors that the processor has.
 *
 * y[i] = f(x[i]) for i < n; y may be x. Accuracy 1.0 ulp (erfc 1.5 ulp), SLEEF 3.5. The choice of vector length is made
 * once, at the first call; results on different vector lengths agree to rounding.
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

/** The vector instructions in use: "avx512f", "avx2" or "generic". */
const char *eoc_vec_isa(void);

#endif
