/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/rng.h"

#include "vector_kernels.h"

#include <Random123/philox.h>
#include <Random123/threefry.h>
#include <assert.h>
#include <string.h>

eoc_key eoc_rng_key(const char *text)
{
    enum { BLOCK_BYTES = 32 };
    const size_t length = strlen(text);
    threefry4x64_key_t state = {{0}};
    /* The text in blocks of 32 bytes, the last one filled with zeros, then its length: no text is another's prefix. */
    const size_t num_blocks = length / BLOCK_BYTES + 2;
    for (size_t b = 0; b < num_blocks; b++) {
        unsigned char bytes[BLOCK_BYTES] = {0};
        if (b + 1 == num_blocks) {
            for (int i = 0; i < 8; i++) {
                bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
            }
        } else {
            const size_t start = b * BLOCK_BYTES;
            memcpy(bytes, text + start, length - start < BLOCK_BYTES ? length - start : BLOCK_BYTES);
        }
        threefry4x64_ctr_t message = {{0}};
        for (int i = 0; i < BLOCK_BYTES; i++) {
            message.v[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
        }
        const threefry4x64_ctr_t mixed = threefry4x64(message, state);
        for (int i = 0; i < 4; i++) {
            state.v[i] = mixed.v[i] ^ message.v[i];
        }
    }
    return (eoc_key){{(uint32_t)state.v[0], (uint32_t)(state.v[0] >> 32)}};
}

void eoc_rng_block(eoc_key key, const uint32_t counter[4], uint32_t out[4])
{
    const philox4x32_ctr_t c = {{counter[0], counter[1], counter[2], counter[3]}};
    const philox4x32_key_t k = {{key.word[0], key.word[1]}};
    const philox4x32_ctr_t r = philox4x32(c, k);
    memcpy(out, r.v, sizeof r.v);
}

/* Whole groups straight into `out`, the last part of a group by way of a buffer. */
#define DRAW(kernel, type, group_size)                                       \
    do {                                                                     \
        const size_t whole = n / (group_size), rest = n % (group_size);      \
        kernel(stream, 0, out, whole);                                       \
        if (rest) {                                                          \
            type buffer[group_size];                                         \
            kernel(stream, (uint32_t)whole, buffer, 1);                      \
            memcpy(out + whole * (group_size), buffer, rest * sizeof(type)); \
        }                                                                    \
    } while (0)

void eoc_rng_normals(const eoc_stream *stream, double *out, size_t n)
{
    DRAW(eoc_vector_kernels_chosen()->normals, double, EOC_GROUP_DOUBLES);
}

void eoc_rng_normals_float(const eoc_stream *stream, float *out, size_t n)
{
    DRAW(eoc_vector_kernels_chosen()->normals_float, float, EOC_GROUP_FLOATS);
}

void eoc_rng_normals_scaled(const eoc_stream *stream, size_t first, double scale, double *out, size_t n)
{
    assert(first % EOC_GROUP_FLOATS == 0);
    const uint32_t group = (uint32_t)(first / EOC_GROUP_FLOATS);
    const size_t whole = n / EOC_GROUP_FLOATS, rest = n % EOC_GROUP_FLOATS;
    eoc_vector_kernels_chosen()->normals_scaled(stream, group, scale, out, whole);
    if (rest) {
        double buffer[EOC_GROUP_FLOATS];
        eoc_vector_kernels_chosen()->normals_scaled(stream, group + (uint32_t)whole, scale, buffer, 1);
        memcpy(out + whole * EOC_GROUP_FLOATS, buffer, rest * sizeof(double));
    }
}

void eoc_rng_uniforms_float(const eoc_stream *stream, float *out, size_t n)
{
    DRAW(eoc_vector_kernels_chosen()->uniforms_float, float, EOC_GROUP_FLOATS);
}
