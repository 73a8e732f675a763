/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void quote(eoc_text *out, const char *value)
{
    eoc_text_append(out, "\"");
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\') {
            eoc_text_append(out, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            eoc_text_append(out, "\\u%04x", (unsigned)(unsigned char)*c);
        } else {
            eoc_text_append(out, "%c", *c);
        }
    }
    eoc_text_append(out, "\"");
}

/* What stands before a value: the comma, and in an object the key. */
static void begin_value(json *j, const char *key)
{
    if (j->depth > 0) {
        eoc_text_append(&j->text, "%s", j->count[j->depth - 1]++ ? ", " : "");
    }
    if (key) {
        quote(&j->text, key);
        eoc_text_append(&j->text, ": ");
    }
}

void json_open(json *j, const char *key, char bracket)
{
    assert(j->depth < JSON_MAX_NESTING);
    begin_value(j, key);
    eoc_text_append(&j->text, "%c", bracket);
    j->count[j->depth++] = 0;
}

void json_close(json *j, char bracket)
{
    assert(j->depth > 0);
    j->depth--;
    eoc_text_append(&j->text, "%c", bracket);
}

void json_number(json *j, const char *key, double value)
{
    begin_value(j, key);
    if (!isfinite(value)) {
        eoc_text_append(&j->text, "null");
        return;
    }
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    eoc_text_append(&j->text, "%s", digits);
}

void json_integer(json *j, const char *key, long long value)
{
    begin_value(j, key);
    eoc_text_append(&j->text, "%lld", value);
}

void json_bool(json *j, const char *key, int value)
{
    begin_value(j, key);
    eoc_text_append(&j->text, "%s", value ? "true" : "false");
}

void json_text(json *j, const char *key, const char *value)
{
    begin_value(j, key);
    if (value) {
        quote(&j->text, value);
    } else {
        eoc_text_append(&j->text, "null");
    }
}

void json_print(json *j)
{
    assert(j->depth == 0);
    puts(j->text.data);
    eoc_text_clear(&j->text);
}
