/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* -- reading a text as a sweep file -- */

enum { MAX_SETS = 4 };

static char path[512];

static int make_path(void **state)
{
    (void)state;
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/eoc_config_XXXXXX", folder && *folder ? folder : "/tmp");
    const int descriptor = mkstemp(path);
    return descriptor < 0 || close(descriptor) != 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_bytes(const char *bytes, size_t num_bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, num_bytes, file), num_bytes);
    assert_int_equal(fclose(file), 0);
}

static eoc_status read_text(const char *text, const char *const sets[MAX_SETS], eoc_sweep *sweep, eoc_text *errors)
{
    int num_sets = 0;
    while (sets && num_sets < MAX_SETS && sets[num_sets]) {
        num_sets++;
    }
    if (text) {
        write_bytes(text, strlen(text));
    }
    return eoc_config_read(text ? path : "-", sets, num_sets, sweep, errors);
}

/* Every line of `text` without the path before it, so that cases need not know it. */
static char *without_path(const eoc_text *text)
{
    char *out = eoc_text_copy(text->data ? text->data : "", text->length);
    for (char *at = strstr(out, path); at; at = strstr(at, path)) {
        memmove(at, at + strlen(path), strlen(at + strlen(path)) + 1);
    }
    return out;
}

typedef struct {
    const char *text; /* NULL: no file */
    const char *sets[MAX_SETS];
    const char *expected[5]; /* lines of the answer, in order; each given up to where it is of interest */
} refusal;

static int count_lines(const char *text)
{
    int lines = *text != '\0';
    for (; *text; text++) {
        lines += *text == '\n';
    }
    return lines;
}

/* Exactly the expected lines, in their order: each starts with ':line:column: key: ' or '--set ...' and goes on as
 * expected. */
