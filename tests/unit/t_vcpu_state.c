/* SPDX-License-Identifier: MIT */
/*
 * What save and restore do with vCPUs: the context out and in again, callbacks, extended FPU state, the page of hypercall
 * stubs. Whatever comes in is checked as if the guest had said it.
 * sources: hypervisor/pv/domctl_vcpu.c hypervisor/pv/domctl_pv.c hypervisor/pv/context.c hypervisor/x86/policy.c hypervisor/pv/pgt.c hypervisor/pv/pgt_entries.c hypervisor/pv/pgt_update.c hypervisor/pv/pgt_check.c hypervisor/pv/pgt_sweep.c hypervisor/pv/mmu_update.c hypervisor/pv/mmuext.c hypervisor/pv/descriptors.c hypervisor/common/page_refs.c hypervisor/common/frames.c hypervisor/common/memory_op.c hypervisor/common/memory_exchange.c
 */
#include "pgt_env.h"

#include "domctl.h"
#include "x86/context.h"
#include "x86/policy.h"
#include "x86/pv_emul.h"

#include <cmocka.h>

#define XSAVE_SIZE 832 /* x87, SSE, AVX */

static uint64_t seed = 1;
static int pauses;

unsigned env_rand(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (unsigned)(seed >> 33) % below : 0;
}

/* --- around ------------------------------------------------------------------------------------------------ */

const uint64_t pv_vm_assist_known = 0xff;
void vcpu_pause(struct vcpu *v) { pauses++; }
void vcpu_unpause(struct vcpu *v) { pauses--; }
void vcpu_state_sync(struct vcpu *v) { assert_int_equal(pauses, 1); }
void vcpu_up(struct vcpu *v) { v->pause_flags &= ~(uint32_t)VPF_DOWN; }
void pv_iret_slow_update(struct x86_vcpu *xv) {}
uint64_t pv_guest_cr0(const struct x86_vcpu *xv) { return 0x8005003b | (xv->cr0 & CR0_TS); }
uint64_t pv_guest_cr4(const struct x86_vcpu *xv) { return xv->cr4; }
void pv_context_cr4(struct x86_vcpu *xv, uint64_t val) { xv->cr4 = val & 0x4062c; }
static struct cpu_policy policy;
const struct cpu_policy *policy_of(const struct domain *of) { return &policy; }
bool pv_xcr0_valid(const struct domain *of, uint64_t val) { return (val & 1) && !(val & ~policy_xcr0(&policy)); }
bool pv_kernel_address(uint64_t va) { return (int64_t)va >> 47 == 0 || (int64_t)va >> 47 == -1; }
int pv_set_dr(struct vcpu *v, unsigned dr, uint64_t val)
{
    to_x86(v)->dr[dr] = val;
    return dr < 4 && !pv_kernel_address(val) ? -XEN_EINVAL : 0;
}

int pv_get_dr(struct vcpu *v, unsigned dr, uint64_t *val)
{
    *val = to_x86(v)->dr[dr];
    return 0;
}

static uint8_t fpu[E_VCPUS][XSAVE_SIZE] __attribute__((aligned(64)));
static struct x86_vcpu *xv;
static struct domain *d;

/* Components that the domain's policy has; AVX stands behind the header as the processor says. */
static void policy_set(uint32_t xcr0)
{
    memset(&policy, 0, sizeof(policy));
    policy.r[policy_slot(0xd, 0)][EAX] = xcr0;
    policy.r[policy_slot(0xd, 2)][EAX] = XSAVE_SIZE - 576;
    policy.r[policy_slot(0xd, 2)][EBX] = 576;
}

static void start(void)
{
    env_setup();
    policy_set(7);
    d = &e_dom[1].d;
    pauses = 0;
    e_patient = true;
    cpu_features.xsave = true;
    cpu_features.xcr0 = 7;
    cpu_features.xsave_size = XSAVE_SIZE;
    memset(fpu, 0, sizeof(fpu));
    for (unsigned k = 0; k < E_VCPUS; k++) {
        xv = &e_vcpu[1][k];
        xv->fpu = fpu[k];
        xv->v.pause_flags = VPF_DOWN;
        xv->xcr0 = 1;
    }
    xv = &e_vcpu[1][0];
}

