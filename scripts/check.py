#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py STAGE...: runs stages of the tests and ends in exactly one line "N passed, N failed" that sums all of them.

Stages: unit corpus headers includes docs toolstack guests linux moves moves-all demo soak. `make check` builds first and calls it with most of them.
A stage passes its own last line "N passed, N failed" on to the sum; one that gives none counts as one failure. Long output
of what passes is not shown; what fails shows its last lines.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUM = re.compile(r"^(\d+) passed, (\d+) failed\s*$", re.M)
FAILED = re.compile(r"\bnot ok\b|\b[1-9]\d* failed\b|NO RESULT")
failures = []       # (stage or program, line), said again at the end, where a log that was cut still has them


def run(argv, timeout, **more):
    """Output and exit code; a program that hangs is ended and has failed."""
    try:
        p = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                           stdin=subprocess.DEVNULL, **more)
        return p.stdout.decode("utf-8", "replace"), p.returncode
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode("utf-8", "replace") + "\nstill running after %d s" % timeout, -1
    except OSError as e:
        return str(e), -1


def show(name, passed, failed, text):
    print("%-24s %4d passed %3d failed" % (name, passed, failed))
    if failed:
        failures.append((name, "%d failed" % failed))
        print("".join("    | %s\n" % t for t in text.splitlines()[-25:]), end="")
    sys.stdout.flush()
    return passed, failed


def each(names, one):
    """Runs one(name) for all, two at a time; one gives (passed, failed, text)."""
    total = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, (passed, failed, text) in zip(names, pool.map(one, names)):
            show(name, passed, failed, text)
            total[0] += passed
            total[1] += failed
    return tuple(total)


def cmocka(name):
    """A cmocka program counts its own tests; a crash is one failure more."""
    text, rc = run(["build/unit/" + name], 300)
    passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", text))
    failed = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", text))
    if rc and not failed:
        failed = 1
    return passed, failed, text


def unit():
    return each(sorted(os.path.basename(f)[:-2] for f in glob.glob(ROOT + "/tests/unit/t_*.c")), cmocka)


def replay(name):
    """A fuzz target over its committed corpus: each file is a check, and the first crash ends the run."""
    folder = os.path.join("tests/fuzz/corpus", name)
    files = len(glob.glob(os.path.join(ROOT, folder, "*")))
    text, rc = run(["build/fuzz/" + name, "-runs=0", folder] if files else ["build/fuzz/" + name, "-runs=100"], 300)
    return (0 if rc else max(1, files)), (1 if rc else 0), text


def corpus():
    return each(sorted(os.path.basename(f)[2:-2] for f in glob.glob(ROOT + "/tests/fuzz/f_*.c")), replay)


def script(name, argv, timeout):
    """Another program with a summing last line. Its output is passed through as it comes."""
    proc = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                            text=True, errors="replace")
    found, end = None, time.time() + timeout
    for line in proc.stdout:
        m = SUM.match(line)
        if m:
            found = (int(m.group(1)), int(m.group(2)))
            continue
        print(line, end="")
        sys.stdout.flush()
        if FAILED.search(line):
            failures.append((name, line.strip()))
        if time.time() > end:
            failures.append((name, "still running after %d s" % timeout))
            proc.kill()
            break
    rc = proc.wait()
    if not found:
        found = (0, 1)
        failures.append((name, "no result, exit code %d" % rc))
        print("%s: no result, exit code %d" % (name, rc))
    elif rc and not found[1]:
        found = (found[0], 1)
    return found


def toolstack():
    """Our daemons on this machine, without a hypervisor."""
    both = [script(name, ["python3", "tests/toolstack/%s.py" % name], 200) for name in ("store", "relocd")]
    return tuple(map(sum, zip(*both)))


HV = os.environ.get("HV", "build/zendo.elf")
JOBS = os.environ.get("JOBS", "2")
STAGES = {
    "unit": unit,
    "corpus": corpus,
    "headers": lambda: script("headers", ["scripts/check-headers.sh"], 300),
    "includes": lambda: script("includes", ["scripts/check-includes.sh"], 60),
    "docs": lambda: script("docs", ["scripts/check-docs.sh"], 60),
    "toolstack": toolstack,
    "guests": lambda: script("guests", ["python3", "tests/system/guests.py", "--hv", HV, "--jobs", JOBS], 900),
    "linux": lambda: script("linux", ["python3", "tests/system/linux.py", "--hv", HV, "--jobs", JOBS], 1200),
    "moves": lambda: script("moves", ["python3", "tests/system/moves.py"], 400),
    "moves-all": lambda: script("moves", ["python3", "tests/system/moves.py", "all"], 9000),
    "demo": lambda: script("demo", ["python3", "scripts/demo.py"], 400),
    "soak": lambda: script("soak", ["python3", "tests/system/linux.py", "--hv", HV, "--jobs", JOBS, "--all"], 7200),
}


def main():
    names = sys.argv[1:]
    built = os.environ.get("BUILT", "0")        # exit code of the build before us: a failed build is a failed check
    if not names or any(n not in STAGES for n in names):
        sys.exit("usage: check.py " + " ".join(STAGES))
    total, table = [0, 0], []
    if built != "0":
        total[1] += 1
        print("the build failed (see above); what was built is tested")
    for name in names:
        print("== " + name)
        sys.stdout.flush()
        start = time.time()
        passed, failed = STAGES[name]()
        total[0] += passed
        total[1] += failed
        table.append("%-10s %5d ok %4d not ok %6.0f s" % (name, passed, failed, time.time() - start))
    print("== sum")
    for name, line in failures[:60]:
        print("not ok in %s: %s" % (name, line[:200]))
    print("\n".join(table))
    print("%d passed, %d failed" % tuple(total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
