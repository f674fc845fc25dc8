/* SPDX-License-Identifier: MIT */
/*
 * Domains and their virtual CPUs: the part that knows no x86. The x86 part embeds these as its first
 * member (x86/guest.h), so that going from one to the other costs nothing.
 *
 * Field letters: [I] immutable after creation, [a] atomic, [D] domctl lock, [E] event lock,
 * [P] page_lock, [S] run queue lock, [v] the vCPU itself or while it is paused.
 */
#pragma once

#include "abi.h"
#include "lock.h"
#include "sched.h"
#include "timer.h"
#include "types.h"

#include <xen/vcpu.h>

struct evtchn_domain;
struct evtchn_vcpu;
struct grant_table;
struct guest_kind;
struct logdirty;

struct vcpu {
    struct domain *domain; /* [I] */
    uint16_t id;           /* [I] */
    uint16_t cpu;          /* [S] runs or last ran here */
    bool initialised;      /* [D] has a context: may be brought up */
    bool idle;             /* [I] */

    /* vcpu_info: in shared_info, in a page the guest registered, or (vCPU 32 and up, before it
     * registers) in dummy storage. Guest-writable: read once. */
    struct vcpu_info *info; /* [v] */
    struct page *info_page; /* [v] held with a writable type if registered, else NULL */
    struct vcpu_info *info_dummy; /* [I] the dummy storage, vCPU 32 and up; else NULL */

    uint32_t pause_count;   /* [a] */
    uint32_t pause_flags;   /* [a] VPF_* */

    struct sched_vcpu sched;
    struct vcpu_runstate_info runstate; /* [S] */
    guest_ptr_t runstate_area;          /* [v] va 0: none */

    struct timer singleshot, periodic, poll_timer;
    uint64_t periodic_period; /* [v] ns, 0 = off */
    uint64_t periodic_due;    /* [v] when the next tick is to be: ticks keep their grid */
    guest_ptr_t time_area;    /* [v] secondary vcpu_time_info; va 0: none */
    struct {                  /* [v] what the guest's clock was last told; the version is ours alone */
        uint64_t stamp_tsc, stamp_ns;
        uint32_t mul, version;
    } pvclock;

    uint32_t poll_port;       /* [a] VPF_POLL: the port if only one, 0 = several */
    struct evtchn_vcpu *evtchn; /* [I] */

    uint64_t stat_exceptions; /* [v] that came to C code, for debug keys */
};

/* Time: system time of the guest's clock = now_ns(). Kept by common/vtime.c. */

struct domain {
    uint16_t id;            /* [I] */
    bool privileged;        /* [I] may control other domains */
    bool hardware;          /* [I] domain 0: owns the machine's devices */
    bool xs_domain;         /* [I] serves the store, as its creator said */
    bool dying;             /* [D] being destroyed: no new references to anything of it */
    bool shutting_down;     /* [D] a shutdown code was given; vCPUs are being stopped */
    bool shut_down;         /* [D] all of them have stopped */
    uint8_t shutdown_code;  /* [D] SHUTDOWN_* */
    uint32_t refs;          /* [a] */
    uint32_t pause_count;   /* [a] */
    uint32_t control_pauses; /* [a] of those, how many by control calls */
    struct domain *next;    /* list of all, by id; changes and walks under domain.c's lock */
    struct domain *next_dead; /* waits to be freed */

    const struct guest_kind *kind; /* [I] PV, HVM/PVH */

    uint16_t max_vcpus;     /* [I] after max_vcpus control call; vcpu[] has so many */
    struct vcpu **vcpu;     /* [I] array; entries may be NULL until created */
    struct sched_domain sched;

    struct spinlock domctl_lock; /* RANK_DOMCTL */

    /* Memory */
    struct spinlock page_lock;   /* RANK_PAGE_LIST */
    uint32_t pages_head;         /* [P] first frame on the list, 0 = none */
    uint64_t tot_pages;          /* [P] on the list */
    uint64_t owned_pages;        /* [a] once on the list and still with this owner: together they hold a reference */
    uint64_t loose_pages;        /* [a] left the list but not yet freed (mapped somewhere); count as used */
    uint64_t max_pages;          /* [P] */
    uint64_t claim;              /* free frames kept for it; changed under the heap's lock (frames.c) */
    uint32_t pages_cursor;       /* [P] next frame of a walk over the list that takes rests, 0 = none */
    struct logdirty *logdirty;   /* [a] its changes are logged; written while it is paused */
    struct logdirty *logdirty_ctl; /* [D] the same, also while it comes or goes */
    uint32_t logdirty_mb;        /* [D] memory for it that a control call asked for, 0: as the size suggests */
    uint64_t coming_pages;       /* [a] counted in tot_pages, not yet taken from the heap */
    uint32_t pt_pins;            /* [a] frames with PGT_PINNED */
    uint32_t pt_partial;         /* [a] frames with PGT_PARTIAL */
    struct shared_info *shared;  /* [I] hypervisor mapping of the shared_info frame */
    mfn_t shared_mfn;            /* [I] */

    struct evtchn_domain *evtchn; /* [I] */
    struct grant_table *grants;   /* [I] */
    struct pirq_domain *pirqs;    /* [I] x86/irq/pirq.c; NULL: has none */

    uint64_t vm_assist;      /* [v] VMASST_TYPE_* bits */
    uint8_t handle[16];      /* [D] UUID */
    int64_t time_offset_s;   /* [D] of its wall clock */
    uint32_t wc_version;     /* vtime.c */
    uint64_t runtime_ns;     /* [a] of vCPUs that are gone */