static long ext(uint32_t get, uint32_t vcpu, uint64_t size, uint64_t mask, void *buffer, struct xen_domctl_vcpuextstate *out)
{
    struct xen_domctl op = {.u.vcpuextstate = {.vcpu = vcpu, .size = size, .xfeature_mask = mask}};
    long rc;

    op.u.vcpuextstate.buffer.p = buffer;
    rc = get ? domctl_getvcpuextstate(e_vcpus[0][0], d, &op) : domctl_setvcpuextstate(e_vcpus[0][0], d, &op);
    assert_int_equal(pauses, 0);
    if (out)
        *out = op.u.vcpuextstate;
    return rc;
}

static void test_extstate(void **state)
{
    static uint8_t area[16 + XSAVE_SIZE], back[16 + XSAVE_SIZE];
    struct xen_domctl_vcpuextstate e;
    uint64_t *word = (uint64_t *)area, *header = (uint64_t *)(area + 16 + 512);

    start();
    assert_int_equal(ext(1, 9, 0, 0, NULL, NULL), -XEN_ESRCH);
    assert_int_equal(ext(1, 0, 0, 0, NULL, &e), 0);
    assert_int_equal(e.size, sizeof(area));
    assert_int_equal(e.xfeature_mask, 7);
    assert_int_equal(ext(1, 0, sizeof(area) - 1, 7, back, NULL), -XEN_EINVAL);
    assert_int_equal(ext(1, 0, sizeof(area), 3, back, NULL), -XEN_EINVAL);
    assert_int_equal(ext(1, 0, sizeof(area), 7, (void *)8, NULL), -XEN_EFAULT);
    /* in and out again */
    for (unsigned i = 0; i < sizeof(area); i++)
        area[i] = (uint8_t)(i * 7 + 1);
    word[0] = 7;
    word[1] = 7;
    memset(header, 0, 64);
    header[0] = 7;
    *(uint32_t *)(area + 16 + 24) = 0x1f80;
    assert_int_equal(ext(0, 0, sizeof(area), 0, area, NULL), 0);
    assert_int_equal(xv->xcr0, 7);
    assert_int_equal(ext(1, 0, sizeof(area), 7, back, NULL), 0);
    assert_memory_equal(area, back, sizeof(area));
    /* what XRSTOR would not take, or what the guest may not have */
    header[0] = 15;
    assert_int_equal(ext(0, 0, sizeof(area), 0, area, NULL), -XEN_EINVAL);
    header[0] = 7;
    header[1] = 1ULL << 63;
    assert_int_equal(ext(0, 0, sizeof(area), 0, area, NULL), -XEN_EINVAL);
    header[1] = 0;
    word[0] = 6;
    assert_int_equal(ext(0, 0, sizeof(area), 0, area, NULL), -XEN_EINVAL);
    word[0] = 15;
    assert_int_equal(ext(0, 0, sizeof(area), 0, area, NULL), -XEN_EINVAL);
    assert_int_equal(ext(0, 0, 8, 0, area, NULL), -XEN_EINVAL);
    assert_int_equal(ext(0, 0, sizeof(area) + 1, 0, area, NULL), -XEN_EINVAL);
    assert_int_equal(ext(0, 0, 16 + 100, 0, area, NULL), -XEN_EINVAL);
    assert_int_equal(ext(0, 0, sizeof(area), 0, (void *)8, NULL), -XEN_EFAULT);
    assert_int_equal(xv->xcr0, 7);
    /* MXCSR's reserved bits go */
    word[0] = 7;
    *(uint32_t *)(area + 16 + 24) = 0xffffffff;
    assert_int_equal(ext(0, 0, sizeof(area), 0, area, NULL), 0);
    assert_int_equal(*(uint32_t *)(fpu[0] + 24), 0xffff);
    /* XCR0 alone */
    word[0] = 3;
    assert_int_equal(ext(0, 0, 16, 0, area, NULL), 0);
    assert_int_equal(xv->xcr0, 3);
    cpu_features.xsave = false;
    assert_int_equal(ext(0, 0, sizeof(area), 0, area, NULL), -XEN_EOPNOTSUPP);
    assert_int_equal(ext(1, 0, 0, 0, NULL, &e), 0);
    assert_int_equal(e.size, 0);
    env_finish();
}

