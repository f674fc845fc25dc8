# Boots twice: the harness sees two starts and ends QEMU.
echo "zendo: rebooting"
/scripts/bin/reboot
