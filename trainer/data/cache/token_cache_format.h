// The header of a token cache's file and the size of what one checksum covers, as token_cache.h
// describes the file. For its writer and its reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "trainer/files/crc32c.h"

namespace llmctl {

inline constexpr char kTokenCacheMagic[8] = {'l', 'l', 'm', 'c', 't', 'l', 'T', '2'};
inline constexpr size_t kSumBytes = 64 << 10;

struct TokenCacheHeader {
  char magic[8];
  uint32_t id_bytes, has_mask;
  uint64_t tokens, documents;
  uint32_t sums_crc;
  char zero[24];
  uint32_t header_crc;  // of the 60 bytes before it
};
static_assert(sizeof(TokenCacheHeader) == 64);

inline uint32_t crc_of(const TokenCacheHeader& header) {
  return crc32c(std::as_bytes(std::span(&header, 1)).first(offsetof(TokenCacheHeader, header_crc)));
}

}  // namespace llmctl
