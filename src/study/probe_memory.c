/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe_memory.h"

#include "probe_statistics.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Kept layers take this much unless a few of them take more: 64 ranks of a node of 64 GiB and more have it. */
static const double ARENA_BYTES = 512.0 * 1024 * 1024;

/* What one layer keeps, and the signals ahead of a segment. */
typedef struct {
    double layer, signals;
} demand;

static double num_columns(const eoc_probe *probe, const eoc_layer_needs *needs)
{
    return eoc_probe_columns(probe, needs);
}

static int at_least_one(int count)
{
    return count > 1 ? count : 1;
}

static int num_features(const eoc_layer_needs *needs)
{
    return at_least_one(needs->features);
}

static int num_inputs_of(const eoc_probe *probe)
{
    return probe->inputs.kind->num_inputs(&probe->inputs);
}

/* Columns of the inputs. */
static int input_columns(const eoc_probe *probe, const eoc_layer_needs *needs)
{
    return at_least_one(needs->positions) * num_inputs_of(probe);
}

static bool wants_way_back(const eoc_probe *probe)
{
    return (probe->statistics & EOC_STATISTICS_BACK) != 0;
}

static bool wants_slopes(const eoc_probe *probe)
{
    return wants_way_back(probe) || (probe->statistics & (EOC_STATISTIC_FINITE_WIDTH | EOC_STATISTIC_SPECTRUM)) != 0;
}

static bool wants_spectrum(const eoc_probe *probe)
{
    return (probe->statistics & EOC_STATISTIC_SPECTRUM) != 0;
}

static bool may_be_implicit(const eoc_probe *probe)
{
    return probe->sampler ? probe->sampler == eoc_sampler_find("implicit") : !wants_spectrum(probe);
}

/* Doubles; a Haar matrix keeps most. */
static demand demand_of(const eoc_probe *probe, const eoc_layer_needs *needs, int width)
{
    const int inputs = input_columns(probe, needs), features = num_features(needs) * width;
    const double columns = num_columns(probe, needs);
    double kept = 0.0;
    for (int row = 0; may_be_implicit(probe) && row < eoc_initializer_count(); row++) {
        const eoc_initializer initializer = {.kind = eoc_initializer_row(row)};
        const eoc_matrix matrix = {
            .initializer = initializer, .fan_out = width, .fan_in = at_least_one(needs->drawn_taps) * features};
        const eoc_sampler *implicit = eoc_sampler_find("implicit");
        if (implicit->can_draw(&initializer)) {
            kept = fmax(kept, (double)implicit->kept_bytes(&matrix, (int)columns) / sizeof(double));
        }
    }
    return (demand){.layer = (wants_slopes(probe) ? (double)inputs * features : 0.0) +
                             eoc_layer_noted_doubles(needs, num_inputs_of(probe), width) +
                             (needs->normalized ? (double)eoc_norm_doubles(inputs, width) : 0.0) +
                             (needs->second_matrix ? 2.0 : 1.0) * ceil(kept),
                    .signals = columns * features};
}

static double segments_doubles(demand d, int depth, int length)
{
    return length * d.layer + (length < depth ? ceil((double)depth / length) * d.signals : 0.0);
}

/* The greatest length that fits into `room` doubles; 0 when none does. */
static int longest(demand d, int depth, double room)
{
    if (segments_doubles(d, depth, depth) <= room) {
        return depth;
    }
    int best = 0;
    for (int length = 1; length < depth; length++) {
        if (segments_doubles(d, depth, length) <= room) {
            best = length;
        }
    }
    return best;
}

/* `limit` doubles, or what the least memory that serves takes above it. */
static double arena_doubles(const eoc_probe *probe, int max_depth, int max_width, double limit)
{
    const demand d = demand_of(probe, &probe->needs, max_width);
    if (!wants_way_back(probe)) {
        return d.layer;
    }
    double least = segments_doubles(d, max_depth, max_depth);
    for (int length = 1; length < max_depth && least > limit; length++) {
        least = fmin(least, segments_doubles(d, max_depth, length));
    }
    const double all = segments_doubles(d, max_depth, max_depth);
    return fmax(least, fmin(all, limit));
}

