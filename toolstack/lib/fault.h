/* SPDX-License-Identifier: MIT */
/*
 * The one way in which the toolstack's library says what went wrong. A function that fails calls fault() at the
 * place that knows the cause and hands its value up; the program prints fault_text() once. A text is one line:
 * object, operation, cause, mend ("disk /data/x.img: cannot be opened: no such file; create it or mend 'disk ='").
 * Single thread.
 */
#pragma once

/* Texts may quote what a guest wrote into the store: characters that would command a terminal become '?'. In place;
 * returns s. What fault() and warn() are given goes through it by itself. */
char *fault_printable(char *s);
/* Remember a text and return rc (a negative errno value). A text already there is kept behind the new one, as its cause. */
int fault(int rc, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text, "" when there is none. Valid until the next fault() or fault_clear(). */
const char *fault_text(void);
void fault_clear(void);

/* A line for the user that is no failure, on stderr as "xm: warning: ..." (the program's name: warn_program). */
extern const char *warn_program;
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
