/* SPDX-License-Identifier: BSD-3-Clause */
/* --part I/N: a share of a sweep, in a file of its own. Private to this folder. */
#ifndef EOC_CLI_PART_H
#define EOC_CLI_PART_H

#include "eoc/sweep.h"

#include <argp.h>

/* All zero: the whole. */
typedef struct {
    int index, count;
} eoc_cli_part;

#define EOC_CLI_PART_TEXT                                                                                            \
    "part I of N: every N-th value of the grid's longest axis, to FILE.partIofN.h5, which eoc merge joins with the " \
    "others"

eoc_cli_part eoc_cli_read_part(struct argp_state *state, const char *text);

/** Leaves the part of the sweep. False where it has too few values to be cut, which it says where `told`. */
bool eoc_cli_take_part(const eoc_cli_part *part, eoc_sweep *sweep, bool told);

/** "FILE.part2of8.h5" of "FILE.h5"; the name itself for the whole. */
void eoc_cli_part_output(const eoc_cli_part *part, const char *whole, eoc_text *output);

#endif
