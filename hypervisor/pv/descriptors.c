/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's GDT and LDT. Its descriptors are loaded by the real processor, so each is checked: segments of
 * ring 3 (or 1, or 0, which become 3), call gates and system segments refused. Pages that hold them have the type
 * SEG, are mapped read-only into the CPU's own GDT and LDT windows, and change only through update_descriptor.
 */
#include "domain.h"
#include "lib.h"
#include "log.h"
#include "logdirty.h"
#include "pgt_private.h"
#include "pgt_update.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/desc.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/mm.h"
#include "x86/pv.h"

#define DESC_PRESENT BIT(47)
#define DESC_NONSYSTEM BIT(44)
#define DESC_CODE BIT(43)
#define DESC_CONFORM_OR_DOWN BIT(42)
#define DESC_ACCESSED BIT(40)
#define DESC_DPL (3UL << 45)
#define DESC_LONG BIT(53)
#define DESC_DB BIT(54)

bool pv_descriptor_check(uint64_t *desc)
{
    uint64_t d = *desc;

    if (!(d & DESC_PRESENT))
        return true;
    if (!(d & DESC_NONSYSTEM)) {
        /* The only system descriptors that could do no harm are those of type 0. */
        if ((d >> 40 & 0xf) == 0 && !(d & (0xffUL << 32)))
            return true;
        return false;
    }
    /* Conforming code runs at the caller's level: ring 3 at most, and its DPL would not hold it. */
    if ((d & DESC_CODE) && (d & DESC_CONFORM_OR_DOWN))
        return false;
    if ((d & DESC_CODE) && (d & DESC_LONG) && (d & DESC_DB))
        return false;
    *desc = d | DESC_DPL | DESC_ACCESSED;
    return true;
}

int pgt_seg_validate(struct page *pg)
{
    uint64_t *d = map_frame(mfn_of(pg));
    int rc = 0;

    for (unsigned i = 0; i < 512 && !rc; i++) {
        uint64_t old = READ_ONCE(d[i]), now = old;

        if (!pv_descriptor_check(&now))
            rc = -XEN_EINVAL;
        else if (now != old)
            WRITE_ONCE(d[i], now);
    }
    unmap_frame(d);
    return rc;
}

/* --- GDT ---------------------------------------------------------------------------------------- */

static void seg_put(uint64_t mfn_val)
{
    pgt_put_page(page_of(mfn(mfn_val)), false);
}

void pv_gdt_drop(struct x86_vcpu *xv)
{
    unsigned pages = DIV_UP(xv->gdt_entries, 512);

    for (unsigned i = 0; i < pages; i++) {
        if (xv->loaded_on == cpu_self() + 1)
            cpu_gdt_page_set(i, INVALID_MFN);
        seg_put(xv->gdt_frames[i]);
        xv->gdt_frames[i] = 0;
    }
    xv->gdt_entries = 0;
}

int pv_gdt_set(struct x86_vcpu *xv, const uint64_t *frames, unsigned entries)
{
    unsigned pages = DIV_UP(entries, 512), i;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -XEN_EINVAL;
    for (i = 0; i < pages; i++)
        if (!mfn_valid(mfn(frames[i])) ||
            pgt_get_page(page_of_guest(mfn(frames[i])), xv->v.domain, PGT_SEG, false))
            break;
    if (i < pages) {
        while (i--)
            seg_put(frames[i]);
        return -XEN_EINVAL;
    }
    pv_gdt_drop(xv);
    xv->gdt_entries = entries;
    for (i = 0; i < pages; i++)
        xv->gdt_frames[i] = frames[i];
    return 0;
}

