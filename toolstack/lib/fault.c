/* SPDX-License-Identifier: MIT */
/* The last failure's text, and warnings. See fault.h. */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char text[1024];
const char *warn_program = "xm";

int fault(int rc, const char *format, ...)
{
    char now[sizeof(text)];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(now, sizeof(now), format, args);
    va_end(args);
    if (text[0] && n >= 0 && (size_t)n < sizeof(now) && snprintf(now + n, sizeof(now) - (size_t)n, ": %s", text) < 0)
        now[n] = 0;
    memcpy(text, now, sizeof(text));
    return rc;
}

const char *fault_text(void)
{
    return text;
}

void fault_clear(void)
{
    text[0] = 0;
}

void warn(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: warning: ", warn_program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}
