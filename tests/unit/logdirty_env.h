/* SPDX-License-Identifier: MIT */
/*
 * A guest that is logged, for t_logdirty.c and f_logdirty.c: domain 1 of pgt_env.h with a processor that walks whatever
 * its cr3 names, with translation caches; other domains that map its frames; and somebody who keeps a copy of its memory by
 * what the bitmaps say. Page by page, contents and type: after a CLEAN in which nobody else had a turn the copy must be equal.
 */
#pragma once

#include "pgt_env.h"

#include <pthread.h>

#include "../../hypervisor/pv/mirror.h"
#include "domctl.h"
#include "lib.h"
#include "x86/context.h"

#define L_PAGES 64 /* of domain 1: e_frames[1][pfn] */
#define L_CACHE 32
#define L_FOREIGN_CPU (E_CPUS - 1)

static struct domain *l_d;
static struct {
    bool valid;
    uint64_t type;
    uint8_t bytes[FRAME_SIZE];
} l_copy[L_PAGES];
static uint64_t l_bitmap[4];
static struct {
    const char *by;
    unsigned round;
} l_last[E_FRAMES]; /* who wrote to a frame last: for the message */
static unsigned l_accesses, l_writes, l_faults, l_guest_faults, l_rounds, l_dirty, l_foreign, l_stale;
static struct {
    uint64_t cr3, va;
    uint64_t frame;
    bool write;
} l_cache[E_CPUS][L_CACHE];
static struct { /* how far a walk came, as processors remember it: the last-level table */
    uint64_t cr3, va, table, key;
    bool may;
} l_steps[E_CPUS][L_CACHE];
/* An access is one with the look into the caches before it: a flush by another CPU waits for it. */
static pthread_mutex_t l_cpu_lock[E_CPUS];
static struct { /* what a vCPU's processor has loaded */
    bool on;
    unsigned calls;
    uint64_t cr3[2];
} l_loaded[E_VCPUS];
static uint64_t l_foreign_cache[16];
static struct mirror *l_hidden; /* mirrors taken away to have few */
static uint32_t l_hidden_n;

/* --- the machine --------------------------------------------------------------------------------------- */

void vcpu_state_sync(struct vcpu *v)
{
    l_loaded[v->id].on = false;
    e_cpu_flush(v->id);
}
void pv_iret_slow_update(struct x86_vcpu *xv)
{
}
bool pv_kernel_address(uint64_t va)
{
    return (int64_t)va >> 47 == 0 || (int64_t)va >> 47 == -1;
}
/* Vcpus in the hypervisor finish what they do there, and do not come back. */
static uint32_t l_paused, l_inside;
void domain_pause(struct domain *d)
{
    __atomic_fetch_add(&l_paused, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&l_inside, __ATOMIC_SEQ_CST))
        cpu_relax();
}
void domain_unpause(struct domain *d)
{
    __atomic_fetch_sub(&l_paused, 1, __ATOMIC_SEQ_CST);
}
static void l_on_flush(unsigned cpu)
{
    pthread_mutex_lock(&l_cpu_lock[cpu]);
    memset(l_cache[cpu], 0, sizeof(l_cache[cpu]));
    memset(l_steps[cpu], 0, sizeof(l_steps[cpu]));
    if (cpu == L_FOREIGN_CPU)
        memset(l_foreign_cache, 0, sizeof(l_foreign_cache));
    pthread_mutex_unlock(&l_cpu_lock[cpu]);
}

static void (*l_also_on_stamp)(void);

/* The last writable use of a frame is ending: no mirror may map it writable any more. */
static void l_on_use_end(void)
{
    if (l_also_on_stamp)
        l_also_on_stamp();
    const struct mirrors *ms = l_d->logdirty && !env_smp ? l_d->logdirty->mirrors : NULL;

    for (uint32_t i = 0; ms && i < ms->n; i++) {
        const uint64_t *t = map_frame(ms->m[i].frame);

        for (uint64_t left = ms->m[i].rw; left; left &= left - 1)
            for (unsigned k = bit_first(left) * 8, end = k + 8; k < end; k++)
                E_CHECK(!(t[k] & PTE_RW) || (page_of(mfn_of_paddr(t[k] & PTE_ADDR_MASK))->type & PGT_COUNT_MASK));
    }
}

