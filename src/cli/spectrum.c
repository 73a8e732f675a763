/* SPDX-License-Identifier: BSD-3-Clause */
#include "spectrum.h"

#include <math.h>
#include <stdio.h>

/*
 * Where the table begins: the lower edge, or, where the density reaches 0, so far below the mean of lambda that what is
 * left out is of no account in a picture: four times the distance of the upper edge from it, and three e-folds. Where
 * an atom above the density makes the mean, which then says nothing of the density, a dozen e-folds below its edge.
 */
static double lower_end(const eoc_spectrum_shape *shape)
{
    const double over = shape->log_lambda_max - shape->log_m1;
    const double below = over > 0.0 ? shape->log_m1 - 4.0 * over - 3.0 : shape->log_lambda_max - 12.0;
    return isfinite(shape->log_lambda_min) ? fmax(shape->log_lambda_min, below) : below;
}

/* Where it ends: the upper edge, or an atom above it. */
static double upper_end(const eoc_spectrum_shape *shape)
{
    double end = shape->log_lambda_max;
    for (int i = 0; i < shape->num_atoms; i++) {
        end = fmax(end, shape->log_atom[i]);
    }
    return end;
}

eoc_status eoc_cli_spectrum_compute(const eoc_activation *act, double sigma_w2, double q_star, int depth, double s_1,
                                    eoc_cli_spectrum *out)
{
    eoc_spectrum *spectrum = NULL;
    EOC_TRY(eoc_spectrum_create(act, sigma_w2, q_star, depth, s_1, &spectrum));
    out->shape = eoc_spectrum_shape_of(spectrum);
    eoc_status status = EOC_OK;
    for (int i = 0; i < EOC_CLI_SPECTRUM_POINTS; i++) {
        out->log_lambda[i] = out->density[i] = out->cdf[i] = NAN;
    }
    if (isfinite(out->shape.log_lambda_max)) {
        const double low = lower_end(&out->shape), high = upper_end(&out->shape);
        for (int i = 0; i < EOC_CLI_SPECTRUM_POINTS; i++) {
            out->log_lambda[i] = low + (high - low) * i / (EOC_CLI_SPECTRUM_POINTS - 1);
        }
        out->log_lambda[EOC_CLI_SPECTRUM_POINTS - 1] = high; /* to the bit: an atom may be there */
        status = eoc_spectrum_fill(spectrum, out->log_lambda, EOC_CLI_SPECTRUM_POINTS, out->density, out->cdf);
    }
    eoc_spectrum_destroy(&spectrum);
    return status;
}

static void print_number(double value)
{
    char text[32];
    snprintf(text, sizeof text, isnan(value) ? "none" : "%.8g", value);
    printf("  %-14s", text);
}

void eoc_cli_spectrum_print(const eoc_cli_spectrum *spectrum)
{
    const eoc_spectrum_shape *shape = &spectrum->shape;
    printf("\nSquared singular values lambda of the Jacobian, infinite width\n");
    printf("  mass at 0: %.8g\n", shape->mass_at_zero);
    for (int i = 0; i < shape->num_atoms; i++) {
        printf("  mass %.8g at log lambda = %.8g\n", shape->atom_mass[i], shape->log_atom[i]);
    }
    if (!isfinite(shape->log_lambda_max)) {
        printf("  no density\n");
        return;
    }
    printf("  density from log lambda = %.8g to %.8g\n", shape->log_lambda_min, shape->log_lambda_max);
    if (isfinite(shape->log_gap_min)) {
        printf("  but for a gap from %.8g to %.8g\n", shape->log_gap_min, shape->log_gap_max);
    }
    putchar('\n');
    printf("  %-14s  %-14s  %s\n", "log lambda", "density of it", "P(lambda <= it)");
    enum { EVERY = 10 };
    for (int i = 0; i < EOC_CLI_SPECTRUM_POINTS; i += EVERY) {
        print_number(spectrum->log_lambda[i]);
        print_number(spectrum->density[i]);
        print_number(spectrum->cdf[i]);
        putchar('\n');
    }
}

static void json_row(json *j, const char *key, const double *values)
{
    json_open(j, key, '[');
    for (int i = 0; i < EOC_CLI_SPECTRUM_POINTS; i++) {
        json_number(j, NULL, values[i]);
    }
    json_close(j, ']');
}

void eoc_cli_spectrum_json(const eoc_cli_spectrum *spectrum, json *j)
{
    const eoc_spectrum_shape *shape = &spectrum->shape;
    json_open(j, "spectrum", '{');
    json_number(j, "mass_at_zero", shape->mass_at_zero);
    json_open(j, "atoms", '[');
    for (int i = 0; i < shape->num_atoms; i++) {
        json_open(j, NULL, '{');
        json_number(j, "mass", shape->atom_mass[i]);
        json_number(j, "log_lambda", shape->log_atom[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_number(j, "log_lambda_min", shape->log_lambda_min);
    json_number(j, "log_lambda_max", shape->log_lambda_max);
    json_number(j, "log_gap_min", shape->log_gap_min);
    json_number(j, "log_gap_max", shape->log_gap_max);
    json_row(j, "log_lambda", spectrum->log_lambda);
    json_row(j, "density_of_log_lambda", spectrum->density);
    json_row(j, "cdf", spectrum->cdf);
    json_close(j, '}');
}
