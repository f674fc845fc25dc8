/* SPDX-License-Identifier: MIT */
/*
 * The guests whose consoles we serve, and what hangs on each: the ring, the pseudo terminal, the history, the log, the clients.
 *
 *   seen      the domain exists, its console's nodes do not yet; clients wait
 *   open      the ring is mapped and the event channel bound
 *   gone      the domain ends: what is left in the ring is taken, clients are let go
 *
 * The history of a name begins anew with each run; the run before it stays in .previous.
 *
 * A guest may not take the host: it gets GUEST_ROUNDS looks at its ring in GUEST_WINDOW_MS; then its event channel stays masked
 * until the next window. A look takes at most RING_OUT bytes.
 */
#pragma once

#include "keep.h"
#include "loop.h"
#include "ring.h"
#include "tty.h"

#define GUEST_WINDOW_MS 100
#define GUEST_ROUNDS    20
#define GUEST_TAIL      2048    /* of the history, shown to who attaches later */

struct client;

struct guest {
    uint32_t domid;
    uint8_t uuid[16];
    char name[256];
    bool open, granted, throttled, has_history;
    void *page;
    uint64_t frame;
    unsigned remote, port;
    struct ring ring;
    uint64_t window;            /* its number, and what is left of it */
    unsigned rounds;
    char in[512];               /* input that the ring has no room for */
    size_t n_in;
    struct tty tty;
    struct keep history, log;
    bool line_begun;            /* in the log, for time stamps */
    struct client *clients;
    struct guest *next;
};

struct guest_options {
    const char *history_dir, *log_dir;  /* log_dir NULL: no logs */
    size_t history, log;                /* bytes, of each of two files */
    unsigned histories;                 /* names kept */
    bool timestamp;
};
extern struct guest_options guest_options;

/* Look for guests that came or went; all of it is what the hypervisor says now. */
int guests_scan(void);
/* The same for one of them. */
int guests_look(uint32_t domid);
/* A watch with this token fired: "console N", "name N". */
void guests_watched(const char *token);
/* Events are pending. */
void guests_events(void);
/* Guests whose window was used up go on if a new one began. Gives whether some still wait. */
bool guests_tick(void);
void guests_end(void);
struct guest *guest_find(const char *word); /* a number, or a name */

/* Input from a client or the terminal: how much was taken; the rest when guest_input_again() calls back. */
size_t guest_input(struct guest *g, const char *data, size_t n);
size_t guest_input_room(const struct guest *g);
/* What a guest of this name printed: running or not. To be freed, NULL if nothing is known. */
char *guest_last(const char *name, size_t most, size_t *n);
void guests_reopen_logs(void);
