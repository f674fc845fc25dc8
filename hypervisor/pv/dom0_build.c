/* SPDX-License-Identifier: MIT */
/*
 * Domain 0: from the boot loader's modules to a paused domain that is ready to run. The order in
 * memory and the contents of start_info are those that stock Linux finds on the reference
 * (ABI-PROFILE 3.2, 3.3); xen.h of the ABI describes the rules.
 *
 * Memory comes in two steps: first what the kernel's bootstrap region needs, so that the kernel can
 * be copied and its module and unpacked image freed; then the rest, which may reuse those. Boot
 * CPU only; a failure is final and says why.
 */
#include "cmdline.h"
#include "dom0.h"
#include "lib.h"
#include "log.h"
#include "page.h"

#include <xen/arch-x86/xen.h>

#define FIRST_STEP (1UL << 15) /* pages: rounding of the first step, so that blocks stay large */
#define MIB(pages) ((unsigned long)((pages) >> (20 - FRAME_SHIFT)))
#define VGA_INFO_OFFSET sizeof(struct start_info)

static struct dom0_build build;

/* --- Layout -------- */

static bool range_is_guest(uint64_t start, uint64_t end)
{
    if (start >= end || (start < HYP_VIRT_END && end > HYP_VIRT_START))
        return false;
    /* canonical, both ends in the same half */
    return ((int64_t)(start << 16) >> 16) == (int64_t)start &&
           ((int64_t)((end - 1) << 16) >> 16) == (int64_t)(end - 1) &&
           (start ^ (end - 1)) >> 63 == 0;
}

/* What follows the kernel and what is mapped with it; the tables' size depends on the end. */
static void layout_region(struct dom0_build *b, uint64_t at)
{
    b->start_info_va = at;
    b->pt_va = at + FRAME_SIZE;
    b->nr_pt = 3;
    for (;;) {
        uint64_t need;

        b->stack_va = b->pt_va + b->nr_pt * FRAME_SIZE;
        b->v_end = ROUND_UP(b->stack_va + FRAME_SIZE + DOM0_SPARE, DOM0_ALIGN);
        need = dom0_tables_needed(b->v_start, b->v_end, true);
        if (need <= b->nr_pt)
            break;
        b->nr_pt = need;
    }
}

static int layout(struct dom0_build *b)
{
    uint64_t at = ROUND_UP(b->elf.end, FRAME_SIZE), list = DIV_UP(b->nr_pages, 512);

    b->v_start = b->elf.virt_base;
    if ((b->v_start & ~FRAME_MASK) || b->elf.end > ~0UL - (1UL << 30)) {
        log_err("dom0 kernel: unusable VIRT_BASE %#lx\n", (unsigned long)b->v_start);
        return -XEN_EINVAL;
    }
    if (boot.nr_modules > 1)
        b->initrd_pages = DIV_UP(boot.module[1].size, FRAME_SIZE);
    if (b->initrd_pages && !b->elf.mod_start_pfn) {
        b->initrd_va = at;
        at += b->initrd_pages * FRAME_SIZE;
    }
    b->p2m_pages = list;
    if (b->elf.init_p2m == ELF_UNSET) {
        b->p2m_va = at;
        at += list * FRAME_SIZE;
    }
    layout_region(b, at);
    if (b->elf.init_p2m != ELF_UNSET) {
        b->p2m_va = b->elf.init_p2m;
        b->p2m_tables = dom0_tables_needed(b->p2m_va, b->p2m_va + list * FRAME_SIZE, false);
        b->p2m_pages += b->p2m_tables;
        if ((b->p2m_va & ~FRAME_MASK) || L4_INDEX(b->p2m_va) == L4_INDEX(b->v_start) ||
            !range_is_guest(b->p2m_va, b->p2m_va + list * FRAME_SIZE)) {
            log_err("dom0 kernel: unusable INIT_P2M %#lx\n", (unsigned long)b->p2m_va);
            return -XEN_EINVAL;
        }
    }
    if (!range_is_guest(b->v_start, b->v_end)) {
        log_err("dom0 kernel: its addresses %#lx-%#lx are not a guest's\n",
                (unsigned long)b->v_start, (unsigned long)b->v_end);
        return -XEN_EINVAL;
    }
    return 0;
}

