/* SPDX-License-Identifier: BSD-3-Clause */
#include "predict_space.h"

#include "probe_statistics.h"

#include "eoc/layer_theory.h"
#include "eoc/linalg.h"
#include "eoc/text.h"

#include <math.h>
#include <stdlib.h>

struct eoc_space_prediction {
    eoc_averaging averaging;
    int positions;
    bool differs;                   /* whether signals do, over positions */
    bool jacobian;                  /* whether its moments are asked for */
    eoc_spatial_curves *curves;     /* of those; NULL: out of reach */
    eoc_curves *apart;              /* of two positions, where signals are alike: of plain layers, ... */
    eoc_layer_theory *layers_apart; /* ... of others; both NULL: positions are as inputs 0 and 1 */
};

static bool is_coupled(const eoc_network *network)
{
    return network->architecture.kind->needs(network).coupled;
}

bool eoc_prediction_differs_in_space(const eoc_probe *probe, const eoc_network *network)
{
    const bool images = probe->inputs.kind->has_images && eoc_network_positions(network) > 1;
    return images || eoc_network_has_edges(network);
}

/* -- images over space -- */

typedef struct {
    double *variances, *counts, *correlations, *between, *x;
    eoc_theory_pair *pairs;
    eoc_spatial_inputs as_seen; /* of these arrays */
} seen_images;

static void seen_images_clear(seen_images *seen)
{
    free(seen->variances);
    free(seen->pairs);
    free(seen->x);
    *seen = (seen_images){0};
}

/* 0 where one is zero: what it is multiplied by is. */
static double cosine(const double *x, const double *y, int n)
{
    double c = 0.0, one_minus_c = 1.0;
    eoc_vectors_cosine(x, y, (size_t)n, &c, &one_minus_c);
    return isnan(c) ? 0.0 : fmax(c, -1.0);
}

static eoc_status allocate_images(int inputs, int positions, int block, bool between, seen_images *seen)
{
    const size_t n = (size_t)inputs, s = (size_t)positions, pairs = n * (n - 1) / 2;
    seen->variances = malloc(sizeof(double) * (n * s + 2 * n + pairs * s + (between ? n * s * s : 0)));
    seen->pairs = malloc(sizeof *seen->pairs * (pairs + 1));
    seen->x = malloc(sizeof(double) * n * s * (size_t)block);
    EOC_REQUIRE(seen->variances && seen->pairs && seen->x, EOC_ERR_NOMEM,
                "out of memory for the theory of %d images over %d positions", inputs, positions);
    seen->counts = seen->variances + n * s;
    seen->correlations = seen->counts + 2 * n;
    seen->between = seen->correlations + pairs * s;
    return EOC_OK;
}

/* Blocks as channels without zeros behind them have all inner products of the inputs. */
static eoc_status see_images(const eoc_inputs *inputs, const eoc_geometry *g, double variance, bool between,
                             seen_images *seen)
{
    const int n = inputs->kind->num_inputs(inputs), s = eoc_geometry_positions(g), block = inputs->images->features / s;
    EOC_TRY(allocate_images(n, s, block, between, seen));
    inputs->kind->fill_space(inputs, (eoc_key){0}, g, block, variance, seen->x);
    double *const means = seen->counts + n;
    eoc_theory_pair *pair = seen->pairs;
    for (int a = 0; a < n; a++) {
        const double *const x = seen->x + (size_t)a * (size_t)s * (size_t)block;
        seen->counts[a] = 1.0;
        means[a] = 0.0;
        for (int p = 0; p < s; p++) {
            const double *const here = x + (size_t)p * (size_t)block;
            const double square = eoc_linalg_dot(here, here, (size_t)block) / block;
            seen->variances[a * s + p] = square;
            means[a] += square / s;
            for (int q = 0; between && q < s; q++) {
                seen->between[((size_t)a * (size_t)s + (size_t)p) * (size_t)s + (size_t)q] =
                    cosine(here, x + (size_t)q * (size_t)block, block);
            }
        }
        for (int b = a + 1; b < n; b++) {
            const double *const y = seen->x + (size_t)b * (size_t)s * (size_t)block;
            for (int p = 0; p < s; p++) {
                seen->correlations[(size_t)(pair - seen->pairs) * (size_t)s + (size_t)p] =
                    cosine(x + (size_t)p * (size_t)block, y + (size_t)p * (size_t)block, block);
            }
            *pair++ = (eoc_theory_pair){.a = a, .b = b, .count = 2.0};
        }
    }
    seen->as_seen = (eoc_spatial_inputs){.classes = {n, means, seen->counts, (int)(pair - seen->pairs), seen->pairs},
                                         .variances = seen->variances,
                                         .correlations = seen->correlations,
                                         .position_correlation = between ? seen->between : NULL};
    return EOC_OK;
}

/* -- creation -- */

