# SPDX-License-Identifier: MIT
# Guests saved and restored while they work and check themselves (role save): memory, disk, network, clock, an open TCP connection; copies,
# ballooned, 1 to 8 vCPUs, spoilt files, a disk that is full, a guest that does not listen. zendo.steps=once,copy,... runs some.
. /scripts/lib.sh
. /scripts/services
cd /tmp || exit 1

make_guest() { # NAME VCPUS MAXVCPUS MEMORY MAXMEM IP-END
    [ -e "/tmp/$1.img" ] || dd if=/dev/zero of="/tmp/$1.img" bs=1M count=0 seek=32 2>/dev/null
    cat > "/tmp/$1.cfg" <<END
name = "$1"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=$1 zendo.role=save zendo.ip=10.77.0.$6/24 zendo.ping=10.77.0.1 zendo.disk=xvda"
memory = $4
maxmem = $5
vcpus = $2
maxvcpus = $3
disk = [ "file:/tmp/$1.img,xvda,w" ]
vif = [ "bridge=zbr0" ]
on_crash = "preserve"
END
    xm create "/tmp/$1.cfg"
}
last() { xm console --last "$1" 2>/dev/null | tr -d '\r' | grep "^guest: tick" | tail -n 1; }
# field NAME KEY: the word behind KEY in the guest's last line
field() { last "$1" | sed -n "s/.* $2 \([^ ]*\).*/\1/p"; }
beyond() { v=$(field "$1" "$2"); [ "${v:-0}" -gt "$3" ] 2>/dev/null; }
listed() { xm list 2>/dev/null | awk 'NR > 1 { print $1 }' | grep -qx "$1"; }
free_mb() { xm info | awk '$1 == "free_memory" { print $3 }'; }
nodes() { xenstore-ls -f / 2>/dev/null | grep -c .; }
# How far the guest's wall clock is ahead of ours, in ms; nothing if it does not answer.
offset() { clockof "10.77.0.$1" 2>/dev/null | cut -d ' ' -f 1; }
# near NOW BEFORE: a kernel that boots loses the ticks that come while it patches itself (until it has the clock source xen, its
# clock counts them). When it is resumed it makes good for less than 2 s of that, and keeps what is more, as if somebody had set it.
close_to() { [ -n "$1" ] && [ -n "$2" ] && [ $(($1 - $2)) -gt -50 ] && [ $(($1 - $2)) -lt 50 ]; }
near() { close_to "$1" 0 || close_to "$1" "$2"; }
answers() { [ -n "$(offset "$1")" ]; }
# note NAME: where it is now. going NAME LABEL: it works on from there, and all that it checks is well.
note() {
    line=$(last "$1")
    before_tick=$(of tick) before_count=$(of count) before_disk=$(of disk) before_ping=$(of ping)
}
of() { echo "$line" | sed -n "s/.* $1 \([^ ]*\).*/\1/p"; }
more() { [ "$(of "$1")" -gt "${2:-0}" ] 2>/dev/null; }
all_more() { line=$(last "$1"); more tick $((${before_tick:-0} + 2)) && more count "$before_count" && more disk "$before_disk" && more ping "$before_ping"; }
going() {
    wait_for 40 all_more "$1"
    yes "$2-goes-on" more tick $((${before_tick:-0} + 2))
    yes "$2-process" more count "$before_count"
    yes "$2-disk" more disk "$before_disk"
    yes "$2-network" more ping "$before_ping"
    is "$2-memory" "$(of mem)" ok
    complaint=$(xm console --last "$1" | grep -E "differs|cannot be written|BUG|Oops|Call Trace|stall" | head -n 3)
    is "$2-no-complaint" "$complaint" ""
    [ -z "$complaint" ] || [ -n "${shown:-}" ] || { shown=yes; xm console --last "$1" | tail -n 60 | sed "s/^/$1: /"; }
}

