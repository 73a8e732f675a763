/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks the activation table: a new row is tested by being there. */
#include "check.h"

#include "eoc/activation.h"

#include <string.h>

static eoc_activation with_defaults(int row)
{
    eoc_activation activation;
    assert_int_equal(eoc_activation_find(eoc_activation_row(row)->name, &activation), EOC_OK);
    return activation;
}

static double distance_to_kink(const eoc_activation_kind *kind, double z)
{
    double nearest = INFINITY;
    for (int i = 0; i < kind->num_kinks; i++) {
        nearest = fmin(nearest, fabs(z - kind->kinks[i]));
    }
    return nearest;
}

/* dphi against the central difference of phi, error h^2 phi'''/6 + eps/h: 1e-9 at h = 1e-5. */
static void derivatives(void **state)
{
    (void)state;
    const double h = 1e-5;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_activation a = with_defaults(row);
        for (double z = -6.0; z <= 6.0; z += 0.037) {
            if (distance_to_kink(a.kind, z) > 2.0 * h) {
                const double want = (eoc_activation_phi(&a, z + h) - eoc_activation_phi(&a, z - h)) / (2.0 * h);
                CHECK_NEAR(eoc_activation_dphi(&a, z), want, 1e-9);
            }
        }
    }
}

/* The vector forms are the scalar ones to rounding, in place too. */
static void vector_forms(void **state)
{
    (void)state;
    enum { N = 1201 };
    double z[N], h[N], d[N];
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_activation a = with_defaults(row);
        for (int i = 0; i < N; i++) {
            z[i] = (i - N / 2) * 0.05;
        }
        a.kind->phi_many(z, h, N, a.parameters);
        a.kind->dphi_many(z, d, N, a.parameters);
        for (int i = 0; i < N; i++) {
            CHECK_NEAR(h[i], eoc_activation_phi(&a, z[i]), 8.0 * 2.3e-16 * fmax(1.0, fabs(z[i])));
            CHECK_NEAR(d[i], eoc_activation_dphi(&a, z[i]), 8.0 * 2.3e-16 * fmax(1.0, fabs(z[i])));
        }
        double in_place[N];
        memcpy(in_place, z, sizeof z);
        a.kind->phi_many(in_place, in_place, N, a.parameters);
        assert_memory_equal(in_place, h, sizeof h);
        memcpy(in_place, z, sizeof z);
        a.kind->dphi_many(in_place, in_place, N, a.parameters);
        assert_memory_equal(in_place, d, sizeof d);
    }
}

/* What a row says of itself holds: where the derivative jumps it is 0; scale, oddness and phi(0). */
static void properties(void **state)
{
    (void)state;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_activation a = with_defaults(row);
        for (int i = 0; i < a.kind->num_kinks; i++) {
            const double kink = a.kind->kinks[i];
            const double jump = eoc_activation_dphi(&a, kink + 1e-9) - eoc_activation_dphi(&a, kink - 1e-9);
            if (fabs(jump) > 1e-3) {
                CHECK_NEAR(eoc_activation_dphi(&a, kink), 0.0, 0.0);
            }
        }
        bool scale_invariant = true, odd = true;
        for (double z = -3.0; z <= 3.0; z += 0.1) {
            const double phi = eoc_activation_phi(&a, z);
            scale_invariant = scale_invariant && fabs(eoc_activation_phi(&a, 4.0 * z) - 4.0 * phi) <= 1e-14;
            odd = odd && fabs(eoc_activation_phi(&a, -z) + phi) <= 1e-15;
        }
        assert_int_equal(a.kind->scale_invariant, scale_invariant);
        assert_int_equal(a.kind->odd, odd);
        assert_int_equal(a.kind->zero_at_zero, eoc_activation_phi(&a, 0.0) == 0.0);
    }
}

