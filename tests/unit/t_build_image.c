/* SPDX-License-Identifier: MIT */
/*
 * Kernel images: ELF with Xen's notes, bzImage with each packer; damaged and hostile files get an error, a text and no read outside
 * (they are in exactly sized heap blocks).
 * sources: toolstack/lib/build_image.c toolstack/lib/build_unpack.c toolstack/lib/build_compact.c toolstack/lib/build_features.c toolstack/lib/fault.c
 * libs: -llzma -lz -llz4 -lzstd
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <xen/elfnote.h>
#include <xen/features.h>

#include "build_image.h"
#include "fault.h"

#define NOTES 0x200
#define DATA 0x400
#define BASE 0xffffffff80000000ULL

/* A small kernel: one segment at 1 MiB, notes, 8 KiB of file. */
struct kernel {
    uint8_t b[8192];
    size_t notes;
};

static Elf64_Ehdr *head(struct kernel *k)
{
    return (Elf64_Ehdr *)k->b;
}

static Elf64_Phdr *segment(struct kernel *k, unsigned i)
{
    return (Elf64_Phdr *)(k->b + sizeof(Elf64_Ehdr)) + i;
}

static void note(struct kernel *k, uint32_t type, uint64_t value)
{
    Elf64_Nhdr n = { 4, 8, type };
    uint8_t *p = k->b + NOTES + k->notes;

    memcpy(p, &n, sizeof(n));
    memcpy(p + 12, "Xen", 4);
    memcpy(p + 16, &value, 8);
    k->notes += 24;
    segment(k, 1)->p_filesz = k->notes;
}

/* The list of features; at most 300 letters. */
static void feature_note(struct kernel *k, const char *text)
{
    Elf64_Nhdr n = { 4, (Elf64_Word)strlen(text), XEN_ELFNOTE_FEATURES };
    uint8_t *p = k->b + NOTES + k->notes;

    memcpy(p, &n, sizeof(n));
    memcpy(p + 12, "Xen", 4);
    memcpy(p + 16, text, n.n_descsz);
    k->notes += 16 + ((n.n_descsz + 3) & ~3U);
    segment(k, 1)->p_filesz = k->notes;
}

static void make(struct kernel *k)
{
    memset(k, 0, sizeof(*k));
    for (size_t i = DATA; i < sizeof(k->b); i++)
        k->b[i] = (uint8_t)(i * 7 + i / 256);
    memcpy(head(k)->e_ident, ELFMAG, SELFMAG);
    head(k)->e_ident[EI_CLASS] = ELFCLASS64;
    head(k)->e_ident[EI_DATA] = ELFDATA2LSB;
    head(k)->e_machine = EM_X86_64;
    head(k)->e_phoff = sizeof(Elf64_Ehdr);
    head(k)->e_phentsize = sizeof(Elf64_Phdr);
    head(k)->e_phnum = 2;
    *segment(k, 0) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = DATA, .p_filesz = 0x1000, .p_memsz = 0x2800, .p_paddr = 0x100000 };
    *segment(k, 1) = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = NOTES };
    note(k, XEN_ELFNOTE_VIRT_BASE, BASE);
    note(k, XEN_ELFNOTE_ENTRY, BASE + 0x100010);
}

/* Parses an exactly sized copy, so that a read beyond is seen. */
static int parse(const void *data, size_t bytes, struct image *im)
{
    uint8_t *copy = malloc(bytes + !bytes);

    memcpy(copy, data, bytes);
    fault_clear();
    int rc = image_parse(im, "k", copy, bytes);

    assert_true(rc <= 0);
    assert_int_equal(!rc, !*fault_text());
    free(copy);
    return rc;
}

static void refused(struct kernel *k, int error, const char *text)
{
    struct image im;

    assert_int_equal(parse(k->b, sizeof(k->b), &im), error);
    assert_non_null(strstr(fault_text(), text));
}