/* --- the processor ---------------------------------------------------------------------------------------- */

static uint64_t *l_entry(uint64_t table, uint64_t va, unsigned level)
{
    uint64_t *t = map_frame(mfn(table));

    return &t[(va >> (FRAME_SHIFT + 9 * (level - 1))) & 511];
}

/* Whose mirror a frame is: its key, 0 if nobody's. */
static uint64_t l_key_of(uint64_t frame)
{
    const struct mirrors *ms = l_d->logdirty->mirrors;

    for (uint32_t i = 0; i < ms->n; i++)
        if (ms->m[i].frame.n == frame)
            return ms->m[i].key;
    return 0;
}

/* Goes on from where an earlier walk came through: that may be a mirror that is free by now, but never another. */
static uint64_t l_step_cached(unsigned cpu, uint64_t cr3, uint64_t va, bool *may)
{
    for (unsigned i = 0; i < L_CACHE; i++) {
        uint64_t key;

        if (l_steps[cpu][i].cr3 != cr3 || l_steps[cpu][i].va != va >> 21)
            continue;
        key = l_key_of(l_steps[cpu][i].table);
        E_CHECK(!key || key == l_steps[cpu][i].key);
        *may = l_steps[cpu][i].may;
        return l_steps[cpu][i].table;
    }
    return 0;
}

/* Walk what cr3 names, set accessed and dirty bits, remember. 0: done; else the error code of a page fault. */
static uint32_t l_walk(unsigned cpu, uint64_t cr3, uint64_t va, bool write, uint64_t *frame)
{
    bool logged = l_d->logdirty, may = true;
    uint64_t table = logged ? l_step_cached(cpu, cr3, va, &may) : 0, *path[5];
    unsigned first = table ? 1 : 4;
    uint64_t e;

    if (!table)
        table = cr3 >> FRAME_SHIFT;
    for (unsigned level = first; level >= 1; level--) {
        /* what it walks is a mirror when it is logged, and one of its page tables else */
        E_CHECK(logged ? !frame_table[table].owner
                       : env_smp || (frame_table[table].owner == l_d && (frame_table[table].type & PGT_VALID)));
        path[level] = l_entry(table, va, level);
        e = READ_ONCE(*path[level]);
        if (!(e & PTE_P))
            return write ? 2 : 0;
        may &= !!(e & PTE_RW);
        table = mfn_of_paddr(e & PTE_ADDR_MASK).n;
        if (level == 2 && logged)
            l_steps[cpu][env_rand(L_CACHE)] = (typeof(l_steps[0][0])){cr3, va >> 21, table, l_key_of(table), may};
    }
    if (write && !may)
        return 3;
    for (unsigned level = first; level >= 1; level--) {
        uint64_t bits = level == 1 && write ? PTE_A | PTE_D : PTE_A;

        if (!logged)
            __atomic_fetch_or(path[level], bits, __ATOMIC_SEQ_CST);
        else if (!env_smp) /* else it may have been emptied meanwhile */
            E_CHECK((*path[level] & bits) == bits);
    }
    /* What a mirror maps is held by the guest's entry, from before it is there until after it has gone. */
    E_CHECK(!logged || frame_table[table].owner || READ_ONCE(*path[1]) != e);
    *frame = table;
    l_cache[cpu][env_rand(L_CACHE)] = (typeof(l_cache[0][0])){cr3, va & FRAME_MASK, table, write};
    return 0;
}

static bool l_cached(unsigned cpu, uint64_t cr3, uint64_t va, bool write, uint64_t *frame)
{
    for (unsigned i = 0; i < L_CACHE; i++)
        if (l_cache[cpu][i].va == (va & FRAME_MASK) && l_cache[cpu][i].cr3 == cr3 &&
            l_cache[cpu][i].write >= write) {
            *frame = l_cache[cpu][i].frame;
            return true;
        }
    return false;
}

static void l_scribble(uint64_t frame, const char *by)
{
    uint64_t *p = map_frame(mfn(frame));

    p[env_rand(512)] = (uint64_t)env_rand(~0u) << 32 | l_accesses;
    l_last[frame].by = by;
    l_last[frame].round = l_rounds;
}

