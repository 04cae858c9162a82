#include "cli/app/command_line.h"

#include <algorithm>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/screen/documents.h"
#include "cli/screen/draw.h"
#include "cli/verbs/verbs.h"
#include "core/base/suggest.h"

namespace llmctl {

constexpr const char* kFooter =
    "Ids: 17, a list 1,4, a range 3-7, `last`, or a job's name.\n"
    "Every verb takes -o json; `llmctl VERB --help` shows examples.\n"
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 auth, 5 unreachable, 6 refused,\n"
    "  7 timeout; of a job: 100 failed, 101 not finished, 103 canceled; 130 interrupted.\n"
    "\n"
    "Another cluster than the local one, before or after the verb:\n"
    "  --server [https://]HOST:PORT   its scheduler (LLMCTL_SERVER); https:// is TLS\n"
    "  --tls-ca FILE                  PEM of the authority behind its certificate; implies TLS\n"
    "                                 (LLMCTL_TLS_CA; default: what this system trusts)\n"
    "  --token-file FILE              its token (LLMCTL_TOKEN: the token itself)\n"
    "\n"
    "Environment: LLMCTL_HOME (~/.llmctl), LLMCTL_OUTPUT (table|json), NO_COLOR,\n"
    "  LLMCTL_JOBS_DIR (where this machine mounts another cluster's jobs folder).\n";

static std::string overview() {
  std::string out =
      "llmctl trains language models: submit a job file, it is fitted, queued, trained and kept\n"
      "safe.\n\nExamples:\n"
      "  llmctl up                                  start a cluster on this machine\n"
      "  llmctl submit job.yaml --watch             train, and follow it\n"
      "  llmctl generate last --prompt \"Once upon\"  try the model\n";
  const char* group = "";
  for (const Verb* verb : verbs()) {
    if (*verb->group == '\0') continue;  // hidden
    if (std::string_view(group) != verb->group) out += std::string("\n") + verb->group + ":\n";
    group = verb->group;
    out += "  " + pad_right(verb->name, 13) + verb->summary + "\n";
  }
  return out + "\n" + kFooter;
}

// Examples before options: most readers need nothing else.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app,
                        std::string name,
                        CLI::AppFormatMode mode) const override {
    const auto found = std::find_if(verbs().begin(), verbs().end(), [&](const Verb* verb) {
      return verb->name == app->get_name();
    });
    if (found == verbs().end()) return overview();
    std::string out = std::string((*found)->summary) + "\n\nExamples:\n";
    std::istringstream lines((*found)->examples);
    for (std::string line; std::getline(lines, line);) out += "  " + line + "\n";
    return out + "\n" + make_usage(app, name) + make_positionals(app) + make_groups(app, mode);
  }
};

CommandLine make_command_line() {
  CommandLine line{std::make_unique<CLI::App>("", "llmctl"), std::make_shared<VerbAction>(),
                   std::make_shared<std::string>(), std::make_shared<Environment>()};
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(28);
  CLI::App& app = *line.app;
  app.formatter(formatter);
  app.set_help_flag("-h,--help", "Show this help");
  app.require_subcommand(1);
  app.add_option("--server", line.connection->server);
  app.add_option("--tls-ca", line.connection->tls_ca);
  app.add_option("--token-file", line.connection->token_file);
  for (const Verb* verb : verbs()) {
    CLI::App* sub = app.add_subcommand(verb->name, verb->summary);
    sub->fallthrough();  // what the verb does not know may be for all of them
    sub->set_help_flag("-h,--help", "Show this help");
    sub->add_option("-o,--output", *line.output, "table | json")
        ->check(CLI::IsMember({"table", "json"}))
        ->type_name("FORMAT");
    const VerbAction run = verb->setup(*sub);
    sub->final_callback([run, chosen = line.chosen] { *chosen = run; });
  }
  return line;
}

static int report(const Error& error, const Context& context) {
  if (context.json()) {
    context.print(error_document(error));
  } else {
    context.err << paint("error: ", Tone::bad, context.err_terminal) << clean_lines(error.message)
                << "\n";
    if (!error.hint.empty()) context.err << "hint: " << clean_lines(error.hint) << "\n";
  }
  return exit_code_of(error);
}

// What the parser says about an unknown word, with the nearest thing it could have been.
static Error usage_error(const CLI::App& app,
                         const CLI::ParseError& problem,
                         const std::vector<std::string>& arguments) {
  Error error{Code::invalid_argument, problem.what(), "`llmctl help` lists the verbs"};
  const auto parsed = app.get_subcommands();
  if (!parsed.empty()) {
    error.hint = "`llmctl " + parsed[0]->get_name() + " --help` shows the options";
    std::vector<std::string> options;
    for (const CLI::App* level : {static_cast<const CLI::App*>(parsed[0]), &app}) {
      for (const CLI::Option* option : level->get_options()) {
        for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
      }
    }
    const std::vector<std::string_view> known(options.begin(), options.end());
    for (const std::string& word : arguments) {
      const std::string name = word.substr(0, word.find('='));
      if (name.rfind("--", 0) != 0 || std::count(options.begin(), options.end(), name) > 0)
        continue;
      error.message = "unknown option " + clean(name) + did_you_mean(name, known);
      break;
    }
    return error;
  }
  std::vector<std::string_view> names;
  for (const Verb* verb : verbs()) names.emplace_back(verb->name);
  for (const std::string& word : app.remaining()) {
    if (word.empty() || word[0] == '-') continue;
    error.message = "unknown verb \"" + clean(word) + "\"" + did_you_mean(word, names);
    break;
  }
  return error;
}

// Wanted before parsing, because a parse error must already come in the right format.
static bool wants_json(const std::vector<std::string>& arguments, const Environment& env) {
  bool json = env.output == "json";
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if ((word == "-o" || word == "--output") && i + 1 < arguments.size()) {
      json = arguments[i + 1] == "json";
    }
    if (word == "-ojson" || word == "--output=json" || word == "-o=json") json = true;
  }
  return json;
}

// An option is nearer to the reader than a variable.
static void override_with(const Environment& given, Environment& env) {
  if (!given.server.empty()) env.server = given.server;
  if (!given.tls_ca.empty()) env.tls_ca = given.tls_ca;
  if (!given.token_file.empty()) env.token_file = given.token_file;
}

int run_cli(const std::vector<std::string>& arguments, Context& context) {
  context.format =
      wants_json(arguments, context.env) ? OutputFormat::one_json : OutputFormat::table;
  if (arguments.empty() || arguments[0] == "help") {
    if (arguments.size() > 1) return run_cli({arguments[1], "--help"}, context);
    context.out << overview();
    return kExitOk;
  }
  if (arguments[0] == "--version") return run_cli({"version"}, context);
  const CommandLine line = make_command_line();
  try {
    line.app->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    const auto parsed = line.app->get_subcommands();
    context.out << (parsed.empty() ? overview() : parsed[0]->help("llmctl"));
    return kExitOk;
  } catch (const CLI::ParseError& problem) {
    return report(usage_error(*line.app, problem, arguments), context);
  }
  CHECK(*line.chosen);
  override_with(*line.connection, context.env);
  const Result<int> code = (*line.chosen)(context);
  context.out.flush();
  return code.ok() ? *code : report(code.error(), context);
}

}  // namespace llmctl
