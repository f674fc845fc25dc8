/* SPDX-License-Identifier: MIT */
/*
 * For tests of xenconsoled (t_xenconsoled.c, t_xenconsoled_library.c): guests are pages that print and read, machine.h is a model of the
 * store and the event channels; the daemon is turned by hand, with its socket and its files in a folder of our own.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "console.h"
#include "store.h"

#include "client.h"
#include "machine.h"


#define MAX 300

static struct fake {
    bool exists, dying, nodes, renamed;
    uint8_t uuid;
    char name[64], tty[64];
    struct xencons_interface *page;
    bool mapped, bound, pending, masked;
    unsigned notified;
} fakes[MAX];
static char dir[] = "/tmp/t_xenconsoled_XXXXXX", sock[64];
static unsigned served;

/* --- the machine ------------------------------------------------------------------------------------------------- */

int machine_event_next(void)
{
    for (int i = 1; i < MAX; i++) {
        if (fakes[i].bound && fakes[i].pending && !fakes[i].masked) {
            fakes[i].masked = true;
            fakes[i].pending = false;
            served++;
            return i + 1000;
        }
    }
    return -1;
}

void machine_event_done(unsigned port)
{
    fakes[port - 1000].masked = false;
}

int machine_event_bind(uint32_t domid, unsigned remote)
{
    assert_int_equal(remote, domid + 2);
    assert_false(fakes[domid].bound);
    fakes[domid].bound = true;
    fakes[domid].masked = fakes[domid].pending = false;
    return (int)domid + 1000;
}

void machine_event_unbind(unsigned port)
{
    assert_true(fakes[port - 1000].bound);
    fakes[port - 1000].bound = false;
}

void machine_event_notify(unsigned port)
{
    fakes[port - 1000].notified++;
}

void *machine_ring_map(uint32_t domid, uint64_t frame, bool *granted)
{
    assert_int_equal(frame, domid * 10);
    assert_false(fakes[domid].mapped);
    fakes[domid].mapped = true;
    *granted = true;
    return fakes[domid].page;
}

void machine_ring_unmap(void *page, bool granted)
{
    for (int i = 1; i < MAX; i++) {
        if (fakes[i].page == page) {
            assert_true(fakes[i].mapped);
            fakes[i].mapped = false;
            return;
        }
    }
    fail();
}

int machine_store_watch(const char *path, const char *token)
{
    return 0;
}

void machine_store_unwatch(const char *path, const char *token)
{
}

char *machine_store_read(const char *path)
{
    unsigned domid;
    char what[32], *s = NULL;

    if (sscanf(path, "/local/domain/%u/%31s", &domid, what) != 2 || !fakes[domid].exists)
        return NULL;
    if (strcmp(what, "name") == 0)
        return *fakes[domid].name ? strdup(fakes[domid].name) : NULL;
    if (!fakes[domid].nodes)
        return NULL;
    if (strcmp(what, "console/ring-ref") == 0 && asprintf(&s, "%u", domid * 10) > 0)
        return s;
    if (strcmp(what, "console/port") == 0 && asprintf(&s, "%u", domid + 2) > 0)
        return s;
    return NULL;
}

void machine_store_write(const char *path, const char *value)
{
    unsigned domid;

    if (sscanf(path, "/local/domain/%u/console/tty", &domid) == 1)
        snprintf(fakes[domid].tty, sizeof(fakes[domid].tty), "%s", value);
}

int machine_domains(struct machine_domain **list)
{
    int n = 0;

    *list = calloc(MAX, sizeof(**list));
    for (unsigned i = 0; i < MAX; i++)
        if (fakes[i].exists)
            (*list)[n++] = (struct machine_domain){ .domid = i, .uuid = { fakes[i].uuid }, .dying = fakes[i].dying };
    return n;
}

int machine_domain(uint32_t domid, struct machine_domain *d)
{
    *d = (struct machine_domain){ .domid = domid, .uuid = { fakes[domid].uuid }, .dying = fakes[domid].dying };
    return fakes[domid].exists;
}

