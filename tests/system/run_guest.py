#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots one test guest as domain 0 of a hypervisor image under QEMU and reports its checks.

    run_guest.py [--hv IMAGE] [--smp N] [--mem MB] [--cpu MODEL] [--timeout S] [--append TEXT] [-v] NAME|guest.elf [args]

Options that a guest needs stand in its source, in a line "run: --smp 2 ..."; the command line wins. It ends QEMU when the
guest prints GUEST-RESULT, and exits with 0 if all checks passed, 1 if one failed, 2 if the guest gave no result.
"""
import argparse
import os
import re
import select
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFAULTS = {"smp": 1, "mem": 512, "cpu": "qemu64", "timeout": 60, "append": ""}
# a line of the guest's may follow a hypervisor's prompt on the same line
CHECK = re.compile(r"(?:^|\s)(ok|not ok) ([A-Za-z0-9_.+/-]+)(: .*)?$")
DEAD = re.compile(r"[Dd]om(ain |0|ain)?0?.*\bcrashed\b|PANIC|Panic on CPU|panic:")
RESULT = re.compile(r"GUEST-RESULT: (\d+) passed, (\d+) failed")


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hv", default=os.path.join(ROOT, "build/zendo.elf"))
    p.add_argument("--smp", type=int)
    p.add_argument("--mem", type=int)
    p.add_argument("--cpu")
    p.add_argument("--timeout", type=float)
    p.add_argument("--append")
    p.add_argument("-v", "--verbose", action="store_true", help="show the whole console")
    p.add_argument("guest")
    p.add_argument("args", nargs="*")
    return p


def options_of(name):
    """The options in the guest's own source ("run: ..." in its first comment)."""
    try:
        with open(os.path.join(ROOT, "guests", name, "main.c")) as f:
            head = f.read(3000)
    except OSError:
        return []
    m = re.search(r"^ \* run: (.*)$", head, re.M)
    return m.group(1).split() if m else []


def settle(opts):
    """Fills in what the command line left open: first from the guest's source, then the defaults."""
    name = os.path.basename(opts.guest)
    name = name[:-4] if name.endswith(".elf") else name
    opts.name = name
    if not os.path.exists(opts.guest):
        opts.guest = os.path.join(ROOT, "build/guests", name + ".elf")
    own = parser().parse_args(options_of(name) + ["x"])
    for key, default in DEFAULTS.items():
        if getattr(opts, key) is None:
            value = getattr(own, key)
            setattr(opts, key, default if value is None else value)
    return opts


def command(opts):
    return ["qemu-system-x86_64", "-accel", "tcg", "-m", str(opts.mem), "-smp", str(opts.smp), "-cpu", opts.cpu,
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-net", "none", "-kernel", opts.hv,
            "-append", ("console=com1 com1=115200,8n1 noreboot loglvl=all guest_loglvl=all dom0_mem=64M "
                        "dom0_max_vcpus=%d %s" % (opts.smp, opts.append)).strip(),
            "-initrd", " ".join([opts.guest] + opts.args)]


class Run:
    """One boot: .checks is a list of (good, name, detail), .result (passed, failed) or None, .log the console."""

    def __init__(self):
        self.checks, self.result, self.log = [], None, []
        self.seconds = 0.0

    def line(self, text):
        self.log.append(text)
        m = CHECK.search(text)
        if m and "(XEN)" not in text:
            self.checks.append((m.group(1) == "ok", m.group(2), (m.group(3) or "")[2:]))
        m = RESULT.search(text)
        if m:
            self.result = (int(m.group(1)), int(m.group(2)))

    def good(self):
        return self.result is not None and self.result[1] == 0


def run(opts, show=lambda text: None):
    out, start, tail = Run(), time.time(), b""
    proc = subprocess.Popen(command(opts), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    try:
        end = start + opts.timeout
        while out.result is None and time.time() < end:
            if not select.select([proc.stdout], [], [], 0.2)[0]:
                continue
            data = os.read(proc.stdout.fileno(), 65536)
            if not data:
                break
            *lines, tail = (tail + data).split(b"\n")
            for raw in lines:
                text = raw.decode("latin-1").rstrip("\r")
                out.line(text)
                show(text)
                if DEAD.search(text):
                    end = min(end, time.time() + 1)     # no result will come; let it finish its dump
    finally:
        proc.kill()
        proc.wait()
    if tail and out.result is None:
        out.log.append(tail.decode("latin-1"))
    out.seconds = time.time() - start
    return out


def main():
    opts = settle(parser().parse_args())
    out = run(opts, print if opts.verbose else lambda text: None)
    if not opts.verbose:
        for good, name, detail in out.checks:
            print("ok %s" % name if good else "not ok %s: %s" % (name, detail))
        if out.result is None:
            print("\n".join(out.log[-25:]))
    if out.result is None:
        print("%s: NO RESULT in %.1f s" % (opts.name, out.seconds))
        return 2
    print("%s: %d passed, %d failed, %.1f s" % (opts.name, *out.result, out.seconds))
    return 0 if out.good() else 1


if __name__ == "__main__":
    sys.exit(main())
