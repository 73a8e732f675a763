/* SPDX-License-Identifier: BSD-3-Clause */
#include "theory_points.h"

#include "eoc/layer_theory.h"
#include "eoc/spatial_theory.h"
#include "eoc/text.h"

#include <stdlib.h>

static int by_number(double x, double y)
{
    return x < y ? -1 : x > y;
}

static int by_maps(const void *a, const void *b)
{
    const eoc_theory_point *x = a, *y = b;
    const int orders[] = {x->in_theory - y->in_theory,
                          x->architecture - y->architecture,
                          x->activation - y->activation,
                          x->mirrored - y->mirrored,
                          x->taps - y->taps,
                          x->depth - y->depth,
                          by_number(x->lift, y->lift),
                          by_number(x->effective, y->effective),
                          by_number(x->bias_variance, y->bias_variance)};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (orders[i] != 0) {
            return orders[i];
        }
    }
    return 0;
}

static int by_maps_then_point(const void *a, const void *b)
{
    const eoc_theory_point *x = a, *y = b;
    const int order = by_maps(a, b);
    return order != 0 ? order : x->point < y->point ? -1 : x->point > y->point;
}

static eoc_unit unit_of_point(const eoc_sweep *sweep, int64_t point)
{
    const int replicas = sweep->grid.axes[EOC_AXIS_REPLICA].count;
    return eoc_grid_get(&sweep->grid, sweep->seed, point * replicas);
}

/* Marks each point with its group's first one; leaves out those that are computed already. Returns how many remain. */
static int64_t keep_wanted(eoc_theory_point *list, int64_t count, const uint16_t *theory_status)
{
    int64_t kept = 0, lead = 0;
    eoc_theory_point before = {.point = -1};
    for (int64_t i = 0; i < count; i++) {
        const eoc_theory_point here = list[i];
        lead = i == 0 || by_maps(&before, &here) != 0 ? here.point : lead;
        before = here;
        if (!theory_status || theory_status[here.point] & EOC_THEORY_NOT_COMPUTED) {
            list[kept] = here;
            list[kept++].lead = lead;
        }
    }
    return kept;
}

eoc_status eoc_theory_points_list(const eoc_sweep *sweep, const uint16_t *theory_status, eoc_theory_point **list,
                                  int64_t *count)
{
    const int64_t num_points = (int64_t)eoc_grid_num_points(&sweep->grid);
    *list = malloc(sizeof **list * (size_t)num_points);
    EOC_REQUIRE(*list, EOC_ERR_NOMEM, "out of memory for theory");
    for (int64_t point = 0; point < num_points; point++) {
        const eoc_unit u = unit_of_point(sweep, point);
        const double sum = eoc_network_effective(&u.network);
        const bool plain = eoc_network_in_theory(&u.network), other = !plain && eoc_layer_theory_covers(&u.network);
        const bool in_space = u.network.architecture.kind->geometry != NULL;
        (*list)[point] = (eoc_theory_point){.effective = eoc_text_round(sum),
                                            .bias_variance = u.network.bias_variance,
                                            .lift = other ? eoc_layer_theory_lift(&u.network) : 0.0,
                                            .architecture = u.indices[EOC_AXIS_ARCHITECTURE],
                                            .activation = u.indices[EOC_AXIS_ACTIVATION],
                                            .depth = other ? eoc_layer_theory_depth(&u.network) : 0,
                                            .mirrored = other && u.network.initializer.kind->mirrored,
                                            .taps = in_space ? u.indices[EOC_AXIS_INITIALIZER] : 0,
                                            .in_theory = plain || other || eoc_spatial_theory_covers(&u.network),
                                            .point = point};
    }
    qsort(*list, (size_t)num_points, sizeof **list, by_maps_then_point);
    *count = keep_wanted(*list, num_points, theory_status);
    return EOC_OK;
}

int64_t eoc_theory_points_group_end(const eoc_theory_point *list, int64_t count, int64_t from)
{
    int64_t end = from + 1;
    while (end < count && list[end].lead == list[from].lead) {
        end++;
    }
    return end;
}

static bool given_up(const eoc_host *host)
{
    return host && host->tick && host->tick(host->context);
}

eoc_status eoc_theory_points_write(const eoc_sweep *sweep, const eoc_layout *layout, int max_depth,
                                   const eoc_theory_point *group, int64_t count, eoc_store *store, void *block,
                                   const eoc_host *host)
{
    const eoc_network lead = unit_of_point(sweep, group[0].lead).network;
    eoc_prediction *prediction = NULL;
    EOC_TRY(eoc_prediction_create(&sweep->probe, &lead, max_depth, &prediction));
    eoc_status status = EOC_OK;
    for (int64_t i = 0; i < count && status == EOC_OK && !given_up(host); i++) {
        const eoc_network network = unit_of_point(sweep, group[i].point).network;
        eoc_point_record record;
        eoc_layout_point(layout, block, &record);
        status = eoc_prediction_fill(prediction, &network, layout, &record);
        if (status == EOC_OK) {
            status = eoc_store_write_point(store, group[i].point, block);
        }
    }
    eoc_prediction_destroy(&prediction);
    return status;
}
