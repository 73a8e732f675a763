/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Where the units of a convolutional layer are: `side` positions on a line, or side x side in a square, row after row.
 *
 * A convolution takes, for every position p, what is at p + offset of each of its kernel^dimensions taps, the centre
 * tap at p itself. Circular padding: the line is a circle, the square a torus. Zero padding: beyond the edge is 0.
 * Networks without space have one position and one tap.
 */
#ifndef EOC_GEOMETRY_H
#define EOC_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

enum { EOC_MAX_KERNEL = 9, EOC_MAX_TAPS = EOC_MAX_KERNEL * EOC_MAX_KERNEL };

typedef struct {
    int dimensions;   /* 0: no space; 1, 2 */
    int side, kernel; /* kernel is odd, at most side and EOC_MAX_KERNEL */
    bool circular;
} eoc_geometry;

/** side^dimensions and kernel^dimensions. */
int eoc_geometry_positions(const eoc_geometry *geometry);
int eoc_geometry_taps(const eoc_geometry *geometry);

/** The tap whose offset is zero. */
int eoc_geometry_centre(const eoc_geometry *geometry);

/** Offset of a tap along a dimension (0: between rows, or along the line; 1: within a row), -kernel/2 .. kernel/2. */
int eoc_geometry_offset(const eoc_geometry *geometry, int tap, int dimension);

/** The position seen from p through a tap; -1: beyond the edge. */
int eoc_geometry_neighbour(const eoc_geometry *geometry, int p, int tap);

#endif
