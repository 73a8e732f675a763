/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of axes and unions of grids; what is expected is written out by hand. */
#include "check.h"

#include "eoc/part.h"

#include <string.h>

/* The eight axes with one value each. */
static eoc_grid small_grid(void)
{
    eoc_grid grid = {0};
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_status status = id == EOC_AXIS_ARCHITECTURE ? eoc_axis_add_name(&grid.axes[id], id, "fully_connected")
                                  : id == EOC_AXIS_ACTIVATION ? eoc_axis_add_name(&grid.axes[id], id, "tanh")
                                  : id == EOC_AXIS_INITIALIZER ? eoc_axis_add_name(&grid.axes[id], id, "gaussian")
                                                               : eoc_axis_add_value(&grid.axes[id], id, 1.0);
        assert_int_equal(status, EOC_OK);
    }
    return grid;
}

static void set_values(eoc_grid *grid, eoc_axis_id id, int count, const double *values)
{
    eoc_axis_clear(&grid->axes[id]);
    for (int i = 0; i < count; i++) {
        assert_int_equal(eoc_axis_add_value(&grid->axes[id], id, values[i]), EOC_OK);
    }
}

static void set_activations(eoc_grid *grid, int count, const char *const *names)
{
    eoc_axis_clear(&grid->axes[EOC_AXIS_ACTIVATION]);
    for (int i = 0; i < count; i++) {
        assert_int_equal(eoc_axis_add_name(&grid->axes[EOC_AXIS_ACTIVATION], EOC_AXIS_ACTIVATION, names[i]), EOC_OK);
    }
}

static void check_values(const eoc_axis *axis, int count, const double *values)
{
    assert_int_equal(axis->count, count);
    for (int i = 0; i < count; i++) {
        CHECK_NEAR(axis->values[i], values[i], 0.0);
    }
}

static void test_longest_axis(void **state)
{
    (void)state;
    eoc_grid grid = small_grid();
    assert_int_equal(eoc_grid_longest_axis(&grid, 0), EOC_AXIS_ARCHITECTURE); /* all equal: the first */
    set_values(&grid, EOC_AXIS_DEPTH, 3, (double[]){1, 2, 3});
    set_values(&grid, EOC_AXIS_REPLICA, 3, (double[]){0, 1, 2});
    assert_int_equal(eoc_grid_longest_axis(&grid, 0), EOC_AXIS_DEPTH);
    assert_int_equal(eoc_grid_longest_axis(&grid, 1u << EOC_AXIS_DEPTH), EOC_AXIS_REPLICA);
    assert_int_equal(eoc_grid_longest_axis(&grid, 1u), EOC_AXIS_DEPTH);
    eoc_grid_clear(&grid);
}

static void test_keep_every(void **state)
{
    (void)state;
    eoc_grid grid = small_grid();
    set_values(&grid, EOC_AXIS_DEPTH, 7, (double[]){10, 20, 30, 40, 50, 60, 70});
    eoc_axis_keep_every(&grid.axes[EOC_AXIS_DEPTH], 1, 3);
    check_values(&grid.axes[EOC_AXIS_DEPTH], 2, (double[]){20, 50});
    set_activations(&grid, 4, (const char *const[]){"tanh", "relu", "erf", "sin"});
    eoc_axis_keep_every(&grid.axes[EOC_AXIS_ACTIVATION], 0, 2);
    assert_int_equal(grid.axes[EOC_AXIS_ACTIVATION].count, 2);
    assert_string_equal(grid.axes[EOC_AXIS_ACTIVATION].names[0], "tanh");
    assert_string_equal(grid.axes[EOC_AXIS_ACTIVATION].names[1], "erf");
    eoc_grid_clear(&grid);
}

static void test_places(void **state)
{
    (void)state;
    eoc_grid a = small_grid(), b = small_grid();
    set_values(&a, EOC_AXIS_DEPTH, 4, (double[]){40, 10, 30, 20});
    set_values(&b, EOC_AXIS_DEPTH, 3, (double[]){20, 25, 40});
    int places[3];
    assert_int_equal(eoc_axis_places(&a.axes[EOC_AXIS_DEPTH], &b.axes[EOC_AXIS_DEPTH], places), EOC_OK);
    assert_int_equal(places[0], 3);
    assert_int_equal(places[1], -1);
    assert_int_equal(places[2], 0);
    eoc_grid_clear(&a);
    eoc_grid_clear(&b);
}

