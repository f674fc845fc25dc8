/* SPDX-License-Identifier: MIT */
/* Beside panic.h (machine_reboot, machine_halt), domain.h (machine_shutdown) and acpi.h (acpi_enter_sleep):
 * x86/time/reboot.c. */
#pragma once

#include "types.h"

void reboot_init(void); /* boot, after acpi_init(): maps what a restart needs */
__noreturn void machine_power_off(void);
