/* SPDX-License-Identifier: MIT */
/* xm top: what the domains cost, again and again. A letter q or Ctrl-C ends it. */
#include "list.h"
#include "xm.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct sample {
    struct xen_domctl_getdomaininfo *list;
    int n;
    uint64_t at_ms;
};

static int take(struct sample *s)
{
    s->n = ctl_domain_list(xm_ctl(), &s->list);
    s->at_ms = store_clock_ms();
    return s->n < 0 ? s->n : 0;
}

/* Percent of one CPU since the sample before; a domain that was not there began at 0. */
static double percent(const struct sample *before, const struct sample *now, const struct xen_domctl_getdomaininfo *d)
{
    uint64_t old = 0, ms = now->at_ms - before->at_ms;

    for (int i = 0; i < before->n; i++)
        if (before->list[i].domain == d->domain && !memcmp(before->list[i].handle, d->handle, sizeof(d->handle)))
            old = before->list[i].cpu_time;
    return !ms || d->cpu_time < old ? 0 : (double)(d->cpu_time - old) / 1e4 / (double)ms;
}

static void print_head(const struct sample *now)
{
    struct xen_sysctl_physinfo host;
    unsigned running = 0;

    for (int i = 0; i < now->n; i++)
        running += !!(now->list[i].flags & XEN_DOMINF_running);
    if (!ctl_physinfo(xm_ctl(), &host))
        printf("%d domains, %u running; CPUs: %u at %u MHz; memory: %llu MiB, %llu free\n", now->n, running, host.nr_cpus, host.cpu_khz / 1000,
               (unsigned long long)host.total_pages >> 8, (unsigned long long)host.free_pages >> 8);
    printf("%-24s %5s %-6s %10s %7s %9s %9s %5s\n", "NAME", "ID", "STATE", "CPU(sec)", "CPU(%)", "MEM(MiB)", "MAX(MiB)", "VCPUS");
}

static void print_domain(const struct sample *before, const struct sample *now, const struct xen_domctl_getdomaininfo *d)
{
    char *name = list_name(d->domain), state[8], most[24] = "no limit";

    list_state(d, state);
    if (d->max_pages < 1ULL << 40)
        snprintf(most, sizeof(most), "%llu", (unsigned long long)d->max_pages >> 8);
    printf("%-24.24s %5u %s %10.1f %7.1f %9llu %9s %5u\n", name, d->domain, state, (double)d->cpu_time / 1e9, percent(before, now, d),
           list_mib(d), most, d->nr_online_vcpus);
    free(name);
}

/* Waits; true when the user wants to leave. */
static bool pause_for(unsigned ms, bool keys)
{
    struct pollfd p = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
    char c;

    return poll(&p, 1, (int)ms) > 0 && (read(STDIN_FILENO, &c, 1) <= 0 || c == 'q' || c == 'Q' || c == 3);
}

static int run(bool batch, long long rounds, unsigned ms)
{
    struct sample before = { 0 }, now;
    int rc = take(&before);

    for (long long i = 0; !rc && (!rounds || i < rounds); i++) {
        if (pause_for(i || batch ? ms : 200, !batch))
            break;
        rc = take(&now);
        if (rc)
            break;
        if (!batch)
            printf("\033[H\033[J");
        print_head(&now);
        for (int k = 0; k < now.n; k++)
            print_domain(&before, &now, &now.list[k]);
        fflush(stdout);
        free(before.list);
        before = now;
    }
    free(before.list);
    return rc;
}

int cmd_top(struct args *a)
{
    long long rounds = 0, seconds = 3;
    bool batch = args_has(a, "b") || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
    struct termios old, keys;
    int rc = args_has(a, "i") ? xm_number(args_value(a, "i"), "number of rounds", 1, 1 << 30, &rounds) : 0;

    if (!rc && args_has(a, "d"))
        rc = xm_number(args_value(a, "d"), "seconds", 1, 3600, &seconds);
    rc = rc ? rc : store_open();
    if (rc)
        return rc;
    if (!batch) {
        tcgetattr(STDIN_FILENO, &old);
        keys = old;
        keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    rc = run(batch, batch && !rounds ? 1 : rounds, (unsigned)seconds * 1000);
    if (!batch)
        tcsetattr(STDIN_FILENO, TCSANOW, &old);
    return rc;
}
