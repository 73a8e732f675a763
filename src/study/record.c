/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/record.h"

#include "eoc/weights.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *status_name(int i)
{
    static const char *const names[] = {"pending", "running", "done", "diverged", "failed"};
    return i < (int)(sizeof names / sizeof names[0]) ? names[i] : NULL;
}

static const char *reason_name(int i)
{
    static const char *const names[] = {"none",   "overflow",           "not_a_number",
                                        "memory", "crashed_repeatedly", "input_output"};
    return i < (int)(sizeof names / sizeof names[0]) ? names[i] : NULL;
}

static const char *sampler_name(int i)
{
    return i < eoc_sampler_count() ? eoc_sampler_row(i)->name : NULL;
}

static const char *theory_flag_name(int i)
{
    return i < EOC_NUM_THEORY_FLAGS ? eoc_theory_flag_name(i) : NULL;
}

/* Beside the bits of eoc_statistic, which are the probe's: the group `train`, and what is measured there. */
enum { TRAINING = 1 << 30, TRAINING_SHIFT = 16 };
#define TRAINED_AND(bit) .statistics = (unsigned)(bit) << TRAINING_SHIFT, .checked = 1

#define UNIT(member) .scope = EOC_PER_UNIT, .field = offsetof(eoc_unit_record, member)
#define POINT(member) .scope = EOC_PER_POINT, .field = offsetof(eoc_point_record, member)
#define NUMBER .type = EOC_TYPE_FLOAT64, .units = "1"
#define FORWARD .statistics = EOC_STATISTIC_FORWARD
#define GRADIENT .statistics = EOC_STATISTIC_GRADIENT
#define JACOBIAN .statistics = EOC_STATISTIC_JACOBIAN
#define FINITE_WIDTH .statistics = EOC_STATISTIC_FINITE_WIDTH
#define TRAINED .statistics = TRAINING, .checked = 1
#define SPECTRUM .statistics = EOC_STATISTIC_SPECTRUM
#define SHATTERING .statistics = EOC_STATISTIC_SHATTERING
#define CORRELATION .statistics = EOC_STATISTIC_SHATTERING | EOC_STATISTIC_GRADIENT_CORRELATION
#define SPATIAL .statistics = EOC_STATISTIC_SPATIAL, .checked = 1, NUMBER
#define PREDICTED_IN_SPACE NUMBER, .statistics = EOC_STATISTIC_SPATIAL
#define PROBED .along = EOC_ALONG_LAYER, .checked = 1, NUMBER

