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
