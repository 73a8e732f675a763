/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <time.h>

static double seconds_of(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double eoc_clock(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double eoc_wall_time(void)
{
    return seconds_of(CLOCK_REALTIME);
}

void eoc_nap_take(eoc_nap *nap)
{
    static const long nanoseconds[] = {50000, 100000, 200000, 500000, 1000000, 2000000, 5000000};
    enum { LAST = sizeof nanoseconds / sizeof nanoseconds[0] - 1 };
    const struct timespec time = {0, nanoseconds[nap->naps]};
    nap->naps += nap->naps < LAST;
    nanosleep(&time, NULL);
}
