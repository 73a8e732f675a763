/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of trained networks, and how one is laid out in it. Compiled for float and for double. */
#include "eoc/net.h"

#include "net_parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- how much -- */

static size_t matrix_count(size_t fan_out, size_t fan_in)
{
    return fan_out * fan_in + fan_out;
}

static size_t at_least_one(int count)
{
    return count > 1 ? (size_t)count : 1;
}

/* Parameters of the largest network, and of its largest part. */
static size_t most_parameters(const eoc_net_limits *limits, size_t *largest_part)
{
    const size_t n = (size_t)limits->max_width, features = at_least_one(limits->needs.features) * n;
    const size_t taps = at_least_one(limits->needs.taps), positions = at_least_one(limits->needs.positions);
    const size_t blocks =
        at_least_one(limits->needs.least_positions); /* of an image, fewer pixels the more there are */
    const size_t first = matrix_count(n, taps * ((size_t)limits->features / blocks)),
                 inner = matrix_count(n, taps * features),
                 second = limits->needs.second_matrix ? matrix_count(n, taps * n) : 0,
                 last = matrix_count((size_t)limits->outputs, positions * features),
                 norm = limits->needs.normalized ? 2 * n : 0, depth = (size_t)limits->max_depth;
    *largest_part = depth > 1 && inner > first ? inner : first;
    *largest_part = last > *largest_part ? last : *largest_part;
    return first + (depth - 1) * (inner + second) + depth * norm + last;
}

/* Numbers of each array. */
typedef struct {
    size_t parameters, gradient, running, outputs, row, feature_row, moments, sums, neighbours, blocks, patches;
    size_t kept_of_a_layer, kept, firsts;
    int segment;
} sizes;

/* Bytes of what is there whatever the segments are. */
static double fixed_bytes(const eoc_net_limits *limits, const sizes *s)
{
    const double reals = (1.0 + limits->num_states) * (double)s->parameters + (double)s->gradient + (double)s->running +
                         (double)s->outputs + 3.0 * (double)s->feature_row + (double)s->row + (double)s->moments +
                         (double)s->sums + (double)s->patches;
    return (double)most_parts(limits->max_depth) * (double)sizeof(eoc_net_part) +
           (double)most_layers(limits->max_depth) * (double)sizeof(eoc_net_layer) + sizeof(eoc_real) * reals +
           sizeof(int32_t) * ((double)s->neighbours + (double)s->blocks) + 3.0 * sizeof(double) * limits->outputs;
}

static double segment_reals(const sizes *s, int depth, int length)
{
    const double others = ceil((double)depth / length) - 1.0;
    return (double)s->kept_of_a_layer * length + (double)s->feature_row * others;
}

/* The longest segments that fit into the memory, for a longer one is less to run again; else the smallest ones. */
static void cut_into_segments(const eoc_net_limits *limits, sizes *s)
{
    const double room = limits->memory > 0.0 ? (limits->memory - fixed_bytes(limits, s)) / sizeof(eoc_real) : INFINITY;
    const int depth = limits->max_depth;
    s->segment = depth;
    for (int length = depth - 1; length > 0 && segment_reals(s, depth, s->segment) > room; length--) {
        if (segment_reals(s, depth, length) < segment_reals(s, depth, s->segment)) {
            s->segment = length;
        }
    }
    s->kept = s->kept_of_a_layer * (size_t)s->segment;
    s->firsts = s->feature_row * (size_t)((depth - 1) / s->segment);
}

