/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Mean-field theory of one point: fixed points of the length and correlation maps, their slopes and depth
 * scales, and the curves that a network of finite depth follows from its own inputs. Infinite width
 * throughout; no random numbers.
 *
 * Notation of Poole et al. 2016 (arXiv:1606.05340) and Schoenholz et al. 2017 (arXiv:1611.01232): u = sqrt(q)
 * z, z ~ N(0, 1), length map q' = sigma_w2 E[phi(u)^2] + sigma_b2, correlation map c' = (sigma_w2 E[phi(u1)
 * phi(u2)] + sigma_b2)/q'. sigma_w2 is the effective weight variance (the sum over a unit's incoming weights
 * of their variance), sigma_b2 that of the biases.
 */
#ifndef EOC_MEAN_FIELD_H
#define EOC_MEAN_FIELD_H

#include "eoc/activation.h"
#include "eoc/status.h"

#include <stdbool.h>

/* What holds at a point; bit i is the i-th row, the second column its name in the file. */
#define EOC_THEORY_FLAGS(X)                                                                                        \
    X(NOT_COMPUTED, "not_computed")                 /* set by the caller's record, never by this room */           \
    X(OUTSIDE_THEORY, "outside_theory")             /* weights of non-zero mean and the like; set by the caller */ \
    X(Q_ZERO, "q_zero")                             /* the limit is q = 0 */                                       \
    X(Q_LINE, "q_line")                             /* every q is a fixed point; q_star is q_1 */                  \
    X(Q_DIVERGES, "q_diverges")                     /* q grows without bound; q_star is inf */                     \
    X(Q_SEVERAL, "q_several")                       /* the length map has other fixed points too, 0 included */    \
    X(Q_HALF_STABLE, "q_half_stable")               /* q_star attracts from one side only: chi_q = 1 */            \
    X(Q_MARGINAL, "q_marginal")                     /* q goes to its limit as a power of depth: chi_q = 1 */       \
    X(C_ANY, "c_any")                               /* the limit of c depends on the start; c_star is NaN */       \
    X(CHAOTIC, "chaotic")                           /* chi_1 > 1, c_star < 1 */                                    \
    X(XI_INFINITE, "xi_infinite")                   /* chi_c = 1: c stops, or goes to its limit as a power */      \
    X(NO_SECOND_DERIVATIVE, "no_second_derivative") /* dphi jumps: manifold_curvature is NaN */                    \
    X(PARTIAL, "partial")                           /* of this architecture some quantities are not known: NaN */

#define EOC_THEORY_FLAG_INDEX(name, text) EOC_THEORY_INDEX_##name,
enum { EOC_THEORY_FLAGS(EOC_THEORY_FLAG_INDEX) EOC_NUM_THEORY_FLAGS };
#define EOC_THEORY_FLAG_BIT(name, text) EOC_THEORY_##name = 1 << EOC_THEORY_INDEX_##name,
enum { EOC_THEORY_FLAGS(EOC_THEORY_FLAG_BIT) };

/** Name of flag `index` (0 to EOC_NUM_THEORY_FLAGS - 1), as in the file. */
const char *eoc_theory_flag_name(int index);

/** The scalars of a point. NaN where a quantity does not exist, with a flag in `status` that says why. */
typedef struct {
    unsigned status;
    double q_star; /* limit of the length map from q_1; 0, or inf where it diverges */
    double chi_1;  /* sigma_w2 mu_1: slope of the c-map at c = 1, and growth of gradients a layer */
    double c_star; /* limit of c; NaN with c_any */
    double xi_q;   /* -1/log|chi_q| layers; inf where chi_q = 1, NaN with q_diverges */
    double xi_c;   /* -1/log|chi_c| layers; inf with xi_infinite */
    double chi_q;  /* slope of the length map at q_star: sigma_w2 E[phi^2 (z^2 - 1)]/(2 q) */
    double chi_c;  /* limit of dc'/dc: sigma_w2 E[dphi(u1) dphi(u2)] at c_star; 1 where the c-map tends to the
                      identity */
    double mu_1;   /* E[dphi^2] at q_star, or its limit as q goes to 0 or inf */
    double mu_2;   /* E[dphi^4] likewise */
    double length_map_second_derivative; /* sigma_w2 E[phi^2 (z^4 - 6 z^2 + 3)]/(4 q^2); NaN with q_zero or
                                            q_diverges unless phi is scale-invariant (0) */
    double manifold_curvature;           /* limit of Poole's kappa, sqrt(3 chi_2/(chi_1 (chi_1 - 1))), chi_2 = sigma_w2
                                            E[phi''^2]: the extrinsic curvature of a curve of inputs, per sqrt(N); inf where
                                            chi_1 <= 1 (it grows without bound), 0 where phi'' = 0, NaN with
                                            no_second_derivative, q_zero or q_diverges */
} eoc_mean_field;

