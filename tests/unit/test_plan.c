/* SPDX-License-Identifier: BSD-3-Clause */
/* Grid, keys, records and the plan: all that decides who does what, without MPI. */
#include "check.h"

#include "eoc/plan.h"
#include "eoc/record.h"
#include "eoc/simulate.h"
#include "eoc/sweep.h"
#include "eoc/text.h"

#include "../../src/run/worklist.h"

#include <stdlib.h>
#include <string.h>

static eoc_sweep sweep_of(const char *const *sets, int count)
{
    eoc_sweep sweep = {0};
    eoc_text errors = {0};
    if (eoc_config_read("-", sets, count, &sweep, &errors) != EOC_OK) {
        fail_msg("%s", errors.data);
    }
    eoc_text_clear(&errors);
    return sweep;
}

static const char *const mixed[] = {"grid.activation=tanh,relu", "grid.width=10,100", "grid.depth=5,50,500",
                                    "grid.weight_variance=linspace(1, 2, 5)", "grid.replica=3"};

/* Indices and unit numbers are each other's inverse, replica fastest. */
static void indices(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    const int64_t units = (int64_t)eoc_grid_num_units(&sweep.grid);
    assert_int_equal(units, 2 * 2 * 3 * 5 * 3);
    for (int64_t unit = 0; unit < units; unit++) {
        int i[EOC_NUM_AXES];
        eoc_grid_indices(&sweep.grid, unit, i);
        assert_int_equal(eoc_grid_unit(&sweep.grid, i), unit);
        assert_int_equal(i[EOC_AXIS_REPLICA], unit % 3);
    }
    eoc_sweep_clear(&sweep);
}

/* A unit's key is that of its own values: the same network in any grid that holds it, another one for any other value.
 */
static void keys(void **state)
{
    (void)state;
    static const char *const alone[] = {"grid.activation=relu", "grid.width=100", "grid.depth=50",
                                        "grid.weight_variance=1.25", "grid.replica=[2]"};
    eoc_sweep large = sweep_of(mixed, 5), small = sweep_of(alone, 5);
    const eoc_unit wanted = eoc_grid_get(&small.grid, small.seed, 0);
    char text[EOC_UNIT_TEXT_BYTES];
    assert_string_equal(eoc_grid_unit_text(&small.grid, 1, 0, text),
                        "seed=1 architecture=fully_connected activation=relu initializer=gaussian width=100 depth=50 "
                        "weight_variance=1.25 bias_variance=0 replica=2");
    int same = 0;
    for (int64_t unit = 0; unit < (int64_t)eoc_grid_num_units(&large.grid); unit++) {
        const eoc_unit u = eoc_grid_get(&large.grid, large.seed, unit);
        const bool is_it =
            u.network.key.word[0] == wanted.network.key.word[0] && u.network.key.word[1] == wanted.network.key.word[1];
        same += is_it;
        assert_int_equal(is_it, u.network.width == 100 && u.network.depth == 50 && u.network.weight_variance == 1.25 &&
                                    u.replica == 2 && strcmp(u.network.activation.kind->name, "relu") == 0);
    }
    assert_int_equal(same, 1);
    eoc_sweep_clear(&large);
    eoc_sweep_clear(&small);
}

/* -- the worklist: what rank 0 hands out -- */

typedef struct {
    int units_per_cell, *seen, *points_seen;
    int64_t last_leftover_attempts;
    bool leftovers_begun;
} handed;

static void note_units(handed *h, const eoc_job *job, const int8_t *status, const int32_t *attempts)
{
    const int8_t *told = eoc_job_attempts(job);
    int64_t count = 0;
    assert_int_equal(job->first / h->units_per_cell, (job->end - 1) / h->units_per_cell);
    for (int64_t unit = job->first; unit < job->end; unit++) {
        const int before = told ? told[unit - job->first] : 0;
        if (before >= 0) {
            assert_int_equal(before, attempts ? attempts[unit] : 0);
            h->seen[unit]++;
            count++;
        }
    }
    assert_int_equal(count, job->count);
    assert_true(job->unit_seconds > 0.0 && job->ask_seconds > 0.0);
    if (status && status[job->first] == EOC_RUNNING && job->count == 1) {
        assert_true(attempts[job->first] >= h->last_leftover_attempts);
        h->last_leftover_attempts = attempts[job->first];
        h->leftovers_begun = true;
    } else {
        assert_false(h->leftovers_begun); /* they come last, one by one */
    }
}

