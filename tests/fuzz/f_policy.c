/* SPDX-License-Identifier: MIT */
/*
 * set_cpu_policy with arbitrary leaves and MSRs over the default policy, by a caller that changes its memory after
 * the first look. Whatever is accepted must be no more than the maximum and survive being read and set again.
 * Input: records of a byte (bit 7: MSR, bit 6: one that exists; else bit 0: no subleaf) and 24 bytes.
 *
 * sources: hypervisor/common/sysctl.c hypervisor/common/domctl.c hypervisor/common/sysctl_info.c
 * sources: hypervisor/common/sysctl_console.c hypervisor/common/timescale.c hypervisor/x86/vcpu_ctl.c
 * sources: hypervisor/x86/policy.c hypervisor/x86/policy_make.c hypervisor/x86/policy_check.c
 * sources: hypervisor/x86/policy_ctl.c hypervisor/x86/physinfo.c hypervisor/x86/time/guest_tsc.c
 */
#include <stdlib.h>

#include "ctl_env.h"

#define LIST_MAX 64

static xen_cpuid_leaf_t leaves[LIST_MAX], back[128];
static xen_msr_entry_t msrs[LIST_MAX], mback[8];

static long call(uint32_t cmd, xen_cpuid_leaf_t *l, uint32_t nl, xen_msr_entry_t *m, uint32_t nm)
{
    static struct xen_domctl op;

    memset(&op, 0, sizeof(op));
    op.cmd = cmd;
    op.domain = 5;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.u.cpu_policy.nr_leaves = nl;
    op.u.cpu_policy.nr_msrs = nm;
    op.u.cpu_policy.leaves.p = l;
    op.u.cpu_policy.msrs.p = m;
    return do_domctl(&ctl_v0.v, (uint64_t)(uintptr_t)&op, 0, 0, 0, 0);
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_accepted(void)
{
    static struct cpu_policy was;
    struct policy_fault f;
    unsigned slot = 0, n = 0;

    was = *policy_of(&ctl_guest.d);
    must(!policy_check(&was, &policy_pv_max, &f));
    must(!(policy_xcr0(&was) & ~policy_xcr0(&policy_pv_max)));
    while (policy_next_leaf(&was, &slot, &back[n]))
        n++;
    must(n <= policy_max_leaves());
    must(!call(XEN_DOMCTL_get_cpu_policy, back, 128, mback, 8));
    must(!call(XEN_DOMCTL_set_cpu_policy, back, n, mback, POLICY_MSRS));
    must(!memcmp(&was, policy_of(&ctl_guest.d), sizeof(was)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    uint32_t nl = 0, nm = 0;

    if (!ready)
        ctl_env_init();
    ready = true;
    for (; size > sizeof(leaves[0]) && nl < LIST_MAX && nm < LIST_MAX; data += 25, size -= 25) {
        if (data[0] & 0x80) {
            memcpy(&msrs[nm], data + 1, sizeof(msrs[0]));
            if (data[0] & 0x40)
                msrs[nm].idx = data[0] & 1 ? 0xce : 0x10a, msrs[nm].flags = 0;
            nm++;
            continue;
        }
        memcpy(&leaves[nl], data + 1, sizeof(leaves[0]));
        leaves[nl].leaf &= 0xc00000ffu; /* mostly leaves that mean something */
        if (data[0] & 1)
            leaves[nl].subleaf = XEN_CPUID_NO_SUBLEAF;
        nl++;
    }
    host_guest_watch(leaves, sizeof(leaves), 0x5a);
    if (!call(XEN_DOMCTL_set_cpu_policy, leaves, nl, msrs, nm))
        check_accepted();
    must(host_watch_max() <= 1);
    host_guest_clear();
    policy_domain_free(&ctl_guest.d);
    must(!host_zalloc_live);
    return 0;
}
