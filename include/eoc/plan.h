/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The policy of the hand-out: how much of what is left a rank gets next. Pure; the run and its simulation (simulate.h)
 * both go by it. What a unit's numbers are never depends on it.
 */
#ifndef EOC_PLAN_H
#define EOC_PLAN_H

#include "eoc/probe.h"

#include <stdint.h>

/** Whether a unit of this status is still to be done. */
bool eoc_plan_is_pending(int8_t status);

/** How much a rank is handed next, and from where: slices lie in order of cost. */
typedef struct {
    bool cheap_end; /* rank 0: the cheapest units that are left; else the dearest */
    double seconds; /* predicted */
} eoc_share;

/**
 * A rank gets max(least, remaining/(4 ranks)) from
 * the dear end, rank 0 `least` from the cheap end: it answers the others, so what it holds should be short. `least` is
 * 1 s, or less where that would leave a rank fewer than 64 slices (total/(64 ranks)), but never below 5 ms.
 *
 * @param remaining  predicted seconds not handed out yet, total: at the beginning of the run; one core
 * @param rank       0, or any other for all the others
 */
eoc_share eoc_plan_share(double remaining, double total, int num_ranks, int rank);

/** Units of a cell in such a share: at least 1, at most `left`. A share never spans two cells. */
int64_t eoc_plan_share_units(const eoc_share *share, double unit_seconds, int64_t left);

/** A rank asks for its next slice when so much predicted work is left of the one in hand, or at once if it is less. */
double eoc_plan_ask_seconds(double total, int num_ranks);

#endif
