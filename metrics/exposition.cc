// The only file that sees RESTinio and asio.
#include "metrics/exposition.h"

#include <prometheus/text_serializer.h>

#include <charconv>
#include <chrono>
#include <future>
#include <restinio/http_server.hpp>
#include <restinio/message_builders.hpp>
#include <string_view>
#include <thread>
#include <utility>

namespace llmctl {
namespace {

using namespace std::chrono_literals;

// One Prometheus needs one connection; a few more serve people and a second Prometheus.
constexpr size_t kConnections = 64;
constexpr size_t kUrlBytes = 1'024;
constexpr size_t kFieldBytes = 4'096;
constexpr size_t kFields = 64;
constexpr uint64_t kBodyBytes = 0;  // nothing here takes a body
constexpr auto kReadTimeout = 2s;   // of a whole request; a scraper sends it in one packet
constexpr auto kWriteTimeout = 10s;

struct Traits : restinio::default_single_thread_traits_t {
  static constexpr bool use_connection_count_limiter = true;
};
using HttpServer = restinio::http_server_t<Traits>;

struct Endpoint {
  asio::ip::address host = asio::ip::address_v4::loopback();
  uint16_t port = 0;
};

Result<Endpoint> parse_endpoint(const std::string& listen) {
  const Error bad{Code::invalid_argument, "metrics address '" + listen + "' is not ADDRESS:PORT",
                  "write for example 127.0.0.1:9100, [::1]:9100, or a port alone for loopback"};
  Endpoint endpoint;
  std::string_view port = listen;
  if (const size_t colon = listen.rfind(':'); colon != std::string::npos) {
    std::string host = listen.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
      host = host.substr(1, host.size() - 2);
    }
    if (host == "localhost") host = "127.0.0.1";
    asio::error_code error;
    endpoint.host = asio::ip::make_address(host, error);
    if (error) return bad;
    port = std::string_view(listen).substr(colon + 1);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc() || end != port.data() + port.size()) return bad;
  return endpoint;
}

std::string to_text(const asio::ip::tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
}

auto reply(const restinio::request_handle_t& request,
           restinio::http_status_line_t status,
           const char* type,
           std::string body) {
  return request->create_response(std::move(status))
      .connection_close()  // one request each: a scrape comes every few seconds
      .append_header(restinio::http_field::content_type, type)
      .append_header(restinio::http_field::cache_control, "no-store")
      .append_header("X-Content-Type-Options", "nosniff")
      .set_body(std::move(body))
      .done();
}

}  // namespace

struct Exposition::Server {
  prometheus::Registry& registry;
  std::function<void()> before_scrape;
  asio::ip::tcp::endpoint bound;
  asio::io_context io;
  std::unique_ptr<HttpServer> http;
  std::jthread thread;

  Server(const Endpoint& endpoint, prometheus::Registry& source, std::function<void()> hook)
      : registry(source), before_scrape(std::move(hook)) {
    restinio::server_settings_t<Traits> settings(endpoint.port);
    settings.address(endpoint.host)
        .protocol(endpoint.host.is_v6() ? asio::ip::tcp::v6() : asio::ip::tcp::v4())
        .max_parallel_connections(kConnections)
        .buffer_size(kFieldBytes)
        .read_next_http_message_timelimit(kReadTimeout)
        .handle_request_timeout(kWriteTimeout)
        .write_http_response_timelimit(kWriteTimeout)
        .incoming_http_msg_limits(restinio::incoming_http_msg_limits_t{}
                                      .max_url_size(kUrlBytes)
                                      .max_field_name_size(kFieldBytes)
                                      .max_field_value_size(kFieldBytes)
                                      .max_field_count(kFields)
                                      .max_body_size(kBodyBytes))
        .acceptor_post_bind_hook(
            [this](asio::ip::tcp::acceptor& acceptor) { bound = acceptor.local_endpoint(); })
        .request_handler(
            [this](const restinio::request_handle_t& request) { return answer(request); });
    http = std::make_unique<HttpServer>(restinio::external_io_context(io), std::move(settings));
  }

  std::string scrape() {
    if (before_scrape) before_scrape();
    return prometheus::TextSerializer().Serialize(registry.Collect());
  }

  restinio::request_handling_status_t answer(const restinio::request_handle_t& request) {
    const auto path = request->header().path();
    if (path != "/metrics" && path != "/healthz") {
      return reply(request, restinio::status_not_found(), "text/plain",
                   "not found; try /metrics or /healthz\n");
    }
    if (request->header().method() != restinio::http_method_get()) {
      return reply(request, restinio::status_method_not_allowed(), "text/plain", "only GET\n");
    }
    if (path == "/healthz") return reply(request, restinio::status_ok(), "text/plain", "ok\n");
    try {
      return reply(request, restinio::status_ok(), "text/plain; version=0.0.4; charset=utf-8",
                   scrape());
    } catch (const std::exception& e) {  // named edge: prometheus-cpp and the caller's hook
      return reply(request, restinio::status_internal_server_error(), "text/plain",
                   std::string("cannot collect metrics: ") + e.what() + "\n");
    }
  }

  void serve(std::promise<void>& opened) {
    asio::post(io, [this, &opened] {
      try {
        http->open_sync();
        opened.set_value();
      } catch (...) {  // named edge: bind errors go to start()
        opened.set_exception(std::current_exception());
      }
    });
    io.run();
  }

  ~Server() {
    asio::post(io, [this] { http->close_sync(); });
    asio::post(io, [this] { io.stop(); });
    if (thread.joinable()) thread.join();
  }
};

Exposition::Exposition(std::unique_ptr<Server> server) : server_(std::move(server)) {}
Exposition::~Exposition() = default;

Result<std::unique_ptr<Exposition>> Exposition::start(const std::string& listen,
                                                      prometheus::Registry& registry,
                                                      std::function<void()> before_scrape) {
  const Endpoint endpoint = TRY(parse_endpoint(listen));
  auto server = std::make_unique<Server>(endpoint, registry, std::move(before_scrape));
  std::promise<void> opened;
  std::future<void> bound = opened.get_future();
  server->thread = std::jthread([&opened, raw = server.get()] { raw->serve(opened); });
  try {
    bound.get();
  } catch (const std::exception& e) {
    return Error{Code::unavailable, "metrics: cannot listen on " + listen + ": " + e.what(),
                 "another process may hold the port; port 0 takes a free one"};
  }
  return std::unique_ptr<Exposition>(new Exposition(std::move(server)));
}

std::string Exposition::address() const {
  return to_text(server_->bound);
}

uint16_t Exposition::port() const {
  return server_->bound.port();
}

}  // namespace llmctl
