/* SPDX-License-Identifier: BSD-3-Clause */
/* The samplers, each in its file, and the scratch memory that they share. Private to the room. */
#ifndef EOC_SAMPLERS_H
#define EOC_SAMPLERS_H

#include "eoc/weights.h"

enum {
    EOC_TILE_SIDE = 128, /* explicit: a tile and the vectors it meets stay in the second-level cache; measured best */
    EOC_DRAWN_DOUBLES = 4096 /* implicit: what is drawn at a time, half of it in the first-level cache */
};

struct eoc_weights {
    int max_fan, max_columns;
    float *drawn;             /* explicit: (TILE_SIDE^2) a tile of uniforms as drawn */
    double *tile;             /* explicit: (TILE_SIDE^2); also one reflection's vector, (max_fan) */
    double *padded;           /* explicit: one vector of a rectangular orthogonal product, (max_fan) */
    double *frame;            /* implicit: (max_columns, max_fan) */
    double *normals;          /* implicit: (max_columns, block), at least EOC_DRAWN_DOUBLES */
    double *r, *along, *work; /* implicit: (max_columns, max_columns) twice, (4 max_columns) */
};

extern const eoc_sampler eoc_sampler_explicit;
extern const eoc_sampler eoc_sampler_implicit;

#endif
