/* SPDX-License-Identifier: MIT */
/*
 * For the test of saving and restoring (t_save_restore.c): a toy hypervisor whose frames have owners and types, the parts of the toolstack
 * that are not under test, and a guest in it with page tables, a list of its pages, start_info, shared_info and registers.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>

#include "build.h"
#include "config_xl.h"
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "restore.h"
#include "save.h"
#include "store.h"

#define FRAMES 4096U
#define PAGES 1300U            /* of the guest's list: two chunks, three frames of list */
#define HAVE 1250U             /* so many have a frame at first */
#define PAGE 4096U
#define SOURCE 5
#define TARGET 9
#define FOREIGN 3999U          /* a frame of nobody's */

/* Where things are in the guest, by page number. */
enum { P_DATA = 0, P_L4 = 700, P_L3, P_L1, P_EMPTY_L1, P_ROOT = 710, P_MIDDLE, P_P2M = 712, P_START = 720, P_STORE, P_CONSOLE, P_GDT, P_USER_L4 };

static uint64_t frame[FRAMES][PAGE / 8];
static uint8_t owner[FRAMES], type[FRAMES]; /* type: as in getpageframeinfo3 */
static xen_pfn_t p2m[PAGES];                 /* the source's */
static xen_pfn_t target_p2m[PAGES];
static vcpu_guest_context_t context[2], restored_context[2];
static bool own_calls;                      /* the hypervisor has Zendo's calls for the contents of frames */
static unsigned mapped, contents_open, limit_frames, pinned, early_pins;
static xen_pfn_t shared_frame[16];
static struct guest_config config;

/* --- the toy hypervisor ---------------------------------------------------------------------------------------------------- */

static xen_pfn_t new_frame(uint8_t who)
{
    static unsigned next = 17;

    for (unsigned i = 0; i < FRAMES; i++) {
        next = (next + 1021) % FRAMES;
        if (next > 16 && next != FOREIGN && !owner[next]) {
            owner[next] = who;
            memset(frame[next], own_calls ? 0 : 0xee, PAGE); /* what its last owner left, if that is not cleared */
            return next;
        }
    }
    return 0;
}

void *ctl_buffer(struct ctl *c, size_t bytes) { return calloc(1, bytes); }
void ctl_buffer_free(struct ctl *c, void *p) { free(p); }
int ctl_open(struct ctl **out) { return -EIO; }
int ctl_version(struct ctl *c, unsigned cmd, void *arg, size_t bytes) { return 4 << 16 | 17; }

int ctl_domain_info(struct ctl *c, domid_t domid, struct xen_domctl_getdomaininfo *info)
{
    *info = (struct xen_domctl_getdomaininfo){ .domain = domid, .shared_info_frame = shared_frame[domid], .max_vcpu_id = 1 };
    return 0;
}

/* A map is a copy that is written back when it is taken down. */
static struct map {
    uint8_t *at;
    xen_pfn_t mfn[2048];
    bool writable;
} map[64];

static void *map_frames(domid_t domid, const xen_pfn_t *mfns, size_t count, bool writable, int *errors)
{
    unsigned i = 0;

    while (map[i].at)
        i++;
    map[i].at = malloc(count * PAGE);
    map[i].writable = writable;
    for (size_t k = 0; k < count; k++) {
        bool good = mfns[k] < FRAMES && owner[mfns[k]] == domid && !(writable && type[mfns[k]]);

        if (!good && !errors) {
            free(map[i].at);
            map[i].at = NULL;
            fault(-EINVAL, "frame %#llx cannot be mapped", (unsigned long long)mfns[k]);
            return NULL;
        }
        if (errors)
            errors[k] = good ? 0 : -EINVAL;
        map[i].mfn[k] = good ? mfns[k] : FOREIGN;
        memcpy(map[i].at + k * PAGE, frame[map[i].mfn[k]], PAGE);
    }
    mapped++;
    return map[i].at;
}

void *ctl_map(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, bool writable)
{
    return map_frames(domid, mfns, count, writable, NULL);
}

void *ctl_map_some(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, int *errors)
{
    return map_frames(domid, mfns, count, false, errors);
}

void ctl_unmap(struct ctl *c, void *at, size_t count)
{
    unsigned i = 0;

    if (!at)
        return;
    while (map[i].at != at)
        i++;
    for (size_t k = 0; k < count && map[i].writable; k++)
        memcpy(frame[map[i].mfn[k]], map[i].at + k * PAGE, PAGE);
    free(map[i].at);
    map[i].at = NULL;
    mapped--;
}

