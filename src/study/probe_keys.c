/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the section `probe`. */
#include "eoc/key.h"
#include "eoc/probe.h"

#include "key_types.h"

#include <assert.h>
#include <string.h>

/* -- inputs.kind -- */

static const char *input_name(int row)
{
    return eoc_input_kind_row(row)->name;
}

static eoc_words input_words(void)
{
    return (eoc_words){"kind of input", eoc_input_kind_count(), input_name};
}

static void kind_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    const eoc_words words = input_words();
    const eoc_input_kind **kind = eoc_key_field(row, section);
    int found = 0;
    const eoc_status status = eoc_words_find(&words, given->texts[0], &found);
    *kind = status == EOC_OK ? eoc_input_kind_row(found) : NULL;
    eoc_key_report(given, 0, status);
}

static void kind_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_input_kind *const *kind = eoc_key_const_field(row, section);
    eoc_text_append(out, "%s", (*kind)->name);
}

static void kind_accepts(const eoc_key_row *row, eoc_text *out)
{
    const eoc_words words = input_words();
    (void)row;
    eoc_text_append(out, "one of ");
    eoc_words_append(&words, out);
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

static bool images_are_read(const void *section, eoc_text *why_not)
{
    const eoc_input_kind *kind = ((const eoc_probe *)section)->inputs.kind;
    return !kind || kind_reads(kind, kind->has_images, why_not);
}

/* For keys of one statistic. No statistics at all are a mistake of their own. */
static bool statistic_is_there(const void *section, unsigned bit, const char *name, eoc_text *why_not)
{
    const unsigned statistics = ((const eoc_probe *)section)->statistics;
    const bool there = (statistics == 0 && !((const eoc_probe *)section)->nothing) || (statistics & bit) != 0;
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

static const char FIXED_POINT[] = "fixed_point", AS_PREPROCESSED[] = "preprocessed";

static void variance_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_inputs *inputs = &((eoc_probe *)section)->inputs;
    inputs->fixed_point = strcmp(given->texts[0], FIXED_POINT) == 0;
    inputs->as_preprocessed = strcmp(given->texts[0], AS_PREPROCESSED) == 0;
    if (inputs->fixed_point || inputs->as_preprocessed) {
        inputs->variance = 1.0; /* where the point has no fixed point above 0 */
        return;
    }
    eoc_key_report(given, 0, eoc_key_to_number(row, given->texts[0], &inputs->variance));
}

static void variance_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_inputs *inputs = &((const eoc_probe *)section)->inputs;
    if (inputs->fixed_point || inputs->as_preprocessed) {
        eoc_text_append(out, "%s", inputs->fixed_point ? FIXED_POINT : AS_PREPROCESSED);
    } else {
        eoc_key_number_spell(row, section, out);
    }
}

static void variance_accepts(const eoc_key_row *row, eoc_text *out)
{
    eoc_key_number_accepts(row, out);
    eoc_text_append(out, ", or %s; of a dataset also %s", FIXED_POINT, AS_PREPROCESSED);
}

static const eoc_key_type variance_type = {.read = variance_read, .spell = variance_spell, .accepts = variance_accepts};

/* -- statistics -- */

static void statistics_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_probe *const probe = section;
    (void)row;
    probe->nothing = eoc_key_read_statistics(given, ~0U, &probe->statistics);
}

static void statistics_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    (void)row;
    eoc_key_spell_statistics(((const eoc_probe *)section)->statistics, out);
}

static void statistics_accepts(const eoc_key_row *row, eoc_text *out)
{
    (void)row;
    eoc_key_accept_statistics(~0U, out);
    eoc_text_append(out, "; or none in a sweep that trains");
}

static const eoc_key_type statistics_type = {
    .takes_list = true, .read = statistics_read, .spell = statistics_spell, .accepts = statistics_accepts};

/* -- sampler: row 0 of its words is `auto` -- */

static const char *sampler_name(int row)
{
    return row == 0 ? "auto" : eoc_sampler_row(row - 1)->name;
}

static eoc_words sampler_words(void)
{
    return (eoc_words){"sampler", 1 + eoc_sampler_count(), sampler_name};
}

static void sampler_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    const eoc_words words = sampler_words();
    const eoc_sampler **sampler = eoc_key_field(row, section);
    int found = 0;
    const eoc_status status = eoc_words_find(&words, given->texts[0], &found);
    *sampler = status == EOC_OK && found > 0 ? eoc_sampler_row(found - 1) : NULL;
    eoc_key_report(given, 0, status);
}

static void sampler_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_sampler *const *sampler = eoc_key_const_field(row, section);
    eoc_text_append(out, "%s", *sampler ? (*sampler)->name : sampler_name(0));
}

static void sampler_accepts(const eoc_key_row *row, eoc_text *out)
{
    const eoc_words words = sampler_words();
    (void)row;
    eoc_text_append(out, "one of ");
    eoc_words_append(&words, out);
}

static const eoc_key_type sampler_type = {.read = sampler_read, .spell = sampler_spell, .accepts = sampler_accepts};

/* -- the table -- */

static const eoc_key_row keys[] = {
    {.name = "probe.inputs.kind",
     .type = &kind_type,
     .offset = offsetof(eoc_probe, inputs.kind),
     .fallback = "pair",
     .identity = true,
     .shorthand = true,
     .help = "which vectors x go through every network"},
    {.name = "probe.inputs.dataset",
     .type = &eoc_key_dataset,
     .offset = offsetof(eoc_probe, inputs.dataset),
     .fallback = "mnist10k",
     .identity = true,
     .is_read = images_are_read,
     .help = "the data set whose first training images are the inputs"},
    {.name = "probe.inputs.preprocessing",
     .type = &eoc_key_preprocessing,
     .offset = offsetof(eoc_probe, inputs.preprocessing),
     .fallback = "unit_variance",
     .identity = true,
     .is_read = images_are_read,
     .help = "what is done to every image first, with the statistics of the whole training set"},
    {.name = "probe.inputs.correlation",
     .type = &eoc_key_number,
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
     .help = "|x|^2/N of every input; fixed_point: such that q^1 = q_star, where the point has a q_star above 0; of a "
             "dataset, each scaled to it, and by default preprocessed: |image|^2/features as preprocessing leaves it"},
    {.name = "probe.inputs.points",
     .type = &eoc_key_count,
     .offset = offsetof(eoc_probe, inputs.points),
     .min = 2.0,
     .max = EOC_MAX_POINTS,
     .fallback = "64",
     .identity = true,
     .is_read = points_is_read,
     .help = "number of inputs; of a dataset at most 64"},
    {.name = "probe.statistics",
     .type = &statistics_type,
     .offset = offsetof(eoc_probe, statistics),
     .fallback = "[forward, gradient]",
     .identity = true,
     .help = "what is measured in every kept layer"},
    {.name = "probe.jacobian_probes",
     .type = &eoc_key_count,
     .offset = offsetof(eoc_probe, jacobian_probes),
     .min = 1.0,
     .max = EOC_MAX_JACOBIAN_PROBES,
     .fallback = "1",
     .identity = true,
     .is_read = jacobian_probes_is_read,
     .help = "random unit vectors u for |J u|^2 and |J^T J u|^2"},
    {.name = "probe.spectrum_modes",
     .type = &eoc_key_count,
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
     .type = &eoc_key_layers,
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
