/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the section `probe`. */
#include "eoc/key.h"
#include "eoc/probe.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A list of words: the names of some table. */
typedef struct {
    const char *what;
    int count;
    const char *(*name)(int row);
} word_table;

static void *field_of(const eoc_key_row *row, void *section)
{
    return (char *)section + row->offset;
}

static const void *const_field_of(const eoc_key_row *row, const void *section)
{
    return (const char *)section + row->offset;
}

/* Turns a status into a call of `mistake`. */
static bool report(const eoc_key_values *given, int item, eoc_status status)
{
    return status == EOC_OK || given->mistake(given->context, item, eoc_status_why());
}

static void append_names(const word_table *table, eoc_text *out)
{
    for (int i = 0; i < table->count; i++) {
        eoc_text_append(out, "%s%s", i ? ", " : "", table->name(i));
    }
}

static eoc_status find_word(const word_table *table, const char *word, int *row)
{
    const char *names[64];
    assert(table->count <= 64);
    for (int i = 0; i < table->count; i++) {
        names[i] = table->name(i);
        if (strcmp(word, names[i]) == 0) {
            *row = i;
            return EOC_OK;
        }
    }
    eoc_text all = {0};
    append_names(table, &all);
    const char *nearest = eoc_text_nearest(word, names, table->count);
    const eoc_status status =
        nearest ? EOC_FAIL(EOC_ERR_UNKNOWN, "unknown %s '%.60s'; did you mean '%s'? Known: %s", table->what, word,
                           nearest, all.data)
                : EOC_FAIL(EOC_ERR_UNKNOWN, "unknown %s '%.60s'; known: %s", table->what, word, all.data);
    eoc_text_clear(&all);
    return status;
}

/* A number of the row's range, or the failure that names it. */
static eoc_status to_number(const eoc_key_row *row, const char *text, double *value)
{
    double parsed = 0.0;
    const bool is_number = eoc_text_to_double(text, &parsed);
    parsed = eoc_text_round(parsed);
    if (is_number && parsed >= row->min && parsed <= row->max) {
        *value = parsed;
        return EOC_OK;
    }
    eoc_text accepted = {0};
    row->type->accepts(row, &accepted);
    const eoc_status status = EOC_FAIL(EOC_ERR_USAGE, "'%.60s' is %s; accepted: %s", text,
                                       is_number ? "out of range" : "not a finite decimal number", accepted.data);
    eoc_text_clear(&accepted);
    return status;
}

/* -- numbers and counts -- */

static void number_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    report(given, 0, to_number(row, given->texts[0], field_of(row, section)));
}

static void number_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const double *value = const_field_of(row, section);
    char number[EOC_NUMBER_BYTES];
    eoc_text_append(out, "%s", eoc_text_number(*value, number));
}

static void number_accepts(const eoc_key_row *row, eoc_text *out)
{
    char low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    eoc_text_append(out, "a number from %s to %s", eoc_text_number(row->min, low), eoc_text_number(row->max, high));
}

static eoc_status to_count(const eoc_key_row *row, const char *text, int *value)
{
    double number = 0.0;
    EOC_TRY(to_number(row, text, &number));
    EOC_REQUIRE(number == floor(number), EOC_ERR_USAGE,
                "'%.60s' is not a whole number; accepted: whole numbers from %.0f to %.0f", text, row->min, row->max);
    *value = (int)number;
    return EOC_OK;
}

static void count_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    report(given, 0, to_count(row, given->texts[0], field_of(row, section)));
}

static void count_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const int *value = const_field_of(row, section);
    eoc_text_append(out, "%d", *value);
}

static void count_accepts(const eoc_key_row *row, eoc_text *out)
{
    eoc_text_append(out, "a whole number from %.0f to %.0f", row->min, row->max);
}

static const eoc_key_type number_type = {.read = number_read, .spell = number_spell, .accepts = number_accepts};
static const eoc_key_type count_type = {.read = count_read, .spell = count_spell, .accepts = count_accepts};