static void check_refusal(const refusal *c)
{
    eoc_sweep sweep;
    eoc_text errors = {0};
    const eoc_status status = read_text(c->text, c->sets, &sweep, &errors);
    if (status != EOC_ERR_USAGE) {
        fail_msg("accepted: %s", c->text ? c->text : c->sets[0]);
    }
    char *found = without_path(&errors);
    int num_expected = 0;
    const char *line = found;
    for (; num_expected < 5 && c->expected[num_expected]; num_expected++) {
        const char *expected = c->expected[num_expected];
        if (!line || strncmp(line, expected, strlen(expected)) != 0) {
            fail_msg("%s\nfound:\n%s\nexpected line %d:\n%s", c->text ? c->text : "", found, num_expected + 1,
                     expected);
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (count_lines(found) != num_expected) {
        fail_msg("%s\nfound:\n%s\nexpected %d lines", c->text ? c->text : "", found, num_expected);
    }
    assert_null(sweep.title);
    assert_int_equal(sweep.grid.axes[EOC_AXIS_ACTIVATION].count, 0);
    free(found);
    eoc_text_clear(&errors);
}

#define CHECK_REFUSALS(cases)                                          \
    for (size_t i_ = 0; i_ < sizeof(cases) / sizeof(cases)[0]; i_++) { \
        check_refusal(&(cases)[i_]);                                   \
    }

static char *resolved(const eoc_sweep *sweep, int identity_only)
{
    eoc_text text = {0};
    eoc_config_resolved(sweep, identity_only, &text);
    return text.data;
}

/* The resolved sweep of an accepted text; the caller frees it. */
static char *accept(const char *text, const char *const sets[MAX_SETS])
{
    eoc_sweep sweep;
    eoc_text errors = {0};
    if (read_text(text, sets, &sweep, &errors) != EOC_OK) {
        fail_msg("%s\nrefused:\n%s", text ? text : sets[0], errors.data);
    }
    assert_int_equal(errors.length, 0);
    char *out = resolved(&sweep, 0);
    eoc_sweep_clear(&sweep);
    return out;
}

/* That `line` is one of the resolved sweep. */
static void check_line(const char *text, const char *const sets[MAX_SETS], const char *line)
{
    char *out = accept(text, sets);
    eoc_text wanted = {0};
    eoc_text_append(&wanted, "%s\n", line);
    if (!strstr(out, wanted.data)) {
        fail_msg("%s\nno line '%s' in\n%s", text ? text : sets[0], line, out);
    }
    eoc_text_clear(&wanted);
    free(out);
}

#define AT "grid:\n  activation: tanh\n  weight_variance: 1\n" /* all that is needed; what follows is line 4 */

/* -- what is accepted -- */

static const char GOOD[] = "# a comment\n"
                           "title: \"tanh: a \\\"phase\\\" diagram\"\n"
                           "seed: 7\n"
                           "output: out/tanh.h5\n"
                           "grid:\n"
                           "  architecture: fully_connected\n"
                           "  depth: [5, 10]\n"
                           "  width: &w [300, 1e3]\n"
                           "  activation: [tanh, leaky_relu(slope=0.2)]\n"
                           "  initializer: [gaussian, orthogonal]\n"
                           "  weight_variance: linspace(0.5, 2.0, 4)\n"
                           "  bias_variance:\n"
                           "    - 0.05\n"
                           "    - '0.1'\n"
                           "  replica: 3\n"
                           "probe:\n"
                           "  inputs: {kind: pair, correlation: 0.6, variance: 1.0}\n"
                           "  statistics: [gradient, forward]\n"
                           "  sampler: auto\n"
                           "  layers: log 20\n";

static const char GOOD_RESOLVED[] = "title: \"tanh: a \\\"phase\\\" diagram\"\n"
                                    "seed: 7\n"
                                    "output: \"out/tanh.h5\"\n"
                                    "grid:\n"
                                    "  architecture: [fully_connected]\n"
                                    "  activation: [tanh, leaky_relu(slope=0.2)]\n"
                                    "  initializer: [gaussian, orthogonal]\n"
                                    "  width: [300, 1000]\n"
                                    "  depth: [5, 10]\n"
                                    "  weight_variance: [0.5, 1, 1.5, 2]\n"
                                    "  bias_variance: [0.05, 0.1]\n"
                                    "  replica: [0, 1, 2]\n"
                                    "probe:\n"
                                    "  inputs:\n"
                                    "    kind: pair\n"
                                    "    correlation: 0.6\n"
                                    "    variance: 1\n"
                                    "  statistics: [forward, gradient]\n"
                                    "  sampler: auto\n"
                                    "  layers: log 20\n";

static void test_good_file(void **state)
{
    (void)state;
    char *out = accept(GOOD, NULL);
    assert_string_equal(out, GOOD_RESOLVED);
    free(out);
}

static void test_fields(void **state)
{
    (void)state;
    eoc_sweep sweep;
    eoc_text errors = {0};
    assert_int_equal(read_text(GOOD, NULL, &sweep, &errors), EOC_OK);
    assert_string_equal(sweep.title, "tanh: a \"phase\" diagram");
    assert_string_equal(sweep.output, "out/tanh.h5");
    assert_int_equal(sweep.seed, 7);
    assert_int_equal(sweep.grid.axes[EOC_AXIS_WEIGHT_VARIANCE].count, 4);
    assert_true(sweep.grid.axes[EOC_AXIS_WEIGHT_VARIANCE].values[2] == 1.5);
    assert_string_equal(sweep.probe.inputs.kind->name, "pair");
    assert_true(sweep.probe.inputs.correlation == 0.6);
    assert_false(sweep.probe.inputs.fixed_point);
    assert_int_equal(sweep.probe.statistics, EOC_STATISTIC_FORWARD | EOC_STATISTIC_GRADIENT);
    assert_null(sweep.probe.sampler);
    assert_int_equal(sweep.probe.layers.rule, EOC_LAYERS_LOG);
    assert_int_equal(sweep.probe.layers.number, 20);
    char *identity = resolved(&sweep, 1);
    assert_null(strstr(identity, "title"));
    assert_null(strstr(identity, "output"));
    assert_memory_equal(identity, "seed: 7\n", 8);
    free(identity);
    eoc_sweep_clear(&sweep);
    eoc_sweep_clear(&sweep);
}

static void test_defaults(void **state)
{
    (void)state;
    char *out = accept(AT, NULL);
    assert_string_equal(
        out, "title: \"\"\nseed: 1\ngrid:\n  architecture: [fully_connected]\n  activation: [tanh]\n"
             "  initializer: [gaussian]\n  width: [1000]\n  depth: [50]\n  weight_variance: [1]\n"
             "  bias_variance: [0]\n  replica: [0]\nprobe:\n  inputs:\n    kind: pair\n    correlation: 0.6\n"
             "    variance: 1\n  statistics: [forward, gradient]\n  sampler: auto\n  layers: all\n");
    free(out);
}

static void test_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        GOOD,
        AT,
        AT "probe:\n  inputs: circle\n  layers: every 3\n",
        AT "probe:\n  inputs: {kind: dataset, dataset: ' - [a]: ''b'' # \\ \"c\"', points: 3}\n",
        AT "probe:\n  inputs: dataset\ntrain: {dataset: 'a: b'}\n",
        AT "probe:\n  inputs: {kind: single, variance: fixed_point}\n",
        AT "title: \"a\\tb\\n c \\\\ \\x01 \\u2028\\uFEFF\\N \xc3\xa9 \xf0\x9f\x98\x80 # : - [ ' \"\n",
        AT "title: 'true'\n",
        AT "title: ''\noutput: ' spaces '\n",
        AT "  bias_variance: [1e-300, 123456.789012, 0.1, 1e-7]\n",
        AT "  width: geomspace(2, 1e8, 30)\n  replica: [1000000000, 7]\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *first = accept(texts[i], NULL);
        char *second = accept(first, NULL);
        assert_string_equal(first, second);
        free(first);
        free(second);
    }
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line;
    } cases[] = {
        {AT "  depth: 1e3\n", "  depth: [1000]"},
        {AT "  depth: '12'\n", "  depth: [12]"},
        {AT "  depth: +5\n", "  depth: [5]"},
        {AT "  depth: 2.0\n", "  depth: [2]"},
        {AT "  depth: linspace(1, 4, 7)\n",
         "  depth: [1, 2, 3, 4]"}, /* halves are rounded away from zero, then dropped */
        {AT "  depth: [range(1, 3, 1), 10]\n", "  depth: [1, 2, 3, 10]"},
        {AT "  depth: [10, geomspace(1, 8, 4), 5]\n", "  depth: [10, 1, 2, 4, 8, 5]"},
        {AT "  depth: square([1, 2, -2])\n", "  depth: [1, 4]"},
        {AT "  depth:\n    - linspace(1, 2, 2)\n    - 7\n", "  depth: [1, 2, 7]"},
        {AT "  bias_variance: [linspace(0, 0.3, 4), square(range(1, 2, 1))]\n",
         "  bias_variance: [0, 0.1, 0.2, 0.3, 1, 4]"},
        {AT "  bias_variance: 0.30000000000000004\n", "  bias_variance: [0.3]"},
        {AT "  bias_variance: -0.0\n", "  bias_variance: [0]"},
        {AT "  replica: 3\n", "  replica: [0, 1, 2]"},
        {AT "  replica: [3]\n", "  replica: [3]"},
        {AT "  replica: [2, 0]\n", "  replica: [2, 0]"},
        {AT "  replica: range(2, 6, 2)\n", "  replica: [2, 4, 6]"},
        {AT "seed: 9223372036854775807\n", "seed: 9223372036854775807"},
        {AT "seed: 1e6\n", "seed: 1000000"},
        {AT "title: 5\n", "title: \"5\""},
        {AT "probe: {inputs: circle}\n", "    points: 64"},
        {AT "probe: {inputs: {kind: circle, points: 8}}\n", "    points: 8"},
        {AT "probe: {inputs: {variance: fixed_point}}\n", "    variance: fixed_point"},
        {AT "probe: {inputs: {correlation: -1}}\n", "    correlation: -1"},
        {AT "probe: {inputs: dataset}\n", "    dataset: mnist10k"},
        {AT "probe: {inputs: dataset}\n", "    preprocessing: unit_variance"},
        {AT "probe: {inputs: dataset}\n", "    variance: preprocessed"},
        {AT "probe: {inputs: {kind: dataset, variance: preprocessed}}\n", "    variance: preprocessed"},
        {AT "probe: {inputs: {kind: dataset, variance: 2}}\n", "    variance: 2"},
        {AT "probe: {inputs: {kind: dataset, variance: fixed_point}}\n", "    variance: fixed_point"},
        {AT "probe: {inputs: {kind: dataset, dataset: ../a b.h5}}\n", "    dataset: ../a b.h5"},
        {AT "probe: {inputs: {kind: dataset, dataset: 'a: \"b\\c\" # d'}}\n", "    dataset: \"a: \\\"b\\\\c\\\" # d\""},
        {AT "probe: {inputs: {kind: dataset, dataset: 'null'}}\n", "    dataset: \"null\""},
        {AT "probe: {inputs: {kind: dataset, dataset: gaussian_classes(features=70)}}\n",
         "    dataset: gaussian_classes(features=70)"},
        {AT "probe: {statistics: forward}\n", "  statistics: [forward]"},
        {AT "probe: {sampler: explicit}\n", "  sampler: explicit"},
        {AT "probe: {layers: every   4}\n", "  layers: every 4"},
        {"grid: {activation: leaky_relu(slope=0.5), weight_variance: linspace(0, 1, 3), depth: 3}\n",
         "  weight_variance: [0, 0.5, 1]"},
        {"grid: {weight_variance: linspace(0, 1, 3), activation: tanh}", "  activation: [tanh]"},
        {"grid: {activation: tanh, weight_variance: &a [1, 2], bias_variance: *a}\n", "  bias_variance: [1, 2]"},
        {"grid: {activation: tanh, weight_variance: [&a 1, 2], bias_variance: [*a, 3]}\n", "  bias_variance: [1, 3]"},
        {"%YAML 1.1\n---\n" AT "...\n", "  activation: [tanh]"},
        {"\xef\xbb\xbf" AT, "  activation: [tanh]"},
        {"grid:\r\n  activation: tanh\r\n  weight_variance: 1\r\n", "  activation: [tanh]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_line(cases[i].text, NULL, cases[i].line);
    }
}