/* Ranks ask in a random order until each is told that nothing is left. */
static void hand_out(eoc_worklist *list, int num_ranks, uint32_t seed, const int8_t *status, const int32_t *attempts,
                     handed *h)
{
    bool *told = calloc((size_t)num_ranks, sizeof *told);
    for (int left = num_ranks, i = 0; left > 0; i++) {
        const uint32_t counter[4] = {(uint32_t)i, seed, 0, 0};
        uint32_t word[4];
        eoc_rng_block((eoc_key){{1, 2}}, counter, word);
        const int rank = (int)(word[0] % (unsigned)num_ranks);
        eoc_job *job = eoc_worklist_take(list, num_ranks, rank);
        if (job->kind == EOC_JOB_UNITS) {
            note_units(h, job, status, attempts);
        } else if (job->kind == EOC_JOB_THEORY) {
            for (int64_t p = 0; p < job->count; p++) {
                h->points_seen[eoc_job_points(job)[p].point]++;
            }
        } else {
            assert_int_equal(job->kind, EOC_JOB_NOTHING);
            left -= !told[rank];
            told[rank] = true;
        }
        free(job);
    }
    free(told);
}

/* Every unit and point that is to be done is handed out once, none else, on any number of ranks, shuffled or not. */
static void coverage(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    const int64_t units = (int64_t)eoc_grid_num_units(&sweep.grid), points = (int64_t)eoc_grid_num_points(&sweep.grid);
    int8_t *status = calloc((size_t)units, 1);
    int32_t *attempts = calloc((size_t)units, sizeof *attempts);
    uint16_t *theory = calloc((size_t)points, sizeof *theory);
    for (int64_t unit = 0; unit < units; unit++) {
        status[unit] = (int8_t)(unit * 7 % 5); /* all five states, mixed */
        attempts[unit] = status[unit] == EOC_PENDING ? 0 : (int32_t)(1 + unit % 2);
    }
    for (int64_t point = 0; point < points; point++) {
        theory[point] = point % 3 ? EOC_THEORY_NOT_COMPUTED : 0;
    }
    static const int ranks[] = {1, 2, 3, 17, 1000};
    for (int resumed = 0; resumed < 2; resumed++) {
        const eoc_store_state found = {.status = status, .attempts = attempts, .theory_status = theory};
        const eoc_store_state none = {0};
        for (uint64_t shuffle = 0; shuffle < 3; shuffle++) {
            for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
                eoc_worklist list;
                assert_int_equal(eoc_worklist_create(&sweep, resumed ? &found : &none, NULL, shuffle, &list), EOC_OK);
                handed h = {.units_per_cell = 15, /* 5 weight variances x 3 replicas */
                            .seen = calloc((size_t)units, sizeof *h.seen),
                            .points_seen = calloc((size_t)points, sizeof *h.points_seen)};
                hand_out(&list, ranks[i], (uint32_t)shuffle, resumed ? status : NULL, resumed ? attempts : NULL, &h);
                int64_t wanted = 0;
                for (int64_t unit = 0; unit < units; unit++) {
                    const int to_do = !resumed || eoc_plan_is_pending(status[unit]);
                    assert_int_equal(h.seen[unit], to_do);
                    wanted += to_do;
                }
                for (int64_t point = 0; point < points; point++) {
                    assert_int_equal(h.points_seen[point], !resumed || theory[point] != 0);
                }
                assert_int_equal(list.num_pending, wanted);
                free(h.seen);
                free(h.points_seen);
                eoc_worklist_clear(&list);
            }
        }
    }
    free(status);
    free(attempts);
    free(theory);
    eoc_sweep_clear(&sweep);
}

/* A group of theory points keeps its first point of the grid, whatever of it is computed: its maps give the same bits.
 */
