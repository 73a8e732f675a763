/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What units cost: predicted seconds of one core, and how measured ones compare.
 *
 * The prediction (eoc_unit_seconds) is a count of operations with constants of one machine. A cost is a
 * table of ratios measured / predicted, one a kind: architecture, activation, initializer and sampler. It is for plans
 * and estimates alone; what a unit's numbers are never depends on it.
 */
#ifndef EOC_COST_H
#define EOC_COST_H

#include "eoc/probe.h"

#include <stdint.h>

typedef struct {
    char *names[3]; /* architecture, activation, initializer, as a grid spells them */
    const eoc_sampler *sampler;
    double measured, predicted; /* seconds, added up */
    int64_t units;
} eoc_cost_row;

/** Start from {0}: every ratio 1. Ended by eoc_cost_clear. */
typedef struct {
    eoc_cost_row *rows;
    int num_rows;
} eoc_cost;

/** Predicted seconds of one core for a unit: its probe and its training, as far as the sweep asks for them. */
double eoc_unit_seconds(const eoc_probe *probe, const eoc_network *network);

/** measured / predicted */
double eoc_cost_ratio(const eoc_cost_row *row);

/** Notes that `units` units such as `unit` took `measured` seconds (> 0) together. */
eoc_status eoc_cost_add(eoc_cost *cost, const eoc_grid *grid, const eoc_probe *probe, int64_t unit, double measured,
                        int64_t units);

/**
 * Predicted seconds of a unit, corrected by the ratio of its kind; of a kind that was not measured by the geometric
 * mean of those that were. `cost` may be NULL. The grid may be another than the one measured: rows go by names.
 */
double eoc_cost_seconds(const eoc_cost *cost, const eoc_grid *grid, const eoc_probe *probe, int64_t unit);

/**
 * Measures on this machine: probes a few layers of every kind at the grid's least, middle and greatest width (narrower
 * where one layer would take too long), adding rows to `cost`. Takes `seconds` at most, or two runs of one layer of 16
 * values of every kind. Uses one thread.
 */
eoc_status eoc_cost_calibrate(const eoc_grid *grid, const eoc_probe *probe, double seconds, eoc_cost *cost);

/**
 * Adds what a finished or running sweep took.
 *
 * @param status   (units) of eoc_unit_status; units done with a finite time are taken, the others passed over
 * @param seconds  (units) wall time of each
 */
eoc_status eoc_cost_fit(const eoc_grid *grid, const eoc_probe *probe, const int8_t *status, const double *seconds,
                        eoc_cost *cost);

void eoc_cost_clear(eoc_cost *cost);

#endif
