#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Zendo beside the reference hypervisor (Debian's package) in the same emulator.

    run.py [--hv IMAGE] [--ref IMAGE] [--kernel VMLINUZ] [--build DIR] [--out FILE.json] [entry] [guest] [linux] [guests] [wall]

entry   instructions from the hypervisor's first one to the stock kernel's first one as domain 0. The kernel is
        Debian's with the first bytes of its PV entry point replaced by code that prints the time stamp counter, packed
        again the same way; what the firmware took is measured by a multiboot stub of the hypervisor's size and taken off.
guest   guests/bench: single operations of a paravirtual kernel.
linux   bench/ops.c in the stock kernel as domain 0, and the same kernel without a hypervisor.
guests  guests under Debian's xl on the reference and under xm on Zendo: creation, destruction, throughput of their devices,
        an event between two of them and back (tests/system/dom0/bench_guests.sh); domain 0 and the guests share the CPU.
        In microseconds of domain 0's clock, which are thousands of instructions (time asleep counts too), and KiB/s.
wall    milliseconds from the start of QEMU to the first line of the shell, median of 3 in turns, and the processor time
        that QEMU took until then, which suffers less from other work on the machine.

All but wall run with -icount shift=0,sleep=off: one instruction is one tick of the time stamp counter. These
figures do not depend on the machine's load and hardly change from run to run. One CPU, no SMAP, AVX, XSAVE; no ERMS,
which Zendo hides from guests in an emulator: all systems copy and clear by the same instructions.
Exit code 1 if a figure of Zendo's is missing or beyond its aim.
"""
import argparse
import json
import lzma
import os
import re
import statistics
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))
from machine import Machine, Trouble    # noqa: E402  (the path comes first)

CPU = "max,-smap,-avx,-xsave,-la57,-erms"
ICOUNT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm"]
HV_ARGS = "console=com1 com1=115200,8n1 dom0_mem=512M noreboot"
FIGURE = re.compile(r"BENCH ([a-z0-9-]+) (-?[0-9]+)\s*$", re.M)
STUB = r"BENCH stub-entry ([0-9A-Fa-f]{16})"

# The aims: how often the bare kernel's count (for what has one), or the reference's.
OF_BARE = {"linux-getppid": 1.78, "linux-write-null": 1.45, "linux-signal": 1.25, "linux-fork-exit-wait": 1.66,
           "linux-fork-exec-wait": 1.60, "linux-page-fault": 1.33, "linux-mmap-touch-4-munmap": 2.00,
           "linux-mprotect-fault": 1.59, "linux-pipe-round-trip": 1.49}
OF_REFERENCE = 1.0
HALF_OF_REFERENCE = ("guest-create", "guest-destroy")      # creation and destruction
THIRD_OF_REFERENCE = ("guest-save-", "guest-restore-")
MORE_IS_BETTER = ("guest-disk-", "guest-net-")
NOT_OURS = {"rdtsc", "tsc-at-guest-main"}           # no aim: the first is the cost of measuring


def run(argv):
    subprocess.run(argv, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def qemu(memory, *more):
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m", str(memory), "-display", "none",
            "-monitor", "none", "-serial", "stdio", "-no-reboot", "-net", "none", *more]


def hosted(image, module, *more):
    return qemu(1024, "-kernel", image, "-append", HV_ARGS, "-initrd", module, *more)


# --- what is booted ---------------------------------------------------------------------------------------------------

def fetch_reference(build):
    """Debian's hypervisor out of its package; QEMU wants it unpacked."""
    folder = os.path.join(build, "reference")
    image = os.path.join(folder, "xen.elf")
    if not os.path.exists(image):
        os.makedirs(folder, exist_ok=True)
        subprocess.run("apt-get -q -o APT::Sandbox::User= download xen-hypervisor-4.17-amd64 >&2 && "
                       "dpkg-deb -x xen-hypervisor-4.17-amd64_*.deb . && zcat boot/xen-4.17-amd64.gz > xen.elf",
                       shell=True, check=True, cwd=folder)
    return image


