# SPDX-License-Identifier: MIT
# Disks that QEMU's servers (qemu-nbd, qemu-storage-daemon) serve: a qcow2 image and one that is elsewhere (a server on the loopback). Written, read back, and nothing left.
. /scripts/lib.sh
. /scripts/services
guest() { # NAME DISK
    cat > "/tmp/$1.cfg" <<END
name = "$1"
memory = 160
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.role=check zendo.disk=xvda"
disk = [ "$2" ]
END
    yes "$1-create" timeout 60 xm create -q "/tmp/$1.cfg"
    yes "$1-ends" wait_for 90 sh -c "! xm domid $1"
    is "$1-data" "$(xm console --last "$1" | tr -d '\r' | grep '^guest: disk')" "guest: disk xvda ok"
}
yes image qemu-img create -q -f qcow2 /data/q.qcow2 32M
guest qcow2 format=qcow2,vdev=xvda,access=rw,target=/data/q.qcow2
yes image-whole qemu-img check -q /data/q.qcow2
yes image-holds qemu-img convert -q -O raw /data/q.qcow2 /tmp/q.raw
is image-not-empty "$(head -c 8388608 /tmp/q.raw | tr -d '\000' | head -c 1000 | wc -c)" 1000
truncate -s 16M /tmp/far.img
qemu-nbd --fork --persistent --shared=2 --format=raw --bind=127.0.0.1 --port=10809 --pid-file=/tmp/far.pid /tmp/far.img
guest nbd format=raw,vdev=xvda,access=rw,target=nbd:127.0.0.1:10809
is far-not-empty "$(head -c 8388608 /tmp/far.img | tr -d '\000' | head -c 1000 | wc -c)" 1000
kill "$(cat /tmp/far.pid)"
yes servers-gone wait_for 10 sh -c '! pidof qemu-nbd qemu-storage-daemon'
is devices-free "$(cat /sys/block/nbd*/size | sort -u)" 0
is nothing-left "$(ls /run/zendo | grep -c '^nbd')" 0
clean_log
