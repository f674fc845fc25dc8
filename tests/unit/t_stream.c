/* SPDX-License-Identifier: MIT */
/*
 * sources: toolstack/lib/stream.c toolstack/lib/stream_fd.c toolstack/lib/stream_file.c toolstack/lib/stream_xl.c toolstack/lib/stream_xc.c toolstack/lib/stream_state.c toolstack/lib/fault.c
 * The migration stream: what is written is read back; it is as the specification draws it; each field that is spoilt is refused with the
 * record's number, name and offset; a stream that is cut anywhere is refused. Holes in files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "stream_make.h"

struct made {
    struct stream_memory m;
    size_t record[32]; /* where libxc's records are */
    unsigned n;
};

static uint32_t word(const struct made *t, size_t at)
{
    uint32_t v;

    memcpy(&v, t->m.data + at, sizeof(v));
    return v;
}

/* libxc's stream alone, and where its records lie. */
static void make(struct made *t, const struct make_options *o)
{
    struct stream_out out;

    stream_out_memory(&out, &t->m);
    assert_int_equal(make_xc(&out, o), 0);
    assert_int_equal(out.offset, t->m.bytes);
    t->n = 0;
    for (size_t at = 40; at < t->m.bytes; at += 8 + ((word(t, at + 4) + 7U) & ~7U))
        t->record[t->n++] = at;
}

static int take(struct made *t, uint64_t pages, unsigned vcpus)
{
    struct xc_state s = { .max_pages = pages, .max_vcpus = vcpus };
    struct stream_in in;
    unsigned data = 0;

    stream_in_memory(&in, &t->m);
    fault_clear();
    int rc = read_xc(&in, &s, &data);

    xc_state_dispose(&s);
    return rc;
}

static size_t find(const struct made *t, uint32_t type, unsigned which)
{
    for (unsigned i = 0; i < t->n; i++)
        if (word(t, t->record[i]) == type && !which--)
            return t->record[i];
    fail();
    return 0;
}

static const struct make_options plain;

static void test_round_trip(void **state)
{
    for (unsigned align = 0; align < 2; align++) {
        const struct make_options o = { .align = align, .config = true };
        struct stream_memory m;
        struct stream_out out;
        struct stream_in in;
        struct xc_state s = { .max_pages = 1000, .max_vcpus = 2 };
        unsigned data;

        stream_out_memory(&out, &m);
        assert_int_equal(make_stream(&out, &o), 0);
        stream_in_memory(&in, &m);
        fault_clear();
        assert_int_equal(read_stream(&in, &s, &data), 0);
        assert_int_equal(in.offset, m.bytes);
        assert_int_equal(data, 3);
        assert_int_equal(s.p2m_pages, MAKE_PAGES);
        assert_int_equal(s.p2m_frames[1], 6);
        assert_int_equal(s.vcpu[1].xsave.bytes, 832);
        assert_int_equal(s.vcpu[1].xsave.data[0], 7);
        assert_int_equal(s.vcpu[0].msrs.bytes, 16);
        assert_int_equal(s.tsc_khz, 2000000);
        assert_int_equal(s.tsc_nsec, 5);
        assert_int_equal(s.tsc_incarnation, 1);
        assert_int_equal(s.shared_info.data[0], 1);
        xc_state_dispose(&s);
        free(m.data);
    }
}

