/* port: from a place in the range that is this process's, the first one that can be bound. */
#include "tests/support/port.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 10000
#define N     20000
#define STEP  37 /* tests that run side by side have pids side by side */

static int can_bind(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int free_one = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    if (fd >= 0) close(fd);
    return free_one;
}

int port_free(void)
{
    static int n_given;
    for (int i = 0; i < N; i++) {
        int port = FIRST + (int)(((long)getpid() * STEP + n_given++) % N);
        if (can_bind(port)) return port;
    }
    fprintf(stderr, "no port is free\n");
    abort();
}
