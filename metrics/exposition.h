// Exposition: one small HTTP server for Prometheus. GET /metrics is the registry in text format
// 0.0.4, GET /healthz is "ok", anything else is refused. One thread of its own; `before_scrape`
// runs on that thread before each /metrics, so what it touches must be safe to touch there.
// Clients are hostile: the limits are in exposition.cc. It does not authenticate; bind it to
// loopback, or to an address that only the monitoring network reaches.
#pragma once

#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace llmctl {

class Exposition {
 public:
  // `listen` is "9100" (loopback), "127.0.0.1:9100", "[::1]:9100" or "0.0.0.0:9100"; port 0 takes a
  // free one. Requires: `registry` and what `before_scrape` uses outlive the server.
  static Result<std::unique_ptr<Exposition>> start(const std::string& listen,
                                                   prometheus::Registry& registry,
                                                   std::function<void()> before_scrape = {});
  ~Exposition();  // closes open connections and joins the thread

  std::string address() const;  // as bound: "127.0.0.1:43121"
  uint16_t port() const;

 private:
  struct Server;
  explicit Exposition(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace llmctl
