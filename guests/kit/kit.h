/* SPDX-License-Identifier: MIT */
/*
 * The kit of the test guests: a PV kernel of a few pages that runs as domain 0, alone,
 * identity-less: va - VIRT_BASE is the pseudo-physical address of everything in the image. A guest
 * is one file with a void guest_main(void) and checks; the kit brings it up, catches its traps and
 * prints the result.
 *
 * What a check looks like on the console:   ok NAME      not ok NAME: what was seen
 * and at the end:                           GUEST-RESULT: N passed, M failed
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/errno.h>

#define VIRT_BASE 0xffffffff80000000UL
#define PAGE 4096UL
#define KIT_STACK_SIZE 65536UL /* one aligned block per vCPU: struct kit_cpu and its stacks */
#define KIT_CPUS 4
#define KCS 0xe033 /* flat 64-bit ring-3 code: kernel and user */
#define KSS 0xe02b

/* Trap numbers beyond the processor's */
enum {
    VEC_DE,
    VEC_DB,
    VEC_NMI,
    VEC_BP,
    VEC_OF,
    VEC_BR,
    VEC_UD,
    VEC_NM,
    VEC_TS = 10,
    VEC_NP,
    VEC_SS,
    VEC_GP,
    VEC_PF,
    VEC_MF = 16,
    VEC_AC,
    VEC_XM = 19,
    VEC_FAILSAFE = 256,
    VEC_SYSCALL,
    VEC_UPCALL,
    VEC_MAX,
    NOTRAP = -1
};

struct kit_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, rdx, rsi, rdi, r8, r9, r10, rax, r11, rcx;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
struct kit_jmp {
    uint64_t reg[8];
    struct kit_jmp *outer;
};
typedef bool kit_hook(struct kit_frame *f); /* true: handled, go back by frame */

struct kit_cpu {
    unsigned int id;
    struct kit_jmp *jmp;   /* innermost place that catches traps */
    struct kit_frame trap; /* the last trap caught */
    uint64_t cr2;          /* and what cr2 held then */
    uint8_t mask;          /* and the upcall mask at the handler's first instruction */
    void (*entry)(void *); /* what a secondary vCPU runs */
    void *arg;
    volatile unsigned int upcalls;
};

extern struct start_info *kit_si;
extern struct shared_info *kit_shared;
extern unsigned long *kit_p2m;
extern kit_hook *kit_hooks[VEC_MAX];
extern char kit_image[], kit_end[], kit_vectors[];
extern char kit_entry_syscall[], kit_entry_upcall[], kit_entry_failsafe[];
extern char kit_blocks[];
extern uint64_t kit_iret_rdi, kit_iret_rsi;

void guest_main(void); /* the guest's own file */

