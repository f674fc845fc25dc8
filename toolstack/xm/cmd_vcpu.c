/* SPDX-License-Identifier: MIT */
/* xm vcpu-list, vcpu-set, vcpu-pin: virtual CPUs, how many and where. */
#include "cpulist.h"
#include "list.h"
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many CPUs the host may have, and the bytes of a map of them. */
static int host_cpus(unsigned *cpus, size_t *bytes)
{
    struct xen_sysctl_physinfo host;
    int rc = ctl_physinfo(xm_ctl(), &host);

    *cpus = host.max_cpu_id + 1 < CPULIST_BYTES * 8 ? host.max_cpu_id + 1 : CPULIST_BYTES * 8;
    *bytes = (*cpus + 7) / 8;
    return rc;
}

static unsigned vcpus_of(const struct xen_domctl_getdomaininfo *d)
{
    return d->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : d->max_vcpu_id + 1;
}

/* --- vcpu-list ------------------------------------------------------------------------------------------------------------- */

struct vcpu_row {
    struct xen_domctl_getvcpuinfo v;
    char hard[128], soft[128];
};

static int get_row(domid_t domid, unsigned vcpu, unsigned cpus, size_t bytes, struct vcpu_row *row)
{
    uint8_t hard[CPULIST_BYTES] = { 0 }, soft[CPULIST_BYTES] = { 0 };
    int rc = ctl_vcpu_info(xm_ctl(), domid, vcpu, &row->v);

    rc = rc ? rc : ctl_vcpu_get_affinity(xm_ctl(), domid, vcpu, hard, soft, bytes);
    cpulist_format(hard, cpus, row->hard, sizeof(row->hard));
    cpulist_format(soft, cpus, row->soft, sizeof(row->soft));
    return rc;
}

static void print_row(const char *name, domid_t domid, unsigned vcpu, const struct vcpu_row *row)
{
    char cpu[8] = "-";

    if (row->v.online)
        snprintf(cpu, sizeof(cpu), "%u", row->v.cpu);
    printf("%-32s %5u %5u %4s   %c%c%c %9.1f  %s / %s\n", name, domid, vcpu, cpu, row->v.online && row->v.running ? 'r' : '-',
           row->v.online && row->v.blocked ? 'b' : '-', row->v.online ? '-' : 'p', (double)row->v.cpu_time / 1e9, row->hard, row->soft);
}

static struct json_object *json_row(const char *name, domid_t domid, unsigned vcpu, const struct vcpu_row *row)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "domid", json_object_new_int(domid));
    json_object_object_add(o, "vcpu", json_object_new_int((int)vcpu));
    json_object_object_add(o, "cpu", row->v.online ? json_object_new_int((int)row->v.cpu) : NULL);
    json_object_object_add(o, "online", json_object_new_boolean(row->v.online));
    json_object_object_add(o, "running", json_object_new_boolean(row->v.running));
    json_object_object_add(o, "blocked", json_object_new_boolean(row->v.blocked));
    json_object_object_add(o, "cpu_time_ns", json_object_new_int64((int64_t)row->v.cpu_time));
    json_object_object_add(o, "hard_affinity", json_object_new_string(row->hard));
    json_object_object_add(o, "soft_affinity", json_object_new_string(row->soft));
    return o;
}

/* A domain may end while it is looked at: that is no failure. */
static void list_domain(const struct xen_domctl_getdomaininfo *d, unsigned cpus, size_t bytes, struct json_object *json)
{
    char *name = list_name(d->domain);
    struct vcpu_row row;

    for (unsigned v = 0; v < vcpus_of(d); v++) {
        if (get_row(d->domain, v, cpus, bytes, &row)) {
            fault_clear();
            break;
        }
        if (json)
            json_object_array_add(json, json_row(name, d->domain, v, &row));
        else
            print_row(name, d->domain, v, &row);
    }
    free(name);
}

