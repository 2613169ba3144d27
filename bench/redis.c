/* SPDX-License-Identifier: MIT */
/* redis REQUESTS [expiring]: redis-server on a socket in the current folder, under the preload, and redis-benchmark
 * against it, without. `expiring`: a cache, whose keys live for a fifth of a second and whose values grow from round to
 * round.
 *
 * This process becomes the server; the client is nobody's child, so that `measure -a` measures the server alone, and
 * asks the server to end when all is done. What the server keeps is verified before; a client that finds something wrong, or
 * that the server does not answer, says so on stderr and kills the server, so that the run counts as failed. Debian's
 * redis-server is linked with jemalloc; without a preload it is given libc's malloc. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_FAILED = 125, KEYS = 500, PIPELINE = 16, PATIENCE_MS = 20000, LINE_ROOM = 512, ROUNDS = 5 };

extern char **environ;

static int server; /* a pidfd: never another process of the same number */
static char socket_name[64];

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "redis: %s\n", text);
    unlink(socket_name);
    syscall(SYS_pidfd_send_signal, server, SIGKILL, NULL, 0);
    _exit(1);
}

static int reach(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socket_name);
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            wrong("socket: %s", strerror(errno));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = PATIENCE_MS / 1000},
                   sizeof(struct timeval));
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        close(fd);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    wrong("the server did not answer within %d ms", PATIENCE_MS);
}

/* Sends one command and insists on the reply. */
static void ask(int fd, const char *command, const char *reply) {
    char got[LINE_ROOM + 1] = "";
    size_t have = 0, wanted = strlen(reply);
    if (write(fd, command, strlen(command)) != (ssize_t)strlen(command))
        wrong("the server does not listen any more");
    while (have < wanted) {
        ssize_t more = read(fd, got + have, wanted - have);
        if (more <= 0)
            wrong("the server hung up, or did not answer %.*s", (int)strcspn(command, "\r"), command);
        have += (size_t)more;
        if (memcmp(got, reply, have) != 0)
            wrong("%.*s was answered %.*s", (int)strcspn(command, "\r"), command, (int)strcspn(got, "\r"), got);
    }
}

static void keys(int fd, int verify) {
    for (int i = 0; i < KEYS; i++) {
        char text[200], command[LINE_ROOM], reply[LINE_ROOM] = "+OK\r\n";
        int length = snprintf(text, sizeof text, "%0*d", i % 180 + 4, i);
        if (verify) {
            snprintf(command, sizeof command, "GET check:%d\r\n", i);
            snprintf(reply, sizeof reply, "$%d\r\n%s\r\n", length, text);
        } else {
            snprintf(command, sizeof command, "SET check:%d %s\r\n", i, text);
        }
        ask(fd, command, reply);
    }
}

static void benchmark(char **command) {
    pid_t pid;
    int status, error;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    error = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
    if (error)
        wrong("%s: %s", command[0], strerror(error));
    if (waitpid(pid, &status, 0) != pid || status != 0)
        wrong("%s ended with status %d", command[0], status);
}

/* Rounds of keys that expire while the next come; the last must be gone in the end. */
static void cache_rounds(int fd, char *requests) {
    for (int round = 1; round <= ROUNDS; round++) {
        char value[ROUNDS * 200 + 1], key[64];
        memset(value, 'a' + round, (size_t)round * 200);
        value[round * 200] = '\0';
        snprintf(key, sizeof key, "cache:%d:__rand_int__", round);
        benchmark((char *[]){"redis-benchmark", "-s", socket_name, "-q", "-P", "16", "-n", requests, "-r", requests, "set",
                             key, value, "px", "200", NULL});
    }
    for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
        char got[LINE_ROOM] = "", left[LINE_ROOM];
        snprintf(left, sizeof left, ":%d\r\n", KEYS);
        if (write(fd, "DBSIZE\r\n", 8) != 8 || read(fd, got, sizeof got - 1) <= 0)
            wrong("the server hung up, or did not answer DBSIZE");
        if (strcmp(got, left) == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    wrong("keys that should have expired are still there after %d ms", PATIENCE_MS);
}

static void data_of_all_kinds(int fd, char *requests) {
    char reply[64];
    benchmark((char *[]){"redis-benchmark", "-s", socket_name, "-q", "-P", "16", "-n", requests, "-r", requests, "-d",
                         "400", "-t", "set,get,hset,zadd", NULL});
    benchmark((char *[]){"redis-benchmark", "-s", socket_name, "-q", "-P", "16", "-n", requests, "lpush", "list", "1",
                         "2", "3", "4", "5", NULL});
    snprintf(reply, sizeof reply, ":%ld\r\n", atol(requests) * 5);
    ask(fd, "LLEN list\r\n", reply);
    ask(fd, "LRANGE list 0 2\r\n", "*3\r\n$1\r\n5\r\n$1\r\n4\r\n$1\r\n3\r\n");
}

static void serve_requests(char *requests, bool expiring) {
    int fd = reach();
    keys(fd, 0);
    (expiring ? cache_rounds : data_of_all_kinds)(fd, requests);
    keys(fd, 1);
    ask(fd, "SHUTDOWN NOSAVE\r\n", "");
    _exit(0);
}

/* Forked twice: the client's parent is gone, and its memory is not taken for the server's. */
static void start_client(char *requests, bool expiring) {
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            unsetenv("LD_PRELOAD");
            signal(SIGPIPE, SIG_IGN);
            serve_requests(requests, expiring);
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv) {
    bool expiring = argc == 3 && strcmp(argv[2], "expiring") == 0;
    if (argc != 2 + expiring || atol(argv[1]) < 1 || atol(argv[1]) % PIPELINE != 0) {
        fprintf(stderr, "usage: redis REQUESTS [expiring] (REQUESTS: a multiple of %d)\n", PIPELINE);
        return 2;
    }
    server = (int)syscall(SYS_pidfd_open, getpid(), 0);
    snprintf(socket_name, sizeof socket_name, "redis-%d.sock", getpid());
    start_client(argv[1], expiring);
    setenv("LD_PRELOAD", "libc.so.6", 0);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_name, "--save", "", "--appendonly",
           "no", "--daemonize", "no", "--loglevel", "warning", (char *)NULL);
    fprintf(stderr, "redis: redis-server: %s\n", strerror(errno));
    return STATUS_FAILED;
}
