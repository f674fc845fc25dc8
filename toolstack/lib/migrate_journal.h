/* SPDX-License-Identifier: MIT */
/*
 * The journal of a move: STATE/migrate/TOKEN.out on the source, TOKEN.in on the target. A line for each step, synced before the step
 * has an effect. Who works on it holds its lock; a journal that nobody holds was left by a process that died.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum journal_step {
    STEP_NONE,
    STEP_BEGIN,
    STEP_SUSPENDING,   /* out: it may be suspended */
    STEP_ABORTED,      /* out: the source runs it, for good */
    STEP_RESUMED,      /* out: ... and has been let go on; the target may have to be told still */
    STEP_COMMITTED,    /* out: the source never runs it again, unless the target says that it has nothing */
    STEP_DESTROYING,   /* out: it runs over there; what is here goes */
    STEP_PREPARED,     /* in: complete and paused; only the source may say what comes next */
    STEP_GO,           /* in: decided: it runs here */
    STEP_RUNS,         /* in: it has been let go */
    STEP_COUNT
};

#define JOURNAL_NO_DOMAIN UINT32_MAX

struct journal {
    int fd;
    char path[512];
    char token[37], uuid[37], boot[37];
    char name[128], host[256], transport[16], command[512];
    uint32_t domid;                 /* JOURNAL_NO_DOMAIN: not known yet */
    bool out, paused;
    int pid;                        /* of who wrote last */
    enum journal_step step;         /* the last one */
};

/* What the caller filled in (token, uuid, name, host, transport, command, domid, out, paused) becomes the first line. */
int journal_begin(struct journal *j);
/* Appends and syncs; with its domain's number as it is in *j. */
int journal_step(struct journal *j, enum journal_step step);
/* The move is over: takes the file away. */
int journal_end(struct journal *j);
/* Leaves it for whoever comes next. */
void journal_leave(struct journal *j);
/* Reads and locks one. -ENOENT, or -EBUSY if a living process holds it (silent both; *j is filled for -EBUSY). */
int journal_open(struct journal *j, const char *path);
int journal_open_token(struct journal *j, const char *token, bool out);
/* Paths of all, in a list that ends with NULL; to be freed, it is one piece. NULL: none. */
char **journal_list(void);
/* Is a move of that guest under way or not ended? Fills *j (not locked). One that has arrived here does not count. */
bool journal_find_guest(struct journal *j, const char *uuid);
/* Is that domain, which has *j's uuid, another incoming move's: one that is under way, or that knows it by number? */
bool journal_is_others(const struct journal *j, uint32_t domid);
/* May a guest be made here? Not if it has been moved away as far as this host knows, and the other one has not said what became of it. */
int journal_check_create(const char *name, const char *uuid);
/* Was the machine started anew since? Domains of then are gone. */
bool journal_is_of_this_boot(const struct journal *j);
extern const char *journal_boot_file; /* tests have their own */
/* Its last step was so many seconds ago. */
long journal_age(const struct journal *j);
const char *journal_step_name(enum journal_step step);
