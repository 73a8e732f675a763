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
    const eoc_real *values; /* up: what the part before gave, (n, its width) */
    const eoc_real *stream; /* up: as it was at the last fork */
    eoc_real *d, *other;    /* down: dE/d of what a part gave, and room for that of what it took */
    const eoc_net_step *how;
    bool at_once;  /* a part's parameters step as soon as their gradient is there, ... */
    bool in_place; /* ... and the product that makes it adds to them */
} eoc_net_pass;

struct eoc_net_part_kind {
    const char *name;
    void (*forward)(eoc_net_pass *pass, eoc_net_part *part);
    /** Replaces pass->d, and learns. */
    void (*backward)(eoc_net_pass *pass, const eoc_net_part *part);
};

/* The rows. A matrix with a plain phi behind it is one part: its rows are worked on while they are in the cache. */
enum { EOC_NET_MATRIX, EOC_NET_MATRIX_PHI, EOC_NET_NORM, EOC_NET_PHI, EOC_NET_FORK, EOC_NET_ADD };
extern const eoc_net_part_kind EOC_NET(part_kinds)[];

#endif
