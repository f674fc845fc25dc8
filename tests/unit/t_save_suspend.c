/* SPDX-License-Identifier: MIT */
/*
 * A guest is suspended and let go on: it is held and noted meanwhile, by one process only; one that does not answer has the request taken
 * back; whoever is refused changes nothing of the other's.
 * sources: toolstack/lib/save_suspend.c toolstack/lib/trace.c toolstack/lib/save_hold.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <poll.h>
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

#include "domains.h"
#include "fault.h"
#include "save.h"
#include "store.h"

#include <xenstore.h>
#include <xen/sched.h>

#define NOTE "/zendo/domain/5/saving"
#define WORD "/local/domain/5/control/shutdown"

static char note[20], word[20];
static bool suspended, answers;
static uint64_t now;
static unsigned resumed, watches;
static uint64_t rax;

int store_open(void) { return 0; }
struct xs_handle *store_handle(void) { return NULL; }
int store_transact(int (*body)(const void *arg), const void *arg) { return body(arg); }
uint64_t store_clock_ms(void) { return now += 50; }
int xs_fileno(struct xs_handle *h) { return -1; }
bool xs_watch(struct xs_handle *h, const char *path, const char *token) { return ++watches; }
bool xs_unwatch(struct xs_handle *h, const char *path, const char *token) { return watches--; }
char **xs_check_watch(struct xs_handle *h) { return NULL; }
bool xs_resume_domain(struct xs_handle *h, unsigned int domid) { return true; }
const char *domain_reason(unsigned reason) { return "?"; }

static char *value_of(const char *path)
{
    return !strcmp(path, NOTE) ? note : !strcmp(path, WORD) ? word : NULL;
}

static char *path_of(const char *path, va_list args)
{
    static char out[100];

    vsnprintf(out, sizeof(out), path, args);
    return value_of(out);
}

char *store_read(const char *path, ...)
{
    va_list args;

    va_start(args, path);
    char *v = path_of(path, args);
    va_end(args);
    return v && *v ? strdup(v) : NULL;
}

bool store_exists(const char *path, ...)
{
    va_list args;

    va_start(args, path);
    char *v = path_of(path, args);
    va_end(args);
    return v && *v;
}

int store_write(const char *path, const char *value, ...)
{
    va_list args;

    va_start(args, value);
    vsnprintf(value_of(path), 20, value, args);
    va_end(args);
    return 0;
}

int store_remove(const char *path, ...)
{
    va_list args;

    va_start(args, path);
    *path_of(path, args) = 0;
    va_end(args);
    return 0;
}

int domain_request(struct ctl *c, uint32_t domid, const char *what)
{
    snprintf(word, sizeof(word), "%s", what);
    if (answers) {
        *word = 0;
        suspended = true;
    }
    return 0;
}

int ctl_domain_info(struct ctl *c, domid_t domid, struct xen_domctl_getdomaininfo *info)
{
    *info = (struct xen_domctl_getdomaininfo){ .domain = domid };
    if (suspended)
        info->flags = XEN_DOMINF_shutdown | SHUTDOWN_suspend << XEN_DOMINF_shutdownshift;
    return 0;
}

int ctl_vcpu_get_context(struct ctl *c, domid_t domid, unsigned vcpu, vcpu_guest_context_t *v)
{
    return 0;
}

int ctl_vcpu_set_context(struct ctl *c, domid_t domid, unsigned vcpu, const vcpu_guest_context_t *v)
{
    rax = v->user_regs.rax;
    return 0;
}

int ctl_domain_resume(struct ctl *c, domid_t domid)
{
    resumed++;
    suspended = false;
    return 0;
}

static int begin(void **state)
{
    *note = *word = 0;
    suspended = false;
    answers = true;
    resumed = 0;
    rax = 77;
    domain_suspend_stop = 0;
    domain_release();
    fault_clear();
    return 0;
}

static void test_there_and_back(void **state)
{
    char mine[20];

    snprintf(mine, sizeof(mine), "%d", getpid());
    assert_int_equal(domain_suspend(NULL, 5, 1000), 0);
    assert_true(domain_is_held(5));
    assert_string_equal(note, mine);
    assert_int_equal(domain_resume_here(NULL, 5), 0);
    assert_int_equal(resumed, 1);
    assert_int_equal(rax, 1);
    assert_string_equal(note, "");
    assert_int_equal(watches, 1); /* for good, once */
}

static void test_no_answer(void **state)
{
    answers = false;
    assert_int_equal(domain_suspend(NULL, 5, 1000), -ETIMEDOUT);
    assert_string_equal(word, "");
    assert_string_equal(note, "");
    assert_int_equal(watches, 1);
}

/* Stopped by a signal when the guest had begun already: it ends suspending, and is let go on. */
static void test_stopped_late(void **state)
{
    answers = false;
    domain_suspend_stop = 1;
    assert_int_equal(domain_suspend(NULL, 5, 1000), -EINTR);
    assert_string_equal(word, "");
    assert_string_equal(note, "");
    assert_false(suspended);
}

/* Another process has it suspended: it stays so, and the other's note stays. */
static void test_others(void **state)
{
    int up[2], status;
    char byte = 0;

    assert_int_equal(pipe(up), 0);
    pid_t pid = fork();

    if (!pid) {
        byte = (char)(1 + !domain_hold(5));
        if (write(up[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(byte, 2);
    strcpy(note, "other");
    suspended = true;
    assert_int_equal(domain_suspend(NULL, 5, 1000), -EBUSY);
    assert_non_null(strstr(fault_text(), "is saving or moving it"));
    assert_string_equal(note, "other");
    assert_string_equal(word, "");
    assert_int_equal(resumed, 0);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(test_there_and_back, begin), cmocka_unit_test_setup(test_no_answer, begin),
        cmocka_unit_test_setup(test_stopped_late, begin), cmocka_unit_test_setup(test_others, begin) };
    char folder[] = "/tmp/t_save_suspend.XXXXXX", cmd[80];

    if (!mkdtemp(folder))
        return 1;
    domain_hold_folder = folder;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    snprintf(cmd, sizeof(cmd), "rm -rf %s", folder);
    return system(cmd) || rc;
}
