/* SPDX-License-Identifier: MIT */
/* Network devices: joins the backend's interface (vifN.M) to a bridge or routes to it, by netlink, without scripts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "device.h"

/* "00:16:3e:aa:bb:cc" to six bytes; -EINVAL with a fault, also for multicast and all zeroes. */
int net_parse_mac(const char *text, uint8_t mac[6]);
/* A made-up one. From `seed` (a guest's uuid) and index it is the same each time; random when seed is NULL. `out` of 18 bytes. */
int net_make_mac(char *out, const char *seed, unsigned index);
/* "10Mb/s", "250KB/s@20ms": bytes per interval, and the interval (50 ms when not given) in microseconds. */
int net_parse_rate(const char *text, uint64_t *bytes, uint32_t *interval_us);

/* Fills in MAC, bridge and devid; the bridge must exist, MAC and interface name must be nobody's. `domid` -1 before the guest exists. */
int nic_check(struct nic_config *n, int domid, const char *seed, unsigned index);
int nic_attach(uint32_t domid, const struct nic_config *n);
/* After the device has closed: takes back what was set up for it in domain 0 (routes, a user's script). */
void nic_release(const struct device *dev);
/* By MAC or device number. */
int nic_detach(uint32_t domid, const char *which, bool force);
