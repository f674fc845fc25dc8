/* SPDX-License-Identifier: MIT */
/* A small PV kernel as an ELF file, for the tests of elf.c and of domain 0's builder. */
#pragma once

#include <stdint.h>
#include <string.h>

struct elf_maker {
    uint8_t f[16384];
    uint64_t n, notes, notes_end;
};

static inline void elf_put(struct elf_maker *e, uint64_t at, uint64_t v, unsigned bytes)
{
    memcpy(e->f + at, &v, bytes);
}

static inline void elf_phdr(struct elf_maker *e, unsigned i, uint32_t type, uint64_t offset,
                            uint64_t va, uint64_t pa, uint64_t filesz, uint64_t memsz)
{
    uint64_t at = 64 + 56 * i;

    elf_put(e, at, type, 4);
    elf_put(e, at + 8, offset, 8);
    elf_put(e, at + 16, va, 8);
    elf_put(e, at + 24, pa, 8);
    elf_put(e, at + 32, filesz, 8);
    elf_put(e, at + 40, memsz, 8);
}

static inline void elf_note(struct elf_maker *e, uint32_t type, const void *d, uint32_t n)
{
    uint64_t at = e->notes_end;

    elf_put(e, at, 4, 4);
    elf_put(e, at + 4, n, 4);
    elf_put(e, at + 8, type, 4);
    memcpy(e->f + at + 12, "Xen", 4);
    memcpy(e->f + at + 16, d, n);
    e->notes_end = at + 16 + ((n + 3) & ~3u);
    elf_put(e, 64 + 56 * 2 + 32, e->notes_end - e->notes, 8); /* p_filesz */
}
static inline void elf_note_u64(struct elf_maker *e, uint32_t type, uint64_t v)
{
    elf_note(e, type, &v, 8);
}

/* Two segments as Linux has them: text at 16 MiB, and data whose virtual address is 0. */
static inline void elf_make(struct elf_maker *e)
{
    memset(e, 0, sizeof(*e));
    memcpy(e->f, "\177ELF\2\1\1", 7);
    elf_put(e, 16, 2, 2);
    elf_put(e, 18, 62, 2);
    elf_put(e, 24, 0x1000000, 8);
    elf_put(e, 32, 64, 8);
    elf_put(e, 54, 56, 2);
    elf_put(e, 56, 3, 2);
    elf_phdr(e, 0, 1, 4096, 0xffffffff81000000, 0x1000000, 8192, 8192);
    elf_phdr(e, 1, 1, 12288, 0, 0x1002000, 100, 10000);
    elf_phdr(e, 2, 4, 1024, 0, 0, 0, 0);
    e->notes = e->notes_end = 1024;
    e->n = 12288 + 100;
    for (unsigned i = 4096; i < e->n; i++)
        e->f[i] = (uint8_t)(i * 7 + i / 256);
    elf_note(e, 6, "linux", 6);
    elf_note(e, 5, "xen-3.0", 8);
    elf_note_u64(e, 3, 0xffffffff80000000);
    elf_note_u64(e, 1, 0xffffffff81000123);
    elf_note_u64(e, 4, 0);
    elf_note(e, 10, "!writable_page_tables|pae_pgdir_above_4gb", 42);
    elf_note_u64(e, 17, 0x8801);
    elf_note_u64(e, 15, 0x8000000000);
    elf_note(e, 16, "\1\0\0", 4);
    elf_note(e, 13, "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0", 16);
}
