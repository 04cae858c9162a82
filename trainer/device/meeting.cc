#include "trainer/device/meeting.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace llmctl {
namespace {

using Instant = std::chrono::steady_clock::time_point;

// Ranks of a gang are started within seconds of each other; a rank that comes later is lost.
constexpr auto kMeetTimeout = std::chrono::seconds(120);
constexpr auto kReadTimeout = std::chrono::seconds(10);
constexpr int kConnectMs = 2'000;

void look_again() {
  constexpr int kEveryMs = 100;
  poll(nullptr, 0, kEveryMs);
}

std::string where(const RunConfig& config) {
  return config.master_addr + ":" + std::to_string(config.master_port);
}

Error unreachable(const RunConfig& config, const std::string& why) {
  return {Code::unavailable,
          "rank " + std::to_string(config.rank) + " cannot meet rank 0 at " + where(config) + ": " +
              why,
          "every worker must resolve the other's host name and reach its ports "
          "(docs/SEVERAL_MACHINES.md)"};
}

// 0, or errno.
int connect_in_time(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int problem = connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (problem == EINPROGRESS) {
    pollfd ready = {fd, POLLOUT, 0};
    socklen_t bytes = sizeof problem;
    if (poll(&ready, 1, kConnectMs) != 1) {
      problem = ETIMEDOUT;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &bytes) != 0) {
      problem = errno;
    }
  }
  close(fd);
  return problem;
}

// Rank 0 may come later than this one: until it answers, why it does not is only told.
Status wait_for_host(const RunConfig& config, Instant until, const WaitFn& wait) {
  while (true) {
    const Status reached = try_to_reach(config.master_addr, config.master_port);
    if (reached.ok()) return reached;
    const std::string& why = reached.error().message;
    if (std::chrono::steady_clock::now() >= until) return unreachable(config, why);
    wait("meet rank 0 at " + where(config) + ": " + why);
    look_again();
  }
}

std::string key_of(const std::string& name, int64_t rank) {
  return name + "-" + std::to_string(rank);
}

void say(const Meeting& m, const std::string& name, const std::string& value) {
  m.store->set(key_of(name, m.rank), std::vector<uint8_t>(value.begin(), value.end()));
}

// "rank 2" or "ranks 2, 3": those that have not said anything under this name.
std::string missing(const Meeting& m, const std::string& name) {
  std::string list;
  int64_t count = 0;
  for (int64_t rank = 0; rank < m.size; ++rank) {
    if (m.store->check({key_of(name, rank)})) continue;
    list += (count++ == 0 ? "" : ", ") + std::to_string(rank);
  }
  return count == 0 ? "" : (count == 1 ? "rank " : "ranks ") + list;
}

Result<c10::intrusive_ptr<c10d::Store>> open_store(const RunConfig& config) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(config.master_port);
  options.isServer = config.rank == 0;
  options.numWorkers = static_cast<size_t>(config.world_size);
  options.waitWorkers = false;  // we wait, under the prefix
  options.timeout = kMeetTimeout;
  try {
    auto store = c10::make_intrusive<c10d::TCPStore>(config.master_addr, options);
    const std::string prefix = std::to_string(config.job_id) + "-e" + std::to_string(config.epoch);
    return c10::intrusive_ptr<c10d::Store>(
        c10::make_intrusive<c10d::PrefixStore>(prefix, std::move(store)));
  } catch (const std::exception& e) {
    return unreachable(config, e.what());
  }
}

Error lost(const Meeting& m, const char* what) {
  return {Code::unavailable, "rank 0 at " + m.where + " is gone: " + what, ""};
}

// Rank 0 serves the store: it may not end before the others have read what they wait for.
void wait_for_readers(const Meeting& m, const std::string& name) {
  const std::string seen = name + "-seen";
  say(m, seen, "");
  const Instant until = std::chrono::steady_clock::now() + kReadTimeout;
  while (m.rank == 0 && !missing(m, seen).empty() && std::chrono::steady_clock::now() < until) {
    look_again();
  }
}

}  // namespace

Status try_to_reach(const std::string& host, int32_t port) {
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    return Error{Code::unavailable, "cannot resolve " + host + ": " + gai_strerror(failed), ""};
  }
  int problem = 0;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    problem = connect_in_time(*each);
    if (problem == 0) break;
  }
  freeaddrinfo(found);
  if (problem == 0) return ok_status();
  return Error{Code::unavailable, std::strerror(problem), ""};
}

Result<Meeting> meet(const RunConfig& config, const WaitFn& wait) {
  const Instant until = std::chrono::steady_clock::now() + kMeetTimeout;
  if (config.rank != 0) TRY(wait_for_host(config, until, wait));
  const Meeting m = {TRY(open_store(config)), config.rank, config.world_size, where(config)};
  try {
    say(m, "here", "");
    for (std::string absent; !(absent = missing(m, "here")).empty();) {
      if (std::chrono::steady_clock::now() >= until) {
        return Error{Code::unavailable,
                     absent + " of " + std::to_string(m.size) + " did not come to " + m.where +
                         " within " + std::to_string(kMeetTimeout.count()) + " s",
                     "llmctl logs has what that rank says"};
      }
      wait("meet " + absent + " at " + m.where);
      look_again();
    }
  } catch (const std::exception& e) {
    return lost(m, e.what());
  }
  return m;
}

Result<std::vector<std::string>> exchange(const Meeting& m,
                                          const std::string& name,
                                          const std::string& value,
                                          const WaitFn& wait) {
  std::vector<std::string> values;
  try {
    say(m, name, value);
    for (std::string absent; !(absent = missing(m, name)).empty();) {
      wait("wait for the " + name + " of " + absent);
      look_again();
    }
    for (int64_t rank = 0; rank < m.size; ++rank) {
      const std::vector<uint8_t> said = m.store->get(key_of(name, rank));
      values.emplace_back(said.begin(), said.end());
    }
    wait_for_readers(m, name);
  } catch (const std::exception& e) {
    return lost(m, e.what());
  }
  return values;
}

}  // namespace llmctl
