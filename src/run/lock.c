/* SPDX-License-Identifier: BSD-3-Clause */
#include "lock.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double TOUCH_SECONDS = 30.0, STALE_SECONDS = 600.0;
static const double REBOOT_SECONDS = 120.0; /* two machines of one name would else take each other for rebooted */

enum { MAX_FIELD = 160, MAX_TEXT = 1200, MAX_TRIES = 5 };

/* Who holds a lock, as its text says: one "name value" a line. Unknown fields are passed over, missing ones empty. */
typedef struct {
    char host[MAX_FIELD];
    char boot[MAX_FIELD];    /* this start of the machine, and the process namespace: pids mean nothing outside */
    char pid[MAX_FIELD];     /* with ... */
    char started[MAX_FIELD]; /* ... its start time in clock ticks since boot, for pids are used again */
    char job[MAX_FIELD];     /* of Slurm, with ... */
    char restart[MAX_FIELD]; /* ... how often it was started again */
    char since[MAX_FIELD];   /* for people */
} holder;

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"host", offsetof(holder, host)},     {"boot", offsetof(holder, boot)},
    {"pid", offsetof(holder, pid)},       {"started", offsetof(holder, started)},
    {"slurm_job", offsetof(holder, job)}, {"slurm_restart", offsetof(holder, restart)},
    {"since", offsetof(holder, since)},
};

enum { NUM_FIELDS = sizeof fields / sizeof fields[0] };

/* -- who we are, and whether a process is there -- */

/* The first line of a small file; "" when it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (file) {
        if (!fgets(line, (int)size, file)) {
            line[0] = '\0';
        }
        fclose(file);
    }
    line[strcspn(line, "\n")] = '\0';
}

/*
 * Field 22 of /proc/PID/stat; the name in field 2 may hold anything, its closing parenthesis is the last one. "dead" of
 * a process that has ended and that nobody has taken note of yet.
 */
static void start_of_process(const char *pid, char started[MAX_FIELD])
{
    char path[MAX_FIELD + 16], line[1024];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    read_line(path, line, sizeof line);
    started[0] = '\0';
    const char *rest = strrchr(line, ')');
    unsigned long long ticks = 0;
    char state = '?';
    if (rest && sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                       &state, &ticks) == 2) {
        snprintf(started, MAX_FIELD, "%llu", ticks);
        if (state == 'Z' || state == 'X') {
            snprintf(started, MAX_FIELD, "dead");
        }
    }
}

static void copy_variable(const char *name, char value[MAX_FIELD])
{
    const char *text = getenv(name);
    snprintf(value, MAX_FIELD, "%s", text ? text : "");
}

static holder ourselves(void)
{
    holder us = {.host = ""};
    char boot[64], space[64] = "";
    gethostname(us.host, sizeof us.host - 1);
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    if (readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0) {
        space[0] = '\0';
    }
    snprintf(us.boot, sizeof us.boot, "%s %s", boot, space);
    snprintf(us.pid, sizeof us.pid, "%ld", (long)getpid());
    start_of_process(us.pid, us.started);
    copy_variable("SLURM_JOB_ID", us.job);
    copy_variable("SLURM_RESTART_COUNT", us.restart);
    const time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(us.since, sizeof us.since, "%Y-%m-%d %H:%M:%S", &local);
    return us;
}

static size_t write_text(const holder *who, char text[MAX_TEXT])
{
    size_t length = 0;
    for (int i = 0; i < NUM_FIELDS; i++) {
        length += (size_t)snprintf(text + length, MAX_TEXT - length, "%s %s\n", fields[i].name,
                                   (const char *)who + fields[i].offset);
    }
    return length;
}

static holder read_text(const char *text)
{
    holder who = {.host = ""};
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const size_t length = strcspn(line, "\n"), name = strcspn(line, " \n");
        for (int i = 0; i < NUM_FIELDS; i++) {
            if (strlen(fields[i].name) == name && strncmp(fields[i].name, line, name) == 0 && name < length) {
                snprintf((char *)&who + fields[i].offset, MAX_FIELD, "%.*s", (int)(length - name - 1), line + name + 1);
            }
        }
    }
    return who;
}

/* -- is it stale -- */

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

typedef enum { PROCESS_UNKNOWN, PROCESS_THERE, PROCESS_GONE, PROCESS_OF_ANOTHER_BOOT } presence;

static presence look_for(const holder *who, const holder *us)
{
    if (!*who->pid || !same(who->host, us->host)) {
        return PROCESS_UNKNOWN;
    }
    if (!same(who->boot, us->boot)) {
        const size_t length = strcspn(us->boot, " ");
        const bool same_boot = strcspn(who->boot, " ") == length && strncmp(who->boot, us->boot, length) == 0;
        return same_boot ? PROCESS_UNKNOWN : PROCESS_OF_ANOTHER_BOOT; /* a container beside ours; or a new start */
    }
    char started[MAX_FIELD];
    start_of_process(who->pid, started);
    const bool another = *started && *who->started && !same(started, who->started);
    const bool gone = kill((pid_t)atol(who->pid), 0) != 0 && errno == ESRCH;
    return gone || another ? PROCESS_GONE : PROCESS_THERE;
}

