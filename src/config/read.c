/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILE_BYTES = 16 * 1024 * 1024 };

/* -- the file -- */

/* Reads to the end or to one byte more than is accepted, into memory that grows. False when reading fails. */
static bool read_stream(FILE *file, char **bytes, size_t *num_bytes)
{
    size_t capacity = 4096;
    *num_bytes = 0;
    do {
        capacity = 2 * capacity < MAX_FILE_BYTES + 1 ? 2 * capacity : MAX_FILE_BYTES + 1;
        char *grown = realloc(*bytes, capacity);
        if (!grown) {
            return false;
        }
        *bytes = grown;
        *num_bytes += fread(*bytes + *num_bytes, 1, capacity - *num_bytes, file);
    } while (*num_bytes == capacity && capacity <= MAX_FILE_BYTES);
    return !ferror(file);
}

/* The whole file in memory of the caller (free), or NULL with the reason noted. */
static char *read_file(eoc_mistakes *mistakes, size_t *num_bytes)
{
    const eoc_place nowhere = {-1, 0, 0};
    struct stat about;
    FILE *file = fopen(mistakes->path, "rb");
    if (!file) {
        eoc_mistakes_add(mistakes, nowhere, NULL, "cannot be opened (%s); a readable sweep file is needed",
                         strerror(errno));
        return NULL;
    }
    char *bytes = NULL;
    bool good = false;
    if (fstat(fileno(file), &about) == 0 && S_ISDIR(about.st_mode)) {
        eoc_mistakes_add(mistakes, nowhere, NULL, "is a directory; a sweep file is needed");
    } else if (!read_stream(file, &bytes, num_bytes)) {
        eoc_mistakes_add(mistakes, nowhere, NULL, "cannot be read (%s); a readable sweep file is needed",
                         strerror(errno));
    } else if (*num_bytes > MAX_FILE_BYTES) {
        eoc_mistakes_add(mistakes, nowhere, NULL, "larger than %d MiB; no sweep file is",
                         MAX_FILE_BYTES / (1024 * 1024));
    } else {
        good = true;
    }
    fclose(file);
    if (!good) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

/* False when the text is not understood at all: what is missing from it is then not known. */
static bool entries_from_text(eoc_entry *entries, eoc_mistakes *mistakes, const char *bytes, size_t num_bytes,
                              int num_sets)
{
    eoc_document document;
    eoc_place place = {-1, 0, 0};
    const eoc_status status = eoc_document_parse(bytes, num_bytes, &document, &place.line, &place.column);
    if (status != EOC_OK) {
        eoc_mistakes_add(mistakes, place, NULL, "%s", eoc_status_why());
        return false;
    }
    eoc_entries_from_document(entries, mistakes, &document, "", num_sets, -1);
    eoc_document_clear(&document);
    return true;
}

static bool entries_from_file(eoc_entry *entries, eoc_mistakes *mistakes, int num_sets)
{
    size_t num_bytes = 0;
    char *bytes = read_file(mistakes, &num_bytes);
    const bool understood = bytes && entries_from_text(entries, mistakes, bytes, num_bytes, num_sets);
    free(bytes);
    return understood;
}

/* -- from entries to a sweep -- */

typedef struct {
    const eoc_key_row *key;
    const eoc_entry *entry;
    eoc_mistakes *mistakes;
    bool good;
} reading;

static bool note_mistake(void *context, int item, const char *sentence)
{
    reading *r = context;
    r->good = false;
    return eoc_mistakes_add(r->mistakes, r->entry->places[item], r->key->name, "%s", sentence);
}

static bool read_entry(const eoc_key_row *key, const eoc_entry *entry, void *section, eoc_mistakes *mistakes)
{
    reading r = {key, entry, mistakes, true};
    const eoc_key_values given = {entry->count, (const char *const *)entry->texts, entry->is_list, note_mistake, &r};
    key->type->read(key, &given, section);
    return r.good;
}

static void read_fallback(const eoc_key_row *key, void *section, eoc_mistakes *mistakes)
{
    eoc_entry entry = {0};
    eoc_entry_split(&entry, key->fallback, key->type->takes_list, (eoc_place){-1, 0, 0});
    const bool good = read_entry(key, &entry, section, mistakes);
    assert(good);
    (void)good;
    eoc_entry_clear(&entry);
}

static void miss(const eoc_key_row *key, eoc_mistakes *mistakes)
{
    eoc_text accepted = {0};
    key->type->accepts(key, &accepted);
    eoc_mistakes_add(mistakes, (eoc_place){-1, 0, 0}, key->name, "must be given, it has no default; accepted: %s",
                     accepted.data);
    eoc_text_clear(&accepted);
}

/* `complete`: the file was understood, so what is not there is missing. */
static void read_rows(const eoc_entry *entries, bool complete, eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const eoc_key_row *key = eoc_config_key_row(row);
        void *section = eoc_config_section(row, sweep);
        if (entries[row].usable) {
            read_entry(key, &entries[row], section, mistakes);
        } else if (entries[row].given) {
            continue; /* its mistake is noted */
        } else if (key->fallback) {
            read_fallback(key, section, mistakes);
        } else if (!key->optional && complete) {
            miss(key, mistakes);
        }
    }
}

