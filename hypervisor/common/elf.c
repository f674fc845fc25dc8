/* SPDX-License-Identifier: MIT */
/*
 * 64-bit ELF kernels: program headers and where each segment goes, and Xen's notes: from PT_NOTE
 * segments, else from SHT_NOTE sections, else from the older __xen_guest string section. Nothing in
 * the file is trusted: each offset and size is checked against the file before it is used, and
 * addresses against wrapping. Loading is the builder's; this file only describes.
 *
 * Segments are placed by physical address (p_paddr - PADDR_OFFSET + VIRT_BASE) as the ABI says:
 * Linux has a segment (per-CPU data) whose virtual address is 0.
 */
#include "elf.h"
#include "abi.h"
#include "lib.h"
#include "log.h"

#include <xen/elfnote.h>
#include <xen/features.h>

struct ehdr {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct shdr {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
};
_Static_assert(sizeof(struct ehdr) == 64 && sizeof(struct phdr) == 56 && sizeof(struct shdr) == 64,
               "ELF64");

#define PT_LOAD 1
#define PT_NOTE 4
#define SHT_NOTE 7
#define MACHINE_X86_64 62

struct file {
    const uint8_t *p;
    size_t n;
    const char *what;
    struct ehdr eh;
};

static bool in_file(const struct file *f, uint64_t offset, uint64_t size)
{
    return offset <= f->n && size <= f->n - offset;
}

/* Header i of a table whose extent ehdr_check() has found to be inside the file. */
static void phdr_read(const struct file *f, unsigned i, struct phdr *ph)
{
    memcpy(ph, f->p + f->eh.phoff + (uint64_t)i * f->eh.phentsize, sizeof(*ph));
}
static void shdr_read(const struct file *f, unsigned i, struct shdr *sh)
{
    memcpy(sh, f->p + f->eh.shoff + (uint64_t)i * f->eh.shentsize, sizeof(*sh));
}

static int ehdr_check(struct file *f)
{
    struct ehdr *eh = &f->eh;

    if (f->n < sizeof(*eh) || memcmp(f->p, "\177ELF", 4)) {
        log_err("%s: not an ELF file\n", f->what);
        return -XEN_EINVAL;
    }
    memcpy(eh, f->p, sizeof(*eh));
    if (eh->ident[4] != 2 || eh->ident[5] != 1 || eh->machine != MACHINE_X86_64) {
        log_err("%s: not a 64-bit x86 kernel (ELF class %u, machine %u)\n", f->what, eh->ident[4],
                eh->machine);
        return -XEN_EOPNOTSUPP;
    }
    if (eh->phentsize < sizeof(struct phdr) ||
        !in_file(f, eh->phoff, (uint64_t)eh->phnum * eh->phentsize)) {
        log_err("%s: ELF file is cut short (program headers)\n", f->what);
        return -XEN_EINVAL;
    }
    /* Sections are optional: without them, notes are looked for in segments only. */
    if (eh->shentsize < sizeof(struct shdr) ||
        !in_file(f, eh->shoff, (uint64_t)eh->shnum * eh->shentsize))
        eh->shnum = 0;
    return 0;
}

/* --- Notes -------- */

static const struct {
    const char *name;
    unsigned bit;
} feature_names[] = {
    {"writable_page_tables", XENFEAT_writable_page_tables},
    {"writable_descriptor_tables", XENFEAT_writable_descriptor_tables},
    {"auto_translated_physmap", XENFEAT_auto_translated_physmap},
    {"supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel},
    {"pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb},
    {"mmu_pt_update_preserve_ad", XENFEAT_mmu_pt_update_preserve_ad},
    {"highmem_assist", XENFEAT_highmem_assist},
    {"gnttab_map_avail_bits", XENFEAT_gnttab_map_avail_bits},
    {"hvm_callback_vector", XENFEAT_hvm_callback_vector},
    {"hvm_safe_pvclock", XENFEAT_hvm_safe_pvclock},
    {"hvm_pirqs", XENFEAT_hvm_pirqs},
    {"dom0", XENFEAT_dom0},
};

/* One word of the feature list; a required one that we do not know is reported and refused. */
static int feature_word(const char *what, const char *s, size_t n, struct elf_kernel *k)
{
    bool required = n && *s == '!';

    s += required;
    n -= required;
    for (unsigned i = 0; i < ARRAY_SIZE(feature_names); i++) {
        if (strlen(feature_names[i].name) != n || memcmp(feature_names[i].name, s, n))
            continue;
        k->features |= 1u << feature_names[i].bit;
        if (required)
            k->required |= 1u << feature_names[i].bit;
        return 0;
    }
    if (!required)
        return 0;
    log_err("%s: requires the unknown Xen feature \"%.*s\"\n", what, (int)MIN(n, 64), s);
    return -XEN_EOPNOTSUPP;
}

static int features_parse(const char *what, const char *s, size_t n, struct elf_kernel *k)
{
    size_t from = 0;

    for (size_t i = 0; i <= n; i++) {
        if (i < n && s[i] != '|' && s[i])
            continue;
        if (i > from) {
            int rc = feature_word(what, s + from, i - from, k);

            if (rc)
                return rc;
        }
        if (i < n && !s[i])
            break;
        from = i + 1;
    }
    return 0;
}

static uint64_t note_number(const uint8_t *d, size_t n)
{
    uint64_t v = 0;

    if (n == 4 || n == 8)
        memcpy(&v, d, n);
    return v;
}

static void text_copy(char *to, size_t size, const char *s, size_t n)
{
    size_t k = 0;

    for (; k < n && k + 1 < size && s[k]; k++)
        to[k] = s[k];
    to[k] = 0;
}

static int note_take(const char *what, uint32_t type, const uint8_t *d, size_t n,
                     struct elf_kernel *k)
{
    const char *s = (const char *)d;

    k->has_notes = true;
    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        k->entry = note_number(d, n);
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        k->hypercall_page = note_number(d, n);
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        k->virt_base = note_number(d, n);
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        k->paddr_offset = note_number(d, n);
        break;
    case XEN_ELFNOTE_INIT_P2M:
        k->init_p2m = note_number(d, n);
        break;
    case XEN_ELFNOTE_HV_START_LOW:
        k->hv_start_low = note_number(d, n);
        break;
    case XEN_ELFNOTE_PHYS32_ENTRY:
        k->phys32_entry = note_number(d, n);
        break;
    case XEN_ELFNOTE_MOD_START_PFN:
        k->mod_start_pfn = note_number(d, n);
        break;
    case XEN_ELFNOTE_SUSPEND_CANCEL:
        k->suspend_cancel = note_number(d, n);
        break;
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
        k->features |= (uint32_t)note_number(d, n);
        break;
    case XEN_ELFNOTE_FEATURES:
        return features_parse(what, s, n, k);
    case XEN_ELFNOTE_GUEST_OS:
        text_copy(k->guest_os, sizeof(k->guest_os), s, n);
        break;
    case XEN_ELFNOTE_GUEST_VERSION:
        text_copy(k->guest_version, sizeof(k->guest_version), s, n);
        break;
    case XEN_ELFNOTE_XEN_VERSION:
        text_copy(k->xen_version, sizeof(k->xen_version), s, n);
        break;
    case XEN_ELFNOTE_LOADER:
        text_copy(k->loader, sizeof(k->loader), s, n);
        break;
    case XEN_ELFNOTE_PAE_MODE:
        text_copy(k->pae, sizeof(k->pae), s, n);
        break;
    case XEN_ELFNOTE_L1_MFN_VALID:
        if (n >= 16) {
            k->l1_mfn_mask = note_number(d, 8);
            k->l1_mfn_value = note_number(d + 8, 8);
        }
        break;
    default:
        break; /* informational, or newer than this list */
    }
    return 0;
}

/* A run of notes; names and descriptions are padded to 4 bytes. Ends at the first broken one. */
static int notes_walk(const struct file *f, uint64_t at, uint64_t size, struct elf_kernel *k)
{
    uint64_t end = at + size;

    if (!in_file(f, at, size))
        return 0;
    while (end - at >= 12) {
        uint32_t h[3]; /* name size, description size, type */
        uint64_t name = at + 12, desc;

        memcpy(h, f->p + at, sizeof(h));
        desc = name + ROUND_UP((uint64_t)h[0], 4ULL);
        if (desc > end || h[1] > end - desc)
            return 0;
        if (h[0] == 4 && !memcmp(f->p + name, "Xen", 4)) {
            int rc = note_take(f->what, h[2], f->p + desc, h[1], k);

            if (rc)
                return rc;
        }
        at = desc + ROUND_UP((uint64_t)h[1], 4ULL);
        if (at > end)
            return 0;
    }
    return 0;
}

/* The string before notes existed: NAME=VALUE,NAME=VALUE,... */
static int legacy_pair(const char *what, const char *s, size_t n, struct elf_kernel *k)
{
    static const struct {
        const char *name;
        size_t number; /* offset in struct elf_kernel, 0: a text */
        size_t text, size;
    } keys[] = {
#define NUMBER(nm, field) {nm, offsetof(struct elf_kernel, field), 0, 0}
#define TEXT(nm, field)                                                                            \
    {                                                                                              \
        nm, 0, offsetof(struct elf_kernel, field), sizeof(k->field)                                \
    }
        NUMBER("VIRT_BASE", virt_base),
        NUMBER("VIRT_ENTRY", entry),
        NUMBER("ELF_PADDR_OFFSET", paddr_offset),
        NUMBER("HYPERCALL_PAGE", hypercall_page),
        TEXT("LOADER", loader),
        TEXT("GUEST_OS", guest_os),
        TEXT("GUEST_VER", guest_version),
        TEXT("XEN_VER", xen_version),
        TEXT("PAE", pae),
    };
    char value[128] = "";
    size_t eq = 0;

    while (eq < n && s[eq] != '=')
        eq++;
    if (eq < n)
        text_copy(value, sizeof(value), s + eq + 1, n - eq - 1);
    if (eq == 8 && !memcmp(s, "FEATURES", 8))
        return features_parse(what, value, strlen(value), k);
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strlen(keys[i].name) != eq || memcmp(keys[i].name, s, eq))
            continue;
        if (keys[i].number) {
            const char *end;
            uint64_t v = parse_u64(value, &end);

            memcpy((char *)k + keys[i].number, &v, sizeof(v));
        } else {
            text_copy((char *)k + keys[i].text, keys[i].size, value, strlen(value));
        }
    }
    return 0;
}

