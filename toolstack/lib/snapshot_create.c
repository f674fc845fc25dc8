/* SPDX-License-Identifier: MIT */
/*
 * A snapshot is made. Its memory is written in rounds while the guest runs, as for a live migration, until what is left fits a short pause. The
 * order within that: the guest has suspended itself, so it writes no more and knows of nothing that is under way;
 * the disks are set down; then what of its memory is left goes to the file, and it goes on. Requests that domain 0's back end still
 * works on are none that the guest has been told of: a guest that is taken out of the snapshot makes them again.
 *
 * Whatever fails before the rename, the guest runs on and nothing is left.
 */
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "logdirty.h"
#include "precopy.h"
#include "save.h"
#include "snapshot_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 10U          /* each makes the file longer */
#define PAUSE_MS 100U       /* a longer one that can be made shorter is worth another round */
#define FIXED_MS 30.0       /* of the pause, beside pages */

struct making {
    struct ctl *c;
    uint32_t domid;
    const char *name, *snap;
    const struct snapshot_options *o;
    struct snapshot_cost *cost;
    struct guest_config cfg;
    struct snap_meta meta;
    char folder[512], final[512], memory[600];
    int fd;
    struct stream_fd stream;
    struct stream_out out;
    struct save *save;
    struct logdirty log;
    bool stuck;
};

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int on_progress(void *arg, const struct save_count *count)
{
    const struct making *m = arg;

    return m->cost->pause_us ? 0 : snap_check_stop();
}

/* --- before the guest notices anything ------------------------------------------------------------------------------------ */

static int make_names(struct making *m)
{
    int rc = snap_path(m->final, sizeof(m->final), m->name, m->snap, NULL, NULL);

    rc = rc ? rc : snap_path(m->folder, sizeof(m->folder), m->name, m->snap, ".new", NULL);
    if (!rc && !access(m->final, F_OK))
        rc = fault(-EEXIST, "snapshot '%s' of guest '%s' is there already; choose another name, or `xm snapshot delete %s %s`", m->snap, m->name,
                   m->name, m->snap);
    return rc;
}

static int describe(struct making *m)
{
    m->meta.guest = strdup(m->name);
    m->meta.snap = strdup(m->snap);
    m->meta.when = time(NULL);
    m->meta.guest_memory = m->cfg.memory;
    if (!m->meta.guest || !m->meta.snap)
        return fault(-ENOMEM, "snapshot: no memory");
    int rc = snap_check_attached(m->domid, &m->cfg);

    return rc ? rc : snap_disks_plan(&m->meta.disks, &m->cfg, m->snap, m->o);
}

