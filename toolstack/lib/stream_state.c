/* SPDX-License-Identifier: MIT */
/*
 * What libxc's stream says beside pages: each record's size and fields, which may come once only, and what must come before
 * what. What is kept here is bounded by the caller's limits (pages, vCPUs) and by small constants.
 */
#include "stream.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/arch-x86/cpuid.h>

#define PAGE 4096U
#define PER_FRAME 512U
#define EXTENDED_MAX 128U /* as domctl.h says */
#define XSAVE_MAX 65536U
#define MSRS_MAX 256U
#define POLICY_MAX 65536U

static int no_memory(const struct xc_reader *x)
{
    return fault(-ENOMEM, "record %llu (%s): no memory", (unsigned long long)x->r.index, xc_name(x->r.type));
}

static int expect(const struct xc_reader *x, uint32_t bytes)
{
    return x->r.bytes == bytes ? 0 : xc_bad(x, "it has %u bytes; it should have %u", x->r.bytes, bytes);
}

/* The whole body into fresh memory, once. */
static int take_blob(struct xc_reader *x, struct xc_blob *b)
{
    if (b->data)
        return xc_bad(x, "there is a second one");
    b->data = malloc(x->r.bytes + 1U);
    if (!b->data)
        return no_memory(x);
    b->bytes = x->r.bytes;
    return xc_body(x, b->data);
}

static int take_pv_info(struct xc_reader *x, struct xc_state *s)
{
    struct {
        uint8_t width, levels;
        uint16_t reserved1;
        uint32_t reserved2;
    } info;
    int rc = expect(x, sizeof(info));

    rc = rc ? rc : xc_body(x, &info);
    if (rc)
        return rc;
    if (s->pv_info)
        return xc_bad(x, "there is a second one");
    if (info.width != 8 || info.levels != 4)
        return xc_bad(x, "the guest has %u-bit words and %u levels of page tables; 64 and 4 are supported", info.width * 8U, info.levels);
    s->pv_info = true;
    return 0;
}

static int take_static_end(struct xc_reader *x, struct xc_state *s)
{
    int rc = expect(x, 0);

    if (rc)
        return rc;
    if (s->static_end)
        return xc_bad(x, "there is a second one");
    if (!s->pv_info)
        return xc_bad(x, "X86_PV_INFO has not come before it");
    s->static_end = true;
    return 0;
}

/* --- the frames of the list of pages ---------------------------------------------------------------------------------- */

struct p2m_range {
    uint32_t first, last;
};

static int check_range(const struct xc_reader *x, const struct xc_state *s, const struct p2m_range *r)
{
    if (!s->pv_info)
        return xc_bad(x, "X86_PV_INFO has not come before it");
    if (x->version >= 3 && !s->static_end)
        return xc_bad(x, "STATIC_DATA_END has not come before it");
    if (r->first > r->last)
        return xc_bad(x, "it goes from %#x to %#x", r->first, r->last);
    if (r->last >= s->max_pages)
        return xc_bad(x, "it goes up to page %#x; the guest may have %#llx", r->last, (unsigned long long)s->max_pages);
    if (r->first / PER_FRAME * PER_FRAME > s->p2m_pages)
        return xc_bad(x, "it begins at page %#x; those from %#llx on are missing", r->first, (unsigned long long)s->p2m_pages);
    if (x->r.bytes - sizeof(*r) != (r->last / PER_FRAME - r->first / PER_FRAME + 1) * sizeof(uint64_t))
        return xc_bad(x, "it has %u bytes, which does not fit pages %#x to %#x", x->r.bytes, r->first, r->last);
    return 0;
}

/* Room for all frames up to the record's last. */
static int grow(struct xc_reader *x, struct xc_state *s, uint64_t pages)
{
    uint64_t *more = pages <= s->p2m_pages ? s->p2m_frames : realloc(s->p2m_frames, (pages + PER_FRAME - 1) / PER_FRAME * sizeof(*more));

    if (!more)
        return no_memory(x);
    s->p2m_frames = more;
    if (pages > s->p2m_pages)
        s->p2m_pages = pages;
    return 0;
}