static const eoc_variable variables[] = {
    {"run", "status", UNIT(status), .type = EOC_TYPE_INT8, .units = "1", .long_name = "state of the unit",
     .flag_name = status_name},
    {"run", "reason", UNIT(reason), .type = EOC_TYPE_INT8, .units = "1", .long_name = "why a unit diverged or failed",
     .flag_name = reason_name, .checked = 1},
    {"run", "last_layer", UNIT(last_layer), .type = EOC_TYPE_INT32, .units = "1",
     .long_name = "deepest layer whose pre-activations were finite", .checked = 1},
    {"run", "sampler", UNIT(sampler), .type = EOC_TYPE_INT8, .units = "1", .long_name = "how the weights were drawn",
     .flag_name = sampler_name, .fill = -1, .checked = 1},
    {"run", "seconds", UNIT(seconds), .type = EOC_TYPE_FLOAT64, .units = "s", .long_name = "wall time of the unit"},
    {"run", "rank", UNIT(rank), .type = EOC_TYPE_INT32, .units = "1", .long_name = "rank that computed the unit",
     .fill = -1},
    {"run", "attempts", UNIT(attempts), .type = EOC_TYPE_INT32, .units = "1",
     .long_name = "how often the unit was begun"},
    {"run", "checksum", UNIT(checksum), .type = EOC_TYPE_UINT32, .units = "1",
     .long_name = "CRC-32 (zlib) of the unit's rows"},
    {"run", "effective_weight_variance", POINT(effective_weight_variance), NUMBER,
     .long_name = "sigma_w^2 of theory: sum over a unit's incoming weights of their variance"},
    {"run", "input_variance", POINT(input_variance), NUMBER, .long_name = "|x|^2/N, mean over the inputs"},

    {"theory", "status", POINT(theory_status), .type = EOC_TYPE_UINT16, .units = "1",
     .long_name = "what holds at the point", .flag_name = theory_flag_name, .masks = 1,
     .fill = EOC_THEORY_NOT_COMPUTED},
    {"theory", "q_star", POINT(q_star), NUMBER, .long_name = "limit of the length map from the probe's own q^1"},
    {"theory", "chi_1", POINT(chi_1), NUMBER,
     .long_name = "growth of a squared gradient a layer in the limit of width; of plain layers sigma_w^2 E[phi'^2], "
                  "the slope of the correlation map at c = 1"},
    {"theory", "c_star", POINT(c_star), NUMBER, .long_name = "limit of the correlation map"},
    {"theory", "xi_q", POINT(xi_q), NUMBER, .long_name = "depth scale of the length map, in layers"},
    {"theory", "xi_c", POINT(xi_c), NUMBER, .long_name = "depth scale of the correlation map, in layers"},
    {"theory", "chi_q", POINT(chi_q), NUMBER, .long_name = "slope of the length map at q_star"},
    {"theory", "chi_c", POINT(chi_c), NUMBER, .long_name = "slope of the correlation map at c_star"},
    {"theory", "mu_1", POINT(mu_1), NUMBER, .long_name = "E[phi'^2] at q_star"},
    {"theory", "mu_2", POINT(mu_2), NUMBER, .long_name = "E[phi'^4] at q_star"},
    {"theory", "length_map_second_derivative", POINT(length_map_second_derivative), NUMBER,
     .long_name = "second derivative of the length map at q_star"},
    {"theory", "manifold_curvature", POINT(manifold_curvature), NUMBER,
     .long_name = "limit of the extrinsic curvature of a curve of inputs"},
    {"theory", "beta", POINT(beta), NUMBER,
     .long_name = "variance of log |gradient|^2 at width N and depth L, to first order in L/N (gaussian weights)"},
    {"theory", "lambda_max", POINT(lambda_max), NUMBER,
     .long_name = "greatest squared singular value of the Jacobian at q_star; inf beyond 1.8e308"},
    {"theory", "log_lambda_max", POINT(log_lambda_max), NUMBER,
     .long_name = "log of the greatest squared singular value of the Jacobian at q_star"},
    {"theory", "jacobian_variance_per_layer", POINT(jacobian_variance_per_layer), NUMBER,
     .long_name = "growth of the relative variance of the squared singular values of the Jacobian, per layer"},
    {"theory", "log_q", POINT(log_q), .along = EOC_ALONG_LAYER, NUMBER, .long_name = "log of the mean-field q^l",
     FORWARD},
    {"theory", "c", POINT(c), .along = EOC_ALONG_LAYER, NUMBER, .long_name = "mean-field correlation of inputs 0 and 1",
     FORWARD},
    {"theory", "one_minus_c", POINT(one_minus_c), .along = EOC_ALONG_LAYER, NUMBER,
     .long_name = "1 - c, to its last digits", FORWARD},
    {"theory", "log_gradient_q", POINT(log_gradient_q), .along = EOC_ALONG_LAYER, NUMBER,
     .long_name = "log of the mean-field (dE/dz^l)^2", GRADIENT},
    {"theory", "gradient_c", POINT(gradient_c), .along = EOC_ALONG_LAYER, NUMBER,
     .long_name = "mean-field cosine of the gradients of inputs 0 and 1", GRADIENT},
    {"theory", "log_weight_gradient_q", POINT(log_weight_gradient_q), .along = EOC_ALONG_LAYER, NUMBER,
     .long_name = "log of the mean-field square entry of d(sum_a E_a)/dW^l", GRADIENT},
    {"theory", "averaging_eigenvalue", POINT(averaging_eigenvalue), .along = EOC_ALONG_SPATIAL_MODE, NUMBER,
     .long_name = "eigenvalue of a mode of the averaging over the taps of a convolution, sum_t share_t cos(2 pi "
                  "k.t/side)"},
    {"theory", "xi_q_mode", POINT(xi_q_mode), .along = EOC_ALONG_SPATIAL_MODE, NUMBER,
     .long_name =
         "depth scale of a mode of the variances over positions, -1/log|chi_q averaging_eigenvalue|, in layers"},
    {"theory", "xi_c_mode", POINT(xi_c_mode), .along = EOC_ALONG_SPATIAL_MODE, NUMBER,
     .long_name = "depth scale of a mode of the covariances between inputs or positions, -1/log|chi_c "
                  "averaging_eigenvalue|, in layers"},
    {"theory", "position_q", POINT(position_q), .along = EOC_ALONG_LAYER_POSITION, PREDICTED_IN_SPACE,
     .long_name = "mean-field variance at a position, mean over inputs, over its mean over positions"},
    {"theory", "position_c", POINT(position_c), .along = EOC_ALONG_LAYER_POSITION, PREDICTED_IN_SPACE,
     .long_name = "mean-field correlation of inputs 0 and 1 at a position"},
    {"theory", "spatial_power", POINT(spatial_power), .along = EOC_ALONG_LAYER_SPATIAL_MODE, PREDICTED_IN_SPACE,
     .long_name = "mean-field power of z in each mode over positions, as shares of their sum"},
    {"theory", "spatial_correlation", POINT(spatial_correlation), .along = EOC_ALONG_LAYER_POSITION, PREDICTED_IN_SPACE,
     .long_name = "mean-field covariance of z(p) and z(p + d), mean over positions and inputs, over that at d = 0"},
    {"theory", "gradient_correlation", POINT(gradient_correlation), NUMBER,
     .long_name =
         "exact mean field of probe/gradient_correlation: of relu falls as a power of depth where c goes to 1 and the "
         "gates of two inputs become alike; along an interval of plain and pre-activation relu networks alone, behind "
         "a batch's normalization of relu and independent inputs alone",
     CORRELATION},
    {"theory", "independent_gradient_correlation", POINT(independent_gradient_correlation), NUMBER,
     .long_name =
         "estimate of it by Balduzzi et al. 2017, as if the gates of two inputs of a relu network were independent in "
         "every layer: "
         "1/2^L, residual (3/4)^(L-1), batch-normalized residual 1/sqrt(L); far below the exact one where c goes "
         "to 1",
     CORRELATION},
    {"theory", "log_jacobian_m1", POINT(log_jacobian_m1), NUMBER, .long_name = "log of tr(J^T J)/N", JACOBIAN},
    {"theory", "log_jacobian_m2", POINT(log_jacobian_m2), NUMBER, .long_name = "log of tr((J^T J)^2)/N", JACOBIAN},

    {"probe", "log_q", UNIT(probe.log_q), PROBED, .long_name = "log of the mean over units and inputs of z^2", FORWARD},
    {"probe", "c", UNIT(probe.c), PROBED, .long_name = "cosine of the pre-activations of inputs 0 and 1", FORWARD},
    {"probe", "one_minus_c", UNIT(probe.one_minus_c), PROBED, .long_name = "1 - c, to its last digits", FORWARD},
    {"probe", "chi_1", UNIT(probe.chi_1), PROBED,
     .long_name = "sigma_w^2 times the mean over units and inputs of phi'(z)^2", FINITE_WIDTH},
    {"probe", "kurtosis", UNIT(probe.kurtosis), PROBED,
     .long_name = "mean over units of z^4 by the square of that of z^2, averaged over inputs", FINITE_WIDTH},
    {"probe", "log_gradient_q", UNIT(probe.log_gradient_q), PROBED,
     .long_name = "log of the mean over units and inputs of (dE_a/dz^l(x_a))^2, E_a = v.h^L(x_a)", GRADIENT},
    {"probe", "gradient_c", UNIT(probe.gradient_c), PROBED, .long_name = "cosine of dE_0/dz^l and dE_1/dz^l", GRADIENT},
    {"probe", "log_weight_gradient_q", UNIT(probe.log_weight_gradient_q), PROBED,
     .long_name = "log of the mean square entry of d(sum_a E_a)/dW^l", GRADIENT},
    {"probe", "log_jacobian_m1", UNIT(probe.log_jacobian_m1), .checked = 1, NUMBER,
     .long_name = "log of an unbiased estimate of tr(J^T J)/N, J = dh^L/dh^0 at input 0", JACOBIAN},
    {"probe", "log_jacobian_m2", UNIT(probe.log_jacobian_m2), .checked = 1, NUMBER,
     .long_name = "log of an unbiased estimate of tr((J^T J)^2)/N", JACOBIAN},
    {"probe", "log_singular_values", UNIT(probe.log_singular_values), .along = EOC_ALONG_MODE, .checked = 1, NUMBER,
     .long_name = "log of the singular values of J = dh^L/dh^0 at input 0, descending; exact zeros are -inf", SPECTRUM},

    {"probe", "input_gradient", UNIT(probe.input_gradient), .along = EOC_ALONG_INPUT, .checked = 1, NUMBER,
     .long_name = "dy/dt at every point t of the interval, y = v.h^L, one v ~ N(0, I); a batch's means held",
     SHATTERING},
    {"probe", "gradient_autocorrelation", UNIT(probe.gradient_autocorrelation), .along = EOC_ALONG_LAG, .checked = 1,
     NUMBER, .long_name = "autocorrelation of input_gradient along the interval, its mean removed", SHATTERING},
    {"probe", "gradient_correlation", UNIT(probe.gradient_correlation), .checked = 1, NUMBER,
     .long_name = "cosine of dy/dz^1 of two inputs, mean over all pairs, y = v.h^L, one v; a batch's means held",
     CORRELATION},
    {"probe", "gradient_covariance", UNIT(probe.gradient_covariance), .along = EOC_ALONG_INPUT_INPUT, .checked = 1,
     NUMBER, .long_name = "mean over units of the product of dy/dz^1 at two points of the interval",
     .statistics = EOC_STATISTIC_GRADIENT_COVARIANCE},

    {"probe", "position_q", UNIT(probe.position_q), .along = EOC_ALONG_LAYER_POSITION, SPATIAL,
     .long_name = "mean over channels and inputs of z^2 at a position, over its mean over positions"},
    {"probe", "position_c", UNIT(probe.position_c), .along = EOC_ALONG_LAYER_POSITION, SPATIAL,
     .long_name = "cosine of the pre-activations of inputs 0 and 1 at a position"},
    {"probe", "spatial_power", UNIT(probe.spatial_power), .along = EOC_ALONG_LAYER_SPATIAL_MODE, SPATIAL,
     .long_name = "mean over channels and inputs of the square of the discrete Fourier transform of z over positions, "
                  "as shares of their sum"},
    {"probe", "spatial_correlation", UNIT(probe.spatial_correlation), .along = EOC_ALONG_LAYER_POSITION, SPATIAL,
     .long_name = "mean over positions p, channels and inputs of z(p) z(p + d), over that of z(p)^2; d the position as "
                  "a displacement, around the edges where the padding is circular"},

    {"train", "loss", UNIT(train.loss), TRAINED, .along = EOC_ALONG_STEP, NUMBER,
     .long_name = "loss on the training set, of its first evaluation_samples"},
    {"train", "accuracy", UNIT(train.accuracy), TRAINED, .along = EOC_ALONG_STEP, NUMBER,
     .long_name = "accuracy on the training set, of its first evaluation_samples"},
    {"train", "test_loss", UNIT(train.test_loss), TRAINED, .along = EOC_ALONG_STEP, NUMBER,
     .long_name = "loss on the test set, of its first evaluation_samples"},
    {"train", "test_accuracy", UNIT(train.test_accuracy), TRAINED, .along = EOC_ALONG_STEP, NUMBER,
     .long_name = "accuracy on the test set, of its first evaluation_samples"},
    {"train", "final_loss", UNIT(train.final_loss), TRAINED, .along = EOC_ALONG_LEARNING_RATE, NUMBER,
     .long_name = "loss on the training set after the last step"},
    {"train", "final_accuracy", UNIT(train.final_accuracy), TRAINED, .along = EOC_ALONG_LEARNING_RATE, NUMBER,
     .long_name = "accuracy on the training set after the last step"},
    {"train", "final_test_loss", UNIT(train.final_test_loss), TRAINED, .along = EOC_ALONG_LEARNING_RATE, NUMBER,
     .long_name = "loss on the test set after the last step"},
    {"train", "final_test_accuracy", UNIT(train.final_test_accuracy), TRAINED, .along = EOC_ALONG_LEARNING_RATE, NUMBER,
     .long_name = "accuracy on the test set after the last step"},
    {"train", "learning_time", UNIT(train.learning_time), TRAINED, .along = EOC_ALONG_LEARNING_RATE, NUMBER,
     .long_name = "first recorded step from which on the threshold is held to the end; NaN: never"},
    {"train", "divergence_step", UNIT(train.divergence_step), TRAINED, .along = EOC_ALONG_LEARNING_RATE,
     .type = EOC_TYPE_INT32, .units = "1", .fill = -1, .long_name = "first step whose loss was not finite; -1: none"},
    {"train", "log_q", UNIT(train.log_q), TRAINED_AND(EOC_STATISTIC_FORWARD), .along = EOC_ALONG_STEP_LAYER, NUMBER,
     .long_name = "log of the mean over units and test samples 0 and 1 of z^2"},
    {"train", "c", UNIT(train.c), TRAINED_AND(EOC_STATISTIC_FORWARD), .along = EOC_ALONG_STEP_LAYER, NUMBER,
     .long_name = "cosine of the pre-activations of test samples 0 and 1"},
    {"train", "one_minus_c", UNIT(train.one_minus_c), TRAINED_AND(EOC_STATISTIC_FORWARD), .along = EOC_ALONG_STEP_LAYER,
     NUMBER, .long_name = "1 - c, to its last digits"},
    {"train", "log_gradient_q", UNIT(train.log_gradient_q), TRAINED_AND(EOC_STATISTIC_GRADIENT),
     .along = EOC_ALONG_STEP_LAYER, NUMBER,
     .long_name = "log of the mean over units and both samples of (dE_a/dz^l(x_a))^2, E_a = v.h^L(x_a)"},
    {"train", "gradient_c", UNIT(train.gradient_c), TRAINED_AND(EOC_STATISTIC_GRADIENT), .along = EOC_ALONG_STEP_LAYER,
     NUMBER, .long_name = "cosine of dE_0/dz^l and dE_1/dz^l"},
    {"train", "log_jacobian_m1", UNIT(train.log_jacobian_m1), TRAINED_AND(EOC_STATISTIC_JACOBIAN),
     .along = EOC_ALONG_STEP, NUMBER,
     .long_name = "log of an unbiased estimate of tr(J^T J)/features, J = dh^L/dx at test sample 0"},
    {"train", "log_jacobian_m2", UNIT(train.log_jacobian_m2), TRAINED_AND(EOC_STATISTIC_JACOBIAN),
     .along = EOC_ALONG_STEP, NUMBER, .long_name = "log of an unbiased estimate of tr((J^T J)^2)/features"},
    {"train", "best_learning_rate", UNIT(train.best_learning_rate), TRAINED, NUMBER,
     .long_name = "of those that did not diverge the one with the least learning_time, then the least final_loss"},
};

