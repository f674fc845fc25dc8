#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel as domain 0 in QEMU, in the configurations of the table below, and reports their checks.

    linux.py [--hv IMAGE] [--jobs N] [--all | NAME ...] [--list] [-v]

Without names it runs the quick ones (`make check`); --all runs every one (`make soak`). A name may have a * in it. The
console of each is kept in build/system/NAME.log. The last line is "N passed, N failed", counting checks.
"""
import argparse
import concurrent.futures
import dataclasses
import fnmatch
import os
import re
import subprocess
import sys
import time

import soak
from machine import Machine, Trouble

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build/system")
LINE = re.compile(r"^(ok|not ok) ([A-Za-z0-9_.+/-]+)(?:: (.*))?$", re.M)


@dataclasses.dataclass
class Config:
    name: str
    script: str = "boot.sh"             # run in domain 0 (tests/system/dom0); "" for a shell
    how: str = "script"                 # the function below that drives it: do_HOW
    quick: bool = False
    cpus: int = 1
    dom0_cpus: int = 0                  # how many domain 0 should see, if not all
    memory: int = 1024
    dom0_mem: str = "512M"
    machine: str = "pc"
    cpu: str = "max"              
    flavour: str = "amd64"
    hv: str = ""                        # more words for the hypervisor
    kernel: str = ""                    # and for the kernel
    qemu: tuple = ()
    iso: int = -1                       # GRUB's CD: number of the menu entry
    disk: str = ""                      # what domain 0 calls the disk that is added
    disk_mb: int = 320
    keep_disk: bool = False             # what an earlier machine of this row left on it stays
    extra: str = ""                     # the image with more in it: "-stress"
    data: object = False                # the disk with what guests are made of (/data); a word: another than build/data-FLAVOUR.img
    net: bool = False                   # a server behind the network card (soak.Server)
    timeout: int = 120


def disk_args(*device):
    return ("-drive", "file=@DISK@,format=raw,if=none,id=d0", "-device") + device


def net_args(model):
    """Not -nic: QEMU 7.2 gives virtio-net no MSI-X vectors then."""
    return ("-nic", "none", "-netdev", "user,id=n0", "-device", model + ",netdev=n0")


# One of each: virtio, AHCI and NVMe disks, virtio and e1000e cards.
DEVICES = net_args("virtio-net-pci") + ("-netdev", "user,id=n1", "-device", "e1000e,netdev=n1",
           "-drive", "file=@DISK@,format=raw,if=none,id=d0", "-device", "virtio-blk-pci,drive=d0",
           "-blockdev", "null-co,node-name=z1,size=67108864", "-device", "nvme,drive=z1,serial=1",
           "-blockdev", "null-co,node-name=z2,size=33554432", "-device", "ahci,id=h", "-device", "ide-hd,drive=z2,bus=h.0")

TABLE = [
    Config("boot-1cpu", quick=True),
    Config("boot-2cpu", quick=True, cpus=2),
    Config("boot-4cpu", quick=True, cpus=4),
    Config("shell", script="", how="shell", quick=True),
    Config("shell-2cpu", script="", how="shell", quick=True, cpus=2),
    Config("reboot", script="reboot.sh", how="reboot", quick=True, cpus=2),
    Config("grub-mb2", quick=True, cpus=2, iso=0),
    Config("grub-mb1", quick=True, iso=1),
    Config("q35-ahci", script="disk.sh", quick=True, machine="q35", disk="sda",
           qemu=disk_args("ide-hd,drive=d0")),
    Config("virtio-net", script="net.sh", quick=True, qemu=net_args("virtio-net-pci")),
    Config("load-2cpu", script="load.sh", quick=True, cpus=2, kernel="zendo.rounds=15"),

    Config("load-4cpu", script="load.sh", cpus=4, kernel="zendo.rounds=100", timeout=600),
    Config("disk-virtio", script="disk.sh", disk="vda", qemu=disk_args("virtio-blk-pci,drive=d0")),
    Config("disk-nvme", script="disk.sh", cpus=2, disk="nvme0n1", qemu=disk_args("nvme,drive=d0,serial=1")),
    Config("disk-ide", script="disk.sh", disk="sda", qemu=disk_args("ide-hd,drive=d0,bus=ide.0")),
    Config("net-e1000", script="net.sh", qemu=net_args("e1000")),
    Config("net-e1000e-q35", script="net.sh", machine="q35", qemu=net_args("e1000e")),
    Config("net-rtl8139", script="net.sh", qemu=net_args("rtl8139")),
    Config("cpu-qemu64", cpu="qemu64", cpus=2),
    Config("cpu-nehalem", cpu="Nehalem"),
    Config("cpu-epyc", cpu="EPYC", cpus=2),
    Config("cpu-skylake", cpu="Skylake-Server", cpus=2),
    Config("cpu-no-xsave", cpu="max,-xsave"),
    Config("memory-max", hv="dom0_mem=512M,max:512M", dom0_mem="", quick=True),
    Config("memory-tight", memory=768, quick=True),
    Config("memory-small", memory=448, dom0_mem="256M"),
    Config("memory-all", memory=1024, dom0_mem=""),
    Config("memory-6g", memory=6144, dom0_mem="5G", cpus=2),
    Config("q35-4cpu", machine="q35", cpus=4),
    Config("no-acpi-pm", hv="clocksource=hpet"),
    Config("clock-pit", hv="clocksource=pit", qemu=("-no-hpet",)),
    Config("maxcpus", cpus=4, hv="maxcpus=2", dom0_cpus=2),
    Config("nosmp", cpus=2, hv="nosmp", dom0_cpus=1),
    Config("one-vcpu", cpus=2, hv="dom0_max_vcpus=1", dom0_cpus=1),
    Config("many-vcpus", cpus=2, hv="dom0_max_vcpus=4", dom0_cpus=4),
    Config("pinned", cpus=2, hv="dom0_vcpus_pin"),
    Config("watchdog", cpus=2, hv="watchdog"),
    Config("debug-log", cpus=2, hv="loglvl=all guest_loglvl=all"),
    Config("grub-mb2-4cpu", cpus=4, iso=0),
    # Disk and network under load, the hypervisor's accounts before and after.
    Config("io-virtio", script="io.sh", how="soak", cpus=2, dom0_mem="768M", disk="vda", net=True, timeout=600,
           qemu=disk_args("virtio-blk-pci,drive=d0") + net_args("virtio-net-pci"),
           kernel="zendo.irqs=msi-x:virtio0,msi-x:virtio1 zendo.drivers=virtio_blk,virtio_net,virtio_pci"),
    Config("io-q35", script="io.sh", how="soak", cpus=2, dom0_mem="768M", disk="sda", net=True, timeout=600, machine="q35",
           qemu=disk_args("ide-hd,drive=d0") + net_args("e1000e"),
           kernel="zendo.irqs=msi:ahci,msi-x:eth0 zendo.drivers=ahci,e1000e"),
    Config("io-nvme", script="io.sh", how="soak", cpus=2, dom0_mem="768M", disk="nvme0n1", timeout=600,
           qemu=disk_args("nvme,drive=d0,serial=1"), kernel="zendo.irqs=msi-x:nvme0q zendo.drivers=nvme"),
    Config("soak-short", script="soak.sh", how="soak", cpus=2, kernel="zendo.seconds=6"),
    Config("soak-stress", script="soak.sh", how="soak", cpus=2, timeout=600, dom0_mem="640M", extra="-stress",
           kernel="zendo.seconds=30 zendo.load=stress-ng"),
    Config("soak-4cpu", script="soak.sh", how="soak", cpus=4, timeout=1500, dom0_mem="640M", extra="-stress",
           kernel="zendo.seconds=600 zendo.load=stress-ng"),

    # Guests by our tools: shares of the CPUs; many at once; made and destroyed over and over.
    Config("shares", script="sched.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=400),
    Config("wakes", script="wakes.sh", memory=1024, data=True, timeout=600, cpu="max,-smap,-avx,-xsave,-la57",
           qemu=("-icount", "shift=0,sleep=off")),
    Config("null", script="null.sh", cpus=3, dom0_cpus=1, memory=1024, data=True, hv="sched=null dom0_max_vcpus=1", timeout=300),
    Config("scale", script="scale.sh", how="scale", cpus=2, memory=2560, dom0_mem="768M", data=True, kernel="zendo.guests=200", timeout=900),
    Config("crowd", script="crowd.sh", cpus=2, memory=3072, dom0_mem="640M", data=True, kernel="zendo.guests=20", timeout=1500),
    Config("flat", script="flat.sh", memory=2560, dom0_mem="768M", data=True, kernel="zendo.guests=200", timeout=900,
           cpu="max,-smap,-avx,-xsave,-la57", qemu=("-icount", "shift=0,sleep=off")),
    Config("cycles", script="cycles.sh", how="soak", cpus=2, memory=1536, dom0_mem="768M", data=True, quick=True,
           kernel="zendo.tiny=20 zendo.stock=3", timeout=240),
    Config("cycles-1000", script="cycles.sh", how="soak", cpus=2, memory=1536, dom0_mem="768M", data=True,
           kernel="zendo.tiny=1000 zendo.stock=20", timeout=1800),

    # Debian's own xl, xenstored and xenconsoled over Zendo. On the reference: CPU=max,-smap,-xsave HV=build/reference/xen.elf.
    Config("xl", script="xl.sh", cpus=2, memory=2048, dom0_mem="768M", extra="-stock", data=True, timeout=400),

    # The same by our xm; kinds of guests; what must be refused.
    Config("guest", script="xl.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=400, quick=True,
           kernel="zendo.steps=create,console,list,pause,memory,block,network,shutdown"),
    Config("guest-all", script="xl.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=400),
    Config("guest-kinds", script="kinds.sh", cpus=2, memory=3072, dom0_mem="512M", data="kinds", kernel="zendo.kinds=amd64,cloud-amd64", timeout=1200),
    Config("guest-bad", script="bad.sh", cpus=2, memory=1024, dom0_mem="512M", data=True, timeout=300),
    Config("guest-io", script="guestio.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, disk="vda", timeout=600,
           qemu=disk_args("virtio-blk-pci,drive=d0"), kernel="zendo.mb=256 zendo.netmb=64"),
    Config("guest-ocf", script="ocf.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, extra="-ocf", timeout=400),
    Config("guest-churn", script="churn.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=3600),

    # Saved and restored while they work.
    Config("save", script="save.sh", cpus=2, memory=1536, dom0_mem="640M", data=True, timeout=400, quick=True,
           kernel="zendo.steps=once"),
    Config("save-restore", script="save.sh", cpus=2, memory=2048, dom0_mem="768M", data=True, timeout=2400),

    Config("save-cycles", script="savecycles.sh", how="soak", cpus=2, memory=1536, dom0_mem="768M", data=True, kernel="zendo.cycles=20", timeout=900),
    Config("hasty", script="hasty.sh", cpus=2, memory=1536, dom0_mem="768M", data=True, kernel="zendo.cycles=60", timeout=900),
    Config("save-500", script="savecycles.sh", how="soak", cpus=2, memory=1536, dom0_mem="768M", data=True, kernel="zendo.cycles=500",
           timeout=7200),
    # A guest saved by stock xl under the reference goes on under Zendo, and the other way round; and stock xl on Zendo in between.
    Config("interop", script="interop.sh", how="interop", cpus=2, memory=2048, dom0_mem="768M", cpu="max,-smap,-xsave", extra="-stock", data=True,
           disk="vda", disk_mb=1200, keep_disk=True, timeout=400, qemu=disk_args("virtio-blk-pci,drive=d0"), kernel="zendo.part=make,put0"),

    # Our xenconsoled with our tools: what guests print, and what is kept of it.
    Config("console", script="console.sh", cpus=2, memory=2048, dom0_mem="768M", data=True, timeout=400),
    # Our tools: disks and networks attached and detached live, with data compared.
    Config("attach", script="attach.sh", cpus=2, memory=2048, dom0_mem="768M", data=True, timeout=900),
    # 1 GB and 256 MB through a guest, while its memory and vCPUs come and go and it is paused.
    Config("attach-1g", script="attach.sh", cpus=2, memory=2048, dom0_mem="768M", data=True, timeout=4000, disk="vda", disk_mb=1100,
           qemu=disk_args("virtio-blk-pci,drive=d0"), kernel="zendo.mb=1024 zendo.netmb=256"),

    # Disks by qemu-nbd; feature levels of processors (`cpu_level =`).
    Config("images", script="images.sh", cpus=2, memory=1024, dom0_mem="512M", data=True, extra="-disks", timeout=300),
    Config("levels", script="levels.sh", cpus=2, memory=1024, dom0_mem="512M", data=True, timeout=400,
           kernel="zendo.level=x86-64-v3"),

    # Snapshots of memory and three kinds of disks, reverted back and forth.
    Config("snapshot", script="snapshot.sh", cpus=2, memory=1280, dom0_mem="640M", data=True, extra="-disks", timeout=1500),

    # Our xenstored under domain 0's kernel, restarted.
    Config("store", script="store.sh", cpus=2, timeout=200),

    # Log-dirty: a guest under load, copied by what the bitmaps say, compared.
    Config("logdirty", script="logdirty.sh", cpus=2, memory=1536, dom0_mem="768M", data=True, timeout=500,
           kernel="zendo.mb=128 zendo.rounds=5 zendo.times=3"),
    Config("xl-migrate", script="xlmigrate.sh", cpus=2, memory=2048, dom0_mem="768M", extra="-stock", data=True, timeout=600,
           kernel="zendo.times=2"),
    Config("logdirty-cost", script="logdirty_cost.sh", memory=2048, dom0_mem="768M", data=True, timeout=500, cpu="max,-smap,-xsave",
           qemu=("-icount", "shift=0,sleep=off"), kernel="zendo.mb=64"),
    Config("hammer", script="hammer.sh", cpus=2, memory=1024, dom0_mem="512M", data=True, timeout=400,
           kernel="zendo.rounds=3 zendo.times=4"),

    # AVX in domain 0 and in a guest at once, on the same CPUs.
    Config("avx", script="avx.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=400, quick=True),
    Config("avx-epyc", script="avx.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=400, cpu="EPYC",
           kernel="zendo.without=1"),
    Config("avx-none", script="avx.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=400, cpu="max,-xsave"),

    # What Debian's tools say about the machine.
    Config("host", script="host.sh", cpus=2, memory=2048, dom0_mem="768M", extra="-stock", timeout=200),
    Config("clock", script="clock.sh", cpus=2, memory=2048, dom0_mem="768M", extra="-stock", data=True, timeout=400),

    # A whole Debian on a disk, made by debootstrap (scripts/debian-image.sh; needs root).
    Config("debian", script="debian.sh", cpus=2, memory=1536, dom0_mem="512M", data=True, timeout=1200,
           qemu=("-drive", "file=build/debian.img,format=raw,if=none,snapshot=on,id=debian",
                 "-device", "virtio-blk-pci,drive=debian,addr=0x10")),

    Config("boot-8cpu", cpus=8, memory=1024, timeout=240),
    # Machines of all sizes and kinds: the same devices with the same drivers as on the bare machine.
    Config("same-1-512m", how="devices", script="devices.sh", memory=512, dom0_mem="300M", cpu="qemu64", qemu=DEVICES),
    Config("same-2-2g-q35", how="devices", script="devices.sh", cpus=2, memory=2048, machine="q35", cpu="EPYC", qemu=DEVICES),
    Config("same-4-6g", how="devices", script="devices.sh", cpus=4, memory=6144, dom0_mem="4G", iso=0, qemu=DEVICES, timeout=240),
    Config("same-8-2g-q35", how="devices", script="devices.sh", cpus=8, memory=2048, machine="q35", cpu="qemu64", timeout=240,
           qemu=DEVICES),
    Config("same-4-512m-q35", how="devices", script="devices.sh", cpus=4, memory=512, dom0_mem="300M", machine="q35", iso=0,
           cpu="EPYC", timeout=240, qemu=DEVICES),
    Config("same-1-6g-q35", how="devices", script="devices.sh", memory=6144, dom0_mem="", machine="q35", timeout=240, qemu=DEVICES),
    Config("same-8-6g-epyc", how="devices", script="devices.sh", cpus=8, memory=6144, dom0_mem="2G", cpu="EPYC", timeout=240,
           qemu=DEVICES),
    Config("same-2-2g-grub", how="devices", script="devices.sh", cpus=2, memory=2048, cpu="qemu64", iso=0, qemu=DEVICES),
]


class Result:
    """What one configuration gave: checks (good, name, detail), and the console's last lines for those who ask why."""

    def __init__(self, c):
        self.config, self.checks, self.notes, self.tail, self.seconds = c, [], [], [], 0.0

    def add(self, good, name, detail=""):
        self.checks.append((bool(good), name, detail))

    def failed(self):
        return sum(1 for good, _, _ in self.checks if not good)