static void theory_leads(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    const int64_t points = (int64_t)eoc_grid_num_points(&sweep.grid);
    uint16_t *theory = calloc((size_t)points, sizeof *theory);
    eoc_theory_point *all = NULL, *rest = NULL;
    int64_t num_all = 0, num_rest = 0, lead[60];
    assert_int_equal(points, 60);
    assert_int_equal(eoc_theory_points_list(&sweep, NULL, &all, &num_all), EOC_OK);
    assert_int_equal(num_all, 60);
    for (int64_t i = 0; i < 60; i++) {
        lead[all[i].point] = all[i].lead;
        theory[i] = i >= 6 ? EOC_THEORY_NOT_COMPUTED : 0; /* the first group of each activation is begun */
    }
    assert_int_equal(eoc_theory_points_list(&sweep, theory, &rest, &num_rest), EOC_OK);
    assert_int_equal(num_rest, 54);
    for (int64_t i = 0; i < num_rest; i++) {
        assert_int_equal(rest[i].lead, lead[rest[i].point]);
        assert_int_equal(rest[i].lead % 5, rest[i].point % 5);   /* the same weight variance, and */
        assert_int_equal(rest[i].lead / 30, rest[i].point / 30); /* the same activation, at the least */
        assert_true(rest[i].lead % 30 < 5);                      /* width and depth */
    }
    free(all);
    free(rest);
    free(theory);
    eoc_sweep_clear(&sweep);
}

/* Rows of a record do not overlap, are aligned for doubles, and every included variable has its pointer. */
static void records(void **state)
{
    (void)state;
    int layers[3] = {1, 5, 9};
    for (unsigned statistics = 1; statistics <= 3; statistics++) {
        eoc_layout layout;
        assert_int_equal(eoc_layout_create(statistics, layers, 3, 5, &layout), EOC_OK);
        for (int scope = 0; scope < 2; scope++) {
            const size_t total = scope == EOC_PER_UNIT ? layout.unit_bytes : layout.point_bytes;
            unsigned char *used = calloc(total, 1);
            for (int row = 0; row < eoc_variable_count(); row++) {
                const eoc_variable *v = eoc_variable_row(row);
                assert_true(v->long_name && v->units && strcmp(v->units, "seconds") != 0);
                if ((int)v->scope == scope && layout.included[row]) {
                    assert_int_equal(layout.offset[row] % 8, 0);
                    for (size_t i = 0; i < eoc_type_bytes(v->type) * eoc_layout_row_count(&layout, v); i++) {
                        assert_int_equal(used[layout.offset[row] + i]++, 0);
                    }
                }
            }
            free(used);
        }
        unsigned char *block = calloc(layout.unit_bytes, 1);
        eoc_unit_record record;
        eoc_layout_unit(&layout, block, &record);
        assert_non_null(record.status);
        assert_int_equal(record.probe.log_q != NULL, (statistics & EOC_STATISTIC_FORWARD) != 0);
        assert_int_equal(record.probe.gradient_c != NULL, (statistics & EOC_STATISTIC_GRADIENT) != 0);
        free(block);
        eoc_layout_clear(&layout);
    }
}

/* -- the hand-out, simulated -- */

typedef struct {
    int64_t *units; /* (cells) handed out so far */
    unsigned char **seen;
    double *busy_until; /* (ranks) */
    double last_end;
} witness;

/* Every unit once, and no rank at two slices at a time. */
static void note_dealt(void *context, int rank, const eoc_dealt *slice, double begin, double end)
{
    witness *const w = context;
    assert_true(slice->end > slice->first && end > begin);
    for (int64_t unit = slice->first; unit < slice->end; unit++) {
        assert_int_equal(w->seen[slice->cell][unit], 0);
        w->seen[slice->cell][unit] = 1;
    }
    w->units[slice->cell] += slice->end - slice->first;
    assert_true(begin >= w->busy_until[rank]);
    w->busy_until[rank] = end;
    w->last_end = fmax(w->last_end, end);
}

static double uniform(uint32_t i, uint32_t j)
{
    const uint32_t counter[4] = {i, j, 0, 0};
    uint32_t word[4];
    eoc_rng_block((eoc_key){{7, 7}}, counter, word);
    return (word[0] + 0.5) / 4294967296.0;
}

/* Cells of unlike size and cost, whose costs are wrong by up to `wrong` either way. */
static int64_t random_cells(uint32_t seed, double wrong, eoc_cell cells[40])
{
    const int64_t count = 1 + (int64_t)(40 * uniform(seed, 0));
    for (uint32_t i = 0; i < count; i++) {
        const double seconds = exp(-9.0 + 10.0 * uniform(seed, 4 * i + 1));
        cells[i] = (eoc_cell){.cell = i,
                              .units = 1 + (int64_t)(300 * uniform(seed, 4 * i + 2)),
                              .seconds = seconds,
                              .actual = seconds * pow(wrong, 2.0 * uniform(seed, 4 * i + 3) - 1.0)};
    }
    eoc_cells_sort(cells, count);
    return count;
}