static int make_folder(struct making *m)
{
    if (mkdir(m->folder, 0700))
        return fault(-errno, "%s: cannot be made: %s", m->folder, strerror(errno));
    snprintf(m->memory, sizeof(m->memory), "%s/memory", m->folder);
    m->fd = open(m->memory, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (m->fd < 0)
        return fault(-errno, "%s: cannot be made: %s", m->memory, strerror(errno));
    return snap_meta_write(&m->meta, m->folder);
}

static int open_save(struct making *m)
{
    struct save_options o = { .config = &m->cfg, .zero = SAVE_ZERO_HOLES, .file_header = true, .progress = on_progress, .arg = m };

    stream_out_fd(&m->out, &m->stream, m->fd, m->memory);
    return save_open(&m->save, m->c, m->domid, &m->out, &o);
}

/* --- while it runs --------------------------------------------------------------------------------------------------------- */

/* One round of the pages in `set`, NULL: all; what was written meanwhile is in m->log. */
static int round_of(struct making *m, struct precopy *judge, const uint64_t *set, uint64_t *pages, enum precopy_next *next)
{
    struct save_count count = { 0 };
    uint64_t start = now_us(), before = m->out.offset;
    int rc = save_round(m->save, set, &count);
    int64_t dirty = rc ? rc : logdirty_take(&m->log, 0);

    if (dirty < 0)
        return (int)dirty;
    *next = precopy_judge(judge, *pages, m->out.offset - before, (double)(now_us() - start) / 1000, (uint64_t)dirty);
    *pages = (uint64_t)dirty;
    m->cost->rounds++;
    return 0;
}

/* What would have to be written in the pause. The file too: setting an image down writes what its file system has to write. */
static void flush(const struct making *m)
{
    fdatasync(m->fd);
    snap_disks_flush(&m->meta.disks);
}

/* A guest whose writes cannot be logged stands still for longer, that is all. */
static int rounds(struct making *m)
{
    struct precopy_limits limits = { .rounds = ROUNDS, .downtime_ms = PAUSE_MS };
    struct precopy judge;
    enum precopy_next next = PRECOPY_ROUND;
    uint64_t pages = m->cfg.memory / 4;
    const uint64_t *set = NULL;
    int rc = snap_check_stop();

    if (!rc && logdirty_begin(&m->log, m->c, m->domid, save_pages(m->save))) {
        warn("%s; it stands still while all of its memory is written", fault_text());
        fault_clear();
        return 0;
    }
    precopy_begin(&judge, &limits, pages, FIXED_MS);
    while (!rc && next == PRECOPY_ROUND) {
        flush(m);
        rc = round_of(m, &judge, set, &pages, &next);
        set = m->log.map;
    }
    return rc;
}

/* --- the pause --------------------------------------------------------------------------------------------------------------- */

/* They are awaited in any case; the text is the first failure's. */
static int finish_disks(struct making *m, int rc)
{
    char *text = rc ? strdup(fault_text()) : NULL;

    if (rc)
        fault_clear();
    int disks = snap_disks_finish(&m->meta.disks);

    if (rc) {
        fault_clear();
        fault(rc, "%s", text ? text : "no memory");
    }
    free(text);
    return disks;
}

static int while_suspended(struct making *m)
{
    struct save_count count = { 0 };
    uint64_t start = now_us();
    int rc = snap_disks_make(&m->meta.disks);

    if (rc)
        return rc;
    m->cost->disks_us = now_us() - start;
    if (m->log.on && logdirty_take(&m->log, 1) < 0)
        rc = -EIO;
    rc = rc ? rc : save_finish(m->save, m->log.on ? m->log.map : NULL, &count);
    start = now_us();
    int disks = finish_disks(m, rc);

    m->cost->disks_us += now_us() - start;
    m->cost->last_pages = count.pages;
    return rc ? rc : disks;
}

/* A guest that does not go on exists in the snapshot alone: then that stays. */
static void go_on(struct making *m, uint64_t start, int rc)
{
    char *text = strdup(fault_text());

    fault_clear();
    m->stuck = domain_run_on(m->c, m->domid) != 0;
    m->cost->pause_us = now_us() - start;
    if (m->stuck)
        warn("guest '%s' does not run on: %s", m->name, fault_text());
    else
        domain_tell_running(m->domid);
    fault_clear();
    if (rc)
        fault(rc, "%s", text ? text : "no memory");
    free(text);
}

static int take(struct making *m)
{
    int rc = snap_check_stop();

    rc = rc ? rc : devices_settle(m->domid);
    uint64_t asked = now_us();

    rc = rc ? rc : domain_suspend(m->c, m->domid, SUSPEND_MS);
    if (rc)
        return rc;
    uint64_t start = now_us();

    m->cost->suspend_us = start - asked;
    m->cost->pause_us = 1;
    rc = while_suspended(m);
    go_on(m, start, rc);
    return rc;
}

/* --- after it ------------------------------------------------------------------------------------------------------------------ */

static int publish(struct making *m)
{
    char parent[512];
    struct stat st;

    if (fsync(m->fd) || fstat(m->fd, &st))
        return fault(-errno, "%s: %s", m->memory, strerror(errno));
    m->cost->memory_bytes = (uint64_t)st.st_blocks * 512;
    m->meta.pause_us = m->cost->pause_us;
    int rc = snap_disks_settle(&m->meta.disks);

    rc = rc ? rc : snap_meta_write(&m->meta, m->folder);
    rc = rc ? rc : snap_path(parent, sizeof(parent), m->name, NULL, NULL, NULL);
    if (!rc && rename(m->folder, m->final))
        rc = fault(-errno, "%s: cannot be put in its place: %s", m->folder, strerror(errno));
    return rc ? rc : snap_sync_folder(parent);
}

/* The text of the failure is the one that counts. */
static void undo(struct making *m)
{
    char *text = strdup(fault_text());
    int rc;

    fault_clear();
    rc = snap_disks_remove(&m->meta.disks);
    if (!rc && !access(m->folder, F_OK))
        rc = snap_remove_folder(m->folder);
    if (rc)
        warn("%s; the next `xm snapshot` tries again", fault_text());
    fault_clear();
    fault(0, "%s", text ? text : "no memory");
    free(text);
}

static int make(struct making *m)
{
    int rc = make_names(m);

    rc = rc ? rc : save_config(m->c, m->domid, &m->cfg);
    rc = rc ? rc : describe(m);
    if (rc)
        return rc;
    rc = make_folder(m);
    rc = rc ? rc : snap_disks_ready(&m->meta.disks);
    rc = rc ? rc : open_save(m);
    rc = rc ? rc : rounds(m);
    rc = rc ? rc : take(m);
    logdirty_end(&m->log);
    save_close(m->save);
    rc = rc ? rc : publish(m);
    if (rc)
        undo(m);
    else if (m->stuck)
        rc = fault(-EIO, "snapshot '%s' is complete, but guest '%s' does not run on; bring it back: xm snapshot revert %s %s", m->snap, m->name, m->name,
                   m->snap);
    return rc;
}

int snapshot_create(struct ctl *c, uint32_t domid, const char *snap, const struct snapshot_options *o, struct snapshot_cost *cost)
{
    char *name = domain_name(domid);
    struct making m = { .c = c, .domid = domid, .name = name, .snap = snap, .o = o, .cost = cost, .fd = -1 };
    int rc = name ? snapshot_check_name(snap) : fault(-ENOENT, "domain %u has no name; it can have no snapshots", domid);
    int lock = rc ? rc : snap_lock(name, true);

    sigset_t before;

    *cost = (struct snapshot_cost){ 0 };
    if (lock >= 0) {
        snap_hold_signals(true, &before);
        rc = make(&m);
        snap_unlock(lock, name);
        snap_hold_signals(false, &before);
    }
    if (m.fd >= 0)
        close(m.fd);
    config_dispose(&m.cfg);
    snap_meta_dispose(&m.meta);
    free(name);
    return lock < 0 ? lock : rc;
}
