/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/probe.h"

#include "eoc/linalg.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const eoc_statistic_row statistics[] = {
    {.name = "forward",
     .bit = EOC_STATISTIC_FORWARD,
     .formula = "log_q, c, one_minus_c of the pre-activations z^l",
     .source = "Poole et al. 2016"},
    {.name = "gradient",
     .bit = EOC_STATISTIC_GRADIENT,
     .formula = "log_gradient_q, gradient_c, log_weight_gradient_q of E_a = v.h^L(x_a), v ~ N(0, I)",
     .source = "Schoenholz et al. 2017"},
};

int eoc_statistic_count(void)
{
    return (int)(sizeof statistics / sizeof statistics[0]);
}

const eoc_statistic_row *eoc_statistic_row_of(int row)
{
    assert(row >= 0 && row < eoc_statistic_count());
    return &statistics[row];
}

/* -- memory -- */

struct eoc_probe_workspace {
    int num_inputs, max_depth, max_width;
    bool keep_layers; /* a gradient pass needs every layer's z */
    eoc_weights *weights;
    double *memory;    /* all of the following */
    double *h;         /* (num_inputs, max_width): h^l on the way up */
    double *dz, *dh;   /* (num_inputs, max_width) on the way down */
    double *bias;      /* (max_width) */
    double *gram;      /* (num_inputs, num_inputs) */
    double *z;         /* (kept layers, num_inputs, max_width) */
    double *grams;     /* (kept layers, num_inputs, num_inputs) */
    eoc_layer *layers; /* (max_depth) */
};

static int kept_layers(const eoc_probe *probe, int max_depth)
{
    return probe->statistics & EOC_STATISTIC_GRADIENT ? max_depth : 1;
}

static int num_inputs_of(const eoc_probe *probe)
{
    return probe->inputs.kind->num_inputs(&probe->inputs);
}

/* Doubles of the one allocation. */
static double num_doubles(const eoc_probe *probe, int max_depth, int max_width)
{
    const double columns = num_inputs_of(probe), kept = kept_layers(probe, max_depth), width = max_width;
    return 3.0 * columns * width + width + columns * columns + kept * columns * (width + columns);
}

double eoc_probe_workspace_bytes(const eoc_probe *probe, int max_depth, int max_width)
{
    const double scratch = max_width > 16384 ? max_width : 16384;
    return sizeof(double) * num_doubles(probe, max_depth, max_width) + sizeof(eoc_layer) * (double)max_depth +
           12.0 * scratch + 8.0 * max_width;
}

eoc_status eoc_probe_workspace_create(const eoc_probe *probe, int max_depth, int max_width,
                                      eoc_probe_workspace **workspace)
{
    eoc_probe_workspace *w = calloc(1, sizeof *w);
    EOC_REQUIRE(w, EOC_ERR_NOMEM, "out of memory");
    const double total = num_doubles(probe, max_depth, max_width);
    const size_t columns = (size_t)num_inputs_of(probe), kept = (size_t)kept_layers(probe, max_depth);
    const size_t batch = columns * (size_t)max_width;
    w->num_inputs = (int)columns;
    w->max_depth = max_depth;
    w->max_width = max_width;
    w->keep_layers = kept > 1 || max_depth == 1;
    w->memory = total < 1e15 ? malloc(sizeof(double) * (size_t)total) : NULL;
    w->layers = calloc((size_t)max_depth, sizeof *w->layers);
    const eoc_status status = eoc_weights_create(max_width, &w->weights);
    if (!w->memory || !w->layers || status != EOC_OK) {
        eoc_probe_workspace_destroy(&w);
        return EOC_FAIL(
            EOC_ERR_NOMEM, "out of memory: a probe of depth %d, width %d and %zu inputs needs %.3g GiB on each rank",
            max_depth, max_width, columns, eoc_probe_workspace_bytes(probe, max_depth, max_width) / 1073741824.0);
    }
    w->h = w->memory;
    w->dz = w->h + batch;
    w->dh = w->dz + batch;
    w->bias = w->dh + batch;
    w->gram = w->bias + max_width;
    w->z = w->gram + columns * columns;
    w->grams = w->z + kept * batch;
    *workspace = w;
    return EOC_OK;
}