/* -- what is refused -- */

static void test_bad_keys(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {AT "  dept: 3\n", {0}, {":4:3: grid.dept: unknown key; did you mean grid.depth?"}},
        {AT "depth: 3\n", {0}, {":4:1: depth: unknown key; did you mean grid.depth?"}},
        {AT "  seed: 3\n", {0}, {":4:3: grid.seed: unknown key; did you mean seed?"}},
        {AT "kind: pair\n", {0}, {":4:1: kind: unknown key; did you mean probe.inputs.kind?"}},
        {AT "inputs: {kind: pair}\n", {0}, {":4:1: inputs: unknown key; did you mean probe.inputs?"}},
        {AT "train: {steps: 0}\n", {0}, {":4:16: train.steps: '0' is out of range"}},
        {AT "train: {loss: hinge}\n", {0}, {":4:15: train.loss: unknown loss 'hinge'; known: cross_entropy, mse"}},
        {AT "train: {learning_rate: [0.1, 0.1]}\n", {0}, {":4:30: train.learning_rate: 0.1 is there twice"}},
        {AT "train: {threshold: accuracy 2}\n", {0}, {":4:20: train.threshold: '2' is out of range"}},
        {AT "train: {threshold: 0.9}\n", {0}, {":4:20: train.threshold: '0.9' is no threshold; accepted: accuracy"}},
        {AT "train: {optimizer: momentum(momentum=1)}\n", {0}, {":4:20: train.optimizer: "}},
        {AT "train: {dataset: gausian_classes()}\n", {0}, {":4:18: train.dataset: "}},
        {AT "train: [mnist10k]\n", {0}, {":4:8: train: a list where a section belongs"}},
        {AT "probe: {statistics: none}\n", {0}, {":4:21: probe.statistics: none leaves nothing to be done"}},
        {AT "zebrafish_count: 3\n",
         {0},
         {":4:1: zebrafish_count: unknown key; known here: title, seed, output, grid, probe, train"}},
        {AT "grid.depth: 3\n", {0}, {":4:1: grid.depth: a dot in a key"}},
        {AT "<<: {seed: 1}\n", {0}, {":4:1: <<: merge keys are not read"}},
        {AT "? [a]\n: 3\n", {0}, {":4:3: a key must be a word"}},
        {AT "'': 3\n", {0}, {":4:1: a key must be a word"}},
        {AT "  activation: relu\n", {0}, {":4:3: grid.activation: this key is there twice"}},
        {AT "grid: {depth: 3}\n", {0}, {":4:1: grid: this key is there twice"}},
        {"seed: 1\nseed: 2\n" AT, {0}, {":2:1: seed: this key is there twice"}},
        {AT "seed:\n", {0}, {":4:6: seed: no value; accepted: a whole number from 0 to 9223372036854775807"}},
        {AT "title: ~\n", {0}, {":4:8: title: no value; accepted: a text"}},
        {AT "  depth: null\n", {0}, {":4:10: grid.depth: no value; accepted: a whole number from 1"}},
        {AT "probe:\n", {0}, {":4:7: probe: no value where a section belongs"}},
        {AT "probe: 3\n", {0}, {":4:8: probe: a single value where a section belongs"}},
        {AT "probe: [3]\n", {0}, {":4:8: probe: a list where a section belongs"}},
        {AT "probe: {inputs: [pair]}\n", {0}, {":4:17: probe.inputs: a list where a section belongs"}},
        {"grid: 3\n", {0}, {":1:7: grid: a single value where a section belongs"}},
        {AT "seed: [1]\n", {0}, {":4:7: seed: a list where one value belongs; accepted: a whole number"}},
        {AT "seed: {a: 1}\n", {0}, {":4:7: seed: a mapping where a value belongs; accepted: a whole number"}},
        {AT "  depth: {a: 1}\n", {0}, {":4:10: grid.depth: a mapping where a value belongs"}},
        {AT "  depth: []\n", {0}, {":4:10: grid.depth: an empty list; accepted: "}},
        {AT "  depth: [1, [2]]\n", {0}, {":4:14: grid.depth: a list inside a list"}},
        {AT "  depth: [1, {a: 2}]\n", {0}, {":4:14: grid.depth: a mapping inside a list"}},
        {AT "  depth: &d [1, *d]\n", {0}, {":4:17: grid.depth: a list inside a list"}},
        {AT "probe: &p {inputs: *p}\n", {0}, {":4:12: probe.inputs.inputs: unknown key"}},
        {"seed: 1\n",
         {0},
         {": grid.activation: must be given, it has no default; accepted: linear, relu",
          ": grid.weight_variance: must be given, it has no default; accepted: a number from 0 to 1000000, a list"}},
        {"{}\n", {0}, {": grid.activation: must be given", ": grid.weight_variance: must be given"}},
    };
    CHECK_REFUSALS(cases);
}