/* A kink that a row forgets would spoil quadrature: between kinks the second difference of dphi is smooth. */
static void no_other_kinks(void **state)
{
    (void)state;
    const double h = 1e-4;
    for (int row = 0; row < eoc_activation_count(); row++) {
        const eoc_activation a = with_defaults(row);
        for (double z = -4.0; z <= 4.0; z += h) {
            if (distance_to_kink(a.kind, z) > 2.0 * h) {
                /* |phi''| <= 3 for every row: a jump of phi' by more than 3e-4 within 1e-4 is a kink */
                CHECK_NEAR(eoc_activation_dphi(&a, z + h) - eoc_activation_dphi(&a, z), 0.0, 3.0 * h);
            }
        }
    }
}

static void values(void **state)
{
    (void)state;
    /* Closed forms, and tables of erf (Abramowitz & Stegun 7.1): erf(1) = 0.8427007929497149. */
    static const struct {
        const char *text;
        double z, phi;
    } cases[] = {
        {"linear", -2.5, -2.5},
        {"relu", -1.0, 0.0},
        {"relu", 2.0, 2.0},
        {"leaky_relu", -2.0, -0.02},
        {"leaky_relu(slope=0.2)", -2.0, -0.4},
        {"hard_tanh", 3.0, 1.0},
        {"erf", 1.0, 0.8427007929497149},
        {"sigmoid", 0.0, 0.5},
        {"elu", -1.0, -0.6321205588285577},
        {"elu(alpha=2)", -1.0, -1.2642411176571153},
        {"selu", 1.0, 1.0507009873554805},
        {"gelu", 1.0, 0.8413447460685429},
        {"silu", 1.0, 0.7310585786300049},
        {"softplus", 0.0, 0.6931471805599453},
        {"sin", 1.0, 0.8414709848078965},
        {"tanh", 0.5, 0.46211715726000975},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eoc_activation a;
        assert_int_equal(eoc_activation_find(cases[i].text, &a), EOC_OK);
        CHECK_NEAR(eoc_activation_phi(&a, cases[i].z), cases[i].phi, 4e-16);
    }
}

static void spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
    } good[] = {{"tanh", "tanh"},
                {" leaky_relu ( slope = 0.01 ) ", "leaky_relu"},
                {"leaky_relu(slope=0.20)", "leaky_relu(slope=0.2)"},
                {"elu(alpha=1e0)", "elu"},
                {"relu()", "relu"}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int row = 0;
        double p[EOC_MAX_PARAMETERS];
        char out[EOC_MAX_KIND_BYTES];
        assert_int_equal(eoc_kind_parse(eoc_activation_table(), good[i].text, &row, p), EOC_OK);
        assert_string_equal(eoc_kind_spell(eoc_activation_table(), row, p, out), good[i].canonical);
    }
    static const struct {
        const char *text, *said;
    } bad[] = {{"tnah", "did you mean 'tanh'"},
               {"Tanh", "did you mean 'tanh'"},
               {"quux", "known: linear, relu"},
               {"leaky_relu(slop=1)", "it takes slope"},
               {"leaky_relu(slope=2)", "from -1 to 1"},
               {"leaky_relu(slope=nan)", "from -1 to 1"},
               {"leaky_relu(slope=0.1, slope=0.2)", "twice"},
               {"leaky_relu(0.1)", "name=value"},
               {"leaky_relu(slope=0.1", "not closed"},
               {"tanh(x=1)", "takes no parameters"},
               {"", "known: linear"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        eoc_activation a;
        assert_int_not_equal(eoc_activation_find(bad[i].text, &a), EOC_OK);
        if (!strstr(eoc_status_why(), bad[i].said)) {
            fail_msg("'%s': said '%s', without '%s'", bad[i].text, eoc_status_why(), bad[i].said);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivatives),    cmocka_unit_test(vector_forms), cmocka_unit_test(properties),
        cmocka_unit_test(no_other_kinks), cmocka_unit_test(values),       cmocka_unit_test(spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