# --- the machine's command line

def image(c):
    return os.path.join(ROOT, "build/dom0-%s%s.gz" % (c.flavour, c.extra))


def data_image(c):
    return os.path.join(ROOT, "build/%s-%s.img" % ("data" if c.data is True else c.data, c.flavour))


def hv_words(c):
    memory = "dom0_mem=%s " % c.dom0_mem if c.dom0_mem else ""
    return ("%s%s" % (memory, c.hv)).strip()


def has_avx(c):
    """Does QEMU's processor have AVX under TCG? Domain 0 and guests must then have it, too."""
    name, *words = os.environ.get("CPU", c.cpu).split(",")
    return name in ("max", "EPYC", "Skylake-Server") and not {"-xsave", "-avx"} & set(words)


def kernel_words(c):
    words = "zendo.cpus=%d zendo.avx=%s" % (c.dom0_cpus or c.cpus, "yes" if has_avx(c) else "no")
    if c.script:
        words += " zendo.script=" + c.script
    if c.disk:
        words += " zendo.disk=" + c.disk
    return words + (" " + c.kernel if c.kernel else "")


def make_iso(c, hv):
    """GRUB's CD; a bare machine (no hv) gets the one that was made before: it is a device like others."""
    out = os.path.join(LOGS, c.name + ".iso")
    if not hv:
        return out
    env = dict(os.environ, HV_GZ=os.path.abspath(hv), FLAVOUR=c.flavour, DEFAULT=str(c.iso), TIMEOUT="0", HV_ARGS=hv_words(c),
               KERNEL_ARGS=kernel_words(c))
    subprocess.run([os.path.join(ROOT, "scripts/make-iso.sh"), out], env=env, check=True, stdout=subprocess.DEVNULL)
    return out


