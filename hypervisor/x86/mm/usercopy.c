/* SPDX-License-Identifier: MIT */
/*
 * Guest memory through the current page tables. The hypervisor's range is refused here; everything else that
 * is not mapped faults, and the fault is turned into -XEN_EFAULT (entry.S: user_copy). A guest's own tables
 * decide what is writable: page tables and descriptors are not.
 */
#include "abi.h"
#include "lib.h"
#include "port.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/uaccess.h"

size_t user_copy(void *to, const void *from, size_t n);
size_t user_clear(void *to, size_t n);

int copy_from_guest(void *dst, guest_ptr_t src, size_t bytes)
{
    size_t left;

    if (!guest_range_ok(src.va, bytes))
        return -XEN_EFAULT;
    user_access_begin();
    left = user_copy(dst, (const void *)src.va, bytes);
    user_access_end();
    return left ? -XEN_EFAULT : 0;
}

int copy_to_guest(guest_ptr_t dst, const void *src, size_t bytes)
{
    size_t left;

    if (!guest_range_ok(dst.va, bytes))
        return -XEN_EFAULT;
    user_access_begin();
    left = user_copy((void *)dst.va, src, bytes);
    user_access_end();
    return left ? -XEN_EFAULT : 0;
}

int clear_guest(guest_ptr_t dst, size_t bytes)
{
    size_t left;

    if (!guest_range_ok(dst.va, bytes))
        return -XEN_EFAULT;
    user_access_begin();
    left = user_clear((void *)dst.va, bytes);
    user_access_end();
    return left ? -XEN_EFAULT : 0;
}
