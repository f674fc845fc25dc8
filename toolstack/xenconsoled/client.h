/* SPDX-License-Identifier: MIT */
/*
 * Who connects to the socket. The request is one line: "attach NUMBER-or-NAME" or "last NAME". The answer is one line, "ok" or
 * "error TEXT"; after "ok" of attach bytes go both ways until the guest is gone, after "ok" of last comes what it printed. A client
 * that attaches to a guest whose ring is not known yet is answered when it is: then nothing of the guest has run unseen.
 */
#pragma once

#include "guest.h"

#define CLIENT_BUFFER (64u << 10)   /* output that a slow client may leave unread; more is lost, and said */
#define CLIENT_WAIT_MS 10000        /* for the ring of a guest */
#define CLIENT_MAX 256

int clients_open(const char *path);
void clients_close(void);
/* A guest's output for all who are attached. */
void clients_output(struct guest *g, const char *data, size_t n);
void clients_guest_opened(struct guest *g);
void clients_guest_gone(struct guest *g);
/* There is room for input again. */
void clients_guest_room(struct guest *g);
/* Gives whether some wait with a limit. */
bool clients_tick(void);