/* The drawings of the specification, byte by byte. */
static void test_layout(void **state)
{
    static const uint8_t image[24] = { 255, 255, 255, 255, 255, 255, 255, 255, 'X', 'E', 'N', 'F', 0, 0, 0, 3 };
    static const uint8_t domain[16] = { 1, 0, 0, 0, 12, 0, 0, 0, 4, 0, 0, 0, 17, 0, 0, 0 };
    static const uint8_t ident[16] = { 'L', 'i', 'b', 'x', 'l', 'F', 'm', 't', 0, 0, 0, 2, 0, 0, 0, 0 };
    struct stream_memory m;
    struct stream_out out;
    struct made t;

    make(&t, &plain);
    assert_memory_equal(t.m.data, image, sizeof(image));
    assert_memory_equal(t.m.data + 24, domain, sizeof(domain));
    size_t pages = find(&t, XC_PAGE_DATA, 0);
    assert_int_equal(word(&t, pages + 4), 8 + 5 * 8 + 3 * 4096);
    assert_int_equal(word(&t, pages + 8), 5);
    assert_int_equal(t.m.data[pages + 16 + 5 * 8], 0x11);
    free(t.m.data);
    stream_out_memory(&out, &m);
    assert_int_equal(stream_file_write(&out, "{}"), 0);
    assert_int_equal(m.bytes % 8, 0);
    assert_memory_equal(m.data, "Xen saved domain, xl format\n \0 \r", 32);
    assert_int_equal(m.data[32], 4);
    assert_int_equal(m.data[35], 1);
    assert_int_equal(m.data[36], 3);
    assert_memory_equal(m.data + 52, "{}\0", 3);
    free(m.data);
    stream_out_memory(&out, &m);
    assert_int_equal(stream_xl_begin(&out), 0);
    assert_memory_equal(m.data, ident, sizeof(ident));
    free(m.data);
}

struct spoil {
    uint32_t type;   /* of the record */
    unsigned which;  /* the how-manieth of that type */
    size_t at;       /* in it, its header of 8 bytes included */
    uint32_t value;
    const char *says;
};

static const struct spoil spoils[] = {
    { XC_PV_INFO, 0, 0, 0x13, "type 0x13 is not known" },
    { XC_PV_INFO, 0, 0, XC_HVM_PARAMS, "hardware virtualisation" },
    { XC_PV_INFO, 0, 0, XC_TOOLSTACK, "not supported" },
    { XC_PV_INFO, 0, 0, XC_VERIFY, "not supported" },
    { XC_PV_INFO, 0, 0, XC_STATIC_DATA_END, "it has 8 bytes; it should have 0" },
    { XC_PV_INFO, 0, 0, XC_PAGE_DATA, "X86_PV_P2M_FRAMES has not come" },
    { XC_PV_INFO, 0, 0, XC_PV_P2M_FRAMES, "X86_PV_INFO has not come" },
    { XC_PV_INFO, 0, 4, 7, "it has 7 bytes" },
    { XC_PV_INFO, 0, 4, 0xffffffff, "too long" },
    { XC_PV_INFO, 0, 8, 4 | 4 << 8, "32-bit words" },
    { XC_PV_INFO, 0, 8, 8 | 3 << 8, "3 levels" },
    { XC_CPUID_POLICY, 0, 4, 47, "multiple" },
    { XC_CPUID_POLICY, 0, 0, XC_PV_INFO, "it has 48 bytes" },
    { XC_PV_P2M_FRAMES, 0, 4, 4, "too short" },
    { XC_PV_P2M_FRAMES, 0, 4, 16, "does not fit" },
    { XC_PV_P2M_FRAMES, 0, 8, 700, "it goes from" },
    { XC_PV_P2M_FRAMES, 0, 8, 512, "are missing" },
    { XC_PV_P2M_FRAMES, 0, 12, 1000, "up to page" },
    { XC_PV_P2M_FRAMES, 0, 12, 5000, "the guest may have" },
    { XC_PV_P2M_FRAMES, 0, 16, MAKE_PAGES, "frame 0 of the list" },
    { XC_PAGE_DATA, 0, 4, 4, "too short" },
    { XC_PAGE_DATA, 0, 4, 8, "too short" },
    { XC_PAGE_DATA, 0, 4, 0x7fffffff, "too long" },
    { XC_PAGE_DATA, 0, 4, 8 + 5 * 8 + 2 * 4096, "3 pages have data" },
    { XC_PAGE_DATA, 0, 8, 0, "it has 0 pages" },
    { XC_PAGE_DATA, 0, 8, 1025, "it has 1025 pages" },
    { XC_PAGE_DATA, 0, 8, 4, "3 pages have data" },
    { XC_PAGE_DATA, 0, 16, MAKE_PAGES, "is beyond the guest's" },
    { XC_PAGE_DATA, 0, 16, 2, "twice" },
    { XC_PAGE_DATA, 0, 20, 0x50000000, "type 5" },
    { XC_PAGE_DATA, 0, 20, 0x80000000, "type 8" },
    { XC_PAGE_DATA, 0, 20, 0x00100000, "reserved bits" },
    { XC_PAGE_DATA, 0, 20, 0xf0000000, "2 pages have data" },
    { XC_TSC_INFO, 0, 4, 16, "it has 16 bytes" },
    { XC_TSC_INFO, 0, 8, 4, "mode 4" },
    { XC_SHARED_INFO, 0, 4, 4095, "it has 4095 bytes" },
    { XC_PV_VCPU_BASIC, 0, 4, 4, "too short" },
    { XC_PV_VCPU_BASIC, 0, 4, 5168, "it has 5168 bytes" },
    { XC_PV_VCPU_BASIC, 0, 8, 2, "virtual CPU 2; the guest has 2" },
    { XC_PV_VCPU_BASIC, 0, 8, 0xffffffff, "virtual CPU 4294967295" },
    { XC_PV_VCPU_BASIC, 1, 8, 0, "a second one for virtual CPU 0" },
    { XC_PV_VCPU_EXTENDED, 0, 4, 137, "more than the 128 bytes" },
    { XC_PV_VCPU_EXTENDED, 1, 8, 0, "a second one" },
    { XC_PV_VCPU_XSAVE, 0, 4, 70000, "too long" },
    { XC_PV_VCPU_MSRS, 0, 4, 23, "no whole number" },
    { XC_END, 0, 4, 8, "should be empty" },
};

