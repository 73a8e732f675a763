/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_parts.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest sentence, and longest part of a --set that is repeated. */
enum { MAX_SENTENCE = 1024, MAX_SET = 80 };

/* A mistake is one line, whatever the user's text holds. */
static void keep_one_line(char *line)
{
    for (; *line; line++) {
        if ((unsigned char)*line < ' ' || *line == 127) {
            *line = '?';
        }
    }
}

bool eoc_mistakes_add(eoc_mistakes *mistakes, eoc_place place, const char *key, const char *format, ...)
{
    if (mistakes->count == EOC_MAX_MISTAKES) {
        mistakes->more = true;
        return false;
    }
    char sentence[MAX_SENTENCE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);

    eoc_text line = {0};
    if (place.set >= 0) {
        const char *set = mistakes->sets[place.set];
        eoc_text_append(&line, "--set %.*s%s: ", MAX_SET, set, strlen(set) > MAX_SET ? "..." : "");
    } else if (strcmp(mistakes->path, "-") == 0) {
        eoc_text_append(&line, "--set: ");
    } else if (place.line == 0) {
        eoc_text_append(&line, "%s: ", mistakes->path);
    } else {
        eoc_text_append(&line, "%s:%d:%d: ", mistakes->path, place.line, place.column);
    }
    eoc_text_append(&line, "%s%s%s", key ? key : "", key ? ": " : "", sentence);
    keep_one_line(line.data);
    mistakes->kept[mistakes->count] = (eoc_mistake){place, mistakes->count, line.data};
    mistakes->count++;
    return true;
}

/* The file's come first, what is missing from it after what it holds, then the assignments in their order. */
static int by_place(const void *a, const void *b)
{
    const eoc_mistake *x = a, *y = b;
    const int line_x = x->place.line ? x->place.line : INT_MAX, line_y = y->place.line ? y->place.line : INT_MAX;
    const int order[][2] = {
        {x->place.set, y->place.set}, {line_x, line_y}, {x->place.column, y->place.column}, {x->order, y->order}};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (order[i][0] != order[i][1]) {
            return order[i][0] < order[i][1] ? -1 : 1;
        }
    }
    return 0;
}

void eoc_mistakes_print(eoc_mistakes *mistakes, eoc_text *out)
{
    qsort(mistakes->kept, (size_t)mistakes->count, sizeof mistakes->kept[0], by_place);
    for (int i = 0; i < mistakes->count; i++) {
        eoc_text_append(out, "%s%s", out->length ? "\n" : "", mistakes->kept[i].line);
        free(mistakes->kept[i].line);
    }
    if (mistakes->more) {
        eoc_text_append(out, "\n%s: there are more mistakes; these %d come first",
                        strcmp(mistakes->path, "-") == 0 ? "--set" : mistakes->path, EOC_MAX_MISTAKES);
    }
    mistakes->count = 0;
    mistakes->more = false;
}
