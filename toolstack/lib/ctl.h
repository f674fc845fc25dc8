/* SPDX-License-Identifier: MIT */
/*
 * Control calls: what the toolstack asks of the hypervisor, over libxencall. One handle per process, one thread.
 *
 * Functions return 0 (or a count where it says so) or a negative errno value. Unless it says "silent", a failure also
 * leaves a text in fault(). Memory that the hypervisor reads or writes must not move: arrays passed to these functions
 * may be anywhere and are copied; ctl_buffer() gives memory that needs no copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/sysctl.h>
#include <xen/version.h>

struct ctl;
struct xenforeignmemory_handle;

int ctl_open(struct ctl **out);
void ctl_close(struct ctl *c); /* NULL is fine */

/* Memory for the hypervisor's eyes, zeroed; ctl_buffer_free(c, NULL) is fine. NULL: none left, with fault(). */
void *ctl_buffer(struct ctl *c, size_t bytes);
void ctl_buffer_free(struct ctl *c, void *p);

/*
 * The calls as they are; interface versions are filled in, *op is copied in and out. Handles inside must point to
 * ctl_buffer() memory. Silent. A call that is continued by the hypervisor is one call here.
 */
int ctl_domctl(struct ctl *c, struct xen_domctl *op);
int ctl_sysctl(struct ctl *c, struct xen_sysctl *op);
int ctl_memory_op(struct ctl *c, unsigned cmd, void *arg, size_t bytes);
int ctl_evtchn_op(struct ctl *c, unsigned cmd, void *arg, size_t bytes);
int ctl_mmuext_op(struct ctl *c, domid_t domid, struct mmuext_op *ops, unsigned count);
int ctl_version(struct ctl *c, unsigned cmd, void *arg, size_t bytes); /* arg may be NULL */

/* --- domains (ctl_domain.c) ----------------------------------------------------------------------------------------- */

/* One domain's state. -ESRCH (silent) if there is none of this number. */
int ctl_domain_info(struct ctl *c, domid_t domid, struct xen_domctl_getdomaininfo *info);
/* All domains, in order of number: *list is to be freed; gives their count. */
int ctl_domain_list(struct ctl *c, struct xen_domctl_getdomaininfo **list);
/* what->handle etc. filled in by the caller; the new number goes to *domid. */
int ctl_domain_create(struct ctl *c, const struct xen_domctl_createdomain *what, domid_t *domid);
/* Returns when the hypervisor has taken everything back that nobody maps. */
int ctl_domain_destroy(struct ctl *c, domid_t domid);
int ctl_domain_pause(struct ctl *c, domid_t domid);
int ctl_domain_unpause(struct ctl *c, domid_t domid);
int ctl_domain_resume(struct ctl *c, domid_t domid);
int ctl_domain_max_vcpus(struct ctl *c, domid_t domid, unsigned count);
int ctl_domain_max_mem(struct ctl *c, domid_t domid, uint64_t kib);
int ctl_domain_set_tsc(struct ctl *c, domid_t domid, unsigned mode); /* 0 default, 1 always emulate, 2 never */
int ctl_domain_set_time_offset(struct ctl *c, domid_t domid, int64_t seconds); /* of its wall clock from UTC */
int ctl_domain_trigger(struct ctl *c, domid_t domid, unsigned trigger, unsigned vcpu);
int ctl_domain_debugging(struct ctl *c, domid_t domid, bool on);

int ctl_vcpu_info(struct ctl *c, domid_t domid, unsigned vcpu, struct xen_domctl_getvcpuinfo *info);
int ctl_vcpu_set_context(struct ctl *c, domid_t domid, unsigned vcpu, const vcpu_guest_context_t *ctxt);
int ctl_vcpu_get_context(struct ctl *c, domid_t domid, unsigned vcpu, vcpu_guest_context_t *ctxt);
/* Maps of `bytes` bytes each; NULL = leave alone. After setting they hold what is in effect. */
int ctl_vcpu_set_affinity(struct ctl *c, domid_t domid, unsigned vcpu, uint8_t *hard, uint8_t *soft, size_t bytes, bool force);
int ctl_vcpu_get_affinity(struct ctl *c, domid_t domid, unsigned vcpu, uint8_t *hard, uint8_t *soft, size_t bytes);

