/* SPDX-License-Identifier: BSD-3-Clause */
/* The subcommands. One file each; main.c has the table. Private to this folder. */
#ifndef EOC_CLI_H
#define EOC_CLI_H

#include "eoc/status.h"

enum { EXIT_DONE = 0, EXIT_OTHER = 1, EXIT_USAGE = 2, EXIT_SOME_FAILED = 3, EXIT_UNITS_LEFT = 75 };

/** What the shell is told of a status. */
int eoc_cli_exit_code(eoc_status status);

/** argv[0] is "eoc NAME", for messages. */
typedef int eoc_command_function(int argc, char **argv);

eoc_command_function eoc_cli_run, eoc_cli_merge, eoc_cli_plan, eoc_cli_status, eoc_cli_theory, eoc_cli_critical,
    eoc_cli_advise, eoc_cli_list;

/** This process's rank as its launcher (mpirun, srun) tells it in the environment, before MPI is there; 0 without one.
 */
int eoc_cli_launched_rank(void);

/** "eoc 0.1.0 (commit)" */
const char *eoc_cli_program(void);

#endif
