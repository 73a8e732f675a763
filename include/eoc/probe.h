/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The probe: draw one random network, push a few inputs through it and gradients back, and note the statistics of
 * every layer. Serial; knows nothing of ranks or files.
 *
 * Notation of Poole et al. 2016 and Schoenholz et al. 2017: q, c of the pre-activations z^l; gradients of E_a =
 * v.h^L(x_a).
 */
#ifndef EOC_PROBE_H
#define EOC_PROBE_H

#include "eoc/grid.h"
#include "eoc/inputs.h"

#include <stdbool.h>

/* -- what is asked for: the keys under `probe:` -- */

typedef enum {
    EOC_STATISTIC_FORWARD = 1 << 0,             /* log_q, c, one_minus_c */
    EOC_STATISTIC_GRADIENT = 1 << 1,            /* log_gradient_q, gradient_c, log_weight_gradient_q */
    EOC_STATISTIC_JACOBIAN = 1 << 2,            /* log_jacobian_m1, log_jacobian_m2 */
    EOC_STATISTIC_FINITE_WIDTH = 1 << 3,        /* chi_1, kurtosis */
    EOC_STATISTIC_SPECTRUM = 1 << 4,            /* log_singular_values: explicit weights, O(N^3) a layer */
    EOC_STATISTIC_SHATTERING = 1 << 5,          /* input_gradient, gradient_autocorrelation, gradient_correlation */
    EOC_STATISTIC_GRADIENT_COVARIANCE = 1 << 6, /* gradient_covariance */

    EOC_STATISTIC_GRADIENT_CORRELATION = 1 << 7, /* gradient_correlation, of any inputs */
    EOC_STATISTIC_SPATIAL = 1 << 8,              /* position_q, position_c, spatial_power, spatial_correlation */

    /* of an interval; with the means of a batch held; of a way back */
    EOC_STATISTICS_ALONG_INPUTS = EOC_STATISTIC_SHATTERING | EOC_STATISTIC_GRADIENT_COVARIANCE,
    EOC_STATISTICS_HELD = EOC_STATISTICS_ALONG_INPUTS | EOC_STATISTIC_GRADIENT_CORRELATION,
    EOC_STATISTICS_BACK = EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN | EOC_STATISTICS_HELD,
} eoc_statistic;

typedef struct {
    const char *name;
    unsigned bit;
    const char *formula;
    const char *source;
} eoc_statistic_row;

int eoc_statistic_count(void);
const eoc_statistic_row *eoc_statistic_row_of(int row);

enum { EOC_MAX_JACOBIAN_PROBES = 64, EOC_MAX_SPECTRUM_MODES = 65536 };

/** Which layers are kept: all, every `step`, or `log_count` log-spaced; layer 1 and every depth of the grid always. */
typedef enum { EOC_LAYERS_ALL, EOC_LAYERS_EVERY, EOC_LAYERS_LOG } eoc_layers_rule;

typedef struct {
    eoc_layers_rule rule;
    int number; /* N of `every N` and `log N` */
} eoc_layers;

/** Fills `layers` (ascending, capacity at least the greatest depth) and returns how many are kept. */
int eoc_layers_fill(const eoc_layers *rule, const eoc_axis *depth_axis, int *layers);

typedef struct {
    eoc_inputs inputs;
    unsigned statistics;        /* bits of eoc_statistic */
    bool nothing;               /* no statistics are wanted: the sweep trains only */
    int jacobian_probes;        /* random unit vectors u of the statistic jacobian, 1..EOC_MAX_JACOBIAN_PROBES */
    int spectrum_modes;         /* at most so many values are kept of the statistic spectrum */
    int autocorrelation_lags;   /* the greatest lag of the statistic shattering, below the number of inputs */
    const eoc_sampler *sampler; /* NULL: auto */
    eoc_layers layers;
    eoc_layer_needs needs;         /* of all networks that are probed in one workspace, as eoc_layer_needs_join tells */
    const struct eoc_train *train; /* what a unit does after its probe: train.h; NULL: nothing */
} eoc_probe;

/** Whether `value` is one of `number` whole numbers spaced evenly in the logarithm from 1 to `greatest`, rounded. */
bool eoc_is_log_spaced(int value, int number, int greatest);

/* -- what comes out -- */

typedef enum { EOC_PENDING, EOC_RUNNING, EOC_DONE, EOC_DIVERGED, EOC_FAILED } eoc_unit_status;
typedef enum {
    EOC_REASON_NONE,
    EOC_REASON_OVERFLOW,
    EOC_REASON_NAN,
    EOC_REASON_MEMORY,
    EOC_REASON_CRASHED,
    EOC_REASON_IO
} eoc_reason;

/** NULL where not wanted. Rows (num_layers) of the kept layers, NaN where nothing was measured; memory of the caller.
 */
