/* SPDX-License-Identifier: MIT */
/*
 * The library's console_attach() and console_pump() beside the daemon: they run in a thread of their own, with pipes as the terminal.
 * sources: toolstack/xenconsoled/ring.c toolstack/xenconsoled/keep.c toolstack/xenconsoled/loop.c toolstack/xenconsoled/tty.c
 * sources: toolstack/xenconsoled/guest.c toolstack/xenconsoled/guests.c toolstack/xenconsoled/client.c
 * sources: toolstack/lib/console.c toolstack/lib/fault.c
 */
#include "consoled_env.h"

#include <fcntl.h>
#include <pthread.h>

#include "fault.h"

struct pump_test { int in[2], out[2], how, rc; volatile bool done; };

static void *pump_thread(void *arg)
{
    struct pump_test *t = arg;
    int fd = console_attach(18);

    t->rc = fd;
    t->how = fd < 0 ? -1 : console_pump(fd, t->in[0], t->out[1]);
    if (fd >= 0)
        close(fd);
    t->done = true;
    return NULL;
}

static void run_pump(struct pump_test *t, pthread_t *thread)
{
    *t = (struct pump_test){ .how = -2 };
    assert_int_equal(pipe(t->in), 0);
    assert_int_equal(pipe(t->out), 0);
    fcntl(t->out[0], F_SETFL, O_NONBLOCK);
    assert_int_equal(pthread_create(thread, NULL, pump_thread, t), 0);
}

static void end_pump(struct pump_test *t, pthread_t thread)
{
    for (int i = 0; i < 2000 && !t->done; i++) {
        turn();
        usleep(1000);
    }
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        close(t->in[i]);
        close(t->out[i]);
    }
}

static const char *pump_said(struct pump_test *t, const char *want)
{
    static char text[1000];
    size_t n = 0;

    memset(text, 0, sizeof(text));
    for (int i = 0; i < 2000 && !strstr(text, want); i++) {
        ssize_t got = read(t->out[0], text + n, sizeof(text) - n - 1);

        n += got > 0 ? (size_t)got : 0;
        turn();
        usleep(1000);
    }
    return text;
}

static void test_library(void **state)
{
    struct pump_test t;
    pthread_t thread;

    born(18, "lib", false);
    run_pump(&t, &thread);
    usleep(20000);
    turn();
    fakes[18].nodes = true;
    guests_watched("console 18");
    print(18, "hello");
    assert_string_equal(pump_said(&t, "hello"), "hello");
    assert_int_equal(write(t.in[1], "ls\r", 3), 3);
    for (int i = 0; i < 100 && !*guest_reads(18); i++)
        usleep(1000);
    assert_int_equal(write(t.in[1], "exit\x1dnever", 10), 10);
    end_pump(&t, thread);
    assert_int_equal(t.how, CONSOLE_LEFT);
    turn();
    assert_string_equal(guest_reads(18), "exit");
    run_pump(&t, &thread);
    assert_string_equal(pump_said(&t, "hello"), "hello"); /* the tail */
    dies(18);
    end_pump(&t, thread);
    assert_int_equal(t.how, CONSOLE_GONE);
    run_pump(&t, &thread);
    end_pump(&t, thread);
    assert_int_equal(t.rc, -ENOENT);
    assert_string_equal(fault_text(), "console: 18: no such guest runs; xm list shows those that do");
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_library, setup, teardown),
    };

    return cmocka_run_group_tests_name("xenconsoled_library", tests, NULL, NULL);
}
