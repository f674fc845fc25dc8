/* SPDX-License-Identifier: MIT */
/*
 * What the evtchn*.c files share. Nobody else includes this.
 *
 * Locks, outermost first. Binding and closing take the first two, sending only the third:
 *   evtchn_domain.lock  (RANK_EVTCHN)      which ports exist and are free; virq and pirq tables; FIFO pages
 *   evtchn_link_lock    (RANK_EVTCHN_LINK) global; held while a port changes from or to "connected"
 *   evtchn.lock         (RANK_EVTCHN_PORT) the state of one port; never two at a time
 *   evtchn_vcpu.lock    (RANK_EVTCHN_Q)    FIFO tails and control block of one vCPU
 *
 * Why a sender needs no lock or reference of the receiving domain: it holds the lock of its own port while
 * that port says "connected to port p of domain r". To close p, r (or whoever buries r) must first take that
 * same lock to set the sender's port to "unbound". So while it is held, r's port is open, hence r has not
 * finished evtchn_domain_kill() and none of its event channel memory can go. In the same way IPI, VIRQ and
 * PIRQ delivery holds the lock of the port it delivers to. FIFO pages go only when no port is open.
 * Ports themselves (buckets) are never freed before the domain is.
 */
#pragma once

#include "domain.h"
#include "evtchn.h"
#include "lock.h"
#include "page.h"

#include <xen/event_channel.h>

#define PORTS_PER_BUCKET 64
#define BUCKETS_PER_GROUP 64
#define PORTS_PER_GROUP (PORTS_PER_BUCKET * BUCKETS_PER_GROUP)
#define GROUPS_MAX (EVTCHN_FIFO_NR_CHANNELS / PORTS_PER_GROUP)
#define PIRQS_PER_PAGE (FRAME_SIZE / sizeof(uint32_t))
#define PIRQ_PAGES 4
#define PIRQS_MAX (PIRQ_PAGES * PIRQS_PER_PAGE)

enum evtchn_state {
    ECS_FREE,
    ECS_RESERVED, /* port 0, and a port being set up: closed to everybody */
    ECS_UNBOUND,
    ECS_INTERDOMAIN,
    ECS_PIRQ,
    ECS_VIRQ,
    ECS_IPI,
};

/* One port. [L] evtchn_link_lock as well for changes, [p] lock, [d] changed with the domain's lock too. */
struct evtchn {
    struct spinlock lock;
    struct domain *remote;  /* [p][L] INTERDOMAIN */
    uint32_t port;          /* immutable */
    uint32_t peer;          /* [p] INTERDOMAIN: its port; VIRQ, PIRQ: the number */
    uint32_t fifo_last;     /* [a] queue it was last put on: vCPU << 8 | priority; changed under that lock */
    uint16_t vcpu;          /* [p][d] whom it notifies; read without lock */
    uint16_t remote_id;     /* [p] UNBOUND: who may connect */
    uint8_t state;          /* [p] enum evtchn_state */
    uint8_t priority;       /* [p] FIFO; read without lock */
    uint8_t early;          /* [a] FIFO: pending, but the guest has not given the array page yet */
};

/* 4096 ports. free: bit set = may be allocated (bucket exists). */
struct evtchn_group {
    struct evtchn *bucket[BUCKETS_PER_GROUP];
    uint64_t free[BUCKETS_PER_GROUP];
    uint64_t any_free; /* bit b: free[b] != 0 */
};

struct evtchn_fifo {
    event_word_t *words[EVTCHN_FIFO_NR_CHANNELS / (FRAME_SIZE / sizeof(event_word_t))];
    struct page *page[EVTCHN_FIFO_NR_CHANNELS / (FRAME_SIZE / sizeof(event_word_t))];
    unsigned nr; /* pages; published last */
};

struct evtchn_domain {
    struct spinlock lock;
    bool dying;
    uint32_t nr_ports;  /* buckets exist for ports below; grows only */
    uint32_t max_port;  /* set before the domain runs */
    uint32_t active;    /* ports not free (port 0 does not count) */
    uint32_t next_close; /* progress of reset and kill */
    uint32_t virq_port[NR_VIRQS]; /* global ones */
    uint32_t *pirq_page[PIRQ_PAGES]; /* pirq -> port, pages made when first used */
    struct evtchn_fifo *fifo;     /* NULL: two-level. Read without lock under some open port's lock */
    struct evtchn_vcpu *vcpus;    /* list of all, to free them */
    struct evtchn_group *group[GROUPS_MAX];
};