int eoc_variable_count(void)
{
    return (int)(sizeof variables / sizeof variables[0]);
}

const eoc_variable *eoc_variable_row(int row)
{
    assert(row >= 0 && row < eoc_variable_count());
    return &variables[row];
}

const eoc_variable *eoc_variable_find(const char *group, const char *name)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        if (strcmp(variables[row].group, group) == 0 && strcmp(variables[row].name, name) == 0) {
            return &variables[row];
        }
    }
    return NULL;
}

size_t eoc_type_bytes(eoc_type type)
{
    switch (type) {
    case EOC_TYPE_INT8:
        return 1;
    case EOC_TYPE_UINT16:
        return 2;
    case EOC_TYPE_INT32:
    case EOC_TYPE_UINT32:
        return 4;
    case EOC_TYPE_FLOAT64:
        return 8;
    }
    return 0;
}

int eoc_along_scales(eoc_along along, eoc_scale scales[EOC_MAX_ALONG])
{
    switch (along) {
    case EOC_ALONG_LAYER:
        scales[0] = EOC_SCALE_LAYER;
        return 1;
    case EOC_ALONG_MODE:
        scales[0] = EOC_SCALE_MODE;
        return 1;
    case EOC_ALONG_LEARNING_RATE:
        scales[0] = EOC_SCALE_LEARNING_RATE;
        return 1;
    case EOC_ALONG_STEP:
        scales[0] = EOC_SCALE_LEARNING_RATE;
        scales[1] = EOC_SCALE_STEP;
        return 2;
    case EOC_ALONG_STEP_LAYER:
        scales[0] = EOC_SCALE_LEARNING_RATE;
        scales[1] = EOC_SCALE_STEP;
        scales[2] = EOC_SCALE_LAYER;
        return 3;
    case EOC_ALONG_INPUT:
        scales[0] = EOC_SCALE_INPUT;
        return 1;
    case EOC_ALONG_INPUT_INPUT:
        scales[0] = EOC_SCALE_INPUT;
        scales[1] = EOC_SCALE_OTHER_INPUT;
        return 2;
    case EOC_ALONG_LAG:
        scales[0] = EOC_SCALE_LAG;
        return 1;
    case EOC_ALONG_LAYER_POSITION:
        scales[0] = EOC_SCALE_LAYER;
        scales[1] = EOC_SCALE_POSITION;
        return 2;
    case EOC_ALONG_LAYER_SPATIAL_MODE:
        scales[0] = EOC_SCALE_LAYER;
        scales[1] = EOC_SCALE_SPATIAL_MODE;
        return 2;
    case EOC_ALONG_SPATIAL_MODE:
        scales[0] = EOC_SCALE_SPATIAL_MODE;
        return 1;
    case EOC_ALONG_NOTHING:
        break;
    }
    return 0;
}

