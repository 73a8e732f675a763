/* SPDX-License-Identifier: BSD-3-Clause */
/* From documents and --set to entries: which texts were given for which key, and where they stand. */
#include "config_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest path that is looked up or shown; sections are at most this many levels and keys deep. */
enum { MAX_PATH = 160, MAX_SEEN = 64 };

typedef struct {
    eoc_entry *entries;
    eoc_mistakes *mistakes;
    const eoc_document *document;
    int set, num_sets;
    int num_seen;
    char seen[MAX_SEEN][MAX_PATH]; /* known keys and sections of this document: to find those given twice */
} walker;

/* -- entries -- */

void eoc_entry_clear(eoc_entry *entry)
{
    for (int i = 0; i < entry->count; i++) {
        free(entry->texts[i]);
    }
    free(entry->texts);
    free(entry->places);
    *entry = (eoc_entry){.named = entry->named};
}

static void make_room(eoc_entry *entry, int count)
{
    entry->texts = calloc((size_t)count, sizeof *entry->texts);
    entry->places = calloc((size_t)count, sizeof *entry->places);
    if (!entry->texts || !entry->places) {
        abort();
    }
}

static void add_text(eoc_entry *entry, const char *text, size_t length, eoc_place place)
{
    entry->texts[entry->count] = eoc_text_copy(text, length);
    entry->places[entry->count++] = place;
}

/* The end of the item that starts at `from`: the next comma outside parentheses and brackets, or `to`. */
static const char *end_of_item(const char *from, const char *to)
{
    int depth = 0;
    while (from < to && (depth > 0 || *from != ',')) {
        depth += (*from == '(' || *from == '[') - (*from == ')' || *from == ']');
        from++;
    }
    return from;
}

static void trim(const char **from, const char **to)
{
    while (*from < *to && isspace((unsigned char)**from)) {
        ++*from;
    }
    while (*to > *from && isspace((unsigned char)(*to)[-1])) {
        --*to;
    }
}

static void add_trimmed(eoc_entry *entry, const char *from, const char *to, eoc_place place)
{
    trim(&from, &to);
    const bool quoted = to - from >= 2 && (*from == '"' || *from == '\'') && to[-1] == *from;
    add_text(entry, from + quoted, (size_t)(to - from) - (quoted ? 2U : 0U), place);
}

void eoc_entry_split(eoc_entry *entry, const char *text, bool takes_list, eoc_place place)
{
    const char *from = text, *to = text + strlen(text);
    trim(&from, &to);
    const bool in_brackets = takes_list && to - from >= 2 && *from == '[' && to[-1] == ']';
    from += in_brackets;
    to -= in_brackets;
    int count = 1;
    for (const char *end = end_of_item(from, to); takes_list && end < to; end = end_of_item(end + 1, to)) {
        count++;
    }
    make_room(entry, count);
    entry->is_list = in_brackets || count > 1;
    trim(&from, &to);
    const bool is_empty = in_brackets && from == to;
    for (int i = 0; i < count && !is_empty; i++) {
        const char *end = takes_list ? end_of_item(from, to) : to;
        add_trimmed(entry, from, end, place);
        from = end + 1;
    }
    entry->usable = entry->count > 0;
}

/* -- overriding -- */

/* The key of an assignment, without blanks; false when there is no '='. */
static bool key_of_set(const char *set, char key[MAX_PATH])
{
    const char *from = set, *to = strchr(set, '=');
    if (!to) {
        return false;
    }
    trim(&from, &to);
    snprintf(key, MAX_PATH, "%.*s", (int)(to - from < MAX_PATH ? to - from : MAX_PATH), from);
    return true;
}

/* Whether an assignment after number `set` replaces the key at `path`, or a section that holds it. */
static bool is_overridden(const eoc_mistakes *mistakes, int set, int num_sets, const char *path)
{
    char key[MAX_PATH];
    for (int later = set + 1; later < num_sets; later++) {
        if (key_of_set(mistakes->sets[later], key) && key[0] && eoc_config_is_under(path, key)) {
            return true;
        }
    }
    return false;
}

/* What a key or section that cannot be read might have held is not missing. */
static void excuse(eoc_entry *entries, const char *path, eoc_place place)
{
    for (int row = 0; row < eoc_config_key_count(); row++) {
        if (eoc_config_is_under(eoc_config_key_row(row)->name, path)) {
            eoc_entry_clear(&entries[row]);
            entries[row].given = true;
            entries[row].place = place;
        }
    }
}

/* -- walking a document -- */

static eoc_place place_of(const walker *w, int node)
{
    return (eoc_place){w->set, w->document->nodes[node].line, w->document->nodes[node].column};
}

static void refuse_value(const walker *w, const eoc_key_row *key, eoc_place place, const char *what)
{
    eoc_text accepted = {0};
    key->type->accepts(key, &accepted);
    eoc_mistakes_add(w->mistakes, place, key->name, "%s; accepted: %s", what, accepted.data);
    eoc_text_clear(&accepted);
}