static int legacy_walk(const char *what, const char *s, size_t n, struct elf_kernel *k)
{
    size_t from = 0;
    int rc = 0;

    k->has_notes = k->legacy = true;
    k->paddr_offset = ELF_UNSET;
    n = strnlen(s, n);
    for (size_t i = 0; i <= n && !rc; i++) {
        if (i < n && s[i] != ',')
            continue;
        rc = legacy_pair(what, s + from, i - from, k);
        from = i + 1;
    }
    if (k->paddr_offset == ELF_UNSET)
        k->paddr_offset = k->virt_base;
    if (k->hypercall_page != ELF_UNSET) /* here it is a frame number */
        k->hypercall_page = (k->hypercall_page << FRAME_SHIFT) + k->virt_base;
    return rc;
}

static int legacy_find(const struct file *f, struct elf_kernel *k)
{
    static const char wanted[] = "__xen_guest";
    struct shdr names, sh;

    if (f->eh.shstrndx >= f->eh.shnum)
        return 0;
    shdr_read(f, f->eh.shstrndx, &names);
    if (!in_file(f, names.offset, names.size))
        return 0;
    for (unsigned i = 0; i < f->eh.shnum; i++) {
        shdr_read(f, i, &sh);
        if (sh.name < names.size && names.size - sh.name >= sizeof(wanted) &&
            !memcmp(f->p + names.offset + sh.name, wanted, sizeof(wanted)) &&
            in_file(f, sh.offset, sh.size))
            return legacy_walk(f->what, (const char *)f->p + sh.offset, sh.size, k);
    }
    return 0;
}

