/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Vector kernels, compiled once for each instruction set with EOC_ISA naming it. Philox runs one block a lane; the
 * entries of a group lie as rng.h says whatever the vector length, so every build draws the same integers and, to the
 * rounding of SLEEF, the same normals.
 */
#include "vector_kernels.h"

#include <Random123/philox.h>
#include <sleef.h>
#include <string.h>

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#if defined(__AVX512F__)
typedef __m512d vdouble;
typedef __m512 vfloat;
#define SLEEF_D(name, accuracy) PASTE(PASTE(Sleef_##name, d8_), accuracy)
#define SLEEF_F(name, accuracy) PASTE(PASTE(Sleef_##name, f16_), accuracy)
#define SQRT_D(x) _mm512_sqrt_pd(x)
#define SQRT_F(x) _mm512_sqrt_ps(x)
#define MAX_D(a, b) _mm512_max_pd(a, b)
#define FMA_D(a, b, c) _mm512_fmadd_pd(a, b, c)
typedef Sleef___m512d_2 vdouble_2;
typedef Sleef___m512_2 vfloat_2;
#elif defined(__AVX2__)
typedef __m256d vdouble;
typedef __m256 vfloat;
#define SLEEF_D(name, accuracy) PASTE(PASTE(Sleef_##name, d4_), accuracy)
#define SLEEF_F(name, accuracy) PASTE(PASTE(Sleef_##name, f8_), accuracy)
#define SQRT_D(x) _mm256_sqrt_pd(x)
#define SQRT_F(x) _mm256_sqrt_ps(x)
#define MAX_D(a, b) _mm256_max_pd(a, b)
#define FMA_D(a, b, c) _mm256_fmadd_pd(a, b, c)
typedef Sleef___m256d_2 vdouble_2;
typedef Sleef___m256_2 vfloat_2;
#else
#if defined(__aarch64__)
typedef float64x2_t vdouble;
typedef float32x4_t vfloat;
#define SQRT_D(x) vsqrtq_f64(x)
#define SQRT_F(x) vsqrtq_f32(x)
#define MAX_D(a, b) vmaxq_f64(a, b)
#define FMA_D(a, b, c) ((a) * (b) + (c))
typedef Sleef_float64x2_t_2 vdouble_2;
typedef Sleef_float32x4_t_2 vfloat_2;
#else
typedef __m128d vdouble;
typedef __m128 vfloat;
#define SQRT_D(x) _mm_sqrt_pd(x)
#define SQRT_F(x) _mm_sqrt_ps(x)
#define MAX_D(a, b) _mm_max_pd(a, b)
#define FMA_D(a, b, c) ((a) * (b) + (c))
typedef Sleef___m128d_2 vdouble_2;
typedef Sleef___m128_2 vfloat_2;
#endif
#define SLEEF_D(name, accuracy) PASTE(PASTE(Sleef_##name, d2_), accuracy)
#define SLEEF_F(name, accuracy) PASTE(PASTE(Sleef_##name, f4_), accuracy)
#endif

enum { DOUBLES = sizeof(vdouble) / sizeof(double), FLOATS = sizeof(vfloat) / sizeof(float) };

/* -- maps: y = f(x); the rest of an array goes through the same vectors, so an entry's bits do not depend on its place
 * -- */

#define DEFINE_MAP(name, accuracy)                               \
    static void map_##name(const double *x, double *y, size_t n) \
    {                                                            \
        size_t i = 0;                                            \
        vdouble v;                                               \
        for (; i + DOUBLES <= n; i += DOUBLES) {                 \
            memcpy(&v, x + i, sizeof v);                         \
            v = SLEEF_D(name, accuracy)(v);                      \
            memcpy(y + i, &v, sizeof v);                         \
        }                                                        \
        if (i < n) {                                             \
            double rest[DOUBLES] = {0.0};                        \
            memcpy(rest, x + i, (n - i) * sizeof(double));       \
            memcpy(&v, rest, sizeof v);                          \
            v = SLEEF_D(name, accuracy)(v);                      \
            memcpy(y + i, &v, (n - i) * sizeof(double));         \
        }                                                        \
    }

