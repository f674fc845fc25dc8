/* SPDX-License-Identifier: MIT */
/*
 * What a guest is to be: the result of reading a configuration file in either dialect (xl.cfg; the Python-like files of
 * old xm), with `key=value` words of the command line on top. All strings are owned by the structure; NULL = not given.
 * Sizes in KiB unless the name says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum guest_type { GUEST_PV, GUEST_PVH, GUEST_HVM };

enum disk_format { DISK_RAW, DISK_QCOW2, DISK_QCOW, DISK_VHD, DISK_EMPTY };
/*
 * FILE: raw file by loop device; QDISK: stock user-space tools. AUTO: what the target is decides; so it is also for the old
 * prefixes phy: file: tap:, since people have "phy:" before files and "file:" before block devices.
 */
enum disk_backend { DISK_AUTO, DISK_PHY, DISK_FILE, DISK_QDISK };

struct disk_config {
    char *target;        /* path of file or block device; nbd:HOST:PORT[:exportname=..] and the like for QDISK */
    char *vdev;          /* xvda, xvda1, hda, sda, or a number as given */
    char *script;        /* user's block script, NULL = built in */
    char *backend;       /* name or id of the backend's domain, NULL = domain 0 */
    enum disk_format format;
    enum disk_backend how;
    bool readonly, cdrom, shared /* access '!' */, direct_io_safe, discard, trusted;
};

struct nic_config {
    char *mac;           /* aa:bb:.. or NULL = made up: 00:16:3e and a random rest, or derived from the uuid and index */
    char *bridge;        /* NULL = the default network */
    char *ip;            /* addresses, blank-separated; lets routed and NAT networks set routes and filters */
    char *script, *backend, *vifname, *model, *gatewaydev, *rate;
    unsigned mtu;        /* 0 = not given */
    int devid;           /* -1 = next free */
    bool ioemu, trusted;
};

enum guest_action { ACTION_DESTROY, ACTION_RESTART, ACTION_RENAME_RESTART, ACTION_PRESERVE, ACTION_COREDUMP_DESTROY,
                    ACTION_COREDUMP_RESTART, ACTION_SOFT_RESET };

struct guest_config {
    char *file;                       /* where it came from, for messages and for on_reboot = restart */
    char *name, *uuid;                /* uuid in text form; made up when NULL */
    enum guest_type type;
    char *kernel, *ramdisk, *cmdline; /* cmdline: root=, extra=, ip=.. put together as xl and old xm did */
    char *bootloader, *bootloader_args;
    uint64_t memory, maxmem;          /* KiB; maxmem 0 = memory */
    unsigned vcpus, maxvcpus;         /* 0 = not given */
    char *cpus, *cpus_soft;           /* CPU lists as given ("0-3,^1", "all"); cpus_list below if a list per vCPU */
    char **cpus_each;                 /* n_cpus_each strings, one per vCPU */
    unsigned n_cpus_each;
    char **cpus_soft_each;
    unsigned n_cpus_soft_each;
    unsigned weight, cap;             /* 0 = default */
    char *pool;
    struct disk_config *disks;
    unsigned n_disks;
    struct nic_config *nics;
    unsigned n_nics;
    enum guest_action on_poweroff, on_reboot, on_crash, on_watchdog, on_soft_reset;
    unsigned max_grant_frames, max_maptrack_frames, max_event_channels; /* 0 = default */
    char *tsc_mode, *cpuid, *cpu_level; /* as given; cpuid: the parts of a list with blanks between */
    bool nomigrate, localtime;
    int rtc_timeoffset;
    char **pci;                       /* n_pci strings */
    unsigned n_pci;
    char *other_json;                 /* keys that are known and not used for this kind of guest: {"vnc":"1",...} */
};

/*
 * Read a file ("-": standard input), then n words `key=value` in order. A word whose key is no key of configurations is a
 * variable that the file can read, as vmid=1 for old xm's files. A value may be quoted as in a file or bare; disk= and vif=
 * may be repeated. 0, or -errno with fault() text "FILE:LINE:COLUMN: 'WORD': cause; mend" (words: "command line:N:...").
 * Unknown keys: warn(). The structure is valid for config_dispose() in any case.
 */
int config_load(struct guest_config *c, const char *file, char *const words[], unsigned n_words);
/* The same from memory; `name` for messages. */
int config_parse(struct guest_config *c, const char *name, const char *text, size_t bytes, char *const words[], unsigned n_words);
/* One disk or network in the syntax of the `disk` and `vif` lists: block-attach, network-attach. */
int config_parse_disk(struct disk_config *d, const char *const words[], unsigned n_words);
int config_parse_nic(struct nic_config *n, const char *const words[], unsigned n_words);
/* What the configuration says, as JSON (xm create -n, list -l) or as xl.cfg text (for storing beside a running guest). */
void config_print_json(const struct guest_config *c, FILE *out);
void config_print_xl(const struct guest_config *c, FILE *out);
void config_dispose(struct guest_config *c);
void config_dispose_disk(struct disk_config *d);
void config_dispose_nic(struct nic_config *n);
