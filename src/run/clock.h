/* SPDX-License-Identifier: BSD-3-Clause */
/* Time, and letting it pass without using a core. Private to this folder. */
#ifndef EOC_RUN_CLOCK_H
#define EOC_RUN_CLOCK_H

/** Seconds from some moment on, never set back. */
double eoc_clock(void);

/** Seconds since 1970. */
double eoc_wall_time(void);

/** How long the next nap is: from {0} on short ones first, for most waits are, then 5 ms. */
typedef struct {
    int naps;
} eoc_nap;

/** Sleeps; a signal wakes it. */
void eoc_nap_take(eoc_nap *nap);

#endif
