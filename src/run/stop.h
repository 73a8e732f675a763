/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a run is to end: by a signal, for its time is over, for too many units failed, for the file failed. Local to
 * a rank; the hand-out carries it to the others. Private to this folder.
 */
#ifndef EOC_RUN_STOP_H
#define EOC_RUN_STOP_H

#include "eoc/run.h"

#include <stdbool.h>

typedef struct {
    eoc_stop_reason reason; /* EOC_STOP_NOT: the run goes on; else nothing new is begun */
    double last_begin;      /* eoc_clock: then the time is over ... */
    double end;             /* ... and then what is still in hand is given up */
    double grace;
} eoc_stop;

/**
 * Seconds until the run must be over: by --max-time, counted from the start of the program, and by the end of the
 * Slurm job where its environment tells; INFINITY where nothing limits it. *by_slurm tells which it is.
 */
double eoc_stop_seconds_left(double max_seconds, bool *by_slurm);

/** @param seconds_left  from now on; the grace is at most a quarter of it */
void eoc_stop_begin(eoc_stop *stop, double seconds_left, double grace);

/** Notes signals and the time. */
void eoc_stop_look(eoc_stop *stop);

/** The run is to end: what is in hand has the grace left. The first reason stands. */
void eoc_stop_ask(eoc_stop *stop, eoc_stop_reason reason);

/** SIGTERM or SIGINT came: leave at once, and wait for nobody. */
bool eoc_stop_at_once(void);
double eoc_stop_seconds_since_signal(void);

/** Whether the unit in hand is to be given up. */
bool eoc_stop_gives_up(const eoc_stop *stop);

/** Whether something that takes so long may still be begun. */
bool eoc_stop_fits(const eoc_stop *stop, double seconds);

#endif
