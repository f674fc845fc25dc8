/* SPDX-License-Identifier: MIT */
/*
 * example: the smallest guest, to be copied (scripts/new-test NAME). It proves that a PV domain 0
 * is built as the ABI says (start_info, frame list, flags), can print, make a hypercall, and catch
 * a trap of its own.
 */
#include "kit.h"

void guest_main(void)
{
    kit_printf("hello from domain 0: %s, %lu pages, arguments '%s'\n", kit_si->magic,
               kit_si->nr_pages, (char *)kit_si->cmd_line);
    CHECK("start-magic", strstr(kit_si->magic, "xen-3.0-x86_64") == kit_si->magic);
    CHECK("start-flags",
          (kit_si->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN)) == (SIF_PRIVILEGED | SIF_INITDOMAIN));
    CHECK("start-frame-list", kit_p2m[0] != 0 && kit_p2m[0] != kit_p2m[1]);
    CHECK_EQ("version-4.17", HC2(xen_version, XENVER_version, NULL), 4 << 16 | 17);
    CHECK_TRAP("ud2-is-caught", VEC_UD, asm volatile("ud2"));
    CHECK_EQ("unknown-hypercall", hcall(63, 0, 0, 0, 0, 0), -XEN_ENOSYS);
}