static void fill_from_list(walker *w, const eoc_key_row *key, eoc_entry *entry, int list, eoc_place place)
{
    const eoc_node *nodes = w->document->nodes;
    int count = 0;
    for (int child = nodes[list].first; child >= 0; child = nodes[child].next) {
        count++;
    }
    if (!key->type->takes_list || count == 0) {
        refuse_value(w, key, place, count == 0 ? "an empty list" : "a list where one value belongs");
        return;
    }
    make_room(entry, count);
    entry->is_list = true;
    for (int child = nodes[list].first; child >= 0; child = nodes[child].next) {
        const eoc_node *item = &nodes[eoc_document_target(w->document, child)];
        if (item->kind == EOC_NODE_SCALAR) {
            add_text(entry, item->text, strlen(item->text), place_of(w, child));
        } else {
            refuse_value(w, key, place_of(w, child),
                         item->kind == EOC_NODE_LIST ? "a list inside a list" : "a mapping inside a list");
        }
    }
    entry->usable = entry->count > 0;
}

static void fill_from_node(walker *w, int row, eoc_place key_place, int value)
{
    const eoc_key_row *key = eoc_config_key_row(row);
    const int target = eoc_document_target(w->document, value);
    const eoc_node *node = &w->document->nodes[target];
    eoc_entry *entry = &w->entries[row];
    eoc_entry_clear(entry);
    entry->given = true;
    entry->place = key_place;
    if (node->kind == EOC_NODE_MAPPING) {
        refuse_value(w, key, place_of(w, value), "a mapping where a value belongs");
    } else if (node->kind == EOC_NODE_LIST) {
        fill_from_list(w, key, entry, target, place_of(w, value));
    } else if (eoc_document_is_null(node)) {
        refuse_value(w, key, place_of(w, value), "no value");
    } else {
        make_room(entry, 1);
        add_text(entry, node->text, strlen(node->text), place_of(w, value));
        entry->usable = true;
    }
}

static void visit_section(walker *w, const char *path, eoc_place key_place, int value);

static void visit_value(walker *w, const char *path, int row, eoc_place key_place, int value)
{
    if (is_overridden(w->mistakes, w->set, w->num_sets, path)) {
        return;
    }
    if (row >= 0) {
        fill_from_node(w, row, key_place, value);
    } else {
        visit_section(w, path, key_place, value);
    }
}

/* Whether `path` came before; remembers it. */
static bool was_seen(walker *w, const char *path)
{
    for (int i = 0; i < w->num_seen; i++) {
        if (strcmp(w->seen[i], path) == 0) {
            return true;
        }
    }
    if (w->num_seen < MAX_SEEN) {
        snprintf(w->seen[w->num_seen++], MAX_PATH, "%s", path);
    }
    return false;
}

/* False when no more mistakes are wanted. */
static bool visit_pair(walker *w, const char *section, int key, int value)
{
    const eoc_node *node = &w->document->nodes[eoc_document_target(w->document, key)];
    const eoc_place place = place_of(w, key);
    const char *within = *section ? section : NULL;
    char path[MAX_PATH];
    if (node->kind != EOC_NODE_SCALAR || !node->text[0]) {
        return eoc_mistakes_add(w->mistakes, place, within, "a key must be a word");
    }
    snprintf(path, sizeof path, "%s%s%s", section, within ? "." : "", node->text);
    if (strcmp(node->text, "<<") == 0) {
        return eoc_mistakes_add(w->mistakes, place, path, "merge keys are not read; write the keys themselves");
    }
    if (strchr(node->text, '.')) {
        return eoc_mistakes_add(w->mistakes, place, path,
                                "a dot in a key; in a file sections are nested, a key in each line");
    }
    const int row = eoc_config_find(path);
    if (row == EOC_NO_KEY) {
        eoc_text sentence = {0};
        eoc_config_unknown(path, &sentence);
        const bool go_on = eoc_mistakes_add(w->mistakes, place, path, "%s", sentence.data);
        eoc_text_clear(&sentence);
        return go_on;
    }
    if (was_seen(w, path)) {
        return eoc_mistakes_add(w->mistakes, place, path, "this key is there twice; once is accepted");
    }
    visit_value(w, path, row, place, value);
    return true;
}

static void name_section(eoc_entry *entries, const char *path)
{
    for (int row = 0; row < eoc_config_key_count() && *path; row++) {
        entries[row].named = entries[row].named || eoc_config_is_under(eoc_config_key_row(row)->name, path);
    }
}

