/* SPDX-License-Identifier: MIT */
/* Programs of domain 0, over the Unix socket. */
#pragma once
#include "loop.h"

struct sock;

/* Listens at path (the folder is made, what stood there is replaced); fd >= 0: goes on with that one instead. 0 or -errno. */
int sock_listen(struct host *host, const char *path, int fd);
int sock_listen_fd(void);
void sock_close_all(void);
/* For a live update: each in turn (NULL first); its descriptor; one taken over. */
struct sock *sock_next(struct sock *s);
int sock_fd(const struct sock *s);
struct conn *sock_conn(struct sock *s);
struct sock *sock_adopt(int fd);
unsigned sock_count(void);
/* Bytes read but not yet part of a request. */
size_t sock_ahead(const struct sock *s, const char **bytes);
void sock_set_ahead(struct sock *s, const char *bytes, size_t len);
