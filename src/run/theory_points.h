/* SPDX-License-Identifier: BSD-3-Clause */
/* The theory of a sweep's points: those with the same maps together, so that each map is iterated once. Serial; private
 * to this folder. */
#ifndef EOC_RUN_THEORY_POINTS_H
#define EOC_RUN_THEORY_POINTS_H

#include "eoc/record.h"
#include "eoc/store.h"
#include "eoc/sweep.h"

typedef struct {
    double effective, bias_variance;
    double lift; /* effective variance of the first layer, where it counts by itself */
    int architecture, activation;
    int depth;     /* where the maps depend on it; else 0 */
    int mirrored;  /* of the initializer: the maps depend on it */
    int taps;      /* of a convolution: the initializer, on whose shares of the taps the maps depend; else 0 */
    int in_theory; /* of plain layers, or of others */
    int64_t point;
    int64_t lead; /* the group's first point in the grid: the maps are iterated with its digits */
} eoc_theory_point;

/**
 * Points without theory so far, grouped by (in theory, architecture, activation, effective weight variance, bias
 * variance). A group may be cut anywhere: its parts give the same bits.
 *
 * @param theory_status  (points) as in the file; NULL: every point is wanted
 * @param list           (count) to be freed by the caller
 */
eoc_status eoc_theory_points_list(const eoc_sweep *sweep, const uint16_t *theory_status, eoc_theory_point **list,
                                  int64_t *count);

/** One past the last point of the group that begins at `from`. */
int64_t eoc_theory_points_group_end(const eoc_theory_point *list, int64_t count, int64_t from);

/**
 * Computes `count` points of one group and writes them.
 *
 * @param block  (layout->point_bytes) scratch
 * @param host   its tick is called between points, and true ends the group early; NULL: none
 */
eoc_status eoc_theory_points_write(const eoc_sweep *sweep, const eoc_layout *layout, int max_depth,
                                   const eoc_theory_point *group, int64_t count, eoc_store *store, void *block,
                                   const eoc_host *host);

#endif
