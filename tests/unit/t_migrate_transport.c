/* SPDX-License-Identifier: MIT */
/*
 * Ways to another host: the shell's line for each, names that would be something else to the shell or to ssh, and a way that really is
 * taken (a command of this machine).
 * sources: toolstack/lib/migrate_transport.c toolstack/lib/migrate_wire.c toolstack/lib/migrate_data.c toolstack/lib/relocation.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "migrate_guest.h"
#include "relocation.h"

static char line[500];

static void lines(void **state)
{
    assert_int_equal(migrate_command_line(line, sizeof(line), "hostb", NULL), 0);
    assert_string_equal(line, "exec ssh 'hostb' xm migrate-receive");
    assert_int_equal(migrate_command_line(line, sizeof(line), "root@[fe80::1%eth0]", "ssh -p 2222"), 0);
    assert_string_equal(line, "exec ssh -p 2222 'root@[fe80::1%eth0]' xm migrate-receive");
    /* As a cluster manager calls it: the rest of the line is a comment. */
    assert_int_equal(migrate_command_line(line, sizeof(line), "10.0.0.2", "socat -b524288 - TCP:10.0.0.2:8002 #"), 0);
    assert_string_equal(line, "exec socat -b524288 - TCP:10.0.0.2:8002 # '10.0.0.2' xm migrate-receive");
    /* -s "": what stands for the host is the line. */
    assert_int_equal(migrate_command_line(line, sizeof(line), "nc -w 5 hostb 9000", ""), 0);
    assert_string_equal(line, "exec nc -w 5 hostb 9000");
    assert_int_equal(migrate_command_tls(line, sizeof(line), "hostb", 0), 0);
    assert_string_equal(line, "exec relocd --connect 'hostb' --port 8002");
    assert_int_equal(migrate_command_tls(line, sizeof(line), "hostb", 99), 0);
    assert_string_equal(line, "exec relocd --connect 'hostb' --port 99");
}

static void bad_hosts(void **state)
{
    static const char *const bad[] = { "", "-oProxyCommand=x", "a b", "a;b", "$(x)", "a`b`", "a|b", "a\nb", "'a'" };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fault_clear();
        assert_int_equal(migrate_command_line(line, sizeof(line), bad[i], NULL), -EINVAL);
        assert_int_equal(migrate_command_tls(line, sizeof(line), bad[i], 0), -EINVAL);
        assert_non_null(strstr(fault_text(), "is no name or address"));
    }
    fault_clear();
    assert_int_equal(migrate_command_line(line, 20, "hostb", NULL), -ENAMETOOLONG);
}

/* ssh can ask for a password only in the terminal's group of processes, and must not end by the Ctrl-C that is for us. */
static void a_way_at_the_terminal(void **state)
{
    char shell[700], said[200] = "";
    struct wire w;
    FILE *f;
    pid_t group = 0;
    unsigned long ignored = 0;

    snprintf(line, sizeof(line), "/tmp/t_migrate_transport.%d", getpid());
    snprintf(shell, sizeof(shell), "{ ps -o pgid= -p $$; sed -n 's/^SigIgn:.//p' /proc/self/status; } > %s; exec cat", line);
    assert_int_equal(migrate_connect_command(shell, "here", &w), 0);
    wire_end(&w);
    for (int i = 0; i < 500 && sscanf(said, "%d %lx", &group, &ignored) < 2; i++) {
        usleep(10000);
        f = fopen(line, "r");
        if (f) {
            said[fread(said, 1, sizeof(said) - 1, f)] = 0;
            fclose(f);
        }
    }
    unlink(line);
    assert_int_equal(group, getpgrp());
    assert_true(ignored & 1UL << (SIGINT - 1));
    assert_true(ignored & 1UL << (SIGHUP - 1));
    assert_false(ignored & 1UL << (SIGPIPE - 1));
}

/* The other end echoes: a greeting comes back as our own. */
static void a_way_that_echoes(void **state)
{
    struct wire w;
    char *host = NULL, name[65] = "";

    gethostname(name, sizeof(name) - 1);
    assert_int_equal(migrate_connect_command("exec cat", "here", &w), 0);
    assert_int_equal(wire_hello(&w, &host), 0);
    assert_string_equal(host, name);
    free(host);
    wire_end(&w);
}

static void ways_that_fail(void **state)
{
    struct wire w;

    fault_clear();
    assert_int_equal(migrate_connect_command("exec false", "hostb", &w), 0);
    assert_true(wire_hello(&w, NULL) < 0);
    assert_non_null(strstr(fault_text(), "host hostb: the connection is lost"));
    wire_end(&w);
    fault_clear();
    assert_int_equal(migrate_connect_command("echo 'bash: xm: command not found'; sleep 1", "hostb", &w), 0);
    assert_true(wire_hello(&w, NULL) < 0);
    assert_non_null(strstr(fault_text(), "said 'bash: xm: command not found'"));
    wire_end(&w);
}

/* What carries the connection may wait for a lost host for a quarter of an hour: it goes with the connection. */
static void a_lost_way_ends(void **state)
{
    struct wire w;
    int status = 0;

    for (int lost = 0; lost < 2; lost++) {
        assert_int_equal(migrate_connect_command("exec sleep 2", "hostb", &w), 0);
        pid_t pid = w.child;

        if (lost)
            wire_cut(&w);
        wire_end(&w);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(lost ? WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM : WIFEXITED(status));
    }
}

static void configuration(void **state)
{
    struct relocation r;
    char file[] = "/tmp/relocation.XXXXXX";
    FILE *f = fdopen(mkstemp(file), "w");

    fprintf(f, "# hosts\nlisten [2001:db8::1]:8003\ncertificate /a\nkey /b\nauthority /c\nallow hosta\nallow HostB # the new one\npreferred\n");
    fclose(f);
    assert_int_equal(relocation_load(&r, file), 0);
    assert_string_equal(r.address, "2001:db8::1");
    assert_string_equal(r.port, "8003");
    assert_true(r.preferred && relocation_allows(&r, "hosta") && relocation_allows(&r, "hostb") && !relocation_allows(&r, "hostc"));
    f = fopen(file, "w");
    fprintf(f, "allow *\nallow\n");
    fclose(f);
    fault_clear();
    assert_int_equal(relocation_load(&r, file), -EINVAL);
    assert_non_null(strstr(fault_text(), ":2: 'allow'"));
    unlink(file);
    fault_clear();
    assert_int_equal(relocation_load(&r, file), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(lines), cmocka_unit_test(bad_hosts), cmocka_unit_test(a_way_at_the_terminal), cmocka_unit_test(a_way_that_echoes),
                                        cmocka_unit_test(ways_that_fail), cmocka_unit_test(a_lost_way_ends), cmocka_unit_test(configuration) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
