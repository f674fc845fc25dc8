/* SPDX-License-Identifier: MIT */
/*
 * A small machine for the page-type tests (t_pgt.c, t_pgt_smp.c, f_pgt.c): three domains with a few dozen frames
 * each, two vCPUs each, and the real hypercalls on top. Guest pointers are host pointers. After every operation
 * pgt_env_check() recounts everything; a model of the translation caches remembers who may still have a writable
 * translation of a frame. Choices come from env_rand(), which a test defines.
 */
#pragma once

#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "domctl.h"
#include "pgt.h"
#include "pgt_update.h"
#include "port_host.h"
#include "x86/guest.h"
#include "x86/hypercalls.h"
#include "x86/mm.h"
#include "x86/pv.h"
#include "x86/pv_mm.h"

#include <xen/memory.h>
#include <zendo/control.h>

#define E_FRAMES 300
#define E_HOLE 200 /* frames 200..207: a device's, in the middle of RAM */
#define E_DOMS 3
#define E_VCPUS 2
#define E_CPUS 4
#define E_AGAIN (-987654)

unsigned env_rand(unsigned below); /* the test's: a number below `below` */

#define E_CHECK(c)                                                                                 \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            fprintf(stderr, "pgt: %s (line %d)\n", #c, __LINE__);                                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct x86_domain e_dom[E_DOMS + 2];
static struct x86_vcpu e_vcpu[E_DOMS][E_VCPUS];
static struct vcpu *e_vcpus[E_DOMS][E_VCPUS];
static uint64_t e_frames[E_DOMS][E_FRAMES]; /* numbers a guest knows, by role */
static struct shared_info e_shared;
struct domain *dom_io, *dom_xen, *dom_hw;
struct cpu_features cpu_features;

/* --- the machine around ------------------------------------------------------------------------- */

static __thread struct {
    bool set;
    unsigned nr;
    uint64_t a[5];
} e_again;
static __thread unsigned e_preempt_every, e_preempt_n;

bool preempt_needed(void)
{
    return e_preempt_every && ++e_preempt_n % e_preempt_every == 0;
}
long hcall_again(struct vcpu *v, unsigned nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                 uint64_t a5)
{
    e_again.set = true;
    e_again.nr = nr;
    memcpy(e_again.a, (uint64_t[]){a1, a2, a3, a4, a5}, sizeof(e_again.a));
    return E_AGAIN;
}
struct domain *domain_get(uint16_t id)
{
    return id < E_DOMS ? &e_dom[id].d : NULL;
}
struct domain *domain_get_self(struct vcpu *v, uint16_t id)
{
    return id == DOMID_SELF ? v->domain : domain_get(id);
}
void domain_ref(struct domain *d)
{
}
void domain_put(struct domain *d)
{
}
bool iomem_allowed(const struct domain *d, uint64_t first, uint64_t last)
{
    return d->hardware && first >= E_HOLE && last < E_HOLE + 8;
}
/* Our slots hold frame 0: the checker does not look below. */
void hyp_l4_install(uint64_t *l4)
{
    for (unsigned i = HYP_L4_FIRST; i <= HYP_L4_LAST; i++)
        __atomic_store_n(&l4[i], 0xabc0001 + i * 0x1000, __ATOMIC_RELAXED);
}
long arch_memory_op(struct vcpu *v, unsigned op, uint64_t arg)
{
    return -XEN_ENOSYS;
}
void cpu_gdt_page_set(unsigned page, mfn_t m)
{
}
void cpu_gdt_pages_set(const uint64_t *frames, unsigned count)
{
}
void cpu_ldt_set(const mfn_t *frames, unsigned entries)
{
}
static __thread uint64_t e_ldt_frame;
long memory_acquire_resource(struct vcpu *v, uint64_t cmd, uint64_t arg)
{
    return -XEN_ENOSYS;
}
struct page *pv_lookup_va_in(struct vcpu *v, mfn_t root, uint64_t va, uint64_t *pte)
{
    return get_page_of_mfn(mfn(e_ldt_frame + (va >> FRAME_SHIFT)), v->domain);
}
static uint64_t e_l1; /* the level-1 table of all addresses; 0: none */
struct page *pv_hold_l1(struct vcpu *v, mfn_t m)
{
    struct page *pg = get_page_of_mfn(m, v->domain);

