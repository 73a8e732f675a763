/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/train.h"

#include "eoc/net.h"

#include "net_statistics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- what is asked for -- */

/* The least recorded step after `step` < last. There may be 1e8 steps: only recorded ones are looked at. */
static int next_recorded(const eoc_layers *rule, int step, int last)
{
    if (step == 0 || rule->rule == EOC_LAYERS_ALL) {
        return step + 1;
    }
    if (rule->rule == EOC_LAYERS_EVERY) {
        const int left = rule->number - step % rule->number;
        return left < last - step ? step + left : last;
    }
    if (rule->number < 2) {
        return last;
    }
    const double spacing = log((double)last) / (rule->number - 1);
    double next = 0.0;
    for (double k = floor(log((double)step) / spacing); next <= step; k += 1.0) {
        next = round(exp(k * spacing));
    }
    return next < last ? (int)next : last;
}

int eoc_train_record(const eoc_train *train, int *steps)
{
    int count = 0;
    for (int step = 0; step < train->steps; step = next_recorded(&train->record, step, train->steps)) {
        steps[count++] = step;
    }
    steps[count++] = train->steps;
    return count;
}

int eoc_train_record_count(const eoc_train *train)
{
    int count = 1;
    for (int step = 0; step < train->steps; step = next_recorded(&train->record, step, train->steps)) {
        count++;
    }
    return count;
}

/* -- how large -- */

enum { LEAST_BATCH = 64 }; /* of evaluations, where the batch of training is smaller */
static const double GIB = 1073741824.0;

static int samples_at_a_time(const eoc_train *train)
{
    return train->micro_batch > 0 && train->micro_batch < train->batch ? train->micro_batch : train->batch;
}

static bool in_pieces(const eoc_train *train)
{
    return samples_at_a_time(train) < train->batch;
}

/* Of an evaluation: memory over space, and of what comes in pieces, is for as few samples as training takes. By the
 * network and not by the grid, for sums of losses, and means of a batch, are those of so many. */
static int evaluated_at_a_time(const eoc_train *train, const eoc_layer_needs *needs)
{
    const int batch = samples_at_a_time(train);
    return in_pieces(train) || needs->least_positions > 0 || batch > LEAST_BATCH ? batch : LEAST_BATCH;
}

static eoc_net_limits limits_of(const eoc_train *train, const eoc_data *data, int max_depth, int max_width)
{
    return (eoc_net_limits){.max_depth = max_depth,
                            .max_width = max_width,
                            .features = data->features,
                            .outputs = data->outputs,
                            .rows = data->rows,
                            .columns = data->columns,
                            .batch = evaluated_at_a_time(train, &train->needs),
                            .num_states = eoc_net_f32_loops()->optimizers[train->optimizer.row].num_states,
                            .whole_gradient = train->clip > 0.0 || in_pieces(train),
                            .needs = train->needs,
                            .memory = GIB * train->memory,
                            .threads = train->threads};
}

static int greater(int a, int b)
{
    return a > b ? a : b;
}

static int greatest_fan(const eoc_train *train, const eoc_data *data, int max_width)
{
    const int taps = greater(train->needs.taps, 1), features = greater(train->needs.features, 1) * max_width;
    return greater(greater(taps * features, greater(train->needs.positions, 1) * features),
                   greater(taps * data->features, data->outputs));
}

/* -- what goes together -- */

eoc_status eoc_train_check_labels(const eoc_train *train, const eoc_data *data)
{
    const bool labelled = data->train_label != NULL;
    EOC_REQUIRE(labelled || !train->loss->needs_labels, EOC_ERR_USAGE,
                "train.loss: %s needs labels, and %s has target vectors; accepted with it: mse", train->loss->name,
                train->dataset.text);
    EOC_REQUIRE(labelled || train->threshold_measure == EOC_THRESHOLD_LOSS, EOC_ERR_USAGE,
                "train.threshold: accuracy needs labels, and %s has target vectors; accepted with it: loss E",
                train->dataset.text);
    return EOC_OK;
}

