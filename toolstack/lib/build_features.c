/* SPDX-License-Identifier: MIT */
/*
 * What a kernel asks of the hypervisor, as its ELF note FEATURES has it: names as in the ABI's features.h with '|' between them,
 * '!' before those that it cannot do without.
 */
#include "build_image.h"
#include "fault.h"

#include <errno.h>
#include <string.h>

#include <xen/features.h>

static const struct { const char *name; unsigned bit; } names[] = {
#define F(name) { #name, XENFEAT_##name }
    F(writable_page_tables), F(writable_descriptor_tables), F(auto_translated_physmap), F(supervisor_mode_kernel),
    F(pae_pgdir_above_4gb), F(mmu_pt_update_preserve_ad), F(highmem_assist), F(gnttab_map_avail_bits), F(hvm_callback_vector),
    F(hvm_safe_pvclock), F(hvm_pirqs), F(dom0), F(memory_op_vnode_supported), F(ARM_SMCCC_supported),
    F(linux_rsdp_unrestricted), F(not_direct_mapped), F(direct_mapped),
#undef F
};

static bool offers(uint32_t offered, const char *name, size_t len)
{
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i].name) == len && !strncmp(name, names[i].name, len))
            return offered >> names[i].bit & 1;
    return false;
}

int image_check_features(const struct image *im, const char *name, uint32_t offered)
{
    if (im->features_cut)
        return fault(-ENOEXEC, "%s: the kernel's list of features (ELF note) has more than %zu letters: damaged? fetch the file again", name,
                     sizeof(im->features) - 1);
    for (const char *p = im->features; *p;) {
        size_t len = strcspn(p, "|");

        if (*p == '!' && !offers(offered, p + 1, len - 1))
            return fault(-EOPNOTSUPP, "%s: the kernel needs the feature '%.*s', which this hypervisor does not offer to paravirtual guests; take another kernel",
                         name, (int)len - 1, p + 1);
        p += len + (p[len] == '|');
    }
    return 0;
}
