/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/cost.h"

#include "eoc/order.h"
#include "eoc/record.h"
#include "eoc/rng.h"
#include "eoc/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_WIDTHS = 3,
    LAYERS = 8,
    MIN_RUNS = 2,
    MAX_RUNS = 64,
    MOST_EVALUATED = 1024,
    LEAST_STEPS = 4,
    MOST_STEPS = 256
};

/* A step takes as long whatever the rate, but no training diverges by this one. */
static const double TINY_RATE = 1e-9;

/* Of this thread: what else runs on the machine counts as little as it can. */
static double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A grid of one point, whose width and depth are set from kind to kind; its axes are borrowed from the sweep's. */
typedef struct {
    eoc_grid grid;
    double width, depth;
} pilot;

/* The least, middle and greatest width, without repetition. */
static eoc_status choose_widths(const eoc_axis *axis, double widths[MAX_WIDTHS], int *count)
{
    double *sorted = malloc(sizeof(double) * (size_t)axis->count);
    EOC_REQUIRE(sorted, EOC_ERR_NOMEM, "out of memory");
    for (int i = 0; i < axis->count; i++) {
        sorted[i] = axis->values[i];
    }
    qsort(sorted, (size_t)axis->count, sizeof *sorted, eoc_by_value);
    const double three[MAX_WIDTHS] = {sorted[0], sorted[axis->count / 2], sorted[axis->count - 1]};
    *count = 0;
    for (int i = 0; i < MAX_WIDTHS; i++) {
        if (*count == 0 || three[i] != widths[*count - 1]) {
            widths[(*count)++] = three[i];
        }
    }
    free(sorted);
    return EOC_OK;
}

/* Whether a run was a whole one: a training that diverges ends early. */
static bool went_through(const eoc_probe *probe, const eoc_unit_record *record, const eoc_outcome *outcome)
{
    return outcome->status == EOC_DONE && (!probe->train || record->train.divergence_step[0] < 0);
}

/* The least of a few runs: others are disturbed. NaN when there is no memory or the network overflows. */
static double time_network(const eoc_probe *probe, const eoc_data *data, const eoc_network *network, double seconds)
{
    const int depth = network->depth;
    int layers[LAYERS];
    for (int l = 0; l < depth; l++) {
        layers[l] = l + 1;
    }
    const bool spectrum = (probe->statistics & EOC_STATISTIC_SPECTRUM) != 0;
    /* As many as the workspace keeps, which is for the most positions of the sweep. */
    const int values = network->width * (probe->needs.positions > 1 ? probe->needs.positions : 1);
    const int modes = !spectrum ? 0 : probe->spectrum_modes < values ? probe->spectrum_modes : values;
    eoc_layout layout;
    eoc_study *study = NULL;
    void *block = NULL;
    double least = NAN;
    if (eoc_layout_create(probe->statistics, layers, depth, modes, &layout) == EOC_OK &&
        eoc_layout_add_points(probe, &layout) == EOC_OK &&
        (!probe->train || eoc_layout_add_training(probe->train, &layout) == EOC_OK)) {
        eoc_layout_add_space(probe, &layout);
        block = calloc(1, layout.unit_bytes);
        if (block && eoc_study_create(probe, data, &layout, depth, network->width, &study) == EOC_OK) {
            eoc_unit_record record;
            eoc_layout_unit(&layout, block, &record);
            const double begun = clock_seconds();
            for (int run = 0; run < MAX_RUNS && (run < MIN_RUNS || clock_seconds() - begun < seconds); run++) {
                eoc_outcome outcome;
                const double from = clock_seconds();
                eoc_study_run(study, network, NULL, &record, &outcome);
                const double took = clock_seconds() - from;
                if (went_through(probe, &record, &outcome) && !(took >= least)) {
                    least = took;
                }
            }
        }
    }
    eoc_study_destroy(&study);
    eoc_layout_clear(&layout);
    free(block);
    return least;
}

