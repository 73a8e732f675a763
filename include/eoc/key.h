/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Keys of a sweep file: what may be written, what it means when it is not written, and how it is read and spelled.
 *
 * Each room owns the rows of its own section (grid: src/grid/grid_keys.c, probe: src/study/probe_keys.c); src/config
 * walks them. Rows see texts, never YAML: where a text stood in a file is known to the caller alone.
 */
#ifndef EOC_KEY_H
#define EOC_KEY_H

#include "eoc/text.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct eoc_key_row eoc_key_row;

/** What a user wrote for one key. Borrowed; not retained. */
typedef struct {
    int count; /* at least 1 */
    const char *const *texts;
    bool is_list; /* written as a list, be it of one */
    /** Called for each mistake: the text it is about, and a sentence. False: no more are wanted, give up. */
    bool (*mistake)(void *context, int item, const char *sentence);
    void *context;
} eoc_key_values;

/** How keys of one sort are read and spelled. `section` is the struct that the row's offset counts from. */
typedef struct {
    bool takes_list;
    bool is_text; /* free text: taken as it stands, quoted when spelled */
    void (*read)(const eoc_key_row *row, const eoc_key_values *given, void *section);
    /** Appends the value as a sweep file would hold it, in one line. */
    void (*spell)(const eoc_key_row *row, const void *section, eoc_text *out);
    /** Appends what would be accepted, such as "a number from 0 to 1". */
    void (*accepts)(const eoc_key_row *row, eoc_text *out);
} eoc_key_type;

struct eoc_key_row {
    const char *name; /* in full: "probe.inputs.kind" */
    const eoc_key_type *type;
    size_t offset;        /* of the field in the section's struct */
    double min, max;      /* of numbers, both included */
    const char *fallback; /* the default as a user would write it; NULL: none */
    bool optional;        /* without a default, and may still be left out */
    bool identity;        /* changes some number of the result */
    bool shorthand;       /* a bare word for the whole section stands for this key */
    /** Whether the sweep as it is reads this key; NULL: always. `why_not` is appended to when it does not. */
    bool (*is_read)(const void *section, eoc_text *why_not);
    const char *help;
};

/** The keys of the section `grid`, for an eoc_grid: one an axis, in their order. */
const eoc_key_row *eoc_grid_key_rows(int *count);

/** The keys of the section `probe`, for an eoc_probe. */
const eoc_key_row *eoc_probe_key_rows(int *count);

#endif
