# A mixed load that checks itself, on all CPUs for zendo.seconds=, with mixload or, if the image has it, stress-ng
# (zendo.load=stress-ng). Before and after, the harness looks at the clocks and presses the hypervisor's keys.
. /scripts/lib.sh
cpus=$(word cpus)
seconds=$(word seconds)
modules="xen-evtchn xen-gntdev xen-gntalloc"

uptime_s() { cut -d. -f1 /proc/uptime; }
mixed() {
    started=$(uptime_s)
    mixload clocks "$seconds" "$cpus" > /tmp/clocks & clocks=$!
    mixload vectors "$seconds" $((cpus + 1)) > /tmp/vectors & vectors=$!
    mixload mix "$seconds" $((cpus * 2)) > /tmp/mix & mix=$!
    [ "$(word load)" != stress-ng ] || {
        mkdir -p /tmp/stress
        { stress-ng --verify --timeout "$seconds" --temp-path /tmp/stress --metrics-brief \
            --fork 1 --vfork 1 --clone 1 --clone-max 16 --mmap 1 --mmap-bytes 16m --mremap 1 --mremap-bytes 4m --mprotect 1 \
            --fault 1 --vm 1 --vm-bytes 24m --vm-method all --sigfd 1 --sigq 1 --sigsegv 1 --kill 1 --pipe 1 \
            --futex 1 --sem 1 --timer 1 --timer-freq 500 --timerfd 1 --timerfd-freq 500 --itimer 1 --itimer-freq 500 --clock 1 --nanosleep 1 \
            --vecmath 1 --vecfp 1 --matrix 1 --cpu 1 --switch 1 --yield 1 --eventfd 1 --poll 1 --shm 1 --shm-bytes 4m \
            --shm-objs 4 --affinity 1 --pthread 1 --pthread-max 16 --oom-avoid > /tmp/stress.out 2>&1
        echo "stress-ng $?" >> /tmp/stress.out; } &
    }
    while [ $(($(uptime_s) + 30)) -le $((started + seconds)) ]; do sleep 30; echo "zendo: loaded, $(uptime_s) s up"; done
    wait $clocks; yes clocks-monotonic same $? /tmp/clocks
    wait $vectors; yes vectors same $? /tmp/vectors
    is vectors-avx "$(sed -n 's/^mixload: vectors: .* bad, AVX //p' /tmp/vectors)" "$(word avx)"
    wait $mix; yes mix same $? /tmp/mix
    [ "$(word load)" != stress-ng ] || yes stress-ng stressed
    cat /tmp/clocks /tmp/vectors /tmp/mix /tmp/stress.out 2>/dev/null
}
same() { cat "$2"; [ "$1" = 0 ]; }
# A worker ends with the operation that it is at, which takes its time when 50 processes share a slow machine.
stressed() {
    wait_for 300 grep -q '^stress-ng [0-9]' /tmp/stress.out || ps
    grep -E 'fail|stress-ng [1-9]' /tmp/stress.out | head -5
    grep -q '^stress-ng 0' /tmp/stress.out
}

for m in $modules; do modprobe -q $m; done
state before
mixed
for m in $modules; do yes "unload-$m" modprobe -r $m; yes "load-$m" modprobe $m; done
rm -rf /tmp/*
state after
clean_log
