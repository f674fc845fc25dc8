/* SPDX-License-Identifier: MIT */
/* The last failure's text, and warnings. See fault.h. */
#include "fault.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static char text[1024];
const char *warn_program = "xm";

char *fault_printable(char *s)
{
    for (unsigned char *p = (unsigned char *)s; *p; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0; /* U+0080 to U+009F: controls too */

        if (c1)
            *p++ = '?';
        if (c1 || (*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f)
            *p = '?';
    }
    return s;
}

int fault(int rc, const char *format, ...)
{
    char now[sizeof(text)];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(now, sizeof(now), format, args);
    va_end(args);
    if (text[0] && n >= 0 && (size_t)n < sizeof(now) && snprintf(now + n, sizeof(now) - (size_t)n, ": %s", text) < 0)
        now[n] = 0;
    memcpy(text, fault_printable(now), sizeof(text));
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
    char now[sizeof(text)];
    va_list args;

    va_start(args, format);
    vsnprintf(now, sizeof(now), format, args);
    va_end(args);
    fprintf(stderr, "%s: warning: %s\n", warn_program, fault_printable(now));
}
