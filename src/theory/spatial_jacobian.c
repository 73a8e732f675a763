/* SPDX-License-Identifier: BSD-3-Clause */
/* Two moments of the Jacobian where the slopes differ from position to position. */
#include "spatial_curves.h"

#include <math.h>
#include <stdlib.h>

void eoc_spatial_average(const eoc_spatial_curves *c, const double *f, size_t stride, double *out)
{
    for (int p = 0; p < c->positions; p++) {
        double sum = 0.0;
        for (int t = 0; t < c->taps; t++) {
            const int q = c->sees[p * c->taps + t];
            sum += q < 0 ? 0.0 : c->averaging.shares[t] * f[(size_t)q * stride];
        }
        out[(size_t)p * stride] = sum;
    }
}

double eoc_spatial_scale_down(double *values, int n)
{
    double greatest = 0.0;
    for (int i = 0; i < n; i++) {
        greatest = fmax(greatest, fabs(values[i]));
    }
    if (!(greatest > 0.0)) {
        return 0.0;
    }
    for (int i = 0; i < n; i++) {
        values[i] /= greatest;
    }
    return log(greatest);
}

eoc_status eoc_spatial_jacobian_begin(int positions, bool second, eoc_spatial_jacobian *j)
{
    const size_t n = (size_t)positions, of_second = second ? n * n : 0;
    *j = (eoc_spatial_jacobian){.k = calloc(2 * n + 2 * of_second, sizeof(double)), .second = second};
    EOC_REQUIRE(j->k, EOC_ERR_NOMEM, "no memory for a Jacobian over %d positions", positions);
    j->work = j->k + n;
    j->m = j->work + n + of_second;
    for (size_t p = 0; p < n; p++) {
        j->k[p] = 1.0;
        if (second) {
            j->m[p * n + p] = 1.0;
        }
    }
    return EOC_OK;
}

void eoc_spatial_jacobian_end(eoc_spatial_jacobian *j)
{
    free(j->k);
}

/* M <- sigma_w^4 A M A, but for the factor */
static void average_both_sides(const eoc_spatial_curves *c, eoc_spatial_jacobian *j)
{
    const size_t n = (size_t)c->positions;
    for (size_t p = 0; p < n; p++) {
        eoc_spatial_average(c, j->m + p * n, 1, j->work + p * n);
    }
    for (size_t p = 0; p < n; p++) {
        eoc_spatial_average(c, j->work + p, n, j->m + p);
    }
}

void eoc_spatial_jacobian_step(const eoc_spatial_curves *c, const double *mu_1, const double *mu_2,
                               eoc_spatial_jacobian *j)
{
    const size_t n = (size_t)c->positions;
    if (j->second) {
        average_both_sides(c, j);
    }
    eoc_spatial_average(c, j->k, 1, j->work);
    for (size_t p = 0; p < n; p++) {
        const double y = j->work[p];
        for (size_t q = 0; j->second && q < n; q++) {
            j->m[p * n + q] *= mu_1[p] * mu_1[q];
        }
        if (j->second) {
            j->m[p * n + p] += mu_2[p] * y * y;
        }
        j->k[p] = mu_1[p] * y;
    }
    const double grown = eoc_spatial_scale_down(j->k, c->positions), factor = exp(-2.0 * grown);
    for (size_t i = 0; j->second && i < n * n; i++) {
        j->m[i] *= factor;
    }
    j->log_scale += grown + log(c->sigma_w2);
}

void eoc_spatial_jacobian_moments(const eoc_spatial_curves *c, const eoc_spatial_jacobian *j, double *log_m1,
                                  double *log_m2)
{
    const size_t n = (size_t)c->positions;
    double m1 = 0.0, m2 = 0.0;
    for (size_t p = 0; p < n; p++) {
        m1 += j->k[p];
        for (size_t q = 0; j->second && q < n; q++) {
            m2 += j->m[p * n + q];
        }
    }
    *log_m1 = log(m1 / (double)n) + j->log_scale;
    *log_m2 = j->second ? log(m2 / (double)n) + 2.0 * j->log_scale : NAN;
}