def make_disk(c):
    out = os.path.join(LOGS, c.name + ".img")
    if not (c.keep_disk and os.path.exists(out)):
        with open(out, "wb") as f:
            f.truncate(c.disk_mb << 20)
    return out


def command(c, hv):
    """QEMU's command line; without hv that of the kernel on the bare machine."""
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-machine", c.machine, "-cpu", os.environ.get("CPU", c.cpu), "-smp", str(c.cpus),
            "-m", str(c.memory), "-nodefaults", "-vga", "std", "-display", "none", "-monitor", "none", "-serial", "stdio"]
    argv += [a.replace("@DISK@", make_disk(c)) if "@DISK@" in a else a for a in c.qemu]
    if c.data:
        argv += ["-drive", "file=%s,format=raw,if=virtio,snapshot=on" % data_image(c)]
    if "-nic" not in argv:
        argv += ["-nic", "none"]
    if c.iso >= 0:
        argv += ["-drive", "file=%s,media=cdrom,format=raw,readonly=on" % make_iso(c, hv), "-boot", "d"]
    if not hv:
        return argv + ["-kernel", "%s/build/kernel/%s/vmlinuz" % (ROOT, c.flavour), "-initrd", image(c),
                       "-append", "console=ttyS0 " + kernel_words(c)]
    if c.iso >= 0:
        return argv
    words = ("console=hvc0 " + kernel_words(c)).replace(",", ",,")
    return argv + ["-kernel", hv, "-append", "console=com1 com1=115200,8n1 " + hv_words(c),
                   "-initrd", "%s/build/kernel/%s/vmlinuz %s,%s" % (ROOT, c.flavour, words, image(c))]