/* What the library's way over the store would need. */
char *store_read(const char *path, ...)
{
    return NULL;
}

int store_wait(const char *path, unsigned timeout_ms, store_test_fn *test, void *arg)
{
    return -ETIMEDOUT;
}

/* --- helpers ------------------------------------------------------------------------------------------------------ */

static void born(unsigned domid, const char *name, bool nodes)
{
    static uint8_t uuid;

    free(fakes[domid].page);
    fakes[domid] = (struct fake){ .exists = true, .nodes = nodes, .uuid = ++uuid, .page = calloc(1, sizeof(struct xencons_interface)) };
    snprintf(fakes[domid].name, sizeof(fakes[domid].name), "%s", name);
    assert_true((domid % 2 ? guests_scan() : guests_look(domid)) >= 0);
}

static void dies(unsigned domid)
{
    fakes[domid].dying = true;
    assert_int_equal(guests_look(domid), 0);
    fakes[domid].exists = false;
    assert_int_equal(domid % 2 ? guests_look(domid) : guests_scan(), 0);
    assert_false(fakes[domid].mapped || fakes[domid].bound);
}

static void turn(void)
{
    guests_events();
    guests_tick();
    clients_tick();
    for (int i = 0; i < 4; i++)
        assert_int_equal(loop_once(0), 0);
}

/* Prints all, turning the daemon as often as it takes. */
static void print(unsigned domid, const char *text)
{
    struct fake *f = &fakes[domid];

    for (size_t n = strlen(text); n;) {
        while (n && f->page->out_prod - f->page->out_cons < RING_OUT) {
            f->page->out[f->page->out_prod++ % RING_OUT] = *text++;
            n--;
        }
        f->pending = true;
        if (n || f->mapped) {
            turn();
            if (n)
                usleep(1000);
        }
    }
}

static inline int connect_to(const char *request)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(to.sun_path, sock);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    turn();
    turn();
    return fd;
}

/* All that is there to read now; "" also at the end, then *ended. */
static inline const char *hear(int fd, bool *ended)
{
    static char text[1 << 20];
    size_t n = 0;
    ssize_t got;

    turn();
    while ((got = recv(fd, text + n, sizeof(text) - n - 1, MSG_DONTWAIT)) > 0) {
        n += (size_t)got;
        turn();
    }
    if (ended)
        *ended = got == 0;
    text[n] = 0;
    return text;
}

static inline const char *last(const char *name)
{
    char request[100];

    snprintf(request, sizeof(request), "last %s\n", name);
    int fd = connect_to(request);
    const char *s = hear(fd, NULL);
    close(fd);
    turn();
    return s;
}

static const char *guest_reads(unsigned domid)
{
    static char text[RING_IN + 1];
    struct xencons_interface *p = fakes[domid].page;
    size_t n = 0;

    while (p->in_cons != p->in_prod)
        text[n++] = p->in[p->in_cons++ % RING_IN];
    text[n] = 0;
    fakes[domid].pending = true;
    turn();
    return text;
}

static int setup(void **state)
{
    assert_non_null(mkdtemp(strcpy(dir, "/tmp/t_xenconsoled_XXXXXX")));
    snprintf(sock, sizeof(sock), "%s/sock", dir);
    console_socket = sock;
    guest_options.history_dir = dir;
    guest_options.history = 8192;
    guest_options.log_dir = NULL;
    guest_options.timestamp = false;
    guest_options.histories = 20;
    assert_int_equal(loop_open(), 0);
    assert_int_equal(clients_open(sock), 0);
    return 0;
}

static int teardown(void **state)
{
    char command[100];

    guests_end();
    clients_close();
    loop_close();
    for (int i = 0; i < MAX; i++) {
        free(fakes[i].page);
        fakes[i] = (struct fake){ 0 };
    }
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}
