/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/text.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void grow(eoc_text *text, size_t needed)
{
    if (needed <= text->capacity) {
        return;
    }
    size_t capacity = text->capacity ? text->capacity : 128;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = realloc(text->data, capacity);
    if (!data) {
        abort();
    }
    text->data = data;
    text->capacity = capacity;
}

void eoc_text_append(eoc_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0) {
        grow(text, text->length + (size_t)length + 1);
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void eoc_text_clear(eoc_text *text)
{
    free(text->data);
    *text = (eoc_text){0};
}

char *eoc_text_copy(const char *source, size_t length)
{
    const size_t kept = strnlen(source, length);
    char *copy = malloc(kept + 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, source, kept);
    copy[kept] = '\0';
    return copy;
}

double eoc_text_round(double value)
{
    char digits[EOC_NUMBER_BYTES];
    snprintf(digits, sizeof digits, "%.12g", value);
    return strtod(digits, NULL) + 0.0; /* -0 + 0 is 0 */
}

const char *eoc_text_number(double value, char out[EOC_NUMBER_BYTES])
{
    snprintf(out, EOC_NUMBER_BYTES, "%.12g", value + 0.0); /* the same digits as of the rounded value; -0 is 0 */
    return out;
}

bool eoc_text_to_double(const char *text, double *value)
{
    /* strtod also reads hexadecimal, "inf" and "nan"; a decimal number starts with a digit, a point or a sign. */
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)digits[0]) && digits[0] != '.') {
        return false;
    }
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
        return false;
    }
    char *end = NULL;
    const double parsed = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(parsed)) {
        return false;
    }
    *value = parsed;
    return true;
}

static char folded(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

enum { MAX_NAME = 64 };

/* Edit distance with exchanges of neighbours (optimal string alignment); names longer than MAX_NAME never match. */
static int edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    if (n > MAX_NAME || m > MAX_NAME) {
        return MAX_NAME;
    }
    int rows[3][MAX_NAME + 1];
    int *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++) {
        last[j] = (int)j;
    }
    for (size_t i = 1; i <= n; i++) {
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            const char x = folded(a[i - 1]), y = folded(b[j - 1]);
            int best = last[j - 1] + (x != y);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            const int exchanged = i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]);
            if (exchanged && before[j - 2] + 1 < best) {
                best = before[j - 2] + 1;
            }
            now[j] = best;
        }
        int *const free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

const char *eoc_text_nearest(const char *word, const char *const *names, int count)
{
    const char *nearest = NULL;
    int best = MAX_NAME;
    for (int i = 0; i < count; i++) {
        const int distance = edit_distance(word, names[i]);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    const int allowed = 1 + (int)strlen(word) / 3;
    return nearest && best <= allowed ? nearest : NULL;
}