size_t eoc_layout_scale_count(const eoc_layout *layout, eoc_scale scale)
{
    const int counts[EOC_NUM_SCALES] = {[EOC_SCALE_LAYER] = layout->num_layers,
                                        [EOC_SCALE_MODE] = layout->num_modes,
                                        [EOC_SCALE_LEARNING_RATE] = layout->num_rates,
                                        [EOC_SCALE_STEP] = layout->num_steps,
                                        [EOC_SCALE_INPUT] = layout->num_points,
                                        [EOC_SCALE_OTHER_INPUT] = layout->num_points,
                                        [EOC_SCALE_LAG] = layout->num_lags,
                                        [EOC_SCALE_POSITION] = layout->num_positions,
                                        [EOC_SCALE_SPATIAL_MODE] = layout->num_spatial_modes};
    return (size_t)counts[scale];
}

size_t eoc_layout_row_count(const eoc_layout *layout, const eoc_variable *variable)
{
    eoc_scale scales[EOC_MAX_ALONG];
    size_t count = 1;
    for (int i = 0; i < eoc_along_scales(variable->along, scales); i++) {
        count *= eoc_layout_scale_count(layout, scales[i]);
    }
    return count;
}

/* Gives a variable its place in the records. */
static void include(int row, eoc_layout *layout)
{
    const eoc_variable *v = &variables[row];
    size_t *const total = v->scope == EOC_PER_UNIT ? &layout->unit_bytes : &layout->point_bytes;
    const size_t bytes = eoc_type_bytes(v->type) * eoc_layout_row_count(layout, v);
    layout->included[row] = 1;
    layout->offset[row] = *total;
    *total += (bytes + 7) / 8 * 8; /* every row aligned for doubles */
}

