/* SPDX-License-Identifier: MIT */
/*
 * port.h, log.h's output and the small allocator for the PC, for unit tests and fuzzers. Everything
 * is weak, so that a test can put its own in its place and frames.c, slab.c and console.c take over
 * when a test links them. Not thread-safe except for cpu_self(), which is per thread.
 */
#include "port_host.h"

#include "logdirty.h"

struct x86_vcpu;

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WEAK __attribute__((weak))

int sched_yield(void); /* <sched.h> would be the hypervisor's */

/* --- Frames --- */

WEAK struct page *frame_table;
WEAK uint64_t frame_max;
static uint8_t *ram;
static uint64_t ram_frames;
static uint64_t *m2p;

WEAK bool mfn_valid(mfn_t m)
{
    return m.n < frame_max;
}

void host_ram_free(void)
{
    if (ram)
        munmap(ram, ram_frames << FRAME_SHIFT);
    free(frame_table);
    free(m2p);
    ram = NULL;
    frame_table = NULL;
    m2p = NULL;
    frame_max = ram_frames = 0;
}

void host_ram_init(uint64_t frames)
{
    host_ram_free();
    ram_frames = frame_max = frames;
    frame_table = calloc(frames, sizeof(*frame_table));
    m2p = malloc(frames * sizeof(*m2p));
    ram = mmap(NULL, frames << FRAME_SHIFT, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!frame_table || !m2p || ram == MAP_FAILED)
        abort();
    memset(m2p, 0xff, frames * sizeof(*m2p));
}

WEAK void *map_frame(mfn_t m)
{
    if (m.n >= ram_frames)
        panic("map_frame(%#lx): no such frame", (unsigned long)m.n);
    return ram + (m.n << FRAME_SHIFT);
}

WEAK void unmap_frame(const void *va)
{
}

WEAK mfn_t map_frame_mfn(const void *va)
{
    uint64_t off = (uint64_t)((const uint8_t *)va - ram);

    if (off >= ram_frames << FRAME_SHIFT)
        panic("map_frame_mfn(%p): not in RAM", va);
    return mfn(off >> FRAME_SHIFT);
}

WEAK void m2p_set(mfn_t m, uint64_t pfn)
{
    if (m.n < ram_frames)
        m2p[m.n] = pfn;
}

WEAK uint64_t m2p_get(mfn_t m)
{
    return m.n < ram_frames ? m2p[m.n] : M2P_INVALID;
}

/* --- Guest memory --- */

#define RANGES_MAX 64

struct range {
    uint64_t start, end;
};
static struct range allowed[RANGES_MAX], faulting[RANGES_MAX];
static unsigned nr_allowed, nr_faulting;
static uint8_t *watch_start;
static size_t watch_bytes;
static uint8_t watch_flip;
static uint16_t *watch_count;

void host_guest_allow(const void *start, size_t bytes)
{
    if (nr_allowed == RANGES_MAX)
        abort();
    allowed[nr_allowed++] = (struct range){(uintptr_t)start, (uintptr_t)start + bytes};
}

void host_guest_fault(const void *start, size_t bytes)
{
    if (nr_faulting == RANGES_MAX)
        abort();
    faulting[nr_faulting++] = (struct range){(uintptr_t)start, (uintptr_t)start + bytes};
}

void host_guest_clear(void)
{
    nr_allowed = nr_faulting = 0;
    free(watch_count);
    watch_count = NULL;
    watch_bytes = 0;
}

void host_guest_watch(void *start, size_t bytes, uint8_t flip)
{
    free(watch_count);
    watch_count = calloc(bytes, sizeof(*watch_count));
    watch_start = start;
    watch_bytes = bytes;
    watch_flip = flip;
}

unsigned host_watch_max(void)
{
    unsigned max = 0;
    size_t i;

    for (i = 0; i < watch_bytes; i++)
        max = MAX(max, watch_count[i]);
    return max;
}