struct evtchn_vcpu {
    struct spinlock lock;
    struct evtchn_vcpu *next;
    struct evtchn_fifo_control_block *control; /* guest-writable; NULL: none given */
    struct page *control_page;
    uint32_t tail[EVTCHN_FIFO_MAX_QUEUES];
    uint32_t virq_port[NR_VIRQS]; /* per-vCPU ones; changed under the domain's lock */
};

extern struct spinlock evtchn_link_lock;

/* --- evtchn_port.c: existence of ports ------------------------------------------------------- */

/* The port if it exists, open or not; NULL otherwise. Lock-free; bounds masked. */
struct evtchn *evtchn_find(const struct domain *d, uint32_t port);
/* A free port in state RESERVED with default attributes. *rc is set when it returns NULL. d's lock held. */
struct evtchn *evtchn_alloc_locked(struct domain *d, int *rc);
/* Back to the free ones. d's lock held; the port's not. */
void evtchn_release_locked(struct domain *d, struct evtchn *ch);
bool evtchn_is_free_bit(const struct evtchn_domain *ed, uint32_t port);
void evtchn_ports_free(struct evtchn_domain *ed);
/* One more than the largest port number that the domain's present ABI allows. */
uint32_t evtchn_port_limit(const struct evtchn_domain *ed);

/* --- evtchn_bind.c ------------------------------------------------------------------------------ */

bool virq_is_global(unsigned virq);
/* The table cell that holds the port of a pirq; NULL if out of range or no page and !make. */
uint32_t *evtchn_pirq_cell(struct domain *d, uint32_t pirq, bool make);
int evtchn_alloc_unbound(struct domain *d, domid_t remote, uint32_t *port) __must_check;
int evtchn_bind_interdomain(struct domain *d, struct domain *rd, uint32_t rport, uint32_t *port)
    __must_check;
int evtchn_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu, uint32_t *port) __must_check;
int evtchn_bind_ipi(struct domain *d, uint32_t vcpu, uint32_t *port) __must_check;
int evtchn_bind_pirq(struct domain *d, uint32_t pirq, uint32_t flags, uint32_t *port) __must_check;
int evtchn_bind_vcpu(struct domain *d, uint32_t port, uint32_t vcpu) __must_check;
int evtchn_close(struct domain *d, uint32_t port) __must_check;
int evtchn_status(struct domain *d, struct evtchn_status *st) __must_check;
/* Close all; -XEN_ERESTART when it should be called again, -XEN_EAGAIN when new ports were opened meanwhile. */
int evtchn_reset(struct domain *d) __must_check;

/* --- evtchn.c: delivery --------------------------------------------------------------------------- */

/* Make ch (a port of d) pending. Some lock that keeps it open is held, see above. */
void evtchn_set_pending(struct domain *d, struct evtchn *ch);
/* Tell v that something is pending for it. */
void evtchn_mark_vcpu(struct vcpu *v);
int evtchn_unmask(struct domain *d, uint32_t port) __must_check;

/* --- The two ABIs: all with a lock that keeps the port open ------------------------------------------ */

void evtchn_2l_set_pending(struct domain *d, struct evtchn *ch);
void evtchn_2l_clear_pending(struct domain *d, const struct evtchn *ch);
void evtchn_2l_unmask(struct domain *d, const struct evtchn *ch);
bool evtchn_2l_is_pending(const struct domain *d, uint32_t port);
bool evtchn_2l_is_masked(const struct domain *d, uint32_t port);

void evtchn_fifo_set_pending(struct domain *d, struct evtchn_fifo *f, struct evtchn *ch);
void evtchn_fifo_clear_pending(struct evtchn_fifo *f, struct evtchn *ch);
void evtchn_fifo_unmask(struct domain *d, struct evtchn_fifo *f, struct evtchn *ch);
bool evtchn_fifo_is_pending(const struct evtchn_fifo *f, const struct evtchn *ch);
bool evtchn_fifo_is_masked(const struct evtchn_fifo *f, uint32_t port);
/* Still on a guest's queue: must not be handed out again. */
bool evtchn_fifo_is_linked(const struct evtchn_fifo *f, uint32_t port);
int evtchn_fifo_init_control(struct domain *d, const struct evtchn_init_control *ic) __must_check;
int evtchn_fifo_expand_array(struct domain *d, uint64_t array_gfn) __must_check;
int evtchn_fifo_set_priority(struct domain *d, uint32_t port, uint32_t priority) __must_check;
/* Back to two-level; d's lock held and no port open. */
void evtchn_fifo_destroy_locked(struct domain *d);
