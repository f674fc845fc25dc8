/* SPDX-License-Identifier: MIT */
/*
 * logdirty DOMID ROUNDS [MS] [TIMES] [check]: copies a running guest's memory the way a migration does (log-dirty on, everything, then
 * ROUNDS times what is dirty, MS apart), stops the guest, asks for the last bitmap and compares page by page: what differs
 * from the copy, in contents or in type, must be in that bitmap. TIMES: all of it so often. The guest goes on afterwards.
 * logdirty DOMID cost TIMES: only the calls, and how long they take.
 * check: after each round the hypervisor compares its mirrors with the guest's tables (debug key L), which stops the guest.
 * Frames are found by the machine-to-physical table, not by what the guest says. Exit code 0: nothing was missed.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define __XEN_TOOLS__ 1
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/sysctl.h>
#include <xencall.h>
#include <xenforeignmemory.h>

#define BATCH 1024u
#define PAGE 4096ul
#define NONE (~0ul)

static xencall_handle *call;
static xenforeignmemory_handle *fmem;
static unsigned dom;
static uint64_t *m2p, nr_mfn;
static uint64_t nr_pfn, *p2m;     /* the guest's frames; NONE */
static uint32_t *type, *type_now; /* XEN_DOMCTL_PFINFO_* */
static uint8_t *copy, *bitmap;
static struct xen_domctl_shadow_op_stats stats;

