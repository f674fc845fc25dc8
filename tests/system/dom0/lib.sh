# What the test scripts share. Each check prints one line: "ok NAME" or "not ok NAME: why".
pass() { echo "ok $1"; }
fail() { echo "not ok $1: $2"; }
# is NAME GOT WANTED
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "'$2' and not '$3'"; fi; }
# yes NAME COMMAND...: the command succeeds
yes() { n=$1; shift; if said=$("$@" 2>&1); then pass "$n"; else fail "$n" "$* said: $said"; fi; }
# word NAME: the value of zendo.NAME= on the kernel's command line
word() { sed -n "s/.*\bzendo\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
# wait_for SECONDS COMMAND...: until it succeeds
wait_for() { left=$1; shift; until "$@" >/dev/null 2>&1; do left=$((left - 1)); [ $left -gt 0 ] || return 1; sleep 1; done; }
now_ms() { read -r up rest < /proc/uptime; echo "${up%.*}${up#*.}0"; }
moves() { a=$(date +%s); sleep 2; b=$(date +%s); [ $((b - a)) -ge 1 ] && [ $((b - a)) -le 6 ]; }
slept() { a=$(now_ms); sleep 0.5; b=$(now_ms); echo "$((b - a)) ms for 500"; [ $((b - a)) -ge 490 ] && [ $((b - a)) -lt 2500 ]; }
# The kernel's log has no oops, no warning with a trace, no stuck CPU.
clean_log() {
    bad=$(dmesg | grep -E 'BUG:|Oops|Call Trace|WARNING: CPU|soft lockup|rcu.*stall|hung_task' | head -n 3)
    is clean-log "$bad" ""
}
# What the kernel makes of AVX: its flag, and the state that it keeps for programs.
avx_of_kernel() {
    if grep -m 1 ^flags /proc/cpuinfo | grep -qw avx && dmesg | grep -q "Enabled xstate features 0x.*[4567cdef],"; then echo yes; else echo no; fi
}
# state NAME: the harness compares the clocks and presses the hypervisor's keys, then sends a line.
state() {
    sync
    echo 3 > /proc/sys/vm/drop_caches
    sleep 1
    mixload now 10
    echo "zendo: irqs $(grep -c ' xen-' /proc/interrupts)"
    echo "zendo: state $1"
    read -r answer
}
# busy_start CPUS: busy loops, forks and mixload on all of them until busy_stop. They are nice, or the test takes an hour.
busy_start() {
    busy_pids=
    for c in $(seq "$1"); do
        mixload nice 10 sh -c 'while :; do :; done' & busy_pids="$busy_pids $!"
    done
    mixload nice 10 sh -c 'while :; do /bin/busybox true; done' & busy_pids="$busy_pids $!"
    mixload nice 10 mixload mix 100000 "$1" > /tmp/busy 2>&1 & busy_pids="$busy_pids $!"
    mixload nice 10 mixload vectors 100000 1 >> /tmp/busy 2>&1 & busy_pids="$busy_pids $!"
    busy_idle=$(idle_ticks)
}
# Hundredths of a second that CPUs were idle, of all together. While busy, there are next to none.
idle_ticks() { awk '$1 == "cpu" { print $5 + $6 }' /proc/stat; }
# It fails if one of them has ended by itself: mixload does that when it finds something wrong.
busy_stop() {
    echo "zendo: idle $(($(idle_ticks) - busy_idle)) ticks while busy"
    for p in $busy_pids; do
        kill "$p" || { cat /tmp/busy; return 1; }
    done
    wait $busy_pids
    true
}
