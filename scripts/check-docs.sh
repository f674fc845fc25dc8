#!/bin/sh
# SPDX-License-Identifier: MIT
# check-docs.sh: what the documents name is still there. In README.md and docs/**/*.md it looks at
#   `name()`, `struct name`, `enum name`, `some_name`  an identifier of the tree or of the ABI headers; with () one that is followed by (
#   `path/file.c`                                      a file: from the top, below hypervisor/ or hypervisor/include/; a bare name: anywhere
#   `t_name`, `f_name`                                 a test: tests/unit/t_name.c, tests/fuzz/f_name.c
#   [text](target)                                     a file, relative to the document
# docs/LOCKING.md has a row for each rank of lock.h, docs/ABI-STATUS.md one for each of hypercalls.def.
# NAME in capitals stands for any name. Words in back-quotes that are none of these (plain words, command lines, options with =) are not looked at. A check is one
# document; what is missing is named with the document. Ends in "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C

docs=$(find docs -name '*.md' | sort)
[ ! -f README.md ] || docs="README.md $docs"
trees="hypervisor guests tests scripts"
for t in toolstack bench; do [ ! -d $t ] || trees="$trees $t"; done

# All identifiers, and those that are called or defined as functions or macros.
find $trees Makefile -type f \( -name '*.[chS]' -o -name '*.def' -o -name '*.lds' -o -name '*.py' -o -name '*.sh' -o -name '*.mk' \
    -o -name Makefile \) ! -path scripts/check-docs.sh -exec cat {} + > "$tmp/text"
cat /usr/include/xen/*.h /usr/include/xen/*/*.h >> "$tmp/text" 2>/dev/null
grep -oE '[A-Za-z_][A-Za-z0-9_]*' "$tmp/text" | sort -u > "$tmp/names"
{ grep -oE '[A-Za-z_][A-Za-z0-9_]* ?\(' "$tmp/text" | tr -d ' ('        # a call or a definition
  sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\):.*/\1/p' "$tmp/text"            # a label of assembly code
  sed -n 's/^HCALL([^,]*, *\([a-z_]*\)).*/do_\1/p' hypervisor/include/hypercalls.def
} | sort -u > "$tmp/calls"
grep -oE '(struct|enum|union) [A-Za-z_][A-Za-z0-9_]*' "$tmp/text" | sort -u > "$tmp/types"

find $trees docs -type f | sed 's|.*/||' | sort -u > "$tmp/files"
others="GRUB_CMDLINE_XEN"    # names of other programs

have() {
    case "$1" in
    *NAME*) return 0 ;;
    */*) [ -e "$1" ] || [ -e "hypervisor/$1" ] || [ -e "hypervisor/include/$1" ] ;;
    *) [ -e "$1" ] || grep -qxF "$1" "$tmp/files" ;;
    esac
}

# One document per call; prints what is missing.
look() {
    # Fenced blocks are not prose; table cells and text may hold several `...` per line.
    awk '/^```/ { fence = !fence; next } !fence' "$1" > "$tmp/prose"
    grep -oE '`[^`]+`' "$tmp/prose" | tr -d '`' | sort -u > "$tmp/quoted"
    grep -xE '[A-Za-z_][A-Za-z0-9_]*\(\)' "$tmp/quoted" | tr -d '()' | sort -u | comm -23 - "$tmp/calls" | sed 's/$/()/'
    grep -xE '(struct|enum|union) [A-Za-z_][A-Za-z0-9_]*' "$tmp/quoted" | sort -u | comm -23 - "$tmp/types"
    grep -xE '[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)+' "$tmp/quoted" | grep -vE "^([tf]_[a-z_0-9]+|.*NAME.*|$others)\$" |
        sort -u | comm -23 - "$tmp/names"
    grep -xE 't_[a-z_0-9]+' "$tmp/quoted" | while read -r t; do [ -f "tests/unit/$t.c" ] || echo "$t"; done
    grep -xE 'f_[a-z_0-9]+' "$tmp/quoted" | while read -r t; do [ -f "tests/fuzz/$t.c" ] || echo "$t"; done
    grep -xE '[A-Za-z0-9_./-]+\.(c|h|S|def|lds|md|sh|py|mk)' "$tmp/quoted" | while read -r f; do
        have "$f" || [ -e "$(dirname "$1")/$f" ] || echo "$f"
    done
    grep -oE '\]\([^)#: ]+' "$tmp/prose" | sed 's/^](//' | while read -r l; do
        [ -e "$(dirname "$1")/$l" ] || echo "link to $l"
    done
    case "$1" in
    docs/LOCKING.md)
        sed -n 's/^ *\(RANK_[A-Z0-9_]*\) = \([0-9]*\),.*/\2 `\1`/p' hypervisor/include/lock.h |
            while read -r r; do grep -qF "| $r |" "$1" || echo "row $r"; done ;;
    docs/ABI-STATUS.md)
        sed -n 's/^HCALL([^,]*, *\([a-z_]*\)).*/\1/p' hypervisor/include/hypercalls.def |
            while read -r c; do grep -q "^|.*\b$c ([0-9]" "$1" || echo "row $c"; done ;;
    esac
}

passed=0
failed=0
for d in $docs; do
    look "$d" > "$tmp/missing"
    if [ -s "$tmp/missing" ]; then
        failed=$((failed + 1))
        sed "s|^|$d: not found: |" "$tmp/missing"
    else
        passed=$((passed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
