/* SPDX-License-Identifier: MIT */
/*
 * Messages between two hosts. All waiting is by poll() with a limit; the source looks for an ABORT while it sends, so that it
 * does not fill a link whose other end has long given up. Numbers are little-endian, bodies JSON.
 */
#include "migrate_wire.h"
#include "fault.h"
#include "migrate_wire_private.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20)
#define DEPTH_MAX 8

int wire_begin(struct wire *w, int in, int out, const char *peer)
{
    *w = (struct wire){ .in = in, .out = out, .peer = peer, .silence_ms = WIRE_SILENCE_MS };
    fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
    fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    fcntl(in, F_SETPIPE_SZ, PIPE_BYTES); /* fails for what is no pipe, which is fine */
    fcntl(out, F_SETPIPE_SZ, PIPE_BYTES);
    w->buf = malloc(WIRE_GATHER);
    w->ahead = malloc(WIRE_AHEAD);
    return w->buf && w->ahead ? 0 : fault(-ENOMEM, "migration: no memory for its buffers");
}

void wire_end(struct wire *w)
{
    free(w->buf);
    free(w->ahead);
    if (w->in >= 0)
        close(w->in);
    if (w->out >= 0 && w->out != w->in)
        close(w->out);
    if (w->broken && w->child > 0)
        kill(w->child, SIGTERM);
    *w = (struct wire){ .in = -1, .out = -1, .broken = true };
}

void wire_cut(struct wire *w)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    shutdown(w->in, SHUT_RDWR);
    shutdown(w->out, SHUT_RDWR);
    dup2(nothing, w->in);
    dup2(nothing, w->out);
    close(nothing);
    w->broken = true;
}

static int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

int wire_lost(struct wire *w, const char *what)
{
    w->broken = true;
    return fault(-EPIPE, "host %s: the connection is lost (%s)", w->peer, what);
}

/* Until the descriptor can be used. The clock is asked again after each signal and each stop that was not meant. */
int wire_wait(struct wire *w, int fd, short events, unsigned timeout_ms)
{
    int64_t end = clock_ms() + timeout_ms;

    for (;;) {
        struct pollfd p = { .fd = fd, .events = events };
        int64_t left = end - clock_ms();
        int n;

        if (w->stop && *w->stop)
            return fault(-EINTR, "stopped by request");
        if (left <= 0) {
            w->broken = true;
            return fault(-ETIMEDOUT, "host %s: silent for %u s; look at its network and at what runs there", w->peer, timeout_ms / 1000);
        }
        n = poll(&p, 1, left > 200 ? 200 : (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return wire_lost(w, strerror(errno));
    }
}

bool wire_rest(struct wire *w, unsigned ms)
{
    struct pollfd p = { .fd = w->in, .events = POLLIN };
    int64_t end = clock_ms() + ms, left = ms;
    int n = 0;

    while (!w->broken && left > 0 && (n = poll(&p, 1, (int)left)) < 0 && errno == EINTR)
        left = end - clock_ms();
    return n > 0;
}

int wire_take(struct wire *w, void *at, size_t n, unsigned timeout_ms)
{
    char *p = at;

    while (n) {
        ssize_t got = read(w->in, p, n);

        if (!got)
            return wire_lost(w, "it closed it");
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return wire_lost(w, strerror(errno));
        if (got < 0) {
            int rc = wire_wait(w, w->in, POLLIN, timeout_ms);

            if (rc)
                return rc;
            continue;
        }
        p += got;
        n -= (size_t)got;
        w->received += (size_t)got;
    }
    return 0;
}

/* The reason of an ABORT, as far as it is one: it is for people only. */
int wire_take_abort(struct wire *w, uint32_t length)
{
    char text[512] = "";
    struct json_object *o = NULL;
    const char *reason = NULL;
    int rc = length < sizeof(text) ? wire_take(w, text, length, 2000) : -EPROTO;

    text[length < sizeof(text) ? length : 0] = 0;
    if (!rc)
        o = json_tokener_parse(text);
    w->broken = true;
    if (!o || wire_text(o, "reason", 400, &reason)) {
        fault_clear();
        reason = "it did not say why";
    }
    rc = fault(-ECONNABORTED, "host %s gives up: %s", w->peer, reason);
    json_object_put(o);
    return rc;
}

/* The peer may have said why it closes; that is worth more than "broken pipe". */
int wire_write_failed(struct wire *w, int error)
{
    struct wire_head h;

    if (!w->broken && !wire_take(w, &h, sizeof(h), 500) && h.type == WIRE_ABORT)
        return wire_take_abort(w, h.length);
    fault_clear();
    return wire_lost(w, strerror(error));
}

static int give(struct wire *w, const void *at, size_t n)
{
    const char *p = at;

    while (n) {
        ssize_t put = write(w->out, p, n);

        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return wire_write_failed(w, errno);
        if (put < 0) {
            int rc = wire_wait(w, w->out, POLLOUT, w->silence_ms);

            if (rc)
                return rc;
            continue;
        }
        p += put;
        n -= (size_t)put;
        w->sent += (size_t)put;
    }
    return 0;
}

static int give_message(struct wire *w, uint32_t type, const void *body, size_t n)
{
    struct wire_head h = { type, (uint32_t)n };
    int rc = w->broken ? fault(-EPIPE, "host %s: the connection is lost", w->peer) : give(w, &h, sizeof(h));

    return rc ? rc : give(w, body, n);
}

int wire_send(struct wire *w, enum wire_type type, struct json_object *body)
{
    size_t n = 0;
    const char *text = body ? json_object_to_json_string_length(body, JSON_C_TO_STRING_PLAIN, &n) : "";

    if (n > WIRE_TEXT_MAX)
        return fault(-E2BIG, "migration: a message of %zu bytes is too long (at most %u)", n, WIRE_TEXT_MAX);
    return give_message(w, type, text, n);
}

static int parse_body(struct wire *w, const char *text, size_t n, struct json_object **body)
{
    struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);

    if (!t)
        return fault(-ENOMEM, "migration: no memory for a message");
    json_tokener_set_flags(t, JSON_TOKENER_STRICT);
    *body = json_tokener_parse_ex(t, text, (int)n + 1); /* with its end */
    json_tokener_free(t);
    if (*body && json_object_is_type(*body, json_type_object))
        return 0;
    json_object_put(*body);
    *body = NULL;
    w->broken = true;
    return fault(-EPROTO, "host %s: a message that is no JSON object; is it Zendo on the other side?", w->peer);
}

static int take_body(struct wire *w, uint32_t n, struct json_object **body)
{
    char *text = malloc((size_t)n + 1);
    int rc = text ? wire_take(w, text, n, w->silence_ms) : fault(-ENOMEM, "migration: no memory for a message");

    if (!rc) {
        text[n] = 0;
        rc = parse_body(w, text, n, body);
    }
    free(text);
    return rc;
}

int wire_receive(struct wire *w, enum wire_type *type, struct json_object **body, unsigned timeout_ms)
{
    struct wire_head h;
    int rc = w->broken ? fault(-EPIPE, "host %s: the connection is lost", w->peer) : wire_take(w, &h, sizeof(h), timeout_ms);

    *body = NULL;
    if (rc)
        return rc;
    *type = h.type;
    if (h.type == WIRE_ABORT)
        return wire_take_abort(w, h.length);
    if (!h.type || h.type > WIRE_LAST || h.type == WIRE_DATA || h.length > WIRE_TEXT_MAX) {
        w->broken = true;
        return fault(-EPROTO, "host %s: a message of type %u and %u bytes where none such can be", w->peer, h.type, h.length);
    }
    return h.length ? take_body(w, h.length, body) : 0;
}

int wire_expect(struct wire *w, enum wire_type type, struct json_object **body, unsigned timeout_ms)
{
    struct json_object *unused = NULL;
    enum wire_type got;
    int rc = wire_receive(w, &got, body ? body : &unused, timeout_ms);

    if (!rc && (got != type || (body && !*body))) {
        if (body) {
            json_object_put(*body);
            *body = NULL;       /* its caller puts it, too */
        }
        w->broken = true;
        rc = fault(-EPROTO, "host %s: sent a message of type %u where %u was due", w->peer, got, type);
    }
    json_object_put(unused);
    return rc;
}

void wire_abort(struct wire *w, const char *reason)
{
    struct json_object *o;
    char text[400];

    if (w->broken)
        return;
    o = json_object_new_object();
    snprintf(text, sizeof(text), "%s", reason);
    json_object_object_add(o, "reason", json_object_new_string(text));
    w->stop = NULL;
    w->silence_ms = 2000;
    wire_send(w, WIRE_ABORT, o);
    json_object_put(o);
    w->broken = true;
}

int wire_text(struct json_object *o, const char *key, size_t max, const char **out)
{
    struct json_object *v = NULL;

    if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string) ||
        (size_t)json_object_get_string_len(v) > max || strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v))
        return fault(-EPROTO, "migration: the other host's message has no '%s' as it should be", key);
    *out = json_object_get_string(v);
    return 0;
}

