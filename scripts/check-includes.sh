#!/bin/sh
# SPDX-License-Identifier: MIT
# check-includes.sh: who may include whom. Reads the #include lines, knows nothing of #if. Ends in "N passed, N failed",
# a check per file. The rules, with the reasons, are in docs/TESTING.md; exceptions are below, each with its reason.
cd "$(dirname "$0")/.." || exit 1
{
    find include hypervisor guests -name '*.[chS]' -o -name '*.def'
    [ ! -d toolstack ] || find toolstack -name '*.[ch]'
} | LC_ALL=C sort | xargs awk '
BEGIN {
    # freestanding headers of the compiler: for all
    split("stdint.h stddef.h stdbool.h stdarg.h limits.h", a); for (i in a) free[a[i]] = 1
    # decompressors: for the unpacker alone
    split("lzma.h zlib.h lz4.h zstd.h", a); for (i in a) unpack[a[i]] = 1

    # Exceptions: "file header" and why.
    ok["hypervisor/include/lib.h string.h"] = "libc, when tests build the same source for the host"
    ok["hypervisor/include/lib.h stdio.h"] = "the same"
    ok["hypervisor/common/memory_op.c x86/hypercalls.h"] = "prototypes of the handlers; to move to hypervisor/include"
    ok["hypervisor/common/version.c x86/hypercalls.h"] = "the same"
}
function bad(why) { if ((FILENAME " " inc) in ok) { used[FILENAME " " inc] = 1; return }
    print FILENAME ":" FNR ": " $0 "  <- " why; wrong[FILENAME] = 1 }
FNR == 1 { files++; part = FILENAME; sub(/^hypervisor\//, "", part); top = part; sub(/\/.*/, "", top)
    if (FILENAME !~ /^hypervisor/) top = FILENAME ~ /^guests/ ? "guests" : "toolstack"
    if (top == "include") top = FILENAME ~ /include\/x86\// ? "x86" : "interface" }
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    inc = $0; sub(/^[^<"]*[<"]/, "", inc); sub(/[>"].*/, "", inc)
    angle = $0 ~ /include[ \t]*</
    if (inc ~ /^\.\./) bad("no way up: a header belongs in an include folder or beside its user")
    if (top == "toolstack") {
        if (inc ~ /^(x86\/|port\.h|domain\.h|pgt\.h)/) bad("the toolstack sees the ABI headers, not the hypervisor")
        if (inc ~ /^(xenctrl|xenguest|libxl|libxlutil)\.h/) bad("control calls are our own")
        next
    }
    if (angle && !(inc in free) && inc !~ /^(xen|zendo)\//) {
        if (!(inc in unpack && FILENAME ~ /x86\/boot\/unpack/)) bad("freestanding code has no such header")
    }
    if (top == "guests" && !angle && inc !~ /^[a-z0-9_]+\.h$/) bad("guests see their kit and the ABI headers")
    if ((top == "common" || top == "lib" || top == "interface") && inc ~ /^(x86\/|asm\/|offsets\.h)/)
        bad("common code knows no machine: ask port.h")
    if (top == "pv" && inc ~ /^(hvm|svm|vmx)/) bad("pv and hvm do not see each other")
    if (top == "hvm" && inc ~ /^(pv|pgt)/) bad("pv and hvm do not see each other")
    if (top == "lib" && !angle && inc !~ /^(lib|lock|log|port|types|list)\.h$/) bad("lib stands below everything")
}
END {
    for (e in ok) if (!(e in used)) print "check-includes: exception no longer needed: " e
    n = 0; for (f in wrong) n++
    print files - n " passed, " n " failed"
    exit n > 0
}'
