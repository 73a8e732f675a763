/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * How alike the gradients of two inputs are in relu networks, from the gates that they have in common.
 *
 * Balduzzi et al. 2017 take the gates of two inputs as independent in every layer; in mean field the gates are as alike
 * as the inputs still are there: the fraction 1 - theta^l/pi agrees, cos theta^l = c^l (Cho & Saul 2009). Where c^l
 * goes to 1 the correlation falls as a power of depth instead of exponentially; behind a normalization over a batch of
 * independent inputs, which keeps c^l at 0, the gates are independent indeed.
 */
#ifndef EOC_GATES_H
#define EOC_GATES_H

#include "eoc/probe.h"

/**
 * Mean over the pairs of a probe's inputs of the cosine of dy/dz^1, y = v.h^L, in mean field: of relu networks without
 * dropout and layer normalization, fully connected or residual of the form pre_activation. Else NaN.
 *
 * With a batch's normalization, its means held: of independent inputs (kind gaussian), at least 4.
 *
 * @param variance  |x|^2/N of the inputs, their mean; an interval has its own
 * @return EOC_ERR_NOMEM only
 *
 * Cost: some 50 ns a pair and layer; an interval of K points has K^2/2 pairs.
 * Accuracy: the digits given in tests/unit/test_gates.c; 1e-9 against theory/gradient_c.
 */
eoc_status eoc_gates_correlation(const eoc_network *network, const eoc_inputs *inputs, double variance,
                                 double *correlation);

/**
 * The estimate of the paper for gates that are independent in every layer: 1/2^L, residual (3/4)^(L-1) at weight
 * variance 2, behind a batch's normalization 1/sqrt(L). NaN where eoc_gates_correlation is, but for the inputs.
 */
double eoc_gates_independent_correlation(const eoc_network *network);

#endif
