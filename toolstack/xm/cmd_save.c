/* SPDX-License-Identifier: MIT */
/* xm save, restore. */
#include "config.h"
#include "migrate_journal.h"
#include "restore.h"
#include "save_file.h"
#include "xm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int load_config(struct guest_config *cfg, const char *file)
{
    return config_load(cfg, file, NULL, 0);
}

static void say_saved(uint32_t domid, const char *name, const char *path, const struct save_file_result *r)
{
    printf("domain %u: %s saved to %s (%llu MiB of memory, %llu MiB of it empty; the file takes %llu MiB)\n", domid, name ? name : "", path,
           (unsigned long long)(r->count.data + r->count.zero) >> 8, (unsigned long long)r->count.zero >> 8,
           (unsigned long long)(r->on_disk + (1 << 20) - 1) >> 20);
}

int cmd_save(struct args *a)
{
    struct guest_config cfg = { 0 };
    struct save_file_options o = { .after = args_has(a, "c") ? SAVE_RUN : args_has(a, "p") ? SAVE_PAUSE : SAVE_DESTROY,
        .zero = args_has(a, "compact") ? SAVE_ZERO_ALLOC : SAVE_ZERO_HOLES };
    struct save_file_result result;
    const char *wait = args_value(a, "timeout");
    uint32_t domid;
    long long seconds = 0;
    int rc = xm_guest(a->operands[0], &domid, NULL, "saved");
    char *name = rc ? NULL : domain_name(domid);

    xm_about(name);
    if (!rc && wait)
        rc = xm_number(wait, "--timeout", 1, 3600, &seconds);
    o.timeout_ms = (unsigned)seconds * 1000;
    if (!rc && a->n > 2) {
        rc = load_config(&cfg, a->operands[2]);
        o.config = &cfg;
    }
    rc = rc ? rc : save_file(xm_ctl(), domid, a->operands[1], &o, &result);
    if (!rc && !args_has(a, "q"))
        say_saved(domid, name, a->operands[1], &result);
    config_dispose(&cfg);
    free(name);
    return rc;
}

/* Saved files begin with this; so the order of the two words does not matter (xl: configuration first). */
static bool is_saved(const char *path)
{
    char start[20] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool plain = fd >= 0 && !fstat(fd, &st) && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
    bool is = plain && pread(fd, start, sizeof(start) - 1, 0) > 0 && !strncmp(start, "Xen saved domain", 16);

    if (fd >= 0)
        close(fd);
    return is;
}

static int check_not_moved(const struct guest_config *cfg)
{
    return journal_check_create(cfg->name, cfg->uuid);
}

static int restore(struct args *a, int fd, const char *path, struct guest_config *cfg)
{
    struct restore_options o = { .config = cfg, .check = check_not_moved };
    struct restored made;
    struct stream_fd f;
    struct stream_in in;

    stream_in_fd(&in, &f, fd, path);
    int rc = restore_domain(xm_ctl(), &in, &o, &made);

    xm_about(made.config.name);
    if (!rc && args_has(a, "c"))
        rc = xm_console_begin(made.domid);
    if (!rc && !args_has(a, "p"))
        rc = ctl_domain_unpause(xm_ctl(), (domid_t)made.domid);
    if (!rc && !args_has(a, "q"))
        printf("domain %u: %s restored from %s%s\n", made.domid, made.config.name, path, args_has(a, "p") ? ", paused" : "");
    fflush(stdout);
    config_dispose(&made.config);
    return rc || !args_has(a, "c") ? rc : xm_console_run();
}

int cmd_restore(struct args *a)
{
    const char *path = a->operands[0], *config = a->n > 1 ? a->operands[1] : NULL;
    struct guest_config cfg = { 0 };

    if (config && is_saved(config)) {
        path = a->operands[1];
        config = a->operands[0];
    }
    int rc = config ? load_config(&cfg, config) : 0;
    int fd = rc ? -1 : !strcmp(path, "-") ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);

    if (!rc && fd < 0)
        rc = fault(-errno, "%s: cannot be read: %s", path, strerror(errno));
    rc = rc ? rc : restore(a, fd, path, config ? &cfg : NULL);
    if (rc && fd >= 0)
        rc = fault(rc, "%s was not restored", path);
    if (fd >= 0)
        close(fd);
    config_dispose(&cfg);
    return rc;
}
