/* SPDX-License-Identifier: MIT */
/*
 * What names frames inside the guest's memory is made right for its new frames: page tables, the guest's list of its pages,
 * start_info, shared_info. All numbers are checked: an entry that names no page of the guest is a refusal.
 */
#include "fault.h"
#include "restore_private.h"

#include <errno.h>
#include <string.h>

#define ENTRIES RESTORE_ENTRIES
#define PRESENT 1ULL
#define FRAME_MASK 0x000ffffffffff000ULL
#define XEN_FIRST 256U
#define XEN_LAST 271U
#define BATCH XC_PAGES_MAX
#define IDENTITY 1U /* the two upper bits of an entry of Linux's list: a page that is its own frame */

static bool is_ours(const struct restore *r, uint64_t pfn, unsigned i)
{
    return (r->type[pfn] & 7) != XC_L4 || i < XEN_FIRST || i > XEN_LAST;
}

bool restore_names_known(const struct restore *r, uint64_t pfn, const uint64_t *table)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (is_ours(r, pfn, i) && table[i] & PRESENT && !restore_has(r, (table[i] & FRAME_MASK) >> 12))
            return false;
    return true;
}

int restore_localise(struct restore *r, uint64_t pfn, uint64_t *table)
{
    unsigned level = r->type[pfn] & 7;

    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t e = table[i], to = (e & FRAME_MASK) >> 12;

        if (!is_ours(r, pfn, i))
            table[i] = 0;
        else if (e & PRESENT && !restore_has(r, to))
            return fault(-EINVAL, "page table %#llx (level %u): entry %u names page %#llx, which the stream has not brought", (unsigned long long)pfn,
                         level, i, (unsigned long long)to);
        else if (e & PRESENT)
            table[i] = (e & ~FRAME_MASK) | r->mfn[to] << 12;
    }
    return 0;
}

static int localise_batch(struct restore *r, const uint64_t *pfn, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        r->list[i] = r->mfn[pfn[i]];
    uint64_t *at = n ? ctl_map(r->c, r->domid, r->list, n, true) : NULL;
    int rc = n && !at ? -EFAULT : 0;

    for (unsigned i = 0; i < n && !rc; i++)
        rc = restore_localise(r, pfn[i], at + (size_t)i * ENTRIES);
    if (at && !r->in->shared)
        ctl_unmap(r->c, at, n);
    return rc;
}

int restore_tables(struct restore *r)
{
    uint64_t pfn[BATCH];
    unsigned n = 0;
    int rc = 0;

    for (uint64_t p = 0; p < r->st.p2m_pages && !rc; p++) {
        if (!r->mfn[p] || !restore_is_table(r->type[p]) || r->early[p] & RESTORE_LOCAL)
            continue;
        pfn[n++] = p;
        if (n == BATCH) {
            rc = localise_batch(r, pfn, n);
            n = 0;
        }
    }
    return rc ? rc : localise_batch(r, pfn, n);
}

/* --- the list of pages ---------------------------------------------------------------------------------------------------- */

static int check_plain(const struct restore *r, uint64_t pfn, const char *what)
{
    if (!restore_has(r, pfn))
        return fault(-EINVAL, "%s is page %#llx, which the stream has not brought", what, (unsigned long long)pfn);
    if (restore_is_table(r->type[pfn]))
        return fault(-EINVAL, "%s is page %#llx, which is a page table", what, (unsigned long long)pfn);
    return 0;
}

/* Pages that the guest has marked as their own frames stay so; all others that have no frame are holes. */
static void write_p2m_frame(const struct restore *r, uint64_t frame, uint64_t *to)
{
    for (unsigned j = 0; j < ENTRIES; j++) {
        uint64_t pfn = frame * ENTRIES + j;

        if (restore_has(r, pfn))
            to[j] = r->mfn[pfn];
        else if (to[j] >> 62 != IDENTITY)
            to[j] = ~0ULL;
    }
}

