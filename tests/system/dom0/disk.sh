# Writes and reads the disk that the machine has (virtio, SATA or NVMe): raw and through ext4 as far as mke2fs is there.
. /scripts/lib.sh
disk=/dev/$(word disk)
yes disk-found wait_for 10 test -b "$disk"
dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null
yes write dd if=/tmp/data of="$disk" bs=64k count=64 conv=fsync
echo 3 > /proc/sys/vm/drop_caches
dd if="$disk" of=/tmp/back bs=64k count=64 2>/dev/null
yes read-back cmp /tmp/data /tmp/back
yes file-system sh -c "mke2fs -F $disk >/dev/null 2>&1 && mount -t ext4 $disk /mnt && cp /tmp/data /mnt/ && umount /mnt"
yes file-there sh -c "mount -t ext4 $disk /mnt && cmp /tmp/data /mnt/data && umount /mnt"
clean_log
