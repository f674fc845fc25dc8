/* SPDX-License-Identifier: MIT */
/* See client.h. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault.h"

enum client_state { REQUEST, WAITING, ATTACHED, ENDING };

struct client {
    struct source source;           /* first: a source is a client */
    enum client_state state;
    struct guest *guest;
    char line[300];                 /* the request, and what came behind it */
    size_t n_line;
    char *out;
    size_t n_out, room_out, lost;
    bool deaf;                      /* the client sends no more */
    uint64_t deadline;              /* WAITING, ENDING */
    struct client *next;            /* of the same guest */
    struct client *all_next;
};

static struct source listener = { .fd = -1 };
static char listener_path[108];
static struct client *all;
static unsigned n_clients;

static void client_unlink(struct client *c)
{
    if (!c->guest)
        return;
    struct client **at = &c->guest->clients;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->guest = NULL;
}

static void client_drop(struct client *c)
{
    struct client **at = &all;

    client_unlink(c);
    while (*at != c)
        at = &(*at)->all_next;
    *at = c->all_next;
    n_clients--;
    loop_drop(&c->source);
    free(c->out);
    loop_free_later(c);
}

static void client_want(struct client *c)
{
    bool in = !c->deaf && (c->state == REQUEST || (c->state == ATTACHED && guest_input_room(c->guest)));

    loop_want(&c->source, (in ? (uint32_t)EPOLLIN : 0) | (c->n_out ? (uint32_t)EPOLLOUT : 0));
}

/* Room for n more, unless that is above `limit`. */
static bool out_grow(struct client *c, size_t n, size_t limit)
{
    if (c->n_out + n > limit)
        return false;
    if (c->room_out >= c->n_out + n)
        return true;
    size_t room = 2 * (c->n_out + n);
    char *more = realloc(c->out, room);
    if (!more)
        return false;
    c->out = more;
    c->room_out = room;
    return true;
}

static void client_say_lost(struct client *c)
{
    char text[80];
    int n = snprintf(text, sizeof(text), "\r\n[console: %zu bytes were lost here]\r\n", c->lost);

    if (c->lost && out_grow(c, (size_t)n, SIZE_MAX / 4)) {
        memcpy(c->out + c->n_out, text, (size_t)n);
        c->n_out += (size_t)n;
        c->lost = 0;
    }
}

static void client_send(struct client *c, const char *data, size_t n, size_t limit)
{
    if (c->lost || !out_grow(c, n, limit)) {
        c->lost += n;
        return;
    }
    memcpy(c->out + c->n_out, data, n);
    c->n_out += n;
}

/* Sends what waits; a client with nothing left that is to end does. False: it is gone. */
static bool client_flush(struct client *c)
{
    while (c->n_out) {
        ssize_t n = send(c->source.fd, c->out, c->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            client_drop(c);
            return false;
        }
        if (n <= 0)
            break;
        c->n_out -= (size_t)n;
        memmove(c->out, c->out + n, c->n_out);
        if (!c->n_out)
            client_say_lost(c);
    }
    if (!c->n_out && c->state == ENDING) {
        client_drop(c);
        return false;
    }
    client_want(c);
    return true;
}

static void client_end(struct client *c)
{
    client_unlink(c);
    c->state = ENDING;
    c->deadline = loop_now() + CLIENT_WAIT_MS;
    client_flush(c);
}

static void client_refuse(struct client *c, const char *why, const char *word)
{
    char text[400];
    int n = snprintf(text, sizeof(text), "error %s%s%s\n", word, *word ? ": " : "", why);

    client_send(c, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, SIZE_MAX / 4);
    client_end(c);
}

/* What it sent behind its request is input. */
static void client_attached(struct client *c, bool tail)
{
    size_t n = 0;
    char *text = tail ? guest_last(c->guest->name, GUEST_TAIL, &n) : NULL;

    c->state = ATTACHED;
    client_send(c, "ok\n", 3, SIZE_MAX / 4);
    if (text)
        client_send(c, text, n, SIZE_MAX / 4);
    free(text);
    guest_input(c->guest, c->line, c->n_line);
    c->n_line = 0;
    client_flush(c);
}

static void request_attach(struct client *c, const char *word)
{
    struct guest *g = guest_find(word);

    if (!g && guests_scan() == 0)
        g = guest_find(word);
    fault_clear();
    if (!g) {
        client_refuse(c, "no such guest runs; xm list shows those that do", word);
        return;
    }
    c->guest = g;
    c->next = g->clients;
    g->clients = c;
    if (g->open) {
        client_attached(c, true);
        return;
    }
    c->state = WAITING;
    c->deadline = loop_now() + CLIENT_WAIT_MS;
    client_want(c);
}

