/* SPDX-License-Identifier: MIT */
/*
 * Thin volumes by the kernel's own calls (device mapper), for the few milliseconds in which a guest stands still: LVM's programs take
 * a second, and have prepared everything before. Only what a thin pool documents as its messages. 0 or a negative error with fault().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct thin {
    uint64_t device, pool;      /* numbers as the device mapper writes them */
    uint32_t id;                /* the volume's number in its pool */
};

struct dm_ioctl;
extern int (*thin_call)(unsigned long request, struct dm_ioctl *d); /* -errno; tests have their own */

/* What is the active thin volume behind a device node? */
int thin_find(const char *node, struct thin *t);
int thin_look(const char *node, dev_t device, struct thin *t);
/* Lets what is under way finish, and holds back what comes; and lets it go on. */
int thin_suspend(const struct thin *t, bool on);
/*
 * The volume number `id` of the pool, which nobody has active, becomes what t is at this moment. t is suspended. If it fails half way the pool has no
 * volume of that number any more; lvremove does not mind.
 */
int thin_set(const struct thin *t, uint32_t id);
