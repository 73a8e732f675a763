/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a probe. What the way back needs of every layer is kept where that fits; else the layers are cut into
 * segments, of which the first signals are kept, and a segment's layers are run again before the way back through it:
 * the draws are the same, so are the bits. Private to the room.
 */
#ifndef EOC_PROBE_MEMORY_H
#define EOC_PROBE_MEMORY_H

#include "eoc/probe.h"
#include "eoc/product_svd.h"

struct eoc_probe_workspace {
    int max_depth, max_width;
    int num_inputs;
    bool way_back, slopes; /* whether the statistics ask for them */
    eoc_weights *weights;
    int num_modes;
    eoc_product_svd *svd; /* of the statistic spectrum, else NULL, with ... */
    double *product;      /* ... a basis of J behind a layer */
    double *memory;       /* all of the following */
    double *up;           /* (columns, features max_width): h^l and its tangents, at most; features of a unit */
    double *z;            /* (columns, max_width) */
    double *down[2];      /* (columns, features max_width): dz^l, dh^l and the cotangents */
    double *scratch;      /* (columns, features max_width), where the networks need it */
    double *bias;         /* (max_width) */
    double *gram;         /* (eoc_layer_gram_doubles) */
    double *patches;      /* (patch_doubles) */
    double *spatial;      /* (eoc_spatial_doubles): of the statistic spatial */
    double *arena;        /* (arena_doubles): the layers of a segment, then the first signals of every segment */
    double arena_doubles, patch_doubles;
    eoc_layer *layers;       /* (max_depth) */
    int64_t (*exponents)[2]; /* (max_depth): of the first signals of every segment */
};

/**
 * eoc_probe_workspace_create with a limit of its own on what kept layers take; as much as the least that serves where
 * that is more. The limit of everybody else is a constant of the source.
 */
eoc_status eoc_probe_workspace_create_within(const eoc_probe *probe, int max_depth, int max_width, double arena_bytes,
                                             eoc_probe_workspace **workspace);

/** How one network lies in the arena. */
typedef struct {
    int length; /* layers of a segment */
    size_t layer_doubles, signal_doubles;
    size_t noted_doubles, slope_doubles, norm_doubles, kept_doubles; /* parts of a layer */
} eoc_segments;

/** Whether the way back finds every layer of such a network kept, so that none is run again. */
bool eoc_probe_keeps_all(const eoc_probe *probe, const eoc_network *network);

/** The longest segments that fit. */
eoc_segments eoc_probe_segments(const eoc_probe *probe, const eoc_probe_workspace *w, const eoc_network *network,
                                const eoc_sampler *sampler);

/** Signals of so many columns in one of the workspace's buffers; `inputs` 0 or those of the workspace's inputs. */
eoc_signals eoc_probe_signals(double *values, int inputs, int tangents, int width);

/** Layer l with its place in memory. */
eoc_layer *eoc_probe_layer(eoc_probe_workspace *w, const eoc_segments *segments, const eoc_network *network, int l);

/** Keeps, and gives back, the signals ahead of segment i. */
void eoc_probe_keep(eoc_probe_workspace *w, const eoc_segments *segments, int i, const eoc_signals *signals);
void eoc_probe_restore(const eoc_probe_workspace *w, const eoc_segments *segments, int i, eoc_signals *signals);

#endif
