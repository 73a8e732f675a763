/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of files and the command line as text, for the subcommands that write a file. Private to this folder. */
#ifndef EOC_CLI_NAMES_H
#define EOC_CLI_NAMES_H

#include "eoc/text.h"

#include <stdbool.h>

/** The sweep file's name with `extension` (".h5") for its own, in the current directory. */
void eoc_cli_default_output(const char *path, const char *extension, eoc_text *out);

/** Whether `output` is the sweep file itself: --overwrite would take it. Tells the user so when it is. */
bool eoc_cli_is_sweep_file(const char *path, const char *output, bool told);

/** The command line in one text, quoted where a shell would need it. */
void eoc_cli_command_line(int argc, char **argv, eoc_text *out);

#endif