static void test_each_field(void **state)
{
    for (size_t i = 0; i < sizeof(spoils) / sizeof(*spoils); i++) {
        const struct spoil *s = &spoils[i];
        char where[64];
        struct made t;

        make(&t, &plain);
        size_t at = find(&t, s->type, s->which);
        memcpy(t.m.data + at + s->at, &s->value, sizeof(s->value));
        int rc = take(&t, 1000, 2);
        snprintf(where, sizeof(where), "at offset %zu: ", at);
        if (!rc || !strstr(fault_text(), s->says) || !strstr(fault_text(), where) || strncmp(fault_text(), "record ", 7))
            fail_msg("spoil %zu (%s): rc %d, '%s'", i, s->says, rc, fault_text());
        free(t.m.data);
    }
}

static void test_headers(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *says;
    } heads[] = { { 0, 0, "does not begin with ones" }, { 8, 'Y', "not marked XENF" }, { 15, 4, "version 0x4" }, { 15, 1, "version 0x1" },
        { 17, 1, "little-endian" }, { 24, 2, "hardware virtualisation" }, { 24, 3, "kind of guest" }, { 28, 13, "power of 12" } };

    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        struct made t;

        make(&t, &plain);
        t.m.data[heads[i].at] = heads[i].value;
        assert_int_not_equal(take(&t, 1000, 2), 0);
        assert_non_null(strstr(fault_text(), heads[i].says));
        assert_non_null(strstr(fault_text(), "offset "));
        free(t.m.data);
    }
}

/* What is missing is said; limits of the caller hold; version 2 has no static end. */
static void test_whole(void **state)
{
    const struct make_options no_end = { .no_static_end = true };
    struct made t;

    make(&t, &no_end);
    assert_int_not_equal(take(&t, 1000, 2), 0);
    assert_non_null(strstr(fault_text(), "STATIC_DATA_END has not come"));
    t.m.data[15] = 2;
    assert_int_equal(take(&t, 1000, 2), 0);
    assert_int_not_equal(take(&t, MAKE_PAGES - 1, 2), 0);
    assert_int_not_equal(take(&t, 1000, 1), 0);
    assert_int_equal(take(&t, MAKE_PAGES, 2), 0);
    memcpy(t.m.data + find(&t, XC_SHARED_INFO, 0), &(uint32_t){ 0x80000001 }, 4);
    assert_int_not_equal(take(&t, 1000, 2), 0);
    assert_non_null(strstr(fault_text(), "SHARED_INFO has not come"));
    free(t.m.data);
}

