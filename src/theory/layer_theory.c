/* SPDX-License-Identifier: BSD-3-Clause */
#include "layer_law.h"

#include "eoc/text.h"

#include "expectations.h"
#include "fixed_points.h"

#include <math.h>
#include <stdlib.h>

static const eoc_layer_theory_row *const rows_of_theory[] = {&eoc_theory_of_single_inputs, &eoc_theory_of_batches};

struct eoc_layer_theory {
    const eoc_layer_theory_row *row;
    eoc_layer_law law;
    double input_variance;
    int num_inputs;
    void *curves;
};

static const eoc_layer_theory_row *find_row(const eoc_network *network)
{
    if (!network->architecture.kind->block || !eoc_initializer_in_theory(&network->initializer) ||
        eoc_network_has_edges(network)) {
        return NULL;
    }
    const eoc_block block = network->architecture.kind->block(network);
    for (size_t i = 0; i < sizeof rows_of_theory / sizeof rows_of_theory[0]; i++) {
        if (rows_of_theory[i]->covers(network, &block)) {
            return rows_of_theory[i];
        }
    }
    return NULL;
}

bool eoc_layer_theory_covers(const eoc_network *network)
{
    return find_row(network) != NULL;
}

int eoc_layer_theory_depth(const eoc_network *network)
{
    eoc_network deeper = *network;
    deeper.depth = network->depth + 1;
    const bool same = !network->architecture.kind->block || network->architecture.kind->block(network).branch ==
                                                                network->architecture.kind->block(&deeper).branch;
    return same ? 0 : network->depth;
}

double eoc_layer_theory_lift(const eoc_network *network)
{
    /* Rounded as axes are, so that networks of every width have one theory, to the bit. */
    return network->architecture.kind->block ? eoc_text_round(network->architecture.kind->block(network).lift_variance)
                                             : 0.0;
}

/* -- the law -- */

eoc_status eoc_layer_law_find(const eoc_network *network, eoc_layer_law *law)
{
    const eoc_block block = network->architecture.kind->block(network);
    *law = (eoc_layer_law){.block = block,
                           .passed = network->activation,
                           .features = network->activation,
                           .two_features = eoc_activation_features(&network->activation) == 2,
                           .lift = eoc_text_round(block.lift_variance),
                           .before = 1.0,
                           .behind = 1.0,
                           .bias = network->bias_variance};
    if (law->two_features) {
        EOC_TRY(eoc_activation_find("relu", &law->features));
        EOC_TRY(eoc_activation_find(block.mirrored ? "linear" : "relu", &law->passed));
    }
    if (block.matrix_before) {
        law->before = law->lift;
    }
    if (block.matrix_behind) {
        /* Two features share what the mean of their squares leaves to each: half. */
        law->behind = eoc_text_round(block.variance) * (block.mirrored ? 0.5 : 1.0);
        law->bias_behind = network->bias_variance;
    }
    return EOC_OK;
}

bool eoc_layer_law_is_folded(const eoc_layer_law *law, const eoc_activation *phi)
{
    const bool shifted = law->block.norm.rule != EOC_NORM_NONE && law->block.norm.beta != 0.0;
    return shifted && law->two_features && phi->kind == law->features.kind;
}

eoc_law_s_1 eoc_layer_law_s_1(const eoc_layer_law *law, const eoc_network *network)
{
    const double square = eoc_network_s_1(network, 1);
    /* N of the 2N columns of orthonormal rows: squared singular values have the arcsine law, of moments 1/2 and 3/8. */
    const double half = eoc_network_s_1(network, 2);
    const double behind = law->two_features && !law->block.mirrored ? half : square;
    return (eoc_law_s_1){
        .lift = square, .block = (law->block.matrix_before ? square : 0.0) + (law->block.matrix_behind ? behind : 0.0)};
}

double eoc_layer_law_spread(const eoc_layer_law *law, double mu_1, double mu_2)
{
    return (law->two_features ? 1.0 : mu_2 / (mu_1 * mu_1)) / law->block.keep;
}

bool eoc_layer_law_slopes_are_free(const eoc_layer_law *law)
{
    const bool alike = law->two_features || (law->passed.kind->odd && law->passed.kind->scale_invariant);
    return law->block.skip == 0.0 || law->block.matrix_before || alike;
}

/* -- curves -- */

