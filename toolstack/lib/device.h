/* SPDX-License-Identifier: MIT */
/*
 * Virtual devices of a guest: what `xm create` and `xm destroy` call, and the part that disks (disk.h) and networks
 * (net.h) share: the two store directories of a device, and the handshake of their `state` nodes.
 *
 *   /local/domain/B/backend/KIND/N/ID     the backend's, owned by domain B (0), readable by the guest N
 *   /local/domain/N/device/KIND/ID        the frontend's, owned by the guest, readable by B
 *   /libxl/N/device/KIND/ID               what it was made from, domain 0's own; stock xl reads it
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

/* --- for create and destroy ------------------------------------------------------------------------------------ */

/*
 * Everything that can be seen before the guest exists: images and their formats, rights, who else uses them; bridges,
 * names and MACs. Changes nothing on the machine. Fills in what was left open: MAC addresses, device numbers, the bridge.
 */
int devices_check(struct guest_config *c);
/* After the domain exists and /local/domain/N is written, before it runs first. On failure what was attached is detached again. */
int devices_attach_all(uint32_t domid, const struct guest_config *c);
/*
 * All devices of a domain, at once and then waited for together; for one that is dead or about to be destroyed (`force`: the guest
 * is not asked). Removes the store nodes, loop devices and the like. 0 also when there are none.
 */
int devices_detach_all(uint32_t domid, bool force);
/*
 * Before a guest is suspended: its devices have come. Stock blkfront takes a disk that has not connected anew since the last time for
 * a new one, and stops in a BUG.
 */
int devices_settle(uint32_t domid);

/* --- for disk.c and net.c -------------------------------------------------------------------------------------- */

/* The states of a device's both ends (enum xenbus_state). */
enum device_state { DEVICE_GONE, DEVICE_INITIALISING, DEVICE_INIT_WAIT, DEVICE_INITIALISED, DEVICE_CONNECTED, DEVICE_CLOSING, DEVICE_CLOSED };

struct device {
    uint32_t domid, backend;
    const char *kind;                                  /* "vbd", "vif" */
    unsigned id;
    char front[64], back[64], record[64];              /* the directories */
};

void device_init(struct device *dev, uint32_t domid, const char *kind, unsigned id);
bool device_exists(const struct device *dev);
/* The three directories with their owners, and the nodes that every device has. Within the caller's transaction. */
int device_write_base(const struct device *dev);
/* A node of the frontend; one of the backend, and the same in the record. */
int device_put_front(const struct device *dev, const char *key, const char *value, ...) __attribute__((format(printf, 3, 4)));
int device_put_back(const struct device *dev, const char *key, const char *value, ...) __attribute__((format(printf, 3, 4)));
/* Until the backend's driver has seen it (state 2), or the error that it left in the store; names the module when nothing happens. */
int device_wait_backend(const struct device *dev, unsigned timeout_ms);
/* What the backend's driver left as an error in the store (free() it), or NULL. */
char *device_backend_error(const struct device *dev);
/*
 * Asks both ends to let go and waits until the kernel has dropped the device; -EBUSY if the guest does not answer. `force`: the
 * frontend is taken away instead of asked. The record stays, device_forget() takes it.
 */
int device_close(const struct device *dev, bool force, unsigned timeout_ms);
/* Waits some seconds for a device that is just coming; one that its guest does not take is no failure. */
int device_settle(const struct device *dev);
/* The two halves, to have several close at the same time. */
int device_close_begin(const struct device *dev, bool force);
int device_close_end(const struct device *dev, bool force, unsigned timeout_ms);
/* --- device_hurry.c: domain 0's kernel lets go of devices without waiting for ticks, between these two. Nests. --- */
void device_hurry(void);
void device_hurry_end(void);
extern const char *device_hurry_switch, *device_hurry_lock; /* files; others for tests */

/* Takes the three directories away. */
int device_forget(const struct device *dev);
/* Calls fn for each device of a domain and kind, lowest number first, until it says other than 0. */
int device_each(uint32_t domid, const char *kind, int (*fn)(const struct device *dev, void *arg), void *arg);
/* The name of a domain for messages ("a guest" when it has none), in `out` of 80 bytes. */
const char *device_domain_name(char *out, uint32_t domid);
/* One at a time over check and attach, also against other programs. Nests. */
int device_lock(void);
void device_unlock(void);

/* A user's script: its path below /etc/xen/scripts (or as given from the root), when it can be run. `out` of 256 bytes. */
int device_check_script(const char *script, char *out);
/* Runs `script ACTION [more]` with XENBUS_PATH and the rest of the contract; then hotplug-status must not be "error". */
int device_run_script(const struct device *dev, const char *script, const char *action, const char *more, const char *vif);