/* Whatever the costs, the ranks and the messages: every unit once, and the makespan is that of the last slice. */
static void every_unit_once(void **state)
{
    (void)state;
    static const int ranks[] = {1, 2, 3, 7, 64, 500};
    for (uint32_t seed = 0; seed < 300; seed++) {
        eoc_cell cells[40];
        const int64_t count = random_cells(seed, seed % 2 ? 3.0 : 1.0, cells);
        const int num_ranks = ranks[seed % 6];
        witness w = {.units = calloc(40, sizeof *w.units),
                     .seen = calloc(40, sizeof *w.seen),
                     .busy_until = calloc((size_t)num_ranks, sizeof *w.busy_until)};
        for (int64_t i = 0; i < count; i++) {
            w.seen[i] = calloc((size_t)cells[i].units, 1);
        }
        eoc_simulation_options options = eoc_simulation_defaults(num_ranks);
        options.tick_seconds = seed % 3 ? 0.1 * uniform(seed, 999) : 0.0;
        options.dealt = note_dealt;
        options.context = &w;
        eoc_simulation result;
        assert_int_equal(eoc_simulate(cells, count, &options, &result), EOC_OK);
        double total = 0.0, dearest = 0.0;
        for (int64_t i = 0; i < count; i++) {
            assert_int_equal(w.units[i], cells[i].units);
            total += (double)cells[i].units * cells[i].actual;
            dearest = fmax(dearest, cells[i].actual);
            free(w.seen[i]);
        }
        CHECK_RELATIVE(result.total, total, 1e-12);
        assert_true(result.makespan >= w.last_end);
        assert_true(result.makespan >= fmax(total / num_ranks, dearest) * (1.0 - 1e-12));
        CHECK_RELATIVE(result.efficiency, fmax(total / num_ranks, dearest) / result.makespan, 1e-12);
        free(w.units);
        free(w.seen);
        free(w.busy_until);
    }
}

/* By hand, with messages that take no time. */
static void small_deals(void **state)
{
    (void)state;
    eoc_simulation_options options = {.num_ranks = 1};
    eoc_simulation r;
    assert_int_equal(eoc_simulate(NULL, 0, &options, &r), EOC_OK); /* nothing to do */
    assert_true(r.makespan == 0.0 && r.efficiency == 1.0 && r.slices == 0);

    const eoc_cell equal[] = {{.units = 6, .seconds = 2.0, .actual = 2.0}};
    assert_int_equal(eoc_simulate(equal, 1, &options, &r), EOC_OK); /* one rank: 6 x 2 s */
    CHECK_RELATIVE(r.makespan, 12.0, 1e-12);
    options.num_ranks = 3; /* two each */
    assert_int_equal(eoc_simulate(equal, 1, &options, &r), EOC_OK);
    CHECK_RELATIVE(r.makespan, 4.0, 1e-12);
    options.num_ranks = 4; /* 6 over 4: some do two, 12/4 = 3 is out of reach */
    assert_int_equal(eoc_simulate(equal, 1, &options, &r), EOC_OK);
    CHECK_RELATIVE(r.makespan, 4.0, 1e-12);
    CHECK_RELATIVE(r.efficiency, 0.75, 1e-12);
    options.num_ranks = 9; /* more ranks than units: the dearest unit is the bound, and reached */
    assert_int_equal(eoc_simulate(equal, 1, &options, &r), EOC_OK);
    CHECK_RELATIVE(r.makespan, 2.0, 1e-12);
    CHECK_RELATIVE(r.efficiency, 1.0, 1e-12);
    assert_int_equal(r.slices, 6);

    /* Two ranks: 10 s to rank 1, the ten of 1 s to rank 0 from the other end. */
    const eoc_cell unlike[] = {{.cell = 0, .units = 1, .seconds = 10.0, .actual = 10.0},
                               {.cell = 1, .units = 10, .seconds = 1.0, .actual = 1.0}};
    options.num_ranks = 2;
    assert_int_equal(eoc_simulate(unlike, 2, &options, &r), EOC_OK);
    CHECK_RELATIVE(r.makespan, 10.0, 1e-12);
    CHECK_RELATIVE(r.efficiency, 1.0, 1e-12);

    /* A message of 0.25 s there and one back before the only unit of 1 s begins on rank 1; rank 0 has taken 1 s. */
    const eoc_cell two[] = {{.units = 2, .seconds = 1.0, .actual = 1.0}};
    options.message_seconds = 0.25;
    assert_int_equal(eoc_simulate(two, 1, &options, &r), EOC_OK);
    CHECK_RELATIVE(r.makespan, 1.5, 1e-12);
    options.tick_seconds = 0.4; /* and it is answered at 0.4 s, not at 0.25 */
    assert_int_equal(eoc_simulate(two, 1, &options, &r), EOC_OK);
    CHECK_RELATIVE(r.makespan, 1.65, 1e-12);
    options.answer_seconds = 0.05; /* and the answer takes rank 0 so long, to both ranks' cost */
    assert_int_equal(eoc_simulate(two, 1, &options, &r), EOC_OK);
    CHECK_RELATIVE(r.makespan, 1.7, 1e-12);
}