static bool is_earlier_start(const holder *who, const holder *us)
{
    return *us->job && same(who->job, us->job) && atol(us->restart) > atol(who->restart);
}

static bool is_stale(const holder *who, const holder *us, double age)
{
    const presence process = look_for(who, us);
    return process == PROCESS_GONE || is_earlier_start(who, us) ||
           (process == PROCESS_OF_ANOTHER_BOOT && age > REBOOT_SECONDS) ||
           (process == PROCESS_UNKNOWN && age > STALE_SECONDS);
}

/* -- the file -- */

/* Its text and the seconds since it was touched; false when it is not there. */
static bool read_lock(const char *path, char text[MAX_TEXT], double *age)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat entry;
    text[0] = '\0';
    if (fd < 0) {
        return errno != ENOENT;
    }
    ssize_t length = read(fd, text, MAX_TEXT - 1);
    text[length < 0 ? 0 : length] = '\0';
    *age = fstat(fd, &entry) == 0 ? difftime(time(NULL), entry.st_mtime) : 0.0;
    close(fd);
    return true;
}

/* Takes a stale lock out of the way. Where another run was quicker, what we moved is its new lock: it is put back. */
static void remove_stale(const char *path, const char *judged)
{
    char aside[EOC_LOCK_PATH_BYTES + 32], text[MAX_TEXT];
    double age = 0.0;
    snprintf(aside, sizeof aside, "%s.%ld", path, (long)getpid());
    if (rename(path, aside) == 0) {
        if (read_lock(aside, text, &age) && !same(text, judged)) {
            (void)!link(aside, path);
        }
        unlink(aside);
    }
}

static eoc_status refuse(const char *file, const char *path, const holder *who, double age)
{
    char job[MAX_FIELD + 32] = "";
    if (*who->job) {
        snprintf(job, sizeof job, ", Slurm job %s", who->job);
    }
    if (!*who->pid) {
        return EOC_FAIL(EOC_ERR_USAGE,
                        "%s is locked by %s, which does not say by whom; remove that file when no run is on it", file,
                        path);
    }
    return EOC_FAIL(
        EOC_ERR_USAGE,
        "%s is being written by another run: process %s on %s%s, since %s (last sign of life %.0f s ago); wait "
        "for it, name another file with -o, or remove %s when that run is gone",
        file, who->pid, who->host, job, who->since, age < 0.0 ? 0.0 : age, path);
}

static eoc_status create(eoc_lock *lock, const holder *us)
{
    char text[MAX_TEXT];
    const size_t length = write_text(us, text);
    const bool written = write(lock->fd, text, length) == (ssize_t)length;
    const int error = errno;
    if (!written) {
        eoc_lock_release(lock);
        return EOC_FAIL(EOC_ERR_IO, "%s: cannot be written: %s", lock->path, strerror(error));
    }
    lock->touched = eoc_clock();
    return EOC_OK;
}

static void nap(void)
{
    const struct timespec fifty_milliseconds = {0, 50000000};
    nanosleep(&fifty_milliseconds, NULL);
}

eoc_status eoc_lock_take(eoc_lock *lock, const char *file)
{
    *lock = (eoc_lock){.fd = -1};
    const holder us = ourselves();
    char path[EOC_LOCK_PATH_BYTES], text[MAX_TEXT];
    EOC_REQUIRE(snprintf(path, sizeof path, "%s.lock", file) < (int)sizeof path, EOC_ERR_USAGE,
                "%.60s...: too long a name", file);
    holder who = {.host = ""};
    double age = 0.0;
    for (int i = 0; i < MAX_TRIES; i++) {
        lock->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (lock->fd >= 0) {
            memcpy(lock->path, path, sizeof path);
            return create(lock, &us);
        }
        EOC_REQUIRE(errno == EEXIST, EOC_ERR_USAGE, "%s: cannot be created: %s; name another file with -o", path,
                    strerror(errno));
        if (!read_lock(path, text, &age)) {
            continue; /* gone in between */
        }
        who = read_text(text);
        if (!*who.pid && age < STALE_SECONDS) {
            nap(); /* it may be just being written */
        } else if (is_stale(&who, &us, age)) {
            remove_stale(path, text);
        } else {
            break;
        }
    }
    return refuse(file, path, &who, age);
}

static bool is_ours(const eoc_lock *lock)
{
    struct stat named, opened;
    return stat(lock->path, &named) == 0 && fstat(lock->fd, &opened) == 0 && named.st_ino == opened.st_ino &&
           named.st_dev == opened.st_dev;
}

eoc_status eoc_lock_touch(eoc_lock *lock)
{
    if (!lock->path[0] || eoc_clock() - lock->touched < TOUCH_SECONDS) {
        return EOC_OK;
    }
    lock->touched = eoc_clock();
    EOC_REQUIRE(is_ours(lock), EOC_ERR_IO, "%s was removed or taken over by another run", lock->path);
    (void)futimens(lock->fd, NULL); /* where it cannot be touched, the run is no worse off */
    return EOC_OK;
}

void eoc_lock_release(eoc_lock *lock)
{
    if (lock->path[0]) {
        if (is_ours(lock)) {
            unlink(lock->path);
        }
        close(lock->fd);
    }
    *lock = (eoc_lock){.fd = -1};
}
