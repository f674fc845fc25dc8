/* SPDX-License-Identifier: MIT */
/* The lines of `xm list`. Pure formatting: see list_get.c for what is asked of hypervisor and store. */
#include "list.h"

#include <string.h>

#include <xen/sched.h>

void list_print_head(const struct list_options *o, FILE *out)
{
    fprintf(out, "Name                                        ID   Mem VCPUs\tState\tTime(s)");
    if (o->verbose)
        fprintf(out, "   UUID                            Reason-Code\tSecurity Label");
    if (o->claims)
        fprintf(out, "  Claimed");
    if (o->pool)
        fprintf(out, "         Cpupool");
    if (o->affinity)
        fprintf(out, " NODE Affinity");
    fputc('\n', out);
}

static unsigned reason(const struct xen_domctl_getdomaininfo *d)
{
    return d->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}

void list_state(const struct xen_domctl_getdomaininfo *d, char *out)
{
    bool down = d->flags & XEN_DOMINF_shutdown;

    out[0] = d->flags & XEN_DOMINF_running ? 'r' : '-';
    out[1] = d->flags & XEN_DOMINF_blocked ? 'b' : '-';
    out[2] = d->flags & XEN_DOMINF_paused ? 'p' : '-';
    out[3] = down ? 's' : '-';
    out[4] = !down ? '-' : reason(d) == SHUTDOWN_reboot ? 'r' : reason(d) == SHUTDOWN_suspend ? 's' : reason(d) == SHUTDOWN_crash ? 'c' :
             reason(d) == SHUTDOWN_watchdog ? 'w' : '-';
    out[5] = d->flags & XEN_DOMINF_dying ? 'd' : '-';
    out[6] = 0;
}

unsigned long long list_mib(const struct xen_domctl_getdomaininfo *d)
{
    return (d->tot_pages + d->shr_pages + d->outstanding_pages) >> 8;
}

static void print_uuid(const uint8_t *u, FILE *out)
{
    for (int i = 0; i < 16; i++)
        fprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
}

void list_print_row(const struct list_options *o, const struct xen_domctl_getdomaininfo *d, const char *name, const char *affinity, FILE *out)
{
    char state[8];

    list_state(d, state);
    fprintf(out, "%-40s %5d %5llu %5u     %s  %8.1f", name, d->domain, list_mib(d), d->nr_online_vcpus, state, (double)d->cpu_time / 1e9);
    if (o->verbose) {
        fputc(' ', out);
        print_uuid(d->handle, out);
        if (d->flags & XEN_DOMINF_shutdown)
            fprintf(out, " %8x", reason(d));
        else
            fprintf(out, " %8s", "-");
        fprintf(out, " %16s", "-");
    }
    if (o->claims)
        fprintf(out, " %5llu", (unsigned long long)d->outstanding_pages >> 8);
    if (o->pool)
        fprintf(out, "%16s", d->cpupool ? "Pool-?" : "Pool-0");
    if (o->affinity)
        fprintf(out, " %s", affinity);
    fputc('\n', out);
}
