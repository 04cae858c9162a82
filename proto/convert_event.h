// Events on the wire and in the store: the payload of a stored event is a serialized v1::Event, so
// a field may be added but never renumbered. boot_ms does not travel (a restart makes it
// meaningless). Same rules as proto/convert.h.
#pragma once

#include "core/run/event.h"
#include "llmctl/v1/types.pb.h"

namespace llmctl {

v1::Event to_wire(const Event& event);
Result<Event> from_wire(const v1::Event& event);

}  // namespace llmctl
