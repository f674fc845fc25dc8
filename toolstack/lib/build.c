/* SPDX-License-Identifier: MIT */
/* The domain builder. See build.h; the layout is build_layout.c's, the kernel's file build_image.c's. */
#include "build.h"
#include "build_copy.h"
#include "build_layout.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ULL
#define KERNEL_CS 0xe033 /* flat 64-bit segments that every guest has in its GDT; data segments may be null */
#define KERNEL_SS 0xe02b

struct build {
    struct image image;
    struct pv_layout l;
    int initrd;                 /* -1: none */
    uint64_t initrd_bytes, max_pages;
    char cmdline[MAX_GUEST_CMDLINE];
    xen_pfn_t *mfns;            /* of each page of the domain */
    /* while the domain is filled: */
    struct ctl *c;
    domid_t domid;
    uint8_t *low, *high;        /* its frames from kernel_pfn to stack_pfn, and from apart_pfn to end_pfn */
};

/* --- before there is a domain --------------------------------------------------------------------------------------- */

static int open_initrd(struct build *b, const char *path)
{
    struct stat st;

    b->initrd = open(path, O_RDONLY | O_CLOEXEC);
    if (b->initrd < 0 || fstat(b->initrd, &st))
        return fault(-errno, "ramdisk %s: cannot be read: %s; mend 'ramdisk ='", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || !st.st_size)
        return fault(-EINVAL, "ramdisk %s: %s; mend 'ramdisk ='", path, st.st_size ? "this is no regular file" : "the file is empty");
    b->initrd_bytes = (uint64_t)st.st_size;
    return 0;
}

static int prepare(struct build *b, const struct build_request *want)
{
    if (!want->kernel)
        return fault(-EINVAL, "no kernel is given; add 'kernel = \"/path/of/vmlinuz\"'");
    if (want->cmdline && strlen(want->cmdline) >= sizeof(b->cmdline))
        return fault(-E2BIG, "the kernel's command line has %zu characters, %zu fit; shorten 'extra ='", strlen(want->cmdline),
                     sizeof(b->cmdline) - 1);
    snprintf(b->cmdline, sizeof(b->cmdline), "%s", want->cmdline ? want->cmdline : "");
    b->max_pages = want->max_pages > want->pages ? want->max_pages : want->pages;
    int rc = want->ramdisk ? open_initrd(b, want->ramdisk) : 0;

    rc = rc ? rc : image_load(&b->image, want->kernel, want->cache);
    rc = rc ? rc : image_check_features(&b->image, want->kernel, want->features);
    rc = rc ? rc : layout_make(&b->l, &b->image, want->pages, b->initrd_bytes);
    if (rc)
        return rc;
    b->mfns = calloc(want->pages, sizeof(*b->mfns));
    return b->mfns ? 0 : fault(-ENOMEM, "no memory for the list of the guest's pages");
}

int build_prepare(struct build **out, const struct build_request *want)
{
    struct build *b = calloc(1, sizeof(*b));

    *out = NULL;
    if (!b)
        return fault(-ENOMEM, "building a guest: no memory");
    b->initrd = -1;
    int rc = prepare(b, want);

    if (rc)
        build_dispose(b);
    else
        *out = b;
    return rc;
}

void build_dispose(struct build *b)
{
    if (!b)
        return;
    if (b->initrd >= 0)
        close(b->initrd);
    image_dispose(&b->image);
    free(b->mfns);
    free(b);
}

/* --- filling ------------------------------------------------------------------------------------------------------------- */

/* Where a frame of ours is mapped here. */
static void *frame(const struct build *b, uint64_t pfn)
{
    if (pfn >= b->l.apart_pfn)
        return b->high + (pfn - b->l.apart_pfn) * PAGE;
    return b->low + (pfn - b->l.kernel_pfn) * PAGE;
}

static uint64_t low_pages(const struct build *b)
{
    return b->l.stack_pfn + 1 - b->l.kernel_pfn;
}

static int map_all(struct build *b)
{
    uint64_t high = b->l.end_pfn - b->l.apart_pfn;

    b->low = ctl_map(b->c, b->domid, b->mfns + b->l.kernel_pfn, low_pages(b), true);
    if (b->low && high)
        b->high = ctl_map(b->c, b->domid, b->mfns + b->l.apart_pfn, high, true);
    return b->low && (b->high || !high) ? 0 : -EFAULT;
}

