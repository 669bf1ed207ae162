// stopwatch FD SECONDS MODE COMMAND... [-- COMMAND...]...   runs commands and tells on FD what each took.
//
// MODE is "then" (one after another) or "with" (all at the same time). A line for each command, or one for all with "with":
// nanoseconds, peak resident kilobytes, page faults, wait status. It is a program of its own so that nothing of
// the caller's is measured: neither the time of an interpreter, nor its memory, which a child of vfork(2) would be charged.
#include "kernel.h"

#include <linux/poll.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/time.h>
#include <linux/wait.h>

enum { MOST = 256 };

struct child {
    int pid, pidfd;
};

static unsigned long now(void) {
    struct __kernel_timespec time;
    must(clock_gettime, CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000UL + time.tv_nsec;
}

// As vfork(2): the child uses this stack until it has executed the command, and we sleep.
__attribute__((noinline)) static struct child start(char **command) {
    static int pidfd;
    struct clone_args how = {.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD, .pidfd = (unsigned long)&pidfd, .exit_signal = 17};
    long pid = must(clone3, &how, sizeof how);
    if (pid == 0) {
        call(execve, command[0], command, environment);
        say(2, command[0]);
        fail(": execve", -ENOENT);
    }
    return (struct child){pid, pidfd};
}

static int finish(struct child child, long seconds, struct rusage *usage) {
    struct pollfd ready = {.fd = child.pidfd, .events = POLLIN};
    struct __kernel_timespec limit = {.tv_sec = seconds};
    if (call(ppoll, &ready, 1, &limit, 0, 0) == 0) call(kill, child.pid, 9);
    int status = 0;
    must(wait4, child.pid, &status, 0, usage);
    call(close, child.pidfd);
    return status;
}

static void report(int fd, unsigned long took, const struct rusage *usage, int status) {
    unsigned long numbers[] = {took, usage->ru_maxrss, usage->ru_minflt, status};
    for (int i = 0; i < 4; i++) {
        say_number(fd, numbers[i]);
        say(fd, i < 3 ? " " : "\n");
    }
}

int program(int count, char **arguments) {
    if (count < 5) fail("usage: stopwatch FD SECONDS then|with COMMAND... [-- COMMAND...]", -EINVAL);
    int fd = number_of(arguments[1]), together = same(arguments[3], "with"), running = 0, worst = 0;
    long seconds = number_of(arguments[2]);
    must(fcntl, fd, F_SETFD, FD_CLOEXEC);
    struct child children[MOST];
    struct rusage usage = {0};
    unsigned long begin = now();
    for (char **word = arguments + 4, **end; *word; word = end) {
        for (end = word; *end && !same(*end, "--"); end++) {}
        if (*end) *end++ = 0;
        if (!together) begin = now();
        if (running == MOST) fail("stopwatch: too many commands at once", -E2BIG);
        children[running] = start(word);
        if (together) {
            running++;
            continue;
        }
        int status = finish(children[running], seconds, &usage);
        report(fd, now() - begin, &usage, status);
        if (status) return 0;
    }
    if (!together) return 0;
    while (running--) {
        int status = finish(children[running], seconds, &usage);
        if (status) worst = status;
    }
    report(fd, now() - begin, &usage, worst);
    return 0;
}
