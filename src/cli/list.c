/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include "eoc/architecture.h"
#include "eoc/data.h"
#include "eoc/probe.h"
#include "eoc/sweep.h"
#include "eoc/text.h"
#include "eoc/train.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

/* One line of a list: what every table can tell of a row. */
typedef struct {
    const char *name, *formula, *source;
    const eoc_parameter *parameters;
} entry;

static entry activation_entry(int row)
{
    const eoc_activation_kind *k = eoc_activation_row(row);
    return (entry){k->name, k->formula, k->source, k->parameters};
}

static entry initializer_entry(int row)
{
    const eoc_initializer_kind *k = eoc_initializer_row(row);
    return (entry){k->name, k->formula, k->source, k->parameters};
}

static entry architecture_entry(int row)
{
    const eoc_architecture_kind *k = eoc_architecture_row(row);
    return (entry){k->name, k->formula, k->source, k->parameters};
}

static entry statistic_entry(int row)
{
    const eoc_statistic_row *k = eoc_statistic_row_of(row);
    return (entry){k->name, k->formula, k->source, NULL};
}

static entry input_entry(int row)
{
    const eoc_input_kind *k = eoc_input_kind_row(row);
    return (entry){k->name, k->formula, k->source, NULL};
}

static entry sampler_entry(int row)
{
    const eoc_sampler *k = eoc_sampler_row(row);
    return (entry){k->name, k->formula, k->source, NULL};
}

static entry data_entry(int row)
{
    const eoc_data_kind *k = eoc_data_kind_row(row);
    return (entry){k->name, k->formula, k->source, k->parameters};
}

static entry preprocessing_entry(int row)
{
    const eoc_preprocessing *k = eoc_preprocessing_row(row);
    return (entry){k->name, k->formula, k->source, NULL};
}

static entry loss_entry(int row)
{
    const eoc_loss_kind *k = eoc_loss_row(row);
    return (entry){k->name, k->formula, k->source, NULL};
}

static entry optimizer_entry(int row)
{
    const eoc_optimizer_kind *k = &eoc_net_f32_loops()->optimizers[row];
    return (entry){k->name, k->formula, k->source, k->parameters};
}

static void print_keys(void)
{
    eoc_text text = {0};
    eoc_config_keys(&text);
    printf("%s", text.data ? text.data : "");
    eoc_text_clear(&text);
}

static const struct {
    const char *name;
    const char *title;
    int (*count)(void);
    entry (*get)(int row); /* NULL: the keys, which have a listing of their own */
} lists[] = {
    {"activations", "Activations: grid.activation, phi(z)", eoc_activation_count, activation_entry},
    {"initializers", "Initializers: grid.initializer, entries at weight_variance 1", eoc_initializer_count,
     initializer_entry},
    {"architectures", "Architectures: grid.architecture", eoc_architecture_count, architecture_entry},
    {"statistics", "Statistics: probe.statistics", eoc_statistic_count, statistic_entry},
    {"inputs", "Inputs: probe.inputs.kind", eoc_input_kind_count, input_entry},
    {"samplers", "Samplers: probe.sampler", eoc_sampler_count, sampler_entry},
    {"datasets", "Data sets that are drawn from the seed (others are HDF5 files, such as mnist10k)",
     eoc_data_kind_count, data_entry},
    {"preprocessing", "Preprocessing: train.preprocessing, probe.inputs.preprocessing", eoc_preprocessing_count,
     preprocessing_entry},
    {"losses", "Losses: train.loss, y the outputs", eoc_loss_count, loss_entry},
    {"optimizers", "Optimizers: train.optimizer, w a weight, g its gradient, a the learning rate", eoc_optimizer_count,
     optimizer_entry},
    {"keys", "Keys of a sweep file [default]", NULL, NULL},
};

enum { NUM_LISTS = sizeof lists / sizeof lists[0] };

static void print_parameter(int indent, const eoc_parameter *p)
{
    char fallback[EOC_NUMBER_BYTES], low[EOC_NUMBER_BYTES], high[EOC_NUMBER_BYTES];
    const bool numbers = !p->words || p->numbers;
    const char *const word = eoc_kind_word(p, p->fallback);
    printf("  %-*s  parameter %s=%s, ", indent, "", p->name, word ? word : eoc_text_number(p->fallback, fallback));
    if (numbers) {
        printf("%sfrom %s to %s", p->whole ? "whole, " : "", eoc_text_number(p->min, low),
               eoc_text_number(p->max, high));
    } else {
        printf("one of ");
    }
    for (int i = 0; p->words && p->words[i]; i++) {
        printf("%s%s", numbers ? " or " : i ? ", " : "", p->words[i]);
    }
    printf("%s%s\n", p->help ? ": " : "", p->help ? p->help : "");
}

static void print_list(int list)
{
    printf("%s\n", lists[list].title);
    if (!lists[list].get) {
        print_keys();
        return;
    }
    int name_width = 0, formula_width = 0;
    for (int row = 0; row < lists[list].count(); row++) {
        const entry e = lists[list].get(row);
        name_width = (int)strlen(e.name) > name_width ? (int)strlen(e.name) : name_width;
        formula_width = (int)strlen(e.formula) > formula_width ? (int)strlen(e.formula) : formula_width;
    }
    for (int row = 0; row < lists[list].count(); row++) {
        const entry e = lists[list].get(row);
        printf("  %-*s  %-*s  [%s]\n", name_width, e.name, formula_width, e.formula, e.source);
        for (const eoc_parameter *p = e.parameters; p && p->name; p++) {
            print_parameter(name_width, p);
        }
    }
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    int *const wanted = state->input;
    if (key != ARGP_KEY_ARG) {
        return ARGP_ERR_UNKNOWN;
    }
    const char *names[NUM_LISTS];
    for (int i = 0; i < NUM_LISTS; i++) {
        names[i] = lists[i].name;
        if (strcmp(value, lists[i].name) == 0) {
            *wanted = i;
            return 0;
        }
    }
    const char *nearest = eoc_text_nearest(value, names, NUM_LISTS);
    eoc_text all = {0};
    for (int i = 0; i < NUM_LISTS; i++) {
        eoc_text_append(&all, "%s%s", i ? ", " : "", names[i]);
    }
    argp_error(state, "no list '%s'%s%s%s; there are %s", value, nearest ? "; did you mean '" : "",
               nearest ? nearest : "", nearest ? "'?" : "", all.data);
    eoc_text_clear(&all);
    return 0;
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "[LIST]",
    .doc =
        "Prints every kind that a sweep file may name, with its formula and source, and every key with its default and "
        "meaning. LIST is activations, initializers, architectures, statistics, inputs, samplers, datasets, "
        "preprocessing, losses, optimizers or keys.\v"
        "Examples:\n  eoc list activations\n  eoc list keys"};

int eoc_cli_list(int argc, char **argv)
{
    int wanted = -1;
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &wanted) != 0) {
        return EXIT_USAGE;
    }
    for (int i = 0; i < NUM_LISTS; i++) {
        if (wanted < 0 || wanted == i) {
            print_list(i);
            if (wanted < 0 && i + 1 < NUM_LISTS) {
                putchar('\n');
            }
        }
    }
    return EXIT_DONE;
}