/* Frames of a new domain hold what their last owner left if that was domain 0: all that is not written is cleared. */
static void load_kernel(struct build *b)
{
    const struct image *im = &b->image;

    for (unsigned i = 0; i < im->n_segments; i++) {
        const struct image_segment *s = &im->segment[i];
        uint8_t *to = b->low + (s->start - im->start);

        copy_bytes(to, im->elf + s->offset, s->file_bytes);
        clear_bytes(to + s->file_bytes, s->bytes - s->file_bytes);
    }
}

static int load_initrd(struct build *b)
{
    uint8_t *to = b->initrd_bytes ? frame(b, b->l.initrd_pfn) : NULL;
    uint64_t done = 0;

    while (done < b->initrd_bytes) {
        ssize_t n = pread(b->initrd, to + done, b->initrd_bytes - done, (off_t)done);

        if (n <= 0)
            return fault(n < 0 ? -errno : -EIO, "ramdisk: reading: %s", n < 0 ? strerror(errno) : "the file became shorter");
        done += (uint64_t)n;
    }
    if (done % PAGE)
        clear_bytes(to + done, PAGE - done % PAGE);
    return 0;
}

static void load_p2m(struct build *b)
{
    uint8_t *to = frame(b, b->l.p2m_pfn);
    uint64_t bytes = b->l.pages * sizeof(*b->mfns);

    copy_bytes(to, (const uint8_t *)b->mfns, bytes);
    clear_bytes(to + bytes, b->l.p2m_pages * PAGE - bytes);
}

static void write_start_info(struct build *b, const struct build_rings *rings, uint64_t shared_info_mfn)
{
    const struct pv_layout *l = &b->l;
    struct start_info *si = frame(b, l->start_info_pfn);

    memset(si, 0, PAGE);
    snprintf(si->magic, sizeof(si->magic), "xen-3.0-x86_64");
    si->nr_pages = l->pages;
    si->shared_info = shared_info_mfn * PAGE;
    si->flags = l->initrd_by_pfn && l->initrd_pages ? SIF_MOD_START_PFN : 0;
    si->store_mfn = b->mfns[l->store_pfn];
    si->store_evtchn = rings->store_port;
    si->console.domU.mfn = b->mfns[l->console_pfn];
    si->console.domU.evtchn = rings->console_port;
    si->pt_base = layout_virt(l, l->table_pfn);
    si->nr_pt_frames = l->n_tables;
    si->mfn_list = l->p2m_virt;
    si->first_p2m_pfn = l->p2m_apart ? l->p2m_pfn : 0;
    si->nr_p2m_frames = l->p2m_apart ? l->p2m_pages + l->n_p2m_tables : 0;
    if (l->initrd_pages)
        si->mod_start = l->initrd_by_pfn ? l->initrd_pfn : layout_virt(l, l->initrd_pfn);
    si->mod_len = b->initrd_bytes;
    memcpy(si->cmd_line, b->cmdline, sizeof(b->cmdline));
}

static int fill(struct build *b, const struct build_rings *rings, uint64_t shared_info_mfn)
{
    load_kernel(b);
    load_p2m(b);
    write_start_info(b, rings, shared_info_mfn);
    clear_bytes(frame(b, b->l.store_pfn), PAGE);
    clear_bytes(frame(b, b->l.console_pfn), PAGE);
    clear_bytes(frame(b, b->l.stack_pfn), PAGE);
    tables_write(&b->l, b->mfns, frame(b, b->l.table_pfn), b->l.n_p2m_tables ? frame(b, b->l.p2m_table_pfn) : NULL);
    return load_initrd(b);
}

/* A guest starts with events masked on all its virtual CPUs. */
static int mask_events(struct build *b, xen_pfn_t mfn)
{
    struct shared_info *s = ctl_map(b->c, b->domid, &mfn, 1, true);

    if (!s)
        return -EFAULT;
    for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        s->vcpu_info[i].evtchn_upcall_mask = 1;
    ctl_unmap(b->c, s, 1);
    return 0;
}