/** Layers over which a difference falls by e where a layer multiplies it by `slope`: -1/log|slope|; inf where that is 1
 * to the digits of a grid, NaN where it grows. */
double eoc_depth_scale(double slope);

/** All scalars NaN, and `status`: of a point outside theory, say. */
eoc_mean_field eoc_mean_field_unknown(unsigned status);

/**
 * The limit of the iteration from q_1, and the scalars there.
 *
 * c_star is the limit from any start with |c^1| < 1, and of starts at exactly 1 or -1 as if they lay just inside, for
 * nothing stays on an unstable fixed point. With c_any it depends on the start, and is NaN: see eoc_curves. A sigma_w2
 * within 1e-11 of a critical value that has a closed form (scale-invariant phi; q = 0) is taken as that value, since
 * grids hold 12 digits.
 *
 * @param act       not retained
 * @param sigma_w2  >= 0, finite
 * @param sigma_b2  >= 0, finite
 * @param q_1       second moment of the first pre-activations, >= 0
 * @return EOC_ERR_NOMEM only: that a limit does not exist is a flag
 *
 * Accuracy: 1e-9 relative on the rows of tests/reference/theory.csv; q_star and xi lose a factor 1/|1 - slope|.
 * Source: Poole et al. 2016; Schoenholz et al. 2017; branches of the length map: Roberts, Yaida & Hanin 2022,
 * ch. 5.
 */
eoc_status eoc_mean_field_find(const eoc_activation *act, double sigma_w2, double sigma_b2, double q_1,
                               eoc_mean_field *out);

/** A fixed point of the length map. */
typedef struct {
    double q_star;
    double chi_1;
    double chi_q;
    bool half_stable; /* the map touches the diagonal here, to rounding */
} eoc_fixed_point;

/**
 * All fixed points of the length map, ascending, 0 included where it is one. A line of them gives none (see
 * q_line).
 *
 * @param points  (capacity), overwritten
 * @param count   how many there are; at most `capacity` are written
 *
 * Found on a logarithmic scan of q with its slopes, so that two points are told apart, or seen to touch,
 * however near each other: gelu at (2, 0.1) and the half-stable points of gelu and silu
 * (tests/unit/test_mean_field.c). The scan's expectations are kept for the last few activations (static; one thread).
 */
eoc_status eoc_mean_field_fixed_points(const eoc_activation *act, double sigma_w2, double sigma_b2, int capacity,
                                       eoc_fixed_point *points, int *count);

/** Variance of log |gradient|^2 per 1/N and layer, 3 mu_2/mu_1^2 - 1: times the sum of 1/N_l for a network.
 *  Hanin & Nica 2020. */
double eoc_mean_field_beta(const eoc_mean_field *point);

/**
 * Likewise of orthogonal weights, about: 3 (mu_2/mu_1^2 - 1), for of a unit vector E[u_i^4] = 3/(N (N + 2)) and the
 * squares sum to 1. Lengths that fluctuate too, which this and the above leave out, add to it: measured over 1000
 * networks of 100 layers of width 200, relu 1.57(7) beside 1.50, tanh 0.67(3) beside 0.51, gelu 3.2 beside 1.6.
 */
double eoc_mean_field_beta_orthogonal(const eoc_mean_field *point);

/** Variance of the squared singular values of J a layer, mu_2/mu_1^2 - 1 - s_1; s_1 = -1 gaussian, 0 orthogonal.
 *  Pennington, Schoenholz & Ganguli 2017. */
double eoc_mean_field_jacobian_variance(const eoc_mean_field *point, double s_1);

/**
 * Log of the greatest squared singular value of J at q = q_star, `depth` layers: the edge of the spectrum, from
 * S_{J J^T} = prod S_W S_D, as a minimum over the outside of the spectrum of D^2.
 *
 * @param s_1  -1 gaussian, 0 orthogonal
 * @return NaN where q_star is not finite or NaN
 *
 * Accuracy: 1e-8 on gaussian linear, and the five digits given of relu and hard_tanh
 * (tests/unit/test_mean_field.c). Source: Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735.
 */
eoc_status eoc_mean_field_log_lambda_max(const eoc_activation *act, double sigma_w2, double q_star, int depth,
                                         double s_1, double *log_lambda_max);

/** How 1 - c^l falls where chi_1 = 1: as coefficient/l^power. */
typedef struct {
    int power; /* 2 where dphi jumps, 1 where phi is smooth (or only phi'' jumps); 0: c does not move, or chi_1 is not 1
                */
    double coefficient;
} eoc_decay;

