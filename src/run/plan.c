/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/plan.h"

#include <math.h>

bool eoc_plan_is_pending(int8_t status)
{
    return status == EOC_PENDING || status == EOC_RUNNING;
}

static const double LONGEST_LEAST_SECONDS = 1.0, SHORTEST_LEAST_SECONDS = 0.005, SLICES_PER_RANK = 64.0;

eoc_share eoc_plan_share(double remaining, double total, int num_ranks, int rank)
{
    const double even = total / (SLICES_PER_RANK * num_ranks);
    const double least = fmax(SHORTEST_LEAST_SECONDS, fmin(even, LONGEST_LEAST_SECONDS));
    if (rank == 0) {
        return (eoc_share){.cheap_end = true, .seconds = least};
    }
    return (eoc_share){.cheap_end = false, .seconds = fmax(least, remaining / (4.0 * num_ranks))};
}

int64_t eoc_plan_share_units(const eoc_share *share, double unit_seconds, int64_t left)
{
    const double wanted = floor(share->seconds / unit_seconds + 0.5);
    return wanted < 1.0 ? 1 : wanted > (double)left ? left : (int64_t)wanted;
}

double eoc_plan_ask_seconds(double total, int num_ranks)
{
    return fmin(0.5, 4.0 * eoc_plan_share(0.0, total, num_ranks, 0).seconds);
}
