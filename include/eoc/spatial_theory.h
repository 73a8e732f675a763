/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Mean-field theory over space: plain convolutional layers whose signals differ from position to position.
 *
 * With u_a(p) the pre-activations of input a at position p, h = phi(u), and v_t the share of the weights' variance in
 * tap t, the covariances over channels follow
 *
 *   S_ab(p, p') <- sigma_w^2 sum_t v_t E[phi(u_a(p + t)) phi(u_b(p' + t))] + sigma_b^2
 *
 * with (u_a, u_b) jointly normal of covariance S. At a displacement d = p' - p this is the map of fully connected
 * layers and then the averaging operator (A f)(p) = sum_t v_t f(p + t), whose eigenvectors on a circle or torus are
 * waves: eigenvalue lambda_k = sum_t v_t cos(2 pi k.t/side). Gradients at different positions are uncorrelated,
 *
 *   G_ab(p) <- sigma_w^2 E[phi'(u_a(p)) phi'(u_b(p))] sum_t v_t G_ab(p - t).
 *
 * Signals that are alike at all positions, with circular padding, are those of eoc/mean_field.h; this room is of the
 * others: images, and zero padding, where beyond the edge there is nothing. Infinite width throughout.
 *
 * Source: Xiao et al. 2018, arXiv:1806.05393, section 2: covariance map equation 2.6 ff., its Fourier modes.
 */
#ifndef EOC_SPATIAL_THEORY_H
#define EOC_SPATIAL_THEORY_H

#include "eoc/architecture.h"
#include "eoc/mean_field.h"

/* -- the averaging operator -- */

typedef struct {
    eoc_geometry geometry;
    double shares[EOC_MAX_TAPS]; /* v_t, which add up to 1 */
} eoc_averaging;

eoc_averaging eoc_averaging_of(const eoc_network *network);

/**
 * lambda_k of every mode k, whose index has the wave numbers along the dimensions as digits, as a position has its
 * place: (positions), 1 at k = 0. With edges waves are no eigenvectors: NaN.
 *
 * Accuracy: 1e-15, and 0 where it is.
 */
void eoc_averaging_eigenvalues(const eoc_averaging *averaging, double *eigenvalues);

/**
 * Layers over which a perturbation in a mode dies out, -1/log|slope eigenvalue|: of the variances over positions with
 * slope chi_q, of covariances (between inputs, or positions, with their distance kept) with chi_c. inf where the
 * product is 1, 0 where it is 0, negative where perturbations grow.
 */
double eoc_averaging_depth_scale(double slope, double eigenvalue);

/* -- curves of signals that differ over positions -- */

/** Whether layers are W, b and phi alone of a convolution, of one feature a unit and weights with mean zero. */
bool eoc_spatial_theory_covers(const eoc_network *network);

/** Inputs over space. NULL: as the classes say at every position, positions uncorrelated. */
typedef struct {
    eoc_theory_inputs classes;
    const double *variances;            /* (num_variances, positions) second moment at a position */
    const double *correlations;         /* (num_pairs, positions) cosine of a pair at a position */
    const double *position_correlation; /* (num_variances, positions, positions) cosine of an input at two positions */
} eoc_spatial_inputs;

typedef struct eoc_spatial_curves eoc_spatial_curves;

/** Rows (num_layers, stride), NaN above the depth and from `positions` on; definitions as in src/study/spatial.c. */
typedef struct {
    size_t stride;
    double *position_q, *position_c, *spatial_power, *spatial_correlation; /* any may be NULL */
} eoc_spatial_curve_rows;

/** How much eoc_spatial_curves_create takes on: the sizes beyond which it is not called. */
enum { EOC_SPATIAL_MOST_SITES = 1024, EOC_SPATIAL_MOST_PAIRS = 1 << 17, EOC_SPATIAL_MOST_DOUBLES = 1 << 26 };
#define EOC_SPATIAL_MOST_SECONDS 10.0 /* of pairs, and of the Jacobian, as counted by the costs below */

/**
 * Whether the curves of such inputs are within reach, and with them those between positions (`between`): sites are
 * variances times positions, two-dimensional expectations a layer are pairs times positions, and sites times
 * positions/2 between positions.
 */
bool eoc_spatial_curves_reach(const eoc_averaging *averaging, const eoc_theory_inputs *classes, int max_depth,
                              bool between);

/**
 * Iterates the map from the inputs to `max_depth`.
 *
 * @param between        whether covariances between positions are wanted, for power and correlation over space
 * @param second_moment  whether that of the Jacobian of independent weights is wanted; else it is NaN
 *
 * Accuracy: as eoc_curves_create (tests/unit/test_spatial_theory.c). 1 - c is carried, never c.
 * Cost: sites of one variance share their expectations, so that layers whose variances have settled cost 0.3 us a pair.
 * Before that 60 us a site too, and where phi has a kink up to a millisecond for a pair of unlike variances near c = 1.
 * The second moment of the Jacobian costs positions^2 (2 taps + 8) multiply-adds a layer, 1.3 ns each; NaN where these
 * exceed EOC_SPATIAL_MOST_SECONDS. Ten images over 7 x 7 positions, 100 layers, all pairs: 0.5 to 5 s.
 */
eoc_status eoc_spatial_curves_create(const eoc_averaging *averaging, const eoc_activation *act, double sigma_w2,
                                     double sigma_b2, const eoc_spatial_inputs *inputs, int max_depth, bool between,
                                     bool second_moment, eoc_spatial_curves **curves);
void eoc_spatial_curves_destroy(eoc_spatial_curves **curves);

/** Weights for whose law the second moment of the Jacobian is known where signals differ over positions. */
typedef enum {
    EOC_SPATIAL_INDEPENDENT, /* independent entries, any shares */
    EOC_SPATIAL_CENTRE,      /* an orthogonal centre tap alone: positions do not mix */
    EOC_SPATIAL_OTHER        /* log_jacobian_m2 is NaN */
} eoc_spatial_law;

/**
 * Rows of a network of `depth` layers; as eoc_curves_fill, with means over positions too, and over all taps of a kernel
 * where it is of entries of W; E_a = sum_p v(p).h^L(p), v ~ N(0, I).
 */
eoc_status eoc_spatial_curves_fill(const eoc_spatial_curves *curves, int depth, const int *layers, int num_layers,
                                   eoc_spatial_law law, eoc_curve_rows *rows);

void eoc_spatial_curves_fill_space(const eoc_spatial_curves *curves, int depth, const int *layers, int num_layers,
                                   const eoc_spatial_curve_rows *rows);

#endif
