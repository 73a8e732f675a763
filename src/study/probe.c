/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/probe.h"

#include "probe_memory.h"
#include "probe_statistics.h"

#include "eoc/linalg.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
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
    {.name = "jacobian",
     .bit = EOC_STATISTIC_JACOBIAN,
     .formula = "log_jacobian_m1, log_jacobian_m2: m_k = tr((J^T J)^k)/N, J = dh^L/dh^0 at input 0, by random u",
     .source = "Pennington, Schoenholz & Ganguli 2017"},
    {.name = "finite_width",
     .bit = EOC_STATISTIC_FINITE_WIDTH,
     .formula = "chi_1 = sigma_w^2 mean(phi'(z)^2), kurtosis = mean(z^4)/mean(z^2)^2 of one network",
     .source = "Hanin & Rolnick 2018"},
    {.name = "spectrum",
     .bit = EOC_STATISTIC_SPECTRUM,
     .formula = "log_singular_values: all singular values of J = dh^L/dh^0 at input 0 (explicit weights)",
     .source = "Pennington, Schoenholz & Ganguli 2017; Stewart 1995"},
    {.name = "shattering",
     .bit = EOC_STATISTIC_SHATTERING,
     .formula = "input_gradient dy/dt of y = v.h^L along an interval (a batch's means held), gradient_autocorrelation, "
                "gradient_correlation",
     .source = "Balduzzi et al. 2017"},
    {.name = "gradient_correlation",
     .bit = EOC_STATISTIC_GRADIENT_CORRELATION,
     .formula = "mean over pairs of inputs of the cosine of dy/dz^1, y = v.h^L (a batch's means held)",
     .source = "Balduzzi et al. 2017"},
    {.name = "gradient_covariance",
     .bit = EOC_STATISTIC_GRADIENT_COVARIANCE,
     .formula = "mean over units of dy_a/dz^1 dy_b/dz^1, for every two points a, b of an interval",
     .source = "Balduzzi et al. 2017"},
    {.name = "spatial",
     .bit = EOC_STATISTIC_SPATIAL,
     .formula = "position_q, position_c, spatial_power, spatial_correlation of z^l over the positions of convolutions",
     .source = "Xiao et al. 2018"},
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

int eoc_probe_tangents(const eoc_probe *probe, const eoc_layer_needs *needs)
{
    const int columns = needs->coupled ? probe->inputs.kind->num_inputs(&probe->inputs) : 1;
    return probe->statistics & EOC_STATISTIC_JACOBIAN ? probe->jacobian_probes * columns : 0;
}

static int positions_of(const eoc_layer_needs *needs)
{
    return needs->positions > 1 ? needs->positions : 1;
}

int eoc_probe_columns(const eoc_probe *probe, const eoc_layer_needs *needs)
{
    const double vectors = (double)probe->inputs.kind->num_inputs(&probe->inputs) + eoc_probe_tangents(probe, needs);
    return (int)fmin(vectors * positions_of(needs), INT_MAX); /* of so many there is no memory */
}

int eoc_probe_modes(const eoc_probe *probe, const eoc_grid *grid)
{
    const eoc_axis *axis = &grid->axes[EOC_AXIS_WIDTH];
    int widest = 0;
    for (int i = 0; i < axis->count; i++) {
        widest = axis->values[i] > widest ? (int)axis->values[i] : widest;
    }
    const double most = (double)widest * positions_of(&probe->needs);
    const int modes = probe->spectrum_modes < most ? probe->spectrum_modes : (int)most;
    return probe->statistics & EOC_STATISTIC_SPECTRUM ? modes : 0;
}

int eoc_probe_points(const eoc_probe *probe)
{
    const bool along = (probe->statistics & EOC_STATISTICS_ALONG_INPUTS) != 0;
    return along ? probe->inputs.kind->num_inputs(&probe->inputs) : 0;
}

int eoc_probe_lags(const eoc_probe *probe)
{
    return probe->statistics & EOC_STATISTIC_SHATTERING ? probe->autocorrelation_lags + 1 : 0;
}

int eoc_probe_positions(const eoc_probe *probe)
{
    return probe->statistics & EOC_STATISTIC_SPATIAL ? positions_of(&probe->needs) : 0;
}

