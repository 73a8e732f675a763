/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The vectors x that a probe sends through every network: drawn from the network's key, or images of a data set.
 *
 * A kind is one row of the table in src/study/inputs.c. Images (src/study/images.c) are loaded by whoever has files and
 * ranks, and borrowed here.
 */
#ifndef EOC_INPUTS_H
#define EOC_INPUTS_H

#include "eoc/data.h"
#include "eoc/grid.h"
#include "eoc/mean_field.h"

#include <stdbool.h>

enum { EOC_MAX_POINTS = 4096, EOC_MAX_IMAGES = 64, EOC_MAX_INTERVAL_POINTS = 1024 };

typedef struct eoc_inputs eoc_inputs;

/** A kind of input. */
typedef struct {
    const char *name;
    const char *formula;
    const char *source;
    bool has_correlation, has_points, has_images; /* which keys it reads */
    bool is_independent; /* inputs have nothing to do with each other: a batch of them has a theory */
    bool is_interval;    /* reads from and to instead of a variance: inputs of many lengths on one line */
    int min_width;       /* directions it needs, as far as they are known without the images */
    int max_points;      /* where it has points */
    int (*num_inputs)(const eoc_inputs *inputs);
    /** x (num_inputs, width), drawn from the network's key; mean over inputs of |x|^2/width is `variance`. */
    void (*fill)(const eoc_inputs *inputs, eoc_key key, int width, double variance, double *x);
    /** x (num_inputs, positions, channels) of networks with more than one position; NULL: fill, all of them a vector.
     */
    void (*fill_space)(const eoc_inputs *inputs, eoc_key key, const eoc_geometry *geometry, int channels,
                       double variance, double *x);
    /**
     * The classes of ordered pairs x != y that theory needs, the first that of inputs 0 and 1; returns how many. With
     * `pairs` NULL they are only counted. Variances are by number of the input where `shares` has them, else all 0.
     */
    int (*pairs)(const eoc_inputs *inputs, eoc_theory_pair *pairs);
    /** (num_inputs): |x|^2/width of each, over their mean; NULL: all inputs have the same, or are drawn so. */
    const double *(*shares)(const eoc_inputs *inputs);
} eoc_input_kind;

/**
 * Images ready to be inputs. An image a of n features becomes an input of N values with
 *
 *   x_a.x_b/N = image_a.image_b/n
 *
 * to rounding, so that q^1, c^1 and all of theory depend on the images and not on N. Where N >= n it is the image and
 * zeros behind it, times sqrt(N/n), the same for every network. Where N < n the images are sent into N dimensions by an
 * isometry of their span that is uniformly distributed and drawn anew for every network; N is at least their number.
 * With `variance` given every image is scaled by a factor of its own, so that cosines stay.
 *
 * A convolution has them in its space, n/positions values f of every block of an image at a position: an image of side
 * s x side and as many columns is cut into side x side blocks of s x s pixels, in one dimension all pixels, row by row,
 * into `side` pieces. The values of a block, channel by channel, row by row, and zeros behind them are the C >= f
 * channels at its position, times sqrt(C/f): |h(p)|^2/C is the block's mean square.
 *
 * Source: the first layer's covariance sigma_w^2 x.x'/n + sigma_b^2 of Lee et al. 2018, arXiv:1711.00165.
 */
typedef struct {
    int count, features;
    int rows, columns; /* of one, as eoc_data has them */
    double variance;   /* mean over images of their mean square, as preprocessed */
    bool alike;        /* shares are all 1 */
    double *shares;    /* (count) mean square of each as an input, over their mean */
    double *units;     /* (count, features) scaled to mean square 1 */
    double *factor; /* (count, count), lower triangular: units/sqrt(features) = factor Q with Q orthonormal, in rows */
} eoc_images;

/** The keys under `probe.inputs:`, and what they stand for. A value; images are borrowed. */
struct eoc_inputs {
    const eoc_input_kind *kind;
    double correlation;   /* cosine of the pair, in [-1, 1] */
    double variance;      /* |x|^2/N; ignored with fixed_point and as_preprocessed */
    bool fixed_point;     /* start at q^1 = q_star where the point has one above 0, else at variance 1 */
    bool as_preprocessed; /* images keep the mean squares that preprocessing gave them */
    int points;           /* number of inputs where the kind reads it, from 2 */
    double from, to;      /* the ends of an interval, from < to */
    eoc_data_source dataset;
    const eoc_preprocessing *preprocessing;
    const eoc_images *images; /* of a kind that has them, once they are loaded; no key */
};

int eoc_input_kind_count(void);
const eoc_input_kind *eoc_input_kind_row(int row);

/** The inputs of a network, x (num_inputs, positions, width): by fill, or where there is a space by fill_space. */
void eoc_inputs_fill(const eoc_inputs *inputs, const eoc_network *network, double variance, double *x);

/** The direction u of an interval in space, x = t u: |u|^2 = n, uniformly distributed. */
void eoc_interval_direction(eoc_key key, int n, double *u);

/** Scalar t_k of point k of an interval: evenly spaced, both ends among them. */
double eoc_interval_point(const eoc_inputs *inputs, int k);

/**
 * Whether a data set of these sizes serves: enough training samples, images that every convolution of the grid can cut
 * into blocks, and no network of the grid too narrow.
 *
 * @param sizes  every field of the data but the arrays is read; eoc_dataset_sizes finds them
 * @return EOC_ERR_USAGE with a sentence that names the key
 */
eoc_status eoc_images_check(const eoc_inputs *inputs, const eoc_grid *grid, const eoc_data *sizes);

/**
 * The first inputs->points training samples of preprocessed data, which is not retained.
 *
 * @param images  to be destroyed by the caller
 * @return EOC_ERR_USAGE with a sentence where an image is all zeros; EOC_ERR_NOMEM
 *
 * Accuracy: inner products of the inputs to 1e-14 of the vectors' lengths (tests/unit/test_inputs.c).
 */
eoc_status eoc_images_create(const eoc_inputs *inputs, const eoc_data *data, eoc_images **images);
void eoc_images_destroy(eoc_images **images);

#endif