static bool is_along_inputs(const eoc_variable *v)
{
    return v->along == EOC_ALONG_INPUT || v->along == EOC_ALONG_INPUT_INPUT || v->along == EOC_ALONG_LAG;
}

/* Depth scales of modes are in every file of networks with a space, but for so many that nobody looks at them. */
enum { MOST_MODES_UNASKED = 4096 };

static bool is_over_space(const eoc_variable *v)
{
    return v->along == EOC_ALONG_LAYER_POSITION || v->along == EOC_ALONG_LAYER_SPATIAL_MODE ||
           v->along == EOC_ALONG_SPATIAL_MODE;
}

eoc_status eoc_layout_create(unsigned statistics, const int *layers, int num_layers, int num_modes, eoc_layout *layout)
{
    const size_t count = (size_t)eoc_variable_count();
    *layout = (eoc_layout){.num_layers = num_layers,
                           .num_modes = num_modes,
                           .layers = layers,
                           .offset = calloc(count, sizeof *layout->offset),
                           .included = calloc(count, sizeof *layout->included)};
    if (!layout->offset || !layout->included) {
        eoc_layout_clear(layout);
        return EOC_FAIL(EOC_ERR_NOMEM, "out of memory");
    }
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = &variables[row];
        const bool later = is_along_inputs(v) || is_over_space(v);
        if (!later && (v->statistics == 0 || (v->statistics & statistics) != 0)) {
            include(row, layout);
        }
    }
    return EOC_OK;
}