/* base.c: console, checks, memory */
void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
char *strstr(const char *s, const char *what);
void kit_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool kit_check(bool good, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void kit_finish(void) __attribute__((noreturn));
void kit_fatal(const char *why) __attribute__((noreturn));
void *kit_page(void); /* one zeroed page of the image, never freed */

#define CHECK(name, cond) kit_check(cond, name, "%s", #cond)
#define CHECK_EQ(name, expr, want)                                                                 \
    ({                                                                                             \
        long got_ = (long)(expr), want_ = (long)(want);                                            \
        kit_check(got_ == want_, name, "%s is %ld (0x%lx), expected %ld (0x%lx)", #expr, got_,     \
                  got_, want_, want_);                                                             \
    })
#define CHECK_FAILS(name, expr)                                                                    \
    ({                                                                                             \
        long got_ = (long)(expr);                                                                  \
        kit_check(got_ < 0, name, "%s is %ld, expected an error", #expr, got_);                    \
    })

/* Hypercalls */
static inline long hcall(unsigned long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                         uint64_t e)
{
    register uint64_t r10 asm("r10") = d, r8 asm("r8") = e;
    long rc;
    asm volatile("syscall"
                 : "=a"(rc), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
                 : "0"(nr)
                 : "rcx", "r11", "memory");
    return rc;
}
#define U64_(x) ((uint64_t)(x))
#define HC1(n, a) hcall(__HYPERVISOR_##n, U64_(a), 0, 0, 0, 0)
#define HC2(n, a, b) hcall(__HYPERVISOR_##n, U64_(a), U64_(b), 0, 0, 0)
#define HC3(n, a, b, c) hcall(__HYPERVISOR_##n, U64_(a), U64_(b), U64_(c), 0, 0)
#define HC4(n, a, b, c, d) hcall(__HYPERVISOR_##n, U64_(a), U64_(b), U64_(c), U64_(d), 0)

/* trap.c */
int kit_setjmp(struct kit_jmp *j) __attribute__((returns_twice));
void kit_longjmp(struct kit_jmp *j, int val) __attribute__((noreturn));
void kit_trap(struct kit_frame *f);
void kit_traps_init(void);
const char *kit_vec_name(int vec);
void kit_set_gate(unsigned int vec, unsigned int flags, uint16_t cs, uint64_t address);
void kit_iret_raw(const struct iret_context *c);
void kit_user_init(void); /* a user page table (same mappings) for this vCPU */
int kit_user(void (*fn)(uint64_t, uint64_t), uint64_t a,
             uint64_t b); /* how it came back: a vector */
uint64_t kit_user_sp(void);
extern char kit_user_done[];

static inline struct kit_cpu *cpu(void)
{
    uint64_t sp;
    asm volatile("mov %%rsp, %0" : "=r"(sp));
    return (struct kit_cpu *)(sp & ~(KIT_STACK_SIZE - 1));
}
void kit_jmp_push(struct kit_jmp *j);
void kit_jmp_pop(struct kit_jmp *j);

/* Runs statements; gives the vector of the trap that ended them, or NOTRAP. Details in cpu()->trap.
 */
#define TRAPS(...)                                                                                 \
    ({                                                                                             \
        struct kit_jmp jb_;                                                                        \
        int v_;                                                                                    \
        kit_jmp_push(&jb_);                                                                        \
        v_ = kit_setjmp(&jb_);                                                                     \
        if (v_ == 0) {                                                                             \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
        kit_jmp_pop(&jb_);                                                                         \
        v_ - 1;                                                                                    \
    })
#define CHECK_TRAP(name, want, ...)                                                                \
    ({                                                                                             \
        int t_ = TRAPS(__VA_ARGS__);                                                               \
        kit_check(t_ == (want), name, "%s came, expected %s (error 0x%lx rip 0x%lx cr2 0x%lx)",    \
                  kit_vec_name(t_), kit_vec_name(want), cpu()->trap.error, cpu()->trap.rip,        \
                  cpu()->cr2);                                                                     \
    })

/* mm.c */
#define PTE_P 1UL
#define PTE_RW 2UL
#define PTE_US 4UL
#define PTE_A 0x20UL
#define PTE_D 0x40UL
#define PTE_PSE 0x80UL
#define PTE_G 0x100UL
#define PTE_NX (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL
#define PTE_KERN (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define PTE_RO (PTE_P | PTE_US | PTE_A)
#define TAB_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define HV_START 0xffff800000000000UL
#define HV_END 0xffff880000000000UL

static inline unsigned long va_pfn(const void *va)
{
    return ((uint64_t)va - VIRT_BASE) / PAGE;
}
static inline unsigned long va_mfn(const void *va)
{
    return kit_p2m[va_pfn(va)];
}
static inline uint64_t mfn_pte(unsigned long mfn, uint64_t flags)
{
    return (mfn * PAGE) | flags;
}
static inline uint64_t va_maddr(const void *va)
{
    return va_mfn(va) * PAGE + ((uint64_t)va & (PAGE - 1));
}
void *mfn_va(unsigned long mfn); /* of a frame in the image's initial mapping, else NULL */
uint64_t *kit_pte(const void *va,
                  int level); /* the entry (read-only mapping) that maps va; 1: L1 */
static inline uint64_t kit_pte_maddr(const void *va, int level)
{
    return va_maddr(kit_pte(va, level));
}
long update_va(const void *va, uint64_t pte, unsigned long flags);
long mmu_update1(uint64_t ptr, uint64_t val);
long mmuext(unsigned int cmd, uint64_t arg1, uint64_t arg2);
long kit_set_ro(void *va); /* remap a page of the image read-only or writable */
long kit_set_rw(void *va);
uint64_t kit_top(void); /* mfn of the kernel's L4 */

/* event.c */
typedef void kit_event(unsigned int port);
void kit_upcall(void);
void kit_bind(unsigned int port, kit_event *fn); /* handler, and unmask */
long evtchn_op(int op, void *arg);
int evtchn_alloc(domid_t remote); /* port or error; of ourselves with DOMID_SELF */
long evtchn_close(unsigned int port);
long evtchn_send(unsigned int port);
int evtchn_virq(unsigned int virq, unsigned int vcpu);
int evtchn_ipi(unsigned int vcpu);
bool evtchn_pending(unsigned int port);
void evtchn_mask(unsigned int port, bool on);
void evtchn_clear(unsigned int port);
static inline struct vcpu_info *vinfo(void)
{
    return &kit_shared->vcpu_info[cpu()->id];
}
void kit_sti(void); /* upcalls on (delivers what waits) */
bool kit_cli(void); /* off; was it on? */
long sched_op(int op, void *arg);
uint64_t kit_now(void); /* nanoseconds by the shared time page */

/* smp.c */
long kit_cpu_start(unsigned int id, void (*fn)(void *), void *arg);
struct kit_cpu *kit_cpu_of(unsigned int id);
static inline void cpu_relax(void)
{
    asm volatile("pause" ::: "memory");
}
/* wait at most ms milliseconds for a condition */
#define WAIT_FOR(cond, ms)                                                                         \
    ({                                                                                             \
        uint64_t end_ = kit_now() + (ms)*1000000UL;                                                \
        while (!(cond) && kit_now() < end_) {                                                      \
            cpu_relax();                                                                           \
        }                                                                                          \
        (cond);                                                                                    \
    })
#define barrier() asm volatile("" ::: "memory")