static eoc_status check_batch(const eoc_train *train, const eoc_data *sizes)
{
    EOC_REQUIRE(train->batch <= sizes->train_count, EOC_ERR_USAGE,
                "train.batch: %d is more than the %d training samples of %s; accepted: up to that", train->batch,
                sizes->train_count, train->dataset.text);
    EOC_REQUIRE(train->batch > 1 || !train->needs.coupled, EOC_ERR_USAGE,
                "train.batch: 1 sample has no variance to normalize by, as batch normalization does; accepted with "
                "it: 2 or more");
    EOC_REQUIRE(!in_pieces(train) || !train->needs.coupled, EOC_ERR_USAGE,
                "train.micro_batch: batch normalization takes its means over the batch, which must then come whole; "
                "accepted with it: 0");
#ifndef _OPENMP
    EOC_REQUIRE(train->threads == 1, EOC_ERR_USAGE,
                "train.threads: this eoc was built without OpenMP and has one thread a rank; accepted: 1");
#endif
    return EOC_OK;
}

static double greatest(const eoc_axis *axis)
{
    double value = axis->values[0];
    for (int i = 1; i < axis->count; i++) {
        value = axis->values[i] > value ? axis->values[i] : value;
    }
    return value;
}

static eoc_status check_memory(const eoc_train *train, const eoc_data *sizes, const eoc_grid *grid)
{
    const int depth = (int)greatest(&grid->axes[EOC_AXIS_DEPTH]), width = (int)greatest(&grid->axes[EOC_AXIS_WIDTH]);
    const eoc_net_limits limits = limits_of(train, sizes, depth, width);
    const double needed = eoc_net_f32_bytes(&limits) / GIB;
    EOC_REQUIRE(needed <= train->memory, EOC_ERR_USAGE,
                "train.memory: a network of depth %d and width %d with %d samples at a time takes %.3g GiB at least, "
                "and %.3g is allowed; accepted: as much as it takes, or a smaller train.micro_batch",
                depth, width, samples_at_a_time(train), needed, train->memory);
    return EOC_OK;
}

eoc_status eoc_train_check_sizes(const eoc_train *train, const eoc_data *sizes, const eoc_grid *grid)
{
    EOC_TRY(check_batch(train, sizes));
    const eoc_axis *axis = &grid->axes[EOC_AXIS_ARCHITECTURE];
    for (int i = 0; i < axis->count; i++) {
        eoc_network network = {.depth = 1, .width = 1};
        EOC_TRY(eoc_architecture_find(axis->names[i], &network.architecture));
        EOC_TRY(eoc_net_f32_check_images(&network, sizes->rows, sizes->columns, sizes->features));
    }
    return check_memory(train, sizes, grid);
}

/* -- memory -- */

struct eoc_train_workspace {
    const eoc_data *data;
    eoc_net *net;
    eoc_net_scan *scan; /* NULL: no statistics */
    eoc_weights *weights;
    int32_t *order;  /* (train_count): the epoch's */
    float *x;        /* (batch, features) */
    int32_t *labels; /* (batch) */
    float *targets;  /* (batch, outputs) */
};

eoc_status eoc_train_workspace_create(const eoc_train *train, const eoc_data *data, int max_depth, int max_width,
                                      eoc_train_workspace **out)
{
    const eoc_net_limits limits = limits_of(train, data, max_depth, max_width);
    const size_t batch = (size_t)train->batch;
    eoc_train_workspace *const w = calloc(1, sizeof *w);
    *out = w;
    EOC_REQUIRE(w, EOC_ERR_NOMEM, "out of memory");
    w->data = data;
    w->order = malloc(sizeof *w->order * (size_t)data->train_count);
    w->x = malloc(sizeof *w->x * batch * (size_t)data->features);
    w->labels = malloc(sizeof *w->labels * batch);
    w->targets = malloc(sizeof *w->targets * batch * (size_t)data->outputs);
    eoc_status status = w->order && w->x && w->labels && w->targets
                            ? eoc_net_f32_create(&limits, &w->net)
                            : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for a batch of %d samples", train->batch);
    status = status == EOC_OK ? eoc_weights_create(greatest_fan(train, data, max_width), 1, &w->weights) : status;
    if (status == EOC_OK && train->statistics) {
        status = eoc_net_scan_create(&limits, &w->scan);
    }
    if (status != EOC_OK) {
        eoc_train_workspace_destroy(out);
    }
    return status;
}

