/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A sweep as the user asked for it: what a sweep file and --set say, checked and complete.
 */
#ifndef EOC_SWEEP_H
#define EOC_SWEEP_H

#include "eoc/grid.h"
#include "eoc/key.h"
#include "eoc/probe.h"
#include "eoc/text.h"
#include "eoc/train.h"

#include <stdint.h>

typedef struct {
    char *title;
    char *output; /* result file as the sweep file names it, or NULL */
    uint64_t seed;
    eoc_grid grid;
    eoc_probe probe; /* probe.train: NULL, or to `train` below; so a sweep is not to be copied */
    eoc_train train;
    eoc_images *images; /* of probe.inputs, where it has some, once they are loaded; else NULL */
    char *whole;        /* the resolved sweep that this one is a part of (eoc_sweep_take_part), or NULL */
} eoc_sweep;

void eoc_sweep_clear(eoc_sweep *sweep);

/**
 * Reads a sweep file (YAML), lays --set assignments over it and checks everything.
 *
 * @param path  the file, or "-" for none: then every key comes from --set and the defaults
 * @param sets  (num_sets) texts "KEY=VALUE"
 * @param errors  every mistake, one line each, in file order: "file:line:column: key: what is wrong; what would be
 * accepted",
 *                "--set KEY=VALUE: key: ..." or, of a missing key, "file: key: ..."; after 100 the rest is left out
 * @return EOC_OK, or EOC_ERR_USAGE with `errors` filled and `sweep` cleared
 */
eoc_status eoc_config_read(const char *path, const char *const *sets, int num_sets, eoc_sweep *sweep, eoc_text *errors);

/** The same of bytes as a file would hold them; `name` stands for the file in mistakes. */
eoc_status eoc_config_read_bytes(const char *name, const char *bytes, size_t num_bytes, const char *const *sets,
                                 int num_sets, eoc_sweep *sweep, eoc_text *errors);

/** The same of a text, such as the resolved sweep that a result file holds; `name` stands for the file in mistakes. */
eoc_status eoc_config_read_text(const char *name, const char *text, eoc_sweep *sweep, eoc_text *errors);

/**
 * The resolved sweep: every key that is read, with its value in canonical spelling, one a line, in the table's order;
 * sections are nested by two spaces, lists written [a, b]. Reading it back as a sweep file gives the same text. With
 * `identity_only` without the keys that do not change any number (title, output).
 */
void eoc_config_resolved(const eoc_sweep *sweep, int identity_only, eoc_text *out);

/**
 * Leaves part `index` (from 1) of `count`: every count-th value of the longest axis, from the index-th on; the first of
 * equally long ones. Where only some layers are kept the depth is not cut: which ones depends on the greatest depth.
 * `axis` tells which it was. EOC_ERR_USAGE with a sentence where the axis has fewer values than there are parts.
 */
eoc_status eoc_sweep_take_part(eoc_sweep *sweep, int index, int count, eoc_axis_id *axis);

/**
 * Makes the first training samples of `data` the images of probe.inputs, whose kind has some; data is not retained.
 * Errors as eoc_images_check and eoc_images_create.
 */
eoc_status eoc_sweep_take_images(eoc_sweep *sweep, const eoc_data *data);

/** The table of keys, those of all sections. */
int eoc_config_key_count(void);
const eoc_key_row *eoc_config_key_row(int row);

/** Appends every key with its default, its meaning and what it accepts: for `eoc list` and help. */
void eoc_config_keys(eoc_text *out);

#endif
