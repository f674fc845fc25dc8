# SPDX-License-Identifier: MIT
# Time and processor of guests under Debian's xl: wall clock, pause, an emulated time stamp counter, a processor policy.
. /scripts/lib.sh
. /scripts/services

config() { # NAME LINE...
    name=$1; shift
    printf 'name = "%s"\nkernel = "/data/vmlinuz"\nramdisk = "/data/guest.gz"\nmemory = 96\nvcpus = 1\non_crash = "preserve"\n' "$name"
    echo "extra = \"console=hvc0 quiet zendo.name=$name zendo.role=clock\""
    for line in "$@"; do echo "$line"; done
}
# start NAME LINE...: create it and follow its console
start() {
    log=/tmp/console.$1
    config "$@" > "/tmp/$1.cfg"
    yes "create-$1" timeout 60 xl create -q "/tmp/$1.cfg"
    xl console "$1" > "$log" 2>/dev/null &
    yes "up-$1" wait_for 60 grep -q "guest: clock" "$log"
}
clock() { sed -n 's/^guest: clock \([0-9]*\) .*/\1/p' "$log" | tail -n 1; }
ticks() { grep -c 'guest: clock' "$log"; }
# The guest says the time once more: what it said last can be old if the machine is busy.
fresh() { was=$(ticks); for i in $(seq 100); do [ "$(ticks)" = "$was" ] || return 0; sleep 0.1; done; }
# apart SECONDS: how far the guest's wall clock is from domain 0's, when it is to be so many seconds ahead
apart() { fresh; d=$(($(clock) - $(date +%s) - $1)); echo "$d s; now $(date +%s) $(cat /proc/uptime) $(tail -n 4 "$log" | tr '\n\r' '; ')"; [ "$d" -ge -3 ] && [ "$d" -le 2 ]; }
rising() { sed -n 's/^guest: clock \([0-9]*\) \([0-9.]*\).*/\1 \2/p' "$log" | awk '$1 < a || $2 < b { exit 1 } { a = $1; b = $2 }'; }

start plain
yes clock apart 0
yes pause xl pause plain
sleep 1
n=$(ticks); sleep 4
yes paused-silent [ "$(ticks)" -le $((n + 1)) ]
yes unpause xl unpause plain
sleep 3
yes runs-again [ "$(ticks)" -gt $((n + 1)) ]
yes clock-after-pause apart 0
yes rising-plain rising
yes destroy-plain xl destroy plain

start other 'tsc_mode = "always_emulate"' 'rtc_timeoffset = 3600' 'cpuid = "host,popcnt=0"'
yes emulated wait_for 5 sh -c 'xl dmesg | grep -q "counter is emulated"'
yes clock-offset apart 3600
sleep 3
yes clock-goes apart 3600
yes rising-emulated rising
yes policy-without grep -q -e "-popcnt" "$log"
yes policy-with grep -q -e "+ssse3" "$log"
yes destroy-other xl destroy other

config bad 'cpuid = "host,vmx=1,svm=1"' > /tmp/bad.cfg
if timeout 60 xl create -q /tmp/bad.cfg >/tmp/bad.out 2>&1; then fail policy-refused "taken"; else pass policy-refused; fi
yes policy-refused-says sh -c 'xl dmesg | grep -q "processor policy refused: CPUID leaf"'
is nothing-left "$(xl list | wc -l)" 2
[ -z "$(word verbose)" ] || { xl dmesg; cat /tmp/bad.out; tail -n 5 /tmp/console.*; }
clean_log