typedef struct {
    double *log_q, *c, *one_minus_c;
    double *chi_1, *kurtosis;
    double *log_gradient_q, *gradient_c, *log_weight_gradient_q;
    double *log_jacobian_m1, *log_jacobian_m2; /* one value each */
    double *log_singular_values;               /* (num_modes) */
    double *input_gradient;                    /* (inputs) dy/dt of y = v.h^L at every point of an interval */
    double *gradient_autocorrelation;          /* (lags + 1) of it, its mean removed */
    double *gradient_correlation;              /* one value: mean over pairs of the cosine of dy/dz^1 */
    double *gradient_covariance;               /* (inputs, inputs) mean over units of dy_a/dz^1 dy_b/dz^1 */
    /* (num_layers, eoc_probe_positions): those of a network come first, NaN behind them */
    double *position_q, *position_c, *spatial_power, *spatial_correlation;
} eoc_probe_rows;

typedef struct {
    eoc_unit_status status; /* done, diverged or failed */
    eoc_reason reason;
    int last_layer; /* the deepest layer whose forward pass was finite */
} eoc_outcome;

/** Memory that is kept as it is. */
typedef struct {
    void *bytes;
    size_t size;
} eoc_piece;

/** What a study asks of its host; all may be NULL. */
typedef struct {
    void *context;
    /** Called often (at most 100 ms apart). True: give up this unit at once. */
    bool (*tick)(void *context);
    /** Whether the run is about to end: a unit that can be saved is saved and given up. */
    bool (*ending)(void *context);
    /** Keeps a unit's state, in place of what was kept of it before; false when that did not work. */
    bool (*save)(void *context, const eoc_piece *pieces, int count);
    /** Fills the pieces with what was kept of this unit, all or none; false when nothing of these sizes was. */
    bool (*load)(void *context, const eoc_piece *pieces, int count);
    double save_seconds; /* least time between two savings that the study does of itself */
} eoc_host;

/** Memory for probing networks up to a depth and width, of the probe's needs; one a rank, reused from unit to unit. */
typedef struct eoc_probe_workspace eoc_probe_workspace;

eoc_status eoc_probe_workspace_create(const eoc_probe *probe, int max_depth, int max_width,
                                      eoc_probe_workspace **workspace);
void eoc_probe_workspace_destroy(eoc_probe_workspace **workspace);

/** Bytes that eoc_probe_workspace_create takes. */
double eoc_probe_workspace_bytes(const eoc_probe *probe, int max_depth, int max_width);

/**
 * How many vectors as long as an input the vectors u of the statistic jacobian are: one each, or where the inputs of a
 * batch are coupled as many as inputs. 0 when it is not asked for.
 */
int eoc_probe_tangents(const eoc_probe *probe, const eoc_layer_needs *needs);

/** Columns that go through a layer together: inputs and tangents, of a convolution at each of its positions. */
int eoc_probe_columns(const eoc_probe *probe, const eoc_layer_needs *needs);

/** The dimension `mode` of a file: the least of the greatest width, times positions, and spectrum_modes; 0 without that
 * statistic. */
int eoc_probe_modes(const eoc_probe *probe, const eoc_grid *grid);

/** The dimensions `input` and `lag` (from 0) of a file; 0 without the statistics along an interval that have them. */
int eoc_probe_points(const eoc_probe *probe);
int eoc_probe_lags(const eoc_probe *probe);

/** The dimensions `position` and `spatial_mode` of a file; 0 without the statistic spatial. */
int eoc_probe_positions(const eoc_probe *probe);

/**
 * Sample autocorrelation at lags 0 .. num_lags - 1: r_k = sum_i (g_i - m)(g_(i+k) - m)/sum_i (g_i - m)^2, m the mean of
 * all n values (Box & Jenkins 1970). NaN where g does not vary: standard deviation below 1e-12 of the greatest |g_i|.
 */
void eoc_autocorrelation(const double *g, int n, double *r, int num_lags);

/** The sampler that a network of this probe is drawn with. */
const eoc_sampler *eoc_probe_sampler(const eoc_probe *probe, const eoc_network *network);

/** Predicted seconds of one core for probing a network: operations times constants of one machine; see cost.h. */
double eoc_probe_seconds(const eoc_probe *probe, const eoc_network *network);

/**
 * Probes one network.
 *
 * @param variance  |x|^2/N of the inputs, their mean
 * @param layers    (num_layers) kept layers, ascending; those above the network's depth stay NaN
 * @param rows      overwritten
 * @return false when the host gave the unit up: rows and outcome then mean nothing
 *
 * A network that overflows is an outcome (`diverged`), with all the layers before. A dead one is `done`: log -inf,
 * cosine NaN.
 */
bool eoc_probe_run(const eoc_probe *probe, const eoc_network *network, double variance, const int *layers,
                   int num_layers, eoc_probe_workspace *workspace, const eoc_host *host, eoc_probe_rows *rows,
                   eoc_outcome *outcome);

#endif