/* Whether a section, or anything under it, was written. */
static bool is_given(const eoc_entry *entries, const char *section)
{
    bool given = false;
    for (int row = 0; row < eoc_config_key_count(); row++) {
        given = given || ((entries[row].given || entries[row].named) &&
                          eoc_config_is_under(eoc_config_key_row(row)->name, section));
    }
    return given;
}

/* Probe, train or both: what is written is done; where nothing is, networks are probed. */
static void choose_studies(eoc_entry *entries, eoc_sweep *sweep)
{
    sweep->train.enabled = is_given(entries, "train");
    sweep->probe.train = sweep->train.enabled ? &sweep->train : NULL;
    if (sweep->train.enabled && !is_given(entries, "probe")) {
        eoc_entry_split(&entries[eoc_config_find("probe.statistics")], "none", true, (eoc_place){-1, 0, 0});
    }
}

/* Images keep their variances where none is asked for; other inputs have the default of the table. */
static void choose_variance(const eoc_entry *entries, eoc_sweep *sweep)
{
    eoc_inputs *const inputs = &sweep->probe.inputs;
    if (inputs->kind && inputs->kind->has_images && !entries[eoc_config_find("probe.inputs.variance")].given) {
        inputs->as_preprocessed = true;
    }
}

/* -- rules between keys -- */

static void check_unread(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const eoc_key_row *key = eoc_config_key_row(row);
        eoc_text why = {0};
        if (entries[row].given && key->is_read && !key->is_read(eoc_config_const_section(row, sweep), &why)) {
            eoc_mistakes_add(mistakes, entries[row].place, key->name, "%s; leave it out or choose another kind",
                             why.data);
        }
        eoc_text_clear(&why);
    }
}

/* Where value `i` of `count` was written; generators make several from one text, and then it is the first text. */
static eoc_place place_of_value(const eoc_entry *entries, const char *name, int i, int count)
{
    const eoc_entry *entry = &entries[eoc_config_find(name)];
    return entry->count > 0 ? entry->places[entry->count == count ? i : 0] : entry->place;
}

static void check_studies(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    if (sweep->probe.nothing && !sweep->train.enabled) {
        eoc_mistakes_add(mistakes, place_of_value(entries, "probe.statistics", 0, 1), "probe.statistics",
                         "none leaves nothing to be done; accepted: statistics, or none beside a section 'train'");
    }
}

/* The one of two keys that was written, for a mistake of both; defaults do not clash. */
static const char *written_of(const eoc_entry *entries, const char *first, const char *second)
{
    return entries[eoc_config_find(first)].given ? first : second;
}

