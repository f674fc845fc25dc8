/* SPDX-License-Identifier: MIT */
/* xm list, vm-list, domid, domname, claims: which domains there are. The columns are xl's, which other programs read. */
#include "list.h"
#include "xm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/sched.h>

/* The domains that the operands name, or all; *list is to be freed. A name that is none is a failure. */
static int select_domains(struct args *a, struct xen_domctl_getdomaininfo **list)
{
    uint32_t domid;
    int n = 0;

    if (!a->n)
        return ctl_domain_list(xm_ctl(), list);
    *list = calloc(a->n, sizeof(**list));
    if (!*list)
        return fault(-ENOMEM, "no memory");
    for (unsigned i = 0; i < a->n; i++, n++) {
        int rc = xm_domain(a->operands[i], &domid, &(*list)[n]);

        if (rc) {
            free(*list);
            *list = NULL;
            return rc;
        }
    }
    return n;
}

static void print_rows(struct args *a, const struct xen_domctl_getdomaininfo *list, int n)
{
    struct list_options o = { .verbose = args_has(a, "v"), .pool = args_has(a, "c"), .affinity = args_has(a, "n") };

    char **names = calloc((size_t)n + 1, sizeof(*names));

    if (names && store_handle() && domain_names(list, (unsigned)n, names))
        fault_clear(); /* it answered a moment ago; the names are missing then */
    list_print_head(&o, stdout);
    for (int i = 0; i < n; i++) {
        char *name = names && names[i] ? names[i] : NULL, affinity[256] = "all";

        if (o.affinity)
            list_affinity(xm_ctl(), &list[i], affinity, sizeof(affinity));
        list_print_row(&o, &list[i], name ? name : list[i].domain ? "(null)" : "Domain-0", affinity, stdout);
        free(name);
    }
    free(names);
}

/* Guests that zendod restarts and that have no domain at this moment: listed as shut down for a reboot. */
static void print_restarting(const struct xen_domctl_getdomaininfo *list, int n)
{
    const struct list_options o = { 0 };
    unsigned count;
    char **names = store_handle() ? store_list(&count, "/zendo/restarting") : NULL;

    for (unsigned i = 0; names && i < count; i++) {
        struct xen_domctl_getdomaininfo d = { .flags = XEN_DOMINF_shutdown | SHUTDOWN_reboot << XEN_DOMINF_shutdownshift };
        int64_t old = 0;
        bool listed = store_read_number(&old, "/zendo/restarting/%s", names[i]);

        domain_name_unescape(names[i]);
        for (int k = 0; k < n && !listed; k++) {
            char *name = list_name(list[k].domain);

            listed = !strcmp(name, names[i]);
            free(name);
        }
        if (!listed) {
            d.domain = (domid_t)old;
            list_print_row(&o, &d, names[i], "", stdout);
        }
    }
    free(names);
}

static void print_json(const struct xen_domctl_getdomaininfo *list, int n, bool details)
{
    struct json_object *all = json_object_new_array();

    for (int i = 0; i < n; i++)
        json_object_array_add(all, list_json(&list[i], details));
    xm_print_json(all);
}

static void want_names(void)
{
    if (store_open())
        warn("%s; names are missing", fault_text());
}

int cmd_list(struct args *a)
{
    struct xen_domctl_getdomaininfo *list;
    int n = select_domains(a, &list);

    if (n < 0)
        return n;
    want_names();
    if (args_has(a, "json") || args_has(a, "l"))
        print_json(list, n, args_has(a, "l"));
    else
        print_rows(a, list, n);
    if (!a->n && !args_has(a, "json") && !args_has(a, "l"))
        print_restarting(list, n);
    free(list);
    return 0;
}

int cmd_claims(struct args *a)
{
    struct xen_domctl_getdomaininfo *list;
    struct list_options o = { .claims = true };
    int n = ctl_domain_list(xm_ctl(), &list);

    if (n < 0)
        return n;
    want_names();
    if (args_has(a, "json")) {
        print_json(list, n, false);
        n = 0;
    } else {
        list_print_head(&o, stdout);
    }
    for (int i = 0; i < n; i++) {
        char *name = list_name(list[i].domain);

        list_print_row(&o, &list[i], name, "", stdout);
        free(name);
    }
    free(list);
    return 0;
}

int cmd_vm_list(struct args *a)
{
    struct xen_domctl_getdomaininfo *list;
    char uuid[37];
    int n = ctl_domain_list(xm_ctl(), &list);

    if (n < 0)
        return n;
    want_names();
    if (args_has(a, "json")) {
        print_json(list, n, false);
        n = 0;
    } else {
        printf("UUID                                  ID    name\n");
    }
    for (int i = 0; i < n; i++) {
        char *name = list_name(list[i].domain);

        domain_format_uuid(list[i].handle, uuid);
        printf("%s  %d    %-30s\n", uuid, list[i].domain, name);
        free(name);
    }
    free(list);
    return 0;
}

int cmd_domid(struct args *a)
{
    uint32_t domid;
    int rc = xm_domain(a->operands[0], &domid, NULL);

    if (!rc)
        printf("%u\n", domid);
    return rc;
}

int cmd_domname(struct args *a)
{
    uint32_t domid;
    int rc = xm_domain(a->operands[0], &domid, NULL);
    char *name = rc ? NULL : domain_name(domid);

    if (!rc && !name)
        rc = fault(-ENOENT, "domain %u has no name", domid);
    if (!rc)
        puts(name);
    free(name);
    return rc;
}
