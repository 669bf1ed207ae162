// The kernel without a C library: system calls, an entry point, and the few helpers that the programs here share.
//
// Every call returns what the kernel does: a negative number is an errno. Nothing is retried or cached.
#ifndef KERNEL_H
#define KERNEL_H

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#define INLINE static inline __attribute__((always_inline))

// How a process begins: the kernel puts the argument count and vectors on the stack.
#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call enter\n");

INLINE long call6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, #0\n mov x0, sp\n bl enter\n");

INLINE long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "no system calls for this processor yet"
#endif

// call(name, arguments...): a system call by its name in the manual.
#define CALL_7(n, a, b, c, d, e, f, ...) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define call(name, ...) CALL_7(__NR_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static char **environment;

INLINE unsigned long length(const char *text) {
    unsigned long n = 0;
    while (text[n]) n++;
    return n;
}

INLINE int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

INLINE void say(int fd, const char *text) { call(write, fd, text, length(text)); }

static void say_number(int fd, unsigned long number) {
    char text[24], *at = text + sizeof text;
    do *--at = '0' + number % 10;
    while (number /= 10);
    call(write, fd, at, text + sizeof text - at);
}

__attribute__((unused)) static unsigned long number_of(const char *text) {
    unsigned long number = 0;
    for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (*text - '0');
    return number;
}

__attribute__((noreturn)) static void leave(int status) {
    for (;;) call(exit_group, status);
}

// Ends the program with the name of the call and the kernel's answer.
__attribute__((noreturn, noinline, unused)) static void fail(const char *what, long answer) {
    say(2, what);
    say(2, ": errno ");
    say_number(2, -answer);
    say(2, "\n");
    leave(125);
}

// must(name, arguments...): a system call that has to succeed.
#define must(name, ...)                                  \
    ({                                                   \
        long answer_ = call(name, ##__VA_ARGS__);        \
        if (answer_ < 0) fail(#name, answer_);           \
        answer_;                                         \
    })

int program(int count, char **arguments);

__attribute__((noreturn, used)) void enter(long *stack) {
    char **arguments = (char **)(stack + 1);
    environment = arguments + *stack + 1;
    leave(program(*stack, arguments));
}

// The compiler may call them for what we wrote without.
void *memset(void *to, int byte, unsigned long size) {
    for (char *at = to; size--; at++) *(volatile char *)at = byte;
    return to;
}

void *memcpy(void *to, const void *from, unsigned long size) {
    for (char *at = to; size--; at++) *(volatile char *)at = *(const char *)from++;
    return to;
}

#endif
