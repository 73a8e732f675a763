/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/record.h"

#include "predict_space.h"

#include "eoc/gates.h"
#include "eoc/layer_theory.h"
#include "eoc/text.h"

#include <math.h>
#include <stdlib.h>

struct eoc_prediction {
    eoc_activation activation;
    double sigma_w2, sigma_b2;
    double input_variance;
    eoc_inputs inputs;
    bool in_theory; /* of plain layers */
    eoc_mean_field point;
    eoc_curves *curves;          /* of plain layers */
    eoc_layer_theory *layers;    /* of others; both NULL outside theory, and where signals differ over space */
    eoc_space_prediction *space; /* of convolutions in theory */
};

/* A sum over incoming weights, whose last digits depend on their number: rounded as axes are, so that networks of every
 * width have one theory, to the bit. */
static double effective(const eoc_network *network)
{
    return eoc_text_round(eoc_network_effective(network));
}

/* Of inputs whose q^1 = lift variance + sigma_b^2 is q_star; 1 where there is none. */
static double variance_at(double q_star, double lift, double sigma_b2)
{
    const double wanted = (q_star - sigma_b2) / lift;
    return isfinite(wanted) && wanted > 0.0 ? wanted : 1.0;
}

eoc_status eoc_study_input_variance(const eoc_probe *probe, const eoc_network *network, double *variance)
{
    *variance = probe->inputs.as_preprocessed ? probe->inputs.images->variance : probe->inputs.variance;
    if (probe->inputs.kind->is_interval) {
        *variance = 0.0;
        for (int k = 0; k < probe->inputs.points; k++) {
            const double t = eoc_interval_point(&probe->inputs, k);
            *variance += t * t / probe->inputs.points;
        }
        return EOC_OK;
    }
    if (!probe->inputs.fixed_point) {
        return EOC_OK;
    }
    *variance = 1.0;
    const double sigma_w2 = effective(network), sigma_b2 = network->bias_variance;
    if (!eoc_network_in_theory(network)) {
        if (eoc_layer_theory_covers(network)) {
            double q_star = NAN;
            const int num_inputs = probe->inputs.kind->num_inputs(&probe->inputs);
            if (num_inputs >= EOC_LAYER_THEORY_LEAST_BATCH || !network->architecture.kind->needs(network).coupled) {
                EOC_TRY(eoc_layer_theory_q_star(network, 1.0, num_inputs, &q_star));
            }
            *variance = variance_at(q_star, eoc_layer_theory_lift(network), sigma_b2);
        }
        return EOC_OK;
    }
    if (sigma_w2 == 0.0) {
        return EOC_OK;
    }
    eoc_mean_field point;
    EOC_TRY(eoc_mean_field_find(&network->activation, sigma_w2, sigma_b2, sigma_w2 + sigma_b2, &point));
    *variance = variance_at(point.q_star, sigma_w2, sigma_b2);
    return EOC_OK;
}

/* -- the inputs as theory sees them -- */

typedef struct {
    double *variances, *counts;
    eoc_theory_pair *pairs;
    eoc_theory_inputs as_seen; /* of these arrays */
} seen_inputs;

static void seen_inputs_clear(seen_inputs *seen)
{
    free(seen->variances);
    free(seen->counts);
    free(seen->pairs);
    *seen = (seen_inputs){0};
}

/* One variance, that of all inputs, or one for every input. */
static eoc_status see_inputs(const eoc_inputs *inputs, double variance, seen_inputs *seen)
{
    const int num_inputs = inputs->kind->num_inputs(inputs), num_pairs = inputs->kind->pairs(inputs, NULL);
    const double *const shares = inputs->kind->shares(inputs);
    const int num_variances = shares ? num_inputs : 1;
    seen->variances = malloc(sizeof *seen->variances * (size_t)num_variances);
    seen->counts = malloc(sizeof *seen->counts * (size_t)num_variances);
    seen->pairs = malloc(sizeof *seen->pairs * (size_t)(num_pairs + 1));
    if (!seen->variances || !seen->counts || !seen->pairs) {
        seen_inputs_clear(seen);
        return EOC_FAIL(EOC_ERR_NOMEM, "out of memory for the theory of %d inputs", num_inputs);
    }
    for (int v = 0; v < num_variances; v++) {
        seen->variances[v] = shares ? variance * shares[v] : variance;
        seen->counts[v] = shares ? 1.0 : num_inputs;
    }
    inputs->kind->pairs(inputs, seen->pairs);
    seen->as_seen = (eoc_theory_inputs){.num_variances = num_variances,
                                        .variances = seen->variances,
                                        .counts = seen->counts,
                                        .num_pairs = num_pairs,
                                        .pairs = seen->pairs};
    return EOC_OK;
}