static void die(const char *what)
{
    fprintf(stderr, "logdirty: %s: %s\n", what, strerror(errno));
    exit(2);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int domctl(struct xen_domctl *d, uint32_t cmd)
{
    struct xen_domctl *b = xencall_alloc_buffer(call, sizeof(*b));
    int rc;

    d->cmd = cmd;
    d->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    d->domain = dom;
    *b = *d;
    rc = xencall1(call, __HYPERVISOR_domctl, (uintptr_t)b);
    *d = *b;
    xencall_free_buffer(call, b);
    return rc;
}

static void simple(uint32_t cmd)
{
    struct xen_domctl d = {0};

    if (domctl(&d, cmd))
        die(cmd == XEN_DOMCTL_pausedomain ? "pause" : "unpause");
}

static int shadow(uint32_t op, int with_bitmap)
{
    struct xen_domctl d = {0};
    int rc;

    d.u.shadow_op.op = op;
    if (with_bitmap) {
        set_xen_guest_handle(d.u.shadow_op.dirty_bitmap, bitmap);
        d.u.shadow_op.pages = nr_pfn;
    }
    rc = domctl(&d, XEN_DOMCTL_shadow_op);
    stats = d.u.shadow_op.stats;
    if (!rc && with_bitmap && d.u.shadow_op.pages != nr_pfn) {
        errno = ERANGE;
        return -1;
    }
    return rc;
}

/* --- the hypervisor's own check ---------------------------------------------------------------------------- */

static int sysctl(struct xen_sysctl *s, uint32_t cmd)
{
    struct xen_sysctl *b = xencall_alloc_buffer(call, sizeof(*b));
    int rc;

    s->cmd = cmd;
    s->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    *b = *s;
    rc = xencall1(call, __HYPERVISOR_sysctl, (uintptr_t)b);
    *s = *b;
    xencall_free_buffer(call, b);
    return rc;
}

/* What the log says from index on; the text so far is there once it has a line with `word`. */
static char *log_with(uint32_t *index, const char *word)
{
    static char *text;

    if (!text)
        text = xencall_alloc_buffer(call, 65536);
    for (int tries = 0; tries < 200; tries++) {
        struct xen_sysctl s = {0};

        set_xen_guest_handle(s.u.readconsole.buffer, text);
        s.u.readconsole.count = 65535;
        s.u.readconsole.index = *index;
        s.u.readconsole.incremental = 1;
        if (sysctl(&s, XEN_SYSCTL_readconsole))
            die("readconsole");
        text[s.u.readconsole.count] = 0;
        if (!word || strstr(text, word)) {
            *index = s.u.readconsole.index;
            return text;
        }
        usleep(20000);
    }
    return NULL;
}

static void press(char key)
{
    struct xen_sysctl s = {0};
    char *b = xencall_alloc_buffer(call, 1);

    *b = key;
    set_xen_guest_handle(s.u.debug_keys.keys, b);
    s.u.debug_keys.nr_keys = 1;
    if (sysctl(&s, XEN_SYSCTL_debug_keys))
        die("debug_keys");
    xencall_free_buffer(call, b);
}

/* Key L checks all logged domains: only ours is. */
static int mirrors_right(void)
{
    static uint32_t index;
    char *text, *line;
    int faults = -1;

    while (*log_with(&index, NULL))
        ;
    press('L');
    text = log_with(&index, "times out of mirrors");
    line = text ? strstr(text, "log-dirty: d") : NULL;
    if (line)
        sscanf(line, "log-dirty: d%*u: %d faults", &faults);
    if (faults)
        printf("logdirty: mirrors: %d faults\n%s", faults, text ? text : "");
    return !faults;
}

/* --- frames ------------------------------------------------------------------------------------------------ */

static void map_m2p(void)
{
    uint64_t max = xencall2(call, __HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0), n;
    struct xen_machphys_mfn_list *l = xencall_alloc_buffer(call, sizeof(*l));
    uint64_t *starts;
    char *at;

    nr_mfn = max + 1;
    n = (nr_mfn * 8 + (2 << 20) - 1) >> 21;
    starts = xencall_alloc_buffer(call, n * 8);
    l->max_extents = n;
    set_xen_guest_handle(l->extent_start, starts);
    if (xencall2(call, __HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, (uintptr_t)l))
        die("machphys_mfn_list");
    /* one mapping after the other, in one range of addresses */
    at = mmap(NULL, n << 21, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t i = 0; i < n; i++) {
        xen_pfn_t mfns[512];

        for (unsigned k = 0; k < 512; k++)
            mfns[k] = starts[i] + k;
        if (xenforeignmemory_map2(fmem, DOMID_XEN, at + (i << 21), PROT_READ, MAP_FIXED, 512, mfns, NULL) == NULL)
            die("mapping the machine-to-physical table");
    }
    m2p = (uint64_t *)at;
}

/* Frame numbers become types, in place. */
static void types_of(uint64_t *frames, uint64_t n)
{
    uint64_t *b = xencall_alloc_buffer(call, BATCH * 8);

    for (uint64_t i = 0; i < n; i += BATCH) {
        struct xen_domctl d = {0};
        uint64_t k = n - i < BATCH ? n - i : BATCH;

        memcpy(b, frames + i, k * 8);
        d.u.getpageframeinfo3.num = k;
        set_xen_guest_handle(d.u.getpageframeinfo3.array, b);
        if (domctl(&d, XEN_DOMCTL_getpageframeinfo3))
            die("getpageframeinfo3");
        memcpy(frames + i, b, k * 8);
    }
    xencall_free_buffer(call, b);
}

static uint64_t find_frames(void)
{
    uint64_t *t = malloc(nr_mfn * 8), found = 0;

    for (uint64_t m = 0; m < nr_mfn; m++)
        t[m] = m;
    types_of(t, nr_mfn);
    for (uint64_t p = 0; p < nr_pfn; p++)
        p2m[p] = NONE;
    for (uint64_t m = 0; m < nr_mfn; m++)
        if ((t[m] & XEN_DOMCTL_PFINFO_LTAB_MASK) != XEN_DOMCTL_PFINFO_XTAB && m2p[m] < nr_pfn) {
            p2m[m2p[m]] = m;
            found++;
        }
    free(t);
    return found;
}

static void types_now(uint32_t *to)
{
    uint64_t *t = malloc(nr_pfn * 8);

    for (uint64_t p = 0; p < nr_pfn; p++)
        t[p] = p2m[p] == NONE ? 0 : p2m[p];
    types_of(t, nr_pfn);
    for (uint64_t p = 0; p < nr_pfn; p++)
        to[p] = p2m[p] == NONE ? XEN_DOMCTL_PFINFO_XTAB : (uint32_t)t[p];
    free(t);
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

static int dirty(uint64_t p)
{
    return bitmap[p / 8] >> (p % 8) & 1;
}

/* fn for each page that is wanted, with its contents. */
static uint64_t each_page(int only_dirty, void (*fn)(uint64_t pfn, const uint8_t *now))
{
    uint64_t pfn[BATCH], done = 0;
    xen_pfn_t mfn[BATCH];
    int err[BATCH];

    for (uint64_t p = 0; p < nr_pfn;) {
        unsigned n = 0;
        uint8_t *at;

        for (; p < nr_pfn && n < BATCH; p++)
            if (p2m[p] != NONE && (!only_dirty || dirty(p))) {
                pfn[n] = p;
                mfn[n++] = p2m[p];
            }
        if (!n)
            break;
        at = xenforeignmemory_map(fmem, dom, PROT_READ, n, mfn, err);
        if (!at)
            die("mapping the guest's memory");
        for (unsigned i = 0; i < n; i++)
            if (!err[i])
                fn(pfn[i], at + i * PAGE);
        xenforeignmemory_unmap(fmem, at, n);
        done += n;
    }
    return done;
}

static void page_take(uint64_t p, const uint8_t *now)
{
    memcpy(copy + p * PAGE, now, PAGE);
    type[p] = type_now[p];
}

static uint64_t changed, missed;

static void page_compare(uint64_t p, const uint8_t *now)
{
    int bytes = memcmp(copy + p * PAGE, now, PAGE) != 0;

    if (!bytes && type[p] == type_now[p])
        return;
    changed++;
    if (dirty(p))
        return;
    if (missed++ < 20)
        printf("logdirty: page %#lx (frame %#lx) was missed: type %#x, was %#x%s\n", (unsigned long)p,
               (unsigned long)p2m[p], type_now[p], type[p], bytes ? ", other contents" : "");
}

static uint64_t take(int only_dirty)
{
    types_now(type_now);
    return each_page(only_dirty, page_take);
}

static int check;

static int once(int rounds, int ms)
{
    uint64_t n, marked = 0;
    double t0;

    if (shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0))
        die("log-dirty on");
    n = take(0);
    printf("logdirty: %lu pages\n", (unsigned long)n);
    for (int r = 0; r < rounds; r++) {
        usleep(ms * 1000);
        t0 = now_ms();
        if (shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 1))
            die("clean");
        t0 = now_ms() - t0;
        n = take(1);
        printf("logdirty: round %d: %lu pages, %u faults, %u dirty; %.2f ms for the bitmap\n", r, (unsigned long)n,
               stats.fault_count, stats.dirty_count, t0);
        if (check && !mirrors_right())
            return 1;
    }
    simple(XEN_DOMCTL_pausedomain);
    if (shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 1))
        die("last clean");
    changed = 0;
    types_now(type_now);
    n = each_page(0, page_compare);
    for (uint64_t p = 0; p < nr_pfn; p++)
        marked += p2m[p] != NONE && dirty(p);
    printf("logdirty: stopped: %lu of %lu pages are not as copied, %lu in the last bitmap, %lu missed\n", (unsigned long)changed,
           (unsigned long)n, (unsigned long)marked, (unsigned long)missed);
    if (shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0))
        die("off");
    simple(XEN_DOMCTL_unpausedomain);
    return missed != 0;
}

