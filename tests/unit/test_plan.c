/* SPDX-License-Identifier: BSD-3-Clause */
/* Grid, keys, records and the plan: all that decides who does what, without MPI. */
#include "check.h"

#include "eoc/plan.h"
#include "eoc/record.h"
#include "eoc/sweep.h"
#include "eoc/text.h"

#include <stdlib.h>
#include <string.h>

static eoc_sweep sweep_of(const char *const *sets, int count)
{
    eoc_sweep sweep = {0};
    eoc_text errors = {0};
    if (eoc_config_read("-", sets, count, &sweep, &errors) != EOC_OK) {
        fail_msg("%s", errors.data);
    }
    eoc_text_clear(&errors);
    return sweep;
}

static const char *const mixed[] = {"grid.activation=tanh,relu", "grid.width=10,100", "grid.depth=5,50,500",
                                    "grid.weight_variance=linspace(1, 2, 5)", "grid.replica=3"};

/* Indices and unit numbers are each other's inverse, replica fastest. */
static void indices(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    const int64_t units = (int64_t)eoc_grid_num_units(&sweep.grid);
    assert_int_equal(units, 2 * 2 * 3 * 5 * 3);
    for (int64_t unit = 0; unit < units; unit++) {
        int i[EOC_NUM_AXES];
        eoc_grid_indices(&sweep.grid, unit, i);
        assert_int_equal(eoc_grid_unit(&sweep.grid, i), unit);
        assert_int_equal(i[EOC_AXIS_REPLICA], unit % 3);
    }
    eoc_sweep_clear(&sweep);
}

/* A unit's key is that of its own values: the same network in any grid that holds it, another one for any other value.
 */
static void keys(void **state)
{
    (void)state;
    static const char *const alone[] = {"grid.activation=relu", "grid.width=100", "grid.depth=50",
                                        "grid.weight_variance=1.25", "grid.replica=[2]"};
    eoc_sweep large = sweep_of(mixed, 5), small = sweep_of(alone, 5);
    const eoc_unit wanted = eoc_grid_get(&small.grid, small.seed, 0);
    char text[EOC_UNIT_TEXT_BYTES];
    assert_string_equal(eoc_grid_unit_text(&small.grid, 1, 0, text),
                        "seed=1 architecture=fully_connected activation=relu initializer=gaussian width=100 depth=50 "
                        "weight_variance=1.25 bias_variance=0 replica=2");
    int same = 0;
    for (int64_t unit = 0; unit < (int64_t)eoc_grid_num_units(&large.grid); unit++) {
        const eoc_unit u = eoc_grid_get(&large.grid, large.seed, unit);
        const bool is_it =
            u.network.key.word[0] == wanted.network.key.word[0] && u.network.key.word[1] == wanted.network.key.word[1];
        same += is_it;
        assert_int_equal(is_it, u.network.width == 100 && u.network.depth == 50 && u.network.weight_variance == 1.25 &&
                                    u.replica == 2 && strcmp(u.network.activation.kind->name, "relu") == 0);
    }
    assert_int_equal(same, 1);
    eoc_sweep_clear(&large);
    eoc_sweep_clear(&small);
}

