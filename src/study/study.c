/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/study.h"

#include <stdlib.h>

struct eoc_study {
    const eoc_probe *probe;
    const eoc_layout *layout;
    eoc_probe_workspace *probing;  /* NULL: nothing is probed */
    eoc_train_workspace *training; /* NULL: nothing is trained */
};

eoc_status eoc_study_create(const eoc_probe *probe, const eoc_data *data, const eoc_layout *layout, int max_depth,
                            int max_width, eoc_study **out)
{
    eoc_study *const study = calloc(1, sizeof *study);
    *out = study;
    EOC_REQUIRE(study, EOC_ERR_NOMEM, "out of memory");
    study->probe = probe;
    study->layout = layout;
    eoc_status status = EOC_OK;
    if (!probe->nothing) {
        status = eoc_probe_workspace_create(probe, max_depth, max_width, &study->probing);
    }
    if (status == EOC_OK && probe->train) {
        status = eoc_train_workspace_create(probe->train, data, max_depth, max_width, &study->training);
    }
    if (status != EOC_OK) {
        eoc_study_destroy(out);
    }
    return status;
}

void eoc_study_destroy(eoc_study **study)
{
    if (*study) {
        eoc_probe_workspace_destroy(&(*study)->probing);
        eoc_train_workspace_destroy(&(*study)->training);
        free(*study);
        *study = NULL;
    }
}

double eoc_study_bytes(const eoc_probe *probe, const eoc_data *data, int max_depth, int max_width)
{
    return (probe->nothing ? 0.0 : eoc_probe_workspace_bytes(probe, max_depth, max_width)) +
           (probe->train ? eoc_train_workspace_bytes(probe->train, data, max_depth, max_width) : 0.0);
}

bool eoc_study_run(eoc_study *study, const eoc_network *network, const eoc_host *host, eoc_unit_record *record,
                   eoc_outcome *outcome)
{
    const eoc_probe *probe = study->probe;
    const eoc_layout *layout = study->layout;
    *outcome = (eoc_outcome){.status = EOC_FAILED, .reason = EOC_REASON_MEMORY};
    double variance = 1.0;
    if (eoc_study_input_variance(probe, network, &variance) != EOC_OK) {
        return true;
    }
    if (study->probing && !eoc_probe_run(probe, network, variance, layout->layers, layout->num_layers, study->probing,
                                         host, &record->probe, outcome)) {
        return false;
    }
    eoc_outcome trained = {.status = EOC_DONE};
    if (study->training && !eoc_train_run(probe->train, network, layout->steps, layout->num_steps, layout->layers,
                                          layout->num_layers, study->training, host, &record->train, &trained)) {
        return false;
    }
    if (!study->probing || trained.status == EOC_FAILED) {
        *outcome = trained;
    }
    return true;
}