/* -- inputs.kind -- */

static const char *input_name(int row)
{
    return eoc_input_kind_row(row)->name;
}

static word_table input_words(void)
{
    return (word_table){"kind of input", eoc_input_kind_count(), input_name};
}

static void kind_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    const word_table words = input_words();
    const eoc_input_kind **kind = field_of(row, section);
    int found = 0;
    const eoc_status status = find_word(&words, given->texts[0], &found);
    *kind = status == EOC_OK ? eoc_input_kind_row(found) : NULL;
    report(given, 0, status);
}

static void kind_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_input_kind *const *kind = const_field_of(row, section);
    eoc_text_append(out, "%s", (*kind)->name);
}

static void kind_accepts(const eoc_key_row *row, eoc_text *out)
{
    const word_table words = input_words();
    (void)row;
    eoc_text_append(out, "one of ");
    append_names(&words, out);
}

static const eoc_key_type kind_type = {.read = kind_read, .spell = kind_spell, .accepts = kind_accepts};

static bool kind_reads(const eoc_input_kind *kind, bool reads, eoc_text *why_not)
{
    if (!reads) {
        eoc_text_append(why_not, "kind %s does not read it", kind->name);
    }
    return reads;
}

static bool correlation_is_read(const void *section, eoc_text *why_not)
{
    const eoc_input_kind *kind = ((const eoc_probe *)section)->inputs.kind;
    return !kind || kind_reads(kind, kind->has_correlation, why_not);
}

static bool points_is_read(const void *section, eoc_text *why_not)
{
    const eoc_input_kind *kind = ((const eoc_probe *)section)->inputs.kind;
    return !kind || kind_reads(kind, kind->has_points, why_not);
}

/* For keys of one statistic. No statistics at all are a mistake of their own. */
static bool statistic_is_there(const void *section, unsigned bit, const char *name, eoc_text *why_not)
{
    const unsigned statistics = ((const eoc_probe *)section)->statistics;
    const bool there = statistics == 0 || (statistics & bit) != 0;
    if (!there) {
        eoc_text_append(why_not, "probe.statistics has no %s", name);
    }
    return there;
}

static bool jacobian_probes_is_read(const void *section, eoc_text *why_not)
{
    return statistic_is_there(section, EOC_STATISTIC_JACOBIAN, "jacobian", why_not);
}

static bool spectrum_modes_is_read(const void *section, eoc_text *why_not)
{
    return statistic_is_there(section, EOC_STATISTIC_SPECTRUM, "spectrum", why_not);
}

/* -- inputs.variance -- */

static const char FIXED_POINT[] = "fixed_point";

static void variance_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_inputs *inputs = &((eoc_probe *)section)->inputs;
    inputs->fixed_point = strcmp(given->texts[0], FIXED_POINT) == 0;
    if (inputs->fixed_point) {
        inputs->variance = 1.0; /* where the point has no fixed point above 0 */
        return;
    }
    report(given, 0, to_number(row, given->texts[0], &inputs->variance));
}

static void variance_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    if (((const eoc_probe *)section)->inputs.fixed_point) {
        eoc_text_append(out, "%s", FIXED_POINT);
    } else {
        number_spell(row, section, out);
    }
}

static void variance_accepts(const eoc_key_row *row, eoc_text *out)
{
    number_accepts(row, out);
    eoc_text_append(out, ", or %s", FIXED_POINT);
}

static const eoc_key_type variance_type = {.read = variance_read, .spell = variance_spell, .accepts = variance_accepts};

/* -- statistics -- */

static const char *statistic_name(int row)
{
    return eoc_statistic_row_of(row)->name;
}

static word_table statistic_words(void)
{
    return (word_table){"statistic", eoc_statistic_count(), statistic_name};
}

