# SPDX-License-Identifier: MIT
# Snapshots of a guest that counts in memory and on three disks: a file that shares blocks (btrfs), a qcow2 image, a thin volume. Reverted back and
# forth, deleted under the running guest, reverted when it is gone: the numbers agree always, file systems are whole, nothing is left.
. /scripts/lib.sh
. /scripts/services
modprobe -a btrfs dm-thin-pool dm-snapshot nbd 2>/dev/null
mkdir -p /data/snapshots && ln -s /data/snapshots /var/lib/zendo/snapshots     # not in memory
make_ext4() { /sbin/mke2fs -q -t ext4 -F "$1"; }         # not busybox's
make_file() {
    mkdir -p /tmp/btrfs && truncate -s 160M /data/btrfs.img && mkfs.btrfs -q -M /data/btrfs.img && mount -o loop /data/btrfs.img /tmp/btrfs &&
        truncate -s 32M /tmp/btrfs/a.img && make_ext4 /tmp/btrfs/a.img
}
make_image() { truncate -s 32M /tmp/b.raw && make_ext4 /tmp/b.raw && qemu-img convert -q -O qcow2 /tmp/b.raw /data/b.qcow2 && rm /tmp/b.raw; }
make_volume() {
    loop=$(losetup -f)
    truncate -s 128M /data/lvm.img && losetup "$loop" /data/lvm.img && pvcreate -q "$loop" && vgcreate -q vg "$loop" &&
        lvcreate -q -L 80M -T vg/pool && lvcreate -q -V 32M -T vg/pool -n c && make_ext4 /dev/vg/c
}
guest() { # NAME DISKS WORDS
    cat > "/etc/xen/$1.cfg" <<END
name = "$1"
memory = 128
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.role=sequence zendo.disks=$3"
disk = [ $2 ]
END
}
said() { xm console --last demo | tr -d '\r'; }
at() { said | sed -n 's/^guest: sequence at //p' | tail -n 1; }
beyond() { n=$(at); [ -n "$n" ] && [ "$n" -gt "$1" ]; }
# goes_on NAME FROM: it counts on from there, and what it finds on its disks is right
goes_on() { yes "$1-goes-on" wait_for 180 beyond "$2"; is "$1-agrees" "$(said | grep -c BAD)" 0; }
# first NAME LOW HIGH: it went on where it was when the snapshot was made
first() { n=$(said | sed -n 's/^guest: sequence at //p' | head -n 1); if [ "$n" -ge "$2" ] && [ "$n" -le "$3" ]; then pass "$1-from"; else fail "$1-from" "from $n, not $2 to $3"; fi; }
# short NAME: the guest did not stand still for as long as programs take (LVM's, QEMU's) that have no business in the pause
short() {
    echo "$said"
    ms=$(echo "$said" | sed -n 's/.*stood still for \([0-9]*\) ms.*/\1/p')
    if [ "${ms:-9999}" -lt 700 ]; then pass "$1-short"; else fail "$1-short" "$ms ms"; fi
}
snap() { # NAME: and remembers between which numbers
    eval "low_$1=$(at)"
    yes "create-$1" timeout 200 xm snapshot create demo "$1"
    short "create-$1"
    sleep 1
    eval "high_$1=$(($(at) + 2))"
}
# source_of DISK: where its content can be read while it is served (an image: through its server, which keeps things back)
source_of() { case $1 in *.qcow2) ls -d /sys/block/nbd*/pid | sed 's|/sys/block/\(nbd[0-9]*\)/pid|/dev/\1|' ;; *) echo "$1" ;; esac; }
# number_on DISK: the last number on it, while its guest stands still: of a copy, whose journal is played back
number_on() {
    echo 3 > /proc/sys/vm/drop_caches       # back ends write past what is kept of a device
    dd if="$(source_of "$1")" of=/tmp/x bs=1M 2>/tmp/x.log && mount -o loop /tmp/x /mnt || { cat /tmp/x.log; echo "not mounted: $(ls -l /tmp/x)"; return; }
    n=$(tr -cd '0-9\n' < /mnt/sequence | grep . | tail -n 1)
    echo "${n:-no number: $(ls -l /mnt) $(head -c 200 /mnt/sequence | od -c | head -n 4)}"
    umount /mnt
    rm /tmp/x
}
# disks_between NAME LOW HIGH: that is the number on each disk. They are remembered.
disks_between() {
    found=
    for d in $disks; do
        n=$(number_on "$d" 2>&1)
        case $n in '' | *[!0-9]*) fail "$1" "$d: $n"; return ;; esac
        if [ "$n" -lt "$2" ] || [ "$n" -gt "$3" ]; then fail "$1" "$n on $d, not $2 to $3"; else found="$found $n"; fi
    done
    echo "$1:$found"
    is "$1" "$(echo "$found" | wc -w)" "$(echo "$disks" | wc -w)"
}
# agree NAME: what the guest says first is the number that its memory had then: it was writing that, or had just done so
agree() {
    n=$(said | sed -n 's/^guest: sequence at //p' | head -n 1)
    for f in $found; do
        if [ "$f" -lt $((n - 1)) ] || [ "$f" -gt $((n + 1)) ]; then fail "$1" "$n in memory,$found on the disks"; return; fi
    done
    is "$1" "$(echo "$found" | wc -w)" "$(echo "$disks" | wc -w)"
}
# back NAME: the disks are looked at before the guest goes on: it would write over what it finds of another time.
back() {
    yes "revert-$1" timeout 200 xm snapshot revert --paused demo "$1"
    eval "disks_between revert-$1-disks \$((low_$1 - 1)) \$high_$1"
    yes "revert-$1-unpause" xm unpause demo
    eval "goes_on revert-$1 \$high_$1; first revert-$1 \$((low_$1 - 1)) \$high_$1"
    agree "revert-$1-memory"
}
refused() { n=$1; text=$2; shift 2; if said=$("$@" 2>&1); then fail "$n" "was taken"; else case $said in *"$text"*) pass "$n" ;; *) fail "$n" "$said" ;; esac; fi; }

