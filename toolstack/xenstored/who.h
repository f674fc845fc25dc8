/* SPDX-License-Identifier: MIT */
/* Who asks: the domain behind a connection. Sockets are domain 0's. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define NO_DOMAIN 0x7ff4        /* DOMID_INVALID */
#define FIRST_RESERVED 0x7ff0   /* DOMID_FIRST_RESERVED */

struct who {
    uint16_t domid;
    uint16_t target;            /* acts for this domain too (SET_TARGET), or NO_DOMAIN */
    bool privileged;
};
