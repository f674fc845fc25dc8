/* SPDX-License-Identifier: MIT */
/* Disks: block devices (phy:), raw files by loop devices, qcow2 and NBD by qemu-nbd, all served by the kernel's xen-blkback. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "device.h"

/* "xvda", "xvda1", "sda", "hdc", "51712": the device number of the ABI, or -EINVAL with a fault. */
int disk_parse_vdev(const char *vdev, unsigned *id);
/* The name for a number; "xvdb1" for what has one, else the number. `out` of 16 bytes. */
void disk_name_vdev(unsigned id, char *out);

/* Is there, may be opened, is what it says it is, is used by nobody else. `domid` -1 before the guest exists. */
int disk_check(const struct disk_config *d, int domid);
int disk_attach(uint32_t domid, const struct disk_config *d);
/* By name (xvdb) or number. `force`: even if the guest does not let go. */
int disk_detach(uint32_t domid, const char *vdev, bool force);
/* The second half of a detach: what stood behind it (loop device, qemu-nbd, script). Called after device_close(). */
void disk_release(const struct device *dev);