static void test_bad_values(void **state)
{
    (void)state;
    /* What is no number must not become one. */
    static const char *const no_numbers[] = {"NaN",   ".nan", "nan",  "inf",   ".inf",  "-inf", "0x10",  "1_000",
                                             "'1,5'", "''",   "true", "yes",   "abc",   "1e",   "1e999", "5 6",
                                             "--5",   "0o7",  "'5 '", "1.2.3", "12abc", "'\\0'"};
    for (size_t i = 0; i < sizeof no_numbers / sizeof no_numbers[0]; i++) {
        eoc_text text = {0};
        eoc_text_append(&text, AT "  bias_variance: %s\n", no_numbers[i]);
        const refusal c = {text.data, {0}, {":4:18: grid.bias_variance: '"}};
        check_refusal(&c);
        eoc_text_clear(&text);
        eoc_text_append(&text, AT "probe: {inputs: {correlation: %s}}\n", no_numbers[i]);
        const refusal d = {text.data, {0}, {":4:31: probe.inputs.correlation: '"}};
        check_refusal(&d);
        eoc_text_clear(&text);
    }
    static const refusal cases[] = {
        {AT "  depth: 2.5\n",
         {0},
         {":4:10: grid.depth: 2.5 is not a whole number; accepted: whole numbers from 1 to 1000000"}},
        {AT "  depth: 0\n", {0}, {":4:10: grid.depth: 0 is out of range; accepted: whole numbers from 1 to 1000000"}},
        {AT "  depth: [1, 2000000]\n", {0}, {":4:14: grid.depth: 2000000 is out of range"}},
        {AT "  width: 1e9\n", {0}, {":4:10: grid.width: 1000000000 is out of range"}},
        {AT "  width: [5, 1]\n",
         {0},
         {":4:14: grid.width: 1 is too narrow for inputs of kind pair; accepted: widths of at least 2"}},
        {AT "  bias_variance: -1\n", {0}, {":4:18: grid.bias_variance: -1 is out of range; accepted: numbers from 0"}},
        {AT "  bias_variance: [1, 2, 1.0]\n", {0}, {":4:25: grid.bias_variance: 1 is there twice"}},
        {AT "  bias_variance: [0.5, linspace(0, 1, 3)]\n", {0}, {":4:24: grid.bias_variance: 0.5 is there twice"}},
        {AT "  bias_variance: linspace(0, 1, 0)\n",
         {0},
         {":4:18: grid.bias_variance: 'linspace(0, 1, 0)': n is how many"}},
        {AT "  bias_variance: linspace(0, 1, 1e12)\n",
         {0},
         {":4:18: grid.bias_variance: 'linspace(0, 1, 1e12)' asks for"}},
        {AT "  bias_variance: linspace(-1, 1, 3)\n", {0}, {":4:18: grid.bias_variance: -1 is out of range"}},
        {AT "  bias_variance: linspce(0, 1, 3)\n",
         {0},
         {":4:18: grid.bias_variance: unknown generator 'linspce'; did you mean"}},
        {AT "  bias_variance: [linspace(0, 1, 3]\n",
         {0},
         {":4:19: grid.bias_variance: 'linspace(0, 1, 3': the parentheses"}},
        {AT "  replica: 0\n", {0}, {":4:12: grid.replica: '0' is not a number of replicas"}},
        {AT "  replica: 1.5\n", {0}, {":4:12: grid.replica: '1.5' is not a number of replicas"}},
        {AT "  replica: 1e9\n", {0}, {":4:12: grid.replica: '1e9' is not a number of replicas"}},
        {AT "  replica: x\n", {0}, {":4:12: grid.replica: 'x' is not a finite decimal number"}},
        {AT "  replica: [-1]\n", {0}, {":4:13: grid.replica: -1 is out of range"}},
        {AT "  initializer: gausian\n",
         {0},
         {":4:16: grid.initializer: unknown initializer 'gausian'; did you mean 'gaussian'?"}},
        {AT "  initializer: [gaussian, uniform, gaussian]\n",
         {0},
         {":4:36: grid.initializer: gaussian is there twice"}},
        {AT "  architecture: linspace(0, 1, 3)\n", {0}, {":4:17: grid.architecture: unknown architecture 'linspace'"}},
        {"grid: {activation: leaky_relu(slope=9), weight_variance: 1}",
         {0},
         {":1:20: grid.activation: leaky_relu(slope=9): slope must be a number from -1 to 1"}},
        {AT "seed: -1\n", {0}, {":4:7: seed: '-1' is no seed; accepted: a whole number from 0"}},
        {AT "seed: 9223372036854775808\n", {0}, {":4:7: seed: '9223372036854775808' is no seed"}},
        {AT "seed: 1.5\n", {0}, {":4:7: seed: '1.5' is no seed"}},
        {AT "seed: 0x1\n", {0}, {":4:7: seed: '0x1' is no seed"}},
        {AT "output: ''\n", {0}, {":4:9: output: an empty text"}},
        {AT "probe: {inputs: pear}\n",
         {0},
         {":4:17: probe.inputs.kind: unknown kind of input 'pear'; did you mean 'pair'?"}},
        {AT "probe: {inputs: {correlation: 1.01}}\n",
         {0},
         {":4:31: probe.inputs.correlation: '1.01' is out of range; accepted: "
          "a number from -1 to 1"}},
        {AT "probe: {inputs: {variance: 0}}\n", {0}, {":4:28: probe.inputs.variance: '0' is out of range"}},
        {AT "probe: {inputs: {variance: fixed}}\n",
         {0},
         {":4:28: probe.inputs.variance: 'fixed' is not a finite decimal number; "
          "accepted: a number from 1e-12 to 1e+12, or fixed_point"}},
        {AT "probe: {inputs: {kind: circle, points: 1}}\n",
         {0},
         {":4:40: probe.inputs.points: '1' is out of range; accepted: a "
          "whole number from 2 to 4096"}},
        {AT "probe: {inputs: {kind: circle, points: 2.5}}\n",
         {0},
         {":4:40: probe.inputs.points: '2.5' is not a whole number"}},
        {AT "probe: {inputs: {kind: single, correlation: 0.5}}\n",
         {0},
         {":4:32: probe.inputs.correlation: kind single does not read it"}},
        {AT "probe: {inputs: {kind: circle, dataset: mnist10k}}\n",
         {0},
         {":4:32: probe.inputs.dataset: kind circle does not read it"}},
        {AT "probe: {inputs: {preprocessing: raw}}\n",
         {0},
         {":4:18: probe.inputs.preprocessing: kind pair does not read it"}},
        {AT "probe: {inputs: {kind: dataset, preprocessing: row}}\n",
         {0},
         {":4:48: probe.inputs.preprocessing: unknown preprocessing 'row'; did you mean 'raw'?"}},
        {AT "probe: {inputs: {kind: dataset, correlation: 1}}\n",
         {0},
         {":4:33: probe.inputs.correlation: kind dataset does not read it"}},
        {AT "probe: {inputs: {kind: dataset, points: 65}}\n",
         {0},
         {":4:41: probe.inputs.points: 65 is too many for inputs of kind dataset; accepted: up to 64"}},
        {AT "probe: {inputs: {variance: preprocessed}}\n",
         {0},
         {":4:28: probe.inputs.variance: only images of a dataset are preprocessed, inputs of kind pair are not"}},
        {AT "probe: {inputs: {kind: dataset, dataset: gausian_classes()}}\n", {0}, {":4:42: probe.inputs.dataset: "}},
        {AT "probe: {inputs: {points: 5, kind: pair}}\n",
         {0},
         {":4:18: probe.inputs.points: kind pair does not read it"}},
        {AT "probe: {statistics: [forward, jacobean]}\n",
         {0},
         {":4:31: probe.statistics: unknown statistic 'jacobean'"}},
        {AT "probe: {statistics: [forward, forward]}\n", {0}, {":4:31: probe.statistics: forward is there twice"}},
        {AT "probe: {statistics: []}\n", {0}, {":4:21: probe.statistics: an empty list"}},
        {AT "probe: {layers: some}\n",
         {0},
         {":4:17: probe.layers: 'some' is no rule for layers; accepted: all, every N or log N"}},
        {AT "probe: {layers: every}\n", {0}, {":4:17: probe.layers: 'every' is no rule for layers"}},
        {AT "probe: {layers: every 0}\n", {0}, {":4:17: probe.layers: '0' is out of range"}},
        {AT "probe: {layers: log 2.5}\n", {0}, {":4:17: probe.layers: '2.5' is not a whole number"}},
        {AT "probe: {layers: log x}\n", {0}, {":4:17: probe.layers: 'x' is not a finite decimal number"}},
    };
    CHECK_REFUSALS(cases);
    const refusal sampler = {
        AT "probe: {sampler: magic}\n", {0}, {":4:18: probe.sampler: unknown sampler 'magic'; known: auto, "}};
    check_refusal(&sampler);
}