yes disk-file make_file
yes disk-image make_image
yes disk-volume make_volume
[ -e /dev/vg/c ] && [ -e /data/b.qcow2 ] && [ -e /tmp/btrfs/a.img ] || exit 1
guest demo '"file:/tmp/btrfs/a.img,xvda,w", "format=qcow2,vdev=xvdb,access=rw,target=/data/b.qcow2", "phy:/dev/vg/c,xvdc,w"' xvda,xvdb,xvdc
disks="/tmp/btrfs/a.img /data/b.qcow2 /dev/vg/c"
yes create timeout 60 xm create -q demo.cfg
yes counts wait_for 180 beyond 2
snap one
goes_on one $((low_one + 3))
is list "$(xm snapshot list demo | awk 'NR > 1 { print $1, $2, $(NF - 2), $(NF - 1), $NF }')" "demo one xvda:reflink xvdb:qcow2 xvdc:lvm-thin"
is json "$(xm snapshot list --json | grep -c '"method"')" 3
refused taken "is there already" xm snapshot create demo one
refused hostile "snapshot name '../x'" xm snapshot create demo ../x
low_two=$(at)
yes create-two timeout 200 xm snapshot-create demo two
short create-two
sleep 1
high_two=$(($(at) + 2))
goes_on two $((high_two + 1))
# Then they are of a later time: what is looked for after reverting is not there before.
yes pause xm pause demo
disks_between later-disks $((high_one + 1)) 1000000
yes unpause xm unpause demo
back one
back two
yes delete-running timeout 100 xm snapshot-delete demo one
goes_on delete $(($(at) + 2))
is listed "$(xm snapshot-list demo | wc -l)" 2
yes destroy xm destroy demo
back two
yes destroy-again xm destroy demo
yes image-free wait_for 10 sh -c '! pidof qemu-nbd qemu-storage-daemon'
yes whole-b qemu-img check -q /data/b.qcow2
qemu-img convert -q -O raw /data/b.qcow2 /tmp/b.raw
for d in /tmp/btrfs/a.img /tmp/b.raw /dev/vg/c; do
    mount -o loop "$d" /mnt && umount /mnt         # the journal is played back
    yes "whole-${d##*/}" /sbin/e2fsck -f -n "$d"
done
yes delete-last xm snapshot delete demo two
is no-clones "$(ls /tmp/btrfs)" a.img
is no-volumes "$(lvs --noheadings -o lv_name vg | tr -d ' ' | sort | tr '\n' ' ')" "c pool "
is no-images "$(qemu-img snapshot -l /data/b.qcow2 | wc -l)" 0
is no-folders "$(ls -A /var/lib/zendo/snapshots)" ""

# On a file system that shares no blocks: refused, or copied.
truncate -s 32M /data/d.img && make_ext4 /data/d.img
guest demo '"file:/data/d.img,xvda,w"' xvda
disks=/data/d.img
yes create-plain timeout 60 xm create -q demo.cfg
yes counts-plain wait_for 180 beyond 2
refused plain "cannot share blocks" xm snapshot create demo three
goes_on plain $(($(at) + 1))
low_three=$(at)
yes copy timeout 200 xm snapshot create --copy demo three
echo "$said"
high_three=$(($(at) + 3))
goes_on copy $((high_three + 1))
back three
yes delete-three xm snapshot delete demo three
yes end xm destroy demo
is nothing-left "$(ls -A /data /var/lib/zendo/snapshots | grep -c '@')" 0
umount /tmp/btrfs
vgchange -q -an vg > /dev/null && losetup -d "$(losetup -a | sed -n 's/: .*lvm\.img.*//p')"
clean_log
