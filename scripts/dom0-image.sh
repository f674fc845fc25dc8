#!/bin/sh
# SPDX-License-Identifier: MIT
# dom0-image.sh KERNELDIR OUT.gz: assembles domain 0's initramfs: a static busybox, scripts/dom0/init, the modules listed in
# scripts/dom0/modules with those they depend on, and the test scripts of tests/system/dom0. The same input gives the
# same bytes. Needs no root and a C compiler. EXTRA=DIR adds (or replaces) files from a folder.
set -eu
cd "$(dirname "$0")/.."
kernel=$1
out=$2
version=$(cat "$kernel/version")
root=$out.root
rm -rf "$root"
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/scripts/bin" "$root/lib/modules/$version"

cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp scripts/dom0/init "$root/init"
for name in poweroff reboot halt; do cp scripts/dom0/poweroff "$root/scripts/bin/$name"; done
cp tests/system/dom0/*.sh scripts/dom0/shrc "$root/scripts/"
${CC:-gcc} -O2 -Wall -static -pthread -o "$root/scripts/bin/mixload" tests/system/dom0/mixload.c
chmod 755 "$root/init" "$root/scripts/bin/"*

# The wanted modules and all they need. modules.dep has a line "path: path path"; names count - and _ as the same.
sed 's/#.*//' scripts/dom0/modules | tr -s ' ' '\n' | grep . | awk -v dep="$kernel/lib/modules/$version/modules.dep" '
    function name(path) { sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path); return path }
    function take(path,    n, i, part) {
        if (path in taken) return
        taken[path] = 1
        print path
        n = split(needs[path], part, " ")
        for (i = 1; i <= n; i++) take(part[i])
    }
    BEGIN { while ((getline line < dep) > 0) { i = index(line, ":"); p = substr(line, 1, i - 1)
            needs[p] = substr(line, i + 1); path_of[name(p)] = p } }
    { p = path_of[name($1)]; if (p != "") take(p) }' | sort > "$root/list"
while read -r path; do
    mkdir -p "$root/lib/modules/$version/$(dirname "$path")"
    cp "$kernel/lib/modules/$version/$path" "$root/lib/modules/$version/$path"
done < "$root/list"
rm "$root/list"
cp "$kernel/lib/modules/$version/modules.builtin" "$root/lib/modules/$version/"
(cd "$root" && busybox depmod -b "$PWD" "$version")

[ -z "${EXTRA:-}" ] || cp -a "$EXTRA/." "$root/"
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --reproducible -R 0:0 --quiet) | gzip -1n > "$out.new"
mv "$out.new" "$out"