/* All at once, in file order, with what is missing behind them and assignments last. */
static void test_all_mistakes_in_order(void **state)
{
    (void)state;
    static const refusal c = {
        "probe: {layers: some, inputs: {kind: single, points: 3}}\ngrid:\n  depth: [0, 5, x]\n",
        {"grid.activation=tahn", NULL},
        {":1:17: probe.layers: 'some'", ":1:46: probe.inputs.points: kind single does not read it",
         ":3:11: grid.depth: 0 is out of range", ":3:17: grid.depth: 'x' is not a finite decimal number",
         ": grid.weight_variance: must be given"}};
    eoc_sweep sweep;
    eoc_text errors = {0};
    assert_int_equal(read_text(c.text, c.sets, &sweep, &errors), EOC_ERR_USAGE);
    char *found = without_path(&errors);
    assert_int_equal(count_lines(found), 6);
    const char *at = found;
    for (int i = 0; i < 5; i++) {
        at = strstr(at, c.expected[i]);
        assert_non_null(at);
    }
    assert_non_null(
        strstr(at, "\n--set grid.activation=tahn: grid.activation: unknown activation 'tahn'; did you mean 'tanh'?"));
    free(found);
    eoc_text_clear(&errors);
}

static void test_bad_yaml(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {"", {0}, {": holds no keys; a sweep names at least grid.activation and grid.weight_variance"}},
        {"# nothing\n\n", {0}, {": holds no keys"}},
        {"hello\n", {0}, {":1:1: a single value where a section belongs"}},
        {"- 1\n", {0}, {":1:1: a list where a section belongs"}},
        {"~\n", {0}, {":1:1: no value where a section belongs"}},
        {AT "  width: [1, 2\n", {0}, {":5:1: not YAML: "}},
        {AT " depth: 3\n", {0}, {":4:2: not YAML: "}},
        {"grid:\n\tactivation: tanh\n", {0}, {":2:1: a tab in the indentation; YAML accepts only spaces there"}},
        {AT "---\nseed: 1\n", {0}, {":4:1: a second YAML document starts here; a sweep file holds one"}},
        {AT "seed: *nothing\n", {0}, {":4:7: the alias *nothing has no anchor &nothing before it"}},
        {AT "title: \"a\\0b\"\n", {0}, {":4:8: a text with a NUL character in it"}},
        {AT "title: \xc3(\n", {0}, {":4:9: not a text in UTF-8 (invalid trailing UTF-8 octet)"}},
        {AT "title: a\xff\n", {0}, {":4:9: not a text in UTF-8 (invalid leading UTF-8 octet)"}},
        {"\x7f"
         "ELF\x02\x01\x01",
         {0},
         {":1:1: not a text in UTF-8 (control characters are not allowed)"}},
        {AT "title: \"a\n", {0}, {":5:1: not YAML: found unexpected end of stream while scanning a quoted scalar"}},
    };
    CHECK_REFUSALS(cases);
}

