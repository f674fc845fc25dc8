/* SPDX-License-Identifier: MIT */
/* Control calls about other domains' memory: giving it, mapping it, pinning tables, the first two grants. */
#include "ctl.h"
#include "ctl_private.h"
#include "fault.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <xen/grant_table.h>

#define SUPER_ORDER 9U
#define SUPER (1ULL << SUPER_ORDER)
#define BATCH 65536U /* frame numbers per call at most: half a megabyte of buffer */

int ctl_claim(struct ctl *c, domid_t domid, uint64_t pages)
{
    struct xen_memory_reservation r = { .nr_extents = pages, .domid = domid };

    return ctl_memory_op(c, XENMEM_claim_pages, &r, sizeof(r));
}

/* Extents of one order whose first gfns are in list[]; the mfns take their place. Gives the number done. */
static int populate(struct ctl *c, domid_t domid, xen_pfn_t *list, uint64_t count, unsigned order)
{
    struct xen_memory_reservation r = { .nr_extents = count, .extent_order = order, .domid = domid };

    set_xen_guest_handle_raw(r.extent_start, list);
    return ctl_memory_op(c, XENMEM_populate_physmap, &r, sizeof(r));
}

struct batch {
    xen_pfn_t *list;
    uint64_t size;
};

/* As many superpages as the hypervisor has, from gfn `first` on; gives the pages done. */
static uint64_t populate_super(struct ctl *c, domid_t domid, uint64_t first, uint64_t count, struct batch b, xen_pfn_t *mfns)
{
    uint64_t done = 0;

    while (count - done >= SUPER) {
        uint64_t n = (count - done) / SUPER;

        n = n < b.size ? n : b.size;
        for (uint64_t i = 0; i < n; i++)
            b.list[i] = first + done + i * SUPER;
        int got = populate(c, domid, b.list, n, SUPER_ORDER);
        for (int i = 0; i < got; i++)
            for (uint64_t j = 0; j < SUPER; j++)
                mfns[done + (uint64_t)i * SUPER + j] = b.list[i] + j;
        done += got > 0 ? (uint64_t)got * SUPER : 0;
        if (got < 0 || (uint64_t)got < n)
            break;
    }
    return done;
}

static int populate_small(struct ctl *c, domid_t domid, uint64_t first, uint64_t count, struct batch b, xen_pfn_t *mfns)
{
    uint64_t done = 0;

    while (done < count) {
        uint64_t n = count - done < b.size ? count - done : b.size;

        for (uint64_t i = 0; i < n; i++)
            b.list[i] = first + done + i;
        int got = populate(c, domid, b.list, n, 0);
        if (got < 0)
            return got;
        memcpy(mfns + done, b.list, (size_t)got * sizeof(*b.list));
        done += (uint64_t)got;
        if ((uint64_t)got < n)
            return -ENOMEM;
    }
    return 0;
}

int ctl_populate(struct ctl *c, domid_t domid, uint64_t first, uint64_t count, xen_pfn_t *mfns)
{
    struct batch b = { .size = count / SUPER + SUPER < BATCH ? count / SUPER + SUPER : BATCH };

    b.list = ctl_buffer(c, b.size * sizeof(*b.list));
    if (!b.list)
        return -ENOMEM;
    uint64_t done = first % SUPER ? 0 : populate_super(c, domid, first, count, b, mfns);
    int rc = populate_small(c, domid, first + done, count - done, b, mfns + done);

    ctl_buffer_free(c, b.list);
    if (rc)
        return fault(rc, "domain %u: %llu KiB of memory: %s; destroy or shrink a domain, or give this one less", domid,
                     (unsigned long long)count * 4, rc == -ENOMEM ? "the host has not that much free" : strerror(-rc));
    return 0;
}

int ctl_set_memory_map(struct ctl *c, domid_t domid, uint64_t bytes)
{
    struct entry { /* as the BIOS call gives it */
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) *map = ctl_buffer(c, sizeof(*map));
    struct xen_foreign_memory_map m = { .domid = domid, .map.nr_entries = 1 };

    if (!map)
        return -ENOMEM;
    *map = (struct entry){ .addr = 0, .size = bytes, .type = 1 };
    set_xen_guest_handle_raw(m.map.buffer, map);
    int rc = ctl_memory_op(c, XENMEM_set_memory_map, &m, sizeof(m));

    ctl_buffer_free(c, map);
    if (rc == -ENOSYS) /* a kernel that is told of none takes its start info's size */
        return 0;
    return rc < 0 ? fault(rc, "domain %u: setting its memory map: %s", domid, strerror(-rc)) : 0;
}

int ctl_pin_l4(struct ctl *c, domid_t domid, xen_pfn_t mfn)
{
    struct mmuext_op op = { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = mfn };
    int rc = ctl_mmuext_op(c, domid, &op, 1);

    if (rc < 0)
        return fault(rc, "domain %u: the hypervisor refuses its first page tables: %s (`xm dmesg` has more)", domid, strerror(-rc));
    return 0;
}

static xenforeignmemory_handle *memory(struct ctl *c)
{
    if (!c->memory) {
        c->memory = xenforeignmemory_open(&ctl_quiet, 0);
        if (!c->memory)
            fault(-errno, "mapping memory of domains: %s", strerror(errno));
    }
    return c->memory;
}

void *ctl_map(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, bool writable)
{
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *at = memory(c) ? xenforeignmemory_map(c->memory, domid, prot, count, mfns, NULL) : NULL;

    if (!at && c->memory)
        fault(-errno, "domain %u: mapping %zu of its pages: %s", domid, count, strerror(errno));
    return at;
}

void *ctl_map_some(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, int *errors)
{
    void *at = memory(c) ? xenforeignmemory_map(c->memory, domid, PROT_READ, count, mfns, errors) : NULL;

    if (!at && c->memory)
        fault(-errno, "domain %u: mapping %zu of its pages: %s", domid, count, strerror(errno));
    return at;
}

void ctl_unmap(struct ctl *c, void *at, size_t count)
{
    if (at)
        xenforeignmemory_unmap(c->memory, at, count);
}

static void seed(grant_entry_v1_t *e, xen_pfn_t mfn, domid_t whom)
{
    if (!mfn)
        return;
    e->domid = whom;
    e->frame = (uint32_t)mfn;
    __atomic_store_n(&e->flags, (uint16_t)GTF_permit_access, __ATOMIC_RELEASE); /* last: it makes the entry valid */
}

int ctl_seed_grants(struct ctl *c, domid_t domid, xen_pfn_t console_mfn, domid_t console_for, xen_pfn_t store_mfn, domid_t store_for)
{
    void *at = NULL;
    xenforeignmemory_resource_handle *r;

    if (!memory(c))
        return -EIO;
    if (console_mfn > UINT32_MAX || store_mfn > UINT32_MAX)
        return fault(-ERANGE, "domain %u: its rings lie above 16 TiB, which grants of version 1 cannot name", domid);
    r = xenforeignmemory_map_resource(c->memory, domid, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 0, 1, &at,
                                      PROT_READ | PROT_WRITE, 0);
    if (!r)
        return fault(-errno, "domain %u: mapping its grant table: %s", domid, strerror(errno));
    seed((grant_entry_v1_t *)at + GNTTAB_RESERVED_CONSOLE, console_mfn, console_for);
    seed((grant_entry_v1_t *)at + GNTTAB_RESERVED_XENSTORE, store_mfn, store_for);
    xenforeignmemory_unmap_resource(c->memory, r);
    return 0;
}
