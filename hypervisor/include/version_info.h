/* SPDX-License-Identifier: MIT */
/* What the build stamps in. No time of day: the same source gives the same image. */
#pragma once

#ifndef ZENDO_DATE
#define ZENDO_DATE "reproducible build"
#endif
#ifndef ZENDO_CHANGESET
#define ZENDO_CHANGESET "unknown"
#endif
#define ZENDO_BUILD_ID {'z', 'e', 'n', 'd', 'o', 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

void version_set_cmdline(const char *line);
