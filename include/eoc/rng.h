/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Random numbers as a function: a key, a counter and nothing else.
 *
 * Philox4x32-10 (Salmon et al., SC 2011; Random123) under a 64-bit key that is a hash of the seed and of the point's
 * own parameters. The counter says layer, tensor, column or tile, and block, so any number can be drawn again, by any
 * rank, in any order. The mapping below is part of the meaning of a result file: whoever changes it raises
 * physics_version.
 *
 * Streams. A stream is (key, layer, tensor, column); its blocks j = 0, 1, ... are Philox at the counter
 * (j, column, tensor, layer), four 32-bit words x0..x3 each. Sixteen blocks form a group:
 *   float  normals   64 a group: entry 64 g + 16 k + i is normal k = 0..3 of block 16 g + i; (x0, x1) give 0 and 1,
 * (x2, x3) give 2 and 3: sqrt(-2 log u) times cos and sin of pi t, u = (floor(x0/2) + 1/2)/2^31, t = x1/2^31 with x1
 * read as a signed integer; |z| < 6.7 double normals   32 a group: entry 32 g + 16 k + i is normal k = 0, 1 of block 16
 * g + i; u and t/2 are the 52 high bits of (x0, x1) and (x2, x3) as numbers in (0, 1); |z| < 8.6 float  uniforms  64 a
 * group: entry 64 g + 16 k + i is (x_k + 1/2)/2^31, x_k read as a signed integer; in [-1, 1]
 */
#ifndef EOC_RNG_H
#define EOC_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t word[2];
} eoc_key;

/** What a stream is drawn for; the numbers are part of the mapping. */
typedef enum {
    EOC_TENSOR_INPUT = 0,
    EOC_TENSOR_READOUT = 1,
    EOC_TENSOR_BIAS = 2,
    EOC_TENSOR_WEIGHT = 3,        /* + index of the matrix within its layer, for layers with several */
    EOC_TENSOR_TANGENT = 1 << 16, /* directions u of the statistic `jacobian` */
    EOC_TENSOR_MASK = 1 << 20,    /* what dropout keeps; column: the input */
    EOC_TENSOR_TRAIN_MASK =
        1 << 21,                  /* likewise in training; column: the step, entries: (sample of the batch, feature) */
    EOC_TENSOR_SHUFFLE = 1 << 19, /* the order of samples in training; layer: the epoch */
    EOC_TENSOR_TRANSPOSED = 1 << 17, /* + a weight's: what the transposed product draws beside (implicit sampler) */
    EOC_TENSOR_DATA_TRAIN = 1 << 18, /* synthetic data sets, under a key of their own: see data.h */
    EOC_TENSOR_DATA_TEST,
    EOC_TENSOR_DATA_LEFT,
    EOC_TENSOR_DATA_RIGHT,
} eoc_tensor;

typedef struct {
    eoc_key key;
    uint32_t layer; /* 1..L; 0 for what belongs to no layer */
    uint32_t tensor;
    uint32_t column; /* vector, or tile of a matrix */
} eoc_stream;

/** The key of a text such as "seed=1 width=300 ...": 64 bits of a chained Threefry4x64-20 (Matyas-Meyer-Oseas). */
eoc_key eoc_rng_key(const char *text);

/** One Philox4x32-10 block, for known-answer tests and single draws. */
void eoc_rng_block(eoc_key key, const uint32_t counter[4], uint32_t out[4]);

/** The first n standard normals of a stream. */
void eoc_rng_normals(const eoc_stream *stream, double *out, size_t n);

/** The same at 32-bit resolution, twice as cheap: for the entries of weight matrices. */
void eoc_rng_normals_float(const eoc_stream *stream, float *out, size_t n);

/**
 * Normals `first`, first + 1, ..., n of them, at 32-bit resolution, as doubles times `scale`: a stream in pieces.
 * `first` is a multiple of EOC_RNG_GROUP.
 */
enum { EOC_RNG_GROUP = 64 };
void eoc_rng_normals_scaled(const eoc_stream *stream, size_t first, double scale, double *out, size_t n);

/** The first n uniforms on (-1, 1) of a stream, at 32-bit resolution. */
void eoc_rng_uniforms_float(const eoc_stream *stream, float *out, size_t n);

#endif
