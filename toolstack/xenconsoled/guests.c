/* SPDX-License-Identifier: MIT */
/*
 * Which guests there are. What the hypervisor says of a domain is the truth; it is asked when the store says that one was introduced
 * or released. Each guest has two watches: its console's nodes and its name. Events find their guest through a table by port.
 */
#include "guest_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "fault.h"
#include "machine.h"

static struct guest *guests;
static struct guest **ports;
static unsigned n_ports;

void guest_port_set(unsigned port, struct guest *g)
{
    if (port >= n_ports) {
        unsigned n = port + 64;
        struct guest **more = realloc(ports, n * sizeof(*more));

        if (!more)
            return;
        memset(more + n_ports, 0, (n - n_ports) * sizeof(*more));
        ports = more;
        n_ports = n;
    }
    ports[port] = g;
}

static struct guest *find_domid(uint32_t domid)
{
    struct guest *g = guests;

    while (g && g->domid != domid)
        g = g->next;
    return g;
}

struct guest *guest_find(const char *word)
{
    char *end;
    unsigned long n = strtoul(word, &end, 10);

    if (*word && !*end)
        return find_domid((uint32_t)n);
    for (struct guest *g = guests; g; g = g->next) {
        if (!g->open)
            guest_read_name(g);
        if (strcmp(g->name, word) == 0)
            return g;
    }
    return NULL;
}

bool guest_name_in_use(const char *name)
{
    for (struct guest *g = guests; g; g = g->next)
        if (g->open && strcmp(g->name, name) == 0)
            return true;
    return false;
}

static void watch(struct guest *g, bool on)
{
    static const char *const nodes[] = { "console", "name" };
    char path[80], token[40];

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/%s", g->domid, nodes[i]);
        snprintf(token, sizeof(token), "%s %u", nodes[i], g->domid);
        if (!on)
            machine_store_unwatch(path, token);
        else if (machine_store_watch(path, token))
            guest_complain();
    }
}

static void guest_add(const struct machine_domain *d)
{
    struct guest *g = calloc(1, sizeof(*g));

    if (!g) {
        warn("domain %u: out of memory; its console is not served", d->domid);
        return;
    }
    g->domid = d->domid;
    memcpy(g->uuid, d->uuid, sizeof(g->uuid));
    g->tty = (struct tty){ .source.fd = -1, .slave = -1 };
    g->history = g->log = (struct keep){ .fd = -1, .dir = -1 };
    g->next = guests;
    guests = g;
    watch(g, true);
    guest_try_open(g);
}

static void guest_remove(struct guest *g)
{
    struct guest **at = &guests;

    guest_close(g);
    clients_guest_gone(g);
    watch(g, false);
    keep_close(&g->history);
    keep_close(&g->log);
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    loop_free_later(g);
}

static const struct machine_domain *list_find(const struct machine_domain *list, int n, uint32_t domid)
{
    int low = 0;

    while (n > low) { /* in order of number */
        int mid = (low + n) / 2;

        if (list[mid].domid == domid)
            return &list[mid];
        if (list[mid].domid < domid)
            low = mid + 1;
        else
            n = mid;
    }
    return NULL;
}

int guests_scan(void)
{
    struct machine_domain *list;
    int n = machine_domains(&list);

    if (n < 0)
        return n;
    for (struct guest *g = guests, *next; g; g = next) {
        const struct machine_domain *d = list_find(list, n, g->domid);

        next = g->next;
        if (!d || d->dying || memcmp(d->uuid, g->uuid, sizeof(g->uuid)) != 0)
            guest_remove(g);
    }
    for (int i = 0; i < n; i++)
        if (list[i].domid && !list[i].dying && !find_domid(list[i].domid))
            guest_add(&list[i]);
    free(list);
    return 0;
}

int guests_look(uint32_t domid)
{
    struct machine_domain d;
    struct guest *g = find_domid(domid);
    int rc = domid ? machine_domain(domid, &d) : 0;
    bool there = rc > 0 && !d.dying;

    if (rc < 0)
        return rc;
    if (g && (!there || memcmp(d.uuid, g->uuid, sizeof(g->uuid)) != 0)) {
        guest_remove(g);
        g = NULL;
    }
    if (there && !g)
        guest_add(&d);
    return 0;
}

static void guest_renamed(struct guest *g)
{
    char was[sizeof(g->name)], old[600], new[600];

    if (!guest_has_name(g)) /* its nodes are being removed: it ends under the name it had */
        return;
    memcpy(was, g->name, sizeof(was));
    guest_read_name(g);
    if (!g->open || strcmp(was, g->name) == 0)
        return;
    for (int i = 0; i < 2; i++) { /* the history goes with it */
        const char *sub = i ? "/.old" : "";

        snprintf(old, sizeof(old), "%s%s/%s", guest_options.history_dir, sub, was);
        snprintf(new, sizeof(new), "%s%s/%s", guest_options.history_dir, sub, g->name);
        rename(old, new);
    }
    guest_open_files(g, false);
}

void guests_watched(const char *token)
{
    char what[20];
    unsigned domid;
    struct guest *g;

    if (sscanf(token, "%19s %u", what, &domid) != 2 || !(g = find_domid(domid)))
        return;
    if (strcmp(what, "console") == 0)
        guest_try_open(g);
    else
        guest_renamed(g);
}

void guests_events(void)
{
    for (int i = 0, port; i < 64 && (port = machine_event_next()) >= 0; i++) {
        struct guest *g = (unsigned)port < n_ports ? ports[port] : NULL;

        if (g)
            guest_serve(g);
        else
            machine_event_done((unsigned)port);
    }
}

bool guests_tick(void)
{
    bool some = false;

    for (struct guest *g = guests; g; g = g->next) {
        if (g->throttled)
            guest_serve(g);
        some |= g->throttled;
    }
    return some;
}

char *guest_last(const char *name, size_t most, size_t *n)
{
    char old[300];
    struct guest *g = guest_find(name);

    *n = 0;
    if (g)
        name = g->name;
    if (!keep_name_good(name))
        return NULL;
    snprintf(old, sizeof(old), ".old/%s", name);
    return keep_read(guest_options.history_dir, name, old, most, n);
}

void guests_reopen_logs(void)
{
    for (struct guest *g = guests; g; g = g->next)
        if (g->open)
            guest_open_files(g, false);
}

/* The terminals end with us: nobody shall be sent to whose they are next. */
void guests_end(void)
{
    char path[80];

    while (guests) {
        snprintf(path, sizeof(path), "/local/domain/%u/console/tty", guests->domid);
        if (guests->open)
            machine_store_write(path, "");
        guest_remove(guests);
    }
    free(ports);
    ports = NULL;
    n_ports = 0;
}
