/* SPDX-License-Identifier: MIT */
/*
 * /etc/zendo/relocation.conf: the relocation daemon (relocd) and who may send guests to this host. Without the file there is
 * no daemon. Lines:
 *   listen ADDRESS:PORT        where it waits; default [::]:8002
 *   certificate FILE           this host's, with the chain
 *   key FILE                   its private key; nobody but root may read it
 *   authority FILE             who signs certificates of hosts
 *   allow NAME                 a host that may send guests here: the name in its certificate; * for any that the authority signed
 *   preferred                  xm migrate goes by the daemon if neither -s nor --port is given
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RELOCATION_CONF "/etc/zendo/relocation.conf"
#define RELOCATION_PORT 8002U
#define RELOCATION_ALLOW_MAX 256U

struct relocation {
    char address[128], port[8];
    char certificate[256], key[256], authority[256];
    char allow[RELOCATION_ALLOW_MAX][128];
    unsigned n_allow;
    bool preferred;
};

/* NULL: the usual file. -ENOENT with fault(): there is none. */
int relocation_load(struct relocation *r, const char *file);
bool relocation_allows(const struct relocation *r, const char *name);
