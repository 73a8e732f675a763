/* SPDX-License-Identifier: BSD-3-Clause */
/* One JSON text, written from the front. Private to this folder. */
#ifndef EOC_CLI_JSON_H
#define EOC_CLI_JSON_H

#include "eoc/text.h"

enum { JSON_MAX_NESTING = 8 };

/** Start from {0}; `key` is NULL inside an array and at the top. */
typedef struct {
    eoc_text text;
    int depth;
    int count[JSON_MAX_NESTING]; /* members so far, of every open object or array */
} json;

void json_open(json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(json *j, char bracket);                 /* '}' or ']' */

/** The shortest digits that read back as `value`; NaN and infinities are null. */
void json_number(json *j, const char *key, double value);
void json_integer(json *j, const char *key, long long value);
void json_bool(json *j, const char *key, int value);
void json_text(json *j, const char *key, const char *value); /* NULL: null */

/** Prints the text and a line end, and frees it. */
void json_print(json *j);

#endif
