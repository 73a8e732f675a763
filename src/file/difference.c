/* SPDX-License-Identifier: BSD-3-Clause */
#include "difference.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NESTING = 8, MAX_NAME = 64, SHOWN = 60, BEFORE = 15 };

/* Where a walk through a resolved sweep stands: sections are lines that end with their colon, two spaces a level. */
typedef struct {
    const char *rest;
    char sections[MAX_NESTING][MAX_NAME];
    char key[MAX_NESTING * MAX_NAME]; /* "grid.width" */
    const char *value;
    int length; /* of the value */
} walk;

static bool next_key(walk *w)
{
    while (*w->rest) {
        const char *line = w->rest;
        const size_t end = strcspn(line, "\n"), indent = strspn(line, " "), level = indent / 2;
        const size_t colon = strcspn(line, ":\n");
        w->rest += end + (line[end] == '\n');
        if (level >= MAX_NESTING || line[colon] != ':' || colon < indent) {
            continue;
        }
        snprintf(w->sections[level], MAX_NAME, "%.*s", (int)(colon - indent), line + indent);
        if (colon + 1 < end) {
            size_t length = 0;
            for (size_t i = 0; i <= level; i++) {
                length +=
                    (size_t)snprintf(w->key + length, sizeof w->key - length, "%s%s", i ? "." : "", w->sections[i]);
            }
            w->value = line + colon + 1 + strspn(line + colon + 1, " ");
            w->length = (int)(line + end - w->value);
            return true;
        }
    }
    return false;
}

static bool find_key(const char *text, const char *key, walk *w)
{
    *w = (walk){.rest = text};
    while (next_key(w)) {
        if (strcmp(w->key, key) == 0) {
            return true;
        }
    }
    return false;
}

/* A value, or the part of a long one that begins a little before `from`. */
static void append_value(eoc_text *out, const walk *w, int from)
{
    const int begin = w->length <= SHOWN || from <= BEFORE ? 0 : from - BEFORE;
    const int left = w->length - begin, shown = left < SHOWN ? left : SHOWN;
    eoc_text_append(out, "%s%.*s%s", begin ? "..." : "", shown, w->value + begin, shown < left ? "..." : "");
}

void eoc_sweep_difference(const char *there, const char *here, eoc_text *out)
{
    walk mine = {.rest = here}, other;
    while (next_key(&mine)) {
        if (!find_key(there, mine.key, &other)) {
            eoc_text_append(out, "%s is not there and ", mine.key);
            append_value(out, &mine, 0);
            eoc_text_append(out, " here");
            return;
        }
        int same = 0;
        while (same < mine.length && same < other.length && mine.value[same] == other.value[same]) {
            same++;
        }
        if (same < mine.length || same < other.length) {
            eoc_text_append(out, "%s is ", mine.key);
            append_value(out, &other, same);
            eoc_text_append(out, " there and ");
            append_value(out, &mine, same);
            eoc_text_append(out, " here");
            return;
        }
    }
    other = (walk){.rest = there};
    while (next_key(&other)) {
        if (!find_key(here, other.key, &mine)) {
            eoc_text_append(out, "%s is ", other.key);
            append_value(out, &other, 0);
            eoc_text_append(out, " there and not given here");
            return;
        }
    }
    eoc_text_append(out, "their keys come in another order");
}
