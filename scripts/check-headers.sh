#!/bin/sh
# SPDX-License-Identifier: MIT
# check-headers.sh: each header compiles alone, with nothing included before it. Ends in "N passed, N failed".
# HV_CC, GUEST_CC and HOST_CC are the compile commands; `make headercheck` sets them.
set -u
cd "$(dirname "$0")/.."
base="-std=gnu11 -ffreestanding -D__XEN_TOOLS__ -Iinclude"
hv="${HV_CC:-gcc $base -mgeneral-regs-only -include hypervisor/include/visibility.h -Ihypervisor/include -Ibuild/gen -Wall -Wextra}"
guest="${GUEST_CC:-gcc $base -mgeneral-regs-only -Iguests/kit -Wall -Wextra}"
host="${HOST_CC:-gcc -std=gnu11 -DZENDO_HOST -DZENDO_DEBUG -D__XEN_TOOLS__ -Iinclude -Ihypervisor/include -Itests/host -Wall -Wextra}"
werror=-Werror
passed=0
failed=0
one() {     # compile command, header
    if said=$(echo "#include \"$2\"" | $1 -I. $werror -Wno-unused-parameter -Wno-unused-function -Wno-unused-variable \
              -fsyntax-only -x c - 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$2 does not compile alone:"
        echo "$said" | head -n 8
    fi
}
for h in $(find include hypervisor -name '*.h' | sort); do one "$hv" "$h"; done
for h in $(find guests -name '*.h' | sort); do one "$guest" "$h"; done
ts="${TS_CC:-gcc -std=gnu11 -D_GNU_SOURCE -D__XEN_TOOLS__ -Iinclude -Itoolstack/lib -Wall -Wextra}"
for h in $(find toolstack -name '*.h' | sort); do one "$ts -I$(dirname "$h")" "$h"; done
werror=     # test helpers may declare statics that the including file defines
for h in $(find tests/host tests/unit -name '*.h' | sort); do
    use=$host   # a helper of the toolstack's tests includes their headers; those win over the hypervisor's of the same name
    for name in $(sed -n 's/^#include "\(.*\)"/\1/p' "$h"); do
        dir=$(dirname "$(find toolstack -name "$name" | head -n 1)")
        [ -e "hypervisor/include/$name" ] || [ -e "$(dirname "$h")/$name" ] || [ "$dir" = . ] || use="$ts -I$dir"
    done
    one "$use" "$h"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
