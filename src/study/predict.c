/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/record.h"

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
    eoc_curves *curves;       /* of plain layers */
    eoc_layer_theory *layers; /* of others; both NULL outside theory */
};

/* A sum over incoming weights, whose last digits depend on their number: rounded as axes are, so that networks of every
 * width have one theory, to the bit. */
static double effective(const eoc_network *network)
{
    return eoc_text_round(eoc_network_effective(network));
}

/* s_1 of the weights' S-transform: -1 for independent entries, 0 for orthogonal ones. Pennington et al. 2017. */
static double s_1_of(const eoc_network *network)
{
    return network->initializer.kind->law == EOC_LAW_HAAR ? 0.0 : -1.0;
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
    EOC_TRY(eoc_mean_field_find(&network->activation, sigma_w2, sigma_b2, sigma_w2 + sigma_b2, 0.0, &point));
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

/* Fixed points and slopes from where input 0, and its correlation with input 1, begin. */
static eoc_status find_point(const eoc_theory_inputs *inputs, eoc_prediction *p)
{
    const double v_0 = inputs->variances[0], q_0 = p->sigma_w2 * v_0 + p->sigma_b2;
    double c_1 = 0.0;
    if (inputs->num_pairs > 0 && q_0 > 0.0) {
        const double v_1 = inputs->variances[inputs->pairs[0].b], q_1 = p->sigma_w2 * v_1 + p->sigma_b2;
        c_1 = (p->sigma_w2 * sqrt(v_0 * v_1) * inputs->pairs[0].correlation + p->sigma_b2) / sqrt(q_0 * q_1);
    }
    return eoc_mean_field_find(&p->activation, p->sigma_w2, p->sigma_b2, q_0, c_1, &p->point);
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

/* Of plain layers their own theory; of others that of layers. */
static eoc_status iterate(const eoc_probe *probe, const eoc_network *network, int max_depth, eoc_prediction *p)
{
    seen_inputs seen = {0};
    EOC_TRY(see_inputs(&probe->inputs, p->input_variance, &seen));
    eoc_status status = EOC_OK;
    if (p->in_theory) {
        status = find_point(&seen.as_seen, p);
        if (status == EOC_OK) {
            status = eoc_curves_create(&p->activation, p->sigma_w2, p->sigma_b2, &seen.as_seen, max_depth, &p->curves);
        }
    } else if (are_of_layers(network, &seen.as_seen)) {
        status = eoc_layer_theory_create(network, &seen.as_seen, max_depth, &p->layers);
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
    if (status == EOC_OK && (p->in_theory || eoc_layer_theory_covers(network)) && !on_interval) {
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
                              eoc_point_record *record)
{
    eoc_layer_limits limits;
    EOC_TRY(eoc_layer_theory_limits(p->layers, network, &limits));
    put_point(&limits.point, record);
    put(record->lambda_max, exp(limits.log_lambda_max));
    put(record->log_lambda_max, limits.log_lambda_max);
    put(record->jacobian_variance_per_layer, limits.jacobian_variance);
    put(record->beta, limits.beta * network->depth / network->width);
    eoc_curve_rows rows = rows_of(record);
    eoc_layer_theory_fill(p->layers, network, layout->layers, layout->num_layers, &rows);
    put(record->log_jacobian_m1, rows.log_jacobian_m1);
    put(record->log_jacobian_m2, rows.log_jacobian_m2);
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
    if (p->layers) {
        return fill_layers(p, network, layout, record);
    }
    if (!p->in_theory) {
        *record->theory_status = EOC_THEORY_OUTSIDE_THEORY;
        return EOC_OK;
    }
    const eoc_mean_field *m = &p->point;
    put_point(&p->point, record);
    const double s_1 = s_1_of(network);
    double log_lambda_max = NAN;
    EOC_TRY(
        eoc_mean_field_log_lambda_max(&p->activation, p->sigma_w2, m->q_star, network->depth, s_1, &log_lambda_max));
    put(record->lambda_max, exp(log_lambda_max));
    put(record->log_lambda_max, log_lambda_max);
    put(record->jacobian_variance_per_layer, eoc_mean_field_jacobian_variance(m, s_1));
    /* Hanin and Nica's law is one of independent Gaussian entries. */
    put(record->beta, s_1 == 0.0 ? NAN : eoc_mean_field_beta(m) * network->depth / network->width);

    eoc_curve_rows rows = rows_of(record);
    eoc_curves_fill(p->curves, network->depth, layout->layers, layout->num_layers, s_1, &rows);
    put(record->log_jacobian_m1, rows.log_jacobian_m1);
    put(record->log_jacobian_m2, rows.log_jacobian_m2);
    return EOC_OK;
}
