/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Layers whose units are channels at positions, W a convolution: the vectors of a batch are those of its positions, so
 * that a layer is that of a fully connected or residual network whose matrices see more than one of them.
 */
#include "layer_parts.h"

enum { DIMENSIONS = EOC_NUM_BLOCK_PARAMETERS, SIDE, KERNEL, PADDING, READOUT };

enum { MAX_SIDE_OF_SQUARE = 256 };

static const char *const form_words[] = {"pre_activation", "reduced", "full", "plain", NULL};
static const char *const padding_words[] = {"circular", "zero", NULL};
static const char *const readout_words[] = {"flatten", "average", NULL};

static double parameter(const eoc_network *network, int which)
{
    return network->architecture.parameters[which];
}

static bool is_plain(const eoc_network *network)
{
    return parameter(network, EOC_PARAMETER_FORM) == EOC_FORM_PLAIN;
}

/* The architecture whose layers these are, but for the products. */
static const eoc_architecture_kind *layers_of(const eoc_network *network)
{
    return is_plain(network) ? &eoc_fully_connected : &eoc_residual;
}

static eoc_geometry geometry(const eoc_network *network)
{
    return (eoc_geometry){.dimensions = (int)parameter(network, DIMENSIONS),
                          .side = (int)parameter(network, SIDE),
                          .kernel = (int)parameter(network, KERNEL),
                          .circular = parameter(network, PADDING) == 0.0};
}

static bool averages(const eoc_network *network)
{
    return parameter(network, READOUT) != 0.0;
}

static eoc_status check(const eoc_network *network)
{
    const eoc_geometry g = geometry(network);
    EOC_REQUIRE(g.kernel % 2 == 1, EOC_ERR_USAGE,
                "convolutional: kernel=%d has no centre tap; accepted: an odd number of taps along a dimension",
                g.kernel);
    EOC_REQUIRE(g.dimensions == 1 || g.side <= MAX_SIDE_OF_SQUARE, EOC_ERR_USAGE,
                "convolutional: side=%d is too much in two dimensions; accepted: up to %d", g.side, MAX_SIDE_OF_SQUARE);
    EOC_REQUIRE(g.kernel <= g.side, EOC_ERR_USAGE,
                "convolutional: kernel=%d is more than the %d positions of side; accepted: an odd number up to that",
                g.kernel, g.side);
    EOC_REQUIRE(!is_plain(network) ||
                    (parameter(network, EOC_PARAMETER_BRANCH) == 1.0 && parameter(network, EOC_PARAMETER_SKIP) == 1.0),
                EOC_ERR_USAGE,
                "convolutional: branch and skip are of residual blocks; accepted with them: form=pre_activation, "
                "form=reduced or form=full");
    return layers_of(network)->check(network);
}

/* Of fully connected networks, which it shares where there are no edges (Xiao et al. 2018, section 2). */
static bool in_theory(const eoc_network *network)
{
    return is_plain(network) && !eoc_network_has_edges(network) && eoc_network_is_plain(network);
}

static eoc_block block(const eoc_network *network)
{
    return layers_of(network)->block(network);
}

static eoc_matrix weights(const eoc_network *network, int l)
{
    return layers_of(network)->weights(network, l);
}

static eoc_layer_needs needs(const eoc_network *network)
{
    const eoc_geometry g = geometry(network);
    eoc_layer_needs needs = layers_of(network)->needs(network);
    needs.positions = needs.least_positions = eoc_geometry_positions(&g);
    needs.taps = eoc_geometry_taps(&g);
    needs.drawn_taps = weights(network, 1).taps;
    needs.patch = eoc_network_projections(network) > 0 ? eoc_projection_buffers() : needs.drawn_taps;
    return needs;
}

static int width(const eoc_network *network, int l)
{
    return layers_of(network)->width(network, l);
}

static eoc_layer_form form(const eoc_network *network, int l)
{
    return layers_of(network)->form(network, l);
}

static void forward(const eoc_network *network, const eoc_layer_tools *tools, int l, eoc_signals *h, eoc_layer *layer)
{
    layers_of(network)->forward(network, tools, l, h, layer);
}

static void push_tangents(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                          const eoc_batch *in, eoc_batch *out)
{
    layers_of(network)->push_tangents(network, tools, l, layer, in, out);
}

static void backward_activation(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                                eoc_signals *dh)
{
    layers_of(network)->backward_activation(network, tools, l, layer, dh);
}

static void backward_weights(const eoc_network *network, const eoc_layer_tools *tools, int l, const eoc_layer *layer,
                             const eoc_signals *dz, eoc_signals *dh, double *log_weight_gradient_q)
{
    layers_of(network)->backward_weights(network, tools, l, layer, dz, dh, log_weight_gradient_q);
}

static double chi_1(const eoc_network *network, int l, const eoc_layer *layer)
{
    return layers_of(network)->chi_1(network, l, layer);
}

const eoc_architecture_kind eoc_convolutional = {
    .name = "convolutional",
    .formula = "z^l(p) = sum_t W^l_t h^(l-1)(p + t) + b^l over kernel^dimensions taps t, width channels at every "
               "position p; h^l = phi(norm(z^l)), or residual blocks of such layers",
    .source = "Xiao et al. 2018",
    .parameters = {EOC_COMMON_PARAMETERS,
                   EOC_BLOCK_PARAMETERS(form_words, EOC_FORM_PLAIN),
                   {.name = "dimensions", .fallback = 2.0, .min = 1.0, .max = 2.0, .whole = true},
                   {.name = "side",
                    .fallback = 7.0,
                    .min = 1.0,
                    .max = 4096.0,
                    .whole = true,
                    .help = "positions along a dimension; an image is cut into side^dimensions blocks"},
                   {.name = "kernel", .fallback = 3.0, .min = 1.0, .max = EOC_MAX_KERNEL, .whole = true},
                   {.name = "padding", .fallback = 0.0, .words = padding_words},
                   {.name = "readout",
                    .fallback = 0.0,
                    .words = readout_words,
                    .help = "of training: of all positions side by side, or of their average"}},
    .check = check,
    .in_theory = in_theory,
    .block = block,
    .needs = needs,
    .geometry = geometry,
    .averages = averages,
    .width = width,
    .form = form,
    .weights = weights,
    .forward = forward,
    .push_tangents = push_tangents,
    .backward_activation = backward_activation,
    .backward_weights = backward_weights,
    .chi_1 = chi_1,
};