static void visit_section(walker *w, const char *path, eoc_place key_place, int value)
{
    const eoc_node *nodes = w->document->nodes;
    const int target = eoc_document_target(w->document, value);
    const int shorthand = eoc_config_shorthand(path);
    if (nodes[target].kind == EOC_NODE_MAPPING) {
        name_section(w->entries, path);
        bool go_on = true;
        for (int key = nodes[target].first; key >= 0 && go_on; key = nodes[nodes[key].next].next) {
            go_on = visit_pair(w, path, key, nodes[key].next);
        }
    } else if (nodes[target].kind == EOC_NODE_SCALAR && !eoc_document_is_null(&nodes[target]) && shorthand >= 0) {
        visit_value(w, eoc_config_key_row(shorthand)->name, shorthand, key_place, value);
    } else {
        const char *found = nodes[target].kind == EOC_NODE_LIST    ? "a list"
                            : eoc_document_is_null(&nodes[target]) ? "no value"
                                                                   : "a single value";
        eoc_mistakes_add(w->mistakes, place_of(w, value), *path ? path : NULL,
                         "%s where a section belongs; accepted: lines 'key: value' below it, indented", found);
        excuse(w->entries, path, key_place);
    }
}

void eoc_entries_from_document(eoc_entry *entries, eoc_mistakes *mistakes, const eoc_document *document,
                               const char *prefix, int num_sets, int set)
{
    walker *w = calloc(1, sizeof *w);
    if (!w) {
        abort();
    }
    w->entries = entries;
    w->mistakes = mistakes;
    w->document = document;
    w->set = set;
    w->num_sets = num_sets;
    const int row = *prefix ? eoc_config_find(prefix) : EOC_SECTION;
    visit_value(w, prefix, row, place_of(w, 0), 0);
    free(w);
}

/* -- assignments -- */

static void set_to_document(eoc_entry *entries, eoc_mistakes *mistakes, const char *path, const char *text,
                            int num_sets, int set)
{
    eoc_document document;
    int line = 0, column = 0;
    if (eoc_document_parse(text, strlen(text), &document, &line, &column) != EOC_OK) {
        eoc_mistakes_add(mistakes, (eoc_place){set, 0, 0}, path, "%s", eoc_status_why());
        excuse(entries, path, (eoc_place){set, 0, 0});
        return;
    }
    eoc_entries_from_document(entries, mistakes, &document, path, num_sets, set);
    eoc_document_clear(&document);
}

static void set_to_entry(eoc_entry *entries, eoc_mistakes *mistakes, int row, const char *text, int set)
{
    const eoc_key_row *key = eoc_config_key_row(row);
    const eoc_place place = {set, 0, 0};
    eoc_entry *entry = &entries[row];
    eoc_entry_clear(entry);
    if (key->type->is_text) {
        make_room(entry, 1);
        add_text(entry, text, strlen(text), place);
        entry->usable = true;
    } else {
        eoc_entry_split(entry, text, key->type->takes_list, place);
    }
    entry->given = true;
    entry->place = place;
    const walker w = {.mistakes = mistakes};
    const bool is_nothing = entry->count == 1 && !entry->is_list && !entry->texts[0][0] && !key->type->is_text;
    if (!entry->usable || is_nothing) {
        refuse_value(&w, key, place, is_nothing ? "no value" : "an empty list");
        entry->usable = false;
    }
}

static void read_set(eoc_entry *entries, eoc_mistakes *mistakes, int num_sets, int set)
{
    const char *text = mistakes->sets[set];
    const eoc_place place = {set, 0, 0};
    char path[MAX_PATH];
    if (!key_of_set(text, path) || !path[0]) {
        eoc_mistakes_add(mistakes, place, NULL, "not an assignment; accepted: KEY=VALUE, such as grid.width=500,1000");
        return;
    }
    int row = eoc_config_find(path);
    if (row == EOC_NO_KEY) {
        eoc_text sentence = {0};
        eoc_config_unknown(path, &sentence);
        eoc_mistakes_add(mistakes, place, path, "%s", sentence.data);
        eoc_text_clear(&sentence);
        return;
    }
    if (is_overridden(mistakes, set, num_sets, path)) {
        return;
    }
    const char *value = strchr(text, '=') + 1;
    const bool is_mapping =
        value[strspn(value, " \t\n")] == '{' && !(row >= 0 && eoc_config_key_row(row)->type->is_text);
    if (row == EOC_SECTION && !is_mapping) {
        const int shorthand = eoc_config_shorthand(path);
        if (shorthand < 0) {
            eoc_mistakes_add(mistakes, place, path,
                             "a single value where a section belongs; accepted: %s={key: value, ...}", path);
            excuse(entries, path, place);
            return;
        }
        row = shorthand;
        if (is_overridden(mistakes, set, num_sets, eoc_config_key_row(row)->name)) {
            return;
        }
    }
    if (is_mapping) {
        set_to_document(entries, mistakes, path, value, num_sets, set);
    } else {
        set_to_entry(entries, mistakes, row, value, set);
    }
}

void eoc_entries_from_sets(eoc_entry *entries, eoc_mistakes *mistakes, int num_sets)
{
    for (int set = 0; set < num_sets; set++) {
        read_set(entries, mistakes, num_sets, set);
    }
}