bool eoc_probe_keeps_all(const eoc_probe *probe, const eoc_network *network)
{
    const eoc_layer_needs needs = network->architecture.kind->needs(network);
    const demand d = demand_of(probe, &needs, network->width);
    return sizeof(double) * segments_doubles(d, network->depth, network->depth) <= ARENA_BYTES;
}

/* Doubles of one buffer of signals, and of the scratch memory of layers: all of J may pass through it. */
static double buffer_doubles(const eoc_probe *probe, int max_width)
{
    return num_columns(probe, &probe->needs) * num_features(&probe->needs) * max_width;
}

static double scratch_doubles(const eoc_probe *probe, int max_width)
{
    const double side = (double)max_width * at_least_one(probe->needs.positions);
    const double basis = wants_spectrum(probe) ? num_features(&probe->needs) * side * side : 0.0;
    return probe->needs.scratch ? fmax(buffer_doubles(probe, max_width), basis) : 0.0;
}

static double spatial_doubles(const eoc_probe *probe)
{
    return probe->statistics & EOC_STATISTIC_SPATIAL ? (double)eoc_spatial_doubles(eoc_probe_positions(probe)) : 0.0;
}

/* Patches of all columns; of a basis of all of J, which is drawn for again and again, those of so many at a time. */
static double patch_doubles(const eoc_probe *probe, int max_width)
{
    const eoc_layer_needs *needs = &probe->needs;
    const double positions = at_least_one(needs->positions), basis = positions * positions * max_width;
    /* Networks of fewer positions round up to others of their multiples. */
    const double most = eoc_layer_columns_at_a_time((int)positions) + positions;
    const double at_a_time = wants_spectrum(probe) ? fmin(basis, most) : 0.0;
    return eoc_layer_patch_doubles(needs, fmax(num_columns(probe, needs), at_a_time), max_width);
}

/* Doubles of the one allocation beside the arena. */
static double fixed_doubles(const eoc_probe *probe, int max_width)
{
    const double width = max_width;
    return (wants_way_back(probe) ? 3.0 : 1.0) * buffer_doubles(probe, max_width) +
           num_columns(probe, &probe->needs) * width + scratch_doubles(probe, max_width) + width +
           eoc_layer_gram_doubles(&probe->needs, num_inputs_of(probe), max_width) + patch_doubles(probe, max_width) +
           spatial_doubles(probe);
}

static int weights_columns(const eoc_probe *probe)
{
    return may_be_implicit(probe) ? (int)num_columns(probe, &probe->needs) : 0;
}

/* The longest side of a matrix that is drawn, and of a factor of J. */
static int longest_fan(const eoc_probe *probe, int max_width)
{
    return at_least_one(probe->needs.drawn_taps) * num_features(&probe->needs) * max_width;
}

static double longest_side(const eoc_probe *probe, int max_width)
{
    return (double)at_least_one(probe->needs.positions) * num_features(&probe->needs) * max_width;
}

/* Doubles of a basis behind a layer. */
static double product_doubles(const eoc_probe *probe, int max_width)
{
    return longest_side(probe, max_width) * max_width * at_least_one(probe->needs.positions);
}

double eoc_probe_workspace_bytes(const eoc_probe *probe, int max_depth, int max_width)
{
    return sizeof(double) * (fixed_doubles(probe, max_width) +
                             arena_doubles(probe, max_depth, max_width, ARENA_BYTES / sizeof(double))) +
           (double)max_depth * (sizeof(eoc_layer) + 2 * sizeof(int64_t)) +
           eoc_weights_bytes(longest_fan(probe, max_width), weights_columns(probe)) +
           (wants_spectrum(probe) ? eoc_product_svd_bytes((int)fmin(longest_side(probe, max_width), INT_MAX)) +
                                        8.0 * product_doubles(probe, max_width)
                                  : 0.0);
}

