/* SPDX-License-Identifier: BSD-3-Clause */
/** The number type of trained networks: float, or double in files compiled with EOC_REAL_DOUBLE. */
#ifndef EOC_REAL_H
#define EOC_REAL_H

#ifdef EOC_REAL_DOUBLE
typedef double eoc_real;
#else
typedef float eoc_real;
#endif

#endif
