/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tangent kernel reads of the curves, layer by layer and to the last digits. */
#ifndef EOC_THEORY_CURVES_H
#define EOC_THEORY_CURVES_H

#include "eoc/mean_field.h"

/* As eoc_curves_create, with the slope gaps below. */
eoc_status eoc_curves_create_with_gaps(const eoc_activation *act, double sigma_w2, double sigma_b2,
                                       const eoc_theory_inputs *inputs, int max_depth, eoc_curves **curves);

/* sigma_w2 mu_1(q^(l-1)) q^(l-1)/q^l of one input, l >= 2; never through a difference of large logarithms. */
double eoc_curves_share(const eoc_curves *curves, int variance, int layer);

/* 1 - E[dphi dphi]/sqrt(mu_1 mu_1) of a pair at layer l. */
double eoc_curves_slope_gap(const eoc_curves *curves, int pair, int layer);

#endif
