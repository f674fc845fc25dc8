/* SPDX-License-Identifier: MIT */
/* Brings the host's networks of network.conf up; each step is left alone where it is done already. Address translation is zendod's. */
#pragma once

#include "net_conf.h"

int net_setup(const struct net_network *net);
