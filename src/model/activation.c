/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/activation.h"

#include "eoc/vecmath.h"

#include <assert.h>
#include <math.h>

static const double SQRT_HALF = 0.70710678118654752440;       /* 1/sqrt(2) */
static const double INV_SQRT_2PI = 0.39894228040143267794;    /* 1/sqrt(2 pi) */
static const double TWO_INV_SQRT_PI = 1.12837916709551257390; /* 2/sqrt(pi) */

/* The self-normalising constants, Klambauer et al. 2017, eq. 14, at the digits of their appendix. */
static const double SELU_LAMBDA = 1.0507009873554804934193349852946;
static const double SELU_ALPHA = 1.6732632423543772848170429916717;

/* Vector forms work on blocks that stay in the first-level cache, so that h may be z. */
enum { BLOCK = 256 };

#define FOR_BLOCKS(i, m, n) for (size_t i = 0, m = 0; m = ((n)-i < BLOCK ? (n)-i : BLOCK), i < (n); i += m)

/* -- linear -- */

static double linear_phi(double z, const double *p)
{
    (void)p;
    return z;
}

static double linear_dphi(double z, const double *p)
{
    (void)z, (void)p;
    return 1.0;
}

static void linear_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        h[i] = z[i];
    }
}

static void linear_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    (void)z, (void)p;
    for (size_t i = 0; i < n; i++) {
        d[i] = 1.0;
    }
}

/* -- relu -- NaN passes through, so that a broken network is seen. */

static double relu_phi(double z, const double *p)
{
    (void)p;
    return z < 0.0 ? 0.0 : z;
}

static double relu_dphi(double z, const double *p)
{
    (void)p;
    return z > 0.0 ? 1.0 : 0.0;
}

static void relu_phi_many(const double *z, double *h, size_t n, const double *p)
{
    for (size_t i = 0; i < n; i++) {
        h[i] = relu_phi(z[i], p);
    }
}

static void relu_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    for (size_t i = 0; i < n; i++) {
        d[i] = relu_dphi(z[i], p);
    }
}

/* -- leaky_relu(slope) -- */

static double leaky_relu_phi(double z, const double *p)
{
    return z < 0.0 ? p[0] * z : z;
}

static double leaky_relu_dphi(double z, const double *p)
{
    return z > 0.0 ? 1.0 : z < 0.0 ? p[0] : 0.0;
}

static void leaky_relu_phi_many(const double *z, double *h, size_t n, const double *p)
{
    for (size_t i = 0; i < n; i++) {
        h[i] = leaky_relu_phi(z[i], p);
    }
}

static void leaky_relu_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    for (size_t i = 0; i < n; i++) {
        d[i] = leaky_relu_dphi(z[i], p);
    }
}

/* -- tanh -- the derivative 4e/(1+e)^2, e = exp(-2|z|), keeps its digits where 1 - tanh^2 cancels. */

static double tanh_phi(double z, const double *p)
{
    (void)p;
    return tanh(z);
}

static double tanh_dphi(double z, const double *p)
{
    (void)p;
    const double e = exp(-2.0 * fabs(z));
    return 4.0 * e / ((1.0 + e) * (1.0 + e));
}

static void tanh_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    eoc_vec_tanh(z, h, n);
}

static void tanh_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    (void)p;
    eoc_vec_tanh_slope(z, d, n);
}

static void tanh_phi_dphi_many(const double *z, double *h, double *d, size_t n, const double *p)
{
    (void)p;
    eoc_vec_tanh_both(z, h, d, n);
}

/* -- hard_tanh -- */

static double hard_tanh_phi(double z, const double *p)
{
    (void)p;
    return z < -1.0 ? -1.0 : z > 1.0 ? 1.0 : z;
}

static double hard_tanh_dphi(double z, const double *p)
{
    (void)p;
    return fabs(z) < 1.0 ? 1.0 : 0.0;
}

static void hard_tanh_phi_many(const double *z, double *h, size_t n, const double *p)
{
    for (size_t i = 0; i < n; i++) {
        h[i] = hard_tanh_phi(z[i], p);
    }
}

static void hard_tanh_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    for (size_t i = 0; i < n; i++) {
        d[i] = hard_tanh_dphi(z[i], p);
    }
}

/* -- erf -- */

static double erf_phi(double z, const double *p)
{
    (void)p;
    return erf(z);
}

static double erf_dphi(double z, const double *p)
{
    (void)p;
    return TWO_INV_SQRT_PI * exp(-z * z);
}

static void erf_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    eoc_vec_erf(z, h, n);
}

static void erf_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        d[i] = -z[i] * z[i];
    }
    eoc_vec_exp(d, d, n);
    for (size_t i = 0; i < n; i++) {
        d[i] *= TWO_INV_SQRT_PI;
    }
}

/* -- sigmoid -- */

