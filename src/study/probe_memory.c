/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Kept layers take this much unless a few of them take more: 64 ranks of a node of 64 GiB and more have it. */
static const double ARENA_BYTES = 512.0 * 1024 * 1024;

/* What one layer keeps, and the signals ahead of a segment. */
typedef struct {
    double layer, signals;
} demand;

static double num_columns(const eoc_probe *probe)
{
    return probe->inputs.kind->num_inputs(&probe->inputs) + eoc_probe_tangents(probe);
}

static bool wants_way_back(const eoc_probe *probe)
{
    return (probe->statistics & (EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN)) != 0;
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
static demand demand_of(const eoc_probe *probe, int width)
{
    const double inputs = probe->inputs.kind->num_inputs(&probe->inputs), n = width, columns = num_columns(probe);
    double kept = 0.0;
    for (int row = 0; may_be_implicit(probe) && row < eoc_initializer_count(); row++) {
        const eoc_initializer initializer = {.kind = eoc_initializer_row(row)};
        const eoc_matrix matrix = {.initializer = initializer, .fan_out = width, .fan_in = width};
        const eoc_sampler *implicit = eoc_sampler_find("implicit");
        if (implicit->can_draw(&initializer)) {
            kept = fmax(kept, (double)implicit->kept_bytes(&matrix, (int)columns) / sizeof(double));
        }
    }
    return (demand){.layer = (wants_slopes(probe) ? inputs * n : 0.0) + inputs * inputs + kept, .signals = columns * n};
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
    const demand d = demand_of(probe, max_width);
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
    const demand d = demand_of(probe, network->width);
    return sizeof(double) * segments_doubles(d, network->depth, network->depth) <= ARENA_BYTES;
}

/* Doubles of the one allocation beside the arena. */
static double fixed_doubles(const eoc_probe *probe, int max_width)
{
    const double inputs = probe->inputs.kind->num_inputs(&probe->inputs), width = max_width;
    return (wants_way_back(probe) ? 4.0 : 2.0) * num_columns(probe) * width + width + inputs * inputs;
}

static int weights_columns(const eoc_probe *probe)
{
    return may_be_implicit(probe) ? (int)num_columns(probe) : 0;
}

double eoc_probe_workspace_bytes(const eoc_probe *probe, int max_depth, int max_width)
{
    return sizeof(double) * (fixed_doubles(probe, max_width) +
                             arena_doubles(probe, max_depth, max_width, ARENA_BYTES / sizeof(double))) +
           (double)max_depth * (sizeof(eoc_layer) + 2 * sizeof(int64_t)) +
           eoc_weights_bytes(max_width, weights_columns(probe)) +
           (wants_spectrum(probe) ? eoc_product_svd_bytes(max_width) + 8.0 * max_width * max_width : 0.0);
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
    w->num_inputs = probe->inputs.kind->num_inputs(&probe->inputs);
    w->num_tangents = eoc_probe_tangents(probe);
    w->way_back = wants_way_back(probe);
    w->slopes = wants_slopes(probe);
    w->arena_doubles = arena_doubles(probe, max_depth, max_width, arena_bytes / sizeof(double));
    const double total = fixed_doubles(probe, max_width) + w->arena_doubles;
    w->memory = total < 1e15 ? malloc(sizeof(double) * (size_t)total) : NULL;
    w->layers = calloc((size_t)max_depth, sizeof *w->layers);
    w->exponents = calloc((size_t)max_depth, sizeof *w->exponents);
    eoc_status status = eoc_weights_create(max_width, weights_columns(probe), &w->weights);
    if (status == EOC_OK && wants_spectrum(probe)) {
        w->num_modes = probe->spectrum_modes < max_width ? probe->spectrum_modes : max_width;
        w->product = malloc(sizeof(double) * (size_t)max_width * (size_t)max_width);
        status = w->product ? eoc_product_svd_create(max_width, &w->svd) : EOC_ERR_NOMEM;
    }
    if (!w->memory || !w->layers || !w->exponents || status != EOC_OK) {
        const int num_inputs = w->num_inputs;
        eoc_probe_workspace_destroy(&w);
        return EOC_FAIL(
            EOC_ERR_NOMEM, "out of memory: a probe of depth %d, width %d and %d inputs needs %.3g GiB on each rank",
            max_depth, max_width, num_inputs, eoc_probe_workspace_bytes(probe, max_depth, max_width) / 1073741824.0);
    }
    const size_t signals = (size_t)num_columns(probe) * (size_t)max_width;
    w->up = w->memory;
    w->z = w->up + signals;
    w->bias = w->z + signals;
    w->gram = w->bias + max_width;
    w->arena = w->gram + (size_t)w->num_inputs * (size_t)w->num_inputs;
    w->down[0] = w->arena + (size_t)w->arena_doubles;
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

eoc_segments eoc_probe_segments(const eoc_probe_workspace *w, const eoc_network *network, const eoc_sampler *sampler)
{
    const size_t inputs = (size_t)w->num_inputs, n = (size_t)network->width;
    const int columns = w->num_inputs + w->num_tangents;
    const eoc_matrix matrix = network->architecture.kind->weights(network, 1);
    const size_t kept = sampler->kept_bytes(&matrix, columns);
    const eoc_segments s = {.layer_doubles = (w->slopes ? inputs * n : 0) + inputs * inputs +
                                             (kept + sizeof(double) - 1) / sizeof(double),
                            .signal_doubles = (size_t)columns * n};
    const demand d = {(double)s.layer_doubles, (double)s.signal_doubles};
    const int length = w->way_back ? longest(d, network->depth, w->arena_doubles) : 1;
    return (eoc_segments){length, s.layer_doubles, s.signal_doubles};
}

eoc_signals eoc_probe_signals(const eoc_probe_workspace *w, const eoc_network *network, double *values, int num_inputs)
{
    const eoc_batch inputs = {.columns = num_inputs, .width = network->width, .values = values};
    const eoc_batch tangents = {.columns = w->num_tangents,
                                .width = network->width,
                                .values = values + (size_t)num_inputs * (size_t)network->width};
    return (eoc_signals){inputs, tangents};
}

eoc_layer *eoc_probe_layer(eoc_probe_workspace *w, const eoc_segments *segments, const eoc_network *network, int l)
{
    const size_t inputs = (size_t)w->num_inputs;
    double *place = w->arena + (size_t)((l - 1) % segments->length) * segments->layer_doubles;
    eoc_layer *layer = &w->layers[l - 1];
    layer->z = (eoc_batch){.columns = w->num_inputs, .width = network->width, .values = w->z};
    layer->input_gram = place;
    place += inputs * inputs;
    layer->slope = NULL;
    if (w->slopes) {
        layer->slope = place;
        place += inputs * (size_t)network->width;
    }
    layer->kept = place;
    return layer;
}

static double *signals_place(const eoc_probe_workspace *w, const eoc_segments *segments, int i)
{
    return w->arena + (size_t)segments->length * segments->layer_doubles + (size_t)i * segments->signal_doubles;
}

void eoc_probe_keep(eoc_probe_workspace *w, const eoc_segments *segments, int i, const eoc_signals *signals)
{
    memcpy(signals_place(w, segments, i), signals->inputs.values, sizeof(double) * segments->signal_doubles);
    w->exponents[i][0] = signals->inputs.exponent;
    w->exponents[i][1] = signals->tangents.exponent;
}

void eoc_probe_restore(const eoc_probe_workspace *w, const eoc_segments *segments, int i, eoc_signals *signals)
{
    memcpy(signals->inputs.values, signals_place(w, segments, i), sizeof(double) * segments->signal_doubles);
    signals->inputs.exponent = w->exponents[i][0];
    signals->tangents.exponent = w->exponents[i][1];
}