void eoc_probe_workspace_destroy(eoc_probe_workspace **workspace)
{
    if (*workspace) {
        eoc_weights_destroy(&(*workspace)->weights);
        free((*workspace)->memory);
        free((*workspace)->layers);
        free(*workspace);
        *workspace = NULL;
    }
}

const eoc_sampler *eoc_probe_sampler(const eoc_probe *probe, const eoc_network *network)
{
    return probe->sampler ? probe->sampler
                          : eoc_sampler_auto(&network->initializer, network->width, num_inputs_of(probe));
}

/* -- statistics -- */

/*
 * Cosine of the first two vectors of a batch, and 1 - cosine from the difference of the normalised vectors, which keeps
 * its digits where they are nearly parallel. NaN when there are not two, or one is zero.
 */
static void cosine(const eoc_batch *batch, double *c, double *one_minus_c)
{
    *c = *one_minus_c = NAN;
    if (batch->columns < 2) {
        return;
    }
    const size_t n = (size_t)batch->width;
    const double *x = batch->values, *y = batch->values + n;
    const double x_norm = eoc_linalg_norm(x, n), y_norm = eoc_linalg_norm(y, n);
    if (x_norm == 0.0 || y_norm == 0.0) {
        return;
    }
    double difference2 = 0.0, product = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double u = x[i] / x_norm, v = y[i] / y_norm;
        difference2 += (u - v) * (u - v);
        product += u * v;
    }
    *one_minus_c = 0.5 * difference2;
    *c = *one_minus_c < 0.5 ? 1.0 - *one_minus_c : product;
}

static void put(double *row, int index, double value)
{
    if (row && index >= 0) {
        row[index] = value;
    }
}

/* -- the two passes -- */

typedef struct {
    const eoc_network *network;
    const int *layers;
    int num_layers;
    eoc_probe_workspace *w;
    eoc_layer_tools tools;
    const eoc_host *host;
    const eoc_probe_rows *rows;
} pass;

