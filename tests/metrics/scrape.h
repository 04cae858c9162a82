// What a scrape would show, as a map from "name{label="value",…}" to the value, and Debian's
// promtool as the judge of a whole page.
#pragma once

#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "core/base/clock.h"

namespace llmctl::testing {

class FixedClock final : public Clock {
 public:
  Millis boot_ms() const override { return boot; }
  Millis unix_ms() const override { return unix_time; }
  void advance(Millis ms) {
    boot += ms;
    unix_time += ms;
  }
  Millis boot = 1'000'000, unix_time = 1'700'000'000'000;
};

inline std::string page(const prometheus::Registry& registry) {
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

inline std::map<std::string, double> samples(const std::string& text) {
  std::map<std::string, double> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string::npos) continue;
    found[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return found;
}

inline std::map<std::string, double> samples(const prometheus::Registry& registry) {
  return samples(page(registry));
}

struct Ran {
  int status = -1;
  std::string output;  // both streams
};

inline Ran run(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ran;
  char buffer[4'096];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    ran.output.append(buffer, n);
  }
  ran.status = ::pclose(pipe);
  return ran;
}

// Fails the test with promtool's words when the page breaks a rule of exposition or naming.
inline void expect_clean_page(const std::string& text) {
  const std::string file = ::testing::TempDir() + "page.prom";
  std::ofstream(file) << text;
  const Ran ran = run("promtool check metrics < " + file);
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_EQ(ran.output, "") << ran.output;
}

}  // namespace llmctl::testing
