# SPDX-License-Identifier: MIT
# Our tools: disks and networks of a guest, at creation and while it runs; all data that crosses them is compared. zendo.mb= and
# zendo.netmb= say how much, zendo.disk= a block device of domain 0 to use in place of a file. What is refused, and what is left over.
. /scripts/lib.sh
echo 'routed zrt0 address=10.78.0.1' >> /etc/zendo/network.conf
. /scripts/services
image=/data/disk.img
mb=$(word mb); mb=${mb:-48}
netmb=$(word netmb); netmb=${netmb:-32}
seconds=$((120 + 3 * mb))       # for the load, in an emulator on a busy host
[ -z "$(word disk)" ] || big=/dev/$(word disk)

config() { # NAME ADDRESS DISK
    cat > "/etc/xen/$1.cfg" <<END
name = "$1"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=$1 zendo.role=traffic zendo.ip=$2/24"
memory = 256
maxmem = 320
vcpus = 1
maxvcpus = 2
disk = [ $3 ]
vif = [ "bridge=zbr0" ]
END
}
connected() { [ "$(xenstore-read "/local/domain/0/backend/$1/$id/$2/state" 2>/dev/null)" = 4 ]; }
# busybox's nc -l ends when its peer has no more to say, answered or not: so our side stays open, by a fifo.
ask() { # PORT COMMAND...
    port=$1; shift
    rm -f "/tmp/ask.$port"; mkfifo "/tmp/ask.$port"
    exec 9<>"/tmp/ask.$port"
    "$@" > "/tmp/ask.$port" 9>&- & asks=$!
    timeout $seconds nc 10.77.0.2 "$port" <&9
    exec 9>&-
    kill $asks 2>/dev/null      # who was refused may not have opened the fifo yet
}
order() { ask 5000 echo "$@"; }
disk_ok() { order disk "$1" "$2" > "/tmp/said.$1"; cat "/tmp/said.$1"; grep -q "disk ok" "/tmp/said.$1"; }
# The guest's sum of a stream of netmb megabytes is ours.
stream() { for i in $(seq $((netmb / 8))); do echo "$i"; cat /tmp/stream; done | head -c $((netmb << 20)); }
order_sum() { echo "sum $((netmb << 20))"; stream; }
net_ok() {
    ask 5001 order_sum > /tmp/theirs
    stream | md5sum > /tmp/ours
    cmp /tmp/ours /tmp/theirs
}
# refused NAME TEXT COMMAND...: it fails, and its one line has the text
refused() { n=$1; text=$2; shift 2; if said=$("$@" 2>&1); then fail "$n" "was taken"; else case $said in *"$text"*) pass "$n" ;; *) fail "$n" "$said" ;; esac; fi; }
# What goes on beside the load: memory and vCPUs go and come, the guest stands still, a disk and a network come and go.
sizes() { xm list a | awk 'NR == 2 { print $3, $4 }'; }
sized() { [ "$(sizes)" = "$1" ]; }
turn() {
    xm mem-set a "$1" && xm vcpu-set a "$2" && { wait_for 40 sized "$1 $2"; sizes >> /tmp/seen; } && xm pause a && sleep 1 && xm unpause a &&
        xm block-attach a file:/tmp/free.img xvdd w && xm block-detach a xvdd && xm network-attach a bridge=zint0 && xm network-detach a 1
}
# What the store and the guest say when a turn fails.
explain() {
    echo "turn $n fails: $(xm list a | tail -n 1)"
    for dev in vbd/51760 vif/1; do echo "$dev: front $(xenstore-read "/local/domain/$id/device/$dev/state" 2>&1), back $(xenstore-read "/local/domain/0/backend/${dev%/*}/$id/${dev#*/}/state" 2>&1)"; done
    xm sysrq a w && sleep 3; tail -n 30 /var/lib/zendo/console/a
}
commotion() { n=0; while [ -e /tmp/loaded ]; do turn 220 2 && turn 300 1 || { explain; break; }; n=$((n + 1)); echo $n > /tmp/turns; done; }
load() { disk_ok "$1" "$2" > /tmp/disk.out 2>&1 & disk=$!; net_ok > /tmp/net.out 2>&1; net=$?; wait $disk; echo "disk $? $(cat /tmp/disk.out), network $net $(cat /tmp/net.out)"; }

