/* SPDX-License-Identifier: MIT */
/*
 * Any bytes through the decoder and the read-modify-write planner: no fault, lengths within bounds, a
 * prefix of an instruction always asks for more, computing twice gives the same.
 *
 * sources: hypervisor/pv/insn.c hypervisor/pv/insn_rmw.c
 */
#include <stdlib.h>
#include <string.h>

#include "pv_insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void one(const uint8_t *b, unsigned n, bool code64, const struct cpu_user_regs *regs)
{
    struct cpu_user_regs r = *regs;
    struct pv_insn in, again;
    struct pv_rmw_plan p;
    struct pv_rmw x, y;

    if (pv_insn_decode(&in, b, n, code64))
        return;
    check(in.len >= 1 && in.len <= INSN_MAX && in.len <= n);
    for (unsigned i = 0; i < in.len; i++)
        check(pv_insn_decode(&again, b, i, code64) == -XEN_EFAULT);
    (void)pv_insn_address(&in, &r, 0);
    if (pv_rmw_plan(&p, &in, &r))
        return;
    check(p.bytes == 1 || p.bytes == 2 || p.bytes == 4 || p.bytes == 8);
    pv_rmw_compute(&x, &p, &in, &r, regs->r15);
    pv_rmw_compute(&y, &p, &in, &r, regs->r15);
    check(!memcmp(&x, &y, sizeof(x)));
    check(p.bytes == 8 || !(x.new_val >> (8 * p.bytes)));
    (void)pv_rmw_commit(&x, &p, &in, &r);
    check(r.rip == regs->rip && r.cs == regs->cs && r.ss == regs->ss);
    check(!((r.rflags ^ regs->rflags) & ~0x8d5ULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cpu_user_regs regs;
    uint8_t b[INSN_MAX];
    unsigned n = size < INSN_MAX ? (unsigned)size : INSN_MAX;

    memset(&regs, 0x5a, sizeof(regs));
    if (n)
        memcpy(b, data, n);
    if (size > INSN_MAX)
        memcpy(&regs, data + INSN_MAX, MIN(size - INSN_MAX, sizeof(regs)));
    one(b, n, true, &regs);
    one(b, n, false, &regs);
    return 0;
}