DEFINE_MAP(exp, u10)
DEFINE_MAP(expm1, u10)
DEFINE_MAP(log1p, u10)
DEFINE_MAP(erf, u10)
DEFINE_MAP(erfc, u15)
DEFINE_MAP(sin, u10)
DEFINE_MAP(cos, u10)

/* -- float32 maps of trained networks -- */

static void tanh_both_float(const float *x, float *y, float *slope, size_t n)
{
    size_t i = 0;
    vfloat v, d;
    for (; i + FLOATS <= n; i += FLOATS) {
        memcpy(&v, x + i, sizeof v);
        v = SLEEF_F(tanh, u35)(v);
        d = 1.0F - v * v;
        memcpy(y + i, &v, sizeof v);
        memcpy(slope + i, &d, sizeof d);
    }
    if (i < n) {
        float rest[FLOATS] = {0.0F};
        memcpy(rest, x + i, (n - i) * sizeof(float));
        memcpy(&v, rest, sizeof v);
        v = SLEEF_F(tanh, u35)(v);
        d = 1.0F - v * v;
        memcpy(y + i, &v, (n - i) * sizeof(float));
        memcpy(slope + i, &d, (n - i) * sizeof(float));
    }
}

static void leaky_both_float(float below, const float *x, float *y, float *slope, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float z = x[i];
        slope[i] = z > 0.0F ? 1.0F : z < 0.0F ? below : 0.0F;
        y[i] = z < 0.0F ? below * z : z;
    }
}

/* -- reductions: lane i of the accumulator has entries i, i + DOUBLES, ...; the lanes are added in order at the end --
 */

static inline vdouble load(const double *x, size_t n)
{
    double rest[DOUBLES] = {0.0};
    vdouble v;
    memcpy(rest, x, n * sizeof(double));
    memcpy(&v, rest, sizeof v);
    return v;
}