static uint64_t region_pages(const struct dom0_build *b)
{
    return (b->v_end - b->v_start) >> FRAME_SHIFT;
}

static int size_check(const struct dom0_build *b)
{
    uint64_t need =
        region_pages(b) + (b->initrd_va ? 0 : b->initrd_pages) + (b->p2m_tables ? b->p2m_pages : 0);

    if (need <= b->nr_pages)
        return 0;
    log_err(
        "dom0: %lu MiB are too little: kernel and initrd need %lu MiB to start; more dom0_mem=\n",
        MIB(b->nr_pages), MIB(need) + 1);
    return -XEN_ENOMEM;
}

/* --- Kernel, initrd and the rest of memory -------- */

static void kernel_load(struct dom0_build *b)
{
    for (unsigned i = 0; i < b->elf.nr_segments; i++) {
        const struct elf_segment *s = &b->elf.segment[i];

        dom0_write(b, s->va, s->data, s->bytes);
        dom0_clear(b, s->va + s->bytes, s->size - s->bytes);
    }
    if (!mfn_eq(b->kernel.frames, INVALID_MFN))
        frames_free(b->kernel.frames, b->kernel.order);
    dom0_module_free(&boot.module[0]);
}

static void initrd_load_mapped(struct dom0_build *b)
{
    const struct boot_module *m = &boot.module[1];

    dom0_write(b, b->initrd_va, dom0_phys(m->start), m->size);
    dom0_clear(b, b->initrd_va + m->size, b->initrd_pages * FRAME_SIZE - m->size);
    dom0_module_free(m);
}

static int memory_fill(struct dom0_build *b)
{
    uint64_t first = ROUND_UP(region_pages(b), FIRST_STEP);
    uint64_t later = b->initrd_va ? 0 : b->initrd_pages;
    int rc;

    if (first + later > b->nr_pages)
        first = region_pages(b);
    rc = dom0_populate(b, first);
    if (rc)
        return rc;
    kernel_load(b);
    b->max_order = MAX_ORDER;
    if (b->initrd_va)
        initrd_load_mapped(b);
    else if (b->initrd_pages)
        rc = dom0_take_initrd(b);
    if (rc)
        return rc;
    b->p2m_pfn = b->p2m_tables ? b->have : dom0_va_pfn(b, b->p2m_va);
    rc = dom0_populate(b, b->nr_pages);
    if (rc && b->have >= b->p2m_pfn + b->p2m_pages && b->have > b->nr_pages / 2) {
        log_warn("dom0: memory ended at %lu of %lu MiB\n", MIB(b->have), MIB(b->nr_pages));
        rc = 0;
    }
    b->nr_pages = b->have;
    return rc;
}

/* --- start_info -------- */

