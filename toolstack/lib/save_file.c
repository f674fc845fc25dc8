/* SPDX-License-Identifier: MIT */
/*
 * A guest into a file. See save_file.h. A child process maps the guest's memory and writes it: a paravirtual domain 0 pays a trap for
 * each page that it unmaps, but none for those of a process that ends; and it must be unmapped before the guest can go.
 */
#include "save_file.h"
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "migrate_journal.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/sched.h>

#define TEXT_MAX 1024U

struct saving {
    struct ctl *c;
    uint32_t domid;
    const char *path;       /* for messages */
    char temporary[4096];   /* "": the path itself is written, a device or a pipe */
    int fd;
    const struct save_file_options *o;
    struct guest_config cfg;
    const struct guest_config *config;
    struct sigaction old[4];
};

static void restore_signals(const struct sigaction *old);

/* --- the file ------------------------------------------------------------------------------------------------------------- */

static int open_file(struct saving *s)
{
    struct stat st;
    bool special = !stat(s->path, &st) && !S_ISREG(st.st_mode);

    if (special && S_ISDIR(st.st_mode))
        return fault(-EISDIR, "%s: this is a folder; name a file in it", s->path);
    if (!special && snprintf(s->temporary, sizeof(s->temporary), "%s.part", s->path) >= (int)sizeof(s->temporary))
        return fault(-ENAMETOOLONG, "%.80s...: the name is too long", s->path);
    s->fd = special ? open(s->path, O_WRONLY | O_CLOEXEC) : open(s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->fd < 0 && errno == EEXIST)
        return fault(-EEXIST, "%s: is there already: somebody else is saving to %s, or was cut off; remove it if not", s->temporary, s->path);
    return s->fd < 0 ? fault(-errno, "%s: cannot be made: %s", s->temporary[0] ? s->temporary : s->path, strerror(errno)) : 0;
}

static void drop_file(struct saving *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->fd >= 0 && s->temporary[0])
        unlink(s->temporary);
}

/* The name, too, must be on the disk before the guest is destroyed. */
static void sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

static int keep_file(struct saving *s, struct save_file_result *result)
{
    struct stat st;
    int fd = s->fd;

    if (fsync(fd) && errno != EINVAL && errno != EROFS)
        return fault(-errno, "%s: writing: %s", s->path, strerror(errno));
    if (!fstat(fd, &st)) {
        result->bytes = (uint64_t)st.st_size;
        result->on_disk = (uint64_t)st.st_blocks * 512;
    }
    if (s->temporary[0] && rename(s->temporary, s->path))
        return fault(-errno, "%s: cannot be given its name: %s", s->path, strerror(errno));
    s->fd = -1;
    if (close(fd))
        return fault(-errno, "%s: writing: %s", s->path, strerror(errno));
    if (s->temporary[0])
        sync_folder(s->path);
    return 0;
}

/* --- the child ------------------------------------------------------------------------------------------------------------ */

struct answer {
    int rc;
    struct save_count count;
    char text[TEXT_MAX];
};

static int write_guest(struct saving *s, struct ctl *c, struct save_count *count)
{
    const struct save_options o = { .config = s->config, .zero = s->o->zero, .file_header = true };
    struct stream_out out;
    struct stream_fd f;
    struct save *save;

    stream_out_fd(&out, &f, s->fd, s->path);
    int rc = save_open(&save, c, s->domid, &out, &o);

    return rc ? rc : save_finish(save, NULL, count); /* what is mapped goes with the process */
}

