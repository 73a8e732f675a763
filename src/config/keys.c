/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole table of keys: this room's own rows, then those of the rooms that own a section. */
#include "config_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- text: title and output -- */

static bool is_utf8(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    while (*c) {
        const int extra = *c < 0x80                 ? 0
                          : *c >= 0xC2 && *c < 0xE0 ? 1
                          : *c >= 0xE0 && *c < 0xF0 ? 2
                          : *c >= 0xF0 && *c < 0xF5 ? 3
                                                    : -1;
        if (extra < 0) {
            return false;
        }
        for (int i = 1; i <= extra; i++) {
            if ((c[i] & 0xC0U) != 0x80U) {
                return false;
            }
        }
        /* Overlong forms, surrogates and what lies beyond Unicode. */
        if ((*c == 0xE0 && c[1] < 0xA0) || (*c == 0xED && c[1] >= 0xA0) || (*c == 0xF0 && c[1] < 0x90) ||
            (*c == 0xF4 && c[1] >= 0x90)) {
            return false;
        }
        c += 1 + extra;
    }
    return true;
}

static void text_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    char **field = (char **)((char *)section + row->offset);
    const char *text = given->texts[0];
    if (!is_utf8(text)) {
        given->mistake(given->context, 0, "not a text in UTF-8");
    } else if (row->optional && !*text) {
        given->mistake(given->context, 0, "an empty text; accepted: a text, or leave the key out");
    } else {
        free(*field);
        *field = eoc_text_copy(text, strlen(text));
    }
}

/* The code point at *c, which moves behind it; the text is known to be UTF-8. */
static unsigned next_code_point(const unsigned char **c)
{
    const unsigned first = *(*c)++;
    unsigned point = first < 0x80 ? first : first < 0xE0 ? first & 0x1FU : first < 0xF0 ? first & 0x0FU : first & 0x07U;
    while ((**c & 0xC0U) == 0x80U) {
        point = point << 6 | (*(*c)++ & 0x3FU);
    }
    return point;
}

/* What YAML would not read back as it stands inside double quotes. */
static bool needs_escape(unsigned point)
{
    const bool breaks_line = point == 0x85 || point == 0x2028 || point == 0x2029;
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || breaks_line || point == 0xFEFF || point == 0xFFFE ||
           point == 0xFFFF;
}

static void text_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    char *const *field = (char *const *)(const void *)((const char *)section + row->offset);
    const unsigned char *c = (const unsigned char *)(*field ? *field : "");
    eoc_text_append(out, "\"");
    while (*c) {
        const unsigned char *from = c;
        const unsigned point = next_code_point(&c);
        if (point == '"' || point == '\\') {
            eoc_text_append(out, "\\%c", (int)point);
        } else if (needs_escape(point)) {
            eoc_text_append(out, "\\u%04X", point);
        } else {
            eoc_text_append(out, "%.*s", (int)(c - from), (const char *)from);
        }
    }
    eoc_text_append(out, "\"");
}

static void text_accepts(const eoc_key_row *row, eoc_text *out)
{
    (void)row;
    eoc_text_append(out, "a text");
}

/* -- seed -- */

static const uint64_t MAX_SEED = INT64_MAX;

static bool to_seed(const char *text, uint64_t *seed)
{
    const char *digits = text + (*text == '+');
    const size_t length = strspn(digits, "0123456789");
    if (length > 0 && digits[length] == '\0') {
        uint64_t value = 0;
        for (; *digits; digits++) {
            const uint64_t digit = (uint64_t)(*digits - '0');
            if (value > (MAX_SEED - digit) / 10) {
                return false;
            }
            value = 10 * value + digit;
        }
        *seed = value;
        return true;
    }
    /* 1e6 is fine too, as far as a double holds every whole number. */
    double number = 0.0;
    if (!eoc_text_to_double(text, &number) || number < 0.0 || number > 9007199254740992.0 ||
        number != (double)(uint64_t)number) {
        return false;
    }
    *seed = (uint64_t)number;
    return true;
}

