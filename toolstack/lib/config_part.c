/* SPDX-License-Identifier: MIT */
/* "key=value,flag,..." as the strings of `disk`, `vif` and their relatives have it. */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

bool cfg_part_next(const struct cfg_value *spec, size_t *offset, struct cfg_part *p)
{
    const char *s = spec->str, *end = s + spec->len, *from, *stop, *eq;

    if (*offset > spec->len)
        return false;
    from = s + *offset;
    stop = memchr(from, ',', (size_t)(end - from));
    stop = stop ? stop : end;
    *offset = (size_t)(stop - s) + 1;
    while (from < stop && isspace((unsigned char)*from))
        from++;
    while (stop > from && isspace((unsigned char)stop[-1]))
        stop--;
    eq = memchr(from, '=', (size_t)(stop - from));
    *p = (struct cfg_part){ .key = from, .key_len = (size_t)((eq ? eq : stop) - from), .has_value = eq != NULL };
    while (p->key_len && isspace((unsigned char)from[p->key_len - 1]))
        p->key_len--;
    for (eq = eq ? eq + 1 : stop; eq < stop && isspace((unsigned char)*eq);)
        eq++;
    p->value = eq;
    p->value_len = (size_t)(stop - eq);
    p->key_at = (size_t)(from - s);
    p->value_at = (size_t)(eq - s);
    return true;
}

bool cfg_part_is(const struct cfg_part *p, const char *key)
{
    return p->key_len == strlen(key) && strncasecmp(p->key, key, p->key_len) == 0;
}

bool cfg_part_value_is(const struct cfg_part *p, const char *value)
{
    return p->value_len == strlen(value) && memcmp(p->value, value, p->value_len) == 0;
}

int cfg_part_str(struct cfg *c, const struct cfg_value *spec, const struct cfg_part *p, char **to)
{
    if (*to)
        return cfg_fail_word(c, spec, p->key_at, p->key_len, "given twice; remove one");
    if (!p->value_len)
        return 0;
    *to = strndup(p->value, p->value_len);
    return *to ? 0 : (c->rc = fault(-ENOMEM, "reading the configuration: out of memory"));
}

int cfg_part_fail(struct cfg *c, const struct cfg_value *spec, const struct cfg_part *p, const char *why)
{
    return p->value_len ? cfg_fail_word(c, spec, p->value_at, p->value_len, "%s", why)
                        : cfg_fail_word(c, spec, p->key_at, p->key_len, "%s", why);
}
