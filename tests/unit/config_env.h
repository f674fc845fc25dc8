/* SPDX-License-Identifier: MIT */
/* For the tests of the configuration reader: parse a text, look at one thing, forget it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "fault.h"

static struct guest_config g;

/* Words end in NULL. */
__attribute__((unused)) static int parse_words(const char *text, char *const words[])
{
    unsigned n = 0;

    while (words && words[n])
        n++;
    config_dispose(&g);
    fault_clear();
    return config_parse(&g, "a.cfg", text, strlen(text), words, n);
}

__attribute__((unused)) static void parse_ok(const char *text)
{
    if (parse_words(text, NULL))
        fail_msg("refused: %s\n%s", fault_text(), text);
}

/* name and memory are there, `text` is the rest; lines of it count from 1. */
__attribute__((unused)) static void parse_rest(const char *text)
{
    char *const words[] = { (char *)"name=x", (char *)"memory=64", NULL };

    if (parse_words(text, words))
        fail_msg("refused: %s\n%s", fault_text(), text);
}

/* Refused with exactly this place and word, and a cause that contains `why`. */
__attribute__((unused)) static void parse_fails(const char *text, const char *place, const char *why)
{
    char *const words[] = { (char *)"name=x", (char *)"memory=64", NULL };

    if (parse_words(text, words) == 0)
        fail_msg("accepted: %s", text);
    if (strncmp(fault_text(), place, strlen(place)) != 0 || strstr(fault_text(), why) == NULL)
        fail_msg("of %s\nis said:  %s\nexpected: %s ... %s", text, fault_text(), place, why);
    config_dispose(&g);
}

/* What the reader says on stderr while f runs with arg. */
__attribute__((unused)) static const char *said(void (*f)(const char *), const char *arg)
{
    static char text[4096];
    FILE *to = fmemopen(text, sizeof(text), "w"), *was = stderr;

    memset(text, 0, sizeof(text));
    stderr = to;
    f(arg);
    stderr = was;
    fclose(to);
    return text;
}
