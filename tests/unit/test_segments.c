/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A probe whose layers do not fit into memory runs segments of them again: the same bits as one that keeps them all,
 * for every length of a segment.
 */
#include "check.h"

#include "../../src/study/probe_memory.h"

#include "eoc/linalg.h"

#include <stdbool.h>
#include <string.h>

enum { DEPTH = 12, WIDTH = 9 };

/* Every row of a probe, layer by layer, then the Jacobian's two. */
typedef struct {
    double per_layer[8][DEPTH], m1, m2;
} values;

static eoc_network network_of(const char *architecture, const char *activation, const char *initializer,
                              double weight_variance, double bias_variance)
{
    eoc_network n = {.depth = DEPTH,
                     .width = WIDTH,
                     .weight_variance = weight_variance,
                     .bias_variance = bias_variance,
                     .key = {{5, 6}}};
    assert_int_equal(eoc_architecture_find(architecture, &n.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &n.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &n.initializer), EOC_OK);
    return n;
}

static eoc_probe probe_of(const char *sampler, unsigned statistics)
{
    eoc_probe p = {.inputs = {.correlation = 0.6, .variance = 1.0, .points = 4},
                   .statistics = statistics,
                   .jacobian_probes = 2,
                   .sampler = eoc_sampler_find(sampler)};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, "gaussian") == 0) {
            p.inputs.kind = eoc_input_kind_row(row);
        }
    }
    return p;
}

/* Returns the segments' length. */
static int run(const eoc_probe *probe, const eoc_network *network, eoc_probe_workspace *workspace, values *v)
{
    int layers[DEPTH];
    for (int l = 0; l < DEPTH; l++) {
        layers[l] = l + 1;
    }
    /* Numbers that no probe writes: what is left of them would differ. */
    memset(v, 0x5a, sizeof *v);
    eoc_probe_rows rows = {.log_q = v->per_layer[0], .c = v->per_layer[1], .one_minus_c = v->per_layer[2]};
    if (probe->statistics & EOC_STATISTIC_FINITE_WIDTH) {
        rows.chi_1 = v->per_layer[3];
        rows.kurtosis = v->per_layer[4];
    }
    if (probe->statistics & EOC_STATISTIC_GRADIENT) {
        rows.log_gradient_q = v->per_layer[5];
        rows.gradient_c = v->per_layer[6];
        rows.log_weight_gradient_q = v->per_layer[7];
    }
    if (probe->statistics & EOC_STATISTIC_JACOBIAN) {
        rows.log_jacobian_m1 = &v->m1;
        rows.log_jacobian_m2 = &v->m2;
    }
    eoc_outcome outcome;
    assert_true(eoc_probe_run(probe, network, 1.0, layers, DEPTH, workspace, NULL, &rows, &outcome));
    assert_int_equal(outcome.status, EOC_DONE);
    assert_int_equal(outcome.last_layer, DEPTH);
    return eoc_probe_segments(probe, workspace, network, probe->sampler).length;
}

/* A workspace within so many bytes; for a larger network than the one that is probed, as in a sweep, or for it. */
static int run_within(const eoc_probe *probe, const eoc_network *network, int max_depth, int max_width, double bytes,
                      values *v)
{
    eoc_probe_workspace *workspace = NULL;
    assert_int_equal(eoc_probe_workspace_create_within(probe, max_depth, max_width, bytes, &workspace), EOC_OK);
    run(probe, network, workspace, v);
    const int length = run(probe, network, workspace, v); /* again, in memory that has been used */
    eoc_probe_workspace_destroy(&workspace);
    return length;
}

/* Returns the bits of the lengths that occurred. */
static unsigned compare_lengths(const eoc_probe *probe, const eoc_network *network)
{
    values whole, cut;
    unsigned lengths = 0;
    assert_int_equal(run_within(probe, network, DEPTH, WIDTH, 1e9, &whole), DEPTH);
    for (double bytes = 0.0; bytes < 160e3; bytes += bytes < 60e3 ? 400.0 : 3000.0) {
        lengths |= 1U << (unsigned)run_within(probe, network, DEPTH, WIDTH, bytes, &cut);
        assert_memory_equal(&whole, &cut, sizeof whole);
    }
    run_within(probe, network, DEPTH + 7, WIDTH + 5, 0.0, &cut);
    assert_memory_equal(&whole, &cut, sizeof whole);
    return lengths;
}

static const struct {
    const char *activation;
    double weight_variance, bias_variance;
    const char *architecture;
} networks[] = {
    {"tanh", 1.6, 0.1, "fully_connected"},
    {"relu", 2.0, 0.0, "fully_connected"},
    {"relu", 1e-80, 0.0, "fully_connected"}, /* the scale leaves the range of doubles: exponents carried */
    {"linear", 1e90, 0.0, "fully_connected"},
    {"tanh", 1e-90, 0.0, "fully_connected"}, /* so small that it is linear */
    {"crelu", 1.0, 0.1, "fully_connected(keep=0.8)"},
    {"tanh", 1.6, 0.1, "fully_connected(normalization=batch, keep=0.7)"},
    {"crelu", 1e50, 0.0, "fully_connected(normalization=layer)"},
    {"relu", 1e50, 0.0, "residual(skip=1000000, branch=1000000, keep=0.7)"},
    {"crelu", 2.0, 0.1, "residual(normalization=batch)"},
    {"tanh", 2.0, 0.1, "residual(form=reduced, normalization=layer)"},
    {"crelu", 2.0, 0.1, "residual(form=full, normalization=batch, keep=0.9)"},
    {"tanh", 2.0, 0.1, "convolutional(dimensions=1, side=3, form=full, normalization=layer, padding=zero)"}};
enum { NUM_NETWORKS = sizeof networks / sizeof networks[0] };

static void same_bits(void **state)
{
    (void)state;
    static const char *const laws[] = {"gaussian", "orthogonal"}, *const samplers[] = {"implicit", "explicit"};
    static const unsigned way_back[] = {EOC_STATISTIC_GRADIENT, EOC_STATISTIC_JACOBIAN,
                                        EOC_STATISTIC_GRADIENT | EOC_STATISTIC_JACOBIAN | EOC_STATISTIC_FINITE_WIDTH};
    unsigned lengths = 0;
    for (int i = 0; i < NUM_NETWORKS * 2 * 2 * 3; i++) {
        const int k = i / 12;
        const eoc_network network = network_of(networks[k].architecture, networks[k].activation, laws[i % 2],
                                               networks[k].weight_variance, networks[k].bias_variance);
        eoc_probe probe = probe_of(samplers[i / 2 % 2], EOC_STATISTIC_FORWARD | way_back[i / 4 % 3]);
        probe.needs = network.architecture.kind->needs(&network);
        lengths |= compare_lengths(&probe, &network);
    }
    /* Whole, and lengths that divide the depth or do not: the test did cut. */
    int several = 0;
    for (int length = 1; length <= DEPTH; length++) {
        several += (lengths & (1U << length)) != 0;
    }
    print_message("lengths of segments seen: %#x\n", lengths);
    assert_true(several >= 6 && ((lengths >> DEPTH) & 1U) && !(lengths & 1U));
}

int main(void)
{
    eoc_linalg_set_threads(1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
