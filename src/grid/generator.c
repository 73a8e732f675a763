/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/generator.h"

#include "eoc/text.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest piece of a user's text that a sentence repeats. */
enum { MAX_SHOWN = 60, NUM_ARGUMENTS = 3 };

/* A piece of the text, without the blanks around it. */
typedef struct {
    const char *from, *to;
} span;

typedef struct {
    const char *name;
    const char *usage;
    /** How many values, as a double since it may be anything; or a failure with the reason. */
    eoc_status (*count)(const double *arguments, double *count);
    double (*value)(const double *arguments, int i, int count);
} generator;

static span trimmed(const char *from, const char *to)
{
    while (from < to && isspace((unsigned char)*from)) {
        from++;
    }
    while (to > from && isspace((unsigned char)to[-1])) {
        to--;
    }
    return (span){from, to};
}

static int shown(span s)
{
    const ptrdiff_t length = s.to - s.from;
    return length < MAX_SHOWN ? (int)length : MAX_SHOWN;
}

static bool to_number(span s, double *value)
{
    char text[2 * MAX_SHOWN];
    const size_t length = (size_t)(s.to - s.from);
    if (length >= sizeof text) {
        return false;
    }
    memcpy(text, s.from, length);
    text[length] = '\0';
    return eoc_text_to_double(text, value);
}

/* -- linspace(a, b, n) and geomspace(a, b, n) -- */

static eoc_status spaced_count(const double *arguments, double *count)
{
    const double n = arguments[2];
    char number[EOC_NUMBER_BYTES];
    EOC_REQUIRE(n == floor(n), EOC_ERR_USAGE, "n is how many values: a whole number, not %s",
                eoc_text_number(n, number));
    EOC_REQUIRE(n >= 1.0, EOC_ERR_USAGE, "n is how many values: at least 1, not %s", eoc_text_number(n, number));
    *count = n;
    return EOC_OK;
}

static eoc_status geomspace_count(const double *arguments, double *count)
{
    EOC_REQUIRE(arguments[0] > 0.0 && arguments[1] > 0.0, EOC_ERR_USAGE, "a and b must be above 0");
    return spaced_count(arguments, count);
}

/* A difference of numbers of size `scale` that is nothing but their rounding is the 0 that the user means. */
static double without_rounding(double value, double scale)
{
    return fabs(value) <= 4.0 * DBL_EPSILON * scale ? 0.0 : value;
}

static double linspace_value(const double *arguments, int i, int count)
{
    const double a = arguments[0], b = arguments[1];
    if (i == 0 || i == count - 1) {
        return i == 0 ? a : b;
    }
    const double last = count - 1;
    return without_rounding(a * ((last - i) / last) + b * (i / last), fmax(fabs(a), fabs(b)));
}

static double geomspace_value(const double *arguments, int i, int count)
{
    if (i == 0 || i == count - 1) {
        return arguments[i == 0 ? 0 : 1];
    }
    return arguments[0] * pow(arguments[1] / arguments[0], (double)i / (count - 1));
}

/* -- range(a, b, step) -- */

/* Steps from a to b, and by how much rounding of the three numbers may have moved it. */
static double range_steps(const double *arguments, double *uncertainty)
{
    const double a = arguments[0], b = arguments[1], step = arguments[2];
    const double steps = (b - a) / step;
    *uncertainty = 4.0 * DBL_EPSILON * ((fabs(a) + fabs(b)) / fabs(step) + fabs(steps));
    return steps;
}

static eoc_status range_count(const double *arguments, double *count)
{
    double uncertainty = 0.0;
    EOC_REQUIRE(arguments[2] != 0.0, EOC_ERR_USAGE, "step must not be 0");
    const double steps = range_steps(arguments, &uncertainty);
    EOC_REQUIRE(steps >= 0.0, EOC_ERR_USAGE, "step has the wrong sign: it leads away from b");
    *count = floor(steps + uncertainty) + 1.0;
    return EOC_OK;
}

static double range_value(const double *arguments, int i, int count)
{
    double uncertainty = 0.0;
    const double steps = range_steps(arguments, &uncertainty);
    (void)count;
    if (fabs(steps - i) <= uncertainty) {
        return arguments[1];
    }
    return without_rounding(arguments[0] + i * arguments[2], fabs(arguments[0]));
}

/* -- the table -- */

static const generator generators[] = {
    {"linspace", "linspace(a, b, n)", spaced_count, linspace_value},
    {"geomspace", "geomspace(a, b, n)", geomspace_count, geomspace_value},
    {"range", "range(a, b, step)", range_count, range_value},
};
enum { NUM_GENERATORS = sizeof generators / sizeof generators[0] };

