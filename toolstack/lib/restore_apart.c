/* SPDX-License-Identifier: MIT */
/* The part of a restore that maps the guest's memory, in a child process where possible. See restore_private.h. */
#include "fault.h"
#include "restore_private.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX 1024U

static int do_it(struct restore *r)
{
    r->list = ctl_buffer(r->c, XC_PAGES_MAX * sizeof(*r->list));
    r->data = ctl_frames_open(r->c, r->domid);
    r->in->idle = restore_early;
    r->in->idle_arg = r;
    int rc = r->list ? restore_read(r) : -ENOMEM;
    r->in->idle = NULL;

    ctl_frames_close(r->c, r->data);
    r->data = NULL;
    trace_note("  stream read");
    if (!rc && r->o->read)
        r->o->read(r->o->arg);
    rc = rc ? rc : restore_tables(r);
    trace_note("  tables made local");
    rc = rc ? rc : restore_p2m(r);
    trace_note("  list of pages written");
    rc = rc ? rc : restore_start_info(r);
    rc = rc ? rc : restore_shared_info(r);
    trace_note("  shared pages written");
    ctl_buffer_free(r->c, r->list);
    return rc;
}

/* --- what the child has read, over a pipe to its parent: the one is the other's copy, so it is believed -------------------- */

static struct xc_blob *blob_at(struct xc_state *s, unsigned i)
{
    static const size_t offset[] = { offsetof(struct xc_vcpu, basic), offsetof(struct xc_vcpu, extended), offsetof(struct xc_vcpu, xsave),
        offsetof(struct xc_vcpu, msrs) };

    if (i < 2)
        return i ? &s->msr_policy : &s->cpuid;
    i -= 2;
    return i < 4 * XC_VCPUS_MAX ? (struct xc_blob *)(void *)((char *)&s->vcpu[i / 4] + offset[i % 4]) : NULL;
}

static bool put_state(FILE *f, struct xc_state *s)
{
    bool good = fwrite(s, sizeof(*s), 1, f) == 1;
    const struct xc_blob *b;

    for (unsigned i = 0; good && (b = blob_at(s, i)); i++)
        good = !b->bytes || fwrite(b->data, b->bytes, 1, f) == 1;
    return good && !fflush(f);
}

static bool get_blob(FILE *f, struct xc_blob *b)
{
    b->data = b->bytes ? malloc(b->bytes) : NULL;
    return !b->bytes || (b->data && fread(b->data, b->bytes, 1, f) == 1);
}

/* The pointers in what comes are the child's: each is replaced before anybody follows it. */
static bool get_state(FILE *f, struct xc_state *s)
{
    bool good = fread(s, sizeof(*s), 1, f) == 1;
    struct xc_blob *b;

    s->p2m_frames = NULL;
    s->shared_info = (struct xc_blob){ 0 };
    for (unsigned i = 0; (b = blob_at(s, i)); i++) {
        good = good && get_blob(f, b);
        if (!good)
            *b = (struct xc_blob){ 0 };
    }
    return good;
}

/* --- signals ---------------------------------------------------------------------------------------------------------------- */

static const int stopping[RESTORE_SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static const struct sigaction *before;      /* the child's */
static volatile pid_t filling;
static volatile int stopped;

static void stop(int signal)
{
    stopped = signal;
    if (filling > 0)
        kill(filling, SIGKILL);
}

void restore_signals_catch(struct sigaction old[RESTORE_SIGNALS])
{
    const struct sigaction a = { .sa_handler = stop, .sa_flags = SA_RESTART };

    stopped = 0;
    before = old;
    for (unsigned i = 0; i < RESTORE_SIGNALS; i++)
        sigaction(stopping[i], &a, &old[i]);
}

void restore_signals_back(const struct sigaction old[RESTORE_SIGNALS])
{
    for (unsigned i = 0; i < RESTORE_SIGNALS; i++)
        sigaction(stopping[i], &old[i], NULL);
}

static int ended(void)
{
    return stopped ? fault(-EINTR, "stopped by a signal") : fault(-EIO, "restoring: the process that fills the guest's memory was ended");
}

/* --- the child -------------------------------------------------------------------------------------------------------------- */

_Noreturn static void child(struct restore *r, int tell)
{
    FILE *f = fdopen(tell, "w");

    if (before)
        restore_signals_back(before);
    fault_clear();
    int rc = f ? ctl_open(&r->c) : -EMFILE; /* handles of its own, since those of the parent must not be used */

    rc = rc ? rc : do_it(r);
    if (rc && f) {
        char text[TEXT_MAX] = "";

        snprintf(text, sizeof(text), "%s", fault_text());
        if (fwrite(&rc, sizeof(rc), 1, f) != 1 || fwrite(text, sizeof(text), 1, f) != 1 || fflush(f))
            _exit(2);
    } else if (!f || fwrite(&rc, sizeof(rc), 1, f) != 1 || !put_state(f, &r->st)) {
        _exit(2);
    }
    _exit(0); /* what is mapped goes with the process */
}

static int take_answer(struct restore *r, FILE *f)
{
    char text[TEXT_MAX];
    int rc;

    if (!f || fread(&rc, sizeof(rc), 1, f) != 1)
        return ended();
    if (!rc)
        return get_state(f, &r->st) ? 0 : ended();
    if (fread(text, sizeof(text), 1, f) != 1)
        text[0] = 0;
    text[sizeof(text) - 1] = 0;
    return fault(rc < 0 ? rc : -EIO, "%s", text);
}

static int wait_child(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fault(-errno, "restoring: %s", strerror(errno));
    return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static int in_child(struct restore *r)
{
    int tell[2];
    pid_t pid = stopped ? -1 : pipe2(tell, O_CLOEXEC) ? -1 : fork();

    if (stopped)
        return ended();
    if (pid < 0)
        return fault(-errno, "restoring: no process: %s", strerror(errno));
    if (!pid) {
        close(tell[0]);
        child(r, tell[1]);
    }
    filling = pid;
    close(tell[1]);
    FILE *f = fdopen(tell[0], "r");
    int rc = take_answer(r, f);

    if (f)
        fclose(f);
    trace_note("  child answered");
    int way = wait_child(pid);

    filling = 0;
    r->in->offset = r->shared->offset;
    return rc || !way ? rc : ended();
}

int restore_memory(struct restore *r)
{
    return r->in->shared ? in_child(r) : do_it(r);
}
