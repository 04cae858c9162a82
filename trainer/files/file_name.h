// Names of files that other files list: a checkpoint's manifest, an index of shards. Pure.
#pragma once

#include <algorithm>
#include <string_view>

namespace llmctl {

// Letters, digits, '.', '_' and '-', the first no '.': it cannot lead out of its folder.
inline bool is_plain_file_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 200 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace llmctl
