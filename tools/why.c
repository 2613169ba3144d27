/* SPDX-License-Identifier: MIT */
/* `myalloc why PID`, `myalloc why CORE`: where the resident memory of a process is, or what its core file has of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "message.h"
#include "out_file.h"
#include "why_html.h"
#include "why_json.h"
#include "why_text.h"

struct settings {
    int number;
    const char *core; /* its file, if it is not a process that runs */
    bool all, is_json;
    const char *page; /* the file of --html */
};

static int read_arguments(struct settings *settings, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--all"))
            settings->all = true;
        else if (!strcmp(argv[i], "--json"))
            settings->is_json = true;
        else if (!strcmp(argv[i], "--html"))
            settings->page = argv[++i];
        else if (settings->number || settings->core)
            return fail(STATUS_USAGE, "why takes one process or core file, '%s' was given as well", argv[i]);
        else if (!(settings->number = process_number(argv[i])))
            settings->core = argv[i];
    }
    if (settings->core && access(settings->core, F_OK) && !strchr(settings->core, '/'))
        return fail(STATUS_USAGE, "why: '%s' is no number of a process, and there is no core file of that name",
                    settings->core);
    if (settings->is_json && settings->page)
        return fail(STATUS_USAGE, "why: --json and --html are two forms of the same; give one");
    return settings->number || settings->core
        ? 0 : fail(STATUS_USAGE, "why needs the number of a process, or a core file; see 'myalloc help why'");
}

static int write_page(const char *path, const struct why *why)
{
    FILE *out = out_file_open(path);

    if (out)
        why_html(out, why);
    if (!out || !out_file_close(true))
        return fail(EXIT_FAILURE, "cannot write '%s': %s", path, out_file_error());
    return EXIT_SUCCESS;
}

static int tell(const struct settings *settings, const struct why *why)
{
    if (settings->page)
        return write_page(settings->page, why);
    if (settings->is_json)
        why_json(stdout, why, false);
    else
        why_text(why, settings->all);
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int refuse_pages(const struct settings *settings, int error)
{
    if (settings->core)
        return fail(EXIT_FAILURE, "the pages of '%s' cannot be read: %s", settings->core, strerror(error));
    return fail(EXIT_FAILURE, "the pages of process %d cannot be read: %s; is /proc mounted, and may you trace it?",
                settings->number, strerror(error));
}

static int look(const struct settings *settings, const struct target *target)
{
    static struct heap_view view;
    static struct heap_parts parts;
    static struct heap_sites sites;
    struct why why = {&view, &parts, &sites};
    int status = heap_view_open(target, &view), error;

    if (status)
        return status;
    error = heap_parts_count(&parts, &view);
    heap_sites_read(&sites, &view, &parts);
    status = heap_view_end(&view);
    if (!status && error)
        status = refuse_pages(settings, error);
    if (!status) {
        heap_sites_name(&sites);
        status = tell(settings, &why);
    }
    heap_sites_free(&sites);
    heap_parts_free(&parts);
    heap_view_close(&view);
    return status;
}

static int run(int argc, char **argv)
{
    struct core_file core;
    struct settings settings = {0};
    int status = read_arguments(&settings, argc, argv);

    if (status)
        return status;
    if (!settings.core)
        return look(&settings, &(struct target){.number = settings.number});
    status = core_file_open(settings.core, &core);
    if (!status)
        status = look(&settings, &(struct target){core.number, &core});
    core_file_close(&core);
    return status;
}

static const struct command_option own_options[] = {{"--all", NULL}, {"--json", NULL}, {"--html", "FILE"}, {NULL, NULL}};

const struct command command_why = {
    .name = "why",
    .arguments = "[OPTIONS] PID|CORE",
    .summary = "Tell where the memory of a process is, and what brings it down; also of its core file",
    .details = "Reads the allocator's structures out of the memory of a process that runs on libmyalloc, without a signal\n"
               "and without stopping it, also while it hangs: all of its resident memory, by what is there. The kernel\n"
               "must allow it (process_vm_readv): the same user, or root; see ptrace(2) on\n"
               "/proc/sys/kernel/yama/ptrace_scope. The command must be the one that came with the library.\n"
               "\n"
               "  --all             list all threads, names, size classes and call sites, not only the first\n"
               "  --json            print all of it as one object of JSON\n"
               "  --html FILE       write a page for a browser, with a picture of the heap; it needs nothing else\n"
               "\n"
               "Of a core file it tells the same by what that holds: pages of anything but zeros, as it does not say which\n"
               "were resident. The library that ran is looked for where it was, and beside this command.\n"
               "\n"
               "Parts are read one after another: of a process that allocates meanwhile they are of different moments.\n"
               "While a heap profile is on ('myalloc ctl PID profile on', or profile:1), call sites are told by the free\n"
               "memory that their blocks pin, and rounding of sizes by estimate.\n",
    .options = own_options,
    .run = run,
};