eoc_status eoc_layout_add_points(const eoc_probe *probe, eoc_layout *layout)
{
    layout->num_points = eoc_probe_points(probe);
    layout->num_lags = eoc_probe_lags(probe);
    layout->has_point_pairs = (probe->statistics & EOC_STATISTIC_GRADIENT_COVARIANCE) != 0;
    if (layout->num_points == 0) {
        return EOC_OK;
    }
    layout->points = malloc(sizeof *layout->points * (size_t)layout->num_points);
    EOC_REQUIRE(layout->points, EOC_ERR_NOMEM, "out of memory for %d points", layout->num_points);
    for (int k = 0; k < layout->num_points; k++) {
        layout->points[k] = eoc_interval_point(&probe->inputs, k);
    }
    for (int row = 0; row < eoc_variable_count(); row++) {
        if ((variables[row].statistics & probe->statistics) != 0 && is_along_inputs(&variables[row])) {
            include(row, layout);
        }
    }
    return EOC_OK;
}

void eoc_layout_add_space(const eoc_probe *probe, eoc_layout *layout)
{
    const bool has_modes = probe->needs.positions > 1 && probe->needs.positions <= MOST_MODES_UNASKED;
    layout->num_positions = eoc_probe_positions(probe);
    layout->num_spatial_modes = layout->num_positions ? layout->num_positions : has_modes ? probe->needs.positions : 0;
    for (int row = 0; row < eoc_variable_count() && layout->num_spatial_modes; row++) {
        const eoc_variable *v = &variables[row];
        if (is_over_space(v) && (v->statistics == 0 || (v->statistics & probe->statistics) != 0)) {
            include(row, layout);
        }
    }
}

