/* SPDX-License-Identifier: MIT */
/*
 * The store's word of domains, against a made-up daemon in a child process: one that tells which, one that does not know how, words
 * that come in pieces, and one that talks nonsense or ends. And names as paths.
 * sources: toolstack/lib/store_domains.c toolstack/lib/store_many.c toolstack/lib/domain_index.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <xen/io/xs_wire.h>

#include "domains.h"
#include "fault.h"
#include "store.h"
#include "store_domains.h"

enum how { TELLS, KNOWS_NO_DEPTH, REFUSES, PIECES, TOO_LONG, NO_END, ENDS };

static char folder[] = "/tmp/zendo-test-XXXXXX", path[64];

/* domain_index.c's world; its rules are tested with creation and removal. */
char *domain_name(uint32_t domid) { return NULL; }
int ctl_domain_info(struct ctl *c, domid_t domid, struct xen_domctl_getdomaininfo *info) { return -ESRCH; }
char *store_read(const char *p, ...) { return NULL; }
int store_read_number(int64_t *v, const char *p, ...) { return -ENOENT; }
int store_write(const char *p, const char *v, ...) { return 0; }
int store_put(const char *p, const char *k, const char *v, ...) { return 0; }
int store_remove(const char *p, ...) { return 0; }

static void say(int fd, uint32_t type, const char *payload, uint32_t len, enum how how)
{
    struct xsd_sockmsg m = { .type = type, .len = len };
    char all[256];

    memcpy(all, &m, sizeof(m));
    if (len < 200)
        memcpy(all + sizeof(m), payload, len);
    len = sizeof(m) + (len < 200 ? len : 0);
    for (uint32_t at = 0; at < len; at += how == PIECES ? 1 : len) {
        if (write(fd, all + at, how == PIECES ? 1 : len) < 0)
            _exit(1);
        if (how == PIECES)
            usleep(200);
    }
}

/* A watch: its path, whether it has a depth. */
static bool hear(int fd, char *what)
{
    struct xsd_sockmsg m;
    char payload[64];

    if (read(fd, &m, sizeof(m)) != sizeof(m) || m.type != XS_WATCH || m.len > sizeof(payload) || read(fd, payload, m.len) != (ssize_t)m.len)
        _exit(1);
    strcpy(what, payload);
    size_t n = strlen(payload) + 1 + 2;
    return m.len == n + 2 && !strcmp(payload + n, "1");
}

static void serve(int fd, enum how how)
{
    char what[64], event[80];

    for (int watches = 0; watches < 2;) {
        bool depth = hear(fd, what);

        if (how == REFUSES || (how == KNOWS_NO_DEPTH && depth)) {
            say(fd, XS_ERROR, "EINVAL", 7, how);
            continue;
        }
        say(fd, XS_WATCH, "OK", 3, how);
        say(fd, XS_WATCH_EVENT, event, (uint32_t)(snprintf(event, sizeof(event), "%s%cd", what, 0) + 1), how);
        watches++;
    }
    if (how == TOO_LONG)
        say(fd, XS_WATCH_EVENT, "", 100000, how);
    else if (how == NO_END)
        say(fd, XS_WATCH_EVENT, "@releaseDomain/7\0d/", 19, how);
    else if (how == KNOWS_NO_DEPTH)
        say(fd, XS_WATCH_EVENT, "@releaseDomain\0d", 17, how);
    else if (how != ENDS)
        say(fd, XS_WATCH_EVENT, "@releaseDomain/7\0d", 19, how), say(fd, XS_WATCH_EVENT, "@introduceDomain/4321\0d", 24, how);
    if (how != ENDS)
        pause();
}

static int listener, child;

static int begin(enum how how, struct store_domains *w)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    snprintf(path, sizeof(path), "%s/socket", folder);
    unlink(path);
    strcpy(to.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_false(bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 1));
    setenv("XENSTORED_PATH", path, 1);
    child = fork();
    if (!child) {
        serve(accept(listener, NULL, NULL), how);
        _exit(0);
    }
    close(listener);
    fault_clear();
    return store_domains_open(w, true);
}

static void end(struct store_domains *w)
{
    store_domains_close(w);
    kill(child, 9);
    waitpid(child, NULL, 0);
}

/* The next word, waited for a second at most. */
static int next(struct store_domains *w, int *domid)
{
    int rc;

    while (!(rc = store_domains_next(w, domid))) {
        struct pollfd p = { .fd = w->fd, .events = POLLIN };

        if (poll(&p, 1, 1000) <= 0)
            return 0;
    }
    return rc;
}

static void expect(struct store_domains *w, int wanted)
{
    int domid = -5;

    assert_int_equal(next(w, &domid), 1);
    assert_int_equal(domid, wanted);
}

static void test_tells(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct store_domains w;
        int domid;

        assert_int_equal(begin(i ? PIECES : TELLS, &w), 0);
        expect(&w, STORE_DOMAINS_ALL);
        expect(&w, 7);
        expect(&w, 4321);
        assert_int_equal(store_domains_next(&w, &domid), 0);
        end(&w);
    }
}

static void test_other_store(void **state)
{
    struct store_domains w;

    assert_int_equal(begin(KNOWS_NO_DEPTH, &w), 0);
    expect(&w, STORE_DOMAINS_ALL);
    expect(&w, STORE_DOMAINS_ALL);
    end(&w);
    assert_int_equal(begin(REFUSES, &w), -EINVAL);
    assert_non_null(strstr(fault_text(), "@introduceDomain"));
    end(&w);
}

static void test_bad_store(void **state)
{
    static const enum how hows[] = { TOO_LONG, NO_END, ENDS };

    for (unsigned i = 0; i < 3; i++) {
        struct store_domains w;
        int domid, rc = begin(hows[i], &w);

        while (rc == 0 && (rc = next(&w, &domid)) > 0)
            rc = 0;
        assert_int_equal(rc, -EPIPE);
        end(&w);
    }
    setenv("XENSTORED_PATH", "/nonexistent/socket", 1);
    struct store_domains w;
    assert_int_equal(store_domains_open(&w, false), -ENOENT);
    assert_int_equal(w.fd, -1);
}

static void test_name_path(void **state)
{
    char out[DOMAIN_NAME_PATH], name[128];

    assert_int_equal(domain_name_path("/x", "web.example.com:1@2_a-b", out, sizeof(out)), 0);
    assert_string_equal(out, "/x/web@2eexample@2ecom@3a1@402_a-b");
    domain_name_unescape(out + 3);
    assert_string_equal(out + 3, "web.example.com:1@2_a-b");
    memset(name, '/', 127); /* what is no name does not become another path */
    name[127] = 0;
    assert_int_equal(domain_name_path("/zendo/restarting", name, out, sizeof(out)), 0);
    assert_null(strchr(out + strlen("/zendo/restarting/"), '/'));
    assert_int_equal(domain_name_path("/x", name, out, 100), -ENAMETOOLONG);
    assert_int_equal(domain_name_path("/x", "", out, sizeof(out)), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells), cmocka_unit_test(test_other_store), cmocka_unit_test(test_bad_store), cmocka_unit_test(test_name_path),
    };

    if (!mkdtemp(folder))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    unlink(path);
    rmdir(folder);
    return rc;
}
