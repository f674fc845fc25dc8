/* SPDX-License-Identifier: MIT */
/* Moves of real guests: the operations of migrate.h over save, restore and control calls; checks before; ways to the other host. */
#pragma once

#include "config.h"
#include "ctl.h"
#include "logdirty.h"
#include "migrate.h"
#include "precopy.h"
#include "restore.h"
#include "save.h"

/* The block devices behind a guest's disks. */
#define MIGRATE_DISKS_MAX 64U
struct migrate_disks {
    unsigned n;
    struct {
        unsigned major, minor;
    } at[MIGRATE_DISKS_MAX];
};

struct migrate_guest_out {
    struct ctl *c;
    uint32_t domid;
    bool live, debug;                /* debug: every page is compared at the switch */
    struct precopy_limits limits;
    const char *config_file;         /* another configuration for the target; NULL: the guest's own */
    void (*progress)(void *arg, const struct move_progress *p); /* may be NULL */
    void (*round)(void *arg, const struct move_progress *p);    /* at a round's end; may be NULL */
    void *arg;
    volatile int *stop;

    /* filled in while it goes */
    struct guest_config cfg;
    struct save *save;
    struct stream_out out;
    struct wire *wire;
    struct logdirty log;
    struct migrate_disks disks;
    struct precopy judge;
    struct move_progress now;
    uint64_t pages, round_start_bytes;
    double round_start_ms, suspended_ms, pause_begin_ms;
    const char *give_up;             /* the judge's reason to abort */
};

struct migrate_guest_in {
    struct ctl *c;
    bool paused;                     /* whatever the source wants */
    char name[128], uuid[37];
    struct wire *wire;
    uint32_t made;
};

/* Both kinds of operations take their own argument; the resolver's takes a migrate_guest_in (only c is used). */
extern const struct migrate_ops migrate_guest_source, migrate_guest_target;

int migrate_guest_begin(struct migrate_guest_out *g); /* reads the configuration */
void migrate_guest_end(struct migrate_guest_out *g);
double migrate_clock_ms(void);
/* Ahead of everything else in domain 0, while a guest stands still and waits for us. */
void migrate_hurry(bool on);
/* For both sides and the resolver. A guest that may be suspended, or may be about to be, goes on; log-dirty is off. */
int migrate_guest_resume(struct ctl *c, uint32_t domid);
enum migrate_guest migrate_guest_look(struct ctl *c, uint32_t domid, const char *uuid);
int migrate_guest_connect(void *arg, const struct journal *j, struct wire *w); /* by the line in the journal */

/* --- migrate_drain.c --- */
/* Finds them while the guest runs; when it is suspended, waits until nothing is under way there, limit_ms at most. */
void migrate_disks_find(uint32_t domid, struct migrate_disks *d);
void migrate_disks_drain(uint32_t domid, const struct migrate_disks *d, unsigned limit_ms);
extern const char *migrate_block_folder; /* tests have their own */

/* --- migrate_offer.c --- */
int migrate_offer_make(struct ctl *c, uint32_t domid, const struct guest_config *cfg, struct json_object *offer);
int migrate_offer_check(struct ctl *c, struct json_object *offer, struct json_object *answer);

/* --- migrate_transport.c --- */
/* The shell's line that reaches xm migrate-receive on a host. with: NULL for ssh, a command (xl's -s), or "" (the host is the line). */
int migrate_command_line(char *out, size_t size, const char *host, const char *with);
int migrate_command_tls(char *out, size_t size, const char *host, unsigned port);
/* Runs a line; its standard input and output become the wire. */
int migrate_connect_command(const char *line, const char *host, struct wire *w);