_Noreturn static void child(struct saving *s, int tell)
{
    struct answer a = { 0 };
    struct ctl *c;

    restore_signals(s->old);
    fault_clear();
    a.rc = ctl_open(&c); /* handles of its own, since those of the parent must not be used */
    a.rc = a.rc ? a.rc : write_guest(s, c, &a.count);
    snprintf(a.text, sizeof(a.text), "%s", a.rc ? fault_text() : "");
    _exit(write(tell, &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 2);
}

/* The child's answer; a signal that stops us ends the child. */
static bool read_answer(int fd, pid_t pid, struct answer *a)
{
    size_t got = 0;
    ssize_t n;

    while (got < sizeof(*a) && ((n = read(fd, (char *)a + got, sizeof(*a) - got)) > 0 || (n < 0 && errno == EINTR))) {
        got += n > 0 ? (size_t)n : 0;
        if (domain_suspend_stop)
            kill(pid, SIGKILL);
    }
    return got == sizeof(*a);
}

static int write_apart(struct saving *s, struct save_count *count)
{
    struct answer a;
    int tell[2], status = 0;
    pid_t pid = pipe2(tell, O_CLOEXEC) ? -1 : fork();

    if (pid < 0)
        return fault(-errno, "saving: no process: %s", strerror(errno));
    if (!pid)
        child(s, tell[1]);
    close(tell[1]);
    bool said = read_answer(tell[0], pid, &a);

    close(tell[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!said)
        return domain_suspend_stop ? fault(-EINTR, "stopped by a signal") : fault(-EIO, "saving: the process that writes the file was ended");
    a.text[sizeof(a.text) - 1] = 0;
    *count = a.count;
    return a.rc ? fault(a.rc, "%s", a.text) : 0;
}

/* --- signals: whoever stops us gets the guest back running ----------------------------------------------------------------- */

static const int stopping[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define N_STOPPING (sizeof(stopping) / sizeof(*stopping))

static void stop(int signal)
{
    (void)signal;
    domain_suspend_stop = 1;
}

/* The child keeps the default: it ends, and its parent, which does not, takes that for a failure. */
static void catch_signals(struct sigaction *old)
{
    struct sigaction a = { .sa_handler = stop };

    domain_suspend_stop = 0;
    for (unsigned i = 0; i < N_STOPPING; i++)
        sigaction(stopping[i], &a, &old[i]);
}

static void restore_signals(const struct sigaction *old)
{
    for (unsigned i = 0; i < N_STOPPING; i++)
        sigaction(stopping[i], &old[i], NULL);
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

/* A note may be older than the suspending: one that belongs to a move is ended by its journal, or runs elsewhere already. */
static bool is_moving(const struct xen_domctl_getdomaininfo *d)
{
    struct journal j;
    char uuid[37];

    domain_format_uuid(d->handle, uuid);
    return journal_find_guest(&j, uuid);
}

/* From here on the file is the guest: what is left in the host loses its devices, and must not go on beside a restored one. */
static int note_saved(const struct saving *s)
{
    char key[64];

    snprintf(key, sizeof(key), "/zendo/domain/%u", s->domid);
    return store_put(key, "saved", "%s", s->path);
}

static int check_not_saved(uint32_t domid)
{
    char *path = store_read("/zendo/domain/%u/saved", domid);
    int rc = path ? fault(-EEXIST, "domain %u: it was saved to %s and was being ended, and may have no devices any more; `xm destroy %u` ends it, "
                                   "`xm restore %s` brings it back", domid, path, domid, path) : 0;

    free(path);
    return rc;
}

int save_resume_left(struct ctl *c, uint32_t domid)
{
    struct xen_domctl_getdomaininfo d;
    int64_t pid;
    int rc = ctl_domain_info(c, (domid_t)domid, &d);
    unsigned reason = d.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;

    if (rc || !(d.flags & XEN_DOMINF_shutdown) || reason != SHUTDOWN_suspend || store_open())
        return 0;
    if (store_read_number(&pid, "/zendo/domain/%u/saving", domid) || pid <= 0 || is_moving(&d))
        return 0;
    rc = domain_hold(domid); /* while the saver, or its child, is there, this fails */
    rc = rc ? rc : check_not_saved(domid);
    rc = rc ? rc : domain_resume_here(c, domid);
    domain_release();
    return rc ? rc : 1;
}

/* The text of the first failure is the one that counts. */
static int go_on(struct saving *s, int rc)
{
    char *text = strdup(fault_text());

    fault_clear();
    if (domain_resume_here(s->c, s->domid))
        warn("domain %u: it could not go on after the failure: %s; `xm destroy %u` ends it", s->domid, fault_text(), s->domid);
    fault_clear();
    fault(rc, "domain %u was not saved and runs on: %s", s->domid, text ? text : "no memory");
    free(text);
    return rc;
}

static int after(struct saving *s)
{
    int rc = 0;

    switch (s->o->after) {
    case SAVE_DESTROY: rc = note_saved(s); return rc ? rc : domain_destroy(s->c, s->domid);
    case SAVE_PAUSE: rc = ctl_domain_pause(s->c, (domid_t)s->domid); return rc ? rc : domain_resume_here(s->c, s->domid);
    case SAVE_RUN: return domain_resume_here(s->c, s->domid);
    default: return 0;
    }
}

static int save(struct saving *s, struct save_file_result *result)
{
    int rc = s->o->config ? 0 : save_config(s->c, s->domid, &s->cfg);

    s->config = s->o->config ? s->o->config : &s->cfg;
    rc = rc ? rc : open_file(s);
    rc = rc || !domain_suspend_stop ? rc : fault(-EINTR, "stopped by a signal");
    rc = rc ? rc : devices_settle(s->domid);
    rc = rc ? rc : domain_suspend(s->c, s->domid, s->o->timeout_ms ? s->o->timeout_ms : SUSPEND_MS);
    if (rc)
        return rc;
    rc = write_apart(s, &result->count);
    rc = rc ? rc : keep_file(s, result);
    return rc ? go_on(s, rc) : after(s);
}

int save_file(struct ctl *c, uint32_t domid, const char *path, const struct save_file_options *o, struct save_file_result *result)
{
    struct saving *s = calloc(1, sizeof(*s));

    *result = (struct save_file_result){ 0 };
    if (!s)
        return fault(-ENOMEM, "saving: no memory");
    s->c = c;
    s->domid = domid;
    s->path = path;
    s->fd = -1;
    s->o = o;
    catch_signals(s->old);
    int rc = save(s, result);

    restore_signals(s->old);
    drop_file(s);
    config_dispose(&s->cfg);
    free(s);
    return rc;
}
