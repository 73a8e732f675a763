/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_parts.h"

#include <string.h>

/* Opens the sections of `name` that `before` is not in already: one line each, deeper by two spaces. Returns the last
 * word. */
static const char *open_sections(const char *name, const char *before, int *indent, eoc_text *out)
{
    *indent = 0;
    const char *word = name;
    bool same = true;
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(word, '.')) {
        const size_t length = (size_t)(dot + 1 - name);
        same = same && strncmp(name, before, length) == 0;
        if (!same) {
            eoc_text_append(out, "%*s%.*s:\n", *indent, "", (int)(dot - word), word);
        }
        word = dot + 1;
        *indent += 2;
    }
    return word;
}

static bool is_shown(const eoc_key_row *key, const void *section, int identity_only)
{
    eoc_text why_not = {0};
    const bool is_read = !key->is_read || key->is_read(section, &why_not);
    eoc_text_clear(&why_not);
    /* A text that was left out is the one value without a spelling. */
    const bool is_absent = key->optional && !*(char *const *)(const void *)((const char *)section + key->offset);
    return is_read && !is_absent && (key->identity || !identity_only);
}

void eoc_config_resolved(const eoc_sweep *sweep, int identity_only, eoc_text *out)
{
    const char *before = "";
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const eoc_key_row *key = eoc_config_key_row(row);
        const void *section = eoc_config_const_section(row, sweep);
        if (!is_shown(key, section, identity_only)) {
            continue;
        }
        int indent = 0;
        const char *word = open_sections(key->name, before, &indent, out);
        eoc_text_append(out, "%*s%s: ", indent, "", word);
        key->type->spell(key, section, out);
        eoc_text_append(out, "\n");
        before = key->name;
    }
}
