/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What the files of this room share: a YAML document as a tree, the mistakes found so far, and the entries of a sweep,
 * which are the texts that a user gave for each key of the table with the places where they stand.
 */
#ifndef EOC_CONFIG_PARTS_H
#define EOC_CONFIG_PARTS_H

#include "eoc/sweep.h"

/* -- mistakes.c -- */

enum { EOC_MAX_MISTAKES = 100 };

/** Where something stands: in the sweep file (set < 0) or in a --set. Line and column from 1; line 0: nowhere in
 * particular. */
typedef struct {
    int set;
    int line, column;
} eoc_place;

typedef struct {
    eoc_place place;
    int order; /* in which they were found */
    char *line;
} eoc_mistake;

typedef struct {
    const char *path; /* of the sweep file, or "-" */
    const char *const *sets;
    int count;
    bool more; /* some were not kept */
    eoc_mistake kept[EOC_MAX_MISTAKES];
} eoc_mistakes;

/** Notes "place: key: sentence"; key may be NULL. False when it was one too many: looking for further ones is of no
 * use. */
bool eoc_mistakes_add(eoc_mistakes *mistakes, eoc_place place, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Moves all to `out`, in the order of their places, one a line. */
void eoc_mistakes_print(eoc_mistakes *mistakes, eoc_text *out);

/* -- yaml.c -- */

typedef enum { EOC_NODE_SCALAR, EOC_NODE_LIST, EOC_NODE_MAPPING, EOC_NODE_ALIAS } eoc_node_kind;

/** A node of a document; others are named by their index, -1 for none. */
typedef struct {
    eoc_node_kind kind;
    bool plain; /* a scalar without quotes */
    bool flow;  /* a list or mapping in brackets */
    int line, column;
    int first;  /* first child (of a mapping key, value, key, value ...), or what an alias stands for */
    int next;   /* next sibling */
    char *text; /* of a scalar */
} eoc_node;

typedef struct {
    eoc_node *nodes; /* the root is node 0 */
    int count, capacity;
} eoc_document;

/**
 * Reads one YAML document. Kinds and generators that YAML split at their commas, as in [linspace(0, 1, 3)], are one
 * scalar again. On failure *line and *column say where (line 0: nowhere in particular), and eoc_status_why() what is
 * wrong.
 */
eoc_status eoc_document_parse(const char *bytes, size_t num_bytes, eoc_document *document, int *line, int *column);
void eoc_document_clear(eoc_document *document);

/** The node behind an alias, or `node` itself. */
int eoc_document_target(const eoc_document *document, int node);

/** Whether a scalar is YAML's way of saying nothing. */
bool eoc_document_is_null(const eoc_node *node);

/* -- keys.c -- */

enum { EOC_NO_KEY = -1, EOC_SECTION = -2 };

/** The section's struct within the sweep that a row of the table counts from. */
void *eoc_config_section(int row, eoc_sweep *sweep);
const void *eoc_config_const_section(int row, const eoc_sweep *sweep);

/** The row named `path`, EOC_SECTION when rows lie under it ("" included), else EOC_NO_KEY. */
int eoc_config_find(const char *path);

/** Whether `path` is `section` or lies under it. */
bool eoc_config_is_under(const char *path, const char *section);

/** The row that a bare word at `section` stands for, or EOC_NO_KEY. */
int eoc_config_shorthand(const char *section);

/** Appends "unknown key" with the nearest known one, or those known in the section. */
void eoc_config_unknown(const char *path, eoc_text *sentence);

/* -- entries.c -- */

/** What was given for one key. */
typedef struct {
    bool named;  /* its section was written, if only as {} */
    bool given;  /* at all, right or wrong */
    bool usable; /* has texts */
    bool is_list;
    eoc_place place; /* of the key */
    int count;
    char **texts;
    eoc_place *places; /* (count) */
} eoc_entry;

void eoc_entry_clear(eoc_entry *entry);

/** The texts of "a", "a, b" or "[a, b]"; a comma in parentheses or brackets separates nothing. */
void eoc_entry_split(eoc_entry *entry, const char *text, bool takes_list, eoc_place place);

/** Fills entries (one a row of the table) from a document; `set` is the --set it comes from, or -1; `prefix` the key it
 * stands for. */
void eoc_entries_from_document(eoc_entry *entries, eoc_mistakes *mistakes, const eoc_document *document,
                               const char *prefix, int num_sets, int set);

/** The same from every --set. */
void eoc_entries_from_sets(eoc_entry *entries, eoc_mistakes *mistakes, int num_sets);

#endif
