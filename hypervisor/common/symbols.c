/* SPDX-License-Identifier: MIT */
/*
 * Names for code addresses, and backtraces. The table (scripts/symbols.sh) is linked in by the
 * second link pass, ascending. There are no frame pointers and no unwind tables: a backtrace prints
 * every word on the stack that is an address inside a function, so old values show up among the
 * callers.
 */
#include "console.h"
#include "lib.h"
#include "log.h"
#include "panic.h"

#define BACKTRACE_MAX 32

extern const uint64_t symbol_count, symbol_addr[];
extern const uint32_t symbol_name_offset[];
extern const char symbol_names[];

const char *symbol_name(uint64_t addr, uint64_t *offset, uint64_t *size)
{
    uint64_t lo = 0, hi = symbol_count, end;

    if (!symbol_count || addr < symbol_addr[0])
        return NULL;
    while (hi - lo > 1) { /* symbol_addr[lo] <= addr < symbol_addr[hi] */
        uint64_t mid = lo + (hi - lo) / 2;

        if (symbol_addr[mid] <= addr)
            lo = mid;
        else
            hi = mid;
    }
    while (lo && symbol_addr[lo - 1] == symbol_addr[lo])
        lo--;
    end = hi < symbol_count ? symbol_addr[hi] : symbol_addr[lo] + 4096;
    if (addr >= end)
        return NULL;
    *offset = addr - symbol_addr[lo];
    *size = end - symbol_addr[lo];
    return symbol_names + symbol_name_offset[lo];
}

__attribute__((weak)) uint64_t arch_stack_end(uint64_t rsp)
{
    return ROUND_DOWN(rsp, FRAME_SIZE) + FRAME_SIZE;
}

static bool symbol_print(uint64_t addr)
{
    uint64_t offset, size;
    const char *name = symbol_name(addr, &offset, &size);

    if (name)
        log_err("   [%016lx] %s+%#lx/%#lx\n", addr, name, offset, size);
    return name != NULL;
}

void backtrace_print(uint64_t rsp, uint64_t rip)
{
    uint64_t at = ROUND_UP(rsp, 8), end = arch_stack_end(rsp);
    unsigned n = 0;

    log_err("backtrace:\n");
    if (rip)
        symbol_print(rip);
    for (; at && at + 8 <= end && n < BACKTRACE_MAX; at += 8)
        n += symbol_print(*(const uint64_t *)(uintptr_t)at);
}