static int set_registers(struct build *b)
{
    vcpu_guest_context_t *v = calloc(1, sizeof(*v));

    if (!v)
        return fault(-ENOMEM, "building a guest: no memory");
    v->flags = VGCF_in_kernel | VGCF_online;
    v->user_regs.rip = b->image.entry;
    v->user_regs.rsp = layout_virt(&b->l, b->l.stack_pfn + 1);
    v->user_regs.rsi = layout_virt(&b->l, b->l.start_info_pfn);
    v->user_regs.rflags = 1 << 9; /* interrupts are on; events are masked in vcpu_info */
    v->user_regs.cs = KERNEL_CS;
    v->user_regs.ss = KERNEL_SS;
    v->kernel_ss = KERNEL_SS;
    v->kernel_sp = v->user_regs.rsp;
    v->ctrlreg[3] = xen_pfn_to_cr3(b->mfns[b->l.table_pfn]);
    int rc = ctl_vcpu_set_context(b->c, b->domid, 0, v);

    free(v);
    return rc;
}

static int hypercall_page(struct build *b)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_hypercall_init, .domain = b->domid };

    if (!b->image.has_hypercall_page)
        return 0;
    op.u.hypercall_init.gmfn = b->mfns[(b->image.hypercall_page - b->image.virt_base) / PAGE];
    int rc = ctl_domctl(b->c, &op);

    return rc ? fault(rc, "kernel: it wants a page filled with calls of the hypervisor, which answers: %s", strerror(-rc)) : 0;
}

static int map_and_fill(struct build *b, const struct build_rings *rings, uint64_t shared_info_mfn)
{
    int rc = map_all(b);

    return rc ? rc : fill(b, rings, shared_info_mfn);
}

/* In the child: handles of its own, since those of the parent must not be used. */
_Noreturn static void fill_and_exit(struct build *b, const struct build_rings *rings, uint64_t shared_info_mfn, int tell)
{
    fault_clear();
    int rc = ctl_open(&b->c);

    rc = rc ? rc : map_and_fill(b, rings, shared_info_mfn);
    if (rc && write(tell, fault_text(), strlen(fault_text())) < 0)
        _exit(2);
    _exit(rc ? 1 : 0);
}

static int wait_for_child(pid_t pid, int from)
{
    char text[512];
    ssize_t n = read(from, text, sizeof(text) - 1);
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fault(-errno, "building a guest: %s", strerror(errno));
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return 0;
    text[n > 0 ? n : 0] = 0;
    return fault(-EIO, "%s", n > 0 ? text : "building a guest: the process that fills its memory was ended");
}

/*
 * The guest's memory is mapped and filled by a child process. A paravirtual domain 0 that unmaps tens of thousands of pages pays a
 * trap for each; one that ends a process takes its page tables out of use first and pays none.
 */
static int fill_apart(struct build *b, const struct build_rings *rings, uint64_t shared_info_mfn)
{
    int tell[2];
    pid_t pid = pipe2(tell, O_CLOEXEC) ? -1 : fork();

    if (pid < 0)
        return fault(-errno, "building a guest: no process: %s", strerror(errno));
    if (!pid)
        fill_and_exit(b, rings, shared_info_mfn, tell[1]);
    close(tell[1]);
    int rc = wait_for_child(pid, tell[0]);

    close(tell[0]);
    return rc;
}

int build_domain(struct build *b, struct ctl *c, domid_t domid, const struct build_rings *rings, struct build_result *result)
{
    struct xen_domctl_getdomaininfo info;

    b->c = c;
    b->domid = domid;
    int rc = ctl_domain_info(c, domid, &info);

    rc = rc ? rc : ctl_set_memory_map(c, domid, b->max_pages * PAGE);
    rc = rc ? rc : ctl_populate(c, domid, 0, b->l.pages, b->mfns);
    rc = rc ? rc : fill_apart(b, rings, info.shared_info_frame);
    rc = rc ? rc : hypercall_page(b);
    rc = rc ? rc : mask_events(b, info.shared_info_frame);
    rc = rc ? rc : ctl_pin_l4(c, domid, b->mfns[b->l.table_pfn]);
    result->store_mfn = b->mfns[b->l.store_pfn];
    result->console_mfn = b->mfns[b->l.console_pfn];
    rc = rc ? rc : ctl_seed_grants(c, domid, result->console_mfn, rings->console_domid, result->store_mfn, rings->store_domid);
    return rc ? rc : set_registers(b);
}
