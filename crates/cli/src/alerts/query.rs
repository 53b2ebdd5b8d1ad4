//! `vedette alerts query`.

use vedette_proto::v1;

use super::filter::FilterArgs;
use super::render::{self, Output};
use crate::console::Console;
use crate::exit::{self, Verdict};
use crate::remote::{self, RemoteError};

/// Show the alerts that the controller has, the oldest first.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many, the newest; 0 for all that are there.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    limit: usize,
    /// The newest first.
    #[arg(long, short)]
    reverse: bool,
    /// How alerts look [default: text on a terminal, else json].
    #[arg(long, short, value_enum)]
    output: Option<Output>,
    #[command(flatten)]
    remote: remote::ConnectArgs,
}

const AFTER_HELP: &str = "\
Examples:
  vedette alerts query --since 1h --priority warning
  vedette alerts query --node n7 --rule 'Password hashes read' --limit 20
  vedette alerts query --since 2026-01-31 --until 2026-02-01 --limit 0 --output json | jq -r .rule | sort | uniq -c

The log keeps what every sink has for a week or a gibibyte, unless the controller was told otherwise. With --limit 0 use
--reverse where there may be very many: the oldest first needs all of them in memory.";

/// Most alerts of a page.
const PAGE: usize = 1000;

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    remote::runtime()?.block_on(query(args, console))
}

async fn query(args: &Args, console: &mut Console) -> exit::Result {
    let controller = args.remote.connect().await?;
    let mut alerts = controller.alerts();
    let (output, text) = (Output::of(args.output, console), console.alert_text());
    let most = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut request = v1::QueryRequest { filter: Some(args.filter.filter()), ..Default::default() };
    let mut held = Vec::new();
    let mut count = 0;
    let more = loop {
        request.page_size = (most - count).min(PAGE) as u32;
        let page: v1::QueryResponse = remote::answer(&controller, alerts.query(request.clone())).await?;
        for response in page.alerts.iter().take(most - count) {
            let line = render::line(response, output, text);
            count += 1;
            if args.reverse { console.write(&line)? } else { held.push(line) }
        }
        console.flush()?;
        if page.next_page_token.is_empty() {
            break false;
        }
        if count >= most {
            break true;
        }
        if page.next_page_token == request.page_token {
            return Err(RemoteError::Refused("it gives the same page again and again".into()).into());
        }
        request.page_token = page.next_page_token;
    };
    for line in held.iter().rev() {
        console.write(line)?;
    }
    if more && console.out_is_terminal() {
        console.say(format_args!("the newest {count}; there may be more: --limit"));
    } else if count == 0 && console.out_is_terminal() {
        console.say("no such alerts");
    }
    Ok(Verdict::Good)
}