static int write_p2m_batch(struct restore *r, uint64_t first, unsigned n)
{
    int rc = 0;

    for (unsigned i = 0; i < n && !rc; i++) {
        rc = check_plain(r, r->st.p2m_frames[first + i], "a part of the list of pages");
        r->list[i] = rc ? 0 : r->mfn[r->st.p2m_frames[first + i]];
    }
    uint64_t *at = rc ? NULL : ctl_map(r->c, r->domid, r->list, n, true);

    for (unsigned i = 0; i < n && at; i++)
        write_p2m_frame(r, first + i, at + (size_t)i * ENTRIES);
    if (at && !r->in->shared)
        ctl_unmap(r->c, at, n);
    return rc ? rc : at ? 0 : -EFAULT;
}

int restore_p2m(struct restore *r)
{
    uint64_t frames = (r->st.p2m_pages + ENTRIES - 1) / ENTRIES;
    int rc = 0;

    for (uint64_t i = 0; i < frames && !rc; i += BATCH)
        rc = write_p2m_batch(r, i, frames - i < BATCH ? (unsigned)(frames - i) : BATCH);
    return rc;
}

/* --- start_info, shared_info ---------------------------------------------------------------------------------------------- */

static int write_start_info(struct restore *r, struct start_info *si, uint64_t shared_info_mfn)
{
    uint64_t store = si->store_mfn, console = si->console.domU.mfn; /* page numbers, as the guest left them */
    int rc = check_plain(r, store, "the ring to the store");

    rc = rc ? rc : check_plain(r, console, "the console's ring");
    if (rc)
        return rc;
    r->shared->store_mfn = r->mfn[store];
    r->shared->console_mfn = r->mfn[console];
    si->nr_pages = r->st.p2m_pages;
    si->shared_info = shared_info_mfn * RESTORE_PAGE;
    si->flags = 0;
    si->store_mfn = r->shared->store_mfn;
    si->store_evtchn = r->rings->store_port;
    si->console.domU.mfn = r->shared->console_mfn;
    si->console.domU.evtchn = r->rings->console_port;
    return 0;
}

/* Its page is the argument of the call by which the guest suspended. */
int restore_start_info(struct restore *r)
{
    const vcpu_guest_context_t *v = (const void *)r->st.vcpu[0].basic.data;
    struct xen_domctl_getdomaininfo info;
    uint64_t pfn = v->user_regs.rdx;
    int rc = check_plain(r, pfn, "start_info");

    rc = rc ? rc : ctl_domain_info(r->c, r->domid, &info);
    if (rc)
        return rc;
    struct start_info *si = ctl_map(r->c, r->domid, &r->mfn[pfn], 1, true);

    if (!si)
        return -EFAULT;
    rc = write_start_info(r, si, info.shared_info_frame);
    ctl_unmap(r->c, si, 1);
    return rc;
}

/* The guest makes its event channels and says where its list of pages lies anew. */
static void write_shared_info(const struct restore *r, struct shared_info *to, const struct shared_info *from)
{
    for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++) {
        to->vcpu_info[i].evtchn_upcall_mask = from->vcpu_info[i].evtchn_upcall_mask;
        to->vcpu_info[i].evtchn_upcall_pending = 0;
        to->vcpu_info[i].evtchn_pending_sel = 0;
        to->vcpu_info[i].arch = from->vcpu_info[i].arch;
    }
    memset(to->evtchn_pending, 0, sizeof(to->evtchn_pending));
    memset(to->evtchn_mask, 0xff, sizeof(to->evtchn_mask));
    to->arch = (struct arch_shared_info){ .max_pfn = r->st.p2m_pages };
}

int restore_shared_info(struct restore *r)
{
    struct xen_domctl_getdomaininfo info;
    int rc = ctl_domain_info(r->c, r->domid, &info);
    struct shared_info *to = rc ? NULL : ctl_map(r->c, r->domid, &(xen_pfn_t){ info.shared_info_frame }, 1, true);

    if (!to)
        return rc ? rc : -EFAULT;
    write_shared_info(r, to, (const void *)r->st.shared_info.data);
    ctl_unmap(r->c, to, 1);
    return 0;
}
