/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Convolutions of trained networks: products of W with the patches of a block of rows at a time, so that the patches
 * stay in the cache and there is never a matrix of all. A product for every tap, of values laid out position by
 * position, was measured beside it: 31 to 41 GFLOP/s at 16 channels where patches came to 37 to 44, and 51 to 62 beside
 * 44 to 62 at 64 channels; patches leave the values as all other parts have them. Compiled for float and for double.
 */
#include "net_parts.h"

#include "eoc/linalg.h"

#include <assert.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* -- what a position sees -- */

/* Where block (y, x) of an image of `rows` x `columns` begins, for every value of it: channel, row, column. */
static void fill_block(int32_t *to, int rows, int columns, int channels, int side, int stride, int dimensions, int q)
{
    const int height = dimensions == 2 ? stride : 1;
    const int top = dimensions == 2 ? q / side * stride : 0, left = dimensions == 2 ? q % side * stride : q * stride;
    for (int c = 0; c < channels; c++) {
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < stride; x++) {
                *to++ = (c * rows + top + y) * columns + left + x;
            }
        }
    }
}

void EOC_NET(fill_tables)(eoc_net *net)
{
    const eoc_geometry g = eoc_network_geometry(&net->network);
    const int taps = eoc_geometry_taps(&g), positions = eoc_geometry_positions(&g);
    const int values = net->limits.features / positions, pixels = net->limits.rows * net->limits.columns;
    const int channels = net->limits.features / pixels;
    const bool flat = g.dimensions == 1; /* all pixels of a channel in one row */
    const int rows = flat ? 1 : net->limits.rows, columns = flat ? pixels : net->limits.columns;
    for (int p = 0; p < positions; p++) {
        for (int t = 0; t < taps; t++) {
            const int q = eoc_geometry_neighbour(&g, p, t);
            int32_t *const block = net->blocks + ((size_t)p * (size_t)taps + (size_t)t) * (size_t)values;
            net->neighbours[p * taps + t] = q;
            if (q < 0) {
                memset(block, 0xff, sizeof *block * (size_t)values); /* all -1 */
            } else {
                fill_block(block, rows, columns, channels, g.side, columns / g.side, g.dimensions, q);
            }
        }
    }
}

eoc_status EOC_NET(check_images)(const eoc_network *network, int rows, int columns, int features)
{
    const eoc_geometry g = eoc_network_geometry(network);
    const bool flat = g.dimensions == 1;
    if (!network->architecture.kind->geometry) {
        return EOC_OK;
    }
    EOC_REQUIRE(flat || rows == columns, EOC_ERR_USAGE,
                "convolutional of two dimensions takes square images, and those of the data set are %d x %d (%d "
                "features); accepted with it: square images, or dimensions=1",
                rows, columns, features);
    const int length = flat ? rows * columns : columns;
    EOC_REQUIRE(length % g.side == 0, EOC_ERR_USAGE,
                "convolutional: side=%d does not divide the %d pixels along an image of the data set into blocks; "
                "accepted: a side that does",
                g.side, length);
    return EOC_OK;
}

/* `count` rows from row `first` of all samples, side by side. */
static void gather_rows(const eoc_net_gather *g, int positions, const eoc_real *values, size_t first, size_t count,
                        eoc_real *patches)
{
    const size_t run = (size_t)g->run, entries = (size_t)g->entries;
    for (size_t r = first; r < first + count; r++, patches += entries * run) {
        LOOPS->gather(values + r / (size_t)positions * (size_t)g->sample, g->table + r % (size_t)positions * entries,
                      entries, run, patches);
    }
}

/* -- blocks of rows -- */

enum {
    BLOCK_REALS = 131072, /* of patches at a time: half of a second-level cache of 1 MiB; a quarter as many cost 5 % */
    LEAST_ROWS = 64,      /* fewer cost a product its speed */
    MOST_ROWS = 256,
    GROUPS = 16 /* of blocks, whose gradients are summed one after the other, whoever computes them */
};

static size_t block_rows(size_t fan_in)
{
    const size_t rows = BLOCK_REALS / fan_in;
    return rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
}

