/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Losses: one row of the table in src/study/loss.c each. A loss of a batch is the mean over its samples.
 */
#ifndef EOC_LOSS_H
#define EOC_LOSS_H

#include "eoc/status.h"

#include <stdbool.h>

typedef struct {
    const char *name;
    const char *formula;
    const char *source;
    bool needs_labels; /* the target is a class */
    /** The loss of one sample with outputs y (outputs) and target t (outputs); dy: its derivative by y, may be y. */
    double (*of_sample)(const double *y, const double *target, int outputs, double *dy);
} eoc_loss_kind;

int eoc_loss_count(void);
const eoc_loss_kind *eoc_loss_row(int row);

#endif