    if (pg && pgt_hold_table(pg)) {
        put_page(pg);
        pg = NULL;
    }
    return pg;
}
struct page *pv_lookup_l1(struct vcpu *v, uint64_t va, unsigned *index)
{
    *index = (va >> FRAME_SHIFT) & 511;
    return e_l1 ? pv_hold_l1(v, mfn(e_l1)) : NULL;
}
void *zalloc(size_t bytes)
{
    return calloc(1, bytes);
}
void zfree(void *p)
{
    free(p);
}

/* --- translation caches: whoever could have a writable translation has one until it flushes ------------------- */

static uint32_t e_clock = 1;
static uint32_t e_cpu_stamp[E_CPUS];
static uint8_t e_cached[E_FRAMES];                 /* bit per CPU */
static const struct domain *e_cached_for[E_FRAMES]; /* whose frame it was */
static unsigned e_flushes;
static void (*e_on_flush)(unsigned cpu); /* a test's own caches */
static void (*e_on_stamp)(void);         /* the clock is looked at */
static void (*e_on_cr3)(void);           /* other tables are about to be loaded */

static void (*e_on_use_end)(void); /* a use of a frame may have ended */
static struct page *e_stamp_watch; /* must be BUSY when a stamp is taken */
static unsigned e_stamps;

uint32_t tlb_stamp_now(void)
{
    if (e_on_use_end)
        e_on_use_end();
    if (e_stamp_watch) {
        E_CHECK(READ_ONCE(e_stamp_watch->type) & PGT_BUSY);
        e_stamps++;
    }
    if (e_on_stamp)
        e_on_stamp();
    return __atomic_load_n(&e_clock, __ATOMIC_SEQ_CST);
}
static void e_cpu_flush(unsigned cpu)
{
    uint32_t t = __atomic_add_fetch(&e_clock, 1, __ATOMIC_SEQ_CST);

    for (unsigned f = 0; f < E_FRAMES; f++)
        __atomic_fetch_and(&e_cached[f], (uint8_t)~(1u << cpu), __ATOMIC_RELAXED);
    if (e_on_flush)
        e_on_flush(cpu);
    __atomic_store_n(&e_cpu_stamp[cpu], t, __ATOMIC_SEQ_CST);
}
void tlb_flush_stale(uint32_t stamp)
{
    for (unsigned cpu = 0; cpu < E_CPUS; cpu++)
        if ((int32_t)(__atomic_load_n(&e_cpu_stamp[cpu], __ATOMIC_SEQ_CST) - stamp) <= 0) {
            e_cpu_flush(cpu);
            __atomic_fetch_add(&e_flushes, 1, __ATOMIC_RELAXED);
        }
}
void write_guest_cr3(uint64_t cr3)
{
    if (e_on_cr3)
        e_on_cr3();
    e_cpu_flush(env_rand(E_CPUS));
}
static __thread unsigned e_here; /* the processor that runs, plus 1; 0: any */
void tlb_flush_guest_local(void)
{
    e_cpu_flush(e_here ? e_here - 1 : env_rand(E_CPUS));
}
void tlb_flush_cpus(const uint64_t mask[MAX_CPUS / 64])
{
}
void tlb_flush_page_cpus(const uint64_t mask[MAX_CPUS / 64], uint64_t va)
{
}

static bool is_table(uint64_t x)
{
    return PGT_LEVEL(x) >= 1 && PGT_LEVEL(x) <= 5 && (x & (PGT_VALID | PGT_PARTIAL));
}

