/* SPDX-License-Identifier: MIT */
/*
 * A guest in a toy machine is saved into memory and restored as another domain in other frames: contents, page tables, the list of pages,
 * start_info, shared_info and registers must name the same pages again. In rounds, with pages that move and go meanwhile. Streams that
 * are whole but lie are refused.
 * sources: toolstack/lib/save.c toolstack/lib/save_p2m.c toolstack/lib/save_pages.c toolstack/lib/save_vcpu.c toolstack/lib/guest_p2m.c
 * sources: toolstack/lib/restore.c toolstack/lib/restore_pages.c toolstack/lib/restore_tables.c toolstack/lib/restore_vcpu.c toolstack/lib/restore_verify.c toolstack/lib/restore_early.c
 * sources: toolstack/lib/cpuid_fit.c toolstack/lib/trace.c toolstack/lib/restore_apart.c toolstack/lib/stream.c toolstack/lib/stream_file.c toolstack/lib/stream_xl.c
 * sources: toolstack/lib/stream_xc.c toolstack/lib/stream_state.c toolstack/lib/fault.c
 */
#include "save_env.h"

/* --- what must come out ---------------------------------------------------------------------------------------------------- */

static bool is_special(unsigned pfn)
{
    return pfn >= P_L4 && pfn <= P_USER_L4 && pfn != P_ROOT && pfn != P_MIDDLE && (pfn <= P_L1 || pfn == P_USER_L4 || pfn == P_START ||
           (pfn >= P_P2M && pfn < P_P2M + 3));
}

static uint64_t *target_of(uint64_t pfn)
{
    assert_int_equal(owner[target_p2m[pfn]], TARGET);
    return frame[target_p2m[pfn]];
}

static void check_tables(void)
{
    assert_int_equal(target_of(P_L4)[0], target_p2m[P_L3] << 12 | 0x67);
    assert_int_equal(target_of(P_L4)[256], 0);
    assert_int_equal(target_of(P_L4)[511], target_p2m[P_L4] << 12 | 0x25);
    assert_int_equal(target_of(P_L3)[3], target_p2m[P_L1] << 12 | 0x67);
    for (unsigned i = 0; i < 500; i++)
        if (p2m[i])
            assert_int_equal(target_of(P_L1)[i], target_p2m[i] << 12 | 0x8000000000000067ULL);
    assert_int_equal(target_of(P_L1)[501], 0x5550);
    assert_int_equal(pinned, 2);
}

static void check_start(void)
{
    const struct start_info *si = (const void *)target_of(P_START);
    const struct shared_info *s = (const void *)frame[shared_frame[TARGET]];

    assert_int_equal(si->store_mfn, target_p2m[P_STORE]);
    assert_int_equal(si->console.domU.mfn, target_p2m[P_CONSOLE]);
    assert_int_equal(si->store_evtchn, 11);
    assert_int_equal(si->console.domU.evtchn, 12);
    assert_int_equal(si->shared_info, shared_frame[TARGET] * PAGE);
    assert_int_equal(s->vcpu_info[0].evtchn_upcall_mask, 1);
    assert_int_equal(s->vcpu_info[0].evtchn_upcall_pending, 0);
    assert_int_equal(s->vcpu_info[1].arch.cr2, 0x999);
    assert_int_equal(s->evtchn_pending[0], 0);
    assert_int_equal(s->evtchn_mask[3], ~0UL);
    assert_int_equal(s->arch.pfn_to_mfn_frame_list_list, 0);
}

static void check_registers(void)
{
    assert_int_equal(restored_context[0].user_regs.rdx, target_p2m[P_START]);
    assert_int_equal(restored_context[1].user_regs.rdx, 42);
    assert_int_equal(restored_context[1].user_regs.rip, 0x1001);
    assert_int_equal(restored_context[0].gdt_frames[0], target_p2m[P_GDT]);
    assert_int_equal(restored_context[0].ctrlreg[3], xen_pfn_to_cr3(target_p2m[P_L4]));
    assert_int_equal(restored_context[0].ctrlreg[1] & ~1UL, xen_pfn_to_cr3(target_p2m[P_USER_L4]));
    assert_int_equal(restored_context[1].ctrlreg[1], 0);
}