static inline vdouble load_whole(const double *x)
{
    vdouble v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store(double *y, vdouble v, size_t n)
{
    if (n == DOUBLES) {
        memcpy(y, &v, sizeof v);
    } else {
        memcpy(y, &v, n * sizeof(double));
    }
}

static double add_lanes(vdouble v)
{
    double lanes[DOUBLES], sum = 0.0;
    memcpy(lanes, &v, sizeof v);
    for (int i = 0; i < (int)DOUBLES; i++) {
        sum += lanes[i];
    }
    return sum;
}

static double distance2(double a, const double *x, double b, const double *y, size_t n)
{
    vdouble sum0 = load(x, 0), sum1 = sum0;
    size_t i = 0;
    for (; i + 2 * DOUBLES <= n; i += 2 * DOUBLES) {
        const vdouble d0 = a * load_whole(x + i) - b * load_whole(y + i);
        const vdouble d1 = a * load_whole(x + i + DOUBLES) - b * load_whole(y + i + DOUBLES);
        sum0 += d0 * d0;
        sum1 += d1 * d1;
    }
    for (; i < n; i += DOUBLES) {
        const size_t m = n - i < DOUBLES ? n - i : DOUBLES;
        const vdouble d = a * load(x + i, m) - b * load(y + i, m);
        sum0 += d * d;
    }
    return add_lanes(sum0 + sum1);
}

static void pair_sums(const double *g, const double *a, const double *b, const double *da, const double *db, size_t n,
                      double sums[2])
{
    vdouble apart0 = load(g, 0), apart1 = apart0, both0 = apart0, both1 = apart0;
    size_t i = 0;
    for (; i + 2 * DOUBLES <= n; i += 2 * DOUBLES) {
        const size_t k = i + DOUBLES;
        const vdouble g0 = load_whole(g + i), g1 = load_whole(g + k);
        const vdouble d0 = load_whole(a + i) - load_whole(b + i), d1 = load_whole(a + k) - load_whole(b + k);
        apart0 += g0 * (d0 * d0);
        apart1 += g1 * (d1 * d1);
        both0 += g0 * (load_whole(da + i) * load_whole(db + i));
        both1 += g1 * (load_whole(da + k) * load_whole(db + k));
    }
    for (; i < n; i += DOUBLES) {
        const size_t m = n - i < DOUBLES ? n - i : DOUBLES;
        const vdouble g0 = load(g + i, m), d0 = load(a + i, m) - load(b + i, m);
        apart0 += g0 * (d0 * d0);
        both0 += g0 * (load(da + i, m) * load(db + i, m));
    }
    sums[0] = add_lanes(apart0 + apart1);
    sums[1] = add_lanes(both0 + both1);
}

static double recur(double a, const double *x, const double *last, double b, double *older, const double *f, size_t n)
{
    vdouble sum0 = load(x, 0), sum1 = sum0;
    size_t i = 0;
    for (; i + 2 * DOUBLES <= n; i += 2 * DOUBLES) {
        const size_t k = i + DOUBLES;
        const vdouble next0 = a * load_whole(x + i) * load_whole(last + i) - b * load_whole(older + i);
        const vdouble next1 = a * load_whole(x + k) * load_whole(last + k) - b * load_whole(older + k);
        store(older + i, next0, DOUBLES);
        store(older + k, next1, DOUBLES);
        sum0 += load_whole(f + i) * next0;
        sum1 += load_whole(f + k) * next1;
    }
    for (; i < n; i += DOUBLES) {
        const size_t m = n - i < DOUBLES ? n - i : DOUBLES;
        const vdouble next = a * load(x + i, m) * load(last + i, m) - b * load(older + i, m);
        store(older + i, next, m);
        sum0 += load(f + i, m) * next;
    }
    return add_lanes(sum0 + sum1);
}

/* Up to four vectors at a time meet v, so that v is read once for them. */
enum { TOGETHER = 4 };

/* out[k] = sum of basis[k][i] v[i], k < TOGETHER; those from `count` on repeat the last one */
static void dots_together(const double *basis, size_t stride, int count, const double *v, size_t n, double *out)
{
    const double *b[TOGETHER];
    vdouble sums[TOGETHER];
    for (int k = 0; k < TOGETHER; k++) {
        b[k] = basis + (size_t)(k < count ? k : count - 1) * stride;
        sums[k] = load(v, 0);
    }
    size_t i = 0;
    for (; i + DOUBLES <= n; i += DOUBLES) {
        const vdouble x = load_whole(v + i);
        for (int k = 0; k < TOGETHER; k++) {
            sums[k] += load_whole(b[k] + i) * x;
        }
    }
    for (int k = 0; k < count; k++) {
        out[k] = add_lanes(sums[k] + load(b[k] + i, n - i) * load(v + i, n - i));
    }
}

static void dots(const double *basis, size_t stride, int count, const double *v, size_t n, double *out)
{
    int k = 0;
    for (; k + 2 < count; k += TOGETHER) {
        dots_together(basis + (size_t)k * stride, stride, count - k < TOGETHER ? count - k : TOGETHER, v, n, out + k);
    }
    for (; k < count; k++) {
        const double *b = basis + (size_t)k * stride;
        vdouble sum0 = load(v, 0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
        size_t i = 0;
        for (; i + 4 * DOUBLES <= n; i += 4 * DOUBLES) {
            sum0 += load_whole(b + i) * load_whole(v + i);
            sum1 += load_whole(b + i + DOUBLES) * load_whole(v + i + DOUBLES);
            sum2 += load_whole(b + i + 2 * DOUBLES) * load_whole(v + i + 2 * DOUBLES);
            sum3 += load_whole(b + i + 3 * DOUBLES) * load_whole(v + i + 3 * DOUBLES);
        }
        for (; i < n; i += DOUBLES) {
            const size_t m = n - i < DOUBLES ? n - i : DOUBLES;
            sum0 += load(b + i, m) * load(v + i, m);
        }
        out[k] = add_lanes((sum0 + sum1) + (sum2 + sum3));
    }
}

/* v += sum of a[k] basis[k], k < count <= TOGETHER; returns |v|^2 */
static inline double add_together(const double *basis, size_t stride, int count, const double *a, double *v, size_t n)
{
    vdouble square0 = load(v, 0), square1 = square0;
    size_t i = 0;
    for (; i + 2 * DOUBLES <= n; i += 2 * DOUBLES) {
        vdouble x0 = load_whole(v + i), x1 = load_whole(v + i + DOUBLES);
        for (int k = 0; k < count; k++) {
            const double *b = basis + (size_t)k * stride + i;
            x0 += a[k] * load_whole(b);
            x1 += a[k] * load_whole(b + DOUBLES);
        }
        memcpy(v + i, &x0, sizeof x0);
        memcpy(v + i + DOUBLES, &x1, sizeof x1);
        square0 += x0 * x0;
        square1 += x1 * x1;
    }
    for (; i < n; i += DOUBLES) {
        const size_t m = n - i < DOUBLES ? n - i : DOUBLES;
        vdouble x = load(v + i, m);
        for (int k = 0; k < count; k++) {
            x += a[k] * load(basis + (size_t)k * stride + i, m);
        }
        memcpy(v + i, &x, m * sizeof(double));
        square0 += x * x;
    }
    return add_lanes(square0 + square1);
}

static double combine(const double *basis, size_t stride, int count, const double *a, double *v, size_t n)
{
    double square = 0.0;
    for (int k = 0; k < count; k += TOGETHER) {
        const double *b = basis + (size_t)k * stride;
        /* a constant number of vectors is a loop that the compiler unrolls */
        switch (count - k) {
        case 1:
            square = add_together(b, stride, 1, a + k, v, n);
            break;
        case 2:
            square = add_together(b, stride, 2, a + k, v, n);
            break;
        case 3:
            square = add_together(b, stride, 3, a + k, v, n);
            break;
        default:
            square = add_together(b, stride, TOGETHER, a + k, v, n);
        }
    }
    return square;
}

static double sum4(double a, const double *x, size_t n)
{
    vdouble sum0 = load(x, 0), sum1 = sum0;
    size_t i = 0;
    for (; i + 2 * DOUBLES <= n; i += 2 * DOUBLES) {
        const vdouble v0 = a * load_whole(x + i), v1 = a * load_whole(x + i + DOUBLES);
        const vdouble s0 = v0 * v0, s1 = v1 * v1;
        sum0 += s0 * s0;
        sum1 += s1 * s1;
    }
    for (; i < n; i += DOUBLES) {
        const vdouble v = a * load(x + i, n - i < DOUBLES ? n - i : DOUBLES);
        sum0 += (v * v) * (v * v);
    }
    return add_lanes(sum0 + sum1);
}

/* Lanes keep their greatest |x|; a NaN is seen in x - x, which is 0 for every finite number. */
static double max_abs(const double *x, size_t n)
{
    vdouble greatest = load(x, 0), broken = greatest;
    for (size_t i = 0; i < n; i += DOUBLES) {
        const vdouble v = i + DOUBLES <= n ? load_whole(x + i) : load(x + i, n - i);
        greatest = MAX_D(greatest, MAX_D(v, -v));
        broken += v - v;
    }
    double lanes[DOUBLES], max = 0.0;
    memcpy(lanes, &greatest, sizeof greatest);
    for (int i = 0; i < (int)DOUBLES; i++) {
        max = lanes[i] > max ? lanes[i] : max;
    }
    return max + add_lanes(broken);
}

static void widen(double scale, const float *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = scale * (double)x[i];
    }
}

static void multiply_by(const double *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] *= x[i];
    }
}

