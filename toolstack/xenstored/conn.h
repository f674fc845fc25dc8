/* SPDX-License-Identifier: MIT */
/*
 * A connection without its transport: bytes in, bytes out. It takes one request at a time (what comes after stays in the
 * socket or ring, which holds back a hasty client), and queues replies and events. An event that still waits is not queued
 * twice.
 */
#pragma once
#include "xstore.h"
#include <errno.h>    /* before xs_wire.h, which names the errors only then */
#include <xen/io/xs_wire.h>

#define CONN_OUT_STALL 65536u        /* no further request is taken while so much waits to be sent */
#define TRANS_EXPIRES 60             /* seconds, for domains */

struct conn;

/* What requests about domains and the daemon itself need; a pointer that is NULL answers ENOSYS. */
struct host {
    struct store *store;
    void *arg;
    uint64_t (*seconds)(void);                     /* a clock that never goes back */
    void (*log)(const char *format, ...) __attribute__((format(printf, 1, 2)));
    void (*wake)(struct conn *c);                  /* c has something to send */
    int (*introduce)(uint16_t domid, uint64_t gfn, uint32_t port);
    int (*release)(uint16_t domid);
    int (*resume)(uint16_t domid);
    int (*set_target)(uint16_t domid, uint16_t target);
    bool (*is_introduced)(uint16_t domid);
    /* CONTROL's commands about the daemon: an answer for the client in text (made with realloc-able memory), or an error. */
    int (*control)(struct conn *c, int argc, char **argv, char **answer);
    void (*noted)(struct conn *c, int op, uint32_t id, const struct watch *w);   /* for the journal; may be NULL */
    struct { uint64_t requests, errors, events, commits, conflicts, merged; } count;
    bool trace;
};

struct conn_out;
struct conn_trans;

struct conn {
    struct host *host;
    struct who who;
    char name[32];                                 /* for the log */
    uint32_t in_used;
    union {
        struct xsd_sockmsg head;
        char in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX + 1];   /* and a NUL of ours */
    };
    struct conn_out *out, **out_last;
    size_t out_bytes, event_bytes;
    struct strmap waiting;                         /* events in the queue, by watch and path */
    struct strmap watches;                         /* by path and token */
    struct conn_trans *trans;
    bool broken;                                   /* broke the protocol, or does not take its events: to be closed */
    uint64_t requests, dropped;
};

void conn_init(struct conn *c, struct host *host, const struct who *who, const char *name);
/* Forgets queues, watches and transactions; the connection is as new. */
void conn_reset(struct conn *c);
void conn_drop_watches(struct conn *c);
void conn_drop_trans(struct conn *c);

/* Where the next bytes of the request go, and how many: 0 if it is complete, or too much waits to be sent. */
size_t conn_want(struct conn *c, char **where);
void conn_got(struct conn *c, size_t len);
bool conn_ready(const struct conn *c);
/* Answers the request that is complete. */
void conn_serve(struct conn *c);
/* The next bytes to send, 0 if there are none. */
size_t conn_pending(const struct conn *c, const char **bytes);
void conn_sent(struct conn *c, size_t len);

/* For proto.c. */
void conn_reply(struct conn *c, uint32_t type, const void *data, size_t len);
void conn_error(struct conn *c, int error);
void conn_event(struct watch *w, const char *path, size_t len);
int conn_watch(struct conn *c, const char *path, const char *token, int depth, uint32_t strip, struct watch **out);
int conn_unwatch(struct conn *c, const char *path, const char *token);
struct trans *conn_find_trans(struct conn *c, uint32_t id);
void conn_add_trans(struct conn *c, struct trans *t);
/* Takes it off the list; the caller ends it. */
void conn_forget_trans(struct conn *c, struct trans *t);
void conn_expire_trans(struct conn *c, uint64_t now);

struct conn_trans {
    struct conn_trans *next;
    struct trans *trans;
    uint64_t since;
};
struct conn_out {
    struct conn_out *next;
    struct strmap_entry *waiting;                  /* an event not yet begun, else NULL */
    struct watch *watch;
    uint32_t len, sent;
    char data[];
};
