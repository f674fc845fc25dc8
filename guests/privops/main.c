/* SPDX-License-Identifier: MIT */
/*
 * privops: privileged instructions in a PV kernel. Control registers, CPUID by the forced form,
 * model-specific registers and port I/O are emulated or refused as the ABI says; from user mode
 * nothing of it works unless the kernel gave it ports.
 */
#include "kit.h"

static uint64_t got;
static uint8_t bytes[16];

static void u_cr0(uint64_t a, uint64_t b)
{
    asm volatile("mov %%cr0, %0" : "=r"(got));
}
static void u_in71(uint64_t a, uint64_t b)
{
    uint8_t v;
    asm volatile("inb $0x71, %0" : "=a"(v));
    got = v;
}
static void u_in80(uint64_t a, uint64_t b)
{
    uint8_t v;
    asm volatile("inb $0x80, %0" : "=a"(v));
    got = v;
}
static void u_out80(uint64_t a, uint64_t b)
{
    asm volatile("outb %0, $0x80" : : "a"((uint8_t)1));
}
static void u_cli(uint64_t a, uint64_t b)
{
    asm volatile("cli");
}
static void u_rdmsr(uint64_t msr, uint64_t b)
{
    asm volatile("rdmsr" : : "c"(msr) : "rax", "rdx");
}

static int rdmsr(uint32_t msr, uint64_t *val)
{
    uint32_t lo = 0, hi = 0;
    int t = TRAPS(asm volatile("rdmsr"
                               : "=a"(lo), "=d"(hi)
                               : "c"(msr));
                  *val = (uint64_t)hi << 32 | lo);
    return t;
}

static int wrmsr(uint32_t msr, uint64_t val)
{
    return TRAPS(asm volatile("wrmsr"
                              :
                              : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))));
}

static void forced_cpuid(uint32_t leaf, uint32_t *r)
{
    asm volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2"
                 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                 : "a"(leaf), "c"(0));
}

static void control_registers(void)
{
    uint64_t v = 0, cr0;

    CHECK_TRAP("read-cr0", NOTRAP, asm volatile("mov %%cr0, %0" : "=r"(v)));
    CHECK("cr0-pe-pg-wp", (v & 0x80010001) == 0x80010001);
    cr0 = v;
    CHECK_TRAP("write-cr0-same", NOTRAP, asm volatile("mov %0, %%cr0" : : "r"(cr0)));
    CHECK_TRAP("write-cr0-ts", NOTRAP, asm volatile("mov %0, %%cr0" : : "r"(cr0 | 8)));
    TRAPS(asm volatile("mov %%cr0, %0" : "=r"(v)));
    CHECK_EQ("cr0-ts-set", v & 8, 8);
    CHECK_TRAP("clts", NOTRAP, asm volatile("clts"));
    TRAPS(asm volatile("mov %%cr0, %0" : "=r"(v)));
    CHECK_EQ("cr0-ts-clear", v & 8, 0);
    CHECK_TRAP("write-cr0-without-paging", VEC_GP,
               asm volatile("mov %0, %%cr0"
                            :
                            : "r"(cr0 & ~0x80000000UL)));
    CHECK_TRAP("write-cr2", NOTRAP, asm volatile("mov %0, %%cr2" : : "r"(0x123456UL)));
    CHECK_TRAP("read-cr2", NOTRAP, asm volatile("mov %%cr2, %0" : "=r"(v)));
    CHECK("cr2-value", v == 0x123456 && vinfo()->arch.cr2 == 0x123456);
    CHECK_TRAP("read-cr3", NOTRAP, asm volatile("mov %%cr3, %0" : "=r"(v)));
    CHECK_EQ("cr3-value", v, kit_top() << 12);
    CHECK_TRAP("write-cr3-same", NOTRAP, asm volatile("mov %0, %%cr3" : : "r"(v)));
    CHECK_TRAP("write-cr3-bad", VEC_GP,
               asm volatile("mov %0, %%cr3"
                            :
                            : "r"(va_maddr(bytes) & ~0xfffUL)));
    CHECK_TRAP("read-cr4", NOTRAP, asm volatile("mov %%cr4, %0" : "=r"(v)));
    CHECK("cr4-pae", v & 0x20);
    CHECK_TRAP("write-cr4-same", NOTRAP, asm volatile("mov %0, %%cr4" : : "r"(v)));
    TRAPS(asm volatile("mov %0, %%cr4" : : "r"(v | 1UL << 40))); /* #GP, or the bit is dropped */
    TRAPS(asm volatile("mov %%cr4, %0" : "=r"(v)));
    CHECK_EQ("write-cr4-reserved-not-kept", v >> 32, 0);
    CHECK_TRAP("read-cr8", VEC_GP, asm volatile("mov %%cr8, %0" : "=r"(v)));
    CHECK_EQ("user-read-cr0", kit_user(u_cr0, 0, 0), VEC_GP);
}

