/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The plan of a run: units into slices, slices to ranks. Pure: a function of the grid, of what is done and of the
 * number of ranks, so every rank works it out for itself, and it is tested without MPI. What a unit's numbers are never
 * depends on it.
 */
#ifndef EOC_PLAN_H
#define EOC_PLAN_H

#include "eoc/probe.h"

#include <stdint.h>

/** Consecutive units of one (architecture, activation, initializer, width, depth) cell: what a rank is handed. */
typedef struct {
    int64_t first, end; /* unit indices; those already finished in between are passed over */
    int64_t pending;    /* units to do */
    double seconds;     /* predicted */
    int rank;           /* who does it */
} eoc_slice;

typedef struct {
    eoc_slice *slices; /* (num_slices), in the order in which a rank takes its own */
    int64_t num_slices;
    int64_t num_units, num_pending;
    double seconds;  /* predicted, of all pending units on one core */
    double makespan; /* of the fullest rank */
} eoc_plan;

/** Whether a unit of this status is still to be done. */
bool eoc_plan_is_pending(int8_t status);

/**
 * @param status   (units) state of each unit, or NULL when all are to be done
 * @param shuffle  0: dearest slices first; else a seed for another order, for tests that results do not depend on it
 */
eoc_status eoc_plan_create(const eoc_grid *grid, const eoc_probe *probe, const int8_t *status, int num_ranks,
                           uint64_t shuffle, eoc_plan *plan);
void eoc_plan_clear(eoc_plan *plan);

/** How much a rank is handed next, and from where: slices lie in order of cost. */
typedef struct {
    bool cheap_end; /* rank 0: the cheapest units that are left; else the dearest */
    double seconds; /* predicted */
} eoc_share;

/**
 * The policy of the hand-out, the one that is simulated (simulate.h). A rank gets max(least, remaining/(4 ranks)) from
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
