/* Preloaded into adbd, which listens on every address and on vsock, as root and without a
 * password: it may listen on 127.0.0.1 and on sockets in the file system, and nowhere else. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static const unsigned char MAPPED[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1};

int socket(int domain, int type, int protocol) {
  int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
  if (domain == AF_UNIX || domain == AF_INET || domain == AF_INET6 || domain == AF_NETLINK)
    return real(domain, type, protocol);
  errno = EAFNOSUPPORT;
  return -1;
}

int bind(int fd, const struct sockaddr *address, socklen_t length) {
  int (*real)(int, const struct sockaddr *, socklen_t) =
      (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
  if (address->sa_family == AF_UNIX) return real(fd, address, length);
  if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
    struct sockaddr_in loopback = *(const struct sockaddr_in *)address;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real(fd, (const struct sockaddr *)&loopback, sizeof loopback);
  }
  if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
    struct sockaddr_in6 loopback = *(const struct sockaddr_in6 *)address;
    memcpy(&loopback.sin6_addr, MAPPED, sizeof MAPPED);
    return real(fd, (const struct sockaddr *)&loopback, sizeof loopback);
  }
  errno = EAFNOSUPPORT;
  return -1;
}

/* A socket that was never bound would get a port on every address. */
int listen(int fd, int backlog) {
  int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return -1;
  if (address.ss_family == AF_UNIX ||
      (address.ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_LOOPBACK)) ||
      (address.ss_family == AF_INET6 && memcmp(&v6->sin6_addr, MAPPED, sizeof MAPPED) == 0))
    return real(fd, backlog);
  errno = EACCES;
  return -1;
}
