/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/generator.h"
#include "eoc/grid.h"
#include "eoc/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VALUES = 1000 };

/* -- generators -- */

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count;
        double values[8];
    } cases[] = {
        {"linspace(0, 1, 3)", 3, {0.0, 0.5, 1.0}},
        {" linspace ( 0.5 ,4.0,  1 ) ", 1, {0.5}},
        {"linspace(4, 0.5, 2)", 2, {4.0, 0.5}},
        {"linspace(0, 0.3, 4)", 4, {0.0, 0.1, 0.2, 0.3}},
        {"linspace(-0.1, 0.2, 4)", 4, {-0.1, 0.0, 0.1, 0.2}},
        {"linspace(-0.9, 0.6, 6)", 6, {-0.9, -0.6, -0.3, 0.0, 0.3, 0.6}},
        {"linspace(1, 1, 2)", 2, {1.0, 1.0}},
        {"linspace(0, 1, 2e0)", 2, {0.0, 1.0}},
        {"geomspace(1, 100, 3)", 3, {1.0, 10.0, 100.0}},
        {"geomspace(1e-6, 1, 7)", 7, {1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0}},
        {"geomspace(8, 1, 4)", 4, {8.0, 4.0, 2.0, 1.0}},
        {"range(0, 1, 0.25)", 5, {0.0, 0.25, 0.5, 0.75, 1.0}},
        {"range(0, 1, 0.3)", 4, {0.0, 0.3, 0.6, 0.9}},
        {"range(0, 0.6, 0.1)", 7, {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6}},
        {"range(-0.3, 0.3, 0.1)", 7, {-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3}},
        {"range(3, 1, -1)", 3, {3.0, 2.0, 1.0}},
        {"range(2, 2, 1)", 1, {2.0}},
        {"range(0, 0.9999, 1)", 1, {0.0}},
        {"square(linspace(0, 2, 3))", 3, {0.0, 1.0, 4.0}},
        {"square([0.5, 1, 3])", 3, {0.25, 1.0, 9.0}},
        {"square( [ 0.1 ] )", 1, {0.01}},
        {"square(range(1, 3, 1))", 3, {1.0, 4.0, 9.0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int count = 0;
        double *values = NULL;
        assert_true(eoc_generator_is_call(cases[i].text));
        if (eoc_generator_expand(cases[i].text, MAX_VALUES, &count, &values) != EOC_OK) {
            fail_msg("%s: %s", cases[i].text, eoc_status_why());
        }
        assert_int_equal(count, cases[i].count);
        for (int k = 0; k < count; k++) {
            if (values[k] != cases[i].values[k] || signbit(values[k]) != signbit(cases[i].values[k])) {
                fail_msg("%s: value %d is %.17g, not %.17g", cases[i].text, k, values[k], cases[i].values[k]);
            }
        }
        free(values);
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"linspace(0, 1, 0)", "at least 1, not 0; it is written linspace(a, b, n)"},
        {"linspace(0, 1, -3)", "at least 1, not -3"},
        {"linspace(0, 1, 2.5)", "a whole number, not 2.5"},
        {"linspace(0, 1, 1001)", "asks for 1001 values; at most 1000 are accepted"},
        {"linspace(0, 1, 1e300)", "at most 1000 are accepted"},
        {"linspace(0, 1)", "has 2 arguments; it is written linspace(a, b, n)"},
        {"linspace()", "has 0 arguments; it is written linspace(a, b, n)"},
        {"linspace(1)", "has 1 argument;"},
        {"range(0, 1, 0.1, 2)", "has 4 arguments; it is written range(a, b, step)"},
        {"linspace(0, nan, 3)", "'nan' in"},
        {"linspace(0, inf, 3)", "is not a finite number"},
        {"linspace(0, 1e999, 3)", "is not a finite number"},
        {"linspace(0, , 3)", "'' in"},
        {"linspace(0, 0x10, 3)", "'0x10' in"},
        {"linspace(-1.7e308, 1.7e308, 3", "parentheses do not balance"},
        {"linspace((0, 1, 3)", "parentheses do not balance"},
        {"linspace(0, 1, 3))", "text after the closing parenthesis"},
        {"linspace(0, 1, 3) + 1", "text after the closing parenthesis"},
        {"linspce(0, 1, 3)", "unknown generator 'linspce'; did you mean 'linspace'?"},
        {"arrange_these(0, 1, 3)", "unknown generator 'arrange_these'; known: linspace(a, b, n), geomspace"},
        {"geomspace(0, 1, 3)", "a and b must be above 0; it is written geomspace(a, b, n)"},
        {"geomspace(1, -1, 3)", "a and b must be above 0"},
        {"range(0, 1, 0)", "step must not be 0; it is written range(a, b, step)"},
        {"range(0, 1, -0.1)", "step has the wrong sign"},
        {"range(1, 0, 0.1)", "step has the wrong sign"},
        {"range(0, 1, 1e-300)", "at most 1000 are accepted"},
        {"range(-1.7e308, 1.7e308, 1)", "at most 1000 are accepted"},
        {"square(3)", "square takes a generator or a list"},
        {"square()", "square takes a generator or a list"},
        {"square(square(linspace(0, 1, 3)))", "unknown generator 'square'"},
        {"square([])", "an empty list in brackets"},
        {"square([1, two])", "'two' in '[1, two]'"},
        {"square([1, 2)", "bracket is not closed"},
        {"square(linspace(0, 1e200, 2))", "values are too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int count = 7;
        double *values = NULL;
        const eoc_status status = eoc_generator_expand(cases[i].text, MAX_VALUES, &count, &values);
        if (status != EOC_ERR_USAGE || !strstr(eoc_status_why(), cases[i].sentence)) {
            fail_msg("%s: '%s' instead of '%s'", cases[i].text, eoc_status_why(), cases[i].sentence);
        }
        assert_int_equal(count, 0);
        assert_null(values);
    }
}

static void test_is_call(void **state)
{
    (void)state;
    assert_false(eoc_generator_is_call("0.5"));
    assert_false(eoc_generator_is_call("linspace"));
    assert_false(eoc_generator_is_call("(1)"));
    assert_false(eoc_generator_is_call(""));
}

/* The spacing is right to the 12 digits that values keep, and the ends are what was written. */
static void test_long_linspace(void **state)
{
    (void)state;
    int count = 0;
    double *values = NULL;
    assert_int_equal(eoc_generator_expand("linspace(0.1, 0.7, 100001)", 1000000, &count, &values), EOC_OK);
    assert_true(values[0] == 0.1);
    assert_true(values[count - 1] == 0.7);
    for (int i = 0; i < count; i++) {
        assert_true(fabs(values[i] - (0.1 + 0.6 * i / 100000.0)) <= 1e-12);
    }
    free(values);
}

static void test_whole(void **state)
{
    (void)state;
    double values[] = {4.2, 1.0, -0.4, 1.4, 4.0, 0.3, 7.5};
    const double expected[] = {4.0, 1.0, 0.0, 8.0};
    assert_int_equal(eoc_generator_whole(values, 7), 4);
    assert_memory_equal(values, expected, sizeof expected);
    assert_int_equal(eoc_generator_whole(values, 0), 0);
}

/* -- axes -- */

static void test_axis_table(void **state)
{
    (void)state;
    static const char *const names[] = {"architecture", "activation",      "initializer",   "width",
                                        "depth",        "weight_variance", "bias_variance", "replica"};
    for (int id = 0; id < EOC_NUM_AXES; id++) {
        const eoc_axis_row *row = eoc_axis_row_of((eoc_axis_id)id);
        assert_string_equal(row->name, names[id]);
        assert_non_null(row->units);
        assert_non_null(row->long_name);
        assert_non_null(row->help);
        assert_true((row->type == EOC_AXIS_KIND) == (row->kinds != NULL));
        assert_true((row->fallback == NULL) == (id == EOC_AXIS_ACTIVATION || id == EOC_AXIS_WEIGHT_VARIANCE));
    }
}

static void test_axis_values(void **state)
{
    (void)state;
    static const struct {
        eoc_axis_id id;
        double value;
        bool good;
    } cases[] = {
        {EOC_AXIS_DEPTH, 1.0, true},
        {EOC_AXIS_DEPTH, 1e6, true},
        {EOC_AXIS_DEPTH, 0.0, false},
        {EOC_AXIS_DEPTH, 1000001.0, false},
        {EOC_AXIS_DEPTH, 2.5, false},
        {EOC_AXIS_WIDTH, 1e8, true},
        {EOC_AXIS_WIDTH, 1e8 + 1, false},
        {EOC_AXIS_WEIGHT_VARIANCE, 0.0, true},
        {EOC_AXIS_WEIGHT_VARIANCE, 1e6, true},
        {EOC_AXIS_WEIGHT_VARIANCE, -1e-9, false},
        {EOC_AXIS_WEIGHT_VARIANCE, 1000000.1, false},
        {EOC_AXIS_BIAS_VARIANCE, NAN, false},
        {EOC_AXIS_BIAS_VARIANCE, INFINITY, false},
        {EOC_AXIS_REPLICA, 0.0, true},
        {EOC_AXIS_REPLICA, 1e9, true},
        {EOC_AXIS_REPLICA, -1.0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_axis axis = {0};
        const eoc_status status = eoc_axis_add_value(&axis, cases[i].id, cases[i].value);
        assert_int_equal(status, cases[i].good ? EOC_OK : EOC_ERR_USAGE);
        assert_int_equal(axis.count, cases[i].good ? 1 : 0);
        eoc_axis_clear(&axis);
    }
    eoc_axis axis = {0};
    assert_int_equal(eoc_axis_add_value(&axis, EOC_AXIS_BIAS_VARIANCE, 0.1 + 0.2), EOC_OK);
    assert_int_equal(eoc_axis_add_value(&axis, EOC_AXIS_BIAS_VARIANCE, -0.0), EOC_OK);
    assert_true(axis.values[0] == 0.3);
    assert_false(signbit(axis.values[1]));
    eoc_axis_clear(&axis);
}

static void test_axis_names(void **state)
{
    (void)state;
    eoc_axis axis = {0};
    int which = -1;
    assert_int_equal(eoc_axis_add_name(&axis, EOC_AXIS_ACTIVATION, " leaky_relu( slope = 0.20 ) "), EOC_OK);
    assert_int_equal(eoc_axis_add_name(&axis, EOC_AXIS_ACTIVATION, "leaky_relu(slope=0.01)"), EOC_OK);
    assert_string_equal(axis.names[0], "leaky_relu(slope=0.2)");
    assert_string_equal(axis.names[1], "leaky_relu");
    assert_int_equal(eoc_axis_add_name(&axis, EOC_AXIS_ACTIVATION, "tahn"), EOC_ERR_UNKNOWN);
    assert_int_equal(eoc_axis_check_duplicates(&axis, &which), EOC_OK);
    assert_int_equal(eoc_axis_add_name(&axis, EOC_AXIS_ACTIVATION, "leaky_relu(slope=2e-1)"), EOC_OK);
    assert_int_equal(eoc_axis_check_duplicates(&axis, &which), EOC_ERR_USAGE);
    assert_int_equal(which, 2);
    assert_non_null(strstr(eoc_status_why(), "leaky_relu(slope=0.2) is there twice"));
    eoc_axis_clear(&axis);
    assert_null(axis.names);
}

/* A million values, in no order: quadratic work would take hours. */
static void test_axis_is_not_quadratic(void **state)
{
    (void)state;
    enum { COUNT = 1000000, STRIDE = 399989 }; /* prime to COUNT: every value once */
    eoc_axis axis = {0};
    int which = -1;
    for (int64_t i = 0; i < COUNT; i++) {
        assert_int_equal(eoc_axis_add_value(&axis, EOC_AXIS_REPLICA, (double)(i * STRIDE % COUNT)), EOC_OK);
    }
    assert_int_equal(eoc_axis_check_duplicates(&axis, &which), EOC_OK);
    assert_int_equal(eoc_axis_add_value(&axis, EOC_AXIS_REPLICA, 5.0), EOC_OK);
    assert_int_equal(eoc_axis_check_duplicates(&axis, &which), EOC_ERR_USAGE);
    assert_int_equal(which, COUNT);
    eoc_axis_clear(&axis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_is_call),
        cmocka_unit_test(test_long_linspace),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_axis_table),
        cmocka_unit_test(test_axis_values),
        cmocka_unit_test(test_axis_names),
        cmocka_unit_test(test_axis_is_not_quadratic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
