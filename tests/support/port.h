/*
 * port - a TCP port of 127.0.0.1 for a server that is started later, or again. Below the range from
 * which the kernel takes ports for outgoing connections, so that none of those is in the way then.
 */
#pragma once

int port_free(void); /* aborts when there is none */