/* The policy at its corners. */
static void shares(void **state)
{
    (void)state;
    const eoc_share first = eoc_plan_share(4000.0, 4000.0, 10, 3), late = eoc_plan_share(8.0, 4000.0, 10, 3);
    assert_false(first.cheap_end);
    CHECK_RELATIVE(first.seconds, 100.0, 1e-12); /* 4000/(4 x 10) */
    CHECK_RELATIVE(late.seconds, 1.0, 1e-12);    /* 8/40 is less than a second */
    const eoc_share root = eoc_plan_share(4000.0, 4000.0, 10, 0), brief = eoc_plan_share(6.4, 6.4, 10, 0);
    assert_true(root.cheap_end && brief.cheap_end);
    CHECK_RELATIVE(root.seconds, 1.0, 1e-12);
    CHECK_RELATIVE(brief.seconds, 0.01, 1e-12); /* 6.4/(64 x 10) */
    assert_int_equal(eoc_plan_share_units(&root, 0.3, 100), 3);
    assert_int_equal(eoc_plan_share_units(&root, 50.0, 100), 1);
    assert_int_equal(eoc_plan_share_units(&root, 1e-9, 100), 100);
}

/*
 * List scheduling (Graham 1969): without latencies, with slices no longer than s and one ahead, no rank rests while
 * there is work, so makespan <= total/ranks + what a rank can hold at the end: two slices.
 */
static void makespan_bounds(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 200; seed++) {
        eoc_cell cells[40];
        const int64_t count = random_cells(seed, 1.0, cells);
        for (int num_ranks = 1; num_ranks <= 256; num_ranks *= 4) {
            const eoc_simulation_options options = {.num_ranks = num_ranks};
            eoc_simulation r;
            assert_int_equal(eoc_simulate(cells, count, &options, &r), EOC_OK);
            const double slice =
                fmax(r.dearest, 1.5 * fmax(0.005, fmax(r.total / (4.0 * num_ranks), r.total / (64.0 * num_ranks))));
            assert_true(r.makespan <= r.total / num_ranks + 2.0 * slice);
        }
    }
}

/* The target: a mixed grid on 1024 ranks, with the design's latencies, keeps 95 %; 90 % with costs wrong threefold. */
static void mixed_grid(void **state)
{
    (void)state;
    static const char *const sets[] = {"grid.activation=tanh,relu",
                                       "grid.initializer=gaussian,orthogonal",
                                       "grid.depth=range(10, 300, 10)",
                                       "grid.width=range(100, 1000, 100)",
                                       "grid.weight_variance=linspace(1, 4, 31)",
                                       "grid.bias_variance=0.05",
                                       "grid.replica=64",
                                       "probe.sampler=auto"};
    static const char *const samplers[] = {"probe.sampler=auto", "probe.sampler=explicit"};
    for (int which = 0; which < 2; which++) {
        const char *given[8];
        memcpy(given, sets, sizeof given);
        given[7] = samplers[which];
        eoc_sweep sweep = sweep_of(given, 8);
        eoc_cell *cells = NULL;
        int64_t count = 0;
        assert_int_equal(eoc_cells_create(&sweep.grid, &sweep.probe, NULL, NULL, &cells, &count), EOC_OK);
        assert_int_equal(count, 2 * 2 * 30 * 10);
        const eoc_simulation_options options = eoc_simulation_defaults(1024);
        eoc_simulation r;
        assert_int_equal(eoc_simulate(cells, count, &options, &r), EOC_OK);
        assert_true(r.efficiency >= 0.95);
        for (int64_t i = 0; i < count; i++) {
            cells[i].actual *= pow(3.0, 2.0 * uniform(5, (uint32_t)i) - 1.0);
        }
        assert_int_equal(eoc_simulate(cells, count, &options, &r), EOC_OK);
        assert_true(r.efficiency >= 0.90);
        free(cells);
        eoc_sweep_clear(&sweep);
    }
}