# --- the ways to drive one

def do_script(c, m, r):
    """The script's own checks, then the machine must switch itself off."""
    m.wait_for(r"zendo: script \S+ starts", c.timeout)
    r.add(True, "boots")
    start = m.at
    code = m.wait_for(r"zendo: script \S+ ends with (\d+)", c.timeout).group(1)
    for good, name, detail in LINE.findall(m.text[start:m.at]):
        r.add(good == "ok", name, detail)
    r.add(code == "0", "script", "exit code " + code)
    r.notes += re.findall(r"^zendo: (?!script).*", m.text[start:m.at], re.M)
    r.add(m.wait_exit(30) == 0, "power-off")


HV = os.path.join(ROOT, "build/zendo.elf")
REFERENCE = os.path.join(ROOT, "build/reference/xen.elf")


def do_interop(c, m, r):
    """Stock tools on Zendo first (m); then the same disk goes from machine to machine. Parts are interop.sh's."""
    subprocess.run(["make", "-s", "-C", ROOT, "build/dom0-amd64.gz", "build/reference/xen.elf"], check=True, stdout=subprocess.DEVNULL)
    do_script(c, m, r)
    for hv, name, extra, parts in ((REFERENCE, "reference", "-stock", "get0,put200"), (HV, "zendo", "", "get200,put400"),
                                   (REFERENCE, "reference-again", "-stock", "get400"), (HV, "zendo-stock", "-stock", "get400,put600"),
                                   (HV, "zendo-again", "", "get600")):
        step = dataclasses.replace(c, extra=extra, kernel="zendo.part=" + parts)
        one = Result(step)
        with Machine(command(step, hv), os.path.join(LOGS, "%s-%s.log" % (c.name, name))) as machine:
            try:
                do_script(step, machine, one)
            except Trouble as e:
                one.add(False, "machine", str(e))
            r.tail = machine.tail()
        for good, check, detail in one.checks:
            r.add(good, "%s/%s" % (name, check), detail)