/* Maps that are kept between rounds show what the guest writes meanwhile. */
static void guest_runs(void)
{
    for (unsigned i = 0; i < 64; i++)
        for (size_t k = 0; map[i].at && !map[i].writable && k < 1024 && map[i].mfn[k]; k++)
            if (malloc_usable_size(map[i].at) >= (k + 1) * PAGE)
                memcpy(map[i].at + k * PAGE, frame[map[i].mfn[k]], PAGE);
}

int ctl_page_types(struct ctl *c, domid_t domid, xen_pfn_t *list, unsigned n)
{
    assert_true(n <= CTL_TYPES_MAX);
    for (unsigned i = 0; i < n; i++)
        list[i] = list[i] < FRAMES && owner[list[i]] == domid ? type[list[i]] : XC_XTAB;
    return 0;
}

void *ctl_frames_open(struct ctl *c, domid_t domid)
{
    contents_open += own_calls;
    return own_calls ? malloc(CTL_FRAMES_MAX * PAGE) : NULL;
}

void ctl_frames_close(struct ctl *c, void *data)
{
    contents_open -= data != NULL;
    free(data);
}

int ctl_frames_read(struct ctl *c, domid_t domid, xen_pfn_t *list, unsigned n, void *data, bool *zero)
{
    static const uint64_t nothing[PAGE / 8];

    assert_true(n <= CTL_FRAMES_MAX);
    memset(data, 0xdc, (size_t)n * PAGE); /* junk where nothing is filled in; a table keeps it, as no present bit is set */
    for (unsigned i = 0; i < n; i++) {
        bool its = list[i] < FRAMES && owner[list[i]] == domid;

        zero[i] = its && !memcmp(frame[list[i]], nothing, PAGE);
        if (its && !zero[i])
            memcpy((uint8_t *)data + (size_t)i * PAGE, frame[list[i]], PAGE);
        list[i] = its ? type[list[i]] : XC_XTAB;
    }
    return 0;
}

int ctl_frames_write(struct ctl *c, domid_t domid, const xen_pfn_t *list, unsigned n, const void *data)
{
    for (unsigned i = 0; i < n; i++) {
        if (list[i] >= FRAMES || owner[list[i]] != domid || type[list[i]])
            return fault(-EINVAL, "frame %#llx cannot be written", (unsigned long long)list[i]);
        memcpy(frame[list[i]], (const uint8_t *)data + (size_t)i * PAGE, PAGE);
    }
    return 0;
}

static unsigned frames_of(uint8_t who)
{
    unsigned n = 0;

    for (unsigned i = 0; i < FRAMES; i++)
        n += owner[i] == who;
    return n;
}

int ctl_memory_op(struct ctl *c, unsigned cmd, void *arg, size_t bytes)
{
    struct xen_memory_reservation *m = arg;
    xen_pfn_t *list = m->extent_start.p;

    for (unsigned i = 0; i < m->nr_extents; i++) {
        if (cmd == XENMEM_populate_physmap && frames_of(TARGET) >= limit_frames)
            return (int)i;
        if (cmd == XENMEM_populate_physmap) {
            xen_pfn_t pfn = list[i];

            target_p2m[pfn] = list[i] = new_frame(TARGET);
        } else {
            assert_int_equal(owner[list[i]], TARGET);
            owner[list[i]] = 0;
        }
    }
    return (int)m->nr_extents;
}

int ctl_populate(struct ctl *c, domid_t domid, uint64_t first, uint64_t count, xen_pfn_t *mfns)
{
    for (uint64_t i = 0; i < count; i++)
        target_p2m[first + i] = mfns[i] = new_frame(TARGET);
    return 0;
}

int ctl_clear_pages(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(owner[mfns[i]], TARGET);
        memset(frame[mfns[i]], 0, PAGE);
    }
    return 0;
}

int ctl_pin_tables(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, const uint8_t *level, size_t count)
{
    assert_int_equal(mapped, 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(owner[mfns[i]], TARGET);
        assert_int_equal(!type[mfns[i]], level[i] != CTL_UNPIN); /* pinned once, and let go only then */
        type[mfns[i]] = level[i] == CTL_UNPIN ? 0 : (uint8_t)(XC_PINNED | level[i]);
        pinned += level[i] == CTL_UNPIN ? -1U : 1;
        early_pins += level[i] == XC_L1;
    }
    return 0;
}

