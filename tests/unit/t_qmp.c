/* SPDX-License-Identifier: MIT */
/*
 * Orders to a daemon of QEMU's, which a child plays: greeting, answers in pieces, events in between, refusals, and one that talks nonsense,
 * too much, or goes away.
 *
 * sources: toolstack/lib/qmp.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "qmp.h"

#define HELLO "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define DONE "{\"return\": {}}\r\n"
#define EVENT "{\"event\": \"BLOCK_EXPORT_DELETED\", \"data\": {\"return\": 1}}\r\n"

static char path[64], heard_path[80];
static pid_t child;

static void say(int fd, const char *text)
{
    for (size_t at = 0, n = strlen(text); at < n;) { /* in pieces, as a socket may have it */
        size_t want = n - at < 7 ? n - at : 7;
        ssize_t sent = send(fd, text + at, want, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        at += (size_t)sent;
    }
}

/* Greets; then says lines[] one after another, each after a line was heard, which goes to a file. */
static void play(int listener, const char *const *lines)
{
    int fd = accept(listener, NULL, NULL);
    FILE *in = fdopen(dup(fd), "r"), *heard = fopen(heard_path, "w");
    char line[512];

    say(fd, *lines++);
    while (*lines && in && heard && fgets(line, sizeof(line), in)) {
        fputs(line, heard);
        fflush(heard);
        say(fd, *lines++);
    }
    _exit(0);
}

static void daemon_says(const char *const *lines)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(path, sizeof(path), "/tmp/t_qmp.%d", (int)getpid());
    snprintf(heard_path, sizeof(heard_path), "%s.heard", path);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    unlink(path);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    child = fork();
    if (!child)
        play(listener, lines);
    close(listener);
    fault_clear();
}

#define DAEMON(...) daemon_says((const char *const[]){ __VA_ARGS__, NULL })

static void over(struct qmp *q)
{
    qmp_close(q);
    waitpid(child, NULL, 0);
    unlink(path);
}

static struct json_object *arguments(void)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "name", json_object_new_string("a \"b\"\n"));
    return o;
}

static void test_order(void **state)
{
    char line[512];
    struct qmp *q;

    DAEMON(HELLO, DONE, EVENT EVENT DONE, DONE EVENT, DONE);
    assert_int_equal(qmp_open(&q, path), 0);
    assert_int_equal(qmp_order(q, "one", arguments()), 0);
    assert_int_equal(qmp_order(q, "two", NULL), 0);
    assert_int_equal(qmp_order(q, "three", NULL), 0);
    over(q);
    FILE *f = fopen(heard_path, "r");

    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    assert_string_equal(line, "{\"execute\":\"qmp_capabilities\"}\n");
    assert_non_null(fgets(line, sizeof(line), f));
    assert_string_equal(line, "{\"execute\":\"one\",\"arguments\":{\"name\":\"a \\\"b\\\"\\n\"}}\n");
    fclose(f);
    unlink(heard_path);
}

static void test_refused(void **state)
{
    struct qmp *q;

    DAEMON(HELLO, DONE, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no space\"}}\n", "{\"error\": 1}\n", DONE);
    assert_int_equal(qmp_open(&q, path), 0);
    assert_int_equal(qmp_order(q, "one", NULL), -EREMOTEIO);
    assert_non_null(strstr(fault_text(), "one is refused: no space"));
    assert_int_equal(qmp_order(q, "two", NULL), -EREMOTEIO);
    assert_int_equal(qmp_order(q, "three", NULL), 0);
    over(q);
    unlink(heard_path);
}

/* What it says instead of an answer, and then it goes away. */
static void test_nonsense(void **state)
{
    static const char *const says[] = { "\n", "[]\n", "7\n", "{\"ret", "}}}}\n\n\n", "null\nnull\n" };
    struct qmp *q;

    for (unsigned i = 0; i < sizeof(says) / sizeof(*says); i++) {
        DAEMON(HELLO, DONE, says[i]);
        assert_int_equal(qmp_open(&q, path), 0);
        assert_int_equal(qmp_order(q, "one", NULL), -EPROTO);
        assert_non_null(strstr(fault_text(), "says no more"));
        over(q);
    }
    DAEMON("no");
    assert_int_equal(qmp_open(&q, path), -EPROTO);
    assert_null(q);
    over(q);
    unlink(heard_path);
    fault_clear();
    assert_int_equal(qmp_open(&q, "/nowhere/x"), -ENOENT);
}

static void test_too_much(void **state)
{
    size_t n = 70000, at = 0;
    char *flood = malloc(n + 1), *events = malloc(1200 * sizeof(EVENT));
    struct qmp *q;

    memset(flood, ' ', n);
    flood[n] = 0;
    DAEMON(HELLO, DONE, flood);
    assert_int_equal(qmp_open(&q, path), 0);
    assert_int_equal(qmp_order(q, "one", NULL), -EPROTO);
    assert_non_null(strstr(fault_text(), "says too much"));
    over(q);
    for (unsigned i = 0; i < 1200; i++, at += strlen(EVENT))
        memcpy(events + at, EVENT, sizeof(EVENT));
    DAEMON(HELLO, DONE, events);
    assert_int_equal(qmp_open(&q, path), 0);
    assert_int_equal(qmp_order(q, "one", NULL), -EPROTO);
    assert_non_null(strstr(fault_text(), "one is not answered"));
    over(q);
    unlink(heard_path);
    free(flood);
    free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_refused), cmocka_unit_test(test_nonsense), cmocka_unit_test(test_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