/* Cut at each byte (near borders of records) and at each record's end. */
static void test_cut(void **state)
{
    struct stream_memory m, part;
    struct stream_out out;
    struct stream_in in;
    unsigned data;

    stream_out_memory(&out, &m);
    assert_int_equal(make_stream(&out, &plain), 0);
    for (size_t n = 0; n < m.bytes; n += n < 600 || m.bytes - n < 300 ? 1 : 61) {
        struct xc_state s = { .max_pages = 1000, .max_vcpus = 2 };

        part = (struct stream_memory){ .data = malloc(n + 1), .bytes = n };
        memcpy(part.data, m.data, n);
        stream_in_memory(&in, &part);
        fault_clear();
        assert_int_not_equal(read_stream(&in, &s, &data), 0);
        assert_string_not_equal(fault_text(), "");
        xc_state_dispose(&s);
        free(part.data);
    }
    free(m.data);
}

/* Each bit of the small parts turned: nothing worse than a refusal. */
static void test_bits(void **state)
{
    struct made t;

    make(&t, &plain);
    for (size_t bit = 0; bit < t.m.bytes * 8; bit++) {
        size_t at = bit / 8, pages = find(&t, XC_PAGE_DATA, 0), shared = find(&t, XC_SHARED_INFO, 0);

        if ((at > pages + 100 && at < pages + 12200) || (at > shared + 40 && at < shared + 4000) || (at > shared + 4200 && at % 97))
            continue;
        t.m.data[at] ^= (uint8_t)(1 << bit % 8);
        if (take(&t, 1000, 2))
            assert_string_not_equal(fault_text(), "");
        t.m.data[at] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(take(&t, 1000, 2), 0);
    free(t.m.data);
}

static void test_xl_records(void **state)
{
    static const struct {
        uint32_t type;
        const char *says;
    } bad[] = { { XL_EMULATOR_CONTEXT, "has an emulator" }, { XL_CHECKPOINT_STATE, "not expected" }, { 77, "nobody here knows it" }, { XL_END, "not expected" } };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct stream_memory m;
        struct stream_out out;
        struct stream_in in;

        stream_out_memory(&out, &m);
        stream_xl_begin(&out);
        stream_xl_record(&out, 0x80000777, "12345", 5); /* optional, skipped */
        stream_xl_record(&out, bad[i].type, "abc", 3);
        stream_in_memory(&in, &m);
        fault_clear();
        assert_int_not_equal(stream_xl_start(&in), 0);
        assert_non_null(strstr(fault_text(), bad[i].says));
        assert_non_null(strstr(fault_text(), "libxl's record 2"));
        free(m.data);
    }
}