static void test_nesting(void **state)
{
    (void)state;
    static const char *const pieces[] = {"[", "{a: ", "- ", "? "};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        eoc_text text = {0};
        eoc_text_append(&text, "a: \n  ");
        for (int depth = 0; depth < 100000; depth++) {
            eoc_text_append(&text, "%s", pieces[i]);
        }
        eoc_sweep sweep;
        eoc_text errors = {0};
        assert_int_equal(read_text(text.data, NULL, &sweep, &errors), EOC_ERR_USAGE);
        assert_non_null(strstr(errors.data, "nested more than 64 deep"));
        eoc_text_clear(&errors);
        eoc_text_clear(&text);
    }
}

/* Ten lists of ten of the one before would be 10^9 values if aliases were copied. */
static void test_alias_bomb(void **state)
{
    (void)state;
    eoc_text text = {0};
    eoc_text_append(&text, "grid:\n  activation: tanh\n  weight_variance: &a0 [1]\n  depth:\n");
    for (int level = 1; level < 10; level++) {
        eoc_text_append(&text, "    - &a%d [", level);
        for (int i = 0; i < 10; i++) {
            eoc_text_append(&text, "%s*a%d", i ? ", " : "", level - 1);
        }
        eoc_text_append(&text, "]\n");
    }
    eoc_sweep sweep;
    eoc_text errors = {0};
    assert_int_equal(read_text(text.data, NULL, &sweep, &errors), EOC_ERR_USAGE);
    assert_int_equal(count_lines(errors.data), 9);
    assert_non_null(strstr(errors.data, ":5:7: grid.depth: a list inside a list"));
    eoc_text_clear(&errors);
    eoc_text_clear(&text);
}

static void test_many_mistakes(void **state)
{
    (void)state;
    eoc_text text = {0}, errors = {0};
    for (int i = 0; i < 50000; i++) {
        eoc_text_append(&text, "key_%d: [((((, ((((]\n", i);
    }
    eoc_sweep sweep;
    assert_int_equal(read_text(text.data, NULL, &sweep, &errors), EOC_ERR_USAGE);
    assert_int_equal(count_lines(errors.data), 101);
    assert_non_null(strstr(errors.data, ": there are more mistakes; these 100 come first"));
    eoc_text_clear(&errors);
    eoc_text_clear(&text);
}

static void test_long_lists(void **state)
{
    (void)state;
    eoc_text text = {0}, errors = {0};
    eoc_text_append(&text, AT "  replica: [");
    for (int i = 0; i < 300000; i++) {
        eoc_text_append(&text, "%s%d", i ? "," : "", (int)((int64_t)i * 99991 % 300000)); /* every number once, mixed */
    }
    eoc_text_append(&text, "]\n");
    eoc_sweep sweep;
    assert_int_equal(read_text(text.data, NULL, &sweep, &errors), EOC_OK);
    assert_int_equal(sweep.grid.axes[EOC_AXIS_REPLICA].count, 300000);
    eoc_sweep_clear(&sweep);
    eoc_text_clear(&text);
    /* 10^12 points are a product, not an array. */
    assert_int_equal(read_text("grid: {activation: tanh, weight_variance: linspace(0, 1, 10000), "
                               "bias_variance: linspace(0, 1, 10000), replica: 10000}",
                               NULL, &sweep, &errors),
                     EOC_OK);
    assert_true(eoc_grid_num_units(&sweep.grid) == 1e12);
    eoc_sweep_clear(&sweep);
    eoc_text_clear(&errors);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *path, *sentence;
    } cases[] = {
        {"/nonexistent/sweep.yaml", "/nonexistent/sweep.yaml: cannot be opened (No such file or directory)"},
        {"/", "/: is a directory; a sweep file is needed"},
        {"/dev/zero", "/dev/zero: larger than 16 MiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_sweep sweep;
        eoc_text errors = {0};
        assert_int_equal(eoc_config_read(cases[i].path, NULL, 0, &sweep, &errors), EOC_ERR_USAGE);
        assert_memory_equal(errors.data, cases[i].sentence, strlen(cases[i].sentence));
        assert_int_equal(count_lines(errors.data), 1);
        eoc_text_clear(&errors);
    }
    if (geteuid() != 0) { /* root reads everything */
        const refusal unreadable = {AT, {0}, {": cannot be opened (Permission denied)"}};
        write_bytes(AT, strlen(AT));
        chmod(path, 0);
        eoc_sweep sweep;
        eoc_text errors = {0};
        assert_int_equal(eoc_config_read(path, NULL, 0, &sweep, &errors), EOC_ERR_USAGE);
        assert_non_null(strstr(errors.data, unreadable.expected[0]));
        eoc_text_clear(&errors);
        chmod(path, 0600);
    }
}

