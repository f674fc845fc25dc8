/* SPDX-License-Identifier: MIT */
/*
 * A text that grows for ever in a bounded place: a file, and the file before it. When the first is full it takes the place of the
 * second. So the last `limit` bytes are always there, never more than twice that, and both are plain text for people to read.
 * Histories: DIR/NAME and DIR/.old/NAME. Logs: DIR/NAME.log and DIR/NAME.log.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct keep {
    int fd, dir;                    /* -1: closed */
    char *name, *old;
    size_t size, limit;
    bool failed;                    /* said so once, the disk may be full */
};

/* Opens DIR/name for appending; makes the directories. */
int keep_open(struct keep *k, const char *dir, const char *name, const char *old, size_t limit);
/* A new beginning: what DIR/name held moves to DIR/.previous/name, its older part goes. */
void keep_restart(const char *dir, const char *name, const char *old);
/* Never fails for the caller: what cannot be written is lost, and said once. */
void keep_write(struct keep *k, const char *data, size_t n);
void keep_close(struct keep *k);
/* The last `most` bytes of the old file and the file, to be freed; NULL with *n = 0 if there is nothing. */
char *keep_read(const char *dir, const char *name, const char *old, size_t most, size_t *n);
/*
 * Removes the files of DIR (and of .old and .previous) that were not written for the longest, until there are at most `most`
 * whose name is not in use.
 */
void keep_prune(const char *dir, unsigned most, bool (*in_use)(const char *name));
/* May a guest's name be a file's? */
bool keep_name_good(const char *name);
