/* SPDX-License-Identifier: MIT */
/*
 * Many nodes read at once: the requests go to xenstored's socket together and the answers are taken as they come, so that two
 * hundred names cost a few switches between processes and not four hundred.
 */
#pragma once

/* A connection to xenstored for who speaks its protocol himself: a descriptor or a fault. */
int store_connect(void);

/*
 * values[i] becomes what is at paths[i], to be freed, or NULL if there is no such node. Outside of any transaction. 0, or a
 * negative error with fault() and all values NULL.
 */
int store_read_many(const char *const *paths, unsigned n, char **values);