/**
 * Algebraic decay of 1 - c on the critical line, from any start, as l grows.
 *
 * Jumps J_i of dphi at x_i: 18 pi^2/(sigma_w2^2 K^2 l^2), K = sum J_i^2 exp(-x_i^2/(2 q)); relu: 9 pi^2/2. Else beta/l,
 * beta = 2 E[dphi^2]/(q E[phi''^2]).
 *
 * @param sigma_w2, q_star  a point with sigma_w2 E[dphi^2] = 1 within 1e-8; q_star finite, > 0
 *
 * Accuracy: against the iterated map at 10^4 layers in tests/unit/test_mean_field.c. Source: Hayou, Doucet &
 * Rousseau 2019, arXiv:1902.06853.
 */
eoc_status eoc_mean_field_decay(const eoc_activation *act, double sigma_w2, double q_star, eoc_decay *decay);

/* -- curves -- */

/** A class of pairs of inputs. */
typedef struct {
    int a, b;           /* indices into the variances */
    double correlation; /* cosine of the two inputs, in [-1, 1] */
    double count;       /* number of ordered pairs (x, y), x != y, of this class */
} eoc_theory_pair;

/** The inputs of a probe as theory sees them: distinct second moments |x|^2/N, and distinct pairs. */
typedef struct {
    int num_variances;            /* >= 1 */
    const double *variances;      /* (num_variances), >= 0 */
    const double *counts;         /* (num_variances), inputs that have each */
    int num_pairs;                /* 0 for a single input */
    const eoc_theory_pair *pairs; /* (num_pairs); the first is inputs 0 and 1, its `a` is input 0 */
} eoc_theory_inputs;

/** Maps iterated from the inputs to some depth, from which the rows of any lesser depth are read. */
typedef struct eoc_curves eoc_curves;

/** Rows of one network; layer arrays are (num_layers), NaN above the depth; any pointer may be NULL. Logs are
 * natural. */
typedef struct {
    double *log_q;                 /* log of the mean over inputs of q^l */
    double *c, *one_minus_c;       /* of inputs 0 and 1; NaN without pairs and where a signal is zero */
    double *log_gradient_q;        /* log of the mean over inputs of E[(dE_a/dz^l)^2], E_a = v.h^L(x_a), v ~ N(0, I) */
    double *gradient_c;            /* cosine of dE_0/dz^l and dE_1/dz^l */
    double *log_weight_gradient_q; /* log of the mean square entry of d(sum_a E_a)/dW^l */
    double mean_gradient_c;        /* gradient_c in layer 1, mean over pairs; NaN without them */
    double log_jacobian_m1;        /* at input 0: log prod sigma_w2 mu_1(q^l) */
    double log_jacobian_m2;        /* 2 log m1 + log(1 + sum_l (mu_2/mu_1^2 - 1 - s_1)) */
} eoc_curve_rows;

/**
 * Iterates the maps from q^1 = sigma_w2 variance + sigma_b2 (and the like for pairs) to `max_depth`.
 *
 * Lengths and gradients are carried as logarithms and never over- or underflow: below 1e-26 phi is taken by
 * its slopes at 0, above 1e26 by those at infinity, which is what a diverging elu or gelu tends to. 1 - c is
 * carried, not c, and keeps its digits however small it gets. Two inputs of different variance have the
 * general two-variance map.
 *
 * @param inputs  not retained
 * Accuracy: 1e-9 on tests/reference/trajectories.csv (the digits given there); arcsine map 1e-10 a layer;
 * arc-cosine map 1e-9 over 10^4 layers.
 * Cost: 10 to 50 us a layer until the pair stops moving (kinks: the upper end); lengths that differ cost a millisecond.
 * Source: Poole et al. 2016; gradients: Schoenholz et al. 2017; Jacobian: Pennington, Schoenholz & Ganguli 2017.
 */
eoc_status eoc_curves_create(const eoc_activation *act, double sigma_w2, double sigma_b2,
                             const eoc_theory_inputs *inputs, int max_depth, eoc_curves **curves);
void eoc_curves_destroy(eoc_curves **curves);

/**
 * Rows of a network of `depth` layers (1 to max_depth) at `layers` (num_layers, 1-based).
 *
 * @param s_1   -1 gaussian, 0 orthogonal
 * @param rows  arrays overwritten; logs are -inf where a signal or gradient vanishes
 */
void eoc_curves_fill(const eoc_curves *curves, int depth, const int *layers, int num_layers, double s_1,
                     eoc_curve_rows *rows);

#endif