int ctl_vcpu_info(struct ctl *c, domid_t domid, unsigned vcpu, struct xen_domctl_getvcpuinfo *info)
{
    *info = (struct xen_domctl_getvcpuinfo){ .online = 1 };
    return 0;
}

int ctl_vcpu_get_context(struct ctl *c, domid_t domid, unsigned vcpu, vcpu_guest_context_t *v)
{
    *v = context[vcpu];
    return 0;
}

int ctl_vcpu_set_context(struct ctl *c, domid_t domid, unsigned vcpu, const vcpu_guest_context_t *v)
{
    restored_context[vcpu] = *v;
    return 0;
}

int ctl_vcpu_get_blob(struct ctl *c, domid_t domid, unsigned vcpu, enum ctl_vcpu_blob which, uint8_t **data, uint32_t *bytes)
{
    *bytes = which == CTL_VCPU_MSRS ? 0 : 64;
    *data = calloc(1, 64);
    (*data)[0] = (uint8_t)(vcpu * 16 + which);
    return 0;
}

int ctl_vcpu_set_blob(struct ctl *c, domid_t domid, unsigned vcpu, enum ctl_vcpu_blob which, const void *data, uint32_t bytes)
{
    assert_int_equal(bytes, 64);
    assert_int_equal(*(const uint8_t *)data, vcpu * 16 + which);
    return 0;
}

int ctl_domain_get_tsc_info(struct ctl *c, domid_t domid, struct xen_domctl_tsc_info *info)
{
    *info = (struct xen_domctl_tsc_info){ .gtsc_khz = 123, .elapsed_nsec = 456, .incarnation = 7 };
    return 0;
}

int ctl_domain_set_tsc_info(struct ctl *c, domid_t domid, const struct xen_domctl_tsc_info *t)
{
    assert_true(t->gtsc_khz == 123 && t->elapsed_nsec == 456 && t->incarnation == 7 && !t->tsc_mode);
    return 0;
}

int ctl_policy_get(struct ctl *c, domid_t domid, xen_cpuid_leaf_t **leaf, unsigned *n, xen_msr_entry_t **msr, unsigned *m)
{
    *leaf = calloc(*n = 3, sizeof(**leaf));
    *msr = calloc(*m = 1, sizeof(**msr));
    (*leaf)[2].a = 77;
    return 0;
}

int ctl_policy_set(struct ctl *c, domid_t domid, const xen_cpuid_leaf_t *leaf, unsigned n, const xen_msr_entry_t *msr, unsigned m)
{
    assert_true(n == 3 && m == 1 && leaf[2].a == 77);
    return 0;
}

int ctl_cpuid_max(struct ctl *c, xen_cpuid_leaf_t **out) { *out = NULL; return -EIO; }
int ctl_set_memory_map(struct ctl *c, domid_t domid, uint64_t bytes) { return 0; }

int ctl_seed_grants(struct ctl *c, domid_t domid, xen_pfn_t console, domid_t a, xen_pfn_t store, domid_t b)
{
    assert_int_equal(console, target_p2m[P_CONSOLE]);
    assert_int_equal(store, target_p2m[P_STORE]);
    return 0;
}

/* --- the rest of the toolstack -------------------------------------------------------------------------------------------- */

int domain_create(struct ctl *c, struct guest_config *cfg, const struct domain_options *o, uint32_t *domid)
{
    const struct build_rings rings = { .store_port = 11, .console_port = 12 };
    struct build_result result;

    *domid = TARGET;
    shared_frame[TARGET] = new_frame(TARGET);
    return o->fill(o->fill_arg, TARGET, &rings, &result);
}

int devices_attach_all(uint32_t domid, const struct guest_config *c) { return 0; }
int store_put(const char *path, const char *key, const char *value, ...) { return 0; }
char *config_xl_make(const struct guest_config *c) { return strdup("{}"); }
int config_xl_parse(struct guest_config *c, const char *name, const char *json) { return -EINVAL; }
void config_print_xl(const struct guest_config *c, FILE *out) { fputs("name = 'g'\n", out); }

int config_parse(struct guest_config *c, const char *name, const char *text, size_t bytes, char *const words[], unsigned n)
{
    assert_string_equal(text, "name = 'g'\n");
    *c = config;
    return 0;
}