static void env_tlb_check(void)
{
    for (unsigned f = 1; f < E_FRAMES; f++) {
        struct page *pg = &frame_table[f];

        if (e_cached[f] && (is_table(pg->type) || (pg->owner && pg->owner != e_cached_for[f]))) {
            fprintf(stderr, "pgt: frame %#x type %#lx has stale writable translations\n", f,
                    (unsigned long)pg->type);
            abort();
        }
        if ((pg->type & PGT_TYPE_MASK) == PGT_WRITABLE && (pg->type & PGT_COUNT_MASK) && pg->owner) {
            e_cached[f] = (1u << E_CPUS) - 1;
            e_cached_for[f] = pg->owner;
        }
    }
}

/* --- setting up, checking, taking down ------------------------------------------------------------------------ */

static void env_check(void)
{
    for (unsigned i = 0; i < E_DOMS; i++) {
        struct domain *d = &e_dom[i].d;
        uint64_t more, listed = 0;
        unsigned faults = pgt_recount(d, true, &more);

        if (faults || more) {
            fprintf(stderr, "pgt: d%u: %u faults, %lu references too many: %s\n", i, faults,
                    (unsigned long)more, host_last_log);
            abort();
        }
        for (uint32_t f = d->pages_head; f; f = frame_table[f].next)
            listed++;
        E_CHECK(listed == d->tot_pages && d->tot_pages + d->loose_pages <= d->max_pages);
        E_CHECK(d->owned_pages == d->tot_pages + d->loose_pages);
    }
    env_tlb_check();
}

static struct domain *env_domain(unsigned i, uint64_t frames)
{
    struct domain *d = &e_dom[i].d;

    memset(&e_dom[i], 0, sizeof(e_dom[i]));
    d->id = (uint16_t)i;
    d->privileged = d->hardware = i == 0;
    d->max_pages = frames;
    d->shared = &e_shared;
    spin_init(&d->page_lock, "pages", RANK_PAGE_LIST);
    if (i >= E_DOMS)
        return d;
    d->max_vcpus = E_VCPUS;
    d->vcpu = e_vcpus[i];
    for (unsigned k = 0; k < E_VCPUS; k++) {
        struct x86_vcpu *xv = &e_vcpu[i][k];

        memset(xv, 0, sizeof(*xv));
        xv->v.domain = d;
        xv->v.id = (uint16_t)k;
        xv->root = xv->root_user = INVALID_MFN;
        xv->kernel_mode = 1;
        e_vcpus[i][k] = &xv->v;
    }
    return d;
}

static void env_setup(void)
{
    static bool heap_done; /* the heap is static: it gets its frames once */

    host_reset();
    if (!heap_done) {
        host_ram_init(E_FRAMES);
        frame_max = 0;
        frames_add(mfn(1), mfn(E_HOLE));
        frames_add(mfn(E_HOLE + 8), mfn(E_FRAMES));
        heap_done = true;
    }
    cpu_features.nx = true;
    cpu_features.phys_bits = 40;
    dom_io = env_domain(E_DOMS, 0);
    dom_xen = env_domain(E_DOMS + 1, 0);
    for (unsigned i = 0; i < E_DOMS; i++) {
        struct domain *d = env_domain(i, 64);

        for (unsigned k = 0; k < 64; k++) {
            struct page *pg = domain_pages_alloc(d, 0, 0, 64);

            E_CHECK(pg);
            e_frames[i][k] = mfn_of(pg).n;
        }
    }
    e_preempt_every = 0;
    memset(e_cached, 0, sizeof(e_cached));
    env_check();
}

