/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include "eoc/rng.h"
#include "eoc/vecmath.h"

#include <string.h>

static const double PI = 3.14159265358979323846;

/* The vectors of Random123's kat_vectors file for philox4x32 with 10 rounds. */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint32_t out[4];
        eoc_rng_block((eoc_key){{vectors[i].key[0], vectors[i].key[1]}}, vectors[i].counter, out);
        assert_memory_equal(out, vectors[i].out, sizeof out);
    }
}

static const eoc_stream stream = {{{0x12345678u, 0x9abcdef0u}}, 7, 3, 11};

/* Word `word` of block `block`, by way of the known-answer function. */
static uint32_t word_of(uint32_t block, int word)
{
    const uint32_t counter[4] = {block, stream.column, stream.tensor, stream.layer};
    uint32_t out[4];
    eoc_rng_block(stream.key, counter, out);
    return out[word];
}

/* 52 high bits of two words, as a number in (0, 1): the formula of rng.h. */
static double interval52(uint32_t high, uint32_t low)
{
    const uint64_t bits = (uint64_t)high << 20 | low >> 12;
    return ((double)bits + 0.5) / 4503599627370496.0;
}

/* The mapping of rng.h, entry by entry with libm: every instruction set must give it, to SLEEF's last digits. */
static void double_mapping(void **state)
{
    (void)state;
    enum { N = 16 * 32 + 5 };
    double z[N];
    eoc_rng_normals(&stream, z, N);
    for (int entry = 0; entry < N; entry++) {
        const uint32_t block = (uint32_t)(entry / 32 * 16 + entry % 16);
        const double u = interval52(word_of(block, 0), word_of(block, 1));
        const double t = 2.0 * PI * interval52(word_of(block, 2), word_of(block, 3));
        const double want = sqrt(-2.0 * log(u)) * (entry % 32 < 16 ? cos(t) : sin(t));
        CHECK_NEAR(z[entry], want, 1e-14);
    }
}

static void float_mapping(void **state)
{
    (void)state;
    enum { N = 8 * 64 + 37 };
    float z[N], uniform[N];
    eoc_rng_normals_float(&stream, z, N);
    eoc_rng_uniforms_float(&stream, uniform, N);
    for (int entry = 0; entry < N; entry++) {
        const uint32_t block = (uint32_t)(entry / 64 * 16 + entry % 16);
        const int k = entry % 64 / 16;
        const uint32_t a = word_of(block, k < 2 ? 0 : 2), b = word_of(block, k < 2 ? 1 : 3);
        const double u = (a / 2 + 0.5) / 2147483648.0, t = PI * (int32_t)b / 2147483648.0;
        const double want = sqrt(-2.0 * log(u)) * (k % 2 ? sin(t) : cos(t));
        /* 3.5 ulp of log and sincos in float32, on values up to 6.7 */
        CHECK_NEAR((double)z[entry], want, 4e-6);
        CHECK_NEAR((double)uniform[entry], ((double)(int32_t)word_of(block, k) + 0.5) / 2147483648.0, 1e-7);
    }
}

/* The first n numbers of a stream do not depend on n. */
static void prefixes(void **state)
{
    (void)state;
    double all[200], part[200];
    float all_float[200], part_float[200];
    eoc_rng_normals(&stream, all, 200);
    eoc_rng_normals_float(&stream, all_float, 200);
    for (size_t n = 0; n <= 200; n += 7) {
        eoc_rng_normals(&stream, part, n);
        eoc_rng_normals_float(&stream, part_float, n);
        assert_memory_equal(all, part, n * sizeof(double));
        assert_memory_equal(all_float, part_float, n * sizeof(float));
    }
}

/* Moments of 2^21 normals of each form against N(0, 1): within 4 standard errors, 1, 2, 15 - 1 and 96 over n. 8
 * comparisons. */
