/* SPDX-License-Identifier: BSD-3-Clause */
/* Times and sizes as people read them. Private to this folder. */
#ifndef EOC_CLI_UNITS_H
#define EOC_CLI_UNITS_H

enum { EOC_CLI_TIME_BYTES = 32, EOC_CLI_SIZE_BYTES = 32 };

/** "0.31 s", "42 s", "12 min 5 s", "3 h 20 min", "2 d 4 h". Returns `out`. */
const char *eoc_cli_time(double seconds, char out[EOC_CLI_TIME_BYTES]);

/** As --time of Slurm takes it: "H:MM:SS", with days "D-HH:MM:SS". Returns `out`. */
const char *eoc_cli_slurm_time(double seconds, char out[EOC_CLI_TIME_BYTES]);

/** "1.5 MB". Returns `out`. */
const char *eoc_cli_size(double bytes, char out[EOC_CLI_SIZE_BYTES]);

#endif