def do_reboot(c, m, r):
    for turn in ("first", "second"):
        m.wait_for(r"zendo: rebooting", c.timeout)
        r.add(True, turn + "-boot")


def ask(m, r, name, text, pattern, timeout=20):
    m.send(text)
    try:
        m.wait_for(pattern, timeout)
        r.add(True, name)
    except Trouble as e:
        r.add(False, name, str(e))


def do_shell(c, m, r):
    """A person at the console: prompt, commands, job control, interrupt, the hypervisor's keys, poweroff."""
    m.wait_for(r"dom0:\S+# ", c.timeout)
    r.add("job control turned off" not in m.text, "job-control")
    ask(m, r, "command", "echo $((6 * 7))\n", r"^42$")
    ask(m, r, "background", "sleep 100 &\njobs\n", r"Running +sleep 100")
    m.send("sleep 600; echo over-$?\n")
    time.sleep(2)
    ask(m, r, "interrupt", "\x03", r"dom0:\S+# ")
    ask(m, r, "long-line", "echo %s | wc -c\n" % ("x" * 100), r"^101$")
    m.send("seq 1 3000; echo ended-$((1 + 1))\n")
    m.wait_for(r"^1\n", 20)
    start = m.at
    m.wait_for(r"^ended-2", 60)
    r.add(re.sub(r"[^0-9]+", " ", m.text[start:m.at]).split()[:2999] == [str(i) for i in range(2, 3001)],
          "long-output", "lines are missing or broken")
    ask(m, r, "keys-to-hypervisor", "\x01\x01\x01", r"input goes to|input to")
    ask(m, r, "keys-back", "\x01\x01\x01", r"input goes to|input to")
    m.send("\npoweroff\n")
    r.add(m.wait_exit(30) == 0, "power-off")


