// CRC32C (Castagnoli, reflected polynomial 0x82F63B78), the checksum of checkpoints and token
// caches. Uses the SSE4.2 instruction in three interleaved streams where the CPU has it, tables
// elsewhere; both give the same value. Detects every single-bit error. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace llmctl {

// `crc` is the value of the bytes before these, so crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t crc = 0);
// The table form, on every machine; the tests compare the two.
uint32_t crc32c_portable(std::span<const std::byte> bytes, uint32_t crc = 0);

}  // namespace llmctl
