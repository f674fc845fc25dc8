/* SPDX-License-Identifier: MIT */
/*
 * When what was done: with ZENDO_TRACE=FILE in its environment a program appends a line for each step of note, "SECONDS.MICROS PID STEP" by
 * the clock that hosts agree on. Without it a step costs a look at a variable.
 */
#pragma once

void trace_note(const char *step);
