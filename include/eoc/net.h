/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A network with stored weights that learns from batches of samples. Serial.
 *
 * z^1 = W^1 x + b^1, h^l = phi(z^l), z^l = W^l h^(l-1) + b^l, l = 2..L, read-out y = W^(L+1) h^L + b^(L+1): depth L
 * counts the hidden layers, the first of which takes the sample. Other architectures have other layers between x and
 * h^L (eoc/architecture.h). Initial hidden weights are those of the explicit sampler of the same network; the read-out
 * is normal with variance readout_variance over its fan-in, its biases zero. All parameters learn, of a normalization
 * gamma and beta of every unit too, which start at the architecture's; so does each half of a mirrored matrix, and
 * every tap of a kernel, those that start at zero too.
 *
 * Convolutions. A layer's values of a sample are (positions, channels), in memory as so many rows of a batch; weights
 * (channels out, taps, channels in). The first layer takes the image in blocks: an image of r x r pixels is cut into
 * side x side blocks of s x s, s = r/side, a block's f = s s channels values (channel, row, column) are the channels at
 * its position, and W^1 is a convolution of the blocks: one of the pixels with stride s and kernel s kernel. In one
 * dimension the pixels are a line, row after row. The read-out is of all h^L of a sample, or of their average over
 * positions.
 *
 * Memory. Where what the way back needs of all layers does not fit, the layers are cut into segments, of which the
 * first values are kept; a segment is run again before the way back through it, with the same bits (Chen et al. 2016).
 *
 * The same source is compiled for float (training) and for double (checks of its derivatives): a file that includes
 * this header with EOC_REAL_DOUBLE defined sees the second, named eoc_net_f64_..., else the first, eoc_net_f32_....
 */
#ifndef EOC_NET_H
#define EOC_NET_H

#include "eoc/architecture.h"
#include "eoc/loss.h"
#include "eoc/optimizer.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef EOC_REAL_DOUBLE
#define EOC_NET(name) eoc_net_f64_##name
#else
#define EOC_NET(name) eoc_net_f32_##name
#endif

/** W (fan_out, fan_in), then b (fan_out), from `offset` on in the parameters: a matrix of a layer. */
typedef struct {
    int fan_out, fan_in;
    size_t offset, count;
    int layer;      /* L + 1: the read-out */
    uint32_t which; /* of the layer's matrices */
} eoc_net_layer;

/** Row p of a sample as a convolution sees it: `entries` runs of `run` values of the sample, run table[p, e] of them.
 */
typedef struct {
    const int32_t *table; /* (positions, entries) into a sample's values; -1: zeros */
    int entries, run, sample;
} eoc_net_gather;

/** What is done to the values of the samples at one place of the network: a row of the table in net_parts.c. */
typedef struct eoc_net_part_kind eoc_net_part_kind;

/** One such place. Its parameters, gamma then beta of a normalization, else as eoc_net_layer, lie at `offset`. */
typedef struct {
    const eoc_net_part_kind *kind;
    int layer, fan_in, width; /* values that come in and go out: of a row */
    int rows;                 /* of a sample: positions */
    eoc_net_gather gather;    /* of a convolution: its rows of fan_in values, ... */
    eoc_net_gather back;      /* ... and those of the derivative by its output */
    int taps;                 /* of a convolution whose input has a derivative */
    size_t offset, count;
    size_t num_biases;   /* the last of these, b of eoc_net_layer */
    double skip, branch; /* of a sum */
    const eoc_real *in;  /* (batch rows, fan_in), or the values to gather from: what came in last */
    eoc_real *out;       /* (batch rows, width); NULL: what came in goes on */
    eoc_real *slope;     /* (batch rows, width): of phi, with its mask */
    eoc_real *x;         /* (batch rows, width): of a normalization, as eoc_net_norm has it */
    eoc_real *inverse;   /* (batch rows) or (width): likewise */
    eoc_real *running;   /* (2, width): mean and variance to go by; NULL: not of a batch */
} eoc_net_part;

/** What the largest network takes; one of these a rank, reused from network to network. */
typedef struct {
    int max_depth, max_width;
    int features, outputs; /* of the data */
    int rows, columns;     /* of its images, where networks are convolutional */
    int batch;             /* samples at a time */
    int num_states;        /* arrays of the optimizer beside the parameters */
    bool whole_gradient;   /* keep the gradient of all layers: for clipping by its norm, and for checks */
    eoc_layer_needs needs; /* of all the networks */
    double memory;         /* bytes that all of it may take; 0: any. Where the least is more, that is taken. */
    int threads;           /* of convolutions; 0: 1 */
} eoc_net_limits;

