//! `vedette status`.

mod report;
mod text;

use vedette_proto::v1;

use self::report::Report;
use crate::cli::Format;
use crate::console::Console;
use crate::exit::{self, Verdict};
use crate::remote;

/// Say how controller, nodes, policies and sinks do, and what was lost.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Only these nodes, with all that their kernels do not offer and every rule that is not active. Can be given several
    /// times.
    #[arg(long = "node", value_name = "NAME")]
    nodes: Vec<String>,
    /// Text, or JSON with everything [default: text on a terminal, else json].
    #[arg(long, short, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: remote::ConnectArgs,
}

const AFTER_HELP: &str = "\
Examples:
  vedette status
  vedette status --node n7
  vedette status --output json | jq -r '.problems[]'

Exit codes: 0 all is well, 1 something is not (each is a line under `problems`), 64 wrong usage, 69 the controller cannot
be asked, 70 internal error. Losses are of the time since an agent started, and no reason for 1 once they are over.";

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let report = remote::runtime()?.block_on(ask(args))?;
    match console.format(args.output) {
        Format::Json => console.json(&report)?,
        Format::Text => text::print(&report, !args.nodes.is_empty(), console)?,
    }
    Ok(Verdict::from_good(report.is_well()))
}

async fn ask(args: &Args) -> Result<Report, exit::Failure> {
    let controller = args.remote.connect().await?;
    let status = remote::answer(&controller, controller.itself().get_status(v1::GetStatusRequest {})).await?;
    let agents =
        remote::answer(&controller, controller.agents().list_agents(v1::ListAgentsRequest {})).await?;
    let known: Vec<&str> =
        agents.agents.iter().filter_map(|a| Some(a.hello.as_ref()?.node.as_str())).collect();
    if let Some(unknown) = args.nodes.iter().find(|node| !known.contains(&node.as_str())) {
        return Err(exit::Failure::Input(format!(
            "the controller knows no node {unknown}; `vedette status` lists those that it knows"
        )));
    }
    let mut agents = agents.agents;
    if !args.nodes.is_empty() {
        agents.retain(|a| a.hello.as_ref().is_some_and(|hello| args.nodes.contains(&hello.node)));
    }
    Ok(Report::new(args.remote.url().to_string(), report::now(), status, agents))
}
