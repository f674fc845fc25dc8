/* SPDX-License-Identifier: MIT */
/*
 * libxc's stream: headers, records, PAGE_DATA. What the other records hold is stream_state.c's. A reader here believes nothing: a
 * length is compared before it is used, and no record makes it allocate.
 */
#include "stream.h"
#include "fault.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096U
#define MARKER UINT64_MAX
#define IDENT 0x58454e46U
#define OPTIONAL_MAX (1U << 20)

struct record_head {
    uint32_t type, bytes;
};

struct page_head {
    uint32_t count, reserved;
};

struct image_header {
    uint64_t marker;
    uint32_t id, version;
    uint16_t options, reserved1;
    uint32_t reserved2;
};

struct domain_header {
    uint32_t type;
    uint16_t page_shift, reserved;
    uint32_t major, minor;
};

const char *xc_name(uint32_t type)
{
    static const char *const names[] = { "END", "PAGE_DATA", "X86_PV_INFO", "X86_PV_P2M_FRAMES", "X86_PV_VCPU_BASIC", "X86_PV_VCPU_EXTENDED",
        "X86_PV_VCPU_XSAVE", "SHARED_INFO", "X86_TSC_INFO", "HVM_CONTEXT", "HVM_PARAMS", "TOOLSTACK", "X86_PV_VCPU_MSRS", "VERIFY",
        "CHECKPOINT", "CHECKPOINT_DIRTY_PFN_LIST", "STATIC_DATA_END", "X86_CPUID_POLICY", "X86_MSR_POLICY" };

    return type < XC_N_TYPES ? names[type] : type == XC_ZENDO_CONFIG ? "ZENDO_CONFIG" : type & XC_OPTIONAL ? "optional" : "unknown";
}

/* --- writing -------------------------------------------------------------------------------------------------------------- */

int xc_begin(struct stream_out *o, unsigned xen_major, unsigned xen_minor)
{
    struct {
        struct image_header image;
        struct domain_header domain;
    } h = { { MARKER, htobe32(IDENT), htobe32(3), 0, 0, 0 }, { 1, 12, 0, xen_major, xen_minor } };

    return stream_write(o, &h, sizeof(h));
}

int xc_record2(struct stream_out *o, uint32_t type, const void *head, size_t head_bytes, const void *body, size_t bytes)
{
    static const uint8_t zero[8];
    struct record_head h = { type, (uint32_t)(head_bytes + bytes) };
    struct iovec v[4] = { { &h, sizeof(h) }, { (void *)(uintptr_t)head, head_bytes }, { (void *)(uintptr_t)body, bytes },
        { (void *)(uintptr_t)zero, -(head_bytes + bytes) & 7U } };

    if (head_bytes + bytes > XC_BODY_MAX)
        return fault(-E2BIG, "record %s: %zu bytes are too many", xc_name(type), head_bytes + bytes);
    return stream_writev(o, v, 4);
}

int xc_record(struct stream_out *o, uint32_t type, const void *body, size_t bytes)
{
    return xc_record2(o, type, NULL, 0, body, bytes);
}

/* An optional record so long that a record header, a page header and n entries after it end at a page's border. */
static int pad(struct stream_out *o, unsigned n)
{
    static const uint8_t zero[PAGE];
    uint64_t data = o->offset + sizeof(struct record_head) + sizeof(struct page_head) + n * sizeof(uint64_t);
    unsigned gap = (unsigned)(-data & (PAGE - 1));

    if (!gap || gap % 8) /* records are multiples of 8 */
        return 0;
    if (gap < sizeof(struct record_head))
        gap += PAGE;
    struct record_head h = { XC_ZENDO_PAD, gap - (unsigned)sizeof(h) };
    struct iovec v[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)zero, h.bytes < PAGE ? h.bytes : PAGE } };

    return stream_writev(o, v, h.bytes ? 2 : 1);
}

/* The pages' contents: neighbours in memory as one piece, zeroes apart. */
static int put_pages(struct stream_out *o, const uint64_t *entry, const void *const *page, unsigned n)
{
    struct iovec v[STREAM_IOV];
    unsigned k = 0;
    uint64_t zeroes = 0;
    int rc = 0;

    for (unsigned i = 0; i < n && !rc; i++) {
        if (!xc_has_data((unsigned)(entry[i] >> XC_TYPE_SHIFT)))
            continue;
        if (!page[i]) {
            rc = k ? stream_writev(o, v, k) : 0;
            k = 0;
            zeroes += PAGE;
            continue;
        }
        if (zeroes)
            rc = stream_zeroes(o, zeroes);
        zeroes = 0;
        if (k && (const uint8_t *)v[k - 1].iov_base + v[k - 1].iov_len == page[i])
            v[k - 1].iov_len += PAGE;
        else
            v[k++] = (struct iovec){ (void *)(uintptr_t)page[i], PAGE };
        if (k == STREAM_IOV && !rc) {
            rc = stream_writev(o, v, k);
            k = 0;
        }
    }
    rc = rc || !k ? rc : stream_writev(o, v, k);
    return rc || !zeroes ? rc : stream_zeroes(o, zeroes);
}

