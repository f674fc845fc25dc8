/* SPDX-License-Identifier: MIT */
/*
 * Physical interrupts (x86/irq/): the hypervisor's own vectors, guests' pirqs. An interrupt handler of
 * ours acknowledges and raises a softirq; guest delivery happens in SOFTIRQ_PIRQ, interrupts on.
 */
#pragma once

#include "types.h"

struct domain;
struct vcpu;

/* Vectors. 0x20-0x2f spurious PIC, 0x30-0xdf devices (per CPU), 0xe0-0xff the hypervisor's own. */
#define VECTOR_DEV_FIRST 0x30
#define VECTOR_DEV_LAST 0xdf
#define VECTOR_WATCHDOG 0xf0
#define VECTOR_EVENT_CHECK 0xf8 /* look at softirqs and pending events */
#define VECTOR_TLB_FLUSH 0xf9
#define VECTOR_CALL 0xfa        /* function call on another CPU */
#define VECTOR_TIMER 0xfb       /* local APIC timer */
#define VECTOR_ERROR 0xfc
#define VECTOR_THERMAL 0xfd
#define VECTOR_SPURIOUS 0xff

/* Handler of one of the hypervisor's own vectors; interrupts off; must not lock below RANK_IRQ. The EOI
 * has been sent already. */
void vector_handler_set(uint8_t vector, void (*fn)(void));
/* From the entry code: an external interrupt with this vector arrived on this CPU; interrupts off. */
void irq_dispatch(uint8_t vector);

/* The hypervisor itself uses a line (serial port): handler as above. GSI as in ACPI. 0 or -error. */
int irq_request_gsi(unsigned gsi, bool level, bool active_low, void (*fn)(void *), void *data);

void irq_init(void); /* 8259 off, I/O APICs found by ACPI set up and masked; boot CPU */

/* Guest side, called by event channels: bind or unbind the port of a pirq that physdev_op mapped.
 * flags: BIND_PIRQ__WILL_SHARE. The interrupt is delivered to v's CPU from now on. */
int pirq_guest_bind(struct vcpu *v, unsigned pirq, unsigned flags) __must_check;
void pirq_guest_unbind(struct domain *d, unsigned pirq);
/* The port of pirq was re-bound to v (EVTCHNOP_bind_vcpu): move the interrupt along. */
void pirq_guest_set_affinity(struct domain *d, unsigned pirq, struct vcpu *v);
/* The guest unmasked or consumed the port: nothing is done here for edge or MSI. For level lines the guest
 * calls PHYSDEVOP_eoi. */
void pirq_guest_eoi(struct domain *d, unsigned pirq);

int pirq_domain_init(struct domain *d, unsigned nr_pirqs) __must_check;
void pirq_domain_free(struct domain *d);
unsigned irq_count_gsis(void); /* number of I/O APIC inputs */
void irq_dump(void);           /* debug key */
