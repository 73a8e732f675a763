/* SPDX-License-Identifier: BSD-3-Clause */
#include "advise_layers.h"

#include "eoc/architecture.h"
#include "eoc/layer_theory.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name, *architecture, *activation /* NULL: the one asked about */, *initializer;
    const char *torch; /* ahead of the weights, or in their place */
} layers[] = {
    {"residual", "residual(branch=1/sqrt(depth))", NULL, "gaussian", "x = x + L**-0.5 * m(phi(x)), L layers; "},
    {"batch_norm", "fully_connected(normalization=batch)", NULL, "gaussian", "nn.BatchNorm1d(N) behind every m; "},
    {"looks_linear", "fully_connected", "crelu", "looks_linear",
     "torch.cat((z.relu(), (-z).relu()), 1) in place of relu; w = nn.init.orthogonal_(torch.empty(N, N)); "
     "m.weight.data = torch.cat((w, -w), 1), in the first layer w"},
};

enum { NUM_LAYERS = sizeof layers / sizeof layers[0] };

_Static_assert((int)NUM_LAYERS <= (int)EOC_MAX_ADVICE_LAYERS, "every row has room");

static bool has_batch(const eoc_network *network)
{
    return network->architecture.kind->needs(network).coupled;
}

static eoc_status take_rows(const eoc_layer_theory *theory, const eoc_network *network, eoc_advice_row *r)
{
    const int ends[2] = {1, network->depth}, num_ends = network->depth > 1 ? 2 : 1;
    double q[2], g[2];
    eoc_curve_rows rows = {.log_q = q, .log_gradient_q = g};
    EOC_TRY(eoc_layer_theory_fill(theory, network, ends, num_ends, &rows));
    r->log_forward_scale = num_ends == 2 ? q[1] - q[0] : 0.0;
    r->log_gradient_scale = num_ends == 2 ? g[0] - g[1] : 0.0;
    const double excess = expm1(rows.log_jacobian_m2 - 2.0 * rows.log_jacobian_m1);
    r->spread = isnan(excess) ? NAN : sqrt(fmax(0.0, excess));
    return EOC_OK;
}

static eoc_status fill(const eoc_network *network, eoc_advice_row *r)
{
    const bool batch = has_batch(network);
    const double count = batch ? EOC_ADVICE_BATCH : 1.0;
    const eoc_theory_pair pair = {.correlation = 0.0, .count = count * (count - 1.0)};
    const eoc_theory_inputs inputs = {
        .num_variances = 1, .variances = &r->input_variance, .counts = &count, .num_pairs = batch, .pairs = &pair};
    eoc_layer_theory *theory = NULL;
    eoc_layer_limits limits;
    EOC_TRY(eoc_layer_theory_create(network, &inputs, network->depth, &theory));
    eoc_status status = eoc_layer_theory_limits(theory, network, &limits);
    if (status == EOC_OK) {
        status = take_rows(theory, network, r);
        r->point = limits.point;
        r->beta = limits.beta * network->depth / network->width;
    }
    eoc_layer_theory_destroy(&theory);
    return status;
}

/* Whether a row of the table is one for an activation. */
static bool is_for(int row, const eoc_activation *act)
{
    return !layers[row].activation || eoc_activation_is_relu(act);
}

static eoc_status fill_row(int row, const eoc_activation *act, const eoc_advice *a, eoc_advice_row *r)
{
    const bool scaled = !layers[row].activation && isfinite(a->weight_variance);
    eoc_network network = {.activation = *act,
                           .depth = a->depth,
                           .width = a->width,
                           .weight_variance = scaled ? a->weight_variance : 1.0,
                           .bias_variance = scaled ? a->bias_variance : 0.0};
    EOC_TRY(eoc_architecture_find(layers[row].architecture, &network.architecture));
    EOC_TRY(eoc_initializer_find(layers[row].initializer, &network.initializer));
    if (layers[row].activation) {
        EOC_TRY(eoc_activation_find(layers[row].activation, &network.activation));
    }
    *r = (eoc_advice_row){.name = layers[row].name,
                          .architecture = layers[row].architecture,
                          .activation = layers[row].activation,
                          .initializer = network.initializer,
                          .weight_variance = network.weight_variance,
                          .effective_weight_variance = eoc_network_effective(&network),
                          .bias_variance = network.bias_variance,
                          .in_theory = true,
                          .input_variance = 1.0};
    return fill(&network, r);
}

eoc_status eoc_advise_layers(const eoc_activation *act, const eoc_advice *a, eoc_advice_row *rows, int *count)
{
    *count = 0;
    for (int row = 0; row < NUM_LAYERS; row++) {
        if (is_for(row, act)) {
            EOC_TRY(fill_row(row, act, a, &rows[(*count)++]));
        }
    }
    return EOC_OK;
}

bool eoc_advise_layers_torch(const eoc_advice_row *row, eoc_text *out)
{
    for (int i = 0; i < NUM_LAYERS; i++) {
        if (strcmp(layers[i].name, row->name) == 0) {
            eoc_text_append(out, "%s", layers[i].torch);
            if (!layers[i].activation) {
                eoc_text_append(out, "nn.init.normal_(m.weight, 0, %.8g * m.in_features**-0.5)",
                                sqrt(row->weight_variance));
            }
            return true;
        }
    }
    return false;
}
