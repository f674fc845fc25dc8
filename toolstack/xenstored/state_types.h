/* SPDX-License-Identifier: MIT */
/* The records of the state file, in the order of a snapshot; the journal follows with those that say so. */
#pragma once

#define STATE_MAGIC "zendo xenstored 1"

enum {
    RECORD_HEAD = 'H',         /* magic, boot id, generation, last transaction */
    RECORD_QUOTA = 'Q',        /* also in the journal: domain or -1, value, name */
    RECORD_GONE = 'G',         /* also in the journal: domain, died, generation of its end */
    RECORD_NODE = 'N',         /* permissions, path, value */
    RECORD_SPECIAL = 'S',      /* which, permissions */
    RECORD_DOMAIN = 'D',       /* also in the journal: struct domain_state */
    RECORD_WATCH = 'W',        /* also in the journal: connection, depth, strip, path, token */
    RECORD_TRANS = 'T',        /* also in the journal: connection, id */
    RECORD_BUFFERS = 'B',      /* connection, half read, read ahead, not sent */
    RECORD_LISTEN = 'L',       /* descriptor (live update only, as the next) */
    RECORD_SOCKET = 'F',       /* descriptor */
    /* In the journal only. */
    RECORD_CHANGE = 'C',       /* who, operation, path, value or permissions */
    RECORD_UNWATCH = 'U',      /* connection, path, token */
    RECORD_TRANS_END = 'E',    /* connection, id */
    RECORD_RESET = 'X',        /* connection, 0: no watches, no transactions */
};

/* A connection in the file: a domain's number, or this for a socket's descriptor. */
#define SOCKET_ID(fd) (0x10000 + (fd))

void state_boot_id(char id[40]);