/* Fixed points and slopes from where input 0 begins. */
static eoc_status find_point(const eoc_theory_inputs *inputs, eoc_prediction *p)
{
    const double q_1 = p->sigma_w2 * inputs->variances[0] + p->sigma_b2;
    return eoc_mean_field_find(&p->activation, p->sigma_w2, p->sigma_b2, q_1, &p->point);
}

/* Whether theory of layers is of such inputs: of one length and, where a batch couples them, independent and not few. A
 * network that is only trained may have others: its batches are of the data. */
static bool are_of_layers(const eoc_network *network, const eoc_theory_inputs *inputs)
{
    if (inputs->num_variances != 1 || !network->architecture.kind->needs(network).coupled) {
        return inputs->num_variances == 1;
    }
    return inputs->counts[0] >= EOC_LAYER_THEORY_LEAST_BATCH && inputs->num_pairs == 1 &&
           inputs->pairs[0].correlation == 0.0;
}

/* To the normalization of a batch the positions of an input are so many inputs. */
static void count_positions(const eoc_network *network, seen_inputs *seen)
{
    const double positions = eoc_network_positions(network);
    if (positions > 1.0 && network->architecture.kind->needs(network).coupled && seen->as_seen.num_pairs == 1) {
        seen->counts[0] *= positions;
        seen->pairs[0].count = seen->counts[0] * (seen->counts[0] - 1.0);
    }
}

/* Of plain layers their own theory; of others that of layers; of signals that differ over space theirs. */
static eoc_status iterate(const eoc_probe *probe, const eoc_network *network, int max_depth, eoc_prediction *p)
{
    seen_inputs seen = {0};
    EOC_TRY(see_inputs(&probe->inputs, p->input_variance, &seen));
    count_positions(network, &seen);
    const bool differs = eoc_prediction_differs_in_space(probe, network);
    const bool of_layers = !p->in_theory && !differs && are_of_layers(network, &seen.as_seen);
    eoc_status status = p->in_theory ? find_point(&seen.as_seen, p) : EOC_OK;
    if (status == EOC_OK && p->in_theory && !differs) {
        status = eoc_curves_create(&p->activation, p->sigma_w2, p->sigma_b2, &seen.as_seen, max_depth, &p->curves);
    }
    if (status == EOC_OK && of_layers) {
        status = eoc_layer_theory_create(network, &seen.as_seen, max_depth, &p->layers);
    }
    const bool in_space = differs ? eoc_spatial_theory_covers(network) : p->curves || p->layers;
    if (status == EOC_OK && in_space && network->architecture.kind->geometry) {
        status = eoc_space_prediction_create(probe, network, p->input_variance, &seen.as_seen, max_depth, &p->space);
    }
    seen_inputs_clear(&seen);
    return status;
}

eoc_status eoc_prediction_create(const eoc_probe *probe, const eoc_network *network, int max_depth,
                                 eoc_prediction **prediction)
{
    eoc_prediction *p = calloc(1, sizeof *p);
    EOC_REQUIRE(p, EOC_ERR_NOMEM, "out of memory for theory");
    p->activation = network->activation;
    p->inputs = probe->inputs;
    p->sigma_w2 = effective(network);
    p->sigma_b2 = network->bias_variance;
    /* Too many lengths, and pairs of them: the points of an interval have gates instead. */
    const bool on_interval = probe->inputs.kind->is_interval;
    p->in_theory = eoc_network_in_theory(network) && !on_interval;
    eoc_status status = eoc_study_input_variance(probe, network, &p->input_variance);
    const bool covered = p->in_theory || eoc_layer_theory_covers(network) || eoc_spatial_theory_covers(network);
    if (status == EOC_OK && covered && !on_interval) {
        status = iterate(probe, network, max_depth, p);
    }
    if (status != EOC_OK) {
        eoc_prediction_destroy(&p);
        return status;
    }
    *prediction = p;
    return EOC_OK;
}

