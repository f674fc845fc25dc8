/* SPDX-License-Identifier: MIT */
/*
 * Domains from birth to death: what `xm create`, `xm destroy` and zendod do. All functions: 0 or a negative error with fault().
 * They use the store's connection of store.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "ctl.h"

/* /run/zendo and /var/lib/zendo; tests have their own. */
extern const char *domain_run_folder, *domain_state_folder;

/* --- finding (domain.c) ----------------------------------------------------------------------------------------- */

/* The domain that a word names: a number, or a name. -ENOENT. */
int domain_find(struct ctl *c, const char *word, uint32_t *domid);
char *domain_name(uint32_t domid); /* to be freed; NULL (no fault) if it has none */
/* Names of many at once; names[i] is to be freed, NULL where there is none. */
int domain_names(const struct xen_domctl_getdomaininfo *list, unsigned n, char **names);
int domain_check_name(const char *name);
int domain_check_name_free(struct ctl *c, const char *name, int except);
int domain_rename(struct ctl *c, uint32_t domid, const char *name);

/* The short way from a name to its domain (domain_index.c). The first two belong into the transaction that makes, renames or removes it. */
#define DOMAIN_NAME_PATH 512
int domain_index_put(uint32_t domid, const char *name);
int domain_index_drop(uint32_t domid);
int domain_index_find(struct ctl *c, const char *name); /* its number, or -ENOENT: then it must be looked for */
/* FOLDER/NAME as a path of the store, whatever characters are in the name. */
int domain_name_path(const char *folder, const char *name, char *out, size_t size);
void domain_name_unescape(char *node); /* the last part of such a path becomes the name again */

/* "xxxxxxxx-xxxx-..." to 16 bytes and back; text of 37 bytes. */
int domain_parse_uuid(const char *text, uint8_t uuid[16]);
void domain_format_uuid(const uint8_t uuid[16], char *text);
/* Where the configuration of a running guest is kept: guests/UUID.cfg in the state folder. */
void domain_config_path(const uint8_t uuid[16], char *out, size_t size);

/* --- birth (domain_create.c) ------------------------------------------------------------------------------------ */

struct build_rings;
struct build_result;

struct domain_options {
    bool paused;
    /* Fills memory and registers in place of the builder (restoring): no kernel is needed then. */
    int (*fill)(void *arg, uint32_t domid, const struct build_rings *rings, struct build_result *result);
    void *fill_arg;
    bool no_devices;    /* disks and networks are attached later, by the caller */
    /* With fill: called before it, with the store's nodes written as far as they can be. May be NULL. */
    int (*made)(void *arg, uint32_t domid, const struct guest_config *cfg);
    void *made_arg;
    /* Called when all is ready and the guest has not run yet: the console can be attached. Failure undoes the guest. */
    int (*ready)(uint32_t domid, void *arg);
    void *arg;
};

/*
 * Checks everything that can be checked, then makes the guest. cfg gets what was left open (uuid, MACs). On failure
 * nothing is left behind.
 */
int domain_create(struct ctl *c, struct guest_config *cfg, const struct domain_options *options, uint32_t *domid);
/* The checks alone. */
int domain_check(struct ctl *c, struct guest_config *cfg);

/* Nodes of a new domain (domain_store.c), as libxl lays them out. */
struct domain_nodes {
    uint32_t domid;
    const uint8_t *uuid;
    const struct guest_config *cfg;
    unsigned store_port, console_port;
    xen_pfn_t store_mfn, console_mfn;
};
int domain_write_nodes(const struct domain_nodes *n);
/* Where its rings are, once that is known. */
int domain_write_rings(uint32_t domid, xen_pfn_t store_mfn, xen_pfn_t console_mfn);
/* Takes all nodes of a domain away: /local/domain/N, /libxl/N, /vm/UUID, /zendo/domain/N. */
int domain_remove_nodes(uint32_t domid);

/* --- life and death (domain_end.c) ------------------------------------------------------------------------------ */

/* Ends it at once and removes everything of it, in the reverse order of creation; carries on after a failure and gives the first. */
int domain_destroy(struct ctl *c, uint32_t domid);
/* Asks the guest's kernel: "poweroff", "reboot", "suspend", ... -ENOTSUP if it says that it does not listen. */
int domain_request(struct ctl *c, uint32_t domid, const char *what);
/* Waits until the domain has shut down or is gone. timeout 0: for ever. *reason: SHUTDOWN_*, -1: it is gone. */
int domain_wait_end(struct ctl *c, uint32_t domid, unsigned timeout_ms, int *reason);
const char *domain_reason(unsigned reason); /* "poweroff", "reboot", "crash", ... */

/* The last failures of a name, for `xm why` (domain_why.c). */
void domain_why_add(const char *name, const char *text);
int domain_why_print(const char *name, FILE *out);
