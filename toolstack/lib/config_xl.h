/* SPDX-License-Identifier: MIT */
/*
 * A configuration in the form in which stock `xl` keeps one beside a guest and in a saved guest's file: JSON with c_info, b_info, disks,
 * nics. Learnt from what `xl` writes; what it says of other kinds of guests is not kept.
 */
#pragma once

#include "config.h"

/* To be freed; NULL: no memory. */
char *config_xl_make(const struct guest_config *c);
/* `name` for messages. config_dispose() it in any case; -EINVAL with fault(). */
int config_xl_parse(struct guest_config *c, const char *name, const char *json);
