// Shell completion: one small script per shell, which asks the hidden verb `__complete` with the
// words typed so far. Anything that goes wrong there completes to nothing, quietly and fast.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/app/command_line.h"
#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/screen/draw.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

constexpr const char* kBash = R"(# llmctl completion for bash: source <(llmctl completion bash)
_llmctl() {
  local IFS=$'\n'
  COMPREPLY=($(llmctl __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _llmctl llmctl
)";

constexpr const char* kZsh = R"(#compdef llmctl
# llmctl completion for zsh: source <(llmctl completion zsh)
_llmctl() {
  local -a candidates
  candidates=("${(@f)$(llmctl __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$candidates" ]]; then compadd -a candidates; else _files; fi
}
compdef _llmctl llmctl
)";

constexpr const char* kFish = R"(# llmctl completion for fish: llmctl completion fish | source
function _llmctl
  llmctl __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c llmctl -a '(_llmctl)'
)";

static VerbAction setup_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return [shell](Context& context) -> Result<int> {
    const char* script = *shell == "bash" ? kBash : *shell == "zsh" ? kZsh : kFish;
    if (context.json())
      context.print({{"api_version", kApiVersion}, {"script", script}});
    else
      context.out << script;
    return kExitOk;
  };
}

// ---- __complete

static std::vector<std::string> job_candidates(Context& context) {
  std::vector<std::string> words = {"last"};
  Result<Client> client = connect(context.env);
  if (!client.ok()) return words;
  ListFilter filter;
  filter.limit = 30;
  const Result<std::vector<JobView>> jobs = client->list(filter);
  if (!jobs.ok()) return words;
  for (const JobView& job : *jobs) words.push_back(std::to_string(job.id));
  for (const JobView& job : *jobs) words.push_back(clean(job.name));
  return words;
}

static std::vector<std::string> worker_candidates(Context& context) {
  std::vector<std::string> words;
  Result<Client> client = connect(context.env);
  if (!client.ok()) return words;
  const Result<std::vector<WorkerView>> workers = client->workers();
  if (!workers.ok()) return words;
  for (const WorkerView& worker : *workers) words.push_back(clean(worker.name));
  return words;
}

static std::vector<std::string> candidates(Context& context, std::span<const std::string> typed) {
  std::vector<std::string> words;
  if (typed.size() <= 1) {
    for (const Verb* verb : verbs()) {
      if (*verb->group != '\0') words.emplace_back(verb->name);
    }
    words.emplace_back("help");
    return words;
  }
  const CommandLine line = make_command_line();
  const auto subcommands =
      line.app->get_subcommands([&](const CLI::App* sub) { return sub->get_name() == typed[0]; });
  if (subcommands.empty()) return words;
  const CLI::App* verb = subcommands[0];
  if (typed.back().rfind('-', 0) == 0) {
    for (const CLI::Option* option : verb->get_options()) {
      for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
    }
    return words;
  }
  const std::string& before = typed[typed.size() - 2];
  if (before == "-o" || before == "--output") return {"table", "json"};
  for (const CLI::Option* option : verb->get_options()) {
    if (!option->get_positional()) continue;
    const std::string& name = option->get_name(/*positional=*/true);
    if (name.rfind("ID", 0) == 0) return job_candidates(context);
    if (name == "WORKER") return worker_candidates(context);
    if (name == "SHELL") return {"bash", "zsh", "fish"};
  }
  return words;  // files: the shell knows better
}

static VerbAction setup_complete(CLI::App& app) {
  auto typed = std::make_shared<std::vector<std::string>>();
  app.add_option("WORDS", *typed, "The words after `llmctl`; the last one is being typed");
  return [typed](Context& context) -> Result<int> {
    const std::string last = typed->empty() ? "" : typed->back();
    for (const std::string& word : candidates(context, *typed)) {
      if (word.rfind(last, 0) == 0) context.out << word << "\n";
    }
    return kExitOk;
  };
}

const Verb kCompletionVerb{
    "completion", "This program", "Completion for bash, zsh or fish",
    "source <(llmctl completion bash)\n"
    "llmctl completion bash > ~/.local/share/bash-completion/completions/llmctl\n"
    "llmctl completion fish | source",
    setup_completion};
const Verb kCompleteVerb{"__complete", "", "Completion candidates, for the shells' scripts",
                         "llmctl __complete -- show ''", setup_complete};

}  // namespace llmctl
