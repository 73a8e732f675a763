/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the section `train`. */
#include "eoc/train.h"

#include "eoc/generator.h"

#include "key_types.h"

#include <stdlib.h>
#include <string.h>

static bool is_enabled(const void *section, eoc_text *why_not)
{
    const bool enabled = ((const eoc_train *)section)->enabled;
    if (!enabled) {
        eoc_text_append(why_not, "the sweep does not train");
    }
    return enabled;
}

/* -- rows of a table: loss -- */

static const char *loss_name(int row)
{
    return eoc_loss_row(row)->name;
}

static eoc_words loss_words(void)
{
    return (eoc_words){"loss", eoc_loss_count(), loss_name};
}

static void loss_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    const eoc_words words = loss_words();
    const eoc_loss_kind **field = eoc_key_field(row, section);
    int found = 0;
    const eoc_status status = eoc_words_find(&words, given->texts[0], &found);
    *field = eoc_loss_row(found);
    eoc_key_report(given, 0, status);
}

static void loss_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_loss_kind *const *field = eoc_key_const_field(row, section);
    eoc_text_append(out, "%s", (*field)->name);
}

static void loss_accepts(const eoc_key_row *row, eoc_text *out)
{
    const eoc_words words = loss_words();
    (void)row;
    eoc_text_append(out, "one of ");
    eoc_words_append(&words, out);
}

static const eoc_key_type loss_type = {.read = loss_read, .spell = loss_spell, .accepts = loss_accepts};

/* -- optimizer -- */

static void optimizer_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_optimizer *field = eoc_key_field(row, section);
    eoc_key_report(given, 0, eoc_optimizer_find(given->texts[0], field));
}

static void optimizer_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_optimizer *field = eoc_key_const_field(row, section);
    char spelling[EOC_MAX_KIND_BYTES];
    eoc_text_append(out, "%s", eoc_kind_spell(eoc_optimizer_table(), field->row, field->parameters, spelling));
}

static void optimizer_accepts(const eoc_key_row *row, eoc_text *out)
{
    const eoc_kind_table *table = eoc_optimizer_table();
    (void)row;
    eoc_text_append(out, "one of ");
    for (int i = 0; i < table->count; i++) {
        eoc_text_append(out, "%s%s", i ? ", " : "", table->name(i));
    }
    eoc_text_append(out, ", with parameters as in momentum(momentum=0.95)");
}

static const eoc_key_type optimizer_type = {
    .read = optimizer_read, .spell = optimizer_spell, .accepts = optimizer_accepts};

/* -- learning_rate -- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static eoc_status add_rate(const eoc_key_row *row, const char *text, eoc_train *train)
{
    double rate = 0.0;
    EOC_TRY(eoc_key_to_number(row, text, &rate));
    for (int i = 0; i < train->num_learning_rates; i++) {
        EOC_REQUIRE(train->learning_rates[i] != rate, EOC_ERR_USAGE, "%.60s is there twice", text);
    }
    EOC_REQUIRE(train->num_learning_rates < EOC_MAX_LEARNING_RATES, EOC_ERR_USAGE,
                "more learning rates than the %d that are accepted", EOC_MAX_LEARNING_RATES);
    train->learning_rates[train->num_learning_rates++] = rate;
    return EOC_OK;
}

static eoc_status add_rates(const eoc_key_row *row, const char *text, eoc_train *train)
{
    if (!eoc_generator_is_call(text)) {
        return add_rate(row, text, train);
    }
    int count = 0;
    double *values = NULL;
    EOC_TRY(eoc_generator_expand(text, EOC_MAX_LEARNING_RATES, &count, &values));
    eoc_status status = EOC_OK;
    for (int i = 0; i < count && status == EOC_OK; i++) {
        char number[EOC_NUMBER_BYTES];
        status = add_rate(row, eoc_text_number(values[i], number), train);
    }
    free(values);
    return status;
}

static void rates_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_train *const train = section;
    train->num_learning_rates = 0;
    bool go_on = true;
    for (int i = 0; i < given->count && go_on; i++) {
        go_on = eoc_key_report(given, i, add_rates(row, given->texts[i], train));
    }
    qsort(train->learning_rates, (size_t)train->num_learning_rates, sizeof(double), ascending);
}

static void rates_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_train *train = section;
    (void)row;
    for (int i = 0; i < train->num_learning_rates; i++) {
        char number[EOC_NUMBER_BYTES];
        eoc_text_append(out, "%s%s", i ? ", " : "[", eoc_text_number(train->learning_rates[i], number));
    }
    eoc_text_append(out, "]");
}

static void rates_accepts(const eoc_key_row *row, eoc_text *out)
{
    eoc_key_number_accepts(row, out);
    eoc_text_append(out, ", a list of them, or %s", eoc_generator_usage());
}

static const eoc_key_type rates_type = {
    .takes_list = true, .read = rates_read, .spell = rates_spell, .accepts = rates_accepts};

/* -- threshold -- */

static const struct {
    const char *word;
    eoc_threshold_measure measure;
} measures[] = {{"accuracy", EOC_THRESHOLD_ACCURACY}, {"loss", EOC_THRESHOLD_LOSS}};
enum { NUM_MEASURES = sizeof measures / sizeof measures[0] };

static void threshold_accepts(const eoc_key_row *row, eoc_text *out)
{
    (void)row;
    eoc_text_append(out, "accuracy A with A from 0 to 1, or loss E with E from 0 to 1e+30");
}

