// Does anybody listen at an address? gRPC says UNAVAILABLE both when a connection is refused (the
// scheduler is not running, so nobody can have taken over) and when it is not answered (the network
// may be cut, so somebody can); only this tells them apart. Blocks for up to `timeout_ms` and the
// time of a name lookup: not for the loop thread.
#pragma once

#include <string>

#include "core/base/units.h"

namespace llmctl::worker {

// True only if every address of HOST:PORT refuses.
bool connection_refused(const std::string& host_port, Millis timeout_ms);

}  // namespace llmctl::worker
