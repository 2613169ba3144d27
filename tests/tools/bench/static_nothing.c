/* SPDX-License-Identifier: MIT */
/* Statically linked, it takes less memory than any program that could be preloaded, and shows that nothing of its starter
 * is in its peak. */
int main(void) {
    return 0;
}
