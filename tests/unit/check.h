/* SPDX-License-Identifier: BSD-3-Clause */
/* What the unit tests share: cmocka, and comparisons that print both values in full. */
#ifndef EOC_TESTS_CHECK_H
#define EOC_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

/* |got - want| <= tolerance; a NaN never passes. */
#define CHECK_NEAR(got, want, tolerance)                                                                           \
    do {                                                                                                           \
        const double check_got = (got), check_want = (want), check_tolerance = (tolerance);                        \
        if (!(fabs(check_got - check_want) <= check_tolerance)) {                                                  \
            fail_msg("%s:%d: %s is %.17g, not %.17g within %.3g", __FILE__, __LINE__, #got, check_got, check_want, \
                     check_tolerance);                                                                             \
        }                                                                                                          \
    } while (0)

#define CHECK_RELATIVE(got, want, tolerance) CHECK_NEAR(got, want, (tolerance)*fabs(want))

#endif