static uint32_t vga_info_fill(struct dom0_vga_console_info *vga)
{
    if (!boot.video.present)
        return 0;
    if (!boot.video.graphics) {
        vga->video_type = XEN_VGATYPE_TEXT_MODE_3;
        vga->u.text_mode_3.font_height = boot.video.font_height;
        vga->u.text_mode_3.cursor_x = boot.video.cursor_x;
        vga->u.text_mode_3.cursor_y = boot.video.cursor_y;
        vga->u.text_mode_3.rows = boot.video.rows;
        vga->u.text_mode_3.columns = boot.video.cols;
        return sizeof(*vga);
    }
    vga->video_type = XEN_VGATYPE_VESA_LFB;
    vga->u.vesa_lfb.width = (uint16_t)boot.video.width;
    vga->u.vesa_lfb.height = (uint16_t)boot.video.height;
    vga->u.vesa_lfb.bytes_per_line = (uint16_t)boot.video.pitch;
    vga->u.vesa_lfb.bits_per_pixel = (uint16_t)boot.video.bpp;
    vga->u.vesa_lfb.lfb_base = (uint32_t)boot.video.base;
    vga->u.vesa_lfb.ext_lfb_base = (uint32_t)(boot.video.base >> 32);
    vga->u.vesa_lfb.lfb_size =
        (uint32_t)DIV_UP((uint64_t)boot.video.pitch * boot.video.height, 65536UL);
    vga->u.vesa_lfb.red_pos = boot.video.red_pos;
    vga->u.vesa_lfb.red_size = boot.video.red_size;
    vga->u.vesa_lfb.green_pos = boot.video.green_pos;
    vga->u.vesa_lfb.green_size = boot.video.green_size;
    vga->u.vesa_lfb.blue_pos = boot.video.blue_pos;
    vga->u.vesa_lfb.blue_size = boot.video.blue_size;
    return sizeof(*vga);
}