/* Weight and cap under the scheduler that runs (credit or credit2): get, or set what is not negative. */
int ctl_sched_get(struct ctl *c, domid_t domid, unsigned sched, unsigned *weight, unsigned *cap);
int ctl_sched_set(struct ctl *c, domid_t domid, unsigned sched, int weight, int cap);

/* --- CPUID (ctl_policy.c) --------------------------------------------------------------------------------------------- */

/* The most that paravirtual guests can have here; what a domain has: *out is to be freed; gives the number of leaves. */
int ctl_cpuid_max(struct ctl *c, xen_cpuid_leaf_t **out);
int ctl_cpuid_get(struct ctl *c, domid_t domid, xen_cpuid_leaf_t **out);
/* Before it first runs. */
int ctl_cpuid_set(struct ctl *c, domid_t domid, const xen_cpuid_leaf_t *leaf, unsigned n);

/* --- memory of domains (ctl_memory.c) ------------------------------------------------------------------------------- */

/* Reserve memory for a domain that is about to be built; pages 0 gives the rest back. -ENOMEM: not that much free (silent). */
int ctl_claim(struct ctl *c, domid_t domid, uint64_t pages);
/*
 * Give a domain frames for gfns first..first+count-1; mfns[] (count entries, ordinary memory) receives them. Superpages
 * where possible.
 */
int ctl_populate(struct ctl *c, domid_t domid, uint64_t first, uint64_t count, xen_pfn_t *mfns);
int ctl_set_memory_map(struct ctl *c, domid_t domid, uint64_t bytes); /* one range of RAM from 0 */
int ctl_pin_l4(struct ctl *c, domid_t domid, xen_pfn_t mfn);

/* Another domain's frames, readable and writable or only readable; NULL with fault(). */
void *ctl_map(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, bool writable);
/* Readable, as far as it goes: errors[i] is 0 or why frame i is not there (touching it would fault). */
void *ctl_map_some(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count, int *errors);
void ctl_unmap(struct ctl *c, void *at, size_t count);
/*
 * Write entries 0 (console) and 1 (store) of a new guest's grant table, so that the back ends may map these frames.
 * mfn 0 = leave that entry empty.
 */
int ctl_seed_grants(struct ctl *c, domid_t domid, xen_pfn_t console_mfn, domid_t console_for, xen_pfn_t store_mfn,
                    domid_t store_for);

/* An unbound port in domain `domid` that domain `remote` may bind; the port number, or a negative error. */
int ctl_evtchn_alloc_unbound(struct ctl *c, domid_t domid, domid_t remote);

/* --- what saving and restoring needs (ctl_save.c) --------------------------------------------------------------------- */

/* What frames are: XEN_DOMCTL_PFINFO_* >> 28 (15: not the domain's). n <= CTL_TYPES_MAX; list is ctl_buffer() memory. */
#define CTL_TYPES_MAX 1024U
int ctl_page_types(struct ctl *c, domid_t domid, xen_pfn_t *list, unsigned n);
/* Fills frames of a domain with zeroes, without mapping them. */
int ctl_clear_pages(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, size_t count);
/*
 * Contents of a domain's frames without mapping them (ctl_frames.c). list is ctl_buffer() memory, data what open gave.
 * open: room for CTL_FRAMES_MAX pages, to be closed; NULL (silent): the hypervisor is another than Zendo, or there is no memory: map them
 * then. What is closed serves the next, up to ctl_close().
 * read: list[] becomes the frames' types as with ctl_page_types(); page i of data is the content of frame i, if it is the domain's and zero[i]
 * does not say that it is full of zeroes. On such a hypervisor frames that a domain has just been given are full of zeroes.
 */