/* An interval, and the statistics that follow a gradient along one. */
static void check_interval(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    const eoc_probe *probe = &sweep->probe;
    const eoc_inputs *inputs = &probe->inputs;
    const unsigned along = probe->statistics & EOC_STATISTICS_ALONG_INPUTS;
    if (!inputs->kind || probe->nothing) {
        return;
    }
    if (along && !inputs->kind->is_interval) {
        eoc_mistakes_add(mistakes, place_of_value(entries, "probe.statistics", 0, 1), "probe.statistics",
                         "%s is of the gradient along an interval, which inputs of kind %s are not; accepted with it: "
                         "probe.inputs of kind interval",
                         along & EOC_STATISTIC_SHATTERING ? "shattering" : "gradient_covariance", inputs->kind->name);
        return;
    }
    if ((probe->statistics & EOC_STATISTIC_GRADIENT_CORRELATION) && inputs->kind->num_inputs(inputs) < 2) {
        eoc_mistakes_add(mistakes, place_of_value(entries, "probe.statistics", 0, 1), "probe.statistics",
                         "gradient_correlation is of pairs of inputs, and kind %s has one input; accepted with it: "
                         "probe.inputs of another kind",
                         inputs->kind->name);
    }
    if (inputs->kind->is_interval && !(inputs->from < inputs->to)) {
        const char *key = written_of(entries, "probe.inputs.to", "probe.inputs.from");
        eoc_mistakes_add(mistakes, place_of_value(entries, key, 0, 1), key,
                         "an interval from %.12g to %.12g has no points; accepted: from below to", inputs->from,
                         inputs->to);
    }
    if ((along & EOC_STATISTIC_SHATTERING) && probe->autocorrelation_lags >= inputs->points) {
        const char *key = written_of(entries, "probe.autocorrelation_lags", "probe.inputs.points");
        eoc_mistakes_add(mistakes, place_of_value(entries, key, 0, 1), key,
                         "%d points have no lag of %d; accepted: probe.autocorrelation_lags below probe.inputs.points",
                         inputs->points, probe->autocorrelation_lags);
    }
}

static void check_inputs(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    const eoc_inputs *inputs = &sweep->probe.inputs;
    if (inputs->kind && inputs->as_preprocessed && !inputs->kind->has_images) {
        eoc_mistakes_add(mistakes, place_of_value(entries, "probe.inputs.variance", 0, 1), "probe.inputs.variance",
                         "only images of a dataset are preprocessed, inputs of kind %s are not; accepted with it: a "
                         "number, or fixed_point",
                         inputs->kind->name);
    }
    if (inputs->kind && inputs->kind->has_points && inputs->points > inputs->kind->max_points) {
        eoc_mistakes_add(mistakes, place_of_value(entries, "probe.inputs.points", 0, 1), "probe.inputs.points",
                         "%d is too many for inputs of kind %s; accepted: up to %d", inputs->points, inputs->kind->name,
                         inputs->kind->max_points);
    }
}

static void check_widths(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    const eoc_input_kind *kind = sweep->probe.inputs.kind;
    const eoc_axis *width = &sweep->grid.axes[EOC_AXIS_WIDTH];
    for (int i = 0; kind && i < width->count; i++) {
        if (width->values[i] < kind->min_width) {
            eoc_mistakes_add(mistakes, place_of_value(entries, "grid.width", i, width->count), "grid.width",
                             "%.0f is too narrow for inputs of kind %s; accepted: widths of at least %d",
                             width->values[i], kind->name, kind->min_width);
            return;
        }
    }
}

static void check_sampler(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    const eoc_sampler *sampler = sweep->probe.sampler;
    const eoc_axis *axis = &sweep->grid.axes[EOC_AXIS_INITIALIZER];
    for (int i = 0; sampler && i < axis->count; i++) {
        eoc_initializer initializer;
        if (eoc_initializer_find(axis->names[i], &initializer) == EOC_OK && !sampler->can_draw(&initializer)) {
            eoc_mistakes_add(mistakes, place_of_value(entries, "probe.sampler", 0, 1), "probe.sampler",
                             "%s cannot draw the initializer %s; accepted for it: auto", sampler->name, axis->names[i]);
            return;
        }
    }
}