/* Would the guest's own tables allow it? */
static bool l_guest_allows(const struct x86_vcpu *xv, uint64_t va, bool write)
{
    uint64_t table = (xv->kernel_mode ? xv->root : xv->root_user).n;
    bool may = true;

    for (unsigned level = 4; level >= 1; level--) {
        uint64_t e = *l_entry(table, va, level);

        if (!(e & PTE_P))
            return false;
        may &= !!(e & PTE_RW);
        table = mfn_of_paddr(e & PTE_ADDR_MASK).n;
        if (level > 1 && frame_table[table].owner != l_d)
            return false;
    }
    return may || !write;
}

/* Its processor has what was current when it was loaded, or when it was last in the hypervisor. */
static uint64_t l_cr3(unsigned vi)
{
    const struct x86_vcpu *xv = &e_vcpu[1][vi];

    if (!l_loaded[vi].on || l_loaded[vi].calls != e_calls[1][vi])
        l_loaded[vi] = (typeof(l_loaded[0])){true, e_calls[1][vi], {xv->cr3_kernel, xv->cr3_user}};
    return l_loaded[vi].cr3[!xv->kernel_mode];
}

/* Does the instruction, if nothing is in the way: true; else the error code of the page fault. */
static bool l_try(unsigned vi, uint64_t cr3, uint64_t va, bool write, uint32_t *error)
{
    uint64_t frame = 0;

    pthread_mutex_lock(&l_cpu_lock[vi]);
    if (!l_cached(vi, cr3, va, write, &frame))
        *error = l_walk(vi, cr3, va, write, &frame);
    if (frame && write) {
        /* never a table, never what is not ours (but what others granted) */
        E_CHECK(env_smp ||
                (frame_table[frame].owner && (frame_table[frame].type & PGT_TYPE_MASK) == PGT_WRITABLE));
        l_scribble(frame, "the guest");
    }
    pthread_mutex_unlock(&l_cpu_lock[vi]);
    return frame;
}

static void l_access(unsigned vi, uint64_t va, bool write)
{
    struct x86_vcpu *xv = &e_vcpu[1][vi];
    uint32_t error = 0;

    if (mfn_eq(xv->root, INVALID_MFN))
        return;
    xv->kernel_mode = mfn_eq(xv->root_user, INVALID_MFN) || env_rand(2);
    l_accesses++;
    for (unsigned n = 0; !l_try(vi, l_cr3(vi), va, write, &error); n++) {
        bool fixed;

        E_CHECK(n < (env_smp ? 1000 : 4));
        e_here = vi + 1;
        fixed = l_d->logdirty && mirror_fault(xv, va, error);
        e_here = 0;
        E_CHECK(env_smp || !l_d->logdirty || fixed == l_guest_allows(xv, va, write));
        if (!fixed) {
            l_guest_faults++;
            xv->kernel_mode = 1;
            return;
        }
        l_faults++;
    }
    xv->kernel_mode = 1;
    l_writes += write;
}

/* --- the guest's memory ------------------------------------------------------------------------------------- */

/* Addresses through few slots, so that they are often there. */
static uint64_t l_va(void)
{
    uint64_t va = 0;

    for (unsigned level = 4; level >= 2; level--)
        va |= (uint64_t)env_rand(3 + (level == 4)) << (FRAME_SHIFT + 9 * (level - 1));
    return va | (uint64_t)env_rand(24) << FRAME_SHIFT | 8;
}

static uint64_t l_frame_of(unsigned role)
{
    return e_frames[1][role < 4 ? role * 4 + env_rand(4) : 16 + env_rand(48)];
}

static uint64_t l_entry_for(unsigned level, uint64_t table)
{
    uint64_t e = PTE_P | PTE_US | (env_rand(4) ? PTE_RW : 0) | (env_rand(3) ? 0 : PTE_A) | (env_rand(4) ? 0 : PTE_D);

    if (env_rand(8) == 0)
        return 0;
    if (level > 1 && env_rand(16) == 0) /* itself */
        return table << FRAME_SHIFT | PTE_P | PTE_US;
    if (level == 1 && env_rand(8) == 0) /* a table, to read */
        return l_frame_of(env_rand(4)) << FRAME_SHIFT | PTE_P | PTE_US;
    return l_frame_of(5 - level) << FRAME_SHIFT | e;
}

