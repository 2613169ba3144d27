/* SPDX-License-Identifier: MIT */
/* `myalloc report` many times over, for report.test: each line of standard input has its arguments, between tabs; a forked
 * child runs it, with standard error in the file `told.N` of the present folder, N from 0 on. Prints its exit status, or 256
 * and the number of the signal that ended it. Built with sanitizers, whose start takes longer than most of the runs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../tools/command.h"

enum { ARGUMENTS = 16 };

static int run(char *line, unsigned number)
{
    char *argv[ARGUMENTS + 1] = {"report"}, name[32];
    int argc = 1, null = open("/dev/null", O_RDWR), told;

    snprintf(name, sizeof name, "told.%u", number);
    told = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (null < 0 || told < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(told, 2) < 0)
        return 254;
    line[strcspn(line, "\n")] = '\0';
    for (char *word = strtok(line, "\t"); word && argc < ARGUMENTS; word = strtok(NULL, "\t"))
        argv[argc++] = word;
    return command_report.run(argc, argv);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    int status;

    for (unsigned number = 0; getline(&line, &room, stdin) > 0; number++) {
        pid_t child = fork();

        if (child == 0)
            exit(run(line, number));
        if (child < 0 || waitpid(child, &status, 0) != child)
            return 1;
        printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status));
        fflush(stdout);
    }
    free(line);
    return 0;
}