static void threshold_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    eoc_train *const train = section;
    for (int i = 0; i < NUM_MEASURES; i++) {
        const char *number = eoc_key_after_word(given->texts[0], measures[i].word);
        if (number) {
            eoc_key_row range = *row;
            range.max = measures[i].measure == EOC_THRESHOLD_ACCURACY ? 1.0 : row->max;
            train->threshold_measure = measures[i].measure;
            eoc_key_report(given, 0, eoc_key_to_number(&range, number, &train->threshold));
            return;
        }
    }
    eoc_text accepted = {0};
    threshold_accepts(row, &accepted);
    eoc_key_report(given, 0,
                   EOC_FAIL(EOC_ERR_USAGE, "'%.60s' is no threshold; accepted: %s", given->texts[0], accepted.data));
    eoc_text_clear(&accepted);
}

static void threshold_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    const eoc_train *train = section;
    char number[EOC_NUMBER_BYTES];
    (void)row;
    eoc_text_append(out, "%s %s", measures[train->threshold_measure].word, eoc_text_number(train->threshold, number));
}

static const eoc_key_type threshold_type = {
    .read = threshold_read, .spell = threshold_spell, .accepts = threshold_accepts};

/* -- statistics -- */

static void statistics_read(const eoc_key_row *row, const eoc_key_values *given, void *section)
{
    (void)row;
    eoc_key_read_statistics(given, EOC_TRAIN_STATISTICS, &((eoc_train *)section)->statistics);
}

static void statistics_spell(const eoc_key_row *row, const void *section, eoc_text *out)
{
    (void)row;
    eoc_key_spell_statistics(((const eoc_train *)section)->statistics, out);
}

static void statistics_accepts(const eoc_key_row *row, eoc_text *out)
{
    (void)row;
    eoc_key_accept_statistics(EOC_TRAIN_STATISTICS, out);
    eoc_text_append(out, "; or none");
}

static const eoc_key_type statistics_type = {
    .takes_list = true, .read = statistics_read, .spell = statistics_spell, .accepts = statistics_accepts};

/* -- the table -- */

#define KEY(word, member, sort) \
    .name = "train." word, .type = sort, .offset = offsetof(eoc_train, member), .identity = true, .is_read = is_enabled

/* What does not change a number of the result. */
#define MEMO(word, member, sort) \
    .name = "train." word, .type = sort, .offset = offsetof(eoc_train, member), .is_read = is_enabled

static const eoc_key_row keys[] = {
    {KEY("dataset", dataset, &eoc_key_dataset), .fallback = "mnist10k", .shorthand = true, .help = "what is learnt"},
    {KEY("preprocessing", preprocessing, &eoc_key_preprocessing), .fallback = "unit_variance",
     .help = "what is done to every sample first; unit_variance: |x|^2/features = 1"},
    {KEY("train_samples", train_samples, &eoc_key_count), .max = 1e9, .fallback = "0",
     .help = "the first so many samples of the training set; 0: all"},
    {KEY("test_samples", test_samples, &eoc_key_count), .max = 1e9, .fallback = "0",
     .help = "the first so many samples of the test set; 0: all"},
    {KEY("loss", loss, &loss_type), .fallback = "cross_entropy", .help = "what is made small"},
    {KEY("optimizer", optimizer, &optimizer_type), .fallback = "sgd", .help = "how a gradient moves the weights"},
    {KEY("learning_rate", learning_rates, &rates_type), .min = 1e-12, .max = 1e6, .fallback = "0.01",
     .help = "learning rates; every network is trained anew at each"},
    {KEY("bias_rate", bias_rate, &eoc_key_number), .max = 1e6, .fallback = "1",
     .help = "learning rate of the biases, times learning_rate; 0: they stay as they were drawn"},
    {KEY("batch", batch, &eoc_key_count), .min = 1.0, .max = 1e6, .fallback = "128", .help = "samples a step"},
    {KEY("micro_batch", micro_batch, &eoc_key_count), .max = 1e6, .fallback = "0",
     .help = "samples that are in memory at a time, their gradients added up to that of the batch; 0: the batch"},
    {MEMO("memory", memory, &eoc_key_number), .min = 1e-3, .max = 1e6, .fallback = "4",
     .help = "GiB for a network in training: where its layers do not fit, segments of them are run again on the way "
             "back"},
    {MEMO("threads", threads, &eoc_key_count), .min = 1.0, .max = 1024.0, .fallback = "1",
     .help = "of every rank, in convolutional networks: for fewer networks than cores"},
    {KEY("steps", steps, &eoc_key_count), .min = 1.0, .max = 1e8, .fallback = "1000", .help = "steps of training"},
    {KEY("clip", clip, &eoc_key_number), .max = 1e12, .fallback = "0",
     .help = "greatest norm of the gradient of a step, larger ones are scaled to it; 0: any"},
    {KEY("readout_variance", readout_variance, &eoc_key_number), .max = 1e6, .fallback = "1",
     .help = "variance of the read-out's initial weights, times the width"},
    {KEY("record", record, &eoc_key_layers), .min = 1.0, .max = 1e8, .fallback = "log 20",
     .help = "at which steps losses and accuracies are measured; 0, 1 and the last always"},
    {KEY("evaluation_samples", evaluation_samples, &eoc_key_count), .max = 1e9, .fallback = "1000",
     .help = "they are measured on the first so many samples of either set; 0: all"},
    {KEY("threshold", threshold, &threshold_type), .max = 1e30, .fallback = "accuracy 0.9",
     .help = "learning_time is the first recorded step from which on the training set holds it to the end"},
    {KEY("statistics", statistics, &statistics_type), .fallback = "none",
     .help = "what is measured of the network at every recorded step, with test samples 0 and 1 as its inputs"},
};

const eoc_key_row *eoc_train_key_rows(int *count)
{
    *count = (int)(sizeof keys / sizeof keys[0]);
    return keys;
}