static void moments(void **state)
{
    (void)state;
    enum { BLOCK = 4096, BLOCKS = 512 };
    static double z[BLOCK];
    static float zf[BLOCK];
    double sums[2][5] = {{0}};
    for (uint32_t column = 0; column < BLOCKS; column++) {
        const eoc_stream s = {{{1, 2}}, 3, 4, column};
        eoc_rng_normals(&s, z, BLOCK);
        eoc_rng_normals_float(&s, zf, BLOCK);
        for (int i = 0; i < BLOCK; i++) {
            const double values[2] = {z[i], (double)zf[i]};
            for (int form = 0; form < 2; form++) {
                double power = 1.0;
                for (int k = 1; k <= 4; k++) {
                    power *= values[form];
                    sums[form][k] += power;
                }
            }
        }
    }
    const double n = (double)BLOCK * BLOCKS;
    static const double means[5] = {1, 0, 1, 0, 3}, variances[5] = {0, 1, 2, 15, 96};
    for (int form = 0; form < 2; form++) {
        for (int k = 1; k <= 4; k++) {
            CHECK_NEAR(sums[form][k] / n, means[k], 4.0 * sqrt(variances[k] / n));
        }
    }
}

/* Neighbouring streams (column, tensor, layer, key) are uncorrelated: |r| within 4 standard errors. 4 comparisons. */
static void independent_streams(void **state)
{
    (void)state;
    enum { N = 1 << 16 };
    static double x[N], y[N];
    const eoc_stream base = {{{5, 6}}, 1, 3, 0};
    const eoc_stream others[] = {{{{5, 6}}, 1, 3, 1}, {{{5, 6}}, 1, 4, 0}, {{{5, 6}}, 2, 3, 0}, {{{6, 6}}, 1, 3, 0}};
    eoc_rng_normals(&base, x, N);
    for (int i = 0; i < 4; i++) {
        eoc_rng_normals(&others[i], y, N);
        double sum = 0.0;
        for (int k = 0; k < N; k++) {
            sum += x[k] * y[k];
        }
        CHECK_NEAR(sum / N, 0.0, 4.0 / sqrt(N));
    }
}

/* Keys differ with the text, its length and its trailing zeros; the same text gives the same key. */
static void keys(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "a",
                                        "b",
                                        "seed=1 depth=1",
                                        "seed=1 depth=10",
                                        "seed=10 depth=1",
                                        "a text of thirty-two characters.",
                                        "a text of thirty-two characters.."};
    enum { COUNT = sizeof texts / sizeof texts[0] };
    for (int i = 0; i < COUNT; i++) {
        const eoc_key one = eoc_rng_key(texts[i]), again = eoc_rng_key(texts[i]);
        assert_memory_equal(&one, &again, sizeof one);
        for (int k = 0; k < i; k++) {
            const eoc_key other = eoc_rng_key(texts[k]);
            assert_memory_not_equal(&one, &other, sizeof one);
        }
    }
}

/* Vector functions against libm on a range with their hard places, tails included; rounding of the last two digits. */
static void vector_functions(void **state)
{
    (void)state;
    static const struct {
        void (*many)(const double *x, double *y, size_t n);
        double (*one)(double x);
        double from, to;
    } functions[] = {
        {eoc_vec_exp, exp, -700, 700}, {eoc_vec_expm1, expm1, -40, 40}, {eoc_vec_log1p, log1p, -0.999, 50},
        {eoc_vec_tanh, tanh, -25, 25}, {eoc_vec_erf, erf, -7, 7},       {eoc_vec_erfc, erfc, -7, 26},
        {eoc_vec_sin, sin, -100, 100}, {eoc_vec_cos, cos, -100, 100},
    };
    enum { N = 1003 };
    double x[N], y[N];
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
        for (int i = 0; i < N; i++) {
            x[i] = functions[f].from + (functions[f].to - functions[f].from) * i / (N - 1);
        }
        functions[f].many(x, y, N);
        for (int i = 0; i < N; i++) {
            const double want = functions[f].one(x[i]);
            CHECK_NEAR(y[i], want, 4.0 * 2.3e-16 * fabs(want) + 1e-300);
        }
        /* in place, and bits that do not depend on the place in the array */
        functions[f].many(x + 1, x + 1, N - 1);
        assert_memory_equal(x + 1, y + 1, sizeof(double) * (N - 1));
    }
}

int main(void)
{
    printf("vector instructions: %s\n", eoc_vec_isa());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers), cmocka_unit_test(double_mapping),   cmocka_unit_test(float_mapping),
        cmocka_unit_test(prefixes),      cmocka_unit_test(moments),          cmocka_unit_test(independent_streams),
        cmocka_unit_test(keys),          cmocka_unit_test(vector_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
