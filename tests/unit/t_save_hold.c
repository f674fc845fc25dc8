/* SPDX-License-Identifier: MIT */
/*
 * One process at a time has a domain in hand: again by itself is fine, another is refused and told who; a child keeps what its parent
 * had, and a process that is killed leaves nothing locked.
 * sources: toolstack/lib/save_hold.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "save.h"

/* What another process is answered: 0 or EBUSY. */
static int other(uint32_t domid)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        domain_release(); /* what it has from us is not its own */
        _exit(-domain_hold(domid));
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void test_one_at_a_time(void **state)
{
    char mine[40];

    assert_int_equal(domain_hold(5), 0);
    assert_int_equal(domain_hold(5), 0);
    assert_true(domain_is_held(5));
    assert_int_equal(other(5), EBUSY);
    assert_int_equal(other(6), 0);
    domain_release();
    assert_false(domain_is_held(5));
    assert_int_equal(other(5), 0);
    assert_int_equal(domain_hold(5), 0);
    assert_int_equal(domain_hold(6), 0); /* one at a time: 5 is free again */
    assert_int_equal(other(5), 0);
    snprintf(mine, sizeof(mine), "process %d is saving", getpid());
    int tell[2];
    char text[200] = "";

    assert_int_equal(pipe(tell), 0);
    if (!fork()) {
        domain_release();
        domain_hold(6);
        _exit(write(tell[1], fault_text(), strlen(fault_text())) < 0);
    }
    assert_true(read(tell[0], text, sizeof(text) - 1) > 0);
    wait(NULL);
    assert_non_null(strstr(text, mine));
    domain_release();
}

/* The one that writes the guest's memory goes on when its parent is killed: the domain stays in hand so long. */
static void test_child_keeps(void **state)
{
    int up[2], status;
    char byte = 0;

    assert_int_equal(pipe(up), 0);
    pid_t parent = fork();

    if (!parent) {
        pid_t child;

        if (domain_hold(7))
            _exit(1);
        child = fork();
        if (child) {
            if (write(up[1], &child, sizeof(child)) < 0)
                _exit(1);
            pause();
        }
        pause();
    }
    pid_t child;

    assert_int_equal(read(up[0], &child, sizeof(child)), sizeof(child));
    kill(parent, SIGKILL);
    waitpid(parent, &status, 0);
    assert_int_equal(other(7), EBUSY);
    kill(child, SIGKILL);
    close(up[1]);
    while (read(up[0], &byte, 1) > 0) /* its end of the pipe goes with it */
        ;
    for (int i = 0; i < 100 && other(7); i++)
        usleep(10000);
    assert_int_equal(other(7), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_child_keeps) };
    char folder[] = "/tmp/t_save_hold.XXXXXX", cmd[80];

    if (!mkdtemp(folder))
        return 1;
    domain_hold_folder = folder;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    snprintf(cmd, sizeof(cmd), "rm -rf %s", folder);
    return system(cmd) || rc;
}
