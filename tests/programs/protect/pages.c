/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=300 */
/* What the pages of the library may do at the end of a busy program, at every level of protection, as the kernel tells it:
 * nothing is writable and executable; what the loader has made read-only (RELRO) stays so, whatever was freed, set and
 * switched; and under protect:paranoid so does what steers the allocator, but for the moment of a mallopt. */
#include <link.h>
#include <malloc.h>
#include <mcheck.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "tap.h"

#define MSEAL 462 /* Linux 6.10 */

struct range {
    uintptr_t start, end, end_of_text;
};

static int find(struct dl_phdr_info *module, size_t size, void *data) {
    struct range *range = data;
    (void)size;
    for (int i = 0; strstr(module->dlpi_name, "libmyalloc") != NULL && i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &module->dlpi_phdr[i];
        uintptr_t start = module->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        if (header->p_type == PT_GNU_RELRO)
            range->start = start & ~(uintptr_t)4095, range->end = end & ~(uintptr_t)4095;
        else if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0)
            range->end_of_text = end - 1;
    }
    return range->end != 0;
}

static void *busy_thread(void *data) {
    for (size_t i = 1; i < 3000; i++) {
        void *p = malloc(i * 37 % 70000), *q = calloc(1, i), *r = memalign(256, i);
        p = realloc(p, i * 53 % 200000 + 1);
        free(p), free(q), free(r);
    }
    return data;
}

static void be_busy(bool settable) {
    pthread_t id;
    pthread_create(&id, NULL, busy_thread, NULL);
    pthread_join(id, NULL);
    busy_thread(NULL);
    for (size_t bytes = 130000; bytes < 40000000; bytes *= 2)
        free(malloc(bytes)); /* mappings: the first free of one raises the threshold */
    tap(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1 && mallopt(M_MMAP_THRESHOLD, 1 << 19) == 1 && mallopt(M_ARENA_MAX, 1) == 1 &&
            mallopt(M_MXFAST, 0) == 1 && mallopt(M_CHECK_ACTION, 3) == 1 && settable,
        "mallopt sets what it can set");
    mtrace();
    free(malloc(100));
    muntrace();
    malloc_trim(0);
    struct mallinfo2 info = mallinfo2();
    tap(info.uordblks + info.hblkhd > 0, "mallinfo2 counts");
}

static bool is_sealed(uintptr_t at) {
    char line[400];
    bool here = false, sealed = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    unsigned long start, end;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = at >= start && at < end;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            sealed = strstr(line, " sl") != NULL;
    if (file != NULL)
        fclose(file);
    return sealed;
}

static void look(const struct range *relro, bool paranoid) {
    char line[400], rights[8];
    unsigned long start, end;
    int both = 0, open_relro = 0, steering_closed = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3)
            continue;
        both += rights[1] == 'w' && rights[2] == 'x';
        open_relro += start < relro->end && end > relro->start && strcmp(rights, "r--p") != 0;
        steering_closed += start <= relro->end && end > relro->end && strcmp(rights, "r--p") == 0;
    }
    if (file != NULL)
        fclose(file);
    tap(both == 0, "nothing is writable and executable");
    tap(relro->end > relro->start && open_relro == 0, "what the loader closed is closed");
    tap(steering_closed == paranoid, "what steers the allocator is %s", paranoid ? "closed" : "ordinary data");
    bool kernel_seals = syscall(MSEAL, NULL, 0, 0) == 0;
    tap(!(paranoid && kernel_seals) || (is_sealed(relro->start) && is_sealed(relro->end_of_text)),
        "code and RELRO are sealed where the kernel can (%s)", kernel_seals ? "it can" : "it cannot");
}

static int at_level(bool paranoid) {
    struct range relro = {0, 0, 0};
    be_busy(true);
    dl_iterate_phdr(find, &relro);
    look(&relro, paranoid);
    return tap_failed > 0;
}

int main(int argc, char **argv) {
    static const char *const levels[] = {"protect:off", "protect:sample,sample_interval:7", "check:1", "check:3",
                                          "protect:check",
                                         "protect:paranoid", "protect:paranoid,sample_interval:7",
                                          "perturb:1,leaks:0,trim_threshold:1m"};
    enum { LEVELS = sizeof levels / sizeof *levels };
    if (argc > 1)
        return at_level(strcmp(argv[1], "paranoid") == 0);
    tap_watchdog(90);
    for (size_t i = 0; i < LEVELS; i++) {
        int status = -1;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            setenv("MYALLOC_OPTIONS", levels[i], 1);
            dup2(2, 1); /* its results are one here; what it says is to be read beside it */
            execl("/proc/self/exe", argv[0], strstr(levels[i], "paranoid") != NULL ? "paranoid" : "other", NULL);
            _exit(3);
        }
        waitpid(child, &status, 0);
        tap(status == 0, "pages at the end with %s", levels[i]);
    }
    return tap_done();
}
