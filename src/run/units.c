/* SPDX-License-Identifier: BSD-3-Clause */
/* What a rank does with a job: theory points or units, computed one after the other and committed in batches. */
#include "run_parts.h"

#include "eoc/checkpoint.h"
#include "eoc/rng.h"
#include "eoc/text.h"

#include "clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double COMMIT_SECONDS = 5.0;

/* -- the batch -- */

bool eoc_units_batch_is_full(const run *r)
{
    return r->batch_count == r->batch_capacity;
}

/* The record that comes next into the batch, blank. */
static eoc_unit_record next_record(run *r)
{
    unsigned char *const block = r->blocks + (size_t)r->batch_count * r->layout.unit_bytes;
    eoc_unit_record record;
    memcpy(block, r->blank, r->layout.unit_bytes);
    eoc_layout_unit(&r->layout, block, &record);
    return record;
}

/* What was kept of units that are now in the file. */
static void remove_checkpoints(const run *r)
{
    for (int i = 0; i < r->batch_count && r->sweep->probe.train; i++) {
        eoc_text path = {0};
        eoc_checkpoint_path(r->options->output, r->batch_units[i], &path);
        eoc_checkpoint_remove(path.data);
        eoc_text_clear(&path);
    }
}

eoc_status eoc_units_commit(run *r)
{
    if (r->batch_count == 0) {
        return EOC_OK;
    }
    const eoc_status status = eoc_store_commit(r->store, r->batch_units, r->batch_count, r->blocks);
    for (int i = 0; i < r->batch_count && status != EOC_OK; i++) {
        (void)eoc_store_give_up_unit(r->store, r->batch_units[i]);
    }
    if (status == EOC_OK) {
        remove_checkpoints(r);
    }
    r->batch_count = 0;
    return status;
}

void eoc_units_note_crashed(run *r, int64_t unit)
{
    const eoc_unit_record record = next_record(r);
    *record.status = EOC_FAILED;
    *record.reason = EOC_REASON_CRASHED;
    r->batch_units[r->batch_count++] = unit;
}

/* -- one unit, and what it asks of its host -- */

typedef struct {
    run *run;
    int64_t unit;
    eoc_key owner;
    eoc_text checkpoint; /* where its state is kept */
    double predicted;    /* seconds of it ... */
    double counted;      /* ... and those that are in this rank's tally already */
} unit_in_hand;

static bool tick(void *context)
{
    return eoc_run_tick(((unit_in_hand *)context)->run);
}

static bool ending(void *context)
{
    return ((unit_in_hand *)context)->run->stop.reason != EOC_STOP_NOT || eoc_stop_at_once();
}

/* The sweep's identity and the network's own key: whose state it is. */
static eoc_key owner_of(const run *r, const eoc_network *network)
{
    eoc_text text = {0};
    eoc_text_append(&text, "%08x%08x\n%s", network->key.word[0], network->key.word[1], r->identity_text.data);
    const eoc_key owner = eoc_rng_key(text.data);
    eoc_text_clear(&text);
    return owner;
}

/* A unit that comes this far does not bring the run down: its count begins anew. */
static bool save(void *context, const eoc_piece *pieces, int count)
{
    const unit_in_hand *hand = context;
    if (eoc_checkpoint_save(hand->checkpoint.data, hand->owner, pieces, count) != EOC_OK) {
        fprintf(stderr, "eoc: rank %d: %s; the unit goes on without\n", hand->run->rank, eoc_status_why());
        return false;
    }
    (void)eoc_store_begin_unit(hand->run->store, hand->unit, 1);
    return true;
}

static bool load(void *context, const eoc_piece *pieces, int count)
{
    const unit_in_hand *hand = context;
    return eoc_checkpoint_load(hand->checkpoint.data, hand->owner, pieces, count);
}

/* A unit may take hours: what is done of it counts. */
static void progress(void *context, double share)
{
    unit_in_hand *hand = context;
    hand->run->handout.mine.seconds += share * hand->predicted - hand->counted;
    hand->counted = share * hand->predicted;
}

static void count_outcome(run *r, const eoc_outcome *outcome, double predicted, double seconds)
{
    eoc_tally *const mine = &r->handout.mine;
    mine->done += outcome->status == EOC_DONE;
    mine->diverged += outcome->status == EOC_DIVERGED;
    mine->failed += outcome->status == EOC_FAILED;
    mine->seconds += predicted;
    if (outcome->status == EOC_DONE) {
        r->measured += seconds;
        r->predicted += predicted;
    }
    r->computed++;
}

