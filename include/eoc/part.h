/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Parts of a grid and unions of grids. Pure, like grid.h: values are compared as they are stored, names by spelling.
 *
 * Nothing here depends on the order of an axis; where an order must be chosen, the function says which.
 */
#ifndef EOC_PART_H
#define EOC_PART_H

#include "eoc/grid.h"

/** The axis with the most values, the first of equals; never one of those whose bit, 1 << eoc_axis_id, is in
 * `without`. */
eoc_axis_id eoc_grid_longest_axis(const eoc_grid *grid, unsigned without);

/** Keeps values first, first + step, first + 2 step, ... of an axis; 0 <= first < axis->count, step >= 1. */
void eoc_axis_keep_every(eoc_axis *axis, int first, int step);

/** Fills places (wanted->count) with the index on `axis` of every value of `wanted`, -1 where it has none. */
eoc_status eoc_axis_places(const eoc_axis *axis, const eoc_axis *wanted, int *places);

/** Whether both grids have the same values on every axis, in whatever order; *same is then true. */
eoc_status eoc_grid_same_values(const eoc_grid *a, const eoc_grid *b, bool *same);

/**
 * The smallest grid that holds all of `grids` (num_grids >= 1).
 *
 * Order of an axis: that of `order`, where it is given and has all the values; else, of numbers that ascend (descend)
 * in every grid, ascending (descending); else as they appear, grid by grid.
 *
 * @param order   a grid, or NULL
 * @param result  for eoc_grid_clear; cleared on failure
 */
eoc_status eoc_grid_union(const eoc_grid *const *grids, int num_grids, const eoc_grid *order, eoc_grid *result);

#endif
