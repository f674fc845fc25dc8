/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's context that tools have read, changed and set again (to let a guest go on that had suspended): what the context cannot say
 * is as it was, the upper halves of vector registers among it; and a hostile MXCSR does not get through.
 * sources: hypervisor/pv/context.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "domain.h"
#include "page.h"
#include "pgt.h"
#include "port.h"
#include "x86/guest.h"
#include "x86/pv.h"
#include "x86/pv_emul.h"

#define XSTATE_BV 512
#define YMM 576 /* upper halves, in the standard form */

struct cpu_features cpu_features;
static struct x86_domain dom;
static struct x86_vcpu xv;
static uint8_t area[4096] __attribute__((aligned(64)));
static struct page frames[4];

bool mfn_valid(mfn_t m)
{
    return m.n < 4;
}
int pgt_get_page(struct page *pg, const struct domain *d, uint64_t type, bool may_stop)
{
    return type == PGT_L4 ? 0 : -XEN_EINVAL;
}
int pgt_put_page(struct page *pg, bool may_stop)
{
    return 0;
}
int pgt_drain(struct page *pg, bool may_stop)
{
    return 0;
}
int pv_set_dr(struct vcpu *v, unsigned reg, uint64_t val)
{
    return 0;
}
void pv_context_cr4(struct x86_vcpu *x, uint64_t val)
{
}
bool pv_kernel_address(uint64_t va)
{
    return true;
}
int pv_gdt_set(struct x86_vcpu *x, const uint64_t *list, unsigned entries)
{
    return 0;
}
void pv_gdt_drop(struct x86_vcpu *x)
{
}
void pv_ldt_drop(struct x86_vcpu *x)
{
}
int pv_ldt_frames_get(struct vcpu *v, mfn_t root, uint64_t base, unsigned pages, mfn_t *list)
{
    return 0;
}
void pv_ldt_frames_drop(const mfn_t *list, unsigned pages)
{
}
void pv_cr3_update(struct x86_vcpu *x)
{
}
void pv_iret_slow_update(struct x86_vcpu *x)
{
}

static struct vcpu_guest_context *make(void)
{
    struct vcpu_guest_context *c = calloc(1, sizeof(*c));

    frame_table = frames;
    frame_max = 4;
    memset(area, 0, sizeof(area));
    memset(&xv, 0, sizeof(xv));
    xv.v.domain = &dom.d;
    xv.fpu = (void *)area;
    xv.root = xv.root_user = INVALID_MFN;
    c->flags = VGCF_I387_VALID | VGCF_in_kernel;
    c->ctrlreg[3] = xen_pfn_to_cr3(1);
    memset(&c->fpu_ctxt, 0x11, sizeof(c->fpu_ctxt));
    return c;
}

static void test_vectors_stay(void **state)
{
    struct vcpu_guest_context *c = make();

    cpu_features.xsave = true;
    *(uint64_t *)(void *)(area + XSTATE_BV) = 7;
    memset(area + YMM, 0x77, 256);
    assert_int_equal(pv_context_set(&xv.v, c), 0);
    assert_int_equal(*(uint64_t *)(void *)(area + XSTATE_BV), 7);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(area[YMM + i], 0x77);
    assert_int_equal(area[0], 0x11);
    assert_int_equal(*(uint32_t *)(void *)(area + 24), 0x1111);
    free(c);
}

static void test_fresh(void **state)
{
    struct vcpu_guest_context *c = make();

    cpu_features.xsave = true;
    assert_int_equal(pv_context_set(&xv.v, c), 0);
    assert_int_equal(*(uint64_t *)(void *)(area + XSTATE_BV), 3);
    cpu_features.xsave = false;
    memset(area, 0, sizeof(area));
    assert_int_equal(pv_context_set(&xv.v, c), 0);
    assert_int_equal(*(uint64_t *)(void *)(area + XSTATE_BV), 0);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors_stay), cmocka_unit_test(test_fresh) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
