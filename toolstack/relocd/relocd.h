/* SPDX-License-Identifier: MIT */
/* The relocation daemon's parts: TLS sessions of two hosts that know each other by certificates, and bytes between them and xm. */
#pragma once

#include <stdbool.h>

#include <gnutls/gnutls.h>

#include "relocation.h"

/* --- tls.c: 0 or a negative error with fault() --- */
int tls_begin(const struct relocation *r);
/*
 * Handshake over a connected socket. As a server: the peer's certificate must be signed by the authority and have an allowed name, which
 * goes to `name`. As a client: it must be of the host that was called.
 */
int tls_accept(gnutls_session_t *s, int fd, const struct relocation *r, char name[128]);
int tls_connect(gnutls_session_t *s, int fd, const char *host);
void tls_end(gnutls_session_t s);

/* --- pump.c: bytes both ways until one side ends. in/out: the local side --- */
int pump(gnutls_session_t s, int fd, int in, int out);