/* Cells hold what is pending, and only that. */
static void pending_cells(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    const int64_t units = (int64_t)eoc_grid_num_units(&sweep.grid);
    int8_t *status = malloc((size_t)units);
    int64_t wanted = 0;
    for (int64_t unit = 0; unit < units; unit++) {
        status[unit] = (int8_t)(unit < 15 ? EOC_DONE : unit * 7 % 5); /* the first cell has nothing left */
        wanted += eoc_plan_is_pending(status[unit]);
    }
    eoc_cell *cells = NULL;
    int64_t count = 0, sum = 0;
    assert_int_equal(eoc_cells_create(&sweep.grid, &sweep.probe, NULL, status, &cells, &count), EOC_OK);
    assert_int_equal(count, 11); /* of 2 x 2 x 3 */
    for (int64_t i = 0; i < count; i++) {
        sum += cells[i].units;
        assert_true(cells[i].cell > 0 && (i == 0 || cells[i].seconds <= cells[i - 1].seconds));
    }
    assert_int_equal(sum, wanted);
    free(cells);
    free(status);
    eoc_sweep_clear(&sweep);
}

/* Ratios go by names: of a kind that was measured its own, of another the geometric mean. */
static void costs(void **state)
{
    (void)state;
    eoc_sweep sweep = sweep_of(mixed, 5);
    static const char *const other_sets[] = {"grid.activation=gelu,relu,tanh", "grid.width=50", "grid.depth=7",
                                             "grid.weight_variance=1"};
    eoc_sweep other = sweep_of(other_sets, 4);
    const int64_t units = (int64_t)eoc_grid_num_units(&sweep.grid);
    int8_t *status = calloc((size_t)units, 1);
    double *seconds = calloc((size_t)units, sizeof *seconds);
    for (int64_t unit = 0; unit < units; unit++) {
        const eoc_unit u = eoc_grid_get(&sweep.grid, 0, unit);
        const bool tanh_unit = u.indices[EOC_AXIS_ACTIVATION] == 0;
        status[unit] = u.replica == 0 ? EOC_DONE : u.replica == 1 ? EOC_RUNNING : EOC_DIVERGED;
        seconds[unit] = u.replica == 0 ? (tanh_unit ? 2.0 : 8.0) * eoc_probe_seconds(&sweep.probe, &u.network) : 1e9;
    }
    eoc_cost cost = {0};
    CHECK_RELATIVE(eoc_cost_seconds(&cost, &sweep.grid, &sweep.probe, 0),
                   eoc_cost_seconds(NULL, &sweep.grid, &sweep.probe, 0), 0.0);
    assert_int_equal(eoc_cost_fit(&sweep.grid, &sweep.probe, status, seconds, &cost), EOC_OK);
    static const double wanted[] = {4.0, 8.0, 2.0}; /* gelu: sqrt(2 x 8) */
    for (int i = 0; i < 3; i++) {
        const eoc_unit u = eoc_grid_get(&other.grid, 0, i);
        CHECK_RELATIVE(eoc_cost_seconds(&cost, &other.grid, &other.probe, i),
                       wanted[i] * eoc_probe_seconds(&other.probe, &u.network), 1e-12);
    }
    eoc_cost_clear(&cost);
    /* Calibration finds every kind of the other sweep. */
    assert_int_equal(eoc_cost_calibrate(&other.grid, &other.probe, 0.05, &cost), EOC_OK);
    assert_int_equal(cost.num_rows, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(cost.rows[i].measured > 0.0 && isfinite(eoc_cost_ratio(&cost.rows[i])));
    }
    eoc_cost_clear(&cost);
    free(status);
    free(seconds);
    eoc_sweep_clear(&sweep);
    eoc_sweep_clear(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indices),      cmocka_unit_test(keys),          cmocka_unit_test(coverage),
        cmocka_unit_test(theory_leads), cmocka_unit_test(records),       cmocka_unit_test(every_unit_once),
        cmocka_unit_test(small_deals),  cmocka_unit_test(shares),        cmocka_unit_test(makespan_bounds),
        cmocka_unit_test(mixed_grid),   cmocka_unit_test(pending_cells), cmocka_unit_test(costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
