/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/grid.h"

#include "eoc/text.h"

#include <assert.h>
#include <stdio.h>

double eoc_grid_num_points(const eoc_grid *grid)
{
    double count = 1.0;
    for (int id = 0; id < EOC_AXIS_REPLICA; id++) {
        count *= grid->axes[id].count;
    }
    return count;
}

double eoc_grid_num_units(const eoc_grid *grid)
{
    return eoc_grid_num_points(grid) * grid->axes[EOC_AXIS_REPLICA].count;
}

void eoc_grid_indices(const eoc_grid *grid, int64_t unit, int indices[EOC_NUM_AXES])
{
    for (int id = EOC_NUM_AXES - 1; id >= 0; id--) {
        indices[id] = (int)(unit % grid->axes[id].count);
        unit /= grid->axes[id].count;
    }
    assert(unit == 0);
}

int64_t eoc_grid_unit(const eoc_grid *grid, const int indices[EOC_NUM_AXES])
{
    int64_t unit = 0;
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        unit = unit * grid->axes[id].count + indices[id];
    }
    return unit;
}

const char *eoc_grid_unit_text(const eoc_grid *grid, uint64_t seed, int64_t unit, char out[EOC_UNIT_TEXT_BYTES])
{
    int indices[EOC_NUM_AXES];
    eoc_grid_indices(grid, unit, indices);
    size_t length = (size_t)snprintf(out, EOC_UNIT_TEXT_BYTES, "seed=%llu", (unsigned long long)seed);
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_axis *axis = &grid->axes[id];
        char number[EOC_NUMBER_BYTES];
        const char *value = axis->names ? axis->names[indices[id]] : eoc_text_number(axis->values[indices[id]], number);
        length += (size_t)snprintf(out + length, EOC_UNIT_TEXT_BYTES - length, " %s=%s",
                                   eoc_axis_row_of((eoc_axis_id)id)->name, value);
        assert(length < EOC_UNIT_TEXT_BYTES);
    }
    return out;
}

eoc_unit eoc_grid_get(const eoc_grid *grid, uint64_t seed, int64_t unit)
{
    eoc_unit u = {.unit = unit, .point = unit / grid->axes[EOC_AXIS_REPLICA].count};
    eoc_grid_indices(grid, unit, u.indices);
    const eoc_axis *axes = grid->axes;
    eoc_network *n = &u.network;
    eoc_status status =
        eoc_architecture_find(axes[EOC_AXIS_ARCHITECTURE].names[u.indices[EOC_AXIS_ARCHITECTURE]], &n->architecture);
    assert(status == EOC_OK);
    status = eoc_activation_find(axes[EOC_AXIS_ACTIVATION].names[u.indices[EOC_AXIS_ACTIVATION]], &n->activation);
    assert(status == EOC_OK);
    status = eoc_initializer_find(axes[EOC_AXIS_INITIALIZER].names[u.indices[EOC_AXIS_INITIALIZER]], &n->initializer);
    assert(status == EOC_OK);
    (void)status;
    n->width = eoc_network_width(&n->architecture, &n->activation,
                                 (int)axes[EOC_AXIS_WIDTH].values[u.indices[EOC_AXIS_WIDTH]]);
    n->depth = (int)axes[EOC_AXIS_DEPTH].values[u.indices[EOC_AXIS_DEPTH]];
    n->weight_variance = axes[EOC_AXIS_WEIGHT_VARIANCE].values[u.indices[EOC_AXIS_WEIGHT_VARIANCE]];
    n->bias_variance = axes[EOC_AXIS_BIAS_VARIANCE].values[u.indices[EOC_AXIS_BIAS_VARIANCE]];
    u.replica = (int)axes[EOC_AXIS_REPLICA].values[u.indices[EOC_AXIS_REPLICA]];
    char text[EOC_UNIT_TEXT_BYTES];
    n->key = eoc_rng_key(eoc_grid_unit_text(grid, seed, unit, text));
    return u;
}