/* An entry of a table by one of the ways there are. */
static void l_update(unsigned vi, bool nested)
{
    unsigned level = env_rand(3) ? 1 : 1 + env_rand(4);
    uint64_t table = l_frame_of(4 - level), old;
    unsigned index = level == 1 ? env_rand(24) : env_rand(3 + (level == 4));
    struct mmu_update u = {.ptr = table << FRAME_SHIFT | index * 8 | (env_rand(2) ? 0 : MMU_PT_UPDATE_PRESERVE_AD),
                           .val = l_entry_for(level, table)};
    struct page *pg;

    if (env_rand(3)) {
        run(1, vi, nested, __HYPERVISOR_mmu_update, (uintptr_t)&u, 1, 0, DOMID_SELF);
        return;
    }
    pg = get_page_of_mfn(mfn(table), l_d);
    if (!pg)
        return;
    (void)pgt_emulated_write(e_vcpus[1][vi], pg, index, 0, u.val, false, &old);
    put_page(pg);
}

static void l_ext(unsigned vi, bool nested, unsigned cmd, uint64_t m)
{
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = m};

    run(1, vi, nested, __HYPERVISOR_mmuext_op, (uintptr_t)&op, 1, 0, DOMID_SELF);
}

static void l_roots(unsigned vi, bool nested)
{
    static const uint8_t cmds[] = {MMUEXT_NEW_BASEPTR, MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR, MMUEXT_PIN_L4_TABLE,
                                   MMUEXT_PIN_L4_TABLE, MMUEXT_UNPIN_TABLE};

    l_ext(vi, nested, cmds[env_rand(sizeof(cmds))], l_frame_of(0));
}

/* The guest keeps its idea of numbers in order. */
static void l_m2p(unsigned vi, bool nested)
{
    unsigned k = env_rand(L_PAGES);
    struct mmu_update u = {.ptr = e_frames[1][k] << FRAME_SHIFT | MMU_MACHPHYS_UPDATE, .val = k};

    run(1, vi, nested, __HYPERVISOR_mmu_update, (uintptr_t)&u, 1, 0, DOMID_SELF);
}

/* Two numbers change places, as when a balloon or an exchange has been at work. */
static void l_m2p_swap(unsigned vi, bool nested)
{
    unsigned a = 16 + env_rand(48), b = 16 + env_rand(48);
    uint64_t f = e_frames[1][a];
    struct mmu_update u[2];

    e_frames[1][a] = e_frames[1][b];
    e_frames[1][b] = f;
    u[0] = (struct mmu_update){.ptr = e_frames[1][a] << FRAME_SHIFT | MMU_MACHPHYS_UPDATE, .val = a};
    u[1] = (struct mmu_update){.ptr = e_frames[1][b] << FRAME_SHIFT | MMU_MACHPHYS_UPDATE, .val = b};
    run(1, vi, nested, __HYPERVISOR_mmu_update, (uintptr_t)u, 2, 0, DOMID_SELF);
}

/* --- other domains -------------------------------------------------------------------------------------------- */

/* Domain 0 maps a frame of the guest in one of its tables, or takes such a mapping away. */
static void l_foreign_map(bool nested)
{
    struct mmu_update u = {.ptr = e_frames[0][12 + env_rand(4)] << FRAME_SHIFT | env_rand(24) * 8,
                           .val = env_rand(3) ? l_frame_of(4) << FRAME_SHIFT | PTE_P | PTE_RW | PTE_US : 0};

    run(0, 0, nested, __HYPERVISOR_mmu_update, (uintptr_t)&u, 1, 0, u.val ? 1 : DOMID_SELF);
}

/* ... and writes through it, also through one that is still cached. */
static void l_foreign_write(void)
{
    uint64_t m = e_frames[0][12 + env_rand(4)], f, e;
    const struct page *pt = &frame_table[m];

    pthread_mutex_lock(&l_cpu_lock[L_FOREIGN_CPU]);
    f = env_rand(3) ? 0 : l_foreign_cache[env_rand(16)];
    if (f) {
        l_stale++;
        l_scribble(f, "an old translation");
        goto out;
    }
    if (pt->owner != &e_dom[0].d || PGT_LEVEL(pt->type) != 1 || !(pt->type & PGT_VALID))
        goto out;
    e = READ_ONCE(*l_entry(m, (uint64_t)env_rand(24) << FRAME_SHIFT, 1));
    f = mfn_of_paddr(e & PTE_ADDR_MASK).n;
    if ((e & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW) || f >= E_FRAMES || frame_table[f].owner != l_d)
        goto out;
    l_foreign_cache[env_rand(16)] = f;
    l_foreign++;
    l_scribble(f, "another domain");
out:
    pthread_mutex_unlock(&l_cpu_lock[L_FOREIGN_CPU]);
}

