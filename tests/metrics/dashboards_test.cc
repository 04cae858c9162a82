// Dashboards, rules and alerts as files: they parse, they follow Grafana's provisioning rules, and
// they name only metrics that exist.
#include "tests/metrics/dashboards.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "tests/metrics/scrape.h"

namespace llmctl {
namespace {

using nlohmann::json;
using testing::kDashboards;
using testing::panel_queries;
using testing::read_dashboard;
using testing::run;

const std::string kRules = LLMCTL_SOURCE_DIR "/deploy/prometheus/";

std::string file_text(const std::string& path) {
  std::ifstream in(LLMCTL_SOURCE_DIR "/" + path);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> names_in(const std::string& text, const char* pattern) {
  std::set<std::string> names;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    names.insert((*it)[1].str());
  }
  return names;
}

// As written in the sources that register them.
std::set<std::string> exported_names() {
  std::set<std::string> names;
  for (const char* file : {"scheduler/metrics/metrics.cc", "scheduler/metrics/job_metrics.cc",
                           "worker/metrics/metrics.cc", "worker/metrics/device_metrics.cc"}) {
    names.merge(names_in(file_text(file), "\"(llmctl_[a-z0-9_]+)\""));
  }
  return names;
}

TEST(Dashboards, EveryQueryParses) {
  const std::map<std::string, std::string> variables = {
      {"__rate_interval", "5m"}, {"__range", "1h"}, {"instance", ".*"}, {"job_id", "1"}};
  std::string rules = "groups:\n  - name: panels\n    rules:\n";
  int number = 0;
  for (const std::string& file : kDashboards) {
    for (const auto& query : panel_queries(file, variables, /*annotations=*/true)) {
      EXPECT_EQ(query.expr.find('$'), std::string::npos) << query.where << ": " << query.expr;
      rules += "      - record: panel:" + std::to_string(++number) +
               "\n        labels: {where: " + json(query.where).dump() +
               "}\n        expr: " + json(query.expr).dump() + "\n";
    }
  }
  const std::string path = ::testing::TempDir() + "panels.yml";
  std::ofstream(path) << rules;
  const auto checked = run("promtool check rules '" + path + "'");
  EXPECT_EQ(checked.status, 0) << checked.output << rules;
  EXPECT_GT(number, 50);
}

TEST(Dashboards, FollowTheRulesOfProvisioning) {
  std::set<std::string> uids;
  for (const std::string& file : kDashboards) {
    const json d = read_dashboard(file);
    EXPECT_TRUE(uids.insert(d["uid"]).second) << file;
    EXPECT_TRUE(d["id"].is_null()) << file;
    EXPECT_FALSE(d.contains("__inputs")) << file << ": only the UI's import resolves __inputs";
    EXPECT_EQ(d["schemaVersion"], 39) << file;
    EXPECT_EQ(d["editable"], true) << file;
    const json& first = d["templating"]["list"][0];
    EXPECT_EQ(first["type"], "datasource") << file;
    EXPECT_EQ(first["name"], "datasource") << file;
  }
}

TEST(Dashboards, EveryPanelSaysWhatItShowsAndInWhichUnit) {
  const json datasource = {{"type", "prometheus"}, {"uid", "${datasource}"}};
  for (const std::string& file : kDashboards) {
    std::set<int> ids;
    std::set<std::string> titles;
    const json dashboard = read_dashboard(file);
    for (const auto& panel : dashboard["panels"]) {
      const std::string where = file + ": " + panel["title"].get<std::string>();
      EXPECT_TRUE(ids.insert(panel["id"].get<int>()).second) << where;
      EXPECT_TRUE(titles.insert(panel["title"]).second) << where << ": title used twice";
      if (panel["type"] == "row") continue;
      EXPECT_GT(panel.value("description", "").size(), 5u) << where;
      EXPECT_NE(panel["fieldConfig"]["defaults"].value("unit", ""), "") << where;
      EXPECT_EQ(panel["datasource"], datasource) << where;
      EXPECT_FALSE(panel["targets"].empty()) << where;
      for (const auto& target : panel["targets"]) {
        const std::string expr = target["expr"];
        const bool is_rate = expr.find("rate(") != std::string::npos;
        EXPECT_FALSE(is_rate && expr.find("[$__") == std::string::npos)
            << where << ": use [$__rate_interval], not a fixed window";
      }
    }
  }
}

TEST(Dashboards, PanelsDoNotOverlap) {
  for (const std::string& file : kDashboards) {
    std::map<std::pair<int, int>, std::string> taken;
    const json dashboard = read_dashboard(file);
    for (const auto& panel : dashboard["panels"]) {
      const json& at = panel["gridPos"];
      const int x = at["x"], y = at["y"], w = at["w"], h = at["h"];
      EXPECT_LE(x + w, 24) << file << ": " << panel["title"];
      for (int i = x; i < x + w; ++i) {
        for (int j = y; j < y + h; ++j) {
          const auto [cell, fresh] = taken.try_emplace({i, j}, panel["title"]);
          ASSERT_TRUE(fresh) << file << ": " << panel["title"] << " covers " << cell->second;
        }
      }
    }
  }
}

TEST(Dashboards, NameOnlyMetricsThatAreExportedOrRecorded) {
  const std::set<std::string> exported = exported_names();
  const std::set<std::string> recorded =
      names_in(file_text("deploy/prometheus/rules.yml"), "record: (llmctl:[a-z0-9_:]+)");
  std::string text =
      file_text("deploy/prometheus/rules.yml") + file_text("deploy/prometheus/alerts.yml");
  for (const std::string& file : kDashboards) text += file_text("dashboards/" + file);
  for (std::string name : names_in(text, "\\b(llmctl_[a-z0-9_]+)")) {
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
      const std::string base = name.substr(0, name.rfind(suffix));
      if (name.ends_with(suffix) && exported.contains(base)) name = base;
    }
    EXPECT_TRUE(exported.contains(name)) << name << " is not exported by anybody";
  }
  for (const std::string& name : names_in(text, "\\b(llmctl:[a-z0-9_:]+)")) {
    EXPECT_TRUE(recorded.contains(name)) << name << " is recorded by no rule";
  }
}

TEST(Metrics, AreAllDescribedInTheDocs) {
  EXPECT_EQ(names_in(file_text("docs/METRICS.md"), "`(llmctl_[a-z0-9_]+)[`{]"), exported_names());
}

TEST(Alerts, RulesAndConfigurationAreValid) {
  const auto checked = run("promtool check config '" + kRules + "prometheus.yml'");
  EXPECT_EQ(checked.status, 0) << checked.output;
}

TEST(Alerts, FireWhenTheyShouldAndOnlyThen) {
  const auto tested =
      run("promtool test rules '" LLMCTL_SOURCE_DIR "/tests/metrics/alerts_test.yml'");
  EXPECT_EQ(tested.status, 0) << tested.output;
}

TEST(Alerts, EachHasATestAndSaysWhatToDo) {
  const std::string alerts = file_text("deploy/prometheus/alerts.yml");
  const std::string tests = file_text("tests/metrics/alerts_test.yml");
  const auto names = names_in(alerts, "alert: ([A-Za-z]+)");
  EXPECT_GT(names.size(), 10u);
  EXPECT_EQ(names_in(tests, "alertname: ([A-Za-z]+)"), names);
  size_t actions = 0;
  for (size_t at = 0; (at = alerts.find("\n          action: ", at)) != std::string::npos; ++at) {
    ++actions;
  }
  EXPECT_EQ(actions, names.size());
}

}  // namespace
}  // namespace llmctl
