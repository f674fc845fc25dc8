#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where Zendo spends the instructions that bench/run.py counts.

    profile.py [--hv ELF --syms SYMS --guest ELF --kernel VMLINUZ --build DIR] [--lines] [--top N] guest|linux|entry|save [NAME ..]

Runs guests/bench or bench/ops.c with the plugin bench/profile.c in QEMU and prints, for each measurement (or those
whose name contains a NAME), instructions per operation by function of the hypervisor, or by line with --lines. What the
guest's kernel and user mode took are one line each. entry: the whole way from power on to the stock kernel's first
instruction (the firmware counts as guest user: its addresses are low). save: the commands of bench_save.sh, in thousands, with the
functions of domain 0's kernel and of xm as well. A repeated string instruction counts once per element.
"""
import argparse
import bisect
import collections
import os
import re
import subprocess
import sys

import run as bench

# Operations in one batch, to divide by: guests/bench ITERATIONS, and the counts in bench/ops.c.
COUNT = {"linux-getppid": 1000, "linux-write-null": 1000, "linux-signal": 300, "linux-fork-exit-wait": 10,
         "linux-fork-exec-wait": 10, "linux-page-fault": 64, "linux-mmap-touch-4-munmap": 50,
         "linux-mprotect-fault": 100, "linux-pipe-round-trip": 300, "mmu-update-each-of-32": 400 * 32, "entry-to-dom0": 1}
PIE = 0x555555554000                    # where a kernel without randomising puts a program


class Symbols:
    def __init__(self, path, lines):
        rows = [r.split() for r in subprocess.check_output(["nm", "-n", path]).decode().splitlines()]
        rows = [(int(r[0], 16), r[2]) for r in rows if len(r) == 3 and r[1] in "tT"]
        self.path, self.lines = path, lines
        self.at, self.name = [r[0] for r in rows], [r[1] for r in rows]
        self.others = []                # (first address, last, [addresses], [names])

    def add(self, first, last, rows):
        rows = sorted((first + at if at < first else at, name) for at, name in rows)
        self.others.append((first, last, [r[0] for r in rows], [r[1] for r in rows]))

    def of(self, address):
        for first, last, at, name in self.others:
            if first <= address <= last and at and address >= at[0]:
                return "(%s)" % name[bisect.bisect_right(at, address) - 1]
        if address >= 0xffffffff80000000 or 0xffff880000000000 <= address:
            return "(guest kernel)"
        if address < 1 << 47:
            return "(guest user)"
        return self.name[bisect.bisect_right(self.at, address) - 1]

    def label(self, counts):
        """{address: n} to {label: n}."""
        out = collections.Counter()
        own = sorted(a for a in counts if self.of(a)[0] != "(") if self.lines else []
        text = subprocess.run(["addr2line", "-e", self.path], input="\n".join("%x" % a for a in own).encode(),
                              stdout=subprocess.PIPE, check=True).stdout.decode().splitlines() if own else []
        where = dict(zip(own, (t.split(" ")[0].replace(bench.ROOT + "/", "") for t in text)))
        for a, n in counts.items():
            out["%s %s" % (self.of(a), where[a]) if a in where else self.of(a)] += n
        return out


def sections(path):
    """The plugin's file: a list of {address: count}."""
    out, now = [], None
    with open(path) as f:
        for line in f:
            if line.startswith("=="):
                now = collections.Counter()
                out.append(now)
            else:
                a, n = line.split()
                now[int(a, 16)] += int(n)
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hv", default=os.path.join(bench.ROOT, "build/zendo.elf"))
    p.add_argument("--syms", help="default: zendo.syms beside the image")
    p.add_argument("--guest", default=os.path.join(bench.ROOT, "build/guests/bench.elf"))
    p.add_argument("--kernel", default=os.path.join(bench.ROOT, "build/kernel/amd64/vmlinuz"))
    p.add_argument("--build", default=os.path.join(bench.ROOT, "build/bench"))
    p.add_argument("--lines", action="store_true")
    p.add_argument("--top", type=int, default=25)
    p.add_argument("kind", choices=["guest", "linux", "entry", "save"])
    p.add_argument("names", nargs="*")
    ctx = p.parse_args()
    ctx.syms = ctx.syms or ctx.hv[:-4] + ".syms"
    os.makedirs(ctx.build, exist_ok=True)
    plugin, out = (os.path.join(os.path.abspath(ctx.build), n) for n in ("profile.so", "profile.out"))
    bench.run(["gcc", "-shared", "-fPIC", "-O2", "-o", plugin, "bench/profile.c"])
    ctx.initrd = bench.make_initrd(ctx.build)
    more = bench.ICOUNT + ["-plugin", "%s,out=%s" % (plugin, out)]
    if ctx.kind == "guest":
        text = bench.console_of(bench.hosted(ctx.hv, ctx.guest, *more), "GUEST-RESULT", 300)
        names = [n for n, _ in bench.FIGURE.findall(text) if n != "tsc-at-guest-main"]
    elif ctx.kind == "linux":
        text = bench.console_of(bench.linux(ctx.hv, ctx, "quiet bench.ops", *more), "BENCH-END", 900)
        names = [n for n, _ in bench.FIGURE.findall(text)]
    elif ctx.kind == "save":
        text = bench.console_of(bench.toolstack(ctx.hv, ctx, "bench_save.sh zendo.symbols norandmaps", 3072, "1280M", more), "zendo: script .* ends", 900)
        names = [n for n, _ in bench.FIGURE.findall(text) if "file" not in n]
    else:
        bench.console_of(bench.hosted(ctx.hv, bench.make_entry_kernel(ctx.build, ctx.kernel), *more), bench.STUB, 300)
        names = ["entry-to-dom0"]
    symbols = Symbols(ctx.syms, ctx.lines)
    if ctx.kind == "save":
        symbols.add(0xffff880000000000, 2**64 - 1, ((int(a, 16), n) for a, n in re.findall(r"^([0-9a-f]{16}) [tT] (\S+)", text, re.M)))
        xm = subprocess.check_output(["nm", os.path.join(bench.ROOT, "build/bin/xm")]).decode()
        symbols.add(PIE, PIE + (1 << 24), ((int(a, 16), "xm " + n) for a, n in re.findall(r"^([0-9a-f]{16}) [tT] (\S+)", xm, re.M)))
    for name, counts in zip(names, sections(out)):
        if ctx.names and not any(n in name for n in ctx.names):
            continue
        divide = 1000 if ctx.kind == "save" else COUNT.get(name, 400)
        print("%s: %d per operation" % (name, sum(counts.values()) // divide))
        for label, n in symbols.label(counts).most_common(ctx.top):
            print("    %10.1f  %s" % (n / divide, label))


if __name__ == "__main__":
    sys.exit(main())