/* Fewer layers, then narrower, until the runs fit. */
static void fit_into(const pilot *p, const eoc_probe *probe, double seconds, double *width, double *depth)
{
    for (;;) {
        eoc_network network = eoc_grid_get(&p->grid, 1, 0).network;
        network.width = (int)*width;
        network.depth = (int)*depth;
        if (MIN_RUNS * eoc_unit_seconds(probe, &network) <= seconds) {
            return;
        }
        if (*depth > 1.0) {
            *depth = floor(*depth / 2.0);
        } else if (*width > 16.0) {
            *width = floor(*width / 2.0);
        } else {
            return;
        }
    }
}

/* As many steps, and evaluations with them, as the runs leave time for: drawing weights, once a training, is then
 * little beside them. */
static void lengthen(eoc_probe *probe, const eoc_network *network, double seconds, eoc_train *train)
{
    *train = *probe->train;
    probe->train = train;
    while (train->steps < MOST_STEPS && train->evaluation_samples < MOST_EVALUATED &&
           2.0 * MIN_RUNS * eoc_unit_seconds(probe, network) <= seconds) {
        train->steps *= 2;
        train->evaluation_samples *= 2;
    }
}

static eoc_status measure_kind(pilot *p, const eoc_probe *of_kinds, const eoc_data *data, double wanted,
                               double max_depth, double seconds, eoc_cost *cost)
{
    eoc_probe own = *of_kinds;
    const eoc_probe *const probe = &own;
    eoc_train longer;
    double width = wanted, depth = max_depth < LAYERS ? max_depth : LAYERS;
    fit_into(p, probe, seconds, &width, &depth);
    p->width = width;
    p->depth = depth;
    const eoc_network network = eoc_grid_get(&p->grid, 1, 0).network;
    if (own.train) {
        lengthen(&own, &network, seconds, &longer);
    }
    const double took = time_network(probe, data, &network, seconds);
    return took > 0.0 ? eoc_cost_add(cost, &p->grid, probe, 0, took, 1) : EOC_OK;
}

/* The first point's values on the other axes; a middle weight variance, so that most networks live. */
static void borrow_axes(const eoc_grid *grid, const int kinds[3], pilot *p)
{
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_axis *axis = &grid->axes[id];
        const int at = id < 3 ? kinds[id] : id == EOC_AXIS_WEIGHT_VARIANCE ? axis->count / 2 : 0;
        p->grid.axes[id] = (eoc_axis){.count = 1,
                                      .values = axis->values ? axis->values + at : NULL,
                                      .names = axis->names ? axis->names + at : NULL};
    }
    p->grid.axes[EOC_AXIS_WIDTH].values = &p->width;
    p->grid.axes[EOC_AXIS_DEPTH].values = &p->depth;
    p->width = p->depth = 1.0;
}

static eoc_status calibrate(const eoc_grid *grid, const eoc_probe *probe, const eoc_data *data, double seconds,
                            eoc_cost *cost)
{
    double widths[MAX_WIDTHS], max_depth = 1.0;
    int num_widths = 0;
    EOC_TRY(choose_widths(&grid->axes[EOC_AXIS_WIDTH], widths, &num_widths));
    for (int i = 0; i < grid->axes[EOC_AXIS_DEPTH].count; i++) {
        max_depth = fmax(max_depth, grid->axes[EOC_AXIS_DEPTH].values[i]);
    }
    const int counts[3] = {grid->axes[0].count, grid->axes[1].count, grid->axes[2].count};
    const double share = seconds / ((double)counts[0] * counts[1] * counts[2] * num_widths);
    int kinds[3];
    for (kinds[0] = 0; kinds[0] < counts[0]; kinds[0]++) {
        for (kinds[1] = 0; kinds[1] < counts[1]; kinds[1]++) {
            for (kinds[2] = 0; kinds[2] < counts[2]; kinds[2]++) {
                for (int i = 0; i < num_widths; i++) {
                    pilot p;
                    borrow_axes(grid, kinds, &p);
                    EOC_TRY(measure_kind(&p, probe, data, widths[i], max_depth, share, cost));
                }
            }
        }
    }
    return EOC_OK;
}

