# SPDX-License-Identifier: MIT
# A guest's life from create to destroy, and the commands that a user types in between: by Debian's own xl, xenstored and xenconsoled
# (image dom0-amd64-stock.gz), or in the usual image by our xm under the name xl. zendo.steps=create,list,... runs some steps only.
. /scripts/lib.sh
. /scripts/services
console_log=/tmp/console
if [ -e /scripts/block-plain ]; then
    disk() { echo "phy:/dev/loop$1,$2,w,script=/scripts/block-plain"; }
    vif="bridge=xenbr0,script=/scripts/vif-plain"
else
    disk() { echo "file:/tmp/disk$1.img,$2,w"; }
    vif="bridge=zbr0"
fi
use_loop() { [ ! -e /scripts/block-plain ] || losetup "/dev/loop$1" "/tmp/disk$1.img"; }

guest_config() {
    cat > /tmp/g.cfg <<END
name = "g"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=g zendo.role=check zendo.ip=10.77.0.2/24 zendo.ping=10.77.0.1 zendo.disk=xvda zendo.stay=1"
memory = 128
maxmem = 192
vcpus = 1
maxvcpus = 2
disk = [ "$(disk 0 xvda)" ]
vif = [ "$vif" ]
on_crash = "preserve"
END
}
state() { xl list "$1" 2>/dev/null | awk 'NR == 2 { print $5 }'; }
in_list() { xl list 2>/dev/null | awk 'NR > 1 { print $1 }' | grep -qx "$1"; }
free_mb() { xl info | awk '$1 == "free_memory" { print $3 }'; }
# The guest's own account of itself, from its console.
guest_says() { tail -n 4 $console_log | grep -q "$1"; }
backend_state() { xenstore-read "/local/domain/0/backend/$1/$id/$2/state" 2>/dev/null; }
connected() { [ "$(backend_state "$1" "$2")" = 4 ]; }

