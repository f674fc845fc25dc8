/* SPDX-License-Identifier: MIT */
/* Between guest.c and guests.c. */
#pragma once

#include "guest.h"

void guest_complain(void);                      /* the fault as a warning */
void guest_read_name(struct guest *g);
bool guest_has_name(const struct guest *g);     /* in the store */
void guest_open_files(struct guest *g, bool restart);
void guest_serve(struct guest *g);
void guest_try_open(struct guest *g);           /* if its nodes are there; also after they changed */
void guest_close(struct guest *g);
void guest_port_set(unsigned port, struct guest *g);
bool guest_name_in_use(const char *name);       /* by a guest that is open */