/* Probes one unit into the batch; *given_up when it had to be left, and then it is as if it had never been begun. */
static eoc_status do_unit(run *r, int64_t unit, int32_t attempts, double predicted, bool *given_up)
{
    const eoc_unit u = eoc_grid_get(&r->sweep->grid, r->sweep->seed, unit);
    EOC_TRY(eoc_store_begin_unit(r->store, unit, attempts));
    if (r->batch_count == 0) {
        r->batch_begun = eoc_clock();
    }
    eoc_unit_record record = next_record(r);
    eoc_outcome outcome = {.status = EOC_FAILED};
    unit_in_hand hand = {.run = r, .unit = unit, .owner = owner_of(r, &u.network), .predicted = predicted};
    eoc_checkpoint_path(r->options->output, unit, &hand.checkpoint);
    const eoc_host host = {.context = &hand,
                           .tick = tick,
                           .ending = ending,
                           .save = save,
                           .load = load,
                           .progress = progress,
                           .save_seconds = r->options->checkpoint_seconds};
    const double begun = eoc_clock();
    *given_up = !eoc_study_run(r->study, &u.network, &host, &record, &outcome);
    eoc_text_clear(&hand.checkpoint);
    progress(&hand, 0.0); /* from here on it counts whole, or not at all */
    if (*given_up) {
        return eoc_store_give_up_unit(r->store, unit);
    }
    const double seconds = eoc_clock() - begun;
    *record.status = (int8_t)outcome.status;
    *record.reason = (int8_t)outcome.reason;
    *record.last_layer = outcome.last_layer;
    *record.sampler = (int8_t)eoc_sampler_index(eoc_probe_sampler(&r->sweep->probe, &u.network));
    *record.seconds = seconds;
    *record.rank = r->rank;
    *record.attempts = attempts;
    r->batch_units[r->batch_count++] = unit;
    count_outcome(r, &outcome, predicted, seconds);
    return EOC_OK;
}

/* -- a slice -- */

/* Seconds that a unit of this job will take: as the slowest of it so far, else as predicted, corrected by what this
 * rank has measured. 0 when nothing was ever measured: only trying tells. */
static double expected_seconds(const run *r, const eoc_job *job, double slowest)
{
    if (r->sweep->probe.train) {
        return 0.0; /* it keeps its state and goes on in the next run */
    }
    if (slowest > 0.0) {
        return slowest;
    }
    if (r->predicted > 0.0) {
        return job->unit_seconds * r->measured / r->predicted;
    }
    return r->cost_is_measured ? job->unit_seconds : 0.0;
}

static eoc_status do_slice(run *r, const eoc_job *job)
{
    const int8_t *attempts = eoc_job_attempts(job);
    int64_t left = job->count;
    double slowest = 0.0;
    bool given_up = false;
    eoc_status status = EOC_OK;
    for (int64_t unit = job->first; unit < job->end && status == EOC_OK && !given_up; unit++) {
        const int before = attempts ? attempts[unit - job->first] : 0;
        if (before < 0) {
            continue;
        }
        const double expected = expected_seconds(r, job, slowest), begun = eoc_clock();
        if (!eoc_stop_fits(&r->stop, expected)) {
            break;
        }
        /* One that may bring the run down takes no finished ones with it. */
        status = before > 0 || eoc_units_batch_is_full(r) ? eoc_units_commit(r) : EOC_OK;
        r->ask_at = begun + (double)left * expected - job->ask_seconds;
        if (status == EOC_OK) {
            status = do_unit(r, unit, before + 1, job->unit_seconds, &given_up);
        }
        slowest = fmax(slowest, eoc_clock() - begun);
        left--;
        if (status == EOC_OK && r->batch_count > 0 && eoc_clock() - r->batch_begun > COMMIT_SECONDS) {
            status = eoc_units_commit(r);
        }
        (void)eoc_run_tick(r);
    }
    return status;
}

/* -- theory -- */

static eoc_status do_theory(run *r, const eoc_job *job)
{
    const eoc_theory_point *points = eoc_job_points(job);
    const eoc_host host = {.context = r, .tick = eoc_run_tick};
    void *block = calloc(1, r->layout.point_bytes);
    eoc_status status = block ? EOC_OK : EOC_FAIL(EOC_ERR_NOMEM, "out of memory for theory");
    r->in_theory = true;
    r->ask_at = 0.0;
    for (int64_t from = 0, to; from < job->count && status == EOC_OK && r->stop.reason == EOC_STOP_NOT; from = to) {
        to = eoc_theory_points_group_end(points, job->count, from);
        (void)eoc_run_tick(r);
        status = eoc_theory_points_write(r->sweep, &r->layout, r->max_depth, points + from, to - from, r->store, block,
                                         &host);
    }
    (void)eoc_run_tick(r);
    r->in_theory = false;
    free(block);
    return status;
}

eoc_status eoc_units_do(run *r, const eoc_job *job)
{
    const eoc_status status = job->kind == EOC_JOB_THEORY ? do_theory(r, job) : do_slice(r, job);
    r->ask_at = INFINITY;
    return status;
}