static double sigmoid_phi(double z, const double *p)
{
    (void)p;
    return 1.0 / (1.0 + exp(-z));
}

static double sigmoid_dphi(double z, const double *p)
{
    (void)p;
    const double e = exp(-fabs(z));
    return e / ((1.0 + e) * (1.0 + e));
}

static void sigmoid_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        h[i] = -z[i];
    }
    eoc_vec_exp(h, h, n);
    for (size_t i = 0; i < n; i++) {
        h[i] = 1.0 / (1.0 + h[i]);
    }
}

static void sigmoid_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        d[i] = -fabs(z[i]);
    }
    eoc_vec_exp(d, d, n);
    for (size_t i = 0; i < n; i++) {
        d[i] = d[i] / ((1.0 + d[i]) * (1.0 + d[i]));
    }
}

/* -- elu(alpha) -- smooth to first order at 0 for alpha = 1 (dphi(0) = 1), a kink otherwise (dphi(0) = 0). */

static double elu_phi(double z, const double *p)
{
    return z > 0.0 ? z : p[0] * expm1(z);
}

static double elu_dphi(double z, const double *p)
{
    return z > 0.0 ? 1.0 : z < 0.0 ? p[0] * exp(z) : p[0] == 1.0 ? 1.0 : 0.0;
}

/* Up to where exponentials are wanted: ascending values, as quadrature asks for, have theirs first. */
static size_t end_of_negatives(const double *z, size_t n)
{
    while (n > 0 && z[n - 1] > 0.0) {
        n--;
    }
    return n;
}

/* scale * elu, shared with selu */
static void scaled_elu_phi_many(const double *z, double *h, size_t n, double alpha, double scale)
{
    double e[BLOCK];
    FOR_BLOCKS (i, m, n) {
        for (size_t k = 0; k < m; k++) {
            e[k] = z[i + k] > 0.0 ? 0.0 : z[i + k];
        }
        eoc_vec_expm1(e, e, end_of_negatives(z + i, m));
        for (size_t k = 0; k < m; k++) {
            h[i + k] = scale * (z[i + k] > 0.0 ? z[i + k] : alpha * e[k]);
        }
    }
}

static void scaled_elu_dphi_many(const double *z, double *d, size_t n, double alpha, double scale)
{
    const double at_zero = alpha == 1.0 ? 1.0 : 0.0;
    double e[BLOCK];
    FOR_BLOCKS (i, m, n) {
        for (size_t k = 0; k < m; k++) {
            e[k] = z[i + k] > 0.0 ? 0.0 : z[i + k];
        }
        eoc_vec_exp(e, e, end_of_negatives(z + i, m));
        for (size_t k = 0; k < m; k++) {
            d[i + k] = scale * (z[i + k] > 0.0 ? 1.0 : z[i + k] < 0.0 ? alpha * e[k] : at_zero);
        }
    }
}

static void elu_phi_many(const double *z, double *h, size_t n, const double *p)
{
    scaled_elu_phi_many(z, h, n, p[0], 1.0);
}

static void elu_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    scaled_elu_dphi_many(z, d, n, p[0], 1.0);
}

/* -- selu -- */

static double selu_phi(double z, const double *p)
{
    (void)p;
    return SELU_LAMBDA * elu_phi(z, &SELU_ALPHA);
}

static double selu_dphi(double z, const double *p)
{
    (void)p;
    return SELU_LAMBDA * elu_dphi(z, &SELU_ALPHA);
}

static void selu_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    scaled_elu_phi_many(z, h, n, SELU_ALPHA, SELU_LAMBDA);
}

static void selu_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    (void)p;
    scaled_elu_dphi_many(z, d, n, SELU_ALPHA, SELU_LAMBDA);
}

/* -- gelu, exact: z Phi(z) -- */

static double gelu_phi(double z, const double *p)
{
    (void)p;
    return 0.5 * z * erfc(-z * SQRT_HALF);
}

static double gelu_dphi(double z, const double *p)
{
    (void)p;
    return 0.5 * erfc(-z * SQRT_HALF) + z * INV_SQRT_2PI * exp(-0.5 * z * z);
}

static void gelu_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    double e[BLOCK];
    FOR_BLOCKS (i, m, n) {
        for (size_t k = 0; k < m; k++) {
            e[k] = -z[i + k] * SQRT_HALF;
        }
        eoc_vec_erfc(e, e, m);
        for (size_t k = 0; k < m; k++) {
            h[i + k] = 0.5 * z[i + k] * e[k];
        }
    }
}

static void gelu_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    (void)p;
    double e[BLOCK], g[BLOCK];
    FOR_BLOCKS (i, m, n) {
        for (size_t k = 0; k < m; k++) {
            e[k] = -z[i + k] * SQRT_HALF;
            g[k] = -0.5 * z[i + k] * z[i + k];
        }
        eoc_vec_erfc(e, e, m);
        eoc_vec_exp(g, g, m);
        for (size_t k = 0; k < m; k++) {
            d[i + k] = 0.5 * e[k] + z[i + k] * INV_SQRT_2PI * g[k];
        }
    }
}

