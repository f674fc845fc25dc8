# Does domain 0 look as it should? Prints "ok NAME" or "not ok NAME: why" for the harness to count.
. /scripts/lib.sh
is hypervisor "$(cat /sys/hypervisor/type 2>&1)" xen
is version "$(cat /sys/hypervisor/version/major /sys/hypervisor/version/minor 2>&1 | xargs)" "4 17"
is cpus "$(grep -c ^processor /proc/cpuinfo)" "$(word cpus)"
is control "$(cat /proc/xen/capabilities 2>&1)" control_d
for node in evtchn gntdev privcmd; do
    yes "dev-$node" test -c /dev/xen/$node
done
is avx "$(avx_of_kernel)" "$(word avx)"
yes vectors mixload vectors 2 2
yes memory test "$(awk '/MemTotal/ {print $2}' /proc/meminfo)" -gt 100000
yes process sh -c 'for i in 1 2 3 4 5 6 7 8; do sh -c "echo $i" & done >/dev/null; wait'
yes clock moves
yes timers slept
clean_log
