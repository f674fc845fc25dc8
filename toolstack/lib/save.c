/* SPDX-License-Identifier: MIT */
/* A guest to a stream: the order of things. See save.h; pages are save_pages.c's, vCPUs save_vcpu.c's. */
#include "config_xl.h"
#include "fault.h"
#include "save_private.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PER_FRAME 512U

/* --- beginning ------------------------------------------------------------------------------------------------------------ */

static int put_file_header(struct save *s)
{
    char *json = config_xl_make(s->o.config);
    int rc = json ? stream_file_write(s->to, json) : fault(-ENOMEM, "domain %u: its configuration: no memory", s->domid);

    free(json);
    return rc;
}

/* Our own form of the configuration, which says more than xl's; stock tools skip it. */
static int put_config(struct save *s)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);

    if (f)
        config_print_xl(s->o.config, f);
    int rc = f && !fclose(f) ? xc_record(s->to, XC_ZENDO_CONFIG, text, bytes) : fault(-ENOMEM, "domain %u: its configuration: no memory", s->domid);

    free(text);
    return rc;
}

static int put_headers(struct save *s)
{
    static const struct {
        uint8_t width, levels, pad[6];
    } pv = { 8, 4, { 0 } };
    int version = ctl_version(s->c, XENVER_version, NULL, 0);
    int rc = s->o.file_header && s->o.config ? put_file_header(s) : 0;

    rc = rc ? rc : stream_xl_begin(s->to);
    rc = rc ? rc : stream_xl_record(s->to, XL_LIBXC_CONTEXT, NULL, 0);
    rc = rc ? rc : xc_begin(s->to, (unsigned)version >> 16, version & 0xffff);
    if (!rc && s->o.config)
        rc = put_config(s);
    rc = rc ? rc : xc_record(s->to, XC_PV_INFO, &pv, sizeof(pv));
    rc = rc ? rc : save_policy(s);
    return rc ? rc : xc_record(s->to, XC_STATIC_DATA_END, NULL, 0);
}

/* Where the list of pages lies, if that is not what was said last. */
static int put_p2m_frames(struct save *s, const xen_pfn_t *leaves)
{
    uint64_t n = (s->n_pages + PER_FRAME - 1) / PER_FRAME;
    uint32_t range[2] = { 0, (uint32_t)s->n_pages - 1 };
    uint64_t *pfn = calloc(n, sizeof(*pfn));

    if (!pfn)
        return fault(-ENOMEM, "domain %u: no memory for the list of its pages", s->domid);
    for (uint64_t i = 0; i < n; i++) {
        pfn[i] = save_p2m_find(s, leaves[i]);
        if (pfn[i] == SAVE_NONE) {
            free(pfn);
            return fault(-EINVAL, "domain %u: part %llu of its list of pages is frame %#llx, which is not in the list itself", s->domid,
                         (unsigned long long)i, (unsigned long long)leaves[i]);
        }
    }
    int rc = s->p2m_pfn && !memcmp(s->p2m_pfn, pfn, n * sizeof(*pfn)) ? 0 : xc_record2(s->to, XC_PV_P2M_FRAMES, range, sizeof(range), pfn, n * sizeof(*pfn));

    free(s->p2m_pfn);
    s->p2m_pfn = pfn;
    return rc;
}

static int read_p2m(struct save *s, bool last)
{
    xen_pfn_t *leaves = NULL;
    int rc = save_p2m_read(s, last, &leaves);

    rc = rc ? rc : put_p2m_frames(s, leaves);
    free(leaves);
    return rc;
}

int save_open(struct save **out, struct ctl *c, uint32_t domid, struct stream_out *to, const struct save_options *o)
{
    struct save *s = calloc(1, sizeof(*s));

    *out = s;
    if (!s)
        return fault(-ENOMEM, "domain %u: no memory for saving it", domid);
    s->c = c;
    s->domid = (domid_t)domid;
    s->to = to;
    s->o = *o;
    int rc = put_headers(s);

    rc = rc ? rc : read_p2m(s, false);
    rc = rc ? rc : save_pages_open(s);
    if (rc) {
        save_close(s);
        *out = NULL;
    }
    return rc;
}

uint64_t save_pages(const struct save *s)
{
    return s->n_pages;
}

/* --- rounds ---------------------------------------------------------------------------------------------------------------- */

static void add(struct save_count *to, const struct save_count *what)
{
    to->pages += what->pages;
    to->data += what->data;
    to->zero += what->zero;
    to->gone += what->gone;
    to->bytes += what->bytes;
}

static int send(struct save *s, const uint64_t *set, struct save_count *count)
{
    struct save_count now = { 0 };

    s->foreign = 0;
    int rc = save_pages_send(s, set, &now);

    add(&s->all, &now);
    if (count)
        *count = now;
    return rc;
}

int save_round(struct save *s, const uint64_t *set, struct save_count *count)
{
    int rc = save_p2m_read(s, false, NULL);

    return rc ? rc : send(s, set, count);
}

static int put_end(struct save *s)
{
    int rc = save_tsc(s);

    rc = rc ? rc : save_shared_info(s);
    rc = rc ? rc : save_vcpus(s);
    rc = rc ? rc : xc_record(s->to, XC_END, NULL, 0);
    return rc ? rc : stream_xl_record(s->to, XL_END, NULL, 0);
}

/* For the reader to compare with what it has got; the counts are of what moved the guest. */
static int send_again(struct save *s)
{
    struct save_count unused = { 0 };
    int rc = xc_record(s->to, XC_VERIFY, NULL, 0);

    return rc ? rc : save_pages_send(s, NULL, &unused);
}

int save_finish(struct save *s, const uint64_t *set, struct save_count *count)
{
    int rc = read_p2m(s, true);

    trace_note("  list of pages read");
    rc = rc ? rc : send(s, set, count);
    trace_note("  last pages sent");
    if (!rc && s->foreign)
        warn("domain %u: %llu entries of its page tables name other domains' pages and are left out", s->domid, (unsigned long long)s->foreign);
    if (!rc && s->o.verify)
        rc = send_again(s);
    return rc ? rc : put_end(s);
}

void save_close(struct save *s)
{
    if (!s)
        return;
    save_pages_close(s);
    free(s->p2m);
    free(s->p2m_pfn);
    free(s->sent);
    free(s->stale);
    free(s->slot);
    free(s);
}
