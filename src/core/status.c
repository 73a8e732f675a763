/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/status.h"

#include <stdarg.h>
#include <stdio.h>

static char why[1024];

eoc_status eoc_status_fail(eoc_status code, const char *format, ...)
{
    /* The arguments may point into the last sentence: write the new one beside it first. */
    char sentence[sizeof why];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    snprintf(why, sizeof why, "%s", sentence);
    return code;
}

const char *eoc_status_why(void)
{
    return why;
}
