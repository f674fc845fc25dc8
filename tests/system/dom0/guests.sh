# SPDX-License-Identifier: MIT
# For scripts that make many guests: configurations, and what domain 0 holds on their account.
tiny_config() {     # NAME [WORDS]
    cat > "/tmp/$1.cfg" <<END
name = "$1"
kernel = "/data/idle.elf"
extra = "$2"
memory = 4
vcpus = 1
END
}
stock_config() {    # NAME WORDS [LINES]
    cat > "/tmp/$1.cfg" <<END
name = "$1"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet $2"
memory = 96
vcpus = 1
${3:-}
END
}
printed() { grep -q "$2" "/var/lib/zendo/console/$1"; }
daemons="xenstored xenconsoled zendod"
daemon_pid() { cat "/run/zendo/$1.pid" 2>/dev/null || pidof "$1"; }
fds() { ls "/proc/$(daemon_pid "$1")/fd" | wc -l; }
rss() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$(daemon_pid "$1")/status"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$(daemon_pid "$1")/stat"; }
# Not the kernel's threads, which come and go.
# Programs, not the kernel's threads. Counted by the shell alone: a pipeline's own programs come and go while it counts.
processes() {
    programs=0
    for words in /proc/[0-9]*/cmdline; do
        said=
        read -r said 2>/dev/null < "$words"
        [ -z "$said" ] || programs=$((programs + 1))
    done 2>/dev/null
    echo $programs
}
free_mb() { xm info | sed -n 's/^free_memory *: //p'; }
# What guests must leave as it was, one figure a line.
holdings() {
    echo "nodes $(xenstore-ls / | wc -l)"
    echo "processes $(processes)"
    echo "loops $(cat /sys/block/loop*/loop/backing_file 2>/dev/null | wc -l)"
    echo "interfaces $(ls /sys/class/net | wc -l)"
    echo "ptys $(ls /dev/pts | wc -l)"
    echo "kept-configurations $(ls /var/lib/zendo/guests 2>/dev/null | wc -l)"
    for d in $daemons; do echo "$d-fds $(fds "$d")"; done
}
# same_holdings BEFORE AFTER: files that holdings wrote. What is in the store is shown if it is more or less than it was.
same_holdings() {
    while read -r what n; do is "same-$what" "$(sed -n "s/^$what //p" "$2")" "$n"; done < "$1"
    grep -q "^$(head -n 1 "$1")$" "$2" || xenstore-ls -f / | sed 's/^/zendo: store /'
}
# us: microseconds of a clock
us() { mixload time 0; }
# timed COMMAND...: runs it; $took is what it took in microseconds
timed() { t0=$(us); "$@" > /tmp/timed 2>&1; rc=$?; took=$(($(us) - t0)); [ $rc = 0 ] || cat /tmp/timed; return $rc; }
