/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/run.h"

#include "eoc/part.h"
#include "eoc/store.h"
#include "eoc/view.h"

#include <stdlib.h>
#include <string.h>

/* What rank 0 found, on every rank; NULL where it found nothing or there is no memory for it. */
static char *share_text_all(MPI_Comm comm, char *text)
{
    int rank = 0, length = text ? (int)strlen(text) : -1;
    MPI_Comm_rank(comm, &rank);
    MPI_Bcast(&length, 1, MPI_INT, 0, comm);
    if (length < 0) {
        return NULL;
    }
    if (rank != 0) {
        text = malloc((size_t)length + 1);
    }
    if (eoc_agree_all(comm, text ? EOC_OK : EOC_ERR_NOMEM) != EOC_OK) {
        free(text);
        return NULL;
    }
    MPI_Bcast(text, length + 1, MPI_CHAR, 0, comm);
    return text;
}

static eoc_status adopt(const char *path, const char *text, eoc_sweep *sweep)
{
    eoc_sweep there;
    eoc_text errors = {0};
    bool same = false;
    eoc_status status = EOC_OK;
    if (eoc_config_read_text(path, text, &there, &errors) == EOC_OK) {
        status = eoc_grid_same_values(&sweep->grid, &there.grid, &same);
    }
    if (same) {
        const eoc_grid own = sweep->grid;
        sweep->grid = there.grid;
        there.grid = own;
    }
    eoc_sweep_clear(&there);
    eoc_text_clear(&errors);
    return status;
}

eoc_status eoc_run_adopt_order_all(MPI_Comm comm, const char *path, eoc_sweep *sweep)
{
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    char *text = share_text_all(comm, rank == 0 ? eoc_view_sweep(path) : NULL);
    const eoc_status status = text ? adopt(path, text, sweep) : EOC_OK;
    free(text);
    return eoc_agree_all(comm, status);
}