typedef int64_t vbits __attribute__((vector_size(sizeof(vdouble))));

/* a >= 0 with the sign of b */
static inline vdouble with_sign(vdouble a, vdouble b)
{
    return (vdouble)((vbits)a | ((vbits)b & INT64_MIN));
}

/* exp(y) - 1 for y <= 0: the Taylor series where the difference would cancel, 16 terms for |y| <= 1/2, odd and even
 * ones apart for speed. */
static inline vdouble expm1_negative(vdouble y)
{
    static const double odd[] = {
        1.0 / 6227020800.0, 1.0 / 39916800.0, 1.0 / 362880.0, 1.0 / 5040.0, 1.0 / 120.0, 1.0 / 6.0, 1.0};
    static const double even[] = {1.0 / 87178291200.0, 1.0 / 479001600.0, 1.0 / 3628800.0, 1.0 / 40320.0,
                                  1.0 / 720.0,         1.0 / 24.0,        1.0 / 2.0};
    const vdouble zero = y - y; /* NaN where y is not finite, which the other branch serves */
    const vdouble y2 = y * y;
    vdouble odds = zero + 1.0 / 1307674368000.0, evens = zero + 1.0 / 20922789888000.0;
    for (int k = 0; k < (int)(sizeof odd / sizeof odd[0]); k++) {
        odds = FMA_D(odds, y2, zero + odd[k]);
        evens = FMA_D(evens, y2, zero + even[k]);
    }
    vdouble series = FMA_D(evens, y, odds);
    series *= y;
    const vdouble difference = SLEEF_D(exp, u10)(y) - 1.0;
    const vbits small = (vbits)(y >= -0.5);
    return (vdouble)(((vbits)series & small) | ((vbits)difference & ~small));
}

