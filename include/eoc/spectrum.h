/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Limiting law of the squared singular values lambda of the input-output Jacobian J = prod_l D_l W_l at q = q_star.
 *
 * Free probability, at infinite width: nothing here is drawn. D^2 has the law of d = dphi(sqrt(q) z)^2, M(z) =
 * sum_k m_k/z^k; S_{J J^T} = S_W^L S_D^L with S_W = 1/(sigma_w2 (1 + M)) gaussian, 1/sigma_w2 orthogonal, and
 * S_D = (1 + M)/(M x) where M = E[d/(x - d)]. So x in the upper half-plane is a parameter of everything:
 * lambda = (1 + M)/M (sigma_w2 M x (1 + M)^(-1 - s_1))^L. Notation of Pennington, Schoenholz & Ganguli 2017,
 * arXiv:1711.04735, and 2018, arXiv:1802.09979. All in log lambda, which depth 1000 needs.
 */
#ifndef EOC_SPECTRUM_H
#define EOC_SPECTRUM_H

#include "eoc/activation.h"
#include "eoc/status.h"

typedef struct eoc_spectrum eoc_spectrum;

enum { EOC_SPECTRUM_MAX_ATOMS = 2 };

/**
 * What the law is made of: a mass at 0, other atoms, and a density between two edges. Orthogonal weights only have
 * atoms, max(0, 1 - L (1 - P(d = a))) at (sigma_w2 a)^L: two in one layer of leaky_relu, else at most one, and then
 * above the density. The density may have a gap where d has one, of two values or below an atom at its greatest: one
 * gaussian layer of leaky_relu(slope=0.01).
 */
typedef struct {
    double mass_at_zero;
    int num_atoms;
    double atom_mass[EOC_SPECTRUM_MAX_ATOMS], log_atom[EOC_SPECTRUM_MAX_ATOMS]; /* (num_atoms) */
    double log_lambda_min; /* edges of the density; -inf: it reaches 0; NaN where there is no density */
    double log_lambda_max;
    double log_gap_min, log_gap_max; /* a gap between the edges; NaN without one */
    double log_m1;                   /* log E[lambda] = L log(sigma_w2 mu_1) */
    double m2_over_m1_2;             /* E[lambda^2]/E[lambda]^2 = 1 + L (mu_2/mu_1^2 - 1 - s_1) */
} eoc_spectrum_shape;

/**
 * Traces the curve of x from the upper edge down.
 *
 * @param act       not retained
 * @param sigma_w2  > 0
 * @param q_star    finite, >= 0; of no account for a scale-invariant phi
 * @param depth     >= 1
 * @param s_1       -1 gaussian, 0 orthogonal
 *
 * Cost: 2 to 30 ms where phi is smooth, more where d is 0 at many u (sin: 0.1 s); less where dphi takes two values.
 */
eoc_status eoc_spectrum_create(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                               eoc_spectrum **spectrum);
void eoc_spectrum_destroy(eoc_spectrum **spectrum);

eoc_spectrum_shape eoc_spectrum_shape_of(const eoc_spectrum *spectrum);

/**
 * Density and distribution function at log_lambda (num_points), in any order.
 *
 * @param density  of log lambda, -Im M/pi = lambda rho(lambda): (num_points), overwritten; atoms are not in it; NULL:
 *                 not wanted
 * @param cdf      P(lambda <= exp(log_lambda)), atoms included: (num_points), overwritten, or NULL
 *
 * The distribution function needs no integration: d(Phi) = M d(log lambda) has a closed form in x.
 * Accuracy: 1e-9 relative on the Fuss-Catalan law to depth 1000 and on free projections (relu, two orthogonal
 * layers), 1e-11 on one orthogonal tanh layer; 1e-6 on mass and moments of other laws, and the singular values of
 * random matrices to what 500 of them tell (tests/unit/test_spectrum.c). A tail of less mass than 1e-10 is continued as
 * a power of lambda. NaN where the curve cannot be followed, or what was found is not between its neighbours: d below
 * 1e-140 with a probability above 1e-6 (erf and gelu at q_star = 30), or at q_star below 1e-5 with hundreds of layers.
 * Cost: 10 us a point for tanh at q_star = 0.6, up to 0.2 ms for sin at 3.
 * Source: Pennington, Schoenholz & Ganguli 2018; atoms of free products, Bercovici & Voiculescu 1993.
 */
eoc_status eoc_spectrum_fill(const eoc_spectrum *spectrum, const double *log_lambda, int num_points, double *density,
                             double *cdf);

#endif