/* A guest whose policy has less than the processor: its area is as small on every host, and no more comes out or goes in. */
static void test_extstate_of_policy(void **state)
{
    static uint8_t area[16 + XSAVE_SIZE];
    struct xen_domctl_vcpuextstate e;
    uint64_t *word = (uint64_t *)area, *header = (uint64_t *)(area + 16 + 512);
    const uint32_t size = 16 + 576;

    start();
    memset(fpu[0], 0xa5, sizeof(fpu[0]));
    memset(fpu[0] + 512, 0, 64);
    fpu[0][512] = 7; /* as if AVX registers of an earlier policy were still there */
    policy_set(3);
    assert_int_equal(ext(1, 0, 0, 0, NULL, &e), 0);
    assert_int_equal(e.size, size);
    assert_int_equal(ext(1, 0, sizeof(area), 7, area, NULL), -XEN_EINVAL);
    memset(area, 0x5a, sizeof(area));
    assert_int_equal(ext(1, 0, size, 7, area, NULL), 0);
    assert_int_equal(header[0], 3);
    for (unsigned i = size; i < sizeof(area); i++)
        assert_int_equal(area[i], 0x5a);
    assert_int_equal(ext(0, 0, size, 0, area, NULL), 0);
    header[0] = 7;
    assert_int_equal(ext(0, 0, size, 0, area, NULL), -XEN_EINVAL);
    header[0] = 3;
    word[0] = 7;
    assert_int_equal(ext(0, 0, size, 0, area, NULL), -XEN_EINVAL);
    env_finish();
}

static void test_hypercall_page(void **state)
{
    struct xen_domctl op = {.u.hypercall_init = {.gmfn = e_frames[1][30]}};
    uint8_t *p;

    start();
    op.u.hypercall_init.gmfn = e_frames[1][30];
    assert_int_equal(domctl_hypercall_init(e_vcpus[0][0], d, &op), 0);
    p = map_frame(mfn(e_frames[1][30]));
    for (unsigned nr = 0; nr < FRAME_SIZE / 32; nr++) {
        const uint8_t *s = p + nr * 32, *mov = nr == __HYPERVISOR_iret ? s + 4 : s + 3;
        uint32_t said;

        assert_int_equal(mov[0], 0xb8); /* mov $nr, %eax; syscall */
        memcpy(&said, mov + 1, 4);
        assert_int_equal(said, nr);
        assert_int_equal(mov[5] << 8 | mov[6], 0x0f05);
    }
    op.u.hypercall_init.gmfn = e_frames[2][30]; /* somebody else's */
    assert_int_equal(domctl_hypercall_init(e_vcpus[0][0], d, &op), -XEN_EACCES);
    op.u.hypercall_init.gmfn = ~0ULL;
    assert_int_equal(domctl_hypercall_init(e_vcpus[0][0], d, &op), -XEN_EACCES);
    env_finish();
}

/* --- contexts ------------------------------------------------------------------------------------------------- */

static struct vcpu_guest_context in, out;

static long context(bool get, uint32_t vcpu, struct vcpu_guest_context *c)
{
    struct xen_domctl op = {.u.vcpucontext = {.vcpu = vcpu}};
    long rc;

    op.u.vcpucontext.ctxt.p = (void *)c;
    rc = get ? domctl_getvcpucontext(e_vcpus[0][0], d, &op) : domctl_setvcpucontext(e_vcpus[0][0], d, &op);
    assert_int_equal(pauses, 0);
    return rc;
}

static void make_context(void)
{
    memset(&in, 0, sizeof(in));
    in.flags = VGCF_in_kernel | VGCF_online | VGCF_I387_VALID;
    in.user_regs.rip = 0xffffffff81000010;
    in.user_regs.rsp = 0xffffffff82000000;
    in.user_regs.rax = 77;
    in.user_regs.rflags = 0x246;
    in.user_regs.cs = 0xe033;
    in.user_regs.ss = 0xe02b;
    in.ctrlreg[3] = xen_pfn_to_cr3(e_frames[1][0]);
    in.ctrlreg[1] = xen_pfn_to_cr3(e_frames[1][1]);
    in.ctrlreg[4] = 0x20;
    in.kernel_sp = 0xffffffff82001000;
    in.kernel_ss = 0xe02b;
    in.gs_base_kernel = 0xffffffff83000000;
    in.fs_base = 0x7f0000001000;
    in.event_callback_eip = 0xffffffff81000100;
    in.failsafe_callback_eip = 0xffffffff81000200;
    in.syscall_callback_eip = 0xffffffff81000300;
    in.gdt_frames[0] = e_frames[1][40];
    in.gdt_ents = 512;
    in.vm_assist = 2;
    for (unsigned i = 0; i < 256; i++)
        in.trap_ctxt[i] = (struct trap_info){.vector = (uint8_t)i, .cs = 0xe033, .address = 0xffffffff81001000 + i * 16};
}

