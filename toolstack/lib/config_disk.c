/* SPDX-License-Identifier: MIT */
/*
 * One disk: "target,format,vdev,access" with key=value among it, as xl-disk-configuration(5) has it, and the older
 * "phy:target,vdev[:cdrom],access[,backend]". Which of two positions a word fills is seen from the word: a format, or a device.
 *
 * Old prefixes (phy: file: tap: tap2: aio: ioemu:) say how, not what; they are accepted and dropped, and what the target is
 * decides (DISK_AUTO). Prefixes that name a format, a script or a network target keep that meaning.
 */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

struct disk_reader {
    struct cfg *c;
    struct disk_config *d;
    const struct cfg_value *spec;
    bool have_target, have_format, have_access; /* positions that are filled, be it by nothing */
    bool access_said;
    struct cfg_part target;
};

static const struct { const char *name; enum disk_format format; } formats[] = {
    { "raw", DISK_RAW }, { "qcow2", DISK_QCOW2 }, { "qcow", DISK_QCOW }, { "vhd", DISK_VHD }, { "aio", DISK_RAW }, { "empty", DISK_EMPTY },
};

static bool part_has_prefix(const struct cfg_part *p, const char *prefix)
{
    return p->value_len >= strlen(prefix) && strncmp(p->value, prefix, strlen(prefix)) == 0;
}

static void part_skip(struct cfg_part *p, size_t len)
{
    p->value += len;
    p->value_at += len;
    p->value_len -= len;
}

/* xvda, xvda1, hda, sda1, d0p1, or a device number. */
static bool is_vdev(const char *s, size_t len)
{
    static const char *const kinds[] = { "xvd", "hd", "sd", "vd", "ubd" };
    int64_t num;

    if (text_to_int(s, len, &num))
        return num >= 0;
    if (len > 1 && *s == 'd' && isdigit((unsigned char)s[1])) {
        size_t i = 1;

        while (i < len && (isdigit((unsigned char)s[i]) || s[i] == 'p'))
            i++;
        return i == len;
    }
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        size_t i = strlen(kinds[k]), from = i;

        if (len <= i || strncmp(s, kinds[k], i) != 0)
            continue;
        while (i < len && islower((unsigned char)s[i]) && i - from < 3)
            i++;
        bool letters = i > from;
        while (i < len && isdigit((unsigned char)s[i]))
            i++;
        if (letters && i == len)
            return true;
    }
    return false;
}

static int disk_set_format(struct disk_reader *r, const struct cfg_part *p)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (cfg_part_value_is(p, formats[i].name)) {
            r->d->format = formats[i].format;
            r->have_format = true;
            return 0;
        }
    }
    if (!p->value_len)
        return r->have_format = true, 0;
    return cfg_part_fail(r->c, r->spec, p, "no format of disk images; known are raw, qcow2, qcow and vhd");
}

static int disk_set_devtype(struct disk_reader *r, const struct cfg_part *p)
{
    if (cfg_part_value_is(p, "cdrom"))
        r->d->cdrom = true;
    else if (p->value_len && !cfg_part_value_is(p, "disk"))
        return cfg_part_fail(r->c, r->spec, p, "no type of disk; known are disk and cdrom");
    return 0;
}

static int disk_set_vdev(struct disk_reader *r, struct cfg_part p)
{
    const char *colon;

    if (part_has_prefix(&p, "ioemu:"))
        part_skip(&p, 6);
    if (part_has_prefix(&p, "/dev/"))
        part_skip(&p, 5);
    if ((colon = memchr(p.value, ':', p.value_len))) {
        struct cfg_part type = p;

        part_skip(&type, (size_t)(colon - p.value) + 1);
        p.value_len = (size_t)(colon - p.value);
        if (disk_set_devtype(r, &type))
            return r->c->rc;
    }
    if (p.value_len && !is_vdev(p.value, p.value_len))
        return cfg_part_fail(r->c, r->spec, &p, "no name of a guest's disk; write xvda, xvda1, hda, sda or the like");
    return cfg_part_str(r->c, r->spec, &p, &r->d->vdev);
}

