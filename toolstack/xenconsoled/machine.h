/* SPDX-License-Identifier: MIT */
/*
 * All that xenconsoled asks of the hypervisor and the store; a test brings its own. 0 or a negative error with fault() where an
 * int is given and nothing else is said.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int machine_open(void);
void machine_close(void);

/* Event channels: one descriptor for all guests. */
int machine_event_fd(void);
int machine_event_next(void);               /* the port, masked until machine_event_done(); negative: none */
void machine_event_done(unsigned port);
int machine_event_bind(uint32_t domid, unsigned remote);    /* our port */
void machine_event_unbind(unsigned port);
void machine_event_notify(unsigned port);

/* The ring's page, by grant if the guest's table has it, else as a foreign frame. NULL: fault. */
void *machine_ring_map(uint32_t domid, uint64_t frame, bool *granted);
void machine_ring_unmap(void *page, bool granted);

/* The store. */
int machine_store_fd(void);
/* A watch that fired: its token in `token`; false: none. *lost: the store's connection broke. */
bool machine_store_event(char *token, size_t size, bool *lost);
int machine_store_watch(const char *path, const char *token);
void machine_store_unwatch(const char *path, const char *token);
char *machine_store_read(const char *path); /* to be freed, NULL: no such node */
void machine_store_write(const char *path, const char *value);

struct machine_domain { uint32_t domid; uint8_t uuid[16]; bool dying; };
int machine_domains(struct machine_domain **list);  /* their number; the list is to be freed */
int machine_domain(uint32_t domid, struct machine_domain *d);   /* 1; 0: there is none */
/* The store's word that a domain came or went: 1 and its number, or STORE_DOMAINS_ALL; 0: nothing more now. */
int machine_domains_fd(void);
int machine_domains_next(int *domid);
/* The hypervisor's log from *index on. */
int machine_log(char *out, size_t size, uint32_t *index);
