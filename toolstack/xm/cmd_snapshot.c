/* SPDX-License-Identifier: MIT */
/* xm snapshot create, list, revert, delete; the same as snapshot-create and so on. */
#include "migrate_journal.h"
#include "snapshot.h"
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- words ----------------------------------------------------------------------------------------------------------------- */

struct words {
    const char *verb;
    char **rest;
    unsigned n;
};

/* "snapshot VERB ..." or "snapshot-VERB ...". */
static struct words words_of(struct args *a)
{
    if (a->command->name[8] == '-')
        return (struct words){ a->command->name + 9, a->operands, a->n };
    return (struct words){ a->operands[0], a->operands + 1, a->n - 1 };
}

/* A guest that runs may be named by number; snapshots are kept by name. To be freed. */
static char *name_of(const char *word)
{
    bool number = *word && strlen(word) <= 5 && !word[strspn(word, "0123456789")];
    char *name = number && !store_open() ? domain_name((uint32_t)atoi(word)) : NULL;

    fault_clear();
    return name ? name : strdup(word);
}

static void size_text(uint64_t bytes, char *out, size_t size)
{
    if (bytes >= 1ULL << 30)
        snprintf(out, size, "%.1fG", (double)bytes / (1 << 30));
    else if (bytes >= 1U << 20)
        snprintf(out, size, "%.1fM", (double)bytes / (1 << 20));
    else
        snprintf(out, size, "%lluK", (unsigned long long)bytes >> 10);
}

static void time_text(time_t when, char *out, size_t size)
{
    struct tm tm;

    strftime(out, size, "%Y-%m-%d %H:%M:%S", localtime_r(&when, &tm));
}

/* --- create ------------------------------------------------------------------------------------------------------------------ */

static int print_cost(const char *name, const char *snap, const struct snapshot_cost *cost, bool json)
{
    char size[32];

    if (json) {
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "guest", xm_json_string(name));
        json_object_object_add(o, "snapshot", xm_json_string(snap));
        json_object_object_add(o, "suspend_us", json_object_new_int64((int64_t)cost->suspend_us));
        json_object_object_add(o, "pause_us", json_object_new_int64((int64_t)cost->pause_us));
        json_object_object_add(o, "disks_us", json_object_new_int64((int64_t)cost->disks_us));
        json_object_object_add(o, "rounds", json_object_new_int64(cost->rounds));
        json_object_object_add(o, "last_pages", json_object_new_int64((int64_t)cost->last_pages));
        json_object_object_add(o, "memory_bytes", json_object_new_int64((int64_t)cost->memory_bytes));
        xm_print_json(o);
        return 0;
    }
    size_text(cost->memory_bytes, size, sizeof(size));
    printf("snapshot '%s' of guest '%s': the guest stood still for %llu ms (disks %llu ms, %llu pages after %u rounds), its kernel suspended in %llu ms; its memory takes %s\n",
           snap, name, (unsigned long long)cost->pause_us / 1000, (unsigned long long)cost->disks_us / 1000, (unsigned long long)cost->last_pages,
           cost->rounds, (unsigned long long)cost->suspend_us / 1000, size);
    return 0;
}

static int create(struct args *a, const struct words *w)
{
    struct snapshot_options o = { .copy = args_has(a, "copy") };
    struct snapshot_cost cost;
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    uint32_t domid;

    if (w->n < 1 || w->n > 2)
        return usage_error(a, "which guest, and what is the snapshot to be called? (xm snapshot create GUEST [SNAPSHOT])");
    strftime(when, sizeof(when), "%Y-%m-%d-%H%M%S", localtime_r(&now, &tm));
    const char *snap = w->n > 1 ? w->rest[1] : when;
    int rc = xm_guest(w->rest[0], &domid, NULL, "snapshotted");

    if (rc)
        return rc;
    char *name = domain_name(domid);

    xm_about(name);
    rc = snapshot_create(xm_ctl(), domid, snap, &o, &cost);
    if (!rc)
        print_cost(name, snap, &cost, args_has(a, "json"));
    free(name);
    return rc;
}

/* --- list -------------------------------------------------------------------------------------------------------------------- */