static void start_info_fill(struct dom0_build *b, struct start_info *si)
{
    _Static_assert(sizeof(*si) + sizeof(struct dom0_vga_console_info) <= FRAME_SIZE, "one page");
    memset(si, 0, FRAME_SIZE);
    strlcpy(si->magic, "xen-3.0-x86_64p", sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = paddr_of_mfn(b->d->shared_mfn);
    /* The power management bits (Cx, Px) are set as on the reference. */
    si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN | (3u << 8);
    si->pt_base = b->pt_va;
    si->nr_pt_frames = b->nr_pt;
    si->mfn_list = b->p2m_va;
    if (b->p2m_tables) {
        si->first_p2m_pfn = b->p2m_pfn;
        si->nr_p2m_frames = b->p2m_pages;
    }
    if (b->initrd_pages) {
        si->mod_start = b->initrd_va ? b->initrd_va : b->initrd_pfn;
        si->mod_len = boot.module[1].size;
        if (!b->initrd_va)
            si->flags |= SIF_MOD_START_PFN;
    }
    if (strlcpy((char *)si->cmd_line, boot.module[0].cmdline, MAX_GUEST_CMDLINE) >=
        MAX_GUEST_CMDLINE)
        log_warn("dom0: kernel command line cut to %u characters\n", MAX_GUEST_CMDLINE - 1);
    si->console.dom0.info_size =
        vga_info_fill((struct dom0_vga_console_info *)((char *)si + VGA_INFO_OFFSET));
    si->console.dom0.info_off = si->console.dom0.info_size ? VGA_INFO_OFFSET : 0;
}

/* --- Domain and vCPUs -------- */

static unsigned vcpu_count(void)
{
    unsigned n = MIN(cpu_count(), (unsigned)MAX_VCPUS);

    n = MAX(n, MIN(opt.dom0_max_vcpus_min, (uint32_t)MAX_VCPUS));
    if (opt.dom0_max_vcpus_max)
        n = MIN(n, opt.dom0_max_vcpus_max);
    return n;
}

static int domain_make(struct dom0_build *b)
{
    unsigned n = vcpu_count();
    int rc = 0;

    b->d = domain_create(0, true, n, &rc);
    if (!b->d) {
        log_err("dom0: cannot create the domain (%d)\n", rc);
        return rc ? rc : -XEN_ENOMEM;
    }
    b->d->hardware = true;
    b->d->max_pages =
        MAX(b->nr_pages, opt.dom0_mem_max ? opt.dom0_mem_max >> FRAME_SHIFT : frames_total());
    for (unsigned i = 0; i < n; i++) {
        struct vcpu *v = vcpu_create(b->d, i);

        if (!v) {
            log_err("dom0: no memory for vCPU %u of %u\n", i, n);
            return -XEN_ENOMEM;
        }
        v->info->evtchn_upcall_mask = 1;
    }
    return 0;
}

static void vcpu_start_state(struct dom0_build *b)
{
    struct vcpu *v = b->d->vcpu[0];
    struct x86_vcpu *xv = to_x86(v);

    memset(&xv->regs, 0, sizeof(xv->regs));
    xv->regs.rip = b->elf.entry;
    xv->regs.rsp = b->stack_va + FRAME_SIZE;
    xv->regs.rsi = b->start_info_va;
    xv->regs.cs = FLAT_KERNEL_CS;
    xv->regs.ss = FLAT_KERNEL_SS;
    xv->regs.rflags = FLAG_IF | BIT(1);
    xv->kernel_mode = 1;
    xv->kernel_sp = xv->regs.rsp;
    xv->kernel_ss = FLAT_KERNEL_SS;
    xv->root = b->l4;
    xv->cr3_kernel = paddr_of_mfn(b->l4);
    v->info->evtchn_upcall_mask = 1;
    v->initialised = true;
}

static void report(const struct dom0_build *b)
{
    log_info("dom0: %lu MiB in %u pieces, %u vCPUs, %lu MiB stay free\n", MIB(b->nr_pages),
             b->nr_extents, b->d->max_vcpus, MIB(frames_free_count()));
    log_info("dom0: kernel %s %s %#lx-%#lx, entry %#lx\n", b->elf.guest_os, b->elf.guest_version,
             (unsigned long)b->elf.start, (unsigned long)b->elf.end, (unsigned long)b->elf.entry);
    log_info("dom0: start_info %#lx, %lu page tables at %#lx, stack %#lx, region %#lx-%#lx\n",
             (unsigned long)b->start_info_va, (unsigned long)b->nr_pt, (unsigned long)b->pt_va,
             (unsigned long)b->stack_va, (unsigned long)b->v_start, (unsigned long)b->v_end);
    log_info("dom0: initrd %lu KiB at %s %#lx, p2m at %#lx, pfns %#lx+%#lx\n",
             (unsigned long)(b->initrd_pages ? boot.module[1].size >> 10 : 0),
             b->initrd_va ? "address" : "pfn",
             (unsigned long)(b->initrd_va ? b->initrd_va : b->initrd_pfn), (unsigned long)b->p2m_va,
             (unsigned long)b->p2m_pfn, (unsigned long)b->p2m_pages);
    log_info("dom0: command line: %s\n", boot.module[0].cmdline);
}

static int build_all(struct dom0_build *b)
{
    struct start_info *si;
    int rc;

    b->nr_pages = dom0_size(b);
    rc = layout(b);
    if (!rc)
        rc = size_check(b);
    if (!rc)
        rc = domain_make(b);
    if (rc)
        return rc;
    rc = memory_fill(b);
    if (rc) {
        log_err("dom0: not enough memory: %lu of %lu MiB found\n", MIB(b->have), MIB(b->nr_pages));
        return rc;
    }
    dom0_write_p2m(b);
    rc = dom0_build_tables(b);
    if (rc)
        return rc;
    dom0_clear(b, b->stack_va, FRAME_SIZE);
    si = map_frame(dom0_mfn(b, dom0_va_pfn(b, b->start_info_va)));
    start_info_fill(b, si);
    unmap_frame(si);
    rc = dom0_pin_tables(b);
    if (rc)
        return rc;
    vcpu_start_state(b);
    to_x86d(b->d)->p2m_nr = b->nr_pages;
    report(b);
    return 0;
}

struct domain *dom0_create(void)
{
    struct dom0_build *b = &build;
    const struct boot_module *m = &boot.module[0];

    if (!boot.nr_modules) {
        log_err("dom0: no kernel: the boot loader must give it as the first module\n");
        return NULL;
    }
    memset(b, 0, sizeof(*b));
    b->max_order = MAX_ORDER;
    if (kernel_unpack(dom0_phys(m->start), m->size, &b->kernel) ||
        elf_parse(b->kernel.data, b->kernel.size, "dom0 kernel", &b->elf))
        return NULL;
    return build_all(b) ? NULL : b->d;
}