static int disk_set_access(struct disk_reader *r, const struct cfg_part *p)
{
    struct cfg_part word = *p;

    if (word.value_len > 1 && word.value[word.value_len - 1] == '!') {
        r->d->shared = true;
        word.value_len--;
    }
    if (cfg_part_value_is(&word, "r") || cfg_part_value_is(&word, "ro"))
        r->d->readonly = true;
    else if (cfg_part_value_is(&word, "w") || cfg_part_value_is(&word, "rw"))
        r->d->readonly = false;
    else if (word.value_len)
        return cfg_part_fail(r->c, r->spec, p, "no way of access; write r or ro, w or rw, or w! to share it");
    r->access_said |= word.value_len != 0;
    r->have_access = true;
    return 0;
}

static int disk_set_how(struct disk_reader *r, const struct cfg_part *p)
{
    if (cfg_part_value_is(p, "phy"))
        r->d->how = DISK_PHY;
    else if (cfg_part_value_is(p, "file"))
        r->d->how = DISK_FILE;
    else if (cfg_part_value_is(p, "qdisk"))
        r->d->how = DISK_QDISK;
    else if (p->value_len && !cfg_part_value_is(p, "tap"))
        return cfg_part_fail(r->c, r->spec, p, "no backend of disks that is known here; write phy, file or qdisk, or leave it out");
    return 0;
}

static int disk_set_specification(struct disk_reader *r, const struct cfg_part *p)
{
    if (p->value_len && !cfg_part_value_is(p, "xen"))
        return cfg_part_fail(r->c, r->spec, p, "not available here; the disks of guests speak Xen's protocol (xen)");
    return 0;
}

/* Strip the prefixes; remember what of them has a meaning. */
static int disk_take_prefixes(struct disk_reader *r)
{
    static const char *const dropped[] = { "phy:", "file:", "tap2:", "tap:", "tapdisk:", "ioemu:" };
    static const char *const scripts[] = { "drbd:", "iscsi:", "enbd:" };
    struct cfg_part *t = &r->target;
    bool again;

    do {
        again = false;
        for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
            if (part_has_prefix(t, dropped[i])) {
                part_skip(t, strlen(dropped[i]));
                again = true;
            }
        }
        for (size_t i = 0; i + 1 < sizeof(formats) / sizeof(formats[0]); i++) {
            size_t len = strlen(formats[i].name);

            if (part_has_prefix(t, formats[i].name) && t->value_len > len && t->value[len] == ':') {
                r->d->format = formats[i].format;
                part_skip(t, len + 1);
                again = true;
            }
        }
    } while (again);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        size_t len = strlen(scripts[i]);

        if (!r->d->script && part_has_prefix(t, scripts[i])) {
            if (asprintf(&r->d->script, "block-%.*s", (int)len - 1, scripts[i]) < 0) {
                r->d->script = NULL;
                return r->c->rc = fault(-ENOMEM, "reading the configuration: out of memory");
            }
            part_skip(t, len);
        }
    }
    if (part_has_prefix(t, "nbd:") || part_has_prefix(t, "rbd:"))
        r->d->how = DISK_QDISK;
    return 0;
}

static int disk_set_target(struct disk_reader *r, const struct cfg_part *p)
{
    r->target = *p;
    r->have_target = true;
    return disk_take_prefixes(r);
}

static int disk_positional(struct disk_reader *r, const struct cfg_part *p)
{
    struct cfg_part v = *p;

    v.value = p->key;
    v.value_len = (size_t)(p->value + p->value_len - p->key);
    v.value_at = p->key_at;
    if (!r->have_target)
        return disk_set_target(r, &v);
    if (!r->have_format && !r->d->vdev) {
        bool device = memchr(v.value, ':', v.value_len) || part_has_prefix(&v, "/dev/") || is_vdev(v.value, v.value_len);
        bool format = !v.value_len;

        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
            format |= cfg_part_value_is(&v, formats[i].name);
        if (format)
            return disk_set_format(r, &v);
        if (!device)
            return cfg_part_fail(r->c, r->spec, &v, "neither a format (raw, qcow2, qcow, vhd) nor a guest's device (xvda, hda, sda)");
        r->have_format = true;
    }
    if (!r->d->vdev)
        return disk_set_vdev(r, v);
    if (!r->have_access)
        return disk_set_access(r, &v);
    if (r->d->backend)
        return cfg_part_fail(r->c, r->spec, &v, "one part too many; a disk is target,format,vdev,access");
    return cfg_part_str(r->c, r->spec, &v, &r->d->backend);
}

