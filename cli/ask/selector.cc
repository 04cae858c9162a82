#include "cli/ask/selector.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/base/limits.h"

namespace llmctl {

static std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

static bool only(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

static Error bad_id(std::string_view part, const char* problem) {
  return {Code::invalid_argument, "id \"" + std::string(part) + "\": " + problem,
          "use 17, a list 1,4, a range 3-7, last, or a job's name"};
}

static Result<Selector> parse_one(std::string_view part) {
  Selector selector;
  if (part.empty()) return bad_id(part, "is empty");
  if (part == "last") {
    selector.kind = Selector::Kind::last;
    return selector;
  }
  if (!only(part, "0123456789-")) {
    selector.kind = Selector::Kind::name;
    selector.name = part;
    return selector;
  }
  const size_t dash = part.find('-');
  const auto from = whole_number(part.substr(0, dash));
  const auto to = dash == std::string_view::npos ? from : whole_number(part.substr(dash + 1));
  if (!from || !to || *from < 1) return bad_id(part, "ids are whole numbers from 1");
  if (*to < *from) return bad_id(part, "the range runs backwards");
  selector.from = *from;
  selector.to = *to;
  return selector;
}

Result<std::vector<Selector>> parse_selectors(const std::vector<std::string>& words) {
  std::vector<Selector> selectors;
  for (const std::string& word : words) {
    std::string_view rest = word;
    while (true) {
      const size_t comma = rest.find(',');
      selectors.push_back(TRY(parse_one(rest.substr(0, comma))));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return selectors;
}

static Result<JobId> resolve_name(Client& client, const std::string& name) {
  ListFilter filter;
  filter.name_contains = name;
  filter.limit = limits::kPageSize;
  const std::vector<JobView> jobs = TRY(client.list(filter));
  std::vector<const JobView*> exact, prefixed;
  for (const JobView& job : jobs) {
    if (job.name == name) exact.push_back(&job);
    if (job.name.rfind(name, 0) == 0) prefixed.push_back(&job);
  }
  const auto& found = exact.empty() ? prefixed : exact;
  if (found.size() == 1) return JobId{found[0]->id};
  if (found.empty()) {
    return Error{Code::not_found, "no job is called \"" + name + "\"",
                 "`llmctl ls` lists the jobs"};
  }
  constexpr size_t kNamed = 5;
  std::string ids;
  for (size_t i = 0; i < std::min(found.size(), kNamed); ++i) {
    ids += (i == 0 ? "" : ", ") + std::to_string(found[i]->id);
  }
  if (found.size() > kNamed) ids += ", ...";
  return Error{Code::invalid_argument,
               "\"" + name + "\" means " + std::to_string(found.size()) + " jobs: " + ids,
               "use an id"};
}

static Result<std::vector<JobId>> resolve_range(Client& client, const Selector& range) {
  ListFilter filter;
  filter.limit = static_cast<size_t>(limits::kJobsLive);
  filter.oldest_id = range.from;
  std::vector<JobId> ids;
  const std::vector<JobView> jobs = TRY(client.list(filter));
  for (const JobView& job : jobs) {
    if (job.id >= range.from && job.id <= range.to) ids.push_back(JobId{job.id});
  }
  std::sort(ids.begin(), ids.end());
  if (ids.empty()) {
    return Error{
        Code::not_found,
        "no job has an id from " + std::to_string(range.from) + " to " + std::to_string(range.to),
        "`llmctl ls` lists the jobs"};
  }
  return ids;
}

static Result<std::vector<JobId>> resolve(Client& client, const Selector& selector) {
  switch (selector.kind) {
    case Selector::Kind::range:
      if (selector.from != selector.to) return resolve_range(client, selector);
      return std::vector<JobId>{JobId{selector.from}};
    case Selector::Kind::last: {
      const JobView newest = TRY(client.get(JobId{}));
      return std::vector<JobId>{JobId{newest.id}};
    }
    case Selector::Kind::name:
      return std::vector<JobId>{TRY(resolve_name(client, selector.name))};
  }
  return std::vector<JobId>{};
}

Result<std::vector<JobId>> resolve_jobs(Client& client, const std::vector<std::string>& words) {
  const std::vector<Selector> selectors = TRY(parse_selectors(words));
  std::vector<JobId> ids;
  for (const Selector& selector : selectors) {
    const std::vector<JobId> found = TRY(resolve(client, selector));
    for (const JobId id : found) {
      if (std::count(ids.begin(), ids.end(), id) == 0) ids.push_back(id);
    }
  }
  return ids;
}

Result<JobId> resolve_job(Client& client, const std::string& word) {
  const std::vector<JobId> ids = TRY(resolve_jobs(client, {word}));
  if (ids.size() == 1) return ids[0];
  return Error{Code::invalid_argument, "\"" + word + "\" means more than one job", "give one id"};
}

}  // namespace llmctl