static int notes_find(const struct file *f, struct elf_kernel *k)
{
    int rc = 0;

    for (unsigned i = 0; i < f->eh.phnum && !rc; i++) {
        struct phdr ph;

        phdr_read(f, i, &ph);
        if (ph.type == PT_NOTE)
            rc = notes_walk(f, ph.offset, ph.filesz, k);
    }
    for (unsigned i = 0; i < f->eh.shnum && !rc && !k->has_notes; i++) {
        struct shdr sh;

        shdr_read(f, i, &sh);
        if (sh.type == SHT_NOTE)
            rc = notes_walk(f, sh.offset, sh.size, k);
    }
    if (!rc && !k->has_notes)
        rc = legacy_find(f, k);
    return rc;
}

/* --- Segments -------- */

static int segment_add(const struct file *f, const struct phdr *ph, struct elf_kernel *k)
{
    struct elf_segment *s = &k->segment[k->nr_segments];
    uint64_t end;

    if (k->nr_segments == ELF_MAX_SEGMENTS) {
        log_err("%s: more than %u segments\n", f->what, ELF_MAX_SEGMENTS);
        return -XEN_EOPNOTSUPP;
    }
    if (ph->filesz > ph->memsz || !in_file(f, ph->offset, ph->filesz)) {
        log_err("%s: ELF file is cut short (segment at %#lx)\n", f->what, (unsigned long)ph->paddr);
        return -XEN_EINVAL;
    }
    s->va = ph->paddr - k->paddr_offset + k->virt_base;
    s->size = ph->memsz;
    s->data = f->p + ph->offset;
    s->bytes = ph->filesz;
    if (s->va < k->virt_base || __builtin_add_overflow(s->va, s->size, &end)) {
        log_err("%s: segment at %#lx does not fit above VIRT_BASE %#lx\n", f->what,
                (unsigned long)ph->paddr, (unsigned long)k->virt_base);
        return -XEN_EINVAL;
    }
    k->start = MIN(k->start, s->va);
    k->end = MAX(k->end, end);
    k->nr_segments++;
    return 0;
}

