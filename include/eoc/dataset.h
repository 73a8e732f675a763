/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Data sets in HDF5 files: finding and reading them, whole and checked. Serial; one process calls it.
 *
 * A data set holds
 *   train/images, test/images    uint8 (0..255) or float32, float64, finite: (n, features), (n, rows, columns), or with
 *                                channels (n, channels, rows, columns) or (n, rows, columns, channels). Which of the
 *                                two is said by the attribute `layout`, "sample, channel, row, column" or "sample, row,
 *                                column, channel"; without it the axis that alone is at most 4 long is the channels'.
 *   train/labels, test/labels    integers (n), 0 to the number of classes - 1, every one of them in train/labels; or
 *   train/targets, test/targets  float32 or float64, (n, outputs) or (n), finite
 * and any attributes, such as title, source and license. tools/eoc-data writes such files.
 */
#ifndef EOC_DATASET_H
#define EOC_DATASET_H

#include "eoc/inputs.h"

/** A data set as it is asked for. */
typedef struct {
    eoc_data_source source;
    const eoc_preprocessing *preprocessing; /* NULL: raw */
    int train_samples, test_samples;        /* the first so many, before preprocessing; 0: all */
    uint64_t seed;                          /* of synthetic sets */
    const char *sweep_path;                 /* the sweep file, beside which data sets are looked for; may be NULL */
    int kept; /* not 0: so many training samples, or all there are, and one test sample are kept after preprocessing */
} eoc_dataset_request;

/** What a probe's inputs ask for: the images alone are kept, after preprocessing with the statistics of all. */
eoc_dataset_request eoc_dataset_request_of(const eoc_inputs *inputs, uint64_t seed, const char *sweep_path);

/**
 * The file that a name stands for. NAME.h5 and NAME are looked for as a path, then in the folders of EOC_DATA_PATH
 * (separated by colons), beside the sweep file, and in the data folder of the installation (share/eoc/data beside the
 * program's bin; jobs/data of the source tree the program was built from). Result files of eoc, which are often named
 * after their sweep, are passed over.
 *
 * @param path  to be freed by the caller
 * @return EOC_ERR_USAGE where there is none; the sentence says where it was looked for
 */
eoc_status eoc_dataset_find(const char *name, const char *sweep_path, char **path);

/**
 * Reads a file; of more samples than are kept no image is read. EOC_ERR_USAGE when it is not such a data set, or has
 * fewer samples; EOC_ERR_IO when it cannot be read; the sentence names file and dataset. `data` is empty after a
 * failure.
 */
eoc_status eoc_dataset_read(const char *path, int train_samples, int test_samples, eoc_data *data);

/** Draws, or finds and reads, what is asked for, and preprocesses it. `data` is empty after a failure. */
eoc_status eoc_dataset_load(const eoc_dataset_request *request, eoc_data *data);

/** CRC-32 (zlib) of sizes and arrays: whether two runs learn the same. */
uint32_t eoc_dataset_checksum(const eoc_data *data);

/** CRC-32 (zlib) of the training samples alone: whether two runs have the same images as inputs. */
uint32_t eoc_dataset_images_checksum(const eoc_data *data);

/**
 * All fields of `data` but the arrays, which are NULL: what memory and time will be needed. Reads shapes and labels
 * alone, so images may still turn out to be damaged.
 */
eoc_status eoc_dataset_sizes(const eoc_dataset_request *request, eoc_data *data);

#endif
