// With -DSTEPS the floor tells on standard error what each step took, in nanoseconds; without, nothing of it is there.
//
// The container's first process shares our memory until it executes its program, so both write into one table.
#ifdef STEPS
#include <linux/time.h>

static struct {
    const char *name;
    unsigned long time;
} steps[64];
static int step_count;

static void step(const char *name) {
    struct __kernel_timespec time;
    must(clock_gettime, CLOCK_MONOTONIC, &time);
    steps[step_count].name = name;
    steps[step_count++].time = time.tv_sec * 1000000000UL + time.tv_nsec;
}

static void tell_steps(void) {
    for (int i = 1; i < step_count; i++) {
        say_number(2, steps[i].time - steps[i - 1].time);
        say(2, " ");
        say(2, steps[i].name);
        say(2, "\n");
    }
}
#else
#define step(name) (void)0
#define tell_steps() (void)0
#endif
