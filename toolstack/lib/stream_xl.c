/* SPDX-License-Identifier: MIT */
/* libxl's stream: ident, a few records around libxc's stream. See stream.h. */
#include "stream.h"
#include "fault.h"

#include <errno.h>
#include <string.h>

#include <endian.h>

#define IDENT 0x4c6962786c466d74ULL
#define OPTION_BIG 1U
#define OPTION_LEGACY 2U
#define SKIP_MAX (1U << 20) /* of an optional record that is not ours */
#define RECORDS_MAX 64U     /* around libxc's stream there are three or four */

struct head {
    uint32_t type, bytes;
};

static const char *name(uint32_t type)
{
    static const char *const names[] = { "END", "LIBXC_CONTEXT", "EMULATOR_XENSTORE_DATA", "EMULATOR_CONTEXT", "CHECKPOINT_END",
        "CHECKPOINT_STATE" };

    return type < sizeof(names) / sizeof(*names) ? names[type] : type >> 31 ? "optional" : "unknown";
}

int stream_xl_begin(struct stream_out *o)
{
    struct {
        uint64_t ident;
        uint32_t version, options;
    } h = { htobe64(IDENT), htobe32(2), 0 };

    return stream_write(o, &h, sizeof(h));
}

int stream_xl_record(struct stream_out *o, uint32_t type, const void *body, uint32_t bytes)
{
    static const uint8_t zero[8];
    struct head h = { type, bytes };
    int rc = stream_write(o, &h, sizeof(h));

    rc = rc ? rc : stream_write(o, body, bytes);
    return rc ? rc : stream_write(o, zero, -bytes & 7U);
}

/* What the ident says. Version 1 had the legacy conversion only; nobody writes it. */
static int read_ident(struct stream_in *i)
{
    uint64_t at = i->offset, ident;
    uint32_t word[2];
    int rc = stream_read(i, &ident, sizeof(ident));

    rc = rc ? rc : stream_read(i, word, sizeof(word));
    if (rc)
        return rc;
    if (be64toh(ident) != IDENT)
        return fault(-EINVAL, "libxl's header at offset %llu: it does not begin with \"LibxlFmt\"", (unsigned long long)at);
    if (be32toh(word[0]) != 2)
        return fault(-EOPNOTSUPP, "libxl's header at offset %llu: version %u; 2 is understood", (unsigned long long)at, be32toh(word[0]));
    if (be32toh(word[1]) & (OPTION_BIG | OPTION_LEGACY))
        return fault(-EOPNOTSUPP, "libxl's header at offset %llu: options %#x: big-endian and converted streams are not understood",
                     (unsigned long long)at, be32toh(word[1]));
    return 0;
}

struct xl_reader {
    struct stream_in *in;
    struct head h;
    uint64_t index, offset;
};

static int bad(const struct xl_reader *x, int rc, const char *why)
{
    return fault(rc, "libxl's record %llu (%s, %u bytes) at offset %llu: %s", (unsigned long long)x->index, name(x->h.type), x->h.bytes,
                 (unsigned long long)x->offset, why);
}

static int next(struct xl_reader *x)
{
    x->index++;
    x->offset = x->in->offset;
    return x->index > RECORDS_MAX ? bad(x, -EINVAL, "too many records") : stream_read(x->in, &x->h, sizeof(x->h));
}

static int skip(struct xl_reader *x)
{
    if (x->h.bytes > SKIP_MAX)
        return bad(x, -EINVAL, "too long");
    return stream_skip(x->in, ((uint64_t)x->h.bytes + 7) & ~7ULL);
}

/* A record that is not the end of this part. */
static int other(struct xl_reader *x)
{
    if (x->h.type >> 31)
        return skip(x);
    if (x->h.type == XL_EMULATOR_XENSTORE || x->h.type == XL_EMULATOR_CONTEXT)
        return bad(x, -EOPNOTSUPP, "the guest has an emulator: only paravirtual guests can be restored");
    return bad(x, -EINVAL, x->h.type <= XL_CHECKPOINT_STATE ? "not expected here" : "nobody here knows it; it comes from newer tools");
}

int stream_xl_start(struct stream_in *i)
{
    struct xl_reader x = { .in = i };
    int rc = read_ident(i);

    while (!rc) {
        rc = next(&x);
        if (!rc && x.h.type == XL_LIBXC_CONTEXT)
            return x.h.bytes ? bad(&x, -EINVAL, "it should be empty") : 0;
        if (!rc)
            rc = other(&x);
    }
    return rc;
}

int stream_xl_end(struct stream_in *i)
{
    struct xl_reader x = { .in = i };
    int rc = 0;

    while (!rc) {
        rc = next(&x);
        if (!rc && x.h.type == XL_END)
            return x.h.bytes ? bad(&x, -EINVAL, "it should be empty") : 0;
        if (!rc)
            rc = other(&x);
    }
    return rc;
}