eoc_status eoc_probe_workspace_create(const eoc_probe *probe, int max_depth, int max_width,
                                      eoc_probe_workspace **workspace)
{
    return eoc_probe_workspace_create_within(probe, max_depth, max_width, ARENA_BYTES, workspace);
}

eoc_status eoc_probe_workspace_create_within(const eoc_probe *probe, int max_depth, int max_width, double arena_bytes,
                                             eoc_probe_workspace **workspace)
{
    eoc_probe_workspace *w = calloc(1, sizeof *w);
    EOC_REQUIRE(w, EOC_ERR_NOMEM, "out of memory");
    w->max_depth = max_depth;
    w->max_width = max_width;
    w->num_inputs = num_inputs_of(probe);
    w->patch_doubles = patch_doubles(probe, max_width);
    w->way_back = wants_way_back(probe);
    w->slopes = wants_slopes(probe);
    w->arena_doubles = arena_doubles(probe, max_depth, max_width, arena_bytes / sizeof(double));
    const double total = fixed_doubles(probe, max_width) + w->arena_doubles;
    /* A vector's values are counted by an int. */
    w->memory =
        total < 1e15 && longest_side(probe, max_width) < INT_MAX ? malloc(sizeof(double) * (size_t)total) : NULL;
    w->layers = calloc((size_t)max_depth, sizeof *w->layers);
    w->exponents = calloc((size_t)max_depth, sizeof *w->exponents);
    const double side = longest_side(probe, max_width);
    eoc_status status = eoc_weights_create(longest_fan(probe, max_width), weights_columns(probe), &w->weights);
    if (status == EOC_OK && w->memory && wants_spectrum(probe)) {
        const int most = max_width * at_least_one(probe->needs.positions);
        w->num_modes = probe->spectrum_modes < most ? probe->spectrum_modes : most;
        w->product = malloc(sizeof(double) * (size_t)product_doubles(probe, max_width));
        status = w->product ? eoc_product_svd_create((int)side, &w->svd) : EOC_ERR_NOMEM;
    }
    if (!w->memory || !w->layers || !w->exponents || status != EOC_OK) {
        const int num_inputs = w->num_inputs;
        eoc_probe_workspace_destroy(&w);
        return EOC_FAIL(
            EOC_ERR_NOMEM, "out of memory: a probe of depth %d, width %d and %d inputs needs %.3g GiB on each rank",
            max_depth, max_width, num_inputs, eoc_probe_workspace_bytes(probe, max_depth, max_width) / 1073741824.0);
    }
    const size_t signals = (size_t)buffer_doubles(probe, max_width);
    w->up = w->memory;
    w->z = w->up + signals;
    w->bias = w->z + (size_t)num_columns(probe, &probe->needs) * (size_t)max_width;
    w->gram = w->bias + max_width;
    w->patches = w->gram + (size_t)eoc_layer_gram_doubles(&probe->needs, w->num_inputs, max_width);
    w->spatial = w->patches + (size_t)w->patch_doubles;
    w->arena = w->spatial + (size_t)spatial_doubles(probe);
    w->scratch = w->arena + (size_t)w->arena_doubles;
    w->down[0] = w->scratch + (size_t)scratch_doubles(probe, max_width);
    w->down[1] = w->down[0] + signals;
    *workspace = w;
    return EOC_OK;
}

void eoc_probe_workspace_destroy(eoc_probe_workspace **workspace)
{
    if (*workspace) {
        eoc_weights_destroy(&(*workspace)->weights);
        eoc_product_svd_destroy(&(*workspace)->svd);
        free((*workspace)->product);
        free((*workspace)->memory);
        free((*workspace)->layers);
        free((*workspace)->exponents);
        free(*workspace);
        *workspace = NULL;
    }
}