eoc_status eoc_layer_theory_create(const eoc_network *network, const eoc_theory_inputs *inputs, int max_depth,
                                   eoc_layer_theory **theory)
{
    eoc_layer_theory *made = calloc(1, sizeof *made);
    EOC_REQUIRE(made, EOC_ERR_NOMEM, "no memory for theory");
    made->row = find_row(network);
    made->input_variance = inputs->variances[0];
    made->num_inputs = (int)inputs->counts[0];
    eoc_status status = eoc_layer_law_find(network, &made->law);
    if (status == EOC_OK) {
        status = made->row->create(&made->law, inputs, max_depth, &made->curves);
    }
    if (status != EOC_OK) {
        free(made);
        return status;
    }
    *theory = made;
    return EOC_OK;
}

void eoc_layer_theory_destroy(eoc_layer_theory **theory)
{
    if (*theory) {
        (*theory)->row->destroy((*theory)->curves);
        free(*theory);
        *theory = NULL;
    }
}

static void blank(int layer_index, eoc_curve_rows *rows)
{
    double *const values[] = {rows->log_q,          rows->c,          rows->one_minus_c,
                              rows->log_gradient_q, rows->gradient_c, rows->log_weight_gradient_q};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (values[i]) {
            values[i][layer_index] = NAN;
        }
    }
}

eoc_status eoc_layer_theory_fill(const eoc_layer_theory *theory, const eoc_network *network, const int *layers,
                                 int num_layers, eoc_curve_rows *rows)
{
    int within = 0;
    while (within < num_layers && layers[within] <= network->depth) {
        within++;
    }
    for (int k = within; k < num_layers; k++) {
        blank(k, rows);
    }
    return theory->row->fill(theory->curves, network, layers, within, eoc_layer_law_s_1(&theory->law, network), rows);
}

/* -- limits -- */

/* Fully connected, and nothing but two features beside it: then eoc/mean_field.h knows everything. */
static bool is_plain(const eoc_layer_law *law)
{
    const eoc_block *b = &law->block;
    return b->skip == 0.0 && b->branch == 1.0 && b->norm.rule == EOC_NORM_NONE && b->keep == 1.0 && b->matrix_behind &&
           !b->matrix_before;
}

eoc_status eoc_layer_theory_limits(const eoc_layer_theory *theory, const eoc_network *network, eoc_layer_limits *limits)
{
    const eoc_layer_law *law = &theory->law;
    const eoc_law_s_1 s_1 = eoc_layer_law_s_1(law, network);
    *limits = (eoc_layer_limits){.beta = NAN, .log_lambda_max = NAN, .jacobian_variance = NAN};
    EOC_TRY(theory->row->limits(law, theory->input_variance, theory->num_inputs, s_1, &limits->point,
                                &limits->jacobian_variance));
    limits->point.status |= eoc_activation_jumps(&law->passed) ? EOC_THEORY_NO_SECOND_DERIVATIVE : 0;
    const eoc_mean_field *m = &limits->point;
    const bool independent = network->initializer.kind->law != EOC_LAW_HAAR;
    const bool unskipped = law->block.skip == 0.0 && law->block.matrix_behind && !law->block.matrix_before &&
                           law->block.norm.rule != EOC_NORM_BATCH;
    if (independent && unskipped) {
        limits->beta = 3.0 * eoc_layer_law_spread(law, m->mu_1, m->mu_2) - 1.0;
    }
    /* The Jacobian of crelu is a linear network's, of half the variance; of orthogonal rows cut in half it is not. */
    if (is_plain(law) && (independent || law->block.mirrored)) {
        eoc_activation linear;
        EOC_TRY(eoc_activation_find("linear", &linear));
        EOC_TRY(eoc_mean_field_log_lambda_max(&linear, law->block.mirrored ? law->behind : 0.5 * law->behind, m->q_star,
                                              network->depth, s_1.lift, &limits->log_lambda_max));
    } else {
        limits->point.status |= EOC_THEORY_PARTIAL;
    }
    return EOC_OK;
}

eoc_status eoc_layer_theory_q_star(const eoc_network *network, double input_variance, int num_inputs, double *q_star)
{
    eoc_layer_law law;
    eoc_mean_field point;
    double jacobian_variance = 0.0;
    EOC_TRY(eoc_layer_law_find(network, &law));
    EOC_TRY(find_row(network)->limits(&law, input_variance, num_inputs, eoc_layer_law_s_1(&law, network), &point,
                                      &jacobian_variance));
    *q_star = point.q_star;
    return EOC_OK;
}