static void check_target(void)
{
    for (unsigned i = 0; i < PAGES; i++) {
        assert_int_equal(!p2m[i], !target_p2m[i] || owner[target_p2m[i]] != TARGET);
        if (p2m[i] && !is_special(i) && memcmp(page_of(i), target_of(i), PAGE))
            fail_msg("page %u differs", i);
        uint64_t listed = target_of(P_P2M + i / 512)[i % 512];

        assert_int_equal(listed, p2m[i] ? target_p2m[i] : i == PAGES - 1 ? 1ULL << 62 | i : ~0ULL);
    }
    check_tables();
    check_start();
    check_registers();
    assert_int_equal(mapped + contents_open, 0);
}

static int restore(struct stream_memory *m)
{
    struct restored made;
    struct stream_in in;

    stream_in_memory(&in, m);
    return restore_domain(NULL, &in, &(struct restore_options){ 0 }, &made);
}

static void save(struct stream_memory *m, enum save_zero zero)
{
    const struct save_options o = { .config = &config, .zero = zero, .file_header = true };
    struct stream_out out;
    struct save_count count;
    struct save *s;

    stream_out_memory(&out, m);
    assert_int_equal(save_open(&s, NULL, SOURCE, &out, &o), 0);
    assert_int_equal(save_pages(s), PAGES);
    assert_int_equal(save_finish(s, NULL, &count), 0);
    assert_int_equal(count.data + count.zero, HAVE);
    assert_true(count.zero > HAVE / 4);
    save_close(s);
    assert_int_equal(mapped + contents_open, 0);
}

static void test_whole(void **state)
{
    for (unsigned zero = 0; zero < 2; zero++) {
        struct stream_memory m;

        make_guest(state);
        save(&m, zero ? SAVE_ZERO_ALLOC : SAVE_ZERO_HOLES);
        assert_true(zero ? m.bytes < (HAVE - HAVE / 4) * PAGE : m.bytes > HAVE * PAGE);
        assert_int_equal(restore(&m), 0);
        check_target();
        free(m.data);
    }
}

/* While it is saved: pages move, go, come, and are written; the log names those that were written only. */
static void change(uint64_t *set, unsigned turn)
{
    for (unsigned i = 0; i < 60; i++) {
        unsigned pfn = (turn * 97 + i * 13) % 600;

        if (!p2m[pfn])
            continue;
        if (i % 20 == 1)
            memset(page_of(pfn), 0, PAGE); /* had a content, and has none now */
        else
            page_of(pfn)[9] = turn * 1000 + i;
        set[pfn / 64] |= 1ULL << pfn % 64;
    }
    for (unsigned pfn = 600 + turn; pfn < 690; pfn += 10) {
        xen_pfn_t old = p2m[pfn];

        p2m[pfn] = turn % 2 ? 0 : new_frame(SOURCE);
        if (p2m[pfn])
            memset(page_of(pfn), (int)turn, PAGE);
        owner[old] = 0;
    }
    unsigned pfn = HAVE + turn;
    p2m[pfn] = new_frame(SOURCE);
    memset(page_of(pfn), 0x33, PAGE);
    set[pfn / 64] |= 1ULL << pfn % 64;
    write_p2m();
    for (unsigned i = 0; i < 3; i++)
        set[(P_P2M + i) / 64] |= 1ULL << (P_P2M + i) % 64;
}

