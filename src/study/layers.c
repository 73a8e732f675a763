/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/probe.h"

#include <math.h>
#include <stdbool.h>

static bool is_depth(const eoc_axis *depth_axis, int layer)
{
    for (int i = 0; i < depth_axis->count; i++) {
        if ((int)depth_axis->values[i] == layer) {
            return true;
        }
    }
    return false;
}

bool eoc_is_log_spaced(int layer, int number, int greatest)
{
    if (number < 2 || greatest < 2) {
        return layer == greatest;
    }
    const double step = log((double)greatest) / (number - 1);
    const double nearest = round(log((double)layer) / step);
    for (double k = nearest - 1.0; k <= nearest + 1.0; k += 1.0) {
        if (k >= 0.0 && k <= number - 1 && (int)lround(exp(k * step)) == layer) {
            return true;
        }
    }
    return false;
}

int eoc_layers_fill(const eoc_layers *rule, const eoc_axis *depth_axis, int *layers)
{
    int greatest = 1;
    for (int i = 0; i < depth_axis->count; i++) {
        const int depth = (int)depth_axis->values[i];
        greatest = depth > greatest ? depth : greatest;
    }
    int count = 0;
    for (int layer = 1; layer <= greatest; layer++) {
        const bool kept = layer == 1 || rule->rule == EOC_LAYERS_ALL ||
                          (rule->rule == EOC_LAYERS_EVERY && layer % rule->number == 0) ||
                          (rule->rule == EOC_LAYERS_LOG && eoc_is_log_spaced(layer, rule->number, greatest)) ||
                          is_depth(depth_axis, layer);
        if (kept) {
            layers[count++] = layer;
        }
    }
    return count;
}
