/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YAML to a tree, from libyaml's events. Its own document loader compares all anchors with each other and its trees
 * know no depth, so a small hostile file could take hours; here anchors, depth and nodes are bounded, and an alias is a
 * node of its own.
 */
#include "config_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 64, MAX_ANCHORS = 1000, MAX_NODES = 2000000 };

typedef struct {
    char *name;
    int node;
} anchor;

typedef struct {
    eoc_document *document;
    int open[MAX_DEPTH], last[MAX_DEPTH]; /* lists and mappings not yet closed, and the last child of each */
    int depth;
    anchor anchors[MAX_ANCHORS];
    int num_anchors;
    int line, column; /* of the event */
} builder;

/* -- the tree -- */

static eoc_status add_node(builder *b, eoc_node_kind kind, int *index)
{
    eoc_document *document = b->document;
    EOC_REQUIRE(document->count < MAX_NODES, EOC_ERR_USAGE,
                "more than %d values; a generator such as linspace(a, b, n) says them shorter", MAX_NODES);
    if (document->count == document->capacity) {
        const int capacity = document->capacity ? 2 * document->capacity : 64;
        eoc_node *grown = realloc(document->nodes, sizeof *grown * (size_t)capacity);
        EOC_REQUIRE(grown, EOC_ERR_NOMEM, "no memory to read it");
        document->nodes = grown;
        document->capacity = capacity;
    }
    *index = document->count++;
    document->nodes[*index] = (eoc_node){.kind = kind, .line = b->line, .column = b->column, .first = -1, .next = -1};
    if (b->depth > 0) {
        const int parent = b->open[b->depth - 1], last = b->last[b->depth - 1];
        *(last < 0 ? &document->nodes[parent].first : &document->nodes[last].next) = *index;
        b->last[b->depth - 1] = *index;
    }
    return EOC_OK;
}

static eoc_status add_anchor(builder *b, const yaml_char_t *name, int node)
{
    if (!name) {
        return EOC_OK;
    }
    EOC_REQUIRE(b->num_anchors < MAX_ANCHORS, EOC_ERR_USAGE, "more than %d anchors (&name)", MAX_ANCHORS);
    b->anchors[b->num_anchors++] = (anchor){eoc_text_copy((const char *)name, SIZE_MAX / 2), node};
    return EOC_OK;
}

static eoc_status add_alias(builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (int i = b->num_anchors - 1; i >= 0; i--) {
        if (strcmp(b->anchors[i].name, name) == 0) {
            int node = 0;
            EOC_TRY(add_node(b, EOC_NODE_ALIAS, &node));
            b->document->nodes[node].first = b->anchors[i].node;
            return EOC_OK;
        }
    }
    return EOC_FAIL(EOC_ERR_USAGE, "the alias *%.60s has no anchor &%.60s before it", name, name);
}

static eoc_status add_scalar(builder *b, yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    int node = 0;
    EOC_REQUIRE(strlen(text) == event->data.scalar.length, EOC_ERR_USAGE, "a text with a NUL character in it");
    EOC_TRY(add_node(b, EOC_NODE_SCALAR, &node));
    b->document->nodes[node].text = eoc_text_copy(text, event->data.scalar.length);
    b->document->nodes[node].plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return add_anchor(b, event->data.scalar.anchor, node);
}

static eoc_status open_collection(builder *b, eoc_node_kind kind, bool flow, const yaml_char_t *name)
{
    int node = 0;
    EOC_REQUIRE(b->depth < MAX_DEPTH, EOC_ERR_USAGE, "nested more than %d deep", MAX_DEPTH);
    EOC_TRY(add_node(b, kind, &node));
    b->document->nodes[node].flow = flow;
    b->open[b->depth] = node;
    b->last[b->depth++] = -1;
    return add_anchor(b, name, node);
}

static eoc_status take_event(builder *b, yaml_event_t *event)
{
    b->line = (int)event->start_mark.line + 1;
    b->column = (int)event->start_mark.column + 1;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        EOC_REQUIRE(b->document->count == 0, EOC_ERR_USAGE,
                    "a second YAML document starts here; a sweep file holds one");
        return EOC_OK;
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return add_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(b, EOC_NODE_LIST, event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE,
                               event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_collection(b, EOC_NODE_MAPPING, event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE,
                               event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return EOC_OK;
    default:
        return EOC_OK;
    }
}

/* -- what libyaml finds wrong -- */

/* Whether the indentation of line `line` (from 0) holds a tab; libyaml then says that something cannot start a token.
 */
static bool is_indented_by_tab(const char *bytes, size_t num_bytes, size_t line)
{
    const char *c = bytes, *const end = bytes + num_bytes;
    for (; line > 0 && c < end; line--) {
        const char *newline = memchr(c, '\n', (size_t)(end - c));
        c = newline ? newline + 1 : end;
    }
    while (c < end && *c == ' ') {
        c++;
    }
    return c < end && *c == '\t';
}

/* libyaml counts bytes where the text is not Unicode, and lines nowhere. */
static void place_of_byte(const char *bytes, size_t offset, int *line, int *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset; i++) {
        const bool continues = ((unsigned char)bytes[i] & 0xC0U) == 0x80U;
        *line += bytes[i] == '\n';
        *column = bytes[i] == '\n' ? 1 : *column + !continues;
    }
}

