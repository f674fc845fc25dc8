# One line for each device that the kernel sees, with its driver: the same on a bare machine and as domain 0.
for d in /sys/bus/pci/devices/*; do
    driver=none
    [ -e "$d/driver" ] && driver=$(basename "$(readlink "$d/driver")")
    echo "device ${d##*/} $(cat "$d/vendor") $(cat "$d/device") $(cat "$d/class") $driver"
done
for b in /sys/block/*; do
    echo "device block ${b##*/} $(cat "$b/size")"
done
for n in /sys/class/net/*; do
    echo "device net ${n##*/} $(cat "$n/address")"
done
# Then the harness says how to go on; it cannot be a word on the command line, which is the same after a reset.
echo "zendo: devices listed"
read -r answer
case $answer in
    reboot) /scripts/bin/reboot ;;
    shell) PS1='dom0:\w# ' ENV=/scripts/shrc setsid cttyhack sh ;;
esac