eoc_segments eoc_probe_segments(const eoc_probe *probe, const eoc_probe_workspace *w, const eoc_network *network,
                                const eoc_sampler *sampler)
{
    const eoc_architecture_kind *kind = network->architecture.kind;
    const eoc_layer_needs needs = kind->needs(network);
    const size_t inputs = (size_t)input_columns(probe, &needs);
    const size_t features = (size_t)num_features(&needs) * (size_t)network->width;
    const int columns = eoc_probe_columns(probe, &needs);
    size_t kept = 0;
    for (int l = 1; l <= 2 && l <= network->depth; l++) {
        const eoc_matrix matrix = kind->weights(network, l);
        const size_t bytes = sampler->kept_bytes(&matrix, columns);
        kept = bytes > kept ? bytes : kept;
    }
    /* A second matrix meets the features, and is the larger one. */
    eoc_matrix second = kind->weights(network, 1);
    second.fan_in = at_least_one(needs.drawn_taps) * (int)features;
    const size_t second_kept = needs.second_matrix ? sampler->kept_bytes(&second, columns) : 0;
    eoc_segments s = {.signal_doubles = (size_t)columns * features,
                      .slope_doubles = w->slopes ? inputs * features : 0,
                      .noted_doubles = (size_t)eoc_layer_noted_doubles(&needs, w->num_inputs, network->width),
                      .norm_doubles = needs.normalized ? eoc_norm_doubles((int)inputs, network->width) : 0,
                      .kept_doubles = (kept + sizeof(double) - 1) / sizeof(double)};
    s.layer_doubles = s.noted_doubles + s.slope_doubles + s.norm_doubles + s.kept_doubles +
                      (second_kept + sizeof(double) - 1) / sizeof(double);
    const demand d = {(double)s.layer_doubles, (double)s.signal_doubles};
    s.length = w->way_back ? longest(d, network->depth, w->arena_doubles) : 1;
    return s;
}

eoc_signals eoc_probe_signals(double *values, int inputs, int tangents, int width)
{
    eoc_signals s = {.inputs = {.columns = inputs, .values = values}, .tangents = {.columns = tangents}};
    eoc_signals_set_width(&s, width);
    return s;
}

eoc_layer *eoc_probe_layer(eoc_probe_workspace *w, const eoc_segments *segments, const eoc_network *network, int l)
{
    const int columns = eoc_network_positions(network) * w->num_inputs;
    double *place = w->arena + (size_t)((l - 1) % segments->length) * segments->layer_doubles;
    eoc_layer *layer = &w->layers[l - 1];
    layer->z = (eoc_batch){.columns = columns, .width = network->width, .values = w->z};
    layer->noted = place;
    place += segments->noted_doubles;
    layer->slope = w->slopes ? place : NULL;
    place += segments->slope_doubles;
    layer->norm = place;
    place += segments->norm_doubles;
    layer->kept = place;
    layer->second_kept = place + segments->kept_doubles;
    return layer;
}

static double *signals_place(const eoc_probe_workspace *w, const eoc_segments *segments, int i)
{
    return w->arena + (size_t)segments->length * segments->layer_doubles + (size_t)i * segments->signal_doubles;
}

/* Inputs and tangents, one behind the other. */
static size_t num_values(const eoc_signals *signals)
{
    return (size_t)(signals->inputs.columns + signals->tangents.columns) * (size_t)signals->inputs.width;
}

void eoc_probe_keep(eoc_probe_workspace *w, const eoc_segments *segments, int i, const eoc_signals *signals)
{
    memcpy(signals_place(w, segments, i), signals->inputs.values, sizeof(double) * num_values(signals));
    w->exponents[i][0] = signals->inputs.exponent;
    w->exponents[i][1] = signals->tangents.exponent;
}

void eoc_probe_restore(const eoc_probe_workspace *w, const eoc_segments *segments, int i, eoc_signals *signals)
{
    memcpy(signals->inputs.values, signals_place(w, segments, i), sizeof(double) * num_values(signals));
    signals->inputs.exponent = w->exponents[i][0];
    signals->tangents.exponent = w->exponents[i][1];
}
