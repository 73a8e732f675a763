/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Which initializer for an activation, depth and width: the numbers behind `eoc advise`.
 *
 * The common initializers and the critical ones of the activation, each with what mean-field theory says of it at this
 * depth, for inputs with |x|^2/N = 1 (scaled to the fixed point for the critical ones). Infinite width, but for beta;
 * nothing is drawn. Notation of mean_field.h.
 */
#ifndef EOC_ADVISE_H
#define EOC_ADVISE_H

#include "eoc/initializer.h"
#include "eoc/mean_field.h"
#include "eoc/text.h"

#include <stdbool.h>

/** What the critical line of an activation allows; the second column is its name in JSON. */
#define EOC_ADVICE_REGIMES(X)                                                                                          \
    X(LINEAR, "linear")             /* an orthogonal matrix keeps every length and angle */                            \
    X(FOLDED, "folded")             /* phi = |z|: it keeps every length, and the Jacobian is orthogonal */             \
    X(SCALE_FREE, "scale_free")     /* one critical point; an isometry only where the two slopes are near */           \
    X(ISOMETRIC, "isometric")       /* the line starts at q = 0, where phi is linear: near-isometry by small q_star */ \
    X(STABLE, "stable")             /* a stable line, but phi has a kink at 0: no isometry */                          \
    X(UPPER_BRANCH, "upper_branch") /* the line is stable only above a half-stable point */                            \
    X(FAR, "far")                   /* the line begins at absurd weights */                                            \
    X(NONE, "none")                 /* there is no line */

/** What becomes of a network; the second column is what is printed. */
#define EOC_ADVICE_VERDICTS(X)                                                                   \
    X(MEAN_GROWS, "outside theory: the mean takes over, every unit alike")                       \
    X(MEAN_VANISHES, "outside theory: too small, the signal vanishes")                           \
    X(SIGNAL_VANISHES, "signal vanishes")                                                        \
    X(SIGNAL_EXPLODES, "signal explodes")                                                        \
    X(INPUTS_ALIKE, "inputs become alike")                                                       \
    X(INPUTS_UNRELATED, "chaos: inputs become unrelated")                                        \
    X(GRADIENTS_VANISH, "gradients vanish")                                                      \
    X(GRADIENTS_EXPLODE, "gradients explode")                                                    \
    X(GRADIENTS_SHRINK, "trainable; gradients shrink on the way")                                \
    X(GRADIENTS_GROW, "trainable; gradients grow on the way")                                    \
    X(TOO_NARROW, "trainable on average; too narrow, networks differ on the way") /* beta > 1 */ \
    X(TRAINABLE, "trainable")                                                                    \
    X(ISOMETRIC, "trainable, near-isometric")

#define EOC_ADVICE_REGIME_ENUM(name, text) EOC_ADVICE_##name,
typedef enum { EOC_ADVICE_REGIMES(EOC_ADVICE_REGIME_ENUM) EOC_NUM_REGIMES } eoc_advice_regime;
#define EOC_ADVICE_VERDICT_ENUM(name, text) EOC_VERDICT_##name,
typedef enum { EOC_ADVICE_VERDICTS(EOC_ADVICE_VERDICT_ENUM) EOC_NUM_VERDICTS } eoc_advice_verdict;

const char *eoc_advice_regime_name(eoc_advice_regime regime);
const char *eoc_advice_verdict_text(eoc_advice_verdict verdict);

/**
 * One initializer of plain layers, or one kind of layers that go deeper. Theory's numbers are NaN outside theory, but
 * for the two logarithms.
 */
typedef struct {
    const char *name;         /* of the initializer; "critical_gaussian", "critical_orthogonal" at the critical point;
                                 "residual",         "batch_norm", "looks_linear" */
    const char *architecture; /* as a sweep file spells it */
    const char *activation;   /* NULL: the one asked about */
    eoc_initializer initializer;
    double weight_variance; /* in units of the initializer's own */
    double effective_weight_variance, bias_variance;
    bool in_theory;
    bool is_critical;      /* its variances were chosen for the activation */
    double input_variance; /* |x|^2/N: 1, or at a critical point with a q_star of its own where q^1 = q_star */
    eoc_mean_field point;
    double log_forward_scale;  /* log of q^L/q^1 */
    double log_gradient_scale; /* log of g^1/g^L, g^l the mean square gradient at z^l; both estimates outside theory */
    double signal_depth;       /* layers: see eoc_advise */
    double gradient_depth;
    double spread;    /* standard deviation of the squared singular values of J at this depth, over their mean; NaN of
                         residual layers and batch normalization, where it is not known */
    double beta;      /* variance of log |gradient|^2 from width; of orthogonal weights about; NaN of those layers */
    double mean_gain; /* (N mu)^2, mu the mean of an entry: 0 where that is zero */
    eoc_advice_verdict verdict;
} eoc_advice_row;

