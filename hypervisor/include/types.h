/* SPDX-License-Identifier: MIT */
/*
 * Basic types. Frame numbers of different kinds are different C types, so that mixing a machine
 * frame (mfn), a guest's own frame (gfn, the "pseudo-physical" number) and a plain integer does not
 * compile. Addresses that a guest gave are guest_ptr_t and cannot be dereferenced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t paddr_t; /* machine physical address */

typedef struct {
    uint64_t n;
} mfn_t;

typedef struct {
    uint64_t n;
} gfn_t;

/* A virtual address in the current guest's address space. Use copy_from_guest() and friends. */
typedef struct {
    uint64_t va;
} guest_ptr_t;

#define INVALID_MFN ((mfn_t){~0ULL})
#define INVALID_GFN ((gfn_t){~0ULL})

static inline mfn_t mfn(uint64_t n)
{
    return (mfn_t){n};
}
static inline gfn_t gfn(uint64_t n)
{
    return (gfn_t){n};
}
static inline mfn_t mfn_add(mfn_t m, uint64_t k)
{
    return (mfn_t){m.n + k};
}
static inline bool mfn_eq(mfn_t a, mfn_t b)
{
    return a.n == b.n;
}
static inline guest_ptr_t guest_ptr(uint64_t va)
{
    return (guest_ptr_t){va};
}
static inline guest_ptr_t guest_ptr_add(guest_ptr_t p, uint64_t bytes)
{
    return (guest_ptr_t){p.va + bytes};
}
/* An ABI handle (XEN_GUEST_HANDLE(...)) as a guest pointer. */
#define guest_ptr_of(handle) guest_ptr((uint64_t)(uintptr_t)(handle).p)

#define FRAME_SHIFT 12
#define FRAME_SIZE (1UL << FRAME_SHIFT)
#define FRAME_MASK (~(FRAME_SIZE - 1))

static inline mfn_t mfn_of_paddr(paddr_t pa)
{
    return (mfn_t){pa >> FRAME_SHIFT};
}
static inline paddr_t paddr_of_mfn(mfn_t m)
{
    return m.n << FRAME_SHIFT;
}

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __must_check __attribute__((warn_unused_result))
#define __noreturn __attribute__((noreturn))
#define __packed __attribute__((packed))
#define __aligned_to(n) __attribute__((aligned(n)))
#define __printf_like(f, a) __attribute__((format(printf, f, a)))
#define __cold_code __attribute__((cold))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1ULL << (n))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ROUND_UP(x, a) (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ROUND_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define DIV_UP(x, a) (((x) + (a)-1) / (a))

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define barrier() __asm__ volatile("" ::: "memory")
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

/* x when x < limit, else 0, without a branch that a processor could mis-predict: every index that
 * a guest gave goes through here after its bounds check (docs/THREAT-MODEL.md). */
static inline uint64_t index_nospec(uint64_t x, uint64_t limit)
{
    uint64_t mask;

    __asm__("cmp %2, %1; sbb %0, %0" : "=r"(mask) : "r"(x), "r"(limit) : "cc");
    return x & mask;
}

#define MAX_CPUS 256   /* physical processors */
#define MAX_VCPUS 256  /* of one domain */
