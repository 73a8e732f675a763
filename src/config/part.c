/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/part.h"
#include "eoc/sweep.h"

eoc_status eoc_sweep_take_part(eoc_sweep *sweep, int index, int count, eoc_axis_id *axis)
{
    const bool all_layers = sweep->probe.layers.rule == EOC_LAYERS_ALL;
    *axis = eoc_grid_longest_axis(&sweep->grid, all_layers ? 0 : 1u << EOC_AXIS_DEPTH);
    const int values = sweep->grid.axes[*axis].count;
    EOC_REQUIRE(count <= values, EOC_ERR_USAGE,
                "--part %d/%d: the longest axis, grid.%s, has %d value%s%s; accepted: at most that many parts", index,
                count, eoc_axis_row_of(*axis)->name, values, values == 1 ? "" : "s",
                all_layers ? "" : " (grid.depth is not cut where probe.layers keeps some layers only)");
    eoc_text whole = {0};
    eoc_config_resolved(sweep, 0, &whole);
    sweep->whole = whole.data;
    eoc_axis_keep_every(&sweep->grid.axes[*axis], index - 1, count);
    return EOC_OK;
}