enum { EOC_MAX_ADVICE_ROWS = 16 };

typedef struct {
    int width, depth;
    eoc_advice_regime regime;
    double q_star, weight_variance, bias_variance; /* the critical point chosen; NaN with far and none */
    double chi_q;                                  /* its stability */
    int num_rows;
    eoc_advice_row rows[EOC_MAX_ADVICE_ROWS];
    int plain;         /* index into rows: the best initializer of plain layers */
    int recommended;   /* index into rows */
    bool beyond_reach; /* the depth is more than that initializer carries, and other layers go on; see eoc_advise */
} eoc_advice;

/** The row of that name; NULL where there is none. */
const eoc_advice_row *eoc_advice_find(const eoc_advice *advice, const char *name);

/** The gaussian weights at the one critical point of a scale-free phi: He's where they are the same. */
const eoc_advice_row *eoc_advice_plain(const eoc_advice *advice);

/** Signals and gradients are given up when their mean square changes by this factor. */
#define EOC_ADVICE_FACTOR 1e6

/** Plain layers reach no deeper than where the squared singular values spread by this many times their mean. */
#define EOC_ADVICE_SPREAD 10.0

/** Inputs of a batch, for batch normalization. */
#define EOC_ADVICE_BATCH 128

/** Correlations are followed for this many xi_c: Schoenholz et al. 2017 found networks trainable up to about that. */
#define EOC_ADVICE_XI_MULTIPLE 6.0

/**
 * Fills the table.
 *
 * signal_depth: the lesser of 6 xi_c and, where q goes to 0 or grows without bound, the layers in which q changes by
 * 10^6 at its limiting rate chi_q. gradient_depth: the layers in which the mean square gradient changes by 10^6 at its
 * limiting rate chi_1. Infinite where the rate is 1.
 *
 * The critical point: scale-invariant phi has one. Else q_star = 1/sqrt(8 L), lowered until the squared singular values
 * of orthogonal networks spread by at most 1 (the published rule for tanh, whose mu_2/mu_1^2 - 1 tends to 8 q_star^2);
 * where the line is unstable there, the point that draws signals in fastest (least chi_q).
 *
 * Where no initializer makes an isometry (every regime but linear, folded and isometric) there are rows of other layers
 * too, by eoc/layer_theory.h: pre-activation residual layers h + W phi(h)/sqrt(L) and batch normalization over batches
 * of EOC_ADVICE_BATCH, with the critical variances where there are such, else 1 and 0, and, for relu, crelu with
 * looks-linear weights, whose Jacobian is orthogonal. Of batch normalization signal_depth is NaN: inputs of one batch
 * stay apart, of two batches it says nothing.
 *
 * Recommended of a scale-free phi: the critical gaussian weights (He's for relu), or orthogonal ones where these spread
 * less than a quarter as much (a rule of thumb: slopes that are near each other; for relu it is 0.7).
 *
 * beyond_reach: of a scale-free phi, whose signals and gradients keep their mean at every depth, that row has a spread
 * above EOC_ADVICE_SPREAD (a rule of thumb: relu with He's weights from depth 51 on) or beta above 1. Then looks-linear
 * weights are recommended for relu, and residual layers for the others. Of any other phi: that row is not trainable,
 * and residual layers, which are recommended then, are.
 *
 * Weights with a mean mu: outside mean-field theory, so only log_forward_scale and log_gradient_scale are filled, by
 * following what all units of a layer have in common (its square grows by (N mu)^2 of the mean feature's) beside what
 * is each one's own. Against medians of networks of 12 layers (tests/reference/mean_weights.csv): within 1 in the
 * first, within 2, or 6% where it is large, in the second; single networks scatter by as much. Followed from a positive
 * common value in the first layer: from a negative one, as likely, elu, gelu, silu and selu end elsewhere in wide
 * networks, with less signal and gradient.
 *
 * beta above 1 is a verdict of its own where the averages alone would be good: log |gradient|^2 then differs between
 * networks by more than 1.
 *
 * Source: Schoenholz et al. 2017, arXiv:1611.01232; Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735; Xiao et
 * al. 2018, arXiv:1806.05393; Hanin & Nica 2020; of other layers Yang & Schoenholz 2017, Yang et al. 2019, Balduzzi et
 * al. 2017.
 */
eoc_status eoc_advise(const eoc_activation *act, int width, int depth, eoc_advice *advice);

/** Appends the line of PyTorch that sets a row on a layer m = nn.Linear(N, N), or with looks_linear (2 N, N). */
void eoc_advice_torch(const eoc_advice_row *row, eoc_text *out);

#endif
