/* SPDX-License-Identifier: MIT */
/* The log: a file, or standard error in the foreground. One line per call, with the time. */
#pragma once
#include <stdbool.h>

/* NULL: standard error. 0 or -errno; the old log stays if the new one cannot be opened. */
int log_open(const char *path);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
int log_fd(void);
