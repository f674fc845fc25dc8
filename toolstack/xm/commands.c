/* SPDX-License-Identifier: MIT */
/* The table of commands. Help, man page and completion come from it; groups stand together. */
#include "xm.h"

#define LIFE "Guests"
#define LOOK "Looking"
#define CPU "CPUs and memory"
#define DEVICES "Disks and networks"
#define HOST "Host"
#define LATER "Not there yet"

#define OPTIONS(...) (const struct option_row[]) { __VA_ARGS__, { 0 } }
#define FLAG(letter, name, help) { letter, name, NULL, help }
#define VALUE(letter, name, arg, help) { letter, name, arg, help }
#define JSON FLAG(0, "json", "print JSON")

const struct command commands[] = {
    { "create", "new", LIFE, "FILE [KEY=VALUE...]", 0, 64, "makes a guest from a configuration file and starts it",
      "FILE is looked up in /etc/xen too. KEY=VALUE words come on top of the file; old files take them as variables.",
      OPTIONS(FLAG('p', "paused", "leave it paused"), FLAG('c', "console_autoconnect", "attach to its console; Ctrl-] leaves it"),
              FLAG('n', "dryrun", "only read the file and print what it says, as JSON"), FLAG('q', "quiet", "print nothing"),
              VALUE('f', "defconfig", "FILE", "the configuration file"), VALUE(0, "config", "FILE", NULL), FLAG('F', NULL, NULL),
              FLAG('e', NULL, NULL), FLAG('V', "vncviewer", NULL), FLAG('A', "vncviewer-autopass", NULL)),
      cmd_create },
    { "config-update", NULL, LIFE, "DOMAIN FILE [KEY=VALUE...]", 1, 64, "changes what a guest is made from when it restarts", NULL,
      OPTIONS(VALUE('f', "defconfig", "FILE", "the configuration file"), FLAG('d', "debug", NULL)), cmd_config_update },
    { "shutdown", NULL, LIFE, "DOMAIN...", 0, 1000, "asks guests to shut down", NULL,
      OPTIONS(FLAG('w', "wait", "wait until they have"), FLAG('a', "all", "all guests"), FLAG('F', NULL, "end one that does not listen"),
              FLAG('q', "quiet", "say nothing while waiting"), FLAG('R', "reboot", "the same as xm reboot"), FLAG('H', "halt", NULL)),
      cmd_shutdown },
    { "reboot", NULL, LIFE, "DOMAIN...", 0, 1000, "asks guests to restart", NULL,
      OPTIONS(FLAG('w', "wait", "wait until they have shut down"), FLAG('a', "all", "all guests"), FLAG('F', NULL, "reset one that does not listen"),
              FLAG('q', "quiet", "say nothing while waiting")),
      cmd_shutdown },
    { "destroy", "delete", LIFE, "DOMAIN...", 1, 1000, "ends guests at once and removes all that is theirs", NULL,
      OPTIONS(FLAG('f', NULL, NULL)), cmd_destroy },
    { "pause", NULL, LIFE, "DOMAIN...", 0, 1000, "stops guests where they are", NULL, OPTIONS(FLAG('a', "all", "all guests")), cmd_pause },
    { "unpause", "start", LIFE, "DOMAIN...", 0, 1000, "lets them go on", NULL, OPTIONS(FLAG('a', "all", "all guests")), cmd_pause },
    { "console", NULL, LIFE, "DOMAIN", 1, 1, "attaches this terminal to a guest's console; Ctrl-] leaves it", NULL,
      OPTIONS(FLAG(0, "last", "print what a guest of that name printed, also one that has ended"), VALUE('t', "type", "TYPE", "pv"),
              VALUE('n', "num", "NUMBER", "0"), VALUE('e', "escape", "CHARACTER", NULL), FLAG('q', "quiet", NULL)),
      cmd_console },
    { "rename", NULL, LIFE, "DOMAIN NAME", 2, 2, "gives a guest another name", NULL, NULL, cmd_rename },
    { "sysrq", NULL, LIFE, "DOMAIN LETTER", 2, 2, "sends a magic SysRq key to a guest's kernel", NULL, NULL, cmd_sysrq },
    { "dump-core", NULL, LIFE, "DOMAIN [FILE]", 1, 2, "writes a guest's memory and registers into a file",
      "The file has Xen's dump-core format. Without FILE it goes to /var/lib/zendo/dump.",
      OPTIONS(FLAG('L', "live", "the guest runs on meanwhile"), FLAG('C', "crash", "ends the guest afterwards"), FLAG('R', "reset", NULL)),
      cmd_dump_core },
    { "trigger", NULL, LIFE, "DOMAIN nmi|reset|init|power|sleep|s3resume [VCPU]", 2, 3, "sends a guest an interrupt or a button",
      "For a paravirtual guest, power is the same as xm shutdown.", NULL, cmd_trigger },

    { "list", NULL, LOOK, "[DOMAIN...]", 0, 1000, "lists domains",
      "State: running, blocked, paused, shut down (with the reason: crashed, suspended), dying.",
      OPTIONS(FLAG('l', "long", "all that is known, as JSON"), FLAG('v', "verbose", "with uuid and reason"), FLAG('c', "cpupool", "with the CPU pool"),
              FLAG('n', "numa", "with CPUs"), FLAG('Z', "context", NULL), JSON),
      cmd_list },
    { "vm-list", NULL, LOOK, "", 0, 0, "lists uuids, numbers and names", NULL, OPTIONS(JSON), cmd_vm_list },
    { "domid", NULL, LOOK, "NAME", 1, 1, "tells the number of a name", NULL, NULL, cmd_domid },
    { "domname", NULL, LOOK, "NUMBER", 1, 1, "tells the name of a number", NULL, NULL, cmd_domname },
    { "domstate", NULL, LOOK, "DOMAIN", 1, 1, "tells in a word what a domain does", NULL, NULL, cmd_domstate },
    { "uptime", NULL, LOOK, "[DOMAIN...]", 0, 1000, "tells how long domains have run", NULL, OPTIONS(FLAG('s', "short", "a short form"), JSON), cmd_uptime },
    { "top", NULL, LOOK, "", 0, 0, "shows what domains cost, again and again",
      "Letter q ends it. When it is not on a terminal it prints once.",
      OPTIONS(FLAG('b', "batch", "print, do not draw"), VALUE('i', "iterations", "N", "so many times"), VALUE('d', "delay", "SECONDS", "pause between")),
      cmd_top },
    { "why", NULL, LOOK, "NAME", 1, 1, "tells the last failures of a guest's name", NULL, NULL, cmd_why },

    { "mem-set", "balloon", CPU, "DOMAIN MEMORY", 2, 2, "tells a guest to give or take memory", "MEMORY is like 512, 512m, 2g or 2048k.", NULL,
      cmd_mem_set },
    { "mem-max", "maxmem", CPU, "DOMAIN MEMORY", 2, 2, "sets the limit of a guest's memory", NULL, NULL, cmd_mem_max },
    { "vcpu-list", NULL, CPU, "[DOMAIN...]", 0, 1000, "lists virtual CPUs", NULL, OPTIONS(JSON), cmd_vcpu_list },
    { "vcpu-set", "set-vcpus", CPU, "DOMAIN NUMBER", 2, 2, "sets how many virtual CPUs a guest uses", NULL,
      OPTIONS(FLAG('i', "ignore-host", "also more than the host has")), cmd_vcpu_set },
    { "vcpu-pin", NULL, CPU, "DOMAIN VCPU|all CPUS|- [CPUS|-]", 3, 4, "says where a virtual CPU may run, and where it would rather",
      "CPUS is like 0-3,5 or all,^0; - leaves that one alone.", OPTIONS(FLAG('f', "force", "also where the guest pinned itself")), cmd_vcpu_pin },
    { "sched-credit2", NULL, CPU, "[DOMAIN]", 0, 1, "shows or sets weight and cap", NULL,
      OPTIONS(VALUE('d', "domain", "DOMAIN", "whose"), VALUE('w', "weight", "N", "share of CPU time, 1 to 65535, usually 256"),
              VALUE('c', "cap", "PERCENT", "of one CPU at most; 0: no cap"), FLAG('s', "schedparam", "the scheduler's own parameters"),
              VALUE('r', "ratelimit_us", "US", "least time that a virtual CPU runs"), VALUE('p', "cpupool", "POOL", NULL), JSON),
      cmd_sched },
    { "sched-credit", NULL, CPU, "[DOMAIN]", 0, 1, "the same for the scheduler credit", NULL,
      OPTIONS(VALUE('d', "domain", "DOMAIN", "whose"), VALUE('w', "weight", "N", "share of CPU time, 1 to 65535, usually 256"),
              VALUE('c', "cap", "PERCENT", "of one CPU at most; 0: no cap"), FLAG('s', "schedparam", "the scheduler's own parameters"),
              VALUE('t', "tslice_ms", "MS", "time slice"), VALUE('r', "ratelimit_us", "US", "least time that a virtual CPU runs"),
              VALUE('p', "cpupool", "POOL", NULL), JSON),
      cmd_sched },
    { "claims", NULL, CPU, "", 0, 0, "lists memory that is claimed and not yet given", NULL, OPTIONS(JSON), cmd_claims },
    { "cpupool-list", NULL, CPU, "[POOL]", 0, 1, "lists pools of CPUs", NULL, OPTIONS(FLAG('c', "cpus", "their CPUs"), JSON), cmd_cpupool_list },

    { "block-attach", "vbd-create", DEVICES, "DOMAIN DISK...", 2, 8, "gives a running guest a disk",
      "DISK as in the configuration: file:/data/x.img,xvdb,w or apart: file:/data/x.img xvdb w",
      OPTIONS(FLAG('n', "dryrun", "only check it")), cmd_block_attach },
    { "block-detach", "vbd-destroy", DEVICES, "DOMAIN VDEV", 2, 2, "takes a disk away",
      "The guest is asked to let go; one that has the disk mounted does not.",
      OPTIONS(FLAG('f', "force", "without asking it")), cmd_block_detach },
    { "block-list", "vbd-list", DEVICES, "DOMAIN...", 1, 1000, "lists guests' disks", NULL, OPTIONS(JSON), cmd_block_list },
    { "network-attach", "vif-create", DEVICES, "DOMAIN [KEY=VALUE...]", 1, 32, "gives a running guest a network device",
      "KEY=VALUE as in the configuration's vif: bridge=, mac=, ip=, vifname=, rate=, script=", OPTIONS(FLAG('n', "dryrun", "only check it")),
      cmd_network_attach },
    { "network-detach", "vif-destroy", DEVICES, "DOMAIN DEVID|MAC", 2, 2, "takes a network device away", NULL,
      OPTIONS(FLAG('f', "force", "without asking the guest")), cmd_network_detach },
    { "network-list", "vif-list", DEVICES, "DOMAIN...", 1, 1000, "lists guests' network devices", NULL, OPTIONS(JSON), cmd_network_list },
    { "network", NULL, DEVICES, "[up]", 0, 1, "shows the host's networks and who is on them",
      "What is in /etc/zendo/network.conf and other bridges; 'up' makes what is missing.", OPTIONS(JSON), cmd_network },

    { "info", NULL, HOST, "", 0, 0, "tells about the host", NULL,
      OPTIONS(FLAG('n', "numa", "with CPUs and memory nodes"),
              FLAG(0, "cpu-level", "only: the highest 'cpu_level =' that guests can have here, and what the next one lacks"), JSON),
      cmd_info },
    { "dmesg", NULL, HOST, "", 0, 0, "prints the hypervisor's log", NULL, OPTIONS(FLAG('c', "clear", "and clears it")), cmd_dmesg },
    { "debug-keys", "debug", HOST, "KEYS", 1, 1, "presses the hypervisor's debug keys; h lists them in the log", NULL, NULL, cmd_debug_keys },
    { "help", NULL, HOST, "[COMMAND]", 0, 1, "tells about commands", NULL,
      OPTIONS(FLAG('l', "long", "with other names"), FLAG(0, "man", "the man page, as roff"), FLAG(0, "words", "names only, for completion")),
      cmd_help },

    { "save", NULL, LATER, "DOMAIN FILE", 0, 100, "puts a guest into a file", NULL, OPTIONS(FLAG('c', NULL, NULL), FLAG('p', NULL, NULL), FLAG('D', NULL, NULL)),
      cmd_later },
    { "restore", NULL, LATER, "FILE", 0, 100, "takes it out again", NULL, OPTIONS(FLAG('p', NULL, NULL), FLAG('e', NULL, NULL), FLAG('d', NULL, NULL)), cmd_later },
    { "migrate", NULL, LATER, "DOMAIN HOST", 0, 100, "moves a guest to another host", NULL,
      OPTIONS(FLAG('l', "live", NULL), VALUE('s', NULL, "COMMAND", NULL), VALUE('C', NULL, "FILE", NULL), VALUE('p', "port", "PORT", NULL), FLAG('e', NULL, NULL),
              FLAG('D', NULL, NULL), VALUE('r', "resource", "MBIT", NULL), FLAG(0, "debug", NULL)),
      cmd_later },
    { "migrate-receive", NULL, LATER, "", 0, 100, "the other end of it", NULL, OPTIONS(FLAG('e', NULL, NULL), FLAG('p', NULL, NULL)), cmd_later },
};

const unsigned n_commands = sizeof(commands) / sizeof(*commands);
