/* SPDX-License-Identifier: MIT */
/* The daemon's log. At 1 MiB the file becomes FILE.old. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fault.h"
#include "zendod.h"

#define LOG_MAX (1 << 20)

static const char *log_file;
static bool log_stderr;

void log_open(const char *file, bool to_stderr)
{
    mkdir("/var/log/zendo", 0755);
    log_file = file;
    log_stderr = to_stderr;
}

static void log_rotate(void)
{
    struct stat st;
    char old[256];

    if (stat(log_file, &st) || st.st_size < LOG_MAX)
        return;
    snprintf(old, sizeof(old), "%s.old", log_file);
    rename(log_file, old);
}

static void log_text(const char *text)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;

    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
    if (log_stderr)
        fprintf(stderr, "zendod: %s\n", text);
    if (!log_file)
        return;
    log_rotate();
    FILE *f = fopen(log_file, "ae");
    if (!f)
        return;
    fprintf(f, "%s %s\n", when, text);
    fclose(f);
}

void log_line(const char *format, ...)
{
    char text[1400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_text(text);
}

void log_fault(const char *format, ...)
{
    char text[1400];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(text))
        snprintf(text + n, sizeof(text) - (size_t)n, ": %s", fault_text());
    fault_clear();
    log_text(text);
}
