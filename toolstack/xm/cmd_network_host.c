/* SPDX-License-Identifier: MIT */
/* xm network: the host's networks, those of network.conf and other bridges, with who is on them. `xm network up` has zendod make them. */
#include "net_conf.h"
#include "xm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct host_link {
    struct link l;
    char address[64];
};

struct host_links {
    struct host_link *list;
    unsigned n;
};

static int host_first_address(const struct address *a, void *arg)
{
    address_text(arg, a);
    return 1;
}

static int host_collect(const struct link *l, void *arg)
{
    struct host_links *h = arg;
    struct host_link *more = realloc(h->list, (h->n + 1) * sizeof(*more));

    if (!more)
        return -1;
    h->list = more;
    more[h->n++] = (struct host_link){ .l = *l, .address = "-" };
    return 0;
}

static const struct host_link *host_find(const struct host_links *h, const char *name)
{
    for (unsigned i = 0; i < h->n; i++) {
        if (!strcmp(h->list[i].l.name, name))
            return &h->list[i];
    }
    return NULL;
}

/* "vif3.0" is guest 3's: its name behind it. */
static void host_member(char *out, size_t size, const struct link *l)
{
    unsigned domid, id;
    char *name = sscanf(l->name, "vif%u.%u", &domid, &id) == 2 && store_handle() ? store_read("/local/domain/%u/name", domid) : NULL;

    if (name)
        snprintf(out, size, "%s (%s)", l->name, name);
    else
        snprintf(out, size, "%s", l->name);
    free(name);
}

static struct json_object *host_row(const struct host_links *h, const char *name, const char *kind, const struct net_network *net)
{
    const struct host_link *link = host_find(h, name);
    struct json_object *o = json_object_new_object(), *members = json_object_new_array();
    char address[64] = "-";

    if (net && net->address.family)
        address_text(address, &net->address);
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "kind", json_object_new_string(kind));
    json_object_object_add(o, "state", json_object_new_string(net && net->kind == NET_ROUTED ? "routed" : !link ? "missing"
                                                              : link->l.up ? "up" : "down"));
    json_object_object_add(o, "address", json_object_new_string(link && strcmp(link->address, "-") ? link->address : address));
    json_object_object_add(o, "mtu", link ? json_object_new_int64(link->l.mtu) : NULL);
    for (unsigned i = 0; link && i < h->n; i++) {
        char member[160];
        if (h->list[i].l.master != link->l.index)
            continue;
        host_member(member, sizeof(member), &h->list[i].l);
        json_object_array_add(members, json_object_new_string(member));
    }
    json_object_object_add(o, "members", members);
    return o;
}

static const char *host_text(struct json_object *o, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(o, key, &v) && v ? json_object_get_string(v) : "-";
}

static void host_print(struct json_object *all, const char *fallback)
{
    printf("%-15s %-8s %-8s %-19s %5s  %s\n", "Name", "Kind", "State", "Address", "MTU", "Members");
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *o = json_object_array_get_idx(all, i), *members;
        printf("%-15s %-8s %-8s %-19s %5s  ", host_text(o, "name"), host_text(o, "kind"), host_text(o, "state"), host_text(o, "address"),
               host_text(o, "mtu"));
        json_object_object_get_ex(o, "members", &members);
        for (size_t m = 0; m < json_object_array_length(members); m++)
            printf("%s%s", m ? ", " : "", json_object_get_string(json_object_array_get_idx(members, m)));
        puts(!strcmp(host_text(o, "name"), fallback) ? json_object_array_length(members) ? "  [default]" : "[default]" : "");
    }
}

static int host_up(void)
{
    execlp("zendod", "zendod", "--networks", (char *)NULL);
    return fault(-1, "zendod is not to be found; it makes the networks");
}

int cmd_network(struct args *a)
{
    struct host_links h = { NULL, 0 };
    struct net_conf conf;
    int rc = net_conf_load(&conf, NULL);

    if (a->n && strcmp(a->operands[0], "up"))
        return usage_error(a, "'%s': only 'up' is known", a->operands[0]);
    if (a->n)
        return host_up();
    if (!rc && store_open())
        fault_clear();                  /* names of guests are missing then, nothing else */
    rc = rc ? rc : link_each(host_collect, &h);
    if (rc)
        return rc;
    struct json_object *all = json_object_new_array();
    for (unsigned i = 0; i < h.n; i++) {
        if (!strcmp(h.list[i].l.kind, "bridge"))
            address_each(&h.list[i].l, AF_INET, host_first_address, h.list[i].address);
    }
    for (unsigned i = 0; i < conf.n; i++)
        json_object_array_add(all, host_row(&h, conf.network[i].name, net_kind_name(conf.network[i].kind), &conf.network[i]));
    for (unsigned i = 0; i < h.n; i++) {
        if (!strcmp(h.list[i].l.kind, "bridge") && !net_conf_find(&conf, h.list[i].l.name))
            json_object_array_add(all, host_row(&h, h.list[i].l.name, "(other)", NULL));
    }
    if (args_has(a, "json")) {
        xm_print_json(all);
    } else {
        host_print(all, conf.fallback);
        json_object_put(all);
    }
    free(h.list);
    return 0;
}
