/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary arguments of domctl and sysctl, several after each other, by a caller whose buffers are small. Nothing may
 * reach memory that is not the caller's, no reference or lock may be left, and what is created is within bounds
 * (domctl_env.h). Input: records of a byte (bit 0: sysctl, bit 1: give way, bit 2: handles point to the buffer, bit
 * 3: usual version), a command, a domain, and 64 bytes of the union.
 * sources: hypervisor/common/domctl.c hypervisor/common/domctl_create.c hypervisor/common/domctl_life.c
 * sources: hypervisor/common/domctl_info.c hypervisor/common/sysctl.c
 */
#include "../unit/domctl_env.h"

#define BODY 64
#define RECORD (3 + BODY)
#define ROUNDS 32

static union {
    struct xen_domctl d;
    struct xen_sysctl s;
} arg;
static uint8_t buffer[2 * sizeof(struct xen_domctl_getdomaininfo)];

/* Where the handles of the calls here are in the union. */
static void point_to_buffer(void)
{
    arg.d.u.nodeaffinity.nodemap.bitmap.p = buffer;
}

static void run_one(const uint8_t *r)
{
    memset(&arg, 0, sizeof(arg));
    host_preempt_every = r[0] & 2 ? 1 : 0;
    if (r[0] & 1) {
        arg.s.cmd = r[1] % 32;
        arg.s.interface_version = r[0] & 8 ? XEN_SYSCTL_INTERFACE_VERSION : r[2];
        memcpy(&arg.s.u, r + 3, BODY);
        if (r[0] & 4)
            arg.s.u.getdomaininfolist.buffer.p = (void *)buffer;
        do_sysctl(&e_v0, (uint64_t)(uintptr_t)&arg, 0, 0, 0, 0);
        return;
    }
    arg.d.cmd = r[1];
    arg.d.domain = r[2] < 16 ? r[2] : (uint16_t)(r[2] << 8 | r[2]);
    arg.d.interface_version = r[0] & 8 ? XEN_DOMCTL_INTERFACE_VERSION : r[2];
    memcpy(&arg.d.u, r + 3, BODY);
    if (r[0] & 4)
        point_to_buffer();
    do_domctl(&e_v0, (uint64_t)(uintptr_t)&arg, 0, 0, 0, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    env_init();
    host_guest_allow(&arg, sizeof(arg));
    host_guest_allow(buffer, sizeof(buffer));
    for (unsigned n = 0; n < ROUNDS && size >= RECORD; n++, data += RECORD, size -= RECORD) {
        run_one(data);
        if (e_refs || e_dom0.domctl_lock.cpu)
            abort();
    }
    env_done();
    return 0;
}
