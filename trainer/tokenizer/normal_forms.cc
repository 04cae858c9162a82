#include "trainer/tokenizer/normal_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/utf8.h"
#include "trainer/tokenizer/pieces/code_set.h"

namespace llmctl {
namespace {

int unicode_options(NormalForm form) {
  switch (form) {
    case NormalForm::nfc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case NormalForm::nfd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case NormalForm::nfkc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    case NormalForm::nfkd:
      break;
  }
  return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
}

// ASCII is every form of itself and begins anew, so only the last of it may change with what
// follows.
size_t settled_ascii(std::string_view text) {
  const auto is_ascii = [](char c) { return static_cast<uint8_t>(c) < 0x80; };
  const auto end = std::find_if_not(text.begin(), text.end(), is_ascii);
  const auto count = static_cast<size_t>(end - text.begin());
  return end == text.end() || count == 0 ? count : count - 1;
}

// Characters that Unicode gained, or gave a mapping, after version 9, which the reference
// implementation's normalizer follows: to it they are letters like any other.
constexpr CodeRange kNewer[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},
    {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},
    {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x10781, 0x10785}, {0x10787, 0x107B0},
    {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B},
    {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11930}, {0x11938, 0x11938},
    {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34},
    {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
    {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E030, 0x1E06D},
    {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF},
    {0x1E4EC, 0x1E4EF}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9}};

// Bytes of the character at the front if normal forms may change it, else 0: one that stays as it
// is also keeps its neighbours apart.
size_t changeable(std::string_view text) {
  const size_t bytes = utf8_length(text);
  utf8proc_int32_t read = -1;
  if (bytes == 0) return 0;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(bytes), &read);
  const auto code = static_cast<uint32_t>(read);
  const auto* range = std::lower_bound(std::begin(kNewer), std::end(kNewer), code,
                                       [](const CodeRange& r, uint32_t c) { return r.last < c; });
  return range != std::end(kNewer) && range->first <= code ? 0 : bytes;
}

}  // namespace

// Runs of valid UTF-8 are normalized, other bytes stay.
std::string in_normal_form(NormalForm form, std::string_view text) {
  const int options = unicode_options(form);
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (const size_t settled = settled_ascii(text.substr(at))) {
      out += text.substr(at, settled);
      at += settled;
      continue;
    }
    size_t end = at + changeable(text.substr(at));
    if (end == at) {
      const size_t bytes = std::max<size_t>(utf8_length(text.substr(at)), 1);
      out += text.substr(at, bytes);
      at += bytes;
      continue;
    }
    while (end < text.size() && static_cast<uint8_t>(text[end]) >= 0x80) {
      const size_t bytes = changeable(text.substr(end));
      if (bytes == 0) break;
      end += bytes;
    }
    utf8proc_uint8_t* mapped = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                                     static_cast<utf8proc_ssize_t>(end - at), &mapped,
                                     static_cast<utf8proc_option_t>(options));
    CHECK(length >= 0);  // valid UTF-8 always maps
    out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
    std::free(mapped);
    at = end;
  }
  return out;
}

}  // namespace llmctl
