/* SPDX-License-Identifier: BSD-3-Clause */
/* What theory says of convolutions beyond other networks. Private to the room. */
#ifndef EOC_PREDICT_SPACE_H
#define EOC_PREDICT_SPACE_H

#include "eoc/record.h"
#include "eoc/spatial_theory.h"

/** Theory over space of points with the same maps; see eoc_prediction. */
typedef struct eoc_space_prediction eoc_space_prediction;

/** Whether the signals of such a network differ from position to position: edges, or images. */
bool eoc_prediction_differs_in_space(const eoc_probe *probe, const eoc_network *network);

/**
 * Where signals differ, their curves; else, for the statistic spatial, those of two positions, which are two inputs of
 * cosine 0. What is out of reach is not computed.
 *
 * @param variance, seen  of the inputs, as for theory without space
 */
eoc_status eoc_space_prediction_create(const eoc_probe *probe, const eoc_network *network, double variance,
                                       const eoc_theory_inputs *seen, int max_depth, eoc_space_prediction **prediction);
void eoc_space_prediction_destroy(eoc_space_prediction **prediction);

/**
 * The layers' rows and the Jacobian's moments where signals differ. NaN where their curves are out of reach.
 *
 * @return whether something is not known: EOC_THEORY_PARTIAL is to be set
 */
eoc_status eoc_space_prediction_fill(const eoc_space_prediction *prediction, const eoc_network *network,
                                     const eoc_layout *layout, eoc_curve_rows *rows, bool *partial);

/** The rows over space; `c` (num_layers) is the correlation of inputs 0 and 1 in the layers. */
eoc_status eoc_space_prediction_fill_space(const eoc_space_prediction *prediction, const eoc_network *network,
                                           const eoc_layout *layout, const double *c, eoc_point_record *record,
                                           bool *partial);

/** The averaging operator's modes at a point. */
void eoc_prediction_fill_modes(const eoc_network *network, const eoc_mean_field *point, const eoc_layout *layout,
                               eoc_point_record *record, bool *partial);

/**
 * log of how often a tap is looked through: sum_a,p of a weight gradient is over so many positions, whose gradients are
 * uncorrelated. 0 where a batch's normalization counts them as inputs.
 */
double eoc_prediction_log_uses(const eoc_network *network);

#endif