const eoc_sampler *eoc_probe_sampler(const eoc_probe *probe, const eoc_network *network)
{
    const eoc_architecture_kind *kind = network->architecture.kind;
    const eoc_layer_needs needs = kind->needs(network);
    const eoc_matrix matrix = kind->weights(network, network->depth > 1 ? 2 : 1);
    const int columns = eoc_probe_columns(probe, &needs);
    if (probe->sampler) {
        return probe->sampler;
    }
    /* All of J needs all of W, and so does training. */
    const bool whole = probe->nothing || (probe->statistics & EOC_STATISTIC_SPECTRUM);
    return whole ? eoc_sampler_find("explicit") : eoc_sampler_auto(&matrix, columns);
}

/* -- statistics -- */

void eoc_autocorrelation(const double *g, int n, double *r, int num_lags)
{
    double max = 0.0, mean = 0.0, square = 0.0;
    for (int i = 0; i < n; i++) {
        max = fmax(max, fabs(g[i]));
    }
    const double unit = max > 0.0 ? max : 1.0; /* squares of tiny numbers would be none */
    for (int i = 0; i < n; i++) {
        mean += g[i] / unit / n;
    }
    for (int i = 0; i < n; i++) {
        square += (g[i] / unit - mean) * (g[i] / unit - mean);
    }
    for (int k = 0; k < num_lags; k++) {
        double sum = 0.0;
        for (int i = 0; i + k < n; i++) {
            sum += (g[i] / unit - mean) * (g[i + k] / unit - mean);
        }
        r[k] = square > n * 1e-24 ? sum / square : NAN;
    }
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
    eoc_layer_needs needs;
    int positions;    /* columns of a vector */
    int num_tangents; /* columns of them all */
    const int *layers;
    int num_layers;
    eoc_probe_workspace *w;
    eoc_segments segments;
    eoc_layer_tools tools;
    const eoc_host *host;
    const eoc_probe_rows *rows;
    bool gradients;    /* whether gradients of the inputs go back, beside cotangents */
    int num_lags;      /* of the statistic shattering */
    int num_positions; /* entries of a layer in the rows of the statistic spatial */
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

/* A batch whose columns are the vectors of a layer, all positions one after the other. */
static eoc_batch whole_vectors(const pass *p, const eoc_batch *batch)
{
    eoc_batch whole = *batch;
    whole.columns /= p->positions;
    whole.width *= p->positions;
    return whole;
}

static bool given_up(const pass *p)
{
    return p->host && p->host->tick && p->host->tick(p->host->context);
}

/* Over the positions of layer l, where the network has a space. */
static void note_space(const pass *p, int index, const eoc_batch *z)
{
    if (!p->rows->position_q || index < 0 || !p->network->architecture.kind->geometry) {
        return;
    }
    const eoc_geometry g = eoc_network_geometry(p->network);
    const size_t at = (size_t)index * (size_t)p->num_positions;
    const eoc_spatial_rows rows = {p->rows->position_q + at, p->rows->position_c + at, p->rows->spatial_power + at,
                                   p->rows->spatial_correlation + at};
    eoc_spatial_fill(&g, z, p->w->spatial, &rows);
}

static void note_forward(const pass *p, int l, const eoc_layer *layer, double log_q)
{
    const int index = kept_index(p, l);
    if (index < 0) {
        return;
    }
    const eoc_batch whole = whole_vectors(p, &layer->z);
    put(p->rows->log_q, index, log_q);
    if (p->rows->c) {
        double c = NAN, one_minus_c = NAN;
        eoc_batch_cosine(&whole, &c, &one_minus_c);
        put(p->rows->c, index, c);
        put(p->rows->one_minus_c, index, one_minus_c);
    }
    if (p->rows->chi_1) {
        put(p->rows->chi_1, index, p->network->architecture.kind->chi_1(p->network, l, layer));
        put(p->rows->kurtosis, index, eoc_batch_kurtosis(&whole));
    }
    note_space(p, index, &layer->z);
}

/* The basis of the product so far through layer l, for the statistic spectrum. */
static void push_spectrum(const pass *p, int l, const eoc_layer *layer)
{
    if (!p->w->svd) {
        return;
    }
    const eoc_architecture_kind *kind = p->network->architecture.kind;
    eoc_batch in = {.width = kind->width(p->network, l - 1)};
    eoc_batch out = {.width = kind->width(p->network, l), .values = p->w->product};
    /* read only: a batch is a view without const */
    in.values = (double *)eoc_product_svd_basis(p->w->svd, &in.columns);
    in.columns *= p->positions;
    out.columns = in.columns;
    kind->push_tangents(p->network, &p->tools, l, layer, &in, &out);
    out = whole_vectors(p, &out);
    (void)eoc_product_svd_push(p->w->svd, out.values, out.width, out.exponent); /* what is not finite comes out NaN */
}

/* All values where they fit, else the quantiles (i + 1/2)/modes of them. */
static void note_spectrum(const pass *p, int num_modes)
{
    const int n = p->positions * p->network->width;
    double *const values = p->w->product, *const row = p->rows->log_singular_values;
    eoc_product_svd_finish(p->w->svd, values);
    for (int i = 0; i < num_modes && i < n; i++) {
        row[i] = n <= num_modes ? values[i] : values[(int)((i + 0.5) / num_modes * n)];
    }
}

/* Up through the layers; stops at the first one that is not finite. False when given up. */
static bool forward_pass(const pass *p, eoc_signals *h, eoc_outcome *outcome)
{
    double last_log_q = 0.0;
    for (int l = 1; l <= p->network->depth; l++) {
        if (given_up(p)) {
            return false;
        }
        if (p->w->way_back && p->segments.length < p->network->depth && (l - 1) % p->segments.length == 0) {
            eoc_probe_keep(p->w, &p->segments, (l - 1) / p->segments.length, h);
        }
        eoc_layer *layer = eoc_probe_layer(p->w, &p->segments, p->network, l);
        p->network->architecture.kind->forward(p->network, &p->tools, l, h, layer);
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
        push_spectrum(p, l, layer);
        note_forward(p, l, layer, log_q);
    }
    return true;
}

/* Gradients of a coupled batch are of other read-outs each, and have no cosine. */
static void note_gradients(const pass *p, int index, const eoc_batch *dz)
{
    double c = NAN, one_minus_c = NAN;
    if (!p->needs.coupled) {
        const eoc_batch whole = whole_vectors(p, dz);
        eoc_batch_cosine(&whole, &c, &one_minus_c);
    }
    put(p->rows->log_gradient_q, index, eoc_batch_log_mean_square(dz));
    put(p->rows->gradient_c, index, c);
}

/* value * 2^exponent; infinite or zero beyond the range */
static double scaled(double value, int64_t exponent)
{
    return scalbn(value, exponent > 5000 ? 5000 : exponent < -5000 ? -5000 : (int)exponent);
}

/* Of dy/dz^1: inner products of the inputs' gradients, and their mean cosine. */
static void note_gradient_pairs(const pass *p, const eoc_batch *by_position)
{
    const eoc_batch dz = whole_vectors(p, by_position);
    const size_t inputs = (size_t)dz.columns;
    double *const gram = p->tools.gram;
    if (!p->rows->gradient_correlation && !p->rows->gradient_covariance) {
        return;
    }
    eoc_linalg_gram(dz.values, dz.columns, dz.width, gram);
    for (size_t i = 0; p->rows->gradient_covariance && i < inputs * inputs; i++) {
        p->rows->gradient_covariance[i] = scaled(gram[i] / dz.width, 2 * dz.exponent);
    }
    double sum = 0.0, pairs = 0.0;
    for (size_t a = 0; a < inputs; a++) {
        for (size_t b = 0; b < a; b++) {
            const double norms = sqrt(gram[a * inputs + a]) * sqrt(gram[b * inputs + b]);
            if (norms > 0.0) {
                sum += gram[a * inputs + b] / norms;
                pairs += 1.0;
            }
        }
    }
    put(p->rows->gradient_correlation, 0, pairs > 0.0 ? sum / pairs : NAN);
}

/* dy/dt of every point of an interval, and its autocorrelation: sqrt(N) dy/dx_1, or along the direction in space. */
static void note_input_gradients(const pass *p, const eoc_batch *by_position)
{
    const eoc_batch dx = whole_vectors(p, by_position);
    double *const g = p->rows->input_gradient, *const direction = p->w->up; /* free behind the way back */
    const size_t n = (size_t)dx.width;
    if (!g) {
        return;
    }
    if (p->positions > 1) {
        eoc_interval_direction(p->network->key, dx.width, direction);
    }
    for (int a = 0; a < dx.columns; a++) {
        const double *const to_x = dx.values + (size_t)a * n;
        g[a] = p->positions > 1 ? eoc_linalg_dot(direction, to_x, n) : sqrt((double)n) * to_x[0];
    }
    eoc_autocorrelation(g, dx.columns, p->rows->gradient_autocorrelation, p->num_lags);
    for (int a = 0; a < dx.columns; a++) {
        g[a] = scaled(g[a], dx.exponent);
    }
}

/* The layers of the segment that ends with layer l, run again where they were overwritten. False when given up. */
static bool run_segment_again(const pass *p, int l)
{
    const int i = (l - 1) / p->segments.length;
    const int width = p->network->architecture.kind->width(p->network, i * p->segments.length);
    eoc_signals h = eoc_probe_signals(p->w->up, p->positions * p->w->num_inputs, p->num_tangents, width);
    eoc_probe_restore(p->w, &p->segments, i, &h);
    for (int k = i * p->segments.length + 1; k <= l; k++) {
        if (given_up(p)) {
            return false;
        }
        p->network->architecture.kind->forward(p->network, &p->tools, k, &h,
                                               eoc_probe_layer(p->w, &p->segments, p->network, k));
    }
    return true;
}

/* Gradients of E_a = v.h^L(x_a), one v for all inputs, or one each where they act on each other; cotangents J u, where
 * the tangents of h^L are. */
static eoc_signals begin_way_back(const pass *p, const eoc_signals *h)
{
    const eoc_batch whole = whole_vectors(p, &h->inputs);
    const size_t width = (size_t)whole.width;
    const int num_inputs = p->gradients ? whole.columns : 0;
    const bool one_each = p->needs.coupled && !p->tools.held;
    eoc_signals dh = eoc_probe_signals(p->w->down[0], p->positions * num_inputs, p->num_tangents, h->inputs.width);
    for (int c = 0; c < num_inputs; c++) {
        double *const v = dh.inputs.values + (size_t)c * width;
        if (c == 0 || one_each) {
            const eoc_stream readout = {p->network->key, 0, EOC_TENSOR_READOUT, (uint32_t)c};
            eoc_rng_normals(&readout, v, width);
        } else {
            memcpy(v, dh.inputs.values, sizeof(double) * width);
        }
    }
    memcpy(dh.tangents.values, h->tangents.values,
           sizeof(double) * (size_t)h->tangents.width * (size_t)h->tangents.columns);
    dh.tangents.exponent = h->tangents.exponent;
    return dh;
}

/* Down from the last layer; leaves dE/dh^0 in *dh where there are cotangents. False when given up. */
static bool backward_pass(const pass *p, eoc_signals *dh)
{
    const eoc_architecture_kind *architecture = p->network->architecture.kind;
    const int depth = p->network->depth;
    eoc_signals next = eoc_probe_signals(p->w->down[1], dh->inputs.columns, p->num_tangents, p->network->width);
    for (int l = depth; l >= 1; l--) {
        const bool overwritten = l % p->segments.length == 0 && l != depth;
        if (given_up(p) || (overwritten && !run_segment_again(p, l))) {
            return false;
        }
        const eoc_layer *layer = &p->w->layers[l - 1];
        architecture->backward_activation(p->network, &p->tools, l, layer, dh);
        const int index = p->rows->log_gradient_q ? kept_index(p, l) : -1;
        if (index >= 0) {
            note_gradients(p, index, &dh->inputs);
        }
        double *const by_weights =
            index >= 0 && p->rows->log_weight_gradient_q ? &p->rows->log_weight_gradient_q[index] : NULL;
        if (l == 1) {
            note_gradient_pairs(p, &dh->inputs);
        }
        const bool further = l > 1 || dh->tangents.columns || p->rows->input_gradient;
        if (further || by_weights) {
            architecture->backward_weights(p->network, &p->tools, l, layer, dh, further ? &next : NULL, by_weights);
        }
        if (further) {
            const eoc_signals free_signals = *dh;
            *dh = next;
            next = free_signals;
        }
    }
    return true;
}

/* Vectors as long as an input that are one vector u: of a coupled batch, its inputs. */
static int tangent_parts(const pass *p)
{
    return p->needs.coupled ? p->w->num_inputs : 1;
}

/* Random unit vectors: E|J u|^2 = tr(J^T J)/N. */
static void draw_tangents(const pass *p, const eoc_batch *by_position)
{
    const eoc_batch tangents = whole_vectors(p, by_position);
    const size_t width = (size_t)tangents.width, together = (size_t)tangent_parts(p);
    for (int c = 0; c < tangents.columns; c++) {
        const eoc_stream stream = {p->network->key, 0, EOC_TENSOR_TANGENT, (uint32_t)c};
        eoc_rng_normals(&stream, tangents.values + (size_t)c * width, width);
    }
    for (size_t c = 0; c < (size_t)tangents.columns; c += together) {
        double *const u = tangents.values + c * width;
        eoc_linalg_scale(1.0 / eoc_linalg_norm(u, together * width), u, together * width);
    }
}

/* log of the mean |t|^2 over the vectors of a batch */
static double log_mean_norm2(const pass *p, const eoc_batch *batch)
{
    return eoc_batch_log_mean_square(batch) + log((double)whole_vectors(p, batch).width * tangent_parts(p));
}

static void blank(double *row, int n)
{
    for (int i = 0; row && i < n; i++) {
        row[i] = NAN;
    }
}

static void blank_rows(const eoc_probe *probe, const eoc_probe_rows *rows, int num_layers, int num_modes)
{
    const int points = eoc_probe_points(probe);
    double *const per_layer[] = {
        rows->log_q,          rows->c,          rows->one_minus_c,          rows->chi_1, rows->kurtosis,
        rows->log_gradient_q, rows->gradient_c, rows->log_weight_gradient_q};
    for (size_t i = 0; i < sizeof per_layer / sizeof per_layer[0]; i++) {
        blank(per_layer[i], num_layers);
    }
    blank(rows->log_jacobian_m1, 1);
    blank(rows->log_jacobian_m2, 1);
    blank(rows->log_singular_values, num_modes);
    blank(rows->input_gradient, points);
    blank(rows->gradient_autocorrelation, eoc_probe_lags(probe));
    blank(rows->gradient_correlation, 1);
    blank(rows->gradient_covariance, points * points);
    double *const per_position[] = {rows->position_q, rows->position_c, rows->spatial_power, rows->spatial_correlation};
    for (size_t i = 0; i < sizeof per_position / sizeof per_position[0]; i++) {
        blank(per_position[i], num_layers * eoc_probe_positions(probe));
    }
}

bool eoc_probe_run(const eoc_probe *probe, const eoc_network *network, double variance, const int *layers,
                   int num_layers, eoc_probe_workspace *workspace, const eoc_host *host, eoc_probe_rows *rows,
                   eoc_outcome *outcome)
{
    assert(network->depth <= workspace->max_depth && network->width <= workspace->max_width);
    blank_rows(probe, rows, num_layers, workspace->num_modes);
    *outcome = (eoc_outcome){.status = EOC_DONE, .reason = EOC_REASON_NONE, .last_layer = 0};
    const eoc_sampler *sampler = eoc_probe_sampler(probe, network);
    const eoc_layer_needs needs = network->architecture.kind->needs(network);
    const pass p = {.network = network,
                    .needs = needs,
                    .positions = positions_of(&needs),
                    .num_tangents = positions_of(&needs) * eoc_probe_tangents(probe, &needs),
                    .layers = layers,
                    .num_layers = num_layers,
                    .w = workspace,
                    .segments = eoc_probe_segments(probe, workspace, network, sampler),
                    .tools = {.sampler = sampler,
                              .weights = workspace->weights,
                              .bias = workspace->bias,
                              .scratch = workspace->scratch,
                              .gram = workspace->gram,
                              .patches = workspace->patches,
                              .patch_doubles = (size_t)workspace->patch_doubles,
                              .held = (probe->statistics & EOC_STATISTICS_HELD) != 0},
                    .host = host,
                    .rows = rows,
                    .gradients = (probe->statistics & (EOC_STATISTICS_BACK & ~(unsigned)EOC_STATISTIC_JACOBIAN)) != 0,
                    .num_lags = eoc_probe_lags(probe),
                    .num_positions = eoc_probe_positions(probe)};
    const int positions = p.positions, length = positions * network->width;
    eoc_signals h = eoc_probe_signals(workspace->up, positions * workspace->num_inputs, p.num_tangents, network->width);
    eoc_inputs_fill(&probe->inputs, network, variance, h.inputs.values);
    draw_tangents(&p, &h.tangents);
    if (workspace->svd) {
        eoc_product_svd_begin(workspace->svd, length);
    }
    if (!forward_pass(&p, &h, outcome)) {
        return false;
    }
    if (outcome->status != EOC_DONE) {
        return true;
    }
    if (workspace->svd) {
        note_spectrum(&p, workspace->num_modes);
    }
    if (!workspace->way_back) {
        return true;
    }
    eoc_signals dh = begin_way_back(&p, &h);
    if (dh.tangents.columns) {
        put(rows->log_jacobian_m1, 0, log_mean_norm2(&p, &dh.tangents));
    }
    if (!backward_pass(&p, &dh)) {
        return false;
    }
    if (dh.tangents.columns) {
        put(rows->log_jacobian_m2, 0, log_mean_norm2(&p, &dh.tangents));
    }
    note_input_gradients(&p, &dh.inputs);
    return true;
}