def fetch_kernel():
    out = subprocess.run([os.path.join(ROOT, "scripts/fetch-kernel.sh")], check=True, cwd=ROOT, stdout=subprocess.PIPE)
    return os.path.join(ROOT, out.stdout.decode().strip(), "vmlinuz")


INIT = """#!/bin/busybox sh
echo BENCH-SHELL
/bin/busybox mkdir -p /proc /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
case "$(/bin/busybox cat /proc/cmdline)" in *bench.ops*) /ops; echo BENCH-END ;; esac
/bin/busybox poweroff -f
"""


def make_initrd(build):
    """busybox, a script as process 1 and bench/ops.c, as a cpio archive in the newc format."""
    ops, out = os.path.join(build, "ops"), os.path.join(build, "initrd")
    run(["gcc", "-O2", "-static", "-Wall", "-o", ops, "bench/ops.c"])

    def entry(name, mode, data):
        head = "070701" + "".join("%08x" % v for v in (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
        raw = head.encode() + name.encode() + b"\0"
        raw += b"\0" * (-len(raw) % 4) + data
        return raw + b"\0" * (-len(raw) % 4)

    def content(path):
        with open(path, "rb") as f:
            return f.read()

    with open(out, "wb") as f:
        f.write(entry("bin", 0o40755, b"") + entry("init", 0o100755, INIT.encode()) +
                entry("bin/busybox", 0o100755, content("/bin/busybox")) +
                entry("ops", 0o100755, content(ops)) + entry("TRAILER!!!", 0, b""))
    return out


def assemble(build, name, *flags):
    out = os.path.join(build, name)
    run(["gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", *flags, "-o", out, "bench/stub.S"])
    return out


def xen_entry(elf):
    """File offset of the PV entry point: the Xen note of type 1 gives its address."""
    offset, count = struct.unpack_from("<Q", elf, 32)[0], struct.unpack_from("<H", elf, 56)[0]
    segments = [struct.unpack_from("<IIQQQQQQ", elf, offset + 56 * i) for i in range(count)]
    for kind, _, start, _, _, size, _, _ in segments:
        if kind != 4:
            continue
        at = start
        while at < start + size:
            n, d, note = struct.unpack_from("<III", elf, at)
            data = at + 12 + (n + 3 & ~3)
            if elf[at + 12:at + 16] == b"Xen\0" and note == 1:
                address = struct.unpack_from("<Q", elf, data)[0]
                return next(s[2] + address - s[3] for s in segments if s[0] == 1 and s[3] <= address < s[3] + s[5])
            at = data + (d + 3 & ~3)
    raise Trouble("the kernel has no Xen entry point")


def make_entry_kernel(build, kernel):
    """The stock kernel, but its first instructions print the time: see the top of stub.S. Packing takes a while."""
    out = os.path.join(build, "entry-vmlinuz")
    if os.path.exists(out) and os.path.getmtime(out) > max(os.path.getmtime(kernel),
                                                          os.path.getmtime(os.path.join(ROOT, "bench/stub.S"))):
        return out
    code = assemble(build, "entry.elf") + ".bin"
    run(["objcopy", "-O", "binary", "-j", ".text", code[:-4], code])
    with open(kernel, "rb") as f:
        image = bytearray(f.read())
    with open(code, "rb") as f:
        patch = f.read()
    start = (image[0x1f1] + 1) * 512
    at, size = struct.unpack_from("<II", image, 0x248)
    elf = bytearray(lzma.LZMADecompressor().decompress(bytes(image[start + at:start + at + size])))
    where = xen_entry(elf)
    elf[where:where + len(patch)] = patch
    packed = lzma.compress(bytes(elf), lzma.FORMAT_XZ, lzma.CHECK_CRC32,
                           filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 32 << 20}])
    packed += struct.pack("<I", len(elf))
    if len(packed) > size:              # then it goes to the end of the file
        at = len(image) - start
        image += packed
    else:
        image[start + at:start + at + len(packed)] = packed
    struct.pack_into("<II", image, 0x248, at, len(packed))
    with open(out, "wb") as f:
        f.write(image)
    return out


