/* SPDX-License-Identifier: MIT */
/*
 * What two hosts say to each other while a guest moves: messages of a type, a length and a body, over a pair of descriptors (a
 * pipe to ssh, a socket, a command's ends). Whatever the peer sends is checked and bounded; whoever is silent too long is given up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct json_object;

#define WIRE_MAGIC 0x4d444e5aU          /* "ZNDM" */
#define WIRE_VERSION 1U
#define WIRE_TEXT_MAX (512U << 10)      /* of a message of JSON */
#define WIRE_DATA_MAX (1U << 20)        /* of a piece of the guest's stream */
#define WIRE_SILENCE_MS 60000

enum wire_type {
    WIRE_HELLO = 1,      /* both, first: {"version", "host", "program"} */
    WIRE_OFFER,          /* source: what the guest is and needs */
    WIRE_ANSWER,         /* target: item by item whether it can be had */
    WIRE_START,          /* source: it begins, with the token of the move */
    WIRE_DATA,           /* source: a piece of the stream */
    WIRE_PREPARED,       /* target: the guest is complete and paused, and stays so until it is told */
    WIRE_GO,             /* source: run it; the source never will again */
    WIRE_RUNNING,        /* target: it runs */
    WIRE_DESTROYED,      /* source: its copy is gone, the target may forget the move */
    WIRE_ABORT,          /* both: {"reason"} */
    WIRE_RESOLVE,        /* source, later: {"token", "committed"}: what became of it? */
    WIRE_STATE,          /* target: {"state": "running" | "ran" | "nothing"} */
    WIRE_SYNC,           /* source, within the stream: say when you have taken all up to here */
    WIRE_SYNCED,         /* target: so it is */
    WIRE_SETTLED,        /* target: it is as it was at home; the copy may go */
    WIRE_LAST = WIRE_SETTLED,
};

struct wire {
    int in, out;
    const char *peer;            /* for messages */
    unsigned silence_ms;
    volatile int *stop;          /* looked at while waiting; not 0: -EINTR. May be NULL */
    uint64_t sent, received;     /* bytes */
    void (*idle)(void *arg);     /* a round has come whole, the next one takes a while. May be NULL */
    void *idle_arg;
    unsigned char *buf;          /* of outgoing data */
    size_t used;
    unsigned char *ahead;        /* incoming data that was read and not yet asked for */
    size_t ahead_used, ahead_size;
    size_t piece_left;           /* of the piece that is being taken: not read yet */
    bool broken;                 /* no use to say anything more */
    int child;                   /* the process of ours that carries it, ended with a broken one: it could wait for a lost host for long. 0: none */
};

/* Takes the descriptors (they become non-blocking). wire_end() closes them. */
int wire_begin(struct wire *w, int in, int out, const char *peer);
void wire_end(struct wire *w);

/* A message; body may be NULL (empty). */
int wire_send(struct wire *w, enum wire_type type, struct json_object *body);
/*
 * The next one: its type, and its body (to be put; NULL for an empty one). An ABORT of the peer's is -ECONNABORTED with its reason
 * in fault(). WIRE_DATA is not taken here: -EPROTO.
 */
int wire_receive(struct wire *w, enum wire_type *type, struct json_object **body, unsigned timeout_ms);
/* The next one, which must be of that type. */
int wire_expect(struct wire *w, enum wire_type type, struct json_object **body, unsigned timeout_ms);

/* The guest's stream: bytes in, bytes out. Small pieces are gathered, large ones go from and to where they are. */
int wire_data_write(struct wire *w, const void *bytes, size_t n);
int wire_data_writev(struct wire *w, const struct iovec *piece, unsigned n);
int wire_data_flush(struct wire *w);
/* Flushes, and waits until the other side has taken it all: what lies in buffers on the way would be part of the guest's pause. */
int wire_data_sync(struct wire *w);
int wire_data_read(struct wire *w, void *bytes, size_t n);
int wire_data_readv(struct wire *w, const struct iovec *piece, unsigned n);

/* Waits until the peer says something or ends, at most so long: has it? Nothing is read. */
bool wire_rest(struct wire *w, unsigned ms);

/* Greets and is greeted; keeps the peer's name for messages in *host (to be freed). */
int wire_hello(struct wire *w, char **host);
/* Tells the peer why it ends, as far as that can still be told. */
void wire_abort(struct wire *w, const char *reason);
/* Both ways cut, as by a broken link. */
void wire_cut(struct wire *w);

/* A string or number of a message; -EPROTO with fault() if it is not there or is not what it should be. */
int wire_text(struct json_object *o, const char *key, size_t max, const char **out);
int wire_number(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *out);
