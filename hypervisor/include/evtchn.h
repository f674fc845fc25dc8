/* SPDX-License-Identifier: MIT */
/*
 * Event channels: ports, their bindings, and the two ABIs by which a guest sees them (two-level
 * bitmaps and FIFO queues). common/evtchn*.c. Source: ABI header event_channel.h and the FIFO design.
 */
#pragma once

#include "lock.h"
#include "types.h"

struct domain;
struct vcpu;
struct evtchn_domain; /* private to common/evtchn*.c; hangs off domain.evtchn */
struct evtchn_vcpu;   /* off vcpu.evtchn */

int evtchn_domain_init(struct domain *d) __must_check;
/* The highest port number d may have; before it runs. */
void evtchn_domain_limit(struct domain *d, uint32_t max_port);
int evtchn_vcpu_init(struct vcpu *v) __must_check; /* before the vCPU is first used */
/* Close every port (peers see theirs unbound), drop the FIFO pages. Domain dying. -XEN_ERESTART when
 * it should be called again after a rest. */
int evtchn_domain_kill(struct domain *d) __must_check;
void evtchn_domain_free(struct domain *d); /* last: no vCPU runs, all ports closed */

/* Hypercall: any vCPU. */
long do_event_channel_op(struct vcpu *v, uint64_t cmd, uint64_t arg, uint64_t a3, uint64_t a4,
                         uint64_t a5);
/* The old form: one structure that begins with the command. */
long do_event_channel_op_compat(struct vcpu *v, uint64_t arg, uint64_t a2, uint64_t a3, uint64_t a4,
                                uint64_t a5);

/* Deliver over a port of d that is bound to something a guest may send on. -XEN_EINVAL otherwise. */
int evtchn_send(struct domain *d, uint32_t port);
/* Per-vCPU interrupt (VIRQ_TIMER, ...): to the port that v has bound, if any. */
void virq_raise_vcpu(struct vcpu *v, unsigned virq);
/* Per-domain interrupt of d (VIRQ_DOM_EXC, VIRQ_CONSOLE, ...). */
void virq_raise_domain(struct domain *d, unsigned virq);
/* Who gets that global VIRQ instead of domain 0 from now on; as long as it lives. -XEN_EINVAL: not a global one. */
int virq_set_handler(unsigned virq, struct domain *d) __must_check;
/* The same for domain 0 (or whoever holds that VIRQ). */
void virq_raise_global(unsigned virq);
/* A physical interrupt for d: mark its port pending. true if that port is bound (a later EOI by the
 * guest will come), false if nobody listens. */
bool evtchn_pirq_raise(struct domain *d, unsigned pirq);
/* State of a port, for polling: pending and not yet consumed? Index masked. */
bool evtchn_is_pending(struct domain *d, uint32_t port);
bool evtchn_is_known(struct domain *d, uint32_t port); /* a number that has been in use */
bool evtchn_is_masked(struct domain *d, uint32_t port);

/* vcpu_info of v moves to another page: events pending in the old one carry over. Caller has paused v
 * or is v. */
void evtchn_vcpu_info_moved(struct vcpu *v);

/* For save/dump and debug keys: print the ports of d; check invariants (number of faults). */
void evtchn_dump(struct domain *d);
unsigned evtchn_check(struct domain *d);