static bool guest_accessible(uint64_t va, size_t bytes)
{
    bool ok = nr_allowed == 0;
    unsigned i;

    if (!bytes)
        return true;
    if (va < 4096 || va + bytes < va)
        return false;
    for (i = 0; i < nr_allowed && !ok; i++)
        ok = va >= allowed[i].start && va + bytes <= allowed[i].end;
    for (i = 0; i < nr_faulting && ok; i++)
        ok = va + bytes <= faulting[i].start || va >= faulting[i].end;
    return ok;
}

static void guest_fetched(uint64_t va, size_t bytes)
{
    size_t i;

    for (i = 0; i < bytes; i++) {
        uint64_t off = va + i - (uintptr_t)watch_start;

        if (off < watch_bytes && !watch_count[off]++)
            watch_start[off] ^= watch_flip;
    }
}

WEAK int copy_from_guest(void *dst, guest_ptr_t src, size_t bytes)
{
    if (!guest_accessible(src.va, bytes))
        return -XEN_EFAULT;
    memcpy(dst, (const void *)(uintptr_t)src.va, bytes);
    guest_fetched(src.va, bytes);
    return 0;
}

WEAK int copy_to_guest(guest_ptr_t dst, const void *src, size_t bytes)
{
    if (!guest_accessible(dst.va, bytes))
        return -XEN_EFAULT;
    memcpy((void *)(uintptr_t)dst.va, src, bytes);
    return 0;
}

WEAK int clear_guest(guest_ptr_t dst, size_t bytes)
{
    if (!guest_accessible(dst.va, bytes))
        return -XEN_EFAULT;
    memset((void *)(uintptr_t)dst.va, 0, bytes);
    return 0;
}

/* --- Processors --- */

__thread unsigned host_cpu;
unsigned host_cpus = 1;
uint32_t host_softirqs[MAX_CPUS];
static void (*softirq_fn[SOFTIRQ_NR])(void);
unsigned host_preempt_every, host_preempt_calls;
struct vcpu *host_current;
unsigned host_kicks;
struct vcpu *host_kicked;

WEAK unsigned cpu_self(void)
{
    return host_cpu;
}

WEAK unsigned cpu_count(void)
{
    return host_cpus;
}

WEAK void cpu_relax(void)
{
    sched_yield();
}

WEAK uint64_t irq_save(void)
{
    return 0;
}

WEAK void irq_restore(uint64_t flags)
{
}

WEAK void softirq_raise(unsigned cpu, enum softirq nr)
{
    __atomic_fetch_or(&host_softirqs[cpu], 1u << nr, __ATOMIC_SEQ_CST);
}

WEAK void softirq_register(enum softirq nr, void (*fn)(void))
{
    softirq_fn[nr] = fn;
}

void host_softirqs_run(void)
{
    uint32_t bits;
    unsigned i;

    while ((bits = __atomic_exchange_n(&host_softirqs[host_cpu], 0, __ATOMIC_SEQ_CST)))
        for (i = 0; i < SOFTIRQ_NR; i++)
            if ((bits >> i & 1) && softirq_fn[i])
                softirq_fn[i]();
}

WEAK bool preempt_needed(void)
{
    return host_preempt_every && ++host_preempt_calls % host_preempt_every == 0;
}

WEAK void vcpu_kick(struct vcpu *v)
{
    host_kicks++;
    host_kicked = v;
}

WEAK struct vcpu *current_vcpu(void)
{
    return host_current;
}

/* --- Time and translation caches --- */

uint64_t host_now = 1000000;
uint64_t host_deadline;
uint32_t host_tlb_clock = 1;
unsigned host_tlb_flushes;
static uint32_t tlb_flushed_at;

WEAK uint64_t now_ns(void)
{
    return host_now;
}

WEAK void port_timer_program(uint64_t deadline)
{
    host_deadline = deadline;
}

WEAK uint32_t tlb_stamp_now(void)
{
    return host_tlb_clock;
}

void (*host_on_flush)(void);

WEAK void tlb_flush_stale(uint32_t stamp)
{
    if ((int32_t)(tlb_flushed_at - stamp) > 0)
        return;
    tlb_flushed_at = ++host_tlb_clock;
    host_tlb_flushes++;
    if (host_on_flush)
        host_on_flush();
}

WEAK void tlb_flush_stale_tables(uint32_t stamp)
{
    tlb_flush_stale(stamp);
}