static sizes sizes_of(const eoc_net_limits *limits)
{
    const eoc_layer_needs *needs = &limits->needs;
    const size_t depth = (size_t)limits->max_depth, width = (size_t)limits->max_width;
    const size_t positions = at_least_one(needs->positions), taps = at_least_one(needs->taps);
    const size_t rows = (size_t)limits->batch * positions;
    const size_t row = rows * width, feature_row = row * at_least_one(needs->features);
    size_t largest_part = 0;
    sizes s = {.parameters = most_parameters(limits, &largest_part)};
    s.gradient = limits->whole_gradient ? s.parameters : largest_part;
    s.running = needs->coupled ? 2 * width * depth : 0;
    s.outputs = (size_t)limits->batch * (size_t)limits->outputs;
    s.row = row;
    s.feature_row = feature_row;
    s.moments = needs->normalized ? 2 * width : 0;
    s.sums = 2 * width > (size_t)limits->outputs ? 2 * width : (size_t)limits->outputs;
    if (needs->positions > 0) {
        s.neighbours = positions * taps;
        s.blocks = taps * (size_t)limits->features;
        s.patches = EOC_NET(patch_reals)(limits, largest_part);
    }
    /* h and phi'; where there is scratch to speak of, the stream of residual networks; x and 1/s of a normalization */
    s.kept_of_a_layer =
        2 * feature_row + (needs->scratch ? row : 0) + (needs->normalized ? row + (rows > width ? rows : width) : 0);
    cut_into_segments(limits, &s);
    return s;
}

double EOC_NET(bytes)(const eoc_net_limits *limits)
{
    const sizes s = sizes_of(limits);
    return fixed_bytes(limits, &s) + sizeof(eoc_real) * ((double)s.kept + (double)s.firsts);
}

bool EOC_NET(keeps_all)(const eoc_net_limits *limits)
{
    return sizes_of(limits).segment == limits->max_depth;
}

/* -- memory -- */

static void *array(size_t count, size_t size, bool *good)
{
    void *const values = *good ? calloc(count > 0 ? count : 1, size) : NULL;
    *good = values != NULL;
    return values;
}

static bool allocate(eoc_net *net, const sizes *s)
{
    const size_t real = sizeof(eoc_real);
    bool good = true;
    net->layers = array(most_layers(net->limits.max_depth), sizeof *net->layers, &good);
    net->parts = array(most_parts(net->limits.max_depth), sizeof *net->parts, &good);
    net->parameters = array(s->parameters, real, &good);
    for (int i = 0; i < net->limits.num_states; i++) {
        net->states[i] = array(s->parameters, real, &good);
    }
    net->gradient = array(s->gradient, real, &good);
    net->running = array(s->running, real, &good);
    net->kept = array(s->kept, real, &good);
    net->firsts = array(s->firsts, real, &good);
    net->output = array(s->outputs, real, &good);
    net->dz = array(s->feature_row, real, &good);
    net->dh = array(s->feature_row, real, &good);
    net->z = array(s->feature_row, real, &good);
    net->stream = array(s->row, real, &good);
    net->moments = array(s->moments, real, &good);
    net->sums = array(s->sums, real, &good);
    net->neighbours = array(s->neighbours, sizeof(int32_t), &good);
    net->blocks = array(s->blocks, sizeof(int32_t), &good);
    net->sample = array(3 * (size_t)net->limits.outputs, sizeof *net->sample, &good);
    net->patches = array(s->patches, real, &good);
    return good;
}

eoc_status EOC_NET(create)(const eoc_net_limits *limits, eoc_net **out)
{
    eoc_net *const net = calloc(1, sizeof *net);
    *out = net;
    bool good = net != NULL;
    if (good) {
        const sizes s = sizes_of(limits);
        net->limits = *limits;
        net->segment = s.segment;
        good = allocate(net, &s);
    }
    if (!good) {
        EOC_NET(destroy)(out);
        return EOC_FAIL(EOC_ERR_NOMEM, "out of memory to train a network of depth %d and width %d (%.3g bytes)",
                        limits->max_depth, limits->max_width, EOC_NET(bytes)(limits));
    }
    return EOC_OK;
}