static void env_finish(void)
{
    e_preempt_every = 3;
    for (unsigned i = 0; i < E_DOMS; i++) {
        struct domain *d = &e_dom[i].d;

        d->dying = true;
        for (unsigned k = 0; k < E_VCPUS; k++) {
            struct x86_vcpu *xv = &e_vcpu[i][k];
            mfn_t *root[] = {&xv->root, &xv->root_user};

            for (unsigned r = 0; r < 2; r++) {
                if (!mfn_eq(*root[r], INVALID_MFN))
                    (void)pgt_put_page(page_of(*root[r]), true);
                *root[r] = INVALID_MFN;
            }
            pv_gdt_drop(xv);
            pv_ldt_drop(xv);
            xv->drain = NULL;
        }
    }
    for (unsigned i = 0; i < E_DOMS; i++) {
        uint64_t cursor = 0;

        for (unsigned n = 0; pgt_domain_sweep(&e_dom[i].d, &cursor); n++)
            E_CHECK(n < 1000000);
    }
    for (unsigned i = 0; i < E_DOMS; i++) {
        E_CHECK(!e_dom[i].d.tot_pages && !e_dom[i].d.loose_pages && !e_dom[i].d.owned_pages);
    }
    E_CHECK(frames_free_count() == frames_total());
    E_CHECK(!frames_check());
}

/* --- what guests do ------------------------------------------------------------------------------------------- */

/* Frames by role, so that trees come about: 0 L4, 1 L3, 2 L2, 3 L1, 4.. data. */
static uint64_t pick(unsigned d, unsigned role)
{
    unsigned r = env_rand(16);
    unsigned k = role < 4 && r ? role * 4 + env_rand(4) : env_rand(64);

    if (r == 1)
        return env_rand(E_FRAMES + 4); /* anybody's */
    if (role >= 4 && r > 1)
        k = 16 + env_rand(48);
    return READ_ONCE(e_frames[d][k]);
}

static unsigned pick_index(void)
{
    static const uint16_t at[] = {0, 1, 2, 3, 255, 256, 263, 271, 272, 300, 510, 511};

    return at[env_rand(ARRAY_SIZE(at))];
}

static uint64_t make_entry(unsigned d, unsigned level)
{
    unsigned r = env_rand(32);
    uint64_t e = PTE_P | (r & 1 ? PTE_RW : 0) | (r & 2 ? PTE_A : 0), m;

    if (r == 4)
        return env_rand(2) ? 0 : 0x123456ff0ULL << 12; /* not present */
    m = level ? pick(d, 4 - level) : pick(d, 4); /* level 1: a data frame */
    if (level == 1)
        m = env_rand(4) ? pick(d, 4) : pick(d, env_rand(4));
    else
        m = pick(d, 5 - level);
    if (r == 5)
        e |= 1ULL << env_rand(64);
    if (r == 6)
        m = E_HOLE + env_rand(8);
    if (r == 7 && d == 0)
        m = pick(1 + env_rand(2), 4);
    return e | m << FRAME_SHIFT;
}

static long call(struct vcpu *v, unsigned nr, const uint64_t *a)
{
    switch (nr) {
    case __HYPERVISOR_mmu_update:
        return do_mmu_update(v, a[0], a[1], a[2], a[3], a[4]);
    case __HYPERVISOR_mmuext_op:
        return do_mmuext_op(v, a[0], a[1], a[2], a[3], a[4]);
    case __HYPERVISOR_memory_op:
        return do_memory_op(v, a[0], a[1], a[2], a[3], a[4]);
    default:
        E_CHECK(false);
    }
}

static bool e_patient;       /* the guest always comes back */
static bool env_smp;         /* no checks in between */
static bool env_interleave;  /* other vCPUs do things between continuations */
static void env_step(unsigned di, unsigned vi, bool nested);

static unsigned e_calls[E_DOMS][E_VCPUS]; /* how often a vCPU has been in the hypervisor */

/* Until it is done; now and then the guest does not come back. */
static long run(unsigned di, unsigned vi, bool nested, unsigned nr, uint64_t a1, uint64_t a2, uint64_t a3,
                uint64_t a4)
{
    uint64_t a[5] = {a1, a2, a3, a4, 0};
    bool quits = !e_patient && env_rand(8) == 0;

    for (unsigned n = 0;; n++) {
        long rc;

        e_again.set = false;
        __atomic_fetch_add(&e_calls[di][vi], 1, __ATOMIC_RELAXED);
        rc = call(e_vcpus[di][vi], nr, a);
        if (!env_smp && !nested && n % 16 == 0)
            env_check();
        if (!e_again.set)
            return rc;
        if (env_smp)
            host_softirqs_run();
        if (env_smp && n % 1024 == 1023) /* who holds what we wait for may not have a processor: let it run */
            usleep(1000);
        if (n > (env_smp ? 20000000 : 200000)) {
            fprintf(stderr, "pgt: call %u of d%u goes on for ever\n", nr, di);
            abort();
        }
        nr = e_again.nr;
        memcpy(a, e_again.a, sizeof(a));
        if (quits && env_rand(8) == 0)
            return E_AGAIN;
        if (env_interleave && !nested && n < 200 && env_rand(8) == 0)
            env_step(env_rand(E_DOMS), env_rand(E_VCPUS), true);
    }
}

