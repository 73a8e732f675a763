/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include "clock.h"

#include <stdio.h>
#include <unistd.h>

static const double TERMINAL_SECONDS = 0.5, LOG_SECONDS = 30.0;

void eoc_progress_begin(eoc_progress *p, int64_t num_pending, double seconds)
{
    const double now = eoc_clock();
    *p = (eoc_progress){.shown = true,
                        .terminal = isatty(STDERR_FILENO) == 1,
                        .begun = now,
                        .last_shown = now,
                        .num_pending = num_pending,
                        .seconds = seconds};
}

static void clock_text(double seconds, char out[32])
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600) {
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    } else {
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
    }
}

static void show(eoc_progress *p, const eoc_tally *all, double now)
{
    const int64_t finished = all->done + all->diverged + all->failed;
    const double elapsed = now - p->begun, share = p->seconds > 0.0 ? all->seconds / p->seconds : 1.0;
    char left[32] = "?", line[256];
    if (share > 0.0) {
        clock_text(elapsed * (1.0 - share) / share, left);
    }
    int length =
        snprintf(line, sizeof line, "eoc: %lld of %lld units, %.0f %%, %.3g units/s, %s left", (long long)finished,
                 (long long)p->num_pending, 100.0 * share, elapsed > 0.0 ? (double)finished / elapsed : 0.0, left);
    if (all->diverged + all->failed > 0) {
        length += snprintf(line + length, sizeof line - (size_t)length, ", %lld diverged, %lld failed",
                           (long long)all->diverged, (long long)all->failed);
    }
    if (p->terminal) {
        fprintf(stderr, "\r%s%*s", line, p->line_length > length ? p->line_length - length : 0, "");
        fflush(stderr);
        p->line_length = length;
    } else {
        fprintf(stderr, "%s\n", line);
    }
    p->last_shown = now;
}

void eoc_progress_tick(eoc_progress *p, const eoc_handout *handout)
{
    const double now = eoc_clock();
    if (p->shown && now - p->last_shown >= (p->terminal ? TERMINAL_SECONDS : LOG_SECONDS)) {
        const eoc_tally all = eoc_handout_total(handout);
        show(p, &all, now);
    }
}

void eoc_progress_end(eoc_progress *p, const eoc_handout *handout)
{
    if (p->shown && p->terminal) {
        const eoc_tally all = eoc_handout_total(handout);
        show(p, &all, eoc_clock());
        fputc('\n', stderr);
    }
}
