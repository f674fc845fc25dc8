/* SPDX-License-Identifier: MIT */
/*
 * A paravirtual guest to a stream, in three steps, so that a file, a snapshot and a live migration are the same code:
 *
 *   save_open()     file header, libxl and libxc headers, static data, the guest's list of pages
 *   save_round()    any number of times, while the guest runs: a set of pages (all, or those that log-dirty named)
 *   save_finish()   the guest is suspended: the last pages, what changed place, the vCPUs, the end
 *   save_close()    at any time; the guest is as it was
 *
 * Pages that have moved to another frame since they were sent (ballooning) are sent again without being named; pages that have gone are
 * sent as gone. Nobody pauses, suspends, or logs the guest here: the caller does (save_suspend.c, log-dirty).
 * All functions: 0 or a negative error with fault().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "ctl.h"
#include "stream.h"

enum save_zero {
    SAVE_ZERO_HOLES,    /* pages of zeroes are data, laid out so that a file gets holes: any reader restores them */
    SAVE_ZERO_ALLOC,    /* ... are sent as "allocate only", without data: for readers that clear such pages (ours do) */
};

/* Counts of a round, or of all so far. */
struct save_count {
    uint64_t pages;     /* looked at */
    uint64_t data;      /* sent with data */
    uint64_t zero;      /* full of zeroes */
    uint64_t gone;      /* not there (any more) */
    uint64_t bytes;     /* put into the stream */
};

struct save_options {
    const struct guest_config *config;  /* travels in the stream (as it is now: see save_config()) */
    enum save_zero zero;
    bool verify;                        /* at the end all pages once more, for the reader to compare (a VERIFY record) */
    bool file_header;                   /* begin with xl's header of a file (files; xl migrate-receive gets it as well) */
    /* Called often while pages go out; a negative answer ends the round with that error. May be NULL. */
    int (*progress)(void *arg, const struct save_count *round);
    void *arg;
};

struct save;
int save_open(struct save **out, struct ctl *c, uint32_t domid, struct stream_out *to, const struct save_options *o);
/* Size of the bitmaps below, in pages: bit p of word p / 64 stands for page number p. */
uint64_t save_pages(const struct save *s);
/* set = NULL: all pages. */
int save_round(struct save *s, const uint64_t *set, struct save_count *count);
/* The guest is suspended (domain_suspend) or shut down for suspend. set = NULL: all pages; all bits clear is fine. */
int save_finish(struct save *s, const uint64_t *set, struct save_count *count);
void save_close(struct save *s); /* NULL is fine */

/*
 * What a running guest is now: the configuration kept when it was made (zendod's, or xl's in its own form) with its present name, memory and
 * vCPUs. config_dispose() it in any case.
 */
int save_config(struct ctl *c, uint32_t domid, struct guest_config *cfg);

/* --- stopping and going on (save_suspend.c) ------------------------------------------------------------------------ */

#define SUSPEND_MS 60000
/* A signal handler may set it: domain_suspend() then gives up at once, as if the time were over (-EINTR). */
extern volatile int domain_suspend_stop;

/*
 * One process at a time suspends, logs, saves or moves a domain: two that stop it would each take the other's suspended guest for its own,
 * and the first to finish would let it go on under the hands of the other. -EBUSY: another has it. The process keeps it until its
 * end or domain_release(); its children have it too. A process holds one domain at a time. domain_suspend() holds by itself.
 */
int domain_hold(uint32_t domid);
bool domain_is_held(uint32_t domid); /* by this process */
extern const char *domain_hold_folder; /* tests have their own */
void domain_release(void);

/*
 * Asks the guest's kernel to suspend and waits. 0: it has stopped for that (and only for that). -ETIMEDOUT: it did not answer, the request is
 * taken back and it runs on. -ECANCELED: it ended in another way meanwhile. -ENOTSUP: it does not listen. A guest that is paused
 * cannot answer: -EBUSY.
 */
int domain_suspend(struct ctl *c, uint32_t domid, unsigned timeout_ms);
/* What it does first, for who wants that done beforehand. */
int domain_suspend_watch(void);
/* Lets a suspended guest go on where it was, with its devices: its kernel sees that the suspending was cancelled. */
int domain_resume_here(struct ctl *c, uint32_t domid);
/* Its two parts, for who measures: it runs; the store hears of that. */
int domain_run_on(struct ctl *c, uint32_t domid);
void domain_tell_running(uint32_t domid);