void EOC_NET(destroy)(eoc_net **out)
{
    eoc_net *const net = *out;
    if (!net) {
        return;
    }
    eoc_real *const arrays[] = {net->parameters, net->gradient, net->running, net->kept, net->firsts,
                                net->output,     net->dz,       net->dh,      net->z,    net->stream,
                                net->moments,    net->sums,     net->patches};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        free(arrays[i]);
    }
    for (int i = 0; i < EOC_OPTIMIZER_STATES; i++) {
        free(net->states[i]);
    }
    free(net->sample);
    free(net->neighbours);
    free(net->blocks);
    free(net->layers);
    free(net->parts);
    free(net);
    *out = NULL;
}

/* -- laying out: from what the layers do to the parts, and where their numbers lie -- */

typedef struct {
    eoc_net *net;
    eoc_norm norm;
    eoc_geometry geometry;
    bool convolves;
    int features, width, rows; /* of a unit; values of a row so far, rows of a sample */
    eoc_real *kept;            /* the next free */
    eoc_real *running;         /* likewise */
} plan;

static eoc_real *keep_values(plan *p, size_t count)
{
    eoc_real *const place = p->kept;
    p->kept += count;
    return place;
}

static eoc_real *keep_rows(plan *p, int width)
{
    return keep_values(p, (size_t)p->net->limits.batch * (size_t)p->rows * (size_t)width);
}

static eoc_net_part *add_part(plan *p, int kind, int layer, int width, size_t count)
{
    eoc_net *const net = p->net;
    eoc_net_part *const part = &net->parts[net->num_parts++];
    *part = (eoc_net_part){.kind = &EOC_NET(part_kinds)[kind],
                           .layer = layer,
                           .fan_in = p->width,
                           .width = width,
                           .rows = p->rows,
                           .offset = net->num_parameters,
                           .count = count};
    net->num_parameters += count;
    p->width = width;
    return part;
}

static void note_matrix(plan *p, const eoc_net_part *part, uint32_t which)
{
    eoc_net *const net = p->net;
    net->layers[net->num_layers++] = (eoc_net_layer){.fan_out = part->width,
                                                     .fan_in = part->fan_in,
                                                     .offset = part->offset,
                                                     .count = part->count,
                                                     .layer = part->layer,
                                                     .which = which};
}

static eoc_net_part *add_matrix(plan *p, int kind, int layer, uint32_t which, int fan_out)
{
    eoc_net_part *const part = add_part(p, kind, layer, fan_out, matrix_count((size_t)fan_out, (size_t)p->width));
    part->num_biases = (size_t)fan_out;
    note_matrix(p, part, which);
    return part;
}

/* Of a hidden layer from the rows of the one before, or of the first from the blocks of an image. */
static eoc_net_part *add_convolution(plan *p, int layer, uint32_t which, int fan_out)
{
    eoc_net *const net = p->net;
    const int taps = eoc_geometry_taps(&p->geometry), positions = eoc_geometry_positions(&p->geometry);
    const bool first = net->num_parts == 0;
    const int channels = first ? net->limits.features / positions : p->width;
    p->width = taps * channels;
    p->rows = positions;
    eoc_net_part *const part =
        add_part(p, EOC_NET_CONVOLUTION, layer, fan_out, matrix_count((size_t)fan_out, (size_t)p->width));
    part->num_biases = (size_t)fan_out;
    part->taps = first ? 0 : taps;
    part->gather = first ? (eoc_net_gather){net->blocks, taps * channels, 1, net->limits.features}
                         : (eoc_net_gather){net->neighbours, taps, channels, positions * channels};
    part->back = (eoc_net_gather){net->neighbours, taps, fan_out, positions * fan_out};
    note_matrix(p, part, which);
    return part;
}

static void add_phi(plan *p, eoc_net_part *part)
{
    part->out = keep_rows(p, part->width);
    part->slope = keep_rows(p, part->width);
}

static void add_norm(plan *p, int layer)
{
    const size_t rows = (size_t)p->net->limits.batch * (size_t)p->rows, n = (size_t)p->width;
    eoc_net_part *const part = add_part(p, EOC_NET_NORM, layer, p->width, 2 * n);
    part->out = p->net->z;
    part->x = keep_rows(p, p->width);
    part->inverse = keep_values(p, rows > n ? rows : n);
    if (p->norm.rule == EOC_NORM_BATCH) {
        part->running = p->running;
        p->running += 2 * n;
    }
}

