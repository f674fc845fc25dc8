# SPDX-License-Identifier: MIT
# zendo.rounds= (1000) guests made and destroyed: afterwards free memory, nodes of the store, the daemons' descriptors and their
# memory are what they were after the first ten.
. /scripts/lib.sh
. /scripts/services
truncate -s 16M /tmp/d.img
printf 'name="c"\nkernel="/data/vmlinuz"\nmemory=96\nextra="console=hvc0"\ndisk=["file:/tmp/d.img,xvda,w"]\nvif=["bridge=zbr0"]\n' > /tmp/c.cfg
descriptors() { for d in xenstored xenconsoled zendod; do ls "/proc/$(pidof $d)/fd" | wc -l; done | tr '\n' ' '; }
account() { echo "$(xm info | awk '$1 == "free_memory" { print $3 }') MB, $(xenstore-ls -f / | wc -l) nodes, $(descriptors)descriptors, $(ls /sys/class/net | wc -l) nets, $(losetup | wc -l) loops, $(find /run/zendo /var/lib/zendo -type f | wc -l) files"; }
cycle() {
    xm create -p -q /tmp/c.cfg || { fail "create-$1" "$(xm why c | tail -n 1)"; return 1; }
    xm destroy c || { fail "destroy-$1" "$(xm why c | tail -n 1)"; return 1; }
}
rounds=$(word rounds)
i=0
while [ $i -lt 10 ]; do i=$((i + 1)); cycle $i || break; done
sleep 2
before=$(account)
start=$(now_ms) was=$start
# Every 100 it says how long one takes: a list that grows would show.
say() { now=$(now_ms); echo "zendo: $1 cycles, the last 100 took $(((now - was) / 100)) ms each"; was=$now; }
while [ $i -lt "${rounds:-1000}" ]; do i=$((i + 1)); cycle $i || break; [ $((i % 100)) != 10 ] || [ $i = 10 ] || say $i; done
echo "zendo: $i cycles, $((($(now_ms) - start) / (i - 10))) ms each; before: $before"
is all-rounds $i "${rounds:-1000}"
sleep 2
is account "$(account)" "$before"