/* -- silu -- */

static double silu_phi(double z, const double *p)
{
    return z * sigmoid_phi(z, p);
}

static double silu_dphi(double z, const double *p)
{
    const double s = sigmoid_phi(z, p);
    return s * (1.0 + z * sigmoid_phi(-z, p));
}

static void silu_phi_many(const double *z, double *h, size_t n, const double *p)
{
    double s[BLOCK];
    FOR_BLOCKS (i, m, n) {
        sigmoid_phi_many(z + i, s, m, p);
        for (size_t k = 0; k < m; k++) {
            h[i + k] = z[i + k] * s[k];
        }
    }
}

static void silu_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    double s[BLOCK];
    FOR_BLOCKS (i, m, n) {
        sigmoid_phi_many(z + i, s, m, p);
        for (size_t k = 0; k < m; k++) {
            d[i + k] = s[k] * (1.0 + z[i + k] * (1.0 - s[k]));
        }
    }
}

/* -- softplus -- max(z, 0) + log(1 + exp(-|z|)) neither over- nor underflows. */

static double softplus_phi(double z, const double *p)
{
    (void)p;
    return (z > 0.0 ? z : 0.0) + log1p(exp(-fabs(z)));
}

static void softplus_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    double e[BLOCK];
    FOR_BLOCKS (i, m, n) {
        for (size_t k = 0; k < m; k++) {
            e[k] = -fabs(z[i + k]);
        }
        eoc_vec_exp(e, e, m);
        eoc_vec_log1p(e, e, m);
        for (size_t k = 0; k < m; k++) {
            h[i + k] = (z[i + k] > 0.0 ? z[i + k] : 0.0) + e[k];
        }
    }
}

/* -- sin -- */

static double sin_phi(double z, const double *p)
{
    (void)p;
    return sin(z);
}

static double sin_dphi(double z, const double *p)
{
    (void)p;
    return cos(z);
}

static void sin_phi_many(const double *z, double *h, size_t n, const double *p)
{
    (void)p;
    eoc_vec_sin(z, h, n);
}

static void sin_dphi_many(const double *z, double *d, size_t n, const double *p)
{
    (void)p;
    eoc_vec_cos(z, d, n);
}

/* -- float32, for training -- */

static void relu_both_float(const float *z, float *h, float *d, size_t n, const double *p)
{
    (void)p;
    eoc_vec_leaky_both_float(0.0F, z, h, d, n);
}

static void leaky_relu_both_float(const float *z, float *h, float *d, size_t n, const double *p)
{
    eoc_vec_leaky_both_float((float)p[0], z, h, d, n);
}

static void linear_both_float(const float *z, float *h, float *d, size_t n, const double *p)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        h[i] = z[i];
        d[i] = 1.0F;
    }
}

static void tanh_both_float(const float *z, float *h, float *d, size_t n, const double *p)
{
    (void)p;
    eoc_vec_tanh_both_float(z, h, d, n);
}

void eoc_activation_both_float(const eoc_activation *a, const float *z, float *h, float *d, size_t n)
{
    if (a->kind->phi_dphi_many_float) {
        a->kind->phi_dphi_many_float(z, h, d, n, a->parameters);
        return;
    }
    double wide[BLOCK], phi[BLOCK], dphi[BLOCK];
    FOR_BLOCKS (i, m, n) {
        for (size_t k = 0; k < m; k++) {
            wide[k] = (double)z[i + k];
        }
        a->kind->phi_many(wide, phi, m, a->parameters);
        a->kind->dphi_many(wide, dphi, m, a->parameters);
        for (size_t k = 0; k < m; k++) {
            h[i + k] = (float)phi[k];
            d[i + k] = (float)dphi[k];
        }
    }
}

/* Columns that name the four functions of an activation. */
#define FUNCTIONS(x) .phi = x##_phi, .dphi = x##_dphi, .phi_many = x##_phi_many, .dphi_many = x##_dphi_many

