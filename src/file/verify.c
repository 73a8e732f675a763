/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether what a file says is done is what its checksums say. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

static bool is_finished(int8_t status)
{
    return status == EOC_DONE || status == EOC_DIVERGED || status == EOC_FAILED;
}

/* The rows of one variable into the records of `count` units from `first` on. */
static eoc_status read_into_blocks(eoc_store *store, int row, int64_t first, int64_t count, unsigned char *blocks)
{
    const eoc_layout *layout = store->plan->layout;
    const eoc_variable *v = eoc_variable_row(row);
    const size_t bytes = eoc_type_bytes(v->type) * eoc_layout_row_count(layout, v);
    EOC_TRY(eoc_rows_reserve(store, bytes * (size_t)count));
    EOC_TRY(eoc_rows_read(store, row, first, count, store->gather));
    for (int64_t i = 0; i < count; i++) {
        memcpy(blocks + (size_t)i * layout->unit_bytes + layout->offset[row], store->gather + (size_t)i * bytes, bytes);
    }
    return EOC_OK;
}

static bool any_finished(const eoc_layout *layout, int64_t count, unsigned char *blocks)
{
    bool found = false;
    for (int64_t i = 0; i < count && !found; i++) {
        eoc_unit_record record;
        eoc_layout_unit(layout, blocks + (size_t)i * layout->unit_bytes, &record);
        found = is_finished(*record.status);
    }
    return found;
}

/* The status, and where anything is finished all that a checksum is of. */
static eoc_status read_blocks(eoc_store *store, int64_t first, int64_t count, unsigned char *blocks)
{
    EOC_TRY(read_into_blocks(store, eoc_rows_of("run", "status"), first, count, blocks));
    const bool wanted = any_finished(store->plan->layout, count, blocks);
    for (int row = 0; row < eoc_variable_count() && wanted; row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (store->plan->layout->included[row] && (v->checked || row == eoc_rows_of("run", "checksum"))) {
            EOC_TRY(read_into_blocks(store, row, first, count, blocks));
        }
    }
    return EOC_OK;
}

static eoc_status compare(eoc_store *store, int64_t first, int64_t count, unsigned char *blocks, int64_t *wrong,
                          int64_t *num_wrong)
{
    const eoc_layout *layout = store->plan->layout;
    EOC_TRY(read_blocks(store, first, count, blocks));
    for (int64_t i = 0; i < count; i++) {
        unsigned char *const block = blocks + (size_t)i * layout->unit_bytes;
        eoc_unit_record record;
        eoc_layout_unit(layout, block, &record);
        if (is_finished(*record.status) && *record.checksum != eoc_rows_checksum(layout, block)) {
            wrong[(*num_wrong)++] = first + i;
        }
    }
    return EOC_OK;
}

eoc_status eoc_store_verify(eoc_store *store, int64_t first, int64_t count, int64_t *wrong, int64_t *num_wrong)
{
    *num_wrong = 0;
    unsigned char *blocks = calloc((size_t)count, store->plan->layout->unit_bytes);
    EOC_REQUIRE(blocks, EOC_ERR_NOMEM, "out of memory to check %lld units", (long long)count);
    const eoc_status status = compare(store, first, count, blocks, wrong, num_wrong);
    free(blocks);
    return status;
}