int xc_page_data(struct stream_out *o, const uint64_t *entry, const void *const *page, unsigned n, bool align)
{
    uint64_t bytes = sizeof(struct page_head) + n * sizeof(*entry);

    if (!n)
        return 0;
    for (unsigned i = 0; i < n; i++)
        if (xc_has_data((unsigned)(entry[i] >> XC_TYPE_SHIFT)))
            bytes += PAGE;
    struct record_head h = { XC_PAGE_DATA, (uint32_t)bytes };
    struct page_head p = { n, 0 };
    struct iovec v[3] = { { &h, sizeof(h) }, { &p, sizeof(p) }, { (void *)(uintptr_t)entry, n * sizeof(*entry) } };
    int rc = align ? pad(o, n) : 0;

    rc = rc ? rc : stream_writev(o, v, 3);
    return rc ? rc : put_pages(o, entry, page, n);
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

int xc_bad(const struct xc_reader *x, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return fault(-EINVAL, "record %llu (%s, %u bytes) at offset %llu: %s", (unsigned long long)x->r.index, xc_name(x->r.type), x->r.bytes,
                 (unsigned long long)x->r.offset, text);
}

static int header_bad(uint64_t at, const char *what, unsigned long long got)
{
    return fault(-EINVAL, "libxc's header at offset %llu: %s %#llx", (unsigned long long)at, what, got);
}

static int check_image(struct xc_reader *x, const struct image_header *h, uint64_t at)
{
    x->version = be32toh(h->version);
    if (h->marker != MARKER)
        return header_bad(at, "it does not begin with ones: a stream as Xen 4.5 and older wrote it, or none:", h->marker);
    if (be32toh(h->id) != IDENT)
        return header_bad(at + 8, "it is not marked XENF but", be32toh(h->id));
    if (x->version != 2 && x->version != 3)
        return header_bad(at + 12, "2 and 3 are understood, this is version", x->version);
    if (be16toh(h->options) & 1)
        return header_bad(at + 16, "only little-endian streams are understood; options are", be16toh(h->options));
    return 0;
}

static int check_domain(struct xc_reader *x, const struct domain_header *h, uint64_t at)
{
    x->xen_major = h->major;
    x->xen_minor = h->minor;
    if (h->type == 2)
        return fault(-EOPNOTSUPP, "libxc's header at offset %llu: a guest with hardware virtualisation; only paravirtual ones can be restored",
                     (unsigned long long)at);
    if (h->type != 1)
        return header_bad(at, "a kind of guest that nobody here knows:", h->type);
    if (h->page_shift != 12)
        return header_bad(at + 4, "pages are 2 to the power of 12; here it is", h->page_shift);
    return 0;
}

int xc_start(struct xc_reader *x, struct stream_in *in)
{
    uint64_t at = in->offset;
    struct image_header image;
    struct domain_header domain;

    *x = (struct xc_reader){ .in = in };
    int rc = stream_read(in, &image, sizeof(image));

    rc = rc ? rc : check_image(x, &image, at);
    rc = rc ? rc : stream_read(in, &domain, sizeof(domain));
    return rc ? rc : check_domain(x, &domain, at + sizeof(image));
}

static int read_head(struct xc_reader *x)
{
    struct record_head h;

    x->r = (struct xc_record){ .index = x->index++, .offset = x->in->offset };
    int rc = stream_read(x->in, &h, sizeof(h));

    if (rc)
        return fault(rc, "record %llu at offset %llu", (unsigned long long)x->r.index, (unsigned long long)x->r.offset);
    x->r.type = h.type;
    x->r.bytes = h.bytes;
    x->r.left = h.bytes;
    return 0;
}

static int done_or_cut(struct xc_reader *x, int rc)
{
    return rc ? fault(rc, "record %llu (%s) at offset %llu", (unsigned long long)x->r.index, xc_name(x->r.type), (unsigned long long)x->r.offset) : 0;
}

static int check_head(const struct xc_reader *x)
{
    uint32_t type = x->r.type, bytes = x->r.bytes;

    if (type & XC_OPTIONAL)
        return bytes > OPTIONAL_MAX ? xc_bad(x, "too long") : 0;
    if (type >= XC_N_TYPES)
        return xc_bad(x, "type %#x is not known here; the stream comes from newer tools", type);
    if (type == XC_PAGE_DATA ? bytes > sizeof(struct page_head) + XC_PAGES_MAX * (PAGE + 8ULL) : bytes > XC_BODY_MAX)
        return xc_bad(x, "too long");
    if (type == XC_HVM_CONTEXT || type == XC_HVM_PARAMS)
        return xc_bad(x, "it belongs to guests with hardware virtualisation, and this is none");
    return 0;
}

int xc_config(struct xc_reader *x, char **ours)
{
    int rc = read_head(x);

    *ours = NULL;
    x->pending = !rc && x->r.type != XC_ZENDO_CONFIG;
    if (rc || x->pending)
        return rc;
    if (x->r.bytes > STREAM_CONFIG_MAX)
        return xc_bad(x, "too long");
    *ours = malloc((size_t)x->r.bytes + 1);
    if (!*ours)
        return fault(-ENOMEM, "no memory for the configuration");
    rc = stream_read(x->in, *ours, x->r.bytes);
    (*ours)[rc ? 0 : x->r.bytes] = 0;
    rc = rc ? rc : stream_skip(x->in, -x->r.bytes & 7U);
    return done_or_cut(x, rc);
}

int xc_next(struct xc_reader *x)
{
    for (;;) {
        int rc = x->pending ? 0 : read_head(x);

        x->pending = false;
        rc = rc ? rc : check_head(x);
        if (rc || !(x->r.type & XC_OPTIONAL))
            return rc;
        rc = stream_skip(x->in, ((uint64_t)x->r.bytes + 7) & ~7ULL);
        if (rc)
            return done_or_cut(x, rc);
    }
}

/* Bytes of the body, in order. */
static int take(struct xc_reader *x, void *buf, size_t bytes)
{
    if (bytes > x->r.left)
        return xc_bad(x, "too short");
    int rc = stream_read(x->in, buf, bytes);

    x->r.left -= rc ? 0 : bytes;
    return done_or_cut(x, rc);
}

int xc_body(struct xc_reader *x, void *buf)
{
    int rc = take(x, buf, x->r.bytes);

    return rc ? rc : xc_done(x);
}

static int entry_before(const void *a, const void *b)
{
    uint64_t p = *(const uint64_t *)a & XC_PFN_MASK, q = *(const uint64_t *)b & XC_PFN_MASK;

    return p < q ? -1 : p > q;
}

/* A list that rises, as everybody writes it, has no entry twice; another is sorted to see. */
static bool has_twice(const uint64_t *entry, unsigned n)
{
    uint64_t copy[XC_PAGES_MAX];
    unsigned i = 1;

    while (i < n && entry_before(entry + i - 1, entry + i) < 0)
        i++;
    if (i >= n)
        return false;
    memcpy(copy, entry, n * sizeof(*entry));
    qsort(copy, n, sizeof(*copy), entry_before);
    for (i = 1; i < n; i++)
        if (!entry_before(copy + i - 1, copy + i))
            return true;
    return false;
}

static int check_entry(const struct xc_reader *x, uint64_t e, uint64_t limit)
{
    unsigned type = (unsigned)(e >> XC_TYPE_SHIFT);

    if (e >> 52 & 0xff)
        return xc_bad(x, "entry %#llx has reserved bits", (unsigned long long)e);
    if ((e & XC_PFN_MASK) >= limit)
        return xc_bad(x, "page %#llx is beyond the guest's %#llx", (unsigned long long)(e & XC_PFN_MASK), (unsigned long long)limit);
    if ((type > XC_L4 && type <= XC_PINNED))
        return xc_bad(x, "page %#llx has type %u, which does not exist", (unsigned long long)(e & XC_PFN_MASK), type);
    return 0;
}

int xc_pages(struct xc_reader *x, uint64_t *entry, uint64_t limit)
{
    struct page_head p;
    int rc = take(x, &p, sizeof(p));

    if (!rc && (!p.count || p.count > XC_PAGES_MAX))
        rc = xc_bad(x, "it has %u pages; 1 to %u are allowed", p.count, XC_PAGES_MAX);
    rc = rc ? rc : take(x, entry, p.count * sizeof(*entry));
    for (unsigned i = 0; i < p.count && !rc; i++) {
        rc = check_entry(x, entry[i], limit);
        x->r.n_data += xc_has_data((unsigned)(entry[i] >> XC_TYPE_SHIFT));
    }
    if (!rc && has_twice(entry, p.count))
        rc = xc_bad(x, "a page is in it twice");
    if (!rc && x->r.left != (uint64_t)x->r.n_data * PAGE)
        rc = xc_bad(x, "%u pages have data, but %llu bytes follow", x->r.n_data, (unsigned long long)x->r.left);
    x->r.n_pages = p.count;
    x->r.left = rc ? x->r.left : 0; /* the caller takes them */
    return rc;
}

int xc_done(struct xc_reader *x)
{
    uint8_t zero[8];

    return done_or_cut(x, stream_read(x->in, zero, -x->r.bytes & 7U));
}
