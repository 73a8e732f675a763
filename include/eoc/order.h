/* SPDX-License-Identifier: BSD-3-Clause */
/** The order of numbers, for qsort. */
#ifndef EOC_ORDER_H
#define EOC_ORDER_H

/** Compares two doubles, none of them NaN. */
static inline int eoc_by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

#endif
