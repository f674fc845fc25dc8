/* SPDX-License-Identifier: MIT */
/* What the commands of xm share. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "ctl.h"
#include "domains.h"
#include "fault.h"
#include "store.h"

/* The control calls' handle, opened at the first call; ends the program with exit code 1 if that fails. */
struct ctl *xm_ctl(void);
/* The failure that follows is about this guest: kept for `xm why`. */
void xm_about(const char *name);
/* The domain that a word names, by number or name; with its state in *info (may be NULL). -ENOENT with fault(). */
int xm_domain(const char *word, uint32_t *domid, struct xen_domctl_getdomaininfo *info);
/* The same, but not domain 0: `what` is what it would be refused ("destroyed"). */
int xm_guest(const char *word, uint32_t *domid, struct xen_domctl_getdomaininfo *info, const char *what);
/* A number in a range; -EINVAL with fault() that names what it is. */
int xm_number(const char *word, const char *what, long long min, long long max, long long *out);
/* "512", "512m", "1g", "2048k": KiB; without a letter MiB. */
int xm_memory(const char *word, uint64_t *kib);
/* Prints and frees. */
void xm_print_json(struct json_object *o);
struct json_object *xm_json_string(const char *s); /* null for NULL */

/* Lists of devices (devices.c): of the guests named, as text below a heading or as JSON; `arg` of the functions is the array then. */
struct device;
typedef int xm_device_fn(const struct device *dev, void *arg);
int xm_device_list(struct args *a, const char *kind, const char *head, xm_device_fn *print, xm_device_fn *json);
char *xm_device_word(const struct device *dev, const char *key); /* what the guest wrote, printable; "-1" if nothing; to be freed */
/* domid, the device's number as `id`, state, and these of its record. */
struct json_object *xm_device_json(const struct device *dev, const char *id, const char *const *keys, unsigned n);

/* A guest's console on this terminal: attach (waits for the daemon a moment), then hand bytes both ways until Ctrl-] or the end. */
int xm_console_begin(uint32_t domid);
int xm_console_run(void);

/* One function for each command; see commands.c. */
int cmd_list(struct args *a);
int cmd_vm_list(struct args *a);
int cmd_domid(struct args *a);
int cmd_domname(struct args *a);
int cmd_info(struct args *a);
int cmd_uptime(struct args *a);
int cmd_claims(struct args *a);
int cmd_dmesg(struct args *a);
int cmd_vcpu_list(struct args *a);
int cmd_vcpu_set(struct args *a);
int cmd_vcpu_pin(struct args *a);
int cmd_sched(struct args *a);
int cmd_create(struct args *a);
int cmd_config_update(struct args *a);
int cmd_destroy(struct args *a);
int cmd_save(struct args *a);
int cmd_restore(struct args *a);
int cmd_shutdown(struct args *a);
int cmd_pause(struct args *a);
int cmd_rename(struct args *a);
int cmd_mem_set(struct args *a);
int cmd_mem_max(struct args *a);
int cmd_sysrq(struct args *a);
int cmd_trigger(struct args *a);
int cmd_debug_keys(struct args *a);
int cmd_console(struct args *a);
int cmd_dump_core(struct args *a);
int cmd_domstate(struct args *a);
int cmd_top(struct args *a);
int cmd_cpupool_list(struct args *a);
int cmd_why(struct args *a);
int cmd_block_attach(struct args *a);
int cmd_block_detach(struct args *a);
int cmd_block_list(struct args *a);
int cmd_network_attach(struct args *a);
int cmd_network_detach(struct args *a);
int cmd_network_list(struct args *a);
int cmd_network(struct args *a);
int cmd_migrate(struct args *a);
int cmd_migrate_receive(struct args *a);
int cmd_snapshot(struct args *a);
int cmd_help(struct args *a);