static void test_context(void **state)
{
    start();
    make_context();
    assert_int_equal(context(true, 0, &out), -XEN_ENODATA); /* has none yet */
    assert_int_equal(context(false, 7, &in), -XEN_EINVAL);
    assert_int_equal(context(false, 0, &in), 0);
    env_check();
    assert_false(xv->v.pause_flags & VPF_DOWN);
    assert_int_equal(context(true, 0, &out), 0);
    assert_int_equal(out.user_regs.rip, in.user_regs.rip);
    assert_int_equal(out.user_regs.rax, 77);
    assert_int_equal(out.ctrlreg[3], in.ctrlreg[3]);
    assert_int_equal(out.ctrlreg[1], in.ctrlreg[1]);
    assert_int_equal(out.kernel_sp, in.kernel_sp);
    assert_int_equal(out.gdt_ents, 512);
    assert_int_equal(out.gdt_frames[0], in.gdt_frames[0]);
    assert_int_equal(out.event_callback_eip, in.event_callback_eip);
    assert_int_equal(out.syscall_callback_eip, in.syscall_callback_eip);
    assert_int_equal(out.fs_base, in.fs_base);
    assert_int_equal(out.gs_base_kernel, in.gs_base_kernel);
    assert_memory_equal(out.trap_ctxt, in.trap_ctxt, sizeof(in.trap_ctxt));
    assert_true(out.flags & VGCF_in_kernel);
    assert_true(out.flags & VGCF_online);
    /* a suspend that was taken back: the tools change what the call returned, nothing else */
    out.user_regs.rax = 1;
    assert_int_equal(context(false, 0, &out), 0);
    assert_int_equal(xv->regs.rax, 1);
    assert_int_equal(xv->regs.rip, in.user_regs.rip);
    env_check();
    env_finish();
}

static void test_context_refused(void **state)
{
    uint64_t other;

    start();
    other = e_frames[2][0];
    for (unsigned bad = 0; bad < 8; bad++) {
        make_context();
        switch (bad) {
        case 0: in.user_regs.rip = 1ULL << 50; break;
        case 1: in.ctrlreg[3] = xen_pfn_to_cr3(other); break;
        case 2: in.ctrlreg[1] = xen_pfn_to_cr3(other); break;
        case 3: in.gdt_frames[0] = other; break;
        case 4: in.gdt_ents = 9000; break;
        case 5: in.ldt_ents = 9000; break;
        case 6: in.trap_ctxt[3].address = 1ULL << 50; break;
        case 7: in.debugreg[0] = 1ULL << 50; break;
        }
        assert_int_equal(context(false, 0, &in), -XEN_EINVAL);
        assert_true(mfn_eq(xv->root, INVALID_MFN));
        assert_true(xv->v.pause_flags & VPF_DOWN);
        env_check(); /* nothing is held */
    }
    assert_int_equal(context(false, 0, (void *)8), -XEN_EFAULT);
    env_finish();
}

static void test_callbacks(void **state)
{
    struct xen_domctl op = {.u.ext_vcpucontext = {.vcpu = 0, .size = sizeof(op.u.ext_vcpucontext)}};

    start();
    op.u.ext_vcpucontext.syscall32_callback_eip = 0xffffffff81000400;
    op.u.ext_vcpucontext.syscall32_disables_events = 1;
    assert_int_equal(domctl_set_ext_vcpucontext(e_vcpus[0][0], d, &op), 0);
    memset(&op, 0, sizeof(op));
    assert_int_equal(domctl_get_ext_vcpucontext(e_vcpus[0][0], d, &op), 0);
    assert_int_equal(op.u.ext_vcpucontext.syscall32_callback_eip, 0xffffffff81000400);
    assert_int_equal(op.u.ext_vcpucontext.syscall32_disables_events, 1);
    op.u.ext_vcpucontext.syscall32_callback_eip = 1ULL << 50;
    assert_int_equal(domctl_set_ext_vcpucontext(e_vcpus[0][0], d, &op), -XEN_EINVAL);
    op.u.ext_vcpucontext.vcpu = 8;
    assert_int_equal(domctl_get_ext_vcpucontext(e_vcpus[0][0], d, &op), -XEN_ESRCH);
    env_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extstate), cmocka_unit_test(test_extstate_of_policy),
        cmocka_unit_test(test_hypercall_page), cmocka_unit_test(test_context),
        cmocka_unit_test(test_context_refused), cmocka_unit_test(test_callbacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
