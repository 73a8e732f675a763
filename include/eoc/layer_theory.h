/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Mean-field theory of the layers that are more than W, b and phi: residual blocks, batch and layer normalization,
 * dropout, two features a unit. The statistics and limits are those of eoc/mean_field.h, which remains the theory of
 * plain layers. Infinite width, independent weights on the way back; all inputs have one length.
 *
 * With q the mean square of z^l, y = q or sigma_V^2 q + sigma_b^2 what a normalization sees, kappa = 1 or
 * gamma/sqrt(y + epsilon), u = beta + kappa y^(1/2) z and p the kept share,
 *
 *   q' = skip^2 q + branch^2 (sigma_w^2 E[phi(u)^2]/p + sigma_b^2) (+ 2 skip branch E[h] E[phi(u)] without V)
 *   q' c' = skip^2 q c + branch^2 (sigma_w^2 E[phi(u1) phi(u2)] + sigma_b^2) + ...
 *   (dE/dz)^2 grows by skip^2 + branch^2 sigma_w^2 kappa^2 E[phi'(u)^2]/p a layer, products of two inputs likewise
 *   without 1/p; m_2/m_1^2 by (2 skip^2 branch^2 a + branch^4 a^2 (mu_2/mu_1^2/p - 1 - s_1))/(skip^2 + branch^2 a)^2,
 *   a = sigma_w^2 kappa^2 mu_1/p; but not where phi sees a skipped stream itself, whose slopes at different layers are
 *   correlated: m_2 is NaN there, unless all slopes are alike (linear, crelu).
 *
 * Without a matrix behind phi (form=reduced) features whose mean is not 0 give the stream a common part. J then has one
 * singular value outside the rest, which grows as the stream does: squared, of relu with sigma_w^2 = 2, by 2.904 a
 * layer where the rest grows by 2. It weighs 1/N, and from log(N)/log(2.904/2) = 2.7 log N layers on gradients are
 * along it. Rows of gradients, of weight gradients and m_1 have both, to the first order of 1/N: for depths well below
 * N. m_2 is NaN where the outlier counts, and so is what comes out as a negative square; limits, chi_1 among them, are
 * of the rest. A gradient along one direction is as large as v happens to lie: rows are means, about which single
 * networks scatter. gradient_c is the quotient of means. Over the positions of a convolution an outlier is a wave,
 * which the averaging operator takes away but for the one without crests, of weight 1/N over their number; weight
 * gradients are NaN there where it counts, by 1 %.
 *
 * crelu is relu forward and back (each unit has one active feature), its Jacobian that of a linear network of Gaussian
 * weights of half the variance; with [W', -W'] it is linear, but for the gradients of its features. Behind a
 * normalization with beta half the features see -beta: expectations are means over both signs.
 *
 * Batch normalization: of B independent inputs of one law the covariance of a batch is (d - r) I + r 1 1^T, and the
 * normalized values lie uniformly on a sphere of B - 1 dimensions (with epsilon: at a random radius). Gradients of a
 * batch have two invariants, the part along 1 and the rest.
 *
 * Source: Yang & Schoenholz 2017 (residual networks); Yang et al. 2019 (batch normalization); Schoenholz et al. 2017
 * (dropout); Balduzzi et al. 2017 (looks-linear weights).
 */
#ifndef EOC_LAYER_THEORY_H
#define EOC_LAYER_THEORY_H

#include "eoc/architecture.h"
#include "eoc/mean_field.h"

enum { EOC_LAYER_THEORY_LEAST_BATCH = 4 }; /* inputs that batch normalization must have for its theory */

typedef struct eoc_layer_theory eoc_layer_theory;

/**
 * Whether this is the theory of a network that eoc/mean_field.h alone does not describe. Not of weights with a mean, of
 * batch normalization with |skip| > 1 or of sin with gamma above 30, of architectures without a block, of convolutions
 * with edges. Of a convolution it is the theory of signals that are alike at all positions: to a batch normalization
 * the positions of an input are so many inputs.
 */
bool eoc_layer_theory_covers(const eoc_network *network);

/** The depth, where the maps depend on it (branch=1/sqrt(depth)); else 0. */
int eoc_layer_theory_depth(const eoc_network *network);

/** sigma_w^2 of the first layer, which may differ from that of the others. */
double eoc_layer_theory_lift(const eoc_network *network);

/**
 * Iterates the maps of a network from its inputs to `max_depth`, and finds their limits.
 *
 * @param inputs  one variance; with batch normalization independent inputs (one pair class of correlation 0), at least
 * 4
 *
 * Accuracy: 1e-9 without batch normalization, 1e-8 with it (tests/unit/test_layer_theory.c); 1e-6 of the part of the
 * outlier in products of two inputs.
 * Cost: as eoc_curves_create where the length settles; residual networks of kinked phi, whose length never does, pay a
 * two-dimensional quadrature a layer and pair (1 ms, more where q is large), form=reduced with phi that is not two
 * slopes another: both together 0.2 to 0.3 ms where q is 1, 5 to 8 ms where it is 1e25.
 */
eoc_status eoc_layer_theory_create(const eoc_network *network, const eoc_theory_inputs *inputs, int max_depth,
                                   eoc_layer_theory **theory);
void eoc_layer_theory_destroy(eoc_layer_theory **theory);

/** Rows of a network of those maps, of its own depth and width and of its initializer's law, `layers` ascending; as
 * eoc_curves_fill. With batch normalization gradient_c and log_jacobian_m2 are NaN, and m1 is that of the whole batch
 * over N B. EOC_ERR_NOMEM only.
 *
 * Cost: with an outlier 0.15 us a layer, pair and wave of another eigenvalue. */
eoc_status eoc_layer_theory_fill(const eoc_layer_theory *theory, const eoc_network *network, const int *layers,
                                 int num_layers, eoc_curve_rows *rows);

/** What depth alone tends to; depends on the initializer's law. NaN: not known, with EOC_THEORY_PARTIAL. */
typedef struct {
    eoc_mean_field point; /* chi_1 is the growth of a squared gradient a layer, 1/p included */
    double jacobian_variance;
    double beta; /* per L/N */
    double log_lambda_max;
} eoc_layer_limits;

eoc_status eoc_layer_theory_limits(const eoc_layer_theory *theory, const eoc_network *network,
                                   eoc_layer_limits *limits);

/** q_star alone, from q^1 = lift variance + sigma_b^2; NaN where there is none. */
eoc_status eoc_layer_theory_q_star(const eoc_network *network, double input_variance, int num_inputs, double *q_star);

#endif
