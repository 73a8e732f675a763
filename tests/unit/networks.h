/* SPDX-License-Identifier: BSD-3-Clause */
/* Networks and probes by the names of their kinds. */
#ifndef EOC_TESTS_NETWORKS_H
#define EOC_TESTS_NETWORKS_H

#include "check.h"

#include "eoc/probe.h"

#include <string.h>

static inline eoc_network network_of(const char *architecture, const char *activation, const char *initializer,
                                     int depth, int width)
{
    eoc_network n = {.depth = depth, .width = width, .weight_variance = 1.4, .bias_variance = 0.3, .key = {{7, 9}}};
    assert_int_equal(eoc_architecture_find(architecture, &n.architecture), EOC_OK);
    assert_int_equal(eoc_activation_find(activation, &n.activation), EOC_OK);
    assert_int_equal(eoc_initializer_find(initializer, &n.initializer), EOC_OK);
    return n;
}

static inline eoc_probe probe_of(const eoc_network *network, const char *inputs, int points, unsigned statistics,
                                 const char *sampler)
{
    eoc_probe p = {.inputs = {.correlation = 0.6, .variance = 1.0, .points = points},
                   .statistics = statistics,
                   .jacobian_probes = 2,
                   .spectrum_modes = 1024,
                   .sampler = eoc_sampler_find(sampler),
                   .needs = network->architecture.kind->needs(network)};
    for (int row = 0; row < eoc_input_kind_count(); row++) {
        if (strcmp(eoc_input_kind_row(row)->name, inputs) == 0) {
            p.inputs.kind = eoc_input_kind_row(row);
        }
    }
    assert_non_null(p.inputs.kind);
    return p;
}

#endif