int cmd_vcpu_list(struct args *a)
{
    struct xen_domctl_getdomaininfo *all = NULL, one;
    struct json_object *json = args_has(a, "json") ? json_object_new_array() : NULL;
    unsigned cpus;
    size_t bytes;
    uint32_t domid;
    int rc = host_cpus(&cpus, &bytes), n = 0;

    if (!rc && store_open())
        warn("%s; names are missing", fault_text());
    if (!rc && !json)
        printf("%-32s %5s %5s %5s %5s %9s %s\n", "Name", "ID", "VCPU", "CPU", "State", "Time(s)", "Affinity (Hard / Soft)");
    for (unsigned i = 0; i < a->n && !rc; i++) {
        rc = xm_domain(a->operands[i], &domid, &one);
        if (!rc)
            list_domain(&one, cpus, bytes, json);
    }
    if (!rc && !a->n)
        n = ctl_domain_list(xm_ctl(), &all);
    for (int i = 0; i < n; i++)
        list_domain(&all[i], cpus, bytes, json);
    free(all);
    if (json)
        xm_print_json(json);
    return rc ? rc : n < 0 ? n : 0;
}

/* --- vcpu-set ---------------------------------------------------------------------------------------------------------------- */

struct availability {
    uint32_t domid;
    unsigned wanted, all;
};

static int write_availability(const void *arg)
{
    const struct availability *a = arg;
    int rc = 0;

    for (unsigned i = 0; i < a->all && !rc; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/local/domain/%u/cpu/%u/availability", a->domid, i);
        rc = store_write(path, "%s", i < a->wanted ? "online" : "offline");
    }
    return rc;
}

int cmd_vcpu_set(struct args *a)
{
    struct xen_domctl_getdomaininfo d;
    struct xen_sysctl_physinfo host;
    uint32_t domid;
    long long wanted;
    int rc = xm_domain(a->operands[0], &domid, &d);

    rc = rc ? rc : xm_number(a->operands[1], "number of virtual CPUs", 1, 4096, &wanted);
    rc = rc ? rc : ctl_physinfo(xm_ctl(), &host);
    rc = rc ? rc : store_open();
    if (rc)
        return rc;
    if (wanted > vcpus_of(&d))
        return fault(-EINVAL, "domain %u: it was made for %u virtual CPUs; set 'maxvcpus = %lld' and create it anew", domid, vcpus_of(&d), wanted);
    if (wanted > host.nr_cpus && wanted > d.nr_online_vcpus && !args_has(a, "ignore-host"))
        return fault(-EINVAL, "domain %u: %lld virtual CPUs are more than the host's %u; add -i if that is meant", domid, wanted, host.nr_cpus);
    return store_transact(write_availability, &(struct availability){ domid, (unsigned)wanted, vcpus_of(&d) });
}

/* --- vcpu-pin ---------------------------------------------------------------------------------------------------------------- */

struct pin {
    bool hard, soft, force;
    uint8_t hard_map[CPULIST_BYTES], soft_map[CPULIST_BYTES];
    unsigned cpus;
    size_t bytes;
};

static int parse_pin(struct args *a, struct pin *p)
{
    int rc = host_cpus(&p->cpus, &p->bytes);

    p->force = args_has(a, "force");
    p->hard = strcmp(a->operands[2], "-") != 0;
    p->soft = a->n > 3 && strcmp(a->operands[3], "-") != 0;
    if (!rc && p->hard)
        rc = cpulist_parse(a->operands[2], p->cpus, p->hard_map);
    if (!rc && p->soft)
        rc = cpulist_parse(a->operands[3], p->cpus, p->soft_map);
    if (!rc && !p->hard && !p->soft)
        rc = fault(-EINVAL, "nothing is to be changed: give a list of CPUs");
    return rc;
}

static int pin_one(domid_t domid, unsigned vcpu, const struct pin *p)
{
    uint8_t hard[CPULIST_BYTES], soft[CPULIST_BYTES]; /* the call changes them to what is in effect */

    memcpy(hard, p->hard_map, sizeof(hard));
    memcpy(soft, p->soft_map, sizeof(soft));
    return ctl_vcpu_set_affinity(xm_ctl(), domid, vcpu, p->hard ? hard : NULL, p->soft ? soft : NULL, p->bytes, p->force);
}

int cmd_vcpu_pin(struct args *a)
{
    struct xen_domctl_getdomaininfo d;
    struct pin p;
    uint32_t domid;
    long long first = 0, last;
    bool all = !strcmp(a->operands[1], "all");
    int rc = xm_domain(a->operands[0], &domid, &d);

    if (rc)
        return rc;
    last = (long long)vcpus_of(&d) - 1;
    if (!all) {
        rc = xm_number(a->operands[1], "virtual CPU", 0, last, &first);
        last = first;
    }
    rc = rc ? rc : parse_pin(a, &p);
    for (long long v = first; v <= last && !rc; v++)
        rc = pin_one((domid_t)domid, (unsigned)v, &p);
    return rc;
}
