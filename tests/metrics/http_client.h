// A raw HTTP/1.1 client for tests: sends exactly the bytes given, also malformed ones. Blocking,
// with a receive timeout so that a server that never answers fails the test instead of hanging it.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/processes/patience.h"

namespace llmctl::testing {

class Connection {
 public:
  explicit Connection(uint16_t port, const char* host = "127.0.0.1") {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{kPatienceMs / 1'000, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ::inet_pton(AF_INET, host, &address.sin_addr);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(fd_); }

  bool connected() const { return connected_; }

  // False once the server has closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  // Everything until the server closes the connection (or the receive timeout passes).
  std::string read_all() {
    std::string all;
    char buffer[16'384];
    for (ssize_t n = 0; (n = ::recv(fd_, buffer, sizeof(buffer), 0)) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }

 private:
  int fd_ = -1;
  bool connected_ = false;
};

struct HttpAnswer {
  int status = 0;  // 0: no answer
  std::string head, body;
};

inline HttpAnswer http_request(uint16_t port, std::string_view method, std::string_view path) {
  Connection connection(port);
  connection.send(std::string(method) + " " + std::string(path) +
                  " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  const std::string all = connection.read_all();
  HttpAnswer answer;
  const size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 ") || end == std::string::npos) return answer;
  answer.status = std::stoi(all.substr(9, 3));
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  return answer;
}

inline HttpAnswer http_get(uint16_t port, std::string_view path) {
  return http_request(port, "GET", path);
}

}  // namespace llmctl::testing
