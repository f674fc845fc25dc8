/* SPDX-License-Identifier: MIT */
/*
 * CONTROL: a row per command. What stock xenstore-control knows is answered under the same names; `stat`, `domains` and
 * `save` are ours. An answer is text for whoever typed the command.
 */
#include "daemon.h"
#include "guests.h"
#include "log.h"
#include "proto.h"
#include "sock.h"
#include "state.h"
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct answer {
    char *text;
    size_t len;
};

static void say(struct answer *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct answer *a, const char *format, ...)
{
    va_list ap;
    char line[512];
    int n;

    va_start(ap, format);
    n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof line)
        n = sizeof line - 1;
    a->text = xrealloc(a->text, a->len + (size_t)n + 1);
    memcpy(a->text + a->len, line, (size_t)n + 1);
    a->len += (size_t)n;
}

static int control_check(struct conn *c, int argc, char **argv, struct answer *a)
{
    const char *why = store_check(&store);

    log_line("check: %s", why ? why : "the store is sound");
    if (why)
        say(a, "check: %s", why);
    return why ? -EIO : 0;
}

static int control_log(struct conn *c, int argc, char **argv, struct answer *a)
{
    if (argc != 2 || (strcmp(argv[1], "on") && strcmp(argv[1], "off")))
        return -EINVAL;
    host.trace = !strcmp(argv[1], "on");
    return 0;
}

static int control_logfile(struct conn *c, int argc, char **argv, struct answer *a)
{
    return argc == 2 && argv[1][0] == '/' ? log_open(argv[1]) : -EINVAL;
}

static int control_print(struct conn *c, int argc, char **argv, struct answer *a)
{
    if (argc != 2)
        return -EINVAL;
    log_line("%s: %s", c->name, argv[1]);
    return 0;
}

static void say_stat(struct answer *a)
{
    struct mallinfo2 m = mallinfo2();
    const char *why;

    say(a, "nodes: %ld\n", tree_check(store.root, &why));
    say(a, "watches: %zu\n", store.watches.count);
    say(a, "domains: %u\n", domain_count());
    say(a, "sockets: %u\n", sock_count());
    say(a, "requests: %llu\n", (unsigned long long)host.count.requests);
    say(a, "errors: %llu\n", (unsigned long long)host.count.errors);
    say(a, "events: %llu\n", (unsigned long long)host.count.events);
    say(a, "events-merged: %llu\n", (unsigned long long)host.count.merged);
    say(a, "transactions-committed: %llu\n", (unsigned long long)host.count.commits);
    say(a, "transactions-conflicting: %llu\n", (unsigned long long)host.count.conflicts);
    say(a, "memory-used: %zu\n", m.uordblks + m.hblkhd);
    say(a, "memory-from-system: %zu\n", m.arena + m.hblkhd);
}

static int control_stat(struct conn *c, int argc, char **argv, struct answer *a)
{
    say_stat(a);
    return 0;
}

static int control_memreport(struct conn *c, int argc, char **argv, struct answer *a)
{
    struct answer report = { 0 };
    FILE *f;
    int rc = 0;

    say_stat(&report);
    if (argc > 1) {
        f = fopen(argv[1], "we");
        rc = f ? 0 : -errno;
        if (f) {
            fputs(report.text, f);
            fclose(f);
        }
    } else if (write(log_fd(), report.text, report.len) < 0) {
        rc = -EIO;
    }
    free(report.text);
    return rc;
}

static void say_quotas(struct answer *a, struct owner *o)
{
    int q;

    for (q = 0; q < QUOTA_COUNT; q++) {
        if (o)
            say(a, "%-17s: %8u of %8u%s %s\n", quota_names[q], o->use[q], quota_limit(&store.owners, o, (enum quota)q),
                o->own >> q & 1 ? " (its own)" : "", quota_texts[q]);
        else
            say(a, "%-17s: %8u %s\n", quota_names[q], store.owners.limit[q], quota_texts[q]);
    }
    if (o)
        say(a, "%-17s: %8u times\n", "refused", o->refusals);
}