static int disk_flag(struct disk_reader *r, const struct cfg_part *p)
{
    static const struct { const char *name; size_t offset; bool value; } flags[] = {
        { "cdrom", offsetof(struct disk_config, cdrom), true },
        { "direct-io-safe", offsetof(struct disk_config, direct_io_safe), true },
        { "discard", offsetof(struct disk_config, discard), true }, { "no-discard", offsetof(struct disk_config, discard), false },
        { "trusted", offsetof(struct disk_config, trusted), true }, { "untrusted", offsetof(struct disk_config, trusted), false },
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (cfg_part_is(p, flags[i].name)) {
            *(bool *)((char *)r->d + flags[i].offset) = flags[i].value;
            return 0;
        }
    }
    return disk_positional(r, p);
}

static int disk_part(struct disk_reader *r, const struct cfg_part *p)
{
    if (!p->has_value)
        return disk_flag(r, p);
    if (cfg_part_is(p, "format"))
        return disk_set_format(r, p);
    if (cfg_part_is(p, "vdev"))
        return disk_set_vdev(r, *p);
    if (cfg_part_is(p, "access") || cfg_part_is(p, "mode"))
        return disk_set_access(r, p);
    if (cfg_part_is(p, "devtype"))
        return disk_set_devtype(r, p);
    if (cfg_part_is(p, "backend"))
        return cfg_part_str(r->c, r->spec, p, &r->d->backend);
    if (cfg_part_is(p, "backendtype"))
        return disk_set_how(r, p);
    if (cfg_part_is(p, "script"))
        return cfg_part_str(r->c, r->spec, p, &r->d->script);
    if (cfg_part_is(p, "specification"))
        return disk_set_specification(r, p);
    if (memchr(p->key, '/', p->key_len) || memchr(p->key, ':', p->key_len))
        return disk_positional(r, p); /* a target that holds '=' */
    return cfg_fail_word(r->c, r->spec, p->key_at, p->key_len, "no option of a disk; known are target, format, vdev, access, devtype, "
                         "backend, backendtype, script, direct-io-safe, discard, no-discard, trusted, untrusted");
}

static int disk_finish(struct disk_reader *r)
{
    struct disk_config *d = r->d;
    struct cfg_part *t = &r->target;
    bool network = d->how == DISK_QDISK && memchr(t->value ? t->value : "", ':', t->value_len);

    if (d->cdrom && !r->access_said)
        d->readonly = true;
    if (!d->vdev)
        return cfg_fail_word(r->c, r->spec, 0, r->spec->len, "the guest's device is missing; write 'TARGET,FORMAT,xvda,w'");
    if (!t->value_len || d->format == DISK_EMPTY) {
        if (!d->cdrom)
            return cfg_fail_word(r->c, r->spec, 0, r->spec->len, "the target (a file or block device) is missing; only a cdrom may be empty");
        d->format = DISK_EMPTY;
        return 0;
    }
    if (d->format != DISK_RAW && (d->how == DISK_PHY || d->how == DISK_FILE))
        return cfg_fail_word(r->c, r->spec, 0, r->spec->len, "this backendtype serves raw images only; leave it out");
    const char *before = *t->value == '/' || d->script || network ? "" : "/dev/";
    if (asprintf(&d->target, "%s%.*s", before, (int)t->value_len, t->value) < 0) {
        d->target = NULL;
        return r->c->rc = fault(-ENOMEM, "reading the configuration: out of memory");
    }
    return 0;
}

int cfg_disk_parse(struct cfg *c, struct disk_config *d, const struct cfg_value *spec)
{
    struct disk_reader r = { .c = c, .d = d, .spec = spec };
    struct cfg_part p;

    d->discard = d->trusted = true;
    if (spec->kind != V_STR)
        return cfg_fail(c, spec->at, "a disk is text like 'TARGET,raw,xvda,w', this is %s", val_kind_name(spec));
    for (size_t offset = 0; cfg_part_next(spec, &offset, &p);) {
        if (p.has_value && cfg_part_is(&p, "target")) { /* takes the rest, commas and all */
            p.value_len = spec->len - p.value_at;
            offset = spec->len + 1;
            if (disk_set_target(&r, &p))
                return c->rc;
            continue;
        }
        if (disk_part(&r, &p))
            return c->rc;
    }
    return disk_finish(&r);
}
