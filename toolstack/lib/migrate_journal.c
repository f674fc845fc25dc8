/* SPDX-License-Identifier: MIT */
/*
 * Journals of moves. Lines are "STEP<tab>key=value<tab>..."; a last line without its newline was torn by a crash and had no effect
 * yet, so it does not count and is cut off before the next one is written.
 */
#include "migrate_journal.h"
#include "domains.h"
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define JOURNAL_MAX 16384

const char *journal_boot_file = "/proc/sys/kernel/random/boot_id";

static const char *const step_names[STEP_COUNT] = { "none", "begin", "suspending", "aborted", "resumed", "committed", "destroying", "prepared", "go", "runs" };

const char *journal_step_name(enum journal_step step)
{
    return step < STEP_COUNT ? step_names[step] : "?";
}

static void read_boot(char out[37])
{
    int fd = open(journal_boot_file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 36);

    out[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
}

bool journal_is_of_this_boot(const struct journal *j)
{
    char now[37];

    read_boot(now);
    return !strcmp(now, j->boot);
}

static int bad(const struct journal *j, const char *what)
{
    return fault(-errno, "journal %s: %s: %s", j->path, what, strerror(errno));
}

static int sync_folder(const struct journal *j)
{
    char folder[520];
    int fd, rc;

    snprintf(folder, sizeof(folder), "%s", j->path);
    *strrchr(folder, '/') = 0;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = fd < 0 || fsync(fd) ? bad(j, "its folder cannot be synced") : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static bool is_token(const char *s)
{
    return strlen(s) == 36 && s[strspn(s, "0123456789abcdef-")] == 0;
}

static void set_path(struct journal *j)
{
    snprintf(j->path, sizeof(j->path), "%.400s/migrate/%s.%s", domain_state_folder, j->token, j->out ? "out" : "in");
}

static int make_folder(void)
{
    char folder[512];

    mkdir(domain_state_folder, 0755);
    snprintf(folder, sizeof(folder), "%s/migrate", domain_state_folder);
    return mkdir(folder, 0700) && errno != EEXIST ? fault(-errno, "%s: cannot be made: %s", folder, strerror(errno)) : 0;
}

/* One write, then on the disk. What fails leaves nothing: else whoever reads it later would believe a step that was not taken, and go
 * by it while this process goes on by the one before. */
static int put_line(struct journal *j, const char *line, size_t n)
{
    off_t end = lseek(j->fd, 0, SEEK_END);
    ssize_t put = write(j->fd, line, n);
    int rc = 0;

    if (put != (ssize_t)n) {
        errno = put < 0 ? errno : ENOSPC;
        rc = bad(j, "cannot be written; make room on its disk");
    } else if (fdatasync(j->fd)) {
        rc = bad(j, "cannot be synced");
    }
    if (rc && end >= 0 && ftruncate(j->fd, end))
        warn("journal %s: cannot be shortened: %s", j->path, strerror(errno));
    return rc;
}

static bool is_plain(const char *s)
{
    return !strpbrk(s, "\t\n");
}

int journal_begin(struct journal *j)
{
    char line[1400], fresh[sizeof(j->path) + 8];
    int rc = make_folder();

    j->fd = -1;
    if (rc)
        return rc;
    if (!is_token(j->token) || !is_plain(j->name) || !is_plain(j->host) || !is_plain(j->transport) || !is_plain(j->command) || !is_plain(j->uuid))
        return fault(-EINVAL, "journal: a tab or line break in a name, or a token that is none");
    set_path(j);
    read_boot(j->boot);
    /* It appears under its name locked and with its first line: whoever looks for lost ones never sees it half made. */
    snprintf(fresh, sizeof(fresh), "%s.new", j->path);
    j->fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (j->fd < 0)
        return bad(j, "cannot be made");
    if (flock(j->fd, LOCK_EX | LOCK_NB))
        return bad(j, "cannot be locked");
    j->pid = getpid();
    j->step = STEP_BEGIN;
    int n = snprintf(line, sizeof(line), "begin\tpid=%d\tboot=%s\tuuid=%s\tname=%s\thost=%s\ttransport=%s\tcommand=%s\tpaused=%d\tdomain=%u\n", j->pid,
                     j->boot, j->uuid, j->name, j->host, j->transport, j->command, j->paused, j->domid);
    rc = put_line(j, line, (size_t)n);
    if (!rc && rename(fresh, j->path))
        rc = bad(j, "cannot be named");
    rc = rc ? rc : sync_folder(j);
    if (rc) {
        unlink(fresh);
        journal_end(j);
    }
    return rc;
}

int journal_step(struct journal *j, enum journal_step step)
{
    char line[100];
    int n = snprintf(line, sizeof(line), "%s\tpid=%d\tdomain=%u\n", journal_step_name(step), getpid(), j->domid);
    int rc = put_line(j, line, (size_t)n);

    if (!rc)
        j->step = step;
    return rc;
}

void journal_leave(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
}

int journal_end(struct journal *j)
{
    int rc = j->fd < 0 ? 0 : unlink(j->path) && errno != ENOENT ? bad(j, "cannot be removed") : sync_folder(j);

    journal_leave(j);
    return rc;
}

static void take_value(struct journal *j, const char *key, const char *value)
{
    struct { const char *key; char *at; size_t size; } text[] = {
        { "boot", j->boot, sizeof(j->boot) }, { "uuid", j->uuid, sizeof(j->uuid) }, { "name", j->name, sizeof(j->name) },
        { "host", j->host, sizeof(j->host) }, { "transport", j->transport, sizeof(j->transport) }, { "command", j->command, sizeof(j->command) } };

    for (unsigned i = 0; i < sizeof(text) / sizeof(*text); i++)
        if (!strcmp(key, text[i].key))
            snprintf(text[i].at, text[i].size, "%s", value);
    if (!strcmp(key, "pid"))
        j->pid = atoi(value);
    if (!strcmp(key, "paused"))
        j->paused = *value == '1';
    if (!strcmp(key, "domain"))
        j->domid = (uint32_t)strtoul(value, NULL, 10);
}

static void take_line(struct journal *j, char *line)
{
    char *word = strsep(&line, "\t");

    for (enum journal_step s = STEP_BEGIN; s < STEP_COUNT; s++)
        if (!strcmp(word, step_names[s]))
            j->step = s;
    while ((word = strsep(&line, "\t"))) {
        char *value = strchr(word, '=');

        if (value) {
            *value++ = 0;
            take_value(j, word, value);
        }
    }
}

/* What it says, and how many bytes of it are whole lines. */
static off_t read_lines(struct journal *j)
{
    char *text = calloc(1, JOURNAL_MAX + 1), *line = text, *end;
    off_t whole = 0;

    j->step = STEP_NONE;
    j->domid = JOURNAL_NO_DOMAIN;
    if (text && pread(j->fd, text, JOURNAL_MAX, 0) > 0)
        for (; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            whole += end + 1 - line;
            take_line(j, line);
        }
    free(text);
    return whole;
}

static bool split_path(struct journal *j, const char *path)
{
    const char *base = strrchr(path, '/');
    size_t n;

    base = base ? base + 1 : path;
    n = strcspn(base, ".");
    if (n != 36 || strlen(path) >= sizeof(j->path) || (strcmp(base + n, ".out") && strcmp(base + n, ".in")))
        return false;
    snprintf(j->token, sizeof(j->token), "%.36s", base);
    snprintf(j->path, sizeof(j->path), "%s", path);
    j->out = !strcmp(base + n, ".out");
    return is_token(j->token);
}

int journal_open(struct journal *j, const char *path)
{
    struct stat held, there;
    off_t whole;

    *j = (struct journal){ .fd = -1, .domid = JOURNAL_NO_DOMAIN };
    if (!split_path(j, path))
        return -ENOENT;
    j->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (j->fd < 0)
        return errno == ENOENT ? -ENOENT : bad(j, "cannot be opened");
    if (flock(j->fd, LOCK_EX | LOCK_NB)) {
        read_lines(j);
        journal_leave(j);
        return -EBUSY;
    }
    /* Ended by its holder while we waited for the lock? */
    if (fstat(j->fd, &held) || stat(path, &there) || held.st_ino != there.st_ino) {
        journal_leave(j);
        return -ENOENT;
    }
    whole = read_lines(j);
    if (ftruncate(j->fd, whole)) {
        int rc = bad(j, "its torn end cannot be cut off");

        journal_leave(j);
        return rc;
    }
    return 0;
}

int journal_open_token(struct journal *j, const char *token, bool out)
{
    struct journal at = { .out = out };

    if (!is_token(token))
        return fault(-EPROTO, "token '%.40s': is none", token);
    snprintf(at.token, sizeof(at.token), "%s", token);
    set_path(&at);
    return journal_open(j, at.path);
}

static bool has_end(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && !strcmp(name + n - m, end);
}

char **journal_list(void)
{
    char folder[512], *text = NULL, **list = NULL;
    size_t size = 0;
    unsigned n = 0;

    snprintf(folder, sizeof(folder), "%.400s/migrate", domain_state_folder);
    DIR *d = opendir(folder);
    FILE *out = d ? open_memstream(&text, &size) : NULL;

    for (struct dirent *e; out && (e = readdir(d));)
        if (has_end(e->d_name, ".out") || has_end(e->d_name, ".in")) {
            fprintf(out, "%s/%s%c", folder, e->d_name, 0);
            n++;
        }
    if (out)
        fclose(out);
    if (d)
        closedir(d);
    list = n && text ? malloc((n + 1) * sizeof(*list) + size) : NULL;
    if (list) {
        char *p = memcpy(list + n + 1, text, size);

        for (unsigned i = 0; i < n; i++, p += strlen(p) + 1)
            list[i] = p;
        list[n] = NULL;
    }
    free(text);
    return list;
}

long journal_age(const struct journal *j)
{
    struct stat st;

    return fstat(j->fd, &st) ? 0 : time(NULL) - st.st_mtime;
}

bool journal_is_others(const struct journal *j, uint32_t domid)
{
    char **list = journal_list();
    bool is = false;

    for (unsigned i = 0; list && list[i] && !is; i++) {
        struct journal other;
        int rc = strcmp(list[i], j->path) ? journal_open(&other, list[i]) : -ENOENT;

        if (!rc)
            journal_leave(&other);
        is = (rc == -EBUSY || (!rc && other.domid == domid && journal_is_of_this_boot(&other))) && !other.out && !strcmp(other.uuid, j->uuid);
    }
    free(list);
    return is;
}

int journal_check_create(const char *name, const char *uuid)
{
    char **list = journal_list();
    int rc = 0;

    for (unsigned i = 0; list && list[i] && !rc; i++) {
        struct journal j;
        int got = journal_open(&j, list[i]);

        if (!got)
            journal_leave(&j);
        if ((!got || got == -EBUSY) && j.out && (j.step == STEP_COMMITTED || j.step == STEP_DESTROYING) &&
            (!strcmp(j.name, name) || (uuid && !strcasecmp(j.uuid, uuid))))
            rc = fault(-EBUSY, "guest %s: it was moving to host %s and may run there; `xm migrate --resolve` asks that host, and if it is lost for good "
                       "`xm migrate --take %s` gives the guest up there", j.name, j.host, j.name);
    }
    free(list);
    return rc;
}

bool journal_find_guest(struct journal *j, const char *uuid)
{
    char **list = journal_list();
    bool found = false;

    for (unsigned i = 0; list && list[i] && !found; i++) {
        int rc = journal_open(j, list[i]);

        if (!rc)
            journal_leave(j);
        found = (rc == -EBUSY || (!rc && j->step != STEP_RUNS)) && !strcmp(j->uuid, uuid);
    }
    free(list);
    return found;
}
