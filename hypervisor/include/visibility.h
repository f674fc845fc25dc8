/* SPDX-License-Identifier: MIT */
/* Every symbol of the image is hidden: position-independent code then needs no table of addresses. */
#pragma GCC visibility push(hidden)