# --- measurements: each gives {name: value} ---------------------------------------------------------------------------

def console_of(argv, last, seconds):
    with Machine(argv) as m:
        try:
            m.wait_for(last, seconds)
        except Trouble as e:
            print("bench: %s\n%s" % (e, "\n".join(m.tail(5))), file=sys.stderr)
        return m.text


def stub_time(argv):
    m = re.search(STUB, console_of(argv, STUB, 300))
    return int(m.group(1), 16) if m else None


def measure_entry(image, ctx):
    stub = assemble(ctx.build, "stub.elf", "-m32", "-DMULTIBOOT", "-DSIZE=%d" % os.path.getsize(image),
                    "-Wl,--section-start=.image=0x200000", "-Wl,-z,max-page-size=4096", "-Wl,--no-warn-rwx-segments")
    before = stub_time(hosted(stub, ctx.entry_kernel, *ICOUNT))
    after = stub_time(hosted(image, ctx.entry_kernel, *ICOUNT))
    return {"entry-to-dom0": after - before} if before and after else {}


def measure_guest(image, ctx):
    text = console_of(hosted(image, ctx.guest, *ICOUNT), "GUEST-RESULT", 300)
    return {k: int(v) for k, v in FIGURE.findall(text) if k not in NOT_OURS}


def linux(image, ctx, words, *more):
    if image is None:
        return qemu(512, "-kernel", ctx.kernel, "-append", "console=ttyS0 " + words, "-initrd", ctx.initrd, *more)
    return hosted(image, "%s console=hvc0 %s,%s" % (ctx.kernel, words, ctx.initrd), *more)


def measure_linux(image, ctx):
    text = console_of(linux(image, ctx, "quiet bench.ops", *ICOUNT), "BENCH-END", 900)
    return {k: int(v) for k, v in FIGURE.findall(text)}


def toolstack(image, ctx, script, memory, dom0, more):
    """Domain 0's image belongs to the system: Debian's tools on the reference, ours on Zendo."""
    system = os.path.join(ROOT, "build/dom0-amd64%s.gz" % ("" if image == ctx.hv else "-stock"))
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m", str(memory), "-nodefaults", "-display", "none",
            "-monitor", "none", "-serial", "stdio", "-no-reboot", "-nic", "none",
            "-drive", "file=%s/build/data-amd64.img,format=raw,if=virtio,snapshot=on" % ROOT,
            "-kernel", image, "-append", HV_ARGS.replace("512M", dom0),
            "-initrd", "%s console=hvc0 quiet zendo.script=%s,%s" % (ctx.kernel, script, system), *more]


def measure_script(image, ctx, script, memory, dom0):
    text = console_of(toolstack(image, ctx, script, memory, dom0, ICOUNT), "zendo: script .* ends", 900)      # powering off takes the reference for ever
    for line in re.findall(r"^not ok .*", text, re.M):
        print("bench: " + line, file=sys.stderr)
    return {k: int(v) for k, v in FIGURE.findall(text)}


def measure_guests(image, ctx):
    return measure_script(image, ctx, "bench_guests.sh", 2048, "768M")


def measure_save(image, ctx):
    return measure_script(image, ctx, "bench_save.sh", 3072, "1280M")


