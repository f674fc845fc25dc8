/* SPDX-License-Identifier: MIT */
/* Between unpack.c, which is ordinary C, and what the decompression libraries need of a machine
 * (unpack_libc.c; the host tests have their own). */
#pragma once

/* Around every call of the libraries: SSE registers, stack canary and an empty heap; and back, the
 * whole heap freed. Boot CPU only, not nested. */
void unpack_env_enter(void);
void unpack_env_leave(void);
