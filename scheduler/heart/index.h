// Index: what decide() must find without walking State (1,000 workers, 100,000 queued jobs): the
// queue in order, grouped by need; what is promised on each worker; who has room; who is live.
// Derived from jobs and workers, kept by apply(), never stored; sanity_problems() compares it with
// one built afresh.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/base/ids.h"
#include "core/run/inventory.h"

namespace llmctl {

struct Job;
struct Worker;
struct Grant;

// Order of the queue: bigger priority first, then the older job.
struct QueueKey {
  int64_t minus_priority = 0;
  JobId job;
  auto operator<=>(const QueueKey&) const = default;
};
QueueKey queue_key(const Job& job);

// What decides where a job may start. Jobs of equal need fit, or do not, together: when the first
// is refused the others need not be asked.
struct Need {
  bool probe = false;
  int64_t ranks = 1;
  Bytes peak = 0;   // measured, else predicted; 0 for a probe
  Bytes floor = 0;  // what a rank, or every plan of a probe, ran out of
  Bytes cap = 0;    // resources.memory
  std::string device, device_name;
  std::string folder;   // where its newest checkpoint lies; empty: anywhere
  std::string fit_key;  // of a probe: one probe measures for all that are like it
  auto operator<=>(const Need&) const = default;
};
Need need_of(const Job& job);

// Bytes and slots of a device that are promised to ranks not known to be gone.
struct Promised {
  Bytes bytes = 0;
  int32_t ranks = 0;
  bool operator==(const Promised&) const = default;
};

using DeviceName = std::pair<std::string, int32_t>;  // kind and index
// Of the devices of one type, the roomiest comes first.
struct TypedDevice {
  Bytes minus_usable = 0;
  WorkerId worker;
  DeviceName name;
  auto operator<=>(const TypedDevice&) const = default;
};
struct WorkerLoad {
  std::map<DeviceName, Promised> devices;
  std::set<std::pair<JobId, int32_t>> ranks;  // not known to be gone
  bool operator==(const WorkerLoad&) const = default;
};

struct Index {
  std::map<Need, std::set<QueueKey>> queue;  // queued jobs whose last attempt is gone
  std::set<QueueKey> heads;                  // the first of each need
  std::set<JobId> live;                      // have an attempt
  std::set<JobId> leaving;                   // asked to checkpoint and leave
  std::set<JobId> recovering;
  std::set<JobId> not_understood;      // and not at an end
  std::map<std::string, int> probing;  // live probes by fit_key
  std::map<WorkerId, WorkerLoad> loads;
  std::set<WorkerId> held;  // for a while, as WorkerHeld says
  std::set<WorkerId> open;  // may take ranks and have a device with room
  // Devices of workers that are not lost, by device_type().
  std::map<std::string, std::set<TypedDevice>> types;
  bool operator==(const Index&) const = default;

  // Called around every change of a job or a worker: remove it as it was, add it as it is.
  void add(const Job& job);
  void remove(const Job& job);
  void add(const Worker& worker);
  void remove(const Worker& worker);
  // Called when a rank is granted, and when it is gone; update_open() of its worker follows.
  void promise(JobId job, const Grant& grant);
  void release(JobId job, const Grant& grant);
  void update_open(const Worker& worker);  // puts it into `open`, or takes it out
};

}  // namespace llmctl
