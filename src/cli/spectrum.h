/* SPDX-License-Identifier: BSD-3-Clause */
/* The spectrum of the Jacobian as `eoc theory --spectrum` shows it. Private to this folder. */
#ifndef EOC_CLI_SPECTRUM_H
#define EOC_CLI_SPECTRUM_H

#include "json.h"

#include "eoc/spectrum.h"

enum { EOC_CLI_SPECTRUM_POINTS = 201 };

/** Density and distribution function from the lower edge of the spectrum to the upper one. */
typedef struct {
    eoc_spectrum_shape shape;
    double log_lambda[EOC_CLI_SPECTRUM_POINTS], density[EOC_CLI_SPECTRUM_POINTS], cdf[EOC_CLI_SPECTRUM_POINTS];
} eoc_cli_spectrum;

eoc_status eoc_cli_spectrum_compute(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                                    eoc_cli_spectrum *out);
void eoc_cli_spectrum_print(const eoc_cli_spectrum *spectrum);

/** As the member "spectrum" of the object that is open. */
void eoc_cli_spectrum_json(const eoc_cli_spectrum *spectrum, json *j);

#endif