/* By e = exp(-2|x|) - 1: tanh = -e/(2 + e) with the sign of x, its slope 4 (1 + e)/(2 + e)^2; no digit is lost at
 * either end. Either array may be absent. */
static void tanh_both(const double *x, double *y, double *slope, size_t n)
{
    for (size_t i = 0; i < n; i += DOUBLES) {
        const size_t m = n - i < DOUBLES ? n - i : DOUBLES;
        const vdouble v = m == DOUBLES ? load_whole(x + i) : load(x + i, m);
        const vdouble e = expm1_negative(-2.0 * MAX_D(v, -v));
        const vdouble inverse = 1.0 / (2.0 + e);
        if (y) {
            const vdouble t = with_sign(-e * inverse, v);
            store(y + i, t, m);
        }
        if (slope) {
            const vdouble d = 4.0 * (1.0 + e) * (inverse * inverse);
            store(slope + i, d, m);
        }
    }
}

static void map_tanh(const double *x, double *y, size_t n)
{
    tanh_both(x, y, NULL, n);
}

static void tanh_slope(const double *x, double *y, size_t n)
{
    tanh_both(x, NULL, y, n);
}

/* -- Philox4x32-10 on the sixteen blocks of a group: x[word][block] -- */

typedef uint32_t group_words[4][EOC_GROUP_BLOCKS];

#if defined(__SSE2__)

/* The generator's multipliers and key increments, Salmon et al. 2011, table 2. */
static const uint32_t PHILOX_M0 = 0xD2511F53u, PHILOX_M1 = 0xCD9E8D57u;
static const uint32_t PHILOX_W0 = 0x9E3779B9u, PHILOX_W1 = 0xBB67AE85u;

#if defined(__AVX512F__)
typedef __m512i vword;
#define VW(op) _mm512_##op
#define VW_ODD(even, odd) _mm512_mask_blend_epi32(0xAAAA, even, odd)
#define VW_XOR(a, b) _mm512_xor_si512(a, b)
#elif defined(__AVX2__)
typedef __m256i vword;
#define VW(op) _mm256_##op
#define VW_ODD(even, odd) _mm256_blend_epi32(even, odd, 0xAA)
#define VW_XOR(a, b) _mm256_xor_si256(a, b)
#else
typedef __m128i vword;
#define VW(op) _mm_##op
#define VW_ODD(even, odd)                                            \
    _mm_or_si128(_mm_and_si128(_mm_set1_epi64x(0xFFFFFFFFLL), even), \
                 _mm_andnot_si128(_mm_set1_epi64x(0xFFFFFFFFLL), odd))
#define VW_XOR(a, b) _mm_xor_si128(a, b)
#endif

enum { WORDS = sizeof(vword) / sizeof(uint32_t) };

/* Four words of half of the blocks, each in the low half of a 64-bit lane; what is above it is never read. */
typedef struct {
    vword c0, c1, c2, c3;
} half_blocks;

