/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/data.h"

#include "eoc/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- memory -- */

static void *array(size_t count, size_t width, size_t bytes)
{
    return count <= SIZE_MAX / bytes / width ? malloc(count * width * bytes) : NULL;
}

eoc_status eoc_data_allocate(eoc_data *data, bool labelled)
{
    assert(data->features >= 1 && data->outputs >= 1 && data->train_count >= 1 && data->test_count >= 1);
    const size_t train = (size_t)data->train_count, test = (size_t)data->test_count;
    const size_t features = (size_t)data->features, outputs = (size_t)data->outputs;
    data->train_x = array(train, features, sizeof(float));
    data->test_x = array(test, features, sizeof(float));
    data->train_label = labelled ? array(train, 1, sizeof(int32_t)) : NULL;
    data->test_label = labelled ? array(test, 1, sizeof(int32_t)) : NULL;
    data->train_y = labelled ? NULL : array(train, outputs, sizeof(float));
    data->test_y = labelled ? NULL : array(test, outputs, sizeof(float));
    const bool answers = labelled ? data->train_label && data->test_label : data->train_y && data->test_y;
    if (data->train_x && data->test_x && answers) {
        return EOC_OK;
    }
    eoc_data_clear(data);
    return EOC_FAIL(EOC_ERR_NOMEM, "out of memory for a data set of %zu samples of %zu features", train + test,
                    features);
}

void eoc_data_clear(eoc_data *data)
{
    free(data->train_x);
    free(data->test_x);
    free(data->train_label);
    free(data->test_label);
    free(data->train_y);
    free(data->test_y);
    *data = (eoc_data){0};
}

/* Memory that is given back; where it cannot be moved the larger one serves as well. */
static void shrink(void *pointer, size_t bytes)
{
    void **const place = pointer;
    void *smaller = *place ? realloc(*place, bytes) : NULL;
    *place = smaller ? smaller : *place;
}

eoc_status eoc_data_keep_first(eoc_data *data, const char *name, int train_samples, int test_samples)
{
    EOC_REQUIRE(train_samples >= 0 && train_samples <= data->train_count, EOC_ERR_USAGE,
                "%s has %d training samples, %d are asked for; accepted: 0 (all) to %d", name, data->train_count,
                train_samples, data->train_count);
    EOC_REQUIRE(test_samples >= 0 && test_samples <= data->test_count, EOC_ERR_USAGE,
                "%s has %d test samples, %d are asked for; accepted: 0 (all) to %d", name, data->test_count,
                test_samples, data->test_count);
    data->train_count = train_samples ? train_samples : data->train_count;
    data->test_count = test_samples ? test_samples : data->test_count;
    const size_t train = (size_t)data->train_count, test = (size_t)data->test_count;
    const size_t x_bytes = sizeof(float) * (size_t)data->features, y_bytes = sizeof(float) * (size_t)data->outputs;
    shrink(&data->train_x, train * x_bytes);
    shrink(&data->test_x, test * x_bytes);
    shrink(&data->train_label, train * sizeof(int32_t));
    shrink(&data->test_label, test * sizeof(int32_t));
    shrink(&data->train_y, train * y_bytes);
    shrink(&data->test_y, test * y_bytes);
    return EOC_OK;
}

/* -- what a text names -- */

static const char *row_name(int row)
{
    return eoc_data_kind_row(row)->name;
}

static const eoc_parameter *row_parameters(int row)
{
    return eoc_data_kind_row(row)->parameters;
}

static const eoc_kind_table *table(void)
{
    static eoc_kind_table kinds = {.what = "synthetic data set", .name = row_name, .parameters = row_parameters};
    kinds.count = eoc_data_kind_count();
    return &kinds;
}

static bool names_a_kind(const char *text, size_t length)
{
    for (int row = 0; row < eoc_data_kind_count(); row++) {
        if (strlen(row_name(row)) == length && strncmp(row_name(row), text, length) == 0) {
            return true;
        }
    }
    return false;
}

eoc_status eoc_data_source_parse(const char *text, eoc_data_source *source)
{
    *source = (eoc_data_source){0};
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        length--;
    }
    for (; length > 0 && isspace((unsigned char)*text); length--) {
        text++;
    }
    EOC_REQUIRE(length > 0, EOC_ERR_USAGE, "the name of the data set is empty");
    EOC_REQUIRE(length < sizeof source->text, EOC_ERR_USAGE, "'%.20s...' is too long for the name of a data set", text);
    /* A path may hold parentheses; only a text that ends with one is a kind with parameters. */
    const bool has_parameters = text[length - 1] == ')' && memchr(text, '(', length) && !memchr(text, '/', length);
    if (!has_parameters && !names_a_kind(text, length)) {
        memcpy(source->text, text, length);
        return EOC_OK;
    }
    int row = 0;
    EOC_TRY(eoc_kind_parse(table(), text, &row, source->values));
    const eoc_data_kind *kind = eoc_data_kind_row(row);
    if (kind->check) {
        EOC_TRY(kind->check(source->values));
    }
    char spelling[EOC_MAX_KIND_BYTES];
    snprintf(source->text, sizeof source->text, "%s", eoc_kind_spell(table(), row, source->values, spelling));
    source->kind = kind;
    return EOC_OK;
}

eoc_status eoc_data_draw(const eoc_data_source *source, uint64_t seed, eoc_data *data)
{
    assert(source->kind);
    *data = (eoc_data){0};
    source->kind->sizes(source->values, data);
    EOC_TRY(eoc_data_allocate(data, source->kind->labelled));
    char text[128];
    snprintf(text, sizeof text, "seed=%llu dataset=%s", (unsigned long long)seed, source->kind->name);
    const eoc_status status = source->kind->fill(source->values, eoc_rng_key(text), data);
    if (status != EOC_OK) {
        eoc_data_clear(data);
    }
    return status;
}
