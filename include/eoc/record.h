/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Records: what one unit and one point leave in the result file.
 *
 * A variable of the file is one row of the table in src/study/record.c: group, name, dimensions, type, units,
 * long_name. The store, the checksum and the tests walk the table; a record is one block of memory that holds a unit's
 * (or a point's) row of every variable, one after the other, with typed pointers into it.
 */
#ifndef EOC_RECORD_H
#define EOC_RECORD_H

#include "eoc/mean_field.h"
#include "eoc/probe.h"
#include "eoc/train.h"

#include <stddef.h>
#include <stdint.h>

/** Raised whenever the same sweep would give other bits. */
#define EOC_PHYSICS_VERSION 9

/** Of the file's layout: readers accept every minor version of their major one. */
#define EOC_SCHEMA_VERSION "1.0"

typedef enum { EOC_PER_UNIT, EOC_PER_POINT } eoc_record_scope; /* dimensions: grid, or grid without replica */

/** Dimensions that a variable may have beside those of its scope. */
typedef enum {
    EOC_SCALE_LAYER,
    EOC_SCALE_MODE,
    EOC_SCALE_LEARNING_RATE,
    EOC_SCALE_STEP,
    EOC_SCALE_INPUT,
    EOC_SCALE_OTHER_INPUT, /* the same points: a dimension twice in one variable has no labels in xarray */
    EOC_SCALE_LAG,
    EOC_SCALE_POSITION,     /* of the network with the most positions, row after row */
    EOC_SCALE_SPATIAL_MODE, /* its wave numbers in the same order */
    EOC_NUM_SCALES
} eoc_scale;

typedef enum {
    EOC_ALONG_NOTHING,
    EOC_ALONG_LAYER,
    EOC_ALONG_MODE,
    EOC_ALONG_LEARNING_RATE,
    EOC_ALONG_STEP,       /* learning_rate, step */
    EOC_ALONG_STEP_LAYER, /* learning_rate, step, layer */
    EOC_ALONG_INPUT,
    EOC_ALONG_INPUT_INPUT, /* input, other_input */
    EOC_ALONG_LAG,
    EOC_ALONG_LAYER_POSITION,     /* layer, position */
    EOC_ALONG_LAYER_SPATIAL_MODE, /* layer, spatial_mode */
    EOC_ALONG_SPATIAL_MODE,
} eoc_along;

enum { EOC_MAX_ALONG = 3 };

/** Fills the scales of `along`, outermost first, and returns how many. */
int eoc_along_scales(eoc_along along, eoc_scale scales[EOC_MAX_ALONG]);

typedef enum { EOC_TYPE_INT8, EOC_TYPE_INT32, EOC_TYPE_UINT16, EOC_TYPE_UINT32, EOC_TYPE_FLOAT64 } eoc_type;

size_t eoc_type_bytes(eoc_type type);

typedef struct {
    const char *group, *name;
    eoc_record_scope scope;
    eoc_along along; /* its last dimensions, beside those of its scope */
    eoc_type type;
    const char *units;
    const char *long_name;
    size_t field;        /* offset of its pointer in eoc_unit_record or eoc_point_record */
    unsigned statistics; /* in the file when one of these bits is asked for; 0: always */
    int fill;            /* of integers, where nothing was written; floating-point ones have NaN */
    int checked;         /* part of the unit's checksum: results, not how or when they were computed */
    /* CF flag_values or, for `masks`, flag_masks, with their meanings: name of flag i, NULL past the last. */
    const char *(*flag_name)(int i);
    int masks;
} eoc_variable;

int eoc_variable_count(void);
const eoc_variable *eoc_variable_row(int row);

/** The row of "run/status" and the like; NULL when there is none. */
const eoc_variable *eoc_variable_find(const char *group, const char *name);

/** Every pointer leads to one row of its variable, of eoc_layout_row_count values. NULL: not in the file. */
typedef struct {
    int8_t *status, *reason, *sampler;
    int32_t *last_layer, *rank, *attempts;
    double *seconds;
    uint32_t *checksum;
    eoc_probe_rows probe;
    eoc_train_rows train;
} eoc_unit_record;

typedef struct {
    double *effective_weight_variance, *input_variance;
    uint16_t *theory_status;
    double *q_star, *chi_1, *c_star, *xi_q, *xi_c, *chi_q, *chi_c, *mu_1, *mu_2;
    double *length_map_second_derivative, *manifold_curvature, *beta, *lambda_max, *log_lambda_max,
        *jacobian_variance_per_layer;
    double *log_q, *c, *one_minus_c, *log_gradient_q, *gradient_c, *log_weight_gradient_q;
    double *log_jacobian_m1, *log_jacobian_m2;
    double *gradient_correlation, *independent_gradient_correlation;
    double *averaging_eigenvalue, *xi_q_mode, *xi_c_mode;                  /* (spatial modes) */
    double *position_q, *position_c, *spatial_power, *spatial_correlation; /* (num_layers, num_positions) */
} eoc_point_record;

/** Which variables a file holds, and where each row lies in a record's block. */
typedef struct {
    int num_layers;
    int num_modes;
    int num_rates, num_steps;     /* 0: nothing is trained */
    int num_points, num_lags;     /* 0: nothing is measured along an interval */
    bool has_point_pairs;         /* whether other_input is a dimension */
    int num_positions;            /* 0: nothing is measured over space */
    int num_spatial_modes;        /* 0: no network has a space */
    double *points;               /* (num_points) */
    const int *layers;            /* (num_layers), borrowed */
    const double *learning_rates; /* (num_rates), borrowed */
    int *steps;                   /* (num_steps) */
    size_t *offset;               /* (eoc_variable_count) bytes from the start of a record of its scope */
    unsigned char *included;      /* (eoc_variable_count) */
    size_t unit_bytes, point_bytes;
} eoc_layout;

/** num_modes: values kept of the statistic spectrum; 0 where it is not asked for. */
eoc_status eoc_layout_create(unsigned statistics, const int *layers, int num_layers, int num_modes, eoc_layout *layout);
/** Adds what is measured along an interval, where the probe asks for that. */
eoc_status eoc_layout_add_points(const eoc_probe *probe, eoc_layout *layout);
/** Adds what is measured over space, where the probe asks for that, and what theory says of networks that have one. */
void eoc_layout_add_space(const eoc_probe *probe, eoc_layout *layout);
/** Adds the group `train`. */
eoc_status eoc_layout_add_training(const eoc_train *train, eoc_layout *layout);
void eoc_layout_clear(eoc_layout *layout);

/** Entries of a scale. */
size_t eoc_layout_scale_count(const eoc_layout *layout, eoc_scale scale);

/** Values in one row of a variable. */
size_t eoc_layout_row_count(const eoc_layout *layout, const eoc_variable *variable);

/** Sets every pointer of a record into `block`, (unit_bytes) or (point_bytes), aligned for doubles. */
void eoc_layout_unit(const eoc_layout *layout, void *block, eoc_unit_record *record);
void eoc_layout_point(const eoc_layout *layout, void *block, eoc_point_record *record);

/** |x|^2/N of the inputs at a point, their mean: the probe's variance, or the one at which q^1 = q_star (variance 1
 * where there is none), or that of the images as they are. */
eoc_status eoc_study_input_variance(const eoc_probe *probe, const eoc_network *network, double *variance);

/**
 * Theory of points that share activation, effective weight variance and bias variance: the maps are iterated once, to
 * max_depth, and give the rows of a network of any depth, width and initializer of that effective variance.
 */
typedef struct eoc_prediction eoc_prediction;

eoc_status eoc_prediction_create(const eoc_probe *probe, const eoc_network *network, int max_depth,
                                 eoc_prediction **prediction);
void eoc_prediction_destroy(eoc_prediction **prediction);

/** Fills a point's record. Everything that theory does not describe is NaN, with its flag. */
eoc_status eoc_prediction_fill(const eoc_prediction *prediction, const eoc_network *network, const eoc_layout *layout,
                               eoc_point_record *record);

#endif