static void seed_accepts(const eoc_key_row *row, eoc_text *out)
{
    (void)row;
    eoc_text_append(out, "a whole number from 0 to %llu", (unsigned long long)MAX_SEED);
}

static void seed_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    uint64_t *seed = (uint64_t *)(void *)((char *)section + row->offset);
    if (!to_seed(given->texts[0], seed)) {
        eoc_text sentence = {0};
        eoc_text_append(&sentence, "'%.60s' is no seed; accepted: ", given->texts[0]);
        seed_accepts(row, &sentence);
        given->mistake(given->context, 0, sentence.data);
        eoc_text_clear(&sentence);
    }
}

static void seed_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const uint64_t *seed = (const uint64_t *)(const void *)((const char *)section + row->offset);
    eoc_text_append(out, "%llu", (unsigned long long)*seed);
}

/* -- the table -- */

static const eoc_key_type text_type = {
    .is_text = true, .read = text_read, .spell = text_spell, .accepts = text_accepts};
static const eoc_key_type seed_type = {.read = seed_read, .spell = seed_spell, .accepts = seed_accepts};

static const eoc_key_row own_keys[] = {
    {.name = "title",
     .type = &text_type,
     .offset = offsetof(eoc_sweep, title),
     .fallback = "",
     .help = "a line about the sweep, kept in the result file"},
    {.name = "seed",
     .type = &seed_type,
     .offset = offsetof(eoc_sweep, seed),
     .fallback = "1",
     .identity = true,
     .help = "what all random numbers are drawn from, together with each network's own parameters"},
    {.name = "output",
     .type = &text_type,
     .offset = offsetof(eoc_sweep, output),
     .optional = true,
     .help = "the result file; left out: the sweep file's name with .h5"},
};

static const eoc_key_row *own_key_rows(int *count)
{
    *count = (int)(sizeof own_keys / sizeof own_keys[0]);
    return own_keys;
}

static const struct {
    const eoc_key_row *(*rows)(int *count);
    size_t offset;
} groups[] = {
    {own_key_rows, 0},
    {eoc_grid_key_rows, offsetof(eoc_sweep, grid)},
    {eoc_probe_key_rows, offsetof(eoc_sweep, probe)},
    {eoc_train_key_rows, offsetof(eoc_sweep, train)},
};
enum { NUM_GROUPS = sizeof groups / sizeof groups[0] };

int eoc_config_key_count(void)
{
    int total = 0;
    for (int g = 0; g < NUM_GROUPS; g++) {
        int count = 0;
        groups[g].rows(&count);
        total += count;
    }
    return total;
}

static const eoc_key_row *row_and_offset(int row, size_t *offset)
{
    for (int g = 0; g < NUM_GROUPS; g++) {
        int count = 0;
        const eoc_key_row *rows = groups[g].rows(&count);
        if (row < count) {
            *offset = groups[g].offset;
            return &rows[row];
        }
        row -= count;
    }
    assert(!"row of no key");
    return NULL;
}

const eoc_key_row *eoc_config_key_row(int row)
{
    size_t offset = 0;
    return row_and_offset(row, &offset);
}

void *eoc_config_section(int row, eoc_sweep *sweep)
{
    size_t offset = 0;
    row_and_offset(row, &offset);
    return (char *)sweep + offset;
}

const void *eoc_config_const_section(int row, const eoc_sweep *sweep)
{
    size_t offset = 0;
    row_and_offset(row, &offset);
    return (const char *)sweep + offset;
}

/* -- finding -- */

bool eoc_config_is_under(const char *path, const char *section)
{
    const size_t length = strlen(section);
    return length == 0 || (strncmp(path, section, length) == 0 && (path[length] == '\0' || path[length] == '.'));
}

