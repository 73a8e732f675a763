/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/initializer.h"

#include <assert.h>
#include <math.h>

static double one_over_fan_in(int fan_out, int fan_in)
{
    (void)fan_out;
    return 1.0 / fan_in;
}

static double two_over_fan_in(int fan_out, int fan_in)
{
    (void)fan_out;
    return 2.0 / fan_in;
}

static double two_over_fan_sum(int fan_out, int fan_in)
{
    return 2.0 / ((double)fan_in + fan_out);
}

static double third_over_fan_in(int fan_out, int fan_in)
{
    (void)fan_out;
    return 1.0 / (3.0 * fan_in);
}

static double twelfth_over_fan_in(int fan_out, int fan_in)
{
    (void)fan_out;
    return 1.0 / (12.0 * fan_in);
}

static double one_percent_squared(int fan_out, int fan_in)
{
    (void)fan_out, (void)fan_in;
    return 1e-4;
}

static double one_percent_uniform(int fan_out, int fan_in)
{
    (void)fan_out, (void)fan_in;
    return 1e-4 / 12.0;
}

/* Relative variances by distance from the centre, as given. */
static double tap_as_given(const double *parameters, int kernel, int distance)
{
    (void)kernel;
    return parameters[distance];
}

/* Of a product of kernel - 1 two-tap kernels with half of the power in each tap: binomial, the greatest one 1. */
static double tap_of_halves(const double *parameters, int kernel, int distance)
{
    const int half = kernel / 2;
    double ratio = 1.0;
    (void)parameters;
    for (int i = 1; i <= distance; i++) {
        ratio *= (double)(half - i + 1) / (half + i);
    }
    return ratio;
}

static const eoc_initializer_kind initializers[] = {
    {.name = "gaussian",
     .formula = "N(0, 1/fan_in)",
     .source = "LeCun et al. 1998 (LeCun normal)",
     .law = EOC_LAW_NORMAL,
     .entry_variance = one_over_fan_in},
    {.name = "uniform",
     .formula = "U(-a, a), a = sqrt(3/fan_in)",
     .source = "LeCun et al. 1998 (LeCun uniform)",
     .law = EOC_LAW_UNIFORM,
     .entry_variance = one_over_fan_in},
    {.name = "orthogonal",
     .formula = "Haar, entry variance 1/fan_in",
     .source = "Saxe, McClelland & Ganguli 2014",
     .law = EOC_LAW_HAAR,
     .entry_variance = one_over_fan_in},
    {.name = "he_normal",
     .formula = "N(0, 2/fan_in)",
     .source = "He et al. 2015",
     .law = EOC_LAW_NORMAL,
     .entry_variance = two_over_fan_in},
    {.name = "he_uniform",
     .formula = "U(-a, a), a = sqrt(6/fan_in)",
     .source = "He et al. 2015",
     .law = EOC_LAW_UNIFORM,
     .entry_variance = two_over_fan_in},
    {.name = "glorot_normal",
     .formula = "N(0, 2/(fan_in + fan_out))",
     .source = "Glorot & Bengio 2010",
     .law = EOC_LAW_NORMAL,
     .entry_variance = two_over_fan_sum},
    {.name = "glorot_uniform",
     .formula = "U(-a, a), a = sqrt(6/(fan_in + fan_out))",
     .source = "Glorot & Bengio 2010",
     .law = EOC_LAW_UNIFORM,
     .entry_variance = two_over_fan_sum},
    {.name = "torch_linear",
     .formula = "U(-a, a), a = 1/sqrt(fan_in)",
     .source = "the weights of PyTorch's nn.Linear",
     .law = EOC_LAW_UNIFORM,
     .entry_variance = third_over_fan_in},
    {.name = "small_normal",
     .formula = "N(0, 0.01^2)",
     .source = "Krizhevsky, Sutskever & Hinton 2012",
     .law = EOC_LAW_NORMAL,
     .entry_variance = one_percent_squared},
    {.name = "small_uniform",
     .formula = "U(0, 0.01): mean not zero, outside mean-field theory",
     .source = "common in hand-written networks",
     .law = EOC_LAW_POSITIVE,
     .entry_variance = one_percent_uniform},
    {.name = "positive_uniform",
     .formula = "U(0, 1/sqrt(fan_in)): mean not zero, outside mean-field theory",
     .source = "common in hand-written networks",
     .law = EOC_LAW_POSITIVE,
     .entry_variance = twelfth_over_fan_in},
    {.name = "looks_linear",
     .formula =
         "[W', -W'] for crelu, W' alone on the input; W' Haar, entry variance 1/N; convolution: in the centre tap",
     .source = "Balduzzi et al. 2017",
     .law = EOC_LAW_HAAR,
     .mirrored = true,
     .centre = true,
     .entry_variance = one_over_fan_in},
    {.name = "looks_linear_gaussian",
     .formula = "[W', -W'] for crelu, W' alone on the input; W' N(0, 1/N)",
     .source = "Balduzzi et al. 2017",
     .law = EOC_LAW_NORMAL,
     .mirrored = true,
     .entry_variance = one_over_fan_in},
    {.name = "delta_orthogonal",
     .formula = "convolution: centre tap Haar, entry variance 1/channels, all other taps zero",
     .source = "Xiao et al. 2018",
     .law = EOC_LAW_HAAR,
     .centre = true,
     .needs_space = true,
     .entry_variance = one_over_fan_in},
    {.name = "gaussian_taps",
     .formula = "convolution: N(0, v_t/channels), sum_t v_t = 1; v_t in proportion to tap_i tap_j, i and j the tap's "
                "distances from the centre",
     .source = "Xiao et al. 2018",
     .parameters = {{.name = "tap_0", .fallback = 1.0, .min = 0.0, .max = 1e6},
                    {.name = "tap_1", .fallback = 1.0, .min = 0.0, .max = 1e6},
                    {.name = "tap_2", .fallback = 1.0, .min = 0.0, .max = 1e6},
                    {.name = "tap_3", .fallback = 1.0, .min = 0.0, .max = 1e6},
                    {.name = "tap_4", .fallback = 1.0, .min = 0.0, .max = 1e6}},
     .law = EOC_LAW_NORMAL,
     .tap_variance = tap_as_given,
     .needs_space = true,
     .entry_variance = one_over_fan_in},
    {.name = "orthogonal_kernel",
     .formula =
         "convolution, circular: product of kernel - 1 two-tap kernels [P, 1 - P] along each dimension, P random "
         "projections on floor(channels/2) dimensions, and a Haar matrix of entry variance 1/channels",
     .source = "Xiao et al. 2018; Kautsky & Turcajova 1994",
     .law = EOC_LAW_HAAR,
     .tap_variance = tap_of_halves,
     .projections = true,
     .needs_space = true,
     .entry_variance = one_over_fan_in},
};