static int take_p2m(struct xc_reader *x, struct xc_state *s)
{
    uint8_t *body = x->r.bytes < sizeof(struct p2m_range) ? NULL : malloc(x->r.bytes);
    struct p2m_range r;

    if (!body)
        return x->r.bytes < sizeof(r) ? xc_bad(x, "too short") : no_memory(x);
    int rc = xc_body(x, body);

    if (!rc) {
        memcpy(&r, body, sizeof(r));
        rc = check_range(x, s, &r);
    }
    rc = rc ? rc : grow(x, s, (uint64_t)r.last + 1);
    uint64_t *to = rc ? NULL : s->p2m_frames + r.first / PER_FRAME;

    for (uint32_t i = 0; !rc && i <= r.last / PER_FRAME - r.first / PER_FRAME; i++) {
        memcpy(to + i, body + sizeof(r) + i * sizeof(*to), sizeof(*to));
        if (to[i] >= s->p2m_pages)
            rc = xc_bad(x, "frame %u of the list is page %#llx; there are %#llx", i, (unsigned long long)to[i], (unsigned long long)s->p2m_pages);
    }
    free(body);
    return rc;
}

/* --- virtual CPUs --------------------------------------------------------------------------------------------------------- */

struct vcpu_head {
    uint32_t id, reserved;
};

static int check_vcpu_size(const struct xc_reader *x)
{
    uint32_t bytes = x->r.bytes - (uint32_t)sizeof(struct vcpu_head);

    switch (x->r.type) {
    case XC_PV_VCPU_BASIC: return expect(x, sizeof(struct vcpu_head) + sizeof(vcpu_guest_context_t));
    case XC_PV_VCPU_EXTENDED:
        return bytes > EXTENDED_MAX ? xc_bad(x, "more than the %u bytes that there can be", EXTENDED_MAX) : 0;
    case XC_PV_VCPU_XSAVE: return bytes > XSAVE_MAX ? xc_bad(x, "too long") : 0;
    default: return bytes % sizeof(struct xen_domctl_vcpu_msr) || bytes / sizeof(struct xen_domctl_vcpu_msr) > MSRS_MAX ? xc_bad(x, "no whole number of MSRs, or too many") : 0;
    }
}

static struct xc_blob *vcpu_blob(struct xc_vcpu *v, uint32_t type)
{
    switch (type) {
    case XC_PV_VCPU_BASIC: return &v->basic;
    case XC_PV_VCPU_EXTENDED: return &v->extended;
    case XC_PV_VCPU_XSAVE: return &v->xsave;
    default: return &v->msrs;
    }
}

/* The blob keeps the context alone. Empty ones are ignored, as the specification's errata want it. */
static int take_vcpu(struct xc_reader *x, struct xc_state *s)
{
    struct xc_blob b = { 0 };
    struct vcpu_head h;

    if (!s->p2m_pages)
        return xc_bad(x, "X86_PV_P2M_FRAMES has not come before it");
    int rc = x->r.bytes < sizeof(h) ? xc_bad(x, "too short") : check_vcpu_size(x);

    rc = rc ? rc : take_blob(x, &b);
    if (rc) {
        free(b.data);
        return rc;
    }
    memcpy(&h, b.data, sizeof(h));
    struct xc_blob *to = h.id < s->max_vcpus && h.id < XC_VCPUS_MAX ? vcpu_blob(&s->vcpu[h.id], x->r.type) : NULL;

    if (!to)
        rc = xc_bad(x, "virtual CPU %u; the guest has %u", h.id, s->max_vcpus);
    else if (to->data)
        rc = xc_bad(x, "there is a second one for virtual CPU %u", h.id);
    if (rc || b.bytes == sizeof(h)) {
        free(b.data);
        return rc;
    }
    b.bytes -= (uint32_t)sizeof(h);
    memmove(b.data, b.data + sizeof(h), b.bytes);
    *to = b;
    return 0;
}

