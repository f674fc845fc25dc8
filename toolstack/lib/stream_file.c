/* SPDX-License-Identifier: MIT */
/*
 * What `xl save` writes ahead of the stream, learnt from files that it wrote: a text of 32 bytes, the byte order, two words of flags,
 * the length of what follows; then the configuration with its length once more and a NUL at its end.
 */
#include "stream.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ORDER 0x01020304U
#define FLAG_JSON 1U      /* the configuration is JSON */
#define FLAG_STREAM2 2U   /* libxl's stream 2 follows */
#define FLAGS_KNOWN (FLAG_JSON | FLAG_STREAM2)

static const char magic[32] = "Xen saved domain, xl format\n \0 \r";

struct head {
    uint32_t order, mandatory, optional, bytes;
};

int stream_file_write(struct stream_out *o, const char *config_json)
{
    /* The stream begins at a multiple of 8, so that page data can be put at a page's border: NULs fill the gap. */
    static const char zero[8];
    uint32_t text = (uint32_t)strnlen(config_json, STREAM_CONFIG_MAX), bytes = text + 1;

    bytes += -(uint32_t)(sizeof(magic) + sizeof(struct head) + sizeof(bytes) + bytes) & 7U;
    struct head h = { .order = ORDER, .mandatory = FLAG_JSON | FLAG_STREAM2, .bytes = bytes + (uint32_t)sizeof(bytes) };

    if (bytes >= STREAM_CONFIG_MAX)
        return fault(-E2BIG, "the guest's configuration is longer than %u bytes", STREAM_CONFIG_MAX);
    int rc = stream_write(o, magic, sizeof(magic));

    rc = rc ? rc : stream_write(o, &h, sizeof(h));
    rc = rc ? rc : stream_write(o, &bytes, sizeof(bytes));
    rc = rc ? rc : stream_write(o, config_json, text);
    return rc ? rc : stream_write(o, zero, bytes - text);
}

static int check_head(const char *start, const struct head *h)
{
    if (memcmp(start, magic, sizeof(magic)))
        return fault(-EINVAL, "this is no saved guest: it does not begin with \"Xen saved domain, xl format\"");
    if (h->order != ORDER)
        return fault(-EINVAL, "file header at offset 32: byte order %#x; only files of little-endian machines can be restored", h->order);
    if (h->mandatory & ~FLAGS_KNOWN)
        return fault(-EOPNOTSUPP, "file header at offset 36: flags %#x that nobody here knows; it comes from newer tools", h->mandatory & ~FLAGS_KNOWN);
    if (!(h->mandatory & FLAG_STREAM2))
        return fault(-EOPNOTSUPP, "file header at offset 36: a stream as Xen 4.5 and older wrote it; save the guest with newer tools");
    if (h->bytes > STREAM_CONFIG_MAX || (h->bytes && h->bytes < sizeof(uint32_t)))
        return fault(-EINVAL, "file header at offset 44: a configuration of %u bytes; %u is the limit", h->bytes, STREAM_CONFIG_MAX);
    return 0;
}

static int read_config(struct stream_in *i, struct stream_file *f, uint32_t room)
{
    uint32_t bytes;
    int rc = stream_read(i, &bytes, sizeof(bytes));

    if (!rc && bytes > room - sizeof(bytes))
        rc = fault(-EINVAL, "file header at offset 48: a configuration of %u bytes where there is room for %u", bytes, room - (uint32_t)sizeof(bytes));
    if (rc)
        return rc;
    f->config = malloc((size_t)bytes + 1);
    if (!f->config)
        return fault(-ENOMEM, "file header: no memory");
    rc = stream_read(i, f->config, bytes);
    f->config[rc ? 0 : bytes] = 0;
    return rc ? rc : stream_skip(i, room - sizeof(bytes) - bytes);
}

int stream_file_read(struct stream_in *i, struct stream_file *f)
{
    char start[sizeof(magic)];
    struct head h;

    *f = (struct stream_file){ 0 };
    int rc = stream_read(i, start, sizeof(start));

    rc = rc ? rc : stream_read(i, &h, sizeof(h));
    rc = rc ? rc : check_head(start, &h);
    f->json = !rc && h.mandatory & FLAG_JSON;
    if (!rc && h.bytes)
        rc = read_config(i, f, h.bytes);
    if (rc) {
        free(f->config);
        f->config = NULL;
    }
    return rc;
}