/* Only the calls: on, `times` bitmaps 200 ms apart, off; the guest's memory is not looked at. */
static int cost(int times)
{
    double t0 = now_ms(), least = 1e9;

    if (shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0))
        die("log-dirty on");
    printf("logdirty: on: %.0f us\n", (now_ms() - t0) * 1e3);
    for (int i = 0; i < times; i++) {
        usleep(200000);
        t0 = now_ms();
        if (shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 1))
            die("clean");
        t0 = now_ms() - t0;
        least = t0 < least ? t0 : least;
        printf("logdirty: CLEAN: %.0f us; %u faults, %u dirty\n", t0 * 1e3, stats.fault_count, stats.dirty_count);
    }
    printf("logdirty: least CLEAN: %.0f us for %lu pages\n", least * 1e3, (unsigned long)nr_pfn);
    return shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0) != 0;
}

int main(int argc, char **argv)
{
    int rounds, ms, times, rc = 0;
    domid_t *id;
    long max;

    if (argc < 3)
        return fprintf(stderr, "usage: logdirty DOMID ROUNDS [MS] [TIMES] [check]\n"), 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    dom = atoi(argv[1]);
    rounds = atoi(argv[2]);
    ms = argc > 3 ? atoi(argv[3]) : 200;
    times = argc > 4 ? atoi(argv[4]) : 1;
    check = argc > 5 && !strcmp(argv[5], "check");
    call = xencall_open(NULL, 0);
    fmem = xenforeignmemory_open(NULL, 0);
    if (!call || !fmem)
        die("the kernel's interface");
    id = xencall_alloc_buffer(call, sizeof(*id));
    *id = dom;
    max = xencall2(call, __HYPERVISOR_memory_op, XENMEM_maximum_gpfn, (uintptr_t)id);
    if (max < 0)
        die("maximum_gpfn");
    nr_pfn = max + 1;
    if (nr_pfn < 2)
        return fprintf(stderr, "logdirty: the domain does not say how many frames it has (max_pfn)\n"), 2;
    p2m = malloc(nr_pfn * 8);
    type = calloc(nr_pfn, 4);
    type_now = calloc(nr_pfn, 4);
    copy = malloc(nr_pfn * PAGE);
    bitmap = xencall_alloc_buffer(call, (nr_pfn + 7) / 8);
    if (!strcmp(argv[2], "cost"))
        return cost(argc > 3 ? ms : 10);
    map_m2p();
    printf("logdirty: domain %u has %lu frames, numbers up to %#lx\n", dom, (unsigned long)find_frames(), (unsigned long)max);
    for (int i = 0; i < times && !rc; i++)
        rc = once(rounds, ms);
    return rc;
}
