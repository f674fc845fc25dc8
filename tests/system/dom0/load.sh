# Work for all CPUs at once: forks, pipes, page faults, memory pressure, timers. Time goes into page tables.
. /scripts/lib.sh
rounds=$(word rounds)
rounds=${rounds:-40}
busy() {
    i=0
    while [ $i -lt "$rounds" ]; do
        [ "$(echo "$1 $i" | sed 's/ /-/')" = "$1-$i" ] || return 1
        i=$((i + 1))
    done
}
jobs_ok() {
    pids=
    for j in 1 2 3 4; do busy $j & pids="$pids $!"; done
    for p in $pids; do wait "$p" || return 1; done
}
memory_ok() {
    mount -t tmpfs -o size=60% tmpfs /mnt
    a=$(dd if=/dev/zero bs=1M count=64 2>/dev/null | tee /mnt/zero | md5sum)
    b=$(md5sum < /mnt/zero)
    umount /mnt
    [ "$a" = "$b" ]
}
yes forks jobs_ok
yes memory memory_ok
yes threads sh -c 'for i in $(seq 20); do sleep 0.1 & done; wait'
clean_log