/* --- the rest ------------------------------------------------------------------------------------------------------------- */

static int take_tsc(struct xc_reader *x, struct xc_state *s)
{
    struct {
        uint32_t mode, khz;
        uint64_t nsec;
        uint32_t incarnation, reserved;
    } t;
    int rc = expect(x, sizeof(t));

    rc = rc ? rc : xc_body(x, &t);
    if (rc)
        return rc;
    if (s->has_tsc)
        return xc_bad(x, "there is a second one");
    if (t.mode > 2)
        return xc_bad(x, "mode %u; 0 to 2 are known", t.mode);
    s->has_tsc = true;
    s->tsc_mode = t.mode;
    s->tsc_khz = t.khz;
    s->tsc_nsec = t.nsec;
    s->tsc_incarnation = t.incarnation;
    return 0;
}

static int take_policy(struct xc_reader *x, struct xc_state *s, struct xc_blob *b, uint32_t unit)
{
    if (s->static_end)
        return xc_bad(x, "STATIC_DATA_END has come before it");
    if (x->r.bytes % unit || x->r.bytes > POLICY_MAX)
        return xc_bad(x, "its length is not a multiple of %u, or it is too long", unit);
    return take_blob(x, b);
}

static int take_shared_info(struct xc_reader *x, struct xc_state *s)
{
    int rc = expect(x, PAGE);

    return rc ? rc : take_blob(x, &s->shared_info);
}

int xc_take(struct xc_reader *x, struct xc_state *s)
{
    switch (x->r.type) {
    case XC_PV_INFO: return take_pv_info(x, s);
    case XC_STATIC_DATA_END: return take_static_end(x, s);
    case XC_PV_P2M_FRAMES: return take_p2m(x, s);
    case XC_PV_VCPU_BASIC:
    case XC_PV_VCPU_EXTENDED:
    case XC_PV_VCPU_XSAVE:
    case XC_PV_VCPU_MSRS: return take_vcpu(x, s);
    case XC_SHARED_INFO: return take_shared_info(x, s);
    case XC_TSC_INFO: return take_tsc(x, s);
    case XC_CPUID_POLICY: return take_policy(x, s, &s->cpuid, sizeof(xen_cpuid_leaf_t));
    case XC_MSR_POLICY: return take_policy(x, s, &s->msr_policy, sizeof(xen_msr_entry_t));
    default: return xc_bad(x, "not supported here");
    }
}

int xc_check_pages_allowed(const struct xc_reader *x, const struct xc_state *s)
{
    return s->p2m_pages ? 0 : xc_bad(x, "X86_PV_P2M_FRAMES has not come before it");
}

int xc_check_complete(const struct xc_reader *x, const struct xc_state *s)
{
    if (!s->p2m_pages)
        return xc_bad(x, "X86_PV_P2M_FRAMES has not come before it");
    if (!s->shared_info.data)
        return xc_bad(x, "SHARED_INFO has not come before it");
    if (!s->vcpu[0].basic.data)
        return xc_bad(x, "X86_PV_VCPU_BASIC of virtual CPU 0 has not come before it");
    for (unsigned i = 1; i < XC_VCPUS_MAX; i++)
        if (!s->vcpu[i].basic.data && (s->vcpu[i].extended.data || s->vcpu[i].xsave.data || s->vcpu[i].msrs.data))
            return xc_bad(x, "virtual CPU %u has other records, but no X86_PV_VCPU_BASIC", i);
    return 0;
}

void xc_state_dispose(struct xc_state *s)
{
    free(s->p2m_frames);
    free(s->cpuid.data);
    free(s->msr_policy.data);
    free(s->shared_info.data);
    for (unsigned i = 0; i < XC_VCPUS_MAX; i++) {
        struct xc_vcpu *v = &s->vcpu[i];

        free(v->basic.data);
        free(v->extended.data);
        free(v->xsave.data);
        free(v->msrs.data);
    }
    memset(s, 0, sizeof(*s));
}
