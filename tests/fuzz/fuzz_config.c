/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What users write, at random: a sweep file, then assignments behind "\n--set ". Nothing may crash, hang or leak; what
 * is accepted is spelled, and read back must be the same.
 *
 * With libFuzzer (cmake -DEOC_FUZZ=ON, by tests/fuzz/run) inputs are invented; the plain program replays the files that
 * it is given.
 */
#include "eoc/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Ends the sweep file at the first "\n--set ", which each begins an assignment; returns how many there are. */
static int split_sets(char *text, const char *sets[MAX_SETS])
{
    static const char mark[] = "\n--set ";
    int count = 0;
    for (char *next = strstr(text, mark); next && count < MAX_SETS; next = strstr(sets[count - 1], mark)) {
        *next = '\0';
        sets[count++] = next + strlen(mark);
    }
    return count;
}

static void check_spelling(const eoc_sweep *sweep)
{
    eoc_text resolved = {0}, again = {0}, errors = {0};
    eoc_sweep other;
    eoc_config_resolved(sweep, 0, &resolved);
    if (eoc_config_read_text("resolved", resolved.data, &other, &errors) != EOC_OK) {
        fprintf(stderr, "the resolved sweep is not accepted:\n%s\n%s\n", resolved.data, errors.data);
        abort();
    }
    eoc_config_resolved(&other, 0, &again);
    if (strcmp(again.data, resolved.data) != 0) {
        fprintf(stderr, "read back it is another:\n%s\n---\n%s\n", resolved.data, again.data);
        abort();
    }
    eoc_sweep_clear(&other);
    eoc_text_clear(&resolved);
    eoc_text_clear(&again);
    eoc_text_clear(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *const text = malloc(size + 1);
    memcpy(text, bytes, size);
    text[size] = '\0';
    const char *sets[MAX_SETS];
    const int num_sets = split_sets(text, sets);
    eoc_sweep sweep;
    eoc_text errors = {0};
    if (eoc_config_read_bytes("fuzz", text, num_sets ? strlen(text) : size, sets, num_sets, &sweep, &errors) ==
        EOC_OK) {
        check_spelling(&sweep);
        eoc_sweep_clear(&sweep);
    } else if (!errors.data || !*errors.data) {
        fprintf(stderr, "refused without a word\n");
        abort();
    }
    eoc_text_clear(&errors);
    free(text);
    return 0;
}

#ifndef EOC_FUZZ
static bool replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    static uint8_t bytes[1 << 20];
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    return true;
}

int main(int argc, char **argv)
{
    bool good = argc > 1;
    for (int i = 1; i < argc; i++) {
        good = replay(argv[i]) && good;
    }
    printf("%d inputs replayed\n", argc - 1);
    return good ? 0 : 1;
}
#endif
