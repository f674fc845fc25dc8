/* SPDX-License-Identifier: MIT */
/*
 * A guest moves to another host. The protocol in two phases, with a journal on both sides, so that after any break exactly
 * one copy runs and it is known where:
 *
 *   source                              target
 *   journal: begin
 *   offer, start       ------------->   journal: begin
 *   memory, while it runs
 *   journal: suspending
 *   suspends it; the rest  ---------->  complete, paused
 *                                       journal: prepared    from here on the target waits to be told
 *                      <-------------   prepared
 *   journal: committed                  from here on the source never runs it, unless the target says that it has nothing
 *   go                 ------------->   journal: go
 *                                       runs it
 *                      <-------------   running
 *                                       gives it its name when its devices are connected
 *                                       journal: runs
 *                      <-------------   settled                (the source does not insist on that)
 *   journal: destroying
 *   destroys its copy
 *   destroyed          ------------->   forgets the journal
 *   forgets the journal
 *
 * A source that has not committed resumes its guest and tells the target so (now, or later when it can be reached). One that has
 * committed asks the target what became of it. A target that is not prepared destroys what it has. Everything is owned by
 * somebody: whoever starts next on that host (zendod, `xm migrate --resolve`) takes up what a dead process left.
 *
 * This file knows no hypervisor: what is done to guests goes through struct migrate_ops, which the tests replace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "migrate_journal.h"
#include "migrate_wire.h"

/* What a resolver finds: does that domain exist, as this very guest? */
enum migrate_guest { GUEST_ABSENT, GUEST_RUNS, GUEST_PAUSED, GUEST_SUSPENDED };

struct migrate_ops {
    /* Source. offer: what the guest is, as an object. memory: rounds while it runs. suspend; rest: what is left, to the stream's end. */
    int (*offer)(void *arg, struct json_object *offer);
    int (*memory)(void *arg, struct wire *w);
    int (*suspend)(void *arg);
    int (*rest)(void *arg, struct wire *w);
    /* The source's guest goes on here; 0 also if it never stopped. By number, since a resolver does that too. */
    int (*resume)(void *arg, uint32_t domid);
    /* Target. check: adds items to the answer, see migrate_item(); gives how many are missing, or a negative error. */
    int (*check)(void *arg, struct json_object *offer, struct json_object *answer);
    /* The whole guest from the stream, paused, under its name for the time being; *domid also after a failure, if one was made. */
    int (*receive)(void *arg, struct wire *w, uint32_t *domid);
    /* It runs (or stays paused, if the source wanted that); it may do so already. */
    int (*run)(void *arg, uint32_t domid, bool paused);
    /* Its own name in place of the one for the time being, when its devices are connected or after a second: it has the CPU's time till then. */
    int (*name)(void *arg, uint32_t domid, const char *name);
    /* Both. */
    int (*destroy)(void *arg, uint32_t domid);
    enum migrate_guest (*look)(void *arg, uint32_t domid, const char *uuid);
    /* A domain of that uuid that was made for a move and never got as far as the journal: its number, or -ENOENT. */
    int (*find)(void *arg, const char *uuid);
    /* A connection to the other host: 0 and the descriptors. */
    int (*connect)(void *arg, const struct journal *j, struct wire *w);
};

/* Which host has the guest when a call has ended. */
enum migrate_place { PLACE_HERE, PLACE_THERE, PLACE_UNKNOWN /* nobody runs it; later it is decided */, PLACE_NOWHERE };

struct migrate_out {
    const struct migrate_ops *ops;
    void *arg;
    const char *name, *uuid, *host, *transport, *command; /* host, transport and command: for the journal, so that it can be asked again */
    uint32_t domid;
    bool paused;                    /* leave it paused over there */
    bool check_only;
    volatile int *stop;             /* Ctrl-C: looked at until it is committed. May be NULL */
    FILE *report;                   /* the answer's items go here, may be NULL */
    enum migrate_place place;       /* result */
    char peer[65];                  /* the target's name of itself */
    uint64_t bytes;
    int64_t running_ms;             /* when the target said that it runs, on CLOCK_MONOTONIC; 0: never */
};

/* 0: it runs over there. Otherwise fault(), with the host that has it. The wire is connected already. */
int migrate_send(struct migrate_out *m, struct wire *w);
/* The other side: serves one connection, a move or a question. */
int migrate_receive(const struct migrate_ops *ops, void *arg, struct wire *w);

/* What a lost process left: one journal, or all whose holder is gone. report: a line for each, may be NULL. Gives how many are not ended. */
int migrate_resolve_one(const struct migrate_ops *ops, void *arg, const char *path, FILE *report);
int migrate_resolve_all(const struct migrate_ops *ops, void *arg, FILE *report);
/*
 * A person decides, because the other host is lost for good: the guest of that name runs here (take), or what is here of it goes. Only where
 * it is undecided; two copies would run if the other host came back.
 */
int migrate_force(const struct migrate_ops *ops, void *arg, const char *name, bool take);
/* Target's half of a question, under the journal's lock: "running", "ran" or "nothing". */
int migrate_settle(const struct migrate_ops *ops, void *arg, struct journal *j, bool committed, const char **state);

/* An item of an answer: what was looked at, whether it is there, and if not why and how to mend it. Gives 0 or 1. */
int migrate_item(struct json_object *answer, const char *item, bool good, const char *text);

/*
 * Places where tests break things: ZENDO_MIGRATE_FAULT="POINT:kill" ends this process there, ":cut" breaks the connection,
 * ":full" makes its disk full, ":wait" prints the point's name on stderr and waits 10 s.
 */
void migrate_point(const char *point, struct wire *w);
extern const char *const migrate_points[]; /* all of them, NULL at the end */