/* quota set [DOMID] NAME VALUE */
static int quota_set(int argc, char **argv)
{
    uint64_t domid = 0, value;
    int q = argc == 4 || argc == 5 ? quota_by_name(argv[argc - 2]) : -1;
    struct owner *o;

    if (q < 0 || parse_number(argv[argc - 1], 1u << 30, &value) || (argc == 5 && parse_number(argv[2], FIRST_RESERVED - 1, &domid)))
        return -EINVAL;
    if (argc == 4) {
        store.owners.limit[q] = (unsigned)value;
    } else {
        o = owner_of(&store.owners, (uint16_t)domid);
        o->limit[q] = (unsigned)value;
        o->own |= 1u << q;
        o->warned = o->refused = 0;
    }
    state_note_quota(argc == 5 ? (int)domid : -1, (enum quota)q, (unsigned)value);
    log_line("quota %s of %s%.0llu: %llu", quota_names[q], argc == 5 ? "domain " : "all domains", (unsigned long long)domid,
             (unsigned long long)value);
    return 0;
}

static int control_quota(struct conn *c, int argc, char **argv, struct answer *a)
{
    uint64_t domid;

    if (argc > 1 && !strcmp(argv[1], "set"))
        return quota_set(argc, argv);
    if (argc == 1) {
        say_quotas(a, NULL);
        return 0;
    }
    if (argc > 2 || parse_number(argv[1], FIRST_RESERVED - 1, &domid))
        return -EINVAL;
    say(a, "Domain %llu:\n", (unsigned long long)domid);
    say_quotas(a, owner_of(&store.owners, (uint16_t)domid));
    return 0;
}

/* The domains that the store talks to, and how they stand: for `xm`. */
static int control_domains(struct conn *c, int argc, char **argv, struct answer *a)
{
    struct owner *o;
    struct domain *d;

    for (d = domain_next(NULL); d; d = domain_next(d)) {
        o = owner_of(&store.owners, domain_id(d));
        say(a, "%u nodes %u/%u watches %u/%u transactions %u/%u requests %llu refused %u events-lost %llu%s\n", o->domid,
            o->use[QUOTA_NODES], quota_limit(&store.owners, o, QUOTA_NODES), o->use[QUOTA_WATCHES],
            quota_limit(&store.owners, o, QUOTA_WATCHES), o->use[QUOTA_TRANSACTIONS],
            quota_limit(&store.owners, o, QUOTA_TRANSACTIONS), (unsigned long long)domain_conn(d)->requests, o->refusals,
            (unsigned long long)domain_conn(d)->dropped, domain_stopped(d) ? " stopped" : "");
    }
    if (!a->text)
        say(a, "no domains\n");
    return 0;
}

static int control_save(struct conn *c, int argc, char **argv, struct answer *a)
{
    return argc == 1 ? state_save(options.state) : -EINVAL;
}

/* live-update -f FILE | -c WORDS | -s [-t SECONDS] [-F] | -a, as the stock tool sends them one after the other. */
static int control_live_update(struct conn *c, int argc, char **argv, struct answer *a)
{
    static char binary[4096];

    if (argc == 3 && !strcmp(argv[1], "-f")) {
        if (access(argv[2], X_OK) || strlen(argv[2]) >= sizeof binary) {
            say(a, "live-update: %s cannot be executed\n", argv[2]);
            return 0;
        }
        strcpy(binary, argv[2]);
        return 0;
    }
    if (argc == 2 && !strcmp(argv[1], "-a")) {
        binary[0] = 0;
        return 0;
    }
    if (argc >= 2 && !strcmp(argv[1], "-s")) {
        if (!binary[0]) {
            say(a, "live-update: no binary was named (-f)\n");
            return 0;
        }
        update_binary = binary;
        loop.stop = true;
        return 0;
    }
    return -EINVAL;
}

static int control_help(struct conn *c, int argc, char **argv, struct answer *a);

static const struct {
    const char *name, *args;
    int (*run)(struct conn *c, int argc, char **argv, struct answer *a);
} commands[] = {
    { "check", "", control_check },
    { "domains", "", control_domains },
    { "help", "", control_help },
    { "live-update", "-f <file> | -s | -a", control_live_update },
    { "log", "on|off", control_log },
    { "logfile", "<file>", control_logfile },
    { "memreport", "[<file>]", control_memreport },
    { "print", "<text>", control_print },
    { "quota", "[set [<domid>] <name> <value> | <domid>]", control_quota },
    { "save", "", control_save },
    { "stat", "", control_stat },
};

static int control_help(struct conn *c, int argc, char **argv, struct answer *a)
{
    size_t i;

    for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
        say(a, "%-15s %s\n", commands[i].name, commands[i].args);
    return 0;
}

int control_run(struct conn *c, int argc, char **argv, char **answer)
{
    struct answer a = { 0 };
    size_t i;
    int rc = -ENOSYS;

    for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(commands[i].name, argv[0]))
            rc = commands[i].run(c, argc, argv, &a);
    *answer = a.text;
    return rc;
}