/* Index of layer l among the kept ones, or -1. */
static int kept_index(const pass *p, int l)
{
    int low = 0, high = p->num_layers - 1;
    while (low <= high) {
        const int middle = (low + high) / 2;
        if (p->layers[middle] == l) {
            return middle;
        }
        if (p->layers[middle] < l) {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return -1;
}

static bool given_up(const pass *p)
{
    return p->host && p->host->tick && p->host->tick(p->host->context);
}

static eoc_batch batch_of(const pass *p, double *values)
{
    return (eoc_batch){.columns = p->w->num_inputs, .width = p->network->width, .exponent = 0, .values = values};
}

/* Where layer l keeps its state: its own place, or the one place when no way back is asked for. */
static eoc_layer *layer_of(const pass *p, int l)
{
    const size_t columns = (size_t)p->w->num_inputs, place = p->w->keep_layers ? (size_t)l - 1 : 0;
    eoc_layer *layer = &p->w->layers[l - 1];
    layer->z = batch_of(p, p->w->z + place * columns * (size_t)p->w->max_width);
    layer->input_gram = p->w->grams + place * columns * columns;
    return layer;
}

/* Up through the layers; stops at the first one that is not finite. False when given up. */
static bool forward_pass(const pass *p, eoc_batch *h, eoc_outcome *outcome)
{
    const eoc_architecture_kind *architecture = p->network->architecture.kind;
    double last_log_q = 0.0;
    for (int l = 1; l <= p->network->depth; l++) {
        if (given_up(p)) {
            return false;
        }
        eoc_layer *layer = layer_of(p, l);
        architecture->forward(p->network, &p->tools, l, h, layer);
        const double log_q = eoc_batch_log_mean_square(&layer->z);
        if (isnan(log_q) || log_q == INFINITY) {
            /* A sum of opposite infinities is NaN too: a NaN is one in its own right only after small numbers. */
            const bool overflow = log_q == INFINITY || last_log_q > 600.0;
            outcome->status = EOC_DIVERGED;
            outcome->reason = overflow ? EOC_REASON_OVERFLOW : EOC_REASON_NAN;
            return true;
        }
        last_log_q = log_q;
        outcome->last_layer = l;
        const int index = kept_index(p, l);
        if (index >= 0) {
            double c = NAN, one_minus_c = NAN;
            cosine(&layer->z, &c, &one_minus_c);
            put(p->rows->log_q, index, log_q);
            put(p->rows->c, index, c);
            put(p->rows->one_minus_c, index, one_minus_c);
        }
    }
    return true;
}

static void note_gradients(const pass *p, int l, const eoc_layer *layer, const eoc_batch *dz)
{
    const int index = kept_index(p, l);
    if (index < 0) {
        return;
    }
    double c = NAN, one_minus_c = NAN;
    cosine(dz, &c, &one_minus_c);
    put(p->rows->log_gradient_q, index, eoc_batch_log_mean_square(dz));
    put(p->rows->gradient_c, index, c);
    put(p->rows->log_weight_gradient_q, index,
        p->network->architecture.kind->log_weight_gradient_q(p->network, layer, dz, p->w->gram));
}

/* Down from E_a = v.h^L(x_a), one v for all inputs. False when given up. */
static bool backward_pass(const pass *p)
{
    const eoc_architecture_kind *architecture = p->network->architecture.kind;
    const size_t width = (size_t)p->network->width;
    eoc_batch dz = batch_of(p, p->w->dz), dh = batch_of(p, p->w->dh);
    const eoc_stream readout = {p->network->key, 0, EOC_TENSOR_READOUT, 0};
    eoc_rng_normals(&readout, dz.values, width);
    for (int c = 1; c < dz.columns; c++) {
        memcpy(dz.values + (size_t)c * width, dz.values, sizeof(double) * width);
    }
    for (int l = p->network->depth; l >= 1; l--) {
        if (given_up(p)) {
            return false;
        }
        const eoc_layer *layer = &p->w->layers[l - 1];
        architecture->backward_activation(p->network, l, layer, &dz);
        note_gradients(p, l, layer, &dz);
        if (l > 1) {
            architecture->backward_weights(p->network, &p->tools, l, layer, &dz, &dh);
            const eoc_batch free_batch = dz;
            dz = dh;
            dh = free_batch;
        }
    }
    return true;
}

static void blank(double *row, int n)
{
    for (int i = 0; row && i < n; i++) {
        row[i] = NAN;
    }
}

bool eoc_probe_run(const eoc_probe *probe, const eoc_network *network, double variance, const int *layers,
                   int num_layers, eoc_probe_workspace *workspace, const eoc_host *host, eoc_probe_rows *rows,
                   eoc_outcome *outcome)
{
    assert(network->depth <= workspace->max_depth && network->width <= workspace->max_width);
    double *const all_rows[] = {rows->log_q,          rows->c,          rows->one_minus_c,
                                rows->log_gradient_q, rows->gradient_c, rows->log_weight_gradient_q};
    for (size_t i = 0; i < sizeof all_rows / sizeof all_rows[0]; i++) {
        blank(all_rows[i], num_layers);
    }
    *outcome = (eoc_outcome){.status = EOC_DONE, .reason = EOC_REASON_NONE, .last_layer = 0};
    const pass p = {
        .network = network,
        .layers = layers,
        .num_layers = num_layers,
        .w = workspace,
        .tools = {.sampler = eoc_probe_sampler(probe, network), .weights = workspace->weights, .bias = workspace->bias},
        .host = host,
        .rows = rows};
    eoc_batch h = batch_of(&p, workspace->h);
    probe->inputs.kind->fill(&probe->inputs, network->key, network->width, variance, h.values);
    if (!forward_pass(&p, &h, outcome)) {
        return false;
    }
    const bool gradients = (probe->statistics & EOC_STATISTIC_GRADIENT) && outcome->status == EOC_DONE;
    return !gradients || backward_pass(&p);
}
