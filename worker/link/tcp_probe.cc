#include "worker/link/tcp_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "worker/files/open_file.h"

namespace llmctl::worker {

static bool refuses(const addrinfo& address, Millis timeout_ms) {
  const OpenFile socket(
      ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (!socket) return errno == EAFNOSUPPORT;  // not an address of this machine's networks
  if (connect(socket.fd(), address.ai_addr, address.ai_addrlen) == 0) return false;
  if (errno != EINPROGRESS) return errno == ECONNREFUSED;
  pollfd ready{socket.fd(), POLLOUT, 0};
  if (poll(&ready, 1, static_cast<int>(timeout_ms)) != 1) return false;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error == ECONNREFUSED;
}

bool connection_refused(const std::string& host_port, Millis timeout_ms) {
  const size_t colon = host_port.rfind(':');
  if (colon == std::string::npos) return false;
  std::string host = host_port.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host.c_str(), host_port.c_str() + colon + 1, &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    if (!refuses(*a, timeout_ms)) return false;
  }
  return true;
}

}  // namespace llmctl::worker
