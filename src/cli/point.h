/* SPDX-License-Identifier: BSD-3-Clause */
/* What the subcommands about one point share: options checked as the keys of a sweep file. Private to this folder. */
#ifndef EOC_CLI_POINT_H
#define EOC_CLI_POINT_H

#include "eoc/sweep.h"

/**
 * A sweep of one point from options: texts[i] is the value of keys[i], or NULL for its default. The option is named as
 * the key's last word with '-' for '_' ("--weight-variance"; "--input-variance" for the inputs'), and so is it in the
 * sentence of EOC_ERR_USAGE.
 */
eoc_status eoc_cli_point_sweep(const char *const *keys, const char *const *texts, int count, eoc_sweep *sweep);

/** The option that stands for a key, such as "--weight-variance". Returns `out`. */
enum { EOC_CLI_OPTION_BYTES = 64 };
const char *eoc_cli_option(const char *key, char out[EOC_CLI_OPTION_BYTES]);

/** "stable", "unstable", "half-stable" or "marginal". */
const char *eoc_cli_stability(double chi_q, bool half_stable);

#endif
