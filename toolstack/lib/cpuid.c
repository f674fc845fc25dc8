/* SPDX-License-Identifier: MIT */
/* Reads `cpuid =`, and changes a policy's leaves by it. No system calls. */
#include "cpuid.h"
#include "fault.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SUBLEAVES(leaf) ((leaf) == 4 || (leaf) == 7 || (leaf) == 0xb || (leaf) == 0xd)

static int bad(const char *word, size_t len, const char *why)
{
    return fault(-EINVAL, "cpuid: '%.*s': %s; mend 'cpuid ='", (int)len, word, why);
}

static struct cpuid_change *add(struct cpuid_changes *out, const struct cpuid_change *c, const char *word, size_t len)
{
    if (out->n == CPUID_CHANGES) {
        fault(-E2BIG, "cpuid: more than %u changes; mend 'cpuid ='", CPUID_CHANGES);
        return NULL;
    }
    struct cpuid_change *to = &out->change[out->n++];

    *to = *c;
    memcpy(to->word, word, len < sizeof(to->word) ? len : sizeof(to->word) - 1);
    return to;
}

/* --- by name -------------------------------------------------------------------------------------------------------------- */

static uint32_t family_bits(unsigned long v)
{
    return v > 15 ? 15U << 8 | (uint32_t)(v - 15) << 20 : (uint32_t)v << 8;
}

static uint32_t model_bits(unsigned long v)
{
    return (uint32_t)(v & 15) << 4 | (uint32_t)(v >> 4) << 16;
}

static uint32_t plain_bits(unsigned long v)
{
    return (uint32_t)v;
}

static const struct number {
    const char *name;
    uint32_t leaf, mask;
    unsigned long max;
    uint32_t (*bits)(unsigned long);
} numbers[] = {
    { "family", 1, 0x0ff00f00, 15 + 255, family_bits },
    { "model", 1, 0x000f00f0, 255, model_bits },
    { "stepping", 1, 0xf, 15, plain_bits },
    { "maxleaf", 0, 0xffffffff, 0xffff, plain_bits },
};

static const char *const fixed[] = { "apicidsize", "brandid", "clflush", "localapicid", "maxhvleaf", "nc", "proccount", "procpkg" };

static bool is(const char *word, size_t len, const char *name)
{
    return strlen(name) == len && !strncasecmp(word, name, len);
}

/* One letter for all bits in mask; false: it is none. */
static bool letter(struct cpuid_change *c, char l, uint32_t mask)
{
    c->host = strchr("ks", l) ? c->host | mask : c->host & ~mask;
    c->set |= l == '1' ? mask : 0;
    c->clear |= l == '0' ? mask : 0;
    return l && strchr("01xks", l);
}

static int parse_number(struct cpuid_changes *out, const struct number *n, const char *word, size_t len, const char *value)
{
    struct cpuid_change c = { .leaf = n->leaf, .sub = XEN_CPUID_NO_SUBLEAF };
    char *end;

    if (word + len == value + 1 && strchr("xks", *value)) {
        letter(&c, *value, n->mask);
        return add(out, &c, word, len) ? 0 : -E2BIG;
    }
    unsigned long v = strtoul(value, &end, 0);

    if (!isdigit((unsigned char)*value) || end != word + len || v > n->max)
        return bad(word, len, "the value is a number within its field, or x or k");
    c.set = n->bits(v);
    c.clear = n->mask & ~c.set;
    return add(out, &c, word, len) ? 0 : -E2BIG;
}