static eoc_status parser_failure(const yaml_parser_t *parser, const char *bytes, size_t num_bytes, int *line,
                                 int *column)
{
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    if (parser->error == YAML_MEMORY_ERROR) {
        *line = 0;
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory to read it");
    }
    if (parser->error == YAML_READER_ERROR) {
        place_of_byte(bytes, parser->problem_offset < num_bytes ? parser->problem_offset : num_bytes, line, column);
        return EOC_FAIL(EOC_ERR_USAGE, "not a text in UTF-8 (%s); a sweep file is YAML", problem);
    }
    *line = (int)parser->problem_mark.line + 1;
    *column = (int)parser->problem_mark.column + 1;
    if (is_indented_by_tab(bytes, num_bytes, parser->problem_mark.line)) {
        return EOC_FAIL(EOC_ERR_USAGE, "a tab in the indentation; YAML accepts only spaces there");
    }
    return EOC_FAIL(EOC_ERR_USAGE,
                    "not YAML: %s%s%s; a sweep file holds lines 'key: value', sections indented by spaces", problem,
                    parser->context ? " " : "", parser->context ? parser->context : "");
}

static eoc_status read_events(yaml_parser_t *parser, builder *b, const char *bytes, size_t num_bytes)
{
    bool at_end = false;
    while (!at_end) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return parser_failure(parser, bytes, num_bytes, &b->line, &b->column);
        }
        at_end = event.type == YAML_STREAM_END_EVENT;
        const eoc_status status = take_event(b, &event);
        yaml_event_delete(&event);
        EOC_TRY(status);
    }
    b->line = 0;
    EOC_REQUIRE(b->document->count > 0, EOC_ERR_USAGE,
                "holds no keys; a sweep names at least grid.activation and "
                "grid.weight_variance");
    return EOC_OK;
}

/* -- names and generators that were split at their commas -- */

static int num_open(const char *text)
{
    int open = 0;
    for (; *text; text++) {
        open += (*text == '(') - (*text == ')');
    }
    return open;
}

static void append(eoc_text *joined, const char *text)
{
    eoc_text_append(joined, "%s%s", joined->length ? ", " : "", text);
}

/*
 * Joins to scalar `from` the siblings that belong inside its parentheses. In a mapping {a: f(x, y), b: c} those are
 * keys without values. What never balances is joined too: it is one mistake, not many, and is looked at once.
 */
static void rejoin(eoc_document *document, int from, bool in_mapping)
{
    eoc_node *const nodes = document->nodes;
    int open = num_open(nodes[from].text);
    int last = from, next = nodes[from].next;
    eoc_text joined = {0};
    append(&joined, nodes[from].text);
    while (open > 0 && next >= 0 && nodes[next].kind == EOC_NODE_SCALAR) {
        const int value = in_mapping ? nodes[next].next : next;
        if (in_mapping && !(nodes[value].kind == EOC_NODE_SCALAR && nodes[value].plain && !nodes[value].text[0])) {
            break;
        }
        append(&joined, nodes[next].text);
        open += num_open(nodes[next].text);
        last = value;
        next = nodes[value].next;
    }
    if (last == from) {
        eoc_text_clear(&joined);
        return;
    }
    free(nodes[from].text);
    nodes[from].text = joined.data;
    nodes[from].next = next;
}

static void rejoin_children(eoc_document *document, int parent)
{
    const bool in_mapping = document->nodes[parent].kind == EOC_NODE_MAPPING;
    int position = 0;
    for (int child = document->nodes[parent].first; child >= 0; child = document->nodes[child].next, position++) {
        const eoc_node *node = &document->nodes[child];
        const bool is_value = !in_mapping || position % 2 == 1;
        if (is_value && node->kind == EOC_NODE_SCALAR && node->plain && num_open(node->text) > 0) {
            rejoin(document, child, in_mapping);
        }
    }
}

/* -- the room's door -- */

eoc_status eoc_document_parse(const char *bytes, size_t num_bytes, eoc_document *document, int *line, int *column)
{
    yaml_parser_t parser;
    *document = (eoc_document){0};
    *line = *column = 0;
    builder *b = calloc(1, sizeof *b);
    EOC_REQUIRE(b, EOC_ERR_NOMEM, "no memory to read it");
    b->document = document;
    if (!yaml_parser_initialize(&parser)) {
        free(b);
        return EOC_FAIL(EOC_ERR_NOMEM, "no memory to read it");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, num_bytes);
    const eoc_status status = read_events(&parser, b, bytes, num_bytes);
    yaml_parser_delete(&parser);
    *line = b->line;
    *column = b->column;
    for (int i = 0; i < b->num_anchors; i++) {
        free(b->anchors[i].name);
    }
    free(b);
    if (status != EOC_OK) {
        eoc_document_clear(document);
        return status;
    }
    for (int i = 0; i < document->count; i++) {
        const eoc_node *node = &document->nodes[i];
        if (node->flow && (node->kind == EOC_NODE_LIST || node->kind == EOC_NODE_MAPPING)) {
            rejoin_children(document, i);
        }
    }
    return EOC_OK;
}

void eoc_document_clear(eoc_document *document)
{
    for (int i = 0; i < document->count; i++) {
        free(document->nodes[i].text);
    }
    free(document->nodes);
    *document = (eoc_document){0};
}

int eoc_document_target(const eoc_document *document, int node)
{
    /* An alias stands for a node that is none: one step. */
    return document->nodes[node].kind == EOC_NODE_ALIAS ? document->nodes[node].first : node;
}

bool eoc_document_is_null(const eoc_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; node->kind == EOC_NODE_SCALAR && node->plain && i < sizeof nulls / sizeof nulls[0]; i++) {
        if (strcmp(node->text, nulls[i]) == 0) {
            return true;
        }
    }
    return false;
}