void eoc_prediction_destroy(eoc_prediction **prediction)
{
    if (*prediction) {
        eoc_curves_destroy(&(*prediction)->curves);
        eoc_layer_theory_destroy(&(*prediction)->layers);
        eoc_space_prediction_destroy(&(*prediction)->space);
        free(*prediction);
        *prediction = NULL;
    }
}

static void put(double *place, double value)
{
    if (place) {
        *place = value;
    }
}

/* All the numbers of a point's record to NaN: what theory does not say. */
static void blank(const eoc_layout *layout, eoc_point_record *record)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (v->scope == EOC_PER_POINT && v->type == EOC_TYPE_FLOAT64 && layout->included[row]) {
            double *const values = *(double **)(void *)((unsigned char *)record + v->field);
            for (size_t i = 0; i < eoc_layout_row_count(layout, v); i++) {
                values[i] = NAN;
            }
        }
    }
}

/* The scalars that every theory has. */
static void put_point(const eoc_mean_field *m, eoc_point_record *record)
{
    *record->theory_status = (uint16_t)m->status;
    put(record->q_star, m->q_star);
    put(record->chi_1, m->chi_1);
    put(record->c_star, m->c_star);
    put(record->xi_q, m->xi_q);
    put(record->xi_c, m->xi_c);
    put(record->chi_q, m->chi_q);
    put(record->chi_c, m->chi_c);
    put(record->mu_1, m->mu_1);
    put(record->mu_2, m->mu_2);
    put(record->length_map_second_derivative, m->length_map_second_derivative);
    put(record->manifold_curvature, m->manifold_curvature);
}

static eoc_curve_rows rows_of(const eoc_point_record *record)
{
    return (eoc_curve_rows){.log_q = record->log_q,
                            .c = record->c,
                            .one_minus_c = record->one_minus_c,
                            .log_gradient_q = record->log_gradient_q,
                            .gradient_c = record->gradient_c,
                            .log_weight_gradient_q = record->log_weight_gradient_q};
}

/* Layers that are more than W, b and phi. */
static eoc_status fill_layers(const eoc_prediction *p, const eoc_network *network, const eoc_layout *layout,
                              eoc_curve_rows *rows, eoc_point_record *record)
{
    eoc_layer_limits limits;
    EOC_TRY(eoc_layer_theory_limits(p->layers, network, &limits));
    put_point(&limits.point, record);
    put(record->lambda_max, exp(limits.log_lambda_max));
    put(record->log_lambda_max, limits.log_lambda_max);
    put(record->jacobian_variance_per_layer, limits.jacobian_variance);
    put(record->beta, limits.beta * network->depth / network->width);
    return eoc_layer_theory_fill(p->layers, network, layout->layers, layout->num_layers, rows);
}

/* Of the Jacobian: known of independent and of orthogonal square weights. */
static bool has_edge_of_spectrum(const eoc_network *network)
{
    const double s_1 = eoc_network_s_1(network, 1);
    return s_1 == 0.0 || s_1 == -1.0;
}

/* Limits of plain layers. */
static eoc_status fill_limits(const eoc_prediction *p, const eoc_network *network, eoc_point_record *record)
{
    const eoc_mean_field *m = &p->point;
    put_point(m, record);
    const double s_1 = eoc_network_s_1(network, 1);
    double log_lambda_max = NAN;
    if (has_edge_of_spectrum(network)) {
        EOC_TRY(eoc_mean_field_log_lambda_max(&p->activation, p->sigma_w2, m->q_star, network->depth, s_1,
                                              &log_lambda_max));
    }
    put(record->lambda_max, exp(log_lambda_max));
    put(record->log_lambda_max, log_lambda_max);
    put(record->jacobian_variance_per_layer, eoc_mean_field_jacobian_variance(m, s_1));
    /* Hanin and Nica's law is one of independent Gaussian entries. */
    const bool independent = network->initializer.kind->law != EOC_LAW_HAAR;
    put(record->beta, independent ? eoc_mean_field_beta(m) * network->depth / network->width : NAN);
    return EOC_OK;
}

