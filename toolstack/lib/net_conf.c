/* SPDX-License-Identifier: MIT */
/* Reads network.conf. The syntax stands in net_conf.h. */
#include "net_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

static const char *const kinds[] = { [NET_NAT] = "nat", [NET_BRIDGE] = "bridge", [NET_ROUTED] = "routed", [NET_PRIVATE] = "private" };

const char *net_kind_name(enum net_kind kind)
{
    return kinds[kind];
}

const struct net_network *net_conf_find(const struct net_conf *c, const char *name)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (!strcmp(c->network[i].name, name))
            return &c->network[i];
    }
    return NULL;
}

static int conf_name(char *out, const char *word, const char *value)
{
    if (!link_name_ok(value))
        return fault(-EINVAL, "'%s': '%.40s' cannot be an interface's name (1 to 15 letters or digits)", word, value);
    strcpy(out, value);
    return 0;
}

static int conf_mtu(unsigned *mtu, const char *value)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*end || n < 68 || n > 65535)
        return fault(-EINVAL, "'mtu=%.20s': is none (68 to 65535)", value);
    *mtu = (unsigned)n;
    return 0;
}

static int conf_word(struct net_network *net, const char *word)
{
    if (!strncmp(word, "address=", 8))
        return address_parse(&net->address, word + 8);
    if (!strncmp(word, "port=", 5))
        return conf_name(net->port, "port", word + 5);
    if (!strncmp(word, "out=", 4))
        return conf_name(net->out, "out", word + 4);
    if (!strncmp(word, "mtu=", 4))
        return conf_mtu(&net->mtu, word + 4);
    return fault(-EINVAL, "'%.40s': unknown; address=, port=, out= or mtu=", word);
}

static int conf_check(const struct net_network *net)
{
    if (net->kind == NET_NAT && (net->address.family != AF_INET || net->address.prefix > 30))
        return fault(-EINVAL, "nat %s: needs an IPv4 address with a prefix up to 30, as in address=10.77.0.1/24", net->name);
    if (net->kind == NET_ROUTED && !net->address.family)
        return fault(-EINVAL, "routed %s: needs address=, which guests take as their gateway", net->name);
    if (*net->port && net->kind != NET_BRIDGE)
        return fault(-EINVAL, "%s %s: port= goes with 'bridge'", net_kind_name(net->kind), net->name);
    if (*net->out && net->kind != NET_NAT)
        return fault(-EINVAL, "%s %s: out= goes with 'nat'", net_kind_name(net->kind), net->name);
    return 0;
}

static int conf_network(struct net_conf *c, enum net_kind kind, char **save)
{
    struct net_network *net = &c->network[c->n];
    char *word = strtok_r(NULL, " \t\r", save);
    int rc;

    if (c->n == NET_CONF_MAX)
        return fault(-E2BIG, "more than %d networks", NET_CONF_MAX);
    memset(net, 0, sizeof(*net));
    net->kind = kind;
    if (!word)
        return fault(-EINVAL, "'%s' needs a name, as in '%s zbr0'", kinds[kind], kinds[kind]);
    rc = conf_name(net->name, kinds[kind], word);
    if (!rc && net_conf_find(c, net->name))
        rc = fault(-EEXIST, "network '%s' is there already", net->name);
    while (!rc && (word = strtok_r(NULL, " \t\r", save)))
        rc = conf_word(net, word);
    if (!rc)
        rc = conf_check(net);
    if (!rc)
        c->n++;
    return rc;
}

static int conf_line(struct net_conf *c, char *line)
{
    char *save, *word;

    line[strcspn(line, "#")] = 0;
    word = strtok_r(line, " \t\r", &save);
    if (!word)
        return 0;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!strcmp(word, kinds[i]))
            return conf_network(c, (enum net_kind)i, &save);
    }
    if (strcmp(word, "default"))
        return fault(-EINVAL, "'%.40s': unknown; nat, bridge, routed, private or default", word);
    word = strtok_r(NULL, " \t\r", &save);
    return word ? conf_name(c->fallback, "default", word) : fault(-EINVAL, "'default' needs a network's name");
}

int net_conf_parse(struct net_conf *c, const char *file, const char *text)
{
    unsigned number = 0;
    int rc = 0;

    memset(c, 0, sizeof(*c));
    while (*text && !rc) {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);
        number++;
        rc = line ? conf_line(c, line) : -ENOMEM;
        free(line);
        text += n + (text[n] == '\n');
    }
    if (rc)
        return fault(rc, "%s:%u", file, number);
    if (!*c->fallback && c->n)
        strcpy(c->fallback, c->network[0].name);
    return 0;
}

int net_conf_load(struct net_conf *c, const char *file)
{
    char text[16384];
    FILE *f = fopen(file ? file : NET_CONF_FILE, "re");

    if (!f && !file && errno == ENOENT)
        return net_conf_parse(c, NET_CONF_FILE, "nat zbr0 address=10.77.0.1/24\n");
    if (!f)
        return fault(-errno, "%s: %s", file ? file : NET_CONF_FILE, strerror(errno));
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    bool more = !feof(f) && fgetc(f) != EOF;
    fclose(f);
    text[n] = 0;
    if (more)
        return fault(-EFBIG, "%s: larger than %zu bytes", file ? file : NET_CONF_FILE, sizeof(text));
    return net_conf_parse(c, file ? file : NET_CONF_FILE, text);
}