/* A grant copy, as far as the frame is concerned. */
static void l_copy_to(void)
{
    struct page *pg = page_of(mfn(l_frame_of(4)));

    if (pgt_get_page(pg, l_d, PGT_WRITABLE, false))
        return;
    l_scribble(mfn_of(pg).n, "a copy");
    page_dirtied(pg);
    pgt_put_page(pg, false);
}

/* --- everybody -------------------------------------------------------------------------------------------------- */

static void l_check(void)
{
    if (l_d->logdirty && logdirty_check(l_d)) {
        fprintf(stderr, "log-dirty: %s", host_last_log);
        abort();
    }
}

static void l_step(bool nested)
{
    unsigned vi = env_rand(E_VCPUS);

    switch (env_rand(32)) {
    default:
        l_access(vi, l_va(), env_rand(2));
        break;
    case 18 ... 23:
        l_update(vi, nested);
        break;
    case 24:
        l_roots(vi, nested);
        break;
    case 25:
        env_step(env_rand(E_DOMS), env_rand(E_VCPUS), nested);
        break;
    case 26:
        l_foreign_map(nested);
        break;
    case 27:
    case 28:
        l_foreign_write();
        break;
    case 29:
        l_copy_to();
        break;
    case 30:
        l_m2p(vi, nested);
        break;
    case 31:
        if (env_rand(4) == 0)
            l_m2p_swap(vi, nested);
        e_cpu_flush(env_rand(E_CPUS));
    }
    l_check();
}

/* --- who keeps the copy ------------------------------------------------------------------------------------------- */

static bool l_valid(unsigned pfn)
{
    uint64_t m = e_frames[1][pfn];

    return m < E_FRAMES && frame_table[m].owner == l_d && (frame_table[m].count & PGC_ALLOC) && m2p_get(mfn(m)) == pfn;
}

static uint64_t l_type(unsigned pfn)
{
    uint64_t x = frame_table[e_frames[1][pfn]].type;

    return (x & PGT_COUNT_MASK) && PGT_LEVEL(x) - 1 < 4 ? x & (PGT_TYPE_MASK | PGT_PINNED) : 0;
}

static void l_send(unsigned pfn)
{
    l_copy[pfn].valid = l_valid(pfn);
    if (!l_copy[pfn].valid)
        return;
    l_copy[pfn].type = l_type(pfn);
    memcpy(l_copy[pfn].bytes, map_frame(mfn(e_frames[1][pfn])), FRAME_SIZE);
}

static void l_compare(void)
{
    for (unsigned k = 0; k < L_PAGES; k++) {
        if (!l_valid(k))
            continue;
        if (!l_copy[k].valid || l_copy[k].type != l_type(k) ||
            memcmp(l_copy[k].bytes, map_frame(mfn(e_frames[1][k])), FRAME_SIZE)) {
            fprintf(stderr, "log-dirty: page %u (frame %#lx, type %#lx, writers %u) is not the copy's (%s, type %#lx); last written by "
                    "%s in round %u of %u\n", k,
                    (unsigned long)e_frames[1][k], (unsigned long)frame_table[e_frames[1][k]].type,
                    frame_table[e_frames[1][k]].writers, l_copy[k].valid ? "contents" : "was not there",
                    (unsigned long)l_copy[k].type, l_last[e_frames[1][k]].by, l_last[e_frames[1][k]].round, l_rounds);
            abort();
        }
    }
}

