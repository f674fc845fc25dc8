#!/bin/sh
# SPDX-License-Identifier: MIT
# loc.sh: files, lines, and lines of code (neither empty nor only comment) of C and assembly by folder, and the largest files.
cd "$(dirname "$0")/.." || exit 1
find hypervisor toolstack guests tests bench scripts \( -name '*.[chS]' -o -name '*.py' -o -name '*.sh' -o -name '*.mk' -o -name '*.def' \) \
    -type f 2>/dev/null | LC_ALL=C sort | xargs awk '
function folder(f,   p, n) { n = split(f, p, "/"); return p[1] (n > 2 ? "/" p[2] : "") }
FNR == 1 { d = folder(FILENAME); files[d]++; block = 0; hash = FILENAME ~ /\.(py|sh|mk)$/ }
{
    lines[d]++; of[FILENAME]++
    t = $0
    if (hash) { sub(/^[ \t]*#.*/, "", t) }
    else {
        gsub(/\/\*([^*]|\*[^\/])*\*\//, "", t)
        if (block) { if (t ~ /\*\//) { sub(/^.*\*\//, "", t); block = 0 } else t = "" }
        if (t ~ /\/\*/) { sub(/\/\*.*/, "", t); block = 1 }
    }
    if (t ~ /[^ \t]/) code[d]++
}
END {
    printf "%-24s %6s %8s %8s\n", "folder", "files", "lines", "code"
    cmd = "LC_ALL=C sort"
    for (d in lines) { printf "%-24s %6d %8d %8d\n", d, files[d], lines[d], code[d] | cmd
        split(d, p, "/"); tf[p[1]] += files[d]; tl[p[1]] += lines[d]; tc[p[1]] += code[d] }
    close(cmd)
    print ""
    for (d in tl) printf "%-24s %6d %8d %8d\n", d " in all", tf[d], tl[d], tc[d] | cmd
    close(cmd)
    print "\nlargest files"
    cmd = "sort -k2nr | head -n 10"
    for (f in of) printf "%-48s %6d\n", f, of[f] | cmd
    close(cmd)
}'
