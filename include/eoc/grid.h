/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The grid: eight axes, and the points of their product. Pure: no files, no YAML, no MPI.
 *
 * Axis order is part of the result file: architecture, activation, initializer, width, depth, weight_variance,
 * bias_variance, replica; the last varies fastest. A point is the first seven, a unit (one network) all eight.
 */
#ifndef EOC_GRID_H
#define EOC_GRID_H

#include "eoc/architecture.h"
#include "eoc/status.h"

#include <stdint.h>

typedef enum {
    EOC_AXIS_ARCHITECTURE,
    EOC_AXIS_ACTIVATION,
    EOC_AXIS_INITIALIZER,
    EOC_AXIS_WIDTH,
    EOC_AXIS_DEPTH,
    EOC_AXIS_WEIGHT_VARIANCE,
    EOC_AXIS_BIAS_VARIANCE,
    EOC_AXIS_REPLICA,
    EOC_NUM_AXES
} eoc_axis_id;

typedef enum { EOC_AXIS_KIND, EOC_AXIS_INTEGER, EOC_AXIS_NUMBER } eoc_axis_type;

/** What an axis may hold: one row of the table in src/grid/axis.c each, in the order of eoc_axis_id. */
typedef struct {
    const char *name;
    const char *units;
    const char *long_name;
    eoc_axis_type type;
    double min, max;                      /* of numbers and integers, both included */
    const eoc_kind_table *(*kinds)(void); /* of name axes */
    const char *fallback;                 /* the default as a user would write it; NULL: must be given */
    const char *help;
} eoc_axis_row;

const eoc_axis_row *eoc_axis_row_of(eoc_axis_id id);

/** The values of one axis, in the user's order, without duplicates. */
typedef struct {
    int count;
    double *values; /* (count) numbers, each fixed by eoc_text_round; NULL on a name axis */
    char **names;   /* (count) canonical spellings; NULL on a number axis */
} eoc_axis;

typedef struct {
    eoc_axis axes[EOC_NUM_AXES];
} eoc_grid;

/** Longest axis accepted: a generator that asks for more is refused before any memory is taken. */
enum { EOC_MAX_AXIS_COUNT = 10000000 };

/**
 * Takes over nothing; adds a copy of a value or name. EOC_ERR_USAGE when it is out of range or unknown. Whether it is
 * there already is for eoc_axis_check_duplicates, once all are added: looking at every addition would be quadratic.
 */
eoc_status eoc_axis_add_value(eoc_axis *axis, eoc_axis_id id, double value);
eoc_status eoc_axis_add_name(eoc_axis *axis, eoc_axis_id id, const char *name);

/** EOC_ERR_USAGE naming the first value that is there twice; `which` is then the index of its second place. */
eoc_status eoc_axis_check_duplicates(const eoc_axis *axis, int *which);

void eoc_axis_clear(eoc_axis *axis);
void eoc_grid_clear(eoc_grid *grid);

/** Number of units (all eight axes) and of points (without replica), as doubles: a product may pass 2^63. */
double eoc_grid_num_units(const eoc_grid *grid);
double eoc_grid_num_points(const eoc_grid *grid);

/** The indices of unit `unit` on the eight axes, and back. */
void eoc_grid_indices(const eoc_grid *grid, int64_t unit, int indices[EOC_NUM_AXES]);
int64_t eoc_grid_unit(const eoc_grid *grid, const int indices[EOC_NUM_AXES]);

/** A unit with its kinds looked up: the network, drawn from the key of `seed` and its own parameters. */
typedef struct {
    int64_t unit;
    int64_t point; /* unit without its replica */
    int indices[EOC_NUM_AXES];
    eoc_network network;
    int replica;
} eoc_unit;

/** `unit` must be in range; the grid's names are known to be good, so this cannot fail. */
eoc_unit eoc_grid_get(const eoc_grid *grid, uint64_t seed, int64_t unit);

/**
 * The text whose hash is a unit's key: seed, then every axis by name and canonical value, such as
 * "seed=1 architecture=fully_connected ... replica=0". Never an index: a larger grid holds the same networks.
 * Returns `out`.
 */
enum { EOC_UNIT_TEXT_BYTES = 1280 };
const char *eoc_grid_unit_text(const eoc_grid *grid, uint64_t seed, int64_t unit, char out[EOC_UNIT_TEXT_BYTES]);

#endif
