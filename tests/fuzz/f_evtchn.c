/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: bytes -> event channel operations of three domains, and writes into everything a guest can write
 * (event words, control blocks, shared_info), with the invariant checker after each step.
 * sources: hypervisor/common/evtchn.c hypervisor/common/evtchn_port.c hypervisor/common/evtchn_bind.c hypervisor/common/evtchn_op.c hypervisor/common/evtchn_2l.c hypervisor/common/evtchn_fifo.c hypervisor/common/evtchn_check.c
 */
#include "../unit/evtchn_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Change what a guest may change: 4 bytes somewhere in its FIFO pages, bitmaps or vcpu_info. */
static void scribble(unsigned dom, uint16_t where, uint32_t val)
{
    uint32_t *at;

    switch (where >> 14) {
    case 0:
        at = (uint32_t *)env[dom]->shared.evtchn_pending + where % 128;
        break;
    case 1:
        at = (uint32_t *)env[dom]->shared.evtchn_mask + where % 128;
        break;
    default:
        at = (uint32_t *)map_frame(mfn(3 * (where >> 10 & 15) + dom)) + where % 1024;
    }
    *at = val;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    env_setup();
    for (unsigned steps = 0; size >= 8 && steps < 200; steps++, data += 8, size -= 8) {
        unsigned dom = data[0] % NDOM, vcpu = data[0] / NDOM % NVCPU, cmd = data[1] % 18;
        uint32_t arg[8];
        uint16_t where;

        memcpy(&where, data + 2, 2);
        memcpy(&arg[7], data + 4, 4);
        if (cmd == 17) {
            scribble(dom, where, arg[7]);
            continue;
        }
        if (cmd == 16) {
            host_zalloc_fail = data[2] % 8;
            continue;
        }
        if (cmd == 15) {
            virq_raise_domain(&env[dom]->d, VIRQ_CONSOLE);
            virq_raise_vcpu(env[dom]->vp[vcpu], VIRQ_TIMER);
            evtchn_pirq_raise(&env[dom]->d, data[2]);
        }
        /* Arguments: small numbers in the first bytes, a large one at times. */
        arg[0] = data[2] | (uint32_t)data[3] << 16;
        arg[1] = data[4];
        arg[2] = data[5];
        arg[3] = data[6];
        if (cmd == EVTCHNOP_init_control || cmd == EVTCHNOP_expand_array) {
            arg[0] = 3u * (data[2] % 16) + dom;
            arg[1] = 0;
            arg[2] = data[4] & 0x80 ? arg[7] : 0;
            arg[3] = data[6] % 3;
        }
        if (cmd == EVTCHNOP_bind_interdomain)
            arg[0] = data[2] % 4;
        if (data[7] == 255)
            arg[0] = arg[7];
        (void)env_op(dom, vcpu, cmd, arg);
        if (env_check())
            abort();
    }
    host_zalloc_fail = 0;
    env_teardown();
    return 0;
}