static void statistics_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    const word_table words = statistic_words();
    unsigned *bits = field_of(row, section);
    *bits = 0;
    bool go_on = true;
    for (int i = 0; i < given->count && go_on; i++) {
        int found = 0;
        eoc_status status = find_word(&words, given->texts[i], &found);
        if (status == EOC_OK && (*bits & eoc_statistic_row_of(found)->bit)) {
            status = EOC_FAIL(EOC_ERR_USAGE, "%s is there twice; every statistic is named once", statistic_name(found));
        }
        *bits |= status == EOC_OK ? eoc_statistic_row_of(found)->bit : 0U;
        go_on = report(given, i, status);
    }
}

static void statistics_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const unsigned *bits = const_field_of(row, section);
    const char *separator = "[";
    for (int i = 0; i < eoc_statistic_count(); i++) {
        if (*bits & eoc_statistic_row_of(i)->bit) {
            eoc_text_append(out, "%s%s", separator, statistic_name(i));
            separator = ", ";
        }
    }
    eoc_text_append(out, "]");
}

static void statistics_accepts(const eoc_key_row *row, eoc_text *out)
{
    const word_table words = statistic_words();
    (void)row;
    eoc_text_append(out, "a list of ");
    append_names(&words, out);
}

static const eoc_key_type statistics_type = {
    .takes_list = true, .read = statistics_read, .spell = statistics_spell, .accepts = statistics_accepts};

/* -- sampler: row 0 of its words is `auto` -- */

static const char *sampler_name(int row)
{
    return row == 0 ? "auto" : eoc_sampler_row(row - 1)->name;
}

static word_table sampler_words(void)
{
    return (word_table){"sampler", 1 + eoc_sampler_count(), sampler_name};
}

static void sampler_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    const word_table words = sampler_words();
    const eoc_sampler **sampler = field_of(row, section);
    int found = 0;
    const eoc_status status = find_word(&words, given->texts[0], &found);
    *sampler = status == EOC_OK && found > 0 ? eoc_sampler_row(found - 1) : NULL;
    report(given, 0, status);
}

static void sampler_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_sampler *const *sampler = const_field_of(row, section);
    eoc_text_append(out, "%s", *sampler ? (*sampler)->name : sampler_name(0));
}

static void sampler_accepts(const eoc_key_row *row, eoc_text *out)
{
    const word_table words = sampler_words();
    (void)row;
    eoc_text_append(out, "one of ");
    append_names(&words, out);
}

static const eoc_key_type sampler_type = {.read = sampler_read, .spell = sampler_spell, .accepts = sampler_accepts};

/* -- layers -- */

static const struct {
    const char *word;
    eoc_layers_rule rule;
} layer_rules[] = {{"every", EOC_LAYERS_EVERY}, {"log", EOC_LAYERS_LOG}};
enum { NUM_LAYER_RULES = sizeof layer_rules / sizeof layer_rules[0] };

/* What follows `word` and at least one blank in `text`, or NULL. */
static const char *after_word(const char *text, const char *word)
{
    const size_t length = strlen(word);
    if (strncmp(text, word, length) != 0 || text[length] != ' ') {
        return NULL;
    }
    return text + length + strspn(text + length, " ");
}

static void layers_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_layers *layers = field_of(row, section);
    *layers = (eoc_layers){EOC_LAYERS_ALL, 0};
    if (strcmp(given->texts[0], "all") == 0) {
        return;
    }
    for (int i = 0; i < NUM_LAYER_RULES; i++) {
        const char *number = after_word(given->texts[0], layer_rules[i].word);
        if (number) {
            layers->rule = layer_rules[i].rule;
            report(given, 0, to_count(row, number, &layers->number));
            return;
        }
    }
    eoc_text accepted = {0};
    row->type->accepts(row, &accepted);
    report(given, 0,
           EOC_FAIL(EOC_ERR_USAGE, "'%.60s' is no rule for layers; accepted: %s", given->texts[0], accepted.data));
    eoc_text_clear(&accepted);
}

