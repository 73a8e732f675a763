/* SPDX-License-Identifier: BSD-3-Clause */
#include "stop.h"

#include "eoc/text.h"

#include "clock.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* -- signals -- */

static volatile sig_atomic_t signalled; /* 1: in good order; 2: at once */
static struct timespec signal_time;     /* of the first one */
static double program_begun;

static void on_signal(int number)
{
    if (signalled != 2) {
        clock_gettime(CLOCK_MONOTONIC, &signal_time);
    }
    signalled = number == SIGUSR1 && signalled < 2 ? 1 : 2;
}

void eoc_run_catch_signals(void)
{
    program_begun = eoc_clock();
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    /* A file that may not grow further is a failed write, told in a sentence, not a death. */
    signal(SIGXFSZ, SIG_IGN);
}

bool eoc_stop_at_once(void)
{
    return signalled == 2;
}

double eoc_stop_seconds_since_signal(void)
{
    return eoc_clock() - ((double)signal_time.tv_sec + 1e-9 * (double)signal_time.tv_nsec);
}

/* -- time -- */

/* Of the grace so much is kept for writing and closing. */
static const double SHARE_FOR_WRITING = 0.1, LONGEST_WRITING_SECONDS = 5.0;

double eoc_stop_seconds_left(double max_seconds, bool *by_slurm)
{
    const char *end = getenv("SLURM_JOB_END_TIME"); /* seconds since 1970; Slurm 23.02 and later */
    double slurm_end = 0.0, left = INFINITY;
    if (end && eoc_text_to_double(end, &slurm_end) && slurm_end > 0.0) {
        left = slurm_end - eoc_wall_time();
    }
    const double mine = program_begun + max_seconds - eoc_clock();
    *by_slurm = left < mine;
    return left < mine ? left : mine;
}

static double writing_seconds(double grace)
{
    return fmin(SHARE_FOR_WRITING * grace, LONGEST_WRITING_SECONDS);
}

void eoc_stop_begin(eoc_stop *stop, double seconds_left, double grace)
{
    const double over = eoc_clock() + seconds_left, shorter = fmin(grace, fmax(0.0, 0.25 * seconds_left));
    *stop = (eoc_stop){.last_begin = over - shorter, .end = over - writing_seconds(shorter), .grace = grace};
}

void eoc_stop_ask(eoc_stop *stop, eoc_stop_reason reason)
{
    if (stop->reason == EOC_STOP_NOT) {
        stop->reason = reason;
        stop->end = fmin(stop->end, eoc_clock() + stop->grace - writing_seconds(stop->grace));
    }
}

void eoc_stop_look(eoc_stop *stop)
{
    if (signalled) {
        eoc_stop_ask(stop, EOC_STOP_SIGNAL);
    } else if (stop->reason == EOC_STOP_NOT && eoc_clock() >= stop->last_begin) {
        eoc_stop_ask(stop, EOC_STOP_TIME);
    }
}

bool eoc_stop_gives_up(const eoc_stop *stop)
{
    return signalled == 2 || (stop->reason != EOC_STOP_NOT && eoc_clock() >= stop->end);
}

bool eoc_stop_fits(const eoc_stop *stop, double seconds)
{
    return stop->reason == EOC_STOP_NOT && eoc_clock() + seconds <= stop->end;
}
