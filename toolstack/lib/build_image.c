/* SPDX-License-Identifier: MIT */
/*
 * The kernel's ELF image: program headers and Xen's notes. Section headers are not looked at. All reads go through at(),
 * which knows the image's size.
 */
#include "build_image.h"
#include "fault.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include <xen/elfnote.h>

#define PAGE 4096ULL

/* Where `bytes` bytes at `offset` lie, or NULL if the image has not that much. */
static const void *at(const struct image *im, uint64_t offset, uint64_t bytes)
{
    if (offset > im->elf_bytes || bytes > im->elf_bytes - offset)
        return NULL;
    return im->elf + offset;
}

static int check_header(const struct image *im, const char *name, Elf64_Ehdr *h)
{
    const void *p = at(im, 0, sizeof(*h));

    if (!p || memcmp(p, ELFMAG, SELFMAG))
        return fault(-ENOEXEC, "%s: this is no kernel: neither an ELF image nor a bzImage; mend 'kernel ='", name);
    memcpy(h, p, sizeof(*h));
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
        return fault(-ENOEXEC, "%s: the kernel is not for 64-bit x86; take an amd64 one", name);
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > 256)
        return fault(-ENOEXEC, "%s: the kernel's ELF header is damaged (program headers); fetch the file again", name);
    return 0;
}

static int add_segment(struct image *im, const char *name, const Elf64_Phdr *p)
{
    if (!p->p_memsz)
        return 0;
    if (im->n_segments == IMAGE_MAX_SEGMENTS)
        return fault(-E2BIG, "%s: the kernel has more than %u segments", name, IMAGE_MAX_SEGMENTS);
    if (p->p_filesz > p->p_memsz || !at(im, p->p_offset, p->p_filesz))
        return fault(-ENOEXEC, "%s: the kernel file is cut short or damaged (a segment lies outside); fetch it again", name);
    if (p->p_memsz > IMAGE_MAX_BYTES)
        return fault(-E2BIG, "%s: the kernel wants %llu MiB in one segment; %llu MiB is the limit", name,
                     (unsigned long long)p->p_memsz >> 20, IMAGE_MAX_BYTES >> 20);
    im->segment[im->n_segments++] =
        (struct image_segment){ .start = p->p_paddr, .offset = p->p_offset, .file_bytes = p->p_filesz, .bytes = p->p_memsz };
    return 0;
}

/* --- notes -------------------------------------------------------------------------------------------------------------- */

/* A note's number is stored in 4 or 8 bytes. */
static uint64_t number(const uint8_t *data, uint32_t bytes)
{
    uint64_t v = 0;

    memcpy(&v, data, bytes >= 8 ? 8 : bytes >= 4 ? 4 : 0);
    return v;
}

static void take_note(struct image *im, uint32_t type, const uint8_t *data, uint32_t bytes)
{
    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        im->entry = number(data, bytes);
        im->has_entry = true;
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        im->hypercall_page = number(data, bytes);
        im->has_hypercall_page = true;
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        im->virt_base = number(data, bytes);
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        im->paddr_offset = number(data, bytes);
        break;
    case XEN_ELFNOTE_INIT_P2M:
        im->init_p2m = number(data, bytes);
        im->has_init_p2m = true;
        break;
    case XEN_ELFNOTE_MOD_START_PFN:
        im->initrd_by_pfn = number(data, bytes) != 0;
        break;
    case XEN_ELFNOTE_PHYS32_ENTRY:
        im->has_pvh_entry = true;
        break;
    case XEN_ELFNOTE_FEATURES:
        im->features_cut = bytes >= sizeof(im->features) && strnlen((const char *)data, bytes) >= sizeof(im->features);
        memset(im->features, 0, sizeof(im->features));
        memcpy(im->features, data, bytes < sizeof(im->features) ? bytes : sizeof(im->features) - 1);
        break;
    case XEN_ELFNOTE_GUEST_OS:
        memcpy(im->guest_os, data, bytes < sizeof(im->guest_os) ? bytes : sizeof(im->guest_os) - 1);
        break;
    }
}

/* Goes through one note segment; a note that does not fit ends it. */
static void read_notes(struct image *im, uint64_t offset, uint64_t bytes)
{
    uint64_t pos = 0;

    while (bytes - pos >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr n;
        const void *p = at(im, offset + pos, sizeof(n));

        if (!p)
            return;
        memcpy(&n, p, sizeof(n));
        uint64_t name = pos + sizeof(n), data = name + (((uint64_t)n.n_namesz + 3) & ~3ULL);
        uint64_t next = data + (((uint64_t)n.n_descsz + 3) & ~3ULL);

        if (data > bytes || n.n_descsz > bytes - data)
            return;
        if (n.n_namesz == 4 && !memcmp(im->elf + offset + name, "Xen", 4))
            take_note(im, n.n_type, im->elf + offset + data, n.n_descsz);
        if (next > bytes)
            return;
        pos = next;
    }
}

