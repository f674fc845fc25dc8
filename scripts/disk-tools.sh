#!/bin/sh
# SPDX-License-Identifier: MIT
# disk-tools.sh TOOLSTACK TOOLS OUT: our toolstack's files (scripts/toolstack-image.sh) and Debian's programs for images and volumes in
# one folder, for an image of domain 0. LVM gets a configuration for a machine without udev.
set -eu
toolstack=$1
tools=$2
out=$3
rm -rf "$out"
cp -a "$tools" "$out"
# Libraries are the toolstack's where both have one: they come from the machine that it was built on.
cp -a "$toolstack/." "$out/"
for name in lvs vgs pvs lvcreate lvremove lvrename lvchange lvconvert vgcreate vgchange pvcreate pvscan; do ln -sf lvm "$out/sbin/$name"; done
for name in thin_check thin_repair thin_dump; do ln -sf pdata_tools "$out/usr/sbin/$name"; done
mkdir -p "$out/etc/lvm" "$out/run/lvm" "$out/run/lock/lvm"
cat > "$out/etc/lvm/lvm.conf" <<'END'
devices { obtain_device_list_from_udev = 0 scan_lvs = 0 use_devicesfile = 0 }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
global { use_lvmpolld = 0 use_lvmlockd = 0 event_activation = 0 }
backup { backup = 0 archive = 0 }
END
