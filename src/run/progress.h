/* SPDX-License-Identifier: BSD-3-Clause */
/* What rank 0 shows on stderr while a run goes on. Private to this folder. */
#ifndef EOC_RUN_PROGRESS_H
#define EOC_RUN_PROGRESS_H

#include "handout.h"

/** All zero: nothing is shown. */
typedef struct {
    bool shown, terminal;
    double begun, last_shown; /* eoc_clock */
    int64_t num_pending;
    double seconds;  /* predicted, of all */
    int line_length; /* of the terminal line as it stands */
} eoc_progress;

void eoc_progress_begin(eoc_progress *p, int64_t num_pending, double seconds);

/** Shows the line when its time has come. */
void eoc_progress_tick(eoc_progress *p, const eoc_handout *handout);

/** Ends the terminal line. */
void eoc_progress_end(eoc_progress *p, const eoc_handout *handout);

#endif
