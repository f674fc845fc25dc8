/* SPDX-License-Identifier: MIT */
/*
 * Command line. Options register themselves in a table (common/cmdline.c owns it); spellings are the
 * reference's. An unknown word gets a warning that names it. docs/COMMAND-LINE.md lists them all.
 */
#pragma once

#include "types.h"

struct cmdline_options {
    char console[64];      /* console=com1,vga */
    char com[2][64];       /* com1= com2=: BAUD[/CLOCK][,DPS[,PORT[,IRQ]]] */
    uint64_t dom0_mem_min, dom0_mem_max, dom0_mem; /* bytes; 0 = not given */
    int64_t dom0_mem_off;  /* negative form: all but so much, bytes (0 = not given) */
    uint32_t dom0_max_vcpus_min, dom0_max_vcpus_max; /* 0 = all CPUs */
    bool dom0_vcpus_pin;
    uint32_t maxcpus;      /* 0 = all */
    bool smp;              /* nosmp clears */
    int loglvl, guest_loglvl; /* enum log_level thresholds for the console */
    bool noreboot;
    uint32_t reboot_delay; /* s */
    char reboot[16];       /* a(cpi) k(bd) p(ci) t(riple) n(o) */
    bool watchdog;
    uint32_t watchdog_timeout;
    bool x2apic;           /* x2apic=0 */
    bool smep, smap, xsave, pcid, umip, fsgsbase;
    bool sync_console, console_timestamps, conring_big;
    uint32_t conring_size; /* bytes */
    char clocksource[16];
    char sched[16];
    uint64_t mem_limit;    /* mem= bytes, 0 = all */
    bool acpi, ioapic_ack_new, apic_verbose;
    char vga[32];
    bool bootscrub;
    uint32_t gnttab_max_frames, gnttab_max_maptrack_frames;
    uint32_t tickle_ns;
    bool pv_unsafe;        /* guests also where the processor cannot keep them apart */
    bool ptwr_trace;       /* debugging: log emulated page-table writes */
};
extern struct cmdline_options opt;

/* Defaults, then the words of `line`. Host-tested and fuzzed. */
void cmdline_parse(const char *line);
