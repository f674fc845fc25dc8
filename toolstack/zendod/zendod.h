/* SPDX-License-Identifier: MIT */
/* The host daemon's parts. */
#pragma once

#include "ctl.h"
#include "net_conf.h"

/* --- log.c: /var/log/zendo/zendod.log, with the time; on stderr too in the foreground --- */
void log_open(const char *file, bool to_stderr);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last fault() behind the text; clears it. */
void log_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- networks.c: all networks of network.conf; goes on after one that fails, and gives the first failure --- */
int networks_up(const char *conf_file);
/* nat.c: guests of a network speak to the outside with this host's address. */
int nat_set(const struct net_network *net);

/* --- dom0.c: domain 0's own nodes in the store, as tools expect them --- */
int dom0_write_nodes(void);

/* --- follow.c: what happens when a guest ends --- */
/* Looks at all domains, or at one; acts on those that have ended. */
void follow_domains(struct ctl *c);
void follow_domain(struct ctl *c, uint32_t domid);

/* --- moves.c: what broken moves of guests have left --- */
/* A descriptor that becomes readable when a move begins; -1 if that cannot be watched. */
int moves_watch(void);
/* Looks at the journals; has lost ones taken up by `xm migrate --resolve`. How long until the next look in ms. */
int moves_look(int watch, int usual_ms);