typedef struct {
    eoc_net_limits limits;
    eoc_network network;
    int num_layers, num_parts;
    int segment;           /* layers that are kept at a time */
    int live;              /* the segment whose values are there, from 0 */
    int64_t last_step;     /* of the samples that went forward last */
    eoc_net_layer *layers; /* (num_layers): matrices, the read-out last; of a plain network that of layer l at l - 1 */
    eoc_net_part *parts;   /* (num_parts) in the order of the way up */
    size_t num_parameters, num_running;
    eoc_real *parameters;                   /* (num_parameters) */
    eoc_real *states[EOC_OPTIMIZER_STATES]; /* (num_parameters) each */
    eoc_real *gradient;                     /* (num_parameters), or those of one layer */
    eoc_real *running;                      /* (num_running): of all parts */
    int64_t averaged;                       /* training steps that they are of */
    eoc_real *kept;                         /* what parts leave for the way back, of the layers of a segment */
    eoc_real *firsts;                       /* (segments - 1, batch, values of a layer): what came into each but one */
    eoc_real *output;                       /* (batch, outputs): y, then dE/dy */
    eoc_real *dz, *dh;                      /* (batch positions, features width) */
    eoc_real *z;                            /* (batch positions, features width): what need not be kept */
    eoc_real *stream;                       /* (batch positions, width): a derivative, while it passes by a block */
    eoc_real *moments;                      /* (2, width) */
    eoc_real *sums;                         /* (2, width): a gradient that is added to another */
    int32_t *neighbours, *blocks;           /* tables of eoc_net_gather, of hidden layers and of the first */
    double *sample;                         /* (3, outputs): of one sample y, its target and dE/dy */
    eoc_real *patches;                      /* scratch of convolutions, see net_space.c */
} eoc_net;

/** Whether images of these sizes go into the network; EOC_ERR_USAGE with a sentence. */
eoc_status EOC_NET(check_images)(const eoc_network *network, int rows, int columns, int features);

/** EOC_ERR_NOMEM where there is no room. Owned by the caller, ended by destroy. */
eoc_status EOC_NET(create)(const eoc_net_limits *limits, eoc_net **net);
void EOC_NET(destroy)(eoc_net **net);

/** Bytes that create takes: at most `memory` of the limits, or the least that serves where that is more. */
double EOC_NET(bytes)(const eoc_net_limits *limits);

/** Whether the way back finds every layer kept, so that none is run again. */
bool EOC_NET(keeps_all)(const eoc_net_limits *limits);

/** Called between layers, so at most some ms apart; true: give up. NULL: never. */
typedef struct {
    void *context;
    bool (*tick)(void *context);
} eoc_net_host;

/**
 * Takes the form of a network within the limits and draws its weights; the optimizer's states are zero.
 *
 * @param drawn  false after a failure, or when given up: the net must be drawn again
 */
eoc_status EOC_NET(draw)(eoc_net *net, const eoc_network *network, double readout_variance, eoc_weights *weights,
                         const eoc_net_host *host, bool *drawn);

/**
 * y of n <= batch samples x (n, features), in net->output. False when given up.
 *
 * @param step  of training, from 1: normalizations over the batch take the means of these samples and add them to their
 *              running averages, dropout has this step's masks. 0: the network as it is used, without dropout, with
 *              the running averages, or before the first step with the means of these samples.
 * @param piece which piece of the step's batch these samples are; 0 where it comes whole
 *
 * A running average of mean and (unbiased) variance is the plain one of the first ten steps, then moves by a tenth of
 * its distance each step.
 */
bool EOC_NET(forward)(eoc_net *net, const eoc_real *x, int n, int64_t step, int piece, const eoc_net_host *host);

/**
 * The loss of the samples that went forward, added up, and how many have their greatest output at their label; net->
 * output becomes scale times the derivative of that sum.
 *
 * @param labels   (n), or NULL: then targets (n, outputs)
 * @param correct  added to; may be NULL
 */
double EOC_NET(loss)(eoc_net *net, const eoc_loss_kind *loss, const int32_t *labels, const float *targets, int n,
                     double scale, int64_t *correct);

/** One step of an optimizer. */
typedef struct {
    const eoc_optimizer *optimizer;
    double learning_rate;
    double bias_rate;  /* of the biases b, times learning_rate; 0: they stay */
    int64_t step;      /* from 1 */
    double clip;       /* greatest norm of the whole gradient (then the limits say whole_gradient); 0: any */
    int piece, pieces; /* of a step whose batch comes in pieces (then likewise): the last one moves; 0 of 0: all */
} eoc_net_step;

/**
 * From dE/dy in net->output, after a step's forward of the same x, back through the layers: every layer's parameters
 * make their step as soon as nothing below needs them; with clipping, or a batch in pieces, after the last. With `step`
 * NULL only the gradient is computed (whole_gradient). False when given up: some layers have made their step.
 */
bool EOC_NET(backward)(eoc_net *net, const eoc_real *x, int n, const eoc_net_step *step, const eoc_net_host *host);

#endif