void eoc_train_workspace_destroy(eoc_train_workspace **workspace)
{
    eoc_train_workspace *const w = *workspace;
    if (!w) {
        return;
    }
    eoc_net_f32_destroy(&w->net);
    eoc_net_scan_destroy(&w->scan);
    eoc_weights_destroy(&w->weights);
    free(w->order);
    free(w->x);
    free(w->labels);
    free(w->targets);
    free(w);
    *workspace = NULL;
}

double eoc_train_workspace_bytes(const eoc_train *train, const eoc_data *data, int max_depth, int max_width)
{
    const eoc_net_limits limits = limits_of(train, data, max_depth, max_width);
    return eoc_net_f32_bytes(&limits) + (train->statistics ? eoc_net_scan_bytes(&limits) : 0.0) +
           eoc_weights_bytes(greatest_fan(train, data, max_width), 1) + 4.0 * data->train_count +
           4.0 * train->batch * (1.0 + data->features + data->outputs);
}

/* -- batches -- */

/* Fisher-Yates with word i of the epoch's stream for place i, highest place first. */
static void shuffle(eoc_key key, int epoch, int32_t *order, int count)
{
    for (int i = 0; i < count; i++) {
        order[i] = i;
    }
    uint32_t block[4];
    for (int i = count - 1; i > 0; i--) {
        const uint32_t word = (uint32_t)(count - 1 - i);
        if (word % 4 == 0) {
            const uint32_t counter[4] = {word / 4, 0, EOC_TENSOR_SHUFFLE, (uint32_t)epoch};
            eoc_rng_block(key, counter, block);
        }
        const int32_t j = (int32_t)(((uint64_t)block[word % 4] * (uint64_t)(i + 1)) >> 32);
        const int32_t other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static void gather(eoc_train_workspace *w, int first, int count)
{
    const eoc_data *data = w->data;
    const size_t features = (size_t)data->features, outputs = (size_t)data->outputs;
    for (size_t r = 0; r < (size_t)count; r++) {
        const size_t sample = (size_t)w->order[first + (int)r];
        memcpy(w->x + r * features, data->train_x + sample * features, sizeof(float) * features);
        if (data->train_label) {
            w->labels[r] = data->train_label[sample];
        } else {
            memcpy(w->targets + r * outputs, data->train_y + sample * outputs, sizeof(float) * outputs);
        }
    }
}

/* -- one unit -- */

/* What must be kept to go on in the middle of a training; rows and the net's arrays go with it. */
typedef struct {
    int rate; /* which of the list is in hand */
    int step; /* done of it */
    int recorded;
} progress;

typedef struct {
    const eoc_train *train;
    const eoc_network *network;
    const int *steps; /* recorded */
    int num_steps;
    const int *layers; /* kept, of the statistics */
    int num_layers;
    eoc_train_workspace *w;
    const eoc_host *host;
    eoc_net_host net_host;
    eoc_train_rows *rows;
    progress at;
    double saved, saving; /* when last, and how long it took */
    double found;         /* how much of the unit was done when it was taken up */
} unit;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    double loss, accuracy;
} score;

/* Of the first `wanted` samples of a set (0: all); false when given up. */
static bool evaluate(const unit *u, const float *x, const int32_t *labels, const float *y, int count, score *found)
{
    eoc_net *const net = u->w->net;
    const eoc_layer_needs needs = u->network->architecture.kind->needs(u->network);
    const int wanted = u->train->evaluation_samples, batch = evaluated_at_a_time(u->train, &needs);
    const int total = wanted > 0 && wanted < count ? wanted : count;
    double sum = 0.0;
    int64_t correct = 0;
    for (int first = 0; first < total; first += batch) {
        const int n = total - first < batch ? total - first : batch;
        const size_t at = (size_t)first;
        if (!eoc_net_f32_forward(net, x + at * (size_t)net->limits.features, n, 0, 0, &u->net_host)) {
            return false;
        }
        sum += eoc_net_f32_loss(net, u->train->loss, labels ? labels + at : NULL,
                                y ? y + at * (size_t)net->limits.outputs : NULL, n, 0.0, &correct);
    }
    found->loss = sum / total;
    found->accuracy = labels ? (double)correct / total : NAN;
    return true;
}

static void diverge(unit *u, int step)
{
    u->rows->divergence_step[u->at.rate] = step;
}

static bool has_diverged(const unit *u)
{
    return u->rows->divergence_step[u->at.rate] >= 0;
}

/* Whether the losses of an evaluation tell that the training has failed. Early averages of a normalization over the
 * batch are of other weights: through many layers they can overflow where the batches of the training itself do not. */
static bool is_telling(const unit *u)
{
    const eoc_network *n = u->network;
    return u->at.step == u->train->steps || !n->architecture.kind->needs(n).coupled;
}

/* Losses and accuracies where the net stands. */
static bool record(unit *u)
{
    const eoc_data *data = u->w->data;
    const size_t at = (size_t)u->at.rate * (size_t)u->num_steps + (size_t)u->at.recorded;
    score train, test;
    if (!evaluate(u, data->train_x, data->train_label, data->train_y, data->train_count, &train) ||
        !evaluate(u, data->test_x, data->test_label, data->test_y, data->test_count, &test)) {
        return false;
    }
    if (isfinite(train.loss)) {
        u->rows->loss[at] = train.loss;
        u->rows->accuracy[at] = train.accuracy;
        u->rows->test_loss[at] = isfinite(test.loss) ? test.loss : NAN;
        u->rows->test_accuracy[at] = test.accuracy;
    } else if (is_telling(u)) {
        diverge(u, u->at.step);
        return true;
    }
    if (u->w->scan && !eoc_net_scan_run(u->w->scan, u->w->net, data, u->train->statistics, u->layers, u->num_layers, at,
                                        &u->net_host, u->rows)) {
        return false;
    }
    u->at.recorded++;
    return true;
}

/* One piece of a step's batch, from sample `first` of the epoch on; the last one moves the parameters. */
static bool take_piece(unit *u, int first, int count, const eoc_net_step *step)
{
    const eoc_train *train = u->train;
    eoc_train_workspace *const w = u->w;
    gather(w, first, count);
    if (!eoc_net_f32_forward(w->net, w->x, count, step->step, step->piece, &u->net_host)) {
        return false;
    }
    const double sum = eoc_net_f32_loss(w->net, train->loss, w->data->train_label ? w->labels : NULL, w->targets, count,
                                        1.0 / train->batch, NULL);
    if (!isfinite(sum)) {
        diverge(u, (int)step->step);
        return true;
    }
    return eoc_net_f32_backward(w->net, w->x, count, step, &u->net_host);
}

static bool take_step(unit *u)
{
    const eoc_train *train = u->train;
    eoc_train_workspace *const w = u->w;
    const int batches = w->data->train_count / train->batch, epoch = u->at.step / batches, place = u->at.step % batches;
    const int size = samples_at_a_time(train), pieces = (train->batch + size - 1) / size;
    if (place == 0) {
        shuffle(u->network->key, epoch, w->order, w->data->train_count);
    }
    for (int piece = 0; piece < pieces && !has_diverged(u); piece++) {
        const int begun = piece * size, left = train->batch - begun;
        const eoc_net_step step = {.optimizer = &train->optimizer,
                                   .learning_rate = train->learning_rates[u->at.rate],
                                   .bias_rate = train->bias_rate,
                                   .step = u->at.step + 1,
                                   .clip = train->clip,
                                   .piece = piece,
                                   .pieces = pieces};
        if (!take_piece(u, place * train->batch + begun, left < size ? left : size, &step)) {
            return false;
        }
    }
    u->at.step += !has_diverged(u);
    return true;
}

/* -- keeping -- */

enum { MAX_PIECES = 24 };

static int pieces_of(unit *u, eoc_piece pieces[MAX_PIECES])
{
    eoc_net *const net = u->w->net;
    const size_t rates = (size_t)u->train->num_learning_rates, cells = rates * (size_t)u->num_steps * sizeof(double);
    int count = 0;
    pieces[count++] = (eoc_piece){&u->at, sizeof u->at};
    pieces[count++] = (eoc_piece){net->parameters, sizeof(float) * net->num_parameters};
    for (int i = 0; i < net->limits.num_states; i++) {
        pieces[count++] = (eoc_piece){net->states[i], sizeof(float) * net->num_parameters};
    }
    pieces[count++] = (eoc_piece){u->rows->loss, cells};
    pieces[count++] = (eoc_piece){u->rows->accuracy, cells};
    pieces[count++] = (eoc_piece){u->rows->test_loss, cells};
    pieces[count++] = (eoc_piece){u->rows->test_accuracy, cells};
    pieces[count++] = (eoc_piece){u->rows->divergence_step, rates * sizeof(int32_t)};
    double *const along_layers[] = {u->rows->log_q, u->rows->c, u->rows->one_minus_c, u->rows->log_gradient_q,
                                    u->rows->gradient_c};
    for (size_t i = 0; i < sizeof along_layers / sizeof along_layers[0]; i++) {
        pieces[count++] = (eoc_piece){along_layers[i], along_layers[i] ? cells * (size_t)u->num_layers : 0};
    }
    pieces[count++] = (eoc_piece){u->rows->log_jacobian_m1, u->rows->log_jacobian_m1 ? cells : 0};
    pieces[count++] = (eoc_piece){u->rows->log_jacobian_m2, u->rows->log_jacobian_m2 ? cells : 0};
    pieces[count++] = (eoc_piece){&net->averaged, sizeof net->averaged};
    pieces[count++] = (eoc_piece){net->running, sizeof(float) * net->num_running};
    return count;
}

static void save(unit *u)
{
    eoc_piece pieces[MAX_PIECES];
    const double begun = now();
    (void)u->host->save(u->host->context, pieces, pieces_of(u, pieces)); /* what cannot be kept is computed again */
    u->saved = now();
    u->saving = u->saved - begun;
}

/* After a step: saves where it is due or the run ends. True: the unit is to be given up. */
static bool pause(unit *u)
{
    const eoc_host *host = u->host;
    if (!host || !host->save) {
        return false;
    }
    if (host->ending && host->ending(host->context)) {
        save(u);
        return true;
    }
    const double interval = host->save_seconds > 20.0 * u->saving ? host->save_seconds : 20.0 * u->saving;
    if (now() - u->saved > interval) {
        save(u);
    }
    return false;
}

/* How much of the unit is done, 0..1. */
static double share_done(const unit *u)
{
    return (u->at.rate + (double)u->at.step / u->train->steps) / u->train->num_learning_rates;
}

static void tell_progress(const unit *u)
{
    if (u->host && u->host->progress && u->found < 1.0) {
        u->host->progress(u->host->context, (share_done(u) - u->found) / (1.0 - u->found));
    }
}

static void resume(unit *u)
{
    eoc_piece pieces[MAX_PIECES];
    const eoc_host *host = u->host;
    if (host && host->load && host->load(host->context, pieces, pieces_of(u, pieces))) {
        const int batches = u->w->data->train_count / u->train->batch;
        shuffle(u->network->key, u->at.step / batches, u->w->order, u->w->data->train_count);
        u->found = share_done(u);
    }
}

/* -- a training, and all of them -- */

/* From where the unit stands to the last step of the rate in hand. */
static bool train_on(unit *u)
{
    while (!has_diverged(u)) {
        if (u->at.recorded < u->num_steps && u->at.step == u->steps[u->at.recorded]) {
            if (!record(u)) {
                return false;
            }
        } else if (u->at.step == u->train->steps) {
            return true;
        } else if (!take_step(u) || pause(u)) {
            return false;
        }
        tell_progress(u);
    }
    return true;
}

static bool train_all(unit *u, eoc_status *status)
{
    const int rates = u->train->num_learning_rates;
    bool first = true;
    for (; u->at.rate < rates; u->at = (progress){.rate = u->at.rate + 1}) {
        bool drawn = false;
        *status =
            eoc_net_f32_draw(u->w->net, u->network, u->train->readout_variance, u->w->weights, &u->net_host, &drawn);
        if (*status != EOC_OK || !drawn) {
            return drawn;
        }
        if (first) {
            resume(u); /* only a net that has its form knows what was kept of it */
            first = false;
        }
        if (!train_on(u)) {
            return false;
        }
    }
    return true;
}

/* -- what the curves say -- */

static bool holds(const eoc_train *train, double loss, double accuracy)
{
    return train->threshold_measure == EOC_THRESHOLD_LOSS ? loss <= train->threshold : accuracy >= train->threshold;
}

static double learning_time(const unit *u, size_t rate)
{
    const double *loss = u->rows->loss + rate * (size_t)u->num_steps;
    const double *accuracy = u->rows->accuracy + rate * (size_t)u->num_steps;
    int first = u->num_steps;
    while (first > 0 && holds(u->train, loss[first - 1], accuracy[first - 1])) {
        first--;
    }
    return first < u->num_steps ? (double)u->steps[first] : NAN;
}

/* Whether rate a is to be preferred to b: learnt earlier; of two that did not, or as early, the lower loss. */
static bool is_better(const eoc_train_rows *rows, int a, int b)
{
    const double time_a = isnan(rows->learning_time[a]) ? INFINITY : rows->learning_time[a];
    const double time_b = isnan(rows->learning_time[b]) ? INFINITY : rows->learning_time[b];
    return time_a != time_b ? time_a < time_b : rows->final_loss[a] < rows->final_loss[b];
}

static void summarize(unit *u)
{
    const eoc_train_rows *rows = u->rows;
    int best = -1;
    for (int rate = 0; rate < u->train->num_learning_rates; rate++) {
        const size_t last = (size_t)(rate + 1) * (size_t)u->num_steps - 1;
        rows->final_loss[rate] = rows->loss[last];
        rows->final_accuracy[rate] = rows->accuracy[last];
        rows->final_test_loss[rate] = rows->test_loss[last];
        rows->final_test_accuracy[rate] = rows->test_accuracy[last];
        rows->learning_time[rate] = learning_time(u, (size_t)rate);
        if (rows->divergence_step[rate] < 0 && (best < 0 || is_better(rows, rate, best))) {
            best = rate;
        }
    }
    *rows->best_learning_rate = best < 0 ? NAN : u->train->learning_rates[best];
}

static void clear_row(double *row, size_t count)
{
    for (size_t i = 0; i < count && row; i++) {
        row[i] = NAN;
    }
}

static void clear_rows(const eoc_train *train, int num_steps, int num_layers, eoc_train_rows *rows)
{
    const size_t rates = (size_t)train->num_learning_rates, cells = rates * (size_t)num_steps;
    double *const along_steps[] = {rows->loss,          rows->accuracy,        rows->test_loss,
                                   rows->test_accuracy, rows->log_jacobian_m1, rows->log_jacobian_m2};
    double *const along_layers[] = {rows->log_q, rows->c, rows->one_minus_c, rows->log_gradient_q, rows->gradient_c};
    for (size_t i = 0; i < sizeof along_steps / sizeof along_steps[0]; i++) {
        clear_row(along_steps[i], cells);
    }
    for (size_t i = 0; i < sizeof along_layers / sizeof along_layers[0]; i++) {
        clear_row(along_layers[i], cells * (size_t)num_layers);
    }
    for (size_t i = 0; i < rates; i++) {
        rows->divergence_step[i] = -1;
    }
}

bool eoc_train_run(const eoc_train *train, const eoc_network *network, const int *steps, int num_steps,
                   const int *layers, int num_layers, eoc_train_workspace *workspace, const eoc_host *host,
                   eoc_train_rows *rows, eoc_outcome *outcome)
{
    unit u = {.train = train,
              .network = network,
              .steps = steps,
              .num_steps = num_steps,
              .layers = layers,
              .num_layers = num_layers,
              .w = workspace,
              .host = host,
              .rows = rows,
              .saved = now()};
    if (host) {
        u.net_host = (eoc_net_host){host->context, host->tick};
    }
    clear_rows(train, num_steps, num_layers, rows);
    eoc_status status = EOC_OK;
    if (!train_all(&u, &status)) {
        return false;
    }
    summarize(&u);
    *outcome = (eoc_outcome){.status = EOC_DONE, .last_layer = network->depth};
    if (status != EOC_OK) {
        *outcome = (eoc_outcome){.status = EOC_FAILED, .reason = EOC_REASON_MEMORY};
    }
    return true;
}

/* -- cost -- */

/*
 * Seconds of one core with AVX-512 (AMD EPYC), fitted to steps and evaluations of plain, normalized, residual, dropout
 * and crelu networks of 2 to 100 layers of 32 to 256 units: each within 0.75 to 1.33 times, before eoc_cost_calibrate.
 */
static const double SECONDS_PER_MULTIPLY_ADD = 2.07e-11; /* of products in float32 */
static const double SECONDS_PER_CALL = 6.0e-7;           /* of a matrix, up and down */
static const double SECONDS_PER_ENTRY = 3.1e-10;         /* of phi on its matrix's output; most of it on the way up */
static const double SECONDS_PER_ENTRY_APART = 3.3e-10;   /* more, where phi is a part by itself */
static const double SECONDS_PER_ENTRY_NORMALIZED = 3.0e-10;  /* up; three times that with the way down */
static const double SECONDS_PER_GATHERED = 2.4e-10;          /* value of a patch */
static const double SECONDS_PER_SAMPLE = 1.0e-7;             /* of the loss */
static const double SECONDS_PER_STATE = 1.5e-9;              /* of an optimizer, a parameter */
static const double SECONDS_PER_DISTANT_PARAMETER = 5.0e-10; /* that the second-level cache does not hold */
static const double CACHED_PARAMETERS = 262144.0;
static const double SECONDS_PER_WEIGHT = 2.0e-9;                                       /* drawn */
static const double SECONDS_PER_HAAR_SQUARE = 1.9e-8, SECONDS_PER_HAAR_CUBE = 1.1e-11; /* of the longer side */

void eoc_train_sizes(const eoc_train *train, eoc_data *data)
{
    const eoc_data_source *source = &train->dataset;
    *data = (eoc_data){.rows = 28,
                       .columns = 28,
                       .channels = 1,
                       .features = 784,
                       .outputs = 10,
                       .train_count = 8000,
                       .test_count = 2000};
    if (train->sizes.features > 0) {
        *data = train->sizes;
    } else if (source->kind) {
        source->kind->sizes(source->values, data);
    }
}

/* What a training is made of, a sample where it goes by samples. */
typedef struct {
    double first, products; /* multiply-adds of the way up: of the first matrix, of all */
    double parameters;
    double entries, normalized, gathered;
    double ups; /* ways up of a step */
    double matrices;
    bool apart;    /* phi from its matrix */
    int evaluated; /* samples at a time */
    int threads;
} amounts;

static amounts amounts_of(const eoc_train *train, const eoc_network *network, const eoc_data *data)
{
    const double n = network->width, depth = network->depth;
    const eoc_layer_needs needs = network->architecture.kind->needs(network);
    const double features = needs.features > 1 ? needs.features : 1.0;
    const double positions = needs.positions > 1 ? needs.positions : 1.0, taps = needs.taps > 1 ? needs.taps : 1.0;
    const double a_layer = taps * (features * n * n + (needs.second_matrix ? n * n : 0.0));
    const double first = taps * n * data->features / positions, last = positions * features * n * data->outputs;
    const eoc_net_limits limits = limits_of(train, data, network->depth, network->width);
    return (amounts){.first = positions * first,
                     .products = positions * (first + (depth - 1.0) * a_layer) + last,
                     .parameters = first + (depth - 1.0) * a_layer + last,
                     .entries = depth * positions * n * features,
                     .normalized = needs.normalized ? depth * positions * n : 0.0,
                     .gathered = needs.positions > 0 ? taps * depth * positions * n * features : 0.0,
                     .ups = eoc_net_f32_keeps_all(&limits) ? 1.0 : 2.0,
                     .evaluated = evaluated_at_a_time(train, &needs),
                     .threads = needs.positions > 0 ? train->threads : 1,
                     .matrices = 1.0 + (needs.second_matrix ? 2.0 : 1.0) * depth,
                     .apart = features > 1.0 || needs.normalized || needs.scratch || eoc_network_keep(network) < 1.0};
}

/* What a sample takes beside products: of entries one by one. */
static double entries_seconds(const amounts *a, bool both_ways)
{
    return a->entries * (SECONDS_PER_ENTRY + (a->apart ? SECONDS_PER_ENTRY_APART : 0.0)) +
           a->normalized * SECONDS_PER_ENTRY_NORMALIZED * (both_ways ? 3.0 : 1.0) + SECONDS_PER_SAMPLE;
}

/* What a batch takes whatever its size. */
static double batch_seconds(const amounts *a)
{
    return a->matrices * SECONDS_PER_CALL +
           fmax(a->parameters - CACHED_PARAMETERS, 0.0) * SECONDS_PER_DISTANT_PARAMETER;
}

static double step_seconds(const eoc_train *train, const amounts *a)
{
    const double products = (a->ups + 2.0) * a->products - a->first; /* nothing is derived by the samples themselves */
    const double states = eoc_net_f32_loops()->optimizers[train->optimizer.row].num_states + (train->clip > 0.0);
    const double shared = products * SECONDS_PER_MULTIPLY_ADD + (a->ups + 2.0) * a->gathered * SECONDS_PER_GATHERED;
    return train->batch * (shared / a->threads + entries_seconds(a, true)) + batch_seconds(a) +
           a->parameters * states * SECONDS_PER_STATE;
}

/* Training and test set at a recorded step. */
static double record_seconds(const eoc_train *train, const amounts *a, const eoc_data *data)
{
    const int wanted = train->evaluation_samples;
    const double shared = a->products * SECONDS_PER_MULTIPLY_ADD + a->gathered * SECONDS_PER_GATHERED;
    const int counts[2] = {data->train_count, data->test_count};
    double seconds = 0.0;
    for (int i = 0; i < 2; i++) {
        const int samples = wanted > 0 && wanted < counts[i] ? wanted : counts[i];
        seconds += samples * (shared / a->threads + entries_seconds(a, false)) +
                   ceil((double)samples / a->evaluated) * batch_seconds(a);
    }
    return seconds;
}

/* An orthogonal matrix is a corner of a square one, which is drawn whole. */
static double matrix_draw_seconds(const eoc_network *network, double fan_out, double fan_in)
{
    const double side = fmax(fan_out, fan_in);
    return network->initializer.kind->law == EOC_LAW_HAAR
               ? side * side * (SECONDS_PER_HAAR_SQUARE + side * SECONDS_PER_HAAR_CUBE)
               : fan_out * fan_in * SECONDS_PER_WEIGHT;
}

static double draw_seconds(const eoc_network *network, const amounts *a, const eoc_data *data)
{
    const eoc_matrix inner = eoc_network_matrix(network, network->depth > 1 ? 2 : 1, 0);
    const double positions = eoc_network_positions(network), taps = inner.taps > 1 ? inner.taps : 1.0;
    return matrix_draw_seconds(network, inner.fan_out, taps * data->features / positions) +
           (a->matrices - 2.0) * matrix_draw_seconds(network, inner.fan_out, inner.fan_in);
}

double eoc_train_seconds(const eoc_train *train, const eoc_network *network)
{
    eoc_data data;
    eoc_train_sizes(train, &data);
    const amounts a = amounts_of(train, network, &data);
    return train->num_learning_rates * (draw_seconds(network, &a, &data) + train->steps * step_seconds(train, &a) +
                                        eoc_train_record_count(train) * record_seconds(train, &a, &data));
}