static void test_sound(void **state)
{
    struct kernel k;
    struct image im;

    make(&k);
    note(&k, XEN_ELFNOTE_INIT_P2M, 0x8000000000);
    note(&k, XEN_ELFNOTE_MOD_START_PFN, 1);
    assert_int_equal(parse(k.b, sizeof(k.b), &im), 0);
    assert_int_equal(im.n_segments, 1);
    assert_int_equal(im.start, 0x100000);
    assert_int_equal(im.end, 0x103000);
    assert_true(im.entry == BASE + 0x100010 && im.virt_base == BASE && im.init_p2m == 0x8000000000);
    assert_true(im.has_init_p2m && im.initrd_by_pfn && !im.has_hypercall_page);
}

static void test_paddr_offset(void **state)
{
    struct kernel k;
    struct image im;

    make(&k);
    segment(&k, 0)->p_paddr += BASE;
    note(&k, XEN_ELFNOTE_PADDR_OFFSET, BASE);
    assert_int_equal(parse(k.b, sizeof(k.b), &im), 0);
    assert_int_equal(im.start, 0x100000);
}

#define BREAK(change, error, text) do { struct kernel k; make(&k); change; refused(&k, error, text); } while (0)

static void test_refused(void **state)
{
    BREAK(k.b[0] = 0, -ENOEXEC, "no kernel");
    BREAK(head(&k)->e_machine = EM_386, -ENOEXEC, "64-bit");
    BREAK(head(&k)->e_phnum = 0, -ENOEXEC, "program headers");
    BREAK(head(&k)->e_phoff = sizeof(k.b) - 8, -ENOEXEC, "cut short");
    BREAK(head(&k)->e_phoff = UINT64_MAX - 20, -ENOEXEC, "cut short");
    BREAK(segment(&k, 0)->p_type = PT_NULL, -ENOEXEC, "nothing to load");
    BREAK(segment(&k, 0)->p_offset = UINT64_MAX, -ENOEXEC, "cut short");
    BREAK(segment(&k, 0)->p_filesz = 0x2801, -ENOEXEC, "cut short");
    BREAK(segment(&k, 0)->p_memsz = 1ULL << 40, -E2BIG, "limit");
    BREAK(segment(&k, 0)->p_paddr = 1ULL << 50, -ENOEXEC, "no place");
    BREAK(segment(&k, 1)->p_type = PT_NULL, -ENOEXEC, "no support for Xen");
    BREAK((segment(&k, 1)->p_filesz = 24, note(&k, 99, 0), segment(&k, 1)->p_filesz = 24), -ENOEXEC, "no support for Xen");
    BREAK((k.notes = 24, note(&k, XEN_ELFNOTE_PHYS32_ENTRY, 1)), -ENOEXEC, "PVH");
    BREAK(note(&k, XEN_ELFNOTE_ENTRY, BASE), -ENOEXEC, "entry point");
    BREAK(note(&k, XEN_ELFNOTE_VIRT_BASE, 0x8000000000000000), -ENOEXEC, "not usable");
    BREAK(note(&k, XEN_ELFNOTE_VIRT_BASE, BASE + 1), -ENOEXEC, "not usable");
    BREAK(note(&k, XEN_ELFNOTE_VIRT_BASE, 0xffff800000000000), -ENOEXEC, "hypervisor");
    BREAK(note(&k, XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x100010), -ENOEXEC, "hypercall page");
}

static void test_cut_anywhere(void **state)
{
    struct kernel k;
    struct image im;

    make(&k);
    for (size_t n = 0; n < DATA + 0x1000; n += n < 600 ? 1 : 97)
        assert_int_equal(parse(k.b, n, &im), -ENOEXEC);
}

/* --- packed ---------------------------------------------------------------------------------------------------------------- */

static size_t pack_xz(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
    size_t at = 0;

    assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, in, n, out, &at, size), LZMA_OK);
    return at;
}