step_once() {
    yes make make_guest g 1 2 128 192 2
    yes ready wait_for 60 beyond g tick 2
    yes clock-answers wait_for 20 answers 2
    clock=$(offset 2)
    (i=0; while [ $i -lt 200 ]; do echo "line $i"; i=$((i + 1)); sleep 0.3; done) | nc 10.77.0.2 7 > /tmp/echo &
    echo_pid=$!
    sleep 2
    note g
    yes save xm save g /tmp/g.save
    if listed g; then fail save-gone "still listed"; else pass save-gone; fi
    yes restore xm restore /tmp/g.save
    going g restored
    now=$(offset 2)
    echo "zendo: clock $clock ms before, $now ms after"
    yes restored-clock near "$now" "$clock"
    seen=$(tail -n 1 /tmp/echo | cut -d ' ' -f 2)
    yes connection wait_for 20 sh -c "[ \$(wc -l < /tmp/echo) -gt $((${seen:-0} + 3)) ]"
    kill $echo_pid 2>/dev/null
    is connection-whole "$(awk '$2 != NR - 1' /tmp/echo | head -n 1)" ""
    rm -f /tmp/g.save
}
step_copy() {
    note g
    yes copy-save xm save -c g /tmp/g.save
    going g copied
    yes copy-twice xm save -c g /tmp/g.save2
    note g
    going g copied-twice
    if xm restore /tmp/g.save >/tmp/said 2>&1; then fail copy-name-taken "two of one name"; else yes copy-name-taken grep -q "name 'g'" /tmp/said; fi
    xm destroy g
    yes copy-back xm restore -p /tmp/g.save2
    is copy-back-paused "$(xm list g | awk 'NR == 2 { print substr($5, 3, 1) }')" p
    xm unpause g
    note g
    going g copy-back
    rm -f /tmp/g.save /tmp/g.save2
}
step_many() {
    for n in $(seq "${cycles:-5}"); do
        note g
        xm save g /tmp/g.save >/tmp/said 2>&1 && xm restore /tmp/g.save >>/tmp/said 2>&1 || { fail "many-$n" "$(cat /tmp/said)"; return; }
        wait_for 30 beyond g tick "$before_tick" || { fail "many-$n" "does not go on"; return; }
    done
    going g many
    now=$(offset 2)
    echo "zendo: clock ${clock:-0} ms before, $now ms after ${cycles:-5} more"
    yes many-clock near "$now" "$clock"
    rm -f /tmp/g.save
}
# Debian's network front end loses 1 MB of the guest's memory each time it is resumed: a fresh guest has what it is to give up.
step_balloon() {
    xm destroy g 2>/dev/null
    yes balloon-make make_guest g 1 2 128 192 2
    yes balloon-ready wait_for 60 beyond g tick 2
    for mb in 100 180 128; do
        xm mem-set g $mb
        wait_for 30 sh -c "[ \$(xm list g | awk 'NR == 2 { print \$3 }') -le $((mb + 2)) ] && [ \$(xm list g | awk 'NR == 2 { print \$3 }') -ge $((mb - 2)) ]"
        note g
        yes "balloon-$mb-save" xm save g /tmp/g.save
        yes "balloon-$mb-restore" xm restore /tmp/g.save
        going g "balloon-$mb"
    done
    rm -f /tmp/g.save
}
step_devices() {
    dd if=/dev/zero of=/tmp/second.img bs=1M count=0 seek=16 2>/dev/null
    yes hot-attach xm block-attach g file:/tmp/second.img xvdb w
    sleep 2
    yes hot-save xm save g /tmp/g.save
    yes hot-restore xm restore /tmp/g.save
    yes hot-disk sh -c 'xm block-list g | grep -q 51728'
    note g
    going g hot
    yes hot-detach xm block-detach g xvdb
    yes cold-save xm save g /tmp/g.save
    yes cold-restore xm restore /tmp/g.save
    is cold-disks "$(xm block-list g | grep -c 517)" 1
    note g
    going g cold
    rm -f /tmp/g.save
}
# Compact files, and another configuration on the command line.
step_forms() {
    note g
    yes compact-save xm save --compact g /tmp/g.save
    yes compact-restore xm restore /tmp/g.save
    going g compact
    sed 's/^name = .*/name = "other"/' /tmp/g.cfg > /tmp/other.cfg
    yes config-save xm save g /tmp/g.save
    yes config-restore xm restore /tmp/other.cfg /tmp/g.save
    yes config-name listed other
    yes config-save-back xm save other /tmp/g.save2
    yes config-restore-back xm restore /tmp/g.save2 /tmp/g.cfg
    note g
    going g config
    yes pipe-restore sh -c 'xm save g /tmp/g.save && cat /tmp/g.save | xm restore -'
    note g
    going g pipe
    rm -f /tmp/g.save*
}
# A failed save leaves the guest running and no file.
# What a killed save left: a guest that goes on, or one whose file is complete (then it does not, and is ended), or none.
left_behind() {
    if listed g; then
        xm unpause g >/tmp/said 2>&1 && return
        yes killed-says grep -q "was saved to /tmp/g.save" /tmp/said
        yes killed-ends xm destroy g
    fi
    yes killed-restore xm restore /tmp/g.save
}
step_fails() {
    mkdir -p /tmp/small
    mount -t tmpfs -o size=20m tmpfs /tmp/small
    note g
    if xm save g /tmp/small/g.save >/tmp/said 2>&1; then fail full "saved where there is no room"; else yes full grep -qi "no space" /tmp/said; fi
    is full-no-file "$(ls /tmp/small)" ""
    going g full
    umount /tmp/small
    xm pause g
    if xm save g /tmp/g.save >/tmp/said 2>&1; then fail paused "saved a paused one"; else yes paused grep -q "unpause" /tmp/said; fi
    xm unpause g
    if xm save g /nowhere/g.save >/tmp/said 2>&1; then fail nowhere "?"; else yes nowhere grep -q "nowhere" /tmp/said; fi
    if xm save Domain-0 /tmp/g.save >/tmp/said 2>&1; then fail dom0 "?"; else yes dom0 grep -q "domain 0" /tmp/said; fi
    is fails-no-file "$(ls /tmp/*.save* 2>/dev/null)" ""
    for signal in INT TERM; do
        for after in 0.2 0.8 1.5; do
            xm save g /tmp/g.save >/tmp/said 2>&1 & saver=$!
            sleep $after; kill -$signal $saver 2>/dev/null; wait $saver
            # A signal that came before it was caught (the shell has a background command ignore SIGINT) stops nothing.
            listed g || { grep -q "^domain .*: g saved to" /tmp/said && xm restore /tmp/g.save; } || fail "stopped-$signal-$after" "gone: $(cat /tmp/said)"
            rm -f /tmp/g.save
        done
    done
    for after in 0.9 1.2 1.6 2; do # killed: it stays suspended until somebody says so
        xm save g /tmp/g.save >/tmp/said 2>&1 & saver=$!
        sleep $after; kill -KILL $saver 2>/dev/null; wait $saver
        sleep 4
        left_behind
        rm -f /tmp/g.save /tmp/g.save.part
    done
    # By the time at which most are killed while the guest is being ended: the note says that its file is complete.
    xm save g /tmp/g.save >/tmp/said 2>&1 & saver=$!
    for i in $(seq 2000); do [ ! -e /tmp/g.save ] || break; usleep 5000; done
    kill -KILL $saver 2>/dev/null; wait $saver
    left_behind
    rm -f /tmp/g.save
    note g
    going g killed
    is stopped-no-file "$(ls /tmp/*.save* 2>/dev/null)" ""
    note g
    going g fails
    yes idle xm create -q /dev/null name=idle kernel=/data/idle.elf memory=4
    if xm save --timeout 2 idle /tmp/idle.save >/tmp/said 2>&1; then fail deaf "saved one that does not listen"; else yes deaf grep -q "idle\|domain" /tmp/said; fi
    echo "zendo: $(cat /tmp/said)"
    yes deaf-runs listed idle
    is deaf-no-file "$(ls /tmp/*.save* 2>/dev/null)" ""
    xm destroy idle
}
# Spoilt files: refused with a word about where, and nothing is left.
step_bad() {
    yes bad-save xm save g /tmp/g.save
    mem=$(free_mb) n=$(nodes) loops=$(losetup -a | wc -l)
    size=$(stat -c %s /tmp/g.save) tried=0 taken=0
    for cut in 0 10 40 60 600 1500 2000 3000 5000 20000 2000000 $((size / 2)) $((size - 60000)) $((size - 5000)) $((size - 900)) $((size - 16)) $((size - 8)); do
        head -c "$cut" /tmp/g.save > /tmp/bad.save
        tried=$((tried + 1))
        if xm restore /tmp/bad.save >/tmp/said 2>&1; then taken=$((taken + 1)); echo "zendo: cut at $cut was taken"; xm destroy g; fi
        grep -q "^xm restore: .*: " /tmp/said || fail "bad-cut-$cut" "no reason: $(cat /tmp/said)"
    done
    is bad-cut "$taken of $tried" "0 of $tried"
    bad=0
    cp /tmp/g.save /tmp/bad.save
    for at in 1 33 37 45 $(seq 1100 97 5400) $((size - 12)); do
        dd if=/tmp/g.save bs=1 skip="$at" count=1 2>/dev/null > /tmp/byte
        printf '\377' | dd of=/tmp/bad.save bs=1 seek="$at" conv=notrunc 2>/dev/null
        if xm restore -p /tmp/bad.save >/tmp/said 2>&1; then xm destroy g 2>/dev/null || xm destroy "$(xm list | awk 'NR == 3 { print $2 }')"; else bad=$((bad + 1)); fi
        dd if=/tmp/byte of=/tmp/bad.save bs=1 seek="$at" conv=notrunc 2>/dev/null
    done
    echo "zendo: of single spoilt bytes $bad were refused, the others changed nothing that is checked"
    is bad-nothing-left "$(xm list | wc -l)" 2
    is bad-memory "$(free_mb)" "$mem"
    is bad-nodes "$(nodes)" "$n"
    is bad-loops "$(losetup -a | wc -l)" "$loops"
    for after in 0.2 0.6 1.2; do # stopped while it is restored: nothing is left, or all of it is there
        xm restore -p /tmp/g.save >/tmp/said 2>&1 & restorer=$!
        sleep $after; kill -TERM $restorer 2>/dev/null; wait $restorer
        xm destroy g 2>/dev/null
    done
    wait_for 5 sh -c '[ "$(xm list | wc -l)" = 2 ]'
    is stopped-restore-left "$(xm list | wc -l) $(nodes) $(losetup -a | wc -l)" "2 $n $loops"
    yes bad-good-still xm restore /tmp/g.save
    note g
    going g bad-good
    rm -f /tmp/g.save /tmp/bad.save
}
# One to eight virtual CPUs, all of them on; then with one taken away.
step_vcpus() {
    xm destroy g 2>/dev/null
    for v in 2 4 8; do
        g=v$v
        yes "cpus-$v-make" make_guest $g $v 8 128 128 $((10 + v))
        yes "cpus-$v-ready" wait_for 90 beyond $g tick 2
        note $g
        yes "cpus-$v-save" xm save $g /tmp/v.save
        yes "cpus-$v-restore" xm restore /tmp/v.save
        going $g "cpus-$v"
        is "cpus-$v-count" "$(field $g cpus)" $v
        xm vcpu-set $g $((v - 1))
        yes "cpus-$v-less" wait_for 30 cpus_are $g $((v - 1))
        note $g
        yes "cpus-$v-less-save" xm save $g /tmp/v.save
        yes "cpus-$v-less-restore" xm restore /tmp/v.save
        going $g "cpus-$v-less"
        is "cpus-$v-less-count" "$(field $g cpus)" $((v - 1))
        xm vcpu-set -i $g $v # more than the host has
        yes "cpus-$v-again" wait_for 30 cpus_are $g $v
        xm destroy $g
        rm -f /tmp/v.save /tmp/$g.img
    done
}
cpus_are() { [ "$(field "$1" cpus)" = "$2" ]; }

steps=$(word steps)
cycles=$(word cycles)
for step in $(echo "${steps:-once,copy,many,balloon,devices,forms,fails,bad,vcpus}" | tr , ' '); do
    "step_$step" || { fail "$step" "given up"; break; }
done
for d in $(xm list | awk 'NR > 2 { print $2 }'); do xm destroy "$d"; done
is nothing-left "$(xm list | wc -l)" 2
clean_log
