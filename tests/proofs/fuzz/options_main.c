/* SPDX-License-Identifier: MIT */
/* [--show] FILE...: the target of the options without libFuzzer. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern bool options_shown;

int main(int argc, char **argv) {
    static uint8_t data[65536];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--show") == 0) {
            options_shown = true;
            continue;
        }
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 2;
        }
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        fprintf(stderr, "# %s\n", argv[i]); /* the last one that is named is the one that fails */
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
