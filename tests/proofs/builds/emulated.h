/* SPDX-License-Identifier: MIT */
/* For runs under qemu-user, whose mremap does not know MREMAP_DONTUNMAP: the old pages are gone, and the call succeeds.
 * With this number it is refused, as kernels before 5.7 do. */
#include <sys/mman.h>
#undef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 0x40000000
