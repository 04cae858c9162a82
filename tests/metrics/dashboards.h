// The queries of a Grafana dashboard file, as Prometheus would see them: variables are replaced the
// way Grafana replaces them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace llmctl::testing {

inline const std::vector<std::string> kDashboards = {"fleet.json", "training_run.json"};

inline nlohmann::json read_dashboard(const std::string& file) {
  std::ifstream in(LLMCTL_SOURCE_DIR "/dashboards/" + file);
  auto document = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(document.is_object()) << file << " is not JSON";
  return document;
}

inline std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

struct PanelQuery {
  std::string where;  // "fleet.json: Oldest wait, A"
  std::string expr;
};

// Every target of every panel; with `annotations`, theirs too.
inline std::vector<PanelQuery> panel_queries(const std::string& file,
                                             const std::map<std::string, std::string>& variables,
                                             bool annotations) {
  const auto dashboard = read_dashboard(file);
  std::vector<PanelQuery> queries;
  const auto add = [&](const std::string& where, std::string expr) {
    for (const auto& [name, value] : variables) expr = replace_all(expr, "$" + name, value);
    queries.push_back({file + ": " + where, expr});
  };
  for (const auto& panel : dashboard["panels"]) {
    if (panel["type"] == "row") continue;
    for (const auto& target : panel["targets"]) {
      add(panel["title"].get<std::string>() + ", " + target["refId"].get<std::string>(),
          target["expr"]);
    }
  }
  if (annotations) {
    for (const auto& row : dashboard["annotations"]["list"]) {
      add("annotation " + row["name"].get<std::string>(), row["expr"]);
    }
  }
  return queries;
}

}  // namespace llmctl::testing