def device_lines(m, c):
    """What devices.sh printed."""
    m.wait_for(r"zendo: script \S+ starts", c.timeout)
    start = m.at
    m.wait_for(r"zendo: devices listed", c.timeout)
    return sorted(re.findall(r"^device (.*?)\s*$", m.text[start:m.at], re.M))


def do_devices(c, m, r):
    """The same devices, with the same drivers, as the kernel sees without a hypervisor; again after a reboot, which ends in a shell;
    then a power-off."""
    ours = device_lines(m, c)
    r.add(True, "boots")
    m.send("reboot\n")
    m.wait_for(r"^\((?:Z\) Zendo|XEN\) Xen version)", c.timeout)
    again = device_lines(m, c)
    r.add(True, "reboots")
    r.add(again == ours, "reboot-same-devices", str(sorted(set(again) ^ set(ours))))
    m.send("shell\n")
    m.wait_for(r"dom0:\S+# ", c.timeout)
    ask(m, r, "reboot-shell", "echo up-$((6 * 7))-$(nproc)\n", r"^up-42-%d$" % (c.dom0_cpus or c.cpus))
    m.send("poweroff\n")
    r.add(m.wait_exit(30) == 0, "power-off")
    with Machine(command(c, None), os.path.join(LOGS, c.name + ".bare.log")) as bare:
        theirs = device_lines(bare, c)
    for line in sorted(set(ours) | set(theirs)):
        r.add(line in ours and line in theirs, line.replace(" ", "/"),
              "only %s" % ("as domain 0" if line in ours else "on the bare machine"))
    r.add(len(theirs) > 8, "bare-list", "only %d devices there" % len(theirs))


