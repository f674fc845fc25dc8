/* SPDX-License-Identifier: MIT */
/* One guest's console: opening, serving, closing. See guest.h; which guests there are is guests.c's. */
#include "guest_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "fault.h"
#include "machine.h"

#define PRUNE_EVERY 32

struct guest_options guest_options = { .history_dir = "/var/lib/zendo/console", .history = 128 << 10, .log = 1 << 20, .histories = 500 };

void guest_complain(void)
{
    warn("%s", fault_text());
    fault_clear();
}

static char *node_read(const struct guest *g, const char *node)
{
    char path[80];

    snprintf(path, sizeof(path), "/local/domain/%u/%s", g->domid, node);
    return machine_store_read(path);
}

static bool node_number(const struct guest *g, const char *node, uint64_t *value)
{
    char *text = node_read(g, node), *end = text;

    if (text)
        *value = strtoull(text, &end, 0);
    bool good = text && end != text && !*end;
    free(text);
    return good;
}

static void node_write(const struct guest *g, const char *node, const char *value)
{
    char path[80];

    snprintf(path, sizeof(path), "/local/domain/%u/%s", g->domid, node);
    machine_store_write(path, value);
}

bool guest_has_name(const struct guest *g)
{
    char *name = node_read(g, "name");
    bool has = name && *name;

    free(name);
    return has;
}

void guest_read_name(struct guest *g)
{
    char *name = node_read(g, "name");

    if (name && keep_name_good(name))
        snprintf(g->name, sizeof(g->name), "%s", name);
    else
        snprintf(g->name, sizeof(g->name), "domain-%u", g->domid);
    free(name);
}

/* A look at all files of the folder: for every so many guests one, so that a guest's beginning does not cost more the more there are. */
static void prune_histories(void)
{
    static unsigned until;

    if (until--)
        return;
    until = PRUNE_EVERY - 1;
    keep_prune(guest_options.history_dir, guest_options.histories, guest_name_in_use);
}

/* History and log carry the guest's name. After a rename they go on under the new one. */
void guest_open_files(struct guest *g, bool restart)
{
    char name[300], old[300];

    keep_close(&g->history);
    snprintf(old, sizeof(old), ".old/%s", g->name);
    if (restart)
        keep_restart(guest_options.history_dir, g->name, old);
    if (keep_open(&g->history, guest_options.history_dir, g->name, old, guest_options.history))
        guest_complain();
    prune_histories();
    keep_close(&g->log);
    if (!guest_options.log_dir)
        return;
    snprintf(name, sizeof(name), "%s.log", g->name);
    snprintf(old, sizeof(old), "%s.log.1", g->name);
    if (keep_open(&g->log, guest_options.log_dir, name, old, guest_options.log))
        guest_complain();
}

/* With a time stamp before each line, gathered into few writes. */
static void log_write(struct guest *g, const char *data, size_t n)
{
    char stamp[40], out[4096];
    time_t now = time(NULL);
    size_t used = 0;
    struct tm tm;

    if (!guest_options.timestamp) {
        keep_write(&g->log, data, n);
        return;
    }
    size_t len = strftime(stamp, sizeof(stamp), "[%Y-%m-%d %H:%M:%S] ", localtime_r(&now, &tm));
    while (n) {
        const char *end = memchr(data, '\n', n);
        size_t part = end ? (size_t)(end - data) + 1 : n;

        if (used + len + part > sizeof(out)) {
            keep_write(&g->log, out, used);
            used = 0;
        }
        memcpy(out + used, stamp, g->line_begun ? 0 : len);
        used += g->line_begun ? 0 : len;
        memcpy(out + used, data, part); /* part is RING_OUT at most */
        used += part;
        g->line_begun = !end;
        data += part;
        n -= part;
    }
    keep_write(&g->log, out, used);
}
_Static_assert(RING_OUT + 40 <= 4096, "a part and its stamp fit log_write's buffer");

