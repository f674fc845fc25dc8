/* SPDX-License-Identifier: MIT */
/*
 * Writes a dump: room for the ELF header and section headers, the pages as they come (those that cannot be mapped are left
 * out), then the list of the pages that are in, notes, registers, shared_info, names of sections; the headers last.
 */
#include "dump.h"
#include "fault.h"
#include "guest_p2m.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/elfnote.h>

#define PAGE 4096ULL
#define BATCH 1024U
#define MAGIC_PV 0xF00FEBEDULL

enum { S_NULL, S_NAMES, S_NOTES, S_REGISTERS, S_SHARED, S_P2M, S_PAGES, N_SECTIONS };

struct p2m_entry {
    uint64_t pfn, gmfn;
};

struct dump {
    struct ctl *c;
    domid_t domid;
    FILE *f;
    Elf64_Shdr section[N_SECTIONS];
    char names[128];
    size_t names_size;
    struct p2m_entry *in;   /* the pages that are in the file */
    uint64_t n_in, n_vcpus;
    struct xen_domctl_getdomaininfo info;
};

static int put(struct dump *d, const void *data, size_t bytes)
{
    return fwrite(data, 1, bytes, d->f) == bytes ? 0 : fault(-errno, "dump: writing: %s", strerror(errno));
}

static void begin(struct dump *d, unsigned section, const char *name, uint32_t type, uint64_t entry_size)
{
    d->section[section] = (Elf64_Shdr){ .sh_name = (Elf64_Word)d->names_size, .sh_type = type, .sh_offset = (uint64_t)ftello(d->f),
        .sh_entsize = entry_size, .sh_addralign = 1 };
    d->names_size += (size_t)snprintf(d->names + d->names_size, sizeof(d->names) - d->names_size, "%s", name) + 1;
}

static void end(struct dump *d, unsigned section)
{
    d->section[section].sh_size = (uint64_t)ftello(d->f) - d->section[section].sh_offset;
}

/* --- pages ------------------------------------------------------------------------------------------------------------------ */

static int put_batch(struct dump *d, const xen_pfn_t *mfns, uint64_t first, unsigned n)
{
    int errors[BATCH], rc = 0;
    uint8_t *at = ctl_map_some(d->c, d->domid, mfns + first, n, errors);

    if (!at)
        return -EFAULT;
    for (unsigned i = 0; i < n && !rc; i++)
        if (!errors[i]) {
            d->in[d->n_in++] = (struct p2m_entry){ first + i, mfns[first + i] };
            rc = put(d, at + i * PAGE, PAGE);
        }
    ctl_unmap(d->c, at, n);
    return rc;
}

static int put_pages(struct dump *d)
{
    xen_pfn_t *mfns;
    uint64_t pages;
    int rc = guest_p2m_read(d->c, d->domid, &mfns, &pages);

    if (rc)
        return rc;
    d->in = calloc(pages, sizeof(*d->in));
    if (!d->in)
        rc = fault(-ENOMEM, "dump: no memory for the list of pages");
    fseeko(d->f, (off_t)PAGE, SEEK_SET);
    begin(d, S_PAGES, ".xen_pages", SHT_PROGBITS, PAGE);
    for (uint64_t i = 0; i < pages && !rc; i += BATCH)
        rc = put_batch(d, mfns, i, pages - i < BATCH ? (unsigned)(pages - i) : BATCH);
    end(d, S_PAGES);
    free(mfns);
    return rc;
}

static int put_p2m(struct dump *d)
{
    begin(d, S_P2M, ".xen_p2m", SHT_PROGBITS, sizeof(*d->in));
    int rc = put(d, d->in, d->n_in * sizeof(*d->in));

    end(d, S_P2M);
    return rc;
}

/* --- the rest --------------------------------------------------------------------------------------------------------------- */

static int put_note(struct dump *d, uint32_t type, const void *data, uint32_t bytes)
{
    Elf64_Nhdr n = { .n_namesz = 4, .n_descsz = bytes, .n_type = type };
    static const char zeroes[4];
    int rc = put(d, &n, sizeof(n));

    rc = rc ? rc : put(d, "Xen", 4);
    rc = rc ? rc : put(d, data, bytes);
    return rc ? rc : put(d, zeroes, -bytes & 3U);
}