static void request_last(struct client *c, const char *word)
{
    size_t n;
    char *text = guest_last(word, 2 * guest_options.history, &n);

    if (!text) {
        client_refuse(c, "nothing is kept of a guest of this name", word);
        return;
    }
    client_send(c, "ok\n", 3, SIZE_MAX / 4);
    client_send(c, text, n, SIZE_MAX / 4);
    free(text);
    client_end(c);
}

static void client_request(struct client *c)
{
    char *end = memchr(c->line, '\n', c->n_line), word[sizeof(c->line)];

    if (!end) {
        if (c->n_line == sizeof(c->line))
            client_refuse(c, "a request is one line: attach NUMBER-or-NAME, last NAME", "");
        return;
    }
    size_t len = (size_t)(end - c->line);
    memcpy(word, c->line, len);
    word[len] = 0;
    c->n_line -= len + 1;
    memmove(c->line, end + 1, c->n_line);
    if (strncmp(word, "attach ", 7) == 0)
        request_attach(c, word + 7);
    else if (strncmp(word, "last ", 5) == 0)
        request_last(c, word + 5);
    else
        client_refuse(c, "a request is one line: attach NUMBER-or-NAME, last NAME", "");
}

static void client_read(struct client *c)
{
    char buf[512];
    size_t room = c->state == REQUEST ? sizeof(c->line) - c->n_line : guest_input_room(c->guest);
    ssize_t n = room ? recv(c->source.fd, buf, room < sizeof(buf) ? room : sizeof(buf), MSG_DONTWAIT) : -1;

    if (n == 0) {
        c->deaf = true;
        if (c->state == REQUEST)
            client_drop(c);
        else
            client_want(c);
        return;
    }
    if (n < 0)
        return;
    if (c->state == REQUEST) {
        memcpy(c->line + c->n_line, buf, (size_t)n);
        c->n_line += (size_t)n;
        client_request(c);
        return;
    }
    guest_input(c->guest, buf, (size_t)n);
    client_want(c);
}

static void client_ready(struct source *s, uint32_t events)
{
    struct client *c = (struct client *)s;

    if (events & (EPOLLHUP | EPOLLERR)) {
        if (c->state == ATTACHED && (events & EPOLLIN))
            client_read(c); /* what it said before it went */
        client_drop(c);
        return;
    }
    if ((events & EPOLLOUT) && !client_flush(c))
        return;
    if ((events & EPOLLIN) && (c->state == REQUEST || c->state == ATTACHED))
        client_read(c);
}

static void listener_ready(struct source *s, uint32_t events)
{
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct client *c = fd >= 0 && n_clients < CLIENT_MAX ? calloc(1, sizeof(*c)) : NULL;

    if (!c) {
        if (fd >= 0)
            close(fd);
        return;
    }
    c->source = (struct source){ .fd = fd, .ready = client_ready };
    c->all_next = all;
    all = c;
    n_clients++;
    if (loop_add(&c->source, EPOLLIN))
        client_drop(c);
}

int clients_open(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(at.sun_path))
        return fault(-ENAMETOOLONG, "%s: too long for a socket's path", path);
    strcpy(at.sun_path, path);
    strcpy(listener_path, path);
    listener = (struct source){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .ready = listener_ready };
    unlink(path);
    mode_t mask = umask(0177);
    int rc = listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&at, sizeof(at)) || listen(listener.fd, 64) ? -errno : 0;
    umask(mask);
    return rc ? fault(rc, "%s: cannot be made: %s", path, strerror(-rc)) : loop_add(&listener, EPOLLIN);
}

void clients_close(void)
{
    while (all)
        client_drop(all);
    if (listener.fd >= 0)
        unlink(listener_path);
    loop_drop(&listener);
}

void clients_output(struct guest *g, const char *data, size_t n)
{
    for (struct client *c = g->clients, *next; c; c = next) {
        next = c->next;
        if (c->state != ATTACHED)
            continue;
        client_send(c, data, n, CLIENT_BUFFER);
        client_flush(c);
    }
}

void clients_guest_opened(struct guest *g)
{
    for (struct client *c = g->clients, *next; c; c = next) {
        next = c->next;
        if (c->state == WAITING)
            client_attached(c, false);
    }
}

void clients_guest_gone(struct guest *g)
{
    while (g->clients) {
        struct client *c = g->clients;

        if (c->state == WAITING)
            client_refuse(c, "the guest ended before it had a console", "");
        else
            client_end(c);
    }
}

void clients_guest_room(struct guest *g)
{
    for (struct client *c = g->clients; c; c = c->next)
        client_want(c);
}

bool clients_tick(void)
{
    uint64_t now = loop_now();
    bool some = false;

    for (struct client *c = all, *next; c; c = next) {
        next = c->all_next;
        if (c->state != WAITING && c->state != ENDING)
            continue;
        if (now < c->deadline)
            some = true;
        else if (c->state == WAITING)
            client_refuse(c, "its console's nodes do not appear in the store", "");
        else
            client_drop(c);
    }
    return some;
}
