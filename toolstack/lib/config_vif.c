/* SPDX-License-Identifier: MIT */
/* One network interface: "key=value,..." as xl-network-configuration(5) has it; the empty string is one with all defaults. */
#include "config_private.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 15 /* of a network device in Linux */

struct nic_reader {
    struct cfg *c;
    struct nic_config *n;
    const struct cfg_value *spec;
};

static int nic_set_mac(struct nic_reader *r, const struct cfg_part *p)
{
    bool good = p->value_len == 17;

    for (size_t i = 0; good && i < 17; i++)
        good = i % 3 == 2 ? p->value[i] == ':' : isxdigit((unsigned char)p->value[i]) != 0;
    if (p->value_len && !good)
        return cfg_part_fail(r->c, r->spec, p, "no MAC address; write six pairs of hexadecimal digits, as 00:16:3e:12:34:56");
    if (good && strchr("13579bBdDfF", p->value[1]))
        return cfg_part_fail(r->c, r->spec, p, "a multicast address; the second digit must be even");
    return cfg_part_str(r->c, r->spec, p, &r->n->mac);
}

static int nic_set_device(struct nic_reader *r, const struct cfg_part *p, char **to)
{
    bool good = p->value_len <= NAME_MAX_LEN;

    for (size_t i = 0; i < p->value_len; i++)
        good &= p->value[i] != '/' && p->value[i] > ' ';
    if (!good)
        return cfg_part_fail(r->c, r->spec, p, "no name of a network device; those have at most 15 characters, no blank and no '/'");
    return cfg_part_str(r->c, r->spec, p, to);
}

/* Addresses, with or without /prefix, blanks between. */
static int nic_set_ip(struct nic_reader *r, const struct cfg_part *p)
{
    const char *s = p->value, *end = s + p->value_len;

    while (s < end) {
        size_t len = 0;
        char one[64];
        unsigned char raw[16];

        while (s + len < end && !isspace((unsigned char)s[len]))
            len++;
        if (len) {
            size_t copy = len < sizeof(one) - 1 ? len : sizeof(one) - 1;

            memcpy(one, s, copy);
            one[copy] = 0;
            one[strcspn(one, "/")] = 0;
            if (inet_pton(AF_INET, one, raw) != 1 && inet_pton(AF_INET6, one, raw) != 1)
                return cfg_fail_word(r->c, r->spec, (size_t)(s - r->spec->str), len,
                                     "no IP address; write as 192.0.2.7, several with blanks between");
        }
        s += len ? len : 1;
    }
    return cfg_part_str(r->c, r->spec, p, &r->n->ip);
}

/* RATE[G|M|K](B|b)/s[@INTERVAL(us|ms|s)] */
static int nic_set_rate(struct nic_reader *r, const struct cfg_part *p)
{
    const char *s = p->value, *end = s + p->value_len, *digits = s;
    bool good;

    while (s < end && isdigit((unsigned char)*s))
        s++;
    good = s > digits && s - digits < 16;
    s += s < end && strchr("GMKgmk", *s);
    s += s < end && (*s | 32) == 'b';
    if (end - s >= 2 && memcmp(s, "/s", 2) == 0)
        s += 2;
    if (s < end && *s == '@') {
        for (digits = ++s; s < end && isdigit((unsigned char)*s);)
            s++;
        good &= s > digits && s - digits < 10;
        s += end - s >= 2 && (memcmp(s, "ms", 2) == 0 || memcmp(s, "us", 2) == 0) ? 2 : s < end && *s == 's';
    }
    if (p->value_len && (!good || s != end))
        return cfg_part_fail(r->c, r->spec, p, "no rate; write as 10Mb/s (bits), 250KB/s (bytes) or 1MB/s@20ms");
    return cfg_part_str(r->c, r->spec, p, &r->n->rate);
}

static int nic_number(struct nic_reader *r, const struct cfg_part *p, int64_t max, int64_t *num)
{
    if (text_to_int(p->value, p->value_len, num) && *num >= 0 && *num <= max)
        return 0;
    return cfg_part_fail(r->c, r->spec, p, "no number that fits here");
}

static int nic_set_type(struct nic_reader *r, const struct cfg_part *p)
{
    if (cfg_part_value_is(p, "ioemu"))
        r->n->ioemu = true;
    else if (p->value_len && !cfg_part_value_is(p, "vif") && !cfg_part_value_is(p, "netfront"))
        return cfg_part_fail(r->c, r->spec, p, "no type of network interface; known are vif and ioemu");
    return 0;
}

static int nic_part(struct nic_reader *r, const struct cfg_part *p)
{
    static const struct { const char *key; size_t offset; bool device; } texts[] = {
        { "bridge", offsetof(struct nic_config, bridge), true }, { "vifname", offsetof(struct nic_config, vifname), true },
        { "gatewaydev", offsetof(struct nic_config, gatewaydev), true }, { "netdev", offsetof(struct nic_config, gatewaydev), true },
        { "script", offsetof(struct nic_config, script), false }, { "backend", offsetof(struct nic_config, backend), false },
        { "model", offsetof(struct nic_config, model), false },
    };
    int64_t num = 0;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (cfg_part_is(p, texts[i].key) && p->has_value) {
            char **to = (char **)((char *)r->n + texts[i].offset);

            return texts[i].device ? nic_set_device(r, p, to) : cfg_part_str(r->c, r->spec, p, to);
        }
    }
    if (!p->has_value && (cfg_part_is(p, "trusted") || cfg_part_is(p, "untrusted")))
        return r->n->trusted = cfg_part_is(p, "trusted"), 0;
    if (!p->has_value && !p->key_len)
        return 0;
    if (cfg_part_is(p, "mac"))
        return nic_set_mac(r, p);
    if (cfg_part_is(p, "ip"))
        return nic_set_ip(r, p);
    if (cfg_part_is(p, "rate"))
        return nic_set_rate(r, p);
    if (cfg_part_is(p, "type"))
        return nic_set_type(r, p);
    if (cfg_part_is(p, "devid"))
        return nic_number(r, p, 4095, &num) ? r->c->rc : (r->n->devid = (int)num, 0);
    if (cfg_part_is(p, "mtu"))
        return nic_number(r, p, 65535, &num) ? r->c->rc : (r->n->mtu = (unsigned)num, 0);
    return cfg_fail_word(r->c, r->spec, p->key_at, p->key_len, "no option of a network interface; known are mac, bridge, ip, script, "
                         "vifname, rate, gatewaydev, backend, type, model, devid, mtu, trusted, untrusted");
}

int cfg_nic_parse(struct cfg *c, struct nic_config *n, const struct cfg_value *spec)
{
    struct nic_reader r = { .c = c, .n = n, .spec = spec };
    struct cfg_part p;

    n->devid = -1;
    n->trusted = true;
    if (spec->kind != V_STR)
        return cfg_fail(c, spec->at, "a network interface is text like 'bridge=xenbr0', this is %s", val_kind_name(spec));
    for (size_t offset = 0; cfg_part_next(spec, &offset, &p);)
        if (nic_part(&r, &p))
            return c->rc;
    return 0;
}
