// Wire <-> core: besides the gRPC edges, the only code that sees generated headers. Pure functions.
// to_wire() never fails: text that is not UTF-8 is repaired, because protobuf refuses to read it
// back. from_wire() trusts nothing: sizes and numbers are checked against core/base/limits.h and an
// error (invalid_argument) names the field from the outermost message inwards:
// "inventory.devices[2].memory_total: expected >= 0, got -5".
#pragma once

#include "core/run/event.h"
#include "core/run/run_status.h"
#include "llmctl/v1/fleet.pb.h"
#include "llmctl/v1/types.pb.h"

namespace llmctl {

v1::Device to_wire(const Device& device);
v1::Inventory to_wire(const Inventory& inventory);
v1::MemoryByCause to_wire(const MemoryByCause& memory);
v1::Plan to_wire(const Plan& plan);
v1::ProbeResult to_wire(const ProbeResult& result);
v1::Grant to_wire(const Grant& grant);
v1::Checkpoint to_wire(const CheckpointCommitted& checkpoint);
v1::CheckpointRemoved to_wire(const CheckpointRemoved& removed);
v1::Sample to_wire(const SampleGenerated& sample);
v1::Progress to_wire(const Progressed& progress);
v1::RunStatus to_wire(const RunStatus& status);

Result<Device> from_wire(const v1::Device& device);
Result<Inventory> from_wire(const v1::Inventory& inventory);
Result<MemoryByCause> from_wire(const v1::MemoryByCause& memory);
Result<Plan> from_wire(const v1::Plan& plan);
Result<ProbeResult> from_wire(const v1::ProbeResult& result);
Result<Grant> from_wire(const v1::Grant& grant);
Result<CheckpointCommitted> from_wire(const v1::Checkpoint& checkpoint);
Result<CheckpointRemoved> from_wire(const v1::CheckpointRemoved& removed);
Result<SampleGenerated> from_wire(const v1::Sample& sample);
Result<Progressed> from_wire(const v1::Progress& progress);
Result<RunStatus> from_wire(const v1::RunStatus& status);

}  // namespace llmctl