int eoc_config_find(const char *path)
{
    int found = EOC_NO_KEY;
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const char *name = eoc_config_key_row(row)->name;
        if (strcmp(name, path) == 0) {
            return row;
        }
        found = eoc_config_is_under(name, path) ? EOC_SECTION : found;
    }
    return found;
}

int eoc_config_shorthand(const char *section)
{
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const eoc_key_row *key = eoc_config_key_row(row);
        const char *dot = strrchr(key->name, '.');
        if (key->shorthand && dot && strlen(section) == (size_t)(dot - key->name) &&
            eoc_config_is_under(key->name, section)) {
            return row;
        }
    }
    return EOC_NO_KEY;
}

enum { MAX_PATHS = 64, MAX_PATH = 64 };

static int add_path(char paths[MAX_PATHS][MAX_PATH], int count, const char *path, int length)
{
    assert(length < MAX_PATH && count < MAX_PATHS);
    snprintf(paths[count], MAX_PATH, "%.*s", length, path);
    for (int i = 0; i < count; i++) {
        if (strcmp(paths[i], paths[count]) == 0) {
            return count;
        }
    }
    return count + 1;
}

/* Every key and every section, in full. */
static int all_paths(char paths[MAX_PATHS][MAX_PATH])
{
    int count = 0;
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const char *name = eoc_config_key_row(row)->name;
        for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
            count = add_path(paths, count, name, (int)(dot - name));
        }
        count = add_path(paths, count, name, (int)strlen(name));
    }
    return count;
}

static const char *last_word(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static bool same_section(const char *a, const char *b)
{
    const size_t length_a = (size_t)(last_word(a) - a), length_b = (size_t)(last_word(b) - b);
    return length_a == length_b && memcmp(a, b, length_a) == 0;
}

/* The path whose last word is nearest to that of `path`, among those of its section or of all; NULL when none is near.
 */
static const char *nearest_path(char paths[MAX_PATHS][MAX_PATH], int count, const char *path, bool in_section)
{
    const char *words[MAX_PATHS] = {NULL};
    int origin[MAX_PATHS], num_words = 0;
    for (int i = 0; i < count; i++) {
        if (!in_section || same_section(paths[i], path)) {
            origin[num_words] = i;
            words[num_words++] = last_word(paths[i]);
        }
    }
    const char *nearest = eoc_text_nearest(last_word(path), words, num_words);
    for (int i = 0; nearest && i < num_words; i++) {
        if (words[i] == nearest) {
            return paths[origin[i]];
        }
    }
    return NULL;
}

void eoc_config_unknown(const char *path, eoc_text *sentence)
{
    char paths[MAX_PATHS][MAX_PATH];
    const int count = all_paths(paths);
    const char *anywhere = nearest_path(paths, count, path, false);
    const char *here = nearest_path(paths, count, path, true);
    /* A key that is known by this very word, only not here, is what was meant. */
    const bool misplaced = anywhere && strcmp(last_word(anywhere), last_word(path)) == 0;
    const char *meant = misplaced || !here ? anywhere : here;
    if (meant) {
        eoc_text_append(sentence, "unknown key; did you mean %s?", meant);
        return;
    }
    eoc_text_append(sentence, "unknown key; known here:");
    for (int i = 0, num_known = 0; i < count; i++) {
        if (same_section(paths[i], path)) {
            eoc_text_append(sentence, "%s %s", num_known++ ? "," : "", last_word(paths[i]));
        }
    }
}

/* -- the listing -- */

void eoc_config_keys(eoc_text *out)
{
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const eoc_key_row *key = eoc_config_key_row(row);
        const char *fallback = key->fallback ? key->fallback : key->optional ? "none" : "must be given";
        eoc_text_append(out, "%s [%s]\n    %s\n    ", key->name, *fallback ? fallback : "\"\"", key->help);
        key->type->accepts(key, out);
        eoc_text_append(out, "\n");
    }
}