static void layers_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_layers *layers = const_field_of(row, section);
    for (int i = 0; i < NUM_LAYER_RULES; i++) {
        if (layers->rule == layer_rules[i].rule) {
            eoc_text_append(out, "%s %d", layer_rules[i].word, layers->number);
            return;
        }
    }
    eoc_text_append(out, "all");
}

static void layers_accepts(const eoc_key_row *row, eoc_text *out)
{
    eoc_text_append(out, "all, every N or log N, N a whole number from %.0f to %.0f", row->min, row->max);
}

static const eoc_key_type layers_type = {.read = layers_read, .spell = layers_spell, .accepts = layers_accepts};

/* -- the table -- */

static const eoc_key_row keys[] = {
    {.name = "probe.inputs.kind",
     .type = &kind_type,
     .offset = offsetof(eoc_probe, inputs.kind),
     .fallback = "pair",
     .identity = true,
     .shorthand = true,
     .help = "which vectors x go through every network"},
    {.name = "probe.inputs.correlation",
     .type = &number_type,
     .offset = offsetof(eoc_probe, inputs.correlation),
     .min = -1.0,
     .max = 1.0,
     .fallback = "0.6",
     .identity = true,
     .is_read = correlation_is_read,
     .help = "cosine of the pair, x_0.x_1/(|x_0||x_1|)"},
    {.name = "probe.inputs.variance",
     .type = &variance_type,
     .offset = offsetof(eoc_probe, inputs.variance),
     .min = 1e-12, /* above 0, and large enough that |x|^2 is not lost */
     .max = 1e12,
     .fallback = "1",
     .identity = true,
     .help = "|x|^2/N of every input; fixed_point: such that q^1 = q_star, where the point has a q_star above 0"},
    {.name = "probe.inputs.points",
     .type = &count_type,
     .offset = offsetof(eoc_probe, inputs.points),
     .min = 2.0,
     .max = EOC_MAX_POINTS,
     .fallback = "64",
     .identity = true,
     .is_read = points_is_read,
     .help = "number of inputs"},
    {.name = "probe.statistics",
     .type = &statistics_type,
     .offset = offsetof(eoc_probe, statistics),
     .fallback = "[forward, gradient]",
     .identity = true,
     .help = "what is measured in every kept layer"},
    {.name = "probe.jacobian_probes",
     .type = &count_type,
     .offset = offsetof(eoc_probe, jacobian_probes),
     .min = 1.0,
     .max = EOC_MAX_JACOBIAN_PROBES,
     .fallback = "1",
     .identity = true,
     .is_read = jacobian_probes_is_read,
     .help = "random unit vectors u for |J u|^2 and |J^T J u|^2"},
    {.name = "probe.spectrum_modes",
     .type = &count_type,
     .offset = offsetof(eoc_probe, spectrum_modes),
     .min = 1.0,
     .max = EOC_MAX_SPECTRUM_MODES,
     .fallback = "1024",
     .identity = true,
     .is_read = spectrum_modes_is_read,
     .help = "singular values kept of the statistic spectrum: all, or so many quantiles of wider networks"},
    {.name = "probe.sampler",
     .type = &sampler_type,
     .offset = offsetof(eoc_probe, sampler),
     .fallback = "auto",
     .identity = true,
     .help = "how weight matrices are drawn"},
    {.name = "probe.layers",
     .type = &layers_type,
     .offset = offsetof(eoc_probe, layers),
     .min = 1.0,
     .max = 1e6,
     .fallback = "all",
     .identity = true,
     .help = "which layers are kept: all, every N-th, or N of them log-spaced; layer 1 and every depth always"},
};

const eoc_key_row *eoc_probe_key_rows(int *count)
{
    *count = (int)(sizeof keys / sizeof keys[0]);
    return keys;
}