    uint32_t nr_polling;     /* [a] vCPUs in SCHEDOP_poll */
    uint8_t shutdown_latch;  /* [D] SCHEDOP_shutdown_code + 1, 0 = none */
    uint32_t crash_dumped;   /* [a] registers were printed already */
    uint64_t suspend_frame;  /* [v] start_info frame given with SHUTDOWN_suspend */
    struct timer shutdown_timer; /* asks whether all vCPUs have stopped, with no lock held */
    struct spinlock watchdog_lock; /* RANK_TIME */
    struct timer watchdog[2];
    uint8_t watchdog_used;   /* bit per slot; watchdog_lock */
    uint8_t kill_stage;      /* [D] how far domain_kill() has come */
};

/* One kind of guest: what generic code asks of PV or HVM. */
struct guest_kind {
    const char *name;
    /* From VCPUOP_initialise: a context for v, read from the current guest at ctx. */
    int (*vcpu_initialise)(struct vcpu *v, guest_ptr_t ctx);
};

/* Special owners of frames: the hypervisor's M2P (DOMID_XEN), device memory (DOMID_IO), and frames of ours that were
 * shared with a domain which has been freed while others still map them. */
extern struct domain *dom_xen, *dom_io, *dom_orphans;
extern struct domain *dom_hw; /* domain 0, NULL before it is made */

/* What a domain is to be, fixed at its creation. */
struct domain_config {
    unsigned max_vcpus;
    uint32_t max_evtchn_port;  /* highest number of a port */
    unsigned max_grant_frames, max_maptrack_frames, max_grant_version;
    uint8_t handle[16];
    bool xs_domain;
    bool control_paused; /* the pause that it is made with is a control call's to undo */
};

/* Create a domain with no memory and no vCPUs; paused once. Error pointer-free: NULL and *rc. The reference that the
 * table of domains holds is not the caller's: unless it knows better, somebody may have ended d by now. */
struct domain *domain_create_config(uint16_t id, bool privileged, const struct domain_config *c, int *rc);
/* The same with the usual limits. */
struct domain *domain_create(uint16_t id, bool privileged, unsigned max_vcpus, int *rc);
/* A number that no domain has, going round; DOMID_INVALID: none. */
uint16_t domain_free_id(void);
/* Look up with a reference, or NULL. domain_put() it. */
struct domain *domain_get(uint16_t id) __must_check;
/* As domain_get() with DOMID_SELF meaning v's own. */
struct domain *domain_get_self(struct vcpu *v, uint16_t id) __must_check;
void domain_ref(struct domain *d);
/* Drop a reference. With the last one d is freed a little later, where no lock is held. Any context but
 * interrupts, with locks below RANK_TIMER held. */
void domain_put(struct domain *d);
/* Create vCPU id (down, uninitialised). NULL: no memory. */
struct vcpu *vcpu_create(struct domain *d, unsigned id);
/* The domain asked to stop, or crashed: stop its vCPUs, tell domain 0. Domain 0 itself: the machine
 * is switched off or restarted. Any context but interrupts. */
void domain_shutdown(struct domain *d, unsigned code);
/* Look again whether a domain that is shutting down has stopped; any context, sched_switched() too. */
void domain_shutdown_poke(struct domain *d);
/* Let it run again after SHUTDOWN_suspend (control call resumedomain): shutdown state cleared. */
void domain_resume(struct domain *d);
/* Destroy: call until it returns 0; -XEN_ERESTART = call again after a rest. The caller holds a reference. d stays in
 * the table, dying, until the last reference has gone: others may still map frames of it. */
int domain_kill(struct domain *d) __must_check;
/* Special domains and debug key 'q'; boot CPU, after slab and sched_init(). */
void domains_init(void);
/* All domains, by ascending id; for debug keys and lists. NULL at the end; takes and drops references. */
struct domain *domain_next(struct domain *after);
/* The domain with this number or the next above it, with a reference; NULL: none. */
struct domain *domain_find_from(uint16_t id) __must_check;

/* Why this machine can keep no guest but domain 0 apart from others, or NULL. */
const char *arch_guests_refused(void);
/* Machine-specific allocation (x86/domain.c): the embedding structures, zeroed. */
struct domain *arch_domain_alloc(void);
void arch_domain_free(struct domain *d);
struct vcpu *arch_vcpu_alloc(struct domain *d, unsigned id);
void arch_vcpu_free(struct vcpu *v);
/* Registers and stack of the vCPU of d that runs here, if one does. */
void arch_domain_crash_dump(struct domain *d);
/* What only the machine's side knows of what the ABI tells about a domain. */
struct xen_domctl_getdomaininfo;
void arch_domain_info(const struct domain *d, struct xen_domctl_getdomaininfo *info);
/* Give back the frames, page tables and devices of a dying domain. -XEN_ERESTART: call again. */
int arch_domain_relinquish(struct domain *d) __must_check;
/* Domain 0 shut down: power off, restart, or wait for a person. */
__noreturn void machine_shutdown(unsigned code);

/* vcpu_info of v for writing by the hypervisor; always valid memory. */
static inline struct vcpu_info *vcpu_info(const struct vcpu *v)
{
    return v->info;
}

static inline struct vcpu *domain_vcpu(const struct domain *d, uint64_t id)
{
    if (id >= d->max_vcpus)
        return NULL;
    return d->vcpu[index_nospec(id, d->max_vcpus)];
}
