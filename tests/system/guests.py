#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs all test guests (or those named), two at a time, and prints a summary for people and for scripts.

    guests.py [--hv IMAGE] [--jobs N] [--list] [NAME ...]

The last line is "N passed, N failed", counting checks; a guest without a result counts as one failed check. Exit code 0 if
nothing failed. Failed checks are printed under their guest.
"""
import argparse
import concurrent.futures
import os
import sys

import run_guest


def all_guests():
    base = os.path.join(run_guest.ROOT, "guests")
    # "bench" and "pair" measure and test nothing: bench/run.py runs them
    return sorted(n for n in os.listdir(base) if n not in ("bench", "pair") and os.path.exists(os.path.join(base, n, "main.c")))


def run_one(name, opts):
    args = run_guest.parser().parse_args(["--hv", opts.hv, name])
    return run_guest.run(run_guest.settle(args))


def report(name, out):
    """Prints one guest; gives (passed, failed)."""
    passed, failed = out.result if out.result else (sum(c[0] for c in out.checks), 1)
    print("%-12s %4d passed %3d failed  %5.1f s%s" %
          (name, passed, failed, out.seconds, "" if out.result else "  NO RESULT"))
    for good, check, detail in out.checks:
        if not good:
            print("    not ok %s: %s" % (check, detail))
    if not out.result:
        print("".join("    | %s\n" % t for t in out.log[-12:]), end="")
    sys.stdout.flush()
    return passed, failed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hv", default=os.path.join(run_guest.ROOT, "build/zendo.elf"))
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--list", action="store_true")
    p.add_argument("names", nargs="*")
    opts = p.parse_args()
    names = opts.names or all_guests()
    if opts.list:
        print("\n".join(names))
        return 0
    total = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(min(2, max(1, opts.jobs))) as pool:
        for name, out in zip(names, pool.map(lambda n: run_one(n, opts), names)):
            passed, failed = report(name, out)
            total[0] += passed
            total[1] += failed
    print("%d passed, %d failed" % tuple(total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