static int parse_feature(struct cpuid_changes *out, const char *word, size_t len)
{
    const char *eq = memchr(word, '=', len);
    size_t name = eq ? (size_t)(eq - word) : len;
    struct cpuid_change c;

    if (!eq)
        return bad(word, len, "FEATURE=VALUE is wanted, as in rdrand=0");
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (is(word, name, numbers[i].name))
            return parse_number(out, &numbers[i], word, len, eq + 1);
    for (unsigned i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        if (is(word, name, fixed[i]))
            return bad(word, len, "that is the hypervisor's to say and cannot be chosen");
    if (cpuid_feature(word, name, &c))
        return bad(word, len, "no such feature; the names are those of xl.cfg, as avx2, rdrand, sse4_2");
    uint32_t mask = c.host;

    if (word + len != eq + 2 || !letter(&c, eq[1], mask))
        return bad(word, len, "the value of a feature is 0, 1, x or k");
    if (!c.leaf)
        return eq[1] == '1' ? fault(-EOPNOTSUPP, "cpuid: '%.*s': no guest can have that; take it out of 'cpuid ='", (int)len, word) : 0;
    return add(out, &c, word, len) ? 0 : -E2BIG;
}

/* --- by leaf -------------------------------------------------------------------------------------------------------------- */

/* "LEAF[,SUBLEAF]:" at the start of a word; NULL: not understood. */
static const char *parse_leaf(const char *word, const char *end, struct cpuid_change *c)
{
    char *p;

    c->leaf = (uint32_t)strtoul(word, &p, 0);
    c->sub = SUBLEAVES(c->leaf) ? 0 : XEN_CPUID_NO_SUBLEAF;
    if (p > word && p < end && *p == ',' && isdigit((unsigned char)p[1])) {
        uint32_t sub = (uint32_t)strtoul(p + 1, &p, 0);

        if (c->sub != XEN_CPUID_NO_SUBLEAF)
            c->sub = sub;
        else if (sub)
            return NULL;
    }
    return p > word && p < end && *p == ':' ? p + 1 : NULL;
}

static int parse_register(struct cpuid_changes *out, struct cpuid_change c, const char *word, size_t len)
{
    static const char names[] = "abcd";
    const char *which = len > 4 ? strchr(names, tolower((unsigned char)word[1])) : NULL;

    if (len != 36 || tolower((unsigned char)word[0]) != 'e' || !which || !*which || tolower((unsigned char)word[2]) != 'x' || word[3] != '=')
        return bad(word, len, "eax, ebx, ecx or edx with 32 letters is wanted, bit 31 first");
    c.reg = (unsigned)(which - names);
    for (unsigned i = 0; i < 32; i++)
        if (!letter(&c, word[4 + i], 1U << (31 - i)))
            return bad(word, len, "a letter is 0, 1, x, k or s");
    return add(out, &c, word, len) ? 0 : -E2BIG;
}

/* One word of the text, that is one string of the configuration's list; parts between commas. */
static int parse_word(struct cpuid_changes *out, const char *word, const char *end)
{
    struct cpuid_change leaf = { .leaf = 0 };
    bool by_name = end - word >= 4 && !strncmp(word, "host", 4) && (word + 4 == end || word[4] == ',');
    const char *p = by_name ? word + 4 + (word + 4 < end) : parse_leaf(word, end, &leaf);
    int rc = 0;

    if (!p)
        return bad(word, (size_t)(end - word), "it begins with \"host,\" or with a leaf and a colon, as 1:ecx=");
    while (p < end && !rc) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t len = (size_t)((comma ? comma : end) - p);

        rc = by_name ? parse_feature(out, p, len) : parse_register(out, leaf, p, len);
        p += len + 1;
    }
    return rc;
}

int cpuid_parse(const char *text, struct cpuid_changes *out)
{
    int rc = 0;

    out->n = 0;
    while (*text && !rc) {
        size_t len = strcspn(text, " ");

        if (len)
            rc = parse_word(out, text, text + len);
        text += len + (text[len] == ' ');
    }
    return rc;
}

/* --- changing --------------------------------------------------------------------------------------------------------------- */

static const uint32_t *find(const xen_cpuid_leaf_t *leaf, unsigned n, const struct cpuid_change *c)
{
    for (unsigned i = 0; i < n; i++)
        if (leaf[i].leaf == c->leaf && leaf[i].subleaf == c->sub)
            return (const uint32_t *[]){ &leaf[i].a, &leaf[i].b, &leaf[i].c, &leaf[i].d }[c->reg];
    return NULL;
}

int cpuid_check(const struct cpuid_changes *all, const xen_cpuid_leaf_t *max, unsigned n_max)
{
    for (unsigned i = 0; i < all->n; i++) {
        const struct cpuid_change *c = &all->change[i];
        const uint32_t *most = find(max, n_max, c);
        uint32_t have = most ? *most : 0, missing = c->leaf == 1 && !c->reg ? 0 : c->set & ~have;

        if (!strncasecmp(c->word, "maxleaf", 7))
            missing = c->set > have ? c->set : 0;
        if (missing)
            return fault(-EOPNOTSUPP, "cpuid: '%s': guests of this host cannot have that (leaf %#x e%cx, bits %#x); take it out of 'cpuid ='", c->word,
                         c->leaf, "abcd"[c->reg], missing);
    }
    return 0;
}

int cpuid_apply(const struct cpuid_changes *all, const xen_cpuid_leaf_t *max, unsigned n_max, xen_cpuid_leaf_t *leaf, unsigned n)
{
    for (unsigned i = 0; i < all->n; i++) {
        const struct cpuid_change *c = &all->change[i];
        const uint32_t *most = find(max, n_max, c);
        uint32_t *r = (uint32_t *)find(leaf, n, c), host = most ? *most & c->host : 0;

        if (!r && (c->set | host))
            return fault(-EOPNOTSUPP, "cpuid: '%s': by default a guest has no leaf %#x; take it out of 'cpuid ='", c->word, c->leaf);
        if (r)
            *r = (*r & ~c->clear & ~c->host) | c->set | host;
    }
    return 0;
}
