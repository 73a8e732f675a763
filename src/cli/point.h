/* SPDX-License-Identifier: BSD-3-Clause */
/* What the subcommands about one point share: options checked as the keys of a sweep file. Private to this folder. */
#ifndef EOC_CLI_POINT_H
#define EOC_CLI_POINT_H

#include "options.h"

#include "eoc/sweep.h"

/**
 * A sweep of one point from its options, checked as the keys that they stand for; weight variance 1 where it is not
 * given. EOC_ERR_USAGE names the option.
 */
eoc_status eoc_cli_point_sweep(const eoc_cli_point *point, eoc_sweep *sweep);

/** "stable", "unstable", "half-stable" or "marginal". */
const char *eoc_cli_stability(double chi_q, bool half_stable);

#endif
