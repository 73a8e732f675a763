/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Training: one random network learns a data set by gradient descent, once for every learning rate of a list, and how
 * it went is noted. Serial; knows nothing of ranks or files. float32.
 *
 * The network is that of net.h. A step takes the next `batch` samples of the epoch's order, a permutation drawn from
 * the network's key and the epoch; what is left of an epoch below a batch is passed over. All learning rates start from
 * the same weights and see the same batches. Numbers are the same to the last bit whatever `memory` and `threads` are.
 */
#ifndef EOC_TRAIN_H
#define EOC_TRAIN_H

#include "eoc/data.h"
#include "eoc/key.h"
#include "eoc/loss.h"
#include "eoc/optimizer.h"
#include "eoc/probe.h"

#include <stdbool.h>

enum { EOC_MAX_LEARNING_RATES = 64 };

/** What `learning_time` waits for. */
typedef enum { EOC_THRESHOLD_ACCURACY, EOC_THRESHOLD_LOSS } eoc_threshold_measure;

/** The keys under `train:`. */
typedef struct eoc_train {
    bool enabled; /* the sweep has the section */
    eoc_data_source dataset;
    const eoc_preprocessing *preprocessing;
    int train_samples, test_samples; /* the first so many; 0: all */
    const eoc_loss_kind *loss;
    eoc_optimizer optimizer;
    double learning_rates[EOC_MAX_LEARNING_RATES]; /* ascending */
    int num_learning_rates;
    double bias_rate; /* of the biases, times the learning rate; 0: they stay as they were drawn */
    int batch, steps;
    int micro_batch;         /* samples at a time, whose gradients are added up to a step; 0: the batch */
    double memory;           /* GiB that a network in training may take */
    int threads;             /* of a convolutional network */
    double clip;             /* greatest norm of the gradient; 0: any */
    double readout_variance; /* of the read-out's weights, times the width */
    eoc_layers record;       /* which steps are recorded; 0, 1 and the last always */
    int evaluation_samples;  /* the first so many of either set, for losses and accuracies; 0: all */
    eoc_threshold_measure threshold_measure;
    double threshold;
    unsigned statistics;   /* bits of eoc_statistic, of EOC_TRAIN_STATISTICS; 0: none */
    eoc_data sizes;        /* of the data, every field but the arrays, once they are known; no key */
    eoc_layer_needs needs; /* of the networks; no key */
} eoc_train;

/** What can be measured of a network that is being trained. */
enum { EOC_TRAIN_STATISTICS = EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN };

/** The keys of the section `train`, for an eoc_train. */
const eoc_key_row *eoc_train_key_rows(int *count);

/**
 * Whether all networks of the grid can be trained so on data of these sizes (every field but the arrays is read):
 * batches of as many samples, images that the networks take, memory. EOC_ERR_USAGE with a sentence.
 */
eoc_status eoc_train_check_sizes(const eoc_train *train, const eoc_data *sizes, const eoc_grid *grid);

/** Whether `data` has the labels that the loss and the threshold need. Errors likewise. */
eoc_status eoc_train_check_labels(const eoc_train *train, const eoc_data *data);

/** Recorded steps, ascending from 0: fills `steps` (capacity steps + 1) and returns how many. */
int eoc_train_record(const eoc_train *train, int *steps);

/** How many eoc_train_record finds, without memory. */
int eoc_train_record_count(const eoc_train *train);

/** Rows of a unit, R learning rates and S recorded steps; NaN (steps: -1) where nothing was measured. */
typedef struct {
    double *loss, *accuracy, *test_loss, *test_accuracy;                         /* (R, S) */
    double *final_loss, *final_accuracy, *final_test_loss, *final_test_accuracy; /* (R) at the last step */
    double *learning_time; /* (R) first recorded step from which on the threshold holds to the end */
    /* (R) first step whose loss was not finite; -1: none. With normalization over the batch, of a batch or of the last
     * evaluation; earlier evaluations that overflow by averages of older weights are NaN and no divergence. */
    int32_t *divergence_step;
    /* Of the network as it stands, with the probe's meaning; inputs are test samples 0 and 1 as preprocessed, J is
     * dh^L/dx at the first and m_k = tr((J^T J)^k)/features, by one random u. NULL where not asked for. */
    double *log_q, *c, *one_minus_c;           /* (R, S, kept layers) */
    double *log_gradient_q, *gradient_c;       /* (R, S, kept layers) */
    double *log_jacobian_m1, *log_jacobian_m2; /* (R, S) */
    double *best_learning_rate; /* (1) stable, least learning_time, then least final_loss; NaN: none was stable */
} eoc_train_rows;

typedef struct eoc_train_workspace eoc_train_workspace;

/** Memory for training networks up to a depth and width on `data`, which is borrowed. EOC_ERR_NOMEM without room. */
eoc_status eoc_train_workspace_create(const eoc_train *train, const eoc_data *data, int max_depth, int max_width,
                                      eoc_train_workspace **workspace);
void eoc_train_workspace_destroy(eoc_train_workspace **workspace);

/** Bytes that eoc_train_workspace_create takes. */
double eoc_train_workspace_bytes(const eoc_train *train, const eoc_data *data, int max_depth, int max_width);

/** Predicted seconds of one core for training a network to its last step at every rate (one that diverges takes less):
 * drawing weights, products and entries, with constants of one machine. Of data sets in files, which are not looked at
 * here, the sizes are taken to be those of eoc_train_sizes. */
double eoc_train_seconds(const eoc_train *train, const eoc_network *network);

/** Sizes of the data: as `sizes` says, else of a synthetic set as it will be, and of a file those of mnist10k. */
void eoc_train_sizes(const eoc_train *train, eoc_data *data);

/**
 * Trains one network at every learning rate.
 *
 * @param steps   (num_steps) of eoc_train_record
 * @param layers  (num_layers) kept layers, of the statistics; those above the network's depth stay NaN
 * @param host   host->save and host->load, where there, keep and find again the unit's state
 * @return false when the host gave the unit up: rows and outcome then mean nothing
 *
 * A training that diverges is a result. EOC_FAILED for want of memory alone.
 */
bool eoc_train_run(const eoc_train *train, const eoc_network *network, const int *steps, int num_steps,
                   const int *layers, int num_layers, eoc_train_workspace *workspace, const eoc_host *host,
                   eoc_train_rows *rows, eoc_outcome *outcome);

#endif