static size_t block_reals(const eoc_net_limits *limits)
{
    const int features = limits->needs.features > 1 ? limits->needs.features : 1;
    const int taps = limits->needs.taps > 1 ? limits->needs.taps : 1;
    const int blocks = limits->needs.least_positions > 1 ? limits->needs.least_positions : 1;
    const int first = limits->features / blocks, inner = features * limits->max_width;
    const int channels = inner > first ? inner : first;
    const size_t longest = (size_t)taps * (size_t)channels;
    const size_t least = LEAST_ROWS * longest, most = MOST_ROWS * longest; /* the longest of any shorter block too */
    return least > BLOCK_REALS ? least : most < BLOCK_REALS ? most : BLOCK_REALS;
}

static int num_threads(const eoc_net_limits *limits)
{
    return limits->threads > 1 ? limits->threads : 1;
}

/* Patches of every thread, a kernel turned round, and gradients of groups. */
size_t EOC_NET(patch_reals)(const eoc_net_limits *limits, size_t largest_part)
{
    const size_t threads = (size_t)num_threads(limits);
    return threads * block_reals(limits) + (threads > 1 ? 1 + (size_t)GROUPS : 2) * largest_part;
}

static eoc_real *patches_of_thread(const eoc_net *net)
{
    size_t thread = 0;
#ifdef _OPENMP
    thread = (size_t)omp_get_thread_num();
#endif
    return net->patches + thread * block_reals(&net->limits);
}

static eoc_real *turned_kernel(const eoc_net *net)
{
    return net->patches + (size_t)num_threads(&net->limits) * block_reals(&net->limits);
}

typedef struct {
    size_t rows, length; /* of all, and of a block */
    long count;
} blocks;

static blocks blocks_of(const eoc_net_pass *pass, const eoc_net_part *part, size_t fan_in)
{
    const size_t rows = (size_t)pass->n * (size_t)part->rows, length = block_rows(fan_in);
    return (blocks){rows, length, (long)((rows + length - 1) / length)};
}

static size_t rows_of_block(const blocks *b, long i)
{
    const size_t left = b->rows - (size_t)i * b->length;
    return left < b->length ? left : b->length;
}

/* -- z = W h + b -- */

/* (fan_out, fan_in) to (fan_in, fan_out): products with it are the faster ones */
static void transpose(const eoc_real *weights, size_t fan_out, size_t fan_in, eoc_real *to)
{
    for (size_t o = 0; o < fan_out; o++) {
        for (size_t k = 0; k < fan_in; k++) {
            to[k * fan_out + o] = weights[o * fan_in + k];
        }
    }
}

static void finish_rows(const eoc_net_pass *pass, const eoc_net_part *part, size_t first, size_t rows)
{
    const size_t width = (size_t)part->width, at = first * width;
    const eoc_real *const biases = pass->net->parameters + part->offset + width * (size_t)part->fan_in;
    LOOPS->add_row(biases, part->out + at, rows, width);
    if (part->slope) {
        EOC_NET(apply_phi)(&pass->net->network.activation, part->out + at, part->slope + at, rows * width);
    }
}

void EOC_NET(convolution_forward)(eoc_net_pass *pass, eoc_net_part *part)
{
    eoc_net *const net = pass->net;
    const blocks b = blocks_of(pass, part, (size_t)part->fan_in);
    eoc_real *const kernel = turned_kernel(net);
    transpose(net->parameters + part->offset, (size_t)part->width, (size_t)part->fan_in, kernel);
#pragma omp parallel for schedule(static) num_threads(num_threads(&net->limits)) if (num_threads(&net->limits) > 1)
    for (long i = 0; i < b.count; i++) {
        const size_t first = (size_t)i * b.length, rows = rows_of_block(&b, i);
        eoc_real *const patches = patches_of_thread(net);
        gather_rows(&part->gather, part->rows, pass->values, first, rows, patches);
        GEMM(false, false, (int)rows, part->width, part->fan_in, 1, patches, kernel, 0,
             part->out + first * (size_t)part->width);
        finish_rows(pass, part, first, rows);
    }
}

/* -- its derivatives -- */

/* (fan_out, taps, channels) to (taps, fan_out, channels), the taps from the last to the first: what goes back from a
 * position comes from where it was seen through the opposite tap. */
static void turn_round(const eoc_real *weights, size_t fan_out, size_t taps, size_t channels, eoc_real *to)
{
    for (size_t t = 0; t < taps; t++) {
        for (size_t o = 0; o < fan_out; o++, to += channels) {
            memcpy(to, weights + (o * taps + taps - 1 - t) * channels, sizeof *to * channels);
        }
    }
}