static void test_same_values(void **state)
{
    (void)state;
    eoc_grid a = small_grid(), b = small_grid();
    bool same = false;
    set_values(&a, EOC_AXIS_DEPTH, 3, (double[]){1, 2, 3});
    set_values(&b, EOC_AXIS_DEPTH, 3, (double[]){3, 1, 2});
    assert_int_equal(eoc_grid_same_values(&a, &b, &same), EOC_OK);
    assert_true(same);
    set_values(&b, EOC_AXIS_DEPTH, 3, (double[]){3, 1, 4});
    assert_int_equal(eoc_grid_same_values(&a, &b, &same), EOC_OK);
    assert_false(same);
    set_values(&b, EOC_AXIS_DEPTH, 2, (double[]){3, 1});
    assert_int_equal(eoc_grid_same_values(&a, &b, &same), EOC_OK);
    assert_false(same);
    eoc_grid_clear(&a);
    eoc_grid_clear(&b);
}

/* Numbers of two grids, and in which order the union has them; with the order of a third grid or without. */
static void test_union_of_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int counts[4];
        double a[4], b[4], order[6], wanted[6];
    } cases[] = {
        {"ascending", {3, 2, 0, 4}, {1, 3, 5}, {2, 3}, {0}, {1, 2, 3, 5}},
        {"descending", {3, 2, 0, 4}, {5, 3, 1}, {3, 2}, {0}, {5, 3, 2, 1}},
        {"one value does either", {1, 2, 0, 3}, {2}, {3, 1}, {0}, {3, 2, 1}},
        {"single values ascend", {1, 1, 0, 2}, {2}, {1}, {0}, {1, 2}},
        {"neither: as they appear", {3, 2, 0, 4}, {5, 1, 3}, {2, 3}, {0}, {5, 1, 3, 2}},
        {"one up, one down: as they appear", {2, 2, 0, 4}, {1, 3}, {4, 2}, {0}, {1, 3, 4, 2}},
        {"a given order", {2, 2, 6, 4}, {1, 3}, {2, 5}, {6, 3, 1, 5, 2, 4}, {3, 1, 5, 2}},
        {"an order that lacks a value", {2, 2, 3, 4}, {1, 3}, {2, 5}, {5, 3, 1}, {1, 2, 3, 5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_grid a = small_grid(), b = small_grid(), order = small_grid(), result;
        set_values(&a, EOC_AXIS_DEPTH, cases[i].counts[0], cases[i].a);
        set_values(&b, EOC_AXIS_DEPTH, cases[i].counts[1], cases[i].b);
        if (cases[i].counts[2]) {
            set_values(&order, EOC_AXIS_DEPTH, cases[i].counts[2], cases[i].order);
        }
        const eoc_grid *const grids[2] = {&a, &b};
        assert_int_equal(eoc_grid_union(grids, 2, cases[i].counts[2] ? &order : NULL, &result), EOC_OK);
        check_values(&result.axes[EOC_AXIS_DEPTH], cases[i].counts[3], cases[i].wanted);
        assert_int_equal(result.axes[EOC_AXIS_WIDTH].count, 1);
        eoc_grid_clear(&a);
        eoc_grid_clear(&b);
        eoc_grid_clear(&order);
        eoc_grid_clear(&result);
    }
}

static void test_union_of_names(void **state)
{
    (void)state;
    eoc_grid a = small_grid(), b = small_grid(), result;
    set_activations(&a, 2, (const char *const[]){"tanh", "erf"});
    set_activations(&b, 3, (const char *const[]){"sin", "tanh", "elu"});
    const eoc_grid *const grids[2] = {&a, &b};
    assert_int_equal(eoc_grid_union(grids, 2, NULL, &result), EOC_OK);
    static const char *const wanted[] = {"tanh", "erf", "sin", "elu"};
    assert_int_equal(result.axes[EOC_AXIS_ACTIVATION].count, 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(result.axes[EOC_AXIS_ACTIVATION].names[i], wanted[i]);
    }
    eoc_grid_clear(&a);
    eoc_grid_clear(&b);
    eoc_grid_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_axis),     cmocka_unit_test(test_keep_every),
        cmocka_unit_test(test_places),           cmocka_unit_test(test_same_values),
        cmocka_unit_test(test_union_of_numbers), cmocka_unit_test(test_union_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
