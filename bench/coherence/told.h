/* SPDX-License-Identifier: MIT */
/* What the plugin has counted, as one JSON object in a file. */
#ifndef TOLD_H
#define TOLD_H

/* False, with errno set, if it cannot be written. */
int told_write(const char *path);

#endif
