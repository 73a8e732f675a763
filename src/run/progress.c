/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TAG_TALLY = 71, TAG_ENDED = 72 };

static const double TERMINAL_SECONDS = 0.5, LOG_SECONDS = 30.0, SEND_SECONDS = 0.25;

double eoc_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool eoc_progress_begin(eoc_progress *p, MPI_Comm comm, bool shown, int64_t num_pending, double seconds)
{
    *p = (eoc_progress){.comm = comm, .num_pending = num_pending, .seconds = seconds, .request = MPI_REQUEST_NULL};
    MPI_Comm_rank(comm, &p->rank);
    MPI_Comm_size(comm, &p->num_ranks);
    p->shown = shown && p->rank == 0;
    p->terminal = isatty(STDERR_FILENO) == 1;
    p->begun = p->last_shown = p->last_sent = eoc_clock();
    p->others = calloc((size_t)p->num_ranks, sizeof *p->others);
    return p->others != NULL;
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

static void show(eoc_progress *p, double now)
{
    eoc_tally all = p->mine;
    for (int rank = 1; rank < p->num_ranks; rank++) {
        all.done += p->others[rank].done;
        all.diverged += p->others[rank].diverged;
        all.failed += p->others[rank].failed;
        all.seconds += p->others[rank].seconds;
    }
    const int64_t finished = all.done + all.diverged + all.failed;
    const double elapsed = now - p->begun, share = p->seconds > 0.0 ? all.seconds / p->seconds : 1.0;
    char left[32] = "?", line[256];
    if (share > 0.0) {
        clock_text(elapsed * (1.0 - share) / share, left);
    }
    int length =
        snprintf(line, sizeof line, "eoc: %lld of %lld units, %.0f %%, %.3g units/s, %s left", (long long)finished,
                 (long long)p->num_pending, 100.0 * share, elapsed > 0.0 ? (double)finished / elapsed : 0.0, left);
    if (all.diverged + all.failed > 0) {
        length += snprintf(line + length, sizeof line - (size_t)length, ", %lld diverged, %lld failed",
                           (long long)all.diverged, (long long)all.failed);
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

/* At most one message of a rank is under way; the next one carries what has come since. */
static void send_tally(eoc_progress *p, double now)
{
    int free_to_send = 1;
    MPI_Test(&p->request, &free_to_send, MPI_STATUS_IGNORE);
    if (free_to_send) {
        p->sent = p->mine;
        MPI_Isend(&p->sent, (int)sizeof p->sent, MPI_BYTE, 0, TAG_TALLY, p->comm, &p->request);
        p->last_sent = now;
    }
}

static void take_tallies(eoc_progress *p)
{
    for (int waiting = 1; waiting;) {
        MPI_Status from;
        MPI_Iprobe(MPI_ANY_SOURCE, TAG_TALLY, p->comm, &waiting, &from);
        if (waiting) {
            MPI_Recv(&p->others[from.MPI_SOURCE], (int)sizeof(eoc_tally), MPI_BYTE, from.MPI_SOURCE, TAG_TALLY, p->comm,
                     MPI_STATUS_IGNORE);
        }
    }
}

void eoc_progress_tick(eoc_progress *p)
{
    const double now = eoc_clock();
    if (p->rank != 0) {
        if (now - p->last_sent >= SEND_SECONDS) {
            send_tally(p, now);
        }
        return;
    }
    const double interval = p->terminal ? TERMINAL_SECONDS : LOG_SECONDS;
    if (now - p->last_shown >= (interval < SEND_SECONDS ? interval : SEND_SECONDS)) {
        take_tallies(p);
    }
    if (p->shown && now - p->last_shown >= interval) {
        show(p, now);
    }
}

static void nap(void)
{
    const struct timespec five_milliseconds = {0, 5000000};
    nanosleep(&five_milliseconds, NULL);
}

void eoc_progress_end_all(eoc_progress *p)
{
    /* Ranks that are done sleep while the last ones work: a plain barrier would spin on their cores. */
    MPI_Request barrier;
    MPI_Ibarrier(p->comm, &barrier);
    for (int arrived = 0; !arrived;) {
        MPI_Test(&barrier, &arrived, MPI_STATUS_IGNORE);
        if (!arrived) {
            eoc_progress_tick(p);
            nap();
        }
    }
    /* Every tally sent before the barrier is on its way: rank 0 takes them until each rank has said that it is done. */
    if (p->rank != 0) {
        MPI_Wait(&p->request, MPI_STATUS_IGNORE);
        p->sent = p->mine;
        MPI_Send(&p->sent, 0, MPI_BYTE, 0, TAG_ENDED, p->comm);
    } else {
        for (int waiting_for = p->num_ranks - 1; waiting_for > 0;) {
            int arrived = 0;
            MPI_Status from;
            take_tallies(p);
            MPI_Iprobe(MPI_ANY_SOURCE, TAG_ENDED, p->comm, &arrived, &from);
            if (arrived) {
                MPI_Recv(NULL, 0, MPI_BYTE, from.MPI_SOURCE, TAG_ENDED, p->comm, MPI_STATUS_IGNORE);
                waiting_for--;
            }
        }
        take_tallies(p);
        if (p->shown && p->terminal) {
            show(p, eoc_clock());
            fputc('\n', stderr);
        }
    }
    free(p->others);
    p->others = NULL;
}
