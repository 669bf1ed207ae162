// count FD END COMMAND...   counts instructions in user mode, by single steps, and tells them on FD.
//
// All processes are counted until the first one ends, and each until it executes a program whose path ends in END: what
// runs in a container is not the runtime's. Processors count by themselves, but often not in virtual machines, and
// valgrind does not know the system calls that make containers. A repeated string instruction counts once for each turn.
#include "kernel.h"

#include <linux/ptrace.h>
#include <linux/wait.h>

enum {
    TRAP = 5,
    STOP = 19,
    OPTIONS = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC,
};

// Whether a process has just executed the program at which counting ends.
static int at_end(int pid, const char *end) {
    char path[32] = "/proc/", executed[4096], digits[12], *at = digits + sizeof digits, *to = path + 6;
    do *--at = '0' + pid % 10;
    while (pid /= 10);
    while (at < digits + sizeof digits) *to++ = *at++;
    memcpy(to, "/exe", 5);
    long found = call(readlinkat, AT_FDCWD, path, executed, sizeof executed - 1);
    long wanted = length(end);
    if (found < wanted) return 0;
    executed[found] = 0;
    return same(executed + found - wanted, end);
}

// What a stopped process gets as it goes on: the signal that it was sent, but none that tracing has made.
static int signal_for(int status) {
    int signal = status >> 8 & 0xff;
    return signal == TRAP || signal == STOP ? 0 : signal;
}

static int count_until_end(int first, const char *end, unsigned long *counted) {
    for (;;) {
        int status = 0, pid = must(wait4, -1, &status, __WALL, 0);
        if ((status & 0xff) != 0x7f) { // it has ended
            if (pid == first) return status;
            continue;
        }
        if (status >> 8 == TRAP) ++*counted;
        if (status >> 8 == (TRAP | PTRACE_EVENT_EXEC << 8) && at_end(pid, end))
            call(ptrace, PTRACE_DETACH, pid, 0, 0);
        else
            call(ptrace, PTRACE_SINGLESTEP, pid, 0, signal_for(status));
    }
}

int program(int count, char **arguments) {
    if (count < 4) fail("usage: count FD END COMMAND...", -EINVAL);
    int fd = number_of(arguments[1]), first = must(clone, 17, 0, 0, 0, 0), status = 0;
    must(fcntl, fd, F_SETFD, FD_CLOEXEC);
    if (first == 0) {
        must(ptrace, PTRACE_TRACEME, 0, 0, 0);
        long self = call(getpid);
        must(kill, self, STOP);
        fail("execve", call(execve, arguments[3], arguments + 3, environment));
    }
    unsigned long counted = 0;
    must(wait4, first, &status, 0, 0);
    must(ptrace, PTRACE_SETOPTIONS, first, 0, OPTIONS);
    must(ptrace, PTRACE_SINGLESTEP, first, 0, 0);
    status = count_until_end(first, arguments[2], &counted);
    say_number(fd, counted);
    say(fd, "\n");
    return status & 0x7f ? 128 + (status & 0x7f) : status >> 8;
}