static int put_version_note(struct dump *d)
{
    struct {
        uint64_t major, minor;
        xen_extraversion_t extra;
        xen_compile_info_t compile;
        xen_capabilities_info_t capabilities;
        xen_changeset_info_t changeset;
        xen_platform_parameters_t platform;
        uint64_t page_size;
    } v = { .page_size = PAGE };
    int n = ctl_version(d->c, XENVER_version, NULL, 0);

    v.major = n < 0 ? 0 : (uint64_t)n >> 16;
    v.minor = n < 0 ? 0 : (uint64_t)n & 0xffff;
    ctl_version(d->c, XENVER_extraversion, v.extra, sizeof(v.extra));
    ctl_version(d->c, XENVER_compile_info, &v.compile, sizeof(v.compile));
    ctl_version(d->c, XENVER_capabilities, v.capabilities, sizeof(v.capabilities));
    ctl_version(d->c, XENVER_changeset, v.changeset, sizeof(v.changeset));
    ctl_version(d->c, XENVER_platform_parameters, &v.platform, sizeof(v.platform));
    return put_note(d, XEN_ELFNOTE_DUMPCORE_XEN_VERSION, &v, sizeof(v));
}

static int put_notes(struct dump *d)
{
    const uint64_t header[] = { MAGIC_PV, d->n_vcpus, d->n_in, PAGE }, version = 1;

    begin(d, S_NOTES, ".note.Xen", SHT_NOTE, 0);
    int rc = put_note(d, XEN_ELFNOTE_DUMPCORE_NONE, "", 0);

    rc = rc ? rc : put_note(d, XEN_ELFNOTE_DUMPCORE_HEADER, header, sizeof(header));
    rc = rc ? rc : put_version_note(d);
    rc = rc ? rc : put_note(d, XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION, &version, sizeof(version));
    end(d, S_NOTES);
    return rc;
}

/* A virtual CPU that was never brought up has no registers and is left out. */
static int put_registers(struct dump *d)
{
    vcpu_guest_context_t *v = calloc(1, sizeof(*v));
    int rc = v ? 0 : fault(-ENOMEM, "dump: no memory");

    begin(d, S_REGISTERS, ".xen_prstatus", SHT_PROGBITS, sizeof(*v));
    for (unsigned i = 0; !rc && i <= d->info.max_vcpu_id && d->info.max_vcpu_id < 4096; i++) {
        if (ctl_vcpu_get_context(d->c, d->domid, i, v)) {
            fault_clear();
            continue;
        }
        rc = put(d, v, sizeof(*v));
        d->n_vcpus++;
    }
    end(d, S_REGISTERS);
    free(v);
    return rc;
}

static int put_shared_info(struct dump *d)
{
    void *s = ctl_map(d->c, d->domid, &(xen_pfn_t){ d->info.shared_info_frame }, 1, false);

    if (!s)
        return -EFAULT;
    begin(d, S_SHARED, ".xen_shared_info", SHT_PROGBITS, PAGE);
    int rc = put(d, s, PAGE);

    end(d, S_SHARED);
    ctl_unmap(d->c, s, 1);
    return rc;
}

static int put_headers(struct dump *d)
{
    Elf64_Ehdr h = { .e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_ehsize = sizeof(h), .e_shoff = sizeof(h),
        .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = N_SECTIONS, .e_shstrndx = S_NAMES };

    memcpy(h.e_ident, ELFMAG, SELFMAG);
    h.e_ident[EI_CLASS] = ELFCLASS64;
    h.e_ident[EI_DATA] = ELFDATA2LSB;
    h.e_ident[EI_VERSION] = EV_CURRENT;
    begin(d, S_NAMES, ".shstrtab", SHT_STRTAB, 0);
    int rc = put(d, d->names, d->names_size);

    end(d, S_NAMES);
    fseeko(d->f, 0, SEEK_SET);
    rc = rc ? rc : put(d, &h, sizeof(h));
    return rc ? rc : put(d, d->section, sizeof(d->section));
}

static int write_dump(struct dump *d)
{
    int rc = ctl_domain_info(d->c, d->domid, &d->info);

    d->names_size = 1; /* name 0 is empty */
    rc = rc ? rc : put_pages(d);
    rc = rc ? rc : put_p2m(d);
    rc = rc ? rc : put_registers(d);
    rc = rc ? rc : put_shared_info(d);
    rc = rc ? rc : put_notes(d);
    return rc ? rc : put_headers(d);
}

int dump_core(struct ctl *c, domid_t domid, const char *path)
{
    struct dump d = { .c = c, .domid = domid };
    char temporary[4096];

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    d.f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!d.f)
        return fault(-errno, "dump %s: cannot be written: %s", path, strerror(errno));
    int rc = write_dump(&d);

    if (fclose(d.f) && !rc)
        rc = fault(-errno, "dump %s: writing: %s", path, strerror(errno));
    free(d.in);
    if (!rc && rename(temporary, path))
        rc = fault(-errno, "dump %s: %s", path, strerror(errno));
    if (rc)
        unlink(temporary);
    return rc;
}