static size_t pack_gzip(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
    z_stream s = { .next_in = (Bytef *)in, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)size };

    assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return s.total_out - 4; /* its own size at the end counts as the one that is appended */
}

static size_t pack_lz4(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
    uint32_t block = (uint32_t)LZ4_compress_default((const char *)in, (char *)out + 8, (int)n, (int)size - 8);

    memcpy(out, "\x02\x21\x4c\x18", 4);
    memcpy(out + 4, &block, 4);
    return block + 8;
}

static size_t pack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t size)
{
    return ZSTD_compress(out, size, in, n, 3);
}

/* A bzImage with the payload and the size after it, as Linux does. */
static uint8_t *make_bzimage(size_t (*pack)(const uint8_t *, size_t, uint8_t *, size_t), uint32_t claimed, size_t *bytes)
{
    struct kernel k;
    uint8_t *b = calloc(1, 65536);
    uint32_t at = 0x80, n;

    make(&k);
    b[0x1f1] = 3;
    memcpy(b + 0x202, "HdrS\x0f\x02", 6);
    n = (uint32_t)pack(k.b, sizeof(k.b), b + 4 * 512 + at, 32768);
    memcpy(b + 4 * 512 + at + n, &claimed, 4);
    n += 4;
    memcpy(b + 0x248, &at, 4);
    memcpy(b + 0x24c, &n, 4);
    *bytes = 4 * 512 + at + n;
    return realloc(b, *bytes);
}

static int unpack(const uint8_t *b, size_t bytes, size_t max)
{
    uint8_t *out;
    const uint8_t *payload;
    size_t n;
    struct image im;

    fault_clear();
    int rc = image_unpack("k", b, bytes, max, &out, &payload, &n);

    if (!rc)
        rc = image_parse(&im, "k", payload, n);
    assert_int_equal(!rc, !*fault_text());
    free(out);
    return rc;
}

static void test_packers(void **state)
{
    size_t (*const packs[])(const uint8_t *, size_t, uint8_t *, size_t) = { pack_xz, pack_gzip, pack_lz4, pack_zstd };
    size_t bytes;

    for (unsigned i = 0; i < 4; i++) {
        uint8_t *b = make_bzimage(packs[i], 8192, &bytes);

        assert_int_equal(unpack(b, bytes, 1 << 20), 0);
        assert_int_equal(unpack(b, bytes, 8191), -E2BIG);
        assert_int_equal(unpack(b, bytes - 1, 1 << 20), -ENOEXEC);
        b[4 * 512 + 0x80 + 60] ^= 0x55;
        b[4 * 512 + 0x80 + 20] ^= 0x55;
        unpack(b, bytes, 1 << 20); /* an error or other bytes, but no read outside */
        free(b);
        b = make_bzimage(packs[i], 8000, &bytes); /* more comes out than it says */
        assert_int_equal(unpack(b, bytes, 1 << 20), -ENOEXEC);
        free(b);
        b = make_bzimage(packs[i], 9000, &bytes); /* less */
        assert_int_equal(unpack(b, bytes, 1 << 20), -ENOEXEC);
        free(b);
    }
}

/* --- compact --------------------------------------------------------------------------------------------------------------- */

/* What an image is in memory. */
static uint8_t *lay_out(const struct image *im)
{
    uint8_t *m = calloc(1, im->end - im->start);

    for (unsigned i = 0; i < im->n_segments; i++)
        memcpy(m + (im->segment[i].start - im->start), im->elf + im->segment[i].offset, im->segment[i].file_bytes);
    return m;
}