/* What of a convolution is not as in other networks: rows of its layers that are there already, and those over space.
 * `c` is the row of that name. */
static eoc_status fill_space(const eoc_prediction *p, const eoc_network *network, const eoc_layout *layout,
                             const double *c, eoc_curve_rows *rows, eoc_point_record *record)
{
    bool partial = false;
    if (eoc_network_positions(network) > 1) {
        /* Slopes of one unit at different positions are correlated, and all count: the law of independent entries is
         * not Hanin and Nica's. */
        partial = network->initializer.kind->law != EOC_LAW_HAAR;
        put(record->beta, NAN);
    }
    if (p->curves || p->layers) {
        const double uses = eoc_prediction_log_uses(network);
        for (int k = 0; rows->log_weight_gradient_q && k < layout->num_layers; k++) {
            rows->log_weight_gradient_q[k] += uses;
        }
    } else {
        EOC_TRY(eoc_space_prediction_fill(p->space, network, layout, rows, &partial));
    }
    EOC_TRY(eoc_space_prediction_fill_space(p->space, network, layout, c, record, &partial));
    const eoc_mean_field point = {.chi_q = record->chi_q ? *record->chi_q : NAN,
                                  .chi_c = record->chi_c ? *record->chi_c : NAN};
    eoc_prediction_fill_modes(network, &point, layout, record, &partial);
    partial = partial || (!p->in_theory && !p->layers); /* with edges, where limits differ over space */
    partial = partial || !has_edge_of_spectrum(network);
    *record->theory_status |= partial ? EOC_THEORY_PARTIAL : 0;
    return EOC_OK;
}

/* The curves, and what depth alone tends to, of a point in theory. */
static eoc_status fill_curves(const eoc_prediction *p, const eoc_network *network, const eoc_layout *layout, double *c,
                              eoc_point_record *record)
{
    eoc_curve_rows rows = rows_of(record);
    rows.c = c;
    *record->theory_status = 0;
    rows.log_jacobian_m1 = rows.log_jacobian_m2 = rows.mean_gradient_c = NAN;
    if (p->in_theory) {
        EOC_TRY(fill_limits(p, network, record));
    }
    if (p->layers) {
        EOC_TRY(fill_layers(p, network, layout, &rows, record));
    } else if (p->curves) {
        eoc_curves_fill(p->curves, network->depth, layout->layers, layout->num_layers, eoc_network_s_1(network, 1),
                        &rows);
    }
    if (p->space) {
        EOC_TRY(fill_space(p, network, layout, c, &rows, record));
    }
    put(record->log_jacobian_m1, rows.log_jacobian_m1);
    put(record->log_jacobian_m2, rows.log_jacobian_m2);
    if (record->gradient_correlation && isnan(*record->gradient_correlation)) { /* of gates nothing is known */
        *record->gradient_correlation = rows.mean_gradient_c;
        const bool unknown = isnan(rows.mean_gradient_c) && p->inputs.kind->pairs(&p->inputs, NULL) > 0;
        *record->theory_status |= unknown ? EOC_THEORY_PARTIAL : 0;
    }
    return EOC_OK;
}

eoc_status eoc_prediction_fill(const eoc_prediction *p, const eoc_network *network, const eoc_layout *layout,
                               eoc_point_record *record)
{
    blank(layout, record);
    put(record->effective_weight_variance, eoc_network_effective(network));
    put(record->input_variance, p->input_variance);
    if (record->gradient_correlation) {
        EOC_TRY(eoc_gates_correlation(network, &p->inputs, p->input_variance, record->gradient_correlation));
        *record->independent_gradient_correlation = eoc_gates_independent_correlation(network);
    }
    if (!p->curves && !p->layers && !p->space) {
        *record->theory_status = EOC_THEORY_OUTSIDE_THEORY;
        return EOC_OK;
    }
    double *const c = record->c ? record->c : malloc(sizeof(double) * (size_t)layout->num_layers);
    EOC_REQUIRE(c, EOC_ERR_NOMEM, "out of memory for theory of %d layers", layout->num_layers);
    const eoc_status status = fill_curves(p, network, layout, c, record);
    if (c != record->c) {
        free(c);
    }
    return status;
}