static eoc_spatial_law law_of(const eoc_network *network)
{
    if (network->initializer.kind->law != EOC_LAW_HAAR) {
        return EOC_SPATIAL_INDEPENDENT;
    }
    return network->initializer.kind->centre ? EOC_SPATIAL_CENTRE : EOC_SPATIAL_OTHER;
}

static eoc_status create_curves(const eoc_network *network, const eoc_spatial_inputs *inputs, int max_depth,
                                bool between, eoc_space_prediction *p)
{
    /* Its cost is the square of the positions; of other laws there is none, or another formula. */
    const bool second_moment = p->jacobian && law_of(network) == EOC_SPATIAL_INDEPENDENT;
    return eoc_spatial_curves_create(&p->averaging, &network->activation,
                                     eoc_text_round(eoc_network_effective(network)), network->bias_variance, inputs,
                                     max_depth, between, second_moment, &p->curves);
}

/* Within what eoc_spatial_curves_create takes on, with the covariances between positions only where they are. */
static eoc_status create_differing(const eoc_probe *probe, const eoc_network *network, double variance,
                                   const eoc_theory_inputs *seen, int max_depth, eoc_space_prediction *p)
{
    const bool images_differ = probe->inputs.kind->has_images && p->positions > 1;
    const int n = probe->inputs.kind->num_inputs(&probe->inputs);
    const eoc_theory_inputs one_each = {.num_variances = n, .num_pairs = n * (n - 1) / 2};
    const eoc_theory_inputs *const classes = images_differ ? &one_each : seen;
    const bool between = (probe->statistics & EOC_STATISTIC_SPATIAL) != 0 &&
                         eoc_spatial_curves_reach(&p->averaging, classes, max_depth, true);
    if (!eoc_spatial_curves_reach(&p->averaging, classes, max_depth, between)) {
        return EOC_OK;
    }
    if (!images_differ) {
        const eoc_spatial_inputs alike = {.classes = *seen};
        return create_curves(network, &alike, max_depth, between, p);
    }
    seen_images images = {0};
    eoc_status status = see_images(&probe->inputs, &p->averaging.geometry, variance, between, &images);
    if (status == EOC_OK) {
        status = create_curves(network, &images.as_seen, max_depth, between, p);
    }
    seen_images_clear(&images);
    return status;
}

static eoc_status create_apart(const eoc_network *network, const eoc_theory_inputs *seen, int max_depth,
                               eoc_space_prediction *p)
{
    const eoc_theory_pair two = {.count = 2.0};
    const double both = 2.0;
    const eoc_theory_inputs positions = {
        .num_variances = 1, .variances = seen->variances, .counts = &both, .num_pairs = 1, .pairs = &two};
    if (eoc_network_in_theory(network)) {
        return eoc_curves_create(&network->activation, eoc_text_round(eoc_network_effective(network)),
                                 network->bias_variance, &positions, max_depth, &p->apart);
    }
    return is_coupled(network) ? EOC_OK : eoc_layer_theory_create(network, &positions, max_depth, &p->layers_apart);
}

eoc_status eoc_space_prediction_create(const eoc_probe *probe, const eoc_network *network, double variance,
                                       const eoc_theory_inputs *seen, int max_depth, eoc_space_prediction **prediction)
{
    eoc_space_prediction *p = calloc(1, sizeof *p);
    EOC_REQUIRE(p, EOC_ERR_NOMEM, "out of memory for theory over space");
    p->averaging = eoc_averaging_of(network);
    p->positions = eoc_network_positions(network);
    p->differs = eoc_prediction_differs_in_space(probe, network);
    p->jacobian = (probe->statistics & EOC_STATISTIC_JACOBIAN) != 0;
    eoc_status status = EOC_OK;
    if (p->differs) {
        status = create_differing(probe, network, variance, seen, max_depth, p);
    } else if (probe->statistics & EOC_STATISTIC_SPATIAL) {
        status = create_apart(network, seen, max_depth, p);
    }
    if (status != EOC_OK) {
        eoc_space_prediction_destroy(&p);
    }
    *prediction = p;
    return status;
}

void eoc_space_prediction_destroy(eoc_space_prediction **prediction)
{
    if (*prediction) {
        eoc_spatial_curves_destroy(&(*prediction)->curves);
        eoc_curves_destroy(&(*prediction)->apart);
        eoc_layer_theory_destroy(&(*prediction)->layers_apart);
        free(*prediction);
        *prediction = NULL;
    }
}

/* -- layers -- */

eoc_status eoc_space_prediction_fill(const eoc_space_prediction *p, const eoc_network *network,
                                     const eoc_layout *layout, eoc_curve_rows *rows, bool *partial)
{
    rows->log_jacobian_m1 = rows->log_jacobian_m2 = NAN;
    if (p->curves) {
        EOC_TRY(eoc_spatial_curves_fill(p->curves, network->depth, layout->layers, layout->num_layers, law_of(network),
                                        rows));
    }
    const bool unknown = p->jacobian && isnan(rows->log_jacobian_m2);
    *partial = *partial || !p->curves || law_of(network) == EOC_SPATIAL_OTHER || unknown;
    return EOC_OK;
}