/* -- assignments -- */

static void test_sets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sets[MAX_SETS];
        const char *line;
    } cases[] = {
        {AT, {"grid.width=500,1000"}, "  width: [500, 1000]"},
        {AT, {" grid.width = [ 500 , 1000 ] "}, "  width: [500, 1000]"},
        {AT, {"grid.width=linspace(10, 20, 3)"}, "  width: [10, 15, 20]"},
        {AT, {"grid.width=[linspace(10, 20, 3), 7]"}, "  width: [10, 15, 20, 7]"},
        {AT, {"grid.bias_variance=square([0.5, 1]),3"}, "  bias_variance: [0.25, 1, 3]"},
        {AT, {"grid.activation=leaky_relu(slope=0.2),tanh"}, "  activation: [leaky_relu(slope=0.2), tanh]"},
        {AT, {"grid.replica=3"}, "  replica: [0, 1, 2]"},
        {AT, {"grid.replica=[3]"}, "  replica: [3]"},
        {AT, {"grid.replica=3,4"}, "  replica: [3, 4]"},
        {AT, {"grid.depth='12'"}, "  depth: [12]"},
        {AT, {"title=a, b: [c = d"}, "title: \"a, b: [c = d\""},
        {AT, {"title="}, "title: \"\""},
        {AT, {"output=x.h5"}, "output: \"x.h5\""},
        {AT, {"probe.layers=every 10"}, "  layers: every 10"},
        {AT, {"probe.statistics=gradient,forward"}, "  statistics: [forward, gradient]"},
        {AT, {"probe.inputs=circle"}, "    kind: circle"},
        {AT, {"probe.inputs={kind: circle, points: 8}"}, "    points: 8"},
        {AT, {"probe={inputs: circle, layers: log 3}"}, "  layers: log 3"},
        {AT, {"grid={activation: relu, weight_variance: linspace(0, 1, 3)}"}, "  weight_variance: [0, 0.5, 1]"},
        {NULL, {"grid.activation=tanh", "grid.weight_variance=1.5"}, "  weight_variance: [1.5]"},
        /* The last wins, and what is replaced may have been wrong. */
        {AT, {"seed=2", "seed=3"}, "seed: 3"},
        {AT, {"seed=x", "seed=3"}, "seed: 3"},
        {AT "seed: x\n", {"seed=3"}, "seed: 3"},
        {AT "seed: [{}]\n", {"seed=3"}, "seed: 3"},
        {AT "probe: {inputs: {knid: 3, points: x}}\n", {"probe.inputs=single"}, "    kind: single"},
        {AT "probe: {inputs: {kind: circle, points: x}}\n", {"probe.inputs={kind: circle}"}, "    points: 64"},
        {AT "probe: {inputs: 5}\n", {"probe.inputs.kind=single"}, "    kind: single"},
        {AT "probe: 7\n", {"probe={layers: every 2}"}, "  layers: every 2"},
        {AT,
         {"probe.inputs={kind: single, points: x}", "probe.inputs=circle", "probe.inputs.points=9"},
         "    points: 9"},
        {AT, {"probe.inputs.points=x", "probe.inputs=circle"}, "    points: 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_line(cases[i].text, cases[i].sets, cases[i].line);
    }
}

