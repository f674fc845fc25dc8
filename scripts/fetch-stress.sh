#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch-stress.sh DIR: Debian's stress-ng with its libraries, for the soak tests' image.
exec "$(dirname "$0")/fetch-programs.sh" "$1" stress-ng -- usr/bin/stress-ng