static struct json_object *disk_json(const struct snapshot_disk_info *d)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "vdev", xm_json_string(d->vdev));
    json_object_object_add(o, "target", xm_json_string(d->target));
    json_object_object_add(o, "method", xm_json_string(d->method));
    json_object_object_add(o, "bytes", json_object_new_int64((int64_t)d->bytes));
    return o;
}

static struct json_object *info_json(const struct snapshot_info *i)
{
    struct json_object *o = json_object_new_object(), *disks = json_object_new_array();

    json_object_object_add(o, "guest", xm_json_string(i->guest));
    json_object_object_add(o, "snapshot", xm_json_string(i->name));
    json_object_object_add(o, "time", json_object_new_int64(i->when));
    json_object_object_add(o, "guest_memory_kib", json_object_new_int64((int64_t)i->guest_memory));
    json_object_object_add(o, "memory_bytes", json_object_new_int64((int64_t)i->memory_bytes));
    for (unsigned k = 0; k < i->n_disks; k++)
        json_object_array_add(disks, disk_json(&i->disk[k]));
    json_object_object_add(o, "disks", disks);
    json_object_object_add(o, "damage", xm_json_string(i->damage));
    return o;
}

static void print_info(const struct snapshot_info *i)
{
    char when[32] = "?", size[32];

    if (i->when)
        time_text(i->when, when, sizeof(when));
    size_text(i->memory_bytes, size, sizeof(size));
    printf("%-20s %-24s %-19s %8s ", i->guest, i->name, when, size);
    for (unsigned k = 0; k < i->n_disks; k++)
        printf(" %s:%s", i->disk[k].vdev, i->disk[k].method);
    printf("%s%s\n", i->n_disks ? "" : " none", i->damage ? "  DAMAGED" : "");
    if (i->damage)
        printf("  %s\n", i->damage);
}

static int list(struct args *a, const struct words *w)
{
    struct snapshot_info *l = NULL;

    if (w->n > 1)
        return usage_error(a, "too many words, from '%s' on", w->rest[1]);
    char *name = w->n ? name_of(w->rest[0]) : NULL;
    int n = snapshot_list(name, &l);
    struct json_object *json = args_has(a, "json") && n >= 0 ? json_object_new_array() : NULL;

    free(name);
    if (!json && n > 0)
        printf("%-20s %-24s %-19s %8s  %s\n", "Guest", "Snapshot", "Time", "Memory", "Disks");
    for (int i = 0; i < n; i++) {
        if (json)
            json_object_array_add(json, info_json(&l[i]));
        else
            print_info(&l[i]);
    }
    if (json)
        xm_print_json(json);
    snapshot_list_free(l, n < 0 ? 0 : (unsigned)n);
    return n < 0 ? n : 0;
}

/* --- revert, delete ---------------------------------------------------------------------------------------------------------- */

static int revert(struct args *a, const struct words *w)
{
    struct snapshot_options o = { .paused = args_has(a, "p") };
    uint32_t domid;
    char *name = name_of(w->rest[0]);

    xm_about(name);
    int rc = journal_check_create(name, NULL);

    rc = rc ? rc : snapshot_revert(xm_ctl(), name, w->rest[1], &o, &domid);
    if (!rc)
        printf("guest '%s' is as in snapshot '%s' (domain %u)\n", name, w->rest[1], domid);
    free(name);
    return rc;
}

static int delete(struct args *a, const struct words *w)
{
    char *name = name_of(w->rest[0]);
    int rc = snapshot_delete(xm_ctl(), name, w->rest[1]);

    free(name);
    return rc;
}

static const struct {
    const char *verb;
    int (*run)(struct args *a, const struct words *w);
    bool both; /* a guest and a snapshot are needed */
} verbs[] = { { "create", create, false }, { "list", list, false }, { "revert", revert, true }, { "delete", delete, true } };

int cmd_snapshot(struct args *a)
{
    struct words w = words_of(a);

    for (unsigned i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
        if (strcmp(w.verb, verbs[i].verb))
            continue;
        if (verbs[i].both && w.n != 2)
            return usage_error(a, "which guest, and which snapshot of it? (xm snapshot list shows them)");
        return verbs[i].run(a, &w);
    }
    return usage_error(a, "'%s' is none of create, list, revert, delete", w.verb);
}