/* --- together --------------------------------------------------------------------------------------------------------- */

static int read_program_headers(struct image *im, const char *name, const Elf64_Ehdr *h)
{
    for (unsigned i = 0; i < h->e_phnum; i++) {
        const void *p = at(im, h->e_phoff + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
        Elf64_Phdr ph;

        if (!p || h->e_phoff > im->elf_bytes)
            return fault(-ENOEXEC, "%s: the kernel file is cut short (program headers); fetch it again", name);
        memcpy(&ph, p, sizeof(ph));
        int rc = ph.p_type == PT_LOAD ? add_segment(im, name, &ph) : 0;
        if (rc)
            return rc;
        if (ph.p_type == PT_NOTE && at(im, ph.p_offset, ph.p_filesz))
            read_notes(im, ph.p_offset, ph.p_filesz);
    }
    return im->n_segments ? 0 : fault(-ENOEXEC, "%s: the kernel has nothing to load; take another", name);
}

static int check_notes(const struct image *im, const char *name)
{
    if (im->has_entry)
        return 0;
    if (im->has_pvh_entry)
        return fault(-ENOEXEC, "%s: the kernel can be a PVH guest but no paravirtual one; take one that has CONFIG_XEN_PV", name);
    return fault(-ENOEXEC, "%s: the kernel has no support for Xen (no ELF notes); take one that has CONFIG_XEN_PV", name);
}

/* From ELF's physical addresses to the guest's own, and the range they span. */
static int place_segments(struct image *im, const char *name)
{
    uint64_t start = UINT64_MAX, end = 0;

    for (unsigned i = 0; i < im->n_segments; i++) {
        struct image_segment *s = &im->segment[i];

        s->start -= im->paddr_offset;
        if (s->start > (1ULL << 46))
            return fault(-ENOEXEC, "%s: the kernel wants to lie at %#llx, which is no place in memory", name, (unsigned long long)s->start);
        start = s->start < start ? s->start : start;
        end = s->start + s->bytes > end ? s->start + s->bytes : end;
    }
    im->start = start & ~(PAGE - 1);
    im->end = (end + PAGE - 1) & ~(PAGE - 1);
    if (im->end - im->start > IMAGE_MAX_BYTES)
        return fault(-E2BIG, "%s: the kernel spans %llu MiB; %llu MiB is the limit", name, (unsigned long long)(im->end - im->start) >> 20,
                     IMAGE_MAX_BYTES >> 20);
    return 0;
}

/* Addresses that the notes name must lie in the kernel, and all of it where a guest may have it. */
static int check_addresses(const struct image *im, const char *name)
{
    uint64_t from = im->virt_base + im->start, to = im->virt_base + im->end;

    if ((im->virt_base & (PAGE - 1)) || to <= from || (from >> 47 && from >> 47 != 0x1ffff) || from >> 47 != (to - 1) >> 47)
        return fault(-ENOEXEC, "%s: the kernel's virtual address %#llx is not usable", name, (unsigned long long)from);
    if (from < 0xffff880000000000ULL && to > 0xffff800000000000ULL)
        return fault(-ENOEXEC, "%s: the kernel wants to lie where the hypervisor is (%#llx)", name, (unsigned long long)from);
    if (im->entry < from || im->entry >= to)
        return fault(-ENOEXEC, "%s: the kernel's entry point %#llx lies outside of it", name, (unsigned long long)im->entry);
    if (im->has_hypercall_page && ((im->hypercall_page & (PAGE - 1)) || im->hypercall_page < from || im->hypercall_page >= to))
        return fault(-ENOEXEC, "%s: the kernel's hypercall page %#llx lies outside of it", name, (unsigned long long)im->hypercall_page);
    return 0;
}

int image_parse(struct image *im, const char *name, const uint8_t *elf, size_t bytes)
{
    Elf64_Ehdr h;

    memset(im, 0, sizeof(*im));
    im->elf = elf;
    im->elf_bytes = bytes;
    int rc = check_header(im, name, &h);

    rc = rc ? rc : read_program_headers(im, name, &h);
    rc = rc ? rc : check_notes(im, name);
    rc = rc ? rc : place_segments(im, name);
    return rc ? rc : check_addresses(im, name);
}
