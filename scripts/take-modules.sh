#!/bin/sh
# SPDX-License-Identifier: MIT
# take-modules.sh KERNELDIR LIST ROOT: copies the kernel modules whose names stand in the file LIST, and all that they depend
# on, into ROOT/lib/modules. modules.dep has a line "path: path path"; names count - and _ as the same. Unknown names are skipped.
set -eu
kernel=$1
list=$2
root=$3
version=$(cat "$kernel/version")
mkdir -p "$root/lib/modules/$version"
sed 's/#.*//' "$list" | tr -s ' ' '\n' | grep . | awk -v dep="$kernel/lib/modules/$version/modules.dep" '
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
    { gsub(/-/, "_", $1); p = path_of[$1]; if (p != "") take(p) }' | sort > "$root/list"
while read -r path; do
    mkdir -p "$root/lib/modules/$version/$(dirname "$path")"
    cp "$kernel/lib/modules/$version/$path" "$root/lib/modules/$version/$path"
done < "$root/list"
rm "$root/list"
cp "$kernel/lib/modules/$version/modules.builtin" "$root/lib/modules/$version/"
(cd "$root" && busybox depmod -b "$PWD" "$version")