static const char square_usage[] = "square(...) of one of these or of a list in brackets";

const char *eoc_generator_usage(void)
{
    static char usage[256];
    if (!usage[0]) {
        size_t length = 0;
        for (int i = 0; i < NUM_GENERATORS; i++) {
            length += (size_t)snprintf(usage + length, sizeof usage - length, "%s, ", generators[i].usage);
        }
        snprintf(usage + length, sizeof usage - length, "%s", square_usage);
    }
    return usage;
}

static eoc_status unknown_generator(span name)
{
    const char *names[NUM_GENERATORS + 1];
    for (int i = 0; i < NUM_GENERATORS; i++) {
        names[i] = generators[i].name;
    }
    names[NUM_GENERATORS] = "square";
    char word[MAX_SHOWN + 1];
    snprintf(word, sizeof word, "%.*s", shown(name), name.from);
    const char *nearest = eoc_text_nearest(word, names, NUM_GENERATORS + 1);
    return nearest ? EOC_FAIL(EOC_ERR_USAGE, "unknown generator '%s'; did you mean '%s'? Known: %s", word, nearest,
                              eoc_generator_usage())
                   : EOC_FAIL(EOC_ERR_USAGE, "unknown generator '%s'; known: %s", word, eoc_generator_usage());
}

static bool is_named(span name, const char *word)
{
    const size_t length = (size_t)(name.to - name.from);
    return strlen(word) == length && memcmp(name.from, word, length) == 0;
}

/* -- from text to values -- */

/* Splits name(inner). */
static eoc_status split_call(span text, span *name, span *inner)
{
    const char *open = memchr(text.from, '(', (size_t)(text.to - text.from));
    EOC_REQUIRE(open, EOC_ERR_USAGE, "'%.*s' is not a generator; known: %s", shown(text), text.from,
                eoc_generator_usage());
    int depth = 0;
    for (const char *c = open; c < text.to; c++) {
        depth += (*c == '(') - (*c == ')');
        EOC_REQUIRE(depth > 0 || c == text.to - 1, EOC_ERR_USAGE, "'%.*s': text after the closing parenthesis",
                    shown(text), text.from);
    }
    EOC_REQUIRE(depth == 0, EOC_ERR_USAGE, "'%.*s': the parentheses do not balance", shown(text), text.from);
    *name = trimmed(text.from, open);
    *inner = trimmed(open + 1, text.to - 1);
    return EOC_OK;
}

static int count_items(span list)
{
    int count = list.from < list.to;
    for (const char *c = list.from; c < list.to; c++) {
        count += *c == ',';
    }
    return count;
}

/* The item that starts at *from, which moves behind the comma. */
static span next_item(const char **from, const char *to)
{
    const char *comma = memchr(*from, ',', (size_t)(to - *from));
    const char *stop = comma ? comma : to;
    const span item = trimmed(*from, stop);
    *from = comma ? comma + 1 : to;
    return item;
}

static eoc_status check_count(span text, double count, int max_count)
{
    char number[EOC_NUMBER_BYTES];
    EOC_REQUIRE(count <= max_count, EOC_ERR_USAGE, "'%.*s' asks for %s values; at most %d are accepted", shown(text),
                text.from, eoc_text_number(count, number), max_count);
    return EOC_OK;
}

static eoc_status take_memory(int count, double **values)
{
    *values = malloc(sizeof **values * (size_t)count);
    EOC_REQUIRE(*values, EOC_ERR_NOMEM, "no memory for an axis of %d values", count);
    return EOC_OK;
}

static eoc_status read_arguments(const generator *g, span text, span inner, double arguments[NUM_ARGUMENTS])
{
    const int given = count_items(inner);
    EOC_REQUIRE(given == NUM_ARGUMENTS, EOC_ERR_USAGE, "'%.*s' has %d argument%s; it is written %s", shown(text),
                text.from, given, given == 1 ? "" : "s", g->usage);
    const char *from = inner.from;
    for (int i = 0; i < NUM_ARGUMENTS; i++) {
        const span item = next_item(&from, inner.to);
        EOC_REQUIRE(to_number(item, &arguments[i]), EOC_ERR_USAGE, "'%.*s' in '%.*s' is not a finite number; write %s",
                    shown(item), item.from, shown(text), text.from, g->usage);
    }
    return EOC_OK;
}

