/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: bytes -> grant table operations of three domains and writes into their shared entries, with the checker after
 * each step and, at the end, all references accounted for.
 * sources: hypervisor/common/grant.c hypervisor/common/grant_table.c hypervisor/common/grant_entry.c hypervisor/common/grant_map.c hypervisor/common/grant_copy.c
 */
#include "../unit/grant_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t frames[64];

/* Write an entry (or any word) into the shared frames of dom. */
static void scribble(unsigned dom, const uint8_t *b)
{
    struct grant_table *gt = env[dom]->grants;
    uint8_t *at;

    if (!gt->nr_frames)
        return;
    at = (uint8_t *)gt->shared[b[2] % gt->nr_frames] + 16 * (b[3] % 16);
    if (b[7] & 1) {
        memcpy(at + 4 * (b[7] >> 1 & 3), b + 3, 4);
        return;
    }
    *(uint16_t *)(void *)at = b[4] | (uint16_t)((b[5] & 1) << 8);
    *(uint16_t *)(void *)(at + 2) = b[6] % NDOM;
    *(uint32_t *)(void *)(at + 4) = b[5] % 64;
    *(uint64_t *)(void *)(at + 8) = b[5] % 64;
    if (gt->nr_status && b[7] & 2)
        gt->status[0][b[3] % 16] = b[6];
}

static void op(unsigned dom, unsigned cmd, const uint8_t *b)
{
    static uint32_t last_handle[4];
    union {
        struct gnttab_map_grant_ref map;
        struct gnttab_unmap_grant_ref unmap;
        struct gnttab_setup_table setup;
        struct gnttab_copy copy;
        struct gnttab_unmap_and_replace replace;
        struct gnttab_get_status_frames status;
        uint8_t raw[64];
    } a = {0};

    memcpy(a.raw, b + 2, 6);
    switch (cmd) {
    case GNTTABOP_map_grant_ref:
        a.map = (struct gnttab_map_grant_ref){
            .host_addr = b[2], .flags = b[3], .ref = b[4], .dom = b[5] % 4};
        break;
    case GNTTABOP_unmap_grant_ref:
        a.unmap = (struct gnttab_unmap_grant_ref){.host_addr = b[2],
                                                 .dev_bus_addr = (uint64_t)b[3] << 12,
                                                 .handle = last_handle[b[4] % 4]};
        break;
    case GNTTABOP_unmap_and_replace:
        a.replace = (struct gnttab_unmap_and_replace){
            .host_addr = b[2], .new_addr = b[3], .handle = last_handle[b[4] % 4]};
        break;
    case GNTTABOP_setup_table:
        a.setup = (struct gnttab_setup_table){.dom = b[2] & 3 ? DOMID_SELF : b[3] % 4,
                                             .nr_frames = b[4] % 10};
        set_xen_guest_handle(a.setup.frame_list, frames);
        break;
    case GNTTABOP_get_status_frames:
        a.status = (struct gnttab_get_status_frames){.dom = DOMID_SELF, .nr_frames = b[4] % 4};
        set_xen_guest_handle(a.status.frame_list, frames);
        break;
    case GNTTABOP_copy:
        a.copy.flags = b[2] & 3;
        a.copy.source.domid = b[2] & 1 ? b[2] >> 2 & 3 : DOMID_SELF;
        a.copy.dest.domid = b[2] & 2 ? b[2] >> 4 & 3 : DOMID_SELF;
        a.copy.source.u.gmfn = b[3] % 70;
        a.copy.dest.u.gmfn = b[4] % 70;
        a.copy.source.offset = (uint16_t)(b[5] * 16);
        a.copy.dest.offset = (uint16_t)(b[6] * 16);
        a.copy.len = (uint16_t)(b[7] * 17);
        break;
    }
    (void)env_op(dom, cmd, &a, 1);
    if (cmd == GNTTABOP_map_grant_ref && !a.map.status)
        last_handle[b[6] % 4] = a.map.handle;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    env_setup();
    for (unsigned steps = 0; size >= 8 && steps < 300; steps++, data += 8, size -= 8) {
        unsigned dom = data[0] % NDOM, cmd = data[1] % 18;

        if (env_hyp_next > ENV_FRAMES - 20)
            break;
        if (cmd >= 15)
            scribble(dom, data);
        else if (cmd == 14)
            host_zalloc_fail = data[2] % 8;
        else if (cmd == 13)
            env_alloc_fail = data[2] % 8;
        else if (!env[dom]->dying)
            op(dom, cmd, data);
        if (data[1] == 255 && !env[dom]->dying)
            env_kill(dom);
        if (env_check())
            abort();
    }
    env_teardown();
    return 0;
}
