#!/bin/sh
# SPDX-License-Identifier: MIT
# debian-image.sh OUT.img: a small but whole Debian 12 on a disk, installed by debootstrap, with systemd: what a guest boots from.
# Its kernel is domain 0's file (kernel =), its modules of the front ends come from the guests' initramfs (role disk-root).
# At the end of its start /usr/local/sbin/zendo-check says on the console how it fares. Needs root.
set -eu
out=$1
here=$(dirname "$0")
[ "$(id -u)" = 0 ] || { echo "debian-image: be root: debootstrap makes device nodes and owners" >&2; exit 1; }
command -v debootstrap >/dev/null || {
    echo "debian-image: missing: debootstrap"
    apt-get install -y --no-install-recommends debootstrap
}
root=$out.root
rm -rf "$root"
trap 'rm -rf "$root" "$out.new"' EXIT
debootstrap --variant=minbase --include=systemd-sysv,dbus,udev,iproute2,iputils-ping bookworm "$root"
echo debian > "$root/etc/hostname"
echo '/dev/xvda / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
printf '[Match]\nName=e*\n[Network]\nAddress=10.77.0.9/24\nGateway=10.77.0.1\n' > "$root/etc/systemd/network/eth0.network"
echo 'deb [trusted=yes] http://10.77.0.1:8080/ ./' > "$root/etc/apt/sources.list"
cp "$here/guest/zendo-check" "$root/usr/local/sbin/zendo-check"
chmod 755 "$root/usr/local/sbin/zendo-check"
cat > "$root/etc/systemd/system/zendo-check.service" <<END
[Unit]
Description=what the test wants to know
After=multi-user.target
[Service]
Type=exec
ExecStart=/usr/local/sbin/zendo-check
[Install]
WantedBy=multi-user.target
END
mkdir -p "$root/etc/systemd/system.conf.d"     # an emulator on a busy host is slower than systemd would wait
printf '[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n' > "$root/etc/systemd/system.conf.d/slow.conf"
chroot "$root" passwd -d root >/dev/null
chroot "$root" systemctl -q enable systemd-networkd zendo-check
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
rm -f "$out.new"
truncate -s 1G "$out.new"
/sbin/mke2fs -q -t ext4 -L debian -m 0 -d "$root" "$out.new"
mv "$out.new" "$out"