static void test_rounds(void **state)
{
    const struct save_options o = { .config = &config, .zero = SAVE_ZERO_ALLOC };
    uint64_t set[(PAGES + 63) / 64];
    struct stream_memory m;
    struct stream_out out;
    struct save_count count;
    struct save *s;

    stream_out_memory(&out, &m);
    assert_int_equal(save_open(&s, NULL, SOURCE, &out, &(struct save_options){ .config = o.config, .zero = o.zero, .file_header = true }), 0);
    assert_int_equal(save_round(s, NULL, &count), 0);
    for (unsigned turn = 1; turn < 5; turn++) {
        memset(set, 0, sizeof(set));
        change(set, turn);
        guest_runs();
        assert_int_equal(save_round(s, set, &count), 0);
        assert_true(count.pages < 200);
        assert_true(count.gone == 0 || turn % 2);
    }
    memset(set, 0, sizeof(set));
    change(set, 6);
    make_registers();
    guest_runs();
    assert_int_equal(save_finish(s, set, &count), 0);
    save_close(s);
    assert_int_equal(restore(&m), 0);
    check_target();
    free(m.data);
}

/* The stream with pauses: where a round ends the reader may do what it can do early. */
static struct {
    struct stream_in in;
    size_t mark[8];
    unsigned n, at, idles;
} paused;

static int read_paused(void *arg, const struct iovec *piece, unsigned n)
{
    struct stream_in *in = arg;
    struct stream_memory *m = paused.in.arg;

    if (paused.at < paused.n && m->at >= paused.mark[paused.at]) {
        paused.at++;
        assert_non_null(in->idle);
        in->idle(in->idle_arg);
    }
    return paused.in.read(paused.in.arg, piece, n);
}

/* A table of which entries change, and one that had been a page of data before. */
static void change_tables(uint64_t *set, unsigned turn)
{
    if (turn % 2)
        page_of(P_L1)[turn] ^= 2;
    if (turn == 3) {
        memcpy(page_of(P_GDT + 5), page_of(P_L1), PAGE);
        type[p2m[P_GDT + 5]] = XC_PINNED | 1;
        set[(P_GDT + 5) / 64] |= 1ULL << (P_GDT + 5) % 64;
    }
    if (turn % 2)
        set[P_L1 / 64] |= 1ULL << P_L1 % 64;
}

static void save_in_rounds(struct stream_memory *m, bool verify)
{
    const struct save_options o = { .config = &config, .zero = SAVE_ZERO_ALLOC, .file_header = true, .verify = verify };
    uint64_t set[(PAGES + 63) / 64];
    struct stream_out out;
    struct save *s;

    stream_out_memory(&out, m);
    assert_int_equal(save_open(&s, NULL, SOURCE, &out, &o), 0);
    for (unsigned turn = 0; turn < 6; turn++) {
        memset(set, 0, sizeof(set));
        if (turn) {
            change(set, turn);
            change_tables(set, turn);
            guest_runs();
        }
        if (turn == 5)
            make_registers();
        assert_int_equal(turn == 5 ? save_finish(s, set, NULL) : save_round(s, turn ? set : NULL, NULL), 0);
        paused.mark[paused.n++] = m->bytes;
    }
    save_close(s);
}

static void test_early(void **state)
{
    for (unsigned verify = 0; verify < 2; verify++) {
        struct stream_memory m;
        struct restored made;

        make_guest(state);
        memset(&paused, 0, sizeof(paused));
        save_in_rounds(&m, verify);
        stream_in_memory(&paused.in, &m);
        struct stream_in in = { .read = read_paused, .arg = &in };
        int rc = restore_domain(NULL, &in, &(struct restore_options){ 0 }, &made);

        if (rc)
            fail_msg("%s", fault_text());
        assert_int_equal(paused.at, 5);
        assert_true(early_pins >= 4); /* of the first round, and of those that brought it anew */
        assert_int_equal(type[target_p2m[P_L1]], 0);
        assert_int_equal(type[target_p2m[P_GDT + 5]], XC_PINNED | XC_L1);
        assert_int_equal(target_of(P_GDT + 5)[1], target_of(P_L1)[1]);
        pinned--;
        p2m[P_GDT + 5] ? memcpy(page_of(P_GDT + 5), target_of(P_GDT + 5), PAGE) : NULL;
        for (unsigned i = 1; i < 6; i += 2)
            target_of(P_L1)[i] ^= 2;
        check_target();
        free(m.data);
    }
}