/* --- Continuations --- */

struct host_again host_again;

WEAK long hcall_again(struct vcpu *v, unsigned nr, uint64_t a1, uint64_t a2, uint64_t a3,
                      uint64_t a4, uint64_t a5)
{
    host_again = (struct host_again){host_again.count + 1, nr, {a1, a2, a3, a4, a5}};
    return HOST_AGAIN;
}

/* --- Messages and ends --- */

bool host_verbose;
char host_last_log[512];
unsigned host_crashes;
const struct domain *host_crashed;
char host_crash_why[256];
jmp_buf host_panic_jmp;
bool host_panic_expected;
char host_panic_why[512];

static void host_log(const char *fmt, va_list ap)
{
    const char *env = getenv("V");

    vsnprintf(host_last_log, sizeof(host_last_log), fmt, ap);
    if (host_verbose || (env && *env == '1'))
        fputs(host_last_log, stderr);
}

WEAK void log_printf(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    host_log(fmt, ap);
    va_end(ap);
}

WEAK void log_guest(const struct domain *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    host_log(fmt, ap);
    va_end(ap);
}

WEAK void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(host_panic_why, sizeof(host_panic_why), fmt, ap);
    va_end(ap);
    if (host_panic_expected)
        longjmp(host_panic_jmp, 1);
    fprintf(stderr, "panic: %s\n", host_panic_why);
    abort();
}

WEAK void domain_crash(struct domain *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(host_crash_why, sizeof(host_crash_why), fmt, ap);
    va_end(ap);
    host_crashes++;
    host_crashed = d;
}

/* --- Small objects --- */

unsigned host_zalloc_fail;
int64_t host_zalloc_live;

WEAK void *zalloc(size_t bytes)
{
    void *p;

    if (host_zalloc_fail && !--host_zalloc_fail)
        return NULL;
    p = calloc(1, bytes ? bytes : 1);
    if (p)
        host_zalloc_live++;
    return p;
}

WEAK void zfree(void *p)
{
    if (p)
        host_zalloc_live--;
    free(p);
}

void host_reset(void)
{
    host_guest_clear();
    memset(host_softirqs, 0, sizeof(host_softirqs));
    memset(&host_again, 0, sizeof(host_again));
    host_cpu = 0;
    host_cpus = 1;
    host_preempt_every = host_preempt_calls = 0;
    host_current = host_kicked = NULL;
    host_kicks = host_crashes = 0;
    host_crashed = NULL;
    host_now = 1000000;
    host_deadline = 0;
    host_tlb_clock = 1;
    host_tlb_flushes = 0;
    tlb_flushed_at = 0;
    host_zalloc_fail = 0;
}

/* --- Calls on other CPUs: there are none --- */

void smp_call(const uint64_t mask[], void (*fn)(void *), void *arg);
WEAK void smp_call(const uint64_t mask[], void (*fn)(void *), void *arg)
{
    fn(arg);
}

/* --- Domains: for tests without domain.c --- */
WEAK void domain_ref(struct domain *d)
{
}
WEAK void domain_put(struct domain *d)
{
}
WEAK void orphan_page(struct page *pg)
{
    (void)unshare_page(pg);
}
WEAK bool unshare_page(struct page *pg)
{
    return true;
}

/* --- Log-dirty: for tests without it; no domain of theirs is logged --- */

WEAK void page_writer_add(struct page *pg)
{
}
WEAK void page_writer_drop(struct page *pg)
{
}
WEAK void logdirty_mark(struct domain *d, mfn_t m)
{
    abort();
}
WEAK void logdirty_m2p_set(struct domain *d, mfn_t m, uint64_t pfn)
{
    abort();
}
void logdirty_held_add(struct page *pg);
WEAK void logdirty_held_add(struct page *pg)
{
    abort();
}
WEAK void mirror_entry_changed(struct page *pt, unsigned index)
{
    abort();
}
WEAK void mirror_table_gone(struct page *pt)
{
    abort();
}
void mirror_roots_set(struct x86_vcpu *xv);
WEAK void mirror_roots_set(struct x86_vcpu *xv)
{
    abort();
}
