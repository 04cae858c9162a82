// Every bound of the system, each with its reason. Hitting one is a named error, never growth.
#pragma once

#include "core/base/units.h"

namespace llmctl::limits {

// Job files and specs.
inline constexpr Bytes kJobFileBytes = 1 << 20;  // a job file is written by a person
inline constexpr int kNestingDepth = 32;         // of YAML and JSON; deepest real key: 4 levels
inline constexpr int kYamlNodes = 20'000;        // alias bombs expand beyond this
inline constexpr int kDatasets = 64;             // mixtures; globs count once
inline constexpr int kLabels = 64;               // labels and env variables of a job
inline constexpr Bytes kNameBytes = 128;         // names appear in every table row
inline constexpr int kVocabSize = 4'000'000;     // 16x the largest public vocabulary
inline constexpr int kLayers = 1'024;
inline constexpr int kHiddenSize = 131'072;
inline constexpr int64_t kSequenceLen = 1 << 22;
inline constexpr int kRanks = 1'024;

// Scheduler.
inline constexpr int kJobsLive = 200'000;  // State is in memory; about 2 KiB each
inline constexpr int kWorkers = 4'096;
inline constexpr Millis kWorkerMemory = 7 * 86'400'000;  // a lost worker leaves the list then
inline constexpr int kInputQueue = 65'536;               // inputs waiting for the loop
inline constexpr int kBatchInputs = 512;                 // inputs sharing one transaction
inline constexpr Bytes kMessageBytes = 4 << 20;          // gRPC message, both directions
inline constexpr int kEventsKept = 10'000;        // newest ones that compaction leaves to watchers
inline constexpr int kPageSize = 1'000;           // rows of one List answer
inline constexpr int kWatchers = 1'024;           // open Watch and Logs streams
inline constexpr int kProbeCandidates = 24;       // plans tried by one probe
inline constexpr int kInheritedCheckpoints = 64;  // a retry keeps the newest ones
inline constexpr int kOomRefits = 8;              // steps down the ladder before giving up
inline constexpr int kPassGrants = 512;           // attempts granted by one tick: one transaction
inline constexpr int kPassNeeds = 256;            // refused by one tick for one kind of device
inline constexpr int kPassHeads = 20'000;         // different needs looked at by one tick
inline constexpr int kMetricPoints = 100'000;     // points of one series kept per job

// Leases (boot-time milliseconds). The worker's view is shorter, so it stops before anybody takes
// over.
inline constexpr Millis kLease = 10'000;       // renewed by each heartbeat answer
inline constexpr Millis kLeaseMargin = 2'000;  // worker fences itself this much earlier
inline constexpr Millis kGrace = 5'000;        // scheduler waits this much longer
inline constexpr Millis kHeartbeat = 1'000;
inline constexpr Millis kStopGrace = 60'000;     // SIGTERM -> checkpoint -> exit, then SIGKILL
inline constexpr Millis kHangTimeout = 120'000;  // no report of a rank for this long is a hang
inline constexpr Millis kBackoffFirst = 1'000;   // wait before the first restart; doubles
inline constexpr Millis kBackoffMax = 300'000;
inline constexpr Millis kWorkerHold = 30'000;      // a full disk is tried again after this long
inline constexpr Millis kQueuePatience = 600'000;  // then nothing behind a job may overtake it

// Worker.
inline constexpr Bytes kLogFileBytes = 16 << 20;    // per rank and file; two files are kept
inline constexpr Bytes kReportLineBytes = 1 << 20;  // one JSON line of a trainer
inline constexpr int kReportBuffer = 4'096;         // metric lines kept while the link is down
inline constexpr int kRunsPerWorker = 256;          // granted at a time
inline constexpr int kRunsTold = 1'024;             // in one message: with those of the past
inline constexpr int kDevicesPerWorker = 64;        // largest boxes hold 16 GPUs
inline constexpr Bytes kDetailBytes = 16 << 10;     // evidence for people: an error and some log
inline constexpr Bytes kSampleBytes = 8 << 10;  // prompt and generated text: a screen or two each

// Trainer.
inline constexpr Bytes kTokenizerFileBytes = 256 << 20;  // largest public tokenizer.json is 33 MB
inline constexpr Bytes kSafetensorsHeaderBytes = 100 << 20;  // as the reference reader
inline constexpr Bytes kManifestBytes = 64 << 20;
inline constexpr Bytes kJsonLineBytes = 64 << 20;         // one record of a JSONL dataset
inline constexpr size_t kJsonLineDepth = 64;              // of such a record
inline constexpr Bytes kTokenizerConfigBytes = 64 << 20;  // it may list 100,000 added tokens

}  // namespace llmctl::limits