/* Until it is done; others have their turns in between if `among`. */
static long l_domctl(struct xen_domctl *op, bool among)
{
    for (unsigned n = 0;; n++) {
        long rc;

        e_preempt_every = env_rand(3);
        rc = domctl_shadow_op(e_vcpus[0][0], l_d, op);
        e_preempt_every = 0;
        E_CHECK(env_smp || n < 100000);
        if (rc != -XEN_ERESTART)
            return rc;
        if (env_smp) {
            host_softirqs_run();
            cpu_relax();
            continue;
        }
        for (unsigned k = among ? env_rand(6) : 0; k-- > 0;)
            l_step(true);
        for (host_cpu = 0; host_cpu < host_cpus; host_cpu++)
            host_softirqs_run();
        host_cpu = 0;
    }
}

static long l_op(uint32_t what, bool among)
{
    struct xen_domctl op = {.u.shadow_op = {.op = what, .pages = L_PAGES}};

    op.u.shadow_op.dirty_bitmap.p = (uint8_t *)l_bitmap;
    return l_domctl(&op, among);
}

static void l_round(bool among)
{
    E_CHECK(l_op(XEN_DOMCTL_SHADOW_OP_CLEAN, among) == 0);
    l_rounds++;
    for (unsigned k = 0; k < L_PAGES; k++)
        if (l_bitmap[0] & BIT(k)) {
            l_dirty++;
            l_send(k);
        }
    if (!among)
        l_compare();
}

/* Few mirrors, so that they run out all the time. */
static void l_few_mirrors(void)
{
    struct mirrors *ms = l_d->logdirty->mirrors;
    uint32_t keep = 16;

    E_CHECK(ms->n - ms->nr_free < 8 && ms->n > keep);
    l_hidden = &ms->m[keep];
    l_hidden_n = ms->n - keep;
    for (struct mirror *m = ms->free_first; m; m = m->next)
        if (m == &ms->m[keep - 1]) {
            m->next = NULL;
            ms->free_last = m;
            break;
        }
    ms->nr_free -= l_hidden_n;
    ms->n = keep;
}

static void l_on(bool few)
{
    E_CHECK(l_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, true) == 0);
    if (few && l_d->logdirty->mirrors->n - l_d->logdirty->mirrors->nr_free < 8)
        l_few_mirrors();
    for (unsigned k = 0; k < L_PAGES; k++)
        l_send(k);
    if (!env_smp)
        l_check();
}

static void l_off(bool among)
{
    for (uint32_t i = 0; i < l_hidden_n; i++)
        frames_free(l_hidden[i].frame, 0);
    l_hidden_n = 0;
    E_CHECK(l_op(XEN_DOMCTL_SHADOW_OP_OFF, among) == 0);
    E_CHECK(!l_d->logdirty && !l_d->logdirty_ctl);
}

static void l_start_bare(void)
{
    e_on_flush = NULL;
    e_on_use_end = NULL;
    env_setup();
    host_cpus = E_CPUS;
    quiesce_init();
    memset(l_cache, 0, sizeof(l_cache));
    memset(l_foreign_cache, 0, sizeof(l_foreign_cache));
    memset(l_steps, 0, sizeof(l_steps));
    memset(l_loaded, 0, sizeof(l_loaded));
    for (unsigned i = 0; i < E_CPUS; i++)
        pthread_mutex_init(&l_cpu_lock[i], NULL);
    e_on_flush = l_on_flush;
    e_on_use_end = l_on_use_end;
    l_d = &e_dom[1].d;
    e_patient = true;
    for (unsigned k = 0; k < L_PAGES; k++)
        m2p_set(mfn(e_frames[1][k]), k);
}

/* ... with some tables. */
static void l_start(void)
{
    l_start_bare();
    for (unsigned k = 0; k < 400; k++)
        l_update(env_rand(E_VCPUS), false);
    for (unsigned k = 0; k < 4; k++) { /* tables of domain 0 for mappings of others */
        struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = e_frames[0][12 + k]};

        run(0, 0, true, __HYPERVISOR_mmuext_op, (uintptr_t)&op, 1, 0, DOMID_SELF);
    }
    for (unsigned k = 0; k < 2 * E_VCPUS; k++)
        l_ext(k / 2, false, k % 2 ? MMUEXT_NEW_USER_BASEPTR : MMUEXT_NEW_BASEPTR, l_frame_of(0));
}

static void l_finish(void)
{
    if (l_d->logdirty_ctl)
        l_off(false);
    env_finish();
}