int eoc_initializer_count(void)
{
    return (int)(sizeof initializers / sizeof initializers[0]);
}

const eoc_initializer_kind *eoc_initializer_row(int row)
{
    assert(row >= 0 && row < eoc_initializer_count());
    return &initializers[row];
}

static const char *row_name(int row)
{
    return initializers[row].name;
}

static const eoc_parameter *row_parameters(int row)
{
    return initializers[row].parameters;
}

const eoc_kind_table *eoc_initializer_table(void)
{
    static eoc_kind_table table = {.what = "initializer", .name = row_name, .parameters = row_parameters};
    table.count = eoc_initializer_count();
    return &table;
}

eoc_status eoc_initializer_find(const char *text, eoc_initializer *initializer)
{
    int row = 0;
    EOC_TRY(eoc_kind_parse(eoc_initializer_table(), text, &row, initializer->parameters));
    initializer->kind = &initializers[row];
    return EOC_OK;
}

double eoc_initializer_variance(const eoc_initializer *initializer, double weight_variance, int fan_out, int fan_in)
{
    return weight_variance * initializer->kind->entry_variance(fan_out, fan_in);
}

double eoc_initializer_mean(const eoc_initializer *initializer, double weight_variance, int fan_out, int fan_in)
{
    if (eoc_initializer_in_theory(initializer)) {
        return 0.0;
    }
    return sqrt(3.0 * eoc_initializer_variance(initializer, weight_variance, fan_out, fan_in));
}

double eoc_initializer_effective(const eoc_initializer *initializer, double weight_variance, int width)
{
    return width * eoc_initializer_variance(initializer, weight_variance, width, width);
}

bool eoc_initializer_in_theory(const eoc_initializer *initializer)
{
    return initializer->kind->law != EOC_LAW_POSITIVE;
}
