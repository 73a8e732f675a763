/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops of this processor, and the table of optimizers that is the same in all of them. */
#include "eoc/optimizer.h"

#include "eoc/vecmath.h"

#include <assert.h>
#include <string.h>

extern const eoc_net_loops eoc_net_loops_float_generic;
#ifdef EOC_HAVE_LANES_avx2
extern const eoc_net_loops eoc_net_loops_float_avx2, eoc_net_loops_float_avx512f;
#endif

const eoc_net_loops *eoc_net_f32_loops(void)
{
#ifdef EOC_HAVE_LANES_avx2
    const char *isa = eoc_vec_isa();
    if (strcmp(isa, "avx512f") == 0) {
        return &eoc_net_loops_float_avx512f;
    }
    if (strcmp(isa, "avx2") == 0) {
        return &eoc_net_loops_float_avx2;
    }
#endif
    return &eoc_net_loops_float_generic;
}

int eoc_optimizer_count(void)
{
    return eoc_net_loops_float_generic.num_optimizers;
}

static const char *row_name(int row)
{
    return eoc_net_loops_float_generic.optimizers[row].name;
}

static const eoc_parameter *row_parameters(int row)
{
    return eoc_net_loops_float_generic.optimizers[row].parameters;
}

const eoc_kind_table *eoc_optimizer_table(void)
{
    static eoc_kind_table table = {.what = "optimizer", .name = row_name, .parameters = row_parameters};
    table.count = eoc_optimizer_count();
    return &table;
}

eoc_status eoc_optimizer_find(const char *text, eoc_optimizer *optimizer)
{
    return eoc_kind_parse(eoc_optimizer_table(), text, &optimizer->row, optimizer->parameters);
}
