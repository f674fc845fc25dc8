/* SPDX-License-Identifier: MIT */
/*
 * Writes an image again as a small ELF file for the cache: only what is loaded, without long runs of zeroes (half of a Debian
 * kernel), with notes that say the same. image_parse() reads it like any other.
 */
#include "build_image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/elfnote.h>

#define PAGE 4096ULL
#define CHUNK (16 * PAGE) /* a run of zeroes shorter than this stays in the file */

struct note {
    Elf64_Nhdr h;
    char name[4];
    uint64_t value;
} __attribute__((packed));

struct compact {
    Elf64_Ehdr head;
    Elf64_Phdr load[IMAGE_MAX_SEGMENTS], notes_at;
    struct note notes[8];
    struct {
        Elf64_Nhdr h;
        char name[4], text[sizeof(((struct image *)0)->features)];
    } features; /* follows notes[] in the file */
    unsigned n, n_notes;
};

#define NOTES_BYTES(c) ((c)->n_notes * sizeof(struct note) + sizeof((c)->features))

static bool is_zero(const uint8_t *p, uint64_t bytes)
{
    return !bytes || (!p[0] && !memcmp(p, p + 1, bytes - 1));
}

/* Where, from `at` on, the chunks stop to be zero, or to be not. */
static uint64_t run_end(const uint8_t *data, uint64_t at, uint64_t bytes, bool zero)
{
    while (at < bytes) {
        uint64_t n = bytes - at < CHUNK ? bytes - at : CHUNK;

        if (is_zero(data + at, n) != zero)
            break;
        at += n;
    }
    return at;
}

/* Cuts a segment into pieces of data followed by zeroes; when there is no room for more pieces, the rest is one. */
static void split(struct compact *c, const struct image *im, const struct image_segment *s)
{
    const uint8_t *data = im->elf + s->offset;
    uint64_t at = 0;

    while (at < s->file_bytes && c->n < IMAGE_MAX_SEGMENTS) {
        bool last = c->n >= IMAGE_MAX_SEGMENTS - im->n_segments;
        uint64_t data_end = last ? s->file_bytes : run_end(data, at, s->file_bytes, false);
        uint64_t zero_end = run_end(data, data_end, s->file_bytes, true);

        c->load[c->n++] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = s->offset + at, .p_paddr = s->start + at, .p_filesz = data_end - at,
            .p_memsz = (zero_end == s->file_bytes ? s->bytes : zero_end) - at };
        at = zero_end;
    }
    if (!s->file_bytes && c->n < IMAGE_MAX_SEGMENTS)
        c->load[c->n++] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_paddr = s->start, .p_memsz = s->bytes };
}

static void add_note(struct compact *c, bool wanted, uint32_t type, uint64_t value)
{
    if (wanted)
        c->notes[c->n_notes++] = (struct note){ .h = { 4, 8, type }, .name = "Xen", .value = value };
}

static void add_notes(struct compact *c, const struct image *im)
{
    add_note(c, true, XEN_ELFNOTE_ENTRY, im->entry);
    add_note(c, true, XEN_ELFNOTE_VIRT_BASE, im->virt_base);
    add_note(c, im->has_hypercall_page, XEN_ELFNOTE_HYPERCALL_PAGE, im->hypercall_page);
    add_note(c, im->has_init_p2m, XEN_ELFNOTE_INIT_P2M, im->init_p2m);
    add_note(c, im->initrd_by_pfn, XEN_ELFNOTE_MOD_START_PFN, 1);
    c->features.h = (Elf64_Nhdr){ 4, sizeof(c->features.text), XEN_ELFNOTE_FEATURES };
    memcpy(c->features.name, "Xen", 4);
    memcpy(c->features.text, im->features, sizeof(c->features.text));
    c->notes_at = (Elf64_Phdr){ .p_type = PT_NOTE, .p_filesz = NOTES_BYTES(c) };
}

static bool put(int fd, const void *data, uint64_t bytes, uint64_t at)
{
    const uint8_t *p = data;

    while (bytes) {
        ssize_t n = pwrite(fd, p, bytes, (off_t)at);

        if (n <= 0)
            return false;
        p += n;
        at += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return true;
}

/* Data first, each piece on a page of its own; the program headers then say where. */
static bool write_all(struct compact *c, const struct image *im, int fd)
{
    uint64_t headers = sizeof(c->head) + (c->n + 1) * sizeof(Elf64_Phdr), at = headers + NOTES_BYTES(c);

    for (unsigned i = 0; i < c->n; i++) {
        at = (at + PAGE - 1) & ~(PAGE - 1);
        if (!put(fd, im->elf + c->load[i].p_offset, c->load[i].p_filesz, at))
            return false;
        c->load[i].p_offset = at;
        at += c->load[i].p_filesz;
    }
    c->notes_at.p_offset = headers;
    return put(fd, &c->head, sizeof(c->head), 0) && put(fd, c->load, c->n * sizeof(Elf64_Phdr), sizeof(c->head)) &&
           put(fd, &c->notes_at, sizeof(c->notes_at), sizeof(c->head) + c->n * sizeof(Elf64_Phdr)) && put(fd, c->notes, c->n_notes * sizeof(struct note), headers) &&
           put(fd, &c->features, sizeof(c->features), headers + c->n_notes * sizeof(struct note)) && !ftruncate(fd, (off_t)at);
}

uint64_t image_compact_bytes(const struct image *im)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < im->n_segments; i++)
        for (uint64_t at = 0; at < im->segment[i].file_bytes; at += CHUNK) {
            uint64_t n = im->segment[i].file_bytes - at < CHUNK ? im->segment[i].file_bytes - at : CHUNK;

            bytes += is_zero(im->elf + im->segment[i].offset + at, n) ? 0 : n;
        }
    return bytes;
}

bool image_write_compact(const struct image *im, int fd)
{
    struct compact *c = calloc(1, sizeof(*c));

    if (!c)
        return false;
    for (unsigned i = 0; i < im->n_segments; i++)
        split(c, im, &im->segment[i]);
    add_notes(c, im);
    memcpy(c->head.e_ident, ELFMAG, SELFMAG);
    c->head.e_ident[EI_CLASS] = ELFCLASS64;
    c->head.e_ident[EI_DATA] = ELFDATA2LSB;
    c->head.e_ident[EI_VERSION] = EV_CURRENT;
    c->head.e_type = ET_EXEC;
    c->head.e_machine = EM_X86_64;
    c->head.e_version = EV_CURRENT;
    c->head.e_ehsize = sizeof(c->head);
    c->head.e_phoff = sizeof(c->head);
    c->head.e_phentsize = sizeof(Elf64_Phdr);
    c->head.e_phnum = (Elf64_Half)(c->n + 1);
    bool done = write_all(c, im, fd);

    free(c);
    return done;
}
