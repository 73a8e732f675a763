/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether what a file says is done is what its checksums say. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

static bool is_finished(int8_t status)
{
    return status == EOC_DONE || status == EOC_DIVERGED || status == EOC_FAILED;
}

static bool any_finished(const int8_t *status, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (is_finished(status[i])) {
            return true;
        }
    }
    return false;
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

static eoc_status read_blocks(eoc_store *store, int64_t first, int64_t count, unsigned char *blocks)
{
    for (int row = 0; row < eoc_variable_count(); row++) {
        const eoc_variable *v = eoc_variable_row(row);
        if (store->plan->layout->included[row] && (v->checked || row == eoc_rows_of("run", "checksum"))) {
            EOC_TRY(read_into_blocks(store, row, first, count, blocks));
        }
    }
    return EOC_OK;
}

eoc_status eoc_store_verify(eoc_store *store, int64_t first, int64_t count, int8_t *status)
{
    const eoc_layout *layout = store->plan->layout;
    if (!any_finished(status, count)) {
        return EOC_OK;
    }
    unsigned char *blocks = calloc((size_t)count, layout->unit_bytes);
    EOC_REQUIRE(blocks, EOC_ERR_NOMEM, "out of memory to check %lld units", (long long)count);
    const eoc_status read = read_blocks(store, first, count, blocks);
    for (int64_t i = 0; i < count && read == EOC_OK; i++) {
        unsigned char *const block = blocks + (size_t)i * layout->unit_bytes;
        eoc_unit_record record;
        eoc_layout_unit(layout, block, &record);
        if (is_finished(status[i]) && *record.checksum != eoc_rows_checksum(layout, block)) {
            status[i] = EOC_PENDING;
        }
    }
    free(blocks);
    return read;
}
