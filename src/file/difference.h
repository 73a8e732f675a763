/* SPDX-License-Identifier: BSD-3-Clause */
/* In what two resolved sweeps differ. Private to this folder. */
#ifndef EOC_FILE_DIFFERENCE_H
#define EOC_FILE_DIFFERENCE_H

#include "eoc/text.h"

/**
 * Appends the first key that differs with both values, "grid.width is [10] there and [10, 20] here"; of long values the
 * part that differs. Texts as eoc_config_resolved writes them.
 */
void eoc_sweep_difference(const char *there, const char *here, eoc_text *out);

#endif