/* -- rows over space -- */

/* Correlation c (num_layers) of two positions at `layers`; `inputs` is that of inputs 0 and 1. */
static eoc_status fill_correlation_apart(const eoc_space_prediction *p, const eoc_network *network, const int *layers,
                                         int num_layers, const double *inputs, double *c)
{
    eoc_curve_rows rows = {.c = c};
    for (int k = 0; k < num_layers; k++) {
        c[k] = inputs[k];
    }
    if (p->apart) {
        eoc_curves_fill(p->apart, network->depth, layers, num_layers, -1.0, &rows);
    } else if (p->layers_apart) {
        EOC_TRY(eoc_layer_theory_fill(p->layers_apart, network, layers, num_layers, &rows));
    }
    for (int k = 0; k < num_layers; k++) {
        c[k] = p->positions > 1 || isnan(c[k]) ? c[k] : 0.0;
    }
    return EOC_OK;
}

/*
 * All positions alike, any two of them with correlation c: their power is (1 - c)/positions in every mode, and c more
 * in that of k = 0.
 */
static eoc_status fill_alike(const eoc_space_prediction *p, const eoc_network *network, const eoc_layout *layout,
                             const double *inputs, eoc_point_record *record)
{
    const size_t stride = (size_t)layout->num_positions, positions = (size_t)p->positions;
    double *const apart = malloc(sizeof *apart * (size_t)(layout->num_layers + 1));
    EOC_REQUIRE(apart, EOC_ERR_NOMEM, "out of memory for theory of %d layers", layout->num_layers);
    const eoc_status status = fill_correlation_apart(p, network, layout->layers, layout->num_layers, inputs, apart);
    for (int k = 0; status == EOC_OK && k < layout->num_layers && layout->layers[k] <= network->depth; k++) {
        const size_t at = (size_t)k * stride;
        const double c = apart[k];
        for (size_t i = 0; i < positions && !isnan(c); i++) {
            record->position_q[at + i] = 1.0;
            record->position_c[at + i] = inputs[k];
            record->spatial_power[at + i] = (1.0 - c) / (double)positions + (i ? 0.0 : c);
            record->spatial_correlation[at + i] = i ? c : 1.0;
        }
    }
    free(apart);
    return status;
}

eoc_status eoc_space_prediction_fill_space(const eoc_space_prediction *p, const eoc_network *network,
                                           const eoc_layout *layout, const double *c, eoc_point_record *record,
                                           bool *partial)
{
    if (!record->position_q) {
        return EOC_OK;
    }
    if (!p->differs) {
        return fill_alike(p, network, layout, c, record);
    }
    if (p->curves) {
        const eoc_spatial_curve_rows rows = {(size_t)layout->num_positions, record->position_q, record->position_c,
                                             record->spatial_power, record->spatial_correlation};
        eoc_spatial_curves_fill_space(p->curves, network->depth, layout->layers, layout->num_layers, &rows);
        *partial = *partial || isnan(record->spatial_power[0]);
    }
    return EOC_OK;
}

/* -- modes -- */

/* Whether a perturbation goes through phi, and then through the averaging of one matrix: not past it, as in residual
 * blocks, and not through the mean of a batch, which sees all positions. */
static bool has_mode_slopes(const eoc_network *network)
{
    const eoc_block b = network->architecture.kind->block(network);
    return b.skip == 0.0 && b.matrix_behind && !b.matrix_before && b.norm.rule != EOC_NORM_BATCH;
}

void eoc_prediction_fill_modes(const eoc_network *network, const eoc_mean_field *point, const eoc_layout *layout,
                               eoc_point_record *record, bool *partial)
{
    const int positions = eoc_network_positions(network);
    if (!record->averaging_eigenvalue || positions > layout->num_spatial_modes) {
        return;
    }
    const eoc_averaging averaging = eoc_averaging_of(network);
    const bool slopes = has_mode_slopes(network);
    eoc_averaging_eigenvalues(&averaging, record->averaging_eigenvalue);
    for (int k = 0; k < positions && slopes; k++) {
        record->xi_q_mode[k] = eoc_averaging_depth_scale(point->chi_q, record->averaging_eigenvalue[k]);
        record->xi_c_mode[k] = eoc_averaging_depth_scale(point->chi_c, record->averaging_eigenvalue[k]);
    }
    *partial = *partial || !slopes;
}

double eoc_prediction_log_uses(const eoc_network *network)
{
    const eoc_geometry g = eoc_network_geometry(network);
    const int positions = eoc_geometry_positions(&g), taps = eoc_geometry_taps(&g);
    double seen = 0.0;
    for (int p = 0; p < positions && !g.circular; p++) {
        for (int t = 0; t < taps; t++) {
            seen += eoc_geometry_neighbour(&g, p, t) >= 0;
        }
    }
    return is_coupled(network) ? 0.0 : log(g.circular ? positions : seen / taps);
}
