/* SPDX-License-Identifier: MIT */
#include "read_at.h"

#include <errno.h>
#include <unistd.h>

int read_at(int fd, void *out, size_t bytes, uint64_t offset)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(fd, (char *)out + done, bytes - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EFAULT;
        done += (size_t)got;
    }
    return 0;
}
