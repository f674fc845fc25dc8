/* SPDX-License-Identifier: MIT */
/*
 * Surroundings of control calls about processors and the machine, for tests/unit/t_sysctl.c and
 * tests/fuzz/f_policy.c: domain 0 that calls, domain 5 with one vCPU that never ran, a machine of 1000 frames.
 */
#pragma once

#include <string.h>

#include "console.h"
#include "domain.h"
#include "domctl.h"
#include "port_host.h"
#include "sysctl.h"
#include "vtime.h"
#include "x86/context.h"
#include "x86/guest.h"
#include "x86/pci.h"
#include "x86/policy.h"
#include "x86/smp.h"
#include "x86/time.h"

struct cpu_features cpu_features;
uint32_t cpu_apicid[MAX_CPUS], cpu_acpiid[MAX_CPUS];
static struct x86_domain ctl_dom0, ctl_guest;
static struct x86_vcpu ctl_v0, ctl_guest_v;
static struct vcpu *ctl_vcpus[2];
static const char *ctl_refusal;
static bool ctl_ring_cleared;
static char ctl_keys[16];
static int ctl_pauses;

uint64_t time_tsc_hz(void) { return 2000000000; }
bool time_tsc_in_step(void) { return true; }
void time_scale_now(struct time_scale *s) { *s = (struct time_scale){.stamp_ns = 1, .mul = 1u << 31}; }
void vtime_forget_vcpu(struct vcpu *v) {}
void vtime_update_wallclock(struct domain *d) {}
uint64_t frames_total(void) { return 1000; }
uint64_t frames_free_count(void) { return 300; }
uint64_t frames_claimed(void) { return 40; }
uint64_t sched_idle_time(unsigned cpu) { return 1000 + cpu; }
const struct sched_ops *sched_policy(void)
{
    static const struct sched_ops ops = {.id = 6};

    return &ops;
}
const char *arch_guests_refused(void) { return ctl_refusal; }
struct pci_dev *pci_find(unsigned seg, unsigned bus, unsigned devfn) { return NULL; }
void domain_put(struct domain *d) {}
void domain_ref(struct domain *d) {}
struct domain *domain_get(uint16_t id) { return id == 5 ? &ctl_guest.d : id ? NULL : &ctl_dom0.d; }
struct domain *domain_next(struct domain *after)
{
    return !after ? &ctl_dom0.d : after == &ctl_dom0.d ? &ctl_guest.d : NULL;
}
void domain_pause(struct domain *d) { ctl_pauses++; }
void domain_unpause(struct domain *d) { ctl_pauses--; }
void vcpu_pause(struct vcpu *v) { ctl_pauses++; }
void vcpu_unpause(struct vcpu *v) { ctl_pauses--; }
void vcpu_state_sync(struct vcpu *v) {}
uint32_t console_ring_start(void) { return 100; }
size_t console_ring_read(char *to, size_t n, uint32_t *index, bool clear)
{
    size_t i;

    for (i = 0; i < n && *index < 110; i++)
        to[i] = (char)('0' + (*index)++ - 100);
    ctl_ring_cleared |= clear;
    return i;
}
void key_pressed(char key) { ctl_keys[strlen(ctl_keys)] = key; }

static inline void ctl_features(void)
{
    uint32_t r[4];

    memset(&cpu_features, 0, sizeof(cpu_features));
    cpuid(0, 0, r);
    cpu_features.max_leaf = r[0];
    cpu_features.intel = r[1] == 0x756e6547;
    cpu_features.amd = r[1] == 0x68747541;
    cpu_features.xsave = true;
    cpuid(0xd, 0, r);
    cpu_features.xcr0 = r[0] & 0xe7;
}

static inline void ctl_env_init(void)
{
    host_reset();
    ctl_features();
    policies_init();
    memset(&ctl_dom0, 0, sizeof(ctl_dom0));
    memset(&ctl_guest, 0, sizeof(ctl_guest));
    memset(&ctl_v0, 0, sizeof(ctl_v0));
    memset(&ctl_guest_v, 0, sizeof(ctl_guest_v));
    memset(ctl_keys, 0, sizeof(ctl_keys));
    ctl_dom0.d.privileged = ctl_dom0.d.hardware = true;
    spin_init(&ctl_guest.d.domctl_lock, "domctl", RANK_DOMCTL);
    ctl_guest.d.id = 5;
    ctl_guest.d.max_vcpus = 1;
    ctl_guest.d.vcpu = ctl_vcpus;
    ctl_vcpus[0] = &ctl_guest_v.v;
    ctl_guest_v.v.domain = &ctl_guest.d;
    ctl_v0.v.domain = &ctl_dom0.d;
    ctl_refusal = NULL;
    ctl_ring_cleared = false;
    ctl_pauses = 0;
}