static void check_spectrum(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    const eoc_sampler *sampler = sweep->probe.sampler;
    if (sampler && strcmp(sampler->name, "explicit") != 0 && (sweep->probe.statistics & EOC_STATISTIC_SPECTRUM)) {
        eoc_mistakes_add(
            mistakes, place_of_value(entries, "probe.sampler", 0, 1), "probe.sampler",
            "%s never has a whole matrix, and the statistic spectrum needs one; accepted with it: explicit "
            "or auto",
            sampler->name);
    }
}

/* A statistic of networks in space, which others of the grid may stand beside. */
static void check_spatial(const eoc_entry *entries, const eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    const eoc_axis *axis = &sweep->grid.axes[EOC_AXIS_ARCHITECTURE];
    bool any = false;
    for (int i = 0; i < axis->count; i++) {
        eoc_architecture architecture;
        any = any || eoc_architecture_find(axis->names[i], &architecture) != EOC_OK || architecture.kind->geometry;
    }
    if ((sweep->probe.statistics & EOC_STATISTIC_SPATIAL) && axis->count > 0 && !any) {
        eoc_mistakes_add(mistakes, place_of_value(entries, "probe.statistics", 0, 1), "probe.statistics",
                         "spatial is over the positions of a convolution, and no architecture of the grid has any; "
                         "accepted with it: grid.architecture convolutional, alone or among others");
    }
}

/* -- architectures -- */

/* What rules of one network are told of: a network of the sweep but for its numbers. */
typedef struct {
    const eoc_entry *entries;
    const eoc_sweep *sweep;
    eoc_mistakes *mistakes;
    eoc_network network;
    int indices[3]; /* of architecture, activation, initializer */
} kinds;

static const eoc_axis_id kind_axes[3] = {EOC_AXIS_ARCHITECTURE, EOC_AXIS_ACTIVATION, EOC_AXIS_INITIALIZER};

static const char *name_of(const kinds *k, int which)
{
    return k->sweep->grid.axes[kind_axes[which]].names[k->indices[which]];
}

static eoc_place place_of_kind(const kinds *k, int which)
{
    static const char *const keys[3] = {"grid.architecture", "grid.activation", "grid.initializer"};
    return place_of_value(k->entries, keys[which], k->indices[which], k->sweep->grid.axes[kind_axes[which]].count);
}

/* The inputs of a batch that is coupled are its own: they are what the batch's means are taken over. */
static bool check_coupled(const kinds *k)
{
    enum { MIN_POINTS = 4 };
    const eoc_probe *probe = &k->sweep->probe;
    const eoc_input_kind *kind = probe->inputs.kind;
    if (!kind || probe->nothing) {
        return true;
    }
    if (!kind->is_independent && !kind->is_interval) {
        eoc_mistakes_add(k->mistakes, place_of_kind(k, 0), "grid.architecture",
                         "%s takes means over a batch of independent inputs, which a %s is not; accepted with it: "
                         "%d or more probe.inputs.points of kind gaussian or interval",
                         name_of(k, 0), kind->name, MIN_POINTS);
        return false;
    }
    if (probe->inputs.points < MIN_POINTS) {
        eoc_mistakes_add(k->mistakes, place_of_kind(k, 0), "grid.architecture",
                         "%s takes means over a batch, of which gradients have a finite mean square from %d inputs on "
                         "(positions are not counted); accepted: probe.inputs.points of at least %d",
                         name_of(k, 0), MIN_POINTS, MIN_POINTS);
        return false;
    }
    if ((probe->statistics & EOC_STATISTICS_HELD) && (probe->statistics & EOC_STATISTIC_GRADIENT)) {
        eoc_mistakes_add(k->mistakes, place_of_kind(k, 0), "grid.architecture",
                         "%s has two gradients, that of the statistic gradient through the batch's means and that of "
                         "one input with the means held; accepted: one of the two",
                         name_of(k, 0));
        return false;
    }
    if (probe->statistics & EOC_STATISTIC_SPECTRUM) {
        eoc_mistakes_add(k->mistakes, place_of_kind(k, 0), "grid.architecture",
                         "%s couples the inputs of a batch, and the statistic spectrum is of the Jacobian of one "
                         "input; accepted with it: the statistic jacobian, of the whole batch",
                         name_of(k, 0));
        return false;
    }
    return true;
}

