/* SPDX-License-Identifier: BSD-3-Clause */
#include "part.h"

#include <stdio.h>
#include <string.h>

/* Digits alone, up to 9 of them; 0 where the text is anything else. */
static int whole_number(const char *text, size_t length)
{
    int value = 0;
    if (length == 0 || length > 9 || strspn(text, "0123456789") < length) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

eoc_cli_part eoc_cli_read_part(struct argp_state *state, const char *text)
{
    const char *slash = strchr(text, '/');
    eoc_cli_part part = {0};
    if (slash) {
        part = (eoc_cli_part){whole_number(text, (size_t)(slash - text)), whole_number(slash + 1, strlen(slash + 1))};
    }
    if (part.index < 1 || part.count < 1 || part.index > part.count) {
        argp_error(state, "--part: '%s' is not a part; accepted: I/N with I from 1 to N, such as 2/8", text);
    }
    return part;
}

bool eoc_cli_take_part(const eoc_cli_part *part, eoc_sweep *sweep, bool told)
{
    if (part->count == 0) {
        return true;
    }
    eoc_axis_id axis = EOC_AXIS_REPLICA;
    const bool taken = eoc_sweep_take_part(sweep, part->index, part->count, &axis) == EOC_OK;
    if (!taken && told) {
        fprintf(stderr, "eoc: %s\n", eoc_status_why());
    }
    return taken;
}

void eoc_cli_part_output(const eoc_cli_part *part, const char *whole, eoc_text *output)
{
    const char *slash = strrchr(whole, '/'), *dot = strrchr(whole, '.');
    const size_t length = dot && dot > (slash ? slash + 1 : whole) ? (size_t)(dot - whole) : strlen(whole);
    if (part->count == 0) {
        eoc_text_append(output, "%s", whole);
    } else {
        eoc_text_append(output, "%.*s.part%dof%d%s", (int)length, whole, part->index, part->count, whole + length);
    }
}