static eoc_status expand_call(span text, int max_count, int *count, double **values)
{
    span name, inner;
    EOC_TRY(split_call(text, &name, &inner));
    const generator *g = NULL;
    for (int i = 0; i < NUM_GENERATORS; i++) {
        g = is_named(name, generators[i].name) ? &generators[i] : g;
    }
    if (!g) {
        return unknown_generator(name);
    }
    double arguments[NUM_ARGUMENTS], wanted = 0.0;
    EOC_TRY(read_arguments(g, text, inner, arguments));
    const eoc_status status = g->count(arguments, &wanted);
    if (status != EOC_OK) {
        return EOC_FAIL(status, "'%.*s': %s; it is written %s", shown(text), text.from, eoc_status_why(), g->usage);
    }
    EOC_TRY(check_count(text, wanted, max_count));
    EOC_TRY(take_memory((int)wanted, values));
    *count = (int)wanted;
    for (int i = 0; i < *count; i++) {
        (*values)[i] = g->value(arguments, i, *count);
    }
    return EOC_OK;
}

static eoc_status expand_list(span text, int max_count, int *count, double **values)
{
    EOC_REQUIRE(text.to - text.from >= 2 && text.to[-1] == ']', EOC_ERR_USAGE, "'%.*s': the bracket is not closed",
                shown(text), text.from);
    const span inner = trimmed(text.from + 1, text.to - 1);
    const int wanted = count_items(inner);
    EOC_REQUIRE(wanted > 0, EOC_ERR_USAGE, "an empty list in brackets; it must hold numbers, such as [0.5, 1]");
    EOC_TRY(check_count(text, wanted, max_count));
    EOC_TRY(take_memory(wanted, values));
    *count = wanted;
    const char *from = inner.from;
    for (int i = 0; i < wanted; i++) {
        const span item = next_item(&from, inner.to);
        EOC_REQUIRE(to_number(item, &(*values)[i]), EOC_ERR_USAGE, "'%.*s' in '%.*s' is not a finite number",
                    shown(item), item.from, shown(text), text.from);
    }
    return EOC_OK;
}

static eoc_status expand_square(span text, int max_count, int *count, double **values)
{
    span name, inner;
    EOC_TRY(split_call(text, &name, &inner));
    const bool is_list = inner.from < inner.to && *inner.from == '[';
    const char *open = memchr(inner.from, '(', (size_t)(inner.to - inner.from));
    EOC_REQUIRE(is_list || open, EOC_ERR_USAGE,
                "'%.*s': square takes a generator or a list, such as square(linspace(0, 2, 5)) or square([0.5, 1])",
                shown(text), text.from);
    EOC_TRY(is_list ? expand_list(inner, max_count, count, values) : expand_call(inner, max_count, count, values));
    for (int i = 0; i < *count; i++) {
        (*values)[i] *= (*values)[i];
    }
    return EOC_OK;
}

static eoc_status expand(span text, int max_count, int *count, double **values)
{
    const char *open = memchr(text.from, '(', (size_t)(text.to - text.from));
    const bool squared = open && is_named(trimmed(text.from, open), "square");
    EOC_TRY(squared ? expand_square(text, max_count, count, values) : expand_call(text, max_count, count, values));
    for (int i = 0; i < *count; i++) {
        EOC_REQUIRE(isfinite((*values)[i]), EOC_ERR_USAGE, "'%.*s': its values are too large", shown(text), text.from);
        (*values)[i] = eoc_text_round((*values)[i]);
    }
    return EOC_OK;
}

bool eoc_generator_is_call(const char *text)
{
    const span s = trimmed(text, text + strlen(text));
    return isalpha((unsigned char)*s.from) && memchr(s.from, '(', (size_t)(s.to - s.from));
}

eoc_status eoc_generator_expand(const char *text, int max_count, int *count, double **values)
{
    *count = 0;
    *values = NULL;
    const eoc_status status = expand(trimmed(text, text + strlen(text)), max_count, count, values);
    if (status != EOC_OK) {
        free(*values);
        *values = NULL;
        *count = 0;
    }
    return status;
}

/* -- whole numbers -- */

typedef struct {
    double value;
    int index;
} indexed;

static int by_value(const void *a, const void *b)
{
    const indexed *x = a, *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

int eoc_generator_whole(double *values, int count)
{
    indexed *sorted = malloc(sizeof *sorted * (size_t)(count > 0 ? count : 1));
    if (!sorted) {
        abort();
    }
    for (int i = 0; i < count; i++) {
        values[i] = round(values[i]) + 0.0; /* no -0 */
        sorted[i] = (indexed){values[i], i};
    }
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
    for (int i = 1; i < count; i++) {
        if (sorted[i].value == sorted[i - 1].value) {
            values[sorted[i].index] = NAN;
        }
    }
    free(sorted);
    int kept = 0;
    for (int i = 0; i < count; i++) {
        if (!isnan(values[i])) {
            values[kept++] = values[i];
        }
    }
    return kept;
}
