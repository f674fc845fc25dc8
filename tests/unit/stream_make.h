/* SPDX-License-Identifier: MIT */
/* A small whole stream, as saving writes one: for t_stream, f_stream's corpus and those who spoil it. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/domctl.h>

#include "stream.h"

#define MAKE_PAGES 600U /* in the guest's list: two frames of it */

struct make_options {
    bool align, no_static_end, config;
};

/* Three pages with data (one of them zero), one without, one gone. */
static inline int make_pages(struct stream_out *o, bool align)
{
    static uint8_t page[2][4096];
    const uint64_t entry[] = { 0, 1 | (uint64_t)(XC_PINNED | XC_L4) << XC_TYPE_SHIFT, 2, 3 | (uint64_t)XC_ALLOC << XC_TYPE_SHIFT,
        4 | (uint64_t)XC_XTAB << XC_TYPE_SHIFT };
    const void *const content[] = { page[0], page[1], NULL, NULL, NULL };

    memset(page[0], 0x11, sizeof(page[0]));
    memset(page[1], 0x22, sizeof(page[1]));
    return xc_page_data(o, entry, content, 5, align);
}

static inline int make_vcpu(struct stream_out *o, uint32_t id)
{
    const uint32_t head[2] = { id, 0 };
    vcpu_guest_context_t *v = calloc(1, sizeof(*v));
    uint8_t ext[64] = { 0 }, xsave[832] = { 7 };
    const struct xen_domctl_vcpu_msr msr = { .index = 0xc0000103, .value = 5 };
    int rc = xc_record2(o, XC_PV_VCPU_BASIC, head, sizeof(head), v, sizeof(*v));

    free(v);
    rc = rc ? rc : xc_record2(o, XC_PV_VCPU_EXTENDED, head, sizeof(head), ext, sizeof(ext));
    rc = rc ? rc : xc_record2(o, XC_PV_VCPU_XSAVE, head, sizeof(head), xsave, sizeof(xsave));
    return rc ? rc : xc_record2(o, XC_PV_VCPU_MSRS, head, sizeof(head), &msr, sizeof(msr));
}

static inline int make_xc(struct stream_out *o, const struct make_options *m)
{
    static const uint8_t pv_info[8] = { 8, 4 }, shared_info[4096] = { 1 };
    static const uint32_t tsc[6] = { 0, 2000000, 5, 0, 1, 0 }, leaves[6 * 2] = { 0 };
    struct {
        uint32_t first, last;
        uint64_t pfn[2];
    } p2m = { 0, MAKE_PAGES - 1, { 5, 6 } };
    int rc = xc_begin(o, 4, 17);

    rc = rc || !m->config ? rc : xc_record(o, XC_ZENDO_CONFIG, "name = 'g'\n", 11);
    rc = rc ? rc : xc_record(o, XC_PV_INFO, pv_info, sizeof(pv_info));
    rc = rc ? rc : xc_record(o, XC_CPUID_POLICY, leaves, sizeof(leaves));
    rc = rc || m->no_static_end ? rc : xc_record(o, XC_STATIC_DATA_END, NULL, 0);
    rc = rc ? rc : xc_record(o, XC_PV_P2M_FRAMES, &p2m, sizeof(p2m));
    rc = rc ? rc : make_pages(o, m->align);
    rc = rc ? rc : xc_record(o, XC_TSC_INFO, tsc, sizeof(tsc));
    rc = rc ? rc : xc_record(o, XC_SHARED_INFO, shared_info, sizeof(shared_info));
    rc = rc ? rc : make_vcpu(o, 0);
    rc = rc ? rc : make_vcpu(o, 1);
    return rc ? rc : xc_record(o, XC_END, NULL, 0);
}

static inline int make_stream(struct stream_out *o, const struct make_options *m)
{
    int rc = stream_file_write(o, "{ \"c_info\": { \"type\": \"pv\", \"name\": \"g\" } }");

    rc = rc ? rc : stream_xl_begin(o);
    rc = rc ? rc : stream_xl_record(o, XL_LIBXC_CONTEXT, NULL, 0);
    rc = rc ? rc : make_xc(o, m);
    return rc ? rc : stream_xl_record(o, XL_END, NULL, 0);
}

/* Reads a whole stream as a restore does, without a guest. Counts pages with data. */
static inline int read_xc(struct stream_in *in, struct xc_state *s, unsigned *data)
{
    static uint64_t entry[XC_PAGES_MAX];
    struct xc_reader x;
    char *ours = NULL;
    int rc = xc_start(&x, in);

    rc = rc ? rc : xc_config(&x, &ours);
    free(ours);
    while (!rc) {
        rc = xc_next(&x);
        if (!rc && x.r.type == XC_END)
            return x.r.bytes ? xc_bad(&x, "it should be empty") : xc_check_complete(&x, s);
        if (!rc && x.r.type == XC_PAGE_DATA) {
            rc = xc_check_pages_allowed(&x, s);
            rc = rc ? rc : xc_pages(&x, entry, s->p2m_pages);
            rc = rc ? rc : stream_skip(in, (uint64_t)x.r.n_data * 4096);
            rc = rc ? rc : xc_done(&x);
            *data += rc ? 0 : x.r.n_data;
        } else if (!rc) {
            rc = xc_take(&x, s);
        }
    }
    return rc;
}

static inline int read_stream(struct stream_in *in, struct xc_state *s, unsigned *data)
{
    struct stream_file file;
    int rc = stream_file_read(in, &file);

    *data = 0;
    rc = rc ? rc : stream_xl_start(in);
    rc = rc ? rc : read_xc(in, s, data);
    rc = rc ? rc : stream_xl_end(in);
    free(file.config);
    return rc;
}
