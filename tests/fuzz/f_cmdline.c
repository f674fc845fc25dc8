/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a command line; the strings in the result must be terminated.
 * sources: hypervisor/common/cmdline.c
 */
#include <stdlib.h>

#include "cmdline.h"
#include "lib.h"
#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);

    memcpy(line, data, size);
    line[size] = 0;
    cmdline_parse(line);
    if (strnlen(opt.console, sizeof(opt.console)) == sizeof(opt.console) ||
        strnlen(opt.reboot, sizeof(opt.reboot)) == sizeof(opt.reboot) ||
        opt.dom0_max_vcpus_max > MAX_VCPUS || opt.maxcpus > MAX_CPUS || opt.loglvl > LOG_DEBUG)
        abort();
    free(line);
    return 0;
}
