/* SPDX-License-Identifier: MIT */
/* What the processors have, by CPUID on the boot CPU, narrowed by the command line. */
#include "cmdline.h"
#include "lib.h"
#include "log.h"
#include "x86/cpu.h"

struct cpu_features cpu_features;

static void find_names(struct cpu_features *f)
{
    uint32_t r[4];

    cpuid(0, 0, r);
    f->max_leaf = r[0];
    memcpy(f->vendor, &r[1], 4);
    memcpy(f->vendor + 4, &r[3], 4);
    memcpy(f->vendor + 8, &r[2], 4);
    f->amd = !strcmp(f->vendor, "AuthenticAMD") || !strcmp(f->vendor, "HygonGenuine");
    f->intel = !strcmp(f->vendor, "GenuineIntel");
    cpuid(0x80000000, 0, r);
    f->max_ext = r[0];
    cpuid(1, 0, r);
    f->family = (r[0] >> 8) & 15;
    f->model = (r[0] >> 4) & 15;
    f->stepping = r[0] & 15;
    if (f->family == 15 || f->family == 6)
        f->model |= (r[0] >> 12) & 0xf0;
    if (f->family == 15)
        f->family += (r[0] >> 20) & 255;
    f->leaf1_c = r[2];
    f->leaf1_d = r[3];
}

/* Components whose state we can carry: x87, SSE, AVX, AVX-512 (three), PKRU is not offered to PV guests. */
#define XCR0_WANTED 0xe7ULL

static void find_xsave(struct cpu_features *f)
{
    uint32_t r[4];

    if (!(f->leaf1_c & BIT(26)) || f->max_leaf < 0xd || !opt.xsave)
        return;
    f->xsave = true;
    cpuid(0xd, 0, r);
    f->xcr0 = (r[0] | ((uint64_t)r[3] << 32)) & XCR0_WANTED;
    if ((f->xcr0 & 0xe0) != 0xe0)
        f->xcr0 &= ~0xe0ULL;
    f->xsave_size = 512 + 64;
    for (unsigned i = 2; i < 63; i++) {
        if (!(f->xcr0 & BIT(i)))
            continue;
        cpuid(0xd, i, r);
        f->xsave_size = MAX(f->xsave_size, r[0] + r[1]);
    }
    cpuid(0xd, 1, r);
    f->leafd1_a = r[0];
    f->xsaveopt = r[0] & 1;
}

#define EXT8_B_RSTR_FP_ERR_PTRS BIT(2)

void cpu_features_find(void)
{
    struct cpu_features *f = &cpu_features;
    uint32_t r[4];

    find_names(f);
    if (f->max_leaf >= 7) {
        cpuid(7, 0, r);
        f->leaf7_b = r[1];
        f->leaf7_c = r[2];
        f->leaf7_d = r[3];
    }
    cpuid(0x80000001, 0, r);
    f->ext1_c = r[2];
    f->ext1_d = r[3];
    f->phys_bits = 36;
    if (f->max_ext >= 0x80000008) {
        cpuid(0x80000008, 0, r);
        f->phys_bits = r[0] & 255;
        f->x87_pointers_stay = f->amd && !(r[1] & EXT8_B_RSTR_FP_ERR_PTRS);
    }
    if (f->max_ext >= 0x80000007) {
        cpuid(0x80000007, 0, r);
        f->tsc_invariant = r[3] & BIT(8);
    }
    f->nx = f->ext1_d & BIT(20);
    f->page1g = f->ext1_d & BIT(26);
    f->rdtscp = f->ext1_d & BIT(27);
    f->pge = f->leaf1_d & BIT(13);
    f->sysenter = f->leaf1_d & BIT(11);
    f->pcid = (f->leaf1_c & BIT(17)) && opt.pcid;
    f->invpcid = f->leaf7_b & BIT(10);
    f->x2apic = (f->leaf1_c & BIT(21)) && opt.x2apic;
    f->tsc_deadline = f->leaf1_c & BIT(24);
    f->hypervisor = f->leaf1_c & BIT(31);
    f->smep = (f->leaf7_b & BIT(7)) && opt.smep;
    f->smap = (f->leaf7_b & BIT(20)) && opt.smap;
    f->umip = (f->leaf7_c & BIT(2)) && opt.umip;
    f->fsgsbase = (f->leaf7_b & BIT(0)) && opt.fsgsbase;
    find_xsave(f);
    log_info("cpu: %s family %u model %u stepping %u, %u physical bits%s%s%s%s%s%s%s\n", f->vendor,
             f->family, f->model, f->stepping, f->phys_bits, f->nx ? " nx" : "",
             f->smep ? " smep" : "", f->smap ? " smap" : "", f->umip ? " umip" : "",
             f->fsgsbase ? " fsgsbase" : "", f->x2apic ? " x2apic" : "",
             f->tsc_deadline ? " tsc-deadline" : "");
    if (f->xsave)
        log_info("cpu: xsave, components %lx, %u bytes\n", f->xcr0, f->xsave_size);
}

#define LEAF_21_CPUID_USER_DIS BIT(17)

void cpu_features_find_msrs(void)
{
    struct cpu_features *f = &cpu_features;
    uint32_t r[4];
    uint64_t val;

    if ((f->leaf7_d & BIT(29)) && rdmsr_safe(MSR_ARCH_CAPS, &f->arch_caps))
        f->arch_caps = 0;
    if (f->intel && !rdmsr_safe(MSR_PLATFORM_INFO, &val) && (val & BIT(31)))
        f->cpuid_faulting = true;
    if (f->amd && f->max_ext >= 0x80000021) {
        cpuid(0x80000021, 0, r);
        f->cpuid_faulting = r[0] & LEAF_21_CPUID_USER_DIS;
    }
}