def measure_wall(image, ctx):
    with Machine(linux(image, ctx, "")) as m:
        m.wait_for("BENCH-SHELL", 300)
        wall = time.time() - m.started
        with open("/proc/%d/stat" % m.proc.pid) as f:
            ticks = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        return {"wall-ms-to-shell": int(wall * 1000), "cpu-ms-to-shell": ticks * 1000 // os.sysconf("SC_CLK_TCK")}


# what measures, is there a bare figure, how often: the median of several, taken in turns
KINDS = {"entry": (measure_entry, False, 1), "guest": (measure_guest, False, 1), "linux": (measure_linux, True, 1),
         "guests": (measure_guests, False, 1), "save": (measure_save, False, 1), "wall": (measure_wall, True, 3)}


def measure_kind(kind, images, results, ctx):
    measure, has_bare, rounds = KINDS[kind]
    found = {who: [] for who, image in images.items() if image or has_bare}
    for _ in range(rounds):
        for who, list_ in found.items():
            started = time.time()
            list_.append(measure(images[who], ctx))
            print("bench: %s on %s, %.0f s" % (kind, who, time.time() - started), file=sys.stderr)
    for who, list_ in found.items():
        for name in dict.fromkeys(n for one in list_ for n in one):
            results[who][name] = int(statistics.median(one[name] for one in list_ if name in one))


# --- the table --------------------------------------------------------------------------------------------------------

def aim_of(name, bare, reference):
    if name in OF_BARE and bare:
        return int(OF_BARE[name] * bare)
    factor = 0.5 if name.startswith(HALF_OF_REFERENCE) else 1 / 3 if name.startswith(THIRD_OF_REFERENCE) else OF_REFERENCE
    return int(factor * reference) if reference else None


def table(results):
    missed = 0
    print("%-32s %13s %13s %13s %7s %13s" % ("operation", "bare", "reference", "Zendo", "ratio", "aim"))
    names = list(dict.fromkeys(n for who in ("reference", "zendo") for n in results[who]))
    for name in names:
        bare, ref, ours = (results[who].get(name) for who in ("bare", "reference", "zendo"))
        aim = aim_of(name, bare, ref)
        good = ours is not None and (aim is None or (ours >= aim if name.startswith(MORE_IS_BETTER) else ours <= aim))
        missed += not good

        def show(v):
            return "-" if v is None else "{:,}".format(v)
        ratio = "%.2f" % (ours / ref) if ours and ref else "-"
        print("%-32s %13s %13s %13s %7s %13s%s" % (name, show(bare), show(ref), show(ours), ratio, show(aim),
                                                   "" if good else "  missed"))
    print("%d of %d within their aims" % (len(names) - missed, len(names)))
    return missed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hv", default=os.path.join(ROOT, "build/zendo.elf"))
    p.add_argument("--guest", default=os.path.join(ROOT, "build/guests/bench.elf"))
    p.add_argument("--ref", help="default: taken from Debian's package into BUILD/reference")
    p.add_argument("--kernel", help="default: what scripts/fetch-kernel.sh gives")
    p.add_argument("--build", default=os.path.join(ROOT, "build/bench"))
    p.add_argument("--out", help="also write the figures there, as JSON")
    p.add_argument("--only-zendo", action="store_true", help="while tuning: neither bare nor reference")
    p.add_argument("kinds", nargs="*", metavar="KIND", help="entry, guest, linux, guests, save, wall; default: all")
    ctx = p.parse_args()
    os.makedirs(ctx.build, exist_ok=True)
    kinds = ctx.kinds or list(KINDS)
    ctx.kernel = ctx.kernel or fetch_kernel()
    images = {"zendo": ctx.hv}
    if not ctx.only_zendo:
        images = {"bare": None, "reference": ctx.ref or fetch_reference(os.path.dirname(ctx.build)), **images}
    if "entry" in kinds:
        ctx.entry_kernel = make_entry_kernel(ctx.build, ctx.kernel)
    ctx.initrd = make_initrd(ctx.build)
    results = {"bare": {}, "reference": {}, "zendo": {}}
    for kind in kinds:
        measure_kind(kind, images, results, ctx)
    if ctx.out:
        with open(ctx.out, "w") as f:
            json.dump(results, f, indent=1)
    return 1 if table(results) else 0


if __name__ == "__main__":
    sys.exit(main())
