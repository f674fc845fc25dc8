/* SPDX-License-Identifier: MIT */
/*
 * xm migrate, xm migrate-receive: a guest moves to another host. The protocol is the library's; here are options, the progress
 * line or JSON events, and Ctrl-C.
 */
#include "xm.h"

#include "migrate_guest.h"
#include "relocation.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MS 200

static volatile int stop;

static void on_stop(int number)
{
    stop = 1;
}

/* A second one is the user's insistence: back to what it usually does. */
static void catch_stop(void)
{
    struct sigaction s = { .sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND };

    sigaction(SIGINT, &s, NULL);
    sigaction(SIGTERM, &s, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

/* --- what is shown --------------------------------------------------------------------------------------------------------------- */

struct shown {
    bool json, line;          /* events on standard output; a line on the terminal */
    double last_ms, start_ms;
};

static void print_event(const char *event, const struct move_progress *p)
{
    printf("{\"event\":\"%s\",\"phase\":\"%s\",\"round\":%u,\"pages\":%llu,\"round_pages\":%llu,\"round_sent\":%llu,\"sent\":%llu,\"dirty\":%llu,"
           "\"bytes\":%llu,\"rate\":%.0f,\"left_ms\":%u,\"pause_ms\":%u}\n", event, p->phase ? p->phase : "memory", p->round, (unsigned long long)p->pages,
           (unsigned long long)p->round_pages, (unsigned long long)p->round_sent, (unsigned long long)p->sent, (unsigned long long)p->dirty,
           (unsigned long long)p->bytes, p->rate, p->left_ms, p->pause_ms);
    fflush(stdout);
}

static void on_progress(void *arg, const struct move_progress *p)
{
    struct shown *s = arg;
    double now = migrate_clock_ms();

    if (now - s->last_ms < LINE_MS)
        return;
    s->last_ms = now;
    if (s->json)
        print_event("progress", p);
    else if (s->line)
        fprintf(stderr, "\r\033[Kround %u: %llu of %llu pages, dirty %llu, %.1f MB/s, %.1f s left, pause of %u ms expected", p->round,
                (unsigned long long)p->round_sent, (unsigned long long)p->round_pages, (unsigned long long)p->dirty, p->rate / 1e6, p->left_ms / 1000.0,
                p->pause_ms);
}

static void on_round(void *arg, const struct move_progress *p)
{
    struct shown *s = arg;

    if (s->json)
        print_event("round", p);
    else if (s->line)
        fprintf(stderr, "\r\033[Kround %u: %llu pages, then dirty %llu, %.1f MB/s\n", p->round, (unsigned long long)p->round_sent,
                (unsigned long long)p->dirty, p->rate / 1e6);
}

static void print_end(const struct shown *s, const struct migrate_out *m, const struct migrate_guest_out *g, int rc)
{
    static const char *const places[] = { "here", "there", "unknown", "nowhere" };
    double now = migrate_clock_ms(), pause = g->pause_begin_ms > 0 ? (m->running_ms ? (double)m->running_ms : now) - g->pause_begin_ms : 0;

    if (s->line)
        fprintf(stderr, "\r\033[K");
    if (s->json)
        printf("{\"event\":\"end\",\"ok\":%s,\"place\":\"%s\",\"host\":\"%s\",\"rounds\":%u,\"bytes\":%llu,\"total_ms\":%.0f,\"suspend_ms\":%.0f,\"pause_ms\":%.0f}\n",
               rc ? "false" : "true", places[m->place], m->place == PLACE_THERE ? m->peer : "", g->now.round, (unsigned long long)g->now.bytes, now - s->start_ms,
               g->pause_begin_ms > 0 ? g->suspended_ms - g->pause_begin_ms : 0, pause);
    else if (!rc)
        printf("%s runs on %s: %u rounds, %.1f MB in %.1f s, paused for %.0f ms\n", m->name, m->peer, g->now.round, (double)g->now.bytes / 1e6,
               (now - s->start_ms) / 1000, pause);
}

/* --- options --------------------------------------------------------------------------------------------------------------------- */

struct wanted {
    const char *name, *host;
    long long port, downtime, rounds, rate;
    bool paused;
    char line[500], transport[16];
};

static bool is_number(const char *s)
{
    return *s && !s[strspn(s, "0123456789")];
}

/*
 * -p is xl's "leave it paused" and old xm's port; as a port it comes with a third word that is a number: at its place behind -p, which is
 * before the others or after them.
 */
static int take_words(struct args *a, struct wanted *w)
{
    const char *port = args_value(a, "port");

    if (a->n == 3 && args_has(a, "p") && !port && (is_number(a->operands[0]) || is_number(a->operands[2]))) {
        bool first = is_number(a->operands[0]) && !is_number(a->operands[2]);

        port = a->operands[first ? 0 : 2];
        w->name = a->operands[first];
        w->host = a->operands[first ? 2 : 1];
    } else if (a->n == 2) {
        w->paused = args_has(a, "p");
        w->name = a->operands[0];
        w->host = a->operands[1];
    } else {
        return usage_error(a, a->n < 2 ? "which guest, and to which host?" : "too many words, from '%s' on", a->n < 2 ? "" : a->operands[2]);
    }
    return port ? xm_number(port, "port", 1, 65535, &w->port) : 0;
}

static int take_number(struct args *a, const char *option, const char *what, long long max, long long *out)
{
    const char *v = args_value(a, option);

    return v ? xm_number(v, what, 0, max, out) : 0;
}

static int choose_way(struct args *a, struct wanted *w)
{
    struct relocation r;
    int rc = relocation_load(&r, NULL);
    bool tls = !args_has(a, "s") && (w->port || args_has(a, "tls") || (!rc && r.preferred));

    if (rc && rc != -ENOENT)
        return rc;
    fault_clear();
    snprintf(w->transport, sizeof(w->transport), "%s", tls ? "tls" : args_has(a, "s") ? "command" : "ssh");
    return tls ? migrate_command_tls(w->line, sizeof(w->line), w->host, (unsigned)w->port)
               : migrate_command_line(w->line, sizeof(w->line), w->host, args_value(a, "s"));
}

static int take_options(struct args *a, struct wanted *w)
{
    int rc = take_words(a, w);

    rc = rc ? rc : take_number(a, "downtime-max", "the longest pause in ms", 3600000, &w->downtime);
    rc = rc ? rc : take_number(a, "rounds", "the number of rounds", 10000, &w->rounds);
    rc = rc ? rc : take_number(a, "rate", "the rate in Mbit/s", 1000000, &w->rate);
    if (!rc && args_has(a, "resource") && !w->rate)
        rc = take_number(a, "resource", "the rate in Mbit/s", 1000000, &w->rate);
    return rc ? rc : choose_way(a, w);
}

/* --- the commands ------------------------------------------------------------------------------------------------------------------ */

static int resolve(struct args *a)
{
    struct migrate_guest_in g = { .c = xm_ctl() };
    const char *take = args_value(a, "take"), *drop = args_value(a, "drop");
    int left;

    if (take || drop)
        return migrate_force(&migrate_guest_target, &g, take ? take : drop, take != NULL);
    left = migrate_resolve_all(&migrate_guest_target, &g, args_has(a, "q") ? NULL : stdout);
    return left ? 3 : 0;
}

static int get_uuid(uint32_t domid, char out[37])
{
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(xm_ctl(), (domid_t)domid, &info);

    domain_format_uuid(info.handle, out);
    return rc;
}

static int move(struct args *a, const struct wanted *w, uint32_t domid, const char *name, const char *uuid)
{
    struct shown shown = { .json = args_has(a, "json"), .line = !args_has(a, "json") && isatty(2), .start_ms = migrate_clock_ms() };
    struct migrate_guest_out g = { .c = xm_ctl(), .domid = domid, .live = args_has(a, "live"), .debug = args_has(a, "debug"), .stop = &stop,
        .limits = { .downtime_ms = (unsigned)w->downtime, .rounds = (unsigned)w->rounds, .abort_if_busy = args_has(a, "abort-if-busy"),
                    .rate = (uint64_t)w->rate * 125000 },
        .config_file = args_value(a, "C"), .progress = on_progress, .round = on_round, .arg = &shown };
    struct migrate_out m = { .ops = &migrate_guest_source, .arg = &g, .name = name, .uuid = uuid, .host = w->host, .transport = w->transport,
        .command = w->line, .domid = domid, .paused = w->paused, .check_only = args_has(a, "check"), .stop = &stop };
    struct wire wire = { .in = -1, .out = -1 };
    int rc = m.check_only ? 0 : domain_hold(domid);

    rc = rc ? rc : migrate_guest_begin(&g);
    m.report = m.check_only && !shown.json ? stdout : NULL;
    rc = rc ? rc : migrate_connect_command(w->line, w->host, &wire);
    if (!rc) {
        catch_stop();
        rc = migrate_send(&m, &wire);
        if (!m.check_only)
            print_end(&shown, &m, &g, rc);
        else if (!rc)
            printf("%s can move to %s\n", name, m.peer);
    }
    wire_end(&wire);
    migrate_guest_end(&g);
    return rc;
}

int cmd_migrate(struct args *a)
{
    struct wanted w = { 0 };
    uint32_t domid;
    char uuid[37], *name;
    int rc;

    if (args_has(a, "resolve") || args_has(a, "take") || args_has(a, "drop"))
        return a->n ? usage_error(a, "--resolve, --take and --drop come without a guest and a host") : resolve(a);
    rc = take_options(a, &w);
    rc = rc ? rc : xm_guest(w.name, &domid, NULL, "moved");
    if (rc)
        return rc;
    name = domain_name(domid);
    xm_about(name);
    rc = name ? get_uuid(domid, uuid) : fault(-ENOENT, "domain %u has no name", domid);
    rc = rc ? rc : move(a, &w, domid, name, uuid);
    free(name);
    return rc;
}

/* Standard input and output are the wire; whatever else prints goes to standard error. */
int cmd_migrate_receive(struct args *a)
{
    struct migrate_guest_in g = { .paused = args_has(a, "p") };
    int in = fcntl(0, F_DUPFD_CLOEXEC, 3), out = fcntl(1, F_DUPFD_CLOEXEC, 3), nothing = open("/dev/null", O_RDONLY);
    struct wire wire;
    int rc;

    dup2(nothing, 0);
    dup2(2, 1);
    close(nothing);
    signal(SIGPIPE, SIG_IGN);
    rc = wire_begin(&wire, in, out, "?");
    g.c = xm_ctl();
    rc = rc ? rc : migrate_receive(&migrate_guest_target, &g, &wire);
    wire_end(&wire);
    return rc;
}
