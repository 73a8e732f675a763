/* SPDX-License-Identifier: BSD-3-Clause */
/* The JSON text of a run's row of provenance. Private to this folder. */
#ifndef EOC_RUN_PROVENANCE_H
#define EOC_RUN_PROVENANCE_H

#include "eoc/run.h"
#include "eoc/text.h"

/** Collective over comm: the hosts and BLAS kernels of all ranks, on rank 0 with the rest. Warns where BLAS kernels
 * differ. */
void eoc_provenance_gather_all(MPI_Comm comm, const eoc_run_options *options, eoc_text *facts);

/** Collective over comm: warns where the ranks of a node have more threads than it has cores, or a rank more
 * than it is bound to. */
void eoc_provenance_warn_of_crowding_all(MPI_Comm comm, int threads);

/** The JSON object: the gathered facts and why the run ended. */
void eoc_provenance_write(const eoc_text *facts, const char *ended, eoc_text *json);

#endif