config a 10.77.0.2 "\"file:$image,xvda,w\""
config b 10.77.0.3 ""
yes network wait_for 20 sh -c 'xm network | grep -q "^zbr0 .* up "'
refused no-bridge "bridge 'nope'" xm create -q a.cfg 'vif=["bridge=nope"]'
refused no-image "disk /data/nope" xm create -q a.cfg 'disk=["file:/data/nope,xvda,w"]'
refused no-such-name "disk name 'xvdz999'" xm create -q a.cfg 'disk=["file:/data/disk.img,xvdz999,w"]'
refused multicast-mac "01:16:3e:00:00:01" xm create -q a.cfg 'vif=["mac=01:16:3e:00:00:01"]'
is refused-leaves-nothing "$(xenstore-ls /local/domain | grep -c '^[1-9]') $(ls /sys/bus/xen-backend/devices | wc -l)" "0 0"
yes create timeout 60 xm create -q a.cfg
id=$(xm domid a)
yes disk-up wait_for 30 connected vbd 51712
yes net-up wait_for 30 connected vif 0
yes serves wait_for 90 sh -c 'ping -c 1 -W 1 10.77.0.2 && xm console --last a | grep -q "guest: serves"'
dd if=/dev/urandom of=/tmp/stream bs=64k count=128 2>/dev/null
yes disk wait_for 20 disk_ok xvda 16

truncate -s 64M /tmp/two.img /tmp/free.img
yes attach-disk xm block-attach a file:/tmp/two.img xvdb w
yes attached-disk wait_for 20 connected vbd 51728
yes attach-net xm network-attach a bridge=xenbr0
yes attached-net wait_for 20 connected vif 1
refused disk-taken "guest 'a'" xm block-attach a file:/tmp/two.img xvdd w
refused disk-name-taken "has a disk of that name" xm block-attach a file:/tmp/free.img xvdb w
refused mac-taken "has MAC address" xm network-attach a "mac=$(xenstore-read "/libxl/$id/device/vif/0/mac")"
is listed "$(xm block-list a | grep -c backend/vbd) $(xm network-list a | grep -c backend/vif)" "2 2"
yes detach-net xm network-detach a 1

# The load, with everything else that can happen to a guest.
loaded=xvdb
if [ -n "${big:-}" ]; then
    yes attach-big xm block-attach a "phy:$big" xvdc w
    yes attached-big wait_for 20 connected vbd 51744
    loaded=xvdc
fi
touch /tmp/loaded
commotion > /tmp/commotion 2>&1 & commotion=$!
start=$(now_ms)
said=$(load $loaded "$mb")
rm /tmp/loaded
wait $commotion
echo "zendo: $mb MB of disk and $netmb MB of network in $(($(now_ms) - start)) ms, $(cat /tmp/turns) turns: $said"
is load "$said" "disk 0 disk ok $((mb / 16)), network 0 "
is commotion "$(cat /tmp/commotion)" ""
is saw-memory-and-vcpus "$(sort -u /tmp/seen | tr '\n' ' ')" "220 2 300 1 "
[ -z "${big:-}" ] || yes detach-big xm block-detach a xvdc

yes detach-disk xm block-detach a xvdb
is loop-gone "$(losetup -a | grep -c two.img)" 0
for i in 1 2 3 4 5; do
    yes "again-$i" sh -c 'xm block-attach a file:/tmp/two.img xvdb w && xm block-detach a xvdb && xm network-attach a bridge=xenbr0 && xm network-detach a 1'
done
routed() { for i in $(seq 30); do xm network-attach a ip=10.78.0.5 bridge=zrt0 && xm network-detach a 1 || { echo "turn $i"; return 1; }; done; }
yes routed-30 routed
is routes-gone "$(ip route | grep -c 10.78)" 0

# Between two guests: neither computes checksums of packets, and what arrives is right.
yes create-b timeout 60 xm create -q b.cfg
yes serves-b wait_for 90 sh -c 'xm console --last b | grep -q "guest: serves"'
between() { order send 10.77.0.3 $((16 << 20)) > /tmp/between; [ "$(wc -l < /tmp/between)" = 2 ] && [ "$(uniq < /tmp/between | wc -l)" = 1 ] || { cat /tmp/between; return 1; }; }
yes between-guests wait_for 5 between
yes destroy-b xm destroy b
yes destroy xm destroy a
is no-devices-left "$(echo /sys/bus/xen-backend/devices/*)" "/sys/bus/xen-backend/devices/*"
is nothing-left "$(losetup -a | wc -l) $(xenstore-ls /libxl 2>/dev/null | wc -l)" "0 0"
ls /sys/bus/xen-backend/devices
clean_log