static int segments_find(const struct file *f, struct elf_kernel *k)
{
    k->start = ~0ULL;
    k->end = 0;
    for (unsigned i = 0; i < f->eh.phnum; i++) {
        struct phdr ph;
        int rc;

        phdr_read(f, i, &ph);
        if (ph.type != PT_LOAD || !ph.memsz)
            continue;
        rc = segment_add(f, &ph, k);
        if (rc)
            return rc;
    }
    if (!k->nr_segments) {
        log_err("%s: ELF file without anything to load\n", f->what);
        return -XEN_EINVAL;
    }
    return 0;
}

static int entry_check(const struct file *f, struct elf_kernel *k)
{
    if (k->entry == ELF_UNSET && k->phys32_entry != ELF_UNSET) {
        log_err("%s: has only a PVH entry: build it with CONFIG_XEN_PV\n", f->what);
        return -XEN_EOPNOTSUPP;
    }
    if (k->entry == ELF_UNSET)
        k->entry = k->elf_entry;
    if (k->entry >= k->start && k->entry < k->end)
        return 0;
    log_err("%s: entry %#lx is outside the kernel %#lx-%#lx\n", f->what, (unsigned long)k->entry,
            (unsigned long)k->start, (unsigned long)k->end);
    return -XEN_EINVAL;
}

int elf_parse(const void *image, size_t size, const char *what, struct elf_kernel *k)
{
    struct file f = {.p = image, .n = size, .what = what};
    int rc = ehdr_check(&f);

    memset(k, 0, sizeof(*k));
    if (rc)
        return rc;
    k->elf_entry = f.eh.entry;
    k->entry = k->hypercall_page = k->init_p2m = k->phys32_entry = ELF_UNSET;
    rc = notes_find(&f, k);
    if (rc)
        return rc;
    if (!k->has_notes) {
        log_err("%s: no Xen notes: is it built for PV (CONFIG_XEN_PV)?\n", what);
        return -XEN_EOPNOTSUPP;
    }
    if (k->xen_version[0] && strncmp(k->xen_version, "xen-3.0", 7)) {
        log_err("%s: is for \"%s\", not xen-3.0\n", what, k->xen_version);
        return -XEN_EOPNOTSUPP;
    }
    rc = segments_find(&f, k);
    return rc ? rc : entry_check(&f, k);
}