/* An entry of another domain's page is left out; the save succeeds. */
static void test_foreign(void **state)
{
    struct stream_memory m;

    page_of(P_L1)[505] = (uint64_t)FOREIGN << 12 | 0x67;
    save(&m, SAVE_ZERO_ALLOC);
    assert_int_equal(restore(&m), 0);
    assert_int_equal(target_of(P_L1)[505], 0);
    free(m.data);
}

/* Guests whose lists do not hold together are refused while they run. */
static void test_bad_guest(void **state)
{
    const struct save_options o = { .zero = SAVE_ZERO_ALLOC };
    struct stream_memory m;
    struct stream_out out;
    struct save *s;

    stream_out_memory(&out, &m);
    p2m[20] = p2m[30];
    write_p2m();
    assert_int_equal(save_open(&s, NULL, SOURCE, &out, &o), 0);
    assert_int_equal(save_round(s, NULL, NULL), 0); /* a running one may be about to move a page */
    assert_int_not_equal(save_finish(s, NULL, NULL), 0);
    assert_non_null(strstr(fault_text(), "twice (pages 0x14 and 0x1e)"));
    save_close(s);
    free(m.data);
    make_guest(state);
    stream_out_memory(&out, &m);
    context[1].ctrlreg[3] = xen_pfn_to_cr3(FOREIGN);
    assert_int_equal(save_open(&s, NULL, SOURCE, &out, &o), 0);
    assert_int_not_equal(save_finish(s, NULL, NULL), 0);
    assert_non_null(strstr(fault_text(), "virtual CPU 1: its page table is frame 0xf9f"));
    save_close(s);
    free(m.data);
    assert_int_equal(mapped + contents_open, 0);
}

/* Streams that are sound in form but lie: what is in a page, a table, a register. */
static void lie(void **state, const char *says, void (*spoil)(void))
{
    struct stream_memory m;

    make_guest(state);
    spoil();
    save(&m, SAVE_ZERO_ALLOC);
    int rc = restore(&m);

    if (!rc || !strstr(fault_text(), says))
        fail_msg("'%s': rc %d, '%s'", says, rc, fault_text());
    assert_int_equal(mapped + contents_open, 0);
    free(m.data);
}

static void lie_store(void) { ((struct start_info *)(void *)page_of(P_START))->store_mfn = PAGES - 5; }
static void lie_store_far(void) { ((struct start_info *)(void *)page_of(P_START))->store_mfn = ~0UL; }
static void lie_console(void) { ((struct start_info *)(void *)page_of(P_START))->console.domU.mfn = P_L1; }
static void lie_start(void) { context[0].user_regs.rdx = p2m[P_L4]; }
static void lie_memory(void) { config.maxmem = (HAVE - 300) * 4; }
static void lie_small(void) { limit_frames = HAVE / 2; }
static void lie_cpus(void) { config.maxvcpus = 1; }

static void test_lies(void **state)
{
    lie(state, "the ring to the store is page 0x50f, which the stream has not brought", lie_store);
    lie(state, "the ring to the store is page 0xffffffffffffffff", lie_store_far);
    lie(state, "the console's ring is page 0x2be, which is a page table", lie_console);
    lie(state, "start_info is page 0x2bc, which is a page table", lie_start);
    lie(state, "by its configuration (maxmem) it may have", lie_memory);
    lie(state, "the host has not that much free", lie_small);
    lie(state, "virtual CPU 1; the guest has 1", lie_cpus);
}

/* Once with the hypervisor's copies, once with maps. */
#define BOTH(test)                                                                                                                  \
    cmocka_unit_test_setup(test, make_guest_own), { #test "_mapped", test, make_guest_mapped, NULL, NULL }

int main(void)
{
    const struct CMUnitTest tests[] = { BOTH(test_whole), BOTH(test_rounds), BOTH(test_early), BOTH(test_foreign), BOTH(test_bad_guest), BOTH(test_lies) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
