// Result<T>: a value or an Error that the caller can act on. Shaped like std::expected, which
// g++ 12 lacks in C++20 mode. Codes have the values of grpc::StatusCode, so the edge needs no
// table. TRY(expr) returns the error to the caller or yields the value: `auto spec =
// TRY(parse(text));` (one TRY per expression). CHECK(cond) is for bugs: it prints where and aborts,
// in release too.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace llmctl {

enum class Code {
  ok = 0,
  canceled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

struct Error {
  Code code = Code::unknown;
  std::string message;  // what and where
  std::string hint;     // what to do next; may be empty
  bool operator==(const Error&) const = default;
};

// What is wrong with something from outside.
inline Error invalid(std::string message, std::string hint = {}) {
  return {Code::invalid_argument, std::move(message), std::move(hint)};
}

template <class T = std::monostate>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit
  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(v_); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return std::get<1>(v_); }
  Error&& error() && { return std::get<1>(std::move(v_)); }

 private:
  std::variant<T, Error> v_;
};

using Status = Result<std::monostate>;
inline Status ok_status() {
  return Status(std::monostate{});
}

}  // namespace llmctl

#define TRY(expr)                                               \
  __extension__({                                               \
    auto try_result = (expr);                                   \
    if (!try_result.ok()) return std::move(try_result).error(); \
    std::move(try_result).value();                              \
  })

#define CHECK(cond)                                                                 \
  do {                                                                              \
    if (!(cond)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #cond); \
      std::abort();                                                                 \
    }                                                                               \
  } while (false)