step_info() {
    yes info-version sh -c 'xl info | grep -Eq "^xen_version +: 4\.17"'
    yes info-cpus sh -c '[ $(xl info | sed -n "s/^nr_cpus *: //p") = '"$(word cpus)"' ]'
    yes info-memory sh -c '[ $(xl info | sed -n "s/^free_memory *: //p") -gt 200 ]'
    yes info-dom0 sh -c 'xl list | grep -Eq "^Domain-0 +0 "'
}
step_create() {
    use_loop 0
    guest_config
    free_before=$(free_mb)
    yes create timeout 60 xl create /tmp/g.cfg
    id=$(xl domid g)
    yes create-id [ "$id" -gt 0 ]
    in_list g || return 1
}
step_console() {
    xl console g > $console_log 2>/tmp/console.err &
    yes guest-up wait_for 60 grep -q "guest: g is up" $console_log
    yes guest-disk wait_for 30 grep -q "guest: disk xvda ok" $console_log
    yes guest-ping wait_for 30 grep -q "guest: ping ok" $console_log
    yes guest-stays wait_for 20 grep -q "guest: stays" $console_log
}
step_list() {
    yes list in_list g
    is list-memory "$(xl list g | awk 'NR == 2 { print $3 }')" 128
    is list-vcpus "$(xl list g | awk 'NR == 2 { print $4 }')" 1
    yes list-state sh -c 'xl list g | grep -Eq " (r-|-b|--)---- "'
    yes list-long sh -c 'xl list -l g | grep -Eq "\"name\": ?\"g\""'
    yes list-verbose sh -c 'xl list -v | grep -q "^g "'
    yes domname [ "$(xl domname "$id")" = g ]
    yes vcpu-list sh -c 'xl vcpu-list g | grep -Eq "^g +[0-9]+ +0 "'
    yes uptime xl uptime g
}
step_sched() {
    yes sched-list sh -c 'xl sched-credit2 || xl sched-credit'
    sched=credit2; xl sched-credit2 -d g >/dev/null 2>&1 || sched=credit
    yes sched-set xl sched-$sched -d g -w 512
    yes sched-get sh -c "xl sched-$sched -d g | grep -Eq '^g +[0-9]+ +512 '"
    yes cpupool-list sh -c 'xl cpupool-list | grep -q Pool-0'
}
step_dmesg() {
    yes dmesg sh -c 'xl dmesg | grep -q .'
    yes debug-keys xl debug-keys q
    yes debug-keys-dmesg wait_for 5 sh -c 'xl dmesg | grep -Eqi "domain"'
}
step_pause() {
    yes pause xl pause g
    yes paused sh -c 'xl list g | grep -Eq " -[b-]p--- "'
    lines=$(wc -l < $console_log)
    sleep 3
    yes paused-silent [ "$(wc -l < $console_log)" -le "$((lines + 1))" ]
    yes unpause xl unpause g
    yes runs-again wait_for 15 sh -c "[ \$(wc -l < $console_log) -gt $((lines + 2)) ]"
}
step_memory() {
    yes mem-set xl mem-set g 96
    yes mem-shrinks wait_for 20 sh -c '[ $(xl list g | awk "NR == 2 { print \$3 }") -le 97 ]'
    yes mem-set-back xl mem-set g 128
    yes mem-grows wait_for 20 sh -c '[ $(xl list g | awk "NR == 2 { print \$3 }") -ge 127 ]'
    yes mem-max xl mem-max g 160
}
step_vcpus() {
    yes vcpu-set xl vcpu-set g 2
    yes two-vcpus wait_for 20 guest_says "2 vCPUs"
    yes vcpu-pin xl vcpu-pin g 0 0
    yes vcpu-pinned sh -c 'xl vcpu-list g | awk "\$3 == 0" | grep -Eq " 0 / "'
    yes vcpu-set-back xl vcpu-set g 1
    yes one-vcpu wait_for 20 guest_says "1 vCPUs"
}
step_block() {
    use_loop 1
    yes block-attach timeout 30 xl block-attach g "$(disk 1 xvdb)"
    yes block-in-guest wait_for 20 guest_says "disks xvda xvdb"
    yes block-list sh -c '[ $(xl block-list g | grep -c backend/vbd) = 2 ]'
    yes block-detach timeout 30 xl block-detach g xvdb
    yes block-gone wait_for 20 guest_says "disks xvda,"
}
step_network() {
    yes network-attach timeout 30 xl network-attach g $(echo "$vif" | tr , " ")
    yes network-in-guest wait_for 20 guest_says "nets 2"
    yes network-list sh -c '[ $(xl network-list g | grep -c "^[01] ") = 2 ]'
    yes network-detach timeout 30 xl network-detach g 1
    yes network-gone wait_for 20 guest_says "nets 1"
}
step_misc() {
    yes list-time sh -c 'xl list | awk "\$1 == \"Domain-0\" { exit !(\$6 > 1) }"'
    yes rename xl rename g h
    yes renamed in_list h
    yes rename-back xl rename h g
    yes sysrq xl sysrq g h
    [ ! -e /scripts/block-plain ] || yes xentop sh -c 'xentop -b -i 1 | grep -q " g "'
    yes claims xl claims
}
# A checkpoint, after which the guest goes on; then away and back.
step_save() {
    yes save-checkpoint timeout 120 xl save -c g /tmp/g.save
    lines=$(wc -l < $console_log)
    yes runs-after-checkpoint wait_for 20 sh -c "[ \$(wc -l < $console_log) -gt $((lines + 2)) ]"
    rm -f /tmp/g.save
    yes save timeout 120 xl save g /tmp/g.save
    if in_list g; then fail saved-is-gone "still listed"; else pass saved-is-gone; fi
    yes restore timeout 120 xl restore /tmp/g.save
    rm -f /tmp/g.save
    id=$(xl domid g)
    xl console g > $console_log 2>/tmp/console.err &
    yes runs-after-restore wait_for 30 guest_says "vCPUs"
}
step_destroy() {
    yes destroy timeout 60 xl destroy g
    if in_list g; then fail destroyed "still listed"; else pass destroyed; fi
    yes memory-back wait_for 10 sh -c "[ \$(xl info | awk '\$1 == \"free_memory\" { print \$3 }') -ge $((free_before - 1)) ]"
    yes store-clean [ -z "$(xenstore-ls /local/domain/"$id" 2>/dev/null)" ]
    [ ! -e /scripts/block-plain ] || losetup -d /dev/loop0
}
step_shutdown() {
    if ! in_list g; then
        use_loop 0
        guest_config
        yes create-again timeout 60 xl create -q /tmp/g.cfg
        xl console g > $console_log 2>/tmp/console.err &
        yes guest-up-again wait_for 60 grep -q "guest: stays" $console_log
    fi
    yes shutdown timeout 60 xl shutdown -w g
    yes gone-after-shutdown wait_for 20 sh -c '! xl domid g'
}
step_bad() {
    printf 'name="bad"\nkernel="/etc/passwd"\nmemory=64\n' > /tmp/bad.cfg
    head -c 4096 /dev/urandom > /tmp/junk
    sed -i 's,/etc/passwd,/tmp/junk,' /tmp/bad.cfg
    if timeout 60 xl create /tmp/bad.cfg >/dev/null 2>&1; then fail bad-kernel "was taken"; else pass bad-kernel; fi
    printf 'name="big"\nkernel="/data/vmlinuz"\nmemory=500000\n' > /tmp/big.cfg
    if timeout 60 xl create /tmp/big.cfg >/dev/null 2>&1; then fail too-much-memory "was taken"; else pass too-much-memory; fi
    is nothing-left "$(xl list | wc -l)" 2
}

truncate -s 16M /tmp/disk0.img /tmp/disk1.img
steps=$(word steps)
for step in $(echo "${steps:-info,create,console,list,sched,dmesg,pause,memory,vcpus,block,network,misc,save,destroy,shutdown,bad}" | tr , ' '); do
    echo "step $step"
    step_"$step" || { echo "not ok $step: stops here"; break; }
done
[ ! -s /tmp/console.err ] || sed 's/^/console: /' /tmp/console.err
