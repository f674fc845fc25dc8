/* SPDX-License-Identifier: MIT */
/*
 * Many nodes read at once, against a made-up daemon in a child process: answers in any order, refusals, and a daemon that ends or
 * talks nonsense.
 * sources: toolstack/lib/store_many.c toolstack/lib/fault.c
 */
#include <errno.h>
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

#include "fault.h"
#include "store_many.h"

enum how { SOUND, REVERSED, ENDS, TOO_LONG, TWICE, WRONG_ID };

static char folder[] = "/tmp/zendo-test-XXXXXX", path[64];

static void answer(int fd, uint32_t id, const char *text, enum how how)
{
    struct xsd_sockmsg m = { .type = text ? XS_READ : XS_ERROR, .req_id = how == WRONG_ID ? id + 1000 : id,
        .len = how == TOO_LONG ? 100000 : (uint32_t)strlen(text ? text : "ENOENT") };

    if (write(fd, &m, sizeof(m)) < 0 || write(fd, text ? text : "ENOENT", strlen(text ? text : "ENOENT")) < 0)
        _exit(1);
}

static void read_all(int fd, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)p + at, n - at);

        if (got <= 0)
            _exit(0);
        at += (size_t)got;
    }
}

/* Takes `batch` requests, then answers: a path that ends in an odd digit has no node. */
static void serve(int fd, enum how how, unsigned n)
{
    for (unsigned done = 0; done < n;) {
        unsigned batch = n - done < 128 ? n - done : 128;
        uint32_t id[128];
        char text[128][32];

        for (unsigned i = 0; i < batch; i++) {
            struct xsd_sockmsg m;

            read_all(fd, &m, sizeof(m));
            read_all(fd, text[i], m.len < 32 ? m.len : 32);
            id[i] = m.req_id;
        }
        for (unsigned k = 0; k < batch; k++) {
            unsigned i = how == REVERSED ? batch - 1 - k : k;

            if (how == ENDS && k == 3)
                _exit(0);
            answer(fd, how == TWICE ? 0 : id[i], (text[i][strlen(text[i]) - 1] & 1) ? NULL : text[i], how);
        }
        done += batch;
    }
}

static int run(enum how how, unsigned n)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    char text[300][16];
    const char *paths[300];
    char *values[300];
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    unlink(path);
    assert_int_equal(bind(s, (struct sockaddr *)&to, sizeof(to)) | listen(s, 1), 0);
    pid_t child = fork();
    if (!child) {
        alarm(10);
        serve(accept(s, NULL, NULL), how, n);
        _exit(0);
    }
    for (unsigned i = 0; i < n; i++) {
        snprintf(text[i], sizeof(text[i]), "/n/%u", i);
        paths[i] = text[i];
    }
    fault_clear();
    int rc = store_read_many(paths, n, values);

    for (unsigned i = 0; i < n; i++) {
        if (rc || i % 2)
            assert_null(values[i]);
        else
            assert_string_equal(values[i], paths[i]);
        free(values[i]);
    }
    close(s);
    waitpid(child, NULL, 0);
    assert_int_equal(!rc, !*fault_text());
    return rc;
}

static void test_sound(void **state)
{
    static const unsigned counts[] = { 1, 2, 127, 128, 129, 300 };

    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(run(SOUND, counts[i]), 0);
        assert_int_equal(run(REVERSED, counts[i]), 0);
    }
}

static void test_broken(void **state)
{
    for (enum how how = ENDS; how <= WRONG_ID; how++)
        assert_int_equal(run(how, 200), -EPIPE);
}

static void test_nobody(void **state)
{
    const char *p = "/a";
    char *v;

    unlink(path);
    assert_true(store_read_many(&p, 1, &v) < 0);
    assert_null(v);
}

static int begin(void **state)
{
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    return setenv("XENSTORED_PATH", path, 1);
}

static int end(void **state)
{
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sound), cmocka_unit_test(test_broken), cmocka_unit_test(test_nobody) };

    return cmocka_run_group_tests(tests, begin, end);
}