static inline void philox_round(half_blocks *h, vword m0, vword m1, vword k0, vword k1)
{
    const vword product0 = VW(mul_epu32)(h->c0, m0), product1 = VW(mul_epu32)(h->c2, m1);
    h->c0 = VW_XOR(VW_XOR(VW(srli_epi64)(product1, 32), h->c1), k0);
    h->c2 = VW_XOR(VW_XOR(VW(srli_epi64)(product0, 32), h->c3), k1);
    h->c1 = product1;
    h->c3 = product0;
}

static inline void merge(vword even, vword odd, uint32_t *words)
{
    const vword merged = VW_ODD(even, VW(slli_epi64)(odd, 32));
    memcpy(words, &merged, sizeof merged);
}

static inline void philox_group(const eoc_stream *s, uint32_t first_block, group_words x)
{
    static const uint32_t places[EOC_GROUP_BLOCKS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const vword m0 = VW(set1_epi32)((int)PHILOX_M0), m1 = VW(set1_epi32)((int)PHILOX_M1);
    for (int i = 0; i < EOC_GROUP_BLOCKS; i += WORDS) {
        vword blocks;
        memcpy(&blocks, places + i, sizeof blocks);
        blocks = VW(add_epi32)(blocks, VW(set1_epi32)((int)first_block));
        half_blocks even = {blocks, VW(set1_epi32)((int)s->column), VW(set1_epi32)((int)s->tensor),
                            VW(set1_epi32)((int)s->layer)};
        half_blocks odd = even;
        odd.c0 = VW(srli_epi64)(blocks, 32);
        uint32_t k0 = s->key.word[0], k1 = s->key.word[1];
        for (int round = 0; round < 10; round++, k0 += PHILOX_W0, k1 += PHILOX_W1) {
            const vword key0 = VW(set1_epi32)((int)k0), key1 = VW(set1_epi32)((int)k1);
            philox_round(&even, m0, m1, key0, key1);
            philox_round(&odd, m0, m1, key0, key1);
        }
        merge(even.c0, odd.c0, &x[0][i]);
        merge(even.c1, odd.c1, &x[1][i]);
        merge(even.c2, odd.c2, &x[2][i]);
        merge(even.c3, odd.c3, &x[3][i]);
    }
}

#else

static inline void philox_group(const eoc_stream *s, uint32_t first_block, group_words x)
{
    for (int i = 0; i < EOC_GROUP_BLOCKS; i++) {
        const philox4x32_ctr_t c = {{first_block + (uint32_t)i, s->column, s->tensor, s->layer}};
        const philox4x32_key_t k = {{s->key.word[0], s->key.word[1]}};
        const philox4x32_ctr_t r = philox4x32(c, k);
        for (int word = 0; word < 4; word++) {
            x[word][i] = r.v[word];
        }
    }
}

#endif

/* -- Box-Muller on whole vectors -- */

/* 52 bits of two words as a double in (0, 1): the mantissa of [1, 2), moved down by 1 - 2^-53; exact. */
static inline double unit_interval(uint32_t high, uint32_t low)
{
    const uint64_t bits = (uint64_t)1023 << 52 | (uint64_t)high << 20 | low >> 12;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value - (1.0 - 0x1p-53);
}

static void normals(const eoc_stream *stream, uint32_t first, double *out, size_t num_groups)
{
    for (size_t g = 0; g < num_groups; g++, out += EOC_GROUP_DOUBLES) {
        group_words x;
        double u[EOC_GROUP_BLOCKS], t[EOC_GROUP_BLOCKS];
        philox_group(stream, (first + (uint32_t)g) * EOC_GROUP_BLOCKS, x);
        for (int i = 0; i < EOC_GROUP_BLOCKS; i++) {
            u[i] = unit_interval(x[0][i], x[1][i]);
            t[i] = 2.0 * unit_interval(x[2][i], x[3][i]);
        }
        for (int i = 0; i < EOC_GROUP_BLOCKS; i += DOUBLES) {
            vdouble radius, angle;
            memcpy(&radius, u + i, sizeof radius);
            memcpy(&angle, t + i, sizeof angle);
            radius = SQRT_D(-2.0 * SLEEF_D(log, u10)(radius));
            const vdouble_2 sc = SLEEF_D(sincospi, u05)(angle);
            const vdouble z0 = radius * sc.y, z1 = radius * sc.x;
            memcpy(out + i, &z0, sizeof z0);
            memcpy(out + EOC_GROUP_BLOCKS + i, &z1, sizeof z1);
        }
    }
}

/* Sixteen pairs of words to twice sixteen normals. The radius uses 31 bits and the angle 32, both converted as signed.
 */
static inline void box_muller_float(const uint32_t *a, const uint32_t *b, float *out)
{
    float u[EOC_GROUP_BLOCKS], t[EOC_GROUP_BLOCKS];
    for (int i = 0; i < EOC_GROUP_BLOCKS; i++) {
        u[i] = ((float)(int32_t)(a[i] >> 1) + 0.5f) * 0x1p-31f;
        t[i] = (float)(int32_t)b[i] * 0x1p-31f;
    }
    for (int i = 0; i < EOC_GROUP_BLOCKS; i += FLOATS) {
        vfloat radius, angle;
        memcpy(&radius, u + i, sizeof radius);
        memcpy(&angle, t + i, sizeof angle);
        radius = SQRT_F(-2.0f * SLEEF_F(log, u35)(radius));
        const vfloat_2 sc = SLEEF_F(sincospi, u35)(angle);
        const vfloat z0 = radius * sc.y, z1 = radius * sc.x;
        memcpy(out + i, &z0, sizeof z0);
        memcpy(out + EOC_GROUP_BLOCKS + i, &z1, sizeof z1);
    }
}

static void normals_float(const eoc_stream *stream, uint32_t first, float *out, size_t num_groups)
{
    for (size_t g = 0; g < num_groups; g++, out += EOC_GROUP_FLOATS) {
        group_words x;
        philox_group(stream, (first + (uint32_t)g) * EOC_GROUP_BLOCKS, x);
        box_muller_float(x[0], x[1], out);
        box_muller_float(x[2], x[3], out + 2 * EOC_GROUP_BLOCKS);
    }
}

static void normals_scaled(const eoc_stream *stream, uint32_t first, double scale, double *out, size_t num_groups)
{
    for (size_t g = 0; g < num_groups; g++, out += EOC_GROUP_FLOATS) {
        float z[EOC_GROUP_FLOATS];
        normals_float(stream, first + (uint32_t)g, z, 1);
        for (int i = 0; i < EOC_GROUP_FLOATS; i++) {
            out[i] = scale * (double)z[i];
        }
    }
}

static void uniforms_float(const eoc_stream *stream, uint32_t first, float *out, size_t num_groups)
{
    for (size_t g = 0; g < num_groups; g++, out += EOC_GROUP_FLOATS) {
        group_words x;
        philox_group(stream, (first + (uint32_t)g) * EOC_GROUP_BLOCKS, x);
        for (int word = 0; word < 4; word++) {
            for (int i = 0; i < EOC_GROUP_BLOCKS; i++) {
                out[word * EOC_GROUP_BLOCKS + i] = ((float)(int32_t)x[word][i] + 0.5f) * 0x1p-31f;
            }
        }
    }
}

const eoc_vector_kernels PASTE(eoc_vector_kernels_, EOC_ISA) = {
    .isa = TEXT(EOC_ISA),
    .exp = map_exp,
    .expm1 = map_expm1,
    .log1p = map_log1p,
    .tanh = map_tanh,
    .erf = map_erf,
    .erfc = map_erfc,
    .sin = map_sin,
    .cos = map_cos,
    .tanh_slope = tanh_slope,
    .tanh_both = tanh_both,
    .tanh_both_float = tanh_both_float,
    .leaky_both_float = leaky_both_float,
    .dots = dots,
    .combine = combine,
    .multiply = multiply_by,
    .widen = widen,
    .distance2 = distance2,
    .pair_sums = pair_sums,
    .recur = recur,
    .sum4 = sum4,
    .max_abs = max_abs,
    .normals = normals,
    .normals_float = normals_float,
    .normals_scaled = normals_scaled,
    .uniforms_float = uniforms_float,
};
