/* SPDX-License-Identifier: MIT */
/*
 * What a guest had asked of its disks when it was suspended: its back ends go on with that. The guest asks again where it goes on, and may
 * then write something else to the same place: the old write must not come after that. So a move waits for the disks on the old
 * host before the other one may run the guest. What is in flight is what the kernel says of the block device.
 */
#include "device.h"
#include "fault.h"
#include "migrate_guest.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STEP_MS 1

const char *migrate_block_folder = "/sys/dev/block";

static int note(const struct device *dev, void *disks)
{
    struct migrate_disks *d = disks;
    char *text = store_read("%s/physical-device", dev->back);

    if (text && d->n < MIGRATE_DISKS_MAX && sscanf(text, "%x:%x", &d->at[d->n].major, &d->at[d->n].minor) == 2)
        d->n++;
    free(text);
    return 0;
}

/* Reads and writes under way; 0 also where the kernel does not say. */
static unsigned in_flight(const struct migrate_disks *d)
{
    unsigned all = 0;

    for (unsigned i = 0; i < d->n; i++) {
        unsigned reads = 0, writes = 0;
        char path[300];

        snprintf(path, sizeof(path), "%.200s/%u:%u/inflight", migrate_block_folder, d->at[i].major, d->at[i].minor);
        FILE *f = fopen(path, "re");

        if (f && fscanf(f, "%u %u", &reads, &writes) == 2)
            all += reads + writes;
        if (f)
            fclose(f);
    }
    return all;
}

void migrate_disks_find(uint32_t domid, struct migrate_disks *d)
{
    d->n = 0;
    device_each(domid, "vbd", note, d);
    fault_clear();
}

void migrate_disks_drain(uint32_t domid, const struct migrate_disks *d, unsigned limit_ms)
{
    double end = migrate_clock_ms() + limit_ms;
    unsigned quiet = 0; /* twice: a back end may just be taking what is in the ring */

    while (d->n && (quiet = in_flight(d) ? 0 : quiet + 1) < 2) {
        if (migrate_clock_ms() >= end) {
            warn("domain %u: its disks on this host still have requests under way after %u ms", domid, limit_ms);
            return;
        }
        usleep(STEP_MS * 1000);
    }
}
