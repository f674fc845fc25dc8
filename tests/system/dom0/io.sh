# Disk and network while all CPUs are busy and interrupts move between them. The harness has a server behind 10.0.2.2:
# zendo.net=SOURCE:SINK are its ports, zendo.sum= the checksum of what the source sends; it checks the disk's image, too.
# zendo.irqs=KIND:NAME,... are interrupts that there must be, zendo.drivers=NAME,... modules to unload and load afterwards.
. /scripts/lib.sh
mb=256
net_mb=64
cpus=$(word cpus)
disk=$(word disk)
ports=$(word net)

# irqs_of KIND NAME: lines of /proc/interrupts, numbers only
irqs_of() { grep -E " -$1 .*$2" /proc/interrupts | sed 's/^ *\([0-9]*\):.*/\1/'; }
irq_used() { awk -v n="$1:" -v c="$cpus" '$1 == n { for (i = 2; i <= c + 1; i++) s += $i; exit !(s > 0) } END { if (!s) exit 1 }' /proc/interrupts; }
irqs_used() {
    for i in $(irqs_of "$1" "$2"); do irq_used "$i" && return; done
    cat /proc/interrupts
    return 1
}
wander() {
    to=1
    while :; do
        for pair in $(word irqs | tr , ' '); do
            for i in $(irqs_of "${pair%:*}" "${pair#*:}"); do echo $to > "/proc/irq/$i/smp_affinity" && echo >> /tmp/moved; done
        done 2>/dev/null
        to=$((to << 1))
        [ $((to >> cpus)) -eq 0 ] || to=1
        sleep 0.3
    done
}

# The data are made in memory first: busybox's tee, at 1 KiB a time, would take minutes.
disk_write() {
    dd if=/dev/urandom of=/tmp/data bs=1M count=$mb iflag=fullblock && md5sum < /tmp/data > /tmp/sum &&
        dd if=/tmp/data of=/dev/"$disk" bs=1M oflag=direct conv=fsync && rm /tmp/data || return
    echo "zendo: disk $mb $(cut -c1-32 /tmp/sum)" > /dev/console
}
net_up() {
    ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && wait_for 10 ping -c 1 -W 1 10.0.2.2
}

[ -z "$ports" ] || yes card wait_for 10 test -e /sys/class/net/eth0
[ -z "$disk" ] || yes disk-found wait_for 10 test -b /dev/"$disk"
[ -z "$ports" ] || yes network net_up
state before
busy_start "$cpus"
wander & wanderer=$!
if [ -n "$disk" ]; then
    yes disk-write disk_write
    echo 3 > /proc/sys/vm/drop_caches
    is disk-read-direct "$(dd if=/dev/"$disk" bs=1M count=$mb iflag=direct 2>/dev/null | md5sum)" "$(cat /tmp/sum)"
    is disk-read "$(dd if=/dev/"$disk" bs=64k count=$((mb * 16)) 2>/dev/null | md5sum)" "$(cat /tmp/sum)"
fi
if [ -n "$ports" ]; then
    is net-from-host "$(nc 10.0.2.2 "${ports%:*}" < /dev/null | md5sum | cut -c1-32)" "$(word sum)"
    dd if=/dev/urandom of=/tmp/up bs=1M count=$net_mb iflag=fullblock 2>/dev/null
    is net-to-host "$(nc 10.0.2.2 "${ports#*:}" < /tmp/up)" "$(md5sum < /tmp/up | cut -c1-32)"
    rm /tmp/up
fi
for pair in $(word irqs | tr , ' '); do yes "irq-${pair%:*}-${pair#*:}" irqs_used "${pair%:*}" "${pair#*:}"; done
kill $wanderer
[ -z "$(word irqs)" ] || yes irqs-moved test "$(wc -l < /tmp/moved)" -gt 20
busy_stop > /tmp/stopped 2>&1
yes busy test $? = 0
cat /tmp/stopped
for turn in 1 2 3; do
    for driver in $(word drivers | tr , ' '); do yes "unload-$turn-$driver" rmmod "$driver"; done
    for driver in $(word drivers | tr , ' '); do yes "load-$turn-$driver" modprobe "$driver"; done
    sleep 1
done
[ -z "$ports" ] || { sleep 1; yes network-again net_up; }
state after
clean_log