static void cpuid(void)
{
    uint32_t r[4], n[4];

    forced_cpuid(0x40000000, r);
    CHECK("cpuid-hypervisor-signature", !memcmp(&r[1], "XenVMMXenVMM", 12) && r[0] >= 0x40000001);
    forced_cpuid(0x40000001, r);
    CHECK_EQ("cpuid-hypervisor-version", r[0], 4 << 16 | 17);
    forced_cpuid(1, r);
    CHECK_EQ("cpuid-1-no-vmx", r[2] & 1 << 5, 0);
    CHECK_EQ("cpuid-1-no-pse-mtrr", r[3] & (1 << 3 | 1 << 17), 0);
    CHECK("cpuid-1-basics", (r[3] & (1 << 0 | 1 << 6 | 1 << 9 | 1 << 24 | 1 << 25 | 1 << 26)) ==
                                (1 << 0 | 1 << 6 | 1 << 9 | 1 << 24 | 1 << 25 | 1 << 26));
    forced_cpuid(0x80000001, r);
    CHECK_EQ("cpuid-ext-no-svm", r[2] & 4, 0);
    CHECK("cpuid-ext-syscall-nx-lm",
          (r[3] & (1 << 11 | 1 << 20 | 1 << 29)) == (1 << 11 | 1 << 20 | 1 << 29));
    CHECK_TRAP("cpuid-native", NOTRAP,
               asm volatile("cpuid"
                            : "=a"(n[0]), "=b"(n[1]), "=c"(n[2]), "=d"(n[3])
                            : "a"(0), "c"(0)));
    forced_cpuid(0, r);
    CHECK("cpuid-same-vendor", r[1] == n[1] && r[2] == n[2] && r[3] == n[3]);
    CHECK_TRAP("ud2-with-other-name", VEC_UD,
               asm volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6f, 0x0f, 0xa2"));
}

static void msrs(void)
{
    uint64_t v = 0;

    CHECK_EQ("rdmsr-efer", rdmsr(0xc0000080, &v), NOTRAP);
    CHECK("efer-lma-nx", (v & 0x400) && (v & 0x100));
    CHECK_EQ("efer-no-svme", v & 0x1000, 0);
    CHECK_EQ("wrmsr-fs-base", wrmsr(0xc0000100, (uint64_t)bytes), NOTRAP);
    CHECK_EQ("rdmsr-fs-base", rdmsr(0xc0000100, &v), NOTRAP);
    CHECK_EQ("fs-base-value", v, bytes);
    CHECK_EQ("wrmsr-fs-base-noncanonical", wrmsr(0xc0000100, 0x8000000000000000), VEC_GP);
    CHECK_EQ("wrmsr-gs-base", wrmsr(0xc0000101, 0x5000), NOTRAP);
    CHECK_EQ("wrmsr-gs-user-base", wrmsr(0xc0000102, 0x6000), NOTRAP);
    rdmsr(0xc0000102, &v);
    CHECK_EQ("gs-user-base-value", v, 0x6000);
    CHECK_EQ("rdmsr-unknown", rdmsr(0x12345678, &v), VEC_GP);
    CHECK_EQ("wrmsr-unknown", wrmsr(0x12345678, 0), VEC_GP);
    /* the hypervisor's own entry point: a write may fail or be dropped, but hypercalls must work
     * afterwards */
    wrmsr(0xc0000082, 0x1000);
    wrmsr(0x1b, 0);
    CHECK_EQ("wrmsr-lstar-harmless", HC2(xen_version, XENVER_version, NULL), 4 << 16 | 17);
    CHECK_EQ("rdmsr-apic-base", rdmsr(0x1b, &v), NOTRAP);
    CHECK_EQ("user-rdmsr", kit_user(u_rdmsr, 0xc0000080, 0), VEC_GP);
}

static long set_iopl(uint32_t level)
{
    struct physdev_set_iopl i = {.iopl = level};
    return HC2(physdev_op, PHYSDEVOP_set_iopl, &i);
}

static void ports(void)
{
    uint8_t v = 0;
    uint32_t l = 0;
    static uint8_t map[8192];
    struct physdev_set_iobitmap bm = {.nr_ports = 65536};

    set_iopl(0);
    CHECK_TRAP("in-without-iopl", VEC_GP, u_in71(0, 0));
    CHECK_EQ("iopl-bad", set_iopl(4), -XEN_EINVAL);
    CHECK_EQ("iopl-1", set_iopl(1), 0);
    CHECK_TRAP("out-80", NOTRAP, asm volatile("outb %0, $0x80" : : "a"((uint8_t)0x5a)));
    CHECK_TRAP("in-cmos", NOTRAP,
               asm volatile("outb %1, $0x70; inb $0x71, %0"
                            : "=a"(v)
                            : "0"((uint8_t)0x0d)));
    CHECK_EQ("cmos-battery-good", v & 0x80, 0x80);
    CHECK_TRAP("pci-config", NOTRAP,
               asm volatile("outl %%eax, %%dx; mov $0xcfc, %%edx; inl %%dx, %%eax"
                            : "=a"(l)
                            : "0"(0x80000000U), "d"(0xcf8)));
    CHECK_EQ("pci-host-bridge-vendor", l & 0xffff, 0x8086);
    memset(bytes, 0, sizeof(bytes));
    CHECK_TRAP("rep-insb", NOTRAP, void *p = bytes; uint64_t n = 4; asm volatile("rep insb"
                                                                                 : "+D"(p), "+c"(n)
                                                                                 : "d"(0x71)
                                                                                 : "memory"));
    CHECK("rep-insb-read", (bytes[0] & 0x80) && (bytes[3] & 0x80) && !bytes[4]);
    CHECK_TRAP("rep-outsb", NOTRAP, const void *p = bytes; uint64_t n = 3;
               asm volatile("rep outsb"
                            : "+S"(p), "+c"(n)
                            : "d"(0x80)
                            : "memory"));
    CHECK_TRAP("insb-to-nowhere", VEC_PF, void *p = (void *)0x5000; asm volatile("insb"
                                                                                 : "+D"(p)
                                                                                 : "d"(0x71)
                                                                                 : "memory"));
    CHECK_TRAP("in-pic-does-not-reach-it", NOTRAP, asm volatile("inb $0x21, %0" : "=a"(v)));
    CHECK_EQ("in-pic-all-ones", v, 0xff);
    CHECK_EQ("user-in-iopl-1", kit_user(u_in71, 0, 0), VEC_GP);
    CHECK_EQ("iopl-3", set_iopl(3), 0);
    CHECK_EQ("user-in-iopl-3", kit_user(u_in71, 0, 0), VEC_SYSCALL);
    CHECK_EQ("user-in-value", got & 0x80, 0x80);
    set_iopl(1);
    memset(map, 0xff, sizeof(map));
    map[0x80 / 8] &= (uint8_t)~1;
    set_xen_guest_handle(bm.bitmap, map);
    CHECK_EQ("iobitmap", HC2(physdev_op, PHYSDEVOP_set_iobitmap, &bm), 0);
    CHECK_EQ("user-out-by-bitmap", kit_user(u_out80, 0, 0), VEC_SYSCALL);
    CHECK_EQ("user-in-by-bitmap", kit_user(u_in80, 0, 0), VEC_SYSCALL);
    CHECK_EQ("user-in-not-in-bitmap", kit_user(u_in71, 0, 0), VEC_GP);
    bm.nr_ports = 65537;
    CHECK_EQ("iobitmap-too-long", HC2(physdev_op, PHYSDEVOP_set_iobitmap, &bm), -XEN_EINVAL);
    bm.nr_ports = 0;
    CHECK_EQ("iobitmap-none", HC2(physdev_op, PHYSDEVOP_set_iobitmap, &bm), 0);
    CHECK_EQ("user-out-without-bitmap", kit_user(u_out80, 0, 0), VEC_GP);
}

static void other_instructions(void)
{
    struct {
        uint16_t n;
        uint64_t a;
    } __attribute__((packed)) dtr = {0, 0};

    CHECK_TRAP("lgdt", VEC_GP, asm volatile("lgdt %0" : : "m"(dtr)));
    CHECK_TRAP("lidt", VEC_GP, asm volatile("lidt %0" : : "m"(dtr)));
    CHECK_TRAP("swapgs", VEC_GP, asm volatile("swapgs"));
    CHECK_TRAP("invlpg", VEC_GP, asm volatile("invlpg (%0)" : : "r"(bytes)));
    CHECK_TRAP("sysretq", VEC_GP, asm volatile("sysretq"));
    CHECK_TRAP("wbinvd-kernel", NOTRAP, asm volatile("wbinvd"));
    CHECK_TRAP("rdtsc", NOTRAP, asm volatile("rdtsc" : : : "rax", "rdx"));
    CHECK_TRAP("cli-kernel-is-harmless", NOTRAP, asm volatile("cli; sti"));
    CHECK_EQ("cli-user", kit_user(u_cli, 0, 0), VEC_GP);
}

void guest_main(void)
{
    kit_user_init();
    control_registers();
    cpuid();
    msrs();
    ports();
    other_instructions();
}