static const eoc_activation_kind activations[] = {
    {.name = "linear",
     .formula = "z",
     .source = "Saxe, McClelland & Ganguli 2014",
     FUNCTIONS(linear),
     .phi_dphi_many_float = linear_both_float,
     .scale_invariant = true,
     .odd = true,
     .zero_at_zero = true},
    {.name = "relu",
     .formula = "max(z, 0)",
     .source = "Nair & Hinton 2010; He et al. 2015",
     FUNCTIONS(relu),
     .phi_dphi_many_float = relu_both_float,
     .num_kinks = 1,
     .kinks = {0.0},
     .scale_invariant = true,
     .zero_at_zero = true},
    {.name = "leaky_relu",
     .formula = "z for z > 0, slope z otherwise",
     .source = "Maas, Hannun & Ng 2013",
     .parameters = {{.name = "slope", .fallback = 0.01, .min = -1.0, .max = 1.0}},
     FUNCTIONS(leaky_relu),
     .phi_dphi_many_float = leaky_relu_both_float,
     .num_kinks = 1,
     .kinks = {0.0},
     .scale_invariant = true,
     .zero_at_zero = true},
    {.name = "tanh",
     .formula = "tanh(z)",
     .source = "Poole et al. 2016; Schoenholz et al. 2017",
     FUNCTIONS(tanh),
     .phi_dphi_many_float = tanh_both_float,
     .phi_dphi_many = tanh_phi_dphi_many,
     .odd = true,
     .zero_at_zero = true},
    {.name = "hard_tanh",
     .formula = "z clipped to [-1, 1]",
     .source = "Pennington, Schoenholz & Ganguli 2017",
     FUNCTIONS(hard_tanh),
     .num_kinks = 2,
     .kinks = {-1.0, 1.0},
     .odd = true,
     .zero_at_zero = true},
    {.name = "erf", .formula = "erf(z)", .source = "Williams 1998", FUNCTIONS(erf), .odd = true, .zero_at_zero = true},
    {.name = "sigmoid", .formula = "1/(1 + exp(-z))", .source = "Glorot & Bengio 2010", FUNCTIONS(sigmoid)},
    {.name = "elu",
     .formula = "z for z > 0, alpha (exp(z) - 1) otherwise",
     .source = "Clevert, Unterthiner & Hochreiter 2016",
     .parameters = {{.name = "alpha", .fallback = 1.0, .min = 1e-3, .max = 100.0}},
     FUNCTIONS(elu),
     .num_kinks = 1,
     .kinks = {0.0},
     .zero_at_zero = true},
    {.name = "selu",
     .formula = "lambda elu(z; alpha), lambda = 1.0507, alpha = 1.67326",
     .source = "Klambauer et al. 2017",
     FUNCTIONS(selu),
     .num_kinks = 1,
     .kinks = {0.0},
     .zero_at_zero = true},
    {.name = "gelu",
     .formula = "z Phi(z), Phi the normal distribution function",
     .source = "Hendrycks & Gimpel 2016",
     FUNCTIONS(gelu),
     .zero_at_zero = true},
    {.name = "silu",
     .formula = "z/(1 + exp(-z))",
     .source = "Elfwing, Uchibe & Doya 2018; Ramachandran et al. 2017 (swish)",
     FUNCTIONS(silu),
     .zero_at_zero = true},
    {.name = "softplus",
     .formula = "log(1 + exp(z))",
     .source = "Dugas et al. 2001",
     .phi = softplus_phi,
     .dphi = sigmoid_phi,
     .phi_many = softplus_phi_many,
     .dphi_many = sigmoid_phi_many},
    {.name = "sin",
     .formula = "sin(z)",
     .source = "Sitzmann et al. 2020",
     FUNCTIONS(sin),
     .wave = true,
     .odd = true,
     .zero_at_zero = true},
    {.name = "crelu",
     .formula = "(max(z, 0), max(-z, 0)): two features a unit",
     .source = "Shang et al. 2016; Balduzzi et al. 2017",
     FUNCTIONS(relu),
     .phi_dphi_many_float = relu_both_float,
     .features = 2,
     .num_kinks = 1,
     .kinks = {0.0},
     .scale_invariant = true,
     .zero_at_zero = true},
};

int eoc_activation_count(void)
{
    return (int)(sizeof activations / sizeof activations[0]);
}

const eoc_activation_kind *eoc_activation_row(int row)
{
    assert(row >= 0 && row < eoc_activation_count());
    return &activations[row];
}

static const char *row_name(int row)
{
    return activations[row].name;
}

static const eoc_parameter *row_parameters(int row)
{
    return activations[row].parameters;
}

const eoc_kind_table *eoc_activation_table(void)
{
    static eoc_kind_table table = {.what = "activation", .name = row_name, .parameters = row_parameters};
    table.count = eoc_activation_count();
    return &table;
}

eoc_status eoc_activation_find(const char *text, eoc_activation *activation)
{
    int row = 0;
    EOC_TRY(eoc_kind_parse(eoc_activation_table(), text, &row, activation->parameters));
    activation->kind = &activations[row];
    return EOC_OK;
}

eoc_status eoc_activation_check_theory(const eoc_activation *activation)
{
    EOC_REQUIRE(eoc_activation_features(activation) == 1, EOC_ERR_USAGE,
                "%s has two features a unit, and theory here is that of one; accepted: the other activations",
                activation->kind->name);
    return EOC_OK;
}