eoc_status eoc_layout_add_training(const eoc_train *train, eoc_layout *layout)
{
    layout->num_rates = train->num_learning_rates;
    layout->learning_rates = train->learning_rates;
    layout->num_steps = eoc_train_record_count(train);
    layout->steps = malloc(sizeof *layout->steps * (size_t)layout->num_steps);
    EOC_REQUIRE(layout->steps, EOC_ERR_NOMEM, "out of memory for %d recorded steps", layout->num_steps);
    eoc_train_record(train, layout->steps);
    for (int row = 0; row < eoc_variable_count(); row++) {
        if (variables[row].statistics & (TRAINING | train->statistics << TRAINING_SHIFT)) {
            include(row, layout);
        }
    }
    return EOC_OK;
}

void eoc_layout_clear(eoc_layout *layout)
{
    free(layout->offset);
    free(layout->included);
    free(layout->steps);
    free(layout->points);
    *layout = (eoc_layout){0};
}

/* Sets the pointers of one scope's record: each lies at its row's `field`. */
static void bind(const eoc_layout *layout, eoc_record_scope scope, unsigned char *block, void *record)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        if (variables[row].scope == scope && layout->included[row]) {
            void *const place = block + layout->offset[row];
            memcpy((unsigned char *)record + variables[row].field, &place, sizeof place);
        }
    }
}

void eoc_layout_unit(const eoc_layout *layout, void *block, eoc_unit_record *record)
{
    *record = (eoc_unit_record){0};
    bind(layout, EOC_PER_UNIT, block, record);
}

void eoc_layout_point(const eoc_layout *layout, void *block, eoc_point_record *record)
{
    *record = (eoc_point_record){0};
    bind(layout, EOC_PER_POINT, block, record);
}
