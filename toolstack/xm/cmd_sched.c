/* SPDX-License-Identifier: MIT */
/* xm sched-credit, sched-credit2: weights and caps; cpupool-list: the pool of CPUs that they share. */
#include "cpulist.h"
#include "list.h"
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void print_head(unsigned sched)
{
    struct xen_sysctl_scheduler_op op = { .sched_id = sched, .cmd = XEN_SYSCTL_SCHEDOP_getinfo };

    if (ctl_sched_global(xm_ctl(), &op)) {
        fault_clear();
        printf("Cpupool Pool-0:\n");
    } else if (sched == XEN_SCHEDULER_CREDIT2) {
        printf("Cpupool Pool-0: ratelimit=%uus\n", op.u.sched_credit2.ratelimit_us);
    } else {
        printf("Cpupool Pool-0: tslice=%ums ratelimit=%uus migration-delay=%uus\n", op.u.sched_credit.tslice_ms, op.u.sched_credit.ratelimit_us,
               op.u.sched_credit.vcpu_migr_delay_us);
    }
}

static int print_domain(domid_t domid, unsigned sched, struct json_object *json)
{
    unsigned weight, cap;
    int rc = ctl_sched_get(xm_ctl(), domid, sched, &weight, &cap);
    char *name = list_name(domid);

    if (!rc && json) {
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "domid", json_object_new_int(domid));
        json_object_object_add(o, "weight", json_object_new_int((int)weight));
        json_object_object_add(o, "cap", json_object_new_int((int)cap));
        json_object_array_add(json, o);
    } else if (!rc) {
        printf("%-33s %4u %6u %4u\n", name, domid, weight, cap);
    }
    free(name);
    return rc;
}

static int print_all(unsigned sched, struct json_object *json)
{
    struct xen_domctl_getdomaininfo *list;
    int n = ctl_domain_list(xm_ctl(), &list);

    for (int i = 0; i < n; i++)
        if (print_domain(list[i].domain, sched, json))
            fault_clear(); /* it ended meanwhile */
    if (n >= 0)
        free(list);
    return n < 0 ? n : 0;
}

static int set_domain(struct args *a, domid_t domid, unsigned sched)
{
    long long weight = -1, cap = -1;
    int rc = args_has(a, "weight") ? xm_number(args_value(a, "weight"), "weight", 1, 65535, &weight) : 0;

    if (!rc && args_has(a, "cap"))
        rc = xm_number(args_value(a, "cap"), "cap", 0, 65535, &cap);
    return rc ? rc : ctl_sched_set(xm_ctl(), domid, sched, (int)weight, (int)cap);
}

static bool wants_global(struct args *a)
{
    return args_has(a, "schedparam") || args_has(a, "ratelimit_us") || (!strcmp(a->command->name, "sched-credit") && args_has(a, "tslice_ms"));
}

static int set_global(struct args *a, unsigned sched)
{
    struct xen_sysctl_scheduler_op op = { .sched_id = sched, .cmd = XEN_SYSCTL_SCHEDOP_getinfo };
    long long limit, slice;
    int rc = ctl_sched_global(xm_ctl(), &op);

    if (!rc && args_has(a, "ratelimit_us")) {
        rc = xm_number(args_value(a, "ratelimit_us"), "ratelimit", 0, 500000, &limit);
        if (sched == XEN_SCHEDULER_CREDIT2)
            op.u.sched_credit2.ratelimit_us = (uint32_t)limit;
        else
            op.u.sched_credit.ratelimit_us = (uint32_t)limit;
    }
    if (!rc && sched == XEN_SCHEDULER_CREDIT && args_has(a, "tslice_ms")) {
        rc = xm_number(args_value(a, "tslice_ms"), "time slice", 1, 1000, &slice);
        op.u.sched_credit.tslice_ms = (uint32_t)slice;
    }
    op.cmd = XEN_SYSCTL_SCHEDOP_putinfo;
    op.sched_id = sched;
    if (!rc && (args_has(a, "ratelimit_us") || sched == XEN_SCHEDULER_CREDIT))
        rc = ctl_sched_global(xm_ctl(), &op);
    if (!rc)
        print_head(sched);
    return rc;
}

static int one_domain(struct args *a, const char *word, unsigned sched, struct json_object *json)
{
    uint32_t domid;
    int rc = xm_domain(word, &domid, NULL);

    if (rc)
        return rc;
    if (args_has(a, "weight") || args_has(a, "cap"))
        return set_domain(a, (domid_t)domid, sched);
    if (!json)
        printf("%-33s %4s %6s %4s\n", "Name", "ID", "Weight", "Cap");
    return print_domain((domid_t)domid, sched, json);
}

