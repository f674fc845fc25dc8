# Things that only print: sizes and what the analysers say.
.PHONY: loc lint
loc:
	@scripts/loc.sh

LINT_SRC := $(filter hypervisor/common/% hypervisor/pv/% hypervisor/lib/% hypervisor/x86/% hypervisor/drivers/%,$(HV_SRC))
LINT_CHECKS := -*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-bugprone-narrowing-conversions,-bugprone-assignment-in-if-condition
LINT_FLAGS = -std=gnu11 -ffreestanding -Ihypervisor/include -I$(B)/gen $(ABI_CFLAGS) -include hypervisor/include/visibility.h
lint: $(B)/gen/offsets.h
	@if command -v clang-tidy >/dev/null; then \
	  printf '%s\n' $(LINT_SRC) | xargs -P2 -n8 sh -c 'clang-tidy --quiet "--checks=$(LINT_CHECKS)" "$$@" -- $(LINT_FLAGS) 2>/dev/null' _ || true; \
	else echo "lint: no clang-tidy"; fi
	@if command -v cppcheck >/dev/null; then \
	  cppcheck -q -j2 --enable=warning,portability --inline-suppr --std=c11 --suppress=missingIncludeSystem \
	    -Ihypervisor/include $(ABI_CFLAGS) hypervisor || true; \
	else echo "lint: no cppcheck"; fi