static void test_bad_sets(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {AT, {"grid.width"}, {"--set grid.width: not an assignment; accepted: KEY=VALUE"}},
        {AT, {"=3"}, {"--set =3: not an assignment"}},
        {AT, {"grid.widht=3"}, {"--set grid.widht=3: grid.widht: unknown key; did you mean grid.width?"}},
        {AT, {"width=3"}, {"--set width=3: width: unknown key; did you mean grid.width?"}},
        {AT,
         {"grid.width=x"},
         {"--set grid.width=x: grid.width: 'x' is not a finite decimal number; accepted: a whole number from"}},
        {AT, {"grid.width="}, {"--set grid.width=: grid.width: no value; accepted: "}},
        {AT, {"grid.width=[]"}, {"--set grid.width=[]: grid.width: an empty list"}},
        {AT, {"grid.width=5,,6"}, {"--set grid.width=5,,6: grid.width: '' is not a finite decimal number"}},
        {AT, {"grid.width=5,5"}, {"--set grid.width=5,5: grid.width: 5 is there twice"}},
        {AT,
         {"grid.width=linspace(1,2"},
         {"--set grid.width=linspace(1,2: grid.width: 'linspace(1,2': the parentheses"}},
        {AT, {"grid.width={a: 1}"}, {"--set grid.width={a: 1}: grid.width: a mapping where a value belongs"}},
        {AT,
         {"grid=3"},
         {"--set grid=3: grid: a single value where a section belongs; accepted: grid={key: value, ...}"}},
        {AT, {"probe.inputs={kind: circle"}, {"--set probe.inputs={kind: circle: probe.inputs: not YAML: "}},
        {AT,
         {"probe.inputs={kid: circle}"},
         {"--set probe.inputs={kid: circle}: probe.inputs.kid: unknown key; did you mean "
          "probe.inputs.kind?"}},
        {AT,
         {"probe.inputs=cirkle"},
         {"--set probe.inputs=cirkle: probe.inputs.kind: unknown kind of input 'cirkle'; did you mean"}},
        {AT, {"probe.inputs="}, {"--set probe.inputs=: probe.inputs.kind: no value"}},
        {AT,
         {"probe.inputs.points=9"},
         {"--set probe.inputs.points=9: probe.inputs.points: kind pair does not read it"}},
        {AT,
         {"probe.sampler=implicit,x"},
         {"--set probe.sampler=implicit,x: probe.sampler: unknown sampler 'implicit,x'"}},
        {AT, {"seed=1\n2"}, {"--set seed=1?2: seed: '1?2' is no seed"}},
        {AT, {"title=\xff"}, {"--set title=\xff: title: not a text in UTF-8"}},
        {AT, {"title=\xed\xa0\x80"}, {"--set title=\xed\xa0\x80: title: not a text in UTF-8"}},
        {AT, {"title=\xc3"}, {"--set title=\xc3: title: not a text in UTF-8"}},
        {NULL, {"grid.weight_variance=1"}, {"--set: grid.activation: must be given"}},
        {"a: [\n", {"seed=x"}, {":2:1: not YAML: ", "--set seed=x: seed: 'x' is no seed"}},
    };
    CHECK_REFUSALS(cases);
}

/* -- the table -- */

static void test_key_table(void **state)
{
    (void)state;
    for (int row = 0; row < eoc_config_key_count(); row++) {
        const eoc_key_row *key = eoc_config_key_row(row);
        /* Labels, and how the same bits are come by: test_net.c, segments_and_threads_leave_the_bits. */
        static const char *const changes_nothing[] = {"title", "output", "train.memory", "train.threads"};
        bool changes = true;
        for (size_t i = 0; i < sizeof changes_nothing / sizeof changes_nothing[0]; i++) {
            changes = changes && strcmp(key->name, changes_nothing[i]) != 0;
        }
        assert_non_null(key->help);
        assert_true(key->identity == changes);
        for (int other = 0; other < row; other++) {
            assert_string_not_equal(eoc_config_key_row(other)->name, key->name);
        }
    }
    eoc_text listing = {0};
    eoc_config_keys(&listing);
    assert_non_null(strstr(listing.data, "grid.depth [50]\n"));
    assert_non_null(strstr(listing.data, "grid.activation [must be given]\n"));
    assert_non_null(strstr(listing.data, "probe.statistics [[forward, gradient]]\n"));
    eoc_text_clear(&listing);
}

/* -- damaged files: any answer is right but a crash, a leak, or mistakes without a sentence -- */

static void check_answers(const char *bytes, size_t num_bytes)
{
    eoc_sweep sweep;
    eoc_text errors = {0};
    write_bytes(bytes, num_bytes);
    const eoc_status status = eoc_config_read(path, NULL, 0, &sweep, &errors);
    assert_true(status == EOC_OK || status == EOC_ERR_USAGE);
    assert_true((status == EOC_OK) == (errors.length == 0));
    if (status == EOC_OK) {
        free(resolved(&sweep, 0));
        eoc_sweep_clear(&sweep);
    }
    eoc_text_clear(&errors);
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof GOOD; length++) {
        check_answers(GOOD, length);
    }
}

static void test_flipped_bits(void **state)
{
    (void)state;
    char bytes[sizeof GOOD];
    for (size_t i = 0; i < sizeof GOOD - 1; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(bytes, GOOD, sizeof GOOD);
            bytes[i] = (char)((unsigned char)bytes[i] ^ (1U << bit));
            check_answers(bytes, sizeof GOOD - 1);
        }
    }
}

/* Probe, train or both: what is written is done. */
static void test_studies(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool trains, probes;
    } cases[] = {{AT "", false, true},
                 {AT "probe: {}\n", false, true},
                 {AT "train: {}\n", true, false},
                 {AT "train: mnist10k\n", true, false},
                 {AT "train: {steps: 7}\n", true, false},
                 {AT "train: {steps: 7}\nprobe: {}\n", true, true},
                 {AT "train: {}\nprobe: {statistics: forward}\n", true, true},
                 {AT "train: {}\nprobe: {statistics: none}\n", true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_sweep sweep;
        eoc_text errors = {0}, resolved = {0}, again = {0};
        assert_int_equal(eoc_config_read_text("here", cases[i].text, &sweep, &errors), EOC_OK);
        assert_int_equal(sweep.probe.train != NULL, cases[i].trains);
        assert_int_equal(sweep.probe.nothing, !cases[i].probes);
        eoc_config_resolved(&sweep, 0, &resolved);
        assert_int_equal(strstr(resolved.data, "\ntrain:") != NULL, cases[i].trains);
        eoc_sweep_clear(&sweep);
        assert_int_equal(eoc_config_read_text("here", resolved.data, &sweep, &errors), EOC_OK);
        eoc_config_resolved(&sweep, 0, &again);
        assert_string_equal(again.data, resolved.data);
        eoc_sweep_clear(&sweep);
        eoc_text_clear(&resolved);
        eoc_text_clear(&again);
        eoc_text_clear(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_reads_back),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_studies),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_all_mistakes_in_order),
        cmocka_unit_test(test_bad_yaml),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_alias_bomb),
        cmocka_unit_test(test_many_mistakes),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_bad_sets),
        cmocka_unit_test(test_key_table),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped_bits),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
