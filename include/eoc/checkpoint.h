/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Checkpoints: the state of one long unit, in a file of its own beside the result file.
 *
 * Written to a temporary name, synced and renamed, so that there is always a whole one or none. One is taken only where
 * everything agrees; whatever else lies there is as good as none. Inside, in the machine's byte order, without gaps:
 *   char magic[16]            "eoc checkpoint 1", no zero at its end
 *   uint32 physics_version
 *   uint32 owner[2]           a hash of the sweep's identity and the network's key
 *   uint32 count              of pieces
 *   uint64 bytes[count]       of each piece
 *   the pieces, one after the other
 *   uint32 sum                CRC-32 (zlib) of all that is before it
 * The pieces of a training are those of pieces_of in src/study/train.c: first int32 (place in the list of learning
 * rates, steps done, steps recorded), second the float32 parameters in the order of net.h, then the optimizer's states
 * in the same order, then the rows so far.
 */
#ifndef EOC_CHECKPOINT_H
#define EOC_CHECKPOINT_H

#include "eoc/probe.h"
#include "eoc/rng.h"
#include "eoc/text.h"

/** Appends the name of the checkpoint of a unit: RESULT.unit-UNIT.checkpoint. */
void eoc_checkpoint_path(const char *result, int64_t unit, eoc_text *path);

/** Writes it in place of one that is there. EOC_ERR_IO with a sentence; then the one that was there still is. */
eoc_status eoc_checkpoint_save(const char *path, eoc_key owner, const eoc_piece *pieces, int count);

/** Fills the pieces where `path` holds a checkpoint of these sizes and this owner; else false, and they are as before.
 */
bool eoc_checkpoint_load(const char *path, eoc_key owner, const eoc_piece *pieces, int count);

/** Removes it and what is left of writing it, where they are. */
void eoc_checkpoint_remove(const char *path);

#endif
