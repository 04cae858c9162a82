#include "scheduler/api/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/log.h"
#include "proto/endpoint.h"

namespace llmctl {
namespace {

constexpr int kBacklog = 1'024;  // connections that the kernel keeps until they are accepted
constexpr int kAgainMs = 100;    // after an accept() that failed for want of something

Error cannot_listen(const std::string& address, const std::string& why) {
  return {Code::unavailable, "cannot listen on " + address + ": " + why,
          "is the port in use? --listen 127.0.0.1:0 takes a free one"};
}

// A socket that listens there, or -1 with errno. Nobody else may listen on the port: a second
// scheduler must fail.
int listen_on(const addrinfo& at) {
  const int fd = ::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (at.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  if (::bind(fd, at.ai_addr, at.ai_addrlen) == 0 && ::listen(fd, kBacklog) == 0) return fd;
  const int why = errno;
  ::close(fd);
  errno = why;
  return -1;
}

int port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  const in_port_t port = address.ss_family == AF_INET6
                             ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                             : reinterpret_cast<const sockaddr_in&>(address).sin_port;
  return ntohs(port);
}

void set_port(sockaddr& address, int port) {
  if (port == 0) return;
  auto& place = address.sa_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                              : reinterpret_cast<sockaddr_in&>(address).sin_port;
  place = htons(static_cast<in_port_t>(port));
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const std::string& address, int most) {
  if (address.find(':') == std::string::npos) return cannot_listen(address, "expected host:port");
  std::unique_ptr<Listener> listener(new Listener(most));
  listener->wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (listener->wake_ < 0) return cannot_listen(address, std::strerror(errno));
  TRY(listener->bind_all(address));
  return listener;
}

// "localhost" is two addresses; a machine may have only one of their families.
Status Listener::bind_all(const std::string& address) {
  const auto [named, number] = split_host_port(address);
  const std::string host(without_brackets(named)), port(number);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (failed != 0) return cannot_listen(address, ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    set_port(*at->ai_addr, port_);  // the free one that the first address got
    const int fd = listen_on(*at);
    const bool other = at->ai_next != nullptr || !listening_.empty();
    if (fd < 0 && other && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)) continue;
    if (fd < 0) return cannot_listen(address, std::strerror(errno));
    listening_.push_back(fd);
    port_ = port_of(fd);
  }
  return ok_status();
}

Listener::~Listener() {
  stop();
  for (const int fd : listening_) ::close(fd);
  if (wake_ >= 0) ::close(wake_);
}

void Listener::start(Take take) {
  take_ = std::move(take);
  thread_ = std::jthread([this](const std::stop_token& stopping) { run(stopping); });
}

void Listener::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  const uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof(one));
  thread_.join();
}

void Listener::run(const std::stop_token& stopping) {
  std::vector<pollfd> waiting;
  for (const int fd : listening_) waiting.push_back({fd, POLLIN, 0});
  waiting.push_back({wake_, POLLIN, 0});
  while (!stopping.stop_requested()) {
    ::poll(waiting.data(), waiting.size(), -1);
    bool again = true;
    for (size_t i = 0; i < listening_.size(); ++i) {
      while (waiting[i].revents != 0 && again && accept_one(listening_[i], again)) {
      }
    }
    // What came stays with the kernel; only the wish to stop cuts this short.
    if (!again) ::poll(&waiting.back(), 1, kAgainMs);
  }
}

bool Listener::accept_one(int listening, bool& again) {
  const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    again = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    return errno == EINTR || errno == ECONNABORTED;
  }
  if (fd >= most_) {
    ::close(fd);
    if (!full_)
      log_info("too many connections: new ones are closed", {{"most", std::to_string(most_)}});
    full_ = true;
    return true;
  }
  full_ = false;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  take_(listening, fd);
  return true;
}

}  // namespace llmctl
