/* SPDX-License-Identifier: BSD-3-Clause */
/* What net.c lays out and net_parts.c walks, compiled for float and for double. Private to the room. */
#ifndef EOC_NET_PARTS_H
#define EOC_NET_PARTS_H

#include "eoc/net.h"

#ifdef EOC_REAL_DOUBLE
#define GEMM eoc_linalg_gemm_double
#define LOOPS (&eoc_net_loops_double_generic)
extern const eoc_net_loops eoc_net_loops_double_generic;
#else
#define GEMM eoc_linalg_gemm_float
#define LOOPS eoc_net_f32_loops()
#endif

/* Samples on their way through the parts. */
typedef struct {
    eoc_net *net;
    int n;
    int64_t step;           /* as of EOC_NET(forward) */
    int piece;              /* likewise */
    const eoc_real *values; /* up: what the part before gave, (n, its width) */
    const eoc_real *stream; /* up: as it was at the last fork */
    eoc_real *d, *other;    /* down: dE/d of what a part gave, and room for that of what it took; up: other alone */
    const eoc_net_step *how;
    bool at_once;  /* a part's parameters step as soon as their gradient is there, ... */
    bool in_place; /* ... and the product that makes it adds to them */
    bool again;    /* up: a segment that was up before */
} eoc_net_pass;

struct eoc_net_part_kind {
    const char *name;
    void (*forward)(eoc_net_pass *pass, eoc_net_part *part);
    /** Replaces pass->d, and learns. */
    void (*backward)(eoc_net_pass *pass, const eoc_net_part *part);
};

/* The rows. A matrix with a plain phi behind it is one part: its rows are worked on while they are in the cache. */
enum {
    EOC_NET_MATRIX,
    EOC_NET_MATRIX_PHI,
    EOC_NET_NORM,
    EOC_NET_PHI,
    EOC_NET_FORK,
    EOC_NET_ADD,
    EOC_NET_CONVOLUTION,
    EOC_NET_AVERAGE
};
extern const eoc_net_part_kind EOC_NET(part_kinds)[];

static inline bool given_up(const eoc_net_host *host)
{
    return host && host->tick && host->tick(host->context);
}

/** Parts of a network of this depth, at most. */
static inline size_t most_parts(int depth)
{
    enum { OF_A_LAYER = 6 };
    return OF_A_LAYER * (size_t)depth + 2;
}

/** Matrices of such a network, at most: two of a layer, and the read-out. */
static inline size_t most_layers(int depth)
{
    return 2 * (size_t)depth + 1;
}

/** Takes the form of net->network. */
void EOC_NET(lay_out)(eoc_net *net);

/* -- net_parts.c -- */

/** h = phi(z), slope = phi'(z); h holds z */
void EOC_NET(apply_phi)(const eoc_activation *a, eoc_real *h, eoc_real *slope, size_t n);

/** Where a part's gradient goes: its own place, or one for all that step at once. */
eoc_real *EOC_NET(gradient_of)(const eoc_net_pass *pass, const eoc_net_part *part);

/** Whether what a part makes is added to the gradient of earlier pieces of the batch. */
bool EOC_NET(adds)(const eoc_net_pass *pass);

/** dE/db from the column sums of d (rows, width), times slope first where there is one; d too. */
void EOC_NET(bias_gradient)(const eoc_net_pass *pass, const eoc_net_part *part, eoc_real *gradient);

/** A part's step, where parts step at once. */
void EOC_NET(step_part)(const eoc_net_pass *pass, const eoc_net_part *part, const eoc_real *gradient);

/** What a part took becomes what the one before it gave. */
void EOC_NET(swap)(eoc_net_pass *pass);

/* -- net_space.c -- */

/** The tables by which convolutions gather what they see. */
void EOC_NET(fill_tables)(eoc_net *net);

/** Numbers in net->patches. */
size_t EOC_NET(patch_reals)(const eoc_net_limits *limits, size_t largest_part);

void EOC_NET(convolution_forward)(eoc_net_pass *pass, eoc_net_part *part);
void EOC_NET(convolution_backward)(eoc_net_pass *pass, const eoc_net_part *part);
void EOC_NET(average_forward)(eoc_net_pass *pass, eoc_net_part *part);
void EOC_NET(average_backward)(eoc_net_pass *pass, const eoc_net_part *part);

#endif
