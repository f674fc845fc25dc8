# AVX, if the processor has it (zendo.avx=): domain 0's kernel and a guest's use it, and mixload's registers keep their values in both
# at once, on the same CPUs, so that the state is switched between domains.
. /scripts/lib.sh
. /scripts/services
seconds=20

# A guest that runs mixload: a second archive behind the usual one brings it, and the role.
guest_image() {
    mkdir -p /tmp/more/roles /tmp/more/bin
    cp /scripts/bin/mixload /tmp/more/bin/
    cp /scripts/lib.sh /tmp/more/lib.sh
    cat > /tmp/more/roles/vectors <<END
. /lib.sh
echo "guest: avx \$(avx_of_kernel)"
echo "guest: starts"
mixload vectors $seconds 3
echo "guest: mixload ended with \$?"
END
    { cat /data/guest.gz; (cd /tmp/more && find . | cpio -o -H newc | gzip); } > /tmp/guest.gz
}
vectors_say() { sed -n 's/^mixload: vectors: .* 0 bad, AVX //p' "$1" | tr -d '\r'; }

is dom0-avx "$(avx_of_kernel)" "$(word avx)"
guest_image 2>/dev/null
cat > /tmp/g.cfg <<END
name = "g"
kernel = "/data/vmlinuz"
ramdisk = "/tmp/guest.gz"
extra = "console=hvc0 quiet zendo.name=g zendo.role=vectors"
memory = 160
vcpus = 2
END
yes create xl create -p /tmp/g.cfg
xl console g > /tmp/console 2>&1 &
yes unpause xl unpause g
yes guest-starts wait_for 90 grep -q "guest: starts" /tmp/console
mixload vectors $((seconds - 4)) 3 > /tmp/vectors; is dom0-mixload $? 0
yes guest-ends wait_for 60 grep -q "guest: mixload ended with 0" /tmp/console
is guest-avx "$(sed -n 's/^guest: avx //p' /tmp/console | tr -d '\r')" "$(word avx)"
is dom0-vectors-avx "$(vectors_say /tmp/vectors)" "$(word avx)"
is guest-vectors-avx "$(vectors_say /tmp/console)" "$(word avx)"
grep -h ^mixload /tmp/vectors /tmp/console
clean_log
