// steps FILE COMMAND...   runs COMMAND by single steps, and writes to FILE which instructions of its program were executed: their
// offsets in it, one in a line, in hexadecimal. What it starts is followed until it executes another program.
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOST = 1 << 23, // bytes of a program
    OPTIONS = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC,
};

static char executed[MOST];

// Where a program begins in memory.
static unsigned long base_of(int pid) {
    char path[64];
    unsigned long base = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    if (!maps || fscanf(maps, "%lx", &base) != 1) err(1, "%s", path);
    fclose(maps);
    return base;
}

static void follow(int first) {
    unsigned long base = 0;
    for (int pid, status; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        if (!WIFSTOPPED(status)) {
            if (pid == first) return;
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (event == PTRACE_EVENT_EXEC) {
            if (base) {
                ptrace(PTRACE_DETACH, pid, 0, 0);
                continue;
            }
            base = base_of(pid);
        } else if (signal == SIGTRAP && event == 0) {
            struct user_regs_struct registers;
            if (ptrace(PTRACE_GETREGS, pid, 0, &registers) == 0 && registers.rip - base < MOST)
                executed[registers.rip - base] = 1;
        }
        ptrace(PTRACE_SINGLESTEP, pid, 0, signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
    }
}

int main(int count, char **arguments) {
    if (count < 3) errx(2, "usage: steps FILE COMMAND...");
    int pid = fork();
    if (pid < 0) err(1, "fork");
    if (pid == 0) {
        personality(ADDR_NO_RANDOMIZE);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(arguments[2], arguments + 2);
        err(127, "%s", arguments[2]);
    }
    waitpid(pid, NULL, 0);
    if (ptrace(PTRACE_SETOPTIONS, pid, 0, OPTIONS) < 0) err(1, "ptrace");
    ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
    follow(pid);
    FILE *file = fopen(arguments[1], "w");
    if (!file) err(1, "%s", arguments[1]);
    for (long at = 0; at < MOST; at++)
        if (executed[at]) fprintf(file, "%lx\n", at);
    return fclose(file) != 0;
}