int wire_number(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *out)
{
    struct json_object *v = NULL;

    if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int))
        return fault(-EPROTO, "migration: the other host's message has no number '%s'", key);
    *out = json_object_get_int64(v);
    return *out < min || *out > max ? fault(-EPROTO, "migration: the other host's '%s' is out of bounds", key) : 0;
}

/* Not Zendo: what it said instead is often a login message or "command not found". */
static int no_greeting(struct wire *w, const uint32_t first[2])
{
    char said[80];
    ssize_t n;

    struct pollfd p = { .fd = w->in, .events = POLLIN };

    memcpy(said, first, 8);
    poll(&p, 1, 100); /* the rest of the line, if it is on its way */
    n = read(w->in, said + 8, sizeof(said) - 9);
    said[8 + (n > 0 ? n : 0)] = 0;
    said[strcspn(said, "\r\n")] = 0;
    w->broken = true;
    return fault(-EPROTO, "host %s: said '%s' instead of a greeting; nothing may print to standard output before xm migrate-receive runs there",
                 w->peer, fault_printable(said));
}

int wire_hello(struct wire *w, char **host)
{
    uint32_t mine[2] = { WIRE_MAGIC, WIRE_VERSION }, theirs[2];
    struct json_object *o = json_object_new_object(), *in = NULL;
    char name[65] = "?";
    const char *text;
    int rc;

    gethostname(name, sizeof(name) - 1);
    json_object_object_add(o, "host", json_object_new_string(fault_printable(name)));
    rc = give(w, mine, sizeof(mine));
    rc = rc ? rc : wire_send(w, WIRE_HELLO, o);
    rc = rc ? rc : wire_take(w, theirs, sizeof(theirs), w->silence_ms);
    if (!rc && theirs[0] != WIRE_MAGIC)
        rc = no_greeting(w, theirs);
    if (!rc && theirs[1] != WIRE_VERSION) {
        w->broken = true;
        rc = fault(-EPROTONOSUPPORT, "host %s: speaks version %u of the migration protocol, this one %u; bring both to the same release", w->peer,
                   theirs[1], WIRE_VERSION);
    }
    rc = rc ? rc : wire_expect(w, WIRE_HELLO, &in, w->silence_ms);
    rc = rc ? rc : wire_text(in, "host", 64, &text);
    if (!rc && host)
        *host = fault_printable(strdup(text));
    json_object_put(o);
    json_object_put(in);
    return rc;
}