#define CTL_FRAMES_MAX 1024U
void *ctl_frames_open(struct ctl *c, domid_t domid);
void ctl_frames_close(struct ctl *c, void *data); /* NULL is fine */
int ctl_frames_read(struct ctl *c, domid_t domid, xen_pfn_t *list, unsigned n, void *data, bool *zero);
int ctl_frames_write(struct ctl *c, domid_t domid, const xen_pfn_t *list, unsigned n, const void *data);
/* Pins page tables of levels 1 to 4, or lets them go; level[i] belongs to mfns[i]. */
#define CTL_UNPIN 5U
int ctl_pin_tables(struct ctl *c, domid_t domid, const xen_pfn_t *mfns, const uint8_t *level, size_t count);
/*
 * A virtual CPU's state beside its registers, as the hypervisor's blobs: *data is to be freed; *bytes 0 = there is nothing. Setting:
 * the blob is checked by the hypervisor.
 */
enum ctl_vcpu_blob { CTL_VCPU_EXTENDED, CTL_VCPU_XSAVE, CTL_VCPU_MSRS };
int ctl_vcpu_get_blob(struct ctl *c, domid_t domid, unsigned vcpu, enum ctl_vcpu_blob which, uint8_t **data, uint32_t *bytes);
int ctl_vcpu_set_blob(struct ctl *c, domid_t domid, unsigned vcpu, enum ctl_vcpu_blob which, const void *data, uint32_t bytes);
int ctl_domain_get_tsc_info(struct ctl *c, domid_t domid, struct xen_domctl_tsc_info *info);
int ctl_domain_set_tsc_info(struct ctl *c, domid_t domid, const struct xen_domctl_tsc_info *info);
/* All of a domain's CPU policy: leaves and MSRs; both arrays are to be freed. Setting: before it first runs. */
int ctl_policy_get(struct ctl *c, domid_t domid, xen_cpuid_leaf_t **leaf, unsigned *n_leaves, xen_msr_entry_t **msr, unsigned *n_msrs);
int ctl_policy_set(struct ctl *c, domid_t domid, const xen_cpuid_leaf_t *leaf, unsigned n_leaves, const xen_msr_entry_t *msr, unsigned n_msrs);

/* --- the host (ctl_host.c) ------------------------------------------------------------------------------------------ */

int ctl_physinfo(struct ctl *c, struct xen_sysctl_physinfo *info);
/* A bit for each XENFEAT_* that a paravirtual guest can count on. */
int ctl_features(struct ctl *c, uint32_t *features);
int ctl_sched_id(struct ctl *c, unsigned *sched);
const char *ctl_sched_name(unsigned sched); /* "credit2", ... */
/* Global parameters of the scheduler of pool 0; putting writes what *op holds. */
int ctl_sched_global(struct ctl *c, struct xen_sysctl_scheduler_op *op);
/* A CPU pool by number or the next one after it; -ENOENT (silent): no more. map (bytes) receives the CPUs, may be NULL. */
int ctl_cpupool_info(struct ctl *c, uint32_t pool, struct xen_sysctl_cpupool_op *info, uint8_t *map, size_t bytes);
/* Time each CPU was idle, in ns; gives the number of CPUs. */
int ctl_cpu_idle(struct ctl *c, uint64_t *idle, unsigned max);
int ctl_cpu_topology(struct ctl *c, struct xen_sysctl_cputopo *topo, unsigned max);
int ctl_numa_info(struct ctl *c, struct xen_sysctl_meminfo *nodes, unsigned max, uint32_t *distance);
int ctl_debug_keys(struct ctl *c, const char *keys);
/*
 * The hypervisor's log from *index on (NULL: from its start, once). Gives the bytes put into buf; call again with
 * the same index until it is 0.
 */
int ctl_console_read(struct ctl *c, char *buf, size_t bytes, bool clear, uint32_t *index);