/* Every pending unit is in exactly one slice, no slice leaves its cell, on any number of ranks, shuffled or not. */
static void coverage(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    const int64_t units = (int64_t)eoc_grid_num_units(&sweep.grid);
    int8_t *status = calloc((size_t)units, 1);
    for (int64_t unit = 0; unit < units; unit++) {
        status[unit] = (int8_t)(unit * 7 % 5); /* all five states, mixed */
    }
    static const int ranks[] = {1, 2, 3, 17, 1000};
    for (int with_status = 0; with_status < 2; with_status++) {
        for (uint64_t shuffle = 0; shuffle < 2; shuffle++) {
            for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
                eoc_plan plan;
                assert_int_equal(
                    eoc_plan_create(&sweep.grid, &sweep.probe, with_status ? status : NULL, ranks[i], shuffle, &plan),
                    EOC_OK);
                int *seen = calloc((size_t)units, sizeof *seen);
                int64_t pending = 0;
                for (int64_t s = 0; s < plan.num_slices; s++) {
                    const eoc_slice *slice = &plan.slices[s];
                    assert_true(slice->rank >= 0 && slice->rank < ranks[i]);
                    assert_int_equal(slice->first / 15,
                                     (slice->end - 1) / 15); /* 5 weight variances x 3 replicas a cell */
                    for (int64_t unit = slice->first; unit < slice->end; unit++) {
                        seen[unit]++;
                    }
                    pending += slice->pending;
                }
                int64_t wanted = 0;
                for (int64_t unit = 0; unit < units; unit++) {
                    const int to_do = !with_status || eoc_plan_is_pending(status[unit]);
                    wanted += to_do;
                    assert_true(seen[unit] <= 1 && seen[unit] >= to_do);
                }
                assert_int_equal(pending, wanted);
                assert_int_equal(plan.num_pending, wanted);
                free(seen);
                eoc_plan_clear(&plan);
            }
        }
    }
    free(status);
    eoc_sweep_clear(&sweep);
}

/* Balance: the fullest rank has at most a slice more than the average, and LPT is within 4/3 of the best (Graham 1969).
 */
static void balance(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    for (int ranks = 1; ranks <= 16; ranks *= 2) {
        eoc_plan plan;
        assert_int_equal(eoc_plan_create(&sweep.grid, &sweep.probe, NULL, ranks, 0, &plan), EOC_OK);
        double dearest = 0.0, sum = 0.0;
        for (int64_t s = 0; s < plan.num_slices; s++) {
            dearest = fmax(dearest, plan.slices[s].seconds);
            sum += plan.slices[s].seconds;
        }
        CHECK_RELATIVE(sum, plan.seconds, 1e-12);
        assert_true(plan.makespan <= 4.0 / 3.0 * fmax(plan.seconds / ranks, dearest));
        eoc_plan_clear(&plan);
    }
    eoc_sweep_clear(&sweep);
}

/* Rows of a record do not overlap, are aligned for doubles, and every included variable has its pointer. */
static void records(void **state)
{
    (void)state;
    int layers[3] = {1, 5, 9};
    for (unsigned statistics = 1; statistics <= 3; statistics++) {
        eoc_layout layout;
        assert_int_equal(eoc_layout_create(statistics, layers, 3, 5, &layout), EOC_OK);
        for (int scope = 0; scope < 2; scope++) {
            const size_t total = scope == EOC_PER_UNIT ? layout.unit_bytes : layout.point_bytes;
            unsigned char *used = calloc(total, 1);
            for (int row = 0; row < eoc_variable_count(); row++) {
                const eoc_variable *v = eoc_variable_row(row);
                assert_true(v->long_name && v->units && strcmp(v->units, "seconds") != 0);
                if ((int)v->scope == scope && layout.included[row]) {
                    assert_int_equal(layout.offset[row] % 8, 0);
                    for (size_t i = 0; i < eoc_type_bytes(v->type) * eoc_layout_row_count(&layout, v); i++) {
                        assert_int_equal(used[layout.offset[row] + i]++, 0);
                    }
                }
            }
            free(used);
        }
        unsigned char *block = calloc(layout.unit_bytes, 1);
        eoc_unit_record record;
        eoc_layout_unit(&layout, block, &record);
        assert_non_null(record.status);
        assert_int_equal(record.probe.log_q != NULL, (statistics & EOC_STATISTIC_FORWARD) != 0);
        assert_int_equal(record.probe.gradient_c != NULL, (statistics & EOC_STATISTIC_GRADIENT) != 0);
        free(block);
        eoc_layout_clear(&layout);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indices), cmocka_unit_test(keys),    cmocka_unit_test(coverage),
        cmocka_unit_test(balance), cmocka_unit_test(records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