/* Without anything to change, a scheduler that does not run lists nothing, as xl does. */
static int other_scheduler(struct args *a, unsigned running)
{
    if (!args_has(a, "domain") && !a->n && !wants_global(a))
        return 0;
    return fault(-EINVAL, "the host's scheduler is %s; use `%s sched-%s`", ctl_sched_name(running), program, ctl_sched_name(running));
}

int cmd_sched(struct args *a)
{
    unsigned sched, wanted = strcmp(a->command->name, "sched-credit") ? XEN_SCHEDULER_CREDIT2 : XEN_SCHEDULER_CREDIT;
    const char *word = args_has(a, "domain") ? args_value(a, "domain") : a->n ? a->operands[0] : NULL;
    struct json_object *json;
    int rc = ctl_sched_id(xm_ctl(), &sched);

    rc = rc ? rc : store_open();
    if (rc || sched != wanted)
        return rc ? rc : other_scheduler(a, sched);
    if (!word && (args_has(a, "weight") || args_has(a, "cap")))
        return usage_error(a, "whose weight or cap? add -d DOMAIN");
    if (wants_global(a))
        return set_global(a, sched);
    json = args_has(a, "json") ? json_object_new_array() : NULL;
    if (!word && !json) {
        print_head(sched);
        printf("%-33s %4s %6s %4s\n", "Name", "ID", "Weight", "Cap");
    }
    rc = word ? one_domain(a, word, sched, json) : print_all(sched, json);
    if (json)
        xm_print_json(json);
    return rc;
}

/* --- pools ------------------------------------------------------------------------------------------------------------------- */

static void pool_name(uint32_t id, char *out, size_t size)
{
    char *name = store_handle() ? store_read("/local/pool/%u/name", id) : NULL;

    if (name)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "Pool-%u", id);
    free(name);
}

static unsigned cpu_numbers(const uint8_t *map, char *list, size_t size)
{
    size_t at = 0;
    unsigned n = 0;

    *list = 0;
    for (unsigned i = 0; i < CPULIST_BYTES * 8; i++)
        if (map[i / 8] >> i % 8 & 1) {
            n++;
            if (at + 8 < size)
                at += (size_t)snprintf(list + at, size - at, "%s%u", at ? "," : "", i);
        }
    return n;
}

static void print_pool(const char *name, const struct xen_sysctl_cpupool_op *p, const uint8_t *map, bool cpus, struct json_object *json)
{
    char list[1024];
    unsigned n = cpu_numbers(map, list, sizeof(list));

    if (json) {
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "id", json_object_new_int((int)p->cpupool_id));
        json_object_object_add(o, "cpus", json_object_new_string(list));
        json_object_object_add(o, "scheduler", json_object_new_string(ctl_sched_name(p->sched_id)));
        json_object_object_add(o, "domains", json_object_new_int((int)p->n_dom));
        json_object_array_add(json, o);
    } else if (cpus) {
        printf("%-19s%s\n", name, list);
    } else {
        printf("%-19s%3u %9s       %s          %u\n", name, n, ctl_sched_name(p->sched_id), "y", p->n_dom);
    }
}

int cmd_cpupool_list(struct args *a)
{
    struct xen_sysctl_cpupool_op p;
    struct json_object *json = args_has(a, "json") ? json_object_new_array() : NULL;
    uint8_t map[CPULIST_BYTES] = { 0 };
    bool cpus = args_has(a, "c"), found = false;
    char name[64];
    int rc;

    if (store_open())
        fault_clear();
    if (!json && cpus)
        printf("%-19s%s\n", "Name", "CPU list");
    else if (!json)
        printf("%-19sCPUs   Sched     Active   Domain count\n", "Name");
    for (uint32_t id = 0; !(rc = ctl_cpupool_info(xm_ctl(), id, &p, map, sizeof(map))); id = p.cpupool_id + 1) {
        pool_name(p.cpupool_id, name, sizeof(name));
        if (!a->n || !strcmp(name, a->operands[0])) {
            print_pool(name, &p, map, cpus, json);
            found = true;
        }
        memset(map, 0, sizeof(map));
    }
    if (json)
        xm_print_json(json);
    if (rc != -ENOENT)
        return rc;
    return found ? 0 : fault(-ENOENT, "there is no CPU pool '%s'", a->n ? a->operands[0] : "");
}