/* --- the guest ------------------------------------------------------------------------------------------------------------ */

static uint64_t *page_of(uint64_t pfn)
{
    return frame[p2m[pfn]];
}

static uint64_t entry(uint64_t pfn, uint64_t flags)
{
    return p2m[pfn] << 12 | flags;
}

static void write_p2m(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        page_of(P_P2M + i / 512)[i % 512] = p2m[i] ? p2m[i] : i == PAGES - 1 ? 1ULL << 62 | i : ~0ULL;
}

static void make_tables(void)
{
    static const unsigned levels[][2] = { { P_L4, 12 }, { P_L3, 3 }, { P_L1, 1 }, { P_EMPTY_L1, 1 }, { P_USER_L4, 12 } };

    for (unsigned i = 0; i < 5; i++) {
        memset(page_of(levels[i][0]), 0, PAGE);
        type[p2m[levels[i][0]]] = (uint8_t)levels[i][1];
    }
    page_of(P_L4)[0] = entry(P_L3, 0x67);
    page_of(P_L4)[256] = 0x1234567; /* the hypervisor's */
    page_of(P_L4)[511] = entry(P_L4, 0x25);
    page_of(P_L3)[3] = entry(P_L1, 0x67);
    for (unsigned i = 0; i < 500; i++)
        page_of(P_L1)[i] = entry(i, 0x8000000000000067ULL);
    page_of(P_L1)[501] = 0x5550; /* not present: swapped out, say */
    page_of(P_USER_L4)[0] = entry(P_L3, 0x67);
}

static void make_shared_info(void)
{
    shared_frame[SOURCE] = new_frame(SOURCE);
    struct shared_info *s = (void *)frame[shared_frame[SOURCE]];

    memset(s, 0, PAGE);
    s->arch.max_pfn = PAGES;
    s->arch.pfn_to_mfn_frame_list_list = p2m[P_ROOT];
    s->vcpu_info[0].evtchn_upcall_mask = 1;
    s->vcpu_info[0].evtchn_upcall_pending = 1;
    s->vcpu_info[1].arch.cr2 = 0x999;
    s->evtchn_pending[0] = 5;
}

static void make_registers(void)
{
    for (unsigned i = 0; i < 2; i++) {
        context[i] = (vcpu_guest_context_t){ .user_regs.rdx = i ? 42 : p2m[P_START], .user_regs.rip = 0x1000 + i, .gdt_ents = 16 };
        context[i].gdt_frames[0] = p2m[P_GDT];
        context[i].ctrlreg[3] = xen_pfn_to_cr3(p2m[P_L4]);
        context[i].ctrlreg[1] = i ? 0 : xen_pfn_to_cr3(p2m[P_USER_L4]);
    }
}

static int make_guest(void **state)
{
    memset(owner, 0, sizeof(owner));
    memset(type, 0, sizeof(type));
    memset(p2m, 0, sizeof(p2m));
    memset(target_p2m, 0, sizeof(target_p2m));
    memset(restored_context, 0, sizeof(restored_context));
    mapped = contents_open = pinned = early_pins = 0;
    limit_frames = FRAMES;
    config = (struct guest_config){ .memory = HAVE * 4, .maxmem = PAGES * 4, .maxvcpus = 2 };
    for (unsigned i = 0; i < HAVE; i++) {
        p2m[i] = new_frame(SOURCE);
        memset(page_of(i), i % 3 ? (int)i : 0, PAGE); /* a third is empty */
        page_of(i)[7] = i % 3 ? i : 0;
    }
    make_tables();
    memset(page_of(P_ROOT), 0xff, PAGE);
    memset(page_of(P_MIDDLE), 0xff, PAGE);
    page_of(P_ROOT)[0] = p2m[P_MIDDLE];
    for (unsigned i = 0; i < 3; i++)
        page_of(P_MIDDLE)[i] = p2m[P_P2M + i];
    write_p2m();
    struct start_info *si = (void *)page_of(P_START);
    memset(si, 0, PAGE);
    si->store_mfn = P_STORE; /* the kernel turns them into page numbers before it suspends */
    si->console.domU.mfn = P_CONSOLE;
    make_shared_info();
    make_registers();
    fault_clear();
    return 0;
}

static int make_guest_own(void **state)
{
    own_calls = true;
    return make_guest(state);
}

static int make_guest_mapped(void **state)
{
    own_calls = false;
    return make_guest(state);
}