static void step_update(unsigned di, unsigned vi, bool nested)
{
    struct mmu_update u[4];
    unsigned n = 1 + env_rand(4), level = 1 + env_rand(4);
    uint64_t table = pick(di, 4 - level), dom = DOMID_SELF;

    for (unsigned i = 0; i < n; i++) {
        if (env_rand(4) == 0) {
            level = 1 + env_rand(4);
            table = pick(di, 4 - level);
        }
        u[i].ptr = table << FRAME_SHIFT | pick_index() * 8 | (env_rand(16) ? 0 : env_rand(4));
        u[i].val = make_entry(di, level);
    }
    if (env_rand(16) == 0)
        dom = env_rand(2) ? DOMID_IO : env_rand(E_DOMS);
    else if (di == 0 && env_rand(8) == 0)
        dom = 1 + env_rand(2);
    run(di, vi, nested, __HYPERVISOR_mmu_update, (uintptr_t)u, n, 0, dom);
}

static void step_ext(unsigned di, unsigned vi, bool nested)
{
    static const uint8_t cmds[] = {MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE,
                                   MMUEXT_PIN_L4_TABLE, MMUEXT_PIN_L4_TABLE, MMUEXT_PIN_L4_TABLE,
                                   MMUEXT_UNPIN_TABLE,  MMUEXT_UNPIN_TABLE,  MMUEXT_UNPIN_TABLE,
                                   MMUEXT_NEW_BASEPTR,  MMUEXT_NEW_USER_BASEPTR, MMUEXT_CLEAR_PAGE,
                                   MMUEXT_COPY_PAGE,    MMUEXT_TLB_FLUSH_LOCAL,  MMUEXT_SET_LDT};
    struct mmuext_op op[2];
    unsigned n = 1 + env_rand(2);

    memset(op, 0, sizeof(op));
    for (unsigned i = 0; i < n; i++) {
        unsigned cmd = cmds[env_rand(sizeof(cmds))], role = env_rand(4);

        if (cmd <= MMUEXT_PIN_L4_TABLE)
            role = 3 - cmd;
        if (cmd == MMUEXT_NEW_BASEPTR || cmd == MMUEXT_NEW_USER_BASEPTR)
            role = 0;
        op[i].cmd = cmd;
        op[i].arg1.mfn = cmd == MMUEXT_NEW_USER_BASEPTR && env_rand(3) == 0 ? 0 : pick(di, role);
        op[i].arg2.src_mfn = pick(di, 4);
        if (cmd == MMUEXT_SET_LDT) {
            e_ldt_frame = pick(di, 4);
            op[i].arg1.linear_addr = 0;
            op[i].arg2.nr_ents = env_rand(600);
        }
    }
    run(di, vi, nested, __HYPERVISOR_mmuext_op, (uintptr_t)op, n, 0, DOMID_SELF);
}

