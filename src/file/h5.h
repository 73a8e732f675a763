/* SPDX-License-Identifier: BSD-3-Clause */
/* Helpers around HDF5 that both phases share. Private to this folder. */
#ifndef EOC_FILE_H5_H
#define EOC_FILE_H5_H

#include "eoc/record.h"
#include "eoc/status.h"

#include <hdf5.h>

enum { EOC_MAX_RANK = EOC_NUM_AXES + EOC_MAX_ALONG };

/** Sets the sentence from HDF5's error stack, "PATH: DOING: innermost reason". To be called at once: the next call of
 * the library, even one that closes something, clears the stack. */
eoc_status eoc_h5_fail(const char *path, const char *doing);

/** Stops HDF5 from printing its error stack; failures are told in a sentence. */
void eoc_h5_quiet(void);

/** Opens a file with the serial driver, without locks; `what` says what it should be: "a data set". EOC_ERR_USAGE. */
eoc_status eoc_h5_open_to_read(const char *path, const char *what, hid_t *file);

/** A string attribute, of fixed or variable length; NULL where there is none. To be freed. */
char *eoc_h5_text_attribute(hid_t object, const char *name);

hid_t eoc_h5_file_type(eoc_type type);
hid_t eoc_h5_memory_type(eoc_type type);

/** Dimensions that a variable has beside those of its scope, outermost first; returns how many. */
int eoc_h5_along(const eoc_layout *layout, const eoc_variable *variable, hsize_t shape[EOC_MAX_ALONG]);

/** Dimensions of a variable in the file; returns how many. */
int eoc_h5_shape(const eoc_grid *grid, const eoc_layout *layout, const eoc_variable *variable,
                 hsize_t shape[EOC_MAX_RANK]);

#endif