/* What is measured of a network while it is trained is measured of plain layers. */
static bool check_trained(const kinds *k)
{
    const eoc_architecture *a = &k->network.architecture;
    const eoc_layer_needs needs = a->kind->needs(&k->network);
    const bool plain = strcmp(a->kind->name, "fully_connected") == 0 && a->kind->in_theory(&k->network);
    if (k->sweep->train.statistics == 0 || (plain && needs.features == 1)) {
        return true;
    }
    eoc_mistakes_add(k->mistakes, place_of_kind(k, plain ? 1 : 0), plain ? "grid.activation" : "grid.architecture",
                     "%s is trained without statistics on the way; accepted beside train.statistics: fully_connected "
                     "without normalization and dropout, of activations with one feature a unit, or with all others "
                     "none",
                     name_of(k, plain ? 1 : 0));
    return false;
}

/* As check_widths, of the width that matches a number of parameters. */
static bool check_matched_widths(const kinds *k)
{
    const eoc_input_kind *kind = k->sweep->probe.inputs.kind;
    const eoc_axis *axis = &k->sweep->grid.axes[EOC_AXIS_WIDTH];
    for (int i = 0; kind && i < axis->count; i++) {
        const int width = eoc_network_width(&k->network.architecture, &k->network.activation, (int)axis->values[i]);
        if (width < kind->min_width && axis->values[i] >= kind->min_width) {
            eoc_mistakes_add(k->mistakes, place_of_value(k->entries, "grid.width", i, axis->count), "grid.width",
                             "%.0f stands for %d units of %s with %s, too narrow for inputs of kind %s; accepted: "
                             "widths that stand for at least %d",
                             axis->values[i], width, name_of(k, 1), name_of(k, 0), kind->name, kind->min_width);
            return false;
        }
    }
    return true;
}

static bool check_kinds(const kinds *k)
{
    if (eoc_network_check(&k->network) != EOC_OK) {
        /* Of what the initializer asks for; an architecture that is none says so itself. */
        const eoc_initializer_kind *initializer = k->network.initializer.kind;
        const bool sound = eoc_network_check_layers(&k->network) == EOC_OK;
        const int which = sound && (initializer->mirrored || initializer->needs_space) ? 2 : 0;
        eoc_mistakes_add(k->mistakes, place_of_kind(k, which), which ? "grid.initializer" : "grid.architecture", "%s",
                         eoc_status_why());
        return false;
    }
    if (k->sweep->train.enabled && !check_trained(k)) {
        return false;
    }
    return check_matched_widths(k) && (!k->network.architecture.kind->needs(&k->network).coupled || check_coupled(k));
}

/* Every combination of kinds; also notes what their layers need. The first mistake is enough: others are of its kind.
 */
static void check_architectures(const eoc_entry *entries, eoc_sweep *sweep, eoc_mistakes *mistakes)
{
    const eoc_axis *axes = sweep->grid.axes;
    kinds k = {.entries = entries, .sweep = sweep, .mistakes = mistakes, .network = {.depth = 1, .width = 1}};
    bool first = true;
    for (k.indices[0] = 0; k.indices[0] < axes[EOC_AXIS_ARCHITECTURE].count; k.indices[0]++) {
        for (k.indices[1] = 0; k.indices[1] < axes[EOC_AXIS_ACTIVATION].count; k.indices[1]++) {
            for (k.indices[2] = 0; k.indices[2] < axes[EOC_AXIS_INITIALIZER].count; k.indices[2]++) {
                if (eoc_architecture_find(name_of(&k, 0), &k.network.architecture) != EOC_OK ||
                    eoc_activation_find(name_of(&k, 1), &k.network.activation) != EOC_OK ||
                    eoc_initializer_find(name_of(&k, 2), &k.network.initializer) != EOC_OK || !check_kinds(&k)) {
                    return;
                }
                const eoc_layer_needs needs = k.network.architecture.kind->needs(&k.network);
                sweep->probe.needs = first ? needs : eoc_layer_needs_join(sweep->probe.needs, needs);
                first = false;
                sweep->train.needs = sweep->probe.needs;
            }
        }
    }
}