/* A kernel of some MiB with runs of zeroes by `pattern`, a bit for each 64 KiB. */
static void check_compact(const char *pattern)
{
    size_t chunks = strlen(pattern), bytes = DATA + chunks * 65536 + 100;
    uint8_t *b = calloc(1, bytes);
    struct kernel k;
    struct image im, again;

    make(&k);
    note(&k, XEN_ELFNOTE_INIT_P2M, 0x8000000000);
    note(&k, XEN_ELFNOTE_MOD_START_PFN, 1);
    feature_note(&k, "!hvm_pirqs|dom0");
    segment(&k, 0)->p_filesz = chunks * 65536 + 100;
    segment(&k, 0)->p_memsz = chunks * 65536 + 5000;
    memcpy(b, k.b, DATA);
    for (size_t i = 0; i < chunks; i++)
        if (pattern[i] == 'x')
            memset(b + DATA + i * 65536 + i, 1 + (int)i, 1000);
    b[bytes - 1] = 7;
    assert_int_equal(image_parse(&im, "k", b, bytes), 0);

    FILE *f = tmpfile();
    assert_true(image_write_compact(&im, fileno(f)));
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    uint8_t *c = malloc(size), *m1 = lay_out(&im), *m2;

    rewind(f);
    assert_int_equal(fread(c, 1, size, f), size);
    assert_int_equal(image_parse(&again, "c", c, size), 0);
    assert_true(again.start == im.start && again.end == im.end && again.entry == im.entry && again.virt_base == im.virt_base);
    assert_true(again.has_init_p2m && again.init_p2m == im.init_p2m && again.initrd_by_pfn && !again.has_hypercall_page);
    assert_string_equal(again.features, "!hvm_pirqs|dom0");
    m2 = lay_out(&again);
    assert_memory_equal(m1, m2, im.end - im.start);
    if (!strchr(pattern, 'x'))
        assert_true(size < 3 * 4096);
    free(b);
    free(c);
    free(m1);
    free(m2);
    fclose(f);
}

static void test_compact(void **state)
{
    static const char *const patterns[] = { "", "x", ".", "xxxx", "....", "x..x", ".xx.", "x.x.x.x" };
    char many[600];

    for (unsigned i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        check_compact(patterns[i]);
    for (unsigned i = 0; i < 400; i++)
        many[i] = i % 2 ? 'x' : '.';
    many[400] = 0;
    check_compact(many); /* more runs than there may be segments */
}

/* --- features --------------------------------------------------------------------------------------------------------------- */

static int features(const char *text, uint32_t offered)
{
    struct kernel k;
    struct image im;

    make(&k);
    if (*text)
        feature_note(&k, text);
    fault_clear();
    assert_int_equal(image_parse(&im, "k", k.b, sizeof(k.b)), 0);
    return image_check_features(&im, "k", offered);
}

static void test_features(void **state)
{
    const uint32_t pv = 1U << XENFEAT_writable_page_tables | 1U << XENFEAT_pae_pgdir_above_4gb;
    char many[300];

    assert_int_equal(features("", 0), 0);
    assert_int_equal(features("!writable_page_tables|pae_pgdir_above_4gb", pv), 0); /* a Debian kernel */
    assert_int_equal(features("writable_page_tables|frob|", 0), 0);
    assert_int_equal(features("!writable_page_tables|pae_pgdir_above_4gb", 0), -EOPNOTSUPP);
    assert_int_equal(features("pae_pgdir_above_4gb|!auto_translated_physmap", pv), -EOPNOTSUPP);
    assert_non_null(strstr(fault_text(), "k: the kernel needs the feature 'auto_translated_physmap'"));
    assert_int_equal(features("!frob", ~0U), -EOPNOTSUPP);
    assert_int_equal(features("!", ~0U), -EOPNOTSUPP);
    assert_int_equal(features("!dom", ~0U), -EOPNOTSUPP);
    assert_int_equal(features("!dom0", ~0U), 0);
    memset(many, '|', sizeof(many));
    memcpy(many, "!dom0", 5);
    many[255] = 0;
    assert_int_equal(features(many, ~0U), 0);
    many[255] = '|';
    many[256] = 0;
    assert_int_equal(features(many, ~0U), -ENOEXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sound), cmocka_unit_test(test_paddr_offset), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_packers), cmocka_unit_test(test_compact), cmocka_unit_test(test_features) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
