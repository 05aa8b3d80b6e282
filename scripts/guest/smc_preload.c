/* smc_preload.c - TCP sockets of a program that knows nothing of it become the kernel's SMC sockets (LD_PRELOAD). */

#include <dlfcn.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol) {
  static int (*next)(int, int, int);
  if (next == NULL) next = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
  const int stream = (type & 0xf) == SOCK_STREAM;
  if (domain == AF_INET && stream && (protocol == 0 || protocol == IPPROTO_TCP)) protocol = 256; /* IPPROTO_SMC */
  return next(domain, type, protocol);
}