static void test_config(void **state)
{
    for (unsigned with = 0; with < 2; with++) {
        const struct make_options o = { .config = with };
        struct stream_in in;
        struct xc_reader x;
        struct made t;
        char *ours;

        make(&t, &o);
        stream_in_memory(&in, &t.m);
        assert_int_equal(xc_start(&x, &in), 0);
        assert_int_equal(xc_config(&x, &ours), 0);
        assert_true(with ? !strcmp(ours, "name = 'g'\n") : !ours);
        assert_int_equal(xc_next(&x), 0);
        assert_int_equal(x.r.type, XC_PV_INFO);
        assert_int_equal(x.r.index, with);
        free(ours);
        assert_int_equal(take(&t, 1000, 2), 0);
        memcpy(t.m.data + t.record[0] + 4, &(uint32_t){ 0x7fffffff }, 4);
        assert_int_not_equal(take(&t, 1000, 2), 0);
        assert_non_null(strstr(fault_text(), with ? "(ZENDO_CONFIG, 2147483647 bytes) at offset 40: too long" : "too long"));
        free(t.m.data);
    }
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

/* 1024 pages of which two hold something, in a file: little of it is on the disk, and the holes are found again. */
static void test_holes(void **state)
{
    static uint64_t entry[XC_PAGES_MAX], back[XC_PAGES_MAX];
    static const void *page[XC_PAGES_MAX];
    static uint8_t full[4096];
    char name[] = "/tmp/t_stream-XXXXXX";
    int fd = mkstemp(name);
    struct stream_out out;
    struct stream_in in;
    struct stream_fd f;
    struct xc_reader x;
    struct stat st;
    uint64_t head[6] = { 0 };
    unsigned zero = 0;

    memset(full, 0x5a, sizeof(full));
    for (unsigned i = 0; i < XC_PAGES_MAX; i++)
        entry[i] = i;
    page[100] = page[1000] = full;
    stream_out_fd(&out, &f, fd, name);
    assert_int_equal(stream_write(&out, head, sizeof(head)), 0);
    assert_int_equal(xc_begin(&out, 4, 17), 0);
    assert_int_equal(xc_page_data(&out, entry, page, XC_PAGES_MAX, true), 0);
    assert_int_equal(xc_record(&out, XC_END, NULL, 0), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, out.offset);
    assert_true(st.st_size > 1024 * 4096);
    if (st.st_blocks * 512 > 256 * 1024)
        print_message("no holes on this file system: %lld bytes\n", (long long)st.st_blocks * 512);
    lseek(fd, 0, SEEK_SET);
    stream_in_fd(&in, &f, fd, name);
    assert_int_equal(stream_read(&in, head, sizeof(head)), 0);
    assert_int_equal(xc_start(&x, &in), 0);
    assert_int_equal(xc_next(&x), 0);
    assert_int_equal(xc_pages(&x, back, XC_PAGES_MAX), 0);
    assert_int_equal(in.offset % 4096, 0);
    for (uint64_t i = 0; i < XC_PAGES_MAX; i++) {
        uint64_t n = stream_zero_ahead(&in, i * 4096, 4096);

        assert_true(i == 100 || i == 1000 ? n == 0 : n == 0 || n == 4096);
        zero += n == 4096;
    }
    assert_true(st.st_blocks * 512 > 256 * 1024 || zero == 1022);
    assert_int_equal(stream_skip(&in, 100 * 4096), 0);
    assert_int_equal(stream_read(&in, full, 4096), 0);
    assert_int_equal(full[4095], 0x5a);
    assert_int_equal(stream_skip(&in, 899 * 4096), 0);
    assert_int_equal(stream_read(&in, full, 4096), 0);
    assert_int_equal(full[4095], 0x5a);
    assert_int_equal(stream_skip(&in, 23 * 4096), 0);
    assert_int_equal(xc_done(&x), 0);
    assert_int_equal(xc_next(&x), 0);
    assert_int_equal(x.r.type, XC_END);
    assert_int_not_equal(stream_skip(&in, 8), 0); /* beyond the end */
    close(fd);
    unlink(name);
}

/* A pipe has no holes; zeroes are written and read whole. */
static void test_pipe(void **state)
{
    static const uint64_t entry[2] = { 0, 1 };
    static const void *const page[2];
    static uint8_t got[8 + 8 + 16 + 8192];
    struct stream_out out;
    struct stream_in in;
    struct stream_fd f, g;
    int p[2];

    assert_int_equal(pipe(p), 0);
    stream_out_fd(&out, &f, p[1], "a pipe");
    assert_null(out.zeroes);
    assert_int_equal(xc_page_data(&out, entry, page, 2, false), 0);
    close(p[1]);
    stream_in_fd(&in, &g, p[0], "a pipe");
    assert_int_equal(stream_read(&in, got, sizeof(got)), 0);
    assert_int_equal(got[8], 2);
    assert_int_equal(stream_zero_ahead(&in, 0, 10), 0);
    assert_int_equal(stream_read(&in, got, 1), -ENODATA);
    close(p[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_layout), cmocka_unit_test(test_each_field), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_whole), cmocka_unit_test(test_cut), cmocka_unit_test(test_bits), cmocka_unit_test(test_xl_records), cmocka_unit_test(test_config),
        cmocka_unit_test(test_holes), cmocka_unit_test(test_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
