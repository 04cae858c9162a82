// workers and drain: the machines that run jobs.
#include <algorithm>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/screen/render.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

static void show_workers(Context& context, const std::vector<WorkerView>& workers) {
  if (context.json()) {
    context.print(workers_document(workers));
    return;
  }
  context.out << render_workers(workers, {context.out_terminal, context.clock.unix_ms()});
  if (workers.empty()) context.err << "no workers; `llmctl up` starts one here\n";
}

static VerbAction setup_workers(CLI::App& app) {
  auto forget = std::make_shared<std::string>();
  app.add_option("--forget", *forget, "Take this lost worker from the list")->option_text("NAME");
  return [forget](Context& context) -> Result<int> {
    Client client = TRY(connect(context.env));
    const std::vector<WorkerView> workers =
        TRY(forget->empty() ? client.workers() : client.forget(*forget));
    show_workers(context, workers);
    return kExitOk;
  };
}

struct DrainArguments {
  std::string worker;
  bool undo = false;
};

static VerbAction setup_drain(CLI::App& app) {
  auto arguments = std::make_shared<DrainArguments>();
  app.add_option("WORKER", arguments->worker, "Its name")->required();
  app.add_flag("--undo", arguments->undo, "Let it take jobs again");
  return [arguments](Context& context) -> Result<int> {
    Client client = TRY(connect(context.env));
    const std::vector<WorkerView> workers = TRY(client.drain(arguments->worker, arguments->undo));
    show_workers(context, workers);
    return kExitOk;
  };
}

const Verb kWorkersVerb{
    "workers", "Workers", "The workers, their devices and who is promised what",
    "llmctl workers\nllmctl workers -o json | jq '.workers[].devices'\nllmctl workers --forget w3",
    setup_workers};
const Verb kDrainVerb{"drain", "Workers",
                      "Checkpoint a worker's jobs elsewhere; give it no new ones",
                      "llmctl drain w1\nllmctl drain w1 --undo", setup_drain};

}  // namespace llmctl
