/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A data set on all ranks: one rank reads or draws it, the others get it by broadcast, and the ranks of a node look at
 * one copy of it in memory.
 *
 * The copy of a node is POSIX shared memory that no other process can name once it is there, read-only for all ranks
 * but the one that filled it; nothing is left behind, however a run ends. Where a node has no such memory (/dev/shm too
 * small, say) its ranks have a copy each: slower to begin and larger, nothing else.
 */
#ifndef EOC_SHARE_DATA_H
#define EOC_SHARE_DATA_H

#include "eoc/dataset.h"

#include <mpi.h>

typedef struct eoc_shared_data eoc_shared_data;

/**
 * Collective over comm; `request` counts on rank 0 alone. EOC_OK on all ranks or on none: where rank 0 cannot load the
 * set it has the reason (eoc_dataset_load) and the others EOC_ERR_PEER. To be destroyed by all ranks, each when it
 * likes.
 */
eoc_status eoc_share_data_all(MPI_Comm comm, const eoc_dataset_request *request, eoc_shared_data **shared);

/** The set, not to be written to. Valid until eoc_shared_data_destroy. */
const eoc_data *eoc_shared_data_get(const eoc_shared_data *shared);

/** How many ranks look at the copy that this rank looks at: 1 where it is its own. */
int eoc_shared_data_sharers(const eoc_shared_data *shared);

/** Not collective. Accepts a pointer to NULL. */
void eoc_shared_data_destroy(eoc_shared_data **shared);

#endif
