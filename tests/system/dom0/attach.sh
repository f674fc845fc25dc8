# SPDX-License-Identifier: MIT
# Our tools: disks and networks of a guest, at creation and while it runs; all data that crosses them is compared. zendo.mb= and
# zendo.netmb= say how much, zendo.disk= a block device of domain 0 to use in place of a file. What is refused, and what is left over.
. /scripts/lib.sh
. /scripts/services
image=/data/disk.img
mb=$(word mb); mb=${mb:-48}
netmb=$(word netmb); netmb=${netmb:-32}
[ -z "$(word disk)" ] || big=/dev/$(word disk)

config() {
    cat > /etc/xen/a.cfg <<END
name = "a"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=a zendo.role=traffic zendo.ip=10.77.0.2/24"
memory = 160
disk = [ "file:$image,xvda,w" ]
vif = [ "bridge=zbr0" ]
END
}
connected() { [ "$(xenstore-read "/local/domain/0/backend/$1/$id/$2/state" 2>/dev/null)" = 4 ]; }
order() { echo "$@" | nc 10.77.0.2 5000; }
disk_ok() { order disk "$1" "$2" | grep -q "disk ok"; }
# The guest's sum of a stream of netmb megabytes is ours.
net_ok() {
    (echo "sum $((netmb << 20))"; for i in $(seq $((netmb / 8))); do echo "$i"; cat /tmp/stream; done | head -c $((netmb << 20))) | nc 10.77.0.2 5000 > /tmp/theirs
    for i in $(seq $((netmb / 8))); do echo "$i"; cat /tmp/stream; done | head -c $((netmb << 20)) | md5sum > /tmp/ours
    cmp /tmp/ours /tmp/theirs
}
# refused NAME TEXT COMMAND...: it fails, and its one line has the text
refused() { n=$1; text=$2; shift 2; if said=$("$@" 2>&1); then fail "$n" "was taken"; else case $said in *"$text"*) pass "$n" ;; *) fail "$n" "$said" ;; esac; fi; }

config
yes network wait_for 20 sh -c 'xm network | grep -q "^zbr0 .* up "'
for what in 'vif=["bridge=nope"]' 'disk=["file:/data/nope,xvda,w"]' 'disk=["file:/data/disk.img,xvdz99,w"]' 'vif=["mac=01:16:3e:00:00:01"]'; do
    refused "no-$what" "" xm create -q a.cfg "$what"
done
is refused-leaves-nothing "$(xenstore-ls /local/domain | grep -c '^[1-9]') $(ls /sys/bus/xen-backend/devices | wc -l)" "0 0"
yes create timeout 60 xm create -q a.cfg
id=$(xm domid a)
yes disk-up wait_for 30 connected vbd 51712
yes net-up wait_for 30 connected vif 0
yes serves wait_for 60 ping -c 1 -W 1 10.77.0.2
dd if=/dev/urandom of=/tmp/stream bs=64k count=128 2>/dev/null
yes disk wait_for 20 disk_ok xvda 16
yes net net_ok

truncate -s 64M /tmp/two.img
yes attach-disk xm block-attach a file:/tmp/two.img xvdb w
yes attached-disk wait_for 20 connected vbd 51728
yes attach-net xm network-attach a bridge=xenbr0
yes attached-net wait_for 20 connected vif 1
yes disk-two disk_ok xvdb 48
if [ -n "${big:-}" ]; then
    yes attach-big xm block-attach a "phy:$big" xvdc w
    yes attached-big wait_for 20 connected vbd 51744
    yes disk-big disk_ok xvdc "$mb"
    yes detach-big xm block-detach a xvdc
fi
refused disk-taken "guest 'a'" xm block-attach a file:/tmp/two.img xvdd w
refused disk-name-taken "has a disk of that name" xm block-attach a file:/data/nope xvdb w
refused mac-taken "has MAC address" xm network-attach a "mac=$(xenstore-read "/libxl/$id/device/vif/0/mac")"
is listed "$(xm block-list a | grep -c backend/vbd) $(xm network-list a | grep -c backend/vif)" "2 2"
yes detach-disk xm block-detach a xvdb
yes detach-net xm network-detach a 1
is loop-gone "$(losetup -a | grep -c two.img)" 0
for i in 1 2 3 4 5; do
    yes "again-$i" sh -c 'xm block-attach a file:/tmp/two.img xvdb w && xm block-detach a xvdb && xm network-attach a bridge=xenbr0 && xm network-detach a 1'
done
yes destroy xm destroy a
is nothing-left "$(ls /sys/bus/xen-backend/devices | wc -l) $(losetup -a | wc -l) $(xenstore-ls /libxl 2>/dev/null | wc -l)" "0 0 0"
clean_log