/* Noise of the data's shape: a step takes as long on it. */
static eoc_status draw_noise(const eoc_train *train, eoc_data *data)
{
    eoc_train_sizes(train, data);
    const bool labelled = train->dataset.kind ? train->dataset.kind->labelled : true;
    EOC_TRY(eoc_data_allocate(data, labelled));
    const size_t samples = (size_t)data->train_count, features = (size_t)data->features;
    const eoc_stream stream = {.tensor = EOC_TENSOR_INPUT};
    eoc_rng_normals_float(&stream, data->train_x, samples * features);
    eoc_rng_normals_float(&stream, data->test_x, samples * features);
    for (size_t i = 0; i < samples && labelled; i++) {
        data->train_label[i] = data->test_label[i] = (int32_t)(i % (size_t)data->outputs);
    }
    if (!labelled) {
        memset(data->train_y, 0, sizeof(float) * samples * (size_t)data->outputs);
        memset(data->test_y, 0, sizeof(float) * samples * (size_t)data->outputs);
    }
    return EOC_OK;
}

/* In the place of images, which are not read for a plan: a layer takes as long on them. */
static void take_other_inputs(eoc_inputs *inputs)
{
    for (int row = 0; row < eoc_input_kind_count() && inputs->kind->has_images; row++) {
        const eoc_input_kind *kind = eoc_input_kind_row(row);
        if (kind->has_points && kind->min_width == 1 && !kind->has_images) {
            inputs->kind = kind;
            inputs->as_preprocessed = false;
        }
    }
}

/* A short training in which a step has its share of the evaluations, half of them at each end. */
static eoc_train shortened(const eoc_train *train)
{
    eoc_data data;
    eoc_train_sizes(train, &data);
    const double whole = train->evaluation_samples > 0 ? train->evaluation_samples : data.train_count;
    const double share = whole * eoc_train_record_count(train) * LEAST_STEPS / train->steps / 2.0;
    eoc_train few = *train;
    few.threads = 1; /* the clock is of one thread; what more of them take is counted */
    few.num_learning_rates = 1;
    few.learning_rates[0] = TINY_RATE;
    few.steps = LEAST_STEPS;
    few.record = (eoc_layers){EOC_LAYERS_LOG, 2};
    few.evaluation_samples = (int)fmin(fmax(share, 1.0), MOST_EVALUATED);
    few.train_samples = few.test_samples = 0;
    few.sizes = data;
    few.sizes.train_count = few.sizes.test_count =
        train->batch > 2 * MOST_EVALUATED ? train->batch : 2 * MOST_EVALUATED;
    return few;
}

eoc_status eoc_cost_calibrate(const eoc_grid *grid, const eoc_probe *probe, double seconds, eoc_cost *cost)
{
    eoc_probe short_probe = *probe;
    take_other_inputs(&short_probe.inputs);
    if (!probe->train) {
        return calibrate(grid, &short_probe, NULL, seconds, cost);
    }
    const eoc_train few = shortened(probe->train);
    short_probe.train = &few;
    eoc_data data;
    const eoc_status drawn = draw_noise(&few, &data);
    const eoc_status status = drawn == EOC_OK ? calibrate(grid, &short_probe, &data, seconds, cost) : drawn;
    eoc_data_clear(&data);
    return status;
}

eoc_status eoc_cost_fit(const eoc_grid *grid, const eoc_probe *probe, const int8_t *status, const double *seconds,
                        eoc_cost *cost)
{
    int64_t cell = 1;
    for (int id = EOC_AXIS_DEPTH + 1; id < EOC_NUM_AXES; id++) {
        cell *= grid->axes[id].count;
    }
    const int64_t units = (int64_t)eoc_grid_num_units(grid);
    for (int64_t first = 0; first < units; first += cell) {
        double sum = 0.0;
        int64_t count = 0;
        for (int64_t unit = first; unit < first + cell; unit++) {
            const bool taken = status[unit] == EOC_DONE && seconds[unit] > 0.0 && isfinite(seconds[unit]);
            sum += taken ? seconds[unit] : 0.0;
            count += taken;
        }
        if (count > 0) {
            EOC_TRY(eoc_cost_add(cost, grid, probe, first, sum, count));
        }
    }
    return EOC_OK;
}
