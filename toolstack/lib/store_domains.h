/* SPDX-License-Identifier: MIT */
/*
 * The store's word that a domain came or ended, and which one. Our xenstored says which to who asks for it by the watch's depth,
 * which libxenstore cannot send; so this has a connection of its own. Other xenstoreds say only that there was one: then, and
 * after the beginning, all domains are to be looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_DOMAINS_ALL (-1)  /* one or several; which ones is not known */

struct store_domains {
    int fd;                     /* readable when there is something to take; non-blocking */
    size_t at, len;
    char bytes[4096];
};

/* introduced: those that come, too. The first word is STORE_DOMAINS_ALL. 0 or a fault. */
int store_domains_open(struct store_domains *w, bool introduced);
void store_domains_close(struct store_domains *w);
/* 1: *domid, or STORE_DOMAINS_ALL, is to be looked at; 0: nothing more now; a fault when xenstored is gone. */
int store_domains_next(struct store_domains *w, int *domid);