static void step_memory(unsigned di, unsigned vi, bool nested)
{
    unsigned k = env_rand(4) ? 16 + env_rand(48) : env_rand(64);
    xen_pfn_t f = READ_ONCE(e_frames[di][k]), got = k;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    r.extent_start.p = &f;
    if (env_rand(3) == 0) {
        struct xen_memory_exchange x = {.in = r, .out = r};

        x.out.extent_start.p = &got;
        if (!run(di, vi, nested, __HYPERVISOR_memory_op, XENMEM_exchange, (uintptr_t)&x, 0, 0))
            WRITE_ONCE(e_frames[di][k], got);
        return;
    }
    if (run(di, vi, nested, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, (uintptr_t)&r, 0, 0) == 1 ||
        env_rand(2)) {
        r.extent_start.p = &got;
        if (run(di, vi, nested, __HYPERVISOR_memory_op, XENMEM_populate_physmap, (uintptr_t)&r, 0, 0) == 1)
            WRITE_ONCE(e_frames[di][k], got);
    }
}

static void step_segments(unsigned di, unsigned vi)
{
    uint64_t list[2] = {pick(di, 4), pick(di, 4)};

    if (env_rand(2))
        do_set_gdt(e_vcpus[di][vi], (uintptr_t)list, env_rand(2) ? env_rand(1025) : 0, 0, 0, 0);
    else
        do_update_descriptor(e_vcpus[di][vi], list[0] << FRAME_SHIFT | pick_index() * 8,
                             env_rand(2) ? 0x00cffa000000ffffULL : (uint64_t)env_rand(~0u) << 32, 0, 0, 0);
}

static void step_emulated(unsigned di, unsigned vi)
{
    unsigned level = 1 + env_rand(4);
    struct page *pg = get_page_of_mfn(mfn(pick(di, 4 - level)), &e_dom[di].d);
    uint64_t old;

    if (!pg)
        return;
    (void)pgt_emulated_write(e_vcpus[di][vi], pg, pick_index(), 0, make_entry(di, level), env_rand(4) == 0,
                             &old);
    put_page(pg);
}

/* A neighbour's contents, read or written by a control call; tests that do not have it do without. It reads what others are writing, which
 * is meant to be so and would drown what the thread sanitizer has to say. */
#ifdef __SANITIZE_THREAD__
#define CONTENTS_STEPS false
#else
#define CONTENTS_STEPS true
#endif
extern __typeof__(domctl_read_frames) domctl_read_frames __attribute__((weak));
extern __typeof__(domctl_write_frames) domctl_write_frames __attribute__((weak));
static void step_contents(unsigned di, unsigned vi)
{
    static __thread uint64_t data[4][FRAME_SIZE / 8];
    unsigned of = (di + 1) % E_DOMS;
    uint64_t list[4];
    struct zendo_domctl_frames a = {.num = 1 + env_rand(4), .list = (uintptr_t)list, .data = (uintptr_t)data};
    __typeof__(&domctl_read_frames) how = env_rand(2) ? domctl_write_frames : domctl_read_frames;
    struct xen_domctl op = {0};
    long rc = -XEN_ERESTART;

    for (unsigned i = 0; i < 4; i++) {
        list[i] = pick(of, env_rand(5));
        data[i][env_rand(512)] = make_entry(of, 1 + env_rand(4));
    }
    memcpy(&op.u, &a, sizeof(a));
    for (unsigned n = 0; how && n < 8 && rc == -XEN_ERESTART; n++)
        rc = how(e_vcpus[di][vi], &e_dom[of].d, &op);
    E_CHECK(!how || rc == 0 || rc == -XEN_EINVAL || rc == -XEN_ERESTART);
}

static void env_step(unsigned di, unsigned vi, bool nested)
{
    static const uint8_t every[] = {0, 0, 0, 0, 1, 2, 7, 50};

    if (!nested)
        e_preempt_every = every[env_rand(8)];
    switch (env_rand(16)) {
    default:
        step_update(di, vi, nested);
        break;
    case 8 ... 11:
        step_ext(di, vi, nested);
        break;
    case 12:
        step_emulated(di, vi);
        break;
    case 13:
        step_memory(di, vi, nested);
        break;
    case 14:
        step_segments(di, vi);
        break;
    case 15:
        if (env_rand(2) && CONTENTS_STEPS)
            step_contents(di, vi);
        else
            e_cpu_flush(env_rand(E_CPUS));
    }
    if (!nested && !env_smp)
        env_check();
}
