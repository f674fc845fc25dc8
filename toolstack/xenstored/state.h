/* SPDX-License-Identifier: MIT */
/*
 * The store on disk, so that it outlives the daemon: a snapshot, followed by a journal of every change since, in one
 * file of records (state.c). After a crash the file holds all that was answered; after an orderly end also what was
 * half read and half sent.
 */
#pragma once
#include "daemon.h"

/* A snapshot in place of the file, which the journal then follows. 0 or -errno. */
int state_save(const char *path);
/* Reads the file into the (empty) store; -ENOENT: there is none, -ESTALE: it is of an earlier boot, -EINVAL: damaged. */
int state_load(const char *path);
/* Writes out what has been noted; a new snapshot when the journal has grown. */
void state_flush(void);
void state_note_change(struct store *s, const struct who *who, int op, const char *path, const struct blob *value,
                       const struct perms *perms);
void state_note_conn(struct conn *c, int op, uint32_t id, const struct watch *w);
void state_note_quota(int domid, enum quota q, unsigned value);
/* A domain as it is now, or that it is gone (died: with its permissions). */
void state_note_domain(uint16_t domid, bool died);
/* No more notes: the end has been written. */
void state_close(void);
/* The sockets' descriptors go into the snapshot too (live update). */
extern bool state_with_sockets;
