/* SPDX-License-Identifier: MIT */
/*
 * The switch that makes domain 0's kernel let go of devices at once: on while somebody waits, then what it was; with programs that do
 * so at the same time, and one that was killed.
 * sources: toolstack/lib/device_hurry.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "device.h"

static char at[64], lock[64];

static void set(char c)
{
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, &c, 1), 1);
    close(fd);
}

static char now(void)
{
    int fd = open(at, O_RDONLY);
    char c = 0;

    assert_int_equal(read(fd, &c, 1), 1);
    close(fd);
    return c;
}

static int setup(void **state)
{
    snprintf(at, sizeof(at), "/tmp/t_device_hurry.%d", getpid());
    snprintf(lock, sizeof(lock), "/tmp/t_device_hurry.%d.lock", getpid());
    device_hurry_switch = at;
    device_hurry_lock = lock;
    return 0;
}

static int teardown(void **state)
{
    unlink(at);
    unlink(lock);
    return 0;
}

/* Another program that waits until it is told to go on; then it ends in good order. */
static pid_t another(int tell[2])
{
    int said[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe(tell) || pipe(said), 0);
    pid = fork();
    if (!pid) {
        close(tell[1]);
        device_hurry();
        if (write(said[1], "x", 1) != 1 || read(tell[0], &c, 1) < 0)
            _exit(1);
        device_hurry_end();
        _exit(0);
    }
    close(tell[0]);
    assert_int_equal(read(said[0], &c, 1), 1);
    close(said[0]);
    close(said[1]);
    return pid;
}

static void on_and_off(void **state)
{
    set('0');
    device_hurry();
    assert_int_equal(now(), '1');
    device_hurry();
    device_hurry_end();
    assert_int_equal(now(), '1');
    device_hurry_end();
    assert_int_equal(now(), '0');
}

/* Who has set it himself finds it as it was. */
static void was_on(void **state)
{
    set('1');
    device_hurry();
    device_hurry_end();
    assert_int_equal(now(), '1');
}

/* A kernel without it. */
static void not_there(void **state)
{
    unlink(at);
    device_hurry();
    device_hurry_end();
    assert_int_equal(access(at, F_OK), -1);
    set('0');
    device_hurry();
    assert_int_equal(now(), '1');
    device_hurry_end();
    assert_int_equal(now(), '0');
}

static void two_at_a_time(void **state)
{
    for (int first_ends = 0; first_ends < 2; first_ends++) {
        int tell[2];

        set('0');
        pid_t pid = another(tell);

        device_hurry();
        for (int i = 0; i < 2; i++) {
            assert_int_equal(now(), '1');
            if (i != first_ends) {
                device_hurry_end();
                continue;
            }
            close(tell[1]);
            waitpid(pid, NULL, 0);
        }
        assert_int_equal(now(), '0');
    }
}

static void one_is_killed(void **state)
{
    int tell[2];

    set('0');
    pid_t pid = another(tell);

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(tell[1]);
    assert_int_equal(now(), '1');
    device_hurry();
    device_hurry_end();
    assert_int_equal(now(), '0');
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(on_and_off), cmocka_unit_test(was_on), cmocka_unit_test(not_there),
                                        cmocka_unit_test(two_at_a_time), cmocka_unit_test(one_is_killed) };

    return cmocka_run_group_tests(tests, setup, teardown);
}
