/* SPDX-License-Identifier: BSD-3-Clause */
#include "h5.h"

#include "eoc/store.h"
#include "eoc/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char text[512];
} innermost;

/* H5Ewalk upwards begins with the call that failed first: the nearest to the operating system. */
static herr_t take_first(unsigned n, const H5E_error2_t *error, void *data)
{
    innermost *const found = data;
    if (n == 0 && error->desc) {
        snprintf(found->text, sizeof found->text, "%s", error->desc);
    }
    return 0;
}

eoc_status eoc_h5_fail(const char *path, const char *doing)
{
    innermost reason = {"the HDF5 library gave no reason"};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &reason);
    /* The driver's message ends with a dump of its arguments; the reason stands before them. */
    const char *error_message = strstr(reason.text, "error message = '");
    if (error_message) {
        char quoted[256];
        snprintf(quoted, sizeof quoted, "%s", error_message + strlen("error message = '"));
        quoted[strcspn(quoted, "'")] = '\0';
        return EOC_FAIL(EOC_ERR_IO, "%s: %s: %s", path, doing, quoted);
    }
    return EOC_FAIL(EOC_ERR_IO, "%s: %s: %s", path, doing, reason.text);
}

void eoc_h5_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

char *eoc_h5_text_attribute(hid_t object, const char *name)
{
    if (H5Aexists(object, name) <= 0) {
        return NULL;
    }
    char *text = NULL;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(attribute),
          space = H5Aget_space(attribute);
    const bool is_text = H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1;
    if (is_text && H5Tis_variable_str(type) > 0) {
        text = H5Aread(attribute, type, &text) < 0 ? NULL : text;
    } else if (is_text) {
        const size_t bytes = H5Tget_size(type);
        text = H5allocate_memory(bytes + 1, true);
        if (text && H5Aread(attribute, type, text) < 0) {
            H5free_memory(text);
            text = NULL;
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    char *copy = text ? eoc_text_copy(text, strlen(text)) : NULL;
    H5free_memory(text);
    return copy;
}

eoc_status eoc_h5_open_to_read(const char *path, const char *what, hid_t *file)
{
    struct stat entry;
    eoc_h5_quiet();
    EOC_REQUIRE(stat(path, &entry) == 0 && access(path, R_OK) == 0, EOC_ERR_USAGE, "%s: %s", path, strerror(errno));
    EOC_REQUIRE(S_ISREG(entry.st_mode), EOC_ERR_USAGE, "%s is %s; %s (.h5) is wanted", path,
                S_ISDIR(entry.st_mode) ? "a directory" : "not a regular file", what);
    hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access_list, false, true); /* many read it at once, from file systems without locks too */
    *file = H5Fopen(path, H5F_ACC_RDONLY, access_list);
    H5Pclose(access_list);
    EOC_REQUIRE(*file >= 0, EOC_ERR_USAGE, "%s is not an HDF5 file, or a damaged one; %s (.h5) is wanted", path, what);
    return EOC_OK;
}

const char *eoc_store_library(void)
{
    static char text[48];
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "HDF5 %u.%u.%u", major, minor, release);
    return text;
}

hid_t eoc_h5_file_type(eoc_type type)
{
    switch (type) {
    case EOC_TYPE_INT8:
        return H5T_STD_I8LE;
    case EOC_TYPE_INT32:
        return H5T_STD_I32LE;
    case EOC_TYPE_UINT16:
        return H5T_STD_U16LE;
    case EOC_TYPE_UINT32:
        return H5T_STD_U32LE;
    case EOC_TYPE_FLOAT64:
        return H5T_IEEE_F64LE;
    }
    assert(!"a type without an HDF5 type");
    return -1;
}

hid_t eoc_h5_memory_type(eoc_type type)
{
    switch (type) {
    case EOC_TYPE_INT8:
        return H5T_NATIVE_INT8;
    case EOC_TYPE_INT32:
        return H5T_NATIVE_INT32;
    case EOC_TYPE_UINT16:
        return H5T_NATIVE_UINT16;
    case EOC_TYPE_UINT32:
        return H5T_NATIVE_UINT32;
    case EOC_TYPE_FLOAT64:
        return H5T_NATIVE_DOUBLE;
    }
    assert(!"a type without an HDF5 type");
    return -1;
}

int eoc_h5_along(const eoc_layout *layout, const eoc_variable *variable, hsize_t shape[EOC_MAX_ALONG])
{
    eoc_scale scales[EOC_MAX_ALONG];
    const int count = eoc_along_scales(variable->along, scales);
    for (int i = 0; i < count; i++) {
        shape[i] = (hsize_t)eoc_layout_scale_count(layout, scales[i]);
    }
    return count;
}

int eoc_h5_shape(const eoc_grid *grid, const eoc_layout *layout, const eoc_variable *variable,
                 hsize_t shape[EOC_MAX_RANK])
{
    const int num_axes = variable->scope == EOC_PER_UNIT ? EOC_NUM_AXES : EOC_AXIS_REPLICA;
    int rank = 0;
    for (; rank < num_axes; rank++) {
        shape[rank] = (hsize_t)grid->axes[rank].count;
    }
    return rank + eoc_h5_along(layout, variable, shape + rank);
}
