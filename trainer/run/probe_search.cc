#include "trainer/run/probe_search.h"

#include <algorithm>

#include "trainer/run/schedule.h"

namespace llmctl {

static constexpr size_t kEnoughTrials = 3;  // plans that fit
static constexpr double kLeastSteps = 2;    // for each: one warms up
static constexpr double kLeastBudget = 30;  // seconds
static constexpr double kShareOfRun = 0.05;

static bool same(const Plan& plan, const ProbeResult& result) {
  return plan.micro_batch_size == result.micro_batch_size &&
         plan.gradient_checkpointing == result.gradient_checkpointing;
}

ProbeSearch::ProbeSearch(const JobSpec& spec, std::vector<Plan> candidates, Bytes cap_bytes)
    : spec_(spec), candidates_(std::move(candidates)), cap_bytes_(cap_bytes) {}

void ProbeSearch::add(const ProbeResult& result, double seconds) {
  const auto plan = std::find_if(candidates_.begin(), candidates_.end(),
                                 [&](const Plan& each) { return same(each, result); });
  CHECK(plan != candidates_.end());
  measured_.push_back({result, plan->peak_bytes_predicted, seconds});
}

bool ProbeSearch::answers() const {
  return std::any_of(measured_.begin(), measured_.end(),
                     [](const Measured& each) { return !each.result.oom; });
}

double ProbeSearch::budget_seconds() const {
  double fastest = 0;  // seconds per sequence
  for (const auto& [result, predicted, seconds] : measured_) {
    if (result.oom || result.seconds_per_micro_batch <= 0) continue;
    const double each =
        result.seconds_per_micro_batch / static_cast<double>(result.micro_batch_size);
    fastest = fastest > 0 ? std::min(fastest, each) : each;
  }
  // How many sequences an epoch has is not known here.
  const int64_t steps = spec_.num_epochs ? 0 : planned_steps(spec_, 0);
  const double sequences = static_cast<double>(steps) *
                           static_cast<double>(spec_.global_batch_size) /
                           static_cast<double>(spec_.resources.ranks);
  double run = sequences * fastest;
  if (spec_.max_duration && !spec_.num_epochs) {
    const double most = static_cast<double>(*spec_.max_duration) / 1000;
    run = steps > 0 ? std::min(run, most) : most;
  }
  return std::max(kLeastBudget, kShareOfRun * run);
}

std::vector<Plan> ProbeSearch::smallest_first(Checkpointing kind) const {
  std::vector<Plan> all;
  for (const Plan& plan : candidates_) {
    if (plan.gradient_checkpointing == kind) all.push_back(plan);
  }
  std::sort(all.begin(), all.end(),
            [](const Plan& a, const Plan& b) { return a.micro_batch_size < b.micro_batch_size; });
  return all;
}

std::vector<const ProbeSearch::Measured*> ProbeSearch::fitting(Checkpointing kind) const {
  std::vector<const Measured*> all;
  for (const Measured& each : measured_) {
    const ProbeResult& r = each.result;
    if (!r.oom && r.gradient_checkpointing == kind) all.push_back(&each);
  }
  std::sort(all.begin(), all.end(), [](const Measured* a, const Measured* b) {
    return a->result.micro_batch_size < b->result.micro_batch_size;
  });
  return all;
}

const ProbeSearch::Measured* ProbeSearch::find(const Plan& plan) const {
  const auto found = std::find_if(measured_.begin(), measured_.end(),
                                  [&](const Measured& each) { return same(plan, each.result); });
  return found == measured_.end() ? nullptr : &*found;
}

// It needs at least what another one ran out with.
bool ProbeSearch::cannot_fit(const Plan& plan) const {
  return std::any_of(measured_.begin(), measured_.end(), [&](const Measured& each) {
    const ProbeResult& r = each.result;
    return r.oom && plan.micro_batch_size >= r.micro_batch_size &&
           plan.gradient_checkpointing <= r.gradient_checkpointing;
  });
}

// The line through the two largest that were measured; with one, the prediction moved onto it.
Bytes ProbeSearch::expected_peak(const Plan& plan) const {
  const auto known = fitting(plan.gradient_checkpointing);
  const Measured& last = *known.back();
  if (known.size() == 1) {
    return plan.peak_bytes_predicted + last.result.peak_bytes - last.predicted;
  }
  const ProbeResult& a = known[known.size() - 2]->result;
  const ProbeResult& b = last.result;
  const double slope = static_cast<double>(b.peak_bytes - a.peak_bytes) /
                       static_cast<double>(b.micro_batch_size - a.micro_batch_size);
  const auto more = static_cast<double>(plan.micro_batch_size - b.micro_batch_size);
  return b.peak_bytes + static_cast<Bytes>(slope * more);
}

// Passes take time in proportion to their sequences; making the model takes what it took.
double ProbeSearch::expected_seconds(const Plan& plan) const {
  const Measured& last = *fitting(plan.gradient_checkpointing).back();
  const double pass = last.result.seconds_per_micro_batch;
  const double making = std::max(0.0, last.seconds - kLeastSteps * pass);
  const double larger = static_cast<double>(plan.micro_batch_size) /
                        static_cast<double>(last.result.micro_batch_size);
  return making + kLeastSteps * pass * larger;
}

std::optional<Plan> ProbeSearch::among(Checkpointing kind, double seconds_left) const {
  const auto known = fitting(kind);
  if (known.size() >= kEnoughTrials) return std::nullopt;
  const int64_t largest_known = known.back()->result.micro_batch_size;
  std::vector<Plan> open;  // larger ones that may fit, smallest first
  bool ran_out = false;
  std::optional<Plan> below;  // the largest below what is known
  for (const Plan& plan : smallest_first(kind)) {
    if (plan.micro_batch_size < largest_known) below = plan;
    if (plan.micro_batch_size <= largest_known) continue;
    if (cannot_fit(plan)) {
      ran_out = true;
    } else if (cap_bytes_ <= 0 || expected_peak(plan) <= cap_bytes_) {
      open.push_back(plan);
    }
  }
  // Where one ran out that should have fitted, nothing is known but both ends.
  if (ran_out && open.size() > 1) open.resize((open.size() + 1) / 2);
  while (!open.empty() && expected_seconds(open.back()) > seconds_left) open.pop_back();
  if (!open.empty()) return open.back();
  if (below && find(*below) == nullptr && expected_seconds(*below) <= seconds_left) return below;
  return std::nullopt;
}

std::optional<Plan> ProbeSearch::next(double seconds_left) const {
  for (const Checkpointing kind :
       {Checkpointing::none, Checkpointing::selective, Checkpointing::block}) {
    if (!fitting(kind).empty()) return among(kind, seconds_left);
    const std::vector<Plan> plans = smallest_first(kind);
    if (!plans.empty() && !cannot_fit(plans.front())) return plans.front();
  }
  return std::nullopt;
}

}  // namespace llmctl
