/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of eoc advise whose layers are more than W, b and phi: what goes deep where no initializer alone does. */
#ifndef EOC_STUDY_ADVISE_LAYERS_H
#define EOC_STUDY_ADVISE_LAYERS_H

#include "eoc/advise.h"

/* Rows for an activation; at most EOC_MAX_ADVICE_LAYERS. */
enum { EOC_MAX_ADVICE_LAYERS = 3 };

/*
 * Residual layers and batch normalization, with gaussian weights of the advised variance where there is one and of 1
 * where not, and for relu looks-linear ones. Theory's numbers of each, all but signal_depth, gradient_depth and the
 * verdict; NaN where it has none. *count is how many.
 */
eoc_status eoc_advise_layers(const eoc_activation *act, const eoc_advice *a, eoc_advice_row *rows, int *count);

/* Appends the lines of PyTorch of such a row; false of any other row. */
bool eoc_advise_layers_torch(const eoc_advice_row *row, eoc_text *out);

#endif