/* -- the room's door -- */

void eoc_sweep_clear(eoc_sweep *sweep)
{
    free(sweep->title);
    free(sweep->output);
    free(sweep->whole);
    eoc_grid_clear(&sweep->grid);
    eoc_images_destroy(&sweep->images);
    *sweep = (eoc_sweep){0};
}

eoc_status eoc_sweep_take_images(eoc_sweep *sweep, const eoc_data *data)
{
    eoc_inputs *const inputs = &sweep->probe.inputs;
    EOC_TRY(eoc_images_check(inputs, &sweep->grid, data));
    eoc_images_destroy(&sweep->images);
    EOC_TRY(eoc_images_create(inputs, data, &sweep->images));
    inputs->images = sweep->images;
    return EOC_OK;
}

/* text: NULL, or what stands in the place of the file */
static eoc_status read_sweep(const char *path, const char *text, size_t num_bytes, const char *const *sets,
                             int num_sets, eoc_sweep *sweep, eoc_text *errors)
{
    *sweep = (eoc_sweep){0};
    const int num_keys = eoc_config_key_count();
    eoc_entry *entries = calloc((size_t)num_keys, sizeof *entries);
    eoc_mistakes *mistakes = calloc(1, sizeof *mistakes);
    if (!entries || !mistakes) {
        abort();
    }
    mistakes->path = path;
    mistakes->sets = sets;
    const bool complete = text ? entries_from_text(entries, mistakes, text, num_bytes, num_sets)
                               : strcmp(path, "-") == 0 || entries_from_file(entries, mistakes, num_sets);
    eoc_entries_from_sets(entries, mistakes, num_sets);
    choose_studies(entries, sweep);
    read_rows(entries, complete, sweep, mistakes);
    choose_variance(entries, sweep);
    check_unread(entries, sweep, mistakes);
    check_inputs(entries, sweep, mistakes);
    check_interval(entries, sweep, mistakes);
    check_widths(entries, sweep, mistakes);
    check_sampler(entries, sweep, mistakes);
    check_spectrum(entries, sweep, mistakes);
    check_spatial(entries, sweep, mistakes);
    check_studies(entries, sweep, mistakes);
    check_architectures(entries, sweep, mistakes);

    for (int row = 0; row < num_keys; row++) {
        eoc_entry_clear(&entries[row]);
    }
    free(entries);
    const int num_mistakes = mistakes->count;
    eoc_mistakes_print(mistakes, errors);
    free(mistakes);
    if (num_mistakes > 0) {
        eoc_sweep_clear(sweep);
        return EOC_FAIL(EOC_ERR_USAGE, "%d mistake%s in the sweep", num_mistakes, num_mistakes == 1 ? "" : "s");
    }
    return EOC_OK;
}

eoc_status eoc_config_read(const char *path, const char *const *sets, int num_sets, eoc_sweep *sweep, eoc_text *errors)
{
    return read_sweep(path, NULL, 0, sets, num_sets, sweep, errors);
}

eoc_status eoc_config_read_text(const char *name, const char *text, eoc_sweep *sweep, eoc_text *errors)
{
    return read_sweep(name, text, strlen(text), NULL, 0, sweep, errors);
}

eoc_status eoc_config_read_bytes(const char *name, const char *bytes, size_t num_bytes, const char *const *sets,
                                 int num_sets, eoc_sweep *sweep, eoc_text *errors)
{
    return read_sweep(name, bytes, num_bytes, sets, num_sets, sweep, errors);
}