def do_soak(c, m, r):
    """A script that stops twice for the hypervisor's accounts: before and after its load."""
    m.wait_for(r"zendo: script \S+ starts", c.timeout)
    start = m.at
    before = soak.take_state(m, "before", c.timeout)
    after = soak.take_state(m, "after", c.timeout)
    code = m.wait_for(r"zendo: script \S+ ends with (\d+)", c.timeout).group(1)
    for good, name, detail in LINE.findall(m.text[start:m.at]):
        r.add(good == "ok", name, detail)
    r.add(code == "0", "script", "exit code " + code)
    r.notes += re.findall(r"^(?:mixload: .*rounds.*|zendo: idle .*|zendo: \S+ \d+ kB|.*stress-ng: .*(?:fail|pass|skip|complet).*)$", m.text[start:m.at], re.M)
    soak.compare(r, before, after)
    r.add(m.wait_exit(30) == 0, "power-off")
    if c.disk:
        soak.check_image(r, m.text, os.path.join(LOGS, c.name + ".img"))


def do_scale(c, m, r):
    """A script that stops twice while nothing is to do: without guests and with all of them asleep."""
    m.wait_for(r"zendo: script \S+ starts", c.timeout)
    start = m.at
    used = soak.watch_quiet(m, r, c.timeout)
    code = m.wait_for(r"zendo: script \S+ ends with (\d+)", c.timeout).group(1)
    for good, name, detail in LINE.findall(m.text[start:m.at]):
        r.add(good == "ok", name, detail)
    r.add(code == "0", "script", "exit code " + code)
    r.notes += re.findall(r"^(?:zendo|idle): .*", m.text[start:m.at], re.M)
    # Domain 0's own ticks are in both; what 200 sleepers add is to be next to nothing.
    r.add("none" in used and used.get("all", 999) < used["none"] + 5, "sleep-costs-nothing", str(used))
    r.add(m.wait_exit(30) == 0, "power-off")


