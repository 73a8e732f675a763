/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A study: what a sweep does with every unit, one network in and one record out. Serial; no ranks, no files.
 */
#ifndef EOC_STUDY_H
#define EOC_STUDY_H

#include "eoc/record.h"

/** The probe's and the trainer's memory, reused from unit to unit; one a rank. */
typedef struct eoc_study eoc_study;

/**
 * For networks up to a depth and width.
 *
 * @param data  what probe->train learns, borrowed; NULL where nothing is trained
 */
eoc_status eoc_study_create(const eoc_probe *probe, const eoc_data *data, const eoc_layout *layout, int max_depth,
                            int max_width, eoc_study **study);
void eoc_study_destroy(eoc_study **study);

/** Bytes that eoc_study_create takes. */
double eoc_study_bytes(const eoc_probe *probe, const eoc_data *data, int max_depth, int max_width);

/**
 * Probes and trains a network as the sweep says. The outcome is the probe's where there is one, for a training that
 * diverges is a result; EOC_FAILED where either lacked memory.
 *
 * @param record  rows of the groups probe and train are overwritten
 * @return false when the host gave the unit up: record and outcome then mean nothing
 */
bool eoc_study_run(eoc_study *study, const eoc_network *network, const eoc_host *host, eoc_unit_record *record,
                   eoc_outcome *outcome);

#endif