static const eoc_layer_doing *pass_over(const plan *p, const eoc_layer_doing *doing)
{
    return *doing == EOC_DO_NORM && p->norm.rule == EOC_NORM_NONE ? doing + 1 : doing;
}

/* z = W h + b, with a plain phi behind it where it has one, in one part. */
static void add_product(plan *p, int l, uint32_t which, bool with_phi, bool last)
{
    eoc_net *const net = p->net;
    const int width = net->network.width;
    eoc_net_part *const part = p->convolves
                                   ? add_convolution(p, l, which, width)
                                   : add_matrix(p, with_phi ? EOC_NET_MATRIX_PHI : EOC_NET_MATRIX, l, which, width);
    if (with_phi) {
        add_phi(p, part);
    } else {
        part->out = last ? keep_rows(p, part->width) : net->z;
    }
}

static void lay_out_layer(plan *p, int l)
{
    eoc_net *const net = p->net;
    const eoc_layer_form form = net->network.architecture.kind->form(&net->network, l);
    const bool plain_phi = p->features == 1 && eoc_network_keep(&net->network) == 1.0;
    uint32_t which = 0;
    if ((l - 1) % net->segment == 0) {
        p->kept = net->kept; /* of a new segment */
    }
    for (const eoc_layer_doing *doing = pass_over(p, form.doings); *doing; doing = pass_over(p, doing + 1)) {
        const eoc_layer_doing *const next = pass_over(p, doing + 1);
        if (*doing == EOC_DO_MATRIX) {
            const bool with_phi = *next == EOC_DO_PHI && plain_phi;
            add_product(p, l, which++, with_phi, !*next);
            doing = with_phi ? next : doing;
        } else if (*doing == EOC_DO_PHI) {
            add_phi(p, add_part(p, EOC_NET_PHI, l, p->features * p->width, 0));
        } else if (*doing == EOC_DO_NORM) {
            add_norm(p, l);
        } else if (*doing == EOC_DO_FORK) {
            add_part(p, EOC_NET_FORK, l, p->width, 0);
        } else {
            eoc_net_part *const part = add_part(p, EOC_NET_ADD, l, p->width, 0);
            part->skip = form.skip;
            part->branch = form.branch;
            part->out = keep_rows(p, p->width);
        }
    }
}

static void lay_out_readout(plan *p)
{
    eoc_net *const net = p->net;
    const eoc_architecture_kind *kind = net->network.architecture.kind;
    const int layer = net->network.depth + 1;
    if (kind->averages && kind->averages(&net->network)) {
        eoc_net_part *const part = add_part(p, EOC_NET_AVERAGE, layer, p->width, 0);
        part->out = net->z;
    } else {
        p->width *= p->rows;
    }
    p->rows = 1;
    add_matrix(p, EOC_NET_MATRIX, layer, 0, net->limits.outputs)->out = net->output;
}

void EOC_NET(lay_out)(eoc_net *net)
{
    plan p = {.net = net,
              .norm = eoc_network_norm(&net->network),
              .geometry = eoc_network_geometry(&net->network),
              .convolves = net->network.architecture.kind->geometry != NULL,
              .features = eoc_activation_features(&net->network.activation),
              .width = net->limits.features,
              .rows = 1,
              .kept = net->kept,
              .running = net->running};
    const sizes s = sizes_of(&net->limits);
    net->num_parts = net->num_layers = 0;
    net->num_parameters = 0;
    if (p.convolves) {
        EOC_NET(fill_tables)(net);
    }
    for (int l = 1; l <= net->network.depth; l++) {
        lay_out_layer(&p, l);
        assert((size_t)(p.kept - net->kept) <= s.kept);
    }
    lay_out_readout(&p);
    net->num_running = (size_t)(p.running - net->running);
    assert(net->num_parameters <= s.parameters && net->num_running <= s.running);
    (void)s;
}
