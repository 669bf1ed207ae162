// pause: does nothing until it is killed. What a thousand containers run that are only to be there.
#include "kernel.h"

#include <linux/poll.h>

int program(int count, char **arguments) {
    (void)count, (void)arguments;
    for (;;) call(ppoll, 0, 0, 0, 0, 0);
}