long do_set_gdt(struct vcpu *v, uint64_t list, uint64_t entries, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct x86_vcpu *xv = to_x86(v);
    uint64_t frames[FIRST_RESERVED_GDT_PAGE];
    int rc;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -XEN_EINVAL;
    if (copy_from_guest(frames, guest_ptr(list), DIV_UP(entries, 512) * 8))
        return -XEN_EFAULT;
    rc = pv_gdt_set(xv, frames, (unsigned)entries);
    if (!rc)
        for (unsigned i = 0; i < DIV_UP(xv->gdt_entries, 512); i++)
            cpu_gdt_page_set(i, mfn(xv->gdt_frames[i]));
    return rc;
}

/* --- LDT: mapped as a whole when it is set ---------------------------------------------------------- */

static void ldt_drop(struct x86_vcpu *xv)
{
    for (unsigned i = 0; i < DIV_UP(xv->ldt_entries, 512); i++)
        pgt_put_page(page_of(xv->ldt_frames[i]), false);
    xv->ldt_entries = 0;
}

int pv_ldt_frames_get(struct vcpu *v, mfn_t root, uint64_t base, unsigned pages, mfn_t *frames)
{
    for (unsigned i = 0; i < pages; i++) {
        uint64_t pte;
        struct page *pg = pv_lookup_va_in(v, root, base + i * FRAME_SIZE, &pte);

        if (!pg || pgt_get(pg, PGT_SEG, false)) {
            if (pg)
                put_page(pg);
            pv_ldt_frames_drop(frames, i);
            return -XEN_EINVAL;
        }
        frames[i] = mfn_of(pg);
    }
    return 0;
}

void pv_ldt_frames_drop(const mfn_t *frames, unsigned pages)
{
    while (pages--)
        pgt_put_page(page_of(frames[pages]), false);
}

int pv_ldt_set(struct x86_vcpu *xv, uint64_t base, unsigned entries)
{
    mfn_t frames[16];
    unsigned pages = DIV_UP(entries, 512);

    if (entries > 8192 || (entries && (base & (FRAME_SIZE - 1))))
        return -XEN_EINVAL;
    if (!entries && !xv->ldt_entries)
        return 0;
    if (pv_ldt_frames_get(&xv->v, xv->root, base, pages, frames))
        return -XEN_EINVAL;
    /* the processor lets go of the old one first */
    cpu_ldt_set(frames, entries);
    ldt_drop(xv);
    xv->ldt_base = base;
    xv->ldt_entries = entries;
    memcpy(xv->ldt_frames, frames, pages * sizeof(frames[0]));
    return 0;
}

void pv_ldt_drop(struct x86_vcpu *xv)
{
    ldt_drop(xv);
}

void pv_descriptors_load(struct x86_vcpu *xv)
{
    cpu_gdt_pages_set(xv->gdt_frames, DIV_UP(xv->gdt_entries, 512));
    cpu_ldt_set(xv->ldt_frames, xv->ldt_entries);
}

/* --- update_descriptor ---------------------------------------------------------------------------------- */

long do_update_descriptor(struct vcpu *v, uint64_t ma, uint64_t desc, uint64_t a3, uint64_t a4,
                          uint64_t a5)
{
    struct page *pg;
    uint64_t *p, type;
    long rc = -XEN_EINVAL;

    if ((ma & 7) || !pv_descriptor_check(&desc))
        return -XEN_EINVAL;
    pg = get_page_of_mfn(mfn_of_paddr(ma), v->domain);
    if (!pg)
        return -XEN_EINVAL;
    /* A page that is no descriptor table (yet) is written as an ordinary one. */
    type = (READ_ONCE(pg->type) & (PGT_TYPE_MASK | PGT_VALID)) == (PGT_SEG | PGT_VALID) ? PGT_SEG
                                                                                        : PGT_WRITABLE;
    if (!pgt_get(pg, type, false)) {
        p = map_frame(mfn_of(pg));
        WRITE_ONCE(p[(ma & 0xfff) / 8], desc);
        unmap_frame(p);
        page_dirtied(pg);
        pgt_put(pg, false);
        rc = 0;
    }
    put_page(pg);
    return rc;
}
