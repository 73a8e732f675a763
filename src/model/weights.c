/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/weights.h"

#include "samplers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* run/sampler stores the row. */
static const eoc_sampler *const samplers[] = {&eoc_sampler_explicit, &eoc_sampler_implicit};

int eoc_sampler_count(void)
{
    return (int)(sizeof samplers / sizeof samplers[0]);
}

const eoc_sampler *eoc_sampler_row(int row)
{
    assert(row >= 0 && row < eoc_sampler_count());
    return samplers[row];
}

const eoc_sampler *eoc_sampler_find(const char *name)
{
    for (int row = 0; row < eoc_sampler_count(); row++) {
        if (strcmp(samplers[row]->name, name) == 0) {
            return samplers[row];
        }
    }
    return NULL;
}

int eoc_sampler_index(const eoc_sampler *sampler)
{
    int row = 0;
    while (samplers[row] != sampler) {
        row++;
        assert(row < eoc_sampler_count());
    }
    return row;
}

const eoc_sampler *eoc_sampler_auto(const eoc_matrix *matrix, int columns)
{
    const eoc_sampler *best = NULL;
    for (int row = 0; row < eoc_sampler_count(); row++) {
        const eoc_sampler *s = samplers[row];
        if (s->can_draw(&matrix->initializer) &&
            (!best || s->operations(matrix, columns) < best->operations(matrix, columns))) {
            best = s;
        }
    }
    return best;
}

double eoc_matrix_variance(const eoc_matrix *m)
{
    return eoc_initializer_variance(&m->initializer, m->weight_variance, m->fan_out * (m->taps > 0 ? m->taps : 1),
                                    m->fan_in);
}

eoc_status eoc_weights_create(int max_fan, int max_columns, eoc_weights **weights)
{
    eoc_weights *w = calloc(1, sizeof *w);
    const size_t tile = (size_t)EOC_TILE_SIDE * EOC_TILE_SIDE, fan = (size_t)max_fan, columns = (size_t)max_columns;
    const size_t scratch = fan > tile ? fan : tile, block = EOC_RNG_GROUP * columns;
    if (w) {
        w->max_fan = max_fan;
        w->max_columns = max_columns;
        w->drawn = malloc(sizeof(float) * tile);
        w->tile = malloc(sizeof(double) * scratch);
        w->padded = malloc(sizeof(double) * fan);
        w->frame = malloc(sizeof(double) * (columns * fan + 1));
        w->normals = malloc(sizeof(double) * (block > EOC_DRAWN_DOUBLES ? block : EOC_DRAWN_DOUBLES));
        w->r = malloc(sizeof(double) * (2 * columns * columns + 4 * columns + 1));
    }
    if (!w || !w->drawn || !w->tile || !w->padded || !w->frame || !w->normals || !w->r) {
        eoc_weights_destroy(&w);
        return EOC_FAIL(EOC_ERR_NOMEM, "out of memory for the weights of width %d", max_fan);
    }
    w->along = w->r + columns * columns;
    w->work = w->along + columns * columns;
    *weights = w;
    return EOC_OK;
}

double eoc_weights_bytes(int max_fan, int max_columns)
{
    const double tile = EOC_TILE_SIDE * EOC_TILE_SIDE, fan = max_fan, columns = max_columns;
    const double block = EOC_RNG_GROUP * columns;
    return 4.0 * tile + 8.0 * (fan > tile ? fan : tile) +
           8.0 * (fan + columns * fan + (block > EOC_DRAWN_DOUBLES ? block : EOC_DRAWN_DOUBLES) +
                  2.0 * columns * columns + 4.0 * columns);
}

void eoc_weights_destroy(eoc_weights **weights)
{
    if (*weights) {
        free((*weights)->drawn);
        free((*weights)->tile);
        free((*weights)->padded);
        free((*weights)->frame);
        free((*weights)->normals);
        free((*weights)->r);
        free(*weights);
        *weights = NULL;
    }
}
