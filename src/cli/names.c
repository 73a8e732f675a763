/* SPDX-License-Identifier: BSD-3-Clause */
#include "names.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void eoc_cli_default_output(const char *path, const char *extension, eoc_text *out)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    const size_t length = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    eoc_text_append(out, "%.*s%s", (int)length, name, extension);
}

bool eoc_cli_is_sweep_file(const char *path, const char *output, bool told)
{
    struct stat a, b;
    const bool same = stat(path, &a) == 0 && stat(output, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    if (same && told) {
        fprintf(stderr, "eoc: %s is the sweep file itself; name another result file with -o\n", output);
    }
    return same;
}

void eoc_cli_command_line(int argc, char **argv, eoc_text *out)
{
    for (int i = 0; i < argc; i++) {
        /* The first word is "eoc run", two words of a shell. */
        const char *quote = i > 0 && strpbrk(argv[i], " '\"()[]{},*?$;&|<>") ? "'" : "";
        eoc_text_append(out, "%s%s%s%s", i ? " " : "", quote, argv[i], quote);
    }
}
