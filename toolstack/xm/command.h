/* SPDX-License-Identifier: MIT */
/*
 * A command of xm: a row in commands.c and a function in cmd_NAME.c. From the row come the parsing of its options, its
 * help, its part of the man page and of the shell's completion.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct option_row {
    char letter;          /* 0: long form only */
    const char *name;     /* long form; NULL: letter only; both absent: end of the list */
    const char *arg;      /* what its value is called; NULL: none */
    const char *help;     /* NULL: accepted for old users' sake, not shown */
};

#define MAX_OPTIONS 24

struct args {
    const struct command *command;
    const char *value[MAX_OPTIONS]; /* by row; "" for an option without value, NULL when absent */
    char **operands;                /* in order, options taken out wherever they stood */
    unsigned n;
};

struct command {
    const char *name;
    const char *aliases;            /* blank-separated, or NULL */
    const char *group;
    const char *operands;           /* as shown: "DOMAIN [VCPUS]" */
    unsigned min, max;              /* how many operands; max 0 = none */
    const char *summary;
    const char *details;            /* for the long help; NULL = none */
    const struct option_row *options;
    int (*run)(struct args *a);     /* 0, a negative error with fault(), or a positive exit code */
};

extern const struct command commands[];
extern const unsigned n_commands;
extern const char *program; /* "xm" or "xl", as called */

const struct command *command_find(const char *name);
/* The name that is nearest by spelling, NULL if none is near. */
const char *command_suggest(const char *name);

/* Sorts argv[1..] into options and operands; 0, or 2 after having said what is wrong. -h is 1: help was printed. */
int args_parse(struct args *a, const struct command *c, int argc, char **argv);
/* The value of an option by letter or long name; "" when it has none, NULL when not given. */
const char *args_value(const struct args *a, const char *option);
bool args_has(const struct args *a, const char *option);
/* Says so and gives exit code 2. */
int usage_error(const struct args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

void help_overview(FILE *out, bool all);
void help_command(FILE *out, const struct command *c);
void help_man(FILE *out);
/* For completion: names of commands, or options of one, a line each. */
void help_words(FILE *out, const char *of);
