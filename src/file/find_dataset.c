/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the data set of a name is. */
#include "eoc/dataset.h"

#include "eoc/text.h"

#include "h5.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FOLDERS = 64, MAX_NAMES = 64 };

/* Folders in the order of the search; "" is the current one, for a path as it stands. */
typedef struct {
    char *folders[MAX_FOLDERS];
    int count;
} places;

static void add_place(places *p, const char *folder, size_t length)
{
    if (p->count < MAX_FOLDERS) {
        p->folders[p->count++] = eoc_text_copy(folder, length);
    }
}

static void add_listed(places *p, const char *list)
{
    while (list && *list) {
        const size_t length = strcspn(list, ":");
        if (length > 0) {
            add_place(p, list, length);
        }
        list += length + (list[length] == ':');
    }
}

/* The folder of a file's path. */
static void add_folder_of(places *p, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash) {
        add_place(p, path, slash > path ? (size_t)(slash - path) : 1);
    }
}

/* share/eoc/data as it lies from the program's own folder: an installation may have been moved. */
static void add_installed(places *p)
{
    char program[4096];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        char *const slash = strrchr(program, '/');
        if (slash) {
            eoc_text folder = {0};
            eoc_text_append(&folder, "%.*s/%s", (int)(slash - program), program, EOC_DATA_FROM_BIN);
            add_place(p, folder.data, folder.length);
            eoc_text_clear(&folder);
        }
    }
    add_place(p, EOC_INSTALLED_DATA, strlen(EOC_INSTALLED_DATA));
    add_place(p, EOC_SOURCE_DATA, strlen(EOC_SOURCE_DATA));
}

static places places_of(const char *name, const char *sweep_path)
{
    places p = {.count = 0};
    add_place(&p, "", 0);
    if (name[0] == '/') {
        return p;
    }
    add_listed(&p, getenv("EOC_DATA_PATH"));
    if (sweep_path) {
        add_folder_of(&p, sweep_path);
    }
    add_installed(&p);
    return p;
}

static void places_clear(places *p)
{
    for (int i = 0; i < p->count; i++) {
        free(p->folders[i]);
    }
    p->count = 0;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_there(const char *path)
{
    struct stat entry;
    return stat(path, &entry) == 0 && !S_ISDIR(entry.st_mode);
}

/* Whether it is a result file of eoc. What cannot be opened is none: reading it tells what is wrong. */
static bool is_result(const char *path)
{
    hid_t file = -1;
    if (eoc_h5_open_to_read(path, "a data set", &file) != EOC_OK) {
        return false;
    }
    char *const maker = eoc_h5_text_attribute(file, "source");
    const bool result = maker && strncmp(maker, "eoc ", 4) == 0 && H5Aexists(file, "schema_version") > 0;
    free(maker);
    H5Fclose(file);
    return result;
}

/* NAME.h5, then NAME; NULL: neither. Counts the result files that were passed over. */
static char *look_in(const char *folder, const char *name, int *passed_over)
{
    static const char *const endings[] = {".h5", ""};
    for (int i = ends_with(name, ".h5"); i < 2; i++) {
        eoc_text path = {0};
        eoc_text_append(&path, "%s%s%s%s", folder, *folder ? "/" : "", name, endings[i]);
        const bool there = is_there(path.data), result = there && is_result(path.data);
        *passed_over += result;
        if (there && !result) {
            return path.data;
        }
        eoc_text_clear(&path);
    }
    return NULL;
}

/* -- when there is none -- */

static int add_names_in(const char *folder, char **names, int count)
{
    DIR *const entries = opendir(folder);
    if (!entries) {
        return count;
    }
    for (const struct dirent *entry = readdir(entries); entry && count < MAX_NAMES; entry = readdir(entries)) {
        if (ends_with(entry->d_name, ".h5")) {
            names[count++] = eoc_text_copy(entry->d_name, strlen(entry->d_name) - strlen(".h5"));
        }
    }
    closedir(entries);
    return count;
}

/* A known name near to one that is not. */
static char *nearest_name(const places *p, const char *name)
{
    char *names[MAX_NAMES];
    int count = 0;
    for (int row = 0; row < eoc_data_kind_count(); row++) {
        const char *const kind = eoc_data_kind_row(row)->name;
        names[count++] = eoc_text_copy(kind, strlen(kind));
    }
    for (int i = 1; i < p->count; i++) {
        count = add_names_in(p->folders[i], names, count);
    }
    const char *const nearest = eoc_text_nearest(name, (const char *const *)names, count);
    char *const copy = nearest ? eoc_text_copy(nearest, strlen(nearest)) : NULL;
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    return copy;
}

static eoc_status nothing_found(const places *p, const char *name, int passed_over)
{
    eoc_text looked = {0};
    for (int i = 0; i < p->count; i++) {
        struct stat entry;
        /* Of the installation's folders, those that are there. */
        if (i == 0 || stat(p->folders[i], &entry) == 0) {
            eoc_text_append(&looked, "%s%s", i ? ", " : "", i ? p->folders[i] : "the path as it stands");
        }
    }
    char *const nearest = nearest_name(p, name);
    const eoc_status status = EOC_FAIL(
        EOC_ERR_USAGE, "no data set '%.200s'%s%s%s%s; looked for: %s", name, nearest ? "; did you mean '" : "",
        nearest ? nearest : "", nearest ? "'?" : "",
        passed_over ? "; a file of that name is a result file of eoc, which is not a data set" : "", looked.data);
    free(nearest);
    eoc_text_clear(&looked);
    return status;
}

eoc_status eoc_dataset_find(const char *name, const char *sweep_path, char **path)
{
    places p = places_of(name, sweep_path);
    int passed_over = 0;
    *path = NULL;
    for (int i = 0; i < p.count && !*path; i++) {
        *path = look_in(p.folders[i], name, &passed_over);
    }
    const eoc_status status = *path ? EOC_OK : nothing_found(&p, name, passed_over);
    places_clear(&p);
    return status;
}