/* What is in the ring, to all who want it; how much it was. */
static size_t guest_take_output(struct guest *g)
{
    char out[RING_OUT];
    bool bad = g->ring.bad;
    size_t n = ring_take(&g->ring, out);

    if (g->ring.bad && !bad)
        warn("domain %u (%s): its console ring's indexes make no sense; output may be lost", g->domid, g->name);
    if (!n)
        return 0;
    keep_write(&g->history, out, n);
    if (guest_options.log_dir)
        log_write(g, out, n);
    tty_write(&g->tty, out, n);
    clients_output(g, out, n);
    return n;
}

static size_t guest_give_input(struct guest *g)
{
    size_t n = g->n_in ? ring_put(&g->ring, g->in, g->n_in) : 0;

    if (!n)
        return 0;
    memmove(g->in, g->in + n, g->n_in - n);
    g->n_in -= n;
    clients_guest_room(g);
    loop_want(&g->tty.source, g->tty.source.events | EPOLLIN);
    return n;
}

/* One look at the ring, if the guest's window has one left. */
void guest_serve(struct guest *g)
{
    uint64_t window = loop_now() / GUEST_WINDOW_MS;

    if (window != g->window) {
        g->window = window;
        g->rounds = GUEST_ROUNDS;
    }
    g->throttled = g->rounds == 0;
    if (g->throttled)
        return; /* the port stays masked */
    g->rounds--;
    size_t moved = guest_take_output(g);
    moved += guest_give_input(g);
    if (moved)
        machine_event_notify(g->port);
    machine_event_done(g->port);
}

size_t guest_input_room(const struct guest *g)
{
    return sizeof(g->in) - g->n_in;
}

size_t guest_input(struct guest *g, const char *data, size_t n)
{
    size_t room = guest_input_room(g);

    n = n < room ? n : room;
    memcpy(g->in + g->n_in, data, n);
    g->n_in += n;
    if (g->open) {
        size_t before = g->n_in;

        g->n_in -= ring_put(&g->ring, g->in, g->n_in);
        memmove(g->in, g->in + (before - g->n_in), g->n_in);
        machine_event_notify(g->port);
    }
    return n;
}

static void tty_input(struct tty *t)
{
    struct guest *g = t->guest;
    char buf[sizeof(g->in)];
    size_t room = guest_input_room(g);
    ssize_t n = room ? read(t->source.fd, buf, room) : 0;

    if (n > 0)
        guest_input(g, buf, (size_t)n);
    if (!guest_input_room(g))
        loop_want(&t->source, t->source.events & ~(uint32_t)EPOLLIN); /* until the guest reads */
}

static int guest_open_parts(struct guest *g)
{
    int port;

    g->page = machine_ring_map(g->domid, g->frame, &g->granted);
    if (!g->page)
        return -1;
    port = machine_event_bind(g->domid, g->remote);
    if (port < 0) {
        machine_ring_unmap(g->page, g->granted);
        return -1;
    }
    g->port = (unsigned)port;
    if (tty_open(&g->tty, g, tty_input))
        guest_complain(); /* our own clients work without */
    return 0;
}

void guest_try_open(struct guest *g)
{
    uint64_t frame, remote;
    char *type = node_read(g, "console/type");
    bool ours = !type || strcmp(type, "xenconsoled") == 0;

    free(type);
    if (!ours || !node_number(g, "console/ring-ref", &frame) || !node_number(g, "console/port", &remote))
        return;
    if (g->open && frame == g->frame && remote == g->remote)
        return;
    guest_close(g);
    g->frame = frame;
    g->remote = (unsigned)remote;
    guest_read_name(g);
    if (guest_open_parts(g)) {
        guest_complain();
        return;
    }
    ring_begin(&g->ring, g->page);
    g->open = true;
    guest_open_files(g, !g->has_history);
    g->has_history = true;
    guest_port_set(g->port, g);
    node_write(g, "console/tty", g->tty.path);
    clients_guest_opened(g);
    guest_serve(g);
}

/* What it said last is still in the ring. */
void guest_close(struct guest *g)
{
    if (!g->open)
        return;
    guest_take_output(g);
    g->open = g->throttled = false;
    g->n_in = 0;
    guest_port_set(g->port, NULL);
    machine_event_unbind(g->port);
    machine_ring_unmap(g->page, g->granted);
    tty_close(&g->tty);
}