# --- running and reporting

def run_one(c, hv):
    r, start = Result(c), time.time()
    log = os.path.join(LOGS, c.name + ".log")
    server = soak.Server() if c.net else None
    if c.keep_disk and os.path.exists(os.path.join(LOGS, c.name + ".img")):
        os.unlink(os.path.join(LOGS, c.name + ".img"))      # an earlier run was cut off
    if server:
        c = dataclasses.replace(c, kernel="%s zendo.net=%d:%d zendo.sum=%s" % (c.kernel, *server.ports, server.sum))
    try:
        with Machine(command(c, hv), log) as m:
            try:
                globals()["do_" + c.how](c, m, r)
            except Trouble as e:
                r.add(False, "machine", str(e))
            r.tail = m.tail()
    except (OSError, subprocess.CalledProcessError) as e:
        r.add(False, "machine", str(e))
    if server:
        server.close()
    for kind in (".iso", ".img"):
        if os.path.exists(os.path.join(LOGS, c.name + kind)):
            os.unlink(os.path.join(LOGS, c.name + kind))
    r.seconds = time.time() - start
    return r


def report(r, verbose):
    bad = r.failed()
    print("%-16s %3d passed %3d failed  %5.1f s" % (r.config.name, len(r.checks) - bad, bad, r.seconds))
    for good, name, detail in r.checks:
        if verbose or not good:
            print("    %s %s%s" % ("ok" if good else "not ok", name, ": " + detail if detail and not good else ""))
    if verbose or r.config.how in ("soak", "scale"):
        print("".join("    %s\n" % n for n in r.notes), end="")
    if bad and not r.checks[-1][0]:
        print("".join("    | %s\n" % t[:160] for t in r.tail), end="")
    sys.stdout.flush()
    return len(r.checks) - bad, bad


def choose(opts):
    if opts.names:
        return [c for c in TABLE if any(fnmatch.fnmatch(c.name, n) for n in opts.names)]
    return [c for c in TABLE if opts.all or c.quick]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hv", default=os.path.join(ROOT, "build/zendo.elf"))
    p.add_argument("--jobs", type=int, default=2, help="machines at a time")
    p.add_argument("--all", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("-v", "--verbose", action="store_true", help="print the checks that passed, too")
    p.add_argument("names", nargs="*")
    opts = p.parse_args()
    chosen = choose(opts)
    if not chosen:
        p.error("no such configuration: linux.py --list")
    if opts.list:
        print("\n".join("%-16s %s" % (c.name, "quick" if c.quick else "") for c in chosen))
        return 0
    os.makedirs(LOGS, exist_ok=True)
    needed = {image(c) for c in chosen} | {data_image(c) for c in chosen if c.data}
    for missing in sorted(n for n in needed if not os.path.exists(n)):
        subprocess.run(["make", "-s", "-C", ROOT, os.path.relpath(missing, ROOT)], check=True)
    total = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(max(1, opts.jobs)) as pool:
        for r in pool.map(lambda c: run_one(c, opts.hv), chosen):
            passed, failed = report(r, opts.verbose)
            total[0] += passed
            total[1] += failed
    print("%d passed, %d failed" % tuple(total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
