/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A network with stored weights that learns from batches of samples. Serial.
 *
 * z^1 = W^1 x + b^1, h^l = phi(z^l), z^l = W^l h^(l-1) + b^l, l = 2..L, read-out y = W^(L+1) h^L + b^(L+1): depth L
 * counts the hidden layers, the first of which takes the sample. Initial hidden weights are those of the explicit
 * sampler of the same network; the read-out is normal with variance readout_variance/N, its biases zero.
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

/** W (fan_out, fan_in), then b (fan_out), from `offset` on in the parameters. Layer L + 1 is the read-out. */
typedef struct {
    int fan_out, fan_in;
    size_t offset, count;
} eoc_net_layer;

/** What the largest network takes; one of these a rank, reused from network to network. */
typedef struct {
    int max_depth, max_width;
    int features, outputs; /* of the data */
    int batch;             /* samples at a time */
    int num_states;        /* arrays of the optimizer beside the parameters */
    bool whole_gradient;   /* keep the gradient of all layers: for clipping by its norm, and for checks */
} eoc_net_limits;

typedef struct {
    eoc_net_limits limits;
    eoc_network network;
    eoc_net_layer *layers; /* (depth + 1), layer l at l - 1 */
    size_t num_parameters;
    eoc_real *parameters;                   /* (num_parameters) */
    eoc_real *states[EOC_OPTIMIZER_STATES]; /* (num_parameters) each */
    eoc_real *gradient;                     /* (num_parameters), or those of one layer */
    eoc_real *h;                            /* (depth, batch, width): h^l */
    eoc_real *slope;                        /* (depth, batch, width): phi'(z^l) */
    eoc_real *output;                       /* (batch, outputs): y, then dE/dy */
    eoc_real *dz, *dh;                      /* (batch, width) */
} eoc_net;

/** EOC_ERR_NOMEM where there is no room. Owned by the caller, ended by destroy. */
eoc_status EOC_NET(create)(const eoc_net_limits *limits, eoc_net **net);
void EOC_NET(destroy)(eoc_net **net);

/** Bytes that create takes. */
double EOC_NET(bytes)(const eoc_net_limits *limits);

/** Takes the form of a network within the limits and draws its weights; the optimizer's states are zero. */
eoc_status EOC_NET(draw)(eoc_net *net, const eoc_network *network, double readout_variance, eoc_weights *weights);

/** Called between layers, so at most some ms apart; true: give up. NULL: never. */
typedef struct {
    void *context;
    bool (*tick)(void *context);
} eoc_net_host;

/** y of n <= batch samples x (n, features), in net->output. False when given up. */
bool EOC_NET(forward)(eoc_net *net, const eoc_real *x, int n, const eoc_net_host *host);

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
    int64_t step; /* from 1 */
    double clip;  /* greatest norm of the whole gradient (then the limits say whole_gradient); 0: any */
} eoc_net_step;

/**
 * From dE/dy in net->output back through the layers: every layer's parameters make their step as soon as nothing below
 * needs them; with clipping after the last. With `step` NULL only the gradient is computed (whole_gradient). False when
 * given up: some layers have made their step.
 */
bool EOC_NET(backward)(eoc_net *net, const eoc_real *x, int n, const eoc_net_step *step, const eoc_net_host *host);

#endif