/* pass->other = dE/dh of d = dE/dz */
static void back_to_input(eoc_net_pass *pass, const eoc_net_part *part)
{
    eoc_net *const net = pass->net;
    const int seen = part->taps * part->width, channels = part->fan_in / part->taps;
    const blocks b = blocks_of(pass, part, (size_t)seen);
    eoc_real *const kernel = turned_kernel(net);
    turn_round(net->parameters + part->offset, (size_t)part->width, (size_t)part->taps, (size_t)channels, kernel);
#pragma omp parallel for schedule(static) num_threads(num_threads(&net->limits)) if (num_threads(&net->limits) > 1)
    for (long i = 0; i < b.count; i++) {
        const size_t first = (size_t)i * b.length, rows = rows_of_block(&b, i);
        eoc_real *const patches = patches_of_thread(net);
        gather_rows(&part->back, part->rows, pass->d, first, rows, patches);
        GEMM(false, false, (int)rows, channels, seen, 1, patches, kernel, 0, pass->other + first * (size_t)channels);
    }
}

/* to (fan_out, fan_in) = the share of blocks first, first + 1, ..., last - 1 in dE/dW */
static void group_gradient(const eoc_net_pass *pass, const eoc_net_part *part, const blocks *b, long first, long last,
                           eoc_real *to)
{
    eoc_real *const patches = patches_of_thread(pass->net);
    for (long i = first; i < last; i++) {
        const size_t row = (size_t)i * b->length, rows = rows_of_block(b, i);
        gather_rows(&part->gather, part->rows, part->in, row, rows, patches);
        GEMM(true, false, part->width, part->fan_in, (int)rows, 1, pass->d + row * (size_t)part->width, patches,
             i > first ? 1 : 0, to);
    }
}

static void weight_gradient(const eoc_net_pass *pass, const eoc_net_part *part, eoc_real *gradient)
{
    eoc_net *const net = pass->net;
    const blocks b = blocks_of(pass, part, (size_t)part->fan_in);
    const size_t count = (size_t)part->width * (size_t)part->fan_in;
    const long groups = b.count < GROUPS ? b.count : GROUPS;
    const bool apart = num_threads(&net->limits) > 1;
    eoc_real *const sums = turned_kernel(net) + count;
    if (!EOC_NET(adds)(pass)) {
        memset(gradient, 0, sizeof *gradient * count);
    }
#pragma omp parallel for schedule(static) num_threads(num_threads(&net->limits)) if (apart)
    for (long g = 0; g < groups; g++) {
        eoc_real *const sum = sums + (apart ? (size_t)g * count : 0);
        group_gradient(pass, part, &b, g * b.count / groups, (g + 1) * b.count / groups, sum);
        if (!apart) {
            LOOPS->combine(1.0, gradient, 1.0, sum, gradient, count);
        }
    }
    for (long g = 0; apart && g < groups; g++) {
        LOOPS->combine(1.0, gradient, 1.0, sums + (size_t)g * count, gradient, count);
    }
}

void EOC_NET(convolution_backward)(eoc_net_pass *pass, const eoc_net_part *part)
{
    eoc_real *const gradient = EOC_NET(gradient_of)(pass, part);
    EOC_NET(bias_gradient)(pass, part, gradient + (size_t)part->width * (size_t)part->fan_in);
    if (part->taps) {
        back_to_input(pass, part);
    }
    weight_gradient(pass, part, gradient);
    EOC_NET(step_part)(pass, part, gradient);
    EOC_NET(swap)(pass);
}

/* -- the average over positions -- */

void EOC_NET(average_forward)(eoc_net_pass *pass, eoc_net_part *part)
{
    const size_t n = (size_t)part->width, rows = (size_t)part->rows;
    for (size_t s = 0; s < (size_t)pass->n; s++) {
        LOOPS->sum_columns(pass->values + s * rows * n, part->out + s * n, rows, n);
        LOOPS->scale(1.0 / (double)rows, part->out + s * n, part->out + s * n, n);
    }
}

void EOC_NET(average_backward)(eoc_net_pass *pass, const eoc_net_part *part)
{
    const size_t n = (size_t)part->width, rows = (size_t)part->rows;
    for (size_t s = 0; s < (size_t)pass->n; s++) {
        for (size_t r = 0; r < rows; r++) {
            LOOPS->scale(1.0 / (double)rows, pass->d + s * n, pass->other + (s * rows + r) * n, n);
        }
    }
    EOC_NET(swap)(pass);
}
