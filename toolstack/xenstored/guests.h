/* SPDX-License-Identifier: MIT */
/* The domains the store talks to over rings: introduced, released, ended. */
#pragma once
#include "loop.h"

struct domain;

/* Opens the hypervisor's interfaces and domain 0's own ring. 0 or -errno, after a line in the log. */
int domains_open(struct host *host);
/* Unmaps and unbinds all; the store keeps what it has. */
void domains_close(void);
int domain_introduce(uint16_t domid, uint64_t gfn, uint32_t port);
int domain_release(uint16_t domid);
int domain_resume(uint16_t domid);
int domain_set_target(uint16_t domid, uint16_t target);
bool domain_is_introduced(uint16_t domid);
/* Looks which domains have ended or stopped. */
void domains_look(void);
void domains_tick(uint64_t seconds);

unsigned domain_count(void);
struct domain *domain_next(struct domain *d);    /* NULL: the first */
struct domain *domain_find(uint16_t domid);
uint16_t domain_id(const struct domain *d);
struct conn *domain_conn(struct domain *d);
bool domain_stopped(const struct domain *d);

/* For the state file. */
struct domain_state {
    uint16_t domid, target;
    uint32_t port;
    uint64_t gfn;
    bool shut_down;
};
void domain_get_state(const struct domain *d, struct domain_state *out);
int domain_restore(const struct domain_state *in);
